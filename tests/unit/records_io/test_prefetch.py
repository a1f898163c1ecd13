"""Prefetch: the templates, and what values provide."""

from __future__ import annotations

import re
from typing import Any

import pytest

from cds_service.records.prefetch import prefetch_key, read_prefetch, templates
from tests.unit.records_io.scripted_server import bundle, condition, outcome, patient

TYPES = ("Patient", "Condition", "Observation")


def test_templates_use_the_tokens_and_queries_that_every_client_knows() -> None:
    found = templates({"Patient", "Condition", "MedicationRequest", "Medication"})
    assert found == {
        "patient": "Patient/{{context.patientId}}",
        "condition": "Condition?patient={{context.patientId}}",
        "medicationRequest": "MedicationRequest?patient={{context.patientId}}",
    }
    paged = templates({"Condition"}, page_size=1000)
    assert paged["condition"] == "Condition?patient={{context.patientId}}&_count=1000"
    assert all(
        re.fullmatch(r"[A-Za-z]+(/|\?patient=)\{\{context\.patientId\}\}(&_count=\d+)?", t)
        for t in paged.values()
    )


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
        (bundle(condition("c1", "2"), condition("c2"), total=2), "complete", 1),
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
