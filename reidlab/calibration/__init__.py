"""Understanding scores: which threshold, and why did this fail?

| file | answers |
|---|---|
| `thresholds` | `choose_threshold`: which distance gives this false accept rate, how surely? |
| `shift`, `place` | `compare_statistics`: is a new place like the one where it was chosen? |
| `openset` | `open_set`: how often is a stranger taken for somebody, and who is still found? |
| `histograms` | `distance_pairs`: how far apart are one person's images, and different people's? |
| `cameras` | `camera_pairs`: between which cameras does the search fail? |
| `breakdown` | `score_by`, `by_attribute`: for whom does it work? |
| `attributes` | `attribute_margins`: do answers about attributes beat guessing? |
| `temperature` | `calibrate_attributes`: probabilities of attributes that mean what they say |
| `reliability` | `expected_calibration_error`: do they? |
| `worst` | `worst_queries`: which queries fail, and how? |
| `files` | `save_threshold`, `load_threshold`: thresholds as JSON |
| `bootstrap` | where the threshold would lie for other people |
| `pairs`, `smallest` | which pairs count, block by block; the closest of them |
| `intervals`, `tables` | rates whose interval counts people, not pairs; text tables |
"""

from reidlab.calibration.attributes import Margin, Margins, attribute_margins
from reidlab.calibration.breakdown import Breakdown, Group, by_attribute, score_by
from reidlab.calibration.cameras import CameraPairs, camera_pairs
from reidlab.calibration.files import load_threshold, save_threshold
from reidlab.calibration.histograms import DistanceHistogram, distance_pairs
from reidlab.calibration.intervals import Rate
from reidlab.calibration.openset import OpenPoint, OpenSet, open_set
from reidlab.calibration.place import Place, describe_place
from reidlab.calibration.reliability import (
    Reliability,
    expected_calibration_error,
    negative_log_likelihood,
    reliability_bins,
)
from reidlab.calibration.shift import DistributionShiftWarning, Shift, compare_statistics
from reidlab.calibration.temperature import AttributeCalibration, calibrate_attributes
from reidlab.calibration.thresholds import Rates, Threshold, choose_threshold
from reidlab.calibration.worst import Failure, Failures, worst_queries

__all__ = [
    "AttributeCalibration",
    "Breakdown",
    "CameraPairs",
    "DistanceHistogram",
    "DistributionShiftWarning",
    "Failure",
    "Failures",
    "Group",
    "Margin",
    "Margins",
    "OpenPoint",
    "OpenSet",
    "Place",
    "Rate",
    "Rates",
    "Reliability",
    "Shift",
    "Threshold",
    "attribute_margins",
    "by_attribute",
    "calibrate_attributes",
    "camera_pairs",
    "choose_threshold",
    "compare_statistics",
    "describe_place",
    "distance_pairs",
    "expected_calibration_error",
    "load_threshold",
    "negative_log_likelihood",
    "open_set",
    "reliability_bins",
    "save_threshold",
    "score_by",
    "worst_queries",
]
