"""Connections to FHIR servers: each to an address that was judged right before, and none held up by a slow server.

A name is resolved once for a connection, each address is judged, and the very address that passed is connected to;
so a name that leads elsewhere a moment later (DNS rebinding) gains nothing. Certificate and SNI stay the name's.
Error policy: AddressNotAllowed, without the address, where no address of a name passes; whatever else fails is an
OSError or one of `urllib3`, for the transport to translate.
"""

from __future__ import annotations

import io
import queue
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path
from typing import Any, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

from cds_service.errors import CdsServiceError
from cds_service.records.addresses import Reach
from cds_service.records.lookups import Endpoint, Lookups

Find = Callable[[str, int, float], Sequence[Endpoint]]
# More addresses of one name than this are not tried.
_MOST_ADDRESSES: Final = 8
_CHUNK: Final = 1 << 16
# Seconds; firewalls and load balancers that forget a connection do so after a minute or more.
LONGEST_REST: Final = 30.0
# What a refusal says is read, so that its connection serves the next request: so much of it, for so many seconds.
_REFUSAL_BYTES: Final = 1 << 16
_REFUSAL_SECONDS: Final = 0.1


class AddressNotAllowed(CdsServiceError):  # noqa: N818  (a decision, not a failure)
    """A server's name leads to no address that may be connected to."""


def dial(host: str, port: int, seconds: float, reach: Reach, find: Find) -> socket.socket:
    """A socket connected to the first address of `host` that may be reached and answers, within `seconds`.

    Raises AddressNotAllowed, OSError.
    """
    end = time.monotonic() + seconds
    found = find(host, port, seconds)
    allowed = [endpoint for endpoint in found if reach.allows(str(endpoint[1][0]))][:_MOST_ADDRESSES]
    if found and not allowed:
        raise AddressNotAllowed("address not allowed")
    failure = OSError("the name leads to no address")
    for tried, (family, endpoint) in enumerate(allowed):
        # Each address gets its share of what is left, so that a dead one leaves time for the next.
        share = (end - time.monotonic()) / (len(allowed) - tried)
        if share <= 0:
            raise TimeoutError
        try:
            return _connected(family, endpoint, share)
        except OSError as error:
            failure = error
    raise failure


def _connected(family: socket.AddressFamily, endpoint: tuple[Any, ...], seconds: float) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        made.settimeout(seconds)
        made.connect(endpoint)
    except OSError:
        made.close()
        raise
    return made


def session(reach: Reach, *, pool: int = 1, ca_file: Path | None = None, find: Find | None = None) -> Session:
    """A session whose connections go to addresses within `reach` only, with a pool of its own.

    It follows no redirect and keeps no cookie. `pool`: the connections of a server kept for later requests. `ca_file`:
    the authorities that may sign certificates; None = the public ones. `find`: how names are looked up.
    """
    made = Session()
    find = find or Lookups().find
    adapter = _Adapter(_pools(lambda host, port, seconds: dial(host, port, seconds, reach, find)), pool)
    made.mount("http://", adapter)
    made.mount("https://", adapter)
    made.verify = str(ca_file) if ca_file else True
    # The environment must neither redirect requests to a proxy nor add credentials of a .netrc.
    made.trust_env = False
    made.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    return made


def read_body(answer: requests.Response, most: int, check: Callable[[int], object]) -> bytes | None:
    """The decoded body, None where it has more bytes than `most`. It is read piece by piece, with `check(length)` after
    each, so that neither a slow nor an endless one gets past the bounds. Raises what `check` and urllib3 raise.
    """
    body = bytearray()
    while piece := answer.raw.read1(_CHUNK, decode_content=True):
        body += piece
        if len(body) > most:
            return None
        check(len(piece))
    return bytes(body)


def read_refusal(answer: requests.Response) -> None:
    """Reads the body of an answer that is of no use, as far as it is short and comes soon. Nothing fails."""
    with suppress(HTTPError, OSError):
        read_body(answer, _REFUSAL_BYTES, lambda _size: None)


class Session(requests.Session):
    """A session to which no answer is a redirect: `requests` would read the whole body of one before returning it."""

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        return None

    def close_rested(self) -> None:
        """Closes the connections that have rested for so long that no request will use them."""
        for adapter in set(self.adapters.values()):
            if isinstance(adapter, _Adapter):
                adapter.close_rested()


class _Adapter(HTTPAdapter):
    """The adapter of `requests` over our own pools."""

    def __init__(self, pools: dict[str, type[HTTPConnectionPool]], size: int) -> None:
        super().__init__(pool_connections=size, pool_maxsize=size)
        self.poolmanager.pool_classes_by_scheme = pools

    def close_rested(self) -> None:
        known = self.poolmanager.pools
        for pool in map(known.get, known.keys()):
            if isinstance(pool, _Rested):
                pool.close_rested()


class _Rested(HTTPConnectionPool):
    """A pool that reuses no connection that has rested for long: something on the way may have dropped it, and the
    request would wait for an answer in vain. One too many is closed without a word in a log.
    """

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.rested_since = time.monotonic()
        try:
            if self.pool is not None:
                self.pool.put(conn, block=False)
                return
        except queue.Full:
            pass
        if conn is not None:
            conn.close()

    def _get_conn(self, timeout: float | None = None) -> Any:
        conn = super()._get_conn(timeout)
        if _has_rested(conn):
            conn.close()
        return conn

    def close_rested(self) -> None:
        # A closed one stays in the queue, and connects anew for whoever takes it.
        if self.pool is not None:
            with self.pool.mutex:
                for conn in filter(_has_rested, self.pool.queue):
                    conn.close()


def _has_rested(conn: Any) -> bool:
    since = getattr(conn, "rested_since", None)
    return since is not None and time.monotonic() - since > LONGEST_REST


Dial = Callable[[str, int, float], socket.socket]


def _pools(dial: Dial) -> dict[str, type[HTTPConnectionPool]]:
    """urllib3's pools of plain and TLS connections, which get their sockets from `dial`."""

    class Plain(HTTPConnection):
        response_class = _TimedResponse

        def _new_conn(self) -> socket.socket:
            return _dialled(self, dial)

    class Secure(HTTPSConnection):
        response_class = _TimedResponse

        def _new_conn(self) -> socket.socket:
            return _dialled(self, dial)

    class PlainPool(_Rested, HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(_Rested, HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _dialled(connection: HTTPConnection, dial: Dial) -> socket.socket:
    """The socket of a connection; `urllib3` then adds TLS by the connection's host name where it is wanted."""
    seconds = connection.timeout
    if not isinstance(seconds, int | float):
        raise ValueError("a request without a time limit")
    try:
        return dial(connection.host.strip("[]"), connection.port, float(seconds))
    except TimeoutError:
        raise ConnectTimeoutError(connection, "no address answered in time") from None
    except OSError:
        raise NewConnectionError(connection, "no address answered") from None


class _TimedResponse(HTTPResponse):
    """A response whose head and body together have the time that was set for one read: a server that sends a byte
    now and then does not hold the thread that waits for it.
    """

    def __init__(self, sock: socket.socket, *args: Any, **options: Any) -> None:
        super().__init__(sock, *args, **options)
        seconds = sock.gettimeout()
        self._timed: _TimedReader | None = None
        if seconds is not None and isinstance(self.fp, io.BufferedReader):
            self._timed = _TimedReader(sock, self.fp.detach(), time.monotonic() + seconds)
            self.fp = io.BufferedReader(self._timed)

    def begin(self) -> None:
        super().begin()
        if self._timed is not None and not 200 <= self.status < 300:
            self._timed.end = min(self._timed.end, time.monotonic() + _REFUSAL_SECONDS)
        # What of the headers could not be parsed is not read; urllib3 would log it, with the address asked for.
        self.msg.defects.clear()
        self.msg.set_payload("")


class _TimedReader(io.RawIOBase):
    """What arrives on a socket until a moment of the monotonic clock; TimeoutError afterwards."""

    def __init__(self, sock: socket.socket, source: Any, end: float) -> None:
        self._sock = sock
        self._source = source
        self.end = end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self.end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        self._sock.settimeout(left)
        read: int | None = self._source.readinto(buffer)
        return read

    def close(self) -> None:
        self._source.close()
        super().close()
