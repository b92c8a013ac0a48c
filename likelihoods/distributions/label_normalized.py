"""The law that a loss gives to finitely many labels once it is normalised over them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution, constraints


class OneOf(constraints.Constraint):
    """The values of a list, ``(K, *event)``."""

    is_discrete = True

    def __init__(self, values: Tensor) -> None:
        self.values, self.event_dim = values, values.dim() - 1

    def check(self, value: Tensor) -> Tensor:
        """Return whether each value is in the list."""
        equal = value.unsqueeze(0) == self.values.reshape(
            len(self.values), *[1] * (value.dim() - self.event_dim), *self.values.shape[1:]
        )
        return (equal.flatten(value.dim() - self.event_dim + 1).all(-1) if self.event_dim else equal).any(0)


class LabelNormalized(TorchDistribution):
    r"""P(k) = exp(-energy(raw, k)) / Z(raw) over labels k, with Z(raw) = Σ_k exp(-energy(raw, k)).

    Args:
        energy: from raw output ``(..., width)`` and labels ``(..., *event)``, which broadcast, to ``(...)``.
        raw: ``(..., width)``.
        labels: every label, ``(K, *event)``.
        validate_args: whether to check the parameters; torch's default if None.

    Source: Y. LeCun, S. Chopra, R. Hadsell, M. Ranzato, F. Huang (2006), A Tutorial on Energy-Based Learning.

    >>> def hinge(raw, label):
    ...     return (1 - label * raw[..., 0]).clamp_min(0)
    >>> law = LabelNormalized(hinge, torch.tensor([0.5]), torch.tensor([-1.0, 1.0]))
    >>> law.log_prob(torch.tensor([1.0, -1.0, 2.0]))
    tensor([-0.3133, -1.3133,    -inf])
    """

    arg_constraints = {"raw": constraints.real_vector}
    has_enumerate_support = True

    def __init__(
        self,
        energy: Callable[[Tensor, Tensor], Tensor],
        raw: Tensor,
        labels: Tensor,
        *,
        validate_args: bool | None = None,
    ) -> None:
        self.energy, self.raw, self.labels = energy, raw, labels.to(raw.device)
        # torch cannot check a vector in a batch of none, and dynamo cannot trace its checks
        checked = validate_args if raw.numel() and not torch.compiler.is_compiling() else False
        super().__init__(raw.shape[:-1], labels.shape[1:], validate_args=checked)

    @property
    def support(self) -> OneOf:
        """The labels."""
        return OneOf(self.labels)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LabelNormalized:
        """Return the distribution with raw expanded to ``batch_shape``."""
        new: LabelNormalized = Distribution._get_checked_instance(self, LabelNormalized, _instance)
        new.energy, new.labels = self.energy, self.labels
        new.raw = self.raw.expand((*batch_shape, self.raw.shape[-1]))
        Distribution.__init__(new, torch.Size(batch_shape), self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    @property
    def logits(self) -> Tensor:
        """The log-probability of each label, ``(..., K)``."""
        return (-self._energies()).log_softmax(0).movedim(0, -1)

    @property
    def probs(self) -> Tensor:
        """The probability of each label, ``(..., K)``."""
        return self.logits.exp()

    def log_normalizer(self) -> Tensor:
        """Return log Z(raw), ``(...)``."""
        return (-self._energies()).logsumexp(0)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for what is no label, NaN at NaN."""
        inside = self.support.check(value)
        known = inside.reshape(inside.shape + (1,) * len(self.event_shape))
        safe = torch.where(known, value, self.labels[0])
        unknown = value != value
        unknown = unknown.flatten(-len(self.event_shape)).any(-1) if self.event_shape else unknown
        log_mass = -self.energy(self.raw, safe) - self.log_normalizer()
        return torch.where(inside, log_mass, torch.where(unknown, torch.nan, -torch.inf).to(log_mass.dtype))

    @property
    def mean(self) -> Tensor:
        """The mean of the label as a number (or vector)."""
        return self._moment(self.labels)

    @property
    def variance(self) -> Tensor:
        """The variance of the label as a number (of each element of a vector)."""
        return self._moment(self.labels**2) - self.mean**2

    @property
    def mode(self) -> Tensor:
        """The most probable label, the first of several."""
        return self.labels[self._energies().argmin(0)]

    def entropy(self) -> Tensor:
        """Return the entropy in nats."""
        each: Tensor = torch.special.entr(self.probs)
        return each.sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return every label, ``(K, *batch, *event)``, or with ones for the batch."""
        shape = self.batch_shape if expand else torch.Size([1] * len(self.batch_shape))
        return self.labels.reshape(len(self.labels), *[1] * len(shape), *self.event_shape).expand(
            len(self.labels), *shape, *self.event_shape
        )

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draw labels, ``(*sample_shape, *batch, *event)``."""
        with torch.no_grad():
            index: Tensor = torch.distributions.Categorical(logits=self.logits).sample(torch.Size(sample_shape))
            return self.labels[index]

    def _energies(self) -> Tensor:
        """Return the energy of every label, ``(K, *batch)``."""
        energies = self.energy(self.raw, self.enumerate_support(expand=False))
        return energies.expand(len(self.labels), *self.batch_shape)

    def _moment(self, values: Tensor) -> Tensor:
        moment: Tensor = torch.tensordot(self.probs, values.to(self.raw.dtype), 1)
        return moment
