"""The members of clusters in files: a row group per unit, read by whoever works on that unit."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ..manifest import Manifest
from ..pipeline import StageKind
from .signatures import id_bytes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from ..task import Work

# Every reader of a group reads the whole footer of its file: 7 ms at 1,000 groups.
_GROUPS_OF_FILE = 200


class Span(NamedTuple):
    """A unit's documents: where they begin among all, and where its members are among members."""

    documents: Manifest
    base: int
    members: slice

    @staticmethod
    def of(
        work: Work, source: StageKind, signatures: list[Manifest], members: NDArray[np.int64]
    ) -> list[Span]:
        """Return the span of each unit that has signatures."""
        import numpy as np

        from . import arrays

        documents = {manifest.unit: manifest for manifest in work.manifests(source)}
        bases = arrays.bases(signatures)
        bounds = np.searchsorted(members, bases).tolist()
        return [
            Span(documents[signature.unit], base, slice(low, high))
            for signature, base, low, high in zip(
                signatures, bases.tolist(), bounds, bounds[1:], strict=False
            )
        ]


class Members(NamedTuple):
    """The documents in clusters, by their place among them.

    Attributes:
        documents: sorted ordinals.
        canonical: the place of the one that is kept.
        sizes: documents in the cluster.
        similarities: to the one that is kept, where that was measured.
        threshold: what a similarity had to reach.
        originals: of those whose cluster an earlier run knows, the place among `names` of the
            document there, else -1; None if there is no such run.
        names: ids and URLs of documents of earlier runs, as a table.
        marks: whether such documents are marked and treated like others; else they are removed.
    """

    documents: NDArray[np.int64]
    canonical: NDArray[np.int64]
    sizes: NDArray[np.int64]
    similarities: NDArray[np.float64] | None = None
    threshold: float | None = None
    originals: NDArray[np.int64] | None = None
    names: Any = None
    marks: bool = False


def write_members(work: Work, spans: Sequence[Span], members: Members) -> None:
    """Write for each unit: row, cluster, size, and who is kept; note where, and a digest of it."""
    import numpy as np
    import pyarrow.parquet as pq

    leads = members.canonical == np.arange(len(members.canonical))
    names = _names(work, spans, members.documents, leads)
    places = np.cumsum(leads) - 1
    units: dict[str, tuple[str | None, int, str]] = {}
    filled = [span for span in spans if span.members.start < span.members.stop]
    for start in range(0, len(filled), _GROUPS_OF_FILE):
        role = f"members-{start // _GROUPS_OF_FILE:04d}"
        work.rows[role] = 0
        with work.create(role, work.path(f"{role}.parquet")) as output:
            writer = pq.ParquetWriter(
                output, _schema(), compression="zstd", write_page_checksum=True
            )
            for group, span in enumerate(filled[start : start + _GROUPS_OF_FILE]):
                kept = names.take(places[members.canonical[span.members]])
                table, digest = _rows(span, members, leads[span.members], kept)
                writer.write_table(table, len(table))
                work.rows[role] += len(table)
                units[span.documents.unit] = (role, group, digest)
            writer.close()
    for span in spans:
        units.setdefault(span.documents.unit, (None, 0, "none"))
    work.manifest.details["units"] = units
    work.manifest.details["files"] = -(-len(filled) // _GROUPS_OF_FILE)


def _names(
    work: Work, spans: Sequence[Span], documents: NDArray[np.int64], leads: NDArray[np.bool_]
) -> Any:
    """Return cluster, id and URL of the documents that lead, as a table.

    Of a dump they would take 10 GB as Python's strings.
    """
    import numpy as np
    import pyarrow as pa

    text = pa.large_string()
    parts: dict[str, list[Any]] = {name: [pa.array([], text)] for name in ("cluster", "id", "url")}
    for span in spans:
        wanted = span.members.start + np.flatnonzero(leads[span.members])
        if len(wanted):
            rows = work.table(span.documents, ("id", "url")).take(documents[wanted] - span.base)
            clusters = [cluster_name(one) for one in rows["id"].to_pylist()]
            parts["cluster"].append(pa.array(clusters, text))
            parts["id"] += rows["id"].cast(text).chunks
            urls = "url" in rows.column_names
            parts["url"] += rows["url"].cast(text).chunks if urls else [pa.nulls(len(rows), text)]
    columns = {}
    for name, chunks in parts.items():
        columns[name] = pa.concat_arrays(chunks)
        chunks.clear()
    return pa.table(columns)


def cluster_name(identifier: str) -> str:
    """Return the name of the cluster of a document that is kept: the hash of its id."""
    import xxhash

    return xxhash.xxh64_hexdigest(id_bytes(identifier))


def _rows(span: Span, members: Members, leads: NDArray[np.bool_], kept: Any) -> tuple[Any, str]:
    """Return the table of a unit's members, and a digest of it.

    Args:
        span: the unit.
        members: of all units.
        leads: which of the unit's members are kept.
        kept: cluster, id and URL of the document that is kept for each.
    """
    import pyarrow as pa

    own, count = span.members, len(kept)
    similarities = members.similarities
    columns: dict[str, list[Any]] = {
        "row": (members.documents[own] - span.base).tolist(),
        "cluster": kept["cluster"].to_pylist(),
        "size": members.sizes[own].tolist(),
        "canonical": leads.tolist(),
        "leader": members.documents[members.canonical[own]].tolist(),
        "duplicate_of": kept["id"].to_pylist(),
        "duplicate_of_url": kept["url"].to_pylist(),
        "similarity": [None] * count if similarities is None else similarities[own].tolist(),
        "threshold": [members.threshold] * count,
        "earlier": [None] * count,
        "earlier_url": [None] * count,
    }
    if members.originals is not None:
        _add_originals(columns, members, members.originals[own])
    # Ordinals change with other units; what becomes of the documents here does not.
    told = repr({name: column for name, column in columns.items() if name != "leader"})
    digest = hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    return pa.table(columns, schema=_schema()), digest


def _add_originals(
    columns: dict[str, list[Any]], members: Members, originals: NDArray[np.int64]
) -> None:
    """Name the document of an earlier run in the rows that have one, and let it stand for them."""
    import pyarrow as pa

    known = pa.array(originals, mask=originals < 0)
    columns["earlier"] = members.names["id"].take(known).to_pylist()
    columns["earlier_url"] = members.names["url"].take(known).to_pylist()
    if members.marks:
        return
    for at in (originals >= 0).nonzero()[0].tolist():
        identifier = columns["earlier"][at]
        columns["canonical"][at], columns["leader"][at] = False, None
        columns["duplicate_of"][at] = identifier
        columns["duplicate_of_url"][at] = columns["earlier_url"][at]
        if members.similarities is not None:  # proven to be of the earlier document's cluster
            columns["cluster"][at] = cluster_name(identifier)
            columns["size"][at] += 1


def _schema() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("row", pa.int64()),
            ("cluster", pa.string()),
            ("size", pa.int64()),
            ("canonical", pa.bool_()),
            ("leader", pa.int64()),
            ("duplicate_of", pa.string()),
            ("duplicate_of_url", pa.string()),
            ("similarity", pa.float64()),
            ("threshold", pa.float64()),
            ("earlier", pa.string()),
            ("earlier_url", pa.string()),
        ]
    )
