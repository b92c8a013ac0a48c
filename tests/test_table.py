"""Tables in: each way that a file can be odd is read with a sentence that says so, or refused with one that helps."""

import ast
import bz2
import csv
import gzip
import io
import json
import lzma
import re
import string
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from likelihoods.selection.table import Table, TableError, prepare, read_table

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
FIRST = "Encoding: UTF-8."
TABLE_LIBRARIES = ("numpy", "pandas", "narwhals")


@pytest.fixture
def read(tmp_path):
    """Write a text or bytes to a file, and read it."""

    def write_and_read(content, target="y", name="table.csv", **options):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_table(path, target, **options)

    return write_and_read


def says(table, *sentences):
    """Every sentence is among the decisions, word for word."""
    for sentence in sentences:
        assert sentence in table.decisions, "\n".join(table.decisions)
    return True


# --- delimiter ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sep", "name"), [(",", "','"), (";", "';'"), ("\t", "tab"), ("|", "'|'")])
def test_delimiter_is_found_and_said(read, sep, name):
    table = read(f"y{sep}x\n1{sep}2.5\n3{sep}4.5\n")
    assert table.X.to_dict("list") == {"x": [2.5, 4.5]}
    assert table.y.tolist() == [1, 3]
    assert says(table, FIRST, f"Delimiter: {name} (found in the first lines).")


@pytest.mark.parametrize(("sep", "given"), [("\t", "\t"), ("\t", "\\t"), ("\t", "tab"), (":", ":"), (" ", " ")])
def test_delimiter_that_is_given(read, sep, given):
    table = read(f"y{sep}x\n1{sep}2\n3{sep}4\n", sep=given)
    assert table.X["x"].tolist() == [2, 4]
    assert any(s.endswith("(given).") for s in table.decisions)


@pytest.mark.parametrize(
    "text",
    [
        'y,note\n1,"a, b, c"\n2,"d; e; f"\n3,"a, b, c"\n4,"d; e; f"\n',
        "y;note\n1;a, b, c\n2;d, e\n3;a, b, c\n4;d, e\n",
        "y\tnote\n1\ta, b; c\n2\td, e; f\n3\ta, b; c\n4\td, e; f\n",
        'y,"note"\n1,"he said ""a, b"""\n2,c\n3,"he said ""a, b"""\n4,c\n',
        'y,note\n1,"two\nlines, one record"\n2,c\n3,"two\nlines, one record"\n4,c\n',
    ],
)
def test_text_full_of_delimiters(read, text):
    table = read(text)
    assert table.y.tolist() == [1, 2, 3, 4]
    assert len(table.categorical["note"]) == 2


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("y;x,z\n1,5;2,5\n3,5;4,5\n", ["x,z"]),  # commas split all lines too, but not into numbers
        ("y,a|b\n1,5\n3,6\n", ["a|b"]),  # bars leave numbers too, but do not split the rows
        ('y, x, note\n1, 2, "a, b"\n2, 3, c\n5, 4, c\n7, 5, "a, b"\n', ["x", "note=c"]),
    ],
)
def test_delimiters_in_names_and_after_spaces(read, text, columns):
    assert read(text).X.columns.tolist() == columns


def test_one_column(read):
    table = read("y\n1\n2\n\n4\n\n\n")
    assert table.X.shape == (3, 0)
    assert table.rows.tolist() == [2, 3, 5]
    assert says(
        table,
        "Delimiter: none, the file has one column.",
        "1 row dropped: the target 'y' is missing (line 4).",
        "No feature is left: X has no columns.",
    )
    assert read("y\n1,5\n2,25\n").y.tolist() == [1.5, 2.25]  # csv.Sniffer: two columns
    assert read("y\nabcabc\nabcabd\nabcabc\n").y.tolist() == ["abcabc", "abcabd", "abcabc"]  # csv.Sniffer: split at 'c'
    assert read('y\n"a, b"\n"c, d"\n"a, b"\n').y.tolist() == ["a, b", "c, d", "a, b"]


def test_two_delimiters_that_fit_are_an_error(read):
    text = "y,a;b\nu,1;v\nw,2;z\n"
    with pytest.raises(TableError, match=r"',' and ';' both fit .* give sep="):
        read(text)
    assert read(text, "b", sep=";").y.tolist() == ["v", "z"]


@pytest.mark.parametrize("sep", ["\\s+", "", '"', "\n", ", "])
def test_impossible_delimiter(read, sep):
    with pytest.raises(TableError, match="give one character"):
        read("y,x\n1,2\n", sep=sep)


# --- decimal mark and thousands -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "y", "x", "mark"),
    [
        ("y;x\n1,5;2\n-3,25;4e1\n", [1.5, -3.25], [2, 40], ","),
        ("y\tx\n0,123\t2\n0,456\t4\n", [0.123, 0.456], [2, 4], ","),  # no thousand begins with 0
        ('y,x\n"1,5","2"\n"3,5","4,25"\n', [1.5, 3.5], [2, 4.25], ","),
        ("y;x\n1.5;2\n3.5;4\n", [1.5, 3.5], [2, 4], "."),
        ("y;x\n.5;2\n3.;4\n", [0.5, 3], [2, 4], "."),
        # Grouped digits: the other mark tells, or another cell does.
        ("y;x\n1.234,5;2\n3,5;1.234\n", [1234.5, 3.5], [2, 1234], ","),
        ("y;x\n1.234.567;2\n1;3\n", [1234567, 1], [2, 3], ","),
        ('y,x\n"1,234.5",2\n3.5,"1,234"\n', [1234.5, 3.5], [2, 1234], "."),
        ('y,x\n"1,234,567",2\n1,3\n', [1234567, 1], [2, 3], "."),
    ],
)
def test_decimal_mark_is_found_and_said(read, text, y, x, mark):
    table = read(text)
    assert table.y.tolist() == y
    assert table.X["x"].tolist() == x
    assert any(s.startswith(f"Decimal mark: '{mark}' (found: '") for s in table.decisions)
    if x[1] == 1234:
        other = {".": ",", ",": "."}[mark]
        assert says(table, f"Column 'x' has '{other}' between thousands: '1{other}234' is 1234.")


@pytest.mark.parametrize("text", ["y;x\n1,234;2\n5;4\n", 'y,x\n"1,234",2\n5,4\n', "y;x\n1.234;2\n5;4\n"])
def test_what_can_be_a_thousand_or_a_fraction_is_an_error(read, text):
    with pytest.raises(TableError, match=r"'1.234' at line 2 can be a thousand or a decimal fraction. Give decimal="):
        read(text)
    as_fraction = "," if "1,2" in text else "."
    as_thousand = "." if "1,2" in text else ","
    assert read(text, decimal=as_fraction).y.tolist() == [1.234, 5]
    table = read(text, decimal=as_thousand)
    assert table.y.tolist() == [1234, 5]
    assert says(table, f"Target 'y' has '{as_fraction}' between thousands: '1{as_fraction}234' is 1234.")


def test_three_decimals_after_a_point_are_said(read):
    assert says(read("y,x\n1.234,2\n5,4\n"), "Decimal mark: '.' ('1.234' at line 2 is less than a thousand).")


def test_both_decimal_marks_are_an_error(read):
    text = "y;x\n1,5;2.5\n5,6;4.25\n"
    with pytest.raises(TableError, match=r"both decimal marks, '.' \('2.5' at line 2\) and ',' \('1,5' at line 2\)"):
        read(text)
    assert read(text, decimal=",").y.tolist() == [1.5, 5.6]


def test_a_text_column_does_not_set_the_decimal_mark(read):
    table = read('y,at\n0.5,"48,8"\n1.5,north\n2.5,south\n3.5,"48,8"\n4.5,north\n5.5,south\n')
    assert table.y.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    assert table.categorical["at"] == ["48,8", "north", "south"]


def test_decimal_mark_that_comes_late_is_never_misread(read):
    """A few cells among thousands of whole numbers, which a look at some rows can miss."""
    whole = [f"{i};{i % 7}" for i in range(5000)]
    for cell, error in [("1.234", "few numbers have a '.'"), ("3,5", "If ',' is its decimal mark, give decimal=','")]:
        with pytest.raises(TableError, match=re.escape(error)):
            read("\n".join(["y;x", *whole[:-3], f"1;{cell}", *whole[-2:]]))


@pytest.mark.parametrize("decimal", ["..", "·", ""])
def test_impossible_decimal_mark(read, decimal):
    with pytest.raises(TableError, match=r"give '\.' or ','"):
        read("y,x\n1,2\n", decimal=decimal)


def test_numbers_are_exact(read):
    values = [0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 2.0**53, 123456789.12345679]
    text = "y;x\n" + "".join(f"{i};{v!r}\n" for i, v in enumerate(values))
    assert read(text).X["x"].tolist() == values
    assert read(text.replace(".", ",")).X["x"].tolist() == values


# --- encoding -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codec", "said"),
    [
        ("utf-8", "Encoding: UTF-8."),
        ("utf-8-sig", "Encoding: UTF-8 (byte-order mark)."),
        ("utf-16", "Encoding: UTF-16 (byte-order mark)."),
        ("utf-32", "Encoding: UTF-32 (byte-order mark)."),
        ("cp1252", "Encoding: cp1252 (the file is not UTF-8)."),
    ],
)
def test_encoding_is_found_and_said(read, codec, said):
    table = read("größe;straße\n1;2\n3;4\n".encode(codec), "größe")
    assert table.target == table.y.name == "größe"
    assert table.X.columns.tolist() == ["straße"]
    assert table.decisions[0] == said


def test_other_encodings(read):
    assert read(b"y,\x81\xe9\n1,2\n2,3\n").decisions[0] == "Encoding: latin-1 (the file is neither UTF-8 nor cp1252)."
    table = read("y,ж\n1,2\n2,3\n".encode("koi8-r"), encoding="koi8-r")
    assert table.X.columns.tolist() == ["ж"]
    assert table.decisions[0] == "Encoding: koi8-r (given)."
    assert read("y,x\n1,2\n2,3\n".encode("utf-16-le"), encoding="utf-16-le").y.tolist() == [1, 2]
    for encoding in ("utf-8", "klingon"):
        with pytest.raises(TableError, match="Give encoding="):
            read(b"y,\xe9\n1,2\n", encoding=encoding)


def test_a_late_letter_still_decides_the_encoding(read):
    table = read(b"y,x\n" + b"1,a\n" * 100_000 + b"2,\xe9\n", "y")
    assert table.categorical["x"] == ["a", "é"]


# --- the file -----------------------------------------------------------------------------------------------------


def test_compressed_files(tmp_path):
    text = b"y,x\n1,2\n3,4\n"
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(text, mtime=0))
    (tmp_path / "t.csv.bz2").write_bytes(bz2.compress(text))
    (tmp_path / "t.csv.xz").write_bytes(lzma.compress(text))
    with zipfile.ZipFile(tmp_path / "t.csv.zip", "w") as archive:
        archive.writestr("t.csv", text)
    for ending in ("gz", "bz2", "xz", "zip"):
        assert read_table(tmp_path / f"t.csv.{ending}", "y").X["x"].tolist() == [2, 4]
        (tmp_path / f"bad.csv.{ending}").write_bytes(b"y,x\n1,2\n")
        with pytest.raises(TableError, match="cannot be read"):
            read_table(tmp_path / f"bad.csv.{ending}", "y")
    (tmp_path / "cut.csv.gz").write_bytes(gzip.compress(text * 100, mtime=0)[:-9])
    with pytest.raises(TableError, match="cannot be read"):
        read_table(tmp_path / "cut.csv.gz", "y")
    with zipfile.ZipFile(tmp_path / "two.zip", "w") as archive:
        archive.writestr("a.csv", text)
        archive.writestr("b.csv", text)
    with pytest.raises(TableError, match=r"cannot be read: Multiple files"):
        read_table(str(tmp_path / "two.zip"), "y")


def test_no_such_file_or_a_folder(tmp_path):
    (tmp_path / "prices.csv").write_text("y\n1\n")
    with pytest.raises(TableError, match=r"no file .*price\.csv\. Nearest: prices\.csv"):
        read_table(tmp_path / "price.csv", "y")
    with pytest.raises(TableError, match=r"There is no file"):
        read_table(tmp_path / "nowhere" / "price.csv", "y")
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path, "y")


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "a PNG picture"),
        (b"PK\x03\x04\x14\0\x06\0", "an Excel workbook or another zip archive"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook"),
        (b"PAR1\x15\x04", "a Parquet file"),
        (b"%PDF-1.7", "a PDF document"),
        (gzip.compress(b"y,x\n1,2\n", mtime=0), r"gzip data \(its name should end in .gz\)"),
        (b"\n<!DOCTYPE html><html>", "a web page"),
        (b"y,x\n1,\0\n", "binary"),
    ],
)
def test_what_is_no_text_is_named(read, content, what):
    with pytest.raises(TableError, match=rf"is {what}.*not a text table. Save it as CSV; .*pandas.read_excel"):
        read(content)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", "is empty"),
        ("\n  \n", "is empty"),
        ("y,x\n", r"has a header \(2 columns\) but no rows"),
        ("y\n\n\n", r"has a header \(1 column\) but no rows"),
        ("y,x\n1,2\n1,3,4\n1\n5,6\n", r"header has 2 fields, but 2 rows differ: line 3 has 3, line 4 has 1\. Correct"),
        ("y,x\n1,5,2,5\n5,6,4,25\n", "2 rows differ: line 2 has 4, line 3 has 4"),
        ("y,x\n1,5,2\n2,6,4\n", "every row has 3 fields, the header 2.*decimal mark"),  # no row names: a decimal comma
        ('y,x\n1,"a\n2,b\n', "line 2: unexpected end of data"),
        ('y,x\n1,"a"b\n2,b\n', "line 2: ',' expected after"),
        ('y,x\n1,"a\nb"\n3,4,5\n', "1 row differ.*line 4 has 3"),
    ],
)
def test_broken_files(read, text, error):
    with pytest.raises(TableError, match=error):
        read(text)


def test_blank_lines_are_said_and_lines_counted_as_in_an_editor(read):
    table = read('\ny,x\n1,"two\nlines"\n\n  \n2,b\r\n3,b\r\n,b\r4,"two\r\nlines"\n\n')
    assert table.rows.tolist() == [3, 7, 8, 10]
    assert says(table, "2 blank lines skipped (lines 5, 6).", "1 row dropped: the target 'y' is missing (line 9).")
    assert read("y,x\r1,2\r\r,\r3,4").rows.tolist() == [2, 5]
    with pytest.raises(TableError, match="Target 'y' is missing in all 1 row"):
        read("y,a\r\r,")  # "\r\r" makes pandas' own reader give up
    with pytest.raises(TableError, match="first at line 5: 'oops'"):
        read('y,x\r\n1,"a\r\nb"\r\n2,c\r\noops,"a\r\nb"\r\n')


# --- columns and their names --------------------------------------------------------------------------------------


def test_names_survive(read):
    table = read("y,<script>alert(1)</script>,two words,ünïcode,\n1,2,3,4,5\n2,3,4,5,9\n")
    assert table.X.columns.tolist() == ["<script>alert(1)</script>", "two words", "ünïcode", ""]
    assert table.X[""].tolist() == [5, 9]


def test_column_that_does_not_exist(read):
    with pytest.raises(TableError, match=r"no column 'prise'. Nearest: 'Price'. The columns are: 'Price', 'x'\."):
        read("Price,x\n1,2\n", "prise")
    for option in ("categorical", "drop"):
        with pytest.raises(TableError, match=r"no column 'z'"):
            read("y,x\n1,2\n", **{option: ["z"]})
    with pytest.raises(TableError, match="first line seems to hold data"):
        read("1.5,2\n1,2\n")


def test_double_names_are_an_error_unless_dropped(read):
    text = "y,x,x,x.1\n1,2,3,4\n5,6,7,9\n"
    with pytest.raises(TableError, match=r"2 columns are called 'x' \(columns 2, 3\)"):
        read(text)
    assert read(text, drop="x").X.columns.tolist() == ["x.1"]
    with pytest.raises(TableError, match="2 columns are called 'y'"):
        read("y,x,y\n1,2,3\n5,6,7\n")


@pytest.mark.parametrize("text", ["y,x,\n1,2,\n5,6,\n", "y,x,,,\n1,2,,,\n5,6,,,\n", "y,x\n1,2,\n5,6,\n"])
def test_trailing_comma(read, text):
    table = read(text)
    assert table.X.columns.tolist() == ["x"]
    end = "it has neither a name nor a value (a delimiter at the end of the lines)"
    assert says(table, f"Column 3 (without a name) dropped: {end}.")


@pytest.mark.parametrize("name", ["", "Unnamed: 0"])
@pytest.mark.parametrize("start", [0, 1])
def test_index_column(read, name, start):
    table = read(f"{name},y,x\n{start},2,1\n{start + 1},6,2\n{start + 2},5,7\n")
    assert table.X.columns.tolist() == ["x"]
    assert any(s.endswith("dropped: it has no name and only numbers the rows.") for s in table.decisions)


def test_what_only_looks_like_an_index_is_kept(read):
    assert read(",y,x\n0,2,1\n2,6,2\n1,5,7\n").X.columns.tolist() == ["", "x"]
    assert read("y,,x\n2,0,1\n6,1,2\n5,2,7\n").X.columns.tolist() == ["", "x"]
    assert read("id,y,x\n0,2,1\n1,6,2\n2,5,7\n").X.columns.tolist() == ["id", "x"]
    assert read(",x\n0,2\n1,6\n", "").y.tolist() == [0, 1]


def test_row_names_as_r_writes_them(read):
    table = read('"y"\t"x"\n"1"\t2\t1\n"2"\t6\t2\n')
    assert table.X.to_dict("list") == {"x": [1, 2]}
    assert says(table, "Column 1 (without a name) dropped: it has no name and only numbers the rows.")
    table = read('"y"\t"x"\n"Ann"\t2\t1\n"Bob"\t6\t2\n')
    assert says(table, "Column 1 (without a name) dropped: it has a different text in every row.")
    assert read("y\tx\na\t1\t01\nb\t2\t1\n", categorical="x").categorical == {"x": ["01", "1"]}


def test_dropped_because_the_user_said_so(read):
    table = read("y,x,z\n1,2,oops\n2,3,4\n3,5,6\n", drop=["z"])  # and not looked at
    assert says(table, "Column 'z' dropped: you asked for it.")
    with pytest.raises(TableError, match="'y' is the target and also in drop"):
        read("y,x\n1,2\n", drop="y")


# --- cells --------------------------------------------------------------------------------------------------------


def test_text_in_a_number_column(read):
    with pytest.raises(
        TableError, match=r"Target 'price' has text in 3 rows, first at line 3: 'n/a\?'\. Write a number"
    ):
        read("price,x\n1,2\nn/a?,2\n3,3\nn/a?,4\nx,4\n5,5\n6,6\n7,7\n", "price")
    with pytest.raises(TableError, match=r"Column 'x' has text in 1 row, first at line 3: 'oops'"):
        read("y,x\n1,2\n2,oops\n3,3\nNA,4\n")
    with pytest.raises(TableError, match="Column 'x' has text in 1 row, first at line 200002: 'oops'"):
        read("y,x\n" + "1,2\n" * 200_000 + "2,oops\n")
    assert read("y,x\n1,2\n2,oops\n3,2\n4,oops\n5,2\n", categorical="x").categorical == {"x": ["2", "oops"]}


@pytest.mark.parametrize(
    "word", ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "#N/A", "<NA>", "?", ".", " Na "]
)
@pytest.mark.parametrize("among", ["numbers", "words"])
def test_usual_spellings_of_missing(read, word, among):
    x = ["1", "2", "1", "2"] if among == "numbers" else ["a", "b", "a", "b"]
    table = read("".join(f"{i},{v}\n" for i, v in enumerate(["x", *x, word])).replace("0,", "y,", 1))
    assert table.dropped == 1
    assert table.rows.tolist() == [2, 3, 4, 5]
    assert says(table, "1 row dropped: a feature is missing (line 6): 'x' in 1 row.")


def test_none_is_missing_among_numbers_and_a_level_among_words(read):
    table = read("y,x,z\n1,None,None\n2,Mild,3\n3,None,4\n4,Mild,5\n")
    assert table.categorical == {"x": ["Mild", "None"]}
    assert table.rows.tolist() == [3, 4, 5]


def test_missing_values_drop_rows_and_say_which(read):
    table = read("y,x,z\n1,2,1\n2,,2\n3,3,\n4,4,5\n,1,1\n5,,\n6,7,8\n7,8,9\n")
    assert table.rows.tolist() == [2, 5, 8, 9]
    assert table.dropped == 4
    assert says(
        table,
        "1 row dropped: the target 'y' is missing (line 6).",
        "3 rows dropped: a feature is missing (lines 3, 4, 7): 'x' in 2 rows, 'z' in 2 rows.",
    )
    assert len(table.X) == len(table.y) == len(table.rows)
    assert table.X.index.equals(table.y.index)
    many = read("y,x\n" + "1,2\n" * 20 + ",1\n" * 12 + "3,4\n")
    assert says(many, "12 rows dropped: the target 'y' is missing (lines 22, 23, 24, 25, 26, ...).")


def test_missing_in_more_than_half_the_rows_is_an_error_that_helps(read):
    text = "y,a,b,c\n" + "1,,2,3\n2,,3,4\n3,,4,5\n4,1,,6\n" + "5,1,2,3\n6,2,3,\n"
    with pytest.raises(TableError, match=r"5 of 6 rows, more than half \('a' in 3\).*drop=\['a'\], which keeps 4 rows"):
        read(text)
    assert len(read(text, drop="a").y) == 4
    with pytest.raises(TableError, match=r"drop=\['a', 'b'\], which keeps 4 rows"):
        read("y,a,b\n1,,\n2,,\n3,,\n4,1,2\n")
    half = read("y,a\n1,\n2,\n3,2\n4,1\n")  # half is not more than half
    assert half.dropped == 2


def test_target_without_values(read):
    with pytest.raises(TableError, match="Target 'y' is missing in all 2 rows"):
        read("y,x\n,1\nNA,2\n")


@pytest.mark.parametrize("cell", ["inf", "-Infinity", "1e999"])
def test_infinite_values(read, cell):
    with pytest.raises(TableError, match=r"Column 'x' is infinite in 1 row \(line 3\)"):
        read(f"y,x\n1,2\n2,{cell}\n3,4\n")
    with pytest.raises(TableError, match=r"Target 'y' is infinite in 1 row \(line 2\)"):
        read(f"y,x\n{cell},2\n2,3\n3,4\n")


def test_true_and_false(read):
    table = read("y,a,b\n1,True,TRUE\n2,False,\n3,false,FALSE\n4,true,TRUE\n")
    assert table.X.to_dict("list") == {"a": [1, 0, 1], "b": [1, 0, 1]}
    assert says(table, "Column 'a' is true or false: coded 1 and 0.", "Column 'b' is true or false: coded 1 and 0.")
    assert read("y,x\nTrue,1\nFalse,2\n").y.tolist() == [1, 0]


@pytest.mark.parametrize(
    "days",
    [
        ["2020-01-31", "2020-02-01"],
        ["31.01.2020", "1.2.2020"],
        ["1/31/20", "2/1/20"],
        ["3 Jan 2020", "4 Feb 2020"],
        ["03-Jan-20", "04-May-20"],
        ["January 3, 2020", "May 4, 2020"],
        ["2020-01-31T12:30:00Z", "2020-01-31 12:30"],
        ["12:30", "23:59:59"],
    ],
)
def test_dates_are_dropped_and_said(read, days):
    table = read(f'y,day,x\n1,"{days[0]}",1\n2,"{days[1]}",2\n3,"{days[0]}",5\n4,"{days[1]}",7\n')
    assert table.X.columns.tolist() == ["x"]
    assert any(s.startswith("Column 'day' dropped: it holds dates or times (") for s in table.decisions)
    with pytest.raises(TableError, match="Target 'day' holds dates or times"):
        read(f'y,day\n1,"{days[0]}"\n2,"{days[1]}"\n', "day")


# --- categories ---------------------------------------------------------------------------------------------------


def test_text_is_one_hot_coded_and_said(read):
    table = read("y,sex,x\n1,male,3\n2,female,1\n3,male,2\n4,other,9\n5,female,1\n6,male,7\n")
    assert table.categorical == {"sex": ["female", "male", "other"]}
    assert table.X.columns.tolist() == ["sex=male", "sex=other", "x"]
    assert table.X["sex=male"].tolist() == [1, 0, 1, 0, 0, 1]
    assert table.X["sex=other"].tolist() == [0, 0, 0, 1, 0, 0]  # rare, and kept
    assert (table.X.dtypes == np.float64).all()
    assert says(table, "Column 'sex' is text with 3 levels: one-hot coded, reference level 'female'.")


def test_levels_that_leave_with_dropped_rows_leave_no_column(read):
    table = read("y,s,x\n1,a,1\n2,b,2\n3,a,3\n4,b,4\n5,c,\n6,a,5\n")
    assert table.categorical == {"s": ["a", "b"]}
    assert read("y,s,x\n1,a,1\n2,a,2\n3,b,\n4,a,3\n").X.columns.tolist() == ["x"]  # constant by then


def test_codes_are_numbers_unless_named(read):
    text = "y,code\n1,10\n2,9\n3,10\n4,09\n5,\n6,9\n"
    assert read(text).X["code"].tolist() == [10, 9, 10, 9, 9]
    table = read(text, categorical="code")
    assert table.categorical == {"code": ["09", "9", "10"]}  # as written, in numeric order
    assert says(table, "Column 'code' is categorical with 3 levels: one-hot coded, reference level '09'.")
    labels = read("y,x\n0,10\n1,1\n0,3\n10,1\n", categorical=["y"])
    assert labels.y.tolist() == ["0", "1", "0", "10"]
    assert labels.categorical == {}


def test_names_and_notes_are_never_coded(read):
    rows = [f"{i % 5},w{i % 60},id{i},{'abc'[i % 3]}\n" for i in range(600)]
    table = read("y,word,id,s\n" + "".join(rows))
    assert table.X.columns.tolist() == ["s=b", "s=c"]
    assert says(table, "Column 'id' dropped: it has a different text in every row.")
    assert any(
        s.startswith("Column 'word' dropped: it is text with 60 different values in 600 rows") for s in table.decisions
    )
    assert read("y,word,id,s\n" + "".join(rows), categorical="word").X.shape == (600, 61)
    few = read("y,s\n1,a\n2,b\n3,c\n4,a\n")
    assert any("3 different values in 4 rows (such as 'a')" in s for s in few.decisions)
    with pytest.raises(TableError, match=r"2,000 levels, and at most 1,000 are coded"):
        read("y,s\n" + "".join(f"{i},w{i}\n" for i in range(2000)), categorical="s")


def test_constant_and_empty_columns_are_dropped_and_said(read):
    table = read("y,k,e,t,x\n1,2,,a,1\n2,2,,a,2\n")
    assert table.X.columns.tolist() == ["x"]
    constant = [f"Column '{name}' dropped: it is constant." for name in "kt"]
    assert says(table, *constant, "Column 'e' dropped: it is empty.")
    assert table.dropped == 0


def test_two_columns_with_one_name_after_coding(read):
    with pytest.raises(TableError, match="Two columns would be called 'x=b'"):
        read("y,x,x=b\n1,a,1\n2,b,2\n3,a,5\n4,b,8\n")


# --- the target ---------------------------------------------------------------------------------------------------


def test_text_target_keeps_its_labels(read):
    table = read("y,x\nb,10\na,1\n a ,3\nb,1\nb,5\n")
    assert table.y.tolist() == ["b", "a", "a", "b", "b"]
    assert says(table, "Target 'y' is text, 2 labels: 'b' (3 rows), 'a' (2 rows).")


def test_numbers_with_units_are_no_labels(read):
    with pytest.raises(
        TableError, match=r"Target 'y' is text with 3 different values, such as '\$1'\. Write it as plain"
    ):
        read("y,x\n$1,10\n$2,1\n$3,3\n")


def test_constant_target_and_one_row_are_left_to_the_caller(read):
    assert says(read("y,x\n3,1\n3,2\n"), "Target 'y' is constant: it is 3.0 in 2 rows.")
    assert says(read("y,x\na,1\na,2\n"), "Target 'y' is constant: it is a in 2 rows.")
    one = read("y,x\n3,1\n")
    assert one.X.shape == (1, 0)
    assert says(one, "Target 'y' is constant: it is 3.0 in 1 row.", "Column 'x' dropped: it is constant.")


# --- what is in memory --------------------------------------------------------------------------------------------


def test_frame_and_file_agree(read):
    rows = ["y,x,s,b,day", "1,2.5,u,True,2020-01-01", "2,,v,False,2020-01-02", "3,4.5,u,False,2020-01-01"]
    text = "\n".join([*rows, ",1,v,True,2020-01-01", "7,8,v,True,2020-01-02"])
    file, frame = read(text), prepare(pd.read_csv(io.StringIO(text)), "y")
    pd.testing.assert_frame_equal(file.X, frame.X)
    pd.testing.assert_series_equal(file.y, frame.y)
    assert file.rows.tolist() == [2, 4, 6]
    assert frame.rows.tolist() == [1, 3, 5]
    in_lines = [s.replace("(row 4)", "(line 5)").replace("(row 2)", "(line 3)") for s in frame.decisions]
    assert list(file.decisions[3:]) == in_lines


def test_arrays_and_lists():
    table = prepare(np.arange(6.0).reshape(3, 2), [1, 0, 1])
    assert isinstance(table, Table)
    assert table.X.to_dict("list") == {"x0": [0, 2, 4], "x1": [1, 3, 5]}
    assert (table.target, table.y.dtype, table.y.tolist()) == ("y", np.float64, [1, 0, 1])
    assert prepare([3, 1, 2], np.ones((3, 1))).X["x0"].tolist() == [3, 1, 2]
    assert prepare([[1, "a"], [2, "b"], [3, "a"], [4, "b"]], list("uvuv")).X["x1=b"].tolist() == [0, 1, 0, 1]
    assert prepare(np.empty((3, 0)), [1, 2, 3]).X.shape == (3, 0)


def test_frames_of_every_type():
    frame = pd.DataFrame(
        {
            "y": pd.array([1, 2, None, 4, 5], dtype="Int64"),
            "flag": pd.array([True, False, True, None, True], dtype="boolean"),
            "size": pd.Categorical(["S", "L", "S", "S", "L"], categories=["S", "M", "L"], ordered=True),
            "mixed": [1, 2.5, "3", 4, 5],
            "when": pd.date_range("2020", periods=5),
            "span": pd.to_timedelta(range(5), "h"),
            7: [1.0, 2.0, 3.0, 4.0, 9.0],
        }
    )
    before = frame.copy()
    table = prepare(frame, "y")
    pd.testing.assert_frame_equal(frame, before)
    assert table.rows.tolist() == [1, 2, 5]
    assert table.X.to_dict("list") == {"flag": [1, 0, 1], "size=L": [0, 1, 1], "mixed": [1, 2.5, 5], "7": [1, 2, 9]}
    assert table.categorical == {"size": ["S", "L"]}  # the order is the user's, and 'M' is nowhere
    assert sum("dates or times" in s for s in table.decisions) == 2


def test_series_target_and_its_frame():
    X = pd.DataFrame({"x": [1, 2, 3]}, index=[5, 6, 7])
    y = pd.Series([3, 4, 5], index=[5, 6, 7], name="price")
    table = prepare(X, y)
    assert (table.target, table.y.name, table.y.tolist()) == ("price", "price", [3, 4, 5])
    with pytest.raises(TableError, match="different indexes"):
        prepare(X, y.sort_index(ascending=False))
    assert prepare(X, y.to_numpy()[::-1]).y.tolist() == [5, 4, 3]
    with pytest.raises(TableError, match="X too has a column 'x'"):
        prepare(X, X["x"])
    with pytest.raises(TableError, match="X has 3 rows and y 2"):
        prepare(X, [1, 2])
    with pytest.raises(TableError, match=r"y has shape \(3, 2\)"):
        prepare(X, np.ones((3, 2)))
    with pytest.raises(TableError, match=r"X has shape \(1, 1, 1\)"):
        prepare(np.ones((1, 1, 1)), [1])
    with pytest.raises(TableError, match="no rows"):
        prepare(X[:0], y[:0])


@pytest.mark.parametrize(
    ("column", "error"),
    [
        ([1 + 2j, 2j, 3j], "complex"),
        ([[1], [2], [3]], "list objects"),
        ([1.0, np.inf, 2.0], r"infinite in 1 row \(row 2\)"),
        ([1, 2, "three"], r"text in 1 row, first at row 3: 'three'"),
        (pd.Categorical([1, "1", 1]), "read the same"),
    ],
)
def test_frame_columns_that_cannot_be_used(column, error):
    with pytest.raises(TableError, match=error):
        prepare(pd.DataFrame({"y": [1, 2, 3], "x": column}), "y")


def test_other_frames():
    polars = pytest.importorskip("polars", reason="polars is not installed")
    frame = polars.DataFrame({"y": [1, 2, 3, 4], "s": ["a", "b", "a", "b"]})
    assert prepare(frame, "y").X.to_dict("list") == {"s=b": [0, 1, 0, 1]}
    assert prepare(frame.drop("y"), frame["y"]).target == "y"


# --- real tables --------------------------------------------------------------------------------------------------

TARGETS = {  # and what schema.json cannot know: rows with a gap, columns that are no features
    "count/bioChemists": ("art", 0),
    "count/quine": ("Days", 0),
    "count/DoctorVisits": ("visits", 0),
    "count/randhie": ("mdvis", 0),
    "count/ships": ("incidents", 0),
    "proportion/GasolineYield": ("yield", 0),
    "survival/lung": ("time", 61),
    "survival/veteran": ("time", 0),
    "ordinal/wine": ("rating", 0),
    "heavy/sp500": ("Close", 0),
    "heavy/danishuni": ("Loss", 0),
    "circular/wind_col_de_la_roa": ("angle", 0),
    "insurance/dataCar": ("numclaims", 0),
}
GONE = {"heavy/sp500": ["Date"], "heavy/danishuni": ["Date"], "insurance/dataCar": ["X_OBSTAT_"]}


@pytest.mark.parametrize("name", TARGETS)
def test_real_tables(name):
    if not (DATA / "tables" / "schema.json").exists():
        pytest.skip(f"{DATA} is not here")
    known = json.loads((DATA / "tables" / "schema.json").read_text())[name]
    target, dropped = TARGETS[name]
    columns = [known["columns"]] if isinstance(known["columns"], str) else known["columns"]
    table = read_table(DATA / known["file"], target)
    assert (len(table.y) + table.dropped, table.dropped) == (known["rows"], dropped)
    numeric = [c for c in table.X.columns if c in columns]
    assert sorted([*numeric, *table.categorical, target, *GONE.get(name, [])]) == sorted(columns)
    for column, levels in known["factor_levels"].items():
        if column in table.categorical:
            assert sorted(table.categorical[column]) == sorted(levels)
        else:  # R's factors of whole numbers are numbers in a file
            assert all(level.isdigit() for level in levels)
    for column in GONE.get(name, []):
        assert any(s.startswith(f"Column '{column}' dropped") for s in table.decisions)
    assert np.isfinite(table.X.to_numpy()).all()


def test_real_factor_of_numbers():
    if not DATA.exists():
        pytest.skip(f"{DATA} is not here")
    table = read_table(DATA / "tables/proportion/GasolineYield.csv", "yield", categorical="batch")
    assert table.categorical["batch"] == [str(i) for i in range(1, 11)]
    assert table.y.iloc[:2].tolist() == [0.122, 0.223]


# --- properties ---------------------------------------------------------------------------------------------------

ODD = string.ascii_letters + " ,;|.\t'\"\n<>=éüß0"
WORDS = st.text(ODD, min_size=1, max_size=8).map(lambda s: f"w{s.strip()}w")
NAMES = st.lists(
    st.text(ODD.replace("0", ""), min_size=1, max_size=8).map(str.strip).filter(bool),
    unique=True,
    min_size=4,
    max_size=4,
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def frames(draw):
    n = draw(st.integers(6, 12))
    levels = draw(st.lists(WORDS, min_size=2, max_size=2, unique=True))
    columns = [
        draw(st.lists(NUMBERS, min_size=n, max_size=n)),
        [0, 1, *draw(st.lists(st.integers(-(10**6), 10**6), min_size=n - 2, max_size=n - 2))],
        [1.5, 0.0, *draw(st.lists(NUMBERS, min_size=n - 2, max_size=n - 2))],
        [levels[i] for i in [0, 1, *draw(st.lists(st.integers(0, 1), min_size=n - 2, max_size=n - 2))]],
    ]
    return pd.DataFrame(dict(zip(draw(NAMES), columns, strict=True)))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    frame=frames(),
    sep=st.sampled_from(",;\t|"),
    decimal=st.sampled_from(".,"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1252"]),
    ending=st.sampled_from(["", ".gz", ".xz"]),
    lines=st.sampled_from(["\n", "\r\n"]),
)
def test_what_was_written_is_read(tmp_path, frame, sep, decimal, encoding, ending, lines):
    """Told how the file was written, it is read the same; left to find out, the same or refused, never another."""
    path = tmp_path / f"table.csv{ending}"
    if encoding == "utf-16" and ending == ".xz":
        encoding = "utf-8"  # pandas writes that one without its byte-order mark
    quoting = csv.QUOTE_ALL if sep == decimal else csv.QUOTE_MINIMAL
    frame.to_csv(path, index=False, sep=sep, decimal=decimal, encoding=encoding, quoting=quoting, lineterminator=lines)
    y, i, x, s = frame.columns

    def check(table):
        assert table.y.tolist() == frame[y].tolist()
        assert table.X[i].tolist() == frame[i].tolist()
        assert table.X[x].tolist() == frame[x].tolist()
        reference, other = table.categorical[s]
        assert [other if code else reference for code in table.X[f"{s}={other}"]] == frame[s].tolist()
        assert table.dropped == 0

    check(read_table(path, y, sep=sep, decimal=decimal, encoding=encoding))
    try:
        found = read_table(path, y)
    except TableError as error:
        assert re.search(r"give sep=|Give decimal=|or give decimal=", str(error)), error  # noqa: PT017
    else:
        check(found)


CELLS = st.one_of(
    st.integers(0, 99).map(str),
    st.sampled_from(["2.5", "3,5", "1,234", "", "NA", "x", "true", "2020-01-01", "inf", "a;b", "a\nb", '5"']),
    st.text('ab1,;."\n\r\t| é\x1f\x0b\x85\u2028', max_size=4),
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.tuples(st.integers(0, 99), CELLS, st.integers(0, 99)), min_size=1, max_size=6),
    sep=st.sampled_from(",;\t|"),
    lines=st.sampled_from(["\n", "\r\n", "\r"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    given_sep=st.booleans(),
)
def test_every_row_and_column_is_accounted_for(tmp_path, rows, sep, lines, quoting, given_sep):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=sep, lineterminator=lines, quoting=quoting)
    writer.writerows([("y", "cell", "x"), *rows])
    path = tmp_path / "table.csv"
    path.write_bytes(text.getvalue().encode())
    try:
        table = read_table(path, "y", sep=sep if given_sep else None)
    except TableError:
        return
    assert len(table.y) + table.dropped == len(rows)
    in_editor = re.split("\r\n|\r|\n", text.getvalue())
    for y, line in zip(table.y, table.rows, strict=True):
        assert in_editor[line - 1].lstrip('"').startswith(str(int(y)))
    for name in ("cell", "x"):
        assert name in table.X or any(f"'{name}'" in s for s in table.decisions)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.one_of(
        st.binary(max_size=40), st.lists(CELLS, max_size=12).map(lambda c: ("y,x\n" + ",".join(c)).encode())
    )
)
def test_whatever_the_bytes_the_error_is_ours(tmp_path, content):
    path = tmp_path / "table.csv"
    path.write_bytes(content)
    try:
        read_table(path, "y")
    except TableError as error:
        assert str(error).endswith((".", ")", "'"))  # noqa: PT017


# --- the rest -----------------------------------------------------------------------------------------------------


def test_a_large_file_takes_seconds(tmp_path):
    n = 200_000
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.standard_normal((n, 7)).round(6), columns=list("abcdefg"))
    frame["count"], frame["group"] = rng.integers(0, 9, n), rng.choice(["u", "v", "w"], n)
    frame["id"] = [f"k{i}" for i in range(n)]
    frame.to_csv(tmp_path / "large.csv", index=False, sep=";", decimal=",")
    start = time.perf_counter()
    table = read_table(tmp_path / "large.csv", "count")
    assert time.perf_counter() - start < 20  # about 1 s on two quiet cores; a loop over cells takes minutes
    assert table.X.shape == (n, 9)
    np.testing.assert_array_equal(table.X["a"], frame["a"])


def test_torch_is_not_needed():
    """The package imports torch next to these modules; they themselves do not, so the command line can be quick."""
    for name in ("table", "columns", "textfile"):
        source = (Path(__file__).parents[1] / f"likelihoods/selection/{name}.py").read_text("utf-8")
        nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
        names = [alias.name for node in nodes for alias in node.names if isinstance(node, ast.Import)]
        names += [node.module for node in nodes if isinstance(node, ast.ImportFrom)]
        own = {n.removeprefix("likelihoods.selection.") for n in names if n.startswith("likelihoods")}
        assert own <= {"columns", "textfile"}
        assert {n.partition(".")[0] for n in names} - {"likelihoods"} <= {*sys.stdlib_module_names, *TABLE_LIBRARIES}


def test_table_is_frozen(read):
    with pytest.raises(AttributeError):
        read("y,x\n1,2\n2,3\n").dropped = 3
