"""What is told of the fetching from FHIR servers: durations and counts to the meter, a breaker's changes to the log.

Error policy: nothing here fails. No address, token or patient data comes this far; a server is told in the log by the
configured name of its client only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cds_service.hooks.observed import Meter
from cds_service.hooks.problems import Log
from cds_service.records.breaker import OPENED
from cds_service.records.fetch_bounds import FetchFailure

_OPENED: Final = "its FHIR server answered no call for a while: it is asked again later, one call at first"
_CLOSED: Final = "its FHIR server answers again"


@dataclass(frozen=True, slots=True)
class FetchWatch:
    """The watch of a service's transport (`records.fetch_call.Watch`)."""

    meter: Meter
    log: Log

    def fetched(self, kind: str, seconds: float, failure: FetchFailure | None) -> None:
        state, reason = (failure.state, failure.reason) if failure else (None, None)
        self.meter.fetched(kind, seconds, state, reason)

    def retried(self) -> None:
        self.meter.retried()

    def turned_away(self) -> None:
        self.meter.turned_away()

    def breaker(self, change: str, client: str | None, now_open: int) -> None:
        self.meter.breaker(change, now_open)
        named = {"client": client} if client else {}
        self.log(f"breaker-{change}", reason=_OPENED if change == OPENED else _CLOSED, **named)
