"""From a plan to the files of a dataset: JPEGs, the pack, annotations and the manifest."""

from __future__ import annotations

import hashlib
import io
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from tqdm.auto import tqdm

from reidlab.data.attributes import write_csv, write_mat
from reidlab.data.captions import describe, write_captions
from reidlab.data.packs import FORMAT, MANIFEST, PACK, checksum, new_pack
from reidlab.data.synthetic.options import SyntheticOptions
from reidlab.data.synthetic.plan import SIDES, Plan, PlannedImage
from reidlab.data.synthetic.render import render
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.shots import DIFFICULTIES, Shot

GENERATOR = 1  # raise it when the same options are to give other labels
LABELLING = ("attributes.py", "captions.py", "heads.py")  # one folder up
NOT_CONTENT = (  # files that neither draw nor label
    "__init__.py", "dataset.py", "descriptor.py", "locking.py", "sheets.py", "shards.py",
    "staging.py", "unlabelled.py",
)  # fmt: skip
BATCH = 48  # fixed: the same batches give the same pixels


def generator_version() -> str:
    """Changes with the code that draws and labels, so that older caches are recognised."""
    here = Path(__file__).parent
    sources = [path for path in sorted(here.glob("*.py")) if path.name not in NOT_CONTENT]
    sources += [here.parent / name for name in LABELLING]
    code = b"".join(path.read_bytes() for path in sources)
    return f"{GENERATOR}-{zlib.crc32(code):08x}"


def fingerprint(content: Mapping[str, Any]) -> str:
    """Short hash of a manifest's options and labels: the same wherever it was rendered."""
    lines = [json.dumps(content.get("options")), json.dumps(content.get("people"))]
    lines += [f"{i.get('file')} {i.get('pid')} {i.get('camid')}" for i in content["images"]]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:12]


def write_dataset(
    folder: Path, plan: Plan, *, progress: bool, device: str | torch.device | None
) -> None:
    """Render `plan` into an existing empty folder; the manifest is written last."""
    options = plan.options
    images = _write_images(folder, plan, progress=progress, device=device)
    people = people_entries(plan)
    _write_annotations(folder, people)
    files = {path.name: path.stat().st_size for path in sorted(folder.iterdir()) if path.is_file()}
    pack = {
        "shape": [len(images), 3, *options.size],
        "bytes": files.pop(PACK),
        "crc32": checksum(folder / PACK),
    }
    content = {
        "format": FORMAT,
        "generator": generator_version(),
        "name": f"synthetic-{options.world} ({_setting(options)})",
        "options": options.as_dict(),
        "pack": pack,
        "files": files,
        "people": people,
        "images": images,
    }
    content = {"fingerprint": fingerprint(content), **content}
    (folder / MANIFEST).write_text(_as_text(content), encoding="utf-8")


def _as_text(content: Mapping[str, Any]) -> str:
    """JSON with one person and one image per line, so that people can read it too."""
    lines = []
    for key, value in content.items():
        if key == "people":
            rows = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in value.items())
            lines.append(f'"people": {{\n{rows}\n}}')
        elif key == "images":
            rows = ",\n".join(json.dumps(image) for image in value)
            lines.append(f'"images": [\n{rows}\n]')
        else:
            lines.append(f"{json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def _write_images(
    folder: Path, plan: Plan, *, progress: bool, device: str | torch.device | None
) -> list[dict[str, Any]]:
    """JPEG files, and the pack of their decoded pixels; the manifest's entries."""
    for part in {Path(image.file).parent for image in plan.images}:
        (folder / part).mkdir()
    shape = (len(plan.images), 3, *plan.options.size)
    entries = []
    bar = tqdm(total=shape[0], desc="rendering", unit="image", disable=not progress)
    with new_pack(folder / PACK, shape) as append, bar:
        for image, data, truth in photographs(plan, device=device):
            (folder / image.file).write_bytes(data)
            append(decode(data))
            labels = {
                "file": image.file,
                "pid": image.pid,
                "camid": image.camid,
                "split": image.split,
            }
            labels |= {"poor": image.poor} if image.poor else {}
            entries.append(labels | {"bytes": len(data), "crc32": zlib.crc32(data)} | truth)
            bar.update()
    return entries


def photographs(
    plan: Plan, *, device: str | torch.device | None = None
) -> Iterator[tuple[PlannedImage, bytes, dict[str, Any]]]:
    """Each planned image, its JPEG file as its camera compresses, and what is known about it."""
    options, shots = plan.options, [image.shot for image in plan.images]
    samples = DIFFICULTIES[options.difficulty].supersample
    taken = shoot(shots, plan.cameras, size=options.size, supersample=samples, device=device)
    for image, (data, truth) in zip(plan.images, taken, strict=True):
        yield image, data, truth


def shoot(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    *,
    size: tuple[int, int],
    supersample: int,
    device: str | torch.device | None = None,
) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """The JPEG file of each shot and what is known about it, rendered as they are asked for."""
    place = "cpu" if device is None else device
    for start in range(0, len(shots), BATCH):
        block = shots[start : start + BATCH]
        pixels, truths = render(block, cameras, size=size, supersample=supersample, device=place)
        for shot, crop, truth in zip(block, pixels, truths, strict=True):
            yield encode(crop, cameras[shot.camera].jpeg_quality), truth


def encode(pixels: Tensor, quality: int) -> bytes:
    """(3, H, W) uint8 as JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def decode(data: bytes) -> np.ndarray:
    """JPEG as (3, H, W) uint8: the pixels that every reader of the file sees."""
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).transpose(2, 0, 1)


def people_entries(plan: Plan) -> dict[str, dict[str, Any]]:
    """The manifest's entries for people: side, attributes and caption by person id."""
    entries = {}
    for pid, person in plan.people.items():
        labels = person.attributes()
        side, caption = plan.sides[pid], describe(labels)
        entries[str(pid)] = {"split": side, "attributes": labels, "caption": caption}
    return entries


def _write_annotations(folder: Path, people: Mapping[str, Mapping[str, Any]]) -> None:
    """The tables and the `.mat` file."""
    labels: dict[str, dict[int, dict[str, int]]] = {side: {} for side in SIDES}
    for pid, person in people.items():
        labels[person["split"]][int(pid)] = person["attributes"]
    for side, own in labels.items():
        write_csv(folder / f"annotations_{side}.csv", own)
    write_mat(folder / "market_attribute.mat", labels["train"], labels["test"])
    captions = {int(pid): person["caption"] for pid, person in people.items()}
    write_captions(folder / "captions.csv", captions)


def _setting(options: SyntheticOptions) -> str:
    """Difficulty in words: "default", or "default, style 1"."""
    style = "" if options.style is None else f", style {options.style:g}"
    return f"{options.difficulty}{style}"
