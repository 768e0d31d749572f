"""Is what was fetched still as it was written? For `curate verify`."""

from __future__ import annotations

from ..readers.containers import Raw, pieces
from ..readers.warc_records import Window, read_records
from ..storage import file_size, join, names, open_input
from .store import JOURNAL, parse_line

_MAX_RECORD_BYTES = 1 << 30


def journals(folder: str) -> list[str]:
    """Return the paths of the journals of a refetch."""
    return [join(folder, name) for name in names(folder) if JOURNAL.match(name)]


def segment_fault(journal: str) -> tuple[str, str]:
    """Return which of a journal and its archive is not as it was written, and why; or two "".

    An archive may hold more than its journal tells of: a writer died.
    """
    archive = journal.removesuffix(".jsonl") + ".warc.gz"
    starts, end, what = _told(journal)
    if what:
        return journal, what
    if not end:  # a writer died at once
        return "", ""
    size = file_size(archive)
    if size is None or size < end:
        there = "is missing" if size is None else f"has {size:,} bytes"
        return archive, f"{there}, and its journal tells of {end:,}"
    what = _record_fault(archive, starts, end)
    return (archive, what) if what else ("", "")


def _told(journal: str) -> tuple[set[int], int, str]:
    """Return where a journal says that records begin and the last ends, and what is wrong."""
    starts: set[int] = set()
    end = 0
    with open_input(journal) as stream:
        for number, line in enumerate(stream, 1):
            if line.endswith(b"\n"):
                try:
                    entry, end = parse_line(line)
                except ValueError as error:
                    what = f"line {number} {error}; without it what it tells of is fetched again"
                    return starts, end, what
                if entry.offset is not None:
                    starts.add(entry.offset)
    return starts, end, ""


def _record_fault(archive: str, starts: set[int], end: int) -> str:
    missing = set(starts)
    with open_input(archive) as stream:
        for record in read_records(Window(pieces(Raw(stream), True), True), _MAX_RECORD_BYTES):
            if record.offset >= end:
                break
            if record.reason:
                return f"is damaged at byte {record.offset:,}: {record.reason}"
            missing.discard(record.offset)
    return f"has no record at byte {min(missing):,}" if missing else ""
