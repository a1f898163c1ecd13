"""The worker process: one loop that accepts, reads, bounds and refuses; threads that answer.

Error policy: a request beyond a limit gets its refusal, a connection beyond its time is ended, and neither costs a
thread. Told to stop, the worker goes on accepting while /readyz says 503, then answers whatever was accepted before
it exits. One that can no longer work (too many stuck calls) stops so by itself, and gunicorn starts another.
"""

from __future__ import annotations

import math
import os
import selectors
import sys
import time
from collections import Counter, deque
from contextlib import suppress
from functools import partial
from typing import Any, Final

from gunicorn.workers.base import Worker

from cds_service.server.answering import answer
from cds_service.server.arriving import Arriving
from cds_service.server.connection import Connection, Gone
from cds_service.server.lanes import CALLS, Lane, lane_of
from cds_service.server.listening import refuse_new
from cds_service.server.refusals import Refused, refusal

# A call that finds all of its process at work waits so long, and no more of them than may work at once.
WAIT_SECONDS: Final = 0.5
STUCK_SECONDS: Final = 60.0
# While stopping: how long a connection kept alive may still bring a request, a refused one go on sending, and one
# that is just being made take.
KEPT_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 3.0
CONNECTING_SECONDS: Final = 0.2
HEALTH_THREADS: Final = 2
PAGE_THREADS: Final = 8
# All bodies that are arriving at once, in bodies of the largest size.
HELD_BODIES: Final = 8
SWITCH_SECONDS: Final = 0.0002
_SWEEP_SECONDS: Final = 0.1


class EventWorker(Worker):  # type: ignore[misc]
    """gunicorn's worker; what it may spend is in `app.limits`."""

    sockets: list[Any]

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.limits = self.app.limits
        self.stop_asked: float | None = None
        self.hurried = False

    def init_process(self) -> None:
        limits = self.limits
        self.poller = selectors.DefaultSelector()
        self.connections: set[Connection] = set()
        self.waiting: deque[tuple[float, Connection]] = deque()
        self.answered: deque[tuple[Connection, bool]] = deque()
        calls = min(limits.concurrency, limits.threads)
        self.lanes = {
            "calls": Lane("call", calls, threads=limits.threads, stuck_seconds=STUCK_SECONDS),
            "health": Lane("health", HEALTH_THREADS, stuck_seconds=STUCK_SECONDS),
            "pages": Lane("page", PAGE_THREADS, stuck_seconds=STUCK_SECONDS),
        }
        self.queues: dict[str, deque[Connection]] = {"health": deque(), "pages": deque()}
        self.refusals: Counter[int] = Counter()
        self.notified = self.swept = 0.0
        # The loop gives Python's lock up at each system call, and gets it back from a busy thread only so often.
        sys.setswitchinterval(SWITCH_SECONDS)
        super().init_process()

    # Signals only leave a note: the loop does the work, woken by gunicorn's pipe.
    def handle_exit(self, sig: int, frame: Any) -> None:
        self.hurried = self.stop_asked is not None
        self.stop_asked = self.stop_asked or time.monotonic()

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.stop_asked = self.stop_asked or time.monotonic()
        self.hurried = True

    def run(self) -> None:
        for listener in self.sockets:
            listener.setblocking(False)
            self.poller.register(listener, selectors.EVENT_READ, partial(self._accept, listener))
        self.poller.register(self.PIPE[0], selectors.EVENT_READ, self._woken)
        while not self._ended(time.monotonic()):
            for key, _ in self.poller.select(self._patience(time.monotonic())):
                key.data()
            now = time.monotonic()
            self._take_back(now)
            self._start_waiting(now)
            if now - self.swept >= _SWEEP_SECONDS:
                self._sweep(now)
        for connection in list(self.connections):
            self._close(connection)

    def _patience(self, now: float) -> float:
        """How long nothing may happen before something is due."""
        if self.stop_asked is not None:
            return 0.05
        return max(0.0, min(1.0, self.waiting[0][0] - now)) if self.waiting else 0.5

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self.PIPE[0], 4096)) == 4096:
                pass

    # ── connections ──────────────────────────────────────────────────────────────────────────────────────────────
    def _accept(self, listener: Any) -> bool:
        """Takes one connection; says whether there was one."""
        try:
            sock, peer = listener.accept()
        except BlockingIOError:
            return False
        except OSError:  # aborted, or no descriptor left: another connection must go first
            self._make_room(time.monotonic())
            return False
        sock.setblocking(False)
        if self.limits.tls is not None:
            sock = self.limits.tls.wrap_socket(sock, server_side=True, do_handshake_on_connect=False)
        if len(self.connections) >= self.limits.connections:
            self._make_room(time.monotonic())
        arriving = Arriving(self.cfg, peer, self.limits.body_bytes)
        deadline = time.monotonic() + self.limits.request_seconds
        connection = Connection(sock, peer, listener.getsockname(), arriving, deadline)
        self.connections.add(connection)
        self.poller.register(sock, selectors.EVENT_READ, partial(self._readable, connection))
        return True

    def _make_room(self, now: float) -> None:
        """Ends the connection that has had nothing to say for longest, so that a new one finds a place."""
        idle = [c for c in self.connections if c.state in ("arriving", "handshake", "lingering")]
        if idle:
            self._close(min(idle, key=lambda c: (c.arriving.request is not None, c.deadline)))

    def _close(self, connection: Connection) -> None:
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
            if not connection.arriving.begun:
                connection.deadline = now + self.limits.request_seconds
            connection.arriving.add(data)
            self._advance(connection, now)
            self._hold_within_bounds(connection)
        except Gone:
            self._close(connection)

    def _hold_within_bounds(self, latest: Connection) -> None:
        """Bodies that arrive slowly side by side may fill the memory: the largest is refused."""
        if latest.held < 65_536:
            return
        arriving = [c for c in self.connections if c.state == "arriving"]
        if sum(c.held for c in arriving) > HELD_BODIES * self.limits.body_bytes:
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
        if lane != "calls":
            self.queues[lane].append(connection)
        elif self.lanes["calls"].free(now) and not self.waiting:
            self._start(lane, connection, now)
        else:
            self.waiting.append((now + WAIT_SECONDS, connection))

    def _busy(self, now: float) -> bool:
        """Whether one more call would not be begun in time."""
        calls = min(self.limits.concurrency, self.limits.threads)
        return len(self.waiting) >= calls and not self.lanes["calls"].free(now)

    def _refuse(self, connection: Connection, status: int) -> None:
        """Answers without a thread, and lets the client finish what it is sending, so that it reads the answer."""
        self.refusals[status] += 1
        connection.body = b""
        connection.arriving = Arriving(self.cfg, connection.peer, 0)
        connection.say_last(refusal(status))
        connection.deadline = time.monotonic() + self.limits.request_seconds
        with suppress(KeyError, ValueError):
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))

    def _start(self, lane: str, connection: Connection, now: float) -> None:
        connection.state = "working"
        request, body = connection.arriving.request, connection.body
        connection.arriving.next()
        connection.body = b""

        def work() -> None:
            keep = False
            try:
                last = self.stop_asked is not None
                keep = answer(self.wsgi, self.cfg, connection, request, body, last)
            finally:
                self.answered.append((connection, keep))
                with suppress(BlockingIOError):
                    os.write(self.PIPE[1], b".")

        self.lanes[lane].start(connection, work, now)

    def _start_waiting(self, now: float) -> None:
        for name, queue in self.queues.items():
            while queue and self.lanes[name].free(now):
                self._start(name, queue.popleft(), now)
        while self.waiting and self.lanes["calls"].free(now):
            self._start("calls", self.waiting.popleft()[1], now)
        while self.waiting and self.waiting[0][0] <= now and self.stop_asked is None:
            self._refuse(self.waiting.popleft()[1], 503)

    def _take_back(self, now: float) -> None:
        """Connections whose answers are out: they may bring another request."""
        while self.answered:
            connection, keep = self.answered.popleft()
            for lane in self.lanes.values():
                lane.done(connection)
            if connection not in self.connections:
                continue
            if not keep:
                if not connection.arriving.begun:
                    self._close(connection)
                    continue
                connection.say_last(b"")  # what it sent after its last request must not reset the answer
                connection.deadline = now + 1.0
            else:
                connection.sock.setblocking(False)
                connection.state = "arriving"
                seconds = self.limits.request_seconds if connection.arriving.begun else self.cfg.keepalive
                connection.deadline = now + seconds
            self.poller.register(connection.sock, selectors.EVENT_READ, partial(self._readable, connection))
            if keep and connection.arriving.begun:
                self._advance(connection, now)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _sweep(self, now: float) -> None:
        self.swept = now
        if now - self.notified >= 1.0:
            self.notified = now
            self.notify()
            self._tell_refusals()
            if self.app.ending or self.ppid != os.getppid() or self.lanes["calls"].lost(now):
                self.stop_asked = self.stop_asked or now
        for connection in [c for c in self.connections if c.deadline <= now]:
            if connection.state == "arriving" and connection.arriving.begun:
                self._refuse(connection, 408)
            elif connection.state in ("arriving", "handshake", "lingering"):
                self._close(connection)

    def _tell_refusals(self) -> None:
        for status, count in self.refusals.items():
            self.limits.refused(status, count)
        self.refusals.clear()

    def _ended(self, now: float) -> bool:
        """While stopping: whether all that was accepted is answered. Ends what is idle when its time has come."""
        if self.stop_asked is None:
            return False
        since = math.inf if self.hurried else now - self.stop_asked
        drain = self.limits.drain_seconds
        if not (self.app.ending or self.ppid != os.getppid()):
            # Only this worker stops: the others listen on, and the service remains ready.
            drain = 0.0
            self._stop_listening()
        else:
            self.limits.stopping.set()
            self._stop_service(since - drain)
        for connection in list(self.connections):
            patience = LINGER_SECONDS if connection.state == "lingering" else KEPT_SECONDS
            idle = connection.state == "arriving" and not connection.arriving.begun
            if (idle or connection.state in ("handshake", "lingering")) and since >= drain + patience:
                self._close(connection)
        if self.sockets or self.waiting or any(self.queues.values()) or self.answered:
            return False
        if any(lane.working(now) for lane in self.lanes.values()):
            return False
        return not any(c.state in ("arriving", "handshake", "lingering") for c in self.connections)

    def _stop_service(self, since: float) -> None:
        """Lets nobody connect any more and, when all who were connecting have, takes them. `since`: the draining."""
        if since >= 0:
            for listener in self.sockets:
                refuse_new(listener)
        if since >= CONNECTING_SECONDS:
            for listener in self.sockets:
                while self._accept(listener):
                    pass
            self._stop_listening()

    def _stop_listening(self) -> None:
        for listener in self.sockets:
            self.poller.unregister(listener)
            listener.close()
        self.sockets = []
