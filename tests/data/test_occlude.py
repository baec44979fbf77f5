from __future__ import annotations

import pytest
import torch

from reidlab import baseline_small
from reidlab.data.occlude import OccludedTransform, cover, occluded
from reidlab.data.transforms import EvalTransform


def photos(count: int = 24, size=(20, 10)) -> torch.Tensor:
    """No two pixels of a row alike, so that what is covered can be told."""
    generator = torch.Generator().manual_seed(3)
    return torch.randint(256, (count, 3, *size), generator=generator, dtype=torch.uint8)


def covered_from(before: torch.Tensor, after: torch.Tensor) -> tuple[str, float]:
    """Side and share of what changed in one image."""
    changed = (before != after).any(dim=0)  # (H, W)
    rows, columns = changed.any(dim=1), changed.any(dim=0)
    if not columns.all():
        side = "left" if columns[0] else "right"
        return side, float(columns.float().mean())
    return "below", float(rows.float().mean())


def test_every_image_is_covered_to_the_share_from_one_of_three_sides_in_one_colour():
    images = photos(60)
    result = cover(images, 0.4, generator=torch.Generator().manual_seed(0))
    sides = []
    for before, after in zip(images, result, strict=True):
        side, share = covered_from(before, after)
        assert share == pytest.approx(0.4)
        box = after[:, -8:] if side == "below" else after[:, :, :4]
        box = after[:, :, -4:] if side == "right" else box
        assert (box == box[:, :1, :1]).all()
        sides.append(side)
    assert {sides.count(name) > 10 for name in ("left", "right", "below")} == {True}


def test_nothing_and_everything_can_be_covered():
    images = photos(4)
    assert cover(images, 0.0, generator=torch.Generator()).equal(images)
    whole = cover(images, 1.0, generator=torch.Generator())
    assert (whole == whole[:, :, :1, :1]).all()


def test_what_covers_an_image_does_not_depend_on_its_neighbours():
    images, transform = photos(9, (128, 64)), OccludedTransform(share=0.3, seed=1)
    together, turned = transform(images), transform(images.flip(0)).flip(0)
    torch.testing.assert_close(together, turned)
    assert not together.equal(OccludedTransform(share=0.3, seed=2)(images))


def test_an_occluded_network_shares_weights_and_leaves_the_first_as_it_was():
    model = baseline_small(3)
    twin = occluded(model, share=0.5)
    assert type(model.preprocess) is EvalTransform and twin.preprocess.size == (128, 64)
    assert next(twin.parameters()) is next(model.parameters())


@pytest.mark.parametrize("share", [-0.1, 1.1])
def test_a_share_out_of_range_is_refused(share):
    with pytest.raises(ValueError, match="share must be in 0..1"):
        OccludedTransform(share=share)
    with pytest.raises(ValueError, match="share must be in 0..1"):
        cover(photos(1), share, generator=torch.Generator())


def test_other_tensors_and_models_are_refused():
    with pytest.raises(ValueError, match="expected uint8"):
        cover(photos(1).float(), 0.2, generator=torch.Generator())
    with pytest.raises(ValueError, match="must be an EvalTransform"):
        occluded(torch.nn.Linear(1, 1))
