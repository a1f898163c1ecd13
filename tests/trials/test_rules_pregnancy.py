"""Rules of EX10a (pregnancy) and EX13b (tracheostomy)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    Resource,
    cid10,
    coding,
    condition,
    device,
    device_use_statement,
    family_member_history,
    icd10cm,
    icd10pcs,
    lab,
    minimal,
    observation,
    procedure,
    serology,
    service_request,
    snomed,
    value_coded,
    woman,
)
from tests.trials.assessing import Case, check, verdict

PRG = "EX10a-Pregnancy"
TRA = "EX13b-Tracheostomy"
PREGNANCY = snomed("77386006", "Pregnancy")
LA = "http://loinc.org"


def hcg(result: str, on: str) -> Resource:
    return serology("2118-8", result, on=on)


def units(value: float, on: str = "2026-06-12") -> Resource:
    return lab("19080-1", value, "[IU]/L", on=on)


def pregnant(on: str, **elements: Any) -> Resource:
    return condition(PREGNANCY, recorded=on, **elements)


def status(*answer: Any, on: str = "2026-06-10") -> Resource:
    return observation("82810-3", value_coded(*answer), on=on, category="social-history")


def due(day: str, on: str = "2026-01-10") -> Resource:
    return observation("11778-8", {"valueDateTime": day}, on=on)


HYSTERECTOMY = procedure(snomed("236886002", "Hysterectomy"), on="2019-03-01")
NEGATIVE = hcg("neg", "2026-06-12")

EVIDENCE = [
    Case("male-without-evidence", PRG, minimal(), "not-met"),
    Case("nothing", PRG, woman(), "unknown", ("missing-data",), overall="unknown"),
    Case("hcg-positive", PRG, woman(hcg("pos", "2026-06-12")), "met", basis="explicit", overall="excluded"),
    Case("hcg-positive-42-days", PRG, woman(hcg("pos", "2026-05-04")), "met"),
    Case("hcg-positive-43-days", PRG, woman(hcg("pos", "2026-05-03")), "unknown"),
    Case("hcg-indeterminate", PRG, woman(hcg("ind", "2026-06-12")), "unknown"),
    Case("hcg-indeterminate-then-negative", PRG, woman(hcg("ind", "2026-06-09"), NEGATIVE), "not-met"),
    Case("hcg-4.9", PRG, woman(units(4.9)), "not-met"),
    Case("hcg-5", PRG, woman(units(5)), "unknown"),
    Case("hcg-24.9", PRG, woman(units(24.9)), "unknown"),
    Case("hcg-25", PRG, woman(units(25)), "met"),
    Case("hcg-negative-7-days", PRG, woman(hcg("neg", "2026-06-08")), "not-met"),
    Case("hcg-negative-8-days", PRG, woman(hcg("neg", "2026-06-07")), "unknown", ("stale-data",)),
    *[
        Case(
            f"hcg-{c}{v}", PRG, woman(lab("19080-1", v, "m[IU]/mL", comparator=c, on="2026-06-12")), verdict_
        )
        for c, v, verdict_ in (
            ("<", 2, "not-met"),
            ("<", 5, "not-met"),
            ("<=", 5, "unknown"),
            ("<", 10, "unknown"),
            (">", 5, "unknown"),
            (">=", 25, "met"),
            (">", 10000, "met"),
        )
    ],
    Case(
        "hcg-in-words",
        PRG,
        woman(observation("19080-1", {"valueString": "< 2,0 mUI/mL"}, on="2026-06-12")),
        "not-met",
    ),
    Case(
        "hcg-quantitative-interpreted",
        PRG,
        woman(observation("19080-1", on="2026-06-12", interpretation_code="NEG")),
        "not-met",
    ),
    Case("status-pregnant", PRG, woman(status(coding(LA, "LA15173-0"))), "met"),
    Case("status-pregnant-snomed", PRG, woman(status(PREGNANCY)), "met"),
    Case("status-not-pregnant-loinc", PRG, woman(status(coding(LA, "LA26683-5"))), "not-met"),
    Case("status-unknown", PRG, woman(status(coding(LA, "LA4489-6"))), "unknown"),
    Case("condition-recorded-300-days", PRG, woman(pregnant("2025-08-19")), "met"),
    Case("condition-recorded-301-days", PRG, woman(pregnant("2025-08-18")), "unknown"),
    Case(
        "condition-refuted", PRG, woman(pregnant("2026-05-01", verification="refuted"), NEGATIVE), "not-met"
    ),
    Case("condition-provisional", PRG, woman(pregnant("2026-05-01", verification="provisional")), "unknown"),
    Case("condition-icd", PRG, woman(condition(icd10cm("Z34.01"), recorded="2026-05-01")), "met"),
    Case(
        "condition-weeks-of-gestation", PRG, woman(condition(icd10cm("Z3A.20"), recorded="2026-05-01")), "met"
    ),
    Case("positive-test-encounter", PRG, woman(condition(icd10cm("Z32.01"), recorded="2026-06-01")), "met"),
    Case("due-14-days-ago", PRG, woman(due("2026-06-01")), "met"),
    Case("due-15-days-ago", PRG, woman(due("2026-05-31")), "unknown"),
    Case("due-in-autumn", PRG, woman(due("2026-11-01")), "met"),
    Case("possible-pregnancy", PRG, woman(condition(snomed("102874004"), recorded="2026-06-01")), "unknown"),
    Case(
        "possible-pregnancy-and-a-negative-test",
        PRG,
        woman(condition(snomed("102874004"), recorded="2026-06-01"), NEGATIVE),
        "not-met",
    ),
    Case("family-history", PRG, woman(family_member_history(PREGNANCY)), "unknown", ("missing-data",)),
]

SUPERSEDING = [
    Case(
        "positive-then-negative-7-days",
        PRG,
        woman(hcg("pos", "2026-05-20"), hcg("neg", "2026-06-08")),
        "not-met",
    ),
    Case(
        "positive-then-negative-8-days",
        PRG,
        woman(hcg("pos", "2026-05-20"), hcg("neg", "2026-06-07")),
        "unknown",
    ),
    Case("negative-then-positive", PRG, woman(hcg("neg", "2026-06-09"), hcg("pos", "2026-06-12")), "met"),
    Case("condition-then-negative", PRG, woman(pregnant("2026-05-01"), NEGATIVE), "not-met"),
    Case("negative-then-condition", PRG, woman(hcg("neg", "2026-06-09"), pregnant("2026-06-12")), "met"),
    Case(
        "condition-then-status-not-pregnant",
        PRG,
        woman(pregnant("2026-05-01"), status(coding(LA, "LA26683-5"))),
        "not-met",
    ),
    Case(
        "condition-then-delivery",
        PRG,
        woman(pregnant("2025-12-01"), condition(cid10("O80"), recorded="2026-05-20")),
        "unknown",
    ),
    Case(
        "condition-then-delivery-and-a-negative-test",
        PRG,
        woman(pregnant("2025-12-01"), condition(cid10("O80"), recorded="2026-05-20"), NEGATIVE),
        "not-met",
    ),
    Case("loss-without-a-test", PRG, woman(condition(cid10("O03"), recorded="2026-04-20")), "unknown"),
    Case(
        "loss-then-pregnant-again",
        PRG,
        woman(condition(cid10("O03"), recorded="2025-12-01"), pregnant("2026-05-20")),
        "met",
    ),
    Case(
        "puerperium-of-a-longer-prefix",
        PRG,
        woman(condition(icd10cm("O10.03"), recorded="2026-05-20")),
        "unknown",
    ),
    Case(
        "pregnancy-of-the-shorter-prefix",
        PRG,
        woman(condition(icd10cm("O10.011"), recorded="2026-05-20")),
        "met",
    ),
]

POTENTIAL = [
    Case("menopause-at-50", PRG, woman(condition(icd10cm("N95.1")), birth_date="1976-01-01"), "not-met"),
    Case("menopause-at-45", PRG, woman(condition(cid10("N95.1")), birth_date="1981-06-15"), "not-met"),
    Case("menopause-at-44", PRG, woman(condition(icd10cm("N95.1")), birth_date="1981-06-16"), "unknown"),
    Case(
        "menopausal-state-at-50", PRG, woman(condition(icd10cm("Z78.0")), birth_date="1976-01-01"), "not-met"
    ),
    Case(
        "menopause-snomed-at-40",
        PRG,
        woman(condition(snomed("161712005")), birth_date="1986-01-01"),
        "unknown",
    ),
    Case("age-60", PRG, woman(birth_date="1966-06-15"), "not-met"),
    Case("age-59", PRG, woman(birth_date="1966-06-16"), "unknown", ("missing-data",)),
    Case("configured-age", PRG, woman(birth_date="1970-01-01"), "not-met", config={"wocbpMaxAge": 54}),
    Case("year-of-birth-around-60", PRG, woman(birth_date="1966"), "unknown"),
    Case("absent-uterus-with-stump", PRG, woman(condition(icd10cm("Z90.711"))), "not-met"),
    Case("history-of-hysterectomy", PRG, woman(condition(snomed("428078001"))), "not-met"),
    Case("hysterectomy-in-error", PRG, woman({**HYSTERECTOMY, "status": "entered-in-error"}), "unknown"),
    Case("hysterectomy-not-done", PRG, woman({**HYSTERECTOMY, "status": "not-done"}), "unknown"),
    Case("absent-genital-organ-is-too-broad", PRG, woman(condition(cid10("Z90.7"))), "unknown"),
    Case("absent-genital-organ-undetermined-cm", PRG, woman(condition(icd10cm("Z90.7"))), "unknown"),
    Case(
        "hysterectomy-and-pregnant",
        PRG,
        woman(HYSTERECTOMY, hcg("pos", "2026-06-12")),
        "unknown",
        ("conflicting-data",),
    ),
    Case(
        "age-63-and-pregnant",
        PRG,
        woman(hcg("pos", "2026-06-12"), birth_date="1963-01-01"),
        "unknown",
        ("conflicting-data",),
    ),
    Case("tubal-ligation-and-a-negative-test", PRG, woman(condition(icd10cm("Z98.51")), NEGATIVE), "not-met"),
]

SEXES = [
    *[
        Case(f"gender-{g}", PRG, woman(gender=g), "unknown", ("missing-data",), overall="unknown")
        for g in ("female", "other", "unknown", None)
    ],
    Case("gender-other-with-negative-test", PRG, woman(NEGATIVE, gender="other"), "not-met"),
    Case("male-with-positive-hcg", PRG, minimal(hcg("pos", "2026-06-12")), "unknown", ("conflicting-data",)),
    Case("male-with-status", PRG, minimal(status(PREGNANCY)), "unknown", ("conflicting-data",)),
    Case("male-with-negative-hcg", PRG, minimal(NEGATIVE), "not-met"),
]

# ---------------------------------------------------------------- tracheostomy
TRACHEOSTOMY = snomed("307007002", "Percutaneous tracheostomy")


def by(*facts: Any) -> Resource:
    return minimal(*facts)


TRACHEOSTOMIES = [
    Case("none", TRA, by(), "not-met", basis="no-evidence"),
    Case("procedure-completed", TRA, by(procedure(TRACHEOSTOMY, on="2026-02-01")), "met"),
    Case(
        "procedure-in-progress",
        TRA,
        by(procedure(TRACHEOSTOMY, status="in-progress", on="2026-06-15")),
        "met",
    ),
    Case("procedure-undated", TRA, by(procedure(TRACHEOSTOMY)), "met"),
    *[
        Case(f"procedure-{s}", TRA, by(procedure(TRACHEOSTOMY, status=s, on="2026-02-01")), "not-met")
        for s in ("not-done", "entered-in-error")
    ],
    Case("procedure-in-the-future", TRA, by(procedure(TRACHEOSTOMY, on="2026-07-01")), "not-met"),
    Case("procedure-icd-10-pcs", TRA, by(procedure(icd10pcs("0B110F4"), on="2026-02-01")), "met"),
    Case("procedure-permanent", TRA, by(procedure(snomed("21619009"), on="2020-02-01")), "met"),
    *[
        Case(f"status-{c['code']}-{c['system'][-5:]}", TRA, by(condition(c)), "met")
        for c in (
            icd10cm("Z93.0"),
            cid10("Z93.0"),
            icd10cm("Z43.0"),
            icd10cm("J95.01"),
            cid10("J95.0"),
            snomed("68033004"),
        )
    ],
    Case("status-resolved", TRA, by(condition(cid10("Z93.0"), clinical="resolved")), "unknown"),
    Case("status-refuted", TRA, by(condition(cid10("Z93.0"), verification="refuted")), "not-met"),
    Case(
        "status-provisional",
        TRA,
        by(condition(cid10("Z93.0"), verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("laryngectomy", TRA, by(procedure(snomed("50339005"), on="2020-01-01")), "unknown"),
    Case(
        "words",
        TRA,
        by(procedure(text="Traqueostomia percutânea", on="2026-02-01")),
        "unknown",
        ("text-only",),
    ),
    Case(
        "words-in-a-condition", TRA, by(condition(text="tracheostomy dependent")), "unknown", ("text-only",)
    ),
    Case("words-negated", TRA, by(condition(text="Nega traqueostomia")), "not-met"),
    Case(
        "words-of-an-erroneous-procedure",
        TRA,
        by(procedure(text="Traqueostomia", status="not-done")),
        "not-met",
    ),
    Case("family", TRA, by(family_member_history(cid10("Z93.0"))), "not-met"),
    *[
        Case(f"ordered-{s}", TRA, by(service_request(TRACHEOSTOMY, status=s)), "unknown")
        for s in ("active", "on-hold", "completed")
    ],
    *[
        Case(f"ordered-{s}", TRA, by(service_request(TRACHEOSTOMY, status=s)), "not-met")
        for s in ("draft", "revoked", "entered-in-error")
    ],
    Case(
        "device-in-words",
        TRA,
        by(device(text="Máscara de traqueostomia", id="mask"), device_use_statement("Device/mask")),
        "unknown",
    ),
    Case(
        "device-intended",
        TRA,
        by(
            device(text="Cânula de traqueostomia", id="tube"),
            device_use_statement("Device/tube", status="intended"),
        ),
        "not-met",
    ),
    Case(
        "device-that-does-not-resolve",
        TRA,
        by(device_use_statement("Device/none")),
        "unknown",
        ("ambiguous-code",),
    ),
]

SECTIONS = [*EVIDENCE, *SUPERSEDING, *POTENTIAL, *SEXES, *TRACHEOSTOMIES]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion[:5]}-{c.id}")
def test_rule(case: Case) -> None:
    check(case)


def test_a_missing_test_is_suggested() -> None:
    """EX10a without data suggests a serum or urine hCG (§6.4)."""
    suggested = " ".join(str(s) for s in verdict(woman(), PRG)["suggestions"])
    assert "2118-8" in suggested or "2106-3" in suggested


def test_nothing_is_suggested_for_a_man() -> None:
    assert verdict(minimal(), PRG)["suggestions"] == []
