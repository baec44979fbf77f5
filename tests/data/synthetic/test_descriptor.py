"""The yardstick: what it is blind to and what it sees."""

import pytest
import torch

from reidlab.data.synthetic.descriptor import appearance, stripe_descriptor


def test_a_color_cast_hardly_changes_it_and_swapped_clothes_do():
    images = torch.randint(40, 160, (1, 3, 128, 64), generator=torch.Generator().manual_seed(0))
    images = images.repeat(3, 1, 1, 1)
    images[:, :, 40:80] //= 2
    images[1] = (images[1] * torch.tensor([1.2, 0.9, 0.8])[:, None, None]).round()
    images[2] = images[2].flip(1)
    images[2, 0, 80:] //= 3
    features = stripe_descriptor(images.to(torch.uint8))
    assert features.shape == (3, 36)
    cast, clothes = (features[0] - features[1]).norm(), (features[0] - features[2]).norm()
    assert cast < 0.35 * clothes


def test_the_background_at_the_sides_is_not_looked_at():
    images = torch.full((2, 3, 128, 64), 100, dtype=torch.uint8)
    images[:, :, :64] = 30
    images[1, :, :, :8] = images[1, :, :, :8].flip(1)
    features = stripe_descriptor(images)
    assert torch.allclose(features[0], features[1])


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        stripe_descriptor(torch.zeros(3, 128, 64, dtype=torch.uint8))
    for images in (torch.zeros(3, 128, 64), torch.zeros(0, 3, 128, 64)):
        with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
            appearance(images)


def test_appearance_is_what_its_names_say():
    images = torch.zeros(2, 3, 16, 16, dtype=torch.uint8)
    images[0, 0], images[0, 1], images[0, 2] = 200, 100, 50
    images[1, :, :8] = 160
    seen = appearance(images)
    assert (seen["red"], seen["green"], seen["blue"]) == (140, 90, 65)
    assert seen["saturation"] == pytest.approx((0.75 + 0.0) / 2)
    assert seen["contrast"] == pytest.approx(80 / 2, rel=0.01)
    noise = torch.randint(0, 256, (4, 3, 64, 32), generator=torch.Generator().manual_seed(0))
    assert appearance(noise.to(torch.uint8))["saturation"] < 0.2  # colorful noise is gray
