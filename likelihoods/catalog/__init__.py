"""The rows of the table, by the space in which the target lives; importing this module fills the table."""

from likelihoods.catalog import (
    binary,
    category,
    count,
    deviance,
    interval,
    margin,
    multi_label,
    ordered,
    output,
    positive,
    real,
    soft,
)
from likelihoods.registry import entries, find, register, unregister

__all__ = [
    "binary",
    "category",
    "count",
    "deviance",
    "entries",
    "find",
    "interval",
    "margin",
    "multi_label",
    "ordered",
    "output",
    "positive",
    "real",
    "register",
    "soft",
    "unregister",
]
