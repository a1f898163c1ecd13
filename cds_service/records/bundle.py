"""A FHIR Bundle as one patient's record.

The Bundle is taken as the whole record: a type that it lacks is complete and empty, unless the Bundle itself
says that something is missing (a `next` link, a `total` above its entries, an OperationOutcome, an entry
that failed).

Errors: what can't be used as a record at all raises InputError (no Bundle, no Patient, several and none
named). Anything smaller is left out or marked, and told in a warning that carries no patient data:

- a resource of an unknown or mis-cased type is ignored;
- a resource of another patient is dropped and counted (`subjects`);
- a resource of a patient-bound type that names no patient at all is kept when the Bundle has one Patient (it
  was exported as this patient's); where it has several, and where a resource names somebody who can't be told, it is
  left out and its type is truncated;
- each server has ids of its own: a resource of another server than the record's that could be taken for one of the
  record's is known by another id (`references`);
- a resource that was sent in part (tagged SUBSETTED) is kept, and its type is truncated;
- an Observation about another person (`focus`) is kept and marked, so that no verdict rests on it;
- of several versions of one `type/id` the latest is kept; where versions differ and none is later, all are
  kept and marked, so that no verdict rests on them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from cds_service.errors import InputError, PatientAmbiguousError
from cds_service.records.bundle_account import Problem, account_of
from cds_service.records.bundle_entries import Entry, read_entries
from cds_service.records.contained import with_contained_reasons
from cds_service.records.linking import linked
from cds_service.records.record import PatientRecord
from cds_service.records.references import References, base_of
from cds_service.records.resource_types import PATIENT_ELEMENTS, R4_TYPES
from cds_service.records.subjects import UNTOLD_REASON, Subjects
from cds_service.records.versions import UNKNOWN_MODIFIER, latest_versions, with_tag

Resource = dict[str, Any]


def read_bundle(
    bundle: Any,
    *,
    patient_id: str | None = None,
    missing: Collection[str] = (),
    servers: Collection[str] | None = None,
) -> PatientRecord:
    """The record of the Bundle's patient.

    `bundle` is parsed JSON of any shape; `patient_id` ("123" or "Patient/123") names the patient where there
    are several; `missing` lists resource types that were not exported: their state is failed. `servers`: base URLs
    of the one server that gave all of it for this patient, none where its name is not known; without it the entries may
    be of several servers. Raises InputError.
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
    one_server = servers is not None or bundle.get("type") == "searchset"
    patients = _patients(entries, originals, warnings, one_server=one_server)
    patient = _choose(patients, patient_id)
    patient_reference = f"Patient/{patient['id']}"
    references = _references(entries, servers or (), patient_reference, one_server=one_server)
    others = [each for each in patients.values() if each is not patient]
    subjects = Subjects(patient, patient_reference, references, others)
    kept: list[Resource] = []
    for entry in entries:
        holder = (
            references.foreign_base(entry.full_url, f"{entry.type}/{entry.id}") if entry.full_url else None
        )
        if entry.type != "Patient" and subjects.keeps(entry.resource, entry.type, holder):
            kept.append(_own(entry, subjects, holder, originals))
    kept = latest_versions(kept, originals, warnings)
    warnings += subjects.warnings()
    resources: dict[str, list[Resource]] = {"Patient": [patient]}
    for resource in kept:
        resources.setdefault(resource["resourceType"], []).append(resource)
    by_type = {name: tuple(found) for name, found in resources.items()}
    problems += [Problem(frozenset({name}), "failed", "not exported") for name in missing]
    if subjects.untold:
        problems.append(Problem(frozenset(subjects.untold), "truncated", UNTOLD_REASON))
    if servers is not None and subjects.foreign:  # asked for this patient's, the server gave others'
        problems.append(Problem(frozenset(subjects.foreign), "truncated", "another patient's data"))
    if in_part := frozenset(resource["resourceType"] for resource in kept if _in_part(resource)):
        problems.append(Problem(in_part, "truncated", "resources sent in part"))
    account, default = account_of(by_type, problems)
    return PatientRecord(patient, patient_reference, by_type, account, tuple(warnings), default, originals)


def _in_part(resource: Resource) -> bool:
    """Whether the sender says that it left elements out (FHIR R4 §3.1.0.8: the result of `_summary` or `_elements`)."""
    meta = resource.get("meta")
    tags = meta.get("tag") if isinstance(meta, dict) else None
    return isinstance(tags, list) and any(isinstance(t, dict) and t.get("code") == "SUBSETTED" for t in tags)


def _references(
    entries: list[Entry], servers: Collection[str], patient: str, *, one_server: bool
) -> References:
    named = [(entry.full_url, entry.type, entry.id) for entry in entries]
    if not one_server:
        servers = _servers_of(entries, patient)
    return References.between(named, servers, patient=patient, one_server=one_server)


def _servers_of(entries: list[Entry], patient: str) -> list[str]:
    """The server of the Patient: by the fullUrl; where there is none, by how other resources refer to the patient."""
    own = (entry.full_url for entry in entries if f"{entry.type}/{entry.id}" == patient)
    found = {base for url in own if (base := base_of(url, patient)) is not None}
    if not found:
        for entry in entries:
            subject = entry.resource.get(PATIENT_ELEMENTS.get(entry.type, ""))
            url = subject.get("reference") if isinstance(subject, dict) else None
            if isinstance(url, str) and (base := base_of(url, patient)) is not None:
                found.add(base)
    return [f"https://{base}" for base in found]


def _patients(
    entries: list[Entry],
    originals: dict[int, Mapping[str, Any]],
    warnings: list[str],
    *,
    one_server: bool,
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
        if known is None:
            patients[version["id"]] = version
            continue
        places = {base_of(entry.full_url, f"Patient/{version['id']}") for entry in found} - {None}
        if len(places) > 1 and not one_server:
            raise PatientAmbiguousError(
                "the Bundle holds different Patients of one id, from several servers: send one server's",
                expression="Bundle.entry",
            )
        patients[version["id"]] = _agreed(known, version, originals)
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


def _identified(entry: Entry, originals: dict[int, Mapping[str, Any]]) -> Resource:
    """The resource with the id that it is known by."""
    if entry.id is None or entry.resource.get("id") == entry.id:
        return entry.resource
    copy = {**entry.resource, "id": entry.id}
    originals[id(copy)] = entry.resource
    return copy


def _own(
    entry: Entry, subjects: Subjects, holder: str | None, originals: dict[int, Mapping[str, Any]]
) -> Resource:
    """The entry's resource as the record holds it: by its name there, with its references in one form."""
    references = subjects.references
    new = entry.resource
    if "contained" in new:
        new = subjects.without_others(new)
    new = linked(new, references, holder)
    if "reasonReference" in new and "contained" in new:
        new = with_contained_reasons(new)
    known = entry.id
    if entry.full_url:
        known = references.name_of(entry.full_url, f"{entry.type}/{entry.id}").partition("/")[2]
    if new.get("id") != known:
        new = {**new, "id": known}
    if entry.type == "Observation" and "focus" in new and subjects.about_another(new):
        new = {**new, "meta": with_tag(new.get("meta"), UNKNOWN_MODIFIER)}
    if new is not entry.resource:
        originals[id(new)] = entry.resource
    return new
