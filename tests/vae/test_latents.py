"""Posteriors and priors, and their divergences."""

import copy
import math

import numpy as np
import pyro
import pytest
import torch
from pyro.distributions.transforms import affine_autoregressive, planar
from scipy import integrate
from torch import nn

import likelihoods as lk
from likelihoods.vae.pyro import IWAE_ELBO
from likelihoods.vae.rates import closed_rate
from tests.vae.models import linear_gaussian

D, F, P = lk.distributions, lk.Family, lk.predicted
DOUBLE = torch.float64


@pytest.fixture
def double():
    """Pyro's inverses of autoregressive transforms are of torch's default dtype."""
    torch.set_default_dtype(DOUBLE)
    yield
    torch.set_default_dtype(torch.float32)


def each(family, sizes=(4,), **parameters):
    return lk.Independent(F(family, **parameters), sizes)


PAIRS = {
    "normal": (lk.vae.gaussian(4), lk.vae.standard_normal(4)),
    "kumaraswamy and beta": (
        each(D.Kumaraswamy, concentration1=P(), concentration0=P()),
        each(D.Beta, concentration1=1.3, concentration0=0.8),
    ),
    "gamma": (each(D.Gamma, concentration=P(), rate=P()), each(D.Gamma, concentration=2.0, rate=1.5)),
    "log-normal and gamma": (each(D.LogNormal, loc=P(), scale=P()), each(D.Gamma, concentration=2.0, rate=1.5)),
    "bernoulli": (each(D.Bernoulli, logits=P()), each(D.Bernoulli, logits=0.4)),
    "categorical": (
        each(D.Categorical, logits=P(size=3)),
        lk.Independent(F(D.Categorical, logits=(0.1, 0.2, -0.3)), (4,)),
    ),
    "directions": (
        F(D.VonMisesFisher, loc=P(size=4), concentration=P("softplus")),
        F(D.VonMisesFisher, loc=(1.0, 0.0, 0.0, 0.0), concentration=0.0),
    ),
    "full covariance": (lk.vae.FullGaussian(4), lk.vae.standard_normal(4)),
}


@pytest.mark.parametrize("name", list(PAIRS))
def test_the_closed_rate_is_the_divergence_and_has_slopes(name):
    posterior, prior = PAIRS[name]
    torch.manual_seed(0)
    raw = (0.5 * torch.randn(6, posterior.width, dtype=DOUBLE)).requires_grad_()
    q, p = posterior(raw), prior(raw.new_empty(6, 0))
    rate = closed_rate(q, p)
    factorises = isinstance(q, torch.distributions.Independent)
    assert rate.shape == (6, 4 if factorises else 1)
    truth = lk.divergences.kl(q, p)
    torch.testing.assert_close(rate.sum(-1), truth.value.to(DOUBLE), rtol=1e-11, atol=1e-11)
    assert (rate > 0).all()

    def total(raw):
        return closed_rate(posterior(raw), prior(raw.new_empty(6, 0))).sum()

    assert torch.autograd.gradcheck(total, raw)


def test_what_has_no_closed_rate_says_so():
    q, p = (
        lk.vae.gaussian(2)(torch.zeros(3, 4)),
        lk.vae.Unconditional(lk.Mixture(lk.vae.gaussian(2), 3))(torch.empty(3, 0)),
    )
    with pytest.raises(NotImplementedError, match="kl='sampled'"):
        closed_rate(q, p)
    # quadrature has a value, and no slope to train by
    student = lk.Independent(F(D.StudentT, df=4.0, loc=0.0, scale=1.0), (2,))(torch.empty(3, 0))
    with pytest.raises(NotImplementedError, match="kl='sampled'"):
        closed_rate(q, student)


def test_the_layout_of_the_raw_output():
    law = lk.vae.gaussian(2)(torch.tensor([[1.0, 2.0, 3.0, 4.0]]))
    assert torch.equal(law.mean, torch.tensor([[1.0, 3.0]]))
    torch.testing.assert_close(law.stddev, torch.tensor([[2.0, 4.0]]).exp())
    law = lk.vae.FullGaussian(3)(torch.arange(9.0)[None] / 10.0)
    factor = torch.tensor([[math.exp(0.3), 0, 0], [0.4, math.exp(0.5), 0], [0.6, 0.7, math.exp(0.8)]])
    torch.testing.assert_close(law.mean[0], torch.tensor([0.0, 0.1, 0.2]))
    torch.testing.assert_close(law.covariance_matrix[0], factor @ factor.T)


def test_a_law_of_numbers_alone_takes_the_networks_dtype():
    prior = lk.Independent(F(D.Normal, loc=0.0, scale=0.1), (2,))
    for dtype in (torch.float32, DOUBLE):
        law = prior(torch.empty(3, 0, dtype=dtype))
        assert law.sample().dtype == dtype
        assert law.base_dist.scale[0, 0] == torch.tensor(0.1, dtype=dtype)


def test_any_likelihood_is_a_prior_once_its_raw_output_is_learned():
    torch.manual_seed(0)
    base = lk.Mixture(lk.vae.gaussian(2), 5)
    prior = lk.vae.Unconditional(base).double()
    z = torch.randn(7, 3, 2, dtype=DOUBLE)
    law = prior(z.new_empty(3, 0))
    torch.testing.assert_close(law.log_prob(z), base.log_prob(prior.raw.expand(7, 3, -1), z))
    law.log_prob(z).sum().backward()
    assert prior.raw.grad.abs().min() > 0
    with pytest.raises(ValueError, match=r"needs \(25,\)"):
        lk.vae.Unconditional(base, torch.zeros(3))
    with pytest.raises(TypeError, match="no fixed length"):
        lk.vae.Unconditional(F(D.Categorical, logits=P()))


def test_the_vamp_prior_is_the_mixture_of_the_posteriors_of_its_inputs():
    torch.manual_seed(0)
    encoder, posterior = nn.Linear(6, 4).double(), lk.vae.gaussian(2)
    prior = lk.vae.VampPrior(encoder, posterior, torch.rand(7, 6, dtype=DOUBLE))
    z = torch.randn(5, 2, dtype=DOUBLE)
    parts = torch.stack([posterior(encoder(u[None])).log_prob(z) for u in prior.inputs])
    torch.testing.assert_close(prior(z.new_empty(5, 0)).log_prob(z), parts.logsumexp(0) - math.log(7))
    pixels = lk.Independent(F(D.Bernoulli, logits=P()), 1)
    vae = lk.vae.VAE(encoder, nn.Linear(2, 6).double(), pixels, posterior=posterior, prior=prior)
    for objective in (lk.vae.ELBO(kl="sampled", gradient="stl"), lk.vae.IWAE(3, gradient="dreg")):
        vae.zero_grad()
        objective(vae, torch.ones(4, 6, dtype=DOUBLE)).surrogate.sum().backward()
        assert prior.inputs.grad.abs().max() > 0
    assert len(list(vae.parameters())) == 5  # the encoder is the model's own, not a copy
    with pytest.raises(ValueError, match="inputs.float"):
        lk.vae.VampPrior(encoder, posterior, torch.ones(3, 6, dtype=torch.long))


@pytest.mark.usefixtures("double")
def test_a_flows_density_is_one():
    torch.manual_seed(0)
    flow = lk.vae.Flow(lk.vae.gaussian(2), [affine_autoregressive(2), affine_autoregressive(2)]).double()
    raw = 0.3 * torch.randn(1, 4, dtype=DOUBLE)
    with torch.no_grad():  # light tails
        for parameter in flow.parameters():
            parameter *= 0.4

    grid = np.linspace(-12.0, 12.0, 401)
    with torch.no_grad():
        z = torch.cartesian_prod(torch.tensor(grid), torch.tensor(grid)).unsqueeze(1)
        values = flow(raw).log_prob(z).exp().reshape(401, 401).numpy()
    assert integrate.simpson(integrate.simpson(values, x=grid), x=grid) == pytest.approx(1.0, abs=1e-6)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("transform", [affine_autoregressive, planar])
def test_flows_as_posteriors_are_trained(transform):
    torch.manual_seed(0)
    flow = lk.vae.Flow(lk.vae.gaussian(3), [transform(3), transform(3)])
    pixels = lk.Independent(F(D.Bernoulli, logits=P()), 1)
    vae = lk.vae.VAE(nn.Linear(6, 6), nn.Linear(3, 6), pixels, posterior=flow, prior=lk.vae.standard_normal(3)).double()
    x = torch.ones(4, 6, dtype=DOUBLE)
    for objective in (lk.vae.ELBO(kl="sampled"), lk.vae.IWAE(5)):
        vae.zero_grad()
        terms = objective(vae, x)
        terms.surrogate.sum().backward()
        assert all(p.grad is not None for p in flow.parameters())
        fresh = flow(vae.encoder(x))
        z = fresh.rsample((2,))
        assert terms.rate.shape == (4, 1)
        if transform is affine_autoregressive:  # the density of a sample is that of any other point
            torch.testing.assert_close(fresh.log_prob(z), flow(vae.encoder(x)).log_prob(z.clone()))
    with pytest.raises(NotImplementedError, match="kl='sampled'"):
        lk.vae.ELBO()(vae, x)
    with pytest.raises(TypeError, match="give transforms"):
        lk.vae.Flow(lk.vae.gaussian(3), [])


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("objective", [lk.vae.ELBO, lk.vae.IWAE, IWAE_ELBO])
def test_the_stl_gradient_of_a_flow_is_nought_at_the_true_posterior(objective):
    torch.manual_seed(0)
    steps = [affine_autoregressive(2), affine_autoregressive(2)]
    flow = lk.vae.Flow(lk.vae.gaussian(2), steps)
    prior = lk.vae.Unconditional(lk.vae.Flow(lk.vae.gaussian(2), copy.deepcopy(steps)), torch.full((4,), 0.2))
    pixels = lk.Independent(F(D.Normal, loc=P(), scale=1.0), 1)
    vae = lk.vae.VAE(nn.Linear(6, 4), nn.Linear(2, 6), pixels, posterior=flow, prior=prior)
    with torch.no_grad():  # a decoder that does not look at z, so that the posterior is the prior
        vae.decoder.weight.zero_()
        vae.encoder.weight.zero_()
        vae.encoder.bias.fill_(0.2)
    x = torch.randn(4, 6)
    for gradient, still in (("stl", True), ("standard", False)):
        vae.zero_grad()
        if objective is lk.vae.ELBO:
            objective(kl="sampled", gradient=gradient)(vae, x).surrogate.sum().backward()
        elif objective is lk.vae.IWAE:
            objective(3, gradient=gradient)(vae, x).surrogate.sum().backward()
        else:
            with pyro.get_param_store().scope():
                objective(3, gradient=gradient, max_plate_nesting=1).loss_and_grads(vae.pyro_model, vae.pyro_guide, x)
        for part in (vae.encoder, vae.posterior):
            largest = max(p.grad.abs().max() for p in part.parameters())
            assert largest < 1e-12 if still else largest > 1e-3


@pytest.mark.usefixtures("double")
def test_the_stl_gradient_of_a_flow_has_the_mean_of_the_standard_one():
    torch.manual_seed(0)
    flow = lk.vae.Flow(lk.vae.gaussian(2), [affine_autoregressive(2)])
    vae, law = linear_gaussian(exact=False)
    vae = lk.vae.VAE(vae.encoder, vae.decoder, vae.likelihood, posterior=flow, prior=vae.prior)
    x = law.sample((1,)).expand(2000, -1)
    found = []
    for gradient in ("stl", "standard"):
        rows = []
        for _ in range(20):
            vae.zero_grad()
            lk.vae.ELBO(kl="sampled", gradient=gradient)(vae, x).surrogate.mean().backward()
            rows.append(torch.cat([p.grad.flatten() for p in flow.parameters()]))
        rows = torch.stack(rows)
        found.append((rows.mean(0), rows.std(0) / 20**0.5))
    (stl, stl_error), (standard, error) = found
    # a slope that is nought in every sample (a dead unit's) differs by nothing
    assert ((stl - standard).abs() <= 5.0 * (stl_error**2 + error**2).sqrt() + 1e-12).all()
    assert error.max() < 0.1 * standard.abs().max()
