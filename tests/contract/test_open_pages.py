"""Discovery, trial page, OpenAPI document, health, CORS, and who is let in without configured clients."""

from __future__ import annotations

import re
from typing import Any

import pytest
from flask.testing import FlaskClient
from openapi_spec_validator import validate

from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, hook_request, person

_TOKEN = re.compile(r"\{\{.*?\}\}")


@pytest.mark.parametrize("mode", ["gate", "full"])
def test_discovery_offers_one_service_a_trial_and_one_for_all(make_app: Make, mode: str) -> None:
    response = make_app(service__prefetch=mode).test_client().get("/cds-services")
    assert response.status_code == 200
    services = response.get_json()["services"]
    assert [s["id"] for s in services] == ["trial-nct02917681", "trial-eligibility"]
    for service in services:
        assert service["hook"] == "patient-view"
        assert service["title"]
        assert service["description"]
        prefetch = service["prefetch"]
        assert prefetch["patient"] == "Patient/{{context.patientId}}"
        assert prefetch["condition"].startswith("Condition?patient={{context.patientId}}")
        assert len(set(prefetch.values())) == len(prefetch)
        assert all(_TOKEN.findall(t) == ["{{context.patientId}}"] for t in prefetch.values())
        assert ("observation" in prefetch) is (mode == "full")
        assert not re.search(r"Medication\?|ResearchStudy\?", " ".join(prefetch.values()))


@pytest.mark.proves("checklist:5")
def test_the_trial_page_tells_everything_a_reader_needs(client: FlaskClient) -> None:
    response = client.get("/trials/nct02917681", headers={"Accept": "text/html,*/*;q=0.8"})
    assert response.status_code == 200
    assert response.mimetype == "text/html"
    page = response.text
    trial = client.application.extensions["cds_service"].trials["nct02917681"]
    assert "Registry status UNKNOWN, last verified 2016" in page
    assert all(site.name in page for site in trial.sites)
    assert all(contact.name in page for contact in trial.contacts)
    for criterion in trial.criteria:
        assert f'id="{criterion.id}"' in page
    assert page.count('class="source"') >= len(trial.criteria)
    assert "<script" not in page
    assert "default-src 'none'" in response.headers["Content-Security-Policy"]


@pytest.mark.parametrize(
    ("accept", "mimetype"),
    [
        ("application/json", "application/json"),
        ("text/html", "text/html"),
        ("*/*", "text/html"),
        ("application/json, text/html;q=0.5", "application/json"),
    ],
)
def test_the_trial_as_page_or_json_by_accept(client: FlaskClient, accept: str, mimetype: str) -> None:
    assert client.get("/trials/nct02917681", headers={"Accept": accept}).mimetype == mimetype


def test_the_trial_as_json_has_every_criterion_in_words(client: FlaskClient) -> None:
    shown = client.get("/trials/nct02917681", headers={"Accept": "application/json"}).get_json()
    criteria = [c for row in shown["rows"] for c in row["criteria"]]
    assert len(criteria) == 43
    assert len([row for row in shown["rows"] if row["kind"] == "inclusion"]) == 8
    assert len([row for row in shown["rows"] if row["kind"] == "exclusion"]) == 16
    assert all(c["text"] and c["computedFrom"] and c["label"] for c in criteria)
    assert shown["registry"]["warning"].startswith("Registry status UNKNOWN")


def test_an_unknown_trial_is_a_404(client: FlaskClient) -> None:
    response = client.get("/trials/nct00000000")
    assert response.status_code == 404
    assert response.get_json()["resourceType"] == "OperationOutcome"


def test_the_openapi_document_is_valid_and_complete(client: FlaskClient) -> None:
    document = client.get("/openapi.json").get_json()
    assert document["openapi"].startswith("3.1")
    validate(document)
    served = {
        re.sub(r"<[^>]+>", "{id}", rule.rule)
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint.startswith(("hooks.", "pages.", "health."))
    }
    assert set(document["paths"]) == served


def test_answers_fit_the_openapi_document(client: FlaskClient) -> None:
    import jsonschema

    from tests.contract.hook_requests import vignette_bundle, vignette_request

    document = client.get("/openapi.json").get_json()
    types = client.application.extensions["cds_service"].screener.wanted(None).types
    answers = {
        "Discovery": client.get("/cds-services"),
        "Cards": client.post(SERVICE, json=vignette_request("AV-08", types)),
        "Assessment": client.post("/assessments", json=vignette_bundle("AV-10")),
        "Trial": client.get("/trials/nct02917681", headers={"Accept": "application/json"}),
        "Health": client.get("/healthz"),
        "OperationOutcome": client.post(SERVICE, json={}),
    }
    for name, answer in answers.items():
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(answer.get_json())
    schema = {"$ref": "#/components/schemas/HookRequest", "components": document["components"]}
    jsonschema.Draft202012Validator(schema).validate(vignette_request("AV-08", types))


def test_health(client: FlaskClient) -> None:
    assert client.get("/healthz").get_json()["status"] == "ok"
    assert client.get("/readyz").get_json() == {
        "status": "ready",
        "checks": {"serving": "ok", "database": "ok", "trials": "ok"},
    }


@pytest.mark.parametrize("path", ["/cds-services", SERVICE, f"{SERVICE}/feedback"])
@pytest.mark.proves("checklist:48", "cds-hooks_2.0@208")
def test_browser_clients_may_call(client: FlaskClient, path: str) -> None:
    preflight = client.options(
        path,
        headers={
            "Origin": "https://sandbox.cds-hooks.org",
            "Access-Control-Request-Method": "POST",
            "Access-Control-Request-Headers": "content-type,authorization",
            "Access-Control-Request-Private-Network": "true",
        },
    )
    assert preflight.status_code in (200, 204)
    assert preflight.headers["Access-Control-Allow-Origin"] == "*"
    assert "POST" in preflight.headers["Access-Control-Allow-Methods"]
    assert "Authorization" in preflight.headers["Access-Control-Allow-Headers"]
    assert "Content-Type" in preflight.headers["Access-Control-Allow-Headers"]
    assert preflight.headers["Access-Control-Allow-Private-Network"] == "true"
    error = client.post(path, json={})
    assert error.headers["Access-Control-Allow-Origin"] == "*"


def test_assessments_are_not_for_pages_of_other_origins(client: FlaskClient) -> None:
    assert "Access-Control-Allow-Origin" not in client.options("/assessments").headers


def test_answers_about_patients_are_not_kept_by_caches(client: FlaskClient) -> None:
    body = hook_request(prefetch={"patient": person(), "condition": None})
    assert client.post(SERVICE, json=body).headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8000", "127.0.0.1:8000", "127.1.2.3", "[::1]:8000", "[::1]"]
)
def test_this_machine_is_let_in(client: FlaskClient, host: str) -> None:
    assert client.get("/cds-services", headers={"Host": host}).status_code == 200


OUTSIDE: list[dict[str, Any]] = [
    {"headers": {"Host": "cds.example.org"}},
    {"headers": {"Host": "localhost.evil.example"}},
    {"headers": {"Host": "192.168.1.5:8000"}},
    {"headers": {"Host": "0.0.0.0:8000"}},
    {"headers": {"Forwarded": "for=1.2.3.4"}},
    {"headers": {"X-Forwarded-For": "127.0.0.1"}},
    {"headers": {"X-Forwarded-Host": "localhost"}},
    {"headers": {"x-forwarded-proto": "https"}},
    {"environ_base": {"REMOTE_ADDR": "192.168.1.7"}},
]


@pytest.mark.parametrize("request_", OUTSIDE)
@pytest.mark.parametrize("path", ["/cds-services", "/healthz", "/assessments", "/trials/nct02917681"])
def test_anybody_else_is_refused_while_no_client_is_configured(
    client: FlaskClient, path: str, request_: dict[str, Any]
) -> None:
    response = client.get(path, **request_)
    assert response.status_code == 403
    assert "[[clients]]" in response.get_json()["issue"][0]["diagnostics"]
