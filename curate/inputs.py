"""The input files of a run: listed once, and read only as they were listed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from . import listing
from .errors import InputError
from .input_stream import reading
from .storage import filesystem, is_remote, open_input


@dataclass(frozen=True, slots=True)
class InputFile:
    """One input: where it is, how large, and the store's version tag where there is one."""

    path: str
    size: int
    tag: str = ""


def list_inputs(patterns: str) -> list[InputFile]:
    """List the files that comma-separated paths and globs name, sorted by path.

    Raises:
        InputError: a pattern matches nothing, its store cannot be reached, or two paths are one
            file here, whose documents would be there twice.
    """
    found: dict[str, InputFile] = {}
    places: dict[tuple[int, int], str] = {}
    for pattern in (part.strip() for part in patterns.split(",")):
        if not pattern:
            continue
        if is_remote(pattern):
            files = list(_remote_inputs(pattern))
        else:
            files = list(_local_inputs(pattern, places))
        if not files:
            raise InputError(
                f"no input: {pattern!r} matches no file"
                + ("" if is_remote(pattern) else f" (looked from {Path.cwd()})")
                + ".\nGive a path, a glob or several separated by commas, for example"
                " 'crawl/*.warc.gz' or 's3://bucket/crawl/*.warc.gz'."
            )
        found.update((file.path, file) for file in files)
    if not found:
        raise InputError("no input: the path is empty. Give a path or a glob of input files.")
    return [found[path] for path in sorted(found)]


def _local_inputs(pattern: str, places: dict[tuple[int, int], str]) -> Iterator[InputFile]:
    """Yield the files of a pattern; `places` says which file is where, by device and inode."""
    try:
        paths = [pattern] if Path(pattern).is_file() else listing.glob_here(pattern)
    except OSError as error:
        where = error.filename or pattern
        raise InputError(f"{pattern}: {where} cannot be listed: {error.strerror}.") from error
    for path in paths:
        with reading(path):
            found = Path(path).stat()
        if stat.S_ISREG(found.st_mode):
            path = _normal(path, found)
            other = places.setdefault((found.st_dev, found.st_ino), path)
            if other != path:
                raise InputError(
                    f"{path} and {other} are one file: its documents would be there twice."
                    "\nLeave one of them out."
                )
            yield InputFile(path, found.st_size, str(found.st_mtime_ns))


def _normal(path: str, found: os.stat_result) -> str:
    """Return the one spelling of a path, without `.` and `..`, unless a link makes it another."""
    normal = os.path.normpath(path)
    if ".." in path.split("/") and normal != path:
        try:
            return normal if os.path.samestat(Path(normal).stat(), found) else path
        except OSError:
            return path
    return normal


def _remote_inputs(pattern: str) -> Iterator[InputFile]:
    fs, key = filesystem(pattern)
    scheme = pattern.split("://", 1)[0]
    infos: Mapping[str, Mapping[str, Any]] = {}
    try:
        # In a web address, ? begins the query, as of one that is signed.
        if listing.is_glob(key.replace("?", "") if scheme in ("http", "https") else key):
            infos = listing.glob_store(fs, key)
        else:
            with suppress(FileNotFoundError):
                infos = {key: fs.info(key)}
    except Exception as error:  # every store raises its own kinds
        raise InputError(f"{pattern}: cannot be listed: {error}") from error
    for name, info in infos.items():
        if info.get("type") == "file":
            path = name if is_remote(name) else f"{scheme}://{name}"
            yield InputFile(path, int(info.get("size") or 0), _tag(info))


@contextmanager
def open_unchanged(path: str, size: int, tag: str) -> Iterator[BinaryIO]:
    """Open an input that is as it was listed, and see at the end that it still is.

    What is known of a unit is kept under the name of that version of its file. Were another read,
    nothing would tell later that its documents are missing, or not those of the file.

    Args:
        path: the input.
        size: as it was listed.
        tag: as it was listed; empty where it is not known.

    Raises:
        InputError: it cannot be read, or is not what was listed, or was written to meanwhile.
    """
    with open_input(path) as stream:
        opened = _version(path, stream)
        # Not every store tells the size, or has tags.
        same_size = opened[0] == size or (is_remote(path) and (not size or opened[0] is None))
        if not same_size or (tag and opened[1] and opened[1] != tag):
            raise _changed(path)
        yield stream
        # A file that was cut and put back has its size and time again, but not that of its change.
        if _version(path, stream) != opened:
            raise _changed(path)


def printable(path: str) -> str:
    r"""Return a path for people and Parquet: bytes of it that are no UTF-8 are written `\xff`."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _version(path: str, stream: BinaryIO) -> tuple[int | None, str, int]:
    """Return an open file's size, tag, and time of change; nothing for what a store does not say.

    A local file is asked itself: by its path, one that was put in its place would answer.
    """
    with reading(path):
        if is_remote(path):
            fs, key = filesystem(path)
            info = fs.info(key)
            return info.get("size"), _tag(info), 0
        found = os.fstat(stream.fileno())
        return found.st_size, str(found.st_mtime_ns), found.st_ctime_ns


def _changed(path: str) -> InputError:
    return InputError(
        f"{path}: has changed since the run listed it.\nGive the same command again when nothing"
        " writes to it: what was read of it is not kept."
    )


def _tag(info: Mapping[str, Any]) -> str:
    return str(info.get("ETag") or "").strip('"')
