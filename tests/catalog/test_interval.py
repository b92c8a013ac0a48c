"""The losses of shares and levels against scipy, mpmath and enumeration."""

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import special, stats

import likelihoods as lk
from tests.catalog.numbers import Case, check

RAW = (-3.0, -0.4, 0.0, 0.7, 2.5)
INSIDE = (1e-6, 0.03, 0.5, 0.92)


def beta(precision):
    return lambda raw, y: (
        -stats.beta.logpdf(y, precision * special.expit(raw[:, 0]), precision * special.expit(-raw[:, 0]))
    )


def continuous_bernoulli(raw, y):
    def log_normalizer(f):
        f = mp.mpf(float(f))
        return float(mp.log(mp.expm1(f) / f)) if f else 0.0

    return np.array([log_normalizer(f) for f in raw[:, 0]]) - y * raw[:, 0]


def log_level(y, loc, log_scale, low, high, step):
    """Return the log-mass of a level in 800 digits."""
    with mp.workdps(800):
        y, loc, scale = mp.mpf(float(y)), mp.mpf(float(loc)), mp.exp(mp.mpf(float(log_scale)))
        above = mp.mpf(1) if y >= high - step / 2 else 1 / (1 + mp.exp(-(y + mp.mpf(step) / 2 - loc) / scale))
        below = mp.mpf(0) if y <= low + step / 2 else 1 / (1 + mp.exp(-(y - mp.mpf(step) / 2 - loc) / scale))
        return float(mp.log(above - below))


def levels(low, high, step):
    return lambda raw, y: -np.array([log_level(b, *a, low, high, step) for a, b in zip(raw, y, strict=True)])


def mixture(k, low, high, step):
    def value(raw, y):
        weights = special.log_softmax(raw[:, :k], -1)
        parts = [
            [log_level(b, a[k + 2 * j], a[k + 2 * j + 1], low, high, step) for j in range(k)]
            for a, b in zip(raw, y, strict=True)
        ]
        return -special.logsumexp(weights + np.array(parts), -1)

    return value


BYTES = {"low": 0.0, "high": 255.0, "step": 1.0}
TANH = {"low": -1.0, "high": 1.0, "step": 0.25}
CASES = [
    *(Case("beta", beta(phi), RAW, INSIDE, {"precision": phi}, 1e-11) for phi in (0.7, 2.0, 50.0)),
    Case("continuous_bernoulli", continuous_bernoulli, (-30.0, *RAW, 1e-4), (0.0, *INSIDE, 1.0)),
    Case(
        "discretized_logistic",
        levels(**BYTES),
        ((100.0, 2.0), (-3.0, 1.0), (300.0, 4.0)),
        (0.0, 1.0, 101.0, 254.0, 255.0),
        BYTES,
    ),
    Case(
        "discretized_logistic",
        levels(**TANH),
        ((0.1, -2.0), (-3.0, 1.0), (0.9, -1.0)),
        (-1.0, -0.75, 0.0, 1.0),
        TANH,
        float32=1e-5,
    ),
    Case(
        "discretized_logistic_mixture",
        mixture(2, **BYTES),
        ((0.3, -1.0, 20.0, 1.0, 200.0, 3.0), (2.0, 2.0, 0.0, 0.0, 128.0, 2.0)),
        (0.0, 21.0, 130.0, 255.0),
        {"k": 2, **BYTES},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_value_and_slope(case):
    check(case)


def test_the_levels_of_totensor_and_their_masses():
    pixels = torch.arange(256) / 255  # as torchvision's ToTensor gives them
    loss = lk.loss("discretized_logistic", reduction="none")
    loss.check(pixels)
    raw = torch.tensor([0.4, -3.0]).expand(256, 2)
    assert torch.exp(-loss(raw, pixels)).sum().item() == pytest.approx(1, abs=1e-5)
    mixed = lk.loss("discretized_logistic_mixture", reduction="none")
    raw = torch.linspace(-1, 1, 30).expand(256, 30)
    assert torch.exp(-mixed(raw, pixels)).sum().item() == pytest.approx(1, abs=1e-5)
    with pytest.raises(ValueError, match="targets are impossible"):
        loss.check(torch.tensor([0.5]))


def test_no_pixel_is_too_unlikely():
    """PixelCNN++ falls back on a density, which is 2.15 nats off at this scale; the mass itself has no need of it."""
    raw = torch.tensor([[-0.9, -7.0]], dtype=torch.float64)
    options = {"low": -1.0, "high": 1.0, "step": 2 / 255}
    levels_of = lk.loss("discretized_logistic", **options)
    y = levels_of.likelihood(raw[0]).enumerate_support(expand=False)[190:191]
    wanted = -log_level(y.item(), -0.9, -7.0, -1.0, 1.0, 2 / 255)
    assert wanted > 1000
    assert levels_of(raw, y).item() == pytest.approx(wanted, rel=1e-12)


def test_a_confident_beta_has_no_nan():
    for dtype in (torch.float32, torch.float64):
        raw = torch.tensor([-80.0, -20.0, 20.0, 80.0], dtype=dtype, requires_grad=True)
        value = lk.loss("beta", reduction="none")(raw, torch.full((4,), 0.3, dtype=dtype))
        slope = torch.autograd.grad(value.sum(), raw)[0]
        torch.testing.assert_close(slope, raw.detach().sign())  # log Γ(φ σ(-f)) grows by 1 for each unit of f
        assert value.isfinite().all()


@pytest.mark.parametrize("classes", [None, 3])
@pytest.mark.parametrize("shape", [(4,), (2, 3)])
def test_dirichlet_against_scipy(classes, shape):
    rng = np.random.default_rng(0)
    raw, y = rng.normal(size=(*shape, 3)), rng.dirichlet([1.0, 2.0, 3.0], size=shape)
    loss = lk.loss("dirichlet", reduction="none", classes=classes)
    leaf = torch.tensor(raw, requires_grad=True)
    value = loss(leaf, torch.tensor(y))
    a = np.exp(raw)
    wanted = -np.array(
        [stats.dirichlet.logpdf(p / p.sum(), b) for p, b in zip(y.reshape(-1, 3), a.reshape(-1, 3), strict=True)]
    )
    np.testing.assert_allclose(value.detach().numpy(), wanted.reshape(shape), rtol=1e-10, atol=1e-12)
    slope = a * (special.digamma(a) - special.digamma(a.sum(-1, keepdims=True)) - np.log(y))
    np.testing.assert_allclose(torch.autograd.grad(value.sum(), leaf)[0].numpy(), slope, rtol=1e-9, atol=1e-10)
    assert loss(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
    with pytest.raises(ValueError, match="must be in the probability vectors"):
        loss.check(torch.tensor([[0.5, 0.6, 0.1]]), torch.zeros(1, 3))


def test_dirichlet_elicits_the_mean_of_the_logarithms():
    y = torch.tensor([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1]], dtype=torch.float64)
    weights = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    raw = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    loss = lk.loss("dirichlet", reduction="none")
    optimiser = torch.optim.LBFGS([raw], max_iter=300, tolerance_grad=1e-12, tolerance_change=1e-16)

    def closure():
        optimiser.zero_grad()
        value = (weights * loss(raw.expand(3, 3), y)).sum()
        value.backward()
        return value

    for _ in range(5):
        optimiser.step(closure)
    functional = lk.find("dirichlet").elicits
    wanted = (weights[:, None] * y.log()).sum(0)
    torch.testing.assert_close(functional.of_population(y, weights), wanted)
    torch.testing.assert_close(functional.of_law(loss.likelihood(raw.detach())), wanted, rtol=0, atol=1e-7)


def test_names_that_others_use():
    assert lk.find("beta_regression").name == "beta"
    assert lk.find("DiscretizedMixLogisticLoss").name == "discretized_logistic_mixture"
