"""The whole trial library on records of 50, 500 and 5,000 resources, beside parsing their JSON and beside the reference engine.

`make bench` or `python -m tests.benchmarks.bench_library`. `evaluate_library` is what the service does for a new record: a
retriever without an index, a new session, and what is at rest on that day, prepared before. `evaluate_alone` does without
the last two. The reference engine evaluates the same defines of the same ELM, on the same normalised resources with the same
expansions, in turns with ours; its PatientSource is made outside what is timed.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from statistics import median
from typing import Any, Final

import orjson

from cds_service.elm import AtRest, Date, Result, Session, session
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.records.record import PatientRecord
from cds_service.records.retriever import RecordRetriever
from cds_service.screening import Screener
from tests.benchmarks.figures import figure, machine, once, reference_versions, spread, timed
from tests.benchmarks.records import bundle_of, dense_bundle_of
from tests.reference import compare, engine, trial

AS_OF: Final = date(2026, 6, 15)
# How often the reference is asked: at 5,000 resources once takes minutes.
ROUNDS: Final = {50: 3, 500: 3, 5000: 1}
RUNS_A_ROUND: Final = {50: 60, 500: 40, 5000: 8}


@dataclass(frozen=True, slots=True)
class Bench:
    """The service's trial, and how it is evaluated."""

    screener: Screener
    at_rest: AtRest
    defines: tuple[str, ...]

    @classmethod
    def load(cls) -> Bench:
        screener = Screener.load()
        found = screener.catalog.get(trial.TRIAL).trial
        defines = [c.define for c in found.criteria if c.define] + [found.participation or ""]
        return cls(screener, AtRest(now=screener._noon(AS_OF)), tuple(filter(None, defines)))

    def normalised(self, bundle: Mapping[str, Any]) -> PatientRecord:
        screener = self.screener
        return normalise(read_bundle(bundle), screener.mappings, timezone=screener.timezone, as_of=AS_OF)

    def session(self, record: PatientRecord) -> Session:
        retriever = RecordRetriever(record, self.screener.value_sets)
        return Session(
            retriever=retriever, patient=record.patient, now=self.at_rest.now, at_rest=self.at_rest
        )

    def evaluated(self, record: PatientRecord, session: Session | None = None) -> dict[str, Result]:
        loaded = self.screener.catalog.get(trial.TRIAL)
        parameters = {**loaded.parameters.values, "ScreeningDate": Date.from_date(AS_OF)}
        shared = session or self.session(record)
        return loaded.library.evaluate(self.defines, session=shared, parameters=parameters)

    def alone(self, record: PatientRecord) -> dict[str, Result]:
        loaded = self.screener.catalog.get(trial.TRIAL)
        parameters = {**loaded.parameters.values, "ScreeningDate": Date.from_date(AS_OF)}
        return loaded.library.evaluate(
            self.defines,
            retriever=RecordRetriever(record, self.screener.value_sets),
            patient=record.patient,
            parameters=parameters,
            now=self.at_rest.now,
        )


def figures() -> Iterator[str]:
    """All lines of this benchmark."""
    yield from machine()
    benches: list[Bench] = []
    yield figure("load_once", once(lambda: benches.append(Bench.load())), "ms")
    (bench,) = benches
    gc.collect()
    gc.freeze()  # as `serve` does: what was loaded once is not collected again and again
    sizes = {str(size): bundle_of(size) for size in ROUNDS}
    medians = {}
    for name, bundle in {**sizes, "dense_500": dense_bundle_of(500)}.items():
        body = orjson.dumps(bundle)
        yield f"# {name.replace('_', ' ')} resources, {len(body)} bytes"
        record = bench.normalised(bundle)
        medians[name] = median(times := timed(lambda body=body: json.loads(body)))
        yield from spread(f"json_loads_{name}", times)
        yield from spread(f"orjson_loads_{name}", timed(lambda body=body: orjson.loads(body)))
        yield from spread(f"read_bundle_{name}", timed(lambda body=body: read_bundle(orjson.loads(body))))
        yield from spread(f"normalise_{name}", timed(lambda bundle=bundle: bench.normalised(bundle)))
        times = timed(lambda record=record: bench.evaluated(record))
        yield from spread(f"evaluate_library_{name}", times)
        yield figure(f"ratio_evaluate_to_json_{name}", median(times) / medians[name], "x")
        yield from spread(f"evaluate_alone_{name}", timed(lambda record=record: bench.alone(record)))
        source = read_bundle(bundle)
        yield from spread(
            f"screen_{name}", timed(lambda source=source: bench.screener.screen(source, None, AS_OF))
        )
        yield from counted(bench, record, name)
    yield from compared(bench, sizes)


def counted(bench: Bench, record: PatientRecord, name: str) -> Iterator[str]:
    """How many defines an evaluation asks for, and how many of them are at rest."""
    asked: set[int] = set()
    evaluated: set[int] = set()
    recall, keep = session.Shared.recall, session.Shared.keep

    def noted_recall(self: Any, ctx: Any, definition: Any) -> Any:
        asked.add(definition.index)
        return recall(self, ctx, definition)

    def noted_keep(self: Any, ctx: Any, definition: Any, entry: Any) -> None:
        evaluated.add(definition.index)
        keep(self, ctx, definition, entry)

    session.Shared.recall, session.Shared.keep = noted_recall, noted_keep  # type: ignore[method-assign]
    try:
        retriever = RecordRetriever(record, bench.screener.value_sets)
        now = bench.at_rest.now
        bench.evaluated(record, Session(retriever=retriever, patient=record.patient, now=now))
        yield figure(f"defines_asked_{name}", len(asked), "defines")
        evaluated.clear()
        bench.evaluated(record)
        yield figure(f"defines_evaluated_{name}", len(evaluated), "defines")
    finally:
        session.Shared.recall, session.Shared.keep = recall, keep  # type: ignore[method-assign]


# --- The reference engine ---


def compared(bench: Bench, sizes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """Both engines in turns, after both have come to the same."""
    if (why := engine.missing()) is not None:
        yield f"# reference skipped: {why}"
        return
    yield reference_versions()
    parameters = {"ScreeningDate": {"$": "Date", "text": AS_OF.isoformat()}}
    elm = [trial.in_javascript(each) for each in trial._elm()]
    with engine.running() as reference:
        for name, bundle in sizes.items():
            record = bench.normalised(bundle)
            resources = [resource for kind in record.resources.values() for resource in kind]
            theirs_of = {"resourceType": "Bundle", "entry": [{"resource": r} for r in resources]}
            reference.load(trial.TRIAL, elm, trial.MAIN, expansions(bench, resources))
            if name == "50":
                yield agreement(bench, record, reference, theirs_of, parameters)
            ours: list[float] = []
            theirs: list[float] = []
            for _ in range(ROUNDS[int(name)]):
                theirs += reference.time(
                    trial.TRIAL, theirs_of, parameters, trial.NOW, 1, bench.defines
                )  # fmt: skip
                ours += [
                    once(lambda record=record: bench.evaluated(record))
                    for _ in range(RUNS_A_ROUND[int(name)])
                ]
            yield f"# {name} resources, {len(theirs)} rounds of the reference, {len(ours)} of ours, in turns"
            yield figure(f"reference_{name}_median", float(median(theirs)), "ms")
            yield figure(f"beside_reference_{name}_median", median(ours), "ms")
            yield figure(f"ratio_reference_{name}", float(median(theirs)) / median(ours), "x")


def expansions(bench: Bench, resources: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """Each value set as a list: its listed codes, and those of the record that it holds by prefix."""
    sets = bench.screener.value_sets
    codings = {
        (coding["system"], coding["code"])
        for resource in resources
        for coding in _codings(resource)
        if isinstance(coding.get("system"), str) and isinstance(coding.get("code"), str)
    }
    found = {}
    for url in filter(None, map(sets.url_of, sets.names)):
        codes = {(code.system, code.code) for code in sets.expand(url)}
        codes |= {(system, code) for system, code in codings if sets.in_value_set(system, code, url)}
        found[url] = [{"system": system, "code": code} for system, code in sorted(codes)]  # type: ignore[type-var]
    return found


def _codings(node: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(node, list):
        for item in node:
            yield from _codings(item)
    elif isinstance(node, dict):
        yield from (coding for coding in node.get("coding") or () if isinstance(coding, dict))
        for value in node.values():
            yield from _codings(value)


def agreement(
    bench: Bench,
    record: PatientRecord,
    reference: engine.Reference,
    bundle: Mapping[str, Any],
    parameters: Mapping[str, Any],
) -> str:
    """How many defines both engines bring to the same value."""
    theirs = reference.run(trial.TRIAL, bundle, parameters, trial.NOW, bench.defines)
    ours = bench.evaluated(record)
    same = sum(not compare.compared(compare.outcome(result), theirs[name]) for name, result in ours.items())
    return f"# {same} of {len(ours)} defines have the same value in both engines"


def main() -> None:
    for line in figures():
        print(line, flush=True)


if __name__ == "__main__":
    main()
