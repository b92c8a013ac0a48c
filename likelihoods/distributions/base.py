"""What every family here shares: parameters as tensors, shapes, and the contract of a one-dimensional law.

The rules that every family keeps, so that nothing above it needs a special case:

* parameters may be Python numbers or tensors; they are stored as tensors and **not** broadcast against each other, so a
  fixed scale costs nothing at a million rows. Moments and samples have the full batch shape.
* ``log_prob`` is -inf outside the support and NaN at NaN, whether validation is on or off; validation looks at the
  parameters alone. No value is checked on the host, so nothing waits for a device.
* outside the support ``cdf`` is 0 or 1, and no gradient there is NaN (the value that enters a formula is replaced first).
"""

from __future__ import annotations

import abc
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

import torch
from pyro.distributions.torch_distribution import TorchDistributionMixin
from torch import Tensor
from torch.distributions import Distribution, biject_to, constraints, kl, transform_to
from torch.distributions.utils import lazy_property

from likelihoods.distributions.looks import counts, span, within
from likelihoods.special import LOG_2, log1mexp

Value = Tensor | float
R = TypeVar("R")
Function = TypeVar("Function", bound=Callable[..., Tensor])
register_kl: Callable[[type, type], Callable[[Function], Function]] = kl.register_kl  # torch's own, with a type
STORED: Any = None  # the class's own value of a parameter that each law stores, where torch has a property of that name
NARROW = 1e-5  # relative mass below which a cell is scored by its density alone
GAUSS = 4320.0  # two-point Gauss errs by (relative mass)⁴/4320, a difference of tails by eps/(relative mass)
NODE = 0.5 / 3.0**0.5  # its nodes, in widths from the middle
ROUNDING = 8.0  # ulps by which a tail may be off
STEEP = 1e6  # nats across a cell, far beyond any that the Gauss rule is taken for


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


class Univariate(Parametric, abc.ABC):
    """A law on the line: beside what torch asks for, both tails in log space, the mode, and the mass of an interval."""

    @property
    def atoms(self) -> tuple[float, ...]:
        """The points with positive mass in an otherwise continuous law.

        There ``log_prob`` is a log-mass, elsewhere a log-density: the base measure is Lebesgue's and one unit at each atom.
        """
        return ()

    @abc.abstractmethod
    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density (or log-mass) in nats; -inf outside the support."""

    @abc.abstractmethod
    def cdf(self, value: Tensor) -> Tensor:
        """Return P(Y <= value)."""

    @abc.abstractmethod
    def log_cdf(self, value: Tensor) -> Tensor:
        """Return log P(Y <= value), accurate in the left tail."""

    @abc.abstractmethod
    def log_sf(self, value: Tensor) -> Tensor:
        """Return log P(Y > value), accurate in the right tail."""

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``; a family to which both come at the price of one says so here."""
        return self.log_cdf(value), self.log_sf(value)

    @abc.abstractmethod
    def icdf(self, value: Tensor) -> Tensor:
        """Return the smallest y of the support with P(Y <= y) >= value."""

    @property
    @abc.abstractmethod
    def mode(self) -> Tensor:
        """Return a point of highest density, with the batch shape."""

    @abc.abstractmethod
    def entropy(self) -> Tensor:
        """Return the entropy in nats (differential for a density), with the batch shape."""

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """Return log P(low < Y <= high), accurate in both tails and for cells much narrower than the scale.

        ``low`` may be -inf and ``high`` inf; ``low >= high`` gives -inf. Shapes broadcast with the batch.

        >>> from likelihoods.distributions import Normal
        >>> Normal(0.0, 1.0).log_mass(torch.tensor(9.0), torch.tensor(torch.inf))
        tensor(-43.6281)
        """
        low, high = torch.broadcast_tensors(low, high)
        open_low, open_high = low == -torch.inf, high == torch.inf
        # an open end asks for nothing: the other end stands for it, where the law is asked for its tails anyway
        low, high = torch.where(open_low, torch.where(open_high, 1.0, high), low), torch.where(open_high, low, high)
        high = torch.where(open_low & open_high, low, high)
        some = ~(high <= low)
        width = torch.where(some, high - low, 1.0)
        mass, below_high, above_low = self._log_interval(low, high, low + 0.5 * width, width, False)
        mass = torch.where(some, mass, -torch.inf)
        mass = torch.where(open_low, below_high, torch.where(open_high, above_low, mass))
        return torch.where(open_low & open_high, 0.0, mass)

    def log_cell(self, centre: Tensor, width: Value) -> Tensor:
        """Return log P(centre - width/2 < Y <= centre + width/2) for finite centres and positive widths.

        The same as ``log_mass`` of the cell's ends, but a narrow cell keeps its width, which its rounded ends have lost.

        >>> from likelihoods.distributions import Normal
        >>> Normal(0.0, 1.0).log_cell(torch.tensor(1.0), 1e-9)
        tensor(-22.1422)
        """
        half = 0.5 * width
        return self._log_interval(centre - half, centre + half, centre, width, True)[0]

    def _log_interval(
        self, low: Tensor, high: Tensor, centre: Tensor, width: Value, cell: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the log-mass between two finite ends, log_cdf of the higher one and log_sf of the lower one.

        The mass is the difference of tails, which in a narrow cell loses digits, or there the two-point Gauss rule for the
        density: of the two errors the smaller is taken. Where the rule does not agree with the difference as far as that
        has digits (at a kink of the density), the difference stays, down to cells where it would be nought.
        """
        (below_low, above_low), (below_high, above_high) = self.log_tails(low), self.log_tails(high)
        right = below_low > -LOG_2  # both ends beyond the median: the upper tail keeps the digits
        near, far = torch.where(right, above_low, below_high), torch.where(right, above_high, below_low)
        gap = near - torch.where(near == -torch.inf, 0.0, far)
        some = gap > 0
        difference = near + log1mexp(torch.where(some, gap, 1.0))
        if self.support.is_discrete:
            difference = torch.where(some, difference, torch.where(gap.isnan(), torch.nan, -torch.inf))
            return difference, below_high, above_low
        eps = torch.finfo(gap.dtype).eps
        limit = (GAUSS * eps) ** 0.2
        offset: Value
        if cell:  # its centre is the value that was seen
            middle, offset = centre.expand_as(gap), NODE * width
        else:  # where it is wide the law is asked for its density at an end that its tails were asked for
            narrow = ~(gap >= limit)
            middle = torch.where(narrow, centre, torch.where(right, low, high))
            offset = torch.where(narrow, NODE * width, 0.0)
        left, other = self.log_prob(torch.stack([middle - offset, middle + offset])).unbind()
        slope = (left - other).nan_to_num(0.0, 0.0, 0.0).clamp(-STEEP, STEEP)  # its fourth power must not overflow
        square = slope * slope
        log_width = width.log() if isinstance(width, Tensor) else math.log(width)
        rule = 0.5 * (left + other) + (square * (0.125 - square / 192.0) + log_width)
        with torch.no_grad():
            ulps = near.abs().add_(1.0)  # of the tails, and of the ends of a cell
            if cell:
                ulps += centre.abs() * gap / width
            same = (rule - difference).abs_().mul_(gap) <= ulps.mul_(ROUNDING * eps)
            ruled = ~(gap >= NARROW) | (same & (gap < limit))
        return torch.where(ruled, rule, difference), below_high, above_low


def implicit(law: Univariate, root: Tensor, probability: Tensor | None = None) -> Tensor:
    """Return a point of a continuous law with its derivatives in the parameters at fixed cdf, and in that probability.

    They follow from cdf(root) = probability, written for the logarithm of the smaller tail: -(d cdf/dθ) / density in the
    parameters and 1 / density in the probability. Without the probability the point is taken for a sample.
    """
    if not torch.is_grad_enabled():
        return root
    root = root.detach()
    below, above = law.log_tails(root)
    lower = below < above
    tail = torch.where(lower, below, above)
    slope = torch.exp(law.log_prob(root) - tail).detach() * torch.where(lower, 1.0, -1.0)
    moved = tail - tail.detach()
    if probability is not None:
        change = torch.where(lower, 1.0, -1.0) * (probability - probability.detach())
        moved = moved - change * torch.exp(-tail.detach())
    return root - moved / slope


def on_line(law: Distribution, wanted: str) -> Univariate:
    """Return the law as one on the line.

    Raises:
        NotImplementedError: it cannot give distribution functions; the message names what was wanted of it.
    """
    if isinstance(law, Univariate) and not law.event_shape:
        return law
    raise NotImplementedError(
        f"{type(law).__name__} has no distribution functions that keep their digits in the tails, and {wanted} needs them; "
        f"use a law of likelihoods.distributions on the line."
    )


def both_tails(below: Tensor, above: Tensor) -> tuple[Tensor, Tensor]:
    """Return log_cdf and log_sf, the larger computed from the smaller: sums of parts round, and 1 must be 1."""
    left = below < above
    smaller = torch.where(left, below, above)
    rest = torch.log1p(-smaller.exp())
    return torch.where(left, below, rest), torch.where(left, rest, above)
