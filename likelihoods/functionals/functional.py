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
        of_population: the feature of a finite population, from its values ``(n,)`` and probabilities ``(n,)``; further keyword
            arguments are the loss's options. It never looks at the loss.
        of_law: the same feature of a fitted distribution.
        unique: whether every population has one minimiser (a redescending location may have several).
    """

    name: str
    of_population: Callable[..., Tensor]
    of_law: Callable[[Distribution], Tensor]
    unique: bool = True
