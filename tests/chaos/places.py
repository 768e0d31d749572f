"""Where the inputs and the output of a round lie: in a folder, or in a store of objects."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from curate.explain.verify import verify

from .store import Store, environment

ROOT = Path(__file__).parents[2]


class Place(Protocol):
    """The inputs and the output of one round.

    Attributes:
        folder: where the command is given.
        inputs: what it is told to read.
        out: what it is told to write to.
    """

    folder: Path
    inputs: str
    out: str

    def lay(self, inputs: Mapping[str, Path]) -> None:
        """Make these files, by the names that they have there, and no others the inputs."""

    def contents(self) -> dict[str, str]:
        """Return a digest of each published file and of all that the stages wrote."""

    def done(self) -> dict[str, str]:
        """Return which version of its manifest each unit has, but for the dataset's."""

    def faults(self) -> list[str]:
        """Return what `curate verify` finds."""

    def leftovers(self) -> list[str]:
        """Name the temporary files that are still there."""

    def remove(self) -> None:
        """Remove all of it."""


class LocalPlace:
    """A folder with `in/`, `out/` and `tmp/`; it is made."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.inputs, self.out = "in/*.warc.gz", "out"
        (folder / "in").mkdir(parents=True)
        (folder / "tmp").mkdir()

    def lay(self, inputs: Mapping[str, Path]) -> None:
        """Link to the input files."""
        for path in (self.folder / "in").iterdir():
            if inputs.get(path.name) != path.readlink():
                path.unlink()
        for name, source in inputs.items():
            if not (self.folder / "in" / name).is_symlink():
                (self.folder / "in" / name).symlink_to(source)

    def contents(self) -> dict[str, str]:
        """Read all files."""
        out = self.folder / "out"
        paths = [*(out / "dataset/data").rglob("*"), *(out / "stages").rglob("*")]
        return {
            str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in paths
            if path.is_file() and path.suffix != ".json" and not path.name.startswith(".")
        }

    def done(self) -> dict[str, str]:
        """Return the times of the manifests."""
        return {
            str(path): str(path.stat().st_mtime_ns)
            for path in (self.folder / "out" / "stages").glob("*/*.json")
            if not path.parent.name.startswith("dataset-")
        }

    def faults(self) -> list[str]:
        """Check what is done, at any moment."""
        if not (self.folder / "out" / "run.json").exists():
            return []
        return [str(fault) for fault in verify(str(self.folder / "out")).faults]

    def leftovers(self) -> list[str]:
        """Look everywhere."""
        return [str(path) for path in self.folder.rglob("*.tmp")]

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)


class RemotePlace:
    """A bucket for the inputs and one for the output; a folder for what a command has in between.

    The inputs are the same objects for all rounds, since their paths are published.
    """

    def __init__(self, folder: Path, store: Store) -> None:
        self.folder, self._store = folder, store
        self._bucket = f"out-{folder.name}"
        self.inputs, self.out = "s3://crawl/in/*.warc.gz", f"s3://{self._bucket}/run"
        (folder / "tmp").mkdir(parents=True)
        self._fs = store.files()
        self._fs.mkdir(self._bucket)
        if not self._fs.exists("crawl"):
            self._fs.mkdir("crawl")

    def lay(self, inputs: Mapping[str, Path]) -> None:
        """Put and remove objects."""
        there = self._fs.find("crawl/in", detail=True)
        digests = {path.rsplit("/", 1)[-1]: info["ETag"] for path, info in there.items()}
        for name in digests.keys() - inputs.keys():
            self._fs.rm_file(f"crawl/in/{name}")
        for name, source in inputs.items():
            if digests.get(name, "").strip('"') != hashlib.md5(source.read_bytes()).hexdigest():
                self._fs.put_file(str(source), f"crawl/in/{name}")

    def contents(self) -> dict[str, str]:
        """Read all objects, past the proxy."""
        start = f"{self._bucket}/run/"
        paths = [*self._fs.find(f"{start}dataset/data"), *self._fs.find(f"{start}stages")]
        return {
            path.removeprefix(start): hashlib.sha256(self._fs.cat_file(path)).hexdigest()
            for path in paths
            if not path.endswith(".json")
        }

    def done(self) -> dict[str, str]:
        """Return the tags of the manifests: a request that is sent again leaves them as they are.

        A manifest holds how long its unit took, so one that is done again has another.
        """
        found = self._fs.find(f"{self._bucket}/run/stages", detail=True)
        return {
            path: info["ETag"]
            for path, info in found.items()
            if path.endswith(".json") and "/stages/dataset-" not in path
        }

    def faults(self) -> list[str]:
        """Give the command."""
        if not self._fs.exists(f"{self._bucket}/run/run.json"):
            return []
        done = subprocess.run(
            [sys.executable, "-m", "curate", "verify", self.out, "--json"],
            env={**os.environ, **environment(self._store.url), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            return [done.stderr]
        return [str(fault) for fault in json.loads(done.stdout)["faults"]]

    def leftovers(self) -> list[str]:
        """Look for scratch files, and for uploads that were begun."""
        return [str(path) for path in self.folder.rglob("*.tmp")]

    def remove(self) -> None:
        """Remove the bucket and the folder."""
        self._fs.rm(self._bucket, recursive=True)
        shutil.rmtree(self.folder)
