"""What a worker is told: plain values, from which it loads the definition itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..pipeline import Stage
from ..plan import Plan, PlannedStage
from ..storage import join


@dataclass(frozen=True, slots=True)
class Assignment:
    """One stage of a run, for workers.

    Attributes:
        path: the pipeline file.
        given: the user's parameters.
        out: the run's output folder.
        folder: where the stage's manifests are.
        inputs: a JSON file whose `inputs` are those of the run, and `inputs_digest` their digest.
        per_document: whether the stage takes one document after the other, so that a worker which
            counts no further hangs in one.
        patience_s: how long a worker may hang before it is replaced.
    """

    path: str
    given: Mapping[str, str]
    out: str
    stage: str
    fingerprint: str
    folder: str
    inputs: str
    inputs_digest: str
    per_document: bool
    patience_s: float

    @staticmethod
    def of(plan: Plan, planned: PlannedStage, patience_s: float) -> Assignment:
        """Return the assignment for a stage of a plan that is saved."""
        return Assignment(
            path=plan.path,
            given=plan.given,
            out=plan.out,
            stage=planned.name,
            fingerprint=planned.fingerprint,
            folder=planned.folder,
            inputs=join(plan.out, "run.json"),
            inputs_digest=plan.inputs_digest,
            per_document=isinstance(planned.stage, Stage),
            patience_s=patience_s,
        )
