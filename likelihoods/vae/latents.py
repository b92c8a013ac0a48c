"""Laws of z: posteriors and priors that are more than a line of :class:`~likelihoods.Family`.

A posterior is a likelihood of z whose raw output is the encoder's; a prior is one of width 0. So any likelihood of the
package may be either. Directions, for example, with their uniform prior:
``lk.Family(lk.distributions.VonMisesFisher, loc=lk.predicted(size=3), concentration=lk.predicted("softplus"))`` and
``lk.Family(lk.distributions.VonMisesFisher, loc=(1.0, 0.0, 0.0), concentration=0.0)``.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import final

import pyro.distributions
import torch
from pyro.distributions import TransformedDistribution
from torch import Tensor, nn
from torch.distributions import Distribution, Transform

from likelihoods import distributions
from likelihoods.likelihood import Family, Likelihood
from likelihoods.links import Link
from likelihoods.sources import predicted
from likelihoods.targets import Independent


def gaussian(size: int, scale: str | Link = "log") -> Independent:
    """Return the posterior of ``size`` independent normal latents.

    The raw output, ``(B, 2·size)``, has the mean and the raw scale of the first latent, then of the second, …

    Args:
        size: how many latents.
        scale: the link of the scale, such as "softplus".

    >>> gaussian(20).width
    40
    """
    return Independent(Family(distributions.Normal, loc=predicted(), scale=predicted(scale)), (size,))


def standard_normal(size: int) -> Independent:
    """Return the prior of ``size`` independent standard normal latents.

    >>> standard_normal(20)(torch.empty(5, 0)).batch_shape
    torch.Size([5])
    """
    return Independent(Family(distributions.Normal, loc=0.0, scale=1.0), (size,))


@final
class FullGaussian(Likelihood):
    """The posterior of ``size`` normal latents with any covariance.

    The raw output, ``(B, size + size(size + 1)/2)``, has the means, then the rows of the covariance's lower Cholesky factor
    up to the diagonal, of whose elements it has the logarithms.

    >>> FullGaussian(3).width, FullGaussian(3)(torch.zeros(5, 9)).event_shape
    (9, torch.Size([3]))
    """

    rank = 1

    def __init__(self, size: int) -> None:
        super().__init__()
        if size < 1:
            raise ValueError(f"FullGaussian got size={size}; give the number of latents.")
        self.size, self.width = size, size + size * (size + 1) // 2

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the normal law for each row of raw, ``(..., width)``."""
        loc, flat = raw.split([self.size, raw.shape[-1] - self.size], -1)
        parts = flat.split(list(range(1, self.size + 1)), -1)
        rows = [nn.functional.pad(part, (0, self.size - part.shape[-1])) for part in parts]
        factor = torch.stack(rows, -2)
        diagonal = factor.diagonal(dim1=-2, dim2=-1).exp()
        return pyro.distributions.MultivariateNormal(loc, scale_tril=factor.tril(-1) + torch.diag_embed(diagonal))

    def learn(self, *names: str) -> FullGaussian:
        """Return a copy; there are no constant parameters."""
        return FullGaussian(self.size)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood."""
        return f"lk.vae.FullGaussian({self.size})"


@final
class Unconditional(Likelihood):
    """A likelihood whose raw output is learned, one for all data: so any likelihood becomes a prior.

    Args:
        base: any likelihood with a width.
        raw: what to start from, ``(width,)``; standard normal noise if None, since equal components stay equal.

    Raises:
        TypeError: the base takes any number of raw scalars, or a row of raw for each element.
        ValueError: raw has another shape.

    >>> import likelihoods as lk
    >>> prior = Unconditional(lk.Mixture(gaussian(2), 5))  # a mixture of five normal laws of two latents
    >>> prior.width, prior(torch.empty(3, 0)).event_shape
    (0, torch.Size([2]))
    """

    width = 0

    def __init__(self, base: Likelihood, raw: Tensor | None = None) -> None:
        super().__init__()
        if base.width is None or base.shared:
            raise TypeError(
                f"Unconditional got {base!r}, whose raw output has no fixed length; give its vectors a length, "
                f"predicted(size=K), and its arrays sizes, lk.Independent(base, (3,))."
            )
        if raw is not None and raw.shape != (base.width,):
            raise ValueError(f"raw has shape {tuple(raw.shape)}; {base!r} needs ({base.width},).")
        self.base, self.rank = base, base.rank
        self.raw = nn.Parameter(torch.randn(base.width) if raw is None else raw.detach().clone())

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the law, which broadcasts against the batch."""
        law: Distribution = self.base(self.raw)
        return law

    def learn(self, *names: str) -> Unconditional:
        """Return a copy in which the base's named constant parameters are learned."""
        return Unconditional(self.base.learn(*names), self.raw)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood, from a new start."""
        return f"lk.vae.Unconditional({self.base.code()})"


@final
class VampPrior(Likelihood):
    """The prior that is a mixture of the posteriors of learned pseudo-inputs, (1/K) Σ q(z|u_k).

    Its KL term has no closed form: write ``ELBO(kl="sampled")``.

    Args:
        encoder: the model's own encoder.
        posterior: the model's own posterior.
        inputs: the pseudo-inputs to start from, ``(K, …)`` as x, such as K data.

    Source: J. M. Tomczak, M. Welling (2018), https://arxiv.org/abs/1705.07120

    >>> encoder, posterior = torch.nn.Linear(6, 4), gaussian(2)
    >>> VampPrior(encoder, posterior, torch.randn(7, 6))(torch.empty(3, 0)).event_shape
    torch.Size([2])
    """

    width = 0

    def __init__(self, encoder: nn.Module, posterior: Likelihood, inputs: Tensor) -> None:
        super().__init__()
        if not inputs.is_floating_point():
            raise ValueError(f"The pseudo-inputs are {inputs.dtype} and are learned; write inputs.float().")
        self.encoder, self.posterior, self.rank = encoder, posterior, posterior.rank
        self.inputs = nn.Parameter(inputs.detach().clone())

    def distribution(self, raw: Tensor) -> distributions.Mixture:
        """Return the mixture, which broadcasts against the batch."""
        components: Distribution = self.posterior(self.encoder(self.inputs))
        return distributions.Mixture(raw.new_zeros(len(self.inputs)), components)

    def learn(self, *names: str) -> VampPrior:
        """Return a copy whose posterior learns the named constants; it is no longer the model's own."""
        return VampPrior(self.encoder, self.posterior.learn(*names), self.inputs)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood, given the names of its parts."""
        return f"lk.vae.VampPrior(encoder, {self.posterior.code()}, inputs)"


@final
class Flow(Likelihood):
    """The law of z = T(z₀) for a z₀ from another likelihood: a normalising flow, as posterior or prior.

    Args:
        base: the likelihood of z₀.
        transforms: torch's or Pyro's, such as those of :mod:`pyro.distributions.transforms`, in the order of application;
            those that are modules are trained.

    The density of z that did not come from the flow itself (a prior's, and that of the gradients "stl" and "dreg") asks for
    the inverse transforms, which some flows (planar, radial) do not have and others (autoregressive) give slowly; those of
    Pyro 1.9 only in torch's default dtype.

    Source: D. J. Rezende, S. Mohamed (2015), https://arxiv.org/abs/1505.05770

    >>> from pyro.distributions.transforms import affine_autoregressive
    >>> flow = Flow(gaussian(3), [affine_autoregressive(3)])
    >>> flow.width, flow(torch.zeros(5, 6)).rsample().shape
    (6, torch.Size([5, 3]))
    """

    def __init__(self, base: Likelihood, transforms: Iterable[Transform]) -> None:
        super().__init__()
        self.base, self.width, self.rank = base, base.width, base.rank
        self.steps = list(transforms)
        if not self.steps or not all(isinstance(step, Transform) for step in self.steps):
            raise TypeError(
                f"Flow got {self.steps!r}; give transforms, such as [pyro.distributions.transforms.planar(3)]."
            )
        self.modules_of_steps = nn.ModuleList(step for step in self.steps if isinstance(step, nn.Module))

    def distribution(self, raw: Tensor) -> Distribution:
        """Return the law of z."""
        # each law has copies, with the same parameters: a transform remembers what it made last, and the graph of that
        law: Distribution = TransformedDistribution(
            self.base.distribution(raw), [copy.copy(step) for step in self.steps]
        )
        return law

    def learn(self, *names: str) -> Flow:
        """Return a copy in which the base's named constant parameters are learned; the transforms are shared."""
        return Flow(self.base.learn(*names), self.steps)

    def code(self) -> str:
        """Return the Python expression that makes this likelihood, given its transforms."""
        return f"lk.vae.Flow({self.base.code()}, transforms)"
