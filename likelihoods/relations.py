"""What a named loss is to its likelihood."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from typing import final

from torch import Tensor


class Relation(abc.ABC):
    """Abstract: how a loss follows from the negative log-likelihood of the same prediction."""

    @abc.abstractmethod
    def loss(self, nll: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target, given its negative log-likelihood in nats."""

    @abc.abstractmethod
    def sentence(self) -> str:
        """Return the relation in words and numbers."""


@final
@dataclass(frozen=True)
class Affine(Relation):
    """loss = scale * NLL + offset.

    Attributes:
        scale: a positive number.
        offset: a number, or a function of the target; it never depends on the prediction. A function's docstring is its
            formula.

    >>> Affine(1.0, -0.5).sentence()
    'loss = NLL - 0.5'
    """

    scale: float = 1.0
    offset: float | Callable[[Tensor], Tensor] = 0.0

    def loss(self, nll: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        scaled = nll if self.scale == 1.0 else self.scale * nll
        if callable(self.offset):
            return scaled + self.offset(target)
        return scaled if self.offset == 0.0 else scaled + self.offset

    def sentence(self) -> str:
        """Return the relation in words and numbers."""
        scale = f"{self.scale:.6g}"  # 2 sqrt(1/2)² is 1 but for its last bit
        left = "loss = NLL" if scale == "1" else f"loss = {scale} * NLL"
        if callable(self.offset):
            return f"{left} + b(y), b(y) = {(self.offset.__doc__ or self.offset.__name__).strip()}"
        if self.offset == 0.0:
            return f"{left}, exactly" if self.scale == 1.0 else left
        return f"{left} {'-' if self.offset < 0 else '+'} {abs(self.offset):.6g}"


Exact = Affine()


@final
@dataclass(frozen=True)
class Weighted(Relation):
    """loss = weight(target) * NLL: a power likelihood, whose minimiser is not the law of the data but a tilted one.

    Attributes:
        weight: a function of the target, positive.
        tilted: what it elicits instead of the data's law, in words.
    """

    weight: Callable[[Tensor], Tensor]
    tilted: str

    def loss(self, nll: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        return self.weight(target) * nll

    def sentence(self) -> str:
        """Return the relation in words."""
        return (
            f"loss = w(y) * NLL, w(y) = {(self.weight.__doc__ or self.weight.__name__).strip()}; elicits {self.tilted}"
        )
