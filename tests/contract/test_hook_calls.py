"""Calls of patient-view: which data are asked for, what comes back, and what bad input gets."""

from __future__ import annotations

import copy
import io
from typing import Any

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
    vignette_request,
)
from tests.unit.records_io.scripted_server import Answer, Script, bundle, outcome, serving


def status_on(card: dict[str, Any]) -> str:
    status = card["extension"]["org.cds-service.assessment"]["status"]
    assert isinstance(status, str)
    return status


def full(client: FlaskClient, name: str) -> dict[str, Any]:
    types = client.application.extensions["cds_service"].screener.wanted(None).types
    return vignette_request(name, types)


def cards(client: FlaskClient, body: dict[str, Any], service: str = SERVICE) -> list[dict[str, Any]]:
    response = client.post(service, json=body)
    assert response.status_code == 200, response.text
    found = response.get_json()
    assert set(found) == {"cards"}
    assert isinstance(found["cards"], list)
    return found["cards"]


@pytest.mark.proves("checklist:17", "cds-hooks_2.0@28")
def test_a_candidate_gets_a_card_from_prefetch_alone(client: FlaskClient) -> None:
    (card,) = cards(client, full(client, "AV-01"))
    assert "may be eligible" in card["summary"]
    assert len(card["summary"]) < 140
    assert card["indicator"] == "info"


def test_both_services_answer_alike(client: FlaskClient) -> None:
    body = full(client, "AV-03")
    (one,), (all_of_them,) = cards(client, body), cards(client, body, "/cds-services/trial-eligibility")
    assert one["summary"] == all_of_them["summary"]
    assert one["detail"] == all_of_them["detail"]


def test_hook_and_assessments_agree(client: FlaskClient) -> None:
    for name in ("AV-01", "AV-03", "AV-08", "AV-10"):
        (card,) = cards(client, full(client, name))
        assessment = client.post("/assessments", json=vignette_bundle(name)).get_json()
        assert status_on(card) == assessment["status"]


def test_an_excluded_patient_gets_no_card_unless_the_site_shows_them(make_app: Make) -> None:
    plain, shown = make_app().test_client(), make_app(cards__show_excluded=True).test_client()
    body = full(plain, "AV-06")
    assert cards(plain, body) == []
    (card,) = cards(shown, body)
    assert "not eligible" in card["summary"]


def server_of(bundle_: dict[str, Any]) -> Script:
    """A script of a server that holds a vignette's record."""
    script: Script = {}
    for resource in resources(bundle_):
        kind = resource["resourceType"]
        if kind == "Patient":
            script[f"Patient/{resource['id']}"] = resource
        else:
            script.setdefault(kind, searchset())["entry"].append({"resource": resource})
    for page in script.values():
        page.pop("total", None)
    return script


@pytest.mark.parametrize("name", ["AV-01", "AV-03", "AV-08", "AV-10"])
@pytest.mark.proves("checklist:17", "checklist:18", "cds-hooks_2.0@34", "cds-hooks_2.0@60")
def test_prefetch_fetch_and_half_of_each_agree(client: FlaskClient, name: str) -> None:
    by_prefetch = full(client, name)
    patient_id = by_prefetch["context"]["patientId"]
    with serving(server_of(vignette_bundle(name))) as server:
        by_fetch = hook_request(patient_id, fhirServer=server.base)
        half = copy.deepcopy(by_prefetch) | {"fhirServer": server.base}
        for key in list(half["prefetch"])[::2]:
            del half["prefetch"][key]
        found = [cards(client, body) for body in (by_prefetch, by_fetch, half)]
    for shown in found:
        for card in shown:
            card.pop("uuid")
            for suggestion in card.get("suggestions", ()):
                suggestion.pop("uuid")
    assert found[0] == found[1] == found[2]
    assert found[0]


def test_a_patient_without_als_costs_two_requests(client: FlaskClient) -> None:
    diabetes = als(code={"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "E11.9"}]})
    with serving({"Patient/1": person(), "Condition": bundle(diabetes)}) as server:
        assert cards(client, hook_request(fhirServer=server.base)) == []
        assert sorted(r.path for r in server.requests) == ["Condition", "Patient/1"]


@pytest.mark.parametrize(
    "patient",
    [person(deceasedBoolean=True), person(deceasedDateTime="2026-01-01")],
)
def test_the_deceased_cost_no_further_request(client: FlaskClient, patient: dict[str, Any]) -> None:
    with serving({"Patient/1": patient, "Condition": bundle(als())}) as server:
        assert cards(client, hook_request(fhirServer=server.base)) == []
        assert len(server.requests) == 2


@pytest.mark.parametrize("failure", [Answer(outcome(), 500), Answer(outcome(), 403), Answer(outcome())])
def test_no_card_and_no_further_search_where_conditions_can_not_be_got(
    make_app: Make, failure: Answer
) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    script = {"Patient/1": person(), "Condition": failure, "metadata": Answer("", 404)}
    with serving(script) as server:
        assert cards(client, hook_request(fhirServer=server.base)) == []
        assert {r.path for r in server.requests} <= {"Patient/1", "Condition", "metadata"}
    assert log[-1]["data"]["Condition"] in ("failed", "refused")


@pytest.mark.proves("checklist:18", "cds-hooks_2.0@28")
def test_what_is_in_prefetch_is_not_fetched_again(client: FlaskClient) -> None:
    prefetch = {"patient": person(), "condition": searchset(als())}
    with serving({}) as server:
        cards(client, hook_request(fhirServer=server.base, prefetch=prefetch))
        asked = {r.path for r in server.requests}
    assert "Observation" in asked
    assert asked.isdisjoint({"Patient/1", "Condition"})


@pytest.mark.proves("checklist:16", "cds-hooks_2.0@60", "cds-hooks_2.0@61")
def test_the_token_goes_on_every_request_and_nowhere_else(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    authorization = {
        "access_token": "token-canary",
        "token_type": "Bearer",
        "expires_in": 300,
        "scope": "patient/*.read",
        "subject": "x",
    }
    with serving({"Patient/1": person(), "Condition": bundle(als())}) as server:
        body = hook_request(fhirServer=server.base, fhirAuthorization=authorization)
        response = client.post(SERVICE, json=body)
        assert all(r.headers["Authorization"] == "Bearer token-canary" for r in server.requests)
    assert "token-canary" not in response.text + str(log)


def test_a_failed_observation_search_makes_unknown_and_never_eligible(client: FlaskClient) -> None:
    script = server_of(vignette_bundle("AV-01"))
    patient_id = next(key for key in script if key.startswith("Patient/")).removeprefix("Patient/")
    with serving({**script, "Observation": Answer("", 500), "metadata": Answer("", 404)}) as server:
        (card,) = cards(client, hook_request(patient_id, fhirServer=server.base))
    assert status_on(card) == "unknown"
    assert "Data not obtained: Observation (HTTP 500), needed by" in card["detail"]


@pytest.mark.proves("checklist:20")
def test_null_is_no_data_and_an_absent_key_is_not_got(client: FlaskClient) -> None:
    body = full(client, "AV-01")
    body["prefetch"]["observation"] = None
    (known_none,) = cards(client, body)
    assert "no result on record" in known_none["detail"].lower()
    del body["prefetch"]["observation"]
    (not_got,) = cards(client, body)
    assert "Data not obtained: Observation" in not_got["detail"]


BROKEN_CONDITIONS: list[tuple[str, Any]] = [
    ("an OperationOutcome", outcome()),
    ("a Bundle with an error entry", bundle(als(), outcome())),
    ("an entry that failed", {"resourceType": "Bundle", "entry": [{"response": {"status": "500"}}]}),
    ("another patient's data", searchset(als("c1", "2"))),
    ("the wrong type", person()),
    ("a text", "x"),
    ("an empty object", {}),
]


@pytest.mark.parametrize("value", [v for _, v in BROKEN_CONDITIONS], ids=[n for n, _ in BROKEN_CONDITIONS])
@pytest.mark.proves("checklist:21", "cds-hooks_2.0@52")
def test_a_broken_condition_prefetch_is_never_no_data(make_app: Make, value: Any) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    prefetch = {"patient": person(), "condition": value}
    found = cards(client, hook_request(prefetch=prefetch))
    # A Bundle with ALS in it beside an error is still evidence of ALS; anything else is not got: no card.
    assert len(found) == (1 if value == BROKEN_CONDITIONS[1][1] else 0)
    assert log[-1]["data"]["Condition"] == "failed"
    assert all(status_on(card) == "unknown" for card in found)


@pytest.mark.parametrize(
    ("patient", "status"),
    [
        (None, 412),
        (outcome(), 412),
        (person("2"), 412),
        (als(), 412),
        (searchset(), 412),
        (searchset(person()), 200),
        (person(birthDate=5, gender=["x"], name="x", address={"city": 1}), 200),
        (person(deceasedBoolean="perhaps"), 200),
    ],
)
@pytest.mark.proves("checklist:19", "cds-hooks_2.0@54")
def test_the_patient_is_needed(client: FlaskClient, patient: Any, status: int) -> None:
    prefetch = {"patient": patient, "condition": searchset(als())}
    response = client.post(SERVICE, json=hook_request(prefetch=prefetch))
    assert response.status_code == status
    if status == 412:
        (issue,) = response.get_json()["issue"]
        assert issue["severity"] == "error"
        assert "fhirServer" in issue["diagnostics"]


ODD_RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Observation"},
    {"resourceType": "Observation", "id": 5, "code": "x", "status": ["final"], "subject": "Patient/1"},
    {"resourceType": "Observation", "id": "o", "code": {"coding": "x"}, "valueQuantity": []},
    {"resourceType": "Observation", "id": "o", "code": {"coding": [None, {"code": 5}]}, "status": "final"},
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "82953-1"}]},
        "effectiveDateTime": "not a date",
        "valueInteger": "38",
    },
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://loinc.org", "code": "82953-1"}]},
        "effectiveDateTime": "2027-01-01",
        "valueInteger": 38,
    },
    {
        "resourceType": "Observation",
        "id": "o",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": {"coding": [{"system": "http://unknown.example", "code": "zzz"}]},
        "effectiveDateTime": "2026-06-01",
        "valueQuantity": {"value": 1e300, "unit": "furlong"},
    },
]


@pytest.mark.parametrize("odd", ODD_RESOURCES)
def test_odd_resources_never_make_a_candidate(client: FlaskClient, odd: dict[str, Any]) -> None:
    prefetch = {"patient": person(), "condition": searchset(als()), "observation": searchset(odd)}
    (card,) = cards(client, hook_request(prefetch=prefetch))
    assert status_on(card) == "unknown"


def changed(**changes: Any) -> dict[str, Any]:
    """A valid request with changes; None takes a field out."""
    body = hook_request(prefetch={"patient": person(), "condition": None})
    body.update(changes)
    return {key: value for key, value in body.items() if value is not None}


CONTEXT = {"userId": "Practitioner/p1", "patientId": "1"}
BAD_REQUESTS: list[tuple[str, Any, str | None]] = [
    ("a list", [], None),
    ("a text", "x", None),
    ("no hook", changed(hook=None), "hook"),
    ("another hook", changed(hook="order-select"), "hook"),
    ("hook of another type", changed(hook=5), "hook"),
    ("no hookInstance", changed(hookInstance=None), "hookInstance"),
    ("hookInstance no UUID", changed(hookInstance="abc"), "hookInstance"),
    ("no context", changed(context=None), "context"),
    ("context a list", changed(context=[]), "context"),
    ("no userId", changed(context={"patientId": "1"}), "context.userId"),
    ("bare userId", changed(context={**CONTEXT, "userId": "p1"}), "context.userId"),
    ("userId of another type", changed(context={**CONTEXT, "userId": "Device/p1"}), "context.userId"),
    ("no patientId", changed(context={"userId": "Practitioner/p1"}), "context.patientId"),
    ("Patient/x as id", changed(context={**CONTEXT, "patientId": "Patient/1"}), "context.patientId"),
    ("patientId a number", changed(context={**CONTEXT, "patientId": 1}), "context.patientId"),
    ("patientId empty", changed(context={**CONTEXT, "patientId": ""}), "context.patientId"),
    ("patientId a path", changed(context={**CONTEXT, "patientId": "../metadata"}), "context.patientId"),
    ("patientId with a query", changed(context={**CONTEXT, "patientId": "1?_x=y"}), "context.patientId"),
    ("encounterId mistyped", changed(context={**CONTEXT, "encounterId": ["e"]}), "context.encounterId"),
    ("prefetch a list", changed(prefetch=[]), "prefetch"),
    ("fhirServer no URL", changed(fhirServer="localhost"), "fhirServer"),
    ("fhirServer a number", changed(fhirServer=1), "fhirServer"),
    ("fhirServer a file", changed(fhirServer="file:///etc/passwd"), "fhirServer"),
    ("token without server", changed(fhirAuthorization={"access_token": "x"}), "fhirServer"),
    (
        "authorization a text",
        changed(fhirServer="http://localhost/f", fhirAuthorization="x"),
        "fhirAuthorization",
    ),
    (
        "authorization without token",
        changed(fhirServer="http://localhost/f", fhirAuthorization={"token_type": "Bearer"}),
        "fhirAuthorization.access_token",
    ),
    (
        "a token that is two header lines",
        changed(fhirServer="http://localhost/f", fhirAuthorization={"access_token": "a\r\nX: y"}),
        "fhirAuthorization.access_token",
    ),
    (
        "another token type",
        changed(
            fhirServer="http://localhost/f",
            fhirAuthorization={"access_token": "a", "token_type": "mac"},
        ),
        "fhirAuthorization.token_type",
    ),
    (
        "scope a list",
        changed(fhirServer="http://localhost/f", fhirAuthorization={"access_token": "a", "scope": []}),
        "fhirAuthorization.scope",
    ),
]


@pytest.mark.parametrize(
    ("body", "place"), [(b, p) for _, b, p in BAD_REQUESTS], ids=[n for n, _, _ in BAD_REQUESTS]
)
@pytest.mark.proves(
    "checklist:12", "checklist:13", "checklist:27", "checklist:49", "checklist:50", "cds-hooks_2.0@76"
)
def test_a_bad_request_says_what_where_and_what_to_do(
    client: FlaskClient, body: Any, place: str | None
) -> None:
    response = client.post(SERVICE, json=body)
    assert response.status_code == 400
    assert response.content_type == "application/fhir+json"
    outcome_ = response.get_json()
    assert outcome_["resourceType"] == "OperationOutcome"
    (issue,) = outcome_["issue"]
    assert issue["severity"] == "error"
    assert len(issue["diagnostics"]) > 20
    assert issue.get("expression") == ([place] if place else None)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"not json",
        b"{",
        b'{"hook": NaN}',
        b"\xff\xfe",
        b'{"a": "\xff"}',
        b"[" * 100_000,
        b'{"a":' * 300 + b"1" + b"}" * 300,
        b'{"a": 1} {"b": 2}',
        "é".encode("latin-1"),
    ],
)
@pytest.mark.proves("checklist:1", "cds-hooks_2.0@1")
def test_what_is_not_json_is_a_400(client: FlaskClient, raw: bytes) -> None:
    for path in (SERVICE, f"{SERVICE}/feedback", "/assessments"):
        response = client.post(path, data=raw, content_type="application/json")
        assert response.status_code == 400
        assert response.get_json()["issue"][0]["code"] == "invalid"


def test_a_body_above_the_limit_is_a_413(make_app: Make) -> None:
    client = make_app(limits__body_bytes=1000).test_client()
    stated = client.post(SERVICE, data=b" " * 1001, content_type="application/json")
    unstated = client.post(
        SERVICE,
        input_stream=io.BytesIO(b" " * 1001),
        headers={"Transfer-Encoding": "chunked"},
        environ_base={"wsgi.input_terminated": True},
    )
    for response in (stated, unstated):
        assert response.status_code == 413
        assert "limits.body_bytes" in response.get_json()["issue"][0]["diagnostics"]


def test_another_server_is_refused_and_nothing_fetched(client: FlaskClient) -> None:
    for server in ("https://ehr.example.org/fhir", "http://10.0.0.1/fhir", "http://169.254.169.254/x"):
        body = changed(fhirServer=server)
        response = client.post(SERVICE, json=body)
        assert response.status_code == 403
        assert "service.fhir_servers" in response.get_json()["issue"][0]["diagnostics"]


def test_a_listed_server_is_the_only_one(make_app: Make) -> None:
    with serving({"Patient/1": person(), "Condition": bundle()}) as server:
        client = make_app(service__fhir_servers=(server.base,)).test_client()
        assert client.post(SERVICE, json=hook_request(fhirServer=server.base)).status_code == 200
        asked = len(server.requests)
        for other in (
            f"{server.base}evil",
            server.base.replace("/fhir", "/other"),
            "http://localhost:1/fhir",
        ):
            assert client.post(SERVICE, json=hook_request(fhirServer=other)).status_code == 403
        assert len(server.requests) == asked


@pytest.mark.proves("checklist:27")
def test_an_unknown_service_is_a_404(client: FlaskClient) -> None:
    for path in ("/cds-services/trial-nct0", "/cds-services/x", "/cds-services/nct02917681", "/nowhere"):
        response = client.post(path, json=hook_request())
        assert response.status_code == 404
        assert response.get_json()["resourceType"] == "OperationOutcome"


@pytest.mark.proves("checklist:27")
def test_a_method_that_is_not_offered_is_a_405(client: FlaskClient) -> None:
    response = client.get(SERVICE)
    assert response.status_code == 405
    assert "POST" in response.headers["Allow"]
    assert response.get_json()["issue"][0]["code"] == "not-supported"


@pytest.mark.proves("checklist:27", "cds-hooks_2.0@76")
def test_an_error_of_the_service_is_a_500_without_traceback_or_message(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    app = make_app(log)

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("canary of a patient")

    object.__setattr__(app.extensions["cds_service"], "screener", Broken())
    response = app.test_client().post(SERVICE, json=hook_request())
    assert response.status_code == 500
    assert response.get_json()["issue"][0]["code"] == "exception"
    assert "canary" not in response.text + str(log)
    assert "Traceback" not in response.text
    assert log[-1]["event"] == "failed"
    assert log[-1]["problem"] == "RuntimeError"


def test_no_patient_data_in_errors_or_logs(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    canary = "canary-4711"
    patient = person(canary, name=[{"text": canary}], birthDate=canary)
    bad = {**CONTEXT, "patientId": f"Patient/{canary}"}
    texts = [
        client.post(SERVICE, json=changed(context=bad)).text,
        client.post(SERVICE, json=hook_request(canary, prefetch={})).text,
        client.post(SERVICE, json=hook_request("1", prefetch={"patient": patient})).text,
        client.post(SERVICE, data=f'{{"x": "{canary}"', content_type="application/json").text,
        client.post("/assessments", json={"resourceType": "Bundle", "entry": [{"resource": canary}]}).text,
        client.post(f"/assessments?patient={canary}", json={}).text,
        client.get(f"/trials/{canary}").text,
    ]
    client.post(SERVICE, json=hook_request(canary, prefetch={"patient": patient, "condition": None}))
    assert canary not in "".join(texts) + str(log)
