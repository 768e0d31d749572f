"""`curate show`: documents to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.cli import main
from curate.explain.marks import marked_lines
from curate.explain.safe_text import one_line, visible

from .conftest import Cli
from .explained_runs import HOSTILE, hostile_run, sample_run


@pytest.fixture(scope="module")
def run() -> Path:
    """A finished run of FineWeb's pipeline on the sample."""
    return sample_run()


def show(run: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    """Ask as a program does."""
    assert main(["show", str(run), *arguments, "--json"]) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_kept_documents_have_their_text(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many as asked for, of the last stage or of one that is named."""
    pages = show(run, capsys, "--kept", "--limit", "3")
    assert len(pages) == 3
    assert all(page["text"] and page["stage"] == "publish" for page in pages)
    assert show(run, capsys, "--stage", "filter", "--limit", "1")[0]["stage"] == "filter"


@pytest.mark.parametrize(
    "reason", ["other_language", "gopher_quality/too_few_words", "c4_quality", "duplicate"]
)
def test_dropped_documents_can_be_read(
    run: Path, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also those that the first stage drops, whose text is in no stage's documents."""
    pages = show(run, capsys, "--dropped", reason, "--limit", "3")
    assert pages and all(page["text"] and page["outcome"] == "dropped" for page in pages)
    assert all(reason in page["reason"] for page in pages)


@pytest.mark.parametrize(
    ("choice", "message"),
    [("--dropped", "nothing was dropped for 'typo'"), ("--near", "no measures of 'typo'")],
)
def test_an_unknown_reason_lists_those_there_are(
    run: Path, choice: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that the next try is right."""
    assert main(["show", str(run), choice, "typo"]) == 2
    told = capsys.readouterr().err
    assert message in told and "too_few_words" in told


def test_failed_records_have_a_message(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A record that failed has no text, and says why."""
    assert all(page["message"] for page in show(run, capsys, "--failed"))


def test_near_shows_both_sides_of_a_threshold(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The documents that a small change of the threshold would keep or drop."""
    pages = show(run, capsys, "--near", "too_few_words", "--limit", "6")
    values = [page["value"] for page in pages]
    assert values == sorted(values) and values[2] < 50 <= values[3]
    moved = show(run, capsys, "--near", "too_few_words=500", "--limit", "2")
    assert moved[0]["value"] < 500 <= moved[1]["value"]
    (nearest,) = show(run, capsys, "--near", "too_few_words", "--limit", "1")
    assert nearest["value"] == 50


@pytest.mark.parametrize(
    ("reason", "text", "marks"),
    [
        ("f/duplicate_line_ratio", "one\ntwo\none\n\n\nthree", {2}),
        ("f/top_2_gram", "a b c\nd e\na b f", {0, 2}),
        ("f/duplicate_5_gram", "a b c d e f\nx\na b c d e g", {0, 2}),
        ("f/too_many_bullet_lines", "- one\ntwo\n • three", {0, 2}),
        ("f/too_many_ellipsis_lines", "one…\ntwo\nthree...", {0, 2}),
        ("f/too_few_punctuated_lines", "Title\nA sentence.\n\nAnother", {0, 3}),
        ("f/too_many_short_lines", "short\n" + "long " * 10, {0}),
        ("f/curly_bracket", "a\nfunction() {", {1}),
        ("f/lorem_ipsum", "Lorem Ipsum dolor\nb", {0}),
        ("f/too_few_alphabetic_words", "1 2 3 4\nall of these are words", {0}),
        ("f/too_few_sentences", "Two words\nThis line has more of them.", {0}),
        ("f/too_many_hashes", "# a\nb", {0}),
        ("f/too_few_words", "a\nb", set()),
    ],
)
def test_the_lines_that_a_reason_is_about_are_marked(
    reason: str, text: str, marks: set[int]
) -> None:
    """A reader sees at once what the filter saw; a reason about the whole text marks nothing."""
    assert marked_lines(reason, text) == marks


def test_a_hostile_page_does_nothing_to_the_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Escapes and direction marks are spelled out, long lines cut, and nothing is left out."""
    for choice in (["--kept"], ["--dropped"]):
        assert main(["show", str(hostile_run()), *choice, "--limit", "20"]) == 0
        text = capsys.readouterr().out
        assert "␛]0;owned␇" in text and "[RLO]" in text and "␀" in text
        assert not set(text) & {"\x1b", "\x00", "\x07", "\x9b", "\u202e"}
        assert "<script>" in text  # a terminal is no browser
        assert max(map(len, text.split("\n"))) < 2_000


@pytest.mark.parametrize("text", HOSTILE)
def test_visible_text_has_no_control_characters(text: str) -> None:
    """Line feeds and tabs alone stay."""
    for shown in (visible(text), one_line(text)):
        assert all(char.isprintable() or char in "\n\t" for char in shown)


def test_captures_of_one_id_have_their_own_texts(
    cli: Cli, capsys: pytest.CaptureFixture[str]
) -> None:
    """Dropped by the stage that reads them, each is shown with what it held."""
    file = (cli.folder / "toy.py").read_text()
    file = file.replace("source=loaded, steps", "source=JsonlReader(paths), steps")
    (cli.folder / "toy.py").write_text(file)
    rows = [{"id": "url", "text": "x" * number} for number in (3, 9, 0, 6)]
    (cli.folder / "one.jsonl").write_text("\n".join(json.dumps(row) for row in rows[:2]))
    (cli.folder / "two.jsonl").write_text("\n".join(json.dumps(row) for row in rows[2:]))
    for paths, texts in (("one.jsonl", ["xxx", "xxxxxxxxx"]), ("two.jsonl", [None, None])):
        cli("run", "toy.py", "-p", f"paths={paths}")
        pages = show(cli.folder / "runs/toy", capsys, "--dropped")
        assert [page["text"] for page in pages] == texts
        (page,) = show(cli.folder / "runs/toy", capsys, "--dropped", "--limit", "1")
        assert page["text"] == texts[0]
