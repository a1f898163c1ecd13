"""Interval operators. CQL 1.5, Appendix B, Interval Operators.

Every relation is a comparison of starts and ends (see `bounds`), in three-valued logic: a start or end that
can't be told makes the comparison null. A point counts as the interval that starts and ends with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from cds_service import units
from cds_service.elm import bounds, compare
from cds_service.elm.bounds import end, predecessor, start, successor
from cds_service.elm.compare import Truth, both, either
from cds_service.elm.compile import Builder, DataError
from cds_service.elm.durations import add_duration
from cds_service.elm.operators.building import strict1
from cds_service.elm.temporal import PRECISIONS, Date, DateTime, Time
from cds_service.elm.values import Interval, Quantity, Uncertainty

Relation = Callable[[Any, Any], Truth]
_TEMPORAL = (Date, DateTime, Time)


def first(value: Any) -> Any:
    """The start of an interval, a point itself."""
    return start(value) if type(value) is Interval else value


def last(value: Any) -> Any:
    """The end of an interval, a point itself."""
    return end(value) if type(value) is Interval else value


class Points:
    """Comparisons of points at a precision; a point that can't be told (None) gives null."""

    __slots__ = ("precision",)

    def __init__(self, precision: str | None) -> None:
        self.precision = precision

    def _order(self, one: Any, two: Any) -> int | None:
        if self.precision is not None and isinstance(one, _TEMPORAL) and isinstance(two, _TEMPORAL):
            return compare.order_temporal(one, two, self.precision)
        return compare.order(one, two)

    def less(self, one: Any, two: Any) -> Truth:
        """`one < two`."""
        if one is None or two is None:
            return None
        if type(one) is Uncertainty or type(two) is Uncertainty:
            return compare.less(one, two)
        found = self._order(one, two)
        return None if found is None else found < 0

    def most(self, one: Any, two: Any) -> Truth:
        """`one <= two`."""
        if one is None or two is None:
            return None
        if type(one) is Uncertainty or type(two) is Uncertainty:
            return compare.less_or_equal(one, two)
        found = self._order(one, two)
        return None if found is None else found <= 0

    def same(self, one: Any, two: Any) -> Truth:
        """`one = two`."""
        if one is None or two is None:
            return None
        if type(one) is Uncertainty or type(two) is Uncertainty:
            return compare.equal(one, two)
        found = self._order(one, two)
        return None if found is None else found == 0

    def next(self, one: Any) -> Any:
        """The point after, at the precision; None past the type's end."""
        if self.precision is None or not isinstance(one, _TEMPORAL):
            return None if one is None else successor(one)
        return add_duration(one, Decimal(1), PRECISIONS[self.precision])


def relation(kind: str, precision: str | None) -> Relation:
    """The relation of that ELM name between two non-null intervals or points."""
    return _RELATIONS[kind](Points(precision))


def _before(points: Points) -> Relation:
    """before *precision*: the first ends before the second starts."""
    return lambda one, two: points.less(last(one), first(two))


def _after(points: Points) -> Relation:
    """after *precision*: the first starts after the second ends."""
    return lambda one, two: points.less(last(two), first(one))


def _same_as(points: Points) -> Relation:
    """same *precision* as: both starts and both ends are the same."""
    return lambda one, two: both(points.same(first(one), first(two)), points.same(last(one), last(two)))


def _same_or_before(points: Points) -> Relation:
    """same *precision* or before: the first ends at or before the second's start."""
    return lambda one, two: points.most(last(one), first(two))


def _same_or_after(points: Points) -> Relation:
    """same *precision* or after: the first starts at or after the second's end."""
    return lambda one, two: points.most(last(two), first(one))


def _includes(points: Points) -> Relation:
    """includes *precision*: the second lies within the first."""

    def run(one: Any, two: Any) -> Truth:
        if type(two) is not Interval:
            return contains(points, one, two)
        return both(points.most(first(one), first(two)), points.most(last(two), last(one)))

    return run


def contains(points: Points, interval: Interval, point: Any) -> Truth:
    """contains *precision* (argument Interval<T>, point T) Boolean: a closed null bound holds for every point.

    True where it "is equal to the starting or ending point"; else, "for open interval boundaries, exclusive comparison
    operators are used": at a precision this is not the same as up to the last point before the bound.
    """
    low, high = start(interval, bounds.type_name(point)), end(interval, bounds.type_name(point))
    above = True if low is None and interval.low is None and interval.low_closed else points.most(low, point)
    below = (
        True if high is None and interval.high is None and interval.high_closed else points.most(point, high)
    )
    if points.precision is not None:
        closed = ((interval.low, interval.low_closed), (interval.high, interval.high_closed))
        if any(shut and bound is not None and compare.equal(bound, point) is True for bound, shut in closed):
            return True
        if not interval.low_closed and interval.low is not None:
            above = points.less(interval.low, point)
        if not interval.high_closed and interval.high is not None:
            below = points.less(point, interval.high)
    return both(above, below)


def _proper_includes(points: Points) -> Relation:
    """properly includes *precision*: includes, and is larger; of a point: starts before and ends after it."""
    includes = _includes(points)

    def run(one: Any, two: Any) -> Truth:
        if type(two) is not Interval:
            return both(points.less(first(one), two), points.less(two, last(one)))
        found = includes(one, two)
        if found is False:
            return False
        larger = either(points.less(first(one), first(two)), points.less(last(two), last(one)))
        return both(found, larger)

    return run


def _overlaps(points: Points) -> Relation:
    """overlaps *precision*: they have a point in common."""
    return lambda one, two: both(points.most(first(one), last(two)), points.most(first(two), last(one)))


def _overlaps_before(points: Points) -> Relation:
    """overlaps before *precision*: overlaps, and starts before."""
    overlaps = _overlaps(points)
    return lambda one, two: both(points.less(first(one), first(two)), overlaps(one, two))


def _overlaps_after(points: Points) -> Relation:
    """overlaps after *precision*: overlaps, and ends after."""
    overlaps = _overlaps(points)
    return lambda one, two: both(points.less(last(two), last(one)), overlaps(one, two))


def _meets_before(points: Points) -> Relation:
    """meets before *precision*: the second starts right after the first ends."""

    def run(one: Any, two: Any) -> Truth:
        ending, beginning = last(one), first(two)
        if ending is None or beginning is None:
            return None
        following = points.next(ending)
        return False if following is None else points.same(following, beginning)

    return run


def _meets_after(points: Points) -> Relation:
    """meets after *precision*: the first starts right after the second ends."""
    meets = _meets_before(points)
    return lambda one, two: meets(two, one)


def _meets(points: Points) -> Relation:
    """meets *precision*: before or after."""
    meets = _meets_before(points)
    return lambda one, two: either(meets(one, two), meets(two, one))


def _starts(points: Points) -> Relation:
    """starts *precision*: same start, and ends within."""
    return lambda one, two: both(points.same(first(one), first(two)), points.most(last(one), last(two)))


def _ends(points: Points) -> Relation:
    """ends *precision*: same end, and starts within."""
    return lambda one, two: both(points.same(last(one), last(two)), points.most(first(two), first(one)))


def _swapped(make: Callable[[Points], Relation]) -> Callable[[Points], Relation]:
    def build(points: Points) -> Relation:
        inner = make(points)
        return lambda one, two: inner(two, one)

    return build


_RELATIONS: Mapping[str, Callable[[Points], Relation]] = {
    "Before": _before,
    "After": _after,
    "SameAs": _same_as,
    "SameOrBefore": _same_or_before,
    "SameOrAfter": _same_or_after,
    "Includes": _includes,
    "IncludedIn": _swapped(_includes),
    "Contains": _includes,
    "In": _swapped(_includes),
    "ProperIncludes": _proper_includes,
    "ProperIncludedIn": _swapped(_proper_includes),
    "ProperContains": _proper_includes,
    "ProperIn": _swapped(_proper_includes),
    "Overlaps": _overlaps,
    "OverlapsBefore": _overlaps_before,
    "OverlapsAfter": _overlaps_after,
    "Meets": _meets,
    "MeetsBefore": _meets_before,
    "MeetsAfter": _meets_after,
    "Starts": _starts,
    "Ends": _ends,
}


def _relating(kind: str) -> Builder:
    from cds_service.elm.operators.building import apply2
    from cds_service.elm.operators.datetime import _lower

    def build(scope: Any, node: Any) -> Any:
        left, right = scope.operands(node)
        return apply2(relation(kind, _lower(node)), left, right)

    return build


# --- Values of intervals ---


def _width(interval: Interval) -> Any:
    """width of(argument Interval<T>) T: end - start; not for dates and times."""
    low, high = known_start(interval), known_end(interval)
    if low is None or high is None:
        return None
    if isinstance(low, _TEMPORAL) or isinstance(high, _TEMPORAL):
        raise DataError("the width of an interval of dates or times is not defined")
    return _minus(high, low)


def _minus(high: Any, low: Any) -> Any:
    from cds_service.elm.operators.arithmetic import subtract

    return subtract(high, low)


def _size(interval: Interval) -> Any:
    """Size(argument Interval<T>) T: width plus one point."""
    from cds_service.elm.operators.arithmetic import add

    width = _width(interval)
    if width is None:
        return None
    if isinstance(width, Quantity):
        return add(width, Quantity(bounds.STEP, width.unit))
    return add(width, bounds.STEP if isinstance(width, Decimal) else 1)


def _point_from(interval: Interval) -> Any:
    """point from(argument Interval<T>) T: an error unless the interval holds one point."""
    low, high = start(interval), end(interval)
    if low is None or high is None:
        return None
    if compare.equal(low, high) is not True:
        raise DataError("point from needs an interval of one point")
    return low


def union(one: Interval, two: Interval) -> Any:
    """union(left Interval<T>, right Interval<T>) Interval<T>: null where they neither overlap nor meet.

    Where an unknown bound (open and null) leaves open which of two is the outer one, the result's is unknown.
    """
    points = Points(None)
    if either(_overlaps(points)(one, two), _meets(points)(one, two)) is not True:
        return None
    return _joined(one, two, points.most(first(one), first(two)), points.most(last(two), last(one)))


def _joined(one: Interval, two: Interval, low_of_one: Truth, high_of_one: Truth) -> Interval:
    """The interval with the first's or the second's low and high bound; one that can't be told is open and null."""
    low, low_closed, high, high_closed = None, False, None, False
    if low_of_one is not None:
        chosen = one if low_of_one else two
        low, low_closed = chosen.low, chosen.low_closed
    if high_of_one is not None:
        chosen = one if high_of_one else two
        high, high_closed = chosen.high, chosen.high_closed
    return Interval(low, high, low_closed, high_closed, one.point or two.point)


def intersect(one: Interval, two: Interval) -> Any:
    """intersect(left Interval<T>, right Interval<T>) Interval<T>: null where they don't overlap."""
    points = Points(None)
    if _overlaps(points)(one, two) is False:
        return None
    return _joined(one, two, points.most(first(two), first(one)), points.most(last(one), last(two)))


def except_(one: Interval, two: Interval) -> Any:
    """except(left Interval<T>, right Interval<T>) Interval<T>: null where the rest is no single interval."""
    points = Points(None)
    if _overlaps(points)(one, two) is False:
        return one
    starts_first = points.less(first(one), first(two))
    ends_last = points.less(last(two), last(one))
    if starts_first is None or ends_last is None or starts_first is ends_last:
        return None
    if starts_first:
        return Interval(one.low, predecessor(first(two)), one.low_closed, True, one.point or two.point)
    return Interval(successor(last(two)), one.high, True, one.high_closed, one.point or two.point)


def unit_of(quantity: Quantity) -> str:
    """The unit of a `per` quantity."""
    return units.CALENDAR.get(quantity.unit or "1", quantity.unit or "1")


def known_start(interval: Any) -> Any:
    """start of argument Interval<T> → T: null where the bound is open and null (CQL, Start)."""
    bound = start(interval)
    return None if type(bound) is Uncertainty else bound


def known_end(interval: Any) -> Any:
    """end of argument Interval<T> → T: null where the bound is open and null (CQL, End)."""
    bound = end(interval)
    return None if type(bound) is Uncertainty else bound


BUILDERS: Mapping[str, Builder] = {
    **{
        name: _relating(name)
        for name in (
            "Overlaps",
            "OverlapsBefore",
            "OverlapsAfter",
            "Meets",
            "MeetsBefore",
            "MeetsAfter",
            "Starts",
            "Ends",
            "Before",
            "After",
        )
    },
    "Start": strict1(known_start),
    "End": strict1(known_end),
    "Width": strict1(_width),
    "Size": strict1(_size),
    "PointFrom": strict1(_point_from),
}
