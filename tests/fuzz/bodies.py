"""Bodies that somebody might send: JSON of every kind, valid messages with something wrong in them, and broken bytes."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from hypothesis import strategies as st

from tests.contract.hook_requests import (
    als,
    hook_request,
    person,
    searchset,
    vignette_bundle,
    vignette_request,
)

Body = Any
VIGNETTES: Final = ("AV-01", "AV-03", "AV-06", "AV-08", "AV-10")
# Words that the readers look for, so that random JSON gets past their first look.
KEYS: Final = (
    *(
        "hook",
        "hookInstance",
        "context",
        "userId",
        "patientId",
        "encounterId",
        "prefetch",
        "patient",
        "condition",
    ),
    *(
        "observation",
        "fhirServer",
        "fhirAuthorization",
        "access_token",
        "token_type",
        "scope",
        "feedback",
        "card",
    ),
    *("outcome", "outcomeTimestamp", "acceptedSuggestions", "overrideReason", "reason", "code", "system"),
    *(
        "userComment",
        "resourceType",
        "type",
        "total",
        "link",
        "relation",
        "url",
        "entry",
        "fullUrl",
        "resource",
    ),
    *(
        "search",
        "mode",
        "response",
        "status",
        "id",
        "subject",
        "reference",
        "coding",
        "valueQuantity",
        "value",
    ),
    *("unit", "comparator", "effectiveDateTime", "effectivePeriod", "start", "end", "contained", "extension"),
    *("parameter", "name", "valueString", "valueReference", "issue", "severity", "expression", "component"),
    *(
        "dosage",
        "timing",
        "repeat",
        "bounds",
        "birthDate",
        "deceasedBoolean",
        "clinicalStatus",
        "text",
        "div",
    ),
    "",
    "__proto__",
)
WORDS: Final = (
    *(
        "patient-view",
        "Bundle",
        "Parameters",
        "Patient",
        "Condition",
        "Observation",
        "OperationOutcome",
        "Medication",
    ),
    *(
        "1",
        "Patient/1",
        "Practitioner/p1",
        "urn:uuid:d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        "#c",
        "#",
        "/",
        "//",
    ),
    *("2026-06-15", "2026-06-15T10:00:00Z", "2026", "2026-13-45", "0000-01-01", "9999-12-31T23:59:60+14:00"),
    *("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59.999999999-12:00", "2026-06-15T24:00:00Z", "24:00"),
    *(
        "http://localhost:1/fhir",
        "http://[::1",
        "http://[v1.x]/",
        "https://x:99999/",
        "http://\u2100/",
        "http://@",
    ),
    *(
        "http://snomed.info/sct",
        "86044005",
        "http://loinc.org",
        "82953-1",
        "http://unitsofmeasure.org",
        "mg/dL",
    ),
    *(
        "10*3/uL",
        "{score}",
        "m" * 300,
        "/",
        "1/1/1",
        "[",
        "(((",
        "10*99999999",
        "kg.m.s" * 40,
        "%",
        "mg^9999",
    ),
    *(
        "accepted",
        "overridden",
        "searchset",
        "next",
        "active",
        "final",
        "Bearer",
        "NaN",
        "Infinity",
        "1e999999999",
    ),
    *(
        "\0",
        "\ud7ff\ue000",
        "\U0010ffff",
        "\u202e",
        "a\r\nX: y",
        "'; --",
        "<script>",
        "{{context.patientId}}",
        "%s%n",
    ),
    *(
        "٣",
        "²",
        "½",
        "1_000",
        " 5 ",
        "+5",
        "0x10",
        "-0",
        "00",
        "1e5",
        "é" * 200,
        "İ",
        "ß" * 70,
        "\u0345" * 80,
    ),
)
NUMBERS: Final = (
    *(
        0,
        -0.0,
        -1,
        5,
        2**31,
        2**53 + 1,
        2**63,
        2**64 - 1,
        -(2**63),
        10**19,
        10**25,
        1e308,
        -1e308,
        5e-324,
        0.1,
        1e-7,
    ),
)

scalars: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.text(max_size=20),
    st.integers(),
)
values: st.SearchStrategy[Any] = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(st.one_of(st.sampled_from(KEYS), st.text(max_size=5)), inner, max_size=6),
    ),
    max_leaves=20,
)


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place of a JSON value, the value itself excepted."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


@st.composite
def spoiled(draw: st.DrawFn, valid: st.SearchStrategy[Body]) -> Body:
    """A valid message of which one to four places are replaced, dropped, repeated, or swapped for another place's."""
    body = copy.deepcopy(draw(valid))
    for _ in range(draw(st.integers(1, 4))):
        found = list(places(body))
        if not found:
            return body
        path = draw(st.sampled_from(found))
        parent = body
        for step in path[:-1]:
            parent = parent[step]
        _spoil(draw, body, parent, path[-1], found)
    return body


def _spoil(draw: st.DrawFn, body: Body, parent: Any, key: Any, found: list[tuple[Any, ...]]) -> None:
    how = draw(st.sampled_from(["replace", "replace", "drop", "wrap", "swap", "add"]))
    if how == "replace":
        parent[key] = draw(values)
    elif how == "drop":
        del parent[key]
    elif how == "wrap":
        parent[key] = draw(st.sampled_from([[parent[key]], {"coding": parent[key]}, [[parent[key]] * 3]]))
    elif how == "swap":
        other: Any = body
        for step in draw(st.sampled_from(found)):
            other = other[step]
        parent[key] = copy.deepcopy(other)
    elif isinstance(parent, list):
        parent.insert(key, draw(values))
    else:
        parent[draw(st.sampled_from(KEYS))] = draw(values)


FEEDBACK: Final = {
    "feedback": [
        {
            "card": "e91bb0a0-0f0c-4c3f-9e49-6d0c1f0f3c11",
            "outcome": "accepted",
            "outcomeTimestamp": "2026-06-15T10:00:00Z",
            "acceptedSuggestions": [{"id": "0a5d8a4c-8f9c-4d3b-8b57-6ad3d3ac10a2"}],
        },
        {
            "card": "6a0a62b7-6d63-4f1c-9d2c-6ddc1ad9d9f5",
            "outcome": "overridden",
            "outcomeTimestamp": "2026-06-15T10:00:00.123456789+00:00",
            "overrideReason": {"reason": {"code": "no-time", "system": "http://x"}, "userComment": "later"},
        },
    ]
}


def hook_bodies(types: frozenset[str]) -> st.SearchStrategy[Body]:
    """Valid calls: a small one, and the vignettes' with everything as prefetch."""
    small = hook_request(
        prefetch={"patient": person(), "condition": searchset(als())},
        fhirServer="http://localhost:1/fhir",
        fhirAuthorization={
            "access_token": "x",
            "token_type": "Bearer",
            "scope": "patient/*.rs",
            "expires_in": 300,
        },
    )
    return st.sampled_from([small, *(vignette_request(name, types) for name in VIGNETTES)])


def bundles() -> st.SearchStrategy[Body]:
    return st.sampled_from([vignette_bundle(name) for name in VIGNETTES])


def parameters() -> st.SearchStrategy[Body]:
    return bundles().map(
        lambda bundle: {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "bundle", "resource": bundle},
                {"name": "patient", "valueReference": {"reference": "Patient/1"}},
            ],
        }
    )


@st.composite
def broken_bytes(draw: st.DrawFn, valid: st.SearchStrategy[Body]) -> bytes:
    """The bytes of a valid message, cut, repeated, overwritten, or with raw bytes between them."""
    text = bytearray(
        json.dumps(draw(valid), ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    )
    for _ in range(draw(st.integers(1, 3))):
        start = draw(st.integers(0, len(text)))
        change = draw(st.sampled_from(_CHANGES))
        change(draw, text, start)
    return bytes(text)


def _cut(draw: st.DrawFn, text: bytearray, start: int) -> None:
    del text[start : start + draw(st.integers(1, 2000))]


def _insert(draw: st.DrawFn, text: bytearray, start: int) -> None:
    text[start:start] = draw(st.one_of(st.binary(min_size=1, max_size=12), st.sampled_from(_RAW)))


def _overwrite(draw: st.DrawFn, text: bytearray, start: int) -> None:
    new = draw(st.binary(min_size=1, max_size=3))
    text[start : start + len(new)] = new


def _repeat(draw: st.DrawFn, text: bytearray, start: int) -> None:
    text[start:start] = text[start : start + draw(st.integers(1, 500))]


_CHANGES: Final[tuple[Callable[[st.DrawFn, bytearray, int], None], ...]] = (
    _cut,
    _insert,
    _overwrite,
    _repeat,
)
_RAW: Final = (
    *(
        b"\x00",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\xed\xa0\x80",
        b'"\\ud800"',
        b"NaN",
        b"Infinity",
        b"1e400",
        b"-",
    ),
    *(
        b"[" * 2000,
        b'{"a":' * 300,
        b"//",
        b"/*",
        b",",
        b"'",
        b"\\u0000",
        b"0" * 400,
        b"9" * 5000,
        b'"hook":1,',
    ),
)
