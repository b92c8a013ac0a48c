"""Truncated and rounded laws: the battery's checks, and what the battery does not ask."""

from __future__ import annotations

import itertools
import math

import mpmath as mp
import numpy as np
import pytest
import scipy.stats
import torch

import likelihoods as lk
from likelihoods import distributions as D
from tests.distributions.case import Case
from tests.distributions.checks.density import check_total_mass
from tests.distributions.checks.probability import check_icdf
from tests.distributions.checks.protocol import check_class
from tests.distributions.test_battery import CHECKS, NAMES, load
from tests.distributions.windowed import (
    CASES,
    ClippedNormal,
    ClosedNormal,
    normal_mass,
)
from tests.reference import fits, table


def number(x, dtype=torch.float64):
    return torch.tensor(x, dtype=dtype)


DEAR = ("TruncatedGamma", "WindowedNegativeBinomial", "ZeroTruncatedPoisson")  # quadrature for every mass of a window


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap of functions that torch has no rule for
@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.name, marks=[pytest.mark.slow] * (case.name in DEAR)) for case in CASES]
)
def test_case(case: Case, check) -> None:
    if check is check_class:
        pytest.skip("the checks of docstrings are for families")
    if check in (check_total_mass, check_icdf) and case.family in (ClippedNormal, ClosedNormal):
        pytest.skip(
            "a value that misses its cell by 1e-6 counts as on it, and these look closer at the ends; see below"
        )
    check(case)


@pytest.mark.parametrize("name", NAMES)
def test_every_law_on_the_line_can_stand_in_a_window_or_be_censored_by_one(name):
    case = load(name)
    base = case.family(**{key: number(value) for key, value in case.parameters[0].items()})
    low, middle, high = base.icdf(number([0.2, 0.5, 0.9]))
    low = low - 1.0 if base.support.is_discrete else low  # a window leaves its lower end out
    log_share = (base.cdf(high) - base.cdf(low)).log().item()
    law = D.Truncated(base, low, high)
    assert law.log_prob(middle).item() == pytest.approx(base.log_prob(middle).item() - log_share, abs=1e-9)
    assert law.log_prob(high + 1.0) == -math.inf
    interval = torch.stack([low, high])
    assert D.Censored(base).log_prob(interval).item() == pytest.approx(log_share, abs=1e-9)
    assert D.Censored(base).support.check(interval)


# Truncated


@pytest.mark.parametrize("window", [(-1.0, 2.5), (0.5, math.inf), (-math.inf, -1.0), (3.0, 5.0)])
def test_a_truncated_normal_is_scipys(window):
    law = D.Truncated(D.Normal(number(0.3), 1.7), *window)
    other = scipy.stats.truncnorm((window[0] - 0.3) / 1.7, (window[1] - 0.3) / 1.7, 0.3, 1.7)
    assert law.mean.item() == pytest.approx(other.mean(), rel=1e-10)
    assert law.variance.item() == pytest.approx(other.var(), rel=1e-8)
    if np.isfinite(window).all():  # scipy takes 0·inf of the others
        assert law.entropy().item() == pytest.approx(other.entropy(), rel=1e-8)
    p = np.array([0.0, 1e-6, 0.2, 0.9, 1.0])
    np.testing.assert_allclose(law.icdf(torch.from_numpy(p)).numpy(), other.ppf(p), rtol=1e-9)


def test_a_window_forty_scales_out():
    law = D.Truncated(D.Normal(number(0.0).requires_grad_(), 1.0), low=40.0)
    with mp.workdps(60):
        tail = mp.erfc(40 / mp.sqrt(2)) / 2
        hazard = mp.npdf(40) / tail
        assert law.mean.item() == pytest.approx(float(hazard), rel=1e-12)
        assert law.variance.item() == pytest.approx(float(1 + 40 * hazard - hazard**2), rel=1e-9)
        assert law.log_sf(number(41.0)).item() == pytest.approx(
            float(mp.log(mp.erfc(41 / mp.sqrt(2)) / 2 / tail)), rel=1e-12
        )
    (slope,) = torch.autograd.grad(law.mean, law.base.loc)
    assert slope.item() == pytest.approx(law.variance.item(), rel=1e-7)  # of an exponential family
    sample = law.sample((20_000,))
    assert scipy.stats.kstest(law.cdf(sample).detach().numpy(), "uniform").pvalue > 1e-4
    single = D.Truncated(D.Normal(torch.tensor(0.0).requires_grad_(), 1.0), low=40.0)
    assert single.mean.item() == pytest.approx(40.02497, rel=1e-6)
    assert math.isfinite(torch.autograd.grad(single.log_prob(torch.tensor(40.1)), single.base.loc)[0].item())


def test_infinite_moments_are_said_to_be():
    cauchy = D.Cauchy(number(0.0), 1.0)
    assert D.Truncated(cauchy, low=0.0).mean == math.inf
    assert D.Truncated(cauchy, high=0.0).mean == -math.inf
    assert D.Truncated(cauchy, low=-1.0, high=1.0).mean.item() == pytest.approx(0.0, abs=1e-12)
    # E Y of t(1.5) beyond 0: 2·density(0)·df/(df - 1)
    heavy = D.Truncated(D.StudentT(number(1.5), 0.0, 1.0), low=0.0)
    assert heavy.mean.item() == pytest.approx(2 * scipy.stats.t.pdf(0, 1.5) * 3.0, rel=1e-9)


def test_a_kink_at_the_mode_is_seen():
    law = D.Truncated(D.Laplace(number(0.0), 1.0), low=-1.0, high=3.0)
    total = 2 - math.exp(-1) - math.exp(-3)
    mean = ((1 - 4 * math.exp(-3)) - (1 - 2 * math.exp(-1))) / total
    assert law.mean.item() == pytest.approx(mean, rel=1e-10)


def test_each_row_its_own_window():
    low, high = number([0.0, 1.0, -2.0]), number([1.0, 2.0, math.inf])
    law = D.Truncated(D.Normal(number(0.0), 1.0), low, high)
    want = [math.log(scipy.stats.norm.cdf(b) - scipy.stats.norm.cdf(a)) for a, b in zip(low, high, strict=True)]
    y = number([0.5, 1.5, 5.0])
    np.testing.assert_allclose(law.log_prob(y), scipy.stats.norm.logpdf(y) - want, rtol=1e-12)
    assert law.log_prob(number(1.7)).isfinite().tolist() == [False, True, True]
    assert law.mean.shape == law.sample().shape == (3,)


def test_an_atom_at_the_lower_end_is_left_out():
    base = D.ZeroInflated(D.Exponential(number(1.0)), 0.0)
    law = D.Truncated(base, low=0.0)
    assert law.log_prob(number(0.0)) == -math.inf
    assert law.log_prob(number(1.0)).item() == pytest.approx(-1.0)
    assert D.Truncated(base, low=-1.0).log_prob(number(0.0)).item() == pytest.approx(math.log(0.5))


def test_windows_that_are_refused():
    with pytest.raises(ValueError, match="low=2.0, high=1.0; each low must be less"):
        D.Truncated(D.Normal(0.0, 1.0), 2.0, 1.0)
    with pytest.raises(ValueError, match="no mass there"):
        D.Truncated(D.Gamma(2.0, 1.0), -3.0, -1.0)
    with pytest.raises(TypeError, match="StudentT has no cdf"):
        D.Truncated(torch.distributions.StudentT(3.0), 0.0)
    with pytest.raises(TypeError, match="law of values with shape"):
        D.Truncated(D.Dirichlet(torch.ones(3)), 0.0)
    with pytest.raises(NotImplementedError, match="no slopes"):
        D.Truncated(D.Poisson(1.0), 0.0).rsample()


@pytest.mark.parametrize("name", ["medpar_ztpoisson", "medpar_ztnb2"])
def test_zero_truncated_fits_of_r(name):
    fit, data = fits("r")[name], table("count/medpar")
    estimates = fit["estimates"]
    eta = sum(
        value * (1.0 if key == "(Intercept)" else data[key].to_numpy(float))
        for key, value in estimates.items()
        if key != "log_theta"
    )
    mean = torch.from_numpy(np.exp(eta))
    if name == "medpar_ztpoisson":
        base = D.Poisson(mean)
    else:
        base = D.NegativeBinomial(mean=mean, dispersion=number(math.exp(-estimates["log_theta"])))
    y = torch.from_numpy(data["los"].to_numpy(float, copy=True))
    assert D.Truncated(base, low=0).log_prob(y).sum().item() == pytest.approx(fit["loglik"], abs=1e-6)


# Discretized


@pytest.mark.parametrize("loc", [0.0, 0.37, 5.3, -39.0])
def test_cells_of_every_width_match_mpmath(loc):
    law = D.Normal(number(loc), 1.0)
    for step in (1e-12, 1e-9, 1e-7, 1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 0.1, 1.0, 10.0):
        for y in (0.0, step, round(1 / step) * step, -round(0.5 / step) * step):
            got = D.Discretized(law, step).log_prob(number(y)).item()
            with mp.workdps(60):
                half = mp.mpf(step) / 2
                want = float(mp.log(normal_mass(mp.mpf(y) - half, mp.mpf(y) + half, mp.mpf(loc), mp.mpf(1))))
            assert abs(got - want) <= 1e-12 * max(1.0, abs(want)), (step, y, got, want)


@pytest.mark.parametrize("edges", ["open", "closed"])
def test_ended_lattices_agree_with_the_discretized_logistic(edges):
    logistic = D.Logistic(number([0.3, 7.0]), 0.4)
    law = D.Discretized(logistic, 0.25, -1.0, 2.0, edges)
    other = D.DiscretizedLogistic(number([0.3, 7.0]), 0.4, -1.0, 2.0, 0.25, edges=edges)
    points = law.enumerate_support()
    assert torch.equal(points, other.enumerate_support())
    for name in ("log_prob", "log_cdf", "log_sf"):
        torch.testing.assert_close(getattr(law, name)(points), getattr(other, name)(points), rtol=1e-11, atol=1e-11)
    assert law.log_prob(points).exp().sum(0).tolist() == pytest.approx([1.0, 1.0], abs=1e-12)
    for name in ("mean", "variance", "mode"):
        torch.testing.assert_close(getattr(law, name), getattr(other, name))
    torch.testing.assert_close(law.entropy(), other.entropy())
    assert law.icdf(number([0.0, 0.5, 1.0])[:, None]).tolist() == other.icdf(number([0.0, 0.5, 1.0])[:, None]).tolist()


def test_steps_and_lattices_of_each_row():
    law = D.Discretized(D.Normal(number(0.0), 1.0), number([0.5, 1.0]), offset=number([0.25, 0.0]))
    assert law.log_prob(number([0.75, 1.0])).isfinite().all()
    assert law.log_prob(number([1.0, 0.5])).tolist() == [-math.inf] * 2
    assert law.mean.tolist() == pytest.approx([0.0, 0.0], abs=1e-12)
    assert law.variance.tolist() == pytest.approx([1 + 1 / 48, 1 + 1 / 12], rel=1e-7)  # Sheppard's correction
    with pytest.raises(ValueError, match="must be positive"):
        D.Discretized(D.Normal(0.0, 1.0), 0.0)
    with pytest.raises(ValueError, match="write offset=0.3"):
        D.Discretized(D.Normal(0.0, 1.0), 1.0, low=0.3)
    with pytest.raises(ValueError, match="too many"):
        D.Discretized(D.Normal(0.0, 1.0), 1e-7).entropy()
    assert D.Discretized(D.Cauchy(0.0, 1.0), 1.0).variance == math.inf
    with pytest.raises(NotImplementedError):
        D.Discretized(D.Normal(0.0, 1.0), 1.0).rsample()


# Laws of other packages


def test_another_packages_law_with_a_cdf():
    theirs, ours = torch.distributions.Gamma(number(2.0), 1.5), D.Gamma(number(2.0), 1.5)
    y = number([0.5, 1.0, 2.0])
    for make in (lambda law: D.Truncated(law, 0.2, 3.0), lambda law: D.Discretized(law, 0.5)):
        torch.testing.assert_close(make(theirs).log_prob(y), make(ours).log_prob(y), rtol=1e-5, atol=1e-5)
    pairs = number([[0.5, 0.5], [1.0, math.inf], [-math.inf, 1.0], [-1.0, 1.0]])
    torch.testing.assert_close(
        D.Censored(theirs).log_prob(pairs), D.Censored(ours).log_prob(pairs), rtol=1e-5, atol=1e-5
    )
    assert D.Censored(torch.distributions.Normal(0.0, 1.0)).log_prob(torch.tensor([60.0, torch.inf])) == -math.inf
    assert math.isfinite(D.Truncated(torch.distributions.Normal(number(0.0), 1.0), low=-1.0).mean)
    like = lk.Discretized(lk.Family(torch.distributions.Normal, loc=lk.predicted(), scale=1.0))
    torch.testing.assert_close(
        like.log_prob(torch.zeros(1), torch.zeros(1)), torch.tensor([-0.9599]), atol=1e-4, rtol=0
    )


# Laws of laws of laws

NESTED = {
    "truncated mixture": lambda: D.Truncated(
        D.Mixture(number([0.0, 1.0]), D.Normal(number([-1.0, 2.0]), 0.7)), -2.0, 2.5
    ),
    "mixture of truncated": lambda: D.Mixture(
        number([0.0, 1.0]), D.Truncated(D.Normal(number([-1.0, 2.0]), 0.7), low=-1.5)
    ),
    "rounded truncated": lambda: D.Discretized(D.Truncated(D.Normal(number(0.3), 1.0), -2.0, 2.0), 0.25),
    "truncated rounded": lambda: D.Truncated(D.Discretized(D.Normal(number(0.3), 1.0), 0.25), -1.0, 2.1),
    "truncated truncated": lambda: D.Truncated(D.Truncated(D.Gamma(number(2.0), 1.0), low=0.5), high=4.0),
    "rounded mixture": lambda: D.Discretized(D.Mixture(number([0.0, 1.0]), D.Logistic(number([-1.0, 2.0]), 0.3)), 0.5),
    "mixture of rounded": lambda: D.Mixture(number([0.0, 1.0]), D.Discretized(D.Normal(number([-1.0, 2.0]), 1.0), 0.5)),
    "zero-inflated rounded": lambda: D.ZeroInflated(D.Discretized(D.Gamma(number(3.0), 0.7), 1.0), number(0.2)),
    "zero-inflated truncated": lambda: D.ZeroInflated(D.Truncated(D.Poisson(number(2.0)), 0, 9), number(0.2)),
    "truncated zero-inflated": lambda: D.Truncated(D.ZeroInflated(D.Poisson(number(3.0)), number(0.2)), 0, 6),
    "rounded rounded": lambda: D.Discretized(D.Discretized(D.Normal(number(0.1), 1.0), 0.25), 1.0),
    "clipped zero-inflated": lambda: D.Discretized(
        D.ZeroInflated(D.Exponential(number(0.7)), number(0.2)), 0.5, 0.0, 3.0
    ),
}


@pytest.mark.parametrize("name", NESTED)
def test_nested(name):
    law = NESTED[name]()
    p = number(np.linspace(1e-3, 0.999, 41))
    y = law.icdf(p)
    assert bool((law.cdf(y) >= p - 1e-9).all())
    if law.support.is_discrete:
        low, high = law.icdf(number(1e-17)), law.icdf(number(1 - 1e-16))
        grid = torch.arange(int((high - low) / 0.25) + 1, dtype=torch.float64) * 0.25 + low
        mass = law.log_prob(grid).exp()
        assert mass.sum().item() == pytest.approx(1.0, abs=1e-10)
        torch.testing.assert_close(law.cdf(grid), mass.cumsum(0), rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(
            law.log_mass(grid[0], grid[5:9]).exp(), mass[1:].cumsum(0)[4:8], rtol=1e-9, atol=1e-11
        )
    else:
        low, high = law.icdf(number(1e-15)), law.icdf(number(1 - 1e-15))
        nodes, weights = np.polynomial.legendre.leggauss(60)
        cuts = torch.cat([law.icdf(number([1e-15, 1e-6])), y, law.icdf(number([1 - 1e-6, 1 - 1e-15]))]).numpy()
        total = 0.0
        for a, b in itertools.pairwise(cuts):
            panel = (
                0.5
                * (b - a)
                * (law.log_prob(torch.from_numpy(a + 0.5 * (b - a) * (nodes + 1))).exp().numpy() @ weights)
            )
            assert law.log_mass(number(a), number(b)).exp().item() == pytest.approx(panel, rel=1e-6, abs=1e-12)
            total += panel
        assert total == pytest.approx(1.0, abs=1e-8)
    assert (law.log_cdf(y).exp() + law.log_sf(y).exp() - 1).abs().max() < 1e-9
    with torch.random.fork_rng():
        torch.manual_seed(3)
        sample = law.sample((4000,))
    u = law.cdf(sample) - (
        torch.rand(4000, generator=torch.Generator().manual_seed(1)) * law.log_prob(sample).exp()
        if law.support.is_discrete
        else 0
    )
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-4
