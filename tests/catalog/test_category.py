"""Cross-entropy with its options, the loss of log-probabilities, and other output layers."""

import itertools

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import likelihoods as lk
from tests.catalog.compare import DTYPES, SHAPES, classes, noise, same_as_torch

WEIGHT = (0.5, 1.0, 2.0, 0.3)


def by_rows(module):
    """Return torch's class-second loss for classes on the last axis."""

    def call(raw, target):
        value = module(raw.flatten(0, -2), target.flatten())
        return value.reshape(target.shape) if value.dim() else value

    return call


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(
    ("weight", "smoothing", "ignore"), list(itertools.product([None, WEIGHT], [0.0, 0.1, 1.0], [None, -100, 2]))
)
def test_cross_entropy_is_torchs(dtype, shape, weight, smoothing, ignore):
    raw, target = noise(*shape, 4, dtype=dtype), classes(shape, 4)
    if ignore is not None:
        target[..., 1] = ignore
    options = {"weight": weight, "label_smoothing": smoothing, "ignore_index": ignore}

    def torchs(reduction):
        tilt = None if weight is None else torch.tensor(weight, dtype=dtype)
        skip = -100 if ignore is None else ignore
        return by_rows(
            nn.CrossEntropyLoss(weight=tilt, label_smoothing=smoothing, ignore_index=skip, reduction=reduction)
        )

    same_as_torch("cross_entropy", options, torchs, raw, target)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize(("weight", "ignore"), list(itertools.product([None, WEIGHT], [None, -100, 2])))
def test_nll_is_torchs(dtype, shape, weight, ignore):
    raw, target = noise(*shape, 4, dtype=dtype), classes(shape, 4)
    if ignore is not None:
        target[..., 1] = ignore

    def torchs(reduction):
        tilt = None if weight is None else torch.tensor(weight, dtype=dtype)
        return by_rows(nn.NLLLoss(weight=tilt, ignore_index=-100 if ignore is None else ignore, reduction=reduction))

    same_as_torch("nll", {"weight": weight, "ignore_index": ignore}, torchs, raw, target)


def test_nll_is_a_likelihood_of_log_probabilities_alone():
    raw, target = noise(6, 4), classes((6,), 4)
    loss = lk.loss("nll", reduction="none")
    normalised = raw.log_softmax(-1)
    torch.testing.assert_close(loss(normalised, target), loss.nll(normalised, target), rtol=1e-14, atol=1e-15)
    assert not torch.allclose(loss(raw, target), loss.nll(raw, target))
    torch.testing.assert_close(loss.nll(raw, target), F.cross_entropy(raw, target, reduction="none"))


@pytest.mark.parametrize("name", ["cross_entropy", "nll"])
@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_missing_labels_add_nothing(name, weight):
    raw = noise(5, 4).requires_grad_()
    target = torch.tensor([1, -7, 3, -7, 0])
    known = target >= 0
    some = lk.loss(name, weight=weight, ignore_index=-7)
    whole = lk.loss(name, weight=weight)
    for path, oracle in ((some, whole), (some.derived, whole.derived), (some.nll, whole.nll)):
        value = path(raw, target)
        torch.testing.assert_close(value, oracle(raw[known], target[known]))
        assert (torch.autograd.grad(value, raw)[0][~known] == 0).all()
    some.check(target, raw)
    with pytest.raises(ValueError, match=r"2 of 5 .* row 1, is -7"):
        whole.check(target, raw)
    with pytest.raises(ValueError, match="row 1, is -7"):
        whole(raw, target)
    assert "-7 is missing" in some.relation.sentence()
    nothing = torch.full((5,), -7)
    for path in (some, some.derived, some.nll):
        value = path(raw, nothing)
        assert value.item() == 0.0
        assert (torch.autograd.grad(value, raw)[0] == 0).all()


def test_class_weights_tilt_and_untilt():
    truth = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    loss = lk.loss("cross_entropy", weight=WEIGHT, reduction="none")
    tilted = truth * torch.tensor(WEIGHT, dtype=torch.float64)
    raw = (tilted / tilted.sum()).log().requires_grad_()
    expected = (truth * loss(raw.expand(4, 4), torch.arange(4))).sum()
    assert torch.autograd.grad(expected, raw)[0].abs().max() < 1e-15  # the tilted law is the minimum
    back = loss.relation.untilt(loss.likelihood(raw))
    torch.testing.assert_close(back.probs, truth, rtol=1e-14, atol=1e-15)


def test_bad_options_say_what_to_write():
    with pytest.raises(ValueError, match=r"label_smoothing=1\.5.*from 0 to 1"):
        lk.loss("cross_entropy", label_smoothing=1.5)
    with pytest.raises(ValueError, match=r"temperature=0.*positive"):
        lk.loss("temperature", temperature=0)
    with pytest.raises(ValueError, match="increasing"):
        lk.loss("adaptive_log_softmax", cutoffs=(4, 2))
    with pytest.raises(ValueError, match=r"2 classes and true 3"):
        lk.loss("balanced_cross_entropy", sampled=(1, 1), true=(1, 2, 3))
    with pytest.raises(ValueError, match=r"frequencies are positive"):
        lk.loss("balanced_cross_entropy", sampled=(1, 0), true=(1, 2))


def test_an_impossible_class_is_never_a_number():
    for options in ({}, {"label_smoothing": 0.1}, {"weight": WEIGHT}, {"ignore_index": -100}):
        loss = lk.loss("cross_entropy", **options)
        assert not loss.derived(noise(1, 4), torch.tensor([4])).isfinite()
        with pytest.raises(ValueError, match="row 0, is 4"):
            loss(noise(1, 4), torch.tensor([4]))


# Output layers


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_temperature_divides_the_logits(shape):
    raw, target = noise(*shape, 4), classes(shape, 4)
    loss = lk.loss("temperature", temperature=2.5)
    torch.testing.assert_close(loss(raw, target), lk.loss("cross_entropy")(raw / 2.5, target), rtol=1e-14, atol=0)
    link = loss.likelihood.sources["logits"].link
    torch.testing.assert_close(link.inverse(link.forward(raw)), raw)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_adaptive_log_softmax_is_torchs(dtype):
    torch.manual_seed(0)
    theirs = nn.AdaptiveLogSoftmaxWithLoss(16, 12, [3, 7], dtype=dtype)
    hidden, target = noise(9, 16, dtype=dtype), classes((9,), 12)
    raw = torch.cat([theirs.head(hidden), *(tail(hidden) for tail in theirs.tail)], -1)
    loss = lk.loss("adaptive_log_softmax", cutoffs=(3, 7, 12), reduction="none")
    assert loss.likelihood.width == raw.shape[-1]
    wanted = theirs(hidden, target)
    close = {"rtol": 1e-12, "atol": 1e-12} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-5}
    torch.testing.assert_close(loss(raw, target), -wanted.output, **close)
    torch.testing.assert_close(loss.likelihood(raw).logits, theirs.log_prob(hidden), **close)
    link = loss.likelihood.sources["logits"].link
    torch.testing.assert_close(link.forward(link.inverse(theirs.log_prob(hidden))), theirs.log_prob(hidden), **close)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"class_weight": WEIGHT, "label_smoothing": 0.1, "ignore_index": -100}], ids=str
)
def test_linear_cross_entropy_has_the_layer_inside(bias, options):
    layer = nn.Linear(3, 4, bias=bias, dtype=torch.float64)
    features, target = noise(6, 3), classes((6,), 4)
    if options:
        target[2] = -100
    loss = lk.loss(
        "linear_cross_entropy", weight=layer.weight.detach(), bias=layer.bias.detach() if bias else None, **options
    )
    known = {"weight": options.get("class_weight"), **{k: v for k, v in options.items() if k != "class_weight"}}
    wanted = lk.loss("cross_entropy", **known)(layer(features), target)
    torch.testing.assert_close(loss(features, target), wanted, rtol=1e-12, atol=1e-13)
    link = lk.loss("linear_cross_entropy", weight=layer.weight.detach()).likelihood.sources["logits"].link
    torch.testing.assert_close(link.inverse(link.forward(features)), features)


def test_balanced_sampling_gives_the_populations_law():
    """Bayes' rule by counting: a class's law at one x in a sample that was drawn with other class frequencies."""
    true, sampled, density = torch.tensor(  # density of x, given each class
        [[0.7, 0.2, 0.1], [0.25, 0.25, 0.5], [0.3, 0.5, 0.9]], dtype=torch.float64
    )
    population, sample = (p * density / (p * density).sum() for p in (true, sampled))
    loss = lk.loss("balanced_cross_entropy", sampled=(1, 1, 2), true=(7, 2, 1))
    raw = population.log().requires_grad_()
    torch.testing.assert_close(loss.likelihood(raw).probs, sample, rtol=1e-13, atol=0)
    each = lk.loss("balanced_cross_entropy", sampled=(1, 1, 2), true=(7, 2, 1), reduction="none")
    expected = (sample * each(raw.expand(3, 3), torch.arange(3))).sum()
    assert torch.autograd.grad(expected, raw)[0].abs().max() < 1e-15
    weighted = lk.loss("cross_entropy", weight=tuple((sampled / true).tolist())).relation
    torch.testing.assert_close(weighted.untilt(lk.distributions.Categorical(sample.log())).probs, population)
