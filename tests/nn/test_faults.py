"""Where torch's own value is wrong or overflows: pinned as it is by default, and right with strict=True."""

import math

import pytest
import torch
from torch.nn import functional as F

from likelihoods import nn
from tests.nn.cases import CASES

INF = math.inf


def both(name, *inputs, **options):
    """The default value and the strict one."""
    return getattr(nn, name)(**options)(*inputs), getattr(nn, name)(**options, strict=True)(*inputs)


def slope(loss, prediction, *rest):
    prediction = prediction.clone().requires_grad_()
    return torch.autograd.grad(loss(prediction, *rest).sum(), prediction)[0]


@pytest.mark.parametrize(("dtype", "margin"), [(torch.float32, -100.0), (torch.float64, -1000.0)])
def test_soft_margin_overflows(dtype, margin):
    prediction, target = torch.tensor([margin], dtype=dtype), torch.ones(1, dtype=dtype)
    default, strict = both("SoftMarginLoss", prediction, target)
    assert default == INF
    assert strict == -margin
    assert slope(nn.SoftMarginLoss(), prediction, target).isnan()
    assert slope(nn.SoftMarginLoss(strict=True), prediction, target) == -1


def test_divergence_where_a_log_target_is_minus_infinity():
    log_q = torch.tensor([[0.5, 0.25, 0.25]], dtype=torch.float64).log()
    log_p = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    default, strict = both("KLDivLoss", log_q, log_p, reduction="batchmean", log_target=True)
    assert default.isnan()
    torch.testing.assert_close(strict, torch.tensor(0.5 * math.log(2), dtype=torch.float64), rtol=1e-15, atol=0)
    assert slope(nn.KLDivLoss(reduction="sum", log_target=True, strict=True), log_q, log_p).isfinite().all()


def test_divergence_where_both_are_zero():
    log_q = torch.tensor([[0.5, 0.5, 0.0]], dtype=torch.float64).log()
    p = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    default, strict = both("KLDivLoss", log_q, p, reduction="batchmean")
    assert default.isnan()
    torch.testing.assert_close(strict, torch.tensor(math.log(2), dtype=torch.float64), rtol=1e-15, atol=0)
    assert nn.KLDivLoss(reduction="batchmean", strict=True)(p.log(), log_q.exp()) == INF  # it is infinite the other way


@pytest.mark.filterwarnings("ignore:reduction. 'mean'")
def test_divergence_of_scores_is_none():
    scores, p = torch.full((1, 4), 2.0), torch.full((1, 4), 0.25)
    default, strict = both("KLDivLoss", scores, p, reduction="batchmean")
    assert default < -3
    assert strict.abs() < 1e-6  # uniform from uniform


@pytest.mark.parametrize("name", ["NLLLoss", "CrossEntropyLoss"])
@pytest.mark.parametrize("options", [{}, {"weight": torch.tensor([0.5, 1.0, 2.0])}])
def test_every_target_ignored(name, options):
    scores = torch.zeros(2, 3).log_softmax(-1)
    default, strict = both(name, scores, torch.tensor([-100, -100]), **options)
    assert default.isnan()
    assert strict == 0
    assert (slope(getattr(nn, name)(**options, strict=True), scores, torch.tensor([-100, -100])) == 0).all()


GARBAGE = ("MultiMarginLoss", "MultiLabelMarginLoss")  # torch leaves their value of an empty batch as memory had it


@pytest.mark.filterwarnings("ignore:reduction. 'mean'", "ignore:Initializing zero-element")
@pytest.mark.parametrize("name", [name for name in CASES if name != "CTCLoss"])
def test_the_empty_batch(name):
    case = next(c for c in CASES[name]() if c.make(torch.float64)[0].dim() > 1)
    inputs = [i[:0] if isinstance(i, torch.Tensor) and i.dim() else i for i in case.make(torch.float64)]
    plain, strict = case.build(nn, name, torch.float64), case.build(nn, name, torch.float64, strict=True)
    assert last(strict(*inputs)) == 0
    assert strict.nll(*inputs) == 0
    if name not in GARBAGE:
        assert last(plain(*inputs)).isnan()
    if name != "AdaptiveLogSoftmaxWithLoss":
        plain.reduction = strict.reduction = "none"
        assert strict(*inputs).shape == plain(*inputs).shape
        strict.reduction = "sum"
        assert strict(*inputs) == 0


def last(value):
    return value[-1] if isinstance(value, tuple) else value


def test_the_empty_batch_of_strings():
    inputs = (torch.zeros(4, 0, 3), torch.zeros(0, 2, dtype=torch.long), (), ())
    with pytest.raises(RuntimeError):
        nn.CTCLoss()(*inputs)
    assert nn.CTCLoss(strict=True)(*inputs) == 0


def test_bce_is_cut_at_100_nats():
    default, strict = both("BCELoss", torch.tensor([0.0]), torch.tensor([1.0]))
    assert default == 100
    assert strict == INF
    tiny = torch.tensor([1e-45], dtype=torch.float64)
    default, strict = both("BCELoss", tiny, torch.ones(1, dtype=torch.float64))
    assert default == 100
    torch.testing.assert_close(strict, -tiny.log()[0], rtol=1e-15, atol=0)


def test_poisson_with_stirling_is_not_the_likelihood():
    zero, two = torch.zeros(1, dtype=torch.float64), torch.tensor([2.0], dtype=torch.float64)
    loss = nn.PoissonNLLLoss(full=True)
    torch.testing.assert_close(
        loss.nll(zero, two), torch.tensor(1 + math.log(2), dtype=torch.float64), rtol=1e-15, atol=0
    )
    assert math.isclose(float(loss(zero, two) - loss.nll(zero, two)), -0.0413407, abs_tol=1e-7)


def test_ctc_slope_is_that_of_the_value():
    torch.manual_seed(0)
    scores = torch.randn(4, 1, 3, dtype=torch.float64)
    inputs = (torch.tensor([[1, 2]]), (4,), (2,))
    plain, strict = nn.CTCLoss(reduction="sum"), nn.CTCLoss(reduction="sum", strict=True)
    log_probs = scores.log_softmax(-1)
    wrong = slope(plain, log_probs, *inputs) - difference_of(lambda x: plain(x, *inputs), log_probs)
    assert wrong.abs().max() > 0.1  # torch's is the slope of a log-softmax and the loss
    for given in (log_probs, scores):  # normalised or not
        right = difference_of(lambda x: strict(x, *inputs), given)
        torch.testing.assert_close(slope(strict, given, *inputs), right, rtol=0, atol=1e-5)


def difference_of(function, x, step=1e-6):
    """The slope by differences."""
    result = torch.empty_like(x)
    for index in torch.cartesian_prod(*[torch.arange(n) for n in x.shape]):
        moved = x.clone()
        moved[tuple(index)] += step
        result[tuple(index)] = (function(moved) - function(x)) / step
    return result


def test_ctc_mean_weighs_by_length():
    torch.manual_seed(0)
    log_probs = torch.randn(4, 2, 3, dtype=torch.float64).log_softmax(-1)
    inputs = (torch.tensor([[1, 2], [1, 0]]), (4, 4), (2, 1))
    each = nn.CTCLoss(reduction="none")(log_probs, *inputs)
    mean = nn.CTCLoss()
    torch.testing.assert_close(mean(log_probs, *inputs), (each[0] / 2 + each[1]) / 2, rtol=1e-14, atol=0)
    torch.testing.assert_close(mean.nll(log_probs, *inputs), each.mean(), rtol=1e-12, atol=0)
    assert "length" in mean.relation.sentence()


def test_ctc_impossible_strings():
    log_probs = torch.zeros(2, 2, 3, dtype=torch.float64).log_softmax(-1)
    inputs = (torch.tensor([[1, 2, 1], [1, 1, 0]]), (2, 2), (3, 2))  # longer than the input; a blank too few
    for options in ({"reduction": "none"}, {"reduction": "none", "zero_infinity": True}):
        default, strict = both("CTCLoss", log_probs, *inputs, **options)
        assert torch.equal(default, strict)
        assert (slope(nn.CTCLoss(strict=True, **options), log_probs, *inputs).isfinite()).all()
    assert (strict == 0).all()


@pytest.mark.filterwarnings("ignore:Using a target size")
def test_nothing_is_broadcast():
    row, column = torch.zeros(3), torch.zeros(3, 1)
    for name, more in (("MSELoss", ()), ("L1Loss", ()), ("PoissonNLLLoss", ()), ("GaussianNLLLoss", (torch.ones(3),))):
        assert getattr(nn, name)(reduction="none")(row, column, *more).shape == (3, 3)
        with pytest.raises(ValueError, match="Nothing is broadcast"):
            getattr(nn, name)(strict=True)(row, column, *more)


def test_weights_of_the_functionals_that_the_classes_do_not_have():
    f, y, w = torch.zeros(2), torch.ones(2), torch.tensor([1.0, 3.0])
    assert F.mse_loss(f, y, weight=w) == 1  # the sum of weights is the divisor
    assert F.huber_loss(f, y, weight=w) == 1  # here it is the number of elements: (0.5 + 1.5) / 2
    assert F.huber_loss(f, y, weight=2 * w) == 2


def test_class_weights_tilt_and_untilt():
    loss = nn.CrossEntropyLoss(weight=torch.tensor([1.0, 3.0], dtype=torch.float64))
    scores = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    truth = torch.tensor([0.8, 0.2], dtype=torch.float64)
    optimizer = torch.optim.LBFGS([scores], max_iter=100, tolerance_grad=1e-14, tolerance_change=0)

    def expected():
        optimizer.zero_grad()
        each = torch.stack(
            [torch.nn.CrossEntropyLoss(loss.weight, reduction="sum")(scores, torch.tensor(k)) for k in (0, 1)]
        )
        value = (truth * each).sum()
        value.backward()
        return value

    optimizer.step(expected)
    law = loss.likelihood(scores.detach())
    torch.testing.assert_close(law.probs, torch.tensor([0.8, 0.6], dtype=torch.float64) / 1.4, rtol=1e-6, atol=0)
    assert "w_k" in loss.relation.sentence()


def test_impossible_class_costs_infinitely_much_in_place_of_an_error():
    scores, target = torch.zeros(1, 3), torch.tensor([7])
    with pytest.raises(IndexError):
        nn.CrossEntropyLoss()(scores, target)
    assert nn.CrossEntropyLoss(strict=True)(scores, target) == INF
