"""`curate tune`, and what `--annotate` and `--keep-dropped-text` keep for later questions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from curate.cli import main
from curate.explain.run_files import RunFiles, read_columns
from curate.status import read_status

from .conftest import PIPELINE, Cli, write_input
from .explained_runs import early_run, lengths_run, sample_run

PROSE = "The old house stands on a hill, and that garden was the best of it for all the children. "


def tune(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Ask as a program does."""
    assert main(["tune", str(lengths_run()), *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def min_words(proposal: dict[str, Any]) -> dict[str, Any]:
    """Return the row of the one rule that tells these pages apart."""
    (row,) = [row for row in proposal["rows"] if row["field"] == "min_words"]
    return dict(row)


def test_a_share_to_keep_is_kept_when_the_pipeline_runs_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The threshold proposed for half of the documents keeps half of them."""
    (proposal,) = tune(capsys, "--keep", "0.5")
    assert proposal["would_keep"] == pytest.approx(0.5, abs=0.05)
    row = min_words(proposal)
    assert row["threshold"] == 50 and row["proposed"] > 100
    (total,) = [
        stage.total
        for stage in read_status(str(lengths_run(int(row["proposed"])))).stages
        if stage.name == "filter"
    ]
    assert total.kept / total.entered == pytest.approx(proposal["would_keep"])


def test_other_rules_stay_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """What drops nothing now is not made stricter to reach the share."""
    (proposal,) = tune(capsys, "--keep", "0.5")
    changed = {row["field"] for row in proposal["rows"] if row["proposed"] is not None}
    assert changed == {"min_words"}
    words = int(min_words(proposal)["proposed"])
    assert proposal["snippet"] == f"GopherQualityFilter(min_words={words}),"


def test_good_texts_say_where_a_threshold_belongs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It goes below nearly all of them, and above what only the run holds."""
    good = tmp_path / "good.parquet"
    pq.write_table(pa.table({"text": [PROSE * (8 + n % 5) for n in range(100)]}), good)
    (proposal,) = tune(capsys, "--reference", str(good))
    assert proposal["reference_kept"] >= 0.9
    lowest = 8 * len(PROSE.split())
    assert lowest - 20 < min_words(proposal)["proposed"] <= lowest
    assert proposal["would_keep"] < proposal["kept_now"]


def test_each_language_has_its_own_thresholds(capsys: pytest.CaptureFixture[str]) -> None:
    """As FineWeb-2 does: the same share is kept of each."""
    proposals = {one["value"]: one for one in tune(capsys, "--keep", "0.8", "--by", "language")}
    assert sorted(proposals) == ["en"] or sorted(proposals) == ["de", "en"]
    assert proposals["en"]["would_keep"] == pytest.approx(0.8, abs=0.06)
    assert proposals["en"]["documents"] == 300


def test_stages_before_the_column_is_set_are_passed_over(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """FineWeb's first stage has a filter too, but takes pages that have no language yet."""
    assert main(["tune", str(sample_run()), "--keep", "0.2", "--by", "language", "--json"]) == 0
    assert {one["stage"] for one in json.loads(capsys.readouterr().out)} == {"filter"}


def test_a_person_gets_a_table_and_a_snippet(capsys: pytest.CaptureFixture[str]) -> None:
    """Rules with what they drop now and would drop, and the line for the pipeline file."""
    assert main(["tune", str(lengths_run()), "--keep", "0.5"]) == 0
    told = capsys.readouterr().out
    assert "too_few_words" in told and "would drop" in told
    assert "would keep 5" in told or "would keep 4" in told
    assert "GopherQualityFilter(min_words=" in told


def test_a_line_for_the_pipeline_file_has_what_the_filter_was_given(cli: Cli) -> None:
    """Put in its place it changes the thresholds alone: the rules stay those of v1."""
    (cli.folder / "toy.py").write_text(
        "from curate.filters.gopher import GopherQualityFilter as Gopher\n"
        + PIPELINE.replace("MinLength(min_chars)", "Gopher(min_words=min_chars, rules='v1')")
    )
    write_input(cli.folder, "d", [PROSE * number for number in range(1, 81)])
    cli("run", "toy.py", "-p", "paths=in/d.jsonl")
    told = cli("tune", "runs/toy", "--keep", "0.5").stdout
    assert re.search(r"^GopherQualityFilter\(rules='v1', min_words=\d+\),$", told, re.MULTILINE)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--reference", "nowhere.parquet"], "nowhere.parquet"),
        (["--keep", "0.5", "--by", "colour"], "have no such column"),
        (["--keep", "0.5", "--stage", "load"], "Run the pipeline with --annotate"),
        (["--keep", "0.5", "--stage", "typo"], "There are: load, filter"),
    ],
)
def test_what_cannot_be_answered_says_why(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to give instead."""
    assert main(["tune", str(lengths_run()), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_annotate_measures_every_document() -> None:
    """Without it, the first 200 of each unit are measured and then one in 16."""

    def measured(run: Path) -> tuple[int, int]:
        (path,) = RunFiles(str(run)).stage("filter").decisions.values()
        column = read_columns(path, ("measures",)).column(0)
        return len(column) - column.null_count, len(column)

    assert measured(lengths_run()) == (600, 600)
    some, every = measured(lengths_run(annotate=False))
    assert every == 600 and 220 < some < 230


@pytest.mark.parametrize(("keep_text", "texts"), [(False, 50), (True, 80)])
def test_texts_of_dropped_documents_are_kept_when_asked(
    keep_text: bool, texts: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """All of them with --keep-dropped-text; else fifty of each reason, chosen by hash."""
    run = early_run(keep_text)
    assert main(["show", str(run), "--dropped", "too_few_words", "--limit", "80", "--json"]) == 0
    pages = json.loads(capsys.readouterr().out)
    assert len(pages) == 80
    assert sum(page["text"] is not None for page in pages) == texts


def test_what_is_asked_for_later_changes_no_published_byte() -> None:
    """Measuring all documents publishes the same documents."""
    tables = [
        pq.read_table(run / "dataset" / "data").drop(["file_path"])
        for run in (lengths_run(), lengths_run(annotate=False))
    ]
    assert tables[0].equals(tables[1]) and len(tables[0]) > 500
