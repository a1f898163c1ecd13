"""The demo's buttons for cards that rest: what they tell, whose cards they bring back, what they refuse."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from cds_service.cli.serving import demo_app

SERVICE = "/cds-services/trial-nct02917681"
SYSTEM = "https://cds-service.example/fhir/CodeSystem/override-reason"
ONE, OTHER = "av-01-joao", "av-02-jose"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> FlaskClient:
    return demo_app(tmp_path_factory.mktemp("demo")).test_client()


@pytest.fixture(autouse=True)
def at_the_start(demo: FlaskClient) -> None:
    assert demo.post("/sandbox/rests/end", json={}).status_code == 204


def cards(demo: FlaskClient, patient: str) -> list[dict[str, Any]]:
    vignettes = demo.get(f"/sandbox/fhir/Patient/{patient}").get_json()
    conditions = demo.get(f"/sandbox/fhir/Condition?patient={patient}").get_json()
    call = {
        "hook": "patient-view",
        "hookInstance": str(uuid4()),
        "context": {"userId": "Practitioner/sandbox-clinician", "patientId": patient},
        "prefetch": {"patient": vignettes, "condition": conditions},
    }
    found: list[dict[str, Any]] = demo.post(SERVICE, json=call).get_json()["cards"]
    return found


def refuse(demo: FlaskClient, patient: str, reason: str) -> None:
    entry = {
        "card": cards(demo, patient)[0]["uuid"],
        "outcome": "overridden",
        "outcomeTimestamp": "2999-01-01T00:00:00Z",
        "overrideReason": {"reason": {"code": reason, "system": SYSTEM}},
    }
    assert demo.post(f"{SERVICE}/feedback", json={"feedback": [entry]}).status_code == 200


def rests(demo: FlaskClient, patient: str) -> Any:
    return demo.post("/sandbox/rests", json={"patient": patient}).get_json()


def test_the_page_learns_which_card_rests_why_for_whom_and_how_long(demo: FlaskClient) -> None:
    assert rests(demo, ONE) == []
    refuse(demo, ONE, "no-time")
    (told,) = rests(demo, ONE)
    assert told == {"trial": "nct02917681", "reason": "No time now", "users": "you", "days": 14}
    refuse(demo, OTHER, "patient-declined")
    (told,) = rests(demo, OTHER)
    assert told == {"trial": "nct02917681", "reason": "Patient declined", "users": "every user"}


def test_one_patients_cards_are_brought_back_or_everybodys(demo: FlaskClient) -> None:
    for patient in (ONE, OTHER):
        refuse(demo, patient, "patient-declined")
        assert cards(demo, patient) == []
    assert demo.post("/sandbox/rests/end", json={"patient": ONE}).status_code == 204
    assert cards(demo, ONE) != []
    assert cards(demo, OTHER) == []
    assert demo.post("/sandbox/rests/end", json={}).status_code == 204
    assert cards(demo, OTHER) != []


def test_no_card_of_the_demo_rests_because_it_was_seen_often(demo: FlaskClient) -> None:
    assert all(cards(demo, ONE) for _ in range(11))


@pytest.mark.parametrize("path", ["/sandbox/rests", "/sandbox/rests/end"])
@pytest.mark.parametrize("body", [b"", b"[]", b"null", b'{"patient": 5}', b"{"])
def test_a_body_of_another_shape_is_refused(demo: FlaskClient, path: str, body: bytes) -> None:
    answer = demo.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["resourceType"] == "OperationOutcome"


def test_a_patient_is_needed_to_tell_what_rests(demo: FlaskClient) -> None:
    assert demo.post("/sandbox/rests", json={}).status_code == 400


@pytest.mark.parametrize("path", ["/sandbox/rests", "/sandbox/rests/end"])
@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
def test_a_foreign_page_can_send_neither_unasked(demo: FlaskClient, path: str, kind: str) -> None:
    refuse(demo, ONE, "patient-declined")
    answer = demo.post(path, data=b'{"patient": "av-01-joao"}', content_type=kind)
    assert answer.status_code == 400
    assert cards(demo, ONE) == []
    asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    assert "Access-Control-Allow-Origin" not in demo.options(path, headers=asked).headers
