"""How a resource type is searched for one patient in FHIR R4, and what is reached by reference. Data; no errors.

Source: the search parameters of FHIR 4.0.1, type by type, as the constants `SP_…` of HL7's Java model org.hl7.fhir.r4
5.0.22 give them. Wherever a type can belong to a patient the parameter is `patient`, but for AdverseEvent, which has
`subject` only. ResearchSubject has both `individual` and `patient`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from cds_service.records.resource_types import PATIENT_ELEMENTS

_BY_SUBJECT: Final = frozenset({"AdverseEvent"})
# They name patients in elements that others may stand in, too, and have the parameter all the same.
_BY_PATIENT_BESIDES: Final = frozenset(
    {"Appointment", "AppointmentResponse", "AuditEvent", "Contract", "Person", "Provenance"}
)
SEARCHED: Final = frozenset(PATIENT_ELEMENTS) | _BY_PATIENT_BESIDES
# Who refers to whom, by which element, as far as it is followed: by normalisation (`items`, `participation`) or by the
# trials' CQL (the study that a Consent is to).
REFERRING: Final[Mapping[str, tuple[tuple[str, ...], frozenset[str]]]] = MappingProxyType(
    {
        "MedicationRequest": (("medicationReference",), frozenset({"Medication"})),
        "MedicationStatement": (("medicationReference",), frozenset({"Medication"})),
        "MedicationAdministration": (("medicationReference",), frozenset({"Medication"})),
        "MedicationDispense": (("medicationReference",), frozenset({"Medication"})),
        "Medication": (("ingredient", "itemReference"), frozenset({"Medication", "Substance"})),
        "DeviceUseStatement": (("device",), frozenset({"Device"})),
        "DeviceRequest": (("codeReference",), frozenset({"Device"})),
        "SupplyDelivery": (
            ("suppliedItem", "itemReference"),
            frozenset({"Medication", "Substance", "Device"}),
        ),
        "ResearchSubject": (("study",), frozenset({"ResearchStudy"})),
        "Consent": (("provision", "data", "reference"), frozenset({"ResearchStudy"})),
    }
)
# All that is led to; searches include it beside their matches (clinical-spec §2.1).
REFERRED: Final[frozenset[str]] = frozenset().union(*(types for _, types in REFERRING.values()))
# Without a patient of their own, or (a Device) perhaps without: what leads to them, by the type that is led to.
COMPANIONS: Final[Mapping[str, frozenset[str]]] = {
    kind: frozenset(
        holder for holder, (_, types) in REFERRING.items() if kind in types and holder in SEARCHED
    )
    for kind in ("Medication", "ResearchStudy", "Device")
}


def is_companion(resource_type: str) -> bool:
    """Whether its resources come along only with what refers to them; no Device: that may be a patient's own."""
    return resource_type in COMPANIONS and resource_type not in SEARCHED


def companions_of(resource_types: frozenset[str]) -> frozenset[str]:
    """The types that resources of these lead to, and without which they may not say what they are of."""
    return frozenset(kind for kind, holders in COMPANIONS.items() if not holders.isdisjoint(resource_types))


def by_patient(resource_type: str, patient_id: str) -> dict[str, str]:
    """The search parameter that finds a patient's resources of this type, and its value for this id."""
    if resource_type in _BY_SUBJECT:
        return {"subject": f"Patient/{patient_id}"}
    return {"patient": patient_id}
