"""The rows of the table, by the space in which the target lives; importing this module fills the table."""

from likelihoods.catalog import (
    binary,
    category,
    count,
    direction,
    embedding,
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
    "direction",
    "embedding",
    "entries",
    "find",
    "positive",
    "ranking",
    "real",
    "register",
    "sequence",
    "survival",
    "unregister",
]
