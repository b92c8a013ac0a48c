"""What every family here shares: parameters as tensors, shapes, and values inside and outside the support.

The rules that every family keeps, so that nothing above it needs a special case:

* parameters may be Python numbers or tensors; they are stored as tensors and **not** broadcast against each other, so a
  fixed scale costs nothing at a million rows. Moments and samples have the full batch shape.
* ``log_prob`` is -inf outside the support and NaN at NaN, whether validation is on or off; validation looks at the
  parameters alone. No value is checked on the host, so nothing waits for a device.
* outside the support ``cdf`` is 0 or 1, and no gradient there is NaN (the value that enters a formula is replaced first).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import Distribution, biject_to, constraints, kl, transform_to
from torch.distributions.utils import lazy_property

from likelihoods.distributions.looks import counts, span, within

Value = Tensor | float
R = TypeVar("R")
Function = TypeVar("Function", bound=Callable[..., Tensor])
register_kl: Callable[[type, type], Callable[[Function], Function]] = kl.register_kl  # torch's own, with a type
STORED: Any = None  # the class's own value of a parameter that each law stores, where torch has a property of that name


def promote(*parameters: Value) -> tuple[Tensor, ...]:
    """Return the parameters as tensors; numbers take dtype and device of the first floating-point tensor among them."""
    like = next((p for p in parameters if isinstance(p, Tensor) and p.is_floating_point()), None)
    dtype = torch.get_default_dtype() if like is None else like.dtype
    device = None if like is None else like.device
    return tuple(
        p if isinstance(p, Tensor) and p.is_floating_point() else torch.as_tensor(p, dtype=dtype, device=device)
        for p in parameters
    )


def log_indicator(inside: Tensor, like: Tensor) -> Tensor:
    """Return 0 where ``inside`` holds and -inf elsewhere, in the dtype of ``like``.

    Adding it to a log-density is several times faster on a CPU than ``torch.where`` or ``masked_fill``; the density must
    be finite (or NaN) everywhere, so the value that enters its formula is moved into the support first.
    """
    return inside.to(like.dtype).reciprocal_().neg_().add_(1.0)


def log_nonnegative(value: Tensor) -> Tensor:
    """Return 0 where value >= 0, -inf below and NaN at NaN: ``log_indicator`` of the half-line, in quicker passes."""
    limits = torch.finfo(value.dtype)
    return torch.threshold(value.detach(), -limits.smallest_normal * limits.eps, -torch.inf).clamp(max=0.0)


def log_positive(value: Tensor) -> Tensor:
    """Return 0 where 0 < value < inf, -inf elsewhere and NaN at NaN: ``log_indicator``, in quicker passes."""
    positive = torch.threshold(value.detach(), 0.0, -torch.inf)
    return positive.nan_to_num(nan=torch.nan, posinf=-torch.inf, neginf=-torch.inf).clamp(max=0.0)


def floating(value: Tensor, like: Tensor) -> Tensor:
    """Return the value in floating point: integers and booleans take the dtype of ``like``."""
    return value if value.is_floating_point() else value.to(like.dtype)


def at_ends(result: Tensor, value: Tensor, low: Value, high: Value, below: float, above: float) -> Tensor:
    """Return ``result`` with the constant ``below`` where value <= low and ``above`` where value >= high; no slope there.

    The formula behind ``result`` must be finite there: see ``between``.
    """
    result = torch.where(value <= low, below, result)
    return torch.where(value >= high, above, result)


def between(value: Tensor, low: Value, high: Value, instead: Tensor) -> Tensor:
    """Return the value, ``instead`` where it is not strictly between ``low`` and ``high``; NaN stays."""
    return torch.where((value <= low) | (value >= high), instead, value)


def quantile(result: Tensor, probability: Tensor, low: Value, high: Value) -> Tensor:
    """Return ``result`` with the ends of the support at the probabilities 0 and 1, and NaN outside [0, 1]."""
    result = torch.where(probability == 0, low, torch.where(probability == 1, high, result))
    return torch.where((probability < 0) | (probability > 1), torch.nan, result)


def choose(law: str, given: dict[str, Any], *choices: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one of ``choices`` that names exactly the parameters that are given (not None).

    Raises:
        TypeError: if there is none; it says what was given and what may be.
    """
    names = tuple(name for name, value in given.items() if value is not None)
    for choice in choices:
        if set(choice) == set(names):
            return choice
    got = " and ".join(names) if names else "no parameters"
    want = " or ".join(f"{law}({', '.join(f'{name}=…' for name in choice)})" for choice in choices)
    raise TypeError(f"{law} got {got}; write {want}.")


class open_interval(constraints.interval):
    """The numbers strictly between two bounds: parameters whose limits are no laws."""

    def __init__(self, lower_bound: Value, upper_bound: Value) -> None:
        constraints.interval.__init__(self, lower_bound, upper_bound)

    def check(self, value: Tensor) -> Tensor:
        """Tell which values lie strictly between the bounds."""
        inside: Tensor = (self.lower_bound < value) & (value < self.upper_bound)
        return inside


for _registry in (biject_to, transform_to):  # torch looks transforms up by the exact class of a constraint
    _registry.register(open_interval, lambda c: biject_to(constraints.interval(c.lower_bound, c.upper_bound)))


def _shown(constraint: constraints.Constraint, x: Tensor) -> bool:
    """Tell whether a look at the least and the largest number shows that all of them satisfy the constraint."""
    constraint = getattr(constraint, "base_constraint", constraint)
    if constraint is constraints.positive:
        return span(x)[0] > 0.0
    if constraint is constraints.real:
        return not math.isnan(span(x)[0])
    if constraint is constraints.nonnegative:
        return span(x)[0] >= 0.0
    if constraint is constraints.nonnegative_integer:
        return counts(x)
    if type(constraint) is open_interval and not isinstance(constraint.lower_bound, Tensor):
        return within(x, constraint.lower_bound, constraint.upper_bound)
    return False


class derived(lazy_property, Generic[R]):  # type: ignore[type-arg]  # in torch 2.4 it takes none
    """What is computed from the parameters that are stored; an instance that stores it under that name needs no computing.

    So are the parameters that a law was not given, and whatever else torch declares as an attribute.

    torch's own ``lazy_property`` (whose kind makes validation skip it) also caches the result, which then outlives
    ``torch.no_grad`` and makes ``copy.deepcopy`` fail on the graph that it holds.
    """

    def __init__(self, wrapped: Callable[[Any], R]) -> None:
        lazy_property.__init__(self, wrapped)

    @overload
    def __get__(self, instance: None, owner: Any = None) -> Any: ...

    @overload
    def __get__(self, instance: object, owner: Any = None) -> R: ...

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        # on the class what torch's own gives, which validation and documentation tools know
        return super().__get__(None, owner) if instance is None else self.wrapped(instance)


class Parametric(TorchDistributionMixin):
    """A distribution whose state is its parameters, named in ``arg_constraints``."""

    arg_constraints: dict[str, Any]  # constraints

    if TYPE_CHECKING:  # what torch's Distribution adds to each, with types

        @property
        def mean(self) -> Tensor:
            """The mean, with the batch and event shape."""

        @property
        def variance(self) -> Tensor:
            """The variance, likewise."""

        def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
            """Return samples."""

        def rsample(self, sample_shape: Any = torch.Size()) -> Tensor:
            """Return samples with slopes."""

        def _get_checked_instance(self, cls: type, _instance: Any = None) -> Any: ...

    def _stored(self) -> list[tuple[str, constraints.Constraint]]:
        """Return the parameters that ``__init__`` stored; the others of ``arg_constraints`` are ``derived`` from them."""
        return [(name, constraint) for name, constraint in self.arg_constraints.items() if name in self.__dict__]

    @property
    def _like(self) -> Tensor:
        """A tensor of the law's dtype and device: its first parameter."""
        first: Tensor = getattr(self, self._stored()[0][0])
        return first

    def _settle(self, validate_args: bool | None, event_dim: int = 0) -> None:
        """Set the shapes from the parameters that ``__init__`` stored, then let torch validate them."""
        shapes = []
        for name, constraint in self._stored():
            shape = getattr(self, name).shape
            shapes.append(shape[: len(shape) - constraint.event_dim])
        batch = shapes[0] if all(s == shapes[0] for s in shapes) else torch.broadcast_shapes(*shapes)
        event = getattr(self, next(iter(self.arg_constraints))).shape[-event_dim:] if event_dim else torch.Size()
        self._initialise(batch, event, validate_args)

    def _initialise(self, batch: torch.Size, event: torch.Size, validate_args: bool | None) -> None:
        """Set the shapes, and let torch validate the parameters that are stored."""
        if torch.compiler.is_compiling():  # dynamo cannot trace torch's checks of parameters, and by default drops them
            Distribution.__init__(self, batch, event, validate_args=False)
            self._validate_args = bool(validate_args)
        else:  # of an empty batch there is nothing to check, and torch cannot reshape its vectors
            check = self._validate_args if validate_args is None else validate_args
            Distribution.__init__(self, batch, event, validate_args=False)
            if 0 in batch:
                return
            del self._validate_args
            if validate_args is not None:
                self._validate_args = validate_args
            if check and not self._valid():
                Distribution.__init__(self, batch, event, validate_args)

    def _valid(self) -> bool:
        """Tell whether looks at the parameters show that they are valid; torch's own checks take several times as long."""
        return all(_shown(constraint, getattr(self, name)) for name, constraint in self._stored())

    def expand(self, batch_shape: Any, _instance: Any = None) -> Self:
        """Return the distribution with its parameters expanded to ``batch_shape``."""
        new: Self = self._get_checked_instance(type(self), _instance)
        batch = torch.Size(batch_shape)
        for name, constraint in self._stored():
            parameter = getattr(self, name)
            new.__dict__[name] = parameter.expand(batch + parameter.shape[parameter.dim() - constraint.event_dim :])
        Distribution.__init__(new, batch, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def _full(self, moment: Tensor) -> Tensor:
        """Expand a moment, which has the shape of the parameters it depends on, to the batch shape."""
        return moment.expand(self._batch_shape + moment.shape[moment.dim() - len(self._event_shape) :])
