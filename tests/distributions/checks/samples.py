"""Checks of sample and rsample: the law of the draws, and their slopes in the parameters."""

from __future__ import annotations

import numpy as np
import pyro.distributions.testing.gof
import scipy.stats
import torch

from tests.distributions.case import Case
from tests.distributions.rows import build, evaluate, fixed, is_discrete, require, tensors

SLOPES = 4_000
UNLIKELY = 1e-4  # a fixed seed: either it passes for ever or the sampler is wrong


def _draw(case: Case, setting: dict, dtype: torch.dtype = torch.float64) -> tuple[object, torch.Tensor]:
    law = build(case, setting, dtype)
    with torch.random.fork_rng():
        torch.manual_seed(20240)
        return law, law.sample((case.draws,))


def check_samples(case: Case) -> None:
    """Samples follow the cdf: their probability transform, made continuous at atoms and counts, is uniform."""
    for setting in case.parameters:
        for dtype in (torch.float64, torch.float32):
            law, y = _draw(case, setting, dtype)
            kind = y.dtype == dtype or (is_discrete(case) and y.dtype == torch.int64)  # as torch's Categorical
            require(
                y.shape == (case.draws,) and kind and not y.requires_grad, f"{case.name}.sample: {y.dtype}, {y.shape}"
            )
            y = y.to(dtype)
            lp = law.log_prob(y)
            require(
                bool((lp > -torch.inf).all()), f"{case.name}{setting}: a sample in {dtype} lies outside the support"
            )
            u = law.cdf(y).double()
            jumps = is_discrete(case) or torch.isin(y, torch.tensor(case.atoms, dtype=dtype))
            shift = torch.rand(case.draws, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
            u = u - torch.where(torch.as_tensor(jumps), shift * lp.double().exp(), 0.0)
            chance = scipy.stats.kstest(u.numpy(), "uniform").pvalue
            require(chance > UNLIKELY, f"{case.name}{setting}: samples in {dtype} leave the cdf, p = {chance:.2g}")
            scores = torch.special.ndtri(u.clamp(1e-9, 1.0 - 1e-9))  # a wrong scale shows in their variance
            for name, error in (
                ("mean", scores.mean() * case.draws**0.5),
                ("spread", (scores.var() - 1) * (case.draws / 2) ** 0.5),
            ):
                wrong = f"{case.name}{setting}: the {name} of samples in {dtype} is off by {float(error):.1f} standard errors"
                require(float(error.abs()) < 5.0, wrong)


def check_goodness_of_fit(case: Case) -> None:
    """Samples follow the density: Pyro's goodness of fit, for counts a chi-square test on the masses."""
    if case.atoms:
        return
    for setting in case.parameters:
        law, y = _draw(case, setting)
        y = y.double()
        if is_discrete(case):
            chance = _chi_square(case, law, y.numpy())
        else:
            chance = pyro.distributions.testing.gof.auto_goodness_of_fit(y, law.log_prob(y).exp())
        require(chance > UNLIKELY, f"{case.name}{setting}: samples leave the density, p = {chance:.2g}")


def _chi_square(case: Case, law: object, y: np.ndarray) -> float:
    values, counts = np.unique(y, return_counts=True)
    often = counts >= 10
    expected = case.draws * law.log_prob(torch.from_numpy(values[often])).exp().numpy()
    seen = counts[often]
    rest = case.draws - expected.sum()
    if rest > 5:
        expected, seen = np.append(expected, rest), np.append(seen, case.draws - seen.sum())
    if len(seen) < 2:
        return 1.0
    statistic = ((seen - expected) ** 2 / expected).sum()
    return float(scipy.stats.chi2.sf(statistic, len(seen) - 1))


def check_rsample(case: Case) -> None:
    """The slope of a sample in each parameter is, for given y, -(slope of cdf) / density on average."""
    if not case.family.has_rsample:
        return
    for setting in case.parameters:
        parameters = {k: v.expand(SLOPES, *v.shape[1:]).clone() for k, v in tensors([setting], torch.float64).items()}
        free = {k: v.requires_grad_() for k, v in parameters.items() if k not in fixed(case)}
        law = case.family(**parameters)
        with torch.random.fork_rng():
            torch.manual_seed(20241)
            y = law.rsample()
        require(y.requires_grad, f"{case.name}.rsample has no slope")
        found = torch.autograd.grad(y.sum(), list(free.values()), allow_unused=True)
        y = y.detach()
        low, high = evaluate(case, [(setting, 0.1), (setting, 0.9)], "icdf")
        weight = 1 / torch.cosh((y - 0.5 * (low + high)) / (high - low))  # a bounded test function's slope
        cdf = torch.autograd.grad(law.cdf(y).sum(), list(free.values()), allow_unused=True)
        density = law.log_prob(y).detach().exp()
        for name, slope, change in zip(free, found, cdf, strict=True):
            got = torch.zeros_like(parameters[name]) if slope is None else slope
            want = torch.zeros_like(parameters[name]) if change is None else -change
            weighted = weight.reshape(-1, *(1,) * (got.dim() - 1))
            scale = weighted * want / density.reshape(weighted.shape)
            gap = weighted * got - scale
            keep = torch.isfinite(gap)  # a sample beyond the digits of cdf says nothing
            require(
                bool(keep.double().mean() > 0.99), f"{case.name}{setting}: slopes of rsample in {name} are not finite"
            )
            gap, scale = torch.where(keep, gap, 0.0), torch.where(keep, scale, 0.0)
            error = gap.mean(0).abs()
            limit = 5 * gap.std(0) / SLOPES**0.5 + 1e-6 * scale.abs().mean(0) + 1e-12
            right = bool((error <= limit).all())
            require(right, f"{case.name}{setting}: slope of rsample in {name} is off by {error}, allowed {limit}")
