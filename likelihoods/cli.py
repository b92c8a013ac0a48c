"""The command line: it reads entries, claims and choices, and prints them.

Nothing but click is imported until a command runs, so that help costs nothing.
"""

from __future__ import annotations

import ast
import dis
import json
import os
import shutil
import textwrap
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

import likelihoods

if TYPE_CHECKING:
    from likelihoods.registry import Entry

PACKAGE = __name__.partition(".")[0]
PICTURES = ("png", "svg", "pdf")  # as likelihoods.style has them


class Output(click.Path):
    """A file to be written: refused before the work is done rather than after it."""

    def __init__(self, *endings: str) -> None:
        super().__init__(dir_okay=False, writable=True, path_type=Path)
        self.endings = endings

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, whose folder exists and can be written to."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if self.endings and path.suffix.lower().removeprefix(".") not in self.endings:
            self.fail(f"{path}: the name must end in {', '.join('.' + each for each in self.endings)}.", param, ctx)
        folder = path.absolute().parent
        if not folder.is_dir():
            self.fail(f"{path}: the folder {folder} does not exist.", param, ctx)
        if not os.access(folder, os.W_OK):
            self.fail(f"{path}: the folder {folder} cannot be written to.", param, ctx)
        return path


class Commands(click.Group):
    """The commands; what the package says is wrong is one message, anything else keeps its traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (ValueError, TypeError, OSError) as error:
            if not _said(error):
                raise
            raise Refusal(str(error)) from error


class Refusal(click.ClickException):
    """A message about what the user gave."""

    exit_code = 2


def _said(error: Exception) -> bool:
    """Return whether a `raise` in the package made the error: a message to the user, not a fault."""
    trace: TracebackType | None = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or str(trace.tb_frame.f_globals.get("__name__", "")).partition(".")[0] != PACKAGE:
        return False
    return dis.opname[trace.tb_frame.f_code.co_code[trace.tb_lasti]] == "RAISE_VARARGS"


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(likelihoods.__version__, prog_name="likelihoods")
def main() -> None:
    """Every loss is an assumption about how the data came to be.

    See which, check it, and find the one that your data support.
    """


@main.command("list", short_help="List the losses.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
def list_command(as_json: bool) -> None:
    """List the losses: name, assumption, other names."""
    from likelihoods.catalog import entries

    rows = list(entries())
    if as_json:
        click.echo(json.dumps([_record(entry) for entry in rows], indent=1, ensure_ascii=False))
        return
    name = max(len(entry.name) for entry in rows)
    width = max(60, shutil.get_terminal_size((100, 24)).columns) - 1
    for space in dict.fromkeys(map(_space, rows)):
        click.echo(f"{space}:")
        for entry in (entry for entry in rows if _space(entry) == space):
            click.echo(_hang(f"  {entry.name:{name}}  ", entry.assumption, width))
            if entry.aliases:
                click.echo(_hang(" " * (name + 4), f"also: {', '.join(entry.aliases)}", width))
        click.echo()
    click.echo("More about one: likelihoods show NAME")


@main.command(short_help="Show what a loss assumes.")
@click.argument("name")
@click.option(
    "-o", "--option", "given", multiple=True, metavar="OPTION=VALUE", help="An option of the loss; may be repeated."
)
@click.option("--plot", type=Output(*PICTURES), help="Draw the loss and what it assumes, to a .png, .svg or .pdf file.")
def show(name: str, given: tuple[str, ...], plot: Path | None) -> None:
    """Show what a loss assumes, with its formula, options, support and reference."""
    from likelihoods.catalog import find

    entry = find(name)
    options = dict(_option(text) for text in given)
    lines = entry.describe(**options)
    click.echo(entry.name)
    width = max(60, shutil.get_terminal_size((100, 24)).columns) - 1
    for title, text in lines.items():
        if text:
            click.echo(_hang(f"  {title:9}  ", text, width))
    if plot is not None:
        from likelihoods.pictures import picture
        from likelihoods.style import save

        click.echo(f"  picture    {save(picture(entry, **options), plot)}")


@main.command(short_help="Check every claim about the losses.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--all", "every", is_flag=True, help="Every loss; the same as no NAME.")
@click.option("--json", "path", type=Output(), help="Write the claims to a JSON file, too.")
@click.option("--quiet", is_flag=True, help="No progress.")
@click.pass_context
def verify(ctx: click.Context, names: tuple[str, ...], every: bool, path: Path | None, quiet: bool) -> None:
    """Execute every claim about the losses NAME (or about all), as errors that should be nought.

    The exit status is 1 when a claim fails.
    """
    if every and names:
        raise click.UsageError("Give names or --all, not both.")
    from likelihoods.verification import verify as execute

    report = execute(names or None, progress=not quiet)
    click.echo(str(report))
    if path is not None:
        report.to_json(path)
        click.echo(f"The claims are in {path}.")
    ctx.exit(0 if report.passed else 1)


@main.command(short_help="Find the loss that a table supports.")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option("--target", metavar="COLUMN", help="The column to predict.  [mdvis without FILE]")
@click.option("--candidates", metavar="A,B,C", help="Losses to compare; all that fit the target if left out.")
@click.option("--cv", default=5, show_default=True, metavar="FOLDS", help="Folds that are held out in turn.")
@click.option(
    "--kind",
    metavar="KIND",
    help="What the target is, if its values mislead: real, positive, unit interval, count, binary or category.",
)
@click.option(
    "--categorical", multiple=True, metavar="COLUMN", help="A column of numbers that are labels; may be repeated."
)
@click.option("--drop", multiple=True, metavar="COLUMN", help="A column to leave out; may be repeated.")
@click.option("--sep", metavar="CHARACTER", help="The delimiter; found if left out.")
@click.option("--decimal", metavar="CHARACTER", help="The decimal mark, . or ,; found if left out.")
@click.option("--encoding", help="The encoding; found if left out.")
@click.option("--seed", default=0, show_default=True, help="Of the folds and the randomised PIT.")
@click.option("--report", type=Output(), help="Write the report, one HTML file.")
@click.option(
    "--plot", type=Output(*PICTURES), help="Draw the ranking and the calibration, to a .png, .svg or .pdf file."
)
@click.option("--quiet", is_flag=True, help="Print the recommendation alone, and no progress.")
def choose(
    file: Path | None,
    target: str | None,
    candidates: str | None,
    cv: int,
    kind: str | None,
    categorical: tuple[str, ...],
    drop: tuple[str, ...],
    sep: str | None,
    decimal: str | None,
    encoding: str | None,
    seed: int,
    report: Path | None,
    plot: Path | None,
    quiet: bool,
) -> None:
    """Find the loss that the data support: fit every candidate to the table FILE, rank them on held-out rows.

    FILE is a CSV or TSV file, compressed or not. Without it the table that ships in the package is used: 20,190
    person-years of the RAND Health Insurance Experiment, visits to a doctor.
    """
    if file is None:
        from likelihoods.data import randhie_path

        file, target = randhie_path(), target or "mdvis"
    if target is None:
        raise click.UsageError(f"Which column of {file} is to be predicted? Give --target COLUMN.")
    from likelihoods import selection

    table = selection.read_table(
        file, target, sep=sep, decimal=decimal, encoding=encoding, categorical=categorical, drop=drop
    )
    names = [name.strip() for name in candidates.split(",")] if candidates is not None else None
    choice = selection.choose(table, candidates=names, cv=cv, kind=kind, seed=seed, progress=not quiet)
    if quiet:
        click.echo(choice.verdict)
    else:
        click.echo(f"{file}: {len(table.X):,} rows, {len(choice.columns)} columns, {choice.dropped:,} rows dropped")
        for decision in choice.decisions:
            click.echo(f"- {decision}")
        click.echo(f"\n{choice}")
        if choice.pit is not None and choice.coverage is not None:
            from likelihoods.selection.calibration import reading

            levels = " and ".join(f"{100 * level:g} %" for level in choice.coverage)
            shares = " and ".join(f"{100 * share:.1f} %" for share in choice.coverage.values())
            click.echo(f"\nThe central {levels} intervals hold {shares} of the held-out targets.")
            click.echo(f"PIT: {reading(choice.pit)}")
        if choice.best is not None:
            click.echo(f"\n{textwrap.indent(choice.snippet, '    ')}")
        click.echo(f"{choice.seconds:.1f} seconds of fitting, {cv} folds, seed {seed}.")
    if report is not None:
        click.echo(f"Report: {choice.report(report)}")
    if plot is not None:
        from likelihoods.style import save

        click.echo(f"Picture: {save(choice.plot(), plot)}")
    if report is None and not quiet:
        click.echo("With --report report.html the same is written as a page with pictures.", err=True)


def _space(entry: Entry) -> str:
    home, _, space = entry.build.__module__.rpartition(".")
    return space if home == f"{PACKAGE}.catalog" else "yours"


def _record(entry: Entry) -> dict[str, Any]:
    return {
        "name": entry.name,
        "space": _space(entry),
        "assumption": entry.assumption,
        "use": entry.use,
        "formula": entry.formula,
        "options": entry.options,
        "relation": entry.law_relation().sentence(),
        "proper": entry.law_relation().proper,
        "outcome": entry.outcome,
        "elicits": entry.elicits.name,
        "aliases": list(entry.aliases),
        "reference": entry.reference,
    }


def _hang(title: str, text: str, width: int) -> str:
    """Return text wrapped beside its title."""
    return textwrap.fill(text, width, initial_indent=title, subsequent_indent=" " * len(title), break_on_hyphens=False)


def _option(text: str) -> tuple[str, Any]:
    """Return an option's name and value, read as Python's own constants."""
    name, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not name:
        raise click.BadParameter(f"{text!r} is not of the form option=value, such as delta=0.5.", param_hint="-o")
    words = {"true": True, "false": False, "none": None}
    try:
        if value.isidentifier():  # a word, such as link=probit
            return name, words.get(value.lower(), value)
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        raise click.BadParameter(
            f"{value!r}, given for {name}, is neither a number nor a word, nor a list of such in brackets.",
            param_hint="-o",
        ) from None
