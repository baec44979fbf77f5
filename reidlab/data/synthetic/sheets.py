"""The pictures of the dataset card: what people, cameras, look-alikes and settings look like."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from pathlib import Path

from PIL import Image, ImageDraw

from reidlab.data.synthetic.plan import Plan, PlannedImage, SyntheticOptions, make_plan
from reidlab.data.synthetic.poor import KINDS
from reidlab.data.synthetic.wardrobe import Person
from reidlab.data.synthetic.writing import decode, photographs
from reidlab.paths import make_folder

COLUMNS = 12
MARGIN, GAP = 40, 3  # pixels: for row labels, between crops
COLORS = 200  # of the palette, which keeps the files small

Row = tuple[str, Sequence[PlannedImage | None]]


def write_sheets(
    folder: str | os.PathLike[str], options: SyntheticOptions | None = None
) -> list[Path]:
    """Render every sheet of the card into `folder` as PNG; about half a minute."""
    folder, options = make_folder(folder), options or SyntheticOptions()
    plan = make_plan(options)
    drawn = {
        "people": draw_sheet(plan, people_by_camera(plan)),
        "twins": draw_sheet(plan, look_alikes(plan)),
        "others": draw_sheet(plan, distractors_and_junk(plan)),
        "difficulty": _compare(options, "difficulty", ("smoke", "default", "hard")),
        "worlds": _compare(options, "world", ("a", "b", "c"), _cameras_side_by_side),
        "poor": draw_sheet(spoiled := _spoiled(options), poor_kinds(spoiled)),
    }
    paths = []
    for name, sheet in drawn.items():
        paths.append(folder / f"{name}.png")
        colors = sheet.quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        colors.save(paths[-1], optimize=True)
    return paths


def draw_sheet(plan: Plan, rows: Sequence[Row]) -> Image.Image:
    """Labelled rows of crops, rendered and compressed as in the dataset; `None` stays empty."""
    height, width = plan.options.size
    wanted = list(dict.fromkeys(image for _, row in rows for image in row if image is not None))
    crops = {image.file: data for image, data, _ in photographs(replace(plan, images=wanted))}
    longest = max(len(row) for _, row in rows)
    shape = (MARGIN + longest * (width + GAP), len(rows) * (height + GAP))
    sheet = Image.new("RGB", shape, "white")
    pen = ImageDraw.Draw(sheet)
    for i, (label, row) in enumerate(rows):
        top = i * (height + GAP)
        pen.text((2, top + height // 2), label, fill="black")
        for k, image in enumerate(row):
            if image is not None:
                crop = Image.fromarray(decode(crops[image.file]).transpose(1, 2, 0))
                sheet.paste(crop, (MARGIN + k * (width + GAP), top))
    return sheet


def people_by_camera(plan: Plan) -> list[Row]:
    """Twelve test people side by side, one camera per row; empty where a person was not seen."""
    chosen = [pid for pid in plan.people if plan.sides[pid] == "test"][:COLUMNS]
    shown = {(image.pid, image.camid): image for image in reversed(plan.images)}
    return [
        (f"cam {camid}", [shown.get((pid, camid)) for pid in chosen])
        for camid in range(1, len(plan.cameras) + 1)
    ]


def look_alikes(plan: Plan, pairs: int = 3) -> list[Row]:
    """Test people in the same outfit: a row of one, below it a row of the other."""
    chosen: dict[tuple[object, ...], tuple[int, int]] = {}
    for pair in twin_pairs(plan, "test"):
        chosen.setdefault(outfit(plan.people[pair[0]]), pair)
    return [
        (str(pid), _images(plan, pid)[:COLUMNS])
        for pair in list(chosen.values())[:pairs]
        for pid in pair
    ]


def outfit(person: Person) -> tuple[object, ...]:
    """What look-alikes share: kind and colour of both garments."""
    return person.upper.kind, person.upper.rgb, person.lower.kind, person.lower.rgb


def twin_pairs(plan: Plan, side: str) -> list[tuple[int, int]]:
    """Pairs of people of one side who wear the same outfit."""
    own = [pid for pid in plan.people if plan.sides[pid] == side]
    worn = {pid: outfit(plan.people[pid]) for pid in own}
    return [(a, b) for a, b in combinations(own, 2) if worn[a] == worn[b]]


def distractors_and_junk(plan: Plan) -> list[Row]:
    """Two rows of boxes that show nobody (0), two rows of boxes too poor to count (-1)."""
    rows: list[Row] = []
    for pid, label in ((0, "0000"), (-1, "-1")):
        own = [image for image in _images(plan, pid) if image.split == "gallery"]
        spread = own[:: max(1, len(own) // (2 * COLUMNS))]  # over all cameras
        rows += [(label, spread[start : start + COLUMNS]) for start in (0, COLUMNS)]
    return [row for row in rows if row[1]]


def poor_kinds(plan: Plan) -> list[Row]:
    """A row for each kind of poor crop, taken from all over the training images."""
    rows: list[Row] = []
    for kind in KINDS:
        own = [image for image in plan.images if image.poor == kind]
        rows.append((kind, own[:: max(1, len(own) // COLUMNS)][:COLUMNS]))
    return [row for row in rows if row[1]]


def _spoiled(options: SyntheticOptions) -> Plan:
    """World c with nothing but poor crops to train on."""
    return make_plan(replace(options, world="c", poor=1.0))


def _people_side_by_side(plan: Plan) -> list[Sequence[PlannedImage]]:
    """A row: two images each of the first six test people."""
    chosen = [pid for pid in plan.people if plan.sides[pid] == "test"][: COLUMNS // 2]
    return [[image for pid in chosen for image in _images(plan, pid)[::4][:2]]]


def _cameras_side_by_side(plan: Plan) -> list[Sequence[PlannedImage]]:
    """Two rows: two test people each under every camera, nobody twice if that is possible."""
    rows: list[Sequence[PlannedImage]] = []
    shown: set[int] = set()
    for _ in range(2):
        row: list[PlannedImage] = []
        for camid in [*range(1, len(plan.cameras) + 1)] * 2:
            own = [i for i in plan.images if i.camid == camid and i.pid > 0 and i.split == "query"]
            fresh = [image for image in own if image.pid not in shown]
            row += (fresh or own)[:1]
            shown |= {image.pid for image in row}
        rows.append(sorted(row[:COLUMNS], key=lambda image: image.camid))
    return rows


def _compare(
    options: SyntheticOptions,
    field: str,
    values: Sequence[str],
    choose: Callable[[Plan], list[Sequence[PlannedImage]]] = _people_side_by_side,
) -> Image.Image:
    """Rows for each value of one option."""
    sheets = []
    for value in values:
        plan = make_plan(replace(options, **{field: value}))
        sheets.append(draw_sheet(plan, [(value, row) for row in choose(plan)]))
    whole = Image.new("RGB", (sheets[0].width, sum(sheet.height for sheet in sheets)), "white")
    for i, sheet in enumerate(sheets):
        whole.paste(sheet, (0, i * sheet.height))
    return whole


def _images(plan: Plan, pid: int) -> list[PlannedImage]:
    return sorted((image for image in plan.images if image.pid == pid), key=lambda i: i.file[-20:])
