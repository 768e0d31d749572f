"""Deduplication as visible stages: signatures, buckets, clusters, deduped.

Each document is known by its unit and row, and by the 64-bit hash of its id, which chooses and
names; so the result is the same for any sharding. Between the stages are arrays (`arrays.py`).
"""

from __future__ import annotations

from typing import get_args

from ..errors import DefinitionError
from ..pipeline import StageKind
from .earlier import EarlierRun
from .members import Action, ClusterStage, DedupedStage, Keep
from .minhash import MinHashParams
from .proof import CandidateStage, CompareStage, ProvenStage
from .signatures import BucketStage, ExactParams, SignatureStage


def minhash_dedup(
    source: StageKind,
    params: MinHashParams | None = None,
    keep: Keep = "first",
    verify: float | None = None,
    against: tuple[str, ...] = (),
    action: Action = "drop",
) -> StageKind:
    """Return the stages that keep one document of each cluster of near-duplicates.

    Args:
        source: the stage whose documents are compared, all with all.
        params: what makes two documents candidates.
        keep: "first" keeps the earliest by `date`, "longest" the one with most characters and of
            those the earliest; the smallest hash of the id decides between equals.
        verify: least Jaccard similarity of the shingles of a removed document, numbers included,
            to the one that is kept for it; None removes on a shared bucket alone.
        against: output folders of earlier runs with the same parameters. Their signatures are
            read, not made again.
        action: what becomes of a document whose cluster an earlier run knows: "drop", or "mark"
            it with the id of that document in the column `minhash_duplicate_of`.
    """
    runs = tuple(map(EarlierRun, against))
    if runs and verify is not None:
        raise DefinitionError(
            "minhash_dedup: `verify` and `against` cannot be used together: an earlier run keeps no"
            " evidence of its documents.\nLeave one of them out."
        )
    if action not in get_args(Action):
        raise DefinitionError(f"minhash: action={action!r} is not known. Allowed: drop, mark.")
    marks = bool(runs) and action == "mark"
    return _dedup("minhash", source, params or MinHashParams(), keep, verify, runs, marks)


def exact_dedup(source: StageKind, by: str = "text", keep: Keep = "first") -> StageKind:
    """Return the stages that keep one document of those whose text is equal.

    Args:
        source: the stage whose documents are compared, all with all.
        by: "text", "payload" (the body before extraction; the column `payload_digest` that
            WarcReader sets), or the name of another column.
        keep: as in `minhash_dedup`.
    """
    column = {"text": "text", "payload": "payload_digest"}.get(by, by)
    if column != "text" and column not in source.columns:
        raise DefinitionError(
            f"exact_dedup: no step before it makes the column {column!r}."
            f"\nThere are: text, {', '.join(source.columns)}."
        )
    return _dedup("exact", source, ExactParams(column), keep)


def _dedup(
    name: str,
    source: StageKind,
    params: MinHashParams | ExactParams,
    keep: Keep,
    verify: float | None = None,
    against: tuple[EarlierRun, ...] = (),
    marks: bool = False,
) -> StageKind:
    if keep not in get_args(Keep):
        raise DefinitionError(f"{name}: keep={keep!r} is not known. Allowed: first, longest.")
    signatures = SignatureStage(f"{name}_signatures", source, params)
    buckets = BucketStage(f"{name}_buckets", signatures, against)
    clusters = ClusterStage(f"{name}_clusters", source, signatures, buckets, keep)
    members: StageKind = clusters
    if verify is not None and isinstance(params, MinHashParams):
        candidates = CandidateStage(f"{name}_candidates", source, clusters, params)
        compared = CompareStage(f"{name}_compared", signatures, candidates, keep, verify)
        members = ProvenStage(f"{name}_proven", source, signatures, compared)
    return DedupedStage(f"{name}_deduped", source, members, f"{name}_dedup", marks)
