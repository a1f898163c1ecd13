"""The OpenAPI 3.1 document of the service: every address, what it takes, what it answers. Data; nothing
fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cds_service.hooks.messages import PATIENT_VIEW
from cds_service.hooks.openapi_schemas import DATE, ref, schemas

_Json = dict[str, Any]
# Each error that an operation may answer: what it means. Its body is an OperationOutcome, but for the bare 401.
_ERRORS: Final[Mapping[int, str]] = {
    400: "The body or a parameter can't be used; the outcome says what, where and what to do.",
    401: "Clients are configured and the call carries no valid token; it does not say why, and has no body.",
    403: "The caller, or the fhirServer that it names, is not allowed; nothing was fetched.",
    404: "There is nothing of that id.",
    405: "This address does not take that method.",
    412: "The Patient can't be obtained.",
    413: "The body is larger, or holds more, than the service accepts.",
    415: "The body is compressed.",
    429: "This client asked more often than it may.",
    500: "The service failed.",
    503: "The service is busy, is ending, or its database does not answer.",
}
_WAIT: Final = {
    "Retry-After": {
        "description": "Seconds after which another try makes sense.",
        "required": True,
        "schema": {"type": "integer", "minimum": 0},
    }
}
_HEADERS: Final[Mapping[int, _Json]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": {"const": "Bearer"}}},
    405: {
        "Allow": {
            "description": "The methods that this address takes.",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
    },
    429: _WAIT,
    503: _WAIT,
}
# Every address answers these; those that take a body answer more.
_ANY: Final = (403, 405, 500, 503)
_BODY: Final = (400, 401, 404, 413, 415, 429)
_EACH: Final = {
    "X-Content-Type-Options": {"required": True, "schema": {"const": "nosniff"}},
    "X-Request-Id": {"description": "By which the log names this request.", "schema": {"type": "string"}},
}
_NO_STORE: Final = {"Cache-Control": {"required": True, "schema": {"const": "no-store"}}}

_PATIENT: Final = {"resourceType": "Patient", "id": "1", "gender": "male", "birthDate": "1971-03-10"}
_ALS: Final = {
    "resourceType": "Condition",
    "id": "2",
    "subject": {"reference": "Patient/1"},
    "code": {"coding": [{"system": "http://snomed.info/sct", "code": "86044005"}]},
}
_CALL: Final = {
    "hook": PATIENT_VIEW,
    "hookInstance": "d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
    "context": {"userId": "Practitioner/3", "patientId": "1"},
    "prefetch": {
        "patient": _PATIENT,
        "condition": {"resourceType": "Bundle", "type": "searchset", "entry": [{"resource": _ALS}]},
    },
}
_WHAT_BECAME: Final = {
    "feedback": [
        {
            "card": "e91bb0a0-0f0c-4c3f-9e49-6d0c1f0f3c11",
            "outcome": "accepted",
            "outcomeTimestamp": "2026-06-15T10:00:00Z",
            "acceptedSuggestions": [{"id": "0a5d8a4c-8f9c-4d3b-8b57-6ad3d3ac10a2"}],
        }
    ]
}
_BUNDLE: Final = {
    "resourceType": "Bundle",
    "type": "collection",
    "entry": [{"resource": _PATIENT}, {"resource": _ALS}],
}
_PARAMETERS: Final = {
    "resourceType": "Parameters",
    "parameter": [{"name": "bundle", "resource": _BUNDLE}, {"name": "patient", "valueString": "1"}],
}


def openapi(
    base_url: str, version: str, service_ids: Sequence[str], trial_ids: Sequence[str], *, guarded: bool
) -> _Json:
    """The document for this service. `guarded`: clients are configured, so that calls need a bearer token."""
    security: list[dict[str, list[str]]] = [{"clientJwt": []}] if guarded else []
    service_id, trial_id = _id("A service of /cds-services.", service_ids), _id("A trial.", trial_ids)
    document: _Json = {
        "openapi": "3.1.0",
        "info": {
            "title": "Clinical trial pre-screening (CDS Hooks)",
            "version": version,
            "description": "Says in CDS Hooks cards whether a patient may be eligible for a clinical trial, why, on "
            "which evidence, and what is missing. Every error is a FHIR OperationOutcome.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": base_url}],
        "paths": {
            "/cds-services": {"get": _plain("discovery", "CDS Hooks discovery", ref("Discovery"))},
            "/cds-services/{id}": {"parameters": [service_id], "post": {**_call(), "security": security}},
            "/cds-services/{id}/feedback": {
                "parameters": [service_id],
                "post": {**_feedback(), "security": security},
            },
            "/assessments": {"post": {**_assessments(trial_ids), "security": security}},
            "/trials/{id}": {"parameters": [trial_id], "get": _trial()},
            "/openapi.json": {"get": _plain("openapi", "This document", {"type": "object"})},
            "/healthz": {"get": _plain("healthz", "Whether the process answers", ref("Health"))},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics()},
        },
        "components": {
            "schemas": schemas(),
            "responses": {f"Error{status}": _error(status) for status in _ERRORS},
        },
    }
    if guarded:
        document["components"]["securitySchemes"] = {
            "clientJwt": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "A JWT signed by a configured CDS client, as CDS Hooks describes it.",
            }
        }
    return document


def _json(schema: _Json, media: str = "application/json", example: _Json | None = None) -> _Json:
    return {media: {"schema": schema, **({"example": example} if example else {})}}


def _answer(description: str, content: _Json | None = None, headers: _Json | None = None) -> _Json:
    answer: _Json = {"description": description, "headers": {**_EACH, **(headers or {})}}
    return {**answer, "content": content} if content else answer


def _error(status: int) -> _Json:
    content = None if status == 401 else _json(ref("OperationOutcome"), "application/fhir+json")
    return _answer(_ERRORS[status], content, _HEADERS.get(status))


def _errors(*statuses: int) -> _Json:
    return {
        str(status): {"$ref": f"#/components/responses/Error{status}"}
        for status in sorted({*statuses, *_ANY})
    }


def _id(description: str, known: Sequence[str]) -> _Json:
    """An id in the path. Without any known one there is no list: an empty one would be no valid schema."""
    schema: _Json = {"type": "string", **({"enum": list(known)} if known else {})}
    return {"name": "id", "in": "path", "required": True, "description": description, "schema": schema}


def _plain(operation: str, summary: str, schema: _Json) -> _Json:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _answer(summary, _json(schema)), **_errors()},
    }


def _ready() -> _Json:
    ready = _plain("readyz", "Whether the service can take calls", ref("Readiness"))
    ready["responses"]["503"] = _answer("A check failed, and which", _json(ref("Readiness")))
    return ready


def _metrics() -> _Json:
    return {
        "operationId": "metrics",
        "summary": "Prometheus metrics, for callers on this machine or with the token of service.metrics_token_file",
        "responses": {"200": _answer("The metrics", _json({"type": "string"}, "text/plain")), **_errors(403)},
    }


def _call() -> _Json:
    return {
        "operationId": "call",
        "summary": f"Call a service on the hook {PATIENT_VIEW}",
        "requestBody": {"required": True, "content": _json(ref("HookRequest"), example=_CALL)},
        "responses": {
            "200": _answer(
                "The cards that are due; an empty list where none is", _json(ref("Cards")), _NO_STORE
            ),
            **_errors(*_BODY, 412),
        },
    }


def _feedback() -> _Json:
    return {
        "operationId": "feedback",
        "summary": "Say what became of cards; batches and repeats are accepted",
        "requestBody": {"required": True, "content": _json(ref("Feedback"), example=_WHAT_BECAME)},
        "responses": {"200": _answer("Stored"), **_errors(*_BODY)},
    }


def _assessments(trial_ids: Sequence[str]) -> _Json:
    return {
        "operationId": "assess",
        "summary": "Assess one patient's record",
        "description": "The Bundle is the whole record: a type that it lacks is complete and empty. It must hold "
        "one Patient, or Parameters must name which. No other parameter is known: the URL takes no identifier.",
        "parameters": [
            {
                "name": "trial",
                "in": "query",
                "description": "Ids of trials; without it, all.",
                "schema": {"type": "array", "items": {"type": "string", "enum": list(trial_ids)}},
                "style": "form",
                "explode": True,
            },
            {
                "name": "asOf",
                "in": "query",
                "description": "The day of the assessment; without it, today at the site.",
                "schema": DATE,
            },
        ],
        "requestBody": {
            "required": True,
            "description": "A FHIR Bundle, or Parameters with `bundle` (resource) and `patient` (id or reference).",
            "content": {
                **_json(ref("Record"), example=_BUNDLE),
                **_json(ref("Record"), "application/fhir+json", example=_PARAMETERS),
            },
        },
        "responses": {
            "200": _answer(
                "One object for one trial, else a list",
                _json({"oneOf": [ref("Assessment"), {"type": "array", "items": ref("Assessment")}]}),
                _NO_STORE,
            ),
            **_errors(*_BODY),
        },
    }


def _trial() -> _Json:
    return {
        "operationId": "trial",
        "summary": "A trial in words: registry status, sites, contacts, each criterion and what it is computed from",
        "responses": {
            "200": _answer(
                "A page, or JSON where Accept prefers it",
                {**_json({"type": "string"}, "text/html"), **_json(ref("Trial"))},
                {"Vary": {"schema": {"type": "string"}}},
            ),
            **_errors(404),
        },
    }
