"""Which loss do the data support?  Candidates fitted on folds and ranked by held-out log score."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import KFold, StratifiedKFold
from torch import Tensor
from tqdm.auto import tqdm

from likelihoods.selection.candidates import Candidate, Candidates
from likelihoods.selection.candidates import candidates as admitted
from likelihoods.selection.choice import Choice, Scored, rank
from likelihoods.selection.describe import Target, describe
from likelihoods.selection.fit import Fit, fit
from likelihoods.selection.table import Table, prepare
from likelihoods.threads import one_thread


def choose(
    X: Any,
    y: Any = None,
    candidates: Candidates = None,
    cv: int = 5,
    *,
    kind: str | None = None,
    seed: int = 0,
    progress: bool = True,
) -> Choice:
    """Choose a loss: fit a linear predictor under each candidate, and rank them by held-out log score.

    Args:
        X: ``(rows, columns)``: a DataFrame (text columns are one-hot coded), an array or a tensor; or a table that
            :func:`likelihoods.read_table` made, which has the target too.
        y: ``(rows,)``: numbers, booleans or labels.
        candidates: names of losses, entries, likelihoods, or a mapping from names to any; every registered loss whose support
            holds the target if None.
        cv: number of folds.
        kind: what the target is, where the values alone would mislead; see :func:`likelihoods.selection.describe`.
        seed: of the folds and of the randomised PIT.
        progress: whether to show a bar on stderr.

    Returns:
        The ranking with its diagnostics. Scores are in nats a row, under one base measure that all candidates share.

    Raises:
        ValueError: too few rows, a target that no candidate can have made, or bad input (the message says what to do).

    Source: Gneiting and Raftery (2007), doi:10.1198/016214506000001437 (the log score); Czado, Gneiting and Held (2009),
    doi:10.1111/j.1541-0420.2009.01191.x (PIT for counts).

    >>> import numpy as np, likelihoods as lk
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1))
    >>> choice = lk.choose(X, rng.poisson(np.exp(1 + X[:, 0])), candidates=["poisson", "mse"], progress=False)
    >>> choice.best
    'poisson_nll'
    """
    table = X if isinstance(X, Table) else prepare(X, y)
    target = describe(table.y, kind, table.target)
    entrants, left_out = admitted(target, candidates)
    columns = torch.from_numpy(table.X.to_numpy(dtype=np.float64, copy=True))
    folds = _folds(target, cv, seed)
    began = time.perf_counter()
    scored, fits = [], {}
    bar = tqdm(total=len(entrants) * (cv + 1), desc="fitting", unit="fit", disable=not progress, leave=False)
    with one_thread(), bar:
        for entrant in entrants:
            bar.set_postfix_str(entrant.name)
            result, fits[entrant.name] = _score(entrant, columns, target.values, folds, bar)
            scored.append(result)
    ranking = rank(scored)
    best = ranking[0]
    return Choice(
        target=target,
        ranking=ranking,
        left_out=left_out,
        columns=tuple(str(name) for name in table.X.columns),
        decisions=(*table.decisions, *_repeats(columns, target.values)),
        dropped=table.dropped,
        cv=cv,
        seed=seed,
        seconds=time.perf_counter() - began,
        pit=None if best.flags else _pit(fits[best.name], columns, target, folds, seed),
    )


def _folds(target: Target, cv: int, seed: int) -> list[tuple[Tensor, Tensor]]:
    rows = len(target.values)
    if cv < 2 or rows < 2 * cv:
        raise ValueError(
            f"{rows} rows in {cv} folds: there must be at least 2 folds with 2 rows each. Give more rows or a smaller cv."
        )
    labels = target.values.numpy() if target.kind in ("binary", "category") else None
    if labels is None:
        splits = KFold(cv, shuffle=True, random_state=seed).split(np.zeros(rows))
    else:
        fewest = int(np.unique(labels, return_counts=True)[1].min())
        if fewest < cv:
            raise ValueError(
                f"A class of {target.name!r} has {fewest} rows, too few for {cv} folds: merge it, drop it, or set "
                f"cv={max(2, fewest)}."
            )
        splits = StratifiedKFold(cv, shuffle=True, random_state=seed).split(np.zeros(rows), labels)
    return [(torch.from_numpy(train), torch.from_numpy(test)) for train, test in splits]


def _score(
    entrant: Candidate, X: Tensor, y: Tensor, folds: list[tuple[Tensor, Tensor]], bar: Any
) -> tuple[Scored, list[Fit]]:
    start = fit(entrant.likelihood, X[:, :0], y)
    whole = fit(entrant.likelihood, X, y, start)
    bar.update()
    scores, plain, fits = torch.zeros(len(y), dtype=X.dtype), torch.zeros(len(y), dtype=X.dtype), []
    fold = np.zeros(len(y), dtype=np.int64)
    for number, (train, test) in enumerate(
        folds
    ):  # the fits on all rows are where Newton starts here, not where it ends
        alone = fit(entrant.likelihood, X[train][:, :0], y[train], start)
        fits.append(fit(entrant.likelihood, X[train], y[train], whole))
        plain[test] = alone.log_prob(X[test][:, :0], y[test])
        scores[test] = fits[-1].log_prob(X[test], y[test])
        fold[test.numpy()] = number
        bar.update()
    flags = []
    reasons = {f.unbounded for f in (whole, *fits)} - {""}
    if reasons:
        flags.append(sorted(reasons)[0])
    elif not all(f.converged for f in (whole, *fits)):
        flags.append(f"{sum(not f.converged for f in (whole, *fits))} of its {len(folds) + 1} fits did not converge")
    if not bool(torch.isfinite(scores).all()):
        flags.append(f"{int((~torch.isfinite(scores)).sum())} held-out targets have no likelihood at all under it")
    if not flags and bool((y == y[0]).all()):
        flags.append("a constant target tells no loss from another")
    parameters = whole.coefficients.numel() + sum(p.numel() for p in whole.likelihood.parameters())
    return (
        Scored(
            entrant.name,
            entrant.assumption,
            whole.likelihood,
            scores.numpy(),
            plain.numpy(),
            fold,
            parameters,
            tuple(flags),
        ),
        fits,
    )


def _pit(fits: list[Fit], X: Tensor, target: Target, folds: list[tuple[Tensor, Tensor]], seed: int) -> Any:
    """Return the PIT of each held-out target; on a lattice a uniform draw between the cdf below and at the target."""
    if target.kind == "category":
        return None
    noise = torch.from_numpy(np.random.default_rng(seed).uniform(size=len(target.values)))
    pit = torch.zeros(len(target.values), dtype=X.dtype)
    with torch.no_grad():
        for one, (_, test) in zip(fits, folds, strict=True):
            law = one.likelihood(one.raw(X[test]))
            try:
                pit[test] = law.cdf(target.values[test])
            except NotImplementedError:
                return None
            if law.support.is_discrete:
                pit[test] -= noise[test] * law.log_prob(target.values[test]).exp()
    return pit.numpy()


def _repeats(X: Tensor, y: Tensor) -> list[str]:
    rows = torch.cat([X, y[:, None].to(X.dtype)], 1)
    repeats = len(rows) - len(torch.unique(rows, dim=0))
    if X.shape[1] == 0 or repeats == 0:
        return []
    return [
        f"{repeats:,} rows repeat another row in every column; the folds may then test on rows that they trained on."
    ]
