"""Constants of the location losses at every setting, and why a threshold cannot be learned without them."""

import math

import mpmath as mp
import numpy as np
import pytest
import torch

import likelihoods as lk


def density(name, options, r):
    """The loss as exp(-loss / scale), in mpmath."""
    if name == "mse":
        return mp.exp(-(r**2) / (2 * options["scale"] ** 2))
    if name == "l1":
        return mp.exp(-abs(r) / options["scale"])
    if name == "huber":
        d = options["delta"]
        return mp.exp(-(r**2 / 2 if abs(r) <= d else d * (abs(r) - mp.mpf(d) / 2)))
    if name == "smooth_l1":
        b = options["beta"]
        return mp.exp(-(r**2 / (2 * mp.mpf(b)) if abs(r) <= b else abs(r) - mp.mpf(b) / 2))
    return mp.sech(r)


@pytest.mark.parametrize(
    ("name", "options", "factor"),
    [
        *(("mse", {"scale": s}, 2 * s * s) for s in (0.01, math.sqrt(0.5), 3.0)),
        *(("l1", {"scale": s}, s) for s in (0.01, 1.0, 3.0)),
        *(("huber", {"delta": d}, 1) for d in (1e-3, 0.3, 1.0, 8.0)),
        *(("smooth_l1", {"beta": b}, 1) for b in (1e-3, 0.3, 1.0, 8.0)),
        ("log_cosh", {}, 1),
    ],
)
def test_the_offset_is_minus_the_log_integral(name, options, factor):
    """loss = a NLL + b, b = -a log ∫ exp(-loss / a)."""
    breaks = [0, *options.values(), *(20 * v for v in options.values()), 30, mp.inf]
    total = 2 * mp.quad(lambda r: density(name, options, r), sorted(set(breaks)))
    relation = lk.loss(name, **options).relation
    assert relation.scale == pytest.approx(factor, rel=1e-14)
    assert relation.offset == pytest.approx(float(-factor * mp.log(total)), rel=1e-12, abs=1e-13)


def test_smooth_l1_is_huber_divided_by_beta_and_l1_at_0():
    f, y = 3 * torch.randn(2, 50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for beta in (0.2, 1.0, 4.0):
        torch.testing.assert_close(
            lk.loss("smooth_l1", beta=beta)(f, y), lk.loss("huber", delta=beta)(f, y) / beta, rtol=1e-13, atol=0
        )
    torch.testing.assert_close(lk.loss("smooth_l1", beta=1e-12)(f, y), lk.loss("l1")(f, y), rtol=1e-11, atol=0)


def test_beta_is_learned_in_nats_and_runs_away_in_the_loss():
    """The loss alone falls for ever as beta grows; with the normaliser its best value is where the data say."""
    y = torch.from_numpy(np.random.default_rng(0).laplace(size=5000))
    f = torch.zeros_like(y)
    betas = (0.01, 0.1, 1.0, 10.0, 100.0)
    losses = [lk.loss("smooth_l1", beta=beta)(f, y).item() for beta in betas]
    assert losses == sorted(losses, reverse=True)
    nats = [lk.loss("smooth_l1", beta=beta).nll(f, y).item() for beta in betas]
    assert nats.index(min(nats)) in (0, 1)  # Laplace noise: a small beta
    assert nats[-1] > min(nats) + 1


@pytest.mark.parametrize(
    ("alias", "name"),
    [("reg:squarederror", "mse"), ("regression_l2", "mse"), ("reg:absoluteerror", "l1"), ("LogCosh", "log_cosh")],
)
def test_aliases(alias, name):
    assert lk.find(alias).name == name
