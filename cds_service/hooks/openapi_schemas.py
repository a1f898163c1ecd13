"""The schemas of the OpenAPI document: what the service reads, as strictly as it reads it, and what it writes.

Data; nothing fails. A field that the specification defines and the service does not read has a description and no
type: whatever stands in it is accepted.
"""

from __future__ import annotations

from typing import Any, Final

from cds_service.eligibility.assessment import STATUSES
from cds_service.eligibility.trial import KINDS, TIERS
from cds_service.eligibility.verdict import BASES, REASONS
from cds_service.eligibility.verdict import STATUSES as VERDICTS
from cds_service.hooks.feedback import MAX_ENTRIES
from cds_service.hooks.messages import PATIENT_VIEW

_Json = dict[str, Any]
DATE: Final[_Json] = {"type": "string", "format": "date"}
_TEXT: Final[_Json] = {"type": "string", "minLength": 1}
_TEXTS: Final[_Json] = {"type": "array", "items": {"type": "string"}}
_URL: Final[_Json] = {"type": "string", "format": "uri"}
_UUID: Final[_Json] = {"type": "string", "format": "uuid"}
_FHIR_ID: Final = r"^[A-Za-z0-9\-.]{1,64}$"
_USER: Final = r"^(Practitioner|PractitionerRole|Patient|RelatedPerson)/[A-Za-z0-9\-.]{1,64}$"
# A UUID in its canonical form, of any version.
_INSTANCE: Final = r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"
# A base URL: scheme, host (a name, an IPv4 or a bracketed IPv6 address), perhaps a port, path segments.
_SERVER: Final = (
    r"^https?://([A-Za-z0-9][A-Za-z0-9.\-]*|\[[0-9A-Fa-f:.]+\])(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~\-]+)*/?$"
)
_RESOURCE: Final[_Json] = {
    "type": "object",
    "required": ["resourceType"],
    "properties": {"resourceType": _TEXT},
}


def ref(name: str) -> _Json:
    """The reference to a schema of `schemas`."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas() -> _Json:
    """All schemas by name."""
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
        "Coding": _object({"system": _URL, "code": _TEXT}, {"display": _TEXT}),
        "HookRequest": _hook_request(),
        **_feedback_schemas(),
        "Record": _record(),
        "Discovery": _discovery(),
        **_card_schemas(),
        **_assessment_schemas(),
        "Trial": _trial(),
    }


def _object(required: _Json, optional: _Json | None = None) -> _Json:
    return {"type": "object", "required": list(required), "properties": {**required, **(optional or {})}}


def _list(items: _Json, *, least: int = 0, most: int = 0) -> _Json:
    found: _Json = {"type": "array", "items": items}
    return {**found, **({"minItems": least} if least else {}), **({"maxItems": most} if most else {})}


def _nullable(*values: str) -> _Json:
    return {"enum": [*values, None]} if values else {"type": ["string", "null"]}


def _short(most: int) -> _Json:
    """A text that is kept: no database keeps a NUL in one."""
    return {"type": "string", "minLength": 1, "maxLength": most, "pattern": r"^[^\u0000]*$"}


def _hook_request() -> _Json:
    context = _object(
        {
            "userId": {"type": "string", "pattern": _USER},
            "patientId": {"type": "string", "pattern": _FHIR_ID},
        },
        {"encounterId": {"type": ["string", "null"], "pattern": _FHIR_ID}},
    )
    authorization = _object(
        {"access_token": {"type": "string", "pattern": "^[!-~]+$"}},
        {
            "token_type": {"type": "string", "pattern": "^[Bb][Ee][Aa][Rr][Ee][Rr]$"},
            "scope": {"type": ["string", "null"]},
            "expires_in": {"description": "Seconds; not read."},
            "subject": {"description": "The client's id; not read."},
        },
    )
    return {
        **_object(
            {
                "hook": {"const": PATIENT_VIEW},
                "hookInstance": {"type": "string", "pattern": _INSTANCE},
                "context": context,
            },
            {
                "fhirServer": {"type": ["string", "null"], "pattern": _SERVER},
                "fhirAuthorization": {"anyOf": [{"type": "null"}, authorization]},
                "prefetch": {
                    "type": ["object", "null"],
                    "description": "Absent key: not got. null: none. Otherwise a resource or a Bundle; anything "
                    "else is not got.",
                },
                "extension": {"description": "Not read."},
            },
        ),
        "if": _object({"fhirAuthorization": {"type": "object"}}),
        "then": _object({"fhirServer": {"type": "string"}}),
    }


def _feedback_schemas() -> _Json:
    suggestions = _list(_object({"id": _short(64)}), least=1, most=50)
    reason = _object({"code": _short(128)}, {"system": {**_short(512), "type": ["string", "null"]}})
    comment = {
        "type": "string",
        "description": "Only whether there is one is kept, never the text.",
    }
    override = {
        "anyOf": [
            _object({"reason": reason}, {"userComment": {"anyOf": [{"type": "null"}, comment]}}),
            _object({"userComment": comment}, {"reason": {"type": "null"}}),
        ]
    }
    given = {
        "card": _short(128),
        # RFC 3339 in UTC.
        "outcomeTimestamp": {
            "type": "string",
            "format": "date-time",
            "pattern": r"^\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:[0-5]\d(\.\d{1,9})?([Zz]|[+-]00:00)$",
        },
    }
    maybe = {"overrideReason": {"anyOf": [{"type": "null"}, *override["anyOf"]]}}
    return {
        "Accepted": _object(
            {**given, "outcome": {"const": "accepted"}, "acceptedSuggestions": suggestions}, maybe
        ),
        "Overridden": _object({**given, "outcome": {"const": "overridden"}}, maybe),
        "Feedback": _object(
            {"feedback": _list({"anyOf": [ref("Accepted"), ref("Overridden")]}, least=1, most=MAX_ENTRIES)}
        ),
    }


def _record() -> _Json:
    """A Bundle with a Patient, or Parameters with such a Bundle. Whether one Patient is meant, no schema tells."""
    patient = _object({"resourceType": {"const": "Patient"}, "id": {"type": "string", "pattern": _FHIR_ID}})
    bundle = _object(
        {
            "resourceType": {"const": "Bundle"},
            "entry": {
                "type": "array",
                "contains": _object({"resource": patient}),
            },
        }
    )
    named = _object({"name": {"const": "bundle"}, "resource": bundle})
    who = _object({"name": {"const": "patient"}}, {"valueString": _TEXT, "valueId": _TEXT})
    parameters = _object(
        {
            "resourceType": {"const": "Parameters"},
            "parameter": {
                "type": "array",
                "items": {"anyOf": [named, who]},
                "contains": _object({"name": {"const": "bundle"}}),
            },
        }
    )
    return {"anyOf": [bundle, parameters]}


def _discovery() -> _Json:
    service = _object(
        {"hook": {"const": PATIENT_VIEW}, "id": _TEXT, "description": _TEXT},
        {
            "title": _TEXT,
            "prefetch": {"type": "object", "additionalProperties": _TEXT},
            "usageRequirements": _TEXT,
            # For a client of CDS Hooks 3.0 that sends its token.
            "version": _TEXT,
            "hookVersion": _TEXT,
        },
    )
    return _object({"services": _list(service)})


def _card_schemas() -> _Json:
    action = _object({"type": {"const": "create"}, "description": _TEXT, "resource": _RESOURCE})
    assessment = _object(
        {
            "trial": _TEXT,
            "version": _TEXT,
            "asOf": DATE,
            "status": {"enum": list(STATUSES)},
            "counts": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        }
    )
    card = _object(
        {
            "uuid": _UUID,
            "summary": {"type": "string", "minLength": 1, "maxLength": 139},
            "indicator": {"const": "info"},
            "source": _object({"label": _TEXT}, {"url": _URL, "topic": ref("Coding")}),
        },
        {
            "detail": _TEXT,
            "suggestions": {
                **_list(_object({"label": _TEXT, "uuid": _UUID, "actions": _list(action, least=1)}), least=1),
                "maxItems": 2,
            },
            "selectionBehavior": {"const": "any"},
            "overrideReasons": _list(ref("Coding"), least=1),
            "links": _list(_object({"label": _TEXT, "url": _URL, "type": {"const": "absolute"}}), least=1),
            "extension": _object({"org.cds-service.assessment": assessment}),
        },
    )
    return {"Cards": _object({"cards": _list(ref("Card"))}), "Card": card}


def _assessment_schemas() -> _Json:
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
    return {
        "Assessment": _object(
            {
                "trial": _object({"id": _TEXT, "version": _TEXT, "title": _TEXT}),
                "patient": _TEXT,
                "asOf": DATE,
                "status": {"enum": list(STATUSES)},
                "card": {"type": "boolean"},
                "notes": _TEXTS,
                "warnings": _TEXTS,
                "criteria": _list(criterion),
                "data": {"type": "object", "additionalProperties": data},
                "provenance": {"type": "object", "additionalProperties": {"type": "string"}},
            }
        ),
    }


def _trial() -> _Json:
    part = _object(
        {"id": _TEXT, "label": _TEXT, "tier": {"enum": list(TIERS)}, "text": _TEXT, "computedFrom": _TEXT},
        {"computed": {"type": "boolean"}, "question": _TEXT},
    )
    row = _object({"id": _TEXT, "kind": {"enum": list(KINDS)}, "text": _TEXT, "criteria": _list(part)})
    registry = _object(
        {"status": _TEXT, "lastVerified": _TEXT, "url": _URL},
        {"recruitingConfirmed": DATE, "warning": _TEXT},
    )
    return _object(
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
    )
