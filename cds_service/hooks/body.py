"""JSON bodies in and out, within the limits of the service.

Error policy: a body that is no JSON, or beyond a limit, is an InputError or a 413; nothing of it is repeated.
"""

from __future__ import annotations

from typing import Any

import orjson
from flask import Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_service.records.json_body import read_json


def json_body() -> Any:
    """The request's body as JSON. Raises InputError, and 413 for a body of unstated length above the limit."""
    body = request.get_data(cache=False)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body) >= limit:
        # Werkzeug only cuts such a body off, which would look like broken JSON.
        raise RequestEntityTooLarge
    return read_json(body)


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON answer about a patient: never kept by a cache."""
    return Response(
        orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
