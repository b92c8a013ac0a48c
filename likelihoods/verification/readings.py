"""Claims about what a relation says beyond scale and offset: tilts, expectations, normalisers, and that there is no law."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor

from likelihoods.catalog import find
from likelihoods.distributions import Bernoulli
from likelihoods.relations import Expected, Gibbs, NoLikelihood, NoLikelihoodError, Weighted
from likelihoods.verification import targets
from likelihoods.verification.identities import IDENTITY
from likelihoods.verification.law import not_applicable, not_available, worst
from likelihoods.verification.minimise import minimiser
from likelihoods.verification.population import ELICITS, population
from likelihoods.verification.quadrature import rule
from likelihoods.verification.setting import Setting
from likelihoods.verification.spaces import Continuum, Listed

VARIES = 1e-3  # nats by which a normaliser must move to be said to; and parts of 1 by which a field must turn
APART = 1e-2  # total variation between the law of the population and the minimiser of an improper loss
LAWS = 4  # whose populations are tried
STEP = 1e-4  # of central differences
WINDOWS = 1e4, 1e6, 1e8  # over which exp(-loss) is integrated; a law's mass ends before the first
GROWS = 10.0  # the least growth from window to window of what has no end
POINTS = 20001


def tilt(setting: Setting) -> tuple[float, float, str]:
    """Measure that the tilted law is elicited, and that `untilt` gives back the true one.

    The population is a law of the family, divided by the weights: it must come out tilted back to the family's law.
    """
    assert isinstance(setting.relation, Weighted)
    if not isinstance(setting.space, Listed):
        raise not_available("the outcomes are not finitely many")
    values = setting.space.values
    weight = setting.relation.weight(values)
    if not bool((weight > 0).all()):
        raise not_applicable("an outcome of weight 0 is left out, and nothing tells its probability")
    tilted = setting.law(setting.raws[-1]).log_prob(values).exp()
    truth = tilted / weight / (tilted / weight).sum()
    law = setting.law(minimiser(setting, targets.of(setting, values), truth, near=setting.raws[0]))
    found = law.log_prob(values).exp()
    back = setting.relation.untilt(law)
    index = values if isinstance(back, Bernoulli) else torch.arange(len(values))
    errors = _apart(found, tilted), _apart(back.log_prob(index).exp(), truth)
    moved = _apart(truth, tilted)
    if moved < APART:
        raise ValueError(f"The weights move the law by {moved:.1e} only: the claim would hold without them.")
    return max(errors), ELICITS, f"a law moved by {moved:.2f}, and its way back"


def expectation(setting: Setting) -> tuple[float, float, str]:
    """Measure the loss against the sum over the law's own masses, and that t is a law."""
    relation = setting.relation
    assert isinstance(relation, Expected)
    raw, target = targets.pairs(setting, setting.raws, 8)
    law, values = setting.law(raw), _listed(setting)
    soft = relation.soft(target, len(values))
    if not targets.is_law(soft):
        raise ValueError(f"t is no law: {next(t for t in soft if not targets.is_law(t)).tolist()}.")
    nll = [-law.log_prob(value.expand(len(raw), *value.shape)) for value in values]
    weight = torch.ones(len(values)) if relation.weight is None else relation.weight(nll[0])
    wanted = torch.zeros(len(raw), dtype=raw.dtype)
    size = torch.ones_like(wanted)
    for k, term in enumerate(nll):
        t = soft[:, k]
        wanted = wanted + torch.where(t > 0, weight[k] * t * term, 0.0)
        size = torch.maximum(size, torch.where(t > 0, term.abs(), 0.0))
        if relation.entropy:
            wanted = wanted + torch.where(t > 0, t * t.clamp_min(1e-300).log(), 0.0)
    size = size * max(1.0, relation.scale)
    return worst((setting.loss()(raw, target) - relation.scale * wanted) / size), IDENTITY, f"{len(raw)} points"


def mean_of_soft(setting: Setting) -> tuple[float, float, str]:
    """Measure the minimiser of the expected loss against the mean of the targets' laws (times the outcomes' weights)."""
    relation = setting.relation
    assert isinstance(relation, Expected)
    values = _listed(setting)
    if setting.width < len(values) - 1:
        raise not_available("the family does not hold every law of its outcomes")
    target, share = population(setting, setting.generator())
    known = targets.known(setting, target)
    target, share = target[known], share[known] / share[known].sum()
    wanted = share @ relation.soft(target, len(values))
    if relation.weight is not None:
        wanted = wanted * relation.weight(wanted)
    law = setting.law(minimiser(setting, target, share))
    return _apart(law.log_prob(values).exp(), wanted / wanted.sum()), ELICITS, f"a population of {len(target)}"


def normaliser(setting: Setting) -> tuple[float, float, str]:
    """Measure energy - NLL + log Z, where Z adds up exp(-energy) over all labels; the energy is the loss by its weight."""
    raw, target = targets.pairs(setting, setting.raws, 4)
    log_z = _log_normaliser(setting, raw)
    energy, nats = _energy(setting, raw, target), setting.nats(raw, target)
    size = torch.stack([energy.abs(), nats.abs(), log_z.abs()]).amax(0).clamp_min(1.0)
    return worst((energy - nats + log_z) / size), IDENTITY, f"{len(target)} points, {len(_listed(setting))} labels"


def _energy(setting: Setting, raw: Tensor, target: Tensor) -> Tensor:
    relation = setting.relation
    assert isinstance(relation, Gibbs)
    loss = setting.loss()(raw, target) / relation.scale
    energy: Tensor = loss if relation.weight is None else loss / relation.weight(target)
    return energy


def normaliser_moves(setting: Setting) -> tuple[float, float, str]:
    """Measure by how much log Z falls short of moving with the prediction."""
    log_z = _log_normaliser(setting, setting.raws)
    return _witness(float(log_z.max() - log_z.min()), VARIES, "log Z moves by {} nats with the prediction")


def improper(setting: Setting) -> tuple[float, float, str]:
    """Measure by how much the loss falls short of being improper: its minimum lies elsewhere than at the data's law."""
    return _witness(_astray(setting), APART, "the minimum lies {} (total variation) from the population's own law")


def missing(setting: Setting) -> tuple[float, float, str]:
    """Measure what missing targets add: to the loss, to its gradient, and to the number by which its mean divides."""
    stated = setting.missing
    if stated is None:
        raise not_applicable("no value stands for a missing target")
    raw, target = targets.pairs(setting, setting.raws, 2)
    gone = torch.arange(len(target)) % 3 == 0
    holed = torch.where(gone, torch.full_like(target, stated.label), target)
    leaf = raw.clone().requires_grad_()
    value = setting.loss()(leaf, holed)
    slope = torch.autograd.grad(value.sum(), leaf)[0]
    mean = setting.loss("mean")
    errors = value[gone], slope[gone].flatten(), mean(raw, holed)[None] - mean(raw[~gone], target[~gone])
    return worst(torch.cat(errors)), IDENTITY, f"{int(gone.sum())} of {len(target)} targets"


def no_law(setting: Setting) -> tuple[float, float, str]:
    """Look for what shows that no law has this loss as its negative log-likelihood, and measure it.

    Its gradient is no function's; or exp(-loss) has infinite mass; or its mass depends on the prediction, and no law of
    the nearest family is where its minimum lies.
    """
    assert isinstance(setting.relation, NoLikelihood)
    turn = _curl(setting)
    if turn > VARIES:
        return _witness(turn, VARIES, "the gradient is no function's: its Jacobian is asymmetric by {}")
    if isinstance(setting.space, Continuum) and not setting.event:
        growth = _growth(setting)
        if growth > GROWS:
            return _witness(growth, GROWS, "the mass of exp(-loss) grows {} times as the window grows a hundred times")
    with torch.no_grad():
        log_z = torch.stack([_log_mass(setting, raw) for raw in setting.raws[:8]])
    return _witness(
        float(log_z.max() - log_z.min()), VARIES, "the mass of exp(-loss) moves by {} nats with the prediction"
    )


def refused(setting: Setting) -> tuple[float, float, str]:
    """Count the ways to get a likelihood that are not refused, and a nearest loss that has none."""
    assert isinstance(setting.relation, NoLikelihood)
    raw, target = targets.pairs(setting, setting.raws[:2], 1)
    loss = setting.loss()
    ways = (
        lambda: setting.entry.likelihood(**setting.options),
        lambda: loss.likelihood,
        lambda: loss.nll(raw, target),
    )
    passed = 0
    for way in ways:
        try:
            way()
        except NoLikelihoodError:
            continue
        passed += 1
    find(setting.relation.nearest).likelihood()
    return float(passed), 0.0, f"the likelihood in {len(ways)} ways; {setting.relation.nearest} has one"


def _listed(setting: Setting) -> Tensor:
    if not isinstance(setting.space, Listed):
        raise not_available("the outcomes are not finitely many")
    return setting.space.values


def _apart(found: Tensor, wanted: Tensor) -> float:
    """Return the total variation between two laws of the same outcomes."""
    return float(0.5 * (found - wanted).abs().sum())


def _witness(found: float, least: float, words: str) -> tuple[float, float, str]:
    """Return by how much a number that must not be nought falls short of its least size."""
    short = least - found if found < least or math.isnan(found) else 0.0
    return short, 0.0, words.format(f"{found:.3g}")


def _log_normaliser(setting: Setting, raw: Tensor) -> Tensor:
    each = [-_energy(setting, raw, value.expand(len(raw), *value.shape)) for value in _listed(setting)]
    return torch.stack(each).logsumexp(0).detach()


def _astray(setting: Setting) -> float:
    """Return the largest total variation between a law and the loss's minimiser over its population, of several laws."""
    return max(_stray(setting, raw) for raw in setting.raws[:LAWS])


def _stray(setting: Setting, raw: Tensor) -> float:
    law = setting.law(raw)
    with torch.no_grad():
        outcome, share = rule(law, setting.space, setting.dtype)
        kept = share > 0
        outcome, share = outcome[kept], share[kept]
        log_share = law.log_prob(outcome)
        found = setting.law(minimiser(setting, targets.of(setting, outcome), share))
        return float(0.5 * (share * (found.log_prob(outcome) - log_share).expm1().abs()).sum())


def _curl(setting: Setting) -> float:
    """Return the largest asymmetry of the Jacobian of the loss's gradient in raw, by differences of the gradient itself."""
    if setting.width < 2:
        return 0.0
    raw, target = targets.pairs(setting, setting.raws[:8], 1)
    loss = setting.loss()

    def field(at: Tensor) -> Tensor:
        leaf = at.clone().requires_grad_()
        return torch.autograd.grad(loss(leaf, target).sum(), leaf)[0].flatten(1)

    columns = []
    for axis in range(setting.width):
        step = STEP * torch.eye(setting.width, dtype=raw.dtype)[axis].reshape(setting.shape)
        columns.append((field(raw + step) - field(raw - step)) / (2 * STEP))
    jacobian = torch.stack(columns, -1)
    size = jacobian.abs().amax((-1, -2)).clamp_min(1e-300)
    return float(((jacobian - jacobian.mT).abs().amax((-1, -2)) / size).nan_to_num(0.0).max())


def _growth(setting: Setting) -> float:
    """Return the least growth of the mass of exp(-loss) from one window around the prediction to the next."""
    raw = setting.raws[0]
    masses = []
    for window in WINDOWS:
        assert isinstance(setting.space, Continuum)
        line = torch.linspace(-window, window, POINTS, dtype=setting.dtype)
        inside = line[setting.law(raw).support.check(line)]  # type: ignore[union-attr]
        with torch.no_grad():
            density = (-setting.loss()(raw.expand(len(inside), *setting.shape), inside)).exp()
        masses.append(float(torch.trapezoid(density, inside)))
    return min(later / earlier for earlier, later in pairwise(masses))


def _log_mass(setting: Setting, raw: Tensor) -> Tensor:
    """Return the logarithm of the mass of exp(-loss), by the points of the law that the nearest loss lends."""
    law = setting.law(raw)
    outcome, share = rule(law, setting.space, setting.dtype)
    loss = setting.loss()(raw.expand(len(outcome), *setting.shape), targets.of(setting, outcome))
    log_mass: Tensor = (share.log() - law.log_prob(outcome) - loss).logsumexp(0)
    return log_mass
