"""Texts of documents that a stage dropped, so that people can read what a filter takes away.

A stage that follows another needs no copy: the text is among the documents of the stage before.
"""

from __future__ import annotations

import heapq
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import xxhash

from ..document import Document
from ..errors import DocumentError
from ..steps import Drop
from .options import SAMPLES, Options

if TYPE_CHECKING:
    from ..task import Work

COLUMNS = {"url": "string", "reason": "string", "value": "double", "threshold": "double"}
_MAX_CHARS = 20_000


class DroppedTexts:
    """The texts of a unit: of each reason those with the least hash of the id, or all.

    Args:
        work: the unit.
        reads_input: whether the stage reads input files.
        options: what the run was asked to keep.
    """

    def __init__(self, work: Work, reads_input: bool, options: Options) -> None:
        self._work = work
        self._all = options.keep_dropped_text
        self._on = reads_input or self._all
        # Of each reason a heap of (-hash, order, document), the greatest hash first.
        self._heaps: dict[str, list[tuple[int, int, Document]]] = defaultdict(list)
        self._writer: Any = None
        self._order = 0

    def add(self, doc: Document, step: str, drop: Drop) -> None:
        """Take a document that was dropped."""
        if not self._on or not doc.text:
            return
        reason = f"{step}/{drop.reason}"
        row = {
            "url": doc.metadata.get("url"),
            "reason": reason,
            "value": None if drop.value is None else float(drop.value),
            "threshold": None if drop.threshold is None else float(drop.threshold),
        }
        if self._all:
            self._write(Document(doc.id, doc.text, row))
            return
        self._order += 1
        kept = Document(doc.id, doc.text[:_MAX_CHARS], row)
        entry = (-sample_hash(doc.id), -self._order, kept)
        heap = self._heaps[reason]
        if len(heap) < SAMPLES:
            heapq.heappush(heap, entry)
        elif entry[0] > heap[0][0]:
            heapq.heapreplace(heap, entry)

    def _write(self, doc: Document) -> None:
        if self._writer is None:
            from ..document import DocumentWriter, schema

            with self._work.create("samples", self._work.path("samples.parquet")) as output:
                self._writer = DocumentWriter(output, schema(COLUMNS))
        try:
            self._writer.add(doc)
        except DocumentError:  # a lone surrogate: nothing that could be shown
            return

    def close(self) -> None:
        """Write what is chosen; a unit without any has no such file."""
        for reason in sorted(self._heaps):
            for _, _, doc in sorted(self._heaps[reason], reverse=True):
                self._write(doc)
        if self._writer is not None:
            self._writer.close()
            self._work.rows["samples"] = self._writer.rows


def sample_hash(identifier: str) -> int:
    """Return the number by which documents are chosen: the least ones are shown."""
    return xxhash.xxh64_intdigest(identifier.encode(errors="replace"), seed=8)
