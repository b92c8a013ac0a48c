"""Where a family's parameter comes from: the network's output, one value learned for all data, or a fixed number."""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import constraints

from likelihoods.links import Link, default_link, find_link

Constraint = constraints.Constraint


class Source(nn.Module, abc.ABC):
    """One parameter of a family.

    Attributes:
        width: raw scalars that it takes from the network; None where it takes all there are.
    """

    width: int | None

    @abc.abstractmethod
    def forward(self, raw: Tensor) -> Tensor | float:
        """Return the parameter, given the ``(..., width)`` part of the network's output that belongs to it."""

    @abc.abstractmethod
    def code(self) -> str:
        """Return the source as one would write it."""


MakeSource = Callable[[str, "Constraint | None"], Source]


def predicted(link: str | Link | None = None, *, size: int | None = None) -> MakeSource:
    """Say that the network predicts this parameter.

    Args:
        link: name of a link or a Link; the constraint's usual one if None (identity for a real parameter, log for a
            positive one, logit for one in an interval).
        size: length of a vector parameter, such as the number of classes; None takes all of the raw output's last axis.

    >>> import likelihoods as lk
    >>> lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.predicted("softplus")).width
    2
    """
    if size is not None and (not isinstance(size, int) or size < 1):
        raise ValueError(f"size={size!r}; the length of a vector is a positive whole number.")

    def make(name: str, constraint: Constraint | None) -> Source:
        return Predicted(_link(name, constraint, link, "predicted"), _is_vector(constraint), size)

    return make


def learned(
    init: float | tuple[float, ...] | Tensor | None = None, link: str | Link | None = None, *, size: int | None = None
) -> MakeSource:
    """Say that this parameter is one value for all the data, trained with the network.

    Args:
        init: the value to start from, in the parameter's own space; the link of 0 if None (1 for a positive one).
        link: as in :func:`predicted`.
        size: length of a vector parameter (needed there unless ``init`` is a tensor).

    >>> import likelihoods as lk
    >>> likelihood = lk.Family(lk.distributions.StudentT, df=lk.learned(4.0), loc=lk.predicted(), scale=lk.learned())
    >>> likelihood.width, len(list(likelihood.parameters()))
    (1, 2)
    """

    def make(name: str, constraint: Constraint | None) -> Source:
        return Learned(_link(name, constraint, link, "learned"), init, size)

    return make


def fixed(value: float | tuple[float, ...] | Tensor) -> MakeSource:
    """Say that this parameter is a plain number (or a tensor, or a tuple of numbers along an axis) that nothing changes.

    Raises:
        ValueError: the number is outside the parameter's constraint.
    """

    def make(name: str, constraint: Constraint | None) -> Source:
        if constraint is not None and not constraints.is_dependent(constraint):
            tensor = torch.as_tensor(value, dtype=None if isinstance(value, Tensor) else torch.float64)
            if not bool(constraint.check(tensor).all()):
                raise ValueError(f"{name}={value} is not allowed: {name} must satisfy {constraint}.")
        return Fixed(value)

    return make


@final
class Predicted(Source):
    """A parameter that is a link of the network's output."""

    def __init__(self, link: Link, vector: bool, size: int | None) -> None:
        super().__init__()
        self.link, self.vector, self.width = link, vector, size if vector else 1

    def forward(self, raw: Tensor) -> Tensor:
        """Return the parameter: ``(...)`` for a scalar one, ``(..., width)`` for a vector."""
        return self.link.forward(raw if self.vector else raw.squeeze(-1))

    def code(self) -> str:
        """Return the source as one would write it."""
        size = f", size={self.width}" if self.vector and self.width is not None else ""
        return f'lk.predicted("{self.link.name}"{size})'


@final
class Learned(Source):
    """A parameter that is a link of one ``nn.Parameter``."""

    def __init__(self, link: Link, init: float | tuple[float, ...] | Tensor | None, size: int | None) -> None:
        super().__init__()
        start = torch.zeros(() if size is None else (size,))
        if init is not None:
            start = link.inverse(torch.as_tensor(init, dtype=torch.float64)).to(torch.get_default_dtype())
            start = start.clone() if size is None else start.expand(size).clone()
            if not bool(torch.isfinite(start).all()):
                raise ValueError(f"learned({init}): the start must be inside the parameter's space (link {link.name}).")
        self.link, self.width = link, 0
        self.raw = nn.Parameter(start)

    def forward(self, raw: Tensor) -> Tensor:
        """Return the parameter; it broadcasts against the batch."""
        return self.link.forward(self.raw)

    def code(self) -> str:
        """Return the source as one would write it, starting at its present value."""
        value = self.link.forward(self.raw.detach().double())
        text = (
            f"{value.item():.6g}"
            if value.dim() == 0
            else literal(torch.tensor([float(f"{v:.6g}") for v in value.tolist()], dtype=torch.float64))
        )
        return f'lk.learned({text}, "{self.link.name}")'


@final
class Fixed(Source):
    """A parameter that is a constant."""

    value: float | tuple[float, ...] | Tensor

    def __init__(self, value: float | tuple[float, ...] | Tensor) -> None:
        super().__init__()
        self.width = 0
        if isinstance(value, Tensor):  # no state, as a number is none: it comes back with the code
            self.register_buffer("value", value, persistent=False)
        else:  # Python numbers take raw's dtype when they meet; as a float32 buffer they would lose digits in .double()
            self.value = tuple(map(float, value)) if isinstance(value, tuple) else float(value)

    def forward(self, raw: Tensor) -> Tensor | float:
        """Return the constant; a tensor takes raw's dtype too, so that float64 constants do not widen a float32 network."""
        if isinstance(self.value, tuple):  # number by number: a tensor made of a list waits for a device
            return torch.stack([raw.new_full((), number) for number in self.value])
        if isinstance(self.value, Tensor) and self.value.is_floating_point():
            return self.value.to(raw.dtype)
        return self.value

    def code(self) -> str:
        """Return the source as one would write it."""
        return literal(self.value)


def literal(value: float | tuple[float, ...] | Tensor) -> str:
    """Return the Python expression of a number, of a tuple of numbers, or of a tensor.

    >>> literal(torch.tensor([0.5, torch.inf]))
    'torch.tensor([0.5, torch.inf])'
    """
    text = repr(value.tolist() if isinstance(value, Tensor) else value)
    text = text.replace("inf", "torch.inf").replace("nan", "torch.nan")
    return f"torch.tensor({text})" if isinstance(value, Tensor) else text


def as_source(value: Any) -> MakeSource:
    """Return what a Family was given for a parameter as a source."""
    if callable(value) and not isinstance(value, Tensor):
        made: MakeSource = value
        return made
    if isinstance(value, Tensor | float | int | tuple):
        return fixed(value)
    raise TypeError(
        f"A parameter is predicted(), learned(), a number or a tensor; {type(value).__name__} {value!r} is none of them."
    )


def _is_vector(constraint: Constraint | None) -> bool:
    return constraint is not None and constraint.event_dim > 0


def _link(name: str, constraint: Constraint | None, link: str | Link | None, how: str) -> Link:
    if link is not None:
        return find_link(link)
    usual = None if constraint is None else default_link(constraint)
    if usual is None:
        raise TypeError(f'{name} has no usual link (its constraint is {constraint}); name one: {name}={how}("log").')
    return usual
