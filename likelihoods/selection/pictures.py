"""The pictures of a choice: the ranking with error bars, and the recommended loss's PIT."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from likelihoods.selection.calibration import histogram
from likelihoods.selection.choice import Choice, Floats, Scored, behind_top, tied
from likelihoods.style import LIGHT, Theme, style

NARROW = 5.0  # inches; below it the numbers at the right, which a table repeats, are left out
FAR = 8.0  # a candidate further behind than so many times the median is off the scale, an arrow

RECOMMENDED, TIED, BEHIND, FLAGGED = "recommended", "tied with the top", "behind", "flagged"
OFF_SCALE = ">"
MARKS = {RECOMMENDED: "D", TIED: "o", BEHIND: "s", FLAGGED: "x"}


def overview(choice: Choice) -> Figure:
    """Draw the ranking, and beside it the recommended loss's PIT where it has one."""
    with style():
        height = max(3.6, 1.9 + 0.3 * len(choice.ranking))
        figure = Figure(figsize=(11.0 if choice.pit is not None else 7.0, height), layout="constrained")
        if choice.pit is None:
            _draw_ranking(figure, figure.subplots(), choice, LIGHT, numbers=True)
        else:
            left, right = figure.subplots(1, 2, width_ratios=(1.5, 1.0))
            _draw_ranking(figure, left, choice, LIGHT, numbers=True)
            _draw_pit(right, choice.pit, choice.coverage or {}, LIGHT)
            right.set_title(f"calibration of {_short(choice.ranking[0].name, 28)}", weight="bold", pad=10)
        figure.axes[0].set_title(f"losses for {_short(choice.target.name, 40)}", weight="bold", pad=10)
    return figure


def ranking(choice: Choice, theme: Theme = LIGHT, width: float = 7.2) -> Figure:
    """Draw how far each candidate is behind the top, with bars of two standard errors of the paired difference.

    Args:
        choice: what is drawn.
        theme: the colours.
        width: in inches; a narrow picture has the numbers left out.
    """
    with style(theme):
        legend = 0.3 if width >= NARROW else 0.75
        figure = Figure(figsize=(width, 0.95 + legend + 0.3 * len(choice.ranking)), layout="constrained")
        _draw_ranking(figure, figure.subplots(), choice, theme, numbers=width >= NARROW)
    return figure


def calibration(pit: Floats, coverage: dict[float, float], theme: Theme = LIGHT, width: float = 5.0) -> Figure:
    """Draw a PIT's histogram, with the band that chance allows and the coverage of the central intervals.

    Args:
        pit: ``(rows,)``.
        coverage: for the level of each central interval, the share of targets that it holds.
        theme: the colours.
        width: in inches.
    """
    with style(theme):
        figure = Figure(figsize=(width, 0.66 * width), layout="constrained")
        _draw_pit(figure.subplots(), pit, coverage, theme)
    return figure


def number(value: float) -> str:
    """Return a number with four decimals and a real minus sign.

    >>> number(-1.5), number(-math.inf), number(-1e-9), number(math.nan)
    ('−1.5000', '−∞', '0.0000', '?')
    """
    if math.isnan(value):
        return "?"
    return f"{round(value, 4) + 0.0:.4f}".replace("-", "−").replace("inf", "∞")


def standing(scored: Scored, choice: Choice) -> str:
    """Return how a candidate stands: one of ``recommended``, ``tied with the top``, ``behind``, ``flagged``."""
    if scored.flags:
        return FLAGGED
    if scored.name == choice.best:
        return RECOMMENDED
    return TIED if tied(scored, choice.top) else BEHIND


def _draw_ranking(figure: Figure, axes: Axes, choice: Choice, theme: Theme, *, numbers: bool) -> None:
    top, colours = choice.top, _colours(theme)
    gaps = [behind_top(scored, top) for scored in choice.ranking]
    limit = _limit(choice, gaps)
    lows = [gap - 2 * error for gap, error in gaps if gap <= limit]
    axes.axvline(0, color=theme.ink, linewidth=0.8)
    texts = []
    for place, (scored, (gap, error)) in enumerate(zip(choice.ranking, gaps, strict=True)):
        state = standing(scored, choice)
        hollow: dict[str, Any] = {"markerfacecolor": theme.paper} if state == BEHIND else {}
        look: dict[str, Any] = {
            "color": colours[state],
            "markersize": 6.5,
            "markeredgewidth": 1.6,
            "zorder": 3,
            "clip_on": False,
        }
        if top is None or not gap <= limit:
            axes.plot([0.985 * limit], [place], MARKS[state] if scored.flags else OFF_SCALE, **look)
        else:
            axes.plot([max(-limit, gap - 2 * error), min(limit, gap + 2 * error)], [place, place], color=colours[state])
            axes.plot([gap], [place], MARKS[state], **look, **hollow)
        texts.append(_number(scored, top, gap, error))
    names = [_short(scored.name, 34 if numbers else 20) for scored in choice.ranking]
    places = range(len(names))
    axes.set_yticks(places, names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.set_xlim(min(-0.03 * limit, *(1.04 * max(-limit, low) for low in lows)), limit)
    axes.xaxis.set_major_locator(MaxNLocator(5, min_n_ticks=3))
    axes.grid(True, axis="x")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    if choice.best is not None:
        axes.get_yticklabels()[0].set_fontweight("bold")
    bars = "bars: two standard errors"
    axes.set_xlabel(f"nats a row behind the top ({bars})" if numbers else f"nats a row behind the top\n({bars})")
    if numbers:
        right = axes.secondary_yaxis("right")
        right.set_yticks(places, texts)
        right.tick_params(length=0)
        right.spines["right"].set_visible(False)
    present = {standing(scored, choice) for scored in choice.ranking}
    handles = [
        Line2D([], [], linestyle="", marker=mark, color=colours[state], markerfacecolor=face, label=state)
        for state, mark in MARKS.items()
        if state in present
        for face in [theme.paper if state == BEHIND else colours[state]]
    ]
    if any(gap > limit and not s.flags for s, (gap, _) in zip(choice.ranking, gaps, strict=True)):
        handles.append(Line2D([], [], linestyle="", marker=OFF_SCALE, color=theme.ink, label="off the scale"))
    figure.legend(
        handles=handles, loc="outside lower center", ncols=5 if numbers else 2, columnspacing=1.2, handletextpad=0.3
    )


def _draw_pit(axes: Axes, pit: Floats, coverage: dict[float, float], theme: Theme) -> None:
    bars = histogram(pit)
    axes.bar(
        bars.edges[:-1],
        bars.heights,
        np.diff(bars.edges),
        align="edge",
        color=theme.series[0],
        ec=theme.paper,
        linewidth=0.8,
    )
    axes.axhspan(1 - 2 * bars.noise, 1 + 2 * bars.noise, color=theme.series[1], alpha=0.25, linewidth=0, zorder=2)
    axes.axhline(1, color=theme.series[1], linewidth=1.4, linestyle="--", zorder=3)
    peak = max(1.25, 1 + 2 * bars.noise, float(bars.heights.max()))
    for step, (level, share) in enumerate(sorted(coverage.items())):
        height = peak * (1.1 + 0.16 * step)
        low, high = 0.5 - level / 2, 0.5 + level / 2
        axes.plot(
            [low, low, high, high], [height - 0.03 * peak, height, height, height - 0.03 * peak], color=theme.ink, lw=1
        )
        axes.text(
            0.5,
            height + 0.015 * peak,
            f"central {100 * level:g} % interval: holds {100 * share:.1f} %",
            ha="center",
            va="bottom",
            size=8.5,
        )
    axes.set_xlim(0, 1)
    axes.set_ylim(0, peak * (1.12 + 0.16 * len(coverage)))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])
    axes.grid(True, axis="y")
    axes.set_xlabel("PIT: the law's cdf at the held-out target")
    axes.set_ylabel("density (1 where the law is right)")


def _colours(theme: Theme) -> dict[str, str]:
    return {RECOMMENDED: theme.series[0], TIED: theme.series[0], BEHIND: theme.ink, FLAGGED: theme.series[1]}


def _limit(choice: Choice, gaps: list[tuple[float, float]]) -> float:
    """Return the right end of the scale, at which most candidates without a flag can still be told apart."""
    ends = [
        gap + 2 * error
        for s, (gap, error) in zip(choice.ranking, gaps, strict=True)
        if not s.flags and s is not choice.top
    ]
    ends = [end for end in ends if end > 0]
    if not ends:
        return 1.0
    usual = float(np.median(ends))
    return 1.06 * max(end for end in ends if end <= FAR * usual)


def _number(scored: Scored, top: Scored | None, gap: float, error: float) -> str:
    if scored is top:
        return "top"
    if top is None or not math.isfinite(gap):
        return FLAGGED
    return f"{number(gap)} ± {number(error)}"


def _short(text: str, most: int) -> str:
    half = (most - 1) // 2
    return text if len(text) <= most else f"{text[:half]}…{text[-half:]}"
