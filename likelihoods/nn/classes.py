"""Losses of a class, whose axis is torch's second one, or the only one."""

from __future__ import annotations

import warnings
from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.nn.base import Case, Derived, Row, indices, paired

MISSING = -100  # torch's own ignore_index
ADAPTIVE = torch.nn.modules.adaptive._ASMoutput


def classes_last(x: Tensor) -> Tensor:
    """Return torch's ``(N, C, d1, …)`` as ``(N, d1, …, C)``, and ``(C)`` as it is."""
    return x.movedim(1, -1) if x.dim() > 1 else x


def soft_case(row: Row, scores: Tensor, target: Tensor, *, ignoring: bool) -> Case:
    """Return the call whose targets are probabilities, one for each score."""
    if ignoring or not target.is_floating_point():
        raise ValueError(
            f"The target is {target.dtype} of the scores' own shape {tuple(scores.shape)}, so it holds the probabilities of the "
            f"classes: give floating point and no ignore_index, or one class for each row: target.argmax(1) if it is one-hot."
        )
    return Case(row, *paired(classes_last(scores), classes_last(target)))


class NLLLoss(Derived, nn.NLLLoss):
    """torch.nn.NLLLoss: the row ``nll``, a negative log-likelihood if the input is log-probabilities.

    Where every target is ignored, torch's mean is NaN; the derivation's is 0.

    >>> import torch
    >>> log_p = torch.tensor([[0.25, 0.75]]).log()
    >>> NLLLoss()(log_p, torch.tensor([0]))
    tensor(1.3863)
    >>> NLLLoss()(log_p, torch.tensor([-100])), NLLLoss(strict=True)(log_p, torch.tensor([-100]))
    (tensor(nan), tensor(0.))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss of log-probabilities ``(N, C, d1, …)`` or ``(C)`` and classes ``(N, d1, …)`` or ``()``, reduced."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("nll", weight=self.weight, ignore_index=self.ignore_index)

    def _raw(self, *predictions: Any) -> Tensor:
        return classes_last(*predictions)

    def _case(self, *inputs: Any) -> Case:
        scores, target = inputs
        return Case(self._row(), classes_last(scores), indices(target))


with warnings.catch_warnings():  # torch warns of its class when it is inherited, too
    warnings.simplefilter("ignore", FutureWarning)

    @final
    class NLLLoss2d(NLLLoss, nn.NLLLoss2d):
        """torch.nn.NLLLoss2d, an old name of NLLLoss."""

        def __init__(self, *args: Any, strict: bool = False, **kwargs: Any) -> None:
            warnings.warn("`NLLLoss2d` has been deprecated. Please use `NLLLoss` instead.", FutureWarning, stacklevel=2)
            super().__init__(*args, strict=strict, **kwargs)


@final
class CrossEntropyLoss(Derived, nn.CrossEntropyLoss):
    """torch.nn.CrossEntropyLoss: the row ``cross_entropy``; ``soft_cross_entropy`` where the targets are probabilities.

    Where every target is ignored, torch's mean is NaN; the derivation's is 0. With class weights the law that is learned is
    not the data's: ``.relation.of.untilt(law)`` gives that back.

    >>> import torch
    >>> loss = CrossEntropyLoss(weight=torch.tensor([1.0, 3.0]))
    >>> scores, target = torch.zeros(1, 2), torch.tensor([1])
    >>> loss(scores, target), loss.likelihood(scores).probs
    (tensor(0.6931), tensor([[0.5000, 0.5000]]))
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the loss, reduced.

        Args:
            input: scores, ``(N, C, d1, …)`` or ``(C)``.
            target: classes, ``(N, d1, …)`` or ``()``, or probabilities of the input's shape.
        """
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        given = {"weight": self.weight, "label_smoothing": self.label_smoothing}
        if soft:
            return self._named("soft_cross_entropy", **given)
        return self._named("cross_entropy", ignore_index=self.ignore_index, **given)

    def _raw(self, *predictions: Any) -> Tensor:
        return classes_last(*predictions)

    def _case(self, *inputs: Any) -> Case:
        scores, target = inputs
        if target.shape == scores.shape:
            return soft_case(self._row(soft=True), scores, target, ignoring=self.ignore_index >= 0)
        return Case(self._row(), classes_last(scores), indices(target))


@final
class KLDivLoss(Derived, nn.KLDivLoss):
    """torch.nn.KLDivLoss: the row ``kl_div``, whose classes are the last axis.

    Torch's ``"mean"`` divides by the number of elements, ``"batchmean"`` by the first axis' length; ``.nll`` with either is the
    mean over rows. Torch gives NaN where a log-target is -inf, or where a target is 0 and its log-probability -inf; the
    derivation gives the divergence.

    >>> import torch
    >>> log_q, p = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[1.0, 0.0, 0.0]])
    >>> KLDivLoss(reduction="batchmean")(log_q, p), KLDivLoss(reduction="batchmean", strict=True)(log_q, p)
    (tensor(nan), tensor(0.6931))
    """

    log_target: bool

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        """Return the divergence of the input, log-probabilities, from the target, probabilities or their logarithms."""
        return self.derived(input, target) if self.strict else super().forward(input, target)

    def _row(self, soft: bool = False) -> Row:
        return self._named("kl_div", log_target=self.log_target)

    def _raw(self, *predictions: Any) -> Tensor:
        (log_probs,) = predictions
        if not log_probs.dim():
            raise ValueError("The input has no axis of classes, which the divergence is summed over.")
        raw: Tensor = log_probs
        return raw

    def _case(self, *inputs: Any) -> Case:
        log_probs, target = inputs
        raw = self._raw(log_probs)
        return Case(self._row(), *paired(raw, target), elementwise=True, batch=len(raw))


@final
class AdaptiveLogSoftmaxWithLoss(Derived, nn.AdaptiveLogSoftmaxWithLoss):
    """torch.nn.AdaptiveLogSoftmaxWithLoss: the row ``adaptive_log_softmax`` of its own layers' scores.

    As in torch, a call returns a pair: ``output``, the log-probability of each target, and ``loss``; ``derived`` is the loss.

    >>> import torch
    >>> loss = AdaptiveLogSoftmaxWithLoss(4, 6, [2, 4], div_value=1.0)
    >>> loss.likelihood(torch.zeros(1, 4)).probs.sum(-1)
    tensor([1.], grad_fn=<SumBackward1>)
    """

    reduction = "mean"

    def forward(self, input_: Tensor, target_: Tensor) -> Any:
        """Return (output, loss) of inputs ``(N, in_features)`` or ``(in_features)`` and classes ``(N)`` or ``()``."""
        if not self.strict:
            return super().forward(input_, target_)
        output = self._row().model.log_prob(self._raw(input_), target_)
        return ADAPTIVE(output, self.derived(input_, target_))

    def _row(self, soft: bool = False) -> Row:
        return self._named("adaptive_log_softmax", cutoffs=tuple(self.cutoffs))

    def _raw(self, *predictions: Any) -> Tensor:
        (given,) = predictions
        return torch.cat([self.head(given), *(tail(given) for tail in self.tail)], -1)

    def _case(self, *inputs: Any) -> Case:
        given, target = inputs
        return Case(self._row(), self._raw(given), indices(target))
