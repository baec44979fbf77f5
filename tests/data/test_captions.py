from __future__ import annotations

import csv
import re
from collections import Counter

import numpy as np
import pytest

from reidlab.data.attributes import HEADS, labels_of
from reidlab.data.captions import (
    CLAUSES,
    TEMPLATES,
    caption,
    captions,
    describe,
    write_captions,
    write_captions_table,
)

COLOURS = "black white red purple yellow grey blue green pink brown multicoloured".split()


def random_labels(rng: np.random.Generator) -> dict[str, int]:
    return labels_of({head: int(rng.integers(len(names))) for head, names in HEADS.items()})


@pytest.fixture(scope="module")
def many() -> list[tuple[dict[str, int], str]]:
    """2,000 people and a caption of each."""
    rng = np.random.default_rng(11)
    people = [random_labels(rng) for _ in range(2000)]
    return [(labels, caption(labels, seed=seed)) for seed, labels in enumerate(people)]


def labels_with(**changes: int) -> dict[str, int]:
    return labels_of(dict.fromkeys(HEADS, 0) | changes)


# An independent reading of captions: phrase -> what it claims of the columns.

NOUNS = {
    r"(young )?boy": {"gender": 1, "age": 1},
    r"(young )?girl": {"gender": 2, "age": 1},
    r"teenage boy|male teenager": {"gender": 1, "age": 2},
    r"teenage girl|female teenager": {"gender": 2, "age": 2},
    r"(adult )?man": {"gender": 1, "age": 3},
    r"(adult )?woman": {"gender": 2, "age": 3},
    r"(old|elderly) man": {"gender": 1, "age": 4},
    r"(old|elderly) woman": {"gender": 2, "age": 4},
    r"male (person|pedestrian)": {"gender": 1},
    r"female (person|pedestrian)": {"gender": 2},
    r"he": {"gender": 1},
    r"she": {"gender": 2},
    r"a hat": {"hat": 2},
    r"a (backpack|rucksack)": {"backpack": 2},
    r"a bag": {"bag": 2},
    r"a handbag": {"handbag": 2},
}
COLOUR = f"({'|'.join(COLOURS)})"
HAIR = re.compile(r"\b(short|long)(?:-haired| hair)\b")
UPPER = [
    re.compile(rf"\ban? {COLOUR} (?:top|upper garment) with (long|short) sleeves\b"),
    re.compile(rf"\ba (?P<l>long|short)-sleeved {COLOUR} top\b"),
]
TROUSERS = [
    re.compile(rf"\b(?P<l>long|full-length|short) {COLOUR} trousers\b"),
    re.compile(rf"\b{COLOUR} (?P<l>shorts)\b"),
]
SKIRT = re.compile(rf"\ba (long|short) {COLOUR} (?:skirt or dress|dress or skirt)\b")
NEUTRAL = set(
    "a an and with wearing carrying photo of in who has wears carries this is find picture the "
    "shown here".split()
)


def colour_claims(garment: str, name: str) -> dict[str, int]:
    own = [c for c in labels_with() if c.startswith(garment) and c != garment]
    worn = garment + name.replace("grey", "gray")
    assert name == "multicoloured" or worn in own, f"{garment} cannot be {name}"
    return {column: 2 if column == worn else 1 for column in own}


def claims(text: str) -> dict[str, int]:
    """What a caption says, column -> code; fails on a word that it does not know."""
    found: dict[str, int] = {}
    rest = text[0].lower() + text[1:]

    def add(said: dict[str, int]) -> None:
        for column, code in said.items():
            assert found.setdefault(column, code) == code, f"{column} contradicts itself: {text}"

    def take(pattern: re.Pattern) -> list[re.Match]:
        nonlocal rest
        matches = list(pattern.finditer(rest))
        rest = pattern.sub(" ", rest)
        return matches

    for match in take(HAIR):
        add({"hair": 1 + (match[1] == "long")})
    for match in take(UPPER[0]):
        add({"up": 1 + (match[2] == "short")} | colour_claims("up", match[1]))
    for match in take(UPPER[1]):
        add({"up": 1 + (match["l"] == "short")} | colour_claims("up", match[2]))
    for match in take(TROUSERS[0]):
        add({"clothes": 2, "down": 1 + (match["l"] == "short")} | colour_claims("down", match[2]))
    for match in take(TROUSERS[1]):
        add({"clothes": 2, "down": 2} | colour_claims("down", match[1]))
    for match in take(SKIRT):
        add({"clothes": 1, "down": 1 + (match[1] == "short")} | colour_claims("down", match[2]))
    for phrase in sorted(NOUNS, key=len, reverse=True):
        for _ in take(re.compile(rf"\b(?:{phrase})\b", re.IGNORECASE)):
            add(NOUNS[phrase])
    unknown = set(re.findall(r"[\w'-]+", rest.lower())) - NEUTRAL
    assert not unknown, f"{unknown} in: {text}"
    return found


def test_the_reading_of_captions_notices_a_lie():
    assert claims("A photo of an old man in blue shorts.") == (
        {"gender": 1, "age": 4, "clothes": 2, "down": 2} | colour_claims("down", "blue")
    )
    with pytest.raises(AssertionError, match="contradicts"):
        claims("A man with long hair. She has short hair.")
    with pytest.raises(AssertionError, match="umbrella"):
        claims("A man with an umbrella.")
    with pytest.raises(AssertionError, match="cannot be brown"):
        claims("A man in a brown top with long sleeves.")


def test_everything_that_captions_say_is_true(many):
    for labels, text in many:
        for column, code in claims(text).items():
            assert labels[column] == code, f"{column} is {labels[column]}: {text}"


def test_with_all_clauses_everything_is_said():
    rng = np.random.default_rng(5)
    for seed in range(500):
        labels = random_labels(rng)
        text = caption(labels, seed=seed, clauses="all")
        said = claims(text)
        absent = {c for c in ("hat", "backpack", "bag", "handbag") if labels[c] == 1}
        assert set(said) == set(labels) - absent, text


SAYS = {
    "age": {"age"},
    "hair": {"hair"},
    "upper": {"up", "upred"},
    "lower": {"clothes", "down", "downbrown"},
    "hat": {"hat"},
    "things": {"backpack", "bag", "handbag"},
}


@pytest.mark.parametrize("chosen", [(), *((name,) for name in CLAUSES), ("hat", "age", "things")])
def test_only_the_chosen_clauses_are_said(chosen):
    labels = {**labels_with(), "hat": 2, "backpack": 2, "bag": 2, "handbag": 2}
    marks = set().union(*SAYS.values())
    for seed in range(60):
        said = set(claims(caption(labels, seed=seed, clauses=chosen)))
        assert said & marks == set().union(*(SAYS[name] for name in chosen))
        assert "gender" in said


def test_every_clause_is_now_and_then_left_out(many):
    labels = {**labels_with(), "hat": 2, "backpack": 2, "bag": 2, "handbag": 2}
    counted = Counter()
    for seed in range(400):
        said = set(claims(caption(labels, seed=seed)))
        counted.update(name for name, columns in SAYS.items() if said & columns)
    assert all(220 < counted[name] < 340 for name in CLAUSES), counted


def test_every_phrasing_occurs(many):
    texts = [text for _, text in many]
    starts = [
        r"\w+ [\w-]+( [\w ]+)?, wearing .*, carrying ",
        r"A photo of ",
        r".* who (has|wears|carries) ",
        r"This is an? .*\. (He|She) (has|wears|carries) ",
        r"Find an? .* wearing .* and carrying ",
        r"(Wearing|Carrying) .* is in the picture\.",
        r"Shown here is an? .*\. (He|She) is (wearing|carrying) ",
    ]
    assert len(starts) == len(TEMPLATES) >= 6
    for start in starts:
        assert sum(bool(re.match(start, text)) for text in texts) > 50, start
    words = [
        "young boy", " boy", "young girl", "teenage boy", "male teenager", "teenage girl",
        "female teenager", "adult man", "adult woman", "old man", "elderly man", "old woman",
        "elderly woman", "male person", "male pedestrian", "female person", "female pedestrian",
        "short-haired", "long-haired", "with short hair", "with long hair", "has long hair",
        "long-sleeved", "short-sleeved", "top with long sleeves", "upper garment with short",
        "shorts", "full-length", "trousers", "skirt or dress", "dress or skirt", "a hat",
        "backpack", "rucksack", "a bag", "a handbag", "He ", "She ", *COLOURS,
    ]  # fmt: skip
    for word in words:
        assert any(word in text for text in texts), word


def test_captions_are_grammatical(many):
    for _, text in many:
        assert re.fullmatch(r"[A-Z][^A-Z]*[a-z]\.( (She|He) [^A-Z]*[a-z]\.)*", text), text
        assert not re.search(r"  | [,.]|,,|\.\.|, and |and \.|, \.", text), text
        assert not re.search(r"\b[Aa] [aeiou]", text), text
        assert not re.search(r"\b[Aa]n [^aeiou]", text), text
        assert not re.search(rf"\ban? (\S+ )?{COLOUR} (trousers|shorts)", text), text
        assert not re.search(r"gray|multicolored|color", text), text


def test_lists_end_in_and():
    labels = {**labels_with(clothes=1), "hat": 2, "backpack": 2, "bag": 2, "handbag": 2}
    texts = captions(labels, 50, 0, clauses="all")
    assert all(re.search(r"trousers and a hat\b", text) for text in texts)
    assert all(re.search(r"a (backpack|rucksack), a bag and a handbag", text) for text in texts)
    two = captions({**labels, "bag": 1, "hat": 1}, 50, 0, clauses="all")
    assert all(re.search(r"a (backpack|rucksack) and a handbag", text) for text in two)


@pytest.mark.parametrize(
    ("code", "nouns"),
    [
        ({"age": 1, "gender": 1}, {"boy", "young boy"}),
        ({"age": 4, "gender": 2}, {"old woman", "elderly woman"}),
    ],
)
def test_a_caption_by_hand(code, nouns):
    labels = labels_with() | code
    found = {caption(labels, seed=seed, clauses=["age"]) for seed in range(200)}
    articles = {noun: "an" if noun[0] in "oe" else "a" for noun in nouns}
    expected = set()
    for noun, article in articles.items():
        alone = f"{article} {noun}"
        expected |= {
            f"{alone.capitalize()}.", f"A photo of {alone}.", f"This is {alone}.",
            f"Find {alone}.", f"{alone.capitalize()} is in the picture.",
            f"Shown here is {alone}.",
        }  # fmt: skip
    assert found == expected


def test_equal_seeds_give_equal_captions():
    labels = labels_with(age=2, hat=1)
    assert caption(labels, seed=3) == caption(labels, seed=3)
    assert captions(labels, 5, 3) == captions(labels, 5, 3) == captions(labels, 9, 3)[:5]
    assert captions(labels, 5, 3) != captions(labels, 5, 4)
    rng = np.random.default_rng(3)
    first, second = (caption(labels, seed=rng, clauses="all") for _ in range(2))
    assert first != second
    assert first == caption(labels, seed=np.random.default_rng(3), clauses="all")


def test_the_words_of_a_seed_stay_the_same():
    labels = labels_with(age=2, hat=1, backpack=1)
    assert captions(labels, 3, 0) == [
        "This is an adult man. He has short hair. He wears a long-sleeved black top and a long "
        "black dress or skirt.",
        "A male pedestrian with short hair, wearing a long black skirt or dress, carrying a "
        "rucksack.",
        "Shown here is a short-haired man. He is wearing a long-sleeved black top, a long black "
        "dress or skirt and a hat and carrying a rucksack.",
    ]


def test_captions_of_one_person_differ():
    found = captions(labels_with(age=2, hat=1), 300, 0)
    assert len(set(found)) == len(found) == 300


def test_captions_repeat_only_when_there_is_nothing_else_to_say():
    found = captions(labels_with(), 100, 0, clauses=())
    assert len(found) == 100
    assert set(found) == {
        f"{start} male {noun}{end}."
        for noun in ("person", "pedestrian")
        for start, end in (
            ("A", ""), ("A photo of a", ""), ("This is a", ""), ("Find a", ""),
            ("A", " is in the picture"), ("Shown here is a", ""),
        )
    }  # fmt: skip
    assert captions(labels_with(), 0, 0) == []


@pytest.mark.parametrize("clauses", ["some", "hair", ["shoes"], ["hair", "shoes"]])
def test_unknown_clauses_are_refused(clauses):
    with pytest.raises(ValueError, match="expected clauses 'random', 'all', or some of age, hair"):
        caption(labels_with(), seed=0, clauses=clauses)


def test_labels_out_of_range_are_refused():
    with pytest.raises(ValueError, match="column hat is 3"):
        caption(labels_with() | {"hat": 3}, seed=0)


def test_captions_are_written_one_per_row(tmp_path):
    write_captions(tmp_path / "a.csv", {7: ["One, two.", 'A "hat".'], 3: "Three."})
    text = (tmp_path / "a.csv").read_bytes()
    assert text == b'id,caption\n3,"Three."\n7,"One, two."\n7,"A ""hat""."\n'
    with open(tmp_path / "a.csv", newline="") as file:
        rows = [(row["id"], row["caption"]) for row in csv.DictReader(file)]
    assert rows == [("3", "Three."), ("7", "One, two."), ("7", 'A "hat".')]


def test_a_table_of_captions_has_several_per_person(tmp_path):
    people = {9: labels_with(age=1), 4: labels_with(gender=1), 5: labels_with(hat=1)}
    write_captions_table(tmp_path / "a.csv", people, count=4, seed=1)
    with open(tmp_path / "a.csv", newline="") as file:
        rows = [(int(row["id"]), row["caption"]) for row in csv.DictReader(file)]
    assert [pid for pid, _ in rows] == [4] * 4 + [5] * 4 + [9] * 4
    assert len(set(rows)) == 12
    for pid, text in rows:
        assert claims(text).items() <= people[pid].items()
    write_captions_table(tmp_path / "c.csv", {9: people[9], 4: people[9]}, count=4, seed=1)
    first, second = np.split(np.array((tmp_path / "c.csv").read_text().splitlines()[1:]), 2)
    assert {line[1:] for line in first} != {line[1:] for line in second}
    write_captions_table(tmp_path / "b.csv", {9: people[9]}, count=4, seed=1)
    assert (tmp_path / "b.csv").read_text().splitlines()[1:] == (
        (tmp_path / "a.csv").read_text().splitlines()[-4:]
    )


def test_the_fixed_sentence_says_what_the_labels_say():
    labels = labels_with() | {"age": 4, "backpack": 2, "handbag": 2, "up": 2}
    labels |= {"upblack": 1, "downblack": 1}
    assert describe(labels) == (
        "An old man with short hair, wearing a multicoloured top with short sleeves and a long "
        "multicoloured skirt, carrying a backpack and a handbag."
    )
    labels |= {"gender": 2, "age": 3, "upred": 2, "downblue": 2, "clothes": 2, "hat": 2, "hair": 2}
    labels |= {"backpack": 1, "handbag": 1, "down": 2}
    assert describe(labels) == (
        "A woman with long hair, wearing a red top with short sleeves and short blue trousers, "
        "and a hat."
    )
    gray = labels_with() | {"upblack": 1, "upgray": 2}
    assert describe(gray) == (
        "A boy with short hair, wearing a gray top with long sleeves and a long black skirt."
    )
