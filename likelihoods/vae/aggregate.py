"""Objectives that look at the aggregate posterior q(z), the mean of q(z|x) over the data: more than one datum at a time."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Independent

from likelihoods.vae.model import VAE
from likelihoods.vae.rates import closed_rate
from likelihoods.vae.schedules import Schedule, check_weight, weight_at
from likelihoods.vae.terms import Objective, Terms, check_choice, draw, each_log_prob, log_ratio


@final
class BetaTC(Objective):
    r"""The KL term in three parts, each with a weight: alpha · mutual information + beta · total correlation + gamma · rest.

    The mean of KL(q(z|x)‖p(z)) over the data is I(x; z) + KL(q(z)‖∏ q(z_j)) + Σ_j KL(q(z_j)‖p(z_j)); with weights 1 that is the
    ELBO's. ``Terms.parts`` has ``"mutual_information"``, ``"total_correlation"`` and ``"dimension_kl"`` at one sample of z for
    each datum; their sum is log q(z|x) - log p(z) whatever the estimator is.

    Args:
        estimator: of log q(z) and log q(z_j), from the batch:
            ``"exact"``: the batch is the whole data set.
            ``"stratified"``: the datum's own q(z|x) counts 1/size and the mean of the others the rest; the density is unbiased,
            so its logarithm is too low on average; with a batch that is the whole data set it is exact.
            ``"weighted"``: minibatch-weighted sampling, the mean over the batch divided by ``size``: biased by up to
            log size, and in its gradient too.
        size: how many data there are in all; not for "exact".
        alpha: weight of the mutual information.
        beta: weight of the total correlation, a number or a :class:`Schedule`.
        gamma: weight of the latents' own divergences.

    Raises:
        ValueError: an estimator, size or weight that makes no sense; a batch of one with "stratified"; on use, a posterior
            that does not factorise.

    Source: R. T. Q. Chen et al. (2018), https://arxiv.org/abs/1802.04942 ("stratified" differs from theirs, which gives
    one of the others a weight of its own).

    >>> import torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> terms = lk.vae.BetaTC("stratified", size=100, beta=6.0)(vae, torch.ones(5, 6))
    >>> terms.parts["total_correlation"].shape
    torch.Size([5])
    """

    def __init__(
        self,
        estimator: str,
        *,
        size: int | None = None,
        alpha: float = 1.0,
        beta: float | Schedule = 1.0,
        gamma: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice("estimator", estimator, ("exact", "stratified", "weighted"))
        if (size is None) != (estimator == "exact"):
            raise ValueError(
                f"estimator={estimator!r} with size={size}; 'exact' takes the batch for the whole data set and needs no size, "
                f"the others must know the number of data: BetaTC('stratified', size=60_000)."
            )
        for name, weight in (("alpha", alpha), ("beta", beta), ("gamma", gamma)):
            check_weight(name, weight)
        self.estimator, self.size = estimator, size
        self.alpha, self.beta, self.gamma = alpha, beta, gamma
        self.is_bound = False  # with other weights, and with estimates of log q(z), it is none

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        beta = weight_at(self.beta, step)
        _, q, p, z, log_lik = draw(vae, x, 1)
        if not isinstance(q, Independent) or len(q.batch_shape) != 1:
            raise ValueError(
                f"The total correlation is between latents that are independent given x, for a batch with one axis; the "
                f"posterior is {vae.posterior!r}. Write lk.vae.gaussian(size)."
            )
        log_p, log_q = each_log_prob(p, z), each_log_prob(q, z)[0]  # (B, L)
        pairs = each_log_prob(q, z[0].unsqueeze(1))  # (B, B, L): sample i under the posterior of datum j
        weights = self._log_weights(len(log_q), log_q)
        log_joint = (pairs.sum(-1) + weights).logsumexp(1)
        log_each = (pairs + weights.unsqueeze(-1)).logsumexp(1).sum(-1)
        total, prior = log_q.sum(-1), log_p[0].sum(-1)
        parts = {
            "mutual_information": total - log_joint,
            "total_correlation": log_joint - log_each,
            "dimension_kl": log_each - prior,
        }
        distortion, rate = -log_lik[0], log_ratio(log_q, log_p[0])
        bound = -distortion - rate.sum(-1)
        penalty = (
            self.alpha * parts["mutual_information"]
            + beta * parts["total_correlation"]
            + self.gamma * parts["dimension_kl"]
        )
        return Terms(
            bound=bound,
            surrogate=distortion + penalty,
            distortion=distortion,
            rate=rate,
            log_weights=bound.unsqueeze(0),
            parts=parts,
        )

    def _log_weights(self, batch: int, like: Tensor) -> Tensor:
        """Return the logarithm of what the posterior of datum j counts in the density at sample i, ``(B, B)``."""
        size = batch if self.size is None else self.size
        if size < batch:
            raise ValueError(f"size={size} data, and a batch of {batch}; give the number of data in all.")
        if self.estimator == "weighted":
            return like.new_full((batch, batch), -math.log(max(1, batch) * size))
        if self.estimator == "exact" or size == batch:
            return like.new_full((batch, batch), -math.log(max(1, batch)))
        if batch == 1:
            raise ValueError("A batch of one has no other data to estimate q(z) from; give a larger one.")
        others = like.new_full((batch, batch), math.log((size - 1) / (size * max(1, batch - 1))))
        own = torch.eye(batch, dtype=torch.bool, device=like.device)
        return torch.where(own, -math.log(size), others)

    def extra_repr(self) -> str:
        """Show the arguments."""
        size = "" if self.size is None else f", size={self.size}"
        return f"{self.estimator!r}{size}, alpha={self.alpha}, beta={self.beta}, gamma={self.gamma}"


@final
class InfoVAE(Objective):
    r"""Distortion + (1 - alpha) · KL(q(z|x)‖p(z)) + (alpha + weight - 1) · MMD²(q(z), p(z)): no bound of log p(x).

    With alpha = 1 it is the MMD-VAE, distortion + weight · MMD², whose value may exceed log p(x). ``Terms.bound`` is the
    ELBO at the same samples, which is one. The squared maximum mean discrepancy between the batch's samples of q(z) and as
    many of the prior has the kernel c/(c + ‖z - z'‖²), c = 2·L; its estimate is unbiased, so it may be negative. Each datum
    has its share of it, ``Terms.parts["mmd"]``, whose mean over the batch is the estimate.

    Args:
        alpha: how much of the mutual information is given back, at most 1.
        weight: the weight lambda of the aggregate posterior's divergence, at least 1 - alpha.
        kl: ``"closed"`` or ``"sampled"``, as in :class:`ELBO`.

    Raises:
        ValueError: weights out of range; on use, a batch with fewer than two data or several axes.

    Source: S. Zhao, J. Song, S. Ermon (2019), https://arxiv.org/abs/1706.02262; A. Gretton et al. (2012),
    https://jmlr.org/papers/v13/gretton12a.html (the estimate).

    >>> import torch, likelihoods as lk
    >>> InfoVAE(weight=10.0).is_bound
    False
    """

    is_bound = False

    def __init__(self, *, alpha: float = 1.0, weight: float = 1.0, kl: str = "closed") -> None:
        super().__init__()
        if not alpha <= 1.0 or not alpha + weight >= 1.0 or not math.isfinite(alpha + weight):
            raise ValueError(f"alpha={alpha}, weight={weight}; give alpha up to 1, and weight from 1 - alpha up.")
        if kl not in ("closed", "sampled"):
            raise ValueError(f"kl={kl!r}; it must be 'closed' or 'sampled'.")
        self.alpha, self.weight, self.kl = alpha, weight, kl

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        _, q, p, z, log_lik = draw(vae, x, 1)
        rank = len(q.event_shape)
        if z.dim() != 2 + rank or len(z[0]) < 2:
            raise ValueError(
                f"The batch has shape {tuple(q.batch_shape)}; the discrepancy needs one axis of at least two data."
            )
        closed = self.kl == "closed"
        rate = closed_rate(q, p) if closed else log_ratio(each_log_prob(q, z), each_log_prob(p, z))[0]
        distortion = -log_lik[0]
        other = p.expand(q.batch_shape).sample()
        mmd = discrepancy(z[0].reshape(len(other), -1), other.reshape(len(other), -1).to(z.dtype))
        bound = -distortion - rate.sum(-1)
        penalty = (1.0 - self.alpha) * rate.sum(-1) + (self.alpha + self.weight - 1.0) * mmd
        return Terms(
            bound=bound,
            surrogate=distortion + penalty,
            distortion=distortion,
            rate=rate,
            log_weights=None if closed else bound.unsqueeze(0),
            parts={"mmd": mmd},
        )

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"alpha={self.alpha}, weight={self.weight}, kl={self.kl!r}"


def discrepancy(a: Tensor, b: Tensor) -> Tensor:
    """Return each row's share of the unbiased MMD² between two samples ``(N, L)``, with the kernel c/(c + distance²), c = 2L.

    >>> torch.manual_seed(0) and discrepancy(torch.randn(500, 2), torch.randn(500, 2) + 3.0).mean() > 0.5
    tensor(True)
    """
    n, c = len(a), 2.0 * a.shape[-1]

    def kernel(u: Tensor, v: Tensor) -> Tensor:
        apart = u.unsqueeze(1) - v.unsqueeze(0)
        return c / (c + (apart * apart).sum(-1))

    within = (kernel(a, a).sum(1) - 1.0 + kernel(b, b).sum(1) - 1.0) / (n - 1)
    return within - (kernel(a, b) + kernel(a, b).T).sum(1) / n
