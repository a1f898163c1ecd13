"""How a FHIR resource is shown as evidence: reference, name, value, clinical date, status.

Pure functions on R4 JSON. Whatever is missing or of the wrong type is left out; nothing here raises.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any, Final, Protocol

from cds_service.eligibility.verdict import Evidence
from cds_service.records.record import PatientRecord
from cds_service.terminology.systems import (
    CANONICAL,
    DRUG_FORM,
    DRUG_NAME,
    READING_PROBLEM,
    TEXT_MATCH,
    TEXT_MATCH_NEGATED,
)

DERIVATION: Final = f"{CANONICAL}/CodeSystem/derivation"
# Elements that name the resource, in the order in which they are looked for: concepts, then references.
_NAMES: Final = (
    "code", "vaccineCode", "medicationCodeableConcept", "codeCodeableConcept", "type", "category", "scope",
)  # fmt: skip
_NAMING_REFERENCES: Final = ("medicationReference", "codeReference", "device", "study")
# Elements that date it: (clinical dates first, administrative ones last).
_DATES: Final = (
    "effectiveDateTime", "effectiveInstant", "effectivePeriod", "performedDateTime", "performedPeriod",
    "onsetDateTime", "onsetPeriod", "occurrenceDateTime", "occurrencePeriod", "timingDateTime", "timingPeriod",
    "whenHandedOver", "whenPrepared", "authored", "dateTime", "period", "recordedDate", "authoredOn", "recordedOn",
    "dateAsserted", "issued", "date",
)  # fmt: skip
# Names of the project's own codes that are more than their words.
_OWN_NAMES: Final = {"el-escorial-category": "El Escorial category"}
# What the mapping step noted on a concept; no words of the record.
_MARKS: Final = frozenset({DRUG_FORM, DRUG_NAME, READING_PROBLEM, TEXT_MATCH, TEXT_MATCH_NEGATED})


class Names(Protocol):
    """What is known of codes: words for those without any, and which nobody has verified (clinical-spec §7)."""

    def display(self, system: str | None, code: str) -> str | None: ...

    def is_unverified(self, system: str | None, code: str) -> bool: ...


def present(
    resources: Iterable[Any], record: PatientRecord, names: Names, as_of: date
) -> tuple[Evidence, ...]:
    """The evidence list of these resources, each reference and name once, in their order.

    What a resource is about may stand in another one (a Medication, a Device): that one follows it.
    """
    shown: dict[tuple[str, str, str | None], Evidence] = {}
    # Findings that rest on one another's evidence name the same resource many times.
    for resource in {id(resource): resource for resource in resources}.values():
        if isinstance(resource, Mapping):
            for part in (resource, *record.names_of(resource)):
                item = _present(part, record, names, as_of)
                shown.setdefault((item.reference, item.display, item.value), item)
    return tuple(shown.values())


def has_unknown_modifier(resource: Any) -> bool:
    """Whether the mapping step found a modifierExtension on it, which may turn its meaning around."""
    return isinstance(resource, Mapping) and _tagged(resource, "unknown-modifier")


def newest_day(resources: Iterable[Any], as_of: date) -> date | None:
    """The newest clinical day among resources, a partial date at its last day; None when none is dated."""
    days = [
        day
        for r in resources
        if isinstance(r, Mapping) and (day := last_day(clinical_date(r, as_of))) is not None
    ]
    return max(days, default=None)


def clinical_date(resource: Mapping[str, Any], as_of: date) -> str | None:
    """The FHIR date string by which a reader dates the resource. A Period counts by its end, unless that is
    open or lies after `as_of`: then by its start."""
    for name in _DATES:
        value = resource.get(name)
        if value is None:
            continue
        if isinstance(value, Mapping):
            start, end = value.get("start"), value.get("end")
            ended = isinstance(end, str) and ((day := last_day(end)) is None or day <= as_of)
            value = start if isinstance(start, str) and start and not ended else end
        if isinstance(value, str) and value:
            return value
    return None


def last_day(value: str | None) -> date | None:
    """The last day that a FHIR date or dateTime can mean; None for none or an unreadable one."""
    if value is None:
        return None
    parts = value[:10].split("-")
    try:
        numbers = [int(part) for part in parts]
        if len(numbers) == 3:
            return date(*numbers)
        year, month = numbers[0], numbers[1] if len(numbers) == 2 else 12
        first = date(year, month, 1)
        return first.replace(day=monthrange(first.year, first.month)[1])
    except (ValueError, IndexError, TypeError):
        return None


def _present(resource: Mapping[str, Any], record: PatientRecord, names: Names, as_of: date) -> Evidence:
    original = record.original(resource)
    # What was derived (a component, a percentage) is shown as it is, under the reference of what it came from.
    shown = resource if _tagged(resource, None) and not _tagged(resource, "unknown-modifier") else original
    kind = _text(original.get("resourceType")) or "Resource"
    identifier = _text(original.get("id"))
    return Evidence(
        reference=f"{kind}/{identifier}" if identifier else kind,
        # What a reference leads to stands only in the normalised resource: a drug, a device.
        display=_name(shown, names) or _name(resource, names) or kind,
        value=_value(shown, names),
        date=_day(clinical_date(shown, as_of)),
        status=_status(shown),
    )


def _tagged(resource: Mapping[str, Any], code: str | None) -> bool:
    meta = resource.get("meta")
    if meta is None:
        return False
    tags = meta.get("tag") if isinstance(meta, Mapping) else None
    if not isinstance(tags, (list, tuple)):
        return False
    return any(
        isinstance(tag, Mapping)
        and tag.get("system") == DERIVATION
        and (code is None or tag.get("code") == code)
        for tag in tags
    )


def _name(resource: Mapping[str, Any], names: Names) -> str | None:
    """What the resource is about, in words; None when it doesn't say."""
    if resource.get("resourceType") == "Patient":
        return "Patient"
    if title := _text(resource.get("title")):  # a study's own name comes before what kind it is of
        return title
    for concept in _naming_concepts(resource):
        if words := concept_words(concept, names):
            return f"{words} (code not verified)" if _unverified(concept, names) else words
    for element in _NAMING_REFERENCES:
        reference = resource.get(element)
        if isinstance(reference, Mapping) and (words := _text(reference.get("display"))):
            return words
    return None


def _naming_concepts(resource: Mapping[str, Any]) -> Iterable[Any]:
    for element in _NAMES:
        yield resource.get(element)
    item = resource.get("suppliedItem")
    if isinstance(item, Mapping):
        yield item.get("itemCodeableConcept")
    formula = resource.get("enteralFormula")
    if isinstance(formula, Mapping):
        yield formula.get("baseFormulaType") or {"text": "Enteral formula"}


def concept_words(concept: Any, names: Names | None = None) -> str | None:
    """The words of a CodeableConcept: its text, else a display, else its code's name, else the code itself."""
    if concept is None:
        return None
    if isinstance(concept, (list, tuple)):
        concept = concept[0] if concept else None
    if not isinstance(concept, Mapping):
        return None
    if text := _text(concept.get("text")):
        return text
    found = concept.get("coding")
    codings = [c for c in found if isinstance(c, Mapping)] if isinstance(found, (list, tuple)) else []
    if display := next((d for c in codings if (d := _text(c.get("display")))), None):
        return display
    return next((w for c in codings if (w := _code_words(c, names))), None)


def _unverified(concept: Any, names: Names) -> bool:
    codings = concept.get("coding") if isinstance(concept, Mapping) else None
    return any(
        isinstance(c, Mapping)
        and isinstance(c.get("code"), str)
        and names.is_unverified(_text(c.get("system")), c["code"])
        for c in (codings if isinstance(codings, (list, tuple)) else ())
    )


def _code_words(coding: Mapping[str, Any], names: Names | None) -> str | None:
    system, code = _text(coding.get("system")), _text(coding.get("code"))
    if code is None:
        return None
    if names is not None and (name := names.display(system, code)):
        return name
    if system in _MARKS:
        return None
    # The project's own codes are words already.
    return _OWN_NAMES.get(code, code.replace("-", " ")) if system and system.startswith(CANONICAL) else code


def _value(resource: Mapping[str, Any], names: Names) -> str | None:
    if resource.get("resourceType") == "Patient":
        parts = [_text(resource.get("birthDate")), _text(resource.get("gender"))]
        return ", ".join(part for part in parts if part) or None
    for name, value in resource.items():
        if name.startswith("value"):
            return _shown_value(value, names)
    return concept_words(resource.get("interpretation"), names)


def _shown_value(value: Any, names: Names) -> str | None:
    if isinstance(value, Mapping):
        if "numerator" in value or "denominator" in value:
            return f"{quantity_words(value.get('numerator'))}:{quantity_words(value.get('denominator'))}"
        if "low" in value or "high" in value:
            return f"{quantity_words(value.get('low'))} to {quantity_words(value.get('high'))}"
        if "coding" in value or "text" in value:
            return concept_words(value, names)
        return quantity_words(value) or None
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None or isinstance(value, (list, tuple)) else str(value)


def quantity_words(value: Any) -> str:
    """`<0.5 mg/dL` of a FHIR Quantity; empty without a value."""
    if not isinstance(value, Mapping) or value.get("value") is None:
        return ""
    unit = value.get("unit") or value.get("code") or ""
    return f"{value.get('comparator') or ''}{value['value']} {unit}".strip()


def _day(value: str | None) -> str | None:
    return value[:10] if value else None


def _status(resource: Mapping[str, Any]) -> str | None:
    if status := _text(resource.get("status")):
        return status
    return concept_words(resource.get("clinicalStatus"))


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
