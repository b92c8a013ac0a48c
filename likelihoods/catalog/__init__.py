"""The rows of the table, by the space in which the target lives; importing this module fills the table."""

from likelihoods.catalog import binary, category, count, deviance, interval, positive, real
from likelihoods.registry import entries, find, register, unregister

__all__ = [
    "binary",
    "category",
    "count",
    "deviance",
    "entries",
    "find",
    "interval",
    "positive",
    "real",
    "register",
    "unregister",
]
