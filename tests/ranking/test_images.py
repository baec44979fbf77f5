import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from reidlab.checkpoints import save_model
from reidlab.data.heads import HEADS, labels_of
from reidlab.data.readers import read_dataset
from reidlab.embedding import embed, save_embeddings
from reidlab.models.baseline import baseline_small
from reidlab.plots import gallery_strip
from reidlab.ranking import rank
from reidlab.ranking.images import hit_rows, search_images
from reidlab.ranking.index import Index, folders
from reidlab.ranking.index.crops import UNNAMED, read_crops
from reidlab.ranking.index.folders import index_folder
from reidlab.ranking.index.origin import origin_of, weights_digest


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = baseline_small(4, width=8, image_size=(64, 32)).eval()
    model.neck.norm.running_mean += 0.5  # both sides of the neck differ
    return model


@pytest.fixture
def crops(tmp_path):
    """Eight coloured crops without labels."""
    folder = tmp_path / "crops"
    folder.mkdir()
    for i in range(8):
        draw(folder / f"{i}.png", i)
    return folder


def draw(path, seed):
    pixels = np.random.default_rng(seed).integers(0, 255, (4, 2, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((32, 64)).save(path)


@pytest.fixture
def counted(monkeypatch):
    """Numbers of images that were embedded for an index, call by call."""
    calls = []

    def counting(model, samples, **settings):
        calls.append(sorted(sample.path.name for sample in samples))
        return embed(model, samples, **settings)

    monkeypatch.setattr(folders, "embed", counting)
    return calls


def names(hits):
    return [[hits.gallery.paths[g].name for g in row] for row in hits.order.tolist()]


def test_own_images_take_two_lines(model, crops):
    hits = search_images(model, crops / "3.png", crops, k=5)
    assert hits.order.shape == (1, 5) and names(hits)[0][0] == "3.png"
    assert hits.distance[0, 0] < 1e-5
    assert hits.query.pids.tolist() == [UNNAMED] and set(hits.gallery.camids.tolist()) == {UNNAMED}
    assert not gallery_strip(hits).legends
    expected = read_dataset(crops, layout="unlabelled").train
    features = embed(model, expected)
    assert names(hits) == names(rank(features[[3]], features, 5))


def test_a_small_gallery_gives_all_it_has(model, crops):
    assert search_images(model, [crops / "1.png", str(crops / "2.png")], crops).order.shape == (
        2,
        8,
    )
    with pytest.raises(ValueError, match="k of at least 1, got 0"):
        search_images(model, crops / "1.png", crops, k=0)
    with pytest.raises(ValueError, match="expected k as a whole number .* got 2.5"):
        search_images(model, crops / "1.png", crops, k=2.5)


def test_hits_become_rows(model, crops):
    rows = hit_rows(search_images(model, [crops / "1.png", crops / "2.png"], crops, k=3))
    assert [row["place"] for row in rows] == [1, 2, 3] * 2
    assert rows[3]["query"] == str(crops / "2.png") == rows[3]["path"]
    assert rows[0]["similarity"] == pytest.approx(1, abs=1e-5)
    assert all(row["similarity"] == 1 - row["distance"] / 2 for row in rows)
    assert rows[0]["pid"] is None and rows[0]["camid"] is None
    features = embed(model, read_dataset(crops, layout="unlabelled").train)
    assert hit_rows(rank(features[:1], features, 1))[0]["pid"] == 1


def test_every_kind_of_gallery_gives_the_same(model, crops, tmp_path):
    query = crops / "5.png"
    save_model(tmp_path / "run", model, {"flip": True})
    expected = search_images(model, query, crops, 4, flip=True, index=tmp_path / "index")
    features = embed(model, read_dataset(crops, layout="unlabelled").train, flip=True)
    head = origin_of(model, flip=True, neck=None) | {"data": {"labelled": False}}
    file = save_embeddings(tmp_path / "g.npz", features, metadata=head)
    for gallery in (tmp_path / "index", Index.load(tmp_path / "index"), file, str(file)):
        for net in (model, tmp_path / "run", str(tmp_path / "run" / "model.safetensors")):
            found = search_images(net, query, gallery, 4)
            assert names(found) == names(expected)
            assert set(found.gallery.pids.tolist()) == {UNNAMED}
            torch.testing.assert_close(found.distance, expected.distance, atol=1e-5, rtol=0)
    found = search_images(tmp_path / "run", query, features, 4)
    torch.testing.assert_close(found.distance, expected.distance, atol=1e-5, rtol=0)
    plain = search_images(model, query, crops, 4)
    assert not torch.allclose(plain.distance[:, 1:], expected.distance[:, 1:], atol=1e-6)


def test_the_side_of_the_neck_is_the_gallerys(model, crops, tmp_path):
    query = crops / "5.png"
    expected = search_images(model, query, crops, 4, neck="before", index=tmp_path / "index")
    found = search_images(model, query, tmp_path / "index", 4)
    torch.testing.assert_close(found.distance, expected.distance)
    default = search_images(model, query, crops, 4)
    assert not torch.allclose(default.distance, expected.distance)
    with pytest.raises(ValueError, match="neck before, the query would be with neck after"):
        search_images(model, query, tmp_path / "index", neck="after")


def test_another_size_of_images_is_refused(model, crops, tmp_path, monkeypatch):
    search_images(model, crops / "1.png", crops, index=tmp_path / "index")
    stored = Index.load(tmp_path / "index")
    same = stored.metadata | {"size": tuple(stored.metadata["size"]), "neck": None}
    search_images(model, crops / "1.png", Index(stored.gallery, metadata=same))
    narrow = Index(stored.gallery, metadata=stored.metadata | {"size": [64, 16]})
    features = embed(model, read_dataset(crops, layout="unlabelled").train)
    file = save_embeddings(tmp_path / "g.npz", features, metadata=narrow.metadata)
    for gallery in (narrow, file):
        with pytest.raises(ValueError, match=r"size \[64, 16\], .* size \[64, 32\]; take a model"):
            search_images(model, crops / "1.png", gallery)


def test_another_model_is_refused(model, crops, tmp_path):
    search_images(model, crops / "1.png", crops, index=tmp_path / "index")
    other = baseline_small(4, width=8, image_size=(64, 32)).eval()
    for gallery, index in ((tmp_path / "index", None), (crops, tmp_path / "index")):
        with pytest.raises(
            ValueError, match=f"weights {weights_digest(model)}.*cannot be compared"
        ):
            search_images(other, crops / "1.png", gallery, index=index)
    features = embed(model, read_dataset(crops, layout="unlabelled").train)
    file = save_embeddings(tmp_path / "silent.npz", features)
    with pytest.raises(ValueError, match="does not say which model"):
        search_images(model, crops / "1.png", file)


# --- the index of a folder ---


def test_only_new_and_changed_images_are_embedded(model, crops, tmp_path, counted):
    def found():
        return search_images(model, crops / "1.png", crops, 8, index=tmp_path / "index")

    first = found()
    page = (tmp_path / "index" / "index.json").read_bytes()
    again = found()
    assert [len(call) for call in counted] == [8]
    assert (tmp_path / "index" / "index.json").read_bytes() == page  # nothing was written
    assert names(again) == names(first)
    torch.testing.assert_close(again.distance, first.distance)
    draw(crops / "05.png", 50)
    draw(crops / "2.png", 51)
    os.utime(crops / "2.png", (1, 1))
    (crops / "7.png").unlink()
    updated = found()
    assert counted[1:] == [["0.png", "05.png", "2.png"]]  # a known one goes along
    fresh = search_images(model, crops / "1.png", crops, 8)
    assert names(updated) == names(fresh) and "7.png" not in names(updated)[0]
    torch.testing.assert_close(updated.distance, fresh.distance, atol=1e-5, rtol=0)
    (crops / "6.png").unlink()
    assert len(found().gallery) == 7 and len(counted) == 3  # the third was the fresh one
    found()
    assert len(counted) == 3


def test_the_same_size_at_another_time_counts_as_changed(model, crops, tmp_path, counted):
    for _ in range(2):
        search_images(model, crops / "1.png", crops, index=tmp_path / "index")
        os.utime(crops / "4.png", ns=(5, 5))
    assert counted == [[f"{i}.png" for i in range(8)], ["0.png", "4.png"]]


def test_bad_images_are_refused_or_left_out(model, crops, tmp_path, caplog):
    (crops / "4.png").write_bytes(b"no image")
    with pytest.raises(ValueError, match="4.png"):
        search_images(model, crops / "1.png", crops, index=tmp_path / "index")
    assert not (tmp_path / "index").exists()
    for _ in range(2):
        caplog.clear()
        hits = search_images(
            model, crops / "1.png", crops, index=tmp_path / "index", on_error="skip"
        )
        assert len(hits.gallery) == 7 and "4.png" not in names(hits)[0]
        assert "4.png" in caplog.text


def test_an_index_belongs_to_one_folder_and_one_way_of_embedding(model, crops, tmp_path):
    search_images(model, crops / "1.png", crops, index=tmp_path / "index")
    shutil.copytree(crops, tmp_path / "others")
    with pytest.raises(ValueError, match="holds the index of another gallery"):
        search_images(model, crops / "1.png", tmp_path / "others", index=tmp_path / "index")
    with pytest.raises(ValueError, match="was made with flip False, not True"):
        search_images(model, crops / "1.png", crops, flip=True, index=tmp_path / "index")
    with pytest.raises(ValueError, match="was made with neck after, not before"):
        search_images(model, crops / "1.png", crops, neck="before", index=tmp_path / "index")
    (tmp_path / "index" / "index.json").write_text("{")
    with pytest.raises(ValueError, match="damaged .* remove .*index to embed all images again"):
        search_images(model, crops / "1.png", crops, index=tmp_path / "index")


def test_changed_labels_reach_the_index(model, market_folder, tmp_path, counted):
    origin = origin_of(model, flip=False, neck=None)
    labelled = read_crops(market_folder / "query")
    index_folder(model, labelled, origin, tmp_path / "index")
    nobody = read_crops(market_folder / "query", unlabelled=True)
    index = index_folder(model, nobody, origin, tmp_path / "index")
    assert len(counted) == 1 and set(index.gallery.pids.tolist()) == {UNNAMED}
    assert set(Index.load(tmp_path / "index").gallery.pids.tolist()) == {UNNAMED}


def test_crops_beside_other_files_called_like_an_indexs_are_searched(model, crops):
    (crops / "index.json").write_text('{"theirs": 1}')
    (crops / "data-2024").mkdir()
    shutil.copy(crops / "1.png", crops / "data-2024" / "9.png")
    assert len(search_images(model, crops / "1.png", crops).gallery) == 9


# --- what is known of the images ---


def test_a_benchmark_gives_its_gallery_with_labels(model, market_folder):
    splits = read_dataset(market_folder)
    hits = search_images(model, splits.query[4].path, market_folder, 6, other_cameras=True)
    assert hits.query.pids.tolist() == [splits.query[4].pid]
    assert hits.query.camids.tolist() == [splits.query[4].camid]
    assert [path.name for path in hits.gallery.paths] == [s.path.name for s in splits.gallery]
    assert hits.gallery.pids.tolist() == [sample.pid for sample in splits.gallery]
    assert splits.query[4].camid not in hits.gallery.camids[hits.order[0]].tolist()
    assert gallery_strip(hits).legends
    only = search_images(model, splits.query[4].path, market_folder, 4, cameras=2)
    assert set(only.gallery.camids[only.order[0]].tolist()) == {2}


def test_own_images_stay_unknown_in_a_benchmark(model, market_folder, crops):
    known = read_dataset(market_folder).query[0]
    hits = search_images(model, [crops / "1.png", known.path], market_folder, 3)
    assert hits.query.pids.tolist() == [UNNAMED, known.pid]
    assert hits.query.camids.tolist() == [UNNAMED, known.camid]
    with pytest.raises(ValueError, match="1.png: nobody says which camera"):
        search_images(model, [known.path, crops / "1.png"], market_folder, other_cameras=True)


def test_names_like_market_give_labels_if_all_images_have_them(model, market_folder, crops):
    gallery = market_folder / "bounding_box_test"
    query = next((market_folder / "query").iterdir())
    hits = search_images(model, query, gallery, 3, other_cameras=True)
    assert hits.query.pids.tolist() == [int(query.name[:4])]
    assert hits.gallery.pids.tolist() == [int(path.name[:4]) for path in hits.gallery.paths]
    shutil.copy(crops / "1.png", gallery / "other.png")
    assert set(search_images(model, query, gallery, 3).gallery.pids.tolist()) == {UNNAMED}


def test_folders_in_a_folder_are_no_people(model, crops):
    for day in ("monday", "tuesday"):
        (crops / day).mkdir()
        draw(crops / day / "a.png", 20)
    hits = search_images(model, crops / "1.png", crops, 10)
    assert len(hits.gallery) == 10 and set(hits.gallery.pids.tolist()) == {UNNAMED}


def test_everything_can_be_searched_without_labels(model, market_folder):
    query = next((market_folder / "query").iterdir())
    hits = search_images(model, query, market_folder, 3, unlabelled=True)
    assert len(hits.gallery) == 4 * 3 * (2 + 2 + 1) and hits.query.pids.tolist() == [UNNAMED]


def test_attributes_of_the_samples_filter_the_hits(model, market_folder, tmp_path):
    crops = read_crops(market_folder)
    for sample in crops.samples:
        hat = {"hat": int(sample.pid % 2)}
        object.__setattr__(sample, "attributes", labels_of(dict.fromkeys(HEADS, 0) | hat))
    index = index_folder(model, crops, origin_of(model, flip=False, neck=None), tmp_path / "index")
    query = next((market_folder / "query").iterdir())
    for gallery in (index, tmp_path / "index"):
        hits = search_images(model, query, gallery, 12, where={"hat": "yes"})
        assert (hits.gallery.pids[hits.order] % 2 == 1).all()


def test_the_digest_of_the_weights_sees_every_weight(model):
    before = weights_digest(model)
    with torch.no_grad():
        model.neck.norm.running_mean[3] += 1e-6
    assert weights_digest(model) != before
    with torch.no_grad():
        model.neck.norm.running_mean[3] -= 1e-6
