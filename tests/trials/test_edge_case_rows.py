"""All 325 edge cases of the specification are tested, each once, with what its row expects.

`edge_cases.csv` is the specification's table.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from cds_service.eligibility.verdict import REASONS
from tests.trials import (
    test_edge_cases_diseases,
    test_edge_cases_function,
    test_edge_cases_headline,
    test_edge_cases_history,
    test_edge_cases_infections,
    test_edge_cases_labs,
    test_edge_cases_medications,
    test_edge_cases_participation,
    test_edge_cases_people,
    test_edge_cases_pregnancy,
    test_edge_cases_support,
)
from tests.trials.assessing import Case
from tests.trials.criteria import CRITERIA

MODULES = (
    test_edge_cases_headline,
    test_edge_cases_function,
    test_edge_cases_participation,
    test_edge_cases_people,
    test_edge_cases_labs,
    test_edge_cases_infections,
    test_edge_cases_pregnancy,
    test_edge_cases_medications,
    test_edge_cases_history,
    test_edge_cases_diseases,
    test_edge_cases_support,
)
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
TABLE = (Path(__file__).parent / "edge_cases.csv").read_text(encoding="utf-8")
ROWS = list(csv.DictReader(TABLE.splitlines()))
# Words of the specification's table that abbreviate a reason, or say a verdict in other words.
_REASON_WORDS = {"stale": "stale-data", "conflicting": "conflicting-data"} | {r: r for r in REASONS}
_STATUS_WORDS = {
    "T-AGE-12": None,  # overall not-applicable, without verdicts
    "T-HBV-06": "unknown",  # "not evidence": as without it
    "T-HBV-09": "not-met",  # "negative"
    "T-HCV-05": "not-met",  # "negative"
    "T-HIV-04": "unknown",  # "not evidence"
    "T-PRG-10": "met",  # "EX10a met (and EX13c not-met)"
}


def test_the_table_is_whole() -> None:
    assert len(ROWS) == 325
    assert {row["criterion_id"] for row in ROWS} <= set(CRITERIA)


def test_every_row_is_tested_once() -> None:
    assert Counter(case.id for case in CASES) == Counter(row["test_id"] for row in ROWS)


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_expectation_is_the_table_s(case: Case) -> None:
    """The case expects what the specification's row says: criterion, verdict, reasons, hint."""
    (row,) = [row for row in ROWS if row["test_id"] == case.id]
    expected = row["expected"]
    assert case.criterion == row["criterion_id"]
    status = re.match(r"not-met|met|unknown", expected)
    wanted = _STATUS_WORDS[case.id] if case.id in _STATUS_WORDS else status and status.group()
    assert case.status == wanted
    bracketed = re.findall(r"unknown\(([a-z-]+)\)", expected)
    assert {_REASON_WORDS[word] for word in bracketed if word in _REASON_WORDS} <= set(case.reasons)
    likely = re.search(r"likely (met|not-met)", expected)
    if likely:
        assert case.likely == likely.group(1)
    if "no card" in expected:
        assert case.card is False
