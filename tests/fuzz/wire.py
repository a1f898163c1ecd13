"""Bytes on a socket: sent as they are, and what came back, cut into answers."""

from __future__ import annotations

import re
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

SECONDS: Final = 15.0
_STATUS: Final = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) [ -~]*")


@dataclass(frozen=True)
class Answered:
    """One answer. `headers`: names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


def exchange(port: int, *pieces: bytes, seconds: float = SECONDS) -> bytes:
    """Sends the pieces, then that nothing more follows; all that came back until the server closed. Raises TimeoutError
    where it did not.
    """
    received = bytearray()
    with socket.create_connection(("127.0.0.1", port), timeout=seconds) as sock:
        with suppress(ConnectionError):
            for piece in pieces:
                sock.sendall(piece)
            sock.shutdown(socket.SHUT_WR)
        with suppress(ConnectionError):
            while data := sock.recv(65536):
                received += data
    return bytes(received)


def answers(received: bytes) -> list[Answered]:
    """What came back, cut by its own lengths. Fails where it is not a row of whole answers."""
    found = []
    rest = received
    while rest:
        head, separator, rest = rest.partition(b"\r\n\r\n")
        assert separator, head[:200]
        line, *fields = head.split(b"\r\n")
        status = _STATUS.fullmatch(line)
        assert status is not None, line
        headers = {}
        for field in fields:
            name, colon, value = field.partition(b":")
            assert colon, field
            headers[name.decode("ascii").lower()] = value.strip().decode("ascii")
        if status[1] == b"100":
            continue
        length = int(headers.get("content-length", "0"))
        assert len(rest) >= length
        found.append(Answered(int(status[1]), headers, rest[:length]))
        rest = rest[length:]
    return found
