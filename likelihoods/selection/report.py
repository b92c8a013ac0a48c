"""The report of a choice: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import importlib.metadata
import math
import os
import platform
import re
import tempfile
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup, escape
from matplotlib.figure import Figure

import likelihoods.selection
from likelihoods.catalog import entries
from likelihoods.selection import pictures
from likelihoods.selection.calibration import reading
from likelihoods.selection.choice import Choice, Scored, behind_top
from likelihoods.style import DARK, LIGHT, Theme, svg

PACKAGES = ("likelihoods", "torch", "pyro-ppl", "numpy", "scipy", "scikit-learn", "pandas")
PHONE = 3.7  # inches: the width of the ranking's picture on a telephone
COLUMNS = 200  # names listed at most


def write(choice: Choice, path: Path) -> Path:
    """Write the report of a choice, and return its path.

    The file appears whole or not at all. The same choice gives the same bytes, but for the versions and the seconds.

    Raises:
        OSError: the path cannot be written; the message says why.
    """
    content = html(choice).encode("utf-8", "replace")
    try:
        _write(content, path)
    except OSError as error:
        raise type(error)(f"The report cannot be written to {path}: {error.strerror or error}.") from error
    return path


def html(choice: Choice) -> str:
    """Return the report of a choice as HTML text; whatever came from the data is escaped."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"prose": _prose, "breakable": _breakable, "number": pictures.number}
    template = environment.from_string(files(likelihoods.selection).joinpath("report.html").read_text("utf-8"))
    best = choice.ranking[0] if choice.best is not None else None
    rows = len(choice.target.values)
    return template.render(
        choice=choice,
        best=best,
        rows=rows,
        lines=[_line(scored, choice) for scored in choice.ranking],
        leading=[_words(scored) for scored in choice.ranking if scored.name in choice.tied],
        ranking=_ranking(choice),
        ranking_alt=_ranking_alt(choice),
        calibration=_calibration(choice),
        snippet=choice.snippet if best is not None else None,
        flags=[(scored.name, flag) for scored in choice.ranking for flag in scored.flags],
        columns=choice.columns[:COLUMNS],
        more_columns=max(0, len(choice.columns) - COLUMNS),
        versions=_versions(),
    )


def _write(content: bytes, path: Path) -> None:
    """Write to a file beside the path that then takes its place; what is no file (a pipe, a device) is written to."""
    if path.exists() and not path.is_file():
        path.write_bytes(content)
        return
    place = path.resolve()  # a link stays a link
    handle, name = tempfile.mkstemp(dir=place.parent, prefix=f".{place.name[:100]}.", suffix=".tmp")
    try:
        with open(handle, "wb") as file:
            file.write(content)
        os.chmod(name, place.stat().st_mode & 0o777 if place.exists() else 0o666 & ~_umask())
        os.replace(name, place)
    except BaseException:
        os.unlink(name)
        raise


def _umask() -> int:
    mask = os.umask(0o077)  # there is no way to read it without setting it
    os.umask(mask)
    return mask


def _line(scored: Scored, choice: Choice) -> dict[str, Any]:
    """Return a row of the ranking's table."""
    behind, error = behind_top(scored, choice.top)
    gap = f"{pictures.number(behind)} ± {pictures.number(error)}" if math.isfinite(behind) else "∞"
    return {
        "name": scored.name,
        "standing": pictures.standing(scored, choice),
        "score": scored.score,
        "behind": "top" if scored is choice.top else "" if choice.top is None else gap,
        "skill": scored.skill,
        "parameters": scored.parameters,
        "code": scored.likelihood.code(),
    }


def _words(scored: Scored) -> dict[str, str]:
    """Return what a candidate says: its assumption, when to use it (where the table of losses has it), and its code."""
    use = next((entry.use for entry in entries() if entry.assumption == scored.assumption), "")
    return {"name": scored.name, "assumption": scored.assumption, "use": use, "code": scored.likelihood.code()}


def _calibration(choice: Choice) -> dict[str, Any] | None:
    pit, coverage = choice.pit, choice.coverage
    if pit is None or coverage is None:
        return None
    alt = ", ".join(
        f"the central {100 * level:g} % interval holds {100 * share:.1f} %" for level, share in coverage.items()
    )
    return {
        "reading": reading(pit),
        "coverage": coverage,
        "pictures": _pictures(lambda theme, width: pictures.calibration(pit, coverage, theme, width), (4.6,)),
        "alt": f"Histogram of the PIT. {reading(pit)} Of the held-out targets {alt}.",
    }


def _ranking(choice: Choice) -> list[dict[str, str]]:
    """Return the picture of the ranking; none where there is nothing to compare."""
    if choice.top is None or len(choice.ranking) < 2:
        return []
    return _pictures(lambda theme, width: pictures.ranking(choice, theme, width), (PHONE, 7.2))


def _ranking_alt(choice: Choice) -> str:
    """Return what the picture of the ranking shows, in words."""
    each = []
    for line in (_line(scored, choice) for scored in choice.ranking):
        gap = line["behind"] if line["behind"] in ("top", "") else f"{line['behind']} nats a row behind the top"
        each.append(", ".join(filter(None, (f"{line['name']}: {line['standing']}", gap))))
    return "Candidates from the recommended down, with two standard errors as bars. " + "; ".join(each) + "."


def _pictures(draw: Callable[[Theme, float], Figure], widths: tuple[float, ...]) -> list[dict[str, str]]:
    """Return a picture as sources for `<picture>`: dark and light, from narrow to wide; the last has no condition."""
    sources = []
    for theme, scheme in ((DARK, "screen and (prefers-color-scheme: dark)"), (LIGHT, "")):
        for width in widths:
            phone = "(max-width: 600px)" if width != widths[-1] else ""
            figure = draw(theme, width)
            size = {
                side: f"{96 * inches:.0f}"
                for side, inches in zip(("width", "height"), figure.get_size_inches(), strict=True)
            }
            sources.append(
                {
                    "media": " and ".join(filter(None, (scheme, phone))),
                    **size,
                    "data": "data:image/svg+xml;base64," + base64.b64encode(svg(figure, theme).encode()).decode(),
                }
            )
    return sources


def _prose(text: str) -> Markup:
    """Return text whose `names in backticks` are code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))


def _breakable(name: str) -> Markup:
    """Return a name that may be broken after each _."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def _versions() -> dict[str, str]:
    return {"python": platform.python_version()} | {name: _version(name) for name in PACKAGES}


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:  # this one, run from its folder
        return "not installed"
