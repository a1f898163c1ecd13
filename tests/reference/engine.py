"""A long-lived process of the reference engine: load ELM once, then evaluate its defines for one Bundle after another.

`make reference` fetches it from npm into `.tools/reference` (`CQL_REFERENCE` names another node_modules folder). Errors:
ReferenceFailed for whatever the process could not do; a define that fails there is an `error` of that define.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
MODULES = Path(os.environ.get("CQL_REFERENCE") or HERE.parents[1] / ".tools" / "reference" / "node_modules")


class ReferenceFailed(Exception):  # noqa: N818 - it is an outcome here
    """The reference engine could not load or run what it was given."""


def missing() -> str | None:
    """Why the reference engine can't run here; None where it can."""
    if shutil.which("node") is None:
        return "Node is not installed"
    if not (MODULES / "cql-execution").is_dir():
        return "the reference engine is not there (make reference)"
    return None


class Reference:
    """The running process. Not to be shared between threads."""

    def __init__(self, *, remember: bool = False) -> None:
        self._process = subprocess.Popen(
            ["node", "--stack-size=8000", str(HERE / "run.cjs")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            env={
                **os.environ,
                "CQL_REFERENCE": str(MODULES.resolve()),
                "CQL_REFERENCE_REMEMBERS": "1" if remember else "",
                # It takes a dateTime without an offset to be at its process's zone: at that of the tests' evaluations.
                "TZ": "Etc/GMT+3",
            },
        )

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=30)
        self._process.stdout.close()

    def _ask(self, request: Mapping[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request, default=float) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise ReferenceFailed("the reference engine's process has ended")
        answer: dict[str, Any] = json.loads(line, parse_float=Decimal)
        if "failure" in answer:
            raise ReferenceFailed(answer["failure"])
        return answer

    def load(
        self,
        name: str,
        libraries: Sequence[Mapping[str, Any]],
        main: str,
        value_sets: Mapping[str, Sequence[Mapping[str, str | None]]],
    ) -> None:
        """Load the libraries under a name. `value_sets`: codes (`code`, `system`) by URL."""
        self._ask({"load": name, "libraries": libraries, "main": main, "valueSets": value_sets})

    def run(
        self,
        name: str,
        bundle: Mapping[str, Any],
        parameters: Mapping[str, Any],
        now: str,
        defines: Sequence[str] | None = None,
        *,
        amended: Sequence[str] = (),
    ) -> dict[str, dict[str, Any]]:
        """`{define: {"value": …} or {"error": …}}` for the Bundle's one patient; values as run.cjs encodes them.

        `amended`: deviations from CQL (amendments.cjs) that are taken away while this runs.
        """
        request = {"run": name, "bundle": bundle, "parameters": parameters, "now": now, "defines": defines}
        request["amended"] = list(amended)
        results: dict[str, dict[str, Any]] = self._ask(request)["results"]
        return results

    def run_all(
        self,
        name: str,
        bundle: Mapping[str, Any],
        parameters: Mapping[str, Any],
        now: str,
        *,
        only: Mapping[str, Sequence[str]] | None = None,
        amended: Sequence[str] = (),
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """`{library: {define: …}}` as `run` gives it, for the main library and all that it includes.

        `only`: these defines, by library. `amended`: as in `run`.
        """
        request = {"runAll": name, "bundle": bundle, "parameters": parameters, "now": now}
        answer = self._ask({**request, "only": only, "amended": list(amended)})
        results: dict[str, dict[str, dict[str, Any]]] = answer["results"]
        return results

    def time(
        self,
        name: str,
        bundle: Mapping[str, Any],
        parameters: Mapping[str, Any],
        now: str,
        times: int,
        defines: Sequence[str] | None = None,
    ) -> list[float]:
        """Milliseconds of each of `times` evaluations; reading the Bundle is not in them."""
        request = {"time": name, "bundle": bundle, "parameters": parameters, "now": now, "defines": defines}
        milliseconds: list[float] = self._ask({**request, "times": times})["milliseconds"]
        return milliseconds


@contextmanager
def running(*, remember: bool = False) -> Iterator[Reference]:
    """The reference engine while the block runs. `remember`: faster, the same values (remember.cjs); not for timing."""
    reference = Reference(remember=remember)
    try:
        yield reference
    finally:
        reference.close()
