"""Prefetch: the templates, and what values provide."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cds_service.records.patient_search import SEARCHED, by_patient
from cds_service.records.prefetch import UNSEARCHED, prefetch_key, read_prefetch, templates
from cds_service.records.resource_types import R4_TYPES
from tests.unit.records_io.scripted_server import bundle, condition, outcome, patient

TYPES = ("Patient", "Condition", "Observation")


# CDS Hooks 2.0, "Prefetch query restrictions": instance read, or a type's search by a reference, by tokens (`:in` too),
# by dates, with `_count` and `_sort`; 2.0 tokens: one field of the context.
_TOKEN = r"\{\{context\.patientId\}\}"
_REFERENCE = rf"(patient={_TOKEN}|subject=Patient/{_TOKEN})"
_SUBSET = re.compile(rf"[A-Z][A-Za-z]+(/{_TOKEN}|\?{_REFERENCE}(&_count=[1-9]\d*)?)")


@pytest.mark.proves("checklist:23", "checklist:24", "checklist:25")
@pytest.mark.parametrize("page_size", [None, 1000])
def test_templates_of_every_type_keep_to_the_query_subset_that_every_client_knows(
    page_size: int | None,
) -> None:
    found = templates(R4_TYPES, page_size=page_size)
    assert set(found) == {prefetch_key(kind) for kind in SEARCHED | {"Patient"}}
    assert next(iter(found.values())) == "Patient/{{context.patientId}}"
    for key, template in found.items():
        assert _SUBSET.fullmatch(template), template
        assert prefetch_key(re.split("[/?]", template)[0]) == key
        assert ("_count" in template) is (page_size is not None and key != "patient")
    assert len(set(found.values())) == len(found)


def test_templates_ask_for_no_companions() -> None:
    found = templates({"Patient", "Condition", "MedicationRequest", "Medication", "ResearchStudy", "Device"})
    assert found == {
        "patient": "Patient/{{context.patientId}}",
        "condition": "Condition?patient={{context.patientId}}",
        "device": "Device?patient={{context.patientId}}",
        "medicationRequest": "MedicationRequest?patient={{context.patientId}}",
    }


# FHIR 4.0.1, the search parameters of each type: the type, and its parameter that finds the resources of a patient.
@pytest.mark.parametrize(
    ("resource_type", "parameter"),
    [
        ("AdverseEvent", {"subject": "Patient/1"}),
        ("Appointment", {"patient": "1"}),
        ("Coverage", {"patient": "1"}),
        ("DeviceUseStatement", {"patient": "1"}),
        ("ResearchSubject", {"patient": "1"}),
        ("Task", {"patient": "1"}),
    ],
)
def test_the_parameter_that_finds_a_patient_s_resources(
    resource_type: str, parameter: dict[str, str]
) -> None:
    assert by_patient(resource_type, "1") == parameter


def test_types_that_belong_to_no_patient_are_not_searched() -> None:
    assert SEARCHED.isdisjoint(
        {"Medication", "ResearchStudy", "Practitioner", "Organization", "Location", "Patient"}
    )
    assert UNSEARCHED | SEARCHED | {"Patient"} == R4_TYPES


def test_keys_are_the_types_in_lower_camel_case() -> None:
    assert prefetch_key("DeviceUseStatement") == "deviceUseStatement"


@pytest.mark.parametrize(
    ("value", "state", "count"),
    [
        (None, "complete", 0),
        (bundle(), "complete", 0),
        (bundle(condition()), "complete", 1),
        (condition(), "truncated", 1),
        (condition(patient_id="2"), "failed", 0),
        (bundle(condition(), total=1), "complete", 1),
        ({"resourceType": "Bundle"}, "failed", 0),
        ({"resourceType": "Bundle", "total": 0}, "complete", 0),
        (bundle(condition()) | {"type": "history"}, "failed", 1),
        (bundle(condition()) | {"link": None, "total": None}, "complete", 1),
        (bundle() | {"entry": None}, "complete", 0),
        (bundle(condition(), total=2), "truncated", 1),
        (bundle(condition(), next_url="http://x?page=2"), "truncated", 1),
        (bundle(condition(), next_url=None) | {"link": [{"relation": "next"}]}, "truncated", 1),
        (bundle(condition()) | {"link": "x"}, "truncated", 1),
        (bundle(condition()) | {"total": "1"}, "truncated", 1),
        (outcome(), "failed", 0),
        (outcome("information"), "failed", 0),
        (bundle(condition(), outcome()), "failed", 1),
        (bundle(condition(), outcome("warning", "incomplete")), "truncated", 1),
        (bundle(condition("c1", "2")), "failed", 0),
        (bundle(condition("c1", "2"), condition("c2")), "truncated", 1),
        (bundle(condition("c1", "2"), condition("c2"), total=2), "truncated", 1),
        (patient(), "failed", 0),
        ({}, "failed", 0),
        ([], "failed", 0),
        ("x", "failed", 0),
        (5, "failed", 0),
        ({"resourceType": "Bundle", "entry": [None]}, "truncated", 0),
        ({"resourceType": "Bundle", "entry": [{"resource": "x"}]}, "truncated", 0),
        ({"resourceType": "Bundle", "entry": {}}, "failed", 0),
        ({"resourceType": "Bundle", "entry": [{"response": {"status": "404"}}]}, "failed", 0),
    ],
)
@pytest.mark.proves("checklist:20", "checklist:21", "cds-hooks_2.0@52")
def test_what_a_value_provides(value: Any, state: str, count: int) -> None:
    obtained = read_prefetch({"condition": value}, "1", TYPES).by_type["Condition"]
    assert (obtained.state, len(obtained.resources)) == (state, count)
    assert (obtained.reason is None) == (state == "complete")


@pytest.mark.parametrize(
    "reference",
    ["Patient/2", "https://ehr.example/r4/Patient/2", "Patient/2/_history/3"],
)
def test_references_to_another_patient_in_any_form(reference: str) -> None:
    other = condition() | {"subject": {"reference": reference}}
    obtained = read_prefetch({"condition": bundle(other, condition("c2"))}, "1", TYPES).by_type["Condition"]
    assert obtained.dropped == 1
    own = condition() | {"subject": {"reference": reference.replace("/2", "/1", 1)}}
    assert read_prefetch({"condition": bundle(own)}, "1", TYPES).by_type["Condition"].dropped == 0


def test_keys_that_are_absent_or_not_asked_for_provide_nothing() -> None:
    assert read_prefetch({"conditions": bundle(condition()), "x": None}, "1", TYPES).by_type == {}


@pytest.mark.parametrize(
    ("value", "state", "count"),
    [
        (patient(), "complete", 1),
        (bundle(patient()), "complete", 1),
        (bundle(patient("2"), patient()), "complete", 1),
        (bundle(patient(), total=2), "complete", 1),
        (bundle(patient(), outcome()), "complete", 1),
        (bundle(patient("2")), "failed", 0),
        (bundle(condition()), "failed", 0),
        (patient("2"), "failed", 0),
        (condition(), "failed", 0),
        (outcome(), "failed", 0),
        (bundle(), "complete", 0),
        (None, "complete", 0),
    ],
)
def test_the_patient_by_read_or_in_a_bundle(value: Any, state: str, count: int) -> None:
    obtained = read_prefetch({"patient": value}, "1", TYPES).by_type["Patient"]
    assert (obtained.state, len(obtained.resources)) == (state, count)


def test_where_resources_are_said_to_be_is_kept() -> None:
    page = bundle(condition())
    page["entry"][0]["fullUrl"] = "https://ehr.example/fhir/Condition/c1"
    obtained = read_prefetch({"condition": page}, "1", TYPES).by_type["Condition"]
    assert [obtained.full_urls[id(r)] for r in obtained.resources] == [
        "https://ehr.example/fhir/Condition/c1"
    ]


def test_only_a_sound_first_page_is_one_to_go_on_from() -> None:
    sound = bundle(condition(), next_url="http://x/2")
    values = {
        "condition": sound,
        "observation": bundle(condition(), outcome(), next_url="http://x/2"),
    }
    assert set(read_prefetch(values, "1", TYPES).first_pages) == {"Condition"}
    unreadable = sound | {"link": [{"relation": "next"}]}
    assert read_prefetch({"condition": unreadable}, "1", TYPES).first_pages == {}
