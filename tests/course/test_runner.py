import json
import os
import signal
import sys
import threading

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from reidlab.course import notebook as notebooks
from reidlab.course import record
from reidlab.course.__main__ import find_notebooks, main
from reidlab.course.execution import NotebookError, execute
from reidlab.course.index import Outcome
from reidlab.course.pages import read_lesson
from reidlab.course.progress import Progress
from reidlab.course.record import read_record
from reidlab.course.runner import run_course


def save(folder, name, *cells, title="# A lesson"):
    path = folder / name
    code = [new_code_cell(c) if isinstance(c, str) else c for c in cells]
    nbformat.write(new_notebook(cells=[new_markdown_cell(title), *code]), path)
    return path


def outputs(path):
    cells = nbformat.read(path, 4).cells
    return [o.get("text", "") for cell in cells for o in cell.get("outputs", [])]


class Heard(Progress):
    """Keeps what it is told."""

    def __init__(self):
        self.lines, self.order = [], []

    def started(self, name):
        self.order.append(name)

    def ended(self, name, words):
        self.lines.append(f"{name}: {words}")


GOOD = ("from pathlib import Path\nPath('scratch.txt').write_text('x')", "print(6 * 7)")


def test_the_command_stores_outputs_and_writes_pages(tmp_path, capsys):
    path = save(tmp_path, "00_good.ipynb", *GOOD, title="# 00 A <good> lesson")
    assert main([str(path), "--in-place", "--out", str(tmp_path / "pages")]) == 0
    assert "42\n" in outputs(path)
    said = capsys.readouterr().out
    assert "00_good: started" in said and "1 of 1 notebooks ran to their end." in said
    assert "42" in (tmp_path / "pages/00_good.html").read_text()
    index = (tmp_path / "pages/index.html").read_text()
    assert '<a href="00_good.html">00 A &lt;good&gt; lesson</a>' in index
    assert not (tmp_path / "scratch.txt").exists()  # cells write into a copy of the folder
    assert sorted(os.listdir(tmp_path)) == ["00_good.ipynb", "pages"]  # nothing half-written


def test_a_failing_cell_is_shown_and_nothing_is_stored(tmp_path, capsys):
    bad = save(
        tmp_path, "01_bad.ipynb", "print('so' + ' far')", "def f():\n    return 1 / 0\nf()", "1"
    )
    before, pages = bad.read_bytes(), tmp_path / "pages"
    pages.mkdir()
    (pages / "01_bad.html").write_text("an old page")
    assert main([str(bad), "--in-place", "--out", str(pages)]) == 1
    message = capsys.readouterr().err
    assert "01_bad.ipynb: cell 3 raised ZeroDivisionError" in message
    assert "| def f():" in message and "division by zero" in message and "\x1b" not in message
    assert bad.read_bytes() == before
    page = (pages / "01_bad.html").read_text()
    assert "an old page" not in page and "so far" in page  # how far it came, and why no further
    for text in (page, (pages / "index.html").read_text()):
        assert '<div class="trouble"><strong>01_bad.ipynb: cell 3 raised Zero' in text
    assert read_record(pages) == {}


def test_one_failure_does_not_hide_the_others(tmp_path):
    files = [
        save(tmp_path, "a.ipynb", "raise KeyError('x')"),
        save(tmp_path, "b.ipynb", "print(1)"),
    ]
    heard = Heard()
    first, second = run_course(files, jobs=2, progress=heard)
    assert (first.state, second.state) == ("failed", "done")
    assert "raised KeyError" in first.error and not second.error
    assert any(line.startswith("a: FAILED") for line in heard.lines)
    assert any(line.startswith("b: done") for line in heard.lines)
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


def test_the_student_version_does_not_speak_of_solutions(tmp_path):
    words = new_markdown_cell("The folded cell holds a solution.", metadata={"tags": ["solution"]})
    lesson = new_notebook(cells=[words, new_code_cell("x = 1  # a solution of the equation")])
    for names in ("case, check, solution, todo", "(\n    check,\n    solution,\n)", "solution"):
        imports = new_code_cell(f"import os\nfrom reidlab.course import {names}\nos.sep")
        lesson.cells = [*lesson.cells[:2], imports]
        handed_out = notebooks.student_version(lesson)
        assert notebooks.tidy(handed_out) == handed_out
        first, second = handed_out.cells
        assert first.source == lesson.cells[1].source  # only imports are rewritten
        assert "solution" not in second.source
        compile(second.source, "cell", "exec")
        assert ("check" in second.source) == ("check" in names)


def test_the_promise_is_the_first_bold_text_of_the_first_cell():
    cells = [
        new_markdown_cell("# T\n\n**Two\nlines?** *More* **bold**"),
        new_markdown_cell("**b**"),
    ]
    assert notebooks.promise(new_notebook(cells=cells)) == "Two lines?"
    assert notebooks.promise(new_notebook(cells=cells[:0])) == ""
    assert notebooks.promise(new_notebook(cells=[new_markdown_cell("# T")])) == ""


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


@pytest.fixture
def quick(monkeypatch):
    """Notebooks count as executed without a kernel."""
    monkeypatch.setattr("reidlab.course.runner.execute", lambda path, **_: notebooks.read(path))


def test_the_longest_notebook_starts_first(tmp_path, quick):
    files = [save(tmp_path, f"{n}.ipynb", *["1"] * n) for n in (1, 3, 2)]
    heard = Heard()
    run_course(files, progress=heard)
    assert heard.order == ["3", "2", "1"]  # by number of cells, before there are times
    stored = {"1": {"seconds": 90.0, "made_from": "", "when": ""}}
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages/run.json").write_text(json.dumps(stored))
    run_course(files[::2], out=tmp_path / "pages", progress=heard)
    assert heard.order[3:] == ["1", "2"]


def test_only_what_changed_runs_again_when_asked(tmp_path, quick):
    files = [save(tmp_path, name, "1") for name in ("a.ipynb", "b.ipynb")]
    pages = tmp_path / "pages"
    run_course(files, out=pages)
    seconds = read_record(pages)["a"].seconds
    save(tmp_path, "b.ipynb", "2")
    heard = Heard()
    first, second = run_course(files, out=pages, changed=True, progress=heard)
    assert heard.order == ["b"] and (first.state, second.state) == ("kept", "done")
    assert first.seconds == seconds
    assert "unchanged" in (pages / "index.html").read_text()
    (pages / "a.html").unlink()
    run_course(files, out=pages, changed=True, progress=heard)
    assert heard.order == ["b", "a"]  # no page: run again
    run_course(files, out=pages, progress=heard)
    assert sorted(heard.order[2:]) == ["a", "b"]  # by default all
    with pytest.raises(ValueError, match="give their folder"):
        run_course(files, changed=True)


def test_a_failure_is_no_run_to_build_on(tmp_path, quick, monkeypatch):
    files = [save(tmp_path, "a.ipynb", "1")]
    run_course(files, out=tmp_path / "pages")

    def fail(path, **_):
        raise NotebookError("a.ipynb: cell 2 raised E", notebooks.read(path))

    with monkeypatch.context() as patch:
        patch.setattr("reidlab.course.runner.execute", fail)
        assert run_course(files, out=tmp_path / "pages")[0].state == "failed"
    assert run_course(files, out=tmp_path / "pages", changed=True)[0].state == "done"


def test_another_package_makes_every_notebook_changed(tmp_path, monkeypatch):
    notebook = notebooks.read(save(tmp_path, "a.ipynb", "1"))
    before = record.fingerprint(notebook)
    notebook.cells[1].outputs = [nbformat.v4.new_output("stream", text="1")]
    assert record.fingerprint(notebook) == before
    monkeypatch.setattr(record, "package_fingerprint", lambda: "other")
    assert record.fingerprint(notebook) != before


def test_a_spoilt_record_is_named(tmp_path):
    (tmp_path / "run.json").write_text('{"a": {"seconds": 1}}')
    with pytest.raises(ValueError, match=r"run\.json is no record of a run"):
        read_record(tmp_path)


class InterruptsLater(Heard):
    """Presses Ctrl-C when the second notebook runs and the first has ended."""

    def __init__(self):
        super().__init__()
        self.first_ended = threading.Event()

    def ended(self, name, words):
        super().ended(name, words)
        self.first_ended.set()

    def cell(self, name, number, cells):
        if name == "b" and number == 3 and self.first_ended.wait(60):
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_keeps_what_ended_and_leaves_no_kernel(tmp_path):
    where = tmp_path / "pid"
    note = f"import os, time\nopen({str(where)!r}, 'w').write(str(os.getpid()))"
    files = [
        save(tmp_path, "a.ipynb", "print('ended')", "1", "2", "3"),
        save(tmp_path, "b.ipynb", note, "time.sleep(600)"),
        save(tmp_path, "c.ipynb", "import time\ntime.sleep(600)"),
    ]
    pages = tmp_path / "pages"
    first, second, third = run_course(files, out=pages, jobs=2, progress=InterruptsLater())
    assert (first.state, second.state, third.state) == ("done", "stopped", "stopped")
    assert "ended" in (pages / "a.html").read_text() and set(read_record(pages)) == {"a"}
    for name in ("b", "c"):
        assert "not been run to its end" in (pages / f"{name}.html").read_text()
    index = (pages / "index.html").read_text()
    assert "2 not finished: the run was interrupted" in index
    with pytest.raises(ProcessLookupError):  # the kernel of b is gone
        os.kill(int(where.read_text()), 0)


def test_the_command_says_that_it_was_interrupted(tmp_path, monkeypatch, capsys):
    lesson = read_lesson(save(tmp_path, "a.ipynb"))
    monkeypatch.setattr(
        "reidlab.course.__main__.run_course", lambda *_, **__: [Outcome(lesson, "stopped")]
    )
    assert main([str(lesson.path), "--out", str(tmp_path)]) == 130
    assert "1 not finished" in capsys.readouterr().out


def test_a_formula_that_cannot_be_set_fails_its_notebook_alone(tmp_path, quick):
    files = [save(tmp_path, "a.ipynb", title=r"# A $\foo$"), save(tmp_path, "b.ipynb")]
    first, second = run_course(files, out=tmp_path / "pages")
    assert (first.state, second.state) == ("failed", "done")
    assert r"cannot set the formula $\foo$" in first.error
