"""The most memory a worker takes on real inputs: `python -m tests.memory FOLDER [INPUT...]`.

FOLDER holds shared/data, unpacked; the gold sets of HTML and languages are no inputs of pipelines.
What is counted is the resident memory of a worker and of the processes it started, at their peaks
as the kernel keeps them (VmHWM), added up: what they share counts twice and their peaks need not
fall together, so the true figure is lower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .warc_files import record

ROOT = Path(__file__).parents[1]
LIMIT_BYTES = 2 << 30
_EVERY_S = 0.02
_FINEWEB, _FINEPDF = "pipelines/fineweb.py", "pipelines/finepdf.py"
_OFF = ("refetch=no", "ocr=off")
# Name, pipeline, its parameters, what of the folder is read.
INPUTS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "real-3000.warc": (_FINEWEB, (), "real-3000.warc"),
    "real-3000.warc, own extractor": (_FINEWEB, ("extractor=curate",), "real-3000.warc"),
    "free-pages": (_FINEWEB, (), "free-pages.warc.gz"),
    "odd-warcs": (_FINEWEB, (), "odd-warcs/*/*"),
    "odd-warcs, PDFs": (_FINEPDF, _OFF, "odd-warcs/*/*"),
    "pdf": (_FINEPDF, _OFF, "pdf"),
    "pdf, PDFium": (_FINEPDF, (*_OFF, "engine=pdfium"), "pdf"),
    "pdf-gold": (_FINEPDF, _OFF, "pdf-gold"),
    "pdf, OCR of 20 pages": (_FINEPDF, ("refetch=no", "ocr_budget_pages=20"), "pdf"),
}


@dataclass(frozen=True, slots=True)
class Peak:
    """The most that one worker took, with the processes it started.

    Attributes:
        worker: bytes of the worker alone.
        whole: bytes of it and its children.
        code: exit code of the run.
        error: what it said.
    """

    worker: int
    whole: int
    code: int
    error: str


def measure(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> Peak:
    """Give a command that starts workers, and watch them until it ends."""
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said: list[str] = []
    listener = threading.Thread(target=said.extend, args=(process.stderr,))
    listener.start()
    worker = whole = 0
    while process.poll() is None:
        for child in _children(process.pid):
            with suppress(OSError):
                if b"\0worker\0" in Path(f"/proc/{child}/cmdline").read_bytes():
                    worker = max(worker, _peak(child))
                    whole = max(whole, sum(map(_peak, [child, *_descendants(child)])))
        time.sleep(_EVERY_S)
    listener.join()
    return Peak(worker, whole, process.returncode, "".join(said))


def _children(pid: int) -> list[int]:
    found = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            found += [int(word) for word in (task / "children").read_text().split()]
    return found


def _descendants(pid: int) -> Iterator[int]:
    for child in _children(pid):
        yield child
        yield from _descendants(child)


def _peak(pid: int) -> int:
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) << 10
    return 0


def pack(pdfs: Iterable[Path], archive: Path) -> None:
    """Write PDFs into an archive, as a crawl would have saved them."""
    with archive.open("wb") as stream:
        for number, path in enumerate(sorted(pdfs)):
            head = b"HTTP/1.1 200 OK\r\nContent-Type: application/pdf\r\n\r\n"
            url = f"http://pdf.example/{number}"
            stream.write(record(head + path.read_bytes(), number=number, url=url))


def command(pipeline: str, parameters: Iterable[str], out: Path) -> list[str]:
    """Return the command that runs a pipeline with one worker."""
    words = [sys.executable, "-m", "curate", "run", str(ROOT / pipeline)]
    words += ["--out", str(out), "--workers", "1"]
    for parameter in parameters:
        words += ["-p", parameter]
    return words


def main() -> int:
    """Print the table; exit code 1 when a worker takes more than it may or a run fails."""
    parser = argparse.ArgumentParser(prog="python -m tests.memory", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("inputs", nargs="*", help=f"all, or of: {'; '.join(INPUTS)}")
    options = parser.parse_args()
    worst = 0
    for name in options.inputs or INPUTS:
        pipeline, parameters, what = INPUTS[name]
        with tempfile.TemporaryDirectory(prefix="curate-memory-") as scratch:
            source = (options.folder / what).absolute()
            warcs = str(source)
            if source.is_dir():
                warcs = f"{scratch}/pdfs.warc"
                pack(source.rglob("*.pdf"), Path(warcs))
            started = time.monotonic()
            given = (f"warcs={warcs}", *parameters)
            peak = measure(command(pipeline, given, Path(scratch, "out")), ROOT)
            seconds = time.monotonic() - started
        print(
            f"{name}: worker {peak.worker >> 20} MiB, with its children {peak.whole >> 20} MiB,"
            f" exit code {peak.code}, {seconds:.0f} s",
            flush=True,
        )
        if peak.code:
            print(peak.error[-2000:])
        worst = max(worst, LIMIT_BYTES if peak.code else peak.whole)
    return 1 if worst >= LIMIT_BYTES else 0


if __name__ == "__main__":
    sys.exit(main())
