"""From the name of a loss to the distribution that it assumes, the proof of it, and the loss your data support.

Names are imported when they are first used, so that `import likelihoods` and the command line's help cost nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from likelihoods import catalog, distributions, divergences, embeddings, nn, special, targets, vae
    from likelihoods.assumed import Assumed, from_loss
    from likelihoods.catalog import entries, find, register, unregister
    from likelihoods.combinators import Censored, Discretized, Hurdle, Mixture, Truncated, ZeroInflated
    from likelihoods.energy import Energy
    from likelihoods.evidential import Evidential
    from likelihoods.likelihood import NLL, Family, Likelihood
    from likelihoods.links import Link
    from likelihoods.losses import Loss, loss
    from likelihoods.noise import Implied, implied
    from likelihoods.relations import (
        Affine,
        Exact,
        Expected,
        Gibbs,
        NoLikelihood,
        NoLikelihoodError,
        Partial,
        Relation,
        Weighted,
    )
    from likelihoods.selection import Choice, choose, read_table
    from likelihoods.sources import fixed, learned, predicted
    from likelihoods.targets import Independent, Joint
    from likelihoods.verification import verify

__version__ = "0.1.0"

_HOMES = {
    "likelihoods.combinators": ("Censored", "Discretized", "Hurdle", "Mixture", "Truncated", "ZeroInflated"),
    "likelihoods.energy": ("Energy",),
    "likelihoods.evidential": ("Evidential",),
    "likelihoods.assumed": ("Assumed", "from_loss"),
    "likelihoods.likelihood": ("NLL", "Family", "Likelihood"),
    "likelihoods.links": ("Link",),
    "likelihoods.losses": ("Loss", "loss"),
    "likelihoods.catalog": ("entries", "find", "register", "unregister"),
    "likelihoods.noise": ("Implied", "implied"),
    "likelihoods.relations": (
        "Affine",
        "Exact",
        "Expected",
        "Gibbs",
        "Missing",
        "NoLikelihood",
        "NoLikelihoodError",
        "Partial",
        "Relation",
        "Weighted",
    ),
    "likelihoods.selection": ("Choice", "choose", "read_table"),
    "likelihoods.sources": ("fixed", "learned", "predicted"),
    "likelihoods.targets": ("Independent", "Joint"),
    "likelihoods.verification": ("verify",),
}
_HOME = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = ("catalog", "distributions", "divergences", "embeddings", "nn", "special", "targets", "vae")

__all__ = [
    "NLL",
    "Affine",
    "Assumed",
    "Censored",
    "Choice",
    "Discretized",
    "Energy",
    "Evidential",
    "Exact",
    "Expected",
    "Family",
    "Gibbs",
    "Hurdle",
    "Implied",
    "Independent",
    "Joint",
    "Likelihood",
    "Link",
    "Loss",
    "Missing",
    "Mixture",
    "NoLikelihood",
    "NoLikelihoodError",
    "Partial",
    "Relation",
    "Truncated",
    "Weighted",
    "ZeroInflated",
    "catalog",
    "choose",
    "distributions",
    "divergences",
    "embeddings",
    "entries",
    "find",
    "fixed",
    "from_loss",
    "implied",
    "learned",
    "loss",
    "nn",
    "predicted",
    "read_table",
    "register",
    "special",
    "targets",
    "unregister",
    "vae",
    "verify",
]


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"likelihoods.{name}")
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    raise AttributeError(f"module 'likelihoods' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
