"""The 43 rows of the trial NCT02917681 in the specification's order (§2.10)."""

from __future__ import annotations

from typing import Final

CRITERIA: Final = (
    "H1-Condition",
    "H2-Age",
    "IN01-Age",
    "H3-Gender",
    "IN02-ElEscorial",
    "IN03-AlsfrsR",
    "IN04-Fvc",
    "IN05-NoPregnancyAgreement",
    "IN06-RegionalAccess",
    "IN07-ConsentCapacity",
    "IN08-LocalFollowUp",
    "EX01-PriorCellTherapy",
    "EX02-CannotLieStill",
    "EX03a-Autoimmune",
    "EX03b-Myeloproliferative",
    "EX03c-Myelodysplastic",
    "EX03d-Leukemia",
    "EX03e-Lymphoma",
    "EX03f-WholeBodyIrradiation",
    "EX03g-HipFracture",
    "EX03h-SevereScoliosis",
    "EX03i-ProcedureIncapacity",
    "EX04-OtherInterferingDisease",
    "EX05-OtherNeuro",
    "EX06-AstAlt",
    "EX07-Creatinine",
    "EX08a-HepatitisB",
    "EX08b-HepatitisC",
    "EX08c-Hiv",
    "EX08d-Htlv",
    "EX08e-Syphilis",
    "EX09-Immunosuppressant",
    "EX10a-Pregnancy",
    "EX10b-Breastfeeding",
    "EX11-Immunodeficiency",
    "EX12-OtherTrial",
    "EX13a-Niv",
    "EX13b-Tracheostomy",
    "EX13c-DiaphragmPacing",
    "EX14a-SubstanceUse",
    "EX14b-UnstableMentalHealth",
    "EX15-AlternativeFeeding",
    "EX16-MscExpansionFailure",
)
HEADLINES: Final = frozenset(c for c in CRITERIA if c.startswith("H"))
INCLUSIONS: Final = frozenset(c for c in CRITERIA if c.startswith("IN"))
EXCLUSIONS: Final = frozenset(c for c in CRITERIA if c.startswith("EX"))
TIER_A: Final = frozenset(
    {
        "H1-Condition",
        "H2-Age",
        "IN01-Age",
        "IN02-ElEscorial",
        "IN03-AlsfrsR",
        "IN04-Fvc",
        "EX06-AstAlt",
        "EX07-Creatinine",
        "EX08a-HepatitisB",
        "EX08b-HepatitisC",
        "EX08c-Hiv",
        "EX08d-Htlv",
        "EX08e-Syphilis",
        "EX10a-Pregnancy",
    }
)
# What only people know: unknown of whatever record.
HUMAN: Final = frozenset(
    {
        "IN05-NoPregnancyAgreement",
        "IN06-RegionalAccess",
        "IN07-ConsentCapacity",
        "IN08-LocalFollowUp",
        "EX02-CannotLieStill",
        "EX03i-ProcedureIncapacity",
        "EX04-OtherInterferingDisease",
        "EX14b-UnstableMentalHealth",
        "EX16-MscExpansionFailure",
    }
)
