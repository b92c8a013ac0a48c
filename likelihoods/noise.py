"""Which noise a loss stands for once it has been averaged, weighted and added to a KL term."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Integral
from typing import Any

import torch
from torch.distributions import constraints

from likelihoods.assumed import Assumed
from likelihoods.catalog import find
from likelihoods.distributions import AsymmetricLaplace, AsymmetricNormal, Laplace, Normal
from likelihoods.distributions.numeric import Improper
from likelihoods.likelihood import Family, Likelihood
from likelihoods.losses import Loss
from likelihoods.registry import Entry
from likelihoods.relations import Affine, NoLikelihoodError
from likelihoods.sources import Fixed, Predicted


@dataclass(frozen=True)
class Implied:
    """The noise that a loss stands for beside a KL term; made by :func:`implied`.

    Attributes:
        loss: the loss's name.
        temperature: nats of the loss's own likelihood that make one unit of the objective: objective / KL weight =
            NLL / temperature + KL, the reduction and all weights counted.
        scale: of the noise, in the target's units, where a change of the temperature is a change of the scale (the square, the
            absolute value and their tilted forms); None elsewhere.
        deviation: the standard deviation of the noise, in the target's units; infinite where the noise has none.
        likelihood: of one element, to be used with a KL term of weight 1.
        sentence: the same in words and numbers.
    """

    loss: str
    temperature: float
    scale: float | None
    deviation: float
    likelihood: Likelihood = field(repr=False)
    sentence: str

    def __str__(self) -> str:
        return self.sentence


def implied(
    loss: str | Loss,
    *,
    reduction: str = "sum",
    size: int = 1,
    weight: float = 1.0,
    kl_weight: float = 1.0,
    **options: Any,
) -> Implied:
    """Return the noise scale that a reconstruction loss stands for in ``weight * loss + kl_weight * KL``.

    For each datum of ``size`` elements (pixels, say) the objective is ``weight * reduction(loss) + kl_weight * KL``, with the
    KL divergence in nats, summed over the latents. Divided by ``kl_weight`` it is a negative ELBO whose decoder has the density
    exp(-c * loss) for each element, c = weight / (kl_weight * size) if the reduction is a mean over the elements and
    weight / kl_weight if it is a sum. For the square that is a Gaussian of variance 1 / (2c).

    Args:
        loss: a loss of y - f: its name, or the loss.
        reduction: over the elements of a datum: ``"mean"`` or ``"sum"``. A mean over the batch as well changes nothing, as long
            as the KL term is averaged over the batch too.
        size: elements of a datum.
        weight: of the reconstruction term.
        kl_weight: of the KL term (β).
        options: the loss's own.

    Raises:
        ValueError: the loss is none of y - f; another reduction; a size or weight that is not positive.

    Source: O. Rybkin, K. Daniilidis, S. Levine (2021), Simple and effective VAE training with calibrated decoders,
    https://arxiv.org/abs/2006.13202.

    >>> print(implied("mse", reduction="mean", size=784))
    mean mse over 784 elements + KL: each element is the prediction plus Gaussian noise with a standard deviation of 19.8.
    >>> round(implied("mse", size=784, kl_weight=4.0).scale, 4)
    1.4142
    """
    if isinstance(loss, Loss):
        entry, options = loss.entry, loss.options | options
    else:
        entry = find(loss)
    if reduction not in ("mean", "sum"):
        raise ValueError(f"reduction={reduction!r}; over the elements of a datum it is 'mean' or 'sum'.")
    if not isinstance(size, Integral) or size < 1:
        raise ValueError(f"size={size!r}; give the number of elements of a datum, such as 784.")
    for name, value in (("weight", weight), ("kl_weight", kl_weight)):
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{name}={value!r}; it must be a positive number.")
    model, relation = entry.model(**options), entry.law_relation(**options)
    if (
        not isinstance(relation, Affine)
        or callable(relation.offset)
        or callable(relation.scale)
        or not _location(model)
    ):
        raise ValueError(
            f"{entry.name} is no loss of y - f with a normalised law, so no noise scale is behind it. Its relation is: "
            f"{relation.sentence()}. The losses of y - f are mse, l1, huber, log_cosh, quantile, and their like."
        )
    share = weight / (
        kl_weight * (size if reduction == "mean" else 1)
    )  # exp(-share * loss) is the density of an element
    temperature = 1.0 / (share * relation.scale)
    what = f"{_number(weight)}{reduction} {entry.name}{_options(options)} over {size} elements + {_number(kl_weight)}KL"
    rescaled = _rescaled(model, relation.scale * share)
    likelihood, scale = rescaled or (_tempered(entry, options, 1.0 / share), None)
    law: Any = likelihood(torch.zeros((), dtype=torch.float64))
    deviation = float(law.variance.sqrt())
    if scale is None:
        tempered = (
            f"each element is the prediction plus noise with a standard deviation of {deviation:.3g}, whose density is that of "
            f"{type(model._probe()).__name__}, raised to the power {1 / temperature:.3g} and normalised anew: no other scale of "
            f"that law has it. Learn the scale instead: lk.NLL(lk.find({entry.name!r}).fitted()) + KL."
        )
        return Implied(entry.name, temperature, None, deviation, likelihood, f"{what}: {tempered}")
    noise = {"Normal": "Gaussian"}.get(type(law).__name__, type(law).__name__)
    how = (
        f"a standard deviation of {deviation:.3g}"
        if noise == "Gaussian"
        else f"a scale of {scale:.3g}, a standard deviation of {deviation:.3g}"
    )
    sentence = f"{what}: each element is the prediction plus {noise} noise with {how}."
    return Implied(entry.name, temperature, scale, deviation, likelihood, sentence)


DEGREES: dict[type, int] = {
    Normal: 2,
    AsymmetricNormal: 2,
    Laplace: 1,
    AsymmetricLaplace: 1,
}  # of -log density, in y - f


def _tempered(entry: Entry, options: dict[str, Any], temperature: float) -> Likelihood:
    """Return the law of the loss at a temperature that no scale of its family stands for."""
    made = Loss(entry, entry.model(**options), entry.complete(options), "none")
    try:
        likelihood = Assumed(made, temperature, location=True)
        likelihood(torch.zeros((), dtype=torch.float64))
    except Improper as improper:
        raise NoLikelihoodError(
            f"{entry.name} at this weight has no noise behind it: {improper} Give the reconstruction a larger weight, or sum it."
        ) from None
    return likelihood


def _rescaled(model: Likelihood, power: float) -> tuple[Likelihood, float] | None:
    """Return the likelihood whose density is the model's raised to ``power``, and its scale; None where no scale has it."""
    assert isinstance(model, Family)
    degree = DEGREES.get(model.family)
    if degree is None and not math.isclose(power, 1.0):
        return None
    made: dict[str, Any] = {}
    scale = 1.0
    for name, source in model.named_sources():
        if name == "scale" and isinstance(source, Fixed):
            assert isinstance(source.value, float)
            scale = source.value * power ** (-1.0 / (degree or 1))
            made[name] = scale
        else:
            made[name] = lambda *_, source=source: source
    return Family(model.family, **made), scale


def _location(model: Likelihood) -> bool:
    """Whether the model is a family of real targets whose one predicted parameter is a location with the identity link."""
    if not isinstance(model, Family) or model.width != 1 or model._probe().support is not constraints.real:
        return False
    loc = dict(model.named_sources()).get("loc")
    return isinstance(loc, Predicted) and loc.link.name == "identity"


def _number(value: float) -> str:
    return "" if value == 1 else f"{value:g} * "


def _options(options: dict[str, Any]) -> str:
    return f"({', '.join(f'{name}={value}' for name, value in options.items())})" if options else ""
