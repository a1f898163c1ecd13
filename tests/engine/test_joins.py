"""Queries that join two sources find their rows by key: in N+M steps, with the results of the plain nested loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cds_service.elm import Library, Result, Session, compile, load_library
from cds_service.elm.operators import joins
from tests.engine.operator_table import DATA
from tests.engine.test_fhir import NOW, PATIENT, Record, Sets, concept

SUFFIX = {"Suffix": ""}


def load() -> Library:
    helpers = files("cds_service.trials") / "FHIRHelpers.elm.json"
    sources = [(DATA / "fhir" / "Joins.elm.json").read_bytes(), helpers.read_bytes()]
    return load_library(sources, main="Joins", terminology=Sets())


@cache
def joined() -> Library:
    return load()


@pytest.fixture(scope="module")
def nested() -> Library:
    """The library compiled with plain nested loops."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "conditions", lambda *_: [])
        return load()


def evaluated(
    library: Library, resources: Sequence[Mapping[str, Any]], defines: Sequence[str] | None = None
) -> dict[str, Result]:
    return library.evaluate(defines, retriever=Record(resources), patient=PATIENT, parameters=SUFFIX, now=NOW)


# --- Cost ---


class Counted(dict[str, Any]):
    """A resource that counts how often its id is read."""

    reads = 0

    def get(self, key: str, default: Any = None) -> Any:
        if key == "id":
            Counted.reads += 1
        return super().get(key, default)


def requests(number: int) -> list[dict[str, Any]]:
    return [
        {"resourceType": "MedicationRequest", "id": f"r{n}", "status": "active",
         "medicationReference": {"reference": f"Medication/m{n}"},
         "supportingInformation": [{"reference": f"m{n}"}]}
        for n in range(number)
    ]  # fmt: skip


def medications(number: int) -> list[dict[str, Any]]:
    code = concept("http://www.whocc.no/atc", "L04AX01")
    return [Counted(resourceType="Medication", id=f"m{n}", status="active", code=code) for n in range(number)]


FOUND_BY_KEY = [
    "Retrieve", "With key", "Without key", "With literal", "With more", "With equivalent", "With define",
    "Two sources", "Three sources", "Aggregated", "Exists", "Counted", "By function", "With parameter",
    "With computed source",
]  # fmt: skip


@pytest.mark.parametrize("define", FOUND_BY_KEY)
def test_two_thousand_requests_and_as_many_medications_take_steps_in_proportion(define: str) -> None:
    size = 2000
    Counted.reads = 0
    result = evaluated(joined(), [*requests(size), *medications(size)], [define])[define]
    assert result.error is None
    assert result.value is not None
    assert Counted.reads < 10 * size


def test_without_an_index_the_same_query_tries_each_pair(nested: Library) -> None:
    size = 50
    Counted.reads = 0
    evaluated(nested, [*requests(size), *medications(size)], ["With key"])
    assert Counted.reads > size * size / 4


# --- Results ---

IDS = st.sampled_from(["a", "b", "c", "A", "d e"])
REFERENCES = st.sampled_from(
    ["Medication/a", "Medication/b", "c", "Medication/A", "#d", "Medication/d  e", "", 7]
)
STATUSES = st.sampled_from(["active", "stopped", "draft"])
REPEATS = st.sampled_from([0, 1, 2, True, "two"])
DATES = st.sampled_from(
    ["2026", "2026-06", "2026-06-01", "2026-06-01T10:00:00-03:00", "2026-06-01T13:00:00Z"]
)
REQUEST = st.fixed_dictionaries(
    {"resourceType": st.just("MedicationRequest")},
    optional={
        "id": IDS,
        "status": STATUSES,
        "authoredOn": DATES,
        "reported": st.booleans(),
        "doNotPerform": st.booleans(),
        "medication": st.one_of(
            st.builds(lambda text: {"medicationReference": {"reference": text}}, REFERENCES),
            st.just({"medicationCodeableConcept": concept("http://www.whocc.no/atc", "L04AX01")}),
        ),
        "dispenseRequest": st.builds(lambda number: {"numberOfRepeatsAllowed": number}, REPEATS),
        "supportingInformation": st.lists(
            st.one_of(st.builds(lambda text: {"reference": text}, IDS), st.just({})), max_size=3
        ),
    },
)
MEDICATION = st.fixed_dictionaries(
    {"resourceType": st.just("Medication")},
    optional={
        "id": st.one_of(IDS, IDS, IDS, st.just(7)),
        "status": STATUSES,
        "code": st.sampled_from([concept("http://www.whocc.no/atc", "L04AX01"), {"text": "x"}]),
        "amount": st.sampled_from([{"numerator": {"value": 1.0}}, {"numerator": {"value": 2}}]),
        "ingredient": st.sampled_from([[{}], [{}, {}]]),
    },
)
RECORDS = st.tuples(st.lists(REQUEST, max_size=6), st.lists(MEDICATION, max_size=6))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**{key: value for key, value in row.items() if key != "medication"}, **row.get("medication", {})}


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(RECORDS, st.sampled_from([0, 3]))
def test_values_types_and_resources_are_those_of_the_nested_loop(
    nested: Library, rows: tuple[list[Any], list[Any]], worth: int
) -> None:
    resources = [_flat(row) for row in rows[0]] + rows[1]
    expected = evaluated(nested, resources)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(joins, "_WORTH_INDEXING", worth)
        found = evaluated(joined(), resources)
    for name, result in expected.items():
        if result.error is None:
            assert found[name].error is None, name
            assert found[name].value == result.value, name
            assert found[name].types == result.types, name
            assert [id(r) for r in found[name].resources] == [id(r) for r in result.resources], name


def test_a_key_that_can_not_be_computed_fails_as_it_does_row_by_row(nested: Library) -> None:
    rows = [*requests(20), *medications(20), {"resourceType": "Medication", "id": 7}]
    for library in (joined(), nested):
        # Each request finds its medication before the broken one is reached …
        assert evaluated(library, rows, ["With key"])["With key"].error is None
        # … and one that finds none reaches it.
        more = [
            *rows,
            {"resourceType": "MedicationRequest", "medicationReference": {"reference": "Medication/x"}},
        ]
        assert evaluated(library, more, ["With key"])["With key"].error is not None


def test_a_condition_of_rows_that_do_not_match_may_fail_unseen(nested: Library) -> None:
    """CQL 1.5, Author's Guide, Logical Operators: no expectation that an implementation respect short-circuits."""
    rows: list[Any] = [*requests(20), *medications(20)]
    rows[20]["ingredient"] = [{}, {}]
    rows.append({"resourceType": "MedicationRequest", "status": "active"})
    name = "With a failing condition"
    assert (
        evaluated(nested, rows[1:], [name])[name].error is not None
    )  # the last row's key is null: all are tried
    assert [row["id"] for row in evaluated(joined(), rows[1:], [name])[name].value] == [
        f"r{n}" for n in range(1, 20)
    ]
    assert evaluated(joined(), rows, [name])[name].error is not None  # the first row's medication fails


def test_a_key_made_with_a_parameter_is_made_anew_for_each_evaluation_of_a_session() -> None:
    rows = [*requests(20), *medications(10), *({"resourceType": "Medication", "id": "m"} for _ in range(10))]
    record = Record(rows)
    session = Session(retriever=record, patient=PATIENT, now=NOW)
    for suffix in ("-", "", "1", ""):
        parameters = {"Suffix": suffix}
        shared = joined().evaluate(["With parameter"], session=session, parameters=parameters)
        alone = joined().evaluate(
            ["With parameter"], retriever=record, patient=PATIENT, now=NOW, parameters=parameters
        )
        assert shared == alone, suffix


@pytest.mark.parametrize("generates", [True, False])
def test_what_is_kept_while_a_query_runs_is_not_yet_there_when_its_rows_are_indexed(
    monkeypatch: pytest.MonkeyPatch, generates: bool
) -> None:
    monkeypatch.setattr(compile, "GENERATES", generates)
    found = load().evaluate(
        ["Counted by a computed key"], retriever=Record([]), patient=PATIENT, now=NOW, parameters=SUFFIX
    )
    assert found["Counted by a computed key"].value == [0, 1, 0, 1, 0, 0, 0, 0, 0, 0]
