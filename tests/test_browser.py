"""A lesson in a real browser: JupyterLab opens it, runs its first cells and shows a picture."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TOUR = ROOT / "notebooks" / "00_tour.ipynb"
CHROMIUM = Path(os.environ.get("REIDLAB_CHROMIUM", "/usr/bin/chromium"))
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
QUIET += ["--disable-background-networking", "--disable-component-update"]
NO_NEWS = {"fetchNews": "false", "checkForUpdates": False}

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(
        not CHROMIUM.is_file(), reason=f"no Chromium at {CHROMIUM}; set REIDLAB_CHROMIUM"
    ),
    pytest.mark.skipif(not TOUR.is_file(), reason="notebooks/00_tour.ipynb does not exist"),
]


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(server, port, log, seconds=120):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.25)
    raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


@pytest.fixture
def lab(tmp_path):
    """Address of a JupyterLab of its own, on a copy of the tour without outputs."""
    work, settings = tmp_path / "work", tmp_path / "settings"
    news = settings / "@jupyterlab" / "apputils-extension"
    for folder in (work, news):
        folder.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(json.dumps(NO_NEWS))
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell.update(outputs=[], execution_count=None)
    (work / TOUR.name).write_text(json.dumps(notebook), encoding="utf-8")
    port, log = free_port(), tmp_path / "server.log"
    places = {"CONFIG": "c", "DATA": "d", "RUNTIME": "r"}
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        **{f"JUPYTER_{name}_DIR": str(tmp_path / place) for name, place in places.items()},
    }
    command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"]
    command += ["--ip=127.0.0.1", f"--port={port}", "--IdentityProvider.token="]
    command += [f"--ServerApp.root_dir={work}", "--LabApp.expose_app_in_browser=True"]
    with log.open("w") as sink:
        server = subprocess.Popen(command, env=environment, stdout=sink, stderr=sink)
        try:
            wait_for(server, port, log)
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()
            server.wait(30)
            shutil.rmtree(work)


@pytest.fixture
def page():
    """A browser page that may talk to this machine only; what else it asks for is in `outside`."""
    from playwright.sync_api import sync_playwright

    def only_here(route):
        url = route.request.url
        if url.startswith(("http://127.0.0.1", "data:", "blob:")):
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


def test_the_tour_runs_in_jupyterlab_and_shows_a_picture(lab, page, tmp_path):
    page.goto(f"{lab}/doc/tree/{TOUR.name}?reset", timeout=120_000)
    ready = "window.jupyterapp?.shell.currentWidget?.context?.isReady"
    page.wait_for_function(ready, timeout=120_000)
    page.set_default_timeout(180_000)
    assert page.evaluate(RUN_FIRST_CELLS, 4) == [1, 2, 3, 4]
    picture = page.locator(".jp-OutputArea-output img").first
    picture.wait_for(state="visible", timeout=60_000)
    picture.scroll_into_view_if_needed()
    page.screenshot(path=str(tmp_path / "tour.png"))
    assert picture.evaluate("image => image.complete && image.naturalWidth > 0")
    assert page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
    assert all("colab-badge" in url for url in page.outside), page.outside
