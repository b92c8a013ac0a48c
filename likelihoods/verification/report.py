"""What was claimed, what was measured, and whether it held: as objects, text, a table and JSON."""

from __future__ import annotations

import importlib.metadata
import json
import math
import platform
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    import pandas as pd

PASS, FAIL, NOT_APPLICABLE, NOT_AVAILABLE = "pass", "FAIL", "not applicable", "not available"


@dataclass(frozen=True)
class Claim:
    """One claim of one row at one setting of its options.

    Attributes:
        loss: the row's name.
        options: the options that differ from the defaults.
        claim: what is claimed.
        error: the number that should be nought; None where nothing was measured.
        tolerance: the largest error that passes.
        status: ``"pass"``, ``"FAIL"``, ``"not applicable"`` (the claim would say nothing here) or ``"not available"`` (the
            distribution lacks what the claim needs).
        note: how it was measured, or why it was not, or what went wrong.
    """

    loss: str
    options: dict[str, Any]
    claim: str
    error: float | None
    tolerance: float | None
    status: str
    note: str = ""

    @property
    def setting(self) -> str:
        """The row with its options, as one would write it."""
        return f"{self.loss}({_text(self.options)})" if self.options else self.loss


@dataclass(frozen=True)
class Report:
    """The claims that :func:`verify` executed; iterating yields each :class:`Claim`, printing gives a table.

    Attributes:
        claims: in the order in which they were executed.
        seed: the seed of all random points.
    """

    claims: tuple[Claim, ...]
    seed: int = 0

    def __iter__(self) -> Iterator[Claim]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    @property
    def passed(self) -> bool:
        """Whether no claim failed and at least one was measured."""
        counts = Counter(claim.status for claim in self)
        return counts[PASS] > 0 and counts[FAIL] == 0

    @property
    def failures(self) -> tuple[Claim, ...]:
        """The claims that failed."""
        return tuple(claim for claim in self if claim.status == FAIL)

    @property
    def summary(self) -> str:
        """The number of claims of each status."""
        counts = Counter(claim.status for claim in self)
        order = (PASS, FAIL, NOT_APPLICABLE, NOT_AVAILABLE)
        return f"{len(self)} claims: {', '.join(f'{counts[s]} {s}' for s in order if counts[s] or s in (PASS, FAIL))}"

    @property
    def table(self) -> pd.DataFrame:
        """One row a claim, with the attributes of :class:`Claim` as columns."""
        import pandas as pd

        columns = ["loss", "options", "claim", "error", "tolerance", "status", "note"]
        frame = pd.DataFrame([{**asdict(c), "options": _text(c.options)} for c in self], columns=columns)
        return frame.astype({"error": float, "tolerance": float})

    def to_json(self, path: str | Path) -> None:
        """Write the claims to a file, with the seed and the versions they were measured with.

        An error that is not finite is written as null; its status is FAIL and its note says what it was.
        """
        claims = [
            {
                **asdict(claim),
                "options": {name: _plain(value) for name, value in claim.options.items()},
                "error": claim.error if claim.error is not None and math.isfinite(claim.error) else None,
            }
            for claim in self
        ]
        versions = {
            **{package: _version(package) for package in ("likelihoods", "torch", "scipy")},
            "python": platform.python_version(),
        }
        whole = {"passed": self.passed, "seed": self.seed, "versions": versions, "claims": claims}
        Path(path).write_text(json.dumps(whole, indent=1, allow_nan=False) + "\n", "utf-8")

    def __str__(self) -> str:
        head = ("loss", "claim", "error", "tolerance", "result")
        rows = [head, *(_cells(claim) for claim in self)]
        widths = [max(len(row[i]) for row in rows) for i in range(len(head) - 1)]
        lines = ["  ".join([*(cell.ljust(w) for cell, w in zip(row, widths, strict=False)), row[-1]]) for row in rows]
        return "\n".join([*lines, "", self.summary])


def _cells(claim: Claim) -> tuple[str, ...]:
    error = "" if claim.error is None else f"{claim.error:.1e}"
    tolerance = "" if claim.tolerance is None else f"{claim.tolerance:.1e}"
    result = claim.status if claim.status == PASS or not claim.note else f"{claim.status}: {claim.note}"
    return claim.setting, claim.claim, error, tolerance, result


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"  # run from its folder


def _text(options: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in options.items())


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.tolist()
    return value if isinstance(value, str | int | float | bool | None) else repr(value)
