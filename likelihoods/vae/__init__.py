"""Variational autoencoders: a likelihood for x, one for z given x and one for z, and objectives in nats a datum."""

from likelihoods.vae.aggregate import BetaTC, InfoVAE
from likelihoods.vae.latents import Flow, FullGaussian, Unconditional, VampPrior, gaussian, standard_normal
from likelihoods.vae.model import VAE
from likelihoods.vae.objectives import ELBO, IWAE, Enumerated, Renyi
from likelihoods.vae.schedules import Cyclical, Schedule, WarmUp
from likelihoods.vae.terms import Objective, Terms
from likelihoods.vae.training import Epoch, fit

__all__ = [
    "ELBO",
    "IWAE",
    "VAE",
    "BetaTC",
    "Cyclical",
    "Enumerated",
    "Epoch",
    "Flow",
    "FullGaussian",
    "InfoVAE",
    "Objective",
    "Renyi",
    "Schedule",
    "Terms",
    "Unconditional",
    "VampPrior",
    "WarmUp",
    "fit",
    "gaussian",
    "standard_normal",
]
