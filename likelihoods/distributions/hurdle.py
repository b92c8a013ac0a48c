"""The hurdle law: zero or not is one matter, how much another."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import logsigmoid

from likelihoods.distributions.gated import Gated
from likelihoods.distributions.univariate import Univariate
from likelihoods.special import log1mexp

TRIES = 16  # draws of the base in search of a value other than 0, before its quantile function is asked
COUNTS = 64  # quantiles up to here are found by adding up masses, which is a hundred times faster


class Hurdle(Gated):
    """The law of a value that is 0 with probability π = sigmoid(logits), and otherwise the base's, given that it is not 0.

    P(0) = π, and every other value has (1 - π) / (1 - P_base(0)) times its mass or density under the base. Over a
    positive density this is the two-part model: 0 is an atom of mass π, ``log_prob`` is a log-probability there and a
    log-density beyond, and the base measure is Lebesgue's and one unit at 0.

    Args:
        base: a law of counts, or of a density; none of its mass may lie below 0 if 0 has mass.
        logits: log-odds of zero, real (R's ``pscl::hurdle`` reports the log-odds of a positive count, which is minus this).
        validate_args: whether to check the logits; torch's default if None. The base has checked itself.

    Raises:
        ValueError: the base is a law of vectors.

    Source: J. Mullahy (1986), Specification and testing of some modified count data models,
    doi:10.1016/0304-4076(86)90002-3; the two-part model, N. Duan, W. G. Manning, C. N. Morris, J. P. Newhouse (1983),
    doi:10.1080/07350015.1983.10509330

    >>> import torch
    >>> from likelihoods.distributions import Gamma, Poisson
    >>> Hurdle(Poisson(2.0), 0.0).log_prob(torch.tensor([0.0, 1.0]))
    tensor([-0.6931, -1.8546])
    >>> Hurdle(Gamma(2.0, 1.0), 0.0).log_prob(torch.tensor([0.0, 1.0]))
    tensor([-0.6931, -1.6931])
    """

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass (at 0, and for counts) or log-density in nats; -inf outside the support."""
        return self._apart(value)

    def _log_factor(self) -> Tensor:
        if not self._holds_zero:
            return logsigmoid(-self.logits)
        return logsigmoid(-self.logits) - log1mexp(-self._log_base_zero())

    def _log_zero(self) -> Tensor:
        return logsigmoid(self.logits)

    def _counted(self, line: Univariate, low: Tensor | None, high: Tensor) -> Tensor:
        if self._holds_zero:
            return line.log_mass(torch.zeros_like(high) if low is None else low.clamp(min=0.0), high)
        return line.log_cdf(high) if low is None else line.log_mass(low, high)

    def _other_mode(self, line: Univariate) -> Tensor:
        mode = line.mode
        if not line.support.is_discrete:
            return mode
        least = Hurdle(self.base, self._nearly_open())._beyond(torch.full_like(mode, 1e-9, dtype=self.logits.dtype))
        return torch.where(mode == 0, least, mode)

    def _nearly_open(self) -> Tensor:
        return torch.full_like(self.logits, -12.0)

    def _beyond(self, share: Tensor) -> Tensor:
        """Return the quantile among the values other than 0."""
        zero = self.logits.sigmoid()
        p = zero + (1.0 - zero) * share
        return self.icdf(torch.maximum(p, torch.nextafter(zero, torch.ones_like(zero))))

    def _sample_others(self, base: Distribution, sample_shape: torch.Size) -> Tensor:
        y = base.sample(sample_shape)
        if not self._holds_zero:
            return y
        tries = 1
        while bool((y == 0).any()):
            if tries == TRIES and isinstance(base, Univariate):
                return self._inverted(base, y)
            y, tries = torch.where(y == 0, base.sample(sample_shape), y), tries + 1
        return y

    def _inverted(self, base: Univariate, y: Tensor) -> Tensor:
        """Return y with each 0 replaced by the base's quantile, given that it is not 0, at a uniform share."""
        uniform = torch.rand(y.shape, dtype=self.logits.dtype, device=self.logits.device)
        if base.support.is_discrete:
            share = uniform * -torch.expm1(self._log_base_zero())
            below = torch.zeros(base.batch_shape, dtype=share.dtype, device=share.device)
            for count in range(1, COUNTS + 1):
                below = below + base.log_prob(torch.full_like(below, count)).exp()
                y = torch.where((y == 0) & (share < below), count, y)
                if not bool((y == 0).any()):
                    return y
        return torch.where(y == 0, Hurdle(base, self._nearly_open())._beyond(uniform), y)
