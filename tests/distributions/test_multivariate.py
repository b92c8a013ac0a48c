"""Multinomial, Dirichlet and Dirichlet-multinomial laws: what the battery checks of laws on the line, for vectors."""

import copy
import itertools
import pickle

import mpmath as mp
import numpy as np
import pyro.distributions
import pytest
import scipy.stats
import torch
from torch.distributions import kl_divergence

from likelihoods.distributions import BetaBinomial, Binomial, Dirichlet, DirichletMultinomial, Multinomial

F64 = torch.float64


def t(*numbers, dtype=F64):
    return torch.tensor(numbers, dtype=dtype)


def multinomial(y, n, logits=None, probs=None):
    p = [mp.exp(x) for x in logits] if probs is None else probs
    masses = [mp.log(x / mp.fsum(p)) for x in p]
    return mp.loggamma(n + 1) + mp.fsum(k * m - mp.loggamma(k + 1) for k, m in zip(y, masses, strict=True))


def dirichlet(y, a):
    return mp.loggamma(mp.fsum(a)) + mp.fsum((b - 1) * mp.log(x) - mp.loggamma(b) for x, b in zip(y, a, strict=True))


def dirichlet_multinomial(y, n, a):
    total = mp.fsum(a)
    parts = (mp.loggamma(k + b) - mp.loggamma(b) - mp.loggamma(k + 1) for k, b in zip(y, a, strict=True))
    return mp.loggamma(n + 1) + mp.loggamma(total) - mp.loggamma(n + total) + mp.fsum(parts)


def counts(n, k):
    return torch.tensor([y for y in itertools.product(range(n + 1), repeat=k) if sum(y) == n], dtype=F64)


GRID = [  # law's name, parameters, point
    ("multinomial", {"n": 5, "logits": (0.0, 1.0, -2.0)}, (3, 2, 0)),
    ("multinomial", {"n": 5, "probs": (0.25, 0.5, 0.25)}, (0, 4, 1)),
    ("multinomial", {"n": 0, "logits": (0.0, 1.0, -2.0)}, (0, 0, 0)),
    ("multinomial", {"n": 1000000, "logits": (0.0, 0.125, -0.5)}, (373000, 401000, 226000)),
    ("multinomial", {"n": 4, "logits": (0.0, 900.0, -900.0)}, (1, 2, 1)),
    ("multinomial", {"n": 3, "probs": (1e-30, 0.5, 2.0)}, (2, 1, 0)),
    ("dirichlet", {"a": (0.5, 3.0, 20.0)}, (0.0625, 0.1875, 0.75)),
    ("dirichlet", {"a": (1e-8, 1.0, 2.0)}, (0.5, 0.25, 0.25)),
    ("dirichlet", {"a": (1e6, 3e6, 4e6)}, (0.125, 0.375 - 2.0**-12, 0.5 + 2.0**-12)),
    ("dirichlet", {"a": (2.0, 2.0, 2.0)}, (2.0**-60, 2.0**-40, 1.0)),
    ("dirichlet_multinomial", {"n": 5, "a": (0.5, 3.0, 20.0)}, (3, 2, 0)),
    ("dirichlet_multinomial", {"n": 0, "a": (0.5, 3.0, 20.0)}, (0, 0, 0)),
    ("dirichlet_multinomial", {"n": 100000, "a": (0.5, 3.0, 20.0)}, (10000, 20000, 70000)),
    ("dirichlet_multinomial", {"n": 40, "a": (1e9, 2e9, 1e9)}, (13, 18, 9)),
    ("dirichlet_multinomial", {"n": 6, "a": (1e-8, 1e-3, 1e3)}, (1, 2, 3)),
]
ORACLE = {"multinomial": multinomial, "dirichlet": dirichlet, "dirichlet_multinomial": dirichlet_multinomial}


def build(name, parameters, dtype=F64, grad=False):
    free = {k: torch.tensor(v, dtype=dtype, requires_grad=grad) for k, v in parameters.items() if k != "n"}
    n = parameters.get("n")
    if name == "multinomial":
        return Multinomial(n, **free), free
    if name == "dirichlet":
        return Dirichlet(free["a"]), free
    return DirichletMultinomial(free["a"], n), free


@pytest.mark.parametrize(("name", "parameters", "y"), GRID)
def test_log_prob_and_slopes(name, parameters, y):
    law, free = build(name, parameters, grad=True)
    got = law.log_prob(t(*y))
    exact = {k: [mp.mpf(x) for x in v] if isinstance(v, tuple) else mp.mpf(v) for k, v in parameters.items()}
    with mp.workdps(60):
        point = [mp.mpf(x) for x in y]
        want = ORACLE[name](point, **exact)
        slopes = {}
        for key in free:
            for j in range(len(y)):
                h = mp.mpf(10) ** -25 * (abs(exact[key][j]) or 1)
                up, down = ({**exact, key: [x + s * h * (i == j) for i, x in enumerate(exact[key])]} for s in (1, -1))
                slopes[key, j] = float((ORACLE[name](point, **up) - ORACLE[name](point, **down)) / (2 * h))
    condition = max([1.0, abs(float(want))] + [abs(parameters[k][j] * s) for (k, j), s in slopes.items()])
    assert abs(got.item() - float(want)) <= 1e-12 * condition
    gradients = torch.autograd.grad(got, list(free.values()))
    for key, gradient in zip(free, gradients, strict=True):
        for j, slope in enumerate(gradient.tolist()):
            size = max(abs(slopes[key, j]), condition / max(1.0, abs(parameters[key][j])))
            assert abs(slope - slopes[key, j]) <= 1e-9 * size, (key, j, slope, slopes[key, j])
    law32, free32 = build(name, parameters, torch.float32, grad=True)
    got32 = law32.log_prob(t(*y, dtype=torch.float32))
    assert abs(got32.item() - float(want)) <= 16 * 1.2e-7 * condition
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(got32, list(free32.values())))


LAWS = [
    Multinomial(4, t(0.0, 1.0, -1.0)),
    Multinomial(4, probs=t(0.25, 0.25, 0.5)),
    DirichletMultinomial(t(0.5, 2.0, 4.0), 4),
    Dirichlet(t(0.5, 2.0, 4.0)),
]


@pytest.mark.parametrize("law", LAWS[:3])
def test_sums_over_the_support(law):
    y = counts(4, 3)
    log_mass = law.log_prob(y)
    mass = log_mass.exp()
    torch.testing.assert_close(mass.sum(), t(1.0)[0], rtol=1e-13, atol=0)
    mean = (mass[:, None] * y).sum(0)
    torch.testing.assert_close(law.mean, mean)
    torch.testing.assert_close(law.variance, (mass[:, None] * (y - mean) ** 2).sum(0))
    torch.testing.assert_close(law.entropy(), -(mass * log_mass).sum(), rtol=1e-12, atol=0)
    if isinstance(law, Multinomial):
        torch.testing.assert_close(law.log_prob(law.mode), log_mass.max())


def test_dirichlet_against_scipy():
    law, witness = LAWS[3], scipy.stats.dirichlet([0.5, 2.0, 4.0])
    y = law.sample((50,))
    np.testing.assert_allclose(law.log_prob(y), [witness.logpdf((v / v.sum()).numpy()) for v in y], rtol=1e-9)
    np.testing.assert_allclose(law.entropy(), witness.entropy(), rtol=1e-12)
    np.testing.assert_allclose(law.mean, witness.mean(), rtol=1e-12)
    np.testing.assert_allclose(law.variance, witness.var(), rtol=1e-12)


def test_two_categories():
    """K = 2 is the binomial, the beta-binomial law."""
    y = torch.arange(8, dtype=F64)
    pairs = torch.stack([y, 7 - y], -1)
    torch.testing.assert_close(Multinomial(7, t(0.5, 0.0)).log_prob(pairs), Binomial(7, t(0.5)[0]).log_prob(y))
    want = BetaBinomial(t(0.5)[0], t(2.0)[0], 7).log_prob(y)
    torch.testing.assert_close(DirichletMultinomial(t(0.5, 2.0), 7).log_prob(pairs), want)


@pytest.mark.parametrize("law", LAWS)
@pytest.mark.parametrize("validate", [True, False])
def test_outside(law, validate):
    law = copy.copy(law)
    law._validate_args = validate
    for y in ((-1.0, 3.0, 2.0), (1.0, 1.0, 1.0), (1.5, 1.5, 1.0), (torch.inf, 0.0, 0.0), (-torch.inf, 0.0, 0.0)):
        assert law.log_prob(t(*y)) == -torch.inf
        assert not law.support.check(t(*y))
    assert law.log_prob(t(torch.nan, 1.0, 3.0)).isnan()


@pytest.mark.parametrize("law", LAWS)
def test_no_slope_is_nan_outside(law):
    parameters = {k: getattr(law, k).clone().requires_grad_(k != "total_count") for k, _ in law._stored()}
    free = [p for p in parameters.values() if p.requires_grad]
    for y in ((-1.0, 3.0, 2.0), (1.5, 1.5, 1.0), (torch.inf, 0.0, 0.0), (0.0, 0.0, 4.0), (0.0, 0.0, 1.0)):
        got = type(law)(**parameters, validate_args=False).log_prob(t(*y))
        for slope in torch.autograd.grad(got, free):
            assert not slope.isnan().any()


def test_boundary_of_the_simplex():
    law = Dirichlet(t(0.5, 1.0, 2.0))
    assert law.log_prob(t(0.0, 0.5, 0.5)) == torch.inf
    assert law.log_prob(t(0.5, 0.5, 0.0)) == -torch.inf
    assert law.log_prob(t(0.0, 1.0, 0.0)) == -torch.inf
    torch.testing.assert_close(law.log_prob(t(0.25, 0.0, 0.75)), law.log_prob(t(0.25, 1e-14, 0.75)))


def test_excluded_categories():
    for law in (Multinomial(3, t(0.0, 1.0, -torch.inf)), Multinomial(3, probs=t(0.25, 0.75, 0.0))):
        assert law.log_prob(t(1.0, 2.0, 0.0)) > -torch.inf
        assert law.log_prob(t(1.0, 1.0, 1.0)) == -torch.inf
        assert torch.isfinite(law.entropy())
        assert (law.sample((100,))[:, 2] == 0).all()


@pytest.mark.parametrize("law", LAWS)
def test_protocol(law):
    wide = law.expand((4, 2))
    assert wide.batch_shape == (4, 2)
    assert wide.event_shape == (3,)
    y = wide.sample((5,))
    assert y.shape == (5, 4, 2, 3)
    assert y.dtype == F64
    assert wide.support.check(y).all()
    torch.testing.assert_close(wide.log_prob(y), law.log_prob(y))
    assert wide.to_event(1).log_prob(y).shape == (5, 4)
    assert wide.mean.shape == wide.variance.shape == (4, 2, 3)
    assert wide.entropy().shape == (4, 2)
    for twin in (copy.deepcopy(wide), pickle.loads(pickle.dumps(wide))):
        torch.testing.assert_close(twin.log_prob(y), wide.log_prob(y))
    parameters = {k: getattr(law, k) for k, _ in law._stored()}
    empty = type(law)(**{k: v.expand(0, *v.shape) for k, v in parameters.items()})
    assert empty.log_prob(torch.empty(0, 3, dtype=F64)).shape == (0,)
    assert empty.sample().shape == (0, 3)

    def density(y, **parameters):
        return type(law)(**parameters, validate_args=False).log_prob(y)

    default = torch.distributions.Distribution._validate_args
    try:
        compiled = torch.compile(density, fullgraph=True, backend="eager")(y[:, 0, 0], **parameters)
    finally:  # the first compilation switches validation off for the whole process
        torch.distributions.Distribution.set_default_validate_args(default)
    torch.testing.assert_close(compiled, law.log_prob(y[:, 0, 0]))
    torch.testing.assert_close(
        torch.func.vmap(lambda v: density(v, **parameters))(y[:, 0, 0]), law.log_prob(y[:, 0, 0])
    )
    assert isinstance(law, getattr(pyro.distributions, type(law).__name__))


def test_total_counts_of_rows():
    n = t(2.0, 5.0, 0.0)
    y = torch.tensor([[1.0, 1.0], [2.0, 3.0], [0.0, 0.0]], dtype=F64)
    for law in (Multinomial(n, t(0.0, 1.0)), DirichletMultinomial(t(0.5, 2.0), n)):
        assert law.batch_shape == (3,)
        each = [type(law)(**{**{k: getattr(law, k) for k, _ in law._stored()}, "total_count": k}) for k in n]
        torch.testing.assert_close(law.log_prob(y), torch.stack([a.log_prob(b) for a, b in zip(each, y, strict=True)]))
        draws = law.sample((200,))
        assert (draws.sum(-1) == n).all()


@pytest.mark.parametrize("n", [2, 30])
@pytest.mark.parametrize("name", ["multinomial", "dirichlet_multinomial"])
def test_samples(name, n):
    torch.manual_seed(0)
    law = Multinomial(n, t(0.0, 1.0, -1.0)) if name == "multinomial" else DirichletMultinomial(t(0.5, 2.0, 4.0), n)
    y = counts(n, 3)
    draws = law.sample((20000,))
    found = (draws[:, None] == y).all(-1).sum(0).double()
    expected = 20000 * law.log_prob(y).exp()
    big = expected > 5
    table = [torch.cat([x[big], x[~big].sum()[None]]).numpy() for x in (found, expected)]
    kept = [x[table[1] > 1] for x in table]
    assert scipy.stats.chisquare(kept[0], kept[1] * kept[0].sum() / kept[1].sum()).pvalue > 1e-4


def test_kl():
    y = counts(4, 3)
    p, q = Multinomial(4, t(0.0, 1.0, -1.0)), Multinomial(4, probs=t(0.25, 0.25, 0.5))
    mass = p.log_prob(y).exp()
    torch.testing.assert_close(kl_divergence(p, q), (mass * (p.log_prob(y) - q.log_prob(y))).sum())
    assert kl_divergence(p, Multinomial(5, t(0.0, 1.0, -1.0))) == torch.inf
    assert kl_divergence(p, p) == 0
    a, b = t(0.5, 2.0, 4.0), t(1.5, 2.0, 30.0)
    want = kl_divergence(torch.distributions.Dirichlet(a), torch.distributions.Dirichlet(b))
    torch.testing.assert_close(kl_divergence(Dirichlet(a), Dirichlet(b)), want, rtol=1e-12, atol=0)
    assert abs(kl_divergence(Dirichlet(a), Dirichlet(a))) < 1e-14


@pytest.mark.parametrize(("law", "first"), [(Multinomial, (3,)), (DirichletMultinomial, ()), (Dirichlet, ())])
def test_bad_parameters(law, first):
    with pytest.raises(ValueError, match="shape"):
        law(*first, t(1.0)[0])
    if law is Multinomial:
        with pytest.raises(TypeError, match="neither"):
            Multinomial(3)
        with pytest.raises(TypeError, match="both"):
            Multinomial(3, t(0.0, 1.0), probs=t(0.5, 0.5))
        with pytest.raises(ValueError, match="total_count"):
            Multinomial(2.5, t(0.0, 1.0))
    else:
        with pytest.raises(ValueError, match="concentration"):
            law(t(1.0, -1.0))


@pytest.mark.parametrize("law", LAWS)
def test_blocks_of_large_float32_batches(law):
    """Large float32 batches take the fused path; values and slopes are those of float64."""
    torch.manual_seed(0)
    rows = 20000
    y = law.sample((rows,))
    if isinstance(law, Dirichlet):  # the rounding of a share near 0 is a change of the point
        y = y.float().clamp(min=1e-30).double()
    found = []
    for dtype in (torch.float64, torch.float32):
        parameters = {k: getattr(law, k).to(dtype) for k, _ in law._stored()}
        name = next(k for k in parameters if k != "total_count")
        parameters[name] = parameters[name].expand(rows, 3).clone().requires_grad_()
        got = type(law)(**parameters).log_prob(y.to(dtype))
        (slope,) = torch.autograd.grad(got.sum(), parameters[name])
        found.append((got.detach().double(), slope.double()))
    torch.testing.assert_close(found[1][0], found[0][0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(found[1][1], found[0][1], rtol=1e-5, atol=2e-5)


@pytest.mark.parametrize("rows", [5, 1000])
@pytest.mark.parametrize("law", LAWS)
def test_curvature(law, rows):
    """Second slopes, through the plain path of float32 too, are differences of the first."""
    y = law.sample((rows,))
    for dtype, step, tolerance in ((torch.float64, 1e-5, 1e-6), (torch.float32, 1e-2, 2e-2)):
        parameters = {k: getattr(law, k).to(dtype) for k, _ in law._stored()}
        name = next(k for k in parameters if k != "total_count")
        x = parameters[name].expand(rows, 3).clone().requires_grad_()

        def slope(x, parameters=parameters, name=name, dtype=dtype, create=False):
            got = type(law)(**{**parameters, name: x}, validate_args=False).log_prob(y.to(dtype))
            return torch.autograd.grad(got.sum(), x, create_graph=create)[0]

        direction = torch.ones_like(x) * torch.tensor([1.0, -0.5, 0.25], dtype=dtype)
        exact = torch.autograd.grad((slope(x, create=True) * direction).sum(), x)[0]
        ends = [slope((x + s * step * direction).detach().requires_grad_()) for s in (1, -1)]
        rough = (ends[0] - ends[1]) / (2 * step)
        assert (exact - rough).abs().max() <= tolerance * exact.abs().max().clamp(min=1.0)
