"""What bounds the fetching of one call: limits, deadlines, and an allowance over all answers together.

Error policy: a deadline that has passed raises FetchFailure; an allowance only says that it is used up.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import Final

from cds_service.errors import CdsServiceError
from cds_service.records.record import FAILED

# So that what refers to a search's results, and the CapabilityStatement, still get a turn.
_SHARE_OF_A_SEARCH: Final = 5 / 6
# The reason where an Allowance is used up.
MORE_DATA: Final = "more data than are read"


class FetchFailure(CdsServiceError):  # noqa: N818  (an outcome that is recorded, not an error shown)
    """One request that yielded no data. `state`: failed or refused; `status`: of HTTP, where an answer
    came.
    """

    def __init__(self, reason: str, *, state: str = FAILED, status: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.state = state
        self.status = status


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of what one call reads from a FHIR server.

    answer_bytes: of one decoded answer; call_bytes, resources: of all answers of a call together. pages: of one search;
    page_size: asked for with `_count`. retries: of one request; parallel: requests of a call at a time.
    search_seconds: for one search with its pages and retries, None = five sixths of what is left of the call's time;
    connect_seconds: for one connection to be made, or a third of what is left where that is more.
    """

    answer_bytes: int = 50_000_000
    call_bytes: int = 100_000_000
    pages: int = 200
    resources: int = 20_000
    page_size: int = 500
    retries: int = 2
    parallel: int = 8
    search_seconds: float | None = None
    connect_seconds: float = 2.0


class Deadline:
    """The moment until which a group of requests together may take. `seconds`: all that it was given."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def remaining(self) -> float:
        """Seconds left; FetchFailure when there are none."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise FetchFailure("timeout")
        return left

    def left(self) -> float:
        """Seconds left, 0 when there are none."""
        return max(0.0, self._end - time.monotonic())

    def within(self, seconds: float) -> Deadline:
        """A deadline so many seconds from now, or this one where it is earlier."""
        return Deadline(min(seconds, self.left()))

    def of_search(self, bounds: Bounds) -> Deadline:
        """The deadline of one search that begins now, with its pages and retries."""
        chosen = bounds.search_seconds
        return self.within(self.left() * _SHARE_OF_A_SEARCH if chosen is None else chosen)


class Allowance:
    """What all answers of one call together may still bring. Shared by the call's threads."""

    def __init__(self, bounds: Bounds) -> None:
        self._resources = bounds.resources
        self._bytes = bounds.call_bytes
        self._taking = threading.Lock()

    def take(self, *, resources: int = 0, size: int = 0) -> bool:
        """Takes resources and decoded bytes that have come; False once more have come than a call reads."""
        with self._taking:
            self._resources -= resources
            self._bytes -= size
            return self._resources >= 0 and self._bytes >= 0
