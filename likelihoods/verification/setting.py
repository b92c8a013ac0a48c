"""One row of the table at one setting of its options: its loss, its law, and points at which to look at them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, biject_to

from likelihoods.likelihood import Likelihood
from likelihoods.losses import Loss
from likelihoods.registry import Entry
from likelihoods.relations import Expected, Missing, NoLikelihood, Partial, Relation
from likelihoods.verification.law import NotMeasured, ask, in_support, interior, not_applicable
from likelihoods.verification.spaces import Circle, Intervals, Lattice, Listed, Product, Space, Sphere, space

CLASSES, AXES = 4, 3  # raw scalars of a likelihood that takes any number of them: of classes, and of a continuum's axes
ROWS = 3  # rows of raw that describe one target, along each axis where it takes any number
SIZES = (0.0, 1e-8, 1.0, 30.0, 100.0)  # of extreme raw values, of either sign; 0.5 and almost 1 are for probabilities
RAWS = 64
COLUMNS = 8  # of raw output that each take every extreme value, the others being ordinary
ATOM = 8  # of so many points one is an atom, where the law has any
LAW = 1e3  # rounding errors by which probabilities may miss 1
COMBINATIONS = 256  # of extreme raw values, where a target takes several


@dataclass(frozen=True, eq=False)  # compared by identity, so that what is measured once can be cached by it
class Setting:
    """A row at one setting of its options.

    Attributes:
        entry: the row.
        example: the options that differ from the defaults.
        likelihood: in the dtype of ``dtype``.
        dtype: of raw output and targets.
        seed: of all random points.
    """

    entry: Entry
    example: dict[str, Any]
    likelihood: Likelihood
    dtype: torch.dtype
    seed: int

    @classmethod
    def make(cls, entry: Entry, example: dict[str, Any], seed: int, dtype: torch.dtype = torch.float64) -> Setting:
        """Build the row's likelihood for an example of its options."""
        return cls(entry, example, entry.model(**example).to(dtype), dtype, seed)

    @property
    def options(self) -> dict[str, Any]:
        """All options, defaults included."""
        return self.entry.complete(self.example)

    @property
    def learned(self) -> bool:
        """Whether the likelihood has learned parameters; it is then trained in nats, and there is no conventional value."""
        return any(True for _ in self.likelihood.parameters())

    @property
    def relation(self) -> Relation:
        """What the conventional value of a known target is to the likelihood."""
        stated = self.entry.law_relation(**self.options)
        return stated.of if isinstance(stated, Missing) else stated

    @property
    def missing(self) -> Missing | None:
        """What stands for a missing target, if anything does."""
        stated = self.entry.law_relation(**self.options)
        return stated if isinstance(stated, Missing) else None

    @cached_property
    def shape(self) -> torch.Size:
        """The shape of the raw output for one target: ``(width,)``, with axes in front that the target has too."""
        width, rows = self.likelihood.width, [ROWS] * self.likelihood.shared
        if width is None:
            law = self.likelihood(torch.full((*rows, CLASSES), 0.5, dtype=self.dtype))
            width = CLASSES if ask(law, "support").is_discrete else AXES
        return torch.Size([*rows, width])

    @property
    def width(self) -> int:
        """The raw scalars of a target."""
        return self.shape.numel()

    @cached_property
    def event(self) -> torch.Size:
        """The shape of one target of the law."""
        return self.law(self.raws[0]).event_shape

    def loss(self, reduction: str = "none") -> Loss:
        """Return the named loss."""
        if self.learned:
            raise not_applicable("it has learned parameters, so it is trained in nats and has no conventional value")
        return Loss(self.entry, self.likelihood, self.options, reduction)

    def value(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target; in nats where parameters are learned."""
        return self.nats(raw, target) if self.learned else self.loss()(raw, target)

    def nats(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target; under the law that is lent where there is none."""
        if self.learned or isinstance(self.relation, NoLikelihood):
            return -self.likelihood.log_prob(raw, target)
        return self.relation.nll(self.likelihood, raw, target)

    def generator(self) -> torch.Generator:
        """Return a source of random numbers that does not depend on what was drawn before."""
        return torch.Generator().manual_seed(self.seed)

    @torch.no_grad()
    def possible(self, raws: Tensor) -> Tensor:
        """Return for each raw output, ``(n, *shape)``, whether it gives a law whose parameters are inside their constraints."""
        if len(raws) == 0:
            return torch.zeros(0, dtype=torch.bool)
        try:
            return interior(self.likelihood(raws)).expand(len(raws))
        except ValueError:  # what torch's validation raises
            if len(raws) == 1:
                return torch.zeros(1, dtype=torch.bool)
        return torch.cat([self.possible(half) for half in raws.tensor_split(2)])

    @cached_property
    def raws(self) -> Tensor:
        """Random raw outputs, ``(RAWS, *shape)``, from the part of the space where they give a law.

        Raises:
            ValueError: too few of those that were tried give a law.
        """
        noise = 1.5 * torch.randn(2 * RAWS, *self.shape, dtype=self.dtype, generator=self.generator())
        found = noise[:0]
        for tried in (noise, noise.abs(), noise.sigmoid()):
            found = torch.cat([found, tried[self.possible(tried)]])[:RAWS]
            if len(found) == RAWS:
                return found
        why = ""
        try:
            self.likelihood(noise[:1])
        except ValueError as error:
            why = f" The first: {error}"
        raise ValueError(f"{len(found)} of {6 * RAWS} random raw outputs give a law with allowed parameters.{why}")

    def extremes(self, largest: float) -> Tensor:
        """Return extreme raw outputs, ``(n, *shape)``, from the part of the space where they give a law.

        Raises:
            ValueError: a value gives no law although values on both sides of it do: the link is broken there.
        """
        signed = {sign * size + 0.0 for size in SIZES if size <= largest for sign in (-1, 1)}
        values = torch.tensor(sorted({*signed, 0.5, 1 - 1e-8}), dtype=self.dtype)
        if self.width == 0:
            return values.new_zeros(1, *self.shape)
        tried = []
        for column in range(min(self.width, COLUMNS)):  # one extreme value among ordinary ones
            single = self.raws[0].reshape(1, -1).repeat(len(values), 1)
            single[:, column] = values
            single = single.reshape(-1, *self.shape)
            allowed = self.possible(single)
            reached = values[allowed]
            if len(reached):
                hole = values[~allowed & (values > reached.min()) & (values < reached.max())]
                if len(hole):
                    raise ValueError(f"Raw {hole.tolist()} gives no law, although values on both sides of it do.")
            tried.append(single[allowed])
        if len(values) ** self.width <= COMBINATIONS:
            several = torch.cartesian_prod(*[values] * self.width).reshape(-1, self.width)
        else:
            shape = COMBINATIONS, self.width
            several = values[torch.randint(len(values), shape, generator=self.generator())]
        several = several.reshape(-1, *self.shape)
        return torch.cat([*tried, several[self.possible(several)]])

    def law(self, raw: Tensor) -> Distribution:
        """Return the law of raw output ``(*batch, *shape)``.

        Raises:
            ValueError: the law has another batch shape.
        """
        with torch.no_grad():
            made: Distribution = self.likelihood(raw)
        batch = raw.shape[: raw.dim() - len(self.shape)]
        if made.batch_shape != batch:
            raise ValueError(
                f"For raw of shape {tuple(raw.shape)} {type(made).__name__} has batch shape {tuple(made.batch_shape)}; it "
                f"must be {tuple(batch)}. A distribution class hands it to super().__init__(batch_shape)."
            )
        return made

    @cached_property
    def space(self) -> Space:
        """Where the targets live, as the law of an ordinary raw output says it."""
        return space(self.law(self.raws[0]), self.dtype)

    def draw(self, law: Distribution, count: int) -> Tensor:
        """Return samples, ``(count, *batch, *event)``; torch's global random state stays as it was."""
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.default_generator.manual_seed(self.seed)
            sample: Tensor = ask(law, "sample", (count,))
        return sample if isinstance(law, Categorical) else sample.to(self.dtype)

    def spread(self, law: Distribution, count: int) -> Tensor:
        """Return random points far and wide in the support, ``(count, *batch, *event)``, not from the law."""
        if isinstance(self.space, Intervals):
            return self._pairs(law, count)
        of, shape = self.space, torch.Size([count]) + law.batch_shape
        if isinstance(of, Product):
            of, shape = of.element, shape + law.event_shape
        generator = self.generator()
        if isinstance(of, Listed):
            return of.values[torch.randint(len(of.values), shape, generator=generator)]
        if isinstance(of, Lattice):
            return _far(of, torch.randn(shape, dtype=self.dtype, generator=generator))
        if isinstance(of, Circle):
            return 3 * torch.randn(shape, dtype=self.dtype, generator=generator)
        if isinstance(of, Sphere):
            noise = torch.randn(*shape, of.dim, dtype=self.dtype, generator=generator)
            return torch.nn.functional.normalize(noise, dim=-1)
        try:
            transform = biject_to(ask(law, "support"))
        except NotImplementedError:
            transform = of.transform
        if not isinstance(self.space, Product):
            shape = transform.inverse_shape(shape + law.event_shape)
        made: Tensor = transform(3 * torch.randn(shape, dtype=self.dtype, generator=generator))
        for place, atom in enumerate(of.atoms):
            made[place::ATOM] = atom
        return made

    def _pairs(self, law: Any, count: int) -> Tensor:
        """Return pairs of each kind: seen, and an interval between two points, or open on one side."""
        points = torch.cat([self.draw(law, count)[..., 0], self.draw(law, count + 1)[1:, ..., 0]]).sort(0).values
        low, high = points[:count], points[count:]
        made = torch.stack([low, high], -1)
        made[0::4, ..., 1] = low[0::4]
        made[1::4, ..., 0] = -torch.inf
        made[2::4, ..., 1] = torch.inf
        return made

    # Targets of the loss

    @cached_property
    def outcomes(self) -> int:
        """The number of outcomes of the law that the loss takes an expectation over."""
        assert isinstance(self.space, Listed)
        return len(self.space.values)

    def soft(self, count: int, generator: torch.Generator) -> Tensor:
        """Return random targets that are vectors, ``(count, K)``, some of them with zeros.

        The relation says whether it takes log-odds, probabilities or their logarithms: what it makes a law of.

        Raises:
            ValueError: it makes a law of none of them.
        """
        assert isinstance(self.relation, Expected)
        noise = 2 * torch.randn(count, self.outcomes, dtype=self.dtype, generator=generator)
        kept = torch.rand(noise.shape, dtype=self.dtype, generator=generator) < 0.7
        some = noise.softmax(-1) * (kept | (noise == noise.amax(-1, keepdim=True)))
        for tried in (noise, some / some.sum(-1, keepdim=True), noise.log_softmax(-1)):
            if is_law(self.relation.soft(tried, self.outcomes)):
                return tried
        raise ValueError(
            f"t = {self.relation.soft.__doc__} makes no law of log-odds, probabilities or their logarithms."
        )

    def targets(self, outcome: Tensor) -> Tensor:
        """Return targets of the loss for outcomes of the law, ``(..., *event)``: the outcomes but where only a part counts.

        Raises:
            NotMeasured: it is not known how a target is made that has such a part.
        """
        relation = self.relation
        if self.learned or not isinstance(relation, Partial) or relation.part is None:
            return outcome
        law = self.law(self.raws[0])
        for made in (outcome, outcome.sum(-1), outcome.sum(-1).long()):
            try:
                part = relation.part(made)
            except (RuntimeError, IndexError, ValueError):
                continue
            if part.shape == outcome.shape and bool(in_support(law, part).all()):
                return made
        raise ValueError(f"It is not known how to make a target whose part is an outcome: {relation.of}")

    def pairs(self, raws: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return raw outputs ``(n, *shape)`` and possible targets of the loss ``(n, ...)``: several for each raw.

        They are samples of the law and points far and wide in its support; where the loss takes laws as targets, random ones.
        """
        relation = self.relation
        if not self.learned and isinstance(relation, Expected) and relation.vector:
            target = self.soft(count * len(raws), self.generator())
            return raws.repeat(count, *[1] * len(self.shape)), target
        law = self.law(raws)
        found: list[Tensor] = []
        lacking: list[NotMeasured] = []
        for points in (self.draw, self.spread):
            try:
                found.append(points(law, count))
            except NotMeasured as error:
                lacking.append(error)
        if not found:
            raise lacking[0]
        outcome = torch.cat(found)
        inside = in_support(law, outcome)
        raw, outcome = raws.expand(len(outcome), *raws.shape)[inside], outcome[inside]
        target = self.blurred(self.targets(outcome))
        known = self.known(target)
        return raw[known], target[known]

    def known(self, target: Tensor) -> Tensor:
        """Return which targets do not stand for missing ones, ``(n,)``."""
        stated = self.missing
        return torch.ones(len(target), dtype=torch.bool) if stated is None else stated.known(target)

    def blurred(self, target: Tensor) -> Tensor:
        """Return targets of which every third is a number between the outcomes, where the loss makes a law of it."""
        if self.learned or not isinstance(self.relation, Expected) or not target.is_floating_point():
            return target
        between = torch.rand(target.shape, dtype=self.dtype, generator=self.generator())
        if not is_law(self.relation.soft(between, self.outcomes)):
            return target
        return torch.where(torch.arange(len(target)) % 3 == 0, between, target)


def is_law(soft: Tensor) -> bool:
    """Return whether every vector holds probabilities."""
    return bool((soft >= 0).all()) and bool(((soft.sum(-1) - 1).abs() <= LAW * torch.finfo(soft.dtype).eps).all())


def _far(lattice: Lattice, noise: Tensor) -> Tensor:
    """Return points of a lattice, far out from its end, or from nought."""
    steps = (2 * noise.abs()).exp().floor() - 1
    if lattice.first > -torch.inf:
        return lattice.at((lattice.first + steps).clamp(max=lattice.last))
    if lattice.last < torch.inf:
        return lattice.at(lattice.last - steps)
    return lattice.at(steps * noise.sign())
