"""One request through the application and out to its client; runs in a lane's thread.

Error policy: whatever the application lets escape is a 500 without words; a client that has gone, or does not take
its answer in time, ends its connection.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from io import BytesIO
from typing import Any, Final

from gunicorn.http import wsgi

from cds_service.server.refusals import refusal

WRITE_SECONDS: Final = 20.0
_FLUSH_BYTES: Final = 262_144


class Outgoing:
    """gunicorn writes head and body one by one; a client should get them as few packets."""

    def __init__(self, sock: Any) -> None:
        self._sock = sock
        self._waiting = bytearray()

    def sendall(self, data: bytes) -> None:
        self._waiting += data
        if len(self._waiting) >= _FLUSH_BYTES:
            self.flush()

    def flush(self) -> None:
        self._sock.sendall(self._waiting)
        self._waiting = bytearray()


def answer(application: Any, cfg: Any, connection: Any, request: Any, body: bytes, last: bool) -> bool:
    """Answers; says whether the connection may bring another request. `last`: this one ends it."""
    connection.sock.settimeout(WRITE_SECONDS)
    if isinstance(connection.sock, ssl.SSLSocket):
        request.scheme = "https"
    outgoing = Outgoing(connection.sock)
    try:
        response, environ = wsgi.create(request, outgoing, connection.peer, connection.server, cfg)
    except Exception:  # what gunicorn can't make an environment of is no request
        return _fail(connection.sock, 400)
    response.version = "cds-service"
    environ["wsgi.multithread"] = True
    environ["wsgi.input"] = BytesIO(body)
    environ.pop("wsgi.file_wrapper", None)
    if environ.pop("HTTP_TRANSFER_ENCODING", None) is not None:
        environ["CONTENT_LENGTH"] = str(len(body))  # it has come whole: what follows sees no chunks
    if last or not cfg.keepalive:
        response.force_close()
    try:
        parts = application(environ, response.start_response)
        try:
            for part in parts:
                response.write(part)
            response.close()
            outgoing.flush()
        finally:
            if hasattr(parts, "close"):
                parts.close()
    except OSError:
        return False
    except Exception:  # Flask answers every error itself: only a fault of the server gets here
        return False if response.headers_sent else _fail(connection.sock, 500)
    return not response.should_close()


def _fail(sock: Any, status: int) -> bool:
    with suppress(OSError):
        sock.sendall(refusal(status))
    return False
