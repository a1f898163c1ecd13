"""Arithmetic operators. CQL 1.5, Appendix B, Arithmetic Operators.

"In general, operations that cause arithmetic overflow or underflow, or otherwise cannot be performed (such as
division by 0) will result in null, rather than a run-time error." Decimals have 8 places (half up) and 20 digits
before the point. `Add` and `Subtract` of dates and times are in `datetime`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal, InvalidOperation, Overflow
from typing import Any

from cds_service import units
from cds_service.elm.bounds import STEP, maximum, minimum, predecessor, successor
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.operators.building import apply1, apply2, call, children, strict1
from cds_service.elm.operators.datetime import add_temporal
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import named, result_type, system
from cds_service.elm.values import (
    DECIMAL_BOUND,
    MAX_INTEGER,
    MAX_LONG,
    MIN_INTEGER,
    MIN_LONG,
    Interval,
    Long,
    Quantity,
    Uncertainty,
)

_PLACES = 8
_WHOLE_DIGITS = 28


def in_range(value: Any) -> Any:
    """A number as CQL keeps it: Decimals rounded to 8 places, null outside the type's range."""
    kind = type(value)
    if kind is Decimal:
        exponent = value.as_tuple().exponent
        if isinstance(exponent, int) and exponent < -8:
            value = value.quantize(STEP, ROUND_HALF_UP)
        return value if -DECIMAL_BOUND <= value <= DECIMAL_BOUND else None
    if kind is int:
        return value if MIN_INTEGER <= value <= MAX_INTEGER else None
    if kind is Long:
        return value if MIN_LONG <= value <= MAX_LONG else None
    return value


def _same(value: Any, like: Any, other: Any = None) -> Any:
    """A Long where an operand is one: Python's int arithmetic forgets it."""
    return Long(value) if type(value) is int and (type(like) is Long or type(other) is Long) else value


def add(one: Any, two: Any) -> Any:
    """+(left T, right T) T for Integer, Long, Decimal, Quantity; Date, DateTime and Time plus Quantity; String."""
    if isinstance(one, (Date, DateTime, Time)):
        return add_temporal(one, two, 1)
    if type(one) is Quantity or type(two) is Quantity:
        return _sum(one, two, 1)
    if type(one) is str:
        return one + two
    return in_range(_same(one + two, one, two))


def subtract(one: Any, two: Any) -> Any:
    """-(left T, right T) T; Date, DateTime and Time minus Quantity."""
    if isinstance(one, (Date, DateTime, Time)):
        return add_temporal(one, two, -1)
    if type(one) is Quantity or type(two) is Quantity:
        return _sum(one, two, -1)
    return in_range(_same(one - two, one, two))


def _sum(one: Any, two: Any, sign: int) -> Any:
    left, right = _quantity(one), _quantity(two)
    if left.value is None or right.value is None:
        return None
    # The result has the more granular of the two units; CQL leaves the choice open for others.
    finer = units.factor(left.unit, right.unit)
    if finer is not None and finer > 1:
        left_value = units.convert(left.value, left.unit, right.unit)
        value, unit = (None if left_value is None else left_value + sign * right.value), right.unit
    else:
        right_value = units.convert(right.value, right.unit, left.unit)
        value, unit = (None if right_value is None else left.value + sign * right_value), left.unit
    value = None if value is None else in_range(value)
    return None if value is None else Quantity(value, unit)


def _quantity(value: Any) -> Quantity:
    return value if isinstance(value, Quantity) else Quantity(Decimal(value), "1")


def multiply(one: Any, two: Any) -> Any:
    """*(left T, right T) T; units of quantities multiply."""
    if type(one) is Quantity or type(two) is Quantity:
        left, right = _quantity(one), _quantity(two)
        if left.value is None or right.value is None:
            return None
        value = in_range(left.value * right.value)
        return None if value is None else Quantity(value, units.multiply(left.unit, right.unit))
    return in_range(_same(one * two, one, two))


def divide(one: Any, two: Any) -> Any:
    """/(left Decimal, right Decimal) Decimal, also quantities; by zero: null."""
    if type(one) is Quantity or type(two) is Quantity:
        left, right = _quantity(one), _quantity(two)
        if left.value is None or not right.value:
            return None
        unit = units.divide(left.unit, right.unit)
        ratio = units.factor(left.unit, right.unit)
        value: Any = left.value / right.value
        if ratio is not None and left.unit != right.unit:
            value, unit = value * ratio.numerator / ratio.denominator, "1"
        value = in_range(value)
        return None if value is None else Quantity(value, unit)
    if isinstance(one, Uncertainty) or isinstance(two, Uncertainty):
        raise DataError("an uncertain number can't be divided")
    return None if two == 0 else in_range(Decimal(one) / Decimal(two))


def truncated_divide(one: Any, two: Any) -> Any:
    """div(left T, right T) T: the whole part of the quotient; by zero: null."""
    if isinstance(one, Quantity) or isinstance(two, Quantity):
        return _with_units(one, two, truncated_divide, lambda left, right: left)
    if isinstance(one, Uncertainty) or isinstance(two, Uncertainty):
        raise DataError("an uncertain number can't be divided")
    if two == 0:
        return None
    if isinstance(one, int) and isinstance(two, int):
        quotient = abs(one) // abs(two)
        return in_range(_same(quotient if (one < 0) is (two < 0) else -quotient, one, two))
    try:
        return in_range(Decimal(one) // Decimal(two))
    except InvalidOperation:  # a quotient of more digits than a Decimal has
        return None


def modulo(one: Any, two: Any) -> Any:
    """mod(left T, right T) T: the remainder of `div`, with the dividend's sign; by zero: null."""
    if isinstance(one, Quantity) or isinstance(two, Quantity):
        return _with_units(one, two, modulo, lambda left, right: left)
    if two == 0:
        return None
    if isinstance(one, int) and isinstance(two, int):
        rest = abs(one) % abs(two)
        return _same(rest if one >= 0 else -rest, one, two)
    try:
        return in_range(Decimal(one) % Decimal(two))
    except InvalidOperation:  # a quotient of more digits than a Decimal has
        return None


def _with_units(
    one: Any,
    two: Any,
    function: Callable[[Any, Any], Any],
    unit: Callable[[str | None, str | None], str | None],
) -> Any:
    left, right = _quantity(one), _quantity(two)
    if left.value is None or right.value is None:
        return None
    same = units.convert(right.value, right.unit, left.unit)
    value = function(left.value, right.value if same is None else same)
    return (
        None if value is None else Quantity(value, unit(left.unit, right.unit if same is None else left.unit))
    )


def _negate(value: Any) -> Any:
    """-(argument T) T."""
    if isinstance(value, Quantity):
        return None if value.value is None else Quantity(-value.value, value.unit)
    return in_range(_same(-value, value))


def _absolute(value: Any) -> Any:
    """Abs(argument T) T."""
    if isinstance(value, Quantity):
        return None if value.value is None else Quantity(abs(value.value), value.unit)
    return in_range(_same(abs(value), value))


def _whole(rounding: str) -> Callable[[Any], Any]:
    """Ceiling, Floor, Truncate (argument Decimal) Integer."""

    def run(value: Any) -> Any:
        return in_range(int(Decimal(value).to_integral_value(rounding)))

    return run


def _round(value: Any, places: Any = None) -> Any:
    """Round(argument Decimal, precision Integer) Decimal: halves away from zero; a Decimal has 8 places anyway."""
    if isinstance(value, Quantity):
        return None if value.value is None else Quantity(_round(value.value, places), value.unit)
    places = max(-_WHOLE_DIGITS, min(places or 0, _PLACES))
    try:
        return in_range(Decimal(value).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP))
    except InvalidOperation:  # the zeros that it would be written with are more than a Decimal has
        return in_range(Decimal(value))


def _build_round(scope: Scope, node: Node) -> Expr:
    return call(_round, [*scope.operands(node), *children(scope, node, "precision")], nullable=1)


def _ln(value: Any) -> Any:
    """Ln(argument Decimal) Decimal: null for what has no logarithm."""
    return None if value <= 0 else in_range(Decimal(value).ln())


def _exp(value: Any) -> Any:
    """Exp(argument Decimal) Decimal: null on overflow."""
    try:
        return None if value > 1000 else in_range(Decimal(value).exp())
    except (Overflow, InvalidOperation):
        return None


def _log(value: Any, base: Any) -> Any:
    """Log(argument Decimal, base Decimal) Decimal."""
    if value <= 0 or base <= 0:
        return None
    below = Decimal(base).ln()
    return None if below == 0 else in_range(Decimal(value).ln() / below)


def _power(value: Any, exponent: Any) -> Any:
    """^(argument T, exponent T) T: a Decimal where the exponent is negative."""
    if isinstance(value, int) and isinstance(exponent, int) and exponent >= 0:
        if abs(value) > 1 and exponent > 64:
            return None
        return in_range(_same(int(value) ** int(exponent), value, exponent))
    if exponent == 0:
        return Decimal(1)  # Python's 0 ** 0 is an error for Decimals
    try:
        return in_range(Decimal(value) ** Decimal(exponent))
    except (Overflow, InvalidOperation, ZeroDivisionError):
        return None


def _end_of_range(limit: Callable[[str | None], Any]) -> Builder:
    """minimum<T>() T, maximum<T>() T."""

    def build(scope: Scope, node: Node) -> Expr:
        kind = named(node["valueType"])
        value = limit(system(kind))
        if value is None:
            scope.fail(node, f"{kind} has no least or greatest value")
        return constant(value, kind)

    return build


def _successor(value: Any) -> Any:
    """successor of<T>(argument T) T: null past the type's end; of a DateTime or Time an error."""
    return _stepped(value, successor)


def _predecessor(value: Any) -> Any:
    """predecessor of<T>(argument T) T: null past the type's end; of a DateTime or Time an error."""
    return _stepped(value, predecessor)


def _stepped(value: Any, move: Callable[[Any], Any]) -> Any:
    """ "If the result of the operation cannot be represented (i.e. would result in an overflow), the result is null."

    HL7's suite has an error for DateTime and Time all the same, as the reference engine does for every type.
    """
    moved = move(value)
    if moved is None and isinstance(value, (DateTime, Time)):
        raise DataError("the result is outside the type's range")
    return moved


def _precision(value: Any) -> Any:
    """Precision(argument Decimal|Date|DateTime|Time) Integer: digits after the point, or digits of the date
    and time."""
    if isinstance(value, (Date, DateTime)):
        return (4, 6, 8, 10, 12, 14, 17)[len(value.parts) - 1]
    if isinstance(value, Time):
        return (2, 4, 6, 9)[len(value.parts) - 1]
    exponent = Decimal(value).as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else None


def _boundary(high: bool) -> Callable[..., Any]:
    """LowBoundary, HighBoundary (input, precision Integer): the least or greatest value it may mean at that
    precision."""

    def run(value: Any, precision: Any = None) -> Any:
        if isinstance(value, (Date, DateTime, Time)):
            return _temporal_boundary(value, precision, high)
        if isinstance(value, Interval):
            raise DataError("the boundary of an interval is not defined")
        places = 8 if precision is None else precision
        if not 0 <= places <= 8:
            return None
        number = Decimal(value)
        exponent = number.as_tuple().exponent
        known = -exponent if isinstance(exponent, int) else 0
        if high and known < places:
            number += Decimal(1).scaleb(-known) - Decimal(1).scaleb(-places)
        return number.quantize(Decimal(1).scaleb(-places), ROUND_CEILING if high else ROUND_FLOOR)

    return run


def _temporal_boundary(value: Any, precision: Any, high: bool) -> Any:
    lengths = (
        {2: 1, 4: 2, 6: 3, 9: 4}
        if isinstance(value, Time)
        else {4: 1, 6: 2, 8: 3, 10: 4, 12: 5, 14: 6, 17: 7}
    )
    wanted = value.full if precision is None else lengths.get(precision)
    if wanted is None or wanted > value.full:
        return None
    from calendar import monthrange

    fill = ((23, 59, 59, 999) if high else (0, 0, 0, 0)) if isinstance(value, Time) else None
    parts = list(value.parts[:wanted])
    while len(parts) < wanted:
        index = len(parts)
        if fill is not None:
            parts.append(fill[index])
        elif not high:
            parts.append((1, 1, 1, 0, 0, 0, 0)[index])
        elif index == 2:
            parts.append(monthrange(parts[0], parts[1])[1])
        else:
            parts.append((9999, 12, 31, 23, 59, 59, 999)[index])
    if isinstance(value, DateTime):
        return DateTime.of(tuple(parts), value.offset)
    return type(value).of(tuple(parts))


def _build_boundary(high: bool) -> Builder:
    run = _boundary(high)
    return lambda scope, node: call(run, [*scope.operands(node)], nullable=1)


def _build_negate(scope: Scope, node: Node) -> Expr:
    operand = node["operand"]
    kind = named(operand.get("valueType", ""))
    least = {"System.Integer": MIN_INTEGER, "System.Long": Long(MIN_LONG)}.get(kind)
    if least is not None and operand.get("value", "").removesuffix("L") == str(-least):
        return constant(least, kind)  # the literal alone would be out of range
    return apply1(_negate, scope.expr(operand))


def _binary(function: Callable[[Any, Any], Any]) -> Builder:
    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        result = apply2(function, left, right)
        result.type = result_type(node) or (left.type if left.type == right.type else None)
        return result

    return build


BUILDERS: Mapping[str, Builder] = {
    "Add": _binary(add),
    "Subtract": _binary(subtract),
    "Multiply": _binary(multiply),
    "Divide": _binary(divide),
    "TruncatedDivide": _binary(truncated_divide),
    "Modulo": _binary(modulo),
    "Power": _binary(_power),
    "Log": _binary(_log),
    "Negate": _build_negate,
    "Abs": strict1(_absolute),
    "Ceiling": strict1(_whole(ROUND_CEILING)),
    "Floor": strict1(_whole(ROUND_FLOOR)),
    "Truncate": strict1(_whole("ROUND_DOWN")),
    "Round": _build_round,
    "Ln": strict1(_ln),
    "Exp": strict1(_exp),
    "Successor": strict1(_successor),
    "Predecessor": strict1(_predecessor),
    "MinValue": _end_of_range(minimum),
    "MaxValue": _end_of_range(maximum),
    "Precision": strict1(_precision),
    "LowBoundary": _build_boundary(False),
    "HighBoundary": _build_boundary(True),
}
