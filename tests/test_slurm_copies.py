"""Two live copies of a unit that asks the web, which answers each of them otherwise."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate.fetch.archive import read_record
from curate.readers.http_body import parse_response

from .conftest import Cli
from .hostile_server import pdf
from .slurm.cluster import Cluster
from .slurm.runs import until
from .test_refetch_run import PIPELINE

pytestmark = pytest.mark.slurm


class Fickle:
    """A server whose every answer is another one; the first waits until it is let go.

    Attributes:
        visits: how often it was asked.
        together: holds all answers until so many have asked.
        let_go: set to let the first answer go.
    """

    def __init__(self) -> None:
        self.visits = 0
        self.together: threading.Barrier | None = None
        self.let_go = threading.Event()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/robots.txt":
                    self.send_error(404)
                    return
                owner.visits += 1
                number = owner.visits
                if owner.together is not None:
                    owner.together.wait(timeout=100)
                elif number == 1:
                    owner.let_go.wait(timeout=100)
                body = pdf(f"answer {number}", 3000 + 500 * number)
                self.send_response(200)
                self.send_header("Content-Type", "application/pdf")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """End it."""
        self.let_go.set()
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def fickle() -> Iterator[Fickle]:
    """The server."""
    server = Fickle()
    yield server
    server.close()


def prepare(cli: Cli, server: Fickle) -> list[str]:
    """Write a pipeline that fetches one document, and return the options that allow it."""
    for path in (cli.folder / "in").iterdir():
        path.unlink()
    (cli.folder / "toy.py").write_text(PIPELINE)
    value = {"id": "a", "text": "start", "url": f"http://{server.host}/a.pdf", "is_truncated": True}
    (cli.folder / "in/a.jsonl").write_text(json.dumps(value) + "\n")
    return ["-p", f"allow={server.host}"]


def is_whole(cli: Cli) -> None:
    """See that what is published is in the archive, as the manifest's own writer got it."""
    (file,) = (cli.folder / "runs/toy/dataset/data").iterdir()
    (row,) = pq.read_table(file).to_pylist()
    assert row["refetch"] == "fetched"
    archive = Path(cli.folder, row["refetch_path"])
    block = read_record(str(archive), row["refetch_offset"], 1 << 20).block
    body = block[parse_response(block).start :]
    (outcomes,) = (cli.folder / "runs/toy/stages").glob("refetch-*/*.json")
    name = json.loads(outcomes.read_text())["files"]["outcomes"]["name"]
    (outcome,) = pq.read_table(cli.folder / "runs/toy" / name).to_pylist()
    assert len(body) == outcome["bytes"]
    assert (row["refetch_path"], row["refetch_offset"]) == (
        outcome["refetch_path"],
        outcome["refetch_offset"],
    )
    cli("verify", "runs/toy")


def test_two_writers_with_different_answers_leave_those_of_one(cli: Cli, fickle: Fickle) -> None:
    """Manifest, table and archive belong together, whichever of them was first."""
    options = prepare(cli, fickle)
    fickle.together = threading.Barrier(2)
    processes = [cli.start("run", "toy.py", *options) for _ in range(2)]
    outputs = [process.communicate(timeout=200) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    assert fickle.visits == 2
    is_whole(cli)


def test_a_node_that_wakes_up_with_another_answer_changes_nothing(
    slurm: Cli, cluster: Cluster, fickle: Fickle
) -> None:
    """It was frozen while it fetched; another one did its unit; it gets its answer, too late."""
    options = prepare(slurm, fickle)
    process = slurm.start("run", "toy.py", *options, "--executor", "slurm")
    until(lambda: fickle.visits == 1, process)
    live = (slurm.folder / "runs/toy/live").glob("[0-9]*.json")
    (node,) = {json.loads(path.read_text())["host"] for path in live}
    cluster.freeze_node(node)
    until(lambda: fickle.visits == 2, process)
    fickle.let_go.set()
    cluster.thaw_node(node)
    output = process.communicate(timeout=200)
    assert process.returncode == 0, output
    is_whole(slurm)
