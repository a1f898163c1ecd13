"""The FHIR Questionnaire that asks what only people know: one item a criterion (clinical-spec §1.3).

The answers come back as a QuestionnaireResponse whose linkIds are the criterion ids; `attestation` reads them.
"""

from __future__ import annotations

from typing import Any, Final

from cds_service.eligibility.trial import Trial
from cds_service.terminology.systems import CANONICAL

QUESTIONNAIRE: Final = f"{CANONICAL}/Questionnaire/eligibility-attestation"
ANSWERS: Final = f"{CANONICAL}/CodeSystem/attestation-answer"
ANSWER_DISPLAYS: Final = {
    "yes": "Yes: the statement is true",
    "no": "No: the statement is not true",
    "unsure": "Unsure: needs a clinician",
}
_KIND_TITLES: Final = {
    "headline": "Condition and age",
    "inclusion": "Inclusion criteria",
    "exclusion": "Exclusion criteria",
}


def attestation_questionnaire(trial: Trial) -> dict[str, Any]:
    """The trial's attestation Questionnaire (FHIR R4 JSON), its items grouped as the protocol groups its rows.

    Every item states the criterion; `yes` means that the statement is true, for inclusions and exclusions alike.
    """
    groups = []
    for kind, title in _KIND_TITLES.items():
        items = [
            _item(criterion.id, criterion.label, criterion.question)
            for criterion in trial.criteria
            if criterion.kind == kind and criterion.attestable and criterion.asked
        ]
        if items:
            groups.append({"linkId": kind, "text": title, "type": "group", "item": items})
    return {
        "resourceType": "Questionnaire",
        "id": "eligibility-attestation",
        "url": QUESTIONNAIRE,
        "version": trial.version,
        "name": "EligibilityAttestation",
        "title": f"{trial.short_title}: what only people know",
        "status": "active",
        "subjectType": ["Patient"],
        "description": (
            f"Attestation of eligibility criteria of {trial.nct}. Yes means that the criterion's statement is true, "
            "for inclusion and exclusion criteria alike."
        ),
        "item": groups,
    }


def _item(criterion_id: str, statement: str, question: str | None) -> dict[str, Any]:
    item: dict[str, Any] = {
        "linkId": criterion_id,
        "text": statement,
        "type": "choice",
        "required": False,
        "repeats": False,
        "answerOption": [
            {"valueCoding": {"system": ANSWERS, "code": code, "display": display}}
            for code, display in ANSWER_DISPLAYS.items()
        ],
    }
    if question:
        item["item"] = [{"linkId": f"{criterion_id}.help", "text": question, "type": "display"}]
    return item
