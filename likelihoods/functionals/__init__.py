"""What a loss elicits: the feature of the data's law that minimises its expectation."""

from likelihoods.functionals.amounts import AMOUNTS
from likelihoods.functionals.functional import THE_LAW, Functional
from likelihoods.functionals.labels import LABELS
from likelihoods.functionals.numbers import NUMBERS

FUNCTIONALS = {functional.name: functional for functional in (THE_LAW, *NUMBERS, *LABELS, *AMOUNTS)}

__all__ = ["FUNCTIONALS", "Functional"]
