"""The dataset card says what the code does."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from reidlab.data.samples import people
from reidlab.data.synthetic.places import WORLDS
from reidlab.data.synthetic.plan import SIDES, Plan, SyntheticOptions, make_plan
from reidlab.data.synthetic.poor import KINDS, USUAL_SHARE
from reidlab.data.synthetic.scene import cameras
from reidlab.data.synthetic.sheets import twin_pairs
from reidlab.data.synthetic.shots import DIFFICULTIES
from reidlab.data.synthetic.writing import fingerprint, people_entries

DATA = Path(__file__).parents[3] / "data"


@pytest.fixture(scope="module")
def plan() -> Plan:
    return make_plan(SyntheticOptions())


@pytest.fixture(scope="module")
def card() -> str:
    return (DATA / "README.md").read_text(encoding="utf-8")


def rows(card: str) -> dict[str, list[str]]:
    lines = [line.strip("| ").split(" | ") for line in card.splitlines() if line.startswith("| ")]
    return {cells[0]: cells[1:] for cells in lines}


def test_counts_are_those_of_the_default_set(card, plan):
    table = rows(card)
    for split in ("train", "query", "gallery", "validation_query", "validation_gallery"):
        label = f"test {split}" if split in ("query", "gallery") else split.replace("_", " ")
        own = [image for image in plan.images if image.split == split]
        kinds = Counter(image.pid for image in own)
        expected = [len(people(own)), len(own), kinds[0], kinds[-1]]
        assert table[label][:4] == [f"{count:,}" for count in expected]
    assert f"{len(plan.images):,} images of 128x64" in card


def test_attribute_counts_are_those_of_the_default_set(card, plan):
    table = rows(card)
    labels = [
        [plan.people[pid].attributes() for pid in plan.people if plan.sides[pid] == side]
        for side in SIDES
    ]
    for name in ("age", "backpack", "clothes", "down", "up", "hair", "hat", "gender"):
        counts = [Counter(person[name] for person in own) for own in labels]
        codes = range(1, 5 if name == "age" else 3)
        expected = [" / ".join(str(count[code]) for code in codes) for count in counts]
        assert table[f"`{name}`"][1:] == expected
    for color in ("black", "green"):
        cells = [sum(p[g + color] == 2 for p in own) for g in ("up", "down") for own in labels]
        assert table[color] == [str(cell) for cell in cells]


def test_the_fingerprint_is_that_of_the_default_set(card, plan):
    images = [{"file": i.file, "pid": i.pid, "camid": i.camid} for i in plan.images]
    content = {"options": plan.options.as_dict(), "people": people_entries(plan), "images": images}
    assert f"`{fingerprint(content)}`" in card


def test_shares_and_settings_are_those_of_the_code(card, plan):
    alike = {pid for pair in twin_pairs(plan, "test") for pid in pair}
    assert f"{len(alike)} of 150 people share their outfit" in " ".join(card.split())
    for name, setting in DIFFICULTIES.items():
        samples = str(setting.supersample**2)
        assert rows(card)[f"`{name}`"][:3] == [str(setting.strength), str(setting.jitter), samples]


def test_pictures_exist_and_are_small(card):
    names = re.findall(r"\]\((images/\w+\.png)\)", card)
    assert len(names) == 6
    assert all(0 < (DATA / name).stat().st_size < 400_000 for name in names)


def test_the_worlds_are_described_as_they_are(card):
    table, text = rows(card), " ".join(card.split())
    for world in WORLDS:
        drawn = cameras(world, 6)
        places = [camera.place.replace("stop", "bus stop") for camera in drawn]
        assert f"| `{world}` | {', '.join(places)} |" in card
    inside = cameras("b", 6)
    pitches = [round(camera.pitch) for camera in inside]
    quality = [camera.jpeg_quality for camera in inside]
    assert f"steep views ({min(pitches)} to {max(pitches)} degrees)" in text
    assert f"JPEG quality {min(quality)} to {max(quality)}" in text
    for world, elevation in (("a", "from 42"), ("c", "at 20")):
        assert f"{elevation} degrees" in text
        assert WORLDS[world].elevation == float(elevation.split()[1])
    assert set(KINDS) == {name.strip("`") for name in table} & set(KINDS)
    assert f"Unlabelled sets of world c have a share of {USUAL_SHARE['c']} unless" in text
