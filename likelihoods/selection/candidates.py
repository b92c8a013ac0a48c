"""Which losses may be compared on a target."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical

from likelihoods.catalog import entries, find
from likelihoods.combinators import Discretized, Mixture
from likelihoods.distributions.univariate import Univariate
from likelihoods.likelihood import Likelihood
from likelihoods.registry import Entry
from likelihoods.selection.describe import Target
from likelihoods.selection.fit import MIXTURE

Candidates = Sequence[str | Likelihood] | Mapping[str, str | Likelihood] | None


@dataclass(frozen=True)
class Candidate:
    """A likelihood to be fitted, under the base measure that all candidates of a target share.

    Attributes:
        name: the loss's name, or the user's.
        likelihood: what is fitted: the base itself, or the base rounded to the target's lattice.
        base: the likelihood as it would be used.
        assumption: in one sentence.
    """

    name: str
    likelihood: Likelihood
    base: Likelihood
    assumption: str


def candidates(target: Target, given: Candidates = None) -> tuple[list[Candidate], dict[str, str]]:
    """Return the candidates for a target, and for each that is left out the reason.

    Args:
        target: the target.
        given: names of losses, entries, likelihoods, or a mapping from the user's names to any; every registered loss that may be
            compared if None.

    Raises:
        ValueError: nothing is left.
    """
    chosen: list[Candidate] = []
    left_out: dict[str, str] = {}
    for name, base, assumption in _named(target, given):
        reason, likelihood = _admit(target, base)
        if likelihood is None:
            left_out[name] = reason
        else:
            chosen.append(Candidate(name, likelihood, base, assumption))
    if not chosen:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise ValueError(f"No candidate fits the target {target.name!r} ({target.kind}): {reasons}.")
    return chosen, left_out


def _named(target: Target, given: Candidates) -> list[tuple[str, Likelihood, str]]:
    if given is None:
        return [_from_entry(entry, target) for entry in entries() if entry.compare]
    pairs: list[tuple[str, Any]]
    pairs = list(given.items()) if isinstance(given, Mapping) else [(_label(item), item) for item in given]
    named = []
    for name, item in pairs:
        entry = find(item) if isinstance(item, str) else item
        if isinstance(entry, Entry):
            own, base, assumption = _from_entry(entry, target)
            named.append((own if name == item else name, base, assumption))
        elif isinstance(item, Likelihood):
            named.append((name, item, "The target follows the likelihood that was given."))
        else:
            raise TypeError(
                f"A candidate is a loss's name, an entry or a Likelihood; {name!r} is a {type(item).__name__}."
            )
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names):
        raise ValueError(f"Each candidate needs a name of its own; given were {', '.join(names)}.")
    return named


def _label(item: Any) -> str:
    if isinstance(item, Entry):
        return item.name
    return item if isinstance(item, str) else repr(item)


def _from_entry(entry: Entry, target: Target) -> tuple[str, Likelihood, str]:
    likelihood = entry.fitted()
    if likelihood.width is None:
        likelihood = entry.fitted(classes=max(2, len(target.classes), int(target.values.max()) + 1))
    return entry.name, likelihood, entry.assumption


def _admit(target: Target, base: Likelihood) -> tuple[str, Likelihood | None]:
    """Return the likelihood under the target's base measure, or why there is none."""
    if any(isinstance(part, Mixture) for part in base.modules()):
        return MIXTURE, None
    law = base._probe()
    if base.rank or law.event_shape:
        return "its target is a vector, and this one is a number", None
    if isinstance(law, Categorical) != (target.kind == "category"):
        if target.kind == "category":
            return "it orders its values, and the classes have no order", None
        if target.kind != "binary":
            return "it is for classes, and the target is a number", None
    support = law.support
    assert support is not None  # torch's type allows it; no law that can be fitted lacks one
    if support.is_discrete:
        fits = support.check(target.values)
        if target.step is None:
            return "it gives masses, and this target is scored by densities", None
        return ("", base) if bool(fits.all()) else (_outside(target, fits), None)
    if target.step is None:
        fits = support.check(target.values) & _finite(base, target.values)
        return ("", base) if bool(fits.all()) else (_outside(target, fits), None)
    if not isinstance(law, Univariate):
        return (
            f"{type(law).__name__} has no cdf that can give the mass of a cell: use one of likelihoods.distributions",
            None,
        )
    # a density holds a cell if either end does: 0 is what is left of a small positive number after rounding
    half = 0.5 * target.step
    fits = support.check(target.values - half) | support.check(target.values + half)
    return ("", Discretized(base, target.step)) if bool(fits.all()) else (_outside(target, fits), None)


def _finite(base: Likelihood, values: Tensor) -> Tensor:
    """Return where the density is finite whatever the learned parameters: not at 0 under a gamma law."""
    finite = torch.ones_like(values, dtype=torch.bool)
    for move in (-0.5, 0.5):
        moved = copy.deepcopy(base).double()
        with torch.no_grad():
            for parameter in moved.parameters():
                parameter.add_(move)
            finite = finite & torch.isfinite(moved._probe().log_prob(values))
    return finite


def _outside(target: Target, fits: Tensor) -> str:
    bad = ~fits
    row = int(bad.nonzero()[0])
    return f"{int(bad.sum()):,} targets are impossible under it, the first {target.values[row].item():g} in row {row}"
