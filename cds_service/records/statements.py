"""Statements about the record itself: "no known medications", "no information about procedures", a section left empty.

An International Patient Summary says with a code of its own that nothing is known of a kind of data, or that nobody
knows; other documents give a section's `emptyReason`. The first is no drug that can't be read. The second is no
evidence of absence: where nothing else of that kind came, its type counts as not available here (`not-offered`), and
where the source keeps it back, as failed. Elements of any shape are taken; nothing raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from cds_service.records.record import COMPLETE, FAILED, NOT_OFFERED, Acquired
from cds_service.terminology.systems import LOINC, SNOMED

Resources = Mapping[str, Sequence[Mapping[str, Any]]]

_IPS: Final = "http://hl7.org/fhir/uv/ips/CodeSystem/absent-unknown-uv-ips"
_EMPTY_REASON: Final = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
# IPS 1.1; IPS 2.0 says the same in SNOMED CT (its ConceptMap absence-to-snomed-uv-ips).
_NONE_KNOWN: Final = frozenset(
    {
        (_IPS, "no-known-problems"),
        (_IPS, "no-known-medications"),
        (_IPS, "no-known-procedures"),
        (_IPS, "no-known-devices"),
        (_IPS, "no-known-immunizations"),
        (SNOMED, "160245001"),  # no current problems or disability
        (SNOMED, "787481004"),  # no known medications
        (SNOMED, "787480003"),  # no known procedures
        (SNOMED, "787483001"),  # no known device use
        (SNOMED, "787482006"),  # no known immunizations
    }
)
_NO_INFORMATION: Final = frozenset(
    {
        (_IPS, "no-problem-info"),
        (_IPS, "no-medication-info"),
        (_IPS, "no-procedure-info"),
        (_IPS, "no-device-info"),
        (_IPS, "no-immunization-info"),
    }
)
_MEDICATIONS: Final = (
    "MedicationStatement",
    "MedicationRequest",
    "MedicationAdministration",
    "MedicationDispense",
)
_DEVICES: Final = ("DeviceUseStatement", "Device")
# Which element of a type names what it is about, and the types that tell of the same kind of data.
_NAMED_BY: Final[Mapping[str, tuple[str, tuple[str, ...]]]] = {
    "Condition": ("code", ("Condition",)),
    "Procedure": ("code", ("Procedure",)),
    "Immunization": ("vaccineCode", ("Immunization",)),
    "Device": ("type", _DEVICES),
    **dict.fromkeys(_MEDICATIONS, ("medicationCodeableConcept", _MEDICATIONS)),
}
# Sections of documents (LOINC) and the types that stand in them.
_SECTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    "11450-4": ("Condition",),
    "11348-0": ("Condition",),
    "10160-0": _MEDICATIONS,
    "47519-4": ("Procedure",),
    "46264-8": _DEVICES,
    "30954-2": ("Observation", "DiagnosticReport"),
    "8716-3": ("Observation",),
    "11369-6": ("Immunization",),
}
_DEPTH: Final = 10


def says_nothing_of_items(concept: Mapping[str, Any]) -> bool:
    """Whether a concept is a statement about the record, not the name of anything."""
    return any(code in _NONE_KNOWN or code in _NO_INFORMATION for code in _codes(concept))


def said_to_be_unknown(resources: Resources) -> dict[str, Acquired]:
    """How the types were obtained of which the record itself (tidied) says that it doesn't know or withholds them."""
    found: dict[str, Acquired] = {}
    for kind, (element, kin) in _NAMED_BY.items():
        if any(not _NO_INFORMATION.isdisjoint(_codes(r.get(element))) for r in resources.get(kind, ())):
            _mark(found, kin, "unavailable", resources)
    for composition in resources.get("Composition", ()):
        for types, reason in _empty_sections(composition.get("section"), 0):
            _mark(found, types, reason, resources)
    return found


def worse_account(
    account: Mapping[str, Acquired], default: Acquired, said: Mapping[str, Acquired]
) -> Mapping[str, Acquired]:
    """The account with what the record says of itself, where nothing worse is known."""
    changes = {kind: state for kind, state in said.items() if account.get(kind, default).state == COMPLETE}
    return {**account, **changes} if changes else account


def _mark(found: dict[str, Acquired], types: Sequence[str], reason: str, resources: Resources) -> None:
    told = {kind: sum(1 for r in resources.get(kind, ()) if not _is_statement(kind, r)) for kind in types}
    if reason == "withheld":
        found.update(
            {kind: Acquired(FAILED, count, "withheld by the source") for kind, count in told.items()}
        )
    elif not any(told.values()):
        unknown = Acquired(NOT_OFFERED, 0, "unknown to the source")
        found.update({kind: unknown for kind in types if kind not in found})


def _is_statement(kind: str, resource: Mapping[str, Any]) -> bool:
    if kind == "DeviceUseStatement":  # what it is about is told by its Device
        return True
    named_by = _NAMED_BY.get(kind)
    return named_by is not None and says_nothing_of_items(resource.get(named_by[0]) or {})


def _empty_sections(sections: object, depth: int) -> Iterator[tuple[tuple[str, ...], str]]:
    """(the types of an empty section, why it is empty) of each that isn't empty because there is nothing."""
    for section in sections if isinstance(sections, list) and depth < _DEPTH else ():
        if not isinstance(section, dict):
            continue
        yield from _empty_sections(section.get("section"), depth + 1)
        if section.get("entry"):
            continue
        types = tuple(t for s, c in _codes(section.get("code")) if s == LOINC for t in _SECTIONS.get(c, ()))
        for system, reason in _codes(section.get("emptyReason")):
            if types and system == _EMPTY_REASON and reason != "nilknown":
                yield types, reason


def _codes(concept: object) -> Iterable[tuple[str, str]]:
    listed = concept.get("coding") if isinstance(concept, dict) else None
    for coding in listed if isinstance(listed, list) else ():
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            yield str(coding.get("system")), coding["code"]
