"""Arrow arrays of plain values, and back, without pandas.

Where pandas is installed, pyarrow imports it as soon as it converts a list or an array of NumPy's
by itself (pyarrow 26, `_PandasAPIShim`), only to ask whether that is one of pandas' own. It takes
0.15 to 0.3 s and 40 MB of every process, so the common types are built of their buffers here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_OFFSET = (1 << 31) - 1
_NONE = type(None)


def table(columns: Mapping[str, Sequence[Any]], schema: Any) -> Any:
    """Return what `pyarrow.table` does of lists.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a column does not hold what the schema says.
    """
    import pyarrow as pa

    arrays = [column(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema)


def column(values: Sequence[Any], kind: Any) -> Any:
    """Return what `pyarrow.array` does of a list; `kind` is the Arrow type.

    Raises:
        pyarrow.ArrowInvalid, pyarrow.ArrowTypeError: a value is not of that type.
    """
    import pyarrow as pa

    build = _BUILDERS.get(str(kind), _list if pa.types.is_list(kind) else None)
    found = None if build is None else build(values, kind, set(map(type, values)))
    return pa.array(values, kind) if found is None else found


def scalar(text: str) -> Any:
    """Return a string as Arrow compares columns with it."""
    import pyarrow as pa

    return column([text], pa.string())[0]


def integers(values: NDArray[np.integer[Any]]) -> Any:
    """Return an Arrow array of the same integers, such as row numbers to take."""
    import numpy as np
    import pyarrow as pa

    own = np.ascontiguousarray(values)
    kind = pa.from_numpy_dtype(own.dtype)
    return pa.Array.from_buffers(kind, len(own), [None, pa.py_buffer(own)], 0)


def numbers(values: Any, dtype: type[np.generic]) -> NDArray[Any]:
    """Return a copy of an Arrow column of numbers or truth values; nulls are NaN.

    Raises:
        ValueError: there are nulls, and `dtype` has no NaN.
    """
    import numpy as np
    import pyarrow as pa

    chunks = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    parts = [np.empty(0, dtype), *(_numbers(chunk).astype(dtype) for chunk in chunks)]
    if values.null_count:
        if not issubclass(dtype, np.floating):
            raise ValueError("there are nulls")
        for part, chunk in zip(parts[1:], chunks, strict=True):
            part[~_numbers(chunk.is_valid())] = np.nan
    return np.concatenate(parts)


def _numbers(chunk: Any) -> NDArray[Any]:
    """Return the values of an array; those of nulls are anything."""
    import numpy as np
    import pyarrow as pa

    data = chunk.buffers()[1]
    if data is None:
        return np.zeros(len(chunk), chunk.type.to_pandas_dtype())
    if pa.types.is_boolean(chunk.type):
        bits = np.unpackbits(np.frombuffer(data, np.uint8), bitorder="little")
        return bits[chunk.offset : chunk.offset + len(chunk)].astype(bool)
    flat: NDArray[Any] = np.frombuffer(data, chunk.type.to_pandas_dtype())
    return flat[chunk.offset : chunk.offset + len(chunk)]


def _integers(values: Sequence[Any], kind: Any, types: set[type]) -> Any:
    import numpy as np

    if not types <= {int, _NONE}:
        return None
    try:
        return _fixed(values, kind, types, np.int64, 0)
    except OverflowError:
        return None


def _floats(values: Sequence[Any], kind: Any, types: set[type]) -> Any:
    import numpy as np

    if not types <= {float, _NONE}:
        return None
    with np.errstate(over="ignore"):
        return _fixed(values, kind, types, np.float64 if str(kind) == "double" else np.float32, 0.0)


def _booleans(values: Sequence[Any], kind: Any, types: set[type]) -> Any:
    import numpy as np
    import pyarrow as pa

    if not types <= {bool, _NONE}:
        return None
    bits = np.packbits(np.fromiter(map(bool, values), bool, len(values)), bitorder="little")
    validity, nulls = _validity(values, types)
    return pa.Array.from_buffers(kind, len(values), [validity, pa.py_buffer(bits)], nulls)


def _strings(values: Sequence[Any], kind: Any, types: set[type]) -> Any:
    import pyarrow as pa

    if not types <= {str, _NONE}:
        return None
    try:
        encoded = [b"" if value is None else value.encode() for value in values]
    except UnicodeEncodeError:
        return None
    ends = _offsets(list(map(len, encoded)))
    if ends is None:
        return None
    validity, nulls = _validity(values, types)
    buffers = [validity, ends, pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(kind, len(values), buffers, nulls)


def _list(values: Sequence[Any], kind: Any, types: set[type]) -> Any:
    import pyarrow as pa

    if not types <= {list, _NONE}:
        return None
    ends = _offsets([0 if value is None else len(value) for value in values])
    if ends is None:
        return None
    items = column(list(chain.from_iterable(filter(None, values))), kind.value_type)
    validity, nulls = _validity(values, types)
    return pa.Array.from_buffers(kind, len(values), [validity, ends], nulls, children=[items])


def _fixed(
    values: Sequence[Any], kind: Any, types: set[type], dtype: type[np.generic], fill: float
) -> Any:
    """Return an array of values of fixed width."""
    import numpy as np
    import pyarrow as pa

    validity, nulls = _validity(values, types)
    filled = [fill if value is None else value for value in values] if nulls else values
    data = pa.py_buffer(np.array(filled, dtype))
    return pa.Array.from_buffers(kind, len(values), [validity, data], nulls)


def _validity(values: Sequence[Any], types: set[type]) -> tuple[Any, int]:
    """Return the bits that say which values are there, if some are not, and how many are not."""
    import numpy as np
    import pyarrow as pa

    if _NONE not in types:
        return None, 0
    there = np.fromiter((value is not None for value in values), bool, len(values))
    bits = np.packbits(there, bitorder="little")
    return pa.py_buffer(bits), len(values) - int(there.sum())


def _offsets(lengths: list[int]) -> Any:
    """Return where items of these lengths begin and end; None where that is too far."""
    import numpy as np
    import pyarrow as pa

    ends = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=ends[1:])
    return None if ends[-1] > _MAX_OFFSET else pa.py_buffer(ends.astype(np.int32))


_BUILDERS: dict[str, Callable[[Sequence[Any], Any, set[type]], Any]] = {
    "int64": _integers,
    "double": _floats,
    "float": _floats,
    "bool": _booleans,
    "string": _strings,
}
