"""Observations inside others: components, contained resources, members of panels, answers of a questionnaire."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from cds_service.terminology import systems

from .helpers import VALUE_SETS, Json, concept, normalised, observation, problem, quantity, result, tags

SUBJECT = {"reference": "Patient/p"}


def by_id(*resources: Any, kind: str = "Observation") -> dict[str, Json]:
    return {resource["id"]: resource for resource in normalised(*resources).of_type(kind)}


def test_each_coded_component_becomes_an_observation() -> None:
    panel = observation(
        "24325-3",
        status="amended",
        issued="2026-06-02T10:00:00-03:00",
        method={"text": "supine"},
        meta={"lastUpdated": "2026-06-03T10:00:00-03:00", "versionId": "7"},
        valueString="panel",
        component=[
            {
                "code": concept("1742-6"),
                "valueQuantity": quantity(2, "ukat/L"),
                "referenceRange": [{"high": quantity(1, "ukat/L")}],
            },
            {"code": {"text": "no code"}, "valueInteger": 1},
            {
                "code": concept("5196-1"),
                "interpretation": [concept("NEG", systems.OBSERVATION_INTERPRETATION)],
            },
            {
                "code": concept("1920-8"),
                "dataAbsentReason": {"text": "lost"},
                "valueQuantity": quantity(1, "U/L"),
            },
        ],
    )
    record = normalised(panel)
    found = {resource["id"]: resource for resource in record.of_type("Observation")}
    assert list(found) == ["o", "o-c1", "o-c3", "o-c4"]
    alt = found["o-c1"]
    assert alt["valueQuantity"]["value"] == Decimal(120)
    assert alt["referenceRange"][0]["high"]["value"] == Decimal(60)
    assert (alt["status"], alt["effectiveDateTime"], alt["issued"]) == (
        "amended",
        "2026-06-01",
        "2026-06-02T10:00:00-03:00",
    )
    assert alt["subject"] == SUBJECT
    assert alt["method"] == {"text": "supine"}
    assert alt["derivedFrom"] == [{"reference": "Observation/o"}]
    assert alt["meta"]["lastUpdated"] == "2026-06-03T10:00:00-03:00"
    assert "valueString" not in alt
    assert tags(alt) == {"component"}
    assert record.original(alt) is panel
    assert result(found["o-c3"]) == "negative"
    assert "valueQuantity" not in found["o-c4"]
    assert found["o"]["valueString"] == "panel"


def test_a_panel_s_own_data_absent_reason_does_not_hide_its_components() -> None:
    panel = observation(
        "24325-3",
        dataAbsentReason={"text": "see components"},
        component=[{"code": concept("1742-6"), "valueQuantity": quantity(30, "U/L")}],
    )
    assert by_id(panel)["o-c1"]["valueQuantity"]["value"] == 30


@pytest.mark.parametrize("status", ["entered-in-error", "preliminary"])
def test_a_component_has_its_panel_s_status(status: str) -> None:
    panel = observation(
        "24325-3",
        status=status,
        component=[{"code": concept("1742-6"), "valueQuantity": quantity(30, "U/L")}],
    )
    assert by_id(panel)["o-c1"]["status"] == status


# --- contained --------------------------------------------------------------------------------------------------------


def report(*contained: Json, **more: Any) -> Json:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "subject": SUBJECT,
        "effectiveDateTime": "2026-05-20",
        "contained": list(contained),
        "result": [{"reference": "#alt"}],
        **more,
    }


def inner(**more: Any) -> Json:
    found = observation("1742-6", id="alt", valueQuantity=quantity(2, "ukat/L")) | more
    return {key: value for key, value in found.items() if value is not None}


def test_a_contained_observation_stands_alone() -> None:
    given = report(inner(subject=None, effectiveDateTime=None))
    record = normalised(given)
    alt = record.of_type("Observation")[0]
    assert alt["id"] == "r-alt"
    assert alt["subject"] == SUBJECT
    assert alt["effectiveDateTime"] == "2026-05-20"
    assert alt["valueQuantity"]["value"] == 120
    assert tags(alt) == {"contained"}
    assert record.original(alt) is given
    assert record.of_type("DiagnosticReport")[0]["result"] == [{"reference": "Observation/r-alt"}]


def test_a_contained_observation_keeps_its_own_date() -> None:
    assert by_id(report(inner()))["r-alt"]["effectiveDateTime"] == "2026-06-01"


@pytest.mark.parametrize(
    ("outer", "own", "status"),
    [
        ("final", "preliminary", "preliminary"),
        ("entered-in-error", "final", "entered-in-error"),
        ("cancelled", "final", "cancelled"),
        ("appended", None, "amended"),
        ("partial", None, "preliminary"),
        ("final", None, "final"),
    ],
)
def test_a_contained_observation_is_no_truer_than_what_holds_it(
    outer: str, own: str | None, status: str
) -> None:
    assert by_id(report(inner(status=own), status=outer))["r-alt"]["status"] == status


def test_another_patient_s_contained_observation_is_left_alone() -> None:
    assert by_id(report(inner(subject={"reference": "Patient/q"}))) == {}
    assert list(by_id(report(inner(subject={"reference": "#me"})))) == ["r-alt"]


def test_contained_medications_and_devices_stand_alone() -> None:
    request = {
        "resourceType": "MedicationRequest",
        "id": "m",
        "subject": SUBJECT,
        "contained": [{"resourceType": "Medication", "id": "x", "code": concept("35623", systems.RXNORM)}],
        "medicationReference": {"reference": "#x"},
    }
    use = {
        "resourceType": "DeviceUseStatement",
        "id": "u",
        "subject": SUBJECT,
        "contained": [{"resourceType": "Device", "id": "x", "type": {"text": "Cânula de traqueostomia"}}],
        "device": {"reference": "#x"},
    }
    record = normalised(request, use)
    assert record.of_type("Medication")[0]["id"] == "m-x"
    assert record.of_type("MedicationRequest")[0]["medicationCodeableConcept"] == concept(
        "35623", systems.RXNORM
    )
    device = record.of_type("Device")[0]
    assert device["id"] == "u-x"
    assert device["type"]["coding"][0]["code"] == "tracheostomy"
    assert record.of_type("DeviceUseStatement")[0]["device"] == {"reference": "Device/u-x"}


@pytest.mark.parametrize(
    "junk", [5, "x", [None, 5, "x", {}, {"resourceType": "Observation"}, {"id": "x"}], {"id": "x"}]
)
def test_junk_in_contained_is_left_alone(junk: Any) -> None:
    record = normalised(report() | {"contained": junk})
    assert record.of_type("Observation") == ()


# --- members ----------------------------------------------------------------------------------------------------------


def undated(**more: Any) -> Json:
    found = observation("82940-8", id="member", valueInteger=3, **more)
    del found["effectiveDateTime"]
    return found


def panel(**more: Any) -> Json:
    return observation("82954-9", id="panel", hasMember=[{"reference": "Observation/member"}], **more)


def test_an_undated_member_takes_the_panel_s_date() -> None:
    for order in ((undated(), panel()), (panel(), undated())):
        assert by_id(*order)["member"]["effectiveDateTime"] == "2026-06-01"


def test_a_dated_member_keeps_its_own() -> None:
    dated = undated() | {"effectiveDateTime": "2026-01-01"}
    assert by_id(dated, panel())["member"]["effectiveDateTime"] == "2026-01-01"


def test_a_void_panel_lends_no_date() -> None:
    assert "effectiveDateTime" not in by_id(undated(), panel(status="entered-in-error"))["member"]


def test_panels_of_different_dates_lend_none() -> None:
    other = panel() | {"id": "other", "effectiveDateTime": "2026-05-01"}
    assert "effectiveDateTime" not in by_id(undated(), panel(), other)["member"]


def test_panels_within_panels() -> None:
    outer = observation("x", id="outer", hasMember=[{"reference": "Observation/panel"}])
    middle = panel()
    del middle["effectiveDateTime"]
    assert by_id(undated(), middle, outer)["member"]["effectiveDateTime"] == "2026-06-01"


def test_members_in_a_circle_do_not_loop() -> None:
    one = undated(hasMember=[{"reference": "Observation/two"}])
    two = undated(hasMember=[{"reference": "Observation/member"}]) | {"id": "two"}
    assert set(by_id(one, two)) == {"member", "two"}


# --- questionnaires ---------------------------------------------------------------------------------------------------


def response(*items: Json, **more: Any) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "q",
        "status": "completed",
        "subject": SUBJECT,
        "authored": "2026-06-10T12:00:00Z",
        "item": list(items),
        **more,
    }


def item(link: str, *answers: Json, **more: Any) -> Json:
    return {"linkId": link, "answer": list(answers), **more}


@pytest.mark.parametrize(
    ("given", "score"),
    [
        (item("82940-8", {"valueInteger": 3}), 3),
        (item("/82940-8", {"valueInteger": 3}), 3),
        (item("1", {"valueInteger": 3}, definition="http://loinc.org/82940-8"), 3),
        (item("1", {"valueInteger": 3}, definition="urn:form#82940-8"), 3),
        (item("1", {"valueInteger": 3}, code=[{"system": systems.LOINC, "code": "82940-8"}]), 3),
        (item("82940-8", {"valueDecimal": 3.0}), 3),
        (item("82940-8", {"valueQuantity": quantity(3, "{score}")}), 3),
        (item("82940-8", {"valueString": "3 - x"}), 3),
        (item("82940-8", {"valueCoding": {"code": "x", "display": "3 - x"}}), 3),
        ({"linkId": "group", "item": [item("82940-8", {"valueInteger": 3})]}, 3),
        (item("q", {"valueBoolean": True, "item": [item("82940-8", {"valueInteger": 3})]}), 3),
    ],
)
def test_answers_become_observations(given: Json, score: int) -> None:
    form = response(given)
    record = normalised(form)
    found = record.of_type("Observation")[0]
    assert found["id"] == "q-82940-8"
    assert found["valueInteger"] == score
    assert found["status"] == "final"
    assert found["effectiveDateTime"] == "2026-06-10T09:00:00-03:00"
    assert found["derivedFrom"] == [{"reference": "QuestionnaireResponse/q"}]
    assert tags(found) == {"questionnaire"}
    assert record.original(found) is form
    assert "AlsfrsRItems" in VALUE_SETS.sets_of(systems.LOINC, found["code"]["coding"][0]["code"])


@pytest.mark.parametrize("status", ["in-progress", "entered-in-error", "stopped"])
def test_only_finished_responses_count(status: str) -> None:
    assert by_id(response(item("82940-8", {"valueInteger": 3}), status=status)) == {}


@pytest.mark.parametrize("status", ["Completed", None])
def test_a_response_that_may_be_finished_is_not_passed_over(status: str | None) -> None:
    (answer,) = by_id(response(item("82940-8", {"valueInteger": 3}), status=status)).values()
    assert answer.get("status") == status


@pytest.mark.parametrize(
    "given",
    [
        item("IN05-NoPregnancyAgreement", {"valueCoding": {"code": "yes"}}),
        item("1742-6", {"valueInteger": 3}),
        item("82940-8"),
        item("82940-8", {}),
        {"answer": 5},
        {"linkId": 5, "answer": [5]},
    ],
)
def test_other_items_are_no_observations(given: Json) -> None:
    assert by_id(response(given)) == {}


def test_two_answers_of_one_item_make_two_observations() -> None:
    found = by_id(response(item("82953-1", {"valueInteger": 30}, {"valueInteger": 40})))
    assert {key: value["valueInteger"] for key, value in found.items()} == {
        "q-82953-1": 30,
        "q-82953-1-2": 40,
    }


def test_an_answer_that_cannot_be_read_says_so() -> None:
    assert problem(by_id(response(item("82940-8", {"valueBoolean": True})))["q-82940-8"]) == "text-only"


# --- dates that can't be read -----------------------------------------------------------------------------------------


def date_problems(*resources: Any) -> dict[str, str | None]:
    found = normalised(*resources)
    for listed in found.resources.values():
        assert not any("_unreadableDate" in resource for resource in listed)
    return {resource["id"]: problem(resource) for resource in found.of_type("Observation")}


@pytest.mark.parametrize(
    "given",
    [
        {"effectiveDateTime": "10/06/2026"},
        {"effectiveDateTime": "2026-13-45"},
        {"effectiveDateTime": 7},
        {"effectiveDateTime": {"a": 1}},
        {"effectiveDateTime": None, "effectiveInstant": "noon"},
        {"effectiveDateTime": None, "effectivePeriod": {"start": "x", "end": "y"}},
        {"effectiveDateTime": None, "effectivePeriod": {}},
        {"effectiveDateTime": None, "effectivePeriod": "2026"},
        {"effectiveDateTime": None, "effectiveTiming": {"event": ["x"]}},
    ],
)
@pytest.mark.parametrize("code", ["1742-6", "718-7"])
def test_a_date_that_cannot_be_read_is_not_no_date(code: str, given: Json) -> None:
    result_of = observation(code, valueQuantity=quantity(30, "U/L"), **given)
    read = normalised(result_of).of_type("Observation")[0]
    assert problem(read) == "partial-date"
    assert read["valueQuantity"]["value"] == 30
    assert not any(key.startswith("effectiveDate") for key in read)


@pytest.mark.parametrize(
    "given",
    [
        {"effectiveDateTime": None},
        {"effectiveDateTime": ""},
        {"effectiveDateTime": "2026-06"},
        {"effectiveDateTime": "x", "effectivePeriod": {"start": "2026-06-01"}},
        {"effectiveDateTime": None, "effectivePeriod": {"start": "2026-06-01", "end": "x"}},
        {"effectiveDateTime": None, "effectiveTiming": {"repeat": {}}},
    ],
)
def test_no_date_or_a_readable_one_is_no_problem(given: Json) -> None:
    assert date_problems(observation("1742-6", valueQuantity=quantity(30, "U/L"), **given)) == {"o": None}


def test_what_comes_from_such_a_result_has_the_problem_too() -> None:
    broken = {"effectiveDateTime": "x"}
    component = {"code": concept("1742-6"), "valueQuantity": quantity(30, "U/L")}
    assert date_problems(observation("24325-3", component=[component], **broken)) == {
        "o": "partial-date",
        "o-c1": "partial-date",
    }
    assert date_problems(report(inner(effectiveDateTime=None), **broken)) == {"r-alt": "partial-date"}
    assert date_problems(report(inner(**broken))) == {"r-alt": "partial-date"}
    assert date_problems(undated(), panel(**broken))["member"] == "partial-date"
    assert date_problems(undated() | broken, panel())["member"] == "partial-date"
    answered = response(item("82940-8", {"valueInteger": 3}), authored="x")
    assert date_problems(answered) == {"q-82940-8": "partial-date"}
