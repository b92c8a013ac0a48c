"""The law of a target that comes from one of several laws."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import Value, between, derived, promote, quantile
from likelihoods.distributions.index import log_softmax
from likelihoods.distributions.inversion import INTEGERS, smallest
from likelihoods.distributions.supports import AnyOf, on_lattice, support_of
from likelihoods.distributions.tails import BothTails, both_tails
from likelihoods.distributions.univariate import Univariate, implicit, on_line
from likelihoods.special import log_sum_exp

GRID, ROUNDS = 65, 4  # the search for a mode: quantiles of each component, and how often a law of counts is asked again
GOLDEN = 0.5 * (5.0**0.5 - 1.0)


class Mixture(BothTails, TorchDistribution):
    """The law of Y = Y_J, where J is component k with probability exp(logits_k) / Σ_j exp(logits_j).

    The components may be any laws of one class: densities, counts, laws with atoms, laws of vectors, mixtures. What
    needs distribution functions (cdf and its kin, icdf, mode) asks for components of this package on the line; the rest
    needs only what it names. There is no closed entropy.

    Args:
        logits: ``(..., K)``, log-probabilities of the components up to a constant; -inf leaves one out.
        components: one law whose batch shape ``(..., K)`` has the components last.
        validate_args: whether to check the logits; torch's default if None. The components have checked themselves.

    Raises:
        ValueError: the components' batch shape does not end in K.

    Source: G. McLachlan, D. Peel (2000), Finite Mixture Models, doi:10.1002/0471721182; as the output of a network
    C. M. Bishop (1994), Mixture density networks, https://publications.aston.ac.uk/id/eprint/373/

    >>> from likelihoods.distributions import Normal
    >>> law = Mixture(torch.tensor([0.0, 1.0]), Normal(torch.tensor([-2.0, 3.0]), 1.0))
    >>> law.log_prob(torch.tensor(3.0)), law.mean
    (tensor(-1.2322), tensor(1.6553))
    """

    arg_constraints = {"logits": constraints.real_vector}

    def __init__(self, logits: Value, components: Distribution, *, validate_args: bool | None = None) -> None:
        (self.logits,) = promote(logits)
        batch, number = components.batch_shape, self.logits.shape[-1:]
        if not number or batch[-1:] != number:
            raise ValueError(
                f"Mixture got logits of shape {tuple(self.logits.shape)} and components with batch shape {tuple(batch)}; "
                f"both must end in the number of components, K: write logits of shape (..., K) and parameters (..., K), "
                f"such as Mixture(torch.zeros(2), Normal(torch.tensor([0.0, 1.0]), 1.0))."
            )
        self.components = components
        shape = batch if batch == self.logits.shape else torch.broadcast_shapes(self.logits.shape, batch)
        self._initialise(shape[:-1], components.event_shape, validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Mixture:
        """Return the law with logits and components expanded."""
        new: Mixture = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new.logits = self.logits.expand(batch + self.logits.shape[-1:])
        new.components = self.components.expand(batch + self.logits.shape[-1:])
        Distribution.__init__(new, batch, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def support(self) -> constraints.Constraint:
        """What the components allow."""
        support = support_of(self.components)
        return AnyOf(support, self._log_weights > -torch.inf) if _varies(support) else support

    @property
    def atoms(self) -> tuple[float, ...]:
        """The components' atoms."""
        return self.components.atoms if isinstance(self.components, Univariate) else ()

    @property
    def _log_weights(self) -> Tensor:
        return log_softmax(self.logits)

    def _each(self, value: Tensor) -> Tensor:
        """Return the value with an axis for the components."""
        return value.unsqueeze(-1 - len(self.event_shape))

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats; -inf where no component allows the value."""
        return log_sum_exp(self._log_weights + self.components.log_prob(self._each(value)))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``."""
        below, above = on_line(self.components, "a mixture's distribution function").log_tails(self._each(value))
        log_weights = self._log_weights
        return both_tails(log_sum_exp(log_weights + below), log_sum_exp(log_weights + above))

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high)."""
        line = on_line(self.components, "the mass of an interval under a mixture")
        return log_sum_exp(self._log_weights + line.log_mass(self._each(low), self._each(high)))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest y with P(Y <= y) >= value; it lies between the components' quantiles."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5))
        p = torch.where(p.isnan(), 0.5, p)
        with torch.no_grad():  # a little more on both sides, since the mixture's cdf rounds differently from theirs
            slack = 4.0 * torch.finfo(p.dtype).eps * (8.0 - p.log())
            low, high = (
                self._extreme_quantiles(p * (1.0 - slack)),
                self._extreme_quantiles((p * (1.0 + slack)).clamp(max=1.0)),
            )
            first, last = (self._extreme_quantiles(torch.full_like(p, end))[i] for i, end in enumerate((0.0, 1.0)))
        found = smallest(self, p, low[0], high[1])
        if self.support.is_discrete:
            found = on_lattice(self.support, found)
        return torch.where(value.isnan(), torch.nan, quantile(found, value, first, last))

    def _extreme_quantiles(self, p: Tensor) -> tuple[Tensor, Tensor]:
        """Return the least and the greatest quantile of the components that are not left out."""
        quantiles = on_line(self.components, "a mixture's quantile").icdf(p.unsqueeze(-1))
        live = self._log_weights > -torch.inf
        return torch.where(live, quantiles, torch.inf).amin(-1), torch.where(live, quantiles, -torch.inf).amax(-1)

    # Moments

    def _average(self, moments: Tensor) -> Tensor:
        weights = self._log_weights.exp()
        weights = weights.reshape(weights.shape + (1,) * len(self.event_shape))
        moments = torch.where(weights > 0.0, moments, 0.0)  # a component that is left out may have infinite moments
        return (weights * moments).sum(-1 - len(self.event_shape))

    @property
    def mean(self) -> Tensor:
        """The mean."""
        return self._full(self._average(self.components.mean))

    @property
    def variance(self) -> Tensor:
        """The variance: the components' own on average, and that of their means."""
        apart = self.components.mean - self._average(self.components.mean).unsqueeze(-1 - len(self.event_shape))
        return self._full(self._average(self.components.variance + apart * apart))

    @property
    def mode(self) -> Tensor:
        """The point of highest ``log_prob``, searched for among the components' modes and quantiles; it has no slope."""
        with torch.no_grad():
            return self._full(self._highest())

    def _highest(self) -> Tensor:
        line = on_line(self.components, "a mixture's mode")
        like = self._log_weights
        chances = torch.linspace(0.0, 1.0, GRID + 2, dtype=like.dtype, device=like.device)[1:-1]
        wide = line.expand(torch.broadcast_shapes(like.shape, line.batch_shape))
        points = wide.icdf(chances.view(-1, *(1,) * len(wide.batch_shape)).expand(-1, *wide.batch_shape))
        points = torch.cat([wide.mode.to(points.dtype)[None], points])  # (GRID + 1, ..., K)
        live = (like > -torch.inf).expand(points.shape)
        points = torch.where(live, points, torch.where(live, points, torch.inf).amin((0, -1)).unsqueeze(-1))
        points = points.movedim(-1, 0).flatten(0, 1).sort(0).values
        low, best, high = self._around(points)
        if self.support.is_discrete:
            steps = chances.view(-1, *(1,) * best.dim())
            for _ in range(ROUNDS if bool((high - low > 2.0).any()) or not isinstance(self.support, INTEGERS) else 0):
                start, stop = self.cdf(low), self.cdf(high)
                inner = self.icdf((start + (stop - start) * steps).clamp(max=1.0))
                low, best, high = self._around(torch.cat([low[None], best[None], inner, high[None]]).sort(0).values)
            return best
        left, right = low, high
        for _ in range(80):
            a, b = right - GOLDEN * (right - left), left + GOLDEN * (right - left)
            rising = self.log_prob(a) < self.log_prob(b)
            left, right = torch.where(rising, a, left), torch.where(rising, right, b)
        found = 0.5 * (left + right)
        return torch.where(self.log_prob(found) > self.log_prob(best), found, best)

    def _around(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the point of highest log_prob among ``points``, sorted along the first axis, between its neighbours."""
        place = (
            self.log_prob(points)
            .nan_to_num(nan=-torch.inf, posinf=torch.inf, neginf=-torch.inf)
            .argmax(0, keepdim=True)
        )
        best = points.gather(0, place)
        below = torch.where(points < best, points, -torch.inf).amax(0)
        above = torch.where(points > best, points, torch.inf).amin(0)
        best = best[0]
        return torch.where(below == -torch.inf, best, below), best, torch.where(above == torch.inf, best, above)

    def entropy(self) -> Tensor:
        """Raise: there is no closed form."""
        raise NotImplementedError("A mixture's entropy has no closed form; average -log_prob over samples.")

    # Sampling

    @derived
    def has_rsample(self) -> bool:
        """Whether samples can have slopes: those of a density on the line whose components have them."""
        return isinstance(self.components, Univariate) and not self.event_shape and self.components.has_rsample

    @derived
    def has_enumerate_support(self) -> bool:
        """Whether the support is finite and the same for all components."""
        return bool(self.components.has_enumerate_support) and not _varies(support_of(self.components))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values, along a new first axis."""
        if not self.has_enumerate_support:
            raise NotImplementedError("The components have no finite support in common.")
        points = self.components.enumerate_support(expand=False).select(-1 - len(self.event_shape), 0)
        points = points.reshape(len(points), *(1,) * len(self.batch_shape), *self.event_shape)
        return points.expand(-1, *self.batch_shape, *self.event_shape) if expand else points

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: every component is sampled, and one of them kept."""
        with torch.no_grad():
            shape, event = torch.Size(sample_shape), len(self.event_shape)
            each = self.batch_shape + self.logits.shape[-1:]
            components = self.components if self.components.batch_shape == each else self.components.expand(each)
            noise = torch.empty(shape + each, dtype=self.logits.dtype, device=self.logits.device).exponential_()
            chosen = (self._log_weights - noise.log()).argmax(-1)  # the largest of Gumbel variables
            chosen = chosen.reshape(chosen.shape + (1,) * (1 + event))
            chosen = chosen.expand(*chosen.shape[: chosen.dim() - event], *self.event_shape)
            return components.sample(shape).gather(-1 - event, chosen).squeeze(-1 - event)

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples with the slopes in all parameters, logits too, that keep their probability."""
        if not self.has_rsample:
            raise NotImplementedError(f"Samples of a mixture of {type(self.components).__name__} have no slopes.")
        return implicit(self, self.sample(sample_shape))


def _varies(support: constraints.Constraint) -> bool:
    """Tell whether a support has bounds of its own for each row, and so for each component."""
    parts = vars(support).values()
    return any(isinstance(part, Tensor) and part.dim() > 0 for part in parts) or any(
        isinstance(part, constraints.Constraint) and _varies(part) for part in parts
    )
