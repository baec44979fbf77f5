"""LA-Transformer: rows of patches, each mixed with the class token, each with its own classifier.

Shapes: B images, h x w patches on the grid, T = h w + 1 tokens (the class token first), D width of
a token, P parts, E width of a bottleneck, C identities.

Source: Sharma, Kapil, Chapman 2021, "Person Re-Identification with a Locally Aware Transformer"
(arXiv:2106.03720). Where paper and released code differ, the code is followed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn

from reidlab.data.transforms import EvalTransform
from reidlab.models.layers import (
    Branches,
    CosineClassifier,
    check_num_ids,
    chosen_neck,
    seeded,
    signed,
)
from reidlab.models.patch_parts import POOLS, side_by_side
from reidlab.models.stems import Pair
from reidlab.models.vit import Stem, ViT, make_vit
from reidlab.models.vit_weights import start_vit

PartsFrom = Literal["rows", "mean", "both"]
WeightOn = Literal["local", "global"]
Head = Literal["linear", "cosine"]
Descriptor = Literal["official", "fused"]
CHOICES = {
    "parts_from": tuple(POOLS),
    "weight_on": ("local", "global"),
    "head": ("linear", "cosine"),
    "descriptor": ("official", "fused"),
}


class Parts(NamedTuple):
    """What the trunk sees: `whole` (B, D), its class token, and `local`, P means of patches."""

    whole: Tensor
    local: list[Tensor]


class PartHead(nn.Module):
    """A bottleneck and a classifier for one part.

    Args:
        dim: D.
        bottleneck: E.
        num_ids: C.
        dropout: share of the bottleneck dropped while training.
        head: "linear", or "cosine" for losses with a margin.
    """

    def __init__(self, dim: int, bottleneck: int, num_ids: int, dropout: float, head: Head) -> None:
        super().__init__()
        self.linear = nn.Linear(dim, bottleneck)
        self.norm = nn.BatchNorm1d(bottleneck)
        self.dropout = nn.Dropout(dropout)
        nn.init.kaiming_normal_(self.linear.weight, mode="fan_out")
        nn.init.zeros_(self.linear.bias)
        nn.init.normal_(self.norm.weight, 1.0, 0.02)
        if head == "cosine":
            self.classifier = CosineClassifier(bottleneck, num_ids)
        else:
            self.classifier = nn.Linear(bottleneck, num_ids)
            nn.init.normal_(self.classifier.weight, std=0.001)
            nn.init.zeros_(self.classifier.bias)

    def forward(self, feature: Tensor) -> Tensor:
        """(B, D) -> identity logits, or cosines, (B, C)."""
        return self.classifier(self.dropout(self.squeeze(feature)))

    def squeeze(self, feature: Tensor) -> Tensor:
        """(B, D) -> what the classifier reads, without dropout (B, E); no activation in between."""
        return self.norm(self.linear(feature))


class LATransformer(nn.Module):
    r"""Image -> P parts, each mixed with the class token -> identity logits of each.

    .. math:: f_i = \frac{c + \lambda p_i}{1 + \lambda} \quad\text{("local") or}\quad
        f_i = \frac{p_i + \lambda c}{1 + \lambda} \quad\text{("global")}

    with the class token c and part p_i, a mean of last tokens.

    Args:
        trunk: tokens of an image.
        num_ids: C, number of training identities.
        parts_from: "rows", the h rows of the grid; "mean", the row and the column of each index
            averaged, see `mean_parts`; "both", h rows and then w columns.
        weight_on: what is multiplied by lambda: the "local" part, as the released code does, or
            the "global" class token, as the paper prints it. We divide by 1 + lambda there, too.
        fusion_weight: lambda; 0 leaves the other of the two alone.
        bottleneck: E, width of the layer before each classifier.
        dropout: share of it dropped while training.
        head: "linear", or "cosine" for AM-Softmax and its like.
        descriptor: what is ranked: "official", the parts p_i without the class token, as in the
            released test; "fused", the f_i (ours).
        preprocess: the eval transform that belongs to the weights.

    Raises:
        ValueError: fewer than one identity, an unknown choice, numbers out of range.

    Source: Sharma et al. 2021 (arXiv:2106.03720) and its released code. "mean" is equation 2 of a
    course report on it (Singla, IIT Delhi); "both" is ours.
    """

    default_neck = "before"

    def __init__(
        self,
        trunk: ViT,
        num_ids: int,
        *,
        parts_from: PartsFrom = "rows",
        weight_on: WeightOn = "local",
        fusion_weight: float = 8.0,
        bottleneck: int = 256,
        dropout: float = 0.5,
        head: Head = "linear",
        descriptor: Descriptor = "official",
        preprocess: EvalTransform,
    ) -> None:
        super().__init__()
        _check_choices(parts_from=parts_from, weight_on=weight_on, head=head, descriptor=descriptor)
        _check_numbers(fusion_weight, bottleneck, dropout)
        self.num_ids = check_num_ids(num_ids)
        self.parts_from, self.descriptor = parts_from, descriptor
        self.weight_on, self.fusion_weight = weight_on, fusion_weight
        self.trunk, self.dim = trunk, trunk.dim
        self.num_parts = trunk.grid[0] + (trunk.grid[1] if parts_from == "both" else 0)
        self.heads = nn.ModuleList(
            PartHead(self.dim, bottleneck, self.num_ids, dropout, head)
            for _ in range(self.num_parts)
        )
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> P fused parts (B, D) and their logits, or cosines, (B, C).

        There is no global branch. Cameras are not used.
        """
        features = self.features(images)
        return Branches(features, self.classify(features))

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> P parts side by side, of length 1 in all: (B, P D), "after" (B, P E).

        Args:
            images: normalised.
            camids: not used.
            viewids: not used.
            neck: "before" (the default) gives the parts that `descriptor` names; "after" the
                bottlenecks of the fused parts, which the published test does not rank.
        """
        if chosen_neck(neck, self.default_neck) == "after":
            return side_by_side(self.bottlenecks(self.features(images)))
        parts = self.parts(images)
        return side_by_side(parts.local if self.descriptor == "official" else self.fuse(parts))

    def vote(self, images: Tensor, scale: float = 30.0) -> Tensor:
        """(B, 3, H, W) -> the softmaxes of all parts added up (B, C); a row adds to P.

        Args:
            images: normalised.
            scale: of the cosines that heads of the other kind give.
        """
        cosines = isinstance(self._heads[0].classifier, CosineClassifier)
        logits = torch.stack(self(images).logits) * (scale if cosines else 1.0)  # (P, B, C)
        return logits.softmax(dim=2).sum(dim=0)

    def features(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> list[Tensor]:
        """The P fused parts (B, D); cameras are not used."""
        return self.fuse(self.parts(images))

    def parts(self, images: Tensor) -> Parts:
        """(B, 3, H, W) -> class token and parts, not yet mixed."""
        tokens = self.trunk(images)
        grid = tokens[:, 1:].unflatten(1, self.trunk.grid)  # (B, N, D) -> (B, h, w, D)
        return Parts(tokens[:, 0], list(POOLS[self.parts_from](grid).unbind(1)))

    def fuse(self, parts: Parts) -> list[Tensor]:
        """Class token and parts -> P fused parts (B, D)."""
        own, share = 1.0, self.fusion_weight  # of the class token, of a part
        if self.weight_on == "global":
            own, share = share, own
        total = own + share
        return [(own * parts.whole + share * part) / total for part in parts.local]

    def classify(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits, or cosines, (B, C) of P features (B, D)."""
        return [head(x) for head, x in zip(self._heads, features, strict=True)]

    def bottlenecks(self, features: Sequence[Tensor]) -> list[Tensor]:
        """What the classifiers read of P features (B, D), without dropout: (B, E) each."""
        return [head.squeeze(x) for head, x in zip(self._heads, features, strict=True)]

    @property
    def _heads(self) -> list[PartHead]:
        return list(self.heads)  # pyright: ignore[reportReturnType]


def _check_choices(**given: str) -> None:
    for name, value in given.items():
        if value not in CHOICES[name]:
            raise ValueError(f"{name} must be one of {', '.join(CHOICES[name])}, got {value!r}")


def _check_numbers(fusion_weight: float, bottleneck: int, dropout: float) -> None:
    if not 0 <= fusion_weight < math.inf:
        raise ValueError(f"fusion_weight must be 0 or more and finite, got {fusion_weight}")
    if bottleneck < 1 or not 0 <= dropout < 1:
        raise ValueError(
            f"expected a bottleneck of 1 or more and a dropout in [0, 1), got {bottleneck}, "
            f"{dropout}"
        )


def la_transformer_base(
    num_ids: int,
    *,
    parts_from: PartsFrom = "rows",
    weight_on: WeightOn = "local",
    fusion_weight: float = 8.0,
    bottleneck: int = 256,
    dropout: float = 0.5,
    head: Head = "linear",
    descriptor: Descriptor = "official",
    image_size: Pair = (224, 224),
    width: int = 768,
    depth: int = 12,
    heads: int = 12,
    drop_path: float = 0.0,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> LATransformer:
    """The published network: ViT-B/16 on squares of 224 pixels, 14 rows, features 14 x 768 wide.

    Args:
        num_ids: C, number of training identities.
        parts_from: "rows", "mean" of row and column, or "both"; see `LATransformer`.
        weight_on: what lambda multiplies: "local" as released, "global" as printed.
        fusion_weight: lambda.
        bottleneck: width of the layer before each classifier.
        dropout: share of it dropped while training.
        head: "linear", or "cosine" for AM-Softmax.
        descriptor: what is ranked: "official", parts alone, or "fused" with the class token.
        image_size: (H, W) in pixels; people are squashed to a square there.
        width: D, of a token.
        depth: number of blocks.
        heads: of the attention; they divide the width.
        drop_path: stochastic depth of the last block; 0 as published.
        pretrained: weights of the trunk to start from: True or a name such as
            "timm:vit_base_patch16_224", or the path of a file; see `start_vit`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `ViT` and `LATransformer`; weights that cannot be had or do not fit.
    """
    own = {"parts_from": parts_from, "weight_on": weight_on, "fusion_weight": fusion_weight}
    own |= {"bottleneck": bottleneck, "dropout": dropout, "head": head, "descriptor": descriptor}
    sizes = {"width": width, "depth": depth, "heads": heads, "drop_path": drop_path}
    preprocess = EvalTransform(image_size, interpolation="bicubic")
    return _made(
        "la_transformer_base", num_ids, own, "vit_base", sizes, preprocess, pretrained, seed
    )


def la_transformer_small(
    num_ids: int,
    *,
    parts_from: PartsFrom = "rows",
    weight_on: WeightOn = "local",
    fusion_weight: float = 8.0,
    bottleneck: int = 256,
    dropout: float = 0.5,
    head: Head = "linear",
    descriptor: Descriptor = "official",
    image_size: Pair = (128, 64),
    stem: Stem = "conv",
    width: int = 128,
    depth: int = 4,
    heads: int = 4,
    drop_path: float = 0.0,
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> LATransformer:
    """The desk network: width 128, four blocks, a convolutional stem, 8 rows of 4 patches.

    Pixels are normalised to -1..1, as for the shipped checkpoint that it may start from.

    Args:
        num_ids: C, number of training identities.
        parts_from: "rows", "mean" of row and column, or "both"; see `LATransformer`.
        weight_on: what lambda multiplies: "local" as released, "global" as printed.
        fusion_weight: lambda.
        bottleneck: width of the layer before each classifier.
        dropout: share of it dropped while training.
        head: "linear", or "cosine" for AM-Softmax.
        descriptor: what is ranked: "official", parts alone, or "fused" with the class token.
        image_size: (H, W) in pixels.
        stem: "conv", which learns from few images, or "patch".
        width: D, of a token.
        depth: number of blocks.
        heads: of the attention; they divide the width.
        drop_path: stochastic depth of the last block.
        pretrained: a trained network whose trunk to start from: the name of a shipped checkpoint,
            such as "abroad", a run's folder, or a file; see `start_vit`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `ViT` and `LATransformer`; there is no such trained network, or it does not
            fit.
    """
    own = {"parts_from": parts_from, "weight_on": weight_on, "fusion_weight": fusion_weight}
    own |= {"bottleneck": bottleneck, "dropout": dropout, "head": head, "descriptor": descriptor}
    sizes = {"stem": stem, "width": width, "depth": depth, "heads": heads, "drop_path": drop_path}
    half = (0.5, 0.5, 0.5)  # of pixels, as the shipped transformers have it
    preprocess = EvalTransform(image_size, mean=half, std=half)
    return _made("la_transformer_small", num_ids, own, "desk", sizes, preprocess, pretrained, seed)


def _made(
    name: str,
    num_ids: int,
    own: dict[str, Any],
    vit: str,
    sizes: dict[str, Any],
    preprocess: EvalTransform,
    pretrained: bool | str | Path,
    seed: int,
) -> LATransformer:
    """The network, remembering how to construct it again."""
    with seeded(seed):
        trunk = make_vit(vit, preprocess.size, **sizes)
        start = start_vit(trunk, pretrained, seed)
        model = LATransformer(trunk, num_ids, **own, preprocess=preprocess)
    arguments = {"num_ids": model.num_ids, "image_size": list(preprocess.size)}
    return signed(model, name, arguments | own | sizes, start)
