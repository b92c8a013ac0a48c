"""Likelihoods of targets that are more than one number: arrays, dicts of named targets, and targets with weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, final

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from likelihoods import distributions
from likelihoods.combinators import known_width
from likelihoods.distributions.elements import Elements
from likelihoods.distributions.joint import check_names, check_optional
from likelihoods.distributions.weighted import split
from likelihoods.likelihood import Likelihood, Piece
from likelihoods.sources import literal


@final
class Independent(Likelihood):
    """The likelihood of an array, whose elements are independent given the raw output; their log-densities are summed.

    With a number, ``Independent(base, 3)``, raw has a row for each element: ``(..., channels, height, width, w)`` for a
    target ``(..., channels, height, width)`` of any size. With sizes, ``Independent(base, (3,))``, one row of raw describes
    the whole target, one element after the other in C order: ``(..., 3w)``; such a likelihood can be mixed and joined.

    Args:
        base: the likelihood of one element.
        dims: how many axes a target has in front of the base's own, or their sizes.

    Raises:
        TypeError: with sizes, the base takes any number of raw scalars; or its targets are no single tensors.
        ValueError: dims is not positive.

    >>> import torch, likelihoods as lk
    >>> pixel = lk.Family(lk.distributions.Bernoulli, logits=lk.predicted())
    >>> lk.Independent(pixel, 2).log_prob(torch.zeros(5, 28, 28), torch.ones(5, 28, 28)).shape
    torch.Size([5])
    >>> lk.Mixture(lk.Independent(pixel, (7,)), 3).width
    24
    """

    def __init__(self, base: Likelihood, dims: int | tuple[int, ...] = 1) -> None:
        super().__init__()
        sizes = None if isinstance(dims, int) else tuple(dims)
        if (isinstance(dims, int) and dims < 1) or (sizes is not None and (not sizes or min(sizes) < 1)):
            raise ValueError(f"Independent got dims={dims}; give a number of axes, such as 1, or sizes, such as (3,).")
        if base.structured:
            raise TypeError(
                f"Independent got {base!r}, whose targets are no single tensors; put Independent inside it."
            )
        self.base, self.dims, self.sizes = base, dims, sizes
        if isinstance(dims, int):
            self.width, self.rank, self.shared = base.width, base.rank + dims, base.shared + dims
        else:
            if base.shared:
                raise ValueError(f"Independent got sizes and {base!r}, of which raw has rows; give sizes to both.")
            assert sizes is not None
            self.width = math.prod(sizes) * known_width("Independent", base)
            self.rank = base.rank + len(sizes)

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the law of the arrays."""
        if self.sizes is not None:
            raw = raw.reshape(*raw.shape[:-1], *self.sizes, self.base.width or 0)
        law: Any = self.base.distribution(raw)
        rows = raw.shape[: raw.dim() - 1 - self.base.shared]
        law = law if law.batch_shape == rows else law.expand(rows)
        return Elements(law, self.dims if isinstance(self.dims, int) else len(self.dims))

    def learn(self, *names: str) -> Independent:
        """Return a copy in which the base's named constant parameters are learned."""
        return Independent(self.base.learn(*names), self.dims)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Independent({self.base.code()}, {self.dims})"


@final
class Weighted(Likelihood):
    """The power likelihood: each target's log-density counts ``weight`` times.

    Without a fixed weight a target is a pair (value, weight), so that minibatches carry their weights along. Weights that
    depend on the inputs leave the law that is learned as it is; weights that depend on the target tilt it. The mean of
    ``NLL`` is over targets, not over weights. A power likelihood is no law: the call gives something with a ``log_prob``
    that refuses to be sampled.

    Args:
        base: any likelihood.
        weight: weights that are fixed, broadcast against the rows of the batch; None where they come with the targets.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.targets.Weighted(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=1.0))
    >>> likelihood.log_prob(torch.zeros(2), (torch.zeros(2), torch.tensor([1.0, 3.0])))
    tensor([-0.9189, -2.7568])
    """

    weight: float | Tensor | None

    def __init__(self, base: Likelihood, weight: float | Tensor | None = None) -> None:
        super().__init__()
        if weight is not None and not bool((torch.as_tensor(weight) >= 0).all()):
            raise ValueError(f"Weighted got weight={weight}; weights are not negative.")
        self.base, self.width, self.rank, self.shared = base, base.width, base.rank, base.shared
        self.structured = base.structured or weight is None
        if isinstance(weight, Tensor):
            self.register_buffer("weight", weight)
        else:
            self.weight = weight

    def distribution(self, raw: Tensor) -> distributions.Weighted:
        """Return the power likelihood for each row of raw."""
        weight = self.weight.to(raw.dtype) if isinstance(self.weight, Tensor) else self.weight
        return distributions.Weighted(self.base.distribution(raw), weight)

    def _pieces(self, target: Any, raw: Tensor | None = None, *, values: bool = False) -> list[Piece]:
        """Return the value, after a check of the weights: of their signs, or of their number."""
        value, weight = split(self.weight, target)
        if values:
            if not bool((torch.as_tensor(weight) >= 0).all()):
                raise ValueError(
                    "A weight is negative or missing (NaN); weights are not negative: 0 leaves a target out."
                )
            return [("", self.base, value, raw)]
        rows = self.base.rows(value)
        batch = rows[: len(rows) - self.shared]
        shape = weight.shape if isinstance(weight, Tensor) else torch.Size()
        fits = shape == batch if self.weight is None else torch.broadcast_shapes(shape, batch) == batch
        if not fits:
            raise ValueError(
                f"The weights have shape {tuple(shape)}, and the targets are {tuple(batch)} in number: give one weight a "
                f"target. (Nothing is broadcast.)"
            )
        return [("", self.base, value, raw)]

    def learn(self, *names: str) -> Weighted:
        """Return a copy in which the base's named constant parameters are learned."""
        return Weighted(self.base.learn(*names), self.weight)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        weight = "" if self.weight is None else f", weight={literal(self.weight)}"
        return f"lk.targets.Weighted({self.base.code()}{weight})"


@final
class Joint(Likelihood):
    """The likelihood of several targets at once, by name; given the raw output they are independent.

    A target is a dict of tensors. The raw output holds what the parts need, in their order: its width is the sum of theirs.
    What is missing is integrated out, that is, adds nothing, but only where that was asked for.

    Args:
        parts: a likelihood for each name.
        optional: the names whose targets may be missing: absent from the dict, or NaN in some rows.

    Raises:
        TypeError: a part takes any number of raw scalars.
        ValueError: no parts; an optional name that is none of theirs; raw has a row for each element of a part's target.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Joint({
    ...     "size": lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.predicted()),
    ...     "number": lk.Family(lk.distributions.Poisson, rate=lk.predicted()),
    ... })
    >>> lk.NLL(likelihood)(torch.zeros(2, 3), {"size": torch.zeros(2), "number": torch.ones(2)})
    tensor(1.9189)
    """

    def __init__(self, parts: Mapping[str, Likelihood], optional: Iterable[str] = ()) -> None:
        super().__init__()
        self.names, self.optional = tuple(parts), check_optional(parts, optional)
        self.parts = nn.ModuleList(parts.values())
        widths = []
        for name, part in parts.items():
            if part.width is None:
                known_width(f"Joint, for {name!r},", part)
            if part.shared:
                raise ValueError(
                    f"Joint got {part!r} for {name!r}, of which raw has a row for each element; give the sizes, as in "
                    f"lk.Independent(base, (28, 28)), and one row of raw describes a target."
                )
            if part.structured and name in self.optional:
                raise ValueError(f"Joint got {name!r} as optional, but its targets are no single tensors.")
            widths.append(part.width or 0)
        self.widths, self.width, self.structured = widths, sum(widths), True

    def each(self) -> Iterable[tuple[str, Likelihood]]:
        """Return the parts with their names, in the order of the raw output."""
        return zip(self.names, self.parts, strict=True)  # type: ignore[arg-type]  # a ModuleList of likelihoods

    def distribution(self, raw: Tensor) -> distributions.Joint:
        """Return the joint law for each row of raw, ``(..., width)``."""
        pieces = raw.split(self.widths, -1)
        laws = {name: part.distribution(piece) for (name, part), piece in zip(self.each(), pieces, strict=True)}
        return distributions.Joint(laws, self.optional)

    def _pieces(self, target: Any, raw: Tensor | None = None, *, values: bool = False) -> list[Piece]:
        """Return the targets that are there, by name; with ``values`` without the rows in which an optional one is missing."""
        check_names(self.names, self.optional, target)
        raws = [None] * len(self.names) if raw is None else list(raw.split(self.widths, -1))
        pieces: list[Piece] = []
        for (name, part), piece in zip(self.each(), raws, strict=True):
            if name not in target:
                continue
            value = target[name]
            if values and name in self.optional and value.is_floating_point():
                known = ~value.isnan()
                known = known.flatten(known.dim() - part.rank).any(-1) if part.rank else known
                value, piece = value[known], None if piece is None else piece[known]
            pieces.append((name, part, value, piece))
        return pieces

    def learn(self, *names: str) -> Joint:
        """Return a copy in which the named constant parameters of every part are learned."""
        return Joint({name: part.learn(*names) for name, part in self.each()}, self.optional)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        parts = ", ".join(f"{name!r}: {part.code()}" for name, part in self.each())
        return f"lk.Joint({{{parts}}}{f', optional={list(self.optional)}' if self.optional else ''})"
