"""Each constant of the catalogue, broken on purpose by a little, is caught by the claims that it is about."""

import dataclasses

import pytest
import torch

from likelihoods.catalog import find
from likelihoods.energy import Energy
from likelihoods.relations import Affine, Expected, Gibbs, NoLikelihood, Partial, Weighted
from likelihoods.verification import run, verify

TINY = 1e-6


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Only the claims about constants: the others take longer and are broken elsewhere."""
    monkeypatch.setattr(run, "OTHERS", tuple(claim for claim in run.OTHERS if claim[0] == "total mass"))


def replaced(relation, **parts):
    return dataclasses.replace(relation, **parts)


def broken(name, example, change):
    """The row at one setting, with its relation or its options for the model changed, and what then fails."""
    entry = find(name)
    row = dataclasses.replace(entry, examples=(example,), **change(entry))
    return {claim.claim for claim in verify(row).failures}


def relation(change):
    return lambda entry: {"relation": lambda **options: change(entry.relation(**options))}


def model(change):
    """Another option for the likelihood than for what is claimed."""
    return lambda entry: {"build": _rebuilt(entry.build, change)}


def _rebuilt(build, change):
    import functools

    @functools.wraps(build)
    def rebuilt(**options):
        return build(**(options | {name: move(options[name]) for name, move in change.items()}))

    return rebuilt


def more(x):
    return x * (1 + TINY)


def of_target(function, factor=1 + TINY):
    return lambda target, *rest: function(target, *rest) * factor


def tilted_soft(soft):
    """The smoothed label with a little more for the first class and less for the second."""

    def moved(target, outcomes):
        t = soft(target, outcomes).clone()
        t[..., 0] += TINY
        t[..., 1] -= TINY
        return t

    return moved


BREAKS = [
    ("the offset of mse", "mse", {}, relation(lambda r: replaced(r, offset=r.offset + TINY)), {"relation"}),
    ("its scale", "mse", {}, relation(lambda r: replaced(r, scale=more(r.scale))), {"relation", "offset"}),
    (
        "tau (1 - tau) of the quantile",
        "quantile",
        {"levels": 0.9},
        relation(lambda r: replaced(r, offset=r.offset + TINY)),
        {"relation"},
    ),
    (
        "the level of the quantile",
        "quantile",
        {"levels": 0.9},
        model({"levels": more}),
        {"relation"},
    ),
    ("Z of the expectile", "expectile", {}, relation(lambda r: replaced(r, offset=r.offset + TINY)), {"relation"}),
    (
        "pos_weight",
        "bce_with_logits",
        {"pos_weight": 3.0},
        relation(lambda r: replaced(r, weight=of_target(r.weight))),
        {"relation", "weight"},
    ),
    (
        "the smoothing's share for each class",
        "label_smoothing",
        {"smoothing": 0.3, "classes": 3},
        relation(lambda r: replaced(r, soft=tilted_soft(r.soft))),
        {"convention"},
    ),
    (
        "the temperature squared",
        "distillation",
        {},
        relation(lambda r: replaced(r, scale=more(r.scale))),
        {"convention"},
    ),
    (
        "the entropy of the teacher",
        "distillation",
        {},
        relation(lambda r: replaced(r, entropy=False)),
        {"convention"},
    ),
    ("the temperature", "info_nce", {}, model({"temperature": more}), {"convention"}),
    ("the margin of the hinge", "hinge", {}, model({"margin": more}), {"convention"}),
    ("the margin of the triplet", "triplet_margin", {}, model({"margin": more}), {"convention"}),
    ("the margin of contrastive pairs", "contrastive", {}, model({"margin": more}), {"convention", "relation"}),
    ("the concentration of directions", "von_mises", {}, model({"concentration": more}), {"convention"}),
    (
        "the constant of directions",
        "von_mises",
        {},
        relation(lambda r: replaced(r, offset=r.offset + TINY)),
        {"convention", "relation"},
    ),
    (
        "one over the number of labels",
        "multi_label_soft_margin",
        {},
        relation(lambda r: replaced(r, scale=lambda y: more(r.scale(y)))),
        {"relation", "offset"},
    ),
    (
        "one over a string's length",
        "ctc",
        {},
        relation(lambda r: replaced(r, weight=of_target(r.weight))),
        {"convention", "relation", "weight"},
    ),
    ("that a loss is proper", "hinge", {}, relation(lambda r: Affine()), {"convention", "relation"}),
    ("that a proper loss is not", "soft_margin", {}, relation(lambda r: Gibbs()), {"normaliser moves", "not proper"}),
]


@pytest.mark.parametrize(("what", "name", "example", "change", "caught"), BREAKS, ids=[b[0] for b in BREAKS])
def test_a_broken_constant_is_caught(what, name, example, change, caught):
    assert broken(name, example, change) >= caught


def test_the_normaliser_itself():
    """A law that forgets log Z in its log_prob, and one whose Z is a hair too large."""
    entry = find("hinge")
    for factor in (0.0, 1 + TINY):
        row = dataclasses.replace(
            entry, examples=({},), build=lambda margin=1.0, f=factor: _Forgetful(entry, margin, f)
        )
        found = {claim.claim for claim in verify(row).failures}
        assert {"normaliser", "total mass"} <= found


def _Forgetful(entry, margin, factor):
    made = entry.build(margin=margin)
    assert isinstance(made, Energy)
    of = made.distribution

    def distribution(raw):
        law = of(raw)
        whole = law.log_normalizer
        law.log_normalizer = lambda: factor * whole()
        return law

    made.distribution = distribution
    return made


def test_a_loss_with_a_law_is_not_said_to_have_none():
    entry = find("mse")
    none = NoLikelihood(lambda raw, target: (raw[..., 0] - target) ** 2, "a test says so.", "l1")
    row = dataclasses.replace(entry, name="none", examples=({},), relation=lambda **options: none)
    assert "no law" in {claim.claim for claim in verify(row).failures}


def test_witnesses_are_sizes():
    """What must not be nought is in the note, with its size."""
    for name, claim, words in (
        ("hinge", "normaliser moves", "nats"),
        ("hinge", "not proper", "total variation"),
        ("welsch", "no law", "grows"),
        ("geman_mcclure", "no law", "grows"),
        ("dice", "no law", "moves by"),
        ("beta_nll", "no law", "Jacobian is asymmetric"),
    ):
        found = next(c for c in verify(name) if c.claim == claim)
        assert found.status == "pass", found
        assert words in found.note


def test_the_kinds_of_relation_are_all_looked_at():
    from likelihoods.verification.run import READINGS

    assert set(READINGS) == {Affine, Weighted, Expected, Gibbs, Partial, NoLikelihood}


def test_tilt_needs_the_way_back():
    entry = find("bce_with_logits")
    row = dataclasses.replace(
        entry,
        examples=({"pos_weight": 3.0},),
        relation=lambda **options: Weighted(lambda y: 1 + 2 * y + 1e-3 * y, "the odds times 3"),
    )
    found = {claim.claim for claim in verify(row).failures}
    assert {"weight", "relation"} <= found
    assert torch.is_grad_enabled()
