"""A variational autoencoder in Pyro, whose decoder's law is chosen by name: one line of the model is new.

The model and the guide are Pyro's own; ``likelihood(decoder(z))`` is a Pyro distribution with its event axes set. The
objective is the importance-weighted bound with the doubly reparametrised gradient, which Pyro does not have. Data:
scikit-learn's 8 x 8 digits, made black and white, or levels 0 … 16, as the decoder wants them.

    python examples/vae_pyro.py [--decoder bernoulli] [--epochs 40] [--smoke]
"""

import argparse

import pyro
import torch
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import Adam
from sklearn.datasets import load_digits
from torch import nn
from tqdm import trange

import likelihoods as lk
from likelihoods.vae.pyro import IWAE_ELBO

F, D, P = lk.Family, lk.distributions, lk.predicted
DECODERS = {
    "bernoulli": F(D.Bernoulli, logits=P()),
    "beta_binomial": F(D.BetaBinomial, logits=P(), precision=P(), total_count=16.0),
    "discretized_logistic": F(D.DiscretizedLogistic, loc=P(), scale=P(), low=0.0, high=16.0),
}
PIXELS, LATENT, HIDDEN = 64, 10, 128


class DigitsVAE(nn.Module):
    """Two networks, and the model and the guide that are made of them."""

    def __init__(self, pixel: lk.Likelihood, top: float) -> None:
        super().__init__()
        self.top, self.likelihood = top, lk.Independent(pixel, (PIXELS,))
        self.posterior, self.prior = lk.vae.gaussian(LATENT), lk.vae.standard_normal(LATENT)
        self.encoder = nn.Sequential(nn.Linear(PIXELS, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, self.posterior.width))
        self.decoder = nn.Sequential(nn.Linear(LATENT, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, self.likelihood.width))

    def model(self, x: torch.Tensor, size: int) -> None:
        pyro.module("vae", self)
        with pyro.plate("data", size, subsample_size=len(x)):
            z = pyro.sample("z", self.prior(x.new_empty(len(x), 0)))
            pyro.sample("x", self.likelihood(self.decoder(z)), obs=x)

    def guide(self, x: torch.Tensor, size: int) -> None:
        pyro.module("vae", self)
        with pyro.plate("data", size, subsample_size=len(x)):
            pyro.sample("z", self.posterior(self.encoder(x / self.top)))


def main() -> None:
    """Train one model and print its bounds on held-out digits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoder", choices=DECODERS, default="bernoulli")
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--smoke", action="store_true", help="two epochs on a few images")
    options = parser.parse_args()
    pyro.set_rng_seed(0)
    x = torch.tensor(load_digits().data).float()[torch.randperm(1797)]
    top = 16.0
    if options.decoder == "bernoulli":
        x, top = (x > 8.0).float(), 1.0
    train, test, epochs = x[:1500], x[1500:], options.epochs
    if options.smoke:
        train, test, epochs = train[:300], test[:50], 2

    vae = DigitsVAE(DECODERS[options.decoder], top)
    vae.likelihood.check(train)
    objective = IWAE_ELBO(k=5, gradient="dreg", max_plate_nesting=1)
    svi = SVI(vae.model, vae.guide, Adam({"lr": 2e-3}), objective)
    for _ in (bar := trange(epochs, leave=False)):
        # the loss of a batch estimates that of all data: a batch counts size/batch times, outside the logarithm
        losses = [svi.step(rows, len(train)) for rows in train[torch.randperm(len(train))].split(50)]
        bar.set_description(f"bound {-sum(losses) / len(losses) / len(train):.1f} nats an image")

    many = 20 if options.smoke else 500
    bounds = {
        "ELBO": Trace_ELBO(num_particles=20, vectorize_particles=True, max_plate_nesting=1),
        f"bound with k = {many}": IWAE_ELBO(many, max_plate_nesting=1),
    }
    for name, bound in bounds.items():
        value = -bound.loss(vae.model, vae.guide, test, len(test)) / len(test)
        print(f"{options.decoder}: {name} {value:.2f} nats an image")


if __name__ == "__main__":
    main()
