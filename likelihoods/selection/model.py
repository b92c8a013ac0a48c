"""What a fit minimises: the mean negative log-likelihood of a linear predictor, with what its derivatives are made of."""

from __future__ import annotations

import copy
import itertools
import math

import torch
from torch import Tensor
from torch.func import functional_call

from likelihoods.likelihood import Likelihood

BOUND = 16.0  # how far a learned raw value may go from where it starts: a factor of e^16 for a scale


def _distinct(X: Tensor, y: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the distinct rows and how often each stands, where many repeat (as counts on groups, or without columns, do)."""
    rows = torch.cat([X, y[:, None].to(X.dtype)], 1)
    # equal rows have equal projections; that rows with equal projections are equal is checked
    projection = rows @ torch.linspace(1.0, 2.0, rows.shape[1], dtype=rows.dtype).cos()
    values, group, counts = torch.unique(projection, return_inverse=True, return_counts=True)
    if len(values) <= 0.8 * len(y):
        first = torch.zeros(len(values), dtype=torch.long).scatter_(0, group, torch.arange(len(y)))
        if torch.equal(rows[first][group], rows):
            return X[first], y[first], counts.to(X.dtype)
    return X, y, X.new_ones(len(y))


class Model:
    """The objective as a function of one flat vector: the coefficients output by output, then the learned raw values."""

    def __init__(self, likelihood: Likelihood, X: Tensor, y: Tensor) -> None:
        assert likelihood.width is not None
        self.likelihood, self.width = likelihood, likelihood.width
        self.number = len(y)
        X, self.y, counts = _distinct(X, y)
        self.weights = (counts / self.number)[:, None]
        self.design = torch.cat([X.new_ones(len(X), 1), X], 1)
        self.learned = {name: p.detach() for name, p in likelihood.named_parameters()}
        self.sizes = [p.numel() for p in self.learned.values()]
        self.columns = self.design.shape[1]
        # a step of u that is surely long: of a raw output the spread of the target, of a learned value a factor of e
        spread = max(1.0, float(y.double().std(correction=0)))
        self.longest = X.new_tensor([spread] * self.width + [1.0] * sum(self.sizes))
        support = likelihood._probe().support
        self.discrete = support is not None and bool(support.is_discrete)
        self.origin = self._flat(likelihood)

    def u(self, theta: Tensor) -> Tensor:
        """Return the numbers that each row's log-density depends on, ``(rows, width + learned)``."""
        raw = self.design @ self.coefficients(theta)
        return torch.cat([raw, self.values(theta).expand(len(self.y), -1)], 1)

    def coefficients(self, theta: Tensor) -> Tensor:
        """Return the coefficients, ``(columns, width)``."""
        return theta[: self.columns * self.width].reshape(self.width, self.columns).T

    def values(self, theta: Tensor) -> Tensor:
        """Return the learned raw values."""
        return theta[self.columns * self.width :]

    def moved(self, theta: Tensor) -> Tensor:
        """Return how far each learned raw value is from where it started."""
        return (self.values(theta) - self.origin).abs()

    def far(self, theta: Tensor) -> Tensor:
        """Return which entries of theta are learned values at the end of their space."""
        return torch.cat([torch.zeros(self.columns * self.width, dtype=torch.bool), self.moved(theta) > BOUND])

    def widen(self, theta: Tensor) -> Tensor:
        """Return a theta without columns as one with them, at slope 0."""
        coefficients = theta.new_zeros(self.columns, self.width)
        coefficients[0] = theta[: self.width]
        return torch.cat([coefficients.T.reshape(-1), theta[self.width :]])

    def pack(self, likelihood: Likelihood, found: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
        """Return the theta of an earlier fit, as far as it has this model's columns, standardised by mean and spread.

        Args:
            likelihood: with the learned parameters that it found.
            found: its coefficients, ``(1 + columns, width)``.
            mean: of each column.
            spread: of each column.
        """
        known = found[1:] if len(found) > 1 else mean.new_zeros(len(mean), self.width)
        slopes = known[: len(mean)] * torch.where(torch.isinf(spread), 0.0, spread)[:, None]
        coefficients = torch.cat([(found[0] + mean @ known[: len(mean)])[None], slopes])
        learned = self._flat(likelihood)
        moved = learned - self.origin  # from the end of its space, which is flat, a value would not find back
        learned = torch.where(moved.abs() > BOUND, self.origin + 0.5 * BOUND * moved.sign(), learned)
        return torch.cat([coefficients.T.reshape(-1), learned])

    def settled(self, theta: Tensor) -> Likelihood:
        """Return the likelihood with its learned parameters at theta."""
        likelihood = copy.deepcopy(self.likelihood)
        parts = self.values(theta).split(self.sizes) if self.sizes else ()
        with torch.no_grad():
            for parameter, part in zip(likelihood.parameters(), parts, strict=True):
                parameter.copy_(part.reshape(parameter.shape))
        return likelihood

    def rows(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Return each row's NLL ``(rows,)`` and its gradient in u; infinite and 0 where the parameters overflow."""
        u = u.detach().requires_grad_()
        try:
            nll = self._nll(u)
        except ValueError:  # a parameter left its domain by overflow
            return torch.full((len(u),), torch.inf, dtype=u.dtype), torch.zeros_like(u)
        return nll.detach(), torch.autograd.grad(nll.sum(), u)[0]

    def mean(self, theta: Tensor) -> float:
        """Return the mean NLL, inf where it is not finite."""
        try:
            with torch.no_grad():
                value = float((self.weights[:, 0] * self._nll(self.u(theta))).sum())
        except ValueError:
            return math.inf
        return value if math.isfinite(value) else math.inf

    def _nll(self, u: Tensor) -> Tensor:
        raw, learned = u[:, : self.width], u[:, self.width :].split(self.sizes, 1) if self.sizes else ()
        values = {
            name: part.reshape(len(u), *self.learned[name].shape)
            for name, part in zip(self.learned, learned, strict=True)
        }
        law = functional_call(self.likelihood, values, (raw,))
        log_prob: Tensor = law.log_prob(self.y.repeat(len(u) // len(self.y)))
        return -log_prob

    def squared(self, theta: Tensor) -> Tensor:
        """Return the mean squared row gradient of each entry of u."""
        return (self.weights * self.rows(self.u(theta))[1] ** 2).sum(0)

    def expand(self, blocks: Tensor) -> Tensor:
        """Return the mean over rows of D' blocks D, where D takes theta to u."""
        size = self.columns * self.width + sum(self.sizes)
        full, blocks = blocks.new_zeros(size, size), blocks * self.weights[:, :, None]
        for j, k in itertools.combinations_with_replacement(range(blocks.shape[1]), 2):
            a, left = self._part(j)
            b, right = self._part(k)
            block = left.T @ (right * blocks[:, j, k, None])
            full[a, b] = block
            full[b, a] = block.T
        return full

    def gradient(self, rows: Tensor, design: Tensor | None = None) -> Tensor:
        """Return the gradient in theta of the mean NLL, from the rows' gradients in u (from squares of both, its square)."""
        design = self.design if design is None else design
        rows = rows * self.weights
        coefficients = (design.T @ rows[:, : self.width]).T.reshape(-1)
        return torch.cat([coefficients, rows[:, self.width :].sum(0)])

    def _flat(self, likelihood: Likelihood) -> Tensor:
        return torch.cat([self.design.new_zeros(0), *(p.detach().reshape(-1) for p in likelihood.parameters())])

    def _part(self, j: int) -> tuple[slice, Tensor]:
        if j < self.width:
            return slice(j * self.columns, (j + 1) * self.columns), self.design
        at = self.columns * self.width + j - self.width
        return slice(at, at + 1), self.design[:, :1]
