"""Shots -> images and their ground truth.

Rays are parallel, solids are clipped quadrics, and a z-buffer finds the nearest (`raster`). Only
samples that hit a person are shaded, once (`shade`). Surroundings are cut from one painted picture
per camera (`canvas`), things in front are pictures too (`props`), and `sensor` spoils the result
the way the camera would.

Shapes: B images of a batch, (H, W) pixels, (h, w) samples, N samples that hit someone.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate, pad

from reidlab.data.synthetic import raster
from reidlab.data.synthetic.compose import cut_backdrops, cut_props, ground_shadow
from reidlab.data.synthetic.framing import Figures, frame
from reidlab.data.synthetic.places import PLACES
from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.sensor import develop
from reidlab.data.synthetic.shade import gather_surfaces, shade
from reidlab.data.synthetic.shots import Shot
from reidlab.data.synthetic.textures import paint
from reidlab.data.synthetic.truth import describe

BATCH = 48


def render(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    *,
    size: tuple[int, int] = (128, 64),
    supersample: int = 2,
    device: torch.device | str | None = None,
) -> tuple[Tensor, list[dict]]:
    """Images and what is true about them, in the order of `shots`.

    Args:
        shots: what to draw; an image depends on its own shot and camera only.
        cameras: indexed by `Shot.camera`.
        size: height and width in pixels, two to one.
        supersample: samples per pixel side, 1 or more.
        device: where to compute; `None` is the CPU.

    Returns:
        uint8 (N, 3, H, W) on the CPU, and one dict per image: `yaw` in degrees; `box`
        [x0, y0, x1, y1] of the whole person inside the image, in pixels; `parts`, the boxes of
        what is visible of "head", "torso", "legs", "hat", "backpack", "bag", "handbag";
        `occluded`, the hidden share of the person's pixels in the box, 0 to 1; `truncated`,
        whether the box cuts the person. Without a person: no yaw (`None`), no box, no parts.

    Raises:
        ValueError: `size` is not two to one, or `supersample` below 1.
    """
    if size[0] != 2 * size[1] or supersample < 1:
        raise ValueError(f"expected H = 2 W and supersample >= 1, got {size}, {supersample}")
    place = torch.device(device or "cpu")
    images, truths = [torch.empty(0, 3, *size, dtype=torch.uint8)], []
    with torch.inference_mode():
        for start in range(0, len(shots), BATCH):
            batch = shots[start : start + BATCH]
            pixels, truth = _render_batch(batch, cameras, size, supersample, place)
            images.append(pixels.cpu())
            truths += truth
    return torch.cat(images), truths


def _render_batch(
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    size: tuple[int, int],
    supersample: int,
    device: torch.device,
) -> tuple[Tensor, list[dict]]:
    """One batch: backdrop, shadow, people, things, sensor."""
    height, width = size
    h, w = height * supersample, width * supersample
    figures = frame(shots, cameras, (h, w))
    buffer = raster.new_buffer(len(shots), h, w, device)
    first, second = slice(0, figures.mains), slice(figures.mains, None)
    _draw(buffer, figures, first, 0)
    alone = (buffer > 0).sum(dim=(1, 2))
    _draw(buffer, figures, second, raster.SECOND)
    picture = cut_backdrops(shots, cameras, figures, size, supersample, device)
    picture *= ground_shadow(shots, cameras, figures, size, supersample, device)
    hit = torch.nonzero(buffer.view(-1) > 0).view(-1)  # (N,)
    seen = buffer.view(-1)[hit]
    people = torch.zeros(len(shots), 3, h * w, device=device)
    colors = _shade_hits(buffer, hit, seen, figures, shots, cameras, supersample)
    people.permute(1, 0, 2)[:, hit // (h * w), hit % (h * w)] = colors
    people = people.view(-1, 3, h, w)
    cover = (buffer > 0).float()[:, None]
    if supersample > 1:
        people, cover = avg_pool2d(people, supersample), avg_pool2d(cover, supersample)
    picture = picture * (1 - cover) + people
    things, opacity = cut_props(shots, cameras, figures, size, supersample, device)
    picture = torch.lerp(picture, things, opacity)
    truth = describe(shots, figures, hit, seen, alone, opacity, (h, w), supersample)
    return develop(picture, shots, cameras), truth


def _draw(buffer: Tensor, figures: Figures, part: slice, number: int) -> None:
    """Subjects or bystanders."""
    rays = figures.rays
    some = type(rays)(
        rays.center[part], rays.box[part], rays.depth[part], rays.height[part], rays.inverse[part]
    )
    raster.draw(buffer, some, figures.shown[part], figures.images[part], number)


def _shade_hits(
    buffer: Tensor,
    hit: Tensor,
    seen: Tensor,
    figures: Figures,
    shots: Sequence[Shot],
    cameras: Sequence[Camera],
    supersample: int,
) -> Tensor:
    """Colors (3, N) of all samples that hit a person."""
    if not len(hit):
        return torch.zeros(3, 0, device=buffer.device)
    _, h, w = buffer.shape
    image, inside = hit // (h * w), hit % (h * w)
    number = seen & raster.LOW_BITS
    owner = np.zeros((len(shots), 2), dtype=np.int64)  # figure by image and rank
    owner[figures.images[: figures.mains], 0] = np.arange(figures.mains)
    owner[figures.images[figures.mains :], 1] = np.arange(figures.mains, len(figures.people))
    rank = (number > raster.SECOND).long()
    figure = torch.from_numpy(owner).to(buffer.device)[image, rank]
    unique = list(dict.fromkeys(figures.people))
    position = {person: i for i, person in enumerate(unique)}
    surfaces = gather_surfaces(
        figures.rays,
        figures.numbers,
        figures.tags,
        _lights(figures, shots, cameras),
        figures.scale[figures.images],
        [paint(person) for person in unique],
        np.array([position[person] for person in figures.people]),
        buffer.device,
    )
    x, y = (inside % w).float() + 0.5, (inside // w).float() + 0.5
    solid = (number - 1).long() - raster.SECOND * rank
    colors = shade(surfaces, figure, solid, x, y, raster.depth_of(seen))
    return colors * _crevices(buffer, supersample).view(-1)[hit]


def _lights(figures: Figures, shots: Sequence[Shot], cameras: Sequence[Camera]) -> np.ndarray:
    """(F, 6): direction towards the light in view space, its strength, ambient light, warmth."""
    rows = []
    for image in figures.images:
        camera = cameras[shots[image].camera]
        azimuth, elevation = np.radians(camera.sun), np.radians(camera.elevation)
        place = PLACES[camera.place]
        direction = (
            np.sin(azimuth) * np.cos(elevation),
            np.sin(elevation),
            np.cos(azimuth) * np.cos(elevation),
        )
        rows.append((*direction, place.sun, place.ambient, camera.warmth))
    return np.array(rows)


def _crevices(buffer: Tensor, supersample: int) -> Tensor:
    """Darkening (B, h, w) of surfaces that lie behind their neighbourhood, 0.6 to 1."""
    cover = (buffer > 0).float()[:, None]
    depth = raster.depth_of(buffer)[:, None] * cover
    if supersample > 1:
        cover, depth = avg_pool2d(cover, supersample), avg_pool2d(depth, supersample)
    reach = max(2, round(cover.shape[-1] * 3 / 64))
    total = _box_mean(torch.cat([depth, cover], dim=1), reach)  # (B, 2, H, W)
    around = total[:, :1] / total[:, 1:].clamp_min(1e-6)
    around = interpolate(around, scale_factor=supersample) if supersample > 1 else around
    behind = around[:, 0] - raster.depth_of(buffer)
    return (1 - 2.6 * behind).clamp_(0.6, 1.04)


def _box_mean(planes: Tensor, reach: int) -> Tensor:
    """Mean over a square of 2 `reach` + 1 pixels, zeros outside, columns first and then rows."""
    side = 2 * reach + 1
    wide = avg_pool2d(pad(planes, (reach, reach, 0, 0)), (1, side), 1)
    return avg_pool2d(pad(wide, (0, 0, reach, reach)), (side, 1), 1)
