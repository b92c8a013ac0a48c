"""Named losses: the conventional value, and everything that it assumes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.catalog import entries, find
from likelihoods.kernels import KERNELS
from likelihoods.likelihood import EMPTY, Likelihood, check_reduction, reduce, refuse
from likelihoods.registry import Entry
from likelihoods.relations import Expected, NoLikelihood, Partial, Relation

SOFT = 1e-4  # how far the sum of a soft target may be from 1: float32 adds many classes


def loss(name: str | Entry, *, reduction: str = "mean", **options: Any) -> Loss:
    """Return a named loss, with the value that the field gives it and the likelihood that it assumes.

    Args:
        name: the loss's name or an alias; spelling as in torch, scikit-learn or Keras will do ("MSELoss", "mae", …). Or an
            entry, as :func:`from_loss` gives one.
        reduction: ``"mean"`` over all targets, ``"sum"``, or ``"none"``.
        options: the loss's own, as ``likelihoods show NAME`` lists them.

    Raises:
        ValueError: an unknown name (the message has the nearest) or reduction.
        TypeError: an unknown option, or a learned nuisance parameter, with which the value would not be a likelihood.

    >>> import torch
    >>> mse = loss("mse")
    >>> mse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0]))
    tensor(2.)
    >>> mse.relation.sentence()
    'loss = NLL - 0.572365'
    """
    entry = name if isinstance(name, Entry) else find(name)
    given = entry.complete(options)
    model = entry.model(**given)
    if any(True for _ in model.parameters()):
        raise TypeError(
            f"loss({entry.name!r}) has a learned parameter, and then the constant that the loss leaves out moves with it. "
            f"Train it in nats: lk.NLL({model.code()})."
        )
    return Loss(entry, model, given, reduction)


@final
class Loss(nn.Module):
    """A named loss; made by :func:`loss`.

    Attributes:
        entry: its row.
        name: its name.
        assumption: what it assumes of the data, in one sentence.
        relation: what its value is to the negative log-likelihood.
        options: all options, defaults included.
        reduction: ``"mean"``, ``"sum"`` or ``"none"``.
    """

    def __init__(self, entry: Entry, model: Likelihood, options: dict[str, Any], reduction: str) -> None:
        super().__init__()
        self.entry, self.name, self.assumption = entry, entry.name, entry.assumption
        self.relation: Relation = entry.law_relation(**options)
        self._model, self.options, self.reduction = model, options, check_reduction(reduction)
        vector = isinstance(self.relation, Expected) and self.relation.vector
        law = model._probe()
        indices = isinstance(law, torch.distributions.Categorical)
        part = isinstance(self.relation, Partial) and self.relation.part is not None  # it takes what the part takes
        self._classes = indices and not vector and not part
        self._vectors_of_classes = indices and vector
        support = None if vector else law.support
        # a vector of integers (an order, a string of labels) is nothing else, in whichever dtype it comes
        self._integers = support is not None and support.is_discrete and support.event_dim > 0
        self._numbers = vector or not (indices or part or self._integers)

    @property
    def likelihood(self) -> Likelihood:
        """The module from the prediction to the distribution that the loss assumes.

        Raises:
            NoLikelihoodError: there is none; the message says why, and which loss is near and has one.
        """
        if isinstance(self.relation, NoLikelihood):
            raise self.relation.error()
        return self._model

    def forward(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss's conventional value.

        Args:
            raw: the network's output, ``(..., width)``, or ``(...)`` where width is 1.
            target: ``(...)``, floating point, or integers where it is a class.

        Raises:
            TypeError: the target's dtype.
            ValueError: shapes that do not fit, an empty batch with ``"mean"``, a class index out of range.
        """
        raw, target = self._prepare(raw, target)
        kernel = KERNELS.get(self.name)
        if kernel is None:
            return self._derive(raw, target)
        if self.reduction == "mean" and target.numel() == 0:
            raise ValueError(EMPTY)
        if self._model.width == 1 and raw.shape != target.shape:
            raw = raw.squeeze(-1)
        try:
            return kernel(raw, target, self.reduction, **self.options)
        except IndexError:
            self.check(target, raw)
            raise

    def derived(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the same value by the derivation: the relation applied to the negative log-likelihood."""
        return self._derive(*self._prepare(raw, target))

    def nll(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of the same prediction in nats, comparable with any other loss's."""
        raw, target = self._prepare(raw, target)
        return self._reduced(self.relation.nll(self._model, raw, target), self.relation.known, target)

    def check(self, target: Tensor, raw: Tensor | None = None) -> None:
        """Check every target's dtype and support; meant to be called once for a data set, before training.

        Raises:
            TypeError: the target's dtype.
            ValueError: an impossible target; the message names the first and counts them.
        """
        self._check_dtype(target)
        if isinstance(self.relation, Expected) and target.is_floating_point():
            self._check_soft(self.relation, target)
        else:
            self._model.check(self.relation.outcome(target), raw)

    def extra_repr(self) -> str:
        """Show name, options and reduction."""
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        return f"{self.name!r}{options}, reduction={self.reduction!r}"

    def __reduce__(self) -> tuple[Any, ...]:
        known = any(entry is self.entry for entry in entries())
        return _rebuild, (self.name if known else self.entry, self.reduction, self.options)

    def _derive(self, raw: Tensor, target: Tensor) -> Tensor:
        return self._reduced(self.relation.loss(self._model, raw, target), self.relation.share, target)

    def _reduced(self, value: Tensor, share: Callable[[Tensor], Tensor] | None, target: Tensor) -> Tensor:
        if self.reduction != "mean" or share is None:
            return reduce(value, self.reduction)
        if value.numel() == 0:
            raise ValueError(EMPTY)
        total = share(target).sum().to(value.dtype)
        return value.sum() / torch.where(total > 0, total, 1.0)  # where every label is missing 0, and no NaN

    def _prepare(self, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        for name, given in (("raw", raw), ("target", target)):
            if not isinstance(given, Tensor):
                raise TypeError(
                    f"{name} is a {type(given).__name__}; {self.name} wants a tensor: write torch.as_tensor({name})."
                )
        self._check_dtype(target)
        if self._vectors_of_classes and raw.shape[-1:] != target.shape[-1:]:
            raise ValueError(
                f"raw has shape {tuple(raw.shape)} and the target {tuple(target.shape)}: each target of {self.name} is a vector "
                f"with a number for each of raw's classes, so their last axes must have one length."
            )
        outcome = self.relation.outcome(target)
        if not (self._model.width == 1 and raw.shape == outcome.shape):
            raw = self._model.align(raw, outcome)
        if self._integers and not target.is_floating_point():
            target = target.to(torch.promote_types(raw.dtype, torch.float32))  # half precision has too few integers
        if target.is_floating_point() and target.dtype != raw.dtype:
            dtype = torch.promote_types(raw.dtype, target.dtype)
            raw, target = raw.to(dtype), target.to(dtype)
        return raw, target

    def _check_soft(self, relation: Expected, target: Tensor) -> None:
        law = self._model._probe()
        outcomes = target.shape[-1] if relation.vector else len(law.enumerate_support(expand=False))
        soft = relation.soft(target, outcomes)
        good = (soft >= 0).all(-1) & ((soft.sum(-1) - 1).abs() < SOFT)
        refuse(~good, target, f"such that t is a law, of no negative part and of sum 1: t = {relation.soft.__doc__}")

    def _check_dtype(self, target: Tensor) -> None:
        if self._classes and (target.is_floating_point() or target.dtype == torch.bool):
            raise TypeError(
                f"The target is {target.dtype}; {self.name} wants the index of a class: write target.long()."
            )
        if self._numbers and not target.is_floating_point():
            raise TypeError(
                f"The target is {target.dtype}; {self.name} wants floating point, as its prediction: write "
                f"target.to(raw.dtype), or target.float()."
            )


def _rebuild(name: str | Entry, reduction: str, options: dict[str, Any]) -> Loss:
    return loss(name, reduction=reduction, **options)
