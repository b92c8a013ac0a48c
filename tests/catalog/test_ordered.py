"""Losses of ordered classes."""

import itertools

import numpy as np
import pytest
import torch
from scipy import stats
from torch.nn import functional as F

import likelihoods as lk
from likelihoods.catalog.ordered import levels
from tests.catalog.compare import SHAPES, classes, noise, same_as_formula

NOISE = {"logit": stats.logistic, "probit": stats.norm, "cloglog": stats.gumbel_l}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("link", NOISE)
@pytest.mark.parametrize("cutpoints", [(-1.0, 0.0, 1.0), (0.3,), (-2.0, -1.5)])
def test_ordinal_is_the_mass_between_two_cutpoints(link, cutpoints, shape):
    raw, target = noise(*shape), classes(shape, len(cutpoints) + 1)
    edges = np.array([-np.inf, *cutpoints, np.inf])
    low, high = edges[target], edges[target + 1]
    mass = NOISE[link].cdf(high - raw.numpy()) - NOISE[link].cdf(low - raw.numpy())
    loss = lk.loss("ordinal", link=link, cutpoints=cutpoints, reduction="none")
    for given in (loss(raw, target), loss.derived(raw, target), loss.nll(raw, target)):
        np.testing.assert_allclose(given.numpy(), -np.log(mass), rtol=1e-12)
    single = loss(raw.float(), target)
    assert single.dtype == torch.float32  # the cutpoints do not widen it
    np.testing.assert_allclose(single.numpy(), -np.log(mass), rtol=1e-4)


@pytest.mark.parametrize("link", NOISE)
def test_ordinal_far_out(link):
    raw = torch.tensor([-100.0, -30.0, 30.0], dtype=torch.float64, requires_grad=True)
    for k in range(4):
        value = lk.loss("ordinal", link=link, reduction="none")(raw, torch.full((3,), k))
        assert not value.isnan().any()
        finite = value.isfinite()
        assert torch.autograd.grad(value[finite].sum(), raw)[0].isfinite().all()


def test_ordinal_cutpoints_are_learned_in_nats():
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(4000, generator=generator, dtype=torch.float64) * 4 - 2
    noise_ = torch.rand(4000, generator=generator, dtype=torch.float64).logit()
    cuts = torch.tensor([-1.5, 0.25, 2.0], dtype=torch.float64)
    y = (x + noise_ > cuts[:, None]).sum(0)
    like = lk.find("ordinal").fitted(cutpoints=(-1.0, 0.0, 1.0)).double()
    nll = lk.NLL(like)
    optimizer = torch.optim.LBFGS(like.parameters(), max_iter=100, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        value = nll(x, y)
        value.backward()
        return value

    optimizer.step(closure)
    torch.testing.assert_close(like(x[:1]).cutpoints.detach(), cuts, rtol=0, atol=0.15)
    with pytest.raises(TypeError, match=r"lk\.NLL"):
        lk.loss("ordinal", cutpoints=lk.learned(torch.tensor([-1.0, 1.0])))
    with pytest.raises(ValueError, match=r"link='log'.*'logit', 'probit', 'cloglog'"):
        lk.loss("ordinal", link="log")


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("options", [{}, {"classes": 4}], ids=str)
def test_corn_is_a_chain_of_binary_questions(options, shape):
    def formula(f, y):
        value = torch.zeros(y.shape, dtype=f.dtype)
        for k in range(3):
            answer = F.binary_cross_entropy_with_logits(f[..., k], (y > k).double(), reduction="none")
            value = value + torch.where(y >= k, answer, 0.0)
        return value

    loss = lk.loss("corn", reduction="none", **options)
    raw, target = noise(*shape, 3), classes(shape, 4)
    same_as_formula(loss, formula, raw, target)
    torch.testing.assert_close(loss(raw, target), loss.nll(raw, target))
    total = sum(torch.exp(-loss(raw, torch.full(shape, k))) for k in range(4))
    torch.testing.assert_close(total, torch.ones(shape, dtype=torch.float64))
    with pytest.raises(ValueError, match="row 0, is 4"):
        loss.check(torch.tensor([4]), raw[:1] if raw.dim() == 2 else raw[0, :1])


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_coral_is_the_sum_of_binary_losses(shape):
    target = classes(shape, 4)
    answers = levels(target, 4).double()
    loss = lk.loss("coral", reduction="none")
    same_as_formula(
        loss, lambda f, y: F.binary_cross_entropy_with_logits(f, y, reduction="none").sum(-1), noise(*shape, 3), answers
    )
    assert torch.equal(answers.sum(-1).long(), target)
    assert torch.equal(levels(torch.tensor(2), 4), torch.tensor([1.0, 1.0, 0.0]))
    with pytest.raises(ValueError, match="classes=1"):
        levels(target, 1)


def test_coral_is_no_law_of_the_class():
    raw = torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64)
    loss = lk.loss("coral", reduction="none")
    of_classes = sum(torch.exp(-loss(raw, levels(torch.tensor(k), 4).double())) for k in range(4))
    assert of_classes < 0.9
    every = torch.tensor(list(itertools.product((0.0, 1.0), repeat=3)), dtype=torch.float64)
    torch.testing.assert_close(torch.exp(-loss(raw.expand(8, 3), every)).sum(), torch.tensor(1.0, dtype=torch.float64))
    assert "of a part of the data" in loss.relation.sentence()


@pytest.mark.parametrize(("name", "width"), [("ordinal", None), ("corn", 3), ("coral", 3)])
def test_an_empty_batch(name, width):
    raw = torch.zeros(0) if width is None else torch.zeros(0, width)
    target = torch.zeros(0, 3) if name == "coral" else torch.zeros(0, dtype=torch.long)
    loss = lk.loss(name)
    for path in (loss, loss.derived, loss.nll):
        with pytest.raises(ValueError, match="batch is empty"):
            path(raw, target)
    assert lk.loss(name, reduction="none")(raw, target).shape == (0,)
