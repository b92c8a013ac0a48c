"""Integrals of a function of one number, on all pieces at once."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

PIECE = 1e-12  # what the quadrature of one piece is asked for
PIECES = 10_000  # that are halved at a time, at most
DEPTH, SHORTEST = 60, 1e-13  # halvings of a piece, and the part of it that is halved no more
FINE, COARSE = (np.polynomial.legendre.leggauss(count) for count in (15, 10))  # two rules, on (-1, 1)
NODES = 0.5 + 0.5 * torch.from_numpy(np.concatenate([FINE[0], COARSE[0]]))


def integral(
    density: Callable[[Tensor], Tensor], breaks: Tensor, *, tails: bool = True, accuracy: float = PIECE
) -> tuple[Tensor, Tensor, Tensor]:
    """Return the integral of each piece between the breaks, and (``tails``) of the two beyond them, its points and shares.

    Gauss's rules of 15 and 10 points, on all pieces at once; those on which they differ are halved.

    Raises:
        ValueError: pieces are left on which they differ.
    """
    unit = breaks[-1] - breaks[0]
    unit = torch.where(unit > 0, unit, 1.0)  # of the tails, whose variable is u in x = end + unit u / (1 - u)
    count = len(breaks) - 1 + 2 * tails
    piece, start, stop = torch.arange(count), torch.zeros(count).double(), torch.ones(count).double()
    total = torch.zeros(count, dtype=torch.float64)
    low = torch.cat([breaks[:1], breaks[:-1], breaks[-1:]]) if tails else breaks[:-1]
    width = torch.cat([-unit[None], breaks.diff(), unit[None]]) if tails else breaks.diff()
    outer = torch.zeros(count, dtype=torch.bool)
    outer[[0, -1]] = tails
    points: list[Tensor] = []
    shares: list[Tensor] = []
    for _ in range(DEPTH):
        u = start[:, None] + (stop - start)[:, None] * NODES
        left = 1 - u
        where = torch.where(outer[piece, None], u / left, u)
        slope = torch.where(outer[piece, None], left**-2, 1.0) * (width[piece] * (stop - start)).abs()[:, None]
        height = density(low[piece, None] + width[piece, None] * where) * slope
        height = height.nan_to_num(posinf=torch.inf).where(slope.isfinite(), 0.0)
        fine, coarse = (
            0.5 * (part @ torch.from_numpy(rule[1]))
            for part, rule in zip(height.split([len(FINE[0]), len(COARSE[0])], -1), (FINE, COARSE), strict=True)
        )
        done = ((fine - coarse).abs() <= accuracy) | (stop - start < SHORTEST)
        total = total.index_add(0, piece[done], fine[done])
        fifteen = slice(len(FINE[0]))
        points.append((low[piece, None] + width[piece, None] * where)[done][:, fifteen].flatten())
        shares.append((0.5 * height[:, fifteen] * torch.from_numpy(FINE[1]))[done].flatten())
        if bool(done.all()):
            return total, torch.cat(points), torch.cat(shares)
        piece, start, stop = piece[~done], start[~done], stop[~done]
        if len(piece) > PIECES:
            break
        middle = 0.5 * (start + stop)
        piece, start, stop = piece.repeat(2), torch.cat([start, middle]), torch.cat([middle, stop])
    raise ValueError(
        f"The integral of the density is not finished: {len(piece)} pieces are left after so many halvings."
    )
