"""Margins between the scores of classes, and the focal loss of several."""

import itertools

import mpmath as mp
import numpy as np
import pytest
import torch
from scipy import optimize
from torch import nn

import likelihoods as lk
from tests.catalog.compare import DTYPES, SHAPES, classes, noise, same_as_formula, same_as_torch
from tests.catalog.test_category import WEIGHT, by_rows


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_multi_margin_is_torchs(dtype, shape, p, weight):
    raw, target = noise(*shape, 4, dtype=dtype), classes(shape, 4)
    raw[..., 0] = 0.25
    raw[..., 1] = 0.95  # exactly at the margin of 0.7 in neither dtype, and at a tie below

    def torchs(reduction):
        tilt = None if weight is None else torch.tensor(weight, dtype=dtype)
        return by_rows(nn.MultiMarginLoss(p=p, margin=0.7, weight=tilt, reduction=reduction))

    same_as_torch("multi_margin", {"p": p, "margin": 0.7, "weight": weight}, torchs, raw, target)
    tie = torch.tensor([[1.0, 0.0, 2.0, 0.0]], dtype=dtype)
    same_as_torch(
        "multi_margin", {"p": p}, lambda r: by_rows(nn.MultiMarginLoss(p=p, reduction=r)), tie, torch.tensor([0])
    )


def test_multi_margin_need_not_rank_the_likeliest_class_first():
    """The linear program of the expected loss, as scipy solves it, has a minimum with the two likeliest classes tied."""
    probabilities = np.array([0.4, 0.35, 0.25])
    pairs = list(itertools.permutations(range(3), 2))  # (y, i): slack >= 1 - f_y + f_i
    rows = [[(j == i) - (j == y) for j in range(3)] + [-(q == r) for r in range(6)] for q, (y, i) in enumerate(pairs)]
    cost = [0, 0, 0, *(probabilities[y] / 3 for y, _ in pairs)]
    bounds = [(0, 0), (None, None), (None, None)] + [(0, None)] * 6
    least = optimize.linprog(cost, rows, -np.ones(6), bounds=bounds).fun

    def expected(raw):
        scores = torch.tensor(raw, dtype=torch.float64).expand(3, 3)
        each = lk.loss("multi_margin", reduction="none")(scores, torch.arange(3))
        return float(torch.tensor(probabilities) @ each)

    assert expected([0.0, 0.0, -1.0]) == pytest.approx(least, abs=1e-12)
    for gap in (0.01, 0.2, 1.0):
        assert expected([gap, 0.0, -1.0]) > least + 1e-4
    with pytest.raises(ValueError, match=r"p=3.*p=1.*p=2"):
        lk.loss("multi_margin", p=3)


def test_the_law_of_multi_margin_is_normalised_over_the_classes():
    loss = lk.loss("multi_margin", reduction="none")
    raw = noise(6, 4)
    energies = torch.stack([loss(raw, torch.full((6,), k)) for k in range(4)], -1)
    torch.testing.assert_close(loss.likelihood(raw).probs, (-energies).softmax(-1))
    for k in range(4):
        torch.testing.assert_close(loss.nll(raw, torch.full((6,), k)), energies[:, k] + (-energies).logsumexp(-1))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, None), (0.5, WEIGHT), (0.0, None), (5.0, WEIGHT)])
def test_focal_is_its_formula(gamma, alpha, shape):
    def formula(f, y):
        p = f.softmax(-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)
        balance = 1.0 if alpha is None else torch.tensor(alpha, dtype=torch.float64)[y]
        return -balance * (1 - p) ** gamma * p.log()

    loss = lk.loss("focal", reduction="none", gamma=gamma, alpha=alpha)
    same_as_formula(loss, formula, noise(*shape, 4), classes(shape, 4))


def test_focal_keeps_its_digits():
    raw = torch.tensor([60.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    value = lk.loss("focal", reduction="none")(raw, torch.tensor(0))
    with mp.workdps(120):
        rest = (1 + mp.exp(1)) / (mp.exp(60) + 1 + mp.exp(1))
        wanted = -(rest**2) * mp.log(1 - rest)
    assert value.item() == pytest.approx(float(wanted), rel=1e-13)
    assert torch.autograd.grad(value, raw)[0].isfinite().all()


def test_focal_of_two_classes_is_binary_focal():
    raw = noise(6, 2)
    target = classes((6,), 2)
    binary = lk.loss("binary_focal", reduction="none")(raw[:, 1] - raw[:, 0], target.double())
    torch.testing.assert_close(lk.loss("focal", reduction="none")(raw, target), binary, rtol=1e-12, atol=0)


@pytest.mark.parametrize("name", ["multi_margin", "focal"])
def test_an_empty_batch_and_an_impossible_class(name):
    loss = lk.loss(name)
    for path in (loss, loss.derived, loss.nll):
        with pytest.raises(ValueError, match="batch is empty"):
            path(torch.zeros(0, 3), torch.zeros(0, dtype=torch.long))
    with pytest.raises(ValueError, match=r"row 1, is 3"):
        loss.check(torch.tensor([0, 3]), torch.zeros(2, 3))
    for label in (-1, 3):  # never the value of another class
        for path in (loss.derived, loss.nll):
            assert path(torch.zeros(2, 3), torch.tensor([0, label])).item() == torch.inf


def test_an_impossible_class_in_a_call():
    raw, target = torch.zeros(2, 3), torch.tensor([0, -1])
    assert lk.loss("focal", reduction="none")(raw, target).isinf().tolist() == [False, True]
    assert lk.loss("nll", reduction="none").derived(raw, target).tolist() == [0.0, torch.inf]
    with pytest.raises(ValueError, match=r"row 1, is -1, and must be in the integers 0 to 2"):
        lk.loss("multi_margin")(raw, target)
