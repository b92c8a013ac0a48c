"""Predicted scales, mixtures, beta-NLL and evidential regression against torch, scipy and integrals."""

import copy
import math
import pickle

import numpy as np
import pytest
import torch
from scipy import integrate, stats
from torch import nn
from torch.nn import functional as F

import likelihoods as lk

SHAPES = [(7,), (3, 5)]
DTYPES = [torch.float32, torch.float64]
LINKS = {"softplus": F.softplus, "log": torch.exp}


def points(shape, width, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    raw = torch.randn(*shape, width, generator=generator, dtype=torch.float64)
    return raw.to(dtype), 2 * torch.randn(*shape, generator=generator, dtype=torch.float64).to(dtype)


def value_and_gradient(function, raw, target):
    leaf = raw.clone().requires_grad_()
    value = function(leaf, target)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def agree(path, formula, raw, target):
    ours = value_and_gradient(path, raw, target)
    wanted = value_and_gradient(formula, raw.double(), target.double())
    digits = 1e-11 if raw.dtype == torch.float64 else 1e-4
    for one, other in zip(ours, wanted, strict=True):
        assert one.dtype == raw.dtype
        torch.testing.assert_close(one.double(), other, rtol=digits, atol=digits)


# A predicted scale


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("link", LINKS)
def test_a_predicted_scale_is_torchs_full_loss(link, reduction, dtype, shape):
    def formula(raw, target):
        return nn.GaussianNLLLoss(full=True, eps=1e-30, reduction=reduction)(
            raw[..., 0], target, LINKS[link](raw[..., 1]) ** 2
        )

    loss = lk.loss("heteroscedastic_gaussian", link=link, reduction=reduction)
    raw, target = points(shape, 2, dtype)
    agree(loss, formula, raw, target)
    assert loss.nll(raw, target).equal(loss(raw, target))
    assert loss.relation == lk.Exact


def test_one_scale_for_all_is_learned_in_nats():
    y = torch.from_numpy(np.random.default_rng(0).normal(3, 1.7, 400))
    likelihood = lk.loss("gaussian").likelihood.learn("scale").double()
    mean = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([mean, *likelihood.parameters()], max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        value = lk.NLL(likelihood)(mean.expand(400), y)
        value.backward()
        return value

    optimiser.step(closure)
    assert mean.item() == pytest.approx(y.mean().item(), abs=1e-5)
    assert likelihood(mean[None]).scale.item() == pytest.approx(y.std(correction=0).item(), rel=1e-5)


# Mixtures


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(("components", "link"), [(1, "softplus"), (3, "softplus"), (4, "log")])
def test_a_mixture_is_the_sum_of_its_components(components, link, reduction, dtype, shape):
    def formula(raw, target):
        shares = raw[..., :components].softmax(-1)
        total = sum(
            shares[..., k]
            * torch.distributions.Normal(
                raw[..., components + 2 * k], LINKS[link](raw[..., components + 2 * k + 1])
            ).log_prob(target).exp()
            for k in range(components)
        )  # fmt: skip
        value = -total.log()
        return {"mean": value.mean(), "sum": value.sum(), "none": value}[reduction]

    loss = lk.loss("mixture_density", components=components, link=link, reduction=reduction)
    assert loss.likelihood.width == 3 * components
    agree(loss, formula, *points(shape, 3 * components, dtype))


def test_a_mixture_far_out_does_not_underflow():
    raw, _ = points((1,), 9)
    value = lk.loss("mixture_density")(raw, torch.full((1,), 1e3, dtype=torch.float64))
    assert 1e4 < value < 1e8


@pytest.mark.parametrize("components", [0, 1.5, -2])
def test_an_impossible_number_of_components(components):
    with pytest.raises(ValueError, match="number of components"):
        lk.loss("mixture_density", components=components)


# Beta-NLL


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("beta", "link"), [(0.0, "softplus"), (0.5, "softplus"), (1.0, "log"), (0.3, "log")])
def test_beta_nll_is_the_paper_s(beta, link, dtype, shape):
    def formula(raw, target):  # Seitzer et al. (2022), equation 4
        mean, variance = raw[..., 0], LINKS[link](raw[..., 1]) ** 2
        return variance.detach() ** beta * 0.5 * (variance.log() + (mean - target) ** 2 / variance)

    raw, target = points(shape, 2, dtype)
    loss = lk.loss("beta_nll", beta=beta, link=link, reduction="none")
    for path in (loss, loss.derived):
        agree(path, formula, raw, target)


@pytest.mark.parametrize("beta", [0.5, 1.0])
def test_the_gradient_of_beta_nll_is_of_no_function_and_is_right_on_average(beta):
    """Its field in (mean, variance) has the curl beta v^(beta - 2) (y - mean), and mean 0 at the law's own."""
    loss = lk.loss("beta_nll", beta=beta, link="log", reduction="none")

    def value(parameters, y):
        return loss(torch.stack([parameters[0], 0.5 * parameters[1].log()])[None], y[None])[0]

    field = torch.func.grad(value)

    at, y = torch.tensor([0.3, 1.7], dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    # a gradient's derivative, by differences: autograd's own would see the weight held fixed
    h = 1e-6
    across = [
        (field(at + h * unit, y) - field(at - h * unit, y)) / (2 * h) for unit in torch.eye(2, dtype=torch.float64)
    ]
    curl = (across[1][0] - across[0][1]).item()
    assert curl == pytest.approx(-beta * 1.7 ** (beta - 2) * (2.0 - 0.3), rel=1e-6)
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    sample = 0.3 + math.sqrt(1.7) * torch.from_numpy(nodes)
    mean = sum(w * field(at, value) for w, value in zip(weights, sample, strict=True))
    torch.testing.assert_close(mean, torch.zeros(2, dtype=torch.float64), rtol=0, atol=1e-12)


def test_beta_nll_has_a_likelihood_at_0_alone():
    relation = lk.loss("beta_nll", beta=0.0).relation
    assert relation == lk.Affine(1.0, -0.5 * math.log(2 * math.pi))
    for ask in (
        lambda: lk.loss("beta_nll").likelihood,
        lambda: lk.loss("beta_nll").nll(torch.zeros(1, 2), torch.zeros(1)),
    ):
        with pytest.raises(lk.NoLikelihoodError, match="curl.*heteroscedastic_gaussian"):
            ask()
    for beta in (-0.5, math.nan):
        with pytest.raises(ValueError, match="beta="):
            lk.loss("beta_nll", beta=beta)


# Evidential regression


def prior(raw):
    loc, evidence, concentration, rate = raw.unbind(-1)
    return loc, F.softplus(evidence), 1 + F.softplus(concentration), F.softplus(rate)


def amini(raw, target, coefficient=0.0):
    """Amini et al. (2020), equations 8 to 10."""
    loc, nu, alpha, beta = prior(raw)
    omega = 2 * beta * (1 + nu)
    nll = (
        0.5 * torch.log(math.pi / nu) - alpha * omega.log() + (alpha + 0.5) * torch.log((target - loc) ** 2 * nu + omega)
        + torch.lgamma(alpha) - torch.lgamma(alpha + 0.5)
    )  # fmt: skip
    return nll + coefficient * (target - loc).abs() * (2 * nu + alpha)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("coefficient", [0.0, 0.01, 1.0])
def test_evidential_is_the_paper_s(coefficient, reduction, dtype, shape):
    def formula(raw, target):
        value = amini(raw, target, coefficient)
        return {"mean": value.mean(), "sum": value.sum(), "none": value}[reduction]

    loss = lk.loss("evidential", coefficient=coefficient, reduction=reduction)
    for path in (loss, loss.derived):
        agree(path, formula, *points(shape, 4, dtype))


def test_evidential_is_the_marginal_of_a_normal_inverse_gamma_law():
    """The variance integrated out numerically; the mean's is Normal(loc, v (1 + 1/ν))."""
    raw, y = points((3,), 4)
    value = lk.loss("evidential", reduction="none")(raw, y)
    for row, target, ours in zip(raw, y.tolist(), value.tolist(), strict=True):
        loc, nu, alpha, beta = (p.item() for p in prior(row))

        def joint(v, loc=loc, nu=nu, alpha=alpha, beta=beta, target=target):
            return stats.norm.pdf(target, loc, math.sqrt(v * (1 + 1 / nu))) * stats.invgamma.pdf(v, alpha, scale=beta)

        density = sum(
            integrate.quad(joint, *ends, epsabs=1e-13, limit=400)[0] for ends in ((0, 1), (1, 50), (50, math.inf))
        )
        assert ours == pytest.approx(-math.log(density), abs=1e-8)


def test_the_likelihood_knows_three_of_the_four_numbers():
    def inverse(x):
        return math.log(math.expm1(x))

    target = torch.linspace(-3, 3, 5, dtype=torch.float64)
    rows = []
    for nu in (0.1, 1.0, 9.0):  # β (1 + 1/ν) stays 2
        rows.append([0.4, inverse(nu), 0.3, inverse(2 / (1 + 1 / nu))])
    first, *others = (
        lk.loss("evidential", reduction="none")(torch.tensor([row] * 5, dtype=torch.float64), target) for row in rows
    )
    for other in others:
        torch.testing.assert_close(other, first, rtol=1e-13, atol=1e-13)


def test_the_penalty_makes_it_no_likelihood():
    """The mass of exp(-loss) is below 1 and moves with the evidence."""
    loss = lk.loss("evidential", coefficient=0.1, reduction="none")
    masses = []
    for evidence in (-1.0, 2.0):
        raw = torch.tensor([[0.0, evidence, 0.5, 0.5]], dtype=torch.float64)
        masses.append(
            2
            * integrate.quad(lambda y, raw=raw: math.exp(-float(loss(raw, torch.tensor([y]).double()))), 0, math.inf)[0]
        )
    assert 0 < masses[1] < masses[0] - 0.05 < 0.95
    for ask in (lambda: loss.likelihood, lambda: lk.find("evidential").likelihood(coefficient=0.1)):
        with pytest.raises(lk.NoLikelihoodError, match=r"Use loss\('evidential'\)"):
            ask()
    assert isinstance(lk.loss("evidential").likelihood, lk.Evidential)
    with pytest.raises(ValueError, match="coefficient"):
        lk.loss("evidential", coefficient=-1.0)


def test_evidential_likelihood_is_written_and_learns_nothing():
    likelihood = lk.loss("evidential").likelihood
    assert repr(likelihood) == "lk.Evidential()"
    assert list(likelihood.learn("scale").parameters()) == []
    with pytest.raises(ValueError, match="4 raw scalars"):
        likelihood(torch.zeros(3, 2))


# All

SETTINGS = [
    ("heteroscedastic_gaussian", {}, 2),
    ("mixture_density", {"components": 2}, 6),
    ("beta_nll", {}, 2),
    ("beta_nll", {"beta": 0.0}, 2),
    ("evidential", {}, 4),
    ("evidential", {"coefficient": 0.5}, 4),
]


@pytest.mark.parametrize(("name", "options", "width"), SETTINGS, ids=[f"{s[0]}-{s[1]}" for s in SETTINGS])
def test_empty_batches_copies_and_wrong_shapes(name, options, width):
    raw, target = torch.zeros(0, width), torch.zeros(0)
    with pytest.raises(ValueError, match="batch is empty"):
        lk.loss(name, **options)(raw, target)
    assert lk.loss(name, reduction="sum", **options)(raw, target) == 0
    assert lk.loss(name, reduction="none", **options)(torch.zeros(0, 3, width), torch.zeros(0, 3)).shape == (0, 3)
    loss = lk.loss(name, **options)
    raw, target = points((5,), width)
    assert pickle.loads(pickle.dumps(loss))(raw, target) == copy.deepcopy(loss)(raw, target) == loss(raw, target)
    with pytest.raises(ValueError, match="raw has shape"):
        loss(raw[:, :-1], target)
    with pytest.raises(ValueError, match="raw has shape"):
        loss(raw, target[:, None])


@pytest.mark.parametrize("name", ["heteroscedastic_gaussian", "mixture_density", "beta_nll"])
def test_an_unknown_link(name):
    with pytest.raises(ValueError, match="no link 'softplu'. Did you mean 'softplus'"):
        lk.loss(name, link="softplu")


@pytest.mark.parametrize(
    ("alias", "name"),
    [("mdn", "mixture_density"), ("nig", "evidential"), ("heteroscedastic_normal", "heteroscedastic_gaussian")],
)
def test_aliases(alias, name):
    assert lk.find(alias).name == name
