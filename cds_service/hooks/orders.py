"""The suggestions of a card: refer for screening, and the screening-visit tests as draft orders
(clinical-spec §6.4).

Orders are proposals in draft, to be placed by people and only after research consent. Their templates are
checked against FHIR R4 once, when a trial is taken up; AuthoringError where one is no valid
ServiceRequest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final
from uuid import uuid4

from fhir.resources.R4B.servicerequest import ServiceRequest
from pydantic import ValidationError

from cds_service.eligibility.assessment import EXCLUDED, Assessment
from cds_service.eligibility.trial import Order, Trial
from cds_service.errors import AuthoringError

_CONSENT: Final = "Research-only test: place it only after research consent."


@dataclass(frozen=True, slots=True)
class OrderSet:
    """A trial's draft orders, ready but for patient and day. Sensitive ones are left out unless the site
    allows them.
    """

    referral: Mapping[str, Any]
    tests: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an order is for: `patient` and `encounter` are bare ids, `authored` the day of the assessment."""

    patient: str
    encounter: str | None
    authored: date


def order_set(trial: Trial, *, sensitive_orders: bool) -> OrderSet:
    """The trial's order templates. Raises AuthoringError."""
    tests = {
        code: _checked(_test(order, trial), trial)
        for code, order in trial.orders.items()
        if order.sensitive is None or sensitive_orders
    }
    referral = {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {"text": f"Referral for screening: {trial.nct} {trial.short_title}"},
        "reasonCode": [{"text": f"May be eligible for {trial.nct}"}],
        "note": [{"text": "Pre-screening on routine data; the study team determines eligibility."}],
    }
    return OrderSet(_checked(referral, trial), tests)


def suggestions(assessment: Assessment, orders: OrderSet, subject: Subject) -> list[dict[str, Any]]:
    """At most two suggestions; none for an excluded patient, no referral before recruitment is confirmed."""
    if assessment.status == EXCLUDED:
        return []
    found = []
    if assessment.trial.registry.recruiting_confirmed is not None:
        action = {
            "type": "create",
            "description": "Create a draft referral for screening",
            "resource": _for(orders.referral, subject),
        }
        found.append({"label": "Refer for screening", "uuid": str(uuid4()), "actions": [action]})
    if tests := [orders.tests[code] for code in _wanted(assessment) if code in orders.tests]:
        count = f"{len(tests)} draft order{'' if len(tests) == 1 else 's'}"
        found.append(
            {
                "label": f"Prepare the screening-visit tests ({count}, after consent)",
                "uuid": str(uuid4()),
                "actions": [
                    {
                        "type": "create",
                        "description": f"Create a draft order: {test['code']['text']}",
                        "resource": _for(test, subject),
                    }
                    for test in tests
                ],
            }
        )
    return found


def _wanted(assessment: Assessment) -> list[str]:
    """The order codes that the open criteria suggest, each once, in the trial's order."""
    codes: dict[str, None] = {}
    for result in assessment.criteria:
        if result.verdict.status == "unknown":
            codes.update(dict.fromkeys(order.code for order in result.verdict.suggestions))
    return list(codes)


def _test(order: Order, trial: Trial) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "status": "draft",
        "intent": "proposal",
        "code": {
            "coding": [{"system": order.system, "code": order.code, "display": order.display}],
            "text": order.display,
        },
        "reasonCode": [{"text": f"Screening visit of {trial.nct}"}],
        "note": [{"text": _CONSENT}],
    }


def _checked(template: dict[str, Any], trial: Trial) -> dict[str, Any]:
    try:
        ServiceRequest.model_validate({**template, "subject": {"reference": "Patient/example"}})
    except ValidationError as error:
        problem = error.errors()[0]["msg"]
        raise AuthoringError(f"{trial.id}: an order is no valid ServiceRequest: {problem}") from None
    return template


def _for(template: Mapping[str, Any], subject: Subject) -> dict[str, Any]:
    order = {
        **template,
        "subject": {"reference": f"Patient/{subject.patient}"},
        "authoredOn": subject.authored.isoformat(),
    }
    if subject.encounter is not None:
        order["encounter"] = {"reference": f"Encounter/{subject.encounter}"}
    return order
