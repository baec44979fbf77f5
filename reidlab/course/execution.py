"""One notebook executed from top to bottom without a browser."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import threading
from pathlib import Path

from jupyter_core.utils import ensure_async
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from reidlab import paths
from reidlab.course import notebook as notebooks
from reidlab.course.progress import Progress

LAST_LINES = 15  # of a traceback, in an error message
COPIED_BYTES = 10 * 2**20
GLANCE = 0.2  # seconds between looks at whether the run was interrupted


class NotebookError(RuntimeError):
    """A notebook did not run to its end.

    Args:
        message: why.
        notebook: with the outputs it got so far.
    """

    def __init__(self, message: str, notebook: NotebookNode) -> None:
        super().__init__(message)
        self.notebook = notebook


class Interrupted(RuntimeError):
    """The run was stopped while a notebook ran."""


def execute(
    path: Path,
    *,
    timeout: float = 600,
    progress: Progress | None = None,
    stopped: threading.Event | None = None,
) -> NotebookNode:
    """The notebook at `path` with fresh outputs, run beside copies of the files in its folder.

    The notebook is not touched, and whatever its cells write beside it is thrown away. Folders and
    files above 10 MB are not copied: lessons find data through the package. The kernel computes on
    one thread unless `OMP_NUM_THREADS` says otherwise, as the tests do.

    Args:
        path: the notebook.
        timeout: seconds a single cell may take.
        progress: told when a code cell starts.
        stopped: once set, the kernel is ended.

    Raises:
        NotebookError: a cell failed or took too long, the kernel died, or a cell was left out.
        Interrupted: `stopped` was set before the end.
    """
    notebook = notebooks.read(path)

    def announce(cell: NotebookNode, cell_index: int) -> None:
        if progress and cell.cell_type == "code":
            progress.cell(path.stem, cell_index + 1, len(notebook.cells))

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
            on_cell_start=announce,
        )
        try:
            asyncio.run(_execute_unless(stopped or threading.Event(), client))
        except CellExecutionError:
            raise NotebookError(_explain(path, notebook), notebook) from None
        except CellTimeoutError:
            late = _explain(path, notebook, f"took over {timeout:g} s")
            raise NotebookError(late, notebook) from None
        except DeadKernelError:
            raise NotebookError(_explain(path, notebook, "killed its kernel"), notebook) from None
    if missing := notebooks.unfinished(notebook):
        cells = ", ".join(str(number) for number in missing)
        message = f"{path.name}: not executed to the end; never ran: cell {cells}"
        raise NotebookError(message, notebook)
    return notebook


async def _execute_unless(stopped: threading.Event, client: NotebookClient) -> None:
    """Execute a notebook; end its kernel and give up once `stopped` is set."""
    task = asyncio.ensure_future(client.async_execute(env=_environment()))
    while not task.done():
        await asyncio.wait([task], timeout=GLANCE)
        # a kernel on its way cannot be called back: let it arrive first
        if stopped.is_set() and client.kc is not None and not task.done():
            client.shutdown_kernel = "immediate"
            task.cancel()
            await asyncio.wait([task])  # whatever it ends with
            if client.km is not None and client.km.has_kernel:
                await ensure_async(client.km.shutdown_kernel(now=True))
            raise Interrupted
    await task


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
