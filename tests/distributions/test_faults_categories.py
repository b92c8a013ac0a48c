"""Faults of torch and Pyro that our laws of categories, ordered levels and losses do not have, each beside our value."""

import math

import pyro.distributions
import pytest
import torch
import torch.distributions as td

import likelihoods.distributions as ours
from likelihoods.special import log_ndtr


def test_probabilities_are_not_clamped():
    """Torch clamps probs at eps on the way to logits: a probability of 1e-12 scores as one of 1.2e-7 in float32."""
    p, one = torch.tensor(1e-12), torch.tensor(1.0)
    assert td.Bernoulli(p).log_prob(one) > -17
    assert ours.Bernoulli(probs=p).log_prob(one).item() == pytest.approx(math.log(1e-12), rel=1e-6)
    p = torch.tensor([1e-12, 1.0])
    assert td.Categorical(p).log_prob(torch.tensor(0)) > -17
    assert ours.Categorical(probs=p).log_prob(torch.tensor(0)).item() == pytest.approx(math.log(1e-12), rel=1e-6)


def test_excluded_category_is_impossible():
    """Torch gives a category of probability 0 the log-probability of eps."""
    p = torch.tensor([0.0, 1.0])
    assert torch.isfinite(td.Categorical(p).log_prob(torch.tensor(0)))
    assert ours.Categorical(probs=p).log_prob(torch.tensor(0)) == -math.inf


def test_infinite_logits():
    """Torch's cross-entropy multiplies 0 by an infinite logit."""
    logit, one = torch.tensor(math.inf), torch.tensor(1.0)
    assert td.Bernoulli(logits=logit).log_prob(one).isnan()
    assert ours.Bernoulli(logit).log_prob(one) == 0


def test_half_a_success():
    """Without validation torch scores 1/2 as a soft target."""
    half = torch.tensor(0.5)
    assert td.Bernoulli(logits=torch.tensor(0.0), validate_args=False).log_prob(half) > -1
    assert ours.Bernoulli(0.0).log_prob(half) == -math.inf


def test_index_beyond_the_categories():
    """Without validation torch reads out of bounds (an error on CPU, on CUDA a dead process)."""
    logits, beyond = torch.zeros(3), torch.tensor(3)
    with pytest.raises((RuntimeError, IndexError)):
        td.Categorical(logits=logits, validate_args=False).log_prob(beyond)
    assert ours.Categorical(logits).log_prob(beyond) == -math.inf


def test_fraction_of_an_index():
    """Without validation torch rounds 1.7 down to category 1."""
    logits, value = torch.zeros(3), torch.tensor(1.7)
    assert torch.isfinite(td.Categorical(logits=logits, validate_args=False).log_prob(value))
    assert ours.Categorical(logits).log_prob(value) == -math.inf


def test_log_normal_below_zero():
    """Without validation torch's log-normal is NaN at negative values."""
    value = torch.tensor(-1.0)
    assert td.LogNormal(torch.tensor(0.0), 1.0, validate_args=False).log_prob(value).isnan()
    assert ours.LogNormal(0.0, 1.0).log_prob(value) == -math.inf


def test_ordered_logit_far_from_the_cutpoints():
    """Pyro subtracts sigmoids: at a predictor of 60 the masses of the lower categories are 0, and clamped to eps."""
    cutpoints, value = torch.tensor([-1.0, 0.5, 1.5]), torch.tensor(1)
    want = 0.5 - 60.0 + math.log1p(-math.exp(-1.5))
    assert pyro.distributions.OrderedLogistic(torch.tensor(60.0), cutpoints).log_prob(value) > -20
    assert ours.OrderedLogistic(60.0, cutpoints).log_prob(value).item() == pytest.approx(want, rel=1e-6)


def test_multinomial_of_the_wrong_total():
    """Without validation torch's multinomial scores counts that do not add up to the trials."""
    logits, value = torch.zeros(2), torch.tensor([1.0, 1.0])
    assert torch.isfinite(td.Multinomial(5, logits=logits, validate_args=False).log_prob(value))
    assert ours.Multinomial(5, logits).log_prob(value) == -math.inf


def test_multinomial_of_many_trials():
    """Sixteen million trials in float32: torch's differences of lgamma are off by a nat and more."""
    logits = torch.tensor([0.0, 0.0])
    value = torch.tensor([2.0**23, 2.0**23])
    want = -0.5 * math.log(math.pi * 2.0**23)
    assert abs(td.Multinomial(2**24, logits=logits).log_prob(value).item() - want) > 0.5
    assert ours.Multinomial(2**24, logits).log_prob(value).item() == pytest.approx(want, abs=1e-4)


def test_dirichlet_off_the_simplex():
    """Without validation torch's Dirichlet has a density where the shares do not add up to 1."""
    a, value = torch.tensor([2.0, 2.0]), torch.tensor([0.9, 0.9])
    assert torch.isfinite(td.Dirichlet(a, validate_args=False).log_prob(value))
    assert ours.Dirichlet(a).log_prob(value) == -math.inf


def test_dirichlet_of_high_precision():
    """Concentrations of 1e7 in float32: torch's differences of lgamma are off by nats."""
    a, value = torch.tensor([1e7, 1e7]), torch.tensor([0.5, 0.5])
    want = 0.5 * math.log(2e7 / (0.5 * math.pi))
    assert abs(td.Dirichlet(a).log_prob(value).item() - want) > 0.5
    assert ours.Dirichlet(a).log_prob(value).item() == pytest.approx(want, abs=1e-4)


def test_dirichlet_multinomial_of_high_precision():
    """At concentrations of 1e8 the law is multinomial; in float32 Pyro's log-mass is off by nats."""
    a, value = torch.tensor([1e8, 1e8]), torch.tensor([20.0, 20.0])
    want = ours.Multinomial(40, torch.zeros(2)).log_prob(value).item()
    assert abs(pyro.distributions.DirichletMultinomial(a, 40).log_prob(value).item() - want) > 0.5
    assert ours.DirichletMultinomial(a, 40).log_prob(value).item() == pytest.approx(want, abs=1e-4)


def test_slope_of_log_ndtr():
    """Torch's log Φ has a slope 4 % off at -1000 and 0 at -1e10 in float32; the log-normal's tail uses ours."""
    x = torch.tensor([-1e3, -1e10])
    assert (_slope(torch.special.log_ndtr, x) / -x - 1).abs().min() > 0.03
    torch.testing.assert_close(_slope(log_ndtr, x), -x, rtol=1e-5, atol=0)


def _slope(function, x):
    x = x.clone().requires_grad_()
    return torch.autograd.grad(function(x).sum(), x)[0]
