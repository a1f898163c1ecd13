"""Calendar arithmetic on CQL dates and times: adding durations, counting periods and boundaries, stepping.

CQL 1.5, Appendix B, Date and Time Operators. Where a value is partial, counts come as the least and the
greatest number that it may mean. Arithmetic out of range gives None.
"""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from cds_service.elm.temporal import (
    DAY,
    DAY_MILLIS,
    HOUR,
    MAX_PARTS,
    MILLIS,
    MIN_PARTS,
    MONTH,
    SECOND,
    YEAR,
    Date,
    DateTime,
    Temporal,
    Time,
)

T = TypeVar("T", Date, DateTime, Time)
D = TypeVar("D", Date, DateTime)


def _rebuild(like: T, parts: tuple[int, ...]) -> T:
    if isinstance(like, DateTime):
        return DateTime.of(parts, like.offset)
    return type(like).of(parts)


def add_months(parts: tuple[int, ...], months: int) -> tuple[int, ...] | None:
    """The parts some months later, the day cut to the month's last; None out of range."""
    total = parts[0] * 12 + (parts[1] - 1 if len(parts) > 1 else 0) + months
    year, month = divmod(total, 12)
    month += 1
    if not 1 <= year <= 9999:
        return None
    if len(parts) == 1:
        return (year,)
    if len(parts) == 2:
        return (year, month)
    return (year, month, min(parts[2], monthrange(year, month)[1]), *parts[3:])


def add_duration(value: T, amount: Decimal, precision: int, weeks: bool = False) -> T | None:
    """`value` plus `amount` units of `precision` (YEAR … MILLISECOND, or weeks); None out of range.

    A unit finer than the value is first turned into the value's own precision and cut (CQL 1.5, Add on Date
    and Time): `@2014 + 18 months` is `@2015`.
    """
    if isinstance(value, Time):
        return Time.of(_add_clock(value.parts, amount, precision))
    parts = value.parts
    if precision >= SECOND and len(parts) >= 6:
        millis = int(amount * MILLIS[precision])
        return _moved(value, millis)
    whole = int(amount) * (7 if weeks else 1)
    known = len(parts) - 1
    if precision <= MONTH:
        months = whole * 12 if precision == YEAR else whole
        if known == YEAR:
            months = int(Decimal(months) / 12) * 12
        moved = add_months(parts, months)
        return None if moved is None else _rebuild(value, moved)
    if known <= MONTH:  # days and finer on a value that knows none: 30 days a month, 365 a year
        days = whole if precision == DAY else int(Decimal(whole) * MILLIS[precision] / DAY_MILLIS)
        months = int(Decimal(days) / 365) * 12 if known == YEAR else int(Decimal(days) / 30)
        moved = add_months(parts, months)
        return None if moved is None else _rebuild(value, moved)
    millis = whole * (DAY_MILLIS if precision == DAY else MILLIS[precision])
    if known < precision:
        unit = DAY_MILLIS if known == DAY else MILLIS[known]
        millis = int(Decimal(millis) / unit) * unit
    return _moved(value, millis)


def _moved(value: D, millis: int) -> D | None:
    parts: tuple[int, ...] = value.parts
    length = len(parts)
    year, month, day, hour, minute, second, rest = _filled(parts)
    try:
        moment = datetime(year, month, day, hour, minute, second, rest * 1000, tzinfo=UTC)
        moment += timedelta(milliseconds=millis)
    except OverflowError:
        return None
    calendar = (moment.year, moment.month, moment.day)
    clock = (moment.hour, moment.minute, moment.second, moment.microsecond // 1000)
    moved: tuple[int, ...] = calendar + clock
    return _rebuild(value, moved[:length])


def _add_clock(clock: tuple[int, ...], amount: Decimal, precision: int) -> tuple[int, ...]:
    """A Time is cyclic: past midnight it begins again."""
    length = len(clock)
    units = (3_600_000, 60_000, 1_000, 1)
    millis = int(amount * MILLIS[precision]) if precision >= SECOND else int(amount) * MILLIS[precision]
    unit = units[length - 1]
    millis = int(Decimal(millis) / unit) * unit
    total = (sum(value * size for value, size in zip(clock, units, strict=False)) + millis) % DAY_MILLIS
    result = []
    for size in units[:length]:
        value, total = divmod(total, size)
        result.append(value)
    return tuple(result)


def _millis(parts: tuple[int, ...]) -> int:
    """Milliseconds since year 1, of full parts."""
    year, month, day, hour, minute, second, rest = parts
    return (date(year, month, day).toordinal() * 86_400 + hour * 3600 + minute * 60 + second) * 1000 + rest


def _filled(parts: tuple[int, ...]) -> tuple[int, ...]:
    return (*parts, *MIN_PARTS[len(parts) :])


def _whole(low: tuple[int, ...], high: tuple[int, ...], precision: int, weeks: bool) -> int:
    """Whole calendar periods between two sets of full parts."""
    if precision <= MONTH:
        months = (high[0] - low[0]) * 12 + high[1] - low[1]
        if months > 0 and high[2:] < low[2:]:
            months -= 1
        elif months < 0 and high[2:] > low[2:]:
            months += 1
        return int(months / 12) if precision == YEAR else months
    unit = DAY_MILLIS * (7 if weeks else 1) if precision == DAY else MILLIS[precision]
    gap = _millis(high) - _millis(low)
    return gap // unit if gap >= 0 else -(-gap // unit)


def _boundaries(low: tuple[int, ...], high: tuple[int, ...], precision: int, weeks: bool) -> int:
    """Boundaries of the precision crossed between two sets of full parts."""
    if precision == YEAR:
        return high[0] - low[0]
    if precision == MONTH:
        return (high[0] - low[0]) * 12 + high[1] - low[1]
    first = date(*low[:3]).toordinal()
    last = date(*high[:3]).toordinal()
    if precision == DAY:
        # Ordinal 0 is a Sunday, so weeks that begin on Sunday are whole sevenths.
        return last // 7 - first // 7 if weeks else last - first
    unit = MILLIS[precision]
    return _millis(high) // unit - _millis(low) // unit


def _aligned(
    low: Temporal, high: Temporal, precision: int, finest: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Both values' parts, at one offset for `finest` precision and finer; a Time's on the same arbitrary day."""
    if isinstance(low, Time) and isinstance(high, Time):
        return (1, 1, 1, *low.parts), (1, 1, 1, *high.parts)
    one, two = low.parts, high.parts
    if (
        precision >= finest
        and isinstance(low, DateTime)
        and isinstance(high, DateTime)
        and low.offset != high.offset
    ):
        # A value without a time of day can't be told at another offset: its own (the evaluation's) is the common one.
        partial = next((value for value in (low, high) if len(value.parts) < 4), None)
        offset = 0 if partial is None or partial.offset is None else partial.offset
        one, two = low.to_offset(offset).parts, high.to_offset(offset).parts
    return (one if len(one) != 6 else (*one, 0)), (two if len(two) != 6 else (*two, 0))


def _ends(parts: tuple[int, ...], length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first and the last full parts that a partial value may mean, filled to `length` (finer parts: zero)."""
    first = _filled(parts)
    last = [*parts, *MAX_PARTS[len(parts) :]]
    if len(parts) < 3:
        last[2] = monthrange(last[0], last[1])[1]
    for index in range(max(length, len(parts)), 7):
        last[index] = MIN_PARTS[index]
    return first, tuple(last)


def duration_between(low: Temporal, high: Temporal, precision: int, weeks: bool = False) -> tuple[int, int]:
    """The least and the greatest number of whole periods between the two (equal unless a value is partial)."""
    one, two = _aligned(low, high, precision, DAY)  # a day is 24 hours here, whatever the offsets
    length = 3 if isinstance(low, Date) else 7
    if len(one) == len(two) == length:
        exact = _whole(_filled(one), _filled(two), precision, weeks)
        return exact, exact
    (low_first, low_last), (high_first, high_last) = _ends(one, length), _ends(two, length)
    return _whole(low_last, high_first, precision, weeks), _whole(low_first, high_last, precision, weeks)


def difference_between(low: Temporal, high: Temporal, precision: int, weeks: bool = False) -> tuple[int, int]:
    """The least and the greatest number of boundaries crossed between the two (equal unless a value is partial)."""
    one, two = _aligned(low, high, precision, HOUR)
    if len(one) > precision and len(two) > precision:
        exact = _boundaries(_filled(one), _filled(two), precision, weeks)
        return exact, exact
    (low_first, low_last), (high_first, high_last) = _ends(one, precision + 1), _ends(two, precision + 1)
    return _boundaries(low_last, high_first, precision, weeks), _boundaries(
        low_first, high_last, precision, weeks
    )


def step(value: T, amount: int) -> T | None:
    """The successor (+1) or predecessor (-1) at the value's own precision; None past the type's end."""
    if isinstance(value, Time):
        length = len(value.parts)
        units = (3_600_000, 60_000, 1_000, 1)
        total = (
            sum(part * size for part, size in zip(value.parts, units, strict=False))
            + amount * units[length - 1]
        )
        return (
            None
            if not 0 <= total < DAY_MILLIS
            else Time.of(_add_clock(value.parts, Decimal(amount), length + 2))
        )
    return add_duration(value, Decimal(amount), len(value.parts) - 1)


def minimum(kind: str, offset: int = 0) -> Temporal:
    """The type's least value."""
    if kind == "Date":
        return Date.of(MIN_PARTS[:3])
    return DateTime.of(MIN_PARTS, offset) if kind == "DateTime" else Time.of(MIN_PARTS[3:])


def maximum(kind: str, offset: int = 0) -> Temporal:
    """The type's greatest value."""
    if kind == "Date":
        return Date.of(MAX_PARTS[:3])
    return DateTime.of(MAX_PARTS, offset) if kind == "DateTime" else Time.of(MAX_PARTS[3:])
