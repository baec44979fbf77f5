"""Who walks there: identities drawn with the frequencies of a world, look-alikes among them.

Only a numpy generator is used, so that labels are the same on every machine.
"""

from dataclasses import dataclass, replace

import numpy as np

from reidlab.data.synthetic.palette import (
    HAIR,
    JEANS,
    LOWER_COLORS,
    RGB,
    SHADES,
    SHOES,
    SKIN,
    UPPER_COLORS,
    jitter,
    pick,
    shade_of,
)
from reidlab.data.synthetic.person import Garment, Person


@dataclass(frozen=True)
class Fashion:
    """How often things occur in a world: probabilities, and color weights."""

    long_sleeves: float
    jackets: float
    short_lower: float
    skirts: float  # of women
    hats: float
    scarves: float
    upper: tuple[float, ...]
    lower: tuple[float, ...]


FASHION = {
    "a": Fashion(0.45, 0.35, 0.34, 0.30, 0.05, 0.08,
                 (0.17, 0.26, 0.11, 0.05, 0.07, 0.13, 0.12, 0.09),
                 (0.33, 0.08, 0.05, 0.02, 0.02, 0.15, 0.24, 0.04, 0.07)),
    "b": Fashion(0.85, 0.78, 0.04, 0.12, 0.20, 0.30,
                 (0.36, 0.07, 0.08, 0.05, 0.03, 0.24, 0.13, 0.04),
                 (0.46, 0.02, 0.01, 0.02, 0.01, 0.19, 0.21, 0.03, 0.05)),
    "c": Fashion(0.10, 0.08, 0.66, 0.45, 0.12, 0.02,
                 (0.06, 0.26, 0.16, 0.07, 0.17, 0.05, 0.14, 0.09),
                 (0.12, 0.17, 0.10, 0.04, 0.06, 0.10, 0.22, 0.08, 0.11)),
}  # fmt: skip


def sample_people(count: int, *, seed: int, world: str = "a", twins: float = 0.35) -> list[Person]:
    """`count` identities, equal for equal arguments on every machine.

    Args:
        count: number of people.
        seed: of the one numpy generator used.
        world: key of `FASHION`, what people there tend to wear.
        twins: share of people who copy an earlier person's outfit and differ in small cues. Half
            of them copy one of the 12 people just before, the others anyone before, so that any
            block of the list has look-alikes inside and across its borders.
    """
    if world not in FASHION:
        raise ValueError(f"expected a world of {sorted(FASHION)}, got {world!r}")
    rng = np.random.default_rng([seed, ord(world)])
    people: list[Person] = []
    for index in range(count):
        fresh = _person(rng, FASHION[world])
        near, copy, pick_any = rng.random(), rng.random() < twins, rng.random()
        if copy and index:
            first = max(0, index - 12) if near < 0.5 else 0
            fresh = _twin(people[first + int(pick_any * (index - first))], fresh, rng)
        people.append(fresh)
    return people


def _choice(rng: np.random.Generator, options: dict[str, float]) -> str:
    """One key, with probability proportional to its value."""
    weights = np.fromiter(options.values(), float)
    edges = np.cumsum(weights / weights.sum())
    index = int(np.searchsorted(edges, rng.random(), side="right"))
    return list(options)[min(index, len(options) - 1)]


def _person(rng: np.random.Generator, fashion: Fashion) -> Person:
    """Someone new."""
    gender = _choice(rng, {"male": 0.55, "female": 0.45})
    age = _choice(rng, {"young": 0.05, "teenager": 0.62, "adult": 0.26, "old": 0.07})
    hair, hair_rgb = _hair(rng, gender, age)
    dress = gender == "female" and rng.random() < fashion.skirts * 0.6
    lower = _lower(rng, fashion, gender, dress)
    upper = _upper(rng, fashion, lower if dress else None)
    backpack = rng.random() < (0.34 if age != "old" else 0.10)
    bag = rng.random() < (0.12 if backpack else 0.32)
    handbag = rng.random() < (0.17 if gender == "female" else 0.08)
    man = gender == "male" and age in ("adult", "old")
    beards = {"none": 0.45, "stubble": 0.2, "moustache": 0.1, "full": 0.25}
    build = rng.normal({"young": -0.1, "teenager": -0.3, "adult": 0.25, "old": 0.2}[age], 0.4)
    heights = {"young": 1.25, "teenager": 1.69, "adult": 1.73, "old": 1.67}
    shorter = 0.0 if gender == "male" else (0.02 if age == "young" else 0.11)
    leather = {"black": 0.4, "brown": 0.2, "red": 0.1, "gray": 0.1, "blue": 0.1, "green": 0.1}
    hats = {"cap": 0.5, "beanie": 0.3, "brim": 0.2}
    return Person(
        gender=gender,
        age=age,
        height=float(np.clip(rng.normal(heights[age] - shorter, 0.05), 1.08, 1.98)),
        build=float(np.clip(build, -1, 1)),
        skin=jitter(SKIN[int(rng.choice(6, p=[0.25, 0.25, 0.2, 0.12, 0.1, 0.08]))], rng, 0.015),
        hair=hair,
        hair_rgb=hair_rgb,
        beard=_choice(rng, beards) if man else "none",
        glasses=_choice(rng, {"none": 0.78, "clear": 0.15, "dark": 0.07}),
        upper=upper,
        lower=lower,
        dress=dress,
        shoes=pick(SHOES, rng),
        boots=bool(rng.random() < 0.15) and lower.kind != "shorts",
        hat=_choice(rng, hats) if rng.random() < fashion.hats else "none",
        hat_rgb=shade_of(_choice(rng, leather), rng),
        backpack=shade_of(_choice(rng, leather), rng) if backpack else None,
        bag=shade_of(_choice(rng, leather | {"white": 0.15}), rng) if bag else None,
        handbag=shade_of(_choice(rng, leather | {"white": 0.2, "pink": 0.1}), rng)
        if handbag
        else None,
        side=1 if rng.random() < 0.5 else -1,
        scarf=shade_of(_choice(rng, dict.fromkeys(SHADES, 1.0)), rng)
        if rng.random() < fashion.scarves
        else None,
        stride=float(rng.uniform(0.34, 0.52) * (0.65 if age == "old" else 1.0)),
        arm_swing=float(rng.uniform(0.2, 0.55)),
        lean=float(rng.uniform(0.16, 0.30) if age == "old" else rng.uniform(0.0, 0.08)),
        seed=int(rng.integers(1 << 30)),
    )


def _hair(rng: np.random.Generator, gender: str, age: str) -> tuple[str, RGB]:
    """Style and color, by gender and age."""
    if gender == "male":
        bald = {"young": 0.0, "teenager": 0.01, "adult": 0.12, "old": 0.3}[age]
        styles = {"bald": bald, "buzz": 0.18, "short": 0.42, "quiff": 0.22, "afro": 0.06,
                  "long": 0.02, "ponytail": 0.02}  # fmt: skip
    else:
        styles = {"pixie": 0.24 + 0.3 * (age == "old"), "afro": 0.03, "long": 0.32, "wavy": 0.2,
                  "ponytail": 0.24}  # fmt: skip
    colors = {"black": 0.34, "dark brown": 0.26, "brown": 0.2, "blond": 0.14, "red": 0.06}
    if age == "old":
        colors = {"gray": 0.55, "white": 0.45}
    elif age == "adult":
        colors |= {"gray": 0.06}
    return _choice(rng, styles), jitter(HAIR[_choice(rng, colors)], rng, 0.015)


def _lower(rng: np.random.Generator, fashion: Fashion, gender: str, dress: bool) -> Garment:
    """Trousers, shorts or a skirt; of a dress, its lower half."""
    skirt = dress or (gender == "female" and rng.random() < fashion.skirts * 0.45)
    short = bool(rng.random() < (0.62 if skirt else fashion.short_lower * 0.9))
    kind = "skirt" if skirt else ("shorts" if short else "trousers")
    weights: dict[str, float] = dict(zip(LOWER_COLORS, fashion.lower, strict=True))
    if dress:  # both halves need a color name, so none that only one half may have
        weights = {name: weights[name] + 0.05 for name in LOWER_COLORS if name in UPPER_COLORS}
    color = _choice(rng, weights)
    rgb = shade_of(color, rng)
    if color == "blue" and not skirt and rng.random() < 0.75:
        rgb = pick(JEANS, rng)
    garment = Garment(
        kind, color, rgb, _contrast(rgb, rng), "plain", not short, float(rng.uniform(0, 1))
    )
    if not dress and rng.random() < 0.06:
        other = _choice(rng, {name: 1.0 for name in LOWER_COLORS if name != color})
        pattern = _choice(rng, {"checks": 0.6, "twotone": 0.12, "bold": 0.28})
        return replace(garment, color="multi", second=shade_of(other, rng), pattern=pattern)
    return replace(garment, pattern="side") if rng.random() < 0.1 and not skirt else garment


def _upper(rng: np.random.Generator, fashion: Fashion, dress: Garment | None) -> Garment:
    """What is worn above the hip; with `dress`, the same cloth as below."""
    long = bool(rng.random() < fashion.long_sleeves * (0.6 if dress else 1.0))
    cut = float(rng.uniform(0, 1))
    if dress:
        return replace(dress, kind="tshirt", long=long, cut=0.2 * cut)
    color = _choice(rng, dict(zip(UPPER_COLORS, fashion.upper, strict=True)))
    rgb = shade_of(color, rng)
    kinds = {"shirt": 0.3, "sweater": 0.4, "hoodie": 0.3} if long else {"tshirt": 0.8, "shirt": 0.2}
    kind = _choice(rng, kinds)
    if long and rng.random() < fashion.jackets:
        kind = _choice(rng, {"jacket": 0.7, "coat": 0.3})
    if rng.random() < 0.1:
        other = _choice(rng, {name: 1.0 for name in UPPER_COLORS if name != color})
        pattern = _choice(rng, {"bold": 0.4, "checks": 0.25, "twotone": 0.35})
        return Garment(kind, "multi", rgb, shade_of(other, rng), pattern, long, cut)
    patterns = {"plain": 0.45, "logo": 0.33, "stripes": 0.14, "band": 0.08}
    if kind in ("jacket", "coat"):
        patterns = {"plain": 0.4, "open": 0.45, "logo": 0.15}
    return Garment(kind, color, rgb, _contrast(rgb, rng), _choice(rng, patterns), long, cut)


def _contrast(rgb: RGB, rng: np.random.Generator) -> RGB:
    """A color that shows on `rgb`."""
    names = [name for name in SHADES if np.abs(np.subtract(SHADES[name][0], rgb)).sum() > 0.7]
    return shade_of(names[int(rng.integers(len(names)))], rng)


def _twin(model: Person, fresh: Person, rng: np.random.Generator) -> Person:
    """`model`'s outfit on another body: two to four small cues come from `fresh`."""
    cues = ["skin", "head", "bags", "shoes", "hat", "body", "print", "extras"]
    chosen = set(rng.permutation(cues)[: int(rng.integers(2, 5))].tolist()) | {"gait"}
    fields = {
        "skin": ["skin"],
        "head": ["hair", "hair_rgb", "beard", "glasses"],
        "bags": ["backpack", "bag", "handbag", "side"],
        "shoes": ["shoes", "boots"],
        "hat": ["hat", "hat_rgb"],
        "body": ["height", "build"],
        "print": [],
        "extras": ["scarf", "glasses"],
        "gait": ["stride", "arm_swing", "seed"],
    }
    names = [name for cue in sorted(chosen) for name in fields[cue]]
    changes = {name: getattr(fresh, name) for name in names}
    if model.gender != fresh.gender or model.age != fresh.age:
        for name in ("hair", "hair_rgb", "beard", "height"):
            changes.pop(name, None)
    if "print" in chosen and model.upper.color != "multi" and not model.dress:
        changed = _contrast(model.upper.rgb, rng)
        pattern = "logo" if model.upper.pattern == "plain" else model.upper.pattern
        changes["upper"] = replace(model.upper, second=changed, pattern=pattern)
    changes.setdefault("skin", jitter(model.skin, rng, 0.03))
    changes.setdefault("shoes", fresh.shoes)
    return replace(model, **changes)
