"""Elements that say why they are empty, elements of the wrong shape, and extensions that change what is said."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cds_service.records.json_body import read_json
from tests.builders import (
    Resource,
    alsfrs,
    alt,
    ast,
    b0,
    condition,
    creatinine,
    medication_statement,
    minimal,
    observation,
    procedure,
    resources_of,
    rxnorm,
    serology,
    snomed,
)
from tests.trials.assessing import assess, verdict

LFT = "EX06-AstAlt"
EXTENSION = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
REASONS = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
NULL_FLAVOR = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
MODIFIER = [{"url": "https://ehr.example/StructureDefinition/not-really", "valueBoolean": True}]


def absent(code: str = "unknown") -> dict[str, Any]:
    return {"extension": [{"url": EXTENSION, "valueCode": code}]}


def liver(*newest: Resource) -> dict[str, Any]:
    """The verdict of an older normal ALT, a normal AST, and what came after."""
    return verdict(minimal(alt(30, on="2026-05-20"), ast(31), *newest), LFT)


def newer(**elements: Any) -> Resource:
    """A newer ALT with other elements; None takes one away."""
    changed = alt(500) | elements
    return {key: value for key, value in changed.items() if value is not None}


# ---------------------------------------------------------------- results that are said to be absent
@pytest.mark.parametrize(
    "value",
    [
        {"valueQuantity": {"_value": absent(), "unit": "U/L"}},
        {"valueQuantity": absent()},
        {"valueQuantity": {"value": None, "_value": absent(), "unit": "U/L"}},
        {"valueQuantity": None, "_valueString": absent("not-performed")},
        {"valueQuantity": None, "valueString": None, "_valueString": absent("masked")},
        {"valueQuantity": None, "valueCodeableConcept": {"coding": [{"system": REASONS, "code": "unknown"}]}},
        {
            "valueQuantity": None,
            "valueCodeableConcept": {"coding": [{"system": NULL_FLAVOR, "code": "NASK"}]},
        },
        {"valueQuantity": None, "valueCodeableConcept": absent()},
        {"valueQuantity": None, "dataAbsentReason": {"text": "amostra hemolisada"}},
    ],
)
def test_a_result_that_is_said_to_be_absent_is_none(value: dict[str, Any]) -> None:
    """Rule 2 of §2.3: a reason for absent data hides only its Observation; the older result counts."""
    row = liver(newer(**value))
    assert (row["status"], row["basis"]) == ("not-met", "explicit")


@pytest.mark.parametrize(
    "value",
    [
        {"valueQuantity": {"value": "500", "unit": "U/L"}},
        {"valueQuantity": {"unit": "U/L"}},
        {"valueQuantity": {"value": True, "unit": "U/L"}},
        {"valueQuantity": {"_value": absent(), "unit": "U/L", "modifierExtension": MODIFIER}},
        {"valueQuantity": None, "valueCodeableConcept": absent() | {"text": "aumentada"}},
        {"valueQuantity": None, "valueCodeableConcept": {"coding": [{"system": NULL_FLAVOR, "code": "OTH"}]}},
        {"valueQuantity": None, "_valueString": {"extension": [{"url": "https://ehr.example/x"}]}},
        {"valueQuantity": None, "valueDecimal": 500},
        {"valueQuantity": None, "value": {"value": 500, "unit": "U/L"}},
    ],
)
def test_a_result_that_cannot_be_read_is_never_passed_over(value: dict[str, Any]) -> None:
    """Rule 5 of §2.3: it might be the newest and abnormal; an older normal one doesn't answer for it."""
    assert liver(newer(**value))["status"] == "unknown"


def test_an_absent_component_hides_only_itself() -> None:
    parts = [
        {"code": {"coding": [{"system": "http://loinc.org", "code": "1742-6"}]}, "valueQuantity": absent()},
        {
            "code": {"coding": [{"system": "http://loinc.org", "code": "1920-8"}]},
            "valueQuantity": {"value": 500, "unit": "U/L"},
            "referenceRange": [{"high": {"value": 40, "unit": "U/L"}}],
        },
    ]
    panel = observation("24325-3", on="2026-06-02", components=parts)
    assert verdict(minimal(alt(30), panel), LFT)["status"] == "met"


def test_an_absent_serology_is_not_negative() -> None:
    value = {"valueCodeableConcept": {"coding": [{"system": REASONS, "code": "not-performed"}]}}
    row = verdict(minimal(observation("22362-8", value, on="2026-05-25")), "EX08d-Htlv")
    assert (row["status"], row["reasons"]) == ("unknown", ["missing-data"])


@pytest.mark.parametrize("high", [absent(), {"_value": absent(), "unit": "mg/dL"}, None])
def test_a_limit_that_is_said_to_be_absent_leaves_the_words_of_the_range(high: dict[str, Any] | None) -> None:
    """§2.7(2): where there is no `high`, the text is read."""
    result = creatinine(2.6)
    result["referenceRange"] = [{"text": "até 1,20 mg/dL"} | ({} if high is None else {"high": high})]
    assert verdict(minimal(result), "EX07-Creatinine")["status"] == "met"


def test_a_range_for_men_in_the_plural_is_for_a_man() -> None:
    result = creatinine(2.6)
    result["referenceRange"] = [
        {"high": {"value": 2.0, "unit": "mg/dL"}, "appliesTo": [{"text": "Mulheres"}]},
        {"high": {"value": 1.2, "unit": "mg/dL"}, "appliesTo": [{"text": "Homens"}]},
    ]
    assert verdict(minimal(result), "EX07-Creatinine")["status"] == "met"


# ---------------------------------------------------------------- dates
def test_the_day_of_issue_counts_where_the_effective_date_is_said_to_be_absent() -> None:
    """Rule 3 of §2.3: issued is the last resort, and dates the newest result."""
    for given in (
        {"effectiveDateTime": None, "_effectiveDateTime": absent()},
        {"effectiveDateTime": None, "_effectiveInstant": absent()},
        {"effectiveDateTime": None, "effectivePeriod": absent()},
        {"effectiveDateTime": None, "effectivePeriod": {"_start": absent(), "_end": absent()}},
    ):
        assert liver(newer(issued="2026-06-02T10:00:00Z", **given))["status"] == "met", given


def test_a_result_without_any_date_counts_only_where_no_other_has_one() -> None:
    undated = newer(effectiveDateTime=None, _effectiveDateTime=absent())
    assert liver(undated)["status"] == "not-met"
    row = verdict(minimal(undated, ast(31)), LFT)
    assert (row["status"], row["reasons"]) == ("unknown", ["partial-date"])


@pytest.mark.parametrize(
    "written",
    [
        "2026-06-01",
        "2026-06-01T10:00:00-03:00",
        "2026-06-01T10:00:00",
        "2026-06-01T10:00",
        "2026-06-01T10:00:00-03",
        "2026-06-01T10:00:00-0300",
        "2026-06-01T10:00:60Z",
        "2026-06-01T10:00:00.123456789Z",
    ],
)
def test_a_date_that_can_be_meant_in_one_way_is_read(written: str) -> None:
    assert liver(newer(effectiveDateTime=written))["status"] == "met"


@pytest.mark.parametrize(
    "written",
    [
        "01/06/2026",
        "20260601",
        "2026-6-1",
        "2026-06-31",
        "2026-06-01T24:30:00Z",
        "hoje",
        20260601,
        ["x", "y"],
    ],
)
def test_a_date_that_cannot_be_read_may_be_the_newest(written: Any) -> None:
    row = liver(newer(effectiveDateTime=written))
    assert row["status"] == "unknown"
    assert "partial-date" in row["reasons"]


# ---------------------------------------------------------------- the patient
@pytest.mark.parametrize(
    ("given", "overall"),
    [
        ({}, "eligible-pending-review"),
        ({"_deceasedDateTime": absent()}, "unknown"),
        ({"_deceasedDateTime": absent("asked-unknown"), "deceasedDateTime": None}, "unknown"),
        ({"_deceasedDateTime": absent("not-applicable")}, "eligible-pending-review"),
        ({"deceasedBoolean": False, "_deceasedDateTime": absent()}, "eligible-pending-review"),
        ({"deceasedDateTime": "2026", "_deceasedDateTime": absent()}, "not-applicable"),
        ({"deceasedBoolean": True}, "not-applicable"),
        ({"deceasedBoolean": "true"}, "unknown"),
        ({"birthDate": None, "_birthDate": absent()}, "unknown"),
        ({"birthDate": "10/03/1971"}, "unknown"),
        (
            {
                "_birthDate": {
                    "extension": [
                        {
                            "url": "http://hl7.org/fhir/StructureDefinition/patient-birthTime",
                            "valueDateTime": "1971-03-10T14:35:45-03:00",
                        }
                    ]
                }
            },
            "eligible-pending-review",
        ),
        ({"name": [None, {"given": [None, "Ana"], "_given": [absent(), None]}]}, "eligible-pending-review"),
        ({"modifierExtension": MODIFIER}, "unknown"),
        ({"modifierExtension": []}, "eligible-pending-review"),
    ],
)
def test_what_is_said_of_the_patient(given: dict[str, Any], overall: str) -> None:
    """Whoever has a day of death that isn't given may have died: he is not taken for alive."""
    record = b0()
    who = resources_of(record)[0]
    who.update(given)
    for key in [key for key, value in who.items() if value is None]:
        del who[key]
    assert assess(record)["status"] == overall


def test_no_sex_is_no_obstacle_but_told() -> None:
    record = b0()
    who = resources_of(record)[0]
    del who["gender"]
    who["_gender"] = absent()
    row = verdict(record, "H3-Gender")
    assert row["status"] == "met"
    assert row["notes"] == ["sex needed for reference ranges, FVC prediction and pregnancy logic"]


# ---------------------------------------------------------------- enumerations
MULTIPLE_SCLEROSIS = snomed("24700007")
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
VERIFICATION = "http://terminology.hl7.org/CodeSystem/condition-ver-status"


@pytest.mark.parametrize("status", ["Final", "FINAL", "final ", "liberado", None])
def test_a_status_that_is_none_of_fhirs_decides_nothing(status: str | None) -> None:
    """Such a result is not used, and not passed over in favour of an older one."""
    assert liver(newer(status=status))["status"] == "unknown"
    assert liver(newer(status=None, _status=absent()))["status"] == "unknown"


@pytest.mark.parametrize(
    ("status", "verdict_"),
    [
        ("completed", "not-met"),
        ("amended", "not-met"),
        ("in-progress", "met"),
        ("entered-in-error", "met"),
        ("stopped", "met"),
        ("Completed", "unknown"),
        ("concluído", "unknown"),
        (None, "unknown"),
    ],
)
def test_a_questionnaire_of_a_status_that_is_none_of_fhirs_decides_nothing(
    status: str | None, verdict_: str
) -> None:
    """An older total of 38 and a newer one of 22, which may count."""
    response = {
        "resourceType": "QuestionnaireResponse",
        "authored": "2026-06-10",
        "item": [{"linkId": "82953-1", "answer": [{"valueInteger": 22}]}],
    } | ({} if status is None else {"status": status})
    assert verdict(minimal(alsfrs(38), response), "IN03-AlsfrsR")["status"] == verdict_


def test_an_item_is_known_by_its_code_in_any_system_uri() -> None:
    """Some add the question's code to the answer, which R4 does not have there."""
    coding = {"system": "urn:oid:2.16.840.1.113883.6.1", "code": "82953-1"}
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "authored": "2026-06-10",
        "item": [{"linkId": "q1", "code": [coding], "answer": [{"valueInteger": 38}]}],
    }
    assert verdict(minimal(response), "IN03-AlsfrsR")["status"] == "met"


@pytest.mark.parametrize("code", ["Active", "ACTIVE", "ativo", "unknown"])
def test_a_clinical_status_that_is_none_of_fhirs_decides_nothing(code: str) -> None:
    ms = condition(MULTIPLE_SCLEROSIS) | {"clinicalStatus": {"coding": [{"system": CLINICAL, "code": code}]}}
    assert verdict(minimal(ms), "EX05-OtherNeuro")["status"] == "unknown"


@pytest.mark.parametrize(
    "status",
    [
        {"coding": [{"system": VERIFICATION, "code": "Refuted"}]},
        {"coding": [{"system": REASONS, "code": "unknown"}]},
        {"text": "descartado"},
        absent(),
    ],
)
def test_a_verification_status_that_is_none_of_fhirs_decides_nothing(status: dict[str, Any]) -> None:
    ms = condition(MULTIPLE_SCLEROSIS) | {"verificationStatus": status}
    assert verdict(minimal(ms), "EX05-OtherNeuro")["status"] == "unknown"


def test_an_end_that_is_said_to_exist_makes_a_condition_past() -> None:
    ms = condition(MULTIPLE_SCLEROSIS, clinical=None)
    assert verdict(minimal(ms), "EX05-OtherNeuro")["status"] == "met"
    assert verdict(minimal(ms | {"_abatementDateTime": absent()}), "EX05-OtherNeuro")["status"] == "unknown"


# ---------------------------------------------------------------- modifier extensions
def _modified() -> dict[str, tuple[str, Resource]]:
    contained = {
        "resourceType": "Medication",
        "id": "m",
        "code": {"coding": [rxnorm("1256")]},
        "modifierExtension": MODIFIER,
    }
    drug = medication_statement(rxnorm("1256")) | {
        "medicationReference": {"reference": "#m"},
        "contained": [contained],
    }
    del drug["medicationCodeableConcept"]
    ranged = creatinine(3.0)
    ranged["referenceRange"][0]["modifierExtension"] = MODIFIER
    return {
        "resource": ("EX05-OtherNeuro", condition(MULTIPLE_SCLEROSIS, modifierExtension=MODIFIER)),
        "element": (
            "EX01-PriorCellTherapy",
            procedure(snomed("234336002"), performer=[{"modifierExtension": MODIFIER}]),
        ),
        "coding": ("EX05-OtherNeuro", condition(MULTIPLE_SCLEROSIS | {"modifierExtension": MODIFIER})),
        "range": ("EX07-Creatinine", ranged),
        "contained": ("EX09-Immunosuppressant", drug),
        "serology": ("EX08d-Htlv", serology("22362-8", "neg", modifierExtension=MODIFIER)),
    }


@pytest.mark.parametrize("where", sorted(_modified()))
def test_no_verdict_rests_on_what_may_be_modified(where: str) -> None:
    """§2.1: an unknown modifierExtension on or inside a resource; every known one is unknown to the service."""
    criterion_id, resource = _modified()[where]
    row = verdict(minimal(resource), criterion_id)
    assert (row["status"], row["reasons"]) == ("unknown", ["ambiguous-code"])


# ---------------------------------------------------------------- elements of earlier versions of FHIR
@pytest.mark.parametrize(
    ("element", "value", "status"),
    [
        ("taken", "n", "unknown"),
        ("taken", "unk", "unknown"),
        ("taken", "y", "met"),
        ("wasNotTaken", True, "unknown"),
        ("wasNotTaken", False, "met"),
    ],
)
def test_a_drug_that_was_not_taken_in_the_words_of_stu3(element: str, value: Any, status: str) -> None:
    drug = medication_statement(rxnorm("1256")) | {element: value}
    assert verdict(minimal(drug), "EX09-Immunosuppressant")["status"] == status


@pytest.mark.parametrize("element", ["notDone", "notPerformed"])
def test_a_procedure_that_was_not_done_in_the_words_of_stu3(element: str) -> None:
    transplant = procedure(snomed("234336002")) | {element: True}
    assert verdict(minimal(transplant), "EX01-PriorCellTherapy")["status"] == "unknown"


# ---------------------------------------------------------------- resources that may be anything
@pytest.mark.parametrize(
    "code", [5, True, [1, 2], {"coding": 5}, {"coding": ["24700007"]}, {"coding": [{"code": []}]}]
)
def test_a_condition_of_which_nothing_can_be_read_may_be_anything(code: Any) -> None:
    """It is not there for any criterion, and so no criterion can say that there was nothing."""
    ms = condition(MULTIPLE_SCLEROSIS) | {"code": code}
    row = verdict(minimal(ms), "EX05-OtherNeuro")
    assert (row["status"], row["reasons"]) == ("unknown", ["retrieval-failed"])
    assert verdict(minimal(ms), "EX01-PriorCellTherapy")["status"] == "unknown"
    done = procedure(snomed("234336002")) | {"code": code}
    assert verdict(minimal(done), "EX01-PriorCellTherapy")["status"] == "unknown"
    assert assess(b0(condition(snomed("38341003")) | {"code": code}))["status"] == "unknown"


@pytest.mark.parametrize(
    "code", [None, {}, {"coding": []}, {"coding": [None]}, {"text": ""}, absent(), "unbekannt"]
)
def test_a_condition_that_names_nothing_is_nothing(code: Any) -> None:
    ms = condition(MULTIPLE_SCLEROSIS) | {"code": code}
    assert verdict(minimal(ms), "EX05-OtherNeuro")["status"] == "not-met"


# ---------------------------------------------------------------- numbers
@pytest.mark.parametrize(
    ("value", "status"),
    [
        ("2.4", "not-met"),
        ("2.40000000000000000000000000000000000000", "not-met"),
        ("2.4000000000001", "met"),
        ("241e-2", "met"),
        ("0.00000000000000000000000000000000000001", "unknown"),
        ("1e300", "unknown"),
        ("-2", "unknown"),
    ],
)
def test_a_number_is_compared_as_it_was_written(value: str, status: str) -> None:
    """Twice the limit of 1.2 is 2.4 exactly (§2.4: decimals, no rounding)."""
    record = read_json(json.dumps(minimal(creatinine(7.77))).replace("7.77", value).encode())
    assert verdict(record, "EX07-Creatinine")["status"] == status
