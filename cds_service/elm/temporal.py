"""CQL Date, DateTime and Time: immutable values with their own precision, and the arithmetic on them.

A value is the tuple of the components that are known (`parts`), so its precision is the tuple's length and
most comparisons are tuple comparisons. A DateTime also has an offset from UTC in minutes (None: never stated,
which only values without a time of day may have). Bad text gives ValueError; arithmetic out of range gives
None (CQL: null).
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Self

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
MILLIS = {HOUR: 3_600_000, MINUTE: 60_000, SECOND: 1_000, MILLISECOND: 1}
DAY_MILLIS = 86_400_000
MAX_PARTS = (9999, 12, 31, 23, 59, 59, 999)
MIN_PARTS = (1, 1, 1, 0, 0, 0, 0)


class Date:
    """A CQL Date: year, optionally month, optionally day."""

    __slots__ = ("parts",)
    type_name = "Date"
    full = 3

    def __init__(self, year: int, month: int | None = None, day: int | None = None) -> None:
        self.parts: tuple[int, ...] = (year, month, day) if month and day else _known(year, month, day)
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
    date(*parts[:3]) if len(parts) >= 3 else date(*parts, *(1, 1)[len(parts) - 1 :])  # raises ValueError


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


def parse_date(text: str) -> Date:
    """The Date of `YYYY[-MM[-DD]]`; ValueError otherwise."""
    found = _DATE_ONLY.match(text)
    if found is None:
        raise ValueError("not a date")
    year, month, day = found.groups()
    return Date(int(year), _int(month), _int(day))


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
    year, month, day, hour, minute, second, millis = (*parts, *MIN_PARTS[length:])
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC) + timedelta(minutes=new - old)
    except OverflowError:
        return parts
    clock = (moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, millis)
    # An offset with minutes says more than an hour-precise value knows; the minutes are dropped with the rest.
    return clock[:length]


# --- Arithmetic ----------------------------------------------------------------------------------
