"""The law of label strings against the sum over all paths, torch's ctc_loss, and enumeration."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

from likelihoods.distributions import LabelString
from tests.distributions.vectors import frequencies, mass, protocol


def logits(*shape, seed=0, dtype=torch.float64):
    return 1.5 * torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def read(path, blank):
    return tuple(k for k, _ in itertools.groupby(path) if k != blank)


def by_paths(frames, blank):
    """The probability of every string, by adding up the paths one by one."""
    p = frames.softmax(-1).tolist()
    found = {}
    for path in itertools.product(range(len(p[0])), repeat=len(p)):
        string = read(path, blank)
        found[string] = found.get(string, 0.0) + math.prod(row[k] for row, k in zip(p, path, strict=True))
    return found


def padded(string, frames):
    return [*string, *[-1] * (frames - len(string))]


CASES = [(4, 3, 0), (4, 3, 2), (5, 2, 1), (3, 4, 1), (1, 2, 0), (2, 1, 0)]


@pytest.mark.parametrize(("frames", "labels", "blank"), CASES)
def test_sum_over_paths(frames, labels, blank):
    x = logits(frames, labels)
    law, wanted = LabelString(x, blank), by_paths(x, blank)
    strings = torch.tensor([padded(s, frames) for s in wanted])
    found = law.log_prob(strings).exp()
    torch.testing.assert_close(found, torch.tensor(list(wanted.values()), dtype=torch.float64), rtol=1e-13, atol=1e-15)
    # these are all that there are
    every = {tuple(s) for s in law.enumerate_support().tolist()}
    assert every == {tuple(s) for s in strings.tolist()}
    total, log_prob = mass(law)
    assert total.item() == pytest.approx(1, abs=1e-14)
    assert law.entropy().item() == pytest.approx(-(log_prob.exp() * log_prob).sum().item())


@pytest.mark.parametrize("blank", [0, 3])
def test_torch(blank):
    x = logits(6, 12, 5, seed=1).requires_grad_()
    others = [k for k in range(5) if k != blank]
    lengths = torch.tensor([0, 1, 2, 3, 4, 5])
    y = torch.full((6, 12), -1)
    for row, length in enumerate(lengths.tolist()):
        pick = torch.randint(4, (length,), generator=torch.Generator().manual_seed(row))
        y[row, :length] = torch.tensor(others)[pick]
    log_p = x.log_softmax(-1).transpose(0, 1)
    wanted = F.ctc_loss(log_p, y.clamp_min(0), torch.full((6,), 12), lengths, blank=blank, reduction="none")
    ours = -LabelString(x, blank).log_prob(y)
    torch.testing.assert_close(ours, wanted, rtol=1e-13, atol=1e-13)
    slopes = [torch.autograd.grad(value.sum(), x, retain_graph=True)[0] for value in (ours, wanted)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-13)


def test_slope_in_what_is_given():
    """torch's slope in log_probs is that of a log-softmax even where none is taken; ours is of what was given."""
    log_p = logits(1, 4, 3).log_softmax(-1).requires_grad_()
    y = torch.tensor([[1, 2, -1, -1]])
    assert torch.autograd.gradcheck(lambda x: LabelString(x).log_prob(y), (log_p,))
    theirs = F.ctc_loss(log_p.transpose(0, 1), y[:, :2], torch.tensor([4]), torch.tensor([2]), reduction="sum")
    step, h = torch.zeros_like(log_p), 1e-6
    step[0, 0, 0] = h
    rise = [
        F.ctc_loss((log_p + s * step).transpose(0, 1), y[:, :2], torch.tensor([4]), torch.tensor([2]), reduction="sum")
        for s in (1, -1)
    ]
    true = ((rise[0] - rise[1]) / (2 * h)).item()
    assert abs(torch.autograd.grad(theirs, log_p)[0][0, 0, 0].item() - true) > 0.1


def test_protocol():
    y = torch.tensor([[1, 2, -1, -1], [2, 2, -1, -1], [-1, -1, -1, -1]])
    protocol(LabelString, logits(3, 4, 3), y)


def test_samples():
    torch.manual_seed(0)
    assert frequencies(LabelString(logits(3, 3, seed=4), 1)) < 5


def test_collapse():
    for path in itertools.product(range(3), repeat=4):
        found = LabelString.collapse(torch.tensor(path), blank=1)
        assert found.tolist() == padded(read(path, 1), 4)


def test_shorter_inputs():
    """Frames in which the blank is certain are as good as none, and have no slope."""
    x = logits(2, 6, 3, seed=2)
    y = torch.tensor([[1, 2, -1, -1, -1, -1], [2, -1, -1, -1, -1, -1]])
    whole = LabelString.shortened(x, torch.tensor([6, 3])).requires_grad_()
    law = LabelString(whole)
    alone = LabelString(x[1, :3]).log_prob(y[1, :3])
    found = law.log_prob(y)
    assert found[1].item() == pytest.approx(alone.item(), rel=1e-14)
    assert found[0].item() == pytest.approx(LabelString(x[0]).log_prob(y[0]).item(), rel=1e-14)
    slope = torch.autograd.grad(found.sum(), whole)[0]
    assert torch.isfinite(slope).all()
    assert (slope[1, 3:] == 0).all()
    assert law.log_prob(torch.tensor([[1, 1, 2, 1, -1, -1], [1, 1, 1, -1, -1, -1]]))[1].item() == -math.inf  # 5 frames
    assert (law.sample((100,))[:, 1, 3:] == -1).all()


@pytest.mark.parametrize(
    "value", [[1, 1, -1], [0, -1, -1], [1, -1, 2], [3, -1, -1], [-2, 1, -1], [1.5, -1.0, -1.0], [math.inf, -1, -1]]
)
def test_impossible(value):
    if value == [1, 1, -1]:
        value = [1, 1, 2]  # needs four frames
    x = logits(3, 3).requires_grad_()
    found = LabelString(x).log_prob(torch.tensor(value))
    assert found.item() == -math.inf
    assert (torch.autograd.grad(found, x)[0] == 0).all()
    assert not LabelString(x).support.check(torch.tensor(value))


def test_bad_input():
    law = LabelString(logits(3, 3))
    assert law.log_prob(torch.tensor([1.0, math.nan, -1.0])).isnan()
    with pytest.raises(ValueError, match=r"pad it with -1 to the number of frames"):
        law.log_prob(torch.tensor([1, 2]))
    with pytest.raises(ValueError, match=r"wants \(\.\.\., T frames, C labels\)"):
        LabelString(torch.zeros(3))
    with pytest.raises(ValueError, match="blank=3; the labels are 0 to 2"):
        LabelString(torch.zeros(2, 3), 3).log_prob(torch.tensor([1, -1]))
    with pytest.raises(ValueError, match="blank=0.5; it is the index of a label"):
        LabelString(torch.zeros(2, 3), 0.5)
    with pytest.raises(NotImplementedError, match="beam search"):
        _ = law.mode
    with pytest.raises(NotImplementedError, match=r"30\^100 strings"):
        LabelString(torch.zeros(100, 30)).enumerate_support()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", [0.0, 1e3, 1e6])
def test_extremes(dtype, size):
    x = (size * logits(4, 20, 5)).to(dtype).requires_grad_()
    law = LabelString(x)
    y = law.sample()
    found = law.log_prob(y)
    assert torch.isfinite(found).all() and (found <= 1e-5).all()
    assert torch.isfinite(torch.autograd.grad(found.sum(), x)[0]).all()


def test_long_input():
    """In single precision, what many frames add up to is still right."""
    x = logits(2, 400, 20, seed=5)
    y = torch.full((2, 400), -1)
    y[:, :40] = torch.randint(1, 20, (2, 40), generator=torch.Generator().manual_seed(3))
    wanted = LabelString(x).log_prob(y)
    assert (wanted < -500).all()
    torch.testing.assert_close(LabelString(x.float()).log_prob(y).double(), wanted, rtol=1e-5, atol=0)
