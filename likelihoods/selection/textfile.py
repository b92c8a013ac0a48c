"""Text files: bytes become a raw table, and the encoding, delimiter and decimal mark that were found are said.

Nothing is guessed where two readings fit: that is an error which names the argument that settles it. pandas parses;
the `csv` module goes over the same records first, because pandas fills short rows and renames double names silently.
"""

import codecs
import csv
import dataclasses
import difflib
import io
import itertools
import lzma
import os
import zipfile
import zlib
from collections.abc import Collection, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from pandas.io.common import get_handle  # type: ignore[import-not-found]  # pandas-stubs lack it

from likelihoods.selection.columns import MISSING, TableError, counted, listed, number

__all__ = ["RawTable", "read_raw"]

NA_VALUES = sorted(MISSING | {word.upper() for word in MISSING} | {"NaN", "-NaN", "Null"})
ONE_COLUMN = "\x1f"  # a delimiter that no text holds
DELIMITERS = {",": "','", ";": "';'", "\t": "tab", "|": "'|'"}
OTHER = {".": ",", ",": "."}
SAMPLE = 1000  # about so many rows, from the whole file, are looked at for the decimal mark
BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)
NOT_TEXT = (
    (b"PK\x03\x04", "an Excel workbook or another zip archive"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
    (b"%PDF", "a PDF document"),
    (b"PAR1", "a Parquet file"),
    (b"ARROW1", "an Arrow file"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format", "an SQLite database"),
    (b"\x1f\x8b", "gzip data (its name should end in .gz)"),
    (b"<!DOCTYPE", "a web page"),
    (b"<html", "a web page"),
)

Integers = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class RawTable:
    """A file as it stands: names as in its header, columns as numbers where pandas can, and as text elsewhere."""

    frame: pd.DataFrame
    lines: Integers
    decimal: str
    thousands: str
    decisions: list[str]


def read_raw(
    path: str | os.PathLike[str],
    *,
    sep: str | None = None,
    decimal: str | None = None,
    encoding: str | None = None,
    as_text: Collection[str] = (),
) -> RawTable:
    """Read a text file without dropping anything but blank lines; the columns in `as_text` keep '01' apart from 1."""
    file = Path(path).expanduser()
    if decimal not in (None, ".", ","):
        raise TableError(f"decimal is {decimal!r}: give '.' or ','.")
    if sep is not None:
        sep = {"\\t": "\t", "tab": "\t"}.get(sep, sep)  # what a shell passes for a tab
        if len(sep) != 1 or sep in '"\r\n':
            raise TableError(f"sep is {sep!r}: give one character, such as ',', ';', '|' or a tab.")
    text, said = _decode(_bytes(file), encoding, file)
    decisions = [said]
    how = "given" if sep is not None else "found in the first lines"
    sep = _delimiter(text, file) if sep is None else sep
    name = DELIMITERS.get(sep, repr(sep))
    decisions.append(
        "Delimiter: none, the file has one column." if sep == ONE_COLUMN else f"Delimiter: {name} ({how})."
    )

    header, lines, width, sample = _scan(text, sep, file)
    # Between the rows of a single column a blank line is a missing value; with more columns it is nothing.
    rows = np.arange(len(width)) <= np.flatnonzero(width)[-1] if len(header) == 1 else width > 0
    extra = int((width[rows] == len(header) + 1).all())  # a delimiter at each row's end, or row names before each
    wrong = np.flatnonzero((width > 0) & (width != len(header) + extra))
    if len(wrong):
        shown = ", ".join(f"line {lines[i]} has {width[i]}" for i in wrong[:5])
        raise TableError(
            f"{file}: the header has {counted(len(header), 'field')}, but {counted(len(wrong), 'row')} differ: {shown}"
            f"{', ...' if len(wrong) > 5 else ''}. Correct them; a field that holds the delimiter {name} needs quotes."
        )
    blank = ~rows & (lines < lines[rows][-1])
    if blank.any():
        decisions.append(f"{counted(blank.sum(), 'blank line')} skipped ({listed('line', lines[blank])}).")
    if decimal is None:
        decimal, thousands, said = _decimal(sample, sep, file)
    else:
        thousands, said = OTHER[decimal], f"Decimal mark: '{decimal}' (given)."
    decisions.append(said)

    texts = {i + k for i, column in enumerate(header) if column in as_text for k in (0, extra)}
    frame = _parse(file, text, int(lines[0]), len(header) + extra, sep, decimal, texts)
    if len(frame) != len(rows):
        raise TableError(
            f"{file}: the csv module finds {len(rows)} records and pandas {len(frame)}: quote text fields."
        )
    frame = frame[rows]
    if not thousands and sep == ";" and (frame.select_dtypes("float") % 1 > 0).any(axis=None):
        raise TableError(f"{file}: few numbers have a '.'. Give decimal='.', or decimal=',' if it separates thousands.")
    if extra:
        trailing = bool(frame.iloc[:, -1].isna().all())
        if sep == "," and not trailing:  # '1,5,2' under 'a,b' is more likely a decimal comma than a row name
            raise TableError(
                f"{file}: every row has {len(header) + 1} fields, the header {len(header)}. Name each column in the "
                "first line. Where ',' is also the decimal mark, use ';' between the fields or quotes around them."
            )
        header = [*header, ""] if trailing else ["", *header]
    frame.columns = pd.Index(header)
    return RawTable(frame, lines[rows], decimal, thousands, decisions)


def _scan(text: str, sep: str, file: Path) -> tuple[list[str], Integers, Integers, list[tuple[int, list[str]]]]:
    """Return the header, each record's line and number of fields (0 if it is blank), and a sample of the records."""
    records = _records(text, sep, file)
    header = [field.strip() for field in next((fields for _, fields in records if fields), [])]
    if not header:
        raise TableError(f"{file} is empty: a table needs a line with the columns' names, then rows.")
    step = 1 + text.count("\n") // SAMPLE
    lines: list[int] = []
    widths: list[int] = []
    sample: list[tuple[int, list[str]]] = []
    for line, fields in records:
        if len(lines) % step == 0:
            sample.append((line, fields))
        lines.append(line)
        widths.append(len(fields))
    if not any(widths):
        raise TableError(f"{file} has a header ({counted(len(header), 'column')}) but no rows.")
    return header, np.array(lines), np.array(widths), sample


def _parse(file: Path, text: str, line: int, width: int, sep: str, decimal: str, texts: set[int]) -> pd.DataFrame:
    """Parse the records from this line on; the columns in `texts` stay text."""
    body = io.StringIO(text, newline="")
    for _ in range(line - 1):
        body.readline()
    try:
        return pd.read_csv(
            body,
            sep=sep,
            header=None,
            names=list(range(width)),
            index_col=False,
            decimal=decimal if decimal != sep else ".",
            dtype=str
            if decimal == sep
            else dict.fromkeys(texts, str),  # pandas has no decimal mark equal to the delimiter
            keep_default_na=False,
            na_values=NA_VALUES,
            skip_blank_lines=False,
            skipinitialspace=True,
            low_memory=False,
        )
    except pd.errors.ParserError as error:
        raise TableError(f"{file} cannot be parsed: {error}. Save it again as CSV with quotes around text.") from error


def _bytes(file: Path) -> bytes:
    """Return the file's content, decompressed by its name."""
    if file.is_dir():
        raise TableError(f"{file} is a folder: give one file, such as {file / 'table.csv'}.")
    if not file.exists():
        near = difflib.get_close_matches(file.name, os.listdir(file.parent) if file.parent.is_dir() else [], n=3)
        raise TableError(f"There is no file {file}.{' Nearest: ' + ', '.join(near) + '.' if near else ''}")
    try:
        with get_handle(file, "rb", is_text=False, compression="infer") as handles:
            content = handles.handle.read()
    except (OSError, EOFError, ValueError, ImportError, zlib.error, lzma.LZMAError, zipfile.BadZipFile) as error:
        raise TableError(f"{file} cannot be read: {error}.") from error
    return bytes(content)


def _decode(content: bytes, encoding: str | None, file: Path) -> tuple[str, str]:
    """Return the text, and a sentence that says its encoding."""
    what = next((kind for magic, kind in NOT_TEXT if content[:64].lstrip().startswith(magic)), None)
    marked = [codec for mark, codec in BYTE_ORDER_MARKS if content.startswith(mark)][:1]
    if what is None and not encoding and not marked and b"\0" in content:
        what = "binary (or UTF-16 without a byte-order mark: then give encoding='utf-16-le')"
    if what is not None:
        raise TableError(
            f"{file} is {what}, not a text table. Save it as CSV; or read it in Python, with pandas.read_excel, "
            "read_parquet and so on, and give the DataFrame."
        )
    problem: Exception | None = None
    for codec in [encoding] if encoding else marked or ["utf-8", "cp1252", "latin-1"]:
        try:
            text = content.decode(codec)
        except (UnicodeError, LookupError) as error:
            problem = error
            continue
        name = codec.upper() if codec.startswith("utf") else codec
        reasons = {"cp1252": " (the file is not UTF-8)", "latin-1": " (the file is neither UTF-8 nor cp1252)"}
        reason = " (given)" if encoding else " (byte-order mark)" if marked else reasons.get(codec, "")
        # One kind of line end: pandas stumbles over "\r\r", and no line's number changes.
        text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
        return text, f"Encoding: {name.removesuffix('-SIG')}{reason}."
    raise TableError(f"{file} cannot be decoded: {problem}. Give encoding=, such as 'utf-8', 'cp1252' or 'utf-16'.")


def _records(text: str, sep: str, file: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield each record's first line number and its fields; a blank line has none."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=sep, skipinitialspace=True, strict=True)
    line = 1
    try:
        for fields in reader:
            yield line, fields if len(fields) != 1 or fields[0].strip() else []
            line = reader.line_num + 1
    except csv.Error as error:
        raise TableError(
            f"{file}, line {line}: {error}. A quoted field begins and ends with a double quote, which is written twice inside it."
        ) from error


def _delimiter(text: str, file: Path) -> str:
    """Return the delimiter that splits the header, and the first rows as the header.

    `csv.Sniffer` is not used: it splits a single column at a letter, and a decimal comma at the comma.
    """
    head = list(itertools.islice(io.StringIO(text, newline=""), 200))
    scores = {}
    for sep in DELIMITERS:
        try:
            header, *rows = [row for row in csv.reader(head, delimiter=sep, skipinitialspace=True) if row] or [[]]
        except csv.Error:
            continue
        if len(header) > 1:
            cells = [field.strip() for row in rows for field in row]
            numeric = sum(bool(number(".", ",").fullmatch(cell) or number(",", ".").fullmatch(cell)) for cell in cells)
            even = sum(len(row) - len(header) in (0, 1) for row in rows)
            scores[sep] = (even / max(1, len(rows)), numeric / max(1, len(cells)), len(header))
    best = [sep for sep in scores if scores[sep] == max(scores.values())]
    if len(best) > 1:
        raise TableError(
            f"{file}: {' and '.join(DELIMITERS[sep] for sep in best)} both fit its first lines: give sep=, the right one."
        )
    return best[0] if best else ONE_COLUMN


def _decimal(sample: list[tuple[int, list[str]]], sep: str, file: Path) -> tuple[str, str, str]:
    """Return the decimal mark, the thousands separator ('' when nothing tells), and a sentence that says so.

    A number tells when only one reading of its marks is possible: '3,5' and '1.234.567' mean a decimal comma, '0.5'
    and '1,234.5' a decimal point. '1,234' does not tell.
    """
    point, comma = number(".", ","), number(",", ".")
    tells: dict[str, str] = {}
    unsure: dict[str, str] = {}
    for j in range(max(len(fields) for _, fields in sample)):
        column = [(line, fields[j].strip()) for line, fields in sample if j < len(fields)]
        read = [(f"'{c}' at line {line}", c, point.fullmatch(c), comma.fullmatch(c)) for line, c in column]
        numbers = [cell for cell in read if cell[2] or cell[3]]
        if 2 * len(numbers) <= sum(cell.lower() not in MISSING for _, cell in column):
            continue  # a text column's '3,5' says nothing about numbers
        for where, cell, as_point, as_comma in numbers:
            if not (as_point and as_comma):
                tells.setdefault("." if as_point else ",", where)
            elif "," in cell or "." in cell:
                unsure.setdefault("," if "," in cell else ".", where)
    if len(tells) == 2:
        raise TableError(
            f"{file} has both decimal marks, '.' ({tells['.']}) and ',' ({tells[',']}). Write all numbers in one way, "
            "or give decimal='.' or decimal=',': numbers of the other kind are then text."
        )
    for mark, where in tells.items():
        return mark, OTHER[mark], f"Decimal mark: '{mark}' (found: {where})."
    # Between semicolons even '1.234' is in doubt: they are what countries with a decimal comma write.
    doubt = unsure.get(",") or (unsure.get(".") if sep == ";" else None)
    if doubt:
        raise TableError(
            f"{file}: {doubt} can be a thousand or a decimal fraction. Give decimal='.' or decimal=',' to say which mark "
            "is the decimal one; the other then separates thousands."
        )
    seen = f"{unsure['.']} is less than a thousand" if unsure else "assumed: no number that was looked at has one"
    return ".", "", f"Decimal mark: '.' ({seen})."
