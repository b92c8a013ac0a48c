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
from likelihoods.relations import Relation
from likelihoods.verification.law import NotMeasured, Space, ask, in_support, interior, not_applicable, space

CLASSES = 4  # raw scalars of a likelihood that takes any number of them
SIZES = (0.0, 1e-8, 1.0, 30.0, 100.0)  # of extreme raw values, of either sign; 0.5 and almost 1 are for probabilities
RAWS = 64
COLUMNS = 8  # of raw output that each take every extreme value, the others being ordinary
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
        """What the conventional value is to the likelihood."""
        return self.entry.law_relation(**self.options)

    @property
    def width(self) -> int:
        """The raw scalars of a target."""
        return CLASSES if self.likelihood.width is None else self.likelihood.width

    def loss(self, reduction: str = "none") -> Loss:
        """Return the named loss."""
        if self.learned:
            raise not_applicable("it has learned parameters, so it is trained in nats and has no conventional value")
        return Loss(self.entry, self.likelihood, self.options, reduction)

    def value(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the loss of each target; in nats where parameters are learned."""
        return self.nats(raw, target) if self.learned else self.loss()(raw, target)

    def nats(self, raw: Tensor, target: Tensor) -> Tensor:
        """Return the negative log-likelihood of each target."""
        return -self.likelihood.log_prob(raw, target)

    def generator(self) -> torch.Generator:
        """Return a source of random numbers that does not depend on what was drawn before."""
        return torch.Generator().manual_seed(self.seed)

    @torch.no_grad()
    def possible(self, raws: Tensor) -> Tensor:
        """Return for each row of raw, ``(n, width)``, whether it gives a law whose parameters are inside their constraints."""
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
        """Random raw outputs, ``(RAWS, width)``, from the part of the space where they give a law.

        Raises:
            ValueError: too few of those that were tried give a law.
        """
        noise = 1.5 * torch.randn(2 * RAWS, self.width, dtype=self.dtype, generator=self.generator())
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
        """Return extreme raw outputs, ``(n, width)``, from the part of the space where they give a law.

        Raises:
            ValueError: a value gives no law although values on both sides of it do: the link is broken there.
        """
        signed = {sign * size + 0.0 for size in SIZES if size <= largest for sign in (-1, 1)}
        values = torch.tensor(sorted({*signed, 0.5, 1 - 1e-8}), dtype=self.dtype)
        if self.width == 0:
            return values.new_zeros(1, 0)
        tried = []
        for column in range(min(self.width, COLUMNS)):  # one extreme value among ordinary ones
            single = self.raws[:1].repeat(len(values), 1)
            single[:, column] = values
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
        return torch.cat([*tried, several[self.possible(several)]])

    def law(self, raw: Tensor) -> Distribution:
        """Return the law of raw output ``(*batch, width)``.

        Raises:
            ValueError: the law has another batch shape.
        """
        with torch.no_grad():
            made: Distribution = self.likelihood(raw)
        if made.batch_shape != raw.shape[:-1]:
            raise ValueError(
                f"For raw of shape {tuple(raw.shape)} {type(made).__name__} has batch shape {tuple(made.batch_shape)}; it "
                f"must be {tuple(raw.shape[:-1])}. A distribution class hands it to super().__init__(batch_shape)."
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
        shape, generator = torch.Size([count]) + law.batch_shape, self.generator()
        if self.space.values is not None:
            return self.space.values[torch.randint(len(self.space.values), shape, generator=generator)]
        if self.space.start is not None:
            noise = torch.randn(shape, dtype=self.dtype, generator=generator)
            return self.space.start + (2 * noise.abs()).exp().floor() - 1
        transform = biject_to(ask(law, "support"))
        shape = transform.inverse_shape(shape + law.event_shape)
        made: Tensor = transform(3 * torch.randn(shape, dtype=self.dtype, generator=generator))
        return made

    def pairs(self, raws: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Return raw outputs ``(n, width)`` and possible targets ``(n, *event)``: for each raw, samples and spread points."""
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
        target = torch.cat(found)
        inside = in_support(law, target)
        return raws.expand(len(target), *raws.shape)[inside], target[inside]
