"""The likelihood of evidential regression: a normal law whose mean and variance have a prior that the network predicts."""

from __future__ import annotations

from typing import final

from torch import Tensor

from likelihoods.distributions import StudentT
from likelihoods.likelihood import Likelihood
from likelihoods.links import LINKS


@final
class Evidential(Likelihood):
    """The target is Normal(m, v), where m is Normal(loc, v/evidence) and v is InverseGamma(concentration, rate).

    With m and v integrated out it is StudentT(2 concentration, loc, √(rate (1 + evidence) / (concentration evidence))). Four
    numbers are predicted and three can be learned: evidence and rate enter through rate (1 + 1/evidence) alone, so a split of
    the variance into one of the data, rate/(concentration - 1), and one of the mean, that over evidence, is not what the
    data say.

    Raw output is ``(..., 4)``: loc, then evidence, concentration and rate before their links, which are softplus, 1 + softplus
    and softplus.

    Source: A. Amini, W. Schwarting, A. Soleimany, D. Rus (2020), Deep evidential regression, arXiv:1910.02600; N. Meinert,
    J. Gawlikowski, A. Lavin (2023), The unreasonable effectiveness of deep evidential regression, arXiv:2205.10060.

    >>> import torch, likelihoods as lk
    >>> lk.Evidential()(torch.zeros(5, 4)).df
    tensor([3.3863, 3.3863, 3.3863, 3.3863, 3.3863])
    """

    width = 4

    def distribution(self, raw: Tensor) -> StudentT:
        """Return the law of the target for each row of raw, ``(..., 4)``."""
        loc, evidence, concentration, rate = self.prior(raw)
        scale = (rate / concentration).sqrt() * (1 + 1 / evidence).sqrt()
        return StudentT(2 * concentration, loc, scale)

    def prior(self, raw: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return loc, evidence, concentration and rate of the normal-inverse-gamma prior, each ``(...)``."""
        softplus = LINKS["softplus"].forward
        loc, evidence, concentration, rate = raw.unbind(-1)
        return loc, softplus(evidence), 1 + softplus(concentration), softplus(rate)

    def learn(self, *names: str) -> Evidential:
        """Return a copy; nothing here is a constant that could be learned."""
        return Evidential()

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return "lk.Evidential()"
