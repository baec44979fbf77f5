"""One notebook as data: tidied for the repository, cut down for students, described in a line.

Everything works on `nbformat` notebooks in memory; nothing here runs code.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbformat import NotebookNode

KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
PROGRESS_BAR = re.compile(r"\d%\||\[\d\d:\d\d")  # tqdm: a bar, or the time since it started
COURSE_IMPORT = re.compile(r"^from reidlab\.course import (\([^)]*\)|.*)$", re.MULTILINE)
KEPT_METADATA = ("tags", "jupyter")  # of a cell; timings and editor settings are dropped


def read(path: str | os.PathLike[str]) -> NotebookNode:
    """The notebook at `path`, in the current format.

    Raises:
        ValueError: no such file, or not a notebook.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"no notebook {path}; give files that end in .ipynb")
    try:
        return nbformat.read(path, as_version=4)
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, KeyError) as error:
        raise ValueError(f"{path} is no notebook: {str(error).splitlines()[0]}") from None


def write(notebook: NotebookNode, path: str | os.PathLike[str]) -> None:
    """Replace the file at `path` in one step: a reader sees the old notebook or the new one."""
    path = Path(path)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.stem}-", suffix=".part")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            file.write(nbformat.writes(notebook).rstrip("\n") + "\n")
        mode = path.stat().st_mode if path.exists() else 0o644
        os.chmod(name, mode & 0o777)
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def tags(cell: NotebookNode) -> list[str]:
    """The tags of a cell."""
    return cell.metadata.get("tags", [])


def title(notebook: NotebookNode, fallback: str = "") -> str:
    """The first heading, without its hashes."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for line in cell.source.splitlines():
                if line.startswith("# "):
                    return line[2:].strip()
    return fallback


def promise(notebook: NotebookNode) -> str:
    """What the notebook is about in one line: the first words in bold of its first cell."""
    first = notebook.cells[0].source if notebook.cells else ""
    bold = re.search(r"\*\*(.+?)\*\*", first, flags=re.DOTALL)
    return " ".join(bold[1].split()) if bold else ""


def first_picture(notebook: NotebookNode) -> bytes | None:
    """The first PNG that a cell shows; None when there is none."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                return base64.b64decode(picture)
    return None


def tidy(notebook: NotebookNode) -> NotebookNode:
    """A copy that says only what the author wrote and what the cells gave back.

    Widgets (dead without a kernel), progress bars, timings, editor settings and Python versions go.
    Cell ids follow from the text of the cells, so that running a notebook twice, or building it
    again, changes nothing but outputs.
    """
    notebook = without_progress_bars(notebook)
    notebook.metadata = NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    taken: set[str] = set()
    for cell in notebook.cells:
        kept = {key: cell.metadata[key] for key in KEPT_METADATA if cell.metadata.get(key)}
        cell.metadata = NotebookNode(kept)
        cell.id = _name_cell(cell, taken)
        taken.add(cell.id)
        for output in cell.get("outputs", []):
            output.get("data", {}).pop(WIDGET_VIEW, None)
    return notebook


def without_progress_bars(notebook: NotebookNode) -> NotebookNode:
    """A copy whose cells show what they gave back, and no bar of how far they were."""
    notebook = copy.deepcopy(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [output for output in cell.outputs if not _is_progress_bar(output)]
    return notebook


def _is_progress_bar(output: NotebookNode) -> bool:
    data = output.get("data", {})
    return WIDGET_VIEW in data and bool(PROGRESS_BAR.search(data.get("text/plain", "")))


def _name_cell(cell: NotebookNode, taken: set[str]) -> str:
    """An id from kind and text; the second cell of the same text gets another."""
    for repetition in range(len(taken) + 1):
        text = f"{cell.cell_type} {repetition} {cell.source}"
        name = hashlib.sha256(text.encode()).hexdigest()[:8]
        if name not in taken:
            return name
    raise AssertionError("more names than cells")


def student_version(notebook: NotebookNode) -> NotebookNode:
    """A copy to hand out: no outputs, and no solutions.

    Cells tagged `solution` are left out, words as well as code: what a notebook says about its
    solutions stands in a cell of its own with that tag. The import of their decorator goes, too.
    """
    notebook = tidy(notebook)
    notebook.cells = [cell for cell in notebook.cells if "solution" not in tags(cell)]
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            cell.source = COURSE_IMPORT.sub(_import_no_solution, cell.source)
    return tidy(notebook)  # a changed text has another id


def _import_no_solution(statement: re.Match[str]) -> str:
    names = re.findall(r"\w+", statement[1])
    if "solution" not in names:
        return statement[0]
    names.remove("solution")
    line = f"from reidlab.course import {', '.join(names)}" if names else ""
    if len(line) <= 100:
        return line
    return "from reidlab.course import (\n" + "".join(f"    {name},\n" for name in names) + ")"


def unfinished(notebook: NotebookNode) -> list[int]:
    """Positions, counted from 1, of code cells that were not executed."""
    return [
        number
        for number, cell in enumerate(notebook.cells, start=1)
        if cell.cell_type == "code" and cell.source.strip() and not cell.execution_count
    ]


def plain(text: str) -> str:
    """Text without terminal colours."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
