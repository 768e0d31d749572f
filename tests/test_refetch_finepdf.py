"""What FinePDF makes of files that were cut: large ones, and such as begin alike."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pymupdf
import pytest
from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

from .conftest import ROOT, Cli

REPORT = (
    "The committee met in the spring and heard from the people who keep the old bridge in repair."
    " They said that the stone had lasted well, but that the road above it had not been made for"
    " the weight of the lorries that now use it every day. "
)
ANNEX = (
    "This annex lists what was spent on the bridge in each of the last ten years, and on whom. The"
    " sums are those of the council's own books, and were not checked by anybody else. "
)
LARGE = (
    "A map of the valley in the highest resolution is attached to this file, which makes it much"
    " larger than its two pages of text would be. Whoever needs the text alone can read it here. "
)
BOX = (60, 60, 540, 780)
DEAD, ALIVE, LONGER, BIG = (
    f"http://{host}.example/report.pdf" for host in ("dead", "alive", "longer", "big")
)


def pdf(text: str, attached_bytes: int = 0) -> bytes:
    """Return a PDF of a page, with something large in it that is not shown."""
    doc = pymupdf.open()
    doc.new_page().insert_textbox(BOX, text * 3, fontsize=11)
    if attached_bytes:
        xref = doc.get_new_xref()
        doc.update_object(xref, "<<>>")
        doc.update_stream(xref, bytes(attached_bytes), compress=False)
    content: bytes = doc.tobytes()
    return content


def with_page(content: bytes, text: str, path: Path) -> bytes:
    """Return a PDF that begins with all of another, and has one page more."""
    path.write_bytes(content)
    with pymupdf.open(path) as doc:
        doc.new_page().insert_textbox(BOX, text * 3, fontsize=11)
        doc.saveIncr()
    return path.read_bytes()


def archive(path: Path, answers: list[tuple[str, bytes, str]], cut_bytes: int = 0) -> None:
    """Write responses: URL, body and status."""
    with path.open("wb") as stream:
        writer = WARCWriter(stream, gzip=True)
        for url, body, status in answers:
            kept = body[:cut_bytes] if cut_bytes else body
            headers = [("Content-Type", "application/pdf"), ("Content-Length", str(len(kept)))]
            record = writer.create_warc_record(
                url,
                "response",
                payload=io.BytesIO(kept),
                http_headers=StatusAndHeaders(status, headers, protocol="HTTP/1.1"),
                warc_headers_dict={"WARC-Truncated": "length"} if cut_bytes else {},
            )
            writer.write_record(record)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A finished run on four files that were cut, of which three come back."""
    folder = tmp_path_factory.mktemp("finepdf")
    (folder / "pipelines").symlink_to(ROOT / "pipelines")
    report, big = pdf(REPORT), pdf(LARGE, 65 << 20)
    bodies = {
        DEAD: report,
        ALIVE: report,
        LONGER: with_page(report, ANNEX, folder / "longer.pdf"),
        BIG: big,
    }
    ok = [(url, body, "200 OK") for url, body in bodies.items()]
    archive(folder / "crawl.warc.gz", ok, len(report) // 2)
    archive(folder / "again.warc.gz", [(DEAD, b"", "404 Not Found"), *ok[1:]])
    cli = Cli(folder)
    options = ("-p", "warcs=crawl.warc.gz", "-p", "replay=again.warc.gz", "-p", "ocr=off")
    cli("run", "pipelines/finepdf.py", *options)
    cli("verify", "runs/finepdf")
    yield cli


def texts(cli: Cli) -> dict[str, str]:
    """Return the published texts by URL."""
    files = (cli.folder / "runs/finepdf/dataset/data").rglob("*.parquet")
    rows = [row for path in files for row in pq.read_table(path, partitioning=None).to_pylist()]
    return {row["url"]: " ".join(row["text"].split()) for row in rows}


def test_files_that_begin_alike_are_each_asked_for(run: Cli) -> None:
    """Neither is a file lost whose twin is gone, nor one that goes on otherwise."""
    found = texts(run)
    assert found[ALIVE].count("The committee met") == 3
    assert "This annex lists" not in found[ALIVE]
    assert "The committee met" in found[LONGER]
    assert "This annex lists" in found[LONGER]


def test_a_file_of_more_than_64_mib_is_read(run: Cli) -> None:
    """What a refetch takes, every later step takes."""
    assert texts(run)[BIG].count("A map of the valley") == 3


def test_why_shows_what_a_server_said(run: Cli) -> None:
    """Of a file that did not come back the cause is shown, and what was made of what there was."""
    said = run("why", "runs/finepdf", DEAD).stdout
    assert "refetch/http_404" in said
