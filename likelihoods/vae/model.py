"""A variational autoencoder: two networks and three likelihoods, of x given z, of z given x, and of z."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, final

import pyro
import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from likelihoods.likelihood import Likelihood
from likelihoods.vae.latents import gaussian, standard_normal

if TYPE_CHECKING:
    from likelihoods.vae.terms import Objective, Terms


@final
class VAE(nn.Module):
    """A variational autoencoder of any two networks.

    Each law is a :class:`~likelihoods.Likelihood`: the decoder's output is the raw output of that of x, the encoder's that of
    q(z|x), and the prior is one of width 0, all of whose parameters are fixed or learned.

    Args:
        encoder: takes a batch of x and gives the posterior's raw output, ``(B, width)``.
        decoder: takes z, ``(N, *axes of z)``, and gives the likelihood's raw output for N data.
        likelihood: of one datum x, all its axes: around the likelihood of a pixel write ``lk.Independent(pixel, 2)``.
        latent: how many latents; short for ``posterior=lk.vae.gaussian(latent)``, ``prior=lk.vae.standard_normal(latent)``.
        posterior: the likelihood of z given x.
        prior: that of z.

    Raises:
        TypeError: neither ``latent`` nor a posterior and a prior; or a prior that asks for raw output.

    Source: D. P. Kingma, M. Welling (2014), https://arxiv.org/abs/1312.6114

    >>> import torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> vae.encode(torch.ones(5, 6)).event_shape, vae.sample(3).shape
    (torch.Size([2]), torch.Size([3, 6]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Likelihood,
        latent: int | None = None,
        *,
        posterior: Likelihood | None = None,
        prior: Likelihood | None = None,
    ) -> None:
        super().__init__()
        if latent is not None:
            posterior = gaussian(latent) if posterior is None else posterior
            prior = standard_normal(latent) if prior is None else prior
        if posterior is None or prior is None:
            missing = "a posterior" if posterior is None else "a prior"
            raise TypeError(f"VAE lacks {missing}. Write latent=20 for normal laws of 20 latents, or give both laws.")
        for name, part in (("likelihood", likelihood), ("posterior", posterior), ("prior", prior)):
            if not isinstance(part, Likelihood):
                raise TypeError(f"The {name} is a {type(part).__name__}; give a likelihood, such as lk.Family(…).")
        if prior.width != 0:
            raise TypeError(
                f"The prior {prior!r} asks for {prior.width} raw scalars, and there is nothing to predict them from. Fix or "
                f"learn its parameters, or learn its raw output: lk.vae.Unconditional(prior)."
            )
        self.encoder, self.decoder = encoder, decoder
        self.likelihood, self.posterior, self.prior = likelihood, posterior, prior

    def forward(self, x: Any, objective: Objective, step: int | None = None) -> Terms:
        """Return the objective's terms: ``objective(vae, x, step)``, as what wraps modules wants it called.

        Those are DistributedDataParallel, torch.func.functional_call and torch.compile.
        """
        terms: Terms = objective(self, x, step)
        return terms

    # The laws

    def encode(self, x: Any) -> Distribution:
        """Return q(z|x) for a batch of x."""
        law: Distribution = self.posterior(self.encoder(x))
        return law

    def decode(self, z: Tensor) -> Distribution:
        """Return p(x|z), for z with any batch axes."""
        law: Distribution = self.likelihood(self.decode_raw(z))
        return law

    def decode_raw(self, z: Tensor) -> Tensor:
        """Return the decoder's output for z with any batch axes; the decoder itself sees one."""
        batch = z.shape[: z.dim() - self.posterior.rank]
        if len(batch) == 1:
            raw: Tensor = self.decoder(z)
            return raw
        raw = self.decoder(z.flatten(0, len(batch) - 1) if batch else z.unsqueeze(0))
        return raw.reshape(batch + raw.shape[1:])

    def prior_law(self, batch: torch.Size | tuple[int, ...] = (), like: Tensor | None = None) -> Distribution:
        """Return p(z) for a batch, in the dtype and on the device of ``like``: the model's own if it is None."""
        if like is None:
            like = next((p for p in self.parameters() if p.is_floating_point()), torch.zeros(()))
        law: Distribution = self.prior(like.new_empty((*batch, 0)))
        return law if law.batch_shape == batch else law.expand(batch)

    # What a trained model is for

    @torch.no_grad()
    def sample(self, n: int) -> Any:
        """Return ``n`` samples of x: z from the prior, then x given z (not its mean)."""
        return self.decode(self.prior_law((n,)).sample()).sample()

    @torch.no_grad()
    def reconstruct(self, x: Any) -> Distribution:
        """Return p(x|z) for one sample z of q(z|x) each; ask it for its ``mean``, or for a ``sample()``."""
        return self.decode(self.encode(x).sample())

    # Pyro

    def pyro_model(self, x: Any, size: int | None = None) -> Any:
        """The generative model in Pyro: sites "z" and "x" in a plate "data".

        Args:
            x: a batch.
            size: how many data there are in all; the batch's terms then count size/batch times.
        """
        pyro.module("vae", self)
        batch = self._rows(x)
        with self._plate(batch, size):
            prior: Any = self.prior_law((batch,))
            z: Tensor = pyro.sample("z", prior)
            law: Any = self.decode(z)
            return pyro.sample("x", law, obs=x)

    def pyro_guide(self, x: Any, size: int | None = None) -> Any:
        """The guide in Pyro, with the posterior's law for "z"; a discrete z is enumerated in parallel."""
        pyro.module("vae", self)
        with self._plate(self._rows(x), size):
            law: Any = self.encode(x)
            infer: Any = {} if law.has_rsample else {"enumerate": "parallel"}
            return pyro.sample("z", law, infer=infer)

    def _rows(self, x: Any) -> int:
        return self.likelihood.rows(x)[0]

    def _plate(self, batch: int, size: int | None) -> Any:
        if size is None:
            return pyro.plate("data", batch, dim=-1)
        return pyro.plate("data", size, subsample=torch.arange(batch), dim=-1)
