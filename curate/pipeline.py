"""Stages and pipelines: frozen, checked when built, inert.

Nothing here reads, writes or counts. `plan.py` says what there is to do, `task.py` does it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from .errors import DefinitionError
from .steps import Filter, Reader, Step

if TYPE_CHECKING:
    from .manifest import Manifest
    from .task import Work

_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


@dataclass(frozen=True, slots=True)
class Resources:
    """What one task of a stage may need.

    Attributes:
        memory_gb: memory of one worker; the local executor starts no more workers than fit.
    """

    memory_gb: float = 2.0


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work of a stage.

    Attributes:
        name: file name stem, unique in its stage and the same in every run.
        size: bytes of its input; longer units are started first.
        spec: plain values that say what the unit reads.
    """

    name: str
    size: int
    spec: Mapping[str, Any] = field(default_factory=dict)


class StageKind(ABC):
    """What can be scheduled: a Stage, or one of the stages that look at all documents."""

    name: str
    resources: Resources
    steps: tuple[Step, ...] = ()

    @property
    @abstractmethod
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """What the stage reads."""

    @property
    def columns(self) -> Mapping[str, str]:
        """Metadata columns of the documents that leave the stage, name to type."""
        return {}

    def identity(self) -> Mapping[str, Any]:
        """Plain values, besides sources and steps, that decide the output."""
        return {}

    @abstractmethod
    def process(self, unit: Unit, work: Work) -> None:
        """Make the files of one unit and count what went through it."""

    def file_metadata(self) -> Mapping[str, str]:
        """Key-value pairs for the footer of Parquet files, from all steps so far."""
        pairs: dict[str, str] = {}
        for source in self.sources:
            if isinstance(source, StageKind):
                pairs.update(source.file_metadata())
        for step in self.steps:
            pairs.update(step.file_metadata())
        return pairs


class WholeStage(StageKind):
    """A stage whose units are known only when its sources are done, because it looks at all.

    Class attributes:
        per_unit: whether each unit is that of one input file, so that the rest of them can go on
            when one fails.
    """

    per_unit: ClassVar[bool] = False

    @abstractmethod
    def units(self, sources: Sequence[Iterable[Manifest]]) -> list[Unit]:
        """Divide the work, given the manifests of each source in the order of their inputs."""


@dataclass(frozen=True)
class Stage(StageKind):
    """A source and the steps that a worker applies to its documents in one pass.

    Args:
        name: snake_case, unique in the pipeline.
        source: a reader, or the stage whose documents this one takes.
        steps: applied in order; a dropped document meets no further step.
        resources: what one worker may need.
        partition: string column whose values divide the dataset into folders, when this is the
            stage that is published; one folder when empty.
    """

    name: str
    source: Reader | StageKind
    steps: tuple[Step, ...] = ()
    resources: Resources = Resources()
    partition: str = ""

    def __post_init__(self) -> None:
        check_name("stage", self.name)
        if not isinstance(self.source, Reader | StageKind):
            raise DefinitionError(
                f"stage {self.name!r}: source must be a reader or a stage, not {self.source!r}."
            )
        if not isinstance(self.steps, tuple):
            raise DefinitionError(
                f"stage {self.name!r}: steps must be a tuple, not {type(self.steps).__name__};"
                " a tuple of one ends in a comma: (Step(),)."
            )
        for step in self.steps:
            if not isinstance(step, Step):
                raise DefinitionError(
                    f"stage {self.name!r}: {step!r} is not a step. Steps derive from Extractor,"
                    " Annotator, Filter or Formatter (curate.steps)."
                )
            if not isinstance(getattr(step, "name", None), str):
                raise DefinitionError(
                    f"stage {self.name!r}: {type(step).__name__} has no name. Give its class"
                    ' one: name = "my_step".'
                )
        filters = [step.name for step in self.steps if isinstance(step, Filter)]
        for name in filters:
            if filters.count(name) > 1:
                raise DefinitionError(
                    f"stage {self.name!r}: two filters are called {name!r}; nothing would tell"
                    " which of them has dropped a document.\nPut one into a stage of its own."
                )
        if self.partition and self.columns.get(self.partition) != "string":
            raise DefinitionError(
                f"stage {self.name!r}: partition={self.partition!r} is no column of strings."
                f"\nThere are: {', '.join(n for n, t in self.columns.items() if t == 'string')}."
            )

    @property
    def sources(self) -> tuple[Reader | StageKind, ...]:
        """The one source."""
        return (self.source,)

    @property
    def columns(self) -> Mapping[str, str]:
        """The source's columns and then those of each step."""
        columns = dict(self.source.columns)
        for step in self.steps:
            columns.update(step.columns)
        return columns

    def process(self, unit: Unit, work: Work) -> None:
        """Take the unit's documents through the steps."""
        with work.open(self.source, unit) as entries:
            work.flow(entries, self.steps)

    def identity(self) -> Mapping[str, Any]:
        """The partition."""
        return {"partition": self.partition} if self.partition else {}


@dataclass(frozen=True)
class Pipeline:
    """What happens to the data, from its readers to the published columns.

    Args:
        name: snake_case; the output goes to `runs/<name>` unless --out says otherwise.
        output: the stage whose documents are published.
        columns: the published columns, in order; all columns when empty. `text` and `id` are always
            there to be named.
    """

    name: str
    output: StageKind
    columns: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name("pipeline", self.name)
        if not isinstance(self.output, StageKind):
            raise DefinitionError(f"pipeline {self.name!r}: output must be a stage.")
        known = ["text", "id", *self.output.columns]
        for column in self.columns:
            if column not in known:
                raise DefinitionError(
                    f"pipeline {self.name!r}: no step makes the column {column!r}."
                    f"\nThere are: {', '.join(known)}."
                )
        if any(stage.name == "dataset" for stage in self.stages):
            raise DefinitionError(
                f"pipeline {self.name!r}: no stage may be called 'dataset'; it is the name of the"
                " one that publishes."
            )
        seen: dict[str, StageKind] = {}
        for stage in self.stages:
            if seen.setdefault(stage.name, stage) is not stage:
                raise DefinitionError(
                    f"pipeline {self.name!r}: two stages are called {stage.name!r}."
                    " Give each its own name."
                )

    @property
    def stages(self) -> list[StageKind]:
        """Every stage the output needs, sources first."""
        ordered: list[StageKind] = []

        def visit(stage: StageKind) -> None:
            if any(stage is other for other in ordered):
                return
            for source in stage.sources:
                if isinstance(source, StageKind):
                    visit(source)
            ordered.append(stage)

        visit(self.output)
        return ordered


def check_name(what: str, name: str) -> None:
    """Refuse a name that is not snake_case, because it becomes part of file names."""
    if not isinstance(name, str) or not _NAME.match(name):
        raise DefinitionError(
            f"{what} name {name!r} is not allowed: use lower-case letters, digits and _, starting"
            " with a letter."
        )
