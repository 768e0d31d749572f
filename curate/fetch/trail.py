"""What was done for one URL, on the way to its outcome."""

from __future__ import annotations

from dataclasses import dataclass, field

from .client import SAMPLE_BYTES, Answer
from .store import Entry


@dataclass(slots=True)
class Trail:
    """The answers that were received, where they redirected to, and how often was asked."""

    answers: list[Answer] = field(default_factory=list)
    chain: list[str] = field(default_factory=list)
    attempts: int = 0


def describe(entry: Entry, trail: Trail) -> None:
    """Note what was done, and what names the version that was received."""
    entry.chain, entry.attempts = tuple(trail.chain), trail.attempts
    if trail.answers:
        last = trail.answers[-1]
        entry.status = last.status
        entry.etag, entry.modified = last.header("etag"), last.header("last-modified")


def latest(answer: Answer | None, earlier: Answer | None) -> Answer | None:
    """Return the latest answer and remove the one before it."""
    if answer is None:
        return earlier
    if earlier is not None and earlier is not answer:
        earlier.close()
    return answer


def sample(answer: Answer) -> Answer:
    """Return an answer that gives nothing, with no more of its body than the archive needs."""
    if answer.size > SAMPLE_BYTES:
        answer.body.truncate(SAMPLE_BYTES)
        answer.size, answer.cut = SAMPLE_BYTES, True
    return answer
