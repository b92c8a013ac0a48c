"""Laws of ordered categories: a latent variable predictor + noise, seen only as the interval between two cutpoints."""

from __future__ import annotations

import abc
import math
from typing import Any

import pyro.distributions
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from likelihoods.distributions.base import Value, derived, promote
from likelihoods.distributions.index import Index, pick
from likelihoods.special import HALF_LOG_2PI, log1mexp, log1mexpexp, log_ndtr, polynomial

NARROW = 0.1  # width·max(1, |middle|) of a cell below which its normal mass is a series about the middle


class Ordered(Index):
    """A cumulative-link law on 0, …, K - 1: P(Y <= k) = F(cutpoints_k - predictor) for the noise's cdf F.

    Concrete classes say what F is.
    """

    arg_constraints = {
        "predictor": pyro.distributions.constraints.real,
        "cutpoints": pyro.distributions.constraints.ordered_vector,
    }

    def __init__(self, predictor: Value, cutpoints: Value, *, validate_args: bool | None = None) -> None:
        self.predictor, self.cutpoints = promote(predictor, cutpoints)
        if self.cutpoints.dim() < 1:
            raise ValueError(
                f"{type(self).__name__} got cutpoints of shape (); give K - 1 increasing cutpoints for K categories."
            )
        self._settle(validate_args)

    @derived
    def _num_events(self) -> int:
        return self.cutpoints.shape[-1] + 1

    @derived
    def _param(self) -> Tensor:
        return self.predictor.new_empty(1).expand(*self._batch_shape, self._num_events)

    @derived
    def logits(self) -> Tensor:
        """The log-masses, ``(..., K)``."""
        edges = self._edges()
        return self._log_mass(self.predictor.unsqueeze(-1), edges[..., :-1], edges[..., 1:])

    @derived
    def probs(self) -> Tensor:
        """The probabilities, ``(..., K)``."""
        return self.logits.exp()

    def _edges(self) -> Tensor:
        """Return the cutpoints between -inf and inf."""
        end = self.cutpoints.new_full((*self.cutpoints.shape[:-1], 1), torch.inf)
        return torch.cat([-end, self.cutpoints, end], -1)

    # The noise

    @abc.abstractmethod
    def _log_mass(self, predictor: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return log(F(high - predictor) - F(low - predictor)); ``low`` may be -inf, ``high`` inf."""

    @abc.abstractmethod
    def _log_tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """Return log F(z) and log(1 - F(z))."""

    # Density

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-mass in nats; -inf for a value that is no index of a category."""
        index, missing = self._index(value)
        edges = self._edges()
        return self._log_mass(self.predictor, pick(edges, index), pick(edges, index + 1)) + missing

    # Distribution function

    def _cumulated(self) -> Tensor:
        return self._log_cumulated()[0].exp()

    def _log_cumulated(self) -> tuple[Tensor, Tensor]:
        lower, upper = self._log_tails(self.cutpoints - self.predictor.unsqueeze(-1))
        end = lower.new_zeros((*lower.shape[:-1], 1))
        return torch.cat([lower, end], -1), torch.cat([upper, end - torch.inf], -1)


class OrderedLogistic(Ordered, pyro.distributions.OrderedLogistic):
    r"""The ordered logit law (proportional odds), P(Y ≤ k) = 1 / (1 + exp(predictor - cutpoints_k)), k = 0, …, K - 2.

    Args:
        predictor: location of the latent variable, real.
        cutpoints: ``(..., K - 1)``, increasing.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: cutpoints have no axis, or do not increase (with validation on).

    Source: P. McCullagh (1980), Regression models for ordinal data, doi:10.1111/j.2517-6161.1980.tb01109.x.

    >>> OrderedLogistic(0.5, torch.tensor([-1.0, 1.0])).log_prob(torch.tensor([0, 1, 2, 3]))
    tensor([-1.7014, -0.8209, -0.9741,    -inf])
    """

    def _log_mass(self, predictor: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return log F(high) + log(1 - F(low)) + log(1 - exp(low - high)), all relative to the predictor: no difference."""
        return logsigmoid(high - predictor) + logsigmoid(predictor - low) + _log_share(high - low)

    def _log_tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return logsigmoid(z), logsigmoid(-z)


class OrderedProbit(Ordered):
    r"""The ordered probit law, P(Y ≤ k) = Φ(cutpoints_k - predictor), k = 0, …, K - 2.

    Args:
        predictor: location of the latent variable, real.
        cutpoints: ``(..., K - 1)``, increasing.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: cutpoints have no axis, or do not increase (with validation on).

    Source: P. McCullagh (1980), Regression models for ordinal data, doi:10.1111/j.2517-6161.1980.tb01109.x.

    >>> OrderedProbit(0.5, torch.tensor([-1.0, 1.0])).log_prob(torch.tensor([0, 1, 2, 3]))
    tensor([-2.7059, -0.4706, -1.1759,    -inf])
    """

    def _log_mass(self, predictor: Tensor, low: Tensor, high: Tensor) -> Tensor:
        a, b, width = low - predictor, high - predictor, high - low
        flip = a + b > 0  # to the side where both tails are small
        a, b = torch.where(flip, -b, a), torch.where(flip, -a, b)
        closed = a > -torch.inf
        middle = torch.where(closed, b, 0.0) - 0.5 * torch.where(closed, width, 1.0)
        narrow = closed & (width * middle.abs().clamp(min=1.0) < NARROW)
        near = log_ndtr(b)
        far = log_ndtr(torch.where(closed & ~narrow, a, b - 1.0))
        wide = near + torch.where(closed, log1mexp(torch.where(closed, near - far, 1.0)), 0.0)
        return torch.where(
            narrow, _log_narrow(torch.where(narrow, middle, 0.0), torch.where(narrow, width, 0.01)), wide
        )

    def _log_tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return log_ndtr(z), log_ndtr(-z)


class OrderedCloglog(Ordered):
    r"""The ordered complementary log-log law, P(Y ≤ k) = 1 - exp(-exp(cutpoints_k - predictor)), k = 0, …, K - 2.

    It is the law of a survival time under proportional hazards, seen at K - 1 times.

    Args:
        predictor: location of the latent variable, real.
        cutpoints: ``(..., K - 1)``, increasing.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        ValueError: cutpoints have no axis, or do not increase (with validation on).

    Source: P. McCullagh (1980), Regression models for ordinal data, doi:10.1111/j.2517-6161.1980.tb01109.x.

    >>> OrderedCloglog(0.5, torch.tensor([-1.0, 1.0])).log_prob(torch.tensor([0, 1, 2, 3]))
    tensor([-1.6095, -0.4980, -1.6487,    -inf])
    """

    def _log_mass(self, predictor: Tensor, low: Tensor, high: Tensor) -> Tensor:
        """Return the log of S(low)·(1 - S(high)/S(low)), S(z) = exp(-exp(z)), relative to the predictor."""
        return log1mexpexp(high - predictor + _log_share(high - low)) - torch.exp(low - predictor)

    def _log_tails(self, z: Tensor) -> tuple[Tensor, Tensor]:
        return log1mexpexp(z), -torch.exp(z)


def _log_share(width: Tensor) -> Tensor:
    """Return log(1 - exp(-width)); an infinite width is cut to one that gives 0 just as well, and slopes of every order."""
    return log1mexp(width.clamp(max=1e4))


def _log_narrow(middle: Tensor, width: Tensor) -> Tensor:
    """Return the log of the normal mass of a narrow cell: width times the density's mean, a Taylor series about the middle."""
    x, h = middle * middle, width * width
    terms = (
        x - 1.0,
        polynomial(x, (3.0, -6.0, 1.0)),
        polynomial(x, (-15.0, 45.0, -15.0, 1.0)),
        polynomial(x, (105.0, -420.0, 210.0, -28.0, 1.0)),
    )
    mean: Any = 0.0
    for k, hermite in reversed(list(enumerate(terms, 1))):
        mean = (mean + hermite / (4.0**k * math.factorial(2 * k + 1))) * h
    return width.log() - 0.5 * x - HALF_LOG_2PI + torch.log1p(mean)
