"""TransReID: a vision transformer with side information, jigsaw patches and batch-norm necks.

Shapes: B images, N patches, T = N + 1 tokens (the class token first), D width, C identities,
k local branches that see L patches each.

Source: He et al. 2021, "TransReID: Transformer-based Object Re-Identification" (arXiv:2102.04378).
Where paper and released code differ, the code is followed and the paper's way is an option.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from reidlab.data.transforms import IMAGENET_MEAN, IMAGENET_STD, EvalTransform
from reidlab.models.blocks import RECOMPUTE, Block, Recompute
from reidlab.models.jigsaw import Jigsaw, local_patches, padded
from reidlab.models.layers import (
    BNNeck,
    Branches,
    CosineClassifier,
    check_no_neck,
    check_num_ids,
    chosen_neck,
    seeded,
    signed,
)
from reidlab.models.sides import SideTable, Unseen
from reidlab.models.stems import Pair
from reidlab.models.vit import ViT, make_vit
from reidlab.models.vit_weights import start_vit

Head = Literal["linear", "cosine"]
Statistics = Literal["half", "imagenet"]
STATISTICS = {"half": ((0.5,) * 3, (0.5,) * 3), "imagenet": (IMAGENET_MEAN, IMAGENET_STD)}


class TransReID(nn.Module):
    """Image, camera and view -> one global and k local features -> identity logits of each.

    Args:
        trunk: tokens of an image; `trunk.side_embed` has a row per camera, per view, or per pair.
        num_ids: C, number of training identities.
        sides: which of its rows belongs to a camera and a view; None where there is no table.
        parts: k, local branches; 0 for the plain network.
        shift: patches that the jigsaw moves; see `jigsaw_order`.
        groups: that it deals them to.
        rearrange: without it each local branch sees a run of neighbours.
        jigsaw: "released" or "even"; see `jigsaw_order`.
        bnneck: a batch norm between a feature and its classifier.
        head: "linear", or "cosine" for losses with a margin.
        preprocess: the eval transform that belongs to the weights.
        default_neck: side of the neck that `embed` reads: "before" or "after".

    Raises:
        ValueError: fewer than one identity, an unknown name, a grid that the jigsaw cannot split,
            a trunk whose table has other rows than `sides`.
    """

    def __init__(
        self,
        trunk: ViT,
        num_ids: int,
        *,
        sides: SideTable | None = None,
        parts: int = 4,
        shift: int = 5,
        groups: int = 2,
        rearrange: bool = True,
        jigsaw: Jigsaw = "released",
        bnneck: bool = True,
        head: Head = "linear",
        preprocess: EvalTransform,
        default_neck: str = "before",
    ) -> None:
        super().__init__()
        _check_rows(trunk, sides)
        self.num_ids, self.parts, self.sides = check_num_ids(num_ids), parts, sides
        self.trunk, self.bnneck = trunk, bnneck
        self.default_neck = chosen_neck(default_neck, default_neck)
        self.necks = nn.ModuleList(
            _neck(trunk.dim, num_ids, bnneck, head) for _ in range(1 + parts)
        )
        self.patches: list[list[int]] = []
        self._seen: Tensor
        self._ignored: Tensor | None
        if parts:
            count = trunk.grid[0] * trunk.grid[1]
            how: dict[str, Any] = {"rearrange": rearrange, "jigsaw": jigsaw}
            self.patches = local_patches(count, parts, shift=shift, groups=groups, **how)
            self.local_end = End(copy.deepcopy(trunk.blocks[-1]), copy.deepcopy(trunk.norm))
            seen, ignored = padded(self.patches)
            self.register_buffer("_seen", seen, persistent=False)
            self.register_buffer("_ignored", ignored, persistent=False)
        self.preprocess = preprocess
        self.origin: dict[str, Any] = {}

    def forward(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> Branches:
        """(B, 3, H, W) -> features (B, D) and logits (B, C), the global branch first.

        Args:
            images: normalised.
            camids: zero-based (B,), needed where the table knows cameras.
            viewids: zero-based (B,), needed where it knows views.

        Raises:
            ValueError: another image size; labels that are missing or unknown to the table.
        """
        features = self.features(images, camids, viewids)
        return Branches(features, self.classify(features))

    def embed(
        self,
        images: Tensor,
        camids: Tensor | None = None,
        viewids: Tensor | None = None,
        neck: str | None = None,
    ) -> Tensor:
        """(B, 3, H, W) -> global feature, then each local one divided by k, (B, D (1 + k)).

        Not L2-normalised.
        """
        side = chosen_neck(neck, self.default_neck)
        if not self.bnneck:
            check_no_neck(side)
        features = self.features(images, camids, viewids)
        if side == "after":
            features = [n.norm(f) for n, f in zip(self._necks, features, strict=True)]
        whole, *local = features
        return torch.cat([whole, *(feature / self.parts for feature in local)], dim=1)

    def features(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> list[Tensor]:
        """The features (B, D) before their necks: of the whole image, then of each part."""
        tokens = self.trunk.tokens(images, self._rows(images, camids, viewids))
        before = self.trunk.run(tokens, slice(None, -1))  # (B, T, D)
        whole = self.trunk.norm(self.trunk.run(before, slice(-1, None)))[:, 0]
        return [whole, *self._local(before)] if self.parts else [whole]

    def classify(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Logits (B, C) of features (B, D), one of each branch."""
        return [neck(x)[1] for neck, x in zip(self._necks, features, strict=True)]

    def attention(
        self, images: Tensor, camids: Tensor | None = None, viewids: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Last tokens of the global branch (B, T, D), and each block's weights (B, heads, T, T)."""
        return self.trunk.attention(images, self._rows(images, camids, viewids))

    def forget_cameras(self, unseen: Literal["mean", "none"]) -> None:
        """From now on treat the cameras and views of all images as unknown: those of other data.

        Args:
            unseen: what they get: "mean" of the trained rows, or "none".

        Raises:
            ValueError: an unknown name.
        """
        if self.sides is not None:
            self.sides = self.sides.for_strangers(unseen)

    def _local(self, tokens: Tensor) -> tuple[Tensor, ...]:
        """Tokens before the last block (B, T, D) -> k features (B, D), by one batched pass."""
        batch, _, width = tokens.shape
        first = tokens[:, None, :1].expand(-1, self.parts, -1, -1)  # (B, k, 1, D)
        seen = tokens[:, 1:][:, self._seen]  # (B, k, L, D)
        x = torch.cat([first, seen], dim=2).flatten(0, 1)  # (B k, 1 + L, D)
        ignored = None if self._ignored is None else self._ignored.repeat(batch, 1)  # (B k, 1 + L)
        return self.local_end(x, ignored)[:, 0].view(batch, self.parts, width).unbind(1)

    def _rows(self, images: Tensor, camids: Tensor | None, viewids: Tensor | None) -> Tensor | None:
        """What the trunk needs to know about cameras and views."""
        if self.sides is None or self.trunk.side_embed is None:
            return None
        return self.sides.rows(self.trunk.side_embed, len(images), camids, viewids)

    @property
    def _necks(self) -> list[BNNeck]:
        return list(self.necks)  # pyright: ignore[reportReturnType]


class End(nn.Module):
    """The last block and the norm after it, which all local branches share.

    Args:
        block: maps tokens to tokens.
        norm: after it.
    """

    def __init__(self, block: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.block, self.norm = block, norm

    def forward(self, tokens: Tensor, ignored: Tensor | None = None) -> Tensor:
        """Tokens (B, T, D) -> (B, T, D); `ignored` (B, T), where true, is looked at by nobody."""
        block = self.block
        assert isinstance(block, Block)
        return self.norm(block(tokens, ignored))


def _check_rows(trunk: ViT, sides: SideTable | None) -> None:
    """Refuse a trunk whose table of side information is not that of `sides`."""
    found = 0 if trunk.side_embed is None else len(trunk.side_embed)
    wanted = 0 if sides is None else len(sides)
    if found != wanted:
        raise ValueError(
            f"the trunk's table of side information has {found} rows, cameras and views make "
            f"{wanted}; construct the trunk with sides={wanted}"
        )


def _neck(dim: int, num_ids: int, bnneck: bool, head: str) -> BNNeck:
    """Batch norm and classifier of one branch, with what was asked for in their places."""
    if head not in ("linear", "cosine"):
        raise ValueError(f"head must be one of linear, cosine, got {head!r}")
    neck = BNNeck(dim, num_ids)
    if not bnneck:
        neck.norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]
    if head == "cosine":
        neck.classifier = CosineClassifier(dim, num_ids)  # pyright: ignore
    return neck


def transreid(
    num_ids: int,
    *,
    vit: str = "vit_base",
    sizes: Mapping[str, Any] | None = None,
    image_size: Pair = (256, 128),
    stride: int | Pair = 16,
    num_cameras: int = 0,
    num_views: int = 0,
    sie_coefficient: float = 3.0,
    untrained: Sequence[int] = (),
    unseen: Unseen = "error",
    parts: int = 4,
    shift: int = 5,
    groups: int = 2,
    rearrange: bool = True,
    jigsaw: Jigsaw = "released",
    bnneck: bool = True,
    head: Head = "linear",
    drop_path: float = 0.1,
    recompute: Recompute = "never",
    statistics: Statistics = "half",
    default_neck: str = "before",
    pretrained: bool | str | Path = False,
    seed: int = 0,
) -> TransReID:
    """The published network: ViT-B/16, four local branches, features 5 x 768 wide.

    Args:
        num_ids: C, number of training identities.
        vit: the trunk, a key of `VITS`: "vit_base", "vit_small", "deit_small", "desk", ...
        sizes: arguments of `ViT` that replace those of the trunk: width, depth, heads, ...
        image_size: (H, W) in pixels.
        stride: pixels from one patch to the next, one number or (down, across); below 16 they
            overlap.
        num_cameras: cameras that a table of side information has rows for; 0 for no such table.
        num_views: views, likewise; with both there is a row per pair.
        sie_coefficient: lambda, what the rows are multiplied by.
        untrained: zero-based cameras that no training image shows.
        unseen: what images of such cameras get: "error", "mean" or "none"; see `SideTable`.
        parts: k, local branches; 0 for none.
        shift: see `jigsaw_order`.
        groups: see `jigsaw_order`.
        rearrange: False leaves patches where they are.
        jigsaw: "released" or "even"; see `jigsaw_order`.
        bnneck: a batch norm between feature and classifier.
        head: "linear", or "cosine" for losses with a margin.
        drop_path: stochastic depth of the last block.
        recompute: "always" or, on a CPU, "cpu": compute the layers of each block twice while
            training instead of keeping them, which halves the memory and changes no result.
        statistics: of the pixels: "half", 0.5 for all, as for people; "imagenet".
        default_neck: side of the neck that is ranked.
        pretrained: weights of the trunk to start from: True or a name such as
            "timm:vit_base_patch16_224", the path of a file, or a checkpoint of this package such
            as "abroad"; see `start_vit`.
        seed: of the other initial weights.

    Raises:
        ValueError: as `ViT`, `SideTable` and `TransReID`; weights that cannot be had or do not fit.
    """
    if statistics not in STATISTICS:
        raise ValueError(f"statistics must be one of {', '.join(STATISTICS)}, got {statistics!r}")
    if recompute not in RECOMPUTE:
        raise ValueError(f"recompute must be one of {', '.join(RECOMPUTE)}, got {recompute!r}")
    table = None
    if num_cameras or num_views:
        table = SideTable(num_cameras, num_views, untrained=untrained, unseen=unseen)
    own = {"shift": shift, "groups": groups, "rearrange": rearrange, "jigsaw": jigsaw}
    own |= {"parts": parts, "bnneck": bnneck, "head": head, "default_neck": default_neck}
    rows = len(table) if table else 0
    with seeded(seed):
        chosen: dict[str, Any] = {"stride": stride, "drop_path": drop_path, **(sizes or {})}
        trunk = make_vit(vit, image_size, sides=rows, side_scale=sie_coefficient, **chosen)
        start = start_vit(trunk, pretrained, seed, vit)
        preprocess = EvalTransform(image_size, *STATISTICS[statistics])
        for block in trunk.blocks:
            block.recompute = recompute  # pyright: ignore
        model = TransReID(trunk, num_ids, sides=table, preprocess=preprocess, **own)
    arguments = {"num_ids": model.num_ids, "vit": vit, "image_size": list(image_size)}
    arguments |= {"stride": list(trunk.stride), "drop_path": drop_path, "statistics": statistics}
    arguments |= {"num_cameras": num_cameras, "num_views": num_views, "unseen": unseen}
    arguments |= {"sie_coefficient": sie_coefficient, "untrained": list(untrained)}
    if sizes:
        arguments["sizes"] = dict(sizes)
    return signed(model, "transreid", arguments | own, start)


def transreid_small(num_ids: int, **changes: Any) -> TransReID:
    """The desk network: width 128, four blocks, a convolutional stem, images of 128x64.

    Args:
        num_ids: C, number of training identities.
        changes: replace arguments of `transreid`.

    Raises:
        ValueError: as `transreid`.
    """
    return transreid(num_ids, **({"vit": "desk", "image_size": (128, 64)} | changes))
