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
    settings = json.dumps(plan.settings(), indent=1, ensure_ascii=False, sort_keys=True)
    return f"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/*.parquet
tags:
- curate
---

# {plan.pipeline.name}

{total.kept:,} documents, {total.text_chars:,} characters of text.
{chr(10).join(["", "**Incomplete:**", *missing, ""]) if missing else ""}
Columns: {", ".join(f"`{name}` ({kind})" for name, kind in dataset.published)}.

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
