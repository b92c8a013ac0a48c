"""Constructing a law and evaluating it, value alone and with gradient, against the class of that name in torch or Pyro."""

from collections.abc import Callable, Iterator
from typing import Any

import pyro.distributions as pd
import torch
import torch.distributions as td
from torch import Tensor

from benchmarks.timing import Row, compare
from likelihoods import distributions as D

SIZES = (1, 10_000, 1_000_000)
CLASSES = 5  # of a vector
KNOWN = {"total_count": 20.0, "low": -30.0, "high": 30.0}  # parameters without a gradient

# the peer's package, the parameters by name, each a space of its own, and the space of the values
FAMILIES = {
    "Normal": (td, {"loc": "real", "scale": "positive"}, "real"),
    "Laplace": (td, {"loc": "real", "scale": "positive"}, "real"),
    "StudentT": (td, {"df": "positive", "loc": "real", "scale": "positive"}, "real"),
    "Cauchy": (td, {"loc": "real", "scale": "positive"}, "real"),
    "Gumbel": (td, {"loc": "real", "scale": "positive"}, "real"),
    "Logistic": (pd, {"loc": "real", "scale": "positive"}, "real"),
    "AsymmetricLaplace": (pd, {"loc": "real", "scale": "positive"}, "real"),
    "Uniform": (td, {"low": "known", "high": "known"}, "real"),
    "VonMises": (td, {"loc": "real", "concentration": "positive"}, "real"),
    "Exponential": (td, {"rate": "positive"}, "positive"),
    "Gamma": (td, {"concentration": "positive", "rate": "positive"}, "positive"),
    "InverseGamma": (pd, {"concentration": "positive", "rate": "positive"}, "positive"),
    "LogNormal": (td, {"loc": "real", "scale": "positive"}, "positive"),
    "Weibull": (td, {"scale": "positive", "concentration": "positive"}, "positive"),
    "HalfNormal": (td, {"scale": "positive"}, "positive"),
    "HalfCauchy": (td, {"scale": "positive"}, "positive"),
    "Pareto": (td, {"scale": "small", "alpha": "positive"}, "positive"),
    "GeneralizedPareto": (pd, {"loc": "small", "scale": "positive", "concentration": "positive"}, "positive"),
    "Beta": (td, {"concentration1": "positive", "concentration0": "positive"}, "unit"),
    "Kumaraswamy": (td, {"concentration1": "positive", "concentration0": "positive"}, "unit"),
    "ContinuousBernoulli": (td, {"logits": "real"}, "unit"),
    "Poisson": (td, {"rate": "positive"}, "count"),
    "NegativeBinomial": (td, {"total_count": "positive", "logits": "real"}, "count"),
    "Geometric": (td, {"logits": "real"}, "count"),
    "Binomial": (td, {"total_count": "known", "logits": "real"}, "few"),
    "BetaBinomial": (
        pd,
        {"concentration1": "positive", "concentration0": "positive", "total_count": "known"},
        "few",
    ),
    "Bernoulli": (td, {"logits": "real"}, "binary"),
    "Categorical": (td, {"logits": "reals"}, "class"),
    "OrderedLogistic": (pd, {"predictor": "real", "cutpoints": "ordered"}, "class"),
    "Multinomial": (td, {"total_count": "known", "logits": "reals"}, "counts"),
    "Dirichlet": (td, {"concentration": "positives"}, "simplex"),
    "DirichletMultinomial": (pd, {"concentration": "positives", "total_count": "known"}, "counts"),
}

DRAW: dict[str, Callable[[int], Tensor]] = {
    "real": lambda n: torch.randn(n),
    "positive": lambda n: torch.randn(n).exp(),
    "small": lambda n: torch.rand(n) * 1e-3 + 1e-6,  # below the values
    "reals": lambda n: torch.randn(n, CLASSES),
    "positives": lambda n: torch.randn(n, CLASSES).exp(),
    "ordered": lambda n: torch.arange(CLASSES - 1.0).expand(n, -1).clone(),
    "unit": lambda n: torch.rand(n).clamp(0.01, 0.99),
    "count": lambda n: torch.randn(n).exp().round(),
    "few": lambda n: torch.randint(21, (n,)).float(),
    "binary": lambda n: torch.rand(n).round(),
    "class": lambda n: torch.randint(CLASSES, (n,)),
    "counts": lambda n: torch.full((n, CLASSES), 20.0 / CLASSES),
    "simplex": lambda n: torch.randn(n, CLASSES).softmax(-1),
}

Law = Callable[..., Any]


def mixture_of_ours(logits: Tensor, loc: Tensor, scale: Tensor) -> Any:
    return D.Mixture(logits, D.Normal(loc, scale))


def mixture_of_torch(logits: Tensor, loc: Tensor, scale: Tensor) -> Any:
    return td.MixtureSameFamily(td.Categorical(logits=logits), td.Normal(loc, scale))


# ours, the peer, its name, and as above
COMBINED: dict[str, tuple[Law, Law, str, dict[str, str], str]] = {
    "Mixture of 5 Normal": (
        mixture_of_ours,
        mixture_of_torch,
        "torch.distributions.MixtureSameFamily",
        {"logits": "reals", "loc": "reals", "scale": "positives"},
        "real",
    ),
    "ZeroInflated Poisson": (
        lambda gate, rate: D.ZeroInflated(D.Poisson(rate), gate),
        lambda gate, rate: pd.ZeroInflatedPoisson(rate, gate_logits=gate),
        "pyro.distributions.ZeroInflatedPoisson",
        {"gate": "real", "rate": "positive"},
        "count",
    ),
    "ZeroInflated NegativeBinomial": (
        lambda gate, size, logits: D.ZeroInflated(D.NegativeBinomial(size, logits), gate),
        lambda gate, size, logits: pd.ZeroInflatedNegativeBinomial(size, logits=logits, gate_logits=gate),
        "pyro.distributions.ZeroInflatedNegativeBinomial",
        {"gate": "real", "size": "positive", "logits": "real"},
        "count",
    ),
}


def asymmetric_laplace(loc: Tensor, scale: Tensor) -> Any:
    """Pyro's third parameter is another one than ours; both stay at the symmetric law."""
    return pd.AsymmetricLaplace(loc, scale, 1.0)


def multinomial(total_count: Tensor, logits: Tensor) -> Any:
    """Torch takes one number of trials for all."""
    return td.Multinomial(20, logits=logits)


OTHERWISE = {"AsymmetricLaplace": asymmetric_laplace, "Multinomial": multinomial}


def cases() -> Iterator[tuple[str, Law, Law, str, dict[str, str], str]]:
    """Yield a name, our law, the peer, its name, the parameters and the space of the values."""
    for name, (package, parameters, space) in FAMILIES.items():
        peer = OTHERWISE.get(name) or getattr(package, name)
        yield name, getattr(D, name), peer, f"{package.__name__}.{name}", parameters, space
    for name, combined in COMBINED.items():
        yield name, *combined


def rows() -> Iterator[Row]:
    """Yield two rows for each family and size: the value, and the value with its gradient in the parameters."""
    torch.manual_seed(0)
    for name, ours, theirs, peer, parameters, space in cases():
        for size in SIZES:
            made = {
                key: torch.full((size,), KNOWN[key]) if kind == "known" else DRAW[kind](size).requires_grad_()
                for key, kind in parameters.items()
            }
            y = DRAW[space](size)
            fixed = {key: value.detach() for key, value in made.items()}
            leaves = [value for value in made.values() if value.requires_grad]

            def value(family, fixed=fixed, y=y):
                return lambda: family(**fixed).log_prob(y)

            def slope(family, made=made, y=y, leaves=leaves):
                return lambda: torch.autograd.grad(family(**made).log_prob(y).sum(), leaves)

            rounds = 9 if size > 10_000 else 15
            yield compare(f"{name}, value", peer, size, value(ours), value(theirs), rounds)
            if leaves:
                yield compare(f"{name}, with gradient", peer, size, slope(ours), slope(theirs), rounds)
