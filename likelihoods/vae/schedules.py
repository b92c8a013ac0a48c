"""Weights of the KL term that change while a model is trained, and know for how long it is trained."""

from __future__ import annotations

import abc
import math
from typing import final


class Schedule(abc.ABC):
    """Abstract: a weight for each of ``total`` training steps; beyond them it stays what it was at the end.

    Attributes:
        total: how many steps training takes.
        least: the smallest weight that is ever given.
    """

    total: int
    least: float

    @abc.abstractmethod
    def __call__(self, step: int) -> float:
        """Return the weight at a step, counted from 0."""


@final
class WarmUp(Schedule):
    """A weight that rises (or falls) in a straight line and then stays.

    Args:
        steps: how many steps it takes to reach ``end``.
        total: how many steps training takes, all epochs together.
        start: the weight at step 0.
        end: the weight from step ``steps`` on.

    Raises:
        ValueError: ``end`` would not be reached, so that another objective would be trained than the one that is named.

    Source: S. R. Bowman et al. (2016), https://arxiv.org/abs/1511.06349

    >>> beta = WarmUp(10, total=100)
    >>> beta(0), beta(5), beta(50)
    (0.0, 0.5, 1.0)
    """

    def __init__(self, steps: int, *, total: int, start: float = 0.0, end: float = 1.0) -> None:
        _check_weights(start, end)
        if not 0 < steps < total:
            raise ValueError(
                f"A warm-up of {steps} steps in a training of total={total} never reaches its end, {end:g}. Both are numbers of "
                f"steps (not of epochs), epochs · batches: give 0 < steps < total."
            )
        self.steps, self.total, self.start, self.end, self.least = steps, total, start, end, min(start, end)

    def __call__(self, step: int) -> float:
        """Return the weight at a step."""
        return self.start + (self.end - self.start) * min(1.0, step / self.steps)

    def __repr__(self) -> str:
        return f"WarmUp({self.steps}, total={self.total}, start={self.start}, end={self.end})"


@final
class Cyclical(Schedule):
    """A weight that rises from ``start`` to ``end`` several times; in each cycle it rises for a share, then stays.

    Args:
        cycles: how many there are.
        total: how many steps training takes, all epochs together.
        share: of a cycle in which it rises, in (0, 1).
        start: the weight at the beginning of each cycle.
        end: the weight at the end of each.

    Raises:
        ValueError: a cycle has fewer than two steps, or the share is not inside (0, 1).

    Source: H. Fu et al. (2019), https://arxiv.org/abs/1903.10145

    >>> beta = Cyclical(2, total=20)
    >>> [beta(step) for step in (0, 1, 5, 9, 10, 19, 30)]
    [0.0, 0.2, 1.0, 1.0, 0.0, 1.0, 1.0]
    """

    def __init__(self, cycles: int, *, total: int, share: float = 0.5, start: float = 0.0, end: float = 1.0) -> None:
        _check_weights(start, end)
        if cycles < 1 or total < 2 * cycles or not 0.0 < share < 1.0:
            raise ValueError(
                f"Cyclical got cycles={cycles}, total={total}, share={share}; give at least two steps a cycle, and the share of "
                f"a cycle in which the weight rises, such as 0.5."
            )
        self.cycles, self.total, self.share, self.start, self.end = cycles, total, share, start, end
        self.least = min(start, end)

    def __call__(self, step: int) -> float:
        """Return the weight at a step."""
        if step >= self.total:
            return self.end
        place = (step * self.cycles % self.total) / self.total
        return self.start + (self.end - self.start) * min(1.0, place / self.share)

    def __repr__(self) -> str:
        return f"Cyclical({self.cycles}, total={self.total}, share={self.share}, start={self.start}, end={self.end})"


def weight_at(weight: float | Schedule, step: int | None) -> float:
    """Return a weight at a step.

    Raises:
        TypeError: it is a schedule, and no step is given.
    """
    if not isinstance(weight, Schedule):
        return weight
    if step is None:
        raise TypeError(f"The weight is {weight!r}, which must know the training step: objective(vae, x, step=step).")
    return weight(step)


def least(weight: float | Schedule) -> float:
    """Return the smallest weight that is ever given."""
    return weight.least if isinstance(weight, Schedule) else weight


def check_weight(name: str, weight: float | Schedule) -> float | Schedule:
    """Return a weight, or raise ValueError where it is negative or not finite."""
    if not isinstance(weight, Schedule) and not (math.isfinite(weight) and weight >= 0.0):
        raise ValueError(
            f"{name}={weight}; a weight is a finite number from 0 up, or a schedule such as lk.vae.WarmUp."
        )
    return weight


def _check_weights(start: float, end: float) -> None:
    check_weight("start", start)
    check_weight("end", end)
