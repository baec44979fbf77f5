"""Identities: reproducible, annotated in Market's coding, varied, with look-alikes."""

import numpy as np
import pytest

from reidlab.data.synthetic.palette import SHADES
from reidlab.data.synthetic.wardrobe import FASHION, sample_people

COLUMNS = (
    "age backpack bag handbag clothes down up hair hat gender upblack upwhite upred uppurple "
    "upyellow upgray upblue upgreen downblack downwhite downpink downpurple downyellow downgray "
    "downblue downgreen downbrown"
).split()


@pytest.fixture(scope="module")
def crowd():
    return sample_people(1000, seed=1)


def outfit(person):
    return (person.upper.kind, person.upper.rgb, person.lower.rgb)


def test_same_seed_gives_the_same_people_and_another_seed_others():
    first, again = sample_people(30, seed=4), sample_people(30, seed=4)
    assert first == again
    assert first != sample_people(30, seed=5)
    assert first[:10] == sample_people(10, seed=4)  # a longer list only appends


def test_attributes_have_market_columns_in_order_and_its_coding(crowd):
    for person in crowd:
        labels = person.attributes()
        assert list(labels) == COLUMNS
        assert labels.pop("age") in (1, 2, 3, 4)
        assert set(labels.values()) <= {1, 2}
        for part in ("up", "down"):
            colors = [v for k, v in labels.items() if k.startswith(part) and k != part]
            assert colors.count(2) <= 1


def test_color_label_names_the_nearest_shade_or_none_for_several_colors(crowd):
    for person in crowd[:300]:
        for garment in (person.upper, person.lower):
            if garment.color == "multi":
                assert garment.pattern in ("bold", "checks", "twotone")
            else:
                shades = np.array(SHADES[garment.color])
                nearest = np.abs(shades - garment.rgb).max(axis=1).min()
                assert nearest < 0.15 or garment.color == "blue"  # jeans have shades of their own


def test_every_class_occurs_and_rare_ones_stay_rare(crowd):
    rows = [p.attributes() for p in crowd]
    share = {name: np.mean([r[name] == 2 for r in rows]) for name in COLUMNS[1:]}
    assert min(share.values()) > 0
    assert 0.02 < share["hat"] < 0.10
    assert 0.15 < share["backpack"] < 0.40
    assert 0.05 < share["handbag"] < 0.25
    assert 0.35 < share["gender"] < 0.60
    ages = np.bincount([r["age"] for r in rows], minlength=5)[1:] / len(rows)
    assert (ages > 0.01).all()
    assert ages[0] < 0.12 and ages[3] < 0.15


def test_twins_share_an_outfit_but_never_everything(crowd):
    assert len(set(crowd)) == len(crowd)
    wearers = [outfit(p) for p in crowd]
    copied = np.mean([outfit(p) in wearers[:i] for i, p in enumerate(crowd)])
    assert 0.25 < copied < 0.45
    alone = sample_people(200, seed=1, twins=0.0)
    assert len({outfit(p) for p in alone}) > 195


def test_twins_occur_inside_blocks_and_across_their_borders(crowd):
    blocks = [{outfit(p) for p in crowd[i : i + 100]} for i in range(0, 1000, 100)]
    assert all(len(block) < 95 for block in blocks)
    assert blocks[0] & set().union(*blocks[1:])


def test_worlds_dress_differently_and_unknown_ones_are_refused():
    long = {
        w: np.mean([p.upper.long for p in sample_people(300, seed=0, world=w)]) for w in FASHION
    }
    assert long["b"] > long["a"] + 0.2 > long["c"] + 0.3
    with pytest.raises(ValueError, match="expected a world"):
        sample_people(3, seed=0, world="z")
