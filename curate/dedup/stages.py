"""Deduplication as visible stages: signatures, buckets, clusters, deduped.

Each document is known by its unit and row, and by the 64-bit hash of its id, which chooses and
names; so the result is the same for any sharding. Between the stages are arrays (`arrays.py`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from ..errors import DefinitionError
from ..pipeline import Resources, StageKind, check_name
from .containment import ContainedStage, PartsStage
from .deduped import DedupedStage
from .earlier import EarlierRun
from .members import ClusterStage, Keep, Measure
from .minhash import MinHashParams
from .proof import CandidateStage, CompareStage, ProvenStage
from .signatures import BucketStage, ExactParams, SignatureStage

Action = Literal["drop", "mark"]


def minhash_dedup(
    source: StageKind,
    params: MinHashParams | None = None,
    keep: Keep = "first",
    verify: float | None = None,
    against: tuple[str, ...] = (),
    action: Action = "drop",
    name: str = "minhash",
    within: str = "",
    measure: Measure = "jaccard",
    memory_gb: float = 2.0,
) -> StageKind:
    """Return the stages that keep one document of each cluster of near-duplicates.

    Kept documents carry the size of their cluster in the column `minhash_cluster_size`.

    Args:
        source: the stage whose documents are compared, all with all.
        params: what makes two documents candidates.
        keep: "first" keeps the earliest by `date` (2024-01-05T10:20:30.5Z or a part of it, such
            as 2024-01-05; one without is the last), "longest" the one with most characters and of
            those the earliest; the smallest hash of the id decides between equals.
        verify: least similarity of a removed document to the one that is kept for it, of the
            shingles of both, numbers included; None removes on a shared bucket alone.
        against: output folders of earlier runs with the same parameters. Their signatures are
            read, not made again; their documents, to prove similarity to those kept there.
        action: what becomes of a document whose cluster an earlier run knows: "drop", or "mark"
            it with the id of that document in the column `minhash_duplicate_of`.
        name: what the stages' names begin with.
        within: a string column, such as "language": only documents of the same value are compared.
        measure: of similarity, for `verify`: "jaccard"; or "containment", the share of the removed
            document's shingles that the kept one has. Then larger documents that may contain a
            document are candidates too (not those of earlier runs), and the document with most
            shingles is kept, `keep` deciding between equals.
        memory_gb: memory of a task. All but the two tasks that join clusters divide their work by
            it; these need about 4 MB per million documents and 100 MB per million documents in
            clusters (300 MB per million clusters if that is more): 7 GB for 200 million documents,
            a third of them in clusters.
    """
    runs = tuple(EarlierRun(out, name) for out in against)
    if action not in get_args(Action):
        raise DefinitionError(f"minhash: action={action!r} is not known. Allowed: drop, mark.")
    if measure not in get_args(Measure):
        raise DefinitionError(
            f"minhash: measure={measure!r} is not known. Allowed: jaccard, containment."
        )
    if measure == "containment" and verify is None:
        raise DefinitionError(
            "minhash: measure='containment' removes nothing without proof.\nGive the share of a"
            " document that the kept one must contain, such as verify=0.8."
        )
    marks = bool(runs) and action == "mark"
    rules = _Rules(keep, verify, measure, runs, marks, Resources(memory_gb))
    column, mark_column = "minhash_cluster_size", "minhash_duplicate_of" if marks else ""
    params = params or MinHashParams()
    return _dedup(name, source, params, within, rules, column, mark_column)


def exact_dedup(
    source: StageKind,
    by: str = "text",
    keep: Keep = "first",
    name: str = "exact",
    within: str = "",
    ignore_whitespace: bool = False,
    memory_gb: float = 2.0,
) -> StageKind:
    """Return the stages that keep one document of those whose text is equal.

    Kept documents carry the number of equal ones, themselves included, in the column
    `duplicate_count`; if not their text is compared, in `<by>_duplicate_count`.

    Args:
        source: the stage whose documents are compared, all with all.
        by: "text", "payload" (the body before extraction; the column `payload_digest` that
            readers of WARC files set), or the name of another column.
        keep: as in `minhash_dedup`.
        name: what the stages' names begin with.
        within: as in `minhash_dedup`.
        ignore_whitespace: compare without any white space, as FinePDFs does.
        memory_gb: as in `minhash_dedup`.
    """
    compared = {"text": "text", "payload": "payload_digest"}.get(by, by)
    if compared != "text":
        _check_column("exact_dedup", source, compared)
    count = "duplicate_count" if compared == "text" else f"{by}_duplicate_count"
    params = ExactParams(compared, ignore_whitespace)
    rules = _Rules(keep, resources=Resources(memory_gb))
    return _dedup(name, source, params, within, rules, count)


def _check_column(where: str, source: StageKind, column: str) -> None:
    if column not in source.columns:
        raise DefinitionError(
            f"{where}: no step before it makes the column {column!r}."
            f"\nThere are: text, {', '.join(source.columns)}."
        )


@dataclass(frozen=True, slots=True)
class _Rules:
    """Which candidates are duplicates, and of whom."""

    keep: Keep
    verify: float | None = None
    measure: Measure = "jaccard"
    against: tuple[EarlierRun, ...] = ()
    marks: bool = False
    resources: Resources = Resources()


def _dedup(
    name: str,
    source: StageKind,
    params: MinHashParams | ExactParams,
    within: str,
    rules: _Rules,
    column: str,
    mark_column: str = "",
) -> StageKind:
    check_name("deduplication", name)
    if within:
        _check_column(f"{name}, within", source, within)
        if source.columns[within] != "string":
            kind = source.columns[within]
            raise DefinitionError(f"{name}: within={within!r} is {kind}. Name a string column.")
    keep, memory = rules.keep, rules.resources
    if keep not in get_args(Keep):
        raise DefinitionError(f"{name}: keep={keep!r} is not known. Allowed: first, longest.")
    contains = rules.measure == "containment"
    signatures = SignatureStage(f"{name}_signatures", source, params, within, contains)
    buckets = BucketStage(f"{name}_buckets", signatures, rules.against, memory)
    contained = None
    if contains and rules.verify is not None:
        parts = PartsStage(f"{name}_parts", signatures, memory)
        contained = ContainedStage(f"{name}_contained", signatures, parts, rules.verify, memory)
    clusters = ClusterStage(
        f"{name}_clusters", source, signatures, buckets, keep, contained, rules.marks, memory
    )
    members: StageKind = clusters
    if rules.verify is not None and isinstance(params, MinHashParams):
        candidates = CandidateStage(f"{name}_candidates", source, clusters, params)
        compared = CompareStage(
            f"{name}_compared", signatures, candidates, keep, rules.verify, rules.measure, memory
        )
        members = ProvenStage(f"{name}_proven", source, signatures, compared, memory)
    return DedupedStage(f"{name}_deduped", source, members, f"{name}_dedup", column, mark_column)
