"""The divergences that are registered with torch, less those of torch's and Pyro's own that are wrong."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor
from torch.distributions import (
    Categorical,
    Distribution,
    ExponentialFamily,
    Independent,
    LowRankMultivariateNormal,
    MultivariateNormal,
    Normal,
    TransformedDistribution,
)
from torch.distributions.kl import _dispatch_kl

ELSEWHERE = ("torch.distributions.kl", "pyro.distributions.kl")
# Rules there that are not used: the wrong ones (tests/test_divergences.py pins each fault), and those that kl() replaces.
WRONG = (
    "continuous_bernoulli",  # off by nats from |logit| of about 15 on; infinite from Uniform(0, 1), which fits
    "_infinity",  # they have the shape of one parameter; the support has decided before
    "_kl_delta",  # a mass against a density
    "_kl_independent_independent",
)
METHODS = {  # of our rules that are sums or integrals, by the file that they stand in
    "negative_binomial": "enumeration",
    "beta_binomial": "enumeration",
    "dirichlet_multinomial": "enumeration",
    "discretized_logistic": "enumeration",
    "kl_by_quadrature": "quadrature",
    "tweedie": "quadrature",
}


def closed_form(q: Distribution, p: Distribution) -> tuple[Tensor, str] | None:
    """Return KL(q‖p) with the batch shape and how it was computed, or None if no rule is registered that can be trusted.

    Both laws have the same batch and event shapes; q's support lies in p's.
    """
    if isinstance(q, Categorical) and isinstance(p, Categorical) and q._num_events != p._num_events:
        return None
    q, p = _full_covariance(q, p)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # two rules fit equally well: torch takes the one that fits q
        rule = _dispatch_kl(type(q), type(p))
    if rule is NotImplemented:
        return None
    name = rule.__name__ if rule.__module__ in ELSEWHERE else ""
    if name == "_kl_transformed_transformed":
        return _transformed(q, p)
    if name == "_kl_expfamily_expfamily":
        return _bregman(q, p)
    if any(part in name for part in WRONG):
        return None
    try:
        value: Tensor = rule(q, p)
    except NotImplementedError:
        return None
    value = value.expand(q.batch_shape)
    if bool((value.isnan() | (value < -1e-3)).any()):  # 0·inf or cancellation: another method must decide
        return None
    ours = rule.__module__.startswith("likelihoods.")
    return value, METHODS.get(rule.__module__.rpartition(".")[2], "closed form") if ours else "closed form"


def _full_covariance(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution]:
    """Give independent normals a covariance matrix where the other law has one: torch registers no rule for the pair."""
    full = (MultivariateNormal, LowRankMultivariateNormal)
    if isinstance(p, full):
        return _as_multivariate(q), p
    return (q, _as_multivariate(p)) if isinstance(q, full) else (q, p)


def _as_multivariate(law: Distribution) -> Distribution:
    if isinstance(law, Independent) and isinstance(law.base_dist, Normal) and law.reinterpreted_batch_ndims == 1:
        loc, scale = torch.broadcast_tensors(law.base_dist.loc, law.base_dist.scale)
        return MultivariateNormal(loc, scale_tril=torch.diag_embed(scale), validate_args=False)
    return law


def _transformed(q: Distribution, p: Distribution) -> tuple[Tensor, str] | None:
    """Return the divergence of the bases, for equal transforms that are injective (torch does not ask whether they are)."""
    ours = any(type(law).__module__.startswith("likelihoods.") for law in (q, p))
    if ours or not isinstance(q, TransformedDistribution) or not isinstance(p, TransformedDistribution):
        return None
    if q.transforms != p.transforms or not all(transform.bijective for transform in q.transforms):
        return None
    bases = q.base_dist, p.base_dist
    if bases[0].event_shape != bases[1].event_shape:
        return None
    found = closed_form(*bases)
    return None if found is None else (sum_rightmost(found[0], len(q.batch_shape)), found[1])


def _bregman(q: Distribution, p: Distribution) -> tuple[Tensor, str] | None:
    """Return the Bregman divergence of the log-normaliser A between natural parameters, with gradients in both laws.

    Torch's own rule detaches the natural parameters of the first law, so its gradient there is nought.
    Source: F. Nielsen, R. Nock (2010), Entropies and cross-entropies of exponential families,
    doi:10.1109/ICIP.2010.5652054.
    """
    if type(q) is not type(p) or type(q).__module__.startswith("likelihoods."):
        return None
    if not isinstance(q, ExponentialFamily) or not isinstance(p, ExponentialFamily):
        return None
    with torch.enable_grad():
        own = [x if x.requires_grad else x.detach().requires_grad_() for x in q._natural_params]
        log_normalizer = q._log_normalizer(*own)
        means = torch.autograd.grad(log_normalizer.sum(), own, create_graph=True)
        value = p._log_normalizer(*p._natural_params) - log_normalizer
        for eta, other, mean in zip(own, p._natural_params, means, strict=True):
            value = value - sum_rightmost((other - eta) * mean, len(q.batch_shape))
    free = torch.is_grad_enabled() and any(x.requires_grad for law in (q, p) for x in law._natural_params)
    return (value if free else value.detach()).expand(q.batch_shape), "closed form"


def sum_rightmost(value: Tensor, keep: int) -> Tensor:
    """Return the value summed over all axes but the first ``keep``."""
    return value.flatten(keep).sum(-1) if value.dim() > keep else value
