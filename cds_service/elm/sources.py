"""From what a caller hands over (bytes, text, a parsed object) to the JSON object of one ELM library.

Anything else raises AuthoringError that says what it seems to be and what to do: an ELM in XML, CQL, a FHIR
resource around the ELM, a path, an empty or truncated file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from cds_service.errors import AuthoringError

# A library of this size takes seconds and a gigabyte to parse; the largest published ones have a few megabytes.
MAX_BYTES = 64 * 2**20
# Levels of JSON: what orjson reads. An operator with its list of operands takes two.
MAX_LEVELS = 1024

_ASK = "ask the translator for application/elm+json"
_CQL = re.compile(
    r"\s*(?:(?://[^\n]*\n|/\*.*?\*/)\s*)*"
    r"(?:library|using|include|define|parameter|valueset|codesystem|code|concept|context)\s",
    re.DOTALL,
)
_LAST_NAME = re.compile(
    rb'"name"\s*:\s*"([^"\\]{1,200})"\s*,\s*"(?:context|accessLevel|annotation|expression)"'
)


def parse(source: Any) -> Mapping[str, Any]:
    """The library object of a source."""
    if isinstance(source, Mapping):
        parsed: Any = source
    elif isinstance(source, (bytes, bytearray, memoryview, str)):
        parsed = _loaded(_encoded(source))
    else:
        raise AuthoringError(
            f"a source is an ELM library as bytes, str or a parsed dict, not a {type(source).__name__};"
            " read a file first (path.read_bytes())"
        )
    if not isinstance(parsed, Mapping):
        raise AuthoringError(f"not an ELM library: a JSON {_json_kind(parsed)}, where an object is expected")
    library = parsed.get("library", parsed)
    if not isinstance(library, Mapping):
        raise AuthoringError('not an ELM library: its "library" is no object')
    if "resourceType" in parsed:
        raise AuthoringError(
            f"a FHIR {parsed['resourceType']} resource, not an ELM library: give what a Library resource's content"
            " of type application/elm+json holds, base64-decoded"
        )
    return library


def _json_kind(value: Any) -> str:
    kinds = {list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def _encoded(source: bytes | bytearray | memoryview | str) -> bytes:
    try:
        text = source.encode() if isinstance(source, str) else bytes(source)
    except UnicodeEncodeError:
        raise AuthoringError("not an ELM library: the text holds lone surrogates") from None
    if len(text) > MAX_BYTES:
        raise AuthoringError(
            f"an ELM library of {len(text) / 2**20:,.0f} MB; at most {MAX_BYTES >> 20} MB are read."
            " Translate without annotations, or split the library"
        )
    if text[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise AuthoringError("not an ELM library: the text is UTF-16; JSON is read as UTF-8")
    text = text.removeprefix(b"\xef\xbb\xbf")
    if not text.strip():
        raise AuthoringError("not an ELM library: the source is empty")
    return text


def _loaded(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise AuthoringError(_diagnosis(text, error)) from None


def _diagnosis(text: bytes, error: orjson.JSONDecodeError) -> str:
    """What a text that is no JSON seems to be."""
    start = text[:4096].decode(errors="replace").lstrip()
    if start.startswith("<"):
        what = "ELM in XML" if "urn:hl7-org:elm:r1" in start else "XML"
        return f"not an ELM library in JSON: this is {what}; {_ASK}"
    if _CQL.match(start):
        return f"not an ELM library: this is CQL; translate it first, and {_ASK}"
    where = f"line {error.lineno}, column {error.colno}"
    if "ecursion" in error.msg or "depth" in error.msg:
        names = _LAST_NAME.findall(text[: len(error.doc[: error.pos].encode(errors="replace"))])
        near = f', in "{names[-1].decode(errors="replace")}"' if names else ""
        return (
            f"the ELM is nested deeper than {MAX_LEVELS} levels of JSON ({where}{near}): split the expression"
        )
    try:
        text.decode()
    except UnicodeDecodeError as wrong:
        return f"not an ELM library: the text is not UTF-8 (byte {wrong.start})"
    return f"not an ELM library: the JSON can't be read ({error.msg}, {where}); is the file whole?"


def canonical_bytes(library: Mapping[str, Any], name: str) -> bytes:
    """The library as JSON with sorted keys, whatever its layout was."""
    try:
        return orjson.dumps(library, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        pass  # orjson writes 254 levels
    written: list[bytes] = []
    # What is still to be written: text as it is, or a value with its level.
    pending: list[tuple[Any, int]] = [(library, 0)]
    while pending:
        value, level = pending.pop()
        if level < 0:
            written.append(value)
            continue
        if level > MAX_LEVELS:
            raise AuthoringError(
                f"library {name}: the ELM is nested deeper than {MAX_LEVELS} levels of JSON: split the expression",
                library=name,
            )
        if isinstance(value, Mapping):
            pending.extend(_object(value, level, name))
        elif isinstance(value, list):
            pending.extend(_array(value, level))
        else:
            written.append(_leaf(value, name))
    return b"".join(written)


def _object(value: Mapping[str, Any], level: int, name: str) -> list[tuple[Any, int]]:
    """The parts of an object, last one first."""
    parts: list[tuple[Any, int]] = [(b"}", -1)]
    if not all(isinstance(key, str) for key in value):
        raise AuthoringError(f"library {name}: a key of an object is no string", library=name)
    keys = sorted(value, reverse=True)
    for number, key in enumerate(keys, 1):
        comma = b"," if number < len(keys) else b""
        parts += [(value[key], level + 1), (comma + _leaf(key, name) + b":", -1)]
    return [*parts, (b"{", -1)]


def _array(value: list[Any], level: int) -> list[tuple[Any, int]]:
    parts: list[tuple[Any, int]] = [(b"]", -1)]
    for number, item in enumerate(reversed(value), 1):
        parts += [(item, level + 1), (b"," if number < len(value) else b"", -1)]
    return [*parts, (b"[", -1)]


def _leaf(value: Any, name: str) -> bytes:
    try:
        return orjson.dumps(value)
    except orjson.JSONEncodeError:
        raise AuthoringError(
            f"library {name}: a {type(value).__name__} in the parsed object is no JSON", library=name
        ) from None
