"""A dataset in a page of text: how many images per person and camera, how large, which labels."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from statistics import median

import numpy as np

from reidlab.data.images import in_threads
from reidlab.data.inspection import Look, look_at
from reidlab.data.samples import DISTRACTOR, Sample, Splits, people

SAMPLED = 400  # images whose size is looked at
WIDE = 96  # characters of a line of attributes

Row = tuple[str, ...]


def summarize(splits: Splits, *, seed: int = 0, progress: bool = False) -> str:
    """What `reidlab data info` prints below the table of splits.

    Args:
        splits: of the dataset.
        seed: of the choice of images whose size is looked at.
        progress: show a bar while looking.
    """
    parts = parts_of(splits)
    blocks = []
    if splits.labelled:
        blocks += [images_per_person(parts), images_per_camera(parts)]
    blocks.append(image_sizes(parts, seed=seed, progress=progress))
    samples = [sample for part in parts.values() for sample in part]
    blocks += [attribute_table(samples), an_example(samples)]
    return "\n\n".join(block for block in blocks if block)


def parts_of(splits: Splits) -> dict[str, Sequence[Sample]]:
    """The parts that hold images, by name."""
    query, gallery = splits.validation
    parts = {
        "train": splits.train,
        "validation query": query,
        "validation gallery": gallery,
        "query": splits.query,
        "gallery": splits.gallery,
    }
    return {name: part for name, part in parts.items() if part}


def images_per_person(parts: dict[str, Sequence[Sample]]) -> str:
    """Fewest, median and most images of a person, and of how many cameras, per part."""
    rows: list[Row] = [("images per person", "fewest", "median", "most", "cameras, median")]
    for name, part in parts.items():
        real = [sample for sample in part if sample.pid > DISTRACTOR]
        if not real:
            continue
        counts = sorted(Counter(sample.pid for sample in real).values())
        seen: dict[int, set[int]] = defaultdict(set)
        for sample in real:
            seen[sample.pid].add(sample.camid)
        cameras = median(len(own) for own in seen.values())
        figures = (counts[0], median(counts), counts[-1], cameras)
        rows.append((name, *(f"{figure:,g}" for figure in figures)))
    return table(rows)


def images_per_camera(parts: dict[str, Sequence[Sample]]) -> str:
    """Images under each camera, per part; empty when there is but one camera."""
    counts = {name: Counter(sample.camid for sample in part) for name, part in parts.items()}
    cameras = sorted({camid for part in counts.values() for camid in part})
    if len(cameras) < 2:
        return ""
    rows: list[Row] = [("images per camera", *parts)]
    for camid in cameras:
        rows.append((f"camera {camid}", *(f"{own[camid]:,}" for own in counts.values())))
    return table(rows)


def image_sizes(
    parts: dict[str, Sequence[Sample]], *, seed: int = 0, progress: bool = False
) -> str:
    """Height and width of the images, all or a random sample of them."""
    paths = list(dict.fromkeys(sample.path for part in parts.values() for sample in part))
    total = len(paths)
    if total > SAMPLED:
        chosen = np.random.default_rng(seed).choice(total, SAMPLED, replace=False)
        paths = [paths[i] for i in sorted(chosen.tolist())]
    looks = in_threads(look_at, paths, label="looking at images", progress=progress)
    looks = list(looks)
    sizes = [look.size for look in looks if not look.complaint]
    how = f"all {total:,} images" if total <= SAMPLED else f"{SAMPLED} of {total:,} images"
    return "\n".join([f"sizes of {how}, in pixels", *_size_lines(sizes), *_bad_line(looks)])


def _size_lines(sizes: Sequence[tuple[int, int]]) -> list[str]:
    """Lines on (width, height) pairs."""
    if not sizes:
        return []
    if len(set(sizes)) == 1:
        width, height = sizes[0]
        return [f"  {height} high and {width} wide"]
    lines = []
    for word, values in (("high", [h for _, h in sizes]), ("wide", [w for w, _ in sizes])):
        lines.append(f"  {min(values)} to {max(values)} {word}, median {median(values):g}")
    return lines


def _bad_line(looks: Sequence[Look]) -> list[str]:
    bad = sum(bool(look.complaint) for look in looks)
    return [f"  {bad} cannot be read; `reidlab data check` names them"] if bad else []


def attribute_table(samples: Sequence[Sample]) -> str:
    """Per attribute, how many people have each code; empty when nobody has attributes."""
    known = {s.pid: s.attributes for s in samples if s.pid > DISTRACTOR and s.attributes}
    if not known:
        return ""
    counts: dict[str, Counter[int]] = defaultdict(Counter)
    for labels in known.values():
        for name, code in labels.items():
            counts[name][code] += 1
    total = len(people(samples))
    width = max(map(len, counts))
    cells = [f"{name:<{width}}  {_codes(codes)}" for name, codes in counts.items()]
    lines = [f"attributes of {len(known):,} of {total:,} people (code: people)"]
    return "\n".join([*lines, *(f"  {line}" for line in in_columns(cells))])


def _codes(codes: Counter[int]) -> str:
    shown = [f"{code}: {count:,}" for code, count in sorted(codes.items())]
    return ", ".join(shown[:6]) + (", ..." if shown[6:] else "")


def in_columns(cells: Sequence[str]) -> list[str]:
    """As many columns as fit into a line, filled from top to bottom."""
    width = max(map(len, cells)) + 3
    across = max(1, WIDE // width)
    down = -(-len(cells) // across)
    rows = [cells[row::down] for row in range(down)]
    return ["".join(f"{cell:<{width}}" for cell in row).rstrip() for row in rows]


def an_example(samples: Sequence[Sample]) -> str:
    """The first caption, and how many people have one."""
    captions = {s.pid: s.caption for s in samples if s.pid > DISTRACTOR and s.caption}
    if not captions:
        return ""
    pid, caption = next(iter(captions.items()))
    return f"captions of {len(captions):,} people; person {pid}: {caption}"


def table(rows: Sequence[Row]) -> str:
    """Rows under a heading and a rule; the first column to the left, the others to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])
