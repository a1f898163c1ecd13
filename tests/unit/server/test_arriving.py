"""Requests cut out of bytes, however those come: what is whole, what never will be, and what is refused."""

from __future__ import annotations

from itertools import pairwise

import pytest
from gunicorn.config import Config
from hypothesis import given
from hypothesis import strategies as st

from cds_service.server.arriving import Arriving
from cds_service.server.refusals import Refused

LIMIT = 1000
HEAD = b"POST /cds-services/x HTTP/1.1\r\nHost: localhost\r\n"


def _cfg() -> Config:
    cfg = Config()
    for name, value in {
        "limit_request_line": 200,
        "limit_request_fields": 10,
        "limit_request_field_size": 300,
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
    }.items():
        cfg.set(name, value)
    return cfg


CFG = _cfg()


def _read(*parts: bytes) -> list[tuple[str, str, bytes]]:
    """Method, path and body of the requests in these parts. Raises Refused."""
    arriving = Arriving(CFG, ("127.0.0.1", 1), LIMIT)
    found = []
    for part in parts:
        arriving.add(part)
        while (request := arriving.head()) is not None and (body := arriving.body()) is not None:
            found.append((request.method, request.path, body))
            arriving.next()
    return found


def _pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in pairwise(places)]


STREAM = (
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n"
    + HEAD
    + b"Content-Length: 5\r\n\r\nhello\r\n"
    + HEAD
    + b"Transfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n1\r\n!\r\n0\r\nTrailer: t\r\n\r\n"
    + b"GET /z HTTP/1.0\r\n\r\n"
)
REQUESTS = [
    ("GET", "/healthz", b""),
    ("POST", "/cds-services/x", b"hello"),
    ("POST", "/cds-services/x", b"hello!"),
    ("GET", "/z", b""),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_same_requests_are_found_however_their_bytes_are_cut(cuts: list[int]) -> None:
    assert _read(*_pieces(STREAM, cuts)) == REQUESTS


def test_every_byte_alone_makes_the_same_requests() -> None:
    assert _read(*(bytes([byte]) for byte in STREAM)) == REQUESTS


REFUSED: dict[str, tuple[int, bytes]] = {
    "TLS": (400, b"\x16\x03\x01\x02\x00\x01"),
    "SSH": (400, b"ssh-2.0\r\n"),
    "no version": (400, b"GET /\r\n\r\n"),
    "bare line feeds": (400, b"GET / HTTP/1.1\nHost: a\n\n"),
    "no host": (400, b"GET / HTTP/1.1\r\nAccept: a\r\n\r\n"),
    "two hosts": (400, b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"),
    "two hosts in HTTP/1.0": (400, b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"),
    "a name with a space": (400, HEAD + b"X y: 1\r\n\r\n"),
    "a space before the colon": (400, HEAD + b"Content-Length : 5\r\n\r\nhello"),
    "a folded header": (400, HEAD + b"X: 1\r\n 2\r\n\r\n"),
    "a null in a header": (400, HEAD + b"X: a\0b\r\n\r\n"),
    "a length that is none": (400, HEAD + b"Content-Length: five\r\n\r\n"),
    "a negative length": (400, HEAD + b"Content-Length: -5\r\n\r\n"),
    "a signed length": (400, HEAD + b"Content-Length: +5\r\n\r\n"),
    "a superscript length": (400, HEAD + b"Content-Length: \xb2\r\n\r\n"),
    "two lengths": (400, HEAD + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n"),
    "a list of lengths": (400, HEAD + b"Content-Length: 5, 5\r\n\r\n"),
    "length and chunks": (400, HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "chunks in HTTP/1.0": (400, b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
    "chunked twice": (400, HEAD + b"Transfer-Encoding: chunked, chunked\r\n\r\n"),
    "another coding": (501, HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n"),
    "an unknown coding": (501, HEAD + b"Transfer-Encoding: xchunked\r\n\r\n"),
    "HTTP/2": (505, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    "a long address": (414, b"GET /" + b"x" * 300 + b" HTTP/1.1\r\nHost: a\r\n\r\n"),
    "a request line without an end": (414, b"GET /" + b"x" * 9000),
    "many headers": (431, HEAD + b"X: 1\r\n" * 20 + b"\r\n"),
    "a long header": (431, HEAD + b"X: " + b"1" * 400 + b"\r\n\r\n"),
    "headers without an end": (431, HEAD + b"X: 1\r\n" * 10_000),
    "too large": (413, HEAD + b"Content-Length: 1001\r\n\r\n"),
    "far too large": (413, HEAD + b"Content-Length: " + b"9" * 100 + b"\r\n\r\n"),
}
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
REFUSED_CHUNKS: dict[str, tuple[int, bytes]] = {
    "no size": (400, b"\r\nhello"),
    "a size that is none": (400, b"xyz\r\n"),
    "a signed size": (400, b"+5\r\nhello\r\n"),
    "0x": (400, b"0x5\r\nhello\r\n"),
    "an underscore": (400, b"1_0\r\n"),
    "a long size": (400, b"0" * 300 + b"5\r\n"),
    "a long extension": (400, b"5;" + b"x" * 300 + b"\r\n"),
    "data beyond its size": (400, b"5\r\nhello!\r\n"),
    "data beyond its size, without an end": (400, b"5\r\nhello" + b"!" * 300),
    "one chunk too large": (413, b"3e9\r\n"),
    "chunks too large together": (413, (b"100\r\n" + b"x" * 256 + b"\r\n") * 4),
    "a size of many digits": (413, b"ffffffffffffffff\r\n"),
    "endless trailers": (431, b"0\r\n" + b"X: 1\r\n" * 2000),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_request_or_too_much_is_refused(case: str) -> None:
    status, data = REFUSED[case]
    with pytest.raises(Refused) as refused:
        _read(data)
    assert refused.value.status == status


@pytest.mark.parametrize("case", REFUSED_CHUNKS)
def test_chunks_that_are_none_or_too_much_are_refused(case: str) -> None:
    status, data = REFUSED_CHUNKS[case]
    with pytest.raises(Refused) as refused:
        _read(CHUNKED, data)
    assert refused.value.status == status


def test_a_body_in_tiny_chunks_costs_no_more_than_so_many() -> None:
    arriving = Arriving(CFG, ("127.0.0.1", 1), 1_000_000)
    arriving.add(CHUNKED + b"1\r\nx\r\n" * 20_000)
    arriving.head()
    with pytest.raises(Refused) as refused:
        arriving.body()
    assert refused.value.status == 413


@given(st.binary(max_size=300), st.lists(st.integers(0, 300), max_size=5))
def test_any_bytes_are_requests_refused_or_unfinished(data: bytes, cuts: list[int]) -> None:
    def outcome(parts: list[bytes]) -> object:
        try:
            return _read(*parts)
        except Refused as refused:
            return refused.status >= 400

    assert outcome(_pieces(HEAD + data, cuts)) == outcome([HEAD + data])


def test_a_client_that_waits_to_be_asked_is_asked_once() -> None:
    arriving = Arriving(CFG, ("127.0.0.1", 1), LIMIT)
    arriving.add(HEAD + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
    assert arriving.head() is not None
    assert arriving.wants_to_be_asked()
    assert not arriving.wants_to_be_asked()
    arriving.add(b"hello")
    assert arriving.body() == b"hello"
