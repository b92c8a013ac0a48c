"""The divergence of two laws of masses on a lattice, by summing until nothing is left to sum."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions.supports import spacing
from likelihoods.divergences.support import bounds, landmarks, log_prob, support

MOST = 2**22  # points of one law; a sum with more is refused
ROWS = 2**20  # log-masses that are held at a time
LEFT = 1e-13  # mass, and share of the sum, below which a block of the tail counts as nothing
GROWING = 4  # blocks, each about four times as far out, that grow up to the last point: the sum diverges


def enumerate_kl(q: Distribution, p: Distribution) -> Tensor:
    """Return Σ q(y) log(q(y)/p(y)) in nats, with the batch shape and without a gradient.

    The sum goes outwards from the median in blocks that grow in length, until on either side the block adds less than
    1e-13 and holds less than 1e-13 of the mass, or the support ends. It is infinite where a possible value is impossible
    under p, or where the blocks' sums still grow after 2²² points.

    Raises:
        ArithmeticError: after 2²² points something is still left, or the masses do not add up to 1.
    """
    ends = bounds(q)
    assert ends is not None
    found = support(q)
    assert found is not None
    origin, step = (torch.as_tensor(x, dtype=torch.float64, device=ends[0].device) for x in spacing(found))
    low, high = (torch.round((end - origin) / step) for end in ends)
    marks = landmarks(q, torch.tensor((1e-3, 0.5, 0.999), dtype=torch.float64, device=low.device))
    marks = torch.round((marks - origin) / step)
    centre = torch.maximum(torch.minimum(marks[1], high), low)
    reach = int((4.0 * (marks[-1] - marks[0])).max().clamp(8.0, float(MOST))) if marks.numel() else 8

    def block(first: int, last: int) -> tuple[Tensor, Tensor, Tensor]:
        """Return sum and mass over the points first, …, last - 1 counted from the centre, and whether p excludes one."""
        total, mass = torch.zeros_like(centre), torch.zeros_like(centre)
        excluded = torch.zeros_like(centre, dtype=torch.bool)
        rows = max(1, ROWS // max(1, centre.numel()))
        for start in range(first, last, rows):
            index = torch.arange(start, min(start + rows, last), dtype=torch.float64, device=centre.device)
            k = centre + index.view(-1, *[1] * centre.dim())
            there = (k >= low) & (k <= high)
            y = origin + torch.where(there, k, centre) * step
            log_q = torch.where(there, log_prob(q, y), -torch.inf)
            log_p = log_prob(p, y)
            possible = log_q > -torch.inf
            excluded |= (possible & (log_p == -torch.inf)).any(0)
            gone = ~possible | (log_p == -torch.inf)
            weight = log_q.exp()
            total = total + torch.where(gone, 0.0, weight * (log_q - log_p)).sum(0)
            mass = mass + weight.sum(0)
        return total, mass, excluded

    first, last = -reach, reach + 1
    total, mass, infinite = block(first, last)
    size = total.abs()
    growing, before = [torch.zeros_like(total), torch.zeros_like(total)], [total.abs(), total.abs()]
    open_sides, finished = [True, True], [torch.zeros_like(infinite), torch.zeros_like(infinite)]
    while any(open_sides):
        for side in (0, 1):
            if not open_sides[side]:
                continue
            length = last - first
            if length > MOST:
                infinite = infinite | (growing[side] >= GROWING)
                if bool((infinite | finished[side]).all()):
                    open_sides[side] = False
                    continue
                raise ArithmeticError(
                    f"The sum over {type(q).__name__}'s support is not finished after {MOST} points; {_left(mass)} of the "
                    f"mass is left. Estimate it: kl(q, p, samples=100_000)."
                )
            start, stop = (first - length, first) if side == 0 else (last, last + length)
            first, last = min(first, start), max(last, stop)
            part, part_mass, excluded = block(start, stop)
            total, mass, infinite = total + part, mass + part_mass, infinite | excluded
            size = torch.maximum(size, total.abs())
            ended = (centre + start <= low) if side == 0 else (centre + stop > high)
            grows = (part.abs() >= 0.999 * before[side]) & (part > 0) & ~ended
            growing[side], before[side] = torch.where(grows, growing[side] + 1.0, 0.0), part.abs()
            finished[side] = ended | infinite | ((part.abs() <= LEFT * size) & (part_mass <= LEFT))
            open_sides[side] = not bool(finished[side].all())
    if bool((~infinite & ~((mass - 1.0).abs() < 1e-8)).any()):
        raise ArithmeticError(
            f"{type(q).__name__}'s masses add up to {float(mass.reshape(-1)[(mass - 1.0).abs().argmax()]):.6g}, not to 1."
        )
    return torch.where(infinite, torch.inf, total)


def _left(mass: Tensor) -> str:
    return f"{float((1.0 - mass).max()):.2g}" if math.prod(mass.shape) else "nothing"
