"""Edge cases of the specification, row by row: what only people know (IN05–IN08, EX02, EX03i, EX04, …)."""

from __future__ import annotations

import pytest

from tests.builders import (
    ATTESTATION_QUESTIONNAIRE,
    attestation,
    cid10,
    condition,
    consent,
    family_member_history,
    icd10cm,
    medication_request,
    minimal,
    questionnaire_response,
    rxnorm,
    snomed,
)
from tests.trials.assessing import Case, check

AGREEMENT = "IN05-NoPregnancyAgreement"
ACCESS = "IN06-RegionalAccess"
CAPACITY = "IN07-ConsentCapacity"
FOLLOW_UP = "IN08-LocalFollowUp"
LIE_STILL = "EX02-CannotLieStill"
PROCEDURES = "EX03i-ProcedureIncapacity"
INTERFERING = "EX04-OtherInterferingDisease"
MENTAL = "EX14b-UnstableMentalHealth"
EXPANSION = "EX16-MscExpansionFailure"

SITE = {"regionStates": ["SP"]}

CASES = [
    Case("T-NPA-01", AGREEMENT, minimal(), "unknown", ("needs-clinician",)),
    Case("T-NPA-02", AGREEMENT, minimal(attestation({AGREEMENT: "yes"})), "met", basis="attested"),
    Case(
        "T-NPA-03",
        AGREEMENT,
        minimal(attestation({AGREEMENT: "no"})),
        "not-met",
        basis="attested",
        overall="excluded",
    ),
    Case(
        "T-NPA-04",
        AGREEMENT,
        minimal(
            questionnaire_response(
                [{"linkId": AGREEMENT, "answer": [{"valueBoolean": True}]}],
                questionnaire=ATTESTATION_QUESTIONNAIRE,
            )
        ),
        "unknown",
        ("ambiguous-code",),
    ),
    Case(
        "T-NPA-05",
        AGREEMENT,
        minimal(attestation({AGREEMENT: "yes"}, on="2026-05-15")),
        "unknown",
        ("stale-data",),
    ),
    Case("T-REG-01", ACCESS, minimal(), "unknown"),
    Case("T-REG-02", ACCESS, minimal(state="SP"), "met", basis="computed", config=SITE),
    # With and without the site's list: an address elsewhere is never a computed not-met.
    Case("T-REG-03", ACCESS, minimal(state="AM", city="Manaus"), "unknown", config=SITE),
    Case("T-REG-04", ACCESS, minimal(state=None, city=None, country=None), "unknown", config=SITE),
    Case("T-CAP-01", CAPACITY, minimal(), "unknown", likely=""),
    Case(
        "T-CAP-02",
        CAPACITY,
        minimal(condition(snomed("230270009", "Frontotemporal dementia"))),
        "unknown",
        ("needs-clinician",),
        likely="not-met",
        note=True,
    ),
    Case("T-CAP-03", CAPACITY, minimal(attestation({CAPACITY: "yes"})), "met", basis="attested"),
    Case("T-CAP-04", CAPACITY, minimal(consent(status="rejected")), "not-met", overall="excluded"),
    Case(
        "T-CAP-05",
        CAPACITY,
        minimal(family_member_history(snomed("52448006", "Dementia"), text="dementia")),
        "unknown",
        likely="",
        note=False,
    ),
    # Even where its policy names this trial: a privacy consent is no research consent.
    Case("T-CAP-06", CAPACITY, minimal(consent(status="rejected", scope="patient-privacy")), "unknown"),
    Case("T-LFU-01", FOLLOW_UP, minimal(), "unknown", ("needs-clinician",)),
    Case("T-LFU-02", FOLLOW_UP, minimal(attestation({FOLLOW_UP: "yes"})), "met", basis="attested"),
    Case("T-LFU-03", FOLLOW_UP, minimal(attestation({FOLLOW_UP: "no"})), "not-met", basis="attested"),
    Case("T-LIE-01", LIE_STILL, minimal(), "unknown", ("needs-clinician",), note=False),
    Case(
        "T-LIE-02",
        LIE_STILL,
        minimal(condition(snomed("62744007", "Orthopnea"))),
        "unknown",
        ("needs-clinician",),
        note=True,
    ),
    # "attested can": the criterion's statement is the incapacity, so the answer is `no`.
    Case("T-LIE-03", LIE_STILL, minimal(attestation({LIE_STILL: "no"})), "not-met", basis="attested"),
    Case("T-LIE-04", LIE_STILL, minimal(attestation({LIE_STILL: "yes"})), "met", overall="excluded"),
    Case(
        "T-PRO-01",
        PROCEDURES,
        minimal(medication_request(rxnorm("1364430", "apixaban"))),
        "unknown",
        ("needs-clinician",),
        note=True,
    ),
    Case("T-PRO-02", PROCEDURES, minimal(), "unknown", ("needs-clinician",), note=False),
    Case("T-PRO-03", PROCEDURES, minimal(attestation({PROCEDURES: "no"})), "not-met", basis="attested"),
    # The active problems may be listed; none of them may be called a strong hint.
    Case("T-OTH-01", INTERFERING, minimal(condition(cid10("I10"))), "unknown", ("needs-clinician",)),
    Case(
        "T-OTH-02",
        INTERFERING,
        minimal(
            condition(cid10("C18.9", "Malignant neoplasm of colon")),
            medication_request(rxnorm("194000", "capecitabine")),
        ),
        "unknown",
        ("needs-clinician",),
        note="strong",
    ),
    Case("T-OTH-03", INTERFERING, minimal(attestation({INTERFERING: "no"})), "not-met", basis="attested"),
    Case(
        "T-MH-01",
        MENTAL,
        minimal(
            condition(icd10cm("F32.9", "Major depressive disorder, single episode, unspecified")),
            medication_request(rxnorm("36437", "sertraline")),
        ),
        "unknown",
        ("needs-clinician",),
        note=True,
    ),
    Case(
        "T-MH-02",
        MENTAL,
        minimal(condition(icd10cm("R45.851", "Suicidal ideations"), recorded="2026-05-20")),
        "unknown",
        ("needs-clinician",),
        note="strong",
    ),
    Case("T-MH-03", MENTAL, minimal(attestation({MENTAL: "no"})), "not-met", basis="attested"),
    Case("T-MSC-01", EXPANSION, minimal(), "unknown", ("needs-clinician",)),
    Case("T-MSC-02", EXPANSION, minimal(attestation({EXPANSION: "yes"})), "met", overall="excluded"),
    Case("T-MSC-03", EXPANSION, minimal(attestation({EXPANSION: "no"})), "not-met", basis="attested"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    assessment = check(case)
    if case.id in {"T-OTH-01", "T-MH-01"}:
        row = next(r for r in assessment["criteria"] if r["id"] == case.criterion)
        assert not any("strong" in note.lower() for note in row["notes"]), row
