"""What is observed of a request beside its answer: a random id, how long each phase took, and one line in the log.

The line holds fields of the log's list only; durations and counts go to a meter whose labels come from closed sets.
Nothing here sees a body, a header's value or an address. Error policy: observing fails no request; a field that is not
on the log's list is a programming error and raises TypeError.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from uuid import uuid4

from flask import Flask, Response, g, has_app_context, request

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.problems import Log, route

# What comes of a request is told in its one line, under this name; every other event has a line of its own.
_ENDS: Final = frozenset({"call", "feedback", "assessed", "refused", "failed", "unauthorized"})
REQUEST_ID: Final = "X-Request-Id"


class Meter(Protocol):
    """Where durations and counts go. None of these fails, whatever it is given."""

    def begun(self) -> None:
        """A request is being worked on."""

    def ended(self) -> None:
        """It is no longer."""

    def answered(
        self, route: str, method: str, status: int, seconds: float, phases: Mapping[str, float]
    ) -> None:
        """A request to a route (its pattern) was answered; `phases`: seconds of each."""

    def refused(self, kind: str, count: int = 1) -> None:
        """Requests were refused: the name of the error, or the status."""

    def assessed(self, assessments: Sequence[Assessment]) -> None:
        """Assessments were made, with their verdicts."""

    def shown(self, trial: str) -> None:
        """A card of this trial was answered."""

    def resting(self, trial: str, reason: str) -> None:
        """A card of this trial was due and not shown, for this reason."""

    def not_got(self, resource_type: str, state: str, reason: str | None) -> None:
        """A resource type could not be had whole."""

    def fetched(self, resource_type: str, seconds: float, state: str | None, reason: str | None) -> None:
        """A request to a FHIR server ended, with its retries; `state`, `reason`: of its failure, None without one."""

    def retried(self) -> None:
        """A request to a FHIR server is made again."""

    def turned_away(self) -> None:
        """A call asks its FHIR server nothing, for it did not answer the calls before."""

    def breaker(self, change: str, now_open: int) -> None:
        """The breaker of a FHIR server was opened or closed; so many are open in this process."""

    def audited(self, result: str) -> None:
        """What became of an audit event: written, lost, delivered, delayed or rejected."""

    def waiting(self, events: int) -> None:
        """How many audit events wait for delivery."""

    def page(self) -> tuple[bytes, str]:
        """All of it in the Prometheus format, and its media type."""


class Unmetered:
    """The meter of tests and of a service without one: takes everything and keeps nothing."""

    def begun(self) -> None: ...

    def ended(self) -> None: ...

    def answered(
        self, route: str, method: str, status: int, seconds: float, phases: Mapping[str, float]
    ) -> None: ...

    def refused(self, kind: str, count: int = 1) -> None: ...

    def assessed(self, assessments: Sequence[Assessment]) -> None: ...

    def shown(self, trial: str) -> None: ...

    def resting(self, trial: str, reason: str) -> None: ...

    def not_got(self, resource_type: str, state: str, reason: str | None) -> None: ...

    def fetched(self, resource_type: str, seconds: float, state: str | None, reason: str | None) -> None: ...

    def retried(self) -> None: ...

    def turned_away(self) -> None: ...

    def breaker(self, change: str, now_open: int) -> None: ...

    def audited(self, result: str) -> None: ...

    def waiting(self, events: int) -> None: ...

    def page(self) -> tuple[bytes, str]:
        return b"", "text/plain; charset=utf-8"


@dataclass(slots=True)
class Observation:
    """One request as far as it has come."""

    request_id: str = field(default_factory=lambda: str(uuid4()))
    started: float = field(default_factory=time.perf_counter)
    event: str = "request"
    fields: dict[str, Any] = field(default_factory=dict)
    phases: dict[str, float] = field(default_factory=dict)
    _open: list[tuple[str, float]] = field(default_factory=list)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Counts the time of the block to this phase, and not to the one that it is part of."""
        self._pause()
        self._open.append((name, time.perf_counter()))
        try:
            yield
        finally:
            self._pause()
            self._open.pop()
            if self._open:
                self._open[-1] = (self._open[-1][0], time.perf_counter())

    def _pause(self) -> None:
        if self._open:
            name, since = self._open[-1]
            self.phases[name] = self.phases.get(name, 0.0) + time.perf_counter() - since


def observation() -> Observation | None:
    """That of the request under way, None outside of one."""
    return g.get("observation") if has_app_context() else None


@contextmanager
def phase(name: str) -> Iterator[None]:
    """The phase of the request under way; outside of one it is only the block."""
    seen = observation()
    if seen is None:
        yield
        return
    with seen.phase(name):
        yield


def note(**fields: Any) -> None:
    """Adds fields to the line of the request under way."""
    if (seen := observation()) is not None:
        seen.fields.update(fields)


def within_requests(log: Log) -> Log:
    """`log` for use during requests: what comes of a request goes into its one line, all else carries its id."""

    def write(event: str, **fields: Any) -> None:
        seen = observation()
        if seen is None:
            log(event, **fields)
        elif event in _ENDS:
            seen.event = event
            seen.fields.update(fields)
        else:
            log(event, request=seen.request_id, **fields)

    return write


def observe(app: Flask, log: Log, meter: Meter) -> None:
    """Makes the app observe every request. To be called before any other function is registered for requests, so that
    what those refuse is seen too.
    """

    def begin() -> None:
        g.observation = Observation()
        meter.begun()

    def end(response: Response) -> Response:
        seen = observation()
        if seen is None:
            return response
        seconds = time.perf_counter() - seen.started
        response.headers[REQUEST_ID] = seen.request_id
        status = response.status_code
        meter.answered(route(), request.method, status, seconds, seen.phases)
        if status >= 400:
            problem = seen.fields.get("problem")
            meter.refused(problem if isinstance(problem, str) and problem.isidentifier() else str(status))
        line: dict[str, Any] = {**seen.fields, "status": status, "route": route()}
        if seen.phases:
            line["phases"] = {name: _milliseconds(spent) for name, spent in seen.phases.items()}
        log(seen.event, request=seen.request_id, duration_ms=_milliseconds(seconds), **line)
        return response

    def close(_error: BaseException | None) -> None:
        if observation() is not None:
            meter.ended()

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(close)


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
