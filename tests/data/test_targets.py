"""Codes on disk become class indices, in batches as one by one."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reidlab.data.heads import COLUMNS, HEADS, class_weights, classes, counts, labels_of
from reidlab.data.samples import Sample, Samples
from reidlab.data.targets import labelled, people_of, targets, targets_of, weights_of

ANSWERS = st.fixed_dictionaries({h: st.integers(0, len(n) - 1) for h, n in HEADS.items()})


def sample(pid, labels, number=0):
    return Sample(f"{pid:04d}_{number}.jpg", pid, 1, attributes=labels)


@given(st.lists(ANSWERS, min_size=1, max_size=6))
def test_a_batch_of_codes_gives_what_one_person_after_the_other_gives(people):
    rows = [labels_of(one) for one in people]
    codes = {name: torch.tensor([row[name] for row in rows]) for name in COLUMNS}
    found = targets(codes)
    assert list(found) == list(HEADS)
    for head in HEADS:
        assert found[head].dtype == torch.int64
        assert found[head].tolist() == [classes(row)[head] for row in rows]
    ours = targets_of([sample(i + 1, row) for i, row in enumerate(rows)], ["hat", "up_color"])
    assert set(ours) == {"hat", "up_color"}
    assert all(torch.equal(ours[head], found[head]) for head in ours)


def test_what_is_missing_or_unknown_is_named():
    row = labels_of(dict.fromkeys(HEADS, 0))
    codes = {name: torch.tensor([code]) for name, code in row.items()}
    for unknown in ("shoes", "upblack"):  # a column is no head
        with pytest.raises(ValueError, match=f"unknown attribute '{unknown}'"):
            targets(codes, [unknown])
        with pytest.raises(ValueError, match=f"unknown attribute '{unknown}'"):
            targets_of([sample(7, row)], [unknown])
    for code in (0, 5):
        with pytest.raises(ValueError, match=rf"codes of age from 1 to 4 .* got \[{code}\]"):
            targets(codes | {"age": torch.tensor([code])})
    del codes["hat"]
    with pytest.raises(ValueError, match="expected the 27 attribute columns, hat missing"):
        targets(codes)
    with pytest.raises(ValueError, match=r"0007_0.jpg: nobody says which attributes person 7 has"):
        targets_of([sample(7, None)])
    with pytest.raises(ValueError, match=r"0007_0.jpg: column hat is 3, expected one of: 1 no"):
        targets_of([sample(7, row | {"hat": 3})])


def test_people_count_once_however_many_images_they_have():
    young, old = (labels_of(dict.fromkeys(HEADS, 0) | {"age": age}) for age in (0, 3))
    samples = [sample(1, young, i) for i in range(5)] + [sample(2, old), sample(3, old)]
    people = people_of(samples)
    assert list(people) == [1, 2, 3]
    assert counts(people)["age"] == [1, 0, 0, 2]
    assert weights_of(samples) == {"weights": class_weights(counts(people))}
    assert weights_of(samples)["weights"]["age"] == [2.0, 0.0, 0.0, 1.0]
    with pytest.raises(ValueError, match="person 4"):
        people_of([*samples, sample(4, None)])


def test_distractors_and_junk_are_left_out_and_cameras_kept():
    row = labels_of(dict.fromkeys(HEADS, 0))
    mixed = Samples([sample(2, row), sample(0, None), sample(-1, None)], cameras=[1, 4], source="x")
    found = labelled(mixed)
    assert [s.pid for s in found] == [2] and found.cameras == [1, 4] and found.source == "x"
    assert labelled([dataclasses.replace(mixed[1])]) == []
