"""From a clean picture to what a surveillance camera delivers.

Shapes: B images. Everything works on (B, 3, H, W) float in [0, 1].
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import conv2d, interpolate, pad

from reidlab.data.synthetic.scene import Camera
from reidlab.data.synthetic.shots import Shot


def develop(images: Tensor, shots: Sequence[Shot], cameras: Sequence[Camera]) -> Tensor:
    """Blur, motion, color, tone and noise of each image's camera -> uint8 (B, 3, H, W)."""
    device, (height, width) = images.device, images.shape[-2:]
    kernels = [_kernel(s, cameras[s.camera], height) for s in shots]
    blurred = _convolve(images, torch.from_numpy(np.stack(kernels)).to(device))
    _defocus(blurred, shots)
    styles = np.array([_style(s, cameras[s.camera]) for s in shots], dtype=np.float32)
    table = torch.from_numpy(styles).to(device)[:, :, None, None, None]  # (B, 12, 1, 1, 1)
    saturation, contrast, haze, gamma, gain, noise = (table[:, i] for i in range(6))
    balance, veil = table[:, 6:9, 0], table[:, 9:, 0]  # (B, 3, 1, 1) each
    weights = torch.tensor([0.299, 0.587, 0.114], device=device)[:, None, None]
    gray = (blurred * weights).sum(dim=1, keepdim=True)
    toned = torch.lerp(gray, blurred, saturation) * (balance * gain)
    toned = toned.clamp_(1e-4, 1).pow_(gamma).sub_(0.5).mul_(contrast).add_(0.5)
    toned = torch.lerp(toned, veil, haze)
    grain = [_grain(s.noise, height, width) for s in shots]
    toned = toned.addcmul_(torch.from_numpy(np.stack(grain)).to(device), noise)
    _enlarge(toned, shots)
    return toned.mul_(255).add_(0.5).clamp_(0, 255).to(torch.uint8)


def _style(shot: Shot, camera: Camera) -> list[float]:
    """Camera numbers at the shot's strength, the exposure folded into the gain."""
    part = shot.strength

    def toward(neutral: float, value: float) -> float:
        return neutral + part * (value - neutral)

    return [
        toward(1.0, camera.saturation),
        toward(1.0, camera.contrast),
        part * camera.haze,
        toward(1.0, camera.gamma),
        toward(1.0, camera.gain) * shot.exposure,
        part * camera.noise,
        *(toward(1.0, value) for value in camera.balance),
        *camera.veil,
    ]


def _grain(seed: int, height: int, width: int) -> np.ndarray:
    """Sensor noise of one image, (3, height, width), standard deviation one."""
    rng = np.random.Generator(np.random.SFC64(seed))
    return rng.standard_normal((3, height, width), dtype=np.float32)


def _kernel(shot: Shot, camera: Camera, height: int) -> np.ndarray:
    """5 x 5 (per 128 rows) point spread: a Gaussian smeared along the motion."""
    scale = height / 128
    reach = max(2, round(2 * scale))
    sigma = (0.3 + shot.strength * max(camera.blur - 0.3, 0)) * scale
    y, x = np.mgrid[-reach : reach + 1, -reach : reach + 1].astype(np.float32)
    total = np.zeros_like(x)
    for t in (-0.5, -0.25, 0.0, 0.25, 0.5):
        dx, dy = (t * streak * scale for streak in shot.motion)
        total += np.exp(-((x - dx) ** 2 + (y - dy) ** 2) / (2 * sigma**2))
    return total / total.sum()


def _convolve(images: Tensor, kernels: Tensor) -> Tensor:
    """Each image (B, 3, H, W) with its own kernel (B, k, k)."""
    count, _, height, width = images.shape
    reach = kernels.shape[-1] // 2
    padded = pad(images, (reach,) * 4, mode="replicate").reshape(
        1, count * 3, *(side + 2 * reach for side in (height, width))
    )
    weight = kernels[:, None].repeat_interleave(3, dim=0)  # (3B, 1, k, k)
    return conv2d(padded, weight, groups=count * 3).view(count, 3, height, width)


def _defocus(images: Tensor, shots: Sequence[Shot]) -> None:
    """Blurs those (B, 3, H, W) that a shot says are out of focus, in place."""
    scale = images.shape[-2] / 128
    for i, shot in enumerate(shots):
        if any(shot.defocus):
            for dim, sigma in zip((-1, -2), shot.defocus, strict=True):
                images[i] = _smear(images[i], sigma * scale, dim)


def _smear(image: Tensor, sigma: float, dim: int) -> Tensor:
    """Gaussian blur of (3, H, W) along its columns (-1) or rows (-2)."""
    reach = max(1, round(2.5 * sigma))
    t = torch.arange(-reach, reach + 1, device=image.device)
    kernel = torch.exp(-((t / sigma) ** 2) / 2)
    kernel = (kernel / kernel.sum()).view((1, 1, 1, -1) if dim == -1 else (1, 1, -1, 1))
    margin = (reach, reach, 0, 0) if dim == -1 else (0, 0, reach, reach)
    return conv2d(pad(image[:, None], margin, mode="replicate"), kernel)[:, 0]


def _enlarge(images: Tensor, shots: Sequence[Shot]) -> None:
    """Shrinks and enlarges those (B, 3, H, W) of which less was recorded, in place."""
    size = images.shape[-2:]
    for i, shot in enumerate(shots):
        if shot.detail < 1:
            few = [max(4, round(side * shot.detail)) for side in size]
            small = interpolate(images[i : i + 1], size=few, mode="area")
            images[i] = interpolate(small, size=size, mode="bilinear", align_corners=False)[0]
