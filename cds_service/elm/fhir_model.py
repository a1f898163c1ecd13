"""The FHIR R4 types that the compiler needs: element types, base types, choice elements, primitives.

The table (`fhir_types.json`) was made from the CQL translator's FHIR 4.0.1 model info (Apache-2.0). An
unknown type or element gives None; the caller decides whether that is an authoring error.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any

from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, TupleOf


@dataclass(frozen=True, slots=True)
class Element:
    """One element of a FHIR type. `choices` (JSON key, type) is empty unless it is a choice element (`value[x]`)."""

    type: StaticType
    choices: tuple[tuple[str, str], ...] = ()


# In JSON a choice of these types has the general type's name: doseAndRate.dose is `doseQuantity`.
_JSON_NAMES = {"SimpleQuantity": "Quantity", "MoneyQuantity": "Quantity"}


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads((files("cds_service.elm") / "fhir_types.json").read_bytes())
    code = {"base": "Element", "elements": {"value": "System.String"}}
    types: dict[str, Any] = table["types"]
    types.update(dict.fromkeys(table["codes"], code))
    return types


def known(name: str) -> bool:
    """Whether FHIR R4 has a type of this name."""
    return name in _table()


_SYSTEM = frozenset(
    {
        "Any", "Boolean", "Code", "CodeSystem", "Concept", "Date", "DateTime", "Decimal", "Integer", "Long", "Quantity",
        "Ratio", "String", "Time", "ValueSet", "Vocabulary",
    }
)  # fmt: skip


def unknown(kind: StaticType) -> str | None:
    """The first name in a type that neither CQL nor FHIR R4 has; None where all are known, or nothing is stated."""
    if isinstance(kind, str):
        model, _, name = kind.partition(".")
        return None if (name in _SYSTEM if model == "System" else model == "FHIR" and known(name)) else kind
    inner: tuple[StaticType, ...] = ()
    if isinstance(kind, ListOf):
        inner = (kind.element,)
    elif isinstance(kind, IntervalOf):
        inner = (kind.point,)
    elif isinstance(kind, ChoiceOf):
        inner = kind.types
    elif isinstance(kind, TupleOf):
        inner = tuple(each for _, each in kind.elements)
    return next((found for each in inner if (found := unknown(each)) is not None), None)


def code_path(resource_type: str) -> str | None:
    """The element that a retrieve by codes means where the ELM names none."""
    path: str | None = _table().get(resource_type, {}).get("code")
    return path


def element(type_name: str, name: str | None) -> Element | None:
    """The element of that name of a FHIR type or of its base types."""
    return None if name is None or name not in _names() else _find_element(type_name, name)


@cache
def _names() -> frozenset[str]:
    """The names of all elements: any other may stand in a record, and nothing of it is kept."""
    return frozenset(name for entry in _table().values() for name in entry["elements"])


@lru_cache(maxsize=4096)
def _find_element(type_name: str, name: str) -> Element | None:
    table = _table()
    current: str | None = type_name
    while current in table:
        entry = table[current]
        text = entry["elements"].get(name)
        if text is not None:
            return _element(name, text)
        current = entry["base"]
    return None


def _element(name: str, text: str) -> Element:
    if text.startswith("*"):
        return Element(ListOf(_qualified(text[1:])))
    if "|" not in text:
        return Element(_qualified(text))
    kinds = text.split("|")
    choices = []
    for kind in kinds:
        json_name = _JSON_NAMES.get(kind, kind)
        choices.append((name + json_name[0].upper() + json_name[1:], json_name))
    return Element(ChoiceOf(tuple(_qualified(kind) for kind in kinds)), tuple(choices))


def _qualified(text: str) -> str:
    return text if text.startswith("System.") else "FHIR." + text


@lru_cache(maxsize=2048)
def value_type(type_name: str) -> str | None:
    """The System type of a FHIR primitive's `.value` (`DateTime` of `instant`); None for complex types."""
    if type_name not in _table() or type_name == "Quantity":
        return None
    found = element(type_name, "value")
    if found is None or not isinstance(found.type, str) or not found.type.startswith("System."):
        return None
    return found.type[len("System.") :]


def is_subtype(type_name: str, of: str) -> bool:
    """Whether a FHIR type is the other one or derives from it (`Age` of `Quantity`, `Observation` of `Resource`)."""
    if type_name not in _table() and type_name not in _JSON_NAMES:
        return type_name == _JSON_NAMES.get(of, of)  # a text of a record: nothing of it is kept
    return _is_subtype(type_name, of)


@lru_cache(maxsize=8192)
def _is_subtype(type_name: str, of: str) -> bool:
    of = _JSON_NAMES.get(of, of)
    table = _table()
    current: str | None = _JSON_NAMES.get(type_name, type_name)
    while current is not None:
        if current == of:
            return True
        current = table[current]["base"] if current in table else None
    return False
