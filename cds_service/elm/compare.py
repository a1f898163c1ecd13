"""CQL's `=`, `~` and ordering over all values, in three-valued logic.

CQL 1.5, Appendix B, Comparison Operators. `equal`, `less` … give True, False or None (unknown: partial dates,
quantities without a common dimension, uncertainties); `equivalent` gives True or False. Arguments of `equal`
and the orderings are not null.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from cds_service import units
from cds_service.elm.temporal import PRECISIONS, Date, DateTime, Temporal, Time
from cds_service.elm.values import (
    Code,
    CodeSystem,
    Concept,
    Interval,
    Quantity,
    Ratio,
    Shell,
    Tuple,
    Typed,
    Uncertainty,
    ValueSet,
    bounds,
)

Truth = bool | None

NUMBERS = (int, Decimal, float)


def both(one: Truth, two: Truth) -> Truth:
    """Three-valued `and`."""
    if one is False or two is False:
        return False
    return None if one is None or two is None else True


def either(one: Truth, two: Truth) -> Truth:
    """Three-valued `or`."""
    if one or two:
        return True
    return None if one is None or two is None else False


# --- Temporal values ---


def order_temporal(one: Temporal, two: Temporal, precision: str | None = None) -> int | None:
    """-1, 0 or 1; None where a missing component leaves it open. `precision`: `year` … `millisecond`, or to
    the finest.

    Offsets are brought together only for hours and finer; without a precision, seconds and milliseconds count as one
    decimal precision.
    """
    if type(one) is not type(two):
        one, two = _as_datetime(one), _as_datetime(two)
    if precision is None:
        first, second = one.key(), two.key()
        if isinstance(one, DateTime) and (len(first) < 4) is not (len(second) < 4):
            first, second = _at_one_offset(one, two)
    else:
        length = PRECISIONS[precision] + 1
        if isinstance(one, Time):
            length -= 3
        if length < 4 and not isinstance(one, Time):
            first, second = one.parts, two.parts
        else:
            first, second = one.key(), two.key()
        if precision == "millisecond":
            # Asked for by name, milliseconds that are missing leave it open, as any missing component does.
            length = min(length, len(one.parts), len(two.parts))
            first, second = first[:length], second[:length]
            if first == second and length < one.full:
                return None
        first, second = first[:length], second[:length]
        if first == second:
            return 0 if len(first) == length else None
    if first == second:
        return 0
    shorter = min(len(first), len(second))
    head, other = first[:shorter], second[:shorter]
    if head == other:
        return None
    return -1 if head < other else 1


def _at_one_offset(one: Any, two: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The parts of two DateTimes of which one has no time of day, at the offset of that one.

    Its offset is the evaluation's. "Implementations should normalize to the timezone offset of the evaluation request
    timestamp, but only when the comparison precision is hours …": without a precision it is the finest of either.
    """
    offset = one.offset if len(one.parts) < 4 else two.offset
    if offset is None:
        return one.parts, two.parts
    return one.to_offset(offset).parts, two.to_offset(offset).parts


def _as_datetime(value: Any) -> Any:
    return DateTime.of(value.parts, None) if isinstance(value, Date) else value


# --- Ordering ---


def order(one: Any, two: Any) -> int | None:
    """-1, 0 or 1 for two non-null values of one ordered type; None where it is open. TypeError for other types."""
    kind = type(one)
    if kind is Date or kind is DateTime or kind is Time:
        if kind is Date and type(two) is Date and len(one.parts) == len(two.parts):
            return -1 if one.parts < two.parts else int(one.parts > two.parts)
        return order_temporal(one, two)
    if kind is Quantity or type(two) is Quantity:
        return _order_quantity(one, two)
    if kind is Typed or type(two) is Typed:
        return order(unwrapped(one), unwrapped(two))
    if one == two:
        return 0
    return -1 if one < two else 1


def unwrapped(value: Any) -> Any:
    return value.value if type(value) is Typed else value


def _order_quantity(one: Any, two: Any) -> int | None:
    if type(one) is not Quantity:
        one = Quantity(Decimal(one))
    if type(two) is not Quantity:
        two = Quantity(Decimal(two))
    if one.value is None or two.value is None:
        return None
    left = one.value
    right = two.value if one.unit == two.unit else units.convert(two.value, two.unit, one.unit)
    if right is None:
        return None
    return 0 if left == right else (-1 if left < right else 1)


def less(one: Any, two: Any) -> Truth:
    """`one < two`."""
    if type(one) is Uncertainty or type(two) is Uncertainty:
        (low, high), (other_low, other_high) = bounds(one), bounds(two)
        if less(high, other_low):
            return True
        return False if less_or_equal(other_high, low) else None
    found = order(one, two)
    return None if found is None else found < 0


def less_or_equal(one: Any, two: Any) -> Truth:
    """`one <= two`."""
    if type(one) is Uncertainty or type(two) is Uncertainty:
        (low, high), (other_low, other_high) = bounds(one), bounds(two)
        if less_or_equal(high, other_low):
            return True
        return False if less(other_high, low) else None
    found = order(one, two)
    return None if found is None else found <= 0


def greater(one: Any, two: Any) -> Truth:
    """`one > two`."""
    return less(two, one)


def greater_or_equal(one: Any, two: Any) -> Truth:
    """`one >= two`."""
    return less_or_equal(two, one)


# --- Equality ---


def equal(one: Any, two: Any) -> Truth:
    """CQL `=` of two non-null values."""
    kind = type(one)
    function = _EQUAL.get(kind)
    if function is not None and type(two) is kind:
        return function(one, two)
    return _equal_mixed(one, two)


def equal_or_null(one: Any, two: Any) -> Truth:
    """CQL `=`, null where an operand is null."""
    return None if one is None or two is None else equal(one, two)


def _equal_mixed(one: Any, two: Any) -> Truth:
    if type(one) is Typed or type(two) is Typed:
        left, right = unwrapped(one), unwrapped(two)
        return None if left is None or right is None else equal(left, right)
    if type(one) is Uncertainty or type(two) is Uncertainty:
        return _equal_uncertain(one, two)
    if isinstance(one, bool) is not isinstance(two, bool):
        return False
    if isinstance(one, NUMBERS) and isinstance(two, NUMBERS):
        return bool(as_decimal(one) == as_decimal(two))
    if isinstance(one, (Date, DateTime)) and isinstance(two, (Date, DateTime)):
        return _equal_temporal(one, two)
    if isinstance(one, (Quantity, *NUMBERS)) and isinstance(two, (Quantity, *NUMBERS)):
        found = _order_quantity(one, two)
        return None if found is None else found == 0
    if isinstance(one, (dict, tuple, list)) and isinstance(two, (dict, tuple, list)):
        return bool(one == two)
    return False


def as_decimal(value: Any) -> Any:
    return Decimal(repr(value)) if isinstance(value, float) else value


def _equal_uncertain(one: Any, two: Any) -> Truth:
    (low, high), (other_low, other_high) = bounds(one), bounds(two)
    if less(high, other_low) or less(other_high, low):
        return False
    if equal(low, high) and equal(other_low, other_high):
        return equal(low, other_low)
    return None


def _equal_plain(one: Any, two: Any) -> Truth:
    return bool(one == two)


def _equal_temporal(one: Any, two: Any) -> Truth:
    found = order_temporal(one, two)
    return None if found is None else found == 0


def _equal_quantity(one: Quantity, two: Quantity) -> Truth:
    found = _order_quantity(one, two)
    return None if found is None else found == 0


def _equal_ratio(one: Ratio, two: Ratio) -> Truth:
    return both(equal_or_null(one.numerator, two.numerator), equal_or_null(one.denominator, two.denominator))


def _equal_list(one: list[Any], two: list[Any]) -> Truth:
    if len(one) != len(two):
        return False
    result: Truth = True
    for left, right in zip(one, two, strict=True):
        if left is None or right is None:
            found: Truth = True if left is right else None
        else:
            found = equal(left, right)
        result = both(result, found)
        if result is False:
            return False
    return result


def _equal_tuple(one: Tuple, two: Tuple) -> Truth:
    if one.keys() != two.keys():
        return False
    result: Truth = True
    for name, left in one.items():
        right = two[name]
        if left is None or right is None:
            found: Truth = True if left is right else None
        else:
            found = equal(left, right)
        result = both(result, found)
        if result is False:
            return False
    return result


def _equal_interval(one: Interval, two: Interval) -> Truth:
    from cds_service.elm.bounds import end, start

    point = one.point or two.point
    return both(
        equal_or_null(start(one, point), start(two, point)), equal_or_null(end(one, point), end(two, point))
    )


def _equal_code(one: Any, two: Any) -> Truth:
    return bool(one == two)


_EQUAL: dict[type, Callable[[Any, Any], Truth]] = {
    bool: _equal_plain,
    int: _equal_plain,
    Decimal: _equal_plain,
    str: _equal_plain,
    dict: _equal_plain,
    Shell: _equal_plain,
    Date: _equal_temporal,
    DateTime: _equal_temporal,
    Time: _equal_temporal,
    Quantity: _equal_quantity,
    Ratio: _equal_ratio,
    list: _equal_list,
    Tuple: _equal_tuple,
    Interval: _equal_interval,
    Code: _equal_code,
    Concept: _equal_code,
    ValueSet: _equal_code,
    CodeSystem: _equal_code,
}


# --- Equivalence ---
