"""CQL's `~`: the same value as far as meaning goes, never null.

CQL 1.5, Appendix B, Equivalent. Strings ignore case and the kind of white space, decimals the digits that the
less precise one does not have, codes everything but code and system.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from cds_service import units
from cds_service.elm.compare import NUMBERS, as_decimal, equal_or_null, order_temporal, unwrapped
from cds_service.elm.temporal import Date, DateTime, Time
from cds_service.elm.values import (
    Code,
    Concept,
    Interval,
    Quantity,
    Ratio,
    Tuple,
    Uncertainty,
)

_SPACE = re.compile(r"\s")


def equivalent(one: Any, two: Any) -> bool:
    """CQL `~`: never null."""
    if one is None or two is None:
        return one is two
    one, two = unwrapped(one), unwrapped(two)
    kind = type(one)
    if kind is str and type(two) is str:
        return one == two or _folded(one) == _folded(two)
    function = _EQUIVALENT.get(kind)
    if function is not None and type(two) is kind:
        return function(one, two)
    if kind is Concept and type(two) is Code:
        return any(_equivalent_code(code, two) for code in one.codes)
    if kind is Code and type(two) is Concept:
        return any(_equivalent_code(one, code) for code in two.codes)
    if isinstance(one, NUMBERS) and isinstance(two, NUMBERS) and kind is not bool and type(two) is not bool:
        return _equivalent_decimal(Decimal(as_decimal(one)), Decimal(as_decimal(two)))
    return equal_or_null(one, two) is True


def _folded(text: str) -> str:
    return _SPACE.sub(" ", text).casefold()


def _equivalent_decimal(one: Decimal, two: Decimal) -> bool:
    """Equal when rounded to the places of the less precise one."""
    places = min(_places(one), _places(two))
    return round(one, places) == round(two, places)


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0


def _equivalent_code(one: Code, two: Code) -> bool:
    return one.code == two.code and one.system == two.system


def _equivalent_concept(one: Concept, two: Concept) -> bool:
    return any(_equivalent_code(left, right) for left in one.codes for right in two.codes)


_CALENDAR_OF = {"a": "year", "mo": "month"}


_DAYS = {"year": Decimal(365), "month": Decimal(30)}


def _equivalent_quantity(one: Quantity, two: Quantity) -> bool:
    if one.value is None or two.value is None:
        return one.value is two.value
    left_unit, right_unit = _calendar(one.unit), _calendar(two.unit)
    right = units.convert(two.value, right_unit, left_unit)
    if right is not None:
        return _equivalent_decimal(one.value, right)
    left_days, right_days = _in_days(one.value, left_unit), _in_days(two.value, right_unit)
    return left_days is not None and right_days is not None and _equivalent_decimal(left_days, right_days)


def _calendar(unit: str | None) -> str:
    unit = unit or "1"
    return _CALENDAR_OF.get(unit) or units.CALENDAR.get(unit, unit)


def _in_days(value: Decimal, unit: str) -> Decimal | None:
    return value * _DAYS[unit] if unit in _DAYS else units.convert(value, unit, "d")


def _equivalent_ratio(one: Ratio, two: Ratio) -> bool:
    """1:8 ~ 2:16."""
    top, bottom, other_top, other_bottom = one.numerator, one.denominator, two.numerator, two.denominator
    if top is None or bottom is None or other_top is None or other_bottom is None:
        return one == two
    if top.value is None or bottom.value is None or other_top.value is None or other_bottom.value is None:
        return one == two
    numerator = units.convert(other_top.value, other_top.unit, top.unit)
    denominator = units.convert(other_bottom.value, other_bottom.unit, bottom.unit)
    if numerator is None or denominator is None:
        return False
    return top.value * denominator == numerator * bottom.value


def _equivalent_list(one: list[Any], two: list[Any]) -> bool:
    return len(one) == len(two) and all(equivalent(left, right) for left, right in zip(one, two, strict=True))


def _equivalent_tuple(one: Tuple, two: Tuple) -> bool:
    return one.keys() == two.keys() and all(equivalent(left, two[name]) for name, left in one.items())


def _equivalent_interval(one: Interval, two: Interval) -> bool:
    from cds_service.elm.bounds import end, start

    point = one.point or two.point
    return _same_end(start(one, point), start(two, point)) and _same_end(end(one, point), end(two, point))


def _same_end(one: Any, two: Any) -> bool:
    if type(one) is Uncertainty and type(two) is Uncertainty:
        return equivalent(one.low, two.low) and equivalent(one.high, two.high)
    return type(one) is type(two) and equivalent(one, two)


def _equivalent_temporal(one: Any, two: Any) -> bool:
    return order_temporal(one, two) == 0


_EQUIVALENT: dict[type, Callable[[Any, Any], bool]] = {
    Code: _equivalent_code,
    Concept: _equivalent_concept,
    Quantity: _equivalent_quantity,
    Ratio: _equivalent_ratio,
    list: _equivalent_list,
    Tuple: _equivalent_tuple,
    Interval: _equivalent_interval,
    Date: _equivalent_temporal,
    DateTime: _equivalent_temporal,
    Time: _equivalent_temporal,
}
