"""Feedback as it comes in: stored once, linked to the card it is about, and what it says of refusals that stand.

Each function works in the caller's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, RowMapping, and_, delete, select, update

from cds_service.storage.cards import answers
from cds_service.storage.engine import insert_into
from cds_service.storage.records import OVERRIDDEN, Answer, Feedback, StoredFeedback
from cds_service.storage.schema import CARDS, FEEDBACK, REASONS, REFUSALS, STANDING_REASONS
from cds_service.terminology.systems import OVERRIDE_REASON

_CARD_FIELDS: Final = ("service", "trial", "verdict", "issued_at", "client", "patient", "user")


def add(connection: Connection, rows: Iterable[Feedback], client: str) -> int:
    """Stores what is new of `rows` and says how many that were."""
    # In one order whoever sends them: two calls with the same feedback wait for each other, never in a circle.
    by_id = {_key(row, client): row for row in sorted(rows, key=lambda row: (row.card, row.id))}
    cards = _cards(connection, {(row.card, row.service) for row in by_id.values()}, client)
    known = set(
        connection.scalars(select(FEEDBACK.c.id).where(FEEDBACK.c.id.in_([row.id for row in by_id.values()])))
    )
    new = [
        _values(key, row, cards.get((row.card, row.service)))
        for key, row in by_id.items()
        if row.id not in known  # as version 0.1.0 stored it
    ]
    if not new:
        return 0
    statement = insert_into(FEEDBACK, connection.dialect).on_conflict_do_nothing().returning(FEEDBACK.c.id)
    stored = set(connection.scalars(statement, new))
    touched = {(row["card"], row["service"]) for row in new if row["id"] in stored} & cards.keys()
    _settle(connection, [cards[place] for place in sorted(touched)])
    return len(stored)


def _key(row: Feedback, client: str) -> str:
    """What one client says again is the same row; what another says is not."""
    return hashlib.sha256(f"{client}:{row.id}:{row.override_system or ''}".encode()).hexdigest()


def _cards(
    connection: Connection, places: set[tuple[str, str]], client: str
) -> dict[tuple[str, str], dict[str, Any]]:
    """Of the cards (uuid, service) those that were issued to this client, or whose refusal by it stands.

    They stay locked until the transaction ends, so that an erasure finds the feedback that is being stored.
    """
    named = [card for card, _ in places]
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for table, uuid in ((REFUSALS, REFUSALS.c.card), (CARDS, CARDS.c.uuid)):
        asked = (
            select(uuid.label("card"), *(table.c[name] for name in _CARD_FIELDS))
            .where(and_(uuid.in_(named), table.c.client == client))
            .order_by(uuid)
            .with_for_update()
        )
        for row in connection.execute(asked).mappings():
            if (place := (row["card"], row["service"])) in places:
                found[place] = {name: row[name] for name in ("card", *_CARD_FIELDS)}
    return found


def _values(key: str, row: Feedback, card: Mapping[str, Any] | None) -> dict[str, Any]:
    return {
        "id": key,
        "service": row.service,
        "card": row.card,
        "outcome": row.outcome,
        "outcome_timestamp": row.outcome_timestamp,
        "accepted_suggestions": row.accepted_suggestions,
        "override_system": row.override_system,
        "override_code": row.override_code,
        "user_comment": "given" if row.user_comment else None,
        "received_at": row.received_at,
        "trial": card["trial"] if card else None,
        "patient": card["patient"] if card else None,
    }


def _settle(connection: Connection, cards: Sequence[Mapping[str, Any]]) -> None:
    """Makes the standing refusals of these cards what the last answer to each says that has an effect."""
    if not cards:
        return
    named = [card["card"] for card in cards]
    refusals = {
        row["card"]: row
        for row in connection.execute(select(REFUSALS).where(REFUSALS.c.card.in_(named))).mappings()
    }
    said: dict[str, list[RowMapping]] = {}
    linked = and_(FEEDBACK.c.card.in_(named), FEEDBACK.c.patient.is_not(None))
    for row in connection.execute(select(FEEDBACK).where(linked)).mappings():
        said.setdefault(row["card"], []).append(row)
    for card in cards:
        given = answers(said.get(card["card"], ()), refusals.get(card["card"]))
        last = next((answer for answer in reversed(given) if _has_effect(answer)), None)
        if card["card"] in refusals:
            connection.execute(delete(REFUSALS).where(REFUSALS.c.card == card["card"]))
        if last is not None and stands(last):
            values = {**card, "override_code": last.code, "refused_at": last.at}
            connection.execute(
                insert_into(REFUSALS, connection.dialect).values(**values).on_conflict_do_nothing()
            )


def stands(answer: Answer) -> bool:
    """Whether the answer holds until it is revoked."""
    return _has_effect(answer) and answer.code in STANDING_REASONS


def _has_effect(answer: Answer) -> bool:
    """Whether the answer says something to this service: a reason that is not its own does not."""
    if answer.outcome != OVERRIDDEN:
        return True
    return answer.system == OVERRIDE_REASON and answer.code in REASONS


def revoke(connection: Connection, patient: str, trial: str | None, now: datetime) -> int:
    """Ends the patient's standing refusals, of one trial or of all; says how many there were."""
    stored = delete(REFUSALS).where(REFUSALS.c.patient == patient)
    told = update(FEEDBACK).where(
        FEEDBACK.c.patient == patient,
        FEEDBACK.c.outcome == OVERRIDDEN,
        FEEDBACK.c.override_system == OVERRIDE_REASON,
        FEEDBACK.c.override_code.in_(STANDING_REASONS),
        FEEDBACK.c.revoked_at.is_(None),
    )
    if trial is not None:
        stored, told = stored.where(REFUSALS.c.trial == trial), told.where(FEEDBACK.c.trial == trial)
    connection.execute(told.values(revoked_at=now))
    return connection.execute(stored).rowcount


def stored_feedback(row: RowMapping) -> StoredFeedback:
    """A row of the table as what is told of it."""
    return StoredFeedback(
        service=row["service"],
        card=row["card"],
        linked=row["patient"] is not None,
        trial=row["trial"],
        outcome=row["outcome"],
        outcome_timestamp=row["outcome_timestamp"],
        received_at=row["received_at"],
        accepted_suggestions=row["accepted_suggestions"],
        override_system=row["override_system"],
        override_code=row["override_code"],
        user_comment=row["user_comment"] is not None,
        revoked_at=row["revoked_at"],
    )
