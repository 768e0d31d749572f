"""Tables between the stages: the URLs to ask for, and what became of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from ..manifest import Manifest
from ..stored import open_table

if TYPE_CHECKING:
    from ..task import Work

_GROUP_ROWS = 20_000


def url_schema() -> Any:
    """Return the schema of URLs: sorted by the prefix of the hash of the site, URL and row."""
    import pyarrow as pa

    return pa.schema(
        [
            ("prefix", pa.int32()),
            ("row", pa.int64()),
            ("id", pa.string()),
            ("url", pa.string()),  # as crawled
            ("asked", pa.string()),  # in one form; null if it cannot be asked for
            ("offset", pa.int64()),
            ("problem", pa.string()),
        ]
    )


def outcome_schema() -> Any:
    """Return the schema of outcomes: a row per document, sorted by unit and row."""
    import pyarrow as pa

    return pa.schema(
        [
            ("source", pa.int32()),  # number of the unit
            ("source_unit", pa.string()),
            ("row", pa.int64()),
            ("id", pa.string()),
            ("url", pa.string()),
            ("outcome", pa.string()),
            ("http_status", pa.int32()),
            ("message", pa.string()),
            ("redirects", pa.list_(pa.string())),
            ("seconds", pa.float64()),
            ("bytes", pa.int64()),
            ("attempts", pa.int32()),
            ("payload_digest", pa.string()),  # of what was fetched
            ("refetch_path", pa.string()),
            ("refetch_offset", pa.int64()),
        ]
    )


def write(work: Work, role: str, name: str, tables: Iterable[Any], schema: Any) -> None:
    """Write tables as one Parquet file of the unit, a row group each where they are small."""
    import pyarrow.parquet as pq

    rows = 0
    with work.create(role, name) as output:
        writer = pq.ParquetWriter(output, schema, compression="zstd", write_page_checksum=True)
        for table in tables:
            writer.write_table(table, _GROUP_ROWS)
            rows += table.num_rows
        writer.close()
    work.rows[role] = rows


def read_range(
    work: Work, manifest: Manifest, role: str, column: str, first: int, last: int
) -> list[dict[str, Any]]:
    """Read the rows of a table that is sorted by `column`, from `first` to before `last`."""
    import pyarrow.compute as pc

    with open_table(work.out, manifest.files[role]) as file:
        place = file.schema_arrow.names.index(column)
        groups = []
        for number in range(file.num_row_groups):
            bounds = file.metadata.row_group(number).column(place).statistics
            known = bounds is not None and bounds.has_min_max
            if not known or (bounds.max >= first and bounds.min < last):
                groups.append(number)
        table = file.read_row_groups(groups, use_threads=False)
    values = table.column(column)
    within = pc.and_(pc.greater_equal(values, first), pc.less(values, last))
    rows: list[dict[str, Any]] = table.filter(within).to_pylist()
    return rows


def digest(rows: Sequence[dict[str, Any]]) -> str:
    """Return a name for what documents get of their outcomes."""
    names = ("row", "outcome", "payload_digest", "refetch_path", "refetch_offset")
    wanted = [[row[name] for name in names] for row in rows]
    return hashlib.sha256(repr(wanted).encode()).hexdigest()[:10]
