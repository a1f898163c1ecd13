"""The hand-made patients of the measure in `data/`, each for something that published measures trip over."""

from __future__ import annotations

from typing import Any

from tests.measures.content import TestPatient

SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
SETS: dict[str, list[dict[str, Any]]] = {
    "https://example.org/ValueSet/office-visit": [{"system": SNOMED, "code": "185349003"}],
    "https://example.org/ValueSet/inpatient": [{"system": SNOMED, "code": "32485007"}],
    "https://example.org/ValueSet/diabetes": [{"system": SNOMED, "code": "44054006"}],
    "https://example.org/ValueSet/statins": [{"system": "http://www.whocc.no/atc", "code": "C10AA01"}],
}
ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
UCUM = "http://unitsofmeasure.org"


def coded(system: str, code: str, text: str | None = None) -> dict[str, Any]:
    made: dict[str, Any] = {"coding": [{"system": system, "code": code}]}
    return {**made, "text": text} if text else made


def visit(
    id: str, start: str, end: str | None, *, status: str = "finished", code: str = "185349003"
) -> dict[str, Any]:
    period = {"start": start, "end": end} if end else {"start": start}
    kind = "IMP" if code == "32485007" else "AMB"
    return {"resourceType": "Encounter", "id": id, "status": status, "class": {"system": ACT, "code": kind}, "type": [coded(SNOMED, code)], "period": period}  # fmt: skip


def stay(id: str, start: str, end: str | None, status: str = "finished") -> dict[str, Any]:
    return visit(id, start, end, status=status, code="32485007")


def condition(id: str, onset: dict[str, Any], status: str = "confirmed") -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    return {"resourceType": "Condition", "id": id, "code": coded(SNOMED, "44054006", "diabetes"), "verificationStatus": coded(system, status), **onset}  # fmt: skip


def result(
    id: str, value: dict[str, Any], at: dict[str, Any], status: str = "final", visit: str | None = None
) -> dict[str, Any]:
    made = {
        "resourceType": "Observation",
        "id": id,
        "status": status,
        "code": coded(LOINC, "4548-4", "HbA1c"),
        **value,
        **at,
    }
    return {**made, "encounter": {"reference": f"Encounter/{visit}"}} if visit else made


def percent(number: float | int) -> dict[str, Any]:
    return {"valueQuantity": {"value": number, "unit": "%", "system": UCUM, "code": "%"}}


def statin(
    id: str, start: str | None, quantity: float | None, refills: int | None = None, days: int | None = None
) -> dict[str, Any]:
    request: dict[str, Any] = {}
    if start:
        request["validityPeriod"] = {"start": start}
    if quantity is not None:
        request["quantity"] = {"value": quantity}
    if refills is not None:
        request["numberOfRepeatsAllowed"] = refills
    if days is not None:
        request["expectedSupplyDuration"] = {"value": days, "unit": "days"}
    drug = coded("http://www.whocc.no/atc", "C10AA01")
    return {"resourceType": "MedicationRequest", "id": id, "status": "active", "intent": "order", "medicationCodeableConcept": drug, "dispenseRequest": request}  # fmt: skip


def patient(name: str, /, *resources: dict[str, Any], **elements: Any) -> TestPatient:
    from pathlib import Path

    own = {"resourceType": "Patient", "id": name, "gender": "female", "birthDate": "1970-05-20", **elements}
    own = {key: value for key, value in own.items() if value is not None}
    return TestPatient(name, Path(), (own, *resources), ("2024-01-01", "2024-12-31"))


RACE = {"url": "https://example.org/race", "extension": [{"url": "category", "valueCoding": {"system": "urn:oid:1.2.3", "code": "x", "display": "X"}}, {"url": "text", "valueString": "X"}]}  # fmt: skip

PATIENTS = [
    patient("empty"),
    patient("no birth date", visit("v1", "2024-02-01", "2024-02-01"), birthDate=None),
    patient("birth year only", condition("c1", {"onsetDateTime": "2019"}), visit("v1", "2024-02-01", "2024-02-01"), birthDate="1984"),
    patient(
        "in everything",
        visit("v1", "2024-01-10T08:00:00-03:00", "2024-01-10T09:00:00-03:00"),
        visit("v2", "2024-06-10T08:00:00-03:00", "2024-06-10T09:00:00-03:00"),
        visit("v3", "2023-12-31T23:30:00-03:00", "2024-01-01T00:30:00-03:00"),
        stay("s1", "2024-03-01T22:00:00-03:00", "2024-03-04T10:00:00-03:00"),
        stay("s2", "2024-05-01T22:00:00Z", "2024-05-02T10:00:00Z"),
        condition("c1", {"onsetPeriod": {"start": "2020-01-01", "end": "2020-02-01"}}),
        condition("c2", {"onsetDateTime": "2025-03-01"}),
        condition("c3", {"onsetAge": {"value": 40, "unit": "a", "system": UCUM, "code": "a"}}),
        condition("c4", {"onsetDateTime": "2018-04-01"}, "refuted"),
        result("o1", percent(8.1), {"effectiveDateTime": "2024-02-01T09:00:00-03:00"}, visit="v1"),
        result("o2", percent(9.4), {"effectivePeriod": {"start": "2024-07-01T09:00:00-03:00", "end": "2024-07-01T10:00:00-03:00"}}, visit="v2"),
        result("o3", percent(7), {"effectiveInstant": "2023-07-01T09:00:00.000-03:00"}, visit="v9"),
        result("o4", percent(12), {"effectiveDateTime": "2024-08-01"}, status="preliminary"),
        result("o5", {"valueString": "haemolysed"}, {"effectiveDateTime": "2024-03-01"}),
        result("o6", {"valueCodeableConcept": coded(LOINC, "x", "high")}, {"effectiveDateTime": "2024-03-02"}, status="amended"),
        statin("m1", "2024-02-01", 60),
        statin("m2", "2024-02-20", 30, refills=2),
        statin("m3", "2024-11-15", None, days=90),
        statin("m4", None, 30),
        statin("m5", "2024-09-01", None),
        {"resourceType": "Coverage", "id": "p1", "status": "active", "type": coded("urn:oid:1", "payer"), "period": {"start": "2024-01-01"}},
        extension=[RACE, {"url": "https://example.org/other", "valueString": "y"}],
        name=[{"given": ["Ana", "Maria"]}, {"family": "Silva"}, {"given": ["Ana"]}],
    ),
    patient(
        "open ends",
        visit("v1", "2024-12-31T23:00:00-03:00", None),
        stay("s1", "2024-12-30", None, "in-progress"),
        condition("c1", {}),
        result("o1", {}, {"effectiveDateTime": "2024-12"}),
        statin("m1", "2024-12-20", 45, refills=0),
        gender="male",
    ),
]  # fmt: skip
