"""Inverses of the incomplete gamma and beta functions.

The log of either tail is concave in log x (gamma) and in logit x (beta), so that Newton's iteration converges from
anywhere; the second derivative, which costs nothing, makes it cubic.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from likelihoods.incomplete.beta import LogBeta
from likelihoods.incomplete.gamma import LogGamma

STEPS = 60  # never needed: a bound on the iterations


def _solve(
    u: Tensor,
    log_tail: Tensor,
    lower: Tensor,
    tails: Callable[[Tensor], tuple[Tensor, ...]],
    bend: Callable[[Tensor], Tensor],
) -> Tensor:
    """Return the u at which the tail chosen by ``lower`` has the log-probability ``log_tail``, from a first guess."""
    for _ in range(STEPS):
        below, above, slope_below, slope_above = tails(u)
        gap = torch.where(lower, below, above) - log_tail
        slope = torch.where(lower, slope_below, slope_above)
        newton = gap / slope
        step = newton / (1.0 - 0.5 * newton * (bend(u) - slope)).clamp(min=0.5)
        step = torch.where(step.isfinite(), step, 0.0)
        u = u - step
        if not bool((gap.abs() > 1e-5).any()):  # cubed, it is below rounding
            break
    return u


def gammaincinv(a: Tensor, log_tail: Tensor, lower: Tensor) -> Tensor:
    """Return the float64 x with log P(a, x) = log_tail where ``lower`` holds, log Q(a, x) = log_tail elsewhere; no derivative.

    Each probability is best given as that of the smaller tail.

    >>> gammaincinv(torch.tensor(3.0), torch.tensor(-200.0), torch.tensor(False))
    tensor(210.0107, dtype=torch.float64)
    """
    with torch.no_grad():
        a, log_tail, lower = torch.broadcast_tensors(a.double(), log_tail.double(), lower)
        first = (torch.where(lower, log_tail, torch.log1p(-log_tail.exp())) + torch.lgamma(a + 1.0)) / a  # x^a/Γ(a + 1)
        z = torch.special.ndtri(log_tail.exp().clamp(min=1e-300)) * torch.where(lower, 1.0, -1.0)
        root = 1.0 - 1.0 / (9.0 * a) + z / (3.0 * a.sqrt())  # Wilson and Hilferty (1931)
        u = torch.maximum(first, torch.where(root > 0.0, (a * root * root * root).clamp(min=1e-300).log(), first))
        u = torch.where((a < 1.0) & lower, first, u).clamp(min=-680.0, max=680.0)

        def tails(u: Tensor) -> tuple[Tensor, ...]:
            below, above, _, low, _, high = LogGamma.forward(a, u.exp())
            return below, above, low, high

        root = _solve(u, log_tail, lower, tails, lambda u: a - u.exp()).exp()
        return torch.where(first < -680.0, first.exp(), root)


def betaincinv(a: Tensor, b: Tensor, log_tail: Tensor, lower: Tensor) -> Tensor:
    """Return the float64 logit x with log I_x(a, b) = log_tail where ``lower`` holds, else log I_{1-x}(b, a); no derivative.

    >>> betaincinv(torch.tensor(3.0), torch.tensor(2.0), torch.tensor(-200.0), torch.tensor(True)).sigmoid()
    tensor(7.0202e-30, dtype=torch.float64)
    """
    with torch.no_grad():
        a, b, log_tail, lower = torch.broadcast_tensors(a.double(), b.double(), log_tail.double(), lower)
        a, b = torch.where(lower, a, b), torch.where(lower, b, a)
        z = torch.special.ndtri(log_tail.exp().clamp(min=1e-300))
        u = (a / b).log() + z * torch.sqrt(1.0 / a + 1.0 / b)
        first = log_tail + a.log() + torch.lgamma(a) + torch.lgamma(b) - torch.lgamma(a + b)
        u = torch.maximum(u, (first / a).clamp(max=0.0)).clamp(max=680.0)

        def tails(u: Tensor) -> tuple[Tensor, ...]:
            log_x, log_y = torch.nn.functional.logsigmoid(u), torch.nn.functional.logsigmoid(-u)
            below, above, _, _, low, _, _, high = LogBeta.forward(a, b, u.sigmoid(), (-u).sigmoid(), log_x, log_y)
            return below, above, low, high

        ones = torch.ones_like(lower)
        u = _solve(u, log_tail, ones, tails, lambda u: a * (-u).sigmoid() - b * u.sigmoid())
        return torch.where(lower, u, -u)
