"""The laws and the nats that the classes state, against torch.distributions and against torch's own losses, normalised."""

import itertools
import math

import pytest
import torch
from scipy import integrate

import likelihoods as lk
from likelihoods import NoLikelihoodError, nn

torch.manual_seed(0)
F64 = torch.float64
PREDICTION, TARGET = torch.randn(4, 3, dtype=F64), torch.randn(4, 3, dtype=F64)
SCORES, CLASS = torch.randn(5, 4, dtype=F64), torch.tensor([0, 3, 1, 2, 2])


def close(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-12)


def normalised(loss, outcomes, chosen):
    """-log of exp(-loss) over the outcomes: from a function of the outcome to losses ``(N,)``."""
    each = torch.stack([loss(k) for k in outcomes])
    return each[chosen] + torch.logsumexp(-each, 0)


@pytest.mark.parametrize(
    ("name", "law"),
    [
        ("MSELoss", torch.distributions.Normal(PREDICTION, math.sqrt(0.5))),
        ("L1Loss", torch.distributions.Laplace(PREDICTION, 1.0)),
    ],
)
def test_numbers(name, law):
    module = getattr(nn, name)(reduction="none")
    close(module.nll(PREDICTION, TARGET), -law.log_prob(TARGET))
    assert module.likelihood(PREDICTION).batch_shape == (4, 3)
    close(module.likelihood(PREDICTION).stddev, law.stddev)
    close(getattr(nn, name)().nll(PREDICTION, TARGET), -law.log_prob(TARGET).mean())
    close(getattr(nn, name)(reduction="sum").nll(PREDICTION, TARGET), -law.log_prob(TARGET).sum())


@pytest.mark.parametrize(("name", "options"), [("HuberLoss", {"delta": 0.7}), ("SmoothL1Loss", {"beta": 0.3})])
def test_huber_by_quadrature(name, options):
    theirs = getattr(torch.nn, name)(**options)
    zero = torch.zeros((), dtype=F64)
    knots = [-60, -1, -0.7, -0.3, 0, 0.3, 0.7, 1, 60]
    total = sum(
        integrate.quad(lambda y: math.exp(-theirs(zero, torch.tensor(y, dtype=F64))), a, b)[0]
        for a, b in itertools.pairwise(knots)
    )
    each = getattr(torch.nn, name)(**options, reduction="none")(PREDICTION, TARGET)
    close(getattr(nn, name)(**options, reduction="none").nll(PREDICTION, TARGET), each + math.log(total))


def test_poisson_and_gaussian():
    counts = TARGET.exp().round()
    law = torch.distributions.Poisson(PREDICTION.exp())
    for full in (False, True):
        close(nn.PoissonNLLLoss(full=full, reduction="none").nll(PREDICTION, counts), -law.log_prob(counts))
    variance = torch.rand(4, 1, dtype=F64) + 0.5
    law = torch.distributions.Normal(PREDICTION, variance.sqrt().expand(4, 3))
    loss = nn.GaussianNLLLoss(reduction="none")
    close(loss.nll(PREDICTION, TARGET, variance), -law.log_prob(TARGET))
    close(loss.likelihood(PREDICTION, variance).stddev, law.stddev)
    close(loss.likelihood(PREDICTION, 4.0).stddev, torch.full((4, 3), 2.0, dtype=F64))


def test_binary():
    label = (TARGET > 0).to(F64)
    law = torch.distributions.Bernoulli(logits=PREDICTION)
    weight, positive = torch.rand(3, dtype=F64), torch.rand(3, dtype=F64)
    loss = nn.BCEWithLogitsLoss(weight=weight, pos_weight=positive, reduction="none")
    close(loss.nll(PREDICTION, label), -law.log_prob(label))  # never weighted
    close(loss.likelihood(PREDICTION).mean, law.mean)
    close(nn.BCELoss(reduction="none").nll(PREDICTION.sigmoid(), label), -law.log_prob(label))
    sign = 2 * label - 1
    close(nn.SoftMarginLoss(reduction="none").nll(PREDICTION, sign), -law.log_prob(label))
    close(nn.SoftMarginLoss().likelihood(PREDICTION).probs[..., 1], law.mean)


def test_pos_weight_is_undone():
    loss = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(3.0, dtype=F64))
    learned = loss.likelihood(torch.tensor(math.log(3.0), dtype=F64))  # what a fair coin teaches with this weight
    close(loss.relation.untilt(learned).probs, torch.tensor(0.5, dtype=F64))


def test_classes():
    law = torch.distributions.Categorical(logits=SCORES)
    weight = torch.rand(4, dtype=F64)
    for options in ({}, {"weight": weight}):
        loss = nn.CrossEntropyLoss(reduction="none", **options)
        close(loss.nll(SCORES, CLASS), -law.log_prob(CLASS))
        close(loss.likelihood(SCORES).probs, law.probs)
        close(nn.NLLLoss(reduction="none", **options).nll(SCORES.log_softmax(-1), CLASS), -law.log_prob(CLASS))
    ignored = CLASS.masked_fill(CLASS == 2, -100)
    known = ignored >= 0
    nll = -law.log_prob(CLASS)
    close(nn.CrossEntropyLoss(reduction="none").nll(SCORES, ignored), nll * known)
    close(nn.CrossEntropyLoss().nll(SCORES, ignored), nll[known].mean())
    close(nn.CrossEntropyLoss(weight=weight).nll(SCORES, ignored), nll[known].mean())


def test_images_of_classes():
    scores, target = torch.randn(2, 3, 4, 5, dtype=F64), torch.randint(3, (2, 4, 5))
    law = nn.CrossEntropyLoss().likelihood(scores)
    assert law.batch_shape == (2, 4, 5)
    close(law.probs, scores.softmax(1).movedim(1, -1))
    close(nn.CrossEntropyLoss().nll(scores, target), torch.nn.CrossEntropyLoss()(scores, target))


@pytest.mark.filterwarnings("ignore:reduction. 'mean'")
def test_divergence():
    p = torch.rand(5, 4, dtype=F64).softmax(-1)
    log_q = SCORES.log_softmax(-1)
    crossed = -(p * log_q).sum(-1)
    close(nn.KLDivLoss(reduction="none").nll(log_q, p), crossed)
    for reduction in ("mean", "batchmean"):
        close(nn.KLDivLoss(reduction=reduction).nll(log_q, p), crossed.mean())
    close(nn.CrossEntropyLoss(reduction="none").nll(SCORES, p), crossed)


def test_layers_of_their_own():
    adaptive = nn.AdaptiveLogSoftmaxWithLoss(3, 9, [2, 5], div_value=1.0, head_bias=True).double()
    law = adaptive.likelihood(PREDICTION)
    close(law.logits, adaptive.log_prob(PREDICTION))  # torch's
    assert torch.equal(law.logits.argmax(-1), adaptive.predict(PREDICTION))
    close(adaptive.nll(PREDICTION, CLASS[:4]), adaptive(PREDICTION, CLASS[:4]).loss)
    if hasattr(torch.nn, "LinearCrossEntropyLoss"):
        linear = nn.LinearCrossEntropyLoss(3, 4, bias=True).double()
        close(linear.likelihood(PREDICTION).probs, linear.linear(PREDICTION).softmax(-1))


@pytest.mark.parametrize(
    "options", [{}, {"p": 2}, {"margin": 0.3, "weight": torch.tensor([0.5, 1.0, 2.0, 0.2], dtype=F64)}]
)
def test_margins_of_classes(options):
    theirs = torch.nn.MultiMarginLoss(**options, reduction="none")
    loss = nn.MultiMarginLoss(**options, reduction="none")
    wanted = normalised(lambda k: theirs(SCORES, torch.full((5,), k)), range(4), 1)
    close(loss.nll(SCORES, torch.full((5,), 1)), wanted)
    close(loss.likelihood(SCORES).log_prob(torch.tensor(1)), -wanted)


def test_margins_of_sets():
    lists = []
    for chosen in itertools.product((0, 1), repeat=4):
        members = [k for k in range(4) if chosen[k]]
        lists.append(torch.tensor(members + [-1] * (4 - len(members))).expand(5, 4))
    theirs = torch.nn.MultiLabelMarginLoss(reduction="none")
    loss = nn.MultiLabelMarginLoss(reduction="none")
    for k in (0, 5, 15):
        wanted = normalised(lambda i: theirs(SCORES, lists[i].contiguous()), range(16), k)
        close(loss.nll(SCORES, lists[k]), wanted)
    assert loss.likelihood(SCORES).event_shape == (4,)
    label = (SCORES > 0).to(F64)
    soft = nn.MultiLabelSoftMarginLoss(reduction="none")
    close(soft.nll(SCORES, label), 4 * torch.nn.MultiLabelSoftMarginLoss(reduction="none")(SCORES, label))
    close(soft.likelihood(SCORES).log_prob(label), -soft.nll(SCORES, label))


def test_the_relation_of_weighted_labels():
    """It is that of one label, so that the sum over the set is torch's loss."""
    label, weight = (SCORES > 0).to(F64), torch.tensor([0.5, 1.0, 2.0, 0.2], dtype=F64)
    loss = nn.MultiLabelSoftMarginLoss(weight=weight, reduction="none")
    likelihood = lk.Family(lk.distributions.Bernoulli, logits=lk.predicted())
    each = loss.relation.loss(likelihood, SCORES.unsqueeze(-1), label)
    close(each.sum(-1), torch.nn.MultiLabelSoftMarginLoss(weight=weight, reduction="none")(SCORES, label))


SIGNS = (-1.0, 1.0)


@pytest.mark.parametrize(
    ("name", "predictions", "options"),
    [
        ("HingeEmbeddingLoss", (PREDICTION[:, 0].abs(),), {"margin": 0.6}),
        ("CosineEmbeddingLoss", (PREDICTION, TARGET), {"margin": 0.2}),
        ("MarginRankingLoss", (PREDICTION[:, 0], TARGET[:, 0]), {"margin": 0.7}),
    ],
)
def test_pairs(name, predictions, options):
    theirs = getattr(torch.nn, name)(**options, reduction="none")
    loss = getattr(nn, name)(**options, reduction="none")
    for chosen in (0, 1):
        wanted = normalised(lambda k: theirs(*predictions, torch.full((4,), SIGNS[k], dtype=F64)), (0, 1), chosen)
        close(loss.nll(*predictions, torch.full((4,), SIGNS[chosen], dtype=F64)), wanted)
        close(loss.likelihood(*predictions).probs[..., chosen], (-wanted).exp())


@pytest.mark.parametrize("name", ["TripletMarginLoss", "TripletMarginWithDistanceLoss"])
def test_triplets(name):
    anchor, positive, negative = PREDICTION, TARGET, TARGET.flip(0) + 0.1
    theirs, loss = getattr(torch.nn, name)(reduction="none"), getattr(nn, name)(reduction="none")
    order = [(positive, negative), (negative, positive)]
    wanted = normalised(lambda k: theirs(anchor, *order[k]), (0, 1), 0)
    close(loss.nll(anchor, positive, negative), wanted)
    assert loss.likelihood(anchor, positive, negative).batch_shape == (4,)


def test_strings():
    """Torch's own loss of every string of up to three labels: the probabilities sum to one, and each is the law's."""
    log_probs = torch.randn(3, 1, 3, dtype=F64).log_softmax(-1)
    theirs, loss = torch.nn.CTCLoss(reduction="none"), nn.CTCLoss(reduction="none")
    law = loss.likelihood(log_probs, (3,))
    total = torch.zeros(1, dtype=F64)
    for length in range(4):
        for string in itertools.product((1, 2), repeat=length):
            target = torch.tensor([[*string, *[1] * (3 - length)]])
            given = (target, torch.tensor([3]), torch.tensor([length]))
            close(loss.nll(log_probs, *given), theirs(log_probs, *given))
            total += (-theirs(log_probs, *given)).exp()
            padded = torch.tensor([[*string, *[-1] * (3 - length)]])
            close(law.log_prob(padded), -theirs(log_probs, *given))
    close(total, torch.ones(1, dtype=F64))


def test_shorter_inputs_of_a_batch():
    log_probs = torch.randn(4, 2, 3, dtype=F64).log_softmax(-1)
    law = nn.CTCLoss().likelihood(log_probs, torch.tensor([4, 2]))
    alone = nn.CTCLoss().likelihood(log_probs[:2, 1], 2)
    close(law.log_prob(torch.tensor([1, 2, -1, -1]))[1], alone.log_prob(torch.tensor([1, 2])))


def test_every_loss_of_torch_has_a_likelihood():
    for name in nn.__all__:
        if name not in ("NLLLoss2d", "AdaptiveLogSoftmaxWithLoss", "LinearCrossEntropyLoss"):
            assert "no likelihood" not in getattr(nn, name)().relation.sentence()
    assert issubclass(NoLikelihoodError, ValueError)
