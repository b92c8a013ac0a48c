"""What a PIT says of the law that was fitted: its histogram, and a sentence that reads it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

Floats = np.ndarray[Any, np.dtype[np.float64]]

SURE = 3.0  # standard errors that a departure must have before it is called one
SHIFT, SPREAD, UNEVEN = 0.02, 0.05, 0.1  # and the sizes below which it is small whatever its standard error


@dataclass(frozen=True)
class Histogram:
    """A PIT as a histogram whose heights are 1 where the law is right.

    Attributes:
        edges: ``(bars + 1,)``.
        heights: ``(bars,)``.
        noise: the standard deviation of a height if the law is right.
    """

    edges: Floats
    heights: Floats
    noise: float


def histogram(pit: Floats) -> Histogram:
    """Return the histogram of a PIT ``(rows,)``, with as many bars as its rows can carry.

    >>> histogram(np.linspace(0.0, 1.0, 1000)).heights.round(1).tolist() == [1.0] * 20
    True
    """
    rows = len(pit)
    bars = 20 if rows >= 400 else 10 if rows >= 50 else 5
    counts, edges = np.histogram(pit, bars, (0.0, 1.0))
    return Histogram(edges, counts * (bars / rows), math.sqrt((bars - 1) / rows))


def reading(pit: Floats) -> str:
    """Return one sentence that reads a PIT ``(rows,)``: too narrow, too wide, biased, uneven, or flat.

    A departure is named when it is both surer than three standard errors and large enough to matter: the mean of the PIT
    0.02 from one half, its mean square distance from there 5 % from that of a uniform law, a bar 0.1 from 1.

    >>> reading(np.random.default_rng(0).beta(0.6, 0.6, size=2000))
    'U-shape: targets lie in both tails more often than the law says, so it is too narrow.'
    """
    rows = len(pit)
    shift = float(pit.mean()) - 0.5
    spread = 12 * float(((pit - 0.5) ** 2).mean()) - 1  # 0 for a uniform law, with a variance of 0.8 for one row
    words = []
    if abs(shift) > max(SHIFT, SURE * math.sqrt(1 / 12 / rows)):
        words.append(
            "it rises: targets lie higher than the law says, so predictions are biased low"
            if shift > 0
            else "it falls: targets lie lower than the law says, so predictions are biased high"
        )
    if abs(spread) > max(SPREAD, SURE * math.sqrt(0.8 / rows)):
        words.append(
            "U-shape: targets lie in both tails more often than the law says, so it is too narrow"
            if spread > 0
            else "hump: targets lie in the middle more often than the law says, so it is too wide"
        )
    if not words:
        bars = histogram(pit)
        gaps = bars.heights - 1
        worst = int(np.abs(gaps).argmax())
        surprise = (
            float((gaps**2).sum()) / bars.noise**2 * (1 - 1 / len(gaps))
        )  # a chi-squared, one degree fewer than bars
        freedom = len(gaps) - 1
        if surprise > freedom + SURE * math.sqrt(2 * freedom) and abs(gaps[worst]) > UNEVEN:
            where = f"between {bars.edges[worst]:g} and {bars.edges[worst + 1]:g}"
            words.append(
                f"uneven: centre and spread fit, the shape does not; {where} the bar is {bars.heights[worst]:.2f} instead of 1"
            )
    text = "; and ".join(words) or "flat, as far as chance and these rows let one see: centre, spread and shape fit"
    return text[0].upper() + text[1:] + "."
