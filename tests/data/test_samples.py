import pickle

import numpy as np
import pytest
import torch

from reidlab.data.samples import (
    Batch,
    Sample,
    Samples,
    Splits,
    cameras_of,
    training_ids,
    views_of,
)


def person(pid, camid=1, name="a"):
    return Sample(f"{name}_{pid}_{camid}.jpg", pid, camid)


def test_labels_are_integers_as_on_disk():
    sample = Sample("x.jpg", np.int64(3), torch.tensor(2))
    assert (sample.pid, sample.camid) == (3, 2)
    assert type(sample.pid) is int
    with pytest.raises(ValueError, match=r"x.jpg: pid must be an integer, got 1.5"):
        Sample("x.jpg", 1.5, 1)
    with pytest.raises(ValueError, match="pid must be at least -1"):
        Sample("x.jpg", -2, 1)


def test_a_slice_keeps_the_cameras_of_the_whole_dataset():
    samples = Samples([person(1, camid) for camid in (1, 2, 5)])
    assert cameras_of(samples[:1]) == [1, 2, 5]
    assert cameras_of(list(samples)[:1]) == [1]
    assert cameras_of(pickle.loads(pickle.dumps(samples))) == [1, 2, 5]


def test_joined_and_copied_lists_keep_their_cameras():
    one, two = Samples([person(1, 2)], [1, 2], "set"), Samples([person(2, 5)])
    assert (one + two).cameras == [1, 2, 5] and (one + two).source == "set"
    assert one.copy().cameras == [1, 2] and one.copy() is not one


def test_every_split_shares_the_cameras_of_all_splits():
    splits = Splits([person(1, 3)], [person(2, 1)], [person(2, 6)])
    assert splits.cameras == [1, 3, 6]
    assert cameras_of(splits.train) == [1, 3, 6]


def test_people_to_learn_are_sorted_without_distractors_and_junk():
    assert training_ids([person(9), person(0), person(-1), person(2), person(9)]) == [2, 9]


def test_validation_people_must_be_in_no_other_split():
    with pytest.raises(ValueError, match="1 validation people are also in gallery, for instance 2"):
        Splits([person(1)], [person(3)], [person(2)], ([person(2)], [person(2, 2)]))


def test_distractors_may_stand_on_both_sides():
    Splits([person(1)], [person(2)], [person(0)], ([person(3)], [person(3, 2), person(0)]))


def test_the_table_counts_images_people_cameras_and_keeps_junk_apart():
    gallery = [person(2, 1), person(2, 2), person(0, 1), person(-1, 2)]
    text = str(Splits([person(1)], [person(2)], gallery, name="tiny"))
    row = next(line for line in text.splitlines() if line.startswith("gallery"))
    assert row.split() == ["gallery", "3", "+", "1", "junk", "1", "2"]
    assert "tiny, fingerprint" in text


def test_the_fingerprint_follows_labels_and_names_not_folders_or_order():
    one = Splits([person(1), person(4)], [person(2)], [person(3)])
    moved = Splits([Sample("/else/a_4_1.jpg", 4, 1), person(1)], [person(2)], [person(3)])
    other = Splits([person(1), person(5)], [person(2)], [person(3)])
    assert one.fingerprint == moved.fingerprint != other.fingerprint


def test_a_batch_has_one_label_per_image():
    labels = torch.zeros(2, dtype=torch.int64)
    batch = Batch(torch.zeros(2, 3, 4, 4), labels, labels, labels, attributes={"hat": labels})
    assert len(batch.to("cpu")) == 2
    with pytest.raises(ValueError, match=r"expected camids \(2,\)"):
        Batch(torch.zeros(2, 3, 4, 4), labels, labels[:1], labels)


def viewed(pid, viewid):
    return Sample(f"{pid}_{viewid}.jpg", pid, 1, viewid=viewid)


def test_views_are_checked_like_cameras():
    assert type(viewed(1, np.int64(3)).viewid) is int
    assert viewed(1, None).viewid is None
    with pytest.raises(ValueError, match="viewid must be at least 0"):
        viewed(1, -1)
    with pytest.raises(ValueError, match="viewid must be an integer, got 'rear'"):
        viewed(1, "rear")


def test_views_are_carried_as_cameras_are():
    samples = Samples([viewed(1, 7), viewed(1, None), viewed(2, 0)])
    assert views_of(samples[1:2]) == views_of(samples.copy()) == [0, 7]
    assert views_of(list(samples)[:1]) == [7]
    assert views_of(pickle.loads(pickle.dumps(samples[:1]))) == [0, 7]
    assert (samples[:1] + Samples([viewed(3, 2)])).views == [0, 2, 7]
    assert ([viewed(3, 2)] + samples[:1])[0].viewid == 2
    assert Samples([viewed(1, 1)], [1], "set", [0, 1, 2]).views == [0, 1, 2]


def test_every_split_shares_the_views_of_all_splits():
    splits = Splits([viewed(1, 3)], [viewed(2, 1)], [viewed(2, None)])
    assert splits.views == views_of(splits.train) == views_of(splits.gallery[:0]) == [1, 3]
    assert Splits([person(1)], [], []).views == []
    assert Splits([viewed(1, 3)], [], [], views=[0, 3]).train.views == [0, 3]  # pyright: ignore


def test_an_unlabelled_set_counts_nobody():
    splits = Splits([person(1), person(2)], [], [], labelled=False, cameras=[1])
    row = next(line for line in str(splits).splitlines() if line.startswith("train"))
    assert row.split() == ["train", "2", "-", "1"]
    assert Splits([person(1)], [], []).labelled
    assert splits.query == splits.gallery == []


def test_file_names_that_are_no_text_have_a_fingerprint():
    one = Splits([person(1, name="a\udcff")], [], [])
    assert one.fingerprint != Splits([person(1, name="a\udcfe")], [], []).fingerprint
