"""Many trials on one record of 500 resources: what each further one costs, and all at once.

`make bench` or `python -m tests.benchmarks.bench_trials`. The trials are folders made for the occasion (see `trials`), of
three kinds, each harder than the one before: `same` trials differ in criteria and in the values of seven parameters; those of
their own `main` library evaluate all of that anew; `own` ones have no library in common but the facts that all trials share
and FHIRHelpers. `further_…_trial` is the engine alone, `further_…_screen` a whole assessment with evidence, judging
and account; `…_at_once` begins with the normalised record and ends with every define's result.
"""

from __future__ import annotations

import gc
import os
import resource
import tempfile
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from cds_service.eligibility.assess import _evaluate, assess
from cds_service.elm import Session
from cds_service.records.bundle import read_bundle
from cds_service.records.record import PatientRecord
from cds_service.screening import Screener
from tests.benchmarks.bench_library import AS_OF
from tests.benchmarks.figures import figure, machine, once, spread
from tests.benchmarks.records import bundle_of, dense_bundle_of
from tests.benchmarks.trials import write_trials

KINDS: Final = {"same": ("parameters", 100), "main": ("main", 100), "own": ("all", 25)}
WORDS: Final = {
    "same": "that differ in criteria and parameters",
    "main": "with a main library of their own, too",
    "own": "with no library in common but FHIRHelpers and the facts that all trials share",
}
ROUNDS: Final = 5


def figures() -> Iterator[str]:
    """All lines of this benchmark."""
    yield from machine()
    for kind, (own, count) in KINDS.items():
        yield f"# {count} trials {WORDS[kind]}"
        yield from many(kind, own, count)


def many(kind: str, own: str, count: int) -> Iterator[str]:
    loaded: list[Screener] = []
    with tempfile.TemporaryDirectory() as folder:
        write_trials(Path(folder), count, own=own)
        one = once(lambda: loaded.append(Screener.load()))
        before = _resident()
        whole = once(lambda: loaded.append(Screener.load(trials_dir=Path(folder))))
    yield figure(f"load_a_{kind}_trial", (whole - one) / count, "ms")
    yield figure(f"memory_a_{kind}_trial", (_resident() - before) / count, "MB")
    screener = loaded[1]
    gc.collect()
    gc.freeze()
    ids = [trial_id for trial_id in screener.catalog.loaded if trial_id.startswith("trial-")]
    for name, bundle in (("500", bundle_of(500)), ("dense_500", dense_bundle_of(500))):
        first, further, judged, at_once, screened = measured(screener, ids, bundle)
        yield from spread(f"first_{kind}_trial_{name}", first)
        yield from spread(f"further_{kind}_trial_{name}", further)
        yield from spread(f"further_{kind}_screen_{name}", judged)
        yield from spread(f"trials_{count}_{kind}_at_once_{name}", at_once)
        yield from spread(f"trials_{count}_{kind}_screened_{name}", screened)


def measured(screener: Screener, ids: list[str], bundle: Mapping[str, Any]) -> list[list[float]]:
    """Milliseconds of the first trial, of each further one, of its assessment, of all at once, and of all screened."""
    record = read_bundle(bundle)

    def session() -> tuple[PatientRecord, Session]:
        return screener._prepare(record, AS_OF)

    evaluate(screener, ids, session()[1])  # what is at rest that day
    times: list[list[float]] = [[], [], [], [], []]
    for _ in range(ROUNDS):
        mine = session()[1]
        each = [once(partial(evaluate, screener, [trial_id], mine)) for trial_id in ids]
        times[0].append(each[0])
        times[1] += each[1:]
        normalised, mine = session()
        judge(screener, ids[0], normalised, mine)
        times[2] += [once(partial(judge, screener, trial_id, normalised, mine)) for trial_id in ids[1:]]
        times[3].append(once(partial(evaluate, screener, ids, session()[1])))
        times[4].append(once(partial(screener.screen, record, ids, AS_OF)))
    return times


def evaluate(screener: Screener, ids: list[str], session: Session) -> None:
    for trial_id in ids:
        _evaluate(screener.catalog.get(trial_id), session, AS_OF)


def judge(screener: Screener, trial_id: str, record: PatientRecord, session: Session) -> None:
    loaded = screener.catalog.get(trial_id)
    assess(loaded, record, session, as_of=AS_OF, provenance={}, names=screener.value_sets)


def _resident() -> float:
    """The megabytes that the process has in memory."""
    gc.collect()
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGESIZE") / 1e6
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def main() -> None:
    for line in figures():
        print(line, flush=True)


if __name__ == "__main__":
    main()
