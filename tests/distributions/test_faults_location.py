"""Faults of torch and Pyro in the location families, each beside the right value that ours gives."""

from __future__ import annotations

import math

import pyro.distributions
import pytest
import torch
from torch.distributions import kl_divergence

from likelihoods.distributions import Cauchy, Gumbel, Laplace, Logistic, Normal, StudentT, Uniform


def double(x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


STANDARD = (double(0.0), double(1.0))


def test_cauchy_overflows_in_float32() -> None:
    y = torch.tensor(1e20)
    assert torch.distributions.Cauchy(0.0, 1.0).log_prob(y) == -torch.inf
    assert Cauchy(0.0, 1.0).log_prob(y).item() == pytest.approx(-math.log(math.pi) - 40 * math.log(10), rel=1e-7)


@pytest.mark.parametrize(
    ("ours", "theirs", "quantile"),
    [
        (Normal, torch.distributions.Normal, -9.262340089798408),
        (Laplace, torch.distributions.Laplace, math.log(2e-20)),
        (Cauchy, torch.distributions.Cauchy, -1e20 / math.pi),
        (Gumbel, torch.distributions.Gumbel, -math.log(20 * math.log(10))),
    ],
)
def test_quantiles_of_small_probabilities(ours: type, theirs: type, quantile: float) -> None:
    p = double(1e-20)
    assert ours(*STANDARD).icdf(p).item() == pytest.approx(quantile, rel=1e-13)
    assert theirs(*STANDARD).icdf(p).item() != pytest.approx(quantile, rel=1e-2)


@pytest.mark.parametrize(
    ("ours", "theirs", "y", "tail"),
    [
        (Normal, torch.distributions.Normal, -30.0, 4.906713927148187e-198),
        (Cauchy, torch.distributions.Cauchy, -1e20, 1e-20 / math.pi),
        (Laplace, torch.distributions.Laplace, -100.0, 0.5 * math.exp(-100)),
    ],
)
def test_left_tail(ours: type, theirs: type, y: float, tail: float) -> None:
    assert ours(*STANDARD).cdf(double(y)).item() == pytest.approx(tail, rel=1e-12)
    assert theirs(*STANDARD).cdf(double(y)) == 0.0


@pytest.mark.parametrize("theirs", [torch.distributions.Gumbel, pyro.distributions.Logistic])
def test_density_at_minus_infinity(theirs: type) -> None:
    ours = Gumbel if theirs is torch.distributions.Gumbel else Logistic
    y = torch.tensor(-torch.inf)
    assert theirs(0.0, 1.0, validate_args=False).log_prob(y).isnan()
    assert ours(0.0, 1.0).log_prob(y) == -torch.inf


def test_gumbel_cdf_raises_in_its_own_tail() -> None:
    with pytest.raises(ValueError, match="within the support"):
        torch.distributions.Gumbel(*STANDARD).cdf(double(40.0))
    assert Gumbel(*STANDARD).log_sf(double(800.0)) == -800.0


def test_gumbel_divergence_at_a_large_loc() -> None:
    p, q = (torch.tensor(1e6 + 1.0), torch.tensor(1.0)), (torch.tensor(1e6), torch.tensor(1.1))
    exact = kl_divergence(Gumbel(double(1.0), double(1.0)), Gumbel(double(0.0), q[1].double())).item()
    assert kl_divergence(Gumbel(*p), Gumbel(*q)).item() == pytest.approx(exact, rel=1e-6)
    assert abs(kl_divergence(torch.distributions.Gumbel(*p), torch.distributions.Gumbel(*q)).item() - exact) > 0.01


def test_logistic_cdf_has_no_slope_in_the_upper_tail() -> None:
    y = double(40.0).requires_grad_()
    assert torch.autograd.grad(pyro.distributions.Logistic(*STANDARD).cdf(y), y)[0] == 0.0
    assert torch.autograd.grad(Logistic(*STANDARD).cdf(y), y)[0].item() == pytest.approx(math.exp(-40), rel=1e-12)


def test_uniform_denies_its_own_end_and_accepts_nan() -> None:
    values = torch.tensor([1.0, torch.nan])
    theirs, ours = torch.distributions.Uniform(0.0, 1.0, validate_args=False), Uniform(0.0, 1.0)
    assert bool(theirs.support.check(values[0]))
    assert theirs.log_prob(values).tolist() == [-torch.inf, -torch.inf]
    assert ours.log_prob(values)[0] == 0.0
    assert ours.log_prob(values)[1].isnan()
    assert theirs.icdf(torch.tensor(1.5)) == 1.5
    assert ours.icdf(torch.tensor(1.5)).isnan()


def test_uniform_needs_an_interval() -> None:
    with pytest.raises(ValueError, match="low < high"):
        Uniform(1.0, 1.0, validate_args=True)


def test_logistic_normal_divergence() -> None:
    p, q = Logistic(double(0.3), double(0.8)), Normal(double(-0.2), double(1.7))
    y = torch.linspace(-60.0, 60.0, 200_001, dtype=torch.float64)
    density = p.log_prob(y)
    exact = torch.trapezoid(density.exp() * (density - q.log_prob(y)), y)
    assert kl_divergence(p, q).item() == pytest.approx(exact.item(), rel=1e-10)


def test_gumbel_is_still_a_transformed_distribution() -> None:
    law, p = Gumbel(double(0.5), double([2.0, 3.0])), double([0.3, 0.9])
    y = p
    for transform in law.transforms:
        y = transform(y)
    assert torch.allclose(y, law.icdf(p))
    assert law.base_dist.batch_shape == law.batch_shape


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_student_t_quantiles_beyond_the_largest_number(dtype) -> None:
    df = torch.tensor(1e-3, dtype=dtype, requires_grad=True)
    found = StudentT(df, 0.0, 1.0).icdf(torch.tensor([0.1, 0.5, 0.999], dtype=dtype))  # 1e699 in size, and 0
    assert found.tolist() == [-torch.inf, 0.0, torch.inf]
    assert abs(torch.autograd.grad(found[1], df)[0].item()) < 1e-100
