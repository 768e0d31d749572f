"""Read a folder of odd WARC and ARC files with curate, FastWARC and warcio, and compare.

    python benchmarks/odd_warcs.py DIR [--json]

Prints the files in which another reader sees a response, a conversion or a page saved as a resource
that curate does not account for, and every damaged place that curate reports. Each reader reads
each file in a process of its own with a time limit. Exit code 1 if curate misses a record, raises
or does not end.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

READERS = ("curate", "fastwarc", "warcio")
ENDINGS = (".warc", ".arc", ".gz", ".lz4", ".zst", ".wet", ".wat", ".in", ".bad")
NOT_ARCHIVES = (".cdx.gz", ".cdxj.gz")
KINDS = ("response", "conversion", "resource")
TIMEOUT_S = 60

# A record: its id, or where it has none its URL and date.
Seen = dict[str, Any]


def _with_curate(path: Path) -> Iterator[Seen]:
    from curate.readers.warc import WarcReader

    with path.open("rb") as stream:
        for doc, fate in WarcReader(str(path)).read(str(path), stream):
            known = "" if doc.id.startswith(f"{path}#") else doc.id
            yield {
                "id": known,
                "url": doc.metadata["url"] or "",
                "fate": type(fate).__name__ if fate else "",
                "reason": fate.reason if fate else "",
                "message": getattr(fate, "message", ""),
                "offset": doc.metadata["offset"],
                "bytes": len(doc.payload or b""),
            }


def _with_fastwarc(path: Path) -> Iterator[Seen]:
    from fastwarc.warc import ArchiveIterator

    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False):
            kind = (record.headers.get("WARC-Type") or "").lower()
            url = record.headers.get("WARC-Target-URI") or ""
            if _enters(kind, url):
                size = len(record.reader.read())
                yield {"id": record.headers.get("WARC-Record-ID", ""), "url": url, "bytes": size}


def _with_warcio(path: Path) -> Iterator[Seen]:
    from warcio.archiveiterator import ArchiveIterator

    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, no_record_parse=True):
            headers = record.rec_headers
            url = headers.get_header("WARC-Target-URI") or headers.get_header("uri") or ""
            if _enters(record.rec_type, url):
                size = len(record.raw_stream.read())
                yield {"id": headers.get_header("WARC-Record-ID") or "", "url": url, "bytes": size}


def _enters(kind: str, url: str) -> bool:
    page = url.lower().strip("<").startswith(("http:", "https:"))
    return kind in KINDS and (kind != "resource" or page)


def _read(reader: str, path: Path) -> None:
    """Print what one reader sees, a JSON object a line; the last says how it ended."""
    read = {"curate": _with_curate, "fastwarc": _with_fastwarc, "warcio": _with_warcio}[reader]
    error = ""
    try:
        for seen in read(path):
            print(json.dumps(seen))
    except Exception as raised:
        error = f"{type(raised).__name__}: {raised}"
    print(json.dumps({"end": True, "error": error}))


def _run(reader: str, path: Path) -> tuple[list[Seen], str]:
    command = [sys.executable, __file__, "--read", reader, str(path)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return [], f"did not end within {TIMEOUT_S} s"
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    if not rows or not rows[-1].get("end"):
        return rows, f"died with exit code {done.returncode}: {done.stderr[-200:]}"
    return rows[:-1], rows[-1]["error"]


def _is_url(url: str) -> bool:
    """Tell a URL from a line of text: warcio takes lines inside ARC records for record heads."""
    return re.match(r"[a-z][a-z0-9+.-]*:", url, re.I) is not None and not re.search(
        r" [0-9.]{7,15} \d{14} ", url
    )


def _missed(ours: list[Seen], theirs: list[Seen]) -> list[str]:
    """Return what they see and we do not account for: by id, or by URL where there is none.

    What has neither an id nor a URL is not counted: it is no record.
    """
    ids = Counter(seen["id"].strip("<>").lower() for seen in ours if seen["id"])
    urls = Counter(seen["url"].strip("<>") for seen in ours)
    missed = []
    for seen in theirs:
        ident, url = seen["id"].strip("<> ").lower(), seen["url"].strip("<> ")
        pool, key = (ids, ident) if ident else (urls, url)
        if pool[key]:
            pool[key] -= 1
        elif ident or _is_url(url):
            missed.append(seen["id"] or url)
    return missed


def compare(path: Path) -> dict[str, Any]:
    """Return what the readers make of one file."""
    runs = {reader: _run(reader, path) for reader in READERS}
    ours = runs["curate"][0]
    others = [reader for reader in READERS if reader != "curate"]
    return {
        "file": path.name,
        "seen": {reader: len(rows) for reader, (rows, _) in runs.items()},
        "records": sum(seen["fate"] != "Failure" or bool(seen["url"]) for seen in ours),
        "errors": {reader: error for reader, (_, error) in runs.items() if error},
        "missed": {r: m for r in others if (m := _missed(ours, runs[r][0]))},
        "failures": [seen for seen in ours if seen["fate"] == "Failure"],
        "fates": Counter(seen["reason"] or "kept" for seen in ours),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    args = parser.parse_args()
    paths = sorted(
        path
        for path in args.folder.rglob("*")
        if path.is_file()
        and path.name.lower().endswith(ENDINGS)
        and not path.name.lower().endswith(NOT_ARCHIVES)
    )
    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(compare, paths))
    if args.json:
        print(json.dumps(results, indent=1))
    else:
        _print(results)
    return int(any(result["missed"] or "curate" in result["errors"] for result in results))


def _print(results: list[dict[str, Any]]) -> None:
    fates: Counter[str] = Counter()
    for result in results:
        fates.update(result["fates"])
        for failure in result["failures"]:
            place = f"{result['file'][-70:]} @{failure['offset']}"
            print(f"{place:<84} {failure['reason']:<16} {failure['url'][:40]} {failure['message']}")
    print()
    for result in results:
        for reader, missed in result["missed"].items():
            print(f"MISSED, seen by {reader}: {result['file']}: {', '.join(missed[:5])}")
        if error := result["errors"].get("curate"):
            print(f"ERROR: {result['file']}: {error}")
    print(f"\n{len(results)} files; what became of what curate saw: {dict(fates.most_common())}")
    for reader in READERS:
        seen = sum(result["seen"][reader] for result in results)
        errors = sum(reader in result["errors"] for result in results)
        fewer = sum(result["seen"][reader] < result["records"] for result in results)
        print(f"{reader:<9} {seen:>6} records, raises on {errors:>3} files, sees fewer on {fewer}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        _read(sys.argv[2], Path(sys.argv[3]))
    else:
        sys.exit(main())
