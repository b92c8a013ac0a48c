"""Constructing a law and evaluating it, value and gradient, against torch's class of the same name."""

from collections.abc import Iterator

import torch

from benchmarks.timing import Row, compare
from likelihoods import distributions as D

SIZES = (1, 10_000, 1_000_000)

# the parameters by name, each real or positive, and where the values live
CASES = {
    "Normal": ({"loc": "real", "scale": "positive"}, "real"),
    "Laplace": ({"loc": "real", "scale": "positive"}, "real"),
    "StudentT": ({"df": "positive", "loc": "real", "scale": "positive"}, "real"),
    "Cauchy": ({"loc": "real", "scale": "positive"}, "real"),
    "Gumbel": ({"loc": "real", "scale": "positive"}, "real"),
    "Exponential": ({"rate": "positive"}, "positive"),
    "Gamma": ({"concentration": "positive", "rate": "positive"}, "positive"),
    "LogNormal": ({"loc": "real", "scale": "positive"}, "positive"),
    "Weibull": ({"scale": "positive", "concentration": "positive"}, "positive"),
    "HalfNormal": ({"scale": "positive"}, "positive"),
    "HalfCauchy": ({"scale": "positive"}, "positive"),
    "Beta": ({"concentration1": "positive", "concentration0": "positive"}, "unit"),
    "Kumaraswamy": ({"concentration1": "positive", "concentration0": "positive"}, "unit"),
    "ContinuousBernoulli": ({"logits": "real"}, "unit"),
    "Poisson": ({"rate": "positive"}, "count"),
    "NegativeBinomial": ({"total_count": "positive", "logits": "real"}, "count"),
    "Geometric": ({"logits": "real"}, "count"),
    "Bernoulli": ({"logits": "real"}, "binary"),
    "VonMises": ({"loc": "real", "concentration": "positive"}, "real"),
}


def rows() -> Iterator[Row]:
    """Yield a row for each family and size."""
    torch.manual_seed(0)
    for name, (parameters, space) in CASES.items():
        if name not in D.__all__:
            continue
        ours, theirs = getattr(D, name), getattr(torch.distributions, name)
        for size in SIZES:
            made = {}
            for key, kind in parameters.items():
                x = torch.randn(size)
                made[key] = (x if kind == "real" else x.exp()).requires_grad_()
            z = torch.randn(size)
            y = {
                "real": z,
                "positive": z.exp(),
                "unit": z.sigmoid(),
                "count": z.exp().round(),
                "binary": (z > 0).float(),
            }[space]
            leaves = list(made.values())

            def call(family, made=made, y=y, leaves=leaves):
                return lambda: torch.autograd.grad(family(**made).log_prob(y).sum(), leaves)

            yield compare(f"{name}.log_prob", f"torch.distributions.{name}", size, call(ours), call(theirs))
