"""Markdown and executed notebooks as pieces of HTML that ask nothing of the network."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection

import nbformat
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

from reidlab.course.formulas import mathml
from reidlab.course.notebook import WIDGET_VIEW

REPOSITORY = "https://github.com/reidlab/reidlab"
OUTSIDE = re.compile(r"(?:[a-z][a-z0-9+.-]*:|//)", re.IGNORECASE)  # how an address begins
WIDGET_NOTE = '<p class="aside">A control to click stands here while the notebook runs.</p>'

CELLS = r"""
{%- extends 'base.html.j2' -%}
{%- block codecell -%}
{%- if 'solution' in cell.metadata.get('tags', []) -%}
<details class="solution"><summary>A solution</summary>{{ super() }}</details>
{%- else -%}
{{ super() }}
{%- endif -%}
{%- endblock codecell -%}
{%- block data_png scoped -%}
<img class="output" alt="Picture that this cell shows"
 src="data:image/png;base64,{{ output.data['image/png'] | escape_html }}">
{%- endblock data_png -%}
{%- block data_latex scoped -%}{{ output.data['text/latex'] | formula }}{%- endblock data_latex -%}
"""


def words_to_html(markdown: str, pages: Collection[str] = ()) -> str:
    """Markdown with formulas as HTML.

    Args:
        markdown: as in a cell of a notebook.
        pages: names, without ending, of the notebooks and notes that have a page in the same
            folder; links to them lead there, other relative links to the repository.

    Raises:
        ValueError: a formula cannot be set.
    """
    return MarkdownWithMath(renderer=_Words(pages)).render(markdown)


def cells_to_html(notebook: NotebookNode, pages: Collection[str] = ()) -> str:
    """The cells of a notebook with their outputs; solutions are folded.

    Raises:
        ValueError: a formula cannot be set.
    """
    notebook = nbformat.from_dict(notebook)  # a copy: nbconvert works on its argument
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if WIDGET_VIEW in output.get("data", {}):
                output.data = {"text/html": WIDGET_NOTE}
    return _Cells(pages).from_notebook_node(notebook)[0]


def lead(url: str, pages: Collection[str] = ()) -> str:
    """Where a link of a notebook leads from its page (`pages` as in `words_to_html`)."""
    if not url or url.startswith("#") or OUTSIDE.match(url):
        return url
    path, hash_sign, section = url.partition("#")
    name, ending = posixpath.splitext(path)
    if name in pages and ending in (".ipynb", ".md"):
        return f"{name}.html{hash_sign}{section}"
    inside = posixpath.normpath(posixpath.join("notebooks", path))
    return f"{REPOSITORY}/blob/main/{inside}{hash_sign}{section}"


class _Words(IPythonRenderer):
    """Sets formulas as MathML, leads links to pages; of a picture elsewhere it keeps the words."""

    def __init__(self, pages: Collection[str]) -> None:
        super().__init__(escape=False)
        self.pages = pages

    def inline_math(self, body: str) -> str:
        return mathml(body)

    def block_math(self, body: str) -> str:
        return mathml(body, block=True)

    def latex_environment(self, name: str, body: str) -> str:
        return mathml(rf"\begin{{{name}}}{body}\end{{{name}}}", block=True)

    def link(self, text: str, url: str, title: str | None = None) -> str:
        return super().link(text, lead(url, self.pages), title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if not url.startswith("data:"):
            return f'<span class="badge">{self.escape_html(text)}</span>'
        return super().image(text, url, title)

    def table(self, text: str) -> str:
        return f'<div class="wide"><table>{text}</table></div>'


class _Cells(HTMLExporter):
    """nbconvert's exporter with our words and without its page, scripts and fonts."""

    def __init__(self, pages: Collection[str]) -> None:
        super().__init__(raw_template=CELLS, exclude_input_prompt=True, exclude_output_prompt=True)
        self.pages = pages
        self.register_filter("formula", _formula_output)
        self.register_filter("markdown2html", lambda text: words_to_html(text, self.pages))


def _formula_output(text: str) -> str:
    """What a cell shows as LaTeX: dollars on both sides, one for a line in the text, two else."""
    return mathml(text.strip().strip("$"), block=text.strip().startswith("$$"))
