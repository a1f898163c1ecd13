"""Many trials on one record of 500 resources: what each further one costs, and a hundred at once.

`make bench` or `python -m tests.benchmarks.bench_trials`. The trials are folders made for the occasion (see `trials`): those
that share their libraries differ in main library, criteria and parameters; those of their own libraries have no library in
common but the shared facts and FHIRHelpers. `further_trial` is the engine alone, `further_screen` a whole assessment
with evidence, judging and account; `at_once` begins with the normalised record and ends with every define's result.
"""

from __future__ import annotations

import gc
import os
import resource
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from cds_service.eligibility.assess import _evaluate, assess
from cds_service.elm import Session
from cds_service.records.bundle import read_bundle
from cds_service.records.record import PatientRecord
from cds_service.screening import Screener
from tests.benchmarks.bench_library import AS_OF
from tests.benchmarks.figures import figure, machine, once, spread
from tests.benchmarks.records import bundle_of, dense_bundle_of
from tests.benchmarks.trials import write_trials

SHARED: Final = 100
OWN: Final = 25
ROUNDS: Final = 12


def figures() -> Iterator[str]:
    """All lines of this benchmark."""
    yield from machine()
    yield f"# {SHARED} trials that share their libraries, differing in main library, criteria and parameters"
    yield from many(SHARED, own_libraries=False)
    yield f"# {OWN} trials whose own libraries differ as well"
    yield from many(OWN, own_libraries=True)


def many(count: int, *, own_libraries: bool) -> Iterator[str]:
    kind = "own" if own_libraries else "shared"
    loaded: list[Screener] = []
    with tempfile.TemporaryDirectory() as folder:
        write_trials(Path(folder), count, own_libraries=own_libraries)
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
        record = read_bundle(bundle)
        normalised, session = screener._prepare(record, AS_OF)
        evaluate(screener, ids, session)  # what is at rest that day
        first, further, judged, at_once, screened = [], [], [], [], []
        for _ in range(ROUNDS):
            _, session = screener._prepare(record, AS_OF)
            times = [once(lambda i=i, s=session: evaluate(screener, [i], s)) for i in ids]
            first.append(times[0])
            further += times[1:]
            _, session = screener._prepare(record, AS_OF)
            judge(screener, ids[0], normalised, session)
            judged += [once(lambda i=i, s=session: judge(screener, i, normalised, s)) for i in ids[1:]]
            _, session = screener._prepare(record, AS_OF)
            at_once.append(once(lambda s=session: evaluate(screener, ids, s)))
            screened.append(once(lambda: screener.screen(record, ids, AS_OF)))
        yield from spread(f"first_{kind}_trial_{name}", first)
        yield from spread(f"further_{kind}_trial_{name}", further)
        yield from spread(f"further_{kind}_screen_{name}", judged)
        yield from spread(f"{kind}_trials_{count}_at_once_{name}", at_once)
        yield from spread(f"{kind}_trials_{count}_screened_{name}", screened)


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
