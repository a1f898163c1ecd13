"""The CDS Hooks endpoints: discovery, the services, their feedback. A view parses, gathers, screens,
responds.

Gate first: only Patient and the gate's types are asked for; the rest of the chart only where a trial's
gate is open. Error policy: errors of the request and of the Patient's retrieval propagate to `problems`;
data that could not be got makes criteria unknown, and a Condition list that could not be got makes no
card.
"""

from __future__ import annotations

import orjson
from flask import Blueprint, Response

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.auditing import audited
from cds_service.hooks.body import json_body, json_response
from cds_service.hooks.discovery import VERSIONS, discovery
from cds_service.hooks.feedback import parse_feedback
from cds_service.hooks.issuing import issue
from cds_service.hooks.messages import parse_request
from cds_service.hooks.observed import note, phase
from cds_service.hooks.service import Service
from cds_service.records.fhir_server import Acquisition
from cds_service.records.shortfalls import shown_reason


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
        with phase("authenticate"):
            caller = service.caller()
        trials = service.trials_of(service_id)
        note(service=service_id)
        with phase("parse"):
            hook = parse_request(json_body())
        with audited(
            service,
            caller,
            patient=hook.patient_id,
            user=hook.user_id,
            fhir_server=hook.fhir_server,
            hook_instance=hook.hook_instance,
        ):
            types = (service.screener.wanted(trials) | service.screener.wanted_by_gates(trials)).types
            with phase("parse"):
                gathering = service.acquisition(hook, caller, types)
            assessments = screened(service, gathering, trials)
            with phase("cards"):
                cards = issue(service, service_id, caller, hook, assessments)
        tell(service, assessments)
        lost = gathering.shortfalls()
        service.log(
            "call",
            cards=len(cards),
            statuses={a.trial.id: a.status for a in assessments},
            data={kind: state for kind, (state, _) in lost.items()},
            why={kind: shown_reason(reason) for kind, (_, reason) in lost.items()},
        )
        return json_response({"cards": cards})

    @pages.post("/cds-services/<service_id>/feedback")
    def feedback(service_id: str) -> Response:
        with phase("authenticate"):
            caller = service.caller(also=f"/cds-services/{service_id}")
        service.trials_of(service_id)
        with phase("parse"):
            rows = parse_feedback(json_body(), service_id, service.now())
        with phase("store"):
            client = service.pseudonyms.client(caller.issuer, caller.tenant)
            new = service.store.add_feedback(rows, client=client)
        service.log("feedback", service=service_id, status=200, resources=new)
        return Response(status=200)

    return pages


def screened(service: Service, gathering: Acquisition, trials: tuple[str, ...]) -> list[Assessment]:
    """Gathers what the gates need and, for the trials whose gate is open, the rest; then their
    Assessments.
    """
    as_of = service.today()
    try:
        with phase("gather"):
            gathering.gather(service.screener.wanted_by_gates(trials))
        with phase("evaluate"):
            opened = service.screener.gates_open(gathering.record(), trials, as_of)
        if not opened:
            return []
        with phase("gather"):
            gathering.gather(service.screener.wanted(opened))
        with phase("evaluate"):
            return service.screener.screen(gathering.record(), opened, as_of)
    finally:
        for kind, (state, reason) in gathering.shortfalls().items():
            service.meter.not_got(kind, state, reason)


def tell(service: Service, assessments: list[Assessment]) -> None:
    """Counts the assessments, and logs where defines failed at run time; their criteria are unknown and say so."""
    service.meter.assessed(assessments)
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
