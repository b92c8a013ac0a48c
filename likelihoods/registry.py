"""The table of named losses: one entry a row, and the decorator that adds a row."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from likelihoods.functionals import FUNCTIONALS, Functional
from likelihoods.likelihood import Likelihood
from likelihoods.relations import Exact, NoLikelihood, Relation

Build = Callable[..., Likelihood]


@dataclass(frozen=True)
class Entry:
    """A named loss: the model that it assumes and what is claimed of it.

    Attributes:
        name: the name, lower case.
        build: from the options to the likelihood.
        assumption: what the loss assumes of the data, in one sentence.
        use: when to use it and when not.
        formula: the loss in f (the prediction) and y (the target).
        outcome: what is random: what the likelihood is a law of.
        elicits: what minimises its expectation.
        reference: author, year, DOI or URL.
        aliases: other names, spelled as people spell them.
        relation: from the options to the relation of the loss to its likelihood.
        examples: settings of the options on which every claim is executed.
        nuisance: constant parameters of the family that are learned where losses are compared on data.
        compare: whether ``choose`` tries it unasked (a row whose law another row has, with a better link, is not).
    """

    name: str
    build: Build
    assumption: str
    use: str
    formula: str
    outcome: str
    elicits: Functional
    reference: str
    aliases: tuple[str, ...]
    relation: Callable[..., Relation]
    examples: tuple[dict[str, Any], ...]
    nuisance: tuple[str, ...]
    compare: bool

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults."""
        return {name: p.default for name, p in inspect.signature(self.build).parameters.items()}

    def complete(self, options: dict[str, Any]) -> dict[str, Any]:
        """Return the options with the defaults filled in.

        Raises:
            TypeError: an option that the loss does not have.
        """
        known = self.options
        for name in options:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                has = (
                    f"Its options are {', '.join(f'{k}={v!r}' for k, v in known.items())}."
                    if known
                    else "It has no options."
                )
                raise TypeError(f"The loss {self.name!r} has no option {name!r}.{hint} {has}")
        return known | options

    def model(self, **options: Any) -> Likelihood:
        """Return the likelihood for these options; where the loss has none, that of the nearest loss, which lends its shapes."""
        return self.build(**self.complete(options))

    def likelihood(self, **options: Any) -> Likelihood:
        """Return the likelihood for these options.

        Raises:
            NoLikelihoodError: there is none; the message says why, and which loss is near and has one.
        """
        model = self.model(**options)  # first: it knows what is wrong with an option
        relation = self.law_relation(**options)
        if isinstance(relation, NoLikelihood):
            raise relation.error()
        return model

    def describe(self, **options: Any) -> dict[str, str]:
        """Return what there is to say of the loss at these options, as ``likelihoods show`` does: a text by its title.

        >>> from likelihoods import find
        >>> find("mse").describe()["relation"]
        'loss = NLL - 0.572365'
        """
        model, relation = self.model(**options), self.law_relation(**options)
        lent = f" (of {relation.nearest}, which lends its shapes)" if isinstance(relation, NoLikelihood) else ""
        support: Any = model._probe().support
        mass = "counting: log_prob is the log of a mass"
        density = "Lebesgue: log_prob is the log of a density, in the target's unit"
        return {
            "assumes": self.assumption,
            "use": self.use,
            "formula": self.formula,
            "options": ", ".join(f"{key}={value!r}" for key, value in self.complete(options).items()) or "none",
            "relation": relation.sentence(),
            "proper": relation.proper,
            "outcome": self.outcome,
            "support": model._support_text(None),
            "measure": mass if support.is_discrete else density,
            "elicits": self.elicits.name,
            "raw": f"{model.width or 'any number of'} output{'' if model.width == 1 else 's'} a target",
            "code": model.code() + lent,
            "aliases": ", ".join(self.aliases) or "none",
            "reference": self.reference,
        }

    def fitted(self, **options: Any) -> Likelihood:
        """Return the likelihood with its nuisance parameters learned, as two losses must be to be compared on data."""
        return self.likelihood(**options).learn(*self.nuisance)

    def law_relation(self, **options: Any) -> Relation:
        """Return the relation for these options."""
        try:
            return self.relation(**self.complete(options))
        except OverflowError:
            raise ValueError(f"The options {options} of {self.name!r} are too large: its constants overflow.") from None


_ENTRIES: dict[str, Entry] = {}
_NAMES: dict[str, str] = {}


def register(
    *,
    elicits: str | Functional,
    reference: str,
    relation: Relation | Callable[..., Relation] = Exact,
    examples: Sequence[dict[str, Any]] = ({},),
    aliases: Sequence[str] = (),
    formula: str = "-log p(y | f)",
    outcome: str = "the target",
    nuisance: Sequence[str] = (),
    compare: bool = True,
) -> Callable[[Build], Build]:
    """Make a function from options to a likelihood a named loss.

    The function's name is the loss's name, its parameters (all with defaults) are its options, the first paragraph of its
    docstring, one sentence, is its assumption, and the rest says when to use it.

    Args:
        elicits: what minimises the expected loss: a name in ``likelihoods.functionals.FUNCTIONALS`` or a Functional.
        reference: author, year, DOI or URL.
        relation: what the loss is to its negative log-likelihood; a function of the options where it depends on them.
        examples: settings of the options on which ``verify`` executes every claim.
        aliases: other names.
        formula: the loss in f (the prediction) and y (the target).
        outcome: what is random: what the likelihood is a law of.
        nuisance: constant parameters that ``choose`` learns.
        compare: whether ``choose`` tries the loss unasked.

    Raises:
        ValueError: the name is taken, the docstring is no single sentence, or there is no example.

    >>> import likelihoods as lk
    >>> @lk.register(elicits="mean", reference="Erlang (1909)")
    ... def waiting_time() -> lk.Likelihood:
    ...     '''The target is the waiting time for an event that may come at any moment.'''
    ...     return lk.Family(lk.distributions.Gamma, mean=lk.predicted("log"), concentration=1.0)
    >>> lk.loss("waiting_time").assumption
    'The target is the waiting time for an event that may come at any moment.'
    >>> lk.unregister("waiting_time")
    """

    def add(build: Build) -> Build:
        entry = make_entry(
            build,
            elicits=elicits,
            reference=reference,
            relation=relation,
            examples=examples,
            aliases=aliases,
            formula=formula,
            outcome=outcome,
            nuisance=nuisance,
            compare=compare,
        )
        _claim(entry.name, (entry.name, *entry.aliases))
        _ENTRIES[entry.name] = entry
        return build

    return add


def make_entry(
    build: Build,
    *,
    elicits: str | Functional,
    reference: str,
    relation: Relation | Callable[..., Relation],
    examples: Sequence[dict[str, Any]],
    aliases: Sequence[str],
    formula: str,
    outcome: str,
    nuisance: Sequence[str],
    compare: bool,
) -> Entry:
    """Return the entry of a function from options to a likelihood, without a place in the table; see :func:`register`."""
    if isinstance(elicits, str) and elicits not in FUNCTIONALS:
        raise ValueError(f"elicits={elicits!r}; it must be a Functional or one of {', '.join(FUNCTIONALS)}.")
    functional = FUNCTIONALS[elicits] if isinstance(elicits, str) else elicits
    name = build.__name__
    assumption, _, use = inspect.cleandoc(build.__doc__ or "").partition("\n\n")
    assumption = " ".join(assumption.split())
    if not assumption.endswith(".") or ". " in assumption:
        raise ValueError(
            f"{name}: the docstring's first paragraph must be the assumption, in one sentence that ends in '.'."
        )
    for option, parameter in inspect.signature(build).parameters.items():
        if parameter.default is inspect.Parameter.empty:
            raise ValueError(f"{name}: the option {option!r} needs a default.")
    if not examples or not reference:
        raise ValueError(f"{name}: a row needs a reference and at least one example of its options ({{}} for none).")
    return Entry(
        name=name,
        build=build,
        assumption=assumption,
        use=" ".join(use.split()),
        formula=formula,
        outcome=outcome,
        elicits=functional,
        reference=reference,
        aliases=tuple(aliases),
        relation=(lambda **options: relation) if isinstance(relation, Relation) else relation,
        examples=tuple(dict(example) for example in examples),
        nuisance=tuple(nuisance),
        compare=compare,
    )


def unregister(name: str) -> None:
    """Remove a row and its aliases (a notebook that defines its own row twice needs it)."""
    entry = _ENTRIES.pop(find(name).name)
    for key in [key for key, owner in _NAMES.items() if owner == entry.name]:
        del _NAMES[key]


def entries() -> Iterator[Entry]:
    """Yield every entry in the order in which it was registered (the package's own are `likelihoods.catalog`'s)."""
    yield from list(_ENTRIES.values())


def find(name: str) -> Entry:
    """Return the entry of a name or alias; case, ``-``, ``_`` and a trailing "loss" do not matter.

    Raises:
        ValueError: no loss has that name.

    >>> import likelihoods as lk
    >>> lk.find("MSELoss").name, lk.find("mae").name
    ('mse', 'l1')
    """
    key = _key(name)
    if key not in _NAMES:
        near = difflib.get_close_matches(key, _NAMES, n=1, cutoff=0.5)
        hint = f" Did you mean {_NAMES[near[0]]!r}?" if near else ""
        raise ValueError(f"There is no loss named {name!r}.{hint} The losses are {', '.join(_ENTRIES)}.")
    return _ENTRIES[_NAMES[key]]


def _key(name: str) -> str:
    squeezed = "".join(c for c in name.lower() if c.isalnum())
    return squeezed.removesuffix("loss") or squeezed


def _claim(name: str, spellings: Sequence[str]) -> None:
    for spelling in spellings:
        owner = _NAMES.get(_key(spelling))
        if owner is not None:
            raise ValueError(
                f"{name}: the name {spelling!r} belongs to {owner!r}; unregister({owner!r}) first, or rename."
            )
    for spelling in spellings:
        _NAMES[_key(spelling)] = name
