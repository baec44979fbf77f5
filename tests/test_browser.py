"""In a real browser: `make lab` opens the tour and runs its first cells; pages of the course."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from reidlab.course import notebook as notebooks
from reidlab.course.index import Outcome, index_page
from reidlab.course.pages import Site, read_lesson, write_gap, write_lesson, write_notes

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "notebooks" / "00_tour.ipynb"
CHROMIUM = Path(os.environ.get("REIDLAB_CHROMIUM", "/usr/bin/chromium"))
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]
SCREENSHOTS = ROOT / "build" / "screenshots"
STAMPS = [".venv/lab.stamp", ".venv/constraints.txt"]  # taken as they are: nothing is installed
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.is_file(), reason=f"no Chromium at {CHROMIUM}; set REIDLAB_CHROMIUM"
    ),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(server, port, log, seconds=240):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(f"make lab did not start JupyterLab:\n{log.read_text()[-2000:]}")


@pytest.fixture
def lab(tmp_path):
    """Address of what `make lab` starts, on a copy of the tour without outputs.

    A copy, because JupyterLab saves what it shows.
    """
    if not all((ROOT / stamp).is_file() for stamp in STAMPS) or not shutil.which("make"):
        pytest.skip("no .venv made by make: run make lab or make test once")
    work, settings = tmp_path / "notebooks", tmp_path / "settings"
    news = settings / "@jupyterlab" / "apputils-extension"
    for folder in (work, news):
        folder.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS))
    tour = notebooks.read(TOUR)
    for cell in tour.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    notebooks.write(tour, work / TOUR.name)
    places = {"CONFIG": "c", "DATA": "d", "RUNTIME": "r"}
    environment = {
        **{k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))},
        "OMP_NUM_THREADS": "1",
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **{f"JUPYTER_{name}_DIR": str(tmp_path / place) for name, place in places.items()},
    }
    port, log = free_port(), tmp_path / "make.log"
    options = "--no-browser --allow-root --ip=127.0.0.1 --ServerApp.port_retries=0"
    options += " --IdentityProvider.token= --LabApp.expose_app_in_browser=True"
    command = ["make", *(f"--old-file={stamp}" for stamp in STAMPS), "lab", f"PORT={port}"]
    command += [f"NOTEBOOKS={work}", f"LAB_OPTIONS={options}"]
    with log.open("w") as sink:
        server = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=sink, stderr=sink, start_new_session=True
        )
        try:
            wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            os.killpg(server.pid, signal.SIGTERM)
            server.wait(60)


@pytest.fixture
def page():
    """A browser page that may talk to this machine only; what else it asks for is in `outside`."""
    from playwright.sync_api import sync_playwright

    def only_here(route):
        url = route.request.url
        if url.startswith(("http://127.0.0.1", "data:", "blob:", "file:")):
            route.continue_()
        else:
            page.outside.append(url)
            route.abort()

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        page = browser.new_page(viewport={"width": 1280, "height": 1000})
        page.outside = []
        page.route("**/*", only_here)
        yield page
        browser.close()


RUN_FIRST_CELLS = """async count => {
    const app = window.jupyterapp, panel = app.shell.currentWidget;
    await panel.context.ready;
    await panel.sessionContext.ready;
    const cells = panel.content.widgets;
    let run = 0;
    for (let i = 0; i < cells.length && run < count; i++) {
        panel.content.activeCellIndex = i;
        panel.content.deselectAll();
        if (cells[i].model.type !== 'code') continue;
        await app.commands.execute('notebook:run-cell');
        run++;
    }
    return cells.filter(c => c.model.type === 'code').slice(0, count)
        .map(c => c.model.sharedModel.execution_count);
}"""


def photograph(page, name):
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=str(SCREENSHOTS / f"{name}.png"))


def test_make_lab_opens_the_tour_which_runs_and_shows_a_picture(lab, page):
    before = TOUR.read_bytes()
    page.goto(f"{lab}/doc/tree/{TOUR.name}?reset", timeout=120_000)
    ready = "window.jupyterapp?.shell.currentWidget?.context?.isReady"
    page.wait_for_function(ready, timeout=120_000)
    page.set_default_timeout(180_000)
    assert page.evaluate(RUN_FIRST_CELLS, 4) == [1, 2, 3, 4]
    picture = page.locator(".jp-OutputArea-output img").first
    picture.wait_for(state="visible", timeout=60_000)
    picture.scroll_into_view_if_needed()
    photograph(page, "lab")
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
    assert all("colab-badge" in url for url in page.outside), page.outside
    assert TOUR.read_bytes() == before


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    """The folder of pages: the tour with its stored outputs, the notes, and the index."""
    folder = tmp_path_factory.mktemp("course")
    lessons = tuple(read_lesson(path) for path in sorted(TOUR.parent.glob("*.ipynb")))
    site = Site(folder, lessons)
    for lesson in lessons:
        if lesson.path == TOUR:
            write_lesson(site, lesson, notebooks.read(TOUR), footer="stored outputs")
        else:
            write_gap(site, lesson)
    outcomes = [Outcome(lesson, "kept", 60.0) for lesson in lessons]
    (folder / "index.html").write_text(index_page(site, outcomes, write_notes(site), "A test."))
    return folder


SIZES = """() => [...document.querySelectorAll('math')].map(m => {
    const box = m.getBoundingClientRect(); return Math.min(box.width, box.height); })"""
ALL_PICTURES = "() => [...document.images].every(i => i.complete && i.naturalWidth > 0)"
SPILL = "() => document.documentElement.scrollWidth - window.innerWidth"


@pytest.mark.parametrize("width", [1280, 390])
def test_pages_of_the_course_open_without_a_network(course, page, width):
    page.set_viewport_size({"width": width, "height": 900})
    for name in ("index", "00_tour", "notation", "responsible_use"):
        page.goto(f"file://{course}/{name}.html")
        assert page.evaluate(ALL_PICTURES), name
        assert page.evaluate(SPILL) <= 0, f"{name} is wider than the window"
        sizes = page.evaluate(SIZES)
        assert len(sizes) >= {"00_tour": 8, "notation": 20}.get(name, 0)
        assert all(size > 4 for size in sizes), f"{name}: a formula cannot be seen"
        photograph(page, f"{name}_{width}")
    assert page.outside == []


def test_links_lead_from_page_to_page_and_solutions_unfold(course, page):
    page.goto(f"file://{course}/index.html")
    page.locator(".card a").first.click()
    assert page.title().startswith("00")
    answer = page.locator("details.solution pre").first
    assert not answer.is_visible()
    page.locator("details.solution summary").first.click()
    assert answer.is_visible()
    page.locator(".bar .up").click()
    page.locator(".notes a[href='notation.html']").click()
    page.locator("main a[href='responsible_use.html']").click()
    assert "Responsible use" in page.locator("h1").inner_text()
    for link in (course / "index.html").read_text().split('href="')[1:]:
        target = link.split('"')[0]
        assert target == "data:," or (course / target).is_file(), target
