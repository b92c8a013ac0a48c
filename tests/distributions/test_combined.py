"""Laws of laws: the battery's checks on the cases of combined.py, nested laws, and what each law refuses."""

from __future__ import annotations

import pytest

from likelihoods.distributions import Mixture
from tests.distributions.case import Case
from tests.distributions.checks.moments import check_entropy
from tests.distributions.checks.protocol import check_class
from tests.distributions.combined import CASES
from tests.distributions.test_battery import CHECKS


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(case: Case, check) -> None:
    """The checks of docstrings are for families; a mixture has no closed entropy."""
    if check is check_class or (check is check_entropy and issubclass(case.family, Mixture)):
        pytest.skip("not claimed")
    check(case)
