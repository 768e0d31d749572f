"""Files, local or remote: reading, and writing that is all or nothing.

A path is a local path or an fsspec URL (`s3://...`). Local files are written to a temporary name,
flushed to disk and renamed; remote ones are written to local scratch and put in one piece, which
object stores do atomically.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from . import listing
from .errors import CurateError, InputError, StorageError
from .input_stream import InputStream, reading

_SCRATCH = "curate"


def is_remote(path: str) -> bool:
    """Tell whether `path` is a URL for fsspec rather than a local path."""
    return "://" in path


def join(*parts: str) -> str:
    """Join path parts; the same for local paths and URLs."""
    return "/".join(part.rstrip("/") for part in parts[:-1]) + "/" + parts[-1]


def filesystem(path: str) -> tuple[Any, str]:
    import fsspec

    try:
        # Listings are never cached: other workers write while we look.
        fs, key = fsspec.core.url_to_fs(path, use_listings_cache=False)
    except (ImportError, ValueError) as error:
        scheme = path.split("://", 1)[0]
        extra = (
            "pip install 'curate[s3]'" if scheme == "s3" else f"the fsspec package of {scheme}://"
        )
        raise InputError(
            f"{path}: cannot open {scheme}:// paths ({error}).\nInstall {extra}."
        ) from None
    return fs, key


def open_input(path: str) -> BinaryIO:
    """Open a local or remote file for reading, seekable.

    Raises:
        InputError: it does not exist or cannot be read, now or later from the stream.
    """
    with reading(path):
        if is_remote(path):
            fs, key = filesystem(path)
            stream = fs.open(key, "rb")
            if (cache := getattr(stream, "cache", None)) is not None:
                cache.fetcher = partial(_fetch_whole, cache.fetcher, cache.size)
            return cast(BinaryIO, InputStream(path, stream))
        return cast(BinaryIO, InputStream(path, Path(path).open("rb")))


def _fetch_whole(
    fetch: Callable[[int, int], bytes], size: int | None, start: int, end: int
) -> bytes:
    """Fetch a range. A server may send less of it, and fsspec would take what follows for it."""
    data = fetch(start, end)
    missing = min(end, end if size is None else size) - start - len(data)
    if missing > 0:
        raise OSError(f"{missing:,} of {end - start:,} bytes from {start:,} were not sent")
    return data


def read_json(path: str) -> Any:
    """Read a JSON file."""
    with open_input(path) as stream:
        return json.loads(stream.read())


def exists(path: str) -> bool:
    """Tell whether a file or folder is there."""
    if is_remote(path):
        fs, key = filesystem(path)
        # Not its `exists`, which some stores answer with no when they fail.
        with suppress(FileNotFoundError), _reaching(path):
            fs.info(key)
            return True
        return False
    with reading(path):
        return Path(path).exists()


def file_size(path: str) -> int | None:
    """Return a file's size; None when it is not there."""
    if is_remote(path):
        fs, key = filesystem(path)
        with suppress(FileNotFoundError), _reaching(path):
            return int(fs.info(key)["size"])
        return None
    with reading(path), suppress(FileNotFoundError, NotADirectoryError):
        return Path(path).stat().st_size
    return None


def names(folder: str) -> list[str]:
    """Name the files in a folder, sorted; none when there is no such folder."""
    if is_remote(folder):
        fs, key = filesystem(folder)
        try:
            with _reaching(folder):
                listed = fs.ls(key, detail=False)
        except FileNotFoundError:
            return []
        return sorted(name.rstrip("/").rsplit("/", 1)[-1] for name in listed)
    with reading(folder), suppress(FileNotFoundError, NotADirectoryError):
        return sorted(entry.name for entry in os.scandir(folder))
    return []


@contextmanager
def _reaching(path: str) -> Iterator[None]:
    """Turn a store that cannot be reached into a message for the user."""
    try:
        yield
    except FileNotFoundError:
        raise
    except Exception as error:  # every store raises its own kinds
        why = " ".join(str(error).split())[:300]
        raise StorageError(
            f"{path}: cannot be reached: {why}\nCheck the address and the credentials, then"
            " give the same command again."
        ) from error


def files_below(folder: str) -> list[str]:
    """Return the paths of all files in a folder and in those below it, sorted."""
    if is_remote(folder):
        fs, key = filesystem(folder)
        with _reaching(folder):
            return [fs.unstrip_protocol(path) for path in listing.below_in_store(fs, key)]
    found = []
    # Not `rglob`, which leaves out folders that it cannot list.
    with reading(folder):
        for path in (Path(folder, name) for name in names(folder)):
            if path.is_dir() and not path.is_symlink():
                found += files_below(str(path))
            elif path.is_file():
                found.append(str(path))
    return sorted(found)


def remove(path: str) -> None:
    """Remove a file if it is there."""
    if is_remote(path):
        fs, key = filesystem(path)
        with suppress(FileNotFoundError), _reaching(path):
            fs.rm_file(key)
        return
    try:
        Path(path).unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be removed: {error.strerror}.\nRemove it, then run again."
        ) from error


class Output:
    """A file being written: hashed as it grows, visible under its name only after `commit`."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.bytes = 0
        self._hash = hashlib.sha256()
        name = temporary_name(path.rsplit("/", 1)[-1])
        self.closed = False
        if is_remote(path):
            self._temporary = Path(tempfile.gettempdir(), _SCRATCH + name)
            self._place = str(self._temporary)
        else:
            self._temporary, self._place = Path(path).parent / name, path
        folder = self._temporary.parent
        with writing(self._place):
            folder.mkdir(parents=True, exist_ok=True)
            self._stream: IO[bytes] = self._temporary.open("xb")

    def write(self, data: bytes) -> int:
        """Append bytes."""
        view = memoryview(data)
        if self.closed:
            return view.nbytes  # a writer of Parquet that was given up writes its end when it goes
        self._hash.update(view)
        self.bytes += view.nbytes
        with writing(self._place):
            return self._stream.write(view)

    def tell(self) -> int:
        """Return how many bytes were written."""
        return self.bytes

    def flush(self) -> None:
        """Flush to the operating system."""
        self._stream.flush()

    def close(self) -> None:
        """Leave the stream open: only `commit` or `discard` end it (pyarrow closes its sinks)."""

    @property
    def sha256(self) -> str:
        """SHA-256 of what was written so far, in hex."""
        return self._hash.hexdigest()

    def reopen(self) -> BinaryIO:
        """Open what was written so far for reading; only before `commit`."""
        with writing(self._place):
            self._stream.flush()
            return self._temporary.open("rb")

    def commit(self, replace: bool = True) -> None:
        """Make the file visible under its name, whole and durable.

        Args:
            replace: whether to replace a file of that name; if not, the one that is there stays.
        """
        with writing(self._place):
            self._stream.flush()
            os.fsync(self._stream.fileno())
            self._stream.close()
        with writing(self.path):
            self._publish(replace)
        self.closed = True

    def _publish(self, replace: bool) -> None:
        if is_remote(self.path):
            fs, key = filesystem(self.path)
            fs.put_file(str(self._temporary), key)
            self._temporary.unlink()
        else:
            if replace:
                self._temporary.replace(self.path)
            else:
                with suppress(FileExistsError):
                    os.link(self._temporary, self.path)
                self._temporary.unlink()
            sync_folder(Path(self.path).parent)

    def discard(self) -> None:
        """Remove what was written; does nothing after `commit`."""
        if not self.closed:
            with suppress(OSError):  # on a full disk, what is buffered cannot be flushed
                self._stream.close()
            self._temporary.unlink(missing_ok=True)
            self.closed = True


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def writing(path: str) -> Iterator[None]:
    """Turn a failed write below `path` into a message for the user.

    Raises:
        StorageError: no space, no permission, a read-only file system, or whatever else the
            system or the store says.
    """
    try:
        yield
    except CurateError:
        raise
    except Exception as error:  # every store raises its own kinds
        if not isinstance(error, OSError) and not is_remote(path):
            raise
        why = getattr(error, "strerror", None) or " ".join(str(error).split())[:300]
        option = "TMPDIR" if path.startswith(f"{tempfile.gettempdir()}/{_SCRATCH}.") else "--out"
        raise StorageError(
            f"{path}: cannot be written: {why}.\nMake room or give another place with"
            f" {option}, then give the same command again: it goes on where it was."
        ) from error


def write_bytes(path: str, data: bytes, replace: bool = True) -> None:
    """Write a whole file at once, all or nothing; see Output.commit for `replace`."""
    output = Output(path)
    try:
        output.write(data)
        output.commit(replace)
    finally:
        output.discard()


def write_json(path: str, value: Any, replace: bool = True) -> None:
    """Write a JSON file, all or nothing, readable by people."""
    text = json.dumps(value, indent=1, ensure_ascii=False) + "\n"
    # A name that is no UTF-8 is in there as what JSON writes for it, \udcff, and read as it was.
    write_bytes(path, text.encode("utf-8", "backslashreplace"), replace)


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9]", "_", socket.gethostname())


def temporary_name(name: str) -> str:
    """Return a name to write a file under that says whose it is, for `remove_leftovers`."""
    return f".{name}.{_host()}-{os.getpid()}-{secrets.token_hex(4)}.tmp"


def remove_leftovers(folder: str) -> None:
    """Remove temporary files that killed writers of this machine left.

    Args:
        folder: where they wrote to. What is written to a store is first in scratch of this machine,
            which all runs share.
    """
    start = ""
    if is_remote(folder):
        folder, start = tempfile.gettempdir(), _SCRATCH
    for name in names(folder):
        found = re.search(r"\.([A-Za-z0-9_]*)-(\d+)-[0-9a-f]{8}\.tmp$", name)
        if found and found[1] == _host() and not _alive(int(found[2])) and name.startswith(start):
            with suppress(PermissionError):  # another user's
                Path(folder, name).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    with suppress(OSError):  # a zombie writes no more
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return True
