"""What an operator sees: a line and an id for each request, metrics, readiness, and the audit of each access."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import sys
import threading
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm

from cds_service.app import create_app
from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.hooks.observed import Observation
from cds_service.hooks.service import Service
from cds_service.logs import FIELDS, LibraryLog, json_log, silent, take_over
from cds_service.screening import Screener
from cds_service.settings import ClientSettings, Settings
from tests.contract.conftest import Make, collecting
from tests.contract.hook_requests import (
    INSTANCE,
    SERVICE,
    TRIAL,
    als,
    hook_request,
    person,
    vignette_bundle,
    vignette_request,
)
from tests.support.audit import by_type, check_failure, check_success, repository
from tests.unit.records_io.scripted_server import Answer, bundle, serving
from tests.unit.test_metrics import value

OUTSIDE = {"Host": "cds.example.org", "X-Forwarded-For": "203.0.113.5"}
GATE = {"patient": person(), "condition": None}


def service_of(client: FlaskClient) -> Service:
    found: Service = client.application.extensions["cds_service"]
    return found


def scraped(client: FlaskClient) -> str:
    return client.get("/metrics").text


# Log


@pytest.mark.parametrize(
    ("method", "path", "body", "event", "status", "route"),
    [
        ("GET", "/cds-services", None, "request", 200, "/cds-services"),
        ("GET", "/healthz", None, "request", 200, "/healthz"),
        ("GET", "/nowhere/4711", None, "refused", 404, "unknown"),
        ("GET", "/trials/4711", None, "refused", 404, "/trials/<trial_id>"),
        ("PUT", "/cds-services", None, "refused", 405, "unknown"),
        ("POST", SERVICE, hook_request(prefetch=GATE), "call", 200, "/cds-services/<service_id>"),
        ("POST", SERVICE, {}, "refused", 400, "/cds-services/<service_id>"),
        ("POST", SERVICE, hook_request(), "refused", 412, "/cds-services/<service_id>"),
        ("POST", f"{SERVICE}/feedback", {}, "refused", 400, "/cds-services/<service_id>/feedback"),
        ("POST", "/assessments", vignette_bundle("AV-01"), "assessed", 200, "/assessments"),
    ],
)
def test_each_request_has_one_line_and_an_id(
    make_app: Make, method: str, path: str, body: Any, event: str, status: int, route: str
) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    log.clear()
    answer = client.open(path, method=method, json=body)
    assert answer.status_code == status
    (line,) = log
    assert line["event"] == event
    assert line["status"] == status
    assert line["route"] == route
    assert line["duration_ms"] > 0
    assert line["request"] == answer.headers["X-Request-Id"]
    assert UUID(line["request"]).version == 4


def test_the_id_of_a_request_is_not_the_callers(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    client = make_app(log).test_client()
    given = "11111111-1111-4111-8111-111111111111"
    answers = [client.get("/healthz", headers={"X-Request-Id": given}) for _ in range(2)]
    ids = {answer.headers["X-Request-Id"] for answer in answers}
    assert len(ids) == 2
    assert given not in str(log) + str(ids)


def test_a_call_tells_its_phases_and_what_could_not_be_had(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    script = {"Patient/1": person(), "Condition": bundle(als()), "Observation": Answer("x", status=500)}
    with serving(script) as server:
        client = make_app(log, service__fhir_servers=(server.base,)).test_client()
        log.clear()
        assert client.post(SERVICE, json=hook_request(fhirServer=server.base)).status_code == 200
    (line,) = log
    assert set(line["phases"]) >= {"authenticate", "parse", "gather", "evaluate", "cards"}
    assert sum(line["phases"].values()) <= line["duration_ms"] + 1
    assert line["data"] == {"Observation": "failed"}
    assert line["statuses"].keys() == {TRIAL}
    assert line["cards"] == 1


def test_time_spent_in_a_phase_within_another_counts_once() -> None:
    seen = Observation()
    with seen.phase("cards"):
        with seen.phase("store"):
            threading.Event().wait(0.05)
        with seen.phase("store"):
            threading.Event().wait(0.05)
    assert seen.phases["store"] >= 0.1
    assert seen.phases["cards"] < 0.05


def test_an_error_is_logged_by_its_place(make_app: Make) -> None:
    log: list[dict[str, Any]] = []
    app = make_app(log)

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("4711")

    object.__setattr__(app.extensions["cds_service"], "screener", Broken())
    log.clear()
    assert app.test_client().post(SERVICE, json=hook_request()).status_code == 500
    (line,) = log
    assert line["event"] == "failed"
    assert line["problem"] == "RuntimeError"
    assert re.fullmatch(r"contract/test_observability\.py:\d+:__getattr__", line["place"])


def test_a_field_that_is_not_on_the_list_is_noticed_by_the_tests(make_app: Make) -> None:
    with pytest.raises(TypeError, match="patient"):
        collecting([])("call", patient="1")


def test_the_list_of_fields_holds_no_word_for_a_person() -> None:
    assert not FIELDS & {
        "patient",
        "user",
        "name",
        "id",
        "url",
        "token",
        "address",
        "message",
        "query",
        "body",
    }


def test_what_libraries_log_and_warn_keeps_its_place_and_loses_its_words() -> None:
    out = io.StringIO()
    before = logging.root.handlers[:], logging.root.level
    hooks = threading.excepthook
    unraisable = sys.unraisablehook
    try:
        take_over(json_log(out))
        logging.getLogger("urllib3.connectionpool").warning("Retrying %s", "/fhir/Patient/4711")
        logging.getLogger("urllib3.connectionpool").info("not even this: 4711")
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("4711", stacklevel=1)
        try:
            raise ValueError("4711")
        except ValueError:
            logging.getLogger("flask").exception("Exception on /fhir/4711")
        thread = threading.Thread(target=lambda: 1 // int("0" * 4711))
        thread.start()
        thread.join()
    finally:
        logging.captureWarnings(False)
        logging.root.handlers[:], level = before
        logging.root.setLevel(level)
        threading.excepthook = hooks
        sys.unraisablehook = unraisable
    assert "4711" not in out.getvalue()
    told = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["event"] for line in told] == ["library"] * 4
    assert told[0]["logger"] == "urllib3.connectionpool"
    assert told[2]["problem"] == "ValueError"
    assert told[3]["problem"]
    assert all(line["place"] for line in told)


def test_a_message_that_is_known_is_told_in_own_words() -> None:
    out = io.StringIO()
    handler = LibraryLog(json_log(out), {"Invalid request from": "a request was no HTTP"})
    record = logging.LogRecord(
        "gunicorn", 30, "base.py", 1, "Invalid request from ip=203.0.113.5: x", (), None
    )
    handler.emit(record)
    assert json.loads(out.getvalue())["outcome"] == "a request was no HTTP"
    assert "203.0.113.5" not in out.getvalue()


# Metrics


def test_calls_are_counted_by_route_phase_verdict_and_card(client: FlaskClient) -> None:
    types = service_of(client).screener.wanted([TRIAL]).types
    for _ in range(2):
        assert client.post(SERVICE, json=vignette_request("AV-01", types)).status_code == 200
    assert client.post("/assessments", json=vignette_bundle("AV-01")).status_code == 200
    client.post(SERVICE, json={})
    client.get("/nowhere")
    text = scraped(client)
    labels = {"route": "/cds-services/<service_id>", "method": "POST"}
    assert value(text, "cds_request_seconds_count", status="200", **labels) == 2
    assert value(text, "cds_request_seconds_count", status="400", **labels) == 1
    for phase in ("authenticate", "parse", "evaluate"):
        assert value(text, "cds_phase_seconds_count", phase=phase) >= 3
    assert (
        value(text, "cds_assessments_total", trial=TRIAL, status="eligible-pending-review")
        + value(text, "cds_assessments_total", trial=TRIAL, status="unknown")
        == 3
    )
    assert value(text, "cds_verdicts_total", trial=TRIAL, criterion="H1-Condition", status="met") == 3
    assert value(text, "cds_cards_shown_total", trial=TRIAL) == 2
    assert value(text, "cds_refusals_total", kind="InputError") == 1
    assert value(text, "cds_refusals_total", kind="404") == 1
    assert value(text, "cds_requests_in_flight") == 1, "the one that asks"


def test_failures_of_a_fhir_server_are_counted_by_type_and_kind(make_app: Make) -> None:
    script = {
        "Patient/1": person(),
        "Condition": bundle(als()),
        "Observation": Answer("x", status=500),
        "Procedure": Answer("not JSON"),
        "Consent": Answer("", status=302, headers={"Location": "http://127.0.0.1:9/"}),
    }
    with serving(script) as server:
        client = make_app(service__fhir_servers=(server.base,)).test_client()
        assert client.post(SERVICE, json=hook_request(fhirServer=server.base)).status_code == 200
        text = scraped(client)
    kinds = {"Observation": "http-5xx", "Procedure": "malformed"}
    if "Consent" in service_of(client).screener.wanted([TRIAL]).types:
        kinds["Consent"] = "redirect"
    for resource_type, kind in kinds.items():
        assert value(text, "cds_fhir_failures_total", resource_type=resource_type, kind=kind) == 1
    assert "cds_fhir_failures_total{" in text
    assert text.count("cds_fhir_failures_total{") == len(kinds)


def test_a_patient_that_can_not_be_had_is_counted_too(client: FlaskClient) -> None:
    assert client.post(SERVICE, json=hook_request()).status_code == 412
    text = scraped(client)
    assert value(text, "cds_fhir_failures_total", resource_type="Patient", kind="no-server") == 1
    assert value(text, "cds_refusals_total", kind="UnobtainableError") == 1


TOKEN = "0123456789abcdef-metrics"


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "metrics-token"
    path.write_text(f"{TOKEN}\n")
    return path


@pytest.fixture
def behind_a_proxy(make_app: Make, tmp_path: Path, token_file: Path) -> FlaskClient:
    """A service with a client configured, as others than this machine reach it."""
    path = tmp_path / "jwks.json"
    public = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP384R1()).public_key()))
    path.write_text(json.dumps({"keys": [{**public, "kid": "k", "alg": "ES384"}]}))
    clients = (ClientSettings("a", "https://ehr.example.org", jwks_file=path),)
    app = make_app(
        base_url="https://cds.example.org", clients=clients, service__metrics_token_file=token_file
    )
    return app.test_client()


def test_metrics_are_for_this_machine_and_for_the_bearer_of_the_token(behind_a_proxy: FlaskClient) -> None:
    def status(headers: dict[str, str]) -> int:
        return behind_a_proxy.get("/metrics", headers=headers).status_code

    assert status({}) == 200
    assert status(OUTSIDE) == 403
    assert status({"Host": "cds.example.org"}) == 403
    assert status({"X-Forwarded-For": "203.0.113.5"}) == 403
    assert status({**OUTSIDE, "Authorization": f"Bearer {TOKEN}"}) == 200
    for wrong in (
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
        "Bearer ",
        "Bearer",
        f"Basic {TOKEN}",
        TOKEN,
        "Bearer é",
    ):
        assert status({**OUTSIDE, "Authorization": wrong}) == 403
    remote = behind_a_proxy.get("/metrics", environ_base={"REMOTE_ADDR": "203.0.113.5"})
    assert remote.status_code == 403
    assert remote.get_json()["resourceType"] == "OperationOutcome"


def test_a_page_of_another_origin_does_not_get_the_metrics(client: FlaskClient) -> None:
    answer = client.get("/metrics", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize("content", [None, "", "short", "two words that are long", "ü" * 20])
def test_a_token_file_that_can_not_be_used_stops_the_start(
    make_app: Make, tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"service\.metrics_token_file"):
        make_app(service__metrics_token_file=path)


# Health


class Lame:
    """A part of the service that is not ready, and fails when it is used."""

    def ready(self) -> bool:
        return False

    def start(self) -> None:
        pass

    def close(self) -> None:
        pass

    def record(self, _event: Any) -> None:
        raise RetryLaterError("The audit log can't be written.", retry_after=7)


def replaced(app: Flask, **parts: Any) -> FlaskClient:
    for name, part in parts.items():
        object.__setattr__(app.extensions["cds_service"], name, part)
    return app.test_client()


@pytest.mark.parametrize(
    ("part", "value_", "check"),
    [
        ("store", Lame(), "database"),
        ("draining", lambda: True, "serving"),
        ("audit", Lame(), "audit"),
        ("trials", {}, "trials"),
    ],
)
def test_readiness_names_the_check_that_failed(make_app: Make, part: str, value_: Any, check: str) -> None:
    app = make_app()
    kept = app.extensions["cds_service"].store
    client = replaced(app, **{part: value_})
    answer = client.get("/readyz")
    alive = client.get("/healthz")
    object.__setattr__(app.extensions["cds_service"], "store", kept)
    assert answer.status_code == 503
    body = answer.get_json()
    assert body["status"].startswith(f"not ready: {check}: ")
    assert [name for name, words in body["checks"].items() if words != "ok"] == [check]
    assert alive.status_code == 200, "what is not ready is not dead"


# Audit


def events(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def audit_file(tmp_path: Path) -> Path:
    return tmp_path / "audit.ndjson"


def test_each_access_is_on_record_and_nothing_else(make_app: Make, audit_file: Path) -> None:
    log: list[dict[str, Any]] = []
    app = make_app(log, audit__sink=f"file:{audit_file}")
    client = app.test_client()
    assert "settings-without-effect" not in [line["event"] for line in log]
    types = service_of(client).screener.wanted([TRIAL]).types
    request = vignette_request("AV-01", types)
    answer = client.post(SERVICE, json=request)
    assert client.post("/assessments", json=vignette_bundle("AV-01")).status_code == 200
    client.get("/cds-services")
    client.get(f"/trials/{TRIAL}")
    client.post(SERVICE, json={})
    client.post(f"{SERVICE}/feedback", json={"feedback": []})
    call, assessed = events(audit_file)
    for event in (call, assessed):
        check_success(event)
        (patient,) = by_type(event["entity"], "1")
        assert patient["what"]["identifier"]["value"] == f"Patient/{request['context']['patientId']}"
    (user,) = by_type(call["agent"], "IRCP")
    assert user["who"]["identifier"]["value"] == "Practitioner/p1"
    assert by_type(assessed["agent"], "IRCP") == []
    (transaction,) = by_type(call["entity"], "XrequestId")
    assert transaction["what"]["identifier"]["value"] == answer.headers["X-Request-Id"]


def test_no_clinical_content_and_no_token_is_in_the_record(make_app: Make, audit_file: Path) -> None:
    script = {
        "Patient/1": person(name=[{"text": "Canary Name"}]),
        "Condition": bundle(als("canary-condition")),
    }
    with serving(script) as server:
        client = make_app(
            audit__sink=f"file:{audit_file}", service__fhir_servers=(server.base,)
        ).test_client()
        body = hook_request(
            fhirServer=server.base,
            fhirAuthorization={"access_token": "canary-token", "token_type": "Bearer", "expires_in": 300},
        )
        assert client.post(SERVICE, json=body).status_code == 200
    (event,) = events(audit_file)
    check_success(event)
    assert "canary" not in json.dumps(event).lower()
    (patient,) = by_type(event["entity"], "1")
    assert patient["what"]["reference"] == f"{server.base}/Patient/1"


@pytest.mark.parametrize(
    ("body", "status", "outcome"),
    [
        (hook_request(), 412, "4"),
        (hook_request(fhirServer="https://other.example.org/fhir", prefetch=GATE), 403, "4"),
    ],
)
def test_a_refused_access_is_on_record_with_its_outcome(
    make_app: Make, audit_file: Path, body: dict[str, Any], status: int, outcome: str
) -> None:
    client = make_app(audit__sink=f"file:{audit_file}").test_client()
    answer = client.post(SERVICE, json=body)
    assert answer.status_code == status
    (event,) = events(audit_file)
    check_failure(event)
    assert event["outcome"] == outcome
    assert event["contained"][0]["issue"] == answer.get_json()["issue"]


def test_the_address_of_a_server_that_was_refused_is_not_in_the_record(
    make_app: Make, audit_file: Path
) -> None:
    client = make_app(audit__sink=f"file:{audit_file}").test_client()
    body = hook_request(fhirServer="https://canary:canary@canary.example/canary?canary", prefetch=GATE)
    assert client.post(SERVICE, json=body).status_code == 403
    (event,) = events(audit_file)
    check_failure(event)
    assert "canary" not in json.dumps(event)


def test_a_failed_access_is_on_record_without_the_words_of_the_error(
    make_app: Make, audit_file: Path
) -> None:
    app = make_app(audit__sink=f"file:{audit_file}")

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise RuntimeError("canary")

    client = replaced(app, screener=Broken())
    assert client.post(SERVICE, json=hook_request(prefetch=GATE)).status_code == 500
    (event,) = events(audit_file)
    check_failure(event)
    assert event["outcome"] == "8"
    assert "canary" not in json.dumps(event)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (SERVICE, hook_request(prefetch=GATE)),
        (SERVICE, hook_request()),
        ("/assessments", vignette_bundle("AV-01")),
    ],
)
def test_an_access_that_can_not_be_put_on_record_is_refused(make_app: Make, path: str, body: Any) -> None:
    log: list[dict[str, Any]] = []
    client = replaced(make_app(log), audit=Lame())
    answer = client.post(path, json=body)
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "7"
    assert answer.get_json().keys() == {"resourceType", "issue"}
    assert log[-1]["problem"] == "RetryLaterError"


def test_events_for_a_server_leave_beside_the_requests(make_app: Make, tmp_path: Path) -> None:
    with repository() as server:
        app = make_app(audit__sink=server.base, audit__spool_dir=tmp_path / "spool")
        client = app.test_client()
        assert client.post(SERVICE, json=hook_request(prefetch=GATE)).status_code == 200
        (event,) = server.wait_for(1)
        service_of(client).audit.close()  # type: ignore[union-attr]
        check_success(event)


def test_a_server_that_is_down_holds_up_no_call(make_app: Make, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    client = make_app(audit__sink="http://127.0.0.1:9/fhir", audit__spool_dir=spool).test_client()
    for _ in range(3):
        assert client.post(SERVICE, json=hook_request(prefetch=GATE)).status_code == 200
    assert len(list(spool.glob("*.json"))) == 3
    assert value(scraped(client), "cds_audit_events_total", result="written") == 3


def test_a_sink_that_can_not_be_used_stops_the_start(screener: Screener, tmp_path: Path) -> None:
    settings = Settings()
    settings = replace(
        settings,
        service=replace(settings.service, database_url="sqlite://"),
        audit=replace(settings.audit, sink=f"file:{tmp_path / 'nowhere' / 'audit.ndjson'}"),
    )
    with pytest.raises(ConfigurationError, match=r"audit\.sink"):
        create_app(settings, screener=screener, log=silent)


def test_the_instance_of_the_hook_is_in_the_record(make_app: Make, audit_file: Path) -> None:
    client = make_app(audit__sink=f"file:{audit_file}").test_client()
    client.post(SERVICE, json=hook_request(prefetch=GATE))
    (event,) = events(audit_file)
    (query,) = by_type(event["entity"], "2")
    assert INSTANCE in base64.b64decode(query["query"]).decode()
