"""A disk, a store or a memory that fails costs time and no document: the unit is tried again."""

from __future__ import annotations

import errno
import glob
import gzip
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import fsspec.implementations.local
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.dedup import arrays
from curate.errors import CurateError, DocumentError, InputError, StorageError
from curate.extract.isolation import IsolatedExtractor, Limits
from curate.inputs import list_inputs
from curate.manifest import FileInfo, Manifest
from curate.readers.records import JsonlReader, ParquetReader
from curate.readers.warc import WarcReader
from curate.steps import Extracted, Extractor, Reader
from curate.storage import (
    exists,
    file_size,
    files_below,
    names,
    open_input,
    remove,
)

from .conftest import Cli
from .warc_files import page


class BrokenStore(fsspec.AbstractFileSystem):  # type: ignore[misc]  # fsspec has no types
    """A store whose files break off where their name says: `broken://4096/path`."""

    protocol = "broken"
    cachable = False
    errors = (OSError(errno.EIO, "Input/output error"), TimeoutError("the store hangs"))

    def open(self, path: str, mode: str = "rb", **_: Any) -> BrokenFile:
        number, _, rest = self._strip_protocol(path).lstrip("/").partition("/")
        return BrokenFile(Path("/", rest).read_bytes(), int(number), self.errors[int(number) % 2])


class BrokenFile(io.BytesIO):
    def __init__(self, data: bytes, end: int, error: Exception) -> None:
        super().__init__(data)
        self.end, self.error = end, error

    def read(self, size: int | None = -1) -> bytes:
        if size is None or size < 0 or self.tell() + size > self.end:
            raise self.error
        return super().read(size)

    def readline(self, size: int | None = -1) -> bytes:
        if self.tell() + 1000 > self.end:
            raise self.error
        return super().readline(size)


fsspec.register_implementation("broken", BrokenStore, clobber=True)


class BrokenFolders(fsspec.implementations.local.LocalFileSystem):  # type: ignore[misc]  # as above
    """A store that cannot list the folders, or say what a file is, whose names say so."""

    protocol = "gaps"
    cachable = False

    def ls(self, path: str, detail: bool = False, **named: Any) -> Any:
        if "fails" in Path(path).name:
            raise OSError(errno.EBUSY, "Please reduce your request rate.")
        return super().ls(path, detail=detail, **named)

    def info(self, path: str, **named: Any) -> Any:
        if "fails" in Path(path).name:
            raise OSError(errno.EBUSY, "Please reduce your request rate.")
        return super().info(path, **named)


fsspec.register_implementation("gaps", BrokenFolders, clobber=True)


def zstd(data: bytes) -> bytes:
    return bytes(pa.Codec("zstd").compress(data, asbytes=True))


def write_files(folder: Path) -> None:
    """Write the same pages in each form that a reader takes."""
    pages = [page(number, b"<p>" + os.urandom(3000).hex().encode()) for number in range(200)]
    lines = [json.dumps({"text": os.urandom(3000).hex()}) for _ in range(200)]
    (folder / "plain").write_bytes(b"".join(pages))
    (folder / "gzip").write_bytes(b"".join(gzip.compress(one, 1) for one in pages))
    (folder / "zstd").write_bytes(b"".join(zstd(one) for one in pages))
    (folder / "jsonl").write_text("\n".join(lines))
    (folder / "jsonl.gz").write_bytes(gzip.compress("\n".join(lines).encode(), 1))
    table = pa.table({"text": lines, "id": [str(number) for number in range(200)]})
    pq.write_table(table, folder / "parquet", compression="none", row_group_size=20)


@pytest.mark.parametrize("end", [300_000, 300_001])
@pytest.mark.parametrize(
    ("file", "reader"),
    [
        ("plain", WarcReader("")),
        ("gzip", WarcReader("")),
        ("zstd", WarcReader("")),
        ("jsonl", JsonlReader("")),
        ("jsonl.gz", JsonlReader("")),
        ("parquet", ParquetReader("")),
    ],
)
def test_a_store_that_breaks_off_is_no_damage_of_the_file(
    tmp_path: Path, file: str, reader: Reader, end: int
) -> None:
    """Otherwise one bad minute of the network would cost documents for good."""
    write_files(tmp_path)
    path = f"broken://{end}{tmp_path}/{file}"
    fates = []
    with pytest.raises(InputError, match="cannot be read"), open_input(path) as stream:
        for _, fate in reader.read(path, stream):
            fates.append(fate)
    assert fates == [None] * len(fates)


@dataclass(frozen=True)
class Machine(Extractor):
    """An extractor that meets what the page says of the machine."""

    folder: str

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        word, _, number = payload.decode().partition(" ")
        if word == "error":
            raise OSError(int(number), os.strerror(int(number)))
        if word == "die":
            trace = Path(self.folder, "deaths")
            deaths = trace.stat().st_size if trace.exists() else 0
            if deaths < int(number):
                with trace.open("ab") as stream:
                    stream.write(b"x")
                os.kill(os.getpid(), 9)
        return Extracted("text")


@pytest.fixture
def isolated(tmp_path: Path) -> Iterator[IsolatedExtractor]:
    """The extractor in a child process."""
    extractor = IsolatedExtractor(Machine(str(tmp_path)), Limits(5.0, 0.5, 1 << 20))
    yield extractor
    extractor.close()


@pytest.mark.parametrize("deaths", [1, 2])
def test_the_first_page_of_a_child_is_not_blamed_for_a_kill_from_outside(
    isolated: IsolatedExtractor, deaths: int
) -> None:
    """Such as by the kernel on a machine that is short of memory, even twice."""
    assert isolated.extract(f"die {deaths}".encode(), "").text == "text"


def test_a_child_that_is_killed_again_and_again_fails_the_unit_and_not_the_page(
    isolated: IsolatedExtractor,
) -> None:
    """The message says what to do; what is recorded of a page must not depend on the machine."""
    with pytest.raises(CurateError, match=r"killed 3 times.*\n.*--workers") as caught:
        isolated.extract(b"die 99", "")
    assert not isinstance(caught.value, DocumentError)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EMFILE, errno.ENOMEM])
def test_a_full_disk_is_no_error_of_the_page(isolated: IsolatedExtractor, number: int) -> None:
    """The unit is tried again."""
    with pytest.raises(CurateError) as caught:
        isolated.extract(f"error {number}".encode(), "")
    assert not isinstance(caught.value, DocumentError)
    assert isolated.extract(b"page", "").text == "text"


def test_other_errors_of_the_system_are_the_pages(isolated: IsolatedExtractor) -> None:
    """A page that makes its extractor look for a file that is not there fails alone."""
    with pytest.raises(DocumentError, match="No such file"):
        isolated.extract(f"error {errno.ENOENT}".encode(), "")


FULL_DISK = '''
import errno, os
from dataclasses import dataclass
from pathlib import Path

from curate import Document, Drop, Filter, Pipeline, Stage
from curate.readers.records import JsonlReader


@dataclass(frozen=True)
class Scratch(Filter):
    name = "scratch"
    number: int = errno.ENOSPC

    def reject(self, doc: Document) -> Drop | None:
        if doc.id == "a-7" and Path("full").exists():
            Path("full").unlink()
            raise OSError(self.number, os.strerror(self.number))
        return None


def pipeline(paths: str = "in/*.jsonl") -> Pipeline:
    """Keep all."""
    loaded = Stage("load", source=JsonlReader(paths), steps=(Scratch(),))
    return Pipeline("toy", output=loaded)
'''


def test_a_step_that_finds_the_disk_full_costs_no_document(cli: Cli) -> None:
    """The same run on a machine with room keeps it."""
    (cli.folder / "toy.py").write_text(FULL_DISK)
    (cli.folder / "full").touch()
    cli("run", "toy.py")
    assert not (cli.folder / "full").exists()
    assert cli.status()["load"]["failed"] == 0
    assert cli.status()["load"]["kept"] == 120


@pytest.mark.parametrize("rows", [2, 200_000])
def test_an_array_that_was_cut_short_is_never_read(tmp_path: Path, rows: int) -> None:
    """What is missing would else be whatever the memory held; large ones are mapped."""
    values = np.arange(rows)
    (tmp_path / "a.keys.bin").write_bytes(values.tobytes())
    manifest = Manifest("s", "f", "a")
    manifest.files["keys"] = FileInfo("a.keys.bin", values.nbytes, rows, "")
    assert (arrays.view(str(tmp_path), manifest, "keys", values.dtype, 0, rows) == values).all()
    (tmp_path / "a.keys.bin").write_bytes(values.tobytes()[:-9])
    for read in (arrays.read, arrays.view):
        with pytest.raises(CurateError, match=r"a\.keys\.bin: .*shorter.*\n.*curate verify"):
            read(str(tmp_path), manifest, "keys", values.dtype, 0, rows)


def test_a_folder_in_place_of_a_published_file_is_one_message(cli: Cli) -> None:
    cli("run", "toy.py")
    for path in (cli.folder / "runs/toy/dataset/data").glob("*.parquet"):
        path.unlink()
        path.mkdir()
    shutil.rmtree(next((cli.folder / "runs/toy/stages").glob("dataset-*")))
    done = cli("run", "toy.py", code=1)
    assert "cannot be removed" in done.stderr
    assert "Traceback" not in done.stderr


def write_tree(folder: Path, *files: str) -> None:
    for file in files:
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (folder / file).write_text("x")


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*/warc/*.gz", ["1/warc/a.gz", "2/warc/b.gz"]),
        ("**/*.gz", ["1/warc/a.gz", "1/wat/c.gz", "2/warc/b.gz", "top.gz"]),
        ("**", ["1/warc/a.gz", "1/wat/c.gz", "1/wat/note", "2/warc/b.gz", "top.gz"]),
        ("[1-2]/wa?/*", ["1/wat/c.gz", "1/wat/note"]),
        ("*.gz", ["top.gz"]),
        ("top.gz", ["top.gz"]),
    ],
)
def test_a_glob_in_a_store_is_what_it_is_elsewhere(
    tmp_path: Path, pattern: str, expected: list[str]
) -> None:
    """As on this machine, and there as Python's own."""
    write_tree(tmp_path, "1/warc/a.gz", "1/wat/c.gz", "1/wat/note", "2/warc/b.gz", "top.gz")
    for start in ("", "gaps://"):
        found = [file.path for file in list_inputs(f"{start}{tmp_path}/{pattern}")]
        assert found == [f"{start}{tmp_path}/{name}" for name in expected]
    write_tree(tmp_path, ".hidden/warc/a.gz", "1/.b.gz")
    paths = (Path(path) for path in glob.glob(f"{tmp_path}/{pattern}", recursive=True))
    own = [file.path for file in list_inputs(f"{tmp_path}/{pattern}")]
    assert own == sorted(str(path) for path in paths if path.is_file())


@pytest.mark.parametrize("pattern", ["*/warc/*.gz", "**/*.gz", "*/warc-fails/*.gz"])
def test_a_folder_that_a_store_cannot_list_is_an_error(tmp_path: Path, pattern: str) -> None:
    """Not fewer inputs, from which a smaller dataset would be made in silence."""
    write_tree(tmp_path, "1/warc/a.gz", "2-fails/warc/b.gz", "3/warc-fails/c.gz")
    with pytest.raises(InputError, match=r"cannot be listed: .*reduce your request rate"):
        list_inputs(f"gaps://{tmp_path}/{pattern}")


def test_a_folder_here_that_cannot_be_listed_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as one of a file server that is gone; relative paths stay relative."""
    monkeypatch.chdir(tmp_path)
    write_tree(tmp_path, "in/1/a.gz", "in/2/b.gz", "in/c.gz")
    assert [file.path for file in list_inputs("in/*/*.gz, ./in/*.gz")] == [
        "in/1/a.gz",
        "in/2/b.gz",
        "in/c.gz",
    ]
    monkeypatch.setattr(os, "scandir", failing_at("in/2/", os.scandir))
    with pytest.raises(InputError, match="in/2/ cannot be listed: Input/output error"):
        list_inputs("in/*/*.gz")


def failing_at(folder: str, scandir: Callable[[str], Any]) -> Callable[[str], Any]:
    def scan(path: str) -> Any:
        if path == folder:
            raise OSError(errno.EIO, os.strerror(errno.EIO), path)
        return scandir(path)

    return scan


def test_a_store_that_does_not_answer_says_nothing_of_what_is_there(tmp_path: Path) -> None:
    """Otherwise what is done would be taken for missing, and done again."""
    path = f"gaps://{tmp_path}/fails"
    for ask in (exists, file_size, names, files_below):
        with pytest.raises(StorageError, match="cannot be reached"):
            ask(path)
    missing = f"gaps://{tmp_path}/missing"
    assert (exists(missing), file_size(missing), names(missing)) == (False, None, [])
    assert files_below(missing) == []
    remove(missing)
