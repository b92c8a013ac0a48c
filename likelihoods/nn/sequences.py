"""The loss of a string of labels that is read from frames."""

from __future__ import annotations

from typing import Any, final

import torch
from torch import Tensor, nn

from likelihoods.distributions.label_string import LabelString
from likelihoods.nn.base import Case, Derived, Row

PAD, NO_LABEL = -1, -2


@final
class CTCLoss(Derived, nn.CTCLoss):
    """torch.nn.CTCLoss: the row ``ctc``; with the default mean each string counts 1 / its length.

    ``likelihood(log_probs, input_lengths)`` is the law of the strings. The log-probabilities are normalised again inside, so
    that slopes are right whether or not a log-softmax came before; torch's are those of a log-softmax in any case
    (https://github.com/pytorch/pytorch/issues/52241). Values are the same.

    >>> import torch
    >>> log_probs = torch.full((2, 1, 3), 1 / 3).log()  # two frames, one input, three labels with the blank
    >>> loss = CTCLoss()
    >>> loss(log_probs, torch.tensor([[1]]), (2,), (1,)).exp()  # three of nine paths
    tensor(3.)
    """

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Tensor, target_lengths: Tensor) -> Tensor:
        """Return the loss, reduced.

        Args:
            log_probs: ``(T, N, C)`` or ``(T, C)``.
            targets: ``(N, S)``, or all strings one after the other, ``(sum of lengths)``.
            input_lengths: ``(N)`` or ``()``, a tensor or a tuple.
            target_lengths: the same.
        """
        given = (log_probs, targets, input_lengths, target_lengths)
        return self.derived(*given) if self.strict else super().forward(*given)

    def _row(self, soft: bool = False) -> Row:
        return self._named("ctc", blank=self.blank, per_label=self.reduction == "mean")

    def _raw(self, *predictions: Any) -> Tensor:
        log_probs, lengths = predictions
        logits = log_probs.transpose(0, 1) if log_probs.dim() == 3 else log_probs
        return LabelString.shortened(logits, _whole(lengths, logits, "input_lengths"), self.blank)

    def _case(self, *inputs: Any) -> Case:
        log_probs, targets, input_lengths, target_lengths = inputs
        raw = self._raw(log_probs, input_lengths)
        lengths = _whole(target_lengths, raw, "target_lengths")
        strings = _padded(targets.to(raw.device), lengths, raw.shape[-2])
        return Case(self._row(), raw, strings, zero_infinity=self.zero_infinity)


def _whole(lengths: Any, raw: Tensor, name: str) -> Tensor:
    """Return lengths, a tensor or numbers, as integers ``(...)`` for logits ``(..., T, C)``."""
    given = torch.as_tensor(lengths, device=raw.device)
    if given.numel() != raw.shape[:-2].numel():
        raise ValueError(
            f"{name} holds {given.numel()} lengths; the inputs are {raw.shape[:-2].numel()}: give one for each."
        )
    return given.reshape(raw.shape[:-2]).long()


def _padded(targets: Tensor, lengths: Tensor, frames: int) -> Tensor:
    """Return strings of these lengths as ``(..., frames)``, with -1 after their ends."""
    ends = lengths.reshape(-1).cumsum(0).reshape(lengths.shape)
    place = torch.arange(frames, device=targets.device)
    if targets.dim() == 1 and lengths.dim() == 1:  # one after the other
        index = (ends - lengths).unsqueeze(-1) + place
        rows = targets
    else:
        width = targets.shape[-1]
        index = place + width * torch.arange(lengths.numel(), device=targets.device).reshape(*lengths.shape, 1)
        rows = targets.reshape(-1)
    if not rows.numel():
        return torch.full_like(index, PAD)
    length = lengths.unsqueeze(-1)
    strings = torch.where(place < length, rows[index.clamp(max=rows.numel() - 1)], PAD)
    return torch.where(length > frames, NO_LABEL, strings)  # a string that is cut would be another one
