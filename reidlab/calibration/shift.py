r"""Is a new place like the one where a threshold was chosen? Without knowing anybody there.

Two statistics of the unit features, neither of which needs labels of the new place:

- *closeness*: the share of all pairs of gallery images that are closer than a fixed radius, the
  median distance among the calibration images (so it is one half there). A threshold is a distance,
  and nearly all pairs are of different people.
- *centre*: how far the mean feature has moved. Another light or background moves it even where
  distances stay.

Other people move both. How much comes from the calibration people themselves: they are split into
two halves at random, many times, and the halves compared. The variance of a difference between two
sets of n and m people is proportional to 1/n + 1/m, which scales the splits to the sets at hand.

Source: Gretton et al. 2008, "A Kernel Method for the Two-Sample Problem" (arXiv:0805.2368), for
comparing means of kernels and for the null by splitting. Differs from it in: two plain kernels (the
inner product for the centre; close or not, within each set, for the other), and people are split,
not images.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from reidlab.calibration.place import Place, describe_place, distances_of, thin_out
from reidlab.data.samples import DISTRACTOR, JUNK
from reidlab.embedding import Embeddings


class DistributionShiftWarning(UserWarning):
    """A threshold is used at a place whose images are not like those it was chosen on."""


@dataclass(frozen=True)
class Shift:
    """How a new place compares; `print(shift)` says it in a sentence.

    Args:
        share: pairs of its images that are closer than the radius of the calibration set.
        expected: that share in the calibration set.
        share_allowed: how much other people of the same place may differ from it.
        moved: distance between the mean unit features of both.
        moved_allowed: how much of it other people of the same place explain.
        people: people that the new place was taken to have.
        source: the new data.
        calibration: the data that it is compared with.
    """

    share: float
    expected: float
    share_allowed: float
    moved: float
    moved_allowed: float
    people: int
    source: str = ""
    calibration: str = ""

    @property
    def ratio(self) -> float:
        """The larger of both differences in units of what is allowed; above 1 the places differ."""
        return max(self._closer, self.moved / self.moved_allowed)

    @property
    def differs(self) -> bool:
        """Whether other people alone do not explain the differences."""
        return self.ratio > 1

    @property
    def _closer(self) -> float:
        return abs(self.share - self.expected) / self.share_allowed

    def __str__(self) -> str:
        """One sentence with the numbers behind it."""
        verdict = "is not like" if self.differs else "looks like"
        names = self.source or "the new place", self.calibration or "the calibration set"
        reasons = []
        if self._closer > 1:
            how = "closer together" if self.share > self.expected else "farther apart"
            reasons.append(f"its images lie {how}")
        if self.moved > self.moved_allowed:
            reasons.append("its images look different on average")
        why = " and ".join(reasons) or "no more than people differ"
        return (
            f"{names[0]} {verdict} {names[1]}: {why} (close pairs {self.share:.1%} against "
            f"{self.expected:.1%}, other people explain a difference of {self.share_allowed:.1%}; "
            f"mean moved by {self.moved:.3f}, other people explain {self.moved_allowed:.3f})"
        )


def compare_statistics(
    calibration: Embeddings | Place,
    new: Embeddings,
    *,
    people: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Shift:
    """Whether the images of a new place lie as far apart as those of the calibration set.

    Who is shown need not be known: of the labels of `new` only distractors and junk (0, -1) are
    read, and left out.

    Args:
        calibration: gallery embeddings with person ids, or the `Place` that a threshold keeps.
        new: embeddings of the new place; more than 4,096 images are thinned out at random.
        people: how many people the new place has, if known; otherwise as many as its images would
            be in the calibration set. A place with far fewer people than this may be called
            different although it is not.
        resamples: random halves to split the calibration people into.
        seed: of the splits and of the thinning.

    Raises:
        ValueError: fewer than two new images, features of another width, or a bad argument.
    """
    place = calibration
    if isinstance(place, Embeddings):
        place = describe_place(place, resamples=resamples, seed=seed)
    if new.features.shape[1] != len(place.centre):
        raise ValueError(
            f"expected features of width {len(place.centre)} as in the calibration set, got "
            f"{new.features.shape[1]}; embed both with the same model"
        )
    if len(new) < 2 or (people is not None and people < 1):
        raise ValueError(
            f"expected two images or more and at least one person, got {len(new)} images"
            + ("" if people is None else f" and people={people}")
        )
    somebody = ((new.pids != DISTRACTOR) & (new.pids != JUNK)).cpu().numpy()
    if 1 < somebody.sum() < len(new):  # labels say who is nobody, and there the place left them out
        new = new[somebody]
    count = people or max(1, round(len(new) / place.images_per_person))
    unit = new[thin_out(np.arange(len(new)), np.random.default_rng(seed))].normalized().features
    close = sum(int((block <= place.radius).sum()) for block in distances_of(unit))
    moved = unit.cpu().double().mean(dim=0).numpy() - np.array(place.centre)
    # Distractors and junk of a place without labels move its centre, too: they are given room by
    # never counting more people than the calibration set has.
    few = min(count, place.people)
    return Shift(
        share=(close - len(unit)) / (len(unit) * (len(unit) - 1)),  # an image is close to itself
        expected=place.share,
        share_allowed=place.share_spread * float(np.sqrt(1 / place.people + 1 / count)),
        moved=float(np.sqrt((moved**2).sum())),
        moved_allowed=place.centre_spread * float(np.sqrt(1 / place.people + 1 / few)),
        people=count,
        source=new.source,
        calibration=place.source,
    )


def warn_of(shift: Shift, stacklevel: int) -> None:
    """Warn, with advice, if the places differ."""
    if shift.differs:
        warnings.warn(
            f"{shift}. A threshold chosen there need not keep its rates here: choose one again "
            "with labelled pairs of the new place, a few dozen people in two cameras or more.",
            DistributionShiftWarning,
            stacklevel=stacklevel + 1,
        )
