"""The real application before a FHIR server that does wrong, and everything that it tells anybody."""

from __future__ import annotations

import gc
import io
import json
import logging
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Final

import pytest
from flask import Flask

from cds_service.app import create_app, load_screener
from cds_service.eligibility.assessment import Assessment
from cds_service.logs import LibraryLog, json_log
from cds_service.screening import Screener
from cds_service.settings import Settings
from tests.contract.conftest import AS_OF
from tests.contract.hook_requests import SERVICE, hook_request, resources
from tests.support.chart_server import ChartServer, Json, serving_chart
from tests.support.faults import MARK

TOKEN: Final = "Canary-access-token"
# Far above what any call takes that waits for nothing, and a bound of what one that waits may take.
PATIENT_SECONDS: Final = 20.0
HASTY_SECONDS: Final = 1.5
AUTHORIZATION: Final = {
    "access_token": TOKEN,
    "token_type": "Bearer",
    "expires_in": 300,
    "scope": "patient/*.read",
    "subject": "cds",
}
# Threads of the application as a whole, and of the FHIR server.
_OWN: Final = ("retention", "chart-server")


@dataclass(frozen=True)
class Answered:
    """One call of the hook. `assessment`: the trial's, None where its gate stayed closed; `told`: what it left in the
    log, the metrics and the headers; `body`: of the answer.
    """

    status: int
    body: Any
    assessment: Json | None
    seconds: float
    told: str
    asked: list[str]
    elsewhere: int

    @property
    def cards(self) -> list[Json]:
        return list(self.body.get("cards", []))


class _Listening:
    """The meter, overheard: what was assessed."""

    def __init__(self, meter: Any) -> None:
        self._meter = meter
        self.heard: list[Assessment] = []

    def assessed(self, assessments: Sequence[Assessment]) -> None:
        self.heard = list(assessments)
        self._meter.assessed(assessments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._meter, name)


@dataclass
class Hospital:
    """The application and its FHIR server. Each call meets the server under another base URL, as one never met."""

    app: Flask
    chart: ChartServer
    log: io.StringIO
    threads: frozenset[threading.Thread] = field(default_factory=lambda: frozenset(threading.enumerate()))

    def call(
        self, patient_id: str, *, prefetch: Mapping[str, Any] | None = None, server: bool = True
    ) -> Answered:
        """One call for this patient; the server's faults stay as they are placed."""
        more: Json = {"prefetch": dict(prefetch)} if prefetch is not None else {}
        if server:
            more |= {"fhirServer": self.chart.base, "fhirAuthorization": AUTHORIZATION}
        listening = _Listening(self.service.meter)
        object.__setattr__(self.service, "meter", listening)
        self.log.seek(0)
        self.log.truncate()
        self.chart.forget()
        started = time.monotonic()
        try:
            answer = self.app.test_client().post(SERVICE, json=hook_request(patient_id, **more))
        finally:
            object.__setattr__(self.service, "meter", listening._meter)
        seconds = time.monotonic() - started
        told = [self.log.getvalue(), self.app.test_client().get("/metrics").text, str(answer.headers)]
        assessed = [json.loads(json.dumps(each.to_json())) for each in listening.heard]
        asked = [request.kind for request in self.chart.requests]
        # What was asked past the base, and what carries what a fault said.
        elsewhere = [r for r in self.chart.requests if MARK in f"{r.url} {r.query}".lower()]
        return Answered(
            answer.status_code,
            answer.get_json(),
            assessed[0] if assessed else None,
            seconds,
            "\n".join(told),
            asked,
            len(elsewhere),
        )

    @property
    def service(self) -> Any:
        return self.app.extensions["cds_service"]

    def left_threads(self, within: float = 10.0) -> list[str]:
        """Threads that a call left behind and that are still there after so long."""
        until = time.monotonic() + within
        while True:
            new = {t.name for t in set(threading.enumerate()) - self.threads if t.is_alive()}
            left = [n for n in new if n not in _OWN and "process_request_thread" not in n]
            if not left or time.monotonic() > until:
                return left
            time.sleep(0.02)


@pytest.fixture(scope="session")
def screener() -> Screener:
    return load_screener(Settings())


@contextmanager
def _serving(screener: Screener, fetch_seconds: float) -> Iterator[Hospital]:
    settings = Settings()
    settings = replace(
        settings,
        service=replace(settings.service, database_url="sqlite://", as_of=AS_OF),
        cards=replace(settings.cards, rest_after_views=0),
        limits=replace(settings.limits, fetch_seconds=fetch_seconds),
    )
    handlers, level = logging.root.handlers[:], logging.root.level
    out = io.StringIO()
    app = create_app(settings, screener=screener, log=json_log(out))
    logging.root.handlers[:] = [LibraryLog(json_log(out))]
    logging.root.setLevel(logging.DEBUG)
    try:
        with serving_chart() as chart:
            hospital = Hospital(app, chart, out)
            yield hospital
            hospital.service.transport.close()
            gc.collect()  # urllib3 closes the connections of a pool once nothing refers to it
            assert hospital.left_threads() == []
            assert connections_left(chart) == 0
    finally:
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
        app.extensions["cds_service"].transport.close()
        app.extensions["cds_service"].store.close()


def connections_left(chart: ChartServer, within: float = 10.0) -> int:
    """How many connections the server still has after so long."""
    until = time.monotonic() + within
    while chart.open_connections and time.monotonic() < until:
        time.sleep(0.02)
    return chart.open_connections


@pytest.fixture(scope="module")
def hospital(screener: Screener) -> Iterator[Hospital]:
    """With time enough for every answer that comes at all."""
    with _serving(screener, PATIENT_SECONDS) as made:
        yield made


@pytest.fixture(scope="module")
def hasty(screener: Screener) -> Iterator[Hospital]:
    """With little time, for servers that never end."""
    with _serving(screener, HASTY_SECONDS) as made:
        yield made


@pytest.fixture(autouse=True)
def nothing_printed(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Nothing of a fault gets out past the log."""
    yield
    printed = capfd.readouterr()
    assert MARK not in (printed.out + printed.err).lower()
    assert "Traceback" not in printed.err


def patient_of(record: Json) -> str:
    """The id of a record's patient."""
    return next(str(r["id"]) for r in resources(record) if r["resourceType"] == "Patient")
