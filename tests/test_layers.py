"""Each row of the layout in docs/design.md imports only from the rows before it."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "likelihoods"
OUTSIDE = {"__init__", "__main__", "data"}
FORBIDDEN = {("vae", "losses"), ("selection", "losses")}  # nats and conventional values cannot mix

# The page is the authority: change the layout there first, then the code.
DESIGN = (ROOT / "docs/design.md").read_text("utf-8")
LAYOUT = re.search(r"^likelihoods/\n(.*?)^```", DESIGN, re.DOTALL | re.MULTILINE)[1]
ROWS = [row for row in re.findall(r"^  (\w+)(?:\.py|/)", LAYOUT, re.MULTILINE) if row not in OUTSIDE]


def imported(source, package):
    """The package's rows that a module's source imports; "" is the package itself, `import likelihoods`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: -(node.level - 1) or None] if node.level else []
            module = ".".join([*parts, *filter(None, [node.module])])
            names = [f"{module}.{alias.name}" for alias in node.names] if module == "likelihoods" else [module]
        else:
            continue
        for top, _, rest in (name.partition(".") for name in names):
            if top == "likelihoods":
                yield row if (row := rest.partition(".")[0]) in {*ROWS, *OUTSIDE} else ""


def violations(source, row, package="likelihoods"):
    """The rows that a module in `row` imports against the order. The last row may import the package itself."""
    if row not in ROWS:
        return ["a module that the layout in docs/design.md lacks"]
    allowed = {*ROWS[: ROWS.index(row) + 1], "data", *([""] if row == ROWS[-1] else [])}
    return [name for name in imported(source, package) if name not in allowed or (row, name) in FORBIDDEN]


def modules():
    for path in sorted(PACKAGE.rglob("*.py")):
        row = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if row not in OUTSIDE:
            yield pytest.param(path, row, id=str(path.relative_to(PACKAGE)))


@pytest.mark.parametrize(("path", "row"), list(modules()))
def test_imports_only_from_rows_before(path, row):
    package = ".".join(path.relative_to(ROOT).parent.parts)
    assert violations(path.read_text("utf-8"), row, package) == []


def test_layout_is_read_whole():
    assert ROWS[0] == "special"
    assert ROWS[-4:] == ["regression", "selection", "vae", "cli"]
    assert len(ROWS) >= 19


@pytest.mark.parametrize(
    ("row", "package", "source", "found"),
    [
        ("links", "likelihoods", "from . import losses", ["losses"]),
        ("links", "likelihoods", "from .losses import NLL", ["losses"]),
        ("links", "likelihoods", "import likelihoods.losses as own", ["losses"]),
        ("links", "likelihoods", "from likelihoods.catalog.real import mse", ["catalog"]),
        ("links", "likelihoods", "def late():\n    from .registry import find", ["registry"]),
        ("links", "likelihoods", "if TYPE_CHECKING:\n    from .likelihood import Likelihood", ["likelihood"]),
        ("links", "likelihoods", "from . import special, sources, distributions", ["sources"]),
        ("links", "likelihoods", "import likelihoods as lk", [""]),
        ("links", "likelihoods", "from likelihoods import loss", [""]),
        ("links", "likelihoods", "import torch, math\nfrom torch import nn\nfrom .special import log1mexp", []),
        ("links", "likelihoods", "from .data import randhie_path", []),
        ("catalog", "likelihoods.catalog", "from ..verification import verify", ["verification"]),
        ("catalog", "likelihoods.catalog", "from .. import nn", ["nn"]),
        ("catalog", "likelihoods.catalog", "from .real import mse\nfrom ..registry import register", []),
        ("catalog", "likelihoods.catalog", "from . import nn", []),  # likelihoods.catalog.nn: the same row
        ("selection", "likelihoods.selection", "from ..losses import NLL", ["losses"]),
        ("vae", "likelihoods.vae", "from likelihoods import losses", ["losses"]),
        ("regression", "likelihoods.regression", "from ..losses import NLL", []),
        ("cli", "likelihoods", "import likelihoods\nfrom . import selection", []),
        ("helpers", "likelihoods", "", ["a module that the layout in docs/design.md lacks"]),
    ],
)
def test_planted_imports(row, package, source, found):
    assert violations(source, row, package) == found
