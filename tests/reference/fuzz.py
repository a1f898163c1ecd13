"""The differential fuzz: random patients and random expressions on our engine and on the reference, compared value by value.

    python -m tests.reference.fuzz --patients 10000 --expressions 10000 --seed 0 --jobs 2 --into docs/differential.md

The expressions need the official translator (`make translator`, or `--translator URL`).

Prints its progress and a summary: values compared, equal, explained by each explanation, unexplained. An unexplained difference
is printed with its seed, its define, both values and a patient made as small as still shows it; then the exit code is 1.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cds_service import __version__
from tests.reference.engine import HERE, missing, running
from tests.reference.explanations import BY_NAME
from tests.reference.expressions import BATCH
from tests.reference.fuzzing import ExpressionFuzz, PatientFuzz, Tally
from tests.reference.trial import TrialOnBoth
from tests.support import translator

BEGIN: Final = "<!-- run: begin -->"
END: Final = "<!-- run: end -->"

CHUNK: Final = 20


# --- processes ----------------------------------------------------------------------------------------------

_worker: dict[str, Any] = {}


def _start(translator: str | None) -> None:
    """In a worker: the engines, for as long as it lives."""
    stack = ExitStack()
    reference = stack.enter_context(running(remember=True))
    both = TrialOnBoth(reference)
    _worker["stack"] = stack
    _worker["patients"] = PatientFuzz(both)
    if translator is not None:
        _worker["expressions"] = ExpressionFuzz(reference, translator, both.pools)


def _patients(seeds: range, size: int) -> Tally:
    tally: Tally = _worker["patients"].run(seeds, size)
    return tally


def _expressions(seeds: range) -> Tally:
    tally: Tally = _worker["expressions"].run(seeds)
    return tally


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do. `state`: a file of what was done, which a later run takes over."""

    patients: int
    expressions: int
    seed: int
    size: int
    jobs: int
    translator: str | None
    state: Path | None = None

    def chunks(self) -> Iterator[tuple[str, Callable[..., Tally], tuple[Any, ...]]]:
        """The work, in pieces: (key, function, arguments)."""
        for seeds in _pieces(self.seed, self.patients, CHUNK):
            yield f"patients {seeds.start}-{seeds.stop} of {self.size}", _patients, (seeds, self.size)
        for seeds in _pieces(self.seed, self.expressions, BATCH):
            yield f"expressions {seeds.start}-{seeds.stop}", _expressions, (seeds,)

    def run(self) -> Tally:
        """Do it, with progress on standard output."""
        total = Tally()
        started = time.monotonic()
        done = _done(self.state)
        waiting = {}
        with ProcessPoolExecutor(self.jobs, initializer=_start, initargs=(self.translator,)) as pool:
            for key, work, arguments in self.chunks():
                if key in done:
                    total.add(done[key])
                else:
                    waiting[pool.submit(work, *arguments)] = key
            for finished in as_completed(waiting):
                found = finished.result()
                _keep(self.state, waiting[finished], found)
                for text in found.unexplained:
                    print(text)
                total.add(found)
                print(
                    f"{total.patients:>6,} of {self.patients:,} patients, {total.expressions:>6,} of {self.expressions:,} "
                    f"expressions, {time.monotonic() - started:,.0f} s, {len(total.unexplained)} unexplained",
                    flush=True,
                )
        return total


def _pieces(start: int, number: int, size: int) -> Iterator[range]:
    for at in range(start, start + number, size):
        yield range(at, min(at + size, start + number))


def _done(state: Path | None) -> dict[str, Tally]:
    if state is None or not state.exists():
        return {}
    rows = [json.loads(line) for line in state.read_text().splitlines()]
    return {row["key"]: Tally.read(row["tally"]) for row in rows}


def _keep(state: Path | None, key: str, tally: Tally) -> None:
    if state is not None:
        with state.open("a") as file:
            file.write(json.dumps({"key": key, "tally": tally.written()}) + "\n")


def report(total: Tally, command: str) -> str:
    """The lines of docs/differential.md between its marks: what was run, with what, and what came of it."""
    versions = json.loads((HERE / "package.json").read_text())["dependencies"]
    rows = [f"| {name} | {count:,} |" for name, count in total.explained.most_common()]
    why = [
        f"- **{e.name}** ({e.section}; {'both are' if e.right == 'both' else f'{e.right} is'} right): \u201c{e.sentence}\u201d {e.why}"
        for e in BY_NAME.values()
    ]
    return "\n".join([
        f"`{command}`, cds-service {__version__} against " + ", ".join(f"{k} {v}" for k, v in versions.items()) + ":",
        "", "```", *total.lines(), "```",
        "", "| explanation | values |", "|---|---:|", *rows,
        "", "What each explanation says:", "", *why,
    ])  # fmt: skip


def _write(into: Path, text: str) -> None:
    whole = into.read_text(encoding="utf-8")
    before, rest = whole.split(BEGIN, 1)
    _, after = rest.split(END, 1)
    into.write_text(f"{before}{BEGIN}\n{text}\n{END}{after}", encoding="utf-8")


def main() -> int:
    arguments = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--patients", type=int, default=1000)
    arguments.add_argument("--expressions", type=int, default=0)
    arguments.add_argument("--size", type=int, default=40, help="resources of a patient, about")
    arguments.add_argument("--seed", type=int, default=0, help="of the first patient and expression")
    arguments.add_argument("--state", type=Path, help="a file of what was done; a later run goes on from it")
    arguments.add_argument("--translator", help="the translator's address; without it, one is started")
    arguments.add_argument("--into", type=Path, help="the document to write the report into")
    arguments.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    given = arguments.parse_args()
    if (reason := missing()) is not None:
        print(reason)
        return 2
    with ExitStack() as stack:
        url = given.translator
        if given.expressions and url is None:
            url = stack.enter_context(translator.running())
        plan = Plan(given.patients, given.expressions, given.seed, given.size, given.jobs, url, given.state)
        total = plan.run()
    print("\n".join(total.lines()))
    if given.into is not None:
        command = f"make fuzz N={given.patients}" + (f" SEED={given.seed}" if given.seed else "")
        _write(given.into, report(total, command))
    return 1 if total.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
