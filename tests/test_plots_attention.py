"""The picture of spatial attention: which numbers it shows, where, on which scale."""

import numpy as np
import pytest
import torch
from matplotlib.colors import Normalize
from PIL import Image
from torch import nn

from reidlab.data.samples import Sample
from reidlab.models.baseline import baseline_small
from reidlab.models.ianet import ianet_small
from reidlab.models.interaction import FUSIONS, uniformity
from reidlab.plots import attention_figure
from reidlab.plots.attention import attention_maps
from reidlab.plots.page import read_pixels

SIZE = (64, 32)


@pytest.fixture(scope="module")
def crop(tmp_path_factory):
    path = tmp_path_factory.mktemp("crops") / "crop.png"
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (16, 8, 3), dtype=np.uint8)
    Image.fromarray(coarse).resize((32, 64), Image.Resampling.NEAREST).save(path)
    return path


@pytest.fixture(scope="module")
def model():
    model = ianet_small(3, width=8, image_size=SIZE).eval()
    generator = torch.Generator().manual_seed(0)
    for name, values in model.named_parameters():
        if "blocks" in name:
            nn.init.normal_(values, std=0.3, generator=generator)
    return model


def pixels(path):
    return np.asarray(Image.open(path).convert("RGB"))


def panels(figure):
    """The axes of maps: those with a number below."""
    return [axes for axes in figure.axes if axes.get_xlabel().startswith("up to")]


def test_maps_are_the_attention_of_the_network_in_even_shares(model, crop):
    image = torch.from_numpy(pixels(crop).copy()).permute(2, 0, 1)[None]
    for stage, grid in ((2, (8, 4)), (3, (4, 2))):
        for fusion in FUSIONS:
            maps = attention_maps(model, crop, stage, fusion)
            attention = model.attention(model.preprocess(image), stage, fusion)[0].detach()
            assert maps.shape == (*grid, *grid)
            expected = attention.numpy() * len(attention)
            np.testing.assert_allclose(maps.reshape(expected.shape), expected, rtol=1e-5)
            assert (maps.min(), maps.max()) == pytest.approx(uniformity(attention))


@pytest.mark.parametrize("stage", [2, 3])
def test_every_panel_shows_the_row_of_its_position(model, crop, stage):
    positions = {"top": (0.0, 0.0), "end": (1.0, 1.0)}
    figure = attention_figure(model, crop, positions=positions, stage=stage)
    found = panels(figure)
    assert [axes.get_title() for axes in found] == ["1  top", "2  end"] * 2
    for axes, (fusion, corner) in zip(
        found, [(fusion, i) for fusion in FUSIONS for i in (0, -1)], strict=True
    ):
        shares = attention_maps(model, crop, stage, fusion)[corner, corner]
        drawn = axes.images[-1].get_array()
        np.testing.assert_allclose(np.exp2(drawn.astype(float)), shares, rtol=1e-6)
        digits = 3 if shares.max() < 1.1 else 1
        assert axes.get_xlabel() == f"up to {shares.max():.{digits}f} ×"
        frame = axes.patches[0]
        down, across = SIZE[0] / shares.shape[0], SIZE[1] / shares.shape[1]
        last = (SIZE[1] - across - 0.5, SIZE[0] - down - 0.5)
        assert frame.get_xy() == pytest.approx((-0.5, -0.5) if corner == 0 else last)
        assert (frame.get_width(), frame.get_height()) == pytest.approx((across, down))


def test_all_maps_share_one_scale_around_the_even_share(model, crop):
    figure = attention_figure(model, crop)
    scales = {(a.images[-1].norm.vmin, a.images[-1].norm.vmax) for a in panels(figure)}
    ((low, high),) = scales
    most = max(np.exp2(float(a.images[-1].get_array().max())) for a in panels(figure))
    assert low == -high and high - 1 < np.log2(most) <= high
    white = panels(figure)[0].images[-1].cmap(Normalize(low, high)(0.0))
    assert white[:3] == pytest.approx((1, 1, 1), abs=0.01)


def test_the_released_maps_are_pale_and_the_others_are_not(model, crop):
    found = panels(attention_figure(model, crop))
    spread = [np.ptp(axes.images[-1].get_array().astype(float)) for axes in found]
    assert max(spread[:3]) < 0.1 and min(spread[3:]) > 1


def test_the_crop_has_a_number_at_every_position(model, crop):
    figure = attention_figure(model, crop, positions={"a": (0.0, 0.0), "b": (0.55, 0.55)})
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["1", "2"]
    assert axes.texts[0].get_position() == pytest.approx((4, 4))
    assert axes.texts[1].get_position() == pytest.approx((20, 36))


def test_a_sample_will_do_and_the_network_keeps_its_mode(model, crop):
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for training in (True, False):
        model.train(training)
        figure = attention_figure(model, Sample(crop, 1, 1), title="attention", stage=3)
        assert model.training == training
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert figure.png().startswith(b"\x89PNG")
    texts = [text.get_text() for text in figure.texts]
    assert "weight, in even shares (1 / 8)" in texts and figure.get_suptitle() == "attention"


@pytest.mark.parametrize("count", [1, 4])
def test_panels_stay_apart_and_on_the_page(model, crop, count):
    positions = {str(i): (0.2 * i, 0.5) for i in range(count)}
    figure = attention_figure(model, crop, positions=positions)
    boxes = [axes.get_position() for axes in [figure.axes[0], *panels(figure)]]
    assert len(boxes) == 1 + 2 * count
    assert all(a.x1 < b.x0 for a, b in zip(boxes, boxes[1:], strict=False))
    assert boxes[0].x0 > 0 and boxes[-1].x1 < 1 and boxes[0].y1 < 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"positions": {}}, "expected one to four positions, got 0"),
        ({"positions": {str(i): (0, 0) for i in range(5)}}, "one to four positions, got 5"),
        ({"positions": {"hat": (-0.1, 0.5)}}, r"hat: expected \(down, across\) in 0..1"),
        ({"positions": {"hat": (0.1, 0.5, 0.5)}}, "hat: expected"),
        ({"stage": 4}, "no block after stage 4; stages with a block: 2, 3"),
    ],
)
def test_what_cannot_be_shown_is_refused(model, crop, options, message):
    with pytest.raises(ValueError, match=message):
        attention_figure(model, crop, **options)


@pytest.fixture(scope="module")
def large_crop(tmp_path_factory):
    path = tmp_path_factory.mktemp("large") / "crop.png"
    noise = np.random.default_rng(1).integers(0, 255, (150, 70, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    return path


def test_a_crop_of_another_size_is_seen_as_when_it_is_embedded(model, large_crop):
    seen = model.preprocess(Image.open(large_crop))[None]
    other = model.preprocess(torch.from_numpy(read_pixels(large_crop, SIZE).copy()).movedim(2, 0))
    assert not torch.allclose(seen[0], other, atol=0.1)  # bicubic, for eyes
    expected = model.attention(seen, 2, "renormalised")[0].detach().numpy()
    found = attention_maps(model, large_crop, 2, "renormalised")
    np.testing.assert_allclose(found.reshape(expected.shape), expected * 32, rtol=1e-5)
    figure = attention_figure(model, str(large_crop))
    assert (figure.axes[0].images[0].get_array() == read_pixels(large_crop, SIZE)).all()


def test_other_networks_and_other_things_than_images_are_refused(model, crop):
    for call in (attention_figure, lambda *both: attention_maps(*both, 2, "released")):
        with pytest.raises(ValueError, match="a network with attention.*got Baseline"):
            call(baseline_small(3, width=4, image_size=SIZE), crop)
        for wrong, name in (
            (torch.zeros(3, 64, 32), "Tensor"),
            (None, "NoneType"),
            ([crop], "list"),
        ):
            with pytest.raises(ValueError, match=f"a Sample or the path of an image, got {name}"):
                call(model, wrong)
