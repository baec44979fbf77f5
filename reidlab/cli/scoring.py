"""The flags of `reidlab evaluate` that say how to rank and what counts, and what they do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from reidlab.embedding import Embeddings
from reidlab.evaluation import Scores, ScoreTable, compare_protocols, evaluate

SHOTS = "single-gallery-shot"
RERANK = {"k1": 20, "k2": 6, "weight": 0.3}
EXPAND = {"k": 10, "alpha": 3.0}
DRAWS = {"repeats": 10, "seed": 0}


@dataclass(frozen=True)
class Stripes:
    """Local features of both sides, in rows of `count` stripes."""

    query: Embeddings
    gallery: Embeddings
    count: int


@dataclass(frozen=True)
class Scoring:
    """How to rank, and which images count."""

    protocol: Literal["market", "no-camera-filter", "top-k", "single-gallery-shot", "all"] = (
        "market"
    )
    """Rules of the score; all prints a table of every protocol."""
    ap: Literal["plain", "trapezoid"] = "plain"
    """Form of average precision."""
    k: int | None = None
    """Of top-k: places of each list."""
    relevant: Literal["found", "all"] | None = None
    """Of top-k: AP is over the hits found (by default), or over all images of the person."""
    repeats: int | None = None
    """Of single-gallery-shot: galleries drawn for each query; by default 10."""
    seed: int | None = None
    """Of these draws; by default 0."""
    local: Literal["none", "aligned", "straight"] = "none"
    """Add the distance of stripes, aligned or each with its counterpart; of alignedreid alone."""
    expand: int = 0
    """Rounds of average query expansion, on both sides, before anything else."""
    expand_k: int | None = None
    """Of --expand: images averaged, the image itself among them; by default 10."""
    alpha: float | None = None
    """Of --expand: exponent of the similarity that weighs them; by default 3."""
    rerank: Literal["none", "zhong", "torchreid", "fastreid", "transreid"] = "none"
    """Re-rank by shared k-reciprocal neighbours, in the arithmetic of the paper or of a project."""
    k1: int | None = None
    """Of --rerank: neighbours tested for reciprocity; by default 20."""
    k2: int | None = None
    """Of --rerank: neighbours averaged over; by default 6."""
    weight: float | None = None
    """Of --rerank: share of the original distance, 0 to 1; by default 0.3."""

    def check(self) -> None:
        """Complain before the work, not after it.

        Raises:
            ValueError: a flag that the others leave without effect, one that is missing, or a
                number that is too small.
        """
        reranked, expanded = self.rerank != "none", self.expand != 0
        drawn = self.protocol in (SHOTS, "all")
        for flags, used, needs in (
            (("k", "relevant"), self.protocol == "top-k", "--protocol top-k"),
            (("repeats", "seed"), drawn, f"--protocol {SHOTS} or all"),
            (("expand_k", "alpha"), expanded, "--expand ROUNDS"),
            (("k1", "k2", "weight"), reranked, "--rerank zhong, torchreid, fastreid or transreid"),
        ):
            given = [_flag(name) for name in flags if getattr(self, name) is not None]
            if given and not used:
                raise ValueError(f"{', '.join(given)}: only with {needs}; add it or leave them out")
        if self.protocol == "top-k" and self.k is None:
            raise ValueError("--protocol top-k needs --k, the length of the lists, such as --k 10")
        for name, smallest in (("k", 1), ("repeats", 1), ("seed", 0)):
            value = getattr(self, name)
            if value is not None and value < smallest:
                raise ValueError(
                    f"{_flag(name)}={value}: expected a whole number from {smallest} on"
                )
        if self.local != "none" and (reranked or expanded):
            raise ValueError("--local: not together with --rerank or --expand; leave one out")
        if self.expand < 0:
            raise ValueError(f"--expand: expected a number of rounds from 0 on, got {self.expand}")

    def prepare(
        self,
        query: Embeddings,
        gallery: Embeddings,
        stripes: Stripes | None = None,
        *,
        progress: bool = False,
    ) -> tuple[Embeddings, Embeddings, Tensor | None]:
        """Both sides expanded as asked, and the distances (Q, G) that are no plain ones.

        Args:
            query: one side.
            gallery: the other.
            stripes: local features of the same images, for --local.
            progress: show a bar.
        """
        from reidlab.ranking import expand_query, k_reciprocal
        from reidlab.ranking.aligned import dmli_distance

        if self.local != "none":
            assert stripes is not None
            sides = query, gallery, stripes.query, stripes.gallery
            straight = self.local == "straight"
            added = dmli_distance(*sides, stripes=stripes.count, aligned=not straight)
            return query, gallery, added
        if self.expand:
            settings: dict[str, Any] = self.expansion()
            query, gallery = expand_query(query, gallery, **settings, progress=progress)
        if self.rerank == "none":
            return query, gallery, None
        settings = self.reranking()
        return query, gallery, k_reciprocal(query, gallery, **settings, progress=progress)

    def score(
        self, query: Embeddings, gallery: Embeddings, distance: Tensor | None, source: str = ""
    ) -> Scores | ScoreTable:
        """The row or the table of scores, which say what was done to the features before.

        Args:
            query: as `prepare` returns it.
            gallery: the same.
            distance: the same.
            source: whose features; put before the name of the data.
        """
        given: dict[str, Any] = {"distance": distance, "ap": self.ap, **self._draws()}
        if self.protocol == "all":
            table = compare_protocols(query, gallery, **given)
            rows = tuple(self._labelled(scores, source) for scores in table)
            return ScoreTable(rows, table.notes)
        if self.k is not None:
            given |= {"k": self.k, "relevant": self.relevant or "found"}
        scores = evaluate(query, gallery, protocol=self.protocol, **given)
        return self._labelled(scores, source)

    def expansion(self) -> dict[str, Any]:
        """The settings of the expansion."""
        given = {"k": self.expand_k, "alpha": self.alpha}
        return {"times": self.expand, **EXPAND, **_known(given)}

    def reranking(self) -> dict[str, Any]:
        """The settings of the re-ranking."""
        given = {name: getattr(self, name) for name in RERANK}
        return {"variant": self.rerank, **RERANK, **_known(given)}

    def as_dict(self) -> dict[str, Any]:
        """What was done before the scoring, for the JSON file; empty when nothing was."""
        done: dict[str, Any] = {} if self.local == "none" else {"local": self.local}
        done |= {"expansion": self.expansion()} if self.expand else {}
        return done | ({} if self.rerank == "none" else {"reranking": self.reranking()})

    def slug(self) -> str:
        """Words for the name of the scores' file; none for the plain ranking under "market".

        Whatever differs from its default is among them, so other settings never share a name.
        """
        of_all = "-of-all" if self.relevant == "all" else ""
        words = {"market": "", "top-k": f"top-{self.k}{of_all}", "all": "all-protocols"}
        parts = [words.get(self.protocol, self.protocol)]
        parts += [] if self.ap == "plain" else [self.ap]
        parts += _changed(self._draws(), DRAWS)
        parts += [] if self.local == "none" else [f"local-{self.local}"]
        if self.expand:
            given = {name: getattr(self, name) for name in ("expand_k", "alpha")}
            defaults = {"expand_k": EXPAND["k"], "alpha": EXPAND["alpha"]}
            parts += [f"expanded-{self.expand}", *_changed(given, defaults)]
        if self.rerank != "none":
            given = {name: getattr(self, name) for name in RERANK}
            parts += [f"reranked-{self.rerank}", *_changed(given, RERANK)]
        return "-".join(part for part in parts if part)

    def _draws(self) -> dict[str, int]:
        return _known({"repeats": self.repeats, "seed": self.seed})

    def _labelled(self, scores: Scores, source: str) -> Scores:
        """The scores with what was done before, and whose features they are."""
        parts = [] if self.local == "none" else [f"global + {self.local} local distance"]
        if self.expand:
            used = self.expansion()
            parts.append(f"expanded {self.expand}x (k {used['k']}, alpha {used['alpha']:g})")
        if self.rerank != "none":
            used = self.reranking()
            sizes = f"k1 {used['k1']}, k2 {used['k2']}, weight {used['weight']:g}"
            parts.append(f"{self.rerank} re-ranking ({sizes})")
        named = f"{source} on {scores.source}" if source else scores.source
        return replace(scores, detail=", ".join(parts), source=named)


def as_json(result: Scores | ScoreTable, settings: Mapping[str, Any]) -> str:
    """The scores as JSON text, with the settings that led to them."""
    if isinstance(result, Scores):
        content = _row(result, settings)
    else:
        rows = [_row(scores, {}) for scores in result]
        content = {"source": result[0].source, **settings, "protocols": rows, "notes": result.notes}
    return json.dumps(content, indent=2) + "\n"


def _row(scores: Scores, settings: Mapping[str, Any]) -> dict[str, Any]:
    """One row of scores as JSON-like values."""
    own = {name: getattr(scores, name) for name in ("k", "relevant", "repeats", "seed")}
    return {
        "protocol": scores.protocol,
        "ap": scores.ap,
        **_known(own),
        "source": scores.source,
        **settings,
        "mAP": scores.mean_ap,
        "mINP": scores.mean_inp,
        "cmc": [float(value) for value in scores.cmc],
        "valid_queries": scores.num_valid_queries,
    }


def _known(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that are not None."""
    return {name: value for name, value in settings.items() if value is not None}


def _changed(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> list[str]:
    """`k1-9` or `weight-0.05` for each setting that is given and not the default one."""
    return [
        f"{name.replace('_', '-')}-{str(value).removesuffix('.0')}"  # str, for it drops no digit
        for name, value in _known(given).items()
        if value != defaults[name]
    ]


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")
