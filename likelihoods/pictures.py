"""A picture of a named loss beside the law that it assumes, chosen from what its likelihood says of itself."""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass
from typing import Any

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.distributions import Categorical, Distribution, VonMises

from likelihoods.distributions import Censored, LabelNormalized
from likelihoods.divergences.support import atoms
from likelihoods.likelihood import Likelihood
from likelihoods.registry import Entry
from likelihoods.relations import Expected, NoLikelihood, Relation
from likelihoods.sources import Predicted
from likelihoods.style import HATCHES, LIGHT, LINES, style
from likelihoods.verification.law import interior
from likelihoods.verification.spaces import Lattice, Listed, space

CLASSES = 4  # drawn for a likelihood that takes any number of them
BARS = 40  # of one law; more are drawn as steps
# where a first raw output is tried, the widest first: a whole line, a half-line, the unit interval
RANGES = ((-4.0, 4.0), (0.05, 12.0), (0.005, 0.995))


def picture(entry: Entry, **options: Any) -> Figure:
    """Draw a named loss beside the law that it assumes.

    On the left the loss as a function of the prediction at a few targets (of the residual, where it depends on nothing
    else); on the right the density or mass that it assumes at a few predictions, or why it assumes none. Of a censored law
    the value behind the intervals is drawn.

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
        relation: of the loss to its likelihood.
        likelihood: in float64; of a loss that has none, the one that lends its shapes.
        grid: ``(points,)`` values of the raw output that is drawn, called f.
        others: the raw outputs after the first, held where their parameters are 1.
        levels: a few rows of raw output at which the law is drawn.
        targets: a few targets at which the loss is drawn.
        discrete: whether the targets are separate values.
        labels: whether the targets are classes.
    """

    entry: Entry
    options: dict[str, Any]
    relation: Relation
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
        relation = entry.law_relation(**options)
        likelihood = entry.model(**options).double()
        law = likelihood._probe()
        soft = isinstance(relation, Expected) and relation.vector
        if soft or likelihood.shared or (law.event_shape and not isinstance(law, Censored)):
            raise ValueError(f"{entry.name}: its target is a vector, and a picture shows one number against another.")
        if likelihood.width is None and "classes" in entry.options:
            likelihood = entry.model(**{**options, "classes": CLASSES}).double()
        width = likelihood.width or CLASSES
        predicted = [m for m in likelihood.modules() if isinstance(m, Predicted)]
        others = (0.0,) * (width - 1)
        if len(predicted) == width:  # one raw output for each predicted parameter, in their order
            one = torch.ones((), dtype=torch.float64)
            others = tuple(float(torch.nan_to_num(each.link.inverse(one), 0.0)) for each in predicted[1:])
        grid, probe = _range(likelihood, others)
        discrete, labels = bool(_support(probe).is_discrete), isinstance(probe, Categorical)
        firsts, targets = _points(probe, line=float(grid[0]) < 0)
        targets = tuple(y for y in targets if _holds(probe, y)) or tuple(y for y in (2.0, 3.0, 5.0) if _holds(probe, y))
        levels = tuple((first, *others) for first in firsts)
        if width == 2 and len(predicted) == 2 and len(levels) == 1:  # the second is worth seeing too
            spread = predicted[1].link.inverse(torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64))
            levels = tuple((*firsts, second) for second in spread.tolist())
        return cls(
            entry, entry.complete(options), relation, likelihood, grid, others, levels, targets, discrete, labels
        )

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
        return self.relation.loss(self.likelihood, self.raw(first), self.seen(y))

    def seen(self, y: Tensor) -> Tensor:
        """Return targets that say that y was seen: pairs where they are intervals."""
        return torch.stack([y, y], -1) if self.likelihood.rank else y

    def density(self, level: tuple[float, ...], values: Tensor) -> Tensor:
        """Return the density (or mass) of each value at one row of raw output; 0 outside the support, and at a pole."""
        law = self.law(level)
        inside = _support(law).check(values)
        for atom in () if self.discrete else atoms(law):
            inside = inside & (values != atom)
        density = law.log_prob(torch.where(inside, values, values[inside][0])).exp()
        return torch.where(inside & density.isfinite(), density, 0.0)

    def law(self, level: tuple[float, ...]) -> Distribution:
        """Return the law at one row of raw output."""
        return _behind(self.likelihood(torch.tensor(level, dtype=torch.float64)))

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


def _behind(law: Distribution) -> Distribution:
    """Return the law of the value behind intervals, or the law itself."""
    return law.base if isinstance(law, Censored) else law


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
            law = _behind(likelihood(raw))
        except ValueError as error:
            problem = error
            continue
        known = bool(interior(law).all())  # asked here as well: torch.compile switches torch's own check off for good
        if known and not bool(law.log_prob(_support(law).check(torch.tensor(0.5)).to(grid) * 0.5).isnan().any()):
            return grid, law
    raise ValueError(f"{likelihood!r} exists on no range of raw output that could be drawn.") from problem


def _draw_loss(axes: Axes, view: _View) -> None:
    residual = view.residual
    grid = view.grid
    if residual:
        low, high = (0.0, 0.0) if isinstance(view.relation, NoLikelihood) else _reach(view)
        grid = torch.linspace(min(low, -4.0), max(high, 4.0), 801, dtype=torch.float64)
    curves = [view.loss(grid, target) for target in view.targets]
    for curve, target, dash, colour in zip(curves, view.targets, LINES, LIGHT.series, strict=False):
        label = "the loss" if residual else f"true class {target:g}" if view.labels else f"y = {target:g}"
        axes.plot(grid.numpy(), curve.numpy(), dash, color=colour, label=label)
    if residual and not isinstance(view.relation, NoLikelihood):
        nll = -view.likelihood.log_prob(view.raw(grid), view.seen(torch.zeros_like(grid)))
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
    if isinstance(view.relation, NoLikelihood):
        axes.set_axis_off()
        axes.set_title("no law is assumed", weight="bold")
        reason = view.relation.reason[0].upper() + view.relation.reason[1:]
        axes.text(0, 0.95, textwrap.fill(reason, 52), va="top", transform=axes.transAxes)
        return
    what = "mass" if view.discrete else "density"
    values = _values(view) if view.discrete else torch.linspace(*_reach(view), 1201, dtype=torch.float64)
    step = float(values.diff().min()) if view.discrete and not view.labels else 1.0
    width, tops = 0.8 * min(step, 1.0) / len(view.levels), []
    for k, level in enumerate(view.levels):
        density = view.density(level, values)
        label = "f = " + f"{level[0]:g}" if view.single else f"raw = ({', '.join(f'{value:g}' for value in level)})"
        for atom in () if view.discrete else atoms(view.law(level)):
            mass = view.law(level).log_prob(torch.tensor(atom, dtype=torch.float64)).exp()
            label += f", and P(y = {atom:g}) = {float(mass):.2f}"
        if view.discrete and len(values) > BARS:
            axes.plot(
                values.numpy(), density.numpy(), LINES[k], color=LIGHT.series[k], label=label, drawstyle="steps-mid"
            )
        elif view.discrete:
            at = (values + (k - (len(view.levels) - 1) / 2) * width).numpy()
            axes.bar(at, density.numpy(), width, color=LIGHT.series[k], label=label, hatch=HATCHES[k], ec=LIGHT.paper)
        else:
            axes.plot(values.numpy(), density.numpy(), LINES[k], color=LIGHT.series[k], label=label)
        tops.append(
            min(float(density.max()), 2.5 * float(density.quantile(0.98))) if len(values) > 50 else float(density.max())
        )
    axes.set_ylim(0, 1.05 * max(tops))  # a pole at the end of the support is cut
    if view.discrete and len(values) <= 6:
        axes.set_xticks(values.tolist())
    elif view.discrete:
        axes.xaxis.set_major_locator(MaxNLocator(integer=float(values[-1] - values[0]) > 5, steps=[1, 2, 5, 10]))
    else:
        axes.margins(x=0)
    axes.grid(True, axis="y" if view.discrete else "both")
    axes.set_xlabel("class" if view.labels else "target y")
    axes.set_ylabel(f"{what} p(y | {'f' if view.single else 'raw'})")
    axes.set_title(f"the {what} that it assumes", weight="bold")
    axes.legend()


def _prediction(view: _View, residual: bool) -> str:
    held = view.levels[0][1:]
    named = "the other raw output" + ("s" if len(held) > 1 else "")
    others = f" ({named}: {', '.join(f'{value:g}' for value in view.others)})" if held else ""
    return ("residual f - y" if residual else "prediction f") + others


def _values(view: _View) -> Tensor:
    """Return the separate values between the first and the last that have more than a little mass."""
    law = view.law(view.levels[0])
    if isinstance(law, LabelNormalized):
        return law.labels
    of = space(law, torch.float64)
    assert isinstance(of, Listed | Lattice)
    values = of.values.double() if isinstance(of, Listed) else of.at(of.first + torch.arange(100.0).double())
    mass = torch.stack([view.density(level, values) for level in view.levels])
    seen = (mass > 0.02 * mass.amax(1, keepdim=True)).any(0).nonzero()
    return values[int(seen.min()) : int(seen.max()) + 1]


def _reach(view: _View) -> tuple[float, float]:
    """Return the interval of targets outside which the density is low."""
    if isinstance(view.law(view.levels[0]), VonMises):  # whose density goes on beyond the turn
        return -math.pi, math.pi
    values = torch.linspace(-8.0, 8.0, 4001, dtype=torch.float64).sinh()
    density = torch.stack([view.density(level, values) for level in view.levels])
    seen = values[(density > 0.008 * density.amax(1, keepdim=True)).any(0)]
    return float(seen.min()), float(seen.max())


def _limits(curves: list[Tensor]) -> tuple[float, float]:
    """Return limits that show where the curves are low, not the height to which the steepest climbs."""
    finite = [curve[curve.isfinite()] for curve in curves]
    low = min(float(curve.min()) for curve in finite)
    high = max(map(_height, finite))
    margin = 0.05 * (high - low) or 1.0  # a loss may be constant
    return low - margin, high + margin


def _height(curve: Tensor) -> float:
    low, middle, high = float(curve.min()), float(curve.median()), float(curve.max())
    flat = middle - low <= 1e-9 * max(1.0, abs(low))  # a loss may be constant over half of its range
    return high if flat else min(high, low + 3 * (middle - low))
