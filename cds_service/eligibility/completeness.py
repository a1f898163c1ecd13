"""What the completeness of the data leaves of a verdict (clinical-spec §1.2, §2.1).

A type that could not be got makes what reads it unknown(retrieval-failed); one that the server does not
offer makes what finds nothing else unknown(not-offered). Pure functions; nothing here raises.
"""

from __future__ import annotations

from dataclasses import replace

from cds_service.eligibility.catalog import LoadedTrial
from cds_service.eligibility.needs import ATTESTATIONS, COMPANIONS
from cds_service.eligibility.trial import Criterion
from cds_service.eligibility.verdict import UNKNOWN, Verdict
from cds_service.elm import Result
from cds_service.records.record import (
    COMPLETE,
    FAILED,
    NOT_OFFERED,
    REFUSED,
    TRUNCATED,
    Acquired,
    PatientRecord,
)


def account(loaded: LoadedTrial, record: PatientRecord) -> dict[str, Acquired]:
    """How each resource type that the trial reads was obtained, with whatever else the record accounts for."""
    return {kind: record.state(kind) for kind in sorted(loaded.needs.all | set(record.account))}


def undecided(verdict: Verdict, *reasons: str) -> Verdict:
    """The verdict as unknown, for these reasons first; an unknown keeps its own reasons behind them."""
    earlier = verdict.reasons if verdict.status == UNKNOWN else ()
    kept = tuple(r for r in earlier if r not in reasons and r != "missing-data")
    likely = verdict.likely if verdict.status == UNKNOWN else None
    return replace(verdict, status=UNKNOWN, basis=None, reasons=(*reasons, *kept), likely=likely)


def allowed_by_data(
    loaded: LoadedTrial, criterion: Criterion, verdict: Verdict, result: Result, record: PatientRecord
) -> Verdict:
    """What the data's completeness leaves of a verdict (clinical-spec §1.2: failures and types not offered)."""
    read = loaded.needs.by_criterion[criterion.id]
    if criterion.lazy:
        read = result.types | frozenset(criterion.reads or ())
    states = {kind: record.state(kind) for kind in read}
    failed = sorted(k for k, s in states.items() if s.state not in (COMPLETE, NOT_OFFERED))
    failed += sorted(
        kind
        for kind, holders in COMPANIONS.items()
        if not holders.isdisjoint(read) and record.state(kind).state in (FAILED, TRUNCATED, REFUSED)
    )
    if failed:
        likely = verdict.status if verdict.basis in ("explicit", "computed") else None
        note = "could not be read completely: " + ", ".join(failed)
        open_ = undecided(verdict, "retrieval-failed")
        return replace(open_, likely=open_.likely or likely, notes=(*verdict.notes, note))
    absent = sorted(k for k, s in states.items() if s.state == NOT_OFFERED)
    nothing_found = verdict.basis is not None and not verdict.evidence
    if absent and (verdict.basis == "no-evidence" or nothing_found or "missing-data" in verdict.reasons):
        note = "not available electronically here: ask the patient (" + ", ".join(absent) + ")"
        return replace(undecided(verdict, "not-offered"), notes=(*verdict.notes, note))
    return verdict


def allowed_by_attestations(criterion: Criterion, verdict: Verdict, record: PatientRecord) -> Verdict:
    """Answers that could not be read might have decided what the data leave open."""
    state = record.state(ATTESTATIONS).state
    if state in (COMPLETE, NOT_OFFERED) or criterion.lazy or not criterion.attestable:
        return verdict
    if verdict.basis in ("explicit", "computed"):
        return verdict
    note = "attestations could not be read completely"
    return replace(undecided(verdict, "retrieval-failed"), notes=(*verdict.notes, note))


def retrieval_warnings(loaded: LoadedTrial, record: PatientRecord) -> tuple[str, ...]:
    warnings = []
    for kind, acquired in account(loaded, record).items():
        if acquired.state not in (COMPLETE, NOT_OFFERED):
            why = f" ({acquired.reason})" if acquired.reason else ""
            warnings.append(
                f"{kind}: {acquired.state}{why}. What needs it is unknown: try again, or check by hand."
            )
    return tuple(warnings)
