"""The way back: from a loss that a user wrote to the distribution that it assumes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints

from likelihoods.catalog import find, register
from likelihoods.distributions.numeric import Improper, Numeric, check_interval
from likelihoods.energy import Energy, Unnormalised
from likelihoods.functionals import Functional
from likelihoods.likelihood import Likelihood
from likelihoods.links import Link, find_link
from likelihoods.registry import Entry, make_entry
from likelihoods.relations import Affine, Gibbs, NoLikelihoodError, Relation
from likelihoods.sources import Fixed, Source, as_source, learned

Elementwise = Callable[[Tensor, Tensor], Tensor]
PROBES = 33  # predictions at which the normaliser is looked at
SAME = 1e-8  # of two normalisers in nats: quadrature's error


@final
class Assumed(Unnormalised):
    """The law with density exp(-loss(f, y) / temperature) / Z that an elementwise loss assumes; made by :func:`from_loss`.

    Args:
        loss: a function of predictions and targets, elementwise.
        temperature: a positive number, or ``learned()``.
        scale: of the noise, in which f and y are measured; a positive number, or ``learned()``; 1 unless ``location``.
        location: whether the loss depends on y - f only.
        support: of the targets.
        link: of the prediction f to the raw output.
    """

    width = 1

    def __init__(
        self,
        loss: Elementwise,
        temperature: Any = 1.0,
        scale: Any = 1.0,
        *,
        location: bool,
        support: Any = constraints.real,
        link: str | Link = "identity",
    ) -> None:
        super().__init__()
        self.loss, self.location, self.support, self.link = loss, location, support, find_link(link)
        self._edges: dict[int, Tensor] = {}
        self.temperature: Source = as_source(temperature)("temperature", constraints.positive)
        self.scale: Source = as_source(scale)("scale", constraints.positive)

    def distribution(self, raw: Tensor) -> Numeric:
        """Return the law for each row of raw, ``(..., 1)``."""
        loc = self.link.forward(raw.squeeze(-1))
        temperature, scale = self.temperature(raw), self.scale(raw)
        if not self.location:
            return Numeric(self.loss, loc, temperature, support=self.support)
        # the panels of one temperature are good for those near it: a training step need not look for them again
        near = round(math.log2(float(torch.as_tensor(temperature).detach())))
        law = Numeric(self.loss, loc, temperature, scale, location=True, edges=self._edges.get(near))
        self._edges[near] = law.edges
        return law

    def energy_of(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss divided by the temperature, ``(...)``."""
        scale = self.scale(raw)
        loss: Tensor = self.loss(self.link.forward(raw.squeeze(-1)) / scale, target / scale)
        temperature: Tensor = self.temperature(raw)
        return loss / temperature

    def learn(self, *names: str) -> Assumed:
        """Return a copy in which the temperature or the scale is learned, starting at its present value."""
        made: dict[str, Any] = {}
        for name, source in (("temperature", self.temperature), ("scale", self.scale)):
            made[name] = learned(source.value) if name in names and isinstance(source, Fixed) else _keep(source)
        return Assumed(self.loss, **made, location=self.location, support=self.support, link=self.link)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood (``lk`` being the package)."""
        return (
            f"lk.Assumed({_name(self.loss)}, {self.temperature.code()}, {self.scale.code()}, location={self.location}, "
            f"support={self.support}, link={self.link.name!r})"
        )


def from_loss(
    loss: Elementwise,
    *,
    support: Any = constraints.real,
    labels: Sequence[float] | None = None,
    link: str | Link = "identity",
    temperature: float = 1.0,
    name: str | None = None,
    assumption: str | None = None,
    reference: str = "from_loss",
) -> Entry:
    """Return the row of the table that an elementwise loss would have: the distribution that it assumes, and the relation.

    The distribution has the density exp(-loss(f, y) / temperature) / Z(f). Z comes by quadrature over the support, or by a
    sum over the labels. Whether the loss depends on y - f alone, and whether Z depends on f, is found out at some points.
    Where Z is the same for every prediction, the loss is a negative log-likelihood but for constants (``Affine``); else it is
    not (``Gibbs``), and the likelihood is its normalised law. The row can be given to ``loss``, ``verify`` and ``choose``, says
    what it is (``row.describe()``) and, with a name, is in the table.

    Args:
        loss: a function of predictions f and targets y, tensors of one shape, to losses of that shape. It need not be convex.
        support: of the targets: ``constraints.real``, ``constraints.positive``, ``constraints.interval(low, high)``, ….
        labels: the targets, where they are finitely many, instead of a support.
        link: of f to the network's output: "log" where f must be positive.
        temperature: the loss's unit in nats; it can be learned, as the scale of a loss of y - f can (`entry.fitted()`).
        name: under which the row is registered; without one it is not.
        assumption: one sentence.
        reference: of the loss.

    Raises:
        NoLikelihoodError: there is no distribution: the integral of exp(-loss) diverges, as for bounded losses.
        TypeError: the loss is no elementwise function of two tensors.

    Source: P. G. Bissiri, C. C. Holmes, S. G. Walker (2016), doi:10.1111/rssb.12158.

    >>> row = from_loss(lambda f, y: (f - y).abs() ** 1.5)
    >>> row.law_relation().sentence()
    'loss = NLL - 0.590832'
    >>> row.likelihood()(torch.zeros(2)).cdf(torch.zeros(2))
    tensor([0.5000, 0.5000])
    """
    if not callable(loss):
        raise TypeError(
            f"from_loss takes a function of predictions and targets, not {loss!r}; for a loss that has a name write find(name)."
        )
    if labels is None:
        check_interval(support)
    called = name or _name(loss)
    sentence = assumption or f"The target has a density in proportion to exp(-{called}(f, y))."
    support_given = support
    made = find_link(link)
    _check_elementwise(loss, labels, support, made)
    location = labels is None and support is constraints.real and made.name == "identity" and _is_location(loss)

    if labels is not None:
        values = tuple(float(label) for label in labels)

        def build_labels(temperature: float = temperature) -> Likelihood:
            return Energy(partial(_of_labels, loss, made), width=1, labels=values, temperature=temperature)

        build: Callable[..., Likelihood] = build_labels
    elif location:

        def build_location(temperature: float = temperature, scale: float = 1.0) -> Likelihood:
            return Assumed(loss, temperature, scale, location=True)

        build = build_location
    else:

        def build_general(temperature: float = temperature) -> Likelihood:
            return Assumed(loss, temperature, location=False, support=support_given, link=made)

        build = build_general

    def relation(temperature: float, scale: float = 1.0) -> Relation:
        likelihood = build(temperature, scale) if location else build(temperature)
        found = _log_normalizers(likelihood, called)
        if float(found.max() - found.min()) > SAME:
            return Gibbs(temperature)
        return Affine(temperature, -temperature * float(found.mean()))

    relation(temperature)  # says so at once where there is no likelihood
    build.__name__ = called
    build.__doc__ = f"{sentence}\n\nThis row was made by from_loss."
    claims: dict[str, Any] = {
        "elicits": Functional(
            "its own minimiser", partial(_minimiser, loss, made), partial(_prediction, made), unique=labels is not None
        ),
        "reference": reference,
        "relation": relation,
        "examples": ({},),
        "formula": f"{called}(f, y)",
        "nuisance": () if labels is not None else ("scale",) if location else ("temperature",),
        "aliases": (),
        "outcome": "the target" if labels is None else f"the target, one of {', '.join(f'{v:g}' for v in labels)}",
        "compare": True,
    }
    if name is None:
        return make_entry(build, **claims)
    register(**claims)(build)
    return find(name)


def _of_labels(loss: Elementwise, link: Link, raw: Tensor, label: Tensor, temperature: float) -> Tensor:
    f, y = torch.broadcast_tensors(link.forward(raw[..., 0]), label)
    return loss(f, y) / temperature


def _check_elementwise(loss: Elementwise, labels: Sequence[float] | None, support: Any, link: Link) -> None:
    """Raise TypeError unless the loss maps two tensors to one of their shape, element by element."""
    f = link.forward(torch.linspace(-0.9, 1.1, 6, dtype=torch.float64))
    if labels is not None:
        y = torch.tensor(list(labels), dtype=torch.float64).repeat(6)[:6]
    else:
        y = biject_to(support)(torch.linspace(1.2, -0.7, 6, dtype=torch.float64))
    found = loss(f, y)
    what = f"a tensor of shape {tuple(found.shape)}" if isinstance(found, Tensor) else f"a {type(found).__name__}"
    if not isinstance(found, Tensor) or found.shape != f.shape:
        raise TypeError(
            f"from_loss wants a function of predictions and targets, both (6,), that gives one loss for each, (6,); it gave "
            f"{what}. Leave out the reduction: reduction='none'."
        )
    alone = torch.cat([loss(f[k : k + 1], y[k : k + 1]) for k in range(6)])
    if not torch.allclose(alone, found, rtol=1e-9, atol=1e-12, equal_nan=True):
        raise TypeError("from_loss wants an elementwise loss; this one gives an element another value among others.")
    if bool(found.isnan().all()):
        raise TypeError(f"The loss is NaN at f = {f.tolist()}; where f must be positive, write link='log'.")


def _is_location(loss: Elementwise) -> bool:
    generator = torch.Generator().manual_seed(0)
    f, y, shift = 3 * torch.randn(3, 64, dtype=torch.float64, generator=generator)
    return torch.allclose(loss(f + shift, y + shift), loss(f, y), rtol=1e-9, atol=1e-9)


def _log_normalizers(likelihood: Likelihood, called: str) -> Tensor:
    """Return log Z at some predictions, in float64.

    Raises:
        NoLikelihoodError: the integral diverges.
    """
    raw = torch.linspace(-3.0, 3.0, PROBES, dtype=torch.float64).unsqueeze(-1)
    try:
        law: Any = likelihood.double()(raw)
        found: Tensor = law.log_normalizer()
    except Improper as improper:
        raise NoLikelihoodError(
            f"{called} assumes no distribution: {improper} A loss that is bounded, or grows more slowly than log|y - f| times "
            f"the temperature, is the negative log of nothing that could be normalised; it is an estimator without a noise "
            f"model. Nearest with one: loss('cauchy'), loss('student_t'); or give a support that is bounded."
        ) from None
    if not bool(found.isfinite().all()):
        raise NoLikelihoodError(f"{called} assumes no distribution: its normaliser is infinite or not a number.")
    return found


def _minimiser(
    loss: Elementwise, link: Link, values: Tensor, weights: Tensor, scale: float = 1.0, **options: Any
) -> Tensor:
    """Return the prediction f of least expected loss: the best of a grid of raw outputs, then a bounded search."""
    from scipy import optimize

    def expected(raw: float) -> float:
        f = link.forward(torch.full_like(values, raw))
        found = float((weights * loss(f / scale, values / scale)).sum())
        return found if math.isfinite(found) else math.inf

    grid = torch.linspace(-7.0, 7.0, 2001, dtype=torch.float64).sinh().tolist()
    best = min(range(len(grid)), key=lambda k: expected(grid[k]))
    bounds = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]
    found = optimize.minimize_scalar(expected, bounds=bounds, method="bounded", options={"xatol": 1e-12})
    return link.forward(torch.tensor(found.x, dtype=values.dtype))


def _prediction(link: Link, law: Any) -> Tensor:
    loc: Tensor = law.loc if isinstance(law, Numeric) else link.forward(law.raw[..., 0])
    return loc


def _keep(source: Source) -> Callable[..., Source]:
    return lambda name, constraint: source


def _name(loss: Any) -> str:
    name = str(getattr(loss, "__name__", type(loss).__name__))
    return name if name.isidentifier() else "custom"
