"""Losses of a target in an interval: shares, grey values, and shares that add up to 1."""

from __future__ import annotations

from likelihoods.combinators import Mixture
from likelihoods.distributions import Beta, ContinuousBernoulli, Dirichlet, DiscretizedLogistic
from likelihoods.likelihood import Family, Likelihood
from likelihoods.registry import register
from likelihoods.sources import predicted


@register(
    elicits="mean of the logit",
    reference="Ferrari and Cribari-Neto (2004), doi:10.1080/0266476042000214501",
    examples=({}, {"precision": 0.7}, {"precision": 50.0}),
    aliases=("beta_regression", "BetaLoss", "beta_likelihood"),
    formula="log B(φ σ(f), φ σ(-f)) - (φ σ(f) - 1) log y - (φ σ(-f) - 1) log(1 - y), φ = precision",
    nuisance=("precision",),
)
def beta(precision: float = 2.0) -> Likelihood:
    """The target is a share strictly between 0 and 1, whose mean is the sigmoid of the prediction, with a beta law.

    Use it for shares and proportions that never are exactly 0 or 1 (binomial where they are counts of a known number). The
    variance is mean (1 - mean) / (1 + precision). It elicits the mean of log(y / (1 - y)), so sigmoid(prediction) is the mean
    only where the law is right. It is not the beta-NLL of Seitzer and others, a weighted Gaussian loss.
    """
    return Family(Beta, logits=predicted(), precision=precision)


@register(
    elicits="mean",
    reference="Loaiza-Ganem and Cunningham (2019), https://arxiv.org/abs/1907.06845",
    aliases=("continuous_bernoulli_nll", "ContinuousBernoulliLoss", "cont_bernoulli"),
    formula="log((exp(f) - 1) / f) - y f",
)
def continuous_bernoulli() -> Likelihood:
    """The target is between 0 and 1, with a density that rises or falls exponentially from one end to the other.

    Use it for grey values in place of bce_with_logits, to which it adds the normaliser that is missing there. It has no
    parameter for the spread. sigmoid(prediction) is not the mean, which is nearer to 1/2: `.likelihood(raw).mean`. Targets
    in (-1, 1), as from tanh: give (y + 1) / 2.
    """
    return Family(ContinuousBernoulli, logits=predicted())


@register(
    elicits="mean of the logarithms",
    reference="Kotz, Balakrishnan and Johnson (2000), Continuous Multivariate Distributions 1, chapter 49",
    examples=({"classes": 2}, {"classes": 4}),
    aliases=("DirichletLoss", "dirichlet_nll", "dirichlet_regression"),
    formula="Σ_k log Γ(a_k) - log Γ(Σ_k a_k) - Σ_k (a_k - 1) log y_k, a = exp(f)",
    outcome="the shares of all classes, which add up to 1",
    compare=False,  # a vector
)
def dirichlet(classes: int | None = None) -> Likelihood:
    """The target is a vector of positive shares that add up to 1, and the predictions are the logarithms of its concentrations.

    Use it for compositions (time use, diets, mixtures of soils), of shape (..., K) as the predictions. It elicits the mean of
    log y, not of y; a share that is exactly 0 has a density of 0 or infinity. For the probabilities of classes that were
    observed one at a time use cross_entropy.
    """
    return Family(Dirichlet, concentration=predicted("log", size=classes))


def _levels(low: float, high: float, step: float) -> Likelihood:
    return Family(DiscretizedLogistic, loc=predicted(), scale=predicted(), low=low, high=high, step=step)


@register(
    elicits="the law within its family",
    reference="Kingma and others (2016), https://arxiv.org/abs/1606.04934; Salimans and others (2017), https://arxiv.org/abs/1701.05517",
    examples=({"low": 0.0, "high": 15.0, "step": 1.0}, {"low": -1.0, "high": 1.0, "step": 0.25}, {}),
    aliases=("DiscretizedLogisticLoss", "discretised_logistic", "discretized_logistic_nll"),
    formula="-log(S((y + step/2 - f) / s) - S((y - step/2 - f) / s)), S = sigmoid, the ends open, (f, log s) = raw",
    compare=False,  # its levels must be known
)
def discretized_logistic(low: float = 0.0, high: float = 1.0, step: float = 1 / 255) -> Likelihood:
    """The target is a logistic value around the prediction, rounded to the levels low, low + step, …, high and clipped there.

    Raw output holds the location and the logarithm of the scale, in the target's unit, `torch.stack([loc, log_scale], -1)`. Use
    it for 8-bit pixels: the default levels are k/255, as torchvision's ToTensor gives them; low=-1, high=1, step=2/255 after
    tanh, low=0, high=255, step=1 for bytes. Its value is a log-probability: over log(2), the bits of a pixel.
    """
    return _levels(low, high, step)


@register(
    elicits="the law within its family",
    reference="Salimans, Karpathy, Chen and Kingma (2017), https://arxiv.org/abs/1701.05517",
    examples=({"k": 2, "low": 0.0, "high": 15.0, "step": 1.0},),
    aliases=("DiscretizedMixLogisticLoss", "discretized_mix_logistic", "dmol", "mol", "pixelcnn"),
    formula="-log Σ_j softmax(g)_j P(y; f_j, s_j), P as discretized_logistic, (g, f_1, log s_1, f_2, …) = raw",
    compare=False,  # a mixture
)
def discretized_logistic_mixture(k: int = 10, low: float = 0.0, high: float = 1.0, step: float = 1 / 255) -> Likelihood:
    """The target comes from one of k logistic laws, rounded to the levels low, low + step, …, high and clipped there.

    Raw output holds the k log-weights, then location and log-scale of one component after the other: 3k numbers for each
    pixel and channel. Use it for 8-bit pixels that may be one thing or another. The channels of a colour are independent here;
    PixelCNN++ also lets the locations of green and blue depend on red. There is no fallback density: no level is too unlikely.
    """
    return Mixture(_levels(low, high, step), k)
