from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reidlab.data.attributes import HEADS
from reidlab.data.wish_words import KNOWN, NOUNS, SYNONYMS
from reidlab.data.wishes import Wish, read_wish, wish_of

NOT_RED = tuple(name for name in HEADS["up_color"] if name != "red")
UNDERSTOOD = {
    "hat": {"hat": "yes"},
    "no hat": {"hat": "no"},
    "a cap": {"hat": "yes"},
    "without a bag": {"bag": "no"},
    "carrying a rucksack": {"backpack": "yes"},
    "hand bag": {"handbag": "yes"},
    "long hair": {"hair": "long"},
    "short-haired woman": {"hair": "short", "gender": "female"},
    "a man": {"gender": "male"},
    "female": {"gender": "female"},
    "old": {"age": "old"},
    "elderly lady": {"age": "old", "gender": "female"},
    "teenager": {"age": "teenager"},
    "teenage boy": {"age": "teenager", "gender": "male"},
    "girl": {"age": "young", "gender": "female"},
    "short sleeves": {"up": "short"},
    "long-sleeved red top": {"up": "long", "up_color": "red"},
    "red short-sleeved T-shirt": {"up": "short", "up_color": "red"},
    "a white upper garment with short sleeves": {"up": "short", "up_color": "white"},
    "grey jacket": {"up_color": "gray"},
    "gray sweater": {"up_color": "gray"},
    "multicoloured blouse": {"up_color": "multi"},
    "multi-colored top": {"up_color": "multi"},
    "shorts": {"down": "short", "clothes": "trousers"},
    "short trousers": {"down": "short", "clothes": "trousers"},
    "blue jeans": {"down_color": "blue", "clothes": "trousers"},
    "brown bottoms": {"down_color": "brown"},
    "pink lower garment": {"down_color": "pink"},
    "dress": {"clothes": "dress"},
    "long black skirt": {"clothes": "dress", "down": "long", "down_color": "black"},
    "trousers": {"clothes": "trousers"},
    "no trousers": {"clothes": "dress"},
    "Red top, Backpack": {"up_color": "red", "backpack": "yes"},
    "red tops and backpacks": {"up_color": "red", "backpack": "yes"},
    "red top & backpack": {"up_color": "red", "backpack": "yes"},
    "red top. Backpack": {"up_color": "red", "backpack": "yes"},
    "woman wearing a green coat, carrying a handbag": {
        "gender": "female", "up_color": "green", "handbag": "yes",
    },
    "up_color=red, hat=yes": {"up_color": "red", "hat": "yes"},
    "UP_COLOR = Grey": {"up_color": "gray"},
    "down_color=multicoloured; man": {"down_color": "multi", "gender": "male"},
    "up_color=red|blue": {"up_color": ("red", "blue")},
    "up_color=red or blue": {"up_color": ("red", "blue")},
    "red or blue top": {"up_color": ("red", "blue")},
    "red top or blue top": {"up_color": ("red", "blue")},
    "red or white or blue top": {"up_color": ("red", "white", "blue")},
    "blue trousers or black trousers": {"down_color": ("blue", "black"), "clothes": "trousers"},
    "young or old man": {"age": ("young", "old"), "gender": "male"},
    "not old": {"age": ("young", "teenager", "adult")},
    "not old man": {"age": ("young", "teenager", "adult"), "gender": "male"},
    "not young, not old": {"age": ("teenager", "adult")},
    "red or blue top, blue or green shirt": {"up_color": "blue"},
    "hat, hat": {"hat": "yes"},
    "no hat or bag": {"hat": "no", "bag": "no"},
    "no hat nor bag": {"hat": "no", "bag": "no"},
    "no hat, bag": {"hat": "no", "bag": "yes"},
    "no hat and no bag": {"hat": "no", "bag": "no"},
    "without a hat and with a bag": {"hat": "no", "bag": "yes"},
    "not wearing a hat": {"hat": "no"},
    "red top and no hat": {"up_color": "red", "hat": "no"},
    "man but no hat": {"gender": "male", "hat": "no"},
    "neither hat nor bag": {"hat": "no", "bag": "no"},
    "neither young nor old": {"age": ("teenager", "adult")},
    "boy or teenage boy": {"age": ("young", "teenager"), "gender": "male"},
    "girls": {"age": "young", "gender": "female"},
    "short-sleeved red top or short-sleeved blue top": {"up": "short", "up_color": ("red", "blue")},
    "no long-sleeved top": {"up": "short"},
    "no long sleeves": {"up": "short"},
    "short-sleeved man": {"up": "short", "gender": "male"},
    "no red top, short sleeves": {"up": "short", "up_color": NOT_RED},
}  # fmt: skip


@pytest.mark.parametrize("text", UNDERSTOOD)
def test_plain_words_are_understood(text):
    expected = {h: (n,) if isinstance(n, str) else n for h, n in UNDERSTOOD[text].items()}
    found = read_wish(text).names
    assert {head: set(names) for head, names in found.items()} == {
        head: set(names) for head, names in expected.items()
    }


REFUSED = {
    "jaket": r"^'jaket': unknown word 'jaket' \(did you mean jacket\?\); understood are the col",
    "orange top": "unknown word 'orange'; understood are the colours of a top .black, white, red",
    "hat, xyz": "^'xyz': unknown word 'xyz';",
    "hat, no hat": "^'hat' and 'no hat' contradict each other: nobody has both$",
    "red top, blue top": "^'red top' and 'blue top' contradict each other: .*; say 'or' for either",
    "backpack, red top, hat, no red top": "^'red top' and 'no red top' contradict",
    "red blue top": "red and blue at once; say 'red or blue' for either of them, 'multicol",
    "red and grey top": "red and grey at once; say 'red or grey'",
    "long short hair": "long and short at once; say 'long or short' for either of them$",
    "red": "red what",
    "red, top": "red what",
    "red with hat": "red what",
    "long red": "long red what",
    "long hat": "nobody says how long a hat is",
    "red hat": "nobody says how red a hat is",
    "red hair": "nobody says how red a hair is",
    "long coat": "nobody says how long a top is",
    "red sleeves": "'sleeves' alone says nothing.*'long sleeves'",
    "red long sleeves": "red what",
    "top": "'top' alone says nothing; say what it is like: 'red top'",
    "hair": "'hair' alone says nothing; say what it is like: 'long hair'",
    "bottoms": "'bottoms' alone says nothing",
    "pink top": "up_color has no class 'pink'; expected black, white",
    "no": "no what",
    "no, hat": "no what",
    "hat or": "or what",
    "or hat": "'or' needs something before it",
    "hat, or bag": "'or' needs something before it",
    "young or or old": "'or' stands there twice",
    "red or or blue top": "'or' stands there twice",
    "no no hat": "turns nothing round, or twice",
    "red no top": "turns nothing round, or twice",
    "bag or hat": "'or' joins values of one attribute, not of bag and hat",
    "boy or girl": "anybody fulfils the gender of 'boy or girl'; leave it out",
    "boy or man": "^'boy or man': only one of 'boy' and 'man' says the age, which 'or' cannot join",
    "man or boy": "^'man or boy': only one of 'man' and 'boy' says the age",
    "girl or woman": "only one of 'girl' and 'woman' says the age",
    "woman or girl": "only one of 'woman' and 'girl' says the age",
    "teenage boy or man": "only one of 'teenage boy' and 'man' says the age",
    "grey trousers or jeans": "only one of 'grey trousers' and 'trousers' says the down_color",
    "jeans or grey trousers": "only one of 'trousers' and 'grey trousers' says the down_color",
    "short-sleeved red top or blue top": "not of up and up_color",
    "blue top or short-sleeved red top": "not of up and up_color",
    "red short-sleeved or blue top": "stands between a colour and its top",
    "no boy": "'no boy' speaks about age and gender; ask for one",
    "no young girl": "'no girl' speaks about age and gender; ask for one",
    "no bag or boy": "'no boy' speaks about age and gender",
    "no long-sleeved red top": "'no long-sleeved red top' speaks about up and up_color; ask",
    "no red long-sleeved top": "'no long-sleeved red top' speaks about up and up_color; ask",
    "man with no short-sleeved white shirt": "'no short-sleeved white top' speaks about up and up_",
    "no red top with short sleeves": "does 'no' hold for both",
    "no short-sleeved man": "does 'no' hold for both",
    "girl in a red dress": "^'girl in a red dress': down_color has no class 'red'",
    "long or short hair": "anybody fulfils 'long or short hair'; leave it out",
    "hat or no hat": "anybody fulfils 'hat or no hat'; leave it out",
    "no red but blue top": "^'no red': red what",
    "red or trousers": "'or' stands before 'trousers'",
    "red or long trousers": "'or' stands between a colour and a length",
    "no shorts": "'no short trousers' speaks about clothes and down; ask for one",
    "no hat and bag": "does 'no' hold for both",
    "man or woman": "^'man or woman': anybody fulfils 'man or woman'; leave it out$",
    "": "expected something to look for, got nothing; understood are",
    "a person, with": "expected something to look for, got nothing",
    "colour=red": "unknown attribute 'colour'",
    "up_colour=red": r"unknown attribute 'up_colour' \(did you mean up_color\?\)",
    "hat=maybe": "^'hat=maybe': hat has no class 'maybe'; expected no, yes",
    "hat=": "hat has no class ''",
    "up_color=gren": r"up_color has no class 'gren' \(did you mean green",
}


@pytest.mark.parametrize("text", REFUSED)
def test_other_words_are_refused_by_name(text):
    with pytest.raises(ValueError, match=REFUSED[text]):
        read_wish(text)


@pytest.mark.parametrize("value", [None, 3, ["hat"]])
def test_what_is_no_text_is_refused(value):
    with pytest.raises(ValueError, match="expected a text such as"):
        read_wish(value)


@st.composite
def wishes(draw):
    heads = draw(st.sets(st.sampled_from(list(HEADS)), min_size=1))
    return Wish(
        {
            head: draw(
                st.sets(
                    st.integers(0, len(HEADS[head]) - 1),
                    min_size=1,
                    max_size=len(HEADS[head]) - 1,
                ).map(frozenset)
            )
            for head in heads
        }
    )


@given(wish=wishes())
@settings(max_examples=150, deadline=None)
def test_every_wish_reads_back_what_it_says(wish):
    assert read_wish(str(wish)) == wish
    assert hash(read_wish(str(wish))) == hash(wish)
    assert wish_of(wish.names) == wish
    pairs = ", ".join(f"{head}={'|'.join(names)}" for head, names in wish.names.items())
    assert read_wish(pairs) == wish


@given(words=st.lists(st.sampled_from(KNOWN), max_size=8), commas=st.integers(0, 255))
@settings(max_examples=300, deadline=None)
def test_known_words_in_any_order_are_read_or_refused(words, commas):
    text = " ".join(w + "," * ((commas >> i) & 1) for i, w in enumerate(words))
    try:
        wish = read_wish(text)
    except ValueError as error:
        assert "unknown word" not in str(error)
    else:
        assert read_wish(str(wish)) == wish


SAID = ["", "long ", "short ", "red ", "red or blue ", "short-sleeved ", "short-sleeved red "]
NAMED = sorted(word for word in {*NOUNS, *SYNONYMS} if word not in ("no", ""))


@given(
    first=st.sampled_from(SAID), noun=st.sampled_from(NAMED), rest=st.sampled_from(["", " or boy"])
)
@settings(max_examples=400, deadline=None)
def test_no_never_wants_what_the_words_alone_want(first, noun, rest):
    text = f"{first}{noun}{rest}"
    try:
        plain, turned = read_wish(text), read_wish(f"no {text}")
    except ValueError:
        return
    for head, classes in plain.wanted.items():
        assert not classes & turned.wanted.get(head, frozenset()), text


@given(text=st.text(max_size=30))
@settings(max_examples=200, deadline=None)
def test_any_text_is_read_or_refused(text):
    try:
        read_wish(text)
    except ValueError:
        pass


def test_a_wish_says_itself_in_one_order():
    said = "no hat, backpack, red or blue shirt with short sleeves, shorts, long hair, old lady"
    expected = (
        "old woman, long hair, short-sleeved red or blue top, short trousers, no hat, backpack"
    )
    assert str(read_wish(said)) == expected
    assert repr(read_wish("cap")) == "Wish('hat')"
    said = "not old, no grey shirt, blue bottoms"
    assert str(read_wish(said)) == "blue bottoms, not old, no grey top"
    assert read_wish(said).heads == ("age", "up_color", "down_color")


def test_somebody_fulfils_a_wish_who_has_all_of_it():
    wish = read_wish("red or blue top, hat")
    person = dict.fromkeys(HEADS, 0) | {"up_color": 2, "hat": 1}
    assert wish.fulfilled(person)
    assert wish.fulfilled(person | {"up_color": 6, "gender": 1})
    assert not wish.fulfilled(person | {"up_color": 1})
    assert not wish.fulfilled(person | {"hat": 0})


def test_a_wish_may_be_given_by_names():
    assert wish_of({"up_color": ("red", "grey"), "hat": "no"}) == read_wish(
        "red or grey top, no hat"
    )
    wish = read_wish("hat")
    assert wish_of(wish) is wish and wish_of("hat") == wish
    assert wish_of({"down_color": "multicoloured"}) == wish_of({"down_color": ["multi"]})
    for wanted, message in (
        ({}, "got nothing"),
        ({"shoes": "red"}, "unknown attribute 'shoes'"),
        ({"hat": "red"}, "hat has no class 'red'; expected no, yes"),
        ({"hat": ()}, r"hat: expected some but not all of 0 no, 1 yes; got \[\]"),
        ({"hat": ("no", "yes")}, r"got \[0, 1\]"),
        ({"hat": True}, "hat: expected a class name or several, got True"),
        ({"hat": [1]}, r"hat: expected a class name or several, got \[1\]"),
    ):
        with pytest.raises(ValueError, match=message):
            wish_of(wanted)


@pytest.mark.parametrize("classes", [{2}, {-1}, {0, 2}, set(), {0, 1}])
def test_classes_that_are_not_there_are_refused(classes):
    with pytest.raises(ValueError, match=re.escape(f"got {sorted(classes)}")):
        Wish({"hat": frozenset(classes)})
    with pytest.raises(ValueError, match="unknown attribute 'shoes'"):
        Wish({"shoes": frozenset([0])})


@pytest.mark.parametrize("wanted", [{"hat": 1}, {"hat": None}, {"hat": "1"}, None, 3])
def test_what_is_no_set_of_classes_is_refused(wanted):
    with pytest.raises(ValueError, match="expected .*class indices"):
        Wish(wanted)


def test_every_word_of_the_vocabulary_leads_to_a_noun():
    for synonym, words in SYNONYMS.items():
        assert synonym not in NOUNS, synonym
        assert all(word in KNOWN and word not in SYNONYMS for word in words.split()), synonym


@pytest.mark.parametrize("text", ["no short-sleeved shorts", "no long-sleeved long trousers"])
def test_no_before_sleeves_and_another_garment_is_refused(text):
    with pytest.raises(ValueError, match="does 'no' hold for both"):
        read_wish(text)
