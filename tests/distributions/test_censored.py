"""Censored targets: the rule, its tails, R's survival fits, and what is refused."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest
import torch

import likelihoods as lk
from likelihoods import distributions as D
from tests.reference import fits, table

INF = math.inf


def number(x, dtype=torch.float64):
    return torch.tensor(x, dtype=dtype)


def test_one_rule():
    base = D.Weibull(number(2.0), 1.5)
    pairs = number(
        [
            [1.0, 1.0],
            [1.0, INF],
            [-INF, 1.0],
            [0.0, 1.0],
            [0.5, 1.5],
            [-INF, INF],
            [2.0, 1.0],
            [-3.0, -1.0],
            [-1.0, -1.0],
        ]
    )
    survival = lambda y: math.exp(-((y / 2.0) ** 1.5))  # noqa: E731
    want = [
        base.log_prob(number(1.0)).item(),
        math.log(survival(1.0)),
        *[math.log(1 - survival(1.0))] * 2,
        math.log(survival(0.5) - survival(1.5)),
        0.0,
        -INF,
        -INF,
        -INF,
    ]
    law = D.Censored(base)
    assert law.log_prob(pairs).tolist() == pytest.approx(want, rel=1e-12)
    assert law.support.check(pairs).tolist() == [w > -INF for w in want]
    assert law.log_prob(number([[math.nan, 1.0], [1.0, math.nan]])).isnan().all()
    assert not law.support.check(number([[math.nan, 1.0], [1.0, math.nan]])).any()


def test_counts_leave_the_lower_end_out():
    law = D.Censored(D.Poisson(number(2.5)))
    mass = D.Poisson(number(2.5)).log_prob(torch.arange(40.0, dtype=torch.float64)).exp()
    pairs = number([[3.0, 3.0], [2.0, INF], [2.0, 5.0], [-INF, 2.0], [2.2, 2.8], [2.5, 2.5]])
    want = [mass[3], mass[3:].sum(), mass[3:6].sum(), mass[:3].sum(), 0.0, 0.0]
    assert law.log_prob(pairs).exp().tolist() == pytest.approx([float(w) for w in want], rel=1e-12)
    assert law.support.check(pairs).tolist() == [True] * 4 + [False] * 2


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("family", [D.Normal, D.Logistic, D.Laplace, D.Gumbel, D.StudentT, D.Cauchy])
def test_far_in_both_tails_beside_ordinary_rows(family, dtype):
    """Sixty scales out, in one batch with seen, open and impossible rows: value and slopes are finite."""
    loc, scale = torch.tensor(0.3, dtype=dtype, requires_grad=True), torch.tensor(1.0, dtype=dtype, requires_grad=True)
    law = D.Censored(family(4.0, loc, scale) if family is D.StudentT else family(loc, scale))
    far = [[60.0, INF], [-INF, 60.0], [60.0, 61.0], [60.0, 60.0], [0.1, 0.1], [-1.0, 2.0], [-INF, INF], [60.0, 1e6]]
    far += [
        [-1e5, 2.0],
        [-2.0, 1e5],
    ]  # an end at which a tail overflows (Gumbel's is exp(-exp(1e5))), and does not matter
    if family is not D.Gumbel:
        far += [[-INF, -60.0], [-61.0, -60.0]]
    found = law.log_prob(number(far, dtype))
    assert found.isfinite().all()
    for row in range(len(far)):
        slopes = torch.autograd.grad(found[row], (loc, scale), retain_graph=True, allow_unused=True)
        assert all(slope is None or slope.isfinite() for slope in slopes), (far[row], slopes)
    mixed = law.log_prob(number([*far, [3.0, 2.0]], dtype))
    slopes = torch.autograd.grad(mixed[mixed > -INF].sum(), (loc, scale))
    assert all(slope.isfinite() for slope in slopes)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("family", [D.Weibull, D.LogNormal, D.LogLogistic, D.Gamma, D.InverseGaussian, D.Exponential])
def test_rows_of_a_positive_law_do_not_spoil_each_other(family, dtype):
    first = torch.tensor(0.05, dtype=dtype, requires_grad=True)
    law = D.Censored(family(first) if family is D.Exponential else family(first, torch.tensor(5.0, dtype=dtype)))
    pairs = number(
        [[0.05, 0.05], [0.06, INF], [-INF, 0.05], [0.0, 0.06], [0.04, 0.06], [0.06, 1e9], [-INF, INF]], dtype
    )
    found = law.log_prob(pairs)
    (slope,) = torch.autograd.grad(found.sum(), first)
    assert found.isfinite().all()
    assert slope.isfinite()


def test_slopes_are_differences():
    pairs = number([[0.5, 0.5], [0.7, INF], [-INF, 0.2], [0.3, 0.9], [0.3, 0.3001]])

    def total(loc, scale):
        return D.Censored(D.LogNormal(loc, scale)).log_prob(pairs)

    assert torch.autograd.gradcheck(total, (number(0.1).requires_grad_(), number(0.8).requires_grad_()))


def test_the_law_behind_the_intervals():
    base = D.Normal(number([0.0, 1.0]), 2.0)
    law = D.Censored(base)
    assert law.batch_shape == (2,)
    assert law.event_shape == (2,)
    sample = law.sample((3,))
    assert sample.shape == (3, 2, 2)
    assert torch.equal(sample[..., 0], sample[..., 1])
    torch.testing.assert_close(law.log_prob(sample), base.log_prob(sample[..., 0]))
    assert torch.equal(law.mean, base.mean)
    assert torch.equal(law.cdf(number(0.5)), base.cdf(number(0.5)))
    assert law.expand((4, 2)).log_prob(sample[:1]).shape == (4, 2)
    for other in (copy.deepcopy(law), pickle.loads(pickle.dumps(law))):
        assert torch.equal(other.log_prob(sample), law.log_prob(sample))
    torch._dynamo.reset()
    default = torch.distributions.Distribution._validate_args
    try:
        traced = torch.compile(
            lambda loc, pairs: D.Censored(D.Normal(loc, 2.0)).log_prob(pairs), fullgraph=True, backend="eager"
        )
        torch.testing.assert_close(traced(base.loc, sample), law.log_prob(sample))
    finally:
        torch.distributions.Distribution.set_default_validate_args(default)


def test_nested():
    mixture = D.Mixture(number([0.0, 1.0]), D.Normal(number([-1.0, 2.0]), 0.7))
    pairs = number([[0.5, 0.5], [0.5, INF], [-INF, 0.5], [0.0, 1.0]])
    for base in (
        mixture,
        D.Truncated(mixture, -2.0, 3.0),
        D.ZeroInflated(D.Exponential(number(1.0)), number(0.3)),
        D.Discretized(mixture, 0.5),
        D.Truncated(D.Discretized(D.Normal(number(0.0), 1.0), 0.5), -1.0, 2.0),
        D.Hurdle(D.Poisson(number(1.0)), number(0.1)),
    ):
        found = D.Censored(base).log_prob(pairs).exp()
        cdf = base.cdf(number([0.0, 0.5, 1.0]))
        want = torch.stack([base.log_prob(number(0.5)).exp(), 1 - cdf[1], cdf[1], cdf[2] - cdf[0]])
        torch.testing.assert_close(found, want, rtol=1e-9, atol=1e-12)


def test_the_likelihood():
    likelihood = lk.Censored(lk.Family(D.Weibull, scale=lk.predicted("log"), concentration=lk.learned()))
    assert (likelihood.width, likelihood.rank) == (1, 1)
    raw, pairs = torch.zeros(3), torch.tensor([[1.0, 1.0], [1.0, INF], [0.0, 1.0]])
    assert likelihood.log_prob(raw, pairs).shape == (3,)
    likelihood.check(pairs)
    with pytest.raises(ValueError, match=r"2 of 3 targets are impossible.*row 1, is \[3.0, 2.0\]"):
        likelihood.check(torch.tensor([[1.0, 1.0], [3.0, 2.0], [math.nan, 1.0]]))
    with pytest.raises(ValueError, match="some of the positive numbers between them"):
        likelihood.check(torch.tensor([[-2.0, -1.0]]))
    with pytest.raises(ValueError, match="some of the real"):
        lk.Censored(lk.Family(D.Normal, loc=lk.predicted(), scale=1.0)).check(torch.tensor([[2.0, 1.0]]))
    with pytest.raises(ValueError, match="in the counts 0, 1, 2, … above 0"):
        lk.Truncated(lk.Family(D.Poisson, rate=lk.predicted()), 0).check(torch.tensor([1.0, 0.0]))
    with pytest.raises(ValueError, match="raw has shape"):
        likelihood.log_prob(raw, torch.zeros(3))
    with pytest.raises(TypeError, match="no cdf"):
        lk.Censored(lk.Family(torch.distributions.StudentT, df=3.0, loc=lk.predicted()))(raw)
    with pytest.raises(ValueError, match="single numbers"):
        lk.Censored(lk.Censored(lk.Family(D.Normal, loc=lk.predicted(), scale=1.0)))
    for one in (
        likelihood,
        lk.Truncated(lk.Family(D.Normal, loc=lk.predicted(), scale=1.5), 0.0),
        lk.Discretized(lk.Family(D.Normal, loc=lk.predicted(), scale=1.5), 0.5, 0.0, 2.0, "closed"),
    ):
        again = eval(one.code(), {"lk": lk, "torch": torch})
        y = pairs if one.rank else torch.tensor([0.5, 1.0, 1.5])
        torch.testing.assert_close(again.log_prob(raw, y), one.log_prob(raw, y))
    tensor = lk.Truncated(lk.Family(D.Normal, loc=lk.predicted(), scale=1.5), low=torch.tensor([0.0, 1.0])).double()
    assert tensor(torch.zeros(2, dtype=torch.float64)).mean.dtype == torch.float64
    freed = lk.Truncated(lk.Family(D.Normal, loc=lk.predicted(), scale=1.5), 0.0).learn("scale")
    assert len(list(freed.parameters())) == 1


# R's survreg: log Y = x'b + sigma·e

SURVIVAL = {
    "lung": ("survival/lung", "time", "status", 2),
    "ovarian": ("survival/ovarian", "futime", "fustat", 1),
    "veteran": ("survival/veteran", "time", "status", 1),
}


def predictor(data, estimates):
    eta = np.zeros(len(data))
    for name, value in estimates.items():
        if name == "(Intercept)":
            eta += value
        elif name in data:
            eta += value * data[name].to_numpy(float)
        elif name.startswith("celltype"):
            eta += value * (data["celltype"] == name.removeprefix("celltype")).to_numpy(float)
        elif name == "gmale":
            eta += value * (data["gender"] == "male").to_numpy(float)
        else:
            assert name == "log_scale"
    return eta


def accelerated(kind, eta, log_scale):
    eta, sigma = torch.as_tensor(eta), number(math.exp(log_scale))
    return {
        "weibull": lambda: D.Weibull(eta.exp(), 1 / sigma),
        "exponential": lambda: D.Exponential((-eta).exp()),
        "lognormal": lambda: D.LogNormal(eta, sigma),
        "loglogistic": lambda: D.LogLogistic(eta.exp(), 1 / sigma),
        "gaussian": lambda: D.Normal(eta, sigma),
        "logistic": lambda: D.Logistic(eta, sigma),
    }[kind]()


def right_censored(data, time, status, event):
    seen = torch.from_numpy((data[status] == event).to_numpy(copy=True))
    y = torch.from_numpy(data[time].to_numpy(float, copy=True))
    return torch.stack([y, torch.where(seen, y, INF)], -1)


@pytest.mark.parametrize(
    "name",
    [
        *(f"lung_{kind}" for kind in ("weibull", "exponential", "lognormal", "loglogistic", "gaussian", "logistic")),
        "ovarian_weibull",
        "ovarian_exponential",
        "veteran_weibull",
        "veteran_lognormal",
        "veteran_loglogistic",
    ],
)
def test_right_censored_fits_of_r(name):
    fit = fits("r")[name]
    prefix, kind = name.split("_")
    place, time, status, event = SURVIVAL[prefix]
    data = table(place)
    if prefix == "lung":
        data = data.dropna(subset=["ph.ecog"])
    assert len(data) == fit["n"]
    estimates = fit["estimates"]
    law = D.Censored(accelerated(kind, predictor(data, estimates), estimates.get("log_scale", 0.0)))
    total = law.log_prob(right_censored(data, time, status, event)).sum().item()
    assert total == pytest.approx(fit["loglik"], abs=1e-6)


@pytest.mark.parametrize(("name", "column"), [("tobin_tobit", "durable"), ("affairs_tobit", "affairs")])
def test_left_censored_fits_of_r(name, column):
    fit = fits("r")[name]
    data = table(fit["dataset"])
    y = torch.from_numpy(data[column].to_numpy(float, copy=True))
    law = D.Censored(accelerated("gaussian", predictor(data, fit["estimates"]), fit["estimates"]["log_scale"]))
    pairs = torch.stack([torch.where(y > 0, y, -INF), y], -1)
    assert law.log_prob(pairs).sum().item() == pytest.approx(fit["loglik"], abs=1e-6)


def test_an_interval_censored_fit_of_r():
    fit, data = fits("r")["diabetes_interval_weibull"], table("survival/diabetes_interval")
    low, high = (torch.from_numpy(data[name].astype(float).to_numpy(copy=True)) for name in ("left", "right"))
    low, high = torch.where(low <= 0, -INF, low), torch.where(high.isnan(), INF, high)
    law = D.Censored(accelerated("weibull", predictor(data, fit["estimates"]), fit["estimates"]["log_scale"]))
    assert law.log_prob(torch.stack([low, high], -1)).sum().item() == pytest.approx(fit["loglik"], abs=1e-6)


def test_a_fit_reaches_rs_estimates():
    fit = fits("r")["lung_weibull"]
    data = table("survival/lung").dropna(subset=["ph.ecog"])
    pairs = right_censored(data, "time", "status", 2)
    X = torch.from_numpy(data[["age", "sex", "ph.ecog"]].to_numpy(float))
    spread = X.std(0)
    network = torch.nn.Linear(3, 1).double()
    torch.nn.init.zeros_(network.weight)
    torch.nn.init.constant_(network.bias, 6.0)
    likelihood = lk.Censored(lk.Family(D.Weibull, scale=lk.predicted("log"), concentration=lk.learned())).double()
    loss = lk.NLL(likelihood, reduction="sum")
    optimizer = torch.optim.LBFGS(
        [*network.parameters(), *loss.parameters()], max_iter=200, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = loss(network((X - X.mean(0)) / spread), pairs)
        value.backward()
        return value

    value = -optimizer.step(closure) and -closure().item()
    assert value == pytest.approx(fit["loglik"], abs=1e-6)
    got = (network.weight[0] / spread).tolist()
    assert got == pytest.approx([fit["estimates"][name] for name in ("age", "sex", "ph.ecog")], rel=1e-4)


@pytest.mark.parametrize(("dtype", "shape"), [(torch.float32, 2.5), (torch.float64, 25.0)])
def test_slopes_where_the_other_tail_is_huge(dtype, shape):
    raw = torch.tensor(-20.0, dtype=dtype, requires_grad=True)
    one, inf = torch.ones((), dtype=dtype), torch.tensor(INF, dtype=dtype)
    unseen = D.Weibull(raw.exp(), shape).log_mass(-inf, one)
    assert torch.autograd.grad(unseen, raw)[0].item() == 0
    seen = D.Censored(D.Weibull(raw.exp(), shape)).log_prob(torch.stack([one, one]))
    assert torch.autograd.grad(seen, raw)[0].item() == pytest.approx(shape * math.exp(20 * shape), rel=1e-4)
