"""What couldn't be got never helps: no failed type makes a patient eligible, or turns unknown into not-met."""

from __future__ import annotations

import pytest
from hypothesis import given

from cds_service.eligibility.needs import ATTESTATIONS
from cds_service.screening import Screener
from tests.builders import Resource, b0
from tests.properties.records import records, tried, without_type
from tests.trials.assessing import TRIAL, assess
from tests.trials.criteria import EXCLUSIONS, TIER_A

FEW = tried(30)
NEEDS = Screener.load().catalog.get(TRIAL).needs
# Every type that some criterion reads for more than a hint, and the attestations.
KINDS = sorted(frozenset().union(*NEEDS.by_criterion.values(), {ATTESTATIONS}) - {"Patient"})


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
    """The best record there is: without one type its status is unknown, and some row says why."""
    assessment = assess(b0(), missing=(kind,))
    assert assessment["status"] == "unknown"
    assert any("retrieval-failed" in row["reasons"] for row in assessment["criteria"])


@tried(60)
@given(record=records())
def test_what_is_called_eligible_has_nothing_against_it_and_nothing_that_blocks(record: Resource) -> None:
    for bundle in (record, {**record, "entry": [*b0()["entry"], *_own(record)]}):
        assessment = assess(bundle)
        if assessment["status"] != "eligible-pending-review":
            continue
        for row in assessment["criteria"]:
            assert row["status"] != ("met" if row["id"] in EXCLUSIONS else "not-met"), row
            assert not {"retrieval-failed", "not-computed"} & set(row["reasons"]), row
            blocks = row["id"] in TIER_A and not (row["id"] == "EX10a-Pregnancy" and is_man(bundle))
            assert row["status"] != "unknown" or not blocks, row


def _own(record: Resource) -> list[Resource]:
    """The entries of what is said of the patient, under ids of their own."""
    return [e for e in record["entry"] if e["resource"]["resourceType"] != "Patient"]


def is_man(record: Resource) -> bool:
    return bool(record["entry"][0]["resource"].get("gender") == "male")
