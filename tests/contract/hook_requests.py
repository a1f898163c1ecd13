"""Hook requests built from the trial's vignettes and from single resources."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

TRIAL = "nct02917681"
SERVICE = f"/cds-services/trial-{TRIAL}"
INSTANCE = "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"
ALS = {"coding": [{"system": "http://snomed.info/sct", "code": "86044005"}]}


@cache
def _vignette(name: str) -> str:
    return (files("cds_service") / "trials" / TRIAL / "vignettes" / f"{name}.json").read_text("utf-8")


def vignette_bundle(name: str) -> dict[str, Any]:
    """The Bundle of an acceptance vignette ("AV-01")."""
    bundle: dict[str, Any] = json.loads(_vignette(name))["bundle"]
    return bundle


def resources(bundle: dict[str, Any]) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in bundle["entry"]]


def searchset(*found: dict[str, Any]) -> dict[str, Any]:
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "total": len(found),
        "entry": [{"resource": resource, "search": {"mode": "match"}} for resource in found],
    }


def prefetch_of(bundle: dict[str, Any], types: frozenset[str]) -> dict[str, Any]:
    """A full prefetch: each type's resources as a searchset, null where there are none."""
    prefetch: dict[str, Any] = {}
    for kind in types - {"Medication", "ResearchStudy"}:
        found = [resource for resource in resources(bundle) if resource["resourceType"] == kind]
        key = kind[0].lower() + kind[1:]
        prefetch[key] = found[0] if kind == "Patient" else searchset(*found) if found else None
    return prefetch


def hook_request(patient_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "hook": "patient-view",
        "hookInstance": INSTANCE,
        "context": {"userId": "Practitioner/p1", "patientId": patient_id},
        **more,
    }


def vignette_request(name: str, types: frozenset[str]) -> dict[str, Any]:
    """A call with the whole record of a vignette as prefetch."""
    bundle = vignette_bundle(name)
    patient = next(r for r in resources(bundle) if r["resourceType"] == "Patient")
    return hook_request(patient["id"], prefetch=prefetch_of(bundle, types))


def als(condition_id: str = "c1", patient_id: str = "1", **more: Any) -> dict[str, Any]:
    """A confirmed, active ALS."""
    status = "http://terminology.hl7.org/CodeSystem/condition-"
    return {
        "resourceType": "Condition",
        "id": condition_id,
        "subject": {"reference": f"Patient/{patient_id}"},
        "code": ALS,
        "clinicalStatus": {"coding": [{"system": f"{status}clinical", "code": "active"}]},
        "verificationStatus": {"coding": [{"system": f"{status}ver-status", "code": "confirmed"}]},
        **more,
    }


def person(patient_id: str = "1", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": patient_id,
        "gender": "male",
        "birthDate": "1971-03-10",
        **more,
    }
