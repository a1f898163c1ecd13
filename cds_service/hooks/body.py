"""JSON bodies in and out, within the limits of the service.

Error policy: a body that is no JSON is an InputError, one beyond a limit a 413 (TooLargeError where it is not the
mere size), a compressed one a 415, since what it unpacks to is anybody's guess; nothing of it is repeated.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from flask import Response, current_app, request
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType

from cds_service.errors import TooLargeError
from cds_service.records.json_body import read_counted, read_json

# The application's configuration of `limits.entries`.
ENTRIES: Final = "CDS_ENTRIES"
# An object or list takes far more memory than its two bytes; a resource of a real chart has about twelve.
_OBJECTS_PER_ENTRY: Final = 32


def json_body() -> Any:
    """The request's body as JSON. Raises InputError, TooLargeError, and 413 for a body of unstated length above the
    limit.
    """
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedMediaType
    body = request.get_data(cache=False)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body) >= limit:
        # Werkzeug only cuts such a body off, which would look like broken JSON.
        raise RequestEntityTooLarge
    entries: int | None = current_app.config.get(ENTRIES)
    if entries is None:
        return read_json(body)
    most = max(1000, _OBJECTS_PER_ENTRY * entries)
    if len(body) > most and body.count(b"{") + body.count(b"[") > most:
        raise TooLargeError(_beyond(entries))
    value, held = read_counted(body)
    if held + hollow_entries(value) > entries:
        raise TooLargeError(_beyond(entries))
    return value


def _beyond(entries: int) -> str:
    return (
        f"The body holds more than {entries} resources (setting limits.entries), or as much as so many would: "
        "send fewer."
    )


def hollow_entries(value: Any) -> int:
    """How many entries without a resource there are in the Bundles of a JSON value: those that are read, which no other
    resource contains.
    """
    count = 0
    left = [value] if isinstance(value, dict | list) else []
    while left:
        part = left.pop()
        if isinstance(part, dict):
            kind, listed = part.get("resourceType"), part.get("entry")
            if kind == "Bundle" and isinstance(listed, list):
                resources = [e["resource"] for e in listed if isinstance(e, dict) and "resource" in e]
                left += [r for r in resources if isinstance(r, dict | list)]
                count += len(listed) - sum(isinstance(r, dict) for r in resources)
                continue
            part = list(part.values()) if kind in (None, "Parameters") else []
        left.extend(item for item in part if isinstance(item, dict | list))
    return count


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON answer about a patient: never kept by a cache."""
    return Response(
        orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
