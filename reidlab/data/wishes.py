"""What somebody who is looked for must have: from plain words to wanted classes, and back."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from reidlab.data.heads import HEADS
from reidlab.data.wish_phrases import Item, Wanted, indices, read_phrase
from reidlab.data.wish_words import ASKABLE, british

EXCEPT = {"age": "not {}", "up_color": "no {} top", "down_color": "no {} bottoms"}
"""How to say that most classes of a head will do."""


@dataclass(frozen=True, repr=False)
class Wish:
    """Wanted classes by head: somebody fulfils a wish who has one of them for every head.

    `str(wish)` says it in words that `read_wish` reads back.

    Args:
        wanted: head -> class indices, at least one head; kept in the order of `HEADS`.

    Raises:
        ValueError: nothing is wanted, a head or class is unknown, or of a head all or none of the
            classes are wanted.
    """

    wanted: Mapping[str, frozenset[int]]

    def __post_init__(self) -> None:
        if not isinstance(self.wanted, Mapping):
            raise ValueError(f"expected head -> class indices, got {self.wanted!r}; see read_wish")
        if not self.wanted:
            raise ValueError(f"expected something to look for, got nothing; {ASKABLE}")
        for head, classes in self.wanted.items():
            if isinstance(classes, str) or not isinstance(classes, Collection):
                raise ValueError(f"{head}: expected class indices such as {{1}}, got {classes!r}")
            if head not in HEADS:
                raise ValueError(f"unknown attribute {head!r}; expected some of {', '.join(HEADS)}")
            if not classes or not set(classes) < set(range(len(HEADS[head]))):
                named = ", ".join(f"{i} {name}" for i, name in enumerate(HEADS[head]))
                raise ValueError(
                    f"{head}: expected some but not all of {named}; got {sorted(classes)}"
                )
        ordered = {h: frozenset(map(int, self.wanted[h])) for h in HEADS if h in self.wanted}
        object.__setattr__(self, "wanted", ordered)

    @property
    def heads(self) -> tuple[str, ...]:
        """The heads that the wish speaks about."""
        return tuple(self.wanted)

    @property
    def names(self) -> dict[str, tuple[str, ...]]:
        """Head -> names of its wanted classes, in index order."""
        return {h: tuple(HEADS[h][i] for i in sorted(found)) for h, found in self.wanted.items()}

    def fulfilled(self, classes: Mapping[str, int]) -> bool:
        """Whether somebody of these classes (head -> index) has all that is wanted."""
        return all(classes[head] in wanted for head, wanted in self.wanted.items())

    def __hash__(self) -> int:
        return hash(tuple(self.wanted.items()))

    def __repr__(self) -> str:
        """The words."""
        return f"Wish({str(self)!r})"

    def __str__(self) -> str:
        """Words in one fixed order: "old woman, red or blue top, no hat"."""
        return ", ".join(_words(self.wanted))


def read_wish(text: str) -> Wish:
    """The wish that plain words express, such as "red top, backpack" or "up_color=red, hat=yes".

    Commas, "but", "and" and "with" join what must hold together, "or" joins values of one attribute
    ("red or blue top"), "no", "without" and "neither ... nor" turn the next thing round. A thing of
    which several attributes are said, such as "boy" or "short-sleeved red top", cannot be turned
    round, and "or" joins it only to one that differs in one of them. What words say:

    - "trousers" and "shorts" also ask for trousers, "skirt" and "dress" for the class that stands
      for both; "bottoms" leaves the garment open. The colour of a dress is that of the lower
      garment.
    - "boy" and "girl" are young; "man" and "woman" leave the age open.
    - "bag" is the attribute of that name, which is neither backpack nor handbag.

    Args:
        text: British or American spelling, upper or lower case.

    Raises:
        ValueError: an unknown word, words that contradict each other or say nothing that is
            annotated, or "or" between different attributes. The message names the words.
    """
    if not isinstance(text, str):
        raise ValueError(f"expected a text such as 'red top, backpack', got {text!r}")
    items: list[Item] = []
    for part in re.split(r"[,;.\n]|\bbut\b", text, flags=re.IGNORECASE):
        items += [_pair(part)] if "=" in part else read_phrase(part)
    wanted: Wanted = {}
    for item in items:
        for head, classes in item.wanted.items():
            wanted[head] = wanted.get(head, classes) & classes
            if not wanted[head]:
                said = [f"{i.said!r}" for i in items[: items.index(item) + 1] if head in i.wanted]
                hint = "; say 'or' for either" if len(HEADS[head]) > 2 else ""
                raise ValueError(
                    f"{' and '.join(said)} contradict each other: nobody has both{hint}"
                )
    return Wish(wanted)


def wish_of(wanted: Wish | str | Mapping[str, str | Collection[str]]) -> Wish:
    """A wish as it is, from plain words, or from head -> class name or names.

    Raises:
        ValueError: see `read_wish` and `Wish`; a class name that the head does not have.
    """
    if isinstance(wanted, Wish):
        return wanted
    if not isinstance(wanted, Mapping):
        return read_wish(wanted)
    return Wish({head: indices(head, _listed(head, names)) for head, names in wanted.items()})


def _listed(head: str, names: object) -> list[str]:
    """One class name or several as a list."""
    found = [names] if isinstance(names, str) else names
    if not isinstance(found, Collection) or not all(isinstance(name, str) for name in found):
        raise ValueError(f"{head}: expected a class name or several, got {names!r}")
    return list(found)


def _pair(part: str) -> Item:
    """`up_color=red` or `up_color=red|blue`."""
    head, _, values = (piece.strip().lower() for piece in part.partition("="))
    names = [name.strip() for name in re.split(r"[|/]|\bor\b", values)]
    try:
        return Item(part.strip(), {head: indices(head, names)})
    except ValueError as error:
        raise ValueError(f"{part.strip()!r}: {error}") from None


def _words(wanted: Mapping[str, frozenset[int]]) -> list[str]:
    """Each thing that is wanted in words, those on one garment together."""
    turned = {h: _all(h) - found for h, found in wanted.items() if h in EXCEPT and _most(h, found)}
    said = {head: _either(head, found) for head, found in wanted.items() if head not in turned}
    lower = " ".join(said[head] for head in ("down", "down_color") if head in said)
    garment = {"trousers": "trousers", "dress": "skirt", "": "bottoms" if lower else ""}
    sleeves = "{}-sleeved" if "up_color" in said else "{} sleeves"
    age = said.get("age", "").replace("teenager", "teenage")
    sex = {"male": "man", "female": "woman", "": "person" if age else ""}
    parts = [
        [age, sex[said.get("gender", "")]],
        [f"{said['hair']} hair" if "hair" in said else ""],
        [
            sleeves.format(said["up"]) if "up" in said else "",
            f"{said['up_color']} top" if "up_color" in said else "",
        ],
        [lower, garment[said.get("clothes", "")]],
        *([_thing(head, said)] for head in ("hat", "backpack", "bag", "handbag")),
        *([EXCEPT[head].format(_either(head, found))] for head, found in turned.items()),
    ]
    return [" ".join(filter(None, part)) for part in parts if any(part)]


def _all(head: str) -> frozenset[int]:
    return frozenset(range(len(HEADS[head])))


def _most(head: str, found: frozenset[int]) -> bool:
    """Whether it is shorter to say which classes are not wanted."""
    return len(found) > len(HEADS[head]) / 2


def _either(head: str, found: frozenset[int]) -> str:
    """`red or grey`."""
    names = (HEADS[head][index] for index in sorted(found))
    return " or ".join(british(name) for name in names)


def _thing(head: str, said: Mapping[str, str]) -> str:
    return {"yes": head, "no": f"no {head}", "": ""}[said.get(head, "")]
