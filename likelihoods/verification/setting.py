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
from likelihoods.relations import Expected, Missing, NoLikelihood, Relation
from likelihoods.verification.law import ask, interior, not_applicable
from likelihoods.verification.spaces import Circle, Intervals, Lattice, Listed, Product, Space, Sphere, space

CLASSES, AXES = 4, 3  # raw scalars of a likelihood that takes any number of them: of classes, and of a continuum's axes
ROWS = 3  # rows of raw that describe one target, along each axis where it takes any number
SIZES = (0.0, 1e-8, 1.0, 30.0, 100.0)  # of extreme raw values, of either sign; 0.5 and almost 1 are for probabilities
RAWS = 64
COLUMNS = 8  # of raw output that each take every extreme value, the others being ordinary
ATOM = 8  # of so many points one is an atom, where the law has any
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

    @property
    def takes_laws(self) -> bool:
        """Whether the loss's targets are vectors that stand for laws of the outcome."""
        return not self.learned and isinstance(self.relation, Expected) and self.relation.vector

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

    @cached_property
    def outcomes(self) -> int:
        """The number of outcomes of the law that the loss takes an expectation over."""
        assert isinstance(self.space, Listed)
        return len(self.space.values)


def _far(lattice: Lattice, noise: Tensor) -> Tensor:
    """Return points of a lattice, far out from its end, or from nought."""
    steps = (2 * noise.abs()).exp().floor() - 1
    if lattice.first > -torch.inf:
        return lattice.at((lattice.first + steps).clamp(max=lattice.last))
    if lattice.last < torch.inf:
        return lattice.at(lattice.last - steps)
    return lattice.at(steps * noise.sign())
