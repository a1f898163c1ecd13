"""What IHE's Basic Audit Log Patterns ask of an AuditEvent, and a FHIR server that takes them."""

from __future__ import annotations

import base64
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fhir.resources.R4B.auditevent import AuditEvent

PATIENT_QUERY = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.PatientQuery"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"


def by_type(items: list[dict[str, Any]], code: str) -> list[dict[str, Any]]:
    """The agents or entities of one slice."""
    found = []
    for item in items:
        type_ = item["type"]
        codings = type_.get("coding", [type_])
        if any(coding["code"] == code for coding in codings):
            found.append(item)
    return found


def check_form(event: dict[str, Any]) -> None:
    """Valid R4, and the elements that BALP's Query and PatientQuery require whatever came of it."""
    AuditEvent.model_validate(event)
    assert event["type"]["code"] == "rest"
    assert [s["code"] for s in event["subtype"]].count("search") == 1
    assert event["action"] == "E"
    assert event["recorded"]
    (client,) = by_type(event["agent"], "110153")
    (server,) = by_type(event["agent"], "110152")
    for agent in (client, server):
        assert agent["who"]
        assert agent["network"]["address"]
        assert "media" not in agent
    for user in by_type(event["agent"], "IRCP"):
        assert user["who"]
        assert user["requestor"] is True
        assert not {"network", "media"} & user.keys()
    assert sum(agent["requestor"] for agent in event["agent"]) == 1
    assert event["source"]["observer"]
    (patient,) = by_type(event["entity"], "1")
    assert patient["role"]["code"] == "1"
    assert patient["what"]["type"] == "Patient"
    (query,) = (e for e in by_type(event["entity"], "2") if e.get("role"))
    assert query["role"]["code"] == "24"
    assert not {"what", "lifecycle", "detail"} & query.keys()
    assert base64.b64decode(query["query"], validate=True)
    (transaction,) = by_type(event["entity"], "XrequestId")
    assert transaction["what"]["identifier"]["value"]


def check_success(event: dict[str, Any]) -> None:
    """An event that claims the profile PatientQuery, rightly."""
    check_form(event)
    assert event["meta"]["profile"] == [PATIENT_QUERY]
    assert event["outcome"] == "0"


def check_failure(event: dict[str, Any]) -> None:
    """An event of a refused or failed access: the same form, no claim, and the OperationOutcome."""
    check_form(event)
    assert "meta" not in event
    assert event["outcome"] in ("4", "8")
    (contained,) = event["contained"]
    assert contained["resourceType"] == "OperationOutcome"
    assert {"reference": f"#{contained['id']}"} in [e.get("what") for e in event["entity"]]


@dataclass
class Repository:
    """A FHIR server for AuditEvents; `answer` says with which status the next one is answered."""

    base: str
    answer: Callable[[dict[str, Any]], int]
    events: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    came: threading.Condition = field(default_factory=threading.Condition)

    def wait_for(self, count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The events, once there are so many."""
        with self.came:
            assert self.came.wait_for(lambda: len(self.events) >= count, seconds), len(self.events)
            return list(self.events)


@contextmanager
def repository(
    answer: Callable[[dict[str, Any]], int] = lambda _event: 201, *, tls: ssl.SSLContext | None = None
) -> Iterator[Repository]:
    """Runs until the block ends. What is answered with an error does not count as an event. tls: as `localhost`."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            event = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = made.answer(event)
            with made.came:
                made.headers.append(dict(self.headers))
                made.paths.append(self.path)
                if status < 300:
                    made.events.append(event)
                made.came.notify_all()
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.send_header("Location", "http://127.0.0.1:9/elsewhere")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    place = f"http://127.0.0.1:{server.server_address[1]}"
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        place = f"https://localhost:{server.server_address[1]}"
    made = Repository(f"{place}/fhir", answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
