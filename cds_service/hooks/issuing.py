"""Which of the due cards are shown, and the record of each that is: keyed hashes in the place of who it was for.

A call without a due card reads and writes nothing. Error policy: a database that does not answer is a
RetryLaterError: no card is shown that could not be recorded.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from cds_service.eligibility.assessment import Assessment
from cds_service.hooks.auth import Caller
from cds_service.hooks.cards import cards, due, fingerprint
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.observed import phase
from cds_service.hooks.service import Service
from cds_service.hooks.suppression import resting
from cds_service.storage import IssuedCard

# Cards older than this no longer count towards a rest, where the site keeps them so long at all.
HISTORY_DAYS: Final = 365


def issue(
    service: Service, service_id: str, caller: Caller, hook: HookRequest, assessments: list[Assessment]
) -> list[dict[str, Any]]:
    """The cards for this call, recorded: of those that are due, the ones that do not rest, up to the site's limit."""
    options, hashes, now = service.cards, service.pseudonyms, service.now()
    candidates = due(assessments, options)
    if not candidates:
        return []
    patient = hashes.patient(caller.issuer, caller.tenant, hook.patient_id)
    user = hashes.user(caller.issuer, caller.tenant, hook.user_id)
    verdicts = {a.trial.id: hashes.verdict(fingerprint(a)) for a in candidates}
    since = now - timedelta(days=max(HISTORY_DAYS, options.rest_days))
    with phase("store"):
        history = service.store.history(patient, since, user=user)
    rests = resting(
        history,
        verdicts,
        user=user,
        now=now,
        views=options.rest_after_views,
        view_days=options.rest_days,
    )
    for rest in rests.values():
        service.meter.resting(rest.trial, rest.reason)
        service.log("card-rests", trial=rest.trial, reason=rest.reason)
    shown = [a for a in candidates if a.trial.id not in rests][: options.max_cards]
    made = cards(
        shown,
        service.orders,
        options,
        patient_id=hook.patient_id,
        encounter_id=hook.encounter_id,
        base_url=service.base(),
    )
    client = hashes.client(caller.issuer, caller.tenant)
    issued = [
        IssuedCard(
            uuid=card["uuid"],
            service=service_id,
            trial=a.trial.id,
            version=a.trial.version,
            status=a.status,
            verdict=verdicts[a.trial.id],
            issued_at=now,
            client=client,
            patient=patient,
            user=user,
        )
        for a, card in zip(shown, made, strict=True)
    ]
    if issued:
        with phase("store"):
            if caller.tenant is not None:
                service.store.remember_tenant(caller.issuer, caller.tenant)
            service.store.record_cards(issued)
    for card in issued:
        service.meter.shown(card.trial)
    return made
