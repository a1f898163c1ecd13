"""What wasn't got, wasn't offered, or can't be read (§1.2, §2.1): unknown with its reason, never reassurance."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Resource,
    alsfrs_items,
    alt,
    b0,
    bundle,
    cid10,
    condition,
    creatinine,
    fvc_volume,
    height,
    medication_request,
    minimal,
    patient,
    procedure,
    research_subject,
    serology,
    snomed,
    weight,
    woman,
)
from tests.trials.assessing import assess, criterion, verdict

H1 = "H1-Condition"
LFT = "EX06-AstAlt"
TRA = "EX13b-Tracheostomy"
TIER_A_BY_OBSERVATION = (
    "IN02-ElEscorial",
    "IN03-AlsfrsR",
    "IN04-Fvc",
    LFT,
    "EX07-Creatinine",
    "EX08a-HepatitisB",
)


@pytest.mark.parametrize("criterion_id", TIER_A_BY_OBSERVATION)
def test_tier_a_blocks_when_its_type_is_not_offered(criterion_id: str) -> None:
    assessment = assess(minimal(), states={"Observation": "not-offered"})
    row = criterion(assessment, criterion_id)
    assert row["status"] == "unknown"
    assert "not-offered" in row["reasons"]
    assert "retrieval-failed" not in row["reasons"]
    assert assessment["status"] == "unknown"


def test_tier_b_not_offered_is_listed_for_asking() -> None:
    row = criterion(assess(minimal(), states={"Procedure": "not-offered"}), TRA)
    assert (row["status"], row["reasons"]) == ("unknown", ["not-offered"])
    assert any("not available electronically" in note for note in row["notes"])


def test_not_offered_beside_found_evidence_changes_nothing() -> None:
    record = minimal(condition(cid10("Z93.0")))
    assert criterion(assess(record, states={"Procedure": "not-offered"}), TRA)["status"] == "met"


def test_not_offered_conditions_are_no_evidence_of_als() -> None:
    """H1 is unknown, and what found nothing is not called absent; but no chart of that server gets a card."""
    assessment = assess(bundle(patient()), states={"Condition": "not-offered"})
    row = criterion(assessment, H1)
    assert row["status"] == "unknown"
    assert "not-offered" in row["reasons"]
    assert assessment["card"] is False
    assert assessment["status"] == "unknown"


@pytest.mark.parametrize("state", ["failed", "truncated", "refused", "pending"])
@pytest.mark.parametrize("criterion_id", TIER_A_BY_OBSERVATION)
def test_any_other_state_is_a_failed_retrieval(state: str, criterion_id: str) -> None:
    assessment = assess(minimal(), states={"Observation": state})
    assert "retrieval-failed" in criterion(assessment, criterion_id)["reasons"]
    assert assessment["status"] == "unknown"
    assert assessment["warnings"]
    assert assessment["data"]["Observation"]["state"] == state


@pytest.mark.parametrize("state", ["failed", "truncated", "refused", "pending"])
def test_a_negative_pregnancy_test_of_a_partial_search_reassures_nobody(state: str) -> None:
    record = woman(serology("2106-3", "neg", on="2026-06-12"))
    row = criterion(assess(record, states={"Observation": state}), "EX10a-Pregnancy")
    assert row["status"] == "unknown"


class TestBundleThatSaysItIsNotWhole:
    """A `next` link, a `total` above its entries, or an OperationOutcome (design §5)."""

    @staticmethod
    def _status(record: Resource) -> tuple[str, dict[str, Any]]:
        assessment = assess(record)
        return assessment["status"], criterion(assessment, LFT)

    def test_next_link(self) -> None:
        record = {
            **b0(),
            "type": "searchset",
            "link": [{"relation": "next", "url": "https://ehr.example/fhir?page=2"}],
        }
        status, row = self._status(record)
        assert status == "unknown"
        assert row["status"] == "unknown"
        assert "retrieval-failed" in row["reasons"]

    def test_total_above_the_entries(self) -> None:
        record = {**b0(), "type": "searchset", "total": 400}
        assert self._status(record)[1]["status"] == "unknown"

    def test_total_of_the_entries_is_fine(self) -> None:
        record = {**b0(), "type": "searchset"}
        record["total"] = len(record["entry"])
        assert self._status(record)[1]["status"] == "not-met"

    @pytest.mark.parametrize("severity", ["fatal", "error"])
    def test_operation_outcome_with_an_error(self, severity: str) -> None:
        outcome = {"resourceType": "OperationOutcome", "issue": [{"severity": severity, "code": "timeout"}]}
        record = b0()
        record["entry"].append({"resource": outcome, "search": {"mode": "outcome"}})
        assert self._status(record)[1]["status"] == "unknown"

    def test_operation_outcome_with_a_remark_only(self) -> None:
        outcome = {
            "resourceType": "OperationOutcome",
            "issue": [{"severity": "information", "code": "informational"}],
        }
        record = b0()
        record["entry"].append({"resource": outcome, "search": {"mode": "outcome"}})
        assert self._status(record)[1]["status"] == "not-met"


@pytest.mark.parametrize(
    "broken",
    [
        {"status": None},
        {"status": "Final"},
        {"status": 7},
        {"effectiveDateTime": "10/06/2026"},
        {"effectiveDateTime": "2026-13-45"},
        {"effectiveDateTime": 20260610},
    ],
    ids=str,
)
@pytest.mark.parametrize(
    ("criterion_id", "result"),
    [
        (LFT, alt(500, on="2026-06-10")),
        ("EX07-Creatinine", creatinine(9, on="2026-06-10")),
        ("EX08a-HepatitisB", serology("5196-1", "pos", on="2026-06-10")),
    ],
    ids=["alt", "creatinine", "hbsag"],
)
def test_an_abnormal_result_with_a_mistyped_field_is_not_overlooked(
    broken: dict[str, Any], criterion_id: str, result: Resource
) -> None:
    """Missing and mistyped fields give unknown with its reason: an older normal result doesn't clear them."""
    spoiled = {k: v for k, v in {**result, **broken}.items() if v is not None}
    assert verdict(b0(spoiled), criterion_id)["status"] != "not-met"


@pytest.mark.parametrize(
    "broken",
    [
        {"verificationStatus": {"coding": [{"code": "certain"}]}},
        {"verificationStatus": "confirmed"},
        {"clinicalStatus": {"coding": [{"code": "chronic"}]}},
        {"clinicalStatus": 1},
        {"onsetDateTime": "10/06/2026"},
        {"recordedDate": "yesterday"},
    ],
    ids=str,
)
def test_a_condition_with_a_mistyped_field_is_not_overlooked(broken: dict[str, Any]) -> None:
    assert verdict(b0({**condition(cid10("Z93.0")), **broken}), TRA)["status"] != "not-met"


@pytest.mark.parametrize(
    "broken", [{"status": None}, {"status": "Completed"}, {"performedDateTime": "3/2026"}], ids=str
)
def test_a_procedure_with_a_mistyped_field_is_not_overlooked(broken: dict[str, Any]) -> None:
    whole = procedure(snomed("307007002"), on="2026-02-01")
    spoiled = {k: v for k, v in {**whole, **broken}.items() if v is not None}
    assert verdict(b0(spoiled), TRA)["status"] != "not-met"


REFERRING = [
    (
        "Medication",
        "EX09-Immunosuppressant",
        medication_request() | {"medicationReference": {"reference": "Medication/x"}},
    ),
    ("Medication", "EX01-PriorCellTherapy", None),
    ("Medication", "EX14a-SubstanceUse", None),
    ("ResearchStudy", "EX12-OtherTrial", research_subject("ResearchStudy/x")),
    ("ResearchStudy", "EX12-OtherTrial", None),
]


@pytest.mark.parametrize(("kind", "criterion_id", "fact"), REFERRING)
def test_what_only_comes_along_and_did_not_come_blocks(
    kind: str, criterion_id: str, fact: Resource | None
) -> None:
    """Medications and studies have no search of their own; said to be missing, they are missing (§1.2)."""
    assessment = assess(b0(*([fact] if fact else [])), missing=(kind,))
    assert "retrieval-failed" in criterion(assessment, criterion_id)["reasons"]
    assert assessment["status"] == "unknown"


def test_a_server_without_medication_resources_is_no_failure() -> None:
    row = criterion(assess(b0(), states={"Medication": "not-offered"}), "EX09-Immunosuppressant")
    assert (row["status"], row["basis"]) == ("not-met", "no-evidence")


def test_a_drug_known_by_its_brand_alone_is_not_decided_where_no_medication_is_offered() -> None:
    """The display is outside the lexicon (§2.8), and what it stands for is not offered (§1.2)."""
    drug = medication_request() | {"medicationReference": {"reference": "Medication/x", "display": "Imuran"}}
    assessment = assess(b0(drug), states={"Medication": "not-offered"})
    row = criterion(assessment, "EX09-Immunosuppressant")
    assert (row["status"], row["reasons"]) == ("unknown", ["not-offered"])
    assert assessment["status"] == "eligible-pending-review"


def test_a_lost_medication_leaves_open_only_what_reads_drugs() -> None:
    """A supply may be of a drug, too; where there is none, nothing of it is lost."""
    drug = medication_request() | {"medicationReference": {"reference": "Medication/x"}}
    row = criterion(assess(b0(drug), missing=("Medication",)), "EX13b-Tracheostomy")
    assert row["status"] == "not-met"


DERIVED = [
    # What the verdict is computed from, the criterion, and the types that any part of it may have come from.
    ((fvc_volume(3.9), height(175), weight(70)), "IN04-Fvc", ("Observation", "DiagnosticReport")),
    (tuple(alsfrs_items([4] * 12)), "IN03-AlsfrsR", ("Observation", "QuestionnaireResponse")),
]


@pytest.mark.parametrize("state", ["failed", "truncated", "refused"])
@pytest.mark.parametrize(("facts", "criterion_id", "kinds"), DERIVED, ids=["litres", "items"])
def test_what_is_computed_rests_on_all_that_it_may_be_computed_from(
    facts: tuple[Resource, ...], criterion_id: str, kinds: tuple[str, ...], state: str
) -> None:
    """Another height or a newer answer may be in what did not come: the value is a hint, and stands as one."""
    record = minimal(*facts)
    before = verdict(record, criterion_id)
    assert (before["status"], before["basis"]) == ("met", "computed"), before
    for kind in kinds:
        row = verdict(record, criterion_id, states={kind: state})
        assert (row["status"], row["likely"], row["reasons"]) == ("unknown", "met", ["retrieval-failed"])
        assert row["evidence"] == before["evidence"]


@pytest.mark.parametrize("kind", ["Observation", "Condition", "Procedure"])
def test_the_pregnancy_of_a_man_is_settled_by_what_is_known_of_him(kind: str) -> None:
    """Not offered, nothing is asked of him; lost, it is open like every row that reads the type, likely not present."""
    offered = verdict(b0(), "EX10a-Pregnancy", states={kind: "not-offered"})
    assert (offered["status"], offered["basis"]) == ("not-met", "computed")
    lost = verdict(b0(), "EX10a-Pregnancy", states={kind: "failed"})
    assert (lost["status"], lost["likely"], lost["reasons"]) == ("unknown", "not-met", ["retrieval-failed"])
