"""What the laws of counts share: the support 0, 1, …, end, right-continuous distribution functions, and sums over it."""

from __future__ import annotations

import abc
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import floating, log_indicator, quantile
from likelihoods.distributions.tails import BothTails
from likelihoods.incomplete import binary_deviance

LARGEST = 2.0**100  # counts beyond this are taken for infinite
LIST = 2**14  # sums over a support that is wider are thinned out where the masses vary slowly
DEPTH = 40.0  # exp(-DEPTH) of the mass is left out of a sum over an infinite support


def chances(law: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return a law's chances of success and of failure and their logarithms, each with all its digits.

    At a chance of nought the logarithm is -inf, and has no slope.
    """
    if "probs" not in law.__dict__:
        return law.logits.sigmoid(), (-law.logits).sigmoid(), logsigmoid(law.logits), logsigmoid(-law.logits)
    p = law.probs
    never, always = p == 0.0, p == 1.0
    log_p = torch.where(never, -torch.inf, torch.where(never, 1.0, p).log())
    log_q = torch.where(always, -torch.inf, torch.log1p(-torch.where(always, 0.0, p)))
    return p, 1.0 - p, log_p, log_q


def kl_of_trial(p: Any, q: Any) -> Tensor:
    """Return the divergence between the Bernoulli laws of two laws' trials."""
    (a, b, *_), (x, y, log_x, log_y) = chances(p), chances(q)
    same = ((a == 0.0) & (x == 0.0)) | ((b == 0.0) & (y == 0.0))
    a, b = a.clamp(min=1e-30), b.clamp(min=1e-30)  # 0·log 0 = 0
    return torch.where(same, 0.0, binary_deviance(a, b, x, y, log_x, log_y, a * y - b * x))


class Count(BothTails, abc.ABC):
    """A law on 0, 1, …, end. A count has no derivative: log-masses and distribution functions are step functions of it."""

    end: ClassVar[Any] = torch.inf

    @abc.abstractmethod
    def _log_mass(self, count: Tensor) -> Tensor:
        """Return the log-mass at a count that is known to lie in the support."""

    def _textbook(self, value: Tensor) -> Tensor | None:
        """Return the log-mass as it is written, where a look at value and parameters says that this will do."""
        return None

    @abc.abstractmethod
    def _log_tails(self, count: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= count) and log P(Y > count) at a count that is known to lie in the support."""

    def _inside(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return the value as a floating-point tensor, and the nearest count in the support below it."""
        value = floating(torch.as_tensor(value), getattr(self, self._stored()[0][0]))
        count = value.clamp(0.0, LARGEST).floor()
        return value, count if isinstance(self.end, float) else torch.minimum(count, self.end)

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf where the value is no count in the support."""
        value = floating(torch.as_tensor(value), self._like)
        if not value.requires_grad and (quick := self._textbook(value)) is not None:
            return quick
        value, count = self._inside(value)
        return self._log_mass(count) + log_indicator(count == value, count)

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return log P(Y <= value) and log P(Y > value)."""
        value, count = self._inside(value)
        below, above = self._log_tails(count)
        low, high = value < 0.0, value >= self.end
        below = torch.where(low, -torch.inf, torch.where(high, 0.0, below))
        return below, torch.where(low, 0.0, torch.where(high, -torch.inf, above))

    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest count y with P(Y <= y) >= value: a search outwards from the normal quantile, then bisection."""
        with torch.no_grad():
            p = value.expand(torch.broadcast_shapes(value.shape, self._batch_shape))
            proper = (p > 0.0) & (p < 1.0)
            p = torch.where(proper, p, 0.5)
            end = torch.as_tensor(self.end, dtype=p.dtype, device=p.device).expand(p.shape)
            normal = self.mean + self.stddev * torch.special.ndtri(p)
            guess = torch.minimum(
                normal.to(p.dtype).nan_to_num(nan=0.0).round().clamp(0.0, LARGEST), (end - 1.0).clamp(min=0.0)
            )
            good = self.cdf(guess) >= p
            low, high = torch.where(good, -1.0, guess), torch.where(good, guess, end)  # cdf(low) < p <= cdf(high)
            step, searched = torch.ones_like(guess), torch.where(good, guess <= 0.0, guess + 1.0 >= end)
            while not bool(searched.all()):
                trial = torch.where(good, guess - step, guess + step)
                searched |= (trial < 0.0) | (trial >= end) | (trial >= LARGEST)
                enough = self.cdf(trial.clamp(0.0, LARGEST)) >= p
                high = torch.where(~searched & enough, torch.minimum(high, trial), high)
                low = torch.where(~searched & ~enough, torch.maximum(low, trial), low)
                searched |= enough != good
                step = 2.0 * step
            while True:
                middle = torch.floor(low + 0.5 * (high.clamp(max=LARGEST) - low))
                between = (middle > low) & (middle < high)
                if not bool(between.any()):
                    break
                enough = self.cdf(middle.clamp(min=0.0)) >= p
                high, low = torch.where(between & enough, middle, high), torch.where(between & ~enough, middle, low)
            return quantile(torch.where(value.isnan(), torch.nan, high), value, 0.0, end)

    # Moments

    def _support_sum(self, *terms: Any) -> Tensor:
        """Return the expectation of the sum of ``terms(count)`` under the law, with the batch shape.

        Narrow supports are summed whole. In a wide one the counts below 2¹⁰ are summed, and beyond, where the masses
        vary slowly, the trapezoidal rule in u, count = mode + width·sinh(u), stands for the sum; a smooth weight joins
        the two.
        """
        mean, spread = self.mean.detach(), self.stddev.detach()
        reach = DEPTH * (spread + spread * spread / mean.clamp(min=1e-30) + 1.0)
        low = (mean - reach).clamp(min=0.0).floor()
        high = (mean + reach).clamp(max=LARGEST).ceil()
        high = high if isinstance(self.end, float) else torch.minimum(high, self.end.expand_as(high))
        wide = int((high - low).max()) if low.numel() else 0
        if wide <= LIST:
            steps = torch.arange(wide + 1, dtype=mean.dtype, device=mean.device)
            counts, weights = low + steps.view(-1, *[1] * low.dim()), torch.ones_like(low)
        else:
            first = torch.arange(1024, dtype=mean.dtype, device=mean.device).view(-1, *[1] * low.dim())
            mode = self.mode.detach()
            width = torch.where(mode > 0.0, spread, spread.clamp(max=100.0))
            stretch = torch.asinh(torch.maximum(high - mode, mode) / width)
            u = torch.linspace(-1.0, 1.0, 2001, dtype=mean.dtype, device=mean.device).view(-1, *[1] * low.dim())
            far = mode + width * torch.sinh(u * stretch)
            rate = width * torch.cosh(u * stretch) * stretch * 1e-3
            inside = (far >= 1.0) & (far <= self.end)
            far = torch.where(inside, far, 1.0)
            counts = torch.cat([first.expand(-1, *low.shape), far])
            share = 0.5 * torch.erfc(4.0 * torch.log(counts.clamp(min=1.0) / 400.0))
            weights = torch.cat([share[:1024], torch.where(inside, rate * (1.0 - share[1024:]), 0.0)])
        known = counts if isinstance(self.end, float) else torch.minimum(counts, self.end)
        log_mass = self._log_mass(known)
        mass = log_mass.exp() * weights * (known == counts)
        total = sum(torch.where(mass > 0.0, term(known, log_mass), 0.0) for term in terms)
        found: Tensor = (mass * total).sum(0)
        return found

    def entropy(self) -> Tensor:
        """Return the entropy in nats, a sum over the support."""
        return self._support_sum(lambda _, log_mass: -log_mass)
