"""Unlabelled sets of any size, streamed to disk in shards: what self-supervision learns from.

    FOLDER/images/000/000000.jpg    a thousand images per shard, nothing in their names
    FOLDER/truth/000.csv            who is shown and what is wrong: to check a filter, not to train
    FOLDER/manifest.json            options, and the shards that are finished

A shard is rendered beside the others and renamed when it is whole; only then the manifest lists
it. So a run that is killed loses at most one shard, and the same call continues.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from tqdm.auto import tqdm

from reidlab.data.packs import MANIFEST
from reidlab.data.synthetic.dataset import differences
from reidlab.data.synthetic.locking import LOCK, only_writer
from reidlab.data.synthetic.options import DifficultyName, UnlabelledOptions, World, whole
from reidlab.data.synthetic.shards import (
    KIND,
    ShardWriter,
    UnlabelledTruth,
    read_table,
    read_unlabelled_manifest,
)
from reidlab.data.synthetic.writing import generator_version

OURS = (LOCK, f".{MANIFEST}.part")  # may lie there before there is a manifest
FULL = (errno.ENOSPC, errno.EDQUOT)


def make_unlabelled(
    folder: str | os.PathLike[str],
    count: int,
    *,
    world: World = "c",
    ids: int | None = None,
    poor: float | None = None,
    difficulty: DifficultyName = "default",
    size: tuple[int, int] = (128, 64),
    seed: int = 0,
    supersample: int | None = None,
    cameras: int = 6,
    overwrite: bool = False,
    progress: bool = False,
    device: str | torch.device | None = None,
) -> Path:
    """Render `count` unlabelled images into `folder`, or the ones that are still missing there.

    Each image is drawn from (`seed`, its number), so a longer set starts with the shorter one and
    a finished set can be made longer. Memory is bounded by a shard.

    Args:
        folder: absent, empty, or a set made by this function.
        count: number of images.
        world: see `places.WORLDS`.
        ids: identities; `None` lets new people keep coming, one for every four images.
        poor: share of poor crops, 0 to 1; `None` is 0.25 in world c and 0 in the others.
        difficulty: how far cameras differ, and how bad boxes, light and occlusion are.
        size: height and width in pixels, two to one.
        seed: draws everything; people are others than in a labelled set of the same seed.
        supersample: samples per pixel side; `None` is what belongs to `difficulty`, 1 is fastest.
        cameras: how many.
        overwrite: replace a set that was made with other options or is longer.
        progress: show a bar.
        device: to render on; the CPU unless given, because its pixels are the same every time.

    Returns:
        The folder.

    Raises:
        ValueError: a bad option; the folder holds something else or a set made with other options;
            another process writes into it; or the disk is full, which loses nothing finished.
    """
    options = UnlabelledOptions(world, ids, poor, difficulty, size, seed, supersample, cameras)
    count, folder = whole("count", count, 1), Path(folder).expanduser().resolve()
    _refuse_foreign(folder)
    with only_writer(folder):
        listed = _listed(folder, options, count, overwrite)
        writer = ShardWriter(folder, options, count, listed, device)
        bar = tqdm(total=count, desc="rendering", unit="image", disable=not progress)
        try:
            writer.write(bar.update)
        except OSError as error:
            advice = "make room and" if error.errno in FULL else "see that it can be written, then"
            raise ValueError(
                f"cannot write into {folder} ({error.strerror}); {writer.done:,} of {count:,} "
                f"images are finished; {advice} run the same again to continue"
            ) from error
        finally:
            bar.close()
    return folder


def read_unlabelled_truth(folder: str | os.PathLike[str]) -> list[UnlabelledTruth]:
    """What is known about every finished image of an unlabelled set, in the order of their numbers.

    For checking a filter such as CFS; a method that learns from it is no longer unsupervised.

    Raises:
        ValueError: the folder holds no unlabelled set, or a table is missing or damaged.
    """
    folder = Path(folder).expanduser()
    manifest = read_unlabelled_manifest(folder)
    if manifest is None:
        raise ValueError(
            f"{folder} holds no unlabelled set (no {MANIFEST} of kind {KIND!r}); "
            "make one with make_unlabelled or `reidlab data make --unlabelled`"
        )
    return [row for shard in manifest["shards"] for row in read_table(folder, shard)]


def _refuse_foreign(folder: Path) -> None:
    """Leave alone what this module did not write."""
    if not folder.is_dir() or read_unlabelled_manifest(folder) is not None:
        return
    if any(path.name not in OURS for path in folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty and holds no unlabelled set made by reidlab (no {MANIFEST} "
            "that says so); choose a new or an empty folder"
        )


def _listed(
    folder: Path, options: UnlabelledOptions, count: int, overwrite: bool
) -> list[dict[str, Any]]:
    """The finished shards in `folder` that belong to this set; none of another one."""
    _refuse_foreign(folder)
    content = read_unlabelled_manifest(folder)
    if content is None:
        return []
    reason = _other_origin(content, options, count)
    if not reason:
        return content["shards"]
    if not overwrite:
        raise ValueError(
            f"{folder} holds an unlabelled set, but {reason}; "
            "choose another folder, or overwrite=True (--overwrite) to render it again"
        )
    return []


def _other_origin(content: Mapping[str, Any], options: UnlabelledOptions, count: int) -> str:
    """Why the set of this manifest is not the beginning of the wanted one; empty when it is."""
    if differ := differences(content["options"], options.as_dict()):
        return f"it was made with {differ}"
    if content["count"] > count:
        return f"it was made with count={content['count']}, more than {count}"
    if content["generator"] != generator_version():
        return f"it was drawn by version {content['generator']}, this is {generator_version()}"
    return ""
