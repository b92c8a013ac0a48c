"""Bounds and gradient estimators, on models whose evidence, bounds and gradients are known."""

import numpy as np
import pytest
import torch

import likelihoods as lk
from tests.vae.models import binary, exact_elbo, linear_gaussian, slopes

ELBO, IWAE = lk.vae.ELBO, lk.vae.IWAE
FREE = 0.14  # nats, between the rates of the two latents


def some_x(law, n, seed=1):
    torch.manual_seed(seed)
    return law.sample((n,))


def gradient_moments(vae, objective, x, groups=60, copies=500):
    """Mean and standard error of an estimator of the slopes at one datum, from groups of copies of it."""
    many = x.expand(copies, -1)
    torch.manual_seed(5)
    each = torch.stack([slopes(vae, objective, many) for _ in range(groups)])
    return each.mean(0), each.std(0) / groups**0.5


def test_every_weight_is_the_evidence_at_the_true_posterior():
    vae, law = linear_gaussian()
    x = some_x(law, 7)
    evidence = law.log_prob(x)
    for objective in (ELBO(3, kl="sampled"), IWAE(3), IWAE(3, gradient="dreg"), lk.vae.Renyi(0.5, k=3)):
        terms = objective(vae, x)
        torch.testing.assert_close(terms.log_weights, evidence.expand(3, -1), rtol=0, atol=1e-12)
        torch.testing.assert_close(terms.bound, evidence, rtol=0, atol=1e-12)


@pytest.mark.parametrize("exact", [True, False])
@pytest.mark.parametrize("kl", ["closed", "sampled"])
def test_the_elbo_is_the_evidence_less_the_divergence(exact, kl):
    vae, law = linear_gaussian(exact=exact)
    x = some_x(law, 5)
    torch.manual_seed(2)
    terms = ELBO(20_000, kl=kl)(vae, x)
    truth = exact_elbo(vae, x)
    error = 4.5 / 20_000**0.5  # the log-likelihood at one sample has a standard deviation of about 1
    torch.testing.assert_close(terms.bound, truth, rtol=0, atol=error * 1.5)
    gap = law.log_prob(x) - truth
    assert (gap.abs() < 1e-12).all() if exact else (gap > 0.05).all()


def test_the_stl_gradient_of_the_encoder_is_nought_at_the_true_posterior():
    vae, law = linear_gaussian()
    x = some_x(law, 7)
    for objective, still in (
        (ELBO(kl="sampled", gradient="stl"), True),
        (ELBO(kl="sampled"), False),
        (ELBO(), False),
        (IWAE(4, gradient="stl"), True),
        (IWAE(4, gradient="dreg"), True),
        (IWAE(4), False),
    ):
        slopes(vae, objective, x)
        largest = max(p.grad.abs().max().item() for p in vae.encoder.parameters())
        assert largest < 1e-13 if still else largest > 1e-2, objective


def test_the_bound_rises_with_k_and_stays_below_the_evidence():
    vae, law = linear_gaussian(exact=False)
    x = some_x(law, 4)
    torch.manual_seed(3)
    log_weights = IWAE(64 * 2000)(vae, x).log_weights.detach()
    means, errors = [], []
    for k in (1, 2, 8, 64):
        each = (log_weights.unflatten(0, (-1, k)).logsumexp(1) - np.log(k)).mean(1)  # over the four data
        means.append(each.mean().item())
        errors.append((each.std() / len(each) ** 0.5).item())
    assert abs(means[0] - exact_elbo(vae, x).mean().item()) < 4.5 * errors[0]
    for low, high, error in zip(means, means[1:], errors[1:], strict=False):
        assert high - low > 4.5 * error
    evidence = law.log_prob(x).mean().item()
    assert means[-1] < evidence + 4.5 * errors[-1]
    assert evidence - means[-1] < 0.25 * (evidence - means[0])


@pytest.mark.parametrize(
    "objective",
    [ELBO(), ELBO(kl="sampled"), ELBO(kl="sampled", gradient="stl"), ELBO(3), IWAE(1), IWAE(1, gradient="dreg")],
    ids=str,
)
def test_elbo_gradients_are_unbiased(objective):
    vae, law = linear_gaussian(exact=False)
    x = some_x(law, 1)
    vae.zero_grad()
    (-exact_elbo(vae, x)).sum().backward()
    truth = torch.cat([p.grad.flatten() for p in vae.parameters()])
    mean, error = gradient_moments(vae, objective, x)
    assert ((mean - truth).abs() <= 4.5 * error + 1e-12).all()
    assert error.max() < 0.05 * truth.abs().max()  # so that a missing term would be seen


def quadrature_iwae2(vae, x, nodes=80):
    """The bound with k = 2 and one latent, by Gauss-Hermite quadrature over both noises."""
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    noise, weights = torch.tensor(points), torch.tensor(weights / weights.sum())
    raw = vae.encoder(x)[0]
    mean, scale = raw[0], raw[1].exp()
    z = (mean + scale * noise)[:, None]
    normal = torch.distributions.Normal
    log_q = normal(mean, scale).log_prob(z)[:, 0]
    log_w = normal(vae.decoder(z), 0.7).log_prob(x).sum(-1) + normal(0.0, 1.0).log_prob(z)[:, 0] - log_q
    both = torch.logaddexp(log_w[:, None], log_w[None, :]) - np.log(2.0)
    return (weights[:, None] * weights[None, :] * both).sum()


@pytest.mark.parametrize("gradient", ["standard", "dreg", "stl"])
def test_gradients_of_the_weighted_bound(gradient):
    vae, law = linear_gaussian(latents=1, pixels=2, exact=False)
    x = some_x(law, 1)
    vae.zero_grad()
    (-quadrature_iwae2(vae, x)).backward()
    truth = torch.cat([p.grad.flatten() for p in vae.parameters()])
    mean, error = gradient_moments(vae, IWAE(2, gradient=gradient), x, copies=2000)
    far = (mean - truth).abs() / error
    if gradient == "stl":
        assert far.max() > 10.0  # biased, as published
    else:
        assert far.max() < 4.5
        assert error.max() < 0.02 * truth.abs().max()


def signal_to_noise(vae, objective, x, groups=400, copies=10):
    """Of each slope in the encoder's parameters."""
    many = x.expand(copies, -1)
    torch.manual_seed(6)
    each = []
    for _ in range(groups):
        slopes(vae, objective, many)
        each.append(torch.cat([p.grad.flatten() for p in vae.encoder.parameters()]))
    each = torch.stack(each)
    return each.mean(0).abs() / each.std(0)


def test_signal_to_noise_grows_with_k_for_dreg_and_falls_for_the_standard_gradient():
    vae, law = linear_gaussian(latents=1, pixels=2, exact=False)
    x = some_x(law, 1)
    standard, dreg = (
        [signal_to_noise(vae, IWAE(k, gradient=gradient), x) for k in (2, 16, 128)] for gradient in ("standard", "dreg")
    )
    for low, high in zip(dreg, dreg[1:], strict=False):
        assert (high > 1.5 * low).all()
    assert (dreg[-1] > 5.0 * standard[-1]).all()
    assert standard[0].max() > 2.0 * standard[1].max() > 2.0 * standard[2].max()


def test_renyi_falls_with_alpha_from_iwae_to_the_elbo():
    vae, law = linear_gaussian(exact=False)
    x = some_x(law, 5)

    def bound(objective):
        torch.manual_seed(4)
        return objective(vae, x).bound

    rows = [bound(lk.vae.Renyi(alpha, k=50)) for alpha in (0.0, 0.3, 0.9, 2.0, 20.0)]
    assert all((low < high).all() for high, low in zip(rows, rows[1:], strict=False))
    assert torch.equal(rows[0], bound(IWAE(50)))
    torch.testing.assert_close(bound(lk.vae.Renyi(1.0 + 1e-7, k=50)), bound(ELBO(50, kl="sampled")), rtol=0, atol=1e-5)
    assert (rows[-1] < bound(ELBO(50, kl="sampled"))).all()


def test_the_terms_add_up():
    vae = binary()
    x = torch.randint(2, (9, 6), generator=torch.Generator().manual_seed(0)).double()
    for kl in ("closed", "sampled"):
        rows = []
        for options in ({}, {"beta": 4.0}, {"free_bits": FREE}, {"beta": lk.vae.WarmUp(10, total=20)}):
            torch.manual_seed(7)
            rows.append(ELBO(3, kl=kl, **options)(vae, x, step=5))
        for terms in rows:
            assert torch.equal(terms.bound, rows[0].bound)  # whatever is trained
            torch.testing.assert_close(terms.bound, -terms.distortion - terms.rate.sum(-1))
        plain, weighted, free, warm = rows
        torch.testing.assert_close(plain.surrogate, -plain.bound)
        torch.testing.assert_close(weighted.surrogate, plain.distortion + 4.0 * plain.rate.sum(-1))
        torch.testing.assert_close(warm.surrogate, plain.distortion + 0.5 * plain.rate.sum(-1))
        means = plain.rate.mean(0)
        assert means.min() < FREE < means.max()
        floor = means.clamp(min=FREE)
        torch.testing.assert_close(free.surrogate.mean(), plain.distortion.mean() + floor.sum())


def test_free_nats_have_no_slope():
    vae = binary()
    x = torch.randint(2, (9, 6)).double()
    vae.zero_grad()
    terms = ELBO(free_bits=100.0)(vae, x)
    (terms.surrogate - terms.distortion).sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in vae.parameters())


def test_which_objectives_train_a_bound():
    assert ELBO().is_bound
    assert ELBO(beta=4.0).is_bound
    assert not ELBO(beta=0.5).is_bound
    assert not ELBO(beta=lk.vae.WarmUp(10, total=20)).is_bound
    assert IWAE(5).is_bound
    assert not lk.vae.InfoVAE().is_bound


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ELBO(0), "positive whole number"),
        (lambda: ELBO(kl="analytic"), "'closed' or 'sampled'"),
        (lambda: ELBO(gradient="stl"), "kl='sampled', gradient='stl'"),
        (lambda: ELBO(gradient="dreg"), "one of 'standard', 'stl'"),
        (lambda: ELBO(beta=-1.0), "from 0 up"),
        (lambda: ELBO(beta=float("nan")), "from 0 up"),
        (lambda: ELBO(free_bits=-1.0), "free_bits=-1.0"),
        (lambda: IWAE(2, gradient="path"), "one of 'standard', 'stl', 'dreg'"),
        (lambda: lk.vae.Renyi(1.0, k=2), "lk.vae.ELBO"),
        (lambda: lk.vae.Renyi(-0.5, k=2), "no lower bound"),
        (lambda: lk.vae.WarmUp(100, total=100), "never reaches its end"),
        (lambda: lk.vae.Cyclical(3, total=5), "at least two steps a cycle"),
    ],
)
def test_what_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_schedule_asks_for_the_step():
    with pytest.raises(TypeError, match="step=step"):
        ELBO(beta=lk.vae.WarmUp(10, total=20))(binary(), torch.ones(2, 6, dtype=torch.float64))


def test_schedules_end_where_they_say():
    for schedule in (lk.vae.WarmUp(7, total=30), lk.vae.Cyclical(4, total=31, share=0.3)):
        values = [schedule(step) for step in range(40)]
        assert values[0] == 0.0
        assert values[29] == 1.0
        assert values[35] == 1.0
        assert all(0.0 <= value <= 1.0 for value in values)
