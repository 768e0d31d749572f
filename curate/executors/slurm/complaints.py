"""What to tell a user whose tasks cannot begin, or who say that they cannot work."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path

from ...errors import ClusterError, CurateError, DefinitionError, StorageError
from . import commands
from .claims import REFUSED, Attempts, Claims


def refused(claims: Claims, tried: Mapping[str, Attempts]) -> CurateError:
    """Return the error of which a task says that it cannot work at all."""
    facts: dict[str, str] = {}
    for name, attempts in tried.items():
        for number, endings in sorted(attempts.endings.items()):
            if REFUSED in endings:
                facts = claims.facts(name, number, REFUSED) or facts
    kind = DefinitionError if facts.get("kind") == "definition" else StorageError
    return kind(
        f"{facts.get('error')}\n(task {facts.get('task')} on {facts.get('node')};"
        f" log: {facts.get('log')})"
    )


def barren(
    stage: str,
    name: str,
    jobs: Sequence[commands.Job],
    log_of: Callable[[str], str],
    silenced: Set[str] = frozenset(),
) -> CurateError:
    """Return the error for tasks that end before they have done anything.

    Args:
        stage: whose tasks they are.
        name: of their jobs.
        jobs: the run's, with those that have lately left the queue.
        log_of: names the log file of a task.
        silenced: tasks that were cancelled because they gave no sign of life.
    """
    ended = [job for job in jobs if job.name == name and not job.live]
    if not ended:
        return ClusterError(
            f"stage {stage!r}: its tasks vanish from the queue before they have done anything."
            f"\nSee the logs beside {log_of('?')}, and `sinfo -R` for nodes that are out of order."
        )
    task, node = ended[-1].task, ended[-1].node
    log = log_of(task)
    last = "is not there: can the node write it?"
    if Path(log).is_file():
        lines = [line for line in Path(log).read_text(errors="replace").splitlines() if line]
        last = f"ends: {lines[-1][:300]}" if lines else "is empty"
    what, how = "end", f"{commands.ending(task)} on {node}"
    if task in silenced:
        what, how = "hang", f"cancelled on {node} after silence_minutes without a sign of life"
    return ClusterError(
        f"stage {stage!r}: its tasks {what} before they have done anything: {task}"
        f" ({how}).\nIts log {log} {last}"
        "\nMend modules, setup or python in the profile (--profile), then give the same command"
        " again."
    )
