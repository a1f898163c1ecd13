"""Date and time operators. CQL 1.5, Appendix B, Date and Time Operators."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cds_service import units
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope
from cds_service.elm.context import Context, Env
from cds_service.elm.durations import add_duration, difference_between, duration_between
from cds_service.elm.operators.building import apply2, strict1
from cds_service.elm.temporal import (
    PRECISIONS,
    Date,
    DateTime,
    Time,
)
from cds_service.elm.values import Quantity, Uncertainty

_UCUM = {"wk": "week", "d": "day", "h": "hour", "min": "minute", "s": "second", "ms": "millisecond"}


def duration_unit(unit: str | None) -> str:
    """The calendar unit (`year` … `millisecond`) of a quantity that is added to a date; DataError where it is
    none."""
    name = units.CALENDAR.get(unit or "") or _UCUM.get(unit or "")
    if name is None:
        raise DataError("only calendar durations (and UCUM units up to weeks) can be added to a date or time")
    return name


def add_temporal(value: Any, amount: Any, sign: int) -> Any:
    """+(left DateTime, right Quantity) DateTime, -(left DateTime, right Quantity) DateTime; out of range: an
    error."""
    if not isinstance(amount, Quantity):
        raise DataError("only a quantity can be added to a date or time")
    if amount.value is None:
        return None
    unit = duration_unit(amount.unit)
    precision = PRECISIONS[unit]
    if isinstance(value, Time) and precision < PRECISIONS["hour"]:
        raise DataError("days and longer can't be added to a time of day")
    result = add_duration(value, amount.value * sign, precision, unit == "week")
    if result is None:
        raise DataError("the result is outside the range of dates")
    return result


def _lower(node: Node) -> str | None:
    precision = node.get("precision")
    return precision.lower() if precision else None


def _counting(function: Callable[..., tuple[int, int]]) -> Builder:
    """*precision* between(low T, high T) Integer; difference in *precision* between — uncertain for partial
    values."""

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        unit = (node.get("precision") or "Day").lower()
        return apply2(counter(function, unit), left, right)

    return build


def counter(function: Callable[..., tuple[int, int]], unit: str) -> Callable[[Any, Any], Any]:
    """Duration or difference in a unit, as an Integer or an Uncertainty."""
    precision, weeks = PRECISIONS[unit], unit == "week"

    def run(low: Any, high: Any) -> Any:
        if type(low) is not type(high):
            low, high = to_datetime(low), to_datetime(high)
        least, most = function(low, high, precision, weeks)
        return least if least == most else Uncertainty(least, most)

    return run


def to_datetime(value: Any) -> Any:
    """A Date as a DateTime whose time is not known."""
    return DateTime.of(value.parts, None) if isinstance(value, Date) else value


def _same(kind: str) -> Builder:
    """same *precision* as / or before / or after, of points; intervals: see `interval`."""
    from cds_service.elm.operators.interval import relation

    def build(scope: Scope, node: Node) -> Expr:
        left, right = scope.operands(node)
        return apply2(relation(kind, _lower(node)), left, right)

    return build


def _component(node_precision: str) -> Callable[[Any], Any]:
    index = PRECISIONS[node_precision]

    def run(value: Any) -> Any:
        at = index - 3 if isinstance(value, Time) else index
        return value.parts[at] if 0 <= at < len(value.parts) else None

    return run


def _component_from(scope: Scope, node: Node) -> Expr:
    """*precision* from(argument DateTime) Integer: null where the component is not known."""
    built = strict1(_component(node["precision"].lower()))(scope, node)
    assert isinstance(built, Expr)  # noqa: S101 - strict1 makes one
    return built


def _date_from(value: Any) -> Any:
    """date from(argument DateTime) Date."""
    return value if isinstance(value, Date) else value.date()


def _time_from(value: Any) -> Any:
    """time from(argument DateTime) Time: null where the hour is not known."""
    return Time.of(value.parts[3:]) if len(value.parts) > 3 else None


def _offset_from(scope: Scope, node: Node) -> Expr:
    """timezoneoffset from(argument DateTime) Decimal: hours."""
    (operand,) = scope.operands(node)
    inner = operand.fn

    def run_offset(ctx: Context, env: Env) -> Any:
        value = inner(ctx, env)
        if value is None:
            return None
        return Decimal(ctx.offset if value.offset is None else value.offset) / 60

    return Expr(run_offset)


def _now(scope: Scope, node: Node) -> Expr:
    """Now() DateTime: the evaluation's time."""
    return Expr(lambda ctx, env: ctx.now)


def _today(scope: Scope, node: Node) -> Expr:
    """Today() Date: the evaluation's day."""
    return Expr(lambda ctx, env: ctx.now.date())


def _time_of_day(scope: Scope, node: Node) -> Expr:
    """TimeOfDay() Time: the evaluation's time of day."""
    return Expr(lambda ctx, env: Time.of(ctx.now.parts[3:]))


BUILDERS: Mapping[str, Builder] = {
    "DurationBetween": _counting(duration_between),
    "DifferenceBetween": _counting(difference_between),
    "SameAs": _same("SameAs"),
    "SameOrBefore": _same("SameOrBefore"),
    "SameOrAfter": _same("SameOrAfter"),
    "DateTimeComponentFrom": _component_from,
    "DateFrom": strict1(_date_from),
    "TimeFrom": strict1(_time_from),
    "TimezoneOffsetFrom": _offset_from,
    "TimezoneFrom": _offset_from,
    "Now": _now,
    "Today": _today,
    "TimeOfDay": _time_of_day,
}
