"""Kullback-Leibler divergences, each with the method by which it was computed, and an error where there is one."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import Distribution, Independent, VonMises

from likelihoods.distributions import Joint, Weighted
from likelihoods.divergences.closed_form import closed_form, sum_rightmost
from likelihoods.divergences.enumeration import enumerate_kl
from likelihoods.divergences.monte_carlo import estimate_kl
from likelihoods.divergences.quadrature import quadrature_kl
from likelihoods.divergences.support import atoms, bounds, inside, is_discrete, log_prob, precise, tensors

__all__ = ["Divergence", "atoms", "kl", "monte_carlo"]


class Divergence(NamedTuple):
    """A divergence and how it was come by.

    ``value`` is in nats and has the joint batch shape; ``method`` is "closed form", "enumeration", "quadrature" or
    "Monte Carlo"; ``standard_error`` is that of a Monte Carlo estimate, with the shape of ``value``, and None otherwise.
    """

    value: Tensor
    method: str
    standard_error: Tensor | None = None


def kl(q: Distribution, p: Distribution, *, samples: int | None = None, seed: int | None = None) -> Divergence:
    r"""Return the Kullback-Leibler divergence KL(q‖p) = E_q log(q/p) in nats, for each element of the joint batch.

    First the supports are compared: the divergence is infinite where q's is not inside p's, and between a law of masses and
    a law with a density. Then the first of these that applies is used, for the whole batch:

    1. the closed form that is registered with torch (some of torch's are wrong and are not used). It has gradients.
    2. enumeration, for laws on a lattice: the sum over the support, until less than 1e-13 is left. No gradients (but
       some of this package's own rules are such sums and keep them).
    3. quadrature, for densities on the line: to about 1e-9, and an error where 1e-6 is not reached. No gradients.
    4. Monte Carlo, only if ``samples`` is given: see :func:`monte_carlo`. It has gradients.

    Independent event axes are summed. Nothing is ever replaced by a method that was not asked for, and ``method`` says
    which it was; where several event axes or mixtures are summed of parts, all parts have the same method.

    Args:
        q: the law of which the expectation is taken.
        p: the law that it is compared with, of the same event shape; the batch shapes broadcast.
        samples: how many samples of q may be drawn where the exact methods do not apply.
        seed: of these samples; torch's global generator is then left as it was.

    Raises:
        ValueError: the event shapes differ, the batch shapes do not broadcast, angles are compared with numbers, or one is
            a ``Weighted`` or a ``Joint`` law.
        NotImplementedError: no exact method applies and ``samples`` was not given.
        ArithmeticError: the exact method that applies does not reach its accuracy and ``samples`` was not given.

    Source: S. Kullback, R. A. Leibler (1951), On information and sufficiency, doi:10.1214/aoms/1177729694.

    >>> from likelihoods.distributions import Laplace, Normal, StudentT
    >>> kl(Normal(0.0, 1.0), Normal(torch.tensor([0.0, 2.0]), 1.0))
    Divergence(value=tensor([0., 2.]), method='closed form', standard_error=None)
    >>> kl(Normal(0.0, 1.0), StudentT(3.0, 0.0, 1.0))
    Divergence(value=tensor(0.0692), method='quadrature', standard_error=None)
    """
    q, p, batch = _joint(q, p)
    if isinstance(q, Independent) and isinstance(p, Independent):
        return _summed(q, p, len(batch), samples, seed)
    fits = inside(precise(q), precise(p))
    dtype = _dtype(q, p)
    if not bool(fits.any()) and fits.numel():
        return Divergence(torch.full(batch, torch.inf, dtype=dtype, device=fits.device), "closed form")
    if isinstance(q, Delta):
        return Divergence(torch.where(fits, -log_prob(p, q.v), torch.inf).expand(batch), "closed form")
    found = closed_form(q, p)
    if found is not None:
        return Divergence(torch.where(fits, found[0], torch.inf), found[1])
    failure: Exception
    try:
        value, method = _numeric(precise(q), precise(p))
        return Divergence(torch.where(fits, value, torch.inf).to(dtype), method)
    except (ArithmeticError, NotImplementedError) as raised:
        failure = raised
    if samples is None:
        raise failure
    estimate = monte_carlo(q, p, samples=samples, seed=seed)
    assert estimate.standard_error is not None
    error = torch.where(fits, estimate.standard_error, 0.0)
    return Divergence(torch.where(fits, estimate.value, torch.inf), estimate.method, error)


def monte_carlo(
    q: Distribution, p: Distribution, *, samples: int, seed: int | None = None, estimator: str = "k1"
) -> Divergence:
    r"""Return an unbiased estimate of KL(q‖p) in nats from samples z of q, with its standard error.

    With r = log q(z) - log p(z), estimator "k1" is the mean of r: any sign, never clamped. "k3" is the mean of
    exp(-r) - 1 + r, never negative and far less noisy for laws near each other; it needs equal supports, and has no
    variance where E_q (p/q)² is infinite. Gradients are unbiased too: pathwise where q has ``rsample``, else by the
    score function. The estimate is infinite if p excludes one of the samples.

    Args:
        q: the law to sample.
        p: the law that it is compared with.
        samples: at least 2, for each element of the batch.
        seed: torch's global generator is left as it was if it is given, and used if not.
        estimator: "k1" or "k3".

    Raises:
        ValueError: the event shapes differ, fewer than 2 samples, another estimator, or "k3" for unequal supports.

    Source: J. Schulman (2020), Approximating KL divergence, http://joschu.net/blog/kl-approx.html.

    >>> from likelihoods.distributions import Normal
    >>> monte_carlo(Normal(0.0, 1.0), Normal(1.0, 1.0), samples=10_000, seed=0).method
    'Monte Carlo'
    """
    q, p, _ = _joint(q, p)
    if samples < 2:
        raise ValueError(f"samples={samples}; a standard error needs at least 2, and a useful one about 1000.")
    if estimator not in ("k1", "k3"):
        raise ValueError(f"estimator={estimator!r}; it must be 'k1' or 'k3'.")
    if estimator == "k3" and not bool((inside(precise(q), precise(p)) & inside(precise(p), precise(q))).all()):
        raise ValueError(
            "estimator='k3' is biased where p puts mass outside q's support, as here; write estimator='k1'."
        )
    value, error = estimate_kl(q, p, samples, seed, estimator)
    return Divergence(value, "Monte Carlo", error)


def _joint(q: Distribution, p: Distribution) -> tuple[Distribution, Distribution, torch.Size]:
    """Return both laws with the joint batch shape."""
    if isinstance(q, Weighted) or isinstance(p, Weighted):
        raise ValueError(
            "A power likelihood (Weighted) is no law, so it has no divergence; compare its base: law.base."
        )
    if isinstance(q, Joint) or isinstance(p, Joint):
        raise ValueError(
            "A joint law's parts are independent, so their divergences add: "
            "sum(kl(q.parts[name], p.parts[name]).value for name in q.parts)."
        )
    if q.event_shape != p.event_shape:
        raise ValueError(
            f"q is a law of events of shape {tuple(q.event_shape)} and p of {tuple(p.event_shape)}; one value must fit both. "
            f"Write .to_event(n) where the last n batch axes are one event."
        )
    try:
        batch = torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    except RuntimeError as error:
        raise ValueError(
            f"The batch shapes {tuple(q.batch_shape)} and {tuple(p.batch_shape)} do not broadcast."
        ) from error
    if isinstance(q, VonMises) != isinstance(p, VonMises):
        raise ValueError(
            "One law is of angles (VonMises), the other of numbers. For the uniform law of angles write VonMises(0.0, 1e-30)."
        )
    return q.expand(batch), p.expand(batch), batch


def _summed(q: Independent[Any], p: Independent[Any], keep: int, samples: int | None, seed: int | None) -> Divergence:
    """Return the divergence of the bases, summed over the event axes that both laws take for independent."""
    shared = min(q.reinterpreted_batch_ndims, p.reinterpreted_batch_ndims)
    bases = []
    for law in (q, p):
        rest = law.reinterpreted_batch_ndims - shared
        bases.append(Independent(law.base_dist, rest, validate_args=False) if rest else law.base_dist)
    part = kl(*bases, samples=samples, seed=seed)
    error = part.standard_error
    if error is not None:  # the parts are sampled independently
        error = sum_rightmost(error * error, keep).sqrt()
    return Divergence(sum_rightmost(part.value, keep), part.method, error)


def _numeric(q: Distribution, p: Distribution) -> tuple[Tensor, str]:
    """Return the divergence of two laws in float64 by summing or integrating, or say why neither applies."""
    if q.event_shape:
        raise NotImplementedError(
            f"KL({type(q).__name__}‖{type(p).__name__}) has no closed form that can be trusted, and more than one dimension. "
            f"Estimate it: kl(q, p, samples=100_000)."
        )
    with torch.no_grad():
        if not is_discrete(q):
            return quadrature_kl(q, p), "quadrature"
        if bounds(q) is None:
            raise NotImplementedError(
                f"{type(q).__name__} does not say which lattice its values lie on. Estimate it: kl(q, p, samples=100_000)."
            )
        return enumerate_kl(q, p), "enumeration"


def _dtype(q: Distribution, p: Distribution) -> torch.dtype:
    """Return the dtype that the parameters of both laws promote to."""
    dtype: torch.dtype | None = None
    for law in (q, p):
        for tensor in tensors(law):
            if tensor.is_floating_point():
                dtype = tensor.dtype if dtype is None else torch.promote_types(dtype, tensor.dtype)
    return torch.get_default_dtype() if dtype is None else dtype
