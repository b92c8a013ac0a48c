"""Maximum likelihood for a linear predictor under any likelihood, by Newton's method in float64.

The unknowns are one coefficient vector for each raw output and the likelihood's learned parameters. Each row's log-density is a
function of a few numbers u (its raw outputs and the learned parameters), so a row's gradient and Hessian in u are enough: with
the design they give the exact gradient and Hessian of the whole. The row Hessians are central differences of row gradients at
a step of a hundredth of a standard error of u. That needs one derivative only, and it sees the curvature of a kink (L1) as the
density of residuals near it, where an analytic second derivative would see 0.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.func import functional_call

from likelihoods.combinators import Mixture
from likelihoods.likelihood import Likelihood
from likelihoods.links import Link
from likelihoods.sources import Learned, Predicted

TOLERANCE = 1e-12  # nats a row that a Newton step still promises, below which the fit has converged
KINK = 1e-3  # nats over all rows that a step must gain to go on where it gains far less than it promised: at a kink
CRAWL = 1e-6  # nats over all rows below which a step's promise means a learned value on its way to a limit of the law
BOUND = 16.0  # how far a learned raw value may go from where it starts: a factor of e^16 for a scale
LIMIT = 0.1  # slope there, in nats over all rows, below which the law has reached a limit, and is not unbounded
CERTAIN = 1e-6  # nats a row below which a mass says that every target was certain
MAX_ITERATIONS = 60
MIXTURE = "its components begin alike, and Newton's method cannot part them; train it by lk.NLL from a random start"
TOGETHER = 30_000  # rows that are evaluated at once


@dataclass(frozen=True)
class Fit:
    """A fitted linear predictor.

    Attributes:
        likelihood: the likelihood with its learned parameters at their fitted values (float64).
        coefficients: ``(1 + columns, width)``, intercept first, for the columns as they were given.
        nll: mean negative log-likelihood of the training rows, in nats.
        converged: whether a further step would gain nothing.
        iterations: Newton steps taken.
        unbounded: why the likelihood has no maximum on these data, or "" where it has.
    """

    likelihood: Likelihood
    coefficients: Tensor
    nll: float
    converged: bool
    iterations: int
    unbounded: str

    def raw(self, X: Tensor) -> Tensor:
        """Return the raw output ``(rows, width)`` for the rows of X."""
        return self.coefficients[0] + X @ self.coefficients[1:]

    def log_prob(self, X: Tensor, y: Tensor) -> Tensor:
        """Return each row's log-density (or log-mass) in nats."""
        with torch.no_grad():
            return self.likelihood.log_prob(self.raw(X), y)


def fit(likelihood: Likelihood, X: Tensor, y: Tensor, start: Fit | None = None) -> Fit:
    """Fit a linear predictor by maximum likelihood.

    Args:
        likelihood: any likelihood with a fixed width; its learned parameters are fitted as well. It is not changed.
        X: ``(rows, columns)``, float64; the columns are standardised inside.
        y: ``(rows,)``, float64 (or class indices), inside the support.
        start: a fit, of the same columns or of none, from which to begin; a search finds a beginning if None.

    Returns:
        The fit; what went wrong with it, if anything, is in ``converged`` and ``unbounded``, and is never raised.

    Raises:
        TypeError: the likelihood holds a mixture.
    """
    if any(isinstance(part, Mixture) for part in likelihood.modules()):
        raise TypeError(f"fit got a mixture, {likelihood!r}: {MIXTURE}.")
    likelihood = copy.deepcopy(likelihood).double()
    mean = X.mean(0)
    spread = (X - mean).square().mean(0).sqrt()
    spread = torch.where(spread > 1e-12 * X.abs().amax(0), spread, torch.inf)  # a constant column adds nothing
    alone = _Model(likelihood, X[:, :0], y)
    if start is None:
        theta, nll, converged, iterations, unbounded = _newton(alone, _search(alone, y), None)
    else:
        theta = alone.pack(start, mean[:0], spread[:0])
    if X.shape[1] or start is not None:
        model = _Model(likelihood, (X - mean) / spread, y)
        natural = alone.squared(theta)  # the scale of u: that of the model without columns
        begin = model.widen(theta) if start is None else model.pack(start, mean, spread)
        theta, nll, converged, iterations, unbounded = _newton(model, begin, natural)
    else:
        model = alone
    coefficients = model.coefficients(theta)
    slopes = coefficients[1:] / spread[:, None]
    coefficients = torch.cat([(coefficients[0] - mean @ slopes)[None], slopes])
    return Fit(model.settled(theta), coefficients, nll, converged, iterations, unbounded)


def _discrete(likelihood: Likelihood) -> bool:
    support = likelihood._probe().support
    return support is not None and bool(support.is_discrete)


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


class _Model:
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
        self.discrete = _discrete(likelihood)
        self.origin = torch.cat([p.reshape(-1) for p in self.learned.values()]) if self.learned else X.new_zeros(0)

    def u(self, theta: Tensor) -> Tensor:
        """Return the numbers that each row's log-density depends on, ``(rows, width + learned)``."""
        raw = self.design @ self.coefficients(theta)
        return torch.cat([raw, theta[self.columns * self.width :].expand(len(self.y), -1)], 1)

    def coefficients(self, theta: Tensor) -> Tensor:
        """Return the coefficients, ``(columns, width)``."""
        return theta[: self.columns * self.width].reshape(self.width, self.columns).T

    def widen(self, theta: Tensor) -> Tensor:
        """Return a theta without columns as one with them, at slope 0."""
        coefficients = theta.new_zeros(self.columns, self.width)
        coefficients[0] = theta[: self.width]
        return torch.cat([coefficients.T.reshape(-1), theta[self.width :]])

    def pack(self, start: Fit, mean: Tensor, spread: Tensor) -> Tensor:
        """Return the theta of an earlier fit, as far as it has this model's columns, standardised by mean and spread."""
        known = start.coefficients[1:] if len(start.coefficients) > 1 else mean.new_zeros(len(mean), self.width)
        slopes = known[: len(mean)] * torch.where(torch.isinf(spread), 0.0, spread)[:, None]
        coefficients = torch.cat([(start.coefficients[0] + mean @ known[: len(mean)])[None], slopes])
        learned = torch.cat([self.origin[:0], *(p.detach().reshape(-1) for p in start.likelihood.parameters())])
        moved = learned - self.origin  # from the end of its space, which is flat, a value would not find back
        learned = torch.where(moved.abs() > BOUND, self.origin + 0.5 * BOUND * moved.sign(), learned)
        return torch.cat([coefficients.T.reshape(-1), learned])

    def settled(self, theta: Tensor) -> Likelihood:
        """Return the likelihood with its learned parameters at theta."""
        likelihood = copy.deepcopy(self.likelihood)
        parts = theta[self.columns * self.width :].split(self.sizes) if self.sizes else ()
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

    def _part(self, j: int) -> tuple[slice, Tensor]:
        if j < self.width:
            return slice(j * self.columns, (j + 1) * self.columns), self.design
        at = self.columns * self.width + j - self.width
        return slice(at, at + 1), self.design[:, :1]


def _newton(model: _Model, theta: Tensor, natural: Tensor | None) -> tuple[Tensor, float, bool, int, str]:
    value, converged, iterations = model.mean(theta), False, 0
    # the usual bandwidth for a density; its square is the error of the curvature where there is no kink
    window = widest = model.number ** (-1 / 3)
    hessian, promised, crawled = None, math.inf, 0
    while iterations < MAX_ITERATIONS:
        iterations += 1
        u = model.u(theta)
        _, rows = model.rows(u)
        gradient = model.gradient(rows)
        if hessian is None:
            hessian = model.expand(_curvature(model, u, rows, window, natural))
        far = _far(model, theta)
        if bool(far.any()):  # df of a Student-t law for normal targets, say: held there, while the rest is fitted
            if float(gradient[far].abs().max()) * model.number > LIMIT:
                break
            gradient, hessian = gradient.masked_fill(far, 0.0), hessian.masked_fill(far | far[:, None], 0.0)
            hessian.diagonal()[far] = 1.0
        step, promise = _direction(hessian, gradient, model.gradient(rows**2, model.design**2))
        if not math.isfinite(promise):
            break
        crawled = crawled + 1 if promise * model.number < CRAWL else 0
        if (
            promise < TOLERANCE or crawled > 5
        ):  # steps to a maximum are soon done: Huber's delta grows on to a normal law
            converged = True
            break
        best, size = _line_search(model, theta, step, value, float(gradient @ step))
        gain, value, theta = value - best, best, theta + size * step
        if gain < min(0.1 * promise, KINK / model.number):
            if window == widest:  # what a kink leaves in the gradient; a real failure promises more
                converged = promise < len(theta) / model.number
            window *= 0.3  # a narrower window sees the kink better
            if window < 1e-3:
                break
        if promise > 1e-2 * promised or gain < 0.5 * promise:  # else the old curvature is still good enough
            hessian = None
        promised = promise
    return theta, value, converged, iterations, _unbounded(model, theta, value, converged)


def _curvature(model: _Model, u: Tensor, rows: Tensor, window: float, natural: Tensor | None) -> Tensor:
    """Return each row's Hessian in u, by central differences of its gradient."""
    size = (model.weights * rows**2).sum(0)
    if natural is not None:  # near a perfect fit the gradients say nothing of the scale of u
        size = torch.maximum(size, natural)
    steps = window * size.rsqrt().clamp(max=model.longest)
    shifts = torch.cat([torch.diag(steps), -torch.diag(steps)])
    together = max(1, TOGETHER // len(u))  # few rows are dearer one shift at a time
    slopes = [
        model.rows((u + some[:, None]).reshape(-1, u.shape[1]))[1].reshape(-1, *u.shape)
        for some in shifts.split(together)
    ]
    up, down = torch.cat(slopes).chunk(2)
    blocks = ((up - down) / (2 * steps[:, None, None])).permute(1, 2, 0)
    return 0.5 * (blocks + blocks.mT)


def _direction(hessian: Tensor, gradient: Tensor, squares: Tensor) -> tuple[Tensor, float]:
    """Return the Newton step, uphill curvature turned round, and the gain in nats that it promises.

    A direction without curvature (a scale that runs to 0) gets a millionth of what the mean squared gradient would give it.
    """
    least = 1e-6 * squares + 1e-300
    hessian = hessian + torch.diag((least - hessian.diagonal().abs()).clamp_min(0.0))
    diagonal = hessian.diagonal().abs().rsqrt()
    scaled = hessian * diagonal[:, None] * diagonal
    if not bool(torch.isfinite(scaled).all() & torch.isfinite(gradient).all()):
        return torch.zeros_like(gradient), math.nan
    curvature, axes = torch.linalg.eigh(scaled)
    along = axes.T @ (gradient * diagonal)
    curvature = curvature.abs().clamp_min(1e-9 * float(curvature.abs().max()))
    step = -(axes @ (along / curvature)) * diagonal
    return step, 0.5 * float((along**2 / curvature).sum())


def _line_search(model: _Model, theta: Tensor, step: Tensor, value: float, slope: float) -> tuple[float, float]:
    """Return the best value along the step and its length, halving until there is a gain; (value, 0) if there is none."""
    longest = float(step[model.columns * model.width :].abs().max()) if model.sizes else 0.0
    size = min(1.0, 3.0 / longest) if longest > 0 else 1.0  # a learned value moves by a factor of e^3 at most
    for _ in range(20):
        trial = model.mean(theta + size * step)
        if trial <= value + 1e-4 * size * slope:
            return trial, size
        size *= 0.5
    return value, 0.0


def _far(model: _Model, theta: Tensor) -> Tensor:
    """Return which entries of theta are learned values at the end of their space."""
    moved = (theta[model.columns * model.width :] - model.origin).abs()
    return torch.cat([torch.zeros(model.columns * model.width, dtype=torch.bool), moved > BOUND])


def _unbounded(model: _Model, theta: Tensor, value: float, converged: bool) -> str:
    if value < CERTAIN and model.discrete:
        return "every target is predicted with certainty, so the coefficients have no finite best value"
    if not converged and bool(_far(model, theta).any()):
        moved = (theta[model.columns * model.width :] - model.origin).abs()
        owners = [name for name, size in zip(model.learned, model.sizes, strict=True) for _ in range(size)]
        name = owners[int(moved.argmax())].removesuffix(".raw").rpartition(".")[2]
        return (
            f"the likelihood grows without bound as {name} runs to the end of its space: some targets are equal, or are "
            f"predicted exactly"
        )
    return ""


def _search(model: _Model, y: Tensor) -> Tensor:
    """Return a start for the model without columns: the best of a grid of plain guesses made from the target."""
    some = y[:: max(1, len(y) // 500)]
    few = _Model(model.likelihood, model.design.new_zeros(len(some), 0), some)
    y = y.double()
    quartiles = torch.quantile(some.double(), torch.tensor([0.25, 0.75], dtype=y.dtype))
    guesses = [1.0, float(y.mean()), float(y.median()), float(y.std(correction=0)), float(quartiles.diff()) / 2]
    if float(y.min()) > 0:
        guesses += [float(y.log().mean()), float(y.log().std(correction=0))]
    sources = [m for m in model.likelihood.modules() if isinstance(m, Predicted)]
    if any(source.width != 1 for source in sources) or len(sources) != model.width:
        grid = [[0.0]] * model.width  # a vector, or raw outputs of another kind than a family's parameters
    else:
        grid = [_raw_values(source.link, guesses) for source in sources]
    at = 0
    for source in (m for m in model.likelihood.modules() if isinstance(m, Learned)):
        start = model.origin[at : at + source.raw.numel()].tolist()
        at += len(start)
        grid += [[start[0], *_raw_values(source.link, guesses)]] if len(start) == 1 else [[value] for value in start]
    points = [torch.tensor(point, dtype=y.dtype) for point in itertools.islice(itertools.product(*grid), 1000)]
    return min(points, key=few.mean)


def _raw_values(link: Link, guesses: list[float]) -> list[float]:
    raw = link.inverse(torch.tensor([0.0, *guesses], dtype=torch.float64))
    return sorted({round(value, 12) for value in raw[torch.isfinite(raw)].tolist()} | {0.0})
