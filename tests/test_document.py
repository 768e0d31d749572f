"""A document fits the file it is written to, or costs itself alone."""

from __future__ import annotations

import io
from typing import Any

import pytest

from curate.document import Document, DocumentWriter, read_documents, schema
from curate.errors import DefinitionError, DocumentError

KINDS = {"double": "double", "int64": "int64", "numbers": "list<int64>"}


@pytest.mark.parametrize(
    ("column", "value", "stored"),
    [
        ("double", 1 << 53, float(1 << 53)),
        ("double", (1 << 53) + 1, float(1 << 53)),
        ("double", (1 << 64) - 1, float(1 << 64)),
        ("double", 10**400, None),
        ("double", float("nan"), None),
        ("int64", (1 << 63) - 1, (1 << 63) - 1),
        ("int64", 1 << 63, None),
        ("int64", False, None),
        ("numbers", [1, -(1 << 63)], [1, -(1 << 63)]),
        ("numbers", [1, 1 << 63], None),
        ("numbers", [True], None),
    ],
)
def test_a_number_that_no_column_holds_costs_its_document_alone(
    column: str, value: Any, stored: Any
) -> None:
    """The file is written with the others; a whole number becomes the nearest double."""
    output = io.BytesIO()
    writer = DocumentWriter(output, schema(KINDS))
    writer.add(Document("before", "a text"))
    doc = Document("odd", "a text", {column: value})
    if stored is None:
        with pytest.raises(DocumentError, match=f"{column}=.* is not of type"):
            writer.add(doc)
    else:
        writer.add(doc)
    writer.close()
    there = {one.id: one.metadata[column] for one in read_documents(output)}
    assert there == {"before": None} | ({} if stored is None else {"odd": stored})


@pytest.mark.parametrize("name", ["text", "id"])
def test_metadata_takes_the_place_of_neither_the_text_nor_the_id(name: str) -> None:
    """A step that sets such metadata is told so; the text would else be another, unseen."""
    writer = DocumentWriter(io.BytesIO(), schema({}))
    with pytest.raises(DefinitionError, match=f"metadata {name} is set by a step"):
        writer.add(Document("one", "a text", {name: "another"}))
