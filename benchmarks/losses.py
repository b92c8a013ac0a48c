"""Named losses, value and gradient, against torch.nn.functional, and nats against torch.distributions."""

from collections.abc import Callable, Iterator

import torch
from torch.nn import functional as F

import likelihoods as lk
from benchmarks.timing import Row, compare

SIZES = (100, 10_000, 1_000_000)


def gradient(function: Callable[..., torch.Tensor], *inputs: torch.Tensor) -> Callable[[], object]:
    leaves = [x for x in inputs if x.requires_grad]
    return lambda: torch.autograd.grad(function(*inputs), leaves)


def rows() -> Iterator[Row]:
    """Yield a row for each loss and size."""
    peers = {
        "mse": F.mse_loss,
        "l1": F.l1_loss,
        "huber": F.huber_loss,
        "smooth_l1": F.smooth_l1_loss,
        "poisson_nll": F.poisson_nll_loss,
        "bce_with_logits": F.binary_cross_entropy_with_logits,
    }
    for size in SIZES:
        f = torch.randn(size, requires_grad=True)
        for name, peer in peers.items():
            y = torch.randn(size).exp().round() if name == "poisson_nll" else torch.rand(size).round()
            yield compare(
                f"loss({name!r})", f"F.{peer.__name__}", size, gradient(lk.loss(name), f, y), gradient(peer, f, y)
            )
        raw = torch.rand(size, 2).add(0.1).requires_grad_()
        yield compare(
            "loss('gaussian_nll')",
            "F.gaussian_nll_loss",
            size,
            gradient(lk.loss("gaussian_nll"), raw, y),
            gradient(lambda r, t: F.gaussian_nll_loss(r[:, 0], t, r[:, 1]), raw, y),
        )
        logits = torch.randn(size, 10, requires_grad=True)
        k = torch.randint(10, (size,))
        yield compare(
            "loss('cross_entropy'), 10 classes",
            "F.cross_entropy",
            size,
            gradient(lk.loss("cross_entropy"), logits, k),
            gradient(F.cross_entropy, logits, k),
        )
        stacked = torch.randn(size, 2, requires_grad=True)
        nll = lk.NLL(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.predicted()))
        yield compare(
            "NLL of Normal, both predicted",
            "torch.distributions.Normal",
            size,
            gradient(nll, stacked, y),
            gradient(lambda r, t: -torch.distributions.Normal(r[:, 0], r[:, 1].exp()).log_prob(t).mean(), stacked, y),
        )
