"""Every loss class of torch.nn, with its options and inputs of every shape that it takes."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import torch
from torch import nn

REDUCTIONS = ({"reduction": "mean"}, {"reduction": "sum"}, {"reduction": "none"})
LEGACY = ({"size_average": False}, {"reduce": False}, {"size_average": True, "reduce": True})
SHAPES = ((), (5,), (4, 3), (2, 3, 2), (1, 1))


@dataclass(frozen=True)
class Case:
    """One setting of a class's options, and inputs for it.

    Attributes:
        arguments: positional arguments.
        options: keyword arguments; tensors among them are float64, and made anew for each dtype.
        make: from a dtype to the inputs of forward; predictions require a gradient.
        right: whether torch's value is that of the derivation, so that they may be compared.
    """

    options: dict
    make: Callable[[torch.dtype], tuple]
    arguments: tuple = ()
    right: bool = True

    def build(self, module, name, dtype, **more):
        """Return the module of that name, of torch.nn or of ours, with parameters from one seed."""
        options = {k: v.to(dtype) if isinstance(v, torch.Tensor) else v for k, v in self.options.items()}
        torch.manual_seed(0)
        return getattr(module, name)(*self.arguments, **options, **more).to(dtype)

    def __str__(self):
        shapes = [tuple(i.shape) if isinstance(i, torch.Tensor) else i for i in self.make(torch.float64)]
        return f"{self.arguments} {self.options} on {shapes}"


def options(*grids):
    """The product of lists of options."""
    return [{k: v for part in parts for k, v in part.items()} for parts in product(*grids)]


def real(*shape, scale=2.0):
    torch.manual_seed(len(shape) + sum(shape))
    return scale * torch.randn(shape, dtype=torch.float64)


def grad(x, dtype):
    return x.detach().to(dtype).requires_grad_()


def signs(*shape):
    return torch.sign(real(*shape) + 0.1)


def elementwise(target, prediction=real):
    """Makers of (prediction, target) of one shape."""
    for shape in SHAPES:
        x, y = prediction(*shape), target(*shape)
        yield lambda dtype, x=x, y=y: (grad(x, dtype), y.to(dtype))


def numbers(name) -> Iterator[Case]:
    grids = {
        "L1Loss": [{}],
        "MSELoss": [{}],
        "SmoothL1Loss": [{}, {"beta": 0.3}, {"beta": 2.5}, {"beta": 0.0}],
        "HuberLoss": [{}, {"delta": 0.3}, {"delta": 2}],
        "PoissonNLLLoss": options([{"log_input": True}, {"log_input": False}], [{}, {"full": True}], [{}, {"eps": 1e-3}]),
    }
    counts = name == "PoissonNLLLoss"
    for option in grids[name]:
        positive = counts and not option["log_input"]
        makers = elementwise(
            (lambda *s: real(*s).exp().round()) if counts else lambda *s: real(*s, scale=1.0) + 0.3,
            (lambda *s: real(*s).exp()) if positive else real,
        )
        more = REDUCTIONS if name == "HuberLoss" else REDUCTIONS + LEGACY
        yield from (Case(option | reduction, make) for make in makers for reduction in more)


def gaussian() -> Iterator[Case]:
    shapes = [((), ()), ((5,), (5,)), ((5,), (1,)), ((4, 3), (4, 3)), ((4, 3), (4,)), ((4, 3), (4, 1)), ((2, 3, 2), (2, 1, 2))]
    for option in options([{}, {"full": True}], [{}, {"eps": 0.5}], REDUCTIONS):
        for shape, spread in shapes:
            x, y, v = real(*shape), real(*shape, scale=1.0), real(*spread).exp()
            yield Case(option, lambda dtype, x=x, y=y, v=v: (grad(x, dtype), y.to(dtype), grad(v, dtype)))
        yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y.to(dtype), 0.7))


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    **{name: lambda name=name: numbers(name) for name in ("L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss")},
    "GaussianNLLLoss": gaussian,
}
LOSSES = sorted(name for name in dir(nn) if name.endswith("Loss") or name in ("NLLLoss2d", "AdaptiveLogSoftmaxWithLoss"))
