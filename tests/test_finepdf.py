"""`curate run pipelines/finepdf.py` on `sample_data/pdf`, as in the README."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from warcio.archiveiterator import ArchiveIterator

from curate.readers.digests import payload_digest

from .conftest import ROOT, Cli, dataset_bytes

PIPELINE = "pipelines/finepdf.py"
# Section 12 of the specification, and the two columns of FinePDFs 1.5.
COLUMNS = {
    "text": "string",
    "id": "string",
    "dump": "string",
    "url": "string",
    "date": "string",
    "file_path": "string",
    "offset": "int64",
    "token_count": "int64",
    "language": "string",
    "page_average_lid": "string",
    "page_average_lid_score": "double",
    "full_doc_lid": "string",
    "full_doc_lid_score": "double",
    "per_page_languages": "list<element: string>",
    "is_truncated": "bool",
    "extractor": "string",
    "page_ends": "list<element: int64>",
    "minhash_cluster_size": "int64",
    "duplicate_count": "int64",
}
BY_OCR = ("letter.pdf", "fonts.pdf")


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A folder with the sample, its pipeline, and a finished run."""
    folder = tmp_path_factory.mktemp("finepdf")
    for name in ("pipelines", "sample_data"):
        (folder / name).symlink_to(ROOT / name)
    cli = Cli(folder)
    cli("run", PIPELINE)
    cli("verify", "runs/finepdf")
    yield cli


def documents(folder: Path, out: str = "runs/finepdf") -> dict[str, dict[str, Any]]:
    """Return the rows of the dataset by the end of their URL."""
    return {
        row["url"].rsplit("/", 2)[-2] + "/" + row["url"].rsplit("/", 1)[-1]: row
        for path in (folder / out / "dataset/data").glob("*/*.parquet")
        for row in pq.read_table(path, partitioning=None).to_pylist()
    }


def rows(folder: Path, stage: str, role: str, out: str = "runs/finepdf") -> list[dict[str, Any]]:
    """Return the rows of a stage's "documents" or "decisions"."""
    manifests = sorted((folder / out / "stages").glob(f"{stage}-*/*.json"))
    names = [json.loads(path.read_text())["files"][role]["name"] for path in manifests]
    return [row for name in names for row in pq.read_table(folder / out / name).to_pylist()]


def test_the_dataset_has_finepdfs_columns(crawl: Cli) -> None:
    """Names, order and types are those of the specification, in a folder per language."""
    data = crawl.folder / "runs/finepdf/dataset/data"
    for path in data.glob("*/*.parquet"):
        table = pq.read_table(path, partitioning=None)
        assert {field.name: str(field.type) for field in table.schema} == COLUMNS
        assert set(table["language"].to_pylist()) == {path.parent.name}
    assert {path.name for path in data.iterdir()} == {
        *("arb_Arab", "cmn_Hani", "deu_Latn", "eng_Latn", "fas_Arab", "fra_Latn", "jpn_Jpan"),
        "rus_Cyrl",
    }


def test_page_ends_are_exact(crawl: Cli) -> None:
    """Each document can be cut into its pages, and the languages of the pages are as many."""
    for row in documents(crawl.folder).values():
        ends = row["page_ends"]
        assert ends == sorted(ends)
        assert ends[-1] == len(row["text"])
        assert len(row["per_page_languages"]) == len(ends)


def test_every_kind_of_file_ends_where_it_should(crawl: Cli) -> None:
    """Copies, HTML, encrypted, corrupt and blank files are told apart; the ledger balances."""
    reasons = {
        row["url"].split("org/")[-1].split("net/")[-1]: row["reason"]
        for stage in ("find", "payload_deduped", "refetch", "extract")
        for row in rows(crawl.folder, stage, "decisions")
        if row["outcome"] != "kept"
    }
    assert reasons["copy-of-one-column.pdf"] == "payload_dedup/duplicate"
    assert reasons["members/report.pdf"] == "pdf_warc/no_pdf_header"
    assert reasons["members/minutes.pdf"] == "extract/encrypted"
    assert reasons["odd/corrupt.pdf"] == "extract/corrupt"
    assert reasons["odd/blank.pdf"] == "extract/no_text"
    assert reasons["large/gone.pdf"] == "refetch/http_404"
    assert reasons["private/paper.pdf"] == "extract/no_text"
    (robots,) = (
        row["reason"]
        for row in rows(crawl.folder, "refetch", "decisions")
        if row["url"].endswith("private/paper.pdf")
    )
    assert robots == "refetch/robots"
    for stage in crawl.status("runs/finepdf").values():
        assert stage["in"] == stage["kept"] + stage["dropped"] + stage["failed"]


def test_cut_files_come_back_byte_for_byte(crawl: Cli) -> None:
    """What a server sends again is the file that was cut; where it sends none, the cut one stays.

    `kept.pdf` and the others are published whole, `gone.pdf` as far as the crawl had it.
    """
    originals: dict[str, bytes] = {}
    with (ROOT / "sample_data/pdf/originals.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream):
            if record.rec_type == "response" and record.http_headers.get_statuscode() == "200":
                body = record.content_stream().read()
                if body.startswith(b"%PDF"):
                    originals[payload_digest(body)] = body
    refetched = [row for row in rows(crawl.folder, "refetched", "documents") if row["refetch"]]
    came_back = [row for row in refetched if row["refetch"] == "fetched"]
    assert len(came_back) == 4
    fetched: set[str] = set()
    for row in came_back:
        with (crawl.folder / row["refetch_path"]).open("rb") as stream:
            stream.seek(row["refetch_offset"])
            record = next(iter(ArchiveIterator(stream)))
            fetched.add(payload_digest(record.content_stream().read()))
    assert fetched <= set(originals)
    assert len(fetched) == 4
    published = documents(crawl.folder)
    assert all(published[name]["is_truncated"] for name in ("large/kept.pdf", "large/gone.pdf"))
    assert len(published["large/gone.pdf"]["text"]) > 1000


def test_scans_and_broken_fonts_are_read_by_ocr(crawl: Cli) -> None:
    """Their words are in the dataset, and the pages that had a good text layer were left alone."""
    published = documents(crawl.folder)
    by_ocr = {name.split("/")[-1] for name, row in published.items() if "+" in row["extractor"]}
    assert by_ocr == set(BY_OCR)
    for name, row in published.items():
        if name.endswith(BY_OCR):
            words = row["text"].lower().split()
            common = sum(word in ("the", "of", "and", "to", "in", "a", "is") for word in words)
            assert common / len(words) > 0.1
            assert row["language"] == "eng_Latn"


def test_scripts_keep_their_order(crawl: Cli) -> None:
    """Right-to-left and CJK text comes out in the order it is read."""
    published = documents(crawl.folder)
    starts = {row["language"]: row["text"] for row in published.values()}
    assert "تعديل إعدادات محمل الإقلاع إذا احتجت لذلك." in starts["arb_Arab"]
    assert starts["jpn_Jpan"].count("の") > 10
    assert starts["cmn_Hani"].count("的") > 10


def test_a_ruled_table_is_markdown(crawl: Cli) -> None:
    """Each cell of a ruled table is one in the text, also of the rows on the next page."""
    text = next(
        row["text"] for name, row in documents(crawl.folder).items() if name.endswith("releases")
    )
    assert "| 3.1 | Sarge | June 2005 | 11 |" in text
    assert "| 10 | Buster | July 2019 | 10 |" in text
    assert sum(line.startswith("| --- ") for line in text.splitlines()) <= 2


def test_killed_and_resumed_by_other_workers_it_is_the_same(crawl: Cli) -> None:
    """Neither SIGKILL at two moments nor the number of workers changes a byte; nor is a file
    fetched twice.
    """
    for marker in ("extract-*/*.json", "clean-*/*.json"):
        process = crawl.start("run", PIPELINE, "--workers", "2", "--out", "killed")
        while process.poll() is None:
            if list((crawl.folder / "killed/stages").glob(marker)):
                process.send_signal(signal.SIGKILL)
                break
        process.communicate()
    crawl("run", PIPELINE, "--workers", "1", "--out", "killed")
    assert dataset_bytes(crawl.folder, "killed") == dataset_bytes(crawl.folder, "runs/finepdf")


def test_languages_are_chosen_and_ocr_is_left_out(crawl: Cli) -> None:
    """`languages` drops the others by name; without OCR a scan has no text, and says so."""
    options = ("-p", "languages=deu_Latn,fra_Latn", "-p", "ocr=off", "-p", "refetch=false")
    crawl("run", PIPELINE, *options, "--out", "two")
    assert {row["language"] for row in documents(crawl.folder, "two").values()} == {
        "deu_Latn",
        "fra_Latn",
    }
    reasons = [row["reason"] for row in rows(crawl.folder, "clean", "decisions", "two")]
    assert reasons.count("language/not_wanted") == len(documents(crawl.folder)) - 2 - 2 - 2


def test_an_index_finds_the_same_files(crawl: Cli) -> None:
    """From the columnar index the same documents come, read record by record."""
    found = rows(crawl.folder, "find", "documents")
    table = {
        "url": [row["url"] for row in found],
        "content_mime_type": [row["mime"] for row in found],
        "content_mime_detected": ["application/pdf" for _ in found],
        "warc_filename": [row["file_path"].removeprefix("sample_data/") for row in found],
        "warc_record_offset": pa.array([row["offset"] for row in found], pa.int32()),
        "warc_record_length": pa.array([row["length"] for row in found], pa.int32()),
        "content_digest": [row["payload_digest"].removeprefix("sha1:") for row in found],
        "content_truncated": [row["truncated_by"] for row in found],
    }
    pq.write_table(pa.table(table), crawl.folder / "index.parquet")
    options = ("-p", "index=index.parquet", "-p", "root=sample_data/", "-p", "ocr=off")
    replay = ("-p", "replay=sample_data/pdf/originals.warc.gz")
    crawl("run", PIPELINE, *options, *replay, "--out", "indexed")
    ours, theirs = documents(crawl.folder), documents(crawl.folder, "indexed")
    without = {name for name in ours if not name.endswith(BY_OCR)}
    assert without <= set(theirs)
    for name in without:
        assert theirs[name]["text"] == ours[name]["text"]


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        (("lid=glotlid",), "lid_model"),
        (("ocr_endpoint=http://localhost:1/v1",), "ocr_engine=endpoint"),
        (("ocr_languages=deu_Latn",), "ocr_engine=tesseract"),
        (("ocr_budget_pages=-5",), "ocr_budget_pages=-5"),
        (("warcs=other.warc.gz",), "contact"),
        (("replay=missing.warc.gz",), "missing.warc.gz"),
        (("refetch=false", "refetch_round=1"), "refetch=true"),
        (("earlier=nowhere",), "nowhere"),
        (("languages=xxx_Xxxx",), "xxx_Xxxx"),
    ],
)
def test_parameters_that_cannot_be_meant_are_refused(
    crawl: Cli, parameters: tuple[str, ...], said: str
) -> None:
    """Nothing that was asked for is left out in silence; the message names it."""
    given = [part for parameter in parameters for part in ("-p", parameter)]
    done = crawl("plan", PIPELINE, *given, code=2)
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


def test_readme_shows_what_the_sample_run_prints(crawl: Cli) -> None:
    """The table in the README is that of this run."""
    crawl.environment["COLUMNS"] = "100"
    table = crawl("status", "runs/finepdf").stdout
    readme = (ROOT / "README.md").read_text()
    for line in table.splitlines():
        assert line.rstrip() in readme
    assert json.loads((crawl.folder / "runs/finepdf/run.json").read_text())["stages"]
