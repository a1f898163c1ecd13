"""Edge cases of the specification, row by row: EX12 (other trials) and EX10b (breast-feeding)."""

from __future__ import annotations

import pytest

from tests.builders import (
    NCT,
    Json,
    Resource,
    cid10,
    condition,
    icd10cm,
    minimal,
    research_study,
    research_subject,
    snomed,
    woman,
)
from tests.trials.assessing import Case, check

TRI = "EX12-OtherTrial"
BF = "EX10b-Breastfeeding"
OTHER = "NCT03280056"


def in_study(status: str = "on-study", nct: str = OTHER, title: str = "A study", **subject: Json) -> Resource:
    return minimal(
        research_study("study-1", nct, title), research_subject("ResearchStudy/study-1", status, **subject)
    )


TRIALS = [
    Case("T-TRI-01", TRI, in_study(), "met", basis="explicit", overall="excluded", evidence=("study-1",)),
    Case("T-TRI-02", TRI, in_study("withdrawn"), "not-met"),
    Case("T-TRI-03", TRI, in_study("screening"), "unknown"),
    Case("T-TRI-04", TRI, in_study(nct=NCT), "not-met", card=False),
    Case("T-TRI-05", TRI, in_study(title="Brazilian ALS Registry"), "unknown", ("boundary",)),
    Case("T-TRI-06", TRI, in_study(period={"start": "2024-03-01", "end": "2025-12-31"}), "not-met"),
    Case(
        "T-TRI-07",
        TRI,
        minimal(research_subject("ResearchStudy/elsewhere")),
        "unknown",
        ("ambiguous-code",),
        no_reasons=("retrieval-failed",),
    ),
]

FEEDING = [
    Case(
        "T-BF-01",
        BF,
        woman(condition(snomed("866041003", "Mother currently breastfeeding"), recorded="2026-05")),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case("T-BF-02", BF, woman(condition(icd10cm("Z39.1"), recorded="2024")), "not-met"),
    Case("T-BF-03", BF, woman(condition(cid10("O80"), onset="2026-02")), "unknown"),
    Case(
        "T-BF-04",
        BF,
        woman(condition(snomed("169643005", "Feeding intention - breast"), recorded="2026-05-01")),
        "not-met",
        basis="no-evidence",
    ),
    Case("T-BF-05", BF, minimal(), "not-met", basis="computed"),
]

CASES = [*TRIALS, *FEEDING]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)
