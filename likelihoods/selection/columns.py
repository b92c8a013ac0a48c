"""Columns: what a number looks like, and how one column becomes numbers or codes into its levels."""

import dataclasses
import functools
import itertools
import re
from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.api import types

__all__ = ["MISSING", "Column", "Origin", "TableError", "counted", "listed", "number", "read_column", "row_filler"]

# Lower case. 'None' is not here: in a text column it is more often a level ('None', 'Mild', 'Severe').
MISSING = frozenset(("", "na", "n/a", "#n/a", "#na", "#n/a n/a", "nan", "-nan", "null", "<na>", "?", "."))
MOST_LEVELS = 50  # text with more different values is a name, a note or an id rather than a category
MOST_NAMED_LEVELS = 1000  # and this many not even when asked for: the coded table is dense
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_DATE = re.compile(
    rf"(?:\d{{4}}([-/.])\d{{1,2}}\1\d{{1,2}}|\d{{1,2}}([-/.])\d{{1,2}}\2\d{{2,4}}|\d{{1,2}}[- ]{_MONTH}[-, ]+\d{{2,4}}"
    rf"|{_MONTH} \d{{1,2}},? \d{{4}})(?:[T ].*)?|\d{{1,2}}:\d{{2}}(?::\d{{2}}.*)?",
    re.IGNORECASE | re.ASCII,
)
_TRUE_OR_FALSE = "is true or false: coded 1 and 0"


class TableError(ValueError):
    """A table that cannot be read as it stands: what was given, what was wanted, and what to write instead."""


@dataclasses.dataclass(frozen=True, eq=False)
class Origin:
    """Where a table's cells come from: the number of each row, what to call it, and how numbers are written."""

    rows: npt.NDArray[np.int64]
    unit: str = "row"
    decimal: str = "."
    thousands: str = ""


@dataclasses.dataclass(frozen=True, eq=False)
class Column:
    """One column as read.

    Attributes:
        values: the numbers, or codes into `levels`; NaN where a value is missing.
        levels: the different texts of a categorical column, else None.
        named: whether the user called it categorical.
        date: a value, where the column holds dates or times.
        note: how it was read, where that is not plain; a predicate without its subject.
    """

    values: npt.NDArray[np.float64]
    levels: list[str] | None = None
    named: bool = False
    date: str = ""
    note: str = ""

    @property
    def kind(self) -> str:
        """What the levels are, in a word."""
        return "categorical" if self.named else "text"

    @property
    def present(self) -> int:
        """How many rows have a value."""
        return int((~np.isnan(self.values)).sum())

    def check_target(self, name: str) -> None:
        """Raise a TableError when this target can be neither a number nor a label."""
        if not self.present:
            raise TableError(f"Target '{name}' is missing in all {counted(len(self.values), 'row')}.")
        if self.date:
            raise TableError(
                f"Target '{name}' holds dates or times ({self.date!r}): write it as a number, such as days."
            )
        levels = self.levels or []
        if not self.named and (len(levels) > MOST_LEVELS or len(levels) == self.present > 2):
            raise TableError(
                f"Target '{name}' is text with {len(levels):,} different values, such as {levels[0]!r}. Write it as plain "
                f"numbers, without units; or name '{name}' in categorical when these are labels."
            )

    def unusable(self) -> str:
        """Return why the column is no feature, or ''."""
        present = self.present
        if self.date:
            return (
                f"it holds dates or times ({self.date!r}); write what matters as numbers, such as year, month or days"
            )
        if not present:
            return "it is empty"
        if self.levels is None or self.named or len(self.levels) == 1:
            return ""
        if len(self.levels) == present:
            return "it has a different text in every row"
        if len(self.levels) > max(2, min(MOST_LEVELS, present / 2)):
            return (
                f"it is text with {len(self.levels):,} different values in {counted(present, 'row')} (such as "
                f"{self.levels[0]!r}); group them into fewer, or name it in categorical to code them all"
            )
        return ""


def counted(n: int, noun: str) -> str:
    """Return '1 row', '2 rows', '20,190 rows'."""
    return f"{n:,} {noun}{'' if n == 1 else 's'}"


def listed(unit: str, numbers: Iterable[int], most: int = 5) -> str:
    """Return 'line 4', or 'lines 4, 17, 33, ...' with the first few."""
    first = [str(i) for i in itertools.islice(numbers, most + 1)]
    return f"{unit}{'s' if len(first) > 1 else ''} {', '.join(first[:most])}{', ...' if len(first) > most else ''}"


@functools.cache
def number(decimal: str, thousands: str = "") -> re.Pattern[str]:
    """Return the pattern of a number with this decimal mark, and groups of three digits where `thousands` is given."""
    point = re.escape(decimal)
    whole = rf"(?:\d+|[1-9]\d{{0,2}}(?:{re.escape(thousands)}\d{{3}})+)" if thousands else r"\d+"
    return re.compile(
        rf"[+-]?(?:(?:{whole}(?:{point}\d*)?|{point}\d+)(?:e[+-]?\d+)?|inf(?:inity)?)", re.IGNORECASE | re.ASCII
    )


def row_filler(series: "pd.Series[Any]", name: str, place: int) -> str:
    """Return why a column without a name can go, or '': it ends the lines, or numbers the rows."""
    if name and not re.fullmatch(r"Unnamed: \d+", name):  # what pandas calls it, and writes when it saves the table
        return ""
    if series.isna().all():
        return "it has neither a name nor a value (a delimiter at the end of the lines)"
    if place == 0 and types.is_integer_dtype(series.dtype) and series.iloc[0] in (0, 1):
        counts = np.arange(len(series)) + int(series.iloc[0])
        return "it has no name and only numbers the rows" if np.array_equal(series.to_numpy(), counts) else ""
    return ""


def read_column(series: "pd.Series[Any]", title: str, named: bool, origin: Origin) -> Column:
    """Read a column; `title` begins the errors, `named` says that the user called it categorical.

    Raises:
        TableError: when some cells of a numeric column are text, a number is infinite, or there are too many levels.
    """
    column = _typed(series, title, named) or _texts(series, title, named, origin)
    infinite = np.isinf(column.values)
    if infinite.any():
        raise TableError(
            f"{title} is infinite in {counted(infinite.sum(), 'row')} ({listed(origin.unit, origin.rows[infinite])}). "
            "Write a finite number there, or leave the cell empty when the value is missing."
        )
    if column.named and len(column.levels or []) > MOST_NAMED_LEVELS:
        raise TableError(
            f"{title} has {len(column.levels or []):,} levels, and at most {MOST_NAMED_LEVELS:,} are coded: group them."
        )
    return column


def _typed(series: "pd.Series[Any]", title: str, named: bool) -> Column | None:
    """Read a column whose type says what it is; None where its cells must be looked at."""
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype):
        used = series.cat.remove_unused_categories().cat
        codes, levels = used.codes.to_numpy(dtype=np.float64), [_label(level) for level in used.categories]
        if len(set(levels)) < len(levels):
            raise TableError(f"{title} has different levels that read the same, {sorted(levels)}: rename some.")
        return Column(np.where(codes < 0, np.nan, codes), levels, named=True)
    if types.is_datetime64_any_dtype(dtype) or types.is_timedelta64_dtype(dtype) or isinstance(dtype, pd.PeriodDtype):
        present = series.dropna()
        return Column(np.where(series.isna(), np.nan, 0.0), date=str(present.iloc[0]) if len(present) else str(dtype))
    if types.is_complex_dtype(dtype):
        raise TableError(f"{title} holds complex numbers: give real and imaginary parts as two columns.")
    if types.is_numeric_dtype(dtype) and not named:
        note = _TRUE_OR_FALSE if types.is_bool_dtype(dtype) else ""
        return Column(series.to_numpy(dtype=np.float64, na_value=np.nan), note=note)
    return None


def _texts(series: "pd.Series[Any]", title: str, named: bool, origin: Origin) -> Column:
    """Read a column of text: numbers that pandas could not take, truth values, dates, or levels."""
    try:
        codes, different = pd.factorize(series)  # each text is looked at once, however many rows hold it
    except TypeError as error:
        raise TableError(f"{title} holds {type(series.iloc[0]).__name__} objects: give numbers or text.") from error
    texts = [_label(value) for value in different]
    rows = np.bincount(codes[codes >= 0], minlength=len(texts))
    pattern = number(origin.decimal, origin.thousands)
    numeric = np.array([pattern.fullmatch(text) is not None for text in texts], dtype=bool)
    words = np.array([text.lower() not in MISSING for text in texts], dtype=bool) & ~numeric
    lower = {texts[i].lower() for i in np.flatnonzero(words)}

    def spread(values: list[float]) -> npt.NDArray[np.float64]:
        return np.array([*values, np.nan])[codes]  # pandas' code for a missing value is -1

    if not named and lower <= {"none"}:
        plain = [text.replace(origin.thousands, "").replace(origin.decimal, ".") for text in texts]
        group = [i for i, text in enumerate(texts) if numeric[i] and origin.thousands and origin.thousands in text][:1]
        note = "".join(f"has '{origin.thousands}' between thousands: {texts[i]!r} is {plain[i]}" for i in group)
        return Column(spread([float(plain[i]) if numeric[i] else np.nan for i in range(len(texts))]), note=note)
    if not named and lower <= {"true", "false"} and not numeric.any():
        truth = [float(texts[i].lower() == "true") if words[i] else np.nan for i in range(len(texts))]
        return Column(spread(truth), note=_TRUE_OR_FALSE)
    if not named and rows[numeric].sum() > rows[words].sum():
        bad = np.flatnonzero(np.append(words, False)[codes])
        text = texts[codes[bad[0]]]
        other = "," if origin.decimal == "." else "."
        hint = f" If '{other}' is its decimal mark, give decimal='{other}'." if number(other).fullmatch(text) else ""
        raise TableError(
            f"{title} has text in {counted(len(bad), 'row')}, first at {origin.unit} {origin.rows[bad[0]]}: {text!r}. "
            f"Write a number there, leave the cell empty when it is missing, or name the column in categorical.{hint}"
        )
    levels = list(dict.fromkeys(texts[i] for i in np.flatnonzero(words | numeric)))
    if len(levels) <= MOST_NAMED_LEVELS:  # nobody sees the order of more
        levels.sort(key=_order)
    code = {level: float(i) for i, level in enumerate(levels)}
    values = spread([code.get(text, np.nan) for text in texts])
    looked_at = levels[:MOST_NAMED_LEVELS]
    dates = [level for level in looked_at if _DATE.fullmatch(level)]
    date = dates[0] if len(dates) > 0.9 * len(looked_at) and not named else ""
    return Column(values, levels, named, date)


def _label(value: object) -> str:
    """Return a cell as text; 2.0 as '2', since pandas turns whole numbers with gaps into floats."""
    if isinstance(value, str):
        return value.strip()
    return str(int(value)) if isinstance(value, float | np.floating) and float(value).is_integer() else str(value)


def _order(level: str) -> tuple[bool, float, str]:
    """Sort '2' before '10', and numbers before words."""
    is_number = number(".").fullmatch(level) is not None
    return not is_number, float(level) if is_number else 0.0, level
