"""Which of the due cards are shown, and the record of each that is.

Error policy: a database that does not answer is a RetryLaterError: no card is shown that could not be recorded.
"""

from __future__ import annotations

from typing import Any

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.auth import Caller
from cds_service.hooks.cards import cards
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.service import Service


def issue(
    service: Service, service_id: str, caller: Caller, hook: HookRequest, assessments: list[Assessment]
) -> list[dict[str, Any]]:
    """The cards for this call."""
    return cards(
        assessments,
        service.orders,
        service.cards,
        patient_id=hook.patient_id,
        encounter_id=hook.encounter_id,
        base_url=service.base(),
    )
