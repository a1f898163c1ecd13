"""Every error as a FHIR OperationOutcome that says what, where and what to do; never a traceback, never
patient data.

Maps the error tree and HTTP's own errors to status codes; anything else is a 500 whose place, not message, is
logged.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, Final

import orjson
from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from cds_service.errors import (
    CdsServiceError,
    ForbiddenError,
    InputError,
    NotFoundError,
    RetryLaterError,
    TooLargeError,
    TooManyRequestsError,
    UnobtainableError,
)
from cds_service.records.shortfalls import patient_remedy

FHIR_JSON: Final = "application/fhir+json"
Log = Callable[..., None]
# Status and FHIR issue type (http://hl7.org/fhir/issue-type) of each error that a caller can cause.
_STATUSES: Final[tuple[tuple[type[CdsServiceError], int, str], ...]] = (
    (TooLargeError, 413, "too-costly"),
    (InputError, 400, "invalid"),
    (NotFoundError, 404, "not-found"),
    (ForbiddenError, 403, "forbidden"),
    (UnobtainableError, 412, "incomplete"),
    (TooManyRequestsError, 429, "throttled"),
    (RetryLaterError, 503, "transient"),
)
# What an EHR can always do about a Patient that is missing, and the error's own words know nothing of.
_SEND_IT: Final = "Send it as prefetch, or name a fhirServer (and fhirAuthorization) that has it."
_FAILED: Final = "The service failed on this request. The operator finds the place in the log."
_TOO_DEEP: Final = "The request is nested too deeply."
_HTTP_WORDS: Final[Mapping[int, tuple[str, str]]] = {
    400: ("invalid", "The request can't be read: see /openapi.json for what each address accepts."),
    404: ("not-found", "There is nothing at this address: see /cds-services or /openapi.json."),
    405: ("not-supported", "This address does not take that method: see /openapi.json."),
    406: ("not-supported", "None of the media types of Accept is offered here."),
    411: ("required", "Send the length of the body (Content-Length)."),
    413: (
        "too-long",
        "The body is larger than this service accepts (setting limits.body_bytes): send less of it.",
    ),
    415: ("not-supported", "Send the body as JSON, uncompressed, with Content-Type: application/json."),
}


def outcome(code: str, diagnostics: str, expression: str | None = None) -> dict[str, Any]:
    """An OperationOutcome with one error. `code` is a FHIR issue type, `expression` the place in the
    request.
    """
    issue: dict[str, Any] = {"severity": "error", "code": code, "diagnostics": diagnostics}
    if expression:
        issue["expression"] = [expression]
    return {"resourceType": "OperationOutcome", "issue": [issue]}


def problem(status: int, code: str, diagnostics: str, expression: str | None = None) -> Response:
    """The response of that status with its OperationOutcome."""
    return Response(
        orjson.dumps(outcome(code, diagnostics, expression)), status=status, content_type=FHIR_JSON
    )


def register_problems(app: Flask, log: Log) -> None:
    """Makes the app answer every error in this form."""

    def known(error: CdsServiceError) -> Response:
        status, body = outcome_of(error)
        if status == 500:
            return unexpected(error)
        log("refused", status=status, problem=type(error).__name__, route=route())
        answer = Response(orjson.dumps(body), status=status, content_type=FHIR_JSON)
        if isinstance(error, RetryLaterError):
            answer.headers["Retry-After"] = str(error.retry_after)
        return answer

    def http(error: HTTPException) -> Response:
        response = error.get_response()
        status = response.status_code
        if error.response is not None or status < 400:
            # A redirect, or an answer that was made as it must be: the bare 401.
            return Response(response.get_data(), status, headers=dict(response.headers))
        code, words = _HTTP_WORDS.get(status, ("processing", f"The request was refused: {error.name}."))
        log("refused", status=status, problem=error.name, route=route())
        answer = problem(status, code, words)
        for header in ("Allow", "Retry-After"):
            if header in response.headers:
                answer.headers[header] = response.headers[header]
        return answer

    def unexpected(error: Exception) -> Response:
        log("failed", status=500, problem=type(error).__name__, place=place_of(error), route=route())
        return problem(500, "exception", _FAILED)

    app.register_error_handler(CdsServiceError, known)
    app.register_error_handler(HTTPException, http)

    def too_deep(error: RecursionError) -> Response:
        log("refused", status=400, problem=type(error).__name__, route=route())
        return problem(400, "too-costly", _TOO_DEEP)

    # What is nested beyond what the evaluation can follow is the request's fault, not the service's.
    app.register_error_handler(RecursionError, too_deep)
    app.register_error_handler(Exception, unexpected)


def status_of(error: CdsServiceError) -> tuple[int, str]:
    """HTTP status and FHIR issue type of an error of this package; 500 for what no caller can cause."""
    for kind, status, code in _STATUSES:
        if isinstance(error, kind):
            return status, code
    return 500, "exception"


def outcome_of(error: Exception) -> tuple[int, dict[str, Any]]:
    """HTTP status and OperationOutcome of an error that is not HTTP's own."""
    if isinstance(error, RecursionError):
        return 400, outcome("too-costly", _TOO_DEEP)
    status, code = status_of(error) if isinstance(error, CdsServiceError) else (500, "exception")
    if status == 500 or not isinstance(error, CdsServiceError):
        return status, outcome(code, _FAILED)
    words = str(error)
    if isinstance(error, UnobtainableError):
        words = " ".join(filter(None, (words, patient_remedy(error.reason), _SEND_IT)))
    return status, outcome(code, words, getattr(error, "expression", None))


def route() -> str:
    """The pattern of the address asked for, never the address itself, which may carry an id."""
    return request.url_rule.rule if request.url_rule is not None else "unknown"


def place_of(error: BaseException) -> str:
    """Module, line and function in which an error arose; its message may hold patient data and stays out."""
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return "unknown"
    last = frames[-1]
    name = last.filename.replace("\\", "/").rsplit("/", 2)
    return f"{'/'.join(name[-2:])}:{last.lineno}:{last.name}"
