"""A yardstick for difficulty: how far does clothing color alone go?

A data set whose people are found again by plain color statistics teaches nothing, and one in
which they say nothing is unfair. The stripe descriptor measures where between the two it lies.
"""

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d


def stripe_descriptor(images: Tensor, stripes: int = 6) -> Tensor:
    """Color statistics of horizontal stripes, (N, 6 * stripes) float32.

    Grey-world first: every image's channels are scaled to the same mean, which removes most of a
    camera's color cast without knowing the camera. Then the mean and the standard deviation of
    red, green and blue over the middle half of each stripe, each column of the result
    standardised over the images given.

    Args:
        images: (N, 3, H, W) uint8, of all cameras together.
        stripes: how many, from top to bottom.
    """
    if images.ndim != 4 or images.shape[1] != 3:
        raise ValueError(f"expected images (N, 3, H, W), got {tuple(images.shape)}")
    if not len(images):
        return torch.zeros(0, 6 * stripes)
    floats = images.float() / 255
    world = floats.mean(dim=(2, 3), keepdim=True)  # (N, 3, 1, 1)
    balanced = floats * (0.5 / world.clamp_min(1e-3))
    width = images.shape[-1]
    middle = balanced[..., width // 4 : width - width // 4]
    parts = []
    for stripe in middle.tensor_split(stripes, dim=2):
        parts += [stripe.mean(dim=(2, 3)), stripe.std(dim=(2, 3))]
    features = torch.cat(parts, dim=1)  # (N, 6 * stripes)
    spread = features.std(dim=0, keepdim=True, correction=0).clamp_min(1e-6)
    return (features - features.mean(dim=0, keepdim=True)) / spread


def appearance(images: Tensor) -> dict[str, float]:
    """What a world looks like in five numbers: mean red, green, blue, saturation, contrast.

    Saturation is (max - min) / max of the channels, 0 to 1, on means of 8x8 pixels, since sensor
    noise is colorful too. Contrast is the deviation of brightness within an image. Colors and
    contrast are in levels of 0 to 255.

    Args:
        images: (N, 3, H, W) uint8.
    """
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        raise ValueError(f"expected images (N, 3, H, W), at least one, got {tuple(images.shape)}")
    floats = images.float()
    red, green, blue = floats.mean(dim=(0, 2, 3)).tolist()
    coarse = avg_pool2d(floats, 8)
    most, least = coarse.amax(dim=1), coarse.amin(dim=1)
    saturation = (most - least) / most.clamp_min(1)
    contrast = floats.mean(dim=1).std(dim=(1, 2)).mean()
    means = {"red": red, "green": green, "blue": blue}
    return means | {"saturation": saturation.mean().item(), "contrast": contrast.item()}
