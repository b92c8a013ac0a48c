"""Embeddings as the raw output of losses that compare them."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import normalize


def two_views(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    """Return the raw output and the target of ``nt_xent`` for two views of each of N things.

    Args:
        first: embeddings of one view of each thing, ``(N, d)``.
        second: of the other one, in the same order.

    Returns:
        The cosines of all 2N views with each other, ``(2N, 2N)``, with -inf on the diagonal, as no view is its own partner;
        and the row of each view's partner, ``(2N,)``.

    Raises:
        ValueError: the two do not have one shape ``(N, d)``.

    Source: T. Chen, S. Kornblith, M. Norouzi, G. Hinton (2020), https://arxiv.org/abs/2002.05709

    >>> import likelihoods as lk
    >>> raw, target = two_views(torch.eye(2), torch.eye(2))
    >>> raw
    tensor([[-inf, 0., 1., 0.],
            [0., -inf, 0., 1.],
            [1., 0., -inf, 0.],
            [0., 1., 0., -inf]])
    >>> target
    tensor([2, 3, 0, 1])
    >>> lk.loss("nt_xent", temperature=1.0)(raw, target)
    tensor(0.5514)
    """
    if first.dim() != 2 or first.shape != second.shape:
        raise ValueError(
            f"two_views got shapes {tuple(first.shape)} and {tuple(second.shape)}; give two tensors of one shape (N, d), "
            f"the views of a thing in the same row of both."
        )
    views = normalize(torch.cat([first, second]), dim=-1)
    cosines = views @ views.T
    itself = torch.eye(len(views), dtype=torch.bool, device=views.device)
    target = torch.arange(len(views), device=views.device).roll(len(first))
    return cosines.masked_fill(itself, -torch.inf), target
