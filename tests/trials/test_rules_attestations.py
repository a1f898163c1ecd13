"""What people attest (§1.3): answers, who and when, validity, conflicts with what is computed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    ATTESTATION_ANSWER,
    ATTESTATION_QUESTIONNAIRE,
    Json,
    Resource,
    als,
    alsfrs,
    attestation,
    bundle,
    cid10,
    coding,
    condition,
    creatinine,
    minimal,
    patient,
    questionnaire_response,
    serology,
    snomed,
    woman,
)
from tests.trials.assessing import Case, assess, check, criterion, verdict

H1 = "H1-Condition"
AGE = "IN01-Age"
EE = "IN02-ElEscorial"
FRS = "IN03-AlsfrsR"
FVC = "IN04-Fvc"
AGREEMENT = "IN05-NoPregnancyAgreement"
OTHER = "EX04-OtherInterferingDisease"
LFT = "EX06-AstAlt"
CRE = "EX07-Creatinine"
HBV = "EX08a-HepatitisB"
HCV = "EX08b-HepatitisC"
HIV = "EX08c-Hiv"
PRG = "EX10a-Pregnancy"
TRA = "EX13b-Tracheostomy"
YES = coding(ATTESTATION_ANSWER, "yes")
NO = coding(ATTESTATION_ANSWER, "no")


def answered(criterion_id: str, answer: str, *facts: Any, about: Any = None, **how: Any) -> Resource:
    return minimal(*facts, attestation({criterion_id: answer}, **how), **(about or {}))


def raw(item: Json, *facts: Any, **how: Any) -> Resource:
    return minimal(*facts, questionnaire_response([item], **how))


ANSWERS = [
    Case("yes-inclusion", AGREEMENT, answered(AGREEMENT, "yes"), "met", basis="attested"),
    Case("no-inclusion", AGREEMENT, answered(AGREEMENT, "no"), "not-met", basis="attested"),
    Case("unsure", AGREEMENT, answered(AGREEMENT, "unsure"), "unknown", ("needs-clinician",)),
    Case("yes-exclusion", OTHER, answered(OTHER, "yes"), "met", basis="attested", overall="excluded"),
    Case("no-exclusion", OTHER, answered(OTHER, "no"), "not-met", basis="attested"),
    Case("unsure-exclusion", OTHER, answered(OTHER, "unsure"), "unknown", ("needs-clinician",)),
    Case("no-replaces-no-evidence", TRA, answered(TRA, "no"), "not-met", basis="attested"),
    Case("yes-replaces-no-evidence", TRA, answered(TRA, "yes"), "met", basis="attested", overall="excluded"),
    Case("unsure-replaces-no-evidence", TRA, answered(TRA, "unsure"), "unknown", ("needs-clinician",)),
    Case("missing-results-are-resolved", CRE, answered(CRE, "no"), "not-met", basis="attested"),
    Case("missing-serology-is-resolved", HCV, answered(HCV, "no"), "not-met", basis="attested"),
    Case("missing-category-is-resolved", EE, answered(EE, "yes"), "met", basis="attested"),
    Case(
        "stale-total-is-resolved",
        FRS,
        answered(FRS, "yes", alsfrs(41, on="2026-04-01")),
        "met",
        basis="attested",
    ),
    Case(
        "age-is-repeated-in-the-headline",
        AGE,
        answered(AGE, "yes", about={"birth_date": None}),
        "met",
        basis="attested",
        others=(("H2-Age", "met"),),
    ),
    Case(
        "broader-code-is-resolved",
        H1,
        bundle(patient(), condition(cid10("G12.2")), attestation({H1: "yes"}, on="2026-06-01")),
        "met",
        basis="attested",
    ),
    Case(
        "broader-code-is-no-als",
        H1,
        bundle(patient(), condition(cid10("G12.2")), attestation({H1: "no"}, on="2026-06-01")),
        "not-met",
        basis="attested",
    ),
]

ENVELOPE = [
    Case("status-amended", AGREEMENT, answered(AGREEMENT, "yes", status="amended"), "met"),
    *[
        Case(f"status-{s}", AGREEMENT, answered(AGREEMENT, "yes", status=s), "unknown", ("needs-clinician",))
        for s in ("in-progress", "entered-in-error", "stopped")
    ],
    Case(
        "author-practitioner-role", AGREEMENT, answered(AGREEMENT, "yes", author="PractitionerRole/x"), "met"
    ),
    Case(
        "author-by-absolute-url",
        AGREEMENT,
        answered(AGREEMENT, "yes", author="https://ehr.example/fhir/Practitioner/x"),
        "met",
    ),
    *[
        Case(f"author-{a}", AGREEMENT, answered(AGREEMENT, "yes", author=a), "unknown", ("ambiguous-code",))
        for a in ("Patient/pat-1", "RelatedPerson/x", "Device/x", None)
    ],
    Case(
        "canonical-with-version",
        AGREEMENT,
        answered(AGREEMENT, "yes", questionnaire=f"{ATTESTATION_QUESTIONNAIRE}|2.0"),
        "met",
    ),
    Case(
        "another-questionnaire",
        AGREEMENT,
        answered(AGREEMENT, "yes", questionnaire="https://example.org/Questionnaire/q"),
        "unknown",
        ("needs-clinician",),
    ),
    Case("authored-tomorrow", AGREEMENT, answered(AGREEMENT, "yes", on="2026-06-16"), "unknown"),
    Case("authored-today", AGREEMENT, answered(AGREEMENT, "yes", on="2026-06-15T23:00:00-03:00"), "met"),
    Case(
        "authored-tomorrow-in-utc-but-today-here",
        AGREEMENT,
        answered(AGREEMENT, "yes", on="2026-06-16T01:00:00Z"),
        "met",
    ),
    Case(
        "authored-31-days-ago-here",
        AGREEMENT,
        answered(AGREEMENT, "yes", on="2026-05-16T02:00:00Z"),
        "unknown",
        ("stale-data",),
    ),
    Case(
        "item-in-a-group",
        AGREEMENT,
        raw({"linkId": "inclusion", "item": [{"linkId": AGREEMENT, "answer": [{"valueCoding": YES}]}]}),
        "met",
    ),
    Case(
        "item-below-an-answer",
        AGREEMENT,
        raw(
            {
                "linkId": "start",
                "answer": [
                    {
                        "valueBoolean": True,
                        "item": [{"linkId": AGREEMENT, "answer": [{"valueCoding": YES}]}],
                    }
                ],
            }
        ),
        "met",
    ),
    # linkId is the full criterion id; anything else answers nothing.
    Case(
        "short-link-id",
        AGREEMENT,
        raw({"linkId": "IN05", "answer": [{"valueCoding": YES}]}),
        "unknown",
        ("needs-clinician",),
    ),
]

SHAPES = [
    Case(
        f"shape-{name}",
        AGREEMENT,
        raw({"linkId": AGREEMENT, "answer": answers}),
        "unknown",
        ("ambiguous-code",),
    )
    for name, answers in (
        ("boolean", [{"valueBoolean": True}]),
        ("string", [{"valueString": "yes"}]),
        ("another-system", [{"valueCoding": coding("http://snomed.info/sct", "373066001")}]),
        ("no-system", [{"valueCoding": {"code": "yes"}}]),
        ("another-code", [{"valueCoding": coding(ATTESTATION_ANSWER, "maybe")}]),
        ("two-answers", [{"valueCoding": YES}, {"valueCoding": NO}]),
    )
] + [
    # A malformed answer doesn't touch what was computed explicitly.
    Case(
        "shape-beside-explicit",
        FRS,
        raw({"linkId": FRS, "answer": [{"valueBoolean": False}]}, alsfrs(38)),
        "met",
        basis="explicit",
    ),
    Case(
        "author-beside-explicit",
        FRS,
        answered(FRS, "no", alsfrs(38), author="Patient/pat-1"),
        "met",
        basis="explicit",
    ),
    Case(
        "shape-beside-no-evidence",
        TRA,
        raw({"linkId": TRA, "answer": [{"valueBoolean": False}]}),
        "unknown",
        ("ambiguous-code",),
    ),
]


def two(first: dict[str, Any], second: dict[str, Any]) -> Resource:
    return minimal(
        attestation({AGREEMENT: "no"}, **first, id="qr-1"),
        attestation({AGREEMENT: "yes"}, **second, id="qr-2"),
    )


LATEST = [
    Case("latest-authored", AGREEMENT, two({"on": "2026-06-01"}, {"on": "2026-06-02"}), "met"),
    Case(
        "latest-authored-the-other-way", AGREEMENT, two({"on": "2026-06-03"}, {"on": "2026-06-02"}), "not-met"
    ),
    Case(
        "latest-authored-across-offsets",
        AGREEMENT,
        two({"on": "2026-06-02T12:00:00Z"}, {"on": "2026-06-02T10:00:00-03:00"}),
        "met",
    ),
    Case(
        "latest-updated",
        AGREEMENT,
        two(
            {"on": "2026-06-02T10:00:00Z", "meta": {"lastUpdated": "2026-06-02T10:00:00Z"}},
            {"on": "2026-06-02T10:00:00Z", "meta": {"lastUpdated": "2026-06-02T11:00:00Z"}},
        ),
        "met",
    ),
    Case(
        "later-than-screening-is-not-the-latest",
        AGREEMENT,
        two({"on": "2026-06-01"}, {"on": "2026-06-20"}),
        "not-met",
    ),
]


def woman_attested(on: str) -> Resource:
    return woman(attestation({PRG: "no"}, on=on))


VALIDITY = [
    Case("30-days", AGREEMENT, answered(AGREEMENT, "yes", on="2026-05-16"), "met"),
    Case("31-days", AGREEMENT, answered(AGREEMENT, "yes", on="2026-05-15"), "unknown", ("stale-data",)),
    Case("ex10a-7-days", PRG, woman_attested("2026-06-08"), "not-met"),
    Case("ex10a-8-days", PRG, woman_attested("2026-06-07"), "unknown", ("stale-data",)),
    *[
        case
        for criterion_id, answer, status, last, expired in (
            (FRS, "yes", "met", "2026-05-16", "2026-05-15"),
            (LFT, "no", "not-met", "2026-05-16", "2026-05-15"),
            (CRE, "no", "not-met", "2026-05-16", "2026-05-15"),
            (FVC, "yes", "met", "2026-03-17", "2026-03-16"),
            (HBV, "no", "not-met", "2026-03-17", "2026-03-16"),
            ("EX08e-Syphilis", "no", "not-met", "2026-03-17", "2026-03-16"),
            (TRA, "no", "not-met", "2026-05-16", None),
            ("EX02-CannotLieStill", "no", "not-met", "2026-05-16", "2026-05-15"),
        )
        for case in (
            Case(
                f"last-day-{criterion_id}",
                criterion_id,
                answered(criterion_id, answer, on=last),
                status,
                basis="attested",
            ),
            *(
                [
                    Case(
                        f"expired-{criterion_id}",
                        criterion_id,
                        answered(criterion_id, answer, on=expired),
                        "unknown",
                        ("stale-data",),
                    )
                ]
                if expired
                else []
            ),
        )
    ],
    # Expired counts as absent: the search found nothing, so the row is back at no-evidence.
    Case("expired-beside-no-evidence", TRA, answered(TRA, "yes", on="2026-05-15"), "not-met"),
    Case("unlimited-in02", EE, answered(EE, "yes", on="2019-01-01"), "met", basis="attested"),
    Case(
        "unlimited-h1",
        H1,
        bundle(patient(), condition(cid10("G12.2")), attestation({H1: "yes"}, on="2019-01-01")),
        "met",
        basis="attested",
    ),
    Case(
        "older-than-the-newest-evidence",
        H1,
        bundle(
            patient(),
            condition(cid10("G12.2"), recorded="2026-05-20"),
            attestation({H1: "yes"}, on="2026-05-01"),
        ),
        "unknown",
        ("ambiguous-code", "stale-data"),
    ),
    Case(
        "newer-than-the-newest-evidence",
        H1,
        bundle(
            patient(),
            condition(cid10("G12.2"), recorded="2026-05-20"),
            attestation({H1: "yes"}, on="2026-05-21"),
        ),
        "met",
    ),
]

CONFLICTS = [
    Case("explicit-met-against-no", FRS, answered(FRS, "no", alsfrs(38)), "unknown", ("conflicting-data",)),
    Case(
        "explicit-not-met-against-yes",
        FRS,
        answered(FRS, "yes", alsfrs(20)),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "excluding-evidence-against-no",
        TRA,
        answered(TRA, "no", condition(cid10("Z93.0"))),
        "unknown",
        ("conflicting-data",),
    ),
    Case("laboratory-against-no", CRE, answered(CRE, "no", creatinine(5)), "unknown", ("conflicting-data",)),
    Case("agreement-stays-explicit", FRS, answered(FRS, "yes", alsfrs(38)), "met", basis="explicit"),
    Case("explicit-against-unsure", FRS, answered(FRS, "unsure", alsfrs(38)), "met", basis="explicit"),
    Case(
        "conflicting-data-is-not-resolved",
        H1,
        bundle(patient(), als(clinical="resolved"), attestation({H1: "yes"})),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "conflicting-results-are-not-resolved",
        FRS,
        answered(FRS, "yes", alsfrs(38, on="2026-06-01"), alsfrs(20, on="2026-06-01")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "positive-screen-is-not-resolved",
        HIV,
        answered(HIV, "no", serology("56888-1", "reactive")),
        "unknown",
    ),
    Case("weak-screen-is-not-resolved", HIV, answered(HIV, "no", serology("56888-1", "weak")), "unknown"),
    Case("indeterminate-is-not-resolved", HBV, answered(HBV, "no", serology("5196-1", "ind")), "unknown"),
    Case(
        "positive-antibody-is-not-resolved", HCV, answered(HCV, "no", serology("13955-0", "pos")), "unknown"
    ),
    Case(
        "preliminary-is-not-resolved",
        CRE,
        answered(CRE, "no", creatinine(0.7, status="preliminary")),
        "unknown",
        ("preliminary-only",),
    ),
]

SECTIONS = [*ANSWERS, *ENVELOPE, *SHAPES, *LATEST, *VALIDITY, *CONFLICTS]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: c.id)
def test_attestation_rule(case: Case) -> None:
    check(case)


@pytest.mark.parametrize(
    "item",
    [
        {"linkId": AGREEMENT, "answer": [{"valueBoolean": True}]},
        {"linkId": AGREEMENT, "answer": [{"valueCoding": {"system": "urn:x", "code": "yes"}}]},
    ],
)
def test_an_answer_of_another_shape_is_warned_of(item: Json) -> None:
    assert assess(raw(item))["warnings"]


def test_an_answer_by_another_author_is_warned_of() -> None:
    assert assess(answered(AGREEMENT, "yes", author="Patient/pat-1"))["warnings"]


def test_gender_is_not_asked() -> None:
    """H3 is always met, whatever is attested."""
    check(Case("h3", "H3-Gender", answered("H3-Gender", "no"), "met"))


def test_the_attestation_is_the_evidence() -> None:
    row = verdict(answered(AGREEMENT, "yes", id="qr-1"), AGREEMENT)
    assert [e["reference"] for e in row["evidence"]] == ["QuestionnaireResponse/qr-1"]
    assert row["evidence"][0]["date"].startswith("2026-06-10")


def test_another_patient_s_answers_do_not_count() -> None:
    record = answered(AGREEMENT, "yes", subject={"reference": "Patient/other"})
    assert criterion(assess(record), AGREEMENT)["status"] == "unknown"


def test_snomed_answer_is_not_taken_for_yes() -> None:
    item = {"linkId": TRA, "answer": [{"valueCoding": snomed("373066001", "Yes")}]}
    check(Case("snomed", TRA, raw(item), "unknown", ("ambiguous-code",)))
