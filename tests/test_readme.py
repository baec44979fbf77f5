"""The example in the README runs as printed, with one epoch in the place of ten."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def example():
    code = re.findall(r"```python\n(.*?)```", README, flags=re.S)[0]
    return code


def test_the_example_has_about_twelve_lines():
    assert len([line for line in example().splitlines() if line.strip()]) <= 12


def test_the_example_runs_and_scores_above_chance(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    code = example()
    assert code.count("epochs=10") == 1
    names: dict = {}
    exec(compile(code.replace("epochs=10", "epochs=1"), "README.md", "exec"), names)
    scores = names["evaluate"](names["query"], names["gallery"])
    assert scores.mean_ap > 0.03  # chance is below 0.01
    assert "mAP" in capsys.readouterr().out
    assert names["hits"].order.shape == (len(names["splits"].query), 10)
    assert (tmp_path / "hits.png").stat().st_size > 20_000


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#:]+)\)", README))
def test_links_inside_the_repository_lead_somewhere(link):
    assert (ROOT / link).exists()


def test_every_notebook_is_listed():
    for notebook in (ROOT / "notebooks").glob("*.ipynb"):
        assert f"notebooks/{notebook.name}" in README
