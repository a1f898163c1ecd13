"""The connections of one worker: accepted, read, bounded, refused; their requests handed to the threads of a lane.

Everything here runs in the worker's loop and waits for nothing, but for what `_start` gives a thread to do. Error
policy: a request beyond a limit gets its refusal, a connection beyond its time is ended, a client that has gone is
forgotten; none of them costs a thread.
"""

from __future__ import annotations

import os
import selectors
import time
from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any, Final

from cds_service.server.answering import answer
from cds_service.server.arriving import Arriving
from cds_service.server.connection import Connection, Gone
from cds_service.server.lanes import CALLS, Lane, lane_of
from cds_service.server.refusals import Refused, refusal

# A call that finds all of its process at work waits so long, and no more of them than may work at once.
WAIT_SECONDS: Final = 0.5
STUCK_SECONDS: Final = 60.0
HEALTH_THREADS: Final = 2
PAGE_THREADS: Final = 8
# What has come and is not yet worked on, in bodies of the largest size; and so many of those may be worked on at once:
# read, a body takes up to forty times its length.
HELD_BODIES: Final = 8
WORKED_BODIES: Final = 2


class Traffic:
    """The connections of one worker. `application`: WSGI; `wake`: a descriptor that wakes the loop when written to;
    `stopping`: whether answers should end their connections.
    """

    def __init__(
        self, application: Any, cfg: Any, limits: Any, wake: int, stopping: Callable[[], bool]
    ) -> None:
        self._application = application
        self._cfg = cfg
        self._limits = limits
        self._wake = wake
        self._stopping = stopping
        self.poller = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.refusals: Counter[int] = Counter()
        self._waiting: list[tuple[float, Connection]] = []
        self._answered: deque[tuple[Connection, bool]] = deque()
        self._at_once = min(limits.concurrency, limits.threads)
        self._worked: dict[Connection, int] = {}
        calls = Lane("call", self._at_once, threads=limits.threads, stuck_seconds=STUCK_SECONDS)
        health = Lane("health", HEALTH_THREADS, stuck_seconds=STUCK_SECONDS)
        pages = Lane("page", PAGE_THREADS, stuck_seconds=STUCK_SECONDS)
        self._lanes = {"calls": calls, "health": health, "pages": pages}
        self._queues: dict[str, deque[Connection]] = {"health": deque(), "pages": deque()}

    def patience(self, now: float) -> float:
        """How long nothing may happen before something is due."""
        return max(0.0, min(0.5, self._waiting[0][0] - now)) if self._waiting else 0.5

    def lost(self, now: float) -> bool:
        """Whether so many calls are stuck that this process can no longer do its work."""
        return self._lanes["calls"].lost(now)

    def at_work(self, now: float) -> bool:
        """Whether anything that has been accepted is still to be answered."""
        if self._waiting or self._answered or any(self._queues.values()):
            return True
        if any(lane.working(now) for lane in self._lanes.values()):
            return True
        return any(c.state in ("arriving", "handshake", "lingering") for c in self.connections)

    def accept(self, listener: Any) -> bool:
        """Takes one connection; says whether there was one."""
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            return False
        except OSError:  # aborted, or no descriptor left: another connection must go first
            self._make_room(time.monotonic())
            return False
        sock.setblocking(False)
        if self._limits.tls is not None:
            sock = self._limits.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        if len(self.connections) >= self._limits.connections:
            self._make_room(time.monotonic())
        arriving = Arriving(self._cfg, peer, self._limits.body_bytes)
        deadline = time.monotonic() + self._limits.request_seconds
        connection = Connection(sock, peer, listener.getsockname(), arriving, deadline)
        self.connections.add(connection)
        self.poller.register(sock, selectors.EVENT_READ, partial(self._readable, connection))
        return True

    def _make_room(self, now: float) -> None:
        """Ends the connection that has had nothing to say for longest, so that a new one finds a place."""
        idle = [c for c in self.connections if c.state in ("arriving", "handshake", "lingering")]
        if idle:
            self.close(min(idle, key=lambda c: (c.arriving.request is not None, c.deadline)))

    def close(self, connection: Connection) -> None:
        if connection in self.connections:
            self.connections.discard(connection)
            self._unwatch(connection)
            connection.close()

    def _unwatch(self, connection: Connection) -> None:
        with suppress(KeyError, ValueError):
            self.poller.unregister(connection.sock)

    def _readable(self, connection: Connection) -> None:
        now = time.monotonic()
        try:
            if connection.state == "handshake":
                connection.shake_hands()
                wanted = selectors.EVENT_WRITE if connection.wants_write else selectors.EVENT_READ
                self.poller.modify(connection.sock, wanted, partial(self._readable, connection))
                return
            data = connection.read()
            if not data or connection.state == "lingering":
                return
            begun, deadline = connection.arriving.begun, connection.deadline
            if not begun:
                connection.deadline = now + self._limits.request_seconds
            connection.arriving.add(data)
            self._advance(connection, now)
            if connection.state == "arriving" and not connection.arriving.begun:
                connection.deadline = deadline  # blank lines are no request, and lengthen nothing
            self._hold_within_bounds(connection)
        except Gone:
            self.close(connection)

    def _hold_within_bounds(self, latest: Connection) -> None:
        """Bodies that arrive slowly side by side may fill the memory: the largest is refused."""
        if latest.held < 65_536:
            return
        arriving = [c for c in self.connections if c.state == "arriving"]
        if arriving and sum(c.held for c in self.connections) > HELD_BODIES * self._limits.body_bytes:
            self._refuse(max(arriving, key=lambda c: c.held), 503)

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _advance(self, connection: Connection, now: float) -> None:
        """Takes a connection as far as what has come allows: to its refusal, or to a thread."""
        arriving = connection.arriving
        try:
            if arriving.starts_with(CALLS) and self._busy(now):
                raise Refused(503)
            request = arriving.head()
            if request is None:
                return
            if request.headers and arriving.wants_to_be_asked():
                connection.tell(b"HTTP/1.1 100 Continue\r\n\r\n")
            body = arriving.body()
        except Refused as refused:
            self._refuse(connection, refused.status)
            return
        if body is None:
            return
        connection.body = body
        connection.state = "waiting"
        self._unwatch(connection)
        lane = lane_of(request.method, request.path)
        if lane == "calls":
            self._waiting.append((now + WAIT_SECONDS, connection))
        else:
            self._queues[lane].append(connection)
        self.start_waiting(now)

    def _busy(self, now: float) -> bool:
        """Whether one more call would not be begun in time."""
        return len(self._waiting) >= self._at_once and not self._lanes["calls"].free(now)

    def _fits(self, body: bytes) -> bool:
        """Whether there is memory to work on this body: for small ones always, for large ones beside few others."""
        limit: int = self._limits.body_bytes
        small = len(body) * self._at_once <= limit
        return small or bool(sum(self._worked.values()) + len(body) <= WORKED_BODIES * limit)

    def _refuse(self, connection: Connection, status: int) -> None:
        """Answers without a thread, and lets the client finish what it is sending, so that it reads the answer."""
        self.refusals[status] += 1
        connection.body = b""
        connection.arriving = Arriving(self._cfg, connection.peer, 0)
        connection.say_last(refusal(status))
        connection.deadline = time.monotonic() + self._limits.request_seconds
        with suppress(KeyError, ValueError):
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))

    def _start(self, lane: str, connection: Connection, now: float) -> None:
        connection.state = "working"
        request, body = connection.arriving.request, connection.body
        connection.arriving.next()
        connection.body = b""
        self._worked[connection] = len(body)

        def work() -> None:
            keep = False
            try:
                last = self._stopping()
                keep = answer(self._application, self._cfg, connection, request, body, last)
            finally:
                self._answered.append((connection, keep))
                with suppress(BlockingIOError):
                    os.write(self._wake, b".")

        self._lanes[lane].start(connection, work, now)

    def start_waiting(self, now: float) -> None:
        for name, queue in self._queues.items():
            while queue and self._lanes[name].free(now):
                self._start(name, queue.popleft(), now)
        for call in tuple(self._waiting):
            if self._lanes["calls"].free(now) and self._fits(call[1].body):
                self._waiting.remove(call)
                self._start("calls", call[1], now)
        while self._waiting and self._waiting[0][0] <= now and not self._stopping():
            self._refuse(self._waiting.pop(0)[1], 503)

    def take_back(self, now: float) -> None:
        """Connections whose answers are out: they may bring another request."""
        while self._answered:
            connection, keep = self._answered.popleft()
            del self._worked[connection]
            for lane in self._lanes.values():
                lane.done(connection)
            if connection not in self.connections:
                continue
            if not keep:
                if not connection.arriving.begun:
                    self.close(connection)
                    continue
                connection.say_last(b"")  # what it sent after its last request must not reset the answer
                connection.deadline = now + 1.0
            else:
                connection.sock.setblocking(False)
                connection.state = "arriving"
                seconds = self._limits.request_seconds if connection.arriving.begun else self._cfg.keepalive
                connection.deadline = now + seconds
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))
            if keep and connection.arriving.begun:
                self._advance(connection, now)

    def expire(self, now: float) -> None:
        """Ends what has had its time."""
        for connection in [c for c in self.connections if c.deadline <= now]:
            if connection.state == "arriving" and connection.arriving.begun:
                self._refuse(connection, 408)
            elif connection.state in ("arriving", "handshake", "lingering"):
                self.close(connection)
