"""The dataset card: dataset/README.md, made from what the run did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from ..dataset import DatasetStage
from ..storage import join, write_bytes

if TYPE_CHECKING:
    from ..plan import Plan
    from ..status import Status


def write_card(plan: Plan, status: Status) -> None:
    """Write the card. It holds no dates or machine names: equal data has an equal card."""
    write_bytes(join(plan.out, "dataset", "README.md"), card(plan, status).encode())


def card(plan: Plan, status: Status) -> str:
    """Return the card's Markdown, with Hugging Face's front matter."""
    dataset = plan.stages[-1].stage
    assert isinstance(dataset, DatasetStage)
    total = status.stages[-1].total
    parameters = "\n".join(
        f"| `{name}` | `{value}` |" for name, value in sorted(plan.parameters.items())
    )
    missing = [
        f"- {stage.name}: {stage.units - stage.done:,} of {stage.units:,} units are missing"
        for stage in status.stages
        if stage.units is not None and stage.units > stage.done
    ]
    funnel = "\n".join(
        f"| {stage.name} | {step.name} | {step.entered:,} | {step.kept:,} |"
        f" {step.dropped.total():,} | {step.failed.total():,} |"
        for stage in status.stages
        for step in stage.total.steps
    )
    reasons = "\n".join(
        f"| {stage.name} | `{step.name}/{reason}` | {count:,} |"
        for stage in status.stages
        for step in stage.total.steps
        for reason, count in sorted((step.dropped + step.failed).items())
    )
    partitions = _partitions(plan, dataset)
    settings = json.dumps(plan.settings(), indent=1, ensure_ascii=False, sort_keys=True)
    return f"""---
configs:
{_configs(dataset, partitions)}
tags:
- curate
---

# {plan.pipeline.name}

{total.kept:,} documents, {total.text_chars:,} characters of text.
{chr(10).join(["", "**Incomplete:**", *missing, ""]) if missing else ""}
Columns: {", ".join(f"`{name}` ({kind})" for name, kind in dataset.published)}.
{_partition_table(dataset, partitions)}
## How it was made

`{plan.path}` with

| parameter | value |
|---|---|
{parameters or "| (defaults) | |"}

| stage | fingerprint |
|---|---|
{chr(10).join(f"| {planned.name} | `{planned.fingerprint}` |" for planned in plan.stages)}

## What became of the records

| stage | step | in | kept | dropped | failed |
|---|---|---:|---:|---:|---:|
{funnel}

| stage | reason | records |
|---|---|---:|
{reasons}

## Settings

```json
{settings}
```

The text comes from web pages whose authors keep their rights. Common Crawl's terms of use apply to
data that was made from its crawl.
"""


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
    paths.update({name: f"data/{name}/*.parquet" for name in sorted(partitions)})
    return "\n".join(
        f"- config_name: {json.dumps(name) if name != 'default' else name}"
        f"\n  data_files:\n  - split: train\n    path: {path}"
        for name, path in paths.items()
    )


def _partition_table(dataset: DatasetStage, partitions: dict[str, list[int]]) -> str:
    if not partitions:
        return ""
    rows = sorted(partitions.items(), key=lambda item: (-item[1][1], item[0]))
    lines = [f"| {name} | {docs:,} | {chars:,} |" for name, (docs, chars) in rows]
    head = [f"| {dataset.partition} | documents | characters |", "|---|---:|---:|"]
    return "\n".join(["", *head, *lines, ""])
