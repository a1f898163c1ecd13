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
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.cards import cards
from cds_service.hooks.discovery import discovery
from cds_service.hooks.feedback import parse_feedback
from cds_service.hooks.messages import HookRequest, parse_request
from cds_service.hooks.service import Service
from cds_service.records.fhir_server import Acquisition
from cds_service.records.json_body import read_json


def hooks_blueprint(service: Service) -> Blueprint:
    """The blueprint of /cds-services and everything below it."""
    pages = Blueprint("hooks", __name__)
    known = orjson.dumps(discovery(service))

    @pages.get("/cds-services")
    def services() -> Response:
        return Response(known, content_type="application/json")

    @pages.post("/cds-services/<service_id>")
    def call(service_id: str) -> Response:
        started = time.perf_counter()
        client = service.caller()
        trials = service.trials_of(service_id)
        hook = parse_request(json_body())
        types = service.screener.needed_types(trials) | service.screener.gate_types(trials)
        gathering = service.acquisition(hook, client, types)
        assessments = screened(service, gathering, trials)
        answer = _answer(service, hook, assessments)
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


def _answer(service: Service, hook: HookRequest, assessments: list[Assessment]) -> dict[str, Any]:
    return {
        "cards": cards(
            assessments,
            service.orders,
            service.cards,
            patient_id=hook.patient_id,
            encounter_id=hook.encounter_id,
            base_url=service.base(),
        )
    }


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


def json_body() -> Any:
    """The request's body as JSON. Raises InputError, and 413 for a body of unstated length above the limit."""
    body = request.get_data(cache=False)
    limit = request.max_content_length
    if request.content_length is None and limit is not None and len(body) >= limit:
        # Werkzeug only cuts such a body off, which would look like broken JSON.
        raise RequestEntityTooLarge
    return read_json(body)


def json_response(body: Any, status: int = 200) -> Response:
    """A JSON answer about a patient: never kept by a cache."""
    return Response(
        orjson.dumps(body),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
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
