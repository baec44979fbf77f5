"""Which gallery images take part in a search: by camera, by attribute.

Shapes: N gallery images, A attributes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reidlab.data.heads import HEADS, Labels, classes
from reidlab.ranking.index.crops import UNNAMED

UNKNOWN = -1  # the code of an image whose value nobody knows
KINDS = (str, bool, int, float)

Value = str | bool | int | float
Where = Mapping[str, Value | Collection[Value]]


@dataclass(frozen=True)
class Attribute:
    """One attribute of N images: the values there are, and a code per image.

    Args:
        values: sorted, all of one kind.
        codes: (N,) int32, positions in `values`, -1 where nobody knows.
    """

    values: tuple[Value, ...]
    codes: np.ndarray

    @classmethod
    def of(cls, name: str, given: Any, count: int) -> Attribute:
        """From one value per image; None and NaN stand for unknown.

        Raises:
            ValueError: another number of values than images, or values of several kinds.
        """
        given = given.tolist() if hasattr(given, "tolist") else given  # tensors and arrays
        found = [_known(_plain(value)) for value in given]
        if len(found) != count:
            raise ValueError(
                f"attribute {name!r} has {len(found)} values for {count} gallery images; give one "
                "per image, None where it is unknown"
            )
        kinds = {type(value) for value in found if value is not None}
        if len(kinds) > 1 or not kinds <= set(KINDS):
            names = ", ".join(sorted(kind.__name__ for kind in kinds))
            raise ValueError(
                f"attribute {name!r}: expected values that are all texts, all true or false, or "
                f"all numbers of one type, got {names}"
            )
        values = tuple(sorted({value for value in found if value is not None}))
        code_of = {value: code for code, value in enumerate(values)}
        codes = [UNKNOWN if value is None else code_of[value] for value in found]
        return cls(values, np.array(codes, np.int32))

    def mask(self, name: str, wanted: Value | Collection[Value]) -> np.ndarray:
        """(N,) bool: the images that have one of the values `wanted`.

        A text for a number or for true and false, as it comes from a command line, stands for the
        value that is written so.

        Raises:
            ValueError: nobody has such a value, or none is given.
        """
        several = _several(wanted)
        if not several:
            raise ValueError(f"{name}: expected one value or more, got none")
        return np.isin(self.codes, [self._code(name, value) for value in several])

    def _code(self, name: str, wanted: Any) -> int:
        """Position of a value."""
        for code, known in enumerate(self.values):
            if type(wanted) is type(known):
                if wanted == known:
                    return code
            elif isinstance(wanted, str) and wanted == str(known):
                return code
        listed = ", ".join(map(repr, self.values)) or "nothing: it is unknown for all"
        raise ValueError(f"no gallery image has {name} {wanted!r}; its values here are {listed}")


def attribute_values(people: Iterable[Labels | None]) -> dict[str, list[str | None]]:
    """Head -> its class in words for each image, for `Index(gallery, attributes=...)`.

    The heads are those of `reidlab.data.heads`, so that `where={"hat": "yes", "up_color": "red"}`
    reads like a description.

    Args:
        people: the labels of the person in each gallery image, column -> code; None where there are
            none. For instance `(table.get(pid) for pid in gallery.pids.tolist())` with an
            `AttributeTable`, or `(sample.attributes for sample in samples)`.

    Raises:
        ValueError: labels that lack a column, or have a code out of range.
    """
    found = [None if labels is None else classes(labels) for labels in people]
    return {
        head: [None if person is None else names[person[head]] for person in found]
        for head, names in HEADS.items()
    }


def camera_mask(camids: np.ndarray, known: Sequence[int], wanted: Any) -> np.ndarray:
    """(N,) bool: the images of the cameras `wanted`.

    Raises:
        ValueError: an unknown camera, or none at all.
    """
    several = _several(wanted)
    if not several:
        raise ValueError("cameras: expected one camera or more, got none; leave it out for all")
    if strangers := sorted({repr(value) for value in several if value not in known}):
        named = ", ".join(str(camera) for camera in known if camera != UNNAMED)
        rest = f"the cameras here are {named}"
        if not named:
            rest = "nobody knows the cameras here, so search without cameras (--camera)"
        raise ValueError(f"no gallery image is from camera {', '.join(strangers)}; {rest}")
    return np.isin(camids, list(several))


def attribute_mask(attributes: Mapping[str, Attribute], where: Where, count: int) -> np.ndarray:
    """(N,) bool: the images that fit all of `where`.

    Raises:
        ValueError: an unknown attribute or value.
    """
    mask = np.ones(count, bool)
    for name, wanted in where.items():
        if name not in attributes:
            advice = f"it knows {', '.join(attributes)}"
            if not attributes:
                advice = (
                    "it knows none at all, so search without where (--where), or in Python give "
                    "Index(gallery, attributes=...)"
                )
            raise ValueError(f"the gallery has no attribute {name!r}; {advice}")
        mask &= attributes[name].mask(name, wanted)
    return mask


def describe(cameras: Any, where: Where | None, own_camera: int | None) -> str:
    """The filters in words, for messages."""
    words = [] if cameras is None else [f"cameras={_listed(cameras)}"]
    words += [f"{name}={_listed(wanted)}" for name, wanted in (where or {}).items()]
    words += [] if own_camera is None else [f"a camera other than the query's ({own_camera})"]
    return " and ".join(words)


def _several(wanted: Any) -> list[Any]:
    """One value or a collection of them, as a list of plain values."""
    if hasattr(wanted, "tolist"):  # a tensor, an array, or one of its entries
        wanted = wanted.tolist()
    if isinstance(wanted, Collection) and not isinstance(wanted, str):
        return [_plain(value) for value in wanted]
    return [wanted]


def _plain(value: Any) -> Any:
    """A number or text of an array, or a tensor of one, as Python's own."""
    return value.tolist() if hasattr(value, "tolist") else value


def _known(value: Any) -> Any:
    """None for NaN, by which tables say that nobody knows."""
    return None if isinstance(value, float) and value != value else value


def _listed(wanted: Any) -> str:
    return " or ".join(map(str, _several(wanted)))
