"""Whose resource is it? This patient's, another's, or nobody's that can be told. Pure; nothing raises.

- Plainly another patient's (or a relative's), by id or by identifiers (`identifiers`): dropped and counted.
- About no person (a device, a place): dropped and counted.
- Naming nobody (no reference, an identifier of a system that the Patient has none of, a contained patient without
  identifiers, a display): this patient's where the record holds one Patient, since it was given as his.
- Naming somebody who can't be told (a `urn:uuid` that no entry has, a group, several patients, no reference at all
  in its text): left out, and its type is no longer complete.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl

from cds_service.records.identifiers import DIFFERENT, DOUBTFUL, SAME, compared
from cds_service.records.references import References, last_segments
from cds_service.records.resource_types import PATIENT_ELEMENTS, PATIENT_OPTIONAL

Resource = dict[str, Any]

OWN: Final = "own"
OTHER: Final = "other"
NO_PERSON: Final = "no person"
UNNAMED: Final = "unnamed"
UNTOLD: Final = "untold"
UNTOLD_REASON: Final = "a resource whose patient can't be told"

# Reference of a search instead of an id (FHIR R4 §3.1.0.11.2), by identifier.
_CONDITIONAL: Final = re.compile(r"(?:^|/)Patient\?(.*)$", re.DOTALL)
_PERSONS: Final = frozenset({"Patient", "RelatedPerson", "Person", "Practitioner", "PractitionerRole"})
# How deep contained resources are looked for in contained ones, which FHIR R4 does not allow.
_NESTED: Final = 4
_THINGS: Final = frozenset({"Device", "Location", "Substance"})


@dataclass(slots=True)
class Subjects:
    """Tells the patient's resources from others', and counts what is left out. `others`: the Patients beside.

    `untold`: types of which something is left out that may be the patient's; `foreign`: something that is another's.
    """

    patient: Mapping[str, Any]
    reference: str
    references: References
    others: Sequence[Mapping[str, Any]] = ()
    left_out: Counter[str] = field(default_factory=Counter)
    untold: set[str] = field(default_factory=set)
    foreign: set[str] = field(default_factory=set)

    def keeps(self, resource: Resource, resource_type: str, holder: str | None = None) -> bool:
        """Whether the record holds this resource. `holder`: the base of another server that it stands on."""
        element = PATIENT_ELEMENTS.get(resource_type)
        if element is None or (holder is None and self._plainly_own(resource.get(element))):
            return True
        whose = self.whose(resource, element, holder)
        if whose == OWN or (whose == UNNAMED and resource_type in PATIENT_OPTIONAL):
            return True
        if whose == NO_PERSON and resource_type in PATIENT_OPTIONAL:
            return True
        self.left_out[whose] += 1
        if whose == UNNAMED and not self.others:
            return True
        if whose in (UNNAMED, UNTOLD):
            self.untold.add(resource_type)
        elif whose == OTHER:
            self.foreign.add(resource_type)
        return False

    def _plainly_own(self, subject: Any) -> bool:
        """Whether it names the patient as almost every resource does: by `Patient/id` and nothing that says more."""
        return (
            type(subject) is dict
            and subject.get("reference") == self.reference
            and self.reference not in self.references.names
        )

    def without_others(self, resource: Resource) -> Resource:
        """The resource without contained Observations that aren't this patient's. One that names nobody is."""
        return self._without_others(resource, resource.get("contained"), _NESTED)

    def _without_others(self, resource: Resource, beside: Any, depth: int) -> Resource:
        listed = resource.get("contained")
        if not isinstance(listed, list) or not depth:
            return resource
        kept = [
            self._without_others(inner, beside, depth - 1) if isinstance(inner, dict) else inner
            for inner in listed
            if self._keeps_contained(inner, beside)
        ]
        same = len(kept) == len(listed) and all(new is old for new, old in zip(kept, listed, strict=True))
        return resource if same else {**resource, "contained": kept}

    def _keeps_contained(self, inner: Any, beside: Any) -> bool:
        if not isinstance(inner, dict) or inner.get("resourceType") != "Observation":
            return True
        whose = self.whose({**inner, "contained": beside}, "subject")
        if whose in (OWN, UNNAMED):
            return True
        self.left_out[whose] += 1
        if whose == UNTOLD:
            self.untold.add("Observation")
        return False

    def about_another(self, observation: Resource) -> bool:
        """Whether an Observation says that it is about another person than its subject: a spouse, a fetus, a donor
        (FHIR R4 Observation.focus).
        """
        focus = observation.get("focus")
        for one in focus if isinstance(focus, list) else [focus]:
            reference = one.get("reference") if isinstance(one, dict) else None
            named = last_segments(reference) if isinstance(reference, str) else None
            if named is not None and named.partition("/")[0] in _PERSONS and named != self.reference:
                return True
        return False

    def warnings(self) -> list[str]:
        """Sentences about what was left out."""
        counts = self.left_out
        done = "dropped" if self.others else "taken as this patient's"
        told = (
            (counts[OTHER] + len(self.others), "of another patient", "dropped"),
            (counts[NO_PERSON], "about no person", "dropped"),
            (counts[UNNAMED], "naming no patient", done),
            (counts[UNTOLD], "whose patient can't be told", "left out"),
        )
        return [f"{counted(number, which)} {what}" for number, which, what in told if number]

    def whose(self, resource: Resource, element: str, holder: str | None = None) -> str:
        """own, other, no person, unnamed or untold: by the element that names the patient in its type."""
        subject = resource.get(element)
        if holder is None and type(subject) is dict and subject.get("reference") == self.reference:
            return OWN  # as almost every one is
        if subject is None:
            subject = next(
                (
                    resource[k]
                    for k in ("subject", "patient")
                    if isinstance(resource.get(k), (dict, list, str))
                ),
                None,
            )
        named = subject if isinstance(subject, list) else [subject]
        found = {self._one(one, resource, holder) for one in named} or {UNNAMED}
        return found.pop() if len(found) == 1 else UNTOLD

    def _one(self, subject: Any, resource: Resource, holder: str | None) -> str:
        element = subject if isinstance(subject, dict) else {"reference": subject}
        reference = element.get("reference")
        if not isinstance(reference, str) or not reference:
            return self._by_identifier(element)
        found = self._by_reference(reference, resource, holder)
        if found in (OTHER, UNTOLD) and self._by_identifier(element) == OWN:
            # It leads elsewhere, or nowhere, and names this patient all the same.
            return OWN if found == UNTOLD else UNTOLD
        return found

    def _by_reference(self, reference: str, resource: Resource, holder: str | None) -> str:
        if "?" in reference and (conditional := _CONDITIONAL.search(reference)) is not None:
            return self._by_query(conditional[1])
        relative = self.references.relative(reference, holder)
        if relative is None:
            return self._unresolved(reference)
        if relative.startswith("#"):
            return self._by_identifier(_contained(resource, relative[1:]))
        return OWN if relative == self.reference else _other(relative.partition("/")[0])

    def _unresolved(self, reference: str) -> str:
        """A reference that leads nowhere: to another server's person, or one that can't be told."""
        named = last_segments(reference)
        if named is None or named.partition("/")[0] not in _PERSONS:
            return UNTOLD
        # This very id under another address can be meant either way: another server's, or this one's by another name.
        return OTHER if named != self.reference else UNTOLD

    def _by_query(self, query: str) -> str:
        values = [value for name, value in parse_qsl(query) if name == "identifier"]
        identifiers = [_token(value) for value in values]
        found = self._by_identifier({"identifier": identifiers}) if identifiers else UNNAMED
        return UNTOLD if found == UNNAMED else found

    def _by_identifier(self, named: Mapping[str, Any] | None) -> str:
        """A patient named only by identifiers: own if they are his, other if they are another's."""
        if named is None:
            return UNNAMED
        kind = named.get("resourceType") or named.get("type")
        if isinstance(kind, str) and (kind := kind.rpartition("/")[2]) != "Patient":
            return _other(kind)
        found = compared(self.patient, named)
        theirs = any(compared(other, named) == SAME for other in self.others)
        if found == SAME:
            return UNTOLD if theirs else OWN
        if theirs or found == DIFFERENT:
            return OTHER
        return UNTOLD if found == DOUBTFUL else UNNAMED


def _other(kind: str) -> str:
    """Whose a resource is whose subject, of this type, is not the patient."""
    if kind in _THINGS:
        return NO_PERSON
    return OTHER if kind in _PERSONS else UNTOLD


def _token(value: str) -> dict[str, str]:
    """An identifier of a search by token, `system|value`."""
    system, bar, code = value.partition("|")
    return {"system": system, "value": code} if bar else {"value": value}


def _contained(resource: Resource, contained_id: str) -> Mapping[str, Any] | None:
    listed = resource.get("contained")
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("id") in (contained_id, f"#{contained_id}"):
            return entry
    return None


def counted(number: int, which: str) -> str:
    """The beginning of a sentence on so many resources."""
    return f"1 resource {which} was" if number == 1 else f"{number} resources {which} were"
