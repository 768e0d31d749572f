"""A worker stays under 2 GiB; over all real inputs: `python -m tests.memory FOLDER`."""

from __future__ import annotations

from pathlib import Path

import pytest

from .chaos.corpus import write_pages, write_pdfs
from .conftest import ROOT
from .memory import LIMIT_BYTES, command, measure


@pytest.mark.parametrize("pipeline", ["fineweb", "finepdf"])
def test_a_worker_and_its_child_stay_under_2_gib(tmp_path: Path, pipeline: str) -> None:
    """Through all stages; each peak is that which the kernel keeps, and both are added up."""
    parameters = [f"warcs={tmp_path}/in/*.warc.gz"]
    if pipeline == "fineweb":
        write_pages(tmp_path / "in")
    else:
        write_pdfs(tmp_path / "in")
        parameters += ["refetch=no", "ocr=off"]
    file = f"pipelines/{pipeline}.py"
    peak = measure(command(file, parameters, tmp_path / "out"), ROOT)
    assert peak.code == 0, peak.error
    assert 0 < peak.worker < peak.whole < LIMIT_BYTES
