"""Losses that weigh a target above the prediction otherwise than one below: quantiles and expectiles."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor

from likelihoods.distributions import AsymmetricLaplace, AsymmetricNormal
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, Partial, Relation
from likelihoods.sources import predicted
from likelihoods.targets import Independent

LOG_HALF_ROOT_PI = math.log(0.5 * math.sqrt(math.pi))


def quantile_levels(levels: float | Sequence[float]) -> tuple[float, ...]:
    """Return the levels of a quantile loss as a tuple.

    Raises:
        ValueError: there is none, or one is not strictly between 0 and 1.
    """
    found = tuple(map(float, levels)) if isinstance(levels, Sequence) else (float(levels),)
    if not found or not all(0 < level < 1 for level in found):
        raise ValueError(
            f"levels={levels!r}; give one probability strictly between 0 and 1, or several, such as (0.1, 0.5, 0.9)."
        )
    return found


def _for_each(target: Tensor, levels: int) -> Tensor:
    return target.unsqueeze(-1).expand(*target.shape, levels)


def _quantile_relation(levels: float | Sequence[float]) -> Relation:
    found = quantile_levels(levels)
    offset = sum(math.log(level) + math.log1p(-level) for level in found)
    if len(found) == 1:
        return Affine(1.0, offset)
    return Partial(
        f"each of the {len(found)} levels has a law of the same target, as if it were {len(found)} targets: a composite "
        f"likelihood, so its nats are no nats of one target",
        part=partial(_for_each, levels=len(found)),
        offset=offset,
    )


@register(
    elicits="quantile",
    reference="Koenker and Bassett (1978), doi:10.2307/1913643; Koenker and Machado (1999), doi:10.1080/01621459.1999.10473882",
    relation=_quantile_relation,
    examples=({}, {"levels": 0.1}, {"levels": 0.9}, {"levels": (0.1, 0.9)}),
    aliases=(
        "pinball",
        "pinball_loss",
        "mean_pinball_loss",
        "QuantileLoss",
        "quantile_regression",
        "reg:quantileerror",
        "multi_quantile",
        "tilted_loss",
        "check_loss",
    ),
    formula="Σ over the levels τ of τ (y - f) where y >= f, (1 - τ) (f - y) below",
    nuisance=("scale",),
    compare=False,  # at the median it is l1; another level is asked for, not found in the data
)
def quantile(levels: float | Sequence[float] = 0.5) -> Likelihood:
    """The target is the prediction plus asymmetric Laplace noise, a share `levels` of which is below 0.

    Use it when a quantile is what you want, such as the amount that is enough nine times out of ten: it elicits the quantile
    under any law. Give several levels at once, and the network one output for each, `(..., K)`; their losses are added, and
    nothing keeps the quantiles in order. Twice the loss, integrated over all levels, is the continuous ranked probability
    score. The law's scale is 1; the width of its intervals is that of an assumption which hardly ever holds, so take
    intervals from two quantiles.
    """
    found = quantile_levels(levels)
    if len(found) == 1:
        return Family(AsymmetricLaplace, loc=predicted(), scale=1.0, tau=found[0])
    each = Family(AsymmetricLaplace, loc=predicted(), scale=1.0, tau=found)
    return Independent(each, (len(found),))


@register(
    elicits="expectile",
    reference="Newey and Powell (1987), doi:10.2307/1911031",
    relation=lambda level: Affine(1.0, -LOG_HALF_ROOT_PI - math.log(level**-0.5 + (1 - level) ** -0.5)),
    examples=({}, {"level": 0.1}, {"level": 0.9}),
    aliases=("expectile_regression", "asymmetric_least_squares", "asymmetric_squared_error"),
    formula="|level - [y < f]| (f - y)²",
    nuisance=("scale",),
    compare=False,  # at the level 1/2 it is mse; another level is asked for, not found in the data
)
def expectile(level: float = 0.5) -> Likelihood:
    """The target is the prediction plus noise that is Gaussian on each side, with a width of its own on each.

    Use it when too low costs more than too high (or less) and far-off targets should count, as they do for a mean: the
    expectile at 1/2 is the mean. It elicits the expectile under any law with a mean. It is no quantile: of this law a share
    √level / (√level + √(1 - level)) is below it.
    """
    if not 0 < level < 1:
        raise ValueError(f"level={level!r}; give a number strictly between 0 and 1, such as 0.9.")
    return Family(AsymmetricNormal, loc=predicted(), scale=1.0, tau=level)
