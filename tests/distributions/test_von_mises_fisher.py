"""The von Mises-Fisher law: what the battery checks of laws on the line, on spheres of 1 to 1023 dimensions."""

import copy
import math
import pickle

import mpmath as mp
import pytest
import scipy.stats
import torch
from torch.distributions import kl_divergence

from likelihoods.bessel import Sphere
from likelihoods.distributions import VonMises, VonMisesFisher

F64 = torch.float64
DIMS = (2, 3, 4, 10, 81, 82, 300, 1024)
CONCENTRATIONS = (1e-8, 1e-3, 0.7, 5.0, 60.0, 2e3, 1e6)


def t(x):
    return torch.tensor(x, dtype=F64)


def axis(dim, index=0, dtype=F64):
    return torch.eye(dim, dtype=dtype)[index]


def unit(*shape, seed=0):
    noise = torch.randn(shape, dtype=F64, generator=torch.Generator().manual_seed(seed))
    return noise / noise.norm(dim=-1, keepdim=True)


def log_normalizer(dim, x):
    order = mp.mpf(dim) / 2 - 1
    return order * mp.log(x) - mp.mpf(dim) / 2 * mp.log(2 * mp.pi) - mp.log(mp.besseli(order, x)) + x


def resultant(dim, x):
    order = mp.mpf(dim) / 2 - 1
    return mp.besseli(order + 1, x) / mp.besseli(order, x)


@pytest.mark.parametrize("dim", DIMS)
def test_bessel_functions(dim):
    x = t(CONCENTRATIONS).requires_grad_()
    sphere = Sphere(dim)
    value, gap, ratio = sphere.log_normalizer(x), sphere.gap(x), sphere.ratio(x)
    slope = torch.autograd.grad(value.sum(), x, create_graph=True)[0]
    curvature = torch.autograd.grad(slope.sum(), x)[0]
    with mp.workdps(60):
        for i, k in enumerate(map(mp.mpf, CONCENTRATIONS)):
            a = resultant(dim, k)
            want = float(log_normalizer(dim, k))
            assert abs(value[i].item() - want) <= 2e-13 * max(1.0, abs(want))
            assert gap[i].item() == pytest.approx(float(1 - a), rel=1e-12)
            assert slope[i].item() == pytest.approx(float(1 - a), rel=1e-12)
            assert ratio[i].item() == pytest.approx(float(a / k), rel=1e-13)
            if k < 1e4:  # 1 - A² - (dim - 1) A/k cancels beyond
                assert curvature[i].item() == pytest.approx(float(a * a - 1 + (dim - 1) * a / k), rel=1e-7)


@pytest.mark.parametrize("dim", DIMS)
def test_log_prob_and_slopes(dim):
    loc, y = unit(dim, seed=1).requires_grad_(), unit(3, dim, seed=2).requires_grad_()
    for k in CONCENTRATIONS:
        for dtype in (F64, torch.float32):
            x = torch.tensor(k, dtype=dtype, requires_grad=True)
            mean, point = loc.to(dtype), y.to(dtype)
            got = VonMisesFisher(mean, x).log_prob(point)
            with mp.workdps(60):
                a, b = mean.double().tolist(), point.double().tolist()
                distance = [mp.fsum((mp.mpf(u) - mp.mpf(v)) ** 2 for u, v in zip(a, row, strict=True)) / 2 for row in b]
                want = [float(log_normalizer(dim, mp.mpf(x.item())) - mp.mpf(x.item()) * d) for d in distance]
                gap = float(1 - resultant(dim, mp.mpf(x.item())))
            eps = 1e-13 if dtype == F64 else 8 * 1.2e-7
            assert got.tolist() == pytest.approx(want, rel=10 * eps, abs=10 * eps)
            slope = torch.autograd.grad(got.sum(), x)[0].item()
            assert slope == pytest.approx(sum(gap - float(d) for d in distance), rel=20 * eps, abs=20 * eps)


def test_large_in_float32():
    law = VonMisesFisher(axis(512, dtype=torch.float32), torch.tensor([1e-30, 1.0, 1e8], requires_grad=True))
    got = law.log_prob(axis(512, dtype=torch.float32))
    assert torch.isfinite(got).all()
    assert torch.isfinite(torch.autograd.grad(got.sum(), law.concentration)[0]).all()


def test_outside():
    k = t(2.0).requires_grad_()
    y = t(
        [[0.0, 0.0, 1.0], [0.0, 0.0, 1.001], [0.0, 0.0, 0.0], [1e30, 0.0, 0.0], [math.nan, 0.0, 1.0]]
    ).requires_grad_()
    for validate in (True, False):
        got = VonMisesFisher(axis(3), k, validate_args=validate).log_prob(y)
        assert got[0].isfinite()
        assert (got[1:4] == -math.inf).all()
        assert got[4].isnan()
    slopes = torch.autograd.grad(VonMisesFisher(axis(3), k).log_prob(y[:4]).sum(), [k, y])
    assert all(torch.isfinite(slope).all() for slope in slopes)
    near = VonMisesFisher(axis(3, dtype=torch.float32), 1.0).log_prob(
        torch.nn.functional.normalize(torch.randn(1000, 3), dim=-1)
    )
    assert near.isfinite().all()


@pytest.mark.parametrize("k", [0.01, 1.0, 40.0])
def test_total_mass_moments_entropy_in_three_dimensions(k):
    law = VonMisesFisher(axis(3), t(k))
    cosine = torch.linspace(-1, 1, 20001, dtype=F64)
    y = torch.stack([cosine, (1 - cosine**2).clamp(min=0).sqrt(), torch.zeros_like(cosine)], -1)
    log_density = law.log_prob(y)
    mass = log_density.exp()

    def integral(f):
        return 2 * math.pi * torch.trapezoid(f, cosine)

    assert integral(mass).item() == pytest.approx(1, rel=1e-5)
    mean = integral(cosine * mass)
    torch.testing.assert_close(law.mean, mean * axis(3), rtol=1e-6, atol=1e-6)
    across = integral(0.5 * (1 - cosine**2) * mass)
    torch.testing.assert_close(
        law.variance, torch.stack([integral((cosine - mean) ** 2 * mass), across, across]), rtol=1e-5, atol=0
    )
    assert law.entropy().item() == pytest.approx(integral(-log_density * mass).item(), rel=1e-5)


@pytest.mark.parametrize("dim", [2, 3, 10, 1024])
@pytest.mark.parametrize("k", [0.0, 0.5, 30.0, 1e4])
def test_against_scipy(dim, k):
    if k == 0:
        surface = 2 * math.pi ** (dim / 2) / math.gamma(dim / 2) if dim < 300 else None
        if surface:
            assert VonMisesFisher(axis(dim), t(k)).entropy().item() == pytest.approx(math.log(surface), rel=1e-12)
        return
    law, other = VonMisesFisher(unit(dim, seed=3), t(k)), scipy.stats.vonmises_fisher(unit(dim, seed=3).numpy(), k)
    y = unit(4, dim, seed=4)
    with pytest.warns(RuntimeWarning) if dim == 1024 and k < 100 else _quiet():  # scipy's scaled Bessel function is 0
        want = other.logpdf(y.numpy())
    if dim < 1024 or k >= 1e4:
        assert law.log_prob(y).tolist() == pytest.approx(want.tolist(), rel=1e-9)
    else:
        assert law.log_prob(y).isfinite().all()


class _quiet:
    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


def test_two_dimensions_is_von_mises():
    angle, k = t([0.3, -2.0, 3.0]), t(4.0)
    y = torch.stack([angle.cos(), angle.sin()], -1)
    got = VonMisesFisher(t([math.cos(1.0), math.sin(1.0)]), k).log_prob(y)
    torch.testing.assert_close(got, VonMises(t(1.0), k).log_prob(angle), rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("dim", [2, 3, 8, 200])
@pytest.mark.parametrize("k", [1e-4, 2.0, 150.0, 1e7])
def test_samples(dim, k):
    torch.manual_seed(0)
    law = VonMisesFisher(unit(dim, seed=5), t(k))
    y = law.sample((4000,))
    assert law.support.check(y).all()
    torch.testing.assert_close(
        law.log_prob(y).mean(), -law.entropy(), rtol=0, atol=6 * (law.log_prob(y).std() / 4000**0.5).item()
    )
    error = (y.mean(0) - law.mean) / (law.variance / 4000).sqrt()
    assert error.abs().max() < 5.5
    if dim == 3:
        u = torch.special.expm1(-k * (1 - y @ law.loc)) / torch.special.expm1(t(-2 * k))
        assert scipy.stats.kstest(u.numpy(), "uniform").pvalue > 1e-4
    assert law.sample((2, 3)).shape == (2, 3, dim)
    assert VonMisesFisher(law.loc.float(), torch.tensor(k).float()).sample().dtype == torch.float32


@pytest.mark.parametrize("dim", [2, 3, 5, 64])
@pytest.mark.parametrize("k", [0.3, 6.0, 300.0])
def test_rsample_slopes(dim, k):
    """E f(Y) = E loc'·Y is known, and so are its slopes in both parameters."""
    torch.manual_seed(1)
    n, direction = 20000, unit(dim, seed=6)
    x, loc = t(k).requires_grad_(), unit(dim, seed=7).requires_grad_()
    y = VonMisesFisher(loc, x.expand(n)).rsample()
    assert y.requires_grad
    want = torch.autograd.grad((VonMisesFisher(loc, x).mean * direction).sum(), [x, loc])
    f = y @ direction
    got = torch.autograd.grad(f.mean(), [x, loc], retain_graph=True)
    per = torch.autograd.grad(f[:500].sum(), x, retain_graph=True)[0] / 500
    assert abs(got[0] - want[0]) <= 0.05 * abs(want[0]) + 5 * abs(per - got[0]) + 1e-4
    tangent = torch.eye(dim, dtype=F64) - torch.outer(
        loc.detach(), loc.detach()
    )  # only the slope along the sphere counts
    torch.testing.assert_close(tangent @ got[1], tangent @ want[1], rtol=0, atol=0.05)


def test_implicit_slope_in_three_dimensions():
    """There the cdf of the cosine has a formula: (1 - exp(-k s)) / (1 - exp(-2k)) for s = 1 - loc·y."""
    torch.manual_seed(2)
    k = t(3.0).requires_grad_()
    s = 1 - VonMisesFisher(axis(3), k.expand(50)).rsample()[:, 0]
    got = torch.stack([torch.autograd.grad(part, k, retain_graph=True)[0] for part in s])
    s = s.detach()
    cdf = torch.expm1(-k * s) / torch.expm1(-2 * k)
    change = torch.stack([torch.autograd.grad(part, k, retain_graph=True)[0] for part in cdf])
    density = k * torch.exp(-k * s) / -torch.expm1(-2 * k)
    torch.testing.assert_close(got, -change / density, rtol=1e-7, atol=0)  # s itself has lost digits


@pytest.mark.parametrize("dim", [2, 3, 40])
def test_kl(dim):
    p, q = VonMisesFisher(axis(dim), t(5.0)), VonMisesFisher(unit(dim, seed=8), t(2.0))
    torch.manual_seed(3)
    y = p.sample((40000,))
    ratio = p.log_prob(y) - q.log_prob(y)
    assert abs(kl_divergence(p, q) - ratio.mean()) < 5 * ratio.std() / 200
    assert kl_divergence(p, p).item() == pytest.approx(0, abs=1e-14)
    uniform = VonMisesFisher(axis(dim, 1), t(0.0))
    surface = math.log(2) + dim / 2 * math.log(math.pi) - math.lgamma(dim / 2)
    assert kl_divergence(p, uniform).item() == pytest.approx(surface - p.entropy().item(), rel=1e-12)
    k = t(5.0).requires_grad_()
    assert torch.autograd.gradcheck(lambda k: kl_divergence(VonMisesFisher(axis(dim), k), q), (k,))
    with pytest.raises(ValueError, match="dimensions"):
        kl_divergence(p, VonMisesFisher(axis(dim + 1), t(1.0)))


def test_protocol():
    loc, k = unit(3, 1, 4, seed=9), t([0.5, 20.0])
    law = VonMisesFisher(loc, k)
    assert (law.batch_shape, law.event_shape) == ((3, 2), (4,))
    assert law.mean.shape == law.variance.shape == law.mode.shape == (3, 2, 4)
    assert law.entropy().shape == (3, 2)
    assert law.sample((5,)).shape == law.rsample((5,)).shape == (5, 3, 2, 4)
    y = unit(4, seed=10)
    assert law.log_prob(y).shape == (3, 2)
    wide = law.expand((7, 3, 2))
    torch.testing.assert_close(wide.log_prob(y), law.log_prob(y).expand(7, 3, 2))
    assert wide.sample().shape == (7, 3, 2, 4)
    assert law.to_event(1).log_prob(y.expand(3, 2, 4)).shape == (3,)
    for copied in (pickle.loads(pickle.dumps(law)), copy.deepcopy(law)):
        torch.testing.assert_close(copied.log_prob(y), law.log_prob(y))
    empty = VonMisesFisher(loc[:0], k)
    assert empty.sample().shape == (0, 2, 4)
    assert empty.log_prob(y).shape == (0, 2)
    assert VonMisesFisher.infer_shapes(loc=(3, 1, 4), concentration=(2,)) == ((3, 2), (4,))
    assert "VonMisesFisher" in repr(law)
    with pytest.raises(ValueError, match="loc"):
        VonMisesFisher(t([1.0, 1.0]), 1.0)
    with pytest.raises(ValueError, match="concentration"):
        VonMisesFisher(axis(3), -1.0)
    with pytest.raises(ValueError, match=r"unit vectors"):
        VonMisesFisher(1.0, 1.0)
    with pytest.raises(ValueError, match=r"shape \(1,\)"):
        VonMisesFisher(t([1.0]), 1.0)


def test_transforms():
    loc, k, y = unit(5, 4, seed=11), torch.linspace(0.5, 9, 5, dtype=F64), unit(5, 4, seed=12)

    def density(y, loc, k):
        return VonMisesFisher(loc, k, validate_args=False).log_prob(y)

    want = density(y, loc, k)
    torch.testing.assert_close(torch.func.vmap(density)(y, loc, k), want)
    slope = torch.func.vmap(torch.func.grad(density, argnums=2))(y, loc, k)
    x = k.clone().requires_grad_()
    torch.testing.assert_close(slope, torch.autograd.grad(density(y, loc, x).sum(), x)[0])
    assert torch.autograd.gradcheck(
        lambda y, x: density(y * 1.0, loc, x), (y[:, :].clone().requires_grad_(), x), atol=1e-4, eps=1e-7
    )
    assert torch.autograd.gradgradcheck(lambda x: density(y, loc, x), (x,))
    for validate in (True, False):
        default = torch.distributions.Distribution._validate_args
        try:
            torch._dynamo.reset()
            compiled = torch.compile(
                lambda y, loc, k, v=validate: VonMisesFisher(loc, k, validate_args=v).log_prob(y),
                fullgraph=True,
                backend="eager",
            )
            torch.testing.assert_close(compiled(y, loc, k), want)
        finally:
            torch.distributions.Distribution.set_default_validate_args(default)
