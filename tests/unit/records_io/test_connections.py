"""Connections: to judged addresses only, whatever the name says a moment later, and held up by no server."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cds_service.records import connections, fhir_transport
from cds_service.records.addresses import ANYWHERE, LOOPBACK, PUBLIC, Reach, reach_of
from cds_service.records.connections import dial
from cds_service.records.fhir_transport import Bounds, Deadline, FetchFailure, PooledClient, Transport
from cds_service.records.lookups import Endpoint, Lookups
from tests.support.certificates import authority
from tests.unit.records_io.scripted_server import (
    NAME,
    Answer,
    Names,
    counted,
    elapsed,
    endless,
    named,
    outcome,
    patient,
    raw_server,
    serving,
)

HERE = reach_of(NAME, ("127.0.0.1/32",))
SECRET = "token-canary"


@pytest.fixture
def transport_of() -> Iterator[Callable[..., Transport]]:
    made: list[Transport] = []

    def make(names: Names | None = None, **options: Any) -> Transport:
        given = {"resolve": names, **options} if names else options
        made.append(Transport(bounds=Bounds(answer_bytes=100_000, retries=0), **given))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def read(transport: Transport, base: str, reach: Reach, seconds: float = 5.0) -> Any:
    client = PooledClient(base, transport, Deadline(seconds), SECRET, reach)
    return client.execute("Patient/1", method="get")


def test_a_name_is_asked_once_and_the_address_that_passed_is_connected_to(
    transport_of: Callable[..., Transport],
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with serving({"Patient/1": patient()}) as server:
        transport = transport_of(names)
        assert read(transport, named(server), HERE)["id"] == "1"
        assert read(transport, named(server), HERE)["id"] == "1"
        assert [r.headers["Host"] for r in server.requests] == [urlsplit(named(server)).netloc] * 2
    assert names.asked == [NAME]


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.0.0.5",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
        "fe80::1",
    ],
)
def test_a_name_that_leads_to_an_address_that_is_not_listed_is_refused(
    transport_of: Callable[..., Transport], address: str
) -> None:
    names = Names([address], ["127.0.0.1"])
    with serving({"Patient/1": patient()}) as server:
        with pytest.raises(FetchFailure) as caught:
            read(transport_of(names), named(server), PUBLIC)
        assert server.requests == []
    assert caught.value.reason == "address not allowed"
    assert caught.value.__cause__ is None
    assert address not in str(caught.value)
    assert names.asked == [NAME], "nothing is asked twice: neither the name nor the server"


def test_a_name_that_leads_elsewhere_on_its_next_connection_is_judged_anew(
    transport_of: Callable[..., Transport],
) -> None:
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    with serving({"Patient/1": Answer(patient(), headers={"Connection": "close"})}) as server:
        transport = transport_of(names)
        assert read(transport, named(server), HERE)["id"] == "1"
        with pytest.raises(FetchFailure, match="address not allowed"):
            read(transport, named(server), HERE)
        assert len(server.requests) == 1


def test_of_several_addresses_only_those_allowed_are_tried(transport_of: Callable[..., Transport]) -> None:
    with serving({"Patient/1": patient()}) as server:
        elsewhere = reach_of(NAME, ("127.0.0.3/32",))
        with pytest.raises(FetchFailure, match="connection"):
            read(transport_of(Names(["127.0.0.1", "127.0.0.3"])), named(server), elsewhere)
        assert server.requests == []
        assert read(transport_of(Names(["10.0.0.1", "127.0.0.1"])), named(server), HERE)["id"] == "1"


def test_a_dead_address_leaves_time_for_the_next(transport_of: Callable[..., Transport]) -> None:
    both = reach_of(NAME, ("127.0.0.0/24",))
    with serving({"Patient/1": patient()}) as server:
        assert read(transport_of(Names(["127.0.0.3", "127.0.0.1"])), named(server), both)["id"] == "1"


def test_a_connection_made_under_one_rule_does_not_serve_under_another(
    transport_of: Callable[..., Transport],
) -> None:
    with serving({"Patient/1": patient()}) as server:
        transport = transport_of(Names(["127.0.0.1"]))
        assert read(transport, named(server), HERE)["id"] == "1"
        with pytest.raises(FetchFailure, match="address not allowed"):
            read(transport, named(server), PUBLIC)
        assert len(server.requests) == 1


def test_nothing_is_allowed_that_no_one_allowed(transport_of: Callable[..., Transport]) -> None:
    with serving({"Patient/1": patient()}) as server:
        client = PooledClient(server.base, transport_of(), Deadline(5), None)
        with pytest.raises(FetchFailure, match="address not allowed"):
            client.execute("Patient/1", method="get")
        with pytest.raises(FetchFailure, match="address not allowed"):
            transport_of().get(f"{server.base}/Patient/1", {}, Deadline(5))
        assert server.requests == []


@pytest.mark.parametrize("host", ["127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "017700000001"])
def test_odd_notations_of_an_address_are_judged_by_what_the_resolver_makes_of_them(host: str) -> None:
    """They do not get past the list; should they, this stops them."""
    try:
        assert {found[4][0] for found in socket.getaddrinfo(host, 80, type=socket.SOCK_STREAM)} == {
            "127.0.0.1"
        }
    except socket.gaierror:
        pytest.skip("this machine's resolver does not read this notation")
    with pytest.raises(FetchFailure, match="address not allowed"):
        Transport().get(f"http://{host}:9/fhir", {}, Deadline(5), PUBLIC)


def test_the_certificate_must_be_the_names_though_an_address_is_connected_to(
    transport_of: Callable[..., Transport], tmp_path: Path
) -> None:
    trusted = authority(tmp_path)
    asked_for: list[str | None] = []

    def note(_socket: ssl.SSLObject, name: str | None, _context: ssl.SSLContext) -> None:
        asked_for.append(name)

    tls = trusted.server(NAME)
    tls.sni_callback = note
    with serving({"Patient/1": patient()}, tls=tls) as server:
        transport = transport_of(Names(["127.0.0.1"]), ca_file=trusted.file)
        assert read(transport, named(server), HERE)["id"] == "1"
        assert asked_for == [NAME]
        for host in ("other.hospital.test", "127.0.0.1"):
            with pytest.raises(FetchFailure, match="certificate"):
                read(transport, named(server, host), reach_of(host, ("127.0.0.1/32",)))
        with pytest.raises(FetchFailure, match="certificate"):  # an authority that nobody named
            read(transport_of(Names(["127.0.0.1"])), named(server), HERE)
        assert [r.headers["Authorization"] for r in server.requests] == [f"Bearer {SECRET}"]


@pytest.mark.parametrize(
    ("beginning", "piece"),
    [
        (b"", b"H"),
        (b"HTTP/1.1 200 OK\r\n", b"X"),
        (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 90000\r\n\r\n", b"{"),
    ],
    ids=["status", "header", "headers", "continue", "chunk-size", "body"],
)
def test_a_server_that_sends_a_little_now_and_then_does_not_hold_the_thread(
    transport_of: Callable[..., Transport], beginning: bytes, piece: bytes
) -> None:
    with raw_server(endless(beginning, piece, 0.05)) as base:
        failure, took = elapsed(lambda: failing(transport_of(), base, 0.5))
    assert failure in ("timeout", "connection")
    assert took < 4


def failing(transport: Transport, base: str, seconds: float) -> str:
    with pytest.raises(FetchFailure) as caught:
        read(transport, base, LOOPBACK, seconds)
    return caught.value.reason


def test_the_body_of_a_redirect_is_not_read(transport_of: Callable[..., Transport]) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 900000000\r\n\r\n"
    with raw_server(endless(head, b"x" * 65536, 0.001)) as base:
        failure, took = elapsed(lambda: failing(transport_of(), base, 8.0))
    assert failure == "redirect not followed"
    assert took < 4


def test_an_answer_larger_than_the_bound_is_cut_off(transport_of: Callable[..., Transport]) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n"
    with raw_server(endless(head, b" " * 65536, 0.001)) as base:
        assert failing(transport_of(), base, 8.0) == "answer too large"


def test_too_many_addresses_are_not_all_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def refuse(_family: socket.AddressFamily, endpoint: tuple[Any, ...], _seconds: float) -> socket.socket:
        tried.append(endpoint[0])
        raise ConnectionRefusedError

    monkeypatch.setattr("cds_service.records.connections._connected", refuse)
    names = Names(["10.0.0.1", *(f"127.0.1.{n}" for n in range(1, 200))])
    with pytest.raises(ConnectionRefusedError):
        dial(NAME, 9, 5.0, LOOPBACK, Lookups(names).find)
    assert tried == [f"127.0.1.{n}" for n in range(1, 9)]


def test_no_time_left_is_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        dial(NAME, 9, 0.0, ANYWHERE, Lookups(Names(["127.0.0.1"])).find)


def test_a_name_without_addresses_is_a_failed_connection(transport_of: Callable[..., Transport]) -> None:
    transport = transport_of(Names([]))
    with pytest.raises(FetchFailure, match="connection"):
        read(transport, f"http://{NAME}/fhir", PUBLIC)


# --- names ---------------------------------------------------------------------------------------------------------


class Hanging:
    """A resolver that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.let_go = threading.Event()
        self.asked: list[str] = []

    def __call__(self, host: str, port: int) -> list[Endpoint]:
        self.asked.append(host)
        self.let_go.wait(60)
        return [(socket.AF_INET, ("127.0.0.1", port))]


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    made = Hanging()
    yield made
    made.let_go.set()


def looking_up() -> int:
    return sum(thread.name == "lookup" for thread in threading.enumerate())


def test_a_resolver_that_hangs_holds_nobody_beyond_the_deadline(
    transport_of: Callable[..., Transport], hanging: Hanging
) -> None:
    before = looking_up()
    transport = transport_of(hanging)
    for _ in range(3):
        with ThreadPoolExecutor(8) as pool:
            asking = [pool.submit(failing_at, transport, 0.3) for _ in range(8)]
            ends, took = elapsed(lambda asking=asking: [ended.result() for ended in asking])
        assert ends == ["timeout"] * 8
        assert took < 10
    assert hanging.asked == [NAME], "one lookup of a name at a time"
    assert looking_up() - before <= 1


def failing_at(transport: Transport, seconds: float) -> str:
    with pytest.raises(FetchFailure) as caught:
        read(transport, f"http://{NAME}:9/fhir", HERE, seconds)
    return caught.value.reason


def test_an_address_is_looked_up_by_nobody_else(hanging: Hanging) -> None:
    hanging.let_go.set()
    lookups = Lookups(hanging)
    before = looking_up()
    assert lookups.find("127.0.0.1", 9, 0.0)
    assert lookups.find("fe80::1%eth0", 9, 0.0)
    assert looking_up() == before


def test_whoever_waits_for_the_same_name_gets_the_same_answer_and_nothing_is_kept(hanging: Hanging) -> None:
    lookups = Lookups(hanging)
    with ThreadPoolExecutor(8) as pool:
        asking = [pool.submit(lookups.find, NAME, port, 30.0) for port in (1, 1, 1, 2)]
        patience = time.monotonic() + 10
        while len(hanging.asked) < 2 and time.monotonic() < patience:
            time.sleep(0.01)
        hanging.let_go.set()
        found = [ended.result() for ended in asking]
    assert [endpoint[1] for ((_, endpoint),) in found] == [1, 1, 1, 2]
    before = len(hanging.asked)
    lookups.find(NAME, 1, 30.0)
    assert len(hanging.asked) == before + 1


def test_what_goes_wrong_with_a_lookup_is_told_to_whoever_waits(
    transport_of: Callable[..., Transport],
) -> None:
    for error in (socket.gaierror("no such name"), UnicodeError("label too long")):

        def broken(_host: str, _port: int, error: Exception = error) -> list[Endpoint]:
            raise error

        with pytest.raises(type(error)):
            Lookups(broken).find(NAME, 9, 5.0)
        assert failing_at(transport_of(broken), 5.0) == "connection"


def test_lookups_that_hang_are_bounded(hanging: Hanging) -> None:
    before = looking_up()
    lookups = Lookups(hanging)
    for n in range(100):
        with pytest.raises(OSError):  # noqa: PT011  (a TimeoutError is one, too)
            lookups.find(f"name-{n}.test", 9, 0.0)
    assert looking_up() - before <= 64


# --- connections ---------------------------------------------------------------------------------------------------


def test_a_dead_address_does_not_take_all_the_time(
    monkeypatch: pytest.MonkeyPatch, transport_of: Callable[..., Transport]
) -> None:
    given: list[float] = []

    def dead(_family: socket.AddressFamily, _endpoint: tuple[Any, ...], seconds: float) -> socket.socket:
        given.append(seconds)
        raise TimeoutError

    monkeypatch.setattr("cds_service.records.connections._connected", dead)
    assert failing(transport_of(), "http://127.0.0.1:9/fhir", 3.0) == "timeout"
    assert max(given) <= Bounds().connect_seconds < 3
    assert failing(transport_of(), "http://127.0.0.1:9/fhir", 30.0) == "timeout"
    assert 5 < max(given) <= 10


def test_connecting_counts_against_the_time_of_the_request(
    monkeypatch: pytest.MonkeyPatch, transport_of: Callable[..., Transport]
) -> None:
    connected = connections._connected

    def slowly(family: socket.AddressFamily, endpoint: tuple[Any, ...], seconds: float) -> socket.socket:
        time.sleep(1.0)
        return connected(family, endpoint, seconds)

    monkeypatch.setattr(connections, "_connected", slowly)
    set_to: list[float] = []
    timed = connections._TimedReader

    def noting(sock: socket.socket, source: Any, end: float) -> Any:
        set_to.append(end - time.monotonic())
        return timed(sock, source, end)

    monkeypatch.setattr(connections, "_TimedReader", noting)
    with serving({"Patient/1": patient()}) as server:
        assert read(transport_of(), server.base, LOOPBACK, 5.0)["id"] == "1"
    assert max(set_to) <= 4.0


def closing(closed: threading.Event) -> Callable[[socket.socket, threading.Event], None]:
    """Answers one request as if the connection stayed, and closes it."""
    body = b'{"resourceType": "Patient", "id": "1"}'
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def talk(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(head + body)
        connection.shutdown(socket.SHUT_RDWR)
        closed.set()

    return talk


def test_a_connection_that_was_closed_while_it_rested_is_not_used(
    transport_of: Callable[..., Transport],
) -> None:
    closed = threading.Event()
    with raw_server(closing(closed)) as base:
        transport = transport_of()
        for _ in range(5):
            assert read(transport, base, LOOPBACK)["id"] == "1"
            assert closed.wait(10)
            closed.clear()


def test_what_is_no_tls_is_a_broken_connection(transport_of: Callable[..., Transport]) -> None:
    with serving({"Patient/1": patient()}) as server, pytest.raises(FetchFailure, match="connection"):
        read(transport_of(), server.base.replace("http:", "https:"), LOOPBACK)


def test_one_that_breaks_as_it_is_used_is_made_again_at_once() -> None:
    transport = Transport(bounds=Bounds(retries=1))
    broken = Answer(patient(), cut=5)
    with serving({"Patient/1": counted(broken, patient())}) as server:
        assert read(transport, server.base, LOOPBACK)["id"] == "1"
        assert len(server.requests) == 2
    transport.close()


def test_a_connection_that_rested_for_long_is_not_used(
    monkeypatch: pytest.MonkeyPatch, transport_of: Callable[..., Transport]
) -> None:
    names = Names(["127.0.0.1"])
    with serving({"Patient/1": patient()}) as server:
        transport = transport_of(names)
        for _ in range(3):
            read(transport, named(server), HERE)
        assert len(names.asked) == 1
        monkeypatch.setattr(connections, "LONGEST_REST", -1.0)
        for _ in range(3):
            read(transport, named(server), HERE)
        assert len(names.asked) == 4


def test_more_connections_than_are_kept_are_closed_without_a_word(
    caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    transport = Transport(pool=2)
    with serving({"Patient/1": Answer(patient(), wait=0.2)}) as server, ThreadPoolExecutor(12) as pool:
        found = list(pool.map(lambda _: read(transport, server.base, LOOPBACK, 30.0), range(24)))
    transport.close()
    assert [resource["id"] for resource in found] == ["1"] * 24
    assert caplog.records == []
    assert capfd.readouterr().err == ""


def test_headers_that_can_not_be_parsed_put_no_address_in_a_log(
    transport_of: Callable[..., Transport],
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    body = b'{"resourceType": "Patient", "id": "1"}'
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nno header at all\r\nX: y\r\n\r\n" % len(body)

    def talk(connection: socket.socket, _stop: threading.Event) -> None:
        connection.sendall(head + body)

    with raw_server(talk) as base:
        assert read(transport_of(), base, LOOPBACK)["id"] == "1"
    assert caplog.records == []
    assert capfd.readouterr().err == ""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[socket.socket]:
    """The connections that are made."""
    made: list[socket.socket] = []
    connected = connections._connected

    def noting(family: socket.AddressFamily, endpoint: tuple[Any, ...], seconds: float) -> socket.socket:
        made.append(connected(family, endpoint, seconds))
        return made[-1]

    monkeypatch.setattr(connections, "_connected", noting)
    return made


def test_those_that_rested_for_long_are_closed_while_other_servers_are_asked(
    monkeypatch: pytest.MonkeyPatch, transport_of: Callable[..., Transport], made: list[socket.socket]
) -> None:
    """Each server of many would keep those of its busiest moment, and the process run out of files."""
    with serving({"Patient/1": patient()}) as server, serving({"Patient/1": patient()}) as other:
        transport = transport_of()
        for reach in (LOOPBACK, ANYWHERE):
            read(transport, server.base, reach)
        read(transport, other.base, LOOPBACK)
        assert [sock.fileno() == -1 for sock in made] == [False] * 3
        monkeypatch.setattr(connections, "LONGEST_REST", -1.0)
        monkeypatch.setattr(fhir_transport, "LONGEST_REST", -1.0)
        read(transport, other.base, LOOPBACK)
        assert [sock.fileno() == -1 for sock in made[:3]] == [True] * 3
        assert read(transport, server.base, LOOPBACK)["id"] == "1"


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
def test_a_refusal_costs_no_connection(
    monkeypatch: pytest.MonkeyPatch,
    transport_of: Callable[..., Transport],
    made: list[socket.socket],
    status: int,
) -> None:
    monkeypatch.setattr(connections, "_REFUSAL_SECONDS", 10.0)
    transport = transport_of()
    with serving({"Patient/1": Answer(outcome(), status)}) as server:
        for _ in range(4):
            with pytest.raises(FetchFailure, match=str(status)):
                read(transport, server.base, LOOPBACK)
    assert len(made) == 1


@pytest.mark.parametrize("piece", [b"", b"x", b"x" * 65536], ids=["stalled", "slow", "endless"])
def test_what_a_refusal_says_is_not_waited_for(transport_of: Callable[..., Transport], piece: bytes) -> None:
    head = b"HTTP/1.1 404 Not Found\r\nContent-Length: 900000000\r\n\r\n"
    with raw_server(endless(head, piece, 0.05)) as base:
        failure, took = elapsed(lambda: failing(transport_of(), base, 30.0))
    assert failure == "HTTP 404"
    assert took < 10


def test_a_call_keeps_to_few_connections_and_the_next_ones_use_them_again(made: list[socket.socket]) -> None:
    transport = Transport(bounds=Bounds(parallel=3))
    with serving({"Patient/1": Answer(patient(), wait=0.02)}) as server:
        for _ in range(4):
            client = PooledClient(server.base, transport, Deadline(30), None, LOOPBACK)
            with ThreadPoolExecutor(12) as pool:
                list(pool.map(lambda _, c=client: c.execute("Patient/1", method="get"), range(24)))
    assert len(made) <= 3
    transport.close()
    assert all(sock.fileno() == -1 for sock in made), "closed with the transport"
