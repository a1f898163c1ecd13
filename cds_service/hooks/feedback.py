"""Feedback on cards: checked, then stored without comment texts; unknown cards, batches and repeats are
welcome.

Error policy: a body that breaks the specification's rules is an InputError and nothing of it is stored.
"""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from cds_service.errors import InputError
from cds_service.storage import ACCEPTED, OVERRIDDEN, Feedback

OUTCOMES: Final = (ACCEPTED, OVERRIDDEN)
MAX_ENTRIES: Final = 1000
# RFC 3339 section 5.6, in UTC as the specification of feedback asks.
_TIMESTAMP: Final = re.compile(r"\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(\.\d{1,9})?([Zz]|[+-]00:00)")
_LONGEST: Final = 512


def parse_feedback(body: Any, service: str, received_at: datetime | None = None) -> list[Feedback]:
    """What to store of a feedback body of `service`. Raises InputError. `received_at`: default: now."""
    entries = body.get("feedback") if isinstance(body, dict) else None
    if not isinstance(entries, list) or not entries:
        raise InputError('The body must be {"feedback": […]} with at least one entry.', expression="feedback")
    if len(entries) > MAX_ENTRIES:
        raise InputError(f"Send at most {MAX_ENTRIES} entries at once.", expression="feedback")
    moment = received_at or datetime.now(UTC)
    return [_row(entry, f"feedback[{n}]", service, moment) for n, entry in enumerate(entries)]


def _row(entry: Any, place: str, service: str, received_at: datetime) -> Feedback:
    if not isinstance(entry, dict):
        raise InputError(f"{place} must be an object.", expression=place)
    card = _text(entry, "card", place, "the uuid of the card", longest=128)
    outcome = _text(entry, "outcome", place, " or ".join(OUTCOMES))
    if outcome not in OUTCOMES:
        raise InputError(f"{place}.outcome must be {' or '.join(OUTCOMES)}.", expression=f"{place}.outcome")
    moment = _moment(entry, place)
    accepted = _accepted(entry, place, outcome)
    system, code, commented = _override(entry, place)
    # The same feedback sent again is the same row: retries of a client are no second opinion.
    same = [service, card, outcome, moment.isoformat(), accepted, code]
    return Feedback(
        id=hashlib.sha256(orjson.dumps(same)).hexdigest(),
        service=service,
        card=card,
        outcome=outcome,
        outcome_timestamp=moment,
        received_at=received_at,
        accepted_suggestions=accepted,
        override_system=system,
        override_code=code,
        user_comment=commented,
    )


def _moment(entry: dict[str, Any], place: str) -> datetime:
    written = _text(entry, "outcomeTimestamp", place, "when the user acted, such as 2026-06-15T10:00:00Z")
    problem = InputError(
        f"{place}.outcomeTimestamp must be an RFC 3339 timestamp in UTC, such as 2026-06-15T10:00:00Z.",
        expression=f"{place}.outcomeTimestamp",
    )
    if not _TIMESTAMP.fullmatch(written):
        raise problem
    try:
        # Python reads at most six digits of a fraction; the rest is below any use of it.
        plain = re.sub(r"(\.\d{6})\d+", r"\1", written.upper())
        return datetime.fromisoformat(plain).astimezone(UTC)
    except ValueError:
        raise problem from None


def _accepted(entry: dict[str, Any], place: str, outcome: str) -> str | None:
    accepted = entry.get("acceptedSuggestions")
    where = f"{place}.acceptedSuggestions"
    if outcome == "overridden":
        return None
    if not isinstance(accepted, list) or not accepted or len(accepted) > 50:
        raise InputError(f"{where} must list the suggestions that were accepted.", expression=where)
    ids = []
    for number, suggestion in enumerate(accepted):
        if not isinstance(suggestion, dict):
            raise InputError(
                f"{where}[{number}] must be an object with an id.", expression=f"{where}[{number}]"
            )
        ids.append(_text(suggestion, "id", f"{where}[{number}]", "the uuid of the suggestion", longest=64))
    return orjson.dumps(ids).decode()


def _override(entry: dict[str, Any], place: str) -> tuple[str | None, str | None, bool]:
    """System and code of the reason, and whether there was a comment."""
    override = entry.get("overrideReason")
    if override is None:
        return None, None, False
    where = f"{place}.overrideReason"
    if not isinstance(override, dict):
        raise InputError(f"{where} must be an object.", expression=where)
    system = code = None
    reason = override.get("reason")
    if reason is not None:
        if not isinstance(reason, dict):
            raise InputError(f"{where}.reason must be a Coding.", expression=f"{where}.reason")
        code = _text(reason, "code", f"{where}.reason", "the code of the reason", longest=128)
        if reason.get("system") is not None:
            system = _text(reason, "system", f"{where}.reason", "its code system")
    comment = override.get("userComment")
    if comment is not None and not isinstance(comment, str):
        raise InputError(f"{where}.userComment must be a text.", expression=f"{where}.userComment")
    return system, code, bool(comment)


def _text(holder: dict[str, Any], key: str, place: str, wanted: str, longest: int = _LONGEST) -> str:
    value = holder.get(key)
    # No database keeps a NUL in a text, and no uuid or code has one.
    if not isinstance(value, str) or not value or len(value) > longest or "\0" in value:
        raise InputError(f"{place}.{key} must be a text: {wanted}.", expression=f"{place}.{key}")
    return value
