"""Matching against the signatures of earlier runs, which are read and never made again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import DefinitionError
from ..manifest import FileInfo, Manifest
from ..storage import exists, join, names, read_json
from ..stored import open_table

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Name = tuple[str, str | None]  # id and URL of a document


@dataclass(frozen=True)
class EarlierRun:
    """The output folder of a finished run with a `minhash_dedup` of the same parameters.

    Documents are counted through all units of that run. Its documents stay where its first stage
    left them: their ids, URLs and, where a removal must be proven, their texts are read there.

    Args:
        out: the folder.
        name: of its deduplication.

    Raises:
        DefinitionError: there is no such run, or its deduplication is not finished.
    """

    out: str
    name: str = "minhash"

    @cached_property
    def _stages(self) -> dict[str, dict[str, Any]]:
        path = join(self.out, "run.json")
        if not exists(path):
            raise DefinitionError(f"against: {self.out} holds no run (there is no run.json).")
        stages = {stage["name"]: stage for stage in read_json(path)["stages"]}
        for role in ("buckets", "clusters", "proven"):
            stage = f"{self.name}_{role}"
            if role == "proven" and stage not in stages:
                continue
            units = stages.get(stage, {}).get("units")
            if not units or len(self._done(stages[stage])) < len(units):
                raise DefinitionError(
                    f"against: {self.out} has no finished {stage}.\nFinish that run first; its"
                    " pipeline must use minhash_dedup, and by the same name."
                )
        return stages

    @cached_property
    def _members_stage(self) -> str:
        proven = f"{self.name}_proven"
        return proven if proven in self._stages else f"{self.name}_clusters"

    def identity(self) -> dict[str, Any]:
        """What its signatures are, and whom it kept: names that change with their content."""
        buckets, members = self._stages[f"{self.name}_buckets"], self._stages[self._members_stage]
        return {
            "buckets": buckets["fingerprint"],
            "units": buckets["units"],
            "members": [members["fingerprint"], members["units"]],
        }

    def manifests(self, role: str) -> list[Manifest]:
        """Return the manifests of its "signatures" or "buckets", in the order of their inputs."""
        return self._manifests(f"{self.name}_{role}")

    def _manifests(self, stage: str) -> list[Manifest]:
        record = self._stages[stage]
        folder = join(self.out, record["folder"])
        return [Manifest.read(join(folder, f"{unit}.json")) for unit in self._done(record)]

    def _done(self, record: dict[str, Any]) -> list[str]:
        """Return the units of a stage but for those that were given up."""
        there = set(names(join(self.out, record["folder"])))
        return [unit for unit in record["units"] if f"{unit}.json" in there]

    @cached_property
    def signatures(self) -> list[Manifest]:
        """The manifests of the signatures, one per unit of its documents."""
        from .signatures import digest_of

        found = self.manifests("signatures")
        # Its documents are counted through the units that were done when they were compared.
        if not self._stages[f"{self.name}_buckets"]["units"][0].endswith(digest_of(found)):
            raise DefinitionError(
                f"against: {self.out} is not as it was when its documents were compared.\nGive its"
                " command again."
            )
        return found

    @cached_property
    def bases(self) -> NDArray[np.int64]:
        """Where each unit's documents begin, and the end."""
        from .arrays import bases

        return bases(self.signatures)

    @cached_property
    def _documents(self) -> dict[str, Manifest]:
        source = self._stages[f"{self.name}_signatures"]["source"][0]
        return {manifest.unit: manifest for manifest in self._manifests(source)}

    def check(self, settings: dict[str, Any]) -> None:
        """Refuse a run whose signatures were made with other parameters, or that names no one."""
        for manifest in self.signatures[:1]:
            theirs = manifest.details["params"]
            if theirs != settings:
                raise DefinitionError(
                    f"against: {self.out} was made with other parameters.\nThere: {theirs}"
                    f"\nHere: {settings}"
                )
        for manifest in self._manifests(self._members_stage):
            if "files" not in manifest.details:
                raise DefinitionError(
                    f"against: {self.out} does not say which document is kept for which: it is of"
                    " an earlier version.\nRun it again; its signatures stay as they are."
                )

    def units_of(self, ordinals: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the number of each document's unit."""
        import numpy as np

        return np.searchsorted(self.bases, ordinals, side="right") - 1

    def documents(self, unit: int) -> FileInfo:
        """Return the file of the documents of a unit."""
        info = self._documents[self.signatures[unit].unit].files["documents"]
        path = join(self.out, info.name)
        if not exists(path):
            raise DefinitionError(
                f"against: {path} is missing. The documents that an earlier run has compared must"
                " stay where they are."
            )
        return info

    def kept(self, ordinals: NDArray[np.int64]) -> tuple[NDArray[np.int64], dict[int, Name]]:
        """Return whom that run kept for these documents: themselves, if they are kept.

        Returns:
            The documents that stand for them, -1 for those that it removed for one of a run before
            it; and the names of the latter's documents, by ordinal.
        """
        leaders = ordinals.copy()
        names: dict[int, Name] = {}
        (members,) = self._manifests(self._members_stage)
        units = self.units_of(ordinals)
        columns = ["row", "leader", "earlier", "earlier_url"]
        for unit in sorted(set(units.tolist())):
            role, group, _ = members.details["units"][self.signatures[unit].unit]
            if role is None:
                continue
            with open_table(self.out, members.files[role]) as file:
                table = file.read_row_group(group, columns, use_threads=False)
            rows = {row["row"]: row for row in table.to_pylist()}
            for at in (units == unit).nonzero()[0].tolist():
                row = rows.get(int(ordinals[at] - self.bases[unit]))
                if row is not None and row["leader"] is not None:
                    leaders[at] = row["leader"]
                elif row is not None:
                    leaders[at] = -1
                    names[int(ordinals[at])] = (row["earlier"], row["earlier_url"])
        return leaders, names

    def names(self, ordinals: NDArray[np.int64]) -> Any:
        """Return id and URL of documents, sorted and distinct, as a table in their order."""
        import pyarrow as pa

        units = self.units_of(ordinals)
        tables = [names_schema().empty_table()]
        for unit in sorted(set(units.tolist())):
            with open_table(self.out, self.documents(unit)) as file:
                table = file.read(["id", "url"], use_threads=False)
            rows = table.take(ordinals[units == unit] - self.bases[unit])
            urls = rows["url"] if "url" in rows.column_names else pa.nulls(len(rows))
            tables.append(pa.table([rows["id"], urls], ["id", "url"]).cast(names_schema()))
        return pa.concat_tables(tables)


def names_schema() -> Any:
    """Return the schema of a table of names: id and URL, any number of bytes of each."""
    import pyarrow as pa

    return pa.schema([("id", pa.large_string()), ("url", pa.large_string())])


def earlier_names(runs: Sequence[EarlierRun], rows: NDArray[Any]) -> tuple[Any, NDArray[np.int64]]:
    """Return a table of names, and for each row of arrays.KNOWN its place there."""
    import numpy as np
    import pyarrow as pa

    tables, base = [names_schema().empty_table()], 0
    places = np.empty(len(rows), np.int64)
    for number, run in enumerate(runs):
        own = rows["run"] == number
        ordinals, inverse = np.unique(rows["earlier"][own], return_inverse=True)
        tables.append(run.names(ordinals))
        places[own] = base + inverse
        base += len(ordinals)
    return pa.concat_tables(tables).combine_chunks(), places


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
        for manifest in run.manifests("buckets"):
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
