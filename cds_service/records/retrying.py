"""When a request to a FHIR server is made again, and how long it waits before. Pure but for the jitter and the clock
that stands in for a server without one.

Error policy: nothing fails; what a header says that can't be understood counts as not said.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

# All requests are GETs, so each may be repeated. A 500 would fail again, and a 504 has taken its time already.
RETRIED: Final = frozenset({429, 502, 503})
# A gateway without anything behind it.
UNANSWERED: Final = frozenset({502, 503, 504})
_BACKOFF_SECONDS: Final = 0.2


def backoff(attempt: int) -> float:
    """Seconds before the next attempt, after so many: doubled each time, and never the same for two callers."""
    longest = _BACKOFF_SECONDS * 2.0 ** (attempt - 1)
    return random.uniform(longest / 2, longest)  # noqa: S311  (spreads requests, guards nothing)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks to wait, None where it says nothing usable. A date is told from the server's own
    clock, which may differ from ours.
    """
    value = headers.get("Retry-After")
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    until = _moment(value)
    if until is None:
        return None
    now = _moment(headers.get("Date")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
