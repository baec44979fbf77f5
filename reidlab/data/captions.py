"""Sentences on people, made from their attributes: true, and worded in many ways.

A caption is built from clauses (age, hair, upper and lower garment, hat, things carried), each of
which may be left out, and put together by one of several templates. It never says what the labels
do not say: a lower garment that is no trousers is a skirt or a dress, and the labels do not tell
which.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from reidlab.data.heads import COLUMNS, Labels, classes
from reidlab.paths import atomic_write

Seed = int | Sequence[int] | np.random.Generator
T = TypeVar("T")

CLAUSES = ("age", "hair", "upper", "lower", "hat", "things")
PRESENCE = 0.7  # probability of each clause

AGED = (
    (("boy", "young boy"), ("girl", "young girl")),
    (("teenage boy", "male teenager"), ("teenage girl", "female teenager")),
    (("man", "adult man"), ("woman", "adult woman")),
    (("old man", "elderly man"), ("old woman", "elderly woman")),
)
"""Nouns by age and gender."""

AGELESS = (("male person", "male pedestrian"), ("female person", "female pedestrian"))
"""Nouns by gender that leave the age open."""

SEVERAL = "multicoloured"
UPPER = ("{color} top with {length} sleeves", "{length}-sleeved {color} top",
         "{color} upper garment with {length} sleeves")  # fmt: skip
TROUSERS = {
    "long": ("long {color} trousers", "full-length {color} trousers"),
    "short": ("short {color} trousers", "{color} shorts"),
}
SKIRT = ("a {length} {color} skirt or dress", "a {length} {color} dress or skirt")
BACKPACK = ("backpack", "rucksack")


@dataclass(frozen=True)
class Facts:
    """What one caption says, in words; empty where it leaves something out."""

    noun: str
    pronoun: str
    hair: str
    worn: tuple[str, ...]
    things: tuple[str, ...]


def caption(labels: Labels, *, seed: Seed, clauses: str | Collection[str] = "random") -> str:
    """One sentence or a few short ones that are true of the labels.

    Args:
        labels: column -> code of one person, as in an `AttributeTable`.
        seed: of the wording; equal seeds give equal captions on every machine. A generator is
            drawn from, so that its next caption reads differently.
        clauses: "random" to leave each one out now and then, "all", or names out of `CLAUSES`.
            Gender is always said; a hat or a bag that is not there is not mentioned.

    Raises:
        ValueError: labels that are not valid, or an unknown clause.
    """
    rng = np.random.default_rng(seed)
    facts = _facts(labels, _chosen(clauses, rng), rng)
    text = _pick(rng, TEMPLATES)(facts)
    return f"{text[0].upper()}{text[1:]}."


def captions(
    labels: Labels, count: int, seed: Seed, *, clauses: str | Collection[str] = "random"
) -> list[str]:
    """`count` captions of one person, all different as long as there are enough ways to say it.

    Args:
        labels: column -> code of one person.
        count: how many.
        seed: see `caption`.
        clauses: see `caption`.

    Raises:
        ValueError: see `caption`.
    """
    rng = np.random.default_rng(seed)
    found: list[str] = []
    repeated: list[str] = []
    while len(found) < count and len(repeated) < 20 * count:  # then there are hardly any others
        text = caption(labels, seed=rng, clauses=clauses)
        (repeated if text in found else found).append(text)
    return [*found, *repeated][: max(count, 0)]


def _chosen(clauses: str | Collection[str], rng: np.random.Generator) -> set[str]:
    drawn = rng.random(len(CLAUSES)) < PRESENCE
    if clauses == "random":
        return {name for name, present in zip(CLAUSES, drawn, strict=True) if present}
    if clauses == "all":
        return set(CLAUSES)
    if isinstance(clauses, str) or set(clauses) - set(CLAUSES):
        raise ValueError(
            f"expected clauses 'random', 'all', or some of {', '.join(CLAUSES)}; got {clauses!r}"
        )
    return set(clauses)


def _pick(rng: np.random.Generator, options: Sequence[T]) -> T:
    return options[int(rng.integers(len(options)))]


def _facts(labels: Labels, said: set[str], rng: np.random.Generator) -> Facts:
    """The clauses in `said` put into words, synonyms drawn from `rng`."""
    found = classes(labels)
    gender = found["gender"]
    noun = _pick(rng, AGED[found["age"]][gender] if "age" in said else AGELESS[gender])
    hair = ("short", "long")[found["hair"]]
    before = bool(rng.random() < 0.4)  # "a long-haired man" rather than "a man with long hair"
    if "hair" in said and before:
        noun = f"{hair}-haired {noun}"
    worn = [_upper(labels, rng)] if "upper" in said else []
    worn += [_lower(labels, rng)] if "lower" in said else []
    worn += ["a hat"] if "hat" in said and found["hat"] else []
    names = {"backpack": _pick(rng, BACKPACK), "bag": "bag", "handbag": "handbag"}
    things = [f"a {name}" for thing, name in names.items() if "things" in said and found[thing]]
    return Facts(
        noun=noun,
        pronoun=("he", "she")[gender],
        hair=f"{hair} hair" if "hair" in said and not before else "",
        worn=tuple(worn),
        things=tuple(things),
    )


def _upper(labels: Labels, rng: np.random.Generator) -> str:
    length = ("long", "short")[labels["up"] - 1]
    return _a(_pick(rng, UPPER).format(color=_grey(_color(labels, "up")), length=length))


def _lower(labels: Labels, rng: np.random.Generator) -> str:
    length = ("long", "short")[labels["down"] - 1]
    forms = SKIRT if labels["clothes"] == 1 else TROUSERS[length]
    return _pick(rng, forms).format(color=_grey(_color(labels, "down")), length=length)


def _grey(color: str) -> str:
    """The colour in British spelling."""
    return "grey" if color == "gray" else color


def _a(noun: str) -> str:
    """`noun` with its article."""
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"


def _list(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]]) if len(parts) > 1 else "".join(parts)


def _if(before: str, parts: Sequence[str] | str) -> str:
    """`before` and what is listed, or nothing when there is nothing to list."""
    text = parts if isinstance(parts, str) else _list(parts)
    return before + text if text else ""


def _person(facts: Facts) -> str:
    """`a woman with long hair`."""
    return _a(facts.noun) + _if(" with ", facts.hair)


def _doings(facts: Facts, wear: str, carry: str) -> list[str]:
    """`wears a top and blue shorts`, `carries a bag`: those that there are."""
    doings = [_if(f"{wear} ", facts.worn), _if(f"{carry} ", facts.things)]
    return [doing for doing in doings if doing]


def _phrase(facts: Facts) -> str:
    return ", ".join([_person(facts), *_doings(facts, "wearing", "carrying")])


def _photo(facts: Facts) -> str:
    carrying = _if(", carrying ", facts.things)
    return f"a photo of {_person(facts)}{_if(' in ', facts.worn)}{carrying}"


def _who(facts: Facts) -> str:
    doings = [_if("has ", facts.hair), *_doings(facts, "wears", "carries")]
    return _a(facts.noun) + _if(" who ", [doing for doing in doings if doing])


def _statements(facts: Facts) -> str:
    doings = [_if("has ", facts.hair), *_doings(facts, "wears", "carries")]
    sentences = [f"{facts.pronoun.capitalize()} {doing}" for doing in doings if doing]
    return ". ".join([f"this is {_a(facts.noun)}", *sentences])


def _search(facts: Facts) -> str:
    return f"find {_person(facts)}{_if(' ', _doings(facts, 'wearing', 'carrying'))}"


def _opening(facts: Facts) -> str:
    doings = _list(_doings(facts, "wearing", "carrying"))
    start = f"{doings}, " if doings else ""
    return f"{start}{_person(facts)} is in the picture"


def _shown(facts: Facts) -> str:
    doings = _list(_doings(facts, "wearing", "carrying"))
    rest = f". {facts.pronoun.capitalize()} is {doings}" if doings else ""
    return f"shown here is {_person(facts)}{rest}"


TEMPLATES: tuple[Callable[[Facts], str], ...] = (
    _phrase, _photo, _who, _statements, _search, _opening, _shown,
)  # fmt: skip


def write_captions(
    path: str | os.PathLike[str], captions: Mapping[int, str | Sequence[str]]
) -> None:
    """A table with a header, `id` and `caption`; one row per caption, sorted by person.

    Args:
        path: the file, replaced if it is there.
        captions: person id -> one caption or several.

    Raises:
        ValueError: the file cannot be written.
    """
    lines = ["id,caption"]
    for pid in sorted(captions):
        own = captions[pid]
        texts = [own] if isinstance(own, str) else own
        lines += [f'{pid},"{text}"' for text in (text.replace('"', '""') for text in texts)]
    atomic_write(Path(path).expanduser(), "\n".join(lines) + "\n")


def write_captions_table(
    path: str | os.PathLike[str], people: Mapping[int, Labels], *, count: int = 5, seed: int = 0
) -> None:
    """A table of `count` captions per person, as `captions` words them.

    Args:
        path: the file, replaced if it is there.
        people: an `AttributeTable`, or person id -> column -> code.
        count: captions per person.
        seed: of the wording. A person's captions do not depend on who else is in the table.

    Raises:
        ValueError: labels that are not valid, or the file cannot be written.
    """
    write_captions(path, {pid: captions(people[pid], count, [seed, pid]) for pid in people})


def describe(labels: Labels) -> str:
    """One sentence that says what the labels say, and nothing else: always the same words.

    Synthetic data sets store it with every person, so that changing it changes them.
    """
    nouns = (
        ("boy", "teenage boy", "man", "old man"),
        ("girl", "teenage girl", "woman", "old woman"),
    )
    noun = nouns[labels["gender"] - 1][labels["age"] - 1]
    start = "An" if noun[0] in "aeiou" else "A"
    hair = ("short", "long")[labels["hair"] - 1]
    sleeves = ("long", "short")[labels["up"] - 1]
    length = ("long", "short")[labels["down"] - 1]
    lower = "skirt" if labels["clothes"] == 1 else "trousers"
    article = "a " if lower == "skirt" else ""
    worn = f"a {_color(labels, 'up')} top with {sleeves} sleeves and "
    worn += f"{article}{length} {_color(labels, 'down')} {lower}"
    if labels["hat"] == 2:
        worn += ", and a hat"
    things = [f"a {thing}" for thing in ("backpack", "bag", "handbag") if labels[thing] == 2]
    carried = f", carrying {' and '.join(things)}" if things else ""
    return f"{start} {noun} with {hair} hair, wearing {worn}{carried}."


def _color(labels: Labels, garment: str) -> str:
    """The name of the one colour of `garment` ("up" or "down"); all columns 1 mean several."""
    names = [name for name in COLUMNS if name.startswith(garment) and name != garment]
    found = [name.removeprefix(garment) for name in names if labels[name] == 2]
    return found[0] if found else SEVERAL
