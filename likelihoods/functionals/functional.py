"""A feature of a law, computed from a population and from a fitted law."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.distributions import Distribution


@dataclass(frozen=True)
class Functional:
    """A feature of a law, computed in two ways that have nothing in common.

    Attributes:
        name: the field's word for it.
        of_population: the feature of a finite population, from its values ``(n, *event)`` and probabilities ``(n,)``; further
            keyword arguments are the loss's options. It never looks at the loss.
        of_law: the same feature of a fitted distribution. Both are None for the law itself, where no simpler feature is
            right for every population: ``verify`` then takes its population from a law of the family, and wants it back.
        unique: whether every population has one minimiser (a redescending location may have several).
    """

    name: str
    of_population: Callable[..., Tensor] | None = None
    of_law: Callable[[Distribution], Tensor] | None = None
    unique: bool = True


THE_LAW = Functional("the law within its family")
