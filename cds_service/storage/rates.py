"""How often cards were answered: per week and trial. Pure; the weeks are ISO 8601's, in the given time zone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, tzinfo

from cds_service.storage.records import ACCEPTED, OVERRIDDEN, StoredFeedback
from cds_service.storage.schema import REASONS
from cds_service.terminology.systems import OVERRIDE_REASON

# How an override counts that names no reason, or none of this service's.
NO_REASON = "none"
OTHER_REASON = "other"


@dataclass(slots=True)
class Week:
    """The cards of one trial that were shown in one week (`2026-W25`), and what was said about them, whenever it was.

    Of several answers to a card the last one counts. `rate`: the share of cards with feedback.
    """

    week: str
    trial: str
    shown: int = 0
    answered: int = 0
    accepted: int = 0
    overridden: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    @property
    def rate(self) -> float:
        return self.answered / self.shown


def weekly(
    issued: Iterable[tuple[str, str, datetime]], feedback: Iterable[StoredFeedback], zone: tzinfo
) -> list[Week]:
    """The weeks in which cards were shown, in order. `issued`: uuid, trial and time of each card."""
    last: dict[str, StoredFeedback] = {}
    for said in feedback:
        known = last.get(said.card)
        if said.linked and (known is None or _order(said) >= _order(known)):
            last[said.card] = said
    weeks: dict[tuple[str, str], Week] = {}
    for card, trial, issued_at in issued:
        year, number, _ = issued_at.astimezone(zone).isocalendar()
        name = f"{year}-W{number:02}"
        week = weeks.setdefault((name, trial), Week(name, trial))
        week.shown += 1
        if (answer := last.get(card)) is not None:
            _count(week, answer)
    return [weeks[key] for key in sorted(weeks)]


def _order(said: StoredFeedback) -> tuple[datetime, datetime]:
    return min(said.outcome_timestamp, said.received_at), said.received_at


def _count(week: Week, answer: StoredFeedback) -> None:
    week.answered += 1
    week.accepted += answer.outcome == ACCEPTED
    if answer.outcome == OVERRIDDEN:
        week.overridden += 1
        week.reasons[_reason(answer)] += 1


def _reason(answer: StoredFeedback) -> str:
    if answer.override_code is None:
        return NO_REASON
    ours = answer.override_system == OVERRIDE_REASON and answer.override_code in REASONS
    return answer.override_code if ours else OTHER_REASON
