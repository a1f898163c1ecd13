"""A FHIR server on loopback that serves records as a real one does, and does wrong what a test places.

It reads by id, searches by patient (with `code`, `category`, `_id`, `_count`, `_include`), pages with `next` links and
tells in a CapabilityStatement what it has. A Fault takes the right answer to a request and says what is sent instead:
other JSON, a Reply, or what a function does to the connection itself. `tests.support.faults` has a table of them.
"""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from cds_service.records.resource_types import USED_TYPES

Json = dict[str, Any]
STATEMENT: Final = "metadata"
# The search parameters that name the patient, and the elements they read.
_PATIENT_PARAMETERS: Final = ("patient", "subject", "individual")
_SUBJECTS: Final = ("subject", "patient", "individual", "beneficiary")
# The parameter of an `_include` and the element it follows.
_INCLUDES: Final = {"medication": "medicationReference", "device": "device", "study": "study"}
_PAGE: Final = "_offset"


@dataclass(frozen=True)
class Asked:
    """One request. `kind`: the resource type, or `metadata`; `number`: the how manieth request of its kind, from 1."""

    kind: str
    number: int
    url: str
    base: str
    id: str | None = None
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


class Wire:
    """The connection of one request, for what is no proper answer. It is closed afterwards."""

    def __init__(self, connection: socket.socket, stop: threading.Event) -> None:
        self._connection = connection
        self._stop = stop

    def send(self, data: bytes) -> None:
        self._connection.sendall(data)

    def stall(self, seconds: float) -> None:
        """Says nothing for so long; ends at once when the server stops or the client has gone."""
        waited = 0.0
        while waited < seconds and not self._stop.wait(0.05) and not self._gone():
            waited += 0.05

    def reset(self) -> None:
        """Breaks the connection off (RST) instead of closing it."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _gone(self) -> bool:
        try:
            return self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True


@dataclass(frozen=True)
class Reply:
    """An HTTP answer of these bytes; `wait`: seconds before it."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0


Sent = Json | Reply | Callable[[Wire], None]


@dataclass(frozen=True)
class Fault:
    """What is done wrong, and where. `does`: the request and the right answer to it → what is sent instead; a Reply
    given is an answer that is no JSON already. `kind`: None = every kind; `numbers`: None = every request of it.
    """

    does: Callable[[Asked, Any], Sent]
    kind: str | None = None
    numbers: Collection[int] | None = None

    def strikes(self, asked: Asked) -> bool:
        return self.kind in (None, asked.kind) and (self.numbers is None or asked.number in self.numbers)


@dataclass
class ChartServer:
    """The running server. `faults` may be changed between calls; `page_size`: the most on a page, whatever `_count`
    says; `totals`: whether pages count the matches; `lacks`: types that it does not have.
    """

    base: str
    resources: list[Json]
    faults: list[Fault] = field(default_factory=list)
    page_size: int = 1000
    totals: bool = True
    lacks: frozenset[str] = frozenset()
    requests: list[Asked] = field(default_factory=list)
    open_connections: int = 0
    _moved: int = 0
    _numbers: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def serves(self, *bundles: Json) -> None:
        """From now on these records, of one patient or of several, and no faults."""
        self.resources[:] = [resource for bundle in bundles for resource in as_served(bundle)]
        self.faults.clear()
        self.forget()

    def moves(self) -> None:
        """From now on another base URL: nothing that a client remembers of the server before holds for it."""
        self._moved += 1
        self.base = f"{self.root}/fhir-{self._moved}"
        self.forget()

    def forget(self) -> None:
        """The requests so far; numbers begin at 1 again."""
        with self._lock:
            self.requests.clear()
            self._numbers.clear()

    @property
    def root(self) -> str:
        """The server's address without a path."""
        return self.base.removesuffix(urlsplit(self.base).path)

    def asked(self, kind: str) -> list[Asked]:
        return [request for request in self.requests if request.kind == kind]

    def note(self, path: str, query: dict[str, str], url: str, headers: Mapping[str, str]) -> Asked:
        kind, _, resource_id = path.partition("/")
        with self._lock:
            self._numbers[kind] += 1
            asked = Asked(kind, self._numbers[kind], url, self.base, resource_id or None, query, headers)
            self.requests.append(asked)
        return asked

    def answer(self, asked: Asked) -> Sent:
        """What is sent: the right answer, through the faults placed on it."""
        sent: Sent = self._right(asked)
        for fault in list(self.faults):
            if fault.strikes(asked):
                sent = fault.does(asked, sent)
        return sent

    def page(self, kind: str, query: Mapping[str, str]) -> Json:
        """A page of a search, as a client would have got it for prefetch."""
        matches = [r for r in self.resources if r["resourceType"] == kind and _matches(r, query)]
        start = int(query.get(_PAGE, 0))
        size = max(1, min(int(query.get("_count", self.page_size)), self.page_size))
        shown = matches[start : start + size]
        page: Json = {"resourceType": "Bundle", "type": "searchset"}
        if self.totals:
            page["total"] = len(matches)
        page["link"] = [{"relation": "self", "url": f"{self.base}/{kind}?{urlencode(query)}"}]
        if start + size < len(matches):
            following = urlencode({**query, _PAGE: start + size})
            page["link"].append({"relation": "next", "url": f"{self.base}/{kind}?{following}"})
        page["entry"] = [self._entry(r, "match") for r in shown]
        page["entry"] += [self._entry(r, "include") for r in self._included(shown, query)]
        return page

    def _right(self, asked: Asked) -> Json | Reply:
        if asked.kind == STATEMENT:
            return self.statement()
        if asked.kind in self.lacks:
            return _no(404, "not-supported")
        if asked.id is None:
            return self.page(asked.kind, asked.query)
        found = [r for r in self.resources if (r["resourceType"], r["id"]) == (asked.kind, asked.id)]
        return found[0] if found else _no(404, "not-found")

    def statement(self) -> Json:
        """The CapabilityStatement."""
        types = sorted({"Patient", "Practitioner", *USED_TYPES} - self.lacks)
        return {
            "resourceType": "CapabilityStatement",
            "status": "active",
            "kind": "instance",
            "fhirVersion": "4.0.1",
            "format": ["json"],
            "rest": [{"mode": "server", "resource": [{"type": t} for t in types]}],
        }

    def _entry(self, resource: Json, mode: str) -> Json:
        url = f"{self.base}/{resource['resourceType']}/{resource['id']}"
        return {"fullUrl": url, "resource": resource, "search": {"mode": mode}}

    def _included(self, shown: Sequence[Json], query: Mapping[str, str]) -> list[Json]:
        wanted = [i.split(":")[1] for i in query.get("_include", "").split(",") if i.count(":") >= 1]
        elements = [_INCLUDES[parameter] for parameter in wanted if parameter in _INCLUDES]
        named = {r[e].get("reference") for r in shown for e in elements if isinstance(r.get(e), dict)}
        return [r for r in self.resources if f"{r['resourceType']}/{r['id']}" in named]


def as_served(bundle: Json) -> list[Json]:
    """A Bundle's resources as a server would hold them: each with an id, references by `Type/id`."""
    entries = json.loads(json.dumps(bundle["entry"]))
    by_url = {}
    for number, entry in enumerate(entries):
        resource = entry["resource"]
        resource.setdefault("id", f"r{number}")
        by_url[entry.get("fullUrl")] = f"{resource['resourceType']}/{resource['id']}"
    resources = [entry["resource"] for entry in entries]
    for resource in resources:
        _refer(resource, by_url)
    return resources


def _refer(element: Any, by_url: Mapping[str, str]) -> None:
    for child in element.values() if isinstance(element, dict) else element:
        if isinstance(child, (dict, list)):
            _refer(child, by_url)
    if isinstance(element, dict) and isinstance(element.get("reference"), str):
        element["reference"] = by_url.get(element["reference"], element["reference"])


def _matches(resource: Json, query: Mapping[str, str]) -> bool:
    for name, value in query.items():
        if name in _PATIENT_PARAMETERS and not _belongs(resource, value.removeprefix("Patient/")):
            return False
        if name == "_id" and resource["id"] not in value.split(","):
            return False
        if name == "code" and _codes(resource.get("code")).isdisjoint(value.split(",")):
            return False
        if name == "category" and _codes(resource.get("category")).isdisjoint(value.split(",")):
            return False
    return True


def _belongs(resource: Json, patient_id: str) -> bool:
    named = {(resource.get(e) or {}).get("reference") for e in _SUBJECTS if isinstance(resource.get(e), dict)}
    return f"Patient/{patient_id}" in named


def _codes(concepts: Any) -> set[str]:
    """Codes as a token search finds them: bare, and with their system."""
    found = set()
    for concept in concepts if isinstance(concepts, list) else [concepts or {}]:
        for coding in concept.get("coding", []):
            found |= {coding.get("code", ""), f"{coding.get('system', '')}|{coding.get('code', '')}"}
    return found - {""}


def _no(status: int, code: str) -> Reply:
    outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": "error", "code": code}]}
    return Reply(json.dumps(outcome).encode(), status, {"Content-Type": "application/fhir+json"})


class _Server(ThreadingHTTPServer):
    """A client that needs no more of an answer may break off; that is no failure to print."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    served: ChartServer
    stop: threading.Event

    def setup(self) -> None:
        self.served.open_connections += 1
        super().setup()

    def finish(self) -> None:
        try:
            super().finish()
        finally:
            self.served.open_connections -= 1

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        path = parts.path.removeprefix(urlsplit(self.served.base).path).strip("/")
        query: dict[str, str] = {}
        for name, value in parse_qsl(parts.query, keep_blank_values=True):
            query[name] = f"{query[name]},{value}" if name in query else value
        url = self.served.root + self.path
        sent = self.served.answer(self.served.note(path, query, url, dict(self.headers)))
        try:
            self._send(sent)
        except OSError:
            self.close_connection = True

    def _send(self, sent: Sent) -> None:
        if isinstance(sent, dict):
            sent = Reply(json.dumps(sent).encode(), headers={"Content-Type": "application/fhir+json"})
        if not isinstance(sent, Reply):
            self.close_connection = True
            sent(Wire(self.connection, self.stop))
            return
        self.stop.wait(sent.wait)
        self.send_response(sent.status)
        headers = {name.lower() for name in sent.headers}
        if "content-length" not in headers and sent.status != 204:
            self.send_header("Content-Length", str(len(sent.body)))
        for name, value in sent.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(sent.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving_chart(*bundles: Json, faults: Iterable[Fault] = (), **settings: Any) -> Iterator[ChartServer]:
    """Serves these records on a free port of this machine until the block ends; `settings`: of ChartServer."""
    stop = threading.Event()
    served = ChartServer("", [], **settings)
    handler = type("Handler", (_Handler,), {"served": served, "stop": stop})
    server = _Server(("127.0.0.1", 0), handler)
    served.base = f"http://127.0.0.1:{server.server_address[1]}/fhir"
    served.serves(*bundles)
    served.faults.extend(faults)
    thread = threading.Thread(
        target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True, name="chart-server"
    )
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()
