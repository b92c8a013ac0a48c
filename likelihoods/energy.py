"""The likelihood of a loss that is none: normalised over its labels, it becomes a law of them."""

from __future__ import annotations

import abc
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions import Categorical
from likelihoods.distributions.label_normalized import LabelNormalized
from likelihoods.likelihood import Likelihood
from likelihoods.links import Link
from likelihoods.sources import literal


class Unnormalised(Likelihood, abc.ABC):
    """Abstract: the likelihood made of a loss by normalising it for each prediction."""

    @abc.abstractmethod
    def energy_of(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss before it is normalised, ``(...)``, given raw as ``(..., width)``."""


@final
class Energy(Unnormalised):
    """P(k) in proportion to exp(-energy(raw, k)) over finitely many labels k.

    Args:
        energy: a function of raw output ``(..., width)``, labels ``(..., *event)``, which broadcast against each other, and the
            options, to ``(...)``; at the top level of a module, so that the likelihood can be pickled. It is asked for labels
            that there are; indices are integers.
        width: raw scalars a target; None where raw's last axis may have any length.
        labels: every label, numbers or a tensor ``(K, *event)``; a function from the length of raw's last axis to that; None
            for the indices 0, …, length - 1, whose law is a Categorical.
        rank: axes of one label.
        options: further arguments of the energy.

    Source: Y. LeCun, S. Chopra, R. Hadsell, M. Ranzato, F. Huang (2006), A Tutorial on Energy-Based Learning.

    >>> import torch, likelihoods as lk
    >>> def ramp(raw, label, margin):
    ...     return (margin - label * raw[..., 0]).clamp(0, 1)
    >>> likelihood = lk.Energy(ramp, width=1, labels=(-1.0, 1.0), margin=1.0)
    >>> likelihood(torch.zeros(3)).probs
    tensor([[0.5000, 0.5000],
            [0.5000, 0.5000],
            [0.5000, 0.5000]])
    """

    def __init__(
        self,
        energy: Callable[..., Tensor],
        *,
        width: int | None,
        labels: Tensor | tuple[float, ...] | Callable[[int], Tensor] | None = None,
        rank: int = 0,
        **options: Any,
    ) -> None:
        super().__init__()
        self.energy, self.width, self.labels, self.rank, self.options = energy, width, labels, rank, options

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the law of the label, for each row of raw ``(..., width)``."""
        labels = self._labels(raw)
        if labels is None:
            index = torch.arange(raw.shape[-1], device=raw.device)
            index = index.reshape(-1, *[1] * (raw.dim() - 1))
            return Categorical(-self.energy(raw, index, **self.options).movedim(0, -1))
        return LabelNormalized(partial(self.energy, **self.options), raw, labels)

    def energy_of(self, raw: Tensor, label: Tensor) -> Tensor:
        """Return the energy of labels, ``(...)``, given raw as ``(..., width)``: the loss before it is normalised.

        Where labels are indices, one that is none of them has an infinite energy.
        """
        if self.labels is not None:
            energy: Tensor = self.energy(raw, label, **self.options)
            return energy
        index = label.long().clamp(0, raw.shape[-1] - 1)
        return torch.where(index == label, self.energy(raw, index, **self.options), torch.inf)

    def learn(self, *names: str) -> Energy:
        """Return a copy; an energy has no constants that could be learned."""
        return Energy(self.energy, width=self.width, labels=self.labels, rank=self.rank, **self.options)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood (``lk`` being the package)."""
        parts = [_code(self.energy), f"width={self.width}"]
        if self.labels is not None:
            parts.append(f"labels={_code(self.labels)}")
        if self.rank:
            parts.append(f"rank={self.rank}")
        return f"lk.Energy({', '.join([*parts, *(f'{k}={_code(v)}' for k, v in self.options.items())])})"

    def _labels(self, raw: Tensor) -> Tensor | None:
        if self.labels is None:
            return None
        if (
            isinstance(self.labels, tuple) and not self.rank
        ):  # number by number: a tensor made of a list waits for a device
            return torch.stack([raw.new_full((), label) for label in self.labels])
        labels = self.labels(raw.shape[-1]) if callable(self.labels) else self.labels
        return torch.as_tensor(labels).to(raw)


def _code(value: Any) -> str:
    if isinstance(value, Tensor | float | tuple):
        return literal(value)
    if isinstance(value, Link):
        return repr(value.name)
    if isinstance(value, partial):
        named = (f"{name}={_code(given)}" for name, given in value.keywords.items())
        return f"partial({', '.join([_code(value.func), *map(_code, value.args), *named])})"
    if not inspect.isroutine(value):
        return repr(value)
    module = value.__module__ or ""
    home = f"lk{module.removeprefix('likelihoods')}." if module.startswith("likelihoods.") else ""
    return f"{home}{value.__qualname__}"
