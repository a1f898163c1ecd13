"""Rules of the rows that only people decide: hints, consent, address, questions (IN05–IN08, EX02, EX03i, …)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    NCT,
    Resource,
    alsfrs_item,
    attestation,
    b0,
    cid10,
    condition,
    consent,
    family_member_history,
    icd10cm,
    medication_request,
    minimal,
    observation,
    research_study,
    rxnorm,
    snomed,
    value_integer,
    woman,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

AGREEMENT = "IN05-NoPregnancyAgreement"
ACCESS = "IN06-RegionalAccess"
CAPACITY = "IN07-ConsentCapacity"
FOLLOW_UP = "IN08-LocalFollowUp"
LIE_STILL = "EX02-CannotLieStill"
PROCEDURES = "EX03i-ProcedureIncapacity"
INTERFERING = "EX04-OtherInterferingDisease"
MENTAL = "EX14b-UnstableMentalHealth"
EXPANSION = "EX16-MscExpansionFailure"
HUMAN = (AGREEMENT, ACCESS, CAPACITY, FOLLOW_UP, LIE_STILL, PROCEDURES, INTERFERING, MENTAL, EXPANSION)
SITE = {"regionStates": ["SP", "RJ"]}


def by_study(nct: str, **elements: Any) -> list[Resource]:
    """A research study and a Consent that names it in provision.data, with no policy address."""
    reference = {"meaning": "instance", "reference": {"reference": "ResearchStudy/study-1"}}
    return [
        research_study("study-1", nct),
        {**consent(uri=None, **elements), "provision": {"type": "permit", "data": [reference]}},
    ]


CONSENTS = [
    Case("permitted", CAPACITY, minimal(consent(provision="permit")), "met", basis="explicit"),
    Case("denied", CAPACITY, minimal(consent(provision="deny")), "not-met", overall="excluded"),
    Case("rejected", CAPACITY, minimal(consent(status="rejected")), "not-met"),
    Case("inactive", CAPACITY, minimal(consent(status="inactive", provision="permit")), "unknown"),
    Case("in-error", CAPACITY, minimal(consent(status="entered-in-error", provision="permit")), "unknown"),
    Case("tomorrow", CAPACITY, minimal(consent(provision="permit", on="2026-06-16")), "unknown"),
    Case(
        "another-study",
        CAPACITY,
        minimal(consent(provision="permit", uri="https://clinicaltrials.gov/study/NCT00000001")),
        "unknown",
    ),
    Case("no-study", CAPACITY, minimal(consent(provision="permit", uri=None)), "unknown"),
    Case(
        "an-unclear-consent-after-a-refusal",
        CAPACITY,
        minimal(
            {**consent(status="rejected", on="2026-05-01"), "id": "no"},
            {**consent(on="2026-06-01"), "id": "unclear"},
        ),
        "unknown",
        ("needs-clinician",),
        note="neither permits nor denies",
        evidence=("no", "unclear"),
    ),
    Case(
        "an-unclear-consent-alone", CAPACITY, minimal(consent()), "unknown", ("needs-clinician",), note=False
    ),
    Case("treatment", CAPACITY, minimal(consent(provision="deny", scope="treatment")), "unknown"),
    Case("study-in-the-data", CAPACITY, minimal(by_study(NCT)), "met"),
    Case("another-study-in-the-data", CAPACITY, minimal(by_study("NCT00000001")), "unknown"),
    Case(
        "latest-counts-permit",
        CAPACITY,
        minimal(consent(status="rejected", on="2026-05-01"), consent(provision="permit", on="2026-06-01")),
        "met",
    ),
    Case(
        "latest-counts-rejected",
        CAPACITY,
        minimal(consent(provision="permit", on="2026-05-01"), consent(status="rejected", on="2026-06-01")),
        "not-met",
    ),
    Case(
        "rejection-against-attested-yes",
        CAPACITY,
        minimal(consent(status="rejected"), attestation({CAPACITY: "yes"})),
        "unknown",
        ("conflicting-data",),
    ),
]

CONCERNS = [
    *[
        Case(
            f"concern-{c['code']}",
            CAPACITY,
            minimal(condition(c)),
            "unknown",
            ("needs-clinician",),
            likely="not-met",
            note=True,
        )
        for c in (
            snomed("52448006", "Dementia"),
            snomed("1259124000", "ALS with FTD"),
            snomed("110359009", "Intellectual disability"),
            cid10("F03"),
            icd10cm("G30.9"),
            cid10("F71.0"),
        )
    ],
    Case(
        "concern-moca-22",
        CAPACITY,
        minimal(observation("72172-0", value_integer(22), category="survey")),
        "unknown",
        likely="not-met",
    ),
    Case(
        "no-concern-moca-23",
        CAPACITY,
        minimal(observation("72172-0", value_integer(23), category="survey")),
        "unknown",
        likely="",
    ),
    Case(
        "refuted-concern",
        CAPACITY,
        minimal(condition(snomed("52448006"), verification="refuted")),
        "unknown",
        likely="",
        note=False,
    ),
    # Anarthria, communication aids and weak hands are not incapacity.
    *[
        Case(f"no-concern-{c['code']}", CAPACITY, minimal(condition(c)), "unknown", likely="", note=False)
        for c in (icd10cm("R47.1", "Dysarthria and anarthria"), cid10("I10"))
    ],
]

ADDRESSES = [
    Case("listed-state", ACCESS, minimal(state="RJ", city="Rio"), "met", basis="computed", config=SITE),
    Case("listed-state-without-list", ACCESS, minimal(state="SP"), "unknown", ("needs-clinician",)),
    Case("other-country", ACCESS, minimal(state=None, city="Lisboa", country="PT"), "unknown", note=True),
    Case(
        "other-country-with-list",
        ACCESS,
        minimal(state="SP", country="PT"),
        "unknown",
        note=True,
        config=SITE,
    ),
    Case("attested-no", ACCESS, minimal(attestation({ACCESS: "no"}), state="AM"), "not-met", config=SITE),
]

HINTS = [
    Case("orthopnea-icd", LIE_STILL, minimal(condition(icd10cm("R06.01"))), "unknown", note=True),
    Case("orthopnea-item-2", LIE_STILL, minimal(alsfrs_item("82951-5", 2)), "unknown", note=True),
    Case("orthopnea-item-4", LIE_STILL, minimal(alsfrs_item("82951-5", 4)), "unknown", note=False),
    Case(
        "orthopnea-refuted",
        LIE_STILL,
        minimal(condition(snomed("62744007"), verification="refuted")),
        "unknown",
        note=False,
    ),
    Case("warfarin", PROCEDURES, minimal(medication_request(rxnorm("11289"))), "unknown", note=True),
    Case(
        "warfarin-cancelled",
        PROCEDURES,
        minimal(medication_request(rxnorm("11289"), status="cancelled")),
        "unknown",
        note=False,
    ),
    Case("coagulopathy", PROCEDURES, minimal(condition(cid10("D66"))), "unknown", note=True),
    Case(
        "riluzole-is-no-hint", PROCEDURES, minimal(medication_request(rxnorm("35623"))), "unknown", note=False
    ),
    Case("heart-failure", INTERFERING, minimal(condition(cid10("I50.0"))), "unknown", note="strong"),
    Case("dialysis", INTERFERING, minimal(condition(icd10cm("Z99.2"))), "unknown", note="strong"),
    Case("schizophrenia", MENTAL, minimal(condition(cid10("F20.0"))), "unknown", note=True),
    Case(
        "schizophrenia-in-the-family",
        MENTAL,
        minimal(family_member_history(cid10("F20.0"))),
        "unknown",
        note=False,
    ),
    Case("contraception-is-no-agreement", AGREEMENT, woman(condition(icd10cm("Z30.9"))), "unknown"),
]

SECTIONS = [*CONSENTS, *CONCERNS, *ADDRESSES, *HINTS]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion.partition('-')[0]}-{c.id}")
def test_people_rule(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("criterion_id", HUMAN)
def test_unknown_on_b0_with_its_reason(criterion_id: str) -> None:
    row = verdict(b0(), criterion_id)
    assert (row["status"], row["reasons"]) == ("unknown", ["needs-clinician"])


@pytest.mark.parametrize("criterion_id", HUMAN[:-1])
def test_the_coordinator_is_asked(criterion_id: str) -> None:
    assert verdict(b0(), criterion_id)["question"]


def test_msc_expansion_is_never_a_question_nor_missing_data() -> None:
    row = verdict(b0(), EXPANSION)
    assert row["question"] is None
    assert row["suggestions"] == []
    assert "missing-data" not in row["reasons"]


@pytest.mark.parametrize(
    "code", [icd10cm("Z80.7"), cid10("Z82.0"), snomed("416471007")], ids=lambda c: c["code"]
)
def test_a_relative_s_disease_is_no_problem_of_the_patient(code: dict[str, Any]) -> None:
    """§2.2: and a newer record of it makes no answer stale."""
    relative = condition(code, recorded="2026-06-12")
    assert verdict(minimal(relative), INTERFERING)["evidence"] == []
    answered = minimal(relative, attestation({INTERFERING: "no"}, on="2026-06-10"))
    assert verdict(answered, INTERFERING)["basis"] == "attested"


def test_the_questionnaire_can_resolve_every_human_row() -> None:
    answers = {c: "yes" if c.startswith("IN") else "no" for c in HUMAN}
    assessment = assess(b0(attestation(answers)))
    for criterion_id in HUMAN:
        row = criterion(assessment, criterion_id)
        assert row["status"] == ("met" if criterion_id.startswith("IN") else "not-met")
        assert row["basis"] == "attested"


@pytest.mark.parametrize(
    ("criterion_id", "codes"),
    [
        ("EX06-AstAlt", {"1742-6", "1920-8"}),
        ("EX07-Creatinine", {"2160-0"}),
        ("EX08a-HepatitisB", {"5196-1", "13952-7"}),
        ("EX08b-HepatitisC", {"13955-0"}),
        ("EX08c-Hiv", {"56888-1"}),
        ("EX08d-Htlv", {"22362-8"}),
        ("EX08e-Syphilis", {"24110-9", "20507-0"}),
        ("IN04-Fvc", {"81458-2"}),
        ("IN03-AlsfrsR", {"82954-9"}),
    ],
)
def test_missing_tests_are_suggested(criterion_id: str, codes: set[str]) -> None:
    """§6.4: what is missing suggests its draft orders, and what is there suggests nothing."""
    suggested = " ".join(str(s) for s in verdict(minimal(), criterion_id)["suggestions"])
    assert all(code in suggested for code in codes), suggested
    assert verdict(b0(), criterion_id)["suggestions"] == []
