"""What a service may send, as JSON Schemas written from the specification's tables and not from this service's code.

Closed: what the tables do not name is no part of an answer. Texts, lists and objects are never empty.
"""

from __future__ import annotations

from typing import Any, Final

from jsonschema import Draft202012Validator

_TEXT: Final = {"type": "string", "minLength": 1}
_URL: Final = {"type": "string", "pattern": r"^https?://[A-Za-z0-9.:\[\]-]+(/[^\s<>\"]*)?$"}
_UUID: Final = {
    "type": "string",
    "pattern": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
}
# An object of named extensions; names by reversed domain names (org.example.thing).
_EXTENSION: Final = {
    "type": "object",
    "minProperties": 1,
    "propertyNames": {"pattern": r"^[a-z]{2,}(\.[A-Za-z0-9-]+){2,}$"},
}


def _object(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {}), "extension": _EXTENSION},
        "additionalProperties": False,
    }


def _list(items: Any) -> dict[str, Any]:
    return {"type": "array", "items": items, "minItems": 1}


def _coding(*required: str) -> dict[str, Any]:
    fields = {"code": _TEXT, "system": _TEXT, "display": _TEXT}
    return _object(
        {key: fields[key] for key in required}, {k: v for k, v in fields.items() if k not in required}
    )


_RESOURCE: Final = {"type": "object", "required": ["resourceType"], "properties": {"resourceType": _TEXT}}
_ACTION: Final = {
    **_object(
        {"type": {"enum": ["create", "update", "delete"]}, "description": _TEXT},
        {"resource": _RESOURCE, "resourceId": _TEXT},
    ),
    "if": {"properties": {"type": {"const": "delete"}}},
    "then": {"required": ["resourceId"], "not": {"required": ["resource"]}},
    "else": {"required": ["resource"], "not": {"required": ["resourceId"]}},
}
_LINK: Final = {
    **_object(
        {"label": _TEXT, "url": _URL, "type": {"enum": ["absolute", "smart"]}},
        {"appContext": _TEXT, "autolaunchable": {"type": "boolean"}},
    ),
    "if": {"properties": {"type": {"const": "absolute"}}},
    "then": {"not": {"required": ["appContext"]}},
}
_SUGGESTION: Final = _object(
    {"label": _TEXT},
    {"uuid": _UUID, "isRecommended": {"type": "boolean"}, "actions": _list(_ACTION)},
)
_SOURCE: Final = _object({"label": _TEXT}, {"url": _URL, "icon": _URL, "topic": _coding("system", "code")})
CARD: Final = {
    **_object(
        {
            "summary": {"type": "string", "minLength": 1, "maxLength": 139, "pattern": r"^[^\r\n]+$"},
            "indicator": {"enum": ["info", "warning", "critical"]},
            "source": _SOURCE,
        },
        {
            "uuid": _UUID,
            "detail": _TEXT,
            "suggestions": _list(_SUGGESTION),
            "selectionBehavior": {"enum": ["at-most-one", "any"]},
            "overrideReasons": _list(_coding("code", "system", "display")),
            "links": _list(_LINK),
        },
    ),
    "dependentRequired": {"suggestions": ["selectionBehavior"]},
    "if": {
        "required": ["selectionBehavior"],
        "properties": {"selectionBehavior": {"const": "at-most-one"}},
    },
    "then": {
        "properties": {
            "suggestions": {
                "contains": {"required": ["isRecommended"], "properties": {"isRecommended": {"const": True}}},
                "minContains": 0,
                "maxContains": 1,
            }
        }
    },
}
# systemActions are left out of the table: this service never proposes to act without a person.
RESPONSE: Final = _object({"cards": {"type": "array", "items": CARD}})
_TEMPLATE: Final = {"type": "string", "minLength": 1, "pattern": r"^[A-Z][A-Za-z]+[/?]"}
_SERVICE: Final = {
    "hook": _TEXT,
    "description": _TEXT,
    "id": {"type": "string", "pattern": r"^[A-Za-z0-9._~-]+$"},
}
_SERVICE_MORE: Final = {
    "title": _TEXT,
    "prefetch": {"type": "object", "minProperties": 1, "additionalProperties": _TEMPLATE},
    "usageRequirements": _TEXT,
}
DISCOVERY: Final = _object({"services": {"type": "array", "items": _object(_SERVICE, _SERVICE_MORE)}})
# 3.0 recommends `version` (semantic) and allows `hookVersion`.
DISCOVERY_3: Final = _object(
    {
        "services": {
            "type": "array",
            "items": _object(
                {
                    **_SERVICE,
                    "version": {"type": "string", "pattern": r"^3\.\d+\.\d+(-[0-9A-Za-z.-]+)?$"},
                },
                {**_SERVICE_MORE, "hookVersion": {"type": "string", "pattern": r"^\d+\.\d+(\.\d+)?$"}},
            ),
        }
    }
)
OUTCOME: Final = {
    "type": "object",
    "required": ["resourceType", "issue"],
    "properties": {
        "resourceType": {"const": "OperationOutcome"},
        "issue": _list({"type": "object", "required": ["severity", "code", "diagnostics"]}),
    },
}


def misfits(value: Any, schema: dict[str, Any]) -> list[str]:
    """Where a value does not have the shape, and how; empty where it has. Texts of the value are not repeated."""
    found = Draft202012Validator(schema).iter_errors(value)
    return [f"{error.json_path}: {error.validator} {error.validator_value!r}"[:200] for error in found]


def empties(value: Any, path: str = "$") -> list[str]:
    """The places of null, "", [] and {} anywhere in a JSON value, but for `cards` and `services` at its top."""
    if isinstance(value, dict):
        inside = [place for key, held in value.items() for place in empties(held, f"{path}.{key}")]
    elif isinstance(value, list):
        inside = [place for n, held in enumerate(value) for place in empties(held, f"{path}[{n}]")]
    else:
        return [path] if value is None or value == "" else []
    allowed = path in ("$.cards", "$.services")
    return inside + ([path] if not value and not allowed else [])
