"""report.html: what is in it, that it stays small, and that crawled text cannot act."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from curate.cli import main
from curate.explain.run_files import RunFiles
from curate.explain.show import Reader
from curate.report.figures import read_figures
from curate.report.histograms import STEPS_PER_BAR, Histogram, histograms, read_measures
from curate.report.html_report import report
from curate.status import read_status

from .conftest import Cli, write_input
from .dedup_runs import Dedup, article, page, revised
from .explained_runs import hostile_run, lengths_run, sample_run


class Page(HTMLParser):
    """The elements, attributes and text of a page, as a browser sees them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._hidden = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag in ("script", "style"):
            self._hidden = tag

    def handle_endtag(self, tag: str) -> None:
        if tag == self._hidden:
            self._hidden = ""

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.text += data


def read_report(run: Path) -> str:
    """Return a run's report."""
    return (run / "report.html").read_text()


def test_a_run_leaves_a_report_with_all_its_numbers() -> None:
    """Every step, every reason with its count, the settings and the versions are there."""
    run = sample_run()
    page = Page(read_report(run))
    words = " ".join(page.text.split())
    status = read_status(str(run))
    for stage in status.stages:
        for step in stage.total.steps:
            assert step.name in words
            for reason in [*step.dropped, *step.failed]:
                assert reason in words
        assert stage.fingerprint in words
    assert f"{status.stages[-1].total.text_chars:,}" in words
    for told in ("min_words", "top_4_gram", "debian-handbook.info", "python", "Duplicates: "):
        assert told in words, told


def test_a_report_needs_no_network_and_no_mouse() -> None:
    """Nothing is loaded from anywhere; sliders and samples are elements that keys reach."""
    page = Page(read_report(sample_run()))
    for tag, attributes in page.elements:
        assert "src" not in attributes and tag not in ("link", "iframe", "object", "base")
        assert (attributes.get("href") or "#").startswith("#")
    names = [tag for tag, _ in page.elements]
    assert names.count("input") > 20 and names.count("details") > 20
    labels = [a.get("aria-label") for tag, a in page.elements if tag == "input"]
    assert all(labels) and len(set(labels)) > 20


def test_a_report_can_be_written_again(capsys: pytest.CaptureFixture[str]) -> None:
    """`curate report` writes the same file from the run's files alone."""
    run = sample_run()
    before = read_report(run)
    assert main(["report", str(run)]) == 0
    assert capsys.readouterr().out.strip() == f"{run}/report.html"
    assert read_report(run) == before


def test_crawled_text_is_text_and_nothing_else() -> None:
    """No element, attribute, control or direction mark of a page gets into the report."""
    text = read_report(hostile_run())
    page = Page(text)
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not [a for _, a in page.elements if any(name.startswith("on") for name in a)]
    assert not {"img", "b\u202e"} & {tag for tag, _ in page.elements}
    policy = next(a["content"] for t, a in page.elements if "http-equiv" in a) or ""
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", text)
    assert "<script>document.title = 'owned'</script>" in page.text
    assert "␛]0;owned␇" in page.text and "[RLO]" in page.text and "␀" in page.text
    assert "not json <script>" not in text


def test_a_report_stays_under_3_mb() -> None:
    """However many reasons there are, and however long their pages: samples are cut."""
    figures = read_figures(str(hostile_run()))
    assert len(report(figures)) < 3_000_000
    shown = replace(figures.kept_samples[0], text="<&>\u4e2d" * 300_000)
    figures.dropped_samples = {f"filter: custom/reason_{n}": [shown] * 6 for n in range(200)}
    page = report(figures).decode()
    assert len(page) < 3_000_000
    assert page.endswith("</html>\n") and "reason_199" in page


def test_a_slider_says_what_a_run_with_that_threshold_would_keep() -> None:
    """The estimate from the decisions is what filtering again gives, on a fully measured run."""
    run, least = lengths_run(), 300
    (chart,) = [one for one in _charts(run) if one.rule.field == "min_words"]
    assert kept_at(chart, chart.rule.threshold) == chart.kept
    (again,) = [
        stage for stage in read_status(str(lengths_run(least))).stages if stage.name == "filter"
    ]
    assert kept_at(chart, least) == again.total.kept


def _charts(run: Path) -> list[Histogram]:
    stage = RunFiles(str(run)).stage("filter")
    found = read_measures(stage)
    assert found is not None
    (total,) = [one.total for one in read_status(str(run)).stages if one.name == "filter"]
    return histograms(stage, found, total.kept)


def kept_at(chart: Histogram, threshold: float) -> int:
    """Return what the report's script computes for the slider step nearest to a threshold."""
    import numpy as np

    scale = np.log10 if chart.logarithmic else np.asarray
    edges = np.array(chart.edges)
    low, high = scale(edges[0]), scale(edges[-1])
    steps = (len(edges) - 1) * STEPS_PER_BAR
    at = round(float((scale(threshold) - low) / (high - low) * steps))
    free = np.array(chart.free)
    passed, now = (
        (free[place:] if chart.rule.direction == "min" else free[:place]).sum()
        for place in (at, chart.position)
    )
    return round(float(chart.kept + passed - now))


def test_groups_of_each_deduplication_are_counted(tmp_path: Path) -> None:
    """A page that is kept of its copies, and then of pages like it, stands for two groups."""
    dedup, words = Dedup(tmp_path), article(1)
    copies = [page("first", words, 1), page("copy", words, 2)]
    dedup.write("a", [*copies, page("alike", revised(words, 3), 3), page("other", article(2))])
    assert dedup(exact_first=True) == ["first", "other"]
    found = read_figures(str(tmp_path / "out")).clusters
    assert (found.sizes, found.removed) == ([("2", 2)], 2)
    assert found.largest == [(2, "https://example.org/first")] * 2


def test_an_input_without_documents_does_not_make_a_report_partial(cli: Cli) -> None:
    """Histograms of all there is are not said to be of a part."""
    write_input(cli.folder, "empty", [])
    cli("run", "toy.py")
    assert read_figures(str(cli.folder / "runs/toy")).histograms
    assert "a part of" not in read_report(cli.folder / "runs/toy")


def test_what_was_measured_is_known_by_its_reason_behind_many_empty_inputs(cli: Cli) -> None:
    """A lower threshold keeps more, and `show --near` finds it, whichever unit comes first."""
    for number in range(9):
        write_input(cli.folder, f"0{number}", [])
    cli("run", "toy.py")
    (chart,) = _charts(cli.folder / "runs/toy")
    assert kept_at(chart, 10) > kept_at(chart, 20) == chart.kept
    assert "too_short" in cli("show", "runs/toy", "--near", "too_short").stdout


def test_a_report_says_when_lengths_are_of_a_part(tmp_path: Path) -> None:
    """Of a file with many documents the first are measured; of a small one all, with no note."""
    dedup = Dedup(tmp_path)
    dedup.write("a", [page(f"{n}", ["word"] * 9) for n in range(2_600)])
    dedup.write("b", [page(f"{n}", ["word"] * 9) for n in range(12)])
    for paths, count, notes in (("pages/a.jsonl", 2_000, 1), ("pages/b.jsonl", 12, 0)):
        dedup(kind="none", paths=paths)
        figures = read_figures(str(tmp_path / "out"))
        assert sum(documents for *_, documents in figures.lengths) == count
        assert [note.partition(":")[0] for note in figures.sampled] == ["lengths"] * notes


def test_copies_of_a_page_are_published_documents(tmp_path: Path) -> None:
    """A page that is repeated counts as often as it is in the dataset; each text is to be read."""
    dedup = Dedup(tmp_path)
    pages = [page("one", article(1)), *(page(name, article(2)) for name in ("two", "alike"))]
    last = page("last", article(3)) | {"url": "https://other.example/"}
    dedup.write("a", [*pages, last])
    published = dedup(weights="minhash_cluster_size")
    assert len(published) == 5 and set(published[1:4]) <= {"two", "alike"}
    hosts = [(one.host, one.kept, one.records) for one in read_figures(f"{tmp_path}/out").domains]
    assert hosts == [("example.org", 4, 3), ("other.example", 1, 1)]
    texts = {shown.id: shown.text for shown in Reader(f"{tmp_path}/out").kept()}
    assert texts == {row["id"]: row["text"] for row in dedup.published()}
