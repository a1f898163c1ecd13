"""How a resource is shown as evidence: words, value, date; and what damaged ones do to it (nothing)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.eligibility.evidence import (
    clinical_date,
    has_unknown_modifier,
    last_day,
    newest_day,
    present,
)
from cds_service.records.record import PatientRecord
from cds_service.terminology.systems import CANONICAL
from cds_service.terminology.value_sets import load_value_sets

LOINC = "http://loinc.org"
DERIVATION = f"{CANONICAL}/CodeSystem/derivation"
NAMES = load_value_sets()
AS_OF = date(2026, 6, 15)
RECORD = PatientRecord({"resourceType": "Patient", "id": "p"}, "Patient/p", {})


def shown(
    resource: dict[str, Any], record: PatientRecord = RECORD
) -> tuple[str, str, str | None, str | None, str | None]:
    (item,) = present([resource], record, NAMES, AS_OF)
    return item.reference, item.display, item.value, item.date, item.status


def observation(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": "o", "status": "final", **elements}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ({"text": "ALT", "coding": [{"display": "other"}]}, "ALT"),
        ({"coding": [{"system": LOINC, "code": "1742-6", "display": "ALT (TGP)"}]}, "ALT (TGP)"),
        (
            {"coding": [{"system": LOINC, "code": "1742-6"}]},
            "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma",
        ),
        ({"coding": [{"system": LOINC, "code": "0-0"}]}, "0-0"),
        (
            {"coding": [{"system": f"{CANONICAL}/CodeSystem/trial-observations", "code": "cobb-angle"}]},
            "cobb angle",
        ),
        (
            {"coding": [{"system": LOINC, "code": "82942-4", "display": "Swallowing"}]},
            "Swallowing (code not verified)",
        ),
        (None, "Observation"),
        ("ALT", "Observation"),
        ({"coding": "x"}, "Observation"),
        ({"coding": [None, 3, {}]}, "Observation"),
    ],
)
def test_a_resource_is_named_by_its_words_before_its_code(code: Any, words: str) -> None:
    assert shown(observation(code=code))[1] == words


@pytest.mark.parametrize(
    ("elements", "value"),
    [
        ({"valueQuantity": {"value": 41, "unit": "U/L"}}, "41 U/L"),
        ({"valueQuantity": {"value": 5, "comparator": "<", "code": "U/L"}}, "<5 U/L"),
        ({"valueRange": {"low": {"value": 1, "unit": "L"}, "high": {"value": 2, "unit": "L"}}}, "1 L to 2 L"),
        ({"valueRatio": {"numerator": {"value": 1}, "denominator": {"value": 16}}}, "1:16"),
        ({"valueCodeableConcept": {"text": "Não reagente"}}, "Não reagente"),
        ({"valueBoolean": True}, "yes"),
        ({"valueInteger": 38}, "38"),
        ({"valueString": "45 UI/L"}, "45 UI/L"),
        ({"interpretation": [{"text": "negative"}]}, "negative"),
        ({"valueQuantity": {"unit": "U/L"}}, None),
        ({"valueQuantity": [1]}, None),
        ({}, None),
    ],
)
def test_a_value_is_shown_in_the_unit_that_was_reported(elements: dict[str, Any], value: str | None) -> None:
    assert shown(observation(**elements))[2] == value


def test_a_derived_resource_is_shown_under_the_reference_that_it_came_from() -> None:
    panel = observation(id="panel", code={"text": "Liver panel"})
    child = {
        **observation(id="panel-c1", code={"text": "ALT"}, valueInteger=41),
        "meta": {"tag": [{"system": DERIVATION, "code": "component"}]},
    }
    record = RECORD.replace(originals={id(child): panel})
    assert shown(child, record)[:3] == ("Observation/panel", "ALT", "41")


def test_the_same_evidence_is_listed_once() -> None:
    assert len(present([observation(), observation()], RECORD, NAMES, AS_OF)) == 1


@pytest.mark.parametrize(
    ("elements", "day"),
    [
        (
            {"effectiveDateTime": "2026-06-01T10:00:00-03:00", "issued": "2026-06-02"},
            "2026-06-01T10:00:00-03:00",
        ),
        ({"effectivePeriod": {"start": "2026-01", "end": "2026-02"}}, "2026-02"),
        ({"effectivePeriod": {"start": "2026-01"}}, "2026-01"),
        ({"issued": "2026-06-02"}, "2026-06-02"),
        ({"effectiveDateTime": 7}, None),
    ],
)
def test_the_clinical_date_comes_before_the_administrative_one(
    elements: dict[str, Any], day: str | None
) -> None:
    assert clinical_date(observation(**elements), AS_OF) == day


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026", date(2026, 12, 31)),
        ("2024-02", date(2024, 2, 29)),
        ("2026-12", date(2026, 12, 31)),
        ("2026-06-15T23:00:00Z", date(2026, 6, 15)),
        ("2026-13", None),
        ("soon", None),
        (None, None),
    ],
)
def test_a_partial_date_counts_by_its_last_day(text: str | None, day: date | None) -> None:
    assert last_day(text) == day


def test_a_period_that_ends_after_the_screening_day_counts_by_its_start() -> None:
    ongoing = observation(effectivePeriod={"start": "2026-05-20", "end": "2026-12"})
    assert clinical_date(ongoing, AS_OF) == "2026-05-20"
    assert newest_day([ongoing], AS_OF) == date(2026, 5, 20)
    assert clinical_date(observation(effectivePeriod={"end": "2026-12"}), AS_OF) == "2026-12"


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        ({"medicationReference": {"reference": "Medication/1", "display": "Azatioprina"}}, "Azatioprina"),
        ({"device": {"reference": "Device/1", "display": "BiPAP"}}, "BiPAP"),
        ({"study": {"display": "Another study"}}, "Another study"),
        ({"title": "A registry"}, "A registry"),
        ({"codeCodeableConcept": {"text": "Bilevel"}}, "Bilevel"),
        ({"suppliedItem": {"itemCodeableConcept": {"text": "Mask"}}}, "Mask"),
        ({"enteralFormula": {"baseFormulaType": {"text": "Diabetic formula"}}}, "Diabetic formula"),
        ({"enteralFormula": {}}, "Enteral formula"),
    ],
)
def test_what_leads_elsewhere_is_named_by_what_it_leads_to(resource: dict[str, Any], words: str) -> None:
    assert shown({"resourceType": "Basic", "id": "x", **resource})[1] == words


def test_the_name_that_only_the_mapping_step_found_is_used_and_its_marks_are_none() -> None:
    received = {"resourceType": "MedicationRequest", "id": "m", "medicationReference": {"reference": "x"}}
    mark = {"system": f"{CANONICAL}/CodeSystem/reading-problem", "code": "ambiguous-code"}
    read = {**received, "medicationCodeableConcept": {"coding": [mark, {"code": "1", "display": "Drug"}]}}
    unread = {**received, "medicationCodeableConcept": {"coding": [mark]}}
    record = RECORD.replace(originals={id(read): received, id(unread): received})
    assert shown(read, record)[:2] == ("MedicationRequest/m", "Drug")
    assert shown(unread, record)[1] == "MedicationRequest"


def test_the_newest_day_passes_over_what_has_none() -> None:
    assert newest_day([observation(issued="2025"), observation(), "x"], AS_OF) == date(2025, 12, 31)
    assert newest_day([], AS_OF) is None


@pytest.mark.parametrize(
    ("period", "day"),
    [
        ({"start": "2026-05-01", "end": "2026-06-01"}, date(2026, 6, 1)),
        ({"start": "2026-05-01", "end": "2026-06-15"}, date(2026, 6, 15)),
        ({"start": "2026-05-01", "end": "2027-06-15"}, date(2026, 5, 1)),
        ({"end": "2027-06-15"}, date(2027, 6, 15)),
        ({"start": "2026-07-01", "end": "2027-06-15"}, date(2026, 7, 1)),
        ({"start": 5, "end": "2027-06-15"}, date(2027, 6, 15)),
    ],
)
def test_what_ends_after_the_day_speaks_of_its_beginning(period: dict[str, Any], day: date) -> None:
    subject = {"resourceType": "ResearchSubject", "period": period}
    assert newest_day([subject], date(2026, 6, 15)) == day


@pytest.mark.parametrize(
    ("resource", "words"),
    [
        (
            {"resourceType": "ResearchStudy", "id": "r", "title": "A trial", "category": [{"text": "x"}]},
            "A trial",
        ),
        ({"resourceType": "ResearchStudy", "id": "r"}, "ResearchStudy"),
        ({"resourceType": "ResearchSubject", "id": "r", "study": {"display": "A trial"}}, "A trial"),
        (
            {"resourceType": "ResearchSubject", "id": "r", "study": {"reference": "ResearchStudy/x"}},
            "ResearchSubject",
        ),
        ({"resourceType": "ResearchSubject", "id": "r", "study": 5}, "ResearchSubject"),
    ],
)
def test_studies_are_shown_by_their_title(resource: dict[str, Any], words: str) -> None:
    (item,) = present([resource], RECORD, NAMES, AS_OF)
    assert item.display == words


def test_an_unknown_modifier_is_seen() -> None:
    assert has_unknown_modifier(
        observation(meta={"tag": [{"system": DERIVATION, "code": "unknown-modifier"}]})
    )
    assert not has_unknown_modifier(observation(meta={"tag": "x"}))
    assert not has_unknown_modifier(None)
