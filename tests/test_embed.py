import logging

import pytest
import torch

from reidlab.data.readers import read_dataset
from reidlab.data.samples import Sample, Samples
from reidlab.data.transforms import EvalTransform
from reidlab.embedding import embed, embed_blocks
from reidlab.models.baseline import baseline_small


@pytest.fixture
def gallery(market_folder):
    return read_dataset(market_folder).gallery


@pytest.fixture(scope="module")
def model():
    return baseline_small(4, width=8, image_size=(64, 32)).eval()


def test_labels_and_paths_come_back_in_order_as_on_disk(model, gallery):
    found = embed(model, gallery, device="cpu", batch_size=7)
    assert found.features.shape == (len(gallery), 64)
    assert found.pids.tolist() == [sample.pid for sample in gallery]
    assert found.camids.tolist() == [sample.camid for sample in gallery]
    assert list(found.paths) == [sample.path for sample in gallery]
    assert found.source == "market"


def test_the_size_of_a_batch_does_not_matter(model, gallery):
    one, many = (embed(model, gallery, device="cpu", batch_size=b) for b in (1, 100))
    torch.testing.assert_close(one.features, many.features, atol=1e-5, rtol=1e-4)


def test_flip_is_the_mean_of_image_and_mirror(model, gallery):
    images = torch.stack([model.preprocess(_open(s.path)) for s in gallery[:3]])
    with torch.inference_mode():
        expected = (model.embed(images) + model.embed(images.flip(-1))) / 2
    actual = embed(model, gallery[:3], flip=True, device="cpu").features
    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=1e-4)


def _open(path):
    from PIL import Image

    return Image.open(path)


def test_the_neck_can_be_chosen(model, gallery):
    default, after, before = (
        embed(model, gallery, neck=n).features for n in (None, "after", "before")
    )
    assert torch.equal(default, after) and not torch.equal(after, before)


def test_the_model_keeps_its_mode(model, gallery):
    model.train()
    statistics = model.neck.norm.running_mean.clone()
    embed(model, gallery)
    assert model.training and torch.equal(statistics, model.neck.norm.running_mean)
    model.eval()


class Watcher(torch.nn.Module):
    """Gives back the camera and view labels it was given."""

    preprocess = EvalTransform((64, 32))

    def embed(self, images, camids, viewids, neck):
        views = torch.full_like(camids, -1) if viewids is None else viewids
        return torch.stack([camids, views], dim=1).float()


def test_cameras_are_numbered_through_the_whole_dataset(gallery):
    samples = Samples(gallery[:4], cameras=[1, 2, 3, 9])
    seen = embed(Watcher(), samples).features[:, 0]
    assert seen.tolist() == [[1, 2, 3, 9].index(sample.camid) for sample in samples]


def test_views_are_zero_based(gallery):
    samples = [Sample(s.path, s.pid, s.camid, viewid=4 + i % 2) for i, s in enumerate(gallery[:4])]
    assert embed(Watcher(), samples).features[:, 1].tolist() == [0, 1, 0, 1]


def test_views_are_numbered_through_the_whole_dataset(gallery):
    samples = [Sample(s.path, s.pid, s.camid, viewid=7) for s in gallery[:3]]
    found = embed(Watcher(), Samples(samples, views=[2, 5, 7])).features[:, 1]
    assert found.tolist() == [2, 2, 2]


def test_without_a_view_for_everybody_there_are_none(gallery):
    samples = [Sample(s.path, s.pid, s.camid, viewid=4) for s in gallery[:3]]
    assert embed(Watcher(), [*samples, gallery[3]]).features[:, 1].tolist() == [-1] * 4


def test_bad_images_are_refused_or_left_out(model, gallery, caplog):
    gallery[3].path.write_bytes(b"no image")
    with pytest.raises(ValueError, match=gallery[3].path.name):
        embed(model, gallery)
    with caplog.at_level(logging.WARNING):
        found = embed(model, gallery, on_error="skip", batch_size=2)
    assert len(found) == len(gallery) - 1 and gallery[3].path not in found.paths
    good = embed(model, [*gallery[:3], *gallery[4:]])
    torch.testing.assert_close(found.features, good.features, atol=1e-5, rtol=1e-4)
    assert found.pids.tolist() == good.pids.tolist() and found.paths == good.paths
    assert gallery[3].path.name in caplog.text
    with pytest.raises(ValueError, match="none can be read"):
        embed(model, gallery[3:4], on_error="skip")


@pytest.mark.parametrize("block", [1, 5, 1000])
def test_blocks_are_the_pieces_of_the_whole(model, gallery, block):
    whole = embed(model, gallery, flip=True)
    parts = list(embed_blocks(model, gallery, block=block, batch_size=3, flip=True))
    full, rest = divmod(len(gallery), block)
    assert [len(part) for part in parts] == [block] * full + [rest] * (rest > 0)
    together = torch.cat([part.features for part in parts])
    torch.testing.assert_close(together, whole.features, atol=1e-5, rtol=1e-4)
    assert [path for part in parts for path in part.paths] == list(whole.paths)
    assert [pid for part in parts for pid in part.pids.tolist()] == whole.pids.tolist()


def test_cameras_and_views_keep_their_numbers_from_block_to_block(gallery):
    samples = [Sample(s.path, s.pid, 3 + i, viewid=9 - i) for i, s in enumerate(gallery[:4])]
    parts = embed_blocks(Watcher(), samples, block=1)
    assert [part.features[0].tolist() for part in parts] == [[0, 3], [1, 2], [2, 1], [3, 0]]


def test_a_block_of_bad_images_is_left_out_and_all_are_reported_at_the_end(model, gallery, caplog):
    for sample in gallery[2:5]:
        sample.path.write_bytes(b"no image")
    with caplog.at_level(logging.WARNING):
        parts = list(embed_blocks(model, gallery, block=2, on_error="skip"))
    assert [len(part) for part in parts[:2]] == [2, 1]
    assert sum(map(len, parts)) == len(gallery) - 3
    assert "3 bad images" in caplog.text and len(caplog.records) == 1


def test_between_blocks_gradients_work_and_the_model_comes_back(model, gallery):
    model.train()
    parts = embed_blocks(model, gallery, block=4)
    part = next(parts)
    assert not torch.is_inference_mode_enabled() and not model.training
    weight = torch.ones(part.features.shape[1], requires_grad=True)
    (part.features @ weight).sum().backward()  # features are plain tensors
    parts.close()
    assert model.training
    model.eval()


def test_wrong_arguments_are_refused(model, gallery):
    with pytest.raises(ValueError, match="at least one sample"):
        embed(model, [])
    with pytest.raises(ValueError, match="batch_size"):
        embed(model, gallery, batch_size=0)
    with pytest.raises(ValueError, match="block must be at least 1"):
        embed_blocks(model, gallery, block=0)
    with pytest.raises(ValueError, match="'raise' or 'skip'"):
        embed(model, gallery, on_error="no")


def test_a_model_without_preprocessing_is_refused(gallery):
    with pytest.raises(ValueError, match="Linear.preprocess must be an EvalTransform"):
        embed(torch.nn.Linear(2, 2), gallery)


def test_features_that_are_not_finite_name_their_image(gallery):
    class Broken(Watcher):
        def embed(self, images, camids, viewids, neck):
            return torch.full((len(images), 2), torch.nan)

    with pytest.raises(ValueError, match=gallery[0].path.name):
        embed(Broken(), gallery)


def test_a_pair_from_load_model_is_refused_with_advice():
    from reidlab.models.layers import preprocess_of

    with pytest.raises(ValueError, match="model, _ = load_model"):
        preprocess_of((None, None))  # pyright: ignore[reportArgumentType]
