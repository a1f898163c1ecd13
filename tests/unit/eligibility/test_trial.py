"""The trial package as data: what is read, and what a wrong file is told."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest
from fhir.resources.R4B.questionnaire import Questionnaire

from cds_service.eligibility.questionnaire import attestation_questionnaire
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.errors import AuthoringError
from tests.trials.criteria import CRITERIA

SOURCE = files("cds_service") / "trials" / "nct02917681" / "trial.toml"
TIER_A = {
    "H1",
    "H2",
    "IN01",
    "IN02",
    "IN03",
    "IN04",
    "EX06",
    "EX07",
    "EX08a",
    "EX08b",
    "EX08c",
    "EX08d",
    "EX08e",
    "EX10a",
}
TIER_C = {"IN05", "IN06", "IN07", "IN08", "EX02", "EX03i", "EX04", "EX14b", "EX16", "H3"}


@pytest.fixture(scope="module")
def trial() -> Trial:
    return read_trial(SOURCE)


def test_the_criteria_are_those_of_the_specification_in_its_order(trial: Trial) -> None:
    assert tuple(c.id for c in trial.criteria) == CRITERIA
    assert len(CRITERIA) == 43


def test_three_headline_eight_inclusion_sixteen_exclusion_rows(trial: Trial) -> None:
    kinds = [row.kind for row in trial.rows]
    assert [kinds.count(kind) for kind in ("headline", "inclusion", "exclusion")] == [3, 8, 16]


def test_tiers_are_those_of_the_specification(trial: Trial) -> None:
    tiers = {c.id.split("-")[0]: c.tier for c in trial.criteria}
    assert {name for name, tier in tiers.items() if tier == "A"} == TIER_A
    assert {name for name, tier in tiers.items() if tier == "C"} == TIER_C


@pytest.mark.parametrize(
    ("name", "days"),
    [
        ("H1-Condition", None),
        ("IN02-ElEscorial", None),
        ("EX01-PriorCellTherapy", None),
        ("EX03h-SevereScoliosis", None),
        ("EX03i-ProcedureIncapacity", 30),
        ("EX11-Immunodeficiency", None),
        ("EX10a-Pregnancy", 7),
        ("IN03-AlsfrsR", 30),
        ("IN04-Fvc", 90),
        ("EX08c-Hiv", 90),
        ("EX09-Immunosuppressant", 30),
        ("IN05-NoPregnancyAgreement", 30),
    ],
)
def test_attestations_hold_as_long_as_the_specification_says(
    trial: Trial, name: str, days: int | None
) -> None:
    assert trial.criterion(name).attestation_days == days


def test_the_registry_warning_stands_until_the_site_confirms(trial: Trial) -> None:
    assert trial.registry.warning is not None
    assert trial.registry.warning.startswith("Registry status UNKNOWN, last verified 2016")


def test_the_questionnaire_is_valid_fhir_and_asks_each_criterion_that_people_can_answer(trial: Trial) -> None:
    questionnaire = attestation_questionnaire(trial)
    Questionnaire.model_validate(questionnaire)
    asked = [item["linkId"] for group in questionnaire["item"] for item in group["item"]]
    assert asked == [i for i in CRITERIA if i not in ("H2-Age", "H3-Gender", "EX16-MscExpansionFailure")]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('id = "nct02917681"', "id = 3", "trial.toml.id: str wanted"),
        ('nct = "NCT02917681"\n', "", "trial.toml: nct is missing"),
        ('tier = "A"', 'tier = "Z"', "'Z' is none of A, B, C"),
        ('group = "H1"', 'group = "H9"', "group 'H9' is no row"),
        ("lazy = true", "lazzy = true", "unknown keys ['lazzy']"),
        ('same_as = "IN01-Age"', 'same_as = "IN99"', "which is no criterion"),
        ('orders = ["82954-9"]', 'orders = ["1-8"]', "orders that stand nowhere"),
        ("[gate]", "[gate", "not readable as TOML"),
        ('id = "IN01-Age"', 'id = "H1-Condition"', "stand twice"),
    ],
)
def test_a_wrong_file_is_refused_with_the_place(tmp_path: Path, old: str, new: str, told: str) -> None:
    text = SOURCE.read_text(encoding="utf-8")
    assert old in text
    wrong = tmp_path / "trial.toml"
    wrong.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(AuthoringError, match=told.replace("[", r"\[")):
        read_trial(wrong)
