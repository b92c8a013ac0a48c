"""Losses of a target that is 0 or 1, or -1 or 1."""

import math

import mpmath as mp
import pytest
import torch
from scipy import optimize
from torch import nn

import likelihoods as lk
from tests.catalog.compare import DTYPES, SHAPES, noise, same_as_formula, same_as_torch

SIGNED = ("soft_margin", "hinge", "squared_hinge", "exponential_margin")


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("weight", [None, "each"])
@pytest.mark.parametrize("pos_weight", [None, 2.5, "each"])
def test_bce_with_logits_is_torchs(dtype, shape, soft, weight, pos_weight):
    if soft and weight:
        return  # refused, below
    raw = noise(*shape, dtype=dtype)
    target = noise(*shape, dtype=dtype, seed=1).sigmoid() if soft else (noise(*shape, seed=1) > 0).to(dtype)
    each = torch.linspace(0.2, 2.0, shape[-1], dtype=dtype)
    options = {
        "weight": each if weight else None,
        "pos_weight": each.flip(0) if pos_weight == "each" else pos_weight,
        "soft": soft,
    }

    def torchs(reduction):
        positive = options["pos_weight"]
        positive = torch.tensor(positive, dtype=dtype) if isinstance(positive, float) else positive
        return nn.BCEWithLogitsLoss(weight=options["weight"], pos_weight=positive, reduction=reduction)

    same_as_torch("bce_with_logits", options, torchs, raw, target)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", [{}, {"weight": 0.5}, {"soft": True}], ids=str)
def test_bce_is_torchs(dtype, shape, options):
    raw = noise(*shape, dtype=dtype).sigmoid()
    grey = noise(*shape, dtype=dtype, seed=1).sigmoid()
    weight = torch.tensor(options["weight"], dtype=dtype) if "weight" in options else None
    target = grey if options.get("soft") else grey.round()
    same_as_torch("bce", options, lambda r: nn.BCELoss(weight=weight, reduction=r), raw, target)


def test_soft_targets_are_checked_as_probabilities():
    loss = lk.loss("bce_with_logits", soft=True)
    loss.check(torch.tensor([0.0, 0.3, 1.0]))
    with pytest.raises(ValueError, match=r"1 of 3 .* row 1, is 1\.25.*\(1 - y, y\)"):
        loss.check(torch.tensor([0.5, 1.25, 1.0]))
    with pytest.raises(ValueError, match="0 or 1"):
        lk.loss("bce_with_logits").check(torch.tensor([0.5]))
    with pytest.raises(ValueError, match="not both: reduction='none'"):
        lk.loss("bce_with_logits", soft=True, weight=2.0)


def test_a_weight_by_place_keeps_the_law_and_pos_weight_tilts_it():
    assert isinstance(lk.loss("bce_with_logits", weight=2.0).relation, lk.Affine)
    relation = lk.loss("bce_with_logits", pos_weight=3.0).relation
    truth = torch.tensor(0.2, dtype=torch.float64)
    tilted = 3 * truth / (3 * truth + 1 - truth)
    raw = noise(1)

    def expected(f):
        each = lk.loss("bce_with_logits", pos_weight=3.0, reduction="none")(
            raw.new_full((2,), f), raw.new_tensor([1.0, 0.0])
        )
        return float(truth * each[0] + (1 - truth) * each[1])

    found = optimize.minimize_scalar(expected, bracket=(-2, 2), options={"xtol": 1e-12}).x
    assert found == pytest.approx(float(tilted.logit()), abs=1e-6)
    untilted = relation.untilt(lk.distributions.Bernoulli(tilted.logit()))
    assert float(untilted.probs) == pytest.approx(0.2, abs=1e-14)


FORMULAS = {
    "soft_margin": ({}, lambda f, y: torch.log1p(torch.exp(-y * f))),
    "hinge": ({"margin": 0.7}, lambda f, y: torch.relu(0.7 - y * f)),
    "squared_hinge": ({"margin": 0.7}, lambda f, y: torch.relu(0.7 - y * f).square()),
    "exponential_margin": ({}, lambda f, y: torch.exp(-y * f)),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SIGNED)
def test_margin_losses_are_their_formulas(name, shape):
    options, formula = FORMULAS[name]
    target = noise(*shape, seed=2).sign()
    same_as_formula(lk.loss(name, reduction="none", **options), formula, 2 * noise(*shape), target)


def test_soft_margin_is_a_likelihood_and_does_not_overflow():
    loss = lk.loss("soft_margin", reduction="none")
    raw = noise(7).requires_grad_()
    law = loss.likelihood(raw)
    torch.testing.assert_close(law.log_normalizer(), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-15)
    torch.testing.assert_close(loss.nll(raw, torch.ones_like(raw)), loss(raw, torch.ones_like(raw)))
    steep = torch.tensor([-1e4, -89.0, 200.0], requires_grad=True)
    value = loss(steep, torch.ones(3))
    assert value.tolist() == [1e4, 89.0, 0.0]
    assert torch.autograd.grad(value.sum(), steep)[0].tolist() == [-1.0, -1.0, 0.0]
    assert nn.SoftMarginLoss(reduction="none")(steep, torch.ones(3))[1] == math.inf  # what torch does
    assert loss(torch.tensor(700.0).double(), torch.tensor(1.0).double()).item() == pytest.approx(
        math.exp(-700), rel=1e-12
    )


@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.5, 0.25), (0.0, None), (5.0, 0.9)])
def test_binary_focal_is_its_formula(gamma, alpha):
    def formula(f, y):
        p = torch.where(y == 1, f.sigmoid(), 1 - f.sigmoid())
        balance = 1.0 if alpha is None else torch.where(y == 1, f.new_tensor(alpha), 1 - alpha)
        return -balance * (1 - p) ** gamma * p.log()

    loss = lk.loss("binary_focal", reduction="none", gamma=gamma, alpha=alpha)
    raw, target = 2 * noise(4, 6), (noise(4, 6, seed=5) > 0).double()
    same_as_formula(loss, formula, raw, target)


@pytest.mark.parametrize("f", [-800.0, -60.0, 40.0, 800.0])
def test_binary_focal_keeps_its_digits(f):
    with mp.workdps(400):
        p = 1 / (1 + mp.exp(-mp.mpf(f)))
        wanted = -((1 - p) ** 2) * mp.log(p)
    raw = torch.tensor(f, dtype=torch.float64, requires_grad=True)
    value = lk.loss("binary_focal")(raw, torch.tensor(1.0).double())
    assert value.item() == pytest.approx(float(wanted), rel=1e-13)
    assert torch.autograd.grad(value, raw)[0].isfinite()


def test_focal_is_not_proper_and_says_so():
    def expected(f):
        raw = torch.tensor([f, f]).double()
        each = lk.loss("binary_focal", reduction="none")(raw, torch.tensor([1.0, 0.0]).double())
        return float(0.9 * each[0] + 0.1 * each[1])

    found = optimize.minimize_scalar(expected, bracket=(0, 3), options={"xtol": 1e-12}).x
    assert 1 / (1 + math.exp(-found)) == pytest.approx(0.694, abs=5e-4)  # math of Charoenphakdee et al.
    assert "not proper" in lk.loss("binary_focal").relation.proper
    assert lk.loss("binary_focal", gamma=0.0).relation == lk.Exact


@pytest.mark.parametrize("name", [*SIGNED, "binary_focal"])
def test_laws_of_labels_sum_to_one_and_lack_of_labels_is_found(name):
    loss = lk.loss(name)
    law = loss.likelihood(noise(6))
    torch.testing.assert_close(law.probs.sum(-1), torch.ones(6, dtype=torch.float64))
    wrong = torch.tensor([1.0, 0.5])
    with pytest.raises(ValueError, match=r"1 of 2 .* row 1, is 0\.5"):
        loss.check(wrong)
    for path in (loss, loss.derived):
        with pytest.raises(ValueError, match="batch is empty"):
            path(torch.zeros(0), torch.zeros(0))
    assert lk.loss(name, reduction="none")(torch.zeros(0), torch.zeros(0)).shape == (0,)
