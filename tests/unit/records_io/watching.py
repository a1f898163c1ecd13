"""A watch of a transport that keeps what it is told."""

from __future__ import annotations

from dataclasses import dataclass, field

from cds_service.records.fhir_transport import FetchFailure


@dataclass
class Watching:
    """fetched: kind and reason of failure of each request; changes: of breakers."""

    requests: list[tuple[str, str | None]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)
    changes: list[tuple[str, str | None, int]] = field(default_factory=list)
    retries: int = 0
    turned_away_calls: int = 0

    def fetched(self, kind: str, seconds: float, failure: FetchFailure | None) -> None:
        self.requests.append((kind, failure.reason if failure else None))
        self.seconds.append(seconds)

    def retried(self) -> None:
        self.retries += 1

    def turned_away(self) -> None:
        self.turned_away_calls += 1

    def breaker(self, change: str, client: str | None, now_open: int) -> None:
        self.changes.append((change, client, now_open))
