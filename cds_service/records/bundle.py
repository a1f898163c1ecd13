"""A FHIR Bundle as one patient's record.

The Bundle is taken as the whole record: a type that it lacks is complete and empty, unless the Bundle itself
says that something is missing (a `next` link, a `total` above its entries, an OperationOutcome, an entry
that failed).

Errors: what can't be used as a record at all raises InputError (no Bundle, no Patient, several and none
named). Anything smaller is left out or marked, and told in a warning that carries no patient data:

- a resource of an unknown or mis-cased type is ignored;
- a resource of another patient is dropped and counted;
- a resource of a patient-bound type that names no patient at all is kept when the Bundle has one Patient (it
  was exported as this patient's), and dropped when it has several;
- of several versions of one `type/id` the latest is kept; where versions differ and none is later, all are
  kept and marked, so that no verdict rests on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from cds_service.errors import InputError, PatientAmbiguousError
from cds_service.records.bundle_account import Problem, account_of
from cds_service.records.bundle_entries import Entry, read_entries
from cds_service.records.record import PatientRecord
from cds_service.records.references import References, base_of
from cds_service.records.resource_types import PATIENT_ELEMENTS, PATIENT_OPTIONAL, R4_TYPES
from cds_service.records.versions import latest_versions

Resource = dict[str, Any]
# The lists of references that anything downstream follows.
_REFERENCE_LISTS = frozenset(
    {"hasMember", "derivedFrom", "result", "usedReference", "basedOn", "partOf", "ingredient"}
)


def read_bundle(
    bundle: Any,
    *,
    patient_id: str | None = None,
    missing: Collection[str] = (),
    servers: Collection[str] = (),
) -> PatientRecord:
    """The record of the Bundle's patient.

    `bundle` is parsed JSON of any shape; `patient_id` ("123" or "Patient/123") names the patient where there
    are several; `missing` lists resource types that were not exported: their state is failed. `servers`: base URLs of
    the one server that everything in the Bundle came from, where it is known that it did. Raises InputError.
    """
    for name in missing:
        if name not in R4_TYPES:
            raise InputError(f"{name!r} is not a FHIR R4 resource type")
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise InputError(
            "A FHIR Bundle is wanted: an object whose resourceType is Bundle.", expression="Bundle"
        )
    entries, problems, warnings = read_entries(bundle)
    originals: dict[int, Mapping[str, Any]] = {}
    references = _references(entries)
    patients = _patients(entries, originals, warnings)
    patient = _choose(patients, patient_id)
    patient_reference = f"Patient/{patient['id']}"
    sorter = _Sorter(patient, patient_reference, references, alone=len(patients) == 1)
    kept: list[Resource] = []
    for entry in entries:
        if entry.type != "Patient" and sorter.keeps(entry.resource, entry.type):
            kept.append(_relative(entry, references, originals))
    kept = latest_versions(kept, originals, warnings)
    warnings += sorter.warnings(other_patients=len(patients) - 1)
    resources: dict[str, list[Resource]] = {"Patient": [patient]}
    for resource in kept:
        resources.setdefault(resource["resourceType"], []).append(resource)
    by_type = {name: tuple(found) for name, found in resources.items()}
    problems += [Problem(frozenset({name}), "failed", "not exported") for name in missing]
    account, default = account_of(by_type, problems)
    return PatientRecord(patient, patient_reference, by_type, account, tuple(warnings), default, originals)


def _references(entries: list[Entry]) -> References:
    by_url: dict[str, str] = {}
    bases: dict[str, frozenset[str]] = {}
    for entry in entries:
        if entry.full_url is None or entry.id is None:
            continue
        relative = f"{entry.type}/{entry.id}"
        by_url.setdefault(entry.full_url, relative)
        base = base_of(entry.full_url, relative)
        if base is not None:
            bases[relative] = bases.get(relative, frozenset()) | {base}
    return References(by_url, bases)


def _patients(
    entries: list[Entry], originals: dict[int, Mapping[str, Any]], warnings: list[str]
) -> dict[str, Resource]:
    """The Patient resources by id, the latest version of each."""
    found = [entry for entry in entries if entry.type == "Patient"]
    if not found:
        raise InputError("the Bundle holds no Patient", expression="Bundle.entry")
    if any(entry.id is None for entry in found):
        raise InputError("a Patient in the Bundle has no usable id", expression="Bundle.entry.resource.id")
    versions = latest_versions([_identified(entry, originals) for entry in found], originals, warnings)
    patients: dict[str, Resource] = {}
    for version in versions:
        known = patients.get(version["id"])
        patients[version["id"]] = version if known is None else _agreed(known, version, originals)
    return patients


def _agreed(first: Resource, second: Resource, originals: dict[int, Mapping[str, Any]]) -> Resource:
    """What two contradictory versions of one Patient agree on, with the mark that both carry."""
    both = {key: value for key, value in first.items() if key == "meta" or second.get(key) == value}
    originals[id(both)] = originals.get(id(first), first)
    return both


def _choose(patients: Mapping[str, Resource], patient_id: str | None) -> Resource:
    if patient_id is not None:
        named = patient_id.removeprefix("Patient/")
        if named not in patients:
            raise InputError("the Bundle does not hold the Patient that was named", expression="Bundle.entry")
        return patients[named]
    if len(patients) > 1:
        raise PatientAmbiguousError(
            f"the Bundle holds {len(patients)} Patients: name the one to assess", expression="Bundle.entry"
        )
    return next(iter(patients.values()))


@dataclass(slots=True)
class _Sorter:
    """Tells this patient's resources from others', and counts what it drops."""

    patient: Resource
    patient_reference: str
    references: References
    alone: bool
    others: int = 0
    unnamed: int = 0

    def keeps(self, resource: Resource, resource_type: str) -> bool:
        element = PATIENT_ELEMENTS.get(resource_type)
        if element is None:
            return True
        whose = self._whose(resource, element)
        if whose == "other":
            self.others += 1
            return False
        if whose == "none" and resource_type not in PATIENT_OPTIONAL:
            self.unnamed += 1
            return self.alone
        return True

    def warnings(self, *, other_patients: int) -> list[str]:
        found = []
        dropped = self.others + other_patients
        if dropped:
            found.append(f"{_count(dropped, 'of another patient')} dropped")
        if self.unnamed:
            done = "taken as this patient's" if self.alone else "dropped"
            found.append(f"{_count(self.unnamed, 'naming no patient')} {done}")
        return found

    def _whose(self, resource: Resource, element: str) -> str:
        """own, other or none."""
        subject = resource.get(element)
        if isinstance(subject, list) and len(subject) == 1:
            subject = subject[0]
        if subject is None:
            subject = next(
                (resource[k] for k in ("subject", "patient") if isinstance(resource.get(k), dict)), None
            )
        if not isinstance(subject, dict):
            return "none"
        reference = subject.get("reference")
        if isinstance(reference, str) and reference:
            relative = self.references.relative(reference)
            if relative is None:
                return "other"
            if not relative.startswith("#"):
                return "own" if relative == self.patient_reference else "other"
            return self._by_identifier(_contained(resource, relative[1:]))
        identifier = subject.get("identifier")
        return self._by_identifier({"identifier": [identifier]} if isinstance(identifier, dict) else None)

    def _by_identifier(self, named: Mapping[str, Any] | None) -> str:
        """A patient named only by identifiers: own if one is shared, other if one of the same system differs."""
        if named is None:
            return "none"
        if named.get("resourceType", "Patient") != "Patient":
            return "other"
        mine = _identifiers(self.patient)
        theirs = _identifiers(named)
        if mine & theirs:
            return "own"
        return "other" if {system for system, _ in mine} & {system for system, _ in theirs} else "none"


def _identifiers(patient: Mapping[str, Any]) -> set[tuple[str, str]]:
    listed = patient.get("identifier")
    return {
        (system if isinstance(system := entry.get("system"), str) else "", value)
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict) and isinstance(value := entry.get("value"), str)
    }


def _contained(resource: Resource, contained_id: str) -> Mapping[str, Any] | None:
    listed = resource.get("contained")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("id") == contained_id:
            return entry
    return None


def _identified(entry: Entry, originals: dict[int, Mapping[str, Any]]) -> Resource:
    """The resource with the id that it is known by."""
    if entry.id is None or entry.resource.get("id") == entry.id:
        return entry.resource
    copy = {**entry.resource, "id": entry.id}
    originals[id(copy)] = entry.resource
    return copy


def _relative(entry: Entry, references: References, originals: dict[int, Mapping[str, Any]]) -> Resource:
    """The resource with its own id and its references (top-level, and of items) made relative (`Type/id`)."""
    resource = _identified(entry, originals)
    changes: dict[str, Any] = {}
    for key, value in resource.items():
        if type(value) is dict:
            changed = _relative_reference(value, references)
            if changed is not value:
                changes[key] = changed
        elif type(value) is list and key in _REFERENCE_LISTS:
            parts = [_relative_reference(part, references) if type(part) is dict else part for part in value]
            if any(new is not old for new, old in zip(parts, value, strict=True)):
                changes[key] = parts
    if not changes:
        return resource
    copy = {**resource, **changes}
    originals[id(copy)] = entry.resource
    return copy


def _relative_reference(element: dict[str, Any], references: References) -> dict[str, Any]:
    item = element.get("itemReference")
    if type(item) is dict:
        changed = _relative_reference(item, references)
        return element if changed is item else {**element, "itemReference": changed}
    reference = element.get("reference")
    if type(reference) is not str or (":" not in reference and "_history" not in reference):
        return element  # relative already, as almost all are
    relative = references.relative(reference)
    return element if relative is None or relative == reference else {**element, "reference": relative}


def _count(number: int, which: str) -> str:
    return f"1 resource {which} was" if number == 1 else f"{number} resources {which} were"
