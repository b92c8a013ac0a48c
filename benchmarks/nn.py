"""Loss classes of likelihoods.nn, value and gradient, against torch.nn's: as they are, and derived (strict)."""

from collections.abc import Iterator

import torch

from benchmarks.losses import gradient
from benchmarks.timing import Row, compare
from likelihoods import nn

SIZES = (100, 100_000)


def rows() -> Iterator[Row]:
    """Yield a row for each class and size, and whether it is strict."""
    torch.manual_seed(0)
    for size in SIZES:
        real, scores = torch.randn(size, requires_grad=True), torch.randn(size // 10, 10, requires_grad=True)
        target = torch.randn(size)
        cases = {
            "MSELoss": (real, target),
            "HuberLoss": (real, target),
            "PoissonNLLLoss": (real, target.exp().round()),
            "BCEWithLogitsLoss": (real, target.sign().clamp_min(0)),
            "SoftMarginLoss": (real, target.sign()),
            "CrossEntropyLoss": (scores, torch.randint(10, (size // 10,))),
            "MultiMarginLoss": (scores, torch.randint(10, (size // 10,))),
            "TripletMarginLoss": (scores, scores.detach() + 1, scores.detach().flip(0)),
        }
        for name, inputs in cases.items():
            theirs = gradient(getattr(torch.nn, name)(), *inputs)
            for strict in (False, True):
                what = f"{name}(strict=True)" if strict else f"{name}()"
                yield compare(
                    what, f"torch.nn.{name}", size, gradient(getattr(nn, name)(strict=strict), *inputs), theirs
                )
