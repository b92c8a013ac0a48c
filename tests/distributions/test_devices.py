"""Densities of vectors and of laws of laws on the meta device: it has no numbers to ask and no CPU tensors to mix with.

Univariate families are in the battery (checks/protocol.py). What passes here does not wait for a GPU either.
"""

import pytest
import torch

from likelihoods import distributions as D


def zeros(*shape):
    return torch.zeros(*shape, device="meta")


def parameter(*shape):
    return zeros(*shape).requires_grad_()


CASES = {
    "Dirichlet": lambda x, a: (D.Dirichlet(a), zeros(3, 4)),
    "DirichletMultinomial": lambda x, a: (D.DirichletMultinomial(a, 5), zeros(3, 4)),
    "Multinomial": lambda x, a: (D.Multinomial(5, a), zeros(3, 4)),
    "Multinomial of probabilities": lambda x, a: (D.Multinomial(5, probs=a), zeros(3, 4)),
    "VonMisesFisher": lambda x, a: (D.VonMisesFisher(a, x), zeros(3, 4)),
    "VonMisesFisher in 1024 dimensions": lambda x, a: (D.VonMisesFisher(a.repeat(1, 256), x), zeros(3, 1024)),
    "Censored Normal": lambda x, a: (D.Censored(D.Normal(x, 1.0)), zeros(3, 2)),
    "Censored Gamma": lambda x, a: (D.Censored(D.Gamma(x, 1.0)), zeros(3, 2)),
    "Censored LogLogistic": lambda x, a: (D.Censored(D.LogLogistic(x, 1.0)), zeros(3, 2)),
    "Independent": lambda x, a: (D.Normal(a, 1.0).to_event(1), zeros(3, 4)),
    "Joint": lambda x, a: (
        D.Joint({"size": D.Normal(x, 1.0), "number": D.Poisson(x)}, ["size"]),
        {"size": zeros(3), "number": zeros(3)},
    ),
    "Weighted": lambda x, a: (D.Weighted(D.Normal(x, 1.0)), (zeros(3), zeros(3))),
    "Mixture of vectors": lambda x, a: (D.Mixture(a, D.Normal(parameter(3, 4, 2), 1.0).to_event(1)), zeros(3, 2)),
    "Mixture of zero-inflated counts": lambda x, a: (D.Mixture(a, D.ZeroInflated(D.Poisson(a), a)), zeros(3)),
    "Hurdle over a truncated law": lambda x, a: (D.Hurdle(D.Truncated(D.Normal(x, 1.0), 0.0, 2.0), x), zeros(3)),
    "rounded mixture": lambda x, a: (D.Discretized(D.Mixture(a, D.Normal(a, 1.0)), 0.5), zeros(3)),
}


@pytest.mark.parametrize("name", CASES)
def test_density_and_slopes(name, monkeypatch):
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)  # validation asks for numbers
    x, a = parameter(3), parameter(3, 4)
    law, value = CASES[name](x, a)
    density = law.log_prob(value)
    slopes = [slope for slope in torch.autograd.grad(density.sum(), [x, a], allow_unused=True) if slope is not None]
    assert density.shape == (3,)
    assert slopes
    assert {result.device.type for result in (density, *slopes)} == {"meta"}
