"""A Bundle and ValueSet resources as the engine's two ports."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.elm import BundleRetriever, Code, Retriever, Terminology, ValueSetExpansions, load_library
from cds_service.errors import AuthoringError, InputError, PatientAmbiguousError
from tests.unit.elm.nodes import NOW, define, library

LOINC, URL = "http://loinc.org", "https://example.org/vs"
EXPANSION = {
    "resourceType": "ValueSet",
    "url": URL,
    "expansion": {
        "contains": [
            {"system": LOINC, "code": "top", "abstract": True, "contains": [{"system": LOINC, "code": "1", "display": "One"}]},
            {"system": "urn:other", "code": "2"},
        ]
    },
}  # fmt: skip
COMPOSE = {
    "resourceType": "ValueSet",
    "url": URL,
    "compose": {
        "include": [{"system": LOINC, "concept": [{"code": "1"}, {"code": "2"}]}],
        "exclude": [{"system": LOINC, "concept": [{"code": "2"}]}],
    },
}


def observation(number: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": number, **more}


def coded(number: str, system: str | None, code: str) -> dict[str, Any]:
    return observation(
        number, code={"coding": [{"system": system, "code": code}] if system else [{"code": code}]}
    )


ALL = [coded("a", LOINC, "1"), coded("b", "urn:other", "1"), coded("c", None, "1"), observation("d", code={"text": "1"}), observation("e", code="1"), observation("f")]  # fmt: skip
PATIENT = {"resourceType": "Patient", "id": "p"}
BUNDLE = {
    "resourceType": "Bundle",
    "entry": [{"resource": each} for each in (PATIENT, *ALL)] + [{"request": {}}],
}


def ids(found: Any) -> list[str]:
    return [each["id"] for each in found]


def test_a_bundle_gives_its_resources_by_type() -> None:
    record: Retriever = BundleRetriever(BUNDLE)
    assert ids(record.retrieve("Observation", None, None, None)) == list("abcdef")
    assert record.retrieve("Condition", None, None, None) == []
    assert BundleRetriever(BUNDLE).patient is PATIENT
    assert BundleRetriever(ALL).patient is None


def test_codes_match_by_system_and_code_and_a_plain_code_by_itself() -> None:
    record = BundleRetriever(ALL)
    assert ids(record.retrieve("Observation", "code", [Code("1", LOINC)], None)) == ["a", "e"]
    assert ids(record.retrieve("Observation", None, [Code("2", LOINC), Code("1", "urn:other")], None)) == [
        "b",
        "e",
    ]
    assert ids(record.retrieve("Observation", "code", [], None)) == []


def test_a_choice_a_path_and_a_list_are_read() -> None:
    concept = {"coding": [{"system": LOINC, "code": "1"}]}
    request = {"resourceType": "MedicationRequest", "id": "m", "medicationCodeableConcept": concept}
    device = {"resourceType": "DeviceUseStatement", "id": "d", "device": [{"type": concept}]}
    record = BundleRetriever([request, device, {**observation("o"), "category": [concept]}])
    wanted = [Code("1", LOINC)]
    assert ids(record.retrieve("MedicationRequest", "medication", wanted, None)) == ["m"]
    assert ids(record.retrieve("DeviceUseStatement", "device.type", wanted, None)) == ["d"]
    assert ids(record.retrieve("Observation", "category", wanted, None)) == ["o"]


@pytest.mark.parametrize(
    ("value_set", "expected"),
    [(EXPANSION, [("1", LOINC), ("2", "urn:other")]), (COMPOSE, [("1", LOINC)])],
    ids=["expansion", "compose"],
)
def test_a_value_set_lists_its_codes(value_set: Any, expected: list[tuple[str, str]]) -> None:
    sets: Terminology = ValueSetExpansions([value_set])
    assert [(code.code, code.system) for code in sets.expand(URL)] == expected
    assert sets.has_value_set(URL + "|2026")
    assert not sets.has_value_set(URL + "/x")
    assert sets.in_value_set(LOINC, "1", URL)
    assert sets.in_value_set(None, "1", URL)
    assert not sets.in_value_set("urn:other", "1", URL)
    assert not sets.in_value_set(LOINC, "top", URL)
    assert not sets.in_value_set(LOINC, "1", URL + "/x")


def test_resources_are_retrieved_by_value_set() -> None:
    sets = ValueSetExpansions([EXPANSION])
    assert ids(BundleRetriever(BUNDLE, sets).retrieve("Observation", "code", None, URL)) == ["a", "e"]
    with pytest.raises(InputError, match=r"BundleRetriever\(data, terminology\)"):
        BundleRetriever(BUNDLE).retrieve("Observation", "code", None, URL)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"resourceType": "ValueSet"}, r"the ValueSet \(no id\) has no url"),
        ({"resourceType": "Bundle"}, "a FHIR ValueSet resource is expected"),
        ({"resourceType": "ValueSet", "url": URL}, "neither an expansion nor a list"),
        ({"resourceType": "ValueSet", "url": URL, "compose": {"include": [{"system": LOINC}]}}, "expand"),
    ],
)
def test_a_value_set_that_lists_no_codes_is_refused(given: Any, words: str) -> None:
    with pytest.raises(AuthoringError, match=words):
        ValueSetExpansions([given])
    with pytest.raises(AuthoringError, match="given twice"):
        ValueSetExpansions([EXPANSION, COMPOSE])


@pytest.mark.parametrize("given", [{"resourceType": "Patient"}, [{"id": "x"}], ["x"]])
def test_what_is_no_record_is_refused(given: Any) -> None:
    with pytest.raises(InputError):
        BundleRetriever(given)


def test_several_patients_are_ambiguous() -> None:
    with pytest.raises(PatientAmbiguousError):
        _ = BundleRetriever([PATIENT, PATIENT]).patient


def test_a_library_runs_on_them() -> None:
    sets = ValueSetExpansions([EXPANSION])
    retrieve = {"type": "Retrieve", "dataType": "{http://hl7.org/fhir}Observation", "codes": {"type": "ValueSetRef", "name": "V"}}  # fmt: skip
    source = library(
        define("It", {"type": "Count", "source": retrieve}), valueSets=[{"name": "V", "id": URL}]
    )
    loaded = load_library([source], main="Test", terminology=sets)
    record = BundleRetriever(BUNDLE, sets)
    found = loaded.evaluate(None, retriever=record, patient=record.patient, parameters={}, now=NOW)
    assert found["It"].value == 2
    assert ids(found["It"].resources) == ["a", "e"]
