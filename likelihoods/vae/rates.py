"""KL(q(z|x)‖p(z)) of each latent in closed form, with slopes and without waiting for a device."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent, MultivariateNormal, Normal
from torch.distributions.kl import _dispatch_kl

from likelihoods.divergences.closed_form import METHODS, closed_form

_OWN: dict[
    tuple[type, type], Callable[[Any, Any], Tensor] | None
] = {}  # the package's own rule for two classes, or None


def closed_rate(q: Distribution, p: Distribution) -> Tensor:
    """Return the divergence in nats of each latent where both laws factorise, ``(B, L)``, else of z, ``(B, 1)``.

    Raises:
        NotImplementedError: there is no closed form that can be trusted.

    >>> from likelihoods.distributions import Normal
    >>> closed_rate(Normal(torch.ones(3, 2), 1.0).to_event(1), Normal(torch.zeros(3, 2), 1.0).to_event(1)).shape
    torch.Size([3, 2])
    """
    if isinstance(q, Independent) and isinstance(p, Independent):
        axes = q.reinterpreted_batch_ndims
        if axes == p.reinterpreted_batch_ndims:
            each = _divergence(q.base_dist, p.base_dist)
            return each.flatten(each.dim() - axes)
    return _divergence(q, p).unsqueeze(-1)


def _divergence(q: Distribution, p: Distribution) -> Tensor:
    if isinstance(q, Normal) and isinstance(p, Normal):
        ratio, distance = q.scale / p.scale, (q.loc - p.loc) / p.scale
        square = ratio * ratio
        return 0.5 * (square + distance * distance - 1.0 - square.log())
    if isinstance(q, MultivariateNormal) and isinstance(p, Independent) and isinstance(p.base_dist, Normal):
        normal = p.base_dist
        factor, distance = q.scale_tril / normal.scale.unsqueeze(-1), (q.loc - normal.loc) / normal.scale
        square = (factor * factor).sum((-2, -1)) + (distance * distance).sum(-1)
        half: Tensor = 0.5 * (square - q.loc.shape[-1])
        return half - factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
    own = _own_rule(q, p)
    if own is not None:
        return own(q, p)
    batch = torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    found = closed_form(q.expand(batch), p.expand(batch))
    if found is None or found[1] != "closed form":  # sums and integrals may have no slopes
        raise NotImplementedError(
            f"KL({type(q).__name__}‖{type(p).__name__}) has no closed form that can be trusted. Estimate it from the samples: "
            f"lk.vae.ELBO(kl='sampled')."
        )
    return found[0]


def _own_rule(q: Distribution, p: Distribution) -> Callable[[Any, Any], Tensor] | None:
    key = type(q), type(p)
    if key not in _OWN:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # two rules fit equally well
            rule = _dispatch_kl(*key)
        home = getattr(rule, "__module__", "")
        own = home.startswith("likelihoods.") and home.rpartition(".")[2] not in METHODS
        _OWN[key] = rule if own else None
    return _OWN[key]
