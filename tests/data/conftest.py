"""One tiny rendered dataset for all tests of data; copy it before changing it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from reidlab.data.synthetic.dataset import cache_folder, synthetic
from reidlab.data.synthetic.plan import SyntheticOptions

TINY = {
    "ids": 4,
    "validation_ids": 2,
    "test_ids": 3,
    "images_per_id": 4,
    "cameras": 3,
    "size": (64, 32),
    "difficulty": "smoke",
    "distractors": 4,
    "junk": 2,
}


@pytest.fixture(scope="session")
def tiny() -> SyntheticOptions:
    return SyntheticOptions(**TINY)


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory, tiny: SyntheticOptions) -> Path:
    """Read only."""
    root = tmp_path_factory.mktemp("data")
    synthetic(root, **TINY)
    return cache_folder(tiny, root)


@pytest.fixture
def copied(rendered: Path, tiny: SyntheticOptions, tmp_path: Path) -> Path:
    """The cached dataset below the data root `tmp_path`, free to be damaged."""
    return Path(shutil.copytree(rendered, cache_folder(tiny, tmp_path)))
