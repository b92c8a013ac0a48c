"""The Plackett-Luce law against its definition, enumeration, and the exponential race behind it."""

import math

import pytest
import torch
from torch.distributions import kl_divergence

from likelihoods.distributions import PlackettLuce
from tests.distributions.vectors import frequencies, mass, protocol

LOGITS = torch.tensor([[0.3, -1.0, 0.8, 0.0], [2.0, 2.0, -3.0, 0.5], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
RANKINGS = torch.tensor([[2, 0, 3, 1], [0, 1, 2, 3], [3, 2, 1, 0]])


def by_hand(logits, ranking):
    strength = [math.exp(x) for x in logits]
    left, found = list(range(len(strength))), 0.0
    for item in ranking:
        found += math.log(strength[item] / sum(strength[j] for j in left))
        left.remove(item)
    return found


def test_protocol():
    protocol(PlackettLuce, LOGITS, RANKINGS)


def test_density():
    wanted = [by_hand(x, y) for x, y in zip(LOGITS.tolist(), RANKINGS.tolist(), strict=True)]
    torch.testing.assert_close(PlackettLuce(LOGITS).log_prob(RANKINGS), torch.tensor(wanted, dtype=torch.float64))
    assert wanted[2] == pytest.approx(-math.log(24))


def test_sums_to_one():
    law = PlackettLuce(LOGITS)
    total, log_prob = mass(law)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-14)
    torch.testing.assert_close(law.entropy(), -(log_prob.exp() * log_prob).sum(0))
    assert torch.equal(law.mode, law.enumerate_support()[log_prob.argmax(0), torch.arange(3)])
    # the first place is a softmax
    first = law.enumerate_support(expand=False)[:, 0, 0]
    share = torch.zeros(4, 3, dtype=torch.float64).index_add(0, first, log_prob.exp())
    torch.testing.assert_close(share.T, LOGITS.softmax(-1))


def test_samples():
    torch.manual_seed(0)
    assert frequencies(PlackettLuce(LOGITS[0])) < 5


def test_kl():
    p, q = PlackettLuce(LOGITS[0]), PlackettLuce(LOGITS[1])
    every = p.enumerate_support()
    log_p, log_q = p.log_prob(every), q.log_prob(every)
    torch.testing.assert_close(kl_divergence(p, q), (log_p.exp() * (log_p - log_q)).sum())
    with pytest.raises(ValueError, match="rank 4 and 2 items"):
        kl_divergence(p, PlackettLuce(torch.zeros(2)))


@pytest.mark.parametrize("value", [[0, 0, 1, 2], [0, 1, 2, 4], [-1, 0, 1, 2], [0.5, 1.0, 2.0, 3.0]])
def test_no_rankings(value):
    assert PlackettLuce(LOGITS[0]).log_prob(torch.tensor(value)).item() == -math.inf
    assert not PlackettLuce.support.check(torch.tensor(value))


def test_bad_input():
    with pytest.raises(ValueError, match=r"shape \(\.\.\., 4\), but the value has shape \(3,\)"):
        PlackettLuce(LOGITS[0]).log_prob(torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match=r"shape \(\); give a tensor of shape \(\.\.\., n\)"):
        PlackettLuce(0.0)
    with pytest.raises(ValueError, match="logits"):
        PlackettLuce(torch.tensor([0.0, math.nan]), validate_args=True)  # torch.compile switches the default off
    with pytest.raises(NotImplementedError, match="9! rankings"):
        PlackettLuce(torch.zeros(9)).enumerate_support()
    assert PlackettLuce(LOGITS[0]).log_prob(torch.tensor([0.0, math.nan, 1.0, 2.0])).isnan()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_extremes(dtype):
    logits = torch.tensor([1e4, -1e4, 0.0], dtype=dtype, requires_grad=True)
    value = PlackettLuce(logits).log_prob(torch.tensor([1, 2, 0]))
    assert value.item() == pytest.approx(-3e4, rel=1e-6)
    torch.testing.assert_close(torch.autograd.grad(value, logits)[0], torch.tensor([-2.0, 1.0, 1.0], dtype=dtype))
    # only differences count, and their slopes keep their digits far from 0
    far = (torch.tensor([0.3, -1.0, 0.8], dtype=torch.float64) + 1000).to(dtype).requires_grad_()
    slope = torch.autograd.grad(PlackettLuce(far).log_prob(torch.tensor([0, 1, 2])), far)[0]
    near = (far.detach().double() - 1000).requires_grad_()
    wanted = torch.autograd.grad(PlackettLuce(near).log_prob(torch.tensor([0, 1, 2])), near)[0]
    torch.testing.assert_close(slope.double(), wanted, rtol=0, atol=4 * torch.finfo(dtype).eps)
