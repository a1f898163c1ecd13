"""The cards issued, and what became of those of one patient. Each function works in the caller's transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final

from sqlalchemy import BindParameter, Connection, RowMapping, bindparam, insert, or_, select

from cds_service.storage.records import OVERRIDDEN, REVOKED, Answer, IssuedCard, Shown
from cds_service.storage.schema import CARDS, FEEDBACK, REFUSALS
from cds_service.terminology.systems import OVERRIDE_REASON

_FIELDS = tuple(IssuedCard.__slots__)
# What each call asks, built once: building a statement costs as much as the database takes to answer it.
_PATIENT: Final[BindParameter[str]] = bindparam("patient")
_ANSWERS: Final = select(FEEDBACK).where(FEEDBACK.c.patient == _PATIENT)
_STANDING: Final = select(REFUSALS).where(REFUSALS.c.patient == _PATIENT)
_RECENT: Final = select(CARDS).where(CARDS.c.patient == _PATIENT, CARDS.c.issued_at >= bindparam("since"))
_OF_USER: Final = _RECENT.where(
    or_(
        CARDS.c.user == bindparam("user"),
        CARDS.c.uuid.in_(select(FEEDBACK.c.card).where(FEEDBACK.c.patient == _PATIENT)),
    )
)
_RECORD: Final = insert(CARDS)


def record(connection: Connection, cards: Sequence[IssuedCard]) -> None:
    """Records cards, all or none."""
    connection.execute(_RECORD, [{name: getattr(card, name) for name in _FIELDS} for card in cards])


def history(connection: Connection, patient: str, since: datetime, user: str | None) -> list[Shown]:
    """The patient's cards since then and those whose refusal stands, oldest first, each with its answers; with `user`
    without the cards of others that nobody answered.
    """
    of = {"patient": patient}
    answered: dict[str, list[RowMapping]] = {}
    for row in connection.execute(_ANSWERS, of).mappings():
        answered.setdefault(row["card"], []).append(row)
    shown: dict[str, Shown] = {}
    recent, within = (_RECENT, {}) if user is None else (_OF_USER, {"user": user})
    for row in connection.execute(recent, {**of, **within, "since": since}).mappings():
        shown[row["uuid"]] = _shown(row, answers(answered.get(row["uuid"], ())))
    for row in connection.execute(_STANDING, of).mappings():
        if row["card"] not in shown:
            # The card and the feedback that refused it are gone already: the refusal is known without them.
            shown[row["card"]] = _shown(row, answers(answered.get(row["card"], ()), row))
    return sorted(shown.values(), key=lambda card: card.issued_at)


def answers(rows: Iterable[RowMapping], refusal: RowMapping | None = None) -> tuple[Answer, ...]:
    """The answers that feedback rows of one card amount to, oldest first; revocations among them.

    refusal: the card's standing one, which is an answer too where the feedback that gave it is no longer stored.
    """
    found = []
    for row in rows:
        at = min(row["outcome_timestamp"], row["received_at"])
        given = Answer(row["outcome"], row["override_system"], row["override_code"], at)
        found.append((at, row["received_at"], row["id"], given))
        if (revoked := row["revoked_at"]) is not None:
            found.append((revoked, revoked, row["id"], Answer(REVOKED, None, None, revoked)))
    if refusal is not None:
        at = refusal["refused_at"]
        stands = Answer(OVERRIDDEN, OVERRIDE_REASON, refusal["override_code"], at)
        if all(given != stands for *_, given in found):
            found.append((at, at, "", stands))
    return tuple(answer for *_, answer in sorted(found, key=lambda each: each[:3]))


def _shown(row: RowMapping, given: tuple[Answer, ...]) -> Shown:
    return Shown(row["trial"], row["user"], row["verdict"], row["issued_at"], given)
