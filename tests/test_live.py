"""What a run shows while it goes on, and `curate status --watch`."""

from __future__ import annotations

import io
import shutil
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from curate.cli import main
from curate.executors.progress import LiveFile, Progress, remove_dead
from curate.report.live import Speed, duration, live_view, of_status, watch
from curate.status import read_status

from .explained_runs import lengths_run, sample_run


def shown(progress: Progress, speed: float | None = None, left: float | None = None) -> str:
    """Return what a person sees in a terminal of 120 columns."""
    console = Console(file=io.StringIO(), width=120)
    console.print(live_view(progress, speed, left, {"unit-b": "node7"}))
    text = console.file
    assert isinstance(text, io.StringIO)
    return text.getvalue()


def halfway() -> Progress:
    """A stage of four units: two are done, two are worked on."""
    progress = Progress("extract", units=4, done=2, sizes=dict.fromkeys("abcd", 100))
    progress.finished_bytes = 200
    progress.finish(
        {"in": 800, "kept": 500, "dropped": 300, "failed": 0, "drop:url/hard_word": 300}
    )
    progress.sizes |= {"unit-a": 0, "unit-b": 0}
    progress.running = {
        "unit-a": {"in": 100, "kept": 40, "failed": 1, "memory_mb": 512, "fraction": 0.5,
                   "drop:language/other_language": 59},
        "unit-b": {"in": 100, "kept": 100, "memory_mb": 300, "fraction": 0.25},
    }  # fmt: skip
    return progress


def test_a_stage_shows_its_bar_speed_share_reasons_workers_and_time_left() -> None:
    """All that one wants to know while waiting."""
    text = shown(halfway(), speed=123.4, left=240.0)
    for told in (
        "extract", "50%", "2/4 units", "4 min left", "1,000 records", "123/s", "640 kept (64%)",
        "1 failed", "dropped: url/hard_word 300 · language/other_language 59",
        "unit-a", "512 MB", "unit-b", "300 MB", "node7",
    ):  # fmt: skip
        assert told in text, told


def test_what_was_crawled_or_named_by_a_user_does_not_act() -> None:
    """Names of units and reasons are spelled out."""
    progress = halfway()
    progress.running = {"\x1b[2Junit": {"in": 1, "drop:step/\x1b]0;x\x07": 1}}
    text = shown(progress)
    assert "\x1b" not in text and "␛[2Junit" in text


def test_many_workers_do_not_fill_the_screen() -> None:
    """Eight are shown, and how many more there are."""
    progress = halfway()
    progress.running = {f"unit-{n}": {"in": n} for n in range(100)}
    text = shown(progress)
    assert "and 92 more" in text and len(text.splitlines()) < 15


def test_speed_and_time_left_are_of_this_run() -> None:
    """What was done before the run was looked at does not count."""
    progress = Progress("extract", units=10, done=5, sizes=dict.fromkeys("abcdefghij", 10))
    progress.finished = Counter({"in": 5_000})
    progress.finished_bytes = 50
    speed = Speed()
    assert speed(progress, 100.0) == (0.0, None) or speed(progress, 100.0) == (None, None)
    progress.finished["in"] += 1_000
    progress.finished_bytes += 10
    per_second, left = speed(progress, 110.0)
    assert per_second == pytest.approx(100) and left == pytest.approx(40)


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (89, "89 s"), (90, "2 min"), (5_400, "1.5 h")]
)
def test_times_are_told_as_people_do(seconds: float, text: str) -> None:
    """Seconds, minutes, hours."""
    assert duration(seconds) == text


def test_a_watcher_sees_what_runs_on_other_machines(tmp_path: Path) -> None:
    """Supervisors anywhere leave a small file, which is all that is needed."""
    run = tmp_path / "run"
    run.symlink_to(lengths_run())
    live = LiveFile(str(run), "test-of-watching", {"stage": "filter", "fingerprint": "x"})
    try:
        live.write({"pages": {"in": 7, "kept": 3, "memory_mb": 99, "drop:a/b": 4}}, now=True)
        progress, hosts = of_status(read_status(str(run)))
    finally:
        live.remove()
    assert progress is not None and progress.stage == "filter"
    assert ("a/b", 4) in progress.top_reasons(9)
    assert set(hosts) == {"pages"} and all(hosts.values())


@pytest.mark.parametrize("damaged", ["[]", "{}", '"x"', "{", "\xff"])
def test_what_a_supervisor_says_may_be_damaged(
    tmp_path: Path, damaged: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is none then: neither `status` nor the next run falls over it."""
    run = tmp_path / "run"
    shutil.copytree(lengths_run(), run)
    (run / "live").mkdir(exist_ok=True)
    (run / "live/y.json").write_text(damaged, "latin-1")
    for command in ("status", "report", "cancel"):
        main([command, str(run)])
    remove_dead(str(run))
    assert read_status(str(run)).running == []
    capsys.readouterr()


def test_watching_ends_when_the_run_is_complete(capsys: pytest.CaptureFixture[str]) -> None:
    """The table of the run is printed then."""
    assert main(["status", str(lengths_run()), "--watch"]) == 0
    told = capsys.readouterr().out
    assert "gopher_quality" in told and "Dataset:" in told and "Report:" in told


def test_watching_shows_each_stage(capsys: pytest.CaptureFixture[str]) -> None:
    """Units done, records, share kept."""
    assert watch(str(lengths_run())).stages[-1].name == "dataset"
    told = capsys.readouterr().out
    assert "1/1 units" in told and "601 records" in told and "95% kept" in told


@pytest.mark.parametrize("columns", [40, 100])
def test_the_table_fits_the_terminal(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its head stands over its numbers, in a narrow one too."""
    monkeypatch.setenv("COLUMNS", str(columns))
    assert main(["status", str(sample_run())]) == 0
    table = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert max(map(len, table)) <= columns
    numbers = next(line for line in table if line.split()[-4:] == ["403", "397", "4", "2"])
    assert table[0].index("in") + 2 == numbers.index("403") + 3
