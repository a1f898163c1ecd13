"""Normalisation: FHIR in, FHIR out, in the one form that the trials' CQL reads.

Codes get canonical systems, dateTimes the site's offset, values canonical units, results one qualitative
coding, texts the codings of the lexicon; what stands inside other resources comes to stand alone, and FVC in
litres becomes % of predicted. Each rule lives in its own module; this one puts them in order. The record
given is not changed; resources that need nothing stay the same objects, and `original` of the new record
leads back to what was received.

Error policy: no resource raises. What is mistyped is dropped and its resource marked (`shapes`); what can't
be read says why (`readings`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

from cds_service.records import lung_function
from cds_service.records.contained import EXTRACTED, contained
from cds_service.records.dates import lost_its_date
from cds_service.records.items import MEDICATIONS, Items, device_names
from cds_service.records.mappings import Mappings, load_mappings
from cds_service.records.narrative import narrative
from cds_service.records.observations import (
    UNREADABLE_DATE,
    components,
    dated_members,
    questionnaire_answers,
)
from cds_service.records.participation import with_participation
from cds_service.records.record import TRUNCATED, Acquired, PatientRecord
from cds_service.records.reference_ranges import Person
from cds_service.records.residence import with_states
from cds_service.records.shapes import Tidying, tidy
from cds_service.records.statements import said_to_be_unknown, worse_account
from cds_service.records.versions import marked
from cds_service.records.words import Words, is_named
from cds_service.terminology.systems import (
    EL_ESCORIAL_CATEGORY,
    EL_ESCORIAL_CATEGORY_TEXT,
    READING_PROBLEM,
)

__all__ = ["Mappings", "load_mappings", "normalise"]

Resource = dict[str, Any]
# Where texts are read (clinical specification §2.9): the element that holds the code and its text.
_TEXT_ELEMENTS = {
    "Condition": "code",
    "Procedure": "code",
    "Device": "type",
    "DeviceRequest": "codeCodeableConcept",
}


def normalise(record: PatientRecord, mappings: Mappings, *, timezone: ZoneInfo, as_of: date) -> PatientRecord:
    """The record in canonical form. `timezone` is the site's; `as_of` the screening day (bounds what is computed)."""
    return _Work(record, mappings, timezone, as_of).run()


class _Work:
    """One normalisation: the new resources by type, and where each came from."""

    def __init__(self, record: PatientRecord, mappings: Mappings, timezone: ZoneInfo, as_of: date) -> None:
        self.record = record
        self.mappings = mappings
        self.as_of = as_of
        self.tidying = Tidying(mappings.systems, mappings.local, timezone)
        self.words = Words(mappings)
        self.originals: dict[int, Mapping[str, Any]] = dict(record.originals)
        self.named_by: dict[int, tuple[Resource, ...]] = {}
        self.resources: dict[str, list[Resource]] = {}
        self.unreadable: set[str] = set()  # types of which a resource may be of anything

    def run(self) -> PatientRecord:
        received = self.record.resources
        tidied = self._tidied(
            dict(self.record.patient) if type(self.record.patient) is not dict else self.record.patient
        )
        patient = self._from(with_states(tidied), tidied)
        self.resources = {
            kind: [patient] if kind == "Patient" else [self._tidied(resource) for resource in listed]
            for kind, listed in received.items()
        }
        self.resources.setdefault("Patient", [patient])
        self._take_out_contained()
        self._name_items()
        if "ResearchSubject" in self.resources:
            self.resources["ResearchSubject"] = self._participations()
        person = Person.of(patient)
        if "Observation" in self.resources or "QuestionnaireResponse" in self.resources:
            self.resources["Observation"] = self._observations(person)
        for kind, element in _TEXT_ELEMENTS.items():
            self._each(kind, partial(self._with_words, element=element))
        self._each("Procedure", self._with_category)
        self._each("SupplyDelivery", self._with_words_of_item)
        self._each("Condition", self._staged)
        return self._finished(patient)

    def _each(self, kind: str, change: Callable[[Resource], Resource]) -> None:
        """Replaces the resources of a type by what `change` makes of them."""
        listed = self.resources.get(kind, ())
        for at, resource in enumerate(listed):
            self.resources[kind][at] = self._from(change(resource), resource)

    def _finished(self, patient: Resource) -> PatientRecord:
        for kind in ("DiagnosticReport", "QuestionnaireResponse"):
            if kind in self.resources:
                self.resources[kind] = [self._unmarked(resource) for resource in self.resources[kind]]
        resources = {kind: tuple(listed) for kind, listed in self.resources.items()}
        kept = [id(resource) for listed in resources.values() for resource in listed]
        originals = {key: self.originals[key] for key in kept if key in self.originals}
        named_by = {
            key: tuple(self.originals.get(id(item), item) for item in self.named_by[key][1:])
            for key in kept
            if key in self.named_by
        }
        said = said_to_be_unknown(resources)
        said.update(
            {kind: Acquired(TRUNCATED, len(resources[kind]), "unreadable") for kind in self.unreadable}
        )
        account = worse_account(self.record.account, self.record.default, said)
        return self.record.replace(
            patient=patient, resources=resources, originals=originals, named_by=named_by, account=account
        )

    def _unmarked(self, resource: Resource) -> Resource:
        if UNREADABLE_DATE not in resource:
            return resource
        return self._from({key: part for key, part in resource.items() if key != UNREADABLE_DATE}, resource)

    def _tidied(self, resource: Resource) -> Resource:
        found = tidy(resource, self.tidying)
        if found is not resource:
            self._from(found, resource)
        if self.tidying.doubtful:
            found = marked(found, self.originals)
            if _lost_its_name(resource, found):
                self.unreadable.add(found["resourceType"])
        if self.tidying.doubtful or "effectivePeriod" in found:
            found = self._from(_with_unreadable_date(resource, found), found)
        return found

    def _from(self, new: Resource, source: Resource) -> Resource:
        """Remembers that `new` goes back to what `source` goes back to."""
        if new is not source:
            self.originals[id(new)] = self.originals.get(id(source), source)
            if id(source) in self.named_by:
                self.named_by[id(new)] = (new, *self.named_by[id(source)][1:])
        return new

    # --- what stands inside others --------------------------------------------------------------------------

    def _take_out_contained(self) -> None:
        found: list[Resource] = []
        used: set[str] = set()
        for kind, listed in self.resources.items():
            for at, parent in enumerate(listed):
                if kind == "Patient" or not parent.get("contained"):
                    continue
                if not used:
                    used = {
                        f"{kind}/{r.get('id')}" for kind in EXTRACTED for r in self.resources.get(kind, ())
                    }
                new, taken = contained(parent, self.record.patient_reference, used)
                if taken:
                    listed[at] = self._from(new, parent)
                    found += [self._from_parent(inner, parent) for inner in taken]
        for resource in found:
            self.resources.setdefault(resource["resourceType"], []).append(resource)

    def _from_parent(self, inner: Resource, parent: Resource) -> Resource:
        """A contained resource, tidied; its original is the resource that held it."""
        found = tidy(inner, self.tidying)
        if self.tidying.doubtful:
            found = _with_unreadable_date(inner, marked(found, {}))
        self.originals[id(found)] = self.originals.get(id(parent), parent)
        return found

    # --- items ----------------------------------------------------------------------------------------------

    def _name_items(self) -> None:
        """What medications, orders, deliveries and devices in use refer to, as a concept of their own."""
        items = Items(self.resources, self.words)
        for kind in MEDICATIONS:
            self._each(kind, partial(self._named, items, items.medication))
        self._each("DeviceRequest", partial(self._named, items, items.order))
        self._each("SupplyDelivery", partial(self._named, items, items.delivery))
        stand_ins: list[Resource] = []
        for at, use in enumerate(self.resources.get("DeviceUseStatement", ())):
            new, device = items.device_use(use)
            if device is not None:
                self.resources["DeviceUseStatement"][at] = self._from(new, use)
                stand_ins.append(self._from(device, use))
        if stand_ins:
            self.resources.setdefault("Device", []).extend(stand_ins)

    def _named(self, items: Items, change: Callable[[Resource], Resource], resource: Resource) -> Resource:
        """The resource with its item's concept, and the account of what that was read from."""
        items.found.clear()
        new = change(resource)
        if items.found:
            # Both are kept, so that their identities stay their own.
            self.named_by[id(new)] = (new, *items.found)
        return new

    # --- participations -------------------------------------------------------------------------------------

    def _participations(self) -> list[Resource]:
        studies = self.resources.get("ResearchStudy", [])
        maps = self.mappings.concept_maps
        return [
            self._from(with_participation(subject, studies, maps), subject)
            for subject in self.resources["ResearchSubject"]
        ]

    # --- observations ---------------------------------------------------------------------------------------

    def _observations(self, person: Person) -> list[Resource]:
        received = self.resources.get("Observation", [])
        dated = dated_members(received)
        found: list[Resource] = []
        for observation in received:
            current = self._from(dated.get(id(observation), observation), observation)
            found.append(current)
            if "component" in current:
                found += [self._from(child, current) for child in components(current)]
        for response in self.resources.get("QuestionnaireResponse", ()):
            answers = questionnaire_answers(response, self.mappings.value_sets)
            found += [self._from(answer, response) for answer in answers]
        readings = self.mappings.readings
        read = [self._from(readings.read(observation, person), observation) for observation in found]
        read += self._lung_function(read, person)
        return [self._from(_with_date_problem(observation), observation) for observation in read]

    def _lung_function(self, observations: list[Resource], person: Person) -> list[Resource]:
        kinds: dict[str, list[Resource]] = {
            name: [] for name in ("fvc-volume", "fvc-predicted-volume", "body-height", "body-weight")
        }
        for observation in observations:
            if "valueQuantity" in observation:
                for analyte in self.mappings.readings.analytes(observation.get("code")):
                    if analyte.name in kinds:
                        kinds[analyte.name].append(observation)
        measured = lung_function.Measurements(*kinds.values())
        if not measured.volumes:
            return []
        panels = [observation for observation in observations if "hasMember" in observation]
        reports = self.resources.get("DiagnosticReport", ())
        pairs = [
            *lung_function.reported_percentages(measured, reports, panels),
            *lung_function.computed_percentages(measured, person, self.mappings.equations, self.as_of),
        ]
        return [self._from(derived, volume) for derived, volume in pairs]

    # --- texts and stages -----------------------------------------------------------------------------------

    def _with_words(self, resource: Resource, element: str) -> Resource:
        """With the codings of the lexicon on the element that names the resource (§2.2).

        Where nothing names it, its narrative is read: what only people can read is never ignored.
        """
        names = device_names(resource) if element == "type" else []
        given = resource.get(element)
        if "text" in resource and not names and not is_named(given or {}):
            names = narrative(resource)
        if given is None and not names:
            return resource
        concept = self.words.said(given or {}, names)
        return resource if concept is given or not concept else {**resource, element: concept}

    def _with_category(self, procedure: Resource) -> Resource:
        """With what its category says of its kind, where a criterion knows that (mCODE: of radiotherapy)."""
        code = procedure.get("code", {})
        known = [(coding.get("system"), coding.get("code")) for coding in code.get("coding", ())]
        added = [
            coding
            for coding in procedure.get("category", {}).get("coding", ())
            if self.mappings.value_sets.sets_of(coding.get("system"), coding.get("code") or "")
            and (coding["system"], coding["code"]) not in known
        ]
        return (
            {**procedure, "code": {**code, "coding": [*code.get("coding", ()), *added]}}
            if added
            else procedure
        )

    def _with_words_of_item(self, delivery: Resource) -> Resource:
        supplied = delivery["suppliedItem"]
        new = self._with_words(supplied, "itemCodeableConcept")
        return delivery if new is supplied else {**delivery, "suppliedItem": new}

    def _staged(self, condition: Resource) -> Resource:
        """With the El Escorial category that a stage states, as a code or only in words."""
        stages = condition.get("stage")
        if not stages:
            return condition
        new = [self._stage(stage) for stage in stages]
        if all(a is b for a, b in zip(new, stages, strict=True)):
            return condition
        return self._from({**condition, "stage": new}, condition)

    def _stage(self, stage: Resource) -> Resource:
        summary = stage.get("summary")
        if not isinstance(summary, dict):
            return stage
        categories = self.mappings.categories
        stated = categories.coded(summary)
        known = {c.get("code") for c in summary.get("coding", ()) if c.get("system") == EL_ESCORIAL_CATEGORY}
        added = [{"system": EL_ESCORIAL_CATEGORY, "code": code} for code in sorted(stated - known)]
        if not stated:
            written = categories.written(summary)
            if written is not None:
                added = [{"system": EL_ESCORIAL_CATEGORY_TEXT, "code": written}]
        if not added:
            return stage
        return {**stage, "summary": {**summary, "coding": [*summary.get("coding", ()), *added]}}


def _lost_its_name(received: Resource, tidied: Resource) -> bool:
    """Whether nothing could be read of what a Condition, Procedure or Observation is: it may be anything."""
    if tidied["resourceType"] not in ("Condition", "Procedure", "Observation") or is_named(
        tidied.get("code", {})
    ):
        return False
    given = received.get("code")
    if isinstance(given, dict):
        given = [part for key, part in given.items() if key in ("coding", "text")]
    return any(part not in (None, "", [], {}) for part in (given if isinstance(given, list) else [given]))


def _with_unreadable_date(received: Resource, tidied: Resource) -> Resource:
    """With the mark of a date that was given and can't be read, on what results come from."""
    kind = tidied["resourceType"]
    if kind in ("Observation", "DiagnosticReport"):
        lost = lost_its_date(received, tidied)
    else:
        lost = kind == "QuestionnaireResponse" and bool(received.get("authored")) and "authored" not in tidied
    return {**tidied, UNREADABLE_DATE: True} if lost else tidied


def _with_date_problem(observation: Resource) -> Resource:
    """The mark as a reading problem: such a result may be the newest, and says nothing by itself."""
    if UNREADABLE_DATE not in observation:
        return observation
    kept = {key: part for key, part in observation.items() if key != UNREADABLE_DATE}
    reason = kept.get("dataAbsentReason", {})
    problem = {"system": READING_PROBLEM, "code": "partial-date"}
    return {**kept, "dataAbsentReason": {**reason, "coding": [*reason.get("coding", ()), problem]}}
