"""Find a record by its id or URL, without looking at every decision.

The index is made when somebody first asks, and grows by the units that came since. It is a few
sorted arrays of 64-bit keys, `<folder of the run>/index/*.keys`: 44 bits of the hash of an id or
URL, and 20 bits that say in which unit of the array's list it is. A look-up is a binary search in
each, then one file of decisions is read; a collision costs a needless look, never a wrong answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..executors.progress import beside
from ..storage import write_bytes
from .run_files import Place, RunFiles, StageFiles, read_columns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_UNIT_BITS = 20
_UNITS_AT_ONCE = 500
_KEY_BYTES = 8
_SEGMENT_KEYS = 8_000_000  # 64 MB; sorting needs twice that

Tell = Callable[[str], None]


class Index:
    """The index of a run.

    Args:
        run: the run.
        tell: told what takes long.
    """

    def __init__(self, run: RunFiles, tell: Tell = lambda _: None) -> None:
        self._run = run
        self._folder = Path(beside(run.out), "index")
        self._tell = tell
        self._catalog = self._read()

    def _read(self) -> list[dict[str, Any]]:
        """Return the segments that can be read; what is damaged is made again."""
        try:
            catalog = json.loads((self._folder / "catalog.json").read_text())
            return [
                {**one, "folder": str(one["folder"]), "units": list(one["units"])}
                for one in catalog
                if (self._folder / one["file"]).stat().st_size == one["keys"] * _KEY_BYTES
            ]
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return []

    def update(self) -> None:
        """Add the units that are done and not yet known, and forget those of other settings."""
        current = {stage.folder for stage in self._run.first}
        catalog = [one for one in self._catalog if one["folder"] in current]
        changed = len(catalog) != len(self._catalog)
        for stage in self._run.first:
            known = {
                unit for one in catalog if one["folder"] == stage.folder for unit in one["units"]
            }
            new = [unit for unit in stage.decisions if unit not in known]
            if len(new) > 100:
                self._tell(f"making an index of {len(new):,} units; it is done once")
            for number, (units, keys) in enumerate(self._segments(stage, new), len(catalog)):
                name = f"{stage.name}-{stage.fingerprint}-{number:05d}-{units[0]}.keys"
                write_bytes(str(self._folder / name), keys.tobytes())
                segment = {"folder": stage.folder, "file": name, "units": units}
                catalog.append({**segment, "keys": len(keys)})
                changed = True
                write_bytes(str(self._folder / "catalog.json"), json.dumps(catalog).encode())
        if changed:
            for old in {one["file"] for one in self._catalog} - {one["file"] for one in catalog}:
                (self._folder / old).unlink(missing_ok=True)
            write_bytes(str(self._folder / "catalog.json"), json.dumps(catalog).encode())
        self._catalog = catalog

    def _segments(
        self, stage: StageFiles, units: Sequence[str]
    ) -> Iterator[tuple[list[str], NDArray[np.uint64]]]:
        import numpy as np

        there: list[str] = []
        parts: list[NDArray[np.uint64]] = []
        for unit in units:
            found = keys(read_columns(stage.decisions[unit], ("id", "url")))
            parts.append(found << np.uint64(_UNIT_BITS) | np.uint64(len(there)))
            there.append(unit)
            if sum(map(len, parts)) >= _SEGMENT_KEYS or len(there) == 1 << _UNIT_BITS:
                yield there, np.unique(np.concatenate(parts))
                there, parts = [], []
        if there:
            yield there, np.unique(np.concatenate(parts))

    def find(self, query: str) -> list[Place]:
        """Return where the records with this id or URL are.

        A URL is found without its scheme, "www." or last slash too; but where a record has exactly
        the URL asked for, it is the answer alone.
        """
        import numpy as np

        exact: list[Place] = []
        near: list[Place] = []
        for key in {_key(form) for form in (*_id_forms(query), normal(query))}:
            low = np.uint64(key << _UNIT_BITS)
            high = np.uint64((key << _UNIT_BITS) + (1 << _UNIT_BITS) - 1)
            for segment in self._catalog:
                if not segment["keys"]:  # of units without records; an empty file cannot be mapped
                    continue
                array = np.memmap(self._folder / segment["file"], np.uint64, "r")
                first, last = np.searchsorted(array, low), np.searchsorted(array, high, "right")
                for found in array[first:last].tolist():
                    stage = next(s for s in self._run.first if s.folder == segment["folder"])
                    unit = segment["units"][found & ((1 << _UNIT_BITS) - 1)]
                    for place, is_exact in self._rows(stage, unit, query):
                        (exact if is_exact else near).append(place)
        chosen = exact or near
        return sorted(set(chosen), key=lambda place: (place.stage, place.unit, place.row))

    def _rows(self, stage: StageFiles, unit: str, query: str) -> Iterator[tuple[Place, bool]]:
        if unit not in stage.decisions:
            return
        table = read_columns(stage.decisions[unit], ("id", "url"))
        forms, wanted = _id_forms(query), normal(query)
        ids, urls = table.column("id").to_pylist(), table.column("url").to_pylist()
        for row, (identifier, url) in enumerate(zip(ids, urls, strict=True)):
            if identifier in forms or url == query:
                yield Place(stage.name, unit, row), True
            elif url is not None and normal(url) == wanted:
                yield Place(stage.name, unit, row), False


def index_run(out: str) -> None:
    """Index the records of a run when that takes seconds; of a larger one when somebody asks."""
    run = RunFiles(out)
    if sum(len(stage.decisions) for stage in run.first) <= _UNITS_AT_ONCE:
        Index(run).update()


def search(run: RunFiles, text: str, limit: int) -> list[Place]:
    """Return the first records whose URL or id holds a text, in the order of the inputs."""
    import pyarrow.compute as pc

    def matches(item: tuple[StageFiles, str]) -> list[Place]:
        stage, unit = item
        table = read_columns(stage.decisions[unit], ("id", "url"))
        rows: set[int] = set()
        for column in ("url", "id"):
            hits = pc.indices_nonzero(pc.match_substring(table.column(column), text))
            rows.update(hits.to_pylist())
        return [Place(stage.name, unit, row) for row in sorted(rows)]

    items = [(stage, unit) for stage in run.first for unit in stage.decisions]
    found: list[Place] = []
    with ThreadPoolExecutor(4) as pool:
        for start in range(0, len(items), 32):  # so that a common text does not read everything
            for places in pool.map(matches, items[start : start + 32]):
                found += places
            if len(found) >= limit:
                break
    return found[:limit]


def keys(table: Any) -> NDArray[np.uint64]:
    """Return the 44-bit keys of the ids and URLs of a table."""
    import numpy as np
    import xxhash

    digest = xxhash.xxh3_64_intdigest
    values = [digest(one.encode()) for one in table.column("id").to_pylist() if one is not None]
    values += [
        digest(normal(one).encode()) for one in table.column("url").to_pylist() if one is not None
    ]
    return np.array(values, np.uint64) >> np.uint64(_UNIT_BITS)


def normal(url: str) -> str:
    """Return a URL without what people leave out: scheme, "www.", fragment and last slash."""
    rest = url.partition("://")[2] or url
    return rest.partition("#")[0].removeprefix("www.").rstrip("/").lower()


def _id_forms(query: str) -> tuple[str, ...]:
    """Return the ids that a query may mean: a WARC-Record-ID is often given without its marks."""
    return query, f"<{query}>", f"<urn:uuid:{query}>"


def _key(text: str) -> int:
    import xxhash

    return xxhash.xxh3_64_intdigest(text.encode(errors="replace")) >> _UNIT_BITS
