"""Whether two engines' values of a define are the same: strictly, as far as JavaScript's values tell.

`encoded` brings this engine's values into the form in which tests/reference/run.cjs writes the reference's;
`difference` says where two of them part. JavaScript does not tell Integer from Decimal, and holds 53 bits.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from cds_service.elm import Code, CodeSystem, Concept, Date, DateTime, Interval, Long, Quantity, Ratio, Time, ValueSet
from cds_service.elm.values import Tuple

_PLACES = 2e-8  # CQL's Decimals have eight places, the reference rounds none


def encoded(value: Any) -> Any:
    """This engine's value in the reference's form."""
    if isinstance(value, Long):
        return {"$": "Long", "value": str(int(value))}
    if value is None or isinstance(value, (bool, str, int, float)):
        return value
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, (list, tuple)):
        return [encoded(item) for item in value]
    if isinstance(value, Tuple):
        return {"$": "Tuple", "elements": {name: encoded(item) for name, item in value.items()}}
    if isinstance(value, dict):
        return {"$": "FHIR", "json": value}
    if isinstance(value, DateTime):
        offset = None if value.offset is None else value.offset / 60
        return {"$": "DateTime", "parts": _padded(value.parts, 7), "offset": offset}
    if isinstance(value, Date):
        return {"$": "Date", "parts": _padded(value.parts, 3)}
    if isinstance(value, Time):
        return {"$": "Time", "parts": _padded(value.parts, 4)}
    if isinstance(value, Quantity):
        return {"$": "Quantity", "value": encoded(value.value), "unit": value.unit}
    if isinstance(value, Ratio):
        return {"$": "Ratio", "numerator": encoded(value.numerator), "denominator": encoded(value.denominator)}
    if isinstance(value, Interval):
        bounds = {"low": encoded(value.low), "high": encoded(value.high)}
        return {"$": "Interval", **bounds, "lowClosed": value.low_closed, "highClosed": value.high_closed}
    if isinstance(value, Code):
        return {"$": "Code", "code": value.code, "system": value.system}
    if isinstance(value, Concept):
        return {"$": "Concept", "codes": [encoded(code) for code in value.codes]}
    if isinstance(value, (ValueSet, CodeSystem)):
        return {"$": type(value).__name__, "id": value.id}
    raise TypeError(f"a value of {type(value).__name__} has no form here")


def _padded(parts: tuple[int, ...], length: int) -> list[int | None]:
    return [*parts, *[None] * (length - len(parts))]


def difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    """Where the two part (`path: ours, not theirs`), None where they are the same."""
    said = f"{path or 'value'}: {_short(ours)}, not {_short(theirs)}"
    theirs_json = _json_of(theirs)
    if isinstance(ours, dict) and ours.get("$") == "FHIR" or theirs_json is not theirs:
        one, two = _json_of(ours), theirs_json
        if isinstance(one, dict) and isinstance(two, dict) and "resourceType" in one and "resourceType" in two:
            same = all(one.get(key) == two.get(key) for key in ("resourceType", "id"))
            return None if same else said
        return None if _same_json(one, two) else said
    if isinstance(ours, bool) or isinstance(theirs, bool) or ours is None or theirs is None:
        return None if ours is theirs else said
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        close = abs(ours - theirs) <= _PLACES * max(1.0, abs(theirs))
        return None if ours == theirs or (close and not float(ours).is_integer() or close and ours == theirs) else said
    if isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{path or 'value'}: {len(ours)} elements {_short(ours)}, not {len(theirs)} {_short(theirs)}"
        found = (difference(one, two, f"{path}[{at}]") for at, (one, two) in enumerate(zip(ours, theirs, strict=True)))
        return next((item for item in found if item), None)
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            return said
        found = (difference(ours[key], theirs[key], f"{path}.{key}") for key in ours)
        return next((item for item in found if item), None)
    return None if type(ours) is type(theirs) and ours == theirs else said


def _json_of(value: Any) -> Any:
    return value["json"] if isinstance(value, dict) and value.get("$") == "FHIR" else value


def _same_json(one: Any, two: Any) -> bool:
    if isinstance(one, dict) and isinstance(two, dict) and "$" not in one and "$" not in two:
        return one.keys() == two.keys() and all(_same_json(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(_same_json(a, b) for a, b in zip(one, two, strict=True))
    return type(one) is type(two) and bool(one == two) or (isinstance(one, float | int) and isinstance(two, float | int) and one == two)


def _short(value: Any) -> str:
    if isinstance(value, dict) and value.get("$") == "FHIR" and isinstance(value.get("json"), dict):
        inner = value["json"]
        if "resourceType" in inner:
            return f"{inner['resourceType']}/{inner.get('id')}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value[:4]) + (", …" if len(value) > 4 else "") + "]"
    text = repr(value)
    return text if len(text) <= 200 else text[:200] + "…"
