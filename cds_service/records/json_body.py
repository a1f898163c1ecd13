"""JSON from outside, read with orjson and bounded in depth.

Error policy: InputError for what is no JSON, no UTF-8, or nested deeper than any real message; the text
itself is never repeated in the message.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from cds_service.errors import InputError

# orjson refuses to write what is nested deeper than this, which bounds every recursive reader behind it at a
# small fraction of the cost of walking the message in Python.
MAX_DEPTH: Final = 254


def read_json(body: bytes) -> Any:
    """The JSON value of `body`. Raises InputError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"The input is not valid JSON (line {error.lineno}, column {error.colno})."
        ) from None
    try:
        orjson.dumps(value)
    except TypeError:
        raise InputError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    return value
