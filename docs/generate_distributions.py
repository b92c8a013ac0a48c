"""Write docs/distributions.md: what each family is and can do, and what its log-density was measured to be worth.

    python docs/generate_distributions.py

It needs the checkout: the settings and the mpmath formulas are those of the tests. ``tests/test_distributions_page.py``
checks that the first table is current and that no family is missing from the second.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyro.distributions
import torch
from torch.distributions import Distribution, constraints

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "docs")]

from measure_log_prob import F32, F64, build, case_names, condition, measure, other_class, parameters, shown  # noqa: E402

import likelihoods.distributions  # noqa: E402
from likelihoods.distributions.base import open_interval  # noqa: E402
from likelihoods.divergences import kl  # noqa: E402
from likelihoods.likelihood import describe_support  # noqa: E402
from tests.distributions import test_battery  # noqa: E402

PAGE = ROOT / "docs/distributions.md"
MOMENTS = ("mean", "variance", "mode")
BEGIN, END = "<!-- families: begin -->", "<!-- families: end -->"


def exported() -> list[type[Any]]:
    """Return the exported classes."""
    found = (getattr(likelihoods.distributions, name) for name in sorted(likelihoods.distributions.__all__))
    return [law for law in found if isinstance(law, type)]


def is_made(law: type[Any]) -> bool:
    """Tell whether a class takes other laws or a loss, so that it is no family by itself."""
    return any(word in str(p.annotation) for p in parameters(law).values() for word in ("Distribution", "Callable"))


def families() -> list[type[Any]]:
    """Return the exported families."""
    return [law for law in exported() if not is_made(law)]


# What a family is


def space(constraint: Any) -> str:
    """Return the space of a parameter, in symbols."""
    if isinstance(constraint, constraints.independent):
        return f"each {space(constraint.base_constraint)}"
    words = {
        constraints.real: "real",
        constraints.simplex: "a probability vector",
        constraints.positive: "> 0",
        constraints.nonnegative: "≥ 0",
        constraints.nonnegative_integer: "0, 1, 2, …",
        pyro.distributions.constraints.ordered_vector: "increasing",
        pyro.distributions.constraints.sphere: "a unit vector",
    }
    if constraint in words:
        return words[constraint]
    low, high = constraint.lower_bound, constraint.upper_bound
    closed = (
        "()" if isinstance(constraint, open_interval) else "[)" if "HalfOpen" in type(constraint).__name__ else "[]"
    )
    return f"in {closed[0]}{low:g}, {high:g}{closed[1]}"


def is_alternative(family: type[Any], name: str) -> bool:
    """Tell whether a parameter stands for others: it is given by keyword, and has a space of its own."""
    return parameters(family)[name].kind is inspect.Parameter.KEYWORD_ONLY and name in family.arg_constraints


def described(family: type[Any], name: str) -> str:
    """Return a parameter with its space."""
    constraint = family.arg_constraints.get(name)
    return (
        f"`{name}` {space(constraint)}" if constraint is not None else f"`{name}={parameters(family)[name].default!r}`"
    )


def other_ways(family: type[Any]) -> str:
    """Return the keyword-only parameters and the named constructors: other ways to give the same law."""
    keywords = [described(family, n) for n in parameters(family) if is_alternative(family, n)]
    named = [
        f"`{name}({', '.join(list(inspect.signature(getattr(family, name)).parameters)[:-1])})`"
        for name, value in vars(family).items()
        if isinstance(value, classmethod) and name.startswith("from_")
    ]
    return ", ".join([*keywords, *named]) or "–"


def support(family: type[Any], law: Distribution) -> str:
    """Return the support in words, with a parameter's name in place of its value where a parameter is its end."""
    found = law.support
    if isinstance(law, likelihoods.distributions.VonMises):
        return "the angles, modulo 2π"
    known = {
        "DirichletMultinomial": "counts that add up to `total_count`",
        "DiscretizedLogistic": "`low`, `low + step`, …, `high`",
        "FailureOrderBreslow": "pairs (time, event), event 0 or 1",
        "FailureOrderEfron": "pairs (time, event), event 0 or 1",
        "LabelString": "labels without the blank, then -1 to the end",
        "PlackettLuce": "the orders of 0, …, n - 1",
        "GeneralizedPareto": "from `loc` up, to `loc - scale/concentration` if that is above",
        "Multinomial": "counts that add up to `total_count`",
        "VonMisesFisher": "the unit vectors",
    }
    if family.__name__ in known:
        return known[family.__name__]
    if isinstance(found, constraints.integer_interval):
        top = "`total_count`" if "total_count" in parameters(family) else "K - 1"
        return f"the counts 0, …, {top}"
    named = {id(value): f"`{name}`" for name, value in vars(law).items() if isinstance(value, torch.Tensor)}
    ends = [named.get(id(getattr(found, end, None))) for end in ("lower_bound", "upper_bound")]
    if ends[0] and ends[1]:
        return f"the numbers from {ends[0]} to {ends[1]}"
    if ends[0]:
        return f"the numbers from {ends[0]} up"
    if isinstance(found, open_interval):
        return f"the numbers between {found.lower_bound:g} and {found.upper_bound:g}"
    return describe_support(found)


def table_of_families() -> Iterator[str]:
    """Yield the lines of the first table."""
    yield "| family | parameters | or by keyword | support | `cdf` `icdf` | `rsample` | listed | entropy | KL with itself |"
    yield "|---|---|---|---|:-:|:-:|:-:|:-:|---|"
    for family in families():
        law, other = laws(family)
        positional = [described(family, n) for n in parameters(family) if not is_alternative(family, n)]
        univariate = not law.event_shape
        probability = torch.full(law.batch_shape, 0.5, dtype=F64)
        cells = [
            f"`{family.__name__}`",
            "<br>".join(positional),
            other_ways(family),
            support(family, law),
            tick(lambda law=law, p=probability: law.cdf(law.icdf(p))) if univariate else "",
            "✓" if law.has_rsample else "",
            "✓" if law.has_enumerate_support else "",
            tick(law.entropy),
            method(law, other),
        ]
        yield f"| {' | '.join(cells)} |"


def method(q: Distribution, p: Distribution) -> str:
    """Return how the divergence between two members of the family is computed."""
    try:
        return kl(q, p).method
    except (ArithmeticError, NotImplementedError):
        return "Monte Carlo"


def tick(call: Callable[[], Any]) -> str:
    """Return a tick if the call gives an answer."""
    try:
        call()
    except NotImplementedError:
        return ""
    return "✓"


# What was measured


def table_of_errors() -> Iterator[str]:
    """Yield the lines of the second table."""
    yield (
        "| family | condition | whose | float64, ordinary | float64, hard | float64 failures | float32, ordinary "
        "| float32, hard | float32 failures |"
    )
    yield "|---|--:|---|--:|--:|---|--:|--:|---|"
    for family in families():
        print(family.__name__, flush=True)
        other = other_class(family)
        (own64, their64), (own32, their32) = measure(family, F64), measure(family, F32)
        size = f"{condition(family):.0e}" if case_names(family) else ""
        yield f"| `{family.__name__}` | {size} | **ours** | {' | '.join([*shown(own64), *shown(own32)])} |"
        if other and their64 is not None and their32 is not None:
            yield f"| | | {other[0]} | {' | '.join([*shown(their64), *shown(their32)])} |"
        elif other:
            yield f"| | | {other[0]} | other parameters ||||||"


def laws(family: type[Any]) -> tuple[Any, Any]:
    """Return two members of the family, by the first settings of its case."""
    names = case_names(family)
    if names:
        settings = [s for s in test_battery.load(names[0]).parameters]
        same = [s for s in settings[1:] if set(s) == set(settings[0])] or settings
    else:
        known: dict[str, Any] = {
            "Multinomial": ({"total_count": 4, "logits": (0.0, 1.0)}, {"total_count": 4, "logits": (0.5, 0.0)}),
            "Dirichlet": ({"concentration": (1.0, 2.0)}, {"concentration": (2.0, 2.0)}),
            "DirichletMultinomial": (
                {"concentration": (1.0, 2.0), "total_count": 4}, {"concentration": (2.0, 2.0), "total_count": 4},
            ),
            "FailureOrderBreslow": ({"log_hazard": (0.0, 1.0)}, {"log_hazard": (1.0, 0.0)}),
            "FailureOrderEfron": ({"log_hazard": (0.0, 1.0)}, {"log_hazard": (1.0, 0.0)}),
            "LabelString": ({"logits": ((0.0, 1.0), (1.0, 0.0))}, {"logits": ((0.5, 0.0), (0.0, 0.0))}),
            "PlackettLuce": ({"logits": (0.0, 1.0)}, {"logits": (1.0, 0.0)}),
            "VonMisesFisher": (
                {"loc": (1.0, 0.0, 0.0), "concentration": 2.0}, {"loc": (0.0, 1.0, 0.0), "concentration": 1.0},
            ),
        }  # fmt: skip
        settings, same = known[family.__name__][:1], known[family.__name__][1:]
    return build(family, settings[0], F64), build(family, same[0], F64)


HEAD = """\
# Distributions

*This page is written by `docs/generate_distributions.py`; run it again after a change to a family.*

Censoring, truncation, rounding, probability integral transforms and proper scores all need more of a distribution than
training does: a log-density that is right everywhere, both tails, and slopes in every parameter. `likelihoods.distributions`
has that for each family below. They are Pyro (and so torch) distributions, and subclasses of torch's or Pyro's class of
the same name where there is one.

```python
import torch

from likelihoods.distributions import StudentT

law = StudentT(df=torch.tensor(1e8), loc=0.0, scale=1.0)
law.log_prob(torch.tensor(3.0))  # -5.4189, the normal law's; torch's class gives -4.5 here, in float32
law.log_sf(torch.tensor(20.0))  # log P(Y > 20), although P(Y > 20) is 1e-89 and no float32
law.log_mass(torch.tensor(1.0), torch.tensor(1.001))  # log P(1 < Y <= 1.001)
```

**What "trusted everywhere" means here.** A family is listed only if the tests show, over its whole grid of parameters and values:

* `log_prob` is -inf outside the support, with validation on, off, compiled away or under `python -O`, and NaN at NaN; never a
  finite number or an exception. Inside, it agrees with mpmath at 50 digits to 1e-12 in float64 (relative to
  max(1, |log p|) or, where that is larger, to the condition number of the formula), and in float32 to a few ulps of the
  same.
* No gradient is NaN, in the value or in any parameter, inside the support or out, and those inside agree with mpmath's.
* `cdf`, `log_cdf`, `log_sf` and `icdf` agree with mpmath or scipy in both tails, in log space down to 1e-200.
* Moments, entropy, mode and divergences agree with sums and integrals, and samples with the cdf.

**What it does not mean.**

* Rounded inputs. A value of 1e6 + 1e-3 in float32 is 1e6; the law of the rounded value is what is computed. The error below is
  against the exact density at the *rounded* parameters and value.
* Overflow. A log-density, moment or divergence beyond the largest number of its dtype is infinite.
* Everything that is not tested: other devices than the CPU get the same formulas, but their elementary functions may be less
  accurate; float16 and bfloat16 are not supported. A grid is a grid: between its points nothing is proved.
* Samples. They come from torch's generators (and `rsample` from float32 uniforms in float32), so their tails end where those do.
* Laws of other packages. They may be used wherever a law may, with the tails that their own `cdf` has.

For the divergence between any two laws there is {func}`likelihoods.divergences.kl`, which says by which method it was
computed.
"""

ERRORS = """\
## How far off

The worst |error| of `log_prob`, divided by max(1, |log p|), against mpmath at 50 digits. *Ordinary* points are the quantiles from
1e-10 to 1 - 1e-10 of the settings in `tests/distributions/cases`, *hard* ones extreme parameters or values. The roundings of
float64 and float32 are 1e-16 and 6e-8; where the *condition* of the density itself is larger than 1 (the most that a relative
change of the value or a parameter changes log p at an ordinary point), a rounded intermediate result counts as much
more. *Failures* are values inside the support that are NaN, infinite or an exception (they do not enter the errors), and
points outside the support whose density is not 0, with validation off. Torch's and Pyro's classes of the same name are
measured on the same points, by the same numbers as parameters; values of log p that the dtype cannot hold are left out.
"""


def has(family: type[Any], moment: str) -> bool:
    """Tell whether a family has a moment."""
    return bool(tick(lambda: getattr(laws(family)[0], moment)))


def families_section() -> str:
    """Return the part of the page that the tests compare with the classes."""
    lines = [BEGIN, "", *table_of_families(), "", END]
    return "\n".join(lines)


def main() -> None:
    """Write the page."""
    made = ", ".join(f"`{law.__name__}`" for law in exported() if is_made(law))
    without: dict[tuple[str, ...], list[str]] = {}
    for family in families():
        missing = tuple(f"`{name}`" for name in MOMENTS if not has(family, name))
        without.setdefault(missing, []).append(f"`{family.__name__}`")
    del without[()]
    lacking = ",\n".join(f"{', '.join(found)} (no {', '.join(missing)})" for missing, found in without.items())
    text = "\n".join(
        [
            HEAD,
            "## The families",
            "",
            "*Listed* says that `enumerate_support` gives all values. Every one has `sample`, `mean`, `variance` and `mode`"
            + (f",\nbut for {lacking}," if lacking else ""),
            "and every one on the line",
            "`log_cdf`, `log_sf` and `log_mass`. *KL* names the method of `divergences.kl`.",
            "",
            families_section(),
            "",
            f"Laws made of other laws, or of a loss: {made}.",
            "What they can do is what their parts can; see [the reference](api.md).",
            "",
            ERRORS,
            f"Measured with torch {torch.__version__.partition('+')[0]} and Pyro {pyro.__version__} on a CPU.",
            "",
            *table_of_errors(),
            "",
        ]
    )
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
