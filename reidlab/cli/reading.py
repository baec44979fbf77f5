"""Which dataset a command reads, and how: enough to read the same one again later."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from reidlab.data.readers import NAMES, read_dataset
from reidlab.data.samples import Splits


@dataclass(frozen=True)
class Reading:
    """What the flags say about a dataset.

    Args:
        read: a dataset's name, or a path.
        root: folder in which named datasets lie.
        variant: which one, where a dataset has several.
        validation_ids: people held out of training for validation.
        test_ids: people held out as query and gallery, where the dataset names none.
    """

    read: str
    root: str | None = None
    variant: str | None = None
    validation_ids: int = 0
    test_ids: int = 0

    @classmethod
    def of(cls, data: str, root: Path | None = None, **others: Any) -> Reading:
        """From flags; paths are written in full, so that they are found from another folder."""
        named = data.lower() in NAMES
        path = data if named else str(Path(data).expanduser().resolve())
        return cls(path, str(root.expanduser().resolve()) if root else None, **others)

    @classmethod
    def of_card(cls, card: dict[str, Any]) -> Reading | None:
        """What a training run read, from its model's card; None when the card does not say."""
        stored = card.get("data", {})
        if "read" not in stored:
            return None
        return cls(**{name: stored[name] for name in cls.__dataclass_fields__ if name in stored})

    def like(self, trained: Reading | None) -> Reading:
        """With the people of `trained` held out, when that is the same dataset."""
        if trained is None or not self.same_place(trained) or self.test_ids:
            return self
        return replace(self, validation_ids=trained.validation_ids, test_ids=trained.test_ids)

    def same_place(self, other: Reading) -> bool:
        """Whether both read the same files."""
        own = (self.read, self.root, self.variant)
        return own == (other.read, other.root, other.variant)

    def splits(self) -> Splits:
        """The dataset.

        Raises:
            ValueError: it is missing or wrong, or does not understand a setting.
        """
        if self.validation_ids and self.read.lower() == "synthetic":
            raise ValueError("the synthetic set has validation people; leave out --validation-ids")
        names = ("variant", "validation_ids", "test_ids")
        given = {name: getattr(self, name) for name in names if getattr(self, name)}
        return read_dataset(self.read, self.root, progress=sys.stderr.isatty(), **given)

    def as_dict(self) -> dict[str, Any]:
        """For a model's card: what was given."""
        return {name: value for name, value in asdict(self).items() if value or name == "read"}


def read_again(trained: Reading | None, fingerprint: str | None, model: Path, why: str) -> Splits:
    """The dataset of a training run, unchanged.

    Raises:
        ValueError: the card does not name it, or it has changed since.
    """
    if trained is None:
        raise ValueError(f"{model} does not say its dataset; name one with --data")
    splits = trained.splits()
    if splits.fingerprint != fingerprint:
        raise ValueError(
            f"{trained.read} has changed since {model} was trained on it (fingerprint "
            f"{splits.fingerprint}, then {fingerprint}); to {why} it as it is now, name it: "
            f"--data {trained.read}"
        )
    return splits
