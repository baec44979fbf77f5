import base64
import io
import re

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from reidlab.course.index import Outcome, duration, index_page, summary
from reidlab.course.markup import cells_to_html, lead, words_to_html
from reidlab.course.pages import (
    THUMBNAIL_SIZE,
    Site,
    read_lesson,
    shrink,
    write_gap,
    write_lesson,
    write_notes,
)
from reidlab.course.progress import Bar, Lines, Progress, suitable

ASKS = re.compile(
    r"""(?:src|srcset|data)=["'](?!data:)|<link (?!rel="icon" href="data:)|@import|url\("""
)


def png(size=(400, 300), box=None, mode="RGB"):
    image = Image.new(mode, size, "white")
    image.paste("black", box or (0, 0, *size))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def shown(**data):
    return new_output("display_data", {key.replace("_", "/"): v for key, v in data.items()})


def picture(**options):
    return shown(image_png=base64.b64encode(png(**options)).decode())


@pytest.fixture
def site(tmp_path):
    """Three lessons and two notes; only what a test writes has a page."""
    source = tmp_path / "notebooks"
    source.mkdir()
    for name, title in (("00_a", "00 · A <b>"), ("01_b", "01 · B"), ("02_c", "02 · C")):
        first = new_markdown_cell(f"# {title}\n\n**What {name} promises.**")
        code = new_code_cell("1", outputs=[picture()])
        nbformat.write(new_notebook(cells=[first, code]), source / f"{name}.ipynb")
    (source / "notation.md").write_text(
        "# Notation & terms\n\n$x_i$, see [B](01_b.ipynb#Set-up).\n"
    )
    (source / "use.md").write_text("# Use\n\n[Notation](notation.md), [card](../data/README.md)\n")
    pages = tmp_path / "pages"
    pages.mkdir()
    return Site(pages, tuple(read_lesson(path) for path in sorted(source.glob("*.ipynb"))))


def write(site, place, **options):
    lesson = site.lessons[place]
    write_lesson(site, lesson, nbformat.read(lesson.path, 4), **options)
    return site.page(lesson.name).read_text()


def test_links_lead_to_pages_where_there_are_some_and_else_to_the_repository():
    pages, repository = {"01_b", "notation"}, "https://github.com/reidlab/reidlab/blob/main/"
    assert lead("01_b.ipynb#Set-up", pages) == "01_b.html#Set-up"
    assert lead("notation.md", pages) == "notation.html"
    assert lead("09_z.ipynb", pages) == f"{repository}notebooks/09_z.ipynb"
    assert lead("../data/README.md#Limits", pages) == f"{repository}data/README.md#Limits"
    for outside in ("#here", "https://arxiv.org/abs/1", "mailto:a@b.org", ""):
        assert lead(outside, pages) == outside


def test_words_keep_formulas_tables_and_checklists():
    made = words_to_html("Let $x < 1$.\n\n$$\\max_p d$$\n\n| a |\n|---|\n| $y_1$ |\n\n- [ ] done")
    assert made.count("<math") == 3 and made.count('display="block"') == 1 and "munder" in made
    assert '<div class="wide"><table>' in made and 'type="checkbox"' in made
    assert "$" not in made and "\\" not in made


def test_a_picture_elsewhere_leaves_its_words_and_asks_for_nothing():
    made = words_to_html("[![Open in Colab](https://c.org/badge.svg)](https://c.org/x)")
    assert '<a href="https://c.org/x"><span class="badge">Open in Colab</span></a>' in made
    assert not ASKS.search(made)


def test_cells_show_their_outputs_without_scripts_and_fold_solutions():
    view = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "VBox()"}
    solved = new_code_cell("answer = 42", metadata={"tags": ["solution"]})
    outputs = [picture(), shown(text_latex="$$x_i$$"), new_output("display_data", view)]
    outputs.append(new_output("stream", text="a < b\n"))
    notebook = new_notebook(cells=[new_code_cell("show()", outputs=outputs), solved])
    before = nbformat.writes(notebook)
    made = cells_to_html(notebook)
    assert nbformat.writes(notebook) == before
    assert 'src="data:image/png;base64,' in made and "a &lt; b" in made
    assert "<math" in made and "A control to click" in made and "VBox" not in made
    folded = re.search(r'<details class="solution">(.*?)</details>', made, flags=re.DOTALL)
    assert folded and "42" in folded[1] and "show" not in folded[1]
    assert "<script" not in made and not ASKS.search(made)


def test_a_page_asks_for_nothing_and_leads_up_back_and_forward(site):
    text = write(site, 1, footer="Run <today>.")
    assert not ASKS.search(text) and "<script" not in text
    assert re.findall(r'rel="(prev|next)" href="([^"]*)"', text) == [
        ("prev", "00_a.html"), ("next", "02_c.html")
    ]  # fmt: skip
    assert 'class="up" href="index.html"' in text and "Run &lt;today&gt;." in text
    assert "00 · A &lt;b&gt;" in text.split("<nav")[-1]  # the neighbour's title, below
    first, last = write(site, 0), write(site, 2)
    assert 'rel="prev"' not in first and 'rel="next"' not in last
    assert "<title>00 · A &lt;b&gt;</title>" in first


def test_a_failed_notebook_has_its_error_on_top(site):
    text = write(site, 0, error="a: cell 2 raised E\nx < 1")
    box = "<strong>a: cell 2 raised E</strong><pre>x &lt; 1</pre>"
    assert text.index(box) < text.index("<h1")


def test_notes_become_pages_whose_links_work(site):
    assert write_notes(site) == [("notation", "Notation & terms"), ("use", "Use")]
    text = site.page("notation").read_text()
    assert "<math" in text and 'href="01_b.html#Set-up"' in text
    assert "<title>Notation &amp; terms</title>" in text and not ASKS.search(text)
    assert 'href="notation.html"' in site.page("use").read_text()


def test_the_index_shows_each_notebook_with_picture_promise_time_and_state(site):
    write(site, 0)
    write_gap(site, site.lessons[1])
    a, b, c = site.lessons
    outcomes = [Outcome(a, "done", 65.2), Outcome(b, "stopped"), Outcome(c, "failed", 2, "E: <no>")]
    text = index_page(site, outcomes, write_notes(site), "Today & now.")
    cards = re.findall(r'<li class="card (\w+)">(.*?)</li>', text)
    assert [state for state, _ in cards] == ["done", "stopped", "failed"]
    first, second, third = (card for _, card in cards)
    assert 'src="thumbnails/00_a.png"' in first and 'href="00_a.html"' in first
    assert "00 · A &lt;b&gt;" in first and "What 00_a promises." in first
    assert "<b>ran</b> in 1 min 05 s" in first
    assert "thumbnails" not in second and ">01</div>" in second and "not finished" in second
    assert "<b>failed</b> after 2 s" in third and "<strong>E: &lt;no&gt;</strong>" in text
    assert 'href="use.html"' in text and "Today &amp; now." in text
    assert "page is of an earlier run" in second


def test_a_thumbnail_goes_when_its_picture_does(site):
    write(site, 0)
    assert Image.open(site.thumbnail("00_a")).size == THUMBNAIL_SIZE
    empty = new_notebook(cells=[new_markdown_cell("# 00")])
    write_lesson(site, site.lessons[0], empty)
    assert not site.thumbnail("00_a").exists()


@pytest.mark.parametrize("size", [(1600, 200), (100, 900), (10, 10)])
def test_thumbnails_have_one_size_and_no_white_margin(size):
    wide, high = size
    margin = (wide // 4, high // 4, wide - wide // 4, high - high // 4)
    small = Image.open(io.BytesIO(shrink(png(size, margin)))).convert("L")
    assert small.size == THUMBNAIL_SIZE
    assert sum(small.histogram()[:32]) > 0.9 * small.width * small.height  # nearly all black


def test_of_a_tall_picture_the_top_is_kept_and_of_a_wide_one_the_middle():
    tall = Image.new("L", (320, 1000), 200)
    tall.paste(0, (0, 0, 320, 200))
    wide = Image.new("L", (1200, 200), 200)
    wide.paste(0, (440, 0, 760, 200))
    for image in (tall, wide):
        buffer = io.BytesIO()
        image.save(buffer, "PNG")
        dark = Image.open(io.BytesIO(shrink(buffer.getvalue()))).convert("L").histogram()[:32]
        assert sum(dark) > 0.9 * 320 * 200


def test_an_empty_picture_and_a_transparent_one_have_thumbnails_too():
    for picture in (png(box=(0, 0, 0, 0)), png(mode="RGBA"), png(mode="L")):
        assert Image.open(io.BytesIO(shrink(picture))).size == THUMBNAIL_SIZE


def test_times_are_said_as_one_says_them():
    said = [duration(s) for s in (0.2, 59.4, 59.6, 125, 3599.6, 3725)]
    assert said == ["0 s", "59 s", "1 min 00 s", "2 min 05 s", "1 h 00 min", "1 h 02 min"]


def test_the_summary_counts_each_state(site):
    a, b, c = site.lessons
    assert summary([Outcome(a, "done"), Outcome(b, "done")]) == "2 of 2 notebooks ran to their end."
    text = summary([Outcome(a, "kept"), Outcome(b, "failed"), Outcome(c, "stopped")])
    assert text.startswith("0 of 3") and "1 unchanged" in text
    assert "1 failed" in text and "1 not finished" in text


def tell(progress: Progress):
    progress.begin({"a": 4, "b": 2})
    progress.started("a")
    progress.cell("a", 2, 4)
    progress.started("b")
    progress.ended("a", "done after 3 s")
    progress.say("interrupted")
    progress.close()


def test_a_log_has_a_line_per_event(capsys):
    tell(Lines(patience=1e9))
    events = ["a: started", "b: started", "a: done after 3 s   [1 of 2]", "interrupted"]
    assert capsys.readouterr().out.splitlines() == events
    tell(Lines(patience=0))
    assert "a: cell 2 of 4" in capsys.readouterr().out


def test_a_terminal_has_a_bar_that_counts_cells_and_names_what_runs(capsys):
    tell(Bar())
    out, err = capsys.readouterr()
    assert "a: done after 3 s" in out and "interrupted" in out
    assert "33%" in err and "a 2/4, b 0/2" in err  # two cells of six
    assert "67%" in err.split("\r")[-1] or "67%" in err.split("\r")[-2]  # all of a


def test_without_a_terminal_there_are_lines():
    assert isinstance(suitable(), Lines)
