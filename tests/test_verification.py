"""Every row of the table passes its claims, and each claim can fail."""

import contextlib
import dataclasses
import json
import math
import random

import numpy as np
import pytest
import torch
from torch.distributions import Distribution, constraints

from likelihoods.catalog import entries, find, register, unregister
from likelihoods.distributions import Normal, Poisson
from likelihoods.functionals import FUNCTIONALS, Functional
from likelihoods.kernels import KERNELS
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import Link, shifted
from likelihoods.relations import Affine, Weighted
from likelihoods.sources import learned, predicted
from likelihoods.verification import Claim, Report, run, verify

F = torch.nn.functional
OF_KERNEL = {"kernel value", "kernel gradient", "relation"}
OF_LAW = {"total mass", "cdf", "sampler", "elicits", "proper", "finite"}
NAMES = [entry.name for entry in entries()]


@contextlib.contextmanager
def row(build, elicits="mean", kernel=None, **claims):
    """A row of the table for the length of a test, called `broken`."""
    build.__name__ = "broken"
    build.__doc__ = "The target is as a test wants it."
    register(elicits=elicits, reference="this test", **claims)(build)
    try:
        with pytest.MonkeyPatch.context() as patch:
            if kernel is not None:
                patch.setitem(KERNELS, "broken", kernel)
            yield find("broken")
    finally:
        unregister("broken")


def failed(build, **claims):
    with row(build, **claims):
        return {claim.claim for claim in verify("broken").failures}


# Every row


LACKING = {
    "quantile": {"proper"},
    "beta_nll": {"elicits"},
    "evidential": {"elicits"},
    "weibull_aft": {"proper"},
    "log_normal_aft": {"proper"},
    "log_logistic_aft": {"proper"},
}  # what cannot be measured of a row; the note says why


@pytest.mark.parametrize("name", NAMES)
def test_row_passes(name):
    """Every claim holds; what is not measured is the exception, and says why."""
    report = verify(name)
    assert report.passed, "\n".join(map(str, report.failures))
    assert {claim.claim for claim in report if claim.status == "not available"} == LACKING.get(name, set())
    for claim in report:
        assert claim.note
        assert (claim.tolerance is None) == (claim.error is None)
    for example in find(name).examples:
        measured = {claim.claim for claim in report if claim.options == example and claim.error is not None}
        assert {"finite"} < measured
        assert len(measured) >= 3


def test_hundreds_of_claims():
    """At least three numbers a setting, as the test of each row shows."""
    assert 3 * sum(len(find(name).examples) for name in NAMES) >= 300


def test_another_seed():
    assert verify(["huber", "poisson_nll", "cross_entropy"], seed=20).passed


def test_without_kernels(monkeypatch):
    for name in list(KERNELS):
        monkeypatch.delitem(KERNELS, name)
    report = verify("mse")
    assert report.passed
    assert {claim.claim for claim in report if claim.error is not None} == OF_LAW


# Each claim can fail. First the catalogue's own constants, then a row that is sound but for one thing.


def moved(relation, part):
    """The relation with one constant off by 1e-9."""

    def more(constant):
        return (lambda target: constant(target) * (1 + 1e-9)) if callable(constant) else constant * (1 + 1e-9)

    def shifted_by(constant):
        return (lambda target: constant(target) + 1e-9) if callable(constant) else constant + 1e-9

    if isinstance(relation, Weighted):
        return dataclasses.replace(relation, weight=more(relation.weight))
    if part == "scale":
        return dataclasses.replace(relation, scale=more(relation.scale))
    return dataclasses.replace(relation, offset=shifted_by(relation.offset))


def with_constants():
    """Rows that have a kernel, at the settings with a relation of a scale and an offset, or a weight."""
    for name in sorted(set(NAMES) & set(KERNELS)):
        for example in find(name).examples[::-1]:
            if isinstance(find(name).law_relation(**example), Affine | Weighted):
                yield pytest.param(name, example, id=name)
                break


@pytest.mark.parametrize("part", ["scale", "offset"])
@pytest.mark.parametrize(("name", "example"), list(with_constants()))
def test_wrong_constant_in_the_catalogue(monkeypatch, name, example, part):
    monkeypatch.setattr(run, "OTHERS", ())  # which say nothing of constants
    entry = find(name)
    weighted = isinstance(entry.law_relation(**example), Weighted)
    broken = dataclasses.replace(
        entry, examples=(example,), relation=lambda **options: moved(entry.relation(**options), part)
    )
    found = {claim.claim for claim in verify(broken).failures}
    if part == "scale" or weighted:
        assert found == OF_KERNEL | {"weight" if weighted else "offset"}
    else:
        assert found == {"kernel value", "relation"}


def gaussian() -> Likelihood:
    return Family(Normal, loc=predicted(), scale=1.0)


HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def half_square(raw, target, reduction):
    return 0.5 * F.mse_loss(raw, target, reduction=reduction)


def test_sound_row():
    assert failed(gaussian, relation=Affine(1.0, -HALF_LOG_2PI), kernel=half_square) == set()
    assert failed(gaussian) == set()


def reduced(value, reduction):
    return {"none": value, "sum": value.sum(), "mean": value.mean()}[reduction]


def test_wrong_constant():
    stated = Affine(1.0, -HALF_LOG_2PI + 1e-8)
    assert failed(gaussian, relation=stated, kernel=half_square) == {"kernel value", "relation"}


def test_wrong_scale():
    stated = Affine(1.0 + 1e-8, -HALF_LOG_2PI)
    assert failed(gaussian, relation=stated, kernel=half_square) == OF_KERNEL | {"offset"}


def test_kernel_off_by_little():
    def kernel(raw, target, reduction):
        return half_square(raw, target, reduction) + 1e-8

    assert failed(gaussian, relation=Affine(1.0, -HALF_LOG_2PI), kernel=kernel) == {"kernel value", "relation"}


def test_offset_that_depends_on_the_prediction():
    def kernel(raw, target, reduction):
        return reduced(0.5 * (raw - target) ** 2 + 1e-9 * raw, reduction)

    assert failed(gaussian, relation=Affine(1.0, -HALF_LOG_2PI), kernel=kernel) == OF_KERNEL | {"offset"}


def test_log_scale_left_out():
    """The commonest mistake: with the scale predicted, its logarithm is no constant."""

    def build() -> Likelihood:
        return Family(Normal, loc=predicted(), scale=predicted("softplus"))

    def kernel(raw, target, reduction):
        return reduced(0.5 * ((raw[..., 0] - target) / F.softplus(raw[..., 1])) ** 2, reduction)

    found = failed(build, elicits="mean and variance", relation=Affine(1.0, -HALF_LOG_2PI), kernel=kernel)
    assert found == OF_KERNEL | {"offset", "elicits", "proper"}


def test_gradient_only():
    def kernel(raw, target, reduction):
        return half_square(raw, target, reduction) + 1e-9 * (raw - raw.detach()).sum()

    assert failed(gaussian, relation=Affine(1.0, -HALF_LOG_2PI), kernel=kernel) == {"kernel gradient"}


def test_one_reduction_only():
    def kernel(raw, target, reduction):
        value = half_square(raw, target, reduction)
        return value / raw.shape[0] if reduction == "sum" else value

    found = failed(gaussian, relation=Affine(1.0, -HALF_LOG_2PI), kernel=kernel)
    assert found == {"kernel value", "kernel gradient"}


def test_kernel_that_broadcasts():
    def kernel(raw, target, reduction):
        return half_square(raw[:, None], target[None], reduction)

    with pytest.warns(UserWarning, match="target size"), row(gaussian, kernel=kernel):
        claims = {claim.claim: claim for claim in verify("broken")}
    assert claims["kernel value"].status == "FAIL"
    assert "shape" in claims["kernel value"].note


def test_wrong_weight():
    def build() -> Likelihood:
        return find("bce").likelihood()

    def kernel(raw, target, reduction):
        return reduced((1 + 2 * target) * F.binary_cross_entropy(raw, target, reduction="none"), reduction)

    tilted = Functional(
        "tilted", lambda values, weights: 3 * weights[1] / (3 * weights[1] + weights[0]), lambda law: law.mean
    )
    for claimed, found in ((3.0, set()), (3.0 + 1e-8, OF_KERNEL | {"weight"})):
        stated = Weighted(lambda target, claimed=claimed: 1 + (claimed - 1) * target, "the odds times 3")
        assert failed(build, elicits=tilted, relation=stated, kernel=kernel) == found
    # a weight that is said to be none
    assert failed(build, elicits=tilted, kernel=kernel) == OF_KERNEL | {"offset", "proper"}
    # the law of the data is not what a weighted loss elicits
    stated = Weighted(lambda target: 1 + 2 * target, "the odds times 3")
    assert failed(build, elicits="probability of 1", relation=stated, kernel=kernel) == {"elicits"}


def test_wrong_functional():
    assert failed(gaussian, elicits="median") == {"elicits"}
    huber = FUNCTIONALS["huber location"]
    off = Functional("off", lambda v, w, delta: huber.of_population(v, w, delta=1.001 * delta), huber.of_law)

    def build(delta: float = 1.0) -> Likelihood:
        return find("huber").likelihood(delta=delta)

    assert failed(build, elicits=huber) == set()
    assert failed(build, elicits=off) == {"elicits"}


def test_functional_without_a_minimum():
    """Squared error on the log scale: its minimiser is another mean."""

    def build() -> Likelihood:
        return find("log_normal").likelihood()

    assert failed(build, elicits="geometric mean") == set()
    assert failed(build, elicits="median") == {"elicits"}


class TooHeavy(Normal):
    def log_prob(self, value):
        return super().log_prob(value) + 1e-8


class OtherCdf(Normal):
    def cdf(self, value):
        return super().cdf(value * 1.1)


class OtherSampler(Normal):
    def sample(self, sample_shape=torch.Size()):
        return self.loc + 1.2 * (super().sample(sample_shape) - self.loc)


class TooFew(Poisson):
    """Its sampler never draws a 3."""

    def sample(self, sample_shape=torch.Size()):
        sample = super().sample(sample_shape)
        return torch.where(sample == 3, 2.0, sample)


class NotACount(Poisson):
    def sample(self, sample_shape=torch.Size()):
        return super().sample(sample_shape) + 0.5


class NoTail(Poisson):
    """Its mass stops short."""

    def log_prob(self, value):
        return torch.where(value > 2 * self.rate + 20, -torch.inf, super().log_prob(value)) - 1e-7


@pytest.mark.parametrize(
    ("law", "found"),
    [
        (TooHeavy, {"total mass", "cdf"}),
        (OtherCdf, {"cdf", "sampler"}),
        (OtherSampler, {"sampler"}),
    ],
)
def test_broken_law(law, found):
    assert failed(lambda: Family(law, loc=predicted(), scale=1.0)) == found


@pytest.mark.parametrize(
    ("law", "found"),
    [
        (TooFew, {"sampler"}),
        (NotACount, {"sampler"}),
        (NoTail, {"total mass", "cdf", "finite"}),
    ],
)
def test_broken_counts(law, found):
    assert failed(lambda: Family(law, rate=predicted("log"))) == found


def test_gradient_that_is_nan_far_out():
    def masked(x):
        return torch.where(x < 50, x + 0 * (50 - x).sqrt(), x)  # the branch not taken still gives 0 * NaN

    def build() -> Likelihood:
        return Family(Normal, loc=predicted(Link("masked", masked, masked)), scale=1.0)

    with row(build):
        report = verify("broken")
    assert {claim.claim for claim in report.failures} == {"finite"}
    assert "raw [100.0]" in report.failures[0].note


def test_overflow_in_float32_only():
    def naive(x):
        return (x * 4).exp().log1p()

    def build() -> Likelihood:
        return Family(Poisson, rate=predicted(Link("naive softplus", naive, naive)))

    with row(build):
        report = verify("broken")
    assert {claim.claim for claim in report.failures} == {"finite"}
    assert "float32, raw in [-1, 30], first at raw [30.0]" in report.failures[0].note


def test_link_with_a_hole():
    def hole(x):
        return torch.where(x.abs() == 1, torch.nan, x)

    def build() -> Likelihood:
        return Family(Normal, loc=predicted(Link("hole", hole, hole)), scale=1.0)

    with row(build):
        report = verify("broken")
    assert {claim.claim for claim in report.failures} == {"finite"}
    assert "gives no law" in report.failures[0].note


def test_link_that_gives_no_law():
    def negative(x):
        return -x.exp()

    def build() -> Likelihood:
        return Family(Poisson, rate=predicted(Link("negative", negative, negative)))

    with row(build):
        report = verify("broken")
    assert [claim.claim for claim in report.failures] == ["can be built"]
    assert report.failures[0].note.startswith("ValueError: 0 of 384 random raw outputs give a law")


def test_exception_is_a_failure():
    def kernel(raw, target, reduction):
        raise RuntimeError("no such\n  kernel")

    with row(gaussian, kernel=kernel):
        report = verify("broken")
    assert {claim.claim for claim in report.failures} == OF_KERNEL | {"offset", "elicits", "proper", "finite"}
    assert {claim.note for claim in report.failures} == {"RuntimeError: no such kernel"}


def test_row_that_cannot_be_built():
    def build(scale: float = 1.0) -> Likelihood:
        return Family(Normal, loc=predicted(), scale=scale)

    with row(build, examples=({}, {"scale": -1.0})):
        report = verify("broken")
    assert not report.passed
    assert [(c.claim, c.options) for c in report.failures] == [("can be built", {"scale": -1.0})]
    assert "positive" in report.failures[0].note or "GreaterThan" in report.failures[0].note


# A user's rows, which may lack what a claim needs


def test_learned_parameter():
    def build(scale=learned(2.0)) -> Likelihood:  # noqa: B008
        return Family(Normal, loc=predicted(), scale=scale)

    with row(build):
        claims = {claim.claim: claim for claim in verify("broken")}
    assert {name for name, claim in claims.items() if claim.status == "pass"} == OF_LAW
    assert "learned" in claims["relation"].note


def test_law_without_cdf():
    def build() -> Likelihood:
        return Family(torch.distributions.StudentT, df=3.0, loc=predicted(), scale=2.0)

    with row(build, elicits=FUNCTIONALS["student-t location"]):
        report = verify("broken")
    assert report.passed
    claims = {claim.claim: claim for claim in report}
    assert claims["total mass"].error < 1e-9
    assert {name for name, claim in claims.items() if claim.status == "not available"} == {"cdf", "sampler", "elicits"}
    assert claims["sampler"].note == "StudentT has no cdf"


class Triangle(Distribution):
    """No more than a density, far from 0 and narrow."""

    arg_constraints = {"loc": constraints.real}
    support = constraints.real

    def __init__(self, loc, validate_args=None):
        self.loc = loc
        super().__init__(loc.shape, validate_args=validate_args)

    def log_prob(self, value):
        return -1e4 * (value - self.loc - 50).abs() + math.log(5e3)


def test_law_with_only_a_density():
    with row(lambda: Family(Triangle, loc=predicted())):
        report = verify("broken")
    claims = {claim.claim: claim for claim in report}
    assert report.passed
    assert claims["total mass"].error < 1e-9
    assert claims["finite"].status == "pass"
    assert claims["cdf"].note == "Triangle has no cdf"
    assert claims["sampler"].note == "Triangle has no sample"
    assert claims["elicits"].note == "Triangle lacks what gives its mean"


class NoShape(Triangle):
    def __init__(self, loc):
        self.loc = loc
        Distribution.__init__(self)


def test_law_without_a_batch_shape():
    with row(lambda: Family(NoShape, loc=predicted())):
        failures = verify("broken").failures
    assert [claim.claim for claim in failures] == ["can be built"]
    assert "super().__init__(batch_shape)" in failures[0].note


OF_VECTORS = OF_LAW - {"cdf", "elicits"}  # which have no order, and whose functional is no number's mean
BETA = {"concentration1": predicted("log"), "concentration0": 2.0}


@pytest.mark.parametrize(
    ("law", "sources", "holds", "breaks"),
    [
        (
            torch.distributions.Beta,
            BETA,
            {"total mass", "proper", "finite"},
            {"elicits"},
        ),  # the mean of the logit, not the mean
        (torch.distributions.Gumbel, {"loc": predicted(), "scale": 2.0}, OF_LAW - {"elicits"}, {"elicits"}),
        (torch.distributions.Geometric, {"probs": predicted("logit")}, OF_LAW - {"cdf"}, set()),
        (torch.distributions.Binomial, {"total_count": 10, "logits": predicted()}, OF_LAW - {"cdf"}, set()),
        (torch.distributions.Dirichlet, {"concentration": predicted("log", size=3)}, OF_VECTORS, {"elicits"}),
        (torch.distributions.Dirichlet, {"concentration": predicted(shifted(1.0), size=4)}, OF_VECTORS, {"elicits"}),
        (torch.distributions.OneHotCategorical, {"logits": predicted(size=3)}, OF_VECTORS, {"elicits"}),
    ],
)
def test_torch_law(law, sources, holds, breaks):
    """Laws that are not the package's own, some of vectors: whatever is not measured says why."""
    with row(lambda: Family(law, **sources)):
        report = verify("broken")
    assert holds <= {claim.claim for claim in report if claim.status == "pass"}
    assert breaks <= {claim.claim for claim in report.failures}
    for claim in report:
        assert claim.note
        assert claim.status.startswith("not ") == (claim.claim not in holds | breaks)


# The report


def test_global_state_is_left_alone():
    torch.manual_seed(3)
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    threads = torch.get_num_threads()
    verify("huber")
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (np.random.get_state()[1] == before[1]).all()
    assert random.getstate() == before[2]


def test_same_seed_same_numbers():
    first = verify("poisson_nll", seed=5)
    torch.rand(1)
    assert verify("poisson_nll", seed=5) == first
    assert verify("poisson_nll", seed=6) != first


def test_under_no_grad():
    with torch.no_grad():
        assert verify("mse").passed


def test_names():
    one = verify("MSELoss")
    assert {claim.loss for claim in one} == {"mse"}
    both = [claim.loss for claim in verify(["mae", find("bce")])]
    assert both == ["l1"] * both.count("l1") + ["bce"] * both.count("bce")
    with pytest.raises(ValueError, match="Did you mean 'huber'"):
        verify("hubber")


def test_entry_that_is_not_registered():
    with row(gaussian, relation=Affine(1.0, -HALF_LOG_2PI)) as entry:
        pass
    assert verify(entry).passed


def test_table_and_text():
    report = verify("l1")
    assert list(report.table.columns) == ["loss", "options", "claim", "error", "tolerance", "status", "note"]
    assert len(report.table) == len(report) == len(list(report)) == 36
    assert report.table["error"].dtype == float
    lines = str(report).splitlines()
    assert lines[-1] == "36 claims: 30 pass, 0 FAIL, 6 not applicable"
    starts = {line.index("pass") for line in lines[1:-2] if "not applicable" not in line}
    assert starts == {lines[0].index("result")}


def test_text_says_why():
    claims = (
        Claim("a", {}, "total mass", 0.5, 1e-9, "FAIL", "a sum"),
        Claim("a", {"b": 1.0}, "cdf", None, None, "not available", "Law has no cdf"),
    )
    text = str(Report(claims))
    assert "5.0e-01  1.0e-09    FAIL: a sum" in text
    assert "a(b=1.0)" in text
    assert "not available: Law has no cdf" in text
    assert text.endswith("2 claims: 0 pass, 1 FAIL, 1 not available")
    assert not Report(()).passed


def test_json(tmp_path):
    claims = (
        Claim("a", {"b": torch.ones(2), "c": None, "d": (1,)}, "total mass", math.nan, 1e-9, "FAIL", "a sum"),
        Claim("a", {}, "cdf", 1e-12, 1e-9, "pass", "a sum"),
    )
    Report(claims, seed=7).to_json(tmp_path / "claims.json")
    read = json.loads((tmp_path / "claims.json").read_text("utf-8"))
    assert set(read) == {"passed", "seed", "versions", "claims"}
    assert (read["passed"], read["seed"]) == (False, 7)
    assert set(read["versions"]) == {"likelihoods", "torch", "scipy", "python"}
    assert [set(claim) for claim in read["claims"]] == [
        {"loss", "options", "claim", "error", "tolerance", "status", "note"}
    ] * 2
    assert read["claims"][0]["options"] == {"b": [1.0, 1.0], "c": None, "d": "(1,)"}
    assert read["claims"][0]["error"] is None
    assert read["claims"][1]["error"] == 1e-12


def test_progress(capsys):
    assert verify("bce", progress=True) == verify("bce")
    captured = capsys.readouterr()
    assert "bce" in captured.err
    assert "3/3" in captured.err
    assert captured.out == ""
