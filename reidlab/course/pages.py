"""The course as a folder of web pages: one per notebook and note, read in order.

Each page holds its pictures, formulas and style, and opens without a network.
"""

from __future__ import annotations

import html
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from nbformat import NotebookNode

from reidlab.course import notebook as notebooks
from reidlab.course.markup import cells_to_html, words_to_html
from reidlab.course.style import style_sheet
from reidlab.paths import atomic_write

THUMBNAILS = "thumbnails"
THUMBNAIL_SIZE = (320, 200)  # width, height in pixels


@dataclass(frozen=True)
class Lesson:
    """One notebook of the course, as it stands in a list.

    Args:
        path: the file.
        title: its first heading.
        promise: what it is about in one line; may be empty.
        cells: how many it has.
    """

    path: Path
    title: str
    promise: str
    cells: int

    @property
    def name(self) -> str:
        """The file's name without ending; its page bears the same."""
        return self.path.stem


def read_lesson(path: Path) -> Lesson:
    """What a list says about the notebook at `path`.

    Raises:
        ValueError: no such file, or not a notebook.
    """
    notebook = notebooks.read(path)
    title = notebooks.title(notebook, path.stem)
    return Lesson(path, title, notebooks.promise(notebook), len(notebook.cells))


@dataclass(frozen=True)
class Site:
    """The pages of a course and where they lie.

    Args:
        folder: where they are written.
        lessons: the notebooks in the order of reading.
    """

    folder: Path
    lessons: tuple[Lesson, ...]

    @cached_property
    def notes(self) -> tuple[Path, ...]:
        """Pages of words, `*.md`, that lie beside the first notebook."""
        return tuple(sorted(self.lessons[0].path.parent.glob("*.md"))) if self.lessons else ()

    @cached_property
    def names(self) -> frozenset[str]:
        """What has a page."""
        return frozenset([lesson.name for lesson in self.lessons] + [n.stem for n in self.notes])

    def page(self, name: str) -> Path:
        """The file of a page."""
        return self.folder / f"{name}.html"

    def thumbnail(self, name: str) -> Path:
        """The file of a notebook's small picture."""
        return self.folder / THUMBNAILS / f"{name}.png"


def write_lesson(
    site: Site, lesson: Lesson, notebook: NotebookNode, *, footer: str = "", error: str = ""
) -> None:
    """Write the page of an executed notebook and its small picture.

    Args:
        site: the pages.
        lesson: which of them.
        notebook: executed, as far as it ran.
        footer: a line at the end, such as when it ran.
        error: why it did not run to its end.

    Raises:
        ValueError: a formula cannot be set; the old page stays.
    """
    body = cells_to_html(notebook, site.names)
    _write(site, lesson, (trouble(error) if error else "") + body, footer)
    picture = notebooks.first_picture(notebook)
    if picture is None:
        site.thumbnail(lesson.name).unlink(missing_ok=True)
    else:
        site.thumbnail(lesson.name).parent.mkdir(exist_ok=True)
        atomic_write(site.thumbnail(lesson.name), shrink(picture))


def write_gap(site: Site, lesson: Lesson) -> None:
    """Write a page for a notebook that has none yet, so that links to it lead somewhere."""
    words = '<p class="aside">This notebook has not been run to its end. Run the course again.</p>'
    _write(site, lesson, f"<h1>{html.escape(lesson.title)}</h1>\n{words}", "")


def write_notes(site: Site) -> list[tuple[str, str]]:
    """Write the pages of words; gives name and title of each.

    Raises:
        ValueError: a formula cannot be set.
    """
    written = []
    for path in site.notes:
        text = path.read_text(encoding="utf-8")
        title = next((t[2:] for t in text.splitlines() if t.startswith("# ")), path.stem)
        body = f'<div class="jp-MarkdownCell">{words_to_html(text, site.names)}</div>'
        atomic_write(site.page(path.stem), page(title, body, bar=_bar()))
        written.append((path.stem, title))
    return written


def page(title: str, body: str, *, bar: str = "", kind: str = "lesson", footer: str = "") -> str:
    """A whole HTML page: the bar on top, the body, a footer."""
    foot = f"<footer>{html.escape(footer)}</footer>" if footer else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<link rel="icon" href="data:,">\n<title>{html.escape(title)}</title>\n'
        f"<style>{style_sheet()}</style></head>\n"
        f'<body class="{kind}">\n{bar}\n<main>\n{body}\n{foot}\n</main></body></html>\n'
    )


def trouble(error: str) -> str:
    """A box with what went wrong: its first line, and the rest below."""
    first, _, rest = error.partition("\n")
    below = f"<pre>{html.escape(rest)}</pre>" if rest else ""
    return f'<div class="trouble"><strong>{html.escape(first)}</strong>{below}</div>\n'


def shrink(picture: bytes) -> bytes:
    """A PNG without its white margin, cut to the shape of a thumbnail and scaled to its size.

    Of a wide picture the middle stays, of a tall one the top.
    """
    from PIL import Image, ImageChops, ImageOps

    with Image.open(io.BytesIO(picture)) as opened:
        image = opened.convert("RGBA")
    ground = Image.new("RGB", image.size, "white")
    ground.paste(image, mask=image.getchannel("A"))
    white = Image.new("RGB", image.size, "white")
    ground = ground.crop(ImageChops.difference(ground, white).getbbox())  # None leaves all of it
    ground = ImageOps.expand(ground, min(ground.size) // 80, "white")
    small = ImageOps.fit(ground, THUMBNAIL_SIZE, Image.Resampling.LANCZOS, centering=(0.5, 0.0))
    buffer = io.BytesIO()
    small.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _write(site: Site, lesson: Lesson, body: str, footer: str) -> None:
    """Write a lesson's page with links to the lessons before and after it."""
    place = site.lessons.index(lesson)
    before = site.lessons[place - 1] if place else None
    after = site.lessons[place + 1] if place + 1 < len(site.lessons) else None
    body = f"{body}\n{_turn(before, after)}"
    text = page(lesson.title, body, bar=_bar(before, after), footer=footer)
    atomic_write(site.page(lesson.name), text)


def _bar(before: Lesson | None = None, after: Lesson | None = None) -> str:
    """The links on top: up, back, forward."""
    links = ['<a class="up" href="index.html">reidlab · the course</a>']
    if before:
        links.append(f'<a rel="prev" href="{before.name}.html">&larr; previous</a>')
    if after:
        links.append(f'<a rel="next" href="{after.name}.html">next &rarr;</a>')
    return f'<nav class="bar"><div>{"".join(links)}</div></nav>'


def _turn(before: Lesson | None, after: Lesson | None) -> str:
    """The links below a lesson, with the titles of its neighbours."""
    sides: Sequence[tuple[Lesson | None, str, str]] = (
        (before, "prev", "&larr; previous"),
        (after, "next", "next &rarr;"),
    )
    links = [
        f'<a class="{kind}" href="{lesson.name}.html"><small>{words}</small>'
        f"{html.escape(lesson.title)}</a>"
        for lesson, kind, words in sides
        if lesson
    ]
    return f'<nav class="turn">{"".join(links)}</nav>' if links else ""
