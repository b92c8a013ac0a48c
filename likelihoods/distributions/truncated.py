"""The law of a value that is only kept if it lies in a window."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions.base import Value, between, derived, floating, quantile
from likelihoods.distributions.foreign import univariate
from likelihoods.distributions.integration import integral
from likelihoods.distributions.inversion import newton, smallest
from likelihoods.distributions.supports import Window, expectation, listed, search, spacing, table
from likelihoods.distributions.tails import BothTails, both_tails
from likelihoods.distributions.univariate import implicit

ROUNDS = 30  # how often a sample outside the window is drawn again before it is computed
POLISH = 2  # steps of Newton's method on the window's own tails, where it is too narrow for the base's


class Truncated(BothTails, TorchDistribution):
    """The law of Y given that it lies in a window: given low < Y <= high, its chances divided by P(low < Y <= high).

    For a density the ends make no difference, and both belong to the support. For counts (and at an atom) low is left out:
    ``Truncated(Poisson(rate), low=0)`` is the zero-truncated Poisson law. Values outside the window are impossible, as
    values that were never recorded are; where they were recorded as "beyond the end", the law is ``Censored``.

    Tails and quantiles are computed in log space from the tail of the base that is nearer to the window, so that a window
    40 scales out in a tail is as good as any: to an ulp of the logarithm of the base's own tail there. Mean, variance and
    entropy are sums over the points for counts, and otherwise numerical integrals over quantiles, good to 1e-8 or better
    if the base is smooth but for a kink at its mode; all of them are differentiable. The mode is right for a base with
    a single mode.

    Args:
        base: a law of numbers with a cdf. With one of another package the window must not lie far in a tail; see
            ``Foreign``.
        low: lower end of the window, a number or a tensor that broadcasts with the batch.
        high: its upper end.
        validate_args: whether to check the window; torch's default if None. The base has validated its own parameters.

    Raises:
        TypeError: the base has no cdf, or is a law of vectors.
        ValueError: a window with low >= high or without any of the base's mass (with validation on).

    Source: N. L. Johnson, S. Kotz, N. Balakrishnan (1994), Continuous Univariate Distributions 1, section 10.1

    >>> from likelihoods.distributions import Normal, Poisson
    >>> Truncated(Poisson(1.0), low=0).log_prob(torch.tensor([0.0, 1.0]))
    tensor([   -inf, -0.5413])
    >>> Truncated(Normal(0.0, 1.0), low=40.0).mean
    tensor(40.0250)
    """

    arg_constraints = {}  # the base has the parameters

    def __init__(
        self,
        base: Distribution,
        low: Value = -math.inf,
        high: Value = math.inf,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.base = univariate(base)
        like = self.base._like
        self.low, self.high = (torch.as_tensor(end, dtype=like.dtype, device=like.device) for end in (low, high))
        # an end that is a plain infinite number asks for no tail
        self._open_low, self._open_high = (not isinstance(end, Tensor) and math.isinf(end) for end in (low, high))
        batch = torch.broadcast_shapes(base.batch_shape, self.low.shape, self.high.shape)
        self._initialise(batch, torch.Size(), validate_args)
        if self._validate_args and not torch.compiler.is_compiling():
            self._check(low, high)

    def _check(self, low: Value, high: Value) -> None:
        if not bool((self.low < self.high).all()):
            raise ValueError(f"Truncated got low={low}, high={high}; each low must be less than its high.")
        with torch.no_grad():
            empty = (self._log_total() == -torch.inf).nonzero()
        if len(empty):
            row = f" in row {tuple(empty[0].tolist())}" if empty.shape[1] else ""
            raise ValueError(
                f"Truncated got low={low}, high={high}, but {type(self.base).__name__} has no mass there{row} that could be "
                f"told from 0; its support is {self.base.support}. Move the window, or check the base's parameters."
            )

    def expand(self, batch_shape: Any, _instance: Any = None) -> Truncated:
        """Return the law with base and window expanded."""
        new: Truncated = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        new.base, new.low, new.high = self.base.expand(batch), self.low.expand(batch), self.high.expand(batch)
        new._open_low, new._open_high = self._open_low, self._open_high
        Distribution.__init__(new, batch, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def _like(self) -> Tensor:
        return self.base._like

    @property
    def support(self) -> Window:
        """The base's support within the window."""
        return Window(self.base.support, self.low, self.high, self.base.atoms)

    @property
    def atoms(self) -> tuple[float, ...]:
        """The base's atoms that some row of the window holds."""
        inside = (atom for atom in self.base.atoms if bool(((self.low < atom) & (atom <= self.high)).any()))
        return tuple(inside)

    # Density

    def _log_total(self) -> Tensor:
        return self._between(self.low, self.high, self._open_low, self._open_high)

    def _between(self, low: Tensor, high: Tensor, open_low: bool, open_high: bool) -> Tensor:
        if open_low and open_high:
            return torch.zeros_like(self._like)
        if open_low:
            return self.base.log_cdf(high)
        return self.base.log_sf(low) if open_high else self.base.log_mass(low, high)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats; -inf outside the window."""
        value = floating(value, self._like)
        inside = self.support.within(value)
        inner = torch.where(inside, value, torch.where(self.low > -torch.inf, self.low, self.high))
        found = _less(self.base.log_prob(inner), self._log_total())
        return torch.where(inside, found, torch.where(value.isnan(), torch.nan, -torch.inf))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``."""
        value = floating(value, self._like)
        under, over = (value <= self.low) | (value == -torch.inf), (value >= self.high) | (value == torch.inf)
        end = torch.where(self.low > -torch.inf, self.low, torch.where(self.high < torch.inf, self.high, 0.0))
        inner = torch.where(under | over, end, value)
        total = self._log_total()
        below = _less(self._between(self.low, inner, self._open_low, False), total)
        above = _less(self._between(inner, self.high, False, self._open_high), total)
        below, above = both_tails(below, above)
        below = torch.where(under, -torch.inf, torch.where(over, 0.0, below))
        above = torch.where(under, 0.0, torch.where(over, -torch.inf, above))
        return torch.where(value.isnan(), torch.nan, below), torch.where(value.isnan(), torch.nan, above)

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high)."""
        mass = self.base.log_mass(torch.maximum(low, self.low), torch.minimum(high, self.high))
        return _less(mass, self._log_total())

    def log_cell(self, centre: Tensor, width: Value) -> Tensor:
        """Return log P(centre - width/2 < Y <= centre + width/2)."""
        low, high = centre - 0.5 * width, centre + 0.5 * width
        cut = self.base.log_mass(torch.maximum(low, self.low), torch.minimum(high, self.high))
        whole = self.base.log_cell(centre, width)
        return _less(torch.where((low >= self.low) & (high <= self.high), whole, cut), self._log_total())

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest y of the support with P(Y <= y) >= value."""
        p = between(value, 0.0, 1.0, torch.full_like(value, 0.5)).nan_to_num(nan=0.5)
        with torch.no_grad():
            low, high = self._ends()
        if self._smooth:
            with torch.no_grad():
                y = self._at(p.log(), torch.log1p(-p))
            y = implicit(self, y, p)
        else:
            y = self._point(p, low, high) if self.support.is_discrete else smallest(self, p, low, high)
        return torch.where(value.isnan(), torch.nan, quantile(y, value, low, high))

    def _point(self, p: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return the smallest point at which the distribution function reaches p: the base's own quantile, or a search."""
        offset, step = spacing(self.base.support)
        with torch.no_grad():
            target = torch.logaddexp(self.base.log_cdf(self.low), p.log() + self._log_total())
            y = torch.minimum(torch.maximum(self._end(target.exp().clamp(max=1.0)), low), high)
            y = torch.where(y.isfinite(), y, low)
            y = offset + torch.round((y - offset) / step) * step
            return search(lambda y: self.cdf(y) >= p, y, step, low, high)

    @property
    def _smooth(self) -> bool:
        return not (self.base.support.is_discrete or self.base.atoms)

    def _ends(self) -> tuple[Tensor, Tensor]:
        """Return the ends of the support."""
        zero = torch.zeros(self._batch_shape, dtype=self._like.dtype, device=self._like.device)
        low, high = torch.maximum(self._end(zero), self.low), torch.minimum(self._end(zero + 1.0), self.high)
        if not self.support.is_discrete:
            return low, high
        offset, step = spacing(self.base.support)
        inner = offset + (torch.floor((self.low - offset) / step + 1e-6) + 1.0) * step
        return torch.maximum(low, inner), offset + torch.floor((high - offset) / step + 1e-6) * step

    def _end(self, p: Tensor) -> Tensor:
        try:
            return self.base.icdf(p)
        except NotImplementedError:  # another package's
            return torch.where(p == 0.0, -torch.inf, torch.inf)

    def _at(self, log_p: Tensor, log_q: Tensor) -> Tensor:
        """Return the quantile at which the window's lower tail is exp(log_p), and its upper one exp(log_q)."""
        low, high = self._ends()
        total, base = self._log_total(), self.base
        lower = torch.logaddexp(base.log_cdf(low), log_p + total)
        upper = torch.logaddexp(base.log_sf(high), log_q + total)
        side = upper < lower
        target = torch.where(side, upper, lower)
        low, high, target, side = torch.broadcast_tensors(low, high, target, side)
        start = self._end(torch.where(side, -torch.expm1(target), target.exp())).clamp(low, high)
        finite = torch.where(low > -torch.inf, low, torch.where(high < torch.inf, high, 0.0))
        start = torch.where(start.isfinite(), start, finite)
        y = newton(
            lambda y: torch.where(side, base.log_sf(y), base.log_cdf(y)), base.log_prob, target, side, low, high, start
        )
        near = log_p < log_q
        for _ in range(POLISH):
            below, above = self.log_tails(y)
            tail, miss = torch.where(near, below, above), torch.where(near, below - log_p, above - log_q)
            step = torch.where(near, miss, -miss) * (tail - self.log_prob(y)).exp()
            y = torch.where(step.isfinite(), (y - step).clamp(low, high), y)
        return y

    # Moments

    def _expect(self, values: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Return the expectation of values(y, log_prob(y))."""
        if self.support.is_discrete:
            return expectation(table(self), values)
        if self.base.atoms:
            raise NotImplementedError(
                f"The moments of {type(self.base).__name__} in a window have no formula, since it has atoms; average over "
                f"law.sample((1000,))."
            )
        return integral(self, self._at, self.low, self.high, values)

    @property
    def mean(self) -> Tensor:
        """The mean; infinite where the window is open to a side on which the base's is."""
        return self._finite_or(self.base.mean, self._expect(lambda y, _: y))

    @property
    def variance(self) -> Tensor:
        """The variance."""
        centre = self._expect(lambda y, _: y).detach()
        square = self._expect(lambda y, _: (y - centre) * (y - centre))
        return self._finite_or(self.base.variance, square)

    def _finite_or(self, moment: Tensor, found: Tensor) -> Tensor:
        """Return what was found, but for a window open to the side on which the base's moment is infinite."""
        open_low, open_high = self.low == -torch.inf, self.high == torch.inf
        wrong = ~moment.isfinite() & (open_low | open_high)
        instead = torch.where(open_low & open_high, moment, torch.inf if moment is self.base.variance else torch.nan)
        instead = torch.where(open_high & ~open_low, torch.inf, torch.where(open_low & ~open_high, -torch.inf, instead))
        return torch.where(wrong, instead, found)

    @property
    def mode(self) -> Tensor:
        """The base's mode, moved into the window, or an end of the window if the density is higher there."""
        with torch.no_grad():
            low, high = (end.expand(self._batch_shape) for end in self._ends())
            middle = torch.minimum(torch.maximum(self.base.mode.to(low.dtype), low), high)
            points = torch.stack(
                [middle, torch.where(low.isfinite(), low, middle), torch.where(high.isfinite(), high, middle)]
            )
            best = self.log_prob(points).argmax(0, keepdim=True)
            return points.gather(0, best).squeeze(0)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, a sum or a numerical integral."""
        return self._expect(lambda _, log_prob: -log_prob)

    # Sampling

    @derived
    def has_enumerate_support(self) -> bool:
        """Whether the window holds finitely many points."""
        return bool(self.support.is_discrete and all(end.isfinite().all() for end in self._ends()))

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return the points of the window along a new first axis.

        Raises:
            NotImplementedError: they are not finitely many, or not the same in all rows.
        """
        if not self.has_enumerate_support:
            raise NotImplementedError("The window does not hold finitely many points.")
        return listed(self, *self._ends(), expand)

    @derived
    def has_rsample(self) -> bool:
        """Whether the law has a density."""
        return self._smooth

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: quantiles at uniform probabilities; points of a lattice are first sought among the base's samples."""
        with torch.no_grad():
            shape = self._extended_shape(sample_shape)
            if self.support.is_discrete:
                base = self.base if self.base.batch_shape == self._batch_shape else self.base.expand(self._batch_shape)
                sample = base.sample(torch.Size(sample_shape)).to(self._like.dtype)
                for _ in range(ROUNDS):
                    outside = ~self.support.within(sample)
                    if not bool(outside.any()):
                        return sample
                    sample = torch.where(outside, base.sample(torch.Size(sample_shape)).to(sample.dtype), sample)
                uniform = torch.rand(shape, dtype=self._like.dtype, device=self._like.device)
                return torch.where(self.support.within(sample), sample, self.icdf(uniform))
            uniform = torch.rand(shape, dtype=self._like.dtype, device=self._like.device)
            return self.icdf(uniform.clamp(min=torch.finfo(uniform.dtype).tiny))

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples with the slopes in all parameters that keep their probability."""
        if not self._smooth:
            raise NotImplementedError(f"Samples of {type(self.base).__name__} in a window have no slopes.")
        return implicit(self, self.sample(sample_shape))


def _less(log_mass: Tensor, log_total: Tensor) -> Tensor:
    """Return the difference, without slopes where there is no mass."""
    return torch.where(log_mass == -torch.inf, -torch.inf, log_mass - log_total)
