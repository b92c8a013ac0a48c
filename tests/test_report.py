"""The report and the pictures of a choice: what they say, that nothing leaks into them, and that they need nothing else."""

import dataclasses
import html.parser
import itertools
import os
import re
import stat

import matplotlib
import numpy as np
import pytest

import likelihoods as lk
from likelihoods.catalog import find
from likelihoods.selection import pictures, report
from likelihoods.selection.calibration import histogram, reading
from likelihoods.selection.choice import Choice, Scored, behind_top, rank
from likelihoods.selection.describe import describe
from likelihoods.style import DARK, LIGHT, save, svg

EVIL = "<script>alert(1)</script>"
ROWS = 600


def scored(name, gap, noise=0.5, flags=(), impossible=0):
    """A candidate that is `gap` nats a row behind, made without any fit."""
    rng = np.random.default_rng(sum(map(ord, name)))
    wobble = rng.normal(size=ROWS)
    scores = -2.0 - gap + noise * (wobble - wobble.mean())
    scores[:impossible] = -np.inf
    known = name in {entry.name for entry in lk.entries()}
    base = find(name).fitted() if known else lk.Family(lk.distributions.Laplace, loc=lk.predicted(), scale=lk.learned())
    assumption = find(name).assumption if known else "The target follows the likelihood that was given."
    return Scored(
        name=name,
        assumption=assumption,
        likelihood=base,
        scores=scores,
        plain=scores - 0.1,
        folds=np.arange(ROWS) % 5,
        parameters=3 + sum(p.numel() for p in base.parameters()),
        flags=tuple(flags),
    )


def make(*candidates, target="visits", columns=("age", "income"), decisions=(), dropped=0, pit="narrow"):
    ranking = rank(list(candidates))
    shape = {"narrow": (0.6, 0.6), "flat": (1.0, 1.0)}
    return Choice(
        target=describe(np.random.default_rng(1).poisson(2.0, size=ROWS), name=target),
        ranking=ranking,
        left_out={"bce_with_logits": "12 targets are impossible under it, the first 3 in row 2"},
        columns=tuple(columns),
        decisions=tuple(decisions),
        dropped=dropped,
        cv=5,
        seed=17,
        seconds=1.25,
        pit=None if pit is None else np.random.default_rng(2).beta(*shape[pit], size=ROWS),
    )


@pytest.fixture(scope="module")
def choice():
    return make(
        scored("negative_binomial", 0.0, 0.02),
        scored("student_t", 0.0005, 0.02),
        scored("mse", 0.5),
        scored("poisson_nll", 40.0),
        scored("huber", 9.0, flags=["2 of its 6 fits did not converge"]),
        scored(
            "mine $x$ & yours", 0.2, flags=["14 held-out targets have no likelihood at all under it"], impossible=14
        ),
        decisions=("Delimiter: ';' (found in the first lines).", "3 rows dropped: a feature is missing (line 4)."),
        dropped=3,
    )


@pytest.fixture(scope="module")
def page(choice):
    return Page(report.html(choice))


class Page(html.parser.HTMLParser):
    """What a browser would see: tags with their attributes, and text by the tag that it is in."""

    def __init__(self, source):
        super().__init__()
        self.source, self.tags, self.open, self.texts = source, [], [], {}
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes), tuple(self.open)))
        if tag not in ("meta", "img", "source", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes another tag"

    def handle_data(self, data):
        if self.open:
            self.texts.setdefault(self.open[-1], []).append(data)

    def text(self, *tags):
        return " ".join(
            " ".join("".join(self.texts.get(tag, [])).split()) for tag in tags or self.texts if tag != "style"
        )


def test_recommendation_comes_first(choice, page):
    assert page.text("title") == "visits: negative_binomial"
    assert "Use negative_binomial for visits" in re.sub("<[^>]+>", "", page.source)
    assert choice.verdict in page.text("p")


def test_leading_assumptions_in_words(choice, page):
    assert choice.tied == ["negative_binomial", "student_t"]
    paragraphs = page.text("p")
    for name in choice.tied:
        assert find(name).assumption in paragraphs
        assert find(name).use in paragraphs
    assert find("mse").assumption not in paragraphs  # it is neither recommended nor tied


def test_everything_is_said(choice, page):
    text = page.text()
    for said in (*choice.decisions, *choice.target.words, *choice.left_out.values()):
        assert said in text
    for flag in (flag for each in choice.ranking for flag in each.flags):
        assert flag in text
    assert "600 rows and 2 columns were used; 3 rows dropped" in text
    assert reading(choice.pit) in text
    assert f"{100 * choice.coverage[0.5]:.1f} %" in page.text("td")
    facts = dict(zip(page.texts["dt"], page.texts["dd"], strict=True))
    assert (facts["seed"], facts["folds"], facts["seconds"]) == ("17", "5", "1.25")
    assert {"python", "likelihoods", "torch", "pyro-ppl", "numpy", "scipy", "scikit-learn", "pandas"} <= set(facts)
    assert facts["numpy"] == np.__version__


def test_table_has_the_numbers(choice, page):
    cells = [cell for cell in page.texts["td"] if cell.strip()]
    behind, error = behind_top(next(s for s in choice.ranking if s.name == "mse"), choice.top)
    assert f"{behind:.4f} ± {error:.4f}" in cells
    assert "−∞" in cells  # the one under which some targets are impossible
    assert cells.count("flagged") == 2
    assert cells.count("recommended") == cells.count("tied with the top") == 1


def test_snippet_runs_as_printed(page, choice):
    code = next(text for text in page.texts["code"] if text.startswith("import torch"))
    assert code == choice.snippet
    exec(compile(code, "snippet", "exec"), {})


def test_needs_no_network(page):
    for tag, attributes, _ in page.tags:
        assert tag not in ("script", "link", "iframe", "object", "base")
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "srcset", "href"):
            assert attributes.get(name, "data:").startswith(("data:image/svg+xml;base64,", "data:")), (tag, name)
    assert not re.search(r"url\(|@import", page.text("style") or "".join(page.texts["style"]))
    assert "http" not in re.sub(r"data:[^\"]+|http-equiv", "", page.source).replace("https://doi.org", "")


def test_accessible(page):
    tags = page.tags
    assert ("html", {"lang": "en"}, ()) in tags
    images = [attributes for tag, attributes, _ in tags if tag == "img"]
    assert len(images) == 2
    assert all(len(attributes["alt"]) > 80 for attributes in images)
    assert "student_t: tied with the top" in images[0]["alt"]
    levels = [int(tag[1]) for tag, _, _ in tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))
    boxes = sum(attributes.get("class") == "scroll" for tag, attributes, _ in tags if tag == "div")
    assert boxes == sum(tag == "table" for tag, _, _ in tags) == 3  # each table scrolls in a box of its own
    assert all("scope" in attributes for tag, attributes, _ in tags if tag == "th")
    media = [attributes["media"] for tag, attributes, _ in tags if tag == "source"]
    assert sum("dark" in each for each in media) == 3
    assert sum("max-width" in each for each in media) == 2


def test_names_show_as_text():
    attribute = '" onmouseover="alert(2)'
    evil = make(
        scored("negative_binomial", 0.0, 0.02),
        scored(EVIL, 0.0005, 0.02),
        scored(attribute, 0.4, flags=[f"a flag with {EVIL}"]),
        target=EVIL,
        columns=(EVIL, "{{ 7 * 7 }}"),
        decisions=(f"Column '{EVIL}' dropped: it is empty.",),
        dropped=1,
    )
    assert EVIL in evil.tied  # and so in the recommendation, and among the leading assumptions
    page = Page(report.html(evil))
    assert not [tag for tag, _, _ in page.tags if tag == "script"]
    assert not [name for _, attributes, _ in page.tags for name in attributes if name.startswith("on")]
    assert page.text("title") == f"{EVIL}: negative_binomial"
    assert f"{EVIL}, {{{{ 7 * 7 }}}}" in page.text("p")
    assert page.text("li").count(EVIL) >= 3
    assert EVIL in page.text("th")


@pytest.mark.parametrize("kind", ["all flagged", "alone", "classes"])
def test_degenerate_choices(kind, tmp_path):
    flags = ["it did not converge"]
    some = {
        "all flagged": make(scored("mse", 0.0, flags=flags), scored("l1", 0.1, flags=flags, impossible=3), pit=None),
        "alone": make(scored("mse", 0.0)),
        "classes": make(scored("mse", 0.0), scored("l1", 0.0001), pit=None),
    }[kind]
    page = Page(some.report(tmp_path / "report.html").read_text("utf-8"))
    images = sum(tag == "img" for tag, _, _ in page.tags)
    assert images == {"all flagged": 0, "alone": 1, "classes": 1}[kind]
    if kind == "all flagged":
        assert "No loss can be recommended" in page.text("h1")
        assert "import torch" not in page.source
    save(some.plot(), tmp_path / "plot.png")


def test_same_bytes(choice):
    first = report.html(choice)
    with matplotlib.rc_context(
        {"font.size": 30, "svg.hashsalt": "other", "text.color": "red", "xtick.direction": "in"}
    ):
        again = report.html(dataclasses.replace(choice, seconds=99.0))
    assert again.replace("99.00", "1.25") == first


def test_global_state_is_left_alone(choice, tmp_path):
    before = dict(matplotlib.rcParams)
    choice.report(tmp_path / "a.html")
    save(choice.plot(), tmp_path / "a.pdf")
    assert dict(matplotlib.rcParams) == before


def test_write_is_atomic(choice, tmp_path, monkeypatch):
    path = tmp_path / "report.html"
    path.write_text("old")
    path.chmod(0o640)

    def broken(*paths):
        raise PermissionError(13, "no space or no right")

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", broken)
        with pytest.raises(PermissionError, match=r"cannot be written to .*report\.html: no space"):
            choice.report(path)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["report.html"]
    link = tmp_path / "link.html"
    link.symlink_to(path)
    assert choice.report(link) == link
    assert link.is_symlink()
    assert path.read_text("utf-8").startswith("<!DOCTYPE html>")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_new_file_is_as_readable_as_any(choice, tmp_path):
    (tmp_path / "plain").touch()
    made = choice.report(tmp_path / "new.html")
    assert made.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_unwritable_path(choice, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"The report cannot be written to .*nowhere.*: No such file"):
        choice.report(tmp_path / "nowhere" / "report.html")
    with pytest.raises(IsADirectoryError, match="cannot be written"):
        choice.report(tmp_path)


@pytest.mark.parametrize(
    ("a", "b", "begins"),
    [
        (1.0, 1.0, "Flat"),
        (0.7, 0.7, "U-shape: .* too narrow"),
        (1.5, 1.5, "Hump: .* too wide"),
        (1.3, 1.0, "It rises: .* biased low"),
        (1.0, 1.3, "It falls: .* biased high"),
        (0.9, 0.6, "It rises: .*; and U-shape"),
    ],
)
def test_reading_of_a_pit(a, b, begins):
    pit = np.random.default_rng(0).beta(a, b, size=3000)
    assert re.match(begins, reading(pit))


def test_reading_uneven_and_noise():
    pit = np.random.default_rng(0).uniform(size=20_000)
    moved = np.where((pit > 0.40) & (pit < 0.45), pit + 0.15, pit)  # the bars at 0.40 and 0.55 alone
    assert re.match("Uneven: .* between 0.4 and 0.45 the bar is 0.00|Uneven: .* between 0.55 and 0.6", reading(moved))
    alarms = sum(not reading(np.random.default_rng(s).uniform(size=200)).startswith("Flat") for s in range(400))
    assert alarms <= 20  # of 400 right laws


def test_histogram_is_a_density():
    for rows, bars in ((20, 5), (100, 10), (1000, 20)):
        made = histogram(np.random.default_rng(0).uniform(size=rows))
        assert len(made.heights) == bars
        assert made.heights.mean() == pytest.approx(1.0)
    heights = [histogram(np.random.default_rng(s).uniform(size=1000)).heights[3] for s in range(2000)]
    assert np.std(heights) == pytest.approx(histogram(np.linspace(0, 1, 1000)).noise, rel=0.06)


def test_ranking_shows_the_paired_differences(choice):
    axes = pictures.ranking(choice).axes[0]
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == [s.name for s in choice.ranking]
    place = names.index("mse")
    behind, error = behind_top(choice.ranking[place], choice.top)
    spans = [line.get_xdata() for line in axes.lines if len(line.get_xdata()) == 2 and set(line.get_ydata()) == {place}]
    assert np.allclose(spans, [[behind - 2 * error, behind + 2 * error]])
    low, high = axes.get_xlim()
    assert low < behind - 2 * error
    assert high > behind + 2 * error
    marks = {line.get_ydata()[0]: line.get_marker() for line in axes.lines if len(line.get_xdata()) == 1}
    assert marks == {0: "D", 1: "o", place: "s", names.index("poisson_nll"): ">", 4: "x", 5: "x"}


def test_bar_of_a_tie_reaches_over_the_top():
    close = make(scored("mse", 0.0, 0.3), scored("l1", 0.01, 0.3))
    axes = pictures.ranking(close).axes[0]
    behind, error = behind_top(close.ranking[1], close.top)
    assert behind - 2 * error < 0
    assert axes.get_xlim()[0] < behind - 2 * error


def test_pictures_in_both_themes(choice):
    light, dark = (svg(pictures.ranking(choice, theme), theme) for theme in (LIGHT, DARK))
    assert LIGHT.ink in light
    assert DARK.ink in dark
    assert LIGHT.ink not in dark
    assert "mine $x$" in [label.get_text()[:8] for label in pictures.ranking(choice).axes[0].get_yticklabels()]


def test_themes_have_contrast():
    def luminance(colour):
        channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for theme in (LIGHT, DARK):
        for colour, least in ((theme.ink, 7.0), *((each, 3.0) for each in theme.series)):  # WCAG: text AAA, graphics AA
            low, high = sorted((luminance(colour), luminance(theme.paper)))
            assert (high + 0.05) / (low + 0.05) >= least, colour


def test_number():
    assert [pictures.number(v) for v in (-1.5, -1e-9, -np.inf, np.nan)] == ["−1.5000", "0.0000", "−∞", "?"]
