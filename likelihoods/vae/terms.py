"""What an objective gives for each datum, and what all objectives compute alike."""

from __future__ import annotations

import abc
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.distributions import Distribution, Independent
from torch.func import functional_call

from likelihoods.vae import batches

if TYPE_CHECKING:
    from likelihoods.vae.model import VAE


@dataclass(frozen=True)
class Terms:
    """An objective's terms in nats, one number a datum; B stands for the batch axes, K for the samples of z.

    Nothing here is averaged over the batch, and nothing can be averaged over the axes of a datum or of z.

    Attributes:
        bound: ``(B,)``, the lower bound of log p(x) that the objective estimates, with weight 1 on the KL term whatever
            weight is trained: the ELBO, or the importance-weighted bound.
        surrogate: ``(B,)``, what to descend: ``terms.surrogate.mean().backward()``. Its value is minus what is trained (the
            bound with its weights, free nats and penalties) and its gradient the chosen estimator's.
        distortion: ``(B,)``, the mean of -log p(x|z) over the samples.
        rate: ``(B, L)``, KL(q(z|x)‖p(z)) of each latent, or an estimate from the samples; L is 1 where q or the prior does
            not factorise.
        log_weights: ``(K, B)``, log p(x|z) + log p(z) - log q(z|x) of each sample; None where the KL term is in closed
            form, which needs no density of z.
        parts: further terms that an objective names, ``(B,)`` each.
    """

    bound: Tensor
    surrogate: Tensor
    distortion: Tensor
    rate: Tensor
    log_weights: Tensor | None = None
    parts: dict[str, Tensor] | None = None


class Objective(nn.Module, abc.ABC):
    """Abstract: a module that takes a VAE and a batch and gives :class:`Terms`.

    Attributes:
        is_bound: whether minus the surrogate never exceeds log p(x) in expectation. ``Terms.bound`` never does.
    """

    is_bound: bool = True

    @abc.abstractmethod
    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum.

        Args:
            vae: the model.
            x: a batch of what the encoder takes and the likelihood describes.
            step: the number of the training step, from 0, which schedules ask for.
        """


class Draw(NamedTuple):
    """Samples z of q(z|x), and the log-likelihood of x at each."""

    raw: Tensor
    q: Distribution
    p: Distribution
    z: Tensor
    log_likelihood: Tensor


def draw(vae: VAE, x: Any, k: int) -> Draw:
    """Return ``k`` samples with slopes.

    Raises:
        ValueError: the prior is no law of what q is a law of, or the likelihood gives more than one number a datum.
        NotImplementedError: samples of q have no slopes.
    """
    raw, q, p = laws(vae, x)
    if not q.has_rsample:
        raise NotImplementedError(
            f"Samples of the posterior {vae.posterior!r} have no slopes, so its parameters would not be trained. Sum over "
            f"a discrete z by lk.vae.Enumerated(), or choose a posterior whose samples have slopes."
        )
    z = q.rsample((k,))
    return Draw(raw, q, p, z, log_likelihood(vae, x, z, q.batch_shape))


def laws(vae: VAE, x: Any) -> tuple[Tensor, Distribution, Distribution]:
    """Return the encoder's output, the posterior q(z|x) and the prior p(z)."""
    raw = vae.encoder(x)
    q = vae.posterior(raw)
    p = vae.prior_law(q.batch_shape, raw)
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"The posterior is a law of z of shape {tuple(q.event_shape)} and the prior of {tuple(p.event_shape)}; both must "
            f"describe the same z: posterior {vae.posterior!r}, prior {vae.prior!r}. All axes of z are event axes: write "
            f"lk.Independent(…, sizes) around a law of one number."
        )
    return raw, q, p


def log_likelihood(vae: VAE, x: Any, z: Tensor, batch: torch.Size) -> Tensor:
    """Return log p(x|z), ``(K, B)``, for z with K in front of the batch axes."""
    value = vae.likelihood.log_prob(vae.decode_raw(z), batches.each(x, lambda part: part.expand(len(z), *part.shape)))
    if value.shape != (len(z), *batch):
        raise ValueError(
            f"The likelihood gives values of shape {tuple(value.shape[1:])} for a batch {tuple(batch)}: one number a datum "
            f"is wanted, the sum over the datum's axes. Write lk.Independent(likelihood, "
            f"{max(1, value.dim() - 1 - len(batch))}) around the likelihood of one element."
        )
    return value


def detached_log_prob(vae: VAE, raw: Tensor, z: Tensor) -> Tensor:
    """Return log q(z|x), of each latent, in which the parameters of q are constants and z is not."""
    if next(vae.posterior.parameters(), None) is None:  # all that it has comes from the encoder
        return each_log_prob(vae.posterior(raw.detach()), z)
    density = _Density(vae.posterior)
    constants = {name: parameter.detach() for name, parameter in density.named_parameters()}
    log_q: Tensor = functional_call(density, constants, (raw.detach(), z))
    return log_q


class _Density(nn.Module):
    """The log-density as one call: a flow looks at its parameters when it is asked for one, not when it is made."""

    def __init__(self, posterior: nn.Module) -> None:
        super().__init__()
        self.posterior = posterior

    def forward(self, raw: Tensor, z: Tensor) -> Tensor:
        return each_log_prob(self.posterior(raw), z)


def each_log_prob(law: Distribution, z: Tensor) -> Tensor:
    """Return the log-density of each latent where the law factorises, ``(K, B, L)``, else of z, ``(K, B, 1)``."""
    if isinstance(law, Independent):
        each: Tensor = law.base_dist.log_prob(z)
        return each.flatten(each.dim() - law.reinterpreted_batch_ndims)
    return law.log_prob(z).unsqueeze(-1)


def log_ratio(log_q: Tensor, log_p: Tensor) -> Tensor:
    """Return log q - log p of each latent; of z where one of the two has no latents."""
    if log_q.shape[-1] != log_p.shape[-1]:
        log_q, log_p = log_q.sum(-1, keepdim=True), log_p.sum(-1, keepdim=True)
    return log_q - log_p


def check_choice(name: str, value: str, known: tuple[str, ...]) -> str:
    """Return the value of an argument that is one of a few words, or raise ValueError."""
    if value not in known:
        raise ValueError(f"{name}={value!r}; it must be one of {', '.join(map(repr, known))}.")
    return value
