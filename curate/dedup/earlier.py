"""Matching against the signatures of earlier runs, which are read and never made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from ..manifest import Manifest
from ..storage import exists, join, open_input, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class EarlierRun:
    """The output folder of a finished run with a `minhash_dedup` of the same parameters.

    Raises:
        DefinitionError: there is no such run, or its deduplication is not finished.
    """

    out: str

    @cached_property
    def _stages(self) -> dict[str, dict[str, Any]]:
        path = join(self.out, "run.json")
        if not exists(path):
            raise DefinitionError(f"against: {self.out} holds no run (there is no run.json).")
        stages = {stage["name"]: stage for stage in read_json(path)["stages"]}
        if not (stages.get("minhash_buckets") or {}).get("units"):
            raise DefinitionError(
                f"against: {self.out} has no finished minhash_buckets.\nFinish that run first; its"
                " pipeline must use minhash_dedup."
            )
        return stages

    def identity(self) -> dict[str, Any]:
        """What this run's signatures are: names that change with their content."""
        buckets = self._stages["minhash_buckets"]
        return {"buckets": buckets["fingerprint"], "units": buckets["units"]}

    def manifests(self, stage: str) -> list[Manifest]:
        """Return the manifests of a stage, in the order of its inputs."""
        record = self._stages[stage]
        folder = join(self.out, record["folder"])
        return [
            Manifest.from_json(read_json(join(folder, f"{unit}.json"))) for unit in record["units"]
        ]

    def check(self, params: dict[str, Any]) -> None:
        """Refuse signatures that were made with other parameters."""
        for manifest in self.manifests("minhash_signatures")[:1]:
            theirs = manifest.details["params"]
            if theirs != params:
                raise DefinitionError(
                    f"against: {self.out} was made with other parameters.\nThere: {theirs}"
                    f"\nHere: {params}"
                )

    def names(self, ordinals: NDArray[np.int64]) -> dict[int, tuple[str, str | None]]:
        """Return id and URL of documents, counted through all units of that run."""
        import numpy as np
        import pyarrow.parquet as pq

        from .arrays import bases

        signatures = self.manifests("minhash_signatures")
        source = self._stages["minhash_signatures"]["source"][0]
        documents = {manifest.unit: manifest for manifest in self.manifests(source)}
        starts = bases(signatures)
        units = np.searchsorted(starts, ordinals, side="right") - 1
        found: dict[int, tuple[str, str | None]] = {}
        for unit in np.unique(units).tolist():
            file = documents[signatures[unit].unit].files["documents"]
            wanted = ordinals[units == unit]
            with open_input(join(self.out, file.name)) as stream:
                table = pq.read_table(stream, columns=["id", "url"], use_threads=False)
            rows = table.take(wanted - starts[unit]).to_pylist()
            for ordinal, row in zip(wanted.tolist(), rows, strict=True):
                found[ordinal] = (row["id"], row.get("url"))
        return found


def matches(runs: Sequence[EarlierRun], keys: NDArray[Any], first: int, last: int) -> NDArray[Any]:
    """Return which documents share a key with an earlier one: rows of arrays.EARLIER.

    The earlier keys of the range are read once, in order; a key is looked up by bisection.

    Args:
        runs: earlier runs; a match in the first of them counts.
        keys: rows of arrays.BUCKET_KEYS, sorted.
        first: prefix of 12 bits that the range begins with.
        last: the one it ends before.
    """
    import numpy as np

    from . import arrays

    found = [np.empty(0, arrays.EARLIER)]
    for number, run in enumerate(runs):
        for manifest in run.manifests("minhash_buckets"):
            index = arrays.read(run.out, manifest, "index", np.dtype("<i8"))
            theirs = arrays.read(
                run.out, manifest, "keys", arrays.BUCKET_KEYS, int(index[first]), int(index[last])
            )
            if not len(theirs) or not len(keys):
                continue
            upper = theirs["key"][:, 0]
            places = np.searchsorted(upper, keys["key"][:, 0])
            # The upper halves of two different keys are equal once in 2**64: the lower decides.
            places = np.minimum(places, len(theirs) - 1)
            equal = (theirs["key"][places] == keys["key"]).all(axis=1)
            hits = np.empty(int(equal.sum()), arrays.EARLIER)
            hits["document"] = keys["document"][equal]
            hits["run"] = number
            hits["earlier"] = theirs["document"][places[equal]]
            found.append(hits)
    return np.concatenate(found)
