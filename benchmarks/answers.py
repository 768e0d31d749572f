"""How long do `why`, `status` and `report` take on a run of a million records?

    python benchmarks/answers.py RUN [--records 1000000] [--rounds 5] [--json]

RUN is a finished run of pipelines/fineweb.py. Its units are repeated, with new ids and
URLs, until there are as many records; each question is then asked as a user does, in a process of
its own. Times on the clock, medians with the lowest and the highest.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_PER_FILE = 50  # repetitions of a unit in one file
_SUMMED = ("in", "kept", "dropped", "failed", "text_chars", "seconds")


def repeat(source: Path, target: Path, files: int) -> None:
    """Write a run whose stages hold each unit of another run `files` times _PER_FILE times."""
    run = json.loads((source / "run.json").read_text())
    for stage in run["stages"]:
        folder = target / stage["folder"]
        folder.mkdir(parents=True)
        units = stage["units"] or []
        manifests = [
            json.loads((source / stage["folder"] / f"{u}.json").read_text()) for u in units
        ]
        decides = any("decisions" in manifest["files"] for manifest in manifests)
        stage["units"] = [
            _repeated(source, folder, stage, manifest, number)
            for number in range(files)
            for manifest in (manifests if decides else ())
        ]
    (target / "run.json").write_text(json.dumps(run))


def _repeated(
    source: Path, folder: Path, stage: dict[str, Any], found: dict[str, Any], number: int
) -> str:
    """Write the files and the manifest of one repeated unit, and return its name."""
    manifest = json.loads(json.dumps(found))
    # The unit's digest of duplicates stands at the end of its name.
    name = f"c{number:05d}-{manifest['unit']}".replace("-none", "-0123456789")
    for key in _SUMMED:
        manifest[key] *= _PER_FILE
    for step in manifest["steps"]:
        for key in ("in", "kept", "seconds"):
            step[key] *= _PER_FILE
        for key in ("dropped", "failed"):
            step[key] = {reason: count * _PER_FILE for reason, count in step[key].items()}
    for info in manifest["files"].values():
        old = source / info["name"]
        new = folder / old.name.replace(manifest["unit"], name)
        info["rows"] = _write(old, new, number)
        info["name"] = f"{stage['folder']}/{new.name}"
        info["bytes"] = new.stat().st_size
    manifest["unit"] = name
    (folder / f"{name}.json").write_text(json.dumps(manifest))
    return name


def _write(old: Path, new: Path, number: int) -> int:
    table = pq.read_table(old)
    rows = 0
    with pq.ParquetWriter(new, table.schema, compression="zstd") as writer:
        for start in range(0, _PER_FILE, 10):
            copies = range(number * _PER_FILE + start, number * _PER_FILE + start + 10)
            part = pa.concat_tables([_renamed(table, copy) for copy in copies])
            writer.write_table(part.cast(table.schema))
            rows += len(part)
    return rows


def _renamed(table: Any, copy: int) -> Any:
    for column, old, new in (
        ("id", r"uuid:.{8}", f"uuid:{copy:08x}"),
        ("url", r"^(https?://)", rf"\1h{copy}."),
    ):
        if column in table.column_names:
            values = pc.replace_substring_regex(table[column], old, new)
            table = table.set_column(table.column_names.index(column), column, values)
    return table


def ask(*arguments: str) -> tuple[float, str]:
    """Return the seconds a command takes, and what it prints."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "curate", *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode not in (0, 1) or "Traceback" in done.stderr:
        raise SystemExit(done.stderr)
    return time.perf_counter() - began, done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    args = parser.parse_args()
    status = json.loads(ask("status", str(args.run), "--json")[1])
    records = status["stages"][0]["in"]
    files = -(-args.records // (records * _PER_FILE))
    with tempfile.TemporaryDirectory(prefix="curate-answers-") as name:
        out = Path(name, "run")
        repeat(args.run, out, files)
        decisions = sorted(out.glob("stages/*/*.decisions.parquet"))
        last = pq.read_table(decisions[-1], columns=["url"])["url"][-5].as_py()
        questions = {
            "why": ("why", str(out), last),
            "why, absent": ("why", str(out), "https://nowhere.example/x"),
            "why, a part of a URL": ("why", str(out), "h7."),
            "status": ("status", str(out)),
        }
        first = {"why, first (makes the index)": [ask(*questions["why"])[0]]}
        times = first | {
            label: [ask(*words)[0] for _ in range(args.rounds)]
            for label, words in questions.items()
        }
        times["report"] = [ask("report", str(out))[0]]
        result = {
            "records": records * _PER_FILE * files,
            "decisions": sum(pq.read_metadata(path).num_rows for path in decisions),
            "seconds": {
                label: {"median": median(taken), "low": min(taken), "high": max(taken)}
                for label, taken in times.items()
            },
            "report_bytes": (out / "report.html").stat().st_size,
            "index_bytes": sum(p.stat().st_size for p in out.glob("index/*") if p.is_file()),
            "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
        }
    if args.json:
        print(json.dumps(result))
        return
    print(f"{result['records']:,} records, {result['decisions']:,} decisions")
    for label, row in result["seconds"].items():
        print(f"{label:32} {row['median']:7.2f} s  ({row['low']:.2f} to {row['high']:.2f})")
    print(f"report {result['report_bytes']:,} bytes, index {result['index_bytes']:,} bytes")


if __name__ == "__main__":
    main()
