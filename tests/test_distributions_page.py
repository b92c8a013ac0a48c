"""The generated page of distributions says what the classes say now."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs/distributions.md").read_text("utf-8")


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_distributions", ROOT / "docs/generate_distributions.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the names in their annotations
    spec.loader.exec_module(module)
    return module


def test_families_are_current(generator):
    """Write the page again where this fails: python docs/generate_distributions.py."""
    start, end = PAGE.index(generator.BEGIN), PAGE.index(generator.END) + len(generator.END)
    assert PAGE[start:end] == generator.families_section()


def test_every_family_was_measured(generator):
    names = [family.__name__ for family in generator.families()]
    assert re.findall(r"^\| `(\w+)` \| [\de+]* \| \*\*ours\*\*", PAGE, re.MULTILINE) == names


def test_ours_fail_nothing(generator):
    for line in PAGE.splitlines():
        if "**ours**" in line:
            cells = [cell.strip() for cell in line.split("|")[1:-1]]
            assert (cells[5], cells[8]) == ("0", "0"), line


@pytest.mark.parametrize("name", ["StudentT", "Poisson", "VonMisesFisher", "Multinomial"])
def test_measurements_are_what_the_script_measures(generator, name):
    family = next(family for family in generator.families() if family.__name__ == name)
    row = next(line for line in PAGE.splitlines() if line.startswith(f"| `{name}` |") and "**ours**" in line)
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    now = generator.shown(generator.measure(family, generator.F64)[0])
    for written, measured in zip(cells[3:5], now[:2], strict=True):
        # the last ulp may differ from one processor to the next
        assert float(measured) <= 4 * float(written) + 1e-15
