"""Builders of what is stored; what a test does not name is alike."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from cds_service.hooks.feedback import parse_feedback
from cds_service.storage import Feedback, IssuedCard
from cds_service.terminology.systems import OVERRIDE_REASON

NOW = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
SERVICE = "trial-x"
CLIENT, PATIENT, USER, VERDICT = (letter * 64 for letter in "cdef")


def card(days_ago: float = 0, **changes: Any) -> IssuedCard:
    known: dict[str, Any] = {
        "uuid": str(uuid4()),
        "service": SERVICE,
        "trial": "x",
        "version": "1.0.0",
        "status": "unknown",
        "verdict": VERDICT,
        "issued_at": NOW - timedelta(days=days_ago),
        "client": CLIENT,
        "patient": PATIENT,
        "user": USER,
    }
    return IssuedCard(**{**known, **changes})


def override(
    of: IssuedCard | str,
    reason: str | None = "no-time",
    days_ago: float = 0,
    system: str | None = OVERRIDE_REASON,
    service: str = SERVICE,
    received_at: datetime = NOW,
) -> list[Feedback]:
    coding: dict[str, Any] = {"code": reason, **({"system": system} if system else {})}
    given = {"overrideReason": {"reason": coding}} if reason else {}
    return _said(of, days_ago, service, received_at, {"outcome": "overridden", **given})


def acceptance(
    of: IssuedCard | str, days_ago: float = 0, service: str = SERVICE, received_at: datetime = NOW
) -> list[Feedback]:
    accepted = {"outcome": "accepted", "acceptedSuggestions": [{"id": "s1"}]}
    return _said(of, days_ago, service, received_at, accepted)


def _said(
    of: IssuedCard | str, days_ago: float, service: str, received_at: datetime, entry: dict[str, Any]
) -> list[Feedback]:
    at = (NOW - timedelta(days=days_ago)).isoformat().replace("+00:00", "Z")
    uuid = of if isinstance(of, str) else of.uuid
    body = {"feedback": [{"card": uuid, "outcomeTimestamp": at, **entry}]}
    return parse_feedback(body, service, received_at)
