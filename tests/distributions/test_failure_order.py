"""Cox's partial likelihood against statsmodels, its definition written out, and enumeration."""

import itertools
import math

import numpy as np
import pytest
import torch

from likelihoods.distributions import FailureOrderBreslow, FailureOrderEfron, PlackettLuce
from tests.distributions.vectors import frequencies, mass, protocol

LAWS = {"breslow": FailureOrderBreslow, "efron": FailureOrderEfron}
HAZARDS = torch.tensor([[0.3, -1.0, 0.8, 0.0], [2.0, 2.0, -3.0, 0.5], [0.0, 0.0, 0.0, 0.0]], dtype=torch.float64)
FAILURES = torch.tensor(
    [
        [[2, 1], [1, 1], [2, 1], [3, 0]],
        [[1, 1], [1, 1], [1, 0], [1, 1]],
        [[4, 0], [3, 1], [2, 0], [2, 1]],
    ]
)


def by_hand(hazard, failures, ties):
    rate = [math.exp(x) for x in hazard]
    found = 0.0
    for when in sorted({t for t, event in failures if event}):
        tied = [i for i, (t, event) in enumerate(failures) if t == when and event]
        at_risk = sum(rate[j] for j, (t, _) in enumerate(failures) if t >= when)
        for k, i in enumerate(tied):
            less = k / len(tied) * sum(rate[j] for j in tied) if ties == "efron" else 0.0
            found += hazard[i] - math.log(at_risk - less)
    return found


@pytest.mark.parametrize("ties", LAWS)
def test_definition(ties):
    wanted = [by_hand(x, y, ties) for x, y in zip(HAZARDS.tolist(), FAILURES.tolist(), strict=True)]
    torch.testing.assert_close(
        LAWS[ties](HAZARDS).log_prob(FAILURES), torch.tensor(wanted, dtype=torch.float64), rtol=1e-14, atol=1e-14
    )


@pytest.mark.parametrize("ties", LAWS)
def test_protocol(ties):
    protocol(LAWS[ties], HAZARDS, FAILURES)


@pytest.mark.parametrize("ties", LAWS)
def test_statsmodels(ties):
    from statsmodels.duration.hazard_regression import PHReg

    generator = torch.Generator().manual_seed(3)
    x = torch.randn(80, 3, dtype=torch.float64, generator=generator)
    time = torch.randint(1, 12, (80,), generator=generator).double()
    event = (torch.rand(80, generator=generator) < 0.7).double()
    peer = PHReg(time.numpy(), x.numpy(), status=event.numpy(), ties=ties)
    for weights in ([0.3, -0.7, 0.0], [2.0, 1.0, -3.0]):
        leaf = torch.tensor(weights, dtype=torch.float64, requires_grad=True)
        found = LAWS[ties](x @ leaf).log_prob(torch.stack([time, event], -1))
        slope = torch.autograd.grad(found, leaf)[0]
        np.testing.assert_allclose(found.item(), peer.loglike(np.array(weights)), rtol=1e-12)
        np.testing.assert_allclose(slope.numpy(), peer.score(np.array(weights)), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("ties", LAWS)
def test_is_plackett_luce_without_ties(ties):
    law = LAWS[ties](HAZARDS)
    total, log_prob = mass(law)
    torch.testing.assert_close(total, torch.ones(3, dtype=torch.float64), rtol=0, atol=1e-14)
    order = law.enumerate_support()[..., 0].argsort(-1)
    torch.testing.assert_close(log_prob, PlackettLuce(HAZARDS).log_prob(order))
    assert torch.equal(law.mode[0], law.enumerate_support()[log_prob[:, 0].argmax(), 0])
    torch.manual_seed(0)
    assert frequencies(LAWS[ties](HAZARDS[0])) < 5


def test_censoring_is_the_marginal_law_of_the_ranks():
    """A subject seen till after the k-th failure may fail at any later place: the orders that agree add up."""
    hazard = HAZARDS[0]
    failures = torch.tensor([[1, 1], [2, 0], [3, 1], [4, 1]])  # subject 1 was seen till between the first two failures
    agree = [[0, *rest] for rest in itertools.permutations([1, 2, 3]) if rest.index(2) < rest.index(3)]
    wanted = PlackettLuce(hazard).log_prob(torch.tensor(agree)).logsumexp(0)
    for law in LAWS.values():
        assert law(hazard).log_prob(failures).item() == pytest.approx(wanted.item(), rel=1e-14)


def test_ties_are_no_probability_under_breslow_and_nearly_one_under_efron():
    """Over which two of four failed together first, the average over their two orders sums to 1."""
    hazard = HAZARDS[0]
    pairs = list(itertools.combinations(range(4), 2))
    sums = {}
    for ties, law in LAWS.items():
        each = []
        for pair in pairs:
            failures = [[1, 1] if i in pair else [2, 0] for i in range(4)]
            each.append(law(hazard).log_prob(torch.tensor(failures)) + math.log(2))
        sums[ties] = torch.stack(each).exp().sum().item()
    assert sums["breslow"] < sums["efron"] < 1.01
    assert sums["breslow"] < 0.8
    assert sums["efron"] > 0.95


def test_only_the_order_counts():
    for law in LAWS.values():
        moved = FAILURES.double()
        moved[..., 0] = (3 * moved[..., 0]).exp() - 7
        torch.testing.assert_close(law(HAZARDS + 5).log_prob(moved), law(HAZARDS).log_prob(FAILURES))


def test_no_failure_no_information():
    for law in LAWS.values():
        leaf = HAZARDS.clone().requires_grad_()
        censored = FAILURES.clone()
        censored[..., 1] = 0
        found = law(leaf).log_prob(censored)
        assert (found == 0).all()
        assert (torch.autograd.grad(found.sum(), leaf)[0] == 0).all()
        assert law(torch.zeros(2, 0)).log_prob(torch.zeros(2, 0, 2)).tolist() == [0.0, 0.0]


def test_bad_input():
    for law in LAWS.values():
        of = law(HAZARDS[0])
        assert of.log_prob(torch.tensor([[1, 2], [1, 1], [2, 1], [3, 0]])).item() == -math.inf
        assert of.log_prob(torch.tensor([[math.inf, 1], [1, 1], [2, 1], [3, 0]])).item() == -math.inf
        assert of.log_prob(torch.tensor([[math.nan, 1], [1, 1], [2, 1], [3, 0]])).isnan()
        with pytest.raises(ValueError, match=r"\(\.\.\., 4, 2\).*torch\.stack\(\[time, event"):
            of.log_prob(torch.zeros(4))
        with pytest.raises(ValueError, match=r"give \(\.\.\., n\) for n subjects"):
            law(1.0)
        with pytest.raises(NotImplementedError, match="9! orders"):
            law(torch.zeros(9)).enumerate_support()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("ties", LAWS)
def test_extremes(ties, dtype):
    hazard = torch.tensor([1e3, -1e3, 1.5e3, -1.5e3], dtype=dtype, requires_grad=True)
    failures = torch.tensor([[1, 1], [1, 1], [2, 1], [2, 1]])
    found = LAWS[ties](hazard).log_prob(failures)
    assert found.item() == pytest.approx(-6e3, abs=2)
    slope = torch.autograd.grad(found, hazard)[0]
    assert torch.isfinite(slope).all() and abs(slope.sum().item()) < 1e-5


def test_large_cohorts():
    """A hundred thousand subjects with ties, sorted once: the same as the definition on the distinct times."""
    generator = torch.Generator().manual_seed(0)
    n = 100_000
    hazard = torch.randn(n, generator=generator, dtype=torch.float64)
    time = torch.randint(1000, (n,), generator=generator).double()
    event = (torch.rand(n, generator=generator) < 0.5).double()
    rate = hazard.exp()
    at_risk = torch.zeros(1000, dtype=torch.float64).index_add(0, time.long(), rate).flip(0).cumsum(0).flip(0)
    wanted = (event * (hazard - at_risk[time.long()].log())).sum()
    found = FailureOrderBreslow(hazard).log_prob(torch.stack([time, event], -1))
    assert found.item() == pytest.approx(wanted.item(), rel=1e-11)
