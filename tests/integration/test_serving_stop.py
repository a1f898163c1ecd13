"""`serve` is told to stop: it says so, answers whatever it has accepted, and exits with 0, whoever else hurries it."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

import pytest

from tests.support.serving import Served, Wire, call_body, held_fhir, post, serving

DEADLINE = 60
READYZ = b"GET /readyz HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Load:
    """Clients that call without a pause until nobody listens any more; `outcomes` says how each call ended.

    A call is `lost` when its connection was made and no answer came on it; `refused` is a connection never made.
    """

    def __init__(self, served: Served, clients: int) -> None:
        self._served = served
        self.outcomes: Counter[str] = Counter()
        self.lost: list[str] = []
        kinds = (self._keeping, self._anew)
        self._threads = [threading.Thread(target=kinds[n % 2]) for n in range(clients)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive(), "a client hangs"

    def wait_for(self, answers: int) -> None:
        until = monotonic() + DEADLINE
        while self.outcomes["200"] < answers:
            assert monotonic() < until
            sleep(0.02)

    def _connect(self) -> Wire | None:
        try:
            return self._served.connect()
        except OSError:
            self.outcomes["refused"] += 1
            return None

    def _call(self, wire: Wire) -> bool:
        """One call; whether the connection may be used again."""
        try:
            wire.send(post(call_body()))
            status, headers, _ = wire.answer()
        except (OSError, AssertionError) as error:
            self.lost.append(f"{type(error).__name__}: {error}")
            return False
        self.outcomes[str(status)] += 1
        return headers["connection"] != "close"

    def _keeping(self) -> None:
        while (wire := self._connect()) is not None:
            with wire:
                while self._call(wire):
                    pass

    def _anew(self) -> None:
        while (wire := self._connect()) is not None:
            with wire:
                self._call(wire)


@pytest.mark.parametrize("workers", [1, 2])
def test_no_call_is_lost_when_the_service_stops_under_load(workers: int, tmp_path: Path) -> None:
    config = "[limits]\nrequests_per_minute = 1000000\n"
    with serving(tmp_path, "--workers", str(workers), "--drain-seconds", "0.5", config=config) as served:
        load = Load(served, 12)
        load.wait_for(50)
        served.process.send_signal(signal.SIGTERM)
        load.join()
        assert served.process.wait(DEADLINE) == 0
    assert load.lost == []
    assert set(load.outcomes) <= {"200", "503", "refused"}
    assert load.outcomes["refused"] == 12
    assert "Traceback" not in served.told()


def test_it_says_that_it_is_not_ready_before_it_stops_listening(tmp_path: Path) -> None:
    with serving(tmp_path, "--drain-seconds", "3") as served:
        with served.connect() as before:
            before.send(READYZ)
            assert before.answer()[0] == 200
        served.process.send_signal(signal.SIGTERM)
        seen = []
        with pytest.raises(ConnectionError):  # noqa: PT012 - until nobody listens
            while True:
                with served.connect() as wire:
                    wire.send(READYZ)
                    seen.append(wire.answer()[0])
        assert served.process.wait(DEADLINE) == 0
    assert 503 in seen
    assert 200 not in seen[seen.index(503) :]


def test_what_has_begun_is_finished(tmp_path: Path) -> None:
    config = "[limits]\nfetch_seconds = 60.0\nconcurrency = 1\n"
    with held_fhir() as fhir, serving(tmp_path, "--drain-seconds", "0", config=config) as served:
        working, uploading, chunked, kept = (served.connect() for _ in range(4))
        kept.send(READYZ)
        assert kept.answer()[0] == 200
        working.send(post(fhir.body()))
        fhir.wait_for(1)
        body = call_body()
        uploading.send(post(body[:50], length=len(body)))
        chunked.send(post(b"").replace(b"Content-Length: 0", b"Transfer-Encoding: chunked") + b"5\r\n")
        with served.connect() as last:  # what was sent before has been read when this is answered
            last.send(READYZ)
            assert last.answer()[0] == 200
        served.process.send_signal(signal.SIGTERM)
        uploading.send(body[50:])
        chunked.send(b'{"a":\r\n2\r\n1}\r\n0\r\n\r\n')
        kept.send(READYZ)
        status, headers, _ = kept.answer()
        assert (status, headers["connection"]) in {(200, "close"), (503, "close"), (200, "keep-alive")}
        assert served.process.poll() is None
        fhir.go.set()
        assert working.answer()[0] == 412
        assert uploading.answer()[0] == 200
        assert chunked.answer()[0] == 400
        assert served.process.wait(DEADLINE) == 0


@pytest.mark.parametrize("order", [(signal.SIGTERM,) * 3, (signal.SIGINT,) * 2])
def test_further_signals_end_it_without_waiting(order: tuple[signal.Signals, ...], tmp_path: Path) -> None:
    config = "[limits]\nfetch_seconds = 600.0\n"
    with held_fhir() as fhir, serving(tmp_path, "--drain-seconds", "200", config=config) as served:
        served.connect().send(post(fhir.body()))
        fhir.wait_for(1)
        for number in order:
            assert served.process.poll() is None
            served.process.send_signal(number)
            sleep(1.5)  # signals of one kind that come at once are one
        assert served.process.wait(DEADLINE) == 0


def test_a_new_set_of_workers_takes_over_without_a_lost_call(tmp_path: Path) -> None:
    config = "[limits]\nrequests_per_minute = 1000000\n"
    with serving(tmp_path, "--workers", "2", config=config) as served:
        old = set(served.wait_for_workers(2))
        load = Load(served, 6)
        load.wait_for(20)
        served.process.send_signal(signal.SIGHUP)
        until = monotonic() + DEADLINE
        while old & set(served.workers()) or len(served.workers()) < 2:
            assert monotonic() < until
            sleep(0.05)
        answered = load.outcomes["200"]
        load.wait_for(answered + 20)
        served.process.send_signal(signal.SIGTERM)
        load.join()
        assert served.process.wait(DEADLINE) == 0
    assert load.lost == []
