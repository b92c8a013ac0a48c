"""Two formulas for one law: the short one for moderate numbers and the stable one, which must not be told apart."""

import sys

import pytest
import torch

from likelihoods import distributions as D
from likelihoods import wide
from likelihoods.distributions import looks
from tests.distributions.rows import blind

SHARES = torch.tensor([0.2, 0.5, 0.3], dtype=torch.float64)
COUNTS = torch.tensor([3.0, 9.0, 8.0], dtype=torch.float64)

# the law with the parameter x that decides, as large as it may be just below and at the limit, and a likely value
LAWS = {
    "Gamma": (lambda x: D.Gamma(x, 0.1 * x), 9.7),
    "Gamma by mean": (lambda x: D.Gamma(mean=10.0 + 0 * x, concentration=x), 9.7),
    "InverseGamma": (lambda x: D.InverseGamma(x, 10.0 * x), 9.7),
    "Beta": (lambda x: D.Beta(x, 0.5 * x), 0.65),
    "Beta by mean": (lambda x: D.Beta(mean=0.7 + 0 * x, precision=x), 0.65),
    "StudentT": (lambda x: D.StudentT(x, x - 1.0, 2.0 + 0 * x), 98.0),
    "Poisson": (lambda x: D.Poisson(x), "count"),
    "NegativeBinomial": (lambda x: D.NegativeBinomial(x, 0 * x - 1.5), 22.0),
    "NegativeBinomial by probs": (lambda x: D.NegativeBinomial(x, probs=0 * x + 0.2), 22.0),
    "NegativeBinomial by mean": (lambda x: D.NegativeBinomial(mean=20.0 + 0 * x, dispersion=1.0 / x), 22.0),
    "Binomial": (lambda x: D.Binomial(x.detach().floor(), 0 * x - 2.0), 3.0),
    "Binomial by probs": (lambda x: D.Binomial(x.detach().floor(), probs=0 * x + 0.1), 3.0),
    "BetaBinomial": (lambda x: D.BetaBinomial(x, 0.5 * x, x.detach().floor()), 3.0),
    "Dirichlet": (lambda x: D.Dirichlet(x * SHARES.to(x.dtype)), SHARES + torch.tensor([0.02, -0.03, 0.01])),
    "DirichletMultinomial": (lambda x: D.DirichletMultinomial(x * SHARES.to(x.dtype), 20.0 + 0 * x.detach()), COUNTS),
    "ZeroInflated Poisson": (lambda x: D.ZeroInflated(D.Poisson(x), 0 * x), "count"),
}


def density(name: str, x: torch.Tensor) -> torch.Tensor:
    """Return the log-density at the law's likely value, for Poisson's laws at the count x itself."""
    make, value = LAWS[name]
    y = x.detach().floor() if value == "count" else torch.as_tensor(value, dtype=torch.float64).to(x.dtype)
    return make(x).log_prob(y)


@pytest.fixture
def short(monkeypatch) -> list[str]:
    """Return a list that grows by one where a law takes the short formula."""
    taken: list[str] = []
    original = wide.by_blocks

    def spy(*arguments):
        taken.append("short")
        return original(*arguments)

    for name, module in list(sys.modules.items()):
        if name.startswith("likelihoods.distributions.") and hasattr(module, "by_blocks"):
            monkeypatch.setattr(module, "by_blocks", spy)
    return taken


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("name", LAWS)
def test_they_agree_up_to_the_limit(name, dtype, short):
    """Values and slopes agree to rounding; float32's limit is higher, but its law would be told a value far from its mode."""
    for share in (0.04, 0.3, 0.97):
        x = torch.tensor(share * looks.LIMIT, dtype=dtype, requires_grad=True)
        short.clear()
        got = density(name, x)
        assert short, "the short formula was not taken"
        (slope,) = torch.autograd.grad(got, x)
        with blind():
            want = density(name, x)
            (stable,) = torch.autograd.grad(want, x)
        assert len(short) == 1, "the stable formula was not taken"
        eps = torch.finfo(dtype).eps
        size = 1e-12 if dtype == torch.float64 else 8 * eps * (1.0 + float((x.detach() * stable).abs()))
        torch.testing.assert_close(got, want, rtol=size, atol=size)
        torch.testing.assert_close(slope, stable, rtol=64 * eps, atol=64 * eps)


@pytest.mark.parametrize("name", LAWS)
def test_beyond_the_limit_the_stable_formula_is_taken(name, short):
    density(name, torch.tensor(1.25 * looks.LIMIT * (1.0 + ("NegativeBinomial" in name)), dtype=torch.float64))
    assert not short


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_vmap_and_compiled_code_agree_with_eager(name, short, monkeypatch):
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)
    x = torch.tensor([7.0, 30.0, 90.0], dtype=torch.float64)
    want = torch.stack([density(name, each) for each in x])
    assert len(short) == 3
    torch.testing.assert_close(torch.func.vmap(lambda each: density(name, each))(x), want, rtol=1e-12, atol=1e-12)
    torch._dynamo.reset()
    compiled = torch.compile(lambda each: density(name, each), fullgraph=True, backend="eager")
    torch.testing.assert_close(torch.stack([compiled(each) for each in x]), want, rtol=1e-12, atol=1e-12)
    assert len(short) == 3, "looked at numbers in vmap or in compiled code"


def test_one_number_decides_for_a_whole_tensor():
    """A value outside the support, NaN or an empty tensor changes no other row's value, beyond rounding."""
    concentration = torch.tensor([0.5, 3.0, 7.0], dtype=torch.float64)
    law, y = D.Gamma(concentration, 2.0), torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    for odd in (-1.0, torch.nan, torch.inf, 0.0):
        mixed = torch.where(torch.arange(3) == 1, odd, y)
        torch.testing.assert_close(law.log_prob(mixed)[::2], law.log_prob(y)[::2], rtol=1e-13, atol=1e-13)
    assert D.Gamma(concentration[:0], 2.0).log_prob(y[:0]).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_many_numbers_by_blocks(dtype):
    """More rows than a block has: values and slopes are those of the rows by themselves."""
    torch.manual_seed(0)
    n = 40_000
    a, b, y = (torch.rand(n, dtype=dtype) * 5.0 + 0.1 for _ in range(3))
    count = (y * 3.0).floor()
    laws = {
        "Gamma": (D.Gamma, y),
        "Beta": (D.Beta, y / 6.0),
        "NegativeBinomial": (D.NegativeBinomial, count),
        "one shape": (lambda a, b: D.Gamma(a[:1], b), y),
        "Dirichlet": (lambda a, b: D.Dirichlet(torch.stack([a, b], -1)), torch.stack([y / 6.0, 1.0 - y / 6.0], -1)),
        "one rate": (lambda a, b: D.Gamma(a, b[:1]), y),
    }
    for name, (law, value) in laws.items():
        p, q = a.clone().requires_grad_(), b.clone().requires_grad_()
        got = law(p, q).log_prob(value)
        slopes = torch.autograd.grad(got.sum(), (p, q))
        with blind():
            want = law(p, q).log_prob(value)
            stable = torch.autograd.grad(want.sum(), (p, q))
        tolerance = 1e-12 if dtype == torch.float64 else 1e-5
        torch.testing.assert_close(
            got, want, rtol=tolerance, atol=tolerance, msg=lambda text, name=name: f"{name}: {text}"
        )
        for one, other in zip(slopes, stable, strict=True):
            torch.testing.assert_close(one, other, rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
@pytest.mark.parametrize("gates", [slice(None), slice(1)], ids=["gates", "one gate"])
def test_many_zero_inflated_values_have_the_slopes_of_few(dtype, gates):
    """Many values have slopes of their own, first and second; few have autograd's."""
    torch.manual_seed(0)
    n = 40_000
    gate, rate = (torch.randn(n, dtype=dtype) * 6.0)[gates], torch.rand(n, dtype=dtype) * 5.0 + 0.1
    count = torch.poisson(rate) * (torch.rand(n) < 0.5)

    def value_and_slopes(size):
        p, q = gate.clone().requires_grad_(), rate.clone().requires_grad_()
        rows = zip(p.expand(n).split(size), q.split(size), count.split(size), strict=True)
        each = torch.cat([D.ZeroInflated(D.Poisson(b), a).log_prob(y) for a, b, y in rows])
        first = torch.autograd.grad(each.sum(), (p, q), create_graph=True)
        second = torch.autograd.grad(first[0].sum() + first[1].sum(), (p, q))
        return each, *first, *second

    tolerance = 1e-11 if dtype == torch.float64 else 2e-5
    for many, few in zip(value_and_slopes(n), value_and_slopes(1000), strict=True):
        torch.testing.assert_close(many, few, rtol=tolerance, atol=tolerance)
