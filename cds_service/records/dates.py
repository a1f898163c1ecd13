"""FHIR dates and dateTimes: read, and brought to the site's offset of their own day.

CQL knows offsets, not zones, so a dateTime with a time is rewritten to the offset that the site's zone had
at that moment; dates and partial dates stay as they are. A dateTime with a time but no offset is the site's
local time. Error policy: what is no FHIR date gives None; nothing raises.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from typing import Any

from cds_service.records.absent import says_absent

EFFECTIVE = ("effectiveDateTime", "effectiveInstant", "effectivePeriod", "effectiveTiming")
_PARTIAL = re.compile(r"[0-9]{4}(?:-(?:0[1-9]|1[0-2]))?")
_PROPER = re.compile(
    r"[0-9-]{10}T[0-9]{2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:[0-9]{2})", re.ASCII
)


def site_datetime(text: str, zone: tzinfo) -> str | None:
    """A FHIR date, dateTime or instant as the site writes it; the very same object when nothing changes.

    None when the text is none of these ("15/06/2026", "2026-13-01").
    """
    length = len(text)
    if length in (4, 7):
        return text if _PARTIAL.fullmatch(text) and text[:4] != "0000" else None
    if length < 10 or text[4] != "-" or text[7] != "-":
        return None
    try:
        if length == 10:
            date.fromisoformat(text)
            return text
        if text[10] != "T":
            return None
        # A leap second is a dateTime of FHIR; it is counted with the second before it.
        leap = text[16:19] == ":60"
        moment = datetime.fromisoformat(f"{text[:17]}59{text[19:]}" if leap else text)
        given = moment.utcoffset()
        local = moment.replace(tzinfo=zone) if given is None else moment.astimezone(zone)
        offset = local.utcoffset() or timedelta(0)
        if given == offset and not leap and _PROPER.fullmatch(text):
            return text
        if offset.seconds % 60:  # local mean time, before zones: FHIR writes offsets in minutes
            local = local.astimezone(timezone(timedelta(minutes=offset // timedelta(minutes=1))))
        return local.isoformat(timespec="milliseconds" if local.microsecond else "seconds")
    except (ValueError, OverflowError):
        return None


def calendar_date(text: Any, zone: tzinfo = UTC) -> date | None:
    """The full calendar date of a FHIR date or dateTime at the site; None for a partial or unreadable one."""
    if not isinstance(text, str):
        return None
    written = site_datetime(text, zone)
    return date.fromisoformat(written[:10]) if written is not None and len(written) >= 10 else None


def clinical_date(observation: Mapping[str, Any]) -> date | None:
    """The calendar day of a normalised Observation: effective date, end (else start) of its period, last
    event of its timing, else when it was issued; None when there is none or only a partial one."""
    for key in ("effectiveDateTime", "effectiveInstant"):
        if key in observation:
            return calendar_date(observation[key])
    period = observation.get("effectivePeriod")
    if isinstance(period, dict):
        return calendar_date(period.get("end") or period.get("start"))
    timing = observation.get("effectiveTiming")
    events = timing.get("event") if isinstance(timing, dict) else None
    if isinstance(events, list) and events:
        return max((day for event in events if (day := calendar_date(event)) is not None), default=None)
    return calendar_date(observation.get("issued"))


def lost_its_date(received: Mapping[str, Any], tidied: Mapping[str, Any]) -> bool:
    """Whether an Observation came with an effective[x], and nothing of it could be read.

    Such a result isn't undated: it may be the newest of all.
    """
    given = [
        key for key in EFFECTIVE if received.get(key) not in (None, "", []) and not says_absent(received[key])
    ]
    return bool(given) and not any(_is_dated(key, tidied.get(key), received[key]) for key in given)


def _is_dated(key: str, tidied: Any, received: Any) -> bool:
    if key == "effectivePeriod":
        return isinstance(tidied, dict) and bool(tidied.get("start") or tidied.get("end"))
    if key == "effectiveTiming" and isinstance(tidied, dict) and isinstance(received, dict):
        return bool(tidied.get("event")) or not received.get("event")
    return tidied is not None


def completed_years(birth: date, day: date) -> int:
    """Age in completed years on a day; a 29 February birthday falls on 1 March in other years."""
    return day.year - birth.year - ((day.month, day.day) < (birth.month, birth.day))
