"""Cards that rest, for the demo's page: it says why a card does not come, and brings it back.

What an operator does on the command line (`feedback erase`) has a button here, for synthetic patients only.
JSON only, so that a form on a foreign page can't send it unasked. Error policy: a body of another shape is an
InputError.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response, request

from cds_service.errors import InputError
from cds_service.hooks.body import json_body, json_response
from cds_service.hooks.cards import OVERRIDE_REASONS
from cds_service.hooks.issuing import HISTORY_DAYS
from cds_service.hooks.service import Service
from cds_service.hooks.suppression import PAUSES, Rest, resting


def rests_blueprint(service: Service, patients: Sequence[str], user: str, *, url_prefix: str) -> Blueprint:
    """`POST …/rests` tells which cards rest for a patient and the demo's user; `POST …/rests/end` forgets what was
    issued and answered for the patient, or for all of `patients` where none is named.
    """
    pages = Blueprint("demo_rests", __name__, url_prefix=url_prefix)
    hashes = service.pseudonyms
    viewer = hashes.user("", None, user)

    @pages.post("/rests")
    def rests() -> Response:
        patient, now = _patient(), service.now()
        if patient is None:
            raise InputError("Send the id of a patient.", expression="patient")
        since = now - timedelta(days=HISTORY_DAYS)
        history = service.store.history(hashes.patient("", None, patient), since, user=viewer)
        # The demo rests no card for its views, so that no verdict needs to be known here.
        known = dict.fromkeys(service.trials, "")
        found = resting(history, known, user=viewer, now=now, views=0, view_days=0)
        return json_response([_told(rest) for rest in found.values()])

    @pages.post("/rests/end")
    def end() -> Response:
        patient = _patient()
        for one in patients if patient is None else [patient]:
            service.store.erase_patient(hashes.patient("", None, one))
        return Response(status=204)

    return pages


def _patient() -> str | None:
    if request.mimetype != "application/json":
        raise InputError("Send application/json.")
    body = json_body()
    patient = body.get("patient") if isinstance(body, dict) else body
    if not isinstance(body, dict) or not (patient is None or isinstance(patient, str)):
        raise InputError('The body must be {"patient": "<id>"}.', expression="patient")
    return patient


def _told(rest: Rest) -> dict[str, Any]:
    pause = PAUSES[rest.reason]
    told = {
        "trial": rest.trial,
        "reason": OVERRIDE_REASONS[rest.reason],
        "users": "every user" if pause.everyone else "you",
    }
    return told if pause.days is None else {**told, "days": pause.days}
