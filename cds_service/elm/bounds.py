"""Successor, predecessor, least and greatest values, and the start and end of intervals.

CQL 1.5, Appendix B, Successor, Predecessor, Minimum, Maximum, Start, End. Past a type's end: OverflowError
(an interval's bound) or None (see each function). An interval of unknown point type with a null bound has no
start or end: None.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cds_service.elm import durations
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.values import (
    _UNSET,
    MAX_DECIMAL,
    MAX_INTEGER,
    MAX_LONG,
    MIN_DECIMAL,
    MIN_INTEGER,
    MIN_LONG,
    Interval,
    Long,
    Quantity,
    Uncertainty,
    bounds,
)

STEP = Decimal("0.00000001")


def type_name(value: Any) -> str | None:
    """The System type name of a point value."""
    if isinstance(value, (Date, DateTime, Time)):
        return value.type_name
    if type(value) is Uncertainty:
        return type_name(value.low)
    return _NAMES.get(type(value))


_NAMES: dict[type, str] = {
    bool: "Boolean",
    int: "Integer",
    Long: "Long",
    Decimal: "Decimal",
    str: "String",
    Quantity: "Quantity",
}


def minimum(point: str | None, unit: str | None = None) -> Any:
    """The least value of a System type, None where it has none."""
    if point in ("Date", "DateTime", "Time"):
        return durations.minimum(point)
    if point == "Quantity":
        return Quantity(MIN_DECIMAL, unit)
    return {"Integer": MIN_INTEGER, "Long": Long(MIN_LONG), "Decimal": MIN_DECIMAL}.get(point or "")


def maximum(point: str | None, unit: str | None = None) -> Any:
    """The greatest value of a System type, None where it has none."""
    if point in ("Date", "DateTime", "Time"):
        return durations.maximum(point)
    if point == "Quantity":
        return Quantity(MAX_DECIMAL, unit)
    return {"Integer": MAX_INTEGER, "Long": Long(MAX_LONG), "Decimal": MAX_DECIMAL}.get(point or "")


def successor(value: Any) -> Any:
    """The next value of the type; None past its end."""
    return _step(value, 1)


def predecessor(value: Any) -> Any:
    """The value before this one; None past the type's end."""
    return _step(value, -1)


def _step(value: Any, amount: int) -> Any:
    kind = type(value)
    if kind is int or kind is Long:
        low, high = (MIN_LONG, MAX_LONG) if kind is Long else (MIN_INTEGER, MAX_INTEGER)
        moved = value + amount
        return kind(moved) if low <= moved <= high else None
    if kind is Decimal:
        moved = value + STEP * amount
        return moved if MIN_DECIMAL <= moved <= MAX_DECIMAL else None
    if kind is Date or kind is DateTime or kind is Time:
        return durations.step(value, amount)
    if kind is Quantity:
        moved = _step(value.value, amount)
        return None if moved is None else Quantity(moved, value.unit)
    if kind is Uncertainty:
        low, high = _step(value.low, amount), _step(value.high, amount)
        return Uncertainty(value.low if low is None else low, value.high if high is None else high)
    raise TypeError(f"{kind.__name__} has no successor")


def start(interval: Interval, point: str | None = None) -> Any:
    """The first point: an Uncertainty for an open null bound; None where it can't be told."""
    found = interval._start
    if found is _UNSET:
        found = _start(interval, point)
        if found is not None or interval.low is not None:
            interval._start = found
    return found


def end(interval: Interval, point: str | None = None) -> Any:
    """The last point: an Uncertainty for an open null bound; None where it can't be told."""
    found = interval._end
    if found is _UNSET:
        found = _end(interval, point)
        if found is not None or interval.high is not None:
            interval._end = found
    return found


def _start(interval: Interval, point: str | None) -> Any:
    if interval.low is not None:
        return interval.low if interval.low_closed else successor(interval.low)
    point = interval.point or type_name(interval.high) or point
    least = minimum(point, getattr(interval.high, "unit", None))
    if interval.low_closed or least is None:
        return least
    if interval.high is None:
        return Uncertainty(least, maximum(point))
    last = interval.high if interval.high_closed else predecessor(interval.high)
    return Uncertainty(least, bounds(last)[1])


def _end(interval: Interval, point: str | None) -> Any:
    if interval.high is not None:
        return interval.high if interval.high_closed else predecessor(interval.high)
    point = interval.point or type_name(interval.low) or point
    greatest = maximum(point, getattr(interval.low, "unit", None))
    if interval.high_closed or greatest is None:
        return greatest
    if interval.low is None:
        return Uncertainty(minimum(point), greatest)
    first = interval.low if interval.low_closed else successor(interval.low)
    return Uncertainty(bounds(first)[0], greatest)
