"""Edge cases of the specification, row by row: EX09 (immunosuppressants)."""

from __future__ import annotations

import pytest

from tests.builders import (
    allergy,
    atc,
    medication_administration,
    medication_request,
    medication_statement,
    minimal,
    quantity,
    rxnorm,
)
from tests.trials.assessing import Case, check

IMM = "EX09-Immunosuppressant"
AZATHIOPRINE = rxnorm("1256", "azathioprine")
TACROLIMUS = rxnorm("42316", "tacrolimus")
FORTY_A_DAY = {
    "timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}},
    "doseAndRate": [{"doseQuantity": quantity(40, "mg")}],
}

CASES = [
    Case(
        "T-IMM-01",
        IMM,
        minimal(medication_statement(AZATHIOPRINE, status="stopped", start="2025-02-01", end="2026-05-04")),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case(
        "T-IMM-02",
        IMM,
        minimal(medication_statement(AZATHIOPRINE, status="stopped", start="2025-02-01", end="2026-05-03")),
        "not-met",
        note="43 days",
    ),
    Case("T-IMM-03", IMM, minimal(medication_request(rxnorm("6851", "methotrexate"))), "met"),
    Case(
        "T-IMM-04",
        IMM,
        minimal(medication_request(rxnorm("6851", "methotrexate"), status="cancelled")),
        "not-met",
        basis="no-evidence",
    ),
    Case(
        "T-IMM-05",
        IMM,
        minimal(medication_request(TACROLIMUS, text="Tacrolimus 0.1 % ointment")),
        "not-met",
    ),
    Case(
        "T-IMM-06",
        IMM,
        minimal(
            medication_statement(
                rxnorm("8640", "prednisone"),
                status="completed",
                start="2026-05-10",
                end="2026-05-30",
                dosage=[FORTY_A_DAY],
            )
        ),
        "unknown",
        ("needs-clinician",),
        likely="met",
    ),
    Case(
        "T-IMM-07", IMM, minimal(medication_request(rxnorm("41126"), text="Fluticasone inhaler")), "not-met"
    ),
    Case("T-IMM-08", IMM, minimal(medication_statement(AZATHIOPRINE, status="not-taken")), "not-met"),
    Case(
        "T-IMM-09",
        IMM,
        minimal(medication_administration(rxnorm("121191", "rituximab"), on="2026-03-01")),
        "not-met",
        note="biological effect",
    ),
    Case("T-IMM-10", IMM, minimal(medication_request(rxnorm("35623", "riluzole"))), "not-met"),
    Case("T-IMM-11", IMM, minimal(medication_request(TACROLIMUS, intent="proposal")), "not-met"),
    Case(
        "T-IMM-12",
        IMM,
        minimal(medication_request(AZATHIOPRINE, status="completed", authored="2026-03-20")),
        "unknown",
        ("partial-date",),
    ),
    Case("T-IMM-13", IMM, minimal(allergy(AZATHIOPRINE)), "not-met"),
    Case("T-IMM-14", IMM, minimal(medication_request(text="Azatioprina 50 mg")), "unknown", ("text-only",)),
    Case("T-IMM-15", IMM, minimal(medication_request(text="Dipirona 500 mg")), "not-met"),
    Case("T-IMM-16", IMM, minimal(medication_request(atc("L01EJ01", "ruxolitinib"))), "met"),
    Case(
        "T-IMM-17",
        IMM,
        minimal(
            medication_request(AZATHIOPRINE),
            medication_statement(AZATHIOPRINE, status="stopped", end="2026-05-01"),
        ),
        "unknown",
        ("conflicting-data",),
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)
