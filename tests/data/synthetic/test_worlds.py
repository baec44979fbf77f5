"""Worlds: a is what it always was; b and c look unlike it and unlike each other."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
import torch

from reidlab.data.synthetic import canvas, walls
from reidlab.data.synthetic.options import SyntheticOptions
from reidlab.data.synthetic.places import PLACES, WORLDS
from reidlab.data.synthetic.plan import make_plan
from reidlab.data.synthetic.props import PROPS, prop
from reidlab.data.synthetic.render import render
from reidlab.data.synthetic.scene import cameras
from reidlab.data.synthetic.styles import STYLES


@pytest.fixture(scope="module")
def crops() -> dict[str, torch.Tensor]:
    """Forty-eight crops of each world, all cameras, (48, 3, 64, 32) in [0, 1]."""
    drawn = {}
    for world in WORLDS:
        plan = make_plan(SyntheticOptions(ids=3, test_ids=2, validation_ids=0, world=world))
        shots = [image.shot for image in plan.images if image.split == "train"]
        images = render(shots, plan.cameras, size=(64, 32), supersample=1)[0]
        drawn[world] = images.float() / 255
    return drawn


def test_cameras_of_world_a_are_the_stored_ones():
    drawn = [
        (c.place, c.pitch, c.sun, c.balance, c.gain, c.gamma, c.saturation, c.contrast, c.haze,
         c.blur, c.motion, c.noise, c.jpeg_quality, c.seed)
        for c in cameras("a", 10, seed=0)
    ]  # fmt: skip
    rounded = [[round(v, 9) if isinstance(v, float) else v for v in row] for row in drawn]
    assert hashlib.sha256(repr(rounded).encode()).hexdigest()[:12] == "6da42ae41f9e"


def test_the_light_of_world_a_is_plain():
    town = WORLDS["a"]
    assert (town.elevation, town.warmth, town.veil) == (42.0, 0.0, (0.8, 0.8, 0.8))


def test_things_keep_the_number_that_seeds_their_color():
    assert list(PROPS)[:6] == ["bike", "bin", "car", "hedge", "pole", "railing"]


def test_every_place_can_be_painted_and_every_thing_is_known():
    for place in PLACES.values():
        assert place.ground in canvas.GROUNDS and place.wall in walls.WALLS
        assert set(place.things) <= set(PROPS)
        assert 0.89 < place.sun + place.ambient < 1.12
    shown = {name for network in WORLDS.values() for name in network.places}
    assert shown == set(PLACES)


def test_worlds_have_places_of_their_own_and_share_a_few():
    places = {world: set(network.places) for world, network in WORLDS.items()}
    for world in "bc":
        assert len(places[world] - places["a"]) == 6
        assert places[world] & places["a"]
    assert not places["b"] & places["c"]
    styles = [style for group in STYLES.values() for style in group]
    assert len(set(styles)) == len(styles) == 24


@pytest.mark.parametrize("kind", PROPS)
def test_things_are_solid_somewhere_and_clear_elsewhere(kind):
    picture, width, height = prop(kind, cameras("b", 1)[0])
    color, opacity = picture[:3], picture[3]
    assert color.min() >= 0 and color.max() <= 1 and set(opacity.unique().tolist()) == {0.0, 1.0}
    assert 0.05 < opacity.mean() < 0.9
    rows = opacity.amax(dim=1)  # from the top
    assert rows[-8:].max() == 1  # it stands on the ground
    assert 0.25 < width < 5 and 0.75 < height <= 4


@pytest.mark.parametrize("name", sorted(set(WORLDS["b"].places) | set(WORLDS["c"].places)))
def test_a_place_is_repainted_with_the_seed_and_is_not_flat(name):
    world = "b" if name in WORLDS["b"].places else "c"
    index = WORLDS[world].places.index(name)
    first, other = (canvas.backdrop.__wrapped__(cameras(world, 8, s)[index]) for s in (0, 1))
    assert not torch.equal(first, other)
    assert first.min() >= 0 and first.max() <= 1 and torch.isfinite(first).all()
    assert first.std() > 0.05


def test_inside_is_pale_and_seen_from_above_and_evening_is_warm(crops):
    def saturation(images):
        images = torch.nn.functional.avg_pool2d(images, 8)  # noise is colorful too
        return ((images.amax(1) - images.amin(1)) / images.amax(1).clamp_min(1e-3)).mean()

    def warmth(images):
        red, _, blue = images.mean(dim=(0, 2, 3))
        return red / blue

    assert saturation(crops["b"]) < 0.8 * saturation(crops["a"]) < 0.7 * saturation(crops["c"])
    assert warmth(crops["b"]) < 1.0 < warmth(crops["a"]) < 1.4 < warmth(crops["c"])
    pitch = {world: np.mean([c.pitch for c in cameras(world, 6)]) for world in WORLDS}
    assert pitch["b"] > pitch["a"] + 8 and pitch["c"] < pitch["a"]
    style = {w: cameras(w, 6) for w in WORLDS}
    assert min(c.noise for c in style["b"]) > max(c.noise for c in style["a"] + style["c"])
    assert max(c.jpeg_quality for c in style["b"]) < min(c.jpeg_quality for c in style["a"])


def test_mean_color_tells_the_worlds_apart(crops):
    """Nearest mean, fitted on every other image: chance is one half."""
    for one, two in (("a", "b"), ("a", "c"), ("b", "c")):
        means = [crops[world].mean(dim=(2, 3)) for world in (one, two)]  # (48, 3) each
        centres = torch.stack([mean[::2].mean(dim=0) for mean in means])
        right = [
            (torch.cdist(mean[1::2], centres).argmin(dim=1) == i).float().mean()
            for i, mean in enumerate(means)
        ]
        assert sum(right) / 2 > 0.65


def test_warm_light_reddens_the_lit_side_and_cools_the_shadow():
    network = cameras("c", 1)
    assert network[0].warmth > 0
    plan = make_plan(SyntheticOptions(ids=2, test_ids=2, validation_ids=0, world="c", cameras=2))
    shot = next(i.shot for i in plan.images if i.camid == 1 and not i.shot.occluder)
    plain = replace(network[0], warmth=0.0)
    warm, neutral = (render([shot], [camera])[0][0].float() for camera in (network[0], plain))
    red, blue = (warm - neutral)[0], (warm - neutral)[2]
    assert red.max() > 8 and red.min() < -8  # lit side, shadow
    changed = (red.abs() > 4) & (blue.abs() > 4)
    assert (red[changed] * blue[changed] < 0).float().mean() > 0.9


def test_a_low_sun_throws_its_shadow_further():
    camera = replace(cameras("c", 1)[0], sun=-60.0)
    plan = make_plan(SyntheticOptions(ids=2, test_ids=2, validation_ids=0, world="c", cameras=2))
    shot = next(i.shot for i in plan.images if i.camid == 1 and not i.shot.occluder)
    shot = replace(shot, zoom=1.6, strength=0.0, motion=(0.0, 0.0), bystander=None)
    high, low = (
        render([shot], [replace(camera, elevation=angle)])[0][0].float().mean(0)
        for angle in (70.0, 25.0)
    )
    right = (slice(80, None), slice(48, None))
    assert low[right].mean() < high[right].mean() - 1
