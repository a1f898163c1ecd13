"""Servers that never end: the call ends by its deadline, with what came in time, and nothing waits on."""

from __future__ import annotations

import pytest

from cds_service.screening import Screener
from tests.faults.conftest import HASTY_SECONDS, Answered, Hospital
from tests.faults.expected import NEEDED_BY, NOT_GOT, check_honest, check_lost, check_same, rows
from tests.faults.test_table import FIT, WELL, WHO, check_card_says
from tests.support.chart_server import Fault, Json, Reply
from tests.support.faults import MARK, SLOW, body_of
from tests.trials.assessing import assess

# A noisy machine may be late, but not by much.
LATE = 4.0


@pytest.fixture(scope="module")
def full() -> Json:
    return assess(FIT)


def struck(hasty: Hospital, record: Json, *faults: Fault) -> Answered:
    hasty.chart.moves()
    hasty.chart.serves(record)
    hasty.chart.faults.extend(faults)
    answered = hasty.call(WHO)
    assert answered.seconds < HASTY_SECONDS + LATE
    assert MARK not in answered.told.lower()
    assert hasty.left_threads() == []
    return answered


@pytest.mark.parametrize("name", SLOW)
def test_one_type(hasty: Hospital, screener: Screener, full: Json, name: str) -> None:
    answered = struck(hasty, FIT, SLOW[name].on("Consent"))
    assert answered.assessment is not None
    check_lost(screener, full, answered.assessment, "Consent")
    assert answered.assessment["status"] == "unknown"
    check_card_says(answered, "Consent")
    # It kept no other search from its turn.
    assert "metadata" not in answered.asked or answered.asked.count("Consent") <= 3


def test_several_types(hasty: Hospital, full: Json) -> None:
    kinds = ("Consent", "Observation", "Procedure", "MedicationRequest")
    answered = struck(hasty, FIT, *(SLOW["half an answer"].on(kind) for kind in kinds))
    assert answered.assessment is not None
    check_honest(full, answered.assessment)
    found = rows(answered.assessment)
    for kind in kinds:
        assert answered.assessment["data"][kind]["state"] in NOT_GOT
        assert all(found[name]["status"] == "unknown" for name in NEEDED_BY[kind])
    assert found["EX11-Immunodeficiency"]["status"] == "not-met"


def test_all_types_after_the_gate(hasty: Hospital, full: Json) -> None:
    """More searches than are asked at a time: those that never got their turn are no better off."""
    kinds = set(full["data"]) - {"Patient", "Condition"}
    answered = struck(
        hasty, FIT, *(SLOW["no answer"].on(kind) for kind in kinds), SLOW["no answer"].on("metadata")
    )
    assert answered.assessment is not None
    check_honest(full, answered.assessment)
    found = rows(answered.assessment)
    assert found["H2-Age"]["status"] == "met"
    for kind in kinds & NEEDED_BY.keys():
        assert all("retrieval-failed" in found[name]["reasons"] for name in NEEDED_BY[kind]), kind
    assert answered.cards


@pytest.mark.parametrize("name", ["no answer", "an answer in drops"])
def test_the_conditions_of_the_gate(hasty: Hospital, name: str) -> None:
    answered = struck(hasty, FIT, SLOW[name].on("Condition"))
    assert (answered.status, answered.cards) == (200, [])
    assert '"Condition":' in answered.told
    assert set(answered.asked) <= {"Patient", "Condition", "metadata"}


@pytest.mark.parametrize("name", ["no answer", "half an answer", "a head in drops"])
def test_the_patient(hasty: Hospital, name: str) -> None:
    assert struck(hasty, FIT, SLOW[name].on("Patient")).status == 412


def test_a_patient_without_als_before_a_server_that_stalls(hasty: Hospital) -> None:
    answered = struck(hasty, WELL, SLOW["half an answer"].on("Condition"))
    assert (answered.status, answered.cards) == (200, [])


def test_a_slow_server_that_answers_in_time(hospital: Hospital, full: Json) -> None:
    hospital.chart.moves()
    hospital.chart.serves(FIT)
    hospital.chart.faults.append(Fault(lambda _asked, right: Reply(body_of(right), wait=0.3)))
    answered = hospital.call(WHO)
    check_same(full, answered.assessment)


def test_a_server_that_recovers_is_believed_again(hasty: Hospital, full: Json) -> None:
    """What failed in one call says nothing about the patient in the next."""
    answered = struck(hasty, FIT, SLOW["no answer"].on("Observation"))
    assert answered.assessment is not None
    assert answered.assessment["status"] == "unknown"
    hasty.chart.faults.clear()
    check_same(full, hasty.call(WHO).assessment)
