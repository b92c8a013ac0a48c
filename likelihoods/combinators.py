"""Likelihoods made of likelihoods; their raw axes add up."""

from __future__ import annotations

import math
from typing import final

from torch import Tensor

from likelihoods import distributions
from likelihoods.likelihood import Likelihood
from likelihoods.sources import literal


@final
class Discretized(Likelihood):
    """The likelihood of a target that was rounded to multiples of a step: the mass of its cell instead of a density.

    The raw output is the base's.

    Args:
        base: the likelihood of the value before it was rounded.
        step: the lattice's spacing, positive.
        low: the lowest value that is recorded, if there is one.
        high: the highest one.
        edges: what lies beyond them: "open" (it is recorded as the end) or "closed" (there is nothing); see
            :class:`likelihoods.distributions.Discretized`.
        offset: one value of the lattice.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: the base describes several numbers at once.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Discretized(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=1.0), step=1.0)
    >>> likelihood.log_prob(torch.zeros(1), torch.zeros(1))
    tensor([-0.9599])
    """

    def __init__(
        self,
        base: Likelihood,
        step: float = 1.0,
        low: float = -math.inf,
        high: float = math.inf,
        edges: str = "open",
        *,
        offset: float = 0.0,
    ) -> None:
        super().__init__()
        self.base, self.width = scalar("Discretized", base), known_width("Discretized", base)
        self.step, self.low, self.high, self.edges, self.offset = step, low, high, edges, offset

    def distribution(self, raw: Tensor) -> distributions.Discretized:
        """Return the rounded law for each row of raw, ``(..., width)``."""
        base = self.base.distribution(raw)
        return distributions.Discretized(base, self.step, self.low, self.high, self.edges, offset=self.offset)

    def learn(self, *names: str) -> Discretized:
        """Return a copy in which the base's named constant parameters are learned."""
        return Discretized(self.base.learn(*names), self.step, self.low, self.high, self.edges, offset=self.offset)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        edges = "" if self.edges == "open" else f', edges="{self.edges}"'
        offset = f", offset={self.offset!r}" if self.offset else ""
        window = _window_code(self.low, self.high)
        return f"lk.Discretized({self.base.code()}, step={self.step:.17g}{window}{edges}{offset})"


@final
class Truncated(Likelihood):
    """The likelihood of a target that is only kept where low < y <= high (for a density the ends make no difference).

    The raw output is the base's. ``lk.Truncated(base, low=0)`` makes a count zero-truncated. Where each row has a window of
    its own and rows come in batches, build the law for the batch: ``lk.distributions.Truncated(base(raw), low, high)``.

    Args:
        base: the likelihood of the value whether it is kept or not.
        low: lower end of the window, which is left out for counts: a number, or a tensor that broadcasts with the batch.
        high: upper end of the window.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: the base describes several numbers at once.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Truncated(lk.Family(lk.distributions.Poisson, rate=lk.predicted()), low=0)
    >>> likelihood.log_prob(torch.zeros(2), torch.tensor([0.0, 1.0]))
    tensor([   -inf, -0.5413])
    """

    low: float | Tensor
    high: float | Tensor

    def __init__(self, base: Likelihood, low: float | Tensor = -math.inf, high: float | Tensor = math.inf) -> None:
        super().__init__()
        self.base, self.width = scalar("Truncated", base), known_width("Truncated", base)
        for name, end in (("low", low), ("high", high)):
            if isinstance(end, Tensor):
                self.register_buffer(name, end)
            else:  # a Python number takes raw's dtype when they meet
                setattr(self, name, float(end))

    def distribution(self, raw: Tensor) -> distributions.Truncated:
        """Return the law within the window for each row of raw, ``(..., width)``."""
        return distributions.Truncated(self.base.distribution(raw), self.low, self.high)

    def learn(self, *names: str) -> Truncated:
        """Return a copy in which the base's named constant parameters are learned."""
        return Truncated(self.base.learn(*names), self.low, self.high)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Truncated({self.base.code()}{_window_code(self.low, self.high)})"


@final
class Censored(Likelihood):
    """The likelihood of a target of which only an interval may be known: left, right and interval censoring by one rule.

    A target is a pair (low, high) in the last axis: equal where the value was seen, else low < Y <= high, infinite where
    open. So a time that is right-censored at c is (c, inf), and a count that is at least 3 is (2, inf). From times and an
    indicator of the event: ``torch.stack([time, torch.where(event, time, torch.inf)], -1)``. The raw output is the base's.

    ``check`` finds pairs with low > high, with NaN, or without any possible value between them.

    Args:
        base: the likelihood of the value behind the intervals; it must have a cdf.

    Raises:
        TypeError: the base takes any number of raw scalars.
        ValueError: the base describes several numbers at once.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Censored(lk.Family(lk.distributions.Exponential, rate=lk.predicted()))
    >>> likelihood.log_prob(torch.zeros(2), torch.tensor([[3.0, 3.0], [3.0, torch.inf]]))
    tensor([-3., -3.])
    """

    rank = 1

    def __init__(self, base: Likelihood) -> None:
        super().__init__()
        self.base, self.width = scalar("Censored", base), known_width("Censored", base)

    def distribution(self, raw: Tensor) -> distributions.Censored:
        """Return the law of intervals for each row of raw, ``(..., width)``."""
        return distributions.Censored(self.base.distribution(raw))

    def learn(self, *names: str) -> Censored:
        """Return a copy in which the base's named constant parameters are learned."""
        return Censored(self.base.learn(*names))

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.Censored({self.base.code()})"


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
        ValueError: k is not a positive whole number, or raw has a row for each element of a target.

    >>> import torch, likelihoods as lk
    >>> likelihood = lk.Mixture(lk.Family(lk.distributions.Normal, loc=lk.predicted(), scale=lk.learned()), 3)
    >>> likelihood.width, likelihood(torch.zeros(5, 6)).batch_shape
    (6, torch.Size([5]))
    """

    def __init__(self, base: Likelihood, k: int) -> None:
        super().__init__()
        if k != int(k) or k < 1:
            raise ValueError(f"Mixture got k={k}; give the number of components, such as Mixture(base, 3).")
        if base.shared:
            raise ValueError(
                f"Mixture got {base!r}, of which raw has a row for each element, so there is no place for the logits of the "
                f"whole; give the sizes, as in lk.Independent(base, (28, 28)), and one row of raw describes a target."
            )
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
    """Return the base's width, or raise TypeError where it takes any number of raw scalars or no tensors for targets."""
    if base.structured:
        raise TypeError(
            f"{combinator} got {base!r}, whose targets are no single tensors; put {combinator} inside it instead."
        )
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


def _window_code(low: float | Tensor, high: float | Tensor) -> str:
    """Return the two ends of a window as arguments, the infinite ones left out."""
    ends = {"low": low, "high": high}
    return "".join(
        f", {name}={literal(end)}" for name, end in ends.items() if isinstance(end, Tensor) or math.isfinite(end)
    )
