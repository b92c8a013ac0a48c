"""Laws of laws: the battery's checks on the cases of combined.py, nested laws, and what each law refuses."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from likelihoods import distributions as D
from likelihoods.distributions import Mixture
from likelihoods.distributions.univariate import Univariate
from tests.distributions.case import Case
from tests.distributions.checks.moments import check_entropy
from tests.distributions.checks.protocol import check_class, check_parameters_are_validated
from tests.distributions.combined import CASES
from tests.distributions.test_battery import CHECKS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, check) -> None:
    """Docstrings are checked for families, parameters are validated by the parts, and a mixture has no closed entropy."""
    unclaimed = [check_class, check_parameters_are_validated] + [check_entropy] * issubclass(case.family, Mixture)
    if check in unclaimed:
        pytest.skip("not claimed")
    check(case)


# Laws nested in laws


def _numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


NESTED = {
    "mixture of zero-inflated counts": lambda: D.Mixture(
        _numbers(0.2, -0.3), D.ZeroInflated(D.Poisson(_numbers(1.0, 8.0)), _numbers(0.5, -1.0))
    ),
    "mixture of mixtures": lambda: D.Mixture(
        _numbers(0.0, 1.0), D.Mixture(torch.zeros(2, 2).double(), D.Normal(_numbers(0, 3, 5, 9).reshape(2, 2), 0.7))
    ),
    "rounded mixture": lambda: D.Discretized(D.Mixture(_numbers(0.0, 1.0), D.Normal(_numbers(0.0, 4.0), 1.5)), 0.5),
    "mixture of rounded laws": lambda: D.Mixture(
        _numbers(0.0, 1.0), D.Discretized(D.Normal(_numbers(0.0, 4.0), 1.5), 0.5)
    ),
    "zero-inflated mixture of counts": lambda: D.ZeroInflated(
        D.Mixture(_numbers(0.0, 1.0), D.NegativeBinomial(mean=_numbers(1.0, 9.0), dispersion=_numbers(0.5, 0.1))),
        _numbers(-1.0)[0],
    ),
    "hurdle over rounded amounts": lambda: D.Hurdle(
        D.Discretized(D.Gamma(_numbers(2.0)[0], _numbers(0.4)[0]), 1.0), _numbers(-1.0)[0]
    ),
    "hurdle over a zero-inflated law": lambda: D.Hurdle(
        D.ZeroInflated(D.Poisson(_numbers(3.0)[0]), _numbers(0.5)[0]), _numbers(-1.0)[0]
    ),
    "hurdle over Tweedie": lambda: D.Hurdle(D.Tweedie(_numbers(2.0)[0], _numbers(1.0)[0], 1.5), _numbers(-1.0)[0]),
    "mixture of two-part models": lambda: D.Mixture(
        _numbers(0.0, 0.5), D.Hurdle(D.LogNormal(_numbers(0.0, 1.0), 0.5), _numbers(0.0, -2.0))
    ),
    "mixture on two intervals": lambda: D.Mixture(
        _numbers(0.0, 1.0), D.Uniform(_numbers(0.0, 2.0), _numbers(1.0, 2.5))
    ),
    "truncated mixture": lambda: D.Truncated(
        D.Mixture(_numbers(0.0, 1.0), D.Normal(_numbers(0.0, 4.0), 1.5)), -1.0, 6.0
    ),
    "mixture of truncated laws": lambda: D.Mixture(
        _numbers(0.0, 1.0), D.Truncated(D.Normal(_numbers(0.0, 4.0), 1.5), -1.0, 6.0)
    ),
}


def _lattice(law: Univariate) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the points of a law of counts (halves among them) and their masses."""
    low, high = law.icdf(_numbers(1e-13)), law.icdf(_numbers(1.0 - 1e-14))
    y = torch.arange(float(low) - 3.0, float(high) + 10.0, 0.5, dtype=torch.float64)
    return y, law.log_prob(y).exp()


def _panels(law: Univariate) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return edges, and in each panel between them the nodes of a quadrature and the masses at them."""
    tail = torch.logspace(-13, -2, 45, dtype=torch.float64)
    chances = torch.cat([tail, torch.linspace(0.011, 0.989, 100, dtype=torch.float64), 1.0 - tail])
    edges = torch.cat([law.icdf(chances), _numbers(*law.atoms), _numbers(0.0, 1.0, 2.0, 2.5)]).unique()
    edges = edges[(edges >= law.icdf(_numbers(1e-13))) & (edges <= law.icdf(_numbers(1.0 - 1e-14)))]
    nodes, weights = (torch.from_numpy(x) for x in np.polynomial.legendre.leggauss(40))
    half = 0.5 * edges.diff()[:, None]
    y = edges[:-1, None] + half * (1.0 + nodes)
    return edges, y, law.log_prob(y).exp() * half * weights


@pytest.mark.parametrize("name", NESTED)
def test_nested_laws_have_mass_one_and_agree_with_their_cdf_and_their_samples(name: str) -> None:
    law = NESTED[name]()
    if law.support.is_discrete:
        y, mass = _lattice(law)
        below, above = law.log_tails(y)
        assert torch.allclose(below.exp(), mass.cumsum(0), rtol=1e-10, atol=1e-12)
        assert torch.allclose(above.exp(), mass.flip(0).cumsum(0).flip(0) - mass, rtol=1e-6, atol=1e-12)
        inside = law.log_mass(y[:-3], y[3:]).exp()
        assert torch.allclose(inside, mass[1:-2] + mass[2:-1] + mass[3:], rtol=1e-9, atol=1e-14)
        chosen = y[mass > 1e-12]
        assert torch.equal(law.icdf(law.cdf(chosen)), chosen)
    else:
        edges, nodes, masses = _panels(law)
        atoms = _numbers(*law.atoms)
        at = law.log_prob(atoms).exp()
        held = ((atoms > edges[:-1, None]) & (atoms <= edges[1:, None])) * at
        panels = masses.sum(-1) + held.sum(-1)
        assert torch.allclose(law.log_mass(edges[:-1], edges[1:]).exp(), panels, rtol=1e-8, atol=1e-13)
        start = law.cdf(edges[0])
        assert float(start) == pytest.approx(float((at * (atoms <= edges[0])).sum()), abs=2e-13)
        assert torch.allclose(law.cdf(edges[1:]), start + panels.cumsum(0), rtol=1e-9, atol=1e-12)
        assert torch.allclose(law.log_sf(edges).exp(), 1.0 - law.cdf(edges), rtol=1e-9, atol=1e-15)
        y, mass = torch.cat([nodes.flatten(), atoms]), torch.cat([masses.flatten(), at])
    assert float(mass.sum()) == pytest.approx(1.0, abs=1e-9)
    mean = float((mass * y).sum())
    assert float(law.mean) == pytest.approx(mean, rel=1e-7, abs=1e-8)
    assert float(law.variance) == pytest.approx(float((mass * (y - mean) ** 2).sum()), rel=1e-6)
    with torch.random.fork_rng():
        torch.manual_seed(7)
        sample = law.sample((20_000,))
        shift = torch.rand(20_000, dtype=torch.float64)
    u = law.cdf(sample)
    jumps = torch.isin(sample, _numbers(*law.atoms)) | law.support.is_discrete
    u = u - torch.where(jumps, shift * law.log_prob(sample).exp(), 0.0)
    assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-4
    best = float(law.log_prob(y[~torch.isin(y, _numbers(*law.atoms))]).max())
    assert float(law.log_prob(law.mode.double())) >= best - 1e-8


def test_a_component_that_is_left_out_counts_for_nothing() -> None:
    logits = torch.tensor([0.3, -torch.inf, 1.0], dtype=torch.float64, requires_grad=True)
    loc = torch.tensor([0.0, 1e6, 2.0], dtype=torch.float64, requires_grad=True)
    law = D.Mixture(logits, D.StudentT(torch.tensor([3.0, 0.5, 3.0]).double(), loc, 1.0))
    less = D.Mixture(logits[[0, 2]].detach(), D.StudentT(3.0, loc[[0, 2]].detach(), 1.0))
    y, p = torch.linspace(-30, 30, 13).double(), torch.linspace(0.001, 0.999, 9).double()
    for got, want in [
        (law.mean, less.mean),
        (law.variance, less.variance),
        (law.mode, less.mode),
        (law.icdf(p), less.icdf(p)),
    ]:
        assert torch.allclose(got, want, rtol=1e-12)
    for method in ("log_prob", "log_cdf", "log_sf", "cdf"):
        got = getattr(law, method)(y)
        assert torch.allclose(got, getattr(less, method)(y), rtol=1e-12)
        for slope in torch.autograd.grad(got.sum(), (logits, loc)):
            assert bool(slope.isfinite().all())
            assert float(slope[1]) == 0.0
    assert bool((law.sample((1000,)) < 1e5).all())
    with pytest.raises(ValueError, match="logits"):
        D.Mixture(_numbers(torch.nan, 0.0), D.Normal(_numbers(0.0, 1.0), 1.0), validate_args=True)
    with pytest.raises(NotImplementedError, match="no closed form"):
        law.entropy()


def test_a_hurdle_samples_counts_that_are_nearly_always_nought() -> None:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for rate in (1e-3, 1e-9, 1e-20):
            y = D.Hurdle(D.Poisson(_numbers(rate)), 0.0).sample((4000,))
            share = float((y == 0).double().mean())
            assert abs(share - 0.5) < 0.04
            assert set(y.unique().tolist()) <= {0.0, 1.0, 2.0}


def test_laws_of_laws_have_finite_supports_where_their_parts_do() -> None:
    base = D.Binomial(3, torch.tensor([[0.2, 1.0]]))
    for law in (D.Mixture(torch.zeros(2), base), D.ZeroInflated(base, 0.0), D.Hurdle(base, 0.0)):
        points = law.enumerate_support()
        assert points.shape == (4, *law.batch_shape)
        assert torch.allclose(law.log_prob(points).exp().sum(0), torch.ones(law.batch_shape))
