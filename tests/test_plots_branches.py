"""What each branch looks at: shares of a feature by place, and the picture of them."""

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from reidlab.data.readers import read_dataset
from reidlab.models.baseline import baseline_small
from reidlab.models.multibranch import multibranch_small
from reidlab.plots.branches import branch_maps, branch_shares, energy, heat, winners

TINY = {"width": 4, "image_size": (64, 32)}


@pytest.fixture
def crops(market_folder):
    return read_dataset(market_folder).train[::3]


def feature_map(seed=0, shape=(6, 3, 2)):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed))


def test_energy_is_the_share_of_the_squared_length_of_the_mean():
    x = feature_map()
    found, total = energy(x), 0.0
    mean = [float(channel.sum()) / 6 for channel in x]
    for u in range(3):
        for v in range(2):
            share = sum(m * float(x[c, u, v]) for c, m in enumerate(mean))
            share /= 6 * sum(m * m for m in mean)
            assert found[u, v].item() == pytest.approx(share, rel=1e-5)
            total += share
    assert total == pytest.approx(1)


def test_winners_count_where_channels_have_their_maximum():
    x = torch.zeros(5, 3, 2)
    for channel, (u, v) in enumerate([(0, 0), (2, 1), (2, 1), (1, 0)]):
        x[channel, u, v] = 1.0 + channel
    x[1, 0, 0] = 0.5  # not its maximum
    assert winners(x).tolist() == [[0.25, 0.0], [0.25, 0.0], [0.0, 0.5]]  # the fifth is silent


def test_maps_that_are_silent_have_no_place():
    for share in (energy, winners):
        assert share(torch.zeros(4, 2, 2)).tolist() == [[0.0, 0.0], [0.0, 0.0]]


def test_shares_are_those_of_the_maps_in_evaluation_mode(crops):
    model = multibranch_small(3, **TINY).train()
    found = branch_shares(model, crops)
    assert model.training and list(found) == ["average", "max"]
    pixels = [torch.from_numpy(np.array(Image.open(s.path).convert("RGB"))) for s in crops]
    images = model.preprocess(torch.stack(pixels).permute(0, 3, 1, 2))
    with torch.inference_mode():
        maps = model.eval().maps(images)
    for name, share in (("average", energy), ("max", winners)):
        expected = torch.stack([share(x) for x in maps[name]])
        torch.testing.assert_close(found[name], expected, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(found[name].sum((1, 2)), torch.ones(len(crops)))


def test_a_fine_grid_looks_between_the_places_that_are_pooled(crops):
    model = multibranch_small(3, **TINY).train()
    coarse, fine = (branch_shares(model, crops, fine=fine) for fine in (False, True))
    for name in ("average", "max"):
        assert fine[name].shape[1:] == (4, 2) and coarse[name].shape[1:] == (2, 1)
        torch.testing.assert_close(fine[name].sum(dim=(1, 2)), torch.ones(len(crops)))
    assert model.training and model.stages["max"][0].conv1.stride == (2, 2)


def test_heat_is_drawn_in_the_places_of_the_map_over_a_grey_crop():
    crop = np.full((6, 4, 3), (200, 100, 0), np.uint8)
    crop[0, 0] = 255
    share = np.array([[0.0, 0.1], [0.0, 0.2], [0.3, 0.4]])
    picture = heat(crop, share, 0.4).astype(int)
    assert picture.shape == (6, 4, 3)
    for u in range(3):
        for v in range(2):
            place = picture[2 * u : 2 * u + 2, 2 * v : 2 * v + 2].reshape(-1, 3)
            assert (place[1:] == place[1]).all()
    light = picture.sum(2)
    assert light[1, 1] < light[1, 2] < light[3, 2] < light[5, 0] < light[5, 3]
    assert light[0, 0] > light[0, 1]  # the crop shows through
    assert heat(crop, share, 0.8)[5, 3].sum() < light[5, 3]
    assert (heat(crop, 0 * share, 0.0) == heat(crop, 0 * share, 1.0)).all()


def test_the_page_has_each_crop_once_and_once_per_branch(crops):
    page = branch_maps(multibranch_small(3, **TINY), crops, title="Where they look")
    assert len(page.axes) == 3 * len(crops)
    texts = [text.get_text() for text in page.texts]
    assert {"crop", "average\nbranch", "max\nbranch"} <= set(texts)
    assert sum(text.startswith("person ") for text in texts) == len(crops)
    assert sum(text.startswith("up to ") for text in texts) == 2 * len(crops)
    first = page.axes[0].get_images()[0].get_array()
    assert (first == np.array(Image.open(crops[0].path))).all()
    alone = branch_maps(multibranch_small(3, branches=("max",), **TINY), crops[:1])
    assert len(alone.axes) == 2 and alone.get_size_inches()[0] == 9.0


def test_everything_is_inside_the_page(crops):
    page = branch_maps(multibranch_small(3, **TINY), (crops * 3)[:10], title="Ten")
    renderer = FigureCanvasAgg(page).get_renderer()
    boxes = [text.get_window_extent(renderer) for text in page.texts]
    boxes += [axes.get_window_extent(renderer) for axes in page.axes]
    width, height = page.bbox.width, page.bbox.height
    assert all(b.x0 >= 0 and b.y0 >= 0 and b.x1 <= width and b.y1 <= height for b in boxes)


def test_other_networks_and_numbers_of_crops_are_refused(crops):
    model = multibranch_small(3, **TINY)
    with pytest.raises(ValueError, match="expected a network with branches.*got Baseline"):
        branch_maps(baseline_small(3, **TINY), crops)
    with pytest.raises(ValueError, match="at least one image"):
        branch_maps(model, [])
    with pytest.raises(ValueError, match="up to ten crops, got 11"):
        branch_maps(model, (crops * 3)[:11])


@pytest.mark.parametrize("fine", [True, False])
def test_a_crop_of_another_size_is_seen_as_when_it_is_embedded(tmp_path, fine):
    noise = np.random.default_rng(1).integers(0, 255, (150, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(tmp_path / "crop.png")
    model = multibranch_small(3, last_stride=1, **TINY).eval()
    with torch.inference_mode():
        maps = model.maps(model.preprocess(Image.open(tmp_path / "crop.png"))[None])
    found = branch_shares(model, [tmp_path / "crop.png"], fine=fine)
    torch.testing.assert_close(found["average"][0], energy(maps["average"][0]))
    torch.testing.assert_close(found["max"][0], winners(maps["max"][0]))


def test_files_will_do_and_other_things_are_refused(crops):
    model = multibranch_small(3, **TINY)
    files = [crops[0].path, str(crops[1].path)]
    for name, share in branch_shares(model, files).items():
        assert torch.equal(share, branch_shares(model, crops[:2])[name])
    page = branch_maps(model, [files[0], crops[1]])
    assert sum(text.get_text().startswith("person ") for text in page.texts) == 1
    for call in (branch_maps, branch_shares):
        with pytest.raises(ValueError, match="a Sample or the path of an image, got Tensor"):
            call(model, [torch.zeros(3, 64, 32)])
        for wrong in (files[1], crops[0], files[0]):
            with pytest.raises(ValueError, match="expected a list of samples or files, got"):
                call(model, wrong)
