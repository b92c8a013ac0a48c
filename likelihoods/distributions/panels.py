"""Quadrature over a line on which an arbitrary log-density is known by its values alone."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

ORDER = 16  # Clenshaw and Curtis's rule, whose every second node is the rule of half the order
START = 64  # panels before any is halved
LOST = 745.0  # nats below the highest point: exp(-745) is the smallest number of float64
SEEN = 40.0  # nats below the highest point at which a tail that was cut off still matters
FLAT = 0.02  # a tail that falls more slowly, in nats a unit of the line, has no finite mass that could be told
LogDensity = Callable[[Tensor], Tensor]


class Improper(ValueError):
    """exp(-loss) cannot be normalised."""


def rule(order: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the nodes and weights of Clenshaw and Curtis's rule on [0, 1].

    Source: C. W. Clenshaw, A. R. Curtis (1960), doi:10.1007/BF01386223.

    >>> float((rule(4)[0] ** 3) @ rule(4)[1])
    0.25
    """
    angles = np.pi * np.arange(order + 1) / order
    even = np.arange(0, order + 1, 2)
    moments = 2.0 / (1.0 - even.astype(float) ** 2)
    shares = np.where((even == 0) | (even == order), 0.5, 1.0)
    ends = np.where((np.arange(order + 1) % order) == 0, 0.5, 1.0)
    weights = ends * 2.0 / order * (np.cos(np.outer(angles, even)) @ (shares * moments))
    return 0.5 * (1.0 - np.cos(angles)), 0.5 * weights


NODES, WEIGHTS = (torch.from_numpy(each.copy()) for each in rule(ORDER))
HALF = torch.zeros(ORDER + 1, dtype=torch.float64)
HALF[::2] = torch.from_numpy(rule(ORDER // 2)[1].copy())


def extent(log_density: LogDensity, rows: int, reach: float, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return for each row the part of the line, ``(rows,)`` from and to, that holds all mass.

    Args:
        log_density: from points ``(rows, n)`` in float64 to log-densities up to a constant; NaN where it has no value.
        rows: their number.
        reach: no point is farther out.
        device: of the result.

    Raises:
        Improper: the density is 0 everywhere, or a tail has no finite mass.
    """
    line = torch.linspace(-reach, reach, 5601, dtype=torch.float64, device=device)
    height = log_density(line.expand(rows, -1))
    known = ~height.isnan() & (height < torch.inf)
    top = height.where(known, -torch.inf).amax(-1, keepdim=True)
    if not bool(torch.isfinite(top).all()):
        raise Improper("exp(-loss) is 0 or has no value everywhere on the support.")
    step = float(line[1] - line[0])
    ends = []
    for side in (-1, 1):
        outward = height if side == 1 else height.flip(-1)
        clear = known if side == 1 else known.flip(-1)
        peak = outward.where(clear, -torch.inf).argmax(-1)
        index = torch.arange(len(line), device=device).expand(rows, -1)
        broken = ~clear & (index > peak[:, None])  # no value farther out, as inf/inf
        last = torch.where(broken.any(-1), broken.int().argmax(-1) - 1, len(line) - 1)
        seen = (outward >= top - LOST) & clear & (index <= last[:, None])
        end = torch.where(seen, index, 0).amax(-1)
        # the density is high where the numbers end, or overflow: how does it fall?
        cut = (outward.gather(-1, end[:, None])[:, 0] >= top[:, 0] - SEEN) & ((end == last) | (line[end] > 0.4 * reach))
        if bool(cut.any()):
            before = (end - len(line) // 16).clamp(min=0)
            fall = (outward.gather(-1, before[:, None]) - outward.gather(-1, end[:, None]))[:, 0]
            slow = cut & (fall <= FLAT * step * (end - before))
            if bool(slow.any()):
                raise Improper("the integral of exp(-loss) over the target diverges.")
        ends.append(line[(end + 1).clamp(max=len(line) - 1)] * side)
    return ends[0], ends[1]


def split(log_density: LogDensity, low: Tensor, high: Tensor, rounds: int) -> Tensor:
    """Return for each row the edges of panels, ``(rows, n + 1)``, halved where the rule's error is largest.

    Args:
        log_density: as in :func:`extent`.
        low: where the first panel begins, ``(rows,)``.
        high: where the last one ends, ``(rows,)``.
        rounds: how many panels are halved in each row.
    """
    at = torch.linspace(0, 1, START + 1, dtype=torch.float64, device=low.device)
    edges = low[:, None] + (high - low)[:, None] * at
    top = log_density(0.5 * (edges[:, 1:] + edges[:, :-1])).nan_to_num(-torch.inf).amax(-1, keepdim=True)
    top = torch.where(torch.isfinite(top), top, 0.0)
    errors = _errors(log_density, edges[:, :-1], edges[:, 1:], top)
    left, right = edges[:, :-1], edges[:, 1:]
    for _ in range(rounds):
        worst = errors.argmax(-1, keepdim=True)
        a, b = left.gather(-1, worst), right.gather(-1, worst)
        middle = 0.5 * (a + b)
        fresh = _errors(log_density, torch.cat([a, middle], -1), torch.cat([middle, b], -1), top)
        right, left = torch.cat([right.scatter(-1, worst, middle), b], -1), torch.cat([left, middle], -1)
        errors = torch.cat([errors.scatter(-1, worst, fresh[:, :1]), fresh[:, 1:]], -1)
        if rounds > START and float(errors.sum(-1).max()) < 1e-16:
            break
    return torch.cat([left, right.amax(-1, keepdim=True)], -1).sort(-1).values


def nodes(edges: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rule's points ``(..., n, ORDER + 1)`` between edges ``(..., n + 1)``, and the logarithms of their weights."""
    return between(edges[..., :-1], edges[..., 1:])


def between(low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the rule's points ``(..., ORDER + 1)`` from low to high ``(...)``, and the logarithms of their weights."""
    width = (high - low)[..., None]
    return low[..., None] + width * NODES.to(low.device), width.log() + WEIGHTS.log().to(low.device)


def _errors(log_density: LogDensity, low: Tensor, high: Tensor, top: Tensor) -> Tensor:
    points, _ = between(low, high)
    height = log_density(points.flatten(-2)).reshape(points.shape).nan_to_num(-torch.inf, -torch.inf)
    value = (height - top[..., None]).clamp(max=math.log(1e300)).exp()
    # a panel at whose nodes all is 0 may hide a peak; it is halved only once the others are done
    return (high - low) * ((value * (WEIGHTS - HALF).to(low.device)).sum(-1)).abs()
