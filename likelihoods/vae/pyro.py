"""What Pyro lacks: an importance-weighted objective that is right in subsampled plates, and a check against Pyro's own."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple, final

import pyro
import pyro.infer
import torch
from pyro import poutine
from pyro.distributions.util import scale_and_mask
from pyro.infer.util import is_validation_enabled
from pyro.poutine.util import prune_subsample_sites
from pyro.util import check_if_enumerated, check_model_guide_match, check_site_shape, warn_if_nan
from torch import Tensor

from likelihoods.vae import batches
from likelihoods.vae.model import VAE
from likelihoods.vae.objectives import ELBO, IWAE, check_samples, log_mean_exp
from likelihoods.vae.terms import Objective, check_choice, laws

Site = Any  # a dict that Pyro's trace holds


@final
class IWAE_ELBO(pyro.infer.ELBO):
    """The importance-weighted bound of each datum, for ``pyro.infer.SVI``; the sum over the data is outside the logarithm.

    A datum is an element of the plates that all sample sites of model and guide share. The scale of these plates
    (size/subsample size), and any ``poutine.scale`` that is the same at all sites, multiplies the bound of a datum. Pyro's
    own ``RenyiELBO(alpha=0)`` (1.9.2) multiplies the log-weights by it, inside the logarithm of their mean, which is no
    bound of anything. A scale that differs between sites (an annealed KL term) stays inside.

    Args:
        k: how many samples of the guide.
        gradient: ``"standard"``, ``"stl"`` or ``"dreg"``, as in :class:`likelihoods.vae.IWAE`. The last two run the guide a
            second time, with its parameters as constants.
        vectorize_particles: whether the samples are drawn at once, in a plate on the left.
        options: the other arguments of ``pyro.infer.ELBO``.

    Raises:
        ValueError: k is not positive, or another gradient.
        NotImplementedError: on use: a guide whose samples have no slopes, or with "dreg" more than one latent site (the
            slope of a sample that another depends on would be weighted twice).

    Source: Y. Burda, R. Grosse, R. Salakhutdinov (2016), https://arxiv.org/abs/1509.00519; G. Tucker et al. (2019),
    https://arxiv.org/abs/1810.04152

    >>> import likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> loss = IWAE_ELBO(k=5).differentiable_loss(vae.pyro_model, vae.pyro_guide, torch.ones(3, 6))
    >>> loss.shape
    torch.Size([])
    >>> pyro.clear_param_store()
    """

    def __init__(self, k: int, *, gradient: str = "standard", vectorize_particles: bool = True, **options: Any) -> None:
        check_samples(k)
        self.gradient = check_choice("gradient", gradient, ("standard", "stl", "dreg"))
        pyro.infer.ELBO.__init__(self, num_particles=k, vectorize_particles=vectorize_particles, **options)

    def _get_trace(self, model: Any, guide: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
        """Return one trace of the model and one of the guide, whose parameters are constants unless the gradient is standard."""
        guide_trace = poutine.trace(guide).get_trace(*args, **kwargs)
        model_trace = poutine.trace(poutine.replay(model, trace=guide_trace)).get_trace(*args, **kwargs)
        constant = self.gradient != "standard" and torch.is_grad_enabled()
        leaves = [site["value"].unconstrained() for site in guide_trace.nodes.values() if site["type"] == "param"]
        with _constant(leaves if constant else []):  # a flow looks at its parameters when it is asked for the density
            if constant:
                guide_trace = poutine.trace(poutine.replay(guide, trace=guide_trace)).get_trace(*args, **kwargs)
            for site in _samples(guide_trace):
                site["drawn"] = site["value"]
                if constant:  # and it remembers z itself, and with it what its own parameters made of z
                    site["value"] = site["value"].view_as(site["value"])
            guide_trace = self._scored(guide_trace)
        if is_validation_enabled():
            check_model_guide_match(model_trace, guide_trace, self.max_plate_nesting)
            check_if_enumerated(guide_trace)
        return self._scored(model_trace), guide_trace

    def _scored(self, trace: Any) -> Any:
        trace = prune_subsample_sites(trace)
        trace.compute_log_prob()
        for site in _samples(trace) if is_validation_enabled() else ():
            check_site_shape(site, self.max_plate_nesting)
        return trace

    @torch.no_grad()
    def loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> float:
        """Return minus the bound in nats, summed over the data."""
        return self.differentiable_loss(model, guide, *args, **kwargs).item()

    def loss_and_grads(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> float:
        """Return minus the bound in nats, summed over the data, and add its gradient to that of the parameters."""
        loss = self.differentiable_loss(model, guide, *args, **kwargs)
        if loss.requires_grad:
            loss.backward(retain_graph=self.retain_graph)
        warn_if_nan(loss, "loss")
        return loss.item()

    def differentiable_loss(self, model: Any, guide: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return minus the bound in nats, summed over the data, with the chosen estimator's gradient."""
        weights, latents = [], []
        outer: Any = 1.0
        traces: Any = self._get_traces
        for model_trace, guide_trace in traces(model, guide, args, kwargs):
            latents.append(self._latent(guide_trace))
            log_weight, outer = _log_weight(model_trace, guide_trace)
            weights.append(log_weight)
        together = self.vectorize_particles and self.num_particles > 1
        log_weights = weights[0] if together else torch.stack(weights)
        if self.gradient == "dreg" and torch.is_grad_enabled():
            share = (log_weights - log_weights.logsumexp(0)).exp().detach()
            for site, weight in zip(latents, [share] if together else share.unbind(), strict=True):
                _weigh(site, weight)
        bound: Tensor = (outer * log_mean_exp(log_weights)).sum()
        return -bound

    def _latent(self, guide_trace: Any) -> Site:
        """Return the guide's latent site, after a check that the gradient is defined."""
        sites = [site for site in _samples(guide_trace) if not site["is_observed"]]
        for site in sites:
            if not site["fn"].has_rsample and torch.is_grad_enabled():
                raise NotImplementedError(
                    f"The samples of {site['name']!r} have no slopes, so the guide would not be trained. Enumerate a discrete "
                    f"site, by pyro.infer.TraceEnum_ELBO, or give the site a law with rsample."
                )
        if self.gradient == "dreg" and len(sites) != 1:
            raise NotImplementedError(
                f"gradient='dreg' is for one latent site, and the guide has {[site['name'] for site in sites]}; write "
                f"gradient='standard'."
            )
        return sites[0] if sites else None


def _log_weight(model_trace: Any, guide_trace: Any) -> tuple[Tensor, Any]:
    """Return the log-weight of each datum, and what multiplies its bound."""
    sites = [*_samples(model_trace), *_samples(guide_trace)]
    plates = set(sites[0]["cond_indep_stack"]).intersection(*(site["cond_indep_stack"] for site in sites))
    for site in sites:
        if not all(frame.vectorized for frame in site["cond_indep_stack"]):
            raise NotImplementedError(
                f"{site['name']!r} is in a plate that is a loop; write it with `with pyro.plate(name, size):`."
            )
    shared, dims = math.prod(frame.full_size / frame.size for frame in plates), {frame.dim for frame in plates}
    scales = [site["scale"] for site in sites]
    outer = scales[0] if all(_equal(scale, scales[0]) for scale in scales) else shared
    total: Any = 0.0
    for site, sign in (*((s, 1.0) for s in _samples(model_trace)), *((s, -1.0) for s in _samples(guide_trace))):
        each = scale_and_mask(site["unscaled_log_prob"], site["scale"] / outer, site["mask"])
        rest = [dim for dim in range(-each.dim(), 0) if dim not in dims]
        total = total + sign * (each.sum(rest, keepdim=True) if rest else each)
    return total, outer


def _weigh(site: Site, share: Tensor) -> None:
    """Multiply the slope that reaches a site's samples by their shares of the weights."""
    z, batch = site["drawn"], len(site["fn"].batch_shape)
    if z.requires_grad:
        share = share.reshape(share.shape[max(0, share.dim() - batch) :] + (1,) * (z.dim() - batch))
        z.register_hook(lambda slope: slope * share)


def _samples(trace: Any) -> Iterator[Site]:
    return (site for site in trace.nodes.values() if site["type"] == "sample")


def _equal(a: Any, b: Any) -> bool:
    return bool(torch.as_tensor(a == b).all())


@contextmanager
def _constant(parameters: list[Tensor]) -> Iterator[None]:
    """Let what is computed of the parameters have no slope in them."""
    live = [parameter for parameter in parameters if parameter.requires_grad]
    for parameter in live:
        parameter.requires_grad_(False)
    try:
        with warnings.catch_warnings():  # pyro.module says of each parameter without a slope that it is not trained
            warnings.filterwarnings("ignore", ".*was not registered in the param store", UserWarning)
            yield
    finally:
        for parameter in live:
            parameter.requires_grad_(True)


class Parity(NamedTuple):
    """How far one of our objectives is from Pyro's on the same noise, in float64.

    ``value`` is the difference of the two sums over the batch in nats, ``gradient`` the largest difference of a slope; both
    relative to the number itself where that exceeds 1.
    """

    ours: str
    pyros: str
    value: float
    gradient: float


def check_parity(vae: VAE, x: Any, *, k: int = 5, seed: int = 0) -> list[Parity]:
    """Return how far our objectives are from Pyro's on the model's own ``pyro_model`` and ``pyro_guide``.

    The model is copied and made float64; neither it, nor the parameter store, nor the random numbers are changed. The closed
    form is left out where torch, and so Pyro, has none.

    Args:
        vae: a model whose posterior has samples with slopes; its networks draw no random numbers of their own.
        x: a batch.
        k: samples of the importance-weighted bound.
        seed: of the noise.

    >>> import likelihoods as lk
    >>> pixels = lk.Independent(lk.Family(lk.distributions.Bernoulli, logits=lk.predicted()), 1)
    >>> vae = lk.vae.VAE(torch.nn.Linear(6, 4), torch.nn.Linear(2, 6), pixels, latent=2)
    >>> all(row.value < 1e-10 and row.gradient < 1e-8 for row in check_parity(vae, torch.ones(3, 6)))
    True
    """
    many = {"num_particles": k, "vectorize_particles": True, "max_plate_nesting": 1}
    pairs: list[tuple[Objective, Any]] = [
        (ELBO(kl="sampled"), pyro.infer.Trace_ELBO()),
        (ELBO(), pyro.infer.TraceMeanField_ELBO()),
        (IWAE(k), pyro.infer.RenyiELBO(alpha=0, **many)),
        *((IWAE(k, gradient=g), IWAE_ELBO(k, gradient=g, max_plate_nesting=1)) for g in ("standard", "stl", "dreg")),
    ]
    x = batches.each(x, lambda value: value.double() if value.is_floating_point() else value)
    if not _pyro_has_closed_form(vae, x):
        del pairs[1]
    rows = []
    for ours, pyros in pairs:
        mine = _slopes(vae, seed, partial(_own_step, ours, x))
        theirs = _slopes(vae, seed, partial(_pyro_step, pyros, x))
        value = abs(mine[0] - theirs[0]) / max(1.0, abs(mine[0]))
        each = zip(mine[1], theirs[1], strict=True)
        slope = max((float(((a - b).abs() / b.abs().clamp(min=1.0)).max()) for a, b in each if a.numel()), default=0.0)
        name = type(pyros).__name__ + (f"({pyros.gradient})" if isinstance(pyros, IWAE_ELBO) else "")
        rows.append(Parity(repr(ours), name, value, slope))
    return rows


def _pyro_has_closed_form(vae: VAE, x: Any) -> bool:
    """Tell whether torch has a rule for KL(q‖p); without one TraceMeanField_ELBO takes samples, and says nothing."""
    with torch.no_grad():
        _, q, p = laws(copy.deepcopy(vae).double(), x)
        try:
            torch.distributions.kl_divergence(q, p)
        except NotImplementedError:
            return False
    return True


def _own_step(objective: Objective, x: Any, vae: VAE) -> float:
    loss = objective(vae, x).surrogate.sum()
    loss.backward()
    return float(loss.detach())


def _pyro_step(objective: Any, x: Any, vae: VAE) -> float:
    return float(objective.loss_and_grads(vae.pyro_model, vae.pyro_guide, x))


def _slopes(vae: VAE, seed: int, run: Callable[[VAE], float]) -> tuple[float, list[Tensor]]:
    """Return the value and all slopes of a copy of the model in float64, on the noise of a seed."""
    own = copy.deepcopy(vae).double()
    for parameter in own.parameters():
        parameter.grad = None
    devices = {parameter.device for parameter in own.parameters() if parameter.is_cuda}
    with pyro.get_param_store().scope(), torch.random.fork_rng(devices=list(devices)):
        torch.manual_seed(seed)
        value = run(own)
    return value, [torch.zeros_like(p) if p.grad is None else p.grad for p in own.parameters()]
