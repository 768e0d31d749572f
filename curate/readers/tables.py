"""Rows of a Parquet file that nobody vouches for: wrong types, damage, values too large."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from itertools import accumulate
from typing import Any, BinaryIO

from ..document import open_parquet
from ..errors import CurateError, is_of_machine
from ..steps import Failure

_DICTIONARY_BYTES = 64 << 20
_DELTAS = frozenset(("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY"))
_LARGE_ROWS = 16  # in memory at a time where a value that stands in each of them is there each time


def open_table(path: str, stream: BinaryIO, types: Mapping[str, str], optional: str) -> Table:
    """Open a file to read these columns of it, whose types are as `columns` of a step names them.

    Args:
        path: for messages.
        stream: the file, seekable.
        types: column to type.
        optional: another column, which may be missing and is of any type.

    Raises:
        CurateError: it is not Parquet, or a column is missing, there twice, or of another type.
    """
    import pyarrow as pa

    damage = (pa.ArrowException, OSError, ValueError)  # names of columns may be no UTF-8
    try:
        file = open_parquet(stream)
        schema = file.schema_arrow
        # As dictionaries, a value that stands in a million rows is in memory once. Of a large group
        # they would be copied with every batch, and beyond 2 GB Arrow takes them for damage. Of
        # DELTA encodings, as other writers use them, it makes none, and they repeat a value of any
        # size in a few bytes: a row at a time.
        groups = [file.metadata.row_group(index) for index in range(file.num_row_groups)]
        is_large = max((group.total_byte_size for group in groups), default=0) > _DICTIONARY_BYTES
        max_rows = _LARGE_ROWS if is_large else None
        if _is_delta(file.metadata, groups, {*types, optional}):
            max_rows = 1
        strings = [] if max_rows else [column.name for column in schema if _is(column.type)]
        file = open_parquet(stream, metadata=file.metadata, read_dictionary=strings)
    except damage as error:
        if is_of_machine(error):
            raise
        why = " ".join(str(error).split())[:300]
        raise CurateError(f"{path}: is not a Parquet file that can be read: {why}") from error
    there = sorted(set(schema.names))
    for name, kind in types.items():
        count = schema.names.count(name)
        if count != 1:
            what = f"has {count} columns {name!r}" if count else f"has no column {name!r}"
            raise CurateError(f"{path}: {what}. There are: {', '.join(there)}.")
        found = schema.field(name).type
        if not _fits(found, kind):
            raise CurateError(f"{path}: the column {name!r} is {found} and not {kind}.")
    wanted = [*types, *([optional] if schema.names.count(optional) == 1 else [])]
    return Table(file, list(dict.fromkeys(wanted)), damage, max_rows)


class Table:
    """A Parquet file that is open, row group by row group.

    Attributes:
        damage: what is raised of a damaged file.
        num_groups: how many row groups there are.
    """

    def __init__(
        self,
        file: Any,
        columns: Sequence[str],
        damage: tuple[type[Exception], ...],
        max_rows: int | None = None,
    ) -> None:
        self._file, self._columns, self._max_rows = file, columns, max_rows
        self.damage = damage
        self.num_groups = file.num_row_groups
        rows = (file.metadata.row_group(index).num_rows for index in range(self.num_groups))
        self._starts = list(accumulate(rows, initial=0))

    def rows_of(self, group: int) -> tuple[int, int]:
        """Return the number of a group's first row, and of the one after its last."""
        return self._starts[group], self._starts[group + 1]

    def rows(self, group: int, batch_rows: int, limit: int) -> Iterator[dict[str, Any] | Failure]:
        """Yield the rows of a group; a Failure for one that cannot be taken.

        Args:
            group: its number.
            batch_rows: how many are in memory at a time.
            limit: bytes of a string.
        """
        batches = self._file.iter_batches(
            min(batch_rows, self._max_rows or batch_rows),
            row_groups=[group],
            columns=self._columns,
            use_threads=False,
        )
        for batch in batches:
            columns = [batch.column(name) for name in self._columns]
            for row in range(batch.num_rows):
                try:
                    values = [_value(column, row, limit) for column in columns]
                except UnicodeDecodeError as error:
                    yield Failure("invalid_unicode", str(error)[:300])
                except _TooLarge as error:
                    yield Failure("too_large", f"a string of {error.args[0]:,} bytes")
                except (ValueError, OverflowError) as error:  # such as the year 300000
                    yield Failure("invalid_value", str(error)[:300])
                else:
                    yield dict(zip(self._columns, values, strict=True))


class _TooLarge(Exception):
    """A string is larger than it may be."""


def _value(column: Any, row: int, limit: int) -> Any:
    scalar = column[row]
    value = getattr(scalar, "value", scalar)  # of a dictionary
    if value is not None and hasattr(value, "as_buffer"):
        size = value.as_buffer().size if value.is_valid else 0
        if size > limit:
            raise _TooLarge(size)
    return scalar.as_py()


def _is_delta(metadata: Any, groups: Sequence[Any], names: Set[str]) -> bool:
    """Tell whether strings of one of these columns, or in its lists, are in such an encoding."""
    paths = (metadata.schema.column(number).path for number in range(metadata.num_columns))
    columns = [number for number, path in enumerate(paths) if path.split(".")[0] in names]
    return any(
        encoding in _DELTAS
        for group in groups
        for column in columns
        for encoding in group.column(column).encodings
    )


def _is(kind: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_string(kind) or types.is_large_string(kind))


def _fits(found: Any, kind: str) -> bool:
    """Tell whether a type of Arrow holds what a column of that name holds."""
    import pyarrow.types as types

    if types.is_dictionary(found):
        found = found.value_type
    if types.is_null(found):
        return True
    if kind.startswith("list<"):
        is_list = types.is_list(found) or types.is_large_list(found)
        return bool(is_list and _fits(found.value_type, kind[5:-1]))
    if kind == "string":
        return bool(_is(found) or types.is_string_view(found))
    if kind == "double":
        return bool(types.is_floating(found) or types.is_integer(found))
    check = {"int64": types.is_integer, "bool": types.is_boolean}.get(kind)
    return check is None or bool(check(found))
