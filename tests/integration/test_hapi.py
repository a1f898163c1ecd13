"""A real FHIR server: the command line says of its patients what it says of the same Bundles, all pages read."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from cds_service.cli.commands import run
from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Bounds, Transport
from cds_service.records.wanted import Wanted
from tests import builders
from tests.integration.conftest import Vignette
from tests.support import hapi
from tests.support.hooked import (
    DAY,
    FILES,
    TRIAL,
    RecordingScreener,
    assessed,
    hooked,
    record_of,
    states,
    verdicts,
)

pytestmark = pytest.mark.hapi


@pytest.fixture(autouse=True)
def _unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that has just started answers slowly at first."""
    monkeypatch.setenv("CDS_LIMITS_FETCH_SECONDS", "60")


def _assessed(arguments: Sequence[str], capsysbinary: pytest.CaptureFixture[bytes]) -> dict[str, Any]:
    assert run(["assess", *arguments, "--format", "json"]) == 0
    document = json.loads(capsysbinary.readouterr().out)
    assert isinstance(document, dict)
    return document


@pytest.mark.parametrize("name", [path.stem for path in FILES])
def test_server_and_bundle_agree(
    name: str,
    hapi_url: str,
    screener: RecordingScreener,
    vignettes: Mapping[str, Vignette],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsysbinary: pytest.CaptureFixture[bytes],
) -> None:
    monkeypatch.chdir(tmp_path)
    vignette = vignettes[name]
    from_bundle = assessed(screener, record_of(vignette.resources))
    from_server = _assessed(
        ["--fhir-server", hapi_url, "--patient", vignette.patient, "--as-of", DAY], capsysbinary
    )
    assert from_server["status"] == from_bundle["status"] == vignette.expected["status"]
    assert from_server["card"] == from_bundle["card"] == vignette.expected["card"]
    assert verdicts(from_server) == verdicts(from_bundle)
    assert set(states(from_server).values()) == {"complete"}


def _write_bundle(folder: Path, resources: Iterable[dict[str, Any]]) -> None:
    entries = [{"resource": resource} for resource in resources]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    (folder / "bundle.json").write_text(json.dumps(bundle), encoding="utf-8")


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
    resources = builders.resources_of(_every_type())
    kinds = {resource["resourceType"] for resource in resources}
    # The vignettes have these.
    assert screener.wanted([TRIAL]).types - kinds == {"MedicationStatement", "Procedure"}
    hapi.load(hapi_url, resources)
    _write_bundle(tmp_path, resources)
    from_file = _assessed(["bundle.json", "--as-of", DAY], capsysbinary)
    from_server = _assessed(
        ["--fhir-server", hapi_url, "--patient", "hapi-all-types", "--as-of", DAY], capsysbinary
    )
    assert verdicts(from_server) == verdicts(from_file)
    assert {kind: from_server["data"][kind]["count"] for kind in kinds - {"Practitioner"}} == {
        kind: from_file["data"][kind]["count"] for kind in kinds - {"Practitioner"}
    }
    assert set(states(from_server).values()) == {"complete"}
    with hooked(tmp_path, screener) as hook:
        answer = hook.call("hapi-all-types", server=hapi_url)
    assert answer.assessment is not None
    assert verdicts(answer.assessment) == verdicts(from_file)


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
    hapi.load(hapi_url, [patient, *weights])
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
