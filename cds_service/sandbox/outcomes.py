"""What the FHIR endpoint answers with: resources and OperationOutcomes as `application/fhir+json`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
from flask import Response

FHIR_JSON: Final = "application/fhir+json"


class FhirError(Exception):
    """A request that can't be served: `status` is the HTTP status, `code` an issue-type code of FHIR R4."""

    def __init__(self, status: int, code: str, message: str, expression: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.expression = expression


def resource_response(
    body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A FHIR resource as a response, never cached: the next answer may differ."""
    response = Response(_dumps(body), status, content_type=f"{FHIR_JSON}; charset=utf-8")
    response.headers["Cache-Control"] = "no-store"
    response.headers.update(headers or {})
    return response


def _dumps(body: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(body)
    except orjson.JSONEncodeError:
        # Integers beyond 64 bits and lone surrogates: no valid FHIR, but a vignette may hold them.
        return json.dumps(body).encode()


def outcome_response(error: FhirError) -> Response:
    """An OperationOutcome that says what was wrong and where."""
    issue: dict[str, Any] = {"severity": "error", "code": error.code, "diagnostics": str(error)}
    if error.expression:
        issue["expression"] = [error.expression]
    return resource_response({"resourceType": "OperationOutcome", "issue": [issue]}, error.status)
