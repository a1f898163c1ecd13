"""Assessments as CDS Hooks cards: one `info` card a trial, ranked and capped, none where none is due
(design §6).

Pure: builds plain JSON without null, empty text, list or object (CDS Hooks "Use of JSON"). Nothing here
fails.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

from cds_service.eligibility.assessment import ELIGIBLE, EXCLUDED, Assessment
from cds_service.eligibility.verdict import UNKNOWN
from cds_service.hooks.card_text import detail, rows, summary
from cds_service.hooks.orders import OrderSet, Subject, suggestions
from cds_service.terminology.systems import OVERRIDE_REASON

EXTENSION: Final = "org.cds-service.assessment"
REGISTRY_SYSTEM: Final = "http://clinicaltrials.gov"
OVERRIDE_SYSTEM: Final = OVERRIDE_REASON
OVERRIDE_REASONS: Final[Mapping[str, str]] = {
    "no-time": "No time now",
    "known-ineligible": "Known to be ineligible",
    "needs-information": "Needs more information",
    "already-discussed": "Already discussed with the patient",
    "patient-declined": "Patient declined",
    "not-appropriate": "Not appropriate for this patient",
    "enrolled-elsewhere": "Enrolled in another study",
}
_CODINGS: Final = tuple(
    {"code": code, "system": OVERRIDE_SYSTEM, "display": display}
    for code, display in OVERRIDE_REASONS.items()
)
_RANKS: Final[Mapping[str, int]] = {ELIGIBLE: 0, UNKNOWN: 1}


@dataclass(frozen=True, slots=True)
class CardOptions:
    """What the site sets about cards (design §5, `[cards]`). `fixed_date`: the day of the assessment is a
    setting.
    """

    show_excluded: bool = False
    max_cards: int = 5
    fixed_date: bool = False


def cards(
    assessments: Iterable[Assessment],
    orders: Mapping[str, OrderSet],
    options: CardOptions,
    *,
    patient_id: str,
    encounter_id: str | None,
    base_url: str,
) -> list[dict[str, Any]]:
    """The cards that are due, the most promising trial first. `base_url`: the service's, without a
    trailing slash.
    """
    due = [a for a in assessments if is_due(a, show_excluded=options.show_excluded)]
    due.sort(key=_rank)
    return [
        _card(
            a,
            orders[a.trial.id],
            Subject(patient_id, encounter_id, a.as_of),
            f"{base_url}/trials/{a.trial.id}",
            fixed_date=options.fixed_date,
        )
        for a in due[: options.max_cards]
    ]


def is_due(assessment: Assessment, *, show_excluded: bool) -> bool:
    """Whether this assessment gets a card: excluded patients only by setting, or while the PI has yet to
    decide.
    """
    if not assessment.card:
        return False
    if assessment.status == EXCLUDED:
        return show_excluded or assessment.excluded_by_boundary_only
    return assessment.status in (ELIGIBLE, UNKNOWN)


def _rank(assessment: Assessment) -> tuple[int, int, str]:
    last = 2 if assessment.excluded_by_boundary_only else 3
    unknown = sum(r.verdict.status == UNKNOWN for r in rows(assessment))
    return _RANKS.get(assessment.status, last), unknown, assessment.trial.id


def _card(
    assessment: Assessment, orders: OrderSet, subject: Subject, page: str, *, fixed_date: bool
) -> dict[str, Any]:
    trial = assessment.trial
    card: dict[str, Any] = {
        "uuid": str(uuid4()),
        "summary": summary(assessment),
        "detail": detail(assessment, fixed_date=fixed_date),
        "indicator": "info",
        "source": {
            "label": f"Trial pre-screening: {trial.nct}",
            "url": page,
            "topic": {"system": REGISTRY_SYSTEM, "code": trial.nct, "display": trial.short_title},
        },
        "overrideReasons": list(_CODINGS),
        "links": [
            {"label": f"About {trial.nct}: criteria, sites, contacts", "url": page, "type": "absolute"}
        ],
        "extension": {
            EXTENSION: {
                "trial": trial.id,
                "version": trial.version,
                "asOf": assessment.as_of.isoformat(),
                "status": assessment.status,
                "counts": assessment.counts(),
            }
        },
    }
    if offered := suggestions(assessment, orders, subject):
        card["suggestions"] = offered
        card["selectionBehavior"] = "any"
    return card
