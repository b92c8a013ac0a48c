"""The rows of the table, by the space in which the target lives; importing this module fills the table."""

from likelihoods.catalog import (
    binary,
    category,
    count,
    deviance,
    direction,
    embedding,
    interval,
    positive,
    ranking,
    real,
    sequence,
    survival,
)
from likelihoods.registry import entries, find, register, unregister

__all__ = [
    "binary",
    "category",
    "count",
    "deviance",
    "direction",
    "embedding",
    "entries",
    "find",
    "interval",
    "positive",
    "ranking",
    "real",
    "register",
    "sequence",
    "survival",
    "unregister",
]
