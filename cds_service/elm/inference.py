"""The static type of an expression whose ELM states none, from its node and its operands' types.

Published ELM is mostly written without result types. What can't be told is None, and the operators then look at
the values. A wrong guess would be worse than none: where the branches of a conditional part, it is a choice of theirs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cds_service.elm.types import ChoiceOf, IntervalOf, ListOf, StaticType, TupleOf, element_of, system

Node = Mapping[str, Any]
Types = Mapping[int, StaticType]


def merged(kinds: Iterable[StaticType]) -> StaticType:
    """The type that all of these say as much as they know of, where they part the choice of them: unknown would let
    whatever it is merged with next decide alone. None where none of them says anything."""
    result: StaticType = None
    for kind in kinds:
        if kind is None or kind == "System.Any":
            continue
        result = kind if result is None or result == kind else _joined(result, kind)
    return result


def _joined(one: StaticType, two: StaticType) -> StaticType:
    if isinstance(one, ListOf) and isinstance(two, ListOf):
        return ListOf(merged((one.element, two.element)))
    if isinstance(one, IntervalOf) and isinstance(two, IntervalOf):
        return IntervalOf(merged((one.point, two.point)))
    if isinstance(one, TupleOf) and isinstance(two, TupleOf):
        names = [name for name, _ in one.elements]
        if {name for name, _ in two.elements} == set(names):
            return TupleOf(tuple((name, merged((one.element(name), two.element(name)))) for name in names))
    return ChoiceOf(tuple(dict.fromkeys([*_options(one), *_options(two)])))


def _options(kind: StaticType) -> tuple[StaticType, ...]:
    return kind.types if isinstance(kind, ChoiceOf) else (kind,)


def inferred(node: Node, types: Types, found: StaticType = None) -> StaticType:
    """The type of a node; `types` are those of its child expressions by the child's identity, `found` is what the
    operator's builder said."""
    kind = str(node.get("type"))
    rule = _RULES.get(kind)
    if rule is None:
        return found or _FIXED.get(kind)
    if found is not None and kind not in _AGREEING:
        return found
    return rule([types.get(id(child)) for child in _children(node)])


# What of several operands has the type of all of them: where these part, a choice.
_AGREEING = frozenset({"If", "Case", "Coalesce", "Union", "Intersect"})


def _children(node: Node) -> list[Node]:
    kind = node.get("type")
    if kind == "If":
        return [node["then"], node["else"]]
    if kind == "Case":
        return [*(item["then"] for item in node["caseItem"]), node["else"]]
    operand = node.get("operand", node.get("source"))
    if operand is None:
        return []
    return list(operand) if isinstance(operand, list) else [operand]


def _same(parts: list[StaticType]) -> StaticType:
    """All the same: a part that isn't known says nothing against the others."""
    return merged(parts)


def _first(parts: list[StaticType]) -> StaticType:
    return parts[0] if parts else None


def _point(parts: list[StaticType]) -> StaticType:
    kind = _first(parts)
    return kind.point if isinstance(kind, IntervalOf) else None


def _element(parts: list[StaticType]) -> StaticType:
    return element_of(_first(parts))


def _coalesced(parts: list[StaticType]) -> StaticType:
    return _element(parts) if len(parts) == 1 and isinstance(parts[0], ListOf) else _same(parts)


def _sum(parts: list[StaticType]) -> StaticType:
    """A moment plus a quantity is a moment; numbers and quantities keep their type."""
    kind = _first(parts)
    if kind is not None:
        return kind
    other = parts[1] if len(parts) > 1 else None
    return None if other == "System.Quantity" else other


def _product(parts: list[StaticType]) -> StaticType:
    if "System.Quantity" in parts:
        return "System.Quantity"
    return parts[0] if parts and all(kind == parts[0] for kind in parts) else None


def _quotient(parts: list[StaticType]) -> StaticType:
    kinds = [system(kind) for kind in parts]
    if None in kinds:
        return None
    return "System.Quantity" if "Quantity" in kinds else "System.Decimal"


def _average(parts: list[StaticType]) -> StaticType:
    kind = _element(parts)
    return "System.Quantity" if kind == "System.Quantity" else ("System.Decimal" if system(kind) else None)


def _flattened(parts: list[StaticType]) -> StaticType:
    inner = _element(parts)
    return inner if isinstance(inner, ListOf) else None


def _expanded(parts: list[StaticType]) -> StaticType:
    """Of a list of intervals such a list, of one interval a list of its points."""
    kind = _first(parts)
    if isinstance(kind, IntervalOf):
        return ListOf(kind.point)
    return kind if isinstance(kind, ListOf) else None


def _indexed(parts: list[StaticType]) -> StaticType:
    kind = _first(parts)
    return "System.String" if kind == "System.String" else element_of(kind)


_RULES: Mapping[str, Callable[[list[StaticType]], StaticType]] = {
    **dict.fromkeys(("If", "Case", "Union", "Intersect"), _same),
    "Coalesce": _coalesced,
    **dict.fromkeys(("Start", "End", "PointFrom", "Width"), _point),
    **dict.fromkeys(
        ("First", "Last", "SingletonFrom", "Min", "Max", "Sum", "Mode", "Product", "Median"), _element
    ),
    **dict.fromkeys(("Avg", "StdDev", "PopulationStdDev"), _average),
    **dict.fromkeys(
        (
            "Distinct",
            "Collapse",
            "Slice",
            "Except",
            "Predecessor",
            "Successor",
            "Negate",
            "Abs",
            "Filter",
            "Sort",
            "Message",
        ),
        _first,
    ),
    **dict.fromkeys(("Add", "Subtract", "Modulo"), _sum),
    "Multiply": _product,
    "Divide": _quotient,
    "Flatten": _flattened,
    "Expand": _expanded,
    "Indexer": _indexed,
}

_FIXED: Mapping[str, StaticType] = {
    **dict.fromkeys(
        [
            "And",
            "Or",
            "Xor",
            "Implies",
            "Not",
            "IsNull",
            "IsTrue",
            "IsFalse",
            "Equal",
            "NotEqual",
            "Equivalent",
            "Less",
            "LessOrEqual",
            "Greater",
            "GreaterOrEqual",
            "In",
            "ProperIn",
            "Contains",
            "ProperContains",
            "Includes",
            "IncludedIn",
            "ProperIncludes",
            "ProperIncludedIn",
            "Overlaps",
            "OverlapsBefore",
            "OverlapsAfter",
            "Meets",
            "MeetsBefore",
            "MeetsAfter",
            "Starts",
            "Ends",
            "Before",
            "After",
            "SameAs",
            "SameOrBefore",
            "SameOrAfter",
            "Exists",
            "InValueSet",
            "AnyInValueSet",
            "InCodeSystem",
            "AnyInCodeSystem",
            "Is",
            "AllTrue",
            "AnyTrue",
            "StartsWith",
            "EndsWith",
            "Matches",
            "CanConvert",
            "CanConvertQuantity",
            "ToBoolean",
        ],
        "System.Boolean",
    ),
    **dict.fromkeys(
        [
            "Count",
            "Length",
            "CalculateAge",
            "CalculateAgeAt",
            "DurationBetween",
            "DifferenceBetween",
            "DateTimeComponentFrom",
            "IndexOf",
            "PositionOf",
            "LastPositionOf",
            "Ceiling",
            "Floor",
            "Truncate",
            "Precision",
        ],
        "System.Integer",
    ),
    **dict.fromkeys(("TimezoneOffsetFrom", "TimezoneFrom", "Round", "Ln", "Exp", "Log"), "System.Decimal"),
    **dict.fromkeys(
        ("Concatenate", "Combine", "Substring", "Upper", "Lower", "ReplaceMatches"), "System.String"
    ),
    **dict.fromkeys(("Split", "SplitOnMatches", "ToChars"), ListOf("System.String")),
    **dict.fromkeys(("DateTime", "Now"), "System.DateTime"),
    **dict.fromkeys(("Date", "Today", "DateFrom"), "System.Date"),
    **dict.fromkeys(("Time", "TimeOfDay", "TimeFrom"), "System.Time"),
}
