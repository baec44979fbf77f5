"""Pictures of data, rankings and training; every function returns a matplotlib Figure.

Nothing here touches pyplot: no window opens, no figure stays open, and a notebook shows the figure
once, as the value of a cell's last line. Images keep their proportions at a page width of 900 px.
"""

from reidlab.plots.balance import attribute_balance
from reidlab.plots.curves import cmc_curve, training_curves
from reidlab.plots.gallery import gallery_strip
from reidlab.plots.scatter import tsne
from reidlab.plots.sheet import contact_sheet

__all__ = [
    "attribute_balance",
    "cmc_curve",
    "contact_sheet",
    "gallery_strip",
    "training_curves",
    "tsne",
]
