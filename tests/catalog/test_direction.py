"""The losses of a direction: von Mises and cosine, against formulas, scipy and quadrature."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

import likelihoods as lk

DTYPES = [torch.float32, torch.float64]


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def unit(*shape, seed=0, dtype=torch.float64):
    return torch.nn.functional.normalize(noise(*shape, seed=seed, dtype=dtype), dim=-1)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
@pytest.mark.parametrize("options", [{}, {"concentration": 0.3}, {"concentration": 40.0}])
def test_von_mises(options, shape, dtype):
    raw, target = (4 * noise(*shape, seed=seed, dtype=dtype) for seed in (1, 2))
    raw.requires_grad_()
    kappa = options.get("concentration", 1.0)
    wanted = kappa * (1 - torch.cos(target - raw))
    found = lk.loss("von_mises", reduction="none", **options)(raw, target)
    close = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 2e-5}
    torch.testing.assert_close(found, wanted, **close)
    slopes = [torch.autograd.grad(x.sum(), raw, retain_graph=True)[0] for x in (found, wanted)]
    torch.testing.assert_close(*slopes, **close)
    assert lk.loss("von_mises", **options)(raw, target).item() == pytest.approx(wanted.mean().item(), rel=1e-5)
    nll = lk.loss("von_mises", reduction="none", **options).nll(raw.double(), target.double())
    peer = -stats.vonmises(kappa).logpdf((target.double() - raw.double()).detach().numpy())
    np.testing.assert_allclose(nll.detach().numpy(), peer, rtol=1e-12)


def test_von_mises_knows_the_circle():
    loss = lk.loss("von_mises")
    raw, target = noise(7), noise(7, seed=1)
    assert loss(raw + 2 * math.pi, target - 4 * math.pi).item() == pytest.approx(loss(raw, target).item(), rel=1e-12)
    assert loss(torch.tensor([3.1]), torch.tensor([-3.1])) < 0.01
    assert loss(torch.tensor([0.0], requires_grad=True), torch.tensor([0.0])).abs() < 1e-6


def test_von_mises_elicits_the_mean_direction():
    angles = torch.tensor([3.0, -3.0, 2.5, -2.0], dtype=torch.float64)
    resultant = torch.complex(angles.cos(), angles.sin()).mean()
    grid = torch.linspace(-math.pi, math.pi, 100_001, dtype=torch.float64)
    for kappa in (0.3, 5.0):
        value = lk.loss("von_mises", reduction="none", concentration=kappa)(
            grid[:, None].expand(-1, 4), angles.expand(len(grid), 4)
        )
        assert grid[value.mean(1).argmin()].item() == pytest.approx(resultant.angle().item(), abs=1e-4)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6, 2), (6, 3), (2, 3, 10), (4, 300)])
def test_cosine(shape, dtype):
    raw, target = 3 * noise(*shape, seed=3, dtype=dtype), unit(*shape, seed=4, dtype=dtype)
    raw.requires_grad_()
    wanted = 1 - torch.nn.functional.cosine_similarity(raw, target, dim=-1)
    found = lk.loss("cosine", reduction="none")(raw, target)
    close = (
        {"rtol": 1e-12, "atol": 3e-12} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 2e-3}
    )  # log C_300 is 900 nats
    torch.testing.assert_close(found, wanted, **close)
    slopes = [torch.autograd.grad(x.sum(), raw, retain_graph=True)[0] for x in (found, wanted)]
    torch.testing.assert_close(
        *slopes, rtol=1e-5 if dtype == torch.float32 else 1e-12, atol=1e-6 if dtype == torch.float32 else 1e-14
    )
    with pytest.raises(ValueError, match="batch is empty"):
        lk.loss("cosine")(raw[:0], target[:0])
    assert lk.loss("cosine", reduction="sum")(raw[:0], target[:0]).item() == 0.0


@pytest.mark.parametrize("dim", [2, 3, 5, 64])
def test_cosine_is_von_mises_fisher_with_concentration_one(dim):
    raw, target = noise(8, dim, seed=5), unit(8, dim, seed=6)
    order = dim / 2 - 1
    log_c = -0.5 * dim * math.log(2 * math.pi) - math.log(special.iv(order, 1.0))
    wanted = -log_c - torch.nn.functional.cosine_similarity(raw, target, dim=-1)
    torch.testing.assert_close(lk.loss("cosine", reduction="none").nll(raw, target), wanted, rtol=1e-12, atol=1e-12)
    peer = stats.vonmises_fisher(torch.nn.functional.normalize(raw[0], dim=-1).numpy(), 1.0).logpdf(target.numpy())
    ours = lk.loss("cosine", reduction="none").nll(raw[:1].expand(8, -1), target)
    np.testing.assert_allclose(-ours.numpy(), peer, rtol=1e-10)


def test_squared_chord_is_twice_the_cosine_loss():
    raw, target = unit(5, 4, seed=1), unit(5, 4, seed=2)
    torch.testing.assert_close((raw - target).square().sum(-1), 2 * lk.loss("cosine", reduction="none")(raw, target))


def test_what_is_no_direction():
    loss = lk.loss("cosine")
    with pytest.raises(ValueError, match="1 of 2 targets are impossible.*unit vector"):
        loss.check(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))
    loss.check(unit(4, 3, dtype=torch.float32))
    assert loss(torch.ones(1, 2), torch.ones(1, 2)).item() == math.inf
    with pytest.raises(ValueError, match="raw has shape"):
        loss(torch.ones(2, 3), torch.ones(3))


def test_learned_concentration_needs_the_normaliser():
    """The von Mises NLL over a learned concentration has its minimum where I1/I0 is the mean resultant length."""
    angles = 0.7 * noise(200, seed=9)
    like = lk.find("von_mises").likelihood().learn("concentration").double()
    resultant = angles.cos().mean()
    optimizer = torch.optim.LBFGS(
        like.parameters(), max_iter=100, tolerance_grad=1e-12, tolerance_change=0, line_search_fn="strong_wolfe"
    )

    def closure():
        optimizer.zero_grad()
        value = lk.NLL(like)(torch.zeros(200, dtype=torch.float64), angles)
        value.backward()
        return value

    optimizer.step(closure)
    kappa = like(torch.zeros(1, 1, dtype=torch.float64)).concentration.item()
    assert special.i1e(kappa) / special.i0e(kappa) == pytest.approx(resultant.item(), abs=1e-6)


def test_cosine_embedding_reads_as_a_density_of_directions():
    """math: exp(-loss) for y = -1, over the sphere, has a normaliser that does not depend on the prediction."""
    margin, loss = 0.3, lk.loss("cosine_embedding", margin=0.3, reduction="none")
    azimuth = np.linspace(0, 2 * math.pi, 400, endpoint=False)

    def at(t, pole):
        side = math.sqrt(1 - t * t)
        points = np.stack([side * np.cos(azimuth), side * np.sin(azimuth), np.full_like(azimuth, t)], -1)
        cosine = torch.from_numpy(points @ pole)
        return float((-loss(cosine, -torch.ones_like(cosine))).exp().mean()) * 2 * math.pi

    wanted = 2 * math.pi * ((1 + margin) + 1 - math.exp(-(1 - margin)))
    for pole in ([0.0, 0.0, 1.0], [0.6, 0.0, 0.8]):
        found = integrate.quad(at, -1, 1, args=(np.array(pole),), epsabs=1e-6, epsrel=1e-6, limit=200)[0]
        assert found == pytest.approx(wanted, rel=1e-4)
