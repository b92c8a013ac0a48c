"""What a named loss is to its likelihood."""

from __future__ import annotations

import abc
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, final

import torch
from torch import Tensor
from torch.distributions import Distribution

from likelihoods.distributions import Bernoulli, Categorical
from likelihoods.energy import Unnormalised
from likelihoods.likelihood import Likelihood


class NoLikelihoodError(ValueError):
    """A likelihood was asked of a loss that has none; the message says why, and which loss is near and has one."""


class Relation(abc.ABC):
    """Abstract: how a loss follows from the negative log-likelihood of the same prediction.

    Attributes:
        proper: whether the loss is a proper score, in words.
        share: what each target adds to the number by which the conventional mean divides; None where that is 1.
        known: which targets are there at all; None where none is missing.
    """

    proper: ClassVar[str]
    share: Callable[[Tensor], Tensor] | None = None
    known: Callable[[Tensor], Tensor] | None = None

    @abc.abstractmethod
    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the conventional loss of each target."""

    @abc.abstractmethod
    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats."""

    @abc.abstractmethod
    def outcome(self, target: Tensor) -> Tensor:
        """Return a target of the likelihood that has the rows of the loss's own target, for the shape rule."""

    @abc.abstractmethod
    def sentence(self) -> str:
        """Return the relation in words and numbers."""


class OfTarget(Relation):
    """Abstract: the relations of a loss whose target is the likelihood's own."""

    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats."""
        return -likelihood.log_prob(raw, target)

    def outcome(self, target: Tensor) -> Tensor:
        """Return the target."""
        return target


@final
@dataclass(frozen=True)
class Affine(OfTarget):
    """loss = scale * NLL + offset.

    Attributes:
        scale: a positive number, or a function of the target that looks at its shape alone; it may give one for each target.
        offset: a number, or a function of the target; it never depends on the prediction. A function's docstring is its
            formula.
        share: what each target adds to the number by which the conventional mean divides; None where that is 1.

    >>> Affine(1.0, -0.5).sentence()
    'loss = NLL - 0.5'
    """

    scale: float | Callable[[Tensor], float | Tensor] = 1.0
    offset: float | Callable[[Tensor], Tensor] = 0.0
    share: Callable[[Tensor], Tensor] | None = None
    proper: ClassVar[str] = "proper: the log score of a law, but for constants"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        return self.of(self.nll(likelihood, raw, target), target)

    def of(self, nll: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target, given its negative log-likelihood in nats."""
        scale = self.scale(target) if callable(self.scale) else self.scale
        scaled = nll if isinstance(scale, float) and scale == 1.0 else scale * nll
        if callable(self.offset):
            return scaled + self.offset(target)
        return scaled if self.offset == 0.0 else scaled + self.offset

    def sentence(self) -> str:
        """Return the relation in words and numbers."""
        # rounded: 2 sqrt(1/2)² is 1 but for its last bit
        scale = _words(self.scale) if callable(self.scale) else f"{self.scale:.6g}"
        left = "loss = NLL" if scale == "1" else f"loss = {scale} * NLL"
        if callable(self.offset):
            return f"{left} + b(y), b(y) = {_words(self.offset)}"
        if self.offset == 0.0:
            return f"{left}, exactly" if self.scale == 1.0 else left
        return f"{left} {'-' if self.offset < 0 else '+'} {abs(self.offset):.6g}"


Exact = Affine()


@final
@dataclass(frozen=True)
class Weighted(OfTarget):
    """loss = weight(target) * NLL: a power likelihood, whose minimiser is not the law of the data but a tilted one.

    Attributes:
        weight: a function of the target, not negative; a target of weight 0 is left out, whatever it is.
        tilted: what it elicits instead of the data's law, in words.
        share: the weight too, where the conventional mean divides by the sum of weights.
    """

    weight: Callable[[Tensor], Tensor]
    tilted: str
    share: Callable[[Tensor], Tensor] | None = None
    proper: ClassVar[str] = "proper for the tilted law alone; untilt gives back the true one"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        nll = self.nll(likelihood, raw, target)
        weight = self.weight(target).to(nll.dtype)
        return torch.where(weight > 0, weight * nll, 0.0)  # an impossible target of weight 0 is not 0 * inf

    def untilt(self, law: Distribution) -> Distribution:
        """Return the law of the data, given the tilted law that minimises the weighted loss: P(y) in proportion to q(y) / w(y).

        Args:
            law: over finitely many values, all of positive weight.

        Raises:
            NotImplementedError: the law has no finite support.

        Source: C. F. Manski, S. R. Lerman (1977), doi:10.2307/1914121.
        """
        values = law.enumerate_support(expand=False)
        logits = (law.log_prob(values) - self.weight(values).log()).movedim(0, -1)
        if isinstance(law, torch.distributions.Bernoulli):
            return Bernoulli(logits[..., 1] - logits[..., 0])
        return Categorical(logits)

    def sentence(self) -> str:
        """Return the relation in words."""
        return f"loss = w(y) * NLL, w(y) = {_words(self.weight)}; elicits {self.tilted}"


@final
@dataclass(frozen=True)
class Expected(Relation):
    """loss = scale * (the expectation of NLL(k), where k follows the target's own law t, minus the entropy of t or not).

    Attributes:
        soft: from the target and the number of outcomes K to t, ``(..., K)``, in raw's dtype or a wider one; its docstring is
            its formula.
        vector: whether a target is a vector ``(..., K)`` where the likelihood has one outcome.
        entropy: whether the entropy of t is subtracted, so that the smallest loss is 0.
        scale: a positive number.
        weight: of each outcome, ``(K,)``; then t is tilted by it.
        share: what each target adds to the number by which the conventional mean divides; None where that is 1.
    """

    soft: Callable[[Tensor, int], Tensor]
    vector: bool = False
    entropy: bool = False
    scale: float = 1.0
    weight: Callable[[Tensor], Tensor] | None = None
    share: Callable[[Tensor], Tensor] | None = None
    proper: ClassVar[str] = "proper for the mean of t, tilted by w where outcomes have weights"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        return self.terms(likelihood, raw, target).sum(-1)

    def terms(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return what each outcome adds to the loss of each target, ``(..., K)``."""
        nll, soft = self._each(likelihood, raw, target)
        weighted = soft if self.weight is None else soft * self.weight(nll)
        value = _product(weighted, nll)
        if self.entropy:
            value = value + torch.special.xlogy(soft, soft)
        return value if self.scale == 1.0 else self.scale * value

    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the expected negative log-likelihood of each target in nats; its smallest value is the entropy of t."""
        nll, soft = self._each(likelihood, raw, target)
        return _product(soft, nll).sum(-1)

    def outcome(self, target: Tensor) -> Tensor:
        """Return one number for each row."""
        return target[..., 0] if self.vector else target

    def sentence(self) -> str:
        """Return the relation in words."""
        scale = "" if self.scale == 1.0 else f"{self.scale:.6g} * "
        weight = "" if self.weight is None else "w_k "
        entropy = ", minus the entropy of t" if self.entropy else ""
        weights = "" if self.weight is None else f"; w = {_words(self.weight)}"
        return f"loss = {scale}Σ_k {weight}t_k NLL(k){entropy}; t = {_words(self.soft)}{weights}"

    def _each(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        law = likelihood.distribution(likelihood.align(raw, self.outcome(target)))
        if isinstance(law, torch.distributions.Categorical):
            nll = -law.logits  # the table: to look every class up in it costs as much again
        else:
            nll = -law.log_prob(law.enumerate_support(expand=False)).movedim(0, -1)
        return nll, self.soft(target, nll.shape[-1]).to(nll.dtype)


@final
@dataclass(frozen=True)
class Gibbs(OfTarget):
    """exp(-loss) is not normalised: loss = scale * (NLL - log Z(raw)), and Z moves with the prediction.

    The row's likelihood is an :class:`~likelihoods.energy.Energy`, the law P(k) = exp(-energy(raw, k)) / Z(raw) of labels, or
    what ``from_loss`` makes of a loss of a number; the loss is the energy.

    Attributes:
        scale: a positive number: the temperature, by which the loss was divided to make the energy.
        weight: by which the energy is multiplied, where the loss has class weights that are none of the law's business.
        share: the weight too, where the conventional mean divides by the sum of weights.
    """

    scale: float = 1.0
    weight: Callable[[Tensor], Tensor] | None = None
    share: Callable[[Tensor], Tensor] | None = None
    proper: ClassVar[str] = "not proper: the normaliser is missing; the NLL of its likelihood is"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target, which is the energy of its label."""
        if not isinstance(likelihood, Unnormalised):
            raise TypeError(f"A row whose relation is Gibbs() builds a likelihoods.Energy, not {likelihood!r}.")
        energy = likelihood.energy_of(likelihood.align(raw, target), target)
        scaled = energy if self.scale == 1.0 else self.scale * energy
        return scaled if self.weight is None else self.weight(target).to(energy.dtype) * scaled

    def sentence(self) -> str:
        """Return the relation in words."""
        if self.weight is not None:
            return (
                f"loss = w(y) * (NLL - log Z(f)), w(y) = {_words(self.weight)}, log Z(f) = NLL(k) less the energy of k, for any "
                f"k: exp(-loss) is not normalised"
            )
        heat = "" if self.scale == 1.0 else f" / {self.scale:.6g}"
        left = "NLL - log Z(f)" if self.scale == 1.0 else f"{self.scale:.6g} * (NLL - log Z(f))"
        return f"loss = {left}, Z(f) = Σ_y exp(-loss(f, y){heat}): exp(-loss{heat}) is not normalised"


@final
@dataclass(frozen=True)
class Missing(Relation):
    """A label of one value is missing, at random: summed over what it may have been, its likelihood is 1, its loss 0.

    Attributes:
        of: the relation of the labels that are known.
        label: the value that stands for a missing label.

    Source: D. B. Rubin (1976), Inference and missing data, doi:10.1093/biomet/63.3.581.

    >>> Missing(Exact, -100).sentence()
    'loss = NLL, exactly; a target of -100 is missing and adds nothing'
    """

    of: Relation
    label: int
    proper: ClassVar[str] = "as that of the labels that are known, where they are missing at random"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target, 0 where it is missing."""
        value = self.of.loss(likelihood, raw, self.outcome(target))
        return torch.where(self.known(target), value, 0.0)

    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target in nats, 0 where it is missing."""
        return torch.where(self.known(target), self.of.nll(likelihood, raw, self.outcome(target)), 0.0)

    def outcome(self, target: Tensor) -> Tensor:
        """Return the target with a possible label, 0, in place of each missing one."""
        return torch.where(self.known(target), target, 0)

    def known(self, target: Tensor) -> Tensor:
        """Return whether each target is known."""
        return target != self.label

    def share(self, target: Tensor) -> Tensor:
        """Return what each target adds to the number by which the mean divides."""
        known = self.known(target)
        return known if self.of.share is None else known * self.of.share(self.outcome(target))

    def sentence(self) -> str:
        """Return the relation in words."""
        return f"{self.of.sentence()}; a target of {self.label} is missing and adds nothing"


@final
@dataclass(frozen=True)
class Partial(Relation):
    """loss = scale * NLL + offset of a part of the data: a partial, composite or conditional likelihood.

    Attributes:
        of: the part, and what is lost, in words.
        part: from the target to what the likelihood describes; None where that is the target itself.
        scale: a positive number.
        offset: a number.
    """

    of: str
    part: Callable[[Tensor], Tensor] | None = None
    scale: float = 1.0
    offset: float = 0.0
    proper: ClassVar[str] = "proper for the part alone"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        return self.scale * self.nll(likelihood, raw, target) + self.offset

    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of the part in nats."""
        return -likelihood.log_prob(raw, self.outcome(target))

    def outcome(self, target: Tensor) -> Tensor:
        """Return the part of each target."""
        return target if self.part is None else self.part(target)

    def sentence(self) -> str:
        """Return the relation in words."""
        return f"{Affine(self.scale, self.offset).sentence()}, of a part of the data: {self.of}"


@final
@dataclass(frozen=True)
class NoLikelihood(Relation):
    """No law of the target has this loss as its negative log-likelihood; it can be computed, and no more.

    Attributes:
        compute: from raw and target to the loss of each target.
        reason: why there is none.
        nearest: the loss to use instead, by its name. The row's own likelihood is that of the nearest proper loss, which lends
            its shapes.
    """

    compute: Callable[[Tensor, Tensor], Tensor]
    reason: str
    nearest: str
    proper: ClassVar[str] = "not proper"

    def loss(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target."""
        return self.compute(likelihood.align(raw, target), target)

    def nll(self, likelihood: Likelihood, raw: Tensor, target: Tensor) -> Tensor:
        """Raise NoLikelihoodError."""
        raise self.error()

    def outcome(self, target: Tensor) -> Tensor:
        """Return the target."""
        return target

    def error(self) -> NoLikelihoodError:
        """Return the exception that says why there is none and what to write instead."""
        return NoLikelihoodError(
            f"This loss has no likelihood: {self.reason} Use loss({self.nearest!r}), which has one."
        )

    def sentence(self) -> str:
        """Return the relation in words."""
        return f"no likelihood: {self.reason} The nearest loss that has one is {self.nearest}."


def stated(words: str, function: Callable[..., Tensor], **constants: Any) -> Callable[..., Tensor]:
    """Return a function of a target with its constants bound, and with its formula as its docstring; it can be pickled.

    Args:
        words: the formula, as :meth:`Relation.sentence` is to show it.
        function: at the top level of a module.
        constants: its keyword arguments.
    """
    bound = partial(function, **constants)
    bound.__doc__ = words
    return bound


def _words(function: Callable[..., Any]) -> str:
    return str(function.__doc__ or getattr(function, "__name__", repr(function))).strip()


def _product(weight: Tensor, nll: Tensor) -> Tensor:
    """Return weight * nll, 0 where the weight is 0 though the NLL is infinite, and no NaN in the gradient."""
    absent = weight == 0
    return weight * nll.masked_fill(absent, 0.0)
