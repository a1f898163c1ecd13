"""Requests, prefetch and errors as CDS Hooks asks for them, beyond what the contract tests prove."""

from __future__ import annotations

import time
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.benchmarks.records import bundle_of
from tests.conformance.shapes import OUTCOME, empties, misfits
from tests.contract.conftest import Make
from tests.contract.hook_requests import (
    SERVICE,
    als,
    hook_request,
    person,
    prefetch_of,
    resources,
    searchset,
    vignette_request,
)
from tests.unit.records_io.scripted_server import Answer, bundle, serving

NO_ALS: dict[str, Any] = {"patient": person(), "condition": None}


def with_token(server: str, **more: Any) -> dict[str, Any]:
    """A request that names a server and a token for it; a `more` that is None is left out of fhirAuthorization."""
    authorization = {
        "access_token": "token-canary",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "cds-service",
        **more,
    }
    given = {key: value for key, value in authorization.items() if value is not None}
    return hook_request(fhirServer=server, fhirAuthorization=given)


@pytest.mark.proves("checklist:15")
@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"scope": "patient/Patient.read patient/Condition.read"},
        {"scope": "patient/Patient.r patient/Condition.rs"},
        {"scope": "user/*.cruds launch openid"},
        {"token_type": "bearer"},
        {"patient": "1"},
        {"expires_in": None, "subject": None, "scope": None, "token_type": None},
    ],
)
def test_the_fields_of_fhir_authorization(client: FlaskClient, fields: dict[str, Any]) -> None:
    """What the specification requires is read, and what clients leave out is not insisted on."""
    with serving({"Patient/1": person(), "Condition": bundle()}) as server:
        response = client.post(SERVICE, json=with_token(server.base, **fields))
        assert response.get_json() == {"cards": []}
        assert sorted(r.path for r in server.requests) == ["Condition", "Patient/1"]


@pytest.mark.proves("checklist:15")
def test_what_the_scope_leaves_out_is_not_asked_for(client: FlaskClient) -> None:
    with serving({"Patient/1": person(), "Condition": bundle(als())}) as server:
        scope = "patient/Patient.rs patient/Condition.rs patient/Procedure.read"
        (card,) = client.post(SERVICE, json=with_token(server.base, scope=scope)).get_json()["cards"]
        assert {r.path for r in server.requests} == {"Patient/1", "Condition", "Procedure", "metadata"}
    assert "scope not granted" in card["detail"]


@pytest.mark.proves("checklist:15")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"patient": "2"}, 400),
        ({"patient": "2", "scope": "launch patient/Patient.r patient/Condition.rs"}, 400),
        ({"patient": "2", "scope": "user/*.read"}, 200),
        ({"patient": 5}, 400),
        ({"patient": "1"}, 200),
    ],
)
def test_a_token_for_another_patient_is_never_used(
    client: FlaskClient, fields: dict[str, Any], status: int
) -> None:
    """Searches with it would find nothing, and nothing found would pass for no data."""
    with serving({"Patient/1": person(), "Condition": bundle()}) as server:
        response = client.post(SERVICE, json=with_token(server.base, **fields))
        assert response.status_code == status
        assert bool(server.requests) is (status == 200)
    if status == 400:
        assert response.get_json()["issue"][0]["expression"] == ["fhirAuthorization.patient"]


@pytest.mark.proves("checklist:22")
def test_a_paged_prefetch_is_completed_with_the_token(client: FlaskClient) -> None:
    """The client may send the first page only; what stands on the next one counts as well."""
    with serving({"Condition": bundle(), "Patient/1": person()}) as server:
        second = f"{server.base}/page/2"
        server.script["page/2"] = bundle(als())
        server.script["Condition"] = bundle(next_url=second)
        body = with_token(server.base)
        body["prefetch"] = {"patient": person(), "condition": bundle(next_url=second)}
        assert len(client.post(SERVICE, json=body).get_json()["cards"]) == 1
        assert server.asked("page/2")
        assert all(r.headers["Authorization"] == "Bearer token-canary" for r in server.requests)


@pytest.mark.proves("checklist:22")
def test_a_paged_prefetch_without_a_server_is_no_complete_one(client: FlaskClient, screener: Any) -> None:
    body = vignette_request("AV-01", screener.wanted(None).types)
    body["prefetch"]["observation"]["link"] = [
        {"relation": "next", "url": "https://ehr.example.org/r4/page/2"}
    ]
    (card,) = client.post(SERVICE, json=body).get_json()["cards"]
    assert "Data not obtained: Observation (more pages exist)" in card["detail"]


@pytest.mark.proves("checklist:20")
def test_an_empty_searchset_is_no_data_like_null(client: FlaskClient, screener: Any) -> None:
    body = vignette_request("AV-01", screener.wanted(None).types)
    details = []
    for nothing in (None, searchset(), {"resourceType": "Bundle", "type": "searchset", "entry": []}):
        body["prefetch"]["observation"] = nothing
        (card,) = client.post(SERVICE, json=body).get_json()["cards"]
        details.append(card["detail"])
    assert details[0] == details[1] == details[2]
    assert "Data not obtained" not in details[0]


@pytest.mark.proves("checklist:21", "cds-hooks_2.0@52")
def test_an_outcome_in_prefetch_is_said_on_the_card(client: FlaskClient, screener: Any) -> None:
    body = vignette_request("AV-01", screener.wanted(None).types)
    issue = {"severity": "error", "code": "timeout", "diagnostics": "canary-4711"}
    body["prefetch"]["observation"] = {"resourceType": "OperationOutcome", "issue": [issue]}
    (card,) = client.post(SERVICE, json=body).get_json()["cards"]
    assert "Data not obtained: Observation" in card["detail"]
    assert "canary" not in card["detail"]


@pytest.mark.proves("checklist:19", "cds-hooks_2.0@54")
@pytest.mark.parametrize(
    "answer", [Answer("", 401), Answer("", 403), Answer("", 404), Answer("", 500), Answer("x")]
)
def test_412_where_the_server_does_not_give_the_patient(client: FlaskClient, answer: Answer) -> None:
    with serving({"Patient/1": answer, "Condition": bundle(als()), "metadata": Answer("", 404)}) as server:
        response = client.post(SERVICE, json=with_token(server.base))
    assert response.status_code == 412
    assert misfits(response.get_json(), OUTCOME) == []


@pytest.mark.parametrize(
    "more",
    [
        {"extension": {"com.example.timestamp": "2017-11-27T22:13:25Z"}},
        {"somethingNew": [1, 2]},
        {
            "context": {
                "userId": "PractitionerRole/a.b-c",
                "patientId": "1",
                "encounterId": "89284",
                "more": {},
            }
        },
        {"context": {"userId": "Patient/1", "patientId": "1"}},
        {"context": {"userId": "RelatedPerson/1", "patientId": "1"}},
        {"hookInstance": "D1577C69-DFBE-44AD-BA6D-3E05E953B2EA"},
    ],
)
@pytest.mark.proves("checklist:12", "checklist:49", "checklist:51", "cds-hooks_2.0@214")
def test_what_a_request_may_hold_besides(client: FlaskClient, more: dict[str, Any]) -> None:
    response = client.post(SERVICE, json=hook_request(prefetch=NO_ALS) | more)
    assert response.get_json() == {"cards": []}


ERRORS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "400": ("POST", SERVICE, {"json": {}}),
    "400 of feedback": ("POST", f"{SERVICE}/feedback", {"json": {"feedback": []}}),
    "403": ("POST", SERVICE, {"json": hook_request(fhirServer="https://elsewhere.example/fhir")}),
    "404": ("GET", "/nowhere", {}),
    "405": ("DELETE", SERVICE, {}),
    "412": ("POST", SERVICE, {"json": hook_request()}),
}


@pytest.mark.proves("checklist:2", "checklist:27", "cds-hooks_2.0@3", "cds-hooks_2.0@76")
@pytest.mark.parametrize("name", ERRORS)
def test_every_error_is_an_outcome_without_empty_parts(client: FlaskClient, name: str) -> None:
    method, path, request = ERRORS[name]
    response = client.open(path, method=method, **request)
    assert response.status_code == int(name[:3])
    assert response.mimetype == "application/fhir+json"
    assert misfits(response.get_json(), OUTCOME) == []
    assert empties(response.get_json()) == []


@pytest.mark.proves("checklist:3", "cds-hooks_2.0@27")
def test_a_chart_of_five_hundred_resources_takes_less_than_half_a_second_of_work(make_app: Make) -> None:
    """Work is the processor's time, which a busy machine leaves alone. docs/performance.md has the times on a clock."""
    client = make_app().test_client()
    chart = bundle_of(500)
    patient = next(r["id"] for r in resources(chart) if r["resourceType"] == "Patient")
    types = client.application.extensions["cds_service"].screener.wanted(None).types
    body = hook_request(patient, prefetch=prefetch_of(chart, types))
    times = []
    for _ in range(5):
        started = time.thread_time()
        assert len(client.post(SERVICE, json=body).get_json()["cards"]) == 1
        times.append(time.thread_time() - started)
    assert min(times) < 0.5
