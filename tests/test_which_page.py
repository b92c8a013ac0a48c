"""Each loss that docs/which.md names accepts the kind of target it stands under, and refuses what is none."""

import re
from pathlib import Path

import pytest
import torch

import likelihoods as lk

PAGE = (Path(__file__).parents[1] / "docs/which.md").read_text("utf-8")
inf, nan = float("inf"), float("nan")
# under each heading: targets of the kind, and one that is none
KINDS = {
    "A real number": ([-3.5, 0.0, 1e6], nan),
    "A positive number": ([0.1, 3.0, 70.5], -1.0),
    "A positive number or exactly nought": ([0.0, 3.0, 70.5], -1.0),
    "A share between 0 and 1": ([1 / 255, 51 / 255], 1.5),
    "Shares that add up to 1": ([[0.2, 0.3, 0.5]], [0.2, 0.3, 0.9]),
    "A count": ([0.0, 1.0], 0.5),
    "Counts of several classes": ([[1.0, 0.0, 0.0]], [0.5, 0.5, 0.0]),
    "0 or 1": ([0.0, 1.0], -1.0),
    "A label of -1 or 1": ([-1.0, 1.0], 0.0),
    "One of several classes": ([0, 1], -1),
    "One of several classes in an order": ([0, 3], -1),
    "An ordered class as answers to: more than k?": ([[1.0, 1.0, 0.0]], [2.0, 0.0, 0.0]),
    "A set of labels, or a mask": ([[1.0, 0.0, 1.0]], [2.0, 0.0, 1.0]),
    "An angle": ([-3.0, 0.0, 3.0], nan),
    "A direction": ([[0.6, 0.8]], [0.6, 0.6]),
    "A time of which an interval may be all that is known": ([[2.0, 2.0], [1.0, inf], [1.0, 2.0]], [3.0, 1.0]),
    "Times and events of a whole group": ([[[2.0, 1.0], [3.0, 0.0]]], [[2.0, 0.5], [3.0, 0.0]]),
    "Which of two: the index": ([0, 1], -1),
    "Which of two: -1 or 1": ([-1.0, 1.0], 0.0),
    "Which of many candidates": ([0, 1], -1),
    "A ranking": ([[2, 0, 1]], [0, 0, 1]),
    "Relevances of the items of a list": ([[3.0, 0.0, 1.5]], [inf, 0.0, 1.0]),
    "A string of labels": ([[1, 1, -1]], [-1, 1, 1]),
}


def named():
    for section in re.split(r"^## ", PAGE, flags=re.MULTILINE)[1:]:
        heading = section.partition("\n")[0]
        for name, page, anchor in re.findall(r"\[`(\w+)`\]\(catalogue/(\w+)\.md#(\w+)\)", section):
            yield pytest.param(heading, name, page, anchor, id=f"{heading}: {name}")


@pytest.mark.parametrize(("heading", "name", "page", "anchor"), list(named()))
def test_losses_take_the_targets_they_stand_under(heading, name, page, anchor):
    entry = lk.find(name)
    assert (entry.name, entry.build.__module__) == (name, f"likelihoods.catalog.{page}")
    assert anchor == name
    good, bad = KINDS[heading]
    loss = lk.loss(name)
    loss.check(torch.tensor(good))
    with pytest.raises((ValueError, TypeError)):
        loss.check(torch.tensor([bad]))


def test_every_kind_of_target_is_there():
    headings = re.findall(r"^## (.*)", PAGE, re.MULTILINE)
    assert headings == [*KINDS, "None of these"]
    assert len(list(named())) > 75
