"""The style that all pictures of the package share, and how they are written.

Everything is drawn on matplotlib's `Figure` without pyplot, and the style is set for the time of drawing alone: importing
or drawing leaves matplotlib's global state as it was.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.style
from matplotlib.figure import Figure

FORMATS = ("png", "svg", "pdf")
LINES = ("-", "--", ":")
HATCHES = ("", "////", "....")


@dataclass(frozen=True)
class Theme:
    """Colours for one background; the three series are told apart by people with any colour vision (Okabe and Ito, 2008).

    Attributes:
        ink: text and axes.
        faint: grid, and bands behind the data.
        paper: the background, where there is one.
        series: of the data.
    """

    ink: str
    faint: str
    paper: str
    series: tuple[str, str, str]


LIGHT = Theme("#1f2328", "#d5dae0", "#ffffff", ("#0072b2", "#d55e00", "#007a5e"))
DARK = Theme("#e6edf3", "#3d444d", "#14181d", ("#56b4e9", "#f0a04b", "#3fc7a0"))


@contextmanager
def style(theme: Theme = LIGHT) -> Iterator[None]:
    """Draw in the package's style while the block runs, whatever the user's own settings are."""
    own: dict[Any, Any] = {
        "figure.facecolor": theme.paper,
        "savefig.facecolor": "auto",
        "savefig.transparent": False,
        "axes.facecolor": "none",
        "axes.edgecolor": theme.ink,
        "axes.labelcolor": theme.ink,
        "axes.titlecolor": theme.ink,
        "axes.titlesize": 10,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.linewidth": 0.8,
        "font.size": 9.5,
        "grid.color": theme.faint,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "legend.labelcolor": theme.ink,
        "lines.linewidth": 1.8,
        "text.color": theme.ink,
        "text.parse_math": False,  # a column called "$x$" is no formula
        "xtick.color": theme.ink,
        "ytick.color": theme.ink,
        "svg.hashsalt": "likelihoods",  # the same bytes for the same picture
    }
    with matplotlib.style.context("default"), matplotlib.rc_context(own):
        yield


def svg(figure: Figure, theme: Theme = LIGHT) -> str:
    """Return a figure as SVG text on a transparent background, the same for the same figure."""
    text = io.StringIO()
    with style(theme):
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return text.getvalue()


def save(figure: Figure, path: Path) -> Path:
    """Write a figure to a .png, .svg or .pdf file, and return its path.

    Raises:
        ValueError: another ending.
    """
    ending = path.suffix.lower().removeprefix(".")
    if ending not in FORMATS:
        raise ValueError(f"{path}: a picture's name must end in {', '.join('.' + each for each in FORMATS)}.")
    metadata = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}
    with style():
        figure.savefig(path, format=ending, dpi=150, metadata=metadata[ending])
    return path
