"""Dates and times: parsing, text, precision, arithmetic and durations under uncertainty."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.elm import Date, DateTime, Time
from cds_service.elm.compare import equal, less, order_temporal
from cds_service.elm.durations import add_duration, difference_between, duration_between
from cds_service.elm.temporal import (
    DAY,
    HOUR,
    MONTH,
    YEAR,
)


@pytest.mark.parametrize("text", ["2026", "2026-06", "2026-06-15"])
def test_a_date_is_read_and_written_at_its_precision(text: str) -> None:
    assert str(Date.parse(text)) == text


@pytest.mark.parametrize(
    "text", ["", "26", "2026-6", "2026-13", "2026-02-30", "2026-06-15T10", "0000", "2026-06-15 ", "２０２６"]
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        Date.parse(text)


@pytest.mark.parametrize(
    ("text", "parts", "offset"),
    [
        ("2026-06-15T23:30:00Z", (2026, 6, 15, 23, 30, 0), 0),
        ("2026-06-15T23:30:00.5-03:00", (2026, 6, 15, 23, 30, 0, 500), -180),
        ("2026-06-15T23:30:00.123456+05:30", (2026, 6, 15, 23, 30, 0, 123), 330),
        ("2026-06-15T23:30", (2026, 6, 15, 23, 30), 60),
        ("2026-06", (2026, 6), 60),
    ],
)
def test_a_datetime_is_read(text: str, parts: tuple[int, ...], offset: int) -> None:
    found = DateTime.parse(text, 60)
    assert (found.parts, found.offset) == (parts, offset)


@pytest.mark.parametrize(
    "text", ["2026-06-15T24:00:00Z", "2026-06T10:00", "2026-06-15T10:00:00+15:00", "T10:00", "x"]
)
def test_what_is_no_datetime_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        DateTime.parse(text)


def test_a_component_behind_a_missing_one_is_refused() -> None:
    with pytest.raises(ValueError, match="coarser"):
        Date(2026, None, 15)


@pytest.mark.parametrize(
    ("one", "two", "precision", "expected"),
    [
        ("2026-06-15T10:00:00Z", "2026-06-15T07:00:00-03:00", None, 0),
        ("2026-06-15T10:00:00Z", "2026-06-15T10:00:00-03:00", None, -1),
        ("2026-06-15T10:00:00.000Z", "2026-06-15T10:00:00Z", None, 0),
        ("2026-06-15T10:00:00.000Z", "2026-06-15T10:00:00Z", "millisecond", None),
        ("2026-06-15T23:30:00-03:00", "2026-06-16T02:30:00Z", "day", -1),
        ("2026-06-15T23:30:00-03:00", "2026-06-16T02:30:00Z", "hour", 0),
        ("2026-06", "2026-06-15T10:00:00Z", None, None),
        ("2026-05", "2026-06-15T10:00:00Z", None, -1),
        ("2026", "2026-06-15T10:00:00Z", "year", 0),
    ],
)
def test_order(one: str, two: str, precision: str | None, expected: int | None) -> None:
    assert order_temporal(DateTime.parse(one), DateTime.parse(two), precision) == expected


@pytest.mark.parametrize(
    ("low", "high", "unit", "expected"),
    [
        ("2008-02-29", "2026-02-28", YEAR, (17, 17)),
        ("2008-02-29", "2026-03-01", YEAR, (18, 18)),
        ("1990", "2026-06-15", YEAR, (35, 36)),
        ("2026-06-15", "1990", YEAR, (-36, -35)),
        ("2026-01-31", "2026-02-28", MONTH, (0, 0)),
        ("2026-02", "2026-03-01", DAY, (1, 28)),
        ("2026-06-15", "2026-06-15", DAY, (0, 0)),
    ],
)
def test_duration_between_dates(low: str, high: str, unit: int, expected: tuple[int, int]) -> None:
    assert duration_between(Date.parse(low), Date.parse(high), unit) == expected


def test_a_difference_counts_boundaries_at_the_local_day() -> None:
    low, high = DateTime.parse("2026-06-15T23:30:00-03:00"), DateTime.parse("2026-06-16T00:30:00-03:00")
    assert difference_between(low, high, DAY) == (1, 1)
    assert duration_between(low, high, HOUR) == (1, 1)


DATES = st.dates(date(1, 1, 1), date(9998, 12, 31))


@given(DATES, st.integers(-3000, 3000))
def test_adding_days_is_the_calendars(day: date, amount: int) -> None:
    try:
        expected: Any = Date.from_date(day + timedelta(days=amount))
    except OverflowError:
        expected = None
    assert add_duration(Date.from_date(day), Decimal(amount), DAY) == expected


@given(DATES, DATES)
def test_whole_days_between_are_the_calendars(one: date, two: date) -> None:
    assert duration_between(Date.from_date(one), Date.from_date(two), DAY) == ((two - one).days,) * 2


@given(DATES, DATES)
def test_a_partial_dates_duration_holds_the_full_ones(birth: date, day: date) -> None:
    known = duration_between(Date.from_date(birth), Date.from_date(day), YEAR)[0]
    low, high = duration_between(Date(birth.year, birth.month), Date.from_date(day), YEAR)
    assert low <= known <= high


MOMENTS = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001


@given(MOMENTS, MOMENTS, st.integers(-720, 720), st.integers(-720, 720))
def test_order_does_not_depend_on_the_offset(one: datetime, two: datetime, first: int, second: int) -> None:
    left, right = DateTime.from_datetime(one), DateTime.from_datetime(two)
    moved = (left.to_offset(first), right.to_offset(second))
    assert order_temporal(left, right) == order_temporal(*moved)
    assert equal(left, moved[0]) is True
    assert less(left, right) is less(*moved)


def test_a_time_is_cyclic_and_knows_its_precision() -> None:
    assert add_duration(Time(23, 30), Decimal(1), HOUR) == Time(0, 30)
    assert str(Time.parse("T10:30:05.1")) == "10:30:05.100"
    assert Time(10).key() == (10,)
