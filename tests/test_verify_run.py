"""`curate verify OUT`: what changed after it was written is found, and told how to mend."""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from .conftest import Cli, dataset_bytes, write_input
from .fault_scenes import PIPELINE

OUT = Path("runs/toy")


@pytest.fixture
def finished(cli: Cli) -> Cli:
    """A finished run over two files."""
    write_input(cli.folder, "a", ["a first text that is kept", "too short"])
    write_input(cli.folder, "b", ["a second text that is kept"])
    cli("run", "toy.py")
    return cli


def found(cli: Cli, code: int) -> dict[str, Any]:
    """Return what `verify` finds."""
    result: dict[str, Any] = json.loads(cli("verify", str(OUT), "--json", code=code).stdout)
    return result


def flip_a_bit(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("*/a*.parquet"))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    return path


def shorten(folder: Path) -> Path:
    path = next((folder / OUT / "dataset/data").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-1])
    return path


def lose(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("*/*.decisions.parquet"))
    path.unlink()
    return path


def add(folder: Path) -> Path:
    path = folder / OUT / "dataset/data/mine.parquet"
    shutil.copy(next((folder / OUT / "dataset/data").glob("*.parquet")), path)
    return path


def garble(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("*/a*.json"))
    path.write_bytes(path.read_bytes()[:100])
    return path


def change_a_letter(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("*/a*.json"))
    path.write_text(path.read_text().replace('"documents"', '"document_"'))
    return path


def add_to_a_stage(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("load-*")) / "mine.parquet"
    path.write_bytes(b"mine")
    return path


def add_hidden(folder: Path) -> Path:
    path = folder / OUT / "dataset/data/.mine.parquet"
    path.write_bytes(b"mine")
    return path


def lie(folder: Path) -> Path:
    path = next((folder / OUT / "stages").glob("*/a*.json"))
    manifest = json.loads(path.read_text())
    path.write_text(json.dumps(manifest | {"kept": manifest["kept"] + 1}))
    return path


def test_an_untouched_run_is_whole(finished: Cli) -> None:
    """Nothing is found, and it says how much was looked at."""
    result = found(finished, 0)
    assert result["ok"]
    files = list((finished.folder / OUT / "stages").glob("*/*.parquet"))
    assert result["files"] == len(files) + len(dataset_bytes(finished.folder))
    assert "whole" in finished("verify", str(OUT)).stdout


@pytest.mark.parametrize(
    "harm",
    [
        *(flip_a_bit, shorten, lose, add, garble, lie, change_a_letter),
        *(add_to_a_stage, add_hidden),
    ],
)
def test_what_changed_is_found_and_mended(finished: Cli, harm: Callable[[Path], Path]) -> None:
    """The file is named; removing what it says and running again gives the same dataset."""
    before = dataset_bytes(finished.folder)
    path = harm(finished.folder)
    result = found(finished, 1)
    assert [finished.folder / fault["path"] for fault in result["faults"]] == [path]
    assert path.name in finished("verify", str(OUT), code=1).stdout
    for name in result["faults"][0]["remove"]:
        (finished.folder / name).unlink()
    finished("run", "toy.py")
    assert found(finished, 0)["ok"]
    assert dataset_bytes(finished.folder) == before


def in_a_text(whole: bytes) -> int:
    group = pq.read_metadata(io.BytesIO(whole)).row_group(0)
    texts = next(group.column(n) for n in range(9) if group.column(n).path_in_schema == "text")
    return int(texts.data_page_offset + texts.total_compressed_size - 9)


def in_the_footer(whole: bytes) -> int:
    """Return where a flipped bit makes another table that Arrow reads without complaint."""
    table = pq.read_table(io.BytesIO(whole))
    for at in range(len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole)):
        with contextlib.suppress(Exception):
            if not pq.read_table(io.BytesIO(flipped(whole, at))).equals(table):
                return at
    raise AssertionError("there is no such bit")


def flipped(whole: bytes, at: int) -> bytes:
    return whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]


@pytest.mark.parametrize("stage", ["load", "filter"])
@pytest.mark.parametrize("place", [in_a_text, in_the_footer])
def test_a_bit_that_flips_between_two_stages_is_never_read(
    cli: Cli, stage: str, place: Callable[[bytes], int]
) -> None:
    """The run stops with the file's name; what `verify` advises gives the same dataset."""
    write_input(cli.folder, "a", [f"text number {n} of some that are kept" for n in range(50)])
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    for later in ("filter-*", "dataset-*")[stage == "filter" :]:
        shutil.rmtree(next((cli.folder / OUT / "stages").glob(later)))
    path = next((cli.folder / OUT / "stages").glob(f"{stage}-*/a*[0-9a-f].parquet"))
    whole = path.read_bytes()
    path.write_bytes(flipped(whole, place(whole)))
    done = cli("run", "toy.py", code=1)
    assert path.name in done.stderr + done.stdout
    assert "curate verify" in done.stderr + done.stdout
    assert "Traceback" not in done.stderr + done.stdout
    (fault,) = found(cli, 1)["faults"]
    for name in fault["remove"]:
        (cli.folder / name).unlink()
    cli("run", "toy.py")
    assert found(cli, 0)["ok"]
    assert dataset_bytes(cli.folder) == before


def test_a_run_without_digests_of_footers_goes_on(cli: Cli) -> None:
    """Manifests of earlier versions have none; a file that lacks rows is refused all the same."""
    write_input(cli.folder, "a", [f"text number {n} of some that are kept" for n in range(50)])
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    stages = cli.folder / OUT / "stages"
    for path in stages.glob("*/*.json"):
        manifest = json.loads(path.read_text())
        del manifest["sha256"]
        for info in manifest["files"].values():
            del info["footer"]
        path.write_text(json.dumps(manifest))
    shutil.rmtree(next(stages.glob("dataset-*")))
    cli("run", "toy.py")
    assert dataset_bytes(cli.folder) == before
    shutil.rmtree(next(stages.glob("dataset-*")))
    path = next(stages.glob("filter-*/a*[0-9a-f].parquet"))
    pq.write_table(pq.read_table(path)[:-1], path)
    done = cli("run", "toy.py", code=1)
    assert f"{path.name}: cannot be read: it has 49 rows and not 50" in done.stderr + done.stdout


def test_what_was_made_from_damaged_signatures_is_made_again(cli: Cli) -> None:
    """Their file has no checksum that readers look at: what came after it is named as well."""
    (cli.folder / "toy.py").write_text(PIPELINE)
    for name in "ab":
        write_input(
            cli.folder, name, [f"{name} quick fox that jumps and {n} more" for n in range(9)]
        )
    cli("run", "toy.py")
    before = dataset_bytes(cli.folder)
    stages = cli.folder / OUT / "stages"
    for stage in ("buckets", "clusters", "deduped"):
        shutil.rmtree(next(stages.glob(f"minhash_{stage}-*")))
    path = next(stages.glob("minhash_signatures-*/a*.keys.bin"))
    path.write_bytes(bytes(byte ^ 1 for byte in path.read_bytes()))
    cli("run", "toy.py")
    (fault,) = found(cli, 1)["faults"]
    assert fault["path"].endswith(path.name)
    folders = {Path(name).name.partition("-")[0] for name in fault["remove"][2:]}
    assert folders == {"minhash_buckets", "minhash_clusters", "minhash_deduped", "dataset"}
    for name in fault["remove"]:
        (shutil.rmtree if (cli.folder / name).is_dir() else os.unlink)(cli.folder / name)
    cli("run", "toy.py")
    assert found(cli, 0)["ok"]
    assert dataset_bytes(cli.folder) == before


def test_a_run_that_names_another_fingerprint_is_given_again(finished: Cli) -> None:
    """No manifest is blamed for a damaged run.json."""
    path = finished.folder / OUT / "run.json"
    record = json.loads(path.read_text())
    record["stages"][0]["fingerprint"] = "0" * 12
    path.write_text(json.dumps(record))
    faults = found(finished, 1)["faults"]
    assert [(Path(fault["path"]).name, fault["remove"]) for fault in faults] == [("run.json", [])]
    finished("run", "toy.py")
    assert found(finished, 0)["ok"]


def test_a_card_that_is_missing_is_written_anew(finished: Cli) -> None:
    path = finished.folder / OUT / "dataset/README.md"
    path.unlink()
    assert "give the run's command again." in finished("verify", str(OUT), code=1).stdout
    finished("run", "toy.py")
    assert path.exists()


def test_a_folder_without_a_run_is_one_message(cli: Cli) -> None:
    """A wrong folder is told in one or two lines, as by `status`."""
    done = cli("verify", "nowhere", code=2)
    assert "no run.json" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_dataset_that_is_still_to_be_written_is_no_fault(cli: Cli) -> None:
    """Stage after stage by `--only` leaves nothing that `verify` takes for damage."""
    for stage in ("load", "filter"):
        cli("run", "toy.py", "--only", stage)
        assert found(cli, 0)["faults"] == []
