"""CQL's values as people and other programs read them: text for what has a form of its own, lists, mappings, evidence.

Dates, quantities, codes, intervals and decimals become text (`2026-06-01`, `28 {score}`, `SNOMED CT 86044005 (…)`);
truth values, whole numbers, text and null stay. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any, Final

from cds_service.eligibility.evidence import concept_words, quantity_words
from cds_service.eligibility.verdict import Evidence
from cds_service.elm import Code, CodeSystem, Concept, Interval, Quantity, Ratio, ValueSet
from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, TupleOf
from cds_service.terminology.systems import CANONICAL, system_name

# Of an address no more than where the patient lives; a name belongs nowhere here.
_PLACE: Final = ("city", "state", "country")
_NAME: Final = frozenset({"family", "given"})
_QUANTITY: Final = frozenset({"value", "unit", "system", "code", "comparator", "extension", "id"})
_PERIOD: Final = frozenset({"start", "end", "extension", "id"})


def readable(value: Any, present: Callable[[Mapping[str, Any]], Any]) -> Any:
    """The value as None, bool, int, str, lists and mappings of them; `present` makes what stands for a resource."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, Mapping):
        return _object(value, present)
    if isinstance(value, (list, tuple)):
        return [readable(item, present) for item in value]
    return _text(value)


def to_json(value: Any) -> Any:
    """A readable value with its evidence as JSON."""
    if isinstance(value, Evidence):
        return value.to_json()
    if isinstance(value, Mapping):
        return {name: to_json(part) for name, part in value.items()}
    return [to_json(item) for item in value] if isinstance(value, list) else value


def code_words(code: Code) -> str:
    """`SNOMED CT 86044005 Amyotrophic lateral sclerosis`; a code of the project's own by its words:
    `ALS in words (read from the text)`."""
    system, name = system_name(code.system), str(code.code)
    if (code.system or "").startswith(CANONICAL):
        return f"{code.display or name.replace('-', ' ')} ({system})"
    worded = code.display is not None and name not in code.display
    return f"{system} {name} {code.display}" if worded else f"{system} {name}"


def type_words(kind: StaticType) -> str | None:
    """A type as CQL writes it, without the elements of a tuple: `List<Tuple>`, `Interval<System.Date>`."""
    if isinstance(kind, ListOf):
        return f"List<{type_words(kind.element) or 'Any'}>"
    if isinstance(kind, IntervalOf):
        return f"Interval<{type_words(kind.point) or 'Any'}>"
    if isinstance(kind, ChoiceOf):
        return f"Choice<{', '.join(type_words(option) or 'Any' for option in kind.types)}>"
    return "Tuple" if isinstance(kind, TupleOf) else kind


def reference_ranges(resource: Mapping[str, Any]) -> Iterator[str]:
    """`10 U/L to 40 U/L`, or the text, of each of an Observation's reference ranges."""
    ranges = resource.get("referenceRange")
    for entry in ranges if isinstance(ranges, (list, tuple)) else ():
        if not isinstance(entry, Mapping):
            continue
        low, high = quantity_words(entry.get("low")), quantity_words(entry.get("high"))
        if low or high:
            yield f"{low} to {high}" if low and high else f"from {low}" if low else f"up to {high}"
        elif isinstance(entry.get("text"), str):
            yield entry["text"]


def _object(value: Mapping[str, Any], present: Callable[[Mapping[str, Any]], Any]) -> Any:
    """A resource, a FHIR element, or a CQL tuple: only what they hold tells them apart."""
    if isinstance(value.get("resourceType"), str):
        return present(value)
    if isinstance(value.get("coding"), (list, tuple)):
        return concept_words(value) or "a concept without words"
    if isinstance(value.get("code"), str) and isinstance(value.get("system"), str) and "value" not in value:
        return code_words(Code(value["code"], value["system"], None, value.get("display")))
    if any(name in value for name in _PLACE):
        return ", ".join(part for name in _PLACE if isinstance(part := value.get(name), str)) or "an address"
    if not _NAME.isdisjoint(value):
        return "a name"
    if value.get("value") is not None and value.keys() <= _QUANTITY:
        return quantity_words(value)
    if value and value.keys() <= _PERIOD:
        return f"{value.get('start') or 'open'} to {value.get('end') or 'open'}"
    return {str(name): readable(part, present) for name, part in value.items()}


def _text(value: Any) -> str:
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, Quantity):
        return " ".join(
            part for part in (_bound(value.value), value.unit if value.unit != "1" else None) if part
        )
    if isinstance(value, Ratio):
        return f"{_bound(value.numerator)}:{_bound(value.denominator)}"
    if isinstance(value, Code):
        return code_words(value)
    if isinstance(value, Concept):
        return value.display or "; ".join(code_words(code) for code in value.codes)
    if isinstance(value, (ValueSet, CodeSystem)):
        return value.name or value.id
    return _interval(value) if isinstance(value, Interval) else str(value)


def _interval(value: Interval) -> str:
    """`33 to 62`, `from 33`, `up to 62`; an open bound is said to be excluded."""
    low, high = _bound(value.low), _bound(value.high)
    low = f"{low} (excluded)" if low and not value.low_closed else low
    high = f"{high} (excluded)" if high and not value.high_closed else high
    if low and high:
        return f"{low} to {high}"
    return f"from {low}" if low else f"up to {high}" if high else "without bounds"


def _bound(value: Any) -> str:
    return "" if value is None else str(value) if isinstance(value, int) else _text(value)
