"""schemathesis over /openapi.json: whatever fits the document is taken, whatever breaks it is refused, and every answer
is one that the document describes. With and without configured clients, against `serve` itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.fuzz.examples import TIMES
from tests.fuzz.served import ROOT, Served, served

# A call may lack the Patient (412); of a record the document can't say all (400): which of two Patients is meant.
CONFIGURATION: Final = """
[checks]
positive_data_acceptance.expected-statuses = ["200", "403", "412"]
negative_data_rejection.expected-statuses = ["400", "401", "403", "404", "405", "412", "413", "415"]

[[operations]]
include-path = "/assessments"
checks.positive_data_acceptance.expected-statuses = ["200", "400"]
"""


def schemathesis(service: Served, examples: int) -> subprocess.CompletedProcess[str]:
    """Every phase over every operation: the document's examples, its edges, random data, and calls after calls."""
    (service.folder / "schemathesis.toml").write_text(CONFIGURATION)
    service.note()
    choice = [] if TIMES else ["--generation-deterministic", "--seed", "1"]
    return subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml"),
            *("run", f"{service.base}/openapi.json", "--no-color", "--continue-on-failure"),
            *("--max-examples", str(examples * max(TIMES, 1)), "--max-response-time", "10", *choice),
        ],
        cwd=service.folder,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SCHEMATHESIS_HOOKS": "tests.fuzz.hooks",
            "FUZZ_SERVICE": str(service.folder),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("guarded", [False, True], ids=["open", "guarded"])
def test_every_answer_is_one_that_the_document_describes(guarded: bool, tmp_path: Path) -> None:
    with served(tmp_path, clients=guarded) as service:
        workers = service.workers()
        run = schemathesis(service, 25)
        assert run.returncode == 0, run.stdout + run.stderr
        assert " passed" in run.stdout
        service.check(workers)
