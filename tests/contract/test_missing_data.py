"""What a caller and an operator learn of data that could not be got: cards, no cards, 412, log and metrics."""

from __future__ import annotations

from typing import Any, Final

import pytest
from flask.testing import FlaskClient

from tests.contract.conftest import Make
from tests.contract.hook_requests import (
    SERVICE,
    als,
    hook_request,
    person,
    resources,
    searchset,
    vignette_bundle,
)
from tests.unit.records_io.scripted_server import Answer, Script, bundle, outcome, serving
from tests.unit.test_metrics import value

NO_STATEMENT: Final = {"metadata": Answer("", 404)}
NEXT: Final = "https://ehr.example.org/r4/page/2"


def with_scope(base: str, scope: str | None) -> dict[str, Any]:
    token = {"access_token": "token-canary", "token_type": "Bearer", "expires_in": 300, "scope": scope}
    return hook_request(fhirServer=base, fhirAuthorization={k: v for k, v in token.items() if v is not None})


def statement(*types: str) -> dict[str, Any]:
    return {
        "resourceType": "CapabilityStatement",
        "rest": [{"mode": "server", "resource": [{"type": kind} for kind in types]}],
    }


TRUNCATED: Final = {**bundle(als()), "link": [{"relation": "next", "url": NEXT}]}
GATES: Final = [
    # What Condition answers with, the scope, whether a card is due, its state and why, requests besides the Patient's.
    ("failed", Answer("", 500), None, 0, "failed", "HTTP 500"),
    ("an outcome", Answer(outcome()), None, 0, "failed", "OperationOutcome"),
    ("ALS beside an outcome", Answer(bundle(als(), outcome())), None, 1, "failed", "OperationOutcome"),
    (
        "truncated without ALS",
        Answer({**TRUNCATED, "entry": []}),
        None,
        0,
        "truncated",
        "paging link to another server",
    ),
    ("truncated with ALS in it", Answer(TRUNCATED), None, 1, "truncated", "paging link to another server"),
    ("scope refused", Answer(bundle(als())), "patient/Patient.r", 0, "refused", "scope not granted"),
    (
        "scope filtered, ALS",
        Answer(bundle(als())),
        "patient/*.rs?x=y",
        1,
        "truncated",
        "scope granted for a part only",
    ),
    (
        "scope filtered, none",
        Answer(bundle()),
        "patient/*.rs?x=y",
        0,
        "truncated",
        "scope granted for a part only",
    ),
    ("refused", Answer(outcome(), 403), "patient/*.rs", 0, "refused", "HTTP 403"),
]


@pytest.mark.parametrize(
    ("condition", "scope", "due", "state", "why"), [g[1:] for g in GATES], ids=[g[0] for g in GATES]
)
def test_a_card_is_due_where_als_was_seen_whatever_happened_to_the_conditions(
    make_app: Make, condition: Answer, scope: str | None, due: int, state: str, why: str
) -> None:
    log: list[dict[str, Any]] = []
    script: Script = {"Patient/1": person(), "Condition": condition, **NO_STATEMENT}
    with serving(script) as server:
        client = make_app(log, service__fhir_servers=(server.base,)).test_client()
        answer = client.post(SERVICE, json=with_scope(server.base, scope))
        cards = answer.get_json()["cards"]
        if not due:
            assert {r.path for r in server.requests} <= {"Patient/1", "Condition", "metadata"}
        assert bool(server.asked("Condition")) is (why != "scope not granted")
    assert len(cards) == due
    for card in cards:
        assert card["extension"]["org.cds-service.assessment"]["status"] in ("unknown", "excluded")
    assert log[-1]["data"]["Condition"] == state
    assert log[-1]["why"]["Condition"] == why
    kinds = {"HTTP 500": "http-5xx", "HTTP 403": "http-4xx", "OperationOutcome": "operation-outcome"}
    kind = kinds.get(why, "link" if "link" in why else "scope")
    text = client.get("/metrics").text
    assert value(text, "cds_fhir_failures_total", resource_type="Condition", kind=kind) == 1


def test_no_card_where_conditions_are_not_offered(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    script = {"Patient/1": person(), "Condition": Answer(outcome(), 404), "metadata": statement("Patient")}
    with serving(script) as server:
        client = make_app(log, service__fhir_servers=(server.base,)).test_client()
        assert client.post(SERVICE, json=with_scope(server.base, None)).get_json() == {"cards": []}
    assert log[-1]["data"] == {"Condition": "not-offered"}
    assert log[-1]["why"] == {"Condition": "not in the server's CapabilityStatement"}


@pytest.mark.proves("checklist:15")
def test_the_card_says_which_data_the_scope_leaves_out_and_whom_to_ask(client: FlaskClient) -> None:
    script = served("AV-01")
    patient = next(key for key in script if key.startswith("Patient/")).removeprefix("Patient/")
    scope = "patient/Patient.r patient/Condition.rs patient/*.s?category=laboratory patient/Observation.cud"
    with serving({**script, **NO_STATEMENT}) as server:
        body = with_scope(server.base, scope)
        body["context"]["patientId"] = patient
        (card,) = client.post(SERVICE, json=body).get_json()["cards"]
    (line,) = [line for line in card["detail"].splitlines() if "Data not obtained" in line]
    assert "(scope granted for a part only)" in line
    assert line.endswith("look these up in the chart; access is the administrator's to grant")


def served(name: str) -> dict[str, Any]:
    by_type: dict[str, list[dict[str, Any]]] = {}
    for resource in resources(vignette_bundle(name)):
        by_type.setdefault(resource["resourceType"], []).append(resource)
    (patient,) = by_type.pop("Patient")
    script: dict[str, Any] = {kind: bundle(*found) for kind, found in by_type.items()}
    return {f"Patient/{patient['id']}": patient, **script}


@pytest.mark.parametrize(
    ("answer", "scope", "said"),
    [
        (
            Answer(outcome(), 404),
            None,
            "(HTTP 404). Check the id and the base address, for the FHIR server has no",
        ),
        (Answer(outcome(), 401), None, "(HTTP 401). Send an access token that is valid now"),
        (Answer(outcome(), 403), None, "Have patient/Patient.r granted, for the server does not let"),
        (Answer("", 503, {"Retry-After": "60"}), None, "(HTTP 503). Try again, and see the server's log"),
        (Answer(person("2")), None, "for what came is not the Patient that was asked for"),
        (Answer(person()), "patient/Condition.rs", "(scope not granted). Have patient/Patient.r granted in"),
    ],
)
@pytest.mark.proves("checklist:19")
def test_a_412_says_why_and_what_to_do(
    client: FlaskClient, answer: Answer, scope: str | None, said: str
) -> None:
    with serving({"Patient/1": answer, "Condition": bundle(als()), **NO_STATEMENT}) as server:
        response = client.post(SERVICE, json=with_scope(server.base, scope))
        assert bool(server.asked("Patient/1")) is (scope is None)
    assert response.status_code == 412
    (issue,) = response.get_json()["issue"]
    assert issue["code"] == "incomplete"
    assert said in issue["diagnostics"]
    assert issue["diagnostics"].endswith(
        "Send it as prefetch, or name a fhirServer (and fhirAuthorization) that has it."
    )
    assert "token-canary" not in response.text
    assert "127.0.0.1" not in response.text


def test_an_assessment_warns_of_each_reason_once(client: FlaskClient) -> None:
    record = vignette_bundle("AV-01")
    record = {**record, "type": "searchset", "link": [{"relation": "next", "url": NEXT}]}
    answer = client.post("/assessments?trial=nct02917681", json=record).get_json()
    said = [w for w in answer["warnings"] if "for want of" in w]
    (warning,) = said
    assert "obtained in part (a further page is missing)." in warning
    assert "export " in warning
    lost = [r for r in answer["criteria"] if "retrieval-failed" in r["reasons"]]
    assert f". {len(lost)} criteria are unknown for want of them: " in warning


def test_what_is_sent_as_prefetch_needs_no_scope(client: FlaskClient) -> None:
    with serving({}) as server:
        body = with_scope(server.base, "patient/Observation.rs")
        body["prefetch"] = {"patient": person(), "condition": searchset(als())}
        (card,) = client.post(SERVICE, json=body).get_json()["cards"]
        assert "Condition" not in {r.path for r in server.requests}
    assert "amyotrophic" in card["detail"]
