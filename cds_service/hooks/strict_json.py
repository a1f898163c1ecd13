"""JSON on which a decision about trust rests: tokens and key sets. It means one thing to every reader, or is refused.

Error policy: ValueError, without a word of the text.
"""

from __future__ import annotations

import json
from typing import Any

import orjson


def strict_json(text: bytes) -> Any:
    """The JSON value of `text`. Raises ValueError.

    orjson refuses what the standard library lets pass (NaN, Infinity, lone surrogates, another encoding than UTF-8);
    the standard library is asked for what orjson lets pass: a name that one object has twice, of which each reader
    picks its own (RFC 8259 §4; RFC 7515 §4 and RFC 7519 §4 let a reader refuse it).
    """
    try:
        value = orjson.loads(text)
        json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError):
        raise ValueError("not JSON of one meaning") from None
    return value


def _unique(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a name given twice")
