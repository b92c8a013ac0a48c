"""Data of one or several tensors: a mapping or tuple of them, nested in any way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor


def each(x: Any, change: Callable[[Tensor], Tensor]) -> Any:
    """Return the data with each tensor changed; a list becomes a tuple."""
    if isinstance(x, Mapping):
        return {name: each(value, change) for name, value in x.items()}
    if isinstance(x, tuple | list):
        return tuple(each(value, change) for value in x)
    return change(x)


def rows(x: Any) -> int:
    """Return how many data there are.

    Raises:
        ValueError: the tensors disagree.
    """
    if not isinstance(x, Mapping | tuple | list):
        return len(x)
    found = [rows(value) for value in (x.values() if isinstance(x, Mapping) else x)]
    if len(set(found)) != 1:
        raise ValueError(f"The tensors of the data have {found} rows; give each as many.")
    return found[0]
