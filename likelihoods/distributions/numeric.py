"""The law that an arbitrary loss of a number assumes, normalised by quadrature."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import constraints

from likelihoods.distributions import panels
from likelihoods.distributions.base import Value, floating, promote, quantile
from likelihoods.distributions.line import Line
from likelihoods.distributions.tails import BothTails
from likelihoods.distributions.univariate import implicit
from likelihoods.special import log_add_exp

ROUNDS = 48  # halvings for each prediction, where the normaliser depends on it
ONCE = 600  # halvings, where it does not
STEP = 1e-4  # on the line
MOST = 60  # steps of Newton's method, or halvings of a panel
FOUND = 1e-13  # relative error of a tail
Energy = Callable[[Tensor, Tensor], Tensor]


class Numeric(BothTails, TorchDistribution):
    r"""The law with density exp(-energy(loc, y) / temperature) / Z on an interval, known by the values of the energy alone.

    With ``location`` the energy depends on y - loc only: the density is that of loc + scale * X, where X has the energy
    energy(0, x), and Z is computed once. Otherwise Z is computed for each ``loc``, and ``scale`` is 1.

    The normaliser, the distribution function and the moments are quadratures, adapted to kinks, on a line that the support
    is an image of: good to about 1e-12 where the energy is smooth but for a few points, and a tail of exp(-80) to 1e-9 of
    its size. They are computed in float64.

    Args:
        energy: from predictions and targets, which broadcast, to energies; elementwise, of torch functions.
        loc: the prediction.
        temperature: positive.
        scale: positive.
        location: whether the energy depends on y - loc only.
        support: a ``constraints.interval``, ``constraints.positive`` or another half-line, or ``constraints.real``.
        edges: of the quadrature's panels, those of another such law with a temperature that is not far; found if None.
        validate_args: whether to check the parameters; torch's default if None.

    Raises:
        Improper: a ``ValueError``: exp(-energy / temperature) has no finite integral over the support.

    >>> law = Numeric(lambda f, y: (f - y).abs(), 0.0, location=True)
    >>> law.log_prob(torch.tensor(1.0)), law.cdf(torch.tensor(0.0))
    (tensor(-1.6931), tensor(0.5000))
    """

    arg_constraints = {
        "loc": constraints.real,
        "temperature": constraints.positive,
        "scale": constraints.positive,
    }

    def __init__(
        self,
        energy: Energy,
        loc: Value,
        temperature: Value = 1.0,
        scale: Value = 1.0,
        *,
        location: bool = False,
        support: Any = constraints.real,
        edges: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        self.loc, self.temperature, self.scale = promote(loc, temperature, scale)
        self.energy, self.location, self._support = energy, location, support
        self._line = Line.of(support)
        self._settle(validate_args)
        self.edges = self._panels() if edges is None else edges

    @property
    def support(self) -> Any:
        """The interval that was given."""
        return self._support

    def expand(self, batch_shape: Any, _instance: Any = None) -> Numeric:
        """Return the distribution with its parameters expanded to ``batch_shape``."""
        new = super().expand(batch_shape, _instance)
        new.energy, new.location, new._support, new._line = self.energy, self.location, self._support, self._line
        new.edges = self.edges if self.location else new._panels()
        return new

    def _panels(self) -> Tensor:
        """Return the edges of the panels on the line, ``(rows, n + 1)``: one row if they serve all."""
        if 0 in self._batch_shape and not (self.location and self.temperature.numel() == 1):
            return torch.zeros(0, 2, dtype=torch.float64, device=self.loc.device)
        with torch.no_grad():
            loc, heat = self._parameters()
            if self.location:  # kinks do not move with the temperature, and the tails are widest at the highest
                loc, heat = heat.new_zeros(1, 1), heat.amax().reshape(1, 1)

            def log_density(line: Tensor) -> Tensor:
                return self._height(line, loc, heat)

            rows = max(loc.shape[0], heat.shape[0])
            low, high = panels.extent(log_density, rows, self._line.reach, self.loc.device)
            return panels.split(log_density, low, high, ONCE if self.location else ROUNDS)

    def _row(self, parameter: Tensor) -> Tensor:
        """Return a parameter in float64, ``(rows, 1)``."""
        return parameter.double().expand(self._batch_shape).reshape(-1, 1)

    def _height(self, line: Tensor, loc: Tensor, heat: Tensor) -> Tensor:
        """Return the log-density, but for the normaliser, on the line."""
        point, log_slope = self._line.point(line)
        return -self._energy(loc, point) / heat + log_slope

    def _energy(self, loc: Tensor, point: Tensor) -> Tensor:
        loc, point = torch.broadcast_tensors(loc, point)  # a loss of torch's warns where shapes differ
        return self.energy(loc, point)

    def _parameters(self) -> tuple[Tensor, Tensor]:
        """Return loc and temperature for the panels, ``(rows, 1)``, with their gradients; one row if they serve all."""
        one = self.location and self.temperature.numel() == 1
        heat = self.temperature.double().reshape(1, 1) if one else self._row(self.temperature)
        return (torch.zeros_like(heat) if self.location else self._row(self.loc)), heat

    def _cells(self) -> tuple[Tensor, Tensor]:
        """Return the log-mass at every node, not normalised, and the points, ``(rows, panels, nodes)``."""
        loc, heat = self._parameters()
        points, log_weight = panels.nodes(self.edges)
        points, log_weight = (each.expand(heat.shape[0], -1, -1) for each in (points, log_weight))
        height = self._height(points, loc[..., None], heat[..., None]).nan_to_num(-torch.inf)
        return height + log_weight, self._line.point(points)[0]

    def _spread(self, rows: Tensor) -> Tensor:
        """Return a number for each row with the batch shape."""
        return rows.expand(self._batch_shape.numel()).reshape(self._batch_shape)

    # Density

    def log_normalizer(self) -> Tensor:
        """Return log Z, with the batch shape; with ``location`` it does not depend on loc."""
        total = self._spread(self._cells()[0].logsumexp((-1, -2)))
        return (total + self.scale.double().log()).to(self.loc.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log-density in nats."""
        value = floating(value, self.loc)
        inside = self._support.check(value)
        safe = torch.where(inside, value, self._line.inner())
        energy = (
            self._energy(torch.zeros_like(self.loc), (safe - self.loc) / self.scale)
            if self.location
            else self._energy(self.loc, safe)
        )
        log_prob = -energy / self.temperature - self.log_normalizer()
        return torch.where(inside, log_prob, torch.where(value.isnan(), torch.nan, -torch.inf))

    # Distribution function

    def log_tails(self, value: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``log_cdf`` and ``log_sf``, both from the same quadrature."""
        value = floating(value, self.loc)
        shape = torch.broadcast_shapes(value.shape, self._batch_shape)
        x = (value.double() - self.loc.double()) / self.scale.double() if self.location else value.double()
        rows = self._batch_shape.numel()
        x = x.expand(shape).reshape(-1, rows).T  # (rows, m)
        edges = self.edges.expand(rows, -1).contiguous()
        far = self._line.place(x)
        line = far.clamp(edges[:, :1], edges[:, -1:])
        panel = torch.searchsorted(edges, line.detach().contiguous(), right=True).clamp(1, edges.shape[-1] - 1) - 1
        loc, heat = self._parameters()
        masses = self._cells()[0].logsumexp(-1).expand(rows, -1)
        empty = torch.full_like(masses[:, :1], -torch.inf)
        left = torch.cat([empty, masses.logcumsumexp(-1)], -1)
        right = torch.cat([masses.flip(-1).logcumsumexp(-1).flip(-1), empty], -1)
        parts = []
        for low, high in ((edges.gather(-1, panel), line), (line, edges.gather(-1, panel + 1))):
            some = high > low
            points, log_weight = panels.between(torch.where(some, low, 0.0), torch.where(some, high, 1.0))
            height = self._height(points, loc[..., None], heat[..., None]).nan_to_num(-torch.inf)
            parts.append(torch.where(some, (height + log_weight).logsumexp(-1), -torch.inf))
        below = log_add_exp(left.gather(-1, panel), parts[0]) - left[:, -1:]
        above = log_add_exp(right.gather(-1, panel + 1), parts[1]) - left[:, -1:]
        # beyond the panels the density falls like an exponential, as far as anyone could tell: 745 nats down
        beyond = self._height(far, loc, heat)
        fall = (self._height(far + far.sign() * STEP, loc, heat) - beyond).detach().neg() / STEP
        tail = beyond - fall.clamp(min=1e-3).log() - left[:, -1:]
        below = torch.where((far < edges[:, :1]) & tail.isfinite(), tail, below)
        above = torch.where((far > edges[:, -1:]) & tail.isfinite(), tail, above)
        outside_low, outside_high = x <= self._line.low, x >= self._line.high
        results = []
        for tail, at_low, at_high in ((below, -torch.inf, 0.0), (above, 0.0, -torch.inf)):
            tail = torch.where(outside_low, at_low, torch.where(outside_high, at_high, tail)).clamp(max=0.0)
            results.append(torch.where(x.isnan(), torch.nan, tail).T.reshape(shape).to(self.loc.dtype))
        return results[0], results[1]

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantile at the probability ``value``: Newton's method from the panel that holds it."""
        shape = torch.broadcast_shapes(value.shape, self._batch_shape)
        within = (value > 0) & (value < 1)
        p = torch.where(within, value, 0.5).expand(shape)
        with torch.no_grad():
            found = self._root(p.double())
        found = implicit(self, found.to(self.loc.dtype), p) if torch.is_grad_enabled() else found.to(self.loc.dtype)
        return quantile(torch.where(within, found, 0.0), value, self._line.low, self._line.high)

    def _root(self, p: Tensor) -> Tensor:
        """Return the quantiles in float64."""
        rows, shape = self._batch_shape.numel(), p.shape
        flat = p.reshape(-1, rows).T.contiguous()
        edges = self.edges.expand(rows, -1)
        masses = self._cells()[0].logsumexp(-1).expand(rows, -1)
        below = (masses.logcumsumexp(-1) - masses.logsumexp(-1, keepdim=True)).exp()
        panel = torch.searchsorted(below.contiguous(), flat).clamp(max=masses.shape[-1] - 1)
        ends = [edges.gather(-1, panel), edges.gather(-1, panel + 1)]
        low, start, high = (self._line.point(line)[0] for line in (ends[0], 0.5 * (ends[0] + ends[1]), ends[1]))
        # the first and the last panel end where float64 does
        low = torch.where(panel == 0, max(self._line.low, -1e300), low)
        high = torch.where(panel == masses.shape[-1] - 1, min(self._line.high, 1e300), high)
        low, start, high = (each.T.reshape(shape) for each in (low, start, high))
        unit = self._unit() if self.location else self
        upper = p > 0.5
        target, sign = torch.where(upper, 1.0 - p, p).log(), torch.where(upper, -1.0, 1.0)
        x = start
        for _ in range(MOST):  # Newton's method on the logarithm of the smaller tail, within the bracket
            log_cdf, log_sf = unit.log_tails(x)
            tail = torch.where(upper, log_sf, log_cdf)
            miss = sign * (tail - target)
            low, high = torch.where(miss < 0, x, low), torch.where(miss > 0, x, high)
            if bool((miss.abs() <= FOUND * (1.0 + target.abs())).all()):
                break
            moved = x - miss * (tail - unit.log_prob(x)).exp()
            x = torch.where((moved > low) & (moved < high), moved, self._middle(low, high))
        return self.loc.double() + self.scale.double() * x if self.location else x

    def _middle(self, low: Tensor, high: Tensor) -> Tensor:
        """Return the point between two on the line of which the support is the image."""
        return self._line.point(0.5 * (self._line.place(low) + self._line.place(high)))[0]

    def _unit(self) -> Numeric:
        """Return the law of (Y - loc) / scale, in float64."""
        zero, heat = torch.zeros_like(self.loc, dtype=torch.float64), self.temperature.double()
        unit = Numeric(self.energy, zero, heat, location=True, support=self._support, edges=self.edges)
        return unit if unit.batch_shape == self._batch_shape else unit.expand(self._batch_shape)

    # Moments

    def _expectation(self, of: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the expectation of a function of the point; infinite where its integral diverges."""
        log_mass, points = self._cells()
        total = log_mass.logsumexp((-1, -2), keepdim=True)
        terms = of(points)
        share = torch.where(log_mass > -torch.inf, (log_mass - total).exp(), 0.0)
        value = torch.where(share > 0, share * terms, 0.0)
        # the outermost panels hold next to nothing of a moment that exists
        heavy = value[:, [0, -1]].abs().sum((-1, -2)) > 1e-9 * value.abs().sum((-1, -2))
        return torch.where(heavy, torch.inf, value.sum((-1, -2)))

    @property
    def mean(self) -> Tensor:
        """The mean; infinite where its integral diverges on the right only, NaN where there is none."""
        middle = self._expectation(lambda x: x)
        if self._line.kind == "real":
            middle = torch.where(middle.isinf(), torch.nan, middle)
        middle = self._spread(middle)
        middle = self.loc.double() + self.scale.double() * middle if self.location else middle
        return middle.to(self.loc.dtype)

    @property
    def variance(self) -> Tensor:
        """The variance; infinite where its integral diverges, NaN where there is no mean."""
        first = self._expectation(lambda x: x)
        known = first.isfinite()
        first = torch.where(known, first, 0.0)
        centre = first.detach().reshape(-1, 1, 1)
        second = self._expectation(lambda x: (x - centre) ** 2) - (first - first.detach()) ** 2
        spread = self._spread(torch.where(known, second, torch.nan))
        return ((self.scale.double() ** 2 if self.location else 1.0) * spread).to(self.loc.dtype)

    @property
    def mode(self) -> Tensor:
        """A point of highest density, found among the nodes of the quadrature."""
        loc, heat = self._parameters()
        with torch.no_grad():
            points = self._line.point(panels.nodes(self.edges)[0].expand(heat.shape[0], -1, -1))[0].flatten(1)
            height = -self._energy(loc, points)
            best = height.nan_to_num(-torch.inf).argmax(-1, keepdim=True)
            x = self._spread(points.gather(-1, best)[:, 0])
        return ((self.loc.double() + self.scale.double() * x) if self.location else x).to(self.loc.dtype)

    def entropy(self) -> Tensor:
        """Return the differential entropy in nats."""
        loc, heat = self._parameters()
        mean_energy = self._spread(self._expectation(lambda x: self._energy(loc[..., None], x) / heat[..., None]))
        return mean_energy.to(self.loc.dtype) + self.log_normalizer()

    # Sampling

    def sample(self, sample_shape: Any = torch.Size()) -> Tensor:
        """Draw samples: quantiles at random probabilities."""
        shape = self._extended_shape(torch.Size(sample_shape))
        with torch.no_grad():
            tail = torch.rand(shape, dtype=torch.float64, device=self.loc.device).clamp(1e-300, 1 - 1e-16)
            return self.icdf(tail).to(self.loc.dtype)
