"""Links: maps from the real line, where a network's raw output lives, onto a parameter's own space."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pyro.distributions.constraints
import torch
from torch import Tensor
from torch.distributions import constraints

from likelihoods.special import one_minus_exp, safe_exp


@dataclass(frozen=True)
class Link:
    """A named pair of maps; the name is the one of generalised linear models, that of ``inverse``.

    Those by name: ``identity``, ``log``, ``softplus``, ``square`` (the raw value is the parameter's square); onto (0, 1)
    ``logit``, ``probit`` and ``cloglog``; onto (-1, 1) ``tanh``; and for vectors ``softmax``, ``ordered`` (the first element,
    then steps through softplus) and ``unit`` (the raw vector's direction).

    Attributes:
        name: ``log`` for a parameter that is exp(raw), as in "a Poisson regression with log link".
        forward: raw value to parameter, elementwise (over the last axis for vectors).
        inverse: parameter to raw value.
    """

    name: str
    forward: Callable[[Tensor], Tensor]
    inverse: Callable[[Tensor], Tensor]


def _identity(x: Tensor) -> Tensor:
    return x


def _softplus(x: Tensor) -> Tensor:
    # torch's default threshold of 20 costs nine digits in float64; at 40 both branches agree to the last bit
    return torch.nn.functional.softplus(x, threshold=40.0)


def _softplus_inverse(y: Tensor) -> Tensor:
    return y + torch.log(-torch.expm1(-y))


def _softmax(x: Tensor) -> Tensor:
    return x.softmax(-1)


def _exp_negative(x: Tensor) -> Tensor:
    return (-x).exp()


def _negative_log(y: Tensor) -> Tensor:
    return -y.log()


def _shift(x: Tensor, by: float) -> Tensor:
    return x + by


def _greater(x: Tensor, bound: float) -> Tensor:
    return x.exp() + bound


def _greater_inverse(y: Tensor, bound: float) -> Tensor:
    return (y - bound).log()


def _between(x: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * x.sigmoid()


def _between_inverse(y: Tensor, low: float, high: float) -> Tensor:
    return ((y - low) / (high - low)).logit()


def _cloglog(x: Tensor) -> Tensor:
    return one_minus_exp(safe_exp(x))  # autograd's own slope at a large x is 0 times inf


def _cloglog_inverse(y: Tensor) -> Tensor:
    return (-torch.log1p(-y)).log()


def _ordered(x: Tensor) -> Tensor:
    return torch.cat([x[..., :1], _softplus(x[..., 1:])], -1).cumsum(-1)


def _ordered_inverse(y: Tensor) -> Tensor:
    _need_vector("ordered", y)
    return torch.cat([y[..., :1], _softplus_inverse(y.diff(dim=-1))], -1)


def _unit(x: Tensor) -> Tensor:
    # no vector of length 0 has a direction; it is taken for that of (1, …, 1), slope included, so that training can leave it
    largest = x.detach().abs().amax(-1, keepdim=True)
    none = largest < torch.finfo(x.dtype).smallest_normal
    scaled = torch.where(none, x + 1.0, x / torch.where(none, 1.0, largest))  # the squares must not overflow
    length: Tensor = scaled.norm(dim=-1, keepdim=True)
    return scaled / length


def _unit_inverse(y: Tensor) -> Tensor:
    _need_vector("unit", y)
    return y


def _need_vector(link: str, y: Tensor) -> None:
    if y.dim() == 0:
        raise ValueError(
            f"The link {link!r} is one of vectors and got the number {y.item():g}; give torch.tensor([…])."
        )


def _floored_root(x: Tensor, floor: float) -> Tensor:
    # the gradient passes the floor unchanged, as in torch's GaussianNLLLoss; a negative variance stays negative, so its
    # root is NaN (and an error where validation is on), never a silent floor
    return torch.where(x < 0, x, x + (x.clamp_min(floor) - x).detach()).sqrt()


IDENTITY = Link("identity", _identity, _identity)
LINKS: dict[str, Link] = {
    link.name: link
    for link in (
        IDENTITY,
        Link("log", torch.exp, torch.log),
        Link("negative", torch.neg, torch.neg),
        Link("negative_log", _exp_negative, _negative_log),
        Link("softplus", _softplus, _softplus_inverse),
        Link("logit", torch.sigmoid, torch.logit),
        Link("probit", torch.special.ndtr, torch.special.ndtri),
        Link("cloglog", _cloglog, _cloglog_inverse),
        Link("tanh", torch.tanh, torch.atanh),
        Link("softmax", _softmax, torch.log),
        Link("ordered", _ordered, _ordered_inverse),
        Link("unit", _unit, _unit_inverse),
        Link("square", torch.sqrt, torch.square),
    )
}
VECTORS: dict[constraints.Constraint, str] = {
    constraints.simplex: "softmax",
    pyro.distributions.constraints.ordered_vector: "ordered",
    pyro.distributions.constraints.sphere: "unit",
}


def shifted(by: float) -> Link:
    """Return the identity link moved by ``by``: parameter = raw + by (PoissonNLLLoss's ``eps``)."""
    return Link(f"identity, moved by {by:g}", partial(_shift, by=by), partial(_shift, by=-by))


def variance(floor: float) -> Link:
    """Return the link of a scale whose raw value is the variance, floored at ``floor`` (GaussianNLLLoss's ``eps``).

    The value is that of the floored variance, the gradient passes the floor unchanged; a negative variance gives NaN.
    """
    return Link(f"square, at least {floor:g}", partial(_floored_root, floor=floor), torch.square)


def find_link(link: str | Link) -> Link:
    """Return a link by its name.

    Raises:
        ValueError: no link has that name.

    >>> find_link("log").forward(torch.tensor(0.0))
    tensor(1.)
    """
    if isinstance(link, Link):
        return link
    if link not in LINKS:
        near = difflib.get_close_matches(link, LINKS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"There is no link {link!r}.{hint} The links are {', '.join(LINKS)}; or give a Link of your own."
        )
    return LINKS[link]


def default_link(constraint: constraints.Constraint) -> Link | None:
    """Return the usual link of a parameter's constraint, or None where there is no usual one."""
    inner = constraint.base_constraint if isinstance(constraint, constraints.independent) else constraint
    if inner is constraints.real or isinstance(inner, type(constraints.real)):
        return IDENTITY
    if inner in VECTORS:
        return LINKS[VECTORS[inner]]
    if isinstance(inner, constraints.greater_than | constraints.greater_than_eq):
        low = float(inner.lower_bound)
        return (
            LINKS["log"]
            if low == 0
            else Link(f"log above {low:g}", partial(_greater, bound=low), partial(_greater_inverse, bound=low))
        )
    if isinstance(inner, constraints.interval | constraints.half_open_interval):
        low, high = float(inner.lower_bound), float(inner.upper_bound)
        return (
            LINKS["logit"]
            if (low, high) == (0, 1)
            else Link(
                f"logit on ({low:g}, {high:g})",
                partial(_between, low=low, high=high),
                partial(_between_inverse, low=low, high=high),
            )
        )
    return None
