"""The first page of the course: a card per notebook, what came of its run, and the notes."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from reidlab.course.pages import THUMBNAIL_SIZE, THUMBNAILS, Lesson, Site, page, trouble

State = Literal["done", "failed", "kept", "stopped"]
PROMISE = (
    "Person re-identification, from one pedestrian crop to a ranked gallery and a score: "
    "notebooks that you run, with what they printed and drew."
)


@dataclass(frozen=True)
class Outcome:
    """How one notebook went.

    Args:
        lesson: the notebook.
        state: `done`; `failed`; `kept`, the page of an earlier run, since nothing changed;
            `stopped`, the run was interrupted before its end.
        seconds: wall-clock time; of the earlier run where the page is kept.
        error: why it failed; empty when it did not.
    """

    lesson: Lesson
    state: State
    seconds: float = 0.0
    error: str = ""


def index_page(
    site: Site, outcomes: Sequence[Outcome], notes: Sequence[tuple[str, str]], facts: str
) -> str:
    """The index.

    Args:
        site: the pages.
        outcomes: one per lesson, in the order of reading.
        notes: name and title of each page of words.
        facts: a line on the run: when, how long, with what.
    """
    cards = "\n".join(_card(site, outcome) for outcome in outcomes)
    failures = "\n".join(trouble(outcome.error) for outcome in outcomes if outcome.error)
    body = (
        f'<h1>reidlab: the course</h1>\n<p class="lead">{PROMISE}</p>\n'
        f'<p class="facts">{html.escape(summary(outcomes))} {html.escape(facts)}</p>\n'
        f'{failures}<ol class="cards">\n{cards}\n</ol>\n{_list(notes)}'
    )
    return page("reidlab: the course", body, kind="index")


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many notebooks ran, failed, were kept and were not reached."""
    count = {state: 0 for state in ("done", "failed", "kept", "stopped")}
    for outcome in outcomes:
        count[outcome.state] += 1
    words = [f"{count['done']} of {len(outcomes)} notebooks ran to their end"]
    if count["kept"]:
        words.append(f"{count['kept']} unchanged since an earlier run")
    if count["failed"]:
        words.append(f"{count['failed']} failed")
    if count["stopped"]:
        words.append(f"{count['stopped']} not finished: the run was interrupted")
    return ", ".join(words) + "."


def duration(seconds: float) -> str:
    """A time as one says it: `48 s`, `2 min 05 s`, `1 h 02 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _card(site: Site, outcome: Outcome) -> str:
    lesson, title = outcome.lesson, html.escape(outcome.lesson.title)
    return (
        f'<li class="card {outcome.state}">{_picture(site, lesson)}<div>'
        f'<h2><a href="{lesson.name}.html">{title}</a></h2>'
        f"<p>{html.escape(lesson.promise)}</p>"
        f'<p class="state">{_state(outcome, site.page(lesson.name).exists())}</p></div></li>'
    )


def _picture(site: Site, lesson: Lesson) -> str:
    """The small picture, or the number of the notebook in its place."""
    if not site.thumbnail(lesson.name).exists():
        number = html.escape(lesson.name.partition("_")[0][:2])
        return f'<div class="thumb number" aria-hidden="true">{number}</div>'
    width, height = THUMBNAIL_SIZE
    source = f"{THUMBNAILS}/{lesson.name}.png"
    return f'<img class="thumb" src="{source}" alt="" width="{width}" height="{height}">'


def _state(outcome: Outcome, has_page: bool) -> str:
    time = duration(outcome.seconds)
    if outcome.state == "done":
        return f"<b>ran</b> in {time}"
    if outcome.state == "kept":
        return f"<b>unchanged</b>, ran earlier in {time}"
    if outcome.state == "failed":
        return f"<b>failed</b> after {time}"
    return "<b>not finished</b>" + (", the page is of an earlier run" if has_page else "")


def _list(notes: Sequence[tuple[str, str]]) -> str:
    if not notes:
        return ""
    items = "\n".join(
        f'<li><a href="{name}.html">{html.escape(title)}</a></li>' for name, title in notes
    )
    return f'<h2>To look things up</h2>\n<ul class="notes">\n{items}\n</ul>\n'
