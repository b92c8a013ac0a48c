"""The joint law of named values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints

from likelihoods.distributions.base import derived, floating
from likelihoods.distributions.supports import support_of

Values = Any  # a mapping by names, for which torch declares a tensor
Tensors = Any  # a dict[str, Tensor], likewise


class Named(constraints.Constraint):
    """The dicts whose entries each lie in the support of their name."""

    def __init__(self, law: Joint) -> None:
        self.law = law
        self.is_discrete = all(support_of(part).is_discrete for part in law.parts.values())

    def check(self, value: Values) -> Tensor:
        """Tell which rows have all their entries in the support; missing ones are."""
        self.law.check_names(value)
        result = torch.ones((), dtype=torch.bool)
        for name, part in self.law.parts.items():
            if name in value:
                inside = support_of(part).check(value[name])
                if name in self.law.optional:
                    inside = inside | missing(part, value[name])
                result = result & inside
        return result

    def __repr__(self) -> str:
        return "{" + ", ".join(f"{name!r}: {part.support}" for name, part in self.law.parts.items()) + "}"


class Joint(TorchDistribution):
    """The joint law of named values, independent of each other: one log-density for a dict of them.

    The base measure is the product of the parts' own, so a joint law may hold densities beside masses.

    Args:
        parts: a law for each name; their batch shapes broadcast.
        optional: the names whose values may be missing: absent from the dict, or NaN in some rows (in all numbers of a
            value with axes). What is missing is integrated out, which adds 0. For other names it is an error, or NaN.

    Raises:
        ValueError: no parts, or an optional name that is none of theirs.

    >>> from likelihoods.distributions import Normal, Poisson
    >>> law = Joint({"size": Normal(0.0, 1.0), "number": Poisson(2.0)}, optional=["size"])
    >>> law.log_prob({"size": torch.tensor([0.0, torch.nan]), "number": torch.tensor([1.0, 1.0])})
    tensor([-2.2258, -1.3069])
    """

    arg_constraints = {}  # the parts have the parameters

    def __init__(self, parts: Mapping[str, Distribution], optional: Iterable[str] = ()) -> None:
        self.parts, self.optional = dict(parts), check_optional(parts, optional)
        shape = torch.broadcast_shapes(*(part.batch_shape for part in self.parts.values()))
        Distribution.__init__(self, shape, validate_args=False)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Joint:
        """Return the law with its parts expanded."""
        return Joint({name: part.expand(batch_shape) for name, part in self.parts.items()}, self.optional)

    @property
    def support(self) -> constraints.Constraint:
        """Dicts of values in the parts' supports."""
        return Named(self)

    def check_names(self, value: Values) -> None:
        """Raise ValueError where the dict has a name too many, or one too few that is not optional."""
        check_names(tuple(self.parts), self.optional, value)

    def log_prob(self, value: Values) -> Tensor:
        """Return the sum of the log-densities (and log-masses) in nats of a dict of values."""
        self.check_names(value)
        total = torch.zeros(())
        for name, part in self.parts.items():
            if name in value:
                given = value[name]
                if name in self.optional and given.is_floating_point():
                    absent = missing(part, given)
                    instead = (
                        1.0 if support_of(part).is_discrete else 0.5
                    )  # NaN would spoil the slopes, although it counts 0
                    mask = absent.reshape(absent.shape + (1,) * len(part.event_shape))
                    log_prob = torch.where(absent, 0.0, part.log_prob(torch.where(mask, instead, given)))
                else:
                    log_prob = part.log_prob(given)
                total = total.to(log_prob) + log_prob
        return total.expand(torch.broadcast_shapes(total.shape, self.batch_shape))

    @property
    def mean(self) -> Tensors:
        """The means, by name."""
        return {name: part.mean for name, part in self.parts.items()}

    @property
    def variance(self) -> Tensors:
        """The variances, by name."""
        return {name: part.variance for name, part in self.parts.items()}

    def entropy(self) -> Tensor:
        """Return the entropy in nats: the sum of the parts'."""
        total = torch.zeros(())
        for part in self.parts.values():
            entropy = part.entropy()
            total = total.to(entropy) + entropy
        return total.expand(self.batch_shape)

    @derived
    def has_rsample(self) -> bool:
        """Whether all parts have samples with slopes."""
        return all(part.has_rsample for part in self.parts.values())

    def sample(self, sample_shape: Any = torch.Size()) -> Tensors:
        """Return samples, by name."""
        return {name: part.expand(self.batch_shape).sample(sample_shape) for name, part in self.parts.items()}

    def rsample(self, sample_shape: Any = torch.Size()) -> Tensors:
        """Return samples with slopes, by name."""
        return {name: part.expand(self.batch_shape).rsample(sample_shape) for name, part in self.parts.items()}


def missing(part: Distribution, value: Tensor) -> Tensor:
    """Return where a value is NaN, in all its numbers."""
    nan = floating(value, torch.zeros(())).isnan()
    return nan.flatten(nan.dim() - len(part.event_shape)).all(-1) if part.event_shape else nan


def check_optional(parts: Mapping[str, Any], optional: Iterable[str]) -> tuple[str, ...]:
    """Return the optional names as a tuple, or raise ValueError."""
    names = (optional,) if isinstance(optional, str) else tuple(optional)
    unknown = [name for name in names if name not in parts]
    if unknown or not parts:
        what = f"the optional {', '.join(map(repr, unknown))}" if unknown else "no parts"
        raise ValueError(f"Joint got {what}; give a dict of parts, and optional names among them ({list(parts)}).")
    return names


def check_names(names: tuple[str, ...], optional: tuple[str, ...], value: Any) -> None:
    """Raise where a target is no dict with the names that it must and may have."""
    if not isinstance(value, Mapping):
        raise TypeError(f"A joint target is a dict with the names {list(names)}, but got {type(value).__name__}.")
    unknown = [name for name in value if name not in names]
    absent = [name for name in names if name not in value and name not in optional]
    if unknown or absent or not value:
        said = [f"has {unknown}, which are no names of it"] * bool(unknown)
        said += [f"lacks {absent}, which are not optional"] * bool(absent) + ["is empty"] * (not value)
        hint = f" Write optional={absent} where they may be missing." if absent else ""
        raise ValueError(f"The joint target {' and '.join(said)}; its names are {list(names)}.{hint}")
