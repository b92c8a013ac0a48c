"""The losses of a positive target against scipy, scikit-learn and formulas written out."""

import numpy as np
import pytest
import torch
from scipy import special, stats
from sklearn import metrics
from sklearn._loss import loss as sklearn_losses

import likelihoods as lk
from tests.catalog.numbers import Case, check

RAW = (-3.0, -0.4, 0.0, 0.7, 2.5)
POSITIVE = (0.02, 0.5, 1.0, 3.7, 40.0)
GATED = tuple((g, f) for g in (-2.0, 0.0, 1.5) for f in (-1.0, 0.3, 2.0))


def each(metric, **options):
    """Return a metric of scikit-learn, whose predictions are means, as a function of their logarithms, row by row."""
    return lambda raw, y: np.array(
        [metric([b], [a], **options) for a, b in zip(np.exp(raw[:, 0]), np.asarray(y), strict=True)]
    )


def hurdle(log_density, family_width=1):
    def value(raw, y):
        some = np.where(y > 0, y, 1.0)
        others = np.logaddexp(0, raw[:, 0]) - log_density(raw[:, 1], some)
        return np.where(y == 0, np.logaddexp(0, -raw[:, 0]), others)

    return value


def gamma(k):
    return lambda f, y: stats.gamma.logpdf(y, k, scale=np.exp(f) / k)


def log_normal(scale):
    return lambda f, y: stats.lognorm.logpdf(y, scale, scale=np.exp(f))


def first(log_density):
    return lambda raw, y: -log_density(raw[:, 0], y)


def half_tweedie(power):
    return lambda raw, y: (
        np.exp((2 - power) * raw[:, 0]) / (2 - power) - y * np.exp((1 - power) * raw[:, 0]) / (1 - power)
    )


CASES = [
    *(Case("gamma", first(gamma(k)), RAW, POSITIVE, {"concentration": k}) for k in (0.5, 1.0, 20.0)),
    *(Case("log_normal", first(log_normal(s)), RAW, POSITIVE, {"scale": s}) for s in (0.2, 1.0)),
    Case("exponential", first(lambda f, y: stats.expon.logpdf(y, scale=np.exp(f))), RAW, (0.0, *POSITIVE)),
    *(
        Case(
            "inverse_gaussian",
            first(lambda f, y, k=k: stats.invgauss.logpdf(y, np.exp(f) / k, scale=k)),
            RAW,
            POSITIVE,
            {"concentration": k},
        )
        for k in (0.3, 1.0, 20.0)
    ),
    *(
        Case(
            "weibull",
            first(lambda f, y, k=k: stats.weibull_min.logpdf(y, k, scale=np.exp(f))),
            RAW,
            POSITIVE,
            {"concentration": k},
        )
        for k in (0.7, 1.0, 1.5)
    ),
    *(Case("tweedie", half_tweedie(p), RAW, (0.0, *POSITIVE), {"power": p}) for p in (1.05, 1.5, 1.9)),
    Case("tweedie", half_tweedie(1.5), RAW, (0.0, *POSITIVE), {"power": 1.5, "dispersion": 3.0}),
    *(
        Case("tweedie_deviance", each(metrics.mean_tweedie_deviance, power=p), RAW, (0.0, *POSITIVE), {"power": p})
        for p in (1.05, 1.5, 1.9)
    ),
    Case(
        "tweedie_deviance",
        each(metrics.mean_tweedie_deviance, power=1.3),
        RAW,
        (0.0, *POSITIVE),
        {"power": 1.3, "dispersion": 0.2},
    ),
    Case("poisson_deviance", each(metrics.mean_poisson_deviance), RAW, (0.0, 1.0, 2.0, 17.0)),
    *(
        Case("gamma_deviance", each(metrics.mean_gamma_deviance), RAW, POSITIVE, {"concentration": k})
        for k in (0.5, 1.0, 20.0)
    ),
    *(
        Case(
            "inverse_gaussian_deviance",
            each(metrics.mean_tweedie_deviance, power=3),
            RAW,
            POSITIVE,
            {"concentration": k},
            rtol=1e-11,  # scikit-learn's three terms cancel
        )
        for k in (0.5, 1.0, 20.0)
    ),
    *(Case("hurdle_gamma", hurdle(gamma(k)), GATED, (0.0, *POSITIVE), {"concentration": k}) for k in (0.6, 1.0, 3.0)),
    *(Case("hurdle_log_normal", hurdle(log_normal(s)), GATED, (0.0, *POSITIVE), {"scale": s}) for s in (0.3, 1.0)),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_slope(case):
    check(case)


@pytest.mark.parametrize(
    ("name", "options", "peer"),
    [
        ("gamma", {}, sklearn_losses.HalfGammaLoss()),
        ("poisson_nll", {}, sklearn_losses.HalfPoissonLoss()),
        ("tweedie", {"power": 1.7}, sklearn_losses.HalfTweedieLoss(power=1.7)),
    ],
)
def test_scikit_learns_objectives(name, options, peer):
    raw, y = np.linspace(-3, 3, 40), np.repeat([1.0, 2.0, 5.0, 11.0], 10)
    leaf = torch.tensor(raw, requires_grad=True)
    value = lk.loss(name, reduction="none", **options)(leaf, torch.tensor(y))
    wanted, slope = peer.loss_gradient(y_true=y, raw_prediction=raw)
    np.testing.assert_allclose(value.detach().numpy(), wanted, rtol=1e-13)
    np.testing.assert_allclose(torch.autograd.grad(value.sum(), leaf)[0].numpy(), slope, rtol=1e-13, atol=1e-15)
    assert lk.find(type(peer).__name__).name == name


@pytest.mark.parametrize(
    ("alias", "name"),
    [
        ("poisson", "poisson_nll"),
        ("count:poisson", "poisson_nll"),
        ("gamma", "gamma"),
        ("reg:gamma", "gamma"),
        ("gamma-deviance", "gamma_deviance"),
        ("mean_gamma_deviance", "gamma_deviance"),
        ("mean_poisson_deviance", "poisson_deviance"),
        ("mean_tweedie_deviance", "tweedie_deviance"),
        ("reg:tweedie", "tweedie"),
        ("ZILNLoss", "hurdle_log_normal"),
    ],
)
def test_names_of_other_libraries(alias, name):
    assert lk.find(alias).name == name


@pytest.mark.parametrize("name", ["tweedie", "tweedie_deviance"])
@pytest.mark.parametrize(
    ("power", "says"), [(0, "mse"), (1, "poisson"), (2, "gamma"), (3, "inverse_gaussian"), (0.5, "No power")]
)
def test_a_power_of_another_law_names_its_row(name, power, says):
    with pytest.raises(ValueError, match=f"power={power}.*{says}"):
        lk.loss(name, power=power)


@pytest.mark.parametrize(
    "name", ["poisson_deviance", "gamma_deviance", "inverse_gaussian_deviance", "tweedie_deviance"]
)
def test_a_deviance_keeps_its_digits_near_a_perfect_prediction(name):
    y = torch.tensor([1.0, 7.0, 1e6], dtype=torch.float64)
    raw = y.log() + 1e-6
    r = y.log() - raw
    power = {"poisson": 1.0, "gamma": 2.0, "inverse_gaussian": 3.0, "tweedie": 1.5}[name.removesuffix("_deviance")]
    series = y ** (2 - power) * r**2 * (1 - (3 - 2 * power) * r / 3)
    torch.testing.assert_close(lk.loss(name, reduction="none")(raw, y), series, rtol=1e-8, atol=0)
    assert (lk.loss(name, reduction="none")(y.log(), y) == 0).all()


@pytest.mark.parametrize(
    ("name", "zero"),
    [
        ("poisson_deviance", 2 * np.e),
        ("tweedie", 2 * np.exp(0.5)),
        ("tweedie_deviance", 4 * np.exp(0.5)),
        ("gamma_deviance", np.inf),
    ],
)
def test_zero_negative_and_missing_targets(name, zero):
    y = torch.tensor([0.0, -1.0, np.nan], dtype=torch.float64)
    value = lk.loss(name, reduction="none")(torch.ones(3, dtype=torch.float64), y)
    assert value[0].item() == pytest.approx(zero)
    assert value[1] == torch.inf
    assert value[2].isnan()
    with pytest.raises(ValueError, match="1 of 2 targets are impossible"):
        lk.loss(name).check(torch.tensor([1.0, -1.0]))


def test_two_part_losses_score_a_zero_by_its_probability():
    like = lk.loss("hurdle_gamma").likelihood
    law = like(torch.tensor([[0.3, 1.0]]))
    assert law.log_prob(torch.tensor([0.0])).exp().item() == pytest.approx(special.expit(0.3))
    assert law.mean.item() == pytest.approx(special.expit(-0.3) * np.e)
    assert law.sample((1000,)).eq(0).float().mean().item() == pytest.approx(special.expit(0.3), abs=0.06)
