"""OCR as stages: with a budget, one that looks at all documents says which pages are read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from .. import storage
from ..dedup.signatures import digest_of, same
from ..document import Document
from ..errors import DefinitionError, DocumentError
from ..manifest import Manifest, StepCounts
from ..pages import pages_of
from ..pipeline import Resources, Stage, StageKind, Unit, WholeStage
from ..steps import Annotator, Drop, Reader, Step
from .step import TOKEN_COLUMNS, OcrStep

if TYPE_CHECKING:
    from ..task import Entries, Work

_RESOURCES = Resources(memory_gb=3.0)


def ocr(
    source: StageKind,
    step: OcrStep,
    budget_pages: int | None = None,
    name: str = "ocr",
    resources: Resources = _RESOURCES,
) -> StageKind:
    """Return the stages that read the pages which the judge of their text sends.

    Args:
        source: the extracted documents, with `page_ends` and `ocr_pages`.
        step: what reads.
        budget_pages: pages of the whole run that are read at most. Documents are taken whole, in
            the order of a hash of their payload's digest, which is the same for any sharding; of
            the last one as many pages as are left, its first. The pages beyond are named in
            `ocr_skipped`, and their document goes on with what it has.
        name: of the stage; that of the budget is `<name>_budget`.
        resources: what one worker may need.
    """
    if budget_pages is None:
        return OcrStage(name, source=source, steps=(step,), resources=resources)
    if budget_pages < 0:
        raise DefinitionError(f"ocr: budget_pages is {budget_pages}; it must be 0 or more.")
    wanted = ["payload_digest"] + (["ocr_pages"] if step.pages == "routed" else ["page_ends"])
    for column in wanted:
        if column not in source.columns:
            raise DefinitionError(
                f"ocr: no step before it makes the column {column!r}, which a budget needs."
                f"\nThere are: text, {', '.join(source.columns)}."
            )
    budget = BudgetStage(f"{name}_budget", source, step.pages, budget_pages)
    return BudgetedStage(name, source, budget, step, resources)


@dataclass(frozen=True)
class BudgetStage(WholeStage):
    """One unit: where, in the order of hashes, the budget ends."""

    name: str
    documents: StageKind
    pages: str
    budget_pages: int
    resources: Resources = Resources()

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents."""
        return (self.documents,)

    def identity(self) -> Mapping[str, Any]:
        """The budget and what it counts."""
        return {"pages": self.pages, "budget_pages": self.budget_pages, "version": 1}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the one unit."""
        digest = digest_of(sources[0])
        return [Unit(f"all-{digest}", 1, {"inputs": digest})]

    def process(self, unit: Unit, work: Work) -> None:
        """Find the hash up to which documents are read, and what that means for each unit."""
        import numpy as np

        manifests = same(work.manifests(self.documents), unit)
        parts = [self._hashes_and_counts(work, manifest) for manifest in manifests]
        empty = np.empty(0, np.uint64), np.empty(0, np.int64)
        hashes, counts = (np.concatenate(column) for column in zip(empty, *parts, strict=True))
        keys, owner = np.unique(hashes, return_inverse=True)
        pages = np.zeros(len(keys), np.int64)
        np.add.at(pages, owner, counts)
        total = np.cumsum(pages)
        whole = int(np.searchsorted(total, self.budget_pages, side="right"))
        cut, rest = None, 0
        if whole < len(keys):
            # Documents with the same payload have the same hash, and share what is left.
            left = self.budget_pages - (int(total[whole - 1]) if whole else 0)
            cut, rest = int(keys[whole]), left // int((hashes == keys[whole]).sum())
        choice = {"cut": None if cut is None else f"{cut:016x}", "rest": rest}
        work.manifest.details.update(choice)
        work.manifest.details["units"] = {
            manifest.unit: _name_of(hashed, pages, cut, rest)
            for manifest, (hashed, pages) in zip(manifests, parts, strict=True)
        }
        read = int(total[-1]) if cut is None and len(total) else 0
        if cut is not None:
            first = int(total[whole - 1]) if whole else 0
            read = first + int(np.minimum(counts[hashes == np.uint64(cut)], rest).sum())
        work.manifest.details["pages"] = {"sent": int(pages.sum()), "read": read}
        work.manifest.steps = [StepCounts(self.name, len(hashes))]
        work.manifest.entered = work.manifest.kept = len(hashes)

    def _hashes_and_counts(self, work: Work, manifest: Manifest) -> tuple[Any, Any]:
        """Return for each document of a unit the hash that ranks it, and the pages to read."""
        import numpy as np

        column = "ocr_pages" if self.pages == "routed" else "page_ends"
        table = work.table(manifest, ("id", "payload_digest", column))
        keys = zip(table["payload_digest"].to_pylist(), table["id"].to_pylist(), strict=True)
        hashes = [rank(digest, name) for digest, name in keys]
        counts = [len(pages or ()) for pages in table[column].to_pylist()]
        return np.array(hashes, dtype=np.uint64), np.array(counts, dtype=np.int64)


def rank(digest: str | None, name: str) -> int:
    """Return the 64-bit hash by which documents are taken; that of the id where there is none."""
    import xxhash

    return xxhash.xxh64_intdigest((digest or name).encode("utf-8", "surrogatepass"), seed=1)


def _name_of(hashes: Any, counts: Any, cut: int | None, rest: int) -> str:
    """Name what the budget means for a unit, so that one it changes nothing for is not redone."""
    import hashlib

    import numpy as np

    allowed = counts if cut is None else np.where(hashes < cut, counts, 0)
    if cut is not None:
        allowed = np.where(hashes == np.uint64(cut), np.minimum(counts, rest), allowed)
    return hashlib.sha256(np.ascontiguousarray(allowed).tobytes()).hexdigest()[:10]


@dataclass(frozen=True)
class BudgetedStage(WholeStage):
    """Per unit: the documents, with those pages read that the budget allows."""

    per_unit: ClassVar[bool] = True

    name: str
    documents: StageKind
    budget: BudgetStage
    step: OcrStep
    resources: Resources = _RESOURCES

    @property
    def steps(self) -> tuple[Step, ...]:  # type: ignore[override]  # follows the step
        """What reads."""
        return (self.step,)

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The documents and the budget."""
        return (self.documents, self.budget)

    @property
    def columns(self) -> Mapping[str, str]:
        """Those of the documents and of the step."""
        return {**self.documents.columns, **self.step.columns}

    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Return the units of the documents; a unit's name changes with its pages to read."""
        documents, budget = sources
        known = {unit: name for one in budget for unit, name in one.details["units"].items()}
        return [
            Unit(
                f"{manifest.unit}-{known[manifest.unit]}",
                manifest.files["documents"].bytes,
                {"source_unit": manifest.unit},
            )
            for manifest in documents
            if manifest.unit in known
        ]

    def process(self, unit: Unit, work: Work) -> None:
        """Leave out the pages beyond the budget, and read the others."""
        (budget,) = work.manifests(self.budget)
        cut = budget.details["cut"]
        mark = _Budget(self.step, None if cut is None else int(cut, 16), budget.details["rest"])
        source = Unit(unit.spec["source_unit"], unit.size)
        with work.open(self.documents, source) as entries:
            _flow(work, entries, (mark,), self.step)


@dataclass(frozen=True)
class OcrStage(Stage):
    """A stage of one OcrStep that counts pages beside documents."""

    def process(self, unit: Unit, work: Work) -> None:
        """Take the unit's documents through the step."""
        (step,) = self.steps
        assert isinstance(step, OcrStep)
        with work.open(self.source, unit) as entries:
            _flow(work, entries, (), step)


def _flow(work: Work, entries: Entries, before: tuple[Step, ...], step: OcrStep) -> None:
    """Take documents through the step, and add what became of their pages to the counts."""
    step.keep_answers(storage.join(work.out, "ocr"))
    counted = _Counted(step)
    work.flow(entries, (*before, counted))
    # After the step's own row, and in every unit, as counts are added up by their place.
    work.manifest.steps[len(before) + 1 : len(before) + 1] = counted.rows


class _Counted(Step):
    """Counts the pages that a step reads; made anew for each unit."""

    def __init__(self, step: OcrStep) -> None:
        self.name = step.name  # type: ignore[misc]  # the documents are the step's
        self._step = step
        self._pages = StepCounts(f"{step.name}_pages")
        self._tokens = {
            column: StepCounts(column) for column in step.columns if column in TOKEN_COLUMNS
        }

    @property
    def rows(self) -> list[StepCounts]:
        """Pages, and with an endpoint the tokens that were asked with and answered."""
        return [self._pages, *self._tokens.values()]

    def apply(self, doc: Document) -> Drop | None:
        """Do what the step does."""
        sent = self._step.sent(doc.metadata, len(pages_of(doc)))
        try:
            fate = self._step.apply(doc)
        except DocumentError as error:
            self._pages.entered += len(sent)
            self._pages.failed[error.reason] += len(sent)
            raise
        skipped = len(doc.metadata.get("ocr_skipped") or ())
        self._pages.entered += len(sent)
        self._pages.dropped += Counter({self._step.why_skipped: skipped})
        self._pages.failed.update(doc.metadata.get("ocr_failed_why") or ())
        for column, counts in self._tokens.items():
            counts.entered += doc.metadata.get(column) or 0
        return fate


class _Budget(Annotator):
    """Names the pages that are not read; made anew for each unit."""

    name = "ocr_budget"

    def __init__(self, step: OcrStep, cut: int | None, rest: int) -> None:
        self._step = step
        self._cut = cut
        self._rest = rest

    def annotate(self, doc: Document) -> None:
        """Set `ocr_skipped`."""
        sent = self._step.sent(doc.metadata, len(pages_of(doc)))
        hashed = rank(doc.metadata.get("payload_digest"), doc.id)
        if self._cut is None or hashed < self._cut:
            left = sent
        else:
            left = sent[: self._rest] if hashed == self._cut else []
        if sent:
            doc.metadata["ocr_skipped"] = sent[len(left) :]
