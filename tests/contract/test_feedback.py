"""Feedback over HTTP: what it changes about later cards, for whom and how long, and what is kept of it all."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm

from cds_service.settings import ClientSettings
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, hook_request, person, searchset, vignette_request

ALL = "/cds-services/trial-eligibility"
SYSTEM = "https://cds-service.example/fhir/CodeSystem/override-reason"
T0 = datetime(2026, 6, 15, 9, tzinfo=UTC)
DAY = timedelta(days=1)
# The retention goes by the machine's clock, whatever these tests say the time is.
KEPT: dict[str, Any] = {"feedback__retention_days": 36_500}


@dataclass
class Clock:
    """The service's clock, moved by the test."""

    at: datetime = T0

    def __call__(self) -> datetime:
        return self.at

    def forward(self, by: timedelta) -> None:
        self.at += by


@dataclass
class Ward:
    """A hospital at the service: opens charts and gives feedback at the clock's time."""

    http: FlaskClient
    clock: Clock = field(default_factory=Clock)
    sign: Callable[[str], dict[str, str]] = lambda path: {}

    def open(
        self,
        user: str = "Practitioner/p1",
        patient: str | None = None,
        service: str = SERVICE,
        **prefetch: Any,
    ) -> list[dict[str, Any]]:
        """The cards for a chart whose patient may be eligible."""
        self.clock.forward(timedelta(minutes=1))
        types = self.http.application.extensions["cds_service"].screener.wanted(None).types
        body = json.dumps(vignette_request("AV-01", types) | {"hookInstance": str(uuid4())})
        if patient is not None:
            own = vignette_request("AV-01", types)["context"]["patientId"]
            body = body.replace(f'"{own}"', f'"{patient}"').replace(f"Patient/{own}", f"Patient/{patient}")
        call = json.loads(body)
        call["context"]["userId"] = user
        call["prefetch"] |= prefetch
        answer = self.http.post(service, json=call, headers=self.sign(service))
        assert answer.status_code == 200, answer.text
        assert set(answer.get_json()) == {"cards"}
        cards: list[dict[str, Any]] = answer.get_json()["cards"]
        return cards

    def tell(self, card: dict[str, Any], service: str = SERVICE, **entry: Any) -> int:
        """Feedback on a card; without more an override without a reason."""
        self.clock.forward(timedelta(minutes=1))
        stamp = self.clock.at.strftime("%Y-%m-%dT%H:%M:%SZ")
        one = {"card": card["uuid"], "outcome": "overridden", "outcomeTimestamp": stamp, **entry}
        path = f"{service}/feedback"
        answer = self.http.post(path, json={"feedback": [one]}, headers=self.sign(path))
        assert answer.data == b"" or answer.status_code != 200
        return answer.status_code

    def refuse(self, card: dict[str, Any], reason: str, service: str = SERVICE, system: str = SYSTEM) -> None:
        coding = {"code": reason, "system": system, "display": "x"}
        assert self.tell(card, service, overrideReason={"reason": coding}) == 200


@pytest.fixture
def ward(make_app: Make) -> Ward:
    clock = Clock()
    return Ward(make_app(now=clock, **KEPT).test_client(), clock)


EVERYBODY = "everybody"
# What the card offers, who no longer sees it, and for how many days; None = until revoked.
REASONS: list[tuple[str, str, int | None]] = [
    ("no-time", "who said so", 14),
    ("already-discussed", "who said so", 90),
    ("known-ineligible", EVERYBODY, 90),
    ("not-appropriate", EVERYBODY, 90),
    ("patient-declined", EVERYBODY, None),
    ("enrolled-elsewhere", EVERYBODY, None),
    ("needs-information", "nobody", 0),
]


@pytest.mark.proves("checklist:40")
@pytest.mark.parametrize(("reason", "whom", "days"), REASONS)
def test_a_reason_keeps_later_cards_away(ward: Ward, reason: str, whom: str, days: int | None) -> None:
    (card,) = ward.open()
    offered = {each["code"]: each for each in card["overrideReasons"]}
    assert ward.tell(card, overrideReason={"reason": offered[reason]}) == 200
    told = ward.clock.at
    assert bool(ward.open()) is (whom == "nobody")
    assert bool(ward.open("Practitioner/p2")) is (whom != EVERYBODY)
    assert bool(ward.open(service=ALL)) is (whom == "nobody")
    if days is None:
        ward.clock.at = told + 400 * DAY
        assert ward.open() == []
        assert ward.open("Practitioner/p2") == []
    elif days:
        ward.clock.at = told + days * DAY - timedelta(minutes=2)
        assert ward.open() == []
        ward.clock.at = told + days * DAY
        assert ward.open() != []


def test_a_refusal_concerns_its_patient_alone(ward: Ward) -> None:
    (card,) = ward.open(patient="one")
    ward.refuse(card, "patient-declined")
    assert ward.open(patient="one") == []
    assert ward.open(patient="two") != []


@pytest.mark.proves("checklist:39")
def test_accepting_the_card_later_takes_the_refusal_back(ward: Ward) -> None:
    (card,) = ward.open()
    ward.refuse(card, "patient-declined")
    assert ward.open() == []
    suggestion = {"id": str(uuid4())}
    assert ward.tell(card, outcome="accepted", acceptedSuggestions=[suggestion]) == 200
    assert ward.open() != []


@pytest.mark.parametrize(
    "later", [{}, {"overrideReason": {"reason": {"code": "x", "system": "https://ehr.example"}}}]
)
def test_a_dismissal_without_a_reason_of_ours_takes_no_refusal_back(
    ward: Ward, later: dict[str, Any]
) -> None:
    (card,) = ward.open()
    ward.refuse(card, "patient-declined")
    assert ward.tell(card, **later) == 200
    assert ward.open() == []
    store = ward.http.application.extensions["cds_service"].store
    # Neither once the card is forgotten, nor once the feedback is, but for the dismissal.
    ward.clock.forward(400 * DAY)
    assert ward.open() == []
    ward.tell(card, userComment="x", **later)
    store.retain(ward.clock.at - DAY)
    assert ward.open() == []


def test_another_reason_of_ours_replaces_the_first(ward: Ward) -> None:
    (card,) = ward.open()
    ward.refuse(card, "patient-declined")
    ward.refuse(card, "needs-information")
    assert ward.open() != []
    ward.clock.forward(400 * DAY)
    assert ward.open() != []


@pytest.mark.parametrize(
    "override",
    [
        {"reason": {"code": "patient-declined", "system": "https://ehr.example/reasons"}},
        {"reason": {"code": "patient-declined"}},
        {"reason": {"code": "because", "system": SYSTEM}},
        {"userComment": "patient-declined"},
    ],
)
def test_what_is_no_reason_of_ours_is_taken_and_changes_nothing(ward: Ward, override: dict[str, Any]) -> None:
    (card,) = ward.open()
    assert ward.tell(card, overrideReason=override) == 200
    assert ward.open() != []


def test_feedback_on_an_unknown_card_is_taken_and_changes_nothing(ward: Ward) -> None:
    ward.open()
    ward.refuse({"uuid": str(uuid4())}, "patient-declined")
    ward.refuse({"uuid": "no uuid at all"}, "patient-declined")
    assert ward.open() != []


def test_feedback_sent_to_another_service_than_the_cards_does_not_concern_it(ward: Ward) -> None:
    (card,) = ward.open()
    ward.refuse(card, "patient-declined", service=ALL)
    assert ward.open() != []


@pytest.mark.proves("checklist:41")
def test_the_same_feedback_sent_again_says_nothing_new(ward: Ward) -> None:
    (card,) = ward.open()
    ward.refuse(card, "no-time")
    at = ward.clock.at
    ward.clock.at = at + 13 * DAY
    stamp = at.strftime("%Y-%m-%dT%H:%M:%SZ")
    again = {"reason": {"code": "no-time", "system": SYSTEM, "display": "x"}}
    assert ward.tell(card, outcomeTimestamp=stamp, overrideReason=again) == 200
    ward.clock.at = at + 14 * DAY
    assert ward.open() != []


def test_a_time_that_has_not_come_yet_does_not_lengthen_the_rest(ward: Ward) -> None:
    (card,) = ward.open()
    reason = {"reason": {"code": "no-time", "system": SYSTEM}}
    assert ward.tell(card, outcomeTimestamp="2099-01-01T00:00:00Z", overrideReason=reason) == 200
    told = ward.clock.at
    assert ward.open() == []
    ward.clock.at = told + 14 * DAY
    assert ward.open() != []


def test_feedback_that_breaks_the_rules_changes_nothing(ward: Ward) -> None:
    (card,) = ward.open()
    reason = {"reason": {"code": "patient-declined", "system": SYSTEM}}
    assert ward.tell(card, outcome="banana", overrideReason=reason) == 400
    assert ward.open() != []


def test_after_five_unanswered_views_the_card_rests_for_this_user(ward: Ward) -> None:
    for _ in range(5):
        assert ward.open() != []
    last = ward.clock.at
    assert ward.open() == []
    assert ward.open("Practitioner/p2") != []
    ward.clock.at = last + 14 * DAY - timedelta(minutes=2)
    assert ward.open() == []
    for _ in range(5):
        assert ward.open() != []
    assert ward.open() == []


def test_an_answer_starts_the_count_of_views_anew(ward: Ward) -> None:
    for _ in range(4):
        (card,) = ward.open()
    assert ward.tell(card) == 200
    for _ in range(5):
        assert ward.open() != []
    assert ward.open() == []


def test_a_changed_verdict_brings_a_resting_card_back(ward: Ward) -> None:
    for _ in range(5):
        ward.open()
    assert ward.open() == []
    (card,) = ward.open(observation=None)
    assert card["extension"]["org.cds-service.assessment"]["status"] == "unknown"


def test_the_site_may_let_no_card_rest_after_views(make_app: Make) -> None:
    ward = Ward(make_app(cards__rest_after_views=0).test_client())
    assert all(ward.open() for _ in range(12))


def test_what_was_answered_outlives_the_process(make_app: Make, tmp_path: Path) -> None:
    clock = Clock()
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    first = Ward(make_app(service__database_url=url, now=clock, **KEPT).test_client(), clock)
    (card,) = first.open()
    first.refuse(card, "patient-declined")
    second = Ward(make_app(service__database_url=url, now=clock, **KEPT).test_client(), clock)
    assert second.open() == []


def test_a_chart_without_a_due_card_leaves_no_trace(make_app: Make, tmp_path: Path) -> None:
    http = make_app(service__database_url=f"sqlite:///{tmp_path / 'kept.db'}").test_client()
    service = http.application.extensions["cds_service"]
    service.store.close()

    def none_due() -> int:
        prefetch = {"patient": person(), "condition": searchset()}
        answer = http.post(SERVICE, json=hook_request(prefetch=prefetch))
        assert answer.get_json() == {"cards": []}
        return answer.status_code

    before = {path: path.read_bytes() for path in tmp_path.glob("kept.db*")}
    assert none_due() == 200
    service.store.close()
    assert {path: path.read_bytes() for path in tmp_path.glob("kept.db*")} == before


def test_no_identifier_reaches_the_database_or_the_log(make_app: Make, tmp_path: Path) -> None:
    log: list[dict[str, Any]] = []
    url = f"sqlite:///{tmp_path / 'kept.db'}"
    ward = Ward(make_app(log, service__database_url=url).test_client())
    (card,) = ward.open("Practitioner/user-canary", patient="patient-canary")
    comment = {
        "reason": {"code": "patient-declined", "system": SYSTEM, "display": "display-canary"},
        "userComment": "comment-canary",
    }
    assert ward.tell(card, overrideReason=comment) == 200
    assert ward.open("Practitioner/user-canary", patient="patient-canary") == []
    ward.http.application.extensions["cds_service"].store.close()
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("kept.db*"))
    assert card["uuid"].encode() in kept
    assert b"canary" not in kept
    assert "canary" not in str(log)
    (rests,) = (line for line in log if line["event"] == "card-rests")
    (*_, call) = (line for line in log if line["event"] == "call")
    assert rests.keys() == {"event", "request", "trial", "reason"}
    assert (rests["trial"], rests["reason"]) == ("nct02917681", "patient-declined")
    assert (rests["request"], call["service"]) == (call["request"], "trial-nct02917681")


@pytest.mark.proves("checklist:32")
def test_cards_issued_at_the_same_moment_are_different_cards(ward: Ward) -> None:
    uuids = {ward.open()[0]["uuid"] for _ in range(3)}
    assert len(uuids) == 3
    assert all(UUID(each).version == 4 for each in uuids)


# --- with configured clients

BASE = "https://cds.example.org"
KEY = ec.generate_private_key(ec.SECP384R1())


def hospitals(make_app: Make, tmp_path: Path) -> Callable[..., Ward]:
    """Makes wards of hospitals that share one service and know each other's card ids."""
    jwk = {**json.loads(ECAlgorithm.to_jwk(KEY.public_key())), "kid": "k", "alg": "ES384", "use": "sig"}
    jwks = tmp_path / "jwks.json"
    jwks.write_text(json.dumps({"keys": [jwk]}))
    clients = tuple(
        ClientSettings(name=name, issuer=f"https://{name}.example.org", jwks_file=jwks) for name in ("a", "b")
    )
    # The machine's time: tokens are judged by it.
    clock = Clock(datetime.now(UTC))
    http = make_app(base_url=BASE, clients=clients, now=clock, **KEPT).test_client()

    def ward(name: str, tenant: str | None = None) -> Ward:
        def sign(path: str) -> dict[str, str]:
            now = int(time.time())
            claims = {"iss": f"https://{name}.example.org", "aud": BASE + path, "exp": now + 300, "iat": now,
                      "jti": str(uuid4()), **({"tenant": tenant} if tenant else {})}  # fmt: skip
            token = jwt.encode(claims, KEY, "ES384", headers={"kid": "k", "typ": "JWT"})
            return {"Authorization": f"Bearer {token}"}

        return Ward(http, clock, sign)

    return ward


def test_a_refusal_at_one_hospital_or_tenant_is_none_at_another(make_app: Make, tmp_path: Path) -> None:
    ward = hospitals(make_app, tmp_path)
    here, there, next_door = ward("a", "x"), ward("b", "x"), ward("a", "y")
    (card,) = here.open()
    here.refuse(card, "patient-declined")
    assert here.open() == []
    assert there.open() != []
    assert next_door.open() != []


@pytest.mark.parametrize("other", [("b", "x"), ("a", "y"), ("a", None)])
def test_nobody_answers_for_a_card_of_another_client(
    make_app: Make, tmp_path: Path, other: tuple[str, str | None]
) -> None:
    ward = hospitals(make_app, tmp_path)
    here, there = ward("a", "x"), ward(*other)
    (card,) = here.open()
    there.refuse(card, "patient-declined")
    assert here.open() != []
