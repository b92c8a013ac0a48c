"""Timing two things fairly: interleaved rounds, the median of each, their ratio."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One comparison.

    Attributes:
        what: what was done.
        peer: what it is compared with.
        size: rows.
        ours: median seconds a call.
        theirs: median seconds a call of the peer.
    """

    what: str
    peer: str
    size: int
    ours: float
    theirs: float

    @property
    def ratio(self) -> float:
        """How many times faster than the peer; below 1 is slower."""
        return self.theirs / self.ours


def compare(
    what: str, peer: str, size: int, ours: Callable[[], object], theirs: Callable[[], object], rounds: int = 15
) -> Row:
    """Time both in turn, each round long enough to be measured, and return the medians."""
    for call in (ours, theirs):
        call()
    began = time.perf_counter()
    ours()
    theirs()
    repeats = max(1, int(0.01 / max(time.perf_counter() - began, 1e-9)))
    seconds: tuple[list[float], list[float]] = ([], [])
    for turn in range(rounds):
        for which, call in ((0, ours), (1, theirs)) if turn % 2 else ((1, theirs), (0, ours)):
            began = time.process_time()  # of this process alone: the machine may be busy with others
            for _ in range(repeats):
                call()
            seconds[which].append((time.process_time() - began) / repeats)
    return Row(what, peer, size, statistics.median(seconds[0]), statistics.median(seconds[1]))
