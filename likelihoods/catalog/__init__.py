"""The rows of the table, by the space in which the target lives; importing this module fills the table."""

from likelihoods.catalog import (
    asymmetric,
    binary,
    category,
    count,
    deviance,
    heteroscedastic,
    interval,
    positive,
    real,
    robust,
)
from likelihoods.registry import entries, find, register, unregister

__all__ = [
    "asymmetric",
    "binary",
    "category",
    "count",
    "deviance",
    "entries",
    "find",
    "heteroscedastic",
    "interval",
    "positive",
    "real",
    "register",
    "robust",
    "unregister",
]
