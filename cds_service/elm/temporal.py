"""CQL Date, DateTime and Time: immutable values with their own precision, and the arithmetic on them.

A value is the tuple of the components that are known (`parts`), so its precision is the tuple's length and
most comparisons are tuple comparisons. A DateTime also has an offset from UTC in minutes (None: never stated,
which only values without a time of day may have). Bad text gives ValueError; arithmetic out of range gives
None (CQL: null).
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Self, TypeVar

YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MILLISECOND = range(7)
PRECISIONS = {
    "year": 0,
    "month": 1,
    "week": 2,
    "day": 2,
    "hour": 3,
    "minute": 4,
    "second": 5,
    "millisecond": 6,
}
_MILLIS = {HOUR: 3_600_000, MINUTE: 60_000, SECOND: 1_000, MILLISECOND: 1}
_DAY_MILLIS = 86_400_000
_MAX_PARTS = (9999, 12, 31, 23, 59, 59, 999)
_MIN_PARTS = (1, 1, 1, 0, 0, 0, 0)


class Date:
    """A CQL Date: year, optionally month, optionally day."""

    __slots__ = ("parts",)
    type_name = "Date"
    full = 3

    def __init__(self, year: int, month: int | None = None, day: int | None = None) -> None:
        self.parts: tuple[int, ...] = _known(year, month, day)
        _check_day(self.parts)

    @classmethod
    def of(cls, parts: tuple[int, ...]) -> Self:
        """A Date of parts that are known to be valid."""
        self = cls.__new__(cls)
        self.parts = parts
        return self

    @classmethod
    def parse(cls, text: str) -> Date:
        """The Date of `YYYY`, `YYYY-MM` or `YYYY-MM-DD`; ValueError for anything else."""
        return parse_date(text)

    @classmethod
    def from_date(cls, day: date) -> Date:
        """The Date of a Python date."""
        return cls.of((day.year, day.month, day.day))

    @property
    def year(self) -> int:
        return self.parts[0]

    @property
    def month(self) -> int | None:
        return _part(self.parts, 1)

    @property
    def day(self) -> int | None:
        return _part(self.parts, 2)

    def to_date(self) -> date:
        """The Python date; ValueError when month or day is unknown."""
        if len(self.parts) < 3:
            raise ValueError("a partial Date is no day")
        return date(*self.parts)

    def key(self) -> tuple[int, ...]:
        """The parts to compare by."""
        return self.parts

    def __eq__(self, other: object) -> bool:
        return type(other) is Date and other.parts == self.parts

    def __hash__(self) -> int:
        return hash(self.parts)

    def __str__(self) -> str:
        return _date_text(self.parts)

    def __repr__(self) -> str:
        return f"Date({self})"


class DateTime:
    """A CQL DateTime: year to millisecond, each optional after the year, and an offset from UTC in minutes."""

    __slots__ = ("_key", "offset", "parts")
    type_name = "DateTime"
    full = 7

    def __init__(
        self,
        year: int,
        month: int | None = None,
        day: int | None = None,
        hour: int | None = None,
        minute: int | None = None,
        second: int | None = None,
        millisecond: int | None = None,
        offset: int | None = None,
    ) -> None:
        made = DateTime.checked((year, month, day, hour, minute, second, millisecond), offset)
        self.parts: tuple[int, ...] = made.parts
        self.offset = offset
        self._key: tuple[int, ...] | None = None

    @classmethod
    def of(cls, parts: tuple[int, ...], offset: int | None) -> Self:
        """A DateTime of parts that are known to be valid."""
        self = cls.__new__(cls)
        self.parts = parts
        self.offset = offset
        self._key = None
        return self

    @classmethod
    def checked(cls, components: tuple[int | None, ...], offset: int | None) -> Self:
        """A DateTime of components, year first; ValueError where they make none."""
        parts = _known(*components)
        _check_day(parts)
        _check_time(parts[3:])
        return cls.of(parts, offset)

    @classmethod
    def parse(cls, text: str, default_offset: int | None = 0) -> DateTime:
        """The DateTime of an ISO 8601 text of any precision; `default_offset` (minutes) where it has none."""
        return parse_datetime(text, default_offset)

    @classmethod
    def from_datetime(cls, moment: datetime) -> DateTime:
        """The DateTime of an aware Python datetime, cut to milliseconds."""
        offset = moment.utcoffset()
        if offset is None:
            raise ValueError("a datetime without an offset is ambiguous")
        clock = (moment.hour, moment.minute, moment.second, moment.microsecond // 1000)
        return cls.of((moment.year, moment.month, moment.day, *clock), int(offset.total_seconds() // 60))

    @property
    def year(self) -> int:
        return self.parts[0]

    @property
    def month(self) -> int | None:
        return _part(self.parts, 1)

    @property
    def day(self) -> int | None:
        return _part(self.parts, 2)

    @property
    def hour(self) -> int | None:
        return _part(self.parts, 3)

    def key(self) -> tuple[int, ...]:
        """The parts to compare by: in UTC where the hour is known, seconds with their milliseconds."""
        key = self._key
        if key is None:
            parts = self.parts
            if len(parts) == 6:
                parts = (*parts, 0)
            if len(parts) > 3 and self.offset:
                parts = shift_offset(parts, self.offset, 0)
            self._key = key = parts
        return key

    def to_offset(self, offset: int) -> DateTime:
        """The same moment, told at another offset; unchanged where the hour is unknown."""
        if len(self.parts) < 4 or self.offset == offset:
            return self
        return DateTime.of(shift_offset(self.parts, self.offset or 0, offset), offset)

    def date(self) -> Date:
        """The calendar date at the value's own offset."""
        return Date.of(self.parts[:3])

    def __eq__(self, other: object) -> bool:
        return type(other) is DateTime and other.parts == self.parts and other.offset == self.offset

    def __hash__(self) -> int:
        return hash((self.parts, self.offset))

    def __str__(self) -> str:
        text = _date_text(self.parts[:3])
        if len(self.parts) > 3:
            text += "T" + _time_text(self.parts[3:]) + offset_text(self.offset)
        return text

    def __repr__(self) -> str:
        return f"DateTime({self})"


class Time:
    """A CQL Time: hour to millisecond, each optional after the hour."""

    __slots__ = ("parts",)
    type_name = "Time"
    full = 4

    def __init__(
        self, hour: int, minute: int | None = None, second: int | None = None, millisecond: int | None = None
    ) -> None:
        self.parts: tuple[int, ...] = _known(hour, minute, second, millisecond)
        _check_time(self.parts)

    @classmethod
    def of(cls, parts: tuple[int, ...]) -> Self:
        """A Time of parts that are known to be valid."""
        self = cls.__new__(cls)
        self.parts = parts
        return self

    @classmethod
    def parse(cls, text: str) -> Time:
        """The Time of `hh`, `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`, with or without a leading `T`."""
        return parse_time(text)

    def key(self) -> tuple[int, ...]:
        """The parts to compare by: seconds with their milliseconds."""
        return (*self.parts, 0) if len(self.parts) == 3 else self.parts

    def __eq__(self, other: object) -> bool:
        return type(other) is Time and other.parts == self.parts

    def __hash__(self) -> int:
        return hash(("T", self.parts))

    def __str__(self) -> str:
        return _time_text(self.parts)

    def __repr__(self) -> str:
        return f"Time({self})"


Temporal = Date | DateTime | Time
T = TypeVar("T", Date, DateTime, Time)
D = TypeVar("D", Date, DateTime)


def _known(*components: int | None) -> tuple[int, ...]:
    known: list[int] = []
    for component in components:
        if component is None:
            break
        known.append(int(component))
    if any(component is not None for component in components[len(known) :]):
        raise ValueError("a component is given but a coarser one is not")
    return tuple(known)


def _part(parts: tuple[int, ...], index: int) -> int | None:
    return parts[index] if len(parts) > index else None


def _check_day(parts: tuple[int, ...]) -> None:
    year, month, day = (*parts[:3], 1, 1)[:3] if len(parts) < 3 else parts[:3]
    if not 1 <= year <= 9999 or not 1 <= month <= 12 or not 1 <= day <= monthrange(year, month)[1]:
        raise ValueError("no such day")


def _check_time(clock: tuple[int, ...]) -> None:
    if any(not 0 <= value <= most for value, most in zip(clock, (23, 59, 59, 999), strict=False)):
        raise ValueError("no such time of day")


def _date_text(parts: tuple[int, ...]) -> str:
    return "-".join(f"{value:0{width}d}" for value, width in zip(parts, (4, 2, 2), strict=False))


def _time_text(clock: tuple[int, ...]) -> str:
    text = ":".join(f"{value:02d}" for value in clock[:3])
    return text + f".{clock[3]:03d}" if len(clock) > 3 else text


def offset_text(offset: int | None) -> str:
    """`+hh:mm`, `Z` for zero, empty where the offset is unknown."""
    if offset is None:
        return ""
    if offset == 0:
        return "Z"
    hours, minutes = divmod(abs(offset), 60)
    return f"{'-' if offset < 0 else '+'}{hours:02d}:{minutes:02d}"


_DATE = r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?"
_TIME = r"(\d{2})(?::(\d{2})(?::(\d{2})(?:\.(\d+))?)?)?"
_DATE_ONLY = re.compile(_DATE + r"\Z", re.ASCII)
_TIME_ONLY = re.compile(r"T?" + _TIME + r"\Z", re.ASCII)
_DATE_TIME = re.compile(_DATE + r"(?:T(?:" + _TIME + r")?(Z|[+-]\d{2}:?\d{2})?)?\Z", re.ASCII)


def _clock(groups: tuple[str | None, ...]) -> tuple[int | None, ...]:
    hour, minute, second, fraction = groups
    millis = None if fraction is None else int((fraction + "00")[:3])
    return (_int(hour), _int(minute), _int(second), millis)


def _int(text: str | None) -> int | None:
    return None if text is None else int(text)


@lru_cache(maxsize=65536)
def parse_date(text: str) -> Date:
    """The Date of `YYYY[-MM[-DD]]`; ValueError otherwise."""
    found = _DATE_ONLY.match(text)
    if found is None:
        raise ValueError("not a date")
    year, month, day = found.groups()
    return Date(int(year), _int(month), _int(day))


@lru_cache(maxsize=65536)
def parse_datetime(text: str, default_offset: int | None) -> DateTime:
    """The DateTime of an ISO 8601 text (FHIR dateTime, instant, CQL literal); ValueError otherwise."""
    found = _DATE_TIME.match(text)
    if found is None:
        raise ValueError("not a dateTime")
    year, month, day, *clock, zone = found.groups()
    values = _clock(tuple(clock))
    if zone is None:
        offset = default_offset
    elif zone == "Z":
        offset = 0
    else:
        offset = int(zone[1:3]) * 60 + int(zone[-2:])
        offset = -offset if zone[0] == "-" else offset
    if offset is not None and abs(offset) > 14 * 60:
        raise ValueError("no such offset")
    if day is None and values[0] is not None:
        raise ValueError("a time of day without a day")
    return DateTime.checked((int(year), _int(month), _int(day), *values), offset)


@lru_cache(maxsize=4096)
def parse_time(text: str) -> Time:
    """The Time of `[T]hh[:mm[:ss[.fff]]]`; ValueError otherwise."""
    found = _TIME_ONLY.match(text)
    if found is None:
        raise ValueError("not a time")
    hour, minute, second, millis = _clock(found.groups())
    assert hour is not None  # noqa: S101 - the pattern requires it
    return Time(hour, minute, second, millis)


def shift_offset(parts: tuple[int, ...], old: int, new: int) -> tuple[int, ...]:
    """The parts (at least to the hour) told at another offset; precision is kept."""
    length = len(parts)
    year, month, day, hour, minute, second, millis = (*parts, *_MIN_PARTS[length:])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) + timedelta(minutes=new - old)
    except OverflowError:
        return parts
    clock = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, millis)
    # An offset with minutes says more than an hour-precise value knows; the minutes are dropped with the rest.
    return clock[:length]


# --- Arithmetic ----------------------------------------------------------------------------------


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
        millis = int(amount * _MILLIS[precision])
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
        days = whole if precision == DAY else int(Decimal(whole) * _MILLIS[precision] / _DAY_MILLIS)
        months = int(Decimal(days) / 365) * 12 if known == YEAR else int(Decimal(days) / 30)
        moved = add_months(parts, months)
        return None if moved is None else _rebuild(value, moved)
    millis = whole * (_DAY_MILLIS if precision == DAY else _MILLIS[precision])
    if known < precision:
        unit = _DAY_MILLIS if known == DAY else _MILLIS[known]
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
    clock = (moment.hour, moment.minute, moment.second, moment.microsecond // 1000)
    return _rebuild(value, (moment.year, moment.month, moment.day, *clock)[:length])


def _add_clock(clock: tuple[int, ...], amount: Decimal, precision: int) -> tuple[int, ...]:
    """A Time is cyclic: past midnight it begins again."""
    length = len(clock)
    units = (3_600_000, 60_000, 1_000, 1)
    millis = int(amount * _MILLIS[precision]) if precision >= SECOND else int(amount) * _MILLIS[precision]
    unit = units[length - 1]
    millis = int(Decimal(millis) / unit) * unit
    total = (sum(value * size for value, size in zip(clock, units, strict=False)) + millis) % _DAY_MILLIS
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
    return (*parts, *_MIN_PARTS[len(parts) :])


def _whole(low: tuple[int, ...], high: tuple[int, ...], precision: int, weeks: bool) -> int:
    """Whole calendar periods between two sets of full parts."""
    if precision <= MONTH:
        months = (high[0] - low[0]) * 12 + high[1] - low[1]
        if months > 0 and high[2:] < low[2:]:
            months -= 1
        elif months < 0 and high[2:] > low[2:]:
            months += 1
        return int(months / 12) if precision == YEAR else months
    unit = _DAY_MILLIS * (7 if weeks else 1) if precision == DAY else _MILLIS[precision]
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
    unit = _MILLIS[precision]
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
        one, two = low.to_offset(0).parts, high.to_offset(0).parts
    return (one if len(one) != 6 else (*one, 0)), (two if len(two) != 6 else (*two, 0))


def _ends(parts: tuple[int, ...], length: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The first and the last full parts that a partial value may mean, filled to `length` (finer parts: zero)."""
    first = _filled(parts)
    last = [*parts, *_MAX_PARTS[len(parts) :]]
    if len(parts) < 3:
        last[2] = monthrange(last[0], last[1])[1]
    for index in range(max(length, len(parts)), 7):
        last[index] = _MIN_PARTS[index]
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
            if not 0 <= total < _DAY_MILLIS
            else Time.of(_add_clock(value.parts, Decimal(amount), length + 2))
        )
    return add_duration(value, Decimal(amount), len(value.parts) - 1)


def minimum(kind: str, offset: int = 0) -> Temporal:
    """The type's least value."""
    if kind == "Date":
        return Date.of(_MIN_PARTS[:3])
    return DateTime.of(_MIN_PARTS, offset) if kind == "DateTime" else Time.of(_MIN_PARTS[3:])


def maximum(kind: str, offset: int = 0) -> Temporal:
    """The type's greatest value."""
    if kind == "Date":
        return Date.of(_MAX_PARTS[:3])
    return DateTime.of(_MAX_PARTS, offset) if kind == "DateTime" else Time.of(_MAX_PARTS[3:])
