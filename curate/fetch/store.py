"""What was fetched, kept for good: segments of a WARC archive, each with a journal.

Segments lie in `<out>/refetch/` and are named by the range of hashes of sites they hold, so that a
unit reads only those it may need; they outlive the units, so that nothing is fetched again when
the inputs or the parameters change. Each process writes a segment of its own. A record is appended
and flushed to disk, then its line of the journal: what has a line is there.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import secrets
import shutil
import threading
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from ..errors import InputError
from ..storage import Output, file_size, is_remote, join, names, open_input, sync_folder, writing
from .archive import warcinfo
from .params import PASSING, RefetchParams

JOURNAL = re.compile(r"([0-9a-f]{4})-([0-9a-f]{4})-.*\.jsonl\Z")
# A remote segment is put when it holds so many entries, bytes, or is so old.
_REMOTE_ENTRIES, _REMOTE_BYTES, _REMOTE_AGE_S = 200, 64 << 20, 30.0


@dataclass(slots=True)
class Entry:
    """What became of one URL.

    Attributes:
        chain: the URLs it redirected to.
        digest: of the body, as the column `payload_digest` has it.
        etag: what names this version of the body.
        modified: when it was changed, as its server writes it.
        seconds: from the first request to the end, waiting included; None in a replay.
        path: the archive that holds the response, and where in it.
        policy: what decided over a failure, and in which round.
        time: of the outcome, in seconds since 1970.
        rules: it is a robots.txt.
    """

    url: str
    outcome: str
    status: int | None = None
    message: str = ""
    chain: tuple[str, ...] = ()
    seconds: float | None = None
    bytes: int = 0
    attempts: int = 0
    path: str = ""
    offset: int | None = None
    policy: str = ""
    round: int = 0
    time: float = 0.0
    rules: bool = False
    digest: str = ""
    etag: str = ""
    modified: str = ""

    @property
    def conditions(self) -> dict[str, str]:
        """Headers that ask for the body only if it is no longer this one (RFC 9110 13.1)."""
        named = {"If-None-Match": self.etag, "If-Modified-Since": self.modified}
        return {
            name: value
            for name, value in named.items()
            if value and value.isascii() and value.isprintable()
        }


class Store:
    """The archive of one unit: what is there already, and a segment for what is not.

    Args:
        out: the run's output folder.
        first: first prefix of hashes of sites, of 4096.
        last: the prefix that the range ends before.
        params: the present ones.
        earlier: output folders of earlier runs. What is in their archives is asked for again, but
            is sent only if it has changed.
    """

    def __init__(
        self, out: str, first: int, last: int, params: RefetchParams, earlier: Sequence[str] = ()
    ) -> None:
        self.folder = join(out, "refetch")
        self._range = (first, last)
        self._params = params
        self._policy = params.policy
        self._known: dict[tuple[str, bool], Entry] = {}
        self._versions: dict[tuple[str, bool], Entry] = {}
        self._pending: list[tuple[IO[bytes], Entry]] = []
        self._lock = threading.Lock()
        self._segment: _LocalSegment | _RemoteSegment | None = None
        for folder in earlier:
            for entry in self._journals(join(folder, "refetch")):
                self._note_version(entry)
        for entry in self._journals(self.folder, mend=True):
            self._keep(entry)

    def find(self, url: str) -> Entry | None:
        """Return what became of a URL, if that is still good under the present parameters.

        A document that was fetched is, whatever they are. A failure is under the same ones, until
        `retry_round` is raised where its cause may have passed.
        """
        entry = self._known.get((url, False))
        if entry is None or entry.outcome == "fetched":
            return entry
        again = entry.outcome in PASSING and entry.round < self._params.retry_round
        return None if entry.policy != self._policy or again else entry

    def find_rules(self, url: str, max_age_s: float) -> Entry | None:
        """Return the answer to a question for robots.txt, if it was one and is not too old."""
        entry = self._known.get((url, True))
        if entry is None or time.time() - entry.time >= max_age_s or (entry.status or 0) >= 500:
            return None
        return entry

    def version(self, url: str, rules: bool) -> Entry | None:
        """Return what was last received from a URL, redirects past, and can be asked about."""
        return self._versions.get((url, rules))

    def add(self, records: IO[bytes], entry: Entry) -> None:
        """Note records to be written with the next `commit`; `entry.offset` counts from theirs."""
        entry.policy, entry.round = self._policy, self._params.retry_round
        entry.time = time.time()
        with self._lock:
            self._pending.append((records, entry))

    def commit(self) -> None:
        """Write what was added, if no other call has; then it is durable, in a local folder.

        Calls must follow each other, as in a pool of one thread.
        """
        with self._lock:
            batch, self._pending = self._pending, []
        if not batch:
            return
        if self._segment is None:
            stem = "{:04x}-{:04x}-".format(*self._range) + secrets.token_hex(6)
            kind = _RemoteSegment if is_remote(self.folder) else _LocalSegment
            self._segment = kind(self.folder, stem, warcinfo(self._params.header))
        self._segment.append(batch)
        for _, entry in batch:
            self._keep(entry)

    def close(self) -> None:
        """Write what was added and end the segment."""
        self.commit()
        if self._segment is not None:
            self._segment.close()
            self._segment = None

    def _keep(self, entry: Entry) -> None:
        key = (entry.url, entry.rules)
        known = self._known.get(key)
        if known is None or _rank(entry) >= _rank(known):
            self._known[key] = entry
        self._note_version(entry)

    def _note_version(self, entry: Entry) -> None:
        if entry.outcome != "fetched" or entry.status != 200 or not entry.conditions:
            return
        key = (entry.chain[-1] if entry.chain else entry.url, entry.rules)
        if key not in self._versions or entry.time >= self._versions[key].time:
            self._versions[key] = entry

    def _journals(self, folder: str, mend: bool = False) -> Iterator[Entry]:
        first, last = self._range
        for name in names(folder):
            found = JOURNAL.match(name)
            if found and int(found[1], 16) < last and int(found[2], 16) > first:
                path = join(folder, name)
                if mend and not is_remote(path):
                    _repair(Path(path))
                yield from read_journal(path, strict=mend)


def _rank(entry: Entry) -> tuple[bool, float]:
    """A document outranks every failure; of two of a kind the later one counts."""
    return entry.outcome == "fetched", entry.time


def read_journal(path: str, strict: bool = True) -> Iterator[Entry]:
    """Yield the entries of a journal whose records are there; a last line cut short is none.

    Args:
        path: the journal.
        strict: whether a line that is damaged or of another version is an error; else it is none.

    Raises:
        InputError: such a line.
    """
    archive = path.removesuffix(".jsonl") + ".warc.gz"
    size = 0
    with open_input(path) as stream:
        for number, line in enumerate(stream, 1):
            if not line.endswith(b"\n"):
                return
            try:
                entry, end = parse_line(line)
            except ValueError as error:
                if not strict:
                    continue
                raise InputError(
                    f"{path}: line {number} {error}.\nRemove that line, and what it tells of is"
                    " fetched again."
                ) from error
            if end > size:
                size = file_size(archive) or 0
                if end > size:  # deleted by hand, or lost
                    return
            entry.path = archive
            yield entry


def parse_line(line: bytes) -> tuple[Entry, int]:
    """Return what a line of a journal says, and where in the archive its records end.

    Raises:
        ValueError: it is damaged, or of another version.
    """
    try:
        values = json.loads(line)
        whole = values.pop("crc32", None) in (None, _crc32(values))  # older journals have none
        end = int(values.pop("end"))
        entry = Entry(**{**values, "chain": tuple(values["chain"])})
    except (ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise ValueError("is damaged, or was written by another version of curate")
    return entry, end


def _line(entry: Entry, end: int) -> bytes:
    values: dict[str, Any] = {**asdict(entry), "path": "", "end": end}
    return (json.dumps({**values, "crc32": _crc32(values)}) + "\n").encode()


def _crc32(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values).encode())


class _LocalSegment:
    """An archive and its journal, appended to and flushed to disk; locked while it is written."""

    def __init__(self, folder: str, stem: str, head: bytes) -> None:
        self._path = join(folder, f"{stem}.warc.gz")
        with writing(self._path):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self._journal = Path(folder, f"{stem}.jsonl").open("ab")
            with contextlib.suppress(OSError):  # a file system without locks: none is mended
                fcntl.flock(self._journal, fcntl.LOCK_EX)
            self._archive = Path(self._path).open("ab")
            self._archive.write(head)
            # What a unit says of an archive must not outlive its name when the power fails.
            for changed in (Path(folder), Path(folder).parent):
                sync_folder(changed)

    def append(self, batch: list[tuple[IO[bytes], Entry]]) -> None:
        lines = []
        with writing(self._path):
            for records, entry in batch:
                start = self._archive.tell()
                if entry.offset is not None:
                    entry.offset += start
                entry.path = self._path
                records.seek(0)
                shutil.copyfileobj(records, self._archive, 1 << 20)
                records.close()
                lines.append(_line(entry, self._archive.tell()))
            _flush(self._archive)
            self._journal.write(b"".join(lines))
            _flush(self._journal)

    def close(self) -> None:
        with writing(self._path):
            self._archive.close()
            self._journal.close()


class _RemoteSegment:
    """Segments gathered in local scratch and put one after the other, the journal last."""

    def __init__(self, folder: str, stem: str, head: bytes) -> None:
        self._folder, self._stem, self._head = folder, stem, head
        self._number = 0
        self._archive: Output | None = None
        self._lines: list[bytes] = []
        self._started = 0.0

    def append(self, batch: list[tuple[IO[bytes], Entry]]) -> None:
        for records, entry in batch:
            if self._archive is None:
                name = f"{self._stem}-{self._number:05d}.warc.gz"
                self._archive = Output(join(self._folder, name))
                self._archive.write(self._head)
                self._started = time.monotonic()
            if entry.offset is not None:
                entry.offset += self._archive.tell()
            entry.path = self._archive.path
            records.seek(0)
            while data := records.read(1 << 20):
                self._archive.write(data)
            records.close()
            self._lines.append(_line(entry, self._archive.tell()))
            if (
                len(self._lines) >= _REMOTE_ENTRIES
                or self._archive.tell() >= _REMOTE_BYTES
                or time.monotonic() - self._started >= _REMOTE_AGE_S
            ):
                self.close()

    def close(self) -> None:
        if self._archive is None:
            return
        self._archive.commit(replace=False)
        journal = Output(self._archive.path.removesuffix(".warc.gz") + ".jsonl")
        try:
            journal.write(b"".join(self._lines))
            journal.commit(replace=False)
        finally:
            journal.discard()
        self._archive, self._lines = None, []
        self._number += 1


def _flush(stream: IO[bytes]) -> None:
    stream.flush()
    os.fdatasync(stream.fileno())


def _repair(journal: Path) -> None:
    """Cut off what a killed process had not finished writing; a living one holds the lock."""
    archive = journal.with_name(journal.name.removesuffix(".jsonl") + ".warc.gz")
    # Of lines that cannot be read read_journal tells; nothing of theirs is cut off.
    with contextlib.suppress(OSError, ValueError), journal.open("r+b") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        whole = end = 0
        for line in stream:
            if line.endswith(b"\n"):
                whole += len(line)
                end = parse_line(line)[1]
        stream.truncate(whole)
        if archive.exists() and archive.stat().st_size > end:
            os.truncate(archive, end)
