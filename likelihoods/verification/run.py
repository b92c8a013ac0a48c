"""Executing the claims."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import torch
from tqdm import tqdm

from likelihoods.catalog import entries, find
from likelihoods.registry import Entry
from likelihoods.relations import Affine, Expected, Gibbs, NoLikelihood, Partial, Relation, Weighted
from likelihoods.threads import one_thread
from likelihoods.verification import density, identities, population, readings
from likelihoods.verification.extremes import extremes
from likelihoods.verification.law import NotMeasured
from likelihoods.verification.report import FAIL, PASS, Claim, Report
from likelihoods.verification.samples import sampler
from likelihoods.verification.setting import Setting

Measure = Callable[[Setting], tuple[float, float, str]]

IDENTITIES: tuple[tuple[str, Measure], ...] = (
    ("kernel value", identities.kernel_value),
    ("kernel gradient", identities.kernel_gradient),
    ("convention", identities.convention),
    ("relation", identities.relation),
)
READINGS: dict[type[Relation], tuple[tuple[str, Measure], ...]] = {
    Affine: (("offset", identities.offset),),
    Weighted: (("weight", identities.weight), ("tilt", readings.tilt)),
    Expected: (("expectation", readings.expectation), ("mean of t", readings.mean_of_soft)),
    Gibbs: (
        ("normaliser", readings.normaliser),
        ("normaliser moves", readings.normaliser_moves),
        ("not proper", readings.improper),
    ),
    Partial: (("offset", identities.offset),),
    NoLikelihood: (("no law", readings.no_law), ("refused", readings.refused)),
}  # what a relation says, by its type
OTHERS: tuple[tuple[str, Measure], ...] = (
    ("total mass", density.total_mass),
    ("cdf", density.distribution_function),
    ("sampler", sampler),
    ("elicits", population.elicits),
    ("proper", population.proper),
    ("missing", readings.missing),
    ("finite", extremes),
)


@torch.enable_grad()
def verify(name: str | Entry | Sequence[str | Entry] | None = None, *, seed: int = 0, progress: bool = False) -> Report:
    """Execute every claim of a named loss; each is a number that should be nought, measured in float64.

    For each setting of the options among the row's examples:

    * ``kernel value``, ``kernel gradient``: the fast path equals the derivation;
    * ``convention``: so does the field's own formula, which is torch's call where the loss is torch's;
    * ``relation``: the loss is what the row says of its negative log-likelihood;
    * ``total mass``: the density integrates (or the mass sums) to 1;
    * ``cdf``: the distribution function is that integral;
    * ``sampler``: samples follow the law;
    * ``elicits``: the minimiser of the expected loss, over a population that the model did not make, is the functional;
    * ``proper``: over a law's own population it is that law;
    * ``missing``: a missing target adds nothing;
    * ``finite``: values and gradients are finite at extreme raw outputs and targets, in float64 and float32.

    Before ``total mass`` come those of the relation's type:

    * ``offset``: what is left of the loss is free of the prediction (``Affine``, ``Partial``);
    * ``weight``, ``tilt``: the weight of each target; the tilted law is elicited, and ``untilt`` gives back the true one;
    * ``expectation``, ``mean of t``: the loss by the law's own masses; its minimiser is the mean of the targets' laws;
    * ``normaliser``, ``normaliser moves``, ``not proper``: of a ``Gibbs`` loss, with the witnesses' size in the note;
    * ``no law``, ``refused``: what shows that there is no likelihood, and that none is given.

    A claim that something is *not* so passes with the error 0 where its witness, in the note, is large enough.

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
    >>> [claim.claim for claim in verify("hinge") if claim.error is not None][:6]
    ['convention', 'relation', 'normaliser', 'normaliser moves', 'not proper', 'total mass']
    """
    wanted: Iterable[str | Entry]
    wanted = entries() if name is None else [name] if isinstance(name, str | Entry) else name
    rows = [row if isinstance(row, Entry) else find(row) for row in wanted]
    settings = [(row, example) for row in rows for example in row.examples]
    found: list[Claim] = []
    with one_thread(), tqdm(settings, unit="setting", disable=not progress) as bar:
        for row, example in bar:
            bar.set_description(row.name)
            found += _execute(row, example, seed)
    return Report(tuple(found), seed)


def _execute(entry: Entry, example: dict[str, Any], seed: int) -> Iterator[Claim]:
    claim = partial(Claim, entry.name, dict(example))
    try:
        setting = Setting.make(entry, example, seed)
        setting.law(setting.raws)
        said = () if setting.learned else READINGS[type(setting.relation)]
    except Exception as wrong:
        yield claim("can be built", None, None, FAIL, _describe(wrong))
        return
    for name, measure in (*IDENTITIES, *said, *OTHERS):
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
