"""A small sandbox for tests: two patients whose authors numbered their resources alike."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from flask import Flask
from flask.testing import FlaskClient

from cds_service.eligibility.trial import Criterion, Order, Registry, Row, Trial
from cds_service.sandbox import Vignette, create_sandbox

AS_OF: Final = date(2026, 6, 15)
LOINC: Final = "http://loinc.org"
FHIR: Final = "/sandbox/fhir"


def trial() -> Trial:
    """A trial of three rows, one of them made of two parts."""
    return Trial(
        id="demo",
        nct="NCT00000000",
        version="1.0",
        title="A trial of nothing",
        short_title="Nothing",
        description="For tests",
        library="Demo",
        gate="H1-Condition",
        gate_types=("Patient", "Condition"),
        registry=Registry("UNKNOWN", "2016", "https://example.org"),
        sites=(),
        contacts=(),
        burden=(),
        rows=(
            Row("H1", "headline", "The disease"),
            Row("IN01", "inclusion", "Old enough"),
            Row("EX01", "exclusion", "Two infections"),
        ),
        criteria=(
            _criterion("H1-Condition", "headline", "H1", "The disease"),
            _criterion("IN01-Age", "inclusion", "IN01", "Age"),
            _criterion("EX01a-This", "exclusion", "EX01", "This infection"),
            _criterion("EX01b-That", "exclusion", "EX01", "That infection"),
        ),
        orders={"1742-6": Order("1742-6", LOINC, "ALT")},
    )


def _criterion(criterion_id: str, kind: str, group: str, label: str) -> Criterion:
    return Criterion(
        id=criterion_id,
        kind=kind,
        tier="A",
        group=group,
        text=f"Protocol: {label}",
        label=label,
        computed_from="tests",
        question=f"Is it true: {label}?",
    )


def vignette(patient_id: str, *resources: dict[str, Any], **patient: Any) -> Vignette:
    """A vignette of one patient and these resources; a resource without subject gets this patient."""
    person = {
        "resourceType": "Patient",
        "id": patient_id,
        "gender": "female",
        "birthDate": "1971-03-10",
        **patient,
    }
    own = [{"subject": {"reference": f"Patient/{patient_id}"}, **resource} for resource in resources]
    entries = [{"resource": resource} for resource in (person, *own)]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    return Vignette(patient_id, f"Story of {patient_id}", "", "2026-06-15", bundle)


def observation(number: int, code: str = "1742-6", **more: Any) -> dict[str, Any]:
    """A final laboratory result of the given number, dated by it."""
    return {
        "resourceType": "Observation",
        "id": f"obs-{number}",
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": code}], "text": f"Result {code}"},
        "category": [{"coding": [{"system": "http://terminology.hl7.org/category", "code": "laboratory"}]}],
        "effectiveDateTime": f"2026-05-{number:02d}",
        **more,
    }


def medication_request(number: int, medication: str) -> dict[str, Any]:
    """An order that refers to a medication."""
    reference = {"reference": f"Medication/{medication}"}
    return {
        "resourceType": "MedicationRequest",
        "id": f"rx-{number}",
        "status": "active",
        "intent": "order",
        "medicationReference": reference,
    }


def ward() -> list[Vignette]:
    """ann with seven results, bea with one of the same id, both on the same medication."""
    medication = {
        "resourceType": "Medication",
        "id": "riluzole",
        "code": {"text": "riluzole"},
        "subject": None,
    }
    medication.pop("subject")
    ann = vignette(
        "ann",
        *(observation(n) for n in range(1, 6)),
        observation(6, "2160-0", status="preliminary"),
        observation(7, "5196-1", effectiveDateTime="2026-06-01T10:00:00-03:00"),
        medication_request(1, "riluzole"),
        name=[{"family": "Almeida", "given": ["Ann", "Maria"]}],
    )
    bea = vignette("bea", observation(1), medication_request(1, "riluzole"), name=[{"text": "Bea Costa"}])
    for one in (ann, bea):
        one.bundle["entry"].append({"resource": medication})
    return [ann, bea]


def client(vignettes: list[Vignette] | None = None) -> FlaskClient:
    """A test client of an application that holds nothing but a sandbox."""
    app = Flask("ward")
    for blueprint in create_sandbox([trial()], ward() if vignettes is None else vignettes, AS_OF):
        app.register_blueprint(blueprint)
    return app.test_client()


def search(http: FlaskClient, query: str) -> dict[str, Any]:
    """A search's Bundle."""
    answer = http.get(f"{FHIR}/{query}")
    assert answer.status_code == 200, answer.get_json()
    bundle: dict[str, Any] = answer.get_json()
    return bundle


def ids(bundle: dict[str, Any]) -> list[str]:
    """The ids of a Bundle's resources, in order."""
    return [entry["resource"]["id"] for entry in bundle.get("entry", [])]
