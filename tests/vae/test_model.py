"""The model: what it refuses, and the places where a module must work."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

import likelihoods as lk
from tests.vae.decoders import per_pixel
from tests.vae.models import binary

D, F, P = lk.distributions, lk.Family, lk.predicted
OBJECTIVES = [
    lk.vae.ELBO(),
    lk.vae.ELBO(2, kl="sampled", gradient="stl", beta=0.5, free_bits=0.1),
    lk.vae.IWAE(3),
    lk.vae.IWAE(3, gradient="dreg"),
    lk.vae.Renyi(0.5, k=3),
    lk.vae.BetaTC("stratified", size=50),
    lk.vae.InfoVAE(),
]


def binary_x(n, dtype=torch.float64):
    return torch.randint(2, (n, 6), generator=torch.Generator().manual_seed(0)).to(dtype)


# What cannot be written


def test_the_axes_of_a_datum_are_summed_or_it_is_an_error():
    vae = binary()
    vae.likelihood = vae.likelihood.base  # of one pixel: what a mean over pixels would be taken of
    for objective in (lk.vae.ELBO(), lk.vae.IWAE(2)):
        with pytest.raises(ValueError, match=r"\(3, 6\) for a batch \(3,\).*lk.Independent\(likelihood, 1\)"):
            objective(vae, binary_x(3))


def test_the_axes_of_z_are_event_axes_or_it_is_an_error():
    vae = binary()
    vae.prior = F(D.Normal, loc=0.0, scale=1.0)
    with pytest.raises(ValueError, match=r"z of shape \(2,\) and the prior of \(\)"):
        lk.vae.ELBO()(vae, binary_x(3))


def test_networks_of_the_wrong_width():
    vae = binary()
    vae.encoder = nn.Linear(6, 3).double()
    with pytest.raises(ValueError, match="must hold 4 raw scalars"):
        lk.vae.ELBO()(vae, binary_x(3))
    vae = binary()
    vae.decoder = nn.Linear(2, 5).double()
    with pytest.raises(ValueError, match="Nothing is broadcast"):
        lk.vae.ELBO()(vae, binary_x(3))


def test_what_a_model_must_be_given():
    vae = binary()
    parts = vae.encoder, vae.decoder, vae.likelihood
    with pytest.raises(TypeError, match="lacks a posterior.*latent=20"):
        lk.vae.VAE(*parts)
    with pytest.raises(TypeError, match="lacks a prior"):
        lk.vae.VAE(*parts, posterior=vae.posterior)
    with pytest.raises(TypeError, match=r"asks for 4 raw scalars.*lk.vae.Unconditional"):
        lk.vae.VAE(*parts, posterior=vae.posterior, prior=vae.posterior)
    with pytest.raises(TypeError, match="The likelihood is a Linear"):
        lk.vae.VAE(vae.encoder, vae.decoder, nn.Linear(2, 2), latent=2)


# Where it must work


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtypes(objective, dtype):
    terms = objective(binary(dtype=dtype), binary_x(5, dtype))
    assert {t.dtype for t in (terms.bound, terms.surrogate, terms.distortion, terms.rate)} == {dtype}
    torch.manual_seed(0)
    single = objective(binary(dtype=dtype), binary_x(5, dtype)).bound
    torch.manual_seed(0)
    assert torch.equal(single, objective(binary(dtype=dtype), binary_x(5, dtype)).bound)


@pytest.mark.parametrize("objective", OBJECTIVES[:6], ids=str)
def test_an_empty_batch(objective):
    vae = binary()
    terms = objective(vae, binary_x(0))
    assert terms.bound.shape == (0,)
    assert terms.rate.shape == (0, 2)
    terms.surrogate.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in vae.parameters())


@pytest.mark.parametrize("objective", OBJECTIVES[:5], ids=str)
def test_a_batch_with_two_axes_is_that_of_one(objective):
    vae, x = binary(), binary_x(6)
    torch.manual_seed(0)
    flat = objective(vae, x)
    torch.manual_seed(0)
    terms = objective(vae, x.unflatten(0, (2, 3)))
    assert terms.bound.shape == (2, 3)
    if not getattr(objective, "free_bits", 0.0):
        torch.testing.assert_close(terms.surrogate.flatten(), flat.surrogate)
    torch.testing.assert_close(terms.bound.flatten(), flat.bound)


@pytest.mark.parametrize("objective", OBJECTIVES[:4], ids=str)
def test_compiled_in_one_graph(objective):
    torch._dynamo.reset()
    vae, x = binary(hidden=4), binary_x(5)

    def run(vae, x):
        return objective(vae, x).surrogate.sum()

    compiled = torch.compile(run, fullgraph=True, backend="aot_eager")  # which draws the noise as torch does
    torch.manual_seed(0)
    loss = run(vae, x)
    wanted = torch.autograd.grad(loss, list(vae.parameters()))
    torch.manual_seed(0)
    got = compiled(vae, x)
    torch.testing.assert_close(got, loss)
    for a, b in zip(torch.autograd.grad(got, list(vae.parameters())), wanted, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("objective", [OBJECTIVES[0], OBJECTIVES[2]], ids=str)
def test_many_models_at_once_by_vmap(objective):
    models, x = [binary(seed=seed) for seed in range(3)], binary_x(5)
    parameters, buffers = stack_module_state(models)
    base = copy.deepcopy(models[0])

    def bound(parameters, buffers):
        return functional_call(base, (parameters, buffers), (x, objective)).bound

    before = torch.distributions.Distribution._validate_args
    torch.distributions.Distribution.set_default_validate_args(False)  # a check of values is not to be had under vmap
    try:
        together = vmap(bound, randomness="different")(parameters, buffers)
    finally:
        torch.distributions.Distribution.set_default_validate_args(before)
    assert together.shape == (3, 5)
    alone = torch.stack([torch.stack([objective(m, x).bound for _ in range(400)]).mean(0) for m in models])
    assert (together - alone).abs().max() < 5.0  # other noise, the same models
    assert (alone[0] - alone[1]).abs().max() > 0.05


@pytest.mark.parametrize("objective", OBJECTIVES, ids=str)
def test_pickle_and_deepcopy_after_a_step(objective):
    vae, x = binary(), binary_x(5)
    objective(vae, x).surrogate.sum().backward()
    for other in (pickle.loads(pickle.dumps((vae, objective))), copy.deepcopy((vae, objective))):
        torch.manual_seed(0)
        wanted = objective(vae, x)
        torch.manual_seed(0)
        assert torch.equal(other[1](other[0], x).surrogate, wanted.surrogate)


@pytest.mark.parametrize("kind", ["full covariance", "vamp", "mixture", "flow"])
def test_every_law_of_z_is_copied_and_saved(kind):
    from pyro.distributions.transforms import affine_autoregressive

    encoder = nn.Linear(6, 5 if kind == "full covariance" else 4)
    posterior, prior = lk.vae.gaussian(2), lk.vae.standard_normal(2)
    if kind == "full covariance":
        posterior = lk.vae.FullGaussian(2)
    elif kind == "vamp":
        prior = lk.vae.VampPrior(encoder, posterior, torch.rand(3, 6))
    elif kind == "mixture":
        prior = lk.vae.Unconditional(lk.Mixture(lk.vae.gaussian(2), 3))
    else:
        posterior = lk.vae.Flow(posterior, [affine_autoregressive(2)])
    pixels = lk.Independent(F(D.Bernoulli, logits=P()), 1)
    vae = lk.vae.VAE(encoder, nn.Linear(2, 6), pixels, posterior=posterior, prior=prior)
    x, objective = binary_x(4, torch.float32), lk.vae.ELBO(kl="sampled")
    objective(vae, x).surrogate.sum().backward()
    torch.manual_seed(0)
    wanted = objective(vae, x).bound
    file = io.BytesIO()
    torch.save(vae.state_dict(), file)
    file.seek(0)
    again = copy.deepcopy(vae)
    for parameter in again.parameters():
        nn.init.zeros_(parameter)
    again.load_state_dict(torch.load(file, weights_only=True))
    for other in (again, pickle.loads(pickle.dumps(vae))):
        torch.manual_seed(0)
        assert torch.equal(objective(other, x).bound, wanted)
    assert vae.sample(3).shape == (3, 6)


def test_images_and_convolutions():
    torch.manual_seed(0)
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Flatten(), nn.Linear(64, 6))
    decoder = nn.Sequential(nn.Linear(3, 64), nn.Unflatten(-1, (1, 8, 8)))
    pixels = lk.Independent(F(D.Bernoulli, logits=P()), 3)
    vae = lk.vae.VAE(encoder, decoder, pixels, latent=3)
    x = torch.randint(2, (5, 1, 8, 8)).float()
    for objective in OBJECTIVES:
        terms = objective(vae, x)
        assert terms.bound.shape == (5,)
        assert terms.rate.shape == (5, 3)
    law = vae.reconstruct(x)
    assert law.mean.shape == x.shape
    assert vae.sample(2).shape == (2, 1, 8, 8)
    assert vae.decode(torch.zeros(3)).event_shape == (1, 8, 8)  # of one z without a batch
    assert vae.decode(torch.zeros(4, 2, 3)).batch_shape == (4, 2)
    # a map of latents
    maps = lk.Independent(F(D.Normal, loc=P(), scale=P()), (2, 4, 4))
    prior = lk.Independent(F(D.Normal, loc=0.0, scale=1.0), (2, 4, 4))
    encoder = nn.Sequential(nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.Flatten())
    decoder = nn.ConvTranspose2d(2, 1, 2, stride=2)
    vae = lk.vae.VAE(encoder, decoder, pixels, posterior=maps, prior=prior)
    terms = lk.vae.IWAE(3, gradient="dreg")(vae, x)
    assert terms.rate.shape == (5, 32)
    terms.surrogate.mean().backward()


def test_a_missing_column_is_integrated_out():
    columns = lk.Joint({"a": F(D.Normal, loc=P(), scale=1.0), "b": F(D.Poisson, rate=P())}, optional=["a"])

    class Encoder(nn.Module):
        def forward(self, x):
            return torch.stack([x["a"].nan_to_num(), x["b"]], -1)

    vae = lk.vae.VAE(Encoder(), nn.Linear(1, 2), columns, latent=1)
    x = {"a": torch.tensor([0.3, torch.nan]), "b": torch.tensor([1.0, 2.0])}
    torch.manual_seed(0)
    terms = lk.vae.ELBO(5)(vae, x)
    torch.manual_seed(0)
    z = vae.encode(x).rsample((5,))
    raw = vae.decoder(z)
    count = torch.distributions.Poisson(raw[..., 1].exp()).log_prob(x["b"])
    real = torch.distributions.Normal(raw[..., 0], 1.0).log_prob(torch.tensor(0.3))
    torch.testing.assert_close(terms.distortion, -(count + real * torch.tensor([1.0, 0.0])).mean(0))


# Decoders of levels give each image a mass


LEVELS = {"bernoulli": 2, "discretized logistic": 16, "mixture of discretized logistics": 16, "discretized normal": 16}
LEVELS |= {"categorical": 16, "beta-binomial": 16}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", list(LEVELS))
def test_the_masses_of_all_levels_sum_to_one(name, dtype):
    pixel, levels = per_pixel()[name][0], LEVELS[name]
    torch.manual_seed(0)
    extreme = torch.tensor([-100.0, -30.0, 0.0, 30.0, 100.0])
    raws = [torch.cartesian_prod(*[extreme] * pixel.width).reshape(-1, pixel.width)] if pixel.width <= 3 else []
    raws += [torch.randn(200, pixel.width) * scale for scale in (1.0, 10.0, 50.0)]
    raw = torch.cat(raws).clamp(-100.0, 100.0).to(dtype)
    if name == "beta-binomial" and dtype == torch.float32:
        # its concentrations are precision · sigmoid(±logit), and below about 1e-38 float32 has no numbers for them
        raw = torch.stack([raw[:, 0].clamp(-80.0, 80.0), raw[:, 1].clamp(-5.0, 80.0)], -1)
    values = torch.arange(levels, dtype=torch.long if name == "categorical" else dtype)
    target = values[:, None].expand(-1, len(raw))
    masses = pixel.log_prob(raw.expand(levels, -1, -1), target).double().logsumexp(0)
    assert masses.abs().max() < (1e-9 if dtype == torch.float64 else 2e-4)
