"""The contract of a one-dimensional law: both tails in log space, and what follows from them and the density."""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions.base import Parametric, Value
from likelihoods.special import LOG_2, log1mexp

NARROW = 1e-5  # relative mass below which a cell is scored by its density alone
GAUSS = 4320.0  # two-point Gauss errs by (relative mass)⁴/4320, a difference of tails by eps/(relative mass)
NODE = 0.5 / 3.0**0.5  # its nodes, in widths from the middle
ROUNDING = 8.0  # ulps by which a tail may be off
STEEP = 1e6  # nats across a cell, far beyond any that the Gauss rule is taken for


class Univariate(Parametric, abc.ABC):
    """A law on the line: beside what torch asks for, both tails in log space, the mode, and the mass of an interval."""

    @property
    def atoms(self) -> tuple[float, ...]:
        """The points with positive mass in an otherwise continuous law.

        There ``log_prob`` is a log-mass, elsewhere a log-density: the base measure is Lebesgue's and one unit at each atom.
        """
        return ()

    @abc.abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats; -inf outside the support."""

    @abc.abstractmethod
    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""

    @abc.abstractmethod
    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value), accurate in the left tail."""

    @abc.abstractmethod
    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value), accurate in the right tail."""

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``; a family to which both come at the price of one says so here."""
        return self.log_cdf(value), self.log_sf(value)

    @abc.abstractmethod
    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest y of the support with P(Y <= y) >= value."""

    @property
    @abc.abstractmethod
    def mode(self) -> Tensor:
        """Return a point of highest density, with the batch shape."""

    @abc.abstractmethod
    def entropy(self) -> Tensor:
        """Return the entropy in nats (differential for a density), with the batch shape."""

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high), accurate in both tails and for cells much narrower than the scale.

        ``low`` may be -inf and ``high`` inf; ``low >= high`` gives -inf. Shapes broadcast with the batch.

        >>> from likelihoods.distributions import Normal
        >>> Normal(0.0, 1.0).log_mass(torch.tensor(9.0), torch.tensor(torch.inf))
        tensor(-43.6281)
        """
        low, high = torch.broadcast_tensors(low, high)
        open_low, open_high = low == -torch.inf, high == torch.inf
        # an open end asks for nothing: the other end stands for it, where the law is asked for its tails anyway
        low, high = torch.where(open_low, torch.where(open_high, 1.0, high), low), torch.where(open_high, low, high)
        high = torch.where(open_low & open_high, low, high)
        some = ~(high <= low)
        width = torch.where(some, high - low, 1.0)
        mass, below_high, above_low = self._log_interval(low, high, low + 0.5 * width, width, False)
        mass = torch.where(some, mass, -torch.inf)
        mass = torch.where(open_low, below_high, torch.where(open_high, above_low, mass))
        return torch.where(open_low & open_high, 0.0, mass)

    def log_cell(self, centre: Tensor, width: Value) -> Tensor:
        """Return log P(centre - width/2 < Y <= centre + width/2) for finite centres and positive widths.

        The same as ``log_mass`` of the cell's ends, but a narrow cell keeps its width, which its rounded ends have lost.

        >>> from likelihoods.distributions import Normal
        >>> Normal(0.0, 1.0).log_cell(torch.tensor(1.0), 1e-9)
        tensor(-22.1422)
        """
        half = 0.5 * width
        return self._log_interval(centre - half, centre + half, centre, width, True)[0]

    def _log_interval(
        self, low: Tensor, high: Tensor, centre: Tensor, width: Value, cell: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log-mass between two finite ends, log_cdf of the higher one and log_sf of the lower one.

        The mass is the difference of tails, which in a narrow cell loses digits, or there the two-point Gauss rule for the
        density: of the two errors the smaller is taken. Where the rule does not agree with the difference as far as that
        has digits (at a kink of the density), the difference stays, down to cells where it would be nought.
        """
        (below_low, above_low), (below_high, above_high) = self.log_tails(low), self.log_tails(high)
        right = below_low > -LOG_2  # both ends beyond the median: the upper tail keeps the digits
        near, far = torch.where(right, above_low, below_high), torch.where(right, above_high, below_low)
        gap = near - torch.where(near == -torch.inf, 0.0, far)
        some = gap > 0
        difference = near + log1mexp(torch.where(some, gap, 1.0))
        if self.support.is_discrete:
            difference = torch.where(some, difference, torch.where(gap.isnan(), torch.nan, -torch.inf))
            return difference, below_high, above_low
        eps = torch.finfo(gap.dtype).eps
        limit = (GAUSS * eps) ** 0.2
        offset: Value
        if cell:  # its centre is the value that was seen
            middle, offset = centre.expand_as(gap), NODE * width
        else:  # where it is wide the law is asked for its density at an end that its tails were asked for
            narrow = ~(gap >= limit)
            middle = torch.where(narrow, centre, torch.where(right, low, high))
            offset = torch.where(narrow, NODE * width, 0.0)
        left, other = self.log_prob(torch.stack([middle - offset, middle + offset])).unbind()
        slope = (left - other).nan_to_num(0.0, 0.0, 0.0).clamp(-STEEP, STEEP)  # its fourth power must not overflow
        square = slope * slope
        log_width = width.log() if isinstance(width, Tensor) else math.log(width)
        rule = 0.5 * (left + other) + (square * (0.125 - square / 192.0) + log_width)
        with torch.no_grad():
            ulps = near.abs().add_(1.0)  # of the tails, and of the ends of a cell
            if cell:
                ulps += centre.abs() * gap / width
            same = (rule - difference).abs_().mul_(gap) <= ulps.mul_(ROUNDING * eps)
            ruled = ~(gap >= NARROW) | (same & (gap < limit))
        return torch.where(ruled, rule, difference), below_high, above_low


def implicit(law: Univariate, root: Tensor, probability: Tensor | None = None) -> Tensor:
    """Return a point of a continuous law with its derivatives in the parameters at fixed cdf, and in that probability.

    They follow from cdf(root) = probability, written for the logarithm of the smaller tail: -(d cdf/dθ) / density in the
    parameters and 1 / density in the probability. Without the probability the point is taken for a sample.
    """
    if not torch.is_grad_enabled():
        return root
    root = root.detach()
    below, above = law.log_tails(root)
    lower = below < above
    tail = torch.where(lower, below, above)
    slope = torch.exp(law.log_prob(root) - tail).detach() * torch.where(lower, 1.0, -1.0)
    moved = tail - tail.detach()
    if probability is not None:
        change = torch.where(lower, 1.0, -1.0) * (probability - probability.detach())
        moved = moved - change * torch.exp(-tail.detach())
    return root - moved / slope


def on_line(law: Distribution, wanted: str) -> Univariate:
    """Return the law as one on the line.

    Raises:
        NotImplementedError: it cannot give distribution functions; the message names what was wanted of it.
    """
    if isinstance(law, Univariate) and not law.event_shape:
        return law
    raise NotImplementedError(
        f"{type(law).__name__} has no distribution functions that keep their digits in the tails, and {wanted} needs them; "
        f"use a law of likelihoods.distributions on the line."
    )
