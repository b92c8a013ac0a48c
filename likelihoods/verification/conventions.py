"""The losses as the field writes them: torch's own call, or the textbook's formula, where no kernel is that already.

A derivation could be wrong in its constant and still be some law's; its value must be the one that people know.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from likelihoods.likelihood import reduce


def _each(formula: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the formula for one target, with a reduction."""

    def reduced(raw: Tensor, target: Tensor, reduction: str, **options: Any) -> Tensor:
        return reduce(formula(raw, target, **options), reduction)

    return reduced


def _hinge(raw: Tensor, target: Tensor, margin: float) -> Tensor:
    return (margin - target * raw.squeeze(-1)).relu()


CONVENTIONS: dict[str, Callable[..., Tensor]] = {
    "hinge": _each(_hinge),
}
