"""A new dump is matched against earlier runs, with and without proof."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from curate.errors import DefinitionError

from .conftest import Cli, manifest_times
from .dedup_runs import Dedup, article, page, revised


@pytest.fixture
def dedup(tmp_path: Path) -> Dedup:
    """A folder with a pipeline that removes duplicates from pages/*.jsonl."""
    return Dedup(tmp_path)


NEW: dict[str, Any] = {"paths": "pages/new.jsonl", "against": "old"}


def test_a_new_dump_is_matched_against_an_earlier_run(dedup: Dedup) -> None:
    """A page the earlier run has is removed, naming the page there; nothing is signed again."""
    words = article(1)
    dedup.write("old", [page("old-1", words), page("old-2", article(2))])
    dedup("old")
    signed = manifest_times(dedup.folder, "minhash_signatures", "old")
    dedup.write(
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
    for verify in (0, 0.8):
        assert dedup(**NEW, verify=verify) == ["new-2", "new-4"]
        rows = dedup.removed()
        assert {name: row["duplicate_of"] for name, row in rows.items()} == {
            "new-1": "old-1",
            "new-3": "new-2",
            "new-5": "old-2",
            "new-6": "old-2",
        }
        assert rows["new-1"]["reason"] == "minhash_dedup/duplicate_of_earlier_run"
        assert rows["new-1"]["duplicate_of_url"] == "https://example.org/old-1"
        assert rows["new-5"]["cluster"] == rows["new-6"]["cluster"] != rows["new-1"]["cluster"]
    assert rows["new-5"]["value"] == 1.0
    assert 0.8 <= rows["new-1"]["value"] < 1.0
    assert (rows["new-5"]["cluster_size"], rows["new-1"]["cluster_size"]) == (3, 2)
    assert manifest_times(dedup.folder, "minhash_signatures", "old") == signed


@pytest.mark.parametrize("verify", [0, 0.8])
def test_pages_of_an_earlier_run_can_be_marked_and_kept(dedup: Dedup, verify: float) -> None:
    """With action=mark they stay, with the id of the earlier page in a column."""
    words = article(1)
    dedup.write("old", [page("old-1", words)])
    dedup("old")
    pages = [page("new-1", words, 5), page("new-2", article(2), 5)]
    dedup.write("new", [*pages, page("new-3", revised(words, 2), 6)])
    assert dedup(**NEW, action="mark", verify=verify) == ["new-1", "new-2"]
    marks = [(row["id"], row["minhash_duplicate_of"]) for row in dedup.published()]
    assert marks == [("new-1", "old-1"), ("new-2", None)]
    assert [row["minhash_cluster_size"] for row in dedup.published()] == [2, 1]
    assert dedup.removed()["new-3"]["duplicate_of"] == "new-1"


def test_a_page_is_removed_only_for_an_earlier_one_that_is_proven(dedup: Dedup) -> None:
    """One that shares a template with an earlier page stays, and leads its own copies."""
    template = article(1, 400)
    dedup.write("old", [page("old", [*template, *article(2, 60)])])
    dedup("old")
    other = [*template, *article(3, 60)]
    dedup.write("new", [page("new-1", other, 5), page("new-2", revised(other, 2), 6)])
    assert dedup(**NEW) == []
    assert dedup(**NEW, verify=0.85) == ["new-1"]
    assert dedup.removed()["new-2"]["duplicate_of"] == "new-1"
    (compared,) = dedup.stage("minhash_compared")
    assert (compared["in"], compared["dropped"]) == (2, 1)
    assert dedup(**NEW, verify=0.85, action="mark") == ["new-1"]
    assert dedup.published()[0]["minhash_duplicate_of"] is None


@pytest.mark.parametrize("verify", [0, 0.8])
def test_the_earlier_page_that_is_named_was_kept_there(dedup: Dedup, verify: float) -> None:
    """A new page like one that the earlier run removed is compared with the one it kept."""
    words = article(1)
    chain = [page("kept", words), page("removed", [*words[60:], *article(5, 30)], 2)]
    dedup.write("old", [page("other", article(9)), *chain, page("last", article(8))])
    assert dedup("old", verify=0.6) == ["other", "kept", "last"]
    text = [*words[80:], *article(5, 30)]
    dedup.write("new", [page("far", text, 5), page("near", words[:-5], 6)])
    found = dedup(**NEW, verify=verify)
    rows = dedup.removed()
    assert rows["near"]["duplicate_of"] == "kept"
    assert found == (["far"] if verify else [])
    if not verify:
        assert rows["far"]["duplicate_of"] == "kept"


def test_a_chain_of_runs_names_the_first(dedup: Dedup) -> None:
    """A page that run 2 removed for one of run 1 does not stand for a page of run 3."""
    words = article(1)
    dedup.write("1", [page("one", words)])
    dedup("first", paths="pages/1.jsonl")
    dedup.write("2", [page("two", words, 2), page("two-b", article(2), 2)])
    assert dedup("second", paths="pages/2.jsonl", against="first", verify=0.8) == ["two-b"]
    dedup.write("3", [page("three", words, 3), page("three-b", article(2), 3)])
    assert dedup("third", paths="pages/3.jsonl", against="second") == []
    names = {name: row["duplicate_of"] for name, row in dedup.removed(out="third").items()}
    assert names == {"three": "one", "three-b": "two-b"}
    both = {"paths": "pages/3.jsonl", "against": "first second", "verify": 0.8}
    assert dedup("fourth", **both) == []
    assert dedup.removed(out="fourth")["three"]["duplicate_of"] == "one"
    assert dedup("fifth", **(both | {"against": "second"})) == ["three"]


def test_an_earlier_run_may_have_any_sharding(dedup: Dedup) -> None:
    """Neither its files nor those of the new dump change what is removed."""
    old = [page(f"old-{n}", article(n), n % 9 + 1) for n in range(12)]
    new = [page(f"new-{n}", revised(article(n), n % 7 * 3), n % 5 + 9) for n in range(4, 20)]
    results = []
    for shards in (1, 5):
        for path in (dedup.folder / "pages").iterdir():
            path.unlink()
        for shard in range(shards):
            dedup.write(f"old-{shard}", old[shard * 12 // shards : (shard + 1) * 12 // shards])
            dedup.write(f"new-{shard}", new[shard * 16 // shards : (shard + 1) * 16 // shards])
        dedup(f"old-{shards}", paths="pages/old*.jsonl")
        arguments = {"paths": "pages/new*.jsonl", "against": f"old-{shards}", "verify": 0.8}
        names = dedup(f"new-{shards}", **arguments)
        rows = dedup.removed(out=f"new-{shards}")
        told = {
            name: (row["duplicate_of"], row["value"], row["cluster"]) for name, row in rows.items()
        }
        results.append((names, told, dedup.bytes(f"new-{shards}")))
    assert results[0] == results[1]
    assert set(results[0][0]) >= {f"new-{n}" for n in range(12, 20)}
    assert results[0][1]["new-7"][:2] == ("old-7", 1.0)


def test_an_earlier_run_that_does_not_fit_is_refused(dedup: Dedup) -> None:
    """None there, other parameters, another name, not finished, of an earlier version."""
    dedup.write("a", [page("a", article(1)), page("b", article(1))])
    dedup("old")
    for parameters, message in (
        ({"against": "nowhere"}, "holds no run"),
        ({"against": "old", "buckets": 7}, "was made with other parameters"),
        ({"against": "old", "within": "language"}, "was made with other parameters"),
        ({"against": "old", "name": "near"}, "no finished near_buckets"),
    ):
        with pytest.raises(DefinitionError, match=message):
            dedup(**parameters)
    (path,) = (dedup.folder / "old/stages").glob("minhash_clusters-*/*.json")
    manifest = json.loads(path.read_text())
    old = {**manifest, "details": {"units": {}}}
    del old["sha256"]
    path.write_text(json.dumps(old))
    with pytest.raises(DefinitionError, match=r"of an earlier version\.\nRun it again"):
        dedup(against="old")
    path.write_text(json.dumps(manifest))
    (documents,) = (dedup.folder / "old/stages").glob("load-*/a-??????????.parquet")
    documents.unlink()
    with pytest.raises(DefinitionError, match=r"must stay where they are"):
        dedup(against="old", verify=0.8)


def test_an_earlier_run_may_have_given_a_unit_up(dedup: Dedup, cli: Cli) -> None:
    """It is matched against what that run has compared; once that is whole, against all."""
    dedup.write("old-1", [page("early", article(1))])
    unread = dedup.folder / "pages/old-0.jsonl"
    unread.write_bytes(b"\x28\xb5\x2f\xfd, as Zstandard begins")
    dedup.write("new", [page("new-1", article(1)), page("new-2", article(2))])
    old = ("run", "dedup.py", "--out", "old", "-p", "paths=pages/old-*.jsonl")
    new = ("run", "dedup.py", "--out", "new", "-p", "paths=pages/new.jsonl", "-p", "against=old")
    cli(*old, code=1)
    cli(*new)
    assert [row["id"] for row in dedup.published("new")] == ["new-2"]
    assert dedup.removed(out="new")["new-1"]["duplicate_of"] == "early"

    dedup.write("old-0", [page("later", article(2))])
    cli(*old)
    cli(*new)
    assert dedup.published("new") == []
    assert dedup.removed(out="new")["new-2"]["duplicate_of"] == "later"

    (signed,) = (dedup.folder / "old/stages").glob("minhash_signatures-*/old-0-*.json")
    signed.unlink()
    (dedup.folder / "new/stages").rename(dedup.folder / "elsewhere")
    assert "is not as it was when its documents were compared" in cli(*new, code=2).stderr
