"""`curate run pipelines/fineweb.py` on `sample_data/`, as in the README."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .conftest import ROOT, Cli, dataset_bytes

GOLDEN = Path(__file__).parent / "golden"
COLUMNS = {
    "text": "string",
    "id": "string",
    "dump": "string",
    "url": "string",
    "date": "string",
    "file_path": "string",
    "language": "string",
    "language_score": "double",
    "token_count": "int64",
}


@pytest.fixture(scope="module")
def crawl(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    """A folder with the sample, its pipeline, and a finished run of each preset."""
    folder = tmp_path_factory.mktemp("fineweb")
    for name in ("pipelines", "sample_data"):
        (folder / name).symlink_to(ROOT / name)
    cli = Cli(folder)
    cli("run", "pipelines/fineweb.py")
    cli("run", "pipelines/fineweb.py", "-p", "preset=v1", "--out", "v1")
    cli("verify", "v1")
    yield cli


def fates(folder: Path) -> dict[str, str]:
    """Return what became of every record: the reason, or a hash of the published text."""
    rows: dict[str, str] = {}
    run = json.loads((folder / "run.json").read_text())
    for stage in run["stages"][:-1]:
        for path in sorted((folder / stage["folder"]).glob("*.decisions.parquet")):
            for row in pq.read_table(path).to_pylist():
                rows[row["id"]] = row["reason"] or "kept"
    for path in (folder / "dataset/data").glob("*.parquet"):
        for row in pq.read_table(path).to_pylist():
            digest = hashlib.sha256(row["text"].encode()).hexdigest()[:12]
            rows[row["id"]] = f"{digest}, {row['token_count']} tokens"
    return dict(sorted(rows.items()))


@pytest.mark.parametrize(("preset", "out"), [("current", "runs/fineweb"), ("v1", "v1")])
def test_every_record_of_the_sample_ends_as_it_did(crawl: Cli, preset: str, out: str) -> None:
    """No change of ours or of a library changes a decision or a text unseen.

    `python -m tests.test_fineweb RUN PRESET` writes the golden file anew from a run's folder.
    """
    golden = json.loads((GOLDEN / f"fineweb-{preset}.json").read_text())
    assert fates(crawl.folder / out) == golden


def test_the_dataset_has_finewebs_columns(crawl: Cli) -> None:
    """Names, order and types are FineWeb's, no cell is empty, and the tokenizer is named."""
    (path,) = (crawl.folder / "runs/fineweb/dataset/data").glob("*.parquet")
    table = pq.read_table(path)
    assert {field.name: str(field.type) for field in table.schema} == COLUMNS
    assert table.num_rows > 50
    for name in COLUMNS:
        assert table[name].null_count == 0
    assert b"gpt2" in table.schema.metadata[b"curate.tokenizer"]
    assert set(table["language"].to_pylist()) == {"en"}
    assert min(table["language_score"].to_pylist()) > 0.65


def test_every_filter_has_something_to_do(crawl: Cli) -> None:
    """The sample shows each step drop something, and every record is accounted for."""
    stages = crawl.status("runs/fineweb")
    dropped = {
        step["name"]: sum(step["dropped"].values())
        for stage in stages.values()
        for step in stage["steps"]
    }
    assert all(
        dropped[name]
        for name in (
            "warc",
            "url",
            "extract",
            "language",
            "gopher_repetition",
            "gopher_quality",
            "c4_quality",
            "fineweb_quality",
        )
    )
    assert stages["extract"]["failed"] > 0
    for stage in stages.values():
        assert stage["in"] == stage["kept"] + stage["dropped"] + stage["failed"]


def test_one_worker_makes_the_same_dataset(crawl: Cli) -> None:
    """The number of workers changes the time and nothing else."""
    crawl("run", "pipelines/fineweb.py", "--workers", "1", "--out", "one")
    assert dataset_bytes(crawl.folder, "one") == dataset_bytes(crawl.folder, "runs/fineweb")


def test_an_unreadable_model_is_one_message(crawl: Cli) -> None:
    """A model that is missing or no fastText model is refused before any work."""
    (crawl.folder / "model.bin").write_bytes(b"this is no model")
    for path in ("missing.bin", "model.bin"):
        done = crawl("plan", "pipelines/fineweb.py", "-p", f"lid_model={path}", code=2)
        assert path in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.strip().splitlines()) <= 3


def test_readme_shows_what_the_sample_run_prints(crawl: Cli) -> None:
    """The table in the README is that of this run."""
    crawl.environment["COLUMNS"] = "100"
    table = crawl("status", "runs/fineweb").stdout
    readme = (ROOT / "README.md").read_text()
    for line in table.splitlines():
        assert line.rstrip() in readme


def test_readme_names_every_option(crawl: Cli) -> None:
    """Each command and option of the help is in the README."""
    readme = (ROOT / "README.md").read_text()
    for command in ("run", "plan", "status"):
        words = crawl(command, "--help").stdout.replace(",", " ").split()
        for option in {word for word in words if word.startswith("--")} - {"--help"}:
            assert option in readme, f"{command} {option}"


def _write_golden(run: str, preset: str) -> None:
    value: dict[str, Any] = fates(Path(run))
    GOLDEN.mkdir(exist_ok=True)
    (GOLDEN / f"fineweb-{preset}.json").write_text(json.dumps(value, indent=0) + "\n")


if __name__ == "__main__":
    _write_golden(*sys.argv[1:])
