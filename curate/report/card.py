"""The dataset card: dataset/README.md, made from what the run did, and croissant.json beside it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..dataset import DatasetStage
from ..explain.safe_text import one_line
from ..storage import join, write_bytes, write_json
from .croissant import TERMS, croissant
from .published import Published, count
from .terminal import run_command

if TYPE_CHECKING:
    from ..plan import Plan
    from ..status import Status

_SIZES = (
    (1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
    (10**7, "1M<n<10M"), (10**8, "10M<n<100M"), (10**9, "100M<n<1B"), (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"), (10**12, "100B<n<1T"),
)  # fmt: skip  # Hugging Face's names
_TOP = 20


def write_card(plan: Plan, status: Status) -> None:
    """Write both. They hold no dates or machine names: equal data has an equal card."""
    published = count(plan)
    folder = join(plan.out, "dataset")
    text = card(plan, status, published)
    write_bytes(join(folder, "README.md"), text.encode("utf-8", "backslashreplace"))
    dataset = plan.stages[-1].stage
    total = status.stages[-1].total
    described = f"{total.kept:,} documents that curate made with the pipeline {plan.pipeline.name}."
    metadata = croissant(plan.pipeline.name, described, dataset.columns, published.files)
    write_json(join(folder, "croissant.json"), metadata)


def card(plan: Plan, status: Status, published: Published) -> str:
    """Return the card's Markdown, with Hugging Face's front matter."""
    dataset = plan.stages[-1].stage
    assert isinstance(dataset, DatasetStage)
    partitions = _partitions(plan, dataset)
    parts = [
        _front_matter(plan, dataset, status, published, partitions),
        f"# {plan.pipeline.name}",
        _summary(status, published),
        _incomplete(status),
        f"Columns: {', '.join(f'`{name}` ({kind})' for name, kind in dataset.published)}.",
        _partition_table(dataset, partitions),
        "```python\nimport datasets\n\n"
        'datasets.load_dataset("parquet", data_dir="data", split="train")\n```',
        _content(published),
        _funnel(status),
        _origin(plan),
        _limits(status),
        _terms(),
        "## Settings\n\n```json\n"
        + json.dumps(plan.settings(), indent=1, ensure_ascii=False, sort_keys=True)
        + "\n```",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front_matter(
    plan: Plan,
    dataset: DatasetStage,
    status: Status,
    published: Published,
    partitions: dict[str, list[int]],
) -> str:
    size = next((name for n, name in _SIZES if status.stages[-1].total.kept < n), "n>1T")
    codes = sorted({name.partition("_")[0] for name in published.languages} - {"unknown", "und"})
    codes = [code for code in codes if code.isascii() and code.isalpha() and len(code) in (2, 3)]
    lines = [f"pretty_name: {plan.pipeline.name}"]
    # Quoted: no, of Norwegian, and yes, of Nyankpa, would be false and true.
    lines += ["language:", *(f'- "{code}"' for code in codes)] if codes else []
    lines += ["license: other", "license_name: common-crawl-terms-of-use", f"license_link: {TERMS}"]
    lines += ["task_categories:", "- text-generation", "size_categories:", f"- {size}"]
    lines += ["configs:", _configs(dataset, partitions), "tags:", "- curate"]
    return "\n".join(["---", *lines, "---"])


def _summary(status: Status, published: Published) -> str:
    total = status.stages[-1].total
    facts = [f"{total.kept:,} documents", f"{total.text_chars:,} characters of text"]
    if published.tokens is not None:
        if published.counted == len(published.files):
            facts.append(f"{published.tokens:,} tokens")
        else:
            per_document = published.tokens / max(published.documents, 1)
            facts.append(f"about {per_document * total.kept:,.0f} tokens")
    files = f"{len(published.files):,} Parquet files" if published.files else "no files yet"
    return f"{', '.join(facts)}, in {files} of {published.bytes:,} bytes."


def _incomplete(status: Status) -> str:
    missing = [
        f"- {stage.name}: {stage.units - stage.done:,} of {stage.units:,} units are missing"
        for stage in status.stages
        if stage.units is not None and stage.units > stage.done
    ]
    return "\n".join(["**Incomplete:**", *missing]) if missing else ""


def _content(published: Published) -> str:
    if not published.documents:
        return ""
    lines = ["## What is in it"]
    if published.counted < len(published.files):
        lines.append(f"Counted in {published.counted} of {len(published.files):,} files.")
    for title, counts in (("language", published.languages), ("host", published.hosts)):
        if counts:
            top = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
            shown = [(_cell(name), f"{n:,}", f"{n / counts.total():.1%}") for name, n in top[:_TOP]]
            left = counts.total() - sum(n for _, n in top[:_TOP])
            if left:
                shown.append((f"{len(top) - _TOP:,} others", f"{left:,}", ""))
            lines.append(_table((title, "documents", "share"), shown, numbers=2))
    return "\n\n".join(lines)


def _funnel(status: Status) -> str:
    steps = [
        (
            stage.name,
            step.name,
            *(f"{n:,}" for n in (step.entered, step.kept)),
            *(f"{n:,}" for n in (step.dropped.total(), step.failed.total())),
        )
        for stage in status.stages
        for step in stage.total.steps
    ]
    reasons = [
        (stage.name, f"`{step.name}/{reason}`", f"{count:,}")
        for stage in status.stages
        for step in stage.total.steps
        for reason, count in sorted((step.dropped + step.failed).items())
    ]
    heads = ("stage", "step", "in", "kept", "dropped", "failed")
    tables = [_table(heads, steps, numbers=4)]
    if reasons:
        tables.append(_table(("stage", "reason", "records"), reasons, numbers=1))
    return "\n\n".join(["## What became of the records", *tables])


def _origin(plan: Plan) -> str:
    inputs = [file for files in plan.inputs.values() for file in files]
    size = sum(file.size for file in inputs)
    parameters = [(f"`{k}`", f"`{_cell(v)}`") for k, v in sorted(plan.parameters.items())]
    prints = [(planned.name, f"`{planned.fingerprint}`") for planned in plan.stages]
    tokenizer = plan.stages[-1].stage.file_metadata().get("curate.tokenizer")
    runs = f"runs/{plan.pipeline.name}"  # wherever it was written to: equal data, equal card
    lines = [
        "## How to make it again",
        f"From {len(inputs):,} input files of {size:,} bytes:",
        f"```sh\n{run_command(plan.path, plan.given, runs)}\n```",
        "Equal inputs and fingerprints give equal bytes; the dataset's is"
        f" `{plan.stages[-1].fingerprint}`.",
        _table(("stage", "fingerprint"), prints),
        _table(("parameter", "value"), parameters) if parameters else "",
        f"Tokens are counted with {_cell(tokenizer)}." if tokenizer else "",
    ]
    return "\n\n".join(line for line in lines if line)


def _limits(status: Status) -> str:
    failed = sum(stage.total.failed for stage in status.stages)
    given_up = sum(len(stage.failed_units) for stage in status.stages)
    lines = [
        "## Known limits",
        "- The text is what the extractor took for the main content: some pages keep a menu or a"
        " footer, some lose a table.\n"
        "- Filters judge by measures of form, and were tuned on samples; they drop good pages and"
        " keep bad ones. Languages and scripts differ in what such measures mean.\n"
        "- The web's own slant is in it: what is much written about, and in which languages.\n"
        "- Personal data can be left: addresses of mail and network are replaced only where a step"
        " above says so, names never.",
    ]
    if failed:
        lines[-1] += f"\n- {failed:,} records failed and are not in it."
    if given_up:
        lines[-1] += f"\n- {given_up:,} units of input were given up."
    return "\n\n".join(lines)


def _terms() -> str:
    return (
        "## Licence and terms\n\nThe text comes from web pages whose authors keep their rights; no"
        " licence to it is given here. Common Crawl's"
        f" [terms of use]({TERMS}) apply to data that was made from its crawl."
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a Markdown table whose last columns are numbers."""
    rules = ["---"] * (len(heads) - numbers) + ["---:"] * numbers
    lines = [f"| {' | '.join(heads)} |", f"|{'|'.join(rules)}|"]
    return "\n".join(lines + [f"| {' | '.join(row)} |" for row in rows])


def _cell(value: object) -> str:
    """Return a value as text that stays in its cell and is no markup."""
    text = one_line(str(value), 200)
    return text.replace("|", "\\|").replace("<", "&lt;").replace("`", "'")


def _partitions(plan: Plan, dataset: DatasetStage) -> dict[str, list[int]]:
    """Return documents and characters of each folder of the dataset."""
    found: dict[str, list[int]] = {}
    if dataset.partition:
        planned = plan.stages[-1]
        done = planned.done()
        for unit in plan.units(planned, partial=True) or []:
            if unit.name in done:
                manifest = planned.manifest(unit.name)
                folder = str(unit.spec["file"]).split("/")[-2]
                counts = found.setdefault(folder, [0, 0])
                counts[0] += manifest.kept
                counts[1] += manifest.text_chars
    return found


def _configs(dataset: DatasetStage, partitions: dict[str, list[int]]) -> str:
    paths = {"default": "data/*/*.parquet" if dataset.partition else "data/*.parquet"}
    # A value "default" has no name of its own here: all documents are under that one.
    named = sorted(name for name in partitions if name != "default")
    paths.update({name: f"data/{name}/*.parquet" for name in named})
    return "\n".join(
        f"- config_name: {json.dumps(name) if name != 'default' else name}"
        f"\n  data_files:\n  - split: train\n    path: {path}"
        for name, path in paths.items()
    )


def _partition_table(dataset: DatasetStage, partitions: dict[str, list[int]]) -> str:
    rows = sorted(partitions.items(), key=lambda item: (-item[1][1], item[0]))
    cells = [(name, f"{docs:,}", f"{chars:,}") for name, (docs, chars) in rows]
    heads = (dataset.partition, "documents", "characters")
    return _table(heads, cells, numbers=2) if cells else ""
