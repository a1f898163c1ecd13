"""A FHIR server on loopback that does exactly what a test scripts, and counts what it was asked.

A script leads from a path ("Condition", "Patient/1", "metadata", "page/2") to an answer: an Answer, a JSON value, or a
function of the query. What no script names is answered as an empty searchset. `raw_server` is for what is no HTTP at
all, `Names` for names that lead where a test wants.
"""

from __future__ import annotations

import gzip
import json
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cds_service.records.lookups import Endpoint


@dataclass(frozen=True)
class Answer:
    """One HTTP answer. `body`: JSON value, text or bytes; `wait`, `drip`: seconds before it and between its pieces."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    wait: float = 0.0
    drip: float = 0.0
    zipped: bool = False
    cut: int | None = None


Script = dict[str, Any]
# A name that only `Names` knows.
NAME = "ehr.hospital.test"


@dataclass
class Request:
    path: str
    query: dict[str, str]
    headers: dict[str, str]


@dataclass
class ScriptedServer:
    base: str
    script: Script
    requests: list[Request] = field(default_factory=list)

    def asked(self, path: str) -> list[Request]:
        return [request for request in self.requests if request.path == path]


def bundle(
    *resources: dict[str, Any], total: int | None = None, next_url: str | None = None
) -> dict[str, Any]:
    """A searchset page of these resources."""
    page: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
    page["entry"] = [
        {
            "resource": resource,
            "search": {"mode": "outcome" if resource["resourceType"] == "OperationOutcome" else "match"},
        }
        for resource in resources
    ]
    if total is not None:
        page["total"] = total
    if next_url is not None:
        page["link"] = [{"relation": "next", "url": next_url}]
    return page


def outcome(severity: str = "error", code: str = "exception") -> dict[str, Any]:
    return {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": code}]}


def patient(patient_id: str = "1", **more: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": patient_id, **more}


def condition(condition_id: str = "c1", patient_id: str = "1", **more: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient_id}"}
    return {"resourceType": "Condition", "id": condition_id, "subject": subject, **more}


def observation(observation_id: str, patient_id: str = "1", **more: Any) -> dict[str, Any]:
    subject = {"reference": f"Patient/{patient_id}"}
    return {
        "resourceType": "Observation",
        "id": observation_id,
        "status": "final",
        "subject": subject,
        **more,
    }


class _Server(ThreadingHTTPServer):
    """A client that needs no more of an answer may break off, or trust no certificate; that is no failure to print."""

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError | ssl.SSLError):
            super().handle_error(request, client_address)


@contextmanager
def serving(
    script: Script, *, prefix: str = "/fhir", tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """Runs the script on a free port of this machine until the block ends; `tls`: by https, with that certificate."""
    stop = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            path = parts.path.removeprefix(prefix).strip("/")
            query = dict(parse_qsl(parts.query, keep_blank_values=True))
            served.requests.append(Request(path, query, dict(self.headers)))
            found = served.script.get(path, bundle())
            if callable(found):
                found = found(query)
            self._send(found if isinstance(found, Answer) else Answer(found))

        def _send(self, answer: Answer) -> None:
            stop.wait(answer.wait)
            body = answer.body
            if not isinstance(body, bytes):
                body = (body if isinstance(body, str) else json.dumps(body)).encode()
            if answer.zipped:
                body = gzip.compress(body)
            self.send_response(answer.status)
            if answer.zipped:
                self.send_header("Content-Encoding", "gzip")
            self.send_header("Content-Length", str(len(body)))
            for name, value in answer.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self._write(body[: answer.cut], answer)

        def _write(self, body: bytes, answer: Answer) -> None:
            step = 20 if answer.drip else max(1, len(body))
            try:
                for start in range(0, len(body), step):
                    self.wfile.write(body[start : start + step])
                    self.wfile.flush()
                    if answer.drip and stop.wait(answer.drip):
                        return
            except OSError:
                return
            if answer.cut is not None:
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = _Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    scheme = "http" if tls is None else "https"
    served = ScriptedServer(f"{scheme}://127.0.0.1:{server.server_address[1]}{prefix}", script)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        stop.set()
        server.shutdown()
        server.server_close()
        thread.join()


def counted(*answers: Any) -> Callable[[dict[str, str]], Any]:
    """A script that gives one answer after the other, and the last one from then on."""
    left = list(answers)

    def answer(_query: dict[str, str]) -> Any:
        return left.pop(0) if len(left) > 1 else left[0]

    return answer


def elapsed(action: Callable[[], Any]) -> tuple[Any, float]:
    """What an action returns, and how many seconds it took."""
    started = time.monotonic()
    result = action()
    return result, time.monotonic() - started


def named(server: ScriptedServer, host: str = NAME) -> str:
    """The server's base by a name that only the test's resolver knows."""
    parts = urlsplit(server.base)
    return f"{parts.scheme}://{host}:{parts.port}{parts.path}"


class Names:
    """A resolver that answers each question with the next of the scripted lists of addresses, the last from then on."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[Endpoint]:
        self.asked.append(host)
        found = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return [
            (socket.AF_INET6, (a, port, 0, 0)) if ":" in a else (socket.AF_INET, (a, port)) for a in found
        ]


@contextmanager
def raw_server(talk: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that says what `talk` says to each connection once it has been asked something; its base."""
    stop = threading.Event()
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.recv(65536)
                    talk(connection, stop)
                except OSError:
                    pass

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/fhir"
    finally:
        stop.set()
        listening.shutdown(socket.SHUT_RDWR)
        listening.close()
        thread.join(timeout=10)


def endless(beginning: bytes, piece: bytes, pause: float) -> Callable[[socket.socket, threading.Event], None]:
    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(beginning)
        while not stop.wait(pause):
            connection.sendall(piece)

    return talk
