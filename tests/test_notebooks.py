"""Are the committed notebooks fit to be read on the web? They are executed by `pytest --nbval`."""

import ast
import copy
import json
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from reidlab.course.markup import OUTSIDE, words_to_html
from reidlab.course.notebook import promise, student_version, tags, tidy

FOLDER = Path(__file__).parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
REPOSITORY = "https://github.com/reidlab/reidlab"
COLAB = "https://colab.research.google.com/github/reidlab/reidlab/blob/main/notebooks/"
README = FOLDER.parent / "README.md"
NOTES = [FOLDER / "notation.md", FOLDER / "responsible_use.md"]
LARGEST = 1_500_000  # bytes
TAGS = {
    "setup", "settings", "exercise", "solution",
    "nbval-ignore-output", "nbval-skip", "raises-exception",
}  # fmt: skip
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
TELLS = re.compile(r"(?i)\b(folded|shipped|our|the) solutions?\b|\bsolution cells?\b|@solution")
MACHINE_PATH = re.compile(
    r"(?<![\w.-])/(?:home|root|tmp|Users|work|content|private|mnt)/|\b[A-Z]:\\"
)


def code_cells(notebook):
    return [c for c in notebook.cells if c.cell_type == "code" and c.source.strip()]


def outputs(notebook):
    return [output for cell in code_cells(notebook) for output in cell.outputs]


def is_executed_in_order(notebook, name):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    return counts == list(range(1, len(counts) + 1))


def shows_results(notebook, name):
    checks = [cell for cell in code_cells(notebook) if "check(" in cell.source]
    return bool(outputs(notebook)) and all(cell.outputs for cell in checks)


def is_small(notebook, name):
    return len(nbformat.writes(notebook).encode()) < LARGEST


def names_no_machine_path(notebook, name):
    texts = [cell.source for cell in notebook.cells]
    for output in outputs(notebook):
        data = {k: v for k, v in output.get("data", {}).items() if not k.startswith("image/")}
        texts += [output.get("text", ""), *output.get("traceback", [])]
        texts += [v if isinstance(v, str) else json.dumps(v) for v in data.values()]
    return not any(MACHINE_PATH.search(text) for text in texts)


def has_no_error(notebook, name):
    return all(output.output_type != "error" for output in outputs(notebook))


def has_no_stderr(notebook, name):
    return all(output.get("name") != "stderr" for output in outputs(notebook))


def completes_every_exercise(notebook, name):
    """Stub, then solution (folded), then check; each follows as the next code cell."""
    cells = code_cells(notebook)
    for i, cell in enumerate(cells):
        if "exercise" in tags(cell):
            stub, solved, checked = (cells[i : i + 3] + [None, None])[:3]
            complete = (
                "todo(" in stub.source
                and solved is not None
                and "solution" in tags(solved)
                and checked is not None
                and "check(" in checked.source
            )
            if not complete:
                return False
    return True


def announces_every_solution(notebook, name):
    """A solution belongs to a stub, and is folded away."""
    cells = code_cells(notebook)
    return all(
        i > 0 and "exercise" in tags(cells[i - 1]) and is_folded(cell)
        for i, cell in enumerate(cells)
        if "solution" in tags(cell)
    )


def is_folded(cell):
    return cell.metadata.get("jupyter", {}).get("source_hidden", False)


def is_tidy(notebook, name):
    """As `python -m reidlab.course --in-place` leaves it: no widget state, times, versions."""
    return tidy(notebook) == notebook


def compares_no_progress_bar(notebook, name):
    """Bars are not stored, so a cell that shows one cannot be compared."""
    return all(
        "nbval-ignore-output" in tags(cell)
        for cell in code_cells(notebook)
        if "progress=True" in cell.source
    )


def has_title_and_colab_badge(notebook, name):
    first = notebook.cells[0]
    return first.source.startswith("# ") and f"({COLAB}{name})" in first.source


def promises_something_in_some_time(notebook, name):
    """A short promise in bold, and how long it takes."""
    return 10 < len(promise(notebook)) <= 200 and "*Time:*" in notebook.cells[0].source


def has_known_tags(notebook, name):
    """A misspelt tag would do nothing, silently."""
    return all(set(tags(cell)) <= TAGS for cell in notebook.cells)


def has_formulas_that_pages_can_show(notebook, name):
    try:
        return bool([words_to_html(text) for text in words(notebook)])
    except ValueError:
        return False


def words(notebook):
    return [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]


def leads_somewhere(notebook, name):
    return not dead_links("\n".join(words(notebook)))


def dead_links(text):
    """Relative links to files that do not lie beside the notebook.

    Only siblings: JupyterLab opens `notebooks/` and sees nothing above it.
    """
    targets = [url for url in LINK.findall(text) if not OUTSIDE.match(url) and url[0] != "#"]
    return [url for url in targets if "/" in url or not (FOLDER / url.split("#")[0]).is_file()]


def keeps_solutions_from_students(notebook, name):
    """What a notebook says about its solutions stands in cells tagged `solution`."""
    handed_out = student_version(notebook)
    return not any(TELLS.search(cell.source) for cell in handed_out.cells)


def sets_itself_up(notebook, name):
    wanted = ("google.colab", f"git+{REPOSITORY}", "start(")
    return any(all(word in cell.source for word in wanted) for cell in code_cells(notebook))


def has_settings(notebook, name):
    return any(
        {"PROFILE", "DATASET", "SEED", "EPOCHS"} <= assigned(cell) for cell in code_cells(notebook)
    )


def assigned(cell):
    """Names that a cell without magic commands assigns."""
    try:
        nodes = list(ast.walk(ast.parse(cell.source)))
    except SyntaxError:
        return set()
    return {n.id for n in nodes if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


RULES = [
    is_executed_in_order,
    shows_results,
    is_small,
    names_no_machine_path,
    has_no_error,
    has_no_stderr,
    completes_every_exercise,
    announces_every_solution,
    is_tidy,
    compares_no_progress_bar,
    has_title_and_colab_badge,
    promises_something_in_some_time,
    has_known_tags,
    has_formulas_that_pages_can_show,
    leads_somewhere,
    keeps_solutions_from_students,
    sets_itself_up,
    has_settings,
]


def broken_rules(notebook, name):
    return [rule.__name__ for rule in RULES if not rule(notebook, name)]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_fit_to_publish(path):
    assert path.stat().st_size < LARGEST
    assert broken_rules(nbformat.read(path, as_version=4), path.name) == []


def text_output(text):
    return new_output("execute_result", {"text/plain": text}, execution_count=1)


def good_notebook():
    stub = new_code_cell('def f():\n    return todo("1")', metadata={"tags": ["exercise"]})
    answer = new_code_cell("@solution(of=f)\ndef f():\n    return 1")
    answer.metadata = {"tags": ["solution"], "jupyter": {"source_hidden": True}}
    check = new_code_cell("check(f, case(expect=1))", outputs=[text_output("f: passes")])
    setup = f'import google.colab\n%pip install "reidlab @ git+{REPOSITORY}"\nstart()'
    cells = [
        new_markdown_cell(
            f"# Tour\n\n[![Open in Colab]({COLAB}b.svg)]({COLAB}00_tour.ipynb)\n\n"
            "**What this notebook promises.**\n\n*Time:* a minute."
        ),
        new_code_cell(setup),
        new_code_cell('PROFILE, DATASET = "desk", "synthetic"\nSEED, EPOCHS = 0, 10'),
        stub,
        new_markdown_cell(
            "Between the cells, words: $x_i$, [letters](notation.md#Letters), [up](#top)."
        ),
        answer,
        check,
    ]
    notebook = new_notebook(cells=cells)
    for count, cell in enumerate(code_cells(notebook), start=1):
        cell.execution_count = count
    return tidy(notebook)


def test_a_good_notebook_breaks_no_rule():
    assert broken_rules(good_notebook(), "00_tour.ipynb") == []


def forget_execution(n):
    n.cells[2].execution_count = None


def execute_out_of_order(n):
    n.cells[1].execution_count, n.cells[2].execution_count = 2, 1


def lose_outputs(n):
    n.cells[-1].outputs = []


def grow(n):
    n.cells[-1].outputs[0].data["image/png"] = "A" * LARGEST


def print_home_folder(n):
    n.cells[-1].outputs[0].data["text/plain"] = "PosixPath('/home/me/data')"


def print_windows_folder(n):
    n.cells[-1].outputs[0].data["text/html"] = "<td>C:\\Users</td>"


def write_path_in_source(n):
    n.cells[4].source = "Images lie in /tmp/images."


def fail(n):
    n.cells[-1].outputs.append(new_output("error", ename="E", evalue="", traceback=[]))


def warn(n):
    n.cells[-1].outputs.append(new_output("stream", name="stderr", text="warning"))


def drop_check(n):
    del n.cells[-1]
    n.cells[1].outputs = [text_output("1")]


def drop_solution(n):
    del n.cells[5]


def unfold_solution(n):
    n.cells[5].metadata = nbformat.from_dict({"tags": ["solution"]})


def untag_stub(n):
    n.cells[3].metadata = nbformat.from_dict({})


def keep_widget_state(n):
    n.metadata.widgets = {"state": {}}


def keep_python_version(n):
    n.metadata.language_info["version"] = "3.11.2"


def keep_timing(n):
    n.cells[1].metadata["execution"] = {"iopub.status.busy": "2026"}


def keep_widget_view(n):
    view = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "VBox()"}
    n.cells[1].outputs = [new_output("display_data", view)]


def compare_progress(n):
    n.cells[2].source += "\nfit(progress=True)"


def badge_of_another_notebook(n):
    n.cells[0].source = n.cells[0].source.replace("00_tour", "01_data")


def drop_title(n):
    n.cells[0].source = n.cells[0].source.removeprefix("# Tour")


def drop_promise(n):
    n.cells[0].source = n.cells[0].source.replace("**", "")


def drop_time(n):
    n.cells[0].source = n.cells[0].source.replace("*Time:*", "Time:")


def misspell_tag(n):
    n.cells[2].metadata = nbformat.from_dict({"tags": ["nbval-ignore-outputs"]})


def write_strange_formula(n):
    n.cells[4].source = r"Let $\foo{x}$ be."


def link_to_nothing(n):
    n.cells[4].source = "See [another](99_none.ipynb#Part)."


def link_above_the_folder(n):
    n.cells[4].source = "See [the card](../README.md)."


def speak_of_solutions(n):
    n.cells[4].source = "The folded solution steps back."


def drop_colab(n):
    n.cells[1].source = "start()"


def drop_a_setting(n):
    n.cells[2].source = n.cells[2].source.replace("EPOCHS", "epochs")


@pytest.mark.parametrize(
    ("harm", "rule"),
    [
        (forget_execution, is_executed_in_order),
        (execute_out_of_order, is_executed_in_order),
        (lose_outputs, shows_results),
        (grow, is_small),
        (print_home_folder, names_no_machine_path),
        (print_windows_folder, names_no_machine_path),
        (write_path_in_source, names_no_machine_path),
        (fail, has_no_error),
        (warn, has_no_stderr),
        (drop_check, completes_every_exercise),
        (drop_solution, completes_every_exercise),
        (unfold_solution, announces_every_solution),
        (untag_stub, announces_every_solution),
        (keep_widget_state, is_tidy),
        (keep_python_version, is_tidy),
        (keep_timing, is_tidy),
        (keep_widget_view, is_tidy),
        (compare_progress, compares_no_progress_bar),
        (badge_of_another_notebook, has_title_and_colab_badge),
        (drop_title, has_title_and_colab_badge),
        (drop_promise, promises_something_in_some_time),
        (drop_time, promises_something_in_some_time),
        (misspell_tag, has_known_tags),
        (write_strange_formula, has_formulas_that_pages_can_show),
        (link_to_nothing, leads_somewhere),
        (link_above_the_folder, leads_somewhere),
        (speak_of_solutions, keeps_solutions_from_students),
        (drop_colab, sets_itself_up),
        (drop_a_setting, has_settings),
    ],
)
def test_each_rule_catches_its_bad_example_and_no_other_does(harm, rule):
    notebook = copy.deepcopy(good_notebook())
    harm(notebook)
    if rule is not is_tidy:  # a changed cell has another id; number the cells again where needed
        counts = [cell.execution_count for cell in code_cells(notebook)]
        notebook = tidy(notebook)
        if rule is not is_executed_in_order:
            counts = range(1, len(counts) + 1)
        for cell, count in zip(code_cells(notebook), counts, strict=True):
            cell.execution_count = count
    assert broken_rules(notebook, "00_tour.ipynb") == [rule.__name__]


@pytest.mark.parametrize(
    "text", ["https://site.org/home/page", "notebooks/work/x", "a/tmp/b", "and/or", "ratio 1:\\n"]
)
def test_addresses_and_relative_paths_are_no_machine_paths(text):
    assert not MACHINE_PATH.search(text)


@pytest.mark.parametrize("path", NOTES, ids=lambda path: path.stem)
def test_notes_are_linked_lead_somewhere_and_name_no_machine(path):
    text = path.read_text()
    assert text.startswith("# ") and words_to_html(text)
    assert not dead_links(text) and not MACHINE_PATH.search(text)
    assert f"(notebooks/{path.name})" in README.read_text()
    other = next(note for note in NOTES if note != path)
    assert f"({other.name})" in text


def test_the_notation_page_explains_the_words_of_the_course():
    text = NOTES[0].read_text()
    for letter in "BCDGKNPQT":
        assert f"| ${letter}$ |" in text
    terms = (
        "pid camid viewid query gallery distractor junk mAP CMC mINP neck trunk margin embedding"
    )
    terms += " batch-hard token patch prompt teacher momentum queue protocol cosine L2-normalised"
    missing = [
        term for term in terms.split() if not re.search(rf"^\|[^|]*{term}[^|]*\|", text, re.M)
    ]
    assert not missing


def test_the_page_on_responsible_use_names_what_it_must():
    text = NOTES[1].read_text()
    for word in ("consent", "DukeMTMC", "2019", "two genders", "open set", "synthetic", "- [ ]"):
        assert word in text
    cited = set(re.findall(r"\[(\d)(?:, (\d))?\]", text))
    numbers = {int(n) for pair in cited for n in pair if n}
    listed = re.findall(r"^(\d)\. ", text.split("## Sources")[1], flags=re.M)
    assert numbers == {int(n) for n in listed}
