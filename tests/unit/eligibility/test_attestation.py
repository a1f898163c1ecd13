"""Clinical-spec §1.3, bullet by bullet, on `read_answers` and `attest` alone."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from cds_service.eligibility.attestation import attest, read_answers
from cds_service.eligibility.questionnaire import ANSWERS, QUESTIONNAIRE
from cds_service.eligibility.trial import Criterion
from cds_service.eligibility.verdict import Verdict

AS_OF = date(2026, 6, 15)
NAME = "EX01-PriorCellTherapy"


def criterion(days: int | None = 30) -> Criterion:
    return Criterion(NAME, "exclusion", "B", "EX01", "text", "label", "source", attestation_days=days)


def response(code: Any = "yes", authored: Any = "2026-06-10", **changes: Any) -> dict[str, Any]:
    answer = {"valueCoding": {"system": ANSWERS, "code": code}} if isinstance(code, str) else code
    return {
        "resourceType": "QuestionnaireResponse",
        "id": "q1",
        "questionnaire": f"{QUESTIONNAIRE}|1.0.0",
        "status": "completed",
        "authored": authored,
        "author": {"reference": "Practitioner/p1"},
        "item": [{"linkId": "exclusion", "item": [{"linkId": NAME, "answer": [answer]}]}],
        **changes,
    }


def attested(
    verdict: Verdict, *responses: dict[str, Any], days: int | None = 30, newest: date | None = None
) -> Verdict:
    answer = read_answers(responses, frozenset({NAME}), AS_OF).latest.get(NAME)
    return verdict if answer is None else attest(criterion(days), verdict, answer, newest, AS_OF)


UNKNOWN = Verdict("unknown", reasons=("needs-clinician",))
NO_EVIDENCE = Verdict("not-met", basis="no-evidence")
EXPLICIT_MET = Verdict("met", basis="explicit")
EXPLICIT_NOT_MET = Verdict("not-met", basis="explicit")


@pytest.mark.parametrize(
    ("computed", "code", "status", "basis", "reasons"),
    [
        (UNKNOWN, "yes", "met", "attested", ()),
        (UNKNOWN, "no", "not-met", "attested", ()),
        (UNKNOWN, "unsure", "unknown", None, ("needs-clinician",)),
        (NO_EVIDENCE, "yes", "met", "attested", ()),
        (NO_EVIDENCE, "no", "not-met", "attested", ()),
        (NO_EVIDENCE, "unsure", "unknown", None, ("needs-clinician",)),
        (EXPLICIT_MET, "yes", "met", "explicit", ()),
        (EXPLICIT_MET, "no", "unknown", None, ("conflicting-data",)),
        (EXPLICIT_NOT_MET, "yes", "unknown", None, ("conflicting-data",)),
        (EXPLICIT_MET, "unsure", "met", "explicit", ()),
    ],
)
def test_an_answer_resolves_what_is_open_and_never_overrides_what_is_computed(
    computed: Verdict, code: str, status: str, basis: str | None, reasons: tuple[str, ...]
) -> None:
    result = attested(computed, response(code))
    assert (result.status, result.basis, result.reasons) == (status, basis, reasons)


@pytest.mark.parametrize("reason", ["conflicting-data", "retrieval-failed"])
def test_an_answer_never_resolves_what_needs_the_data(reason: str) -> None:
    assert attested(Verdict("unknown", reasons=(reason,)), response("no")).status == "unknown"


def test_an_answer_never_resolves_an_unknown_that_rests_on_a_positive_result() -> None:
    assert (
        attested(Verdict("unknown", reasons=("needs-clinician",), attestable=False), response("no")).status
        == "unknown"
    )


@pytest.mark.parametrize(
    ("authored", "days", "status"),
    [
        ("2026-05-16", 30, "met"),
        ("2026-05-15", 30, "unknown"),
        ("2019-01-01", None, "met"),
        ("2026-06-15T18:00:00-03:00", 30, "met"),
        ("2026-06-16", 30, "unknown"),
        ("2026-06", 30, "unknown"),
        (None, 30, "unknown"),
    ],
)
def test_the_validity_counts_days_before_the_screening_day_both_ends_included(
    authored: Any, days: int | None, status: str
) -> None:
    assert attested(UNKNOWN, response("yes", authored), days=days).status == status


def test_an_expired_answer_counts_as_absent_and_says_so() -> None:
    assert attested(UNKNOWN, response("yes", "2026-05-15")).reasons == ("stale-data", "needs-clinician")


def test_an_answer_older_than_the_newest_evidence_counts_as_absent() -> None:
    assert attested(UNKNOWN, response("yes", "2026-06-10"), newest=date(2026, 6, 11)).status == "unknown"
    assert attested(UNKNOWN, response("yes", "2026-06-10"), newest=date(2026, 6, 10)).status == "met"


def test_the_latest_answer_wins() -> None:
    older, newer = response("yes", "2026-06-01"), response("no", "2026-06-02")
    assert attested(UNKNOWN, older, newer).status == attested(UNKNOWN, newer, older).status == "not-met"


def test_the_later_update_wins_on_the_same_instant() -> None:
    first = response("yes", meta={"lastUpdated": "2026-06-10T10:00:00-03:00"})
    second = response("no", meta={"lastUpdated": "2026-06-10T11:00:00-03:00"})
    assert attested(UNKNOWN, second, first).status == "not-met"


@pytest.mark.parametrize(
    "bad",
    [
        response({"valueBoolean": True}),
        response({"valueCoding": {"system": "http://example.org", "code": "yes"}}),
        response("perhaps"),
        response("yes", author={"reference": "Patient/1"}),
        response("yes", author=None),
        response("yes", status="Completed"),
        response("yes", status="final"),
        response("yes", status=None),
    ],
)
def test_an_answer_of_another_shape_or_author_is_no_attestation(bad: dict[str, Any]) -> None:
    result = attested(NO_EVIDENCE, bad)
    assert (result.status, result.reasons) == ("unknown", ("ambiguous-code",))
    assert attested(EXPLICIT_MET, bad) == EXPLICIT_MET
    assert read_answers([bad], frozenset({NAME}), AS_OF).warnings


@pytest.mark.parametrize(
    "other",
    [
        response("yes", questionnaire="https://example.org/Questionnaire/other"),
        response("yes", status="in-progress"),
        response("yes", status="stopped"),
        response("yes", status="entered-in-error"),
        {"resourceType": "QuestionnaireResponse", "item": "nonsense"},
        response("yes", item=[{"linkId": "EX01", "answer": [{"valueBoolean": True}]}]),
        response("yes", item=[None, 3, {"linkId": 4}]),
    ],
)
def test_what_is_no_answer_to_this_criterion_changes_nothing(other: dict[str, Any]) -> None:
    assert attested(UNKNOWN, other) == UNKNOWN


@pytest.mark.parametrize(
    "author",
    [
        {"reference": "PractitionerRole/r"},
        {"reference": "https://ehr.example.org/r4/Practitioner/p/_history/2"},
        {"type": "Practitioner", "display": "on call"},
    ],
)
def test_practitioners_and_their_roles_may_attest(author: dict[str, Any]) -> None:
    assert attested(UNKNOWN, response("yes", author=author)).status == "met"
