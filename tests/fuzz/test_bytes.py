"""Raw bytes on the service's socket: broken framing, requests hidden in requests, what is no HTTP at all.

Whatever comes, each connection ends in time with whole answers or none, an error is an OperationOutcome, nothing that was
sent stands in an answer or in the log, no hidden request is answered, and the service is as well as before.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.contract.hook_requests import SERVICE, hook_request, person
from tests.fuzz.examples import tried
from tests.fuzz.served import Served, is_outcome, served
from tests.fuzz.wire import Answered, answers, exchange

CANARY: Final = "canary-7f3a"
MARK: Final = CANARY.encode()
HOST: Final = b"Host: 127.0.0.1\r\n"
END: Final = b"Connection: close\r\n\r\n"
HIDDEN: Final = b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Hidden: " + MARK + b"\r\n\r\n"
# What the server may refuse before the application sees it; 501 and 505 are what RFC 9110 has for these.
REFUSALS: Final = {400, 403, 404, 405, 408, 411, 413, 414, 415, 417, 431, 501, 505}
CALL: Final = json.dumps(hook_request(prefetch={"patient": person(), "condition": None})).encode()


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("bytes"), limits="request_seconds = 5") as running:
        workers = running.workers()
        yield running
        running.check(workers)
        assert CANARY not in (running.folder / "out.log").read_text()


def checked(service: Served, *pieces: bytes, fine: frozenset[int] = frozenset({200})) -> list[Answered]:
    """The answers to these bytes, each as it must be."""
    received = exchange(service.port, *pieces)
    assert MARK not in received
    found = answers(received)
    for answer in found:
        assert answer.status in REFUSALS | fine, answer
        if answer.status >= 400 and answer.body:
            assert is_outcome({"Content-Type": answer.headers["content-type"]}, answer.body), answer
    return found


def post(*lines: bytes, body: bytes = b"", path: str = SERVICE) -> bytes:
    """A call with these header lines, and a body as it is."""
    head = b"POST " + path.encode() + b" HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
    return head + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunks(*parts: bytes) -> bytes:
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


LENGTH: Final = b"Content-Length: %d" % len(CALL)


@pytest.mark.parametrize(
    "pieces",
    [
        (post(LENGTH, b"Connection: close", body=CALL),),
        (post(b"Transfer-Encoding: chunked", b"Connection: close", body=chunks(CALL[:20], CALL[20:])),),
        tuple(bytes([byte]) for byte in post(LENGTH, b"Connection: close", body=CALL)),
    ],
    ids=["whole", "in chunks", "byte by byte"],
)
def test_a_call_is_answered_however_its_bytes_arrive(service: Served, pieces: tuple[bytes, ...]) -> None:
    (answer,) = checked(service, *pieces)
    assert answer.status == 200
    assert json.loads(answer.body) == {"cards": []}


def test_calls_on_one_connection_are_answered_in_their_order(service: Served) -> None:
    """So that the tests below would see the answer to a hidden request."""
    visible = b"GET /healthz HTTP/1.1\r\n" + HOST + b"\r\n"
    found = checked(service, visible + post(LENGTH, body=CALL) + b"GET /nowhere HTTP/1.1\r\n" + HOST + END)
    assert [answer.status for answer in found] == [200, 200, 404]


# Each would let a proxy in front and this service disagree on where the request ends.
SMUGGLED: Final[dict[str, bytes]] = {
    "a length and chunks": post(LENGTH, b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "chunks and a length": post(b"Transfer-Encoding: chunked", LENGTH, body=b"0\r\n\r\n" + HIDDEN),
    "two lengths": post(b"Content-Length: 0", LENGTH, body=HIDDEN),
    "two lengths in one": post(b"Content-Length: 0, %d" % len(HIDDEN), body=HIDDEN),
    "a length with a sign": post(b"Content-Length: +0", body=HIDDEN),
    "a negative length": post(b"Content-Length: -1", body=HIDDEN),
    "a length in hexadecimal": post(b"Content-Length: 0x0", body=HIDDEN),
    "a length with an underscore": post(b"Content-Length: 0_0", body=HIDDEN),
    "a length in other digits": post("Content-Length: ٠".encode(), body=HIDDEN),
    "an empty length": post(b"Content-Length:", body=HIDDEN),
    "a length of a thousand digits": post(b"Content-Length: " + b"9" * 1000, body=HIDDEN),
    "two codings": post(
        b"Transfer-Encoding: chunked", b"Transfer-Encoding: identity", body=b"0\r\n\r\n" + HIDDEN
    ),
    "chunked twice": post(b"Transfer-Encoding: chunked, chunked", body=b"0\r\n\r\n" + HIDDEN),
    "chunked, then another": post(b"Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n" + HIDDEN),
    "an unknown coding": post(b"Transfer-Encoding: xchunked", body=b"0\r\n\r\n" + HIDDEN),
    "a coding after a vertical tab": post(b"Transfer-Encoding:\x0bchunked", body=b"0\r\n\r\n" + HIDDEN),
    "a coding after another's blank": post(b"Transfer-Encoding: \xa0chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a coding before another's line end": post(b"Transfer-Encoding: chunked\x85", body=b"0\r\n\r\n" + HIDDEN),
    "a length after another's blank": post(b"Content-Length: \xa00", body=HIDDEN),
    "a length in a raised digit": post(b"Content-Length: \xb2", body=HIDDEN),
    "a coding in quotes": post(b'Transfer-Encoding: "chunked"', body=b"0\r\n\r\n" + HIDDEN),
    "a blank before the colon": post(b"Transfer-Encoding : chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a folded line": post(b"Transfer-Encoding:", b" chunked", body=b"0\r\n\r\n" + HIDDEN),
    "an underscore for a dash": post(b"Transfer_Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a bare line feed in the head": post(b"X: y\nTransfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a bare carriage return": post(b"X: y\rTransfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN),
    "a NUL in a value": post(b"X: \0", LENGTH, body=CALL + HIDDEN),
    "a size with a sign": post(b"Transfer-Encoding: chunked", body=b"+0\r\n\r\n" + HIDDEN),
    "a size with a prefix": post(b"Transfer-Encoding: chunked", body=b"0x0\r\n\r\n" + HIDDEN),
    "a size with an underscore": post(b"Transfer-Encoding: chunked", body=b"0_0\r\n\r\n" + HIDDEN),
    "a negative size": post(b"Transfer-Encoding: chunked", body=b"-1\r\n" + HIDDEN),
    "a size that overflows": post(b"Transfer-Encoding: chunked", body=b"f" * 40 + b"\r\n" + HIDDEN),
    "a size and a bare line feed": post(b"Transfer-Encoding: chunked", body=b"0\n\n" + HIDDEN),
    "no end after a chunk": post(b"Transfer-Encoding: chunked", body=b"2\r\n{}0\r\n\r\n" + HIDDEN),
    "chunks in HTTP/1.0": post(b"Transfer-Encoding: chunked", body=b"0\r\n\r\n" + HIDDEN).replace(
        b"1.1", b"1.0", 1
    ),
    "two Hosts": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Host: " + MARK + b"\r\n\r\n",
    "another HTTP": b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n" + HIDDEN,
}


@pytest.mark.parametrize("name", SMUGGLED)
def test_a_request_whose_end_is_in_doubt_hides_no_other(service: Served, name: str) -> None:
    found = checked(service, SMUGGLED[name], fine=frozenset())
    assert found, "refused, not dropped"


def test_a_request_as_a_body_is_a_body(service: Served) -> None:
    body = post(b"Content-Length: %d" % len(HIDDEN), body=HIDDEN)
    found = checked(service, body + b"GET /nowhere HTTP/1.1\r\n" + HOST + END)
    assert [answer.status for answer in found] == [400, 404]


GARBAGE: Final[dict[str, bytes]] = {
    "nothing": b"",
    "line ends": b"\r\n" * 50,
    "zeros": b"\0" * 5000,
    "high bytes": b"\xff" * 5000,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)) * 2,
    "SSH": b"SSH-2.0-OpenSSH_9.2\r\n",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">BHBBI", 0, 0, 4, 0, 0),
    "a proxy's word": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\nGET /healthz HTTP/1.1\r\n" + HOST + END,
    "HTTP/0.9": b"GET /healthz\r\n\r\n",
    "no path": b"GET  HTTP/1.1\r\n" + HOST + END,
    "a method of its own": MARK.upper() + b" / HTTP/1.1\r\n" + HOST + END,
    "an endless method": b"A" * 100_000 + b" / HTTP/1.1\r\n" + HOST + END,
    "an endless path": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + END,
    "an endless query": b"GET /cds-services?" + b"a" * 100_000 + b" HTTP/1.1\r\n" + HOST + END,
    "an endless header": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: " + b"a" * 200_000 + b"\r\n" + END,
    "very many headers": b"GET /healthz HTTP/1.1\r\n" + HOST + b"X: a\r\n" * 5_000 + END,
    "no Host": b"GET /healthz HTTP/1.1\r\n" + END,
    "a Host with a blank": b"GET /healthz HTTP/1.1\r\nHost: a b\r\n" + END,
    "a Host of bytes": b"GET /healthz HTTP/1.1\r\nHost: \xff\xfe" + MARK + b"\r\n" + END,
    "a Host of brackets": b"GET /healthz HTTP/1.1\r\nHost: [::1\r\n" + END,
    "a port that is none": b"GET /healthz HTTP/1.1\r\nHost: localhost:" + MARK + b"\r\n" + END,
    "a header without a colon": b"GET /healthz HTTP/1.1\r\n" + HOST + MARK + b"\r\n" + END,
    "a header without a name": b"GET /healthz HTTP/1.1\r\n" + HOST + b": " + MARK + b"\r\n" + END,
    "a header that is bytes": b"GET /healthz HTTP/1.1\r\n" + HOST + MARK + b"\xff: x\r\n" + END,
    "a NUL in a name": b"GET /healthz HTTP/1.1\r\n" + HOST + MARK + b"\0: x\r\n" + END,
    "a token with a NUL": post(b"Authorization: Bearer " + MARK + b"\0", b"Content-Length: 0"),
    "a NUL in the path": b"GET /trials/" + MARK + b"%00 HTTP/1.1\r\n" + HOST + END,
    "a path that is no UTF-8": b"GET /trials/" + MARK + b"%ff%fe HTTP/1.1\r\n" + HOST + END,
    "a path of bytes": b"GET /trials/" + MARK + b"\xff HTTP/1.1\r\n" + HOST + END,
    "a path upwards": b"GET /trials/../../../etc/" + MARK + b" HTTP/1.1\r\n" + HOST + END,
    "a path upwards in disguise": b"GET /trials/%2e%2e%2f%2e%2e/" + MARK + b" HTTP/1.1\r\n" + HOST + END,
    "a path of slashes": b"GET //" + MARK + b"//x HTTP/1.1\r\n" + HOST + END,
    "a whole URL": b"GET http://" + MARK + b"/healthz HTTP/1.1\r\n" + HOST + END,
    "another's port": b"CONNECT " + MARK + b":443 HTTP/1.1\r\n" + HOST + END,
    "a fragment": b"GET /healthz#" + MARK + b" HTTP/1.1\r\n" + HOST + END,
    "a length without a body": post(b"Content-Length: 1000"),
    "a body shorter than said": post(b"Content-Length: 1000", body=CALL),
    "chunks without an end": post(b"Transfer-Encoding: chunked", body=b"5\r\n{}"),
    "an endless size of a chunk": post(b"Transfer-Encoding: chunked", body=b"0" * 100_000),
    "an endless extension": post(b"Transfer-Encoding: chunked", body=b"1;" + b"a" * 100_000 + b"\r\n{\r\n"),
    "endless trailers": post(
        b"Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n" + b"X: a\r\n" * 20_000 + b"\r\n"
    ),
    "half a head": b"POST /assessments HTTP/1.1\r\nHost: 127.0",
    "an expectation": post(b"Expect: " + MARK, LENGTH, b"Connection: close", body=CALL),
    "an upgrade": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
    "a body to a GET": b"GET /healthz HTTP/1.1\r\n" + HOST + b"Content-Length: 6\r\n" + END + b"abcdef",
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_request_harms_nobody(service: Served, name: str) -> None:
    checked(service, GARBAGE[name])


COMPRESSED: Final = (b"gzip", b"deflate", b"br", b"gzip, gzip", b"identity, gzip")


@pytest.mark.parametrize("coding", COMPRESSED)
def test_a_compressed_body_is_not_unpacked(service: Served, coding: bytes) -> None:
    (answer,) = checked(
        service, post(b"Content-Encoding: " + coding, LENGTH, b"Connection: close", body=CALL)
    )
    assert answer.status in (400, 415)


# --- random ---

VALID: Final = [
    post(LENGTH, b"Authorization: Bearer x.y.z", b"Accept: */*", body=CALL),
    post(b"Transfer-Encoding: chunked", body=chunks(CALL[:50], CALL[50:])),
    b"GET /trials/nct02917681?x=%20 HTTP/1.1\r\n" + HOST + b"Accept: text/html;q=0.5, */*\r\n\r\n",
    b"OPTIONS /cds-services HTTP/1.1\r\n"
    + HOST
    + b"Origin: https://x\r\nAccess-Control-Request-Method: POST\r\n\r\n",
]
TELLING: Final = (
    *(
        b"\r\n",
        b"\n",
        b"\r",
        b"\0",
        b" ",
        b"\t",
        b":",
        b";",
        b",",
        b"\xff",
        b"%",
        b"%00",
        b"%ff",
        b"//",
        b"..",
        b"#",
    ),
    *(
        b"0\r\n\r\n",
        b"HTTP/1.1",
        b"HTTP/9.9",
        b"Content-Length: 5\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Host: x\r\n",
    ),
    *(b"Expect: 100-continue\r\n", b"Connection: close\r\n", b"\r\n\r\n", b"GET / HTTP/1.1\r\n", b"x" * 9000),
)


@st.composite
def spoiled_requests(draw: st.DrawFn) -> bytes:
    text = bytearray(draw(st.sampled_from(VALID)))
    for _ in range(draw(st.integers(1, 5))):
        at = draw(st.integers(0, len(text)))
        piece = draw(st.one_of(st.sampled_from(TELLING), st.binary(min_size=1, max_size=8)))
        if draw(st.booleans()):
            text[at:at] = piece
        else:
            text[at : at + len(piece)] = piece if draw(st.booleans()) else b""
    return bytes(text)


ANY: Final = frozenset({200, 204, 412, 401})


@tried(300)
@given(sent=st.one_of(spoiled_requests(), spoiled_requests(), st.binary(max_size=2000)))
def test_random_bytes_harm_nobody(service: Served, sent: bytes) -> None:
    checked(service, sent, fine=ANY)
