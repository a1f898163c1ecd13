"""The mini-EHR: one page with its scripts, what it must know at start, the assessment in words, and the
reset.

The page talks to the service over HTTP like any EHR; this module gives it no short cut. Error policy: a
body that is no assessment is answered with 400 and one sentence. Responses carry a strict
Content-Security-Policy: no inline script, no foreign origin.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import date
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

import orjson
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from cds_service.eligibility.trial import Trial
from cds_service.errors import InputError
from cds_service.rendering import html
from cds_service.rendering.trial_words import NO_WORDS, words_of
from cds_service.rendering.view import View, view_of
from cds_service.sandbox.parameters import RESOURCE_TYPES
from cds_service.sandbox.store import Store
from cds_service.sandbox.vignettes import Vignette

MAX_REPORT_BYTES: Final = 2_000_000
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_SCRIPT_TYPES: Final = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


def ehr_blueprint(
    trials: Sequence[Trial],
    vignettes: Sequence[Vignette],
    store: Store,
    as_of: date,
    *,
    url_prefix: str,
    questionnaires: Mapping[str, str],
    code_names: Mapping[str, str],
) -> Blueprint:
    """The page and its few endpoints as a blueprint.

    `questionnaires`: the Questionnaire's id by trial id. `code_names`: words by `system|code`.
    """
    blueprint = Blueprint("sandbox_ehr", __name__, url_prefix=url_prefix)
    config = orjson.dumps({**_config(trials, vignettes, as_of, questionnaires), "codeNames": code_names})
    trial_words = {trial.id: words_of(trial) for trial in trials}
    assets = _assets()

    @blueprint.get("/", strict_slashes=True)
    def index() -> Response:
        return _with_policy(Response(assets["index.html"], content_type="text/html; charset=utf-8"), _POLICY)

    @blueprint.get("/config.json")
    def read_config() -> Response:
        return _with_policy(Response(config, content_type="application/json"), _POLICY)

    @blueprint.get("/static/<name>")
    def asset(name: str) -> Response:
        if name not in assets:
            return Response("There is no such file.", 404, content_type="text/plain; charset=utf-8")
        mimetype = _SCRIPT_TYPES.get(name.rpartition(".")[2], "text/plain")
        return _with_policy(Response(assets[name], content_type=f"{mimetype}; charset=utf-8"), _POLICY)

    @blueprint.post("/report")
    def report() -> Response:
        """An answer of /assessments in words: a fragment for the page; sent by a form, a page to print."""
        request.max_content_length = request.max_form_memory_size = MAX_REPORT_BYTES
        try:
            printed = request.mimetype == "application/x-www-form-urlencoded"
            raw = request.form.get("assessments", "").encode() if printed else request.get_data(cache=False)
            found = _assessments(raw)
            views = [view_of(one, trial_words.get(_trial_id(one), NO_WORDS)) for one in found]
        except InputError as error:
            return Response(str(error), 400, content_type="text/plain; charset=utf-8")
        except RequestEntityTooLarge:
            return Response("The assessment is too long.", 413, content_type="text/plain; charset=utf-8")
        return _page(views) if printed else _fragment(views)

    @blueprint.post("/reset")
    def reset() -> Response:
        """Back to the start. JSON only: a form on a foreign page can't send that unasked."""
        if request.mimetype != "application/json":
            return Response("Send application/json.", 415, content_type="text/plain; charset=utf-8")
        store.reset()
        return Response(status=204)

    return blueprint


def _config(
    trials: Sequence[Trial], vignettes: Sequence[Vignette], as_of: date, questionnaires: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "asOf": as_of.isoformat(),
        "user": "Practitioner/sandbox-clinician",
        "trials": [
            {
                "id": trial.id,
                "nct": trial.nct,
                "title": trial.title,
                "service": f"trial-{trial.id}",
                "questionnaire": questionnaires[trial.id],
            }
            for trial in trials
        ],
        "types": sorted(RESOURCE_TYPES),
        "patients": [{"id": v.patient_id, "title": v.title, "description": v.description} for v in vignettes],
    }


def _assets() -> dict[str, bytes]:
    """The page's files by name, read once: they are few and small."""
    folder = files("cds_service.sandbox").joinpath("static")
    assets = {child.name: child.read_bytes() for child in folder.iterdir() if child.is_file()}
    return {**assets, "report.css": html.stylesheet().encode()}


def _assessments(raw: bytes) -> list[Mapping[str, Any]]:
    try:
        data = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InputError("The body is not JSON.") from error
    found = data if isinstance(data, list) else [data]
    if not all(isinstance(one, dict) for one in found):
        raise InputError("The body is no assessment and no list of assessments.")
    return found


def _trial_id(assessment: Mapping[str, Any]) -> str:
    trial = assessment.get("trial")
    return str(trial.get("id")) if isinstance(trial, Mapping) else ""


def _fragment(views: Sequence[View]) -> Response:
    body = "".join(html.article(view, level=2) for view in views)
    return _with_policy(
        Response(body, content_type="text/html; charset=utf-8"), "default-src 'none'; sandbox"
    )


def _page(views: Sequence[View]) -> Response:
    digest = b64encode(sha256(html.page_style(views).encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; frame-ancestors 'none'"
    return _with_policy(Response(html.page(views), content_type="text/html; charset=utf-8"), policy)


def _with_policy(response: Response, policy: str) -> Response:
    response.headers.update(_HEADERS)
    response.headers["Content-Security-Policy"] = policy
    return response
