"""Losses of a real target whose noise is the same everywhere and falls alike on both sides."""

from __future__ import annotations

import math

from likelihoods.distributions import Huber, HyperbolicSecant, Laplace, Normal, StudentT
from likelihoods.distributions.huber import huber_log_normalizer
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.relations import Affine
from likelihoods.sources import predicted

ROOT_HALF = math.sqrt(0.5)


@register(
    elicits="mean",
    reference="Gauss (1809), Theoria motus; Gneiting (2011), doi:10.1198/jasa.2011.r10138",
    relation=lambda scale: Affine(2 * scale**2, -(scale**2) * math.log(2 * math.pi * scale**2)),
    examples=({}, {"scale": 0.3}, {"scale": 4.0}),
    aliases=(
        "MSELoss",
        "l2",
        "squared_error",
        "mean_squared_error",
        "least_squares",
        "gaussian",
        "normal",
        "quadratic",
        "regression_l2",
        "reg:squarederror",
    ),
    formula="(f - y)²",
    nuisance=("scale",),
)
def mse(scale: float = ROOT_HALF) -> Likelihood:
    """The target is the prediction plus Gaussian noise, whose standard deviation is the same everywhere.

    Use it when errors add up from many small causes, and when the mean is what you want: it elicits the mean under any law
    with a finite variance. A few far-off targets pull it as hard as they are far; then try huber, student_t or l1. The scale
    does not change the loss, only its reading in nats; the default, sqrt(1/2), makes the loss the NLL up to a constant.
    """
    return Family(Normal, loc=predicted(), scale=scale)


@register(
    elicits="median",
    reference="Laplace (1774); Koenker and Bassett (1978), doi:10.2307/1913643",
    relation=lambda scale: Affine(scale, -scale * math.log(2 * scale)),
    examples=({}, {"scale": 0.3}, {"scale": 4.0}),
    aliases=(
        "L1Loss",
        "mae",
        "absolute_error",
        "mean_absolute_error",
        "laplace",
        "least_absolute_deviations",
        "regression_l1",
        "reg:absoluteerror",
    ),
    formula="|f - y|",
    nuisance=("scale",),
)
def l1(scale: float = 1.0) -> Likelihood:
    """The target is the prediction plus Laplace noise, which is often small and sometimes large.

    Use it when the median is what you want, or when far-off targets are common. The scale does not change the loss, only
    its reading in nats.
    """
    return Family(Laplace, loc=predicted(), scale=scale)


@register(
    elicits="huber location",
    reference="Huber (1964), doi:10.1214/aoms/1177703732",
    relation=lambda delta: Affine(1.0, -huber_log_normalizer(delta)),
    examples=({}, {"delta": 0.3}, {"delta": 5.0}),
    aliases=("HuberLoss",),
    formula="(f - y)² / 2 where |f - y| <= delta, delta (|f - y| - delta/2) beyond",
    nuisance=("scale", "delta"),
)
def huber(delta: float = 1.0) -> Likelihood:
    """The target is the prediction plus noise, Gaussian within `delta` and Laplace beyond.

    Use it when most errors are Gaussian and a share of the targets is far off. The scale is 1: give targets in units of the
    noise, or learn both scale and delta (`NLL` of the likelihood), with delta in units of the scale.
    """
    return Family(Huber, loc=predicted(), scale=1.0, delta=delta)


@register(
    elicits="huber location",
    reference="Girshick (2015), doi:10.1109/ICCV.2015.169; Huber (1964), doi:10.1214/aoms/1177703732",
    relation=lambda beta: Affine(1.0, -huber_log_normalizer(math.sqrt(beta)) - 0.5 * math.log(beta)),
    examples=({}, {"beta": 0.1}, {"beta": 3.0}),
    aliases=("SmoothL1Loss",),
    formula="(f - y)² / (2 beta) where |f - y| <= beta, |f - y| - beta/2 beyond",
    nuisance=("scale", "delta"),
    compare=False,  # with its nuisance learned it is huber
)
def smooth_l1(beta: float = 1.0) -> Likelihood:
    """The target is the prediction plus noise, Gaussian within `beta` and Laplace with scale 1 beyond.

    Use it as huber, whose loss it is after a division by beta: another reading of the same family, at scale sqrt(beta).
    `beta` must be positive; at 0 the loss is l1.
    """
    if not beta > 0:
        raise ValueError(f"beta={beta}: it must be positive. With beta=0 the loss is l1: write loss('l1').")
    return Family(Huber, loc=predicted(), scale=math.sqrt(beta), delta=math.sqrt(beta))


@register(
    elicits="log-cosh location",
    reference="Saleh and Saleh (2022), arXiv:2208.04564; Baten (1934), doi:10.1090/S0002-9904-1934-05852-X",
    relation=Affine(1.0, -math.log(math.pi)),
    aliases=("logcosh", "log_cosh_error", "hyperbolic_secant"),
    formula="log cosh(f - y)",
    nuisance=("scale",),
)
def log_cosh() -> Likelihood:
    """The target is the prediction plus hyperbolic-secant noise, Gaussian in the middle with tails as a Laplace law.

    Use it as a smooth huber that has no threshold to set. The scale is 1: give targets in units of the noise, or learn it.
    """
    return Family(HyperbolicSecant, loc=predicted(), scale=1.0)


@register(
    elicits="student-t location",
    reference="Lange, Little and Taylor (1989), doi:10.1080/01621459.1989.10478852",
    examples=({}, {"df": 1.5}, {"df": 30.0, "scale": 0.2}),
    aliases=("t", "StudentTLoss", "student_t_nll", "robust_t"),
    formula="-log t((f - y) / scale; df) + log scale",
    nuisance=("df", "scale"),
)
def student_t(df: float = 4.0, scale: float = 1.0) -> Likelihood:
    """The target is the prediction plus Student-t noise, whose tails are heavy: far-off targets are expected.

    Use it when some targets are far off and should then count for little. It is not convex: begin training from another
    loss, or with a large df. Its location may not be unique where the data have two humps.
    """
    return Family(StudentT, df=df, loc=predicted(), scale=scale)
