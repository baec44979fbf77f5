"""Cross-entropy of scaled cosines, and a cost for the scale.

Shapes: B images, C identities.
"""

from __future__ import annotations

from torch import Tensor, nn

from reidlab.data.samples import Batch
from reidlab.losses.checks import not_negative
from reidlab.losses.identity import id_loss
from reidlab.losses.processes import gathered
from reidlab.losses.triplet import batch_hard_triplet


def cosine_softmax_loss(
    model: nn.Module, batch: Batch, *, scale_weight: float = 0.1, smoothing: float = 0.0
) -> dict[str, Tensor]:
    r"""Cross-entropy of the logits, and a small cost of the scale: `{"id", "scale"}`.

    .. math:: L = -\frac{1}{B} \sum_b \log p_{b, y_b} + \frac{w}{2} t^2, \qquad
        p_b = softmax_k\big( softplus(t) \cos(w_k, r_b) \big)

    The weights' own cost, half of 1e-8 times their squares, is not here: it is the optimiser's
    `weight_decay`.

    Args:
        model: a network whose `classifier` has a number `t`, such as `DeepCosine`.
        batch: with people in 0..C-1.
        scale_weight: w.
        smoothing: of the labels; the publication has none.

    Raises:
        ValueError: the network has no classifier with a scale, or a weight below 0.

    Source: Wojke and Bewley 2018, "Deep Cosine Metric Learning for Person Re-identification"
    (arXiv:1812.00442), and its released code for the cost of the scale.
    """
    t = getattr(getattr(model, "classifier", None), "t", None)
    if t is None:
        raise ValueError(
            f"{type(model).__name__} has no classifier with a scale t; construct it with the "
            "number of people: deep_cosine(num_ids)"
        )
    not_negative(scale_weight=scale_weight)
    (logits,) = model(batch.images, batch.camids, batch.viewids).logits
    return {"id": id_loss(logits, batch.pids, smoothing), "scale": scale_weight * t.square() / 2}


def soft_triplet_loss(
    model: nn.Module, batch: Batch, *, margin: float | None = None
) -> dict[str, Tensor]:
    """Batch-hard triplet loss on features alone: `{"triplet"}`, for networks without a classifier.

    Args:
        model: returns one feature; see `DeepCosine` with `num_ids=None`.
        batch: PK-sampled.
        margin: None for softplus, as in the publication's comparison.

    Source: Hermans, Beyer, Leibe 2017 (arXiv:1703.07737), which Wojke and Bewley 2018
    (arXiv:1812.00442) compare the cosine softmax with. Differs from it in: features are those of
    the network, of unit length, so that the loss stays between softplus(-2) and softplus(2).
    """
    (feature,) = model(batch.images, batch.camids, batch.viewids).features
    return {"triplet": batch_hard_triplet(gathered(feature), gathered(batch.pids), margin)}
