"""JSON from outside, read with orjson and bounded in depth and in what it may take of memory.

Error policy: InputError for what is no JSON, no UTF-8, nested deeper than any real message, made of little else
than brackets, or gives a name twice in one object, of which only the last would be read; the text itself is never
repeated in the message.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from cds_service.errors import InputError

# orjson refuses to write what is nested deeper than this, which bounds every recursive reader behind it at a
# small fraction of the cost of walking the message in Python.
MAX_DEPTH: Final = 254
# An object or list of two bytes takes up to a hundred times as much in memory. FHIR has one in 30 bytes or more; so
# that many are let in whatever the length, and beyond it one in 16 bytes.
MAX_BRACKETS: Final = 1_000_000
BYTES_A_BRACKET: Final = 16


RESOURCE: Final = b'"resourceType":'


def read_json(body: bytes) -> Any:
    """The JSON value of `body`. Raises InputError."""
    return read_counted(body)[0]


def read_counted(body: bytes) -> tuple[Any, int]:
    """The JSON value of `body`, and how many objects in it name a resourceType. Raises InputError."""
    most = max(MAX_BRACKETS, len(body) // BYTES_A_BRACKET)
    if len(body) > most and body.count(b"{") + body.count(b"[") > most:
        raise InputError("The JSON holds more objects and lists than any message of its length: send less.")
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InputError(
            f"The input is not valid JSON (line {error.lineno}, column {error.colno})."
        ) from None
    try:
        written = orjson.dumps(value)
    except TypeError:
        raise InputError(f"The JSON is nested deeper than {MAX_DEPTH} levels.") from None
    # Only a member that was left out takes a colon along: written anew, there are at least those of the texts.
    if body.count(b":") > written.count(b":"):
        raise InputError("The JSON gives a name twice in one object: give each once.")
    # Written anew there are no escapes and no blanks left in it: within a text, its quotes would be escaped.
    return value, written.count(RESOURCE)
