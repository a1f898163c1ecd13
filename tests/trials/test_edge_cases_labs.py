"""Edge cases of the specification, row by row: EX06 (AST, ALT) and EX07 (creatinine)."""

from __future__ import annotations

import pytest

from tests.builders import (
    alt,
    ast,
    creatinine,
    lab,
    minimal,
    observation,
    reference_range,
    value_text,
    woman,
)
from tests.trials.assessing import Case, check

LFT = "EX06-AstAlt"
CRE = "EX07-Creatinine"
DAY = "2026-06-01"
AST_OK = ast(20, high=40)

LIVER = [
    Case("T-LFT-01", LFT, minimal(alt(120.0, high=40), ast(30, high=40)), "not-met", basis="explicit"),
    Case("T-LFT-02", LFT, minimal(alt(120.1, high=40), AST_OK), "met", basis="explicit", overall="excluded"),
    Case("T-LFT-03", LFT, minimal(alt(45, high=41)), "unknown", ("missing-data",)),
    Case("T-LFT-04", LFT, minimal(alt(150, high=40)), "met"),
    Case("T-LFT-05", LFT, minimal(ast(2.5, unit="ukat/L", high=0.60), alt(28)), "met"),
    Case(
        "T-LFT-06",
        LFT,
        minimal(
            alt(2.0, unit="ukat/L", high=None, ranges=[reference_range(text="10–40 U/L")]), ast(25, high=40)
        ),
        "not-met",
    ),
    Case("T-LFT-07", LFT, minimal(alt(1000, comparator=">", high=40)), "met"),
    Case("T-LFT-08", LFT, minimal(alt(5, comparator="<", high=40), AST_OK), "not-met"),
    Case("T-LFT-09", LFT, woman(alt(110, high=None), AST_OK), "unknown", ("no-reference-range",)),
    Case("T-LFT-10", LFT, woman(alt(70, high=None), AST_OK), "not-met"),
    Case("T-LFT-11", LFT, minimal(alt(200, high=None)), "met"),
    Case("T-LFT-12", LFT, minimal(alt(130, high=40, on="2026-05-01"), alt(60, high=40), AST_OK), "not-met"),
    Case("T-LFT-13", LFT, minimal(alt(60, status="preliminary"), AST_OK), "unknown", ("preliminary-only",)),
    Case("T-LFT-14", LFT, minimal(alt(1.4, unit="mg/dL", high=None), AST_OK), "unknown", ("unit-mismatch",)),
    Case("T-LFT-15", LFT, minimal(alt(500, status="entered-in-error"), alt(22), AST_OK), "not-met"),
    Case("T-LFT-16", LFT, minimal(alt(22, on="2026-06-20"), AST_OK), "unknown", ("future-dated",)),
    Case("T-LFT-17", LFT, minimal(alt(90, high=None, interpretation_code="N"), ast(30, high=40)), "not-met"),
    Case(
        "T-LFT-18",
        LFT,
        minimal(
            observation("1742-6", value_text("45 UI/L"), on=DAY, ranges=[reference_range(text="até 41 U/L")]),
            AST_OK,
        ),
        "not-met",
    ),
    Case(
        "T-LFT-19",
        LFT,
        minimal(
            observation(
                "1742-6", value_text("1.250 U/L"), on=DAY, ranges=[reference_range(high=40, unit="U/L")]
            ),
            AST_OK,
        ),
        "unknown",
        ("text-only",),
    ),
]

KIDNEY = [
    Case("T-CRE-01", CRE, minimal(creatinine(2.4)), "not-met", basis="explicit"),
    Case("T-CRE-02", CRE, minimal(creatinine(2.41)), "met", overall="excluded"),
    Case("T-CRE-03", CRE, minimal(lab("14682-9", 212.2, "umol/L", high=106)), "met"),
    Case("T-CRE-04", CRE, minimal(lab("14682-9", 80, "umol/L")), "not-met"),
    Case("T-CRE-05", CRE, minimal(creatinine(2.5, high=None)), "unknown", ("no-reference-range",)),
    Case("T-CRE-06", CRE, minimal(creatinine(88)), "unknown", ("implausible-value",)),
    Case("T-CRE-07", CRE, minimal(lab("2161-8", 150, "mg/dL")), "unknown", ("missing-data",)),
    Case("T-CRE-08", CRE, minimal(lab("33914-3", 25, "mL/min/{1.73_m2}")), "unknown", ("missing-data",)),
    Case("T-CRE-09", CRE, minimal(creatinine(0.3, comparator="<")), "not-met"),
    Case("T-CRE-10", CRE, minimal(creatinine(0.6, on="2026-05-15")), "unknown", ("stale-data",)),
    Case(
        "T-CRE-11",
        CRE,
        minimal(
            observation(
                "2160-0",
                value_text("1,20 mg/dL"),
                on=DAY,
                ranges=[reference_range(text="0,70 a 1,20 mg/dL")],
            )
        ),
        "not-met",
    ),
]

CASES = [*LIVER, *KIDNEY]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    assessment = check(case)
    if case.id == "T-CRE-08":
        # "+ EX04 hint": a glomerular filtration rate this low interferes, so the row says so.
        row = next(r for r in assessment["criteria"] if r["id"] == "EX04-OtherInterferingDisease")
        assert row["notes"], row
