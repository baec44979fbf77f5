"""Identity losses with a margin, on cosines of features and class weights.

Shapes: B images, C training identities. `cosines` (B, C) come from a `CosineClassifier`, `pids`
(B,) int64 are classes in 0..C-1. Each loss is the cross-entropy of its logits: the cosine of the
true class is made smaller, and all are scaled, since a softmax of plain cosines is nearly flat.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from reidlab.losses.checks import check_classes


def cosface_logits(
    cosines: Tensor, pids: Tensor, scale: float = 16.0, margin: float = 0.1
) -> Tensor:
    """Logits (B, C) of CosFace: g (cos - m) for the true class, g cos for the others."""
    cosines, target = _checked(cosines, pids, scale, margin)
    return scale * torch.where(target, cosines - margin, cosines)


def arcface_logits(
    cosines: Tensor, pids: Tensor, scale: float = 16.0, margin: float = 0.1
) -> Tensor:
    """Logits (B, C) of ArcFace: g cos(angle + m) for the true class, g cos for the others.

    Beyond an angle of pi - m, where cos(angle + m) would rise again, g (cos - m sin m).
    """
    cosines, target = _checked(cosines, pids, scale, margin)
    sine = (1 - cosines.square()).clamp_min(1e-12).sqrt()  # above 0: its slope stays finite
    turned = cosines * math.cos(margin) - sine * math.sin(margin)
    beyond = cosines <= -math.cos(margin)
    lowered = torch.where(beyond, cosines - margin * math.sin(margin), turned)
    return scale * torch.where(target, lowered, cosines)


def circle_logits(
    cosines: Tensor, pids: Tensor, scale: float = 96.0, margin: float = 0.3
) -> Tensor:
    """Logits (B, C) of Circle loss: cosines weighted by their distance from the optimum.

    g [1 + m - cos]+ (cos - 1 + m) for the true class, g [cos + m]+ (cos - m) for the others; the
    weights in brackets have no gradient.
    """
    cosines, target = _checked(cosines, pids, scale, margin)
    fixed = cosines.detach()
    own = F.relu(1 + margin - fixed) * (cosines - 1 + margin)
    other = F.relu(fixed + margin) * (cosines - margin)
    return scale * torch.where(target, own, other)


def cosface(cosines: Tensor, pids: Tensor, scale: float = 16.0, margin: float = 0.1) -> Tensor:
    r"""Cross-entropy in which the true class must win by a margin in cosine.

    .. math:: L = -\frac{1}{B} \sum_b \log \frac{e^{g (\cos\theta_y - m)}}
        {e^{g (\cos\theta_y - m)} + \sum_{j \ne y} e^{g \cos\theta_j}}

    Args:
        cosines: (B, C) in [-1, 1].
        pids: (B,) int64 in 0..C-1.
        scale: g.
        margin: m, a difference of cosines.

    Raises:
        ValueError: shapes disagree, values that are no cosines, a scale not above 0 or a margin
            outside [0, pi).

    Source: Wang et al. 2018, "CosFace: Large Margin Cosine Loss for Deep Face Recognition"
    (arXiv:1801.09414), eq. 4.
    """
    return F.cross_entropy(cosface_logits(cosines, pids, scale, margin), pids)


def am_softmax(cosines: Tensor, pids: Tensor, scale: float = 30.0, margin: float = 0.35) -> Tensor:
    """AM-Softmax: the formula of `cosface`, with its authors' scale and margin.

    Source: Wang et al. 2018, "Additive Margin Softmax for Face Verification" (arXiv:1801.05599),
    eq. 6. Its experiments use a scale of 30 and a margin of 0.35.
    """
    return cosface(cosines, pids, scale, margin)


def arcface(cosines: Tensor, pids: Tensor, scale: float = 16.0, margin: float = 0.1) -> Tensor:
    r"""Cross-entropy in which the true class must win by a margin in angle.

    .. math:: L = -\frac{1}{B} \sum_b \log \frac{e^{g \cos(\theta_y + m)}}
        {e^{g \cos(\theta_y + m)} + \sum_{j \ne y} e^{g \cos\theta_j}}

    Args:
        cosines: (B, C) in [-1, 1].
        pids: (B,) int64 in 0..C-1.
        scale: g.
        margin: m, an angle in radians; see `arcface_logits` for angles beyond pi - m.

    Raises:
        ValueError: as `cosface`.

    Source: Deng et al. 2019, "ArcFace: Additive Angular Margin Loss for Deep Face Recognition"
    (arXiv:1801.07698), eq. 3; the paper has no fall-back beyond pi - m.
    """
    return F.cross_entropy(arcface_logits(cosines, pids, scale, margin), pids)


def circle(cosines: Tensor, pids: Tensor, scale: float = 96.0, margin: float = 0.3) -> Tensor:
    """Cross-entropy of `circle_logits`: classes far from their optimum pull harder.

    Args:
        cosines: (B, C) in [-1, 1].
        pids: (B,) int64 in 0..C-1.
        scale: g.
        margin: m; the true class aims at 1 + m and the others at -m.

    Raises:
        ValueError: as `cosface`.

    Source: Sun et al. 2020, "Circle Loss" (arXiv:2002.10857), eq. 4 to 8, its case with
    class-level labels.
    """
    return F.cross_entropy(circle_logits(cosines, pids, scale, margin), pids)


CLASSIFICATIONS = {
    "cosface": cosface,
    "arcface": arcface,
    "circle": circle,
    "am-softmax": am_softmax,
}


def _checked(cosines: Tensor, pids: Tensor, scale: float, margin: float) -> tuple[Tensor, Tensor]:
    """Cosines in at least float32, and where the true class stands, (B, C) bool."""
    if cosines.ndim != 2 or pids.shape != cosines.shape[:1]:
        got = f"{tuple(cosines.shape)} and {tuple(pids.shape)}"
        raise ValueError(f"expected cosines (B, C) and pids (B,), got {got}")
    if not 0 < scale < math.inf or not 0 <= margin < math.pi:
        raise ValueError(f"expected scale > 0 and 0 <= margin < pi, got {scale} and {margin}")
    cosines = cosines.to(torch.promote_types(cosines.dtype, torch.float32))
    largest = cosines.detach().abs().amax().item() if cosines.numel() else 0.0
    if largest > 1.01:  # rounding may exceed 1 a little
        raise ValueError(
            f"expected cosines in [-1, 1], got values up to {largest:.3g}; they come from a "
            "CosineClassifier, not from a plain linear layer"
        )
    check_classes(pids, cosines.shape[1])
    return cosines, F.one_hot(pids, cosines.shape[1]).bool()
