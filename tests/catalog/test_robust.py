"""Robust losses against formulas written out, mpmath, and what they elicit; bounded ones have no likelihood."""

import copy
import math
import pickle

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import integrate, optimize, stats

import likelihoods as lk

REDUCTIONS = {"mean": torch.mean, "sum": torch.sum, "none": lambda x: x}


def general(r, alpha, scale):
    """Barron (2019), equation 8."""
    z2 = (r / scale) ** 2
    if alpha == 2:
        return z2 / 2
    if alpha == 0:
        return torch.log1p(z2 / 2)
    if alpha == -math.inf:
        return 1 - torch.exp(-z2 / 2)
    b = abs(alpha - 2)
    return b / alpha * ((z2 / b + 1) ** (alpha / 2) - 1)


def band(r, epsilon):
    return torch.where(r > epsilon, r - epsilon, torch.where(r < -epsilon, -r - epsilon, 0.0 * r))


CASES = [
    ("cauchy", {}, lambda r: torch.log(1 + r**2)),
    ("cauchy", {"scale": 0.3}, lambda r: torch.log(1 + (r / 0.3) ** 2)),
    ("barron", {}, lambda r: torch.sqrt(1 + r**2) - 1),
    *(
        ("barron", {"alpha": a, "scale": c}, lambda r, a=a, c=c: general(r, a, c))
        for a, c in ((0.0, 1.0), (2.0, 0.5), (1.5, 0.3), (4.0, 2.0), (-2.0, 2.0), (-0.5, 1.0), (-math.inf, 0.7))
    ),
    ("geman_mcclure", {}, lambda r: 2 * r**2 / (r**2 + 4)),
    ("geman_mcclure", {"scale": 0.3}, lambda r: 2 * r**2 / (r**2 + 4 * 0.09)),
    ("welsch", {}, lambda r: 1 - torch.exp(-(r**2) / 2)),
    ("welsch", {"scale": 3.0}, lambda r: 1 - torch.exp(-(r**2) / 18)),
    ("epsilon_insensitive", {}, lambda r: band(r, 0.1)),
    ("epsilon_insensitive", {"epsilon": 0.0}, torch.abs),
    ("epsilon_insensitive", {"epsilon": 1.5}, lambda r: band(r, 1.5)),
    ("squared_epsilon_insensitive", {}, lambda r: band(r, 0.1) ** 2),
    ("squared_epsilon_insensitive", {"epsilon": 0.0}, lambda r: r**2),
    ("squared_epsilon_insensitive", {"epsilon": 1.5}, lambda r: band(r, 1.5) ** 2),
]
IDS = [f"{name}-{options}" for name, options, _ in CASES]
LAWFUL = [case for case in CASES if not isinstance(lk.loss(case[0], **case[1]).relation, lk.NoLikelihood)]
LAWLESS = [case for case in CASES if case not in LAWFUL]


def points(shape, dtype):
    generator = torch.Generator().manual_seed(0)
    raw, target = 3 * torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return raw.to(dtype), target.to(dtype)


@pytest.mark.parametrize("shape", [(7,), (3, 5)], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize(("name", "options", "formula"), CASES, ids=IDS)
def test_value_and_gradient(name, options, formula, reduction, dtype, shape):
    raw, target = points(shape, dtype)
    exact = raw.double().requires_grad_()
    wanted = REDUCTIONS[reduction](formula(exact - target.double()))
    (slope,) = torch.autograd.grad(wanted.sum(), exact)
    digits = 1e-12 if dtype == torch.float64 else 1e-5
    loss = lk.loss(name, reduction=reduction, **options)
    for path in (loss, loss.derived):
        leaf = raw.clone().requires_grad_()
        value = path(leaf, target)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        assert value.dtype == dtype
        torch.testing.assert_close(value.detach().double(), wanted.detach(), rtol=digits, atol=digits)
        torch.testing.assert_close(gradient.double(), slope, rtol=digits, atol=digits)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(
    ("name", "options", "far"),
    [
        ("cauchy", {}, lambda r: 2 * math.log(r)),
        ("barron", {}, lambda r: r),
        ("barron", {"alpha": 0.0}, lambda r: 2 * math.log(r) - math.log(2)),
        ("geman_mcclure", {}, lambda r: 2.0),
        ("welsch", {}, lambda r: 1.0),
        ("epsilon_insensitive", {}, lambda r: r),
    ],
)
def test_residuals_whose_square_overflows(name, options, far, dtype):
    loss, huge = lk.loss(name, reduction="none", **options), 1e25
    target = torch.zeros(2, dtype=dtype)
    for path in (loss, loss.derived):
        leaf = torch.tensor([huge, -huge], dtype=dtype, requires_grad=True)
        value = path(leaf, target)
        # the exponential of a logarithm near 60 has 60 times the rounding error
        torch.testing.assert_close(value, torch.full_like(value, far(huge)), rtol=60 * torch.finfo(dtype).eps, atol=0)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        assert torch.isfinite(gradient).all()
        assert gradient[0] == -gradient[1] >= 0


@pytest.mark.parametrize(("name", "options", "formula"), LAWFUL, ids=[f"{c[0]}-{c[1]}" for c in LAWFUL])
def test_the_law_is_the_formula_normalised_by_quadrature(name, options, formula):
    def height(r):
        return math.exp(-float(formula(torch.tensor(r, dtype=torch.float64))))

    kink = options.get("epsilon", 0.1)
    total = 2 * sum(
        integrate.quad(height, *ends, epsabs=1e-14, epsrel=1e-13)[0] for ends in ((0, kink), (kink, math.inf))
    )
    residual = torch.tensor([-9.0, -0.4, 0.0, 0.05, 1.2, 30.0], dtype=torch.float64)
    law = lk.loss(name, **options).likelihood(torch.full((6,), 1.25, dtype=torch.float64))
    wanted = -formula(residual) - math.log(total)
    torch.testing.assert_close(law.log_prob(1.25 + residual), wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0, 3.0])
def test_barrons_normaliser_is_mpmaths(alpha):
    """Z(0) = π√2, Z(1) = 2e K₁(1), Z(2) = √(2π), and integrals."""
    known = {0.0: mp.pi * mp.sqrt(2), 1.0: 2 * mp.e * mp.besselk(1, 1), 2.0: mp.sqrt(2 * mp.pi)}
    b = abs(alpha - 2)
    wanted = known.get(alpha) or 2 * mp.quad(
        lambda z: mp.exp(-b / alpha * ((z * z / b + 1) ** (alpha / 2) - 1)), [0, 1, 5, 50, mp.inf]
    )
    for scale in (1.0, 0.3):
        offset = lk.loss("barron", alpha=alpha, scale=scale).relation.offset
        assert offset == pytest.approx(float(-mp.log(scale * wanted)), rel=1e-12)


@pytest.mark.parametrize(("name", "options", "formula"), LAWLESS, ids=[f"{c[0]}-{c[1]}" for c in LAWLESS])
def test_a_bounded_loss_has_no_likelihood(name, options, formula):
    loss = lk.loss(name, **options)
    for ask in (
        lambda: loss.likelihood,
        lambda: loss.nll(torch.zeros(2), torch.zeros(2)),
        lambda: lk.find(name).likelihood(**options),
    ):
        with pytest.raises(lk.NoLikelihoodError, match=r"integral over all targets is infinite\. Use loss\('cauchy'\)"):
            ask()
    far = torch.tensor([1e12], dtype=torch.float64)
    limit = float(loss(far, torch.zeros_like(far)))
    assert f"never exceeds {limit:.3g}"[:-1] in str(loss.relation.error())
    masses = [  # of exp(-loss) in growing windows: at least exp(-limit) times their width
        integrate.quad(lambda r: math.exp(-float(formula(torch.tensor(r, dtype=torch.float64)))), 0, width, limit=500)[
            0
        ]
        for width in (10, 100, 1000)
    ]
    assert masses[2] > masses[1] + 900 * 0.999 * math.exp(-limit) > masses[0]


def test_barron_joins_its_neighbours():
    f, y = points((9,), torch.float64)
    same = {"rtol": 1e-12, "atol": 1e-14}
    torch.testing.assert_close(lk.loss("barron", alpha=2.0)(f, y), 0.5 * lk.loss("mse")(f, y), **same)
    torch.testing.assert_close(
        lk.loss("barron", alpha=0.0, scale=0.5)(f, y), lk.loss("cauchy", scale=0.5 * math.sqrt(2))(f, y), **same
    )
    torch.testing.assert_close(lk.loss("barron", alpha=-2.0)(f, y), lk.loss("geman_mcclure")(f, y), **same)
    torch.testing.assert_close(lk.loss("barron", alpha=-math.inf)(f, y), lk.loss("welsch")(f, y), **same)
    for edge in (-1e-9, 1e-9):  # α -> 0, 2 and -inf
        torch.testing.assert_close(
            lk.loss("barron", alpha=edge)(f, y), lk.loss("barron", alpha=0.0)(f, y), rtol=1e-7, atol=0
        )
        torch.testing.assert_close(
            lk.loss("barron", alpha=2 + edge)(f, y), lk.loss("barron", alpha=2.0)(f, y), rtol=1e-5, atol=0
        )
    torch.testing.assert_close(lk.loss("barron", alpha=-1e7)(f, y), lk.loss("welsch")(f, y), rtol=1e-5, atol=0)


def test_shape_and_scale_of_barron_are_learned_in_nats():
    """On Cauchy noise the shape goes to 0 and on normal noise to 2, where the loss alone would run away."""
    generator = np.random.default_rng(0)
    for noise, alpha, scale in ((stats.norm, 2.0, 1.0), (stats.cauchy, 0.0, 1 / math.sqrt(2))):
        y = torch.from_numpy(noise.rvs(size=4000, random_state=generator))
        likelihood = lk.loss("barron").likelihood.learn("alpha", "scale").double()
        optimiser = torch.optim.LBFGS(likelihood.parameters(), max_iter=60, line_search_fn="strong_wolfe")

        def closure(likelihood=likelihood, optimiser=optimiser, y=y):
            optimiser.zero_grad()
            value = lk.NLL(likelihood)(torch.zeros_like(y), y)
            value.backward()
            return value

        optimiser.step(closure)
        law = likelihood(torch.zeros(1, dtype=torch.float64))
        assert law.alpha.item() == pytest.approx(alpha, abs=0.35)
        assert law.scale.item() == pytest.approx(scale, rel=0.1)


def test_what_the_epsilon_insensitive_loss_elicits_is_a_set():
    """For a uniform law on (-1/2, 1/2) and a band of 0.6, every f within 0.1 has no loss at all."""
    y = torch.linspace(-0.5, 0.5, 1001, dtype=torch.float64)
    loss = lk.loss("epsilon_insensitive", epsilon=0.6)
    assert loss(torch.full_like(y, 0.0999), y) == loss(torch.full_like(y, -0.0999), y) == 0
    assert loss(torch.full_like(y, 0.2), y) > 0


def test_the_epsilon_insensitive_loss_does_not_elicit_the_median():
    y = torch.from_numpy(np.random.default_rng(1).gamma(1.0, size=501))
    loss = lk.loss("epsilon_insensitive", epsilon=1.0)
    found = optimize.minimize_scalar(
        lambda f: float(loss(torch.full_like(y, float(f)), y)), bounds=(0, 5), method="bounded", options={"xatol": 1e-9}
    )
    above, below = (y > found.x + 1).double().mean(), (y < found.x - 1).double().mean()
    assert abs(above - below) <= 2 / 501
    assert abs(found.x - float(y.median())) > 0.2


@pytest.mark.parametrize(("name", "options"), [("barron", {"alpha": -2.0}), ("welsch", {}), ("cauchy", {"scale": 2.0})])
def test_copies(name, options):
    loss = lk.loss(name, **options)
    f, y = points((4,), torch.float64)
    assert pickle.loads(pickle.dumps(loss))(f, y) == copy.deepcopy(loss)(f, y) == loss(f, y)


@pytest.mark.parametrize(("name", "options", "formula"), CASES, ids=IDS)
def test_an_empty_batch(name, options, formula):
    with pytest.raises(ValueError, match="batch is empty"):
        lk.loss(name, **options)(torch.zeros(0), torch.zeros(0))
    assert lk.loss(name, reduction="sum", **options)(torch.zeros(0), torch.zeros(0)) == 0
    assert lk.loss(name, reduction="none", **options)(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0, 3)


@pytest.mark.parametrize("alpha", [math.inf, math.nan])
def test_impossible_shapes(alpha):
    with pytest.raises(ValueError, match=r"finite number, or -math\.inf"):
        lk.loss("barron", alpha=alpha)


@pytest.mark.parametrize("name", ["cauchy", "barron", "geman_mcclure", "welsch"])
@pytest.mark.parametrize("scale", [0.0, -1.0])
def test_impossible_scales(name, scale):
    with pytest.raises(ValueError, match="scale"):
        lk.loss(name, scale=scale)


def test_impossible_bands():
    for name in ("epsilon_insensitive", "squared_epsilon_insensitive"):
        with pytest.raises(ValueError, match="epsilon=-1"):
            lk.loss(name, epsilon=-1.0)


@pytest.mark.parametrize(
    ("alias", "name"),
    [("lorentzian", "cauchy"), ("charbonnier", "barron"), ("leclerc", "welsch"), ("svr", "epsilon_insensitive")],
)
def test_aliases(alias, name):
    assert lk.find(alias).name == name
