"""The dataset's card and its Croissant metadata."""

from __future__ import annotations

import json
from pathlib import Path

import mlcroissant
import pyarrow.parquet as pq
import pytest
import yaml

from curate.dataset import DatasetStage
from curate.plan import Plan
from curate.report.card import card
from curate.report.croissant import croissant
from curate.report.published import count
from curate.status import read_status

from .conftest import ROOT, Cli
from .explained_runs import lengths_run, sample_run


@pytest.fixture(scope="module")
def run() -> Path:
    """A finished run of FineWeb's pipeline on the sample."""
    return sample_run()


def test_the_front_matter_is_what_the_hub_reads(run: Path) -> None:
    """Language, licence, size and files; YAML that parses."""
    _, front, _ = (run / "dataset" / "README.md").read_text().split("---\n", 2)
    facts = yaml.safe_load(front)
    assert facts["language"] == ["en"] and facts["license"] == "other"
    assert facts["size_categories"] == ["n<1K"]
    (config,) = facts["configs"]
    (split,) = config["data_files"]
    assert len(list((run / "dataset").glob(split["path"]))) == 1


def test_the_card_tells_what_was_done_and_what_came_of_it(run: Path) -> None:
    """Funnel, languages, hosts, tokens, settings, limits and terms, from the run itself."""
    text = (run / "dataset" / "README.md").read_text()
    table = pq.read_table(run / "dataset" / "data")
    tokens = sum(table.column("token_count").to_pylist())
    assert f"{len(table):,} documents" in text and f"{tokens:,} tokens" in text
    stages = read_status(str(run)).stages
    for stage in stages:
        assert stage.fingerprint in text
        for step in stage.total.steps:
            assert f"| {stage.name} | {step.name} | {step.entered:,} | {step.kept:,} |" in text
            assert all(f"`{step.name}/{reason}`" in text for reason in step.dropped)
    for told in ("debian-handbook.info", "| en |", "Known limits", "terms of use", "min_words"):
        assert told in text, told
    assert "curate run pipelines/fineweb.py --out runs/fineweb\n" in text
    assert "encoder.json sha256:" in text and str(run) not in text


def test_mlcroissant_reads_the_dataset(run: Path) -> None:
    """The metadata is valid, and its records are the published documents."""
    path = run / "dataset" / "croissant.json"
    dataset = mlcroissant.Dataset(str(path))
    assert not dataset.metadata.issues.errors
    records = list(dataset.records("documents"))
    ids = pq.read_table(run / "dataset" / "data").column("id").to_pylist()
    assert [record["documents/id"].decode() for record in records] == ids
    assert all(isinstance(record["documents/token_count"], int) for record in records)
    (file,) = [one for one in json.loads(path.read_text())["distribution"] if "sha256" in one]
    assert (path.parent / file["contentUrl"]).stat().st_size == int(file["contentSize"].split()[0])


def test_lists_are_arrays_in_croissant() -> None:
    """Columns such as page_ends are described as what they are."""
    metadata = croissant("pdfs", "Texts.", {"page_ends": "list<int64>", "is_cut": "bool"}, [])
    first, second = metadata["recordSet"][0]["field"]
    assert (first["dataType"], first["isArray"], first["arrayShape"]) == ("sc:Integer", True, "-1")
    assert second["dataType"] == "sc:Boolean" and "isArray" not in second


def test_hosts_cannot_break_the_card(run: Path) -> None:
    """What was crawled stays in its cell and is no markup."""
    plan = Plan(str(ROOT / "pipelines" / "fineweb.py"), {}, str(run))
    assert isinstance(plan.stages[-1].stage, DatasetStage)
    published = count(plan)
    published.hosts["a|b<script>`\x1b\n# owned"] = 1_000
    text = card(plan, read_status(str(run)), published)
    assert "| a\\|b&lt;script>'␛ # owned | 1,000 |" in text
    assert "\n# owned" not in text and "\x1b" not in text


def test_norwegian_is_a_language_of_the_card(run: Path) -> None:
    """In YAML no is false, and yes, the code of Nyankpa, is true, unless quoted."""
    plan = Plan(str(ROOT / "pipelines" / "fineweb.py"), {}, str(run))
    published = count(plan)
    published.languages |= {"no": 1, "yes": 1}
    text = card(plan, read_status(str(run)), published)
    assert yaml.safe_load(text.split("---\n", 2)[1])["language"] == ["en", "no", "yes"]


def test_a_dataset_without_languages_or_tokens_has_a_card() -> None:
    """What the documents do not hold is left out."""
    text = (lengths_run() / "dataset" / "README.md").read_text()
    assert "## Known limits" in text and " tokens" not in text.split("## What became")[0]


_OWN = """
from curate import Pipeline, Stage
from curate.readers.records import JsonlReader

KEEP = (("language", "list<string>"), ("url", "int64"), ("token_count", "string"))


def pipeline() -> Pipeline:
    return Pipeline("own", output=Stage("load", source=JsonlReader("own.jsonl", keep=KEEP)))
"""


def test_columns_of_another_type_are_published_and_not_counted(cli: Cli) -> None:
    """A column of one's own may be called as one that the card counts."""
    row = {"text": "A text.", "language": ["en", "de"], "url": 7, "token_count": "three"}
    (cli.folder / "own.jsonl").write_text(json.dumps(row))
    (cli.folder / "own.py").write_text(_OWN)
    assert "report.html" in cli("run", "own.py").stdout
    out = cli.folder / "runs" / "own"
    assert row.items() <= pq.read_table(out / "dataset" / "data").to_pylist()[0].items()
    text = (out / "dataset" / "README.md").read_text()
    assert "1 documents, 7 characters of text, in 1 Parquet files" in text
    assert (out / "report.html").is_file()
