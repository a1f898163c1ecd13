"""The OpenAPI 3.1 document of the service: every address, what it takes, what it answers. Data; nothing
fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from cds_service.eligibility.assessment import STATUSES
from cds_service.eligibility.trial import KINDS, TIERS
from cds_service.eligibility.verdict import BASES, REASONS
from cds_service.eligibility.verdict import STATUSES as VERDICTS
from cds_service.hooks.feedback import OUTCOMES
from cds_service.hooks.messages import PATIENT_VIEW

_TEXT: Final = {"type": "string", "minLength": 1}
_TEXTS: Final = {"type": "array", "items": {"type": "string"}}
_URL: Final = {"type": "string", "format": "uri"}
_UUID: Final = {"type": "string", "format": "uuid"}
_DATE: Final = {"type": "string", "format": "date"}
_FHIR_ID: Final = {"type": "string", "pattern": r"^[A-Za-z0-9\-.]{1,64}$"}
_RESOURCE: Final = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": _TEXT},
}


def openapi(base_url: str, version: str, service_ids: Sequence[str], *, guarded: bool) -> dict[str, Any]:
    """The document for this service. `guarded`: clients are configured, so that calls need a bearer token."""
    security: list[dict[str, list[str]]] = [{"clientJwt": []}] if guarded else []
    document: dict[str, Any] = {
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
            "/cds-services": {"get": _discovery()},
            "/cds-services/{id}": {
                "parameters": [_service_id(service_ids)],
                "post": {**_call(), "security": security},
            },
            "/cds-services/{id}/feedback": {
                "parameters": [_service_id(service_ids)],
                "post": {**_feedback(), "security": security},
            },
            "/assessments": {"post": {**_assessments(), "security": security}},
            "/trials/{id}": {"parameters": [_trial_id()], "get": _trial()},
            "/openapi.json": {"get": _plain("openapi", "This document", {"type": "object"})},
            "/healthz": {"get": _plain("healthz", "Whether the process answers", _ref("Health"))},
            "/readyz": {"get": _ready()},
            "/metrics": {"get": _metrics()},
        },
        "components": {"schemas": _schemas()},
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


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _json(schema: dict[str, Any], media: str = "application/json") -> dict[str, Any]:
    return {media: {"schema": schema}}


def _answer(description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": description, "content": _json(schema)}


def _errors(*statuses: int) -> dict[str, Any]:
    """The error answers of an operation: each an OperationOutcome, but the bare 401."""
    words = {
        400: "The body or a parameter can't be used; the outcome says what, where and what to do.",
        403: "The caller, or the fhirServer that it names, is not allowed; nothing was fetched.",
        404: "There is nothing of that id.",
        412: "The Patient can't be obtained.",
        413: "The body is too large.",
        500: "The service failed.",
    }
    errors: dict[str, Any] = {
        str(status): {
            "description": words[status],
            "content": _json(_ref("OperationOutcome"), "application/fhir+json"),
        }
        for status in (*statuses, 500)
    }
    if 413 in statuses:
        errors["401"] = {
            "description": "Clients are configured and the call carries no valid token; no body."
        }
    return errors


def _service_id(service_ids: Sequence[str]) -> dict[str, Any]:
    return {
        "name": "id",
        "in": "path",
        "required": True,
        "description": "The id of a service of /cds-services.",
        "schema": {"type": "string", "examples": list(service_ids)},
    }


def _trial_id() -> dict[str, Any]:
    return {"name": "id", "in": "path", "required": True, "schema": _TEXT}


def _plain(operation: str, summary: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {
        "operationId": operation,
        "summary": summary,
        "responses": {"200": _answer(summary, schema), **_errors(403)},
    }


def _ready() -> dict[str, Any]:
    ready = _plain("readyz", "Whether the service can take calls", _ref("Readiness"))
    ready["responses"]["503"] = _answer("A check failed, and which", _ref("Readiness"))
    return ready


def _metrics() -> dict[str, Any]:
    return {
        "operationId": "metrics",
        "summary": "Prometheus metrics, for callers on this machine or with the token of service.metrics_token_file",
        "responses": {
            "200": {"description": "The metrics", "content": {"text/plain": {"schema": {"type": "string"}}}},
            **_errors(403),
        },
    }


def _discovery() -> dict[str, Any]:
    return _plain("discovery", "CDS Hooks discovery", _ref("Discovery"))


def _call() -> dict[str, Any]:
    return {
        "operationId": "call",
        "summary": f"Call a service on the hook {PATIENT_VIEW}",
        "requestBody": {"required": True, "content": _json(_ref("HookRequest"))},
        "responses": {
            "200": _answer("The cards that are due; an empty list where none is", _ref("Cards")),
            **_errors(400, 403, 404, 412, 413),
        },
    }


def _feedback() -> dict[str, Any]:
    return {
        "operationId": "feedback",
        "summary": "Say what became of cards; batches and repeats are accepted",
        "requestBody": {"required": True, "content": _json(_ref("Feedback"))},
        "responses": {"200": {"description": "Stored"}, **_errors(400, 403, 404, 413)},
    }


def _assessments() -> dict[str, Any]:
    return {
        "operationId": "assess",
        "summary": "Assess one patient's record",
        "description": "The Bundle is the whole record: a type that it lacks is complete and empty.",
        "parameters": [
            {
                "name": "trial",
                "in": "query",
                "description": "Ids of trials; without it, all.",
                "schema": {"type": "array", "items": _TEXT},
                "style": "form",
                "explode": True,
            },
            {
                "name": "asOf",
                "in": "query",
                "description": "The day of the assessment; without it, today at the site.",
                "schema": _DATE,
            },
        ],
        "requestBody": {
            "required": True,
            "description": "A FHIR Bundle, or Parameters with `bundle` (resource) and `patient` (id or reference).",
            "content": {**_json(_RESOURCE), **_json(_RESOURCE, "application/fhir+json")},
        },
        "responses": {
            "200": _answer(
                "One object for one trial, else a list",
                {"oneOf": [_ref("Assessment"), {"type": "array", "items": _ref("Assessment")}]},
            ),
            **_errors(400, 403, 404, 413),
        },
    }


def _trial() -> dict[str, Any]:
    return {
        "operationId": "trial",
        "summary": "A trial in words: registry status, sites, contacts, each criterion and what it is computed from",
        "responses": {
            "200": {
                "description": "A page, or JSON where Accept prefers it",
                "content": {**_json({"type": "string"}, "text/html"), **_json(_ref("Trial"))},
            },
            **_errors(403, 404),
        },
    }


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def _list(items: dict[str, Any], *, least: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = {"type": "array", "items": items}
    return {**found, "minItems": least} if least else found


def _nullable(*values: str) -> dict[str, Any]:
    return {"enum": [*values, None]} if values else {"type": ["string", "null"]}


def _schemas() -> dict[str, Any]:
    coding = _object({"system": _URL, "code": _TEXT}, {"display": _TEXT})
    return {
        "OperationOutcome": _object(
            {
                "resourceType": {"const": "OperationOutcome"},
                "issue": _list(
                    _object(
                        {"severity": _TEXT, "code": _TEXT, "diagnostics": _TEXT}, {"expression": _list(_TEXT)}
                    ),
                    least=1,
                ),
            }
        ),
        "Health": _object({"status": _TEXT}, {"version": _TEXT}),
        "Readiness": _object(
            {"status": _TEXT, "checks": {"type": "object", "additionalProperties": {"type": "string"}}}
        ),
        "Coding": coding,
        **_hook_schemas(),
        **_card_schemas(),
        **_assessment_schemas(),
    }


def _hook_schemas() -> dict[str, Any]:
    entry = _object(
        {
            "card": _TEXT,
            "outcome": {"enum": list(OUTCOMES)},
            "outcomeTimestamp": {"type": "string", "format": "date-time"},
        },
        {
            "acceptedSuggestions": _list(_object({"id": _TEXT}), least=1),
            "overrideReason": _object({}, {"reason": _ref("Coding"), "userComment": {"type": "string"}}),
        },
    )
    context = _object(
        {
            "userId": {
                "type": "string",
                "pattern": r"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}$",
            },
            "patientId": _FHIR_ID,
        },
        {"encounterId": _FHIR_ID},
    )
    authorization = _object(
        {"access_token": _TEXT},
        {
            "token_type": {"const": "Bearer"},
            "expires_in": {"type": "integer"},
            "scope": {"type": "string"},
            "subject": {"type": "string"},
        },
    )
    service = _object(
        {"hook": {"const": PATIENT_VIEW}, "id": _TEXT, "description": _TEXT},
        {
            "title": _TEXT,
            "prefetch": {"type": "object", "additionalProperties": _TEXT},
            "usageRequirements": _TEXT,
        },
    )
    return {
        "Discovery": _object({"services": _list(service)}),
        "HookRequest": {
            **_object(
                {"hook": {"const": PATIENT_VIEW}, "hookInstance": _UUID, "context": context},
                {
                    "fhirServer": _URL,
                    "fhirAuthorization": authorization,
                    "prefetch": {
                        "type": "object",
                        "description": "Absent key: not got. null: none.",
                        "additionalProperties": {"type": ["object", "null"]},
                    },
                    "extension": {"type": "object"},
                },
            ),
            "dependentRequired": {"fhirAuthorization": ["fhirServer"]},
        },
        "Feedback": _object({"feedback": _list(entry, least=1)}),
    }


def _card_schemas() -> dict[str, Any]:
    action = _object({"type": {"const": "create"}, "description": _TEXT, "resource": _RESOURCE})
    assessment = _object(
        {
            "trial": _TEXT,
            "version": _TEXT,
            "asOf": _DATE,
            "status": {"enum": list(STATUSES)},
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        }
    )
    card = _object(
        {
            "uuid": _UUID,
            "summary": {"type": "string", "minLength": 1, "maxLength": 139},
            "indicator": {"const": "info"},
            "source": _object({"label": _TEXT}, {"url": _URL, "topic": _ref("Coding")}),
        },
        {
            "detail": _TEXT,
            "suggestions": {
                **_list(_object({"label": _TEXT, "uuid": _UUID, "actions": _list(action, least=1)}), least=1),
                "maxItems": 2,
            },
            "selectionBehavior": {"const": "any"},
            "overrideReasons": _list(_ref("Coding"), least=1),
            "links": _list(_object({"label": _TEXT, "url": _URL, "type": {"const": "absolute"}}), least=1),
            "extension": _object({"org.cds-service.assessment": assessment}),
        },
    )
    return {"Cards": _object({"cards": _list(_ref("Card"))}), "Card": card}


def _assessment_schemas() -> dict[str, Any]:
    evidence = _object(
        {
            "reference": {"type": "string"},
            "display": {"type": "string"},
            "value": _nullable(),
            "date": _nullable(),
            "status": _nullable(),
        }
    )
    criterion = _object(
        {
            "id": _TEXT,
            "kind": {"enum": list(KINDS)},
            "tier": {"enum": list(TIERS)},
            "group": _TEXT,
            "text": _TEXT,
            "status": {"enum": sorted(VERDICTS)},
            "basis": _nullable(*sorted(BASES)),
            "reasons": _list({"enum": sorted(REASONS)}),
            "likely": _nullable("met", "not-met"),
            "question": _nullable(),
            "notes": _TEXTS,
            "evidence": _list(evidence),
            "suggestions": _list(_object({"code": _TEXT, "system": _URL, "display": _TEXT})),
        }
    )
    states = ["complete", "failed", "truncated", "not-offered", "refused", "pending"]
    data = _object({"state": {"enum": states}, "count": {"type": "integer"}}, {"reason": _TEXT})
    part = _object(
        {"id": _TEXT, "label": _TEXT, "tier": {"enum": list(TIERS)}, "text": _TEXT, "computedFrom": _TEXT},
        {"computed": {"type": "boolean"}, "question": _TEXT},
    )
    row = _object({"id": _TEXT, "kind": {"enum": list(KINDS)}, "text": _TEXT, "criteria": _list(part)})
    registry = _object(
        {"status": _TEXT, "lastVerified": _TEXT, "url": _URL},
        {"recruitingConfirmed": _DATE, "warning": _TEXT},
    )
    return {
        "Assessment": _object(
            {
                "trial": _object({"id": _TEXT, "version": _TEXT, "title": _TEXT}),
                "patient": _TEXT,
                "asOf": _DATE,
                "status": {"enum": list(STATUSES)},
                "card": {"type": "boolean"},
                "notes": _TEXTS,
                "warnings": _TEXTS,
                "criteria": _list(criterion),
                "data": {"type": "object", "additionalProperties": data},
                "provenance": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        ),
        "Trial": _object(
            {
                "id": _TEXT,
                "nct": _TEXT,
                "version": _TEXT,
                "title": _TEXT,
                "registry": registry,
                "sites": _list(_object({"name": _TEXT, "city": _TEXT, "country": _TEXT})),
                "contacts": _list(_object({"name": _TEXT, "role": _TEXT}, {"detail": _TEXT})),
                "rows": _list(row),
            },
            {"shortTitle": _TEXT, "description": _TEXT, "burden": _TEXTS},
        ),
    }
