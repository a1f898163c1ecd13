"""Edge cases of the specification, row by row: H1, H3, IN01, IN02."""

from __future__ import annotations

import pytest

from tests.builders import (
    EL_ESCORIAL,
    TRIAL_OBSERVATIONS,
    als,
    bundle,
    cid10,
    coding,
    condition,
    el_escorial,
    family_member_history,
    icd10cm,
    minimal,
    observation,
    patient,
    snomed,
    value_coded,
    value_text,
)
from tests.trials.assessing import Case, check

H1 = "H1-Condition"
H3 = "H3-Gender"
AGE = "IN01-Age"
EE = "IN02-ElEscorial"
ALS_CM = icd10cm("G12.21", "Amyotrophic lateral sclerosis")
EE_CODE = coding(TRIAL_OBSERVATIONS, "el-escorial-category")

HEADLINE = [
    Case(
        "T-H1-01",
        H1,
        bundle(patient(), condition(snomed("86044005"))),
        "met",
        basis="explicit",
        card=True,
    ),
    Case(
        "T-H1-02",
        H1,
        bundle(patient(), condition(cid10("G12.2"))),
        "unknown",
        ("ambiguous-code",),
        likely="met",
        card=True,
    ),
    Case("T-H1-03", H1, bundle(patient(), condition(cid10("G12.2")), el_escorial("probable")), "met"),
    Case(
        "T-H1-04",
        H1,
        bundle(patient(), condition(ALS_CM, verification="refuted")),
        "not-met",
        card=False,
    ),
    Case(
        "T-H1-05",
        H1,
        bundle(patient(), condition(ALS_CM, verification="differential")),
        "unknown",
        ("unverified-condition",),
        card=True,
    ),
    Case(
        "T-H1-06",
        H1,
        bundle(patient(), condition(text="Esclerose Lateral Amiotrófica")),
        "unknown",
        ("text-only",),
        likely="met",
        card=True,
    ),
    Case("T-H1-07", H1, bundle(patient(), condition(text="ela refere fraqueza")), "not-met", card=False),
    Case("T-H1-08", H1, bundle(patient(), family_member_history(snomed("86044005"))), "not-met", card=False),
    Case(
        "T-H1-09",
        H1,
        bundle(patient(), condition(ALS_CM, clinical="resolved")),
        "unknown",
        ("conflicting-data",),
        card=True,
    ),
    Case(
        "T-H1-10",
        H1,
        bundle(patient(), condition(icd10cm("G12.23", "Primary lateral sclerosis"))),
        "unknown",
        ("ambiguous-code",),
        card=True,
    ),
    Case(
        "T-H1-11",
        H1,
        bundle(patient(), condition(text="Esclerose lateral amiotrófica familiar")),
        "unknown",
        ("text-only",),
        likely="met",
        card=True,
    ),
    Case(
        "T-H1-12",
        H1,
        bundle(patient(), condition(text="Nega esclerose lateral amiotrófica")),
        "unknown",
        ("text-only",),
        likely="not-met",
        card=True,
    ),
    Case(
        "T-H1-13",
        H1,
        bundle(patient(), condition(snomed("900000000000099", "Amyotrophic lateral sclerosis type 99"))),
        "unknown",
        ("text-only",),
        likely="met",
        card=True,
    ),
    Case("T-H3-01", H3, minimal(gender="female"), "met"),
    # "pregnancy question asked": EX10a applies, since the sex is not male.
    Case("T-H3-02", H3, minimal(gender="other"), "met", note=True, others=(("EX10a-Pregnancy", "unknown"),)),
    Case("T-H3-03", H3, minimal(gender=None), "met", note=True),
]

AGES = [
    Case("T-AGE-01", AGE, minimal(birth_date="2008-06-15"), "met", others=(("H2-Age", "met"),)),
    Case(
        "T-AGE-02",
        AGE,
        minimal(birth_date="2008-06-16"),
        "not-met",
        overall="excluded",
        others=(("H2-Age", "not-met"),),
    ),
    Case("T-AGE-03", AGE, minimal(birth_date="1955-06-16"), "met", ("boundary",)),
    Case("T-AGE-04", AGE, minimal(birth_date="1955-06-15"), "not-met"),
    Case("T-AGE-05", AGE, minimal(birth_date="1956-06-15"), "met", no_reasons=("boundary",)),
    Case("T-AGE-06", AGE, minimal(birth_date="2008-02-29"), "not-met", as_of="2026-02-28"),
    Case("T-AGE-07", AGE, minimal(birth_date="2008-02-29"), "met", as_of="2026-03-01"),
    Case("T-AGE-08", AGE, minimal(birth_date="1960"), "met"),
    Case("T-AGE-09", AGE, minimal(birth_date="1955"), "unknown", ("partial-date",)),
    Case("T-AGE-10", AGE, minimal(birth_date="1954"), "not-met"),
    Case("T-AGE-11", AGE, minimal(birth_date=None), "unknown", ("missing-data",)),
    Case(
        "T-AGE-12",
        AGE,
        minimal(deceasedDateTime="2026-01-02"),
        None,
        overall="not-applicable",
        card=False,
    ),
]

EL_ESCORIALS = [
    Case("T-EE-01", EE, minimal(el_escorial("possible", on="2025-11-02")), "met", basis="explicit"),
    Case("T-EE-02", EE, minimal(el_escorial("probable-laboratory-supported")), "met"),
    Case("T-EE-03", EE, minimal(el_escorial("suspected")), "not-met", overall="excluded"),
    Case("T-EE-04", EE, bundle(patient(), condition(ALS_CM)), "unknown", ("missing-data",)),
    # The provisional diagnosis itself is no category: "possible ALS" is another thing.
    Case("T-EE-05", EE, bundle(patient(), als(verification="provisional")), "unknown"),
    Case(
        "T-EE-06",
        EE,
        minimal(
            el_escorial("possible", on="2025-01", id="ee-possible"),
            el_escorial("definite", on="2026-01", status="entered-in-error", id="ee-error"),
        ),
        "met",
        evidence=("ee-possible",),
    ),
    # Read as: an El Escorial Observation whose text is another instrument's category.
    Case("T-EE-07", EE, minimal(observation(EE_CODE, value_text("Gold Coast criteria: ALS"))), "unknown"),
    # "local El Escorial code" is read as the project's Observation code: a site's own code needs the site's
    # ConceptMap, which maps it to this one.
    Case("T-EE-08", EE, minimal(observation(EE_CODE, value_text("Provável"))), "met"),
]

CASES = [*HEADLINE, *AGES, *EL_ESCORIALS]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


def test_gold_coast_category_as_a_code_is_no_el_escorial_category() -> None:
    """T-EE-07 in its coded form: a category of another code system is no El Escorial category."""
    other = coding("https://example.org/gold-coast", "als")
    check(Case("T-EE-07b", EE, minimal(observation(EE_CODE, value_coded(other))), "unknown"))
    own = coding(EL_ESCORIAL, "definite")
    check(Case("T-EE-07c", EE, minimal(observation(EE_CODE, value_coded(own))), "met"))
