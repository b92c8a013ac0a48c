"""Quantiles and expectiles against formulas written out, scipy, and what they elicit."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats
from torch import nn

import likelihoods as lk

TAUS = (0.05, 0.5, 0.9)
REDUCTIONS = {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}


def points(shape, dtype, levels=()):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(*shape, *levels, generator=generator, dtype=torch.float64).to(dtype)
    return raw, 2 * torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def pinball(f, y, tau):
    return torch.where(y >= f, tau * (y - f), (1 - tau) * (f - y))


def asymmetric_square(f, y, tau):
    return torch.where(y >= f, tau * (f - y) ** 2, (1 - tau) * (f - y) ** 2)


FORMULAS = [("quantile", "levels", pinball), ("expectile", "level", asymmetric_square)]


@pytest.mark.parametrize("shape", [(7,), (3, 5)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize(("name", "option", "formula"), FORMULAS, ids=["quantile", "expectile"])
def test_value_and_gradient(name, option, formula, tau, reduction, dtype, shape):
    raw, target = points(shape, dtype)
    loss = lk.loss(name, reduction=reduction, **{option: tau})
    exact = raw.double().requires_grad_()
    wanted = REDUCTIONS[reduction](formula(exact, target.double(), tau))
    (slope,) = torch.autograd.grad(wanted.sum(), exact)
    digits = 1e-12 if dtype == torch.float64 else 3e-6
    for path in (loss, loss.derived):
        for leaf in (raw.clone(), raw.unsqueeze(-1).clone()):  # with width 1 the last axis may be left out
            leaf.requires_grad_()
            value = path(leaf, target)
            (gradient,) = torch.autograd.grad(value.sum(), leaf)
            assert value.dtype == dtype
            torch.testing.assert_close(value.detach().double(), wanted.detach(), rtol=digits, atol=digits)
            torch.testing.assert_close(gradient.double().reshape(shape), slope, rtol=digits, atol=digits)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_far_out(tau, dtype):
    distance = 1e15
    f, y = torch.tensor([distance, 0.0], dtype=dtype), torch.tensor([0.0, distance], dtype=dtype)
    wanted = torch.tensor([(1 - tau) * distance, tau * distance], dtype=dtype)
    loss = lk.loss("quantile", levels=tau, reduction="none")
    for path in (loss, loss.derived):
        torch.testing.assert_close(path(f, y), wanted, rtol=4 * torch.finfo(dtype).eps, atol=0)
    loss = lk.loss("expectile", level=tau, reduction="none")
    for path in (loss, loss.derived):
        torch.testing.assert_close(path(f, y), wanted * distance, rtol=8 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("tau", TAUS)
@pytest.mark.parametrize(("name", "option", "formula"), FORMULAS, ids=["quantile", "expectile"])
def test_the_law_is_the_formula_normalised_by_quadrature(name, option, formula, tau):
    loss, place = lk.loss(name, reduction="none", **{option: tau}), 0.7

    def height(at):
        return math.exp(-formula(*torch.tensor([place, at], dtype=torch.float64), tau))

    total = sum(integrate.quad(height, *ends, epsabs=1e-13)[0] for ends in ((-math.inf, place), (place, math.inf)))
    y = torch.linspace(-4, 6, 7, dtype=torch.float64)
    wanted = torch.tensor([math.log(height(at) / total) for at in y.tolist()], dtype=torch.float64)
    law = loss.likelihood(torch.full((7,), place, dtype=torch.float64))
    torch.testing.assert_close(law.log_prob(y), wanted, rtol=1e-11, atol=1e-11)
    assert loss.relation.offset == pytest.approx(-math.log(total), abs=1e-11)


@pytest.mark.parametrize("tau", TAUS)
def test_what_share_of_the_law_is_below(tau):
    zero = torch.zeros(1, dtype=torch.float64)
    assert lk.loss("quantile", levels=tau).likelihood(zero).cdf(zero).item() == pytest.approx(tau, abs=1e-15)
    share = math.sqrt(tau) / (math.sqrt(tau) + math.sqrt(1 - tau))
    assert lk.loss("expectile", level=tau).likelihood(zero).cdf(zero).item() == pytest.approx(share, abs=1e-12)


def test_at_one_half_they_are_half_the_absolute_and_the_squared_error():
    f, y = points((9,), torch.float64)
    torch.testing.assert_close(lk.loss("quantile")(f, y), 0.5 * nn.L1Loss()(f, y), rtol=1e-14, atol=0)
    torch.testing.assert_close(lk.loss("expectile")(f, y), 0.5 * nn.MSELoss()(f, y), rtol=1e-14, atol=0)


@pytest.mark.parametrize("tau", TAUS)
def test_they_elicit_sample_quantiles_and_expectiles(tau):
    sample = torch.from_numpy(np.random.default_rng(3).gamma(2.0, size=201))
    for name, option, wanted in (
        ("quantile", "levels", float(np.quantile(sample.numpy(), tau, method="inverted_cdf"))),
        ("expectile", "level", float(stats.expectile(sample.numpy(), alpha=tau))),
    ):
        loss = lk.loss(name, **{option: tau})
        found = optimize.minimize_scalar(
            lambda f, loss=loss: float(loss(torch.full_like(sample, float(f)), sample)),
            bounds=(0, 20), method="bounded", options={"xatol": 1e-9},
        )  # fmt: skip
        assert found.x == pytest.approx(wanted, abs=1e-6)


# Several levels

LEVELS = (0.1, 0.5, 0.9, 0.99)


@pytest.mark.parametrize("shape", [(6,), (2, 3), (0,)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_several_levels_are_added(dtype, shape):
    raw, target = points(shape, dtype, levels=(len(LEVELS),))
    loss = lk.loss("quantile", levels=LEVELS, reduction="none")
    wanted = sum(pinball(raw[..., k].double(), target.double(), tau) for k, tau in enumerate(LEVELS))
    digits = 1e-12 if dtype == torch.float64 else 1e-5
    for path in (loss, loss.derived):
        value = path(raw, target)
        assert value.shape == shape
        assert value.dtype == dtype
        torch.testing.assert_close(value.double(), wanted, rtol=digits, atol=digits)
    nats = -sum(
        lk.distributions.AsymmetricLaplace(raw[..., k], 1.0, tau).log_prob(target) for k, tau in enumerate(LEVELS)
    )
    torch.testing.assert_close(loss.nll(raw, target), nats, rtol=digits, atol=digits)
    assert loss.likelihood.width == 4


def test_several_levels_have_the_gradient_of_each_and_survive_copies():
    raw, target = points((6,), torch.float64, levels=(len(LEVELS),))
    loss = lk.loss("quantile", levels=LEVELS)
    wanted = (torch.where(target[:, None] >= raw, 0.0, 1.0) - torch.tensor(LEVELS, dtype=torch.float64)) / 6
    for path in (loss, loss.derived):
        leaf = raw.clone().requires_grad_()
        (ours,) = torch.autograd.grad(path(leaf, target), leaf)
        torch.testing.assert_close(ours, wanted, rtol=1e-12, atol=1e-14)
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert other(raw, target) == loss(raw, target)


def test_levels_as_a_list_and_a_single_one_in_a_tuple():
    raw, target = points((6,), torch.float64, levels=(2,))
    assert lk.loss("quantile", levels=[0.2, 0.8])(raw, target) == lk.loss("quantile", levels=(0.2, 0.8))(raw, target)
    f = raw[:, :1]
    for same in (f, f.squeeze(-1)):
        assert lk.loss("quantile", levels=(0.2,))(same, target) == lk.loss("quantile", levels=0.2)(same, target)


def test_the_relation_of_several_levels_is_of_a_part():
    relation = lk.loss("quantile", levels=(0.1, 0.9)).relation
    assert isinstance(relation, lk.Partial)
    assert "composite" in relation.sentence()
    assert relation.offset == pytest.approx(2 * math.log(0.09), rel=1e-14)
    assert isinstance(lk.loss("quantile", levels=0.1).relation, lk.Affine)


def test_twice_the_loss_over_all_levels_is_the_continuous_ranked_probability_score():
    """CRPS = 2 ∫ pinball dτ; the normal law's in closed form is from Gneiting and Raftery (2007)."""
    nodes, weights = np.polynomial.legendre.leggauss(400)
    levels, weights = tuple((0.5 + 0.5 * nodes).tolist()), torch.from_numpy(0.5 * weights)
    mean, sd, y = 1.5, 0.7, torch.tensor([-1.0, 1.5, 4.0], dtype=torch.float64)
    quantiles = torch.tensor(stats.norm(mean, sd).ppf(levels)).expand(3, -1)
    each = torch.stack(
        [lk.loss("quantile", levels=t, reduction="none")(quantiles[:, k], y) for k, t in enumerate(levels)]
    )
    z = ((y - mean) / sd).numpy()
    crps = sd * (z * (2 * stats.norm.cdf(z) - 1) + 2 * stats.norm.pdf(z) - 1 / math.sqrt(math.pi))
    torch.testing.assert_close(2 * weights @ each, torch.from_numpy(crps), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("levels", [0.0, 1.0, -0.1, (), (0.5, 1.5), math.nan])
def test_impossible_levels(levels):
    with pytest.raises(ValueError, match="strictly between 0 and 1"):
        lk.loss("quantile", levels=levels)
    if isinstance(levels, float):
        with pytest.raises(ValueError, match="strictly between 0 and 1"):
            lk.loss("expectile", level=levels)


def test_a_wrong_number_of_columns():
    with pytest.raises(ValueError, match=r"raw has shape \(5, 3\)"):
        lk.loss("quantile", levels=(0.1, 0.9))(torch.zeros(5, 3), torch.zeros(5))


def test_an_empty_batch():
    for name, options in (("quantile", {}), ("expectile", {}), ("quantile", {"levels": (0.1, 0.9)})):
        raw, target = torch.zeros(0, 2) if options else torch.zeros(0), torch.zeros(0)
        with pytest.raises(ValueError, match="batch is empty"):
            lk.loss(name, **options)(raw, target)
        assert lk.loss(name, reduction="sum", **options)(raw, target) == 0


def test_a_learned_scale_is_the_mean_loss():
    """The maximum-likelihood scale of the asymmetric Laplace law is the mean pinball loss."""
    f, y = points((50,), torch.float64)
    likelihood = lk.loss("quantile", levels=0.8).likelihood.learn("scale").double()
    optimiser = torch.optim.LBFGS(likelihood.parameters(), max_iter=100, tolerance_grad=1e-12)

    def closure():
        optimiser.zero_grad()
        value = lk.NLL(likelihood)(f, y)
        value.backward()
        return value

    optimiser.step(closure)
    assert likelihood(f).scale.item() == pytest.approx(pinball(f, y, 0.8).mean().item(), rel=1e-6)


@pytest.mark.parametrize("alias", ["pinball", "QuantileLoss", "mean_pinball_loss", "reg:quantileerror"])
def test_aliases(alias):
    assert lk.find(alias).name == "quantile"


def test_a_constant_that_is_a_tuple_keeps_its_digits():
    each = lk.Family(lk.distributions.AsymmetricLaplace, loc=lk.predicted(), scale=1.0, tau=(0.1, 0.7))
    likelihood = lk.Independent(each, (2,))
    assert "tau=(0.1, 0.7)" in likelihood.code()
    law = likelihood.float().double()(torch.zeros(3, 2, dtype=torch.float64))
    assert law.base_dist.tau.tolist() == [0.1, 0.7]
    assert likelihood(torch.zeros(3, 2)).base_dist.tau.dtype == torch.float32
    with pytest.raises(ValueError, match="not allowed"):
        lk.Family(lk.distributions.AsymmetricLaplace, loc=lk.predicted(), scale=1.0, tau=(0.1, 1.5))
