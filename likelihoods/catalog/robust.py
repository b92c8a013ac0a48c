"""Losses of a real target that bound or ignore what a residual may do: far-off targets, or small errors."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import Tensor

from likelihoods.distributions import (
    Barron,
    Cauchy,
    EpsilonInsensitive,
    SquaredEpsilonInsensitive,
    barron_log_normalizer,
)
from likelihoods.functionals import Functional
from likelihoods.functionals.numbers import barron_score, location
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine, NoLikelihood, Relation
from likelihoods.sources import predicted
from likelihoods.special import log1p_square

ROOT_PI = math.sqrt(math.pi)
ROOT_2 = math.sqrt(2)


@register(
    elicits="cauchy location",
    reference="Johnson, Kotz and Balakrishnan (1994), Continuous Univariate Distributions 1, chapter 16",
    relation=lambda scale: Affine(1.0, -math.log(math.pi * scale)),
    examples=({}, {"scale": 0.3}, {"scale": 4.0}),
    aliases=("lorentzian", "lorentz", "CauchyLoss"),
    formula="log(1 + ((f - y) / scale)²)",
    nuisance=("scale",),
    compare=False,  # student_t has it at df = 1
)
def cauchy(scale: float = 1.0) -> Likelihood:
    """The target is the prediction plus Cauchy noise, which has neither mean nor variance.

    Use it when far-off targets are so common and so far that they should count for almost nothing. `scale` is the residual at
    which the pull is strongest. It is not convex, and its location may not be unique. Barron's form of this loss,
    log(1 + (f - y)² / (2 c²)), is it at scale c √2.
    """
    return Family(Cauchy, loc=predicted(), scale=scale)


def barron_loss(raw: Tensor, target: Tensor, alpha: float, scale: float) -> Tensor:
    """Return (b/alpha) ((1 + z²/b)^(alpha/2) - 1) with b = |alpha - 2|, z = (raw - target) / scale; its limits at 0, 2 and -inf.

    Args:
        raw: the prediction, ``(..., 1)``.
        target: ``(...)``.
        alpha: any number but inf, or -inf.
        scale: positive.

    >>> barron_loss(torch.tensor([[2.0]]), torch.tensor([0.0]), alpha=-2.0, scale=1.0)
    tensor([1.])
    """
    z = (raw.squeeze(-1) - target) / scale
    if alpha == 2:
        return 0.5 * z * z
    if alpha == -math.inf:
        return -torch.expm1(-0.5 * z * z)
    b = abs(alpha - 2)
    growth = log1p_square(z * b**-0.5)
    return 0.5 * b * growth if alpha == 0 else b / alpha * torch.expm1(0.5 * alpha * growth)


def _barron_relation(alpha: float, scale: float) -> Relation:
    if alpha >= 0:
        return Affine(1.0, -math.log(scale) - float(barron_log_normalizer(torch.tensor(alpha, dtype=torch.float64))))
    limit = 1.0 if alpha == -math.inf else (alpha - 2) / alpha
    return NoLikelihood(
        partial(barron_loss, alpha=alpha, scale=scale),
        f"it never exceeds {limit:.6g}, so exp(-loss) does not fall to 0, and its integral over all targets is infinite.",
        "cauchy",
    )


def _barron(alpha: float, scale: float) -> Likelihood:
    if math.isnan(alpha) or alpha == math.inf:
        raise ValueError(f"alpha={alpha!r}; give a finite number, or -math.inf for Welsch's loss.")
    if alpha < 0:  # of the losses with a likelihood the one nearest to it, which agrees where residuals are small
        return Family(Cauchy, loc=predicted(), scale=ROOT_2 * scale)
    return Family(Barron, loc=predicted(), scale=scale, alpha=alpha)


@register(
    elicits="barron location",
    reference="Barron (2019), arXiv:1701.03077",
    relation=_barron_relation,
    examples=({}, {"alpha": 0.5, "scale": 0.3}, {"alpha": -2.0, "scale": 2.0}),
    aliases=("general_robust", "adaptive_robust", "charbonnier", "pseudo_huber", "reg:pseudohubererror"),
    formula="(b/alpha) ((1 + z²/b)^(alpha/2) - 1), z = (f - y) / scale, b = |alpha - 2|",
    nuisance=("alpha", "scale"),
    compare=False,  # between mse and cauchy, where student_t and huber are tried
)
def barron(alpha: float = 1.0, scale: float = 1.0) -> Likelihood:
    """The target is the prediction plus noise whose tails `alpha` sets, from Gaussian at 2 to heavier than Cauchy's.

    Use it to let the data say how robust a fit must be: learn alpha and scale in nats,
    `NLL(loss("barron").likelihood.learn("alpha", "scale"))`. At alpha = 2 it is half the squared error, at 1 the pseudo-Huber
    (Charbonnier) loss, at 0 Cauchy's. Below 0 it is bounded and no likelihood: -2 is Geman and McClure's loss, -inf
    Welsch's. The smaller alpha, the less far-off targets count; below 1 it is not convex.
    """
    return _barron(alpha, scale)


@register(
    elicits=Functional("Geman-McClure location", *location(partial(barron_score, alpha=-2.0)), unique=False),
    reference="Geman and McClure (1985), Bayesian image analysis; Barron (2019), arXiv:1701.03077",
    relation=partial(_barron_relation, -2.0),
    examples=({}, {"scale": 0.3}),
    aliases=("geman", "geman_mcclure_loss"),
    formula="2 z² / (z² + 4), z = (f - y) / scale",
    nuisance=("scale",),
    compare=False,  # it has no likelihood
)
def geman_mcclure(scale: float = 1.0) -> Likelihood:
    """A far-off target counts at most 2, so no law of the target is assumed.

    Use it when most targets may be far off and only the bulk matters. It is bounded, so exp(-loss) has no finite integral;
    cauchy is the nearest loss that has a likelihood. It is not convex: begin training from another loss.
    """
    return _barron(-2.0, scale)


@register(
    elicits=Functional("Welsch location", *location(partial(barron_score, alpha=-math.inf)), unique=False),
    reference="Dennis and Welsch (1978), Techniques for nonlinear least squares and robust regression; Barron (2019), "
    "arXiv:1701.03077",
    relation=partial(_barron_relation, -math.inf),
    examples=({}, {"scale": 0.3}),
    aliases=("leclerc", "correntropy", "welsch_loss"),
    formula="1 - exp(-z² / 2), z = (f - y) / scale",
    nuisance=("scale",),
    compare=False,  # it has no likelihood
)
def welsch(scale: float = 1.0) -> Likelihood:
    """A far-off target counts at most 1, so no law of the target is assumed.

    Use it as geman_mcclure; targets farther off than a few scales are left out entirely. It is bounded, so exp(-loss) has no
    finite integral; cauchy is the nearest loss that has a likelihood. It is not convex: begin training from another loss.
    """
    return _barron(-math.inf, scale)


@register(
    elicits="epsilon-insensitive location",
    reference="Pontil, Mukherjee and Girosi (2000), doi:10.1007/3-540-40992-0_24; Smola and Schölkopf (2004), "
    "doi:10.1023/B:STCO.0000035301.49549.88",
    relation=lambda epsilon: Affine(1.0, -math.log(2 * (1 + epsilon))),
    examples=({}, {"epsilon": 0.5}),
    aliases=("EpsilonInsensitiveLoss", "svr", "support_vector_regression", "dead_zone"),
    formula="max(0, |f - y| - epsilon)",
    nuisance=("scale", "epsilon"),
    compare=False,  # close to l1
)
def epsilon_insensitive(epsilon: float = 0.1) -> Likelihood:
    """The target is the prediction plus noise that is uniform within `epsilon` and Laplace beyond.

    Use it when errors up to epsilon cost nothing. It does not elicit the median but a prediction with as many targets above
    its band as below, and that may be a whole interval. The scale is 1: give targets in units of the noise, or learn it.
    """
    return Family(EpsilonInsensitive, loc=predicted(), scale=1.0, epsilon=epsilon)


@register(
    elicits="squared epsilon-insensitive location",
    reference="Smola and Schölkopf (2004), doi:10.1023/B:STCO.0000035301.49549.88",
    relation=lambda epsilon: Affine(1.0, -math.log(2 * epsilon + ROOT_PI)),
    examples=({}, {"epsilon": 0.5}),
    aliases=("SquaredEpsilonInsensitiveLoss", "l2_svr"),
    formula="max(0, |f - y| - epsilon)²",
    nuisance=("scale", "epsilon"),
    compare=False,  # close to mse
)
def squared_epsilon_insensitive(epsilon: float = 0.1) -> Likelihood:
    """The target is the prediction plus noise that is uniform within `epsilon` and Gaussian beyond.

    Use it when errors up to epsilon cost nothing and far-off targets should count as they do for mse. With a band wider than
    the data its minimum is a whole interval. The scale is 1, of tails with variance 1/2: give targets in units of the noise,
    or learn it.
    """
    return Family(SquaredEpsilonInsensitive, loc=predicted(), scale=1.0, epsilon=epsilon)
