"""What a claim may ask of a law, and whether its parameters and targets are allowed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.supports import Intervals
from likelihoods.verification.report import NOT_APPLICABLE, NOT_AVAILABLE


class NotMeasured(Exception):
    """A claim that says nothing about this row, or needs what its distribution lacks."""

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status


def not_applicable(reason: str) -> NotMeasured:
    """Return the exception that says that a claim would say nothing here."""
    return NotMeasured(NOT_APPLICABLE, reason)


def not_available(reason: str) -> NotMeasured:
    """Return the exception that says that a claim needs what the distribution lacks."""
    return NotMeasured(NOT_AVAILABLE, reason)


def ask(law: Distribution, what: str, *arguments: Any) -> Any:
    """Return a law's property, or the answer of its method, or say that the claim needs what the law lacks."""
    try:
        found = getattr(law, what)
        return found(*arguments) if arguments else found
    except NotImplementedError:
        raise not_available(f"{type(law).__name__} has no {what}") from None


def in_support(law: Distribution, target: Tensor) -> Tensor:
    """Return whether each target is possible and finite."""
    support = ask(law, "support")
    inside: Tensor = support.check(target)
    finite = ~target.isnan() if isinstance(support, Intervals) else target.isfinite()  # a pair may be open
    return inside & finite.reshape(*inside.shape, -1).all(-1)


def interior(law: Distribution) -> Tensor:
    """Return for each law of a batch whether its parameters are strictly inside their constraints.

    On the boundary (a probability of 0) a law is degenerate: its -inf is right, and no gradient can be asked of it.
    """
    inside = torch.ones(law.batch_shape, dtype=torch.bool)
    try:
        declared = law.arg_constraints
    except NotImplementedError:
        return inside
    for name, constraint in declared.items():
        check: Any = constraint.check
        value = vars(law).get(name)  # as torch's validation: what is computed from other parameters is not checked
        if not isinstance(value, Tensor) or constraints.is_dependent(constraint):
            continue
        allowed = check(value)
        if not constraint.is_discrete and constraint.event_dim == 0:
            for side in (-torch.inf, torch.inf):
                allowed = allowed & check(value.nextafter(torch.full_like(value, side)))
        inside = inside & allowed
    return inside


def worst(errors: Tensor) -> float:
    """Return the largest error in size; NaN if there is one.

    Raises:
        ValueError: there is nothing to look at.
    """
    if errors.numel() == 0:
        raise ValueError("There was no point at which to measure the claim.")
    return float(errors.detach().abs().max())
