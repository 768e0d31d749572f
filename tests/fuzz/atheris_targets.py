"""Fuzz with atheris, guided by what code is reached: `python -m tests.fuzz.atheris_targets NAME S`.

Needs `pip install atheris` (wheels for CPython 3.11 to 3.13 on Linux), which the tests do not. What
breaks a target is kept as `tests/fuzz/corpus/NAME/crash-...`, where the tests replay it; what was
reached on the way is in `~/.cache/curate-fuzz/NAME` for the next time.
"""

from __future__ import annotations

import gzip
import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

FOUND = Path(__file__).parent / "corpus"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "curate-fuzz")
_MAX_BYTES = {"warc": 8192, "html": 8192, "parquet": 8192}


def main() -> None:
    """Fuzz one target for so many seconds."""
    name, seconds = sys.argv[1], float(sys.argv[2])
    atheris = importlib.import_module("atheris")  # not among the dependencies
    with atheris.instrument_imports(include=["curate"]):
        from .targets import TARGETS

    for folder in (FOUND / name, CACHE / name):
        folder.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(seeds(name)):
        (CACHE / name / f"seed-{number}").write_bytes(data)
    options = [
        f"-max_total_time={seconds:.0f}",
        f"-max_len={_MAX_BYTES.get(name, 2048)}",
        "-timeout=20",
        "-rss_limit_mb=3000",
        "-print_final_stats=1",
        f"-artifact_prefix={FOUND / name}/",
    ]
    atheris.Setup([sys.argv[0], *options, str(CACHE / name)], TARGETS[name])
    atheris.Fuzz()


def seeds(name: str) -> Iterator[bytes]:
    """Yield a few good inputs to begin with."""
    from ..warc_files import http, page

    text = "Write to me@a.example or to 8.8.8.8, v1.2.3.4. This is it, and that is all.\n" * 3
    if name == "warc":
        yield page(1) + page(2)
        yield gzip.compress(page(1)) + gzip.compress(page(2))
        yield b"http://a.example/ 1.2.3.4 20240101120000 text/html 12\n" + http(b"x")[:12]
    elif name == "response":
        yield http(b"5\r\nhello\r\n0\r\n\r\n", ["Transfer-Encoding: chunked"])
        yield http(gzip.compress(b"a body"), ["Content-Encoding: gzip"])
    elif name == "charset":
        yield b"text/html; charset=iso-8859-2\n<meta charset=shift_jis>\xe9t\xe9"
    elif name == "html":
        yield b"<html><body><h1>A</h1><p>" + text.encode() + b"</p><table><tr><td>x</table>"
    elif name == "jsonl":
        yield b'{"text": "a", "id": "1", "url": "http://a.example/", "n": 1}\n' * 2
    elif name == "parquet":
        import io

        import pyarrow as pa
        import pyarrow.parquet as pq

        stream = io.BytesIO()
        table = pa.table({"text": ["a", None, "b" * 50], "id": ["1", "2", "3"]})
        pq.write_table(table.replace_schema_metadata(), stream, store_schema=False)
        yield stream.getvalue()
    elif name == "url":
        yield b"https://www.so-so.bad.example:80/a%20b?c=d#e"
        yield "http://[::1]/\u00fc".encode()
    else:
        yield text.encode()
        yield "Ein Text. \u3002\u3002 {x} javascript lorem ipsum 1.2.3.4 ::1 a@b.co\n".encode()


if __name__ == "__main__":
    main()
