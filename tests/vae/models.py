"""Models whose truth is known, for the tests."""

import math

import torch
from torch import nn

import likelihoods as lk

NORMAL = lk.distributions.Normal


class Linear(nn.Linear):
    """A linear layer with given weights, in float64."""

    def __init__(self, weight, bias):
        super().__init__(weight.shape[1], weight.shape[0], dtype=torch.float64)
        with torch.no_grad():
            self.weight.copy_(weight)
            self.bias.copy_(bias)


def linear_gaussian(latents=2, pixels=4, sigma=0.7, seed=0, exact=True):
    """z ~ N(0, I), x|z ~ N(Wz + b, sigma²I) with orthogonal columns of W, so that the posterior is diagonal.

    Returns the VAE and the law of x. With ``exact`` the encoder gives the true posterior, else one that is a little off.
    """
    generator = torch.Generator().manual_seed(seed)
    weight, _ = torch.linalg.qr(torch.randn(pixels, latents, dtype=torch.float64, generator=generator))
    weight = weight * torch.linspace(0.6, 1.4, latents, dtype=torch.float64)
    bias = torch.randn(pixels, dtype=torch.float64, generator=generator)
    variance = 1.0 / (1.0 + (weight**2).sum(0) / sigma**2)
    to_mean = variance[:, None] * weight.T / sigma**2
    rows = torch.zeros(2 * latents, pixels, dtype=torch.float64)
    offset = torch.zeros(2 * latents, dtype=torch.float64)
    rows[0::2], offset[0::2], offset[1::2] = to_mean, -to_mean @ bias, 0.5 * variance.log()
    if not exact:
        rows[0::2] *= 0.8
        offset[0::2] += 0.3
        offset[1::2] += torch.linspace(0.4, -0.5, latents, dtype=torch.float64)
    likelihood = lk.Independent(lk.Family(NORMAL, loc=lk.predicted(), scale=sigma), 1)
    vae = lk.vae.VAE(Linear(rows, offset), Linear(weight, bias), likelihood, latent=latents)
    covariance = weight @ weight.T + sigma**2 * torch.eye(pixels, dtype=torch.float64)
    return vae, torch.distributions.MultivariateNormal(bias, covariance)


def exact_elbo(vae, x, sigma=0.7):
    """The ELBO of a linear-Gaussian model by the moments of q, with slopes in all parameters."""
    raw = vae.encoder(x).unflatten(-1, (-1, 2))
    mean, scale = raw[..., 0], raw[..., 1].exp()
    weight, bias = vae.decoder.weight, vae.decoder.bias
    square = ((x - mean @ weight.T - bias) ** 2).sum(-1) + (scale**2 @ (weight**2).sum(0))
    log_lik = -0.5 * square / sigma**2 - x.shape[-1] * (math.log(sigma) + 0.5 * math.log(2 * math.pi))
    return log_lik - 0.5 * (scale**2 + mean**2 - 1.0 - 2.0 * scale.log()).sum(-1)


def slopes(vae, objective, x, **options):
    """All slopes of the mean surrogate, as one vector."""
    vae.zero_grad()
    objective(vae, x, **options).surrogate.mean().backward()
    return torch.cat([p.grad.flatten() for p in vae.parameters()])


def binary(pixels=6, latents=2, hidden=None, seed=0, dtype=torch.float64):
    """A small VAE of binary pixels."""
    torch.manual_seed(seed)
    likelihood = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    if hidden is None:
        encoder, decoder = nn.Linear(pixels, 2 * latents), nn.Linear(latents, pixels)
    else:
        encoder = nn.Sequential(nn.Linear(pixels, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latents))
        decoder = nn.Sequential(nn.Linear(latents, hidden), nn.Tanh(), nn.Linear(hidden, pixels))
    return lk.vae.VAE(encoder, decoder, likelihood, latent=latents).to(dtype)
