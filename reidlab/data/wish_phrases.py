"""A phrase such as "no red or blue top", word by word: what it asks for, or what is wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NoReturn

from reidlab.data.heads import HEADS
from reidlab.data.wish_words import ASKABLE, COLORS, KNOWN, LENGTHS, NOUNS, british, canonical

Wanted = dict[str, frozenset[int]]


@dataclass(frozen=True)
class Item:
    """One thing that was said, and the classes that it asks for, head by head."""

    said: str
    wanted: Wanted


def read_phrase(text: str) -> list[Item]:
    """What stands between two commas.

    Raises:
        ValueError: see `read_wish`.
    """
    return _Phrase(text).items


def indices(head: str, names: Iterable[str]) -> frozenset[int]:
    """Class indices of names, in British spelling too.

    Raises:
        ValueError: an unknown head or class.
    """
    if head not in HEADS:
        hint = similar(head, HEADS)
        raise ValueError(f"unknown attribute {head!r}{hint}; expected some of {', '.join(HEADS)}")
    own = {british(name): i for i, name in enumerate(HEADS[head])}
    own |= {name: i for i, name in enumerate(HEADS[head])}
    if unknown := [name for name in names if name not in own]:
        raise ValueError(
            f"{head} has no class {unknown[0]!r}{similar(unknown[0], own)}; "
            f"expected {', '.join(HEADS[head])}"
        )
    return frozenset(own[name] for name in names)


def similar(word: str, known: Iterable[str]) -> str:
    """` (did you mean hat?)`, empty where nothing is near."""
    near = difflib.get_close_matches(word, list(known), n=3, cutoff=0.7)
    return f" (did you mean {' or '.join(near)}?)" if near else ""


class _Phrase:
    """Reads words into `items`; colours and lengths wait for the noun that they describe."""

    def __init__(self, text: str) -> None:
        self.text = text.strip()
        self.words = canonical(text)
        self.items: list[Item] = []
        self.waiting: dict[str, list[str]] = {"length": [], "color": []}
        self.either_word = self.either_item = False  # "or" came last, between words or items
        self.negated = self.was_negated = False  # "no" holds for the next item, held for the last
        self.in_doubt = False  # whether "no" holds for what comes after "and"
        self.sleeves: Item | None = None  # until it is known whether a top follows
        self.last = ""  # the word before
        for word in self.words:
            self._read(word)
            self.last = word
        self._end()

    def _read(self, word: str) -> None:
        if word not in COLORS and word not in ("or", "top"):
            self._end_sleeves(word)
        if word in COLORS or word in LENGTHS:
            self._describe("length" if word in LENGTHS else "color", word)
        elif word in NOUNS:
            self._name(word)
        elif word == "no":
            self._no()
        elif word == "or":
            self._or()
        elif word == "and":
            self.in_doubt = self.was_negated
        elif word == "with":
            if not self.negated:  # "not wearing a hat" goes on
                self._end()
        else:
            self._fail(f"unknown word {word!r}{similar(word, KNOWN)}; {ASKABLE}")

    def _describe(self, kind: str, word: str) -> None:
        words = self.waiting[kind]
        if words and not self.either_word:
            one, two = british(words[-1]), british(word)
            hint = ", 'multicoloured' for several colours" if kind == "color" else ""
            self._fail(f"{one} and {two} at once; say '{one} or {two}' for either of them{hint}")
        if self.either_word and not words:
            self._fail("'or' stands between a colour and a length; it joins values of one kind")
        self.either_word = False
        words.append(word)

    def _name(self, word: str) -> None:
        """A noun takes the words that waited for it."""
        if self.either_word:
            self._fail(f"'or' stands before {word!r} and joins it to no other noun")
        noun, said = NOUNS[word], []
        wanted = {head: indices(head, [name]) for head, name in noun.says.items()}
        if self.sleeves:  # the word is "top": no "short-sleeved red top" is one thing
            wanted |= self.sleeves.wanted
            said.append(self.sleeves.said.replace(" sleeves", "-sleeved"))
            self.sleeves = None
        for kind, head in (("length", noun.length), ("color", noun.color)):
            words = self.waiting[kind]
            if words and head:
                wanted[head] = self._indices(head, words)
                said.append(" or ".join(map(british, words)))
                self.waiting[kind] = []
            elif words and not (word == "sleeves" and kind == "color"):  # red short-sleeved top
                self._fail(f"nobody says how {british(words[0])} a {word} is; {ASKABLE}")
        item = Item(" ".join([*said, word]), wanted)
        if word == "sleeves" and wanted:
            self.sleeves = item
        elif wanted:
            self._add(item)
        elif not (word == "top" and "sleeves" in self.words):
            self._fail(f"{word!r} alone says nothing; say what it is like: {_example(word)}")

    def _add(self, item: Item) -> None:
        if self.in_doubt:
            self._fail("does 'no' hold for both? Say 'no hat, no bag' or 'no hat, with bag'")
        self._check_open(item)
        if self.negated:
            item = self._opposite(item)
        if self.either_item:
            item = self._either(item)
            self._check_open(item)
        self.items.append(item)
        self.was_negated, self.negated, self.either_item = self.negated, False, False

    def _end_sleeves(self, following: str = "") -> None:
        """Sleeves that no top follows are a thing of their own."""
        if self.sleeves:
            item, self.sleeves = self.sleeves, None
            last = self.items[-1] if self.items else None
            top = last and "up_color" in last.wanted and last.said.startswith("no ")
            # "no red top with short sleeves", "no short-sleeved man"
            self.in_doubt |= bool(top) or (self.negated and following in {*NOUNS, *LENGTHS})
            self._add(item)

    def _check_open(self, item: Item) -> None:
        """Raise where all classes of a head would do."""
        if full := [head for head in item.wanted if len(item.wanted[head]) == len(HEADS[head])]:
            what = repr(item.said) if len(item.wanted) == 1 else f"the {full[0]} of {item.said!r}"
            self._fail(f"anybody fulfils {what}; leave it out")

    def _indices(self, head: str, names: list[str]) -> frozenset[int]:
        """Class indices of names; the message begins with the phrase."""
        try:
            return indices(head, names)
        except ValueError as error:
            self._fail(str(error))

    def _opposite(self, item: Item) -> Item:
        if len(item.wanted) > 1:
            self._fail(f"'no {item.said}' speaks about {' and '.join(item.wanted)}; ask for one")
        [(head, classes)] = item.wanted.items()
        return Item(f"no {item.said}", {head: frozenset(range(len(HEADS[head]))) - classes})

    def _either(self, item: Item) -> Item:
        """What was said before and after "or", which may differ in one attribute."""
        other = self.items.pop()
        heads = [h for h in HEADS if other.wanted.get(h) != item.wanted.get(h)]
        if len(heads) > 1:
            self._fail(f"'or' joins values of one attribute, not of {' and '.join(heads)}")
        if other.wanted.keys() != item.wanted.keys():
            self._fail(
                f"only one of {other.said!r} and {item.said!r} says the {heads[0]}, which 'or' "
                "cannot join; say it of both or of neither"
            )
        either = {head: other.wanted[head] | item.wanted[head] for head in item.wanted}
        return Item(f"{other.said} or {item.said}", either)

    def _no(self) -> None:
        if self.negated or any(self.waiting.values()):
            self._fail("'no' stands where it turns nothing round, or twice")
        self.negated, self.in_doubt = True, False

    def _or(self) -> None:
        if self.either_word or self.either_item:
            self._fail("'or' stands there twice")
        if self.last == "sleeves" and self.waiting["color"]:
            self._fail("'or' stands between a colour and its top; repeat the colour with each top")
        if not self.waiting["color"]:
            self._end_sleeves()
        if any(self.waiting.values()):
            self.either_word = True
        elif not self.items:
            self._fail("'or' needs something before it")
        elif self.was_negated:
            self.negated = True  # "no hat or bag": neither
        else:
            self.either_item = True

    def _end(self) -> None:
        """Nothing may wait for a word that does not come."""
        self._end_sleeves()
        waiting = [british(word) for words in self.waiting.values() for word in words]
        if waiting:
            self._fail(f"{' '.join(waiting)} what? Say for instance '{waiting[-1]} trousers'")
        if self.negated or self.either_item:
            self._fail(f"{'no' if self.negated else 'or'} what?")
        self.was_negated = self.in_doubt = False

    def _fail(self, problem: str) -> NoReturn:
        raise ValueError(f"{self.text!r}: {problem}")


def _example(word: str) -> str:
    """Something that may be said about a noun."""
    return f"'red {word}'" if NOUNS[word].color else f"'long {word}'"
