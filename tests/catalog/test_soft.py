"""Losses of a class whose target is itself a law."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import likelihoods as lk
from tests.catalog.compare import DTYPES, SHAPES, classes, noise, same_as_formula, same_as_torch, value_and_gradient
from tests.catalog.test_category import WEIGHT, by_rows


def onehot(target, count):
    return F.one_hot(target, count).double()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_soft_cross_entropy_is_torchs(dtype, shape, weight, smoothing):
    raw, target = noise(*shape, 4, dtype=dtype), noise(*shape, 4, dtype=dtype, seed=1).softmax(-1)

    def torchs(reduction):
        tilt = None if weight is None else torch.tensor(weight, dtype=dtype)
        module = nn.CrossEntropyLoss(weight=tilt, label_smoothing=smoothing, reduction=reduction)

        def call(scores, law):
            value = module(scores.flatten(0, -2), law.flatten(0, -2))
            return value.reshape(law.shape[:-1]) if value.dim() else value

        return call

    same_as_torch("soft_cross_entropy", {"weight": weight, "label_smoothing": smoothing}, torchs, raw, target)


def test_soft_targets_are_checked_as_laws():
    loss = lk.loss("soft_cross_entropy")
    good = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    loss.check(good)
    with pytest.raises(ValueError, match=r"1 of 2 .* row 1, is \[1\.0, 0\.5\], and must be such that t is a law"):
        loss.check(torch.tensor([[0.25, 0.75], [1.0, 0.5]]))
    with pytest.raises(ValueError, match="row 0"):
        loss.check(torch.tensor([[-0.25, 1.25]]))
    with pytest.raises(TypeError, match=r"int64.*floating point"):
        loss(torch.zeros(2, 3), torch.tensor([0, 1]))
    with pytest.raises(ValueError, match="must have shape"):
        loss(torch.zeros(2, 3), torch.ones(3, 3) / 3)
    lk.loss("kl_div", log_target=True).check(good.log())
    lk.loss("distillation").check(torch.tensor([[5.0, -3.0]]))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_is_torchs_on_log_probabilities(shape, log_target):
    logits, law = noise(*shape, 4), noise(*shape, 4, seed=1).softmax(-1)
    target = law.log() if log_target else law
    torchs = nn.KLDivLoss(reduction="none", log_target=log_target)

    def oracle(raw, y):  # of log-probabilities, which both make of logits first: torch does not normalise
        return torchs(raw.log_softmax(-1), y).sum(-1)

    same_as_formula(lk.loss("kl_div", log_target=log_target, reduction="none"), oracle, logits, target)
    rows = logits.log_softmax(-1).flatten(0, -2)
    theirs = nn.KLDivLoss(reduction="batchmean", log_target=log_target)(rows, target.flatten(0, -2))
    ours = lk.loss("kl_div", log_target=log_target)(logits.log_softmax(-1), target)
    torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("log_target", [False, True])
def test_kl_div_at_zeros(log_target):
    law = torch.tensor([1.0, 0.0, 0.0], dtype=torch.float64)
    raw = torch.tensor([0.5, 0.5, 0.0], dtype=torch.float64).log()
    target = law.log() if log_target else law
    value, gradient = value_and_gradient(lk.loss("kl_div", log_target=log_target, reduction="none"), raw, target)
    assert value.item() == pytest.approx(math.log(2), rel=1e-15)
    torch.testing.assert_close(gradient, torch.tensor([-0.5, 0.5, 0.0], dtype=torch.float64))
    assert F.kl_div(raw, target, reduction="sum", log_target=log_target).isnan()  # what torch does
    assert lk.loss("kl_div")(raw, raw.exp()).item() == 0.0
    assert (
        lk.loss("kl_div")(raw, torch.tensor([0.5, 0.0, 0.5]).double()).item() == math.inf
    )  # what raw excludes happens


def test_kl_div_is_soft_cross_entropy_less_the_entropy():
    raw, law = noise(6, 4), noise(6, 4, seed=1).softmax(-1)
    entropy = torch.distributions.Categorical(probs=law).entropy()
    soft = lk.loss("soft_cross_entropy", reduction="none")
    difference = soft(raw, law) - lk.loss("kl_div", reduction="none")(raw, law)
    torch.testing.assert_close(difference, entropy, rtol=1e-13, atol=0)
    torch.testing.assert_close(lk.loss("kl_div", reduction="none").nll(raw, law), soft(raw, law))


def smoothed_over_all(f, y):
    t = 0.85 * onehot(y, 5) + 0.15 / 5
    return -(t * f.log_softmax(-1)).sum(-1)


def smoothed_over_others(f, y):
    log_p, hot = f.log_softmax(-1), onehot(y, 5)
    return -(0.85 * (hot * log_p).sum(-1) + 0.15 * ((1 - hot) * log_p).sum(-1) / 4)


def without_padding(f, y, others):
    """The padding class, 2, gets nothing, and where it is the target nothing is lost."""
    log_p, proper = f.log_softmax(-1), torch.tensor([1.0, 1.0, 0.0, 1.0, 1.0], dtype=torch.float64)
    hot = onehot(y, 5)
    spread = proper * (1 - hot) / 3 if others else proper / 4
    value = -((0.85 * hot + 0.15 * spread) * log_p).sum(-1)
    return torch.where(y == 2, 0.0, value)


FORMS = {
    "all": ({}, smoothed_over_all),
    "others": ({"over": "others"}, smoothed_over_others),
    "all but padding": ({"padding": 2}, lambda f, y: without_padding(f, y, False)),
    "others but padding": ({"padding": 2, "over": "others"}, lambda f, y: without_padding(f, y, True)),
}


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("form", FORMS)
def test_label_smoothing_in_its_forms(form, shape):
    options, formula = FORMS[form]
    raw, target = noise(*shape, 5), classes(shape, 5, seed=8)
    loss = lk.loss("label_smoothing", smoothing=0.15, reduction="none", **options)
    same_as_formula(loss, formula, raw, target)
    if "padding" in options:
        target[..., 0] = 2
        known = (target != 2).sum()
        mean = lk.loss("label_smoothing", smoothing=0.15, **options)
        torch.testing.assert_close(mean(raw, target), formula(raw, target).sum() / known, rtol=1e-12, atol=0)


def test_the_forms_of_label_smoothing_are_one():
    raw, target = noise(6, 5), classes((6,), 5)
    by_cross_entropy = by_rows(nn.CrossEntropyLoss(label_smoothing=0.1))(raw, target)
    torch.testing.assert_close(lk.loss("label_smoothing")(raw, target), by_cross_entropy, rtol=1e-13, atol=0)
    others = lk.loss("label_smoothing", smoothing=0.1 * 4 / 5, over="others")
    torch.testing.assert_close(others(raw, target), by_cross_entropy, rtol=1e-13, atol=0)
    with pytest.raises(ValueError, match="'all' classes, or over the 'others'"):
        lk.loss("label_smoothing", over="most")


@pytest.mark.parametrize("temperature", [1.0, 2.0, 7.0])
def test_distillation_is_its_formula(temperature):
    def formula(student, teacher):
        log_s, log_t = ((z / temperature).log_softmax(-1) for z in (student, teacher))
        return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(-1)

    loss = lk.loss("distillation", temperature=temperature, reduction="none")
    same_as_formula(loss, formula, noise(2, 3, 4), noise(2, 3, 4, seed=6))


def test_distillation_at_a_high_temperature_matches_centred_logits():
    student, teacher = noise(4), noise(4, seed=6)
    _, gradient = value_and_gradient(lk.loss("distillation", temperature=1e5, reduction="none"), student, teacher)
    wanted = ((student - student.mean()) - (teacher - teacher.mean())) / 4
    torch.testing.assert_close(gradient, wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["soft_cross_entropy", "kl_div", "distillation", "label_smoothing"])
def test_an_empty_batch(name):
    raw = torch.zeros(0, 3)
    target = torch.zeros(0, dtype=torch.long) if name == "label_smoothing" else torch.zeros(0, 3)
    loss = lk.loss(name)
    for path in (loss, loss.derived, loss.nll):
        with pytest.raises(ValueError, match="batch is empty"):
            path(raw, target)
    assert lk.loss(name, reduction="none")(raw, target).shape == (0,)
