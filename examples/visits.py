"""Train one network for doctor visits under three losses, and compare what cannot be compared by their values: in nats.

The RAND Health Insurance Experiment (20,190 person-years; it ships in the package) counts visits to a doctor. Mean squared
error, Poisson and negative binomial losses have values of different kinds; nats put each on one scale, and because the
target is a count, the Gaussian behind the squared error is scored by the mass that it gives to the cell of each count.

    python examples/visits.py [--smoke]
"""

import argparse

import pandas as pd
import torch
from torch import nn
from tqdm import trange

import likelihoods as lk
from likelihoods.data import randhie_path

LIKELIHOODS = {
    "mse": lk.Discretized(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.learned(4.0)), step=1.0),
    "poisson": lk.Family(lk.distributions.Poisson, rate=lk.predicted("log")),
    "negative_binomial": lk.Family(
        lk.distributions.NegativeBinomial, mean=lk.predicted("log"), dispersion=lk.learned()
    ),
}


def load() -> tuple[torch.Tensor, torch.Tensor]:
    """Return the standardised columns and the visits."""
    frame = pd.read_csv(randhie_path())
    columns = frame.drop(columns="mdvis")
    return torch.tensor(((columns - columns.mean()) / columns.std()).to_numpy()).float(), torch.tensor(
        frame.mdvis
    ).float()


def train(name: str, likelihood: lk.Likelihood, x: torch.Tensor, y: torch.Tensor, epochs: int) -> nn.Module:
    """Train a small network, and the likelihood's learned parameters with it, in nats."""
    loss = lk.NLL(likelihood)
    loss.check(y)
    network = nn.Sequential(nn.Linear(x.shape[1], 32), nn.Tanh(), nn.Linear(32, likelihood.width))
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=0.01)
    for _ in trange(epochs, desc=name, leave=False):
        for rows in torch.randperm(len(x)).split(512):
            optimizer.zero_grad()
            value = loss(network(x[rows]), y[rows])
            value.backward()
            optimizer.step()
    return network


def main() -> None:
    """Print the held-out score of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--smoke", action="store_true", help="one epoch on a tenth of the rows")
    smoke = parser.parse_args().smoke
    torch.manual_seed(0)
    x, y = load()
    order = torch.randperm(len(x))[: len(x) // 10 if smoke else None]
    test, rest = order[: len(order) // 5], order[len(order) // 5 :]
    print(
        f"{'loss':20} {'held-out nats a row':>20} {'P(no visit)':>12}   (observed {(y[test] == 0).float().mean():.2f})"
    )
    for name, likelihood in LIKELIHOODS.items():
        network = train(name, likelihood, x[rest], y[rest], epochs=1 if smoke else 15)
        with torch.no_grad():
            law = likelihood(network(x[test]))
            print(f"{name:20} {-law.log_prob(y[test]).mean():20.3f} {law.cdf(torch.zeros(())).mean():12.2f}")


if __name__ == "__main__":
    main()
