"""Likelihoods that decoders are given, with data that they allow."""

import torch

import likelihoods as lk

D, F, P = lk.distributions, lk.Family, lk.predicted


def _between(shape):
    return torch.rand(shape, dtype=torch.float64) * 0.98 + 0.01


def _counts(high):
    return lambda shape: torch.randint(high, shape).double()


def _mixed(shape):
    age = torch.randn(shape[:1], dtype=torch.float64)
    age[0] = torch.nan
    return {"age": age, "visits": torch.randint(5, shape[:1]).double(), "kind": torch.randint(3, shape[:1])}


def per_pixel():
    """By name: the likelihood of one pixel and what makes data of a shape."""
    logistic = F(D.DiscretizedLogistic, loc=P(), scale=P(), low=0.0, high=15.0)
    return {
        "bernoulli": (F(D.Bernoulli, logits=P()), _counts(2)),
        "continuous bernoulli": (F(D.ContinuousBernoulli, logits=P()), _between),
        "normal, fixed scale": (F(D.Normal, loc=P(), scale=0.3), torch.randn),
        "normal, learned scale": (F(D.Normal, loc=P(), scale=lk.learned(0.5)), torch.randn),
        "normal, scale a pixel": (F(D.Normal, loc=P(), scale=P("softplus")), torch.randn),
        "laplace": (F(D.Laplace, loc=P(), scale=0.7), torch.randn),
        "student t": (F(D.StudentT, df=lk.learned(4.0), loc=P(), scale=P()), torch.randn),
        "discretized logistic": (logistic, _counts(16)),
        "mixture of discretized logistics": (lk.Mixture(logistic, 3), _counts(16)),
        "discretized normal": (lk.Discretized(F(D.Normal, loc=P(), scale=P()), 1.0, 0.0, 15.0), _counts(16)),
        "categorical": (F(D.Categorical, logits=P(size=16)), lambda shape: torch.randint(16, shape)),
        "beta": (F(D.Beta, logits=P(), precision=P()), _between),
        "beta-binomial": (F(D.BetaBinomial, logits=P(), precision=P(), total_count=15.0), _counts(16)),
        "poisson": (F(D.Poisson, rate=P()), _counts(9)),
        "negative binomial": (F(D.NegativeBinomial, mean=P(), dispersion=lk.learned()), _counts(9)),
        "zero-inflated negative binomial": (
            lk.ZeroInflated(F(D.NegativeBinomial, mean=P(), dispersion=P())),
            _counts(9),
        ),
        "hurdle poisson": (lk.Hurdle(F(D.Poisson, rate=P())), _counts(9)),
    }


def whole(pixels):
    """By name: a likelihood of a whole datum and what makes ``n`` of them."""
    found = {
        name: (lk.Independent(pixel, (pixels,)), lambda n, make=make: make((n, pixels)))
        for name, (pixel, make) in per_pixel().items()
    }
    columns = lk.Joint(
        {
            "age": F(D.Normal, loc=P(), scale=P()),
            "visits": F(D.NegativeBinomial, mean=P(), dispersion=lk.learned()),
            "kind": F(D.Categorical, logits=P(size=3)),
        },
        optional=["age"],
    )
    found["mixed columns"] = (columns, lambda n: _mixed((n,)))
    return found
