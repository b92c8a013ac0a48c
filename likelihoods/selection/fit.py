"""Maximum likelihood for a linear predictor under any likelihood, by Newton's method in float64.

The unknowns are one coefficient vector for each raw output and the likelihood's learned parameters. Each row's log-density is a
function of a few numbers u (its raw outputs and the learned parameters), so a row's gradient and Hessian in u are enough: with
the design they give the exact gradient and Hessian of the whole. The row Hessians are central differences of row gradients, with
steps of N^(-1/3) times the scale of u for N rows, and shorter ones at a kink. That needs one derivative only, and it sees the
curvature of a kink (L1) as the density of residuals near it, where an analytic second derivative would see 0.
"""

from __future__ import annotations

import copy
import itertools
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from likelihoods.combinators import Mixture
from likelihoods.likelihood import Likelihood
from likelihoods.links import Link
from likelihoods.selection.model import Model
from likelihoods.sources import Learned, Predicted

TOLERANCE = 1e-12  # nats a row that a Newton step still promises, below which the fit has converged
KINK = 1e-3  # nats over all rows that a step must gain to go on where it gains far less than it promised: at a kink
CRAWL = 1e-6  # nats over all rows below which a step's promise means a learned value on its way to a limit of the law
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
    alone = Model(likelihood, X[:, :0], y)
    if start is None:
        theta, nll, converged, iterations, unbounded = _newton(alone, _search(alone, y), None)
    else:
        theta = alone.pack(start.likelihood, start.coefficients, mean[:0], spread[:0])
    if X.shape[1] or start is not None:
        model = Model(likelihood, (X - mean) / spread, y)
        natural = alone.squared(theta)  # the scale of u: that of the model without columns
        begin = model.widen(theta) if start is None else model.pack(start.likelihood, start.coefficients, mean, spread)
        theta, nll, converged, iterations, unbounded = _newton(model, begin, natural)
    else:
        model = alone
    coefficients = model.coefficients(theta)
    slopes = coefficients[1:] / spread[:, None]
    coefficients = torch.cat([(coefficients[0] - mean @ slopes)[None], slopes])
    return Fit(model.settled(theta), coefficients, nll, converged, iterations, unbounded)


def _newton(model: Model, theta: Tensor, natural: Tensor | None) -> tuple[Tensor, float, bool, int, str]:
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
        far = model.far(theta)
        if bool(far.any()):  # df of a Student-t law for normal targets, say: held there, while the rest is fitted
            if float(gradient[far].abs().max()) * model.number > LIMIT:
                break
            gradient, hessian = gradient.masked_fill(far, 0.0), hessian.masked_fill(far | far[:, None], 0.0)
            hessian.diagonal()[far] = 1.0
        step, promise = _direction(hessian, gradient, model.gradient(rows**2, model.design**2))
        if not math.isfinite(promise):
            break
        crawled = crawled + 1 if promise * model.number < CRAWL else 0
        # steps to a maximum are soon done: many small ones are those of Huber's delta, say, that grows on to a normal law
        if promise < TOLERANCE or crawled > 5:
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


def _curvature(model: Model, u: Tensor, rows: Tensor, window: float, natural: Tensor | None) -> Tensor:
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


def _line_search(model: Model, theta: Tensor, step: Tensor, value: float, slope: float) -> tuple[float, float]:
    """Return the best value along the step and its length, halving until there is a gain; (value, 0) if there is none."""
    longest = float(model.values(step).abs().max()) if model.sizes else 0.0
    size = min(1.0, 3.0 / longest) if longest > 0 else 1.0  # a learned value moves by a factor of e^3 at most
    for _ in range(20):
        trial = model.mean(theta + size * step)
        if trial <= value + 1e-4 * size * slope:
            return trial, size
        size *= 0.5
    return value, 0.0


def _unbounded(model: Model, theta: Tensor, value: float, converged: bool) -> str:
    if value < CERTAIN and model.discrete:
        return "every target is predicted with certainty, so the coefficients have no finite best value"
    if not converged and bool(model.far(theta).any()):
        owners = [name for name, size in zip(model.learned, model.sizes, strict=True) for _ in range(size)]
        name = owners[int(model.moved(theta).argmax())].removesuffix(".raw").rpartition(".")[2]
        return (
            f"the likelihood grows without bound as {name} runs to the end of its space: some targets are equal, or are "
            f"predicted exactly"
        )
    return ""


def _search(model: Model, y: Tensor) -> Tensor:
    """Return a start for the model without columns: the best of a grid of plain guesses made from the target."""
    some = y[:: max(1, len(y) // 500)]
    few = Model(model.likelihood, model.design.new_zeros(len(some), 0), some)
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
