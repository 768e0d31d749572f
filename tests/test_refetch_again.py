"""What is asked for a second time, and how: what changed since, and what failed in passing."""

from __future__ import annotations

import asyncio
import json
import time
from dataclasses import replace
from pathlib import Path

import pytest
from warcio.archiveiterator import ArchiveIterator

from curate.fetch.replay import replaying
from curate.fetch.scheduler import Scheduler
from curate.fetch.store import Entry, Store

from .conftest import Cli, manifest_times
from .hostile_server import HostileServer, Visit, pdf
from .test_refetch import PARAMS, body_of, fetch
from .test_refetch_run import body_at, folder_for, published, write


def fetch_anew(folder: Path, urls: list[str], earlier: Path, server: HostileServer) -> list[Entry]:
    """Return what becomes of URLs in another run, which knows an earlier one."""
    found: dict[str, Entry] = {}
    params = replace(PARAMS, allow_hosts=server.allowed)
    store = Store(str(folder), 0, 4096, params, [str(earlier)])
    asyncio.run(Scheduler(params, store).run(urls, lambda e: found.update({e.url: e})))
    return [found[url] for url in urls]


def visits_of(server: HostileServer, path: str) -> list[Visit]:
    """Return the requests for a path."""
    return [visit for visit in server.visits if visit.path == path]


def test_a_later_run_is_sent_only_what_has_changed(tmp_path: Path) -> None:
    """By ETag or date, redirects past; the later archive needs the earlier one no more."""
    first, second = tmp_path / "first", tmp_path / "second"
    with HostileServer() as server:
        paths = ["pdf/a", "dated/b", "to//pdf/moved", "edited/c", "chunked/"]
        urls = [server.url(path) for path in paths]
        fetch(first, urls, replace(PARAMS, allow_hosts=server.allowed))
        found = fetch_anew(second, urls, first, server)
        asked = {path: visits_of(server, path)[1].headers for path in [*paths, "pdf/moved"]}
    assert asked["pdf/a"]["if-none-match"] == asked["pdf/moved"]["if-none-match"] == '"v1"'
    assert asked["dated/b"]["if-modified-since"] == "sat, 01 mar 2025 10:00:00 gmt"
    for path in ("chunked/", "to//pdf/moved"):
        assert not {"if-none-match", "if-modified-since"} & set(asked[path])
    for archive in (first / "refetch").iterdir():
        archive.unlink()
    bodies = [pdf("a"), pdf("b"), pdf("moved"), pdf("c2"), pdf(size=2976)]
    assert [body_of(entry) for entry in found] == bodies
    assert {entry.outcome for entry in found} == {"fetched"}
    said = [entry.message.startswith("not modified since") for entry in found]
    assert said == [True, True, True, False, False]

    (archive,) = (second / "refetch").glob("*.warc.gz")
    with archive.open("rb") as stream:
        records = [(r.rec_type, r.rec_headers) for r in ArchiveIterator(stream)]
    revisits = [head for kind, head in records if kind == "revisit"]
    responses = {head["WARC-Record-ID"] for kind, head in records if kind == "response"}
    assert len(revisits) == 3
    assert {head["WARC-Refers-To"] for head in revisits} <= responses
    again: dict[str, Entry] = {}
    with replaying((str(archive),)) as through:
        replay = Scheduler(PARAMS, None, through)
        asyncio.run(replay.run(urls, lambda e: again.update({e.url: e})))
    assert [(again[url].outcome, again[url].digest) for url in urls] == [
        ("fetched", entry.digest) for entry in found
    ]


def test_a_lost_archive_costs_a_request(tmp_path: Path) -> None:
    """Where a server confirms what is no longer there, it is asked for the whole again."""
    with HostileServer() as server:
        url = server.url("pdf/a")
        entry = fetch(tmp_path / "a", [url], replace(PARAMS, allow_hosts=server.allowed))[url]
        whole = Path(entry.path).read_bytes()
        Path(entry.path).write_bytes(whole[: entry.offset] + bytes(len(whole)))
        (again,) = fetch_anew(tmp_path / "b", [url], tmp_path / "a", server)
        assert (again.outcome, body_of(again)) == ("fetched", pdf("a"))
        _, asked, anew = visits_of(server, "pdf/a")
    assert "if-none-match" in asked.headers
    assert "if-none-match" not in anew.headers


def test_old_rules_are_asked_about_and_obeyed(tmp_path: Path) -> None:
    """A robots.txt of more than a day ago is not sent again where it has not changed."""
    with HostileServer(robots="User-agent: *\nDisallow: /pdf/secret") as server:
        params = replace(PARAMS, allow_hosts=server.allowed)
        fetch(tmp_path, [server.url("pdf/a")], params)
        for journal in (tmp_path / "refetch").glob("*.jsonl"):
            lines = [json.loads(line) for line in journal.read_text().splitlines()]
            aged = [{**line, "time": line["time"] - 25 * 3600, "crc32": None} for line in lines]
            journal.write_text("".join(json.dumps(line) + "\n" for line in aged))
        urls = [server.url(path) for path in ("pdf/secret", "pdf/b")]
        for _ in range(2):
            found = fetch(tmp_path, urls, params)
            assert [found[url].outcome for url in urls] == ["robots", "fetched"]
        tags = [visit.headers.get("if-none-match") for visit in visits_of(server, "robots.txt")]
        assert tags == [None, '"r1"']
        assert time.time() - found[urls[0]].time < 3600


@pytest.fixture
def run(tmp_path: Path) -> Cli:
    """A folder with a pipeline file that refetches what is truncated of in/*.jsonl."""
    return folder_for(tmp_path)


def test_another_round_asks_for_what_failed_in_passing_alone(run: Cli) -> None:
    """What was fetched, or is gone for good, is left alone, and so is what was made of it."""
    with HostileServer() as server:
        write(run.folder, "a", [(server.url("pdf/a"), True), (server.url("status/404"), True)])
        write(run.folder, "b", [(server.url("later/b"), True)])
        options = ("run", "toy.py", "-p", "allow=127.0.0.1")
        run(*options)
        times = manifest_times(run.folder, "refetched")
        asked = len(server.paths())
        run(*options)
        assert len(server.paths()) == asked
        server.recovered = True
        run(*options, "-p", "retry=1")
        assert server.paths()[asked:] == ["later/b"]
        run(*options, "-p", "retry=1")
        assert server.paths()[asked:] == ["later/b"]
    rows = published(run)
    outcomes = [row["refetch"] for _, row in sorted(rows.items())]
    assert outcomes == ["fetched", "http_404", "fetched"]
    assert body_at(run, rows["b-0"]) == pdf("b")
    now = manifest_times(run.folder, "refetched")
    assert sum(now.get(name) == taken for name, taken in times.items()) == 2
    assert len(now) == 3


def test_an_earlier_run_is_one_that_fetched(run: Cli) -> None:
    """A folder that holds no archive is refused; one that does spares the server."""
    with HostileServer() as server:
        write(run.folder, "a", [(server.url("pdf/a"), True)])
        options = ("run", "toy.py", "-p", "allow=127.0.0.1")
        said = run(*options, "-p", "earlier=in", code=2).stderr
        assert "earlier='in'" in said
        run(*options)
        run(*options, "-p", "earlier=runs/toy", "--out", "second")
        tags = [visit.headers.get("if-none-match") for visit in visits_of(server, "pdf/a")]
        assert tags == [None, '"v1"']
    assert body_at(run, published(run, "second")["a-0"]) == pdf("a")
