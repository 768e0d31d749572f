"""An extractor that does what the page tells it: the pages that isolation is there for."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from curate.errors import DocumentError
from curate.steps import Extracted, Extractor


@dataclass(frozen=True)
class HostileExtractor(Extractor):
    """Run the page's first word as a command; any other page is its own text.

    Args:
        where: folder for what a page leaves as a trace.
        greeting: put before the text of every page; a tuple to see that values arrive unchanged.
    """

    where: str = ""
    greeting: tuple[str, ...] = ()
    fail_to_start: bool = False

    def setup(self) -> None:
        if self.fail_to_start:
            raise RuntimeError("the model file is missing")

    def extract(self, payload: bytes, url: str, charset: str = "utf-8") -> Extracted:
        text = payload.decode(charset, "surrogatepass")
        command = getattr(self, "do_" + text.split(" ")[0], None)
        if command is not None:
            text = command() or text
        greeting = "".join(self.greeting)
        return Extracted(
            greeting + text, {"url_seen": url, "greeting": type(self.greeting).__name__}
        )

    def _leave(self, name: str, text: str) -> None:
        # Written under another name first: who waits for the file must find all of it.
        path = Path(self.where, name)
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").rename(path)

    def do_abort(self) -> None:
        os.abort()

    def do_exit(self) -> None:
        os._exit(0)

    def do_sys_exit(self) -> None:
        sys.exit(3)

    def do_segfault(self) -> None:
        import ctypes

        ctypes.string_at(0)

    def do_loop(self) -> None:
        self._leave("looping", str(os.getpid()))
        while True:
            pass

    def do_regex(self) -> None:
        re.match(r"(a+)+$", "a" * 60 + "b")

    def do_eat(self) -> None:
        hoard = []
        while True:
            hoard.append(bytearray(8 << 20))

    def do_eat_and_hide_it(self) -> str:
        with contextlib.suppress(MemoryError):
            self.do_eat()
        return "half a page"

    def do_sleep(self) -> None:
        time.sleep(10_000)

    def do_print(self) -> None:
        print("noise " * 50_000, flush=True)
        os.write(1, b"raw noise " * 10_000)
        os.write(2, b"errors " * 10_000)
        print("noise", file=sys.stderr, flush=True)

    def do_read_stdin(self) -> str:
        return f"stdin: {sys.stdin.read()!r}"

    def do_raise(self) -> None:
        raise ValueError("a page\nof two lines")

    def do_refuse(self) -> None:
        raise DocumentError("encrypted", "it needs a password")

    def do_recurse(self) -> None:
        self.do_recurse()

    def do_kill_once(self) -> None:
        # As the kernel does when the machine is out of memory: not this page's fault.
        if not Path(self.where, "killed").exists():
            self._leave("killed", "")
            os.kill(os.getpid(), 9)

    def do_poison(self) -> None:
        # Memory broken by this page that only the next one stumbles over.
        type(self).extract = lambda *_: os.abort()  # type: ignore[method-assign]

    def do_spawn(self) -> None:
        program = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(10000)"])
        self._leave("spawned", str(program.pid))
        os.abort()

    def do_huge(self) -> str:
        return "x" * (300 << 20)

    def do_pid(self) -> str:
        return str(os.getpid())
