"""The runs whose every write fails once: documents deduplicated, and PDFs fetched again."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from curate.fetch.store import read_journal
from curate.readers.containers import Raw, pieces
from curate.readers.warc_records import Window, read_records

from .hostile_server import HostileServer

PIPELINE = '''
from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.stages import minhash_dedup
from curate.filters.gopher import GopherQualityFilter
from curate.readers.records import JsonlReader


def pipeline(paths: str = "in/*.jsonl") -> Pipeline:
    """Texts, filtered and deduplicated by MinHash."""
    loaded = Stage("load", source=JsonlReader(paths))
    filtered = Stage("filter", source=loaded, steps=(GopherQualityFilter(min_words=5),))
    deduped = minhash_dedup(filtered, MinHashParams(ngram_size=2, num_buckets=2))
    return Pipeline("toy", output=deduped)
'''
WORDS = [
    *("the", "quick", "brown", "fox", "that", "jumps", "over", "lazy", "dogs", "and"),
    *("of", "a", "cat", "with", "be", "to", "have"),
]
REFETCH = '''
from dataclasses import dataclass

from curate import Pipeline, Stage
from curate.document import Document
from curate.fetch.params import RefetchParams
from curate.fetch.stages import refetch
from curate.readers.payload import LoadPayload
from curate.readers.records import JsonlReader
from curate.steps import Annotator


@dataclass(frozen=True)
class BodyText(Annotator):
    """Takes the bytes that were fetched for text."""

    name = "body_text"

    def annotate(self, doc: Document) -> None:
        doc.text = (doc.payload or b"").decode("ascii")


def pipeline() -> Pipeline:
    """Documents of two sites, each in a unit of its own, one request after the other."""
    keep = (("url", "string"), ("is_truncated", "bool"))
    found = Stage("find", source=JsonlReader("in/*.jsonl", keep=keep))
    params = RefetchParams(
        requests_per_second=0, connections_per_host=1, max_attempts=1, urls_per_unit=3,
        allow_hosts=("127.0.0.0/8",),
    )
    fetched = refetch(found, params)
    read = Stage("read", source=fetched, steps=(LoadPayload(), BodyText()))
    columns = {name: read.columns[name] for name in ("url", "refetch", "payload_digest")}
    return Pipeline("toy", output=read, columns=columns)
'''


class Scene(ABC):
    """A run: its inputs, and what must be the same however often it was cut off."""

    @abstractmethod
    def prepare(self, folder: Path) -> None:
        """Write the pipeline file and its inputs."""

    @abstractmethod
    def contents(self, out: Path) -> dict[str, str]:
        """Return the SHA-256 of the files that must be the same."""

    def restart(self) -> None:
        """Forget what earlier runs did."""
        return

    def faults(self, out: Path) -> list[str]:
        """Return what else is wrong after a run that was cut off and given again."""
        return []


class Dedup(Scene):
    """JSON lines, a filter, MinHash deduplication: all that the stages write is the same."""

    def prepare(self, folder: Path) -> None:
        (folder / "in").mkdir(parents=True)
        (folder / "toy.py").write_text(PIPELINE)
        for number, name in enumerate("ab"):
            lines = []
            for line in range(6):
                words = [WORDS[(line * 3 + number + at * (line + 1)) % 17] for at in range(60)]
                lines.append(json.dumps({"id": f"{name}-{line}", "text": " ".join(words)}))
            copy = lines[0].replace("-0", "-copy")
            lines += [copy, "no JSON", json.dumps({"text": "too short"})]
            (folder / "in" / f"{name}.jsonl").write_text("\n".join(lines))

    def contents(self, out: Path) -> dict[str, str]:
        return _sums(out, [*(out / "dataset").rglob("*"), *(out / "stages").rglob("*")])


class Refetch(Scene):
    """Two sites are asked; the dataset is the same, though its archives have names by chance."""

    def __init__(self, server: HostileServer) -> None:
        self._server = server

    def prepare(self, folder: Path) -> None:
        (folder / "in").mkdir(parents=True)
        (folder / "toy.py").write_text(REFETCH)
        for host in self._server.hosts:
            paths = ("pdf/a", "to//pdf/moved", "status/404", "pdf/whole")
            lines = [
                {"id": f"{host}/{path}", "url": self._server.url(path, host), "text": path}
                for path in paths
            ]
            rows = [json.dumps({**line, "is_truncated": True}) for line in lines]
            (folder / "in" / f"{host}.jsonl").write_text("\n".join(rows))

    def contents(self, out: Path) -> dict[str, str]:
        return _sums(out, (out / "dataset").rglob("*"))

    def restart(self) -> None:
        self._server.visits.clear()

    def faults(self, out: Path) -> list[str]:
        """Return what was fetched more often than it must be, and what is wrong with archives.

        Of one site at a time one answer is under way: no more is fetched again.
        """
        asked = Counter((visit.host, visit.path) for visit in self._server.visits)
        again = asked - Counter(dict.fromkeys(asked, 1))
        # A document behind a redirect is asked for in two requests.
        found = [f"fetched again: {dict(again)}"] if len(again) > 2 else []
        for archive in (out / "refetch").glob("*.warc.gz"):
            journal = archive.with_name(archive.name.replace(".warc.gz", ".jsonl"))
            starts = set()
            with archive.open("rb") as stream:
                for record in read_records(Window(pieces(Raw(stream), True), True), 1 << 20):
                    starts.add(record.offset)
                    if record.reason:
                        found.append(f"{archive.name}: {record.reason} at {record.offset}")
            for entry in read_journal(str(journal)):
                if entry.offset is not None and entry.offset not in starts:
                    found.append(f"{archive.name}: no record at {entry.offset} of {entry.url}")
        return found


def _sums(out: Path, paths: Iterable[Path]) -> dict[str, str]:
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in paths
        if path.is_file() and path.suffix != ".json"
    }
