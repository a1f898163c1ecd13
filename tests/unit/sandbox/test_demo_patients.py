"""The demo's patients as the sandbox serves them: valid FHIR, complete, and assessed as their authors expect."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.questionnaire import Questionnaire
from flask.testing import FlaskClient

from cds_service.cli.serving import DEMO_TRIAL, demo_app
from tests.unit.sandbox.wards import FHIR, search

FOLDER = files("cds_service") / "trials" / DEMO_TRIAL / "vignettes"
FILES = sorted(child.name for child in FOLDER.iterdir() if child.name.endswith(".json"))
VIGNETTES = [json.loads((FOLDER / name).read_text(encoding="utf-8")) for name in FILES]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return demo_app(tmp_path_factory.mktemp("demo")).test_client()


def patient_of(vignette: dict[str, Any]) -> str:
    resources = (entry["resource"] for entry in vignette["bundle"]["entry"])
    return next(str(r["id"]) for r in resources if r["resourceType"] == "Patient")


def test_there_are_twelve_or_more_with_the_ten_acceptance_vignettes(demo: FlaskClient) -> None:
    assert search(demo, "Patient?_summary=count")["total"] == len(VIGNETTES) >= 12
    assert {f"AV-{n:02}" for n in range(1, 11)} <= {vignette["id"] for vignette in VIGNETTES}


def test_the_attestation_questionnaire_is_valid_and_found_by_its_canonical(demo: FlaskClient) -> None:
    url = "https://cds-service.example/fhir/Questionnaire/eligibility-attestation"
    found = search(demo, f"Questionnaire?url={url}")["entry"][0]["resource"]
    Questionnaire.model_validate(found)
    assert demo.get(f"{FHIR}/Questionnaire/{found['id']}").get_json() == found


@pytest.mark.parametrize("vignette", VIGNETTES, ids=[str(v["id"]) for v in VIGNETTES])
def test_a_patients_record_is_served_whole_and_valid_and_assessed_as_expected(
    demo: FlaskClient, vignette: dict[str, Any]
) -> None:
    patient = patient_of(vignette)
    bundle = demo.get(f"{FHIR}/Patient/{patient}/$everything").get_json()
    Bundle.model_validate(bundle)
    assert bundle["total"] <= len(vignette["bundle"]["entry"])
    record = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": e["resource"]} for e in bundle["entry"]],
    }
    answer = demo.post(f"/assessments?trial={DEMO_TRIAL}&asOf=2026-06-15", json=record)
    assert answer.status_code == 200
    assessment = answer.get_json()
    assert assessment["status"] == vignette["expected"]["status"]
    assert assessment["card"] == vignette["expected"]["card"]
    found = {criterion["id"]: criterion["status"] for criterion in assessment["criteria"]}
    expected = vignette["expected"].get("criteria", {})
    assert {key: found.get(key) for key in expected} == expected
