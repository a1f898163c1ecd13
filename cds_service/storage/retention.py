"""Deletes what has been kept for long enough: at the start, then once an hour beside the calls, in small steps.

Error policy: a database that does not answer is left for the next hour; the store reports it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final

from cds_service.errors import RetryLaterError
from cds_service.storage.database import Store
from cds_service.storage.records import Deleted

INTERVAL_SECONDS: Final = 3600.0


class Retention:
    """The rule that cards and feedback are kept for `days`, and token ids until they expire."""

    def __init__(
        self,
        store: Store,
        days: int,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        interval: float = INTERVAL_SECONDS,
    ) -> None:
        self._store = store
        self._days = days
        self._now = now
        self._interval = interval
        self._process: int | None = None
        self._beginning = threading.Lock()

    def apply(self) -> Deleted:
        """Deletes what is older now. Raises RetryLaterError."""
        now = self._now()
        self._store.forget_tokens(now)
        try:
            before = now - timedelta(days=self._days)
        except OverflowError:  # kept for longer than there are days
            return Deleted()
        return self._store.retain(before)

    def begin(self) -> None:
        """Begins the hourly deletion in this process, unless it has; threads do not survive a fork, so that each
        process that answers calls this with its first one. Ends when the store is closed.
        """
        if self._process == os.getpid():
            return
        with self._beginning:
            if self._process == os.getpid():
                return
            self._process = os.getpid()
        threading.Thread(target=self._hourly, name="retention", daemon=True).start()

    def _hourly(self) -> None:
        while not self._store.closed.wait(self._interval):
            try:
                self.apply()
            except RetryLaterError:
                continue
