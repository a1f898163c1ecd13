"""The CDS Hooks endpoints: discovery, the services, their feedback. A view parses, gathers, screens,
responds.

Gate first: only Patient and the gate's types are asked for; the rest of the chart only where a trial's
gate is open. Error policy: errors of the request and of the Patient's retrieval propagate to `problems`;
data that could not be got makes criteria unknown, and a Condition list that could not be got makes no
card.
"""

from __future__ import annotations

import time
from typing import Any

import orjson
from flask import Blueprint, Response

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.body import json_body, json_response
from cds_service.hooks.discovery import VERSIONS, discovery
from cds_service.hooks.feedback import parse_feedback
from cds_service.hooks.issuing import issue
from cds_service.hooks.messages import parse_request
from cds_service.hooks.service import Service
from cds_service.records.fhir_server import Acquisition


def hooks_blueprint(service: Service) -> Blueprint:
    """The blueprint of /cds-services and everything below it."""
    pages = Blueprint("hooks", __name__)
    known = {version: orjson.dumps(discovery(service, version)) for version in VERSIONS}
    # Whoever keeps an answer must know that it is not the same for all, where it is not.
    varies = {"Vary": "Authorization"} if service.speaks_newer() else {}

    @pages.get("/cds-services")
    def services() -> Response:
        version = service.version_asked("/cds-services")
        return Response(known[version], content_type="application/json", headers=varies)

    @pages.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        started = time.perf_counter()
        caller = service.caller()
        trials = service.trials_of(service_id)
        hook = parse_request(json_body())
        types = service.screener.needed_types(trials) | service.screener.gate_types(trials)
        gathering = service.acquisition(hook, caller, types)
        assessments = screened(service, gathering, trials)
        answer = {"cards": issue(service, service_id, caller, hook, assessments)}
        _log_call(service, service_id, started, gathering, assessments, answer)
        return json_response(answer)

    @pages.post("/cds-services/<service_id>/feedback")
    def feedback(service_id: str) -> Response:
        service.caller(also=f"/cds-services/{service_id}")
        service.trials_of(service_id)
        rows = parse_feedback(json_body(), service_id)
        new = service.store.add_feedback(rows)
        service.log("feedback", service=service_id, status=200, resources=new)
        return Response(status=200)

    return pages


def screened(service: Service, gathering: Acquisition, trials: tuple[str, ...]) -> list[Assessment]:
    """Gathers what the gates need and, for the trials whose gate is open, the rest; then their
    Assessments.
    """
    as_of = service.today()
    gathering.gather(service.screener.gate_types(trials))
    opened = service.screener.gates_open(gathering.record(), trials, as_of)
    if not opened:
        return []
    gathering.gather(service.screener.needed_types(opened))
    return service.screener.screen(gathering.record(), opened, as_of)


def log_failures(service: Service, assessments: list[Assessment]) -> None:
    """Where defines failed at run time; their criteria are unknown and say so."""
    for assessment in assessments:
        for failure in assessment.failures:
            service.log(
                "criterion-failed",
                trial=assessment.trial.id,
                library=failure.library,
                define=failure.define,
                local_id=failure.local_id,
                locator=failure.locator,
            )


def _log_call(
    service: Service,
    service_id: str,
    started: float,
    gathering: Acquisition,
    assessments: list[Assessment],
    answer: dict[str, Any],
) -> None:
    log_failures(service, assessments)
    lost = {kind: state for kind, state in gathering.account().items() if state != "complete"}
    service.log(
        "call",
        service=service_id,
        status=200,
        duration_ms=round((time.perf_counter() - started) * 1000, 1),
        cards=len(answer["cards"]),
        statuses={a.trial.id: a.status for a in assessments},
        data=lost,
    )
