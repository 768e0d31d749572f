"""Any datatrove filter, formatter or extractor as a step; any step in a datatrove pipeline."""

from __future__ import annotations

import hashlib
import inspect
import re
import types
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from typing import Any

from datatrove.data import Document as DatatroveDocument
from datatrove.pipeline.base import PipelineStep
from datatrove.pipeline.extractors.base import BaseExtractor
from datatrove.pipeline.filters.base_filter import BaseFilter, get_filter_result
from datatrove.pipeline.formatters.base import BaseFormatter
from datatrove.utils.typeshelper import StatHints

from ..document import Document
from ..errors import DefinitionError, DocumentError
from ..own_code import own_code
from ..steps import Drop, Extractor, Step

# A block works on a text in memory: what goes wrong here is a list or model it tries to download,
# or a library it lacks, and would go wrong for every document.
_NETWORK_LIBRARIES = ("aiohttp", "httpx", "huggingface_hub", "requests", "urllib3")
_NOT_SETTINGS = {"stats", "exclusion_writer", "batch_size", "uniform"}
# datatrove makes a tuple of a set: its order changes from process to process.
_UNORDERED = {"stop_chars"}
# What datatrove's filters find words with; they do not name it among their requirements.
_TOKENIZER = "spacy"


@dataclass(frozen=True, eq=False)
class DatatroveStep(Step):
    """Run a datatrove block on one document at a time.

    The step's name is that of the block's class in snake_case, and so are the drop reasons;
    a filter that gives none drops as `rejected`.

    DIFFERS: some blocks remember something from document to document. Here each document is the
    first: PIIFormatter begins its cycle of replacements, trafilatura's `deduplicate` sees one page,
    and who draws random numbers gets those of the document's id.

    An extractor runs in the worker without datatrove's sandbox: a page that crashes it costs the
    unit an attempt. TrafilaturaExtractor is isolated.

    Args:
        block: a filter, formatter or extractor.
        columns: metadata that the block sets: name to type, or pairs of them.
        seed: changes the random numbers.
    """

    block: Any
    columns: Mapping[str, str] = field(default_factory=dict)
    seed: int = 0

    libraries = ("datatrove",)

    def __post_init__(self) -> None:
        if not isinstance(self.block, BaseFilter | BaseFormatter | BaseExtractor):
            raise DefinitionError(
                f"{type(self.block).__name__} is no datatrove filter, formatter or extractor."
                " Readers, writers and deduplication have their own counterparts in curate."
            )
        object.__setattr__(self, "name", _snake_case(type(self.block).__name__))
        object.__setattr__(self, "columns", dict(self.columns))
        # Taken now: a block may load its lists into its settings when it is used.
        object.__setattr__(self, "_settings", _settings(self.block, self.name))

    def identity(self) -> Mapping[str, Any]:
        """The block's class and its settings: public attributes, sets in order."""
        settings: Mapping[str, Any] = vars(self)["_settings"]
        return {**settings, "columns": self.columns, "seed": self.seed}

    def library_versions(self) -> Mapping[str, str]:
        """Versions of datatrove, of what the block requires, and of its tokenizer."""
        required = {"datatrove", _TOKENIZER}
        for kind in type(self.block).__mro__:
            for name in getattr(kind, "_requires_dependencies", ()):
                required.add(name if isinstance(name, str) else name[1])
        installed = {}
        for name in sorted(required):
            try:
                installed[name] = metadata.version(name)
            except metadata.PackageNotFoundError:
                continue
        return installed

    def apply(self, doc: Document) -> Drop | None:
        """Run the block.

        Raises:
            DocumentError: `error`, the block cannot process this document.
            DefinitionError: the block lacks a library, or a file that it cannot download.
        """
        self._forget(doc.id)
        try:
            return self._apply(doc)
        except Exception as error:
            message = f"{type(error).__name__}: {error}"[:500]
            module = type(error).__module__.split(".")[0]
            if isinstance(error, OSError | ImportError) or module in _NETWORK_LIBRARIES:
                raise DefinitionError(
                    f"{self.name}: the block cannot load what it needs: {message}\nInstall the"
                    " library, or run it once where the network is and carry datatrove's cache"
                    " (HF_HOME) over."
                ) from error
            raise DocumentError("error", message) from error

    def _apply(self, doc: Document) -> Drop | None:
        if isinstance(self.block, BaseFormatter):
            doc.text = self.block.format(doc.text)
            return None
        if isinstance(self.block, BaseExtractor):
            from ..readers.charset import decode

            html = decode(doc.payload or b"", doc.metadata.get("charset") or "utf-8")
            doc.text, doc.payload = self.block.extract(html) or "", None
            return None if doc.text else Drop("no_text")
        # datatrove knows no empty values: a key is there or it is not.
        known = {key: value for key, value in doc.metadata.items() if value is not None}
        theirs = DatatroveDocument(text=doc.text, id=doc.id, metadata=known)
        keep, reason = get_filter_result(self.block.filter(theirs))
        doc.text = theirs.text
        doc.metadata.update(theirs.metadata)
        return None if keep else Drop(_snake_case(reason or "") or "rejected")

    def _forget(self, doc_id: str) -> None:
        if hasattr(self.block, "uniform"):
            from numpy.random import default_rng

            key = hashlib.sha256(f"{self.seed} {doc_id}".encode()).digest()
            self.block.uniform = default_rng(int.from_bytes(key[:8], "big")).uniform
        if isinstance(self.block, BaseFormatter):
            for value in vars(self.block).values():
                if hasattr(value, "_replace_i"):
                    value._replace_i = 0
        if isinstance(self.block, BaseExtractor) and getattr(self.block, "deduplicate", False):
            from trafilatura.deduplication import LRU_TEST

            LRU_TEST.clear()


def _snake_case(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return re.sub(r"[^a-z0-9]+", "_", words.lower()).strip("_")


def _settings(value: Any, where: str) -> Any:
    """Turn a block or one of its attributes into JSON types, equal for equal settings."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, set | frozenset):
        return sorted((_settings(item, where) for item in value), key=repr)
    if isinstance(value, list | tuple):
        return [_settings(item, where) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _settings(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, re.Pattern):
        return {"pattern": value.pattern, "flags": value.flags}
    if isinstance(value, partial):
        parts = (value.func, value.args, value.keywords)
        return [_settings(part, where) for part in parts]
    if isinstance(value, types.FunctionType):
        source = _source(value, where)
        return {"function": value.__qualname__, "source": own_code(value) or source}
    kind = type(value)
    found: dict[str, Any] = {"block": f"{kind.__module__}.{kind.__qualname__}"}
    if source := own_code(kind):
        found["source"] = source
    # Other libraries' objects, such as an automaton, are made of the settings beside them.
    if isinstance(value, PipelineStep) or kind.__module__.startswith("datatrove."):
        for name, item in vars(value).items():
            if name.startswith("_") or name in _NOT_SETTINGS:
                continue
            found[name] = _settings(set(item) if name in _UNORDERED else item, f"{where}.{name}")
    return found


def _source(function: types.FunctionType, where: str) -> str:
    try:
        if function.__name__ == "<lambda>" or function.__closure__:
            raise OSError
        return inspect.getsource(function)
    except OSError:
        raise DefinitionError(
            f"{where}: {function.__qualname__} has no fingerprint. Use a function that is defined"
            " in a file, at its top level, instead of a lambda."
        ) from None


def as_datatrove(step: Step, exclusion_writer: Any = None) -> CurateBlock:
    """Return a datatrove block that runs one of our steps.

    Args:
        step: an extractor takes the document's text as its page.
        exclusion_writer: a datatrove writer for what is dropped or failed, with `filter_reason`.
    """
    return CurateBlock(step, exclusion_writer)


class CurateBlock(PipelineStep):  # type: ignore[misc]  # datatrove has no types
    """One of our steps in a datatrove pipeline; made by as_datatrove."""

    type = "🪶 - CURATE"

    def __init__(self, step: Step, exclusion_writer: Any = None) -> None:
        self.name = step.name
        super().__init__()
        self.step = step
        self.exclusion_writer = exclusion_writer

    def run(self, data: Iterator[Any] | None, rank: int = 0, world_size: int = 1) -> Iterator[Any]:
        """Yield what the step keeps, and count in datatrove's statistics."""
        with ExitStack() as stack:
            writer = stack.enter_context(self.exclusion_writer) if self.exclusion_writer else None
            stack.callback(self.step.close)
            self.step.setup()
            for theirs in data or ():
                self.stat_update(StatHints.total)
                with self.track_time():
                    outcome, reason = self._apply(theirs)
                self.stat_update(outcome)
                if outcome == StatHints.forwarded:
                    self.update_doc_stats(theirs)
                    yield theirs
                    continue
                self.stat_update(f"{outcome}_{reason}")
                if writer is not None:
                    theirs.metadata["filter_reason"] = f"{self.step.name}/{reason}"
                    writer.write(theirs, rank)

    def _apply(self, theirs: Any) -> tuple[str, str]:
        doc = Document(theirs.id, theirs.text, dict(theirs.metadata))
        if isinstance(self.step, Extractor):
            # datatrove's readers have decoded the page, whatever charset they name.
            doc.payload = theirs.text.encode("utf-8", "replace")
            doc.metadata["charset"] = "utf-8"
        try:
            drop = self.step.apply(doc)
        except DocumentError as error:
            return "failed", error.reason
        if isinstance(self.step, Extractor):
            del doc.metadata["charset"]
        theirs.text = doc.text
        theirs.metadata.update(doc.metadata)
        return (StatHints.dropped, drop.reason) if drop else (StatHints.forwarded, "")
