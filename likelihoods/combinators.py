"""Likelihoods made of likelihoods; their raw axes add up."""

from __future__ import annotations

from typing import final

from torch import Tensor

from likelihoods import distributions
from likelihoods.likelihood import Likelihood


@final
class Discretized(Likelihood):
    """The likelihood of a target that was rounded to multiples of a step: the mass of its cell instead of a density.

    Args:
        base: the likelihood of the value before it was rounded.
        step: the lattice's spacing, positive.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Discretized(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=1.0), step=1.0)
    >>> likelihood.log_prob(torch.zeros(1), torch.zeros(1))
    tensor([-0.9599])
    """

    def __init__(self, base: Likelihood, step: float = 1.0) -> None:
        super().__init__()
        self.base, self.step, self.width, self.rank = base, step, base.width, base.rank

    def distribution(self, raw: Tensor) -> distributions.Discretized:
        """Return the rounded law for each row of raw, ``(..., width)``."""
        return distributions.Discretized(self.base.distribution(raw), self.step)

    def learn(self, *names: str) -> Discretized:
        """Return a copy in which the base's named constant parameters are learned."""
        return Discretized(self.base.learn(*names), self.step)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Discretized({self.base.code()}, step={self.step:g})"


@final
class Mixture(Likelihood):
    """The likelihood of a target that comes from one of k laws: a mixture density network, where the network gives them.

    The raw output holds the k mixing logits first, then the components one after the other, each in the base's own order:
    width k(1 + w). What the base learns (or fixes) as one number is shared by all components; a learned or fixed vector of
    k numbers gives each its own.

    Args:
        base: the likelihood of one component: densities, counts, vectors, or likelihoods made of likelihoods.
        k: number of components.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: k is not a positive whole number.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Mixture(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.learned()), 3)
    >>> likelihood.width, likelihood(torch.zeros(5, 6)).batch_shape
    (6, torch.Size([5]))
    """

    def __init__(self, base: Likelihood, k: int) -> None:
        super().__init__()
        if k != int(k) or k < 1:
            raise ValueError(f"Mixture got k={k}; give the number of components, such as Mixture(base, 3).")
        self.base, self.k, self.rank = base, int(k), base.rank
        self.base_width = known_width("Mixture", base)
        self.width = self.k * (1 + self.base_width)

    def distribution(self, raw: Tensor) -> distributions.Mixture:
        """Return the mixture for each row of raw, ``(..., k + k·w)``."""
        # the components outermost in memory: sums over a short last axis are several times slower (see benchmarks)
        columns = raw.movedim(-1, 0).contiguous()
        logits, rest = columns[: self.k].movedim(0, -1), columns[self.k :]
        parts = rest.reshape(self.k, self.base_width, *rest.shape[1:]).movedim((0, 1), (-2, -1))
        return distributions.Mixture(logits, self.base.distribution(parts))

    def learn(self, *names: str) -> Mixture:
        """Return a copy in which the base's named constant parameters are learned."""
        return Mixture(self.base.learn(*names), self.k)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Mixture({self.base.code()}, {self.k})"


@final
class ZeroInflated(Likelihood):
    """The likelihood of a target with more zeros than the base has: a gate makes a share of the values 0.

    The raw output holds the log-odds of an extra zero first, then what the base needs: width 1 + w. Over a density zero has
    positive mass, and what is compared with it must have that too: see :class:`likelihoods.distributions.ZeroInflated`.

    Args:
        base: the likelihood of what passes the gate: of counts, or of a density.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: the base describes several numbers at once.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.ZeroInflated(lk.Family(lk.distributions.Poisson, rate=lk.predicted()))
    >>> likelihood.width, likelihood.log_prob(torch.zeros(2, 2), torch.tensor([0.0, 1.0]))
    (2, tensor([-0.3799, -1.6931]))
    """

    def __init__(self, base: Likelihood) -> None:
        super().__init__()
        self.base, self.width = scalar("ZeroInflated", base), 1 + known_width("ZeroInflated", base)

    def distribution(self, raw: Tensor) -> distributions.ZeroInflated:
        """Return the law for each row of raw, ``(..., 1 + w)``."""
        gate, rest = raw.split([1, raw.shape[-1] - 1], -1)
        return distributions.ZeroInflated(self.base.distribution(rest), gate.squeeze(-1))

    def learn(self, *names: str) -> ZeroInflated:
        """Return a copy in which the base's named constant parameters are learned."""
        return ZeroInflated(self.base.learn(*names))

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.ZeroInflated({self.base.code()})"


@final
class Hurdle(Likelihood):
    """The likelihood of a target that is zero or not by one law, and as large as it is by another.

    The raw output holds the log-odds of zero first, then what the base needs: width 1 + w. The base is taken given that it is
    not zero; over a positive density this is the two-part model, in which zero has positive mass: see
    :class:`likelihoods.distributions.Hurdle`.

    Args:
        base: the likelihood of the values other than zero: of counts, or of a density.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: the base describes several numbers at once.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Hurdle(lk.Family(lk.distributions.Poisson, rate=lk.predicted()))
    >>> likelihood.width, likelihood.log_prob(torch.zeros(2, 2), torch.tensor([0.0, 1.0]))
    (2, tensor([-0.6931, -1.2345]))
    """

    def __init__(self, base: Likelihood) -> None:
        super().__init__()
        self.base, self.width = scalar("Hurdle", base), 1 + known_width("Hurdle", base)

    def distribution(self, raw: Tensor) -> distributions.Hurdle:
        """Return the law for each row of raw, ``(..., 1 + w)``."""
        gate, rest = raw.split([1, raw.shape[-1] - 1], -1)
        return distributions.Hurdle(self.base.distribution(rest), gate.squeeze(-1))

    def learn(self, *names: str) -> Hurdle:
        """Return a copy in which the base's named constant parameters are learned."""
        return Hurdle(self.base.learn(*names))

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Hurdle({self.base.code()})"


def known_width(combinator: str, base: Likelihood) -> int:
    """Return the base's width, or raise TypeError where it takes any number of raw scalars."""
    if base.width is None:
        raise TypeError(
            f"{combinator} got {base!r}, which takes any number of raw scalars, so there is no telling which are whose; "
            f"give its vector a length: predicted(size=K)."
        )
    return base.width


def scalar(combinator: str, base: Likelihood) -> Likelihood:
    """Return the base, or raise ValueError where its targets are not single numbers."""
    if base.rank:
        raise ValueError(
            f"{combinator} got {base!r}, whose targets have {base.rank} axes; it is for single numbers: put it inside, "
            f"as in lk.Independent(lk.{combinator}(base), 1)."
        )
    return base
