"""The weekly response rate: answered cards of those shown, by the week in which they were shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from cds_service.storage import StoredFeedback, weekly
from cds_service.terminology.systems import OVERRIDE_REASON

ZONE = ZoneInfo("America/Sao_Paulo")
MONDAY = datetime(2026, 6, 15, 12, tzinfo=UTC)


def said(
    card: str, code: str | None = None, hours: float = 0, linked: bool = True, **changes: object
) -> StoredFeedback:
    at = MONDAY + timedelta(hours=hours)
    known = {
        "service": "trial-x",
        "card": card,
        "linked": linked,
        "trial": "x",
        "outcome": "overridden" if code else "accepted",
        "outcome_timestamp": at,
        "received_at": at,
        "accepted_suggestions": None,
        "override_system": OVERRIDE_REASON,
        "override_code": code,
        "user_comment": False,
        "revoked_at": None,
    }
    return StoredFeedback(**{**known, **changes})  # type: ignore[arg-type]


def test_each_card_counts_once_in_the_week_and_trial_in_which_it_was_shown() -> None:
    issued = [
        *((f"x{n}", "x", MONDAY) for n in range(8)),
        ("y0", "y", MONDAY),
        ("old", "x", MONDAY - timedelta(days=3)),
    ]
    feedback = [
        said("x0"),
        said("x1", "no-time"),
        said("x2", "no-time", hours=5),
        said("x2", "patient-declined", hours=9),
        said("old", "already-discussed", hours=100),
        said("x3", "no-time", linked=False),
        said("nobody knows it", "no-time", linked=False),
    ]
    old, x, y = weekly(issued, feedback, ZONE)
    assert (old.week, old.trial, old.shown, old.answered) == ("2026-W24", "x", 1, 1)
    assert (x.week, x.trial, x.shown, x.answered, x.accepted, x.overridden) == ("2026-W25", "x", 8, 3, 1, 2)
    assert x.reasons == {"no-time": 1, "patient-declined": 1}
    assert x.rate == 3 / 8
    assert (y.trial, y.shown, y.answered, y.rate) == ("y", 1, 0, 0.0)


@pytest.mark.parametrize("order", [1, -1])
def test_the_last_answer_counts_in_whatever_order_they_came(order: int) -> None:
    feedback = [said("a", "no-time", hours=1), said("a", hours=2)]
    (week,) = weekly([("a", "x", MONDAY)], feedback[::order], ZONE)
    assert (week.accepted, week.overridden) == (1, 0)


def test_a_week_begins_on_monday_at_the_site() -> None:
    monday = datetime(2026, 6, 15, 0, 0, tzinfo=ZONE)
    issued = [("a", "x", monday - timedelta(seconds=1)), ("b", "x", monday)]
    assert [week.week for week in weekly(issued, [], ZONE)] == ["2026-W24", "2026-W25"]
    new_year = datetime(2027, 1, 1, 12, tzinfo=ZONE)
    assert [week.week for week in weekly([("a", "x", new_year)], [], ZONE)] == ["2026-W53"]


@pytest.mark.parametrize(
    ("code", "system", "counted"),
    [
        ("no-time", OVERRIDE_REASON, "no-time"),
        ("banana", OVERRIDE_REASON, "other"),
        ("no-time", "urn:other", "other"),
        ("no-time", None, "other"),
        (None, None, "none"),
    ],
)
def test_a_reason_that_is_not_ours_is_counted_as_another(
    code: str | None, system: str | None, counted: str
) -> None:
    feedback = [said("a", outcome="overridden", override_code=code, override_system=system)]
    (week,) = weekly([("a", "x", MONDAY)], feedback, ZONE)
    assert week.reasons == {counted: 1}


def test_where_nothing_was_shown_there_is_no_rate() -> None:
    assert weekly([], [said("a")], ZONE) == []
