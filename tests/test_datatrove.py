"""datatrove's blocks among our steps, and our steps in datatrove's pipelines."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datatrove.executor.local import LocalPipelineExecutor
from datatrove.pipeline.extractors import Trafilatura
from datatrove.pipeline.filters import (
    C4BadWordsFilter,
    C4ParagraphFilter,
    C4QualityFilter,
    FineWebQualityFilter,
    GopherQualityFilter,
    GopherRepetitionFilter,
    LambdaFilter,
    RegexFilter,
    SamplerFilter,
)
from datatrove.pipeline.filters.base_filter import BaseFilter
from datatrove.pipeline.formatters import FTFYFormatter, PIIFormatter, SymbolLinesFormatter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter

from curate.document import Document
from curate.errors import DefinitionError, DocumentError
from curate.extract.html import TrafilaturaExtractor
from curate.interop.datatrove import DatatroveStep, as_datatrove
from curate.steps import Annotator, Drop, Filter

PROSE = "The bees of the valley have been early this year, and that is a problem for the trees. "
PAGE = f"<html><body><nav><a href='/'>Home</a></nav><p>{PROSE * 3}</p></body></html>"


def apply(step: DatatroveStep, text: str, **metadata: Any) -> tuple[Drop | None, Document]:
    """Run a step on a text."""
    doc = Document("1", text, metadata)
    return step.apply(doc), doc


@pytest.mark.parametrize(
    ("block", "text", "reason"),
    [
        (GopherQualityFilter(), PROSE * 10, None),
        (GopherQualityFilter(), PROSE, "gopher_short_doc"),
        (GopherQualityFilter(min_doc_words=5), PROSE, None),
        (GopherRepetitionFilter(), "a line\n" * 20, "dup_line_frac"),
        (C4QualityFilter(), PROSE + "Lorem ipsum.", "lorem_ipsum"),
        (C4ParagraphFilter(), PROSE, "3_paragraphs"),
        (RegexFilter("valley"), PROSE, "rejected"),
    ],
)
def test_a_filter_drops_for_its_own_reason(block: Any, text: str, reason: str | None) -> None:
    drop, _ = apply(DatatroveStep(block), text)
    assert drop == (reason and Drop(reason))


def test_a_filter_may_rewrite_the_text() -> None:
    block = C4QualityFilter(filter_no_terminal_punct=False, min_num_sentences=1)
    drop, doc = apply(DatatroveStep(block), PROSE.strip() + "[12]\ntoo short")
    assert (drop, doc.text) == (None, PROSE.strip())


def test_a_formatter_rewrites_the_text() -> None:
    _, doc = apply(DatatroveStep(FTFYFormatter()), "schÃ¶n")
    assert doc.text == "schön"
    _, doc = apply(DatatroveStep(SymbolLinesFormatter(["|"], "-")), "a\n|\nb")
    assert doc.text == "a\n-\nb"


def test_an_extractor_makes_text_of_the_payload() -> None:
    step = DatatroveStep(Trafilatura())
    page = PAGE.replace("valley", "vallée")
    doc = Document("1", metadata={"charset": "windows-1252"}, payload=page.encode("cp1252"))
    assert step.apply(doc) is None
    assert (doc.text, doc.payload) == ((PROSE * 3).replace("valley", "vallée").strip(), None)
    assert step.apply(Document("2", payload=b"<html><body></body></html>")) == Drop("no_text")


class Scoring(BaseFilter):  # type: ignore[misc]
    """A user's own filter that sets metadata."""

    name = "scoring"

    def filter(self, doc: Any) -> bool:
        doc.metadata["score"] = len(doc.text) / 10
        return "language" not in doc.metadata


def test_metadata_that_a_block_sets_is_kept() -> None:
    step = DatatroveStep(Scoring(), columns={"score": "double"})
    drop, doc = apply(step, "four", url="https://example.org/", language=None)
    assert drop is None
    assert doc.metadata == {"url": "https://example.org/", "language": None, "score": 0.4}
    assert DatatroveStep(Scoring(), columns=(("score", "double"),)).columns == step.columns  # type: ignore[arg-type]


def test_each_document_is_the_first() -> None:
    """Blocks that remember would make a document depend on those before it."""
    mail = DatatroveStep(PIIFormatter())
    alone = "email@example.com and firstname.lastname@example.org"
    for _ in range(3):
        assert apply(mail, "a@b.org and c@d.org")[1].text == alone
        assert apply(mail, "x@y.org")[1].text == "email@example.com"
    page = DatatroveStep(Trafilatura(deduplicate=True))
    for number in range(6):
        assert page.apply(Document(str(number), payload=PAGE.encode())) is None


def test_random_numbers_are_those_of_the_document() -> None:
    step = DatatroveStep(SamplerFilter(rate=0.5))
    docs = [Document(str(number)) for number in range(200)]
    kept = {doc.id for doc in docs if step.apply(doc) is None}
    assert 60 < len(kept) < 140
    again = DatatroveStep(SamplerFilter(rate=0.5))
    assert {doc.id for doc in reversed(docs) if again.apply(doc) is None} == kept
    other = DatatroveStep(SamplerFilter(rate=0.5), seed=1)
    assert {doc.id for doc in docs if other.apply(doc) is None} != kept


class Downloading(BaseFilter):  # type: ignore[misc]
    """A filter whose list cannot be downloaded."""

    def filter(self, doc: Any) -> bool:
        urllib.request.urlopen("http://127.0.0.1:9/list")
        return True


def test_what_cannot_be_downloaded_stops_the_run_and_says_so() -> None:
    """Instead of failing one document after the other."""
    with pytest.raises(DefinitionError, match="downloading: the block cannot load what it needs"):
        apply(DatatroveStep(Downloading()), "a text")


def test_a_document_that_a_block_cannot_process_fails_alone() -> None:
    with pytest.raises(DocumentError, match="not badwords list available"):
        apply(DatatroveStep(C4BadWordsFilter()), "a text", language="xx")


@pytest.mark.parametrize("block", [ParquetReader("."), ParquetWriter("/tmp"), "a filter", None])
def test_other_blocks_are_refused(block: object) -> None:
    with pytest.raises(DefinitionError, match="no datatrove filter, formatter or extractor"):
        DatatroveStep(block)


def long_enough(doc: Any) -> bool:
    """Keep texts of ten characters."""
    return len(doc.text) >= 10


IDENTITIES = """
import json
from datatrove.pipeline.filters import *
from datatrove.pipeline.formatters import *
from datatrove.pipeline.extractors import Trafilatura
from curate.interop.datatrove import DatatroveStep
from tests.test_datatrove import long_enough
blocks = [C4BadWordsFilter(), C4QualityFilter(), FineWebQualityFilter(), GopherQualityFilter(),
    GopherRepetitionFilter(), RegexFilter("a.c"), SamplerFilter(0.1), FTFYFormatter(),
    PIIFormatter(), SymbolLinesFormatter(), Trafilatura(), LambdaFilter(long_enough)]
print(json.dumps([DatatroveStep(block).identity() for block in blocks]))
"""


def test_the_identity_is_the_same_in_every_process() -> None:
    """Sets have another order in each; a run is resumed only under the same fingerprint."""
    found = {
        subprocess.run(
            [sys.executable, "-c", IDENTITIES],
            env={"PYTHONHASHSEED": seed, "PATH": "/usr/bin:/bin"},
            cwd=Path(__file__).parent.parent,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1
    assert len(json.loads(found.pop())) == 12


@pytest.mark.parametrize(
    ("block", "other"),
    [
        (GopherQualityFilter(), GopherQualityFilter(min_stop_words=3)),
        (GopherQualityFilter(), GopherQualityFilter(stop_words=["a"])),
        (GopherQualityFilter(), GopherRepetitionFilter()),
        (FineWebQualityFilter(), FineWebQualityFilter(stop_chars=(".",))),
        (RegexFilter("a"), RegexFilter("b")),
        (PIIFormatter(), PIIFormatter(email_replacement="x")),
        (PIIFormatter(), PIIFormatter(only_remove_public_ips=False)),
        (Trafilatura(), Trafilatura(include_tables=False)),
        (LambdaFilter(long_enough), LambdaFilter(apply)),
    ],
    ids=lambda block: type(block).__name__,
)
def test_another_setting_is_another_identity(block: Any, other: Any) -> None:
    assert DatatroveStep(block).identity() != DatatroveStep(other).identity()
    used = DatatroveStep(block)
    before = json.dumps(used.identity())
    if isinstance(block, BaseFilter) and not isinstance(block, LambdaFilter):
        apply(used, PROSE)
    assert json.dumps(used.identity()) == before


def test_a_lambda_is_refused_because_its_change_would_not_be_seen() -> None:
    with pytest.raises(DefinitionError, match="instead of a lambda"):
        DatatroveStep(LambdaFilter(lambda doc: True))


def test_versions_are_part_of_the_identity() -> None:
    versions = DatatroveStep(Trafilatura()).library_versions()
    assert versions["datatrove"].startswith("0.10") and versions["trafilatura"] == "2.3.1"


@dataclass(frozen=True)
class MaxLength(Filter):
    """One of our filters: drops long texts and cannot process some."""

    name = "max_length"
    reasons = ("too_long",)
    max_chars: int = 10

    def reject(self, doc: Document) -> Drop | None:
        if doc.text == "odd":
            raise DocumentError("odd_text")
        return Drop("too_long", len(doc.text), self.max_chars) if len(doc.text) > 10 else None


@dataclass(frozen=True)
class Length(Annotator):
    """One of our annotators."""

    name = "length"
    columns = {"length": "int64"}

    def annotate(self, doc: Document) -> None:
        doc.metadata["length"] = len(doc.text)


def read(folder: Path) -> list[dict[str, Any]]:
    """Read all documents of a folder, ordered by id."""
    rows = [row for file in folder.glob("*.parquet") for row in pq.read_table(file).to_pylist()]
    return sorted(rows, key=lambda row: str(row["id"]))


def test_our_steps_run_in_a_datatrove_pipeline(tmp_path: Path) -> None:
    """With two tasks in worker processes of datatrove's own."""
    (tmp_path / "in").mkdir()
    texts = {"0": "short", "1": "odd", "2": "much too long", "3": "fine"}
    for name in ("a", "b"):
        rows = [{"id": f"{name}{i}", "text": t, "n": int(i)} for i, t in texts.items()]
        pq.write_table(pa.Table.from_pylist(rows), tmp_path / "in" / f"{name}.parquet")
    executor = LocalPipelineExecutor(
        pipeline=[
            ParquetReader(str(tmp_path / "in")),
            as_datatrove(MaxLength(), exclusion_writer=ParquetWriter(str(tmp_path / "no"))),
            as_datatrove(Length()),
            ParquetWriter(str(tmp_path / "out")),
        ],
        tasks=2,
        workers=2,
        logging_dir=str(tmp_path / "logs"),
    )
    stats = executor.run().stats[1]
    kept = read(tmp_path / "out")
    assert [row["id"] for row in kept] == ["a0", "a3", "b0", "b3"]
    assert [row["metadata"]["length"] for row in kept] == [5, 4, 5, 4]
    assert [(row["id"], row["metadata"]["filter_reason"]) for row in read(tmp_path / "no")] == [
        ("a1", "max_length/odd_text"),
        ("a2", "max_length/too_long"),
        ("b1", "max_length/odd_text"),
        ("b2", "max_length/too_long"),
    ]
    counts = {name: stat.total for name, stat in stats.stats.items()}
    assert counts["total"] == 8 and counts["forwarded"] == 4
    assert counts["dropped"] == counts["dropped_too_long"] == 2
    assert counts["failed"] == counts["failed_odd_text"] == 2


def test_our_extractor_runs_in_a_datatrove_pipeline(tmp_path: Path) -> None:
    row = {"id": "1", "text": PAGE, "charset": "koi8-r"}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "in.parquet")
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(str(tmp_path), glob_pattern="in.parquet"),
            as_datatrove(TrafilaturaExtractor()),
            ParquetWriter(str(tmp_path / "out")),
        ],
        logging_dir=str(tmp_path / "logs"),
    ).run()
    (kept,) = read(tmp_path / "out")
    assert kept["text"] == (PROSE * 3).strip()
    assert kept["metadata"]["charset"] == "koi8-r"


def test_curate_does_not_import_datatrove() -> None:
    code = "import sys, curate, curate.cli; sys.exit('datatrove' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
