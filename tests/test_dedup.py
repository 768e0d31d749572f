"""Deduplication as stages of a run: the right page is kept, and every removal is explained."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from curate import Stage
from curate.dedup.rehydrate import FINEWEB2_WEIGHTS, RehydrateStage
from curate.readers.records import JsonlReader

from .conftest import Cli, dataset_bytes, manifest_times

PIPELINE = """
from curate import Pipeline, Stage
from curate.dedup.minhash import MinHashParams
from curate.dedup.rehydrate import rehydrate
from curate.dedup.stages import exact_dedup, minhash_dedup
from curate.readers.records import JsonlReader


def pipeline(paths: str = "pages/*.jsonl", kind: str = "minhash", keep: str = "first",
             verify: float = 0.0, against: tuple[str, ...] = (), action: str = "drop",
             buckets: int = 14, weights: bool = False) -> Pipeline:
    keys = (("url", "string"), ("date", "string"))
    load = Stage("load", source=JsonlReader(paths, keep=keys))
    if kind == "minhash":
        kept = minhash_dedup(load, MinHashParams(num_buckets=buckets), keep=keep,
                             verify=verify or None, against=against, action=action)
    else:
        kept = exact_dedup(load, by=kind, keep=keep)
    if weights:
        kept = rehydrate(kept, ((1, 1), (2, 3), (3, 0)))
    return Pipeline("dedup", output=kept, columns=("text", "id", "url"))
"""

Page = dict[str, str]


def article(seed: int, words: int = 300) -> list[str]:
    """A text of random words, as a list."""
    rng = random.Random(seed)
    return ["".join(rng.choices("abcdefghijklmnop", k=rng.randint(2, 9))) for _ in range(words)]


def page(name: str, words: list[str], day: int = 1) -> Page:
    url = f"https://example.org/{name}"
    return {"id": name, "text": " ".join(words), "url": url, "date": f"2024-01-{day:02d}T00:00:00Z"}


def revised(words: list[str], changes: int, seed: int = 0) -> list[str]:
    """The text with some of its words replaced, evenly spread."""
    revision = list(words)
    for number in range(changes):
        revision[(number * len(words)) // changes] = f"changed{seed}x{number}"
    return revision


@pytest.fixture
def dedup(cli: Cli) -> Cli:
    """A folder with a pipeline file dedup.py that removes duplicates from pages/*.jsonl."""
    (cli.folder / "dedup.py").write_text(PIPELINE)
    (cli.folder / "pages").mkdir()
    return cli


def write_pages(folder: Path, name: str, pages: list[Page]) -> None:
    text = "".join(json.dumps(page) + "\n" for page in pages)
    (folder / "pages" / f"{name}.jsonl").write_text(text)


def kept(cli: Cli, out: str = "runs/dedup") -> list[str]:
    tables = map(pq.read_table, sorted((cli.folder / out / "dataset/data").iterdir()))
    return [name for table in tables for name in table["id"].to_pylist()]


def removed(cli: Cli, stage: str = "minhash_deduped") -> dict[str, dict[str, Any]]:
    """Decisions of the removed documents, by id."""
    found = {}
    for path in (cli.folder / "runs/dedup/stages").glob(f"{stage}-*/*.decisions.parquet"):
        for row in pq.read_table(path).to_pylist():
            if row["outcome"] == "dropped":
                found[row["id"]] = row
    return found


def test_the_earliest_page_of_a_cluster_is_kept_and_the_others_name_it(dedup: Cli) -> None:
    """For each removed page: cluster, its size, and id and URL of the page that is kept."""
    words = article(1)
    write_pages(dedup.folder, "a", [page("late", words, 9), page("other", article(2))])
    write_pages(dedup.folder, "b", [page("early", revised(words, 3), 2), page("mid", words, 5)])
    dedup("run", "dedup.py")
    assert kept(dedup) == ["other", "early"]
    rows = removed(dedup)
    assert set(rows) == {"late", "mid"}
    for row in rows.values():
        assert row["reason"] == "minhash_dedup/duplicate"
        assert (row["duplicate_of"], row["cluster_size"]) == ("early", 3)
        assert row["duplicate_of_url"] == "https://example.org/early"
    assert rows["late"]["cluster"] == rows["mid"]["cluster"]
    sizes = {}
    for path in (dedup.folder / "runs/dedup/stages").glob("minhash_deduped-*/*[0-9a-z].parquet"):
        if ".decisions" not in path.name:
            table = pq.read_table(path, columns=["id", "minhash_cluster_size"])
            sizes.update({row["id"]: row["minhash_cluster_size"] for row in table.to_pylist()})
    assert sizes == {"early": 3, "other": 1}


def test_the_longest_page_can_be_kept_instead(dedup: Cli) -> None:
    """`keep="longest"` keeps the page with most characters."""
    words = article(1)
    pages = [page("short", words[:-3], 1), page("long", [*words, "end"], 9), page("mid", words, 5)]
    write_pages(dedup.folder, "a", pages)
    dedup("run", "dedup.py", "-p", "keep=longest")
    assert kept(dedup) == ["long"]


def test_sharding_changes_neither_the_documents_nor_the_bytes(dedup: Cli) -> None:
    """The same pages in 1, 3, 7 and 16 files give the same dataset, with and without proof."""
    rng = random.Random(5)
    pages = []
    for family in range(24):
        words = article(family)
        for member in range(rng.randint(1, 4)):
            changes = rng.choice([0, 2, 8, 30])
            text = revised(words, changes, member) if changes else words
            pages.append(page(f"{family}-{member}", text, rng.randint(1, 28)))
    rng.shuffle(pages)
    for verify in ("0", "0.8"):
        results = []
        for shards in (1, 3, 7, 16):
            for path in (dedup.folder / "pages").iterdir():
                path.unlink()
            for shard in range(shards):
                first, last = len(pages) * shard // shards, len(pages) * (shard + 1) // shards
                write_pages(dedup.folder, f"{shard:02d}", pages[first:last])
            out = f"{verify}-{shards}"
            dedup("run", "dedup.py", "--out", out, "-p", f"verify={verify}")
            results.append((kept(dedup, out), dataset_bytes(dedup.folder, out)))
        assert 24 <= len(results[0][0]) < len(pages)
        assert all(result == results[0] for result in results)


def test_proof_keeps_pages_that_only_share_a_template(dedup: Cli) -> None:
    """Hard negatives are kept with `verify`, counted as refused; revisions still fall together."""
    words = article(1, 400)
    numbers = [[*words[:200], f"{n}", *words[200:], f"{n * 7}"] for n in (11, 22)]
    pages = [
        page("template-a", [*words, *article(3, 60)], 1),
        page("template-b", [*words, *article(4, 60)], 2),
        page("revision-a", [*words, *article(3, 60), "revised"], 3),
        page("table-11", [str(n * 13 + 5) + f" unit{n}" for n in range(120)], 4),
        page("table-22", [str(n * 17 + 3) + f" unit{n}" for n in range(120)], 5),
        page("price-11", numbers[0], 6),
    ]
    write_pages(dedup.folder, "a", pages)
    dedup("run", "dedup.py")
    assert "table-22" not in kept(dedup)
    dedup("run", "dedup.py", "-p", "verify=0.9")
    assert {"template-a", "template-b", "table-11", "table-22"} <= set(kept(dedup))
    assert "revision-a" not in kept(dedup)
    stages = dedup.status("runs/dedup")
    assert stages["minhash_compared"]["dropped"] >= 1
    rows = {
        name: row for name, row in removed(dedup).items() if row["threshold"] == pytest.approx(0.9)
    }
    assert rows["revision-a"]["value"] >= 0.9
    assert rows["revision-a"]["duplicate_of"] == "template-a"


def test_texts_too_short_for_a_shingle_are_compared_exactly(dedup: Cli) -> None:
    """Two pages of three words duplicate each other only if they are the same."""
    pages = [page("a", ["one", "two"]), page("b", ["one", "two"], 2), page("c", ["one", "three"])]
    write_pages(dedup.folder, "a", pages)
    dedup("run", "dedup.py")
    assert kept(dedup) == ["a", "c"]


def test_exact_dedup_keeps_one_of_equal_texts(dedup: Cli) -> None:
    """Equal to the letter, or in a column; a text that differs in case is kept."""
    pages = [page("a", ["one", "two"], 2), page("b", ["one", "two"]), page("c", ["One", "two"])]
    write_pages(dedup.folder, "a", pages)
    dedup("run", "dedup.py", "-p", "kind=text")
    assert kept(dedup) == ["b", "c"]
    assert removed(dedup, "exact_deduped")["a"]["duplicate_of"] == "b"
    dedup("run", "dedup.py", "-p", "kind=date")
    assert kept(dedup) == ["a", "b"]
    done = dedup("run", "dedup.py", "-p", "kind=txt", code=2)
    assert "no step before it makes the column 'txt'" in done.stderr


def test_an_added_file_redoes_only_the_units_whose_clusters_change(dedup: Cli) -> None:
    """A file without duplicates leaves the deduplicated units of the others as they are."""
    words = article(1)
    write_pages(dedup.folder, "a", [page("a1", words), page("a2", article(2))])
    write_pages(dedup.folder, "b", [page("b1", article(3)), page("b2", article(4))])
    dedup("run", "dedup.py")
    before = manifest_times(dedup.folder, "minhash_deduped", "runs/dedup")
    write_pages(dedup.folder, "c", [page("c1", words, 9)])
    dedup("run", "dedup.py")
    after = manifest_times(dedup.folder, "minhash_deduped", "runs/dedup")
    unchanged = {name for name in before if after.get(name) == before[name]}
    assert len(unchanged) >= 1
    assert kept(dedup) == ["a1", "a2", "b1", "b2"]
    dedup("run", "dedup.py", "--out", "fresh")
    assert dataset_bytes(dedup.folder, "fresh") == dataset_bytes(dedup.folder, "runs/dedup")


def test_running_again_does_nothing(dedup: Cli) -> None:
    """A finished deduplication is not done again."""
    write_pages(dedup.folder, "a", [page("a1", article(1)), page("a2", article(1))])
    dedup("run", "dedup.py", "-p", "verify=0.8")
    again = dedup("run", "dedup.py", "-p", "verify=0.8")
    assert again.stderr.count("nothing left to do") == 9


def test_a_new_dump_is_matched_against_an_earlier_run(dedup: Cli) -> None:
    """A page the earlier run has is removed, naming the page there; nothing is signed again."""
    words = article(1)
    write_pages(dedup.folder, "old", [page("old-1", words), page("old-2", article(2))])
    dedup("run", "dedup.py", "--out", "old")
    signed = manifest_times(dedup.folder, "minhash_signatures", "old")
    write_pages(
        dedup.folder,
        "new",
        [
            page("new-1", revised(words, 3), 5),
            page("new-2", article(7), 5),
            page("new-3", article(7), 6),
            page("new-4", article(8), 5),
            page("new-5", article(2), 5),
            page("new-6", revised(article(2), 2), 6),
        ],
    )
    dedup("run", "dedup.py", "-p", "paths=pages/new.jsonl", "-p", "against=old")
    assert kept(dedup) == ["new-2", "new-4"]
    rows = removed(dedup)
    assert {name: row["duplicate_of"] for name, row in rows.items()} == {
        "new-1": "old-1",
        "new-3": "new-2",
        "new-5": "old-2",
        "new-6": "old-2",
    }
    assert rows["new-1"]["reason"] == "minhash_dedup/duplicate_of_earlier_run"
    assert rows["new-1"]["duplicate_of_url"] == "https://example.org/old-1"
    assert manifest_times(dedup.folder, "minhash_signatures", "old") == signed


def test_pages_of_an_earlier_run_can_be_marked_and_kept(dedup: Cli) -> None:
    """With action=mark they stay, with the id of the earlier page in a column."""
    write_pages(dedup.folder, "old", [page("old-1", article(1))])
    dedup("run", "dedup.py", "--out", "old")
    write_pages(dedup.folder, "new", [page("new-1", article(1), 5), page("new-2", article(2), 5)])
    arguments = ["-p", "paths=pages/new.jsonl", "-p", "against=old", "-p", "action=mark"]
    dedup("run", "dedup.py", *arguments)
    assert kept(dedup) == ["new-1", "new-2"]
    (path,) = [
        path
        for path in (dedup.folder / "runs/dedup/stages").glob("minhash_deduped-*/*.parquet")
        if ".decisions" not in path.name
    ]
    table = pq.read_table(path, columns=["id", "minhash_duplicate_of"]).to_pylist()
    assert table == [
        {"id": "new-1", "minhash_duplicate_of": "old-1"},
        {"id": "new-2", "minhash_duplicate_of": None},
    ]


def test_an_earlier_run_that_does_not_fit_is_refused(dedup: Cli) -> None:
    """No run there, other parameters, or proof asked for: each is one message."""
    write_pages(dedup.folder, "a", [page("a", article(1))])
    dedup("run", "dedup.py", "--out", "old", "-p", "buckets=7")
    for arguments, message in (
        (["-p", "against=nowhere"], "holds no run"),
        (["-p", "against=old"], "was made with other parameters"),
        (["-p", "against=old", "-p", "verify=0.8"], "cannot be used together"),
        (["-p", "verify=1.5"], "must be above 0 and at most 1"),
        (["-p", "keep=last"], "Allowed: first, longest"),
    ):
        done = dedup("run", "dedup.py", *arguments, code=2)
        assert message in done.stderr
        assert "Traceback" not in done.stderr


def test_documents_are_repeated_by_the_size_of_their_cluster(dedup: Cli) -> None:
    """A weight of 3 publishes a document three times, one of 0 leaves it out."""
    pages = [page("one", article(1)), page("two", article(2)), page("two-b", article(2), 2)]
    pages += [page(f"three-{n}", article(3), n + 1) for n in range(3)]
    write_pages(dedup.folder, "a", pages)
    dedup("run", "dedup.py", "-p", "weights=true")
    assert kept(dedup) == ["one", "two", "two", "two"]


def test_fineweb2_weights_are_those_of_the_paper(dedup: Cli) -> None:
    """Cluster sizes on both sides of each step."""
    stage = RehydrateStage(Stage("load", JsonlReader("x")), FINEWEB2_WEIGHTS, "size")
    sizes = (1, 2, 3, 4, 5, 99, 100, 999, 1000, 5000)
    assert [stage.weight(size) for size in sizes] == [1, 2, 3, 3, 5, 5, 8, 8, 1, 1]
