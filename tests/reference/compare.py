"""Whether two engines came to the same value: ours written as `run.cjs` writes the reference's, then compared strictly.

null is not false and not an empty list; lists are ordered; a DateTime has its parts and its precision. What counts as the
same although it is written differently, and why:

- **Numbers.** JavaScript has no Decimal and no Integer: each number is a binary64. Two numbers are the same where they
  differ by one unit in CQL's last place (10^-8: a Decimal has 8 places, and neither engine's rounding is prescribed) or by
  2^-50 of their size (four units of what a binary64 of that size can tell apart). Integers below 2^50 are thus exact.
- **Offsets.** Two DateTimes with a time of day are the same moment of the same precision; without one, the offset says
  nothing (the reference always has one).
- **Units.** No unit is the unit '1' (CQL Reference, Quantity: "If the unit is not specified, the default unit ('1') is
  used"), and `year` is `years`: one keyword in two numbers.
- **FHIR.** Elements by their JSON, resources by type and id: both engines hold the same ones. Our engine keeps a FHIR
  primitive as the JSON value that it is.
- **Tuples.** An element that is null is the same as one that is not there: in JavaScript's objects these can't be told
  apart (`undefined`), and CQL's selector can't leave one out.

An uncertain value is an Interval outside our engine, and the reference's Uncertainty is compared with that. Errors: what
can't be written raises TypeError; `differences` raises nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from cds_service.elm import (
    Code,
    Concept,
    Date,
    DateTime,
    Interval,
    Long,
    Quantity,
    Ratio,
    Result,
    Time,
    ValueSet,
)
from cds_service.elm.values import Uncertainty

Json = Any
STEP: Final = Decimal("1e-8")
RELATIVE: Final = Decimal(2) ** -50
_UNITS: Final = {None: "1", "": "1"} | {
    f"{name}s": name for name in ("year", "month", "week", "day", "hour", "minute", "second", "millisecond")
}
FAILED: Final = "failed"


@dataclass(frozen=True, slots=True)
class Difference:
    """Where two values part: `path` (`.low`, `[2].verdict`; empty: the whole), and what stands there."""

    path: str
    ours: Json
    theirs: Json

    def __str__(self) -> str:
        return f"{self.path or 'value'}: ours {shown(self.ours)}, reference {shown(self.theirs)}"


def outcome(result: Result) -> dict[str, Json]:
    """`{"value": …}` or `{"error": …}` of our Result, as the reference's answers are."""
    if result.error is not None:
        return {"error": str(result.error)}
    return {"value": encoded(result.value)}


def encoded(value: Any) -> Json:
    """Our value as `run.cjs` writes the reference's. A tuple is still a plain dict, as a FHIR element is."""
    kind = type(value)
    if value is None or kind in (bool, int, str, Decimal):
        return value
    if kind is list:
        return [encoded(item) for item in value]
    if isinstance(value, Mapping):
        return _mapping(value)
    written = _ENCODERS.get(kind)
    if written is None:
        raise TypeError(f"a value of type {kind.__name__} can't be compared")
    return written(value)


def _mapping(value: Mapping[str, Any]) -> Json:
    if "resourceType" in value:
        return {"$": "FHIR", "json": {"resourceType": value["resourceType"], "id": value.get("id")}}
    return {"$": "Object", "elements": {name: encoded(item) for name, item in value.items()}}


def _padded(parts: tuple[int, ...], length: int) -> list[int | None]:
    return [*parts, *[None] * (length - len(parts))]


_ENCODERS: Final[Mapping[type, Any]] = {
    Long: lambda v: {"$": "Long", "value": str(int(v))},
    float: lambda v: Decimal(repr(v)),
    Date: lambda v: {"$": "Date", "parts": _padded(v.parts, 3)},
    DateTime: lambda v: {
        "$": "DateTime",
        "parts": _padded(v.parts, 7),
        "offset": None if v.offset is None else Decimal(v.offset) / 60,
    },
    Time: lambda v: {"$": "Time", "parts": _padded(v.parts, 4)},
    Quantity: lambda v: {"$": "Quantity", "value": v.value, "unit": v.unit},
    Ratio: lambda v: {
        "$": "Ratio",
        "numerator": encoded(v.numerator),
        "denominator": encoded(v.denominator),
    },
    Interval: lambda v: {
        "$": "Interval",
        "low": encoded(v.low),
        "high": encoded(v.high),
        "lowClosed": v.low_closed,
        "highClosed": v.high_closed,
    },
    # It should not stand in a result; where it does, it differs from everything.
    Uncertainty: lambda v: {"$": "Uncertain bound", "low": encoded(v.low), "high": encoded(v.high)},
    Code: lambda v: {"$": "Code", "code": v.code, "system": v.system},
    Concept: lambda v: {"$": "Concept", "codes": [encoded(code) for code in v.codes]},
    ValueSet: lambda v: {"$": "ValueSet", "id": v.id},
}


def compared(ours: Mapping[str, Json], theirs: Mapping[str, Json]) -> list[Difference]:
    """The differences of two outcomes of a define. That both failed is no difference; the messages aren't compared."""
    if "error" in ours or "error" in theirs:
        if "error" in ours and "error" in theirs:
            return []
        return [Difference("", *(_failure(one) for one in (ours, theirs)))]
    return differences(ours["value"], theirs["value"])


def _failure(one: Mapping[str, Json]) -> Json:
    return {"$": FAILED, "message": one["error"]} if "error" in one else one["value"]


def differences(ours: Json, theirs: Json) -> list[Difference]:
    """Every place where the two written values differ; none means that they are the same."""
    return list(_walk(ours, theirs, ""))


def _walk(ours: Json, theirs: Json, path: str) -> Iterator[Difference]:
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from _walk(one, other, f"{path}[{index}]")
    elif isinstance(theirs, Mapping) and theirs["$"] == "FHIR":
        held = theirs["json"]
        primitive = isinstance(held, Mapping) and "value" in held and not isinstance(ours, Mapping)
        if _bare(ours) != _bare(held["value"] if primitive else held):
            yield Difference(path, ours, theirs)
    elif isinstance(theirs, Mapping) and isinstance(ours, Mapping):
        yield from _objects(ours, theirs, path)
    elif not _same_simple(ours, theirs):
        yield Difference(path, ours, theirs)


def _objects(ours: Mapping[str, Json], theirs: Mapping[str, Json], path: str) -> Iterator[Difference]:
    kinds = (ours["$"], theirs["$"])
    if kinds == ("Object", "Tuple"):
        yield from _tuples(ours["elements"], theirs["elements"], path)
    elif kinds in _MEMBERS:
        for name in _MEMBERS[kinds]:
            yield from _walk(ours[name], theirs[name], f"{path}.{name}")
    elif kinds == ("Interval", "Uncertainty"):
        if not (ours["lowClosed"] and ours["highClosed"]):
            yield Difference(path, ours, theirs)
        for name in ("low", "high"):
            yield from _walk(ours[name], theirs[name], f"{path}.{name}")
    elif kinds == ("DateTime", "DateTime"):
        if _moment(ours) != _moment(theirs):
            yield Difference(path, ours, theirs)
    elif kinds == ("Quantity", "Quantity"):
        same = _UNITS.get(ours["unit"], ours["unit"]) == _UNITS.get(theirs["unit"], theirs["unit"])
        if not same or not _same_simple(ours["value"], theirs["value"]):
            yield Difference(path, ours, theirs)
    elif ours != theirs:
        yield Difference(path, ours, theirs)


_MEMBERS: Final = {
    ("Interval", "Interval"): ("low", "high", "lowClosed", "highClosed"),
    ("Ratio", "Ratio"): ("numerator", "denominator"),
    ("Concept", "Concept"): ("codes",),
}


def _tuples(ours: Mapping[str, Json], theirs: Mapping[str, Json], path: str) -> Iterator[Difference]:
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        yield from _walk(ours.get(name), theirs.get(name), f"{path}.{name}")


def _same_simple(ours: Json, theirs: Json) -> bool:
    if _is_number(ours) and _is_number(theirs):
        one, other = Decimal(ours), Decimal(theirs)
        return abs(one - other) <= max(STEP, abs(one) * RELATIVE)
    return type(ours) is type(theirs) and bool(ours == theirs)


def _is_number(value: Json) -> bool:
    return type(value) in (int, Decimal, float)


def _moment(value: Mapping[str, Json]) -> tuple[int | None, ...]:
    """The parts of a DateTime, in UTC where the hour is known and the parts make a moment of Python's years."""
    parts: list[int | None] = value["parts"]
    offset = value["offset"]
    if parts[3] is None or not offset:
        return tuple(parts)
    known = [part or 0 for part in parts[:6]]
    try:
        moment = datetime(*known, tzinfo=UTC) - timedelta(minutes=int(offset * 60))  # type: ignore[misc, arg-type]
    except (OverflowError, ValueError):
        return (*parts, offset)
    whole = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)
    return tuple(None if part is None else now for part, now in zip(parts, (*whole, parts[6]), strict=True))


_QUANTITIES: Final = frozenset(
    {"Quantity", "Age", "Count", "Distance", "Duration", "Money", "SimpleQuantity"}
)


def _bare(value: Json) -> Json:
    """The JSON of a FHIR element however it was written: both engines' markers taken away."""
    if isinstance(value, list):
        return [_bare(item) for item in value]
    if isinstance(value, Mapping):
        if value.get("$") == "FHIR":
            inner = _bare(value["json"])
            # A primitive is an object there (`encodeFhir` in run.cjs).
            primitive = (
                isinstance(inner, Mapping) and "value" in inner and set(inner) <= {"value", "id", "extension"}
            )
            if primitive and value.get("type") not in _QUANTITIES:
                return inner["value"]
            return inner
        if value.get("$") == "Object":
            return {name: _bare(item) for name, item in value["elements"].items()}
        return {name: _bare(item) for name, item in value.items()}
    return Decimal(str(value)).normalize() if type(value) in (int, float, Decimal) else value


def shown(value: Json) -> str:
    """A written value on one line, for people."""
    if isinstance(value, list):
        return "[" + ", ".join(shown(item) for item in value) + "]"
    if not isinstance(value, Mapping):
        return _simple(value)
    kind = value.get("$")
    if kind == FAILED:
        return f"fails ({value['message']})"
    if kind in ("Date", "DateTime", "Time"):
        parts = ",".join(str(part) for part in value["parts"] if part is not None)
        offset = value.get("offset")
        return f"{kind}({parts}{'' if offset is None else f' {offset:+}'})"
    if kind == "Interval":
        left, right = "[" if value["lowClosed"] else "(", "]" if value["highClosed"] else ")"
        return f"Interval{left}{shown(value['low'])}, {shown(value['high'])}{right}"
    if kind in ("Object", "Tuple"):
        return "{" + ", ".join(f"{name}: {shown(item)}" for name, item in value["elements"].items()) + "}"
    inner = ", ".join(shown(item) for name, item in value.items() if name != "$")
    return f"{kind or ''}({inner})"


def _simple(value: Json) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return repr(value) if isinstance(value, str) else str(value)
