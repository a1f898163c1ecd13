"""Contained resources: by which id they come to stand alone, what refers to them, and what must not be mixed up."""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.terminology import systems

from .helpers import Json, concept, normalised, observation, tags

SUBJECT = {"reference": "Patient/p"}
AZATHIOPRINE, RILUZOLE = concept("1256", systems.RXNORM), concept("35623", systems.RXNORM)
UNREADABLE = {"system": systems.READING_PROBLEM, "code": "ambiguous-code"}


def medication(code: Json | None = None, *, own: Any = "med", **more: Any) -> Json:
    return {"resourceType": "Medication", "id": own, **({} if code is None else {"code": code}), **more}


def drug(kind: str, *contained: Any, to: str = "#med", **more: Any) -> Json:
    reference = {"reference": to}
    return {
        "resourceType": kind,
        "id": "m",
        "subject": SUBJECT,
        "contained": list(contained),
        "medicationReference": reference,
        **more,
    }


def codes(resource: Json, element: str = "medicationCodeableConcept") -> set[str]:
    return {
        c["code"] for c in resource[element].get("coding", ()) if c.get("system") in (systems.RXNORM, None)
    }


def test_resources_of_one_id_and_several_types_contain_what_is_theirs() -> None:
    record = normalised(
        drug("MedicationRequest", medication(RILUZOLE)), drug("MedicationStatement", medication(AZATHIOPRINE))
    )
    assert codes(record.of_type("MedicationRequest")[0]) == {"35623"}
    assert codes(record.of_type("MedicationStatement")[0]) == {"1256"}
    assert sorted(m["id"] for m in record.of_type("Medication")) == ["m-med", "m-med-2"]


def test_ids_that_run_together_stay_apart() -> None:
    record = normalised(
        drug("MedicationRequest", medication(RILUZOLE, own="b-c"), to="#b-c", id="a"),
        drug("MedicationRequest", medication(AZATHIOPRINE, own="c"), to="#c", id="a-b"),
    )
    assert [codes(request) for request in record.of_type("MedicationRequest")] == [{"35623"}, {"1256"}]


def test_a_contained_resource_is_not_the_record_s_of_that_id() -> None:
    record = normalised(
        medication(AZATHIOPRINE, own="m-med"), drug("MedicationRequest", medication(RILUZOLE))
    )
    assert codes(record.of_type("MedicationRequest")[0]) == {"35623"}


@pytest.mark.parametrize("contained", [(), (medication(AZATHIOPRINE, own="other"),), (None, 5, {})])
@pytest.mark.parametrize("to", ["#med", "#", "##", "#Medication/med"])
def test_a_reference_to_nothing_contained_leaves_the_drug_open(contained: tuple[Any, ...], to: str) -> None:
    (found,) = normalised(drug("MedicationRequest", *contained, to=to)).of_type("MedicationRequest")
    assert found["medicationCodeableConcept"]["coding"] == [UNREADABLE]


def test_of_two_by_one_id_no_verdict_rests_on_either() -> None:
    twice = drug("MedicationRequest", medication(RILUZOLE), medication(AZATHIOPRINE))
    (found,) = normalised(twice).of_type("MedicationRequest")
    assert "unknown-modifier" in tags(found)
    same = drug("MedicationRequest", medication(RILUZOLE), medication(RILUZOLE))
    assert "unknown-modifier" not in tags(normalised(same).of_type("MedicationRequest")[0])


def test_what_is_contained_in_contained_is_found() -> None:
    substance = {"resourceType": "Substance", "id": "s", "code": AZATHIOPRINE}
    mixed = medication(ingredient=[{"itemReference": {"reference": "#s"}}], contained=[substance])
    assert codes(normalised(drug("MedicationRequest", mixed)).of_type("MedicationRequest")[0]) == {"1256"}
    beside = medication(ingredient=[{"itemReference": {"reference": "#s"}}])
    record = normalised(drug("MedicationRequest", beside, substance))
    assert codes(record.of_type("MedicationRequest")[0]) == {"1256"}


def test_an_ingredient_may_stand_outside() -> None:
    urn = {"reference": "Medication/azathioprine/_history/7"}
    mixed = medication(ingredient=[{"itemReference": urn}])
    record = normalised(drug("MedicationRequest", mixed), medication(AZATHIOPRINE, own="azathioprine"))
    assert codes(record.of_type("MedicationRequest")[0]) == {"1256"}


def test_the_mark_of_a_reference_before_the_id_is_no_part_of_it() -> None:
    record = normalised(drug("MedicationRequest", medication(AZATHIOPRINE, own="#med")))
    assert codes(record.of_type("MedicationRequest")[0]) == {"1256"}


def test_a_contained_device_belongs_to_its_use() -> None:
    tube = {"type": {"text": "Cânula de traqueostomia"}}
    device = {"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/q"}, **tube}
    uses = [
        {
            "resourceType": "DeviceUseStatement",
            "id": number,
            "subject": SUBJECT,
            "contained": [device],
            "device": {"reference": "#d"},
        }
        for number in ("1", "2")
    ]
    record = normalised(*uses)
    assert [d["id"] for d in record.of_type("Device")] == ["1-d", "2-d"]
    assert [u["device"]["reference"] for u in record.of_type("DeviceUseStatement")] == [
        "Device/1-d",
        "Device/2-d",
    ]


def test_a_stand_in_takes_no_device_s_id() -> None:
    known = {"resourceType": "Device", "id": "u-device", "type": {"text": "Gastrostomia"}}
    use = {
        "resourceType": "DeviceUseStatement",
        "id": "u",
        "subject": SUBJECT,
        "device": {"display": "Cânula de traqueostomia"},
    }
    record = normalised(known, use)
    (found,) = record.of_type("DeviceUseStatement")
    stand_in = next(
        d for d in record.of_type("Device") if f"Device/{d['id']}" == found["device"]["reference"]
    )
    assert stand_in["type"]["text"] == "Cânula de traqueostomia"


def test_inside_a_contained_resource_the_mark_alone_is_what_holds_it() -> None:
    inner = observation("1742-6", id="alt", subject=None, derivedFrom=[{"reference": "#"}])
    report = {"resourceType": "DiagnosticReport", "id": "r", "subject": SUBJECT, "contained": [inner]}
    (found,) = normalised(report).of_type("Observation")
    assert found["derivedFrom"] == [{"reference": "DiagnosticReport/r"}]


@pytest.mark.parametrize(
    ("kind", "status", "own", "taken"),
    [
        ("DiagnosticReport", "final", "preliminary", "preliminary"),
        ("DiagnosticReport", "appended", None, "amended"),
        ("DiagnosticReport", "entered-in-error", "final", "entered-in-error"),
        ("DiagnosticReport", "cancelled", "final", "cancelled"),
        ("DiagnosticReport", "unknown", "final", "final"),
        ("DiagnosticReport", "unknown", None, "unknown"),
        ("MedicationRequest", "cancelled", "final", "final"),
        ("MedicationRequest", "unknown", "final", "final"),
        ("MedicationRequest", "entered-in-error", "final", "entered-in-error"),
    ],
)
def test_a_contained_result_is_as_true_as_what_holds_it(
    kind: str, status: str, own: str | None, taken: str
) -> None:
    """An order that was cancelled does not undo the result that was its reason."""
    inner = observation("1742-6", id="alt", subject=None, status=own)
    (found,) = normalised(
        {"resourceType": kind, "id": "r", "status": status, "subject": SUBJECT, "contained": [inner]}
    ).of_type("Observation")
    assert found["status"] == taken


def test_contained_people_and_diagnoses_are_no_resources_of_the_record() -> None:
    held = [
        {"resourceType": "Practitioner", "id": "a"},
        {"resourceType": "Condition", "id": "b", "subject": SUBJECT, "code": concept("G12.2", systems.ICD10)},
        {"resourceType": "Patient", "id": "c"},
    ]
    report = {"resourceType": "DiagnosticReport", "id": "r", "subject": SUBJECT, "contained": held}
    record = normalised(report)
    assert set(record.resources) == {"Patient", "DiagnosticReport"}
    assert len(record.of_type("Patient")) == 1


@pytest.mark.parametrize(
    ("verification", "counts"),
    [
        (None, True),
        ({"coding": [{"code": "confirmed"}]}, True),
        ({"coding": [{"code": "refuted"}]}, False),
        ({"coding": [{"code": "provisional"}]}, False),
        ({"text": "?"}, False),
        (5, False),
    ],
)
def test_a_contained_diagnosis_is_the_reason_it_is_given_as(verification: Any, counts: bool) -> None:
    fracture = {"resourceType": "Condition", "id": "f", "code": concept("S72.0", systems.ICD10)}
    if verification is not None:
        fracture["verificationStatus"] = verification
    procedure = {
        "resourceType": "Procedure",
        "id": "o",
        "subject": SUBJECT,
        "contained": [fracture],
        "reasonCode": [{"text": "dor"}],
        "reasonReference": [{"reference": "#f"}, {"reference": "#gone"}, 5],
    }
    record = normalised(procedure)
    (found,) = record.of_type("Procedure")
    reasons = [c["code"] for reason in found["reasonCode"] for c in reason.get("coding", ())]
    assert reasons == (["S72.0"] if counts else [])
    assert record.original(found) is procedure
