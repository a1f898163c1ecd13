"""CapabilityStatements: what a server offers, kept for an hour, and never at the cost of a call."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from cds_service.errors import CdsServiceError
from cds_service.records.addresses import ANYWHERE, LOOPBACK
from cds_service.records.capability import UNSTATED, Offers, Question, listed, stated_types
from cds_service.records.fhir_server import Acquisition
from cds_service.records.fhir_transport import Deadline, Transport
from cds_service.records.obtained import Obtained
from cds_service.records.prefetch import read_prefetch
from cds_service.records.record import PatientRecord
from cds_service.records.source import Source
from cds_service.records.wanted import Wanted
from tests.unit.records_io.scripted_server import (
    Answer,
    ScriptedServer,
    bundle,
    condition,
    elapsed,
    outcome,
    patient,
    serving,
)


def statement(*types: str, **more: Any) -> dict[str, Any]:
    rest = {"mode": "server", "resource": [{"type": kind} for kind in types], **more}
    return {"resourceType": "CapabilityStatement", "rest": [rest]}


OFFERED = statement("Patient", "Condition")


@pytest.mark.parametrize(
    ("answer", "types"),
    [
        (OFFERED, {"Patient", "Condition"}),
        ({**OFFERED, "rest": [*OFFERED["rest"], *statement("Consent")["rest"]]}, {"Patient", "Condition", "Consent"}),
        (statement("Consent", mode="client"), set()),
        ({"resourceType": "CapabilityStatement", "rest": [{"resource": [{"type": "Consent"}]}]}, {"Consent"}),
        ({"resourceType": "CapabilityStatement"}, set()),
        ({"resourceType": "CapabilityStatement", "rest": []}, set()),
        ({"resourceType": "CapabilityStatement", "rest": [{"mode": "server"}]}, set()),
        ({"resourceType": "CapabilityStatement", "rest": {"resource": []}}, set()),
        ({"resourceType": "CapabilityStatement", "rest": [{"resource": [{"type": 5}, None, "x"]}, 7]}, set()),
        ({"resourceType": "Bundle", "rest": OFFERED["rest"]}, set()),
        ([], set()),
        (None, set()),
    ],
)  # fmt: skip
def test_the_types_that_a_statement_names(answer: Any, types: set[str]) -> None:
    assert stated_types(answer) == types


def test_a_statement_is_kept_for_an_hour_and_a_failure_for_a_minute() -> None:
    now = 100.0
    offers = Offers(lambda: now)
    assert offers.known("a") is None
    offers.keep("a", OFFERED)
    offers.keep("b", None)
    assert (offers.known("a"), offers.known("b")) == ({"Patient", "Condition"}, UNSTATED)
    now += 61
    assert (offers.known("a"), offers.known("b")) == ({"Patient", "Condition"}, None)
    now += 3600
    assert offers.known("a") is None


def test_only_so_many_servers_are_remembered() -> None:
    offers = Offers(lambda: 1.0)
    for number in range(500):
        offers.keep(number, OFFERED)
    known = [number for number in range(500) if offers.known(number) is not None]
    assert known == list(range(400, 500))


def test_a_question_is_asked_once_and_not_waited_for_too_long() -> None:
    asked: list[int] = []
    answered = threading.Event()
    offers = Offers()

    def read() -> Any:
        asked.append(1)
        assert answered.wait(20)
        return OFFERED

    question = Question(offers, "a")
    assert question.types(0) == UNSTATED
    question.ask(read)
    question.ask(read)
    got, took = elapsed(lambda: question.types(0.05))
    assert got == UNSTATED
    assert took < 10
    answered.set()
    assert question.types(20) == {"Patient", "Condition"}
    assert asked == [1]
    # What came after a call had stopped waiting serves the next one.
    later = Question(offers, "a")
    later.ask(read)
    assert later.types(0) == {"Patient", "Condition"}
    assert asked == [1]


def test_a_server_that_does_not_answer_is_not_asked_again_at_once() -> None:
    def fail() -> Any:
        raise CdsServiceError("timeout")

    offers = Offers()
    first = Question(offers, "a")
    first.ask(fail)
    assert first.types(20) == UNSTATED
    second = Question(offers, "a")
    second.ask(lambda: OFFERED)
    assert second.types(20) == UNSTATED


@pytest.mark.parametrize(
    ("got", "state"),
    [
        (Obtained(), "not-offered"),
        (Obtained(state="failed", reason="HTTP 404"), "not-offered"),
        (Obtained(state="refused", reason="HTTP 403"), "not-offered"),
        (Obtained(state="failed", reason="OperationOutcome"), "not-offered"),
        (Obtained(state="refused", reason="HTTP 401"), "refused"),
        (Obtained(state="failed", reason="timeout"), "failed"),
        (Obtained(state="failed", reason="connection"), "failed"),
        (Obtained(state="failed", reason="server not answering"), "failed"),
        (Obtained(state="failed", reason="not JSON"), "failed"),
        (Obtained(state="truncated", reason="more pages exist"), "truncated"),
        (Obtained(state="failed", reason="another patient's data", dropped=1), "failed"),
        (Obtained(({"id": "1"},)), "complete"),
        (Obtained(included=({"id": "1"},)), "complete"),
        (Obtained(({"id": "1"},), state="truncated"), "truncated"),
    ],
)
def test_what_an_answer_says_of_a_type_that_is_not_offered(got: Obtained, state: str) -> None:
    assert listed("Consent", got, frozenset({"Patient"})).state == state
    assert listed("Consent", got, frozenset({"Patient", "Consent"})) == got
    assert listed("Consent", got, UNSTATED) == got


@pytest.fixture
def transport() -> Iterator[Transport]:
    transport = Transport()
    yield transport
    transport.close()


GATE = Wanted(frozenset({"Patient", "Condition"}))
REST = Wanted(frozenset({"Patient", "Condition", "Consent", "NutritionOrder"}))


def gathered(
    server: ScriptedServer,
    transport: Transport,
    *wanted: Wanted,
    prefetch: dict[str, Any] | None = None,
    seconds: float = 10,
) -> PatientRecord:
    gathering = Acquisition(
        "1",
        deadline=Deadline(seconds),
        prefetched=read_prefetch(prefetch or {}, "1", REST.types),
        source=Source(server.base, transport, reach=LOOPBACK),
    )
    for part in wanted:
        gathering.gather(part)
    return gathering.record()


CHART = {
    "Patient/1": patient(),
    "Condition": bundle(condition()),
    "NutritionOrder": Answer(outcome(), 404),
    "metadata": OFFERED,
}


def states(record: PatientRecord) -> dict[str, str]:
    return {kind: acquired.state for kind, acquired in record.account.items()}


def test_the_gate_asks_for_no_statement_and_the_rest_asks_once_an_hour(transport: Transport) -> None:
    with serving(dict(CHART)) as server:
        gathered(server, transport, GATE)
        assert sorted(r.path for r in server.requests) == ["Condition", "Patient/1"]
        first = gathered(server, transport, GATE, REST)
        second = gathered(server, transport, GATE, REST)
        assert len(server.asked("metadata")) == 1
    assert states(first) == states(second)
    assert states(first) == {
        "Patient": "complete",
        "Condition": "complete",
        "Consent": "not-offered",
        "NutritionOrder": "not-offered",
    }


def test_nothing_of_a_type_that_is_not_offered_is_no_evidence(transport: Transport) -> None:
    script = {**CHART, "NutritionOrder": bundle(), "metadata": statement("Patient", "Condition", "Consent")}
    with serving(script) as server:
        record = gathered(server, transport, GATE, REST)
    assert (record.state("Consent").state, record.state("NutritionOrder").state) == (
        "complete",
        "not-offered",
    )


def test_a_failure_in_the_gate_asks_what_the_server_offers(transport: Transport) -> None:
    script = {**CHART, "Condition": Answer(outcome(), 404), "metadata": statement("Patient", "Observation")}
    with serving(script) as server:
        record = gathered(server, transport, GATE)
    assert len(server.asked("metadata")) == 1
    assert record.state("Condition").state == "not-offered"


def test_a_statement_of_one_reach_does_not_serve_another(transport: Transport) -> None:
    with serving(dict(CHART)) as server:
        for reach in (LOOPBACK, ANYWHERE):
            gathering = Acquisition(
                "1", deadline=Deadline(10), source=Source(server.base, transport, reach=reach)
            )
            gathering.gather(GATE)
            gathering.gather(REST)
        assert len(server.asked("metadata")) == 2


@pytest.mark.parametrize("answer", [Answer("", 500), Answer("<html>"), Answer({"resourceType": "Bundle"})])
def test_without_a_statement_every_type_counts_as_offered(transport: Transport, answer: Answer) -> None:
    with serving({**CHART, "metadata": answer}) as server:
        record = gathered(server, transport, GATE, REST)
        gathered(server, transport, GATE, REST)
        assert len(server.asked("metadata")) == 1
    assert record.state("Consent").state == "complete"
    assert (record.state("NutritionOrder").state, record.state("NutritionOrder").reason) == (
        "failed",
        "HTTP 404",
    )


def test_a_statement_that_takes_long_holds_up_no_call_that_got_everything(transport: Transport) -> None:
    script = {**CHART, "NutritionOrder": bundle(), "metadata": Answer(OFFERED, wait=30)}
    with serving(script) as server:
        record, took = elapsed(lambda: gathered(server, transport, GATE, REST, seconds=25))
    assert took < 10
    assert set(states(record).values()) == {"complete"}


def test_data_of_a_type_that_is_not_offered_are_used(transport: Transport) -> None:
    consent = {"resourceType": "Consent", "id": "k", "patient": {"reference": "Patient/1"}}
    with serving({**CHART, "Consent": bundle(consent)}) as server:
        record = gathered(server, transport, GATE, REST)
    assert record.state("Consent").state == "complete"
    assert record.state("Consent").count == 1


def test_what_the_client_knows_of_a_type_that_its_server_does_not_offer_counts(transport: Transport) -> None:
    consent = {"resourceType": "Consent", "id": "k", "patient": {"reference": "Patient/1"}}
    prefetch = {"consent": bundle(consent, total=2)}
    with serving(dict(CHART)) as server:
        record = gathered(server, transport, GATE, REST, prefetch=prefetch)
    account = record.state("Consent")
    assert (account.state, account.reason, account.count) == ("truncated", "total above the entries", 1)
