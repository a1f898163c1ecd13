"""What couldn't be got never helps: no failed type makes a patient eligible, or turns unknown into not-met."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings

from tests.builders import Resource, b0
from tests.properties.records import records, without_type
from tests.trials.assessing import assess
from tests.trials.criteria import EXCLUSIONS

FEW = settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
KINDS = (
    "Observation",
    "Condition",
    "Procedure",
    "Immunization",
    "QuestionnaireResponse",
    "ServiceRequest",
    "ResearchSubject",
    "Consent",
)


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(record=records())
def test_a_failed_type_reassures_nobody(kind: str, record: Resource) -> None:
    whole = {row["id"]: row for row in assess(record)["criteria"]}
    partial = without_type(record, kind)
    failed = assess(partial, missing=(kind,))
    assert failed["status"] in {"excluded", "unknown", "not-applicable"}
    for row in failed["criteria"]:
        good = "not-met" if row["id"] in EXCLUSIONS else "met"
        if whole[row["id"]]["status"] != good:
            assert row["status"] != good, row


@pytest.mark.parametrize("kind", KINDS)
@FEW
@given(record=records())
def test_a_truncated_type_reassures_nobody(kind: str, record: Resource) -> None:
    """The type's resources that did come are there, but more may exist."""
    whole = {row["id"]: row for row in assess(record)["criteria"]}
    for row in assess(record, missing=(kind,))["criteria"]:
        good = "not-met" if row["id"] in EXCLUSIONS else "met"
        if whole[row["id"]]["status"] != good:
            assert row["status"] != good, row


@pytest.mark.parametrize("kind", KINDS)
def test_a_failed_type_never_yields_a_positive_status(kind: str) -> None:
    assert assess(b0(), missing=(kind,))["status"] == "unknown"


@FEW
@given(record=records())
def test_no_record_is_ever_called_eligible_yet(record: Resource) -> None:
    """While criteria wait for their logic nobody passes silently."""
    assert assess(record)["status"] in {"excluded", "unknown", "not-applicable"}
