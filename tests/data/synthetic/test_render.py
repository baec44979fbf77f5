"""The renderer: reproducible, independent of batching, readable, and honest about its boxes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlab.data.synthetic import render as render_module
from reidlab.data.synthetic.places import WORLDS
from reidlab.data.synthetic.poor import KINDS, sample_junk, spoil
from reidlab.data.synthetic.render import render
from reidlab.data.synthetic.scene import cameras
from reidlab.data.synthetic.shots import (
    DIFFICULTIES,
    Difficulty,
    Occluder,
    sample_distractor,
    sample_shot,
)
from reidlab.data.synthetic.wardrobe import sample_people

PEOPLE = sample_people(24, seed=3)
CAMERAS = cameras("a", 6, seed=0)


def some_shots(count, difficulty="default", seed=0, network=CAMERAS):
    rng = np.random.default_rng(seed)
    setting = DIFFICULTIES[difficulty]
    return [
        sample_shot(
            PEOPLE[i % len(PEOPLE)],
            network[i % len(network)],
            rng=rng,
            difficulty=setting,
            bystander=PEOPLE[(i + 5) % len(PEOPLE)] if i % 4 == 0 else None,
        )
        for i in range(count)
    ]


def plain(shot, **changes):
    """The shot without anything that hides or spoils the person."""
    clean = {"occluder": None, "bystander": None, "strength": 0.0, "shift": (0.0, 0.0), "zoom": 1.1}
    return replace(shot, **(clean | changes))


def test_same_shots_give_the_same_bytes_and_truth():
    first, again = render(some_shots(8), CAMERAS), render(some_shots(8), CAMERAS)
    assert torch.equal(first[0], again[0])
    assert first[1] == again[1]


def test_global_random_state_is_neither_used_nor_changed():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = render(some_shots(3), CAMERAS)[0]
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert torch.equal(first, render(some_shots(3), CAMERAS)[0])


def test_an_image_does_not_depend_on_the_batch_around_it(monkeypatch):
    shots = some_shots(12)
    together, truths = render(shots, CAMERAS)
    alone = [render([shot], CAMERAS) for shot in shots]
    backwards = render(shots[::-1], CAMERAS)[0].flip(0)
    monkeypatch.setattr(render_module, "BATCH", 5)
    small = render(shots, CAMERAS)[0]
    for other in (torch.cat([pixels for pixels, _ in alone]), backwards, small):
        assert torch.equal(together, other)
    assert truths == [truth[0] for _, truth in alone]


def test_everything_a_shot_says_changes_the_image():
    shot = some_shots(2)[1]
    pose = replace(shot.pose, phase=shot.pose.phase + 1.5)
    changes = {
        "person": PEOPLE[9], "camera": 3, "yaw": shot.yaw + 60, "pose": pose, "zoom": 1.3,
        "shift": (0.1, 0.0), "place_x": shot.place_x + 1, "exposure": 0.6, "motion": (3.0, 0.0),
        "strength": 0.0, "occluder": Occluder("pole", 0.0, 0.0), "bystander": PEOPLE[7],
        "noise": shot.noise + 1,
    }  # fmt: skip
    images = render([shot] + [replace(shot, **{k: v}) for k, v in changes.items()], CAMERAS)[0]
    for name, image in zip(changes, images[1:], strict=True):
        assert not torch.equal(images[0], image), name


@pytest.mark.parametrize("world", sorted(WORLDS))
def test_every_camera_of_every_world_is_readable_and_unlike_the_others(world):
    network = cameras(world, 8, seed=0)
    shots = [
        replace(some_shots(1, "hard")[0], camera=c.index, occluder=None, exposure=1.0, place_x=x)
        for c in network
        for x in (-4.0, -1.0, 2.0)
    ]
    images = render(shots, network, supersample=1)[0].float().view(8, -1, 128, 64)
    means, deviations = images.mean(dim=(1, 2, 3)), images.std(dim=(1, 2, 3))
    assert (means > 55).all() and (means < 205).all(), means
    assert (deviations > 20).all(), deviations
    colors = torch.stack([images[:, i::3].mean(dim=(1, 2, 3)) for i in range(3)], dim=1)
    assert torch.pdist(colors).min() > 2


@pytest.mark.parametrize("size", [(64, 32), (128, 64), (256, 128)])
@pytest.mark.parametrize("supersample", [1, 2])
def test_sizes_and_supersampling_show_the_same_scene(size, supersample):
    shots = [plain(s, exposure=1.0, motion=(0.0, 0.0)) for s in some_shots(4)]
    images, truths = render(shots, CAMERAS, size=size, supersample=supersample)
    assert images.shape == (4, 3, *size) and images.dtype == torch.uint8
    small = torch.nn.functional.adaptive_avg_pool2d(images.float(), (32, 16))
    reference, expected = render(shots, CAMERAS, supersample=2)
    pooled = torch.nn.functional.adaptive_avg_pool2d(reference.float(), (32, 16))
    assert (small - pooled).abs().mean() < 6
    factor = size[0] / 128
    for truth, other in zip(truths, expected, strict=True):
        assert np.allclose(np.array(truth["box"]) / factor, other["box"], atol=1.5)


def test_truth_boxes_lie_in_the_image_and_around_the_pixels_of_the_person():
    shots = [plain(s, motion=(0.0, 0.0)) for s in some_shots(16)]
    truths = render(shots, CAMERAS)[1]
    for shot, truth in zip(shots, truths, strict=True):
        x0, y0, x1, y1 = truth["box"]
        assert 0 <= x0 < x1 <= 64 and 0 <= y0 < y1 <= 128
        parts = np.array(list(truth["parts"].values()))
        assert (parts[:, :2] >= np.array([x0, y0]) - 1.1).all()
        assert (parts[:, 2:] <= np.array([x1, y1]) + 1.1).all()
        union = np.concatenate([parts[:, :2].min(axis=0), parts[:, 2:].max(axis=0)])
        assert np.abs(union - truth["box"]).max() < 6  # the visible parts fill the box
        assert {"head", "torso", "legs"} <= set(truth["parts"])
        assert truth["parts"]["head"][1] < truth["parts"]["legs"][1]
        assert truth["occluded"] == 0 and truth["yaw"] == round(shot.yaw, 1)


def test_an_empty_box_has_no_person_in_its_truth_and_only_surroundings_in_its_pixels():
    shot = plain(some_shots(2)[1], person=None, motion=(0.0, 0.0))
    (empty, shown), truths = render([shot, replace(shot, person=PEOPLE[1])], CAMERAS)
    assert truths[0] == {
        "yaw": None, "box": None, "parts": {}, "occluded": 0.0, "truncated": False,
    }  # fmt: skip
    middle = (empty.int() - shown.int()).abs()[:, 30:100, 28:36]
    assert (middle.sum(0) > 10).float().mean() > 0.8
    assert render([shot], CAMERAS)[0].equal(empty[None])  # a batch without anybody


def test_recoloring_a_hat_changes_pixels_only_inside_its_box():
    person = replace(PEOPLE[0], hat="cap", hat_rgb=(0.1, 0.1, 0.1), boots=False)
    shot = plain(some_shots(1)[0], person=person, yaw=20.0, motion=(0.0, 0.0))
    other = replace(shot, person=replace(person, hat_rgb=(0.9, 0.2, 0.2)))
    images, truths = render([shot, other], CAMERAS)
    changed = torch.nonzero((images[0].int() - images[1].int()).abs().sum(0) > 12)
    (top, left), (bottom, right) = changed.amin(0), changed.amax(0)
    x0, y0, x1, y1 = truths[0]["parts"]["hat"]
    assert left >= x0 - 2 and top >= y0 - 2 and right < x1 + 2 and bottom < y1 + 2
    assert bottom - top > 0.4 * (y1 - y0)


@pytest.mark.parametrize("thing", ["backpack", "bag", "handbag"])
def test_what_is_carried_is_boxed_when_seen_and_absent_otherwise(thing):
    bare = replace(PEOPLE[0], backpack=None, bag=None, handbag=None)
    laden = replace(bare, **{thing: (0.9, 0.1, 0.1)})
    yaws = (180.0, 130.0, -130.0)
    base = plain(some_shots(1)[0], place_x=0.0)
    with_it = render([replace(base, person=laden, yaw=y) for y in yaws], CAMERAS)[1]
    without = render([replace(base, person=bare, yaw=y) for y in yaws], CAMERAS)[1]
    assert any(thing in truth["parts"] for truth in with_it)
    assert all(thing not in truth["parts"] for truth in without)


def test_occlusion_counts_things_and_people_in_front_but_not_behind():
    base = plain(some_shots(1)[0])
    front = replace(base, bystander=PEOPLE[8], bystander_at=(0.1, 0.6))
    behind = replace(front, bystander_at=(0.1, -0.6))
    hedge = replace(base, camera=1, occluder=Occluder("hedge", 0.0, 0.0))
    near, far, low = (truth["occluded"] for truth in render([front, behind, hedge], CAMERAS)[1])
    assert near > 0.2 and far < 0.05 and 0.1 < low < 0.7
    cut = render([replace(base, zoom=0.6), base], CAMERAS)[1]
    assert cut[0]["truncated"] and not cut[1]["truncated"]


def test_distractors_and_junk_are_poor_boxes():
    rng, setting = np.random.default_rng(0), Difficulty(0.6, 0.8, 1)
    poor = [
        sample_distractor(CAMERAS[i % 6], rng=rng, difficulty=setting, person=PEOPLE[i])
        for i in range(12)
    ]
    junk = [
        sample_junk(PEOPLE[i], CAMERAS[i % 6], rng=rng, difficulty=setting, bystander=PEOPLE[i + 1])
        for i in range(12)
    ]
    _, truths = render(poor + junk, CAMERAS, supersample=1)
    assert 2 <= sum(shot.person is None for shot in poor) <= 10
    assert all(t["truncated"] for s, t in zip(poor, truths[:12], strict=True) if s.person)
    area = [np.prod(np.subtract(t["box"][2:], t["box"][:2])) for t in truths[12:]]
    bad = [t["truncated"] or t["occluded"] > 0.1 or a < 2500 or s.bystander is not None
           for t, a, s in zip(truths[12:], area, junk, strict=True)]  # fmt: skip
    assert np.mean(bad) > 0.9


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="H = 2 W"):
        render([], CAMERAS, size=(100, 64))
    with pytest.raises(ValueError, match="expected a world"):
        cameras("z")
    images, truths = render([], CAMERAS)
    assert images.shape == (0, 3, 128, 64) and truths == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("world", sorted(WORLDS))
def test_gpu_draws_what_the_cpu_draws(world):
    network, rng = cameras(world, 6, seed=0), np.random.default_rng(0)
    shots = some_shots(24, network=network)
    shots[::2] = [
        spoil(shot, KINDS[i % len(KINDS)], rng=rng, stranger=PEOPLE[23])
        for i, shot in enumerate(shots[::2])
    ]
    slow, fast = render(shots, network), render(shots, network, device="cuda")
    difference = (slow[0].int() - fast[0].int()).abs()
    assert difference.float().mean() < 0.5
    assert (difference > 24).float().mean() < 0.002
