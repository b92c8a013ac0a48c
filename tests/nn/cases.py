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


def log_softmax(x, dtype):
    """Log-probabilities, and the scores that they are made of: it is these whose gradient is compared."""
    root = grad(x, dtype)
    made = root.log_softmax(-1)
    made.root = root
    return made


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
        "PoissonNLLLoss": options(
            [{"log_input": True}, {"log_input": False}], [{}, {"full": True}], [{}, {"eps": 1e-3}]
        ),
    }
    counts = name == "PoissonNLLLoss"
    for option in grids[name]:
        positive = counts and not option["log_input"]
        makers = elementwise(
            (lambda *s: real(*s, scale=1.0).exp().round()) if counts else lambda *s: real(*s, scale=1.0) + 0.3,
            (lambda *s: real(*s).exp()) if positive else real,
        )
        more = REDUCTIONS if name == "HuberLoss" else REDUCTIONS + LEGACY
        yield from (Case(option | reduction, make) for make in makers for reduction in more)


def gaussian() -> Iterator[Case]:
    shapes = [
        ((), ()),
        ((5,), (5,)),
        ((5,), (1,)),
        ((4, 3), (4, 3)),
        ((4, 3), (4,)),
        ((4, 3), (4, 1)),
        ((2, 3, 2), (2, 1, 2)),
    ]
    for option in options([{}, {"full": True}], [{}, {"eps": 0.5}], REDUCTIONS):
        for shape, spread in shapes:
            x, y, v = real(*shape), real(*shape, scale=1.0), real(*spread).exp()
            yield Case(option, lambda dtype, x=x, y=y, v=v: (grad(x, dtype), y.to(dtype), grad(v, dtype)))
        yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y.to(dtype), 0.7))


def binary(name) -> Iterator[Case]:
    """BCE and its like: grey targets too, and weights that broadcast."""
    for shape in SHAPES:
        last = shape[-1:]
        weights = [{}, {"weight": real(*shape).exp()}, {"weight": real(*last).exp()}]
        positive = (
            [{}] if name == "BCELoss" else [{}, {"pos_weight": real(*last).exp()}, {"pos_weight": torch.tensor(3.0)}]
        )
        more = REDUCTIONS + (LEGACY if shape == (5,) else ())
        x = real(*shape).sigmoid() if name == "BCELoss" else real(*shape)
        for y in ((real(*shape) > 0).double(), real(*shape).sigmoid()):
            for option in options(weights, positive, more):
                yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y.to(dtype)))


def signed(name) -> Iterator[Case]:
    """Labels of 1 and -1 on one number: a score or a distance."""
    margins = [{}] if name == "SoftMarginLoss" else [{}, {"margin": 0.3}, {"margin": 2.0}]
    for option in options(margins, REDUCTIONS + LEGACY):
        yield from (Case(option, make) for make in elementwise(signs))


def classes(name) -> Iterator[Case]:
    """Classes, and probabilities for each, with the axis of classes second."""
    layouts = [(), (5,), (4, 3), (2, 3, 2)]  # the shape of the targets; a missing batch, a batch, and more axes
    for layout in layouts:
        shape = (*layout[:1], 4, *layout[1:])
        x = real(*shape)
        if name == "NLLLoss":
            x = x.log_softmax(1 if layout else 0)
        torch.manual_seed(1)
        index = torch.randint(4, layout) if layout else torch.tensor(2)  # not the one of weight 0, whose mean is 0/0
        soft = real(*shape, scale=1.0).softmax(1 if layout else 0)
        grid = options(
            [{}, {"weight": real(4).exp()}, {"weight": torch.tensor([1.0, 0.0, 2.0, 0.5])}],
            [{}, {"ignore_index": 1}] if layout else [{}],
            [{}] if name == "NLLLoss" else [{}, {"label_smoothing": 0.2}],
            REDUCTIONS + (LEGACY if layout == (5,) else ()),
        )
        for option in grid:
            yield Case(option, lambda dtype, x=x, y=index: (grad(x, dtype), y))
            if layout and "ignore_index" not in option:
                ignored = index.masked_fill(index == 0, -100)
                yield Case(option, lambda dtype, x=x, y=ignored: (grad(x, dtype), y))
            if name == "CrossEntropyLoss" and "ignore_index" not in option:
                yield Case(option, lambda dtype, x=x, y=soft: (grad(x, dtype), y.to(dtype)))


def linear() -> Iterator[Case]:
    for batch, out in [((), ()), ((5,), ()), ((5,), (2,)), ((4,), (3, 2))]:
        x = real(*batch, 3)
        torch.manual_seed(1)
        index = torch.randint(4, (*batch, *out))
        soft = real(*batch, 4, *out).softmax(len(batch))
        for option in options(
            [{}, {"weight": real(4).exp()}], [{}, {"bias": True}], [{}, {"label_smoothing": 0.2}], REDUCTIONS
        ):
            given = option | {"out_features": out}
            yield Case(given, lambda dtype, x=x, y=index: (grad(x, dtype), y), (3, 4))
            yield Case(given, lambda dtype, x=x, y=soft: (grad(x, dtype), y.to(dtype)), (3, 4))
        if batch:
            yield Case(
                {"ignore_index": 1, "out_features": out}, lambda dtype, x=x, y=index: (grad(x, dtype), y), (3, 4)
            )
            if not out:
                chunked = {"options": nn.LinearCrossEntropyOptions()}
                yield Case(chunked, lambda dtype, x=x, y=index: (grad(x, dtype), y), (3, 4))


def adaptive() -> Iterator[Case]:
    for option in options([{}, {"head_bias": True}], [{}, {"div_value": 2.0}]):
        for cutoffs in ([2], [2, 5]):
            for layout in ((), (6,)):
                x = real(*layout, 16)
                torch.manual_seed(1)
                y = torch.randint(9, layout)
                yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y), (16, 9, cutoffs))


def divergence() -> Iterator[Case]:
    for shape in ((4,), (3, 4), (2, 3, 4)):
        x, p = real(*shape), real(*shape, scale=1.0).softmax(-1)
        zero = torch.nn.functional.one_hot(p.argmax(-1), 4).double()
        for option in options([{}, {"log_target": True}], [*REDUCTIONS, {"reduction": "batchmean"}, *LEGACY]):
            for y in (p,) if "log_target" in option else (p, zero):
                given = y.log() if "log_target" in option else y
                yield Case(option, lambda dtype, x=x, y=given: (log_softmax(x, dtype), y.to(dtype)))


def multi_margin() -> Iterator[Case]:
    grid = options(
        [{}, {"p": 2}],
        [{}, {"margin": 0.4}, {"margin": -0.2}],
        [{}, {"weight": real(4).exp()}],
        REDUCTIONS + LEGACY[:1],
    )
    for layout in ((), (5,)):
        torch.manual_seed(1)
        x, y = real(*layout, 4), torch.randint(4, layout)
        for option in grid:
            yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y))


def label_sets(name) -> Iterator[Case]:
    shapes = ((4,), (3, 4)) if name == "MultiLabelMarginLoss" else ((4,), (3, 4), (2, 3, 4))
    for shape in shapes:
        x = real(*shape)
        if name == "MultiLabelMarginLoss":
            y = torch.tensor([[3, 0, -1, 1], [2, -1, -1, -1], [-1, 1, 2, 3]])
            y = y if len(shape) == 2 else y[0]
            for option in REDUCTIONS + LEGACY:
                yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y))
        else:
            y = (real(*shape) > 0).double()
            for option in options([{}, {"weight": real(4).exp()}], REDUCTIONS + LEGACY):
                yield Case(option, lambda dtype, x=x, y=y: (grad(x, dtype), y.to(dtype)))


def cosine() -> Iterator[Case]:
    for layout in ((), (5,)):
        y = signs(*layout)
        for small in (1.0, 1e-5):  # next to nothing, what torch adds to the squared norms shows
            a, b = small * real(*layout, 3), small * (real(*layout, 3, scale=1.0) + 0.2)
            for option in options([{}, {"margin": 0.3}, {"margin": -0.5}], REDUCTIONS + LEGACY):
                yield Case(option, lambda dtype, a=a, b=b, y=y: (grad(a, dtype), grad(b, dtype), y.to(dtype)))


def ranking() -> Iterator[Case]:
    for shape in SHAPES:
        a, b, y = real(*shape), real(*shape, scale=1.0) + 0.2, signs(*shape)
        for option in options([{}, {"margin": 0.3}], REDUCTIONS + LEGACY):
            yield Case(option, lambda dtype, a=a, b=b, y=y: (grad(a, dtype), grad(b, dtype), y.to(dtype)))


def manhattan(a, b):
    return (a - b).abs().sum(-1)


def triplet(name) -> Iterator[Case]:
    more = [{}, {"margin": 0.3}]
    if name == "TripletMarginLoss":
        grid = options(more, [{}, {"p": 1.0}, {"p": 3.0}], [{}, {"eps": 1e-2}], [{}, {"swap": True}], REDUCTIONS)
    else:
        grid = options(more, [{}, {"distance_function": manhattan}], [{}, {"swap": True}], REDUCTIONS)
    for shape in ((3,), (5, 3)):
        given = real(*shape), real(*shape, scale=1.0) + 0.2, real(*shape, scale=1.5)
        for option in grid:
            yield Case(option, lambda dtype, given=given: tuple(grad(x, dtype) for x in given))


def strings() -> Iterator[Case]:
    """Padded and concatenated targets, lengths as tensors and tuples, one input without a batch, an empty string."""
    targets = torch.tensor([[1, 2, 2], [3, 1, 0], [2, 0, 0]])
    frames, lengths, ends = real(6, 3, 4), (6, 5, 4), (3, 2, 0)
    for blank in (0, 3):
        shifted = targets if blank == 0 else torch.where(targets == 3, 0, targets)
        every = torch.cat([t[:n] for t, n in zip(shifted, ends, strict=True)])
        for option in options([{"blank": blank}], [{}, {"zero_infinity": True}], REDUCTIONS):
            for y, kind in product((shifted, every), (torch.tensor, tuple)):
                yield Case(
                    option,
                    lambda dtype, y=y, kind=kind: (log_softmax(frames, dtype), y, kind(lengths), kind(ends)),
                )
            one = shifted[0]
            yield Case(
                option,
                lambda dtype, y=one: (log_softmax(frames[:, 0], dtype), y, torch.tensor(6), torch.tensor(3)),
            )


def each(make, *names):
    return {name: lambda name=name: make(name) for name in names}


CASES: dict[str, Callable[[], Iterator[Case]]] = {
    **each(numbers, "L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss"),
    "GaussianNLLLoss": gaussian,
    **each(binary, "BCELoss", "BCEWithLogitsLoss"),
    **each(signed, "SoftMarginLoss", "HingeEmbeddingLoss"),
    **each(classes, "NLLLoss", "CrossEntropyLoss"),
    **({"LinearCrossEntropyLoss": linear} if hasattr(nn, "LinearCrossEntropyLoss") else {}),
    "AdaptiveLogSoftmaxWithLoss": adaptive,
    "KLDivLoss": divergence,
    "MultiMarginLoss": multi_margin,
    **each(label_sets, "MultiLabelMarginLoss", "MultiLabelSoftMarginLoss"),
    "CosineEmbeddingLoss": cosine,
    "MarginRankingLoss": ranking,
    **each(triplet, "TripletMarginLoss", "TripletMarginWithDistanceLoss"),
    "CTCLoss": strings,
}
LOSSES = sorted(
    name for name in dir(nn) if name.endswith("Loss") or name in ("NLLLoss2d", "AdaptiveLogSoftmaxWithLoss")
)
