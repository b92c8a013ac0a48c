"""Faults of torch and Pyro in laws of positive numbers, of proportions and of angles, beside the right values of ours."""

from __future__ import annotations

import math

import mpmath as mp
import pytest
import torch
import torch.distributions as td
from torch.distributions import kl_divergence

from likelihoods.distributions import (
    ContinuousBernoulli,
    Exponential,
    GeneralizedPareto,
    HalfCauchy,
    HalfNormal,
    Kumaraswamy,
    Pareto,
    Tweedie,
    Uniform,
    VonMises,
    Weibull,
)


def double(x: float) -> torch.Tensor:
    return torch.tensor(x, dtype=torch.float64)


def leaf(x: float) -> torch.Tensor:
    return double(x).requires_grad_()


@pytest.mark.parametrize(
    ("ours", "theirs", "parameters", "y"),
    [
        (Exponential, td.Exponential, (2.0,), -1.0),
        (Weibull, td.Weibull, (2.0, 3.0), -1.0),
        (Pareto, td.Pareto, (2.0, 3.0), 1.0),
        (Kumaraswamy, td.Kumaraswamy, (2.0, 3.0), -0.5),
        (ContinuousBernoulli, lambda x, **k: td.ContinuousBernoulli(logits=x, **k), (2.0,), 1.5),
    ],
)
def test_density_outside_the_support(ours, theirs, parameters, y) -> None:
    parameters = [double(x) for x in parameters]
    assert theirs(*parameters, validate_args=False).log_prob(double(y)) != -torch.inf
    assert ours(*parameters, validate_args=False).log_prob(double(y)) == -torch.inf


@pytest.mark.parametrize(
    ("ours", "theirs", "parameters"),
    [
        (Exponential, td.Exponential, (2.0,)),
        (HalfNormal, td.HalfNormal, (2.0,)),
        (HalfCauchy, td.HalfCauchy, (2.0,)),
        (Weibull, td.Weibull, (2.0, 1.0)),
    ],
)
def test_cdf_near_its_lower_end(ours, theirs, parameters) -> None:
    """P(Y <= 1e-20) is 1e-20 times the density; 1 - (1 - p) is 0."""
    parameters, y = [double(x) for x in parameters], double(1e-20)
    law = ours(*parameters)
    assert theirs(*parameters).cdf(y) == 0
    assert law.cdf(y).item() == pytest.approx(1e-20 * law.log_prob(y).exp().item(), rel=1e-13)


def test_generalized_pareto_in_double_precision() -> None:
    with pytest.raises(RuntimeError, match="Double did not match Float"):
        td.GeneralizedPareto(double(0.0), double(1.0), double(0.5)).log_prob(double(1.0))
    want = -3 * math.log(1.5)
    assert GeneralizedPareto(double(0.0), double(1.0), double(0.5)).log_prob(double(1.0)).item() == pytest.approx(want)


def test_generalized_pareto_about_concentration_0() -> None:
    parameters, y = (torch.tensor(0.0), torch.tensor(1.0)), torch.tensor(3.0)
    assert td.GeneralizedPareto(*parameters, torch.tensor(0.5), validate_args=False).log_prob(-y / 2) > -torch.inf
    assert GeneralizedPareto(*parameters, torch.tensor(0.5), validate_args=False).log_prob(-y / 2) == -torch.inf
    for law, right in ((td.GeneralizedPareto, False), (GeneralizedPareto, True)):
        for concentration in (0.0, 1e-9, 1e-7):  # in torch no slope, no slope, rounding errors
            x = torch.tensor(concentration, requires_grad=True)
            slope = torch.autograd.grad(law(*parameters, x).log_prob(y), x)[0].item()
            assert (slope == pytest.approx(3**2 / 2 - 3, rel=1e-5)) == right


def test_half_cauchy_overflows_in_float32() -> None:
    y = torch.tensor(1e20)
    assert td.HalfCauchy(1.0).log_prob(y) == -torch.inf
    assert HalfCauchy(1.0).log_prob(y).item() == pytest.approx(math.log(2 / math.pi) - 40 * math.log(10), rel=1e-7)
    assert td.HalfCauchy(double(1.0)).icdf(double(1e-20)) == 0
    assert HalfCauchy(double(1.0)).icdf(double(1e-20)).item() == pytest.approx(math.pi / 2 * 1e-20, rel=1e-13)


def test_weibull_variance_at_large_concentration() -> None:
    """Two gamma functions near 1 cancel."""
    k, want = double(1e7), math.pi**2 / 6e14
    assert abs(td.Weibull(double(1.0), k).variance.item() / want - 1) > 1e-2
    assert abs(Weibull(double(1.0), k).variance.item() / want - 1) < 1e-6


@pytest.mark.parametrize("concentration", [1.0, 2.5])
def test_weibull_slopes_where_the_hazard_is_beyond_float32(concentration: float) -> None:
    """An infinite hazard has an infinite slope, and 0 times that is NaN; torch's class has NaN for the value, too."""
    for law, right in ((td.Weibull, False), (Weibull, True)):
        free = [torch.tensor(x, requires_grad=True) for x in (1e30, 1e-20, concentration)]
        value = law(free[1], free[2]).log_prob(free[0])
        assert (value.item() == -math.inf) == right
        assert (not any(slope.isnan() for slope in torch.autograd.grad(value, free))) == right


def test_kumaraswamy_mode() -> None:
    """Torch has another formula than the derivative's, and NaN where the density rises towards an end."""
    assert td.Kumaraswamy(double(2.0), double(0.5)).mode.isnan()
    assert Kumaraswamy(double(2.0), double(0.5)).mode == 1
    want = ((2 - 1) / (2 * 5 - 1)) ** (1 / 2)
    assert Kumaraswamy(double(2.0), double(5.0)).mode.item() == pytest.approx(want, rel=1e-14)
    assert td.Kumaraswamy(double(2.0), double(5.0)).mode.item() != pytest.approx(want, rel=1e-2)


def bernoulli_normalizer(logits: float) -> mp.mpf:
    return mp.log(mp.expm1(logits) / logits)


@pytest.mark.parametrize("probs", [0.4989, 0.4985, 0.5012])
def test_continuous_bernoulli_normalizer_in_float32(probs: float) -> None:
    p = torch.tensor(probs)
    logits = mp.log(mp.mpf(p.item())) - mp.log1p(-mp.mpf(p.item()))
    want = float(-bernoulli_normalizer(logits))
    assert td.ContinuousBernoulli(probs=p).log_prob(torch.tensor(0.0)).item() != pytest.approx(want, abs=5e-7)
    assert ContinuousBernoulli(probs=p).log_prob(torch.tensor(0.0)).item() == pytest.approx(want, abs=1.2e-7)


def test_continuous_bernoulli_at_large_logits() -> None:
    eta, y = double(1000.0), double(0.999)
    want = float(1000 * mp.mpf(0.999) - bernoulli_normalizer(mp.mpf(1000)))
    assert td.ContinuousBernoulli(logits=eta).log_prob(y).item() != pytest.approx(want, abs=1)
    assert ContinuousBernoulli(eta).log_prob(y).item() == pytest.approx(want, rel=1e-13)
    assert td.ContinuousBernoulli(logits=eta).mean.item() != pytest.approx(0.999, rel=1e-3)
    assert ContinuousBernoulli(eta).mean.item() == pytest.approx(0.999, rel=1e-13)


@pytest.mark.parametrize(("p", "q"), [(-500.0, 20.0), (20.0, -500.0), (1000.0, -1000.0)])
def test_continuous_bernoulli_kl(p: float, q: float) -> None:
    """PyTorch issue 72525: probabilities are clamped where logits are not."""

    def log_density(y: mp.mpf, logits: float) -> mp.mpf:
        return logits * y - bernoulli_normalizer(mp.mpf(logits))

    with mp.workdps(30):
        cuts = [0, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 1]
        want = float(mp.quad(lambda y: mp.exp(log_density(y, p)) * (log_density(y, p) - log_density(y, q)), cuts))
    theirs = kl_divergence(td.ContinuousBernoulli(logits=double(p)), td.ContinuousBernoulli(logits=double(q)))
    assert abs(theirs.item() - want) > 1
    ours = kl_divergence(ContinuousBernoulli(double(p)), ContinuousBernoulli(double(q)))
    assert ours.item() == pytest.approx(want, rel=1e-12)


def test_continuous_bernoulli_and_uniform_kl() -> None:
    """Torch takes the interval [0, 1] itself for one beyond the support."""
    theirs, uniform = td.ContinuousBernoulli(logits=double(2.0)), td.Uniform(double(0.0), double(1.0))
    assert kl_divergence(theirs, uniform) == kl_divergence(uniform, theirs) == torch.inf
    ours, uniform = ContinuousBernoulli(double(2.0)), Uniform(double(0.0), double(1.0))
    assert kl_divergence(ours, uniform).item() == pytest.approx(-ours.entropy().item(), rel=1e-13)
    assert kl_divergence(uniform, ours).item() == pytest.approx(-ours.log_prob(double(0.5)).item(), rel=1e-13)
    beta = td.Beta(double(2.0), double(3.0))
    assert kl_divergence(beta, td.ContinuousBernoulli(logits=double(80.0))).item() < 1
    want = 80 * 0.6 - math.log(80) - beta.entropy().item()
    assert kl_divergence(beta, ContinuousBernoulli(double(80.0))).item() == pytest.approx(want, rel=1e-12)


def test_folded_kl() -> None:
    """Torch takes the divergence of two folded laws for that of their bases: |N(1, 1)| and |N(-1, 1)| are one law."""

    def folded(loc: float) -> td.TransformedDistribution:
        return td.TransformedDistribution(td.Normal(double(loc), double(1.0)), td.AbsTransform())

    assert kl_divergence(folded(1.0), folded(-1.0)) == 2
    for pair in ((folded(1.0), HalfNormal(double(1.0))), (HalfNormal(double(1.0)), folded(1.0))):
        with pytest.raises(NotImplementedError):
            kl_divergence(*pair)
    for ours, theirs in ((HalfNormal, td.HalfNormal), (HalfCauchy, td.HalfCauchy)):
        s, t = double(1.5), double(0.4)
        want = kl_divergence(theirs(s), theirs(t))  # right, as their bases are symmetric
        for pair in ((ours(s), ours(t)), (ours(s), theirs(t)), (theirs(s), ours(t))):
            torch.testing.assert_close(kl_divergence(*pair), want, rtol=1e-13, atol=0)


def test_missing_kl() -> None:
    s, t = double(1.5), double(0.4)
    for theirs, ours in ((td.Weibull, Weibull), (td.VonMises, VonMises), (td.Kumaraswamy, Kumaraswamy)):
        with pytest.raises(NotImplementedError):
            kl_divergence(theirs(s, t), theirs(t, s))
        assert kl_divergence(ours(s, t), ours(t, s)) > 0


def test_von_mises_normalizer() -> None:
    """A polynomial of seven digits stands for the Bessel function, also in double precision."""
    worst = {}
    for concentration in (0.5, 3.0, 3.74, 3.76, 10.0, 200.0):
        want = float(-mp.log(2 * mp.pi * mp.besseli(0, concentration)) + concentration)
        for law in (td.VonMises, VonMises):
            got = law(double(0.0), double(concentration)).log_prob(double(0.0)).item()
            worst[law] = max(worst.get(law, 0.0), abs(got - want))
    assert worst[td.VonMises] > 1e-7
    assert worst[VonMises] < 1e-14
    large = double(1e10)
    assert td.VonMises(double(0.0), large).log_prob(double(1e-5)).item() != pytest.approx(
        VonMises(double(0.0), large).log_prob(double(1e-5)).item(), abs=1e-7
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_quantiles_of_a_tweedie_law_that_is_seldom_positive(dtype) -> None:
    """Newton's method had begun at the mean, 1, gone astray to 1e154 and crept back by 0.2 % a step."""
    law = Tweedie(torch.tensor(1.0, dtype=dtype), 1000.0, 1.5)
    p = torch.tensor([0.998, 0.999, 1.0 - 1e-6], dtype=dtype)
    found = law.icdf(p)
    assert found[0] == 0
    torch.testing.assert_close(law.log_sf(found[1:]), torch.log1p(-p[1:]), rtol=1e-5, atol=0)
