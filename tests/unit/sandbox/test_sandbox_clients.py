"""A real FHIR client on a real socket: fhirpy reads, searches, pages and writes on the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from fhirpy import SyncFHIRClient
from fhirpy.base.exceptions import OperationOutcome, ResourceNotFound
from flask import Flask
from werkzeug.serving import make_server

from cds_service.sandbox import create_sandbox
from tests.unit.sandbox.wards import AS_OF, trial, ward


@pytest.fixture
def fhirpy_client() -> Iterator[SyncFHIRClient]:
    """fhirpy on a sandbox that listens on a port of its own."""
    app = Flask("ward")
    for blueprint in create_sandbox([trial()], ward(), AS_OF):
        app.register_blueprint(blueprint)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield SyncFHIRClient(f"http://127.0.0.1:{server.server_port}/sandbox/fhir")
    server.shutdown()
    thread.join()
    server.server_close()


def test_reading_searching_and_paging(fhirpy_client: SyncFHIRClient) -> None:
    patient = fhirpy_client.reference("Patient", "ann").to_resource()
    assert patient["gender"] == "female"
    observations = fhirpy_client.resources("Observation").search(patient="ann")
    assert observations.count() == 7
    assert len(observations.limit(2).fetch_all()) == 7
    assert len(observations.search(code="1742-6,2160-0", date__ge="2026-05-03").fetch_all()) == 4
    requests = fhirpy_client.resources("MedicationRequest").search(patient="ann")
    bundle = requests.include("MedicationRequest", "medication").fetch_raw()
    assert {entry["resource"]["resourceType"] for entry in bundle["entry"]} == {
        "MedicationRequest",
        "Medication",
    }


def test_writing_and_reading_back(fhirpy_client: SyncFHIRClient) -> None:
    order = fhirpy_client.resource(
        "ServiceRequest",
        status="draft",
        intent="proposal",
        subject={"reference": "Patient/ann"},
        code={"coding": [{"system": "http://loinc.org", "code": "1742-6"}]},
    )
    order.save()
    assert order.id
    order["status"] = "revoked"
    order.save()
    found = fhirpy_client.resources("ServiceRequest").search(patient="ann").fetch_all()
    assert [(one["status"], one["meta"]["versionId"]) for one in found] == [("revoked", "2")]


def test_errors_arrive_as_the_clients_own(fhirpy_client: SyncFHIRClient) -> None:
    with pytest.raises(ResourceNotFound):
        fhirpy_client.reference("Patient", "nobody").to_resource()
    with pytest.raises(OperationOutcome):
        fhirpy_client.resources("Observation").search(nonsense="1").fetch_all()
