"""Real tables and others' fits, where they lie beside the checkout; tests that need them skip, saying so, where they do not."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared" / "data"


def table(name: str) -> pd.DataFrame:
    for suffix in (".csv", ".csv.gz"):
        path = ROOT / "tables" / f"{name}{suffix}"
        if path.exists():
            return pd.read_csv(path)
    pytest.skip(f"the table {name} is not beside this checkout")


def fits(source: str) -> dict[str, Any]:
    path = ROOT / "reference" / f"{source}_reference.json"
    if not path.exists():
        pytest.skip(f"the reference fits of {source} are not beside this checkout")
    return json.loads(path.read_text())
