"""What a FHIR server can do wrong, as a table: each row by name, with what is left of the data it strikes.

LOST: a resource type so answered was not got whole; WHOLE: it was, the fault does no harm; EITHER: both readings are
right. No reading makes "none" of it. Every answer carries canaries where a fault has words, addresses or headers of its
own, in `MARK`'s letters.
"""

from __future__ import annotations

import copy
import gzip
import json
import zlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from tests.support.chart_server import Asked, Fault, Json, Reply, Sent, Wire

LOST: Final = "lost"
WHOLE: Final = "whole"
EITHER: Final = "either"
MARK: Final = "canary"
Does = Callable[[Asked, Any], Sent]
_JSON: Final = {"Content-Type": "application/fhir+json"}
# Bytes of a bomb, decoded: more than any answer may have.
_BOMB_BYTES: Final = 80_000_000
_LATER: Final = "_later"


@dataclass(frozen=True)
class Wrong:
    """One row. `pages`: it spoils the Bundle of a search, and means nothing for a read; `numbers`: of the requests
    of a kind that it strikes, None = all; `holds`: it may keep the call from asking that server anything more.
    """

    does: Does
    leaves: str = LOST
    pages: bool = False
    numbers: Collection[int] | None = None
    holds: bool = False

    def on(self, kind: str | None) -> Fault:
        """The fault, placed on a resource type."""
        return Fault(self.does, kind, self.numbers)


def canary(place: str) -> str:
    return f"Canary-{place}"


def body_of(right: Any) -> bytes:
    return right.body if isinstance(right, Reply) else json.dumps(right).encode()


def outcome(severity: str = "error", code: str = "exception") -> Json:
    issue = {"severity": severity, "code": code, "diagnostics": canary("diagnostics")}
    text = {"status": "generated", "div": f"<div>{canary('narrative')}</div>"}
    return {"resourceType": "OperationOutcome", "text": text, "issue": [issue]}


def _http(code: int, **headers: str) -> Does:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    reply = Reply(body_of(outcome()), code, {**_JSON, "X-Canary": canary("header"), **named})
    return lambda _asked, _right: reply


def _sends(body: bytes, code: int = 200, **headers: str) -> Does:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda _asked, _right: Reply(body, code, {**_JSON, **named})


def _bytes(change: Callable[[bytes], bytes]) -> Does:
    return lambda _asked, right: Reply(change(body_of(right)), 200, _JSON)


def _wire(talk: Callable[[Wire, bytes], None]) -> Does:
    """`talk` has the connection, and the body of the right answer."""
    return lambda _asked, right: lambda wire: talk(wire, body_of(right))


def _head(*lines: str) -> bytes:
    return "\r\n".join(
        ["HTTP/1.1 200 OK", f"Content-Type: application/fhir+json; x={MARK}", *lines, "", ""]
    ).encode()


def _page(change: Callable[[Json, Asked], Any]) -> Does:
    """`change` spoils a copy of the right page, or returns another."""

    def does(asked: Asked, right: Any) -> Sent:
        page = copy.deepcopy(right) if isinstance(right, dict) else json.loads(right.body)
        return change(page, asked) or page

    return does


def _entry(entry: Any) -> Does:
    def change(page: Json, _asked: Asked) -> None:
        page["entry"].append(entry)

    return _page(change)


def _set(**members: Any) -> Does:
    return _page(lambda page, _asked: page.update(members))


def _total(more: int) -> Does:
    return _page(lambda page, _asked: page.update(total=len(page["entry"]) + more))


def _next(url: Callable[[Asked], Any]) -> Does:
    return _page(lambda page, asked: page.update(link=[{"relation": "next", "url": url(asked)}]))


def later(second: Does) -> Does:
    """A right first page with a link to one more, on which `second` is done."""

    def does(asked: Asked, right: Any) -> Sent:
        if _LATER in asked.query:
            return second(asked, {"resourceType": "Bundle", "type": "searchset", "entry": []})
        link = {"relation": "next", "url": f"{asked.base}/{asked.kind}?{_LATER}=1"}
        return {**right, "link": [link]} if isinstance(right, dict) else right

    return does


def _answered(status: str) -> Does:
    def change(page: Json, _asked: Asked) -> None:
        page["entry"].append({"response": {"status": status, "outcome": outcome()}})

    return _page(change)


def _skewed(hours: int) -> Does:
    """Try again at once, says a server whose clock is wrong."""
    moment = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    return _raw_head(503, f"Date: {moment}", f"Retry-After: {moment}")


def _raw_head(status: int, *lines: str) -> Does:
    def talk(wire: Wire, _body: bytes) -> None:
        head = "\r\n".join(
            [f"HTTP/1.1 {status} Canary", *lines, "Content-Length: 0", "Connection: close", "", ""]
        )
        wire.send(head.encode())

    return _wire(talk)


@cache
def _bomb() -> bytes:
    # Blanks, which are valid JSON as far as they go.
    press = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(
        [*(press.compress(b" " * 1_000_000) for _ in range(_BOMB_BYTES // 1_000_000)), press.flush()]
    )


def _twice(body: bytes) -> bytes:
    """A Bundle whose entries are given twice: all of them, and none; a Patient with two dates of birth."""
    more = b',"entry":[],"total":0}' if b'"Bundle"' in body else b',"birthDate":"2020-01-01"}'
    return body.rstrip()[:-1] + more


def _lowered(body: bytes) -> bytes:
    """`bundle` for `Bundle`."""
    begin = body.index(b'"', body.index(b":")) + 1
    return body[:begin] + body[begin : begin + 1].lower() + body[begin + 1 :]


def _other(resource: Json) -> Json:
    """Another patient's resource of the same kind."""
    theirs = copy.deepcopy(resource)
    theirs["id"] = "another-1"
    for element in ("subject", "patient", "individual"):
        if element in theirs:
            theirs[element] = {"reference": "Patient/another", "display": canary("another")}
    return theirs


def _beside(page: Json, asked: Asked) -> None:
    """Another patient's resource beside the right ones."""
    first = page["entry"][0]["resource"] if page["entry"] else _made(asked.kind)
    page["entry"].append({"resource": _other(first), "search": {"mode": "match"}})
    page.pop("total", None)


def _instead(page: Json, asked: Asked) -> None:
    """Another patient's resource in the place of the right ones."""
    _beside(page, asked)
    page["entry"] = page["entry"][-1:]
    page["total"] = 1


def _made(kind: str) -> Json:
    element = {"Consent": "patient", "Immunization": "patient", "ResearchSubject": "individual"}.get(
        kind, "subject"
    )
    return {"resourceType": kind, "id": "made", element: {"reference": "Patient/another"}}


def _older(page: Json, _asked: Asked) -> None:
    """Each resource in its older version, said to be entered in error, beside the right one."""
    for entry in list(page["entry"]):
        resource = entry["resource"]
        resource["meta"] = {"versionId": "2"}
        old = {**copy.deepcopy(resource), "meta": {"versionId": "1"}}
        old["status"] = "entered-in-error"
        page["entry"].append({**entry, "resource": old})


def _future(page: Json, _asked: Asked) -> None:
    for entry in page["entry"]:
        entry["resource"].setdefault("meta", {})["lastUpdated"] = "2093-01-01T00:00:00Z"


def _relative(page: Json, asked: Asked) -> Any:
    """The entries on two pages, by a link without a server."""
    if _LATER in asked.query:
        page["entry"] = page["entry"][1:]
    elif len(page["entry"]) > 1:
        page["entry"] = page["entry"][:1]
        more = urlencode({**asked.query, _LATER: "1"})
        page["link"] = [{"relation": "next", "url": f"{asked.kind}?{more}"}]
    return page


def _foreign(asked: Asked) -> str:
    return f"http://localhost:{urlsplit(asked.base).port}/{MARK}?{asked.kind}"


def _lies(wire: Wire, body: bytes, off: int) -> None:
    wire.send(_head(f"Content-Length: {len(body) + off}") + body)


def _resets(wire: Wire, body: bytes) -> None:
    wire.send(_head(f"Content-Length: {len(body)}") + body[: len(body) // 2])
    wire.reset()


_PROMISED: Final = "Content-Length: 100000"
# In place of any answer, of a read as well.
ANSWERS: Final[Mapping[str, Wrong]] = {
    **{f"HTTP {code}": Wrong(_http(code)) for code in (400, 401, 403, 404, 410, 418, 500, 501, 502, 504)},
    "HTTP 401 with a challenge": Wrong(_http(401, WWW_Authenticate=f'Bearer realm="{MARK}"')),
    "HTTP 429 for an hour": Wrong(_http(429, Retry_After="3600"), holds=True),
    "HTTP 429 without a word": Wrong(_http(429)),
    "HTTP 429 once": Wrong(_http(429, Retry_After="0"), WHOLE, numbers=(1,)),
    "HTTP 503 until a date": Wrong(_http(503, Retry_After="Fri, 31 Dec 2093 23:59:59 GMT"), holds=True),
    "HTTP 503 once": Wrong(_http(503), WHOLE, numbers=(1,)),
    "HTTP 503 once, until a canary": Wrong(_http(503, Retry_After=canary("wait")), WHOLE, numbers=(1,)),
    "HTTP 503 once, clock ahead": Wrong(_skewed(5), WHOLE, numbers=(1,)),
    "HTTP 503 once, clock behind": Wrong(_skewed(-5), WHOLE, numbers=(1,)),
    "clock off": Wrong(
        lambda _asked, right: Reply(body_of(right), 200, {**_JSON, "Date": "Thu, 01 Jan 1970 00:00:00 GMT"}),
        WHOLE,
    ),
    "redirect": Wrong(lambda asked, _right: Reply(b"", 302, {"Location": _foreign(asked)})),
    "redirect for good": Wrong(lambda asked, _right: Reply(b"", 308, {"Location": _foreign(asked)})),
    "HTML": Wrong(_sends(f"<html><h1>{MARK}</h1></html>".encode(), Content_Type="text/html")),
    "XML": Wrong(_sends(f'<Bundle xmlns="http://hl7.org/fhir"><id value="{MARK}"/></Bundle>'.encode())),
    "nothing": Wrong(_sends(b"")),
    "HTTP 204": Wrong(_sends(b"", 204)),
    "HTTP 202": Wrong(_sends(body_of(outcome("information", "informational")), 202)),
    "blanks": Wrong(_sends(b" \r\n ")),
    "null": Wrong(_sends(b"null")),
    "a list": Wrong(_sends(b"[]")),
    "a text": Wrong(_sends(f'"{MARK}"'.encode())),
    "an empty object": Wrong(_sends(b"{}")),
    "an outcome": Wrong(_sends(body_of(outcome()))),
    "a mild outcome": Wrong(_sends(body_of(outcome("information", "informational")))),
    "another resource": Wrong(_sends(b'{"resourceType": "Basic", "id": "canary"}')),
    "resourceType in lower case": Wrong(_bytes(_lowered)),
    "resourceType misspelt": Wrong(_bytes(lambda b: b.replace(b'"resourceType"', b'"resourcetype"', 1))),
    "a list of the answer": Wrong(_bytes(lambda b: b"[" + b + b"]")),
    "half of it": Wrong(_bytes(lambda b: b[: len(b) // 2])),
    "two of it": Wrong(_bytes(lambda b: b + b"\n" + b)),
    "invalid UTF-8": Wrong(_bytes(lambda b: b[:-1] + b',"x":"\xff\xfe"}')),
    "Latin-1": Wrong(_bytes(lambda b: b[:-1] + ',"x":"São"}'.encode("latin-1"))),
    "UTF-16": Wrong(_bytes(lambda b: b.decode().encode("utf-16")), EITHER),
    "byte order mark": Wrong(_bytes(lambda b: b"\xef\xbb\xbf" + b), EITHER),
    "names given twice": Wrong(_bytes(_twice)),
    "a number beyond all": Wrong(_bytes(lambda b: b[:-1] + b',"x":1e999999}')),
    "a number of many digits": Wrong(_bytes(lambda b: b[:-1] + b',"x":' + b"9" * 5000 + b"}"), EITHER),
    "NaN": Wrong(_bytes(lambda b: b[:-1] + b',"x":NaN}')),
    "nested without end": Wrong(_bytes(lambda b: b"[" * 200_000)),
    "nested deeply": Wrong(_bytes(lambda b: b[:-1] + b',"x":' + b"[" * 5000 + b"]" * 5000 + b"}")),
    "a gzip bomb": Wrong(lambda _asked, _right: Reply(_bomb(), 200, {**_JSON, "Content-Encoding": "gzip"})),
    "gzip": Wrong(
        lambda _asked, right: Reply(
            gzip.compress(body_of(right)), 200, {**_JSON, "Content-Encoding": "gzip"}
        ),
        WHOLE,
    ),
    "gzip cut short": Wrong(
        lambda _asked, right: Reply(
            gzip.compress(body_of(right))[:-20], 200, {**_JSON, "Content-Encoding": "gzip"}
        )
    ),
    "no gzip": Wrong(lambda _asked, right: Reply(body_of(right), 200, {**_JSON, "Content-Encoding": "gzip"})),
    "strange headers": Wrong(
        lambda _asked, right: Reply(
            body_of(right), 200, {"Content-Type": MARK, "Set-Cookie": f"{MARK}={MARK}", "X-A": "a" * 3000}
        ),
        WHOLE,
    ),
    "closed at once": Wrong(_wire(lambda wire, _body: None)),
    "reset at once": Wrong(_wire(lambda wire, _body: wire.reset())),
    "reset once": Wrong(_wire(lambda wire, _body: wire.reset()), WHOLE, numbers=(1,)),
    "reset in the middle": Wrong(_wire(_resets)),
    "closed in the middle": Wrong(_wire(lambda wire, body: _lies(wire, body, 1000))),
    "length too small": Wrong(_wire(lambda wire, body: _lies(wire, body, -10))),
    "two lengths": Wrong(
        _wire(lambda wire, body: wire.send(_head("Content-Length: 5", _PROMISED) + body)), EITHER
    ),
    "length below zero": Wrong(
        _wire(lambda wire, body: wire.send(_head("Content-Length: -5") + body)), EITHER
    ),
    "length in words": Wrong(
        _wire(lambda wire, body: wire.send(_head(f"Content-Length: {MARK}") + body)), EITHER
    ),
    "no length": Wrong(_wire(lambda wire, body: wire.send(_head() + body)), WHOLE),
    "chunks": Wrong(
        _wire(
            lambda wire, body: wire.send(
                _head("Transfer-Encoding: chunked") + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"
            )
        ),
        WHOLE,
    ),
    "chunks cut short": Wrong(
        _wire(
            lambda wire, body: wire.send(
                _head("Transfer-Encoding: chunked") + f"{len(body) - 1:x}\r\n".encode() + body[:-1] + b"\r\n"
            )
        )
    ),
    "garbage for chunks": Wrong(
        _wire(
            lambda wire, _body: wire.send(_head("Transfer-Encoding: chunked") + b"canary\r\n{}\r\n0\r\n\r\n")
        )
    ),
    "no HTTP": Wrong(_wire(lambda wire, _body: wire.send(b"CANARY 1.0\r\n\r\n{}"))),
    "a status in words": Wrong(_wire(lambda wire, _body: wire.send(b"HTTP/1.1 canary\r\n\r\n"))),
    "a header without end": Wrong(
        _wire(lambda wire, body: wire.send(_head(f"X-Canary: {'canary' * 20_000}") + body)), EITHER
    ),
    "headers without end": Wrong(
        _wire(lambda wire, body: wire.send(_head(*(f"X-{n}: canary" for n in range(500))) + body)), EITHER
    ),
    "100 Continue first": Wrong(
        _wire(
            lambda wire, body: wire.send(
                b"HTTP/1.1 100 Continue\r\n\r\n" + _head(f"Content-Length: {len(body)}") + body
            )
        ),
        WHOLE,
    ),
}
_PRESENT: Final = {"resourceType": "Basic", "id": "canary"}
# In the Bundle of a search.
PAGES: Final[Mapping[str, Wrong]] = {
    **{
        f"type {kind}": Wrong(_set(type=kind))
        for kind in ("transaction-response", "batch-response", "history", MARK)
    },
    "type document": Wrong(_set(type="document")),
    "type of a list": Wrong(_set(type=["searchset"])),
    "no type": Wrong(_page(lambda page, _asked: {k: v for k, v in page.items() if k != "type"}), EITHER),
    **{
        f"outcome entry: {severity} {code}": Wrong(
            _entry({"resource": outcome(severity, code), "search": {"mode": "outcome"}}), leaves
        )
        for severity, code, leaves in (
            ("fatal", "exception", LOST),
            ("error", "processing", LOST),
            ("error", "informational", LOST),
            ("warning", "incomplete", LOST),
            ("warning", "processing", LOST),
            ("warning", MARK, LOST),
            ("information", "too-costly", LOST),
            ("information", "incomplete", LOST),
            ("warning", "suppressed", LOST),
            ("warning", "informational", WHOLE),
            ("information", "informational", WHOLE),
            ("information", "suppressed", LOST),
            (MARK, "informational", LOST),
        )
    },
    "outcome entry without issues": Wrong(_entry({"resource": {"resourceType": "OperationOutcome"}})),
    "entry of another type": Wrong(_entry({"resource": _PRESENT, "search": {"mode": "match"}})),
    "entry of no type": Wrong(_entry({"resource": {"id": "canary"}})),
    "entry without a resource": Wrong(_entry({"fullUrl": f"urn:uuid:{MARK}"})),
    "entry of null": Wrong(_entry(None)),
    "entry of a text": Wrong(_entry(canary("entry"))),
    "resource of null": Wrong(_entry({"resource": None})),
    "resource of a text": Wrong(_entry({"resource": canary("resource")})),
    "resource type in lower case": Wrong(
        _page(
            lambda page, asked: page["entry"].append(
                {
                    "resource": {"resourceType": asked.kind.lower(), "id": "canary"},
                    "search": {"mode": "match"},
                }
            )
        )
    ),
    "entries of null": Wrong(_set(entry=None), EITHER),
    "entries in an object": Wrong(_set(entry={"resource": _PRESENT})),
    "entry answered 404": Wrong(_answered("404 Not Found")),
    "entry answered 500": Wrong(_answered("500")),
    "total above": Wrong(_total(1)),
    "total far above": Wrong(_set(total=10**30)),
    "total below": Wrong(_total(-1), EITHER),
    "total below zero": Wrong(_set(total=-1), EITHER),
    "total in words": Wrong(_set(total=canary("total")), EITHER),
    "total and no entries": Wrong(_set(total=3, entry=[])),
    "duplicates": Wrong(
        _page(lambda page, _asked: page["entry"].extend(copy.deepcopy(page["entry"]))), WHOLE
    ),
    "older versions": Wrong(_page(_older), WHOLE),
    "changed in the future": Wrong(_page(_future), WHOLE),
    "another patient's beside": Wrong(_page(_beside), EITHER),
    "another patient's instead": Wrong(_page(_instead)),
    "a page that links to itself": Wrong(_next(lambda asked: asked.url)),
    "pages without end": Wrong(
        _next(lambda asked: f"{asked.base}/{asked.kind}?patient=1&{_LATER}={asked.number}")
    ),
    "empty pages without end": Wrong(
        _page(
            lambda page, asked: page.update(
                entry=[],
                link=[{"relation": "next", "url": f"{asked.base}/{asked.kind}?{_LATER}={asked.number}"}],
            )
        )
    ),
    "a link to another server": Wrong(_next(_foreign)),
    "a link elsewhere on the server": Wrong(
        _next(lambda asked: f"http://127.0.0.1:{urlsplit(asked.base).port}/{MARK}/{asked.kind}")
    ),
    "a link with a user": Wrong(
        _next(lambda asked: asked.base.replace("http://", f"http://{MARK}@") + f"/{asked.kind}?{_LATER}=1"),
        EITHER,
    ),
    "a link up": Wrong(_next(lambda asked: f"{asked.base}/../{MARK}")),
    "a link that is none": Wrong(_next(lambda _asked: f"ftp://{MARK}")),
    "a link of a number": Wrong(_next(lambda _asked: 5)),
    "a link of blanks": Wrong(_next(lambda _asked: "")),
    "links of a text": Wrong(_set(link=canary("link")), EITHER),
    "a relative link": Wrong(_page(_relative), WHOLE),
    "a later page fails": Wrong(later(_http(500))),
    "a later page is gone": Wrong(later(_http(410))),
    "a later page is refused": Wrong(later(_http(401))),
    "a later page is an outcome": Wrong(later(_sends(body_of(outcome())))),
    "a later page is HTML": Wrong(later(_sends(b"<p>canary</p>"))),
    "a later page is a bomb": Wrong(
        later(lambda _asked, _right: Reply(_bomb(), 200, {**_JSON, "Content-Encoding": "gzip"}))
    ),
    "a later page is of another patient": Wrong(later(_page(_instead)), EITHER),
    "a later page of another kind": Wrong(later(_entry({"resource": _PRESENT}))),
    "a later page with an outcome": Wrong(
        later(_entry({"resource": outcome(), "search": {"mode": "outcome"}}))
    ),
    "a later page of no searchset": Wrong(later(_set(type="history"))),
    "a later page is empty": Wrong(later(_set()), WHOLE),
}
WRONGS: Final[Mapping[str, Wrong]] = {
    **ANSWERS,
    **{name: replace(wrong, pages=True) for name, wrong in PAGES.items()},
}


def _drips(wire: Wire, body: bytes) -> None:
    wire.send(_head(f"Content-Length: {len(body)}"))
    for at in range(len(body)):
        wire.send(body[at : at + 1])
        wire.stall(0.2)


def _drips_head(wire: Wire, _body: bytes) -> None:
    wire.send(b"HTTP/1.1 200 OK\r\n")
    for number in range(10_000):
        wire.send(f"X-{number}: {MARK}\r\n".encode())
        wire.stall(0.2)


def _stalls(wire: Wire, body: bytes) -> None:
    wire.send(_head(f"Content-Length: {len(body)}") + body[: len(body) // 2])
    wire.stall(60)


# What lasts as long as it is let; all of it loses the type.
SLOW: Final[Mapping[str, Wrong]] = {
    "no answer": Wrong(_wire(lambda wire, _body: wire.stall(60))),
    "half an answer": Wrong(_wire(_stalls)),
    "an answer in drops": Wrong(_wire(_drips)),
    "a head in drops": Wrong(_wire(_drips_head)),
    "a slow later page": Wrong(later(_wire(_stalls)), pages=True),
}
