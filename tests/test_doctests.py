"""The examples of every docstring give what they say."""

import doctest
import importlib
import pkgutil

import pytest

import likelihoods

MODULES = ["likelihoods", *(m.name for m in pkgutil.walk_packages(likelihoods.__path__, "likelihoods."))]


@pytest.mark.parametrize("name", [name for name in MODULES if not name.endswith("__main__")])
def test_examples(name):
    failed, _ = doctest.testmod(importlib.import_module(name))
    assert failed == 0


def test_there_are_many():
    finder = doctest.DocTestFinder()
    examples = sum(len(t.examples) for n in MODULES[:40] for t in finder.find(importlib.import_module(n)))
    assert examples > 40
