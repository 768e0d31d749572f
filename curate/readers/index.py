"""IndexReader: PDFs from Common Crawl's columnar index, without touching an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, BinaryIO

from ..document import Document, open_parquet
from ..errors import CurateError
from ..steps import Drop, Failure, Reader
from .pdf import FOUND_COLUMNS
from .pdf_signs import PDF_TYPES, PDF_URL, crawl_of
from .ranges import Part

Fate = Drop | Failure | None

_NEEDED = ("url", "warc_filename", "warc_record_offset", "warc_record_length")
_TYPES = ("content_mime_type", "content_mime_detected")
_FURTHER = ("fetch_time", "fetch_status", "content_digest", "content_truncated")
_NO_PDF_TYPES = ("text/html", "application/xhtml+xml")
# What is asked for at once of each column, and how many rows are looked through at once: bounds
# memory whatever the size of a row group.
_READ_BYTES = 4 << 20
_BATCH_ROWS = 20_000


@dataclass(frozen=True)
class IndexReader(Reader):
    """Find the PDFs that Common Crawl's columnar index lists.

    The index (`cc-index/table/cc-main/warc/crawl=.../subset=warc/*.parquet`) has a row for every
    capture; those that are PDFs by declared type, detected type or URL path enter, the others are
    passed over, as an index is a list to choose from. LoadPayload reads the payloads.

    Args:
        paths: the Parquet files of the index.
        root: put before the index's `warc_filename` to make `file_path`.
        dump: the crawl; where it is empty, the one that the archive's or the index's path names.
        statuses: the HTTP status codes to read, first and last. A row without one is read.
        needs_truncated: refuse an index that does not say what was cut.

    Columns: those of PdfWarcReader. `payload_digest` is the index's. `truncated_by` is what the
    index says, where it has that column (from CC-MAIN-2019-47). `is_truncated` is True for these
    and None for all others: nobody has looked at the bytes. LoadPayload does, and decides.

    Drops: `no_pdf_header` (Common Crawl detected HTML), `http_status` (value: the status).

    Failures: `no_place` (a row without URL, archive or offset), `parquet_damaged` (a row group
    that cannot be read, as a document with its `offset` in the index).
    """

    name = "index"
    reasons = ("no_pdf_header", "http_status")
    columns = FOUND_COLUMNS
    libraries = ("pyarrow",)

    paths: str = field(metadata={"fingerprint": False})
    root: str = "s3://commoncrawl/"
    dump: str = ""
    # DIFFERS: the reference does not look at the status; subset=warc holds only 200.
    statuses: tuple[int, int] = (200, 299)
    needs_truncated: bool = False

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Fate]]:
        """Yield one document for every row of a PDF.

        Raises:
            CurateError: the file is not Parquet, or a column is missing.
        """
        import pyarrow as pa

        part = Part(stream, path, exact=True)
        try:
            file = open_parquet(part, buffer_size=_READ_BYTES)
        except (pa.ArrowInvalid, OSError) as error:
            raise CurateError(f"{path}: is not a Parquet file: {error}") from error
        there = set(file.schema_arrow.names)
        for column in _NEEDED:
            if column not in there:
                raise CurateError(
                    f"{path}: has no column {column!r}. There are: {', '.join(sorted(there))}."
                    "\nGive files of Common Crawl's columnar index."
                )
        if self.needs_truncated and "content_truncated" not in there:
            raise CurateError(
                f"{path}: does not say which files were cut (no column 'content_truncated'; it is"
                " there from CC-MAIN-2019-47), so none could be fetched again.\nRead the archives"
                " with -p warcs=..., or give -p refetch=false."
            )
        columns = [name for name in (*_NEEDED, *_TYPES, *_FURTHER) if name in there]
        first = 0  # row of the file with which a batch begins
        for group in range(file.num_row_groups):
            start = first
            first += file.metadata.row_group(group).num_rows
            batches = file.iter_batches(
                _BATCH_ROWS, row_groups=[group], columns=columns, use_threads=False
            )
            try:
                for batch in batches:
                    for number, row in _pdf_rows(batch):
                        yield self._document(f"{path}#{start + number}", row)
                    start += batch.num_rows
            except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
                chunk = file.metadata.row_group(group).column(0)
                offset = chunk.dictionary_page_offset or chunk.data_page_offset
                doc = Document(f"{path}#{offset}", metadata=dict.fromkeys(FOUND_COLUMNS))
                doc.metadata.update(dump=self.dump or crawl_of(path), file_path=path, offset=offset)
                yield doc, Failure("parquet_damaged", f"row group {group}: {error}")

    @property
    def _root(self) -> str:
        return self.root if not self.root or self.root.endswith("/") else f"{self.root}/"

    def _document(self, place: str, row: Mapping[str, Any]) -> tuple[Document, Fate]:
        """Return the document of a row; without an archive it is named by its place."""
        filename, offset = row["warc_filename"], row["warc_record_offset"]
        digest, truncated = row.get("content_digest"), row.get("content_truncated")
        # DIFFERS: the index has no WARC-Record-ID, for which the reference makes a random UUID.
        # The place is as unique and the same in every run, whatever `root` is.
        doc = Document(f"{filename}#{offset}" if filename and offset is not None else place)
        doc.metadata = {
            "url": row["url"],
            "date": _date(row.get("fetch_time")),
            "dump": self.dump or crawl_of(filename or "") or crawl_of(place),
            "file_path": f"{self._root}{filename}" if filename else None,
            "offset": offset,
            "length": row["warc_record_length"],
            "mime": row.get("content_mime_type") or None,
            "truncated_by": truncated or None,
            "is_truncated": True if truncated else None,
            "payload_digest": f"sha1:{digest}" if digest else None,
        }
        if not row["url"] or not filename or offset is None:
            return doc, Failure("no_place", "the row has no URL, no archive or no offset in it")
        status = row.get("fetch_status")
        if status is not None and not self.statuses[0] <= status <= self.statuses[1]:
            return doc, Drop("http_status", value=status)
        if row.get("content_mime_detected") in _NO_PDF_TYPES:
            return doc, Drop("no_pdf_header")
        return doc, None


def _pdf_rows(batch: Any) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the rows of a batch that are PDFs by type or URL, with their numbers in it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pc.match_substring_regex(batch.column("url").cast(pa.string()), PDF_URL)
    wanted = pc.fill_null(wanted, False)
    for name in _TYPES:
        if name in batch.schema.names:
            kinds = pc.utf8_lower(batch.column(name).cast(pa.string()))
            wanted = pc.or_(wanted, pc.is_in(kinds, value_set=pa.array(PDF_TYPES)))
    numbers = pc.indices_nonzero(wanted)
    rows = batch.take(numbers)
    if "fetch_time" in rows.schema.names and pa.types.is_timestamp(rows["fetch_time"].type):
        at = rows.schema.get_field_index("fetch_time")
        # Nanoseconds, as Spark wrote them, are no datetime.
        seconds = rows["fetch_time"].cast(pa.timestamp("s", rows["fetch_time"].type.tz), safe=False)
        rows = rows.set_column(at, "fetch_time", seconds)
    yield from zip(numbers.to_pylist(), rows.to_pylist(), strict=True)


def _date(value: Any) -> str | None:
    """Return a time of the index as WARC-Date has it."""
    if not isinstance(value, datetime):
        return str(value) if value else None
    utc: datetime = value.astimezone(timezone.utc) if value.tzinfo else value
    return utc.strftime("%Y-%m-%dT%H:%M:%SZ")
