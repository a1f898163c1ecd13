"""The URIs and names of code systems and project artefacts, and how codes of each are compared. No I/O, no errors."""

from __future__ import annotations

CANONICAL = "https://cds-service.example/fhir"

SNOMED = "http://snomed.info/sct"
LOINC = "http://loinc.org"
ICD10 = "http://hl7.org/fhir/sid/icd-10"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
ICD9CM = "http://hl7.org/fhir/sid/icd-9-cm"
ICD10PCS = "http://www.cms.gov/Medicare/Coding/ICD10"
ATC = "http://www.whocc.no/atc"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
CVX = "http://hl7.org/fhir/sid/cvx"
HCPCS = "http://www.cms.gov/Medicare/Coding/HCPCSReleaseCodeSets"
UCUM = "http://unitsofmeasure.org"
OBSERVATION_INTERPRETATION = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
REFERENCE_RANGE_MEANING = "http://terminology.hl7.org/CodeSystem/referencerange-meaning"
ADMINISTRATIVE_GENDER = "http://hl7.org/fhir/administrative-gender"
V3_ADMINISTRATIVE_GENDER = "http://terminology.hl7.org/CodeSystem/v3-AdministrativeGender"
CONDITION_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
CONDITION_VER_STATUS = "http://terminology.hl7.org/CodeSystem/condition-ver-status"

EL_ESCORIAL_CATEGORY = f"{CANONICAL}/CodeSystem/el-escorial-category"
EL_ESCORIAL_CATEGORY_TEXT = f"{CANONICAL}/CodeSystem/el-escorial-category-text"
TRIAL_OBSERVATIONS = f"{CANONICAL}/CodeSystem/trial-observations"
DERIVED_OBSERVATIONS = f"{CANONICAL}/CodeSystem/derived-observations"
OVERRIDE_REASON = f"{CANONICAL}/CodeSystem/override-reason"
TEXT_MATCH = f"{CANONICAL}/CodeSystem/text-match"
TEXT_MATCH_NEGATED = f"{CANONICAL}/CodeSystem/text-match-negated"
DRUG_NAME = f"{CANONICAL}/CodeSystem/drug-name"
DRUG_FORM = f"{CANONICAL}/CodeSystem/drug-form"
QUALITATIVE_RESULT = f"{CANONICAL}/CodeSystem/qualitative-result"
READING_PROBLEM = f"{CANONICAL}/CodeSystem/reading-problem"
DERIVATION = f"{CANONICAL}/CodeSystem/derivation"
DRUG_CLASS = f"{CANONICAL}/CodeSystem/drug-class"
PARTICIPATION = f"{CANONICAL}/CodeSystem/participation"
# Sources of ConceptMap groups whose "codes" are normalised texts, not codes.
RESULT_TEXT = f"{CANONICAL}/CodeSystem/result-text"
UNIT_TEXT = f"{CANONICAL}/CodeSystem/unit-text"
CATEGORY_TEXT = f"{CANONICAL}/CodeSystem/category-text"
SYSTEM_ALIAS = f"{CANONICAL}/CodeSystem/system-alias"
CODE_SYSTEM = f"{CANONICAL}/CodeSystem/code-system"

EXT_CODE_SOURCE = f"{CANONICAL}/StructureDefinition/code-source"
EXT_CODE_STATUS = f"{CANONICAL}/StructureDefinition/code-status"
EXT_NOT_IN_TABLE = f"{CANONICAL}/StructureDefinition/not-in-table"
EXT_EXCLUDED_FOR = f"{CANONICAL}/StructureDefinition/excluded-for"

# What people call the systems; of the project's own, how their codes came about.
_NAMES = {
    SNOMED: "SNOMED CT",
    LOINC: "LOINC",
    ICD10: "ICD-10",
    ICD10CM: "ICD-10-CM",
    ICD9CM: "ICD-9-CM",
    ICD10PCS: "ICD-10-PCS",
    ATC: "ATC",
    RXNORM: "RxNorm",
    CVX: "CVX",
    HCPCS: "HCPCS",
    UCUM: "UCUM",
    TEXT_MATCH: "read from the text",
    TEXT_MATCH_NEGATED: "denied in the text",
    DRUG_NAME: "by the drug's name",
    READING_PROBLEM: "a mark for what can't be read",
    DERIVED_OBSERVATIONS: "derived here",
}

# A listed code stands for everything below it (clinical specification §2.2, §6.1).
PREFIX_SYSTEMS = frozenset({ICD10, ICD10CM, ICD9CM, ATC})
# Dots and case don't matter.
ICD_SYSTEMS = frozenset({ICD10, ICD10CM, ICD9CM, ICD10PCS})


def system_name(system: str | None) -> str:
    """What people call a code system: `SNOMED CT`; of one without a name here the last part of its URI."""
    if not system:
        return "code"
    if system.startswith(CANONICAL):
        return _NAMES.get(system, "this service's own code")
    return _NAMES.get(system) or system.rstrip("/").rpartition("/")[2]


def match_key(system: str, code: str) -> str:
    """The form in which codes of this system are compared: ICD without dots, blanks and case; ATC without case."""
    if system in ICD_SYSTEMS:
        return code.replace(".", "").replace(" ", "").upper()
    if system == ATC:
        return code.upper()
    return code
