"""What each criterion needs of a chart, by the clinical specification (§2.10), apart from what the code derives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ANSWERS: Final = "QuestionnaireResponse"
MEDICATIONS: Final = "MedicationRequest MedicationStatement MedicationAdministration MedicationDispense"
_DEVICES: Final = "Procedure Condition DeviceUseStatement Device DeviceRequest ServiceRequest SupplyDelivery"
# The column "resources" of §2.10, row by row. What it lists for a whole row stands at the part that reads it; the
# Patient is always there, and QuestionnaireResponse stands only where its answers are data: as attestations they bear
# on every row (§1.3). Otherwise than there:
# - IN05, IN08, EX16 are for people only: nothing is computed from CareTeam or from a signed agreement;
# - Encounter gives hints only (§2.1), and what only hints at an answer opens no row (EX04, EX12, EX14);
# - IN07's and EX02's evidence, of tier C, is read, and so is not called absent where it could not be;
# - EX09 also reads the Conditions that say "long-term use of immunosuppressants";
# - answers to ALSFRS-R in a QuestionnaireResponse are data of EX02 (orthopnoea), EX13a (respiratory insufficiency) and
#   EX15 (cutting food with a gastrostomy), as of IN03.
NEEDS: Final[Mapping[str, str]] = {
    "H1-Condition": "Condition",
    "H2-Age": "",
    "IN01-Age": "",
    "H3-Gender": "",
    "IN02-ElEscorial": "Observation Condition",
    "IN03-AlsfrsR": "Observation QuestionnaireResponse",
    "IN04-Fvc": "Observation DiagnosticReport",
    "IN05-NoPregnancyAgreement": "",
    "IN06-RegionalAccess": "",
    "IN07-ConsentCapacity": "Consent Condition Observation",
    "IN08-LocalFollowUp": "",
    "EX01-PriorCellTherapy": f"Procedure Condition ServiceRequest {MEDICATIONS}",
    "EX02-CannotLieStill": f"Condition Observation {ANSWERS}",
    **dict.fromkeys(
        (
            "EX03a-Autoimmune",
            "EX03b-Myeloproliferative",
            "EX03c-Myelodysplastic",
            "EX03d-Leukemia",
            "EX03e-Lymphoma",
            "EX03f-WholeBodyIrradiation",
            "EX03g-HipFracture",
        ),
        "Condition Procedure",
    ),
    "EX03h-SevereScoliosis": "Condition Observation",
    "EX03i-ProcedureIncapacity": "Condition MedicationRequest MedicationStatement",
    "EX04-OtherInterferingDisease": "Condition",
    "EX05-OtherNeuro": "Condition",
    "EX06-AstAlt": "Observation",
    "EX07-Creatinine": "Observation",
    "EX08a-HepatitisB": "Observation Condition Immunization",
    **dict.fromkeys(
        ("EX08b-HepatitisC", "EX08c-Hiv", "EX08d-Htlv", "EX08e-Syphilis"), "Observation Condition"
    ),
    "EX09-Immunosuppressant": f"Condition {MEDICATIONS}",
    "EX10a-Pregnancy": "Observation Condition Procedure",
    "EX10b-Breastfeeding": "Observation Condition",
    "EX11-Immunodeficiency": "Condition",
    "EX12-OtherTrial": "ResearchSubject Condition",
    "EX13a-Niv": f"Observation {ANSWERS} {_DEVICES}",
    "EX13b-Tracheostomy": _DEVICES,
    "EX13c-DiaphragmPacing": _DEVICES,
    "EX14a-SubstanceUse": f"Condition Observation {MEDICATIONS}",
    "EX14b-UnstableMentalHealth": "Condition",
    "EX15-AlternativeFeeding": f"Observation {ANSWERS} NutritionOrder {_DEVICES}",
    "EX16-MscExpansionFailure": "",
}
