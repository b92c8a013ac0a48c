"""Likelihoods: modules that map a network's raw output to a distribution over targets, and their mean in nats."""

from __future__ import annotations

import abc
import difflib
import inspect
from collections.abc import Iterator
from typing import Any, final

import pyro.distributions.constraints
import torch
from torch import Tensor, nn
from torch.distributions import Distribution, constraints

from likelihoods.distributions.label_normalized import OneOf
from likelihoods.distributions.supports import Intervals, Window
from likelihoods.sources import Fixed, Source, as_source, learned

Piece = tuple[str, "Likelihood", Any, Tensor | None]
EMPTY = "The batch is empty, so its mean is 0/0. Skip empty batches, or use reduction='sum'."


class Likelihood(nn.Module, abc.ABC):
    """Abstract: maps raw output of shape ``(..., width)`` to a distribution over targets.

    Calling it, ``likelihood(raw)``, gives a Pyro (and so a torch) distribution whose batch shape is ``(...)``; that is what
    ``pyro.sample("y", likelihood(raw), obs=y)`` takes.

    Attributes:
        width: raw scalars a target; None where the last axis of raw may have any length (classes).
        rank: axes of one target, which are described together.
        shared: how many of these axes raw has too, each with a row of its own (the pixels of an image); the others are
            described by one row.
        structured: whether a target is a dict or a pair of tensors instead of one tensor.
    """

    width: int | None
    rank: int = 0
    shared: int = 0
    structured: bool = False

    @abc.abstractmethod
    def distribution(self, raw: Tensor) -> Distribution:
        """Return the distribution, given raw output that has been checked to be ``(..., width)``."""

    @abc.abstractmethod
    def learn(self, *names: str) -> Likelihood:
        """Return a copy in which each named constant parameter is learned, starting at its present value."""

    @abc.abstractmethod
    def code(self) -> str:
        """Return the Python expression that makes this likelihood (``lk`` being the package)."""

    def forward(self, raw: Tensor) -> Distribution:
        """Return the distribution over targets.

        Args:
            raw: ``(..., width)``; with width 1 the last axis may be left out unless its length is 1.

        Raises:
            ValueError: the last axis of raw does not hold ``width`` scalars.
        """
        if not raw.is_floating_point():
            raise ValueError(f"raw is {raw.dtype}; a network's output is floating point: write raw.float().")
        if self.width is not None and (raw.dim() == 0 or raw.shape[-1] != self.width):
            if self.width != 1:
                raise ValueError(self._wanted(raw))
            raw = raw.unsqueeze(-1)
        elif raw.dim() == 0:
            raise ValueError(self._wanted(raw))
        return self.distribution(raw)

    def log_prob(self, raw: Tensor, target: Any) -> Tensor:
        """Return the log-density (or log-mass) of each target in nats, after the shape rule has been checked.

        Args:
            raw: ``(..., width)``, or ``(...)`` where width is 1.
            target: ``(...)`` followed by ``rank`` axes, of which raw has the first ``shared`` too; or what a likelihood
                with ``structured`` targets asks for.

        Raises:
            ValueError: the shapes do not fit each other.
        """
        log_prob: Tensor = self.distribution(self.align(raw, target)).log_prob(target)
        return log_prob

    def align(self, raw: Tensor, target: Any) -> Tensor:
        """Return raw as ``(..., width)``, where target has the shape ``(...)`` followed by the axes that raw lacks.

        Raises:
            ValueError: the shapes do not fit each other; nothing is ever broadcast.
        """
        batch = self.rows(target)
        if raw.dim() and raw.shape[:-1] == batch and (self.width is None or self.width == raw.shape[-1]):
            return raw
        if self.width == 1 and raw.shape == batch:
            return raw.unsqueeze(-1)
        raise ValueError(self._mismatch(raw, target))

    def rows(self, target: Any) -> torch.Size:
        """Return the shape that raw must have before its last axis, which all pieces of a target must agree about.

        Raises:
            ValueError: they do not.
        """
        shapes = {name: part.rows(piece) for name, part, piece, _ in self._pieces(target)}
        if not shapes:
            shape: torch.Size = target.shape[: target.dim() - self.rank + self.shared]
            return shape
        if len(set(shapes.values())) > 1:
            text = ", ".join(f"{name!r} {tuple(shape)}" for name, shape in shapes.items())
            raise ValueError(f"The targets differ in their number of rows: {text}. (Nothing is broadcast.)")
        return next(iter(shapes.values()))

    def _pieces(self, target: Any, raw: Tensor | None = None, *, values: bool = False) -> list[Piece]:
        """Return the pieces of a target that is more than one tensor: name, likelihood, target and raw output of each.

        A hook: a likelihood that has pieces says which, after its own check of what holds them together: with ``values``
        of their values, without it (each time that a log-density is asked for) of their shapes alone.
        """
        return []

    def check(self, target: Any, raw: Tensor | None = None) -> None:
        """Check that every target is possible; meant to be called once for a data set, before training.

        Args:
            target: any shape.
            raw: the prediction, where the support depends on it (or on its width, as for classes).

        Raises:
            ValueError: a target is outside the support; the message names the first one and counts them.
        """
        pieces = self._pieces(target, raw, values=True)
        for name, part, piece, piece_raw in pieces:
            try:
                part.check(piece, piece_raw)
            except ValueError as error:
                raise ValueError(f"{name!r}: {error}" if name else str(error)) from None
        if pieces:
            return
        bad = ~self._possible(target, raw)
        if bool(bad.any()):
            refuse(bad, target, f"in {self._support_text(raw, target)}")

    def _possible(self, target: Tensor, raw: Tensor | None) -> Tensor:
        support = self._probe(raw, self._size(target)).support
        assert support is not None  # torch's type allows it; no law here lacks one
        known = (target == target).flatten(target.dim() - self.rank).all(-1) if self.rank else target == target
        possible: Tensor = support.check(target) & known
        return possible

    def _probe(self, raw: Tensor | None = None, classes: int = 1) -> Distribution:
        """Return the distribution at some raw output, to ask for what does not depend on it."""
        with torch.no_grad():
            if raw is not None:
                return self.forward(raw)
            width = max(2, classes) if self.width is None else self.width  # of directions one is too few
            zeros = next(self.parameters(), torch.zeros(())).new_zeros((*[1] * self.shared, width))
            for value in (0.0, 1.0):  # a link may leave a parameter no room at 0
                try:
                    return self.forward(zeros + value)
                except ValueError:
                    continue
            return self.forward(zeros + 0.5)

    def _size(self, target: Tensor) -> int:
        """Return how many raw scalars stand for the target where any number would do: a vector's length, or the classes."""
        if self.rank > self.shared:
            return target.shape[-1]
        return int(target.max()) + 1 if self.width is None and target.numel() else 1

    def _support_text(self, raw: Tensor | None, target: Tensor | None = None) -> str:
        support = self._probe(raw, 2 if target is None else self._size(target)).support
        inner = support.base_constraint if isinstance(support, constraints.independent) else support
        if raw is None and self.width is None and isinstance(inner, constraints.integer_interval):
            return "0, 1, 2, …"  # classes, of which nobody has said how many there are
        return describe_support(support)

    def _wanted(self, raw: Tensor) -> str:
        width = "any number of" if self.width is None else self.width
        return (
            f"raw has shape {tuple(raw.shape)}; its last axis must hold {width} raw scalars a target, for {self!r}. "
            f"Let the network's last layer give {width} outputs, and move that axis last: raw.movedim(1, -1)."
        )

    def _mismatch(self, raw: Tensor, target: Any) -> str:
        batch = tuple(self.rows(target))
        width = self.width if self.width is not None else "classes"
        also = f" or {batch}" if self.width == 1 else ""
        fix = ""
        if self.structured:
            return (
                f"raw has shape {tuple(raw.shape)}; for these targets, {self!r} must have raw of shape {(*batch, width)}. "
                f"(Nothing is broadcast.)"
            )
        if self.width == 1 and raw.dim() == target.dim() - 1 and target.shape[-1:] == (1,):
            fix = " Write target.squeeze(-1)."
        elif self.width is None and raw.dim() == target.dim() + 1 and raw.shape[2:] == target.shape[1:]:
            fix = " The classes belong to the last axis: write raw.movedim(1, -1)."
        elif self.width is None and not self.rank and raw.shape == target.shape:
            fix = " The target is an index for each row, not a vector: write target.argmax(-1) if it is one-hot."
        elif not self.rank and raw.numel() == target.numel() * (self.width or 0):
            fix = f" Write raw.reshape({(*batch, width)}) if the values are in that order."
        if self.rank:
            axes = "the last axis" if self.rank == 1 else f"the last {self.rank} axes"
            fix = (
                f" One target is a whole {'vector' if self.rank == 1 else 'array'}: it takes {axes} of the target.{fix}"
            )
        return (
            f"raw has shape {tuple(raw.shape)} and the target {tuple(target.shape)}: for this target raw must have shape "
            f"{(*batch, width)}{also}.{fix} (Nothing is broadcast: (N,) against (N, 1) would give N x N values.)"
        )

    def __repr__(self) -> str:
        return self.code()


@final
class Family(Likelihood):
    """A family of distributions, each of whose parameters is predicted, learned or fixed.

    Args:
        family: a distribution class: one of :mod:`likelihoods.distributions`, or any torch or Pyro class.
        sources: for each parameter by its name: :func:`predicted`, :func:`learned`, a number, a tensor or a tuple of
            numbers along an axis. The predicted ones take the raw output's last axis in the order in which they are
            written. A parameter that is left out keeps the class's default.

    Raises:
        TypeError: a parameter that the class does not have, or one without a usual link.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.predicted("softplus"))
    >>> likelihood(torch.zeros(5, 2)).batch_shape
    torch.Size([5])
    """

    def __init__(self, family: type[Distribution], **sources: Any) -> None:
        super().__init__()
        parameters = [p for p in inspect.signature(family.__init__).parameters if p not in ("self", "validate_args")]
        for name in sources:
            if name not in parameters:
                near = difflib.get_close_matches(name, parameters, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise TypeError(f"{family.__name__} has no parameter {name!r}.{hint} It has {', '.join(parameters)}.")
        self.family = family
        self.sources = nn.ModuleDict(
            {name: as_source(given)(name, _constraint(family, name)) for name, given in sources.items()}
        )
        widths = [source.width for source in self._each()]
        open_ended = widths.count(None)
        if open_ended and (open_ended > 1 or any(widths)):
            raise TypeError(
                "Give each predicted vector its length, predicted(size=K), where more than one is predicted."
            )
        self.width = None if open_ended else sum(width or 0 for width in widths)
        self._widths = [width for width in widths if width] if not open_ended else []
        # a matrix that is predicted has a row of raw for each of its own
        self.shared = max([0, *(_event_dim(family, name) - 1 for name, s in self.named_sources() if s.width != 0)])
        self.rank = self._rank()

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the family's member for each row of raw, ``(..., width)``."""
        # one split, whose gradient is one concatenation; slices would each add a tensor of raw's size to it
        parts = iter(raw.split(self._widths, -1) if len(self._widths) > 1 else (raw,))
        made = {name: source(raw if source.width == 0 else next(parts)) for name, source in self.sources.items()}
        if self.width == 0 and not any(isinstance(value, Tensor) for value in made.values()):
            for name, value in made.items():  # numbers alone would be of torch's default dtype, whatever raw is of
                if isinstance(value, float) and _constraint(self.family, name) is not None:
                    made[name] = raw.new_full((), value)
        return self.family(**made)

    def learn(self, *names: str) -> Family:
        """Return a copy in which each named constant parameter is learned, starting at its present value."""
        made: dict[str, Any] = {}
        for name, source in self.named_sources():
            if name in names and isinstance(source, Fixed):
                made[name] = learned(source.value)
            else:
                made[name] = _same(source)
        return Family(self.family, **made)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood (``lk`` being the package)."""
        ours = self.family.__module__.startswith("likelihoods.distributions.")
        family = (
            f"lk.distributions.{self.family.__name__}"
            if ours
            else f"{self.family.__module__}.{self.family.__qualname__}"
        )
        return f"lk.Family({', '.join([family, *(f'{n}={s.code()}' for n, s in self.named_sources())])})"

    def named_sources(self) -> Iterator[tuple[str, Source]]:
        """Yield each parameter's name and source, in the order of the raw output."""
        for name, source in self.sources.items():
            assert isinstance(source, Source)
            yield name, source

    def _each(self) -> list[Source]:
        return [source for _, source in self.named_sources()]

    def _rank(self) -> int:
        try:
            support = self.family.support
        except NotImplementedError:
            return 0
        if isinstance(support, constraints.Constraint):
            return int(support.event_dim)
        return len(self._probe().event_shape)


@final
class NLL(nn.Module):
    """The negative log-likelihood in nats, of any likelihood; nuisance parameters are trained with the network.

    Event axes are summed by the likelihood, and what is left, one number a target, is averaged (or summed, or kept).

    Args:
        likelihood: any likelihood.
        reduction: ``"mean"`` over targets, ``"sum"``, or ``"none"``.

    Raises:
        ValueError: another reduction; raw and target do not fit; an empty batch with ``"mean"``.

    >>> import torch, likelihoods as lk
    >>> loss = lk.NLL(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.learned()))
    >>> loss(torch.zeros(3), torch.zeros(3))
    tensor(0.9189, grad_fn=<NegBackward0>)
    """

    def __init__(self, likelihood: Likelihood, reduction: str = "mean") -> None:
        super().__init__()
        self.likelihood, self.reduction = likelihood, check_reduction(reduction)

    def forward(self, raw: Tensor, target: Any) -> Tensor:
        """Return the loss in nats: a scalar, or one value a target with ``reduction="none"``."""
        return -reduce(self.likelihood.log_prob(raw, target), self.reduction)

    def check(self, target: Any, raw: Tensor | None = None) -> None:
        """Check that every target is possible, as :meth:`Likelihood.check`."""
        self.likelihood.check(target, raw)

    def extra_repr(self) -> str:
        """Show the reduction."""
        return f"reduction={self.reduction!r}"


def check_reduction(reduction: str) -> str:
    """Return the reduction, or raise ValueError where it is none of torch's three."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"reduction={reduction!r}; it must be 'mean', 'sum' or 'none'.")
    return reduction


def reduce(values: Tensor, reduction: str) -> Tensor:
    """Reduce one value a target to a scalar; the mean of nothing is an error rather than NaN."""
    if reduction == "mean":
        if values.numel() == 0:
            raise ValueError(EMPTY)
        return values.mean()
    return values.sum() if reduction == "sum" else values


def refuse(bad: Tensor, target: Tensor, wanted: str) -> None:
    """Raise ValueError where a target is bad; the message names the first one, counts them and says what was wanted."""
    if not bool(bad.any()):
        return
    where = bad.nonzero()
    first = tuple(where[0].tolist())
    value = target[first] if first else target
    row = f"row {first[0]}" + (f" (index {first})" if len(first) > 1 else "") if first else "the only value"
    must = "a number; it is missing (NaN)" if bool((value != value).any()) else wanted
    raise ValueError(
        f"{len(where)} of {bad.numel()} targets are impossible under this likelihood: the first, {row}, is "
        f"{value.tolist()}, and must be {must}. Drop or mend these rows, or choose a loss whose support holds them."
    )


def describe_support(support: constraints.Constraint | None) -> str:
    """Return a support in words.

    >>> describe_support(constraints.positive)
    'the positive numbers'
    """
    words = {
        constraints.real: "the real numbers",
        constraints.positive: "the positive numbers",
        constraints.nonnegative: "the numbers from 0 up",
        constraints.nonnegative_integer: "the counts 0, 1, 2, …",
        constraints.positive_integer: "the counts 1, 2, 3, …",
        constraints.boolean: "0 or 1",
        constraints.unit_interval: "the interval [0, 1]",
        constraints.simplex: "the probability vectors",
        pyro.distributions.constraints.sphere: "the unit vectors",
    }
    if support is not None and support in words:
        return words[support]
    if isinstance(support, constraints.integer_interval):
        return f"the integers {int(support.lower_bound)} to {int(support.upper_bound)}"
    if isinstance(support, constraints.greater_than | constraints.greater_than_eq):
        how = "greater than" if isinstance(support, constraints.greater_than) else "from"
        return f"the numbers {how} {support.lower_bound}"
    if isinstance(support, OneOf):
        return f"one of {', '.join(str(value) for value in support.values.tolist())}"
    if isinstance(support, Window | Intervals):
        return support.words(describe_support(support.support))
    if isinstance(support, constraints.independent):
        return f"arrays, each element in: {describe_support(support.base_constraint)}"
    return str(support)


def _constraint(family: type[Distribution], name: str) -> constraints.Constraint | None:
    # torch's classes list alternative parametrisations (probs, logits) that ours, which store one, need not repeat
    for base in family.__mro__:
        found = base.__dict__.get("arg_constraints")
        if isinstance(found, dict) and name in found:
            constraint: constraints.Constraint = found[name]
            return constraint
    return None


def _event_dim(family: type[Distribution], name: str) -> int:
    constraint = _constraint(family, name)
    return 0 if constraint is None else int(constraint.event_dim)


def _same(source: Source) -> Any:
    return lambda name, constraint: source
