"""What is in the published files: languages, hosts, tokens and lengths, for the dataset's card."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from ..explain.run_files import read_columns
from ..manifest import FileInfo
from ..storage import exists, join

if TYPE_CHECKING:
    from ..plan import Plan

_MAX_FILES = 64
# A column of a user's own may have one of these names and another type.
_COUNTED = {"url": "string", "language": "string", "token_count": "int64"}
_HOST = r"^[A-Za-z][A-Za-z0-9+.-]*://(?:www\.)?(?P<host>[^/?#:]+)"


@dataclass(slots=True)
class Published:
    """The published files and what was counted in them.

    Attributes:
        files: of the dataset, in order.
        counted: how many of them were looked at; of many, those at even distances.
        documents: in those that were looked at.
        tokens: None where no step counts them.
    """

    files: list[FileInfo]
    counted: int = 0
    documents: int = 0
    tokens: int | None = None
    languages: Counter[str] = field(default_factory=Counter)
    hosts: Counter[str] = field(default_factory=Counter)

    @property
    def bytes(self) -> int:
        """Size of all files."""
        return sum(file.bytes for file in self.files)


def published_files(plan: Plan) -> list[FileInfo]:
    """Return the dataset's files that are done, in order."""
    planned = plan.stages[-1]
    done = planned.done()
    units = plan.units(planned, partial=True) or []
    return [planned.manifest(u.name).files["documents"] for u in units if u.name in done]


def read_counted(path: str, *names: str) -> Any:
    """Read the columns of a file that are counted, or those named; without any of another type."""
    table = read_columns(path, names or tuple(_COUNTED))
    kinds = zip(table.column_names, table.schema.types, strict=True)
    return table.select([name for name, kind in kinds if str(kind) == _COUNTED[name]])


def count_hosts(urls: Any) -> Counter[str]:
    """Count the hosts of a column of URLs."""
    import pyarrow.compute as pc

    found: Counter[str] = Counter()
    hosts = pc.struct_field(pc.extract_regex(urls.drop_null(), _HOST), "host")
    for one in pc.value_counts(hosts).to_pylist():
        if one["values"]:
            found[one["values"].lower()] += one["counts"]
    return found


def count(plan: Plan) -> Published:
    """Look through the published files, or 64 of them."""
    import pyarrow.compute as pc

    found = Published(published_files(plan))
    for file in _spread(found.files):
        path = join(plan.out, file.name)
        if not exists(path):
            continue
        table = read_counted(path)
        found.counted += 1
        found.documents += file.rows
        if "language" in table.column_names:
            for one in pc.value_counts(table.column("language")).to_pylist():
                found.languages[one["values"] or "unknown"] += one["counts"]
        if "token_count" in table.column_names:
            total = pc.sum(table.column("token_count")).as_py() or 0
            found.tokens = (found.tokens or 0) + int(total)
        if "url" in table.column_names:
            found.hosts.update(count_hosts(table.column("url")))
    return found


def _spread(files: Sequence[FileInfo]) -> list[FileInfo]:
    if len(files) <= _MAX_FILES:
        return list(files)
    return [files[at * len(files) // _MAX_FILES] for at in range(_MAX_FILES)]
