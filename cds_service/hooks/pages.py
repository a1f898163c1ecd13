"""The open pages beside the hooks: the trial in words, the OpenAPI document; and POST /assessments.

Error policy: as `views`; `/assessments` is guarded like the hooks and takes no identifier in its URL.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

import orjson
from flask import Blueprint, Response, render_template, request
from werkzeug.datastructures import MultiDict

from cds_service.eligibility.trial import Trial
from cds_service.errors import InputError, NotFoundError
from cds_service.hooks.auditing import audited
from cds_service.hooks.body import json_body, json_response
from cds_service.hooks.observed import phase
from cds_service.hooks.openapi import openapi
from cds_service.hooks.service import Service
from cds_service.hooks.views import tell
from cds_service.records.bundle import read_bundle
from cds_service.rendering.words import KIND

_PAGE_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'",
    "Vary": "Accept",
}


def pages_blueprint(service: Service) -> Blueprint:
    """The blueprint of /assessments, /trials/<id> and /openapi.json."""
    pages = Blueprint("pages", __name__, template_folder="templates")
    trials = {trial_id: trial_json(trial) for trial_id, trial in service.trials.items()}

    @pages.post("/assessments")
    def assessments() -> Response:
        with phase("authenticate"):
            caller = service.caller()
        chosen, as_of = assessment_query(request.args, service)
        with phase("parse"):
            bundle, patient = assessment_input(json_body())
            record = read_bundle(bundle, patient_id=patient)
        with audited(service, caller, patient=record.patient_reference.rpartition("/")[2]), phase("evaluate"):
            screened = service.screener.screen(record, chosen, as_of)
            found = [assessment.to_json() for assessment in screened]
        tell(service, screened)
        service.log("assessed", assessments=len(found))
        return json_response(found[0] if len(chosen) == 1 else found)

    @pages.get("/trials/<trial_id>")
    def trial(trial_id: str) -> Response:
        if trial_id not in trials:
            raise NotFoundError("There is no trial of that id: see /cds-services for the trials known here.")
        shown = trials[trial_id]
        wanted = request.accept_mimetypes.best_match(["text/html", "application/json"], default="text/html")
        if wanted == "application/json":
            return Response(orjson.dumps(shown), content_type="application/json", headers={"Vary": "Accept"})
        body = render_template("trial.html", trial=shown, kinds=KIND)
        return Response(body, content_type="text/html; charset=utf-8", headers=_PAGE_HEADERS)

    @pages.get("/openapi.json")
    def description() -> Response:
        document = openapi(
            service.base(),
            service.version,
            service.service_ids(),
            list(service.trials),
            guarded=bool(service.clients),
        )
        return Response(orjson.dumps(document), content_type="application/json")

    return pages


def assessment_query(args: MultiDict[str, str], service: Service) -> tuple[list[str], date]:
    """Trials and day of an /assessments call. Raises InputError, NotFoundError."""
    if unknown := sorted(set(args) - {"trial", "asOf"}):
        raise InputError(
            f"Only the query parameters trial and asOf are known ({len(unknown)} other given): "
            "name the patient in the body, as a FHIR Parameters resource with bundle and patient."
        )
    chosen = list(dict.fromkeys(args.getlist("trial"))) or list(service.trials)
    if any(trial not in service.trials for trial in chosen):
        raise NotFoundError(f"There is no such trial; known are {', '.join(service.trials)}.")
    days = args.getlist("asOf")
    if not days:
        return chosen, service.today()
    try:
        if len(days) > 1 or len(days[0]) != 10:
            raise ValueError
        return chosen, date.fromisoformat(days[0])
    except ValueError:
        raise InputError("asOf must be one date such as 2026-06-15.", expression="asOf") from None


def assessment_input(body: Any) -> tuple[Any, str | None]:
    """The Bundle, and the patient where a Parameters resource names one. Raises InputError."""
    if isinstance(body, dict) and body.get("resourceType") == "Bundle":
        return body, None
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise InputError("The body must be a FHIR Bundle, or Parameters with bundle and patient.")
    parameters = body.get("parameter")
    if not isinstance(parameters, list):
        raise InputError("parameter must be a list.", expression="Parameters.parameter")
    bundle: Any = None
    patient: str | None = None
    for parameter in parameters:
        name = parameter.get("name") if isinstance(parameter, dict) else None
        if name == "bundle":
            bundle = parameter.get("resource")
        elif name == "patient":
            patient = _patient_id(parameter)
        else:
            raise InputError(
                "Only the parameters bundle and patient are known.", expression="Parameters.parameter"
            )
    if not isinstance(bundle, dict):
        raise InputError(
            "The parameter bundle must hold the patient's Bundle as its resource.",
            expression="Parameters.parameter.where(name='bundle')",
        )
    return bundle, patient


def _patient_id(parameter: Mapping[str, Any]) -> str:
    reference = parameter.get("valueReference")
    value = reference.get("reference") if isinstance(reference, dict) else None
    for key in ("valueString", "valueId", "valueCode", "valueUri"):
        value = value or parameter.get(key)
    if not isinstance(value, str) or not value:
        raise InputError(
            "The parameter patient must be an id (valueString, valueId) or a valueReference.",
            expression="Parameters.parameter.where(name='patient')",
        )
    return value.rsplit("Patient/", 1)[-1]


def trial_json(trial: Trial) -> dict[str, Any]:
    """The trial in words: what /trials/{id} answers as JSON and shows as a page; absent facts are left
    out.
    """
    registry = trial.registry
    shown: dict[str, Any] = _without_none(
        {
            "id": trial.id,
            "nct": trial.nct,
            "version": trial.version,
            "title": trial.title,
            "shortTitle": trial.short_title,
            "description": trial.description,
            "registry": {
                "status": registry.status,
                "lastVerified": registry.last_verified,
                "url": registry.url,
                "recruitingConfirmed": registry.recruiting_confirmed.isoformat()
                if registry.recruiting_confirmed
                else None,
                "warning": registry.warning,
            },
            "sites": [{"name": s.name, "city": s.city, "country": s.country} for s in trial.sites],
            "contacts": [
                {"name": c.name, "role": c.role, "detail": c.detail or None} for c in trial.contacts
            ],
            "burden": list(trial.burden),
            "rows": [_row(trial, row.id, row.kind, row.text) for row in trial.rows],
        }
    )
    return shown


def _row(trial: Trial, row_id: str, kind: str, text: str) -> dict[str, Any]:
    """One row of the protocol with the criteria that it is computed as."""
    return {
        "id": row_id,
        "kind": kind,
        "text": text,
        "criteria": [
            {
                "id": c.id,
                "label": c.label,
                "tier": c.tier,
                "text": c.text,
                "computedFrom": c.computed_from,
                "computed": c.define is not None or c.same_as is not None,
                "question": c.question,
            }
            for c in trial.criteria
            if c.group == row_id
        ],
    }


def _without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_none(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_none(item) for item in value]
    return value
