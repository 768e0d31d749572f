"""The decision rows: what became of each record in one stage, and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal

from .document import Document
from .steps import Drop, Failure
from .storage import Output

Outcome = Literal["kept", "dropped", "failed"]

# One row per record that entered, in the order of the input. `reason` is `<step>/<code>`; `value`
# and `threshold` are the measure that dropped it; `message` is for failures; then the cluster of a
# duplicate, its size, and the document kept of it; `measures` see curate/explain/measure.py.
COLUMNS = {
    "id": "string",
    "url": "string",
    "offset": "int64",
    "outcome": "string",
    "reason": "string",
    "value": "double",
    "threshold": "double",
    "message": "string",
    "cluster": "string",
    "cluster_size": "int64",
    "duplicate_of": "string",
    "duplicate_of_url": "string",
    "measures": "list<float>",
}
MEASURED = "curate.measures"
_ROWS = 100_000


class DecisionWriter:
    """Write the decisions of one unit."""

    def __init__(self, output: Output) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = {
            "string": pa.string(),
            "int64": pa.int64(),
            "double": pa.float64(),
            "list<float>": pa.list_(pa.float32()),
        }
        self._pa = pa
        self._schema = pa.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
        self._writer = pq.ParquetWriter(
            output,
            self._schema,
            compression="zstd",
            use_dictionary=["outcome", "reason", "threshold"],
            write_statistics=["id", "url"],
            write_page_checksum=True,
        )
        self._columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
        self.rows = 0

    def add(
        self,
        doc: Document,
        step: str,
        fate: Drop | Failure | None,
        measures: Sequence[float | None] | None = None,
    ) -> Outcome:
        """Append the row of one record and return its outcome."""
        columns = self._columns
        url = doc.metadata.get("url")
        columns["id"].append(_printable(doc.id))
        columns["url"].append(None if url is None else _printable(str(url)))
        columns["offset"].append(doc.metadata.get("offset"))
        outcome: Outcome = "kept"
        reason = value = threshold = message = None
        if fate is not None:
            reason = f"{step}/{fate.reason}"
            if isinstance(fate, Drop):
                outcome, value, threshold = "dropped", fate.value, fate.threshold
            else:
                outcome, message = "failed", _printable(fate.message[:500])
        columns["outcome"].append(outcome)
        columns["reason"].append(reason)
        columns["value"].append(None if value is None else float(value))
        columns["threshold"].append(None if threshold is None else float(threshold))
        columns["message"].append(message)
        found = fate.duplicate if isinstance(fate, Drop) else None
        columns["cluster"].append(found and found.cluster)
        columns["cluster_size"].append(found and found.size)
        columns["duplicate_of"].append(found and found.of_id)
        columns["duplicate_of_url"].append(found and found.of_url)
        columns["measures"].append(measures)
        self.rows += 1
        if len(columns["id"]) >= _ROWS:
            self._flush()
        return outcome

    def _flush(self) -> None:
        self._writer.write_table(self._pa.table(self._columns, schema=self._schema))
        self._columns = {name: [] for name in COLUMNS}

    def close(self, measured: Any = None) -> None:
        """Write what is buffered and the file's footer.

        Args:
            measured: plain values that tell what the column `measures` holds.
        """
        if self._columns["id"] or not self.rows:
            self._flush()
        if measured:
            self._writer.add_key_value_metadata({MEASURED: json.dumps(measured)})
        self._writer.close()


def _printable(text: str) -> str:
    """Return text that is valid as UTF-8, whatever was crawled."""
    return text if text.isascii() else text.encode(errors="replace").decode()
