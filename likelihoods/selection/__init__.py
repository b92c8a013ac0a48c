"""Which loss do the data support: describe the target, fit the candidates, rank them, report."""

from likelihoods.selection.choice import Choice
from likelihoods.selection.choosing import choose
from likelihoods.selection.table import Table, TableError, prepare, read_table

__all__ = ["Choice", "Table", "TableError", "choose", "prepare", "read_table"]
