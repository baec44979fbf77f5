"""Run the lessons from top to bottom without a browser, and turn them into web pages."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from nbformat import NotebookNode

from reidlab import __version__, paths
from reidlab.course import notebook as notebooks
from reidlab.course.execution import Interrupted, NotebookError, execute
from reidlab.course.index import Outcome, duration, index_page
from reidlab.course.pages import Lesson, Site, read_lesson, write_gap, write_lesson, write_notes
from reidlab.course.progress import Progress
from reidlab.course.record import Entry, fingerprint, read_record, write_record
from reidlab.paths import atomic_write


def run_course(
    files: Sequence[Path],
    *,
    out: Path | None = None,
    in_place: bool = False,
    jobs: int = 1,
    timeout: float = 600,
    changed: bool = False,
    progress: Progress | None = None,
) -> list[Outcome]:
    """Execute notebooks, several at a time; a failure is reported and does not stop the others.

    The notebook that took longest last time starts first. Ctrl-C stops the run: what ended by then
    keeps its page and its time.

    Args:
        files: the notebooks, in the order of reading.
        out: folder for a web page per notebook, an index and `run.json`; None writes none.
        in_place: store the new outputs in the notebooks that ran to their end.
        jobs: notebooks at a time.
        timeout: seconds a single cell may take.
        changed: leave out notebooks that have a page, made from the same cells and package.
        progress: told, from any thread, what happens.

    Returns:
        One outcome per file, in their order.

    Raises:
        ValueError: `jobs` or `timeout` too small, `changed` without `out`, a file that is no
            notebook, or two of one name.
    """
    if jobs < 1 or timeout <= 0:
        raise ValueError(f"expected at least one job and some time, got {jobs=} and {timeout=}")
    if changed and out is None:
        raise ValueError("what changed is told from the pages of an earlier run; give their folder")
    if len({path.stem for path in files}) < len(files):
        raise ValueError("expected every notebook once, each with a name of its own")
    lessons = tuple(read_lesson(path) for path in files)
    site = Site(paths.make_folder(out), lessons) if out is not None else None
    record = read_record(site.folder) if site else {}
    run = _Run(site, in_place, timeout, progress or Progress(), record)
    start = time.perf_counter()
    outcomes = _run_all(run, lessons, jobs, changed)
    if site:
        _write_index(site, outcomes, time.perf_counter() - start, jobs)
    return outcomes


AWAKE = 0.5  # seconds between two looks whether Ctrl-C was pressed


@dataclass
class _Run:
    """One run of the course, shared by its threads."""

    site: Site | None
    in_place: bool
    timeout: float
    progress: Progress
    record: dict[str, Entry]
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def expected(self, lesson: Lesson) -> float:
        """Seconds: of the last run, else a guess from the number of cells."""
        known = self.record.get(lesson.name)
        return known.seconds if known else float(lesson.cells)

    def keeps(self, lesson: Lesson) -> bool:
        """Whether its page was made from the same cells and package."""
        known = self.record.get(lesson.name)
        has_page = self.site is not None and self.site.page(lesson.name).exists()
        same = known and known.made_from == fingerprint(notebooks.read(lesson.path))
        return bool(has_page and same)

    def one(self, lesson: Lesson) -> Outcome:
        """Execute a notebook, store what was asked for, and say how it went."""
        if self.stopped.is_set():
            return Outcome(lesson, "stopped")
        start, error = time.perf_counter(), ""
        self.progress.started(lesson.name)
        try:
            self._execute(lesson, start)
        except Interrupted:
            self.progress.ended(lesson.name, "stopped")
            return Outcome(lesson, "stopped")
        except (NotebookError, ValueError) as failure:
            error = str(failure)
        seconds = time.perf_counter() - start
        words = f"{'FAILED' if error else 'done'} after {duration(seconds)}"
        self.progress.ended(lesson.name, words)
        return Outcome(lesson, "failed" if error else "done", seconds, error)

    def _execute(self, lesson: Lesson, start: float) -> None:
        made_from = fingerprint(notebooks.read(lesson.path)) if self.site else ""
        try:
            done = execute(
                lesson.path, timeout=self.timeout, progress=self.progress, stopped=self.stopped
            )
        except NotebookError as failure:
            self._forget(lesson)
            self._write_page(lesson, failure.notebook, start, str(failure))
            raise
        self._write_page(lesson, done, start)
        if self.in_place:
            notebooks.write(notebooks.tidy(done), lesson.path)
        if self.site:
            when = datetime.now().isoformat(" ", "minutes")
            with self.lock:
                entry = Entry(round(time.perf_counter() - start, 1), made_from, when)
                self.record[lesson.name] = entry
                write_record(self.site.folder, self.record)

    def _forget(self, lesson: Lesson) -> None:
        with self.lock:
            if self.record.pop(lesson.name, None) and self.site:
                write_record(self.site.folder, self.record)

    def _write_page(
        self, lesson: Lesson, notebook: NotebookNode, start: float, error: str = ""
    ) -> None:
        if self.site:
            seconds = duration(time.perf_counter() - start)
            footer = f"Run on {_today()} with reidlab {__version__}, in {seconds}."
            shown = notebooks.without_progress_bars(notebook)
            write_lesson(self.site, lesson, shown, footer=footer, error=error)


def _run_all(run: _Run, lessons: Sequence[Lesson], jobs: int, changed: bool) -> list[Outcome]:
    """Run what must be run, the longest first; stop all of it on Ctrl-C."""
    kept = {
        lesson.name: Outcome(lesson, "kept", run.record[lesson.name].seconds)
        for lesson in lessons
        if changed and run.keeps(lesson)
    }
    waiting = [lesson for lesson in lessons if lesson.name not in kept]
    run.progress.begin({lesson.name: lesson.cells for lesson in waiting})
    with ThreadPoolExecutor(jobs) as pool:
        queue = sorted(waiting, key=run.expected, reverse=True)
        running = {lesson.name: pool.submit(run.one, lesson) for lesson in queue}
        try:
            while wait(running.values(), timeout=AWAKE).not_done:
                pass  # another thread may have taken the signal: wake up and look
        except KeyboardInterrupt:
            run.stopped.set()
            run.progress.say("interrupted: stopping what runs, keeping what ended")
            wait(running.values())
    run.progress.close()
    ended = {name: future.result() for name, future in running.items()}
    return [(kept | ended)[lesson.name] for lesson in lessons]


def _write_index(site: Site, outcomes: Sequence[Outcome], seconds: float, jobs: int) -> None:
    for lesson in site.lessons:
        if not site.page(lesson.name).exists():
            write_gap(site, lesson)
    alone = sum(outcome.seconds for outcome in outcomes if outcome.state in ("done", "failed"))
    facts = (
        f"{_today()}, reidlab {__version__}: {duration(seconds)}, {jobs} at a time "
        f"({duration(alone)} added up)."
    )
    text = index_page(site, outcomes, write_notes(site), facts)
    atomic_write(site.folder / "index.html", text)


def _today() -> str:
    now = datetime.now()
    return f"{now.day} {now:%B %Y, %H:%M}"
