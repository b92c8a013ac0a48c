"""Kullback-Leibler divergences against closed forms, sums and integrals written here, and the faults of torch's own."""

import itertools
import math
import warnings

import mpmath as mp
import numpy as np
import pytest
import scipy.integrate
import scipy.special as sp
import scipy.stats as st
import torch
import torch.distributions as td
from torch.distributions import kl_divergence

import likelihoods as lk
from likelihoods import distributions as d
from likelihoods.divergences import kl, monte_carlo
from likelihoods.divergences.quadrature import quadrature_kl

EULER = 0.57721566490153286


def t(value):
    return torch.tensor(value, dtype=torch.float64)


def integral(q, p, low, high, *points):
    """scipy's own laws, one after another stretch between the given points."""
    cuts = [low, *points, high]
    parts = itertools.pairwise(cuts)
    return sum(
        scipy.integrate.quad(
            lambda x: np.exp(q.logpdf(x)) * (q.logpdf(x) - p.logpdf(x)), a, b, epsabs=1e-13, epsrel=1e-12, limit=200
        )[0]
        for a, b in parts
    )


def total(q, p, most):
    k = np.arange(most)
    log_q = q.logpmf(k)
    return float(np.sum(np.exp(log_q) * np.where(log_q > -np.inf, log_q - p.logpmf(k), 0.0)))


DENSITIES = {
    "normal, t": (d.Normal(t(0.5), 2.0), d.StudentT(t(3.0), 0.0, 1.0), st.norm(0.5, 2), st.t(3), -80, 80),
    "normal, cauchy": (d.Normal(t(0.0), 1.0), d.Cauchy(t(0.0), 1.0), st.norm(), st.cauchy(), -40, 40),
    "t, logistic": (d.StudentT(t(5.0), 0.0, 1.0), d.Logistic(t(1.0), 2.0), st.t(5), st.logistic(1, 2), -np.inf, np.inf),
    "gumbel, laplace": (d.Gumbel(t(0.0), 1.0), d.Laplace(t(1.0), 0.5), st.gumbel_r(), st.laplace(1, 0.5), -8, 60),
    "log-normal, weibull": (
        d.LogNormal(t(0.0), 1.0), d.Weibull(t(2.0), 1.3), st.lognorm(1), st.weibull_min(1.3, scale=2.0), 0, np.inf,
    ),
    "beta, kumaraswamy": (
        d.Beta(t(2.0), 3.0), d.Kumaraswamy(t(2.0), 2.5), st.beta(2, 3),
        type("Kumaraswamy", (), {"logpdf": staticmethod(
            lambda x: np.log(2.0 * 2.5) + np.log(x) + 1.5 * np.log1p(-(x**2)))}), 0, 1,
    ),
    "torch's t": (td.StudentT(t(5.0)), td.Cauchy(t(0.0), t(1.0)), st.t(5), st.cauchy(), -np.inf, np.inf),
    "uniform, t": (d.Uniform(t(-1.0), 3.0), d.StudentT(t(1.5), 0.0, 1.0), st.uniform(-1, 4), st.t(1.5), -1, 3),
    "narrow p": (d.Normal(t(0.0), 1.0), d.StudentT(t(4.0), 0.3, 1e-4), st.norm(), st.t(4, 0.3, 1e-4), -40, 40),
}  # fmt: skip


@pytest.mark.parametrize("name", DENSITIES)
def test_quadrature(name):
    q, p, own, other, low, high = DENSITIES[name]
    points = [own.ppf(u) for u in (1e-6, 1e-3, 0.1, 0.5, 0.9, 0.999, 1 - 1e-6)]
    points += [x for x in (-1.0, 0.299, 0.3, 0.301, 0.9999, 1.0, 1.0001) if low < x < high]
    want = integral(own, other, low, high, *sorted(x for x in points if low < x < high))
    value, method, error = kl(q, p)
    assert (method, error) in (("quadrature", None), ("closed form", None))
    assert float(value) == pytest.approx(want, rel=1e-8, abs=1e-9)
    assert float(quadrature_kl(q, p)) == pytest.approx(want, rel=1e-8, abs=1e-9)


MASSES = {
    "poisson, nb": (d.Poisson(t(3.0)), d.NegativeBinomial(t(2.0), t(0.3)), st.poisson(3), None, 200),
    "binomial, poisson": (d.Binomial(t(10.0), t(0.4)), d.Poisson(t(3.0)), st.binom(10, sp.expit(0.4)), st.poisson(3), 11),
    "geometric, poisson": (d.Geometric(t(0.0)), d.Poisson(t(1.0)), st.geom(0.5, -1), st.poisson(1), 400),
    "binomials": (
        td.Binomial(10, t(0.3)), td.Binomial(15, t(0.1)), st.binom(10, 0.3), st.binom(15, 0.1), 11,
    ),
    "torch's binomial at p = 1": (td.Binomial(10, t(1.0)), td.Binomial(10, t(0.5)), st.binom(10, 1.0), st.binom(10, 0.5), 11),
    "a million": (d.Poisson(t(1e6)), d.NegativeBinomial(t(2.0), t(0.3)), st.poisson(1e6), None, 1_100_000),
    "beta-binomial": (
        d.BetaBinomial(t(2.0), 3.0, 7.0), d.Binomial(t(9.0), t(0.0)), st.betabinom(7, 2, 3), st.binom(9, 0.5), 8,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MASSES)
def test_enumeration(name):
    q, p, own, other, most = MASSES[name]
    other = st.nbinom(2.0, 1 - sp.expit(0.3)) if other is None else other
    value, method, error = kl(q, p)
    assert (method, error) == ("enumeration", None)
    assert float(value) == pytest.approx(
        total(own, other, most), rel=1e-8
    )  # scipy's binom and nbinom have no more digits


def test_lattice_that_is_no_count():
    q, p = (d.Discretized(base, 0.5) for base in (d.Normal(t(0.2), 1.0), d.Logistic(t(0.0), 1.0)))
    edges = np.arange(-20.25, 20.5, 0.5)
    masses = [np.diff(law.cdf(edges)) for law in (st.norm(0.2), st.logistic())]
    want = np.sum(masses[0] * np.log(np.maximum(masses[0], 1e-300) / masses[1]))
    assert float(kl(q, p).value) == pytest.approx(want, rel=1e-9)


def test_categories_of_other_number():
    few, more = d.Categorical(t([0.0, 1.0])), d.Categorical(t([0.0, 1.0, 2.0]))
    want = (few.probs * (few.logits - more.logits[:2])).sum()
    assert kl(few, more) == (pytest.approx(float(want)), "enumeration", None)
    assert kl(more, few).value == math.inf
    excluded = d.Categorical(probs=t([0.5, 0.5, 0.0]))
    assert kl(more, excluded).value == math.inf
    assert float(kl(excluded, more).value) == pytest.approx(
        float((excluded.probs[:2] * (math.log(0.5) - more.logits[:2])).sum())
    )


@pytest.mark.parametrize(
    ("q", "p", "want"),
    [  # math.md §6.2 and §6.3
        (d.Weibull(t(2.0), 1.5), d.Weibull(t(3.0), 0.7),
         math.log(1.5 / 2**1.5) - math.log(0.7 / 3**0.7) + 0.8 * (math.log(2) - EULER / 1.5)
         + (2 / 3) ** 0.7 * math.gamma(0.7 / 1.5 + 1) - 1),
        (d.StudentT(t(5.0), 1.0, 2.0), d.Normal(t(0.0), 3.0),
         -(3 * (sp.digamma(3) - sp.digamma(2.5)) + 0.5 * math.log(5) + sp.betaln(2.5, 0.5) + math.log(2))
         + 0.5 * math.log(2 * math.pi * 9) + (4 * 5 / 3 + 1) / 18),
        (d.Logistic(t(1.0), 2.0), d.Normal(t(0.0), 3.0),
         -math.log(2) - 2 + 0.5 * math.log(2 * math.pi * 9) + (math.pi**2 * 4 / 3 + 1) / 18),
        (d.Gamma(t(3.0), 2.0), d.InverseGamma(t(2.0), 1.5),
         -(3 - math.log(2) + sp.gammaln(3) - 2 * sp.digamma(3)) - 2 * math.log(1.5) + sp.gammaln(2)
         + 3 * (sp.digamma(3) - math.log(2)) + 1.5 * 2 / 2),
        (td.HalfCauchy(t(3.0)), td.HalfCauchy(t(1.0)), math.log(16 / 12)),
        (d.HalfCauchy(t(3.0)), d.HalfCauchy(t(1.0)), math.log(16 / 12)),
        (d.ContinuousBernoulli(t(3.0)), d.ContinuousBernoulli(t(-1.0)), None),
        (d.Kumaraswamy(t(2.0), 3.0), d.Kumaraswamy(t(2.0), 5.0), math.log(3 / 5) + 5 / 3 - 1),
        (d.VonMises(t(0.3), 2.0), d.VonMises(t(1.0), 0.5),
         sp.i1e(2) / sp.i0e(2) * (2 - 0.5 * math.cos(0.7)) - math.log(sp.i0(2)) + math.log(sp.i0(0.5))),
        (d.Uniform(t(0.2), 0.7), d.Beta(t(2.0), 3.0), None),
        (d.Exponential(t(2.0)), d.Gamma(t(3.0), 0.5), None),
    ],
)  # fmt: skip
def test_closed_forms(q, p, want):
    value, method, _ = kl(q, p)
    low, high = (
        (0.0, 1.0) if isinstance(q, d.ContinuousBernoulli) else (0.2, 0.7) if isinstance(q, d.Uniform) else (0, 60)
    )
    if want is None:

        def ratio(x):
            log_q = q.log_prob(t(x))
            return float(log_q.exp() * (log_q - p.log_prob(t(x))))

        want = scipy.integrate.quad(ratio, low, high, epsabs=1e-12)[0]
    assert float(value) == pytest.approx(want, rel=1e-9)
    assert method in ("closed form", "quadrature")


# The supports


SUPPORTS = [
    (d.Normal(t(0.0), 1.0), d.Gamma(t(1.0), 1.0), [math.inf]),
    (d.Gamma(t(1.0), 1.0), d.Beta(t(1.0), 2.0), [math.inf]),
    (d.Uniform(t([0.0, -1.0, 0.2]), t([1.0, 0.5, 0.8])), d.Beta(t(2.0), 3.0), [None, math.inf, None]),
    (d.Uniform(t(0.0), 1.0), d.Uniform(t([0.0, 0.5]), t([2.0, 2.0])), [math.log(2.0), math.inf]),
    (d.Pareto(t([1.0, 2.0]), 3.0), d.Pareto(t(1.5), 3.0), [math.inf, 3.0 * math.log(2.0 / 1.5)]),
    (d.Exponential(t(1.0)), d.Pareto(t(1.0), 3.0), [math.inf]),
    (d.GeneralizedPareto(t(0.0), 1.0, t([-0.5, 0.5])), d.Uniform(t(0.0), 2.0), [None, math.inf]),
    (d.Binomial(t([5.0, 9.0]), t(0.0)), d.Binomial(t(7.0), t(0.0)), [None, math.inf]),
    (d.Binomial(t([1.0, 2.0]), t(0.0)), d.Bernoulli(t(0.0)), [0.0, math.inf]),
    (d.Poisson(t(1.0)), d.Binomial(t(7.0), t(0.0)), [math.inf]),
    (td.Poisson(t(1.0)), td.Bernoulli(t(0.5)), [math.inf]),
    (d.Poisson(t(1.0)), d.Gamma(t(1.0), 1.0), [math.inf]),  # a mass against a density
    (d.Gamma(t(1.0), 1.0), d.Poisson(t(1.0)), [math.inf]),
    (d.Tweedie(t(1.0), 1.0, 1.5), d.Gamma(t(1.0), 1.0), [math.inf]),  # an atom against a density
    (td.Dirichlet(torch.ones(3)), td.MultivariateNormal(torch.zeros(3), torch.eye(3)), [math.inf]),
    (td.MultivariateNormal(torch.zeros(3), torch.eye(3)), td.Dirichlet(torch.ones(3)), [math.inf]),
    (d.Multinomial(5, torch.zeros(3)), d.Multinomial(4, torch.zeros(3)), [math.inf]),
]


@pytest.mark.parametrize(("q", "p", "want"), SUPPORTS, ids=range(len(SUPPORTS)))
def test_support_first(q, p, want):
    value = kl(q, p).value
    assert value.shape == torch.broadcast_shapes(q.batch_shape, p.batch_shape)
    for got, expected in zip(value.reshape(-1).tolist(), want, strict=True):
        assert (math.isfinite(got) and got > 0) if expected is None else got == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("q", "p"),
    [
        (d.Cauchy(t(0.0), 1.0), d.Normal(t(0.0), 1.0)),
        (d.Cauchy(t(0.0), 1.0), d.Laplace(t(0.0), 1.0)),
        (d.StudentT(t(1.0), 0.0, 1e-3), d.Logistic(t(0.0), 1e3)),
        (td.HalfCauchy(t(1.0)), d.Gamma(t(1.0), 1.0)),
        (d.Gamma(t(1.0), 1.0), td.InverseGamma(t(2.0), t(1.0))),  # E 1/Y, at the other end
        (d.Discretized(d.Cauchy(t(0.0), 1.0)), d.Discretized(d.Logistic(t(0.0), 1.0))),
    ],
)
def test_infinite_though_the_supports_agree(q, p):
    assert kl(q, p).value == math.inf


def test_just_finite():
    value, _, _ = kl(d.Gamma(t(1.2), 1.0), d.InverseGamma(t(2.0), t(1.0)))
    want = -d.Gamma(t(1.2), 1.0).entropy() + sp.gammaln(2) + 3 * sp.digamma(1.2) + 1 / 0.2
    assert float(value) == pytest.approx(float(want), rel=1e-9)
    assert float(kl(d.Gamma(t(1.2), 1.0), td.InverseGamma(t(2.0), t(1.0))).value) == pytest.approx(
        float(want), rel=1e-6
    )


def test_densities_of_1e_minus_300_do_no_harm():
    assert float(kl(d.Normal(t(0.0), 1.0), d.StudentT(t(3.0), 1e150, 1.0)).value) == pytest.approx(
        float(d.Normal(t(0.0), 1.0).entropy().neg() - d.StudentT(t(3.0), 1e150, 1.0).log_prob(t(0.0))), rel=1e-9
    )
    far = kl(d.StudentT(t(5.0), 0.0, 1.0), d.Logistic(t(1e4), 1.0)).value  # the logistic's tail is a line
    want = -d.StudentT(t(5.0), 0.0, 1.0).entropy() + 1e4
    assert float(far) == pytest.approx(float(want), rel=1e-9)


# Atoms, mixtures, angles, vectors


def test_atoms():
    q = d.Hurdle(d.Gamma(t(2.0), 1.0), t(0.3))
    p = d.ZeroInflated(d.LogNormal(t(2.0), 1.0), t(0.0))
    a, b = 1 / (1 + math.exp(-0.3)), 0.5
    inner = kl(d.Gamma(t(2.0), 1.0), d.LogNormal(t(2.0), 1.0)).value
    want = a * math.log(a / b) + (1 - a) * (math.log((1 - a) / (1 - b)) + inner)
    assert float(kl(q, p).value) == pytest.approx(float(want), rel=1e-8)


def test_tweedie():
    q, p = d.Tweedie(t(1.0), 1.0, 1.5), d.Tweedie(t(2.0), 1.0, 1.3)

    def ratio(x):
        log_q = q.log_prob(t(x))
        return float(log_q.exp() * (log_q - p.log_prob(t(x))))

    zero = float(q.log_prob(t(0.0)).exp() * (q.log_prob(t(0.0)) - p.log_prob(t(0.0))))
    want = zero + sum(scipy.integrate.quad(ratio, a, b, limit=200)[0] for a, b in ((1e-12, 0.5), (0.5, 3), (3, 60)))
    assert float(kl(q, p).value) == pytest.approx(want, rel=1e-6)


def test_mixtures():
    weights = torch.tensor([0.3, 0.7], dtype=torch.float64)
    q = td.MixtureSameFamily(td.Categorical(weights), td.Normal(t([-3.0, 2.0]), t([0.1, 1.0])))
    own = d.Mixture(weights.log(), d.Normal(t([-3.0, 2.0]), t([0.1, 1.0])))
    p = td.Normal(t(0.0), t(3.0))

    def ratio(x):
        pdf = mp.mpf("0.3") * mp.npdf(x, -3, mp.mpf("0.1")) + mp.mpf("0.7") * mp.npdf(x, 2, 1)
        return pdf * (mp.log(pdf) - mp.log(mp.npdf(x, 0, 3)))

    want = float(mp.quad(ratio, [-15, -4, -3.4, -3.2, -3, -2.8, -2.6, -2, 0, 2, 4, 6, 14]))
    for law in (q, own):
        value, method, _ = kl(law, p)
        assert float(value) == pytest.approx(want, rel=1e-10)
        assert method == "quadrature"


def test_angles():
    torch_own = kl(td.VonMises(t(0.3), t(2.0)), td.VonMises(t(3.0), t(0.5))).value
    ours = kl(d.VonMises(t(0.3), 2.0), d.VonMises(t(3.0), 0.5)).value
    assert float(torch_own) == pytest.approx(float(ours), rel=1e-6)  # torch's Bessel functions have seven digits
    with pytest.raises(ValueError, match="angles"):
        kl(d.Normal(t(0.0), 1.0), d.VonMises(t(0.0), 1.0))


def test_event_axes_are_summed():
    q, p = d.LogNormal(torch.zeros(5, 3), 1.0), d.LogLogistic(torch.ones(3), 1.0)
    parts, whole = kl(q, p), kl(q.to_event(1), p.to_event(1))
    assert parts.value.shape == (5, 3)
    assert whole.method == "quadrature"
    torch.testing.assert_close(whole.value, parts.value.sum(-1))
    torch.testing.assert_close(kl(q.to_event(2), p.expand((5, 3)).to_event(2)).value, parts.value.sum())
    with pytest.raises(ValueError, match=r"to_event"):
        kl(q.to_event(1), p)
    nested = kl(d.Dirichlet(torch.ones(4, 3)).to_event(1), d.Dirichlet(2 * torch.ones(4, 3)).to_event(1))
    torch.testing.assert_close(nested.value, 4 * kl(d.Dirichlet(torch.ones(3)), d.Dirichlet(2 * torch.ones(3))).value)


def test_a_covariance_against_independent_normals():
    covariance = t([[2.0, 0.5], [0.5, 1.0]])
    full = td.MultivariateNormal(t([0.0, 1.0]), covariance)
    diagonal = d.Normal(t([1.0, 0.0]), t([1.0, 2.0])).to_event(1)
    with pytest.raises(NotImplementedError):
        kl_divergence(full, diagonal)
    value, method, _ = kl(full, diagonal)
    inverse = torch.diag(t([1.0, 0.25]))
    gap = t([1.0, -1.0])
    want = 0.5 * ((inverse @ covariance).trace() + gap @ inverse @ gap - 2 + math.log(4.0) - covariance.logdet())
    torch.testing.assert_close(value, want)
    assert method == "closed form"


# Shapes, gradients, refusals


def test_batches_and_dtypes():
    q = d.Normal(torch.zeros(4, 1), 1.0)
    for p in (d.Normal(torch.zeros(3), 2.0), d.StudentT(torch.full((3,), 4.0), 0.0, 1.0), d.Gamma(torch.ones(3), 1.0)):
        value = kl(q, p).value
        assert value.shape == (4, 3)
        assert value.dtype == torch.float32
    assert kl(d.Normal(torch.zeros(0), 1.0), d.StudentT(3.0, 0.0, 1.0)).value.shape == (0,)
    assert kl(d.Poisson(torch.zeros(0)), d.NegativeBinomial(torch.ones(0), torch.ones(0))).value.shape == (0,)
    with pytest.raises(ValueError, match="broadcast"):
        kl(d.Normal(torch.zeros(4), 1.0), d.Normal(torch.zeros(3), 1.0))


def test_each_element_is_computed_for_itself():
    df = t([1.5, 3.0, 50.0, 1e6])
    together = kl(d.Normal(t([[0.0], [5.0]]), 1.0), d.StudentT(df, 0.0, t([0.1, 1.0, 1.0, 2.0]))).value
    for i, loc in enumerate((0.0, 5.0)):
        for j, scale in enumerate((0.1, 1.0, 1.0, 2.0)):
            alone = kl(d.Normal(t(loc), 1.0), d.StudentT(df[j], 0.0, t(scale))).value
            assert float(together[i, j]) == pytest.approx(float(alone), rel=1e-8, abs=1e-10)


def test_equal_laws_diverge_by_nothing():
    assert kl(d.StudentT(t(3.0), 0.0, 1.0), d.StudentT(t(3.0), 0.0, 1.0)).value == 0
    assert kl(d.Poisson(t(4.0)), td.Poisson(t(4.0))).value == pytest.approx(0.0, abs=1e-14)


def test_gradients():
    loc, mean = t(0.5).requires_grad_(), t([0.0, 1.0]).requires_grad_()
    (slope,) = torch.autograd.grad(kl(d.Normal(loc, 1.0), d.Normal(t(0.0), 2.0)).value, loc)
    assert float(slope) == pytest.approx(0.5 / 4)
    assert not kl(d.Normal(mean, 1.0), d.StudentT(t(3.0), 0.0, 1.0)).value.requires_grad  # numeric: as documented
    assert not kl(d.Poisson(loc), d.Geometric(t(0.0))).value.requires_grad


def test_wishart_has_both_gradients():
    """Torch's rule for exponential families detaches the first law."""
    df = [t(4.0).requires_grad_(), t(5.0).requires_grad_()]
    eye = torch.eye(2, dtype=torch.float64)
    laws = [td.Wishart(x, covariance_matrix=eye) for x in df]
    value, method, _ = kl(*laws)
    torch.testing.assert_close(value, kl_divergence(*laws))
    assert method == "closed form"

    def formula(a, b):
        digammas = sp.digamma(a / 2) + sp.digamma((a - 1) / 2)
        return sp.multigammaln(b / 2, 2) - sp.multigammaln(a / 2, 2) + (a - b) / 2 * digammas

    h = 1e-5
    steps = formula(4 + h, 5.0) - formula(4 - h, 5.0), formula(4.0, 5 + h) - formula(4.0, 5 - h)
    assert float(value.detach()) == pytest.approx(formula(4.0, 5.0), rel=1e-10)
    for got, step in zip(torch.autograd.grad(value, df), steps, strict=True):
        assert float(got) == pytest.approx(step / (2 * h), rel=1e-6)
    assert torch.autograd.grad(kl_divergence(*laws), df[0], allow_unused=True)[0] is None  # torch's fault


class Opaque(td.Distribution):
    """A user's law that has a density and nothing else."""

    arg_constraints = {}
    support = td.constraints.real

    def __init__(self, mass=1.0):
        super().__init__(validate_args=False)
        self.base, self.mass = td.Normal(t(0.0), t(1.0)), mass

    def expand(self, batch_shape, _instance=None):
        return self

    def log_prob(self, value):
        return self.base.log_prob(value) + math.log(self.mass)

    def sample(self, sample_shape=()):
        return self.base.sample(sample_shape)


def test_a_law_with_only_a_density():
    value, method, _ = kl(Opaque(), td.Laplace(t(0.0), t(1.0)))
    assert method == "quadrature"
    assert float(value) == pytest.approx(
        float(kl_divergence(td.Normal(t(0.0), 1.0), td.Laplace(t(0.0), t(1.0)))), rel=1e-8
    )
    with pytest.raises(ArithmeticError, match=r"finds 0\.9"):
        kl(Opaque(0.9), td.Laplace(t(0.0), t(1.0)))


def test_what_is_no_law_of_numbers():
    normal = d.Normal(t(0.0), 1.0)
    with pytest.raises(ValueError, match=r"law\.base"):
        kl(d.Weighted(normal, 2.0), normal)
    pair = d.Joint({"a": normal, "b": d.Poisson(t(1.0))})
    with pytest.raises(ValueError, match="their divergences add"):
        kl(pair, pair)


def test_never_a_silent_fallback():
    q, p = td.Dirichlet(torch.ones(3)), td.LogisticNormal(torch.zeros(2), torch.ones(2))
    with pytest.raises(NotImplementedError, match=r"samples=100_000"):
        kl(q, p)
    _, method, error = kl(q, p, samples=2000, seed=1)
    assert method == "Monte Carlo"
    assert error > 0
    with pytest.raises(ArithmeticError, match=r"samples=100_000"):
        kl(d.Beta(t(0.02), 0.5), d.Kumaraswamy(t(2.0), 0.7))  # half a per cent of the mass lies below 1e-150
    with pytest.raises(ArithmeticError, match="not finished"):
        kl(d.Discretized(d.Cauchy(t(0.0), 1.0)), d.Discretized(d.Cauchy(t(0.0), 2.0)))
    assert kl(d.Normal(t(0.0), 1.0), d.StudentT(t(3.0), 0.0, 1.0), samples=10).method == "quadrature"


# Monte Carlo


PAIRS = [
    (d.Normal(t([0.0, 1.0]), 1.0), d.Normal(t(0.5), 2.0)),
    (d.Gamma(t(3.0), 2.0), d.Gamma(t(2.0), 1.0)),
    (d.Poisson(t([2.0, 5.0])), d.Poisson(t(3.0))),
    (d.Uniform(t(0.0), 1.0), d.Normal(t(0.0), 1.0)),
    (d.Dirichlet(t([1.0, 2.0, 3.0])), d.Dirichlet(t([2.0, 2.0, 2.0]))),
]


@pytest.mark.parametrize(("q", "p"), PAIRS, ids=range(len(PAIRS)))
def test_monte_carlo_is_within_its_error(q, p):
    want = kl(q, p).value
    value, method, error = monte_carlo(q, p, samples=20_000, seed=3)
    assert method == "Monte Carlo"
    assert value.shape == error.shape == q.batch_shape
    assert bool(((value - want).abs() < 5 * error).all())


@pytest.mark.parametrize("estimator", ["k1", "k3"])
def test_standard_error_is_calibrated(estimator):
    q, p = d.Normal(torch.zeros(2000, dtype=torch.float64), 1.0), d.Normal(t(0.3), 0.9)
    value, _, error = monte_carlo(q, p, samples=400, seed=5, estimator=estimator)
    misses = value - kl(q, p).value
    assert abs(float(misses.mean())) < 5 * float(misses.std()) / math.sqrt(2000)
    assert float((error * error).mean()) == pytest.approx(float(misses.var()), rel=0.15)


def test_estimators():
    q, p = d.Normal(t(0.0), 1.0), d.Normal(t(0.01), 1.0)
    k1, k3 = (monte_carlo(q, p, samples=1000, seed=0, estimator=name) for name in ("k1", "k3"))
    assert k3.value >= 0
    assert k3.standard_error < 0.1 * k1.standard_error
    with pytest.raises(ValueError, match="k1"):
        monte_carlo(d.Uniform(t(0.0), 1.0), p, samples=10, estimator="k3")
    with pytest.raises(ValueError, match="estimator"):
        monte_carlo(q, p, samples=10, estimator="k2")
    with pytest.raises(ValueError, match="at least 2"):
        monte_carlo(q, p, samples=1)


@pytest.mark.parametrize("reparametrised", [True, False])
def test_monte_carlo_gradients_are_unbiased(reparametrised):
    rate, other = t(2.0).requires_grad_(), t(3.0).requires_grad_()
    law = d.Exponential if reparametrised else d.Poisson
    exact = torch.autograd.grad(kl(law(rate), law(other)).value, (rate, other))
    found = []
    for seed in range(30):
        value = monte_carlo(law(rate), law(other), samples=2000, seed=seed).value
        found.append(torch.stack(torch.autograd.grad(value, (rate, other))))
    found = torch.stack(found)
    error = found.std(0) / math.sqrt(30)
    assert bool(((found.mean(0) - torch.stack(exact)).abs() < 5 * error).all())


def test_monte_carlo_outside_the_support():
    value, _, error = monte_carlo(td.Normal(t(0.0), t(1.0)), td.Gamma(t(1.0), t(1.0)), samples=100, seed=0)
    assert (value, error) == (math.inf, 0.0)  # torch's Gamma would raise


def test_the_generator_is_left_alone():
    torch.manual_seed(11)
    before = torch.get_rng_state()
    q, p = td.Dirichlet(torch.ones(3)), td.LogisticNormal(torch.zeros(2), torch.ones(2))
    first = kl(q, p, samples=100, seed=4).value
    assert kl(q, p, samples=100, seed=4).value == first
    kl(Opaque(), td.Laplace(t(0.0), t(1.0)))  # looks at samples to find where the mass is
    assert torch.equal(torch.get_rng_state(), before)
    kl(q, p, samples=100)
    assert not torch.equal(torch.get_rng_state(), before)


def test_arguments_are_left_alone():
    q, p = td.Gamma(t(1.0), t(1.0), validate_args=True), td.Weibull(t(1.0), t(2.0), validate_args=True)
    kl(q, p)
    assert q._validate_args
    assert p._validate_args
    with pytest.raises(ValueError, match="support"):
        p.log_prob(t(-1.0))


# Faults of torch and Pyro that are not repeated here


def test_torch_folds_without_asking():
    def folded(loc, scale):
        return td.TransformedDistribution(td.Normal(t(loc), scale), [td.transforms.AbsTransform()])

    assert kl_divergence(folded(1.0, 1.0), folded(-1.0, 1.0)) == 2.0  # they are the same law
    with pytest.raises(NotImplementedError, match="no log_prob"):
        kl(folded(1.0, 1.0), folded(-1.0, 1.0))
    assert kl(td.LogNormal(t(1.0), t(1.0)), td.LogNormal(t(-1.0), t(1.0))) == (pytest.approx(2.0), "closed form", None)


def test_torch_continuous_bernoulli():
    q, p = (td.ContinuousBernoulli(logits=torch.tensor(x)) for x in (20.0, 18.0))
    assert kl_divergence(q, p) > 1.8  # in float32; it is 0.005
    ours = kl(d.ContinuousBernoulli(t(20.0)), d.ContinuousBernoulli(t(18.0))).value
    a = lambda eta: math.log(math.expm1(eta) / eta)  # noqa: E731
    mean = 1 / (1 - math.exp(-20.0)) - 1 / 20.0
    assert float(ours) == pytest.approx(2 * mean - a(20.0) + a(18.0), rel=1e-10)
    unit = td.Uniform(t(0.0), t(1.0))
    assert kl_divergence(unit, td.ContinuousBernoulli(logits=t(1.0))) == math.inf  # its support is the same
    want = math.log(math.expm1(1.0)) - 0.5
    assert float(kl(unit, td.ContinuousBernoulli(logits=t(1.0))).value) == pytest.approx(want, rel=1e-7)


def test_torch_weibull():
    q, p = td.Weibull(t(2.0), t(1.5)), td.Weibull(t(3.0), t(0.7))
    with pytest.raises(NotImplementedError):
        kl_divergence(q, p)
    value, method, _ = kl(q, p)
    assert method == "quadrature"
    assert float(value) == pytest.approx(float(kl(d.Weibull(t(2.0), 1.5), d.Weibull(t(3.0), 0.7)).value), rel=1e-8)


def test_torch_infinities_have_a_shape_of_their_own():
    q, p = td.Normal(torch.zeros(4, 1), 1.0), td.Uniform(torch.zeros(3), 1.0)
    assert kl_divergence(q, p).shape == (4, 1)
    assert kl(q, p).value.shape == (4, 3)


def test_torch_binomial_at_certainty():
    q, p = td.Binomial(10, t(1.0)), td.Binomial(10, t(0.5))
    assert not math.isfinite(kl_divergence(q, p))
    assert float(kl(q, p).value) == pytest.approx(10 * math.log(2))


def test_pyro_delta():
    import pyro.distributions as pd

    point = pd.Delta(t(1.0))
    assert math.isfinite(kl_divergence(point, pd.Normal(t(0.0), t(1.0))))  # a point has no density
    assert kl(point, pd.Normal(t(0.0), t(1.0))).value == math.inf
    assert float(kl(point, d.Poisson(t(2.0))).value) == pytest.approx(2 - math.log(2))


def test_public_and_quiet():
    assert lk.divergences.kl is kl
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kl(d.HalfNormal(t(1.0)), td.HalfNormal(t(2.0)))
