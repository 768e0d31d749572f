"""`curate why`: the way of a record through a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.cli import main
from curate.explain.run_files import StageFiles
from curate.explain.show import Reader

from .conftest import Cli, write_input
from .explained_runs import hostile_run, sample_run


@pytest.fixture(scope="module")
def run() -> Path:
    """A finished run of FineWeb's pipeline on the sample."""
    return sample_run()


def why(run: Path, query: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    """Ask as a program does."""
    assert main(["why", str(run), query, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def told(run: Path, query: str, capsys: pytest.CaptureFixture[str], code: int = 0) -> str:
    """Ask as a person does."""
    assert main(["why", str(run), query]) == code
    return capsys.readouterr().out


def test_a_kept_page_is_followed_into_the_dataset(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The answer names the source, what was measured, and the row of the published file."""
    (page,) = Reader(str(run)).kept(limit=1)
    entries = why(run, page.url or "", capsys)
    assert [entry["stage"] for entry in entries] == [
        "extract", "filter", "minhash_deduped", "publish", "dataset",
    ]  # fmt: skip
    first, filtered, last = entries[0], entries[1], entries[-1]
    assert first["file"].endswith(".warc.gz") and first["offset"] >= 0
    assert first["document"]["language"] == "en"
    assert first["characters"] >= filtered["characters"] > 0
    words = next(one for one in filtered["values"] if one["setting"] == "min_words")
    assert words["passed"] and words["value"] >= words["threshold"] == 50
    assert last["outcome"] == "published"
    row = pq.read_table(last["file"]).slice(last["row"], 1).to_pylist()[0]
    assert row["id"] == page.id and row["text"] == page.text


@pytest.mark.parametrize(
    "reason",
    [
        "url/hard_word",
        "warc/not_html",
        "extract/no_text",
        "language/other_language",
        "gopher_repetition",
        "gopher_quality",
        "c4_quality",
        "fineweb_quality",
    ],
)
def test_a_dropped_page_says_by_which_rule(
    run: Path, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each kind of drop ends the way with its reason and, for a measure, value and threshold."""
    (page,) = Reader(str(run)).dropped(reason, limit=1)
    entries = why(run, page.id, capsys)
    last = entries[-1]
    assert (last["outcome"], last["reason"]) == ("dropped", page.reason)
    assert (last["measured"], last["threshold"]) == (page.value, page.threshold)
    assert str(page.reason) in told(run, page.id, capsys)
    failing = [value["reason"] for value in last["values"] if not value["passed"]]
    if page.value is not None and last["values"]:
        assert any(one.partition("/")[0] == last["step"] for one in failing)


def test_a_duplicate_names_the_page_that_stands_for_it(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The URL of the page kept instead is given, with what differs, and can be asked for."""
    (page,) = Reader(str(run)).dropped("duplicate", limit=1)
    last = why(run, page.id, capsys)[-1]
    assert last["duplicate"]["of_url"] and last["duplicate"]["cluster_size"] >= 2
    assert isinstance(last["duplicate"]["difference"], list)
    assert 0.5 < last["duplicate"]["similarity"] <= 1
    assert last["duplicate"]["of_url"] in told(run, page.id, capsys)
    original = why(run, last["duplicate"]["of_id"], capsys)
    assert original[-1]["outcome"] == "published"


def test_a_failed_record_tells_its_error(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message is the one that was recorded."""
    (page,) = Reader(str(run)).failed(limit=1)
    last = why(run, page.id, capsys)[-1]
    assert last["outcome"] == "failed" and last["message"] == page.message
    assert str(page.message) in told(run, page.id, capsys)


def test_a_page_that_was_never_crawled_is_told_apart(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1, and pages of the same host are named."""
    text = told(run, "https://docs.python.org/3/no-such-page.html", capsys, code=1)
    assert "No record" in text and "https://docs.python.org/3.11/" in text
    assert main(["why", str(run), "https://nowhere.example/", "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == []


def test_a_url_is_found_as_people_write_it(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Scheme, "www." and the last slash may be left out; so may the marks around an id."""
    (page,) = Reader(str(run)).kept(limit=1)
    assert page.url
    asked = [page.url.removeprefix("https://"), f"{page.url}/", page.url.split("//")[1].upper()]
    asked += [page.id.removeprefix("<urn:uuid:").rstrip(">"), page.url[8:-1]]
    for query in asked:
        assert page.id in {entry.get("id") for entry in why(run, query, capsys)}, query


def test_a_part_that_many_share_is_limited(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The first few are told, and that there are more."""
    assert main(["why", str(run), "sqlite.org", "--limit", "2", "--json"]) == 0
    captured = capsys.readouterr()
    assert len({entry["id"] for entry in json.loads(captured.out) if "id" in entry}) == 2
    assert main(["why", str(run), "sqlite.org", "--limit", "2"]) == 0
    assert "more than 2 records match" in capsys.readouterr().err


def test_units_that_come_later_are_found(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The index made by a first question grows with the run."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy, ignore=shutil.ignore_patterns("index"))
    (first,) = copy.glob("stages/extract-*/sample-00001-*.json")
    (page,) = [p for p in Reader(str(copy)).kept(limit=90) if p.unit.startswith("sample-00001")][:1]
    hidden = first.rename(tmp_path / first.name)
    assert main(["why", str(copy), page.id, "--json"]) == 1
    hidden.rename(first)
    capsys.readouterr()
    assert why(copy, page.id, capsys)[-1]["outcome"] == "published"


def test_a_file_without_records_hides_no_other(cli: Cli) -> None:
    """Its part of the index is empty; the records of the other files are found all the same."""
    cli("run", "toy.py")
    (cli.folder / "in" / "empty.jsonl").touch()
    cli("run", "toy.py")
    assert "in/a.jsonl" in cli("why", "runs/toy", "a-0").stdout
    assert "No record" in cli("why", "runs/toy", "empty-0", code=1).stdout


@pytest.mark.parametrize("damage", [b"[{", b"{}", b"[[]]", b"\xff", 0, 8, None])
def test_a_damaged_index_is_made_again(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], damage: bytes | int | None
) -> None:
    """It holds nothing that the run's other files do not."""
    copy = tmp_path / "run"
    shutil.copytree(run, copy)
    (page,) = list(Reader(str(copy)).kept(limit=1))
    why(copy, page.id, capsys)
    catalog = copy / "index/catalog.json"
    segment = next(catalog.parent.glob("*.keys"))
    if damage is None:
        segment.unlink()
    elif isinstance(damage, int):
        segment.write_bytes(segment.read_bytes()[:damage])
    else:
        catalog.write_bytes(damage)
    assert why(copy, page.id, capsys)[-1]["outcome"] == "published"
    assert json.loads(catalog.read_text())


def test_a_file_without_duplicates_is_followed_too() -> None:
    """Its unit has another name in the stage that removes duplicates."""
    record = {
        "name": "deduped",
        "fingerprint": "f",
        "folder": "stages/deduped-f",
        "source": ["filter"],
        "units": ["a-0123456789-abcdef0123", "b-0123456789-none"],
    }
    stage = StageFiles("run", record)
    assert stage.of_source("a-0123456789") == "a-0123456789-abcdef0123"
    assert stage.of_source("b-0123456789") == "b-0123456789-none"
    assert stage.of_source("c-0123456789") is None


@pytest.mark.parametrize("command", [["why", "x"], ["show"], ["report"], ["tune", "--keep", "0.5"]])
def test_a_folder_without_a_run_is_refused(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message says what to give."""
    assert main([command[0], str(tmp_path), *command[1:]]) == 2
    told = capsys.readouterr().err
    assert "no run here" in told and "runs/fineweb" in told


def test_an_empty_question_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """It would match every record."""
    with pytest.raises(SystemExit):
        main(["why", "runs/fineweb", " "])
    assert "give a URL, an id" in capsys.readouterr().err


def test_crawled_text_does_nothing_to_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Escapes, NUL bytes and direction marks of ids and URLs are spelled out."""
    text = told(hostile_run(), "x.example", capsys)
    assert "␛[2J" in text and "[RLO]" in text
    assert not set(text) & {"\x1b", "\x00", "\x9b", "\u202e"}


def test_a_record_of_a_unit_that_was_given_up_is_told_so(cli: Cli) -> None:
    """The answer does not end where the record was kept, as if it were in the dataset."""
    write_input(cli.folder, "d", ["this text is long enough", "fail while the flag is there"])
    (cli.folder / "flag").touch()
    cli("run", "toy.py", code=1)
    *_, last = json.loads(cli("why", "runs/toy", "d-0", "--json").stdout)
    assert (last["stage"], last["outcome"]) == ("filter", "given up")
    assert "filter  given up   with its unit: the worker ended with exit code 7" in (
        cli("why", "runs/toy", "d-0").stdout
    )
