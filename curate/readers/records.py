"""Readers for text that is already extracted: JSON lines and Parquet."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from ..document import Document, checked
from ..errors import DefinitionError, DocumentError, is_of_machine
from ..steps import Drop, Failure, Reader
from .lines import GzipDamaged, blocks_of, read_lines

# Of a line, or of a value. JSON of objects may take 50 times as much when it is parsed.
_LIMIT_BYTES = 32 << 20
_ROWS = 500


@dataclass(frozen=True)
class JsonlReader(Reader):
    """Read documents from JSON lines, plain or gzip; a file that is packed otherwise is an error.

    A line that is not a JSON object with text fails as `not_json` or `no_text`; one with a value of
    another type as `invalid_value`, with a lone surrogate as `invalid_unicode`, and one that is too
    long as `too_large`. It costs no other. Of a key that is there twice the last one counts.

    Args:
        paths: path, glob or URL; several separated by commas.
        text: key of the text.
        id: key of the identifier; where a line has none, the file's name and the line's number.
        keep: further keys to keep and their types, as (key, type) pairs.
        max_line_bytes: of a line, unpacked.
    """

    name = "jsonl"

    paths: str = field(metadata={"fingerprint": False})
    text: str = "text"
    id: str = "id"
    keep: tuple[tuple[str, str], ...] = ()
    max_line_bytes: int = _LIMIT_BYTES

    def __post_init__(self) -> None:
        _check_keep(self)

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on `keep`
        """`file_path`, `offset` (the line, from 0) and what `keep` names."""
        return {"file_path": "string", "offset": "int64", **dict(self.keep)}

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Drop | Failure | None]]:
        """Yield one document a line."""
        lines = read_lines(blocks_of(path, stream), self.max_line_bytes)
        for number in itertools.count():
            doc = Document(f"{path}:{number}", metadata={"file_path": path, "offset": number})
            try:
                line = next(lines)
            except StopIteration:
                return
            except GzipDamaged as error:
                # What follows the damage cannot be found again.
                yield doc, Failure("gzip_damaged", str(error))
                return
            yield doc, self._take(doc, line)

    def _take(self, doc: Document, line: bytes | None) -> Failure | None:
        if line is None:
            return Failure("too_large", f"the line has over {self.max_line_bytes:,} bytes")
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as error:
            return Failure("not_json", str(error))
        if not isinstance(value, dict):
            return Failure("no_text", f"the line is a {type(value).__name__} and not an object")
        return _take(self, doc, value)


@dataclass(frozen=True)
class ParquetReader(Reader):
    """Read documents from Parquet.

    A row without text fails as `no_text`, one with bytes that are not UTF-8 as `invalid_unicode`,
    one with a value that is too large as `too_large`; it costs no other. Damage costs the rows of
    its row group that follow it, as one `parquet_damaged`.

    Args:
        paths: path, glob or URL; several separated by commas.
        text: column of the text.
        id: column of the identifier; where it is null or missing, file and row number.
        keep: further columns to keep and their types, as (column, type) pairs.
        max_value_bytes: of a text or another string.
    """

    name = "parquet"
    version = 2

    paths: str = field(metadata={"fingerprint": False})
    text: str = "text"
    id: str = "id"
    keep: tuple[tuple[str, str], ...] = ()
    max_value_bytes: int = _LIMIT_BYTES

    def __post_init__(self) -> None:
        _check_keep(self)

    @property
    def columns(self) -> Mapping[str, str]:  # type: ignore[override]  # depends on `keep`
        """`file_path`, `offset` (the row, from 0) and what `keep` names."""
        return {"file_path": "string", "offset": "int64", **dict(self.keep)}

    def read(self, path: str, stream: BinaryIO) -> Iterator[tuple[Document, Drop | Failure | None]]:
        """Yield one document a row.

        Raises:
            CurateError: the file is not Parquet, or a column is missing or of another type.
        """
        from .tables import open_table

        types = {self.text: "string", **dict(self.keep)}
        table = open_table(path, stream, types, optional=self.id)
        for group in range(table.num_groups):
            number, end = table.rows_of(group)
            message = ""
            try:
                for row in table.rows(group, _ROWS, self.max_value_bytes):
                    doc = Document(
                        f"{path}:{number}", metadata={"file_path": path, "offset": number}
                    )
                    number += 1
                    yield doc, row if isinstance(row, Failure) else _take(self, doc, row)
            except table.damage as error:
                if is_of_machine(error):
                    raise
                message = " ".join(str(error).split())[:300]
            if number < end:
                doc = Document(f"{path}:{number}", metadata={"file_path": path, "offset": number})
                what = f"rows {number:,} to {end - 1:,} cannot be read"
                yield doc, Failure("parquet_damaged", f"{what}: {message or 'they are missing'}")


def _check_keep(reader: JsonlReader | ParquetReader) -> None:
    taken = ("text", "id", "file_path", "offset")
    for key, _ in reader.keep:
        if key in taken:
            raise DefinitionError(
                f"{reader.name}: keep cannot name {key!r}: {', '.join(taken)} are columns of every"
                " document.\nName the text and the identifier by `text` and `id`."
            )


def _take(
    reader: JsonlReader | ParquetReader, doc: Document, row: Mapping[str, Any]
) -> Failure | None:
    """Take over what a reader keeps of a row, or say why it cannot."""
    text, identifier = row.get(reader.text), row.get(reader.id)
    try:
        if identifier is not None and identifier != "":
            if isinstance(identifier, list | dict | bool):
                raise DocumentError("invalid_value", f"{reader.id}={identifier!r:.200} is no name")
            doc.id = checked("id", str(identifier), "string")
        if not isinstance(text, str):
            return Failure("no_text", f"there is no string under {reader.text!r}")
        checked("text", text, "string")
        for key, kind in reader.keep:
            value = row.get(key)
            doc.metadata[key] = value if value is None else checked(key, value, kind)
    except DocumentError as error:
        return Failure(error.reason, error.message)
    doc.text = text
    return None
