"""The engine on FHIR JSON: retrieves, choice elements, primitives, codes, joins, laziness, errors and what a result rests on.

The CQL is `data/fhir/Fhir.cql`, its ELM is committed beside it (`translate_folder` makes it anew).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from functools import cache
from importlib.resources import files
from typing import Any

import pytest

from cds_service.elm import (
    Code,
    Concept,
    Date,
    DateTime,
    Interval,
    Library,
    Result,
    RetrieveNeed,
    load_library,
)
from cds_service.translation import stale
from tests.engine.operator_table import DATA

NOW = DateTime.parse("2026-06-15T12:00:00.000-03:00")
ALS, DRUGS = "https://example.org/ValueSet/als", "https://example.org/ValueSet/drugs"
SETS = {ALS: {("http://snomed.info/sct", "86044005")}, DRUGS: {("http://www.whocc.no/atc", "L04AX01")}}
PARAMETERS = {
    "AsOf": Date(2026, 6, 15),
    "Period": Interval(
        DateTime.parse("2026-06-01T00:00:00.0-03:00"), DateTime.parse("2026-06-30T00:00:00.0-03:00")
    ),
}


class Sets:
    """A terminology of the two value sets."""

    def has_value_set(self, url: str) -> bool:
        return url in SETS

    def in_value_set(self, system: str | None, code: str, url: str) -> bool:
        return (system, code) in SETS[url]

    def expand(self, url: str) -> Sequence[Code]:
        return [Code(code, system) for system, code in sorted(SETS[url])]


class Record:
    """A retriever over a list of resources that remembers what it was asked."""

    def __init__(self, resources: Sequence[Mapping[str, Any]]) -> None:
        self.resources = resources
        self.asked: list[tuple[str, str | None]] = []

    def retrieve(
        self, resource_type: str, code_path: str | None, codes: Sequence[Code] | None, value_set: str | None
    ) -> Sequence[Mapping[str, Any]]:
        self.asked.append((resource_type, code_path))
        wanted = None if codes is None else {(code.system, code.code) for code in codes}
        if value_set is not None:
            wanted = SETS[value_set]
        found = [r for r in self.resources if r["resourceType"] == resource_type]
        if wanted is None:
            return found
        return [r for r in found if wanted & set(_codes(r, code_path or ""))]


def _codes(resource: Mapping[str, Any], path: str) -> list[tuple[str | None, str | None]]:
    concept = resource.get(path) or resource.get(path + "CodeableConcept") or {}
    return [(coding.get("system"), coding.get("code")) for coding in concept.get("coding", ())]


def concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


ALT = concept("http://loinc.org", "1742-6")
SUBJECT = {"reference": "Patient/1"}
PATIENT = {
    "resourceType": "Patient",
    "id": "1",
    "gender": "female",
    "_birthDate": {"extension": [{"url": "urn:birth-time", "valueDateTime": "1970-02-03T10:00:00-03:00"}]},
    "birthDate": "1970-02",
    "name": [{"given": ["A", "B"]}, {"given": ["C"]}],
}
RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Condition", "id": "c1", "subject": SUBJECT, "code": concept("http://snomed.info/sct", "86044005"),
     "onsetDateTime": "2020-05", "encounter": {"reference": "Encounter/9"}},
    {"resourceType": "Condition", "id": "c2", "subject": SUBJECT, "code": {"text": "flu"},
     "onsetPeriod": {"start": "2021-01-01"}, "verificationStatus": concept("http://terminology.hl7.org/CodeSystem/condition-ver-status", "refuted")},
    {"resourceType": "Observation", "id": "o1", "status": "final", "subject": SUBJECT, "code": ALT,
     "effectiveDateTime": "2026-06-01T10:00:00-03:00", "issued": "2026-06-01T13:00:00Z", "encounter": {"reference": "Encounter/9"},
     "valueQuantity": {"value": 41.2, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
     "referenceRange": [{"high": {"value": 40}}, {"text": "x"}]},
    {"resourceType": "Observation", "id": "o2", "status": "final", "subject": SUBJECT, "code": ALT,
     "effectiveDateTime": "2026-05-01T10:00:00-03:00", "issued": "2026-05-01T13:00:00Z",
     "valueQuantity": {"value": 30, "unit": "U/L", "system": "http://unitsofmeasure.org", "code": "U/L"},
     "interpretation": [{"coding": [{"code": "N"}]}, {"coding": [{"code": "H"}]}]},
    {"resourceType": "Observation", "id": "o3", "status": "amended", "subject": SUBJECT, "code": concept("http://loinc.org", "x"),
     "effectivePeriod": {"start": "2026-06-02", "end": "2026-06-03"}, "valueString": "clear", "_issued": {"id": "none"}},
    {"resourceType": "MedicationRequest", "id": "m1", "medicationReference": {"reference": "Medication/x"}},
    {"resourceType": "MedicationRequest", "id": "m2", "medicationCodeableConcept": concept("http://www.whocc.no/atc", "L04AX01")},
    {"resourceType": "MedicationRequest", "id": "m3", "medicationReference": {"reference": "Medication/y"}},
    {"resourceType": "Medication", "id": "x", "code": concept("http://www.whocc.no/atc", "L04AX01")},
    {"resourceType": "Medication", "id": "y", "code": concept("http://www.whocc.no/atc", "C09AA02")},
]  # fmt: skip


def sources() -> list[bytes]:
    helpers = files("cds_service.trials") / "FHIRHelpers.elm.json"
    return [(DATA / "fhir" / "Fhir.elm.json").read_bytes(), helpers.read_bytes()]


@cache
def library() -> Library:
    return load_library(sources(), main="Fhir", terminology=Sets())


def evaluate(
    *defines: str, resources: Sequence[Mapping[str, Any]] = RESOURCES, **changes: Any
) -> dict[str, Result]:
    given = {
        "retriever": Record(resources),
        "patient": PATIENT,
        "parameters": PARAMETERS,
        "now": NOW,
    } | changes
    return library().evaluate(defines or None, **given)


def value(define: str, **changes: Any) -> Any:
    result = evaluate(define, **changes)[define]
    assert result.error is None
    return result.value


def test_the_committed_elm_is_that_of_the_cql() -> None:
    assert stale(DATA / "fhir") == []


EXPECTED: dict[str, Any] = {
    "Drug Request Ids": ["m2", "m1"],
    "Observations In Period": ["o1"],
    "Gender": "female",
    "Is Female": True,
    "Birth Date": Date(1970, 2),
    "Birth Date Extension": DateTime.parse("1970-02-03T10:00:00-03:00"),
    "Birth Date Is There": True,
    "Deceased": None,
    "Values": [Decimal("41.2"), Decimal(30), None],
    "Issued": [DateTime.parse("2026-06-01T13:00:00Z"), DateTime.parse("2026-05-01T13:00:00Z"), None],
    "Given Names": ["A", "B", "C"],
    "Age": 56,
    "Value Kinds": ["Quantity", "Quantity", "string"],
    "Raw Values": [RESOURCES[2]["valueQuantity"], RESOURCES[3]["valueQuantity"], "clear"],
    "Kinds By Function": ["Quantity", "Quantity", "string"],
    "Either Date": [DateTime(2020, 5, offset=-180), DateTime(2021, 1, 1, offset=-180)],
    "Not Ignored": ["c1"],
    "By Code": ["o1", "o2"],
    "In Set": ["c1"],
    "Concepts": [Concept((Code("86044005", "http://snomed.info/sct"),)), Concept((), "flu")],
    "Any Interpretation": True,
    "Above 40": ["o1"],
    "High Limits": [[Decimal(40), None], None, None],
    "Latest Id": "o1",
    "With Condition": ["o1", "o2", "o3"],
    "Pairs": [{"observation": "o1", "condition": "c1"}],
    "Lazy": True,
    "Not Lazy": True,
    "Unbounded": {"number": 30, "period": PARAMETERS["Period"], "missing": Date(2026, 6, 15)},
    "Overloads": {"number": 4, "text": "aa"},
    "Made": {"start": "2026-01-01T10:00:00.000Z"},
}


@pytest.mark.parametrize("define", EXPECTED)
def test_value(define: str) -> None:
    assert value(define) == EXPECTED[define]


def test_resources_come_back_as_the_very_dicts_that_were_given() -> None:
    assert value("Latest") is RESOURCES[2]
    assert [id(r) for r in value("Descending")] == [id(RESOURCES[i]) for i in (2, 3, 4)]


def test_nothing_is_changed() -> None:
    before = copy.deepcopy(RESOURCES)
    evaluate()
    assert before == RESOURCES


def test_types_hold_only_what_was_really_retrieved() -> None:
    results = evaluate("Lazy", "Not Lazy", "Rests On Two")
    assert results["Lazy"].types == {"Patient"}
    assert results["Not Lazy"].types == {"Patient", "Procedure"}
    assert results["Rests On Two"].types == {"Observation", "Condition"}


def test_a_retrieve_behind_an_undecided_and_is_not_executed() -> None:
    record = Record([])
    assert value("Rests On Two", retriever=record) is False
    assert record.asked == [("Observation", "code")]


def test_resources_that_a_define_rests_on_come_through_the_defines_it_reads() -> None:
    result = evaluate("Rests On Two")["Rests On Two"]
    assert [resource["id"] for resource in result.resources] == ["o1", "o2", "c1"]


def test_a_define_is_evaluated_and_a_retrieve_executed_once() -> None:
    record = Record(RESOURCES)
    evaluate("All Observations", "Values", "Issued", "Value Kinds", retriever=record)
    assert record.asked == [("Observation", None)]


def test_a_failing_define_has_its_error_and_leaves_the_others_alone() -> None:
    results = evaluate("Failing", "Rests On Failing", "Gender")
    error = results["Failing"].error
    assert error is not None
    assert (error.library, error.define) == ("Fhir", "Failing")
    assert error.locator is not None
    assert error.locator.startswith("82:")
    assert "o1" not in str(error)
    assert results["Failing"].value is None
    assert results["Rests On Failing"].error is error
    assert results["Gender"].value == "female"
    assert results["Gender"].error is None


@pytest.mark.parametrize(
    ("change", "define"),
    [
        ({"effectiveDateTime": "2026-13-45"}, "Recent ALT"),
        ({"effectiveDateTime": 20260601}, "Recent ALT"),
        ({"valueQuantity": {"value": "41"}}, "Values"),
        ({"valueQuantity": "41 U/L"}, "Values"),
        ({"referenceRange": {"high": {"value": 40}}}, "High Limits"),
        ({"code": []}, "By Code"),
        ({"id": 7}, "By Code"),
    ],
)
def test_data_of_another_shape_makes_the_define_fail(change: dict[str, Any], define: str) -> None:
    odd = {**RESOURCES[2], **change}
    record = Record([odd])
    record.retrieve = lambda *_: [odd]  # type: ignore[method-assign]
    result = evaluate(define, retriever=record)[define]
    assert result.value is None
    assert result.error is not None
    assert result.error.define == define
    assert "41" not in str(result.error).replace(str(result.error.locator), "")


def test_what_a_define_may_retrieve_is_known_without_evaluating() -> None:
    assert library().retrieves("Rests On Two") == {
        RetrieveNeed("Observation", "code", (Code("1742-6", "http://loinc.org", None, None),), None),
        RetrieveNeed("Condition", "code", None, ALS),
    }
    assert {need.resource_type for need in library().retrieves("Drug Requests")} == {
        "MedicationRequest",
        "Medication",
    }


def test_one_library_serves_many_threads() -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: value("Values"), range(50)))
    assert answers == [EXPECTED["Values"]] * 50


def test_without_a_patient_the_record_is_asked_for_one() -> None:
    assert value("Gender", patient=None, resources=[PATIENT]) == "female"
    assert value("Gender", patient=None, resources=[]) is None


def test_an_absent_parameter_has_its_default_or_is_null() -> None:
    assert value("Unbounded", parameters={"Days": 7}) == {"number": 7, "period": None, "missing": None}
