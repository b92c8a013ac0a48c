"""Lower bounds of log p(x), and what is trained in their place: one number a datum, in nats."""

from __future__ import annotations

import math
from typing import Any, final

import torch
from torch import Tensor
from torch.distributions import Categorical, Distribution, Independent

from likelihoods.vae.model import VAE
from likelihoods.vae.rates import closed_rate
from likelihoods.vae.schedules import Schedule, check_weight, least, weight_at
from likelihoods.vae.terms import (
    Objective,
    Terms,
    check_choice,
    detached_log_prob,
    draw,
    each_log_prob,
    laws,
    log_likelihood,
    log_ratio,
)

MOST = 100_000  # values of z that Enumerated decodes


@final
class ELBO(Objective):
    r"""The evidence lower bound, E_q log p(x|z) - KL(q(z|x)‖p(z)).

    Args:
        k: how many samples of z are averaged, for each datum.
        kl: ``"closed"``, the closed form, or ``"sampled"``, log q - log p(z) at the samples.
        gradient: ``"standard"``, the total derivative, or ``"stl"`` ("sticking the landing"), which leaves out the term
            whose mean is nought; only for ``kl="sampled"``. Both are unbiased.
        beta: weight of the KL term in the surrogate, a number or a :class:`Schedule`. ``Terms.bound`` has weight 1.
        free_bits: nats (in spite of the name) of each latent that cost nothing: in the surrogate a latent whose KL, averaged
            over the batch, is below this number counts as this number, without a slope.

    Raises:
        ValueError: another ``kl`` or ``gradient``, "stl" with a closed KL, or a number that is out of range.

    Source: D. P. Kingma, M. Welling (2014), https://arxiv.org/abs/1312.6114; G. Roeder et al. (2017),
    https://arxiv.org/abs/1703.09194 ("stl"); I. Higgins et al. (2017), https://openreview.net/forum?id=Sy2fzU9gl (beta);
    D. P. Kingma et al. (2016), https://arxiv.org/abs/1606.04934 (free bits).

    >>> import torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> terms = lk.vae.ELBO()(vae, torch.ones(5, 6))
    >>> terms.bound.shape, terms.rate.shape
    (torch.Size([5]), torch.Size([5, 2]))
    """

    def __init__(
        self,
        k: int = 1,
        *,
        kl: str = "closed",
        gradient: str = "standard",
        beta: float | Schedule = 1.0,
        free_bits: float = 0.0,
    ) -> None:
        super().__init__()
        if kl not in ("closed", "sampled"):
            raise ValueError(f"kl={kl!r}; it must be 'closed' or 'sampled'.")
        check_choice("gradient", gradient, ("standard", "stl"))
        if gradient == "stl" and kl == "closed":
            raise ValueError(
                "gradient='stl' changes the slope of a sampled KL term; write kl='sampled', gradient='stl'."
            )
        check_weight("free_bits", free_bits)
        self.k, self.kl, self.gradient = check_samples(k), kl, gradient
        self.beta, self.free_bits = check_weight("beta", beta), free_bits
        self.is_bound = least(beta) >= 1.0

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        beta = weight_at(self.beta, step)
        raw, q, p, z, log_lik = draw(vae, x, self.k)
        distortion = -log_lik.mean(0)
        if self.kl == "closed":
            rate, log_weights = closed_rate(q, p), None
            trained = rate
        else:
            log_p = each_log_prob(p, z)
            ratio = log_ratio(each_log_prob(q, z), log_p)
            rate, log_weights = ratio.mean(0), log_lik - ratio.sum(-1)
            stl = self.gradient == "stl" and torch.is_grad_enabled()
            trained = log_ratio(detached_log_prob(vae, raw, z), log_p).mean(0) if stl else rate
        if self.free_bits:
            batch = tuple(range(trained.dim() - 1))
            trained = torch.where(trained.detach().mean(batch) > self.free_bits, trained, self.free_bits)
        total = trained.sum(-1)
        return Terms(
            bound=-distortion - rate.sum(-1),
            surrogate=distortion + (total if beta == 1.0 else beta * total),
            distortion=distortion,
            rate=rate,
            log_weights=log_weights,
        )

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"k={self.k}, kl={self.kl!r}, gradient={self.gradient!r}, beta={self.beta}, free_bits={self.free_bits}"


@final
class IWAE(Objective):
    r"""The importance-weighted bound, E log of the mean of k weights w = p(x, z)/q(z|x); it rises with k to log p(x).

    Args:
        k: how many samples of z, for each datum; with 1 it is the ELBO.
        gradient: ``"standard"``, the derivative of the bound, of which the encoder's part drowns in noise as k grows;
            ``"dreg"`` (doubly reparametrised), as unbiased, with an encoder's part that gets sharper with k; ``"stl"``,
            which is biased for k > 1.

    Distortion and rate are those of the same samples with equal weights, i.e. of the ELBO.

    Raises:
        ValueError: k is not positive, or another gradient.

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), https://arxiv.org/abs/1509.00519; G. Tucker et al. (2019),
    https://arxiv.org/abs/1810.04152 ("dreg"); T. Rainforth et al. (2018), https://arxiv.org/abs/1802.04537 (the noise).

    >>> import torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> lk.vae.IWAE(k=50)(vae, torch.ones(5, 6)).log_weights.shape
    torch.Size([50, 5])
    """

    def __init__(self, k: int, *, gradient: str = "standard") -> None:
        super().__init__()
        self.k, self.gradient = check_samples(k), check_choice("gradient", gradient, ("standard", "stl", "dreg"))

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        if not torch.is_grad_enabled() or self.gradient == "standard":
            return _weighted(vae, x, self.k, 0.0)
        raw, _, p, z, log_lik = draw(vae, x, self.k)
        log_p = each_log_prob(p, z)
        constant = log_ratio(detached_log_prob(vae, raw, z), log_p)
        log_weights = log_lik - constant.sum(-1)
        bound = log_mean_exp(log_weights)
        if self.gradient == "dreg":
            weigh_slope(z, log_weights)
        return Terms(bound, -bound, -log_lik.mean(0), constant.mean(0), log_weights)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"k={self.k}, gradient={self.gradient!r}"


@final
class Renyi(Objective):
    r"""The variational Rényi bound from k samples, 1/(1-alpha) · log of the mean of w^(1-alpha).

    It falls as alpha rises: alpha 0 is the importance-weighted bound, and the limit at 1 the ELBO. For alpha from 0 up it
    is a lower bound for every k, since a power mean of the weights is at most their mean.

    Args:
        alpha: at least 0 and not 1.
        k: how many samples of z, for each datum.

    Raises:
        ValueError: alpha is 1 (write ELBO) or negative (no lower bound), or k is not positive.

    Source: Y. Li, R. E. Turner (2016), https://arxiv.org/abs/1602.02311

    >>> Renyi(0.5, k=10)
    Renyi(alpha=0.5, k=10)
    """

    def __init__(self, alpha: float, *, k: int) -> None:
        super().__init__()
        if alpha == 1.0:
            raise ValueError("alpha=1 is the ELBO's limit; write lk.vae.ELBO(k, kl='sampled').")
        if not (math.isfinite(alpha) and alpha >= 0.0):
            raise ValueError(f"alpha={alpha}; below 0 it is no lower bound of log p(x): give a number from 0 up.")
        self.alpha, self.k = float(alpha), check_samples(k)

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        return _weighted(vae, x, self.k, self.alpha)

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"alpha={self.alpha}, k={self.k}"


@final
class Enumerated(Objective):
    """The ELBO of a discrete z, by the sum over all its values: exact, with exact gradients.

    ``Terms.log_weights`` has one row for each value, and ``Terms.parts["log_evidence"]`` is log p(x) itself, the sum over z
    of p(x, z): its gap to the bound is KL(q(z|x)‖p(z|x)).

    Args:
        beta: weight of the KL term in the surrogate, a number or a :class:`Schedule`.

    Raises:
        NotImplementedError: z is not discrete and finite, or has more than 100,000 values.

    >>> import torch, likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> q = lk.Family(lk.distributions.Categorical, logits=lk.predicted(size=3))
    >>> p = lk.Family(lk.distributions.Categorical, logits=(0.0, 0.0, 0.0))
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 3), torch.nn.Embedding(3, 6), pixels, posterior=q, prior=p)
    >>> terms = lk.vae.Enumerated()(vae, torch.ones(5, 6))
    >>> bool((terms.bound <= terms.parts["log_evidence"]).all())
    True
    """

    def __init__(self, *, beta: float | Schedule = 1.0) -> None:
        super().__init__()
        self.beta = check_weight("beta", beta)
        self.is_bound = least(beta) >= 1.0

    def forward(self, vae: VAE, x: Any, step: int | None = None) -> Terms:
        """Return the terms of each datum."""
        beta = weight_at(self.beta, step)
        _, q, p = laws(vae, x)
        z = _all_values(q, vae.posterior)
        log_q, log_p, log_lik = q.log_prob(z), p.log_prob(z), log_likelihood(vae, x, z, q.batch_shape)
        prob = log_q.exp()
        possible = prob > 0.0
        distortion = -torch.where(possible, prob * log_lik, 0.0).sum(0)
        rate = torch.where(possible, prob * (log_q - log_p), 0.0).sum(0)
        return Terms(
            bound=-distortion - rate,
            surrogate=distortion + beta * rate,
            distortion=distortion,
            rate=rate.unsqueeze(-1),
            log_weights=log_lik + log_p - log_q,
            parts={"log_evidence": (log_lik + log_p).logsumexp(0)},
        )

    def extra_repr(self) -> str:
        """Show the arguments."""
        return f"beta={self.beta}"


def weigh_slope(z: Tensor, log_weights: Tensor) -> None:
    """Multiply the slope that reaches each sample z by the sample's share of the weights.

    Where log q's own parameters are constants, the slope of the bound already has this share in it. The encoder's part wants
    its square, and that of the decoder and the prior, which do not reach the network through z, does not.
    """
    if z.requires_grad:
        share = (log_weights - log_weights.logsumexp(0)).exp().detach()
        share = share.reshape(share.shape + (1,) * (z.dim() - share.dim()))
        z.register_hook(lambda slope: slope * share)


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Return the logarithm of the mean over the first axis of what has these logarithms."""
    return log_weights.logsumexp(0) - math.log(len(log_weights))


def check_samples(k: int) -> int:
    """Return a number of samples, or raise ValueError."""
    if not isinstance(k, int) or k < 1:
        raise ValueError(f"k={k!r}; the number of samples of z is a positive whole number.")
    return k


def _weighted(vae: VAE, x: Any, k: int, alpha: float) -> Terms:
    _, q, p, z, log_lik = draw(vae, x, k)
    ratio = log_ratio(each_log_prob(q, z), each_log_prob(p, z))
    log_weights = log_lik - ratio.sum(-1)
    bound = log_mean_exp(log_weights) if alpha == 0.0 else log_mean_exp((1.0 - alpha) * log_weights) / (1.0 - alpha)
    return Terms(bound, -bound, -log_lik.mean(0), ratio.mean(0), log_weights)


def _all_values(q: Distribution, posterior: Any) -> Tensor:
    """Return all values of z along a new first axis, the same for each datum of the batch."""
    base = q.base_dist if isinstance(q, Independent) else q
    if not isinstance(base, Categorical) and not base.has_enumerate_support:
        raise NotImplementedError(
            f"{posterior!r} is no law of a discrete z with finitely many values; use lk.vae.ELBO()."
        )
    values = base.enumerate_support(expand=False).flatten()
    if not isinstance(q, Independent):
        return values.reshape(-1, *(1,) * len(q.batch_shape)).expand(-1, *q.batch_shape)
    places = q.event_shape.numel()
    if len(values) ** places > MOST:
        raise NotImplementedError(
            f"{posterior!r} has {len(values)}^{places} values, more than can be decoded for each datum; take fewer latents."
        )
    every = torch.cartesian_prod(*[values] * places).reshape(-1, *(1,) * len(q.batch_shape), *q.event_shape)
    return every.expand(-1, *q.batch_shape, *q.event_shape)
