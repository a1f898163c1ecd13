"""Which cards rest: the reasons as a table, the views as examples, and what must hold for every history."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.hooks.cards import OVERRIDE_REASONS, OVERRIDE_SYSTEM
from cds_service.hooks.suppression import PAUSES, VIEWS, Rest, resting
from cds_service.storage import Answer, Shown
from cds_service.storage.schema import REASONS as STORED_REASONS
from cds_service.storage.schema import STANDING_REASONS

T0 = datetime(2026, 6, 15, 9, tzinfo=UTC)
ME, OTHER = "user-a", "user-b"
SECOND, MINUTE, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(days=1)


def said(code: str, at: datetime = T0, system: str | None = OVERRIDE_SYSTEM) -> Answer:
    return Answer("overridden", system, code, at)


def accepted(at: datetime = T0) -> Answer:
    return Answer("accepted", None, None, at)


def revoked(at: datetime) -> Answer:
    return Answer("revoked", None, None, at)


def shown(at: datetime, *answers: Answer, trial: str = "t", user: str = ME, verdict: str = "v") -> Shown:
    return Shown(trial, user, verdict, at, answers)


def rest(
    *history: Shown, now: datetime, user: str = ME, verdict: str = "v", views: int = 5, view_days: int = 14
) -> Rest | None:
    found = resting(history, {"t": verdict}, user=user, now=now, views=views, view_days=view_days)
    assert set(found) <= {"t"}
    return found.get("t")


# reason, days of rest for who gave it, days of rest for everybody else; None = until revoked.
REASONS: list[tuple[str, int | None, int | None]] = [
    ("no-time", 14, 0),
    ("already-discussed", 90, 0),
    ("known-ineligible", 90, 90),
    ("not-appropriate", 90, 90),
    ("patient-declined", None, None),
    ("enrolled-elsewhere", None, None),
    ("needs-information", 0, 0),
]


def test_every_reason_that_a_card_offers_has_its_rule() -> None:
    assert {reason for reason, _, _ in REASONS} == set(OVERRIDE_REASONS) == set(PAUSES)
    # What the store knows, and what it keeps until it is revoked.
    assert set(PAUSES) == set(STORED_REASONS)
    assert {r for r, pause in PAUSES.items() if pause.days is None and pause.everyone} == STANDING_REASONS
    assert all(pause.everyone for pause in PAUSES.values() if pause.days is None)


@pytest.mark.parametrize(("reason", "own", "others"), REASONS)
@pytest.mark.parametrize("user", [ME, OTHER])
def test_a_reason_rests_the_card_for_its_time(
    reason: str, own: int | None, others: int | None, user: str
) -> None:
    days = own if user == ME else others
    card = shown(T0 - 3 * MINUTE, said(reason))
    if days is None:
        for later in (SECOND, 91 * DAY, 3650 * DAY):
            assert rest(card, now=T0 + later, user=user) == Rest("t", reason, None)
    elif days == 0:
        assert rest(card, now=T0 + SECOND, user=user) is None
    else:
        end = T0 + days * DAY
        assert rest(card, now=T0, user=user) == Rest("t", reason, end)
        assert rest(card, now=end - SECOND, user=user) == Rest("t", reason, end)
        assert rest(card, now=end, user=user) is None


@pytest.mark.parametrize(
    "answer",
    [
        said("patient-declined", system="https://ehr.example/reasons"),
        said("patient-declined", system=None),
        said("patient-declined", system=f"{OVERRIDE_SYSTEM}/"),
        said("Patient-Declined"),
        said("no-such-reason"),
        said(""),
        Answer("overridden", None, None, T0),
        Answer("overridden", OVERRIDE_SYSTEM, None, T0),
        Answer("accepted", OVERRIDE_SYSTEM, "patient-declined", T0),
    ],
)
def test_an_answer_that_is_no_known_reason_of_ours_rests_nothing(answer: Answer) -> None:
    assert rest(shown(T0 - MINUTE, answer), now=T0 + MINUTE) is None


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ([said("patient-declined"), accepted(T0 + MINUTE)], None),
        ([accepted(T0 + MINUTE), said("patient-declined")], None),
        ([accepted(), said("patient-declined", T0 + MINUTE)], "patient-declined"),
        ([said("known-ineligible"), said("no-time", T0 + MINUTE)], "no-time"),
        ([said("patient-declined"), said("needs-information", T0 + MINUTE)], None),
        # the site revoked it; and the patient declined again
        ([said("patient-declined"), revoked(T0 + MINUTE)], None),
        ([said("patient-declined"), revoked(T0 + MINUTE), said("no-time", T0 + MINUTE)], "no-time"),
        # at the same moment the one received later counts
        ([said("no-time"), said("patient-declined")], "patient-declined"),
        # a dismissal without a reason, or with one that is not known, takes nothing back
        ([said("patient-declined"), said("x", T0 + MINUTE)], "patient-declined"),
        ([said("patient-declined"), Answer("overridden", None, None, T0 + MINUTE)], "patient-declined"),
        ([said("patient-declined"), said("x", T0 + MINUTE, "https://ehr.example")], "patient-declined"),
    ],
)
def test_the_latest_answer_to_a_card_counts(answers: list[Answer], expected: str | None) -> None:
    found = rest(shown(T0 - MINUTE, *answers), now=T0 + 2 * MINUTE)
    assert (found and found.reason) == expected


def test_a_need_of_information_rests_nothing_even_where_clocks_differ() -> None:
    """Another process's clock may be ahead of this one's."""
    assert rest(shown(T0, said("needs-information", T0 + SECOND)), now=T0) is None


def test_an_acceptance_ends_the_rest_of_its_own_card_alone() -> None:
    declined = shown(T0 - 2 * MINUTE, said("patient-declined"), user=OTHER)
    taken = shown(T0 - MINUTE, accepted(T0 + MINUTE))
    assert rest(declined, taken, now=T0 + DAY) == Rest("t", "patient-declined", None)


def test_of_several_rests_the_longest_is_told() -> None:
    history = (
        shown(T0, said("no-time")),
        shown(T0 + SECOND, said("known-ineligible"), user=OTHER),
        shown(T0 + MINUTE, said("no-time", T0 + DAY)),
    )
    assert rest(*history, now=T0 + DAY) == Rest("t", "known-ineligible", T0 + 90 * DAY)
    assert rest(*history, shown(T0, said("enrolled-elsewhere")), now=T0 + DAY) == Rest(
        "t", "enrolled-elsewhere", None
    )


def test_a_reason_concerns_the_trial_of_its_card_alone() -> None:
    history = [shown(T0, said("patient-declined"), trial="other"), shown(T0, said("no-time"))]
    due = {"t": "v", "other": "v", "third": "v"}
    found = resting(history, due, user=ME, now=T0 + DAY, views=5, view_days=14)
    assert {trial: each.reason for trial, each in found.items()} == {
        "t": "no-time",
        "other": "patient-declined",
    }


def test_a_reason_outlasts_a_changed_verdict() -> None:
    assert rest(shown(T0, said("not-appropriate")), now=T0 + DAY, verdict="changed") is not None


def seen(count: int, *, user: str = ME, verdict: str = "v", start: datetime = T0) -> list[Shown]:
    """So many unanswered views, a minute apart."""
    return [shown(start + n * MINUTE, user=user, verdict=verdict) for n in range(count)]


LAST = T0 + 4 * MINUTE


def test_the_fifth_unanswered_view_is_followed_by_a_rest() -> None:
    for count in range(5):
        assert rest(*seen(count), now=LAST + MINUTE) is None
    assert rest(*seen(5), now=LAST + MINUTE) == Rest("t", VIEWS, LAST + 14 * DAY)
    assert rest(*seen(5), now=LAST + 14 * DAY - SECOND) is not None
    assert rest(*seen(5), now=LAST + 14 * DAY) is None


def test_the_latest_view_counts_wherever_it_stands_in_the_history() -> None:
    early, late = seen(2), seen(3, start=T0 + DAY)
    for history in ([*early, *late], [*late, *early], [*early, *late][::-1]):
        assert rest(*history, now=T0 + 2 * DAY) == Rest("t", VIEWS, late[-1].issued_at + 14 * DAY)


def test_after_the_rest_the_card_is_shown_as_often_again() -> None:
    again = LAST + 15 * DAY
    for count in range(1, 5):
        assert rest(*seen(5), *seen(count, start=again), now=again + DAY) is None
    assert rest(*seen(5), *seen(5, start=again), now=again + DAY) == Rest(
        "t", VIEWS, again + 4 * MINUTE + 14 * DAY
    )


def test_views_of_calls_under_way_together_neither_lengthen_the_rest_nor_escape_it() -> None:
    together = [*seen(5), shown(LAST), shown(LAST + SECOND)]
    assert rest(*together, now=LAST + MINUTE) == Rest("t", VIEWS, LAST + 14 * DAY)
    assert rest(*seen(5), now=LAST + MINUTE, views=1) == Rest("t", VIEWS, T0 + 14 * DAY)


def test_a_view_at_the_end_of_a_rest_counts_towards_the_next() -> None:
    again = T0 + 14 * DAY
    assert rest(shown(T0), shown(again), now=again + MINUTE, views=1) == Rest("t", VIEWS, again + 14 * DAY)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param([*seen(4), shown(LAST, user=OTHER)], id="another user's view is not mine"),
        pytest.param([*seen(4), shown(LAST, trial="other")], id="another trial's card is another card"),
        pytest.param([*seen(4, verdict="old"), shown(LAST)], id="a changed verdict starts anew"),
        pytest.param([*seen(2), *seen(1, verdict="x", start=T0 + 2 * MINUTE), *seen(3, start=T0 + 3 * MINUTE)],
                     id="a verdict that came back starts anew"),
        pytest.param([*seen(4), shown(LAST, accepted(LAST + SECOND))], id="an answer is no silence"),
        pytest.param([shown(T0, said("needs-information", LAST + SECOND)), *seen(5)[1:]],
                     id="an answer to an early card, after all views"),
        pytest.param([shown(T0, said("x", T0 + SECOND, "https://ehr.example")), *seen(5)[1:]],
                     id="a reason not ours is an answer too"),
        pytest.param([*seen(5)[:2], shown(T0 + 2 * MINUTE, accepted(T0 - DAY)), *seen(5)[3:]],
                     id="an answer dated before its card by a wrong clock"),
        pytest.param([shown(T0, accepted(T0 - DAY)), *seen(5)[1:]], id="the card that was so answered is none"),
        pytest.param([shown(T0, accepted(T0)), *seen(5)[1:]], id="nor is one answered at once"),
    ],
)  # fmt: skip
def test_what_is_no_fifth_silent_view_in_a_row(history: list[Shown]) -> None:
    assert rest(*history, now=LAST + MINUTE) is None


def test_another_users_answer_does_not_speak_for_this_user() -> None:
    other = shown(T0 + SECOND, said("no-time", LAST + SECOND), user=OTHER)
    found = rest(*seen(5), other, now=LAST + MINUTE)
    assert found is not None
    assert found.reason == VIEWS


def test_a_changed_verdict_ends_the_rest() -> None:
    assert rest(*seen(5), now=LAST + MINUTE, verdict="changed") is None


@pytest.mark.parametrize(("views", "view_days"), [(0, 14), (5, 0)])
def test_resting_after_views_can_be_switched_off(views: int, view_days: int) -> None:
    assert rest(*seen(5), now=LAST + MINUTE, views=views, view_days=view_days) is None


def test_a_card_may_rest_after_each_single_view() -> None:
    assert rest(*seen(1), now=T0 + MINUTE, views=1) == Rest("t", VIEWS, T0 + 14 * DAY)


# --- what must hold for every history

moments = st.integers(0, 200 * 24 * 60).map(lambda minutes: T0 + minutes * MINUTE)
systems = st.sampled_from([OVERRIDE_SYSTEM, OVERRIDE_SYSTEM, OVERRIDE_SYSTEM, None, "https://ehr.example"])
answers = st.one_of(
    st.builds(accepted, moments),
    st.builds(said, st.sampled_from([*PAUSES, "other"]), moments, systems),
    st.builds(lambda at: Answer("overridden", None, None, at), moments),
)
histories = st.lists(
    st.builds(
        Shown,
        st.sampled_from(["t", "u"]),
        st.sampled_from([ME, OTHER]),
        st.sampled_from(["v", "w"]),
        moments,
        st.lists(answers, max_size=3, unique_by=lambda answer: answer.at).map(tuple),
    ),
    max_size=25,
    unique_by=lambda each: each.issued_at,
)
DUE = {"t": "v", "u": "w", "never-shown": "v"}


def found_in(history: list[Shown], now: datetime, views: int = 2) -> dict[str, Rest]:
    return resting(history, DUE, user=ME, now=now, views=views, view_days=14)


@given(histories, moments, st.integers(0, 3), st.randoms())
def test_the_order_of_history_and_answers_does_not_matter(
    history: list[Shown], now: datetime, views: int, chance: object
) -> None:
    mixed = [replace(each, answers=each.answers[::-1]) for each in history]
    chance.shuffle(mixed)  # type: ignore[attr-defined]
    assert found_in(mixed, now, views) == found_in(history, now, views)


@given(histories, moments, st.integers(0, 3))
def test_only_due_trials_with_a_history_rest_and_each_rest_ends_when_it_says(
    history: list[Shown], now: datetime, views: int
) -> None:
    for trial, each in found_in(history, now, views).items():
        assert trial == each.trial
        assert trial in {one.trial for one in history}
        if each.until is None:
            assert each.reason in ("patient-declined", "enrolled-elsewhere")
            assert found_in(history, now + 10_000 * DAY, views)[trial].until is None
        else:
            assert now < each.until
            assert trial in found_in(history, each.until - SECOND, views)
            assert trial not in found_in(history, each.until, views)


@given(histories, moments)
def test_other_trials_change_nothing(history: list[Shown], now: datetime) -> None:
    alone = [each for each in history if each.trial == "t"]
    assert found_in(alone, now).get("t") == found_in(history, now).get("t")


@given(histories, moments)
def test_accepting_every_card_in_the_end_lets_every_card_be_shown(
    history: list[Shown], now: datetime
) -> None:
    at = T0 + 300 * DAY
    taken = [replace(each, answers=(*each.answers, accepted(at))) for each in history]
    assert found_in(taken, max(now, at)) == {}


@given(histories, moments)
def test_without_reasons_of_ours_and_without_a_rule_of_views_nothing_rests(
    history: list[Shown], now: datetime
) -> None:
    foreign = [
        replace(
            each,
            answers=tuple(
                replace(a, system="https://ehr.example" if a.system else None) for a in each.answers
            ),
        )
        for each in history
    ]
    assert found_in(foreign, now, views=0) == {}


@given(histories, moments)
def test_what_another_user_answered_rests_this_users_card_for_the_reasons_of_all_alone(
    history: list[Shown], now: datetime
) -> None:
    others = [replace(each, user=OTHER) for each in history]
    allowed = {reason for reason, pause in PAUSES.items() if pause.everyone}
    assert {each.reason for each in found_in(others, now).values()} <= allowed


@given(
    st.lists(st.integers(1, 5 * 24 * 60), min_size=1, max_size=60),
    st.integers(1, 5),
    st.integers(1, 20),
)
def test_opening_a_chart_again_and_again_shows_the_card_so_often_a_period_and_never_stops_for_good(
    gaps: list[int], views: int, view_days: int
) -> None:
    """The rule in other words: silent views in a row, counted; each full number is followed by a pause."""
    history: list[Shown] = []
    now = T0
    for gap in gaps:
        now += gap * MINUTE
        pausing = (
            bool(history) and len(history) % views == 0 and now < history[-1].issued_at + view_days * DAY
        )
        found = resting(history, {"t": "v"}, user=ME, now=now, views=views, view_days=view_days)
        assert bool(found) is pausing
        if not found:
            history.append(shown(now))
    for first in history:
        end = first.issued_at + view_days * DAY
        assert sum(first.issued_at <= each.issued_at < end for each in history) <= views
