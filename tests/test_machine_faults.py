"""A disk, a store or a memory that fails costs time and no document: the unit is tried again."""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.errors import CurateError, DocumentError, InputError
from curate.extract.isolation import IsolatedExtractor, Limits
from curate.readers.records import JsonlReader, ParquetReader
from curate.readers.warc import WarcReader
from curate.steps import Extracted, Extractor, Reader
from curate.storage import open_input

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
