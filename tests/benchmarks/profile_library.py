"""Where the evaluation of 500 resources spends its time: `python -m tests.benchmarks.profile_library`.

First the parts that can be timed as they are, in milliseconds of processor time (the least of many runs); then all of it as
the profiler sees it, own time by module, in per cent. The profiler makes small functions look dearer than they are.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import orjson

from cds_service.elm import trace
from cds_service.elm.context import Context
from cds_service.elm.session import parameter_keys
from cds_service.elm.values import plain
from cds_service.records.retriever import RecordRetriever
from tests.benchmarks.bench_library import Bench
from tests.benchmarks.figures import figure, machine
from tests.benchmarks.records import bundle_of

SIZE: Final = 500
RUNS: Final = 30


def least(work: Callable[[], Any]) -> float:
    """The least processor time of many runs, in milliseconds."""
    found = []
    for _ in range(RUNS):
        start = time.process_time()
        work()
        found.append((time.process_time() - start) * 1000)
    return min(found)


def figures() -> Iterator[str]:
    """All lines of this profile."""
    yield from machine()
    bench = Bench.load()
    gc.collect()
    gc.freeze()
    bundle = bundle_of(SIZE)
    body = orjson.dumps(bundle)
    record = bench.normalised(bundle)
    bench.evaluated(record)
    yield figure("parse_json", least(lambda: orjson.loads(body)), "ms")
    yield figure("evaluate_library", least(lambda: bench.evaluated(record)), "ms")
    library = bench.screener.catalog.get("nct02917681").library
    kinds = {
        (n.resource_type, n.code_path)
        for name in bench.defines
        for n in library.retrieves(name)
        if n.code_path
    }

    def index() -> None:
        new = RecordRetriever(record, bench.screener.value_sets)
        for kind, path in kinds:
            new.keys_in(kind, path or "")

    yield figure("index_the_record", least(index), "ms")
    values = list(bench.screener.catalog.get("nct02917681").parameters.values.values())
    yield figure("bind_the_parameters", least(lambda: parameter_keys(values)), "ms")
    session = bench.session(record)
    results = bench.evaluated(record, session)
    yield figure("take_all_from_the_session", least(lambda: bench.evaluated(record, session)), "ms")
    yield figure("copy_the_values", least(lambda: [plain(r.value) for r in results.values()]), "ms")
    yield from dearest(bench, record)
    yield from by_module(lambda: bench.evaluated(record))


def dearest(bench: Bench, record: Any, count: int = 8) -> Iterator[str]:
    """The defines that take longest by themselves."""
    own: dict[str, list[float]] = {}
    define = Context.define
    stack = [0.0]

    def timed(self: Context, definition: Any) -> trace.Entry:
        start = time.process_time()
        stack.append(0.0)
        entry = define(self, definition)
        whole = time.process_time() - start
        inner = stack.pop()
        stack[-1] += whole
        own.setdefault(f"{definition.unit.name}.{definition.name}", []).append((whole - inner) * 1000)
        return entry

    Context.define = timed  # type: ignore[method-assign]
    try:
        for _ in range(RUNS):
            bench.evaluated(record)
    finally:
        Context.define = define  # type: ignore[method-assign]
    times = Counter({name: min(found) for name, found in own.items()})
    yield f"# the {count} dearest of {len(times)} defines, by themselves"
    for name, milliseconds in times.most_common(count):
        yield figure(name.replace(" ", "_"), milliseconds, "ms")
    yield figure("all_other_defines", sum(times.values()) - sum(t for _, t in times.most_common(count)), "ms")


def by_module(work: Callable[[], Any]) -> Iterator[str]:
    """Own time by module, in per cent."""
    profile = cProfile.Profile()
    profile.enable()
    for _ in range(RUNS):
        work()
    profile.disable()
    found: Counter[str] = Counter()
    for (file, _, name), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        found[Path(file).stem if file not in ("~", "") else f"builtin {name}".split(" of ")[-1]] += own
    whole = sum(found.values())
    yield "# own time by module, as the profiler sees it"
    for module, own in found.most_common(14):
        yield figure(module.strip("<>{}'").replace(" ", "_").replace(">", ""), own / whole * 100, "%")


def main() -> None:
    for line in figures():
        print(line, flush=True)


if __name__ == "__main__":
    main()
