"""Kill, stop, starve and go on: `python -m tests.chaos --minutes 30 --seed 1`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from .rounds import KINDS, Chaos


def main() -> int:
    """Do rounds until the time is over; exit code 1 when a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1_000_000, help="at most so many")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--first", type=int, default=0, help="the number of the first round")
    parser.add_argument(
        "--pipeline",
        type=lambda text: text.split(","),
        default=["fineweb", "finepdf"],
        help=f"in turn, by commas: {', '.join(sorted(KINDS))}; fineweb,finepdf",
    )
    parser.add_argument("--story", action="store_true", help="tell what befell each round")
    options = parser.parse_args()
    if unknown := set(options.pipeline) - KINDS.keys():
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(sorted(KINDS))}")
    deadline = time.monotonic() + options.minutes * 60
    done = blows = broken = 0
    with ExitStack() as stack:
        sides = []
        for kind in options.pipeline:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="curate-chaos-"))
            chaos = stack.enter_context(Chaos(kind, Path(folder)))
            sides.append(chaos)
            print(f"{kind}, undisturbed: {len(chaos.expected)} files, {chaos.usual_s:.1f} s")
        while time.monotonic() < deadline and done < options.rounds:
            turn, index = divmod(done, len(sides))
            result = sides[index].round(options.seed, options.first + turn)
            done += 1
            blows += result.blows
            print(f"{options.pipeline[index]}, {result.name}: ", end="")
            print("BROKEN, " if result.broken else "equal, ", end="")
            print(f"{result.blows} blows, {result.seconds:.1f} s", flush=True)
            if result.broken or options.story:
                print("\n".join([*result.story, result.broken]), flush=True)
            broken += bool(result.broken)
        for chaos in sides:
            if chaos.proxy:
                told = (f"{kind} {count}" for kind, count in sorted(chaos.proxy.faults.items()))
                print(f"requests that failed: {', '.join(told)}")
    print(f"{done} rounds, {blows} blows, {broken} broken; seed {options.seed}", flush=True)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
