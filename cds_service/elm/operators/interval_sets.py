"""Collapse and expand. CQL 1.5, Appendix B, Interval Operators.

An expansion of more than a million points fails, before it is made, rather than fill the memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import ROUND_FLOOR, Decimal
from functools import cmp_to_key
from typing import Any

from cds_service import units
from cds_service.elm import compare
from cds_service.elm.bounds import end, predecessor, start, successor
from cds_service.elm.compile import Builder, DataError, Expr, Node, Scope, constant
from cds_service.elm.durations import duration_between
from cds_service.elm.operators.arithmetic import add
from cds_service.elm.operators.building import MAX_ELEMENTS, call
from cds_service.elm.operators.datetime import add_temporal, duration_unit
from cds_service.elm.operators.interval import union
from cds_service.elm.temporal import PRECISIONS, Date, DateTime, Time
from cds_service.elm.values import Interval, Quantity, Uncertainty

_TEMPORAL = (Date, DateTime, Time)
_UNITS = ("year", "month", "day", "hour", "minute", "second", "millisecond")


def collapse(intervals: Any, per: Any = None) -> Any:
    """collapse(argument List<Interval<T>>, per Quantity) List<Interval<T>>: overlapping and adjacent ones joined.

    An interval with an unknown bound (open and null) joins those that it certainly touches, and else stays.
    """
    known: list[tuple[Any, Any]] = []
    unknown: list[Interval] = []
    for interval in intervals:
        if interval is None:
            continue
        low, high = start(interval), end(interval)
        if low is None or high is None:
            continue  # of no known point type: it covers nothing that could be told
        if type(low) is Uncertainty or type(high) is Uncertainty:
            unknown.append(interval)
        else:
            known.append((low, high))
    result: list[Interval] = []
    for low, high in _ordered(known):
        if result and _touches(result[-1].high, low, per):
            if compare.less(result[-1].high, high) is True:
                result[-1] = Interval(result[-1].low, high)
        else:
            result.append(Interval(low, high))
    for interval in unknown:
        result = _with(interval, result)
    return result


def _with(interval: Interval, others: list[Interval]) -> list[Interval]:
    """Intervals, joined with one more that has an unknown bound."""
    apart = []
    for other in others:
        joined = union(interval, other)
        if joined is None:
            apart.append(other)
        else:
            interval = joined
    return [*apart, interval]


def _ordered(pairs: list[tuple[Any, Any]]) -> list[tuple[Any, Any]]:
    def by_start(one: tuple[Any, Any], two: tuple[Any, Any]) -> int:
        return compare.order(one[0], two[0]) or 0

    return sorted(pairs, key=cmp_to_key(by_start))


def _touches(high: Any, low: Any, per: Any) -> bool:
    """Whether an interval that starts at `low` joins one that ends at `high`."""
    if compare.less_or_equal(low, high) is True:
        return True
    if per is None or per.value is None:
        following = successor(high)
    elif isinstance(high, _TEMPORAL):
        unit = duration_unit(per.unit)
        following = add_temporal(high, per, 1)
        found = (
            None
            if following is None
            else compare.order_temporal(low, following, "day" if unit == "week" else unit)
        )
        return found is not None and found <= 0
    else:
        following = add(high, per if isinstance(high, Quantity) else per.value)
    return following is not None and compare.less_or_equal(low, following) is True


def expand(argument: Any, per: Any = None) -> Any:
    """expand(argument List<Interval<T>>, per Quantity) List<Interval<T>>; of one interval: the list of its points."""
    if isinstance(argument, Interval):
        return [low for low, _ in _pieces(argument, _unit(per, [argument]))]
    intervals = [interval for interval in argument if interval is not None]
    step = _unit(per, intervals)
    pieces: list[Interval] = []
    for interval in intervals:
        pieces.extend(Interval(low, high) for low, high in _pieces(interval, step))
    return pieces


def _unit(per: Any, intervals: list[Interval]) -> Quantity | None:
    """The step: as given, else one unit of the coarsest precision of the bounds that are known."""
    if per is not None:
        return per if isinstance(per, Quantity) else Quantity(Decimal(per), "1")
    intervals = [interval for interval in intervals if _known(interval)]
    points = [point for interval in intervals for point in (start(interval), end(interval))]
    if not points:
        return None
    if isinstance(points[0], _TEMPORAL):
        shift = 3 if isinstance(points[0], Time) else 0
        return Quantity(Decimal(1), _UNITS[min(len(point.parts) for point in points) - 1 + shift])
    lows = (start(interval) if interval.low is None else interval.low for interval in intervals)
    scale = min(_scale(_number(low)) for low in lows)
    return Quantity(Decimal(1).scaleb(-scale), getattr(points[0], "unit", None))


def _known(interval: Interval) -> bool:
    """Whether both ends can be told."""
    points = (start(interval), end(interval))
    return not any(point is None or type(point) is Uncertainty for point in points)


def _number(point: Any) -> Decimal:
    number: Any = point.value if isinstance(point, Quantity) else point
    return Decimal(number)


def _scale(value: Decimal) -> int:
    exponent = value.as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _pieces(interval: Interval, per: Quantity | None) -> list[tuple[Any, Any]]:
    if per is None or not per.value or per.value < 0 or not _known(interval):
        return []
    low, high = start(interval), end(interval)
    if isinstance(low, _TEMPORAL):
        return _temporal_pieces(low, high, per)
    return _numeric_pieces(low, high, per)


def _temporal_pieces(low: Any, high: Any, per: Quantity) -> list[tuple[Any, Any]]:
    unit = duration_unit(per.unit)
    length = PRECISIONS[unit] + 1 - (3 if isinstance(low, Time) else 0)
    if length < 1 or min(len(low.parts), len(high.parts)) < length:
        return []
    current, last = _cut(low, length), _cut(high, length)
    least, _ = duration_between(current, last, PRECISIONS[unit], unit == "week")
    _check(least / (per.value or 1))
    pieces = []
    while True:
        following = add_temporal(current, per, 1)
        if following is None:
            break
        until = predecessor(following)
        wrapped = isinstance(low, Time) and compare.less_or_equal(following, current)
        if until is None or compare.less_or_equal(until, last) is not True or wrapped:
            if wrapped and compare.less_or_equal(current, last):
                pieces.append((current, last))
            break
        pieces.append((current, until))
        current = following
        _check(len(pieces))
    return pieces


def _cut(value: Any, length: int) -> Any:
    parts = value.parts[:length]
    return DateTime.of(parts, value.offset) if isinstance(value, DateTime) else type(value).of(parts)


def _numeric_pieces(low: Any, high: Any, per: Quantity) -> list[tuple[Any, Any]]:
    unit = low.unit if isinstance(low, Quantity) else None
    step = units.convert(per.value or Decimal(0), per.unit, unit) if isinstance(low, Quantity) else per.value
    if step is None:
        return []
    bottom, top = _number(low), _number(high)
    if isinstance(high, Quantity):
        converted = units.convert(top, high.unit, unit)
        if converted is None:
            return []
        top = converted
    scale = _scale(step.normalize())
    grain = Decimal(1).scaleb(-scale)
    if _scale(bottom) < scale:  # `Interval[10, 10] per 0.1` reaches 10.9
        top += Decimal(1).scaleb(-_scale(top)) - grain
    bottom, top = bottom.quantize(grain, ROUND_FLOOR), top.quantize(grain, ROUND_FLOOR)
    _check((top - bottom) / step)
    pieces = []
    while bottom + step - grain <= top:
        pieces.append((_like(bottom, low, scale), _like(bottom + step - grain, low, scale)))
        bottom += step
    return pieces


def _like(value: Decimal, like: Any, scale: int) -> Any:
    if isinstance(like, Quantity):
        return Quantity(value, like.unit)
    return type(like)(value) if isinstance(like, int) and scale == 0 else value


def _check(number: Decimal | float) -> None:
    if number > MAX_ELEMENTS:
        raise DataError("the expansion has more than a million elements")


def _build(function: Any) -> Builder:
    def build(scope: Scope, node: Node) -> Expr:
        operands: list[Expr | None] = [*scope.operands(node)]
        if len(operands) == 1:
            operands.append(constant(None))
        return call(function, operands, nullable=1)

    return build


BUILDERS: Mapping[str, Builder] = {"Collapse": _build(collapse), "Expand": _build(expand)}
