"""A page that crashes, hangs or explodes costs that page and no other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from curate.errors import DefinitionError, DocumentError
from curate.extract.isolation import IsolatedExtractor, Limits
from tests.hostile import HostileExtractor

LIMITS = Limits(timeout_s=1.5, memory_gb=0.125, max_payload_bytes=1 << 20)


@pytest.fixture
def isolated(tmp_path: Path) -> Iterator[IsolatedExtractor]:
    """A child process that does what pages tell it."""
    extractor = IsolatedExtractor(HostileExtractor(str(tmp_path)), LIMITS)
    yield extractor
    extractor.close()


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for a condition, and fail when it does not come true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    """Tell whether a process exists and is not a zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def open_files() -> list[str]:
    """Name our open file descriptors, without the one that lists them."""
    files = sorted(Path("/proc/self/fd").iterdir())
    return [file.name for file in files if file.exists() or file.is_symlink()]


def text(isolated: IsolatedExtractor, page: str) -> str:
    """Extract a page."""
    return isolated.extract(page.encode(), "https://example.org/").text


@pytest.mark.parametrize(
    ("page", "reason", "message"),
    [
        ("abort", "crashed", "SIGABRT"),
        ("segfault", "crashed", "SIGSEGV"),
        ("exit", "crashed", "exit code 0"),
        ("sys_exit", "error", "SystemExit: 3"),
        ("loop", "timeout", "CPU time"),
        ("regex", "timeout", "CPU time"),
        ("eat", "out_of_memory", "0.125 GB"),
        ("eat_and_hide_it", "out_of_memory", "0.125 GB"),
        ("raise", "error", "ValueError: a page\nof two lines"),
        ("refuse", "encrypted", "it needs a password"),
        ("recurse", "too_deep", "recursion"),
        ("huge", "out_of_memory", "0.125 GB"),
        ("x" * (1 << 20) + "x", "too_large", "max_payload_bytes is 1048576"),
    ],
    ids=lambda value: value[:20],
)
def test_a_page_that_misbehaves_fails_and_the_next_one_does_not_notice(
    isolated: IsolatedExtractor, page: str, reason: str, message: str
) -> None:
    for _ in range(2):
        with pytest.raises(DocumentError) as failure:
            text(isolated, page)
        assert (failure.value.reason, message in failure.value.message) == (reason, True)
        assert text(isolated, "the next page") == "the next page"


def test_a_page_that_waits_for_ever_is_ended_by_the_clock(tmp_path: Path) -> None:
    isolated = IsolatedExtractor(HostileExtractor(str(tmp_path)), Limits(0.1, 1, 1000))
    with pytest.raises(DocumentError, match="little CPU time") as failure:
        text(isolated, "sleep")
    assert failure.value.reason == "timeout"
    assert text(isolated, "the next page") == "the next page"
    isolated.close()


def test_what_a_page_prints_is_not_taken_for_its_text(isolated: IsolatedExtractor) -> None:
    assert text(isolated, "print this") == "print this"
    assert text(isolated, "read_stdin") == "stdin: ''"
    assert text(isolated, "the next page") == "the next page"


def test_too_much_text_is_refused_by_its_size(tmp_path: Path) -> None:
    isolated = IsolatedExtractor(HostileExtractor(str(tmp_path)), Limits(60, 4, 100))
    with pytest.raises(DocumentError) as failure:
        text(isolated, "huge")
    assert failure.value.reason == "too_large"
    isolated.close()


def test_a_page_is_not_blamed_for_a_kill_from_outside(isolated: IsolatedExtractor) -> None:
    assert text(isolated, "a page") == "a page"
    assert text(isolated, "kill_once") == "kill_once"


def test_a_page_is_not_blamed_for_what_the_page_before_it_broke(
    isolated: IsolatedExtractor,
) -> None:
    assert text(isolated, "poison") == "poison"
    assert text(isolated, "the next page") == "the next page"


def test_a_child_that_dies_between_pages_is_replaced(isolated: IsolatedExtractor) -> None:
    pid = int(text(isolated, "pid"))
    os.kill(pid, signal.SIGKILL)
    until(lambda: not is_running(pid))
    assert text(isolated, "the next page") == "the next page"


def test_one_child_serves_all_pages(isolated: IsolatedExtractor) -> None:
    assert len({text(isolated, "pid") for _ in range(50)}) == 1


def test_a_program_that_a_page_started_is_ended_with_it(
    isolated: IsolatedExtractor, tmp_path: Path
) -> None:
    with pytest.raises(DocumentError):
        text(isolated, "spawn")
    pid = int((tmp_path / "spawned").read_text())
    until(lambda: not is_running(pid))


@settings(max_examples=50, deadline=None)
@given(page=st.text(alphabet=st.characters()), url=st.text())
def test_text_metadata_and_values_arrive_unchanged(page: str, url: str) -> None:
    extracted = GREETING.extract(page.encode("utf-8", "surrogatepass"), url)
    assert extracted.text == "é\0" + page
    assert extracted.metadata == {"url_seen": url, "greeting": "tuple"}


GREETING = IsolatedExtractor(HostileExtractor(greeting=("é", "\0")), LIMITS)


def test_closing_leaves_no_process_and_no_file_descriptor(tmp_path: Path) -> None:
    isolated = IsolatedExtractor(HostileExtractor(str(tmp_path)), LIMITS)
    before = open_files()
    isolated.start()
    pid = int(text(isolated, "pid"))
    for page in ("abort", "raise", "eat", "loop"):
        with pytest.raises(DocumentError):
            text(isolated, page)
    last = int(text(isolated, "pid"))
    isolated.close()
    isolated.close()
    assert not Path(f"/proc/{pid}").exists() and not Path(f"/proc/{last}").exists()
    assert open_files() == before


PARENT = """
import sys
from curate.extract.isolation import IsolatedExtractor, Limits
from tests.hostile import HostileExtractor
isolated = IsolatedExtractor(HostileExtractor(sys.argv[1]), Limits(1000, 1, 1000))
print(isolated.extract(b"pid", "").text, flush=True)
{last}
"""


@pytest.mark.parametrize("last", ["isolated.extract(b'loop', '')", "sys.stdin.read()"])
def test_the_child_ends_when_its_parent_is_killed(tmp_path: Path, last: str) -> None:
    """Both in the middle of a page and between two."""
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT.format(last=last), str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert parent.stdin and parent.stdout
    child = int(parent.stdout.readline())
    if "loop" in last:
        until((tmp_path / "looping").exists)
    assert is_running(child)
    parent.kill()
    parent.wait()
    until(lambda: not is_running(child))
    parent.stdin.close()
    parent.stdout.close()


def test_the_child_ends_when_its_parent_ends_without_closing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PARENT.format(last=""), str(tmp_path)],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent.parent,
        check=True,
    )
    until(lambda: not is_running(int(done.stdout)))
    assert done.stderr == ""


def test_a_forked_process_gets_a_child_of_its_own(isolated: IsolatedExtractor) -> None:
    ours = text(isolated, "pid")
    reading, writing = os.pipe()
    if not (pid := os.fork()):
        os.write(writing, text(isolated, "pid").encode())
        isolated.close()
        os._exit(0)
    os.waitpid(pid, 0)
    os.close(writing)
    with os.fdopen(reading) as theirs:
        assert theirs.read() not in ("", ours)
    assert text(isolated, "pid") == ours


def test_an_extractor_of_a_pipeline_file_is_found(tmp_path: Path) -> None:
    """It is defined in a file that cannot be imported by name."""
    file = tmp_path / "my_pipeline.py"
    file.write_text(
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "from curate import Extracted, Extractor\n"
        "from curate.extract.isolation import IsolatedExtractor, Limits\n"
        "@dataclass(frozen=True)\n"
        "class Upper(Extractor):\n"
        "    def extract(self, payload, url, charset='utf-8'):\n"
        "        return Extracted(payload.decode().upper())\n"
        "if __name__ == '__main__':\n"
        "    isolated = IsolatedExtractor(Upper(), Limits(10, 1, 1000))\n"
        "    print(isolated.extract(b'quiet', '').text)\n"
    )
    done = subprocess.run([sys.executable, str(file)], capture_output=True, text=True, check=True)
    assert done.stdout == "QUIET\n"


def test_an_extractor_that_cannot_start_says_why() -> None:
    isolated = IsolatedExtractor(HostileExtractor(fail_to_start=True), LIMITS)
    with pytest.raises(DefinitionError, match="RuntimeError: the model file is missing"):
        isolated.start()


def test_an_interpreter_that_does_not_exist_is_named(tmp_path: Path) -> None:
    isolated = IsolatedExtractor(HostileExtractor(), LIMITS, python=f"{tmp_path}/python")
    with pytest.raises(DefinitionError, match=f"cannot start {tmp_path}/python"):
        isolated.start()


def test_a_program_that_is_no_interpreter_is_refused() -> None:
    isolated = IsolatedExtractor(HostileExtractor(), LIMITS, python="/bin/ls")
    with pytest.raises(DefinitionError, match=r"does not start in /bin/ls"):
        isolated.start()
