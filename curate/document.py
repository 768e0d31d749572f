"""Document, the thing that flows, and its one on-disk schema."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from .errors import DefinitionError, DocumentError

# A row group holds at most so many documents or bytes of text: what a reader keeps in memory.
_GROUP_ROWS = 5_000
_GROUP_BYTES = 32 << 20


@dataclass(slots=True)
class Document:
    """One page on its way to the dataset.

    Attributes:
        id: stable identifier of the record, the same in every run and for every sharding
            (for WARC the `WARC-Record-ID`).
        text: the text; empty until an extractor has made it.
        metadata: the other columns. Every key is declared in the `columns` of the reader or step
            that sets it.
        payload: the record's body before extraction, with content encodings undone. Extractors
            set it to None.
    """

    id: str
    text: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    payload: bytes | None = None


def schema(columns: Mapping[str, str], file_metadata: Mapping[str, str] | None = None) -> Any:
    """Return the Arrow schema of documents with these metadata columns, in this order.

    Args:
        columns: name to type; "text" and "id" come first unless they are placed among them.
        file_metadata: key-value pairs for the file's footer.
    """
    import pyarrow as pa

    types = {
        "string": pa.string(),
        "int64": pa.int64(),
        "double": pa.float64(),
        "bool": pa.bool_(),
        "list<int64>": pa.list_(pa.int64()),
        "list<string>": pa.list_(pa.string()),
    }
    ordered = {**{name: "string" for name in ("id", "text") if name not in columns}, **columns}
    for name, kind in ordered.items():
        if kind not in types:
            raise DefinitionError(
                f"column {name!r}: type {kind!r} is not known; allowed are {', '.join(types)}."
            )
    return pa.schema(
        [(name, types[kind]) for name, kind in ordered.items()],
        metadata=dict(sorted((file_metadata or {}).items())),
    )


class DocumentWriter:
    """Write documents to Parquet: bounded memory, and equal bytes for equal documents."""

    def __init__(self, output: Any, schema: Any) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self._pa = pa
        self._schema = schema
        self._kinds = {field.name: _kind(pa, field.type) for field in schema}
        self._writer = pq.ParquetWriter(
            output,
            schema,
            compression="zstd",
            compression_level=3,
            use_dictionary=_repeating(schema),
            write_page_checksum=True,
        )
        self._rows: list[dict[str, Any]] = []
        self._bytes = 0
        self.rows = 0

    def add(self, doc: Document) -> None:
        """Append one document.

        Raises:
            DocumentError: `invalid_unicode` (a lone surrogate) in its text, id or metadata, or
                `invalid_value`, which is not of the column's type.
            DefinitionError: a step set metadata that no step declares, or named text or id.
        """
        if not self._kinds.keys() >= doc.metadata.keys():
            unknown = sorted(doc.metadata.keys() - self._kinds.keys())
            raise DefinitionError(
                f"metadata {', '.join(unknown)} is set by a step but declared by none;"
                " name it and its type in the step's `columns`."
            )
        if named := {"text", "id"} & doc.metadata.keys():
            raise DefinitionError(
                f"metadata {', '.join(sorted(named))} is set by a step: it would take the place of"
                " the document's own.\nSet doc.text or doc.id, or choose another name."
            )
        size = len(checked("text", doc.text, "string").encode())
        row = {"id": checked("id", doc.id, "string"), "text": doc.text}
        for name, value in doc.metadata.items():
            row[name] = value if value is None else checked(name, value, self._kinds[name])
        self._rows.append(row)
        self._bytes += size
        self.rows += 1
        if len(self._rows) >= _GROUP_ROWS or self._bytes >= _GROUP_BYTES:
            self._flush()

    def _flush(self) -> None:
        try:
            table = self._pa.Table.from_pylist(self._rows, schema=self._schema)
        except (self._pa.ArrowInvalid, self._pa.ArrowTypeError) as error:
            raise DefinitionError(
                f"a column does not hold what its step declares in `columns`: {error}"
            ) from error
        self._writer.write_table(table)
        self._rows, self._bytes = [], 0

    def close(self) -> None:
        """Write what is buffered and the file's footer."""
        if self._rows or not self.rows:
            self._flush()
        self._writer.close()


def _kind(pa: Any, arrow_type: Any) -> str:
    """Return a type as `columns` names it; Arrow's own name has that of the items in it."""
    is_list = pa.types.is_list(arrow_type)
    return f"list<{arrow_type.value_type}>" if is_list else str(arrow_type)


def checked(name: str, value: Any, kind: str) -> Any:
    """Return a value as its column holds it; one that does not fit costs its document alone.

    A whole number becomes the nearest double: Arrow takes none above 2**53 as one.
    """
    if kind == "string":
        fits = isinstance(value, str) and _encodes(name, value)
    elif kind == "int64":
        fits = _is_int64(value)
    elif kind == "double":
        fits = isinstance(value, int | float) and abs(value) <= sys.float_info.max
        value = float(value) if fits else value
    elif kind == "bool":
        fits = isinstance(value, bool)
    elif kind == "list<string>":
        fits = isinstance(value, list) and all(
            isinstance(item, str) and _encodes(name, item) for item in value
        )
    else:
        fits = isinstance(value, list) and all(map(_is_int64, value))
    if not fits:
        raise DocumentError("invalid_value", f"{name}={value!r:.200} is not of type {kind}")
    return value


def _is_int64(value: Any) -> bool:
    is_int = isinstance(value, int) and not isinstance(value, bool)
    return is_int and -(1 << 63) <= value < 1 << 63


def _encodes(name: str, value: str) -> bool:
    try:
        if not value.isascii():
            value.encode()
    except UnicodeEncodeError as error:
        raise DocumentError("invalid_unicode", f"{name}: {error}") from None
    return True


def _repeating(schema: Any) -> list[str]:
    # A dictionary pays for columns with few values and costs time and space for unique ones.
    return [name for name in schema.names if name not in {"id", "text", "url"}]


def open_parquet(stream: Any, **options: Any) -> Any:
    """Open a Parquet file for reading in this thread alone; read with `use_threads=False`.

    Arrow's threads for reading ahead would hold the stream when the interpreter ends, which aborts
    now and then a process that has done all its work (apache/arrow#34314). Pages are held against
    their checksums: a bit that flipped on a disk would else be another text.
    """
    import pyarrow.parquet as pq

    return pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True, **options)


def read_documents(stream: BinaryIO, first: int = 0, last: int | None = None) -> Iterator[Document]:
    """Yield the documents of a Parquet file as `documents_of` does."""
    yield from documents_of(open_parquet(stream), first, last)


def documents_of(file: Any, first: int = 0, last: int | None = None) -> Iterator[Document]:
    """Yield the documents of a Parquet file in order, a few hundred in memory at a time.

    Args:
        file: the file, as `open_parquet` opens it.
        first: row to begin with.
        last: row to end before; None for all.
    """
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        end = start + rows
        if end > first and (last is None or start < last):
            position = start
            for batch in file.iter_batches(500, row_groups=[group], use_threads=False):
                for row in batch.to_pylist():
                    if position >= first and (last is None or position < last):
                        yield Document(id=row.pop("id"), text=row.pop("text"), metadata=row)
                    position += 1
        start = end
