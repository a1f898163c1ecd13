"""What the server itself answers, before any request reaches the application: prepared bytes, each with an
OperationOutcome that says what to do. Nothing fails, and nothing of the request is repeated.
"""

from __future__ import annotations

from email.utils import formatdate
from http import HTTPStatus
from typing import Final

import orjson

from cds_service.hooks.problems import FHIR_JSON, outcome

RETRY_SECONDS: Final = 1
_WORDS: Final = {
    400: ("invalid", "The request is not valid HTTP/1.1: check its request line, Host, lengths and headers."),
    408: (
        "timeout",
        "The request did not arrive whole in time (setting limits.request_seconds): send it again.",
    ),
    413: (
        "too-long",
        "The body is larger than this service accepts (setting limits.body_bytes): send less of it.",
    ),
    414: ("too-long", "The address is longer than this service accepts: identifiers belong into the body."),
    431: ("too-long", "The headers are more or longer than this service accepts: send fewer."),
    500: ("exception", "The service failed on this request. The operator finds the place in the log."),
    501: ("not-supported", "Of the transfer codings only chunked is understood: send the body as it is."),
    503: ("transient", f"The service is busy or ending: try again after {RETRY_SECONDS} s."),
    505: ("not-supported", "Only HTTP/1.1 and HTTP/1.0 are understood here."),
}


class Refused(Exception):  # noqa: N818 - it is an answer, not a fault of this program
    """The request is not taken further; `status` is one of those prepared here."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def refusal(status: int) -> bytes:
    """The whole answer, after which the connection ends. Browsers may read it: it says nothing of anybody."""
    head, rest = _PREPARED[status]
    return b"".join((head, formatdate(usegmt=True).encode(), rest))


def _prepared(status: int) -> tuple[bytes, bytes]:
    body = orjson.dumps(outcome(*_WORDS[status]))
    headers = [
        f"\r\nContent-Type: {FHIR_JSON}",
        f"Content-Length: {len(body)}",
        "Connection: close",
        "X-Content-Type-Options: nosniff",
        "Access-Control-Allow-Origin: *",
    ]
    if status == 503:
        headers.append(f"Retry-After: {RETRY_SECONDS}")
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nDate: "
    return head.encode(), "\r\n".join([*headers, "", ""]).encode() + body


_PREPARED: Final = {status: _prepared(status) for status in _WORDS}
