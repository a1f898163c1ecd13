"""What a source says it doesn't have: results, dates and a day of death that consist of a data-absent-reason only.

FHIR lets any element stand there with nothing but the reason why it has no content, and a primitive as
`_effectiveDateTime` beside no `effectiveDateTime`. Read as if it were content, such a value would be a newer result
that can't be read, and such a date would hide the day on which the result was issued. So the value goes, and its
reason becomes the Observation's `dataAbsentReason`; the date goes. Elements of any shape are taken; nothing raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from cds_service.records.elements import VALUE_KEYS

Element = dict[str, Any]

_EXTENSION: Final = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
_REASONS: Final = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
# What came out of CDA documents says the same by a null flavour.
_NULL_FLAVOR: Final = "http://terminology.hl7.org/CodeSystem/v3-NullFlavor"
_FLAVORS: Final = {
    "NI": "unknown",
    "UNK": "unknown",
    "ASKU": "asked-unknown",
    "NAV": "temp-unknown",
    "NASK": "not-asked",
    "NAVU": "unknown",
    "MSK": "masked",
    "NA": "not-applicable",
}
_NUMBERS: Final = (float, int, Decimal)
_DATES: Final = frozenset({"_effectiveDateTime", "_effectiveInstant", "_issued"})
_USUAL: Final = frozenset({"valueQuantity", "valueCodeableConcept", "valueString"})
_PERIODS: Final = frozenset({"effectivePeriod", "effectiveTiming"})
# Where anything may be said to be absent, but for the values that most have.
_WATCHED: Final = _DATES | _PERIODS | {f"_{key}" for key in VALUE_KEYS} | (frozenset(VALUE_KEYS) - _USUAL)
# What a value or a period may hold beside its content.
_CONTENT: Final = frozenset(
    {"value", "low", "high", "numerator", "denominator", "start", "end", "event", "repeat", "code", "coding", "text",
     "data"}
)  # fmt: skip


def without_absent(element: Element) -> Element:
    """An Observation or component without what is said to be absent; itself where nothing is."""
    if _WATCHED.isdisjoint(element) and _is_plain(element):
        return element
    gone: list[str] = []
    reason: str | None = None
    for key, part in element.items():
        if key[:1] == "_":
            if key in _DATES and element.get(key[1:]) is None:
                gone.append(key)
            elif key[:6] == "_value" and element.get(key[1:]) is None and (found := _reason(part)):
                gone.append(key)
                reason = found
        elif key[:5] == "value" and type(part) is dict and (found := _said_absent(part)):
            gone.append(key)
            reason = found
        elif key in _PERIODS and says_absent(part):
            gone.append(key)
    if not gone:
        return element
    kept = {key: part for key, part in element.items() if key not in gone}
    if reason is not None and not kept.get("dataAbsentReason"):
        kept["dataAbsentReason"] = {"coding": [{"system": _REASONS, "code": reason}]}
    return kept


def _is_plain(element: Element) -> bool:
    """Whether the value is plainly one, as almost every one is. This is asked of each Observation."""
    value = element.get("valueQuantity")
    if value is not None:
        return _is_number(value) and "valueCodeableConcept" not in element
    value = element.get("valueCodeableConcept")
    if value is None:
        return True
    codings = value.get("coding") if type(value) is dict else None
    first = codings[0] if type(codings) is list and codings else None
    return type(first) is dict and first.get("system") not in (_REASONS, _NULL_FLAVOR)


def _is_number(quantity: object) -> bool:
    return type(quantity) is dict and type(quantity.get("value")) in _NUMBERS


def without_absent_limits(reference_range: Element) -> Element:
    """A reference range without a limit of which only is said why it isn't there: its text may have one."""
    low, high = reference_range.get("low"), reference_range.get("high")
    if (low is None or _is_number(low)) and (high is None or _is_number(high)):
        return reference_range
    gone = [
        key
        for key, limit in (("low", low), ("high", high))
        if isinstance(limit, dict) and _said_absent(limit)
    ]
    return (
        {key: part for key, part in reference_range.items() if key not in gone} if gone else reference_range
    )


def hides_death(patient: Mapping[str, Any]) -> bool:
    """Whether a Patient has a date of death of which only the reason is given why it isn't there.

    Whoever has one may have died: it is not for the service to say that he has not.
    """
    if any(patient.get(key) is not None for key in ("deceasedDateTime", "deceasedBoolean")):
        return False
    return _reason(patient.get("_deceasedDateTime")) not in (None, "not-applicable")


def says_absent(element: object) -> bool:
    """Whether a Period or Timing says only why it has no content."""
    if not isinstance(element, dict) or any(element.get(key) for key in _CONTENT):
        return False
    return any(_reason(part) for part in (element, element.get("_start"), element.get("_end")))


def _said_absent(value: Mapping[str, Any]) -> str | None:
    """Why a value has no content; None for one that has some, or gives no reason."""
    codings = value.get("coding")
    if isinstance(codings, list) and codings and not value.get("text"):
        codes = [_absent_code(coding) for coding in codings if coding is not None]
        return codes[0] if codes and all(codes) else None
    if value.get("value") is not None or value.get("modifierExtension"):
        return None
    if any(
        value.get(key) for key in _CONTENT if key != "code"
    ):  # a Quantity without a value may have its unit
        return None
    return _reason(value) or _reason(value.get("_value")) or _reason(value.get("_text"))


def _absent_code(coding: object) -> str | None:
    code = coding.get("code") if isinstance(coding, dict) else None
    if not isinstance(coding, dict) or not isinstance(code, str):
        return None
    if coding.get("system") == _NULL_FLAVOR:
        return _FLAVORS.get(code)
    return code if coding.get("system") == _REASONS else None


def _reason(element: object) -> str | None:
    """The code of an element's data-absent-reason extension."""
    listed = element.get("extension") if isinstance(element, dict) else None
    for entry in listed if isinstance(listed, list) else ():
        if isinstance(entry, dict) and entry.get("url") == _EXTENSION:
            code = entry.get("valueCode")
            return code if isinstance(code, str) and code else "unknown"
    return None
