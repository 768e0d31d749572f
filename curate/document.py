"""Document, the thing that flows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Document:
    """One page on its way to the dataset.

    Attributes:
        id: stable identifier of the record, the same in every run and for every sharding
            (for WARC the `WARC-Record-ID`).
        text: the text; empty until an extractor has made it.
        metadata: the other columns. Every key is declared in the `columns` of the reader or step
            that sets it.
        payload: the record's body before extraction, with content encodings undone. Extractors
            set it to None.
    """

    id: str
    text: str = ""
    metadata: dict[str, Any] = field(default_factory=dict)
    payload: bytes | None = None
