"""Circuit breakers of one process, one for each FHIR server: who has not answered call after call is left alone for a
while, so that a chart opens without waiting for a server that is down.

A call counts once, and only where no request of it was answered. Silence on one resource type alone opens nothing: a
search can be too much for a server that lives. While a breaker is open, calls are refused at once; when its time is
over, one call is let through and decides. Error policy: nothing here fails; whoever asks is told whether the server
may be asked.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Final

# Calls in a row without an answer that open it; how long it then stays open, doubled each time a probe fails.
CALLS: Final = 5
FIRST_SECONDS: Final = 5.0
LONGEST_SECONDS: Final = 60.0
# The least recently asked server is forgotten first.
_MOST_SERVERS: Final = 256
OPENED: Final = "opened"
CLOSED: Final = "closed"


@dataclass(slots=True)
class _Circuit:
    """silent: calls in a row without an answer. kinds: what they asked for. unreachable: whether one of them got no
    connection. until: when the server may be asked again, None = it may. probe: which call is let through then, until
    probe_ends.
    """

    silent: int = 0
    kinds: set[str] = field(default_factory=set)
    unreachable: bool = False
    until: float | None = None
    seconds: float = FIRST_SECONDS
    probe: object = None
    probe_ends: float = 0.0


class Breakers:
    """The breakers of a process by server. Thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._circuits: OrderedDict[Hashable, _Circuit] = OrderedDict()
        self._changing = threading.Lock()

    def admits(self, server: Hashable, call: object, seconds: float) -> bool:
        """Whether this call may ask the server. The one let through to probe has so many seconds to find out, then
        another is.
        """
        with self._changing:
            circuit = self._circuits.get(server)
            if circuit is None or circuit.until is None:
                return True
            self._circuits.move_to_end(server)
            now = self._clock()
            if now < circuit.until:
                return False
            if circuit.probe is None or now >= circuit.probe_ends:
                circuit.probe, circuit.probe_ends = call, now + seconds
            return circuit.probe is call

    def answered(self, server: Hashable) -> str | None:
        """The server answered something. CLOSED where that closed its breaker."""
        with self._changing:
            circuit = self._circuits.pop(server, None)
            return CLOSED if circuit is not None and circuit.until is not None else None

    def silent(
        self, server: Hashable, call: object, kind: str, *, first: bool, unreachable: bool = False
    ) -> str | None:
        """A request for this kind of resource had no answer, nor had any other of its call. OPENED where that opened
        the server's breaker.

        first: of its call, which counts by it. unreachable: no connection could be made.
        """
        with self._changing:
            circuit = self._circuit(server)
            if circuit.until is not None:
                if circuit.probe is call:
                    circuit.seconds = min(2 * circuit.seconds, LONGEST_SECONDS)
                    circuit.until, circuit.probe = self._clock() + circuit.seconds, None
                return None
            circuit.silent += first
            circuit.unreachable |= unreachable
            if len(circuit.kinds) < 2:
                circuit.kinds.add(kind)
            if circuit.silent < CALLS or not (circuit.unreachable or len(circuit.kinds) > 1):
                return None
            circuit.until = self._clock() + circuit.seconds
            return OPENED

    def _circuit(self, server: Hashable) -> _Circuit:
        circuit = self._circuits.setdefault(server, _Circuit())
        self._circuits.move_to_end(server)
        while len(self._circuits) > _MOST_SERVERS:
            self._circuits.popitem(last=False)
        return circuit

    def open(self) -> int:
        """How many servers are left alone, or are being probed."""
        with self._changing:
            return sum(circuit.until is not None for circuit in self._circuits.values())
