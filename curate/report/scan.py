"""One look through the decisions of a stage, for all that the report tells of single records."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from ..explain.run_files import StageFiles, read_columns
from ..explain.samples import sample_hash
from ..explain.show import Shown, shown_of
from .published import count_hosts

MAX_UNITS = 400
_POOL = 64  # candidates of each reason, of which those with the least hashes are shown
_PER_UNIT = 256
_MESSAGES = 5
_COLUMNS = (
    *("id", "url", "outcome", "reason", "value", "threshold", "message"),
    *("cluster", "cluster_size", "duplicate_of", "duplicate_of_url"),
)


@dataclass(slots=True)
class Scan:
    """What the decisions of a stage hold.

    Attributes:
        hosts: records of each host.
        pools: documents to choose samples from, by reason; "" for the kept.
        messages: a few of each way to fail, by reason.
        clusters: size and the URL kept of each cluster of duplicates.
        removed: duplicates that were removed.
        all_units: whether no unit was left out.
    """

    hosts: Counter[str] = field(default_factory=Counter)
    pools: dict[str, list[Shown]] = field(default_factory=lambda: defaultdict(list))
    messages: dict[str, list[str]] = field(default_factory=dict)
    clusters: dict[str, tuple[int, str]] = field(default_factory=dict)
    removed: int = 0
    all_units: bool = True

    def samples(self, reason: str, number: int) -> list[Shown]:
        """Return documents of a reason: those with the least hashes of their ids."""
        pool = self.pools.get(reason, [])
        return sorted(pool, key=lambda one: (sample_hash(one.id), one.row))[:number]


def scan(stage: StageFiles, with_hosts: bool) -> Scan:
    """Look through the decisions of a stage, or of 400 units of it that a hash chooses."""
    found = Scan(all_units=len(stage.decisions) <= MAX_UNITS)
    chosen = sorted(stage.decisions.items(), key=lambda item: sample_hash(item[0]))[:MAX_UNITS]
    for unit, path in chosen:
        table = read_columns(path, _COLUMNS)
        if with_hosts:
            found.hosts.update(count_hosts(table.column("url")))
        _choose(found, stage, unit, table)
        _take_clusters(found, table)
    return found


def _choose(found: Scan, stage: StageFiles, unit: str, table: Any) -> None:
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    reasons = pc.fill_null(table.column("reason"), "").combine_chunks()
    encoded = pc.dictionary_encode(reasons)
    codes = encoded.indices.to_numpy(zero_copy_only=False)
    sampled = stage.manifest(unit).files.get("samples")
    sampled_ids: set[str] = set()
    if sampled:
        sampled_ids = set(read_columns(stage.file(unit, "samples") or "", ("id",))[0].to_pylist())
    for code, reason in enumerate(encoded.dictionary.to_pylist()):
        pool = found.pools[reason]
        if len(pool) >= _POOL:
            continue
        rows = np.flatnonzero(codes == code)
        if sampled_ids and reason:
            ids = table.column("id").take(pa.array(rows))
            with_text = pc.is_in(ids, pa.array(sorted(sampled_ids), pa.string()))
            texts = rows[with_text.to_numpy(zero_copy_only=False)]
            rows = texts if len(texts) else rows
        rows = rows[:_PER_UNIT]
        taken = table.take(pa.array(rows)).to_pylist()
        there = [
            shown_of(stage.name, unit, {**row, "row": int(number)})
            for number, row in zip(rows, taken, strict=True)
        ]
        there.sort(key=lambda one: (sample_hash(one.id), one.row))
        pool += there[:_POOL]
        messages = found.messages.setdefault(reason, []) if there[0].outcome == "failed" else []
        for one in there[: max(0, _MESSAGES - len(messages))]:
            messages.append(f"{one.url or one.id}: {one.message or ''}")


def _take_clusters(found: Scan, table: Any) -> None:
    import pyarrow.compute as pc

    if table.column("cluster").null_count == len(table):
        return
    named = table.filter(pc.is_valid(table.column("cluster")))
    found.removed += len(named)
    columns = ("cluster", "cluster_size", "duplicate_of_url", "duplicate_of")
    for cluster, size, url, identifier in zip(
        *(named.column(name).to_pylist() for name in columns), strict=True
    ):
        found.clusters[cluster] = (size or 0, url or identifier or "")
