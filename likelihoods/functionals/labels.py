"""What the losses of a label elicit."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from likelihoods.functionals.functional import Functional

INSIDE = 1e-13  # how near to 0 or 1 a probability is looked for


def _class_probabilities(
    values: Tensor,
    weights: Tensor,
    weight: Any = None,
    label_smoothing: float = 0.0,
    smoothing: float = 0.0,
    over: str = "all",
    padding: int | None = None,
    **options: Any,
) -> Tensor:
    """Return the probabilities of the classes, smoothed and tilted as the options say."""
    classes = int(values.max()) + 1
    shares = torch.zeros(classes, dtype=weights.dtype).index_add(0, values.long(), weights)
    proper = torch.ones_like(shares)
    if padding is not None:
        proper[padding] = 0.0
        shares = shares * proper / (shares * proper).sum()
    if over == "all":
        shares = (1 - smoothing) * shares + smoothing * proper / proper.sum()
    else:
        shares = (1 - smoothing) * shares + smoothing * (proper - shares) / (proper.sum() - 1)
    shares = (1 - label_smoothing) * shares + label_smoothing / classes
    tilted = shares if weight is None else shares * torch.as_tensor(weight, dtype=weights.dtype)
    return tilted / tilted.sum()


def _mean_vector(values: Tensor, weights: Tensor, weight: Any = None, **options: Any) -> Tensor:
    """Return the mean of probability vectors ``(n, K)``, as the options read them, tilted by class weights."""
    if options.get("log_target"):
        values = values.exp()
    if "temperature" in options:
        values = (values / options["temperature"]).softmax(-1)
    smoothing = options.get("label_smoothing", 0.0)
    mean: Tensor = (1 - smoothing) * (weights @ values) + smoothing / values.shape[-1]
    tilted = mean if weight is None else mean * torch.as_tensor(weight, dtype=weights.dtype)
    return tilted / tilted.sum()


def _tilted_probability(values: Tensor, weights: Tensor, pos_weight: float | None = None, **options: Any) -> Tensor:
    tilt = 1.0 if pos_weight is None else pos_weight
    positive = tilt * (weights * values).sum()
    return positive / (positive + (weights * (1 - values)).sum())


def _marginals(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return weights @ values


def _law_probabilities(law: Any) -> Tensor:
    probabilities: Tensor = law.probs
    return probabilities


def _last_probability(law: Any) -> Tensor:
    probabilities: Tensor = law.probs
    return probabilities[..., -1]


def _label(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return values[weights.argmax()]


def _top_share(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return weights[values == values.max()].sum()


def _squared_hinge(values: Tensor, weights: Tensor, margin: float = 1.0, **options: Any) -> Tensor:
    """The score margin (2π - 1) has the log-odds 4 margin score under the law normalised over both labels."""
    return (4 * margin**2 * (2 * _top_share(values, weights) - 1)).sigmoid()


def _exponential(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    """The score is half the log-odds, and twice its hyperbolic sine the log-odds under the law normalised over both labels."""
    share = _top_share(values, weights)
    return ((2 * share - 1) / (share * (1 - share)).sqrt()).sigmoid()


def _focal_ratio(share: float, gamma: float) -> float:
    """Return h(v): at the minimum of the expected focal loss the weighted probabilities are in proportion to it."""
    rest = 1 - share
    return share / float(rest**gamma - gamma * rest ** (gamma - 1) * share * math.log(share))


def _focal_shares(probabilities: list[float], gamma: float) -> list[float]:
    """Return the softmax outputs at the minimum, given class probabilities times class weights."""
    from scipy import optimize

    def inverse(height: float) -> float:
        if height >= _focal_ratio(1 - INSIDE, gamma):
            return 1.0
        return float(
            optimize.brentq(
                lambda v: math.log(_focal_ratio(v, gamma) / height), INSIDE, 1 - INSIDE, xtol=1e-15, rtol=1e-14
            )
        )

    def excess(log_scale: float) -> float:
        return sum(inverse(math.exp(log_scale) * p) for p in probabilities) - 1

    scale = math.exp(optimize.brentq(excess, -10.0, 10.0, xtol=1e-14, rtol=1e-14))
    return [inverse(scale * p) for p in probabilities]


def _focal_law(probabilities: Tensor, alpha: Tensor, gamma: float) -> Tensor:
    """Return the law normalised over the labels, p ** (alpha (1 - p) ** gamma) made to sum to 1, at the minimum."""
    shares = torch.tensor(_focal_shares((probabilities * alpha).tolist(), gamma), dtype=probabilities.dtype)
    masses = shares ** (alpha * (1 - shares) ** gamma)
    return masses / masses.sum()


def _binary_focal(values: Tensor, weights: Tensor, gamma: float, alpha: float | None, **options: Any) -> Tensor:
    share = _top_share(values, weights)
    balance = weights.new_tensor([1.0, 1.0] if alpha is None else [1 - alpha, alpha])
    return _focal_law(torch.stack([1 - share, share]), balance, gamma)[1]


def _focal(values: Tensor, weights: Tensor, gamma: float, alpha: Any = None, **options: Any) -> Tensor:
    shares = _class_probabilities(values, weights)
    balance = torch.ones_like(shares) if alpha is None else torch.as_tensor(alpha, dtype=shares.dtype)
    return _focal_law(shares, balance, gamma)


def _ordinal_location(values: Tensor, weights: Tensor, link: str, cutpoints: Any, **options: Any) -> Tensor:
    """Return where the expected log-mass of the intervals between the cutpoints is largest."""
    from scipy import optimize, stats

    noise = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}[link]
    edges = [-math.inf, *(float(cut) for cut in cutpoints), math.inf]

    def loss(location: float) -> float:
        cells = [(low - location, high - location) for low, high in pairwise(edges)]
        masses = [max(noise.cdf(b) - noise.cdf(a), noise.sf(a) - noise.sf(b)) for a, b in cells]
        return -sum(float(w) * math.log(masses[int(v)]) for v, w in zip(values, weights, strict=True))

    def slope(location: float, step: float = 1e-3) -> float:
        ends = [loss(location + k * step) for k in (1, -1, 2, -2)]
        return (8 * (ends[0] - ends[1]) - (ends[2] - ends[3])) / (12 * step)

    return weights.new_tensor(optimize.brentq(slope, -3.0, 3.0, xtol=1e-12))


def _law_predictor(law: Any) -> Tensor:
    predictor: Tensor = law.predictor
    return predictor


def _continuation(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    """Return the class probabilities by way of the hazards: those who go on among those who came so far."""
    shares = _class_probabilities(values, weights)
    reached = shares.flip(0).cumsum(0).flip(0)
    going = reached[1:] / reached[:-1]
    one = going.new_ones(1)
    return torch.cat([one, going.cumprod(0)]) * torch.cat([1 - going, one])


def _best_mask(values: Tensor, weights: Tensor, smooth: float, squared: bool, **options: Any) -> Tensor:
    """Return the mask, of numbers from 0 to 1, whose expected loss is smallest: a search from the best of the hard masks."""
    from scipy import optimize

    flat = values.flatten(1)
    masks = torch.cartesian_prod(*[flat.new_tensor([0.0, 1.0])] * flat.shape[1]).reshape(-1, flat.shape[1])

    def loss(mask: Tensor) -> Tensor:
        sizes = (mask**2 if squared else mask).sum(-1, keepdim=True) + flat.sum(1)
        return (1 - (2 * mask @ flat.T + smooth) / (sizes + smooth)) @ weights

    def value(mask: Any) -> tuple[float, Any]:
        leaf = torch.tensor(mask, requires_grad=True)
        found = loss(leaf)
        return found.item(), torch.autograd.grad(found, leaf)[0].numpy()

    starts = [*masks[loss(masks).argsort()[:3]], weights @ flat]
    box = [(0.0, 1.0)] * flat.shape[1]
    with torch.enable_grad():
        found = [
            optimize.minimize(value, start.numpy(), jac=True, bounds=box, options={"ftol": 0.0, "gtol": 1e-12})
            for start in starts
        ]
    best = min(found, key=lambda result: float(result.fun)).x
    return flat.new_tensor(best).reshape(values.shape[1:])


def _linear_probabilities(values: Tensor, weights: Tensor, class_weight: Any = None, **options: Any) -> Tensor:
    return _class_probabilities(values, weights, class_weight, options["label_smoothing"])


def _no_number(values: Tensor, weights: Tensor, **options: Any) -> Tensor:
    return weights.new_tensor(torch.nan)


def _unbounded(law: Any) -> Tensor:
    raise NotImplementedError("the expected loss has no minimum, or not one alone")


LABELS = (
    Functional("label", _label, lambda law: law.mode),
    Functional("probability of 1", _tilted_probability, lambda law: law.mean),
    Functional("probability of the label 1", _top_share, _last_probability),
    Functional("squared-hinge probability", _squared_hinge, _last_probability),
    Functional("exponential-loss probability", _exponential, _last_probability),
    Functional("binary focal probability", _binary_focal, _last_probability),
    Functional("class probabilities", _class_probabilities, _law_probabilities),
    Functional("class probabilities of a linear layer", _linear_probabilities, _law_probabilities),
    Functional("no named feature", _no_number, _unbounded),
    Functional("mean of the probability vectors", _mean_vector, _law_probabilities),
    Functional("focal probabilities", _focal, _law_probabilities),
    Functional("marginal probabilities", _marginals, lambda law: law.mean),
    Functional("hazards", _continuation, _law_probabilities),
    Functional("mask of the best expected Dice", _best_mask, lambda law: law.mean),
    Functional("ordinal location", _ordinal_location, _law_predictor),
)
