"""How often a client may call: one token bucket per client, which all worker processes share.

A bucket holds a minute's requests and fills evenly. Its level stands in memory mapped before the workers fork; a
file lock, which the system releases when a process dies, keeps two from taking the same token. Error policy: an
empty bucket is a TooManyRequestsError that says when there will be a token again.
"""

from __future__ import annotations

import fcntl
import math
import mmap
import os
import struct
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final

from cds_service.errors import TooManyRequestsError

_MINUTE: Final = 60.0
_LEVEL: Final = struct.Struct("d")


class Rates:
    """The buckets of these clients. `None` is the one of all callers where no client is configured.

    clock: seconds that never go back, the same in every process (CLOCK_MONOTONIC).
    """

    def __init__(
        self, clients: Sequence[str], per_minute: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._places = {name: place for place, name in enumerate((None, *clients))}
        size = _LEVEL.size * len(self._places)
        self._file, path = tempfile.mkstemp(prefix="cds-service-rates-")
        weakref.finalize(self, os.close, self._file)
        os.unlink(path)  # no name is needed: the workers inherit the descriptor
        # Written, so that it has its place: on a disk that is full, counting would kill the process otherwise.
        os.write(self._file, bytes(size))
        # Of each client, the moment at which its bucket is full again: all that the level follows from.
        self._full_at = mmap.mmap(self._file, size)
        self._threads = threading.Lock()

    def take(self, client: str | None) -> None:
        """Takes one token of this client's bucket. Raises TooManyRequestsError."""
        offset = self._places[client] * _LEVEL.size
        interval = _MINUTE / self._per_minute
        with self._alone(offset):
            now = self._clock()
            full_at = max(now, _LEVEL.unpack_from(self._full_at, offset)[0]) + interval
            # A hair's breadth for sums of thirds of a second.
            wait = full_at - now - _MINUTE - 1e-6
            if wait <= 0:
                _LEVEL.pack_into(self._full_at, offset, full_at)
                return
        seconds = math.ceil(wait)
        raise TooManyRequestsError(
            f"More than {self._per_minute} requests came within a minute (setting limits.requests_per_minute): "
            f"try again after {seconds} s.",
            retry_after=seconds,
        )

    @contextmanager
    def _alone(self, offset: int) -> Iterator[None]:
        """No other thread and no other process is at this bucket meanwhile."""
        with self._threads:
            fcntl.lockf(self._file, fcntl.LOCK_EX, _LEVEL.size, offset)
            try:
                yield
            finally:
                fcntl.lockf(self._file, fcntl.LOCK_UN, _LEVEL.size, offset)
