"""Each claim of an entry as a number that should be nought."""

from likelihoods.verification.report import Claim, Report
from likelihoods.verification.run import verify

__all__ = ["Claim", "Report", "verify"]
