"""Audit events: what is in them, and that none gets lost on its way to a file or a server."""

from __future__ import annotations

import base64
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from cds_service.audit import FileSink, ServerSink, open_sink
from cds_service.errors import ConfigurationError, RetryLaterError
from cds_service.hooks.audit_events import Access, audit_event
from cds_service.hooks.observed import Unmetered
from cds_service.hooks.problems import outcome
from tests.support.audit import by_type, check_failure, check_success, repository
from tests.support.certificates import authority
from tests.unit.records_io.scripted_server import raw_server

WHEN = datetime(2026, 6, 15, 12, tzinfo=UTC)
ACCESS: dict[str, Any] = {
    "recorded": WHEN,
    "request_id": "9a6b0d0e-0000-4000-8000-000000000001",
    "base_url": "https://cds.example.org",
    "path": "/cds-services/trial-x",
    "patient": "123",
}


class Counting(Unmetered):
    """A meter that keeps what became of events."""

    def __init__(self) -> None:
        self.results: Counter[str] = Counter()

    def audited(self, result: str) -> None:
        self.results[result] += 1


def quiet(_event: str, **_fields: Any) -> None:
    pass


def server_sink(base: str, folder: Path, **more: Any) -> ServerSink:
    given: dict[str, Any] = {
        "token_file": None,
        "log": quiet,
        "meter": Unmetered(),
        "look_again": 0.02,
        **more,
    }
    return ServerSink(base, folder, **given)


# The event


def test_an_access_by_a_client_and_its_user_follows_the_profile() -> None:
    event = audit_event(
        Access(
            **ACCESS,
            client="hospital-a",
            issuer="https://ehr.example.org",
            address="10.1.2.3",
            user="Practitioner/p1",
            fhir_server="https://ehr.example.org/r4",
            hook_instance="d1577c69-dfbe-44ad-ba6d-3e05e953b2ea",
        )
    )
    check_success(event)
    (client,) = by_type(event["agent"], "110153")
    assert client["who"] == {"identifier": {"value": "hospital-a", "system": "https://ehr.example.org"}}
    assert client["network"] == {"address": "10.1.2.3", "type": "2"}
    (user,) = by_type(event["agent"], "IRCP")
    assert user["who"]["reference"] == "https://ehr.example.org/r4/Practitioner/p1"
    (patient,) = by_type(event["entity"], "1")
    assert patient["what"]["reference"] == "https://ehr.example.org/r4/Patient/123"
    (query,) = by_type(event["entity"], "2")
    asked = base64.b64decode(query["query"]).decode()
    assert asked == "POST /cds-services/trial-x\nhookInstance: d1577c69-dfbe-44ad-ba6d-3e05e953b2ea"


def test_without_client_user_and_server_it_follows_the_profile_too() -> None:
    event = audit_event(Access(**ACCESS))
    check_success(event)
    (client,) = by_type(event["agent"], "110153")
    assert client["requestor"] is True
    assert client["network"] == {"address": "localhost", "type": "1"}
    (patient,) = by_type(event["entity"], "1")
    assert patient["what"] == {"type": "Patient", "identifier": {"value": "Patient/123"}}


@pytest.mark.parametrize(("status", "code"), [(400, "4"), (403, "4"), (412, "4"), (500, "8"), (503, "8")])
def test_a_failure_says_so_and_holds_the_outcome_that_was_answered(status: int, code: str) -> None:
    event = audit_event(Access(**ACCESS, status=status, outcome=outcome("invalid", "What to do.")))
    check_failure(event)
    assert event["outcome"] == code
    assert event["contained"][0]["issue"][0]["diagnostics"] == "What to do."


# The file


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_file_of_lines_that_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    meter = Counting()
    sink = FileSink(path, meter)
    sink.record({"n": 1})
    sink.record({"n": 2, "text": "two\nlines"})
    assert path.stat().st_mode & 0o777 == 0o600
    assert [line["n"] for line in lines(path)] == [1, 2]
    assert meter.results == {"written": 2}


def test_a_file_that_was_moved_away_is_followed_by_a_new_one(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    sink = FileSink(path, Unmetered())
    sink.record({"n": 1})
    path.rename(tmp_path / "audit.1")
    sink.record({"n": 2})
    assert lines(path) == [{"n": 2}]
    assert path.stat().st_mode & 0o777 == 0o600


WRITER = """
import sys
from pathlib import Path
from cds_service.audit import FileSink
from cds_service.hooks.observed import Unmetered
sink = FileSink(Path(sys.argv[1]), Unmetered())
for n in range(200):
    sink.record({"by": sys.argv[2], "n": n, "filler": "x" * 5000})
"""


def test_several_processes_and_threads_write_whole_lines(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    others = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(n)], env=environment) for n in (1, 2)
    ]
    sink = FileSink(path, Unmetered())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: sink.record({"by": "0", "n": n, "filler": "x" * 5000}), range(200)))
    assert [other.wait(timeout=60) for other in others] == [0, 0]
    assert Counter((line["by"], line["n"]) for line in lines(path)) == {
        (str(by), n): 1 for by in range(3) for n in range(200)
    }


def test_a_file_that_can_not_be_written_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"audit\.sink"):
        FileSink(tmp_path / "nowhere" / "audit.ndjson", Unmetered())


def test_a_file_that_everybody_may_open_stops_the_start(tmp_path: Path) -> None:
    path = tmp_path / "audit.ndjson"
    path.touch()
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod"):
        FileSink(path, Unmetered())


@pytest.mark.parametrize("short", [True, False])
def test_a_full_disk_refuses_the_call_and_leaves_no_half_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, short: bool
) -> None:
    path = tmp_path / "audit.ndjson"
    meter = Counting()
    sink = FileSink(path, meter)
    sink.record({"n": 1})
    real = os.write

    def full(file: int, data: bytes) -> int:
        if short:
            return real(file, data[:5])
        raise OSError(errno.ENOSPC, "no space")

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(RetryLaterError):
        sink.record({"n": 2})
    monkeypatch.undo()
    sink.record({"n": 3})
    assert [line["n"] for line in lines(path)] == [1, 3]
    assert meter.results == {"written": 2, "lost": 1}


def test_a_folder_that_went_away_refuses_the_call_until_it_is_back(tmp_path: Path) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    sink = FileSink(folder / "audit.ndjson", Unmetered())
    (folder / "audit.ndjson").unlink()
    folder.rmdir()
    assert not sink.ready()
    with pytest.raises(RetryLaterError):
        sink.record({"n": 1})
    folder.mkdir()
    sink.record({"n": 2})
    assert sink.ready()


# The server


def test_events_reach_the_server_in_their_order_and_leave_the_spool(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret-token\n")
    folder = tmp_path / "spool"
    meter = Counting()
    with repository() as server:
        sink = server_sink(server.base, folder, token_file=token, meter=meter)
        sink.start()
        sink.start()
        for n in range(20):
            sink.record({"n": n})
        assert [event["n"] for event in server.wait_for(20)] == list(range(20))
        sink.close()
    assert set(server.paths) == {"/fhir/AuditEvent"}
    assert server.headers[0]["Authorization"] == "Bearer secret-token"
    assert server.headers[0]["Content-Type"] == "application/fhir+json"
    assert list(folder.glob("*.json")) == []
    assert folder.stat().st_mode & 0o777 == 0o700
    assert meter.results == {"written": 20, "delivered": 20}


def test_a_server_of_the_sites_own_authority_gets_the_events(tmp_path: Path) -> None:
    ours = authority(tmp_path)
    told: list[dict[str, Any]] = []
    refused = threading.Event()

    def log(_event: str, **fields: Any) -> None:
        told.append(fields)
        refused.set()

    with repository(tls=ours.server("localhost")) as server:
        stranger = server_sink(server.base, tmp_path / "spool", log=log)
        stranger.start()
        stranger.record({"n": 1})
        assert refused.wait(30)
        stranger.close()
        assert told[0]["problem"] == "certificate"
        sink = open_sink(
            server.base,
            token_file=None,
            spool_dir=tmp_path / "spool",
            log=quiet,
            meter=Unmetered(),
            ca_file=ours.file,
        )
        assert sink is not None
        sink.start()
        assert server.wait_for(1) == [{"n": 1}]
        sink.close()


def test_what_a_server_that_is_down_did_not_get_it_gets_after_a_restart(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    told: list[dict[str, Any]] = []
    delayed = threading.Event()

    def log(event: str, **fields: Any) -> None:
        told.append({"event": event, **fields})
        delayed.set()

    first = server_sink("http://127.0.0.1:9/fhir", folder, log=log)
    first.start()
    first.record({"n": 1, "name": "canary"})
    assert delayed.wait(30)
    first.record({"n": 2, "name": "canary"})
    first.close()
    assert told[0]["problem"] == "connection"
    assert "canary" not in str(told)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in folder.glob("*.json"))
    with repository() as server:
        second = server_sink(server.base, folder)
        second.start()
        assert [event["n"] for event in server.wait_for(2)] == [1, 2]
        second.close()


KILLED = """
import sys
from pathlib import Path
from cds_service.audit import ServerSink
from cds_service.hooks.observed import Unmetered
sink = ServerSink(sys.argv[1], Path(sys.argv[2]), token_file=None, log=lambda *_, **__: None, meter=Unmetered())
sink.start()
for n in range(10_000):
    sink.record({"n": n})
    print(n, flush=True)
"""


def test_a_process_that_is_killed_loses_no_event_that_it_acknowledged(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with repository() as server:
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, server.base, str(folder)], stdout=subprocess.PIPE, env=environment
        )
        assert process.stdout is not None
        server.wait_for(3)
        acknowledged = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        acknowledged += [int(line) for line in process.stdout.read().split()]
        process.wait()
        process.stdout.close()
        sink = server_sink(server.base, folder)
        sink.start()
        with server.came:
            assert server.came.wait_for(lambda: set(acknowledged) <= {e["n"] for e in server.events}, 30)
        sink.close()
    times = Counter(event["n"] for event in server.events)
    assert set(acknowledged) <= set(times)
    assert sum(times.values()) - len(times) <= 1, "at most the one under way when it was killed comes twice"


def test_two_processes_on_one_folder_send_each_event_once(tmp_path: Path) -> None:
    with repository() as server:
        sinks = [server_sink(server.base, tmp_path / "spool") for _ in range(2)]
        for sink in sinks:
            sink.start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda n: sinks[n % 2].record({"n": n}), range(60)))
        events = server.wait_for(60)
        for sink in sinks:
            sink.close()
    assert Counter(event["n"] for event in events) == dict.fromkeys(range(60), 1)


def test_where_the_process_that_sends_ends_another_goes_on(tmp_path: Path) -> None:
    with repository() as server:
        first, second = (server_sink(server.base, tmp_path / "spool") for _ in range(2))
        first.start()
        first.record({"n": 1})
        server.wait_for(1)
        second.start()
        first.close()
        second.record({"n": 2})
        assert [event["n"] for event in server.wait_for(2)] == [1, 2]
        second.close()


def test_an_event_that_is_rejected_is_put_aside_and_holds_up_no_other(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    meter = Counting()
    with repository(lambda event: 422 if event["n"] == 1 else 201) as server:
        sink = server_sink(server.base, folder, meter=meter)
        sink.start()
        for n in range(3):
            sink.record({"n": n})
        assert [event["n"] for event in server.wait_for(2)] == [0, 2]
        sink.close()
    (aside,) = (folder / "rejected").iterdir()
    assert json.loads(aside.read_text()) == {"n": 1}
    assert meter.results["rejected"] == 1


@pytest.mark.parametrize("status", [301, 401, 404, 429, 500, 503])
def test_what_may_pass_is_tried_again(tmp_path: Path, status: int) -> None:
    answers = [status, 201]
    meter = Counting()
    told: list[dict[str, Any]] = []
    with repository(lambda _event: answers.pop(0) if len(answers) > 1 else answers[0]) as server:
        log = lambda _event, **fields: told.append(fields)  # noqa: E731
        sink = server_sink(server.base, tmp_path / "spool", meter=meter, log=log)
        sink.start()
        sink.record({"n": 1})
        server.wait_for(1)
        sink.close()
    assert [fields["problem"] for fields in told] == [f"HTTP {status}"], "no redirect was followed"
    assert len(server.paths) == 2
    assert meter.results["delayed"] == 1


def test_an_answer_that_does_not_end_holds_up_nothing(tmp_path: Path) -> None:
    def talk(connection: socket.socket, stop: threading.Event) -> None:
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 1000000\r\n\r\n")
        stop.wait(60)

    told: Queue[Any] = Queue()
    with raw_server(talk) as base:
        log = lambda _event, **fields: told.put(fields["problem"])  # noqa: E731
        sink = server_sink(base, tmp_path / "spool", log=log)
        sink.start()
        sink.record({"n": 1})
        assert told.get(timeout=10) == "HTTP 302"
        sink.close()


def test_a_full_spool_refuses_the_call(tmp_path: Path) -> None:
    meter = Counting()
    sink = server_sink("http://127.0.0.1:9/fhir", tmp_path / "spool", capacity=2, meter=meter)
    sink.record({"n": 1})
    assert sink.ready()
    sink.record({"n": 2})
    assert not sink.ready()
    with pytest.raises(RetryLaterError, match="wait for their server"):
        sink.record({"n": 3})
    assert meter.results == {"written": 2, "lost": 1}


def test_a_folder_that_others_may_look_into_stops_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    folder.mkdir()
    folder.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"audit\.spool_dir"):
        server_sink("http://127.0.0.1:9/fhir", folder)
    assert folder.stat().st_mode & 0o777 == 0o755


def test_a_token_does_not_travel_in_the_open(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret")
    given: dict[str, Any] = {"spool_dir": tmp_path / "spool", "log": quiet, "meter": Unmetered()}
    with pytest.raises(ConfigurationError, match="https"):
        open_sink("http://audit.example.org/fhir", token_file=token, **given)
    with pytest.raises(ConfigurationError, match="can't be read"):
        open_sink("https://audit.example.org/fhir", token_file=tmp_path / "none", **given)
    token.write_text("two words")
    with pytest.raises(ConfigurationError, match="one bearer token"):
        open_sink("https://audit.example.org/fhir", token_file=token, **given)
    token.write_text("secret")
    assert open_sink("https://audit.example.org/fhir", token_file=token, **given) is not None
    assert open_sink(None, token_file=None, **given) is None
