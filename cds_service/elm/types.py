"""Static types, as ELM's result types state them or the compiler infers them.

A named type is a string, `System.Integer` or `FHIR.Observation`; None means that the type is not known, and
the operators then look at the values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Union

SYSTEM = "{urn:hl7-org:elm-types:r1}"
FHIR = "{http://hl7.org/fhir}"


@dataclass(frozen=True, slots=True)
class ListOf:
    """List<element>."""

    element: StaticType


@dataclass(frozen=True, slots=True)
class IntervalOf:
    """Interval<point>."""

    point: StaticType


@dataclass(frozen=True, slots=True)
class ChoiceOf:
    """Choice<…>."""

    types: tuple[StaticType, ...]


@dataclass(frozen=True, slots=True)
class TupleOf:
    """Tuple {name type, …}."""

    elements: tuple[tuple[str, StaticType], ...]

    def element(self, name: str) -> StaticType:
        """The type of one element, None where there is none of that name."""
        return next((kind for key, kind in self.elements if key == name), None)


StaticType = Union[str, ListOf, IntervalOf, ChoiceOf, TupleOf, None]  # noqa: UP007 - forward references


def named(qualified: str) -> str:
    """`{urn:hl7-org:elm-types:r1}Integer` → `System.Integer`, `{http://hl7.org/fhir}code` → `FHIR.code`."""
    if qualified.startswith(SYSTEM):
        return "System." + qualified[len(SYSTEM) :]
    if qualified.startswith(FHIR):
        return "FHIR." + qualified[len(FHIR) :]
    return qualified


def specified(node: Mapping[str, Any] | None) -> StaticType:
    """The type that an ELM TypeSpecifier node states."""
    if not node:
        return None
    kind = node.get("type")
    if kind == "NamedTypeSpecifier":
        return named(node["name"])
    if kind == "ListTypeSpecifier":
        return ListOf(specified(node.get("elementType")))
    if kind == "IntervalTypeSpecifier":
        return IntervalOf(specified(node.get("pointType")))
    if kind == "ChoiceTypeSpecifier":
        return ChoiceOf(tuple(specified(choice) for choice in node.get("choice") or node.get("type_") or ()))
    if kind == "TupleTypeSpecifier":
        elements = (
            (element["name"], specified(element.get("elementType") or element.get("type")))
            for element in node.get("element") or ()
        )
        return TupleOf(tuple(elements))
    return None


def result_type(node: Mapping[str, Any]) -> StaticType:
    """The type that the translator wrote on a node (`result-types` on), else None."""
    name = node.get("resultTypeName")
    return named(name) if name else specified(node.get("resultTypeSpecifier"))


def element_of(kind: StaticType) -> StaticType:
    """The element type of a list type, else None."""
    return kind.element if isinstance(kind, ListOf) else None


def point_name(kind: StaticType) -> str | None:
    """The System type name of an interval's points (`Integer`), None where unknown."""
    point = kind.point if isinstance(kind, IntervalOf) else None
    if isinstance(point, str) and point.startswith("System.") and point != "System.Any":
        return point[len("System.") :]
    return None


def system(kind: StaticType) -> str | None:
    """`Integer` of `System.Integer`; None of anything else."""
    return kind[len("System.") :] if isinstance(kind, str) and kind.startswith("System.") else None


def fhir(kind: StaticType) -> str | None:
    """`Observation` of `FHIR.Observation`; None of anything else."""
    return kind[len("FHIR.") :] if isinstance(kind, str) and kind.startswith("FHIR.") else None
