"""The parameters that an evaluation is given, checked against the types that the library declares.

An int or float may stand for a Decimal, an int for a Long, a Date for a DateTime (as CQL converts it: without a time of
day, at the evaluation's offset). Anything else that is not of the declared type raises
AuthoringError, naming the parameter, the type and what kind of value came (never the value itself). FHIR types, tuples
and choices are taken as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from cds_service.elm.bounds import end, start
from cds_service.elm.compare import less
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import IntervalOf, ListOf, StaticType, system
from cds_service.elm.values import (
    DECIMAL_BOUND,
    MAX_INTEGER,
    MAX_LONG,
    MIN_INTEGER,
    MIN_LONG,
    Code,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
)
from cds_service.errors import AuthoringError

_KINDS: Final[Mapping[str, type]] = {
    "Boolean": bool,
    "String": str,
    "Date": Date,
    "DateTime": DateTime,
    "Time": Time,
    "Quantity": Quantity,
    "Ratio": Ratio,
    "Code": Code,
    "Concept": Concept,
}


def checked(library: str, name: str, value: Any, kind: StaticType, offset: int) -> Any:
    """The value as the engine holds it. `offset`: the evaluation's, in minutes from UTC."""
    if value is None:
        return None
    found = _as(value, kind, offset)
    if found is _WRONG:
        given = type(value).__name__
        raise AuthoringError(
            f"the parameter {name} is declared as {_told(kind)}; it was given a {given} that is none",
            library=library,
        )
    return found


_WRONG: Final = object()


def _as(value: Any, kind: StaticType, offset: int) -> Any:
    if value is None:
        return None
    if isinstance(kind, ListOf):
        if not isinstance(value, (list, tuple)):
            return _WRONG
        items = [_as(item, kind.element, offset) for item in value]
        return _WRONG if any(item is _WRONG for item in items) else items
    if isinstance(kind, IntervalOf):
        return _interval(value, kind, offset)
    name = system(kind) or ""
    if name == "DateTime" and type(value) is Date:
        return DateTime.of(value.parts, offset)
    if name in _KINDS:
        return value if type(value) is _KINDS[name] else _WRONG
    if name in ("Integer", "Long"):
        low, high = (MIN_INTEGER, MAX_INTEGER) if name == "Integer" else (MIN_LONG, MAX_LONG)
        fits = type(value) in ((int,) if name == "Integer" else (int, Long)) and low <= value <= high
        return _WRONG if not fits else value if name == "Integer" else Long(value)
    number = Decimal(repr(value)) if type(value) is float else value
    if name == "Decimal":
        if type(number) is int:
            number = Decimal(number)
        fits = type(number) is Decimal and number.is_finite() and abs(number) < DECIMAL_BOUND
        return number if fits else _WRONG
    return number


def _interval(value: Any, kind: IntervalOf, offset: int) -> Any:
    if not isinstance(value, Interval):
        return _WRONG
    low, high = _as(value.low, kind.point, offset), _as(value.high, kind.point, offset)
    if low is _WRONG or high is _WRONG:
        return _WRONG
    made = Interval(low, high, value.low_closed, value.high_closed, system(kind.point))
    if low is not None and high is not None and less(end(made), start(made)) is True:
        return _WRONG
    return made


def _told(kind: StaticType) -> str:
    if isinstance(kind, ListOf):
        return f"List<{_told(kind.element)}>"
    if isinstance(kind, IntervalOf):
        return f"Interval<{_told(kind.point)}> with its low bound not above its high one"
    return str(kind).removeprefix("System.")
