"""Finished runs for the tests of why, show, report and tune; each is made once."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

from .conftest import ROOT

# Text that tries to act: as a page, in a terminal, by its direction and by its size.
HOSTILE = [
    "<script>document.title = 'owned'</script><img src=x onerror=\"document.title='owned'\">",
    "</script></textarea></pre>--><script>document.title='owned'</script>",
    "\x1b]0;owned\x07\x1b[2J\x1b[31mred\x1b[0m \x9b31m and \x00 NUL and \x7f",
    "right to left: \u202egnp.exe\u202c and \u2066isolated\u2069",
    "a" * 1_000_000,
]
_PIPELINE = """
from curate import Pipeline, Stage
from curate.filters.gopher import GopherQualityFilter
from curate.readers.records import JsonlReader


def pipeline(paths: str, min_words: int = 50, early: bool = False) -> Pipeline:
    reader = JsonlReader(paths, keep=(("url", "string"), ("language", "string")))
    steps = (GopherQualityFilter(min_words=min_words),)
    if early:
        return Pipeline("pages", output=Stage("load", source=reader, steps=steps))
    loaded = Stage("load", source=reader)
    return Pipeline("pages", output=Stage("filter", source=loaded, steps=steps))
"""
_PROSE = "The old house stands on a hill, and that garden was the best of it for all the children. "


@cache
def sample_run() -> Path:
    """FineWeb's pipeline on the sample: the folder of the run."""
    out = _folder() / "run"
    _run(["run", "pipelines/fineweb.py", "--out", str(out)], ROOT)
    return out


@cache
def hostile_run() -> Path:
    """Pages that try to harm whoever looks at them, and a few good ones: some kept, some not."""
    rows = [
        {"id": f"page-{n}\x1b[2J", "url": f"https://x.example/<b>{n}\u202e\x00", "text": text}
        for n, hostile in enumerate(HOSTILE)
        for text in (f"{_PROSE * 5}\n{hostile}", hostile)
    ]
    rows += [
        {"id": f"good-{n}", "url": f"https://good.example/{n}", "text": _PROSE * n}
        for n in range(1, 8)
    ]
    return _run_pages(rows)


@cache
def lengths_run(min_words: int = 50, annotate: bool = True) -> Path:
    """Pages of 19 to 570 words, German ones longer: all measured, with `annotate`."""
    rows = [
        {
            "id": f"{language}-{n}-{copy}",
            "url": f"https://{language}.example/{n}/{copy}",
            "text": _PROSE * (n if language == "en" else n + 10),
            "language": language,
        }
        for n in range(1, 21)
        for copy in range(15)
        for language in ("en", "de")
    ]
    return _run_pages(rows, f"min_words={min_words}", *(["--annotate"] if annotate else []))


@cache
def early_run(keep_text: bool) -> Path:
    """Eighty pages that the stage drops which reads them."""
    rows = [
        {"id": f"{n}", "url": f"https://x.example/{n}", "text": f"Page {n}."} for n in range(80)
    ]
    return _run_pages(rows, "early=1", *(["--keep-dropped-text"] if keep_text else []))


def _run_pages(rows: list[dict[str, str]], parameter: str = "early=0", *flags: str) -> Path:
    folder = _folder()
    (folder / "in").mkdir()
    text = "\n".join(json.dumps({"language": "en", **row}) for row in rows)
    (folder / "in" / "pages.jsonl").write_text(text + "\nnot json <script>\n")
    pipeline = folder / "pages.py"
    pipeline.write_text(_PIPELINE)
    given = ["-p", parameter, "-p", f"paths={folder}/in/*.jsonl"]
    _run(["run", str(pipeline), "--out", "run", *given, *flags], folder)
    return folder / "run"


def _folder() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="curate-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _run(arguments: list[str], folder: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "curate", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
