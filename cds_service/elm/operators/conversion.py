"""Conversions: To*T*, ConvertsTo*T*, convert. CQL 1.5, Appendix B, Type Operators.

Text that can't be read gives null; so does a value that the other type can't hold.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from cds_service import units
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.operators.arithmetic import in_range
from cds_service.elm.operators.building import apply1, apply2
from cds_service.elm.operators.type import target_type
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import (
    fhir,
    system,
)
from cds_service.elm.values import (
    MAX_INTEGER,
    MAX_LONG,
    MIN_INTEGER,
    MIN_LONG,
    Concept,
    Long,
    Quantity,
    Ratio,
    Uncertainty,
)

_TRUE = ("true", "t", "yes", "y", "1")


_FALSE = ("false", "f", "no", "n", "0")


_ZONE = re.compile(r"(Z|[+-]\d{2}:\d{2})\Z", re.ASCII)


_INTEGER = re.compile(r"[+-]?\d+\Z", re.ASCII)


_DECIMAL = re.compile(r"[+-]?\d+(\.\d+)?\Z", re.ASCII)


_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']*)'|([A-Za-z]+))?\Z", re.ASCII)


def _parsed(parse: Callable[[str], Any], text: str) -> Any:
    try:
        return parse(text)
    except ValueError:
        return None


def to_boolean(value: Any) -> Any:
    """ToBoolean(argument String|Integer|Long|Decimal) Boolean."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str):
        text = value.lower()
        return True if text in _TRUE else (False if text in _FALSE else None)
    return True if value == 1 else (False if value == 0 else None)


def _whole(text: str) -> int | None:
    # Python reads no more than 4,300 digits.
    return _parsed(int, text) if _INTEGER.match(text) else None


def to_integer(value: Any) -> Any:
    """ToInteger(argument Boolean|String|Long) Integer."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = _whole(value)
        if value is None:
            return None
    return int(value) if MIN_INTEGER <= value <= MAX_INTEGER else None


def to_long(value: Any) -> Any:
    """ToLong(argument Boolean|Integer|String) Long."""
    if isinstance(value, str):
        value = _whole(value)
        if value is None:
            return None
    return Long(value) if MIN_LONG <= value <= MAX_LONG else None


def to_decimal(value: Any) -> Any:
    """ToDecimal(argument Boolean|Integer|Long|String) Decimal."""
    if isinstance(value, Uncertainty):
        return Uncertainty(Decimal(value.low), Decimal(value.high))
    if isinstance(value, str) and not _DECIMAL.match(value):
        return None
    try:
        return in_range(Decimal(value))
    except InvalidOperation:
        return None


def to_string(value: Any) -> Any:
    """ToString(argument T) String."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        text = format(value, "f")
        return text if "." in text else text + ".0"
    if isinstance(value, Quantity):
        unit = value.unit or "1"
        text = format(value.value, "f") if value.value is not None else ""
        return f"{text} {unit}" if unit in units.CALENDAR else f"{text} '{unit}'"
    if isinstance(value, Ratio):
        return f"{to_string(value.numerator)}:{to_string(value.denominator)}"
    if isinstance(value, DateTime):
        text = str(value)  # "YYYY-MM-DDThh:mm:ss.fff(+|-)hh:mm", CQL Reference, ToString
        return text[:-1] + "+00:00" if text.endswith("Z") else text
    if isinstance(value, (int, str, Date, Time)):
        return str(value)
    raise DataError("a value of this type has no text")


def to_date(value: Any) -> Any:
    """ToDate(argument String|DateTime) Date."""
    if isinstance(value, DateTime):
        return value.date()
    if isinstance(value, str):
        parsed = _parsed(lambda text: DateTime.parse(text, 0), value)
        return None if parsed is None else parsed.date()
    return value


def to_time(value: Any) -> Any:
    """ToTime(argument String) Time: an offset is read over."""
    return _parsed(Time.parse, _ZONE.sub("", value)) if isinstance(value, str) else value


def to_quantity(value: Any) -> Any:
    """ToQuantity(argument Decimal|Integer|String|Ratio) Quantity."""
    if isinstance(value, Quantity):
        return value
    if isinstance(value, Ratio):
        from cds_service.elm.operators.arithmetic import divide

        return divide(value.numerator, value.denominator)
    if not isinstance(value, str):
        return Quantity(Decimal(value), "1")
    found = _QUANTITY.match(value.strip())
    if found is None:
        return None
    number, ucum, word = found.groups()
    if word is not None and word not in units.CALENDAR:
        return None
    amount = in_range(Decimal(number))
    unit = ucum or word or "1"
    return None if amount is None or not units.is_unit(unit) else Quantity(amount, unit)


def to_ratio(value: Any) -> Any:
    """ToRatio(argument String) Ratio."""
    parts = value.split(":")
    if len(parts) != 2:
        return None
    numerator, denominator = to_quantity(parts[0]), to_quantity(parts[1])
    return None if numerator is None or denominator is None else Ratio(numerator, denominator)


def to_concept(value: Any) -> Any:
    """ToConcept(argument Code|List<Code>) Concept."""
    if isinstance(value, Concept):
        return value
    if isinstance(value, list):
        return Concept(tuple(value))
    return Concept((value,), value.display)


def _to_datetime(scope: Scope, node: Node) -> Expr:
    """ToDateTime(argument Date|String) DateTime: without an offset, the evaluation's."""
    (operand,) = scope.operands(node)
    return _datetime_of(operand)


def _datetime_of(operand: Expr) -> Expr:
    inner = operand.fn

    def run_to_datetime(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if isinstance(value, str):
            return _parsed(lambda text: DateTime.parse(text, ctx.offset), value)
        return DateTime.of(value.parts, ctx.offset) if isinstance(value, Date) else value

    return Expr(run_to_datetime, "System.DateTime")


def to_datetime_or_null(value: Any) -> Any:
    """A DateTime of a text or Date, for asking whether it can be had."""
    if isinstance(value, str):
        return _parsed(lambda text: DateTime.parse(text, 0), value)
    return value


_CONVERSIONS: Mapping[str, Callable[[Any], Any]] = {
    "Boolean": to_boolean,
    "Integer": to_integer,
    "Long": to_long,
    "Decimal": to_decimal,
    "String": to_string,
    "Date": to_date,
    "DateTime": to_datetime_or_null,
    "Time": to_time,
    "Quantity": to_quantity,
    "Ratio": to_ratio,
    "Concept": to_concept,
}


def _conversion(name: str) -> Builder:
    convert = _CONVERSIONS[name]

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        if fhir(operand.type) is not None:
            scope.fail(node, f"a conversion of {operand.type}")
        made = apply1(convert, operand)
        made.type = "System." + name
        return made

    return build


def _converts_to(name: str) -> Builder:
    """ConvertsTo*T*(argument Any) Boolean."""
    convert = _CONVERSIONS[name]

    def can(value: Any) -> bool:
        try:
            return convert(value) is not None
        except (DataError, TypeError, ValueError, AttributeError, InvalidOperation):
            return False

    def build(scope: Scope, node: Node) -> Expr:
        (operand,) = scope.operands(node)
        return apply1(can, operand)

    return build


def _convert(scope: Scope, node: Node) -> Expr:
    """convert<T>(argument Any) T."""
    wanted = target_type(node, "to")
    name = system(wanted)
    (operand,) = scope.operands(node)
    if name == "DateTime":
        return _datetime_of(operand)
    if name is None or name not in _CONVERSIONS:
        scope.fail(node, f"a conversion to {wanted} is not supported")
    made = apply1(_CONVERSIONS[name], operand)
    made.type = wanted
    return made


def _can_convert(scope: Scope, node: Node) -> Expr:
    """CanConvert: whether `convert` gives a value."""
    name = system(target_type(node, "to"))
    if name is None or name not in _CONVERSIONS:
        scope.fail(node, "a conversion to this type is not supported")
    built = _converts_to(name)(scope, node)
    assert isinstance(built, Expr)  # noqa: S101 - _converts_to makes one
    return built


def _convert_quantity(value: Any, unit: Any) -> Any:
    """ConvertQuantity(argument Quantity, unit String) Quantity: null where the units are not comparable."""
    if value.value is None:
        return None
    converted = units.convert(value.value, value.unit, unit)
    converted = None if converted is None else in_range(converted)
    return None if converted is None else Quantity(converted, unit)


def _build_convert_quantity(scope: Scope, node: Node) -> Expr:
    left, right = scope.operands(node)
    return apply2(_convert_quantity, left, right)


def _can_convert_quantity(scope: Scope, node: Node) -> Expr:
    """CanConvertQuantity(argument Quantity, unit String) Boolean."""
    left, right = scope.operands(node)
    return apply2(lambda value, unit: _convert_quantity(value, unit) is not None, left, right)


def _comparable(scope: Scope, node: Node) -> Expr:
    """Comparable(left Quantity, right Quantity) Boolean: of units that convert to each other (CQL 2.0)."""
    left, right = scope.operands(node)
    return apply2(lambda one, two: units.comparable(one.unit, two.unit), left, right)


def _to_chars(scope: Scope, node: Node) -> Expr:
    """ELM ToChars: the characters of a string."""
    (operand,) = scope.operands(node)
    return apply1(list, operand)


BUILDERS: Mapping[str, Builder] = {
    "Convert": _convert,
    "CanConvert": _can_convert,
    "ConvertQuantity": _build_convert_quantity,
    "CanConvertQuantity": _can_convert_quantity,
    "Comparable": _comparable,
    "ToChars": _to_chars,
    **{f"To{name}": _conversion(name) for name in _CONVERSIONS if name != "DateTime"},
    **{f"ConvertsTo{name}": _converts_to(name) for name in _CONVERSIONS if name != "Concept"},
    "ToDateTime": _to_datetime,
}
