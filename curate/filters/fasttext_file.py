"""What a fastText model file holds, read without fastText.

Its loader trusts the sizes it finds: a file cut off in a download makes it crash, or spin for ever.
"""

from __future__ import annotations

import mmap
import struct
from functools import cache
from pathlib import Path

_MAGIC = 793_712_314
_LABEL = b"__label__"
_DICTIONARY = struct.Struct("<iiiqq")  # entries, words, labels, tokens, pruned n-grams
_ENTRY = struct.Struct("<qb")  # count, type: 1 is a label
_ARGUMENTS = 12 * 4 + 8


def read_labels(path: Path) -> tuple[str, ...]:
    """Return the labels of a model, after checking that the file is whole.

    Raises:
        OSError: the file cannot be read.
        ValueError: it is not a fastText model, or its size is not what its contents say.
    """
    facts = path.stat()
    return _read_labels(path, facts.st_size, facts.st_mtime_ns)


@cache
def _read_labels(path: Path, size: int, _modified_ns: int) -> tuple[str, ...]:
    if size < 8:
        raise ValueError("it is not a fastText model")
    with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        if struct.unpack_from("<i", data)[0] != _MAGIC:
            raise ValueError("it is not a fastText model")
        try:
            labels, position = _read_dictionary(data, 8 + _ARGUMENTS)
            is_quantized, position = data[position], position + 1
            position = _skip_matrix(data, position, bool(is_quantized))
            is_quantized_output, position = data[position], position + 1
            position = _skip_matrix(data, position, bool(is_quantized and is_quantized_output))
        except (struct.error, IndexError) as error:
            raise ValueError("it is cut off or damaged") from error
        if position != size:
            raise ValueError(f"it is cut off or damaged: {size:,} bytes instead of {position:,}")
        if not labels:
            raise ValueError("it has no labels: it holds word vectors, not a classifier")
        return labels


def _read_dictionary(data: mmap.mmap, position: int) -> tuple[tuple[str, ...], int]:
    entries, _, _, _, pruned = _DICTIONARY.unpack_from(data, position)
    position += _DICTIONARY.size
    labels = []
    for _ in range(entries):
        end = data.find(b"\0", position)
        if end < 0:
            raise IndexError
        if _ENTRY.unpack_from(data, end + 1)[1] == 1:
            labels.append(data[position:end].removeprefix(_LABEL).decode())
        position = end + 1 + _ENTRY.size
    return tuple(labels), position + 8 * max(pruned, 0)


def _skip_matrix(data: mmap.mmap, position: int, is_quantized: bool) -> int:
    if not is_quantized:
        rows, columns = struct.unpack_from("<qq", data, position)
        return int(position + 16 + 4 * rows * columns)
    has_norms, rows, _, codes = struct.unpack_from("<?qqi", data, position)
    position = _skip_quantizer(data, position + 21 + codes)
    return _skip_quantizer(data, position + rows) if has_norms else position


def _skip_quantizer(data: mmap.mmap, position: int) -> int:
    (dimension,) = struct.unpack_from("<i", data, position)
    return int(position + 16 + 4 * dimension * 256)
