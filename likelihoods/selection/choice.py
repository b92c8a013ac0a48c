"""The outcome of a choice: the ranking, the recommendation, and its diagnostics."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from likelihoods.combinators import Discretized
from likelihoods.likelihood import NLL, Family, Likelihood
from likelihoods.selection.describe import Target

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SAME = 1e-6  # nats a row by which fits of one law may differ, where it is a limit of another (Poisson of negative binomial)
Floats = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Scored:
    """A candidate after it was fitted and scored.

    Attributes:
        name: the loss's name.
        assumption: in one sentence.
        likelihood: what was scored, its learned parameters fitted on all rows (float64).
        scores: ``(rows,)`` held-out log scores in nats.
        plain: ``(rows,)`` the same of the family without columns.
        folds: ``(rows,)`` the fold in which each row was held out.
        parameters: how many numbers were fitted.
        flags: what speaks against trusting it; a flagged candidate is never recommended.
    """

    name: str
    assumption: str
    likelihood: Likelihood
    scores: Floats
    plain: Floats
    folds: np.ndarray[Any, np.dtype[np.int64]]
    parameters: int
    flags: tuple[str, ...]

    @property
    def score(self) -> float:
        """Mean held-out log score in nats a row."""
        return float(self.scores.mean())

    @property
    def skill(self) -> float:
        """Bits a row that the columns save, against the same family without them."""
        if not np.isfinite(self.scores).all():  # some targets are impossible under it
            return -math.inf
        return float((self.scores - self.plain).mean() / math.log(2))


@dataclass(frozen=True)
class Choice:
    """A ranking of losses on one data set.

    Attributes:
        target: the target described.
        ranking: the candidates, the recommended first, then by score; flagged ones last.
        left_out: for each loss that was not compared, the reason.
        columns: the names of the columns of the linear predictor.
        decisions: what was assumed while the data were read.
        dropped: rows that were dropped.
        cv: number of folds.
        seed: of the folds and the randomised PIT.
        seconds: how long fitting took.
        pit: ``(rows,)`` probability integral transform of the recommended, held out (randomised on a lattice); None for classes.
    """

    target: Target
    ranking: tuple[Scored, ...]
    left_out: dict[str, str]
    columns: tuple[str, ...]
    decisions: tuple[str, ...]
    dropped: int
    cv: int
    seed: int
    seconds: float
    pit: Floats | None = field(default=None, repr=False)

    @property
    def top(self) -> Scored | None:
        """The candidate with the best score among those without a flag; differences are taken to it."""
        return max((s for s in self.ranking if not s.flags), key=lambda s: s.score, default=None)

    @property
    def best(self) -> str | None:
        """The recommended loss: the simplest that cannot be told from the top, or one as simple that scores higher still.

        None if every candidate is flagged.
        """
        return self.ranking[0].name if not self.ranking[0].flags else None

    @property
    def tied(self) -> list[str]:
        """The recommended loss, and those within two standard errors of the top score: the data do not tell them apart."""
        return [s.name for s in self.ranking if tied(s, self.top) or s.name == self.best]

    @property
    def table(self) -> pd.DataFrame:
        """The ranking, a row a loss; scores and differences in nats a row, skill in bits a row."""
        rows = []
        for s in self.ranking:
            behind, error = behind_top(s, self.top)
            rows.append(
                {
                    "loss": s.name,
                    "log_score": s.score,
                    "behind": behind,
                    "se": error,
                    "tied": tied(s, self.top),
                    "skill_bits": s.skill,
                    "parameters": s.parameters,
                    "flags": "; ".join(s.flags),
                    "likelihood": s.likelihood.code(),
                }
            )
        return pd.DataFrame(rows).set_index("loss")

    @property
    def coverage(self) -> dict[float, float] | None:
        """The share of held-out targets in the central 50 % and 90 % intervals; None for classes.

        On a lattice the cells at an interval's ends count by the share of them that is inside.
        """
        if self.pit is None:
            return None
        return {level: float((np.abs(self.pit - 0.5) <= level / 2).mean()) for level in (0.5, 0.9)}

    @property
    def snippet(self) -> str:
        """Python code that trains a network under the recommended loss; it runs as printed."""
        best = self._recommended()
        labels = self.target.kind == "category"
        first = np.unique(self.target.values.numpy())[:4].tolist()
        learned = " (its learned parameters train along)" if any(True for _ in best.likelihood.parameters()) else ""
        return (
            f"{self._imports()}\n"
            f"likelihood = {best.likelihood.code()}\n"
            f"loss = lk.NLL(likelihood)  # nats a row{learned}\n\n"
            f"network = torch.nn.Linear({len(self.columns)}, likelihood.width)  # or any network of yours\n"
            f"X = torch.randn({len(first)}, {len(self.columns)})  # your rows\n"
            f"y = torch.tensor({[int(v) for v in first] if labels else first})  # their targets\n"
            "loss(network(X), y).backward()\n"
        )

    def loss(self) -> NLL:
        """Return the recommended loss, in nats, with its learned parameters where the fit on all rows left them.

        Raises:
            ValueError: every candidate was flagged.
        """
        return NLL(copy.deepcopy(self._recommended().likelihood).to(torch.get_default_dtype()))

    def plot(self) -> Figure:
        """Return the ranking with error bars, and the recommended loss's PIT, as a matplotlib figure."""
        from likelihoods.selection import pictures

        return pictures.overview(self)

    def report(self, path: str | PathLike[str]) -> Path:
        """Write the report, one HTML file that needs nothing else, and return its path."""
        from likelihoods.selection import report

        return report.write(self, Path(path))

    def __str__(self) -> str:
        lines = [*self.target.words, f"Score: held-out {self.target.measure}; higher is better.", ""]
        width = max(len(s.name) for s in self.ranking)
        lines.append(f"{'':2}{'loss':{width}}  {'log score':>10}  {'behind the top':>17}  {'skill, bits':>11}")
        for s in self.ranking:
            behind, error = behind_top(s, self.top)
            gap = "flagged" if s.flags else "top" if s is self.top else f"{behind:.4f} ± {error:.4f}"
            mark = "*" if s.name == self.best else "=" if tied(s, self.top) else " "
            lines.append(f"{mark} {s.name:{width}}  {s.score:10.4f}  {gap:>17}  {s.skill:11.3f}")
        lines.append("")
        lines += [f"{s.name}: {flag}." for s in self.ranking for flag in s.flags]
        lines.append(self.verdict)
        return "\n".join(lines)

    @property
    def verdict(self) -> str:
        """The recommendation in a sentence or two."""
        if self.best is None:
            return "No loss can be recommended: every candidate is flagged."
        best, top = self.ranking[0], self.top
        rest = [name for name in self.tied if name != self.best]
        text = f"Recommended: {self.best}. {best.assumption}"
        if top is not None and not tied(best, top):
            lower = ", ".join(s.name for s in self.ranking if tied(s, top) and s.score < best.score)
            text += (
                f" The top, {top.name}, scores higher, but cannot be told on these data from {lower}: no simpler than "
                f"{self.best}, with a lower score."
            )
        elif rest:
            text += f" Not distinguishable from it on these data: {', '.join(rest)}; none of them is simpler."
        return text

    def _imports(self) -> str:
        families = [m.family.__module__ for m in self._recommended().likelihood.modules() if isinstance(m, Family)]
        foreign = sorted({m for m in families if not m.startswith("likelihoods.distributions.") and m != "__main__"})
        return "".join(f"import {name}\n" for name in ("torch", *foreign)) + "import likelihoods as lk\n"

    def _recommended(self) -> Scored:
        if self.best is None:
            reasons = "; ".join(f"{s.name}: {', '.join(s.flags)}" for s in self.ranking)
            raise ValueError(f"No loss can be recommended, since every candidate is flagged: {reasons}.")
        return self.ranking[0]


def behind_top(scored: Scored, top: Scored | None) -> tuple[float, float]:
    """Return how far a candidate is behind the top, in nats a row, with the standard error of the paired difference.

    The error is the larger of two: that of the mean over rows, and that over folds, which sees that a fit would have been
    another on other training rows (and is what keeps two nested models apart by no more than chance).

    Source: C. Nadeau and Y. Bengio (2003), Inference for the generalization error, doi:10.1023/A:1024068626366
    """
    if top is None or scored is top:
        return 0.0, 0.0
    gaps = top.scores - scored.scores
    if not np.isfinite(gaps).all():  # only a flagged candidate's: some targets are impossible under it
        return math.inf, math.nan
    means = np.bincount(scored.folds, gaps) / np.bincount(scored.folds)
    over_rows = gaps.std(ddof=1) / math.sqrt(len(gaps))
    over_folds = means.std(ddof=1) * math.sqrt(1 / len(means) + 1 / (len(means) - 1))
    return float(gaps.mean()), float(max(over_rows, over_folds))


def tied(scored: Scored, top: Scored | None) -> bool:
    """Return whether a candidate is within two standard errors of the top, or within what two fits of one law differ by."""
    behind, error = behind_top(scored, top)
    return top is not None and not scored.flags and behind <= max(2 * error, SAME)


def rank(scored: list[Scored]) -> tuple[Scored, ...]:
    """Return the candidates in order: the recommended, then by score, then the flagged.

    Recommended is the simplest of those tied with the top; or what is as simple and scores higher, though it is not tied: the
    other is then tied only because its difference is the noisier. The simplest has the fewest numbers that were fitted; of
    equals, a law of the target's own values comes before one that is rounded to them (a Bernoulli law before a rounded
    density on [0, 1], which can give the same masses).
    """
    sound = sorted((s for s in scored if not s.flags), key=lambda s: -s.score)
    flagged = sorted((s for s in scored if s.flags), key=lambda s: -s.score if math.isfinite(s.score) else math.inf)
    if sound:
        simplest = min((s for s in sound if tied(s, sound[0])), key=_complexity)
        first = min((s for s in sound if s.score >= simplest.score), key=_complexity)
        sound.remove(first)
        sound.insert(0, first)
    return (*sound, *flagged)


def _complexity(scored: Scored) -> tuple[int, bool, float]:
    return scored.parameters, isinstance(scored.likelihood, Discretized), -scored.score
