"""Connections: to judged addresses only, whatever the name says a moment later, and held up by no server."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from cds_service.records.addresses import ANYWHERE, LOOPBACK, PUBLIC, Reach, reach_of
from cds_service.records.connections import dial
from cds_service.records.fhir_transport import Bounds, Deadline, FetchFailure, PooledClient, Transport
from cds_service.records.lookups import Lookups
from tests.support.certificates import authority
from tests.unit.records_io.scripted_server import (
    NAME,
    Answer,
    Names,
    elapsed,
    endless,
    named,
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
            with pytest.raises(FetchFailure, match="connection"):
                read(transport, named(server, host), reach_of(host, ("127.0.0.1/32",)))
        with pytest.raises(FetchFailure, match="connection"):  # an authority that nobody named
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
