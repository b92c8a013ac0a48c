"""The losses of an order against textbook formulas and enumeration."""

import itertools
import math

import pytest
import torch
from torch.nn import functional as F

import likelihoods as lk

DTYPES = [torch.float32, torch.float64]


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def close(dtype):
    return {"rtol": 1e-13, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(6,), (2, 3), (0,)])
def test_bradley_terry(shape, dtype):
    raw = noise(*shape, 2, dtype=dtype).requires_grad_()
    winner = torch.randint(2, shape, generator=torch.Generator().manual_seed(0))
    found = lk.loss("bradley_terry", reduction="none")(raw, winner)
    wanted = F.binary_cross_entropy_with_logits(raw[..., 0] - raw[..., 1], 1 - winner.to(dtype), reduction="none")
    torch.testing.assert_close(found, wanted, **close(dtype))
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), raw)[0], torch.autograd.grad(wanted.sum(), raw)[0], **close(dtype)
    )


@pytest.mark.parametrize("dtype", DTYPES)
def test_ranknet(dtype):
    """Burges' cost: -P log P(o) - (1 - P) log(1 - P(o)), o the difference of scores, P in [0, 1]."""
    raw, share = noise(8, 2, seed=3, dtype=dtype), torch.linspace(0, 1, 8, dtype=dtype)
    o = raw[:, 0] - raw[:, 1]
    wanted = -share * o + F.softplus(o)
    loss = lk.loss("ranknet", soft=True, reduction="none")
    target = torch.stack([share, 1 - share], -1)
    torch.testing.assert_close(loss(raw, target), wanted, **close(dtype))
    assert isinstance(loss.relation, lk.Expected)
    assert lk.loss("bradley_terry").relation == lk.Exact
    torch.testing.assert_close(  # a tie is half a win of each
        loss(raw[:1], torch.full((1, 2), 0.5, dtype=dtype)),
        0.5 * sum(lk.loss("bradley_terry", reduction="none")(raw[:1], torch.tensor([k])) for k in (0, 1)),
        **close(dtype),
    )


def test_all_pairs_are_no_law_of_the_ranking():
    """Over the 3! rankings the product of the pairs' probabilities sums to less than 1: cycles have the rest."""
    scores = torch.tensor([0.2, -0.1, 0.4], dtype=torch.float64)
    law = lk.loss("bradley_terry").likelihood
    total = 0.0
    for ranking in itertools.permutations(range(3)):
        pairs = itertools.combinations(ranking, 2)
        total += math.prod(law(scores[list(pair)]).probs[0].item() for pair in pairs)
    assert total < 0.8
    assert lk.loss("list_mle").likelihood(scores).log_prob(
        torch.tensor(list(itertools.permutations(range(3))))
    ).exp().sum().item() == pytest.approx(1, abs=1e-14)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4,), (2, 3), (0,), ()])
def test_list_mle(shape, dtype):
    n = 5
    raw = noise(*shape, n, seed=1, dtype=dtype).requires_grad_()
    ranking = noise(*shape, n, seed=2).argsort(-1)
    found = lk.loss("list_mle", reduction="none")(raw, ranking)
    ordered = raw.gather(-1, ranking)
    wanted = sum(ordered[..., k:].logsumexp(-1) - ordered[..., k] for k in range(n))
    assert found.shape == shape
    torch.testing.assert_close(found, wanted, **close(dtype))
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), raw)[0], torch.autograd.grad(wanted.sum(), raw)[0], **close(dtype)
    )
    assert torch.equal(lk.loss("list_mle", reduction="none")(raw, ranking.to(dtype)), found)


def test_two_items_are_bradley_terry():
    raw = noise(6, 2)
    winner = torch.randint(2, (6,), generator=torch.Generator().manual_seed(1))
    ranking = torch.stack([winner, 1 - winner], -1)
    torch.testing.assert_close(lk.loss("list_mle")(raw, ranking), lk.loss("bradley_terry")(raw, winner))


def test_a_ranking_is_checked():
    loss = lk.loss("list_mle")
    loss.check(torch.tensor([[0, 2, 1], [2, 1, 0]]))
    with pytest.raises(
        ValueError, match=r"1 of 2 targets are impossible.*row 1.*\[2, 2, 0\].*the orders of 0, …, n - 1"
    ):
        loss.check(torch.tensor([[0, 2, 1], [2, 2, 0]]))
    with pytest.raises(ValueError, match="raw has shape"):
        loss(torch.zeros(2, 3), torch.tensor([0, 1, 2]))
    assert loss(torch.zeros(1, 3), torch.tensor([[0, 0, 1]])).item() == math.inf


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(4,), (2, 3), (0,)])
def test_list_net(shape, dtype):
    raw, relevance = noise(*shape, 5, seed=1, dtype=dtype).requires_grad_(), 2 * noise(*shape, 5, seed=2, dtype=dtype)
    found = lk.loss("list_net", reduction="none")(raw, relevance)
    wanted = -(relevance.softmax(-1) * raw.log_softmax(-1)).sum(-1)
    torch.testing.assert_close(found, wanted, **close(dtype))
    torch.testing.assert_close(
        torch.autograd.grad(found.sum(), raw)[0], torch.autograd.grad(wanted.sum(), raw)[0], **close(dtype)
    )


def test_list_net_is_the_first_place_of_list_mle():
    raw, relevance = noise(4, seed=1), noise(4, seed=2)
    law = lk.loss("list_mle").likelihood(raw)
    every = law.enumerate_support(expand=False)
    first = torch.zeros(4, dtype=torch.float64).index_add(0, every[:, 0], law.log_prob(every).exp())
    wanted = -(relevance.softmax(-1) * first.log()).sum()
    torch.testing.assert_close(lk.loss("list_net", reduction="sum")(raw[None], relevance[None]), wanted)


def test_margin_zero_is_content_with_equal_scores():
    raw, y = torch.zeros(3, 2), torch.tensor([1.0, 1.0, -1.0])
    assert lk.loss("margin_ranking")(raw, y).item() == 0
    assert lk.loss("margin_ranking", margin=0.5)(raw, y).item() == 0.5
