"""Canaries: marked names, identifiers, tokens and values, planted wherever a request, a FHIR server or an error can
carry some. None may be found where people or machines read what was not meant for them: the log, the metrics, the body
of an error, the headers of any answer, the URLs that the service asks for (but for the patient's id, as FHIR has it).

Each canary names the place where it was planted, so that a failure says where the leak begins.
"""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask import Flask
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm
from sqlalchemy.exc import IntegrityError
from werkzeug.test import TestResponse

from cds_service.app import create_app
from cds_service.errors import EvaluationError
from cds_service.logs import LibraryLog, json_log
from cds_service.screening import Screener
from cds_service.settings import ClientSettings, Settings
from tests.contract.hook_requests import (
    SERVICE,
    TRIAL,
    als,
    hook_request,
    person,
    resources,
    searchset,
    vignette_bundle,
)
from tests.support.audit import repository
from tests.unit.records_io.scripted_server import Answer, Script, bundle, outcome, serving

# Found in any case and spelling: in a URL, in JSON, in HTML.
MARK = "canary"
UUID = "cafeca4a-0000-4000-8000-00000ca4a4a4"
NUMBER = 98765.4321


def canary(place: str) -> str:
    return f"Canary-{place}"


def leaks(text: str) -> list[str]:
    """What of the canaries a text repeats."""
    lowered = text.lower()
    found = [lowered[max(0, at - 60) : at + 60] for at in _places(lowered, MARK)]
    return found + [mark for mark in (UUID, str(NUMBER)) if mark in lowered]


def _places(text: str, mark: str) -> Iterator[int]:
    at = text.find(mark)
    while at >= 0:
        yield at
        at = text.find(mark, at + 1)


@dataclass
class Watched:
    """An application of which everything is kept that it tells others than the caller."""

    app: Flask
    log: io.StringIO
    answers: list[TestResponse] = field(default_factory=list)

    @property
    def client(self) -> FlaskClient:
        return self.app.test_client()

    def post(self, path: str, body: Any = None, *, raw: bytes | None = None, **headers: str) -> TestResponse:
        if raw is None:
            raw = json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.kept(
            self.client.post(path, data=raw, headers={"Content-Type": "application/json", **named})
        )

    def kept(self, answer: TestResponse) -> TestResponse:
        self.answers.append(answer)
        return answer

    def told(self) -> str:
        """Log, metrics, bodies of errors, and every header."""
        parts = [self.log.getvalue(), self.client.get("/metrics").text]
        for answer in self.answers:
            parts.append(str(answer.headers))
            if answer.status_code >= 400:
                parts.append(answer.text)
        return "\n".join(parts)

    def check(self) -> None:
        assert leaks(self.told()) == []
        assert "Traceback" not in self.told()


Watch = Callable[..., Watched]


@pytest.fixture
def watch(screener: Screener, capfd: pytest.CaptureFixture[str]) -> Iterator[Watch]:
    """Makes an application whose log, and that of all libraries as `serve` sets it up, is kept. What is printed past
    the log is looked through too.
    """
    made: list[Watched] = []
    handlers, level = logging.root.handlers[:], logging.root.level

    def make(clients: tuple[ClientSettings, ...] = (), **changes: Any) -> Watched:
        settings = replace(Settings(), clients=clients)
        given = {"service__database_url": "sqlite://", **changes}
        base_url = given.pop("base_url", None)
        for place, value in given.items():
            table, _, key = place.partition("__")
            settings = replace(settings, **{table: replace(getattr(settings, table), **{key: value})})
        out = io.StringIO()
        app = create_app(settings, screener=screener, base_url=base_url, log=json_log(out))
        logging.root.handlers[:] = [LibraryLog(json_log(out))]
        logging.root.setLevel(logging.DEBUG)
        made.append(Watched(app, out))
        return made[-1]

    yield make
    logging.root.handlers[:] = handlers
    logging.root.setLevel(level)
    for watched in made:
        service = watched.app.extensions["cds_service"]
        service.transport.close()
        service.store.close()
        if service.audit is not None:
            service.audit.close()
    printed = capfd.readouterr()
    assert leaks(printed.out + printed.err) == []


def marked_person(patient_id: str = "1") -> dict[str, Any]:
    """A Patient with a canary in every part."""
    return person(
        patient_id,
        identifier=[{"system": f"urn:{canary('system')}", "value": canary("identifier")}],
        name=[{"text": canary("name"), "family": canary("family"), "given": [canary("given")]}],
        telecom=[{"value": canary("phone")}],
        address=[{"text": canary("address"), "city": canary("city")}],
        text={"status": "generated", "div": f"<div>{canary('narrative')}</div>"},
        extension=[{"url": f"urn:{canary('extension')}", "valueString": canary("value")}],
        **{canary("key"): canary("unknown")},
    )


def marked_chart() -> list[dict[str, Any]]:
    """Resources that are read and evaluated, with canaries in texts, ids, references, dates, units and values."""
    coding = {"system": "http://loinc.org", "code": "19868-9", "display": canary("display")}
    subject = {"reference": "Patient/1", "display": canary("subject")}
    return [
        als(
            "c1",
            note=[{"text": canary("note")}],
            recorder={"reference": f"Practitioner/{canary('recorder')}"},
        ),
        {**als(canary("id")), "onsetDateTime": canary("onset"), "code": {"text": canary("code-text")}},
        {
            "resourceType": "Observation",
            "id": canary("observation"),
            "status": "final",
            "subject": subject,
            "code": {"coding": [coding], "text": canary("text")},
            "effectiveDateTime": canary("date"),
            "valueQuantity": {"value": NUMBER, "unit": canary("unit"), "code": canary("ucum")},
        },
        {
            "resourceType": "Observation",
            "id": "o2",
            "status": canary("status"),
            "subject": subject,
            "code": {"coding": [{**coding, "code": canary("code")}]},
            "valueString": canary("string"),
            "component": [{"code": canary("shape")}],
        },
        {
            "resourceType": "MedicationStatement",
            "id": "m1",
            "status": "active",
            "subject": subject,
            "medicationCodeableConcept": {"text": canary("drug")},
            "effectivePeriod": {"start": canary("start"), "end": 5},
            "dosage": [{"text": canary("dosage")}],
        },
    ]


def key_of(kind: str) -> str:
    return kind[0].lower() + kind[1:]


# Requests


CONTEXT = {
    "userId": f"Practitioner/{canary('user')}",
    "patientId": canary("patient"),
    "encounterId": canary("encounter"),
}
SPOILED: dict[str, Any] = {
    "hook": {"hook": canary("hook")},
    "hook instance": {"hookInstance": canary("instance")},
    "context": {"context": canary("context")},
    "user": {"context": {**CONTEXT, "userId": canary("user")}},
    "patient": {"context": {**CONTEXT, "patientId": f"Patient/{canary('patient')}"}},
    "encounter": {"context": {**CONTEXT, "encounterId": [canary("encounter")]}},
    "server": {"fhirServer": canary("server")},
    "server that is not allowed": {
        "fhirServer": f"https://{MARK}:{MARK}@{MARK}.example/{MARK}?{MARK}#{MARK}"
    },
    "server of another scheme": {"fhirServer": f"file:///{MARK}"},
    "authorization": {"fhirServer": "http://localhost:9/f", "fhirAuthorization": canary("authorization")},
    "token": {
        "fhirServer": "http://localhost:9/f",
        "fhirAuthorization": {"access_token": f"{MARK}\r\nX: {MARK}"},
    },
    "token type": {
        "fhirServer": "http://localhost:9/f",
        "fhirAuthorization": {"access_token": canary("token"), "token_type": canary("type")},
    },
    "scope": {
        "fhirServer": "http://localhost:9/f",
        "fhirAuthorization": {"access_token": canary("token"), "scope": [canary("scope")]},
    },
    "server that is not there": {
        "fhirServer": f"http://localhost:9/{MARK}",
        "fhirAuthorization": {
            "access_token": canary("token"),
            "token_type": "Bearer",
            "scope": f"patient/{MARK}.read",
            "subject": canary("subject"),
        },
    },
    "prefetch": {"prefetch": [canary("prefetch")]},
    "prefetch key": {"prefetch": {canary("key"): canary("value")}},
    "prefetched text": {"prefetch": {"patient": canary("patient")}},
    "prefetched resource": {"prefetch": {"patient": {"resourceType": canary("type"), "id": canary("id")}}},
    "prefetched outcome": {
        "prefetch": {
            "patient": {
                "resourceType": "OperationOutcome",
                "issue": [
                    {"severity": "error", "code": canary("code"), "diagnostics": canary("diagnostics")}
                ],
            }
        }
    },
    "another patient": {"prefetch": {"patient": marked_person(canary("other")), "condition": None}},
    "unknown fields": {canary("field"): {canary("key"): canary("value")}, "prefetch": {}},
}


@pytest.mark.parametrize("name", SPOILED)
def test_requests_that_are_refused(watch: Watch, name: str) -> None:
    watched = watch()
    body = {**hook_request(), "context": CONTEXT, **SPOILED[name]}
    assert watched.post(SERVICE, body).status_code >= 400
    watched.check()


RAW = {
    "broken": f'{{"hook": "{MARK}'.encode(),
    "broken after a value": f'{{"hook": "{MARK}"}} {MARK}'.encode(),
    "a number too large": f'{{"{MARK}": 1e999}}'.encode(),
    "not UTF-8": f'{{"{MARK}": "'.encode() + b'\xff"}',
    "a text": f'"{MARK}"'.encode(),
    "a list": f'["{MARK}"]'.encode(),
    "nested": f'{{"{MARK}": '.encode() * 2000,
    "the same key twice": f'{{"{MARK}": 1, "{MARK}": 2}}'.encode(),
    "no JSON at all": f"<{MARK}/>".encode(),
}


@pytest.mark.parametrize("path", [SERVICE, f"{SERVICE}/feedback", "/assessments"])
@pytest.mark.parametrize("name", RAW)
def test_bodies_that_are_no_json(watch: Watch, path: str, name: str) -> None:
    watched = watch()
    assert watched.post(path, raw=RAW[name]).status_code == 400
    watched.check()


HEADERS = (
    "X-Request-Id",
    "X-Correlation-Id",
    "traceparent",
    "tracestate",
    "baggage",
    "User-Agent",
    "Referer",
    "Cookie",
    "Origin",
    "Accept",
    "Accept-Language",
    "Authorization",
    "From",
    "If-None-Match",
    "X-Canary",
    "Access-Control-Request-Headers",
    "Access-Control-Request-Method",
    "Content-Encoding",
    "Content-Type",
)


@pytest.mark.parametrize("header", HEADERS)
def test_headers_of_requests(watch: Watch, header: str) -> None:
    watched = watch()
    value = canary("header")
    for method, path in (
        ("GET", "/cds-services"),
        ("GET", f"/trials/{TRIAL}"),
        ("OPTIONS", SERVICE),
        ("GET", "/x"),
    ):
        watched.kept(watched.client.open(path, method=method, headers={header: value}))
    watched.kept(
        watched.client.post(
            SERVICE,
            data=json.dumps(hook_request()),
            headers={"Content-Type": "application/json", header: value},
        )
    )
    watched.check()


@pytest.mark.parametrize(
    "host", [canary("host"), f"localhost:{MARK}", f"{MARK}@localhost", "canary.example:80"]
)
def test_the_host_of_requests(watch: Watch, host: str) -> None:
    watched = watch()
    for path in ("/cds-services", "/trials/", "/nowhere"):
        watched.kept(watched.client.get(path, headers={"Host": host}))
    watched.kept(watched.client.get("/cds-services", headers={"X-Forwarded-For": canary("forwarded")}))
    watched.check()


@pytest.mark.parametrize(
    "path",
    [
        f"/{MARK}",
        f"/{MARK}/",
        f"/trials/{MARK}",
        f"/cds-services/{MARK}",
        f"/cds-services/{MARK}/feedback",
        f"/cds-services/trial-{MARK}",
        f"/cds-services/%0d%0aX:{MARK}",
        f"/cds-services//{MARK}",
        f"/assessments?patient={MARK}",
        f"/assessments?{MARK}=1",
        f"/assessments?trial={MARK}",
        f"/assessments?asOf={MARK}",
        f"{SERVICE}?patient={MARK}",
        f"/metrics?{MARK}={MARK}",
        f"/readyz/{MARK}",
        f"/openapi.json?{MARK}",
        f"//{MARK}",
        f"/%ff{MARK}",
    ],
)
def test_addresses(watch: Watch, path: str) -> None:
    watched = watch()
    for method in ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"):
        body = json.dumps(hook_request()) if method in ("POST", "PUT") else None
        watched.kept(watched.client.open(path, method=method, data=body, content_type="application/json"))
    watched.check()


FEEDBACK: dict[str, Any] = {
    "card": {"card": 5, "x": canary("x")},
    "outcome": {"outcome": canary("outcome")},
    "timestamp": {"outcomeTimestamp": canary("timestamp")},
    "suggestion": {"outcome": "accepted", "acceptedSuggestions": [{"id": {canary("id"): 1}}]},
    "reason": {"overrideReason": {"reason": canary("reason")}},
    "code": {"overrideReason": {"reason": {"code": [canary("code")], "system": canary("system")}}},
    "comment": {"overrideReason": {"userComment": [canary("comment")]}},
    "all well": {
        "card": canary("card"),
        "overrideReason": {
            "reason": {"code": canary("code"), "system": canary("system"), "display": canary("display")},
            "userComment": canary("comment"),
        },
    },
}


@pytest.mark.parametrize("name", FEEDBACK)
def test_feedback(watch: Watch, name: str) -> None:
    watched = watch()
    entry = {
        "card": UUID,
        "outcome": "overridden",
        "outcomeTimestamp": "2026-06-15T10:00:00Z",
        **FEEDBACK[name],
    }
    answer = watched.post(f"{SERVICE}/feedback", {"feedback": [entry]})
    assert answer.status_code == (200 if name == "all well" else 400)
    watched.check()


# A whole chart, evaluated


def test_a_chart_by_prefetch(watch: Watch) -> None:
    watched = watch()
    prefetch: dict[str, Any] = {"patient": marked_person()}
    for kind in ("Condition", "Observation", "MedicationStatement"):
        prefetch[key_of(kind)] = searchset(*(r for r in marked_chart() if r["resourceType"] == kind))
    body = hook_request(prefetch=prefetch, hookInstance=UUID)
    body["context"]["encounterId"] = canary("encounter")
    body["context"]["userId"] = f"Practitioner/{canary('user')}"
    answer = watched.post(SERVICE, body)
    assert answer.status_code == 200
    assert answer.get_json()["cards"], "the chart was evaluated"
    watched.check()


def test_a_chart_as_a_bundle(watch: Watch) -> None:
    watched = watch()
    chart = [marked_person(), *marked_chart()]
    entries = [{"fullUrl": f"http://{MARK}.example/{MARK}/{r['id']}", "resource": r} for r in chart]
    whole = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert watched.post("/assessments", whole).status_code == 200
    named = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "bundle", "resource": whole},
            {"name": "patient", "valueString": canary("patient")},
        ],
    }
    assert watched.post("/assessments", named).status_code == 400
    named["parameter"] = [{"name": canary("parameter")}]
    assert watched.post("/assessments", named).status_code == 400
    for spoiled in (
        {"entry": canary("entry")},
        {"entry": [{"resource": canary("resource")}]},
        {"type": canary("type")},
    ):
        watched.post("/assessments", {**whole, **spoiled})
    two = {**whole, "entry": [*entries, {"resource": marked_person(canary("second"))}]}
    assert watched.post("/assessments", two).status_code == 400
    watched.check()


# FHIR servers


TOKEN = canary("access-token")
LINK = f"http://{MARK}.example/{MARK}"
SERVERS: dict[str, Script] = {
    "a chart": {
        "Patient/1": marked_person(),
        "Condition": bundle(*(r for r in marked_chart() if r["resourceType"] == "Condition")),
        "Observation": bundle(*(r for r in marked_chart() if r["resourceType"] == "Observation")),
        "MedicationStatement": bundle(
            *(r for r in marked_chart() if r["resourceType"] == "MedicationStatement")
        ),
    },
    "an error for the Patient": {"Patient/1": Answer({**outcome(), "text": canary("outcome")}, status=500)},
    "an error page": {
        "Patient/1": Answer(f"<h1>{MARK}</h1>", status=502, headers={"Content-Type": f"text/{MARK}"})
    },
    "a redirect": {"Patient/1": Answer("", status=302, headers={"Location": LINK})},
    "a challenge": {
        "Patient/1": Answer("", status=401, headers={"WWW-Authenticate": f'Bearer realm="{MARK}"'})
    },
    "broken JSON": {"Patient/1": Answer(f'{{"{MARK}": ')},
    "another resource": {"Patient/1": {"resourceType": canary("type"), "id": canary("id")}},
    "another patient": {"Patient/1": marked_person(canary("other"))},
    "a broken length": {"Patient/1": Answer(marked_person(), headers={"X-A": MARK}, cut=20)},
    "a strange header": {
        "Patient/1": Answer(marked_person(), headers={"Set-Cookie": f"{MARK}={MARK}", "Retry-After": MARK})
    },
    "failing searches": {
        "Patient/1": marked_person(),
        "Condition": bundle(als()),
        "Observation": Answer({**outcome(), "text": canary("outcome")}, status=400),
        "Procedure": Answer(f"{MARK}", status=503, headers={"Retry-After": MARK}),
        "MedicationRequest": Answer("", status=307, headers={"Location": LINK}),
        "metadata": Answer(f"<{MARK}>"),
    },
    "links that lead elsewhere": {
        "Patient/1": marked_person(),
        "Condition": bundle(als(), next_url=LINK),
        "Observation": bundle(next_url=f"ftp://{MARK}"),
    },
    "pages that never end": {
        "Patient/1": marked_person(),
        "Condition": bundle(als()),
        "Observation": {**bundle(), "total": canary("total"), "link": [{"relation": "next", "url": 5}]},
    },
    "outcomes among the results": {
        "Patient/1": marked_person(),
        "Condition": bundle(
            als(),
            {
                "resourceType": "OperationOutcome",
                "issue": [
                    {"severity": "warning", "code": canary("code"), "details": {"text": canary("details")}}
                ],
            },
        ),
    },
}


@pytest.mark.parametrize("name", SERVERS)
def test_fhir_servers(watch: Watch, name: str) -> None:
    with serving(SERVERS[name]) as server:
        watched = watch(service__fhir_servers=(server.base,))
        body = hook_request(
            fhirServer=server.base,
            fhirAuthorization={
                "access_token": TOKEN,
                "token_type": "Bearer",
                "scope": "patient/*.read",
                "subject": MARK,
            },
        )
        body["context"]["encounterId"] = canary("encounter")
        answer = watched.post(SERVICE, body)
        assert answer.status_code in (200, 412)
        watched.check()
        asked = [request for request in server.requests if leaks(f"{request.path} {request.query}")]
    assert asked == [], "no URL of this service carries what it learned"
    assert all(request.headers.get("Authorization") == f"Bearer {TOKEN}" for request in server.requests)


def test_the_id_of_the_patient_goes_to_the_fhir_server_only(watch: Watch) -> None:
    with serving(
        {f"Patient/{MARK}": marked_person(MARK), "Condition": bundle(als(patient_id=MARK))}
    ) as server:
        watched = watch(service__fhir_servers=(server.base,))
        assert watched.post(SERVICE, hook_request(MARK, fhirServer=server.base)).status_code == 200
        assert server.asked(f"Patient/{MARK}")
        watched.check()


# Errors inside


class Broken:
    """A part of the service that fails with what it was given."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def __getattr__(self, name: str) -> Any:
        raise self._error


ERRORS: dict[str, Exception] = {
    "a value": ValueError(canary("value")),
    "a key": KeyError(canary("key")),
    "Unicode": UnicodeDecodeError("utf-8", MARK.encode(), 0, 1, canary("reason")),
    "a database": IntegrityError(
        f"INSERT {MARK}", {"jti": canary("jti")}, sqlite3.IntegrityError(canary("row"))
    ),
    "an evaluation": EvaluationError(canary("evaluation"), library="L", define="D"),
    "recursion": RecursionError(canary("recursion")),
    "no memory": MemoryError(canary("memory")),
    "a system": OSError(2, canary("strerror"), canary("file")),
}


@pytest.mark.parametrize("part", ["screener", "store", "transport", "orders", "trials"])
@pytest.mark.parametrize("name", ERRORS)
def test_errors_inside(watch: Watch, part: str, name: str) -> None:
    watched = watch()
    service = watched.app.extensions["cds_service"]
    kept = getattr(service, part)
    object.__setattr__(service, part, Broken(ERRORS[name]))
    try:
        chart = {"patient": marked_person(), "condition": searchset(als())}
        watched.post(SERVICE, hook_request(prefetch=chart))
        watched.post(SERVICE, hook_request(fhirServer="http://localhost:9/fhir"))
        watched.post("/assessments", vignette_bundle("AV-01"))
        entry = {"card": UUID, "outcome": "overridden", "outcomeTimestamp": "2026-06-15T10:00:00Z"}
        watched.post(f"{SERVICE}/feedback", {"feedback": [entry]})
        watched.kept(watched.client.get("/readyz"))
        assert max(answer.status_code for answer in watched.answers) >= 400
    finally:
        object.__setattr__(service, part, kept)
    watched.check()


def test_a_define_that_fails_is_logged_by_place_alone(watch: Watch) -> None:
    watched = watch()
    service = watched.app.extensions["cds_service"]
    real = service.screener

    class Failing:
        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

        def screen(self, *given: Any) -> list[Any]:
            failure = EvaluationError(
                canary("message"), library="L", define="D", local_id="7", locator="1:1-2:2"
            )
            return [replace(assessment, failures=(failure,)) for assessment in real.screen(*given)]

    object.__setattr__(service, "screener", Failing())
    assert watched.post("/assessments", vignette_bundle("AV-01")).status_code == 200
    failed, assessed = [json.loads(line) for line in watched.log.getvalue().splitlines()][-2:]
    assert failed["event"] == "criterion-failed"
    assert (failed["library"], failed["define"], failed["locator"]) == ("L", "D", "1:1-2:2")
    assert failed["request"] == assessed["request"]
    watched.check()


# Tokens of clients, audit


def test_tokens_of_clients(watch: Watch, tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP384R1())
    public = {**json.loads(ECAlgorithm.to_jwk(key.public_key())), "kid": "k", "alg": "ES384"}
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [public]}))
    watched = watch(
        (ClientSettings("hospital-a", "https://ehr.example.org", jwks_file=path),),
        base_url="https://cds.example.org",
    )
    claims = {
        "iss": "https://ehr.example.org",
        "aud": "https://cds.example.org" + SERVICE,
        "sub": canary("sub"),
    }
    good = jwt.encode({**claims, "jti": canary("jti")}, key, "ES384", headers={"kid": "k"})
    tokens = [
        canary("token"),
        f"{MARK}.{MARK}.{MARK}",
        good,
        jwt.encode({**claims, "iss": canary("iss")}, key, "ES384", headers={"kid": canary("kid")}),
        jwt.encode(
            {**claims, "aud": canary("aud"), "exp": canary("exp")}, key, "ES384", headers={"kid": "k"}
        ),
        jwt.encode(claims, key, "ES384", headers={"kid": "k", "jku": f"https://{MARK}.example", "x5u": MARK}),
        jwt.encode({**claims, "tenant": canary("tenant")}, "x" * 64, "HS384", headers={"kid": "k"}),
    ]
    for token in tokens:
        answer = watched.post(SERVICE, hook_request(), Authorization=f"Bearer {token}")
        assert answer.status_code == 401
        assert token[-20:] not in watched.told()
    watched.check()


def test_an_audit_server_that_answers_with_errors(watch: Watch, tmp_path: Path) -> None:
    tried: list[Any] = []

    def refuse(event: dict[str, Any]) -> int:
        tried.append(event)
        return 422

    with repository(refuse) as server:
        watched = watch(audit__sink=server.base, audit__spool_dir=tmp_path / "spool")
        body = hook_request(MARK, prefetch={"patient": marked_person(MARK), "condition": None})
        body["context"]["userId"] = f"Practitioner/{canary('user')}"
        assert watched.post(SERVICE, body).status_code == 200
        with server.came:
            assert server.came.wait_for(lambda: bool(tried), 30)
        watched.app.extensions["cds_service"].audit.close()
        watched.check()
    assert leaks(json.dumps(tried)), "the audit does name the patient"


def test_the_canaries_would_be_found() -> None:
    assert leaks(f"x {canary('place')} y")
    assert leaks(f"{NUMBER}")
    assert leaks(UUID.upper())
    assert not leaks("nothing of the kind")
    try:
        raise ValueError(canary("message"))
    except ValueError:
        assert leaks(traceback.format_exc())
    assert resources(vignette_bundle("AV-01"))
