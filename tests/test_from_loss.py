"""The way back: the law behind a loss that a user wrote, against the laws that have formulas."""

import copy
import math
import pickle

import mpmath
import pytest
import torch
from scipy import integrate
from torch.distributions import constraints

import likelihoods as lk
from likelihoods import distributions as D
from likelihoods.distributions.numeric import Improper, Numeric

F = torch.nn.functional
DOUBLE = torch.float64
LOC = torch.tensor([0.0, 1.0, -30.0], dtype=DOUBLE)


def square(f, y):
    return (f - y) ** 2


def absolute(f, y):
    return (f - y).abs()


def power(f, y):
    return (f - y).abs() ** 1.5


def two_humps(f, y):
    return ((y - f) ** 2 - 1) ** 2


KNOWN = {
    "square": (square, lambda loc: D.Normal(loc, math.sqrt(0.5))),
    "absolute": (absolute, lambda loc: D.Laplace(loc, 1.0)),
    "huber": (lambda f, y: F.huber_loss(f, y, reduction="none", delta=0.7), lambda loc: D.Huber(loc, 1.0, 0.7)),
    "log-cosh": (
        lambda f, y: absolute(f, y) + torch.log1p(torch.exp(-2 * absolute(f, y))) - math.log(2),
        lambda loc: D.HyperbolicSecant(loc, 1.0),
    ),
    "cauchy": (lambda f, y: torch.log1p((f - y) ** 2), lambda loc: D.Cauchy(loc, 1.0)),
    "pinball": (
        lambda f, y: torch.maximum(0.8 * (y - f), 0.2 * (f - y)),
        lambda loc: D.AsymmetricLaplace(loc, 1.0, 0.8),
    ),
    "insensitive": (
        lambda f, y: (absolute(f, y) - 1.5).clamp_min(0),
        lambda loc: D.EpsilonInsensitive(loc, 1.0, 1.5),
    ),
    "student": (lambda f, y: 3 * torch.log1p((f - y) ** 2 / 5), lambda loc: D.StudentT(5.0, loc, 1.0)),
}


@pytest.mark.parametrize("name", KNOWN)
def test_laws_with_formulas(name):
    loss, known = KNOWN[name]
    law, wanted = Numeric(loss, LOC, location=True), known(LOC)
    y = torch.tensor([-9.0, -3.0, -0.1, 0.0, 0.5, 2.0, 25.0], dtype=DOUBLE)[:, None]
    close = dict(rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(law.log_prob(y), wanted.log_prob(y), **close)
    near = y[1:-1] + LOC
    torch.testing.assert_close(law.log_cdf(near), wanted.log_cdf(near), **close)
    torch.testing.assert_close(law.log_sf(near), wanted.log_sf(near), **close)
    far = y[[0, -1]] + LOC  # panels are refined for the mass of all: a tail of exp(-80) is good to 1e-9 of itself
    torch.testing.assert_close(law.log_cdf(far), wanted.log_cdf(far), rtol=0.0, atol=1e-9)
    share = torch.tensor([1e-6, 0.01, 0.5, 0.9, 0.999], dtype=DOUBLE)[:, None]
    torch.testing.assert_close(law.icdf(share), wanted.icdf(share), rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(law.entropy(), wanted.entropy(), rtol=1e-10, atol=1e-10)
    if name == "cauchy":
        assert law.mean.isnan().all()
        assert law.variance.isnan().all()
    else:
        torch.testing.assert_close(law.mean, wanted.mean.expand(3), rtol=1e-10, atol=1e-10)
        torch.testing.assert_close(law.variance, wanted.variance.expand(3), rtol=1e-9, atol=1e-9)
    assert law.log_prob(law.mode).sub(wanted.log_prob(wanted.mode)).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["square", "student", "pinball"])
def test_slopes(name):
    """In value, location, temperature and scale: against those of the family with a formula, rescaled by hand."""
    loss, known = KNOWN[name]
    loc, scale = (torch.tensor(v, dtype=DOUBLE, requires_grad=True) for v in (0.3, 1.7))
    y = torch.tensor([-2.0, 0.1, 4.0], dtype=DOUBLE, requires_grad=True)

    def both(law):
        terms = (law.log_prob(y), law.log_cdf(y), law.log_sf(y))
        return [torch.autograd.grad(term.sum(), (loc, scale, y), retain_graph=True) for term in terms]

    unit = known(torch.zeros((), dtype=DOUBLE))

    class Rescaled:
        def __getattr__(self, method):
            shift = scale.log() if method == "log_prob" else 0.0
            return lambda value: getattr(unit, method)((value - loc) / scale) - shift

    for ours, theirs in zip(both(Numeric(loss, loc, 1.0, scale, location=True)), both(Rescaled()), strict=True):
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)
    heat = torch.tensor(1.3, dtype=DOUBLE, requires_grad=True)
    law = Numeric(square, torch.zeros((), dtype=DOUBLE), heat, location=True)
    (slope,) = torch.autograd.grad(law.log_normalizer(), heat)  # Z = sqrt(pi T)
    assert slope.item() == pytest.approx(0.5 / 1.3, rel=1e-12)


def test_far_tails_stay_finite():
    law = Numeric(square, torch.zeros((), dtype=DOUBLE), location=True)
    wanted = D.Normal(0.0, math.sqrt(0.5))
    y = torch.tensor([-100.0, -40.0], dtype=DOUBLE)
    torch.testing.assert_close(law.log_cdf(y), wanted.log_cdf(y), rtol=1e-4, atol=0.0)
    assert law.cdf(torch.tensor([-torch.inf, torch.inf], dtype=DOUBLE)).tolist() == [0.0, 1.0]
    assert law.log_prob(torch.tensor([torch.nan], dtype=DOUBLE)).isnan().all()


BOUNDED = {
    "geman-mcclure": lambda f, y: (y - f) ** 2 / ((y - f) ** 2 + 4),
    "welsch": lambda f, y: 1 - torch.exp(-((y - f) ** 2)),
    "logarithm": lambda f, y: torch.log1p((y - f).abs()),
    "cauchy, too hot": lambda f, y: 0.45 * torch.log1p((y - f) ** 2),
    "constant": lambda f, y: 0 * (y - f),
    "slow": lambda f, y: torch.log1p((y - f).abs()).sqrt(),
    "downhill": lambda f, y: -((y - f) ** 2),
    "one side": lambda f, y: (y - f).clamp_min(0),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_has_no_law(name):
    with pytest.raises(lk.NoLikelihoodError, match="no distribution"):
        lk.from_loss(BOUNDED[name])
    with pytest.raises(Improper, match="diverges"):
        Numeric(BOUNDED[name], LOC, location=True)


def test_a_bounded_support_gives_a_bounded_loss_a_law():
    row = lk.from_loss(BOUNDED["welsch"], support=constraints.interval(-2.0, 3.0))
    assert isinstance(row.law_relation(), lk.Gibbs)  # its normaliser depends on where f is in the interval
    law = row.likelihood()(torch.tensor([0.5], dtype=DOUBLE))
    total, _ = integrate.quad(lambda y: math.exp(math.exp(-((y - 0.5) ** 2)) - 1), -2, 3, epsabs=1e-13)
    assert law.log_normalizer().item() == pytest.approx(math.log(total), abs=1e-12)
    assert law.log_prob(torch.tensor([3.5], dtype=DOUBLE)).item() == -math.inf
    assert law.cdf(torch.tensor([3.0], dtype=DOUBLE)).item() == pytest.approx(1.0)


def test_a_law_without_a_formula():
    row = lk.from_loss(two_humps)
    normaliser = mpmath.quad(lambda r: mpmath.exp(-((r * r - 1) ** 2)), [-mpmath.inf, -1, 0, 1, mpmath.inf])
    relation = row.law_relation()
    assert relation.offset == pytest.approx(-float(mpmath.log(normaliser)), abs=1e-13)
    second = mpmath.quad(lambda r: r * r * mpmath.exp(-((r * r - 1) ** 2)), [-mpmath.inf, -1, 0, 1, mpmath.inf])
    law = row.likelihood()(LOC)
    torch.testing.assert_close(law.variance, torch.full((3,), float(second / normaliser), dtype=DOUBLE))


def test_supports_and_links():
    """An exponential law: its normaliser is 1 for every f, which is found out."""
    row = lk.from_loss(lambda f, y: f.log() + y / f, support=constraints.positive, link="log")
    assert row.law_relation().sentence().startswith("loss = NLL")
    assert abs(row.law_relation().offset) < 1e-12
    f, y = torch.tensor([-1.0, 0.0, 2.0], dtype=DOUBLE), torch.tensor([0.5, 1.0, 9.0], dtype=DOUBLE)
    torch.testing.assert_close(row.likelihood()(f).log_prob(y), D.Exponential((-f).exp()).log_prob(y))
    torch.testing.assert_close(row.likelihood()(f).mean, f.exp())
    with pytest.raises(ValueError, match="is no interval"):
        lk.from_loss(square, support=constraints.nonnegative_integer)


def test_gradient_of_a_normaliser_that_moves():
    """For f - log y squared on y > 0, Z(f) = sqrt(π) exp(f + 1/4): its logarithm has slope 1."""
    row = lk.from_loss(lambda f, y: (f - y.log()) ** 2, support=constraints.positive)
    assert isinstance(row.law_relation(), lk.Gibbs)
    f = torch.tensor([-1.0, 0.0, 2.0], dtype=DOUBLE, requires_grad=True)
    log_z = row.likelihood()(f).log_normalizer()
    torch.testing.assert_close(log_z, f + 0.25 + 0.5 * math.log(math.pi))
    torch.testing.assert_close(torch.autograd.grad(log_z.sum(), f)[0], torch.ones(3, dtype=DOUBLE))


@pytest.mark.parametrize("row", [lk.from_loss(power), lk.from_loss(two_humps)], ids=lambda row: row.name)
def test_claims(row):
    report = lk.verify(row)
    assert report.passed, list(report.failures)
    assert {claim.claim for claim in report if claim.status == "pass"} >= {
        "total mass",
        "cdf",
        "sampler",
        "elicits",
        "finite",
    }


def test_it_is_used_as_any_row():
    row = lk.from_loss(power)
    loss = lk.loss(row)
    f, y = torch.randn(2, 50, dtype=DOUBLE, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(loss(f, y), power(f, y).mean(), rtol=1e-12, atol=1e-12)
    assert loss.nll(f, y).item() == pytest.approx(loss(f, y).item() - row.law_relation().offset, abs=1e-12)
    assert all(name not in {entry.name for entry in lk.entries()} for name in (row.name,))
    assert copy.deepcopy(loss)(f, y) == loss(f, y)
    with pytest.raises(ValueError, match="no loss named 'power'"):
        lk.find("power")


def test_it_is_shown():
    from likelihoods.pictures import picture

    row = lk.from_loss(power)
    shown = row.describe()
    assert shown["relation"] == "loss = NLL - 0.590832"
    assert shown["support"] == "the real numbers"
    loss, law = picture(row).axes
    (drawn,) = law.lines
    step = drawn.get_xdata()[1] - drawn.get_xdata()[0]
    assert drawn.get_ydata().sum() * step == pytest.approx(
        1.0, abs=0.01
    )  # the picture leaves out a little of the tails
    assert loss.get_xlabel().startswith("residual")


def test_a_named_one_is_in_the_table():
    lk.from_loss(power, name="power_loss", assumption="The target has noise between Gaussian and Laplace.")
    try:
        assert lk.loss("power").assumption == "The target has noise between Gaussian and Laplace."
        assert pickle.loads(pickle.dumps(lk.loss("power_loss"))).name == "power_loss"
    finally:
        lk.unregister("power_loss")


def test_scale_and_temperature_are_learned():
    row = lk.from_loss(absolute)
    generator = torch.Generator().manual_seed(2)
    y = 3 * torch.empty(400, dtype=DOUBLE).exponential_(generator=generator)
    y = y * torch.where(torch.rand(400, generator=generator) < 0.5, -1.0, 1.0)
    for likelihood in (row.fitted().double(), row.likelihood().learn("temperature").double()):
        nll, raw = lk.NLL(likelihood), torch.zeros(400, dtype=DOUBLE)
        optimiser = torch.optim.LBFGS(
            nll.parameters(), max_iter=60, tolerance_change=1e-15, tolerance_grad=1e-10, line_search_fn="strong_wolfe"
        )

        def closure(nll=nll, optimiser=optimiser, raw=raw):
            optimiser.zero_grad()
            value = nll(raw, y)
            value.backward()
            return value

        optimiser.step(closure)
        found = likelihood(raw[:1])
        assert (found.scale * found.temperature).item() == pytest.approx(y.abs().mean().item(), rel=1e-6)


def test_labels():
    row = lk.from_loss(lambda f, y: (1 - f * y).clamp_min(0), labels=(-1, 1))
    assert isinstance(row.law_relation(), lk.Gibbs)
    f = torch.linspace(-2, 2, 9, dtype=DOUBLE)
    y = torch.where(f > 0.3, 1.0, -1.0).double()
    torch.testing.assert_close(lk.loss(row, reduction="none")(f, y), lk.loss("hinge", reduction="none")(f, y))
    torch.testing.assert_close(row.likelihood()(f).probs, lk.loss("hinge").likelihood(f).probs)
    normalised = lk.from_loss(lambda f, y: F.softplus(-f * y), labels=(-1, 1))
    assert isinstance(normalised.law_relation(), lk.Affine)
    assert lk.verify(row).passed


def test_choose_takes_it():
    generator = torch.Generator().manual_seed(3)
    X = torch.randn(300, 2, generator=generator).numpy()
    y = X[:, 0] + 0.3 * torch.randn(300, generator=generator).numpy()
    result = lk.choose(X, y, candidates=[lk.from_loss(power), "mse", "l1"], cv=3)
    assert set(result.table.index) == {"power", "mse", "l1"}
    assert result.table.log_score["power"] > result.table.log_score["l1"]


def test_bad_losses():
    with pytest.raises(TypeError, match=r"one loss for each, \(6,\).*shape \(\).*reduction='none'"):
        lk.from_loss(lambda f, y: ((f - y) ** 2).mean())
    with pytest.raises(TypeError, match=r"not 'mse'; for a loss that has a name write find"):
        lk.from_loss("mse")
    with pytest.raises(TypeError, match="gave a float"):
        lk.from_loss(lambda f, y: 1.0)
    with pytest.raises(TypeError, match="another value among others"):
        lk.from_loss(lambda f, y: (f - y) ** 2 + f.mean())
    with pytest.raises(TypeError, match="link='log'"):
        lk.from_loss(lambda f, y: (-1 - f.abs()).log() + (f - y) ** 2)


def test_samples_follow_the_law():
    from scipy import stats

    law = Numeric(two_humps, torch.tensor(0.5, dtype=DOUBLE), location=True)
    torch.manual_seed(4)
    sample = law.sample((4000,))
    assert stats.kstest(sample.numpy(), lambda v: law.cdf(torch.as_tensor(v)).numpy()).pvalue > 1e-3
    float32 = Numeric(square, torch.zeros(2), location=True)
    assert float32.sample((3,)).dtype == torch.float32
    assert float32.sample((3,)).shape == (3, 2)


def test_shapes():
    law = Numeric(square, torch.zeros(2, 1, dtype=DOUBLE), torch.ones(3, dtype=DOUBLE), location=True)
    assert law.batch_shape == (2, 3)
    assert law.cdf(torch.zeros(4, 2, 3, dtype=DOUBLE)).shape == (4, 2, 3)
    assert law.expand((5, 2, 3)).log_prob(torch.zeros((), dtype=DOUBLE)).shape == (5, 2, 3)
    assert Numeric(square, torch.zeros(0), location=True).log_prob(torch.zeros(0)).shape == (0,)
    assert pickle.loads(pickle.dumps(law)).mean.shape == (2, 3)
