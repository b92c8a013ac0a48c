"""Likelihoods made of likelihoods: widths and layouts of raw, R's zero-inflated and hurdle fits, arrays, weights, names."""

from __future__ import annotations

import copy
import math
import pickle

import pytest
import torch

import likelihoods as lk
from likelihoods import distributions as D
from likelihoods.selection.fit import fit
from tests import reference

POISSON = lk.Family(D.Poisson, rate=lk.predicted())
NORMAL = lk.Family(D.Normal, loc=lk.predicted(), scale=lk.predicted())
COUNTS = lk.Family(D.NegativeBinomial, mean=lk.predicted("log"), dispersion=lk.learned(1.0))


# Mixture


def test_a_mixture_takes_its_logits_first_then_one_component_after_the_other():
    raw = torch.randn(5, 9, dtype=torch.float64)
    law = lk.Mixture(NORMAL, 3)(raw)
    weights = raw[:, :3].softmax(-1)
    y = torch.randn(5, dtype=torch.float64)
    parts = [D.Normal(raw[:, 3 + 2 * k], raw[:, 4 + 2 * k].exp()).log_prob(y).exp() for k in range(3)]
    want = sum(weights[:, k] * parts[k] for k in range(3)).log()
    assert torch.allclose(law.log_prob(y), want, rtol=1e-13)
    assert torch.allclose(lk.NLL(lk.Mixture(NORMAL, 3))(raw, y), -want.mean())


def test_a_mixture_of_images_and_its_gradient():
    raw = torch.randn(2, 4, 3, 6, requires_grad=True)
    likelihood = lk.Mixture(NORMAL, 2)
    likelihood.log_prob(raw, torch.randn(2, 4, 3)).sum().backward()
    assert raw.grad.shape == raw.shape
    assert bool(raw.grad.isfinite().all())
    assert likelihood(raw).sample().shape == (2, 4, 3)


def test_what_the_base_learns_is_shared_by_the_components_and_a_vector_is_not():
    shared = lk.Mixture(lk.Family(D.Normal, loc=lk.predicted(), scale=lk.learned(2.0)), 3)
    assert shared.width == 6
    assert sum(p.numel() for p in shared.parameters()) == 1
    assert torch.allclose(shared(torch.zeros(4, 6)).components.scale, torch.tensor(2.0))
    own = lk.Mixture(lk.Family(D.Normal, loc=lk.predicted(), scale=torch.tensor([1.0, 2.0, 3.0])), 3)
    wide = own.log_prob(torch.zeros(3, 6), torch.zeros(3))
    want = torch.stack([D.Normal(0.0, s).log_prob(torch.zeros(())).exp() for s in (1.0, 2.0, 3.0)]).mean().log()
    assert torch.allclose(wide, want.expand(3))


def test_values_that_no_component_allows_give_slope_nought():
    raw = torch.randn(3, 6, requires_grad=True)
    likelihood = lk.Mixture(lk.Family(D.Gamma, concentration=lk.predicted(), rate=lk.predicted()), 2)
    values = likelihood.log_prob(raw, torch.tensor([-1.0, 1.0, math.inf]))
    assert values[0] == values[2] == -math.inf
    values.sum().backward()
    assert bool(raw.grad.isfinite().all())
    assert float(raw.grad[0].abs().max()) == 0.0


def test_far_in_the_tail_a_mixture_has_finite_slopes():
    for dtype, far in ((torch.float32, 1e12), (torch.float64, 1e100)):
        raw = torch.randn(2, 6, dtype=dtype, requires_grad=True)
        value = lk.Mixture(NORMAL, 2).log_prob(raw, torch.full((2,), far, dtype=dtype))
        (slope,) = torch.autograd.grad(value.sum(), raw)
        assert bool(value.isfinite().all())
        assert bool(slope.isfinite().all())


def test_a_mixture_refuses_what_it_cannot_place():
    with pytest.raises(TypeError, match="predicted\\(size=K\\)"):
        lk.Mixture(lk.Family(D.Categorical, logits=lk.predicted()), 2)
    with pytest.raises(ValueError, match="number of components"):
        lk.Mixture(NORMAL, 0)
    with pytest.raises(ValueError, match="no place for the logits"):
        lk.Mixture(lk.Independent(NORMAL, 1), 2)
    with pytest.raises(TypeError, match="no single tensors"):
        lk.Mixture(lk.Joint({"a": NORMAL}), 2)
    with pytest.raises(ValueError, match="end in the number of components"):
        D.Mixture(torch.zeros(3), D.Normal(torch.zeros(2), 1.0))


class OnlyDensity(torch.distributions.Distribution):
    """A user's own class: a log_prob, and no distribution function."""

    arg_constraints = {"loc": torch.distributions.constraints.real}
    support = torch.distributions.constraints.real

    def __init__(self, loc, validate_args=None):
        self.loc = loc
        super().__init__(loc.shape, validate_args=False)

    def expand(self, batch_shape, _instance=None):
        return OnlyDensity(self.loc.expand(batch_shape))

    def log_prob(self, value):
        return D.Normal(self.loc, 1.0).log_prob(value)

    def sample(self, sample_shape=()):
        return D.Normal(self.loc, 1.0).sample(sample_shape)


def test_a_users_density_works_where_no_distribution_function_is_needed():
    own, ours = (lk.Family(f, loc=lk.predicted(), **k) for f, k in ((OnlyDensity, {}), (D.Normal, {"scale": 1.0})))
    raw, y = torch.randn(4, 4), torch.randn(4)
    assert torch.allclose(lk.Mixture(own, 2).log_prob(raw, y), lk.Mixture(ours, 2).log_prob(raw, y))
    assert torch.allclose(lk.Hurdle(own).log_prob(raw[:, :2], y), lk.Hurdle(ours).log_prob(raw[:, :2], y))
    mixture = lk.Mixture(own, 2)(raw)
    assert mixture.sample((3,)).shape == (3, 4)
    for law in (mixture, lk.Hurdle(own)(raw[:, :2])):
        for ask in (law.cdf, law.log_cdf, law.log_sf, law.icdf):
            with pytest.raises(NotImplementedError, match=r"OnlyDensity has no .*likelihoods.distributions"):
                ask(torch.full((4,), 0.5))


# Zero-inflated and hurdle laws


def chemists():
    table = reference.table("count/bioChemists")
    y = torch.tensor(table["art"].to_numpy(), dtype=torch.float64)
    columns = [(table["fem"] == "Women"), (table["mar"] == "Married"), table["kid5"], table["phd"], table["ment"]]
    X = torch.stack([torch.tensor(c.to_numpy(), dtype=torch.float64) for c in columns], -1)
    return X, y, reference.fits("r")


@pytest.mark.parametrize(
    ("name", "make", "base"),
    [
        ("bioChemists_zip", lk.ZeroInflated, POISSON),
        ("bioChemists_zinb", lk.ZeroInflated, COUNTS),
        ("bioChemists_hurdle_poisson", lk.Hurdle, POISSON),
        ("bioChemists_hurdle_nb", lk.Hurdle, COUNTS),
    ],
)
def test_fits_are_those_of_r(name, make, base):
    """pscl::zeroinfl and pscl::hurdle; the latter reports the log-odds of a positive count."""
    X, y, fits = chemists()
    want = fits[name]
    found = fit(make(base), X, y)
    assert found.converged
    assert -found.nll * len(y) == pytest.approx(want["loglik"], abs=1e-6)
    names = ["(Intercept)", "femWomen", "marMarried", "kid5", "phd", "ment"]
    sign = -1.0 if make is lk.Hurdle else 1.0
    for j, column in enumerate(names):
        for part, k, factor in (("zero_", 0, sign), ("count_", 1, 1.0)):
            expected, error = want["estimates"][part + column], want["std_errors"][part + column]
            assert factor * float(found.coefficients[j, k]) == pytest.approx(expected, abs=1e-4 * error)
    if "log_theta" in want["estimates"]:
        dispersion = float(found.likelihood(torch.zeros(1, 2, dtype=torch.float64)).base.dispersion.detach())
        assert -math.log(dispersion) == pytest.approx(want["estimates"]["log_theta"], abs=1e-4)


def test_a_gate_comes_first_and_is_the_probability_of_a_zero():
    raw = torch.tensor([[1.0, 0.5]])
    inflated, hurdle = lk.ZeroInflated(POISSON)(raw), lk.Hurdle(POISSON)(raw)
    gate, zero = torch.sigmoid(raw[:, 0]), torch.exp(-raw[:, 1].exp())
    assert torch.allclose(inflated.log_prob(torch.zeros(1)).exp(), gate + (1 - gate) * zero)
    assert torch.allclose(hurdle.log_prob(torch.zeros(1)).exp(), gate)


def test_the_two_part_model_is_a_bernoulli_law_and_a_positive_one():
    likelihood = lk.Hurdle(lk.Family(D.Gamma, concentration=lk.predicted(), rate=lk.predicted()))
    raw = torch.randn(6, 3, dtype=torch.float64)
    y = torch.tensor([0.0, 0.0, 1.0, 2.5, 0.0, 1e-3], dtype=torch.float64)
    positive = y > 0
    gate = D.Bernoulli(logits=-raw[:, 0]).log_prob(positive.double())
    amount = D.Gamma(raw[:, 1].exp(), raw[:, 2].exp()).log_prob(torch.where(positive, y, 1.0))
    assert torch.allclose(likelihood.log_prob(raw, y), gate + torch.where(positive, amount, 0.0))
    law = likelihood(raw)
    assert law.atoms == (0.0,)
    assert not law.support.is_discrete
    assert bool(law.support.check(y).all())
    with pytest.raises(ValueError, match="impossible"):
        likelihood.check(torch.tensor([0.0, -1.0]))
    likelihood.check(y)


def test_a_hurdle_keeps_its_digits_at_tiny_rates():
    raw = torch.tensor([[0.0, -60.0]], dtype=torch.float64, requires_grad=True)
    value = lk.Hurdle(POISSON).log_prob(raw, torch.ones(1, dtype=torch.float64))
    (slope,) = torch.autograd.grad(value.sum(), raw)
    assert value.item() == pytest.approx(math.log(0.5), rel=1e-15)  # given that it is not 0, the count is 1
    assert abs(float(slope[0, 1])) < 1e-15


# Arrays


def test_independent_has_a_row_of_raw_for_each_element_or_one_for_all():
    y = torch.randn(5, 3)
    raw = torch.randn(5, 3, 2)
    want = NORMAL.log_prob(raw, y).sum(-1)
    rows, whole = lk.Independent(NORMAL, 1), lk.Independent(NORMAL, (3,))
    assert (rows.width, rows.rank, rows.shared) == (2, 1, 1)
    assert (whole.width, whole.rank, whole.shared) == (6, 1, 0)
    assert torch.allclose(rows.log_prob(raw, y), want)
    assert torch.allclose(whole.log_prob(raw.reshape(5, 6), y), want)
    assert lk.NLL(rows, "none")(raw, y).shape == (5,)
    pixels = lk.Independent(lk.Family(D.Categorical, logits=lk.predicted()), 2)
    assert pixels.log_prob(torch.randn(5, 4, 4, 7), torch.randint(7, (5, 4, 4))).shape == (5,)
    learned = lk.Independent(lk.Family(D.Normal, loc=0.0, scale=lk.learned()), 1)
    assert learned(torch.zeros(5, 3, 0)).log_prob(y).shape == (5,)
    for likelihood in (rows, whole):
        likelihood.check(y)
        with pytest.raises(ValueError, match="row 1"):
            likelihood.check(torch.tensor([[0.0, 0.0, 0.0], [0.0, math.nan, 0.0]]))
    with pytest.raises(ValueError, match="raw must have shape \\(5, 3, 2\\)"):
        rows.log_prob(torch.randn(5, 2), y)
    with pytest.raises(ValueError, match="dims=0"):
        lk.Independent(NORMAL, 0)


def test_a_mixture_of_arrays_is_one_choice_for_all_elements():
    likelihood = lk.Mixture(lk.Independent(NORMAL, (3,)), 2)
    assert likelihood.width == 14
    raw, y = torch.randn(5, 14, dtype=torch.float64), torch.randn(5, 3, dtype=torch.float64)
    parts = [lk.Independent(NORMAL, (3,)).log_prob(raw[:, 2 + 6 * k : 8 + 6 * k], y) for k in range(2)]
    want = torch.logsumexp(raw[:, :2].log_softmax(-1) + torch.stack(parts, -1), -1)
    assert torch.allclose(likelihood.log_prob(raw, y), want)
    law = likelihood(raw)
    assert law.sample((7,)).shape == (7, 5, 3)
    assert law.mean.shape == law.variance.shape == (5, 3)


# Weights


def test_weights_come_with_the_targets_or_beforehand():
    raw, y, w = torch.randn(4, 2), torch.randn(4), torch.tensor([1.0, 0.0, 2.5, 3.0])
    want = w * NORMAL.log_prob(raw, y)
    given, fixed = lk.targets.Weighted(NORMAL), lk.targets.Weighted(NORMAL, w)
    assert torch.allclose(given.log_prob(raw, (y, w)), want)
    assert torch.allclose(fixed.log_prob(raw, y), want)
    assert torch.allclose(lk.NLL(given)(raw, (y, w)), -want.mean())
    given.check((y, w))
    with pytest.raises(TypeError, match="pair \\(value, weight\\)"):
        given.log_prob(raw, y)
    with pytest.raises(ValueError, match="one weight a target"):
        given.log_prob(raw, (y, w[:, None]))
    with pytest.raises(ValueError, match="not negative"):
        given.check((y, -w))
    with pytest.raises(NotImplementedError, match="no law"):
        given(raw).sample()


def test_a_weight_of_nought_leaves_an_impossible_target_out():
    raw = torch.randn(2, 1, requires_grad=True)
    value = lk.targets.Weighted(POISSON).log_prob(raw, (torch.tensor([-1.0, 2.0]), torch.tensor([0.0, 1.0])))
    assert value[0] == 0.0
    value.sum().backward()
    assert float(raw.grad[0]) == 0.0
    assert bool(raw.grad.isfinite().all())


def test_repetitions_are_weights():
    """A weight of n is the likelihood of n equal rows: the fit is the same."""
    y = torch.tensor([0.0, 1.0, 4.0], dtype=torch.float64)
    w = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    raw = torch.full((3, 1), 0.3, dtype=torch.float64)
    many = y.repeat_interleave(w.long())
    weighted = lk.targets.Weighted(POISSON).log_prob(raw, (y, w)).sum()
    assert torch.allclose(weighted, POISSON.log_prob(raw[:1].expand(6, 1), many).sum())


# Names


JOINT = lk.Joint(
    {"size": NORMAL, "number": lk.ZeroInflated(POISSON), "kind": lk.Family(D.Bernoulli, logits=lk.predicted())}
)


def test_a_joint_likelihood_adds_log_densities_and_widths():
    raw = torch.randn(4, 5)
    y = {"size": torch.randn(4), "number": torch.tensor([0.0, 1.0, 2.0, 0.0]), "kind": torch.tensor([0, 1, 1, 0])}
    parts = [NORMAL.log_prob(raw[:, :2], y["size"]), lk.ZeroInflated(POISSON).log_prob(raw[:, 2:4], y["number"])]
    parts += [D.Bernoulli(logits=raw[:, 4]).log_prob(y["kind"])]
    assert JOINT.width == 5
    assert torch.allclose(JOINT.log_prob(raw, y), sum(parts))
    assert torch.allclose(lk.NLL(JOINT)(raw, y), -sum(parts).mean())
    JOINT.check(y)
    law = JOINT(raw)
    sample = law.sample((3,))
    assert {name: value.shape for name, value in sample.items()} == dict.fromkeys(y, (3, 4))
    assert law.log_prob(sample).shape == (3, 4)
    assert set(law.mean) == set(y)
    assert bool(law.support.check(sample).all())
    with pytest.raises(ValueError, match="'number': 1 of 4 targets"):
        JOINT.check(y | {"number": torch.tensor([0.0, 1.0, 0.5, 0.0])})


def test_missing_targets_are_integrated_out_only_where_that_was_asked():
    parts = {"a": NORMAL, "b": lk.Independent(NORMAL, (2,))}
    some = lk.Joint(parts, optional=["a", "b"])
    raw = torch.randn(3, 6, requires_grad=True)
    a, b = torch.tensor([0.0, math.nan, 1.0]), torch.tensor([[0.0, 1.0], [math.nan] * 2, [0.0, 2.0]])
    value = some.log_prob(raw, {"a": a, "b": b})
    assert value[1] == 0.0
    (slope,) = torch.autograd.grad(value.sum(), raw)
    assert bool(slope.isfinite().all())
    assert float(slope[1].abs().max()) == 0.0
    assert torch.allclose(some.log_prob(raw, {"b": b})[[0, 2]], parts["b"].log_prob(raw[:, 2:], b)[[0, 2]])
    some.check({"a": a, "b": b})
    strict = lk.Joint(parts)
    assert bool(strict.log_prob(raw, {"a": a, "b": b})[1].isnan())
    with pytest.raises(ValueError, match=r"lacks \['a'\].*optional"):
        strict.log_prob(raw, {"b": b})
    with pytest.raises(ValueError, match="no names of it"):
        some.log_prob(raw, {"c": a})
    with pytest.raises(TypeError, match="is a dict"):
        some.log_prob(raw, a)
    with pytest.raises(ValueError, match="differ in their number of rows"):
        some.log_prob(raw, {"a": a[:2], "b": b})
    with pytest.raises(ValueError, match="must have raw of shape \\(3, 6\\)"):
        some.log_prob(raw[:2], {"a": a, "b": b})


def test_a_part_of_a_joint_likelihood_may_be_weighted():
    likelihood = lk.Joint({"y": lk.targets.Weighted(NORMAL), "n": POISSON})
    raw, y, w = torch.randn(3, 3), torch.randn(3), torch.rand(3)
    n = torch.ones(3)
    want = w * NORMAL.log_prob(raw[:, :2], y) + POISSON.log_prob(raw[:, 2:], n)
    assert torch.allclose(likelihood.log_prob(raw, {"y": (y, w), "n": n}), want)


# All of them


EVERY = {
    "mixture": lk.Mixture(COUNTS, 2),
    "zero": lk.ZeroInflated(COUNTS),
    "hurdle": lk.Hurdle(COUNTS),
    "rows": lk.Independent(COUNTS, 1),
    "whole": lk.Independent(lk.Mixture(COUNTS, 2), (2, 3)),
    "weighted": lk.targets.Weighted(COUNTS, 2.0),
    "joint": JOINT,
    "optional": lk.Joint({"a b": COUNTS, "type": lk.Hurdle(POISSON)}, optional=["type"]),
}


@pytest.mark.parametrize("name", EVERY)
def test_every_combinator_can_be_written_down_copied_and_learned(name):
    likelihood = EVERY[name]
    again = eval(likelihood.code(), {"lk": lk, "torch": torch})
    assert again.code() == likelihood.code()
    assert again.width == likelihood.width
    assert again.rank == likelihood.rank
    for other in (
        pickle.loads(pickle.dumps(likelihood)),
        copy.deepcopy(likelihood).double(),
        likelihood.learn("scale"),
    ):
        assert other.width == likelihood.width
    assert len(list(likelihood.learn("nothing").parameters())) == len(list(likelihood.parameters()))
