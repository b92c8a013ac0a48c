"""Losses of a set of labels."""

import itertools
import math

import pytest
import torch
from torch import nn

import likelihoods as lk
from tests.catalog.compare import DTYPES, SHAPES, noise, same_as_formula, same_as_torch


def bits(*shape, seed=2, dtype=torch.float64):
    return (noise(*shape, seed=seed) > 0).to(dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weight", [None, (0.5, 1.0, 2.0, 0.3)])
def test_multi_label_soft_margin_is_torchs(dtype, shape, weight):
    tilt = None if weight is None else torch.tensor(weight, dtype=dtype)
    raw, target = noise(*shape, 4, dtype=dtype), bits(*shape, 4, dtype=dtype)
    same_as_torch(
        "multi_label_soft_margin",
        {"weight": weight},
        lambda r: nn.MultiLabelSoftMarginLoss(weight=tilt, reduction=r),
        raw,
        target,
    )


def test_multi_label_soft_margin_is_the_likelihood_of_all_labels():
    raw, target = noise(5, 4), bits(5, 4)
    loss = lk.loss("multi_label_soft_margin", reduction="none")
    every = nn.functional.binary_cross_entropy_with_logits(raw, target, reduction="none").sum(-1)
    torch.testing.assert_close(loss.nll(raw, target), every)
    torch.testing.assert_close(4 * loss(raw, target), every)
    assert loss.likelihood(raw).event_shape == (4,)
    loss.check(target)
    with pytest.raises(ValueError, match=r"1 of 5 .* row 0"):
        loss.check(torch.cat([torch.full((1, 4), 0.5), target[1:]]))


@pytest.mark.parametrize("shape", [(), (5,)], ids=str)
def test_multi_label_margin_is_torchs(shape):
    raw, target = noise(*shape, 4), bits(*shape, 4)

    def theirs(scores, sets):
        listed = torch.full(sets.shape, -1)
        for where in itertools.product(*map(range, shape)):
            labels = sets[where].nonzero().flatten()
            listed[(*where, slice(0, len(labels)))] = labels
        return nn.MultiLabelMarginLoss(reduction="none")(scores, listed)

    same_as_formula(lk.loss("multi_label_margin", reduction="none"), theirs, raw, target)


def test_the_law_over_all_sets():
    loss = lk.loss("multi_label_margin", reduction="none")
    raw = noise(3, 4)
    law = loss.likelihood(raw)
    sets = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)), dtype=torch.float64)
    energies = torch.stack([loss(raw, each.expand(3, 4)) for each in sets])
    torch.testing.assert_close(law.log_normalizer(), (-energies).logsumexp(0))
    assert (law.log_normalizer() > math.log(2)).all()  # the empty and the full set cost nothing
    total = torch.stack([law.log_prob(each.expand(3, 4)).exp() for each in sets]).sum(0)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64))
    assert law.sample((7,)).shape == (7, 3, 4)
    loss.check(bits(3, 4), raw)
    loss.check(bits(3, 4))
    many = noise(1, 20)
    assert loss(many, bits(1, 20)).isfinite()
    with pytest.raises(ValueError, match=r"2\*\*20 outcomes.*multi_label_soft_margin"):
        loss.nll(many, bits(1, 20))


@pytest.mark.parametrize("options", [{}, {"smooth": 0.01}, {"squared": True}, {"dims": 2}], ids=str)
def test_dice_is_its_formula(options):
    smooth = options.get("smooth", 1.0)
    axes = (-1, -2) if options.get("dims") == 2 else (-1,)

    def formula(f, y):
        p = f.sigmoid()
        below = (p * p + y * y if options.get("squared") else p + y).sum(axes)
        return 1 - (2 * (p * y).sum(axes) + smooth) / (below + smooth)

    same_as_formula(lk.loss("dice", reduction="none", **options), formula, noise(3, 4, 5), bits(3, 4, 5))


def test_dice_is_no_likelihood():
    loss = lk.loss("dice")
    raw, target = noise(2, 5), bits(2, 5)
    for ask in (lambda: loss.likelihood, lambda: loss.nll(raw, target), lambda: lk.find("dice").likelihood()):
        with pytest.raises(lk.NoLikelihoodError, match=r"one nat at most.*loss\('bce_with_logits'\)"):
            ask()
    loss.check(target)
    with pytest.raises(ValueError, match="below the line"):
        lk.loss("dice", smooth=-1.0)


def test_dice_tells_masks_apart_by_one_nat_at_most():
    masks = torch.tensor(list(itertools.product((0.0, 1.0), repeat=6)), dtype=torch.float64)
    loss = lk.loss("dice", reduction="none", smooth=0.0)
    value = loss(noise(6).expand(64, 6), masks)
    log_z = (-value).logsumexp(0)
    assert 6 * math.log(2) - 1 <= log_z <= 6 * math.log(2)


@pytest.mark.parametrize("name", ["multi_label_soft_margin", "multi_label_margin", "dice"])
def test_an_empty_batch(name):
    loss = lk.loss(name)
    for path in (loss, loss.derived):
        with pytest.raises(ValueError, match="batch is empty"):
            path(torch.zeros(0, 3), torch.zeros(0, 3))
    assert lk.loss(name, reduction="none")(torch.zeros(0, 3), torch.zeros(0, 3)).shape == (0,)
