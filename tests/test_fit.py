"""Newton's fits against R, statsmodels and exact linear programs."""

import math

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy import optimize

import likelihoods as lk
from likelihoods import distributions as D
from likelihoods.selection.fit import fit
from likelihoods.selection.table import prepare
from likelihoods.sources import learned, predicted
from tests import reference


def double(values) -> torch.Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64))


def columns(frame) -> torch.Tensor:
    return double(prepare(frame, np.arange(len(frame)) % 7).X.to_numpy())


def negative_binomial() -> lk.Likelihood:
    return lk.Family(D.NegativeBinomial, mean=predicted("log"), dispersion=learned())


def dispersion(result) -> float:
    with torch.no_grad():
        return float(result.likelihood(torch.zeros(1, dtype=torch.float64)).variance - 1)  # at a mean of 1


@pytest.mark.parametrize("name", ["bioChemists", "quine"])
def test_negative_binomial_is_rs_glm_nb(name):
    key = {"bioChemists": "bioChemists_nb", "quine": "quine_nb_main"}[name]
    witness = reference.fits("r")[key]
    frame = reference.table(f"count/{name}")
    target = {"bioChemists": "art", "quine": "Days"}[name]
    result = fit(negative_binomial(), columns(frame.drop(columns=target)), double(frame[target]))
    assert result.converged
    assert not result.unbounded
    assert -result.nll * len(frame) == pytest.approx(witness["loglik"], abs=1e-6)
    assert -math.log(dispersion(result)) == pytest.approx(witness["estimates"]["log_theta"], abs=1e-4)


def test_poisson_and_negative_binomial_are_statsmodels_on_the_shipped_table():
    witness = reference.fits("statsmodels")
    frame = reference.table("count/randhie")
    X, y = double(frame.drop(columns="mdvis").to_numpy()), double(frame["mdvis"])
    poisson = fit(lk.Family(D.Poisson, rate=predicted("log")), X, y)
    expected = witness["discrete.RandHIE.poisson"]
    assert -poisson.nll * len(y) == pytest.approx(
        expected["llf"], abs=1e-4
    )  # Stata's, which kept the columns in float32
    again = sm.Poisson(y.numpy(), sm.add_constant(X.numpy())).fit(disp=0, method="newton")
    assert -poisson.nll * len(y) == pytest.approx(again.llf, abs=1e-7)
    slopes = poisson.coefficients[:, 0].tolist()
    np.testing.assert_allclose([*slopes[1:], slopes[0]], expected["params"], atol=1e-5)
    result = fit(negative_binomial(), X, y)
    expected = witness["discrete.RandHIE.negativebinomial_nb2_bfgs"]
    slopes = result.coefficients[:, 0].tolist()
    np.testing.assert_allclose([*slopes[1:], slopes[0]], expected["params"][:-1], atol=2e-4)
    assert dispersion(result) == pytest.approx(expected["params"][-1], abs=2e-4)


def test_softmax_regression_is_statsmodels_mnlogit():
    expected = reference.fits("statsmodels")["discrete.Anes.mnlogit_basezero"]
    frame = reference.table("ordinal/anes96")
    names = ["logpopul", "selfLR", "age", "educ", "income"]
    likelihood = lk.Family(D.Categorical, logits=predicted("identity", size=7))
    result = fit(likelihood, double(frame[names].to_numpy()), torch.tensor(frame["PID"].to_numpy()))
    assert result.converged
    contrast = (result.coefficients - result.coefficients[:, :1])[:, 1:]
    np.testing.assert_allclose([*contrast[1:].tolist(), contrast[0].tolist()], expected["params"], atol=1e-4)


def test_student_t_regression():
    witness = reference.fits("r")
    frame = reference.table("robust/stackloss")
    X, y = double(frame.drop(columns="stack.loss").to_numpy()), double(frame["stack.loss"])
    for key, likelihood in (
        ("stackloss_t4", lk.Family(D.StudentT, df=4.0, loc=predicted(), scale=learned())),
        ("stackloss_t_df", lk.Family(D.StudentT, df=learned(4.0), loc=predicted(), scale=learned())),
    ):
        result = fit(likelihood, X, y)
        assert result.converged
        # R's own optimiser stopped half a thousandth of a nat short where df is free
        assert -1e-5 < -result.nll * len(y) - witness[key]["loglik"] < 1e-3


def test_laws_without_columns():
    witness = reference.fits("r")
    y = double(reference.table("heavy/danishuni")["Loss"])
    none = y.new_zeros(len(y), 0)
    gamma = fit(lk.Family(D.Gamma, mean=predicted("log"), concentration=learned()), none, y)
    assert -gamma.nll * len(y) == pytest.approx(witness["danishuni_gamma"]["loglik"], abs=1e-4)
    log_normal = fit(lk.Family(D.LogNormal, loc=predicted(), scale=learned()), none, y)
    assert -log_normal.nll * len(y) == pytest.approx(witness["danishuni_lnorm"]["loglik"], abs=1e-5)


def test_median_regression_is_quantregs_to_a_hundredth_of_a_nat():
    exact = reference.fits("r")["engel_rq_0.5"]["estimates"]
    frame = reference.table("quantile/engel")
    X, y = double(frame[["income"]].to_numpy()), double(frame["foodexp"])
    result = fit(lk.Family(D.Laplace, loc=predicted(), scale=learned()), X, y)
    residuals = y - exact["(Intercept)"] - exact["income"] * X[:, 0]
    optimum = 1 + math.log(2 * residuals.abs().mean())
    assert result.converged
    assert 0 <= (result.nll - optimum) * len(y) < 0.01
    assert result.coefficients[1, 0].item() == pytest.approx(exact["income"], abs=2e-3)


@pytest.mark.parametrize(("rows", "size"), [(50, 8), (400, 4)])
def test_kinks_do_not_stop_newton(rows, size):
    rng = np.random.default_rng(rows)
    X = rng.normal(size=(rows, size))
    y = X @ rng.normal(size=size) + rng.laplace(size=rows)
    result = fit(lk.Family(D.Laplace, loc=predicted(), scale=learned()), double(X), double(y))
    design = np.c_[np.ones(rows), X]
    program = optimize.linprog(  # the exact least absolute deviations
        np.r_[np.zeros(2 * (size + 1)), np.ones(2 * rows)],
        A_eq=np.c_[design, -design, np.eye(rows), -np.eye(rows)],
        b_eq=y,
    )
    optimum = 1 + math.log(2 * program.fun / rows)
    assert result.converged
    assert 0 <= (result.nll - optimum) * rows < 0.02


def test_columns_of_very_different_scale_change_nothing():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 4))
    y = double(rng.poisson(np.exp(X @ [0.3, -0.2, 0.1, 0.4])))
    scales = np.array([1e-6, 1e6, 1.0, 1e3])
    poisson = lk.Family(D.Poisson, rate=predicted("log"))
    plain, scaled = fit(poisson, double(X), y), fit(poisson, double(X * scales + scales * 5), y)
    assert plain.converged
    assert scaled.converged
    assert scaled.nll == pytest.approx(plain.nll, abs=1e-12)
    np.testing.assert_allclose(
        scaled.coefficients[1:, 0].numpy() * scales, plain.coefficients[1:, 0].numpy(), rtol=1e-6
    )


def test_a_target_far_from_zero_and_one():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(500, 2))
    for family in (D.Normal, D.Laplace, D.HyperbolicSecant, D.Huber):
        extra = {"delta": 1.0} if family is D.Huber else {}
        likelihood = lk.Family(family, loc=predicted(), scale=learned(), **extra)
        y = X @ [1.0, 2.0] + rng.normal(size=500)
        near = fit(likelihood, double(X), double(y))
        far = fit(likelihood, double(X), double(1e7 + 1e-4 * y))
        assert near.converged
        assert far.converged
        assert far.nll - math.log(1e-4) == pytest.approx(near.nll, abs=1e-3)


def test_redundant_and_constant_columns_do_no_harm():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(300, 2))
    y = double(X[:, 0] + rng.normal(size=300))
    normal = lk.Family(D.Normal, loc=predicted(), scale=learned())
    once = fit(normal, double(X), y)
    again = fit(normal, double(np.c_[X, X[:, 0], np.full(300, 7.0), X.sum(1)]), y)
    assert again.converged
    assert again.nll == pytest.approx(once.nll, abs=1e-9)
    assert torch.isfinite(again.coefficients).all()


def test_the_normal_fit_is_least_squares():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(100, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.normal(size=100)
    result = fit(lk.Family(D.Normal, loc=predicted(), scale=learned()), double(X), double(y))
    solution, rest, *_ = np.linalg.lstsq(np.c_[np.ones(100), X], y)
    np.testing.assert_allclose(result.coefficients[:, 0].numpy(), solution, atol=1e-6)
    assert result.nll == pytest.approx(0.5 * math.log(2 * math.pi * rest[0] / 100) + 0.5, abs=1e-10)


@pytest.mark.parametrize("family", [D.Normal, D.Laplace, D.StudentT])
def test_a_density_on_a_constant_target_is_unbounded(family):
    extra = {"df": 4.0} if family is D.StudentT else {}
    likelihood = lk.Family(family, loc=predicted(), scale=learned(), **extra)
    result = fit(likelihood, double(np.random.default_rng(5).normal(size=(50, 1))), double(np.full(50, 3.25)))
    assert "without bound as scale" in result.unbounded


@pytest.mark.parametrize(
    ("wide", "narrow", "targets"),
    [
        (
            lk.Family(D.StudentT, df=lk.learned(4.0), loc=lk.predicted(), scale=lk.learned()),
            lk.Family(D.Normal, loc=lk.predicted(), scale=lk.learned()),
            lambda rng, x: x + rng.uniform(-1, 1, size=200),
        ),
        (
            lk.Family(D.Huber, loc=lk.predicted(), scale=lk.learned(), delta=lk.learned()),
            lk.Family(D.Normal, loc=lk.predicted(), scale=lk.learned()),
            lambda rng, x: x + rng.uniform(-1, 1, size=200),
        ),
        (
            lk.Family(D.NegativeBinomial, mean=lk.predicted("log"), dispersion=lk.learned()),
            lk.Family(D.Poisson, rate=lk.predicted("log")),
            lambda rng, x: rng.binomial(20, 0.5 + 0.1 * np.tanh(x)).astype(float),
        ),
    ],
    ids=["student_t", "huber", "negative_binomial"],
)
def test_a_law_whose_best_fit_is_its_limit_is_the_simpler_law(wide, narrow, targets):
    """Light tails and underdispersed counts: the parameter that allows for more than the simpler law runs to its end."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=200)
    X, y = torch.from_numpy(x[:, None]), torch.from_numpy(targets(rng, x))
    one, other = fit(wide, X, y), fit(narrow, X, y)
    assert one.converged
    assert one.unbounded == ""
    assert one.iterations < 50
    assert one.nll == pytest.approx(other.nll, abs=1e-6)
    np.testing.assert_allclose(one.coefficients[:, 0], other.coefficients[:, 0], atol=1e-4)
    heavy = X[:, 0] + torch.from_numpy(rng.standard_t(2.0, size=200)) if y.min() < 0 else y * 5.0
    again = fit(wide, X, heavy, one)  # from the limit it finds back
    assert again.converged
    assert again.nll == pytest.approx(fit(wide, X, heavy).nll, abs=1e-9)
    assert again.nll < fit(narrow, X, heavy).nll - 0.01


@pytest.mark.parametrize("seed", [1, 4])
def test_a_parameter_that_creeps_to_its_limit_is_let_go(seed):
    """Huber's delta on normal noise: each step gains less than the last, and there is no end to them."""
    generator = torch.Generator().manual_seed(seed)
    X, noise = torch.randn(2, 50, 1, generator=generator, dtype=torch.float64)
    y = (X + noise)[:, 0]
    huber = fit(lk.Family(D.Huber, loc=lk.predicted(), scale=lk.learned(), delta=lk.learned()), X, y)
    normal = fit(lk.Family(D.Normal, loc=lk.predicted(), scale=lk.learned()), X, y)
    assert huber.converged
    assert huber.iterations < 50
    assert huber.nll == pytest.approx(normal.nll, abs=1e-6)


def test_separated_classes_are_said_to_be():
    X = double(np.r_[np.linspace(-2, -1, 20), np.linspace(1, 2, 20)][:, None])
    y = double(np.r_[np.zeros(20), np.ones(20)])
    result = fit(lk.Family(D.Bernoulli, logits=predicted()), X, y)
    assert "predicted with certainty" in result.unbounded


def test_the_likelihood_that_is_given_is_left_alone():
    likelihood = lk.Family(D.Normal, loc=predicted(), scale=learned(3.0))
    fit(likelihood, torch.zeros(5, 0, dtype=torch.float64), torch.arange(5.0, dtype=torch.float64))
    assert likelihood(torch.zeros(1)).scale.item() == pytest.approx(3.0)
    assert next(likelihood.parameters()).dtype == torch.float32


def test_a_users_torch_class_is_fitted():
    rng = np.random.default_rng(6)
    y = double(rng.gumbel(2.0, 3.0, size=4000))
    result = fit(
        lk.Family(torch.distributions.Gumbel, loc=predicted(), scale=learned()),
        torch.zeros(4000, 0, dtype=torch.float64),
        y,
    )
    assert result.converged
    assert result.coefficients[0, 0].item() == pytest.approx(2.0, abs=0.2)
