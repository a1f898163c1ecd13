"""Which due cards rest, by what was answered to earlier ones and by how often they were shown unanswered.

Pure: the patient's history and the moment come in as arguments, no clock is read and nothing is stored. A user
is known by the hash of its identity alone. Nothing here fails: an answer that says nothing known has no effect.

    reason of the latest answer         rests for        for how long
    no-time                             the same user    14 days
    already-discussed                   the same user    90 days
    known-ineligible, not-appropriate   everybody        90 days
    patient-declined, enrolled-elsewhere everybody       until revoked
    needs-information                   nobody
    accepted, or revoked by the site    nobody

A reason counts only under this project's code system, for the trial of its card. A dismissal without a reason, or
with one that is not known, leaves standing what an earlier answer said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cds_service.hooks.cards import OVERRIDE_SYSTEM
from cds_service.storage import OVERRIDDEN, Answer, Shown

# The reason of a card that rests because it was shown often enough, beside the codes of the override reasons.
VIEWS: Final = "views"


@dataclass(frozen=True, slots=True)
class Pause:
    """What an override reason asks for. `everyone`: of every user, not only of who gave it; `days`: None = until
    revoked, 0 = no pause.
    """

    everyone: bool
    days: int | None


PAUSES: Final[Mapping[str, Pause]] = {
    "no-time": Pause(everyone=False, days=14),
    "already-discussed": Pause(everyone=False, days=90),
    "known-ineligible": Pause(everyone=True, days=90),
    "not-appropriate": Pause(everyone=True, days=90),
    "patient-declined": Pause(everyone=True, days=None),
    "enrolled-elsewhere": Pause(everyone=True, days=None),
    "needs-information": Pause(everyone=False, days=0),
}


@dataclass(frozen=True, slots=True)
class Rest:
    """Why the card of `trial` rests: the code of an override reason, or VIEWS. `until`: None = until revoked."""

    trial: str
    reason: str
    until: datetime | None


def resting(
    history: Iterable[Shown],
    due: Mapping[str, str],
    *,
    user: str,
    now: datetime,
    views: int,
    view_days: int,
) -> dict[str, Rest]:
    """The rests in force by trial; of several the one that lasts longest.

    history: the cards shown for this patient, with their answers. due: the fingerprint of the verdict by trial
    for which a card is due. user: the hash of who would see them. views, view_days: a card shown to this user
    `views` times in a row with the same verdict and unanswered rests that many days after the last; 0 views =
    never.
    """
    cards = sorted(history, key=lambda shown: shown.issued_at)
    found: dict[str, Rest] = {}
    for trial, verdict in due.items():
        of_trial = [shown for shown in cards if shown.trial == trial]
        rests = [rest for shown in of_trial if (rest := _of_answers(shown, user)) is not None]
        unanswered = _unanswered([shown for shown in of_trial if shown.user == user], verdict)
        if (until := _end_of_rest(unanswered, views, timedelta(days=view_days))) is not None:
            rests.append(Rest(trial, VIEWS, until))
        in_force = [rest for rest in rests if rest.until is None or now < rest.until]
        if in_force:
            found[trial] = max(in_force, key=_end)
    return found


def _of_answers(shown: Shown, user: str) -> Rest | None:
    """The rest that the answers to one card ask for as far as `user` is concerned, over already or not."""
    said = [answer for answer in shown.answers if answer.outcome != OVERRIDDEN or _pause(answer) is not None]
    if not said:
        return None
    last = max(enumerate(said), key=lambda each: (each[1].at, each[0]))[1]
    pause = _pause(last)
    if pause is None or last.code is None or pause.days == 0 or not (pause.everyone or shown.user == user):
        return None
    return Rest(shown.trial, last.code, None if pause.days is None else last.at + timedelta(days=pause.days))


def _pause(answer: Answer) -> Pause | None:
    if answer.outcome != OVERRIDDEN or answer.system != OVERRIDE_SYSTEM:
        return None
    return PAUSES.get(answer.code or "")


def _unanswered(own: Sequence[Shown], verdict: str) -> list[Shown]:
    """The latest of one user's views in a row that have this verdict and that no answer of theirs followed.

    An answer ends the count at its card too, however wrong the clock was that dated it.
    """
    answered = [max(answer.at, shown.issued_at) for shown in own for answer in shown.answers]
    latest = max(answered, default=None)
    row: list[Shown] = []
    for shown in reversed(own):
        if shown.verdict != verdict or (latest is not None and shown.issued_at <= latest):
            break
        row.append(shown)
    return row[::-1]


def _end_of_rest(row: Sequence[Shown], views: int, pause: timedelta) -> datetime | None:
    """When the latest rest of a row of views ends: each starts with the view that makes the number full.

    Views during a rest come of calls that were under way together; they start no new count. 0 views: no rest.
    """
    until: datetime | None = None
    count = 0
    for shown in row:
        if until is not None and shown.issued_at < until:
            continue
        count += 1
        if count == views:
            until, count = shown.issued_at + pause, 0
    return until


def _end(rest: Rest) -> datetime:
    return datetime.max.replace(tzinfo=UTC) if rest.until is None else rest.until
