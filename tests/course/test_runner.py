import os
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from reidlab.course import notebook as notebooks
from reidlab.course.__main__ import find_notebooks, main
from reidlab.course.runner import NotebookError, Outcome, execute, index_page, run_course


def save(folder, name, *cells, title="# A lesson"):
    path = folder / name
    code = [new_code_cell(c) if isinstance(c, str) else c for c in cells]
    nbformat.write(new_notebook(cells=[new_markdown_cell(title), *code]), path)
    return path


def outputs(path):
    cells = nbformat.read(path, 4).cells
    return [o.get("text", "") for cell in cells for o in cell.get("outputs", [])]


GOOD = ("from pathlib import Path\nPath('scratch.txt').write_text('x')", "print(6 * 7)")


def test_the_command_stores_outputs_and_writes_pages(tmp_path, capsys):
    path = save(tmp_path, "00_good.ipynb", *GOOD, title="# 00 A <good> lesson")
    assert main([str(path), "--in-place", "--out", str(tmp_path / "pages")]) == 0
    assert "42\n" in outputs(path)
    progress = capsys.readouterr().out
    assert "00_good: cell 2 of 3" in progress and "1 of 1 notebooks" in progress
    assert "42" in (tmp_path / "pages/00_good.html").read_text()
    index = (tmp_path / "pages/index.html").read_text()
    assert '<a href="00_good.html">00 A &lt;good&gt; lesson</a>' in index
    assert not (tmp_path / "scratch.txt").exists()  # cells write into a copy of the folder
    assert sorted(os.listdir(tmp_path)) == ["00_good.ipynb", "pages"]  # nothing half-written


def test_a_failing_cell_is_shown_and_nothing_is_stored(tmp_path, capsys):
    bad = save(tmp_path, "01_bad.ipynb", "fine = 1", "def f():\n    return 1 / 0\nf()", "later = 1")
    before, pages = bad.read_bytes(), tmp_path / "pages"
    pages.mkdir()
    (pages / "01_bad.html").write_text("an old page")
    assert main([str(bad), "--in-place", "--out", str(pages)]) == 1
    message = capsys.readouterr().err
    assert "01_bad.ipynb: cell 3 raised ZeroDivisionError" in message
    assert "| def f():" in message and "division by zero" in message and "\x1b" not in message
    assert bad.read_bytes() == before
    assert not (pages / "01_bad.html").exists()
    assert "failed" in (pages / "index.html").read_text()


def test_one_failure_does_not_hide_the_others(tmp_path):
    files = [
        save(tmp_path, "a.ipynb", "raise KeyError('x')"),
        save(tmp_path, "b.ipynb", "print(1)"),
    ]
    lines = []
    first, second = run_course(files, jobs=2, report=lines.append)
    assert "raised KeyError" in first.error and not second.error
    assert any(line.startswith("a: FAILED") for line in lines)
    assert any(line.startswith("b: done") for line in lines)
    assert outputs(files[1]) == []  # stored only when asked for


def test_a_slow_cell_is_stopped(tmp_path):
    path = save(tmp_path, "slow.ipynb", "import time\ntime.sleep(60)")
    with pytest.raises(NotebookError, match="cell 2 took over 1 s"):
        execute(path, timeout=1)


def test_a_killed_kernel_is_an_error(tmp_path):
    path = save(tmp_path, "dead.ipynb", "import os\nos._exit(1)")
    with pytest.raises(NotebookError, match="cell 2 killed its kernel"):
        execute(path)


def test_a_half_executed_notebook_is_refused(tmp_path):
    skipped = new_code_cell("y = 1", metadata={"tags": ["skip-execution"]})
    path = save(tmp_path, "half.ipynb", "x = 1", skipped)
    with pytest.raises(NotebookError, match="never ran: cell 3"):
        execute(path)


def test_an_announced_error_is_no_failure_and_kernels_import_this_package(tmp_path):
    loud = new_code_cell("1 / 0", metadata={"tags": ["raises-exception"]})
    where = "import os, sys, reidlab\nprint(os.environ['OMP_NUM_THREADS'], reidlab.__file__)"
    path = save(tmp_path, "loud.ipynb", loud, where)
    (text,) = [o.text for c in execute(path).cells for o in c.get("outputs", []) if "text" in o]
    assert text.startswith(os.environ.get("OMP_NUM_THREADS", "1") + " ")
    assert text.strip().endswith(sys.modules["reidlab"].__file__)


def test_wrong_calls_end_with_a_message_and_2(tmp_path, capsys):
    save(tmp_path, "a.ipynb", "1")
    (tmp_path / "text.ipynb").write_text("no json")
    (tmp_path / "more").mkdir()
    twin = save(tmp_path / "more", "a.ipynb", "1")
    for arguments, message in (
        ([tmp_path / "none.ipynb"], "no notebook"),
        ([tmp_path / "text.ipynb"], "is no notebook"),
        ([tmp_path / "a.ipynb", "--jobs", 0], "at least one job"),
        ([tmp_path / "a.ipynb", twin], "a name of its own"),
        ([tmp_path / "a.ipynb", "--student", "--out", tmp_path], "would overwrite"),
    ):
        assert main([str(part) for part in ("--out", tmp_path / "pages", *arguments)]) == 2
        assert message in capsys.readouterr().err


def test_without_files_the_folder_of_lessons_is_taken(tmp_path, monkeypatch):
    monkeypatch.setattr("reidlab.paths.CHECKOUT", tmp_path)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(ValueError, match="no notebooks in"):
        find_notebooks()
    save(tmp_path / "notebooks", "01_b.ipynb")
    save(tmp_path / "notebooks", "00_a.ipynb")
    assert [path.name for path in find_notebooks()] == ["00_a.ipynb", "01_b.ipynb"]


def test_the_student_version_has_no_solutions_and_no_outputs(tmp_path):
    solved = new_code_cell("answer = 42", metadata={"tags": ["solution"]}, execution_count=2)
    printed = new_code_cell("print(1)", execution_count=1)
    printed.outputs = [nbformat.v4.new_output("stream", text="1\n")]
    path = save(tmp_path, "lesson.ipynb", printed, solved)
    before = path.read_bytes()
    assert main(["--student", str(path), "--out", str(tmp_path / "handout")]) == 0
    text = (tmp_path / "handout/lesson.ipynb").read_text()
    assert "answer = 42" not in text
    (kept,) = [c for c in nbformat.reads(text, 4).cells if c.cell_type == "code"]
    assert kept.source == "print(1)" and not kept.outputs and kept.execution_count is None
    assert path.read_bytes() == before


def test_tidy_drops_what_changes_by_itself_and_keeps_what_the_author_wrote():
    cell = new_code_cell("x", metadata={"tags": ["a"], "execution": {"t": "1"}, "scrolled": True})
    cell.metadata["jupyter"] = {"source_hidden": True}
    raw = new_notebook(cells=[cell, new_code_cell("x"), new_markdown_cell("x")])
    raw.metadata.update(widgets={"state": {}}, language_info={"name": "python", "version": "3.9"})
    tidy = notebooks.tidy(raw)
    assert set(tidy.metadata) == {"kernelspec", "language_info"}
    assert tidy.metadata.language_info == {"name": "python"}
    assert tidy.cells[0].metadata == {"tags": ["a"], "jupyter": {"source_hidden": True}}
    assert "widgets" in raw.metadata  # the argument is left alone
    assert len({cell.id for cell in tidy.cells}) == 3
    for cell in raw.cells:
        cell.id = "other" + cell.id
    assert [cell.id for cell in notebooks.tidy(raw).cells] == [cell.id for cell in tidy.cells]
    nbformat.validate(tidy)


def test_tidy_drops_progress_bars_and_the_views_of_dead_widgets():
    def view(text):
        data = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": text}
        return nbformat.v4.new_output("display_data", data)

    texts = ["  0%|          | 0/746 [00:00<?, ?it/s]", "0img [00:00, ?img/s]", "VBox(children=())"]
    cell = new_code_cell("x", outputs=[view(text) for text in texts])
    (kept,) = notebooks.tidy(new_notebook(cells=[cell])).cells[0].outputs
    assert kept.data == {"text/plain": "VBox(children=())"}


def test_an_interrupted_write_leaves_the_old_notebook(tmp_path, monkeypatch):
    path = save(tmp_path, "a.ipynb", "1")
    before = path.read_bytes()

    def broken(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        notebooks.write(new_notebook(), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.ipynb"]


def test_the_index_lists_failures_without_a_link(tmp_path):
    page = index_page([Outcome(tmp_path / "a.ipynb", "A", 3.2, "it broke")])
    assert "failed" in page and "href" not in page and "3 s" not in page
