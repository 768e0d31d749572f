"""The file system of one process, of which every change is counted and any one can fail.

Patches `os` and `io` under everything else: what runs in the process is untouched, `pathlib` too,
which calls them. A change is one write(2), fsync, rename, link, unlink, mkdir, truncate or new
file.
"""
# pathlib calls what is patched here:
# ruff: noqa: PTH100, PTH110, PTH112, PTH113, PTH115, PTH120

from __future__ import annotations

import io
import json
import os
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Fault = Literal["exit", "torn", "error once", "error from then on", "another run"]
EXIT_CODE = 99

_open, _os_open, _fsync = io.open, os.open, os.fsync
_rename, _replace, _link, _unlink, _mkdir = os.rename, os.replace, os.link, os.unlink, os.mkdir
_truncate = os.truncate


class FaultyFiles:
    """Count the changes below a folder, and fail at one of them.

    Args:
        folder: only changes below it count.
        journal: a folder outside of it, for what a power failure would take back.
        fail_at: which change fails; none when negative.
        fault: how: the process ends before it or in the middle of it, or it raises an error, or
            another run does all of the work before it.
        number: the errno of the error.
        another: does the work of another run.
    """

    def __init__(
        self,
        folder: Path,
        journal: Path,
        fail_at: int,
        fault: Fault = "exit",
        number: int = 0,
        another: Callable[[], object] = lambda: None,
    ) -> None:
        self.folder, self.journal = str(folder.resolve()) + "/", journal
        self.fail_at, self.fault, self.number, self.another = fail_at, fault, number, another
        self.changes: list[str] = []
        self._dirty: set[int] = set()  # inodes that were written to and not synced
        self._durable: dict[int, int] = {}  # inode to its bytes when it was synced
        self._names: list[dict[str, Any]] = []  # changes of folders that are not synced

    def install(self) -> None:
        """Put the functions in place, before anything imports them."""
        ours = {"open": self._opened}
        in_os = {
            **dict.fromkeys(("fsync", "fdatasync"), self._synced),
            **dict.fromkeys(("unlink", "remove"), self._unlinked),
            "rename": self._renaming(_rename),
            "replace": self._renaming(_replace),
            "link": self._linked,
            "mkdir": self._made,
            "truncate": self._cut,
        }
        vars(io).update(ours)
        vars(os).update(in_os)

    def _watched(self, path: Any) -> str:
        """Return the absolute path when it is below the folder, else ""."""
        if isinstance(path, int):
            return ""
        absolute = os.path.abspath(os.fsdecode(path))
        return absolute if f"{absolute}/".startswith(self.folder) else ""

    def _change(self, what: str, path: str, half: Callable[[], object] = lambda: None) -> None:
        index = len(self.changes)
        self.changes.append(f"{what} {path[len(self.folder) :]}")
        if index == self.fail_at and self.fault in ("exit", "torn"):
            if self.fault == "torn":
                half()
            self._write_journal()
            os._exit(EXIT_CODE)
        if self.fault == "another run":
            if index == self.fail_at:
                self.another()
            return
        later = self.fault == "error from then on" and 0 <= self.fail_at < index
        # On a full disk files can still be removed.
        if (index == self.fail_at or later) and what != "unlink":
            raise OSError(self.number, os.strerror(self.number), path)

    def _opened(self, file: Any, mode: str = "r", *arguments: Any, **named: Any) -> Any:
        path = self._watched(file)
        if not path or not set(mode) & set("wxa+"):
            return _open(file, mode, *arguments, **named)
        new = not os.path.exists(path)
        if new or "w" in mode:
            self._change("create" if new else "truncate", path)
        raw = _Raw(path, mode.replace("b", "").replace("t", ""), self)
        if new:
            self._note(path, {"what": "create", "path": path})
        stream: Any = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return stream if "b" in mode else io.TextIOWrapper(stream, encoding="utf-8")

    def cut(self, raw: _Raw) -> None:
        """Count an ftruncate(2)."""
        self._change("truncate", raw.path)

    def written(self, raw: _Raw, data: memoryview) -> None:
        """Count a write(2)."""
        half = bytes(data[: len(data) // 2])
        self._change("write", raw.path, lambda: os.write(raw.fileno(), half))
        self._dirty.add(os.fstat(raw.fileno()).st_ino)

    def _synced(self, file: Any) -> None:
        number = file if isinstance(file, int) else file.fileno()
        path = self._watched(os.readlink(f"/proc/self/fd/{number}"))
        if not path:
            return
        self._change("fsync", path)
        _fsync(number)
        if os.path.isdir(path):
            self._names = [one for one in self._names if one["folder"] != path]
        else:
            status = os.fstat(number)
            self._dirty.discard(status.st_ino)
            self._durable[status.st_ino] = status.st_size

    def _renaming(self, rename: Callable[..., None]) -> Callable[..., None]:
        def renamed(source: Any, target: Any, **named: Any) -> None:
            path = self._watched(target)
            if not path:
                return rename(source, target, **named)
            self._change("rename", path)
            kept = self._keep(path)
            rename(source, target, **named)
            start = self._watched(source)
            self._note(path, {"what": "rename", "path": path, "source": start, "kept": kept})
            return None

        return renamed

    def _linked(self, source: Any, target: Any, **named: Any) -> None:
        path = self._watched(target)
        if path:
            self._change("link", path)
        _link(source, target, **named)
        if path:
            self._note(path, {"what": "create", "path": path})

    def _unlinked(self, path: Any, **named: Any) -> None:
        absolute = self._watched(path)
        if absolute and os.path.exists(absolute):
            self._change("unlink", absolute)
            self._note(absolute, {"what": "unlink", "path": absolute, "kept": self._keep(absolute)})
        _unlink(path, **named)

    def _made(self, path: Any, *arguments: Any, **named: Any) -> None:
        absolute = self._watched(path)
        new = absolute and not os.path.exists(absolute)
        if new and os.path.isdir(os.path.dirname(absolute)):
            self._change("mkdir", absolute)
            self._note(absolute, {"what": "mkdir", "path": absolute})
        _mkdir(path, *arguments, **named)

    def _cut(self, file: Any, length: int) -> None:
        path = self._watched(file)
        if path:
            self._change("truncate", path)
        _truncate(file, length)

    def _note(self, path: str, entry: dict[str, Any]) -> None:
        self._names.append({**entry, "folder": os.path.dirname(path)})

    def _keep(self, path: str) -> str:
        """Keep the content of a file that is about to go."""
        if not os.path.isfile(path):
            return ""
        kept = str(self.journal / f"kept-{len(self.changes)}")
        with _open(path, "rb") as source, _open(kept, "wb") as target:
            target.write(source.read())
        return kept

    def _write_journal(self) -> None:
        with _open(self.journal / "lost.json", "w") as stream:
            dirty = {inode: self._durable.get(inode, 0) for inode in sorted(self._dirty)}
            json.dump({"dirty": dirty, "names": self._names, "place": self.fail_at}, stream)


class _Raw(io.FileIO):
    """A file whose every write(2) is counted."""

    def __init__(self, path: str, mode: str, files: FaultyFiles) -> None:
        self.path = path
        self._files = files
        super().__init__(path, mode)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._files.written(self, view)
        return super().write(view) or 0

    def truncate(self, size: int | None = None) -> int:
        self._files.cut(self)
        return super().truncate(size)


def lose_data(folder: Path, journal: Path) -> None:
    """Do as a power failure after which names are there and unsynced data are not."""
    durable = json.loads((journal / "lost.json").read_text())["dirty"]
    for path in folder.rglob("*"):
        inode = str(path.stat().st_ino)
        if path.is_file() and inode in durable:
            _truncate(path, durable[inode])


def lose_names(folder: Path, journal: Path) -> None:
    """Do as a power failure that takes back every change of a folder that was not synced."""
    _take_back(json.loads((journal / "lost.json").read_text())["names"])


def lose_some_names(folder: Path, journal: Path) -> None:
    """Do as one that takes back some of them: a disk need not keep the order of changes."""
    lost = json.loads((journal / "lost.json").read_text())
    random_ = random.Random(lost["place"])
    file_of: dict[str, str] = {}  # path to the first name that the file had
    is_lost: dict[str, bool] = {}
    taken = []
    for change in lost["names"]:
        first = file_of.get(change.get("source") or change["path"], change["path"])
        file_of[change["path"]] = first
        if first not in is_lost:
            is_lost[first] = random_.random() < 0.5
        if is_lost[first]:
            taken.append(change)
    _take_back(taken)


def _take_back(changes: list[dict[str, Any]]) -> None:
    for change in reversed(changes):
        path = Path(change["path"])
        if not path.parent.is_dir():
            continue
        if change["what"] == "create":
            path.unlink(missing_ok=True)
        elif change["what"] == "mkdir":
            shutil.rmtree(path, ignore_errors=True)
        elif change["what"] == "unlink":
            shutil.copy(change["kept"], path)
        else:
            if change["source"] and path.exists():
                path.rename(change["source"])
            if change["kept"]:
                shutil.copy(change["kept"], path)
