"""Poor crops: each kind looks as its name says, and the good images stay as they were."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlab.data.synthetic.options import SyntheticOptions, UnlabelledOptions
from reidlab.data.synthetic.plan import make_plan
from reidlab.data.synthetic.poor import KINDS, USUAL_SHARE, spoil
from reidlab.data.synthetic.render import render
from reidlab.data.synthetic.scene import cameras
from reidlab.data.synthetic.sensor import _enlarge, _smear
from reidlab.data.synthetic.sheets import poor_kinds
from reidlab.data.synthetic.shots import DIFFICULTIES, sample_shot
from reidlab.data.synthetic.wardrobe import sample_people

PEOPLE = sample_people(13, seed=3, world="c")
CAMERAS = [replace(camera, noise=0.0) for camera in cameras("c", 3, seed=0)]
SMALL = {"ids": 12, "validation_ids": 2, "test_ids": 3, "distractors": 4, "junk": 3}


def good_shots():
    rng = np.random.default_rng(0)
    setting = DIFFICULTIES["default"]
    shots = [sample_shot(PEOPLE[i], CAMERAS[i % 3], rng=rng, difficulty=setting) for i in range(12)]
    return [replace(shot, occluder=None, motion=(0.0, 0.0), zoom=1.1) for shot in shots]


def spoiled_shots(kind):
    rng = np.random.default_rng(1)
    return [spoil(shot, kind, rng=rng, stranger=PEOPLE[12]) for shot in good_shots()]


@pytest.fixture(scope="module")
def rendered():
    """Kind -> images (12, 3, 128, 64) float and their truth; "good" beside the five."""
    result = {}
    for kind in ("good", *KINDS):
        shots = good_shots() if kind == "good" else spoiled_shots(kind)
        images, truth = render(shots, CAMERAS, supersample=1)
        result[kind] = images.float(), truth
    return result


def gradients(images):
    """Mean absolute difference of neighbours, rows and columns, per image."""
    rows, columns = images.diff(dim=2).abs(), images.diff(dim=3).abs()
    return rows.mean(dim=(1, 2, 3)) + columns.mean(dim=(1, 2, 3))


def fine_detail(images):
    """Mean absolute Laplacian, per image."""
    inner = images[:, :, 1:-1, 1:-1]
    around = images[:, :, :-2, 1:-1] + images[:, :, 2:, 1:-1]
    around = around + images[:, :, 1:-1, :-2] + images[:, :, 1:-1, 2:]
    return (4 * inner - around).abs().mean(dim=(1, 2, 3))


def test_heavy_blur_lowers_the_gradients_of_every_image(rendered):
    good, blurred = gradients(rendered["good"][0]), gradients(rendered["blur"][0])
    assert (blurred < 0.6 * good).all()
    still = rendered["good"][1], rendered["blur"][1]
    assert [t["box"] for t in still[0]] == [t["box"] for t in still[1]]  # the person stays


def test_a_streak_of_motion_smears_across_and_not_down():
    shots = good_shots()[:4]
    streaked = [replace(shot, defocus=(6.0, 0.8)) for shot in shots]
    sharp, smeared = (render(s, CAMERAS, supersample=1)[0].float() for s in (shots, streaked))
    across = smeared.diff(dim=3).abs().mean() / sharp.diff(dim=3).abs().mean()
    down = smeared.diff(dim=2).abs().mean() / sharp.diff(dim=2).abs().mean()
    assert across < 0.3 and down > 1.5 * across


def test_tiny_crops_hold_no_fine_detail(rendered):
    good, tiny = fine_detail(rendered["good"][0]), fine_detail(rendered["tiny"][0])
    assert (tiny < 0.15 * good).all()
    means = [rendered[kind][0].mean(dim=(1, 2, 3)) for kind in ("good", "tiny")]
    assert (means[0] - means[1]).abs().max() < 1.5


def test_empty_boxes_have_nobody_in_their_truth(rendered):
    for truth in rendered["empty"][1]:
        assert truth["yaw"] is None and truth["box"] is None and truth["parts"] == {}


def test_cut_bodies_lose_much_of_the_person(rendered):
    def seen(truth, shot):
        """Area of the visible part, in squares of the person's height."""
        x0, y0, x1, y1 = truth["box"]
        return (x1 - x0) * (y1 - y0) * (shot.zoom / 128) ** 2

    good, cut = rendered["good"][1], rendered["cut"][1]
    assert not any(truth["truncated"] for truth in good)
    assert all(truth["truncated"] for truth in cut)
    whole = [seen(truth, shot) for truth, shot in zip(good, good_shots(), strict=True)]
    part = [seen(truth, shot) for truth, shot in zip(cut, spoiled_shots("cut"), strict=True)]
    assert (np.array(part) < 0.7 * np.array(whole)).all()
    missing = [{"head", "torso", "legs"} - set(truth["parts"]) for truth in cut]
    assert {"head"} in missing or {"head", "torso"} in missing  # legs alone
    assert {"legs"} in missing  # head and shoulders alone


def test_two_people_stand_side_by_side():
    for shot, both in zip(good_shots()[:6], spoiled_shots("two")[:6], strict=True):
        assert (both.person, both.bystander) == (shot.person, PEOPLE[12])
        alone = replace(both, bystander=None)
        pixels, truth = render([both, alone], CAMERAS, supersample=1)
        changed = (pixels[0].int() - pixels[1].int()).abs().amax(0) > 12
        assert changed.float().mean() > 0.08  # the second person takes a share of the box
        assert truth[0]["box"] is not None


def test_unknown_kinds_are_refused_with_the_known_ones():
    with pytest.raises(ValueError, match="'fog'.*cut, two, empty, blur, tiny"):
        spoil(good_shots()[0], "fog", rng=np.random.default_rng(0), stranger=PEOPLE[1])


def test_a_poor_image_does_not_depend_on_the_batch_around_it():
    shots = good_shots()[:5]
    poor = [spoiled_shots(kind)[i] for i, kind in enumerate(KINDS)]
    mixed = [shot for pair in zip(shots, poor, strict=True) for shot in pair]
    together = render(mixed, CAMERAS, supersample=1)[0]
    alone = torch.cat([render([shot], CAMERAS, supersample=1)[0] for shot in mixed])
    assert torch.equal(together, alone)
    assert torch.equal(together[::2], render(shots, CAMERAS, supersample=1)[0])


def test_a_smear_keeps_brightness_and_spreads_a_point_by_its_sigma():
    point = torch.zeros(3, 41, 41)
    point[:, 20, 20] = 1.0
    spread = _smear(point, 3.0, -1)
    assert spread.sum() == pytest.approx(3.0, abs=1e-4)
    assert (spread.sum(dim=2) > 0).nonzero()[:, 1].tolist() == [20, 20, 20]  # one row only
    x = torch.arange(41) - 20
    assert (spread[0, 20] * x**2).sum().sqrt() == pytest.approx(3.0, rel=0.1)
    assert torch.equal(_smear(point, 3.0, -2), spread.transpose(1, 2))


def test_enlarging_leaves_only_as_many_levels_as_were_recorded():
    images = torch.rand(2, 3, 64, 32)
    before = images.clone()
    shot = good_shots()[0]
    _enlarge(images, [shot, replace(shot, detail=0.25)])
    assert torch.equal(images[0], before[0])
    expected = before[1].view(3, 16, 4, 8, 4).mean(dim=(2, 4))  # (3, 16, 8)
    assert torch.allclose(images[1].mean(dim=(1, 2)), expected.mean(dim=(1, 2)), atol=5e-3)
    middle = images[1].view(3, 16, 4, 8, 4)[:, :, 1:3, :, 1:3].mean(dim=(2, 4))
    assert (middle - expected).abs().mean() < 0.6 * expected.std()


def test_labelled_sets_spoil_training_images_only_and_say_which():
    good = make_plan(SyntheticOptions(**SMALL, world="c"))
    some = make_plan(SyntheticOptions(**SMALL, world="c", poor=0.4))
    more = make_plan(SyntheticOptions(**SMALL, world="c", poor=0.7))
    assert [image.file for image in good.images] == [image.file for image in some.images]
    for a, b, c in zip(good.images, some.images, more.images, strict=True):
        assert (a.pid, a.camid, a.poor) == (b.pid, b.camid, None)
        assert (b.poor is None) == (a.shot == b.shot)
        assert b.poor is None or (b.split == "train" and c.poor == b.poor)  # more keeps the first
    shares = [np.mean([i.poor is not None for i in plan.images if i.split == "train"])
              for plan in (some, more)]  # fmt: skip
    assert shares == pytest.approx([0.4, 0.7], abs=0.08)
    counts = Counter(image.poor for image in more.images if image.poor)
    assert set(counts) == set(KINDS) and min(counts.values()) > 10
    for image in more.images:
        assert image.poor != "empty" or image.shot.person is None


def test_without_poor_crops_options_and_labels_are_what_they_were():
    assert "poor" not in SyntheticOptions().as_dict()
    assert SyntheticOptions(poor=0).as_dict() == SyntheticOptions().as_dict()
    options = SyntheticOptions(poor=0.25)
    assert options.as_dict()["poor"] == 0.25
    assert SyntheticOptions(**options.as_dict()) == options


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan"), True, "0.5", None, [0.5]])
def test_a_share_outside_zero_to_one_is_refused(share):
    with pytest.raises(ValueError, match="poor to be a share from 0 to 1"):
        SyntheticOptions(poor=share)


def test_only_unlabelled_sets_of_world_c_are_poor_unless_asked():
    shares = {world: UnlabelledOptions(world=world).share for world in USUAL_SHARE}
    assert shares == {"a": 0.0, "b": 0.0, "c": 0.25}
    assert UnlabelledOptions(world="c", poor=0).share == 0.0
    assert UnlabelledOptions(world="a", poor=0.5).share == 0.5
    assert all(SyntheticOptions(world=world).poor == 0 for world in ("a", "b", "c"))


def test_the_sheet_shows_a_row_of_every_kind():
    rows = poor_kinds(make_plan(SyntheticOptions(**SMALL, world="c", poor=1.0)))
    assert [label for label, _ in rows] == list(KINDS)
    for kind, row in rows:
        assert len(row) == 12 and {image.poor for image in row if image} == {kind}
