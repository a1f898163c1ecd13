"""Try many damaged versions of the trial's libraries: what escapes but Results and AuthoringError?

    python -m tests.unit.elm.try_mutations FIRST_SEED COUNT

Prints how many were refused, failed and evaluated, and each seed at which something else came out (then exit 1).
"""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import orjson

from cds_service.elm import Terminology, load_library
from cds_service.errors import AuthoringError, EvaluationError
from cds_service.terminology.value_sets import load_value_sets
from tests.unit.elm.mutations import mutated
from tests.unit.elm.nodes import NOW
from tests.unit.elm.test_mutations import PATIENT, Chart

_SECONDS = 30


def _libraries() -> dict[str, Any]:
    root = files("cds_service.trials")
    found = {}
    for folder in (root, root / "common", root / "nct02917681"):
        for entry in folder.iterdir():
            if entry.name.endswith(".elm.json"):
                elm = orjson.loads(entry.read_bytes())
                found[elm["library"]["identifier"]["id"]] = elm
    return found


def _needed(libraries: Mapping[str, Any], name: str) -> list[str]:
    """The libraries that one includes, directly or not."""
    names = [name]
    for each in names:
        for include in (libraries[each]["library"].get("includes") or {}).get("def", ()):
            path = include["path"].rsplit("/", 1)[-1]
            if path not in names:
                names.append(path)
    return names[1:]


def try_one(name: str, sources: list[Any], terminology: Terminology) -> str:
    """What becomes of the damaged library; whatever is raised beside AuthoringError comes through."""
    try:
        loaded = load_library(sources, main=name, terminology=terminology)
    except AuthoringError:
        return "refused"
    found = loaded.evaluate(None, retriever=Chart(), patient=PATIENT, parameters={}, now=NOW)
    errors = [result.error for result in found.values() if result.error is not None]
    if not all(isinstance(error, EvaluationError) and error.library and error.define for error in errors):
        raise AssertionError("an error without its place")
    return "failed" if errors else "evaluated"


def main(first: int, count: int) -> int:
    libraries = _libraries()
    names = [name for name in sorted(libraries) if name != "NCT02917681"]
    terminology = load_value_sets()
    outcomes: Counter[str] = Counter()

    def too_long(*_: Any) -> None:
        raise TimeoutError(f"more than {_SECONDS} seconds")

    signal.signal(signal.SIGALRM, too_long)
    for seed in range(first, first + count):
        name = names[seed % len(names)]
        damaged = mutated(libraries[name], seed, 1 + seed % 3)
        sources = [damaged, *(libraries[other] for other in _needed(libraries, name))]
        signal.alarm(_SECONDS)
        try:
            outcomes[try_one(name, sources, terminology)] += 1
        except Exception as error:
            outcomes["escaped"] += 1
            print(f"seed {seed} ({name}): {type(error).__name__} {error}")
        finally:
            signal.alarm(0)
    print(", ".join(f"{number} {outcome}" for outcome, number in sorted(outcomes.items())))
    return 1 if outcomes["escaped"] else 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
