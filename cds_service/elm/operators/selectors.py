"""Literals and selectors: null, literals, quantities, ratios, codes, concepts, dates and times, intervals, lists.

CQL 1.5, Appendix B, Types; ELM, Simple Values. A literal that can't be read stops the load.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cds_service.elm.bounds import end, start
from cds_service.elm.codegen import operators as write
from cds_service.elm.compare import less
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.context import Context, Env
from cds_service.elm.operators.building import children, folded
from cds_service.elm.operators.references import code_system
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.types import IntervalOf, ListOf, named, point_name, result_type, specified
from cds_service.elm.values import (
    DECIMAL_BOUND,
    MAX_INTEGER,
    MAX_LONG,
    Code,
    Concept,
    Interval,
    Long,
    Quantity,
    Ratio,
)


def _literal(scope: Scope, node: Node) -> Expr:
    """Boolean, Integer, Long, Decimal and String literals."""
    kind = named(node["valueType"])
    text = node.get("value", "")
    if kind == "System.Boolean":
        return constant(text == "true", kind)
    if kind == "System.String":
        return constant(text, kind)
    if kind == "System.Integer":
        value: Any = int(text)
        fits = abs(value) <= MAX_INTEGER
    elif kind == "System.Long":
        value = Long(text.removesuffix("L"))
        fits = abs(value) <= MAX_LONG
    elif kind == "System.Decimal":
        value = Decimal(text)
        exponent = value.as_tuple().exponent
        fits = abs(value) < DECIMAL_BOUND and isinstance(exponent, int) and exponent >= -8
    else:
        scope.fail(node, f"literals of {kind} are not supported")
    if not fits:
        scope.fail(node, f"the literal {text} is out of range")
    return constant(value, kind)


def _quantity(scope: Scope, node: Node) -> Expr:
    """Quantity { value Decimal, unit String }."""
    return constant(_make_quantity(scope, node), "System.Quantity")


def _make_quantity(scope: Scope, node: Node) -> Quantity:
    value = node["value"]
    return Quantity(Decimal(repr(value)) if isinstance(value, float) else Decimal(value), node.get("unit"))


def _ratio(scope: Scope, node: Node) -> Expr:
    """Ratio { numerator Quantity, denominator Quantity }."""
    return constant(
        Ratio(_make_quantity(scope, node["numerator"]), _make_quantity(scope, node["denominator"])),
        "System.Ratio",
    )


def _code(scope: Scope, node: Node) -> Expr:
    """Code 'c' from "System" display 'd'."""
    return constant(_make_code(scope, node), "System.Code")


def _make_code(scope: Scope, node: Node) -> Code:
    system = code_system(scope, node["system"])
    return Code(node["code"], system.id, system.version, node.get("display"))


def _concept(scope: Scope, node: Node) -> Expr:
    """Concept { codes } display 'd'."""
    return constant(
        Concept(tuple(_make_code(scope, code) for code in node["code"]), node.get("display")),
        "System.Concept",
    )


_DATE_PARTS = ("year", "month", "day")
_TIME_PARTS = ("hour", "minute", "second", "millisecond")


def _make(scope: Scope, node: Node, names: tuple[str, ...], make: Callable[..., Any]) -> Expr:
    parts = [part for part in children(scope, node, *names) if part is not None]
    fns = [part.fn for part in parts]

    def of(*values: Any) -> Any:
        if values[0] is None:
            return None
        try:
            return make(*values)
        except ValueError:
            raise DataError("the components make no date or time") from None

    def run_make(ctx: Context, env: Env) -> Any:
        return of(*[fn(ctx, env) for fn in fns])

    return folded(run_make, parts, write.direct(of, parts))


def _date(scope: Scope, node: Node) -> Expr:
    """Date(year Integer, month Integer, day Integer) Date."""
    return _make(scope, node, _DATE_PARTS, Date)


def _time(scope: Scope, node: Node) -> Expr:
    """Time(hour Integer, minute Integer, second Integer, millisecond Integer) Time."""
    return _make(scope, node, _TIME_PARTS, Time)


def _datetime(scope: Scope, node: Node) -> Expr:
    """DateTime(year, month, day, hour, minute, second, millisecond, timezoneOffset Decimal) DateTime."""
    parts = [part for part in children(scope, node, *_DATE_PARTS, *_TIME_PARTS) if part is not None]
    (zone,) = children(scope, node, "timezoneOffset")
    fns = [part.fn for part in parts]
    zone_fn = zone.fn if zone is not None else None

    def run_datetime(ctx: Context, env: Env) -> Any:
        values = [fn(ctx, env) for fn in fns]
        if values[0] is None:
            return None
        hours = zone_fn(ctx, env) if zone_fn is not None else None
        offset = ctx.offset if hours is None else int(hours * 60)
        try:
            return DateTime.checked(tuple(values), offset)
        except ValueError:
            raise DataError("the components make no date or time") from None

    if zone is None:
        return Expr(run_datetime)  # the offset is the evaluation's: no constant
    return folded(run_datetime, [*parts, zone])


def _interval(scope: Scope, node: Node) -> Expr:
    """Interval[low, high] — CQL, Interval selector: a low bound above the high one is an error."""
    low, high, low_closed, high_closed = children(
        scope, node, "low", "high", "lowClosedExpression", "highClosedExpression"
    )
    fixed = (node.get("lowClosed", True), node.get("highClosed", True))
    low_is = low_closed or constant(fixed[0])
    high_is = high_closed or constant(fixed[1])
    bounds = [low or constant(None), high or constant(None), low_is, high_is]
    one, two, left, right = (bound.fn for bound in bounds)
    kind = result_type(node)
    if kind is None:
        kind = IntervalOf((low.type if low else None) or (high.type if high else None))
    point = point_name(kind)

    def make(first: Any, last: Any, left_closed: Any, right_closed: Any) -> Any:
        # A closedness that comes to null is what ELM takes where none is stated: closed.
        result = Interval(first, last, left_closed is not False, right_closed is not False, point)
        if first is not None and last is not None:
            lowest, highest = start(result), end(result)
            # No start or end: an open bound at the end of the type's range.
            if lowest is None or highest is None or less(highest, lowest) is True:
                raise DataError("an interval's low bound is above its high bound")
        return result

    def run_interval(ctx: Context, env: Env) -> Any:
        return make(one(ctx, env), two(ctx, env), left(ctx, env), right(ctx, env))

    result = folded(run_interval, bounds, write.direct(make, bounds))
    result.type = kind
    return result


def _list(scope: Scope, node: Node) -> Expr:
    """List<T> { a, b, … }."""
    elements = [scope.expr(element) for element in node.get("element") or ()]
    fns = [element.fn for element in elements]
    kind = specified(node.get("typeSpecifier")) or result_type(node)
    if not isinstance(kind, ListOf):
        kind = ListOf(elements[0].type if elements else None)

    def run_list(ctx: Context, env: Env) -> Any:
        return [fn(ctx, env) for fn in fns]

    result = folded(run_list, elements, write.list_of(elements))
    result.type = kind
    return result


def _to_list(scope: Scope, node: Node) -> Expr:
    """ELM ToList: a list of the one value, empty for null."""
    (operand,) = scope.operands(node)
    inner = operand.fn

    def run_to_list(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        return [] if value is None else [value]

    result = folded(run_to_list, [operand], write.to_list(operand))
    result.type = ListOf(operand.type)
    return result


BUILDERS: Mapping[str, Builder] = {
    "Null": lambda scope, node: constant(None, named(node["valueType"]) if node.get("valueType") else None),
    "Literal": _literal,
    "Quantity": _quantity,
    "Ratio": _ratio,
    "Code": _code,
    "Concept": _concept,
    "Date": _date,
    "DateTime": _datetime,
    "Time": _time,
    "Interval": _interval,
    "List": _list,
    "ToList": _to_list,
}
