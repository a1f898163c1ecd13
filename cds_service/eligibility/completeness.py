"""What the completeness of the data leaves of a verdict (clinical-spec §1.2, §2.1).

A type that could not be got makes what reads it unknown(retrieval-failed); one that the server does not
offer makes what finds nothing else unknown(not-offered). Pure functions; nothing here raises.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from cds_service.eligibility.catalog import LoadedTrial
from cds_service.eligibility.needs import ATTESTATIONS, COMPANIONS
from cds_service.eligibility.trial import Criterion
from cds_service.eligibility.verdict import UNKNOWN, Verdict
from cds_service.elm import Result
from cds_service.records.record import (
    FAILED,
    NOT_OFFERED,
    PENDING,
    REFUSED,
    TRUNCATED,
    Acquired,
    PatientRecord,
)
from cds_service.records.shortfalls import advice, is_short, remedy, shown_reason

# These seldom lead to a companion, so that one is missed only where there are any.
_SELDOM: Final = frozenset({"SupplyDelivery", "Consent"})
# What a drug may be made of, and can't be told without.
_WHOLE, _PART = "Medication", "Substance"
_SAID: Final[Mapping[str, str]] = {
    FAILED: "not obtained",
    TRUNCATED: "obtained in part",
    REFUSED: "refused",
    PENDING: "not asked for",
    NOT_OFFERED: "not available electronically",
}


def account(loaded: LoadedTrial, record: PatientRecord) -> dict[str, Acquired]:
    """How each resource type that the trial reads was obtained, with whatever else the record accounts for.

    A reason is one of the closed set of `records.shortfalls`, or none.
    """
    found = {kind: record.state(kind) for kind in sorted(loaded.needs.all | set(record.account))}
    return {kind: replace(acquired, reason=shown_reason(acquired.reason)) for kind, acquired in found.items()}


def undecided(verdict: Verdict, *reasons: str) -> Verdict:
    """The verdict as unknown, for these reasons first; an unknown keeps its own reasons behind them."""
    earlier = verdict.reasons if verdict.status == UNKNOWN else ()
    kept = tuple(r for r in earlier if r not in reasons and r != "missing-data")
    likely = verdict.likely if verdict.status == UNKNOWN else None
    return replace(verdict, status=UNKNOWN, basis=None, reasons=(*reasons, *kept), likely=likely)


def short_of(record: PatientRecord, read: Collection[str]) -> tuple[str, ...]:
    """Which of these types, and of the companions that they lead to, are not all that the source has."""
    own = sorted(kind for kind in read if is_short(record.state(kind).state))
    # Companions are not asked for by themselves: until something refers to one they are not missing.
    lost = {
        kind for kind, acquired in record.account.items() if acquired.state in (FAILED, TRUNCATED, REFUSED)
    }
    holders = {kind for kind in read if kind not in _SELDOM or record.of_type(kind)}
    companions = {kind for kind in lost if not COMPANIONS.get(kind, frozenset()).isdisjoint(holders)}
    if _PART in lost and not COMPANIONS[_WHOLE].isdisjoint(holders):
        companions.add(_PART)
    return (*own, *sorted(companions - {*own}))


def _not_offered(record: PatientRecord, read: Collection[str]) -> tuple[str, ...]:
    """Which of these types are not offered, and which companions that their resources refer to."""
    absent = {kind for kind, acquired in record.account.items() if acquired.state == NOT_OFFERED}
    named = {
        kind
        for kind in absent & COMPANIONS.keys()
        for holder in COMPANIONS[kind] & frozenset(read)
        if any(_refers(record.original(resource), kind) for resource in record.of_type(holder))
    }
    return tuple(sorted(absent & frozenset(read) | named))


def _refers(resource: Mapping[str, Any], kind: str) -> bool:
    elements = (value for value in resource.values() if isinstance(value, dict))
    return any(f"{kind}/" in str(element.get("reference", "")) for element in elements)


def allowed_by_data(
    loaded: LoadedTrial, criterion: Criterion, verdict: Verdict, result: Result, record: PatientRecord
) -> Verdict:
    """What the data's completeness leaves of a verdict (clinical-spec §1.2: failures and types not offered)."""
    read = loaded.needs.by_criterion[criterion.id]
    if criterion.lazy:
        read = result.types | frozenset(criterion.reads or ())
    if short := short_of(record, read):
        # What was found all the same hints at the answer; that nothing was found does not.
        likely = verdict.status if verdict.basis in ("explicit", "computed") and verdict.evidence else None
        note = "could not be read completely: " + ", ".join(short)
        return replace(
            _for_want_of(undecided(verdict, "retrieval-failed"), short, note),
            likely=verdict.likely or likely,
        )
    absent = _not_offered(record, read)
    nothing_found = verdict.basis is not None and not verdict.evidence
    if absent and (verdict.basis == "no-evidence" or nothing_found or "missing-data" in verdict.reasons):
        note = "not available electronically here: ask the patient (" + ", ".join(absent) + ")"
        return _for_want_of(undecided(verdict, "not-offered"), absent, note)
    return verdict


def allowed_by_attestations(criterion: Criterion, verdict: Verdict, record: PatientRecord) -> Verdict:
    """Answers that could not be read might have decided what the data leave open.

    A lazy criterion is judged before they are asked for, too: then they are not missing yet.
    """
    state = record.state(ATTESTATIONS).state
    if not is_short(state) or (criterion.lazy and state == PENDING) or not criterion.attestable:
        return verdict
    if verdict.basis in ("explicit", "computed") or ATTESTATIONS in verdict.unobtained:
        return verdict
    note = "attestations could not be read completely"
    return _for_want_of(undecided(verdict, "retrieval-failed"), (ATTESTATIONS,), note)


def _for_want_of(verdict: Verdict, types: tuple[str, ...], note: str) -> Verdict:
    return replace(
        verdict, notes=(*verdict.notes, note), unobtained=tuple(dict.fromkeys((*verdict.unobtained, *types)))
    )


def shortfalls(data: Mapping[str, Acquired], verdicts: Mapping[str, Verdict]) -> tuple[str, ...]:
    """What could not be got, a sentence for each reason: which types, why, how many criteria are open for want of
    them, and what to do.

    `data`: see `account`; `verdicts` by criterion id, each criterion once.
    """
    alike: dict[tuple[str, str | None], list[str]] = {}
    for kind, acquired in data.items():
        if is_short(acquired.state) or any(kind in v.unobtained for v in verdicts.values()):
            alike.setdefault((acquired.state, acquired.reason), []).append(kind)
    return tuple(
        _sentence(state, reason, types, _open_for_want_of(types, verdicts))
        for (state, reason), types in alike.items()
    )


def _open_for_want_of(types: Sequence[str], verdicts: Mapping[str, Verdict]) -> int:
    return sum(v.status == UNKNOWN and not set(types).isdisjoint(v.unobtained) for v in verdicts.values())


def _sentence(state: str, reason: str | None, types: Sequence[str], criteria: int) -> str:
    why = f" ({reason})" if reason else ""
    said = f"{', '.join(types)}: {_SAID.get(state, state)}{why}."
    if not criteria:
        return f"{said} No criterion is open for want of {'it' if len(types) == 1 else 'them'}."
    number = "1 criterion is" if criteria == 1 else f"{criteria} criteria are"
    to_do = advice(state, reason) if state == NOT_OFFERED else remedy(state, reason, types)
    return f"{said} {number} unknown for want of {'it' if len(types) == 1 else 'them'}: {to_do}."
