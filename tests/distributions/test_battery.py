"""One battery for every univariate class: each check of ``checks/`` on each case of ``cases/``.

To add a class, add one file ``cases/<snake_name>.py`` (see case.py). Each check is a plain function of a Case, so that
test_mutations.py can run it on a family broken on purpose.
"""

from __future__ import annotations

import importlib
import inspect
import pathlib
import subprocess
import sys

import pytest

import likelihoods.distributions
from likelihoods.distributions.univariate import Univariate
from tests.distributions.case import Case
from tests.distributions.checks import density, moments, probability, protocol, samples

NAMES = sorted(path.stem for path in pathlib.Path(__file__).with_name("cases").glob("[!_]*.py"))
CHECKS = [
    pytest.param(
        check,
        id=f"{module.__name__.rpartition('.')[2]}-{name.removeprefix('check_')}",
        marks=[pytest.mark.slow] if name.endswith("densely") else [],
    )
    for module in (density, probability, moments, samples, protocol)
    for name, check in vars(module).items()
    if name.startswith("check_") and inspect.getmodule(check) is module
]


def load(name: str) -> Case:
    """Return the case of a file of ``cases/``."""
    return importlib.import_module(f"tests.distributions.cases.{name}").CASE


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", NAMES)
def test_case(name: str, check) -> None:
    check(load(name))


def test_every_class_has_a_case() -> None:
    """A law of other laws (Discretized) has no parameters of its own, and tests of its own."""
    exported = (getattr(likelihoods.distributions, name) for name in likelihoods.distributions.__all__)
    univariate = {
        law for law in exported if isinstance(law, type) and issubclass(law, Univariate) and law.arg_constraints
    }
    missing = {law.__name__ for law in univariate - {load(name).family for name in NAMES}}
    missing -= {"Hurdle", "Mixture", "ZeroInflated"}  # laws of other laws: no case of their own
    assert not missing, f"add tests/distributions/cases/<name>.py for {sorted(missing)}"


def test_outside_without_assertions() -> None:
    """``python -O`` turns torch's validation off; outside the support the density is nought all the same."""
    code = (
        "from tests.distributions import test_battery as b\n"
        "from tests.distributions.checks import density, probability\n"
        "assert False, 'this must vanish'\n"
        "for name in b.NAMES:\n"
        "    density.check_outside(b.load(name)); probability.check_outside(b.load(name))\n"
        "print(len(b.NAMES))\n"
    )
    root = pathlib.Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-O", "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.split() == [str(len(NAMES))]
