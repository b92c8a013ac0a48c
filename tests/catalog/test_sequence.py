"""CTC against torch.nn.CTCLoss over its options, and what its mean elicits."""

import copy
import math
import pickle

import pytest
import torch
from torch import nn

import likelihoods as lk
from likelihoods.distributions import LabelString

DTYPES = [torch.float32, torch.float64]
T, C = 9, 5


def make(blank=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(2)
    raw = torch.randn(5, T, C, dtype=dtype, generator=generator)
    lengths = torch.tensor([0, 1, 2, 3, 4])
    labels = torch.tensor([k for k in range(C) if k != blank])
    y = torch.full((5, T), -1)
    for row, length in enumerate(lengths.tolist()):
        y[row, :length] = labels[torch.randint(C - 1, (length,), generator=generator)]
    return raw, y, lengths


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("blank", [0, 2])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_torch(reduction, blank, dtype):
    raw, y, lengths = make(blank, dtype)
    raw.requires_grad_()
    wanted = nn.CTCLoss(blank=blank, reduction=reduction)(
        raw.log_softmax(-1).transpose(0, 1), y.clamp_min(0), torch.full((5,), T), lengths
    )
    found = lk.loss("ctc", blank=blank, per_label=reduction == "mean", reduction=reduction)(raw, y)
    close = {"rtol": 1e-13, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found, wanted, **close)
    torch.testing.assert_close(torch.autograd.grad(found, raw)[0], torch.autograd.grad(wanted, raw)[0], **close)
    assert lk.loss("CTCLoss", blank=blank).name == "ctc"


def test_shorter_inputs():
    raw, y, lengths = make()
    inputs = torch.tensor([9, 5, 7, 8, 9])
    wanted = nn.CTCLoss()(raw.log_softmax(-1).transpose(0, 1), y.clamp_min(0), inputs, lengths)
    short = LabelString.shortened(raw, inputs).requires_grad_()
    found = lk.loss("ctc")(short, y)
    torch.testing.assert_close(found, wanted)
    assert torch.isfinite(torch.autograd.grad(found, short)[0]).all()


def test_shapes():
    raw, y, _ = make()
    loss = lk.loss("ctc", reduction="none")
    wanted = loss(raw, y)
    assert wanted.shape == (5,)
    assert torch.equal(loss(raw[3], y[3]), wanted[3]) or loss(raw[3], y[3]).item() == pytest.approx(
        wanted[3].item(), rel=1e-14
    )
    torch.testing.assert_close(loss(raw.expand(2, 5, T, C), y.expand(2, 5, T)), wanted.expand(2, 5))
    torch.testing.assert_close(loss(raw, y.double()), wanted)
    assert loss(raw[:0], y[:0]).shape == (0,)
    with pytest.raises(ValueError, match="raw has shape"):
        loss(raw, y[:, :4])
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):
        assert torch.equal(other(raw, y), wanted)
    assert loss.likelihood.rank == 1 and loss.likelihood.shared == 1 and loss.likelihood.width is None


def test_targets_are_checked():
    loss = lk.loss("ctc")
    loss.check(make()[1])
    with pytest.raises(ValueError, match=r"1 of 2 targets are impossible.*row 1.*strings of the labels"):
        loss.check(torch.tensor([[1, 2, -1], [1, -1, 2]]))
    found = lk.loss("ctc", reduction="none")(torch.zeros(2, 2, 3), torch.tensor([[1, 1], [1, 2]]))
    assert found[0].item() == math.inf and found[1].item() == pytest.approx(math.log(9) / 2, rel=1e-6)


def test_the_mean_elicits_a_law_biased_to_short_strings():
    """Data half 'a', half 'aa': the fitted share of 'aa' is 1/3 under torch's mean, 1/2 under the likelihood."""
    data = torch.tensor([[1, -1, -1], [1, 1, -1]])
    for per_label, share in ((True, 1 / 3), (False, 0.5)):
        raw = torch.zeros(3, 2, dtype=torch.float64, requires_grad=True)
        loss = lk.loss("ctc", per_label=per_label)
        optimizer = torch.optim.LBFGS(
            [raw], max_iter=500, tolerance_grad=1e-10, tolerance_change=0, line_search_fn="strong_wolfe"
        )

        def closure(raw=raw, loss=loss, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(raw.expand(2, 3, 2), data)
            value.backward()
            return value

        raw.data[1] = torch.tensor([0.3, -0.3])
        optimizer.step(closure)
        p = lk.loss("ctc").likelihood(raw.detach()).log_prob(data).exp()
        assert p[1].item() == pytest.approx(share, abs=1e-3)
        assert p.sum().item() == pytest.approx(1, abs=1e-3)


def test_untilt_gives_back_the_law():
    """P in proportion to q · length, where q minimises the weighted loss."""
    relation = lk.loss("ctc").relation
    law = lk.loss("ctc").likelihood(torch.zeros(2, 2, dtype=torch.float64))  # 'a' with 3/4, the empty string with 1/4
    every = law.enumerate_support()
    weight = relation.weight(every)
    wanted = law.log_prob(every).exp() / weight
    torch.testing.assert_close(relation.untilt(law).probs, wanted / wanted.sum())
    assert "length" in relation.sentence()
