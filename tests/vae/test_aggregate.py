"""Objectives that look at the aggregate posterior, and the discrete latent that is summed over."""

import itertools
import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal

import likelihoods as lk
from tests.vae.models import binary, linear_gaussian

BetaTC, InfoVAE = lk.vae.BetaTC, lk.vae.InfoVAE


def binary_x(n, pixels=6):
    return torch.randint(2, (n, pixels), generator=torch.Generator().manual_seed(0)).double()


def at_seed(objective, vae, x, seed=3):
    torch.manual_seed(seed)
    return objective(vae, x)


@pytest.mark.parametrize(("estimator", "size"), [("exact", None), ("stratified", 100), ("weighted", 100)])
def test_with_weights_of_one_it_is_the_sampled_elbo(estimator, size):
    vae, x = binary(), binary_x(8)
    terms = at_seed(BetaTC(estimator, size=size), vae, x)
    plain = at_seed(lk.vae.ELBO(kl="sampled"), vae, x)
    torch.testing.assert_close(terms.surrogate, plain.surrogate)
    torch.testing.assert_close(terms.bound, plain.bound)
    torch.testing.assert_close(sum(terms.parts.values()), plain.rate.sum(-1))


def test_the_parts_are_those_of_a_plain_loop():
    vae, x = binary(), binary_x(5)
    terms = at_seed(BetaTC("exact", alpha=2.0, beta=3.0, gamma=5.0), vae, x)
    torch.manual_seed(3)
    law = vae.encode(x)
    z = law.rsample((1,))[0]
    loc, scale, z = law.base_dist.loc.detach(), law.base_dist.scale.detach(), z.detach()
    for i in range(5):
        density = [Normal(loc[j], scale[j]).log_prob(z[i]).exp() for j in range(5)]
        log_qz = math.log(sum(d.prod() for d in density) / 5)
        log_each = sum(math.log(sum(d[latent] for d in density) / 5) for latent in range(2))
        log_own = density[i].log().sum().item()
        log_p = Normal(0.0, 1.0).log_prob(z[i]).sum().item()
        wanted = {
            "mutual_information": log_own - log_qz,
            "total_correlation": log_qz - log_each,
            "dimension_kl": log_each - log_p,
        }
        for name, value in wanted.items():
            assert terms.parts[name][i].item() == pytest.approx(value, abs=1e-10)
        penalty = 2.0 * wanted["mutual_information"] + 3.0 * wanted["total_correlation"] + 5.0 * wanted["dimension_kl"]
        assert terms.surrogate[i].item() == pytest.approx(terms.distortion[i].item() + penalty, abs=1e-10)


@pytest.mark.parametrize(("estimator", "unbiased"), [("stratified", True), ("weighted", False)])
def test_which_estimate_of_the_density_is_unbiased(estimator, unbiased):
    size, batch = 6, 3
    density = torch.rand(size, generator=torch.Generator().manual_seed(1), dtype=torch.float64)  # q(z_0|x_n), n = 0…5
    weights = BetaTC(estimator, size=size)._log_weights(batch, density)[0].exp()
    estimates = [
        (weights * density[[0, *others]]).sum() for others in itertools.combinations(range(1, size), batch - 1)
    ]
    error = (torch.stack(estimates).mean() - density.mean()).abs().item()
    assert error < 1e-15 if unbiased else error > 0.1 * density.mean()


def test_stratified_is_exact_with_the_whole_data_set():
    vae, x = binary(), binary_x(7)
    exact, stratified = (at_seed(o, vae, x) for o in (BetaTC("exact"), BetaTC("stratified", size=7)))
    assert torch.equal(exact.parts["total_correlation"], stratified.parts["total_correlation"])


def test_what_the_decomposition_refuses():
    for make, message in (
        (lambda: BetaTC("mws", size=3), "one of 'exact', 'stratified', 'weighted'"),
        (lambda: BetaTC("stratified"), "number of data"),
        (lambda: BetaTC("exact", size=5), "needs no size"),
        (lambda: BetaTC("exact", alpha=-1.0), "alpha=-1.0"),
        (lambda: BetaTC("weighted", size=2)(binary(), binary_x(3)), "a batch of 3"),
        (lambda: BetaTC("stratified", size=9)(binary(), binary_x(1)), "batch of one"),
        (lambda: InfoVAE(alpha=2.0), "alpha=2.0"),
        (lambda: InfoVAE(alpha=0.0, weight=0.5), "from 1 - alpha up"),
        (lambda: InfoVAE(kl="mc"), "'closed' or 'sampled'"),
        (lambda: InfoVAE()(binary(), binary_x(1)), "at least two data"),
    ):
        with pytest.raises(ValueError, match=message):
            make()
    vae = binary()
    vae = lk.vae.VAE(
        nn.Linear(6, 5), vae.decoder, vae.likelihood, posterior=lk.vae.FullGaussian(2), prior=vae.prior
    ).double()
    with pytest.raises(ValueError, match="independent given x"):
        BetaTC("exact")(vae, binary_x(3))


def test_the_discrepancy_is_the_u_statistic():
    from likelihoods.vae.aggregate import discrepancy

    a, b = torch.randn(6, 3, dtype=torch.float64), torch.randn(6, 3, dtype=torch.float64) + 0.5

    def kernel(u, v):
        return 6.0 / (6.0 + ((u - v) ** 2).sum().item())

    pairs = list(itertools.permutations(range(6), 2))
    within = sum(kernel(a[i], a[j]) + kernel(b[i], b[j]) for i, j in pairs) / 30
    across = sum(kernel(a[i], b[j]) for i in range(6) for j in range(6)) / 36
    assert discrepancy(a, b).mean().item() == pytest.approx(within - 2.0 * across, abs=1e-14)
    torch.manual_seed(0)
    same = torch.stack([discrepancy(torch.randn(20, 2), torch.randn(20, 2)).mean() for _ in range(2000)])
    assert same.mean().abs() < 4.5 * same.std() / 2000**0.5
    assert (same < 0.0).any()  # unbiased, so it may be negative


def test_infovae_between_the_elbo_and_the_mmd_vae_is_no_bound():
    vae, law = linear_gaussian()
    x = law.sample((50,))
    plain = at_seed(lk.vae.ELBO(), vae, x)
    terms = at_seed(InfoVAE(alpha=0.0, weight=1.0), vae, x)
    torch.testing.assert_close(terms.surrogate, plain.surrogate)
    terms = at_seed(InfoVAE(alpha=0.25, weight=3.0), vae, x)
    wanted = plain.distortion + 0.75 * plain.rate.sum(-1) + 2.25 * terms.parts["mmd"]
    torch.testing.assert_close(terms.surrogate, wanted)
    torch.testing.assert_close(terms.bound, plain.bound)
    trained = -at_seed(InfoVAE(), vae, x).surrogate.mean()
    assert trained > law.log_prob(x).mean() + 0.5  # above the evidence, which no bound is
    assert not InfoVAE.is_bound


# A discrete z


def mixture(latents=(3,), exact=False):
    torch.manual_seed(0)
    pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    q = lk.Family(lk.distributions.Categorical, logits=lk.predicted(size=3))
    p = lk.Family(lk.distributions.Categorical, logits=(0.3, 0.0, -0.5))
    if len(latents) == 2:
        q, p = lk.Independent(q, (2,)), lk.Independent(p, (2,))
        decoder = nn.Sequential(nn.Embedding(3, 4), nn.Flatten(-2), nn.Tanh(), nn.Linear(8, 6))
    else:
        decoder = nn.Embedding(3, 6)
    return lk.vae.VAE(nn.Linear(6, 3 * len(latents)), decoder, pixels, posterior=q, prior=p).double()


@pytest.mark.parametrize("latents", [(3,), (3, 3)])
def test_the_sum_over_a_discrete_latent(latents):
    vae, x = mixture(latents), binary_x(4)
    terms = lk.vae.Enumerated(beta=2.0)(vae, x)
    logits = vae.encoder(x).unflatten(-1, (-1, 3)).log_softmax(-1)
    prior = torch.tensor([0.3, 0.0, -0.5], dtype=torch.float64).log_softmax(0)
    bound, evidence, rate = torch.zeros(4).double(), [], torch.zeros(4).double()
    for values in itertools.product(range(3), repeat=len(latents)):
        z = torch.tensor(values if len(latents) == 2 else values[0]).expand(4, *[2] * (len(latents) == 2))
        log_q = sum(logits[:, place, value] for place, value in enumerate(values))
        log_p = sum(prior[value] for value in values)
        log_lik = -nn.functional.binary_cross_entropy_with_logits(vae.decoder(z), x, reduction="none").sum(-1)
        evidence.append(log_lik + log_p)
        bound = bound + log_q.exp() * (log_lik + log_p - log_q)
        rate = rate + log_q.exp() * (log_q - log_p)
    torch.testing.assert_close(terms.bound, bound)
    torch.testing.assert_close(terms.surrogate, -bound + rate)
    torch.testing.assert_close(terms.parts["log_evidence"], torch.stack(evidence).logsumexp(0))
    assert (terms.bound < terms.parts["log_evidence"]).all()
    assert terms.log_weights.shape == (3 ** len(latents), 4)


def test_a_value_that_q_excludes_counts_nothing_and_has_no_nan():
    vae, x = mixture(), binary_x(2)
    with torch.no_grad():
        vae.encoder.bias.copy_(torch.tensor([0.0, -2000.0, 0.0]))
    terms = lk.vae.Enumerated()(vae, x)
    terms.surrogate.sum().backward()
    assert terms.bound.isfinite().all()
    assert all(p.grad.isfinite().all() for p in vae.parameters())


def test_what_cannot_be_summed_over():
    with pytest.raises(NotImplementedError, match=r"lk.vae.ELBO\(\)"):
        lk.vae.Enumerated()(binary(), binary_x(2))
    with pytest.raises(NotImplementedError, match=r"lk.vae.Enumerated\(\)"):
        lk.vae.ELBO(kl="sampled")(mixture(), binary_x(2))
    q = lk.Independent(lk.Family(lk.distributions.Categorical, logits=lk.predicted(size=3)), (12,))
    vae = lk.vae.VAE(
        nn.Linear(6, 36), nn.Linear(12, 6), binary().likelihood, posterior=q, prior=lk.vae.Unconditional(q)
    )
    with pytest.raises(NotImplementedError, match=r"3\^12 values"):
        lk.vae.Enumerated()(vae, torch.ones(2, 6))
