"""Run the lessons from top to bottom without a browser, and turn them into web pages."""

from __future__ import annotations

import html
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from reidlab import paths
from reidlab.course import notebook as notebooks

LAST_LINES = 15  # of a traceback, in an error message
COPIED_BYTES = 10 * 2**20
Report = Callable[[str], None]


class NotebookError(RuntimeError):
    """A notebook did not run to its end."""


@dataclass(frozen=True)
class Outcome:
    """How one notebook went.

    Args:
        path: the notebook.
        title: its first heading.
        seconds: wall-clock time.
        error: why it failed; empty when it did not.
    """

    path: Path
    title: str
    seconds: float
    error: str = ""


def run_course(
    files: Sequence[Path],
    *,
    out: Path | None = None,
    in_place: bool = False,
    jobs: int = 1,
    timeout: float = 600,
    report: Report = lambda line: None,
) -> list[Outcome]:
    """Execute notebooks, several at a time; a failure is reported and does not stop the others.

    Args:
        files: the notebooks.
        out: folder for a web page per notebook and an `index.html`; None writes none.
        in_place: store the new outputs in the notebooks that ran to their end.
        jobs: notebooks at a time.
        timeout: seconds a single cell may take.
        report: called with a line of progress, from any thread.

    Returns:
        One outcome per file, in their order.

    Raises:
        ValueError: `jobs` or `timeout` too small, a file that is no notebook, or two of one name.
    """
    if jobs < 1 or timeout <= 0:
        raise ValueError(f"expected at least one job and some time, got {jobs=} and {timeout=}")
    if len({path.stem for path in files}) < len(files):
        raise ValueError("expected every notebook once, each with a name of its own")
    titles = {path: notebooks.title(notebooks.read(path), path.stem) for path in files}
    if out is not None:
        paths.make_folder(out)

    def run(path: Path) -> Outcome:
        start, error = time.perf_counter(), ""
        report(f"{path.stem}: started")
        try:
            run_notebook(path, out=out, in_place=in_place, timeout=timeout, report=report)
        except NotebookError as failure:
            error = str(failure)
        seconds = time.perf_counter() - start
        report(f"{path.stem}: {'FAILED' if error else 'done'} after {seconds:.1f} s")
        return Outcome(path, titles[path], seconds, error)

    with ThreadPoolExecutor(jobs) as pool:
        outcomes = list(pool.map(run, files))
    if out is not None:
        (out / "index.html").write_text(index_page(outcomes), encoding="utf-8")
    return outcomes


def run_notebook(
    path: Path,
    *,
    out: Path | None = None,
    in_place: bool = False,
    timeout: float = 600,
    report: Report = lambda line: None,
) -> NotebookNode:
    """Execute one notebook; only when all of it ran, write its web page and its outputs.

    Raises:
        NotebookError: a cell failed or took too long, the kernel died, or a cell was left out.
    """
    page = out / f"{path.stem}.html" if out is not None else None
    if page is not None:
        page.unlink(missing_ok=True)  # an old page must not pass for a new one
    done = notebooks.tidy(execute(path, timeout=timeout, report=report))
    if page is not None:
        page.write_text(web_page(done, path.stem), encoding="utf-8")
    if in_place:
        notebooks.write(done, path)
    return done


def execute(
    path: Path, *, timeout: float = 600, report: Report = lambda line: None
) -> NotebookNode:
    """The notebook at `path` with fresh outputs, run beside copies of the files in its folder.

    The notebook is not touched, and whatever its cells write beside it is thrown away. Folders and
    files above 10 MB are not copied: lessons find data through the package. The kernel computes on
    one thread unless `OMP_NUM_THREADS` says otherwise, as the tests do.

    Raises:
        NotebookError: see `run_notebook`.
    """
    notebook = notebooks.read(path)

    def progress(cell: NotebookNode, cell_index: int) -> None:
        if cell.cell_type == "code":
            report(f"{path.stem}: cell {cell_index + 1} of {len(notebook.cells)}")

    with tempfile.TemporaryDirectory(prefix="reidlab-course-") as scratch:
        folder = Path(scratch) / path.resolve().parent.name
        _copy_small_files(path.resolve().parent, folder)
        client = NotebookClient(
            notebook,
            timeout=timeout,
            kernel_name="python3",
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": str(folder)}},
            on_cell_start=progress,
        )
        try:
            client.execute(env=_environment())
        except CellExecutionError:
            raise NotebookError(_explain(path, notebook)) from None
        except CellTimeoutError:
            raise NotebookError(_explain(path, notebook, f"took over {timeout:g} s")) from None
        except DeadKernelError:
            raise NotebookError(_explain(path, notebook, "killed its kernel")) from None
    if missing := notebooks.unfinished(notebook):
        cells = ", ".join(str(number) for number in missing)
        raise NotebookError(f"{path.name}: not executed to the end; never ran: cell {cells}")
    return notebook


def _copy_small_files(source: Path, target: Path) -> None:
    """Copy what lies beside a notebook, other notebooks and hidden files apart."""
    target.mkdir()
    for file in source.iterdir():
        wanted = file.is_file() and file.suffix != ".ipynb" and not file.name.startswith(".")
        if wanted and file.stat().st_size <= COPIED_BYTES:
            shutil.copy(file, target / file.name)


def _environment() -> dict[str, str]:
    """The environment of a kernel: one thread, and this very package whether installed or not."""
    search = [str(paths.CHECKOUT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        "OMP_NUM_THREADS": "1",
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, search)),
    }


def _explain(path: Path, notebook: NotebookNode, what: str = "") -> str:
    """Which cell failed, its source, and the end of its traceback."""
    number, cell = _failed_cell(notebook)
    errors = [output for output in cell.get("outputs", []) if output.output_type == "error"]
    if not what:
        what = f"raised {errors[-1].ename}" if errors else "failed"
    trace = notebooks.plain("\n".join(errors[-1].traceback)).splitlines() if errors else []
    source = "\n".join(f"    | {line}" for line in cell.source.splitlines())
    ending = "\n".join(f"    {line}" for line in trace[-LAST_LINES:])
    return "\n".join(filter(None, [f"{path.name}: cell {number} {what}", source, ending]))


def _failed_cell(notebook: NotebookNode) -> tuple[int, NotebookNode]:
    """The first code cell with an error that was not announced, else the first that did not end."""
    code = [(i, cell) for i, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]
    for i, cell in code:
        failed = any(output.output_type == "error" for output in cell.outputs)
        if failed and "raises-exception" not in notebooks.tags(cell):
            return i, cell
    return next(((i, cell) for i, cell in code if not cell.execution_count), code[-1])


def web_page(notebook: NotebookNode, name: str) -> str:
    """The executed notebook as one HTML page with its pictures inside."""
    from nbconvert import HTMLExporter

    resources = {"metadata": {"name": notebooks.title(notebook, name)}}
    # nbconvert works on its argument: hand it a copy
    return HTMLExporter().from_notebook_node(nbformat.from_dict(notebook), resources)[0]


def index_page(outcomes: Sequence[Outcome]) -> str:
    """A page that lists the notebooks: title with a link, time, or that it failed."""
    rows = []
    for outcome in outcomes:
        name = html.escape(outcome.title)
        link = name if outcome.error else f'<a href="{outcome.path.stem}.html">{name}</a>'
        result = "failed" if outcome.error else f"{outcome.seconds:.0f} s"
        rows.append(f"<tr><td>{outcome.path.stem}</td><td>{link}</td><td>{result}</td></tr>")
    style = (
        "body{font:17px/1.5 system-ui,sans-serif;max-width:46rem;margin:3rem auto;padding:0 1rem;"
        "color:#222}table{border-collapse:collapse;width:100%}td,th{text-align:left;"
        "padding:.45rem .6rem;border-bottom:1px solid #ddd}td:last-child,th:last-child{"
        "text-align:right;white-space:nowrap}a{color:#0072b2}"
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>reidlab: the course</title><style>{style}</style></head>\n<body>"
        "<h1>reidlab: the course</h1>\n<table>"
        "<tr><th>notebook</th><th>title</th><th>time</th></tr>\n"
        + "\n".join(rows)
        + "\n</table></body></html>\n"
    )
