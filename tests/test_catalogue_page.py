"""The generated pages of the catalogue say what the rows say, and every row has its place."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

import likelihoods as lk

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def generator():
    spec = importlib.util.spec_from_file_location("generate_catalogue", ROOT / "docs/generate_catalogue.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def pages(generator):
    return generator.pages({}, {entry.name: f"picture of {entry.name}" for entry in lk.entries()})


@pytest.fixture(scope="module")
def sections(pages):
    """Every row's entry by the row's name."""
    found = {}
    for name, page in pages.items():
        if name != "index.md":
            for section in re.split(r"^(?=## )", page, flags=re.MULTILINE)[1:]:
                row = re.match(r"## `(\w+)`\n", section)[1]
                assert row not in found
                found[row] = section
    return found


def said(text):
    """Markdown's escapes taken out."""
    return re.sub(r"\\([*_<\[\]$~\\|])", r"\1", text)


def test_every_row_has_an_entry_and_a_line(pages, sections):
    names = [entry.name for entry in lk.entries() if entry.build.__module__.startswith("likelihoods.catalog.")]
    assert sorted(sections) == sorted(names)
    lines = re.findall(r"^\| \[([\w\\]+)\]\((\w+\.md)#(\w+)\) \|", pages["index.md"], re.MULTILINE)
    assert [said(shown) for shown, _, _ in lines] == [row for _, _, row in lines]
    assert sorted(row for _, _, row in lines) == sorted(names)
    for _, page, row in lines:
        assert f"\n## `{row}`\n" in pages[page]


def test_every_page_is_in_the_table_of_contents(pages):
    listed = re.search(r"```\{toctree\}\n:hidden:\n\n(.*?)```", pages["index.md"], re.DOTALL)[1].split()
    assert [f"{name}.md" for name in listed] == [name for name in pages if name != "index.md"]


def test_every_entry_says_what_its_row_says(sections):
    for name, section in sections.items():
        entry, text = lk.find(name), said(section)
        for example in entry.examples:
            relation = entry.law_relation(**example)
            for each in (relation.sentence(), relation.proper):
                assert " ".join(each.split()) in text, (name, example)
        words = (entry.assumption, entry.use, entry.outcome, entry.elicits.name, f"`{entry.formula.replace('|', '')}`")
        for each in words:
            assert each in text.replace("|", "") or each in text, (name, each)
        for alias in entry.aliases:
            assert f"`{alias}`" in text
        assert entry.model().code() in text
        assert f"picture of {name}" in text


def test_relations_are_linked_to_their_sections(generator, sections):
    headings = re.findall(r"^## (.*)", (ROOT / "docs/relations.md").read_text("utf-8"), re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for name, section in sections.items():
        assert re.search(r"\]\(\.\./relations\.md#([\w-]+)\)", section)[1] in anchors, name


def test_references_are_links(generator):
    made = generator.linked(
        "Huber (1964), doi:10.1214/aoms/1177703732; A (2001), arXiv:1701.03077. See https://x.org/a_b."
    )
    assert "(1964), [doi:10.1214/aoms/1177703732](<https://doi.org/10.1214/aoms/1177703732>); A" in made
    assert "[arXiv:1701.03077](<https://arxiv.org/abs/1701.03077>). See" in made
    assert made.endswith(r"[https://x.org/a\_b](<https://x.org/a_b>).")


def test_claims_are_shown(generator):
    def claim(name, error, tolerance, status, note):
        return {"claim": name, "error": error, "tolerance": tolerance, "status": status, "note": note}

    found = [
        claim("relation", 1e-16, 1e-12, "pass", "near"),
        claim("relation", 3e-13, 1e-12, "pass", "nearest"),
        claim("cdf", 0.5, 1e-6, "FAIL", "off"),
        claim("sampler", None, None, "not available", "none"),
    ]
    text = "\n".join(generator.claims_section(lk.find("mse"), found))
    assert "| relation | `3.0e-13` | `1.0e-12` | 2 | nearest |" in text
    assert "| cdf **fails** | `5.0e-01` | `1.0e-06` | 1 | off |" in text
    assert "Not measured: sampler (none)." in text
    assert "were not measured" in "\n".join(generator.claims_section(lk.find("mse"), []))


def test_a_vector_is_said_to_have_no_picture(generator, tmp_path):
    assert "its target is a vector" in generator.draw(lk.find("dirichlet"), tmp_path)
    assert (tmp_path / "mse.png").exists() is False
    assert f"({tmp_path.name}/mse.png)" in generator.draw(lk.find("mse"), tmp_path)
    assert (tmp_path / "mse.png").exists()
