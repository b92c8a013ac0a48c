"""The losses of counts against scipy, enumeration and formulas written out."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import special, stats

import likelihoods as lk
from tests.catalog.numbers import Case, check

RAW = (-3.0, -0.4, 0.0, 0.7, 2.5)
COUNTS = (0.0, 1.0, 2.0, 5.0, 31.0)
GATED = tuple((g, f) for g in (-2.0, 0.0, 1.5) for f in (-1.0, 0.3, 2.0))


def poisson(f, y):
    return stats.poisson.logpmf(y, np.exp(f))


def negative_binomial(dispersion):
    return lambda f, y: stats.nbinom.logpmf(y, 1 / dispersion, 1 / (1 + dispersion * np.exp(f)))


def inflated(log_mass):
    def value(raw, y):
        gate, others = special.log_expit(raw[:, 0]), special.log_expit(-raw[:, 0]) + log_mass(raw[:, 1], y)
        return -np.where(y == 0, np.logaddexp(gate, others), others)

    return value


def hurdle(log_mass):
    def value(raw, y):
        others = special.log_expit(-raw[:, 0]) + log_mass(raw[:, 1], y)
        return -np.where(y == 0, special.log_expit(raw[:, 0]), others - np.log1p(-np.exp(log_mass(raw[:, 1], 0.0))))

    return value


def beta_binomial(n, precision):
    def value(raw, y):
        a, b = precision * special.expit(raw[:, 0]), precision * special.expit(-raw[:, 0])
        return -stats.betabinom.logpmf(y, n, a, b)

    return value


CASES = [
    Case("geometric", lambda raw, y: -stats.geom.logpmf(y + 1, special.expit(-raw[:, 0])), RAW, COUNTS),
    *(
        Case(
            "negative_binomial",
            lambda raw, y, d=d: -negative_binomial(d)(raw[:, 0], y),
            RAW,
            COUNTS,
            {"dispersion": d},
            1e-11,
        )
        for d in (0.1, 1.0, 5.0)
    ),
    *(
        Case(
            "binomial",
            lambda raw, y, n=n: -stats.binom.logpmf(y, n, special.expit(raw[:, 0])),
            RAW,
            range(n + 1),
            {"total_count": n},
        )
        for n in (1, 12)
    ),
    *(
        Case("beta_binomial", beta_binomial(n, phi), RAW, range(n + 1), {"total_count": n, "precision": phi}, 1e-11)
        for n, phi in ((1, 2.0), (3, 0.5), (30, 20.0))
    ),
    Case("zero_inflated_poisson", inflated(poisson), GATED, COUNTS),
    Case("hurdle_poisson", hurdle(poisson), GATED, COUNTS),
    *(
        Case("zero_inflated_negative_binomial", inflated(negative_binomial(d)), GATED, COUNTS, {"dispersion": d}, 1e-11)
        for d in (0.2, 1.0)
    ),
    *(
        Case("hurdle_negative_binomial", hurdle(negative_binomial(d)), GATED, COUNTS, {"dispersion": d}, 1e-11)
        for d in (0.2, 1.0)
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_slope(case):
    check(case)


def test_laws_within_laws():
    y, raw = torch.arange(6.0, dtype=torch.float64), torch.linspace(-2, 2, 6, dtype=torch.float64)
    torch.testing.assert_close(lk.loss("geometric")(raw, y), lk.loss("negative_binomial")(raw, y))
    binary = (y % 2).double()
    torch.testing.assert_close(lk.loss("binomial")(raw, binary), lk.loss("bce_with_logits")(raw, binary))
    torch.testing.assert_close(lk.loss("beta_binomial")(raw, binary), lk.loss("bce_with_logits")(raw, binary))
    closed = torch.stack([torch.full_like(raw, -60.0), raw], -1)
    torch.testing.assert_close(lk.loss("zero_inflated_poisson")(closed, y), lk.loss("poisson_nll").nll(raw, y))
    logits = torch.tensor([[0.3, -1.0, 2.0]], dtype=torch.float64)
    one_hot = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    torch.testing.assert_close(
        lk.loss("multinomial")(logits, one_hot), lk.loss("cross_entropy")(logits, torch.tensor([2]))
    )


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_multinomial_against_scipy_and_enumeration(classes, shape):
    rng = np.random.default_rng(0)
    raw = rng.normal(size=(*shape, 3))
    y = rng.multinomial(6, [0.2, 0.5, 0.3], size=shape).astype(float)
    loss = lk.loss("multinomial", reduction="none", total_count=6, classes=classes)
    p = special.softmax(raw, -1)
    wanted = -np.array(
        [stats.multinomial.logpmf(a, 6, b) for a, b in zip(y.reshape(-1, 3), p.reshape(-1, 3), strict=True)]
    )
    leaf = torch.tensor(raw, requires_grad=True)
    value = loss(leaf, torch.tensor(y))
    np.testing.assert_allclose(value.detach().numpy(), wanted.reshape(shape), rtol=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(value.sum(), leaf)[0].numpy(), 6 * p - y, rtol=1e-11, atol=1e-12)
    everything = [c for c in itertools.product(range(7), repeat=3) if sum(c) == 6]
    all_of_them = torch.tensor(everything, dtype=torch.float64)
    total = torch.exp(-loss(torch.tensor(raw.reshape(-1, 3)[:1]).expand(len(everything), 3), all_of_them)).sum()
    assert total.item() == pytest.approx(1, abs=1e-13)
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
    assert loss(leaf.float(), torch.tensor(y).float()).dtype == torch.float32


def test_multinomial_elicits_the_mean_shares():
    counts = torch.tensor([[4.0, 0.0, 0.0], [1.0, 2.0, 1.0], [0.0, 1.0, 3.0]], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    raw = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    loss = lk.loss("multinomial", reduction="none", total_count=4)
    optimiser = torch.optim.LBFGS([raw], max_iter=200, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimiser.zero_grad()
        value = (weights * loss(raw.expand(3, 3), counts)).sum()
        value.backward()
        return value

    optimiser.step(closure)
    wanted = (weights[:, None] * counts).sum(0) / 4
    torch.testing.assert_close(raw.detach().softmax(-1), wanted, rtol=0, atol=1e-8)
    functional = lk.find("multinomial").elicits
    torch.testing.assert_close(functional.of_population(counts, weights, total_count=4), wanted)
    torch.testing.assert_close(functional.of_law(loss.likelihood(raw.detach())), raw.detach().softmax(-1))


@pytest.mark.parametrize("name", ["zero_inflated_poisson", "hurdle_poisson"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gates_at_extremes(name, dtype):
    raw = torch.tensor([[-80.0, -20.0], [80.0, 3.0], [0.0, -80.0]], dtype=dtype, requires_grad=True)
    for y in (0.0, 1.0, 30.0):
        value = lk.loss(name, reduction="none")(raw, torch.full((3,), y, dtype=dtype))
        assert value.isfinite().all()
        assert torch.autograd.grad(value.sum(), raw)[0].isfinite().all()


def test_a_zero_inflated_law_elicits_no_fewer_zeros_than_its_base_has():
    """Without zeros among the data the gate closes, and the base's own zeros stay."""
    of_population = lk.find("zero_inflated_poisson").elicits.of_population
    values = torch.tensor([1.0, 2.0], dtype=torch.float64)
    zeros, mean = of_population(values, torch.tensor([0.5, 0.5], dtype=torch.float64))
    assert (zeros.item(), mean.item()) == (pytest.approx(math.exp(-1.5)), 1.5)


@pytest.mark.parametrize(
    ("name", "options", "target", "message"),
    [
        ("binomial", {"total_count": 3}, [4.0], "integers 0 to 3"),
        ("zero_inflated_poisson", {}, [0.5], "counts 0, 1, 2"),
        ("hurdle_negative_binomial", {}, [-1.0], "counts 0, 1, 2"),
        ("geometric", {}, [math.nan], "missing"),
    ],
)
def test_impossible_targets(name, options, target, message):
    with pytest.raises(ValueError, match=message):
        lk.loss(name, **options).check(torch.tensor(target))
