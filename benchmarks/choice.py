"""Fits and a whole choice against statsmodels, on the shipped table."""

import warnings
from collections.abc import Iterator

import numpy as np
import pandas as pd
import statsmodels.api as sm
import torch

import likelihoods as lk
from benchmarks.timing import Row, compare
from likelihoods.data import randhie_path
from likelihoods.selection.fit import fit


def rows() -> Iterator[Row]:
    """Yield a row for each fit."""
    frame = pd.read_csv(randhie_path())
    X, y = frame.drop(columns="mdvis").to_numpy(dtype=np.float64), frame["mdvis"].to_numpy(dtype=np.float64)
    design, columns, target = sm.add_constant(X), torch.from_numpy(X), torch.from_numpy(y)
    poisson = lk.Family(lk.distributions.Poisson, rate=lk.predicted("log"))
    negative_binomial = lk.Family(lk.distributions.NegativeBinomial, mean=lk.predicted("log"), dispersion=lk.learned())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield compare(
            "fit of poisson",
            "statsmodels GLM (IRLS)",
            len(y),
            lambda: fit(poisson, columns, target),
            lambda: sm.GLM(y, design, family=sm.families.Poisson()).fit(),
            rounds=5,
        )
        yield compare(
            "fit of negative_binomial",
            "statsmodels NegativeBinomial",
            len(y),
            lambda: fit(negative_binomial, columns, target),
            lambda: sm.NegativeBinomial(y, design).fit(disp=0, maxiter=200),
            rounds=3,
        )
        yield compare(
            "choose, all candidates, 5 folds",
            "one statsmodels NegativeBinomial fit",
            len(y),
            lambda: lk.choose(X, y, progress=False),
            lambda: sm.NegativeBinomial(y, design).fit(disp=0, maxiter=200),
            rounds=1,
        )
