"""Three tasks, one network: a sum of losses depends on the units of the targets, the joint likelihood does not.

For each of scikit-learn's 1,797 digits the network says which digit it is (a class), how many of the 64 pixels are dark (a
count) and where the ink's centre is from left to right (a real number). Adding cross-entropy, Poisson loss and squared error
weighs the tasks by accident: give the centre in thousandths of a pixel and it drowns the others. In nats, with the noise of
each learned beside the network (Kendall, Gal, Cipolla 2018, https://arxiv.org/abs/1705.07115), the units cancel.

    python examples/multi_task.py [--smoke] [--plot FILE]
"""

import argparse
from pathlib import Path

import torch
from sklearn.datasets import load_digits
from torch import nn
from tqdm import trange

import likelihoods as lk

TASKS = ("digit", "dark", "centre")
UNITS = {"pixels": 1.0, "thousandths": 1000.0}


def joint(unit: float) -> lk.NLL:
    """Return the joint likelihood's loss; the centre's output and noise both start at the size of the unit."""
    pixels = lk.Link(f"{unit:g} units", lambda raw: unit * raw, lambda loc: loc / unit)
    parts = {
        "digit": lk.Family(lk.distributions.Categorical, logits=lk.predicted(size=10)),
        "dark": lk.Family(lk.distributions.NegativeBinomial, mean=lk.predicted("log"), dispersion=lk.learned(0.1)),
        "centre": lk.Family(lk.distributions.Normal, loc=lk.predicted(pixels), scale=lk.learned(unit)),
    }
    return lk.NLL(lk.Joint(parts))


def load(unit: float) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Return the images and the three targets, the centre in the given unit."""
    digits = load_digits()
    images = torch.tensor(digits.images).float()
    columns = torch.arange(8.0)
    centre = (images.sum(1) * columns).sum(-1) / images.sum((1, 2))
    targets = {
        "digit": torch.tensor(digits.target),
        "dark": (images > 8).sum((1, 2)).float(),
        "centre": unit * (centre - 3.5),
    }
    return images.flatten(1) / 16, targets


class Added(nn.Module):
    """The usual way: conventional losses, added up."""

    def __init__(self, unit: float) -> None:
        super().__init__()
        self.unit = unit
        self.losses = nn.ModuleList([lk.loss("cross_entropy"), lk.loss("poisson_nll"), lk.loss("mse")])

    def forward(self, raw: torch.Tensor, target: dict[str, torch.Tensor]) -> torch.Tensor:
        """Return the sum of the three losses."""
        pieces = raw[:, :10], raw[:, 10], self.unit * raw[:, 11]
        return sum(loss(piece, target[name]) for loss, piece, name in zip(self.losses, pieces, TASKS, strict=True))


def train(loss: nn.Module, unit: float, epochs: int, label: str) -> dict[str, float]:
    """Train on two thirds of the digits; return the share of wrong digits and the root-mean-square errors on the others."""
    torch.manual_seed(0)
    x, y = load(unit)
    order = torch.randperm(len(x))
    fitted, held = order[: 2 * len(x) // 3], order[2 * len(x) // 3 :]
    network = nn.Sequential(nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 12))
    optimizer = torch.optim.Adam([*network.parameters(), *loss.parameters()], lr=3e-3)
    for _ in trange(epochs, desc=label, leave=False):
        for rows in fitted[torch.randperm(len(fitted))].split(64):
            optimizer.zero_grad()
            loss(network(x[rows]), {name: values[rows] for name, values in y.items()}).backward()
            optimizer.step()
    with torch.no_grad():
        raw = network(x[held])
        wrong = (raw[:, :10].argmax(-1) != y["digit"][held]).float().mean().item()
        dark = (raw[:, 10].exp() - y["dark"][held]).square().mean().sqrt().item()
        centre = (raw[:, 11] - y["centre"][held] / unit).square().mean().sqrt().item()
    return {"wrong digits, %": 100 * wrong, "dark, pixels": dark, "centre, pixels": centre}


def draw(rows: dict[str, dict[str, float]], path: Path) -> None:
    """Draw each task's error under each objective."""
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 3, figsize=(9, 2.6), layout="constrained", sharey=True)
    for axis, error in zip(axes, next(iter(rows.values())), strict=True):
        bars = axis.barh(list(rows), [row[error] for row in rows.values()])
        axis.bar_label(bars, fmt="%.3g", padding=3)
        axis.margins(x=0.35)
        axis.set_title(error)
    axes[0].invert_yaxis()
    figure.suptitle("held-out error (smaller is better)")
    figure.savefig(path, dpi=120)


def main() -> None:
    """Print the held-out errors of both objectives in two units."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="three epochs")
    parser.add_argument("--plot", type=Path, help="draw the errors to a picture")
    given = parser.parse_args()
    rows = {}
    for objective, make in (("losses added", Added), ("joint likelihood", joint)):
        for unit, factor in UNITS.items():
            label = f"{objective}, centre in {unit}"
            rows[label] = train(make(factor), factor, 3 if given.smoke else 60, label)
    errors = list(next(iter(rows.values())))
    print(f"{'held-out error':42}" + "".join(f"{error:>18}" for error in errors))
    for label, row in rows.items():
        print(f"{label:42}" + "".join(f"{row[error]:18.3g}" for error in errors))
    if given.plot:
        draw(rows, given.plot)


if __name__ == "__main__":
    main()
