"""Refetch as visible stages: what is asked for, the fetching per site, outcomes, documents.

A site is in exactly one unit of the fetching, so that what one worker does for politeness holds
for all. What was fetched lies in an archive of the run (`store.py`), not in the units.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ..assets import sha256
from ..decisions import DecisionWriter
from ..dedup.signatures import digest_of, range_units, same
from ..document import Document
from ..errors import DefinitionError
from ..inputs import list_inputs
from ..manifest import Manifest, StepCounts
from ..pipeline import Resources, StageKind, Unit, WholeStage
from ..steps import Failure, Reader
from ..storage import is_remote, join, names
from . import tables
from .outcomes import OutcomeStage, RefetchedStage
from .params import REASONS, FetchError, RefetchParams
from .urls import host_of, normal_url, site_of

if TYPE_CHECKING:
    from ..task import Work
    from .store import Entry

_PREFIXES = 4096


def refetch(
    source: StageKind,
    params: RefetchParams | None = None,
    replay: str = "",
    earlier: tuple[str, ...] = (),
) -> StageKind:
    """Return the stages that fetch truncated documents from where they were crawled.

    Every document of the source goes on. Of a truncated one the column `refetch` says "fetched" or
    why there is nothing, and `refetch_path` and `refetch_offset` where the response is. A
    `payload_digest` becomes that of what was fetched.

    Args:
        source: the stage whose documents are looked at; it has the columns `url` and
            `is_truncated`.
        params: how to ask, and what to accept.
        replay: WARC files, comma-separated or globs, that answer in place of the web.
        earlier: output folders of earlier runs. What they fetched is asked for with its ETag and
            date, and taken from there where the server says that it has not changed.
    """
    for column in ("url", "is_truncated"):
        if column not in source.columns:
            raise DefinitionError(
                f"refetch: no step before it makes the column {column!r}."
                f"\nThere are: {', '.join(source.columns)}."
            )
    params = params or RefetchParams()
    urls = UrlStage("refetch_urls", source)
    fetched = RefetchStage("refetch", urls, params, replay, earlier)
    outcomes = OutcomeStage("refetch_outcomes", urls, fetched)
    return RefetchedStage("refetched", source, outcomes)


@dataclass(frozen=True)
class UrlStage(StageKind):
    """Per unit: the truncated documents, sorted by the hash of the site they are from."""

    name: str
    source: StageKind
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents."""
        return (self.source,)

    def identity(self) -> Mapping[str, Any]:
        """The version."""
        return {"version": 1}

    def process(self, unit: Unit, work: Work) -> None:
        """Write `urls`."""
        import pyarrow as pa

        manifest = work.plan.stage(self.source.name).manifest(unit.name)
        wanted = ["id", "url", "is_truncated"]
        wanted += ["offset"] if "offset" in self.source.columns else []
        table = work.table(manifest, wanted)
        rows = []
        for number, row in enumerate(table.to_pylist()):
            if row.pop("is_truncated"):
                row = {"row": number, "offset": None, "asked": None, "problem": None, **row}
                try:
                    url = normal_url(row["url"])
                    row["asked"] = str(url)
                    row["prefix"] = _prefix(site_of(host_of(url)))
                except FetchError as error:
                    row["prefix"], row["problem"] = 0, error.message[:300]
                rows.append(row)
        rows.sort(key=lambda row: (row["prefix"], row["asked"] or "", row["row"]))
        schema = tables.url_schema()
        found = pa.Table.from_pylist(rows, schema=schema)
        tables.write(work, "urls", work.path("urls.parquet"), [found], schema)
        work.manifest.steps = [StepCounts(self.name, table.num_rows)]
        work.manifest.entered = work.manifest.kept = table.num_rows


@dataclass(frozen=True)
class RefetchStage(WholeStage):
    """Per range of hashes of sites: every URL asked for once, and what became of it."""

    reasons = REASONS

    name: str
    urls: UrlStage
    params: RefetchParams
    replay: str = ""
    earlier: tuple[str, ...] = ()
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The URLs."""
        return (self.urls,)

    def identity(self) -> Mapping[str, Any]:
        """What decides outcomes: the limits, and the content of what is replayed.

        The round of retries is not among it: it is in the units' names, so that of what comes
        after only the units are done again in which an outcome has changed.
        """
        for folder in self.earlier:
            if not names(join(folder, "refetch")):
                raise DefinitionError(
                    f"refetch: earlier={folder!r} is no output folder of a run that fetched"
                    " something: it has no refetch/."
                )
        return {"params": self.params.identity(), "replay": self._replayed(), "version": 2}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the sites into as many ranges as the URLs need."""
        manifests = list(sources[0])
        total = sum(manifest.files["urls"].rows for manifest in manifests)
        count = min(_PREFIXES, max(1, -(-total // self.params.urls_per_unit)))
        units = range_units(count, total, digest_of(manifests))
        turn = 0 if self.replay else self.params.retry_round
        return [replace(unit, name=f"{unit.name}-round{turn}") for unit in units] if turn else units

    def process(self, unit: Unit, work: Work) -> None:
        """Fetch; write `outcomes` and a decision for each document."""
        import pyarrow as pa

        manifests = same(work.manifests(self.urls), unit)
        first, last = int(unit.spec["first"]), int(unit.spec["last"])
        rows: list[dict[str, Any]] = []
        for number, manifest in enumerate(manifests):
            found = tables.read_range(work, manifest, "urls", "prefix", first, last)
            found.sort(key=lambda row: int(row["row"]))
            rows += [{**row, "source": number, "source_unit": manifest.unit} for row in found]
        entries = self._fetch(sorted({row["asked"] for row in rows if row["asked"]}), unit, work)
        for row in rows:
            row.update(_outcome(entries.get(row["asked"]), row["problem"]))
        schema = tables.outcome_schema()
        table = pa.Table.from_pylist(rows, schema=schema)
        # Two processes that did this unit may have met different answers: each file has the name
        # of its content, so that the manifest never speaks of the other's.
        name = hashlib.sha256(repr(rows).encode()).hexdigest()[:10]
        path = work.path(f"{name}.outcomes.parquet")
        tables.write(work, "outcomes", path, [table], schema)
        self._decide(rows, name, work)

    def _fetch(self, urls: Sequence[str], unit: Unit, work: Work) -> dict[str, Entry]:
        from .replay import replaying
        from .scheduler import Scheduler
        from .store import Store

        entries: dict[str, Entry] = {}

        def done(entry: Entry) -> None:
            entries[entry.url] = entry
            fetched = entry.outcome == "fetched"
            work.manifest.kept += fetched
            work.manifest.failed += not fetched
            work.progress(len(entries), lambda: len(entries) / len(urls))

        if urls and self.replay:
            with replaying(self._paths()) as through:
                asyncio.run(Scheduler(self.params, None, through).run(urls, done))
        elif urls:
            first, last = unit.spec["first"], unit.spec["last"]
            store = Store(work.out, first, last, self.params, self.earlier)
            asyncio.run(Scheduler(self.params, store).run(urls, done))
        return entries

    def _decide(self, rows: Sequence[dict[str, Any]], name: str, work: Work) -> None:
        """Write the decisions, which also are the counts."""
        counts = StepCounts(self.name, len(rows))
        with work.create("decisions", work.path(f"{name}.decisions.parquet")) as output:
            writer = DecisionWriter(output)
            for row in rows:
                fate = None
                if row["outcome"] != "fetched":
                    fate = Failure(row["outcome"], row["message"] or "")
                    counts.failed[fate.reason] += 1
                metadata = {"url": row["url"], "offset": row["offset"]}
                writer.add(Document(row["id"], metadata=metadata), self.name, fate)
            writer.close()
            work.rows["decisions"] = writer.rows
        work.manifest.steps = [counts]
        work.manifest.entered, work.manifest.failed = len(rows), counts.failed.total()
        work.manifest.kept = counts.kept

    def _paths(self) -> tuple[str, ...]:
        return tuple(file.path for file in list_inputs(self.replay))

    def _replayed(self) -> list[str]:
        if not self.replay:
            return []
        if any(map(is_remote, self._paths())):
            raise DefinitionError("refetch: replay must be local files; copy the archive here.")
        return [sha256(path) for path in self._paths()]


def _prefix(site: str) -> int:
    import xxhash

    return xxhash.xxh64_intdigest(site.encode()) >> 52


def _outcome(entry: Entry | None, problem: str | None) -> dict[str, Any]:
    """Return the columns of an outcome."""
    if entry is None:
        columns = "http_status seconds bytes attempts payload_digest refetch_path refetch_offset"
        nothing = dict.fromkeys(columns.split())
        return {"outcome": "invalid_url", "message": problem, "redirects": [], **nothing}
    fetched = entry.outcome == "fetched"
    return {
        "outcome": entry.outcome,
        "http_status": entry.status,
        "message": entry.message or None,
        "redirects": list(entry.chain),
        "seconds": entry.seconds,
        "bytes": entry.bytes,
        "attempts": entry.attempts,
        "payload_digest": entry.digest or None if fetched else None,
        "refetch_path": entry.path if fetched else None,
        "refetch_offset": entry.offset if fetched else None,
    }
