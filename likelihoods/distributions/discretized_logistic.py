"""The logistic law rounded to a finite lattice."""

from __future__ import annotations

from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, derived, floating, log_indicator, promote, register_kl
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexp

ROUNDING = 8.0  # ulps of the largest level by which a value may miss its level


class Levels(constraints.Constraint):
    """The numbers low, low + step, …, high, up to the rounding of floating point."""

    is_discrete = True

    def __init__(self, low: Tensor, high: Tensor, step: Tensor) -> None:
        self.low, self.high, self.step = low, high, step

    def check(self, value: Tensor) -> Tensor:
        """Return whether each value is a level."""
        index = torch.round((value - self.low) / self.step)
        on_lattice = (value - (self.low + index * self.step)).abs() <= self.slack()
        return on_lattice & (index >= 0) & (index <= torch.round((self.high - self.low) / self.step))

    def slack(self) -> Tensor:
        """Return by how much a value may miss its level."""
        largest = torch.maximum(self.low.abs(), self.high.abs())
        return torch.minimum(ROUNDING * torch.finfo(self.low.dtype).eps * largest, 0.25 * self.step)

    def __repr__(self) -> str:
        return (
            f"the levels {self.low:g}, {self.low + self.step:g}, …, {self.high:g}"
            if self.low.dim() == 0
            else "the levels low, low + step, …, high"
        )


class DiscretizedLogistic(Univariate, TorchDistribution):
    r"""The logistic law rounded to the levels low, low + step, …, high: P(y) = P(y - step/2 < X ≤ y + step/2), X logistic.

    Args:
        loc: location of the logistic law, real.
        scale: its scale, positive.
        low: the lowest level.
        high: the highest level, a whole number of steps above ``low``.
        step: distance between neighbouring levels, positive.
        edges: "open" (the end cells take the tails, as for clipped values) or "closed" (X is known to lie within half a
            step of the levels, and the masses are renormalised).
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: ``edges`` is neither "open" nor "closed", or the levels do not fit (with validation on).

    Source: T. Salimans, A. Karpathy, X. Chen, D. P. Kingma (2017), PixelCNN++, https://arxiv.org/abs/1701.05517.

    >>> DiscretizedLogistic(0.5, 0.1, low=0.0, high=1.0, step=0.25).log_prob(torch.tensor([0.0, 0.5, 0.6]))
    tensor([-3.7732, -0.5895,    -inf])
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "low": constraints.real,
        "high": constraints.real,
        "step": constraints.positive,
    }

    def __init__(
        self,
        loc: Value = 0.0,
        scale: Value = 1.0,
        low: Value = 0.0,
        high: Value = 255.0,
        step: Value = 1.0,
        *,
        edges: str = "open",
        validate_args: bool | None = None,
    ) -> None:
        if edges not in ("open", "closed"):
            raise ValueError(f'DiscretizedLogistic got edges={edges!r}; write edges="open" or edges="closed".')
        self.loc, self.scale, self.low, self.high, self.step = promote(loc, scale, low, high, step)
        self.edges = edges
        self._settle(validate_args)
        if self._validate_args and not torch.compiler.is_compiling():
            steps = (self.high - self.low) / self.step
            if not bool(((steps - steps.round()).abs() <= 1e-3).all() & (steps.round() >= 1).all()):
                raise ValueError(
                    f"DiscretizedLogistic: from low={self.low} to high={self.high} there must be a whole number of steps, at "
                    f"least one, but with step={self.step} there are {steps}."
                )

    def expand(self, batch_shape: Any, _instance: Any = None) -> DiscretizedLogistic:
        """Return the distribution with its parameters expanded to ``batch_shape``."""
        new: DiscretizedLogistic = super().expand(batch_shape, _instance)
        new.edges = self.edges
        return new

    @property
    def support(self) -> Levels:
        """The levels."""
        return Levels(self.low, self.high, self.step)

    @derived
    def has_enumerate_support(self) -> bool:
        """The levels can be listed."""
        return True

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return the levels, ``(K, ...)``.

        Raises:
            NotImplementedError: the batch has laws with different levels.
        """
        low, step, tops = self.low.reshape(-1), self.step.reshape(-1), self._top().reshape(-1)
        if any(bool((x != x[:1]).any()) for x in (low, step, tops)):
            raise NotImplementedError("The laws of the batch have different levels; list those of each one by itself.")
        index = torch.arange(int(tops[0]) + 1, dtype=self.loc.dtype, device=self.loc.device)
        levels = (low[0] + index * step[0]).view(-1, *[1] * len(self._batch_shape))
        return levels.expand(-1, *self._batch_shape) if expand else levels

    # Density

    def _top(self) -> Tensor:
        """Return the number of the highest level."""
        return torch.round((self.high - self.low) / self.step)

    def _cell(self, value: Tensor, down: bool = False) -> Tensor:
        """Return the number of the level nearest to the value (``down``: of the last at or below it)."""
        if down:
            cell = torch.floor((value - self.low + self.support.slack()) / self.step)
        else:
            cell = torch.round((value - self.low) / self.step)
        return torch.minimum(cell.clamp(min=0.0), self._top())

    def _edge(self, cell: Tensor) -> Tensor:
        """Return the upper edge of a cell (-1: the lower edge of the first), in units of the scale from loc."""
        return (self.low + (cell + 0.5) * self.step - self.loc) / self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for a value that is no level."""
        value = floating(value, self.loc)
        return self._log_mass(self._cell(value)) + log_indicator(self.support.check(value) | value.isnan(), self.loc)

    def _log_mass(self, cell: Tensor) -> Tensor:
        """Return log(F(b) - F(a)) as log F(b) + log(1 - F(a)) + log(1 - exp(a - b)): no difference of tails."""
        a, b, top = self._edge(cell - 1.0), self._edge(cell), self._top()
        share = log1mexp(self.step / self.scale)
        if self.edges == "open":
            first, last = cell <= 0, cell >= top
            left = torch.where(first, 0.0, logsigmoid(-a))
            return torch.where(last, 0.0, logsigmoid(b)) + left + torch.where(first | last, 0.0, share)
        low, high = self._edge(-torch.ones_like(top)), self._edge(top)
        whole = log1mexp((top + 1.0) * self.step / self.scale)
        return self._excess(b, high, top - cell) + self._excess(-a, -low, cell) + (share - whole)

    def _excess(self, z: Tensor, end: Tensor, cells: Tensor) -> Tensor:
        """Return log F(z) - log F(end), end - z being that many cells: where both are small, the ratio is exp(z - end)."""
        small = z + end < 0
        gap = logsigmoid(torch.where(small, -z, z)) - logsigmoid(torch.where(small, -end, end))
        return torch.where(small, gap - cells * self.step / self.scale, gap)

    # Distribution function

    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""
        return self.log_cdf(value).exp()

    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value)."""
        cell = self._cell(floating(value, self.loc), down=True)
        edge, top = self._edge(cell), self._top()
        if self.edges == "open":
            inside = logsigmoid(edge)
        else:
            cells = (cell + 1.0) * self.step / self.scale
            whole = (top + 1.0) * self.step / self.scale
            inside = self._excess(edge, self._edge(top), top - cell) + (log1mexp(cells) - log1mexp(whole))
        return self._outside(value, -torch.inf, inside, 0.0)

    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value)."""
        cell = self._cell(floating(value, self.loc), down=True)
        edge, top = self._edge(cell), self._top()
        if self.edges == "open":
            inside = logsigmoid(-edge)
        else:
            cells = (top - cell).clamp(min=1.0) * self.step / self.scale
            whole = (top + 1.0) * self.step / self.scale
            low = self._edge(-torch.ones_like(top))
            inside = self._excess(-edge, -low, cell + 1.0) + (log1mexp(cells) - log1mexp(whole))
        return self._outside(value, 0.0, inside, -torch.inf)

    def _outside(self, value: Tensor, below: float, inside: Tensor, above: float) -> Tensor:
        slack = self.support.slack()
        steps = torch.where(value + slack >= self.high, above, torch.where(value + slack < self.low, below, inside))
        return torch.where(value.isnan(), torch.nan, steps) if value.is_floating_point() else steps

    def icdf(self, value: Tensor) -> Tensor:
        """Return the lowest level whose distribution function reaches the probability ``value``, by bisection."""
        with torch.no_grad():
            top = self._top()
            below, reaching = torch.broadcast_tensors(-torch.ones_like(value), top + torch.zeros_like(self.loc))[:2]
            for _ in range(int(top.max()).bit_length() + 1 if top.numel() else 0):
                middle = torch.floor(0.5 * (below + reaching))
                enough = (middle >= 0) & (self.cdf(self.low + middle * self.step) >= value)
                below, reaching = torch.where(enough, below, middle), torch.where(enough, middle, reaching)
            return torch.where((value >= 0) & (value <= 1), self.low + reaching * self.step, torch.nan)

    # Moments

    def _table(self) -> tuple[Tensor, Tensor]:
        """Return the levels and their log-masses, ``(..., K)``; -inf beyond the highest level of a law."""
        one = self.expand((*self._batch_shape, 1)) if not self._batch_shape else self._unsqueezed()
        count = int(self._top().max()) + 1 if self._top().numel() else 1
        index = torch.arange(count, dtype=self.loc.dtype, device=self.loc.device)
        known = torch.minimum(index, one._top())
        return one.low + known * one.step, torch.where(index == known, one._log_mass(known), -torch.inf)

    def _unsqueezed(self) -> DiscretizedLogistic:
        new = self.expand(self._batch_shape)
        for name in self.arg_constraints:
            new.__dict__[name] = getattr(new, name).unsqueeze(-1)
        return new

    @property
    def mean(self) -> Tensor:
        """The mean, a sum over the levels."""
        levels, log_mass = self._table()
        return (log_mass.exp() * levels).sum(-1)

    @property
    def variance(self) -> Tensor:
        """The variance, a sum over the levels."""
        levels, log_mass = self._table()
        mean = (log_mass.exp() * levels).sum(-1, keepdim=True)
        return (log_mass.exp() * (levels - mean) * (levels - mean)).sum(-1)

    @property
    def mode(self) -> Tensor:
        """The likeliest of the level nearest to loc and the two ends."""
        top = self._full(self._top())
        cells = torch.stack([self._full(self._cell(self.loc)), torch.zeros_like(top), top])
        best = self._log_mass(cells).argmax(0, keepdim=True)
        return self._full(self.low + cells.gather(0, best).squeeze(0) * self.step)

    def entropy(self) -> Tensor:
        """Return the entropy in nats, a sum over the levels."""
        _, log_mass = self._table()
        return -(log_mass.exp() * log_mass.clamp(min=torch.finfo(log_mass.dtype).min)).sum(-1)

    # Sampling

    @torch.no_grad()
    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return samples: the logistic variable, within the edges if they are closed, rounded to a level."""
        u = torch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        low, high = self._edge(-torch.ones_like(self._top())), self._edge(self._top())
        if self.edges == "open":
            low, high = torch.full_like(low, -torch.inf), torch.full_like(high, torch.inf)
        mirrored = low + high < 0  # work in the tail of z beyond low that is the smaller
        low, high = torch.where(mirrored, -high, low), torch.where(mirrored, -low, high)
        far, near = logsigmoid(-high), logsigmoid(-low)
        log_tail = near + torch.log1p((1.0 - u) * torch.expm1(far - near))
        z = log1mexp(-log_tail) - log_tail
        z = torch.where(mirrored, -z, z)
        return self.low + self._cell(self.loc + self.scale * z) * self.step


# Divergences


@register_kl(DiscretizedLogistic, DiscretizedLogistic)
def _kl_discretized_logistic(p: DiscretizedLogistic, q: DiscretizedLogistic) -> Tensor:
    """Return Σ p log(p/q) over the levels of p; infinite where q lacks one."""
    levels, log_p = p._table()
    shape = torch.broadcast_shapes(p.batch_shape, q.batch_shape)
    log_q = q.expand(shape)._unsqueezed().log_prob(levels)
    possible = log_p > -torch.inf
    ratio = torch.where(possible, log_p, 0.0) - torch.where(possible, log_q, 0.0)
    return torch.where(possible, log_p.exp() * ratio, 0.0).sum(-1)
