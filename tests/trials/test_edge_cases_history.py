"""Edge cases of the specification, row by row: EX01 (prior cell therapy) and EX03a to EX03h (personal history)."""

from __future__ import annotations

import pytest

from tests.builders import (
    TRIAL_OBSERVATIONS,
    cid10,
    coding,
    concept,
    condition,
    family_member_history,
    icd10cm,
    icd10pcs,
    medication_administration,
    medication_request,
    minimal,
    observation,
    procedure,
    rxnorm,
    snomed,
    value_quantity,
    value_text,
)
from tests.trials.assessing import Case, check, criterion

CEL = "EX01-PriorCellTherapy"
AI = "EX03a-Autoimmune"
MPN, MDS, LEU, LYM = (
    "EX03b-Myeloproliferative",
    "EX03c-Myelodysplastic",
    "EX03d-Leukemia",
    "EX03e-Lymphoma",
)
TBI, HIP, SCO = "EX03f-WholeBodyIrradiation", "EX03g-HipFracture", "EX03h-SevereScoliosis"

MARROW = snomed("58776007", "Autologous bone marrow transplant (procedure)")
RA = snomed("69896004", "Rheumatoid arthritis (disorder)")
RADIOTHERAPY = snomed("108290001", "Radiation oncology AND/OR radiotherapy (procedure)")
WHOLE_BODY = concept(snomed("38266002", "Entire body as a whole (body structure)"))
SCOLIOSIS = snomed("298382003", "Scoliosis deformity of spine (disorder)")
COBB = coding(TRIAL_OBSERVATIONS, "cobb-angle")

CELLS = [
    Case(
        "T-CEL-01",
        CEL,
        minimal(procedure(MARROW, on="2012")),
        "met",
        basis="explicit",
        overall="excluded",
        evidence=("pat-1-procedure-1",),
    ),
    Case(
        "T-CEL-02",
        CEL,
        minimal(procedure(MARROW, on="2012", status="not-done")),
        "not-met",
        basis="no-evidence",
    ),
    Case("T-CEL-03", CEL, minimal(condition(icd10cm("Z92.858"))), "met", basis="explicit"),
    Case("T-CEL-04", CEL, minimal(procedure(icd10pcs("07DR3ZX"), on="2025-03-01")), "not-met"),
    Case(
        "T-CEL-05",
        CEL,
        minimal(procedure(snomed("116859006", "Transfusion of red blood cells"), on="2025-03-01")),
        "not-met",
    ),
    Case(
        "T-CEL-06",
        CEL,
        minimal(procedure(snomed("397554006", "Limbal stem cell transplantation"), on="2019")),
        "unknown",
    ),
    Case(
        "T-CEL-07",
        CEL,
        minimal(procedure(text="células-tronco na Tailândia 2023")),
        "unknown",
        ("text-only",),
        likely="met",
    ),
    Case(
        "T-CEL-08",
        CEL,
        minimal(medication_administration(rxnorm("2700765", "remestemcel-L"), on="2024-04-01")),
        "met",
    ),
    Case(
        "T-CEL-09",
        CEL,
        minimal(medication_request(rxnorm("1986438", "tisagenlecleucel"))),
        "unknown",
        note="ordered",
    ),
]

AUTOIMMUNE = [
    Case(
        "T-AI-01",
        AI,
        minimal(condition(snomed("9014002", "Psoriasis (disorder)"))),
        "met",
        ("boundary",),
        basis="explicit",
        overall="excluded",
    ),
    Case("T-AI-02", AI, minimal(condition(RA, clinical="remission")), "met", no_reasons=("boundary",)),
    Case("T-AI-03", AI, minimal(condition(cid10("E11", "Type 2 diabetes mellitus"))), "not-met"),
    Case("T-AI-04", AI, minimal(condition(RA, verification="refuted")), "not-met", basis="no-evidence"),
    Case("T-AI-05", AI, minimal(family_member_history(RA)), "not-met"),
    Case("T-AI-06", AI, minimal(condition(icd10cm("M35.7", "Hypermobility syndrome"))), "not-met"),
    Case("T-AI-07", AI, minimal(condition(icd10cm("G35.A"))), "met", no_reasons=("boundary",)),
    Case("T-AI-08", AI, minimal(condition(snomed("31541009", "Sarcoidosis"))), "unknown"),
    Case("T-AI-09", AI, minimal(observation("8061-4", value_text("1:320"))), "not-met"),
    Case(
        "T-AI-10",
        AI,
        minimal(condition(snomed("55464009"), verification="provisional")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("T-AI-11", AI, minimal(condition(cid10("M30.3"))), "unknown"),
]

BLOOD = [
    Case(
        "T-HEM-01",
        LYM,
        minimal(condition(snomed("118601006"), clinical="remission", abatement="2009")),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case("T-HEM-02", LEU, minimal(condition(cid10("Z85.6"))), "met"),
    Case("T-HEM-03", LEU, minimal(condition(icd10cm("Z80.6", "Family history of leukemia"))), "not-met"),
    Case("T-HEM-04", MPN, minimal(condition(snomed("63364005"))), "met", others=((LEU, "met"),)),
    Case("T-HEM-05", LYM, minimal(condition(snomed("109989006", "Multiple myeloma"))), "unknown"),
    Case("T-HEM-06", MPN, minimal(condition(cid10("D47.3"))), "met"),
    Case(
        "T-HEM-07",
        MDS,
        minimal(condition(snomed("109995007"), verification="differential")),
        "unknown",
        ("unverified-condition",),
    ),
    Case("T-HEM-08", LYM, minimal(condition(icd10cm("Z85.3"))), "not-met"),
    Case("T-HEM-09", LEU, minimal(condition(icd10cm("C92.1"))), "met", others=((MPN, "met"),)),
    Case(
        "T-HEM-10",
        LYM,
        minimal(condition(text="linfoma no estômago")),
        "unknown",
        ("text-only",),
        likely="met",
    ),
    Case(
        "T-HEM-11",
        LYM,
        minimal(condition(text="Nega linfoma")),
        "not-met",
        basis="no-evidence",
        note="negated text",
    ),
]

IRRADIATION = [
    Case(
        "T-TBI-01",
        TBI,
        minimal(procedure(RADIOTHERAPY, on="2001", body_site=WHOLE_BODY)),
        "met",
        basis="explicit",
    ),
    Case(
        "T-TBI-02",
        TBI,
        minimal(
            procedure(RADIOTHERAPY, on="2015", body_site=concept(snomed("76752008", "Breast structure")))
        ),
        "not-met",
    ),
    Case("T-TBI-03", TBI, minimal(condition(icd10cm("Z92.3"))), "unknown", ("ambiguous-code",)),
    Case(
        "T-TBI-04",
        TBI,
        minimal(
            procedure(snomed("443271005", "Whole body PET"), on="2025-01-01", body_site=WHOLE_BODY),
            procedure(text="Cintilografia óssea de corpo inteiro", on="2025-02-01"),
        ),
        "not-met",
    ),
    Case("T-TBI-05", TBI, minimal(procedure(RADIOTHERAPY, on="2015")), "unknown", ("ambiguous-code",)),
]

HIPS = [
    Case(
        "T-HIP-01",
        HIP,
        minimal(condition(icd10cm("S72.001A"), onset="2004", clinical="resolved")),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case(
        "T-HIP-02", HIP, minimal(condition(snomed("359817006"), verification="entered-in-error")), "not-met"
    ),
    Case("T-HIP-03", HIP, minimal(condition(snomed("445501000124107"))), "not-met"),
    Case("T-HIP-04", HIP, minimal(condition(icd10cm("S72.301A"))), "not-met"),
    Case("T-HIP-05", HIP, minimal(condition(icd10cm("Z87.81"), text="fratura de punho")), "not-met"),
    Case(
        "T-HIP-06",
        HIP,
        minimal(
            condition(icd10cm("Z96.641", "Presence of right artificial hip joint")),
            procedure(
                snomed("52734007", "Total replacement of hip"),
                on="2018",
                reasonCode=[concept(cid10("M16.1", "Other primary coxarthrosis"))],
            ),
        ),
        "not-met",
    ),
    Case("T-HIP-07", HIP, minimal(condition(icd10cm("S72.141S"))), "met"),
    Case("T-HIP-08", HIP, minimal(condition(icd10cm("M84.351"))), "unknown", ("ambiguous-code",)),
]

SCOLIOSES = [
    Case("T-SCO-01", SCO, minimal(condition(cid10("M41.9"))), "unknown"),
    Case(
        "T-SCO-02",
        SCO,
        minimal(condition(SCOLIOSIS, severity=concept(snomed("24484000", "Severe")))),
        "met",
        basis="explicit",
        overall="excluded",
    ),
    Case("T-SCO-03", SCO, minimal(observation(COBB, value_quantity(20, "deg"), on="2019-04-01")), "not-met"),
    Case("T-SCO-04", SCO, minimal(), "not-met", basis="no-evidence"),
    Case(
        "T-SCO-05",
        SCO,
        minimal(condition(SCOLIOSIS, severity=concept(snomed("6736007", "Moderate")))),
        "not-met",
    ),
]

CASES = [*CELLS, *AUTOIMMUNE, *BLOOD, *IRRADIATION, *HIPS, *SCOLIOSES]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.id)
def test_edge_case(case: Case) -> None:
    check(case)


def test_past_breast_cancer_hints_at_another_disease() -> None:
    """T-HEM-08: not lymphoma, but a hint for EX04."""
    (case,) = [case for case in CASES if case.id == "T-HEM-08"]
    notes = criterion(check(case), "EX04-OtherInterferingDisease")["notes"]
    assert any("past malignancy" in note for note in notes)


def test_psoriasis_alone_excludes_unless_the_investigator_rules_otherwise() -> None:
    """T-AI-01: an exclusion that rests only on a boundary is shown (§1.2)."""
    (case,) = [case for case in CASES if case.id == "T-AI-01"]
    assert check(case)["card"] is True
