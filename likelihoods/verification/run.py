"""Executing the claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch

from likelihoods.catalog import entries, find
from likelihoods.registry import Entry
from likelihoods.threads import one_thread
from likelihoods.verification import density, identities
from likelihoods.verification.extremes import extremes
from likelihoods.verification.law import NotMeasured
from likelihoods.verification.population import elicits
from likelihoods.verification.report import FAIL, PASS, Claim, Report
from likelihoods.verification.setting import Setting

Measure = Callable[[Setting], tuple[float, float, str]]

IDENTITIES: tuple[tuple[str, Measure], ...] = (
    ("kernel value", identities.kernel_value),
    ("kernel gradient", identities.kernel_gradient),
    ("relation", identities.relation),
)  # then what the relation says of the scale, identities.SCALE
OTHERS: tuple[tuple[str, Measure], ...] = (
    ("total mass", density.total_mass),
    ("cdf", density.distribution_function),
    ("sampler", density.sampler),
    ("elicits", elicits),
    ("finite", extremes),
)


@torch.enable_grad()
def verify(name: str | Entry | Sequence[str | Entry] | None = None, *, seed: int = 0, progress: bool = False) -> Report:
    """Execute every claim of a named loss; each is a number that should be nought, measured in float64.

    For each setting of the options among the row's examples:

    * ``kernel value``, ``kernel gradient``: the fast path equals the derivation;
    * ``relation``: the loss is what the row says of its negative log-likelihood;
    * ``offset`` (or ``weight``): what the relation leaves is free of the prediction (or is the weight of the target);
    * ``total mass``: the density integrates (or the mass sums) to 1;
    * ``cdf``: the distribution function is that integral;
    * ``sampler``: samples follow the distribution function (or the mass function);
    * ``elicits``: the minimiser of the expected loss, over a population that the model did not make, is the functional;
    * ``finite``: values and gradients are finite at extreme raw outputs and targets, in float64 and float32.

    A claim that would say nothing about a row is *not applicable*; one that needs what the row's distribution lacks (a cdf, say)
    is *not available*. Neither passes, neither fails. An exception is a failure.

    Args:
        name: a loss's name or alias, an entry, several of them, or None for every entry.
        seed: of all random points; torch's global random state is left as it was.
        progress: whether to show a progress bar.

    Returns:
        The claims, as a table (``.table``, ``print``), an answer (``.passed``) and a file (``.to_json(path)``).

    Raises:
        ValueError: no loss has that name.

    >>> report = verify("bce_with_logits")
    >>> report.passed
    True
    >>> [claim.claim for claim in report if claim.options]
    ['kernel value', 'kernel gradient', 'relation', 'weight', 'total mass', 'cdf', 'sampler', 'elicits', 'finite']
    """
    wanted: Iterable[str | Entry]
    wanted = entries() if name is None else [name] if isinstance(name, str | Entry) else name
    rows = [row if isinstance(row, Entry) else find(row) for row in wanted]
    settings = [(row, example) for row in rows for example in row.examples]
    found: list[Claim] = []
    with one_thread():
        if not progress:
            for row, example in settings:
                found += _execute(row, example, seed)
            return Report(tuple(found), seed)
        from tqdm import tqdm

        with tqdm(settings, unit="setting") as bar:
            for row, example in bar:
                bar.set_description(row.name)
                found += _execute(row, example, seed)
    return Report(tuple(found), seed)


def _execute(entry: Entry, example: dict[str, Any], seed: int) -> Iterator[Claim]:
    claim = partial(Claim, entry.name, dict(example))
    try:
        setting = Setting.make(entry, example, seed)
        setting.law(setting.raws)
        scale = None if setting.learned else identities.SCALE.get(type(setting.relation))
    except Exception as wrong:
        yield claim("can be built", None, None, FAIL, _describe(wrong))
        return
    for name, measure in (*IDENTITIES, *([scale] if scale else []), *OTHERS):
        try:
            error, tolerance, note = measure(setting)
        except NotMeasured as lacking:
            yield claim(name, None, None, lacking.status, str(lacking))
        except Exception as wrong:
            yield claim(name, None, None, FAIL, _describe(wrong))
        else:
            held = error <= tolerance  # not where it is NaN
            yield claim(name, error, tolerance, PASS if held else FAIL, note)


def _describe(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"
