"""Deduplication as stages of a run: the right page is kept, and every removal is explained."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from curate import Stage
from curate.dedup.memory import available, check_memory
from curate.dedup.rehydrate import FINEWEB2_WEIGHTS, RehydrateStage
from curate.errors import CurateError, DefinitionError
from curate.explain.verify import verify
from curate.explain.why import Explainer
from curate.readers.records import JsonlReader

from .conftest import Cli, manifest_times
from .dedup_runs import PIPELINE, Dedup, article, page, revised


@pytest.fixture
def dedup(tmp_path: Path) -> Dedup:
    """A folder with a pipeline that removes duplicates from pages/*.jsonl."""
    return Dedup(tmp_path)


def test_the_earliest_page_of_a_cluster_is_kept_and_the_others_name_it(dedup: Dedup) -> None:
    """For each removed page: cluster, its size, and id and URL of the page that is kept."""
    words = article(1)
    dedup.write("a", [page("late", words, 9), page("other", article(2))])
    dedup.write("b", [page("early", revised(words, 3), 2), page("mid", words, 5)])
    assert dedup() == ["other", "early"]
    rows = dedup.removed()
    assert set(rows) == {"late", "mid"}
    for row in rows.values():
        assert row["reason"] == "minhash_dedup/duplicate"
        assert (row["duplicate_of"], row["cluster_size"]) == ("early", 3)
        assert row["duplicate_of_url"] == "https://example.org/early"
    assert rows["late"]["cluster"] == rows["mid"]["cluster"]
    assert [row["minhash_cluster_size"] for row in dedup.published()] == [1, 3]


def test_the_longest_page_can_be_kept_instead(dedup: Dedup) -> None:
    """`keep="longest"` keeps the page with most characters."""
    words = article(1)
    pages = [page("short", words[:-3], 1), page("long", [*words, "end"], 9), page("mid", words, 5)]
    dedup.write("a", pages)
    assert dedup(keep="longest") == ["long"]


@pytest.mark.parametrize(
    "date",
    [
        *("200{}", "2024-0{}", "2024-01-0{}", "2024010{}", "2024-01-0{}T10:20Z"),
        *("2024-01-0{} 10:20:30", "2024-01-05T10:20:30.0{}Z"),
    ],
)
def test_the_earliest_page_is_known_by_any_part_of_a_date(dedup: Dedup, date: str) -> None:
    """Not all dates are to the second; a page without one is kept of none that has."""
    pages = [page(f"p{day}", article(1)) | {"date": date.format(day)} for day in (7, 5, 2, 9, 3)]
    dedup.write("a", [page("none", article(1)) | {"date": None}, *pages])
    assert dedup() == ["p2"]


@pytest.mark.parametrize(
    "rule", [{}, {"verify": 0.8}, {"verify": 0.7, "measure": "containment"}, {"within": "language"}]
)
def test_sharding_changes_neither_the_documents_nor_the_bytes(
    dedup: Dedup, rule: dict[str, Any]
) -> None:
    """The same pages in 1, 3, 7 and 16 files give the same dataset, with and without proof."""
    rng = random.Random(5)
    pages = []
    for family in range(24):
        words = article(family)
        for member in range(rng.randint(1, 4)):
            changes = rng.choice([0, 2, 8, 30])
            text = revised(words, changes, member) if changes else words
            text = text[: rng.choice([60, 300, 300])] + article(rng.randint(100, 120), 40)
            language = rng.choice(["en", "de"])
            pages.append(page(f"{family}-{member}", text, rng.randint(1, 28), language=language))
    rng.shuffle(pages)
    results = []
    for shards in (1, 3, 7, 16):
        for path in (dedup.folder / "pages").iterdir():
            path.unlink()
        for shard in range(shards):
            first, last = len(pages) * shard // shards, len(pages) * (shard + 1) // shards
            dedup.write(f"{shard:02d}", pages[first:last])
        out = f"out-{shards}"
        results.append((dedup(out, **rule), dedup.bytes(out)))
    assert 24 <= len(results[0][0]) < len(pages)
    assert all(result == results[0] for result in results)


def test_proof_keeps_pages_that_only_share_a_template(dedup: Dedup) -> None:
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
    dedup.write("a", pages)
    assert "table-22" not in dedup()
    kept = dedup(verify=0.9)
    assert {"template-a", "template-b", "table-11", "table-22"} <= set(kept)
    assert "revision-a" not in kept
    assert sum(manifest["dropped"] for manifest in dedup.stage("minhash_compared")) >= 1
    row = dedup.removed()["revision-a"]
    assert row["threshold"] == pytest.approx(0.9)
    assert row["value"] >= 0.9
    assert row["duplicate_of"] == "template-a"


def test_texts_too_short_for_a_shingle_are_compared_exactly(dedup: Dedup) -> None:
    """Two pages of three words duplicate each other only if they are the same."""
    pages = [page("a", ["one", "two"]), page("b", ["one", "two"], 2), page("c", ["one", "three"])]
    dedup.write("a", pages)
    assert dedup() == ["a", "c"]


def test_exact_dedup_keeps_one_of_equal_texts(dedup: Dedup) -> None:
    """Equal to the letter, or in a column; a text that differs in case is kept."""
    pages = [page("a", ["one", "two"], 2), page("b", ["one", "two"]), page("c", ["One", "two"])]
    dedup.write("a", pages)
    assert dedup(kind="text") == ["b", "c"]
    assert [row["duplicate_count"] for row in dedup.published()] == [2, 1]
    assert dedup.removed("exact_deduped")["a"]["duplicate_of"] == "b"
    assert dedup(kind="date") == ["a", "b"]
    assert [row["date_duplicate_count"] for row in dedup.published()] == [1, 2]


def test_zero_is_a_value_as_any_other(dedup: Dedup) -> None:
    """Documents with 0 in a column duplicate each other; those without a value do not."""
    sizes = {"a": 0, "b": 0, "c": 1, "d": None, "e": None, "f": 1}
    pages = [page(name, [name], day, size=n) for day, (name, n) in enumerate(sizes.items(), 1)]
    dedup.write("a", pages)
    assert dedup(kind="size") == ["a", "c", "d", "e"]
    assert [row["size_duplicate_count"] for row in dedup.published()] == [2, 2, 1, 1]


@pytest.mark.parametrize(
    ("spaces", "kept"), [(True, ["a", "b", "c", "d", "e"]), (False, ["a", "d", "e"])]
)
def test_white_space_can_be_ignored(dedup: Dedup, spaces: bool, kept: list[str]) -> None:
    """As FinePDFs compares texts; a text of white space alone is compared with none."""
    texts = {"a": "one two\n", "b": "o ne\u00a0two", "c": "\tonetwo", "d": " "}
    pages = [page(name, [text], day) for day, (name, text) in enumerate(texts.items(), start=1)]
    dedup.write("a", [*pages, page("e", [" \t"], 9)])
    assert dedup(kind="text", spaces=spaces) == kept


@pytest.mark.parametrize("kind", ["text", "minhash"])
def test_documents_are_compared_within_a_value_only(dedup: Dedup, kind: str) -> None:
    """Those of another language stay; those without one are compared with each other."""
    values = [("a", "en"), ("b", "de"), ("c", "en"), ("d", None), ("e", ""), ("f", None)]
    for name, words in (("long", article(1)), ("short", ["one", "two"])):
        pages = [page(f"{name}-{n}", words, ord(n) - 96, language=value) for n, value in values]
        dedup.write(name, pages)
    names = dedup(kind=kind, within="language")
    assert names == [f"{name}-{number}" for name in ("long", "short") for number in "abde"]


def test_kinds_of_deduplication_follow_one_another(dedup: Dedup) -> None:
    """Each by its own name, so that one pipeline may have several; their columns stay apart."""
    words = article(1)
    pages = [page("a", words), page("b", words, 2), page("c", revised(words, 2), 3)]
    copy = {**page("d", article(2)), "url": pages[0]["url"], "date": "2025"}
    dedup.write("a", [*pages, copy])
    assert dedup(exact_first=True, name="near") == ["a"]
    (row,) = dedup.published()
    assert row["url_duplicate_count"] == row["duplicate_count"] == row["minhash_cluster_size"] == 2
    removed = {stage: dedup.removed(f"{stage}_deduped") for stage in ("url", "exact", "near")}
    assert {stage: list(rows) for stage, rows in removed.items()} == {
        "url": ["d"],
        "exact": ["b"],
        "near": ["c"],
    }
    assert removed["near"]["c"]["reason"] == "near_dedup/duplicate"


def test_only_the_beginning_of_a_long_text_is_signed(dedup: Dedup) -> None:
    """`max_chars` finds texts that begin alike; a proof asks for the whole."""
    words = article(1)
    pages = [page("a", [*words, *article(2, 2000)]), page("b", [*words, *article(3, 2000)], 2)]
    dedup.write("a", pages)
    size = len(" ".join(words)) + 3
    assert dedup() == ["a", "b"]
    assert dedup(max_chars=size) == ["a"]
    assert dedup(max_chars=size, verify=0.8) == ["a", "b"]


def test_an_added_file_redoes_only_the_units_whose_clusters_change(dedup: Dedup) -> None:
    """A file without duplicates leaves the deduplicated units of the others as they are."""
    words = article(1)
    dedup.write("b", [page("a1", words), page("a2", article(2))])
    dedup.write("c", [page("b1", article(3)), page("b2", article(4)), page("b3", article(3))])
    dedup()
    before = manifest_times(dedup.folder, "minhash_deduped", "out")
    dedup.write("a", [page("c1", words, 9)])
    assert dedup() == ["a1", "a2", "b1", "b2"]
    after = manifest_times(dedup.folder, "minhash_deduped", "out")
    unchanged = sorted(before)[1]
    assert after[unchanged] == before[unchanged]
    assert len(after) == len(before) + 2
    dedup("fresh")
    assert dedup.bytes("fresh") == dedup.bytes()


def test_many_units_find_their_clusters(dedup: Dedup) -> None:
    """More units than one file of members holds, some of them without any."""
    for number in range(230):
        name = f"{number:03d}"
        date = f"2024-01-01T{number // 60:02d}:{number % 60:02d}:00Z"
        word = f"word{number // 2 if number % 20 > 1 else -number}"
        dedup.write(name, [page(name, [word], date=date)])
    kept = dedup(kind="text")
    assert kept == [f"{n:03d}" for n in range(230) if n % 2 == 0 or n % 20 == 1]
    (clusters,) = dedup.stage("exact_clusters")
    assert len(clusters["files"]) == 2


def test_running_again_does_nothing(cli: Cli) -> None:
    """A finished deduplication is not done again; a wrong column is one message."""
    (cli.folder / "dedup.py").write_text(PIPELINE)
    (cli.folder / "pages").mkdir()
    (cli.folder / "pages/a.jsonl").write_text('{"id": "a", "text": "a"}\n{"id": "b", "text": "a"}')
    cli("run", "dedup.py", "-p", "verify=0.8")
    again = cli("run", "dedup.py", "-p", "verify=0.8")
    assert again.stderr.count("nothing left to do") == 9
    done = cli("run", "dedup.py", "-p", "kind=txt", code=2)
    assert "no step before it makes the column 'txt'" in done.stderr


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"verify": 1.5}, "must be above 0 and at most 1"),
        ({"keep": "last"}, "Allowed: first, longest"),
        ({"action": "report"}, "Allowed: drop, mark"),
        ({"measure": "cosine"}, "Allowed: jaccard, containment"),
        ({"measure": "containment"}, "removes nothing without proof"),
        ({"within": "lang"}, "no step before it makes the column 'lang'"),
        ({"within": "size"}, "within='size' is int64. Name a string column"),
        ({"name": "by text"}, "deduplication name 'by text' is not allowed"),
    ],
)
def test_a_wrong_parameter_is_refused(
    dedup: Dedup, parameters: dict[str, Any], message: str
) -> None:
    """The message says what is allowed."""
    with pytest.raises(DefinitionError, match=message):
        dedup(**parameters)


def test_signatures_stay_good_when_parameters_that_came_later_are_not_used() -> None:
    """Runs of before `within`, `max_chars` and `ignore_whitespace` are not done again."""
    from curate.dedup.minhash import MinHashParams
    from curate.dedup.signatures import ExactParams, SignatureStage

    load = Stage("load", JsonlReader("x"))
    stage = SignatureStage("minhash_signatures", load, MinHashParams())
    assert stage.identity() == {
        "params": {
            "kind": "curate.dedup.minhash.MinHashParams",
            "ngram_size": 5,
            "num_buckets": 14,
            "hashes_per_bucket": 8,
            "hash": "xxhash",
            "seed": 1,
        },
        "version": 1,
    }
    exact = SignatureStage("exact_signatures", load, ExactParams("url"))
    assert exact.settings() == {"by": "url"}
    changed = SignatureStage("exact_signatures", load, ExactParams("url", True), "language")
    assert changed.settings() == {"by": "url", "ignore_whitespace": True, "within": "language"}


def test_a_task_that_needs_more_memory_than_there_is_says_so() -> None:
    """Before it begins, and what can be done."""
    free = available()
    assert free is not None and free > 0
    check_memory("minhash_clusters", "2 documents", 1)
    with pytest.raises(CurateError, match=r"minhash_clusters: 9 documents take about .* GB"):
        check_memory("minhash_clusters", "9 documents", free * 2)


def test_captures_of_one_id_are_not_taken_for_each_other(dedup: Dedup) -> None:
    """What a removed one differs in is told from the one that is kept, not from itself."""
    words = article(1)
    dedup.write("a", [page("url", revised(words, 3), 9)])
    dedup.write("b", [page("url", words, 2)])
    dedup()
    assert [row["text"] for row in dedup.published()] == [" ".join(words)]
    explainer = Explainer(str(dedup.folder / "out"))
    ways = [explainer.trace(place) for place in explainer.find("url")]
    (removed,) = (way[-1]["duplicate"] for way in ways if way[-1]["outcome"] == "dropped")
    assert removed["similarity"] < 1 and len(removed["difference"]) == 2


def test_documents_are_repeated_by_the_size_of_their_cluster(dedup: Dedup) -> None:
    """A weight of 3 publishes a document three times, one of 0 leaves it out."""
    pages = [page("one", article(1)), page("two", article(2)), page("two-b", article(2), 2)]
    pages += [page(f"three-{n}", article(3), n + 1) for n in range(3)]
    dedup.write("a", pages)
    assert dedup(weights="minhash_cluster_size") == ["one", "two", "two", "two"]
    (manifest,) = dedup.stage("rehydrate")
    assert (manifest["in"], manifest["kept"], manifest["dropped"]) == (3, 2, 1)
    assert manifest["steps"][0]["dropped"] == {"left_out": 1}
    # This run has no card; nothing is to be removed.
    assert not [fault for fault in verify(str(dedup.folder / "out")).faults if fault.remove]
    explainer = Explainer(str(dedup.folder / "out"))
    ways = {name: explainer.trace(explainer.find(name)[0]) for name in ("one", "two", "three-0")}
    assert [(ways[name][-1]["outcome"], ways[name][-1]["row"]) for name in ("one", "two")] == [
        ("published", 0),
        ("published", 1),
    ]
    assert ways["three-0"][-1]["reason"] == "rehydrate/left_out"


@pytest.mark.parametrize("size", [None, 0, -1])
def test_a_document_without_a_size_fails_alone(dedup: Dedup, size: int | None) -> None:
    """As where the column is of a file that somebody else has written."""
    dedup.write("a", [page("a", ["one"], size=size), page("b", ["two"], size=2)])
    assert dedup(kind="none", weights="size") == ["b", "b", "b"]
    (manifest,) = dedup.stage("rehydrate")
    assert manifest["steps"][0]["failed"] == {"no_size": 1}


def test_fineweb2_weights_are_those_of_the_paper() -> None:
    """Cluster sizes on both sides of each step."""
    stage = RehydrateStage(Stage("load", JsonlReader("x")), FINEWEB2_WEIGHTS, "size")
    sizes = (1, 2, 3, 4, 5, 99, 100, 999, 1000, 5000)
    assert [stage.weight(size) for size in sizes] == [1, 2, 3, 3, 5, 5, 8, 8, 1, 1]
