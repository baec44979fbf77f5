"""Solids and the z-buffer against a slow search along each ray."""

import numpy as np
import torch

from reidlab.data.synthetic import raster
from reidlab.data.synthetic.quadrics import prepare


def slow_depth(frame, origin, numbers, x, y, depths):
    """Nearest depth at which the ray crosses the surface, by looking for a change of sign."""
    e, k, r0, lo, hi = numbers[:5]
    points = np.stack([np.full_like(depths, x), np.full_like(depths, y), depths])
    q = np.linalg.solve(frame, points - origin[:, None])
    f = q[0] ** 2 + q[2] ** 2 + e * q[1] ** 2 - (r0 + k * q[1]) ** 2
    crossings = np.flatnonzero(np.signbit(f[:-1]) != np.signbit(f[1:]))
    if not len(crossings):
        return None
    nearest = crossings[-1]  # depth grows towards the camera
    return depths[nearest] if lo <= q[1, nearest] <= hi else None


def test_drawn_depth_matches_a_search_along_each_ray():
    rng = np.random.default_rng(0)
    depths = np.linspace(-1.6, 1.6, 6001)
    for case in range(12):
        round_ = case % 2
        frame = rng.normal(0, 1, (3, 3)) @ np.diag([0.2, 0.5, 0.25])
        frame[:2] *= 12  # pixels
        origin = np.array([16.0, 16.0, 0.1])
        numbers = np.array([round_, 0 if round_ else -0.3, 1.0, -0.6, 0.8, 0, 0])
        rays = prepare(frame[None, None], origin[None, None], numbers[None, None])
        buffer = raster.new_buffer(1, 32, 32, torch.device("cpu"))
        raster.draw(buffer, rays, np.array([[True]]), np.array([0]), 0)
        depth = raster.depth_of(buffer)[0].numpy()
        wrong = 0
        for row in range(0, 32, 3):
            for column in range(0, 32, 3):
                slow = slow_depth(frame, origin, numbers, column + 0.5, row + 0.5, depths)
                drawn = depth[row, column] if buffer[0, row, column] > 0 else None
                if slow is None or drawn is None:
                    wrong += (slow is None) != (drawn is None)
                else:
                    assert abs(slow - drawn) < 3e-3
        assert wrong <= 1  # a sample may lie on the very edge


def test_nearer_solid_wins_whatever_the_order():
    frames = np.tile(np.diag([8.0, 8.0, 0.5]), (1, 2, 1, 1))
    numbers = np.tile(np.array([1.0, 0, 1, -1, 1, 0, 0]), (1, 2, 1))
    for near in (0, 1):
        origins = np.zeros((1, 2, 3)) + [16, 16, 0]
        origins[0, near, 2] = 0.4
        buffer = raster.new_buffer(1, 32, 32, torch.device("cpu"))
        rays = prepare(frames, origins, numbers)
        raster.draw(buffer, rays, np.ones((1, 2), bool), np.array([0]), 0)
        assert int(buffer[0, 16, 16]) & raster.LOW_BITS == near + 1
