"""Names looked up beside the thread that waits for them: a resolver that hangs holds no request beyond its time.

One lookup of a name at a time, whoever asks; nothing is kept once it is done. Error policy: OSError as the resolver
raises it, TimeoutError where it takes too long.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from ipaddress import ip_address
from typing import Any, Final

# A family, and the address as `socket.connect` takes it: (host, port), for IPv6 with flow and scope.
Endpoint = tuple[socket.AddressFamily, tuple[Any, ...]]
Resolve = Callable[[str, int], Sequence[Endpoint]]
# Lookups that hang keep a thread each.
_MOST_AT_ONCE: Final = 64


def resolve(host: str, port: int) -> Sequence[Endpoint]:
    """The endpoints of a name, as this machine resolves it. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [(family, endpoint) for family, _, _, _, endpoint in found]


class Lookups:
    """The lookups of a process that are under way. Thread-safe."""

    def __init__(self, resolve: Resolve = resolve) -> None:
        self._resolve = resolve
        self._under_way: dict[tuple[str, int], Future[Sequence[Endpoint]]] = {}
        self._changing = threading.Lock()

    def find(self, host: str, port: int, seconds: float) -> Sequence[Endpoint]:
        """The endpoints of a name, within `seconds`. Raises OSError, TimeoutError."""
        if _is_address(host):
            return self._resolve(host, port)
        with self._changing:
            lookup = self._under_way.get((host, port))
            if lookup is None:
                if len(self._under_way) >= _MOST_AT_ONCE:
                    raise OSError("too many names are being looked up")
                lookup = self._under_way[host, port] = Future()
                self._begin(host, port, lookup)
        return lookup.result(max(0.0, seconds))

    def _begin(self, host: str, port: int, lookup: Future[Sequence[Endpoint]]) -> None:
        # A daemon: what hangs must not hold the process when it ends.
        thread = threading.Thread(target=self._look_up, args=(host, port, lookup), name="lookup", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            del self._under_way[host, port]
            raise OSError("no thread to look a name up") from None

    def _look_up(self, host: str, port: int, lookup: Future[Sequence[Endpoint]]) -> None:
        try:
            found = self._resolve(host, port)
        except Exception as error:
            self._ended(host, port)
            lookup.set_exception(error)
        else:
            self._ended(host, port)
            lookup.set_result(found)

    def _ended(self, host: str, port: int) -> None:
        with self._changing:
            del self._under_way[host, port]


def _is_address(host: str) -> bool:
    try:
        ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True
