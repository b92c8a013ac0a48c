"""The command line: what it prints, its exit status, and what it does not import."""

import json
import os
import re
import subprocess
import sys

import matplotlib
import numpy as np
import pytest
import torch
from click.testing import CliRunner

import likelihoods as lk
from likelihoods import cli, verification
from likelihoods.catalog import find
from likelihoods.pictures import picture
from likelihoods.selection.describe import KINDS
from likelihoods.style import FORMATS, save

HEAVY = ("torch", "pyro", "numpy", "pandas", "scipy", "sklearn", "matplotlib", "jinja2")
SETTINGS = [pytest.param(e, x, id=f"{e.name}{x or ''}") for e in lk.entries() for x in e.examples]


def run(*arguments):
    """Run a command; an exception that is no exit is kept in the result."""
    return CliRunner().invoke(cli.main, [str(each) for each in arguments], env={"COLUMNS": "100"})


def one_line(text):
    return " ".join(text.split())


@pytest.fixture
def visits(tmp_path):
    rng = np.random.default_rng(0)
    x = rng.normal(size=120)
    rows = "".join(
        f"{y};{a:.4f};{t}\n" for y, a, t in zip(rng.poisson(np.exp(0.3 + 0.5 * x)), x, "ab" * 60, strict=True)
    )
    path = tmp_path / "visits.csv"
    path.write_text(f"visits;age;town\n{rows}3;;a\n")
    return path


def test_help_imports_nothing_heavy():
    code = f"""
import sys
from click.testing import CliRunner
from likelihoods.cli import main
for arguments in ([], ["--help"], ["--version"], *([name, "--help"] for name in main.commands)):
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code in (0, 2) and result.exception.__class__ in (type(None), SystemExit), arguments
    assert "--help" in result.output or "version" in result.output, arguments
print(sorted(set({HEAVY!r}) & set(sys.modules)), sorted(main.commands))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout == "[] ['choose', 'list', 'show', 'verify']\n"


def test_version_and_module():
    done = subprocess.run(
        [sys.executable, "-m", "likelihoods", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"likelihoods, version {lk.__version__}\n"


def test_list_names_every_entry():
    text = run("list").output
    for entry in lk.entries():
        assert re.search(rf"^  {entry.name}\s", text, re.MULTILINE)
        assert entry.assumption in one_line(text)
        assert ", ".join(entry.aliases) in one_line(text)
    assert max(map(len, text.splitlines())) < 100
    assert "real:" in text.splitlines()


def test_list_as_json():
    rows = json.loads(run("list", "--json").output)
    assert [row["name"] for row in rows] == [entry.name for entry in lk.entries()]
    huber = next(row for row in rows if row["name"] == "huber")
    assert huber["space"] == "real"
    assert huber["options"] == {"delta": 1.0}
    assert huber["aliases"] == ["HuberLoss"]


def test_list_has_a_users_own_row():
    @lk.register(elicits="mean", reference="Erlang (1909)")
    def waiting() -> lk.Likelihood:
        """The target is a waiting time."""
        return lk.Family(lk.distributions.Gamma, mean=lk.predicted("log"), concentration=1.0)

    try:
        assert re.search(r"^yours:\n  waiting ", run("list").output, re.MULTILINE)
        assert "The target is a waiting time." in run("show", "waiting").output
    finally:
        lk.unregister("waiting")


@pytest.mark.parametrize(("entry", "example"), SETTINGS)
def test_show_says_what_the_entry_says(entry, example):
    options = [part for name, value in example.items() for part in ("-o", f"{name}={value}")]
    result = run("show", entry.name, *options)
    assert result.exit_code == 0, result.output
    text = one_line(result.output)
    relation = entry.law_relation(**example)
    said = (entry.assumption, entry.use, entry.formula, relation.sentence(), relation.proper, entry.outcome)
    for each in (*said, entry.elicits.name, entry.reference, entry.model(**example).code()):
        assert one_line(each) in text


def test_show_takes_an_alias_and_options():
    text = run("show", "MSELoss", "-o", "scale=0.5").output
    assert "loss = 0.5 * NLL - 0.112896" in text  # -scale² log(2 pi scale²) by hand
    assert "the real numbers" in text
    assert "full=True" in run("show", "poisson", "-o", "full=true").output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "hubre"], "There is no loss named 'hubre'. Did you mean 'huber'?"),
        (["show", "huber", "-o", "dleta=1"], "Did you mean 'delta'?"),
        (["show", "huber", "-o", "delta"], "not of the form option=value"),
        (["show", "huber", "-o", "delta=__import__('os')"], "neither a number nor a word"),
        (["show", "huber", "-o", "delta=-1"], "delta=-1 is not allowed"),
        (["show", "huber", "--plot", "/nowhere/a.png"], "the folder /nowhere does not exist"),
        (["show", "huber", "--plot", "a.gif"], "must end in .png, .svg, .pdf"),
        (["verify", "hubre"], "Did you mean 'huber'?"),
        (["verify", "huber", "--all"], "not both"),
        (["choose", "nothing.csv", "--target", "y"], "There is no file nothing.csv"),
        (["choose", "nothing.csv"], "Give --target COLUMN"),
        (["choose", "--target", "mdvisits"], "There is no column 'mdvisits'. Nearest: 'mdvis'."),
        (["choose", "--candidates", "mse,nope"], "There is no loss named 'nope'"),
        (["choose", "--cv", "1"], "there must be at least 2 folds"),
        (["choose", "--kind", "colour"], "it must be one of real, positive"),
        (["choose", "--report", "/nowhere/report.html"], "the folder /nowhere does not exist"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_what_the_user_got_wrong(arguments, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert result.exit_code == 2
    assert isinstance(result.exception, SystemExit)  # a message, no traceback
    assert message in one_line(result.stderr)
    assert "Traceback" not in result.output
    assert not os.listdir(tmp_path)


def test_a_fault_keeps_its_traceback(monkeypatch):
    monkeypatch.setattr("likelihoods.selection.read_table", lambda *a, **k: int("not a number"))
    assert isinstance(run("choose").exception, ValueError)  # raised by Python, not by the package
    fault = compile("def f():\n    return None + 1\n", "fault.py", "exec")
    exec(fault, ours := {"__name__": "likelihoods.fault"})
    monkeypatch.setattr("likelihoods.selection.read_table", lambda *a, **k: ours["f"]())
    assert isinstance(run("choose").exception, TypeError)  # in the package, but nobody wrote `raise`


def test_closed_pipe_is_quiet():
    read, write = os.pipe()
    os.close(read)  # as `| head` does when it has seen enough
    done = subprocess.run(
        [sys.executable, "-m", "likelihoods", "list"], stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.stderr == ""


def fake_verify(status):
    def verify(names, progress):
        claims = tuple(verification.Claim(name, {}, "relation", 0.5, 1.0, status) for name in names or ["every"])
        return verification.Report(claims)

    return verify


@pytest.mark.parametrize(("status", "code"), [("pass", 0), ("FAIL", 1), ("not available", 1)])
def test_verify_exit_status(status, code, monkeypatch, tmp_path):
    monkeypatch.setattr(verification, "verify", fake_verify(status))
    result = run("verify", "mse", "l1", "--json", tmp_path / "claims.json")
    assert result.exit_code == code
    assert re.search(rf"^l1 +relation +5\.0e-01 +1\.0e\+00 +{status}$", result.stdout, re.MULTILINE)
    assert json.loads((tmp_path / "claims.json").read_text())["passed"] is (code == 0)


@pytest.mark.parametrize("arguments", [[], ["--all"]])
def test_verify_without_names_is_all(arguments, monkeypatch):
    monkeypatch.setattr(verification, "verify", fake_verify("pass"))
    assert re.search("^every", run("verify", *arguments).stdout, re.MULTILINE)


def test_verify_executes():
    result = run("verify", "BCELoss", "--quiet")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert "0 FAIL" in result.stdout


def test_choose_a_file(visits, tmp_path):
    page, plot = tmp_path / "out.html", tmp_path / "out.svg"
    result = run(
        "choose",
        visits,
        "--target",
        "visits",
        "--candidates",
        "poisson, mse",
        "--cv",
        3,
        "--report",
        page,
        "--plot",
        plot,
    )
    assert result.exit_code == 0, result.output
    text = result.stdout
    assert "120 rows, 2 columns, 1 row dropped" in text.replace("1 rows", "1 row")
    assert "- Delimiter: ';'" in text
    assert "one-hot coded" in text
    assert re.search(r"^\* poisson(_nll)? .* top ", text, re.MULTILINE)
    assert re.search(r"The central 50 % and 90 % intervals hold \d+\.\d % and \d+\.\d % of the held-out targets", text)
    assert "PIT: " in text
    assert "seconds of fitting, 3 folds, seed 0" in text
    assert f"Report: {page}" in text
    assert "<title>visits: poisson" in page.read_text("utf-8")
    assert plot.read_text("utf-8").startswith("<?xml")
    code = text[text.index("    import torch") : text.index("backward()") + 10]
    exec(compile(re.sub("^    ", "", code, flags=re.MULTILINE), "snippet", "exec"), {})
    assert "fitting" in result.stderr  # progress


def test_choose_passes_its_options_on(visits):
    result = run(
        "choose", visits, "--target", "visits", "--candidates", "poisson", "--drop", "town", "--categorical", "age"
    )
    assert result.exit_code in (0, 2)
    assert "'town' dropped: you asked for it" in result.output or "'age'" in result.output
    assert "semicolon" not in result.output
    refused = run("choose", visits, "--target", "visits", "--sep", ",")
    assert refused.exit_code == 2


def test_choose_quiet(visits):
    result = run("choose", visits, "--target", "visits", "--candidates", "poisson", "--quiet")
    assert result.stdout.startswith("Recommended: poisson")
    assert len(result.stdout.splitlines()) == 1
    assert result.stderr == ""


def test_choose_without_file_takes_the_shipped_table(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run("choose", "--candidates", "poisson", "--cv", 2, "--quiet")
    assert result.stdout.startswith("Recommended: poisson")
    assert os.listdir(tmp_path) == []  # nothing is written unasked


def test_words_that_help_repeats():
    text = one_line(run("choose", "--help").output)
    kinds = re.search(r"mislead: (.*?)\.", text)[1]
    assert set(re.split(", | or ", kinds)) == set(KINDS)
    assert cli.PICTURES == FORMATS


def vector(entry, example):
    """Whether the target is more than one number: of an event shape that is none of a pair of interval ends, or a law."""
    relation = entry.law_relation(**example)
    law = entry.model(**example)._probe()
    return getattr(relation, "vector", False) or (law.event_shape and not isinstance(law, lk.distributions.Censored))


@pytest.mark.parametrize("validated", [True, False])
def test_a_picture_stays_where_there_is_a_law(validated, monkeypatch):
    """Torch's own check of parameters is off once torch.compile was used, and under `python -O`."""
    monkeypatch.setattr(torch.distributions.Distribution, "_validate_args", validated)
    loss, _ = picture(lk.find("poisson_nll"), log_input=False).axes
    assert loss.get_xlim()[0] > 0


@pytest.mark.parametrize(("entry", "example"), SETTINGS)
def test_picture_of_every_entry(entry, example):
    if vector(entry, example):
        with pytest.raises(ValueError, match="its target is a vector"):
            picture(entry, **example)
        return
    state, before = torch.get_rng_state(), dict(matplotlib.rcParams)
    loss, law = picture(entry, **example).axes
    assert torch.equal(torch.get_rng_state(), state)
    assert dict(matplotlib.rcParams) == before
    assert loss.get_ylabel() == "loss"
    assert loss.get_xlabel().startswith(("residual f - y", "prediction f"))
    assert loss.get_legend() is not None or len(loss.lines) == 1
    for line in loss.lines:
        assert len(line.get_xdata()) > 100
        assert np.isfinite(line.get_ydata()).mean() > 0.9
        low, high = loss.get_ylim()
        assert (
            (line.get_ydata() >= low) & (line.get_ydata() <= high)
        ).mean() > 0.2  # most of the picture shows something
    if isinstance(entry.law_relation(**example), lk.relations.NoLikelihood):
        reason = " ".join(text.get_text() for text in law.texts)
        assert one_line(reason).lower() == one_line(entry.law_relation(**example).reason).lower()
        return
    assert law.get_ylabel().startswith(("density p(y", "mass p(y"))
    assert law.get_legend() is not None
    if law.get_ylabel().startswith("mass"):
        masses = [sum(bar.get_height() for bar in group) for group in law.containers]
        masses += [line.get_ydata().sum() for line in law.lines]  # of many values
        assert len(masses) > 1
        assert all(0.8 < mass <= 1 + 1e-9 for mass in masses)
    else:
        areas = [np.trapezoid(line.get_ydata(), line.get_xdata()) for line in law.lines]
        atoms = [re.search(r"P\(y = 0\) = ([\d.]+)", line.get_label()) for line in law.lines]
        masses = [area + (float(atom[1]) if atom else 0) for area, atom in zip(areas, atoms, strict=True)]
        assert all(0.7 < mass < 1.1 for mass in masses)


def test_picture_of_angles_is_one_turn():
    law = picture(find("von_mises")).axes[1]
    assert np.allclose(law.lines[0].get_xdata()[[0, -1]], [-np.pi, np.pi])


def test_picture_shows_the_named_loss():
    loss = picture(find("huber"), delta=0.5).axes[0]
    line = loss.lines[0]
    x = torch.from_numpy(line.get_xdata())
    expected = torch.nn.functional.huber_loss(x, torch.zeros_like(x), reduction="none", delta=0.5)
    assert np.allclose(line.get_ydata(), expected)
    poisson = picture(find("poisson")).axes[0].lines[1]  # y = 2
    f = poisson.get_xdata()
    assert np.allclose(poisson.get_ydata(), np.exp(f) - 2 * f)


def test_picture_files(tmp_path):
    for ending, magic in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        first, again = (save(picture(find("mse")), tmp_path / f"{k}.{ending}").read_bytes() for k in "ab")
        assert first.startswith(magic)
        assert first == again
    with pytest.raises(ValueError, match=r"must end in \.png, \.svg, \.pdf"):
        save(picture(find("mse")), tmp_path / "a.bmp")


def test_pyplot_stays_out(tmp_path):
    code = (
        "import sys; from likelihoods.cli import main; main(sys.argv[1:], standalone_mode=False)\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "show", "mse", "--plot", str(tmp_path / "a.png")],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.endswith("False\n")
