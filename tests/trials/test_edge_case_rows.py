"""All 325 edge cases of the specification stand somewhere: tested, or pending with their criterion.

`edge_cases.csv` is the specification's table. A pending criterion is checked to stand as
unknown(not-computed) on records full of evidence for it, so that nothing passes silently.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from cds_service.eligibility.verdict import REASONS
from tests.builders import b0
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
from tests.trials.assessing import Case, assess, criterion
from tests.trials.criteria import CRITERIA, PENDING
from tests.trials.make_vignettes import Vignette, vignettes

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
PENDING_ROWS = [row["test_id"] for row in ROWS if row["criterion_id"] in PENDING]
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


def test_every_row_is_tested_once_or_pending() -> None:
    tested = Counter(case.id for case in CASES)
    assert [i for i, n in tested.items() if n > 1] == []
    expected = {row["test_id"] for row in ROWS}
    assert set(tested) | set(PENDING_ROWS) == expected
    assert set(tested).isdisjoint(PENDING_ROWS)


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


_EVIDENT = [v for v in vignettes() if v.evaluated]


@pytest.mark.parametrize("vignette", _EVIDENT, ids=lambda v: v.id)
def test_pending_criteria_stand_as_not_computed(vignette: Vignette) -> None:
    assessment: dict[str, Any] = assess(vignette.bundle)
    for criterion_id in sorted(PENDING):
        row = criterion(assessment, criterion_id)
        assert row["status"] == "unknown", criterion_id
        assert row["reasons"] == ["not-computed"], criterion_id
        assert row["basis"] is None
    assert assessment["status"] in {"excluded", "unknown"}


@cache
def _of_the_base_record() -> dict[str, Any]:
    return assess(b0())


@pytest.mark.parametrize("test_id", PENDING_ROWS)
def test_pending_row_waits_for_its_criterion(test_id: str) -> None:
    """The row's criterion says openly that it isn't computed; once it is, the row needs its own case."""
    (row,) = [row for row in ROWS if row["test_id"] == test_id]
    found = criterion(_of_the_base_record(), row["criterion_id"])
    assert (found["status"], found["reasons"]) == ("unknown", ["not-computed"])
