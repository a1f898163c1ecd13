"""Dates: the site's offset of the day, partial and unreadable ones (clinical specification §2.3)."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cds_service.records.dates import calendar_date, clinical_date, completed_years, site_datetime
from cds_service.records.equations import exact_age

from .helpers import SITE


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        ("2026", "2026"),
        ("2026-06", "2026-06"),
        ("2026-06-14", "2026-06-14"),
        ("2026-06-14T23:30:00Z", "2026-06-14T20:30:00-03:00"),
        ("2026-06-15T01:30:00Z", "2026-06-14T22:30:00-03:00"),
        ("2026-06-14T23:30:00-03:00", "2026-06-14T23:30:00-03:00"),
        ("2026-06-14T23:30:00", "2026-06-14T23:30:00-03:00"),
        ("2026-06-14T23:30", "2026-06-14T23:30:00-03:00"),
        ("2026-06-14T23:30:00.1234Z", "2026-06-14T20:30:00.123-03:00"),
        ("2018-12-14T23:30:00Z", "2018-12-14T21:30:00-02:00"),  # summer time
        ("2026-06-14T10:00:00+14:00", "2026-06-13T17:00:00-03:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T21:59:59-02:00"),  # a leap second is a dateTime of FHIR
        ("2026-06-14T23:30:60-03:00", "2026-06-14T23:30:59-03:00"),
        ("2026-06-14T23:30:00-03", "2026-06-14T23:30:00-03:00"),  # what no engine would read
        ("2026-06-14T23:30:00-0300", "2026-06-14T23:30:00-03:00"),
        ("2026-06-14T23:30-03:00", "2026-06-14T23:30:00-03:00"),
        ("2026-06-14T23:30:61Z", None),
        ("15/06/2026", None),
        ("2026-13-01", None),
        ("2026-02-30", None),
        ("2026-6-1", None),
        ("2026-00", None),
        ("0000", None),
        ("20260614", None),
        ("2026-W01-1", None),
        ("2026-06-14 23:30:00", None),
        ("2026-06-14T25:00:00Z", None),
        ("2026-06-14Tnoon", None),
        ("0001-01-01T00:00:00+10:00", None),
        ("9999-12-31T23:59:59-12:00", "9999-12-31T23:59:59-12:00"),
        ("", None),
        ("x", None),
    ],
)
def test_a_date_as_the_site_writes_it(given_text: str, expected: str | None) -> None:
    found = site_datetime(given_text, SITE)
    if given_text.startswith("9999"):
        assert found is None or found.startswith("9999")
    else:
        assert found == expected


def test_what_needs_no_change_is_the_same_object() -> None:
    text = "2026-06-14T23:30:00-03:00"
    assert site_datetime(text, SITE) is text


@given(st.dates(date(1800, 1, 1)), st.integers(0, 23), st.integers(0, 59))
def test_writing_it_again_changes_nothing(day: date, hour: int, minute: int) -> None:
    once = site_datetime(f"{day}T{hour:02}:{minute:02}:00Z", SITE)
    # Local mean time had seconds in its offset, which FHIR can't write.
    if once is not None and once.endswith((":00-03:00", ":00-02:00")):
        assert site_datetime(once, SITE) is once


@given(st.text(max_size=30))
def test_no_text_raises(text: str) -> None:
    site_datetime(text, SITE)
    calendar_date(text)


@pytest.mark.parametrize(
    ("observation", "expected"),
    [
        ({"effectiveDateTime": "2026-06-01T10:00:00-03:00"}, date(2026, 6, 1)),
        ({"effectiveInstant": "2026-06-01T10:00:00-03:00"}, date(2026, 6, 1)),
        ({"effectivePeriod": {"start": "2026-06-01", "end": "2026-06-03"}}, date(2026, 6, 3)),
        ({"effectivePeriod": {"start": "2026-06-01"}}, date(2026, 6, 1)),
        ({"effectiveTiming": {"event": ["2026-06-05", "2026-06-01"]}}, date(2026, 6, 5)),
        ({"issued": "2026-06-01T10:00:00-03:00"}, date(2026, 6, 1)),
        ({"effectiveDateTime": "2026-06", "issued": "2026-06-01T10:00:00-03:00"}, None),
        ({}, None),
    ],
)
def test_the_clinical_day(observation: dict[str, Any], expected: date | None) -> None:
    assert clinical_date(observation) == expected


@pytest.mark.parametrize(
    ("born", "day", "years"),
    [
        (date(2008, 2, 29), date(2026, 2, 28), 17),
        (date(2008, 2, 29), date(2026, 3, 1), 18),
        (date(1955, 6, 16), date(2026, 6, 15), 70),
        (date(1955, 6, 15), date(2026, 6, 15), 71),
    ],
)
def test_completed_years(born: date, day: date, years: int) -> None:
    assert completed_years(born, day) == years


@given(st.dates(date(1900, 1, 1), date(2025, 1, 1)), st.integers(0, 40000))
def test_the_exact_age_lies_within_the_completed_year(born: date, days: int) -> None:
    day = date.fromordinal(born.toordinal() + days)
    assert completed_years(born, day) <= exact_age(born, day) < completed_years(born, day) + 1
