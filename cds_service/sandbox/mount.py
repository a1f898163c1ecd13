"""Joins the sandbox's parts to blueprints that an application mounts: the FHIR endpoint and the page.

All state is in the Store made here: each call gives an independent sandbox.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date
from typing import Any, Final

from flask import Blueprint, redirect

from cds_service.eligibility.questionnaire import attestation_questionnaire
from cds_service.eligibility.trial import Trial
from cds_service.sandbox.code_names import code_names
from cds_service.sandbox.ehr import ehr_blueprint
from cds_service.sandbox.fhir import fhir_blueprint
from cds_service.sandbox.store import Store
from cds_service.sandbox.vignettes import Vignette, server_resources
from cds_service.terminology.value_sets import ValueSets, load_value_sets

PAGE_PREFIX: Final = "/sandbox"
FHIR_PREFIX: Final = "/sandbox/fhir"
# The user who opens the charts and signs the answers.
CLINICIAN: Final[dict[str, Any]] = {
    "resourceType": "Practitioner",
    "id": "sandbox-clinician",
    "active": True,
    "name": [{"text": "Dr. Ana Souza (demo)", "family": "Souza", "given": ["Ana"], "prefix": ["Dr."]}],
}


def create_sandbox(
    trials: Iterable[Trial],
    vignettes: Sequence[Vignette],
    as_of: date,
    *,
    value_sets: ValueSets | None = None,
) -> list[Blueprint]:
    """The sandbox's blueprints: the page at /sandbox/, its FHIR endpoint at /sandbox/fhir, and / leading to the page.

    `as_of` is the day the demo lives on: charts, answers and the service must agree on it.
    `value_sets`: as already loaded elsewhere; they name the codes that a chart holds without words.
    """
    known = list(trials)
    # All trials share one canonical URL; on one server each needs an id of its own.
    questionnaires = {t.id: {**attestation_questionnaire(t), "id": f"attestation-{t.id}"} for t in known}
    store = Store([*server_resources(vignettes), CLINICIAN, *questionnaires.values()], as_of)
    ids = {trial_id: resource["id"] for trial_id, resource in questionnaires.items()}
    pages = ehr_blueprint(
        known,
        vignettes,
        store,
        as_of,
        url_prefix=PAGE_PREFIX,
        questionnaires=ids,
        code_names=code_names(vignettes, load_value_sets() if value_sets is None else value_sets),
    )
    return [fhir_blueprint(store, as_of, url_prefix=FHIR_PREFIX), pages, _entrance()]


def _entrance() -> Blueprint:
    """Who opens the bare address of a demo wants the page."""
    blueprint = Blueprint("sandbox_entrance", __name__)
    blueprint.add_url_rule("/", view_func=lambda: redirect(f"{PAGE_PREFIX}/"), endpoint="entrance")
    return blueprint
