"""The record of an identity, and the annotation that follows from it."""

from dataclasses import dataclass

from reidlab.data.synthetic.palette import LOWER_COLORS, RGB, UPPER_COLORS

AGES = ("young", "teenager", "adult", "old")
LONG_HAIR = ("long", "wavy", "ponytail")


@dataclass(frozen=True)
class Garment:
    """One piece of clothing.

    Attributes:
        kind: upper "tshirt", "shirt", "sweater", "hoodie", "jacket", "coat"; lower "trousers",
            "shorts", "skirt"; a dress is a "skirt" below and the same cloth above.
        color: class name, or "multi" when no single color dominates.
        rgb: main color; `second` the color of the pattern, the print or the shirt underneath.
        pattern: "plain", "logo", "stripes", "checks", "twotone", "open" (jacket over a shirt).
        long: long sleeves, or lower garment below the knee.
        cut: 0 tight to 1 loose.
    """

    kind: str
    color: str
    rgb: RGB
    second: RGB
    pattern: str = "plain"
    long: bool = True
    cut: float = 0.4


@dataclass(frozen=True)
class Person:
    """A synthetic identity. Lengths are metres; absent accessories are `None`."""

    gender: str
    age: str
    height: float
    build: float  # -1 slim to 1 heavy
    skin: RGB
    hair: str  # style: bald, buzz, short, quiff, pixie, afro, long, wavy, ponytail
    hair_rgb: RGB
    beard: str  # none, stubble, moustache, full
    glasses: str  # none, clear, dark
    upper: Garment
    lower: Garment
    dress: bool
    shoes: RGB
    boots: bool
    hat: str  # none, cap, beanie, brim
    hat_rgb: RGB
    backpack: RGB | None
    bag: RGB | None
    handbag: RGB | None
    side: int  # +1 or -1: the shoulder and the hand that carry
    scarf: RGB | None
    stride: float  # swing of the thigh, radians
    arm_swing: float
    lean: float  # stoop of the upper body, radians
    seed: int  # cloth folds and the form of prints

    def attributes(self) -> dict[str, int]:
        """The 27 annotation columns in the order of Market-1501's `test` struct.

        Binary columns are 1 no, 2 yes. `age` is 1 to 4 in the order of `AGES`; `clothes` 1 dress
        or skirt, 2 trousers; `down` and `up` 1 long, 2 short; `hair` 1 short, 2 long; `gender`
        1 male, 2 female. At most one `up*` and one `down*` column is 2; all 1 means several
        colors.
        """
        labels = {
            "age": AGES.index(self.age) + 1,
            "backpack": 1 + (self.backpack is not None),
            "bag": 1 + (self.bag is not None),
            "handbag": 1 + (self.handbag is not None),
            "clothes": 1 if self.lower.kind == "skirt" else 2,
            "down": 1 if self.lower.long else 2,
            "up": 1 if self.upper.long else 2,
            "hair": 2 if self.hair in LONG_HAIR else 1,
            "hat": 1 + (self.hat != "none"),
            "gender": 2 if self.gender == "female" else 1,
        }
        labels |= {f"up{name}": 1 + (self.upper.color == name) for name in UPPER_COLORS}
        labels |= {f"down{name}": 1 + (self.lower.color == name) for name in LOWER_COLORS}
        return labels
