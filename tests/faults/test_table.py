"""Each fault on each of five kinds of resources: the verdicts, the card, the time, and that nothing leaks.

A fault that loses a type makes what needs it unknown(retrieval-failed), and nothing else (clinical-spec §1.2); one
that does no harm changes nothing; no fault takes longer than its own waiting, or is heard of in words that it brought.
"""

from __future__ import annotations

from typing import Any

import pytest

from cds_service.screening import Screener
from tests.builders import (
    atc,
    attestation,
    b0,
    consent,
    medication,
    medication_request,
)
from tests.faults.conftest import Answered, Hospital, patient_of
from tests.faults.expected import NEEDED_BY, NOT_GOT, check_honest, check_lost, check_same
from tests.support.chart_server import Asked, Json
from tests.support.faults import ANSWERS, EITHER, LOST, MARK, PAGES, WHOLE, WRONGS
from tests.trials.assessing import assess

# Eligible, pending review: whatever is lost must be missed. It has something of each kind that is struck.
_RILUZOLE = medication("med-1", atc("N07XX02", "riluzole"), text="Riluzole")
_REQUEST = medication_request(authored="2026-01-10", medicationReference={"reference": "Medication/med-1"})
FIT = b0(_RILUZOLE, _REQUEST, consent(), attestation({"IN05-NoPregnancyAgreement": "yes"}))
WELL = b0(without=["als"])
WHO = patient_of(FIT)
KINDS = ("Observation", "MedicationRequest")
# One of each way in which a type is lost, for every type that the trial reads.
SAMPLE = ("HTTP 403", "HTML", "total above", "a later page fails")
# No answer keeps a call longer, where nothing stalls.
SECONDS = 8.0


@pytest.fixture(scope="module")
def full() -> Json:
    assessment = assess(FIT)
    assert assessment["status"] == "eligible-pending-review"
    assert assessment["card"]
    return assessment


def struck(hospital: Hospital, record: Json, name: str, kind: str) -> Answered:
    """A call for the record's patient, while the server does this wrong."""
    hospital.chart.moves()
    hospital.chart.serves(record)
    hospital.chart.faults.append(WRONGS[name].on(kind))
    answered = hospital.call(patient_of(record))
    check_quiet(answered)
    assert hospital.left_threads() == []
    return answered


def check_quiet(answered: Answered) -> None:
    """In time, and nothing of a fault's own words is found anywhere."""
    assert answered.seconds < SECONDS
    assert MARK not in answered.told.lower()
    assert MARK not in str(answered.body).lower()
    assert "Traceback" not in answered.told
    assert answered.elsewhere == 0


def said(answered: Answered) -> str:
    (card,) = answered.cards
    return f"{card['summary']}\n{card['detail']}"


def check_card_says(answered: Answered, kind: str) -> None:
    assert kind in said(answered)
    assert "not obtained" in said(answered)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", WRONGS)
def test_a_search_after_the_gate(
    hospital: Hospital, screener: Screener, full: Json, name: str, kind: str
) -> None:
    answered = struck(hospital, FIT, name, kind)
    assert answered.status == 200
    assert answered.assessment is not None
    leaves = WRONGS[name].leaves
    if leaves == EITHER:
        leaves = LOST if answered.assessment["data"][kind]["state"] in NOT_GOT else WHOLE
    if leaves == WHOLE:
        check_same(full, answered.assessment)
        assert "not obtained" not in said(answered)
    else:
        check_struck(screener, full, answered, name, kind)


def check_struck(screener: Screener, full: Json, answered: Answered, name: str, kind: str) -> None:
    """The type is lost, and whatever else the fault takes along is no better."""
    assert answered.assessment is not None
    assert answered.assessment["status"] == "unknown"
    if WRONGS[name].holds:
        check_honest(full, answered.assessment)
        assert answered.assessment["data"][kind]["state"] in NOT_GOT
    else:
        check_lost(screener, full, answered.assessment, kind)
        check_card_says(answered, kind)


@pytest.mark.parametrize("name", SAMPLE)
@pytest.mark.parametrize("kind", sorted(NEEDED_BY.keys() - {"Condition", *KINDS}))
def test_every_other_type(hospital: Hospital, screener: Screener, full: Json, kind: str, name: str) -> None:
    answered = struck(hospital, FIT, name, kind)
    assert answered.assessment is not None
    check_lost(screener, full, answered.assessment, kind)
    check_card_says(answered, kind)


@pytest.mark.parametrize("name", WRONGS)
def test_the_conditions_of_the_gate(hospital: Hospital, screener: Screener, full: Json, name: str) -> None:
    """Without them there is no card, unless what came of them speaks of ALS; and it is logged."""
    answered = struck(hospital, FIT, name, "Condition")
    if WRONGS[name].holds and answered.status == 412:
        return  # the Patient was to be asked for after it
    assert answered.status == 200
    if answered.assessment is None:
        assert WRONGS[name].leaves != WHOLE
        assert answered.cards == []
        assert '"Condition":' in answered.told
        assert set(answered.asked) <= {"Patient", "Condition", "metadata"}
    elif WRONGS[name].leaves == WHOLE or answered.assessment["data"]["Condition"]["state"] == "complete":
        assert WRONGS[name].leaves != LOST
        check_same(full, answered.assessment)
    else:
        check_struck(screener, full, answered, name, "Condition")


@pytest.mark.parametrize(
    ("name", "kind"), [*((name, "Condition") for name in WRONGS), *((name, "Patient") for name in SAMPLE[:2])]
)
def test_no_fault_makes_a_card_for_somebody_without_als(hospital: Hospital, name: str, kind: str) -> None:
    answered = struck(hospital, WELL, name, kind)
    assert answered.cards == [] if answered.status == 200 else answered.status == 412
    assert set(answered.asked) <= {"Patient", "Condition", "metadata"}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_patient(hospital: Hospital, full: Json, name: str) -> None:
    """Without the Patient there is nothing to assess: 412 says what to do."""
    answered = struck(hospital, FIT, name, "Patient")
    leaves = WRONGS[name].leaves
    assert answered.status == {LOST: 412, WHOLE: 200}.get(leaves, answered.status)
    if answered.status == 200:
        check_same(full, answered.assessment)
        return
    assert answered.body["resourceType"] == "OperationOutcome"
    (issue,) = answered.body["issue"]
    assert issue["code"] == "incomplete"
    assert "Patient" in issue["diagnostics"]


# A value of prefetch


def spoilt(hospital: Hospital, name: str, kind: str) -> Any:
    """The page of a search with that wrong in it, as a client would send it."""
    page = hospital.chart.page(kind, {"patient": WHO})
    asked = Asked(
        kind, 1, f"{hospital.chart.base}/{kind}?patient={WHO}", hospital.chart.base, None, {"patient": WHO}
    )
    sent = PAGES[name].does(asked, page)
    assert isinstance(sent, dict)
    return sent


def prefetched(hospital: Hospital, screener: Screener, **instead: Any) -> dict[str, Any]:
    """The whole of the record, but for these values."""
    found: dict[str, Any] = {}
    for kind in screener.wanted(None).types - {"Medication", "ResearchStudy"}:
        page = hospital.chart.page(kind, {"patient": WHO, "_include": f"{kind}:medication"})
        found[kind] = (
            next(r for r in hospital.chart.resources if r["resourceType"] == kind)
            if kind == "Patient"
            else page
        )
    return {kind[0].lower() + kind[1:]: value for kind, value in {**found, **instead}.items()}


@pytest.mark.parametrize("name", PAGES)
def test_a_value_of_prefetch(hospital: Hospital, screener: Screener, full: Json, name: str) -> None:
    """Without a FHIR server, what a value lacks is lost; with one, it is got there."""
    kind = "Observation"
    hospital.chart.moves()
    hospital.chart.serves(FIT)
    prefetch = prefetched(hospital, screener, **{kind: spoilt(hospital, name, kind)})
    alone = hospital.call(WHO, prefetch=prefetch, server=False)
    check_quiet(alone)
    assert alone.status == 200
    assert alone.asked == []
    assert alone.assessment is not None
    if alone.assessment["data"][kind]["state"] == "complete":
        assert PAGES[name].leaves != LOST
        check_same(full, alone.assessment)
    else:
        assert PAGES[name].leaves != WHOLE or "next" in str(prefetch["observation"])
        check_lost(screener, full, alone.assessment, kind)
        check_card_says(alone, kind)


@pytest.mark.parametrize("name", PAGES)
def test_a_value_of_prefetch_that_a_server_completes(
    hospital: Hospital, screener: Screener, full: Json, name: str
) -> None:
    kind = "Observation"
    hospital.chart.moves()
    hospital.chart.serves(FIT)
    prefetch = prefetched(hospital, screener, **{kind: spoilt(hospital, name, kind)})
    answered = hospital.call(WHO, prefetch=prefetch)
    check_quiet(answered)
    assert set(answered.asked) <= {kind, "metadata"}
    assert answered.assessment is not None
    check_honest(full, answered.assessment)
    if answered.assessment["data"][kind]["state"] == "complete":
        check_same(full, answered.assessment)
    else:
        check_lost(screener, full, answered.assessment, kind)
