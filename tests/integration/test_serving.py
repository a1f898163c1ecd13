"""`serve` and `demo` as processes: they start, answer, and end; what can't be served is refused before it listens."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import monotonic, sleep

import pytest
import requests

from tests.support.answers import free_port

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-c", "from cds_service.cli import main; main()"]
START_SECONDS = 60.0


def _environment() -> dict[str, str]:
    keep = {name: value for name, value in os.environ.items() if not name.startswith("CDS_")}
    return {**keep, "PYTHONPATH": str(ROOT)}


@contextmanager
def _process(arguments: Sequence[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "out.log").open("wb") as log:
        process = subprocess.Popen(
            [*COMMAND, *arguments], cwd=folder, env=_environment(), stdout=log, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _wait(process: subprocess.Popen[bytes], base: str, folder: Path) -> None:
    until = monotonic() + START_SECONDS
    while monotonic() < until:
        assert process.poll() is None, (folder / "out.log").read_text()
        try:
            if requests.get(f"{base}/healthz", timeout=5).ok:
                return
        except requests.RequestException:
            sleep(0.1)
    raise AssertionError((folder / "out.log").read_text())


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_serves_charts_and_cards_until_it_is_stopped(stop: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with _process(["demo", "--port", str(port)], tmp_path) as process:
        _wait(process, base, tmp_path)
        assert "text/html" in requests.get(f"{base}/sandbox/", timeout=10).headers["Content-Type"]
        patients = requests.get(f"{base}/sandbox/fhir/Patient", timeout=10).json()
        assert patients["total"] >= 12
        call = {
            "hook": "patient-view",
            "hookInstance": "4a1b2c3d-0000-4000-8000-000000000002",
            "fhirServer": f"{base}/sandbox/fhir",
            "context": {"userId": "Practitioner/sandbox-clinician", "patientId": "av-01-joao"},
        }
        answer = requests.post(f"{base}/cds-services/trial-nct02917681", json=call, timeout=30).json()
        (card,) = answer["cards"]
        assert card["extension"]["org.cds-service.assessment"]["asOf"] == "2026-06-15"
        process.send_signal(stop)
        assert process.wait(timeout=20) == 0
    told = (tmp_path / "out.log").read_text()
    assert f"{base}/sandbox/" in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["out.log"], "the demo leaves nothing behind"


def test_serve_answers_as_configured_and_refused_uploads_hold_nobody_up(tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    (tmp_path / "cds-service.toml").write_text("[limits]\nbody_bytes = 1000\n")
    with _process(["serve", "--port", str(port), "--workers", "2"], tmp_path) as process:
        _wait(process, base, tmp_path)
        services = requests.get(f"{base}/cds-services", timeout=10).json()["services"]
        assert {service["id"] for service in services} == {"trial-nct02917681", "trial-eligibility"}
        head = f"POST /cds-services/trial-eligibility HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
        head += "Content-Type: application/json\r\nContent-Length: 50000000\r\n\r\n"
        uploads = [socket.create_connection(("127.0.0.1", port)) for _ in range(10)]
        try:
            for upload in uploads:
                upload.sendall(head.encode() + b"x" * 10_000)
            assert uploads[0].recv(100).startswith(b"HTTP/1.1 413 ")
            begun = monotonic()
            assert requests.get(f"{base}/healthz", timeout=10).ok
            assert monotonic() - begun < 5
        finally:
            for upload in uploads:
                upload.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    lines = [json.loads(line) for line in (tmp_path / "out.log").read_text().splitlines()]
    assert lines[0]["event"] == "started"


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_is_one_sentence(command: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with _process([command, "--port", str(port)], tmp_path) as process:
            assert process.wait(timeout=START_SECONDS) == 2
    told = (tmp_path / "out.log").read_text()
    assert told.startswith(f"cds-service: 127.0.0.1 port {port} can't be listened on")
    assert told.count("\n") == 1
