"""Which noise a loss stands for: against the objective as a user writes it, differentiated."""

import math

import pytest
import torch

import likelihoods as lk

SIZE = 12
CASES = [
    ("mse", {}, "mean", 1.0, 1.0),
    ("mse", {}, "sum", 0.5, 1.0),
    ("mse", {}, "mean", 1.0, 2.5e-4),
    ("l1", {}, "mean", 1.0, 0.1),
    ("l1", {}, "sum", 3.0, 4.0),
    ("huber", {"delta": 0.7}, "mean", 1.0, 0.2),
    ("huber", {}, "sum", 1.0, 1.0),
    ("smooth_l1", {"beta": 0.5}, "mean", 4.0, 1.0),
    ("log_cosh", {}, "mean", 1.0, 0.5),
    ("quantile", {"levels": 0.3}, "mean", 1.0, 0.5),
    ("expectile", {"level": 0.2}, "sum", 1.0, 3.0),
    ("student_t", {}, "sum", 1.0, 0.5),
    ("cauchy", {}, "sum", 3.0, 1.0),
    ("barron", {"alpha": 1.0}, "mean", 1.0, 0.1),
    ("epsilon_insensitive", {}, "sum", 2.0, 1.0),
    ("squared_epsilon_insensitive", {}, "mean", 1.0, 1.0),
]


@pytest.mark.parametrize(("name", "options", "reduction", "weight", "kl_weight"), CASES)
def test_objective_is_the_elbo_of_the_likelihood(name, options, reduction, weight, kl_weight):
    """weight * loss + kl_weight * KL and kl_weight * (NLL + KL) differ by a constant: all gradients agree."""
    generator = torch.Generator().manual_seed(0)
    y, kl = torch.randn(SIZE, dtype=torch.float64, generator=generator), 1.7
    implied = lk.implied(name, reduction=reduction, size=SIZE, weight=weight, kl_weight=kl_weight, **options)
    gaps = []
    for _ in range(4):
        f = torch.randn(SIZE, dtype=torch.float64, generator=generator, requires_grad=True)
        elements = lk.loss(name, reduction="none", **options)(f, y)
        objective = weight * (elements.mean() if reduction == "mean" else elements.sum()) + kl_weight * kl
        elbo = kl_weight * (-implied.likelihood(f).log_prob(y).sum() + kl)
        gaps.append((objective - elbo).item())
        ours, theirs = (torch.autograd.grad(value, f)[0] for value in (elbo, objective))
        torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-10)
    assert max(gaps) - min(gaps) < 1e-8 * max(1.0, abs(gaps[0]))
    sample = implied.likelihood(torch.zeros(1, dtype=torch.float64))
    assert implied.deviation == pytest.approx(sample.variance.sqrt().item(), rel=1e-9)


def test_the_numbers_that_people_meet():
    """Mean-reduced MSE plus a summed KL of weight w over D pixels: sd sqrt(w D / 2)."""
    assert lk.implied("mse", reduction="mean", size=784).scale == pytest.approx(math.sqrt(784 / 2))
    assert lk.implied("mse", reduction="mean", size=784, kl_weight=2.5e-4).scale == pytest.approx(0.313, abs=5e-4)
    assert lk.implied("mse", weight=0.5).scale == pytest.approx(1.0)
    assert lk.implied("mse").deviation == pytest.approx(math.sqrt(0.5))
    assert "standard deviation of 19.8" in str(lk.implied("mse", reduction="mean", size=784))
    assert lk.implied("mse").scale == lk.implied("mse", scale=3.0).scale  # the loss does not change with its reading
    assert lk.implied(lk.loss("l1"), kl_weight=2.0).scale == pytest.approx(2.0)
    assert lk.implied("huber", reduction="mean", size=784).scale is None


def test_a_weight_at_which_there_is_no_noise():
    """The mean of Cauchy's loss over ten elements: (1 + r²)^(-1/10) has no finite integral."""
    with pytest.raises(lk.NoLikelihoodError, match="diverges"):
        lk.implied("cauchy", reduction="mean", size=10)


def test_what_has_no_noise_scale():
    for name in ("poisson_nll", "gaussian_nll", "hinge", "cross_entropy", "welsch", "dice"):
        with pytest.raises(ValueError, match=rf"{name} is no loss of y - f"):
            lk.implied(name)
    for given, message in (
        ({"reduction": "none"}, "'mean' or 'sum'"),
        ({"size": 0}, "number of elements"),
        ({"size": "a"}, "number of elements"),
        ({"kl_weight": 0.0}, "kl_weight=0.0"),
        ({"weight": math.inf}, "weight=inf"),
    ):
        with pytest.raises(ValueError, match=message):
            lk.implied("mse", **given)
    with pytest.raises(TypeError, match="no option"):
        lk.implied("mse", delta=1.0)
