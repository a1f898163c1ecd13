"""The server of a client's keys, on its bad days: what it sends is bounded in size and time, redirects too."""

from __future__ import annotations

import pytest

from cds_service.hooks import keys
from cds_service.hooks.jwk import BadKeys
from tests.unit.records_io.scripted_server import elapsed, endless, raw_server

REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: 900000000\r\n\r\n"


def refused(url: str) -> str:
    with pytest.raises(BadKeys) as caught:
        keys.fetch_jwk_set(url)
    return str(caught.value)


def test_the_body_of_a_redirect_is_not_read() -> None:
    with raw_server(endless(REDIRECT, b"x" * 65536, 0.001)) as base:
        said, took = elapsed(lambda: refused(base))
    assert "302" in said
    assert took < 4


def test_a_server_that_sends_a_header_now_and_then_does_not_hold_the_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(keys, "FETCH_SECONDS", 0.5)
    with raw_server(endless(b"HTTP/1.1 200 OK\r\n", b"X", 0.05)) as base:
        _, took = elapsed(lambda: refused(base))
    assert took < 4
