"""The rows of counts and amounts fitted to real tables, against R's fits of the same models."""

import numpy as np
import pytest
import torch

import likelihoods as lk
from likelihoods.selection.fit import fit
from likelihoods.selection.table import prepare
from tests import reference

AMOUNTS = ["gamma", "inverse_gaussian", "log_normal", "weibull"]
SHARES = ["beta", "continuous_bernoulli", "mse"]
COUNTS = [
    "poisson_nll",
    "negative_binomial",
    "zero_inflated_poisson",
    "zero_inflated_negative_binomial",
    "hurdle_poisson",
    "hurdle_negative_binomial",
]


def double(values) -> torch.Tensor:
    return torch.tensor(np.asarray(values, dtype=np.float64))


def columns(frame) -> torch.Tensor:
    return double(prepare(frame, np.arange(len(frame)) % 7).X.to_numpy())


def fitted(name, X, y):
    result = fit(lk.find(name).fitted(), X, y)
    assert result.converged
    assert not result.unbounded
    return result


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("zero_inflated_poisson", "bioChemists_zip"),
        ("zero_inflated_negative_binomial", "bioChemists_zinb"),
        ("hurdle_poisson", "bioChemists_hurdle_poisson"),
        ("hurdle_negative_binomial", "bioChemists_hurdle_nb"),
    ],
)
def test_zeros_are_rs_pscl(name, key):
    witness = reference.fits("r")[key]
    frame = reference.table("count/bioChemists")
    result = fitted(name, columns(frame.drop(columns="art")), double(frame["art"]))
    # pscl's optimiser stops up to 1e-5 nats short; ours may be higher, and no more than that
    assert -result.nll * len(frame) == pytest.approx(witness["loglik"], abs=2e-4)
    assert -result.nll * len(frame) >= witness["loglik"] - 1e-6


def test_beta_is_rs_betareg():
    witness = reference.fits("r")["GasolineYield_beta_logit"]
    frame = reference.table("proportion/GasolineYield")
    batch = np.stack([frame["batch"] == value for value in sorted(frame["batch"].unique())[:-1]], -1)
    X = double(np.column_stack([batch.astype(float), frame["temp"]]))
    result = fitted("beta", X, double(frame["yield"]))
    assert -result.nll * len(frame) == pytest.approx(witness["loglik"], abs=1e-6)
    assert result.coefficients[-1, 0].item() == pytest.approx(witness["estimates"]["temp"], abs=1e-5)


@pytest.mark.parametrize(("name", "key"), [("gamma", "danishuni_gamma"), ("weibull", "danishuni_weibull")])
def test_amounts_are_rs_fitdistrplus(name, key):
    witness = reference.fits("r")[key]
    y = double(reference.table("heavy/danishuni")["Loss"])
    result = fitted(name, y.new_zeros(len(y), 0), y)
    assert -result.nll * len(y) == pytest.approx(witness["loglik"], abs=1e-3)
    assert -result.nll * len(y) >= witness["loglik"] - 1e-6


@pytest.mark.parametrize(("name", "key"), [("gamma", "dataCar_gamma"), ("inverse_gaussian", "dataCar_invgauss")])
def test_claims_are_rs(name, key):
    witness = reference.fits("r")[key]
    frame = reference.table("insurance/dataCar")
    frame = frame[frame["claimcst0"] > 0]
    ages = np.stack([frame["agecat"] == age for age in range(2, 7)], -1).astype(float)
    areas = np.stack([frame["area"] == area for area in "BCDEF"], -1).astype(float)
    X = double(np.column_stack([frame["gender"] == "M", areas, ages]).astype(float))
    result = fitted(name, X, double(frame["claimcst0"]))
    assert -result.nll * len(frame) == pytest.approx(witness["loglik"], abs=1e-3)


def test_choose_finds_the_law_that_made_the_data():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(600, 1))
    mean = np.exp(1 + 0.5 * X[:, 0])
    share = 1 / (1 + np.exp(-X[:, 0]))
    never = rng.uniform(size=600) < 0.4
    makers = {
        "weibull": mean * rng.weibull(2.5, size=600),
        "inverse_gaussian": rng.wald(mean, 2.0),
        "beta": rng.beta(8 * share, 8 * (1 - share)),
        "zero_inflated_poisson": np.where(never, 0, rng.poisson(mean)),
        "zero_inflated_negative_binomial": np.where(never, 0, rng.negative_binomial(4.0, 4.0 / (4.0 + 3 * mean))),
    }
    for name, y in makers.items():
        rivals = AMOUNTS if y.max() > 1 and (y > 0).all() else SHARES if y.max() < 1 else COUNTS
        choice = lk.choose(X, y, rivals, cv=2, progress=False)
        assert name in choice.tied, (name, choice.tied)
        assert not choice.ranking[0].flags


def test_laws_with_mass_at_zero_and_vectors_are_not_compared_unasked():
    compared = {entry.name for entry in lk.entries() if entry.compare}
    assert not compared & {"tweedie", "hurdle_gamma", "hurdle_log_normal", "multinomial", "dirichlet", "binomial"}
