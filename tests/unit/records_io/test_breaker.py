"""Breakers: a server that answers no call is left alone for a while, and nobody else is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.records.addresses import LOOPBACK, PUBLIC, Reach
from cds_service.records.breaker import (
    CALLS,
    CLOSED,
    FIRST_SECONDS,
    LONGEST_SECONDS,
    OPENED,
    Breakers,
)
from cds_service.records.fhir_transport import Bounds, Deadline, FetchFailure, Transport
from cds_service.records.source import Source
from tests.support.clock import Clock
from tests.unit.records_io.scripted_server import Answer, bundle, elapsed, outcome, patient, serving
from tests.unit.records_io.watching import Watching

SERVER = "a server"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breakers(clock: Clock) -> Breakers:
    return Breakers(clock)


def silent_call(breakers: Breakers, server: str = SERVER, *kinds: str, call: object = None) -> str | None:
    """One call of which no request was answered; what that changed."""
    call = call or object()
    changes = [
        breakers.silent(server, call, kind, first=n == 0)
        for n, kind in enumerate(kinds or ("Condition", "Patient"))
    ]
    return next((change for change in changes if change), None)


def opened(breakers: Breakers, server: str = SERVER) -> None:
    assert [silent_call(breakers, server) for _ in range(CALLS)] == [None] * (CALLS - 1) + [OPENED]


def admits(breakers: Breakers, call: object = None, server: str = SERVER, seconds: float = 3.0) -> bool:
    return breakers.admits(server, call or object(), seconds)


def test_calls_in_a_row_without_an_answer_open_it(breakers: Breakers) -> None:
    for _ in range(CALLS - 1):
        silent_call(breakers)
        assert admits(breakers)
    assert silent_call(breakers) == OPENED
    assert not admits(breakers)
    assert breakers.open() == 1


def test_an_answer_between_them_starts_the_count_anew(breakers: Breakers) -> None:
    for _ in range(3 * CALLS):
        silent_call(breakers)
        silent_call(breakers)
        assert breakers.answered(SERVER) is None
    assert admits(breakers)


def test_many_silent_requests_of_one_call_count_once(breakers: Breakers) -> None:
    silent_call(breakers, SERVER, *[f"Type{n}" for n in range(50)])
    assert admits(breakers)


def test_silence_on_one_type_alone_opens_nothing(breakers: Breakers) -> None:
    for _ in range(10 * CALLS):
        assert silent_call(breakers, SERVER, "Observation", "Observation") is None
    assert admits(breakers)
    assert silent_call(breakers, SERVER, "Condition") == OPENED


def test_one_type_is_enough_where_no_connection_can_be_made(breakers: Breakers) -> None:
    changes = [
        breakers.silent(SERVER, object(), "Condition", first=True, unreachable=True) for _ in range(CALLS)
    ]
    assert changes[-1] == OPENED


def test_another_server_is_not_affected(breakers: Breakers) -> None:
    opened(breakers)
    assert admits(breakers, server="another")
    silent_call(breakers, "another")
    assert admits(breakers, server="another")


def test_after_its_time_one_call_is_let_through_with_all_its_requests(
    breakers: Breakers, clock: Clock
) -> None:
    opened(breakers)
    clock.now += FIRST_SECONDS - 0.01
    assert not admits(breakers)
    clock.now += 0.02
    probe = object()
    assert admits(breakers, probe)
    assert not admits(breakers)
    assert admits(breakers, probe)
    assert breakers.answered(SERVER) == CLOSED
    assert admits(breakers)
    assert breakers.open() == 0


def test_a_silent_probe_doubles_the_time_up_to_a_bound(breakers: Breakers, clock: Clock) -> None:
    opened(breakers)
    seconds = FIRST_SECONDS
    for _ in range(8):
        clock.now += seconds
        probe = object()
        assert admits(breakers, probe)
        assert silent_call(breakers, call=probe) is None
        seconds = min(2 * seconds, LONGEST_SECONDS)
        clock.now += seconds - 0.01
        assert not admits(breakers)
        clock.now += 0.01
    assert seconds == LONGEST_SECONDS
    assert breakers.answered(SERVER) == CLOSED
    opened(breakers)
    clock.now += FIRST_SECONDS
    assert admits(breakers), "the time is as short as at first again"


def test_a_probe_of_which_nothing_is_heard_makes_way_for_the_next(breakers: Breakers, clock: Clock) -> None:
    opened(breakers)
    clock.now += FIRST_SECONDS
    assert admits(breakers, seconds=3.0)
    clock.now += 2.9
    assert not admits(breakers)
    clock.now += 0.2
    assert admits(breakers)


def test_calls_that_were_under_way_when_it_opened_change_nothing(breakers: Breakers, clock: Clock) -> None:
    opened(breakers)
    for _ in range(20):
        assert silent_call(breakers) is None
    clock.now += FIRST_SECONDS
    assert admits(breakers)


def test_of_many_calls_at_once_one_probes(breakers: Breakers, clock: Clock) -> None:
    opened(breakers)
    clock.now += FIRST_SECONDS
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: admits(breakers), range(200))) == 1


EVENTS = st.lists(
    st.tuples(st.sampled_from(["silent", "unreachable", "answered", "asks", "waits"]), st.integers(0, 3)),
    max_size=60,
)


@given(events=EVENTS)
def test_whatever_happened_a_server_is_asked_again_some_time(events: list[tuple[str, int]]) -> None:
    clock = Clock()
    breakers = Breakers(clock)
    calls = [object() for _ in range(4)]
    for event, n in events:
        if event == "answered":
            breakers.answered(SERVER)
            assert admits(breakers, calls[n])
        elif event == "asks":
            breakers.admits(SERVER, calls[n], 3.0)
        elif event == "waits":
            clock.now += 10.0 ** (n - 1)
        else:
            breakers.silent(SERVER, calls[n], str(n), first=True, unreachable=event == "unreachable")
    clock.now += LONGEST_SECONDS + 3.0
    assert admits(breakers)


def test_their_number_is_bounded(breakers: Breakers) -> None:
    for n in range(1000):
        silent_call(breakers, f"server {n}")
    opened(breakers)
    assert len(breakers._circuits) <= 256
    assert not admits(breakers)


# --- through a transport -------------------------------------------------------------------------------------------

Asked = Callable[..., list[str]]


@pytest.fixture
def watching() -> Watching:
    return Watching()


@pytest.fixture
def transport(clock: Clock, watching: Watching) -> Iterator[Transport]:
    made = Transport(bounds=Bounds(retries=0), clock=clock, watch=watching)
    yield made
    made.close()


def called(
    transport: Transport,
    base: str,
    *,
    paths: tuple[str, ...] = ("Patient/1", "Condition"),
    seconds: float = 5.0,
    reach: Reach = LOOPBACK,
    token: str | None = None,
) -> list[str]:
    """One call that asks for these, one after the other: how each ended."""
    source = Source(base, transport, token, reach=reach, client_name="hospital-a")
    deadline = Deadline(seconds)
    ends = []
    for path in paths:
        try:
            source.client(deadline).execute(path, method="get")
            ends.append("ok")
        except FetchFailure as failure:
            ends.append(failure.reason)
    return ends


def dead() -> str:
    with serving({}) as server:
        return server.base


def test_a_dead_server_is_no_longer_waited_for(transport: Transport, watching: Watching) -> None:
    base = dead()
    for _ in range(CALLS):
        assert called(transport, base) == ["connection", "connection"]
    ends, took = elapsed(lambda: [called(transport, base) for _ in range(20)])
    assert ends == [["server not answering"] * 2] * 20
    assert took < 2
    assert watching.changes == [("opened", "hospital-a", 1)]
    assert watching.turned_away_calls == 20


def test_a_server_that_comes_back_is_asked_again(clock: Clock, watching: Watching) -> None:
    script: dict[str, Any] = {"Patient/1": Answer("", 503), "Condition": Answer("", 503)}
    transport = Transport(bounds=Bounds(retries=0), clock=clock, watch=watching)
    with serving(script) as server:
        for _ in range(CALLS):
            assert called(transport, server.base) == ["HTTP 503", "HTTP 503"]
        asked = len(server.requests)
        assert called(transport, server.base) == ["server not answering"] * 2
        assert len(server.requests) == asked
        clock.now += FIRST_SECONDS
        server.script.update({"Patient/1": patient(), "Condition": bundle()})
        assert called(transport, server.base) == ["ok", "ok"]
        assert called(transport, server.base) == ["ok", "ok"]
    transport.close()
    assert [change for change, _, _ in watching.changes] == ["opened", "closed"]
    assert watching.changes[-1][2] == 0


LIVING = {
    "a refused token": Answer(outcome(), 401),
    "a refused patient": Answer(outcome(), 403),
    "nobody of that id": Answer(outcome(), 404),
    "an error": Answer("boom", 500),
    "too many requests": Answer("", 429),
    "no JSON": Answer("<html>"),
    "no gzip": Answer("garbage", headers={"Content-Encoding": "gzip"}),
    "a redirect": Answer("", 302, {"Location": "http://127.0.0.1:9/"}),
}


@pytest.mark.parametrize("answer", LIVING.values(), ids=LIVING)
def test_any_answer_proves_that_it_lives(transport: Transport, answer: Answer) -> None:
    with serving({"Patient/1": answer, "Condition": answer}) as server:
        for _ in range(CALLS + 1):
            assert "server not answering" not in called(transport, server.base)


@pytest.mark.parametrize("status", [502, 503, 504])
def test_a_gateway_without_anything_behind_it_is_no_answer(transport: Transport, status: int) -> None:
    with serving({"Patient/1": Answer("", status), "Condition": Answer("", status)}) as server:
        for _ in range(CALLS):
            called(transport, server.base)
        assert called(transport, server.base) == ["server not answering"] * 2


def test_a_broken_type_does_not_open_it(transport: Transport) -> None:
    """Asked alone, as when everything else comes by prefetch, or beside others that are answered."""
    with serving({"Patient/1": patient(), "Observation": Answer("", 503)}) as server:
        for _ in range(2 * CALLS):
            assert called(transport, server.base, paths=("Observation",)) == ["HTTP 503"]
        for _ in range(2 * CALLS):
            called(transport, server.base, paths=("Observation", "Procedure"))
        assert called(transport, server.base, paths=("Patient/1",)) == ["ok"]


def test_a_stalled_server_is_silent(transport: Transport) -> None:
    stalled = {"Patient/1": Answer(patient(), wait=60), "Condition": Answer(bundle(), wait=60)}
    with serving(stalled) as server:
        for n in range(CALLS):
            # The second is not sent at all: no time is left. What is not sent proves nothing.
            paths = ("Patient/1", "Condition") if n % 2 else ("Condition", "Patient/1")
            assert called(transport, server.base, paths=paths, seconds=0.2) == ["timeout", "timeout"]
        assert called(transport, server.base) == ["server not answering"] * 2


def test_one_slow_patient_does_not_open_it(transport: Transport) -> None:
    script = {"Patient/2": Answer(patient("2"), wait=60), "Condition": Answer(bundle(), wait=60)}
    with serving({**script, "Patient/1": patient()}) as server:
        for _ in range(CALLS):
            assert called(transport, server.base, paths=("Patient/2",), seconds=0.2) == ["timeout"]
            assert called(transport, server.base, paths=("Patient/1",)) == ["ok"]
        assert called(transport, server.base, paths=("Patient/1",)) == ["ok"]


def test_what_never_was_asked_counts_for_nothing(transport: Transport) -> None:
    with serving({"Patient/1": patient()}) as server:
        for _ in range(2 * CALLS):
            assert called(transport, server.base, seconds=0.0) == ["timeout", "timeout"]
            assert called(transport, server.base, reach=PUBLIC) == ["address not allowed"] * 2
        assert called(transport, server.base, paths=("Patient/1",)) == ["ok"]


def test_a_call_that_was_admitted_goes_on_when_it_opens(transport: Transport) -> None:
    with serving(
        {"Patient/1": patient(), "metadata": Answer("", 503), "Condition": Answer("", 503)}
    ) as server:
        source = Source(server.base, transport, reach=LOOPBACK)
        early = source.client(Deadline(30.0))
        for _ in range(CALLS):
            called(transport, server.base, paths=("metadata", "Condition"))
        assert called(transport, server.base) == ["server not answering"] * 2
        assert early.execute("Patient/1", method="get")["id"] == "1"
        assert source.client(Deadline(30.0)).execute("Patient/1", method="get")["id"] == "1"
        assert called(transport, server.base, paths=("Patient/1",)) == ["ok"], "its answer closed it"


def test_what_one_rule_can_not_reach_another_may(transport: Transport) -> None:
    """Clients of one server by name may be led to different addresses."""
    base = dead()
    for _ in range(CALLS):
        called(transport, base)
    assert called(transport, base) == ["server not answering"] * 2
    assert called(transport, base, reach=PUBLIC) == ["address not allowed"] * 2
