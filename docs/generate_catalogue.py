"""Writes docs/catalogue/: a page for each file of rows, an entry for each row, and an index; Sphinx runs it at each build.

The claims come from docs/_build/claims.json where it is there; `likelihoods verify --all --json docs/_build/claims.json` measures
them.
"""

import datetime
import json
import re
import sys
from collections import defaultdict
from pathlib import Path
from types import ModuleType

import likelihoods as lk
from likelihoods import catalog
from likelihoods.pictures import picture
from likelihoods.registry import Entry
from likelihoods.relations import Exact, Relation
from likelihoods.style import save

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/catalogue"
CLAIMS = ROOT / "docs/_build/claims.json"
MEASURED = ("pass", "FAIL")


def spaces() -> dict[ModuleType, list[Entry]]:
    """Return the rows of each file of the catalogue, in the catalogue's order."""
    rows = defaultdict(list)
    for entry in lk.entries():
        if entry.build.__module__.startswith(f"{catalog.__name__}."):
            rows[sys.modules[entry.build.__module__]].append(entry)
    return dict(rows)


def space_name(space: ModuleType) -> str:
    """Return the name of a file of rows, which is that of its page."""
    return space.__name__.rpartition(".")[2]


def plain(text: str) -> str:
    """Return text that says the same in Markdown, in and out of tables; what stands between backticks stays code."""
    parts = re.split(r"(`[^`]*`)", re.sub(r"\s+", " ", text))
    parts = [part if part.startswith("`") else re.sub(r"([*_<\[\]$~\\])", r"\\\1", part) for part in parts]
    return "".join(parts).replace("|", r"\|")


def linked(reference: str) -> str:
    """Return a reference whose DOIs, arXiv numbers and addresses are links."""
    parts = re.split(r"(doi:10\.\S+?(?=[;,.)]*(?:\s|$))|arXiv:[\w./-]*\w|https?://\S+?(?=[;,.)]*(?:\s|$)))", reference)
    for k, part in enumerate(parts):
        address = part.replace("doi:", "https://doi.org/").replace("arXiv:", "https://arxiv.org/abs/")
        parts[k] = f"[{plain(part)}](<{address}>)" if k % 2 else plain(part)
    return "".join(parts)


def setting(name: str, options: dict) -> str:
    """Return a row with its options as one would write it."""
    return f"`{name}({', '.join(f'{key}={value!r}' for key, value in options.items())})`".replace("()", "")


def kind(relation: Relation) -> str:
    """Return the type of a relation."""
    return "Exact" if relation == Exact else type(relation).__name__


def anchor(relation: Relation) -> str:
    """Return the anchor of a relation's section in relations.md."""
    name = type(relation).__name__
    heading = re.search(rf"^## ({name}\b.*)", (ROOT / "docs/relations.md").read_text("utf-8"), re.MULTILINE)
    if heading is None:
        raise ValueError(f"relations.md has no section whose heading begins with {name}.")
    return re.sub(r"[^\w -]", "", heading[1].lower()).replace(" ", "-")


def entry_section(entry: Entry, claims: list[dict], drawn: str) -> list[str]:
    """Return the lines of one row's entry.

    Args:
        entry: the row.
        claims: those of the row, as a report's JSON has them.
        drawn: the line that shows its picture, or says why there is none.
    """
    relation, model = entry.law_relation(), entry.model()
    none = relation if isinstance(relation, lk.relations.NoLikelihood) else None
    options = ", ".join(f"`{name}={value!r}`" for name, value in entry.options.items())
    lent = f" (of [{none.nearest}]({page_of(none.nearest)}#{none.nearest}), which lends its shapes)" if none else ""
    facts = {
        "Loss": f"`{entry.formula}`",
        "Relation": f"[{kind(relation)}](../relations.md#{anchor(relation)}): {plain(relation.sentence())}",
        "As a score": plain(relation.proper),
        "Random is": plain(entry.outcome),
        "Support": plain(model._support_text(None)),
        "Elicits": plain(entry.elicits.name),
        "Options": options or "none",
        "Likelihood": f"`{model.code()}`{lent}",
        "Also called": ", ".join(f"`{alias}`" for alias in entry.aliases) or "nothing else",
        "Source": linked(entry.reference),
    }
    lines = [f"## `{entry.name}`", "", f"**{plain(entry.assumption)}**", ""]
    if entry.use:
        lines += [plain(entry.use), ""]
    lines += [drawn, "", *(f"* **{title}:** {text}" for title, text in facts.items()), ""]
    others = [example for example in entry.examples if example]
    if others:
        lines += ["With other options:", ""]
    for example in others:
        here = entry.law_relation(**example)
        score = "" if here.proper == relation.proper else f". As a score: {plain(here.proper)}"
        lines.append(f"* {setting(entry.name, example)}: {kind(here)}, {plain(here.sentence())}{score}")
    lines += [""] if others else []
    return lines + claims_section(entry, claims)


def claims_section(entry: Entry, claims: list[dict]) -> list[str]:
    """Return the table of what was measured: of each claim the setting that came closest to failing."""
    if not claims:
        return [
            "Its claims were not measured for this build of the pages: " + f"`likelihoods verify {entry.name}`.",
            "",
        ]
    by_claim = defaultdict(list)
    for claim in claims:
        by_claim[claim["claim"]].append(claim)
    rows, silent = [], []
    for name, found in by_claim.items():
        measured = [claim for claim in found if claim["status"] in MEASURED]
        if not measured:
            silent.append(f"{name} ({plain(found[0]['note'])})")
            continue
        worst = max(measured, key=closeness)
        error, tolerance = (
            "" if x is None else f"`{x:.1e}`" if x else "0" for x in (worst["error"], worst["tolerance"])
        )
        failed = "" if worst["status"] == "pass" else " **fails**"
        rows.append(f"| {name}{failed} | {error} | {tolerance} | {len(measured)} | {plain(worst['note'])} |")
    lines = []
    if rows:
        lines += ["| measured claim | error | tolerance | settings | how |", "|---|---|---|---|---|", *rows, ""]
    if silent:
        lines += [f"Not measured: {'; '.join(silent)}.", ""]
    return lines


def closeness(claim: dict) -> float:
    """Return how close a claim came to failing: its error in units of its tolerance."""
    if claim["status"] == "FAIL":
        return float("inf")
    return claim["error"] / claim["tolerance"] if claim["tolerance"] else 0.0


def page_of(name: str) -> str:
    """Return the page that a row is on."""
    return f"{lk.find(name).build.__module__.rpartition('.')[2]}.md"


def pages(claims: dict, drawn: dict[str, str]) -> dict[str, str]:
    """Return the text of each page by its file name.

    Args:
        claims: what a report's JSON holds, with the day on which it was written as "date"; or nothing.
        drawn: for each row the line that shows its picture, or says why there is none.
    """
    by_row = defaultdict(list)
    for claim in claims.get("claims", []):
        by_row[claim["loss"]].append(claim)
    made = {"index.md": index(claims)}
    for space, rows in spaces().items():
        title = space_name(space).replace("_", " ").capitalize()
        lines = [f"# {title}", "", plain(space.__doc__.partition("\n\n")[0]), ""]
        for entry in rows:
            lines += entry_section(entry, by_row[entry.name], drawn.get(entry.name, ""))
        made[f"{space_name(space)}.md"] = "\n".join(lines).rstrip() + "\n"
    return made


def index(claims: dict) -> str:
    """Return the page that lists all rows."""
    rows = spaces()
    lines = [
        "# The catalogue",
        "",
        f"The {sum(map(len, rows.values()))} named losses, each with what it assumes. These pages are written from the rows "
        "themselves, as `likelihoods show NAME` is. [Which loss](../which.md) starts from the target instead, "
        "[What a loss may be to its likelihood](../relations.md) says what the relations are.",
        "",
        measured(claims),
        "",
    ]
    for space, entries in rows.items():
        page = space_name(space)
        about = plain(space.__doc__.partition("\n\n")[0])  # no heading: the navigation has the page itself
        lines += [f"**[{page.replace('_', ' ').capitalize()}]({page}.md).** {about}", ""]
        lines += ["| loss | what it assumes | relation | elicits |", "|---|---|---|---|"]
        for entry in entries:
            name = f"[{plain(entry.name)}]({page}.md#{entry.name})"
            lines.append(
                f"| {name} | {plain(entry.assumption)} | {kind(entry.law_relation())} | {plain(entry.elicits.name)} |"
            )
        lines.append("")
    lines += ["```{toctree}", ":hidden:", "", *map(space_name, rows), "```", ""]
    return "\n".join(lines)


def measured(claims: dict) -> str:
    """Return the sentence that says how and when the claims were measured."""
    if not claims:
        return "The claims were not measured for this build of the pages; `make docs` does so."
    count = len([claim for claim in claims["claims"] if claim["status"] in MEASURED])
    failed = len([claim for claim in claims["claims"] if claim["status"] == "FAIL"])
    versions = ", ".join(f"{name} {version}" for name, version in claims["versions"].items())
    return (
        f"Under each loss stand the claims that `verify` executed: {count:,} in all, of which {failed or 'none'} failed "
        f"({claims['date']}; {versions}; seed {claims['seed']}). Of each claim the setting of the options that came closest "
        f"to failing is shown, and the number of settings at which it was measured."
    )


def draw(entry: Entry, folder: Path) -> str:
    """Draw a row unless that was done after its source was last changed; return the line that shows the picture."""
    path = folder / f"{entry.name}.png"
    changed = max(file.stat().st_mtime for file in (ROOT / "likelihoods").rglob("*.py"))
    if not path.exists() or path.stat().st_mtime < changed:
        try:
            save(picture(entry), path)
        except ValueError as error:
            return f"No picture: {plain(str(error).partition(': ')[2])}"
    return f"![{entry.name}: the loss, and the law that it assumes]({folder.name}/{path.name})"


def main() -> None:
    """Write all pages and pictures."""
    folder = FOLDER / "pictures"
    folder.mkdir(parents=True, exist_ok=True)
    claims = {}
    if CLAIMS.exists():
        day = datetime.date.fromtimestamp(CLAIMS.stat().st_mtime)
        claims = json.loads(CLAIMS.read_text("utf-8")) | {"date": day.isoformat()}
    drawn = {entry.name: draw(entry, folder) for rows in spaces().values() for entry in rows}
    made = pages(claims, drawn)
    for path in FOLDER.glob("*.md"):
        if path.name not in made:
            path.unlink()
    for name, text in made.items():
        path = FOLDER / name
        if not path.exists() or path.read_text("utf-8") != text:
            path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
