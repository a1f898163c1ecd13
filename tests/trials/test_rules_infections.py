"""The tables of EX08a–e (hepatitis B and C, HIV, HTLV, syphilis), row by row."""

from __future__ import annotations

from typing import Any

import pytest

from tests.builders import (
    ATC,
    CVX,
    ICD9CM,
    Json,
    Resource,
    cid10,
    coding,
    condition,
    icd10cm,
    immunization,
    minimal,
    observation,
    serology,
    snomed,
    value_text,
)
from tests.trials.assessing import Case, check

HBV = "EX08a-HepatitisB"
HCV = "EX08b-HepatitisC"
HIV = "EX08c-Hiv"
HTLV = "EX08d-Htlv"
SYP = "EX08e-Syphilis"
DAY = "2026-05-25"
DAY_90, DAY_91 = "2026-03-17", "2026-03-16"

# ---------------------------------------------------------------- hepatitis B
_HBV_CODES = {
    "ag": "5196-1",
    "core": "13952-7",
    "igm": "31204-1",
    "surface": "22322-2",
    "e": "13954-3",
    "dna": "29610-3",
}


def hbv(
    name: str,
    status: str,
    *reasons: str,
    extra: Any = (),
    note: bool | str | None = None,
    likely: str | None = None,
    **results: str,
) -> Case:
    """A row of the hepatitis B table: markers by name with pos, neg, ind."""
    facts = [serology(_HBV_CODES[marker], result, on=DAY) for marker, result in results.items()]
    return Case(name, HBV, minimal(facts, extra), status, reasons, note=note, likely=likely)


HEPATITIS_B = [
    hbv("ag-pos", "met", ag="pos"),
    hbv("ag-pos-whatever-else", "met", ag="pos", core="neg", surface="pos", dna="neg"),
    hbv("dna-detected", "met", dna="pos"),
    hbv("dna-detected-whatever-else", "met", ag="neg", core="neg", surface="pos", dna="pos"),
    hbv("igm-pos", "met", igm="pos"),
    hbv("igm-pos-ag-neg", "met", ag="neg", core="pos", igm="pos"),
    hbv("e-antigen-pos", "met", e="pos", ag="neg"),
    hbv("ag-neg-core-neg-surface-pos", "not-met", ag="neg", core="neg", surface="pos"),
    hbv("ag-neg-core-neg", "not-met", ag="neg", core="neg"),
    hbv("ag-neg-core-neg-surface-ind", "not-met", ag="neg", core="neg", surface="ind"),
    hbv("ag-neg-core-not-done", "not-met", note="anti-HBc", ag="neg"),
    hbv("ag-neg-core-not-done-surface-pos", "not-met", note="anti-HBc", ag="neg", surface="pos"),
    hbv("ag-neg-core-pos-no-dna", "unknown", ag="neg", core="pos"),
    hbv("ag-neg-core-pos-dna-neg", "unknown", "needs-clinician", ag="neg", core="pos", dna="neg"),
    hbv("ag-neg-core-ind", "unknown", ag="neg", core="ind"),
    hbv("ag-ind", "unknown", ag="ind"),
    hbv("ag-ind-dna-detected", "met", ag="ind", dna="pos"),
    hbv("surface-pos-only", "unknown", "missing-data", likely="not-met", surface="pos"),
    hbv("core-neg-only", "unknown", "missing-data", core="neg"),
    hbv("dna-neg-only", "unknown", "missing-data", dna="neg"),
    hbv("nothing", "unknown", "missing-data"),
    hbv("current-condition", "met", extra=condition(cid10("B18.1"))),
    hbv("current-condition-against-negatives", "met", extra=condition(cid10("B18.1")), ag="neg", core="neg"),
    hbv("carrier", "met", extra=condition(snomed("235871004"))),
    hbv("antigen-detected-finding", "met", extra=condition(snomed("165806002"))),
    hbv(
        "past-condition",
        "unknown",
        extra=condition(cid10("B16.9"), clinical="resolved"),
        ag="neg",
        core="neg",
    ),
    hbv(
        "provisional-condition",
        "unknown",
        "unverified-condition",
        extra=condition(cid10("B18.1"), verification="provisional"),
        ag="neg",
        core="neg",
    ),
    hbv(
        "antibody-present-is-no-infection",
        "not-met",
        extra=condition(snomed("313234004")),
        ag="neg",
        core="neg",
    ),
    hbv("immune-is-no-infection", "not-met", extra=condition(snomed("271511000")), ag="neg", core="neg"),
    Case(
        "hepatitis-b-and-c-in-one-code",
        HBV,
        minimal(condition(snomed("442374005"))),
        "met",
        others=((HCV, "met"),),
    ),
    Case("ag-neg-of-90-days", HBV, minimal(serology("5196-1", "neg", on=DAY_90)), "not-met"),
    Case("ag-neg-of-91-days", HBV, minimal(serology("5196-1", "neg", on=DAY_91)), "unknown", ("stale-data",)),
]


def vaccinated(name: str, status: str, vaccine: Resource) -> Case:
    return Case(name, HBV, minimal(vaccine, serology("5196-1", "pos", on=DAY)), status)


CVX_43 = coding(CVX, "43")
VACCINES = [
    vaccinated("vaccine-same-day", "unknown", immunization(CVX_43, on=DAY)),
    vaccinated("vaccine-18-days-before", "unknown", immunization(CVX_43, on="2026-05-07")),
    vaccinated("vaccine-19-days-before", "met", immunization(CVX_43, on="2026-05-06")),
    vaccinated("vaccine-after-the-specimen", "met", immunization(CVX_43, on="2026-05-26")),
    # 01:00 UTC on the 7th is still the 6th at the site: 19 days.
    vaccinated("vaccine-yesterday-evening-here", "met", immunization(CVX_43, on="2026-05-07T01:00:00Z")),
    vaccinated("vaccine-not-done", "met", immunization(CVX_43, on="2026-05-20", status="not-done")),
    vaccinated("vaccine-by-atc", "unknown", immunization(coding(ATC, "J07BC01"), on="2026-05-20")),
    vaccinated("vaccine-by-text", "unknown", immunization(text="Vacina hepatite B", on="2026-05-20")),
    vaccinated("vaccine-with-month-only", "unknown", immunization(CVX_43, on="2026-05")),
    vaccinated("vaccine-with-an-earlier-month", "met", immunization(CVX_43, on="2026-04")),
    vaccinated("another-vaccine", "met", immunization(coding(CVX, "140"), on="2026-05-20")),
]

# ---------------------------------------------------------------- hepatitis C


def hcv(
    name: str,
    status: str,
    *reasons: str,
    ab: str | None = None,
    rna: str | None = None,
    extra: Any = (),
    note: bool | None = None,
    on: str = DAY,
) -> Case:
    facts = [
        serology(code, result, on=on)
        for code, result in (("13955-0", ab), ("11259-9", rna))
        if result is not None
    ]
    return Case(name, HCV, minimal(facts, extra), status, reasons, note=note)


CHRONIC_C = condition(cid10("B18.2"), recorded="2024-01-15")
HEPATITIS_C = [
    hcv("rna-detected", "met", rna="detected"),
    hcv("rna-detected-ab-neg", "met", rna="detected", ab="neg"),
    hcv("rna-detected-ab-ind", "met", rna="detected", ab="ind"),
    hcv("ab-neg", "not-met", ab="neg"),
    hcv("ab-pos", "unknown", ab="pos"),
    hcv("ab-weak", "unknown", ab="weak"),
    hcv("ab-pos-rna-nd", "unknown", ab="pos", rna="not-detected"),
    hcv("ab-ind", "unknown", ab="ind"),
    hcv("rna-nd-alone", "not-met", rna="not-detected", note=True),
    hcv("ab-neg-rna-nd", "not-met", ab="neg", rna="not-detected"),
    hcv("ab-neg-90-days", "not-met", ab="neg", on=DAY_90),
    hcv("ab-neg-91-days", "unknown", "stale-data", ab="neg", on=DAY_91),
    hcv("rna-nd-91-days", "unknown", "stale-data", rna="not-detected", on=DAY_91),
    hcv("nothing", "unknown", "missing-data"),
    hcv("current-condition", "met", extra=CHRONIC_C),
    hcv("current-condition-later-rna-nd", "unknown", extra=CHRONIC_C, rna="not-detected"),
    hcv(
        "current-condition-earlier-rna-nd",
        "met",
        extra=[CHRONIC_C, serology("11259-9", "not-detected", on="2020-01-01")],
    ),
    hcv("current-condition-ab-neg", "met", extra=CHRONIC_C, ab="neg"),
    hcv("past-condition", "unknown", extra=condition(cid10("B18.2"), clinical="resolved"), ab="neg"),
    hcv("refuted-condition", "not-met", extra=condition(cid10("B18.2"), verification="refuted"), ab="neg"),
]

# ---------------------------------------------------------------- HIV


def hiv(
    name: str,
    status: str,
    *reasons: str,
    screen: str | None = None,
    confirm: str | None = None,
    rna: str | None = None,
    extra: Any = (),
    on: str = DAY,
) -> Case:
    tests = (("56888-1", screen), ("80203-3", confirm), ("20447-9", rna))
    facts = [serology(code, result, on=on) for code, result in tests if result is not None]
    return Case(name, HIV, minimal(facts, extra), status, reasons)


NOT_INFECTION = [
    icd10cm("R75"),
    icd10cm("Z11.4"),
    icd10cm("Z71.7"),
    icd10cm("Z20.6"),
    icd10cm("Z83.0"),
    snomed("165815009"),
    snomed("171121004"),
]
HIVS = [
    hiv("screen-neg", "not-met", screen="neg"),
    hiv("screen-neg-90-days", "not-met", screen="neg", on=DAY_90),
    hiv("screen-neg-91-days", "unknown", "stale-data", screen="neg", on=DAY_91),
    hiv("screen-reactive", "unknown", screen="reactive"),
    hiv("screen-weakly-reactive", "unknown", screen="weak"),
    hiv("screen-indeterminate", "unknown", screen="ind"),
    hiv("confirmed", "met", confirm="pos"),
    hiv("screen-reactive-confirmed", "met", screen="reactive", confirm="pos"),
    hiv("screen-reactive-confirmation-neg", "unknown", screen="reactive", confirm="neg"),
    hiv("screen-reactive-confirmation-ind", "unknown", screen="reactive", confirm="ind"),
    hiv("false-positive", "not-met", screen="reactive", confirm="neg", rna="not-detected"),
    hiv("false-positive-ind", "not-met", screen="reactive", confirm="ind", rna="not-detected"),
    hiv("screen-reactive-rna-nd", "unknown", screen="reactive", rna="not-detected"),
    hiv("rna-detected", "met", rna="detected"),
    hiv("rna-detected-screen-neg", "met", rna="detected", screen="neg"),
    hiv("rna-nd-alone", "unknown", rna="not-detected"),
    hiv("nothing", "unknown", "missing-data"),
    *[
        hiv(f"condition-{code['code']}", "met", extra=condition(code))
        for code in (
            icd10cm("B20"),
            cid10("B24"),
            cid10("B22.0"),
            icd10cm("Z21"),
            snomed("86406008"),
            coding(ICD9CM, "042"),
        )
    ],
    hiv(
        "condition-resolved-is-still-hiv",
        "met",
        extra=condition(cid10("B24"), clinical="resolved"),
        screen="neg",
    ),
    hiv(
        "condition-differential",
        "unknown",
        "unverified-condition",
        extra=condition(cid10("B24"), verification="differential"),
        screen="neg",
    ),
    hiv("condition-refuted", "not-met", extra=condition(cid10("B24"), verification="refuted"), screen="neg"),
    *[hiv(f"not-infection-{c['code']}", "not-met", extra=condition(c), screen="neg") for c in NOT_INFECTION],
    *[hiv(f"not-evidence-{c['code']}", "unknown", "missing-data", extra=condition(c)) for c in NOT_INFECTION],
]

# ---------------------------------------------------------------- HTLV


def htlv(
    name: str,
    status: str,
    *reasons: str,
    screen: str | None = None,
    confirm: str | None = None,
    extra: Any = (),
    on: str = DAY,
) -> Case:
    tests = (("22362-8", screen), ("6432-9", confirm))
    facts = [serology(code, result, on=on) for code, result in tests if result is not None]
    return Case(name, HTLV, minimal(facts, extra), status, reasons)


HTLVS = [
    htlv("screen-neg", "not-met", screen="neg"),
    htlv("screen-neg-90-days", "not-met", screen="neg", on=DAY_90),
    htlv("screen-neg-91-days", "unknown", "stale-data", screen="neg", on=DAY_91),
    htlv("screen-reactive", "unknown", screen="reactive"),
    htlv("screen-reactive-confirmed", "met", screen="reactive", confirm="pos"),
    htlv("screen-reactive-confirmation-ind", "unknown", screen="reactive", confirm="ind"),
    # The specification doesn't say what a negative confirmation makes of a reactive screen; with HTLV "never
    # default to not-met", so a person decides.
    htlv("screen-reactive-confirmation-neg", "unknown", screen="reactive", confirm="neg"),
    htlv("screen-indeterminate", "unknown", screen="ind"),
    htlv("confirmed-alone", "met", confirm="pos"),
    htlv("nothing", "unknown", "missing-data"),
    *[
        htlv(f"condition-{code['code']}-{code['system'][-5:]}", "met", extra=condition(code))
        for code in (
            icd10cm("B97.33"),
            icd10cm("B97.34"),
            icd10cm("Z22.6"),
            cid10("Z22.6"),
            cid10("C91.5"),
            icd10cm("C91.51"),
            snomed("110007008"),
            coding(ICD9CM, "079.51"),
        )
    ],
    *[
        htlv(f"review-{code['code']}-{code['system'][-5:]}", "unknown", extra=condition(code), screen="neg")
        for code in (icd10cm("B33.3"), cid10("B33.3"), cid10("B97.3"), icd10cm("G04.1"))
    ],
    htlv(
        "condition-refuted", "not-met", extra=condition(cid10("Z22.6"), verification="refuted"), screen="neg"
    ),
]

# ---------------------------------------------------------------- syphilis
SYPHILIS = snomed("76272004", "Syphilis")
TREATED = condition(SYPHILIS, clinical="resolved", onset="2015", abatement="2016")


def syp(
    name: str,
    status: str,
    *reasons: str,
    tp: str | None = None,
    reagin: str | None = None,
    titre: str | None = None,
    extra: Any = (),
    note: bool | None = None,
    on: str = DAY,
) -> Case:
    facts: list[Resource] = []
    if tp is not None:
        facts.append(serology("24110-9", tp, on=on))
    if reagin is not None:
        facts.append(serology("5292-8", reagin, on=on))
    if titre is not None:
        facts.append(vdrl(titre, on))
    return Case(name, SYP, minimal(facts, extra), status, reasons, note=note)


def vdrl(titre: str, on: str = DAY) -> Resource:
    return observation("50690-7", value_text(titre), on=on)


def ratio(first: int, second: int) -> Json:
    return {"valueRatio": {"numerator": {"value": first}, "denominator": {"value": second}}}


SYPHILES = [
    syp("tp-pos-reagin-reactive", "met", tp="pos", reagin="reactive"),
    syp("tp-pos-titre", "met", tp="pos", titre="1:64"),
    syp("tp-pos-titre-low-without-history", "met", tp="pos", titre="1:2"),
    syp("tp-pos-titre-as-ratio", "met", tp="pos", extra=observation("31147-2", ratio(1, 32), on=DAY)),
    syp("serofast-1-4", "unknown", tp="pos", titre="1:4", extra=TREATED),
    syp("treated-but-1-8", "met", tp="pos", titre="1:8", extra=TREATED),
    syp("treated-and-no-titre", "unknown", tp="pos", reagin="reactive", extra=TREATED),
    syp(
        "treated-but-four-times-the-lowest",
        "met",
        tp="pos",
        titre="1:4",
        extra=[TREATED, vdrl("1:1", "2020-01-01")],
    ),
    syp(
        "treated-and-twice-the-lowest",
        "unknown",
        tp="pos",
        titre="1:4",
        extra=[TREATED, vdrl("1:2", "2020-01-01")],
    ),
    syp("treated-and-falling", "unknown", tp="pos", titre="1:2", extra=[TREATED, vdrl("1:32", "2015-06-01")]),
    syp("tp-pos-reagin-neg", "unknown", tp="pos", reagin="nonreactive"),
    syp("tp-neg-reagin-reactive", "not-met", tp="neg", reagin="reactive", note=True),
    syp("tp-neg-titre", "not-met", tp="neg", titre="1:2", note=True),
    syp("reagin-reactive-alone", "unknown", reagin="reactive"),
    syp("titre-alone", "unknown", titre="1:16"),
    syp("both-neg", "not-met", tp="neg", reagin="nonreactive"),
    syp("tp-neg-alone", "not-met", tp="neg"),
    syp("reagin-neg-alone", "not-met", reagin="nonreactive", note=True),
    syp("tp-pos-alone", "unknown", tp="pos"),
    syp("tp-ind-alone", "unknown", tp="ind"),
    # Either result of the treponemal test gives the same verdict beside a nonreactive reagin only if negative.
    syp("tp-ind-reagin-neg", "unknown", tp="ind", reagin="nonreactive"),
    syp("both-neg-91-days", "unknown", "stale-data", tp="neg", reagin="nonreactive", on=DAY_91),
    syp("both-neg-90-days", "not-met", tp="neg", reagin="nonreactive", on=DAY_90),
    syp("nothing", "unknown", "missing-data"),
    syp("combined-neg", "not-met", extra=serology("73752-8", "neg")),
    syp("combined-neg-91-days", "unknown", "stale-data", extra=serology("73752-8", "neg", on=DAY_91)),
    syp("combined-pos", "unknown", extra=serology("73752-8", "pos")),
    syp("combined-ind", "unknown", extra=serology("73752-8", "ind")),
    syp("current-condition", "met", extra=condition(SYPHILIS)),
    syp("current-condition-by-prefix", "met", extra=condition(cid10("A51.3"))),
    syp("past-condition", "unknown", extra=TREATED),
    syp("past-condition-both-neg", "unknown", extra=TREATED, tp="neg", reagin="nonreactive"),
    syp("nonvenereal", "unknown", extra=condition(cid10("A65")), tp="neg", reagin="nonreactive"),
    syp(
        "provisional-condition",
        "unknown",
        "unverified-condition",
        extra=condition(SYPHILIS, verification="provisional"),
        tp="neg",
        reagin="nonreactive",
    ),
    syp(
        "nonreactive-titre-string",
        "not-met",
        tp="neg",
        extra=observation("50690-7", value_text("Não reagente"), on=DAY),
    ),
]

# A test whose counting result is indeterminate → unknown, unless positive and negative would say the same (§EX08).
INDETERMINATE = [
    hbv("dna-ind", "unknown", ag="neg", core="neg", dna="ind"),
    hbv("igm-ind", "unknown", ag="neg", core="neg", igm="ind"),
    hbv("e-ind", "unknown", ag="neg", core="neg", e="ind"),
    hbv("dna-ind-beside-ag-pos", "met", ag="pos", dna="ind"),
    hcv("ab-neg-rna-ind", "unknown", ab="neg", rna="ind"),
    hcv("ab-pos-rna-ind", "unknown", ab="pos", rna="ind"),
    hiv("screen-neg-rna-ind", "unknown", screen="neg", rna="ind"),
    hiv("screen-neg-confirmation-ind", "unknown", screen="neg", confirm="ind"),
    hiv("screen-ind-confirmed", "met", screen="ind", confirm="pos"),
    htlv("screen-neg-confirmation-ind", "unknown", screen="neg", confirm="ind"),
    htlv("screen-ind-confirmed", "met", screen="ind", confirm="pos"),
    syp("tp-ind-reagin-reactive", "unknown", tp="ind", reagin="reactive"),
    syp("tp-neg-reagin-ind", "not-met", tp="neg", reagin="ind"),
    syp("tp-pos-reagin-ind", "unknown", tp="pos", reagin="ind"),
    syp("reagin-ind-alone", "unknown", reagin="ind"),
]
OLD = "2026-01-10"


def stale(code: str, result: str, on: str = OLD) -> Resource:
    return serology(code, result, on=on)


# A negative older than 90 days counts as not done; a positive never expires.
STALE = [
    hbv("stale-core-neg", "not-met", note="anti-HBc", ag="neg", extra=stale("13952-7", "neg")),
    hbv("stale-core-pos", "unknown", ag="neg", extra=stale("13952-7", "pos", on="2015-01-01")),
    hbv("stale-dna-neg", "unknown", ag="neg", core="pos", extra=stale("29610-3", "neg")),
    hcv("stale-ab-neg-fresh-rna", "not-met", rna="not-detected", extra=stale("13955-0", "neg")),
    hcv("old-ab-pos", "unknown", extra=stale("13955-0", "pos", on="2015-01-01")),
    hiv(
        "stale-exculpation",
        "unknown",
        screen="reactive",
        extra=[stale("80203-3", "neg"), stale("20447-9", "not-detected")],
    ),
    hiv("old-screen-reactive", "unknown", extra=stale("56888-1", "reactive", on="2015-01-01")),
    syp("stale-tp-neg-fresh-reagin", "not-met", reagin="nonreactive", extra=stale("24110-9", "neg")),
    syp("fresh-tp-neg-stale-reagin", "not-met", tp="neg", extra=stale("5292-8", "nonreactive")),
    syp(
        "old-tp-pos-fresh-reagin-neg",
        "unknown",
        reagin="nonreactive",
        extra=stale("24110-9", "pos", on="2016-01-01"),
    ),
    syp("old-tp-pos-fresh-reagin", "met", reagin="reactive", extra=stale("24110-9", "pos", on="2016-01-01")),
    syp("old-reagin-alone", "unknown", extra=stale("5292-8", "reactive", on="2016-01-01")),
]

SECTIONS = [*INDETERMINATE, *STALE, *HEPATITIS_B, *VACCINES, *HEPATITIS_C, *HIVS, *HTLVS, *SYPHILES]


@pytest.mark.parametrize("case", SECTIONS, ids=lambda c: f"{c.criterion[4:5]}-{c.id}")
def test_infection_rule(case: Case) -> None:
    check(case)


def test_family_and_exposure_are_no_infection() -> None:
    record = minimal(condition(icd10cm("Z20.5")), serology("5196-1", "neg"), serology("13952-7", "neg"))
    check(Case("contact", HBV, record, "not-met"))
