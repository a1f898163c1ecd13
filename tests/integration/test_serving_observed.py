"""`serve` as processes: metrics right over all workers, and a log that holds lines of the service's own form only."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
from pathlib import Path
from time import monotonic, sleep
from typing import Any

import pytest
import requests

from tests.contract.hook_requests import hook_request, person
from tests.support.audit import repository
from tests.support.serving import serving
from tests.unit.test_metrics import value

SERVICE = "/cds-services/trial-nct02917681"
CALL = hook_request(prefetch={"patient": person(), "condition": None})
GARBAGE = (
    b"CANARY canary\r\n\r\n",
    b"GET /canary HTTP/9.9\r\n\r\n",
    b"POST /canary HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: canary\r\n\r\n",
    b"GET /canary HTTP/1.1\r\nHost: localhost\r\nBad Header canary: x\r\n\r\n",
    b"GET /canary HTTP/1.1\r\nHost: localhost\r\nContent-Length: canary\r\n\r\n",
    b"\x16\x03\x01canary",
)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "out.log").read_text().splitlines()]


def counted(base: str) -> float:
    text = requests.get(f"{base}/metrics", timeout=10).text
    route = "/cds-services/<service_id>"
    return value(text, "cds_request_seconds_count", route=route, method="POST", status="200")


def call(base: str) -> int:
    # A connection of its own, so that all workers get some.
    return requests.post(
        f"{base}{SERVICE}", json=CALL, timeout=30, headers={"Connection": "close"}
    ).status_code


def test_metrics_are_right_over_workers_also_when_one_dies(tmp_path: Path) -> None:
    with serving(tmp_path, "--workers", "2") as served:
        process, base = served.process, served.base
        assert [call(base) for _ in range(20)] == [200] * 20
        assert {counted(base) for _ in range(6)} == {20.0}
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        if children.exists():
            workers = [int(pid) for pid in children.read_text().split()]
            os.kill(workers[0], signal.SIGKILL)
            until = monotonic() + 30
            while workers[0] in map(int, children.read_text().split()) and monotonic() < until:
                sleep(0.05)
        assert [call(base) for _ in range(10)] == [200] * 10
        assert {counted(base) for _ in range(6)} == {30.0}
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0
    assert {line["event"] for line in lines(tmp_path)} >= {"started", "request", "call"}


@pytest.mark.parametrize("workers", [1, 2])
def test_no_canary_is_in_the_log_of_a_process_and_events_reach_the_server(
    tmp_path: Path, workers: int
) -> None:
    with repository() as server:
        config = f'[audit]\nsink = "{server.base}"\n'
        with serving(tmp_path, "--workers", str(workers), config=config) as served:
            process, base, port = served.process, served.base, served.port
            for raw in GARBAGE:
                with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
                    connection.sendall(raw)
                    connection.shutdown(socket.SHUT_WR)
                    assert b"canary" not in connection.recv(10_000).lower()
            marked = {
                **CALL,
                "canary": "canary",
                "context": {"userId": "Practitioner/canary", "patientId": "canary"},
            }
            marked["prefetch"] = {"patient": person("canary", name=[{"text": "canary"}]), "condition": None}
            for path in (SERVICE, "/canary", "/trials/canary?canary=canary"):
                requests.post(f"{base}{path}", json=marked, timeout=30, headers={"X-Canary": "canary"})
            (event,) = server.wait_for(1)
            assert "Patient/canary" in json.dumps(event)
            page = requests.get(f"{base}/metrics", timeout=10).text
            assert "canary" not in page.lower()
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
    told = (tmp_path / "out.log").read_text()
    assert "canary" not in told.lower()
    assert not re.search(r"127\.0\.0\.1|Traceback", told)
    assert all({"time", "event"} <= line.keys() for line in lines(tmp_path))
