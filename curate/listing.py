"""What lies in folders, here or in a store; a listing that fails is an error and never a gap.

`glob` of Python, and `glob` and `find` of fsspec (`_walk` in asyn.py of 2026.9), leave out folders
that they cannot list: one request that fails would make a dataset smaller, and nobody would know.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import lru_cache, partial
from operator import eq
from typing import Any

_MAGIC = frozenset("*?[")
# Path, what tells whether it is a folder, what the store says of it.
_Entry = tuple[str, Callable[[], bool], Mapping[str, Any]]
_List = Callable[[str], Iterator[_Entry]]


def is_glob(path: str) -> bool:
    """Tell whether a path is a pattern: `*`, `?`, `[...]`; `**` is any number of folders."""
    return bool(_MAGIC & set(path))


def glob_here(pattern: str) -> list[str]:
    """Return the local files that a pattern names; hidden ones only where it says so.

    Raises:
        OSError: a folder cannot be listed.
    """
    start, parts = _start(re.sub("/{2,}", "/", pattern))  # one name for a file, and not two
    return [path for path, _ in _matching(_local, start, parts, hidden=False)]


def glob_store(fs: Any, pattern: str) -> dict[str, Mapping[str, Any]]:
    """Return the files of a store that a pattern names, with what it says of each.

    Raises:
        ValueError: `**` is only a part of a name, or a folder that is looked into has no name.
    """
    start, parts = _start(pattern)
    if any("**" in part and part != "**" for part in parts):
        raise ValueError("`**` stands for whole folders, as in a/**/b")
    return dict(_matching(_remote(fs), start, parts, hidden=True))


def below_in_store(fs: Any, folder: str) -> list[str]:
    """Return the names of all files in a folder of a store and in those below it, sorted."""
    return sorted(dict(_matching(_remote(fs), f"{folder}/", ["**"], hidden=True)))


def _start(pattern: str) -> tuple[str, list[str]]:
    """Divide a pattern into the folder that is named and the parts that are matched."""
    parts = pattern.split("/")
    fixed = next((index for index, part in enumerate(parts) if is_glob(part)), len(parts) - 1)
    return "".join(f"{part}/" for part in parts[:fixed]), parts[fixed:]


def _matching(
    entries: _List, folder: str, parts: Sequence[str], hidden: bool
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    part, *rest = parts
    if rest and not is_glob(part):
        yield from _matching(entries, f"{folder}{part}/", rest, hidden)
        return
    if part == "**" and rest:
        yield from _matching(entries, folder, rest, hidden)
    for path, is_folder, info in entries(folder):
        name = path.rsplit("/", 1)[-1]
        if name.startswith(".") and not hidden and not part.startswith("."):
            continue
        if part != "**" and not fnmatchcase(name, part):
            continue  # not looked at: it may be a link that leads nowhere one may go
        if is_folder():
            if part == "**" or rest:
                yield from _matching(entries, f"{path}/", parts if part == "**" else rest, hidden)
        elif not rest:
            yield path, info


def _local(folder: str) -> Iterator[_Entry]:
    try:
        found = list(os.scandir(folder or "."))
    except (FileNotFoundError, NotADirectoryError):
        return
    for entry in found:
        yield f"{folder}{entry.name}", partial(_is_folder, entry), {}


def _is_folder(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink():  # one whose disk is away is an error; `is_dir` says no
        return stat.S_ISDIR(entry.stat().st_mode)
    return entry.is_dir()


def _remote(fs: Any) -> _List:
    listed = lru_cache(1)(fs.ls)  # `**` asks twice for each folder, one after the other

    def entries(folder: str) -> Iterator[_Entry]:
        if folder.endswith("//"):
            raise ValueError(f"names with nothing between two slashes: {folder}...; rename them")
        folder = folder.rstrip("/")
        try:
            found = listed(folder, detail=True)
        except FileNotFoundError:
            return
        for info in found:
            name = str(info["name"]).rstrip("/")
            if name == folder:
                if info.get("StorageClass") != "DIRECTORY":
                    continue  # an empty object that stands for the folder
                name += "/"  # of S3, a folder without a name
            yield name, partial(eq, info["type"], "directory"), info

    return entries
