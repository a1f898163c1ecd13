"""`cds-service serve` as a process of its own, raw connections to it, and a FHIR server that holds what it is asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import requests

from tests.support.answers import free_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from cds_service.cli import main; main()"]
START_SECONDS = 60.0
SERVICE = "/cds-services/trial-eligibility"


def environment() -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    return {**keep, "PYTHONPATH": str(ROOT)}


@contextmanager
def process(arguments: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command in a process of its own group, whose output goes to `out.log`; killed at the end."""
    with (folder / "out.log").open("wb") as log:
        started = subprocess.Popen(
            [*COMMAND, *arguments],
            cwd=folder,
            env=environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        started.kill()
        started.wait()


@dataclass
class Served:
    """A running service."""

    process: subprocess.Popen[bytes]
    port: int
    folder: Path
    scheme: str = "http"
    wires: list[Wire] = field(default_factory=list)

    @property
    def base(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}"

    def wait(self, verify: Any = None) -> None:
        until = monotonic() + START_SECONDS
        while monotonic() < until:
            assert self.process.poll() is None, self.told()
            try:
                if requests.get(f"{self.base}/healthz", timeout=5, verify=verify).ok:
                    return
            except requests.RequestException:
                sleep(0.05)
        raise AssertionError(self.told())

    def told(self) -> str:
        return (self.folder / "out.log").read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.told().splitlines()]

    def connect(self) -> Wire:
        """A connection, closed at the latest with the service."""
        self.wires.append(Wire(socket.create_connection(("127.0.0.1", self.port), timeout=60)))
        return self.wires[-1]

    def wait_for_workers(self, count: int) -> list[int]:
        """The process ids of the workers, once there are so many."""
        until = monotonic() + START_SECONDS
        while len(found := self.workers()) < count:
            assert monotonic() < until
            sleep(0.02)
        return found

    def workers(self) -> list[int]:
        """The process ids of the workers (Linux)."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]


@contextmanager
def serving(folder: Path, *arguments: str, config: str = "") -> Iterator[Served]:
    """The service with this configuration file, once it answers."""
    port = free_port()
    (folder / "cds-service.toml").write_text(config)
    with process(["serve", "--port", str(port), *arguments], folder) as started:
        served = Served(started, port, folder)
        try:
            served.wait()
            yield served
        finally:
            for wire in served.wires:
                wire.close()


class Wire:
    """A raw connection: bytes out, HTTP answers in."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._rest = b""

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower case) and body of the next answer; AssertionError where none comes."""
        while b"\r\n\r\n" not in self._rest:
            self._more()
        head, _, self._rest = self._rest.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        length = int(headers["content-length"])
        while len(self._rest) < length:
            self._more()
        body, self._rest = self._rest[:length], self._rest[length:]
        return int(status.split()[1]), headers, body

    def _more(self) -> None:
        data = self.sock.recv(65_536)
        assert data, "the connection ended without an answer"
        self._rest += data

    def ended(self) -> bool:
        """Waits until the server closes; True where nothing more came."""
        return self.sock.recv(1) == b""

    def close(self) -> None:
        self.sock.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def call_body(**more: Any) -> bytes:
    """A hook call that is answered at once, from its prefetch."""
    patient = {"resourceType": "Patient", "id": "1", "gender": "male", "birthDate": "1971-03-10"}
    call = {
        "hook": "patient-view",
        "hookInstance": "4a1b2c3d-0000-4000-8000-000000000002",
        "context": {"userId": "Practitioner/p1", "patientId": "1"},
        "prefetch": {"patient": patient, "condition": None},
        **more,
    }
    return json.dumps(call).encode()


def post(body: bytes, *headers: str, length: int | None = None, path: str = SERVICE) -> bytes:
    """The bytes of a call; `length`: what it says, where that is not the truth."""
    size = len(body) if length is None else length
    head = [
        f"POST {path} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {size}",
    ]
    return "\r\n".join([*head, *headers, "", ""]).encode() + body


@dataclass
class Held:
    """A FHIR server that answers nothing (404) before it is told to."""

    base: str = ""
    go: threading.Event = field(default_factory=threading.Event)
    asked: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def body(self) -> bytes:
        """A call that works until this server answers."""
        return call_body(prefetch={}, fhirServer=self.base)

    def wait_for(self, requests: int) -> None:
        """Until it was asked so often."""
        for _ in range(requests):
            assert self.asked.acquire(timeout=60)


@contextmanager
def held_fhir() -> Iterator[Held]:
    held = Held()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            held.asked.release()
            held.go.wait(120)
            try:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()
            except ConnectionError:
                pass

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.base = f"http://127.0.0.1:{server.server_address[1]}/fhir"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield held
    finally:
        held.go.set()
        server.shutdown()
        server.server_close()
        thread.join()
