"""Who answers next: lanes with threads of their own, so that busy calls hold up neither health nor discovery.

Used by the worker's loop alone, except that a lane's threads take work from its queue. Nothing fails here.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Final

Work = Callable[[], None]
# Requests that have a patient's data evaluated or stored; all else is cheap or needed under load.
CALLS: Final = (b"POST /cds-services/", b"POST /assessments")
_HEALTH: Final = ("/healthz", "/readyz", "/metrics", "/cds-services")


def lane_of(method: str, path: str) -> str:
    """`calls`, `health` (what must answer however busy the service is) or `pages`."""
    if f"{method} {path}".encode().startswith(CALLS):
        return "calls"
    return "health" if path.rstrip("/") in _HEALTH else "pages"


class Lane:
    """At most `threads` threads, started as they are needed, of which `at_once` may be at work.

    Work that takes longer than `stuck_seconds` no longer counts, so that others go on; its thread stays lost to it.
    """

    def __init__(self, name: str, at_once: int, *, threads: int | None = None, stuck_seconds: float) -> None:
        self._name = name
        self._at_once = at_once
        self._most = max(at_once, threads or at_once)
        self._stuck_seconds = stuck_seconds
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._threads = 0
        self._since: dict[object, float] = {}

    def stuck(self, now: float) -> int:
        """How many of its requests take longer than any should."""
        return sum(now - since > self._stuck_seconds for since in self._since.values())

    def free(self, now: float) -> bool:
        """Whether another request may be worked on."""
        if len(self._since) < self._at_once:
            return True
        return len(self._since) < self._most and len(self._since) - self.stuck(now) < self._at_once

    def lost(self, now: float) -> bool:
        """Whether so many are stuck that the lane can no longer do what it should."""
        return self.stuck(now) > self._most - self._at_once

    def working(self, now: float) -> bool:
        """Whether requests are being answered, those that are stuck aside."""
        return len(self._since) > self.stuck(now)

    def start(self, key: object, work: Work, now: float) -> None:
        """Has a thread do this work. `key`: what `done` will name it by."""
        self._since[key] = now
        if len(self._since) > self._threads < self._most:
            self._threads += 1
            name = f"{self._name}-{self._threads}"
            threading.Thread(target=_serve, args=(self._queue,), name=name, daemon=True).start()
        self._queue.put(work)

    def done(self, key: object) -> None:
        """The work named so has ended."""
        self._since.pop(key, None)


def _serve(queue: SimpleQueue[Work]) -> None:
    while True:
        queue.get()()
