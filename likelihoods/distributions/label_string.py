"""The law of a string of labels that was read from frames: connectionist temporal classification."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Categorical as Frame
from torch.distributions import Distribution, constraints
from torch.nn.functional import pad

from likelihoods.distributions.base import Parametric

PAD = -1
MOST = 2**16  # strings that are listed


class Strings(constraints.Constraint):
    """Labels and then -1 to the end, in at least as many frames as they need (a repeated label needs a blank between)."""

    is_discrete, event_dim = True, 1

    def __init__(self, labels: int, blank: int) -> None:
        self.labels, self.blank = labels, blank

    def check(self, value: Tensor) -> Tensor:
        """Return whether each vector is one."""
        used = value != PAD
        label = (value >= 0) & (value < self.labels) & (value != self.blank) & (value == value.floor())
        padded = ~(used[..., 1:] & ~used[..., :-1]).any(-1)
        repeats = (used[..., 1:] & (value[..., 1:] == value[..., :-1])).sum(-1)
        return (label | ~used).all(-1) & padded & (used.sum(-1) + repeats <= value.shape[-1])

    def __repr__(self) -> str:
        return f"strings of the labels 0, …, {self.labels - 1} without the blank {self.blank}, then -1 to the end"


class LabelString(Parametric, TorchDistribution):
    r"""The law of a string of labels, given the logits of the labels in each of T frames.

    Each frame shows one of C labels, independently, with probabilities softmax(logits[t]). The string is what is left when
    runs of one label are merged and then the blanks are taken out: "a a ␣ a b" gives "a a b". Its probability is the sum
    over all sequences of frames that give it. The probabilities of all strings sum to 1.

    A value ``(..., T)`` holds the labels and then -1 to the end; it may be integers or floating point. The logits are
    normalised here, so slopes are right in whatever is given: torch's ``ctc_loss`` has the slope of a log-softmax whether or
    not one was taken (https://github.com/pytorch/pytorch/issues/52241). An input that is shorter than T has frames in which
    the blank is certain: :meth:`shortened` makes them.

    Args:
        logits: ``(..., T, C)``; -inf excludes a label from a frame.
        blank: the label that stands for nothing.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: the logits have fewer than two axes, or the blank is no index; later, that it is none of the C labels.

    Source: A. Graves, S. Fernández, F. Gomez, J. Schmidhuber (2006), doi:10.1145/1143844.1143891.

    >>> law = LabelString(torch.zeros(2, 3))  # two frames; the blank is 0
    >>> law.log_prob(torch.tensor([[1, 2], [1, -1], [-1, -1], [1, 1]])).exp() * 9
    tensor([1.0000, 3.0000, 1.0000, 0.0000])
    """

    arg_constraints = {"logits": constraints.independent(constraints.real, 2)}
    has_enumerate_support = True

    def __init__(self, logits: Tensor, blank: int = 0, *, validate_args: bool | None = None) -> None:
        if logits.dim() < 2:
            raise ValueError(
                f"LabelString got logits of shape {tuple(logits.shape)}; it wants (..., T frames, C labels)."
            )
        if blank != int(blank) or blank < 0:
            raise ValueError(f"LabelString got blank={blank}; it is the index of a label, such as 0.")
        self.logits, self.blank = logits, int(blank)
        self._initialise(logits.shape[:-2], logits.shape[-2:-1], validate_args)

    @staticmethod
    def shortened(logits: Tensor, lengths: Tensor, blank: int = 0) -> Tensor:
        """Return logits ``(..., T, C)`` in which the frames from ``lengths``, ``(...)``, on are blank for certain.

        >>> LabelString.shortened(torch.zeros(2, 2), torch.tensor(1))
        tensor([[0., 0.],
                [0., -inf]])
        """
        frames, labels = (torch.arange(n, device=logits.device) for n in logits.shape[-2:])
        beyond = (frames >= lengths.unsqueeze(-1)).unsqueeze(-1)
        certain = torch.where(labels == blank, 0.0, -torch.inf).to(logits.dtype)
        return torch.where(beyond, certain, logits)

    @property
    def support(self) -> Strings:
        """The strings that fit into the frames."""
        return Strings(self.logits.shape[-1], self.blank)

    def expand(self, batch_shape: Any, _instance: Any = None) -> LabelString:
        """Return the distribution with its logits expanded to ``batch_shape``."""
        new: LabelString = self._get_checked_instance(LabelString, _instance)
        batch = torch.Size(batch_shape)
        new.logits, new.blank = self.logits.expand(batch + self.logits.shape[-2:]), self.blank
        Distribution.__init__(new, batch, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for what is no string that fits into the frames."""
        frames, labels = self._size()
        if value.shape[-1:] != (frames,):
            raise ValueError(
                f"A string read from {frames} frames has shape (..., {frames}), but the value has shape "
                f"{tuple(value.shape)}; pad it with {PAD} to the number of frames."
            )
        possible = self.support.check(value)
        missing = (value != value).any(-1)
        label = torch.where(value == value, value, PAD).clamp(PAD, labels - 1).long()
        label = label[..., : _longest(label)]
        log_prob = self._forward(label)
        never = ~possible | (log_prob < 0.5 * _floor(log_prob))
        return torch.where(missing, torch.nan, torch.where(never, -torch.inf, log_prob))

    def _size(self) -> tuple[int, int]:
        frames, labels = self.logits.shape[-2:]
        if (
            self.blank >= labels
        ):  # said no sooner, as a likelihood may be asked for its support before it is given any logits
            raise ValueError(f"LabelString got blank={self.blank}; the labels are 0 to {labels - 1}.")
        return frames, labels

    def _forward(self, label: Tensor) -> Tensor:
        """Return the log of the sum over paths, by the forward recursion over the string with a blank around each label.

        What has no path has a huge negative value instead of -inf, whose slopes would be NaN.
        """
        lowest = _floor(self.logits)
        log_p = self.logits.log_softmax(-1).clamp(min=lowest)
        used = label != PAD
        spoken = torch.where(used, label, self.blank)
        pairs = torch.stack([spoken, torch.full_like(spoken, self.blank)], -1).flatten(-2)
        states = pad(pairs, (1, 0), value=self.blank)  # blank, label, blank, label, …, blank
        batch = torch.broadcast_shapes(states.shape[:-1], self.batch_shape)
        width = states.shape[-1]
        table = log_p.expand(*batch, *log_p.shape[-2:])
        index = states.expand(*batch, width).unsqueeze(-2).expand(*batch, log_p.shape[-2], width)
        first, *rest = table.gather(-1, index).unbind(
            -2
        )  # each (..., states); unbound, as each slice's slope is a whole table
        # a label may follow the one before it without a blank between, if it is another
        kept = (states[..., 2:] == self.blank) | (states[..., 2:] == states[..., :-2])
        skip = pad(
            torch.zeros_like(kept, dtype=log_p.dtype).masked_fill(kept, lowest), (min(2, width), 0), value=lowest
        )
        alpha = first + first.new_zeros(width).masked_fill(torch.arange(width, device=first.device) > 1, lowest)
        for emitted in rest:
            padded = pad(alpha, (2, 0), value=lowest)
            alpha = torch.stack([alpha, padded[..., 1:-1], padded[..., :-2] + skip]).logsumexp(0) + emitted
        last = 2 * used.sum(-1).expand(batch)  # the blank after the last label; the label itself is one before
        ends = torch.stack([last, (last - 1).clamp(min=0)], -1)
        final = alpha.gather(-1, ends)
        twice = (last == 0).unsqueeze(-1) & torch.tensor(
            [False, True], device=last.device
        )  # the empty string ends once
        return final.masked_fill(twice, lowest).logsumexp(-1)

    # Values

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return every string that fits, ``(n, *batch, T)``, or with ones for the batch.

        Raises:
            NotImplementedError: there are more than 65536 vectors of labels to look through.
        """
        frames, labels = self.logits.shape[-2:]
        if labels**frames > MOST:
            raise NotImplementedError(f"There are up to {labels}^{frames} strings; at most {MOST} are listed.")
        symbols = [PAD, *(k for k in range(labels) if k != self.blank)]
        every = torch.tensor(list(itertools.product(symbols, repeat=frames)), device=self.logits.device)
        every = every.reshape(-1, frames)
        every = every[self.support.check(every)].reshape(-1, *[1] * len(self.batch_shape), frames)
        return every.expand(-1, *self.batch_shape, frames) if expand else every

    def entropy(self) -> Tensor:
        """Return the entropy in nats, by listing every string.

        Raises:
            NotImplementedError: there are too many.
        """
        every: Tensor = torch.special.entr(self.log_prob(self.enumerate_support()).exp())
        return every.sum(0)

    @property
    def mode(self) -> Tensor:
        """Not known: the likeliest sequence of frames need not give the likeliest string."""
        raise NotImplementedError(
            "The likeliest string of LabelString is not known: finding it is hard, and a beam search finds a good one. For "
            "few labels and frames list all: law.enumerate_support(), law.log_prob(...).argmax(0)."
        )

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Return strings as integers: frames are drawn, then runs merged and blanks taken out."""
        with torch.no_grad():
            self._size()
            return self.collapse(Frame(logits=self.logits).sample(torch.Size(sample_shape)), self.blank)

    @staticmethod
    def collapse(path: Tensor, blank: int = 0) -> Tensor:
        """Return the strings that sequences of frames ``(..., T)`` give.

        >>> LabelString.collapse(torch.tensor([1, 1, 0, 1, 2]))
        tensor([ 1,  1,  2, -1, -1])
        """
        new = torch.ones_like(path, dtype=torch.bool)
        new[..., 1:] = path[..., 1:] != path[..., :-1]
        kept = new & (path != blank)
        # what is not kept goes to one place more, which is cut off
        place = torch.where(kept, kept.long().cumsum(-1) - 1, path.shape[-1])
        string = torch.full((*path.shape[:-1], path.shape[-1] + 1), PAD, dtype=path.dtype, device=path.device)
        return string.scatter(-1, place, path)[..., :-1]


def _floor(like: Tensor) -> float:
    """Return what stands for the logarithm of nothing: far below any, and far from overflow."""
    return float(torch.finfo(like.dtype).min) * 1e-8


def _longest(label: Tensor) -> int:
    """Return how many places hold a label in some string; all of them where nothing may wait for a value."""
    if label.is_cuda or torch.compiler.is_compiling() or label.numel() == 0:
        return label.shape[-1]
    try:
        return int((label != PAD).sum(-1).max())
    except RuntimeError:  # under vmap
        return label.shape[-1]
