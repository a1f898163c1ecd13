"""The transport: what a call may read, how long it may take, when it asks again, and what is told of it."""

from __future__ import annotations

import gzip
import os
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from cds_service.records import retrying
from cds_service.records.addresses import LOOPBACK
from cds_service.records.fetch_bounds import Allowance
from cds_service.records.fhir_server import acquire
from cds_service.records.fhir_transport import Bounds, Deadline, FetchFailure, PooledClient, Transport
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from tests.unit.records_io.scripted_server import (
    Answer,
    ScriptedServer,
    bundle,
    condition,
    counted,
    elapsed,
    patient,
    serving,
)
from tests.unit.records_io.watching import Watching

BUSY = Answer("", 503)


@pytest.fixture
def watching() -> Watching:
    return Watching()


@pytest.fixture
def transport(watching: Watching) -> Iterator[Transport]:
    made = Transport(watch=watching)
    yield made
    made.close()


def client_of(server: ScriptedServer, transport: Transport, seconds: float = 10.0) -> PooledClient:
    return Source(server.base, transport, reach=LOOPBACK).client(Deadline(seconds))


def end(client: PooledClient, path: str = "Condition") -> str:
    """How a request ended."""
    try:
        client.execute(path, method="get")
    except FetchFailure as failure:
        return failure.reason
    return "ok"


# --- deadlines -----------------------------------------------------------------------------------------------------


def test_a_deadline_within_another_is_the_earlier_of_both() -> None:
    call = Deadline(100.0)
    assert 9 < call.within(10.0).left() <= 10
    assert 90 < call.within(1000.0).left() <= 100
    assert Deadline(0.0).within(10.0).left() == 0
    with pytest.raises(FetchFailure, match="timeout"):
        Deadline(-1.0).within(10.0).remaining()


def test_a_search_has_five_sixths_of_what_is_left_unless_the_site_says_otherwise() -> None:
    assert 49 < Deadline(60.0).of_search(Bounds()).left() <= 50
    assert 6 < Deadline(60.0).of_search(Bounds(search_seconds=7.0)).left() <= 7
    begun = Deadline(60.0)
    begun._end -= 48
    assert 9 < begun.of_search(Bounds()).left() <= 10
    late = Deadline(60.0).within(5.0)
    assert late.of_search(Bounds(search_seconds=7.0)).left() <= 5


def test_a_search_that_hangs_leaves_time_for_others(watching: Watching) -> None:
    transport = Transport(bounds=Bounds(search_seconds=0.3), watch=watching)
    with serving({"Condition": Answer(bundle(), wait=60), "Patient/1": patient()}) as server:
        call = client_of(server, transport, 30.0)
        ended, took = elapsed(lambda: end(call.for_search()))
        assert ended == "timeout"
        assert took < 10
        assert end(call, "Patient/1") == "ok"
    transport.close()


def test_pages_and_retries_of_a_search_share_its_time() -> None:
    transport = Transport(bounds=Bounds(search_seconds=0.5, retries=50))
    with serving({"Condition": Answer("", 503, {"Retry-After": "0"}, wait=0.1)}) as server:
        ended, took = elapsed(lambda: end(client_of(server, transport, 60.0).for_search()))
    transport.close()
    assert ended in ("timeout", "HTTP 503")
    assert took < 20


# --- allowance -----------------------------------------------------------------------------------------------------


def test_an_allowance_is_used_up_once_and_for_all_threads() -> None:
    allowance = Allowance(Bounds(resources=1000))
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: allowance.take(resources=10), range(200)))
    assert taken.count(True) == 100
    assert not allowance.take()


def test_a_chart_of_five_thousand_resources_is_within_it() -> None:
    assert Allowance(Bounds()).take(resources=5_000, size=5_000 * 4_000)


def test_all_clients_of_a_call_share_one_allowance(transport: Transport) -> None:
    source = Source("http://127.0.0.1:9/fhir", transport)
    first, second = source.client(Deadline(5)), source.client(Deadline(5))
    assert first.allowance is second.allowance is first.for_search().allowance
    assert Source("http://127.0.0.1:9/fhir", transport).client(Deadline(5)).allowance is not first.allowance


def test_the_bytes_of_all_answers_of_a_call_are_bounded_together() -> None:
    transport = Transport(bounds=Bounds(answer_bytes=50_000, call_bytes=100_000))
    with serving({"Condition": Answer('"' + "x" * 40_000 + '"')}) as server:
        call = client_of(server, transport)
        assert [end(call) for _ in range(4)] == [
            "ok",
            "ok",
            "more data than are read",
            "more data than are read",
        ]
        assert end(client_of(server, transport)) == "ok", "the next call starts anew"
    transport.close()


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_zipped_bomb_is_counted_unpacked_and_stopped_on_the_way(
    monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    body = b" " * 200_000_000
    for _ in range(times):
        body = gzip.compress(body, compresslevel=1)
    pieces: list[int] = []
    take = Allowance.take

    def noting(self: Allowance, *, resources: int = 0, size: int = 0) -> bool:
        pieces.append(size)
        return take(self, resources=resources, size=size)

    monkeypatch.setattr(Allowance, "take", noting)
    transport = Transport(bounds=Bounds(answer_bytes=1_000_000))
    with serving(
        {"Condition": Answer(body, headers={"Content-Encoding": ", ".join(["gzip"] * times)})}
    ) as server:
        assert end(client_of(server, transport, 60.0)) == "answer too large"
    transport.close()
    assert sum(pieces) <= 1_000_000
    assert max(pieces, default=0) <= 100_000


def test_a_body_that_can_not_be_unpacked_is_not_asked_for_again(transport: Transport) -> None:
    with serving({"Condition": Answer("garbage", headers={"Content-Encoding": "gzip"})}) as server:
        assert end(client_of(server, transport)) == "not JSON"
        assert len(server.requests) == 1


# --- asking again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [429, 502, 503])
def test_what_may_pass_is_asked_again(transport: Transport, watching: Watching, status: int) -> None:
    busy = Answer("", status)
    with serving({"Condition": counted(busy, busy, bundle())}) as server:
        assert end(client_of(server, transport)) == "ok"
        assert len(server.requests) == 3
    assert watching.retries == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 500, 501, 504])
def test_what_will_not_pass_is_not(transport: Transport, status: int) -> None:
    with serving({"Condition": Answer("", status)}) as server:
        assert end(client_of(server, transport)) == f"HTTP {status}"
        assert len(server.requests) == 1


def test_it_is_not_asked_more_often_than_the_bound(watching: Watching) -> None:
    transport = Transport(bounds=Bounds(retries=3), watch=watching)
    with serving({"Condition": Answer("", 503, {"Retry-After": "0"})}) as server:
        assert end(client_of(server, transport)) == "HTTP 503"
        assert len(server.requests) == 4
    transport.close()
    assert watching.retries == 3


def test_the_time_between_grows_and_is_not_the_same_for_all() -> None:
    for attempt, longest in ((1, 0.2), (2, 0.4), (3, 0.8)):
        drawn = [retrying.backoff(attempt) for _ in range(50)]
        assert all(longest / 2 <= seconds <= longest for seconds in drawn)
        assert len(set(drawn)) > 1


NOW = datetime(2026, 6, 15, 12, 0, 0, tzinfo=UTC)


def dated(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "0"}, 0.0),
        ({"Retry-After": " 7 "}, 7.0),
        ({"Retry-After": "-7"}, None),
        ({"Retry-After": "7.5"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "٧"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Mon, 99 Jun 2026 12:00:07 GMT"}, None),
        ({"Retry-After": "Mon, 15 Jun 99999 12:00:07 GMT"}, None),
        # The server's clock is years from ours; what counts is what it means by it.
        ({"Retry-After": dated(NOW + timedelta(seconds=7)), "Date": dated(NOW)}, 7.0),
        ({"Retry-After": dated(NOW - timedelta(seconds=7)), "Date": dated(NOW)}, 0.0),
        ({"Retry-After": "Mon, 15 Jun 2026 12:00:07 -0000", "Date": dated(NOW)}, 7.0),
        ({"Retry-After": dated(NOW.replace(year=2001)), "Date": "today"}, 0.0),
    ],
)
def test_how_long_a_server_asks_to_wait(headers: dict[str, str], seconds: float | None) -> None:
    assert retrying.retry_after(headers) == seconds


def test_a_date_of_a_server_without_a_clock_is_told_from_ours() -> None:
    in_a_minute = dated(datetime.now(UTC) + timedelta(seconds=60))
    waited = retrying.retry_after({"Retry-After": in_a_minute})
    assert waited is not None
    assert 30 < waited <= 61


def test_a_server_that_says_wait_holds_back_all_requests_of_the_call(transport: Transport) -> None:
    script = {"Condition": Answer("", 429, {"Retry-After": "60"}), "Patient/1": patient()}
    with serving(script) as server:
        call = client_of(server, transport, 5.0)
        assert end(call) == "HTTP 429"
        ended, took = elapsed(lambda: end(call, "Patient/1"))
        assert ended == "HTTP 429"
        assert took < 2
        assert server.asked("Patient/1") == []
        assert end(client_of(server, transport, 5.0), "Patient/1") == "ok", "another call's own matter"


def test_they_go_on_when_that_time_is_over(transport: Transport) -> None:
    asked: list[float] = []

    def other(_query: dict[str, str]) -> Any:
        asked.append(time.monotonic())
        return patient()

    busy = Answer("", 503, {"Retry-After": "1"})
    with serving({"Condition": counted(busy, bundle()), "Patient/1": other}) as server:
        call = client_of(server, transport, 20.0)
        before = time.monotonic()
        waiting = threading.Thread(target=end, args=(call,))
        waiting.start()
        while not server.asked("Condition"):
            time.sleep(0.01)
        while call._call._held_until == 0.0:
            time.sleep(0.01)
        assert end(call, "Patient/1") == "ok"
        waiting.join()
        assert len(server.asked("Condition")) == 2
    assert asked[0] - before >= 0.9


def test_no_more_requests_of_a_call_run_at_a_time_than_are_allowed() -> None:
    transport = Transport(bounds=Bounds(parallel=3))
    running, most = [0], [0]
    counting = threading.Lock()

    def slow(_query: dict[str, str]) -> Any:
        with counting:
            running[0] += 1
            most[0] = max(most[0], running[0])
        time.sleep(0.05)
        with counting:
            running[0] -= 1
        return bundle()

    with serving({"Condition": slow}) as server, ThreadPoolExecutor(16) as pool:
        call = client_of(server, transport, 30.0)
        assert list(pool.map(lambda _: end(call), range(16))) == ["ok"] * 16
    transport.close()
    assert most[0] <= 3


# --- what is told --------------------------------------------------------------------------------------------------


def test_each_request_is_told_of_by_its_kind_and_its_end(transport: Transport, watching: Watching) -> None:
    script = {
        "Patient/canary": patient("canary"),
        "Condition": Answer("", 404),
        "metadata": {"resourceType": "CapabilityStatement"},
        "": bundle(),
        "1234": bundle(),
        "Canary-canary": bundle(),
    }
    with serving(script) as server:
        call = client_of(server, transport)
        for path in ("Patient/canary", "Condition?patient=canary", "metadata"):
            end(call, path)
        for link in ("?_getpages=canary", "/1234", "/Canary-canary"):
            end(call, server.base + link)
        end(call, "http://127.0.0.1:9/canary")
    assert watching.requests == [
        ("Patient", None),
        ("Condition", "HTTP 404"),
        ("metadata", None),
        ("page", None),
        ("page", None),
        ("page", None),
        ("page", "link to another server"),
    ]
    assert all(0 <= seconds < 10 for seconds in watching.seconds)


# --- nothing is left behind ----------------------------------------------------------------------------------------


def fetching() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith(("fhir", "lookup"))]


def test_a_stalled_server_leaves_no_thread_behind() -> None:
    stalled = {
        kind: Answer(bundle(), wait=60) for kind in ("Condition", "Observation", "Procedure", "Consent")
    }
    transport = Transport()
    before = fetching()
    with serving({"Patient/1": patient(), **stalled}) as server:
        for _ in range(3):
            record, took = elapsed(
                lambda: acquire(
                    server.base, "1", Wanted(frozenset(stalled)), seconds=1.0, transport=transport
                )
            )
            assert took < 10
            assert {record.state(kind).reason for kind in stalled} == {"timeout"}
        patience = time.monotonic() + 10
        while len(fetching()) > len(before) and time.monotonic() < patience:
            time.sleep(0.02)
        assert len(fetching()) <= len(before), "while the server still stalls"
    transport.close()


def test_a_process_that_forks_shares_neither_connections_nor_breakers(
    monkeypatch: pytest.MonkeyPatch, transport: Transport
) -> None:
    with serving({"Patient/1": patient(), "Condition": bundle(condition())}) as server:
        parent = Source(server.base, transport, reach=LOOPBACK)
        assert end(parent.client(Deadline(5)), "Patient/1") == "ok"
        theirs = transport._session(LOOPBACK)
        mine = os.getpid()
        monkeypatch.setattr(os, "getpid", lambda: mine + 1)
        child = Source(server.base, transport, reach=LOOPBACK)
        assert end(child.client(Deadline(5)), "Patient/1") == "ok"
        assert transport._session(LOOPBACK) is not theirs
        assert child.call._breakers is not parent.call._breakers
