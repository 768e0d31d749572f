"""What the report shows: read from the files of a run, of bounded size for any run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..document import open_parquet
from ..errors import CurateError
from ..explain.run_files import RunFiles, StageFiles
from ..explain.samples import sample_hash
from ..explain.show import Shown
from ..explain.texts import fill_texts
from ..plan import Plan
from ..status import Status, read_status
from ..storage import open_input
from .histograms import Histogram, histograms, read_measures
from .published import count_hosts, read_counted
from .scan import MAX_UNITS, Scan, scan

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_MAX_DOMAINS = 25
_KEPT_SAMPLES = 12
_SAMPLES = 6
_LENGTH_UNITS = 20
_LENGTH_DOCUMENTS = 40_000


@dataclass(slots=True)
class Domain:
    """A host: its records, and the documents of it that are published."""

    host: str
    records: int
    kept: int


@dataclass(slots=True)
class Clusters:
    """The groups of duplicates: how many of each size, and the largest."""

    sizes: list[tuple[str, int]] = field(default_factory=list)
    removed: int = 0
    largest: list[tuple[int, str]] = field(default_factory=list)


@dataclass(slots=True)
class Figures:
    """All that is shown of a run.

    Attributes:
        settings: of every step, where the pipeline file is as it was; else None.
        first: names of the stages that read input files.
        deciding: names of the stages that say of each record what became of it.
        sampled: notes on what was not looked at in whole.
    """

    status: Status
    settings: dict[str, Any] | None
    histograms: list[Histogram]
    domains: list[Domain]
    languages: list[tuple[str, int]]
    lengths: list[tuple[float, float, int]]
    clusters: Clusters
    kept_samples: list[Shown]
    dropped_samples: dict[str, list[Shown]]
    failures: dict[str, list[str]]
    first: list[str]
    deciding: list[str]
    sampled: list[str]


def read_figures(out: str, plan: Plan | None = None) -> Figures:
    """Read what there is to show of a run.

    Args:
        out: the run's folder.
        plan: the run's plan, where it is at hand.

    Raises:
        InputError: there is no run in this folder.
    """
    status = read_status(out)
    run = RunFiles(out)
    sampled: list[str] = []
    totals = {stage.name: stage.total for stage in status.stages}
    charts: list[Histogram] = []
    for files in run.stages.values():
        found = read_measures(files)
        if found is not None:
            charts += histograms(files, found, totals[files.name].kept)
            if not found.all_units:
                sampled.append(f"histograms of {files.name}: a part of its units")
    counted = {stage.name for stage in run.first}
    scans = {
        files.name: scan(files, files.name in counted)
        for files in run.stages.values()
        if files.decisions
    }
    if not all(one.all_units for one in scans.values()):
        sampled.append(f"domains, languages and duplicates: {MAX_UNITS} units of each stage")
    languages, hosts = _published(run.output)
    return Figures(
        status,
        _settings(run, plan),
        charts,
        _domains(run, scans, hosts),
        sorted(languages.items(), key=lambda item: (-item[1], item[0])),
        _lengths(run.output, sampled),
        _clusters(scans),
        _kept(run, scans),
        _dropped(run, scans, status),
        {f"{name}: {r}": m for name, one in scans.items() for r, m in one.messages.items()},
        [stage.name for stage in run.first],
        list(scans),
        sampled,
    )


def _settings(run: RunFiles, plan: Plan | None) -> dict[str, Any] | None:
    try:
        plan = plan or Plan(run.run["file"], run.run["given"], run.out)
        fingerprints = {planned.name: planned.fingerprint for planned in plan.stages}
        same = all(one.fingerprint == fingerprints.get(n) for n, one in run.stages.items())
        return plan.settings() if same else None
    except (CurateError, KeyError):
        return None


def _some(stage: StageFiles, limit: int) -> list[tuple[str, str]]:
    return sorted(stage.decisions.items(), key=lambda item: sample_hash(item[0]))[:limit]


def _domains(run: RunFiles, scans: Mapping[str, Scan], kept: Counter[str]) -> list[Domain]:
    """Return the hosts with most published documents."""
    records: Counter[str] = Counter()
    first = [scans[stage.name] for stage in run.first if stage.name in scans]
    for one in first:
        records.update(one.hosts)
    top = sorted(kept.items(), key=lambda item: (-item[1], item[0]))[:_MAX_DOMAINS]
    # Of many units, those looked at here and there are not of the same inputs.
    least = {} if all(one.all_units for one in first) else kept
    return [Domain(host, max(records[host], least.get(host, 0)), count) for host, count in top]


def _document_files(stage: StageFiles, limit: int) -> Iterable[str]:
    for unit, _ in _some(stage, limit):
        path = stage.file(unit, "documents")
        if path:
            yield path


def _published(stage: StageFiles) -> tuple[Counter[str], Counter[str]]:
    """Return the languages and hosts of the published documents, copies of one included."""
    import pyarrow.compute as pc

    languages: Counter[str] = Counter()
    hosts: Counter[str] = Counter()
    for path in _document_files(stage, MAX_UNITS):
        table = read_counted(path, "language", "url")
        if "language" in table.column_names:
            for one in pc.value_counts(table.column("language")).to_pylist():
                languages[one["values"] or "unknown"] += one["counts"]
        if "url" in table.column_names:
            hosts.update(count_hosts(table.column("url")))
    return languages, hosts


def _text_lengths(path: str, limit: int) -> tuple[list[NDArray[np.int64]], bool]:
    """Return the characters of the first texts of a file, and whether these are all."""
    import numpy as np
    import pyarrow.compute as pc

    lengths, read = [], 0
    with open_input(path) as stream:
        file = open_parquet(stream)
        for batch in file.iter_batches(500, columns=["text"], use_threads=False):
            column = pc.utf8_length(batch.column(0))
            lengths.append(column.to_numpy(zero_copy_only=False).astype(np.int64))
            read += len(batch)
            if read >= limit:
                break
        return lengths, read == file.metadata.num_rows


def _lengths(stage: StageFiles, sampled: list[str]) -> list[tuple[float, float, int]]:
    """Return a histogram of the characters of published texts: from, to, documents.

    Args:
        stage: whose documents they are.
        sampled: a note is added where not all were looked at.
    """
    import numpy as np

    lengths, limit = [np.empty(0, np.int64)], _LENGTH_DOCUMENTS // _LENGTH_UNITS
    whole = len(stage.decisions) <= _LENGTH_UNITS
    for path in _document_files(stage, _LENGTH_UNITS):
        found, all_of_file = _text_lengths(path, limit)
        lengths += found
        whole = whole and all_of_file
    if not whole:
        sampled.append(f"lengths: the first {limit:,} documents of a unit, {_LENGTH_UNITS} units")
    all_lengths = np.concatenate(lengths)
    if not len(all_lengths):
        return []
    logs = np.log10(np.maximum(all_lengths, 1))
    first, last = np.floor(logs.min() * 4) / 4, np.floor(logs.max() * 4) / 4 + 0.25
    counts, edges = np.histogram(logs, np.arange(first, last + 0.01, 0.25))
    powers = (10**edges).tolist()
    return list(zip(powers[:-1], powers[1:], counts.tolist(), strict=True))


def _clusters(scans: Mapping[str, Scan]) -> Clusters:
    # A page that is kept by one deduplication can be kept by the next: its clusters have one name.
    sizes = [cluster for one in scans.values() for cluster in one.clusters.values()]
    removed = sum(one.removed for one in scans.values())
    bounds = [(2, 2), (3, 3), (4, 5), (6, 10), (11, 100), (101, 1000), (1001, 1 << 60)]
    names = ["2", "3", "4–5", "6–10", "11–100", "101–1,000", "more"]
    groups = [
        (name, sum(low <= size <= high for size, _ in sizes))
        for name, (low, high) in zip(names, bounds, strict=True)
    ]
    while groups and not groups[-1][1]:
        groups.pop()
    largest = sorted(sizes, key=lambda one: (-one[0], one[1]))[:5]
    return Clusters(groups, removed, largest)


def _kept(run: RunFiles, scans: Mapping[str, Scan]) -> list[Shown]:
    if run.output.name not in scans:
        return []
    chosen = scans[run.output.name].samples("", _KEPT_SAMPLES)
    fill_texts(run, chosen)
    return [one for one in chosen if one.text is not None]


def _dropped(run: RunFiles, scans: Mapping[str, Scan], status: Status) -> dict[str, list[Shown]]:
    """Return samples of each reason, in the order in which the steps meet the documents."""
    found: dict[str, list[Shown]] = {}
    for stage in status.stages:
        for step in stage.total.steps:
            for reason, _ in step.dropped.most_common():
                if stage.name in scans:
                    code = f"{step.name}/{reason}"
                    found[f"{stage.name}: {code}"] = scans[stage.name].samples(code, _SAMPLES)
    fill_texts(run, [one for samples in found.values() for one in samples])
    return found
