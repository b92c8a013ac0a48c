"""Sphinx reads this. The pages are built offline and read offline: no script, font or style comes from elsewhere."""

import html
import re
import sys
import tomllib
from pathlib import Path

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.util import logging
from sphinx.util.math import get_node_equation_number

ROOT = Path(__file__).parents[1]

project = "likelihoods"
author = "The likelihoods developers"
copyright = author
release = version = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.napoleon"]
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
default_role = "code"  # `delta` in a docstring is code, as it is in these pages
autosummary_generate = False
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
napoleon_numpy_docstring = False

html_theme = "alabaster"  # Sphinx's own default: nothing to install, nothing fetched by the reader's browser
html_theme_options = {
    "description": "From the name of a loss to the distribution that it assumes.",
    "fixed_sidebar": True,
    "font_family": "system-ui, sans-serif",
    "head_font_family": "system-ui, sans-serif",
    "page_width": "1180px",
    "body_max_width": "940px",
}
html_static_path = ["_static"]
html_css_files = ["math.css"]
html_copy_source = html_show_sourcelink = False
html_math_renderer = "mathml"


# Mathematics. MathJax comes from a server and imgmath needs LaTeX; docutils, which Sphinx needs anyway, turns LaTeX
# into MathML, which every current browser draws by itself. A command that it does not know is a warning, so `make docs`
# fails.

LOGGER = logging.getLogger(__name__)


def mathml(node, as_block):
    text = node.astext()
    try:
        if re.search(r"frac\s*\d\d", text):
            raise MathError(r"write \frac{1}{2}: docutils reads \frac12 as twelve over what follows")
        # TeX sets a thin space between a function's name and its argument, unless a bracket opens there.
        return re.sub(
            r"(<mo>&ApplyFunction;</mo>)(?!\s*(?:<mrow>\s*)?<mo[^>]*>\()",
            r'\1<mspace width="0.1667em"></mspace>',
            tex2mathml(text, as_block=as_block),
        )
    except MathError as error:
        LOGGER.warning("not LaTeX that docutils can read: %s (%s)", text, error, location=node, type="math")
        return f"<code>{html.escape(text)}</code>"


def visit_math(self, node):
    self.body.append(mathml(node, as_block=False))
    raise nodes.SkipNode


def visit_math_block(self, node):
    self.body.append(self.starttag(node, "div", CLASS="math"))
    if node["number"]:
        self.body.append(f'<span class="eqno">({get_node_equation_number(self, node)})')
        self.add_permalink_ref(node, "Link to this equation")
        self.body.append("</span>")
    self.body.append(mathml(node, as_block=True) + "</div>\n")
    raise nodes.SkipNode


# The catalogue's pages are written anew at each build, so they cannot lag behind the rows; they are not in the repository.


def write_catalogue(app):
    sys.path.insert(0, str(ROOT / "docs"))
    import generate_catalogue

    generate_catalogue.main()


# The reference. api.md ends with one section for each public module that there is, in the order of design.md's layout,
# so no list of modules has to be kept here.

PACKAGE = ROOT / "likelihoods"
NOT_PYTHON_API = {"__init__", "__main__", "cli", "catalog"}  # commands and rows have pages of their own


def public_modules():
    layout = (ROOT / "docs/design.md").read_text(encoding="utf-8")
    for name in re.findall(r"^  (\w+)(?:\.py|/) ", layout, re.MULTILINE):
        there = (PACKAGE / f"{name}.py").exists() or (PACKAGE / name / "__init__.py").exists()
        if there and name not in NOT_PYTHON_API:
            yield name


def complete_reference(app, docname, source):
    if docname == "api":
        for name in public_modules():
            source[0] += f"\n## `likelihoods.{name}`\n\n```{{eval-rst}}\n.. automodule:: likelihoods.{name}\n"
            source[0] += "   :members:\n   :show-inheritance:\n```\n"


def escape_bars(app, what, name, obj, options, lines):
    """A bare |r| is an absolute value in these docstrings, never reStructuredText's substitution."""
    doctest = False
    for i, line in enumerate(lines):
        doctest = bool(line.strip()) and (doctest or line.lstrip().startswith(">>>"))
        if not doctest:
            parts = re.split(r"(``.*?``|`.*?`)", line)
            lines[i] = "".join(part if part.startswith("`") else part.replace("|", r"\|") for part in parts)


def setup(app):
    app.add_html_math_renderer("mathml", (visit_math, None), (visit_math_block, None))
    app.connect("builder-inited", write_catalogue)
    app.connect("source-read", complete_reference)
    app.connect("autodoc-process-docstring", escape_bars)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
