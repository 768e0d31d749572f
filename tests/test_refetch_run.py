"""Refetch as stages of a run: resumed, replayed, and the same however the work is divided."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate import Stage
from curate.errors import DefinitionError
from curate.fetch.archive import read_record
from curate.fetch.params import RefetchParams
from curate.fetch.scheduler import Scheduler
from curate.fetch.stages import refetch
from curate.fetch.store import Entry, Store
from curate.readers.http_body import parse_response
from curate.readers.records import JsonlReader
from curate.storage import open_input

from .conftest import Cli, dataset_bytes, manifest_times
from .hostile_server import HostileServer, pdf

PIPELINE = """
from curate import Pipeline, Stage
from curate.fetch.params import RefetchParams
from curate.fetch.stages import refetch
from curate.readers.records import JsonlReader


def pipeline(paths: str = "in/*.jsonl", allow: tuple[str, ...] = (), replay: str = "",
             rate: float = 0.0, per_unit: int = 1000, retry: int = 0,
             earlier: tuple[str, ...] = ()) -> Pipeline:
    keep = (("url", "string"), ("is_truncated", "bool"))
    found = Stage("find", source=JsonlReader(paths, keep=keep))
    params = RefetchParams(
        requests_per_second=rate, connections_per_host=1, max_attempts=2, backoff_s=0.01,
        allow_hosts=allow, urls_per_unit=per_unit, retry_round=retry,
    )
    return Pipeline("toy", output=refetch(found, params, replay, earlier))
"""


@pytest.fixture
def run(tmp_path: Path) -> Cli:
    """A folder with a pipeline file that refetches what is truncated of in/*.jsonl."""
    return folder_for(tmp_path)


def folder_for(folder: Path) -> Cli:
    """Write the pipeline file and make room for inputs."""
    (folder / "toy.py").write_text(PIPELINE)
    (folder / "in").mkdir()
    return Cli(folder)


@dataclass(frozen=True)
class Live:
    """A finished run against a server that is gone since."""

    cli: Cli
    asked: list[str]
    printed: str


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Live:
    """Documents of two hosts, some of which are to be had."""
    cli = folder_for(tmp_path_factory.mktemp("live"))
    with HostileServer(["127.0.0.1", "127.0.0.2"]) as server:
        for name, urls in mixed(server).items():
            write(cli.folder, name, urls)
        done = cli("run", "toy.py", "-p", "allow=" + ",".join(server.allowed))
        return Live(cli, server.paths(), done.stdout)


def write(folder: Path, name: str, urls: list[tuple[str | None, bool]]) -> None:
    """Write an input file: URLs and whether their documents are truncated."""
    lines = [
        json.dumps(
            {"id": f"{name}-{n}", "text": f"start of {url}", "url": url, "is_truncated": cut}
        )
        for n, (url, cut) in enumerate(urls)
    ]
    (folder / "in" / f"{name}.jsonl").write_text("\n".join(lines) + "\n")


def published(cli: Cli, out: str = "runs/toy") -> dict[str, dict[str, Any]]:
    """Return the published documents by id."""
    files = sorted((cli.folder / out / "dataset/data").iterdir())
    return {row["id"]: row for file in files for row in pq.read_table(file).to_pylist()}


def decisions(cli: Cli, out: str = "runs/toy") -> dict[str, str | None]:
    """Return the reason of each decision of the stage `refetch`, by id."""
    files = (cli.folder / out / "stages").glob("refetch-*/*.decisions.parquet")
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    return {row["id"]: row["reason"] for row in rows}


def body_at(cli: Cli, row: dict[str, Any]) -> bytes:
    """Return the body where a document says that it is, looked for from the run's folder."""
    block = read_record(str(cli.folder / row["refetch_path"]), row["refetch_offset"], 1 << 20).block
    return block[parse_response(block).start :]


def mixed(server: HostileServer) -> dict[str, list[tuple[str | None, bool]]]:
    """Return the inputs of a small corpus on several hosts."""
    first, second = server.hosts[:2]
    shared = server.url("pdf/shared", first)
    return {
        "a": [(shared, True), (server.url("pdf/whole"), False), (server.url("html/"), True)],
        "b": [
            (server.url("pdf/b", second), True),
            (server.url("status/404", second), True),
            (shared + "#page=2", True),
            (server.url("to//pdf/moved", second), True),
            ("http://10.0.0.1/secret.pdf", True),
            (None, True),
        ],
        "c": [(server.url("pdf/never"), False)],
    }


def test_every_document_goes_on_marked(live: Live) -> None:
    """Whole documents pass untouched; of each truncated one the table says what became of it."""
    run = live.cli
    assert Counter(live.asked) == Counter(
        ["pdf/shared", "html/", "pdf/b", "status/404", "to//pdf/moved", "pdf/moved"]
    )
    reasons = {
        "a-0": None,
        "a-2": "refetch/not_pdf",
        "b-0": None,
        "b-1": "refetch/http_404",
        "b-2": None,
        "b-3": None,
        "b-4": "refetch/blocked_address",
        "b-5": "refetch/invalid_url",
    }
    assert decisions(run) == reasons
    rows = published(run)
    assert len(rows) == 10
    for name, row in rows.items():
        reason = reasons.get(name, "never asked")
        if reason is None:
            assert row["refetch"] == "fetched"
            word = {"a-0": "shared", "b-0": "b", "b-2": "shared", "b-3": "moved"}[name]
            assert body_at(run, row) == pdf(word)
        else:
            cause = None if reason == "never asked" else reason.removeprefix("refetch/")
            assert (row["refetch"], row["refetch_path"], row["refetch_offset"]) == (
                (cause, None, None)
            )
    status = run.status()
    assert status["refetch"]["in"] == 8
    assert (status["refetch"]["kept"], status["refetch"]["failed"]) == (4, 4)
    assert "failed: http_404 1" in live.printed


def test_a_replay_is_the_same_bytes_for_any_number_of_workers(live: Live) -> None:
    """The archive of a run stands in for the web: same outcomes, same bytes, however divided."""
    run, archive = live.cli, "replay=runs/toy/refetch/*.warc.gz"
    outcomes = {name: row["refetch"] for name, row in published(run).items()}
    write(run.folder, "d", [("https://example.org/d.pdf", True)])
    bytes_of = []
    for out, workers, per_unit in (("one", "1", "1000"), ("three", "3", "1")):
        options = ("--out", out, "--workers", workers, "-p", f"per_unit={per_unit}")
        run("run", "toy.py", *options, "-p", archive)
        bytes_of.append(dataset_bytes(run.folder, out))
        rows = published(run, out)
        assert {name: row["refetch"] for name, row in rows.items()} == {
            **outcomes,
            "d-0": "not_archived",
        }
        assert body_at(run, rows["b-3"]) == pdf("moved")
        assert not (run.folder / out / "refetch").exists()
    assert run.status("three")["refetch"]["units"] == 9
    assert bytes_of[0] == bytes_of[1]


def test_killed_in_the_middle_nothing_is_fetched_twice(run: Cli, tmp_path: Path) -> None:
    """A run that is killed goes on where it was: what is in the archive is asked for no more."""
    hosts = [f"127.0.0.{number}" for number in range(1, 9)]
    log = tmp_path / "visits"
    with HostileServer(hosts, log=log) as server:
        write(
            run.folder, "a", [(server.url(f"pdf/{n}", h), True) for h in hosts for n in range(10)]
        )
        command = ("run", "toy.py", "-p", "allow=127.0.0.0/8", "-p", "rate=12", "-p", "per_unit=40")
        process = run.start(*command, "--workers", "2")
        while len(server.visits) < 40 and process.poll() is None:
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.communicate()
        before = visits(log, server.port)
        journals = (run.folder / "runs/toy/refetch").glob("*.jsonl")
        kept = {
            json.loads(line)["url"]
            for file in journals
            for line in file.open()
            if line.endswith("\n")
        }
        assert 0 < len(kept) < 88
        run(*command, "--workers", "2")
        after = visits(log, server.port)[len(before) :]
    assert not kept & set(after)
    again = Counter(before + after)
    # In flight when the kill came: at most one per host and connection.
    assert sum(count - 1 for count in again.values()) <= len(hosts)
    assert len(again) == 88
    assert {row["refetch"] for row in published(run).values()} == {"fetched"}


def visits(log: Path, port: int) -> list[str]:
    """Return the URLs that a server wrote down."""
    rows = map(json.loads, log.read_text().splitlines())
    return [f"http://{host}:{port}/{path}" for _, host, path, _ in rows]


def test_more_inputs_ask_only_for_what_is_new(run: Cli) -> None:
    """Adding a file fetches its documents; the units of the others stay as they are."""
    with HostileServer() as server:
        write(run.folder, "a", [("http://example.org/", False)])
        run("run", "toy.py")
        assert [row["refetch"] for row in published(run).values()] == [None]
        write(run.folder, "b", [(server.url("pdf/a"), True), (server.url("pdf/b"), True)])
        run("run", "toy.py", "-p", "allow=127.0.0.1")
        times = manifest_times(run.folder, "refetched")
        write(run.folder, "c", [(server.url("pdf/b"), True), (server.url("pdf/c"), True)])
        run("run", "toy.py", "-p", "allow=127.0.0.1")
        assert sorted(server.paths()) == ["pdf/a", "pdf/b", "pdf/c"]
    now = manifest_times(run.folder, "refetched")
    assert sum(now.get(name) == time for name, time in times.items()) == 2
    assert [row["refetch"] for row in published(run).values()] == [None] + ["fetched"] * 4


def flip(path: Path, at: int) -> None:
    """Change one bit."""
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        lambda archive: flip(archive, archive.stat().st_size // 2),
        lambda archive: archive.write_bytes(archive.read_bytes()[:-1]),
        Path.unlink,
    ],
)
def test_a_damaged_archive_is_found_and_fetched_again(
    run: Cli, damage: Callable[[Path], object]
) -> None:
    """`verify` names the archive, and what to remove; then the same command mends the run."""
    with HostileServer() as server:
        write(run.folder, "a", [(server.url("pdf/a"), True), (server.url("pdf/b"), True)])
        command = ("run", "toy.py", "-p", "allow=127.0.0.1")
        run(*command)
        assert "What is done is whole." in run("verify", "runs/toy").stdout
        before = published(run)
        (archive,) = (run.folder / "runs/toy/refetch").glob("*.warc.gz")
        damage(archive)
        (fault,) = json.loads(run("verify", "runs/toy", "--json", code=1).stdout)["faults"]
        assert fault["path"].endswith(archive.name)
        for path in map(run.folder.joinpath, fault["remove"]):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
        server.visits.clear()
        run(*command)
        assert sorted(server.paths()) == ["pdf/a", "pdf/b"]
    assert "What is done is whole." in run("verify", "runs/toy").stdout
    after = published(run)
    assert {id: body_at(run, row) for id, row in after.items()} == {
        id: pdf(name) for id, name in zip(before, "ab", strict=True)
    }


def test_a_damaged_line_of_a_journal_is_named(run: Cli) -> None:
    """It may tell of another URL than was asked; without it the document is fetched again."""
    with HostileServer() as server:
        write(run.folder, "a", [(server.url("pdf/a"), True), (server.url("pdf/b"), True)])
        command = ("run", "toy.py", "-p", "allow=127.0.0.1")
        run(*command)
        (journal,) = (run.folder / "runs/toy/refetch").glob("*.jsonl")
        lines = journal.read_bytes().splitlines(keepends=True)
        flip(journal, journal.read_bytes().index(b"/pdf/a") + 5)
        (fault,) = json.loads(run("verify", "runs/toy", "--json", code=1).stdout)["faults"]
        number = next(at for at, line in enumerate(lines, 1) if b"/pdf/a" in line)
        assert fault["what"].startswith(f"line {number} is damaged")
        write(run.folder, "b", [(server.url("pdf/c"), True)])
        said = run(*command, code=1).stderr
        assert f"line {number} is damaged" in said and "Traceback" not in said
        journal.write_bytes(b"".join(line for line in lines if b"/pdf/a" not in line))
        server.visits.clear()
        run(*command)
        assert sorted(server.paths()) == ["pdf/a", "pdf/c"]
    assert [row["refetch"] for row in published(run).values()] == ["fetched"] * 3


def test_an_archive_in_an_object_store_is_gone_on_with() -> None:
    """Where files cannot be appended to, segments are put one by one; each is whole."""
    with HostileServer() as server:
        params = RefetchParams(requests_per_second=0, allow_hosts=server.allowed)
        urls = [server.url(f"pdf/{number}") for number in range(5)]
        found: list[dict[str, Entry]] = [{}, {}]
        for entries in found:
            store = Store("memory://bucket/run", 0, 4096, params)

            def done(entry: Entry, to: dict[str, Entry] = entries) -> None:
                to[entry.url] = entry

            asyncio.run(Scheduler(params, store).run(urls, done))
        assert found[0] == found[1]
        assert len(server.paths()) == 5
    for entry in found[0].values():
        assert entry.offset is not None
        block = read_record(entry.path, entry.offset, 1 << 20).block
        assert block[parse_response(block).start :] == pdf(entry.url.rsplit("/", 1)[-1])
        with open_input(entry.path) as stream:
            assert stream.read(2) == b"\x1f\x8b"


def test_a_source_without_urls_is_refused() -> None:
    """A pipeline that cannot work is refused when it is built."""
    source = Stage("find", source=JsonlReader("*.jsonl", keep=(("url", "string"),)))
    with pytest.raises(DefinitionError, match="is_truncated"):
        refetch(source)
