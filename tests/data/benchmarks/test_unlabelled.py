import json

import pytest

from reidlab.data.benchmarks.facts import LUPERSON
from reidlab.data.readers import read_dataset, scan_dataset


@pytest.fixture
def luperson(plant, tmp_path, monkeypatch):
    monkeypatch.setitem(LUPERSON.counts, "", {"train": (4, None)})
    return plant(tmp_path / "LUPerson", ["b/x/2.jpg", "b/1.jpg", "a/1.png", "z.jpg", ".t/9.jpg"])


def test_every_image_is_a_person_of_its_own(luperson, caplog):
    splits = read_dataset("luperson", luperson.parent)
    assert splits.name == "LUPerson" and not splits.labelled
    assert [(s.pid, s.camid) for s in splits.train] == [(1, 0), (2, 0), (3, 0), (4, 0)]
    names = [str(s.path.relative_to(luperson)) for s in splits.train]
    assert names == ["z.jpg", "a/1.png", "b/1.jpg", "b/x/2.jpg"]
    assert splits.query == splits.gallery == []
    assert not caplog.text


def test_other_counts_are_noted(luperson, plant):
    plant(luperson, ["5.jpg"])
    assert scan_dataset("luperson", luperson.parent).notes == [
        "LUPerson: train has 5 images, expected 4 as published"
    ]


def test_any_folder_is_read_so_when_asked(luperson):
    own = luperson.rename(luperson.parent / "own")
    splits = read_dataset(own, layout="unlabelled")
    assert splits.name == "own" and len(splits.train) == 4 and not splits.labelled


def test_images_without_labels_are_not_guessed(plant, tmp_path):
    plant(tmp_path, ["1.jpg", "2.jpg"])
    with pytest.raises(ValueError, match="layout='unlabelled' reads images of which nobody"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("option", ["validation_ids", "test_ids"])
def test_nobody_can_be_held_out(luperson, option):
    match = "understands: validation" if option == "test_ids" else "LUPerson is unlabelled: .*out"
    with pytest.raises(ValueError, match=match):
        read_dataset(luperson, layout="unlabelled", **{option: 1})


def test_a_folder_without_images_is_a_problem(tmp_path):
    (tmp_path / "deep" / "er").mkdir(parents=True)
    with pytest.raises(ValueError, match="holds no images, nor does any folder in it"):
        read_dataset(tmp_path, layout="unlabelled")


def manifest(folder, **content):
    (folder / "manifest.json").write_text(json.dumps({"format": 1, **content}))


def test_a_rendered_set_is_recognised_by_its_manifest(plant, tmp_path, caplog):
    plant(tmp_path / "images", ["000/000000.jpg", "000/000001.jpg", "001/001000.jpg"])
    plant(tmp_path, ["sheet.jpg"])
    manifest(tmp_path, kind="unlabelled", name="street", count=3, shards=[])
    splits = read_dataset(tmp_path)
    assert splits.name == "street" and not splits.labelled and len(splits.train) == 3
    assert not caplog.text
    manifest(tmp_path, kind="unlabelled", name="street", count=4, shards=[])
    assert "has 3 images, but its manifest.json counts 4" in scan_dataset(tmp_path).notes[0]


@pytest.mark.parametrize("content", ["{", "[]", '{"kind": "other"}', '{"kind": null}'])
def test_another_manifest_says_nothing(plant, tmp_path, content):
    plant(tmp_path, ["1.jpg"])
    (tmp_path / "manifest.json").write_text(content)
    with pytest.raises(ValueError, match="expected bounding_box_train"):
        read_dataset(tmp_path)


def test_a_set_rendered_by_this_package_is_read(tmp_path):
    from reidlab.data.synthetic.unlabelled import make_unlabelled

    make_unlabelled(tmp_path / "set", 3, world="a", size=(64, 32), difficulty="smoke")
    splits = read_dataset(tmp_path / "set")
    assert len(splits.train) == 3 and not splits.labelled
    assert splits.name == "synthetic-a unlabelled (smoke)"


def test_a_path_of_that_name_is_read_like_the_name(luperson):
    by_path, by_name = read_dataset(luperson), read_dataset("luperson", luperson.parent)
    assert by_path.fingerprint == by_name.fingerprint and not by_path.labelled


def test_shards_beyond_a_thousand_keep_their_order(plant, tmp_path):
    plant(tmp_path / "images", [f"{n:03d}/{n:06d}.jpg" for n in (0, 101, 999, 1000, 1001)])
    manifest = {"format": 1, "kind": "unlabelled", "name": "crowd", "count": 5, "shards": []}
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    names = [s.path.stem for s in read_dataset(tmp_path).train]
    assert names == sorted(names)
