"""Edge cases of the specification, row by row: EX10a (pregnancy) and EX13b (tracheostomy)."""

from __future__ import annotations

import pytest

from tests.builders import (
    cid10,
    condition,
    icd10cm,
    lab,
    minimal,
    observation,
    procedure,
    serology,
    snomed,
    value_coded,
    woman,
)
from tests.trials.assessing import Case, check

PRG = "EX10a-Pregnancy"
TRA = "EX13b-Tracheostomy"
URINE_HCG, HCG_UNITS, STATUS = "2106-3", "19080-1", "82810-3"
PREGNANCY = snomed("77386006", "Pregnancy")

PREGNANCIES = [
    Case("T-PRG-01", PRG, woman(serology(URINE_HCG, "neg", on="2026-06-12")), "not-met", basis="explicit"),
    Case("T-PRG-02", PRG, woman(serology(URINE_HCG, "neg", on="2026-06-07")), "unknown", ("stale-data",)),
    Case("T-PRG-03", PRG, woman(), "unknown", ("missing-data",)),
    Case("T-PRG-04", PRG, woman(procedure(snomed("236886002", "Hysterectomy"), on="2019-03-01")), "not-met"),
    Case(
        "T-PRG-05",
        PRG,
        minimal(condition(PREGNANCY, recorded="2026-05-01")),
        "unknown",
        ("conflicting-data",),
    ),
    Case("T-PRG-06", PRG, woman(condition(PREGNANCY, onset="2023")), "unknown"),
    Case(
        "T-PRG-07",
        PRG,
        woman(lab(HCG_UNITS, 12, "[IU]/L", on="2026-06-12"), birth_date="1974-01-01"),
        "unknown",
    ),
    Case(
        "T-PRG-08",
        PRG,
        woman(observation(STATUS, value_coded(snomed("60001007", "Not pregnant")), on="2026-06-14")),
        "not-met",
    ),
    Case("T-PRG-09", PRG, woman(birth_date="1963-01-01"), "not-met"),
    Case(
        "T-PRG-10",
        PRG,
        woman(condition(snomed("169501005", "Pregnant, diaphragm failure"), recorded="2026-05")),
        "met",
        overall="excluded",
        others=(("EX13c-DiaphragmPacing", "not-met"),),
    ),
    Case("T-PRG-11", PRG, woman(condition(icd10cm("Z98.51", "Tubal ligation status"))), "unknown"),
    Case("T-PRG-12", PRG, woman(condition(icd10cm("Z90.712"))), "unknown"),
    Case("T-PRG-13", PRG, woman(condition(icd10cm("O99.03"), recorded="2026-05-10")), "unknown"),
    Case(
        "T-PRG-14",
        PRG,
        woman(
            condition(PREGNANCY, recorded="2026-03-10"),
            condition(cid10("O03", "Spontaneous abortion"), recorded="2026-04-20"),
            serology(URINE_HCG, "neg", on="2026-06-12"),
        ),
        "not-met",
    ),
    Case("T-PRG-15", PRG, woman(condition(cid10("O24.4"), recorded="2026-05-10")), "unknown"),
    Case("T-PRG-16", PRG, woman(condition(icd10cm("Z90.710"))), "not-met"),
]

TRACHEOSTOMIES = [
    Case(
        "T-TRA-01",
        TRA,
        minimal(condition(cid10("Z93.0", "Tracheostomy status"))),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    # No source code of the specification means decannulation, so it is a later Procedure in words.
    Case(
        "T-TRA-02",
        TRA,
        minimal(
            procedure(snomed("307007002", "Percutaneous tracheostomy"), on="2019-02-01"),
            procedure(text="Decanulação de traqueostomia", on="2019-08-20"),
        ),
        "unknown",
    ),
    Case(
        "T-TRA-03",
        TRA,
        minimal(
            procedure(snomed("307007002", "Percutaneous tracheostomy"), status="not-done", on="2026-02-01")
        ),
        "not-met",
        basis="no-evidence",
    ),
]

CASES = [*PREGNANCIES, *TRACHEOSTOMIES]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


def test_pregnancy_evidence_in_a_man_does_not_block() -> None:
    """T-PRG-05: the row is unknown, but with gender male it never blocks (§1.2)."""
    from_records = minimal(condition(PREGNANCY, recorded="2026-05-01"))
    assessment = check(Case("T-PRG-05b", PRG, from_records, "unknown", ("conflicting-data",)))
    assert assessment["status"] != "excluded"
