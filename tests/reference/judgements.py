"""Which deviation the smallest differing part of a generated expression shows: by its operator and by both values.

A rule says no more than it must: an operator of its list, and values that differ in its one way. What no rule knows is
unexplained. The names are those of `explanations.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from cds_service import units
from cds_service.elm import Date, DateTime, Interval, Quantity, Time
from cds_service.elm.bounds import end, start
from cds_service.elm.values import MAX_INTEGER
from tests.reference.compare import STEP, differences
from tests.reference.narrow import Part

Json = Any
_BOUND_RELATIONS: Final = (
    "Start", "End", "Width", "Starts", "Ends", "Before", "After", "Overlaps", "OverlapsBefore", "OverlapsAfter", "Meets",
    "MeetsBefore", "MeetsAfter", "Includes", "IncludedIn", "ProperIncludes", "ProperIncludedIn", "In", "Contains", "Equal",
    "SameAs", "SameOrBefore", "SameOrAfter",
)  # fmt: skip
_SETS: Final = ("Collapse", "Except", "Union", "Intersect")


def judged(part: Part) -> str | None:
    """The name of the explanation, or None."""
    return next((name for name, rule in RULES.items() if rule(part)), None)


def _values(part: Part) -> tuple[Json, Json]:
    return part.ours.get("value"), part.theirs.get("value")


def _fails(part: Part, *words: str) -> bool:
    return any(word in str(part.ours.get("error")) for word in words) and "value" in part.theirs


def same_interval(part: Part) -> bool:
    """Intervals of the same points, written with other bounds."""
    ours, theirs = _values(part)
    return part.node["type"] in _SETS and _spans(ours) is not None and _spans(ours) == _spans(theirs)


def _spans(value: Json) -> Json:
    """What intervals cover: their starts and ends; None where that can't be told."""
    if isinstance(value, list):
        found = [_spans(item) for item in value]
        return None if any(item is None for item in found) else found
    if not isinstance(value, Mapping) or value.get("$") != "Interval":
        return None
    ends = (_decoded(value["low"]), _decoded(value["high"]))
    interval = Interval(*ends, value["lowClosed"], value["highClosed"])
    closed = [ends[0] is not None or not value["lowClosed"], ends[1] is not None or not value["highClosed"]]
    # A closed null bound reaches to the end of the type's range, whichever way that is written.
    reaches = [
        _comparable(of(interval)) if known else "range"
        for of, known in zip((start, end), closed, strict=True)
    ]
    return ["range" if _outermost(reach) else reach for reach in reaches]


def _comparable(point: Any) -> Any:
    if isinstance(point, Quantity):
        value = units.convert(point.value or Decimal(0), point.unit, "mg")
        return None if value is None else round(value, 4)
    if isinstance(point, DateTime):
        return point.key()
    if isinstance(point, (int, Decimal)):
        return round(Decimal(point), 6)
    return getattr(point, "parts", point)


def _outermost(reach: Any) -> bool:
    """Whether a start or end is that of the type's range."""
    if isinstance(reach, tuple):
        return reach in ((1, 1, 1), (9999, 12, 31), (0, 0, 0, 0), (23, 59, 59, 999)) or reach[0] in (1, 9999)
    return isinstance(reach, Decimal) and (abs(reach) >= 10**19 or reach in (-(2**31), 2**31 - 1))


def _decoded(value: Json) -> Any:
    if not isinstance(value, Mapping):
        return Decimal(value) if isinstance(value, Decimal) else value
    parts = tuple(part for part in value.get("parts", ()) if part is not None)
    match value["$"]:
        case "Date":
            return Date.of(parts)
        case "DateTime":
            offset = value["offset"]
            return DateTime.of(parts, None if offset is None else int(offset * 60))
        case "Time":
            return Time.of(parts)
        case "Quantity":
            return Quantity(Decimal(value["value"]), value["unit"])
    return None


def same_quantity(part: Part) -> bool:
    """The same quantity in another unit."""
    ours, theirs = (_decoded(value) for value in _values(part))
    if not (isinstance(ours, Quantity) and isinstance(theirs, Quantity)) or ours.unit == theirs.unit:
        return False
    converted = units.convert(theirs.value or Decimal(0), theirs.unit, ours.unit)
    return converted is not None and not differences(round(ours.value or Decimal(0), 6), round(converted, 6))


def unknown_bounds(part: Part) -> bool:
    """A set operation on an interval with a null bound, or an end, width or relation of one that the reference can't tell."""
    null_bound = any(
        node.get("type") == "Interval" and any(_is_null(node.get(end_)) for end_ in ("low", "high"))
        for node in _nodes(part.node)
    )
    if not null_bound or "value" not in part.ours or "value" not in part.theirs:
        return False
    if part.node["type"] in _BOUND_RELATIONS:
        return part.theirs["value"] is None
    return part.node["type"] in _SETS


def _is_null(node: Any) -> bool:
    return isinstance(node, Mapping) and (
        node.get("type") == "Null" or (node.get("type") == "As" and _is_null(node.get("operand")))
    )


def _nodes(node: Any) -> Any:
    if isinstance(node, list):
        for item in node:
            yield from _nodes(item)
    elif isinstance(node, Mapping):
        yield node
        for value in node.values():
            yield from _nodes(value)


def components_checked(part: Part) -> bool:
    """Components that make no date or time: an error here, a value there."""
    kinds = part.node["type"] in ("Date", "DateTime", "Time")
    no_hour = part.ours.get("value", 0) is None and isinstance(part.theirs.get("value"), Mapping)
    failing = _fails(part, "the components make no date or time", "has not the shape")
    return (kinds and (failing or no_hour)) or (part.node["type"] == "TimeFrom" and no_hour)


def interval_checked(part: Part) -> bool:
    """A low bound above the high one: an error here, a value there."""
    return part.node["type"] == "Interval" and _fails(part, "an interval's low bound is above its high bound")


_LIST_TESTS: Final = (
    "In",
    "Contains",
    "Includes",
    "IncludedIn",
    "ProperIncludes",
    "ProperIncludedIn",
    "ProperIn",
    "ProperContains",
)


def unknown_membership(part: Part) -> bool:
    """Membership that hangs on an unknown equality: null here, false there."""
    return part.node["type"] in _LIST_TESTS and _values(part) == (None, False)


def split_of_nothing(part: Part) -> bool:
    return part.node["type"] == "Split" and _values(part) == ([""], None)


def unreadable_quantity(part: Part) -> bool:
    return part.node["type"] == "ToQuantity" and _values(part)[0] is None and _values(part)[1] is not None


def uncertain_arithmetic(part: Part) -> bool:
    """An operator on an uncertain duration: an uncertain number (or an error) here, null or nonsense there."""
    ours = _values(part)[0]
    uncertain = isinstance(ours, Mapping) and ours.get("$") == "Interval"
    operands = part.node.get("operand", [])
    given = [
        *(operands if isinstance(operands, list) else [operands]),
        part.node.get("startIndex"),
        part.node.get("length"),
    ]
    durations = any(
        node.get("type") in ("DurationBetween", "DifferenceBetween")
        for node in _nodes([n for n in given if n])
    )
    return durations and (uncertain or _fails(part, "uncertain", "has not the shape", "has no text"))


def open_bounds_ignored(part: Part) -> bool:
    """Collapse, Starts and Ends of an interval with an open bound, taken as if it were closed."""
    opened = any(
        node.get("type") == "Interval" and False in (node.get("lowClosed"), node.get("highClosed"))
        for node in _nodes(part.node)
    )
    ours, theirs = _values(part)
    if part.node["type"] == "Collapse":
        return opened and isinstance(ours, list) and isinstance(theirs, list)
    return opened and part.node["type"] in ("Starts", "Ends") and {ours, theirs} == {True, False}


def union_with_null(part: Part) -> bool:
    """A union or difference with a null list, in which duplicates are left; a union of two null lists."""
    ours, theirs = _values(part)
    if part.node["type"] == "Union" and ours == [] and "value" in part.theirs and theirs is None:
        return True
    if (
        part.node["type"] not in ("Union", "Except")
        or not isinstance(ours, list)
        or not isinstance(theirs, list)
    ):
        return False
    distinct: list[Json] = []
    for item in theirs:
        if not any(item == other for other in distinct):
            distinct.append(item)
    return len(distinct) < len(theirs) and not differences(ours, distinct)


def half_rounded(part: Part) -> bool:
    """A negative half."""
    ours, theirs = _values(part)
    return (
        part.node["type"] == "Round"
        and _is_number(ours)
        and _is_number(theirs)
        and ours < 0
        and ours < theirs
    )


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, Decimal)) and not isinstance(value, bool)


def time_of_day_wraps(part: Part) -> bool:
    """A Time moved past midnight: the time of day here, null there."""
    ours, theirs = _values(part)
    is_time = isinstance(ours, Mapping) and ours.get("$") == "Time"
    return part.node["type"] in ("Add", "Subtract") and is_time and theirs is None


def no_decimals(part: Part) -> bool:
    """A Decimal's digits in a text: `4.0` here, `4` there. The Decimal after 1.0: 1.00000001 here, 2 there. 3 ~ 2.5."""
    ours, theirs = _values(part)
    if part.node["type"] == "Equivalent":
        numbers = ("Quantity", "Decimal", "Integer", "Literal", "Negate", "Interval")
        return (ours, theirs) == (True, False) and all(
            operand["type"] in numbers for operand in part.node["operand"]
        )
    if part.node["type"] in ("Successor", "Predecessor", "Start", "End"):
        here, there = _number(ours), _number(theirs)
        return here is not None and there is not None and abs(here - there) in (1 - STEP, 1 + STEP)
    if not (isinstance(ours, str) and isinstance(theirs, str)) or part.node["type"] != "ToString":
        return False
    return re.sub(r"(\d)\.0+(?!\d)", r"\1", ours) == re.sub(r"(\d)\.0+(?!\d)", r"\1", theirs)


def _number(value: Json) -> Decimal | None:
    if isinstance(value, Mapping) and value.get("$") == "Quantity":
        value = value["value"]
    return Decimal(value) if _is_number(value) else None


def out_of_range(part: Part) -> bool:
    """A number about the end of its type's range: one engine gives it, the other null."""
    ours, theirs = _values(part)
    if part.node["type"] == "Width":
        return ours is None and _is_number(theirs) and abs(theirs) > MAX_INTEGER
    number = _number(ours)
    return (
        part.node["type"] in ("Multiply", "Add", "Subtract")
        and theirs is None
        and number is not None
        and abs(number) > 10**19
    )


def range_in_utc(part: Part) -> bool:
    """The first or last DateTime of all, at another offset."""
    ours, theirs = _values(part)
    kinds = all(isinstance(value, Mapping) and value.get("$") == "DateTime" for value in (ours, theirs))
    return (
        part.node["type"] in ("Start", "End")
        and kinds
        and ours["parts"] == theirs["parts"]
        and ours["parts"][0] in (1, 9999)
    )


def month_ends(part: Part) -> bool:
    """Months from a day that the last month does not have: one less here."""
    ours, theirs = _values(part)
    months = part.node["type"] == "DurationBetween" and part.node.get("precision") in ("Month", "Year")
    return months and _is_number(ours) and _is_number(theirs) and abs(theirs) - abs(ours) == 1


def negative_length(part: Part) -> bool:
    """A part of a text of negative length."""
    return part.node["type"] == "Substring" and _values(part) == (None, "")


def lists_of_two_lengths(part: Part) -> bool:
    """Equality of lists of which one is longer."""
    return (
        part.node["type"] == "Equal" and _values(part) == (False, None) and _is_list(part.node["operand"][0])
    )


def _is_list(node: Mapping[str, Any]) -> bool:
    kind = (node.get("resultTypeSpecifier") or {}).get("type")
    return kind == "ListTypeSpecifier" or node.get("type") == "List"


def equivalence_is_known(part: Part) -> bool:
    """Equivalence that comes to null there."""
    ours, theirs = _values(part)
    return part.node["type"] == "Equivalent" and isinstance(ours, bool) and theirs is None


def unreadable_number(part: Part) -> bool:
    """A text that is no number: null here, the number that it begins with there."""
    ours, theirs = _values(part)
    return part.node["type"] in ("ToInteger", "ToDecimal") and ours is None and _is_number(theirs)


def length_of_null(part: Part) -> bool:
    """The length of a null whose type the reference can't tell: it fails."""
    failing = "reading 'type'" in str(part.theirs.get("error"))
    return part.node["type"] == "Length" and failing and part.ours.get("value", 1) in (None, 0)


RULES: Final[Mapping[str, Callable[[Part], bool]]] = {
    "interval-checked": interval_checked,
    "components-checked": components_checked,
    "same-interval": same_interval,
    "unknown-bounds": unknown_bounds,
    "same-quantity": same_quantity,
    "unknown-membership": unknown_membership,
    "split-of-nothing": split_of_nothing,
    "unreadable-quantity": unreadable_quantity,
    "uncertain-arithmetic": uncertain_arithmetic,
    "open-bounds-ignored": open_bounds_ignored,
    "union-with-null": union_with_null,
    "half-rounded": half_rounded,
    "time-of-day-wraps": time_of_day_wraps,
    "no-decimals": no_decimals,
    "equivalence-is-known": equivalence_is_known,
    "unreadable-number": unreadable_number,
    "out-of-range": out_of_range,
    "lists-of-two-lengths": lists_of_two_lengths,
    "range-in-utc": range_in_utc,
    "month-ends": month_ends,
    "negative-length": negative_length,
    "length-of-null": length_of_null,
}
