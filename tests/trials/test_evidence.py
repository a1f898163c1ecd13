"""What a verdict shows (§1.1, §1.4): every resource that it rests on, with value, date and status."""

from __future__ import annotations

import pytest

from tests.builders import (
    CVX,
    Resource,
    alsfrs,
    alsfrs_items,
    alt,
    ast,
    attestation,
    b0,
    cid10,
    coding,
    condition,
    device,
    fvc_volume,
    height,
    immunization,
    medication,
    medication_request,
    minimal,
    procedure,
    rxnorm,
    serology,
    snomed,
    supply_delivery,
    weight,
    woman,
)
from tests.trials.assessing import assess, criterion, verdict

HBV = "EX08a-HepatitisB"
PRG = "EX10a-Pregnancy"

CONTRADICTIONS: list[tuple[str, Resource, str, set[str]]] = [
    (
        "hbsag-of-one-instant",
        minimal(serology("5196-1", "pos", id="pos"), serology("5196-1", "neg", id="neg")),
        HBV,
        {"pos", "neg"},
    ),
    (
        "hbsag-superseded",
        minimal(serology("5196-1", "pos", on="2024-02-01", id="pos"), serology("5196-1", "neg", id="neg")),
        HBV,
        {"pos", "neg"},
    ),
    (
        "dna-of-one-instant",
        minimal(
            serology("29610-3", "pos", id="pos"),
            serology("29610-3", "neg", id="neg"),
            serology("5196-1", "neg"),
            serology("13952-7", "neg"),
        ),
        HBV,
        {"pos", "neg"},
    ),
    (
        "vaccine-antigenaemia",
        minimal(
            serology("5196-1", "pos", id="pos"),
            immunization(coding(CVX, "43"), on="2026-05-20") | {"id": "vaccine"},
        ),
        HBV,
        {"pos", "vaccine"},
    ),
    (
        "pregnant-without-uterus",
        woman(
            serology("2106-3", "pos", on="2026-06-01", id="pos"),
            procedure(snomed("236886002"), on="2019-01-01", id="hysterectomy"),
        ),
        PRG,
        {"pos", "hysterectomy"},
    ),
    (
        "total-against-items",
        minimal(
            alsfrs(34, on="2026-06-10", id="total"),
            [item | {"id": f"item-{n}"} for n, item in enumerate(alsfrs_items([2] * 12))],
        ),
        "IN03-AlsfrsR",
        {"total", "item-0", "item-11"},
    ),
    (
        "attested-against-coded",
        minimal(
            condition(cid10("Z93.0"), id="stoma"), attestation({"EX13b-Tracheostomy": "no"}, id="answer")
        ),
        "EX13b-Tracheostomy",
        {"stoma", "answer"},
    ),
]


def shown(record: Resource, criterion_id: str) -> set[str]:
    return {item["reference"].rpartition("/")[2] for item in verdict(record, criterion_id)["evidence"]}


@pytest.mark.parametrize(
    ("record", "criterion_id", "expected"),
    [c[1:] for c in CONTRADICTIONS],
    ids=[c[0] for c in CONTRADICTIONS],
)
def test_both_sides_of_a_contradiction_are_shown(
    record: Resource, criterion_id: str, expected: set[str]
) -> None:
    assert verdict(record, criterion_id)["status"] == "unknown"
    assert expected <= shown(record, criterion_id)


def test_a_superseding_negative_test_is_shown() -> None:
    """Without uterus, tested positive, then negative: the negative test is what keeps this from a conflict."""
    record = woman(
        procedure(snomed("236886002"), on="2019-01-01"),
        serology("2106-3", "pos", on="2026-06-01"),
        serology("2106-3", "neg", on="2026-06-12", id="neg"),
    )
    assert verdict(record, PRG)["status"] == "not-met"
    assert "neg" in shown(record, PRG)


def test_evidence_of_b0() -> None:
    """Value with unit, date, status, as received."""
    rows = {row["id"]: row["evidence"] for row in assess(b0())["criteria"]}
    assert {
        "reference": "Observation/pat-1-alsfrs",
        "value": "38",
        "date": "2026-06-01",
        "status": "final",
    }.items() <= rows["IN03-AlsfrsR"][0].items()
    assert [e["reference"] for e in rows["IN04-Fvc"]] == ["Observation/pat-1-fvc"]
    assert rows["IN04-Fvc"][0]["value"] == "82 %"
    assert {e["reference"] for e in rows["EX06-AstAlt"]} == {"Observation/pat-1-alt", "Observation/pat-1-ast"}
    assert [e["reference"] for e in rows["H1-Condition"]] == ["Condition/pat-1-als"]


def test_evidence_shows_the_result_as_received() -> None:
    """AST in µkat/L is shown in µkat/L, not in the unit that it was compared in."""
    row = verdict(b0(ast=ast(2.5, unit="ukat/L", high=0.60)), "EX06-AstAlt")
    (shown_ast,) = [e for e in row["evidence"] if e["reference"].endswith("-ast")]
    assert shown_ast["value"].startswith("2.5 ")
    assert "kat/L" in shown_ast["value"]


def test_derived_results_point_to_what_was_measured() -> None:
    row = verdict(minimal(fvc_volume(3.4, id="litres"), height(175), weight(70)), "IN04-Fvc")
    assert row["status"] == "met"
    assert {e["reference"] for e in row["evidence"]} >= {"Observation/litres"}


def test_only_what_counts_is_evidence() -> None:
    record = minimal(alt(500, status="entered-in-error", id="error"), alt(22, id="fine"), ast(20, id="ast"))
    assert shown(record, "EX06-AstAlt") == {"fine", "ast"}


def test_no_evidence_has_no_evidence() -> None:
    row = criterion(assess(b0()), "EX13b-Tracheostomy")
    assert (row["status"], row["basis"], row["evidence"]) == ("not-met", "no-evidence", [])


def test_what_says_which_drug_or_device_it_is_stands_in_the_evidence() -> None:
    """Without it the verdict would be another: what is no evidence can be removed."""
    drug = medication("m", rxnorm("1256", "azathioprine"))
    order = medication_request(id="order", medicationReference={"reference": "Medication/m"})
    del order["medicationCodeableConcept"]
    row = verdict(minimal(drug, order), "EX09-Immunosuppressant")
    assert row["status"] == "met"
    assert {item["reference"] for item in row["evidence"]} == {"MedicationRequest/order", "Medication/m"}
    unit = device(snomed("702173003", "Home bilevel positive airway pressure unit"), id="unit")
    supply = {**supply_delivery(id="supply"), "suppliedItem": {"itemReference": {"reference": "Device/unit"}}}
    row = verdict(minimal(unit, supply), "EX13a-Niv")
    assert row["status"] == "met"
    assert {item["reference"] for item in row["evidence"]} == {"SupplyDelivery/supply", "Device/unit"}


def test_whatever_speaks_of_a_pregnancy_in_a_man_s_record_is_shown() -> None:
    doubt = condition(snomed("102874004", "Possible pregnancy"), id="possible")
    row = verdict(minimal(doubt, serology("2106-3", "ind", on="2026-06-10", id="hcg")), PRG)
    assert (row["status"], row["reasons"]) == ("unknown", ["conflicting-data"])
    assert {item["reference"] for item in row["evidence"]} == {"Condition/possible", "Observation/hcg"}
