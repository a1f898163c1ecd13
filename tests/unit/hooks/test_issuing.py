"""Issuing: what is recorded of a card, what rests, and that nothing is shown that could not be recorded."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.verdict import Verdict
from cds_service.errors import RetryLaterError
from cds_service.hooks.auth import Caller, Client
from cds_service.hooks.cards import CardOptions, fingerprint
from cds_service.hooks.issuing import issue
from cds_service.hooks.messages import HookRequest
from cds_service.hooks.observed import Unmetered
from cds_service.hooks.orders import order_set
from cds_service.storage import Answer, IssuedCard, Pseudonyms, Shown
from tests.unit.hooks.assessments import assessment, missing, trial

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOOK = HookRequest("patient-view", "i", "Practitioner/u1", "p1")
KEYS = Pseudonyms(b"k" * 32)
CLIENT = Client("hospital-a", "https://ehr.example.org", {})
CALLER = Caller(CLIENT, "ward-7")


class Memory:
    """A store that keeps what it is given and counts what it is asked."""

    def __init__(self, history: Iterable[Shown] = ()) -> None:
        self.shown = list(history)
        self.issued: list[IssuedCard] = []
        self.asked: list[tuple[str, datetime]] = []
        self.tenants: set[tuple[str, str]] = set()

    def remember_tenant(self, issuer: str, tenant: str) -> None:
        self.tenants.add((issuer, tenant))

    def history(self, patient: str, since: datetime, *, user: str) -> list[Shown]:
        self.asked.append((patient, since))
        return self.shown

    def record_cards(self, cards: Iterable[IssuedCard]) -> None:
        self.issued += cards


class Away(Memory):
    """A database that does not answer when it is to be read, or written."""

    def __init__(self, reading: bool) -> None:
        super().__init__()
        self.reading = reading

    def history(self, patient: str, since: datetime, *, user: str) -> list[Shown]:
        if self.reading:
            raise RetryLaterError("The database does not answer.")
        return []

    def record_cards(self, cards: Iterable[IssuedCard]) -> None:
        raise RetryLaterError("The database does not answer.")


def issued(
    store: Memory, *assessments: Assessment, caller: Caller = CALLER, hook: HookRequest = HOOK, **options: Any
) -> tuple[list[str], list[dict[str, Any]]]:
    """The trials of the cards that were issued, and what was logged."""
    log: list[dict[str, Any]] = []
    service = SimpleNamespace(
        store=store,
        cards=CardOptions(**options),
        pseudonyms=KEYS,
        now=lambda: NOW,
        orders={a.trial.id: order_set(a.trial, sensitive_orders=False) for a in assessments},
        base=lambda: "https://cds.example.org",
        log=lambda event, **said: log.append({"event": event, **said}),
        meter=Unmetered(),
    )
    made = issue(service, "trial-eligibility", caller, hook, list(assessments))  # type: ignore[arg-type]
    assert [card["uuid"] for card in made] == [card.uuid for card in store.issued]
    return [card["extension"]["org.cds-service.assessment"]["trial"] for card in made], log


def of_trial(trial_id: str, verdicts: dict[str, Verdict] | None = None) -> Assessment:
    return assessment(verdicts, of=replace(trial(), id=trial_id))


def test_what_is_recorded_of_a_card() -> None:
    store = Memory()
    shown, log = issued(store, assessment())
    (card,) = store.issued
    assert shown == ["nct02917681"]
    assert log == []
    assert store.tenants == {("https://ehr.example.org", "ward-7")}
    assert card == IssuedCard(
        uuid=card.uuid,
        service="trial-eligibility",
        trial="nct02917681",
        version=trial().version,
        status="eligible-pending-review",
        verdict=KEYS.verdict(fingerprint(assessment())),
        issued_at=NOW,
        client=KEYS.client("https://ehr.example.org", "ward-7"),
        patient=KEYS.patient("https://ehr.example.org", "ward-7", "p1"),
        user=KEYS.user("https://ehr.example.org", "ward-7", "Practitioner/u1"),
    )
    assert {field.name for field in fields(card)} == {
        "uuid", "service", "trial", "version", "status", "verdict", "issued_at", "client", "patient", "user"
    }  # fmt: skip


def test_the_same_patient_id_of_another_client_or_tenant_is_another_patient() -> None:
    store = Memory()
    callers = (
        CALLER,
        Caller(CLIENT, None),
        Caller(replace(CLIENT, issuer="x"), "ward-7"),
        Caller(),
    )
    for caller in callers:
        store.issued.clear()
        issued(store, assessment(), caller=caller)
    assert len({patient for patient, _ in store.asked}) == len(callers)


def test_where_no_card_is_due_the_database_is_left_alone() -> None:
    for nothing in (
        [],
        [assessment(card=False)],
        [assessment({"IN01-Age": Verdict("not-met", basis="computed")})],
    ):
        store = Memory()
        assert issued(store, *nothing) == ([], [])
        assert store.asked == []
        assert store.issued == []


@pytest.mark.parametrize("reading", [True, False])
def test_a_card_that_can_not_be_recorded_is_not_shown(reading: bool) -> None:
    with pytest.raises(RetryLaterError):
        issued(Away(reading), assessment())


def refused(trial_id: str, reason: str = "patient-declined") -> Shown:
    system = "https://cds-service.example/fhir/CodeSystem/override-reason"
    at = NOW - timedelta(days=1)
    return Shown(trial_id, "somebody", "v", at, (Answer("overridden", system, reason, at),))


def test_a_card_that_rests_is_left_out_and_not_recorded_and_the_log_says_why() -> None:
    store = Memory([refused("b")])
    shown, log = issued(store, of_trial("a"), of_trial("b"))
    assert shown == ["a"]
    assert [card.trial for card in store.issued] == ["a"]
    assert log == [{"event": "card-rests", "trial": "b", "reason": "patient-declined"}]


def test_where_every_card_rests_nothing_is_written() -> None:
    store = Memory([refused("a")])
    assert issued(store, of_trial("a"))[0] == []
    assert store.issued == []


def test_a_card_that_rests_takes_no_place_from_another() -> None:
    """The most promising trial rests: the limit of cards is filled by the next ones."""
    several = [of_trial("c", {"EX07-Creatinine": missing()}), of_trial("a"), of_trial("b"), of_trial("d")]
    assert issued(Memory(), *several, max_cards=2)[0] == ["a", "b"]
    assert issued(Memory([refused("a")]), *several, max_cards=2)[0] == ["b", "d"]
    assert issued(Memory([refused("a"), refused("b")]), *several, max_cards=3)[0] == ["d", "c"]


def views(count: int, verdict: Assessment, user: str = "Practitioner/u1") -> list[Shown]:
    own = KEYS.user("https://ehr.example.org", "ward-7", user)
    print_ = KEYS.verdict(fingerprint(verdict))
    return [Shown("nct02917681", own, print_, NOW - timedelta(hours=n)) for n in range(count, 0, -1)]


def test_the_sites_settings_say_after_how_many_views_a_card_rests_and_how_long() -> None:
    one = assessment()
    assert issued(Memory(views(4, one)), one)[0] == ["nct02917681"]
    assert issued(Memory(views(5, one)), one)[0] == []
    assert issued(Memory(views(5, one)), one)[1][0]["reason"] == "views"
    assert issued(Memory(views(5, one)), one, rest_after_views=0)[0] == ["nct02917681"]
    assert issued(Memory(views(2, one)), one, rest_after_views=2)[0] == []
    late = [replace(view, issued_at=view.issued_at - timedelta(days=3)) for view in views(5, one)]
    assert issued(Memory(late), one, rest_days=3)[0] == ["nct02917681"]
    assert issued(Memory(late), one, rest_days=4)[0] == []


def test_views_of_another_verdict_or_user_do_not_count() -> None:
    one, changed = assessment(), assessment({"EX07-Creatinine": missing()})
    assert issued(Memory(views(5, one)), changed)[0] == ["nct02917681"]
    assert issued(Memory(views(5, one, "Practitioner/u2")), one)[0] == ["nct02917681"]


def test_the_history_reaches_as_far_back_as_any_rest() -> None:
    for days in (14, 3650):
        store = Memory()
        issued(store, assessment(), rest_days=days)
        ((_, since),) = store.asked
        assert since <= NOW - timedelta(days=max(90, days))


def test_the_fingerprint_is_of_trial_version_status_and_each_criterions_status() -> None:
    base = assessment()
    met, other = base.criteria[0].verdict, base.criteria[1].verdict
    alike = replace(base, as_of=base.as_of + timedelta(days=9), notes=("x",), data={})
    same_status = replace(base.criteria[0], verdict=replace(met, evidence=(), notes=("y",)))
    assert fingerprint(alike) == fingerprint(base)
    assert fingerprint(replace(base, criteria=(same_status, *base.criteria[1:]))) == fingerprint(base)
    open_ = replace(base.criteria[0], verdict=missing())
    changed = [
        replace(base, trial=replace(base.trial, version="9")),
        replace(base, trial=replace(base.trial, id="other")),
        replace(base, status="unknown"),
        replace(base, criteria=(open_, *base.criteria[1:])),
        replace(base, criteria=base.criteria[1:]),
    ]
    assert other.status == met.status
    assert len({fingerprint(each) for each in [base, *changed]}) == len(changed) + 1
