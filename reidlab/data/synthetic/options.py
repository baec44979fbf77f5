"""What can be asked of the renderer: labelled sets, and unlabelled ones of any size."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, get_args

from reidlab.data.synthetic.poor import USUAL_SHARE
from reidlab.data.synthetic.shots import DIFFICULTIES, Difficulty

DifficultyName = Literal["smoke", "default", "hard"]
World = Literal["a", "b", "c"]


@dataclass(frozen=True)
class SyntheticOptions:
    """What to render. Everything in a dataset follows from these.

    Raises:
        ValueError: a number out of range, or an unknown name.
    """

    ids: int = 150
    """Training identities."""
    validation_ids: int = 30
    """Validation identities."""
    test_ids: int = 150
    """Test identities."""
    images_per_id: int = 16
    """Images of each person."""
    cameras: int = 6
    """Cameras; a person is seen by four to six of them."""
    size: tuple[int, int] = (128, 64)
    """Height and width in pixels."""
    difficulty: DifficultyName = "default"
    """How far cameras differ, and how bad boxes, light and occlusion are."""
    world: World = "a"
    """Network of cameras, with its own places, light and clothes."""
    seed: int = 0
    """Draws everything."""
    distractors: int = 500
    """Boxes that show nobody of interest in the test gallery; half as many more for validation."""
    junk: int = 100
    """Boxes of test people too poor to count."""
    poor: float = 0.0
    """Share of the training images that are poor crops (cut, two people, empty, blurred, tiny)."""
    style: float | None = None
    """How far cameras differ in color and sharpness, 0 not at all to 1 fully; without it what
    belongs to the difficulty (0.3, 0.6, 1)."""

    def __post_init__(self) -> None:
        least = {"ids": 2, "validation_ids": 0, "test_ids": 2, "images_per_id": 2, "cameras": 2}
        least |= {"seed": 0, "distractors": 0, "junk": 0}
        for name, smallest in least.items():
            object.__setattr__(self, name, whole(name, getattr(self, name), smallest))
        object.__setattr__(self, "size", _checked_size(self.size))
        for name, known in (("difficulty", get_args(DifficultyName)), ("world", get_args(World))):
            if (value := getattr(self, name)) not in known:
                choices = ", ".join(map(repr, known))
                raise ValueError(f"unknown {name} {value!r}; choose one of {choices}")
        object.__setattr__(self, "poor", _checked_share("poor", self.poor))
        if self.style is not None:
            object.__setattr__(self, "style", _checked_share("style", self.style))

    @property
    def conditions(self) -> Difficulty:
        """The difficulty, with the style that was asked for."""
        named = DIFFICULTIES[self.difficulty]
        return named if self.style is None else replace(named, strength=self.style)

    def as_dict(self) -> dict[str, Any]:
        """As JSON gives it back, the size a list; without `poor` and `style` unless asked for."""
        given = asdict(self) | {"size": list(self.size)}
        if not self.poor:  # such sets were made before there were poor crops
            del given["poor"]
        if self.style is None:  # and before styles could be chosen
            del given["style"]
        return given


@dataclass(frozen=True)
class UnlabelledOptions:
    """What an unlabelled set shows; how many images of it are wanted is said apart.

    Raises:
        ValueError: a number out of range, or an unknown name.
    """

    world: World = "c"
    """Network of cameras, with its own places, light and clothes."""
    ids: int | None = None
    """Identities; without it new people keep coming, one for every four images."""
    poor: float | None = None
    """Share of poor crops; without it 0.25 in world c and 0 in the others."""
    difficulty: DifficultyName = "default"
    """How far cameras differ, and how bad boxes, light and occlusion are."""
    size: tuple[int, int] = (128, 64)
    """Height and width in pixels."""
    seed: int = 0
    """Draws everything."""
    supersample: int | None = None
    """Samples per pixel side, 1 is fastest; without it what belongs to the difficulty."""
    cameras: int = 6
    """Cameras."""

    def __post_init__(self) -> None:
        shared = SyntheticOptions(
            cameras=self.cameras, size=self.size, difficulty=self.difficulty, world=self.world,
            seed=self.seed, poor=0.0 if self.poor is None else self.poor,
        )  # fmt: skip
        for name in ("cameras", "size", "seed"):
            object.__setattr__(self, name, getattr(shared, name))
        for name, smallest in (("ids", 2), ("supersample", 1)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole(name, value, smallest))

    @property
    def share(self) -> float:
        """Of poor crops: what was given, or what is usual in this world."""
        return USUAL_SHARE[self.world] if self.poor is None else float(self.poor)

    @property
    def samples(self) -> int:
        """Per pixel side: what was given, or what belongs to the difficulty."""
        return self.supersample or DIFFICULTIES[self.difficulty].supersample

    def as_dict(self) -> dict[str, Any]:
        """As JSON gives it back, with the numbers that were chosen for what was not given."""
        chosen = {"size": list(self.size), "poor": self.share, "supersample": self.samples}
        return asdict(self) | chosen


def whole(name: str, value: Any, smallest: int) -> int:
    """`value` as a Python integer of at least `smallest`; `ValueError` when it is none."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise ValueError(f"expected {name} to be an integer, got {value!r}")
    if value < smallest:
        raise ValueError(f"expected {name} of at least {smallest}, got {value}")
    return value.__index__()


def _checked_share(name: str, value: Any) -> float:
    try:
        share = float(value)
    except (TypeError, ValueError):
        share = math.nan
    if isinstance(value, (bool, str)) or not 0 <= share <= 1:
        raise ValueError(f"expected {name} to be a share from 0 to 1, got {value!r}")
    return share


def _checked_size(size: Any) -> tuple[int, int]:
    try:
        height, width = (value.__index__() for value in size)
    except (TypeError, ValueError, AttributeError):
        raise ValueError(f"expected size (height, width) in pixels, got {size!r}") from None
    if height != 2 * width or not 16 <= width <= 512:
        raise ValueError(
            "expected size (height, width) with a box twice as high as wide and 16 to 512 pixels "
            f"wide, for instance (128, 64) or (256, 128); got ({height}, {width})"
        )
    return height, width
