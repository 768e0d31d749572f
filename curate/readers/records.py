"""Readers for text that is already extracted: JSON lines and Parquet."""

from __future__ import annotations

import gzip
import itertools
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..document import Document
from ..errors import CurateError
from ..steps import Drop, Failure, Reader


@dataclass(frozen=True)
class JsonlReader(Reader):
    """Read documents from JSON lines, plain or gzip.

    A line that is not a JSON object with text fails as `not_json` or `no_text`; it costs no other.

    Args:
        paths: path, glob or URL; several separated by commas.
        text: key of the text.
        id: key of the identifier; where a line has none, the file's name and the line's number.
        keep: further keys to keep and their types, as (key, type) pairs.
    """

    name = "jsonl"

    paths: str = field(metadata={"fingerprint": False})
    text: str = "text"
    id: str = "id"
    keep: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on `keep`
        """`file_path`, `offset` (the line, from 0) and what `keep` names."""
        return {"file_path": "string", "offset": "int64", **dict(self.keep)}

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Drop | Failure | None]]:
        """Yield one document a line."""
        packed = stream.read(2) == b"\x1f\x8b"
        stream.seek(0)
        lines = iter(gzip.open(stream) if packed else stream)
        for number in itertools.count():
            doc = Document(f"{path}:{number}", metadata={"file_path": path, "offset": number})
            try:
                line = next(lines)
            except StopIteration:
                return
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                # What follows the damage cannot be found again.
                yield doc, Failure("gzip_damaged", str(error))
                return
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                yield doc, Failure("not_json", str(error))
                continue
            text = value.get(self.text) if isinstance(value, dict) else None
            if not isinstance(text, str):
                yield doc, Failure("no_text", f"there is no string under {self.text!r}")
                continue
            doc.text = text
            if value.get(self.id) is not None:
                doc.id = str(value[self.id])
            doc.metadata.update({key: value.get(key) for key, _ in self.keep})
            yield doc, None


@dataclass(frozen=True)
class ParquetReader(Reader):
    """Read documents from Parquet.

    Args:
        paths: path, glob or URL; several separated by commas.
        text: column of the text.
        id: column of the identifier; where it is null or missing, file and row number.
        keep: further columns to keep and their types, as (column, type) pairs.
    """

    name = "parquet"

    paths: str = field(metadata={"fingerprint": False})
    text: str = "text"
    id: str = "id"
    keep: tuple[tuple[str, str], ...] = ()

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on `keep`
        """`file_path`, `offset` (the row, from 0) and what `keep` names."""
        return {"file_path": "string", "offset": "int64", **dict(self.keep)}

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Drop | Failure | None]]:
        """Yield one document a row.

        Raises:
            CurateError: the file is not Parquet, or a column is missing.
        """
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            file = pq.ParquetFile(stream)
        except pa.ArrowInvalid as error:
            raise CurateError(f"{path}: is not a Parquet file: {error}") from error
        there = set(file.schema_arrow.names)
        wanted = [self.text, *(key for key, _ in self.keep)]
        for column in wanted:
            if column not in there:
                raise CurateError(
                    f"{path}: has no column {column!r}. There are: {', '.join(sorted(there))}."
                )
        if self.id in there:
            wanted.append(self.id)
        number = 0
        for batch in file.iter_batches(500, columns=wanted, use_threads=False):
            for row in batch.to_pylist():
                yield self._document(path, number, row)
                number += 1

    def _document(
        self, path: str, number: int, row: Mapping[str, Any]
    ) -> tuple[Document, Drop | Failure | None]:
        identifier = row.get(self.id)
        doc = Document(
            f"{path}:{number}" if identifier is None else str(identifier),
            metadata={"file_path": path, "offset": number},
        )
        doc.metadata.update({key: row[key] for key, _ in self.keep})
        if not isinstance(row[self.text], str):
            return doc, Failure("no_text", f"column {self.text!r} holds no text in this row")
        doc.text = row[self.text]
        return doc, None
