"""Overall status, card, deaths, participation in this trial, and what couldn't be got (§1.2)."""

from __future__ import annotations

import pytest

from tests.builders import (
    NCT,
    Resource,
    als,
    alsfrs,
    attestation,
    b0,
    bundle,
    cid10,
    condition,
    fvc_percent,
    minimal,
    patient,
    research_study,
    research_subject,
    woman,
)
from tests.trials.assessing import Case, assess, check, criterion, verdicts
from tests.trials.criteria import CRITERIA, EXCLUSIONS, HEADLINES, INCLUSIONS, TIER_A

H1 = "H1-Condition"
AGE = "IN01-Age"
OBSERVED = (
    "IN03-AlsfrsR",
    "IN04-Fvc",
    "EX06-AstAlt",
    "EX07-Creatinine",
    "EX08a-HepatitisB",
    "EX08b-HepatitisC",
    "EX08c-Hiv",
    "EX08d-Htlv",
    "EX08e-Syphilis",
)


class TestShape:
    """The Assessment's 43 rows (design §5)."""

    def test_rows_stand_in_the_specification_s_order(self) -> None:
        assert tuple(row["id"] for row in assess(b0())["criteria"]) == CRITERIA

    def test_kinds_and_tiers(self) -> None:
        for row in assess(b0())["criteria"]:
            kind = (
                "headline"
                if row["id"] in HEADLINES
                else "inclusion"
                if row["id"] in INCLUSIONS
                else "exclusion"
            )
            assert row["kind"] == kind, row["id"]
            assert (row["tier"] == "A") is (row["id"] in TIER_A), row["id"]

    def test_the_headline_age_repeats_the_inclusion_s(self) -> None:
        assessment = assess(b0())
        headline, inclusion = criterion(assessment, "H2-Age"), criterion(assessment, AGE)
        for key in ("status", "basis", "reasons", "evidence", "likely"):
            assert headline[key] == inclusion[key]

    def test_unknown_has_no_basis_and_a_reason_and_the_rest_has_a_basis(self) -> None:
        for row in assess(b0())["criteria"]:
            assert (row["basis"] is None) is (row["status"] == "unknown"), row["id"]
            assert row["status"] != "unknown" or row["reasons"], row["id"]

    def test_stamp(self) -> None:
        assessment = assess(b0())
        assert assessment["asOf"] == "2026-06-15"
        assert assessment["patient"] == "Patient/pat-1"
        assert assessment["trial"]["id"] == "nct02917681"
        assert {"cql", "elm", "valueSets", "engine"} <= set(assessment["provenance"])
        assert assessment["data"]["Observation"] == {"state": "complete", "count": 15}

    def test_same_input_same_answer(self) -> None:
        assert assess(b0()) == assess(b0())


OVERALL = [
    Case("b0-may-be-eligible", H1, b0(), "met", overall="eligible-pending-review", card=True),
    Case("one-inclusion-failed", "IN03-AlsfrsR", b0(alsfrs=alsfrs(10)), "not-met", overall="excluded"),
    Case(
        "one-exclusion-present",
        "EX13b-Tracheostomy",
        b0(condition(cid10("Z93.0"))),
        "met",
        overall="excluded",
    ),
    Case("no-als-is-a-failed-inclusion", H1, b0(without=["als"]), "not-met", overall="excluded", card=False),
    Case(
        "excluded-although-others-are-unknown",
        "IN04-Fvc",
        minimal(fvc_percent(40)),
        "not-met",
        overall="excluded",
        card=True,
    ),
    Case(
        "excluded-by-attestation",
        "EX04-OtherInterferingDisease",
        b0(attestation({"EX04-OtherInterferingDisease": "yes"})),
        "met",
        overall="excluded",
    ),
    Case(
        "tier-a-unknown",
        "EX10a-Pregnancy",
        b0(who=patient(gender="female", birth_date="1991-11-02")),
        "unknown",
        overall="unknown",
    ),
]

DEATHS = [
    Case("deceased-boolean", AGE, minimal(deceasedBoolean=True), None, overall="not-applicable", card=False),
    Case(
        "deceased-today",
        AGE,
        minimal(deceasedDateTime="2026-06-15"),
        None,
        overall="not-applicable",
        card=False,
    ),
    Case(
        "deceased-this-month",
        AGE,
        minimal(deceasedDateTime="2026-06"),
        None,
        overall="not-applicable",
        card=False,
    ),
    Case(
        "deceased-this-year",
        AGE,
        minimal(deceasedDateTime="2026"),
        None,
        overall="not-applicable",
        card=False,
    ),
    Case("deceased-false-is-alive", AGE, minimal(deceasedBoolean=False), "met", overall="unknown", card=True),
    Case(
        "deceased-and-excluded",
        AGE,
        minimal(alsfrs(10), deceasedBoolean=True),
        None,
        overall="not-applicable",
        card=False,
    ),
]


def in_trial(status: str, nct: str = NCT) -> Resource:
    return minimal(research_study("study-1", nct), research_subject("ResearchStudy/study-1", status))


PARTICIPATION = [
    *[
        Case(f"this-trial-{s}", H1, in_trial(s), "met", card=False)
        for s in (
            "on-study",
            "on-study-intervention",
            "on-study-observation",
            "follow-up",
            "off-study",
            "withdrawn",
            "ineligible",
        )
    ],
    *[
        Case(f"this-trial-{s}", H1, in_trial(s), "met", card=True)
        for s in (
            "candidate",
            "eligible",
            "potential-candidate",
            "screening",
            "not-registered",
            "pending-on-study",
        )
    ],
    Case("another-trial", H1, in_trial("on-study", "NCT00000000"), "met", card=True),
    Case(
        "this-trial-by-the-reference-s-identifier",
        H1,
        minimal(
            {
                "resourceType": "ResearchSubject",
                "status": "on-study",
                "study": {"identifier": {"system": "https://clinicaltrials.gov", "value": NCT}},
            }
        ),
        "met",
        card=False,
    ),
    Case(
        "study-that-does-not-resolve", H1, minimal(research_subject("ResearchStudy/none")), "met", card=True
    ),
]

RETRIEVAL = [
    *[
        Case(
            f"observation-failed-{c}",
            c,
            b0(),
            "unknown",
            ("retrieval-failed",),
            missing=("Observation",),
            overall="unknown",
        )
        for c in OBSERVED
    ],
    Case(
        "condition-failed",
        H1,
        b0(without=["als"]),
        "unknown",
        ("retrieval-failed",),
        missing=("Condition",),
        card=False,
        overall="unknown",
    ),
    Case(
        "condition-failed-and-nothing-there",
        H1,
        bundle(patient()),
        "unknown",
        ("retrieval-failed",),
        missing=("Condition",),
        card=False,
        overall="unknown",
    ),
    Case(
        "procedure-failed",
        "EX13b-Tracheostomy",
        b0(),
        "unknown",
        ("retrieval-failed",),
        missing=("Procedure",),
        overall="unknown",
    ),
    Case(
        "condition-failed-tracheostomy",
        "EX13b-Tracheostomy",
        b0(),
        "unknown",
        ("retrieval-failed",),
        missing=("Condition",),
    ),
    Case(
        "condition-failed-infection",
        "EX08c-Hiv",
        b0(),
        "unknown",
        ("retrieval-failed",),
        missing=("Condition",),
    ),
    Case(
        "excluded-stays-excluded",
        AGE,
        minimal(birth_date="1940-01-01"),
        "not-met",
        missing=("Observation", "Condition", "Procedure"),
        overall="excluded",
    ),
    Case("age-needs-the-patient-only", AGE, b0(), "met", missing=("Observation", "Condition", "Procedure")),
    Case("observation-failed-leaves-als", H1, b0(), "met", missing=("Observation",), card=True),
    Case(
        "pregnancy-of-a-woman",
        "EX10a-Pregnancy",
        woman(),
        "unknown",
        ("retrieval-failed",),
        missing=("Observation",),
        overall="unknown",
    ),
]

SECTIONS = [*OVERALL, *DEATHS, *PARTICIPATION, *RETRIEVAL]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_overall_rule(case: Case) -> None:
    check(case)


def test_all_exclusions_are_listed() -> None:
    record = b0(alsfrs=alsfrs(10), fvc=fvc_percent(30), who=patient(birth_date="1940-01-01"))
    found = verdicts(assess(record))
    assert {c for c, s in found.items() if s == "not-met" and c not in EXCLUSIONS} == {
        "H2-Age",
        AGE,
        "IN03-AlsfrsR",
        "IN04-Fvc",
    }


def test_a_death_in_the_future_is_a_data_error_and_is_ignored() -> None:
    assessment = assess(minimal(deceasedDateTime="2026-07-01"))
    assert assessment["status"] != "not-applicable"
    assert assessment["warnings"]
    assert verdicts(assessment)[AGE] == "met"


def test_participation_is_noted() -> None:
    assessment = assess(in_trial("on-study"))
    assert any("already in, or through, this trial" in note for note in assessment["notes"])
    assert not any("through, this trial" in note for note in assess(in_trial("screening"))["notes"])


def test_missing_types_are_accounted_for() -> None:
    data = assess(b0(), missing=("Observation",))["data"]
    assert data["Observation"]["state"] == "failed"
    assert data["Condition"]["state"] == "complete"


@pytest.mark.parametrize(
    "kind", ["Observation", "Condition", "Procedure", "QuestionnaireResponse", "ResearchSubject"]
)
def test_a_failed_type_never_makes_a_patient_eligible(kind: str) -> None:
    assert assess(b0(), missing=(kind,))["status"] == "unknown"


def test_als_condition_of_a_failed_search_still_found_counts() -> None:
    """A truncated search that did bring the ALS: the evidence stands, and the row says that data are missing."""
    record = bundle(patient(), als())
    row = criterion(assess(record, missing=("Condition",)), H1)
    assert row["status"] == "unknown"
    assert "retrieval-failed" in row["reasons"]
