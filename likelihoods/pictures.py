"""A picture of a named loss beside the law that it assumes, chosen from what its likelihood says of itself."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.distributions import Categorical, Distribution

from likelihoods.distributions import LabelNormalized
from likelihoods.likelihood import Likelihood
from likelihoods.registry import Entry
from likelihoods.sources import Predicted
from likelihoods.style import HATCHES, LIGHT, LINES, style

CLASSES = 4  # drawn for a likelihood that takes any number of them
# where a first raw output is tried, the widest first: a whole line, a half-line, the unit interval
RANGES = ((-4.0, 4.0), (0.05, 12.0), (0.005, 0.995))


def picture(entry: Entry, **options: Any) -> Figure:
    """Draw a named loss beside the law that it assumes.

    On the left the loss as a function of the prediction at a few targets (of the residual, where it depends on nothing
    else); on the right the density or mass that it assumes at a few predictions.

    Args:
        entry: the row of the table.
        options: the loss's own.

    Raises:
        TypeError: an option that the loss does not have.
        ValueError: a target that is a vector.

    >>> from likelihoods.catalog import find
    >>> [axes.get_xlabel() for axes in picture(find("huber"), delta=0.5).axes]
    ['residual f - y', 'target y']
    """
    view = _View.of(entry, options)
    with style(), torch.no_grad():
        figure = Figure(figsize=(8.6, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2)
        _draw_loss(left, view)
        _draw_law(right, view)
        given = ", ".join(f"{name}={value!r}" for name, value in options.items())
        name = f"{entry.name}({given})" if given else entry.name
        figure.suptitle(textwrap.fill(f"{name}:  loss = {entry.formula}", 115), x=0.012, ha="left", size=10.5)
    return figure


@dataclass(frozen=True)
class _View:
    """What is drawn of a loss: its likelihood at chosen predictions and targets.

    Attributes:
        entry: the row.
        options: all options.
        likelihood: in float64.
        grid: ``(points,)`` values of the raw output that is drawn, called f.
        others: the raw outputs after the first, held where their parameters are 1.
        levels: a few rows of raw output at which the law is drawn.
        targets: a few targets at which the loss is drawn.
        discrete: whether the targets are separate values.
        labels: whether the targets are classes.
    """

    entry: Entry
    options: dict[str, Any]
    likelihood: Likelihood
    grid: Tensor
    others: tuple[float, ...]
    levels: tuple[tuple[float, ...], ...]
    targets: tuple[float, ...]
    discrete: bool
    labels: bool

    @classmethod
    def of(cls, entry: Entry, options: dict[str, Any]) -> _View:
        """Choose what to draw, from what the likelihood says of its support and its links."""
        likelihood = entry.likelihood(**options).double()
        if likelihood.width is None:
            likelihood = entry.likelihood(**{**options, "classes": CLASSES}).double()
        width = likelihood.width
        assert width is not None
        predicted = [m for m in likelihood.modules() if isinstance(m, Predicted)]
        others = (0.0,) * (width - 1)
        if len(predicted) == width:  # one raw output for each predicted parameter, in their order
            one = torch.ones((), dtype=torch.float64)
            others = tuple(float(torch.nan_to_num(each.link.inverse(one), 0.0)) for each in predicted[1:])
        grid, probe = _range(likelihood, others)
        if likelihood.rank or probe.event_shape:
            raise ValueError(f"{entry.name}: its target is a vector, and a picture shows one number against another.")
        discrete, labels = bool(_support(probe).is_discrete), isinstance(probe, Categorical)
        firsts, targets = _points(probe, line=float(grid[0]) < 0)
        targets = tuple(y for y in targets if _holds(probe, y)) or tuple(y for y in (2.0, 3.0, 5.0) if _holds(probe, y))
        levels = tuple((first, *others) for first in firsts)
        if width == 2 and len(predicted) == 2 and len(levels) == 1:  # the second is worth seeing too
            spread = predicted[1].link.inverse(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
            levels = tuple((*firsts, second) for second in spread.tolist())
        return cls(entry, entry.complete(options), likelihood, grid, others, levels, targets, discrete, labels)

    @property
    def single(self) -> bool:
        """Whether one number f says where the law is drawn."""
        return self.labels or len(self.levels[0]) == 1

    def raw(self, first: Tensor) -> Tensor:
        """Return raw output ``(..., width)`` whose first entry is f."""
        return torch.stack([first, *(torch.full_like(first, other) for other in self.others)], -1)

    def loss(self, first: Tensor, target: float) -> Tensor:
        """Return the loss's conventional value at a target, for each f."""
        y = torch.full_like(first, target, dtype=torch.int64 if self.labels else first.dtype)
        return self.entry.law_relation(**self.options).loss(self.likelihood, self.raw(first), y)

    def density(self, level: tuple[float, ...], values: Tensor) -> Tensor:
        """Return the density (or mass) of each value at one row of raw output; 0 outside the support, and at a pole."""
        law = self.law(level)
        inside = _support(law).check(values)
        density = law.log_prob(torch.where(inside, values, values[inside][0])).exp()
        return torch.where(inside & density.isfinite(), density, 0.0)

    def law(self, level: tuple[float, ...]) -> Distribution:
        """Return the law at one row of raw output."""
        law: Distribution = self.likelihood(torch.tensor(level, dtype=torch.float64))
        return law

    @property
    def residual(self) -> bool:
        """Whether the loss depends on f - y alone."""
        if self.discrete or len(self.targets) > 1:
            return False
        middle = self.grid[len(self.grid) // 4 : -len(self.grid) // 4]
        try:
            return bool(torch.allclose(self.loss(middle + 1, 1.0), self.loss(middle, 0.0), rtol=1e-6, atol=1e-9))
        except ValueError:
            return False


def _support(law: Distribution) -> Any:
    return law.support  # torch annotates neither it (None is said to be possible) nor its methods


def _holds(law: Distribution, value: float) -> bool:
    return bool(_support(law).check(torch.tensor(value)).all())


def _points(law: Distribution, line: bool) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return a few f and a few targets, by what the law's support holds; `line` says that f is a number of either sign."""
    if isinstance(law, Categorical):
        return (0.0, 2.0), (0.0,)
    if isinstance(law, LabelNormalized):
        return (-1.0, 0.5, 2.0), tuple(law.labels.tolist())
    if _support(law).is_discrete:
        if _holds(law, 2.0):
            return ((0.0, 1.0, 1.7) if line else (1.0, 3.0, 6.0)), (0.0, 2.0, 6.0)
        return ((-2.0, 0.0, 1.0) if line else (0.1, 0.5, 0.8)), (0.0, 1.0)
    if _holds(law, -1.0):
        return ((0.0,) if line else (0.5, 1.0, 2.0)), (0.0,)
    if _holds(law, 2.0):
        return ((-0.5, 0.0, 0.7) if line else (0.5, 1.0, 2.0)), (0.5, 1.0, 3.0)
    return ((-1.0, 0.0, 1.0) if line else (0.2, 0.5, 0.8)), (0.2, 0.5, 0.8)


def _range(likelihood: Likelihood, others: tuple[float, ...]) -> tuple[Tensor, Distribution]:
    """Return the widest of the ranges for f over which the likelihood exists, and its law there."""
    problem: Exception | None = None
    for low, high in RANGES:
        grid = torch.linspace(low, high, 801, dtype=torch.float64)
        raw = torch.stack([grid, *(torch.full_like(grid, other) for other in others)], -1)
        try:
            law = likelihood(raw)
        except ValueError as error:
            problem = error
            continue
        if not bool(law.log_prob(_support(law).check(torch.tensor(0.5)).to(grid) * 0.5).isnan().any()):
            return grid, law
    raise ValueError(f"{likelihood!r} exists on no range of raw output that could be drawn.") from problem


def _draw_loss(axes: Axes, view: _View) -> None:
    residual = view.residual
    grid = view.grid
    if residual:
        low, high = _reach(view)
        grid = torch.linspace(min(low, -4.0), max(high, 4.0), 801, dtype=torch.float64)
    curves = [view.loss(grid, target) for target in view.targets]
    for curve, target, dash, colour in zip(curves, view.targets, LINES, LIGHT.series, strict=False):
        label = "the loss" if residual else f"true class {target:g}" if view.labels else f"y = {target:g}"
        axes.plot(grid.numpy(), curve.numpy(), dash, color=colour, label=label)
    if residual:
        nll = -view.likelihood.log_prob(view.raw(grid), torch.zeros_like(grid))
        if not torch.allclose(nll, curves[0]):
            axes.plot(grid.numpy(), nll.numpy(), LINES[1], color=LIGHT.series[1], label="NLL in nats")
            curves.append(nll)
    axes.set_ylim(*_limits(curves))
    axes.margins(x=0)
    axes.grid(True)
    axes.set_xlabel(_prediction(view, residual))
    axes.set_ylabel("loss")
    axes.set_title("the loss", weight="bold")
    if len(axes.lines) > 1 or not residual:
        axes.legend()


def _draw_law(axes: Axes, view: _View) -> None:
    what = "mass" if view.discrete else "density"
    values = _values(view) if view.discrete else torch.linspace(*_reach(view), 1201, dtype=torch.float64)
    width, tops = 0.8 / len(view.levels), []
    for k, level in enumerate(view.levels):
        density = view.density(level, values)
        label = "f = " + f"{level[0]:g}" if view.single else f"raw = ({', '.join(f'{value:g}' for value in level)})"
        if view.discrete:
            at = (values + (k - (len(view.levels) - 1) / 2) * width).numpy()
            axes.bar(at, density.numpy(), width, color=LIGHT.series[k], label=label, hatch=HATCHES[k], ec=LIGHT.paper)
        else:
            axes.plot(values.numpy(), density.numpy(), LINES[k], color=LIGHT.series[k], label=label)
        tops.append(
            min(float(density.max()), 2.5 * float(density.quantile(0.98))) if len(values) > 50 else float(density.max())
        )
    axes.set_ylim(0, 1.05 * max(tops))  # a pole at the end of the support is cut
    if view.discrete:
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    else:
        axes.margins(x=0)
    axes.grid(True, axis="y" if view.discrete else "both")
    axes.set_xlabel("class" if view.labels else "target y")
    axes.set_ylabel(f"{what} p(y | {'f' if view.single else 'raw'})")
    axes.set_title(f"the {what} that it assumes", weight="bold")
    axes.legend()


def _prediction(view: _View, residual: bool) -> str:
    if view.labels:
        return "prediction f of class 0, the others 0"
    held = view.levels[0][1:]
    others = f" (the other raw output: {', '.join(f'{value:g}' for value in view.others)})" if held else ""
    return ("residual f - y" if residual else "prediction f") + others


def _values(view: _View) -> Tensor:
    """Return the first separate values, up to 20, that hold all but a little of the mass."""
    law = view.law(view.levels[0])
    if isinstance(law, LabelNormalized):
        return law.labels
    values = torch.arange(0.0, 21.0, dtype=torch.float64)
    values = values[_support(law).check(values)]
    mass = torch.stack([view.density(level, values) for level in view.levels])
    seen = (mass > 0.02 * mass.amax(1, keepdim=True)).any(0)
    return values[: int(seen.nonzero().max()) + 1]


def _reach(view: _View) -> tuple[float, float]:
    """Return the interval of targets outside which the density is low."""
    values = torch.linspace(-8.0, 8.0, 4001, dtype=torch.float64).sinh()
    density = torch.stack([view.density(level, values) for level in view.levels])
    seen = values[(density > 0.008 * density.amax(1, keepdim=True)).any(0)]
    return float(seen.min()), float(seen.max())


def _limits(curves: list[Tensor]) -> tuple[float, float]:
    """Return limits that show where the curves are low, not the height to which the steepest climbs."""
    finite = [curve[curve.isfinite()] for curve in curves]
    low = min(float(curve.min()) for curve in finite)
    high = max(
        min(float(curve.max()), float(curve.min()) + 3 * float(curve.median() - curve.min())) for curve in finite
    )
    margin = 0.05 * (high - low) or 1.0  # a loss may be constant
    return low - margin, high + margin
