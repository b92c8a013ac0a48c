"""What kind of number the target is, and the lattice on which it was recorded."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

KINDS = ("real", "positive", "unit interval", "count", "binary", "category")
TIES = 0.05  # share of rows that repeat an earlier value, above which the target is taken as rounded


@dataclass(frozen=True)
class Target:
    """A target described.

    Attributes:
        name: its name.
        kind: one of ``real, positive, unit interval, count, binary, category``.
        values: ``(rows,)``: float64, or the index of the class (int64) for a category.
        classes: the labels, in the order of the index, for a category or a binary target given as labels.
        step: the spacing of the lattice on which it was recorded, or None where it is scored as a density.
        words: the description, one sentence each.
    """

    name: str
    kind: str
    values: Tensor
    classes: tuple[str, ...]
    step: float | None
    words: tuple[str, ...]

    @property
    def measure(self) -> str:
        """The base measure of every score of this target, in words."""
        if self.step is None:
            return "log-density, in nats a row, for the target in its own unit"
        return f"log-mass, in nats a row, of the observed value among multiples of {self.step:g}"


def describe(y: Any, kind: str | None = None, name: str = "y") -> Target:
    """Describe a target.

    Args:
        y: ``(rows,)``: numbers, booleans or labels.
        kind: what it is, where the values alone would mislead (``"category"`` for classes coded as numbers).
        name: its name, for the sentences.

    Raises:
        ValueError: an unknown kind, a missing or infinite value, no rows, a single class, or values that the kind excludes.

    >>> target = describe([0, 0, 3, 1, 2, 2])
    >>> target.kind, target.step
    ('count', 1.0)
    """
    if kind is not None and kind not in KINDS:
        raise ValueError(f"kind={kind!r}; it must be one of {', '.join(KINDS)}.")
    series = pd.Series(np.asarray(y.detach().cpu() if isinstance(y, Tensor) else y).reshape(-1))
    if series.empty:
        raise ValueError(f"The target {name!r} has no rows.")
    missing = series.isna()
    if missing.any():
        raise ValueError(
            f"The target {name!r} is missing in {missing.sum()} rows, first in row {int(missing.argmax())}: drop them."
        )
    numeric = series.dtype == bool or pd.api.types.is_numeric_dtype(series)
    if kind == "category" or not numeric:
        return _labels(series, name, kind)
    values = series.to_numpy(dtype=np.float64, copy=True)
    if not np.isfinite(values).all():
        raise ValueError(
            f"The target {name!r} is infinite in row {int(np.argmin(np.isfinite(values)))}; drop it or cap it."
        )
    kind = kind or _kind(values)
    _allowed(values, kind, name)
    distinct = len(np.unique(values))
    lattice = 1.0 if kind == "binary" else _lattice(values)
    tied = 1 - distinct / len(values)
    rounded = lattice is not None and (kind in ("count", "binary") or tied > TIES)
    words = [
        f"{name} is {_article(kind)}: {len(values):,} rows from {values.min():g} to {values.max():g}, {distinct:,} distinct."
    ]
    zeros = int((values == 0).sum())
    if zeros and kind not in ("binary",):
        words.append(f"{zeros:,} rows ({zeros / len(values):.0%}) are exactly 0.")
    if rounded:
        words.append(
            f"Its values are multiples of {lattice:g}, so each candidate is scored by the mass that it gives to the cell of the "
            f"observed value; a density counts as rounded to that lattice."
        )
    elif tied > TIES:
        words.append(
            f"{tied:.0%} of the rows repeat a value, on no lattice: a density can grow without bound on such data."
        )
    elif distinct > 1:
        words.append(f"The smallest spacing of its values is {np.diff(np.unique(values)).min():.3g}.")
    if distinct == 1:
        words.append("It is constant: no loss can be chosen on it.")
    return Target(name, kind, torch.from_numpy(values), (), lattice if rounded else None, tuple(words))


def _labels(series: pd.Series[Any], name: str, kind: str | None) -> Target:
    if kind not in (None, "category", "binary"):
        raise ValueError(
            f"The target {name!r} holds text such as {series.iloc[0]!r}, which is no {kind}: give numbers."
        )
    codes, labels = pd.factorize(series, sort=True)
    classes = tuple(str(label) for label in labels)
    if len(classes) == 1:
        raise ValueError(f"The target {name!r} has the single class {classes[0]!r}; there is nothing to tell apart.")
    if kind == "binary" and len(classes) > 2:
        raise ValueError(f"The target {name!r} has {len(classes)} classes, so it is not binary: leave kind out.")
    counts = np.bincount(codes)
    if len(classes) == 2 and kind != "category":
        words = (
            f"{name} is binary: {len(series):,} rows, {classes[1]!r} counts as 1 ({counts[1] / len(series):.0%}) and "
            f"{classes[0]!r} as 0.",
        )
        return Target(name, "binary", torch.from_numpy(codes.astype(np.float64)), classes, 1.0, words)
    shares = ", ".join(f"{label} {count / len(series):.0%}" for label, count in zip(classes[:6], counts, strict=False))
    more = f" and {len(classes) - 6} more" if len(classes) > 6 else ""
    words = (f"{name} is a category with {len(classes)} classes: {len(series):,} rows, {shares}{more}.",)
    return Target(name, "category", torch.from_numpy(codes.astype(np.int64)), classes, 1.0, words)


def _kind(values: np.ndarray[Any, np.dtype[np.float64]]) -> str:
    whole = bool((values == np.round(values)).all())
    if whole and set(np.unique(values)) <= {0.0, 1.0}:
        return "binary"
    if whole and values.min() >= 0:
        return "count"
    if values.min() >= 0 and values.max() <= 1:
        return "unit interval"
    return "positive" if values.min() > 0 else "real"


def _allowed(values: np.ndarray[Any, np.dtype[np.float64]], kind: str, name: str) -> None:
    fits = {
        "real": np.full(len(values), True),
        "positive": values > 0,
        "unit interval": (values >= 0) & (values <= 1),
        "count": (values >= 0) & (values == np.round(values)),
        "binary": (values == 0) | (values == 1),
    }[kind]
    if not fits.all():
        row = int(np.argmin(fits))
        raise ValueError(
            f"kind={kind!r}, but {(~fits).sum()} values of {name!r} are not: the first, in row {row}, is {values[row]:g}. "
            f"Leave kind out, or mend these rows."
        )


def _lattice(values: np.ndarray[Any, np.dtype[np.float64]]) -> float | None:
    """Return the largest step of which every value is a multiple: decimal, or the smallest spacing (as for 1/12)."""
    for decimals in range(7):
        scaled = values * 10.0**decimals
        whole = np.round(scaled)
        if np.abs(whole).max() < 2**53 and (np.abs(scaled - whole) <= 1e-9 * np.maximum(1.0, np.abs(scaled))).all():
            common = math.gcd(*(int(v) for v in np.unique(np.abs(whole))))
            return max(common, 1) / 10.0**decimals
    distinct = np.unique(values)
    step = float(np.diff(distinct).min()) if len(distinct) > 1 else 0.0
    if step > 0 and np.abs(values).max() / step < 1e6:
        cells = values / step
        if (np.abs(cells - np.round(cells)) <= 1e-6 * np.maximum(1.0, np.abs(cells))).all():
            return step
    return None


def _article(kind: str) -> str:
    words = {"real": "real", "positive": "positive", "unit interval": "in [0, 1]", "binary": "binary, 0 or 1"}
    return words.get(kind, f"a {kind}")
