"""Every ```python block of the README, CONTRIBUTING and the documentation runs, page by page, in one namespace a page.

A block whose fence says `python no-run` is shown only; other languages are not looked at.
"""

import re
from pathlib import Path

import pytest

import likelihoods as lk

ROOT = Path(__file__).parents[1]
CANDIDATES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [page for page in CANDIDATES if page.exists()]
FENCE = re.compile(r"^(?P<ticks>`{3,})(?P<info>[^\n`]*)\n(?P<body>.*?)^(?P=ticks)[ \t]*$", re.DOTALL | re.MULTILINE)


def python_blocks(text):
    """The blocks to run, each with blank lines before it so that a traceback shows the page's own line."""
    for match in FENCE.finditer(text):
        if match["info"].split() == ["python"]:
            yield "\n" * text.count("\n", 0, match.start("body")) + match["body"]


def shown_values(block):
    """What a block says that an expression gives: a line with a quoted string as its comment."""
    return re.findall(r"^([\w.]+(?:\(\))?)[ ]+# ('[^']*')$", block, re.MULTILINE)


@pytest.fixture
def table():
    """Give the table of losses back as it was: a page may register a row of its own."""
    before = {entry.name for entry in lk.entries()}
    yield
    for entry in list(lk.entries()):
        if entry.name not in before:
            lk.unregister(entry.name)


@pytest.mark.usefixtures("table")
@pytest.mark.parametrize("page", PAGES, ids=[str(page.relative_to(ROOT)) for page in PAGES])
def test_blocks_run(page, tmp_path, monkeypatch):
    blocks = list(python_blocks(page.read_text(encoding="utf-8")))
    if not blocks:
        pytest.skip("no python block on this page")
    monkeypatch.chdir(tmp_path)  # what a block writes is thrown away
    monkeypatch.setenv("MPLBACKEND", "Agg")
    namespace = {"__name__": page.stem}
    for block in blocks:
        exec(compile(block, str(page), "exec"), namespace)
        for expression, value in shown_values(block):
            assert repr(eval(expression, namespace)) == value, f"{page.name} says that {expression} is {value}"


def test_which_blocks_run():
    text = "# a\n```python\nx = 1\n```\n```python no-run\ny\n```\n```text\nz\n```\n````md\n```python\nw\n```\n````\n"
    assert list(python_blocks(text)) == ["\n\nx = 1\n"]


def test_every_fence_is_closed():
    for page in PAGES:
        assert len(re.findall(r"^```", FENCE.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)) == 0, page


def test_what_a_comment_says_is_compared():
    block = "loss.name  # 'mse'\nx = 1  # 'not an expression'\nloss.nll(a, b)  # prose\nloss.sentence()  # 'l'\n"
    assert shown_values(block) == [("loss.name", "'mse'"), ("loss.sentence()", "'l'")]
    readme = "".join(python_blocks((ROOT / "README.md").read_text(encoding="utf-8")))
    assert len(shown_values(readme)) >= 3
