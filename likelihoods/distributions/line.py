"""An interval as the image of the real line, on which any density on it can be integrated alike."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.special import LOG_2

REACH = {"real": 700.0, "half": 700.0, "interval": 36.0}  # of the line: exp overflows at 709, and 1 - 1e-16 is 1


class Line:
    """The real line of which a support is the image; made by :meth:`of`."""

    def __init__(self, kind: str, low: float, high: float) -> None:
        self.kind, self.low, self.high, self.reach = kind, low, high, REACH[kind]

    @classmethod
    def of(cls, support: Any) -> Line:
        """Return the line of an interval.

        Raises:
            ValueError: the support is no interval of the line.
        """
        if support is constraints.real or isinstance(support, type(constraints.real)):
            return cls("real", -torch.inf, torch.inf)
        if isinstance(support, constraints.greater_than | constraints.greater_than_eq):
            return cls("half", float(support.lower_bound), torch.inf)
        if isinstance(support, constraints.interval | constraints.half_open_interval):
            return cls("interval", float(support.lower_bound), float(support.upper_bound))
        raise ValueError(
            f"The support {support} is no interval; give constraints.real, constraints.positive, constraints.unit_interval, "
            f"constraints.greater_than(low) or constraints.interval(low, high); for finitely many targets, labels=(...)."
        )

    def inner(self) -> float:
        """Return a point of the support."""
        return {"real": 0.0, "half": self.low + 1.0, "interval": 0.5 * (self.low + self.high)}[self.kind]

    def point(self, line: Tensor) -> tuple[Tensor, Tensor]:
        """Return the image of the line, and the logarithm of its derivative."""
        if self.kind == "real":
            size = line.abs()
            return line.sinh(), size + torch.log1p((-2.0 * size).exp()) - LOG_2
        if self.kind == "half":
            return self.low + line.exp(), line
        width = self.high - self.low
        slope = torch.nn.functional.logsigmoid(line) + torch.nn.functional.logsigmoid(-line)
        return self.low + width * line.sigmoid(), slope + torch.tensor(width, dtype=line.dtype).log()

    def place(self, point: Tensor) -> Tensor:
        """Return where on the line a point is; some number where it is outside the support."""
        if self.kind == "real":
            return point.clamp(-1e300, 1e300).asinh()
        if self.kind == "half":
            return torch.where(point > self.low, point - self.low, 1.0).clamp(1e-300, 1e300).log()
        inside = (point > self.low) & (point < self.high)
        return torch.where(inside, (point - self.low) / (self.high - self.low), 0.5).logit()
