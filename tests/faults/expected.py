"""What must hold of an answer when some resource types could not be got, by the clinical specification.

Which criteria need which type stands here as §2.10 of the specification has it, apart from what the code derives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cds_service.screening import Screener
from tests.contract.hook_requests import TRIAL
from tests.properties.records import essence
from tests.support.chart_server import Json
from tests.support.faults import MARK
from tests.trials.criteria import EXCLUSIONS, TIER_A

NOT_GOT: Final = ("failed", "truncated", "refused")
_INFECTIONS: Final = ("EX08a-HepatitisB", "EX08b-HepatitisC", "EX08c-Hiv", "EX08d-Htlv", "EX08e-Syphilis")
_AIDS: Final = ("EX13a-Niv", "EX13b-Tracheostomy", "EX13c-DiaphragmPacing")
_BLOOD: Final = (
    "EX03a-Autoimmune",
    "EX03b-Myeloproliferative",
    "EX03c-Myelodysplastic",
    "EX03d-Leukemia",
    "EX03e-Lymphoma",
)
_DRUGS: Final = ("EX01-PriorCellTherapy", "EX09-Immunosuppressant", "EX14a-SubstanceUse")
# Resource type → criteria that can't be decided without it (§2.10; IN07, EX02 and EX03i are people's to decide).
NEEDED_BY: Final[Mapping[str, tuple[str, ...]]] = {
    "Condition": (
        "H1-Condition",
        "IN02-ElEscorial",
        "EX01-PriorCellTherapy",
        *_BLOOD,
        "EX03g-HipFracture",
        "EX03h-SevereScoliosis",
        "EX05-OtherNeuro",
        *_INFECTIONS,
        "EX10a-Pregnancy",
        "EX10b-Breastfeeding",
        "EX11-Immunodeficiency",
        "EX12-OtherTrial",
        *_AIDS,
        "EX14a-SubstanceUse",
        "EX15-AlternativeFeeding",
    ),
    "Observation": (
        "IN02-ElEscorial",
        "IN03-AlsfrsR",
        "IN04-Fvc",
        "EX06-AstAlt",
        "EX07-Creatinine",
        *_INFECTIONS,
        "EX10a-Pregnancy",
        "EX10b-Breastfeeding",
        "EX13a-Niv",
        "EX14a-SubstanceUse",
        "EX15-AlternativeFeeding",
    ),
    "DiagnosticReport": ("IN04-Fvc",),
    "Procedure": (
        "EX01-PriorCellTherapy",
        "EX03f-WholeBodyIrradiation",
        "EX10a-Pregnancy",
        *_AIDS,
        "EX15-AlternativeFeeding",
    ),
    "MedicationRequest": _DRUGS,
    "MedicationStatement": _DRUGS,
    "MedicationAdministration": _DRUGS,
    "MedicationDispense": _DRUGS,
    "Consent": ("IN07-ConsentCapacity",),
    "Immunization": ("EX08a-HepatitisB",),
    "ResearchSubject": ("EX12-OtherTrial",),
    "QuestionnaireResponse": ("IN03-AlsfrsR",),
    "ServiceRequest": ("EX01-PriorCellTherapy", *_AIDS, "EX15-AlternativeFeeding"),
    "DeviceUseStatement": (*_AIDS, "EX15-AlternativeFeeding"),
    "DeviceRequest": (*_AIDS, "EX15-AlternativeFeeding"),
    "Device": (*_AIDS, "EX15-AlternativeFeeding"),
    "SupplyDelivery": _AIDS,
    "NutritionOrder": ("EX15-AlternativeFeeding",),
}


def rows(assessment: Mapping[str, Any]) -> dict[str, Json]:
    return {row["id"]: row for row in assessment["criteria"]}


def status_of(assessment: Mapping[str, Any], *, deceased: bool = False) -> str:
    """The overall status that the verdicts give, by §1.2."""
    found = rows(assessment)
    if deceased:
        return "not-applicable"
    if any(row["status"] == ("met" if name in EXCLUSIONS else "not-met") for name, row in found.items()):
        return "excluded"
    for name, row in found.items():
        if row["status"] == "unknown" and (
            name in TIER_A or {"retrieval-failed", "not-computed"} & set(row["reasons"])
        ):
            return "unknown"
    return "eligible-pending-review"


def may_need(screener: Screener, kind: str) -> set[str]:
    """The criteria that may be unknown for want of a type: by the specification, by their defines, or because it may
    hold a coordinator's answer.
    """
    loaded = screener.catalog.get(TRIAL)
    found = {c for c, kinds in loaded.needs.by_criterion.items() if kind in kinds} | set(
        NEEDED_BY.get(kind, ())
    )
    for criterion in loaded.trial.criteria:
        if criterion.lazy or (kind == "QuestionnaireResponse" and criterion.attestable):
            found.add(criterion.id)
    return found


def check_same(full: Json, assessment: Json | None) -> None:
    """The answer is that of the full data."""
    assert assessment is not None
    assert essence(assessment) == essence(full)
    assert {
        kind: got["state"] for kind, got in assessment["data"].items() if got["state"] != "complete"
    } == {}
    # What was dropped, or may be withheld, is told beside.
    assert set(full["warnings"]) <= set(assessment["warnings"])


def check_honest(full: Json, assessment: Json, *, kind: str | None = None) -> None:
    """Every verdict is the full data's, or unknown; what is unknown says that data are missing."""
    before, after = rows(full), rows(assessment)
    assert list(after) == list(before)
    for name, row in after.items():
        then = before[name]
        if (row["status"], row["basis"]) == (then["status"], then["basis"]):
            continue
        assert row["status"] == "unknown", (name, then["status"], row)
        assert "retrieval-failed" in row["reasons"], (name, row)
    assert assessment["status"] == status_of(assessment)
    if full["status"] != "eligible-pending-review":
        assert assessment["status"] != "eligible-pending-review"


def check_lost(screener: Screener, full: Json, assessment: Json, kind: str) -> None:
    """One type was not got whole: what needs it is unknown and says so, all else is as with the full data."""
    check_honest(full, assessment)
    before, after = rows(full), rows(assessment)
    for name in NEEDED_BY[kind]:
        assert after[name]["status"] == "unknown", (name, after[name])
        assert "retrieval-failed" in after[name]["reasons"], (name, after[name])
        assert any(kind in note for note in after[name]["notes"]), (name, after[name]["notes"])
    for name in before.keys() - may_need(screener, kind):
        assert after[name] == before[name], name
    got = assessment["data"][kind]
    assert got["state"] in NOT_GOT
    assert got["reason"]
    assert len(got["reason"]) <= 80
    assert MARK not in got["reason"].lower()
    others = {k: g["state"] for k, g in assessment["data"].items() if k != kind and g["state"] != "complete"}
    assert others == {}
    assert any(kind in warning for warning in assessment["warnings"])
