"""The worker process: its loop, its signals and its end. What it does with connections is `traffic`.

Told to stop, it goes on accepting while /readyz says 503, then answers whatever was accepted before it exits. Error
policy: one that can no longer work (too many stuck calls) stops so by itself, and gunicorn starts another.
"""

from __future__ import annotations

import math
import os
import selectors
import sys
import time
from contextlib import suppress
from functools import partial
from typing import Any, Final

from gunicorn.workers.base import Worker

from cds_service.server.listening import refuse_new
from cds_service.server.traffic import Traffic

# While stopping: how long a connection kept alive may still bring a request, a refused one go on sending, and one
# that is just being made take.
KEPT_SECONDS: Final = 1.0
LINGER_SECONDS: Final = 3.0
CONNECTING_SECONDS: Final = 0.2
# The loop gives Python's lock up at each system call, and gets it back from a busy thread only so often.
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

    # Signals only leave a note: the loop does the work, woken by gunicorn's pipe. The arbiter repeats SIGTERM to a
    # worker that is to be replaced, so only SIGQUIT is a hurry.
    def handle_exit(self, sig: int, frame: Any) -> None:
        self.stop_asked = self.stop_asked or time.monotonic()

    def handle_quit(self, sig: int, frame: Any) -> None:
        self.stop_asked = self.stop_asked or time.monotonic()
        self.hurried = True

    def run(self) -> None:
        sys.setswitchinterval(SWITCH_SECONDS)
        traffic = Traffic(self.wsgi, self.cfg, self.limits, self.PIPE[1], lambda: self.stop_asked is not None)
        for listener in self.sockets:
            listener.setblocking(False)
            traffic.poller.register(listener, selectors.EVENT_READ, partial(traffic.accept, listener))
        traffic.poller.register(self.PIPE[0], selectors.EVENT_READ, self._woken)
        noted = swept = 0.0
        while not self._ended(traffic, time.monotonic()):
            patience = 0.05 if self.stop_asked is not None else traffic.patience(time.monotonic())
            for key, _ in traffic.poller.select(patience):
                key.data()
            now = time.monotonic()
            traffic.take_back(now)
            traffic.start_waiting(now)
            if now - swept >= _SWEEP_SECONDS:
                swept = now
                traffic.expire(now)
            if now - noted >= 1.0:
                noted = now
                self._note(traffic, now)
        for connection in list(traffic.connections):
            traffic.close(connection)

    def _woken(self) -> None:
        with suppress(BlockingIOError):
            while len(os.read(self.PIPE[0], 4096)) == 4096:
                pass

    def _note(self, traffic: Traffic, now: float) -> None:
        """Once a second: tells the arbiter that it lives, the log what it refused; sees whether it should end."""
        self.notify()
        for status, count in traffic.refusals.items():
            self.limits.refused(status, count)
        traffic.refusals.clear()
        if self._service_ends() or traffic.lost(now):
            self.stop_asked = self.stop_asked or now

    def _service_ends(self) -> bool:
        return bool(self.app.ending) or os.getppid() != self.ppid

    def _ended(self, traffic: Traffic, now: float) -> bool:
        """While stopping: whether all that was accepted is answered. Ends what is idle when its time has come."""
        if self.stop_asked is None:
            return False
        since = math.inf if self.hurried else now - self.stop_asked
        drain = self.limits.drain_seconds
        if self._service_ends():
            self.limits.stopping.set()
            self._stop_service(traffic, since - drain)
        else:
            # Only this worker stops: the others listen on, and the service remains ready.
            drain = 0.0
            self._stop_listening(traffic)
        for connection in list(traffic.connections):
            patience = LINGER_SECONDS if connection.state == "lingering" else KEPT_SECONDS
            idle = connection.state == "arriving" and not connection.arriving.begun
            if (idle or connection.state in ("handshake", "lingering")) and since >= drain + patience:
                traffic.close(connection)
        return not self.sockets and not traffic.at_work(now)

    def _stop_service(self, traffic: Traffic, since: float) -> None:
        """Lets nobody connect any more and, when all who were connecting have, takes them. `since`: the draining."""
        if since >= 0:
            for listener in self.sockets:
                refuse_new(listener)
        if since >= CONNECTING_SECONDS:
            for listener in self.sockets:
                while traffic.accept(listener):
                    pass
            self._stop_listening(traffic)

    def _stop_listening(self, traffic: Traffic) -> None:
        for listener in self.sockets:
            traffic.poller.unregister(listener)
            listener.close()
        self.sockets = []
