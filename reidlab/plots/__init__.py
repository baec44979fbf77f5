"""Pictures of data, rankings and training; every function returns a matplotlib Figure.

Nothing here touches pyplot: no window opens, no figure stays open, and a notebook shows the figure
once, as the value of a cell's last line. Images keep their proportions at a page width of 900 px.
"""

from reidlab.plots.alignment import alignment_figure
from reidlab.plots.attention import attention_figure
from reidlab.plots.attributes import attribute_bars, confusion_grid, reliability_diagram
from reidlab.plots.balance import attribute_balance
from reidlab.plots.branches import branch_maps
from reidlab.plots.card import attribute_card
from reidlab.plots.claims import claims_plot
from reidlab.plots.curves import cmc_curve, training_curves
from reidlab.plots.gallery import gallery_strip
from reidlab.plots.heatmap import camera_heatmap
from reidlab.plots.histogram import distance_histogram
from reidlab.plots.jigsaw import jigsaw_figure
from reidlab.plots.matches import match_figure
from reidlab.plots.mining import mined_batch
from reidlab.plots.openset import open_set_curve
from reidlab.plots.panels import attribute_map
from reidlab.plots.penalties import penalty_curves
from reidlab.plots.positions import position_figure
from reidlab.plots.rollout import rollout_figure
from reidlab.plots.scatter import tsne, tsne_beside
from reidlab.plots.sheet import contact_sheet
from reidlab.plots.sides import sides_figure
from reidlab.plots.wishes import attribute_gallery
from reidlab.plots.worst import failure_strip

__all__ = [
    "attention_figure",
    "alignment_figure",
    "attribute_balance",
    "attribute_bars",
    "attribute_card",
    "attribute_gallery",
    "attribute_map",
    "branch_maps",
    "camera_heatmap",
    "claims_plot",
    "cmc_curve",
    "confusion_grid",
    "contact_sheet",
    "distance_histogram",
    "failure_strip",
    "gallery_strip",
    "jigsaw_figure",
    "match_figure",
    "mined_batch",
    "open_set_curve",
    "penalty_curves",
    "position_figure",
    "reliability_diagram",
    "rollout_figure",
    "sides_figure",
    "training_curves",
    "tsne",
    "tsne_beside",
]
