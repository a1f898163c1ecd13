"""`serve` and `demo` as processes: they start, answer, and end; what can't be served is refused before it listens."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
import requests

from tests.support.answers import free_port
from tests.support.serving import START_SECONDS, Served, process, serving


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_serves_charts_and_cards_until_it_is_stopped(stop: signal.Signals, tmp_path: Path) -> None:
    port = free_port()
    base = f"http://127.0.0.1:{port}"
    with process(["demo", "--port", str(port)], tmp_path) as started:
        Served(started, port, tmp_path).wait()
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
        started.send_signal(stop)
        assert started.wait(timeout=20) == 0
    told = (tmp_path / "out.log").read_text()
    assert f"{base}/sandbox/" in told
    assert "Traceback" not in told
    assert [path.name for path in tmp_path.iterdir()] == ["out.log"], "the demo leaves nothing behind"


def test_serve_answers_as_configured(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2", config="[limits]\nbody_bytes = 1000\n") as served:
        services = requests.get(f"{served.base}/cds-services", timeout=10).json()["services"]
        assert {service["id"] for service in services} == {"trial-nct02917681", "trial-eligibility"}
        large = requests.post(f"{served.base}/cds-services/trial-eligibility", data=b" " * 1001, timeout=10)
        assert large.status_code == 413
        served.process.send_signal(signal.SIGTERM)
        assert served.process.wait(timeout=20) == 0
    assert served.lines()[0]["event"] == "started"


def test_without_clients_no_spelling_of_a_forwarded_header_gets_past(tmp_path: Path) -> None:
    with serving(tmp_path) as served:
        for name, status in [
            ("X-Correlation-Id", 200),
            ("X-Forwarded-For", 403),
            ("X_Forwarded_For", 400),
            ("x-forwarded_for", 400),
        ]:
            wire = served.connect()
            wire.send(f"GET /cds-services HTTP/1.1\r\nHost: localhost\r\n{name}: 192.0.2.1\r\n\r\n".encode())
            assert wire.answer()[0] == status, name


@pytest.mark.parametrize("command", ["serve", "demo"])
def test_a_port_that_is_taken_is_one_sentence(command: str, tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with process([command, "--port", str(port)], tmp_path) as started:
            assert started.wait(timeout=START_SECONDS) == 2
    told = (tmp_path / "out.log").read_text()
    assert told.startswith(f"cds-service: 127.0.0.1 port {port} can't be listened on")
    assert told.count("\n") == 1


def test_what_the_start_finds_wrong_is_one_sentence_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "cds-service.toml").write_text('[service]\ndatabase_url = "sqlite:///no/such/folder.db"\n')
    with process(["serve", "--port", str(free_port())], tmp_path) as started:
        assert started.wait(timeout=START_SECONDS) == 2
    told = (tmp_path / "out.log").read_text()
    assert told.startswith(
        "cds-service: cds-service.toml, line 2: service.database_url: the database can't be opened"
    )
    assert told.count("\n") == 1
