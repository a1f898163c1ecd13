"""A real FHIR server: command line and hook say of its patients what they say of the same Bundles."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import requests

from cds_service.app import create_app, load_screener
from cds_service.cli.commands import run
from cds_service.eligibility.assessment import Assessment
from cds_service.logs import silent
from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Bounds, Transport
from cds_service.records.record import PatientRecord
from cds_service.records.wanted import Wanted
from cds_service.screening import Screener
from cds_service.settings import load_settings
from tests import builders

pytestmark = pytest.mark.hapi

TRIAL = "nct02917681"
VIGNETTES = Path(__file__).resolve().parents[2] / "cds_service" / "trials" / TRIAL / "vignettes"
FILES = sorted(VIGNETTES.glob("*.json"))


def _vignette(path: Path) -> dict[str, Any]:
    vignette = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(vignette, dict)
    return vignette


def _patient_id(bundle: dict[str, Any]) -> str:
    return str(
        next(e["resource"]["id"] for e in bundle["entry"] if e["resource"]["resourceType"] == "Patient")
    )


def _put(base: str, resources: Sequence[dict[str, Any]]) -> None:
    """Load resources over the server's REST API, as one transaction that writes each under its own id."""
    entries = [
        {"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}}
        for r in resources
    ]
    transaction = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    headers = {"Content-Type": "application/fhir+json"}
    answer = requests.post(base, json=transaction, headers=headers, timeout=120)
    assert answer.ok, answer.text


class RecordingScreener(Screener):
    """The Screener, keeping what the hook got from it: a card shows less than every criterion."""

    seen: list[Assessment]

    def screen(self, record: PatientRecord, trial_ids: Sequence[str] | None, as_of: date) -> list[Assessment]:
        found = super().screen(record, trial_ids, as_of)
        self.seen.extend(found)
        return found


@pytest.fixture(scope="session")
def screener() -> RecordingScreener:
    loaded = load_screener(load_settings(environment={}))
    recording = RecordingScreener(loaded.catalog, loaded.value_sets, loaded.mappings, loaded.timezone)
    recording.seen = []
    return recording


def _assessed(arguments: Sequence[str], capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    assert run(["assess", *arguments, "--format", "json"]) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert isinstance(document, dict)
    return document


def _verdicts(assessment: dict[str, Any]) -> dict[str, Any]:
    """Everything said of every criterion; evidence by reference, since a server may add to what it shows."""
    return {
        row["id"]: (
            row["status"],
            row["basis"],
            row["reasons"],
            row["likely"],
            row["notes"],
            sorted(e["reference"] for e in row["evidence"]),
        )
        for row in assessment["criteria"]
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_server_bundle_and_hook_agree(
    path: Path,
    hapi_url: str,
    screener: RecordingScreener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    vignette = _vignette(path)
    patient, as_of = _patient_id(vignette["bundle"]), vignette["asOf"]
    _put(hapi_url, [entry["resource"] for entry in vignette["bundle"]["entry"]])
    (tmp_path / "bundle.json").write_text(json.dumps(vignette["bundle"]), encoding="utf-8")
    from_file = _assessed(["bundle.json", "--as-of", as_of], capsysbinary)
    from_server = _assessed(["--fhir-server", hapi_url, "--patient", patient, "--as-of", as_of], capsysbinary)
    assert from_server["status"] == from_file["status"] == vignette["expected"]["status"]
    assert from_server["card"] == from_file["card"] == vignette["expected"]["card"]
    assert _verdicts(from_server) == _verdicts(from_file)
    assert {entry["state"] for entry in from_server["data"].values()} == {"complete"}

    answer = _hook(hapi_url, patient, as_of, screener, tmp_path)
    assert bool(answer["cards"]) == from_file["card"]
    if screener.seen:
        hooked = screener.seen[-1].to_json()
        assert hooked["status"] == from_file["status"]
        if from_file["status"] != "not-applicable":
            assert _verdicts(hooked) == _verdicts(from_file)
    for card in answer["cards"]:
        assert card["extension"]["org.cds-service.assessment"]["status"] == from_file["status"]


def _hook(server: str, patient: str, as_of: str, screener: RecordingScreener, folder: Path) -> dict[str, Any]:
    """The answer to a patient-view call without prefetch, which fetches everything from the server."""
    variables = {
        "CDS_AS_OF": as_of,
        "CDS_CARDS_SHOW_EXCLUDED": "true",
        "CDS_DATABASE_URL": f"sqlite:///{folder / 'hook.db'}",
        "CDS_FEEDBACK_PSEUDONYM_KEY_FILE": str(folder / "pseudonym.key"),
        "CDS_LIMITS_FETCH_SECONDS": "60",
    }
    app = create_app(load_settings(environment=variables), screener=screener, log=silent)
    screener.seen.clear()
    call = {
        "hook": "patient-view",
        "hookInstance": "4a1b2c3d-0000-4000-8000-000000000001",
        "fhirServer": server,
        "context": {"userId": "Practitioner/example", "patientId": patient},
    }
    response = app.test_client().post(
        f"/cds-services/trial-{TRIAL}", json=call, base_url="http://127.0.0.1:8000"
    )
    assert response.status_code == 200, response.get_data(as_text=True)
    answer = response.get_json()
    assert isinstance(answer, dict)
    return answer


def _every_type() -> dict[str, Any]:
    """A record with a resource of each type that the trial searches for and the vignettes lack, evidence all of them."""
    coordinator = builders.practitioner("coordinator")
    facts = [
        builders.research_study("hapi-study", "NCT01234567", "A registry of ALS"),
        builders.research_subject("ResearchStudy/hapi-study", "candidate"),
        builders.nutrition_order(enteral=True, orderer={"reference": "Practitioner/coordinator"}),
        builders.supply_delivery(builders.coding(builders.HCPCS, "E0470")),
        builders.device(builders.snomed("702172008"), id="hapi-cpap"),
        builders.device_use_statement("Device/hapi-cpap"),
        builders.device_request(builders.snomed("702173003"), authoredOn="2026-05-02"),
        builders.service_request(builders.snomed("235159007"), authoredOn="2026-05-03"),
        builders.medication("hapi-drug", builders.rxnorm("1256", "azathioprine")),
        {
            **builders.medication_dispense(handed_over="2026-05-20", days=30),
            "medicationCodeableConcept": None,
            "medicationReference": {"reference": "Medication/hapi-drug"},
        },
        builders.medication_administration(builders.rxnorm("2700765"), on="2026-01-05"),
        builders.immunization(builders.coding(builders.CVX, "43"), on="2026-06-10"),
        builders.consent(provision="permit"),
        {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
            "period": {"start": "2026-05-01", "end": "2026-05-01"},
            "reasonCode": [builders.concept(builders.icd10cm("Z00.6"))],
        },
        {
            "resourceType": "DiagnosticReport",
            "status": "final",
            "code": builders.concept(builders.loinc("81458-2")),
            "effectiveDateTime": "2026-06-01",
        },
        builders.attestation({"EX02-CannotLieStill": "no"}),
    ]
    facts = [{key: value for key, value in fact.items() if value is not None} for fact in facts]
    return builders.b0(coordinator, facts, who=builders.patient("hapi-all-types"), without=["fvc"])


def test_every_type_that_the_trial_reads_arrives(
    hapi_url: str,
    screener: RecordingScreener,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    """What the server holds is found by the searches of clinical-spec §2.1, references included."""
    monkeypatch.chdir(tmp_path)
    bundle = _every_type()
    kinds = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert screener.wanted([TRIAL]).types - kinds == {
        "MedicationStatement",
        "Procedure",
    }  # the vignettes have them
    _put(hapi_url, [entry["resource"] for entry in bundle["entry"]])
    (tmp_path / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")
    day = ["--as-of", builders.SCREENING_DAY]
    from_file = _assessed(["bundle.json", *day], capsysbinary)
    from_server = _assessed(["--fhir-server", hapi_url, "--patient", "hapi-all-types", *day], capsysbinary)
    assert _verdicts(from_server) == _verdicts(from_file)
    assert {kind: from_server["data"][kind]["count"] for kind in kinds - {"Practitioner"}} == {
        kind: from_file["data"][kind]["count"] for kind in kinds - {"Practitioner"}
    }
    assert {entry["state"] for entry in from_server["data"].values()} == {"complete"}
    _hook(hapi_url, "hapi-all-types", builders.SCREENING_DAY, screener, tmp_path)
    assert _verdicts(screener.seen[-1].to_json()) == _verdicts(from_file)


def test_every_page_of_a_search_is_read(hapi_url: str) -> None:
    patient: dict[str, Any] = {"resourceType": "Patient", "id": "paged-patient", "gender": "male"}
    subject = {"reference": "Patient/paged-patient"}
    weights = [
        {
            "resourceType": "Observation",
            "id": f"paged-weight-{number}",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "subject": subject,
            "effectiveDateTime": "2026-01-01",
            "valueQuantity": {
                "value": 60 + number,
                "unit": "kg",
                "system": "http://unitsofmeasure.org",
                "code": "kg",
            },
        }
        for number in range(45)
    ]
    _put(hapi_url, [patient, *weights])
    transport = Transport(bounds=Bounds(page_size=10))
    try:
        record = acquire(hapi_url, "paged-patient", Wanted(frozenset({"Observation"})), transport=transport)
    finally:
        transport.close()
    assert {r["id"] for r in record.resources["Observation"]} == {w["id"] for w in weights}
    assert record.state("Observation").state == "complete"


def test_a_patient_that_is_not_there_ends_with_3(
    hapi_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["assess", "--fhir-server", hapi_url, "--patient", "nobody-of-that-id"]) == 3
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Patient could not be obtained" in err
