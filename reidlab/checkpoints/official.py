"""Weights that other projects published, in networks of reidlab."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reidlab.checkpoints.keys import LAYOUTS, SOURCES, look_of
from reidlab.checkpoints.layouts import Layout
from reidlab.models.states import find_state, mismatch
from reidlab.models.weights import NeedsCodeError, read_weights


def load_official(
    source: str, weights: Path | str | Mapping[str, Any], **settings: Any
) -> nn.Module:
    """A network in eval mode, filled with the weights that another project trained.

    It has the `preprocess` and the side of the neck that the project evaluates, may be trained
    further, and can be saved by `save_model`. Shapes tell the number of people and the width.

    Args:
        source: the project: "strong-baseline", "transreid" (vision transformers of every kind, and
            its ResNet-50), "ianet", "alignedreid" (AlignedReID++), or "la-transformer".
        weights: path of its weights file (.pth, .pt, .safetensors), or a state dict. The prefix
            "module." and one level of wrapping ("state_dict", "model", ...) are taken off.
        **settings: what shapes do not tell, named as in our constructor: `image_size` (height,
            width) in pixels, (256, 128) by default. Of a ResNet: `last_stride`, 1 or 2, by default
            2 of "alignedreid" and 1 of the others. Of TransReID's transformers: `stride`, 16 by
            default; `num_cameras` and `num_views`, which its table of side information has rows
            for, 0 by default; `sie_coefficient`, 3; `unseen`, what an image of another camera
            gets; `statistics`, "half" or "imagenet"; with local branches `shift`, 5, `groups`, 2,
            and `rearrange`. Of LA-Transformer, whose shapes tell the image: `fusion_weight`, 8, and
            `descriptor`, "official" or "fused".

    Raises:
        ValueError: an unknown source or setting; the file is missing, damaged or would have to be
            executed; keys or shapes do not fit, which are listed.

    Sources: Luo et al. 2019, "Bag of Tricks and a Strong Baseline for Deep Person
    Re-Identification" (arXiv:1903.07071); He et al. 2021, "TransReID" (arXiv:2102.04378);
    Luo et al. 2019, "AlignedReID++" (Pattern Recognition 94); Hou et al. 2019,
    "Interaction-and-Aggregation Network for Person Re-identification" (arXiv:1907.08435);
    Sharma et al. 2021, "Person Re-Identification with a Locally Aware Transformer"
    (arXiv:2106.03720).
    """
    layouts = [layout for layout in LAYOUTS if layout.source == source]
    if not layouts:
        raise ValueError(f"unknown source {source!r}; choose one of {', '.join(SOURCES)}")
    state, where = _state(layouts, weights)
    layout = max(layouts, key=lambda candidate: candidate.share(state)).adapted(state)
    chosen = _check_settings(layout, settings)
    expected = layout.expected(state, chosen)
    if problems := mismatch(expected, state, layout.ignored):
        reason = layout.hint(state, chosen)
        raise ValueError(_explain(layout, state, where, [*([reason] if reason else []), *problems]))
    model = layout.construct(state, chosen)
    given = {layout.ours(key): state[key] for key in expected.keys() & state.keys()}
    model.load_state_dict(model.state_dict() | given)  # a missing counter keeps its value
    _sign(model, source)
    return model.eval()


def _state(
    layouts: Iterable[Layout], weights: Path | str | Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """The state dict, and what to call it in messages."""
    where = "the state dict" if isinstance(weights, Mapping) else str(weights)
    if isinstance(weights, nn.Module):
        raise ValueError("expected a file or a state dict, got a network; pass its state_dict()")
    if isinstance(weights, str | Path):
        try:
            weights = read_weights(weights)
        except NeedsCodeError as error:
            released = "; ".join(layout.released for layout in layouts if layout.released)
            raise ValueError(f"{error}. {released}".removesuffix(". ")) from None
    if not isinstance(weights, Mapping):
        raise ValueError(f"expected a file or a state dict, got {type(weights).__name__}")

    def fits(state: Mapping[str, Any]) -> bool:
        return max(layout.share(state) for layout in layouts) > 0.5

    return find_state(weights, fits, where), where


def _check_settings(layout: Layout, settings: Mapping[str, Any]) -> dict[str, Any]:
    """All settings of the layout: those given, checked, and the defaults of the others."""
    if unknown := [name for name in settings if name not in layout.settings]:
        raise ValueError(
            f"{layout.source} ({layout.network}) has no setting {', '.join(map(repr, unknown))}; "
            f"its settings: {', '.join(layout.settings)}"
        )
    return {
        name: setting.check(name, settings.get(name, setting.default))
        for name, setting in layout.settings.items()
    }


def _explain(layout: Layout, state: Mapping[str, Any], where: str, problems: list[str]) -> str:
    """The message for keys that do not fit: what they look like instead, or what disagrees."""
    wanted = f"{layout.source} ({layout.network})"
    if look := look_of(state):
        known = " or ".join(each.network for each in LAYOUTS if each.source == layout.source)
        readable = f"the weights of {layout.source} that are read are those of {known}"
        return f"{where} holds {look}; {readable}"
    others = [other for other in LAYOUTS if other.share(state) > max(0.9, layout.share(state))]
    names = ", ".join(f"{other.source} ({other.network})" for other in others)
    hint = f"; the keys are those of {names}" if names else ""
    return "\n  ".join([f"{where} does not fit {wanted}{hint}:", *problems])


def _sign(model: Any, source: str) -> None:
    """Let the network remember whose weights it has, so that runs from others are told apart."""
    model.origin = model.origin | {"start": {"official": source, "weights": checksum(model)}}


def checksum(model: nn.Module) -> str:
    """Eight digits that change with any weight of `model`."""
    total = 0
    for key, tensor in sorted(model.state_dict().items()):
        total = zlib.crc32(key.encode(), total)
        total = zlib.crc32(_bytes(tensor), total)
    return f"{total:08x}"


def _bytes(tensor: Tensor) -> Any:
    return tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy()
