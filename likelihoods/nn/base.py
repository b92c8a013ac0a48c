"""What the classes of this folder add to torch.nn's: the derivation of the same value, and what it assumes."""

from __future__ import annotations

import abc
import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from likelihoods.catalog import find
from likelihoods.likelihood import Likelihood
from likelihoods.relations import Expected, NoLikelihood, Relation


@dataclass(frozen=True)
class Row:
    """A row of the table, with its options.

    Attributes:
        name: the row's name.
        options: those of its options that are not left at their defaults.
        assumption: what the loss assumes of the data, in one sentence.
        model: from raw output to the law.
        relation: what the loss is to the law's negative log-likelihood.
    """

    name: str
    options: dict[str, Any]
    assumption: str
    model: Likelihood
    relation: Relation


def row(name: str, **options: Any) -> Row:
    """Return a row of the table with these options."""
    entry = find(name)
    return Row(entry.name, options, entry.assumption, entry.model(**options), entry.law_relation(**options))


@dataclass(frozen=True)
class Case:
    """One call of torch's class in the terms of the table.

    Attributes:
        row: the row.
        raw: the prediction, ``(..., width)``.
        target: the target, as the row wants it.
        weight: by which each value is multiplied before the reduction; the mean does not divide by it.
        elementwise: whether torch has a value for each outcome, of which the row's is the sum (KLDivLoss).
        batch: by what the reduction ``"batchmean"`` divides, where there is one.
        labels: whether the last axis of the target is a set of labels, of which the loss takes the mean, and the likelihood the
            sum.
        zero_infinity: whether an infinite value counts as 0, and has no slope.
    """

    row: Row
    raw: Tensor
    target: Tensor
    weight: Tensor | None = None
    elementwise: bool = False
    batch: int | None = None
    labels: bool = False
    zero_infinity: bool = False


class Derived(nn.Module, abc.ABC):
    """Abstract: a loss class of torch.nn with its derivation.

    A subclass inherits this class and torch's, and says how torch's inputs are those of a row of the table.

    Args:
        args: torch's own.
        strict: whether a call gives the derived value rather than torch's. They are one where torch is right.
        kwargs: torch's own.
    """

    strict: bool
    reduction: str

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        theirs = next((c for c in cls.__mro__ if c.__module__.startswith("torch.nn.modules.")), nn.Module)
        if theirs is not nn.Module:
            signature = inspect.signature(theirs.__init__)  # type: ignore[misc]
            _, *parameters = signature.parameters.values()
            strict = inspect.Parameter("strict", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=bool)
            cls.__signature__ = signature.replace(parameters=[*parameters, strict])  # type: ignore[attr-defined]
            cls._theirs = theirs

    _theirs: type[nn.Module]

    def __init__(self, *args: Any, strict: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.strict = strict
        self._made: dict[tuple[str, ...], Row] = {}
        self._make()

    @abc.abstractmethod
    def _row(self, soft: bool = False) -> Row:
        """Return the row for targets of the usual kind, or for probabilities in their place where there is such a row."""

    @abc.abstractmethod
    def _raw(self, *predictions: Any) -> Tensor:
        """Return the row's raw output, given the inputs of forward that are predictions."""

    @abc.abstractmethod
    def _case(self, *inputs: Any) -> Case:
        """Return the call in the terms of the row, given the inputs of forward."""

    @property
    def assumption(self) -> str:
        """What the loss assumes of the data, in one sentence."""
        return self._row().assumption

    @property
    def relation(self) -> Relation:
        """What each value, before the reduction, is to the negative log-likelihood."""
        return self._row().relation

    def likelihood(self, *predictions: Any) -> Distribution:
        """Return the law of the target that the loss assumes.

        Args:
            predictions: the inputs of ``forward``, in their order, without the target.

        Raises:
            NoLikelihoodError: the loss has none.
        """
        given = self._row()
        if isinstance(given.relation, NoLikelihood):
            raise given.relation.error()
        law: Distribution = given.model(self._raw(*predictions))
        return law

    def nll(self, *inputs: Any) -> Tensor:
        """Return the negative log-likelihood in nats: of each target, their sum, or their mean over targets.

        Weights do not enter it, and what is ignored counts for nothing; ``reduction`` is the loss's own, save that every
        mean is over targets.

        Args:
            inputs: those of ``forward``.
        """
        case = checked(self._case(*inputs))
        relation = case.row.relation
        nll = relation.nll(case.row.model, case.raw, case.target)
        if case.labels:
            nll = nll.sum(-1)
        known = None if relation.known is None else relation.known(case.target)
        return self._reduce(nll, known, case.batch and nll.numel())

    def derived(self, *inputs: Any) -> Tensor:
        """Return the loss by the derivation: the relation applied to the negative log-likelihood, reduced as torch does.

        A mean over nothing (an empty batch, or none but ignored targets) is 0.

        Args:
            inputs: those of ``forward``.

        Raises:
            ValueError: shapes that do not fit each other; nothing is broadcast.
        """
        case = checked(self._case(*inputs))
        relation = case.row.relation
        evaluate = relation.terms if case.elementwise and isinstance(relation, Expected) else relation.loss
        value = evaluate(case.row.model, case.raw, case.target)
        if case.weight is not None:
            value = value * case.weight
        if case.labels:
            value = value.mean(-1)
        if case.zero_infinity:
            value = torch.where(value == torch.inf, 0.0, value)
        share = None if relation.share is None else relation.share(case.target)
        return self._reduce(value, share, case.batch)

    def extra_repr(self) -> str:
        """Show torch's own, and strict where it is set."""
        return ", ".join(filter(None, [super().extra_repr(), "strict=True" if self.strict else ""]))

    def _reduce(self, value: Tensor, share: Tensor | None, batch: int | None) -> Tensor:
        if self.reduction == "none":
            return value
        total = value.sum()
        if self.reduction == "sum":
            return total
        if self.reduction == "batchmean" and batch is not None:
            return total / max(batch, 1)
        if self.reduction != "mean":
            raise ValueError(f"reduction={self.reduction!r}; it must be 'mean', 'sum' or 'none'.")
        if share is None:
            return total / max(value.numel(), 1)
        divisor = share.sum().to(value.dtype)
        return total / torch.where(divisor == 0, 1.0, divisor)

    def _named(self, name: str, **options: Any) -> Row:
        """Return the row, made once for each setting of the attributes that it depends on."""
        key = (name, *options)
        made = self._made.get(key)
        if made is None or not _same(made.options, options):
            made = self._made[key] = row(name, **options)
        return made

    def _make(self) -> None:
        # torch.compile cannot make a row while it traces a call
        if self.strict:
            self._row()
            self._row(soft=True)

    def _apply(self, *args: Any, **kwargs: Any) -> Any:
        super()._apply(*args, **kwargs)  # type: ignore[no-untyped-call]
        self._make()  # .to() may have replaced a weight
        return self

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_made": {}}  # a row is made anew: the attributes say all that it holds

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[no-untyped-call]
        self._make()

    def __prepare_scriptable__(self) -> nn.Module:
        """Return torch's own module to torch.jit.script; its value is the same.

        Raises:
            TypeError: strict is set.
        """
        if self.strict:
            raise TypeError(
                f"torch.jit.script cannot compile the derivation; use torch.compile, or {type(self).__name__}() without strict."
            )
        plain = self._theirs.__new__(self._theirs)
        plain.__dict__.update({name: value for name, value in self.__dict__.items() if name not in ("strict", "_made")})
        return plain


def _same(made: dict[str, Any], options: dict[str, Any]) -> bool:
    # tensors by identity: a row keeps the tensor itself, so that what is changed in place is changed for it too
    return all(
        made[name] is value or not (isinstance(value, Tensor) or isinstance(made[name], Tensor) or made[name] != value)
        for name, value in options.items()
    )


def checked(case: Case) -> Case:
    """Return the case, or raise ValueError where the prediction is for targets of another shape."""
    rows = case.row.model.rows(case.row.relation.outcome(case.target))
    if case.raw.shape[:-1] != rows:
        raise ValueError(
            f"The prediction is for targets of shape {tuple(case.raw.shape[:-1])}, but these have shape {tuple(rows)}: give both "
            f"the same. (Nothing is broadcast with strict=True.)"
        )
    return case


def paired(raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return raw and target in one floating-point dtype."""
    dtype = torch.promote_types(raw.dtype, target.dtype) if target.is_floating_point() else raw.dtype
    return raw.to(dtype), target.to(dtype)


def indices(target: Tensor) -> Tensor:
    """Return a target of classes, or raise ValueError where it is no tensor of integers."""
    if target.is_floating_point() or target.dtype == torch.bool:
        raise ValueError(
            f"The target is {target.dtype}; it wants the index of a class for each row: write target.long()."
        )
    return target
