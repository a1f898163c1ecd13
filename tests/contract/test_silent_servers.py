"""A FHIR server that answers no call is left alone for a while: its client's cards come at once, nobody else's change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from werkzeug.test import TestResponse

from cds_service.hooks.service import Service
from cds_service.records.breaker import CALLS, FIRST_SECONDS
from cds_service.records.fhir_transport import Bounds, Transport
from tests.contract.conftest import Make
from tests.contract.hook_requests import als, person
from tests.contract.test_servers import SECRET, Hospitals, chart
from tests.support.clock import Clock
from tests.unit.records_io.scripted_server import Answer, bundle, elapsed, serving
from tests.unit.test_metrics import value

GATE = {"patient": person(), "condition": bundle(als())}
DOWN = dict.fromkeys(("Patient/1", "Condition", "metadata"), Answer("", 503))


@pytest.fixture
def clock() -> Clock:
    return Clock()


def hospitals(make_app: Make, folder: Path, clock: Clock, **servers: str) -> Hospitals:
    made = Hospitals(
        make_app, folder, **{name: {"fhir_servers": (server,)} for name, server in servers.items()}
    )
    service = service_of(made)
    watch = service.transport.watch
    object.__setattr__(service, "transport", Transport(bounds=Bounds(retries=0), watch=watch, clock=clock))
    return made


def service_of(made: Hospitals) -> Service:
    service: Service = made.client.application.extensions["cds_service"]
    return service


def why(answer: TestResponse) -> str:
    assert answer.status_code == 412
    return str(answer.get_json()["issue"][0]["diagnostics"])


def changes(made: Hospitals) -> list[dict[str, Any]]:
    return [line for line in made.log if line["event"].startswith("breaker-")]


def test_a_client_whose_server_is_down_is_told_so_at_once_and_no_other_client_is(
    make_app: Make, tmp_path: Path, clock: Clock
) -> None:
    with serving(chart()) as well, serving(DOWN) as server:
        made = hospitals(make_app, tmp_path, clock, a=server.base, b=well.base)
        for _ in range(CALLS):
            assert "HTTP 503" in why(made.call("a", server.base))
        asked = len(server.requests)
        answer, took = elapsed(lambda: made.call("a", server.base))
        assert "server not answering" in why(answer)
        assert took < 2
        assert len(server.requests) == asked
        assert made.call("b", well.base).get_json()["cards"]
        assert made.client.get("/readyz").status_code == 200, "the service still answers"

        (line,) = changes(made)
        assert (line["event"], line["client"]) == ("breaker-opened", "a")
        metrics = made.client.get("/metrics").text
        assert value(metrics, "cds_fhir_breakers_open") == 1
        assert value(metrics, "cds_fhir_breaker_changes_total", change="opened") == 1
        assert value(metrics, "cds_fhir_calls_turned_away_total") == 1
        failed = {"resource_type": "Patient", "outcome": "http-5xx"}
        assert value(metrics, "cds_fhir_request_seconds_count", **failed) == CALLS
        assert value(metrics, "cds_fhir_request_seconds_count", resource_type="Patient", outcome="ok") == 1
        for told in (json.dumps(made.log), metrics, answer.text):
            for secret in (SECRET, "127.0.0.1", str(urlsplit(server.base).port), "/fhir"):
                assert secret not in told


def test_prefetch_gives_its_card_meanwhile_and_says_what_is_missing(
    make_app: Make, tmp_path: Path, clock: Clock
) -> None:
    with serving(DOWN) as server:
        made = hospitals(make_app, tmp_path, clock, a=server.base)
        for _ in range(CALLS):
            made.call("a", server.base)
        asked = len(server.requests)
        answer, took = elapsed(lambda: made.call("a", server.base, prefetch=GATE))
        assert len(server.requests) == asked
    (card,) = answer.get_json()["cards"]
    counts = card["extension"]["org.cds-service.assessment"]["counts"]
    assert counts["unknown"] > 20
    assert took < 5
    lost = made.log[-1]["data"]
    assert lost["Observation"] == "failed"


def test_a_server_that_is_back_is_found_by_one_call(make_app: Make, tmp_path: Path, clock: Clock) -> None:
    with serving(dict(DOWN)) as server:
        made = hospitals(make_app, tmp_path, clock, a=server.base)
        for _ in range(CALLS):
            made.call("a", server.base)
        server.script.update(chart())
        assert "server not answering" in why(made.call("a", server.base))
        clock.now += FIRST_SECONDS
        assert made.call("a", server.base).get_json()["cards"], "one call with all its searches"
        assert made.call("a", server.base).get_json()["cards"]
        assert [line["event"] for line in changes(made)] == ["breaker-opened", "breaker-closed"]
        assert value(made.client.get("/metrics").text, "cds_fhir_breakers_open") == 0


def test_the_settings_bound_what_a_call_fetches(make_app: Make) -> None:
    app = make_app(limits__search_seconds=1.25, limits__fetched_resources=77, limits__concurrency=3)
    service: Service = app.extensions["cds_service"]
    bounds = service.transport.bounds
    assert (bounds.search_seconds, bounds.resources) == (1.25, 77)
    assert service.transport._pool == 3 * bounds.parallel
