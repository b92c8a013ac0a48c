"""Tables: what a user has (a text file, a DataFrame, arrays) becomes clean numbers, and every step is said.

`read_table` is for files and `prepare` for what is in memory; both end in `_clean`. What can be read in two ways is a
`TableError`; what is dropped is a sentence in `Table.decisions`. Nothing here needs torch.
"""

import dataclasses
import difflib
import os
from collections.abc import Iterable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
import numpy.typing as npt
import pandas as pd

from likelihoods.selection.columns import (
    Column,
    Origin,
    TableError,
    counted,
    listed,
    number,
    read_column,
    row_filler,
)
from likelihoods.selection.textfile import read_raw

__all__ = ["Table", "TableError", "prepare", "read_table"]


@dataclasses.dataclass(frozen=True, eq=False)
class Table:
    """A clean table: numbers without gaps, and how they came about.

    Attributes:
        X: the features, float64, shape (rows, columns). Text is one-hot coded in columns called 'column=level',
            without the reference level.
        y: the target: float64, or the labels as strings where it is text or named in `categorical`.
        target: the target's name.
        categorical: the levels of each one-hot coded column; the first is the reference.
        decisions: what was found, assumed and dropped, one plain sentence each.
        dropped: how many rows were dropped.
        rows: where each row of X came from. For a file these are its line numbers, as an editor shows them: the header
            is line 1, and a record that spans lines counts by its first. For a DataFrame or an array the first row is 1.
    """

    X: pd.DataFrame
    y: "pd.Series[Any]"
    target: str
    categorical: dict[str, list[str]]
    decisions: tuple[str, ...]
    dropped: int
    rows: npt.NDArray[np.int64]


def read_table(
    path: str | os.PathLike[str],
    target: str,
    *,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    categorical: str | Iterable[str] = (),
    drop: str | Iterable[str] = (),
) -> Table:
    r"""Read a CSV or TSV file, compressed or not (.gz, .bz2, .zip, .xz), as features and a target.

    Args:
        path: the file. Its first line holds the columns' names.
        target: the name of the column to predict.
        sep: the delimiter, one character; None finds comma, semicolon, tab or bar.
        decimal: the decimal mark, '.' or ','; the other one then separates thousands. None finds it.
        encoding: a codec's name; None finds UTF-8, UTF-16 and UTF-32 by their byte-order marks, cp1252 and latin-1.
        categorical: columns to one-hot code although they hold numbers, or many levels.
        drop: columns to leave out.

    Raises:
        TableError: when the file cannot be read, or can be read in two ways.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = pathlib.Path(folder, "rents.csv")
        ...     _ = path.write_text("rent;area;town\n9,5;50,5;Ulm\n7,5;30,0;Bonn\n8;;Ulm\n12,25;70,0;Ulm\n6;20;Bonn\n")
        ...     table = read_table(path, "rent")
        >>> table.X.columns.tolist(), table.y.tolist(), table.rows.tolist()
        (['area', 'town=Ulm'], [9.5, 7.5, 12.25, 6.0], [2, 3, 5, 6])
        >>> print(*table.decisions, sep="\n")
        Encoding: UTF-8.
        Delimiter: ';' (found in the first lines).
        Decimal mark: ',' (found: '9,5' at line 2).
        1 row dropped: a feature is missing (line 4): 'area' in 1 row.
        Column 'town' is text with 2 levels: one-hot coded, reference level 'Bonn'.
    """
    categorical = _names(categorical)
    raw = read_raw(path, sep=sep, decimal=decimal, encoding=encoding, as_text=categorical)
    origin = Origin(raw.lines, "line", raw.decimal, raw.thousands)
    return _clean(raw.frame, target, categorical, _names(drop), origin, raw.decisions)


def prepare(X: Any, y: Any, *, categorical: str | Iterable[str] = (), drop: str | Iterable[str] = ()) -> Table:
    """Clean a table that is already in memory, as `read_table` does a file.

    Args:
        X: a DataFrame; or an array of shape (rows, columns) or (rows,), whose columns are then x0, x1, ...
        y: the name of X's column to predict; or its values, a Series or array of shape (rows,) or (rows, 1).
        categorical: columns to one-hot code although they hold numbers, or many levels.
        drop: columns to leave out.

    Raises:
        TableError: when X and y do not belong together, or hold what cannot be made numbers.

    Example:
        >>> import pandas as pd
        >>> frame = pd.DataFrame({"y": [1, 0, 2, 5], "x": [0.5, 0.1, None, 0.7], "new": [True, False, True, True]})
        >>> table = prepare(frame, "y")
        >>> table.y.tolist(), table.X["new"].tolist(), table.dropped
        ([1.0, 0.0, 5.0], [1.0, 0.0, 1.0], 1)
        >>> table.decisions
        ("Column 'new' is true or false: coded 1 and 0.", "1 row dropped: a feature is missing (row 3): 'x' in 1 row.")
    """
    X = _as_pandas(X)
    frame = X
    if not isinstance(X, pd.DataFrame):
        values = np.asarray(X)
        if values.ndim not in (1, 2):
            raise TableError(f"X has shape {values.shape}: give a DataFrame, or an array of shape (rows, columns).")
        values = values[:, None] if values.ndim == 1 else values
        frame = pd.DataFrame(values, columns=[f"x{i}" for i in range(values.shape[1])])
    frame = frame.set_axis([str(name) for name in frame.columns], axis=1)
    if isinstance(y, str):
        target = y
    else:
        goal = _series(_as_pandas(y))
        target = "y" if goal.name is None else str(goal.name)
        if len(goal) != len(frame):
            raise TableError(f"X has {counted(len(frame), 'row')} and y {len(goal)}: give one target for each row.")
        if isinstance(X, pd.DataFrame) and isinstance(y, pd.Series | pd.DataFrame) and not X.index.equals(y.index):
            raise TableError("X and y have different indexes: align them, or give y.to_numpy() to join row by row.")
        if target in frame.columns:
            raise TableError(f"X too has a column '{target}', like the target: drop it from X, or give y another name.")
        frame = pd.concat([frame.reset_index(drop=True), goal.reset_index(drop=True).rename(target)], axis=1)
    return _clean(frame, target, _names(categorical), _names(drop), Origin(np.arange(1, len(frame) + 1)), [])


def _as_pandas(data: Any) -> Any:
    """Return another library's DataFrame or Series as pandas' own, and anything else as it is."""
    if isinstance(data, pd.DataFrame | pd.Series):
        return data
    other = nw.from_native(data, eager_only=True, allow_series=True, pass_through=True)
    if isinstance(other, nw.DataFrame):
        return pd.DataFrame(other.to_dict(as_series=False))
    return pd.Series(other.to_list(), name=other.name) if isinstance(other, nw.Series) else data


def _series(y: Any) -> "pd.Series[Any]":
    """Return a target that is not a column of X."""
    if isinstance(y, pd.DataFrame) and y.shape[1] == 1:
        return y.iloc[:, 0]
    if isinstance(y, pd.Series):
        return y
    values = np.asarray(y)
    if values.ndim != 1 and values.shape[1:] != (1,):
        raise TableError(f"y has shape {values.shape}: give one target for each row, shape (rows,).")
    return pd.Series(values.reshape(-1))


def _names(names: str | Iterable[str]) -> list[str]:
    """Return a list of names, also where one name was given alone."""
    return [names] if isinstance(names, str) else [str(name) for name in names]


def _clean(
    frame: pd.DataFrame, target: str, categorical: list[str], drop: list[str], origin: Origin, decisions: list[str]
) -> Table:
    """Make numbers of every column, drop the rows and columns that cannot be used, and say so."""
    says = list(decisions)
    places = _places(frame, target, categorical, drop, says)
    if not len(frame):
        raise TableError(f"The table has {counted(frame.shape[1], 'column')} but no rows.")
    columns: dict[str, Column] = {}
    for name, place in places.items():
        title = f"Target '{name}'" if name == target else _title(name, place)
        column = read_column(frame.iloc[:, place], title, name in categorical, origin)
        if column.note:
            says.append(f"{title} {column.note}.")
        if name != target and (reason := column.unusable()):
            says.append(f"{title} dropped: {reason}.")
        else:
            columns[name] = column
    goal = columns.pop(target)
    goal.check_target(target)

    keep = ~np.isnan(goal.values)
    if not keep.all():
        what = f"{counted((~keep).sum(), 'row')} dropped: the target '{target}' is missing"
        says.append(f"{what} ({listed(origin.unit, origin.rows[~keep])}).")
    gaps = {name: keep & np.isnan(column.values) for name, column in columns.items()}
    gaps = {name: gap for name, gap in gaps.items() if gap.any()}
    if gaps:
        gone = np.logical_or.reduce(list(gaps.values()))
        _check_gaps(gaps, int(keep.sum()))
        each = ", ".join(f"'{name}' in {counted(gap.sum(), 'row')}" for name, gap in gaps.items())
        where = listed(origin.unit, origin.rows[gone])
        says.append(f"{counted(gone.sum(), 'row')} dropped: a feature is missing ({where}): {each}.")
        keep &= ~gone

    X, levels = _features(columns, keep, says)
    values = goal.values[keep]
    y: pd.Series[Any] = pd.Series(values, name=target)
    if goal.levels is not None:
        y = pd.Series(np.array(goal.levels, dtype=object)[values.astype(np.int64)], name=target)
        sizes = [f"'{label}' ({counted(n, 'row')})" for label, n in y.value_counts().items()]
        more = ", ..." if len(sizes) > 10 else ""
        says.append(f"Target '{target}' is {goal.kind}, {counted(len(sizes), 'label')}: {', '.join(sizes[:10])}{more}.")
    if y.nunique() == 1:
        says.append(f"Target '{target}' is constant: it is {y.iloc[0]} in {counted(len(y), 'row')}.")
    return Table(X, y, target, levels, tuple(says), len(frame) - len(y), origin.rows[keep])


def _places(
    frame: pd.DataFrame, target: str, categorical: list[str], drop: list[str], says: list[str]
) -> dict[str, int]:
    """Return where each column to use stands, after the names that the user gave are found to exist once."""
    names = [str(name) for name in frame.columns]
    for name in (target, *categorical, *drop):
        if name not in names:
            raise TableError(f"There is no column '{name}'.{_nearest(name, names)}")
    if target in drop:
        raise TableError(f"'{target}' is the target and also in drop: take it out of drop, or name another target.")
    places: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        filler = row_filler(frame.iloc[:, place], name, place) if name != target and len(frame) else ""
        if reason := "you asked for it" if name in drop else filler:
            says.append(f"{_title(name, place)} dropped: {reason}.")
        else:
            places.setdefault(name, []).append(place)
    for name, found in places.items():
        if len(found) > 1:
            where = listed("column", [place + 1 for place in found])
            raise TableError(f"{len(found)} columns are called '{name}' ({where}): give each a name of its own.")
    return {name: found[0] for name, found in places.items()}


def _title(name: str, place: int) -> str:
    """Return what messages call a column."""
    return f"Column '{name}'" if name else f"Column {place + 1} (without a name)"


def _nearest(name: str, names: list[str]) -> str:
    """Return the rest of the sentence about a column that does not exist."""
    lower = {each.lower(): each for each in reversed(names)}
    near = [f"'{lower[each]}'" for each in difflib.get_close_matches(name.lower(), lower, n=3)]
    hint = f" Nearest: {', '.join(near)}." if near else ""
    if names and all(number(".").fullmatch(each) for each in names):
        hint += " The first line seems to hold data: write the columns' names above it."
    everything = ", ".join(f"'{each}'" for each in names)
    return f"{hint} The columns are: {everything}."


def _check_gaps(gaps: Mapping[str, npt.NDArray[np.bool_]], rows: int) -> None:
    """Raise when dropping the rows with a missing feature would leave less than half of them."""
    left = dict(gaps)
    drop: list[str] = []
    gone = lost = int(np.logical_or.reduce(list(left.values())).sum())
    while 2 * lost > rows:
        worst = max(left, key=lambda name: int(left[name].sum()))
        drop.append(worst)
        del left[worst]
        lost = int(np.logical_or.reduce(list(left.values())).sum()) if left else 0
    if drop:
        most = ", ".join(f"'{name}' in {gaps[name].sum()}" for name in drop)
        raise TableError(
            f"A feature is missing in {gone:,} of {counted(rows, 'row')}, more than half ({most}). Drop the column"
            f"{'s' if len(drop) > 1 else ''}, drop={drop!r}, which keeps {counted(rows - lost, 'row')}; or fill the gaps."
        )


def _features(
    columns: Mapping[str, Column], keep: npt.NDArray[np.bool_], says: list[str]
) -> tuple[pd.DataFrame, dict[str, list[str]]]:
    """Return the rows to keep of all columns that vary in them, one-hot coded, and the levels."""
    data: dict[str, npt.NDArray[np.float64]] = {}
    levels: dict[str, list[str]] = {}
    for name, column in columns.items():
        values = column.values[keep]
        used = np.unique(values)
        if len(used) == 1:
            says.append(f"Column '{name}' dropped: it is constant.")
            continue
        new = {name: values}
        if column.levels is not None:
            levels[name] = [column.levels[int(code)] for code in used]
            new = {f"{name}={column.levels[int(code)]}": (values == code) * 1.0 for code in used[1:]}
            what = f"Column '{name}' is {column.kind} with {len(used)} levels: one-hot coded"
            says.append(f"{what}, reference level '{levels[name][0]}'.")
        for key in data.keys() & new.keys():
            raise TableError(f"Two columns would be called '{key}' after one-hot coding: rename one of them.")
        data |= new
    if not data:
        says.append("No feature is left: X has no columns.")
    return pd.DataFrame(data, index=pd.RangeIndex(int(keep.sum())), dtype=np.float64), levels
