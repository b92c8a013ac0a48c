"""The bridge to Pyro: the same numbers where Pyro is right, and the right ones where it is not."""

import math

import pyro
import pyro.distributions as dist
import pyro.infer
import pytest
import torch
from pyro import poutine
from torch import nn

import likelihoods as lk
from likelihoods.vae.pyro import IWAE_ELBO, check_parity
from tests.vae.decoders import whole
from tests.vae.models import binary, linear_gaussian

PIXELS, LATENTS = 5, 3
POSTERIORS = {
    "normal": (lk.vae.gaussian(LATENTS), lk.vae.standard_normal(LATENTS)),
    "full covariance": (lk.vae.FullGaussian(LATENTS), lk.vae.standard_normal(LATENTS)),
    "kumaraswamy": (
        lk.Independent(
            lk.Family(lk.distributions.Kumaraswamy, concentration1=lk.predicted(), concentration0=lk.predicted()),
            (LATENTS,),
        ),
        lk.Independent(lk.Family(lk.distributions.Beta, concentration1=1.5, concentration0=2.0), (LATENTS,)),
    ),
    "directions": (
        lk.Family(
            lk.distributions.VonMisesFisher, loc=lk.predicted(size=LATENTS), concentration=lk.predicted("softplus")
        ),
        lk.Family(lk.distributions.VonMisesFisher, loc=(1.0, 0.0, 0.0), concentration=0.0),
    ),
    "mixture prior": (lk.vae.gaussian(LATENTS), lk.vae.Unconditional(lk.Mixture(lk.vae.gaussian(LATENTS), 4))),
    "learned normal prior": (lk.vae.gaussian(LATENTS), lk.vae.Unconditional(lk.vae.gaussian(LATENTS))),
}


@pytest.fixture(autouse=True)
def _fresh_store():
    with pyro.get_param_store().scope():
        yield


class Columns(nn.Module):
    """An encoder of named columns, in which a missing number is 0 and a mark."""

    def __init__(self, width):
        super().__init__()
        self.linear = nn.Linear(4, width)

    def forward(self, x):
        missing = x["age"].isnan()
        age = torch.where(missing, 0.0, x["age"])
        like = self.linear.weight
        return self.linear(torch.stack([age, missing.to(like), x["visits"].to(like), x["kind"].to(like)], -1))


class Cast(nn.Module):
    def forward(self, x):
        return x.double() / 8.0


def make(likelihood, posterior="normal"):
    q, p = POSTERIORS[posterior]
    torch.manual_seed(0)
    if likelihood.structured:
        encoder = Columns(q.width)
    else:
        encoder = nn.Sequential(Cast(), nn.Linear(PIXELS, q.width, dtype=torch.float64))
    decoder = nn.Sequential(nn.Linear(LATENTS, 7), nn.Tanh(), nn.Linear(7, likelihood.width))
    return lk.vae.VAE(encoder, decoder, likelihood, posterior=q, prior=p)


def assert_same(rows, names):
    assert [row.pyros for row in rows] == names
    for row in rows:
        assert row.value < 1e-10, row
        assert row.gradient < 1e-8, row


ALL = ["Trace_ELBO", "TraceMeanField_ELBO", "RenyiELBO", *(f"IWAE_ELBO({g})" for g in ("standard", "stl", "dreg"))]


@pytest.mark.parametrize("name", list(whole(PIXELS)))
def test_every_decoder_has_pyros_values_and_slopes(name):
    likelihood, make_data = whole(PIXELS)[name]
    torch.manual_seed(1)
    assert_same(check_parity(make(likelihood), make_data(4)), ALL)


@pytest.mark.parametrize("name", list(POSTERIORS))
def test_every_posterior_has_pyros_values_and_slopes(name):
    likelihood, make_data = whole(PIXELS)["bernoulli"]
    torch.manual_seed(1)
    closed = name not in ("full covariance", "mixture prior")
    assert_same(check_parity(make(likelihood, name), make_data(4)), ALL if closed else [ALL[0], *ALL[2:]])


def test_a_difference_would_be_seen():
    class Off(nn.Module):  # an encoder that gives something else on its second call, as dropout would
        def __init__(self):
            super().__init__()
            self.linear, self.calls = nn.Linear(6, 4, dtype=torch.float64), 0

        def forward(self, x):
            self.calls += 1
            return self.linear(x) + 0.1 * (self.calls > 1)

    vae = binary()
    vae.encoder = Off()
    rows = {row.pyros: row for row in check_parity(vae, torch.ones(3, 6))}
    assert rows["Trace_ELBO"].value < 1e-10
    assert rows["IWAE_ELBO(stl)"].value > 1e-4


def test_check_parity_leaves_everything_as_it_was():
    vae = binary(dtype=torch.float32)
    before = {name: value.clone() for name, value in vae.state_dict().items()}
    state = torch.get_rng_state()
    check_parity(vae, torch.ones(3, 6))
    assert torch.equal(state, torch.get_rng_state())
    assert all(
        torch.equal(before[name], value) and value.dtype == before[name].dtype
        for name, value in vae.state_dict().items()
    )
    assert all(p.grad is None for p in vae.parameters())
    assert not list(pyro.get_param_store().keys())


# Where the plate's scale belongs


def by_hand(x, k, size=None, seed=0):
    """The bound of a small model from its own weights: what the data count times the logarithm of the weights' mean."""
    torch.manual_seed(seed)
    z = dist.Normal(0.3 * x, 0.8).rsample((k,))
    log_w = dist.Normal(0.0, 1.0).log_prob(z) + dist.Normal(z, 0.5).log_prob(x) - dist.Normal(0.3 * x, 0.8).log_prob(z)
    scale = 1.0 if size is None else size / len(x)
    return scale * (log_w.logsumexp(0) - math.log(k)).sum(), scale


def small(size=None, scale=None):
    def plate(x):
        if size is None:
            return pyro.plate("data", len(x), dim=-1)
        return pyro.plate("data", size, subsample=torch.arange(len(x)), dim=-1)

    def model(x):
        with plate(x):
            z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x):
        with plate(x):
            pyro.sample("z", dist.Normal(0.3 * x, 0.8))

    return (model, guide) if scale is None else (poutine.scale(model, scale), poutine.scale(guide, scale))


@pytest.mark.parametrize("vectorized", [True, False])
def test_the_plates_scale_stands_outside_the_logarithm(vectorized):
    x = torch.linspace(-2.0, 2.0, 6, dtype=torch.float64)
    truth, factor = by_hand(x, 20, size=60)
    assert factor == 10.0

    def loss(elbo, *parts):
        torch.manual_seed(0)
        return elbo.loss(*parts, x)

    options = {"vectorize_particles": vectorized, "max_plate_nesting": 1}
    if vectorized:  # the same noise in the same order
        renyi = pyro.infer.RenyiELBO(alpha=0, num_particles=20, **options)
        for parts in (small(size=60), small(scale=10.0)):
            assert loss(IWAE_ELBO(20, **options), *parts) == pytest.approx(-truth.item(), abs=1e-10)
            assert abs(loss(renyi, *parts) + truth.item()) > 1.0  # Pyro 1.9.2: the scale is inside
        assert loss(renyi, *small()) == pytest.approx(-truth.item() / 10.0, abs=1e-10)
    torch.manual_seed(0)
    many = (
        IWAE_ELBO(4000, **options).loss(*small(size=60), x)
        if vectorized
        else IWAE_ELBO(400, **options).loss(*small(size=60), x)
    )
    evidence = 10.0 * dist.Normal(0.0, 1.25**0.5).log_prob(x).sum().item()
    assert -many == pytest.approx(evidence, abs=1.0 if vectorized else 3.0)


def test_a_scale_that_differs_between_sites_stays_inside():
    x = torch.linspace(-2.0, 2.0, 6, dtype=torch.float64)

    def model(x):
        with pyro.plate("data", 60, subsample=torch.arange(6), dim=-1):
            with poutine.scale(scale=0.25):
                z = pyro.sample("z", dist.Normal(x.new_zeros(()), 1.0))
            pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x):
        with pyro.plate("data", 60, subsample=torch.arange(6), dim=-1), poutine.scale(scale=0.25):
            pyro.sample("z", dist.Normal(0.3 * x, 0.8))

    torch.manual_seed(0)
    z = dist.Normal(0.3 * x, 0.8).rsample((8,))
    ratio = dist.Normal(0.0, 1.0).log_prob(z) - dist.Normal(0.3 * x, 0.8).log_prob(z)
    log_w = dist.Normal(z, 0.5).log_prob(x) + 0.25 * ratio
    truth = 10.0 * (log_w.logsumexp(0) - math.log(8)).sum().item()
    torch.manual_seed(0)
    assert IWAE_ELBO(8, max_plate_nesting=1).loss(model, guide, x) == pytest.approx(-truth, abs=1e-10)


def test_what_is_in_an_inner_plate_belongs_to_the_datum():
    x = torch.randn(6, 3, dtype=torch.float64)

    def model(x):
        with pyro.plate("data", 6, dim=-2):
            z = pyro.sample("z", dist.Normal(x.new_zeros(6, 1), 1.0))
            with pyro.plate("pixels", 3, dim=-1):
                pyro.sample("x", dist.Normal(z, 0.5), obs=x)

    def guide(x):
        with pyro.plate("data", 6, dim=-2):
            pyro.sample("z", dist.Normal(0.3 * x.sum(1, keepdim=True), 0.8))

    torch.manual_seed(0)
    mean = 0.3 * x.sum(1, keepdim=True)
    z = dist.Normal(mean, 0.8).rsample((8,))
    log_w = (dist.Normal(0.0, 1.0).log_prob(z) - dist.Normal(mean, 0.8).log_prob(z))[..., 0]
    log_w = log_w + dist.Normal(z, 0.5).log_prob(x).sum(-1)
    truth = (log_w.logsumexp(0) - math.log(8)).sum().item()
    torch.manual_seed(0)
    assert IWAE_ELBO(8, max_plate_nesting=2).loss(model, guide, x) == pytest.approx(-truth, abs=1e-10)


@pytest.mark.parametrize("gradient", ["standard", "stl", "dreg"])
def test_particles_one_after_the_other_have_the_slopes_of_particles_at_once(gradient):
    vae, law = linear_gaussian(exact=False)
    x = law.sample((2,))
    found = []
    for vectorized in (True, False):
        torch.manual_seed(1)  # 12 numbers, which torch draws one by one: the same noise in the same order
        vae.zero_grad()
        elbo = IWAE_ELBO(3, gradient=gradient, vectorize_particles=vectorized, max_plate_nesting=1)
        loss = elbo.loss_and_grads(vae.pyro_model, vae.pyro_guide, x)
        found.append((loss, torch.cat([p.grad.flatten() for p in vae.parameters()])))
    assert found[0][0] == pytest.approx(found[1][0], abs=1e-12)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0, atol=1e-12)


@pytest.mark.parametrize("gradient", ["stl", "dreg"])
def test_subsampled_indices_are_the_same_in_all_runs(gradient):
    vae, law = linear_gaussian()
    data = law.sample((50,))

    def model():
        pyro.module("vae", vae)
        with pyro.plate("data", 50, subsample_size=5, dim=-1) as rows:
            z = pyro.sample("z", vae.prior_law((5,)))
            pyro.sample("x", vae.decode(z), obs=data[rows])

    def guide():
        pyro.module("vae", vae)
        with pyro.plate("data", 50, subsample_size=5, dim=-1) as rows:
            pyro.sample("z", vae.encode(data[rows]))

    vae.zero_grad()
    IWAE_ELBO(4, gradient=gradient, max_plate_nesting=1).loss_and_grads(model, guide)
    assert max(p.grad.abs().max() for p in vae.encoder.parameters()) < 1e-12  # the posterior is the true one
    assert all(p.requires_grad for p in vae.parameters())


def test_what_the_objective_refuses():
    def model():
        pyro.sample("a", dist.Normal(0.0, 1.0))
        pyro.sample("b", dist.Normal(0.0, 1.0))

    with pytest.raises(NotImplementedError, match=r"one latent site.*'a', 'b'"):
        IWAE_ELBO(3, gradient="dreg", max_plate_nesting=0).loss_and_grads(model, model)

    def discrete():
        pyro.sample("a", dist.Bernoulli(torch.tensor(0.5)))

    with pytest.raises(NotImplementedError, match="'a' have no slopes"):
        IWAE_ELBO(3, max_plate_nesting=0).loss_and_grads(discrete, discrete)

    def loop():
        for i in pyro.plate("data", 2):
            pyro.sample(f"a{i}", dist.Normal(0.0, 1.0))

    with pytest.raises(NotImplementedError, match="a plate that is a loop"):
        IWAE_ELBO(3, vectorize_particles=False).loss(loop, loop)
    with pytest.raises(ValueError, match="positive whole number"):
        IWAE_ELBO(0)


# The model's own functions


def test_svi_trains_the_model():
    vae = binary(hidden=8)
    torch.manual_seed(0)
    x = torch.bernoulli(torch.tensor([0.9, 0.1] * 3, dtype=torch.float64)).expand(64, -1)
    svi = pyro.infer.SVI(vae.pyro_model, vae.pyro_guide, pyro.optim.Adam({"lr": 0.02}), IWAE_ELBO(5, gradient="dreg"))
    losses = [svi.step(x) for _ in range(60)]
    assert losses[-1] < 0.2 * losses[0]
    with torch.no_grad():
        assert (
            vae.decode(vae.prior_law((100,)).sample()).mean - x[0]
        ).abs().mean() < 0.2  # the module itself is trained


def test_a_batch_counts_as_the_whole_data_set():
    vae = binary()
    x = torch.randint(2, (4, 6)).double()
    values = []
    for size in (None, 40):
        torch.manual_seed(0)
        values.append(pyro.infer.Trace_ELBO().loss(vae.pyro_model, vae.pyro_guide, x, size))
    assert values[1] == pytest.approx(10.0 * values[0], rel=1e-12)


def test_a_likelihood_in_a_users_own_model_with_particles():
    likelihood = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    decoder, x = nn.Linear(2, 6), torch.randint(2, (4, 6)).float()

    def model(x):
        with pyro.plate("data", len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            pyro.sample("x", likelihood(decoder(z)), obs=x)

    def guide(x):
        with pyro.plate("data", len(x)):
            pyro.sample("z", dist.Normal(x[:, :2], 1.0).to_event(1))

    elbo = pyro.infer.Trace_ELBO(num_particles=7, vectorize_particles=True, max_plate_nesting=1)
    assert math.isfinite(elbo.loss(model, guide, x))


def test_a_discrete_latent_is_enumerated():
    torch.manual_seed(0)
    pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    q = lk.Family(lk.distributions.Categorical, logits=lk.predicted(size=3))
    p = lk.Family(lk.distributions.Categorical, logits=(0.3, 0.0, -0.5))
    vae = lk.vae.VAE(nn.Linear(6, 3), nn.Embedding(3, 6), pixels, posterior=q, prior=p).double()
    x = torch.randint(2, (4, 6)).double()
    ours = lk.vae.Enumerated()(vae, x)
    pyros = pyro.infer.TraceEnum_ELBO(max_plate_nesting=1).differentiable_loss(vae.pyro_model, vae.pyro_guide, x)
    torch.testing.assert_close(ours.surrogate.sum(), pyros, rtol=0, atol=1e-12)
    mine = torch.autograd.grad(ours.surrogate.sum(), list(vae.parameters()))
    theirs = torch.autograd.grad(pyros, list(vae.parameters()))
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
