"""The losses of a survival time against scipy, R's fits and statsmodels."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

import likelihoods as lk
from tests.reference import fits, table

INF = math.inf
DTYPES = [torch.float32, torch.float64]
ROWS = [
    ("weibull_aft", {}, lambda f: stats.weibull_min(1.0, scale=np.exp(f))),
    ("weibull_aft", {"concentration": 2.5}, lambda f: stats.weibull_min(2.5, scale=np.exp(f))),
    ("log_normal_aft", {}, lambda f: stats.lognorm(1.0, scale=np.exp(f))),
    ("log_normal_aft", {"scale": 0.4}, lambda f: stats.lognorm(0.4, scale=np.exp(f))),
    ("log_logistic_aft", {}, lambda f: stats.fisk(1.0, scale=np.exp(f))),
    ("log_logistic_aft", {"concentration": 3.0}, lambda f: stats.fisk(3.0, scale=np.exp(f))),
]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("name", "options", "peer"), ROWS)
def test_censoring(name, options, peer, dtype):
    f = np.array([0.3, -0.5, 1.2, 0.0, 0.7])
    target = torch.tensor([[1.3, 1.3], [0.4, INF], [0.0, 2.0], [0.5, 1.5], [0.0, INF]], dtype=dtype)
    law = peer(f)
    wanted = [
        -law.logpdf(1.3)[0],
        -law.logsf(0.4)[1],
        -law.logcdf(2.0)[2],
        -np.log(law.cdf(1.5) - law.cdf(0.5))[3],
        0.0,
    ]
    raw = torch.from_numpy(f).to(dtype).requires_grad_()
    loss = lk.loss(name, reduction="none", **options)
    found = loss(raw, target)
    tight = dtype == torch.float64
    np.testing.assert_allclose(
        found.detach().numpy(), wanted, rtol=1e-11 if tight else 1e-5, atol=1e-12 if tight else 1e-6
    )
    assert torch.isfinite(torch.autograd.grad(found.sum(), raw)[0]).all()
    torch.testing.assert_close(loss(raw.reshape(5, 1), target), found)
    torch.testing.assert_close(loss(raw.expand(2, 5), target.expand(2, 5, 2)), found.expand(2, 5))
    assert loss(raw[:0], target[:0]).shape == (0,)
    assert loss.relation == lk.Exact
    if tight:
        assert torch.autograd.gradcheck(lambda r: loss(r, target), (raw,))


@pytest.mark.parametrize(("name", "options", "peer"), ROWS)
def test_what_is_seen_and_what_is_censored_have_mass_one(name, options, peer):
    """With a fixed end of the study: the density up to it and the probability beyond it sum to 1."""
    from scipy import integrate

    loss, end = lk.loss(name, reduction="none", **options), 1.7

    def density(t):
        return math.exp(
            -loss(torch.tensor([0.2], dtype=torch.float64), torch.tensor([[t, t]], dtype=torch.float64)).item()
        )

    beyond = math.exp(
        -loss(torch.tensor([0.2], dtype=torch.float64), torch.tensor([[end, INF]], dtype=torch.float64)).item()
    )
    assert integrate.quad(density, 0, end, epsabs=1e-10)[0] + beyond == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize(
    ("name", "options", "feature"),
    [
        ("weibull_aft", {"concentration": 2.5}, lambda t: (t**2.5).mean() ** 0.4),
        ("log_normal_aft", {"scale": 0.4}, lambda t: t.log().mean().exp()),
    ],
)
def test_what_they_elicit(name, options, feature):
    """From times that no such law made, all seen."""
    t = torch.tensor([0.2, 1.0, 1.5, 7.0], dtype=torch.float64)
    grid = torch.linspace(-1, 3, 40_001, dtype=torch.float64)
    pairs = torch.stack([t, t], -1).expand(len(grid), 4, 2)
    value = lk.loss(name, reduction="none", **options)(grid[:, None].expand(-1, 4), pairs).mean(1)
    assert grid[value.argmin()].exp().item() == pytest.approx(feature(t).item(), rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "name", "nuisance"),
    [
        ("weibull", "weibull_aft", lambda s: {"concentration": 1 / s}),
        ("lognormal", "log_normal_aft", lambda s: {"scale": s}),
        ("loglogistic", "log_logistic_aft", lambda s: {"concentration": 1 / s}),
    ],
)
def test_fits_of_r(kind, name, nuisance):
    fit = fits("r")[f"lung_{kind}"]
    data = table("survival/lung").dropna(subset=["ph.ecog"])
    estimates = fit["estimates"]
    eta = estimates["(Intercept)"] + sum(estimates[c] * data[c].to_numpy(float) for c in ("age", "sex", "ph.ecog"))
    time = torch.from_numpy(data["time"].to_numpy(float, copy=True))
    seen = torch.from_numpy((data["status"] == 2).to_numpy(copy=True))
    target = torch.stack([time, torch.where(seen, time, INF)], -1)
    loss = lk.loss(name, reduction="sum", **nuisance(math.exp(estimates["log_scale"])))
    raw = torch.from_numpy(eta).requires_grad_()
    assert loss(raw, target).item() == pytest.approx(-fit["loglik"], abs=1e-6)
    # at R's estimates the score in the intercept is nought
    assert torch.autograd.grad(loss(raw, target), raw)[0].sum().item() == pytest.approx(0, abs=1e-3)


def test_extremes():
    for name, options, _ in ROWS:
        raw = torch.tensor([-20.0, 20.0, 20.0, -20.0], requires_grad=True)
        target = torch.tensor([[1.0, 1.0], [1.0, 1.0], [2.0, INF], [0.0, 1.0]])
        found = lk.loss(name, reduction="none", **options)(raw, target)
        assert not found.isnan().any() and (found >= -1e-6).all(), name
        assert not torch.autograd.grad(found.sum(), raw)[0].isnan().any(), name


def test_bad_intervals():
    loss = lk.loss("weibull_aft")
    with pytest.raises(ValueError, match=r"1 of 2 targets are impossible.*row 1"):
        loss.check(torch.tensor([[1.0, 1.0], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="raw has shape"):
        loss(torch.zeros(3), torch.ones(3))


def cohort(n=60):
    generator = torch.Generator().manual_seed(5)
    time = torch.randint(1, 15, (n,), generator=generator).double()
    event = (torch.rand(n, generator=generator) < 0.6).double()
    return torch.randn(n, 2, dtype=torch.float64, generator=generator), torch.stack([time, event], -1)


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_cox(ties):
    from statsmodels.duration.hazard_regression import PHReg

    x, target = cohort()
    weights = np.array([0.4, -1.1])
    peer = PHReg(target[:, 0].numpy(), x.numpy(), status=target[:, 1].numpy(), ties=ties)
    raw = x @ torch.from_numpy(weights)
    loss = lk.loss("cox", ties=ties)
    assert loss(raw, target).item() == pytest.approx(-peer.loglike(weights), rel=1e-12)
    both = lk.loss("cox", ties=ties, reduction="none")(torch.stack([raw, -raw]), target.expand(2, -1, 2))
    assert both.shape == (2,) and both[0].item() == pytest.approx(loss(raw, target).item())
    assert isinstance(loss.relation, lk.Partial)
    single = loss(raw.float(), target.float())
    assert single.item() == pytest.approx(loss(raw, target).item(), rel=1e-5)


def test_cox_fits():
    """The minimiser over weights is statsmodels' estimate."""
    from statsmodels.duration.hazard_regression import PHReg

    x, target = cohort()
    wanted = PHReg(target[:, 0].numpy(), x.numpy(), status=target[:, 1].numpy(), ties="efron").fit().params
    weights = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.LBFGS(
        [weights], max_iter=100, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = lk.loss("cox")(x @ weights, target)
        value.backward()
        return value

    optimizer.step(closure)
    np.testing.assert_allclose(weights.detach().numpy(), wanted, rtol=1e-5)


def test_cox_is_the_profile_likelihood():
    """With the best baseline jumps (Breslow's), the full likelihood's NLL is the partial one's plus the number of events."""
    x, target = cohort(20)
    time, event = target.unbind(-1)
    rate = (x @ torch.tensor([0.4, -1.1], dtype=torch.float64)).exp()
    jump = {t: event[time == t].sum() / rate[time >= t].sum() for t in time[event == 1].unique().tolist()}
    nll = -sum((jump[t.item()] * r).log() for t, r, e in zip(time, rate, event, strict=True) if e == 1)
    nll = nll + sum(j * rate[time >= t].sum() for t, j in jump.items())
    ties = sum((lambda d: d * d.log())(event[time == t].sum()) for t in jump)  # the jumps' own log d, for tied times
    found = lk.loss("cox", ties="breslow")(rate.log(), target)
    assert nll.item() == pytest.approx((found + event.sum() - ties).item(), rel=1e-12)


def test_cox_bad_input():
    x, target = cohort(5)
    with pytest.raises(ValueError, match="ties='exact'; it must be 'efron' or 'breslow'"):
        lk.loss("cox", ties="exact")
    with pytest.raises(ValueError, match="raw has shape"):
        lk.loss("cox")(x, target)
    lk.loss("cox").check(target)
    bad = target.clone()
    bad[2, 1] = 2
    with pytest.raises(ValueError, match="impossible.*event 1 where it was seen"):
        lk.loss("cox").check(bad)
