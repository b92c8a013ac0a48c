"""The value and gradient of the derivation, but for rounding, in fewer passes: one function for each loss that has one.

A loss without its kernel is the same loss, slower. What is lost is torch's last bit, and torch's own answer to targets that
are no targets (an error where a class does not exist, 100 nats at most for ``bce``); the derivation's answer is infinity.
"""

from likelihoods.kernels.amounts import AMOUNTS
from likelihoods.kernels.labels import LABELS
from likelihoods.kernels.numbers import NUMBERS

KERNELS = NUMBERS | LABELS | AMOUNTS

__all__ = ["KERNELS"]
