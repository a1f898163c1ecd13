"""The cards of a patient, the answers to them, and the refusals that stand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from cds_service.errors import RetryLaterError
from cds_service.hooks.cards import OVERRIDE_REASONS, OVERRIDE_SYSTEM
from cds_service.storage import Answer, Deleted, Store
from cds_service.storage.schema import REASONS
from tests.unit.storage.stored import CLIENT, NOW, PATIENT, USER, VERDICT, acceptance, card, override

LONG_AGO = datetime(1, 1, 1, tzinfo=UTC)


def days(number: float) -> timedelta:
    return timedelta(days=number)


def test_the_reasons_with_an_effect_are_those_that_cards_offer() -> None:
    assert set(OVERRIDE_REASONS) == REASONS


def test_the_cards_of_a_patient_come_oldest_first_and_only_since_the_given_moment(store: Store) -> None:
    old, new, middle = card(30), card(1, trial="y", user="u" * 64), card(2, verdict="v" * 64)
    store.record_cards([old, new, card(1, patient="o" * 64)])
    store.record_cards([middle])
    store.record_cards([])
    shown = store.history(PATIENT, NOW - days(10))
    assert [(each.trial, each.user, each.verdict, each.issued_at) for each in shown] == [
        ("x", USER, "v" * 64, NOW - days(2)),
        ("y", "u" * 64, VERDICT, NOW - days(1)),
    ]
    assert all(each.answers == () for each in shown)
    assert len(store.history(PATIENT, LONG_AGO)) == 3
    assert store.history("n" * 64, LONG_AGO) == []


def test_cards_are_recorded_all_or_none(store: Store) -> None:
    known = card()
    store.record_cards([known])
    with pytest.raises(RetryLaterError):
        store.record_cards([card(), known])
    assert len(store.history(PATIENT, LONG_AGO)) == 1


def test_the_answers_to_a_card_come_oldest_first_each_at_the_time_of_the_user(store: Store) -> None:
    shown = card(10)
    store.record_cards([shown])
    store.add_feedback(acceptance(shown, days_ago=1), client=CLIENT)
    store.add_feedback(override(shown, "already-discussed", days_ago=3), client=CLIENT)
    (found,) = store.history(PATIENT, LONG_AGO)
    assert found.answers == (
        Answer("overridden", OVERRIDE_SYSTEM, "already-discussed", NOW - days(3)),
        Answer("accepted", None, None, NOW - days(1)),
    )


def test_an_answer_from_the_future_counts_from_when_it_came(store: Store) -> None:
    shown = card(1)
    store.record_cards([shown])
    store.add_feedback(override(shown, days_ago=-400), client=CLIENT)
    (found,) = store.history(PATIENT, LONG_AGO)
    assert found.answers[0].at == NOW


@pytest.mark.parametrize(
    ("client", "service"),
    [("a" * 64, "trial-x"), ("", "trial-x"), (CLIENT, "trial-eligibility")],
    ids=["another client", "no client", "another service"],
)
def test_feedback_of_somebody_else_is_stored_and_linked_to_nothing(
    store: Store, client: str, service: str
) -> None:
    shown = card()
    store.record_cards([shown])
    assert store.add_feedback(override(shown, "patient-declined", service=service), client=client) == 1
    (stored,) = store.feedback()
    assert (stored.linked, stored.trial) == (False, None)
    (found,) = store.history(PATIENT, LONG_AGO)
    assert found.answers == ()
    # Nor does it stand in the way of the same from who may say it.
    assert store.add_feedback(override(shown, "patient-declined"), client=CLIENT) == 1
    (found,) = store.history(PATIENT, LONG_AGO)
    assert [answer.code for answer in found.answers] == ["patient-declined"]


def test_feedback_on_a_card_that_nobody_knows_is_stored_unlinked(store: Store) -> None:
    assert store.add_feedback(override("no-such-card"), client=CLIENT) == 1
    (stored,) = store.feedback()
    assert not stored.linked


def test_the_same_feedback_again_is_one_answer(store: Store) -> None:
    shown = card()
    store.record_cards([shown])
    said = override(shown, "not-appropriate")
    assert [store.add_feedback(said + said, client=CLIENT), store.add_feedback(said, client=CLIENT)] == [1, 0]
    assert len(list(store.feedback())) == 1
    (found,) = store.history(PATIENT, LONG_AGO)
    assert len(found.answers) == 1


def test_the_same_code_of_another_system_is_another_answer(store: Store) -> None:
    shown = card()
    store.record_cards([shown])
    store.add_feedback(override(shown, "patient-declined", system="urn:other"), client=CLIENT)
    assert store.add_feedback(override(shown, "patient-declined"), client=CLIENT) == 1
    assert len(standing(store)) == 1


def test_one_call_may_answer_many_cards(store: Store) -> None:
    shown = [card(n) for n in range(300)]
    store.record_cards(shown)
    said = [row for each in shown for row in override(each, "enrolled-elsewhere", days_ago=0.5)]
    assert store.add_feedback(said, client=CLIENT) == 300
    assert len(standing(store)) == 300


def standing(store: Store) -> list[Answer]:
    """The refusals that are known after all cards and feedback are gone."""
    store.retain(NOW + days(1000))
    return [answer for shown in store.history(PATIENT, NOW + days(1000)) for answer in shown.answers]


@pytest.mark.parametrize("reason", sorted(OVERRIDE_REASONS))
def test_only_what_the_patient_decided_outlives_the_retention(store: Store, reason: str) -> None:
    shown = card(20)
    store.record_cards([shown])
    store.add_feedback(override(shown, reason, days_ago=19), client=CLIENT)
    outlives = reason in ("patient-declined", "enrolled-elsewhere")
    expected = [Answer("overridden", OVERRIDE_SYSTEM, reason, NOW - days(19))] if outlives else []
    assert standing(store) == expected
    assert list(store.feedback()) == []
    assert list(store.issued()) == []


def test_a_refusal_that_stands_still_says_which_card_it_was(store: Store) -> None:
    store.record_cards([shown := card(20)])
    store.add_feedback(override(shown, "patient-declined", days_ago=19), client=CLIENT)
    before = store.history(PATIENT, LONG_AGO)
    store.retain(NOW)
    assert store.history(PATIENT, NOW) == before


def test_a_reason_of_another_system_never_stands(store: Store) -> None:
    store.record_cards([shown := card(5)])
    store.add_feedback(override(shown, "patient-declined", system="urn:other"), client=CLIENT)
    store.add_feedback(override(shown, "patient-declined", system=None, days_ago=1), client=CLIENT)
    assert standing(store) == []


@pytest.mark.parametrize("order", [1, -1], ids=["in order", "out of order"])
@pytest.mark.parametrize(
    ("later", "stands"),
    [("accepted", False), ("no-time", False), ("banana", True), ("enrolled-elsewhere", True)],
)
def test_the_last_answer_with_an_effect_says_whether_a_refusal_stands(
    store: Store, later: str, stands: bool, order: int
) -> None:
    store.record_cards([shown := card(20)])
    said = [
        override(shown, "patient-declined", days_ago=10),
        acceptance(shown, days_ago=5) if later == "accepted" else override(shown, later, days_ago=5),
    ]
    for rows in said[::order]:
        store.add_feedback(rows, client=CLIENT)
    assert bool(standing(store)) is stands


@pytest.mark.parametrize("kept_refusal", [True, False])
def test_an_answer_after_the_card_is_gone_still_ends_its_refusal(store: Store, kept_refusal: bool) -> None:
    store.record_cards([shown := card(400)])
    store.add_feedback(override(shown, "patient-declined", days_ago=399), client=CLIENT)
    store.retain(NOW + days(1))
    later = override(shown, "banana") if kept_refusal else acceptance(shown)
    assert store.add_feedback(later, client=CLIENT) == 1
    (row,) = store.feedback()
    assert row.linked
    found = store.history(PATIENT, NOW)
    assert ["patient-declined" in [a.code for a in each.answers] for each in found] == [True] * kept_refusal
    assert store.add_feedback(acceptance(shown, days_ago=2), client="a" * 64) == 1


def test_a_revoked_refusal_no_longer_stands_and_its_card_says_so(store: Store) -> None:
    store.record_cards(
        [first := card(20), other := card(20, trial="y"), somebody := card(20, patient="p" * 64)]
    )
    for shown in (first, other, somebody):
        store.add_feedback(override(shown, "patient-declined", days_ago=10), client=CLIENT)
    assert store.revoke(PATIENT, "x", NOW) == 1
    outcomes = {shown.trial: [a.outcome for a in shown.answers] for shown in store.history(PATIENT, LONG_AGO)}
    assert outcomes == {"x": ["overridden", "revoked"], "y": ["overridden"]}
    assert store.revoke(PATIENT, None, NOW) == 1
    assert store.revoke(PATIENT, None, NOW) == 0
    assert standing(store) == []
    assert len(store.history("p" * 64, NOW + days(1000))) == 1


def test_a_revocation_is_not_undone_by_a_repeat_but_by_a_new_refusal(store: Store) -> None:
    store.record_cards([shown := card(20)])
    said = override(shown, "patient-declined", days_ago=10)
    store.add_feedback(said, client=CLIENT)
    store.revoke(PATIENT, None, NOW - days(5))
    store.add_feedback(said, client=CLIENT)
    store.add_feedback(override(shown, "enrolled-elsewhere", days_ago=7), client=CLIENT)
    assert [a.outcome for a in store.history(PATIENT, LONG_AGO)[0].answers][-1] == "revoked"
    store.add_feedback(override(shown, "patient-declined", days_ago=1), client=CLIENT)
    assert [(a.outcome, a.code) for a in standing(store)] == [("overridden", "patient-declined")]


def test_a_revocation_touches_no_other_answer(store: Store) -> None:
    store.record_cards([shown := card(20)])
    store.add_feedback(override(shown, "no-time", days_ago=10), client=CLIENT)
    assert store.revoke(PATIENT, None, NOW) == 0
    assert [a.outcome for a in store.history(PATIENT, LONG_AGO)[0].answers] == ["overridden"]


def test_an_erased_patient_leaves_nothing_and_others_stay(store: Store) -> None:
    store.record_cards([mine := card(5), also := card(4, trial="y"), other := card(5, patient="p" * 64)])
    for shown in (mine, also, other):
        store.add_feedback(override(shown, "patient-declined", days_ago=2), client=CLIENT)
    assert store.erase_patient(PATIENT) == Deleted(cards=2, feedback=2, refusals=2)
    assert store.history(PATIENT, LONG_AGO) == []
    assert [row.card for row in store.feedback()] == [other.uuid]
    assert len(store.history("p" * 64, LONG_AGO)) == 1
    assert store.erase_patient(PATIENT) == Deleted()


def test_an_erased_refusal_is_gone_where_its_card_was_gone_already(store: Store) -> None:
    store.record_cards([shown := card(400)])
    store.add_feedback(override(shown, "patient-declined", days_ago=399), client=CLIENT)
    store.retain(NOW + days(1))
    assert store.erase_patient(PATIENT) == Deleted(refusals=1)
    assert store.history(PATIENT, LONG_AGO) == []


def test_the_retention_deletes_what_is_older_and_nothing_else(store: Store) -> None:
    store.record_cards([old := card(11), new := card(9)])
    store.record_cards([card(500 + n) for n in range(1200)])
    store.add_feedback(override(old, received_at=NOW - days(11), days_ago=11), client=CLIENT)
    store.add_feedback(override(new, received_at=NOW - days(9), days_ago=9), client=CLIENT)
    store.add_feedback(override("unknown", received_at=NOW - days(11), days_ago=11), client=CLIENT)
    assert store.retain(NOW - days(10)) == Deleted(cards=1201, feedback=2)
    assert [uuid for uuid, *_ in store.issued()] == [new.uuid]
    assert [row.card for row in store.feedback()] == [new.uuid]


def test_feedback_is_told_since_a_moment(store: Store) -> None:
    for age in (3, 2, 1):
        store.add_feedback(override(f"card-{age}", received_at=NOW - days(age)), client=CLIENT)
    assert [row.card for row in store.feedback(NOW - days(2))] == ["card-2", "card-1"]
