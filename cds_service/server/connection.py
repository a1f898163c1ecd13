"""One client's connection as the worker's loop sees it: read without waiting, and closed without a reset.

Error policy: a client that has gone is `Gone`; nothing else is raised.
"""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from typing import Any, Final

from cds_service.server.arriving import Arriving

_READ_BYTES: Final = 65_536
# Reads of one connection before others have their turn.
_READS: Final = 16


class Gone(Exception):  # noqa: N818 - it happens, and is no fault
    """The client closed the connection, or broke it."""


class Connection:
    """A connection with its deadline. `state`: handshake, arriving, waiting, working or lingering."""

    __slots__ = ("arriving", "body", "deadline", "peer", "server", "sock", "state", "wants_write")

    def __init__(self, sock: Any, peer: Any, server: Any, arriving: Arriving, deadline: float) -> None:
        self.sock = sock
        self.peer = peer
        self.server = server
        self.arriving = arriving
        self.deadline = deadline
        self.state = "handshake" if isinstance(sock, ssl.SSLSocket) else "arriving"
        self.body = b""
        self.wants_write = False

    @property
    def held(self) -> int:
        """Bytes kept of what its client sent."""
        return self.arriving.held + len(self.body)

    def shake_hands(self) -> None:
        """A step of the TLS handshake. Raises Gone."""
        self.wants_write = False
        try:
            self.sock.do_handshake()
            self.state = "arriving"
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLWantWriteError:
            self.wants_write = True
        except (OSError, ValueError):
            raise Gone from None

    def read(self) -> bytes:
        """What can be read without waiting, perhaps nothing yet. Raises Gone."""
        found: list[bytes] = []
        encrypted = isinstance(self.sock, ssl.SSLSocket)
        try:
            for _ in range(_READS):
                data = self.sock.recv(_READ_BYTES)
                if not data:
                    if found:
                        break
                    raise Gone
                found.append(data)
                # What TLS has already decrypted wakes no selector: it must be read now.
                if len(data) < _READ_BYTES and not (encrypted and self.sock.pending()):
                    break
            while encrypted and self.sock.pending():
                found.append(self.sock.recv(_READ_BYTES))
        except (BlockingIOError, InterruptedError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            pass
        except (OSError, ValueError):
            if not found:
                raise Gone from None
        return b"".join(found)

    def tell(self, data: bytes) -> None:
        """Sends a few bytes without waiting; a client with no room for them does not get them."""
        with suppress(OSError, ValueError):
            self.sock.send(data)

    def say_last(self, data: bytes) -> None:
        """Sends a last answer and that nothing follows, while the client may still be sending."""
        self.sock.setblocking(False)
        self.tell(data)
        with suppress(OSError, ValueError):
            self.sock.shutdown(socket.SHUT_WR)
        self.state = "lingering"

    def close(self) -> None:
        """Ends it."""
        with suppress(OSError):
            self.sock.close()
