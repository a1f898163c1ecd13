"""Feedback: what is accepted, what is stored, what is refused."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from cds_service.errors import ConfigurationError, InputError
from cds_service.hooks.feedback import parse_feedback
from cds_service.storage import Feedback, Store

CARD = "4e0a3a1e-3283-4575-ab82-028d55fe2719"
WHEN = "2026-06-15T10:00:00Z"
ACCEPTED = {
    "card": CARD,
    "outcome": "accepted",
    "outcomeTimestamp": WHEN,
    "acceptedSuggestions": [{"id": "e56e1945-20b3-4393-8503-a1a20fd73152"}],
}
OVERRIDDEN = {
    "card": CARD,
    "outcome": "overridden",
    "outcomeTimestamp": "2026-06-15T10:00:00.123456789+00:00",
    "overrideReason": {
        "reason": {
            "code": "patient-declined",
            "system": "https://cds-service.example/fhir/CodeSystem/override-reason",
        },
        "userComment": "comment-canary: Mr Silva said no",
    },
}


def rows(*entries: Any) -> list[Feedback]:
    return parse_feedback({"feedback": list(entries)}, "trial-x")


def test_what_is_stored_of_an_accepted_card() -> None:
    store = Store("sqlite://")
    assert store.add_feedback(rows(ACCEPTED)) == 1
    (row,) = store.feedback()
    assert row.service == "trial-x"
    assert row.card == CARD
    assert row.outcome == "accepted"
    assert row.outcome_timestamp.isoformat().startswith("2026-06-15T10:00:00")
    assert "e56e1945" in row.accepted_suggestions
    assert row.received_at is not None


def test_an_override_keeps_its_reason_and_not_its_comment() -> None:
    store = Store("sqlite://")
    store.add_feedback(rows(OVERRIDDEN))
    (row,) = store.feedback()
    assert row.override_code == "patient-declined"
    assert row.override_system.endswith("override-reason")
    assert row.user_comment is True
    assert "canary" not in str(row)


def test_batches_and_repeats_are_accepted_and_kept_once() -> None:
    store = Store("sqlite://")
    other = {**ACCEPTED, "card": str(uuid4())}
    assert store.add_feedback(rows(ACCEPTED, other, ACCEPTED)) == 2
    assert store.add_feedback(rows(ACCEPTED, OVERRIDDEN)) == 1
    assert len(list(store.feedback())) == 3


def test_the_same_feedback_sent_at_once_is_stored_once(tmp_path: Any) -> None:
    store = Store(f"sqlite:///{tmp_path / 'feedback.db'}")
    with ThreadPoolExecutor(8) as pool:
        added = list(pool.map(lambda _: store.add_feedback(rows(ACCEPTED)), range(40)))
    assert sum(added) == 1
    assert len(list(store.feedback())) == 1


def test_feedback_survives_the_process(tmp_path: Any) -> None:
    url = f"sqlite:///{tmp_path / 'feedback.db'}"
    first = Store(url)
    first.add_feedback(rows(ACCEPTED))
    first.close()
    assert len(list(Store(url).feedback())) == 1


NO_TIMES = (
    None,
    5,
    "now",
    "2026-06-15",
    "2026-06-15T10:00:00",
    "2026-06-15T10:00:00+02:00",
    "2026-13-40T10:00:00Z",
    "2026-06-15 10:00:00Z",
)
BAD: list[tuple[Any, str]] = [
    ([], "feedback"),
    ({}, "feedback"),
    ({"feedback": []}, "feedback"),
    ({"feedback": "x"}, "feedback"),
    ({"feedback": [ACCEPTED] * 1001}, "feedback"),
    ({"feedback": ["x"]}, "feedback[0]"),
    ({"feedback": [ACCEPTED, {**ACCEPTED, "card": None}]}, "feedback[1].card"),
    ({"feedback": [{**ACCEPTED, "card": ""}]}, "feedback[0].card"),
    ({"feedback": [{**ACCEPTED, "card": "x" * 129}]}, "feedback[0].card"),
    ({"feedback": [{**ACCEPTED, "outcome": "banana"}]}, "feedback[0].outcome"),
    ({"feedback": [{**ACCEPTED, "outcome": None}]}, "feedback[0].outcome"),
    ({"feedback": [{**ACCEPTED, "acceptedSuggestions": None}]}, "feedback[0].acceptedSuggestions"),
    ({"feedback": [{**ACCEPTED, "acceptedSuggestions": []}]}, "feedback[0].acceptedSuggestions"),
    ({"feedback": [{**ACCEPTED, "acceptedSuggestions": [5]}]}, "feedback[0].acceptedSuggestions[0]"),
    ({"feedback": [{**ACCEPTED, "acceptedSuggestions": [{}]}]}, "feedback[0].acceptedSuggestions[0].id"),
    ({"feedback": [{**OVERRIDDEN, "overrideReason": "x"}]}, "feedback[0].overrideReason"),
    ({"feedback": [{**OVERRIDDEN, "overrideReason": {"reason": "x"}}]}, "feedback[0].overrideReason.reason"),
    (
        {"feedback": [{**OVERRIDDEN, "overrideReason": {"reason": {"system": "x"}}}]},
        "feedback[0].overrideReason.reason.code",
    ),
    (
        {"feedback": [{**OVERRIDDEN, "overrideReason": {"userComment": 5}}]},
        "feedback[0].overrideReason.userComment",
    ),
    *(
        ({"feedback": [{**ACCEPTED, "outcomeTimestamp": text}]}, "feedback[0].outcomeTimestamp")
        for text in NO_TIMES
    ),
]


@pytest.mark.parametrize(("body", "place"), BAD)
def test_what_breaks_the_rules_is_refused_with_its_place(body: Any, place: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_feedback(body, "trial-x")
    assert caught.value.expression == place
    assert "banana" not in str(caught.value)


@pytest.mark.parametrize("url", ["sqlite:////nonexistent/folder/x.db", "nosuchdialect://x"])
def test_a_database_that_can_not_be_opened_stops_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="database_url"):
        Store(url)


def test_a_token_id_is_new_once_until_it_has_expired() -> None:
    from datetime import UTC, datetime, timedelta

    store = Store("sqlite://")
    now = datetime(2026, 6, 15, tzinfo=UTC)
    later = now + timedelta(minutes=5)
    assert store.first_use("a", "1", later, now)
    assert not store.first_use("a", "1", later, now)
    assert store.first_use("b", "1", later, now)
    assert store.first_use("a", "1", later + timedelta(hours=1), later + timedelta(seconds=1))
