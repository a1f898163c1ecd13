"""What the store takes and gives: cards issued, feedback on them, and what became of a patient's cards.

Plain data without a way back to anybody: `client`, `patient`, `user` and `verdict` are keyed hashes (`pseudonyms`).
All times are aware datetimes. Nothing here fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

ACCEPTED: Final = "accepted"
OVERRIDDEN: Final = "overridden"
REVOKED: Final = "revoked"


@dataclass(frozen=True, slots=True)
class IssuedCard:
    """One card that is about to be shown: its uuid, the CDS service that made it, the trial with version and
    status, the hash of its verdicts, when, and the hashes of client, patient and user.
    """

    uuid: str
    service: str
    trial: str
    version: str
    status: str
    verdict: str
    issued_at: datetime
    client: str
    patient: str
    user: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What was said about a card: `outcome` accepted, overridden or revoked (the standing refusal given before it no
    longer holds), the coding of the override reason, and when: the user's time, but never after it was received.
    """

    outcome: str
    system: str | None
    code: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Shown:
    """A card as it was shown for a patient, with the answers to it, oldest first; the last one counts."""

    trial: str
    user: str
    verdict: str
    issued_at: datetime
    answers: tuple[Answer, ...] = ()


@dataclass(frozen=True, slots=True)
class Feedback:
    """One entry of a feedback call. `id` is the same for the same feedback sent again; `accepted_suggestions` a JSON
    list of uuids; of a comment only whether there was one: its words may name a patient.
    """

    id: str
    service: str
    card: str
    outcome: str
    outcome_timestamp: datetime
    received_at: datetime
    accepted_suggestions: str | None = None
    override_system: str | None = None
    override_code: str | None = None
    user_comment: bool = False


@dataclass(frozen=True, slots=True)
class StoredFeedback:
    """Feedback as it is stored. `trial`: that of the card, None where the card was not issued to who sent the
    feedback (`linked` is False then). `revoked_at`: when a standing refusal was revoked.
    """

    service: str
    card: str
    linked: bool
    trial: str | None
    outcome: str
    outcome_timestamp: datetime
    received_at: datetime
    accepted_suggestions: str | None
    override_system: str | None
    override_code: str | None
    user_comment: bool
    revoked_at: datetime | None


@dataclass(frozen=True, slots=True)
class Deleted:
    """How many rows of each kind an erasure or the retention deleted."""

    cards: int = 0
    feedback: int = 0
    refusals: int = 0
