"""FHIR primitives as System values: what `.value` of a dateTime, a decimal, a code … gives.

A primitive of another JSON type than its FHIR type, or a date that is none, raises DataError: the define
fails, and no verdict rests on it. The errors hold no data.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cds_service.elm.compile import DataError
from cds_service.elm.context import Context
from cds_service.elm.temporal import Date, DateTime, Time, parse_date, parse_datetime, parse_time
from cds_service.elm.values import (
    Shell,
    Typed,
)


def _string(value: Any, ctx: Context) -> Any:
    if type(value) is str:
        return value
    return _odd(value, "string", _string, ctx)


def _boolean(value: Any, ctx: Context) -> Any:
    return value if type(value) is bool else _odd(value, "boolean", _boolean, ctx)


def _integer(value: Any, ctx: Context) -> Any:
    return value if type(value) is int else _odd(value, "integer", _integer, ctx)


def _decimal(value: Any, ctx: Context) -> Any:
    kind = type(value)
    if kind is Decimal:
        return value
    if kind is float:
        return Decimal(repr(value))
    return Decimal(value) if kind is int else _odd(value, "decimal", _decimal, ctx)


def _date(value: Any, ctx: Context) -> Any:
    if type(value) is str:
        try:
            return parse_date(value)
        except ValueError:
            raise DataError("a FHIR date can't be read") from None
    return _odd(value, "date", _date, ctx)


def _datetime(value: Any, ctx: Context) -> Any:
    if type(value) is str:
        found = ctx.moments.get(value)
        if found is None:
            try:
                found = ctx.moments[value] = parse_datetime(value, ctx.offset)
            except ValueError:
                raise DataError("a FHIR dateTime can't be read") from None
        return found
    return _odd(value, "dateTime", _datetime, ctx)


def _time(value: Any, ctx: Context) -> Any:
    if type(value) is str:
        try:
            return parse_time(value)
        except ValueError:
            raise DataError("a FHIR time can't be read") from None
    return _odd(value, "time", _time, ctx)


def _odd(value: Any, wanted: str, convert: Callable[[Any, Context], Any], ctx: Context) -> Any:
    """A primitive that is not what its type says: null, one with extensions, or a fault in the data."""
    if value is None:
        return None
    if type(value) is Shell:
        inner = value.get("value")
        return None if inner is None else convert(inner, ctx)
    if type(value) is Typed:
        raise DataError(f"a FHIR {wanted} is expected")
    if isinstance(value, (Date, DateTime, Time)):
        return value
    raise DataError(f"a FHIR {wanted} is not one in the data")


CONVERTERS: Mapping[str, Callable[[Any, Context], Any]] = {
    "String": _string,
    "Boolean": _boolean,
    "Integer": _integer,
    "Decimal": _decimal,
    "Date": _date,
    "DateTime": _datetime,
    "Time": _time,
}
