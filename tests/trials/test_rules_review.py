"""Odd combinations that once gave a wrong verdict; each would exclude or clear a patient on a doubtful fact."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Resource,
    alsfrs,
    alt,
    attestation,
    b0,
    cid10,
    condition,
    consent,
    fvc_percent,
    loinc,
    observation,
    patient,
    serology,
    snomed,
    value_coded,
    value_quantity,
    woman,
)
from tests.trials.assessing import assess, verdict

BODY = "http://hl7.org/fhir/StructureDefinition/observation-bodyPosition"


def test(code: str, result: str, on: str) -> Resource:
    return serology(loinc(code), result, on=on)


test.__test__ = False  # type: ignore[attr-defined]
LYING = [
    {
        "url": BODY,
        "valueCodeableConcept": {"coding": [{"system": "http://snomed.info/sct", "code": "40199007"}]},
    }
]
REACTIVE = test("56888-1", "reactive", "2026-05-25")
HIV, HTLV, PRG, FVC, FRS, LFT = (
    "EX08c-Hiv",
    "EX08d-Htlv",
    "EX10a-Pregnancy",
    "IN04-Fvc",
    "IN03-AlsfrsR",
    "EX06-AstAlt",
)

CASES: list[tuple[str, Resource, str, str]] = [
    (
        "a-confirmed-hiv-infection-is-never-a-false-positive",
        b0(
            test("80203-3", "pos", "2020-01-10"),
            test("80203-3", "ind", "2026-05-26"),
            test("20447-9", "neg", "2026-05-26"),
            hiv=REACTIVE,
        ),
        HIV,
        "unknown",
    ),
    (
        "tests-before-the-reactive-screen-do-not-clear-it",
        b0(
            test("80203-3", "neg", "2026-03-20"),
            test("20447-9", "neg", "2026-03-20"),
            hiv=test("56888-1", "reactive", "2026-06-10"),
        ),
        HIV,
        "unknown",
    ),
    (
        "an-old-indeterminate-blot-does-not-clear-a-screen",
        b0(test("80203-3", "ind", "2015-03-20"), test("20447-9", "neg", "2026-05-26"), hiv=REACTIVE),
        HIV,
        "unknown",
    ),
    (
        "htlv-i-confirmed-and-ii-negative-is-htlv-i",
        b0(
            test("6432-9", "pos", "2026-05-25"),
            test("26656-9", "neg", "2026-05-25"),
            htlv=test("22362-8", "reactive", "2026-05-25"),
        ),
        HTLV,
        "met",
    ),
    (
        "a-partial-date-may-be-older-than-a-failing-total",
        b0(alsfrs(35, on="2026-06"), alsfrs=alsfrs(28, on="2026-06-14")),
        FRS,
        "unknown",
    ),
    (
        "a-partial-date-may-be-older-than-a-passing-total",
        b0(alsfrs(28, on="2026-06"), alsfrs=alsfrs(35, on="2026-06-14")),
        FRS,
        "unknown",
    ),
    (
        "an-abnormal-result-that-may-be-the-older-one",
        b0(alt(500, on="2026-06"), alt=alt(22, on="2026-06-10")),
        LFT,
        "unknown",
    ),
    ("a-coded-supine-position", b0(fvc=fvc_percent(60, extension=LYING)), FVC, "unknown"),
    (
        "a-portuguese-supine-position",
        b0(fvc=fvc_percent(60, method={"text": "Posição supina"})),
        FVC,
        "unknown",
    ),
    (
        "supine-high-enough-is-enough",
        b0(fvc_percent(70, method={"text": "supine"}), fvc=fvc_percent(60)),
        FVC,
        "met",
    ),
    (
        "a-comparator-that-may-reach-the-threshold",
        b0(
            fvc_percent(64.5),
            fvc={**fvc_percent(64), "valueQuantity": {"value": 64, "comparator": ">=", "unit": "%"}},
        ),
        FVC,
        "unknown",
    ),
    (
        "an-abatement-by-age-is-no-current-hepatitis",
        b0(condition(cid10("B18.1"), onset="2001", abatementAge={"value": 40, "unit": "a"})),
        "EX08a-HepatitisB",
        "unknown",
    ),
    (
        "a-suspected-pregnancy-after-the-negative-test",
        woman(
            test("2118-8", "neg", "2026-06-10"),
            condition(
                snomed("77386006"), verification="provisional", onset="2026-06-13", recorded="2026-06-14"
            ),
        ),
        PRG,
        "unknown",
    ),
    (
        "a-low-hcg-flagged-positive",
        woman(
            observation("19080-1", value_quantity(2, "m[IU]/mL"), on="2026-06-12", interpretation_code="POS"),
        ),
        PRG,
        "unknown",
    ),
    (
        "a-man-of-unknown-pregnancy-status",
        b0(observation("82810-3", value_coded(loinc("LA4489-6")), on="2026-06-01")),
        PRG,
        "not-met",
    ),
    (
        "late-syphilis-without-igm",
        b0(
            test("47237-3", "neg", "2026-05-25"),
            vdrl=test("5292-8", "reactive", "2026-05-25"),
            without=["treponemal"],
        ),
        "EX08e-Syphilis",
        "unknown",
    ),
    (
        "rna-detected-beside-below-the-limit-of-quantification",
        b0(
            test("11259-9", "detected", "2026-05-25"),
            observation("11011-4", value_quantity(15, "[IU]/mL", "<"), on="2026-05-25"),
        ),
        "EX08b-HepatitisC",
        "met",
    ),
    (
        "a-refusal-of-this-month",
        b0(consent(status="rejected", on="2026-06")),
        "IN07-ConsentCapacity",
        "unknown",
    ),
    ("born-in-the-year-9950", b0(who=patient(birth_date="9950-01-01")), "IN01-Age", "unknown"),
]


@pytest.mark.parametrize(("record", "criterion", "status"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_doubtful_combination(record: Resource, criterion: str, status: str) -> None:
    found = verdict(record, criterion)
    assert found["status"] == status
    assert "not-computed" not in found["reasons"]


def test_a_man_never_blocks_on_pregnancy() -> None:
    found = verdict(b0(attestation({PRG: "yes"})), PRG)
    assert found["reasons"] == ["conflicting-data"]


def test_an_attestation_with_an_unknown_modifier_is_none() -> None:
    answer: dict[str, Any] = attestation({"IN05-NoPregnancyAgreement": "yes"})
    answer["modifierExtension"] = [{"url": "http://example.org/negated", "valueBoolean": True}]
    found = verdict(b0(answer), "IN05-NoPregnancyAgreement")
    assert (found["status"], found["reasons"][0]) == ("unknown", "ambiguous-code")


@pytest.mark.parametrize("first", ["yes", "no"])
def test_contradictory_answers_of_one_instant_decide_nothing(first: str) -> None:
    other = "no" if first == "yes" else "yes"
    answers: dict[str, Any] = attestation({"EX02-CannotLieStill": first})
    answers["item"] = [*answers["item"], *attestation({"EX02-CannotLieStill": other})["item"]]
    assessment = assess(b0(answers))
    (found,) = [c for c in assessment["criteria"] if c["id"] == "EX02-CannotLieStill"]
    assert found["status"] == "unknown"
    assert any("contradict" in warning for warning in assessment["warnings"])
