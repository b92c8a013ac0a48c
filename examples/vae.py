"""Train a variational autoencoder of images in a plain loop, and score it in nats and in bits a pixel.

The grey levels are numbers 0, 1, …, top, and the decoder is a law of such numbers: every score is the probability of an
image, so that all decoders can be compared. Data: scikit-learn's 8 x 8 digits, or MNIST's files by --data.

    python examples/vae.py [--decoder beta_binomial] [--objective iwae] [--data DIR] [--epochs 60] [--smoke]
"""

import argparse
import gzip
import math
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from tqdm import tqdm

import likelihoods as lk

F, D, P = lk.Family, lk.distributions, lk.predicted
DECODERS = {  # of one pixel with levels 0 … top
    "beta_binomial": lambda top: F(D.BetaBinomial, logits=P(), precision=P(), total_count=top),
    "logistic": lambda top: F(D.DiscretizedLogistic, loc=P(), scale=P(), low=0.0, high=top),
    "logistic_mixture": lambda top: lk.Mixture(F(D.DiscretizedLogistic, loc=P(), scale=P(), low=0.0, high=top), 3),
    "normal": lambda top: lk.Discretized(F(D.Normal, loc=P(), scale=lk.learned(0.2 * top)), 1.0, 0.0, top),
    "categorical": lambda top: F(D.Categorical, logits=P(size=int(top) + 1)),
}
OBJECTIVES = {
    "elbo": lambda total: lk.vae.ELBO(),
    "warm_up": lambda total: lk.vae.ELBO(beta=lk.vae.WarmUp(total // 4, total=total)),
    "iwae": lambda total: lk.vae.IWAE(k=10, gradient="dreg"),
}


def load(folder: Path | None) -> tuple[torch.Tensor, torch.Tensor, float]:
    """Return training and test images of shape (N, pixels), and the highest grey level."""
    if folder is None:
        x = torch.tensor(load_digits().data).float()
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(0))]
        return x[:1500], x[1500:], 16.0
    parts = []
    for name in ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte"):
        path = next(p for p in (folder / name, folder / f"{name}.gz") if p.exists())
        data = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())[16:]
        parts.append(torch.frombuffer(bytearray(data), dtype=torch.uint8).reshape(-1, 784).float())
    return parts[0], parts[1], 255.0


def build(pixel: lk.Likelihood, pixels: int, top: float, latent: int, hidden: int) -> lk.vae.VAE:
    """Return a model of two small networks; the encoder sees levels from 0 to 1."""

    class Scale(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x / top

    encoder = nn.Sequential(Scale(), nn.Linear(pixels, hidden), nn.Tanh(), nn.Linear(hidden, 2 * latent))
    likelihood = lk.Independent(pixel, (pixels,))
    decoder = nn.Sequential(nn.Linear(latent, hidden), nn.Tanh(), nn.Linear(hidden, likelihood.width))
    return lk.vae.VAE(encoder, decoder, likelihood, latent=latent)


def train(vae: lk.vae.VAE, x: torch.Tensor, objective: lk.vae.Objective, epochs: int, batch: int) -> None:
    """Descend the surrogate; what the bar shows is the bound, in nats an image."""
    optimizer, step = torch.optim.Adam(vae.parameters(), lr=2e-3), 0
    bar = tqdm(range(epochs), leave=False)
    for _ in bar:
        for rows in torch.randperm(len(x)).split(batch):
            terms = objective(vae, x[rows], step)
            optimizer.zero_grad()
            terms.surrogate.mean().backward()
            optimizer.step()
            step += 1
        bar.set_description(f"bound {terms.bound.mean():.1f} nats, rate {terms.rate.sum(-1).mean():.1f}")


@torch.no_grad()
def report(vae: lk.vae.VAE, x: torch.Tensor, k: int) -> str:
    """Return the scores of held-out images."""
    elbo = lk.vae.ELBO(k=10)(vae, x)
    bound = torch.cat([lk.vae.IWAE(k)(vae, rows).bound for rows in x.split(100)])
    error = bound.std() / len(bound) ** 0.5
    bits = -bound.mean() / math.log(2.0) / x.shape[-1]
    return (
        f"ELBO {elbo.bound.mean():.2f}, bound with k = {k} {bound.mean():.2f} ± {error:.2f} nats an image; "
        f"{bits:.3f} bits a pixel; rate {elbo.rate.sum(-1).mean():.1f} nats, "
        f"{int((elbo.rate.mean(0) > 0.01).sum())} of {elbo.rate.shape[-1]} latents in use"
    )


def main() -> None:
    """Train one model and print its scores."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--decoder", choices=DECODERS, default="beta_binomial")
    parser.add_argument("--objective", choices=OBJECTIVES, default="elbo")
    parser.add_argument("--data", type=Path, help="a folder with MNIST's idx files")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--smoke", action="store_true", help="two epochs on a few images")
    options = parser.parse_args()
    torch.manual_seed(0)
    x, test, top = load(options.data)
    epochs = options.epochs
    if options.smoke:
        x, test, epochs = x[:300], test[:50], 2
    vae = build(DECODERS[options.decoder](top), x.shape[-1], top, latent=10, hidden=128)
    vae.likelihood.check(x.long() if options.decoder == "categorical" else x)
    batch = 50
    train(vae, x, OBJECTIVES[options.objective](epochs * -(-len(x) // batch)), epochs, batch)
    print(f"{options.decoder}, {options.objective}: {report(vae, test, k=20 if options.smoke else 1000)}")


if __name__ == "__main__":
    main()
