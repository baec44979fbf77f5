"""Badly placed boxes: rows that go, the same for an image wherever it stands."""

import pytest
import torch
from PIL import Image

from reidlab import EvalTransform, embed, read_dataset
from reidlab.data.misalign import MisalignedTransform, cut_rows, misalign, misaligned
from reidlab.models.aligned import aligned_small
from reidlab.models.baseline import baseline_small


def pictures(count=4, size=(20, 6)):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, 3, *size), generator=generator, dtype=torch.uint8)


def ramp(height=20):
    """An image whose rows say where they are: 10 x the row's number."""
    rows = 10 * torch.arange(height, dtype=torch.uint8)
    return rows[None, None, :, None].expand(1, 3, height, 6).contiguous()


def shares(values):
    return torch.tensor(values)


def test_rows_go_at_the_top_and_at_the_bottom():
    found = cut_rows(ramp().repeat(3, 1, 1, 1), shares([0.5, 0.0, 0.25]), shares([0.0, 0.5, 0.25]))
    rows = found[:, 0, :, 0]
    assert found.shape == (3, 3, 20, 6) and found.dtype == torch.uint8
    assert rows[:, 0].tolist() == [100, 0, 50] and rows[:, -1].tolist() == [190, 90, 140]
    assert bool((rows[:, 1:].int() >= rows[:, :-1].int()).all())  # stretched, in order
    assert bool((found == found[:, :1, :, :1]).all())  # channels and columns stay apart


def test_an_image_that_loses_nothing_stays_as_it_is():
    images = pictures()
    untouched = images.clone()
    assert torch.equal(cut_rows(images, torch.zeros(4), torch.zeros(4)), images)
    cut_rows(images, torch.full((4,), 0.4), torch.zeros(4))
    assert torch.equal(images, untouched)


def test_each_image_loses_its_own_share_on_its_side():
    images = ramp(100).repeat(200, 1, 1, 1)
    images[:, :] = (2 * torch.arange(100, dtype=torch.uint8))[:, None]
    rows = {}
    for side in ("top", "bottom", "either"):
        generator = torch.Generator().manual_seed(1)
        found = misalign(images, 0.4, side, generator=generator)[:, 0, :, 0].int()
        rows[side] = found[:, 0] / 2, 99 - found[:, -1] / 2  # rows lost at the top and bottom
    assert not rows["top"][1].any() and not rows["bottom"][0].any()
    torch.testing.assert_close(rows["top"][0], rows["bottom"][1], rtol=0, atol=1.0)
    lost = rows["top"][0]
    assert 36 < float(lost.max()) <= 40 and 17 < float(lost.mean()) < 23
    top, bottom = rows["either"]
    assert not (top * bottom).any() and 70 < int((top > 0).sum()) < 130


def test_the_generator_decides():
    first, again, other = (
        misalign(pictures(), 0.5, generator=torch.Generator().manual_seed(s)) for s in (1, 1, 2)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)


def test_what_an_image_loses_does_not_depend_on_the_others():
    images = pictures(6, (32, 16))
    transform = MisalignedTransform(size=(32, 16), cut=0.5, seed=3)
    whole = transform(images)
    assert torch.equal(transform(images.flip(0)), whole.flip(0))
    parts = torch.cat([transform(part) for part in images.split(4)])
    assert torch.equal(parts, whole)
    assert not torch.equal(MisalignedTransform(size=(32, 16), cut=0.5, seed=4)(images), whole)
    shown = Image.fromarray(images[0].permute(1, 2, 0).numpy())
    assert torch.equal(transform(shown), whole[0])


def test_a_cut_of_nothing_is_the_plain_transform():
    images = pictures(3, (32, 16))
    plain = EvalTransform(size=(32, 16), mean=(0.1, 0.2, 0.3))
    same = MisalignedTransform(size=(32, 16), mean=(0.1, 0.2, 0.3), cut=0.0)
    assert torch.equal(same(images), plain(images))
    assert same.cut_batch(images[:0]).shape == (0, 3, 32, 16)


@pytest.mark.parametrize("make", [aligned_small, baseline_small])
def test_a_split_is_embedded_alike_in_any_batches(market_folder, make):
    samples = read_dataset(market_folder).query
    model = make(3, width=4, image_size=(64, 32))
    twin = misaligned(model, cut=0.4, seed=1)
    small, large = (embed(twin, samples, batch_size=b, device="cpu").features for b in (5, 12))
    torch.testing.assert_close(small, large)
    plain = embed(model, samples, device="cpu").features
    assert not torch.allclose(small, plain)
    torch.testing.assert_close(embed(misaligned(model, cut=0.0), samples, device="cpu").features,
                               plain)  # fmt: skip
    assert type(model.preprocess) is EvalTransform  # the network itself is as it was


def test_weights_are_shared():
    model = aligned_small(3, width=4)
    twin = misaligned(model)
    assert twin is not model and twin.trunk is model.trunk
    assert (twin.preprocess.cut, twin.preprocess.side, twin.preprocess.seed) == (0.25, "either", 0)


def test_what_makes_no_sense_is_refused():
    generator = torch.Generator()
    with pytest.raises(ValueError, match="cut must be in \\[0, 1\\), got 1"):
        misalign(pictures(), 1, generator=generator)
    with pytest.raises(ValueError, match="side must be one of top, bottom, either, got 'left'"):
        MisalignedTransform(side="left")
    with pytest.raises(ValueError, match="a row to stay of 20, got rows 10 to 9"):
        cut_rows(ramp(), shares([0.5]), shares([0.5]))
    with pytest.raises(ValueError, match="uint8 \\(B, 3, H, W\\)"):
        cut_rows(pictures().float(), torch.zeros(4), torch.zeros(4))
    with pytest.raises(ValueError, match="Linear.preprocess must be an EvalTransform, got None"):
        misaligned(torch.nn.Linear(1, 1))
