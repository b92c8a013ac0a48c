"""Vectors and laws of laws under torch.compile, vmap and grad; univariate families are in the battery."""

import pytest
import torch

from likelihoods import distributions as D

X = torch.tensor([0.5, 1.25, 0.75], dtype=torch.float64)
A = torch.tensor([[0.5, 1.5, 0.75, 1.0], [1.25, 0.5, 2.0, 0.625], [0.5, 0.5, 1.0, 3.0]], dtype=torch.float64)
COUNT, COUNTS = torch.tensor([0.0, 1.0, 2.0]).double(), torch.tensor([[1.0, 2.0, 1.0, 1.0]]).double().expand(3, 4)
ENDS = torch.tensor([[0.0, 1.0], [1.0, 1.0], [2.0, torch.inf]]).double()
UNIT = A / A.norm(dim=-1, keepdim=True)
CASES = {
    "Dirichlet": (lambda x, a: D.Dirichlet(a), A / A.sum(-1, keepdim=True)),
    "DirichletMultinomial": (lambda x, a: D.DirichletMultinomial(a, 5), COUNTS),
    "Multinomial": (lambda x, a: D.Multinomial(5, a), COUNTS),
    "VonMisesFisher": (lambda x, a: D.VonMisesFisher(a / a.norm(dim=-1, keepdim=True), x), UNIT),
    "Censored Normal": (lambda x, a: D.Censored(D.Normal(x, 1.0)), ENDS),
    "Censored Gamma": (lambda x, a: D.Censored(D.Gamma(x, 1.0)), ENDS),
    "Independent": (lambda x, a: D.Normal(a, 1.0).to_event(1), A),
    "Joint": (lambda x, a: D.Joint({"size": D.Normal(x, 1.0), "number": D.Poisson(x)}), {"size": X, "number": COUNT}),
    "Joint, one missing": (
        lambda x, a: D.Joint({"size": D.Normal(x, 1.0), "number": D.Poisson(x)}, ["size"]),
        {"number": COUNT},
    ),
    "Weighted": (lambda x, a: D.Weighted(D.Normal(x, 1.0)), (COUNT, X)),
    "Mixture of vectors": (lambda x, a: D.Mixture(a, D.Normal(a.unsqueeze(-1), 1.0).to_event(1)), X.unsqueeze(-1)),
    "Mixture of zero-inflated counts": (lambda x, a: D.Mixture(a, D.ZeroInflated(D.Poisson(a), a)), COUNT),
    "Hurdle over a truncated law": (lambda x, a: D.Hurdle(D.Truncated(D.Normal(x, 1.0), 0.0, 2.0), x), COUNT),
    "Hurdle over NegativeBinomial": (lambda x, a: D.Hurdle(D.NegativeBinomial(x, x), x), COUNT),
    "rounded mixture": (lambda x, a: D.Discretized(D.Mixture(a, D.Normal(a, 1.0)), 0.5), COUNT),
    "truncated mixture": (lambda x, a: D.Truncated(D.Mixture(a, D.Gamma(a, 1.0)), 0.0, 3.0), X),
}


@pytest.fixture(autouse=True)
def _no_validation(monkeypatch):
    """vmap cannot branch on what validation finds, and the first compilation switches it off for the process."""
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", False)


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # vmap of functions that torch has no rule for
@pytest.mark.parametrize("name", CASES)
def test_traced_and_mapped(name):
    make, value = CASES[name]

    def density(x, a, value):
        return make(x, a).log_prob(value)

    want = density(X, A, value)
    assert want.isfinite().all()
    torch._dynamo.reset()
    compiled = torch.compile(density, fullgraph=True, backend="eager")(X, A, value)
    torch.testing.assert_close(compiled, want, rtol=1e-12, atol=1e-14)
    torch.testing.assert_close(torch.func.vmap(density)(X, A, value), want, rtol=1e-12, atol=1e-14)
    leaves = X.clone().requires_grad_(), A.clone().requires_grad_()
    slopes = torch.autograd.grad(density(*leaves, value).sum(), leaves, allow_unused=True)
    mapped = torch.func.vmap(torch.func.grad(density, argnums=(0, 1)))(X, A, value)
    for got, slope in zip(mapped, slopes, strict=True):
        torch.testing.assert_close(got, torch.zeros_like(got) if slope is None else slope, rtol=1e-9, atol=1e-12)


def test_a_mixture_where_one_component_is_infinite():
    """At 0 a gamma density of concentration 1/2 is infinite, one of 2 is nought, and their mixture is infinite."""
    law = D.Mixture(torch.zeros(2), D.Gamma(torch.tensor([0.5, 2.0]).requires_grad_(), 1.0))
    density = law.log_prob(torch.tensor([0.0, 1.0, -1.0]))
    assert density.tolist()[0] == torch.inf
    assert density.tolist()[2] == -torch.inf
    (slope,) = torch.autograd.grad(density[1:].sum(), law.components.concentration)
    assert slope.isfinite().all()
    gated = D.ZeroInflated(D.Mixture(torch.zeros(2), D.Gamma(torch.tensor([0.5, 2.0]), 1.0)), 0.0)
    assert gated.log_prob(torch.tensor(0.0)) == pytest.approx(-0.6931472)  # an atom there
