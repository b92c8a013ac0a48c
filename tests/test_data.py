"""The shipped table is the one that its description describes."""

import gzip
import hashlib
import re

import pandas as pd
import pytest

from likelihoods.data import randhie_path

COLUMNS = ["mdvis", "lncoins", "idp", "lpi", "fmde", "physlm", "disea", "hlthg", "hlthf", "hlthp"]


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(randhie_path())


@pytest.fixture(scope="module")
def description():
    return randhie_path().with_name("randhie.md").read_text(encoding="utf-8")


def test_rows_columns_and_totals(table):
    assert list(table.columns) == COLUMNS
    assert len(table) == 20_190
    assert not table.isna().any(axis=None)
    assert table["mdvis"].dtype == "int64"
    assert (table["mdvis"].sum(), table["mdvis"].min(), table["mdvis"].max()) == (57_752, 0, 77)


def test_statements_of_the_description(table, description):
    assert round(100 * (table["mdvis"] == 0).mean()) == 31
    assert (round(table["mdvis"].mean(), 2), round(table["mdvis"].var(), 1)) == (2.86, 20.3)
    assert table.duplicated().sum() == 11_065
    assert table["lncoins"].nunique() == 5
    assert table["disea"].nunique() == 31
    assert (table["fmde"] * table["idp"]).max() > 0
    assert re.findall(r"^\| `(\w+)`", description, re.MULTILINE) == COLUMNS


def test_bytes_are_those_of_the_description(description):
    packed = randhie_path().read_bytes()
    recorded = re.findall(r"\| (\d+) \| `([0-9a-f]{64})`", description)
    measured = [(str(len(data)), hashlib.sha256(data).hexdigest()) for data in (packed, gzip.decompress(packed))]
    assert recorded == measured


def test_same_numbers_as_statsmodels(table):
    randhie = pytest.importorskip("statsmodels.datasets.randhie")
    pd.testing.assert_frame_equal(table, randhie.load_pandas().data[COLUMNS], check_dtype=False)
