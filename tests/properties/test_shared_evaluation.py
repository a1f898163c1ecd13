"""Evaluations that share (a session of one record, what is at rest, libraries of one set) give what separate ones give."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, Final

import orjson
from hypothesis import given
from hypothesis import strategies as st

from cds_service.elm import AtRest, Date, Library, LibrarySet, Result, Session, load_library
from cds_service.records.bundle import read_bundle
from cds_service.records.normalise import normalise
from cds_service.records.record import PatientRecord
from cds_service.records.retriever import RecordRetriever
from cds_service.screening import Screener
from tests.builders import Resource
from tests.properties.records import records, tried
from tests.trials.assessing import TRIAL, _screener

AS_OF: Final = date(2026, 6, 15)
# A parameter of the main library, of an included one, of several, of a function, and the day itself.
CHOICES: Final[Mapping[str, st.SearchStrategy[Any]]] = {
    "minAge": st.sampled_from([18, 40]),
    "alsfrsMin": st.sampled_from([30, 44]),
    "trialIdentifier": st.sampled_from(["NCT02917681", "NCT00000000"]),
    "labWindowDays": st.sampled_from([30, 365]),
    "endUnknownYears": st.sampled_from([1, 5]),
    "steroidsAre": st.sampled_from(["review", "ignore"]),
    "ScreeningDate": st.sampled_from([Date(2026, 6, 15), Date(2026, 6, 14)]),
}
PARAMETERS: Final = st.fixed_dictionaries({}, optional=CHOICES)


@cache
def screener() -> Screener:
    return _screener("{}")


@cache
def sources() -> dict[str, dict[str, Any]]:
    root = files("cds_service") / "trials"
    folders = (root, root / "common", root / TRIAL)
    found = [
        orjson.loads(f.read_bytes()) for d in folders for f in d.iterdir() if f.name.endswith(".elm.json")
    ]
    return {each["library"]["identifier"]["id"]: each for each in found}


def others() -> dict[str, dict[str, Any]]:
    """The trial under another name, with one included library of the same name but another content."""
    changed = copy.deepcopy(sources())
    trial = changed["NCT02917681"]["library"]
    trial["identifier"]["id"] = "Another"
    statements = changed["ALSFunction"]["library"]["statements"]["def"]
    statements.append({**statements[-1], "name": "One More"})
    return changed


@cache
def separate_libraries() -> tuple[Library, Library]:
    value_sets = screener().value_sets
    return (
        load_library(sources().values(), main="NCT02917681", terminology=value_sets),
        load_library(others().values(), main="Another", terminology=value_sets),
    )


@cache
def shared_libraries() -> tuple[Library, Library]:
    libraries = LibrarySet(screener().value_sets)
    return (
        libraries.load(sources().values(), main="NCT02917681"),
        libraries.load(others().values(), main="Another"),
    )


@cache
def at_rest() -> AtRest:
    return AtRest(now=screener()._noon(AS_OF))


def told(results: Mapping[str, Result]) -> dict[str, Any]:
    return {
        name: (r.value, [id(x) for x in r.resources], r.types, None if r.error is None else str(r.error))
        for name, r in results.items()
    }


def explained(result: Result) -> list[str]:
    """The lines of an explanation's tree."""
    return [f"{depth} {again} {node!r}" for depth, node, again in result.explain().walk()]


class PlainRetriever:
    """The record's retriever without its index: no more than the port's one method."""

    def __init__(self, record: PatientRecord) -> None:
        self.retrieve = RecordRetriever(record, screener().value_sets).retrieve


@tried(40)
@given(records(), st.lists(PARAMETERS, min_size=2, max_size=4), st.booleans(), st.booleans())
def test_shared_evaluations_give_what_separate_ones_give(
    bundle: Resource, given_parameters: list[dict[str, Any]], indexed: bool, rests: bool
) -> None:
    record = normalise(read_bundle(bundle), screener().mappings, timezone=screener().timezone, as_of=AS_OF)
    retriever = RecordRetriever(record, screener().value_sets) if indexed else PlainRetriever(record)
    now = screener()._noon(AS_OF)
    session = Session(
        retriever=retriever, patient=record.patient, now=now, at_rest=at_rest() if rests else None
    )
    own = screener().catalog.get(TRIAL).parameters.values
    for changed in given_parameters:
        parameters = {**own, "ScreeningDate": Date(2026, 6, 15), **changed}
        for shared, separate in zip(shared_libraries(), separate_libraries(), strict=True):
            expected = separate.evaluate(
                None,
                retriever=RecordRetriever(record, screener().value_sets),
                patient=record.patient,
                parameters=parameters,
                now=now,
            )
            found = shared.evaluate(None, session=session, parameters=parameters)
            assert told(found) == told(expected)
            for name in ("EX06-AstAlt", "IN01-Age"):
                assert explained(found[name]) == explained(expected[name])
