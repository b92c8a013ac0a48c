"""Barron's law where it is a law with a name of its own: Cauchy at alpha = 0, hyperbolic at 1, normal at 2."""

import numpy as np
import pytest
import scipy.stats
import torch

from likelihoods.distributions import Barron, Cauchy, Normal, barron_log_normalizer

Y = torch.tensor([-1e9, -40.0, -6.0, -2.5, -1.0, -0.2, 0.0, 1e-9, 0.7, 1.0, 3.0, 9.0, 200.0], dtype=torch.float64)
P = torch.tensor([1e-200, 1e-9, 0.1, 0.5, 0.8, 1 - 1e-9], dtype=torch.float64)
NAMED = {
    0.0: Cauchy(0.0, 2.0**0.5 * torch.ones((), dtype=torch.float64)),
    2.0: Normal(torch.zeros((), dtype=torch.float64)),
}


def law(alpha, dtype=torch.float64):
    return Barron(torch.zeros((), dtype=dtype), 1.0, alpha)


@pytest.mark.parametrize("alpha", NAMED)
def test_named_laws(alpha):
    barron, named = law(alpha), NAMED[alpha]
    for method in ("log_prob", "log_cdf", "log_sf", "cdf"):
        torch.testing.assert_close(getattr(barron, method)(Y), getattr(named, method)(Y), rtol=2e-13, atol=1e-13)
    torch.testing.assert_close(barron.icdf(P), named.icdf(P), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(barron.entropy(), named.entropy(), rtol=1e-13, atol=0)
    torch.testing.assert_close(
        barron.variance, named.variance.nan_to_num(nan=torch.inf, posinf=torch.inf), rtol=1e-12, atol=0
    )


@pytest.mark.parametrize("alpha", NAMED)
def test_named_laws_float32(alpha):
    y = Y.float()
    want = NAMED[alpha].log_prob(y.double())
    slack = torch.finfo(torch.float32).eps * 40 * want.abs().clamp(min=1.0)  # 40: log(1 + z²/b) of the nearest b to 0
    assert ((law(alpha, torch.float32).log_prob(y) - want).abs() <= slack).all()


def test_cauchy_has_no_mean():
    assert law(0.0).mean.isnan()
    assert law(0.0).variance == torch.inf
    assert law(1e-4).variance == torch.inf
    assert law(1.0).mean == 0


def test_hyperbolic_law():
    """Alpha = 1: exp(1 - √(1 + z²)), scipy's generalised hyperbolic law with p = 1, a = 1, b = 0."""
    witness, barron = scipy.stats.genhyperbolic(1.0, 1.0, 0.0), law(1.0)
    y = np.linspace(-8, 8, 21)
    np.testing.assert_allclose(barron.log_prob(torch.tensor(y)), witness.logpdf(y), rtol=1e-12)
    np.testing.assert_allclose(barron.cdf(torch.tensor(y)), witness.cdf(y), rtol=1e-7)
    np.testing.assert_allclose(barron.variance, witness.var(), rtol=1e-10)


@pytest.mark.parametrize("alpha", [0.0, 1e-9, 0.3, 1.0, 1.9, 2.0, 2.0000001, 4.0, 1e3])
def test_every_alpha_has_finite_slopes(alpha):
    shape = torch.tensor(alpha, dtype=torch.float64, requires_grad=True)
    y = Y.clone().requires_grad_()
    barron = Barron(0.0, 1.0, shape)
    y = y.detach()[barron.log_prob(y) > -torch.inf].requires_grad_()
    for method in ("log_prob", "log_cdf", "log_sf"):
        for slope in torch.autograd.grad(getattr(barron, method)(y).sum(), (shape, y)):
            assert torch.isfinite(slope).all()
    assert torch.isfinite(torch.autograd.grad(barron_log_normalizer(shape), shape)[0])


def test_negative_alpha_has_no_density():
    with pytest.raises(ValueError, match="alpha"):
        Barron(0.0, 1.0, -2.0)


@pytest.mark.parametrize("alpha", [0.0, 1.0, 2.0, 6.0])
def test_samples(alpha):
    torch.manual_seed(0)
    draws = law(alpha).sample((20000,))
    assert scipy.stats.kstest(draws.numpy(), lambda y: law(alpha).cdf(torch.tensor(y)).numpy()).pvalue > 1e-3
