"""The words in which somebody may be described, and what each says about the twelve heads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reidlab.data.heads import DOWN_COLORS, UP_COLORS


@dataclass(frozen=True)
class Noun:
    """What can be seen of somebody.

    Args:
        says: head -> class name that the word alone says.
        color: head that a colour before the word speaks about; without one it has no known colour.
        length: head that "long" or "short" before the word speaks about.
    """

    says: Mapping[str, str] = field(default_factory=dict)
    color: str = ""
    length: str = ""


NOUNS = {
    "young": Noun({"age": "young"}),
    "teenage": Noun({"age": "teenager"}),
    "adult": Noun({"age": "adult"}),
    "old": Noun({"age": "old"}),
    "man": Noun({"gender": "male"}),
    "woman": Noun({"gender": "female"}),
    "boy": Noun({"age": "young", "gender": "male"}),
    "girl": Noun({"age": "young", "gender": "female"}),
    "teenage boy": Noun({"age": "teenager", "gender": "male"}),
    "teenage girl": Noun({"age": "teenager", "gender": "female"}),
    "hair": Noun(length="hair"),
    "sleeves": Noun(length="up"),
    "top": Noun(color="up_color"),
    "trousers": Noun({"clothes": "trousers"}, "down_color", "down"),
    "skirt": Noun({"clothes": "dress"}, "down_color", "down"),
    "bottoms": Noun({}, "down_color", "down"),
    "hat": Noun({"hat": "yes"}),
    "backpack": Noun({"backpack": "yes"}),
    "bag": Noun({"bag": "yes"}),
    "handbag": Noun({"handbag": "yes"}),
}
LENGTHS = ("long", "short")
COLORS = tuple(dict.fromkeys((*UP_COLORS, *DOWN_COLORS, "multi")))
BRITISH = {"gray": "grey", "multi": "multicoloured"}

SYNONYMS = {
    synonym: words
    for words, synonyms in {
        "young": ("child", "kid"),
        "teenage": ("teenager", "teen"),
        "old": ("elderly", "senior"),
        "man": ("male", "gentleman", "men"),
        "woman": ("female", "lady", "women"),
        "boy": ("young boy",),
        "girl": ("young girl",),
        "teenage boy": ("teen boy",),
        "teenage girl": ("teen girl",),
        "hair": ("haired",),
        "sleeves": ("sleeve", "sleeved"),
        "top": (
            "upper", "upper garment", "upper body", "shirt", "t shirt", "tshirt", "tee", "jacket",
            "coat", "sweater", "jumper", "pullover", "hoodie", "blouse",
        ),
        "trousers": ("pants", "jeans", "leggings"),
        "short trousers": ("shorts",),
        "skirt": ("dress", "dress or skirt", "skirt or dress"),
        "bottoms": ("bottom", "lower", "lower garment", "lower body"),
        "hat": ("cap",),
        "backpack": ("rucksack", "back pack"),
        "handbag": ("hand bag", "purse"),
        "gray": ("grey",),
        "multi": (
            "multicoloured", "multicolored", "multicolour", "multicolor", "multi coloured",
            "multi colored", "colourful", "colorful",
        ),
        "no": ("not", "without", "neither"),
        "or": ("nor",),
        "with": ("wearing", "wears", "carrying", "carries", "who", "has", "having", "in"),
        "": ("a", "an", "the", "is", "person", "people", "pedestrian", "somebody", "someone"),
    }.items()
    for synonym in synonyms
}  # fmt: skip
"""Other ways to say it; an empty text stands for words that say nothing."""

KNOWN = sorted({*NOUNS, *LENGTHS, *COLORS, "no", "or", "and", "with", *SYNONYMS})


def british(word: str) -> str:
    """The word as prose spells it."""
    return BRITISH.get(word, word)


def _colors(names: Sequence[str]) -> str:
    """Colours of a garment as they are said."""
    return ", ".join(british(name) for name in (*names, "multi"))


ASKABLE = (
    f"understood are the colours of a top ({_colors(UP_COLORS)}), those of trousers, a skirt or "
    f"bottoms ({_colors(DOWN_COLORS)}); long or short trousers, skirt, bottoms, sleeves, hair; "
    "hat, backpack, bag, handbag; man, woman; young, teenage, adult, old; 'no' and 'or'; and pairs "
    "such as up_color=red"
)


def canonical(text: str) -> list[str]:
    """The words of a text in lower case, synonyms replaced, the longest ones first.

    A noun of two words, such as "teenage boy", stays one word.
    """
    found: list[str] = []
    words = re.findall(r"[^\W_]+", re.sub("[&+]", " and ", text.lower()))
    at = 0
    while at < len(words):
        phrases = (" ".join(words[at : at + length]) for length in (3, 2, 1))
        phrase = next((phrase for phrase in phrases if phrase in (SYNONYMS | NOUNS)), words[at])
        word = SYNONYMS.get(phrase, _singular(phrase))
        found += [word] if word in NOUNS else word.split()
        at += phrase.count(" ") + 1
    return found


def _singular(word: str) -> str:
    """A known word for its plural, else the word."""
    single = word.removesuffix("s")
    return word if word in KNOWN or single not in KNOWN else SYNONYMS.get(single, single)
