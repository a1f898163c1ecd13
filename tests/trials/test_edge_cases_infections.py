"""Edge cases of the specification, row by row: EX08a–e (hepatitis B and C, HIV, HTLV, syphilis)."""

from __future__ import annotations

import pytest

from tests.builders import (
    CVX,
    cid10,
    coding,
    condition,
    icd10cm,
    immunization,
    lab,
    medication_request,
    minimal,
    observation,
    reference_range,
    rxnorm,
    serology,
    snomed,
    value_quantity,
    value_text,
)
from tests.trials.assessing import Case, check

HBV = "EX08a-HepatitisB"
HCV = "EX08b-HepatitisC"
HIV = "EX08c-Hiv"
HTLV = "EX08d-Htlv"
SYP = "EX08e-Syphilis"

DAY = "2026-05-25"
HBSAG, ANTI_HBC, ANTI_HBS, HBEAG, HBV_DNA = "5196-1", "13952-7", "22322-2", "13954-3", "29610-3"
HCV_AB, HCV_RNA, HCV_LOAD = "13955-0", "11259-9", "11011-4"
HIV_SCREEN, HIV_CONFIRM, HIV_LOAD = "56888-1", "80203-3", "20447-9"
HTLV_SCREEN, HTLV_CONFIRM = "22362-8", "6432-9"
VDRL, VDRL_TITRE, TREPONEMAL, FTA, SYPHILIS_COMBINED = "5292-8", "50690-7", "24110-9", "17726-1", "73752-8"
HBC_NEG = serology(ANTI_HBC, "neg")


def vaccine(on: str) -> dict[str, object]:
    return immunization(coding(CVX, "43", "hepatitis B vaccine, adult dosage"), on=on)


HEPATITIS_B = [
    Case(
        "T-HBV-01",
        HBV,
        minimal(serology(ANTI_HBS, "pos"), serology(HBSAG, "neg"), HBC_NEG),
        "not-met",
        basis="explicit",
    ),
    Case("T-HBV-02", HBV, minimal(lab("16935-9", 350, "m[IU]/mL", high=10, on=DAY)), "unknown"),
    Case("T-HBV-03", HBV, minimal(serology(HBSAG, "reactive")), "met", basis="explicit", overall="excluded"),
    Case("T-HBV-04", HBV, minimal(serology(HBSAG, "neg"), serology(ANTI_HBC, "pos")), "unknown"),
    Case(
        "T-HBV-05",
        HBV,
        minimal(serology(HBSAG, "neg"), serology(ANTI_HBC, "pos"), serology(HBV_DNA, "detected")),
        "met",
    ),
    # "not evidence": the row stays as without the finding, no HBsAg having been done.
    Case(
        "T-HBV-06",
        HBV,
        minimal(condition(snomed("271511000", "Hepatitis B immune"))),
        "unknown",
        ("missing-data",),
    ),
    Case("T-HBV-07", HBV, minimal(serology(HBSAG, "neg", on="2026-02-15")), "unknown", ("stale-data",)),
    Case("T-HBV-08", HBV, minimal(vaccine("2026-05-15"), serology(HBSAG, "pos", on=DAY)), "unknown"),
    # "negative": HBsAg negative and anti-HBc not done is not-met with an advisory.
    Case(
        "T-HBV-09", HBV, minimal(observation(HBSAG, value_text("Não reagente"), on=DAY)), "not-met", note=True
    ),
    Case(
        "T-HBV-10",
        HBV,
        minimal(condition(cid10("B18.1"), verification="refuted"), serology(HBSAG, "neg")),
        "not-met",
    ),
    Case(
        "T-HBV-11",
        HBV,
        minimal(serology(HBSAG, "pos", on="2024-02"), serology(HBSAG, "neg", on=DAY)),
        "unknown",
        ("conflicting-data",),
    ),
    Case("T-HBV-12", HBV, minimal(serology(HBEAG, "pos")), "met"),
    Case("T-HBV-13", HBV, minimal(serology(HBSAG, "ind"), HBC_NEG), "unknown"),
    Case(
        "T-HBV-14",
        HBV,
        minimal(observation(HBSAG, on=DAY, interpretation_code="NEG"), HBC_NEG),
        "not-met",
    ),
    Case(
        "T-HBV-15",
        HBV,
        minimal(observation(HBSAG, value_text("Não-reagente"), on=DAY), HBC_NEG),
        "not-met",
    ),
    Case("T-HBV-16", HBV, minimal(vaccine("2026-05-06"), serology(HBSAG, "pos", on=DAY)), "met"),
]

HEPATITIS_C = [
    Case("T-HCV-01", HCV, minimal(serology(HCV_AB, "nonreactive")), "not-met", basis="explicit"),
    Case("T-HCV-02", HCV, minimal(serology(HCV_AB, "reactive")), "unknown"),
    Case(
        "T-HCV-03",
        HCV,
        minimal(
            serology(HCV_AB, "reactive"), observation(HCV_LOAD, value_quantity(1.2e6, "[IU]/mL"), on=DAY)
        ),
        "met",
    ),
    Case(
        "T-HCV-04",
        HCV,
        minimal(
            condition(cid10("B18.2"), recorded="2020-01-15"), serology(HCV_RNA, "not-detected", on="2026-05")
        ),
        "unknown",
    ),
    # "negative": RNA not detected alone is not-met, with the advice to test the antibody.
    Case(
        "T-HCV-05",
        HCV,
        minimal(observation(HCV_LOAD, value_text("<15 IU/mL, not detected"), on=DAY)),
        "not-met",
        note=True,
    ),
    Case("T-HCV-06", HCV, minimal(observation(HCV_LOAD, value_text("<15 IU/mL"), on=DAY)), "unknown"),
    Case(
        "T-HCV-07",
        HCV,
        minimal(
            serology(HCV_RNA, "detected", on="2023-04-01"), serology(HCV_RNA, "not-detected", on="2026-05")
        ),
        "unknown",
    ),
    Case("T-HCV-08", HCV, minimal(lab("48159-8", 0.10, "{s_co_ratio}", high=1.0, on=DAY)), "not-met"),
]

HIVS = [
    Case("T-HIV-01", HIV, minimal(serology(HIV_SCREEN, "nonreactive")), "not-met", basis="explicit"),
    Case("T-HIV-02", HIV, minimal(serology(HIV_SCREEN, "reactive")), "unknown"),
    Case(
        "T-HIV-03",
        HIV,
        minimal(
            serology(HIV_SCREEN, "reactive"),
            observation(HIV_LOAD, value_quantity(40000, "{copies}/mL"), on=DAY),
        ),
        "met",
    ),
    # "not evidence": nothing but a screening encounter leaves the row without data.
    Case("T-HIV-04", HIV, minimal(condition(icd10cm("Z11.4"))), "unknown", ("missing-data",)),
    Case(
        "T-HIV-05",
        HIV,
        minimal(
            medication_request(rxnorm("1744001", "emtricitabine / tenofovir alafenamide"), text="PrEP"),
            serology(HIV_SCREEN, "neg"),
        ),
        "not-met",
    ),
    Case(
        "T-HIV-06",
        HIV,
        minimal(
            condition(icd10cm("B20"), clinical="resolved", recorded="2015-02-01"),
            serology(HIV_LOAD, "not-detected"),
        ),
        "met",
    ),
    Case(
        "T-HIV-07",
        HIV,
        minimal(
            serology(HIV_SCREEN, "reactive"),
            serology(HIV_CONFIRM, "neg"),
            serology(HIV_LOAD, "not-detected"),
        ),
        "not-met",
    ),
    Case(
        "T-HIV-08",
        HIV,
        minimal(
            serology(HIV_LOAD, "detected", on="2022-03-01"), serology(HIV_LOAD, "not-detected", on="2026-05")
        ),
        "met",
    ),
]

HTLVS = [
    Case("T-HTLV-01", HTLV, minimal(serology(HTLV_SCREEN, "neg")), "not-met", basis="explicit"),
    Case("T-HTLV-02", HTLV, minimal(serology("29901-6", "reactive")), "unknown"),
    Case("T-HTLV-03", HTLV, minimal(serology(HTLV_CONFIRM, "pos")), "met"),
    Case("T-HTLV-04", HTLV, minimal(), "unknown", ("missing-data",)),
    Case("T-HTLV-05", HTLV, minimal(condition(cid10("G04.1"))), "met", others=(("EX05-OtherNeuro", "met"),)),
    Case(
        "T-HTLV-06",
        HTLV,
        minimal(condition(icd10cm("G04.1"))),
        "unknown",
        others=(("EX05-OtherNeuro", "met"),),
    ),
    Case(
        "T-HTLV-07",
        HTLV,
        minimal(serology(HTLV_SCREEN, "reactive"), serology(HTLV_CONFIRM, "ind")),
        "unknown",
    ),
]

SYPHILES = [
    Case("T-SYP-01", SYP, minimal(serology(VDRL, "nonreactive"), serology(TREPONEMAL, "neg")), "not-met"),
    Case(
        "T-SYP-02",
        SYP,
        minimal(observation(VDRL_TITRE, value_text("1:32"), on=DAY), serology(FTA, "pos")),
        "met",
    ),
    Case(
        "T-SYP-03",
        SYP,
        minimal(
            observation(VDRL_TITRE, value_text("1:2"), on=DAY),
            serology(TREPONEMAL, "pos"),
            condition(snomed("76272004", "Syphilis"), clinical="resolved", onset="2015"),
        ),
        "unknown",
    ),
    Case(
        "T-SYP-04",
        SYP,
        minimal(observation(VDRL_TITRE, value_text("1:2"), on=DAY), serology(TREPONEMAL, "neg")),
        "not-met",
        note=True,
    ),
    Case("T-SYP-05", SYP, minimal(serology(VDRL, "reactive")), "unknown"),
    # The set holds VDRL "in Specimen" (14904-7): what the specimen is stands in Observation.specimen.
    Case(
        "T-SYP-06",
        SYP,
        minimal(serology("14904-7", "nonreactive", specimen={"display": "Cerebrospinal fluid"})),
        "unknown",
        ("missing-data",),
    ),
    Case(
        "T-SYP-07",
        SYP,
        minimal(
            observation(VDRL_TITRE, value_text("1:16"), on="2016-04-02"),
            serology(VDRL, "nonreactive", on=DAY),
            serology(TREPONEMAL, "pos"),
        ),
        "unknown",
    ),
    Case("T-SYP-08", SYP, minimal(serology(SYPHILIS_COMBINED, "pos")), "unknown"),
]

CASES = [*HEPATITIS_B, *HEPATITIS_C, *HIVS, *HTLVS, *SYPHILES]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


def test_anti_hbs_alone_hints_at_immunity_and_never_at_infection() -> None:
    """T-HBV-02 with the table's hint: likely not-met."""
    immune = minimal(lab("16935-9", 350, "m[IU]/mL", high=10, on=DAY))
    check(Case("T-HBV-02b", HBV, immune, "unknown", ("missing-data",), likely="not-met"))
    flagged = minimal(
        lab(
            "16935-9", 350, "m[IU]/mL", on=DAY, interpretation_code="H", ranges=[reference_range(text="> 10")]
        )
    )
    check(Case("T-HBV-02c", HBV, flagged, "unknown"))
