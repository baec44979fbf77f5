"""Side information: which row of a table belongs to a camera and a view.

Source: He et al. 2021, "TransReID" (arXiv:2102.04378), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

Unseen = Literal["error", "mean", "none"]
UNSEEN = ("error", "mean", "none")
ARGUMENTS = {"camera": "camids", "view": "viewids"}


class SideTable:
    """Row = camera * views + view, where either may be missing.

    The released code makes a table only for more than one camera or view, yet reads it for one, and
    expects views from 0 where datasets of people count from 1. Here one row is a table like any
    other, and labels are zero-based.

    Args:
        cameras: number of cameras, 0 where the table does not know them.
        views: number of views, 0 likewise.
        untrained: zero-based cameras that no training image shows; their rows were never taught.
        unseen: what an image of such a camera, or of one beyond the table, gets: "error" refuses
            it, "mean" adds the mean of the trained rows, "none" adds nothing.

    Raises:
        ValueError: neither cameras nor views, a negative number, or an unknown name.
    """

    def __init__(
        self,
        cameras: int = 0,
        views: int = 0,
        *,
        untrained: Sequence[int] = (),
        unseen: Unseen = "error",
    ) -> None:
        if min(cameras, views) < 0 or max(cameras, views) < 1:
            raise ValueError(f"expected cameras, views or both, got {cameras} and {views}")
        if unseen not in UNSEEN:
            raise ValueError(f"unseen must be one of {', '.join(UNSEEN)}, got {unseen!r}")
        if bad := [camera for camera in untrained if not 0 <= camera < cameras]:
            raise ValueError(f"untrained cameras lie in 0 to {cameras - 1}, got {bad}")
        if cameras and len(set(untrained)) == cameras:
            raise ValueError(f"at least one of the {cameras} cameras must be trained")
        self.cameras, self.views = cameras, views
        self.untrained, self.unseen = tuple(sorted(set(untrained))), unseen
        self.strangers = False  # whether all cameras and views are others than these

    def for_strangers(self, unseen: Literal["mean", "none"]) -> SideTable:
        """The same table for another dataset, of whose cameras and views it knows none.

        Args:
            unseen: "mean" or "none".

        Raises:
            ValueError: another name.
        """
        if unseen not in UNSEEN[1:]:
            raise ValueError(f"unseen must be one of {', '.join(UNSEEN[1:])}, got {unseen!r}")
        found = SideTable(self.cameras, self.views, untrained=self.untrained, unseen=unseen)
        found.strangers = True
        return found

    def __len__(self) -> int:
        """Rows of the table."""
        return max(1, self.cameras) * max(1, self.views)

    def rows(
        self, table: Tensor, count: int, camids: Tensor | None, viewids: Tensor | None
    ) -> Tensor:
        """What to add to the tokens of each image (B, D), or the rows to look up (B,).

        Args:
            table: (rows, 1, D).
            count: B.
            camids: zero-based (B,).
            viewids: zero-based (B,).

        Raises:
            ValueError: labels that are missing or unknown, where `unseen` is "error".
        """
        if self.strangers:
            camids = viewids = None
        index = torch.zeros(count, dtype=torch.long, device=table.device)
        known = torch.ones(count, dtype=torch.bool, device=table.device)
        labels = (("camera", self.cameras, camids), ("view", self.views, viewids))
        for name, choices, given in labels:
            if choices:
                own, fine = self._label(name, choices, given, index)
                index, known = index * choices + own, known & fine
        if self.unseen == "error":
            return index
        taught = [row for row in range(len(self)) if not self._is_untrained(row)]
        fallback = table[taught].mean(0) if self.unseen == "mean" else torch.zeros_like(table[0])
        return torch.where(known[:, None], table[index, 0], fallback)

    def _label(
        self, name: str, choices: int, given: Tensor | None, like: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Indices (B,) within the table, and which of them stand for themselves."""
        if given is None:
            if self.unseen == "error":
                raise ValueError(
                    f"this network was told {name}s while training and needs {ARGUMENTS[name]} "
                    f"(zero-based, below {choices}); unseen='mean' or 'none' does without"
                )
            return torch.zeros_like(like), torch.zeros_like(like, dtype=torch.bool)
        given = given.to(like.device)
        fine = (given >= 0) & (given < choices)
        if name == "camera" and self.untrained:
            fine &= ~torch.isin(given, torch.tensor(self.untrained, device=given.device))
        if self.unseen == "error" and not bool(fine.all()):
            unknown = ", ".join(map(str, given[~fine].unique().tolist()))
            trained = [i for i in range(choices) if name == "view" or i not in self.untrained]
            raise ValueError(
                f"no row of this network's table was trained for {name} {unknown} (zero-based); it "
                f"has {', '.join(map(str, trained))}. unseen='mean' (--unseen mean) adds the mean "
                "of these, 'none' nothing"
            )
        return given.clamp(0, choices - 1), fine

    def _is_untrained(self, row: int) -> bool:
        return bool(self.cameras) and row // max(1, self.views) in self.untrained
