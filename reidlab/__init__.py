"""Person re-identification from one pedestrian crop to a ranked gallery and a score.

The package is one sentence spelled out in files, read from left to right:

    image  ->  embedding  ->  ranking  ->  score
    data/      models/        ranking      evaluation
               losses
               training
               embedding

Six calls carry it: `read_dataset`, a model's constructor, `fit`, `embed`, `rank`, `evaluate`.

Names are imported on first use (PEP 562), so that `import reidlab` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Sample": "data.samples",
    "Samples": "data.samples",
    "Splits": "data.samples",
    "Batch": "data.samples",
    "ImageDataset": "data.images",
    "check_images": "data.images",
    "read_dataset": "data.readers",
    "scan_dataset": "data.readers",
    "make_unlabelled": "data.synthetic.unlabelled",
    "read_attributes": "data.attributes",
    "AttributeTable": "data.attributes",
    "annotate": "data.annotation",
    "split_by_attributes": "data.attribute_split",
    "split_samples": "data.attribute_split",
    "read_wish": "data.wishes",
    "TrainTransform": "data.transforms",
    "EvalTransform": "data.transforms",
    "PKSampler": "data.samplers",
    "baseline_small": "models.baseline",
    "baseline_resnet50": "models.baseline",
    "attributes_small": "models.attributes",
    "attributes_resnet50": "models.attributes",
    "ianet_small": "models.ianet",
    "ianet_resnet50": "models.ianet",
    "id_and_pairwise_loss": "losses",
    "aligned_small": "models.aligned",
    "aligned_resnet50": "models.aligned",
    "mutual_small": "models.mutual",
    "mutual_resnet50": "models.mutual",
    "aligned_loss": "losses",
    "mutual_loss": "losses",
    "aligned_distance": "losses",
    "alignment_path": "losses",
    "siamese_small": "models.siamese",
    "siamese_resnet50": "models.siamese",
    "multibranch_small": "models.multibranch",
    "multibranch_resnet50": "models.multibranch",
    "deep_cosine_small": "models.deep_cosine",
    "deep_cosine": "models.deep_cosine",
    "transreid": "models.transreid",
    "transreid_small": "models.transreid",
    "transreid_loss": "losses",
    "la_transformer_small": "models.la_transformer",
    "la_transformer_base": "models.la_transformer",
    "la_loss": "losses",
    "flip_loss": "losses",
    "pair_loss": "losses",
    "multibranch_loss": "losses",
    "cosine_softmax_loss": "losses",
    "split_queries": "data.query_split",
    "triplet_validation": "evaluation.triplets",
    "pair_validation": "evaluation.triplets",
    "CosineClassifier": "models.layers",
    "triplet_loss": "losses",
    "batch_hard_triplet": "losses",
    "batch_all_triplet": "losses",
    "weighted_triplet": "losses",
    "contrastive_loss": "losses",
    "batch_contrastive": "losses",
    "cosine_triplet": "losses",
    "pairwise_contrastive": "losses",
    "pairwise_cosface": "losses",
    "pairwise_circle": "losses",
    "cosface": "losses",
    "arcface": "losses",
    "am_softmax": "losses",
    "reid_loss": "losses",
    "attribute_loss": "losses",
    "ReidCenterLoss": "losses",
    "save_model": "checkpoints",
    "load_model": "checkpoints",
    "load_official": "checkpoints",
    "TrainConfig": "training",
    "History": "training",
    "fit": "training",
    "Recipe": "recipes",
    "recipe": "recipes",
    "Embeddings": "embedding",
    "embed": "embedding",
    "AttributePredictions": "embedding",
    "predict_attributes": "embedding",
    "describe_images": "embedding.own_attributes",
    "save_embeddings": "embedding",
    "load_embeddings": "embedding",
    "Ranking": "ranking",
    "rank": "ranking",
    "k_reciprocal": "ranking",
    "expand_query": "ranking",
    "Index": "ranking",
    "search_images": "ranking.images",
    "rank_by_attributes": "ranking.attributes",
    "Scores": "evaluation",
    "ScoreTable": "evaluation",
    "Roc": "evaluation",
    "evaluate": "evaluation",
    "compare_protocols": "evaluation",
    "pool_queries": "evaluation",
    "roc": "evaluation",
    "AttributeScores": "evaluation.attributes",
    "evaluate_attributes": "evaluation.attributes",
    "attribute_validation": "evaluation.attributes.validation",
    "evaluate_attribute_search": "evaluation.attribute_search",
    "load_claims": "claims",
}

__all__ = ["__version__", *_HOME]  # pyright: ignore[reportUnsupportedDunderAll]

if TYPE_CHECKING:
    from reidlab.checkpoints import load_model, load_official, save_model
    from reidlab.claims import load_claims
    from reidlab.data.annotation import annotate
    from reidlab.data.attribute_split import split_by_attributes, split_samples
    from reidlab.data.attributes import AttributeTable, read_attributes
    from reidlab.data.images import ImageDataset, check_images
    from reidlab.data.query_split import split_queries
    from reidlab.data.readers import read_dataset, scan_dataset
    from reidlab.data.samplers import PKSampler
    from reidlab.data.samples import Batch, Sample, Samples, Splits
    from reidlab.data.synthetic.unlabelled import make_unlabelled
    from reidlab.data.transforms import EvalTransform, TrainTransform
    from reidlab.data.wishes import read_wish
    from reidlab.embedding import (
        AttributePredictions,
        Embeddings,
        embed,
        load_embeddings,
        predict_attributes,
        save_embeddings,
    )
    from reidlab.embedding.own_attributes import describe_images
    from reidlab.evaluation import (
        Roc,
        Scores,
        ScoreTable,
        compare_protocols,
        evaluate,
        pool_queries,
        roc,
    )
    from reidlab.evaluation.attribute_search import evaluate_attribute_search
    from reidlab.evaluation.attributes import AttributeScores, evaluate_attributes
    from reidlab.evaluation.attributes.validation import attribute_validation
    from reidlab.evaluation.triplets import pair_validation, triplet_validation
    from reidlab.losses import (
        ReidCenterLoss,
        aligned_distance,
        aligned_loss,
        alignment_path,
        am_softmax,
        arcface,
        attribute_loss,
        batch_all_triplet,
        batch_contrastive,
        batch_hard_triplet,
        contrastive_loss,
        cosface,
        cosine_softmax_loss,
        cosine_triplet,
        flip_loss,
        id_and_pairwise_loss,
        la_loss,
        multibranch_loss,
        mutual_loss,
        pair_loss,
        pairwise_circle,
        pairwise_contrastive,
        pairwise_cosface,
        reid_loss,
        transreid_loss,
        triplet_loss,
        weighted_triplet,
    )
    from reidlab.models.aligned import aligned_resnet50, aligned_small
    from reidlab.models.attributes import attributes_resnet50, attributes_small
    from reidlab.models.baseline import baseline_resnet50, baseline_small
    from reidlab.models.deep_cosine import deep_cosine, deep_cosine_small
    from reidlab.models.ianet import ianet_resnet50, ianet_small
    from reidlab.models.la_transformer import la_transformer_base, la_transformer_small
    from reidlab.models.layers import CosineClassifier
    from reidlab.models.multibranch import multibranch_resnet50, multibranch_small
    from reidlab.models.mutual import mutual_resnet50, mutual_small
    from reidlab.models.siamese import siamese_resnet50, siamese_small
    from reidlab.models.transreid import transreid, transreid_small
    from reidlab.ranking import (
        Index,
        Ranking,
        expand_query,
        k_reciprocal,
        rank,
    )
    from reidlab.ranking.attributes import rank_by_attributes
    from reidlab.ranking.images import search_images
    from reidlab.recipes import Recipe, recipe
    from reidlab.training import History, TrainConfig, fit


def __getattr__(name: str) -> Any:
    """Import a public name from its file the first time it is asked for."""
    if name not in _HOME:
        raise AttributeError(f"module 'reidlab' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"reidlab.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """The public names, for tab completion."""
    return sorted([*globals(), *_HOME])
