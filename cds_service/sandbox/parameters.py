"""The FHIR R4 search parameters that the sandbox offers: resource type → name → kind and JSON paths.

Data only, from the R4 search parameter registry (http://hl7.org/fhir/R4/searchparameter-registry.html). A
path walks plain JSON, lists are flattened; a choice element stands with each type that occurs in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Parameter:
    """`kind`: token, reference, date, string or uri. `targets`: the types a bare reference id may mean."""

    kind: str
    paths: tuple[str, ...]
    targets: tuple[str, ...] = ()


def _token(*paths: str) -> Parameter:
    return Parameter("token", paths)


def _date(*paths: str) -> Parameter:
    return Parameter("date", paths)


def _string(*paths: str) -> Parameter:
    return Parameter("string", paths)


def _reference(*paths: str, to: str = "") -> Parameter:
    return Parameter("reference", paths, tuple(to.split()))


def _patient(path: str = "subject") -> dict[str, Parameter]:
    own = _reference(path, to="Patient")
    return {"patient": own, path: own}


_EFFECTIVE: Final = _date("effectiveDateTime", "effectivePeriod", "effectiveInstant")
_MEDICATION: Final = {
    "code": _token("medicationCodeableConcept"),
    "medication": _reference("medicationReference", to="Medication"),
    "status": _token("status"),
    "identifier": _token("identifier"),
}

COMMON: Final[Mapping[str, Parameter]] = {
    "_id": _token("id"),
    "_lastUpdated": _date("meta.lastUpdated"),
    "_tag": _token("meta.tag"),
    "_profile": Parameter("uri", ("meta.profile",)),
}

PARAMETERS: Final[Mapping[str, Mapping[str, Parameter]]] = {
    "Patient": {
        "identifier": _token("identifier"),
        "name": _string("name.text", "name.family", "name.given", "name.prefix", "name.suffix"),
        "family": _string("name.family"),
        "given": _string("name.given"),
        "gender": _token("gender"),
        "birthdate": _date("birthDate"),
        "deceased": _token("deceasedBoolean"),
        "address": _string(
            "address.text", "address.line", "address.city", "address.state", "address.country"
        ),
        "address-city": _string("address.city"),
        "address-state": _string("address.state"),
        "address-country": _string("address.country"),
        "telecom": _token("telecom"),
        "active": _token("active"),
        "organization": _reference("managingOrganization", to="Organization"),
        "general-practitioner": _reference(
            "generalPractitioner", to="Practitioner Organization PractitionerRole"
        ),
    },
    "Condition": {
        **_patient(),
        "code": _token("code"),
        "category": _token("category"),
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "onset-date": _date("onsetDateTime", "onsetPeriod"),
        "abatement-date": _date("abatementDateTime", "abatementPeriod"),
        "recorded-date": _date("recordedDate"),
        "encounter": _reference("encounter", to="Encounter"),
        "asserter": _reference("asserter", to="Practitioner PractitionerRole Patient RelatedPerson"),
        "identifier": _token("identifier"),
    },
    "Observation": {
        **_patient(),
        "code": _token("code"),
        "combo-code": _token("code", "component.code"),
        "component-code": _token("component.code"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _EFFECTIVE,
        "value-concept": _token("valueCodeableConcept"),
        "specimen": _reference("specimen", to="Specimen"),
        "encounter": _reference("encounter", to="Encounter"),
        "performer": _reference("performer", to="Practitioner PractitionerRole Organization"),
        "derived-from": _reference("derivedFrom", to="Observation DocumentReference QuestionnaireResponse"),
        "has-member": _reference("hasMember", to="Observation QuestionnaireResponse"),
        "identifier": _token("identifier"),
    },
    "DiagnosticReport": {
        **_patient(),
        "code": _token("code"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _EFFECTIVE,
        "issued": _date("issued"),
        "result": _reference("result", to="Observation"),
        "identifier": _token("identifier"),
    },
    "Procedure": {
        **_patient(),
        "code": _token("code"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("performedDateTime", "performedPeriod"),
        "encounter": _reference("encounter", to="Encounter"),
        "identifier": _token("identifier"),
    },
    "MedicationRequest": {
        **_patient(),
        **_MEDICATION,
        "intent": _token("intent"),
        "category": _token("category"),
        "authoredon": _date("authoredOn"),
        "date": _date("dosageInstruction.timing.event"),
        "encounter": _reference("encounter", to="Encounter"),
        "requester": _reference("requester", to="Practitioner PractitionerRole Organization"),
    },
    "MedicationStatement": {
        **_patient(),
        **_MEDICATION,
        "category": _token("category"),
        "effective": _EFFECTIVE,
    },
    "MedicationAdministration": {
        **_patient(),
        **_MEDICATION,
        "effective-time": _EFFECTIVE,
        "request": _reference("request", to="MedicationRequest"),
    },
    "MedicationDispense": {
        **_patient(),
        **_MEDICATION,
        "whenhandedover": _date("whenHandedOver"),
        "whenprepared": _date("whenPrepared"),
        "prescription": _reference("authorizingPrescription", to="MedicationRequest"),
    },
    "Medication": {"code": _token("code"), "status": _token("status"), "identifier": _token("identifier")},
    "Device": {
        "patient": _reference("patient", to="Patient"),
        "type": _token("type"),
        "status": _token("status"),
        "identifier": _token("identifier"),
    },
    "DeviceUseStatement": {
        **_patient(),
        "device": _reference("device", to="Device"),
        "identifier": _token("identifier"),
    },
    "DeviceRequest": {
        **_patient(),
        "code": _token("codeCodeableConcept"),
        "device": _reference("codeReference", to="Device"),
        "status": _token("status"),
        "intent": _token("intent"),
        "authored-on": _date("authoredOn"),
        "event-date": _date("occurrenceDateTime", "occurrencePeriod"),
    },
    "SupplyDelivery": {
        "patient": _reference("patient", to="Patient"),
        "status": _token("status"),
        "identifier": _token("identifier"),
    },
    "NutritionOrder": {
        "patient": _reference("patient", to="Patient"),
        "status": _token("status"),
        "datetime": _date("dateTime"),
        "identifier": _token("identifier"),
    },
    "ServiceRequest": {
        **_patient(),
        "code": _token("code"),
        "category": _token("category"),
        "status": _token("status"),
        "intent": _token("intent"),
        "authored": _date("authoredOn"),
        "occurrence": _date("occurrenceDateTime", "occurrencePeriod"),
        "requester": _reference("requester", to="Practitioner PractitionerRole Organization"),
        "encounter": _reference("encounter", to="Encounter"),
        "identifier": _token("identifier"),
    },
    "ResearchSubject": {
        **_patient("individual"),
        "status": _token("status"),
        "study": _reference("study", to="ResearchStudy"),
        "date": _date("period"),
        "identifier": _token("identifier"),
    },
    "ResearchStudy": {
        "status": _token("status"),
        "title": _string("title"),
        "identifier": _token("identifier"),
        "focus": _token("focus"),
    },
    "Consent": {
        "patient": _reference("patient", to="Patient"),
        "scope": _token("scope"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("dateTime"),
        "identifier": _token("identifier"),
    },
    "QuestionnaireResponse": {
        **_patient(),
        "questionnaire": Parameter("uri", ("questionnaire",)),
        "status": _token("status"),
        "authored": _date("authored"),
        "author": _reference(
            "author", to="Practitioner PractitionerRole Patient RelatedPerson Organization Device"
        ),
        "encounter": _reference("encounter", to="Encounter"),
        "identifier": _token("identifier"),
    },
    "Questionnaire": {
        "url": Parameter("uri", ("url",)),
        "version": _token("version"),
        "status": _token("status"),
        "name": _string("name"),
        "title": _string("title"),
        "identifier": _token("identifier"),
    },
    "Encounter": {
        **_patient(),
        "class": _token("class"),
        "type": _token("type"),
        "status": _token("status"),
        "date": _date("period"),
        "identifier": _token("identifier"),
    },
    "FamilyMemberHistory": {
        "patient": _reference("patient", to="Patient"),
        "code": _token("condition.code"),
        "relationship": _token("relationship"),
        "status": _token("status"),
        "date": _date("date"),
    },
    "Immunization": {
        "patient": _reference("patient", to="Patient"),
        "vaccine-code": _token("vaccineCode"),
        "status": _token("status"),
        "date": _date("occurrenceDateTime"),
        "identifier": _token("identifier"),
    },
    "AllergyIntolerance": {
        "patient": _reference("patient", to="Patient"),
        "code": _token("code", "reaction.substance"),
        "category": _token("category"),
        "clinical-status": _token("clinicalStatus"),
        "verification-status": _token("verificationStatus"),
        "date": _date("recordedDate"),
    },
    "CarePlan": {
        **_patient(),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("period"),
    },
    "CareTeam": {
        **_patient(),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("period"),
    },
    "Coverage": {
        "patient": _reference("beneficiary", to="Patient"),
        "beneficiary": _reference("beneficiary", to="Patient"),
        "status": _token("status"),
        "type": _token("type"),
    },
    "DocumentReference": {
        **_patient(),
        "type": _token("type"),
        "category": _token("category"),
        "status": _token("status"),
        "date": _date("date"),
    },
    "Goal": {**_patient(), "lifecycle-status": _token("lifecycleStatus"), "start-date": _date("startDate")},
    "Specimen": {**_patient(), "type": _token("type"), "status": _token("status")},
    "Practitioner": {
        "identifier": _token("identifier"),
        "name": _string("name.text", "name.family", "name.given"),
        "family": _string("name.family"),
        "given": _string("name.given"),
        "active": _token("active"),
    },
    "PractitionerRole": {
        "practitioner": _reference("practitioner", to="Practitioner"),
        "organization": _reference("organization", to="Organization"),
        "identifier": _token("identifier"),
    },
    "Organization": {
        "name": _string("name"),
        "address-city": _string("address.city"),
        "identifier": _token("identifier"),
        "type": _token("type"),
    },
    "Location": {"name": _string("name"), "identifier": _token("identifier"), "status": _token("status")},
}

RESOURCE_TYPES: Final = frozenset(PARAMETERS)
WRITABLE: Final = frozenset({"QuestionnaireResponse", "ServiceRequest"})


def parameter(resource_type: str, name: str) -> Parameter | None:
    """The definition of one search parameter, or None where this type has none of that name."""
    return PARAMETERS[resource_type].get(name) or COMMON.get(name)


def patient_paths(resource_type: str) -> tuple[str, ...]:
    """Where a resource of this type says whose it is; empty for a type that belongs to nobody."""
    own = PARAMETERS[resource_type].get("patient")
    return own.paths if own else ()
