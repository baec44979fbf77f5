import numpy as np
import pytest
import torch
from PIL import Image

from reidlab.data.transforms import (
    EvalTransform,
    Share,
    TrainTransform,
    erase_boxes,
    random_crop,
    random_erase,
    random_flip,
)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def erasing(probability, area, fill):
    return TrainTransform(erase=probability, erase_area=area, erase_fill=fill)


@pytest.fixture
def images():
    return torch.randint(0, 256, (6, 3, 32, 16), generator=generator(), dtype=torch.uint8)


def test_eval_normalises_by_channel(images):
    transform = EvalTransform((32, 16), mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    expected = (images.float() / 255 - torch.tensor([0.1, 0.2, 0.3])[:, None, None]) / torch.tensor(
        [0.5, 0.6, 0.7]
    )[:, None, None]
    torch.testing.assert_close(transform(images), expected, atol=1e-5, rtol=1e-5)


def test_eval_takes_a_picture_of_any_size_and_mode():
    picture = Image.fromarray(np.full((100, 40), 255, np.uint8))
    out = EvalTransform((32, 16), mean=(0, 0, 0), std=(1, 1, 1))(picture)
    assert out.shape == (3, 32, 16)
    torch.testing.assert_close(out, torch.ones(3, 32, 16))


def test_eval_refuses_another_size(images):
    with pytest.raises(ValueError, match=r"uint8 images \(B, 3, 128, 64\)"):
        EvalTransform()(images)
    with pytest.raises(ValueError, match="std above 0"):
        EvalTransform(std=(0, 1, 1))
    with pytest.raises(ValueError, match="bilinear, bicubic"):
        EvalTransform(interpolation="cubic")


def test_flip_mirrors_whole_images_with_its_probability(images):
    assert torch.equal(random_flip(images, 1.0, generator()), images.flip(-1))
    assert torch.equal(random_flip(images, 0.0, generator()), images)
    many = torch.arange(2, dtype=torch.uint8).expand(4000, 1, 1, 2)
    share = random_flip(many, 0.3, generator())[:, 0, 0, 0].float().mean()
    assert 0.27 < share < 0.33


def test_crop_shifts_by_at_most_the_padding_and_brings_in_black():
    images = torch.full((500, 3, 8, 4), 200, dtype=torch.uint8)
    out = random_crop(images, 2, generator())
    assert out.shape == images.shape
    assert set(out.unique().tolist()) == {0, 200}
    black_rows = (out[:, 0].amax(dim=2) == 0).sum(dim=1)  # (B,)
    assert set(black_rows.tolist()) == {0, 1, 2}
    for edges in ((0, slice(None)), (-1, slice(None)), (slice(None), 0), (slice(None), -1)):
        assert (out[:, 0][:, *edges] == 0).all(dim=1).any()  # reached on every side
    assert (out[:, 0, 1] == 0).all(dim=1).any() and (out[:, 0, -2] == 0).all(dim=1).any()


def test_crop_keeps_the_picture_where_it_shifted_it():
    image = torch.arange(32, dtype=torch.uint8).reshape(1, 1, 8, 4).expand(64, 3, 8, 4)
    padded = torch.nn.functional.pad(image[0], (3, 3, 3, 3))
    windows = {
        padded[:, y : y + 8, x : x + 4].numpy().tobytes() for y in range(7) for x in range(7)
    }
    out = random_crop(image, 3, generator())
    found = {crop.numpy().tobytes() for crop in out}
    assert found <= windows and len(found) > 20


def test_erased_boxes_stay_inside_and_follow_area_and_aspect():
    boxes = torch.tensor(erase_boxes(4000, (128, 64), TrainTransform(), generator())).float()
    top, left, rows, columns = boxes.T
    assert (top >= 0).all() and (top + rows <= 128).all()
    assert (left >= 0).all() and (left + columns <= 64).all()
    assert (rows < 128).all() and (columns < 64).all() and (rows > 0).all()
    share = rows * columns / (128 * 64)
    assert share.min() > 0.015 and share.max() < 0.36
    aspect = rows / columns
    assert 0.25 < aspect.min() < 0.4 and 2.5 < aspect.max() < 4.0
    assert abs(aspect.log().median()) < 0.3  # log-uniform, tall ones rejected a little less often
    assert (top + rows == 128).any() and (left + columns == 64).any()  # the border is reached


def test_impossible_boxes_are_empty():
    full = TrainTransform(erase_area=(1.0, 1.0))
    boxes = erase_boxes(5, (4, 4), full, generator())  # a box must be smaller than its image
    assert [box[2:] for box in boxes] == [[0, 0]] * 5


def test_erasing_touches_one_box_of_each_chosen_image():
    images = torch.full((200, 3, 32, 16), 5.0)
    out = random_erase(images.clone(), erasing(0.5, (0.1, 0.3), "zero"), generator())
    touched = (out == 0).any(dim=1)  # (B, H, W)
    share = touched.any(dim=(1, 2)).float().mean()
    assert 0.4 < share < 0.6
    for mask in touched[touched.any(dim=(1, 2))]:
        rows, columns = mask.any(dim=1).sum(), mask.any(dim=0).sum()
        assert mask.sum() == rows * columns  # a full rectangle


def test_noise_is_standard_normal_and_different_in_every_pixel():
    images = torch.full((300, 3, 64, 32), 50.0)
    out = random_erase(images, erasing(1.0, (0.2, 0.3), "noise"), generator())
    noise = out[out != 50.0]
    assert abs(noise.mean()) < 0.02 and abs(noise.std() - 1) < 0.02
    assert len(noise.unique()) > 0.9 * len(noise)


def test_a_constant_fill_is_written_as_it_is():
    images = torch.full((40, 3, 32, 16), 5.0)
    out = random_erase(images, erasing(1.0, (0.2, 0.3), "mean"), generator())
    for channel, value in enumerate((0.485, 0.456, 0.406)):
        found = set(out[:, channel].unique().tolist())
        assert found == {5.0, torch.tensor(value).item()}


def test_linear_aspect_prefers_tall_boxes_and_many_tries_always_fit():
    linear = TrainTransform(erase_aspect="linear", erase_tries=100, erase_area=(0.02, 0.4))
    boxes = torch.tensor(erase_boxes(4000, (128, 64), linear, generator())).float()
    aspect = boxes[:, 2] / boxes[:, 3]
    assert abs(aspect.mean() - (0.3 + 1 / 0.3) / 2) < 0.15  # the mean of a uniform draw
    assert (boxes[:, 2] > 0).all()


@pytest.mark.parametrize("fill", ["noise", "zero"])
def test_shares_of_a_batch_are_augmented_as_the_batch_is(images, fill):
    normalize, transform = EvalTransform((32, 16)), TrainTransform(erase=0.8, erase_fill=fill)
    whole = transform(images, normalize, generator(3))
    for first, last in ((0, 2), (2, 5), (5, 6)):
        part = transform(images[first:last], normalize, generator(3), Share(first, 6))
        assert torch.equal(part, whole[first:last])
    other = generator(3)
    transform(images[:2], normalize, other, Share(0, 6))
    alone = generator(3)
    transform(images, normalize, alone)
    assert torch.equal(other.get_state(), alone.get_state())  # the next batch agrees, too


def test_training_is_repeatable_and_zero_probabilities_are_evaluation(images):
    normalize = EvalTransform((32, 16))
    transform = TrainTransform()
    assert torch.equal(
        transform(images, normalize, generator(1)), transform(images, normalize, generator(1))
    )
    assert not torch.equal(
        transform(images, normalize, generator(1)), transform(images, normalize, generator(2))
    )
    idle = TrainTransform(flip=0, pad=0, erase=0)
    assert torch.equal(idle(images, normalize, generator()), normalize(images))


def test_the_caller_keeps_its_images(images):
    before = images.clone()
    TrainTransform(erase=1.0)(images, EvalTransform((32, 16)), generator())
    assert torch.equal(images, before)


@pytest.mark.parametrize(
    "settings",
    [{"flip": 1.5}, {"erase": -0.1}, {"erase_area": (0.4, 0.1)}, {"pad": -1}, {"erase_fill": "x"}]
    + [{"erase_aspect": "x"}, {"erase_tries": 0}],
)
def test_impossible_augmentation_is_refused(settings):
    with pytest.raises(ValueError, match="expected"):
        TrainTransform(**settings)
