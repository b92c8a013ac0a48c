"""The losses of distances and similarities against torch.nn, textbook formulas and enumeration."""

import copy
import itertools
import math
import pickle

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import likelihoods as lk

DTYPES = [torch.float32, torch.float64]
SHAPES = [(7,), (2, 3), (0,)]
MARGINS = {
    "hinge_embedding": (1.0, 0.4),
    "cosine_embedding": (0.0, 0.3, -0.5),
    "contrastive": (1.0, 2.5),
    "triplet_margin": (1.0, 0.2),
    "margin_ranking": (0.0, 1.0),
}
CASES = [(name, margin) for name, margins in MARGINS.items() for margin in margins]


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, dtype=dtype, generator=torch.Generator().manual_seed(seed))


def signs(*shape, seed=1, dtype=torch.float64):
    return torch.where(noise(*shape, seed=seed, dtype=dtype) > 0, 1.0, -1.0).to(dtype)


def make(name, shape, dtype):
    raw = noise(*shape, *([2] if name in ("triplet_margin", "margin_ranking") else []), dtype=dtype)
    return (raw.tanh() if name == "cosine_embedding" else raw), signs(*shape, dtype=dtype)


def by_torch(name, margin, raw, y):
    """torch's own functions, fed with points whose distance (or cosine) is the number at hand."""
    if name == "hinge_embedding":
        return F.hinge_embedding_loss(raw, y, margin=margin, reduction="none")
    if name == "margin_ranking":
        return F.margin_ranking_loss(raw[..., 0], raw[..., 1], y, margin=margin, reduction="none")
    if name == "triplet_margin":
        near, far = torch.where(y == 1, raw[..., 0], raw[..., 1]), torch.where(y == 1, raw[..., 1], raw[..., 0])
        return F.triplet_margin_with_distance_loss(
            torch.zeros_like(near), near, far, distance_function=lambda a, b: b, margin=margin, reduction="none"
        )
    if name == "cosine_embedding":
        one = torch.stack([torch.ones_like(raw), torch.zeros_like(raw)], -1).flatten(0, -2)
        two = torch.stack([raw, (1 - raw.square()).sqrt()], -1).flatten(0, -2)
        return F.cosine_embedding_loss(one, two, y.flatten(), margin=margin, reduction="none").reshape(y.shape)
    similar, apart = 0.5 * raw**2, 0.5 * torch.clamp(margin - raw, min=0) ** 2
    return torch.where(y == 1, similar, apart)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("name", "margin"), CASES)
def test_value_and_slope(name, margin, shape, dtype):
    raw, y = make(name, shape, dtype)
    raw.requires_grad_()
    found, wanted = lk.loss(name, margin=margin, reduction="none")(raw, y), by_torch(name, margin, raw, y)
    assert found.shape == shape and found.dtype == dtype
    if name == "cosine_embedding":  # torch's cosine of two vectors is rounded
        torch.testing.assert_close(
            found,
            wanted,
            rtol=1e-5 if dtype == torch.float32 else 1e-10,
            atol=1e-6 if dtype == torch.float32 else 1e-11,
        )
    else:
        assert torch.equal(found, wanted)
    slopes = [torch.autograd.grad(x.sum(), raw, retain_graph=True)[0] for x in (found, wanted)]
    torch.testing.assert_close(
        *slopes, rtol=1e-4 if dtype == torch.float32 else 1e-9, atol=1e-5 if dtype == torch.float32 else 1e-9
    )
    if y.numel():
        assert lk.loss(name, margin=margin)(raw, y).item() == pytest.approx(found.mean().item(), rel=1e-6)


@pytest.mark.parametrize(("name", "margin"), CASES)
def test_label_law(name, margin):
    """The two labels' probabilities are exp(-loss) over their sum, and that sum moves with the prediction."""
    raw, y = make(name, (50,), torch.float64)
    loss = lk.loss(name, margin=margin, reduction="none")
    each = torch.stack([by_torch(name, margin, raw, sign * torch.ones_like(y)) for sign in (-1, 1)], -1)
    law = loss.likelihood(raw)
    torch.testing.assert_close(law.probs, (-each).softmax(-1), rtol=1e-9, atol=1e-10)
    torch.testing.assert_close(loss.nll(raw, y), loss(raw, y) + (-each).logsumexp(-1), rtol=1e-9, atol=1e-9)
    assert law.log_normalizer().std() > 0.01
    assert isinstance(loss.relation, lk.Gibbs)
    assert bool((law.sample((20,)).abs() == 1).all())


def test_logits_inside_the_margin():
    """Within the margin the label-normalised law is a logistic one: of margin - 2f, of 2d, of -2D."""
    f = torch.linspace(0.05, 0.95, 19, dtype=torch.float64)

    def logit(name, raw, margin):
        law = lk.loss(name, margin=margin).likelihood(raw)
        return law.logits[..., 1] - law.logits[..., 0]

    torch.testing.assert_close(logit("hinge_embedding", f, 1.0), 1 - 2 * f)
    pair = torch.stack([f, 0.4 * torch.ones_like(f)], -1)
    torch.testing.assert_close(logit("margin_ranking", pair, 1.0), 2 * (f - 0.4))
    torch.testing.assert_close(logit("triplet_margin", pair, 1.0), 2 * (0.4 - f))
    torch.testing.assert_close(logit("cosine_embedding", f, 0.3), (f - 0.3).clamp_min(0) - (1 - f))
    torch.testing.assert_close(logit("contrastive", f, 1.0), 0.5 - f)


def test_contrastive_elicits_the_probability_by_its_distance():
    f = torch.linspace(0, 2, 20_001, dtype=torch.float64)
    loss = lk.loss("contrastive", margin=2.0, reduction="none")
    for p in (0.1, 0.7):
        expected = p * loss(f, torch.ones_like(f)) + (1 - p) * loss(f, -torch.ones_like(f))
        assert f[expected.argmin()].item() == pytest.approx(2 * (1 - p), abs=1e-3)
    bent = lk.loss("hinge_embedding", margin=2.0, reduction="none")
    lowest = [
        f[(p * bent(f, torch.ones_like(f)) + (1 - p) * bent(f, -torch.ones_like(f))).argmin()].item()
        for p in (0.6, 0.9)
    ]
    assert lowest == [0.0, 0.0]  # the same for 60 % and 90 %


def test_triplet_of_embeddings():
    """From anchors, positives and negatives to the two distances, as torch makes them (eps inside the distance)."""
    anchor, positive, negative = (noise(9, 5, seed=s) for s in (1, 2, 3))
    raw = torch.stack([F.pairwise_distance(anchor, positive), F.pairwise_distance(anchor, negative)], -1)
    for name in ("TripletMarginLoss", "TripletMarginWithDistanceLoss"):
        found = lk.loss(name, margin=0.7)(raw, torch.ones(9, dtype=torch.float64))
        assert found.item() == nn.TripletMarginLoss(margin=0.7)(anchor, positive, negative).item()
    swapped = torch.stack([raw[:, 0], torch.minimum(raw[:, 1], F.pairwise_distance(positive, negative))], -1)
    wanted = nn.TripletMarginLoss(margin=0.7, swap=True)(anchor, positive, negative)
    assert lk.loss("triplet_margin", margin=0.7)(swapped, torch.ones(9, dtype=torch.float64)).item() == wanted.item()


KERNELS = {
    "exponential": lambda d, df: math.exp(-d),
    "gaussian": lambda d, df: math.exp(-(d**2)),
    "student_t": lambda d, df: (1 + d**2 / df) ** (-(df + 1) / 2),
}


@pytest.mark.parametrize(
    ("kernel", "df"), [("exponential", 1.0), ("gaussian", 1.0), ("student_t", 1.0), ("student_t", 3.0)]
)
def test_soft_triplet(kernel, df):
    raw = noise(4, 2, seed=2).abs().requires_grad_()
    y = torch.tensor([0, 1, 0, 1])
    loss = lk.loss("soft_triplet", kernel=kernel, df=df, reduction="none")
    k = [[KERNELS[kernel](d, df) for d in row] for row in raw.tolist()]
    wanted = [-math.log(row[i] / sum(row)) for row, i in zip(k, y.tolist(), strict=True)]
    torch.testing.assert_close(loss(raw, y), torch.tensor(wanted, dtype=torch.float64), rtol=1e-13, atol=1e-14)
    assert torch.autograd.gradcheck(lambda r: loss(r, y), (raw,))
    assert loss.relation == lk.Exact
    link = loss.likelihood.sources["logits"].link
    torch.testing.assert_close(link.inverse(link.forward(raw)), raw)


def test_soft_triplet_is_a_softplus():
    raw = noise(6, 2, seed=4).abs()
    first = torch.zeros(6, dtype=torch.long)
    found = lk.loss("soft_triplet", reduction="none")(raw, first)
    torch.testing.assert_close(found, F.softplus(raw[:, 0] - raw[:, 1]), rtol=1e-14, atol=1e-14)
    torch.testing.assert_close(found, lk.loss("info_nce", temperature=1.0, reduction="none")(-raw, first))


@pytest.mark.parametrize("temperature", [0.1, 0.5])
@pytest.mark.parametrize("dtype", DTYPES)
def test_info_nce(temperature, dtype):
    raw = noise(3, 4, 6, dtype=dtype).tanh().requires_grad_()
    y = torch.randint(6, (3, 4), generator=torch.Generator().manual_seed(0))
    found = lk.loss("info_nce", temperature=temperature)(raw, y)
    wanted = F.cross_entropy((raw / temperature).flatten(0, 1), y.flatten())
    close = {"rtol": 1e-13, "atol": 1e-13} if dtype == torch.float64 else {"rtol": 1e-5, "atol": 1e-5}
    torch.testing.assert_close(found, wanted, **close)
    torch.testing.assert_close(torch.autograd.grad(found, raw)[0], torch.autograd.grad(wanted, raw)[0], **close)
    batch = lk.loss("info_nce", temperature=temperature, in_batch=True)
    assert torch.equal(batch(raw, y), found)
    assert isinstance(batch.relation, lk.Partial) and lk.loss("info_nce").relation == lk.Exact


def test_info_nce_is_the_posterior_of_the_index():
    """One candidate from p(y | x), the others from p(y): the index's posterior is the softmax of log p(y | x) / p(y)."""
    joint = noise(4, 4, seed=8).exp()
    joint = joint / joint.sum()
    marginal, given = joint.sum(0), joint / joint.sum(1, keepdim=True)
    for x, ys in ((0, (0, 1, 2)), (2, (3, 3, 1))):
        weight = torch.stack(
            [given[x, ys[i]] * math.prod(marginal[y] for j, y in enumerate(ys) if j != i) for i in range(3)]
        )
        critic = (given[x, list(ys)] / marginal[list(ys)]).log()
        law = lk.loss("info_nce", temperature=1.0).likelihood(critic)
        torch.testing.assert_close(law.probs, weight / weight.sum())


def test_in_batch_is_no_law_of_the_matching():
    """Over the 4! matchings the product of the rows' probabilities sums to less than 1."""
    probs = lk.loss("info_nce", in_batch=True, temperature=0.5).likelihood(noise(4, 4, seed=1)).probs
    total = sum(math.prod(probs[i, p[i]].item() for i in range(4)) for p in itertools.permutations(range(4)))
    assert total < 0.5


@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_nt_xent(temperature):
    first, second = noise(5, 3, seed=1), noise(5, 3, seed=2)
    raw, target = lk.embeddings.two_views(first, second)
    found = lk.loss("nt_xent", temperature=temperature, reduction="none")(raw, target)
    z = torch.cat([first, second])
    for i in range(10):
        s = [math.exp(F.cosine_similarity(z[i], z[j], dim=0).item() / temperature) for j in range(10)]
        wanted = -math.log(s[(i + 5) % 10] / sum(s[j] for j in range(10) if j != i))
        assert found[i].item() == pytest.approx(wanted, rel=1e-12)
    leaf = first.clone().requires_grad_()
    raw, target = lk.embeddings.two_views(leaf, second)
    slope = torch.autograd.grad(lk.loss("nt_xent", temperature=temperature)(raw, target), leaf)[0]
    assert torch.isfinite(slope).all() and slope.abs().max() > 0
    with pytest.raises(ValueError, match=r"shapes \(5, 3\) and \(4, 3\)"):
        lk.embeddings.two_views(first, second[:4])
    assert (lk.loss("nt_xent").likelihood(raw.detach()).probs.diagonal() == 0).all()


def test_bad_options():
    with pytest.raises(ValueError, match="'exponential', 'gaussian' or 'student_t'"):
        lk.loss("soft_triplet", kernel="cauchy")
    with pytest.raises(ValueError, match="temperature=0.0; it must be positive"):
        lk.loss("info_nce", temperature=0.0)
    with pytest.raises(ValueError, match=r"must have shape \(4, 2\)"):
        lk.loss("triplet_margin")(torch.zeros(4), torch.ones(4))
    with pytest.raises(ValueError, match="impossible.*one of -1.0, 1.0"):
        lk.loss("hinge_embedding").check(torch.tensor([1.0, 0.0]))


@pytest.mark.parametrize("name", [*MARGINS, "soft_triplet", "info_nce", "nt_xent"])
def test_extremes_and_copies(name):
    loss = lk.loss(name, reduction="none")
    width = loss.likelihood.width or 3
    raw = torch.tensor([0.0, 1e-8, 1e4, 1e8]).expand(width, -1).T.clone()
    raw[:, 0] *= -1
    raw.requires_grad_()
    y = torch.zeros(4, dtype=torch.long) if loss._classes else torch.tensor([1.0, -1.0, 1.0, -1.0])
    found = loss(raw, y)
    assert torch.isfinite(found).all()
    assert torch.isfinite(torch.autograd.grad(found.sum(), raw)[0]).all()
    for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss), pickle.loads(pickle.dumps(loss.likelihood))):
        value = other(raw, y) if other.__class__.__name__ == "Loss" else -other.log_prob(raw, y)
        torch.testing.assert_close(value, found if other.__class__.__name__ == "Loss" else loss.nll(raw, y))
