"""What a loss elicits: the feature of the data's law that minimises its expectation."""

from likelihoods.functionals.functional import Functional
from likelihoods.functionals.labels import LABELS
from likelihoods.functionals.numbers import NUMBERS

FUNCTIONALS = {functional.name: functional for functional in (*NUMBERS, *LABELS)}

__all__ = ["FUNCTIONALS", "Functional"]
