"""Real pages in small files, so that a whole run takes seconds."""

from __future__ import annotations

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

SAMPLE = Path(__file__).parents[2] / "sample_data"
FILES = 5
_PAGES = 90
_COPY_EVERY = 3


def write_pages(folder: Path) -> list[str]:
    """Cut pages of the sample into small WARC files; some pages are in two of them.

    Returns:
        The names of the files.
    """
    source = SAMPLE / "warc" / "sample-00000.warc.gz"
    files: list[list[bytes]] = [[] for _ in range(FILES)]
    for number, page in enumerate(_members(source.read_bytes())):
        if number == _PAGES:
            break
        files[number % FILES].append(page)
        if number % _COPY_EVERY == 0:  # the same page, crawled again
            files[(number + 1) % FILES].append(_crawled_again(page, number))
    return _write(folder, files)


def write_pdfs(folder: Path) -> list[str]:
    """Cut the sample of PDFs into small WARC files.

    Returns:
        The names of the files.
    """
    files: list[list[bytes]] = [[] for _ in range(FILES)]
    sources = sorted((SAMPLE / "pdf").glob("crawl-*.warc.gz"))
    members = (member for source in sources for member in _members(source.read_bytes()))
    for number, member in enumerate(members):
        files[number % FILES].append(member)
    return _write(folder, files)


def _write(folder: Path, files: list[list[bytes]]) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"part-{index}.warc.gz" for index in range(len(files))]
    for name, members in zip(names, files, strict=True):
        (folder / name).write_bytes(b"".join(members))
    return names


def _members(data: bytes) -> Iterator[bytes]:
    """Yield the gzip members that hold a page, packed as they were."""
    while data:
        inflater = zlib.decompressobj(31)
        unpacked = inflater.decompress(data)
        member = data[: len(data) - len(inflater.unused_data)]
        data = inflater.unused_data
        if b"\nWARC-Type: response" in unpacked[:1000]:
            yield member


def _crawled_again(member: bytes, number: int) -> bytes:
    record = gzip.decompress(member)
    identifier = f"<urn:uuid:00000000-0000-4000-8000-{number:012d}>".encode()
    record = re.sub(rb"(?<=WARC-Record-ID: )<[^>]*>", identifier, record, count=1)
    return gzip.compress(record, mtime=0)
