"""Is every file of a run still what its manifest says? For `curate verify`."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from typing import Any

from ..document import open_parquet
from ..fetch.check import journals, segment_fault
from ..manifest import FileInfo, Manifest
from ..storage import file_size, files_below, join, names, open_input, read_json
from .run_files import RunFiles, StageFiles

_PIECE = 1 << 20
DATASET = "dataset"
_OF_A_UNIT = re.compile(r"-(?:[0-9a-f]{10}|none)\.[^/]+\Z")
_TEMPORARY = re.compile(r"/\.[^/]*\.tmp\Z")  # see storage.temporary_name


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it was written.

    Attributes:
        path: the file that is at fault.
        what: how it differs.
        remove: what to delete so that the run's command makes it again; empty where deleting does
            not mend it.
    """

    path: str
    what: str
    remove: tuple[str, ...] = ()


@dataclass(slots=True)
class Findings:
    """What was looked at and what is wrong with it.

    Attributes:
        unfinished: units of the run that have no manifest: work that is left, not a fault.
        earlier: folders of stages that an earlier definition of the pipeline left.
    """

    units: int = 0
    files: int = 0
    bytes: int = 0
    unfinished: int = 0
    earlier: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {"ok": not self.faults, **asdict(self)}


def verify(out: str, threads: int = 4) -> Findings:
    """Check all files of a run: checksums, rows, the ledger, fingerprints; and look for others.

    Every byte that the run wrote is read once. Memory grows with the units of a stage.

    Args:
        out: the run's folder.
        threads: files that are read at once.

    Raises:
        InputError: there is no run here, or its run.json cannot be read.
    """
    run = RunFiles(out)
    found = Findings()
    manifests: dict[str, dict[str, Manifest]] = {}
    with ThreadPoolExecutor(threads) as pool:
        for stage in run.stages.values():
            manifests[stage.name] = {}
            if not stage.folder.endswith(f"/{stage.name}-{stage.fingerprint}"):
                what = f"names another folder than that of the fingerprint, for {stage.name}"
                found.faults.append(Fault(join(run.out, "run.json"), what))
                continue
            manifests[stage.name] = _manifests(stage, found)
            files = [
                (stage, manifest, role, info)
                for manifest in manifests[stage.name].values()
                for role, info in manifest.files.items()
            ]
            checked = pool.map(lambda one: _check_file(run, *one), files)
            found.faults += [fault for faults in checked for fault in faults]
            found.files += len(files)
            found.bytes += sum(info.bytes for *_, info in files)
            found.faults += _check_source(run, stage, manifests)
        of_segments = pool.map(
            lambda journal: list(_segment_faults(run, journal)), journals(join(run.out, "refetch"))
        )
        found.faults += [fault for faults in of_segments for fault in faults]
    found.faults += _foreign(run, manifests)
    known = {stage.folder for stage in run.stages.values()}
    folders = (join(run.out, "stages", name) for name in names(join(run.out, "stages")))
    found.earlier = sorted(set(folders) - known)
    return found


def _manifests(stage: StageFiles, found: Findings) -> dict[str, Manifest]:
    """Return the manifests of a stage that can be trusted, by unit."""
    there = {name[:-5] for name in names(stage.folder) if name.endswith(".json")}
    read = {}
    for unit in stage.units:
        if unit not in there:
            found.unfinished += 1
            continue
        found.units += 1
        path = join(stage.folder, f"{unit}.json")
        try:  # a store that fails, which is an InputError, says nothing of the manifest
            manifest = Manifest.from_json(read_json(path))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            what = f"is damaged: {error}" if isinstance(error, ValueError) else "is no manifest"
            found.faults.append(Fault(path, what, (path,)))
            continue
        what = _ledger_fault(manifest, stage, unit)
        if what:
            found.faults.append(Fault(path, what, (path,)))
        else:
            read[unit] = manifest
    return read


def _ledger_fault(manifest: Manifest, stage: StageFiles, unit: str) -> str:
    """Return what is wrong with the figures of a manifest, or ""."""
    named = (manifest.stage, manifest.fingerprint, manifest.unit)
    if named != (stage.name, stage.fingerprint, unit):
        return f"is of another unit: {'/'.join(named)}"
    if manifest.entered != manifest.kept + manifest.dropped + manifest.failed:
        return (
            f"does not balance: {manifest.entered} in, {manifest.kept} kept,"
            f" {manifest.dropped} dropped, {manifest.failed} failed"
        )
    return ""


def _check_file(
    run: RunFiles, stage: StageFiles, manifest: Manifest, role: str, info: FileInfo
) -> list[Fault]:
    """Return what is wrong with a file of a unit."""
    path = join(run.out, info.name)
    what = _file_fault(path, info)
    if not what and path.endswith(".parquet"):
        what = _rows_fault(path, role, info, manifest)
    if not what:
        return []
    # The manifest goes first: without it nobody takes the file for whole.
    remove = [join(stage.folder, f"{manifest.unit}.json")]
    if what != "is missing":
        remove.append(path)
        # Who reads a table compares its pages and footer: nobody has read others than were written.
        if not info.footer:
            remove += _made_from(run, stage, manifest.unit)
    return [Fault(path, what, tuple(remove))]


def _made_from(run: RunFiles, stage: StageFiles, unit: str) -> Iterator[str]:
    """Yield the manifests, or folders, of all that was made from a unit, directly or not."""
    changed = {stage.name: {unit}}
    for later in run.stages.values():
        units: set[str] = set()
        for one in (one for source in later.sources for one in changed.get(source, ())):
            same = later.of_source(one)
            units |= {same} if same else set(later.units)
        if units:
            changed[later.name] = units
            whole = units.issuperset(later.units)  # its units may have other names then
            some = (join(later.folder, f"{one}.json") for one in sorted(units))
            yield from [later.folder] if whole else some


def _file_fault(path: str, info: FileInfo) -> str:
    size = file_size(path)
    if size is None:
        return "is missing"
    if size != info.bytes:
        return f"has {size:,} bytes and not {info.bytes:,}"
    digest = hashlib.sha256()
    with open_input(path) as stream:
        while piece := stream.read(_PIECE):
            digest.update(piece)
    return "" if digest.hexdigest() == info.sha256 else "has another SHA-256 than its manifest says"


def _rows_fault(path: str, role: str, info: FileInfo, manifest: Manifest) -> str:
    """Return how a table differs from the counts of its manifest, or ""."""
    with open_input(path) as stream:
        file = open_parquet(stream)
        rows = file.metadata.num_rows
        if rows != info.rows:
            return f"has {rows:,} rows and not {info.rows:,}"
        if role != "decisions":
            return ""
        counts: Counter[str] = Counter()
        for batch in file.iter_batches(columns=["outcome"], use_threads=False):
            counts.update(batch.column(0).to_pylist())
    expected = {"kept": manifest.kept, "dropped": manifest.dropped, "failed": manifest.failed}
    for outcome, count in expected.items():
        if counts[outcome] != count:
            return f"has {counts[outcome]:,} decisions {outcome!r}, its manifest {count:,}"
    return ""


def _check_source(
    run: RunFiles, stage: StageFiles, manifests: Mapping[str, Mapping[str, Manifest]]
) -> Iterator[Fault]:
    """Yield the units that took in another number of documents than their source kept."""
    if len(stage.sources) != 1:
        return
    above = manifests[stage.sources[0]]
    whole = len(above) == len(run.stages[stage.sources[0]].units)
    done = stage.units and len(manifests[stage.name]) == len(stage.units)
    if stage.name == DATASET and whole and done:
        # Rows and not what was kept: a stage may write a document several times.
        kept = sum(manifest.files["documents"].rows for manifest in above.values())
        entered = sum(manifest.kept for manifest in manifests[stage.name].values())
        if kept != entered:
            what = f"holds {entered:,} documents, and {stage.sources[0]} kept {kept:,}"
            yield Fault(join(run.out, "dataset"), what, (stage.folder,))
    for unit, manifest in manifests[stage.name].items():
        source = above.get(unit)
        if source and "documents" in source.files:
            rows = source.files["documents"].rows
            if rows != manifest.entered:
                path = join(stage.folder, f"{unit}.json")
                what = f"took in {manifest.entered:,}, and {stage.sources[0]} kept {rows:,}"
                yield Fault(path, what, (path,))


def _foreign(run: RunFiles, manifests: Mapping[str, Mapping[str, Manifest]]) -> Iterator[Fault]:
    """Yield the files among the run's own that are none of it; and what else is missing.

    In a stage's folder writers that died, and inputs that are gone, leave files of units: nobody
    reads them.
    """
    strangers: list[str] = []
    for stage in run.stages.values():
        there = (join(stage.folder, name) for name in names(stage.folder))
        strangers += [path for path in there if not _OF_A_UNIT.search(path)]
    last = run.stages.get(DATASET)
    # Until it is written, files of an earlier run may still be there.
    if last is not None and last.units and len(manifests[DATASET]) == len(last.units):
        dataset = join(run.out, "dataset")
        card = {join(dataset, "README.md"), join(dataset, "croissant.json")}
        known = {join(dataset, "data"), *card}
        for manifest in manifests[DATASET].values():
            known |= {join(run.out, info.name) for info in manifest.files.values()}
        found = [join(dataset, name) for name in names(dataset)]
        strangers += set(found + files_below(join(dataset, "data"))) - known
        for path in sorted(card.difference(found)):
            yield Fault(path, "is missing; the run's command writes it anew")
    for path in sorted(strangers):
        if not _TEMPORARY.search(path):
            yield Fault(path, "belongs to no unit of this run", (path,))


def _segment_faults(run: RunFiles, journal: str) -> Iterator[Fault]:
    """Yield what is wrong with a segment of the archive of a refetch.

    With it goes the stage that speaks of it; what other segments hold is not fetched again.
    """
    path, what = segment_fault(journal)
    if path == journal:
        yield Fault(path, what)
    elif path:
        stages = [stage.folder for stage in run.stages.values() if stage.name == "refetch"]
        yield Fault(path, what, (*stages, journal, path))


def describe(found: Findings) -> Iterator[str]:
    """Yield the lines that tell a person what was found."""
    looked = f"{found.files:,} files of {found.units:,} units, {found.bytes / 1e6:,.1f} MB"
    yield f"Read {looked}."
    if found.unfinished:
        yield f"{found.unfinished:,} units are not done yet: give the run's command again."
    for folder in found.earlier:
        yield f"Left from an earlier definition: {folder}"
    if not found.faults:
        yield "What is done is whole."
        return
    for fault in found.faults:
        yield f"{fault.path}: {fault.what}"
    remove = dict.fromkeys(path for fault in found.faults for path in fault.remove)
    if not remove:
        yield "To mend it, give the run's command again."
        return
    yield "To mend it, remove these and give the run's command again:"
    yield from (f"  {path}" for path in remove)
