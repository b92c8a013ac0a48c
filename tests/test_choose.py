"""The choice: description, one base measure, ties, flags, diagnostics."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

import likelihoods as lk
from likelihoods.selection.choice import Choice, Scored, rank
from likelihoods.selection.describe import describe
from likelihoods.selection.fit import fit
from likelihoods.selection.table import TableError

REAL = ["mse", "l1", "huber", "log_cosh", "student_t"]


def choose(X, y, candidates=None, **options):
    return lk.choose(X, y, candidates, progress=False, **options)


# Describing the target


@pytest.mark.parametrize(
    ("values", "kind", "step"),
    [
        ([0, 3, 1, 1, 2], "count", 1.0),
        ([0, 1, 1, 0], "binary", 1.0),
        ([True, False, True], "binary", 1.0),
        ([0.1, 0.5, 0.93217], "unit interval", None),
        ([1.5, 2.25, 1.5, 1.5], "positive", 0.75),
        ([-1.5, 2.2, 1.5, 1.5], "real", 0.1),
        ([-1, 2, 2, 5], "real", 1.0),
        ([math.pi, math.e, -1.7], "real", None),
        ([1 / 3, 2 / 3, 2 / 3, 5 / 3], "positive", 1 / 3),
        (["a", "b", "c", "a"], "category", 1.0),
        (["no", "yes", "no"], "binary", 1.0),
    ],
)
def test_kind_and_lattice(values, kind, step):
    target = describe(values)
    assert target.kind == kind
    assert target.step == pytest.approx(step) if step else target.step is None


def test_description_in_words():
    words = " ".join(describe([0, 0, 3, 1], name="visits").words)
    assert "visits is a count: 4 rows from 0 to 3, 3 distinct." in words
    assert "2 rows (50%) are exactly 0" in words
    assert "multiples of 1" in words
    assert "It is constant" in " ".join(describe([2.5, 2.5]).words)
    assert "'yes' counts as 1 (33%)" in describe(["no", "yes", "no"]).words[0]


@pytest.mark.parametrize(
    ("values", "options", "message"),
    [
        ([], {}, "no rows"),
        ([1.0, math.nan], {}, "missing in 1 rows, first in row 1"),
        ([1.0, math.inf], {}, "infinite in row 1"),
        (["a", "a"], {}, "single class 'a'"),
        ([1.0, -2.0], {"kind": "positive"}, "first, in row 1, is -2"),
        ([1.0, 2.5], {"kind": "count"}, "row 1, is 2.5"),
        (["a", "b"], {"kind": "count"}, "which is no count"),
        ([1], {"kind": "counts"}, "must be one of real, positive"),
    ],
)
def test_targets_that_cannot_be_described(values, options, message):
    with pytest.raises(ValueError, match=message):
        describe(values, **options)


# The ranking


def test_the_law_that_made_the_data_is_found():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(800, 2))
    mean = X @ [1.0, -0.5]
    makers = {
        "mse": mean + rng.normal(size=800),
        "l1": mean + rng.laplace(size=800),
        "student_t": mean + rng.standard_t(2.5, size=800),
        "gamma": rng.gamma(3.0, np.exp(mean) / 3),
        "log_normal": np.exp(mean + 0.5 * rng.normal(size=800)),
        "poisson_nll": rng.poisson(np.exp(1 + mean)),
        "negative_binomial": rng.negative_binomial(1.5, 1.5 / (1.5 + np.exp(1 + mean))),
        "bce_with_logits": (rng.uniform(size=800) < 1 / (1 + np.exp(-mean))).astype(float),
    }
    for name, y in makers.items():
        choice = choose(X, y)
        assert name in choice.tied, (name, choice.tied)
        assert not choice.ranking[0].flags
        if name in ("gamma", "log_normal", "poisson_nll", "negative_binomial", "bce_with_logits"):
            assert choice.best == name


def test_the_simplest_of_the_tied_is_recommended():
    rng = np.random.default_rng(1)
    X = rng.normal(size=(2000, 1))
    y = X[:, 0] + rng.normal(size=2000)
    choice = choose(X, y, ["student_t", "huber", "mse"])  # with normal noise the larger two can only tie
    assert choice.best == "mse"
    assert len(choice.tied) > 1
    assert "Not distinguishable from it on these data" in choice.verdict


def test_zeros_and_ones_are_given_a_law_of_zeros_and_ones():
    """A rounded density on [0, 1] can give the same masses, with as many numbers fitted."""
    rng = np.random.default_rng(19)
    X = rng.normal(size=(200, 1))
    y = (rng.uniform(size=200) < 1 / (1 + np.exp(-2 * X[:, 0]))).astype(float)
    choice = choose(X, y, ["continuous_bernoulli", "bce_with_logits", "beta"])
    assert choice.best == "bce_with_logits"
    assert "continuous_bernoulli" in choice.tied


def test_scores_are_the_held_out_log_density_in_the_targets_own_unit():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(400, 1))
    y = 1000 * (X[:, 0] + 0.5 * rng.normal(size=400))
    choice = choose(X, y, ["mse"], cv=4, seed=3)
    from sklearn.linear_model import LinearRegression
    from sklearn.model_selection import KFold

    scores = np.zeros(400)
    for train, test in KFold(4, shuffle=True, random_state=3).split(X):
        model = LinearRegression().fit(X[train], y[train])
        scale = np.sqrt(np.mean((y[train] - model.predict(X[train])) ** 2))
        scores[test] = stats.norm.logpdf(y[test], model.predict(X[test]), scale)
    np.testing.assert_allclose(choice.ranking[0].scores, scores, rtol=1e-6)
    assert choice.table.loc["mse", "log_score"] == pytest.approx(scores.mean(), abs=1e-6)


def test_one_base_measure_on_a_lattice():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(500, 1))
    y = np.round(10 * np.exp(0.3 * X[:, 0] + 0.3 * rng.normal(size=500)))
    choice = choose(X, y, ["mse", "poisson_nll", "log_normal"])
    assert choice.target.step == 1.0
    assert "log-mass" in choice.target.measure
    for scored in choice.ranking:
        assert (scored.scores <= 0).all(), scored.name  # a mass; a density could exceed 1
    recommended = choice.loss()
    assert recommended.likelihood(torch.zeros(1, 1)).support.is_discrete


def test_a_finer_unit_of_a_lattice_changes_no_difference():
    rng = np.random.default_rng(4)
    X = rng.normal(size=(400, 1))
    y = np.round(2 * X[:, 0] + rng.normal(size=400), 1)
    coarse, fine = choose(X, y, REAL[:3]), choose(X, y * 1000, REAL[:3])
    for name in REAL[:3]:
        assert coarse.table.loc[name, "log_score"] == pytest.approx(fine.table.loc[name, "log_score"], abs=1e-4)


def test_a_density_is_never_ranked_against_a_mass():
    y = np.random.default_rng(5).normal(size=50)
    with pytest.raises(ValueError, match="gives masses, and this target is scored by densities"):
        choose(np.zeros((50, 1)), y, ["poisson_nll"])
    choice = choose(np.zeros((50, 1)), y, ["poisson_nll", "mse"])
    assert choice.left_out == {"poisson_nll": "it gives masses, and this target is scored by densities"}


def test_exact_zeros_have_no_density_under_a_law_that_is_infinite_there():
    rng = np.random.default_rng(21)
    y = np.where(rng.uniform(size=200) < 0.02, 0.0, rng.gamma(2.0, size=200))
    choice = choose(rng.normal(size=(200, 1)), y, ["gamma", "log_normal", "mse"])
    assert set(choice.left_out) == {"gamma", "log_normal"}
    assert "impossible under it, the first 0 in row" in choice.left_out["gamma"]


def test_a_mixture_is_refused_rather_than_fitted_wrongly():
    rng = np.random.default_rng(23)
    mixture = lk.Mixture(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.learned()), 2)
    y = rng.normal(size=60)
    choice = choose(rng.normal(size=(60, 1)), y, {"mixture": mixture, "mse": "mse"}, cv=2)
    assert "components begin alike" in choice.left_out["mixture"]
    with pytest.raises(TypeError, match="components begin alike"):
        fit(mixture, torch.zeros(60, 0, dtype=torch.float64), torch.from_numpy(y))


def test_skill_is_bits_saved_by_the_columns():
    rng = np.random.default_rng(6)
    X = rng.normal(size=(4000, 1))
    choice = choose(X, X[:, 0] + 0.5 * rng.normal(size=4000), ["mse"])
    assert choice.table.loc["mse", "skill_bits"] == pytest.approx(0.5 * math.log2(1.25 / 0.25), abs=0.05)
    noise = choose(rng.normal(size=(4000, 1)), rng.normal(size=4000), ["mse"])
    assert abs(noise.table.loc["mse", "skill_bits"]) < 0.01


def test_differences_are_paired():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(500, 1))
    choice = choose(X, X[:, 0] + rng.standard_t(3, size=500), ["mse", "student_t"])
    worse, top = choice.ranking[1], choice.top
    gap = top.scores - worse.scores
    assert choice.table.loc[worse.name, "behind"] == pytest.approx(gap.mean())
    by_fold = np.array([gap[worse.folds == fold].mean() for fold in range(5)])
    expected = max(gap.std(ddof=1) / math.sqrt(500), math.sqrt(by_fold.var(ddof=1) * (1 / 5 + 100 / 400)))
    assert choice.table.loc[worse.name, "se"] == pytest.approx(expected)


# Flags


def test_a_constant_target_recommends_nothing():
    choice = choose(np.random.default_rng(8).normal(size=(40, 1)), np.full(40, 2.5), REAL)
    assert choice.best is None
    assert choice.tied == []
    assert all(scored.flags for scored in choice.ranking)
    assert "No loss can be recommended" in str(choice)
    with pytest.raises(ValueError, match="every candidate is flagged"):
        choice.loss()


def test_a_constant_count_recommends_nothing_either():
    choice = choose(np.random.default_rng(8).normal(size=(40, 1)), np.ones(40), ["poisson_nll", "negative_binomial"])
    assert choice.best is None
    assert all("constant" in scored.flags[0] for scored in choice.ranking)


def test_a_law_at_its_limit_ties_with_the_simpler_one():
    rng = np.random.default_rng(18)
    X = rng.normal(size=(300, 1))
    choice = choose(X, rng.binomial(12, 0.5 + 0.1 * np.tanh(X[:, 0])), ["negative_binomial", "poisson_nll"])
    assert choice.best == "poisson_nll"
    assert choice.tied == ["poisson_nll", "negative_binomial"]
    assert choice.table["behind"].abs().max() < 1e-6


def entrants(**given):
    """Candidates from (parameters, nats behind the first, spread of the difference), made without any fit."""
    wobble = np.tile([1.0, -1.0], 200)
    return [
        Scored(
            name=name,
            assumption=f"{name}.",
            likelihood=lk.Family(lk.distributions.Poisson, rate=lk.predicted("log")),
            scores=-2.0 - behind + noise * wobble,
            plain=np.full(400, -3.0),
            folds=np.arange(400) // 80,
            parameters=parameters,
            flags=(),
        )
        for name, (parameters, behind, noise) in given.items()
    ]


@pytest.mark.parametrize(
    ("given", "best"),
    [
        # the errors: 0.001 / sqrt(400) = 0.00005 for a quiet difference, 0.02 for a noisy one
        ({"top": (5, 0.0, 0.0), "quiet": (3, 0.01, 0.001), "noisy": (3, 0.02, 0.4)}, "quiet"),
        ({"top": (5, 0.0, 0.0), "quiet": (2, 0.01, 0.001), "noisy": (3, 0.02, 0.4)}, "quiet"),
        ({"top": (5, 0.0, 0.0), "quiet": (4, 0.01, 0.001), "noisy": (3, 0.02, 0.4)}, "noisy"),
        ({"top": (5, 0.0, 0.0), "quiet": (4, 0.01, 0.001), "noisy": (6, 0.02, 0.4)}, "top"),
        ({"top": (5, 0.0, 0.0), "quiet": (3, 0.01, 0.001)}, "top"),
        ({"top": (5, 0.0, 0.0), "same": (4, 5e-7, 0.0), "other": (3, 5e-6, 0.0)}, "same"),
    ],
)
def test_what_is_recommended(given, best):
    """What no tied candidate is better than: in simplicity, or in score at the same simplicity."""
    assert rank(entrants(**given))[0].name == best


def test_the_verdict_names_what_is_told_apart():
    ranking = rank(entrants(top=(5, 0.0, 0.0), quiet=(3, 0.01, 0.001), noisy=(3, 0.02, 0.4)))
    choice = Choice(describe([0, 1, 2]), ranking, {}, (), (), 0, 5, 0, 0.0)
    assert (
        "The top, top, scores higher, but cannot be told on these data from noisy: no simpler than quiet"
        in choice.verdict
    )
    assert choice.tied == ["quiet", "top", "noisy"]


def test_an_unbounded_density_is_never_first():
    rng = np.random.default_rng(9)
    y = np.where(rng.uniform(size=400) < 0.6, math.sqrt(2), rng.normal(size=400))  # an atom, on no lattice
    choice = choose(rng.normal(size=(400, 1)), y, ["mse", "l1", "student_t"])
    flagged = [scored for scored in choice.ranking if scored.flags]
    assert [scored.name for scored in flagged] == [scored.name for scored in choice.ranking[-len(flagged) :]]
    assert "student_t" in [scored.name for scored in flagged]
    assert choice.ranking[0].name not in [scored.name for scored in flagged]
    assert any("a density can grow without bound" in word for word in choice.target.words)


def test_repeated_rows_are_said():
    rng = np.random.default_rng(10)
    X = rng.normal(size=(60, 1))
    y = X[:, 0] + rng.normal(size=60)
    choice = choose(np.r_[X, X], np.r_[y, y], ["mse"])
    assert any("60 rows repeat another row" in line for line in choice.decisions)


# Diagnostics


def test_pit_and_coverage_of_the_right_law_are_uniform():
    rng = np.random.default_rng(11)
    X = rng.normal(size=(4000, 1))
    for y, name in (
        (X[:, 0] + rng.normal(size=4000), "mse"),
        (rng.poisson(np.exp(0.5 * X[:, 0])), "poisson_nll"),
        ((rng.uniform(size=4000) < 0.3).astype(float), "bce_with_logits"),
    ):
        choice = choose(X, y, [name])
        assert stats.kstest(choice.pit, "uniform").pvalue > 1e-3
        assert choice.coverage[0.5] == pytest.approx(0.5, abs=0.03)
        assert choice.coverage[0.9] == pytest.approx(0.9, abs=0.02)


def test_the_wrong_law_is_seen_in_the_pit():
    rng = np.random.default_rng(12)
    X = rng.normal(size=(3000, 1))
    choice = choose(X, rng.negative_binomial(0.7, 0.2, size=3000), ["poisson_nll"])
    assert stats.kstest(choice.pit, "uniform").pvalue < 1e-10
    assert choice.coverage[0.9] < 0.7


def test_classes():
    rng = np.random.default_rng(13)
    X = rng.normal(size=(600, 2))
    labels = np.array(["low", "mid", "high"])[np.argmax(np.c_[X, np.zeros(600)] + rng.gumbel(size=(600, 3)), 1)]
    choice = choose(X, labels)
    assert choice.best == "cross_entropy"
    assert choice.pit is None
    assert choice.coverage is None
    assert choice.target.classes == ("high", "low", "mid")
    assert all("classes have no order" in reason for reason in choice.left_out.values())
    assert choice.table.loc["cross_entropy", "log_score"] > -math.log(3)


def test_numbers_as_classes():
    rng = np.random.default_rng(14)
    y = rng.integers(0, 3, size=90)
    assert choose(rng.normal(size=(90, 1)), y, kind="category").best == "cross_entropy"


# What it gives


@pytest.mark.parametrize(
    "make",
    [
        lambda rng, X: X[:, 0] + rng.normal(size=200),
        lambda rng, X: rng.poisson(np.exp(X[:, 0])),
        lambda rng, X: np.array(["a", "b", "c"])[rng.integers(0, 3, 200)],
        lambda rng, X: rng.gamma(2.0, np.exp(X[:, 0])),
        lambda rng, X: np.round(rng.normal(size=200), 1),
    ],
)
def test_the_snippet_runs_as_printed_and_the_loss_is_finite(make):
    rng = np.random.default_rng(15)
    X = rng.normal(size=(200, 2))
    choice = choose(X, make(rng, X), cv=2)
    names: dict = {}
    exec(choice.snippet, names)
    assert names["network"].weight.grad is not None
    assert math.isfinite(names["loss"](names["network"](names["X"]), names["y"]).item())
    loss = choice.loss()
    assert isinstance(loss, lk.NLL)
    assert all(parameter.dtype == torch.float32 for parameter in loss.parameters())


def test_the_snippet_imports_a_class_of_another_package():
    rng = np.random.default_rng(22)
    third = lk.Family(torch.distributions.Gumbel, loc=lk.predicted(), scale=lk.learned())
    choice = choose(rng.normal(size=(60, 1)), rng.gumbel(size=60), {"third": third}, cv=2)
    assert choice.pit is not None
    assert "import torch.distributions.gumbel" in choice.snippet
    exec(choice.snippet, {})


def test_a_users_likelihood_and_a_registered_row_take_part():
    rng = np.random.default_rng(16)
    X = rng.normal(size=(500, 1))
    y = X[:, 0] + rng.gumbel(size=500)

    @lk.register(elicits="mean", reference="Gumbel (1935)", nuisance=["scale"])
    def gumbel_of_a_test(scale: float = 1.0) -> lk.Likelihood:
        """The target is the largest of many things."""
        return lk.Family(lk.distributions.Gumbel, loc=lk.predicted(), scale=scale)

    try:
        heteroscedastic = lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.predicted())
        choice = choose(X, y, {"mine": heteroscedastic, "gumbel": "gumbel_of_a_test", "mse": "mse"})
        assert choice.best == "gumbel"
        assert set(choice.table.index) == {"mine", "gumbel", "mse"}
        assert "gumbel_of_a_test" in choose(X, y).table.index
        third = lk.Family(torch.distributions.Gumbel, loc=lk.predicted(), scale=lk.learned())
        with pytest.raises(ValueError, match="has no cdf that can give the mass of a cell"):
            choose(X, np.round(y), {"third": third})
    finally:
        lk.unregister("gumbel_of_a_test")


def test_the_number_of_threads_is_put_back():
    threads = torch.get_num_threads()
    torch.set_num_threads(threads + 1)
    try:
        choose(np.zeros((20, 1)), np.arange(20) + 0.5, ["mse"])
        assert torch.get_num_threads() == threads + 1
    finally:
        torch.set_num_threads(threads)


def test_the_same_seed_gives_the_same_choice():
    rng = np.random.default_rng(17)
    X, y = rng.normal(size=(200, 1)), rng.poisson(2.0, size=200)
    one, two = choose(X, y), choose(X, y)
    pd.testing.assert_frame_equal(one.table, two.table)
    np.testing.assert_array_equal(one.pit, two.pit)


def test_text_columns_and_missing_rows_are_handled_and_said():
    rng = np.random.default_rng(18)
    frame = pd.DataFrame({"x": rng.normal(size=120), "colour": rng.choice(["red", "blue"], 120)})
    y = pd.Series(frame.x + (frame.colour == "red") + 0.1 * rng.normal(size=120), name="price")
    frame.loc[3, "x"] = np.nan
    choice = choose(frame, y, ["mse"])
    assert choice.dropped == 1
    assert any("colour" in line for line in choice.decisions)
    assert choice.target.name == "price"
    assert choice.columns == ("x", "colour=red")


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [(3, {}, "3 rows in 5 folds"), (50, {"cv": 1}, "at least 2 folds"), (1, {}, "row")],
)
def test_too_few_rows(rows, options, message):
    rng = np.random.default_rng(19)
    with pytest.raises(ValueError, match=message):
        choose(rng.normal(size=(rows, 1)), rng.normal(size=rows), **options)


def test_rows_that_do_not_match():
    with pytest.raises((TableError, ValueError)):
        choose(np.zeros((5, 1)), np.zeros(4))


def test_a_rare_class_says_what_to_do():
    rng = np.random.default_rng(20)
    with pytest.raises(ValueError, match="too few for 5 folds.*cv=2"):
        choose(rng.normal(size=(42, 1)), np.r_[np.zeros(40), 1, 1])


def test_unknown_candidates():
    with pytest.raises(ValueError, match="no loss named 'hubr'"):
        choose(np.zeros((20, 1)), np.arange(20) + 0.5, ["hubr"])
    with pytest.raises(TypeError, match="a loss's name, an entry or a Likelihood"):
        choose(np.zeros((20, 1)), np.arange(20) + 0.5, [3])
    with pytest.raises(ValueError, match="a name of its own"):
        choose(np.zeros((20, 1)), np.arange(20) + 0.5, ["mse", "l2"])


def test_margin_losses_are_scored_by_their_normalised_laws():
    """Against the log-probability of each label, written out: -loss(f, y) - log of the sum over both labels."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(300, 2))
    y = np.where(X[:, 0] + rng.logistic(size=300) > 0, 1.0, -1.0)
    choice = lk.choose(X, y, candidates=["hinge", "squared_hinge", "soft_margin"], cv=3, progress=False)
    assert set(choice.table.index) == {"hinge", "squared_hinge", "soft_margin"}
    assert (choice.table["log_score"] > np.log(0.5)).all()
    f = torch.linspace(-3, 3, 13, dtype=torch.float64)
    energies = torch.stack([(1 - label * f).clamp_min(0) for label in (-1.0, 1.0)])
    law = lk.loss("hinge").likelihood(f)
    torch.testing.assert_close(law.log_prob(torch.ones_like(f)), -energies[1] - torch.logsumexp(-energies, 0))
