"""What all requests of one call to one FHIR server share: what they may bring, how many run at a time, how long the
server asked to be left alone, and whether it has answered anything.

Error policy: FetchFailure where a request must not be made, or can't be in time. Nothing here holds data of a patient.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Hashable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

from cds_service.records.breaker import Breakers
from cds_service.records.fetch_bounds import Allowance, Bounds, Deadline, FetchFailure

_REFUSED: Final = "server not answering"


class Watch(Protocol):
    """Who is told of the fetching. None of these fails; what they are given holds no data, address or token."""

    def fetched(self, kind: str, seconds: float, failure: FetchFailure | None) -> None:
        """A request, with its retries, ended. kind: a resource type, `metadata`, or `page` for a link that names
        neither; not from a closed set.
        """

    def retried(self) -> None:
        """A request is made again."""

    def turned_away(self) -> None:
        """A call asks a server nothing, for its breaker is open."""

    def breaker(self, change: str, client: str | None, now_open: int) -> None:
        """The breaker of a server of this client was OPENED or CLOSED; so many of the process are open now."""


class Unwatched:
    """The watch of tests and of the command line."""

    def fetched(self, kind: str, seconds: float, failure: FetchFailure | None) -> None: ...

    def retried(self) -> None: ...

    def turned_away(self) -> None: ...

    def breaker(self, change: str, client: str | None, now_open: int) -> None: ...


class Call:
    """One call's share in a server. server: by which its breaker is found; client: the configured name of the CDS
    client, for the log. Without `breakers` nothing is counted.
    """

    def __init__(
        self,
        bounds: Bounds,
        watch: Watch,
        *,
        breakers: Breakers | None = None,
        server: Hashable = None,
        client: str | None = None,
    ) -> None:
        self.allowance = Allowance(bounds)
        self._watch = watch
        self._breakers = breakers
        self._server = server
        self._client = client
        self._slots = threading.BoundedSemaphore(bounds.parallel)
        self._telling = threading.Lock()
        self._admitted = breakers is None
        self._turned_away = self._was_answered = self._was_silent = False
        self._held_until = 0.0
        self._held_by = 0

    def admit(self, seconds: float) -> None:
        """Once admitted, a call stays so. seconds: all that it has. Raises FetchFailure while the server's breaker is
        open.
        """
        if self._admitted or self._breakers is None:
            return
        with self._telling:
            self._admitted = self._breakers.admits(self._server, self, seconds)
            told, self._turned_away = self._turned_away, not self._admitted
        if not self._admitted:
            if not told:
                self._watch.turned_away()
            raise FetchFailure(_REFUSED)

    @contextmanager
    def turn(self, deadline: Deadline) -> Iterator[None]:
        """One request's turn, within the bounds of the call and when the server wants to be asked. Raises
        FetchFailure.
        """
        if not self._slots.acquire(timeout=deadline.remaining()):
            raise FetchFailure("timeout")
        try:
            wait = self._held_until - time.monotonic()
            if wait >= deadline.remaining():
                raise FetchFailure(f"HTTP {self._held_by}", status=self._held_by)
            if wait > 0:
                time.sleep(wait)
            yield
        finally:
            self._slots.release()

    def hold(self, seconds: float, status: int) -> None:
        """The server asked, with this status, to be left alone for so long: by all requests of the call."""
        with self._telling:
            until = time.monotonic() + seconds
            if until > self._held_until:
                self._held_until, self._held_by = until, status

    def answered(self) -> None:
        """The server lives."""
        if self._breakers is None:
            return
        self._was_answered = True
        self._tell(self._breakers.answered(self._server))

    def silent(self, kind: str, *, unreachable: bool = False) -> None:
        """A request for this kind of resource had no answer; see `Breakers.silent`."""
        if self._breakers is None:
            return
        with self._telling:
            if self._was_answered:
                return
            first, self._was_silent = not self._was_silent, True
        self._tell(self._breakers.silent(self._server, self, kind, first=first, unreachable=unreachable))

    def _tell(self, change: str | None) -> None:
        if change is not None and self._breakers is not None:
            self._watch.breaker(change, self._client, self._breakers.open())
