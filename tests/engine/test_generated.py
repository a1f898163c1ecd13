"""The functions that are made of the trials' libraries do what the libraries' closures do, on records of any kind.

The records are what the vignettes hold, in any number and order, with parts left out, dates made partial and values
put where they don't belong, so that lists are long, dates are unsure and defines fail.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from copy import deepcopy
from datetime import date
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from cds_service.elm import AtRest, Date, DateTime, Library, Session, compile
from cds_service.elm.operators import fhirhelpers, functions, joins
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.records.record import PatientRecord
from cds_service.records.retriever import RecordRetriever
from cds_service.screening import Screener
from tests import builders

AS_OF = date(2026, 6, 15)
NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")
TRIALS = Path(__file__).resolve().parents[2] / "cds_service" / "trials"
PARTIAL = ("2026", "2026-05", "2026-06-15", "2026-06-15T23:30:00Z", "2026-06-14T10:00:00-03:00", "2019-02")
Vignettes = tuple[PatientRecord, list[dict[str, Any]]]
ODD = (None, 7, True, "x", "", [], {}, ["x"], {"value": 1}, [None], 3.5)


@pytest.fixture(scope="module")
def generated() -> Screener:
    return Screener.load()


@pytest.fixture(scope="module")
def closures() -> Screener:
    """The same libraries, with closures only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile, "GENERATES", False)
        return Screener.load()


@pytest.fixture(scope="module")
def plain() -> Screener:
    """The same libraries, without anything that the compiler does for speed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compile, "GENERATES", False)
        patch.setattr(compile, "_WORTH_KEEPING", 10**9)
        patch.setattr(functions, "_WORTH_REMEMBERING", 10**9)
        patch.setattr(functions, "_is_accessor", lambda definition: False)
        patch.setattr(fhirhelpers, "native", lambda *_: None)
        patch.setattr(fhirhelpers, "codings_of", lambda *_: None)
        patch.setattr(joins, "joined", lambda inside, outside, condition, source, *_: source)
        return Screener.load()


@pytest.fixture(scope="module")
def vignettes(generated: Screener) -> Vignettes:
    """A record, and every resource of the vignettes, normalised."""
    screener = generated
    found: list[dict[str, Any]] = []
    record = _normalised(screener, builders.b0())
    for path in sorted(TRIALS.glob("*/vignettes/*.json")):
        content = json.loads(path.read_text(encoding="utf-8"))
        one = _normalised(screener, content.get("bundle", content))
        found += [resource for resources in one.resources.values() for resource in resources]
    return record, found


def _normalised(screener: Screener, bundle: dict[str, Any]) -> PatientRecord:
    record = read_bundle(bundle)
    return normalise(record, screener.mappings, timezone=screener.timezone, as_of=AS_OF)


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container within a value, with each of its keys."""
    for key in value if isinstance(value, dict) else range(len(value)):
        yield value, key
        if isinstance(value[key], (dict, list)):
            yield from _places(value[key])


def _changed(rng: random.Random, resource: dict[str, Any], oddity: float) -> dict[str, Any]:
    made: dict[str, Any] = deepcopy(resource)
    made["id"] = f"{made.get('id')}-{rng.randrange(4)}"
    for _ in range(rng.choice((0, 0, 0, 1, 1, 2))):
        container, key = rng.choice([place for place in _places(made) if place[1] != "resourceType"])
        text = container[key]
        if isinstance(text, str) and text[:2] == "20" and rng.random() < 0.8:
            container[key] = rng.choice(PARTIAL)
        elif isinstance(container, dict) and rng.random() > oddity:
            del container[key]
        else:
            container[key] = deepcopy(rng.choice(ODD))
    return made


def _record(
    rng: random.Random, base: PatientRecord, pool: list[dict[str, Any]], oddity: float
) -> PatientRecord:
    resources: dict[str, tuple[dict[str, Any], ...]] = {}
    for resource in rng.choices(pool, k=rng.choice((0, 3, 10, 40, 120))):
        made = _changed(rng, resource, oddity)
        resources[made["resourceType"]] = (*resources.get(made["resourceType"], ()), made)
    patient = _changed(rng, dict(base.patient), oddity)
    return PatientRecord(patient, base.patient_reference, MappingProxyType(resources))


def _seen(library: Library, record: PatientRecord, screener: Screener, rest: AtRest | None) -> dict[str, Any]:
    session = Session(
        retriever=RecordRetriever(record, screener.value_sets), patient=record.patient, now=NOW, at_rest=rest
    )
    results = library.evaluate(None, session=session, parameters={"ScreeningDate": Date(2026, 6, 15)})
    return {
        name: (_exact(result.value), result.types, [id(r) for r in result.resources], str(result.error))
        for name, result in results.items()
    }


def _exact(value: Any) -> Any:
    """A value that tells true from 1, and 1 from 1.0."""
    if isinstance(value, Mapping):
        return {name: _exact(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_exact(item) for item in value]
    return (type(value), repr(value) if value != value else value)


@pytest.mark.parametrize("seed", range(60))
def test_generated_functions_do_what_the_closures_do(
    generated: Screener, closures: Screener, plain: Screener, vignettes: Vignettes, seed: int
) -> None:
    rng = random.Random(seed)
    base, pool = vignettes
    record = _record(rng, base, pool, oddity=rng.choice((0.0, 0.0, 0.3, 1.0)))
    rest = AtRest(now=NOW) if seed % 2 else None
    for trial_id in generated.catalog.loaded:
        library = generated.catalog.get(trial_id).library
        seen = _seen(library, record, generated, rest)
        by_closures = _seen(closures.catalog.get(trial_id).library, record, closures, None)
        assert seen == by_closures  # values, types, resources, failures and where these are
        simply = _seen(plain.catalog.get(trial_id).library, record, plain, None)
        for name, result in simply.items():
            if result[3] == "None":  # a failure may be spared by a join
                assert seen[name] == result
