"""What a trial needs to read: derived from its ELM, and what its description may say of it."""

from __future__ import annotations

import json
from collections.abc import Set
from pathlib import Path
from typing import Any

import pytest

from cds_service.eligibility.needs import LoadedNeeds
from cds_service.errors import AuthoringError
from cds_service.records.wanted import Wanted
from cds_service.screening import Screener
from cds_service.terminology import systems
from tests.support.tiny_trials import ICD10, exists, retrieve, write_tiny_trial

TRIAL = "nct02917681"
DIABETES = retrieve("Condition", codes=[(ICD10, "E11")])

# Clinical specification §2.10, column "resources", as it stands there; Patient.address and Condition.stage by type,
# Medication* as the four that are searched (§2.1).
MEDICATIONS = {"MedicationRequest", "MedicationStatement", "MedicationAdministration", "MedicationDispense"}
SUPPORT = {"Procedure", "Condition", "DeviceUseStatement", "Device", "DeviceRequest", "ServiceRequest"}
SPECIFIED: dict[str, Set[str]] = {
    "H1-Condition": {"Condition"},
    "H2-Age": {"Patient"},
    "IN01-Age": {"Patient"},
    "H3-Gender": {"Patient"},
    "IN02-ElEscorial": {"Observation", "Condition", "QuestionnaireResponse"},
    "IN03-AlsfrsR": {"Observation", "QuestionnaireResponse"},
    "IN04-Fvc": {"Observation", "DiagnosticReport", "Patient"},
    "IN05-NoPregnancyAgreement": {"QuestionnaireResponse"},
    "IN06-RegionalAccess": {"Patient"},
    "IN07-ConsentCapacity": {"Consent", "Condition", "Observation"},
    "IN08-LocalFollowUp": {"CareTeam", "Patient"},
    "EX01-PriorCellTherapy": {"Procedure", "Condition", "ServiceRequest"} | MEDICATIONS,
    "EX02-CannotLieStill": {"Condition", "Observation"},
    **dict.fromkeys(
        ("EX03a-Autoimmune", "EX03b-Myeloproliferative", "EX03c-Myelodysplastic", "EX03d-Leukemia",
         "EX03e-Lymphoma", "EX03f-WholeBodyIrradiation", "EX03g-HipFracture", "EX03h-SevereScoliosis",
         "EX03i-ProcedureIncapacity"),
        {"Condition", "Procedure", "Observation"} | MEDICATIONS,
    ),
    "EX04-OtherInterferingDisease": {"Condition", "Encounter"},
    "EX05-OtherNeuro": {"Condition"},
    "EX06-AstAlt": {"Observation"},
    "EX07-Creatinine": {"Observation"},
    **dict.fromkeys(
        ("EX08a-HepatitisB", "EX08b-HepatitisC", "EX08c-Hiv", "EX08d-Htlv", "EX08e-Syphilis"),
        frozenset({"Observation", "Condition", "Immunization"}),
    ),
    "EX09-Immunosuppressant": MEDICATIONS,
    **dict.fromkeys(("EX10a-Pregnancy", "EX10b-Breastfeeding"), frozenset({"Observation", "Condition", "Procedure"})),
    "EX11-Immunodeficiency": {"Condition"},
    "EX12-OtherTrial": {"ResearchSubject", "Condition", "Encounter"},
    **dict.fromkeys(
        ("EX13a-Niv", "EX13b-Tracheostomy", "EX13c-DiaphragmPacing"), SUPPORT | {"SupplyDelivery", "Observation"}
    ),
    "EX14a-SubstanceUse": {"Condition", "Observation"} | MEDICATIONS,
    "EX14b-UnstableMentalHealth": {"Condition", "Observation"} | MEDICATIONS,
    "EX15-AlternativeFeeding": SUPPORT | {"NutritionOrder", "Observation"},
    "EX16-MscExpansionFailure": frozenset(),
}  # fmt: skip
# Criterion → (types read besides, types not read), and why.
DIFFERENT: dict[str, tuple[Set[str], Set[str], str]] = {
    "H1-Condition": ({"Observation"}, set(), "T-H1-03: an El Escorial category decides on CID-10 G12.2; read only then"),
    "IN02-ElEscorial": (set(), {"QuestionnaireResponse"}, "attestations count for every criterion that takes them"),
    "IN05-NoPregnancyAgreement": (set(), {"QuestionnaireResponse"}, "by attestation only, as IN02"),
    "IN08-LocalFollowUp": (set(), {"CareTeam", "Patient"}, "never computed: optional hints (§2.1) are not shown"),
    "EX02-CannotLieStill": ({"QuestionnaireResponse"}, set(), "the orthopnea item of an ALSFRS-R questionnaire (IN03)"),
    **dict.fromkeys(
        ("EX03a-Autoimmune", "EX03b-Myeloproliferative", "EX03c-Myelodysplastic", "EX03d-Leukemia", "EX03e-Lymphoma",
         "EX03f-WholeBodyIrradiation", "EX03g-HipFracture"),
        (set(), {"Observation"} | MEDICATIONS, "the row of the group; this part has diagnoses and procedures only"),
    ),
    "EX03h-SevereScoliosis": (set(), {"Procedure"} | MEDICATIONS, "diagnoses and the Cobb angle"),
    "EX03i-ProcedureIncapacity": (
        set(), {"Procedure", "Observation", "MedicationAdministration", "MedicationDispense"},
        "anticoagulants being taken, and diagnoses",
    ),
    "EX04-OtherInterferingDisease": (set(), {"Encounter"}, "encounters are hints only"),
    "EX06-AstAlt": ({"Patient"}, set(), "the sex decides on the upper limit (§2.7)"),
    "EX07-Creatinine": ({"Patient"}, set(), "the sex decides on the upper limit (§2.7)"),
    **dict.fromkeys(
        ("EX08b-HepatitisC", "EX08c-Hiv", "EX08d-Htlv", "EX08e-Syphilis"),
        (set(), {"Immunization"}, "only a vaccine against hepatitis B tells of HBsAg (§2.1)"),
    ),
    "EX09-Immunosuppressant": ({"Condition"}, set(), "Z79.6 and the like: use of a drug as a diagnosis"),
    "EX10b-Breastfeeding": ({"Patient"}, {"Procedure"}, "an infant's record does not count; no procedure is evidence"),
    "EX12-OtherTrial": (set(), {"Encounter"}, "Z00.6 of an encounter is a hint only (§2.1)"),
    "EX13a-Niv": ({"QuestionnaireResponse"}, set(), "the respiratory item of an ALSFRS-R questionnaire (IN03)"),
    "EX13b-Tracheostomy": (set(), {"Observation"}, "no Observation tells of it"),
    "EX13c-DiaphragmPacing": (set(), {"Observation"}, "no Observation tells of it"),
    "EX14b-UnstableMentalHealth": (set(), {"Observation"} | MEDICATIONS, "always unknown; diagnoses are its hints"),
    "EX15-AlternativeFeeding": (
        {"QuestionnaireResponse", "SupplyDelivery"}, set(), "ALSFRS-R items (IN03); formula that is delivered",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def screener() -> Screener:
    return Screener.load()


def needs_of(folder: Path, trial_id: str) -> LoadedNeeds:
    return Screener.load(trials_dir=folder).catalog.get(trial_id).needs


def test_every_criterion_reads_what_the_specification_says(screener: Screener) -> None:
    needs = screener.catalog.get(TRIAL).needs.by_criterion
    expected = {}
    for criterion, specified in SPECIFIED.items():
        more, less, _ = DIFFERENT.get(criterion, (set(), set(), ""))
        assert not more & specified, criterion
        assert less <= specified, criterion
        expected[criterion] = (specified | more) - less
    assert {criterion: set(read) for criterion, read in needs.items()} == expected


def test_the_gate_is_patient_and_condition_and_asks_for_no_codes(screener: Screener) -> None:
    assert screener.wanted_by_gates() == Wanted(frozenset({"Patient", "Condition"}))


def test_a_criterion_that_repeats_another_reads_the_same(screener: Screener) -> None:
    needs = screener.catalog.get(TRIAL).needs.by_criterion
    assert needs["H2-Age"] == needs["IN01-Age"] == {"Patient"}


def test_the_whole_holds_each_type_that_a_criterion_reads_and_what_these_lead_to(screener: Screener) -> None:
    needs = screener.catalog.get(TRIAL).needs
    assert frozenset().union(*needs.by_criterion.values()) <= needs.all
    assert {"Patient", "QuestionnaireResponse", "Medication", "ResearchStudy", "Device"} <= needs.all


# --- codes of Observations ----------------------------------------------------------------------------------


def test_codes_stand_once_and_without_system(screener: Screener) -> None:
    codes = screener.wanted().observation_codes
    assert list(codes) == sorted(set(codes))
    assert all(code and "|" not in code for code in codes)


@pytest.mark.parametrize(
    "code",
    ["1742-6", "82954-9", "82945-7", "19868-9", "8302-2", "29463-7", "el-escorial-category", "cobb-angle"],
    ids=["ALT", "ALSFRS-R", "its item", "FVC in litres", "height", "weight", "El Escorial", "Cobb angle"],
)
def test_codes_hold_what_normalisation_makes_readings_of(screener: Screener, code: str) -> None:
    assert code in screener.wanted().observation_codes


def test_codes_that_only_the_service_itself_gives_are_not_asked_for(screener: Screener) -> None:
    codes = screener.wanted().observation_codes
    assert not {"fvc-percent-predicted", "fvc-percent-reported-volumes"} & set(codes)


def test_codes_hold_the_site_s_own_that_lead_to_one_of_them(tmp_path: Path) -> None:
    site_map(tmp_path, "local-lab-to-loinc", "urn:lab", systems.LOINC, {"TGP": "1742-6", "ALTURA": "8302-2"})
    site_map(
        tmp_path, "el-escorial-local", "urn:site", systems.TRIAL_OBSERVATIONS, {"EE": "el-escorial-category"}
    )
    site_map(tmp_path, "el-escorial-local", "urn:site2", systems.EL_ESCORIAL_CATEGORY, {"EE-DEF": "definite"})
    site_map(tmp_path, "local-lab-to-loinc", "urn:lab2", systems.LOINC, {"NA": "2951-2"})
    before = set(Screener.load().wanted().observation_codes)
    codes = set(Screener.load(concept_maps_dir=tmp_path).wanted().observation_codes)
    assert codes - before == {"TGP", "ALTURA", "EE"}


def site_map(folder: Path, map_id: str, source: str, target: str, codes: dict[str, str]) -> None:
    elements = [
        {"code": code, "target": [{"code": leads, "equivalence": "equivalent"}]}
        for code, leads in codes.items()
    ]
    group = {"source": source, "target": target, "element": elements}
    content = {"resourceType": "ConceptMap", "id": map_id, "status": "active", "group": [group]}
    (folder / f"{map_id}-{source[4:]}.json").write_text(json.dumps(content), "utf-8")


# --- packages -----------------------------------------------------------------------------------------------


def test_a_define_that_no_criterion_reaches_asks_for_nothing(tmp_path: Path) -> None:
    unused = {"Later": exists(retrieve("Goal"), retrieve("Observation", codes=[(systems.LOINC, "718-7")]))}
    write_tiny_trial(tmp_path, "tiny", {"H1": exists(DIABETES)}, unused=unused)
    needs = needs_of(tmp_path, "tiny")
    assert needs.all == {"Patient", "Condition", "QuestionnaireResponse"}
    assert needs.observation_codes == ()


def test_companions_come_with_what_leads_to_them(tmp_path: Path) -> None:
    criteria = {"H1": exists(DIABETES), "IN01": exists(retrieve("MedicationDispense"))}
    write_tiny_trial(tmp_path, "tiny", criteria)
    needs = needs_of(tmp_path, "tiny")
    assert "Medication" in needs.all
    assert needs.by_criterion["IN01"] == {"MedicationDispense"}


def test_a_gate_without_resources_asks_for_all_that_its_define_reads(tmp_path: Path) -> None:
    both = exists(
        DIABETES, retrieve("MedicationRequest"), retrieve("Observation", codes=[(systems.LOINC, "4548-4")])
    )
    write_tiny_trial(tmp_path, "tiny", {"H1": both, "IN01": exists(retrieve("Goal"))})
    needs = needs_of(tmp_path, "tiny")
    assert needs.gate == {"Patient", "Condition", "Observation", "MedicationRequest", "Medication"}
    assert needs.wanted_by_gate.observation_codes == ("4548-4",)


WRONG: dict[str, tuple[dict[str, Any], dict[str, Any], str]] = {
    "a gate's resource that its define doesn't read": (
        {"H1": exists(DIABETES), "IN01": exists(retrieve("Goal"))},
        {"gate": ["Condition", "Goal"]},
        r"tiny: trial.toml: gate.resources: the CQL of this criterion reads no Goal; it reads Condition, Patient: name",
    ),
    "a criterion's resource that its define doesn't read": (
        {"H1": exists(DIABETES), "IN01": exists(retrieve("Goal"))},
        {"reads": {"IN01": ["Condition"]}},
        r"tiny: trial.toml: criteria IN01: reads: the CQL of this criterion reads no Condition; it reads Goal: name",
    ),
    "a type that nobody can search for": (
        {"H1": exists(DIABETES), "IN01": exists(retrieve("Practitioner"))},
        {},
        "tiny: the CQL retrieves Practitioner, which belongs to no patient",
    ),
    "a companion without what leads to it": (
        {"H1": exists(DIABETES), "IN01": exists(retrieve("ResearchStudy"))},
        {},
        "tiny: the CQL retrieves ResearchStudy, but nothing that leads to one: retrieve Consent or ResearchSubject, too",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_package_whose_description_and_elm_contradict_each_other_stops_the_start(
    tmp_path: Path, case: str
) -> None:
    criteria, more, told = WRONG[case]
    write_tiny_trial(tmp_path, "tiny", criteria, **more)
    with pytest.raises(AuthoringError, match=told):
        Screener.load(trials_dir=tmp_path)


# --- several trials -----------------------------------------------------------------------------------------


def test_several_trials_want_the_union_and_some_only_their_own(tmp_path: Path) -> None:
    hba1c = retrieve("Observation", codes=[(systems.LOINC, "4548-4")])
    write_tiny_trial(tmp_path, "tiny", {"H1": exists(DIABETES), "IN01": exists(hba1c, retrieve("Goal"))})
    screener = Screener.load(trials_dir=tmp_path)
    one, two = screener.wanted([TRIAL]), screener.wanted(["tiny"])
    assert two == Wanted(
        frozenset({"Patient", "Condition", "Observation", "Goal", "QuestionnaireResponse"}), ("4548-4",)
    )
    assert screener.wanted() == one | two
    assert list((one | two).observation_codes) == sorted({*one.observation_codes, "4548-4"})
    assert screener.wanted([]) == Wanted()
    assert screener.wanted_by_gates() == Wanted(frozenset({"Patient", "Condition"}))
