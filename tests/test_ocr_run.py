"""Runs with OCR: the budget of pages, what is counted, and what is never done twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.ocr.page_reader import PageReader, page_url

from .conftest import Cli, manifest_times
from .openai_server import OpenAiServer, name_of, serving
from .scans import LINES, empty, pdf, text_page

PIPELINE = '''
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from curate import Document, Pipeline, Stage
from curate.steps import Step
from curate.ocr.endpoint import Endpoint
from curate.ocr.stages import ocr
from curate.ocr.step import OcrStep
from curate.readers.records import JsonlReader
from curate.pages import set_pages


@dataclass(frozen=True)
class Extracted(Step):
    name = "extract"
    columns = {
        "page_ends": "list<int64>", "ocr_pages": "list<int64>",
        "payload_digest": "string", "extractor": "string",
    }

    def apply(self, doc: Document) -> None:
        digest, count = doc.text.split()
        set_pages(doc, ["layer "] * int(count))
        doc.metadata.update(
            ocr_pages=list(range(1, int(count))), payload_digest=digest, extractor="liteparse"
        )


@dataclass(frozen=True)
class Load(Step):
    name = "load"

    def apply(self, doc: Document) -> None:
        doc.payload = Path("scan.pdf").read_bytes()


def pipeline(paths: str = "in/*.jsonl", budget: int = -1, url: str = "") -> Pipeline:
    """Read pages within a budget."""
    extracted = Stage("extract", source=JsonlReader(paths), steps=(Extracted(),))
    endpoint = Endpoint(url, "reducto/RolmOCR")
    step = OcrStep(load=Load(), engine="endpoint", endpoint=endpoint)
    read = ocr(extracted, step, budget_pages=None if budget < 0 else budget)
    return Pipeline("scans", output=read, columns=("id", "text", "ocr_done", "ocr_skipped"))
'''


@pytest.fixture
def server() -> Iterator[OpenAiServer]:
    """An endpoint."""
    with serving("name") as running:
        yield running


def scans(folder: Path, per_file: int) -> None:
    """Write a pipeline, a PDF, and six documents of three pages, two of them to read."""
    (folder / "scans.py").write_text(PIPELINE)
    (folder / "scan.pdf").write_bytes(
        pdf(empty, text_page(*LINES[:2]), text_page(*LINES[1:]), scanned=True)
    )
    (folder / "in").mkdir()
    for first in range(0, 6, per_file):
        rows = [
            json.dumps({"id": f"doc{i}", "text": f"sha1:{i * 7919:032d} 3"})
            for i in range(first, min(first + per_file, 6))
        ]
        (folder / "in" / f"{first:02d}.jsonl").write_text("\n".join(rows) + "\n")


def names_of(path: Path, pages: tuple[int, ...]) -> list[str]:
    """Return what a server of the mood "name" reads on pages of a PDF."""
    reader = PageReader("image", "pymupdf", 150.0, (), 60.0)
    payload = path.read_bytes()
    return [name_of(reader.extract(payload, page_url(page)).text) for page in pages]


def published(folder: Path) -> list[dict[str, Any]]:
    """Return the published documents, by id."""
    paths = sorted((folder / "runs/scans/dataset/data").rglob("*.parquet"))
    rows = [row for path in paths for row in pq.read_table(path).to_pylist()]
    return sorted(rows, key=lambda row: row["id"])


# In the order of a hash of their digests, which no later version may change.
READ = {"doc0": [1], "doc1": [1, 2], "doc2": [], "doc3": [], "doc4": [1, 2], "doc5": []}


def check(folder: Path, read: dict[str, list[int]]) -> None:
    """See that these pages of these documents were read, and the others kept what they had."""
    names = dict(zip((1, 2), names_of(folder / "scan.pdf", (1, 2)), strict=True))
    rows = published(folder)
    assert {row["id"]: row["ocr_done"] or [] for row in rows} == read
    for row in rows:
        pages = read[row["id"]]
        assert row["ocr_skipped"] == [page for page in (1, 2) if page not in pages]
        texts = [names[page] if page in pages else "layer " for page in (1, 2)]
        assert row["text"] == "layer " + "".join(texts)


def test_a_budget_is_spent_on_whole_documents_and_what_is_left_on_a_part(
    tmp_path: Path, server: OpenAiServer
) -> None:
    """The table tells how many pages were read, and what that cost."""
    scans(tmp_path, 6)
    cli = Cli(tmp_path)
    done = cli("run", "scans.py", "-p", f"url={server.url}", "-p", "budget=5", "--workers", "1")
    check(tmp_path, READ)
    steps = {step["name"]: step for step in cli.status("runs/scans")["ocr"]["steps"]}
    pages = steps["ocr_pages"]
    assert (pages["in"], pages["kept"], pages["dropped"]) == (12, 5, {"over_budget": 7})
    assert steps["ocr_tokens_in"]["in"] == 5 * 1500
    assert steps["ocr_tokens_out"]["in"] > 0
    assert "ocr_tokens_in" in done.stdout
    cli("verify", "runs/scans")


def test_a_budget_reads_the_same_pages_in_other_files_after_a_kill_and_when_documents_come(
    tmp_path: Path, server: OpenAiServer
) -> None:
    """And asks for no page twice: all documents here have the same two pages."""
    scans(tmp_path, 2)
    run = ["run", "scans.py", "-p", f"url={server.url}", "-p", "budget=5", "--workers", "2"]
    cli = Cli(tmp_path)
    server.moods = ["hang"]
    process = cli.start(*run)
    with server.lock:
        assert server.lock.wait_for(lambda: server.asked, 60)
    process.kill()
    process.communicate()
    server.moods = ["name"]
    cli(*run)
    check(tmp_path, READ)
    asked, before = len(server.asked), manifest_times(tmp_path, "ocr", "runs/scans")
    row = {"id": "doc6", "text": f"sha1:{6 * 7919:032d} 3"}
    (tmp_path / "in" / "6.jsonl").write_text(json.dumps(row) + "\n")
    cli(*run)
    # The last in the order of hashes; only its unit is done.
    check(tmp_path, {**READ, "doc6": []})
    assert len(server.asked) == asked
    after = manifest_times(tmp_path, "ocr", "runs/scans")
    assert len(after) == len(before) + 1
    assert before.items() <= after.items()
