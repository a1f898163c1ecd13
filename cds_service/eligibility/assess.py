"""One trial, one patient, one day: evaluate the defines, judge what the data allow, lay attestations over, sum up.

Error policy: a define that fails at run time makes its own criterion unknown(not-computed) and leaves the others;
the error goes into `Assessment.failures` for the log. A type that could not be got makes what reads it unknown.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from cds_service.eligibility import evidence as shown
from cds_service.eligibility.assessment import (
    NOT_APPLICABLE,
    Assessment,
    CriterionResult,
    overall_status,
)
from cds_service.eligibility.attestation import Answer, Answers, attest, read_answers
from cds_service.eligibility.catalog import LoadedTrial
from cds_service.eligibility.completeness import (
    account,
    allowed_by_attestations,
    allowed_by_data,
    short_of,
    shortfalls,
    undecided,
)
from cds_service.eligibility.explaining import explain_criterion
from cds_service.eligibility.explanation import CriterionExplanation
from cds_service.eligibility.needs import ATTESTATIONS
from cds_service.eligibility.trial import Criterion, Order
from cds_service.eligibility.verdict import MET, NOT_MET, UNKNOWN, Verdict
from cds_service.elm import Date, Result, Session
from cds_service.records.record import PatientRecord

# An unknown for one of these reasons asks for the test; the reflex tests stand for the others.
_WANTS_TEST: Final = frozenset(
    {
        "missing-data", "stale-data", "future-dated", "preliminary-only", "unit-missing", "unit-mismatch",
        "implausible-value", "no-reference-range", "text-only", "partial-date", "not-offered",
    }
)  # fmt: skip

_NOT_GOT: Final = frozenset({"retrieval-failed", "not-offered"})


@dataclass(frozen=True, slots=True)
class Computed:
    """A criterion's verdict with the resources that it rests on."""

    verdict: Verdict
    resources: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Judged:
    """A criterion's final verdict, with what was computed before the data's gaps and the answer were laid over it."""

    verdict: Verdict
    computed: Computed
    answer: Answer | None


def assess(
    loaded: LoadedTrial,
    record: PatientRecord,
    session: Session,
    *,
    as_of: date,
    provenance: Mapping[str, str],
    names: shown.Names,
    explain: Collection[str] = (),
) -> Assessment:
    """The Assessment of one trial for one normalised record.

    `session` is of this record at as_of's noon, at the site's offset, and may be shared by trials; `names` gives words
    to codes that come without any; `explain`: the ids of the criteria whose verdicts are to be explained.
    """
    deceased, warnings = is_deceased(record.patient, as_of)
    if deceased:
        return _not_applicable(loaded, record, as_of, provenance, warnings, explain)
    results = _evaluate(loaded, session, as_of)
    ids = frozenset(c.id for c in loaded.trial.criteria)
    answers = read_answers(record.of_type(ATTESTATIONS), ids, as_of)
    judged: dict[str, Judged] = {}
    failures = tuple(result.error for result in results.values() if result.error is not None)
    for criterion in loaded.trial.criteria:
        if criterion.same_as is None:
            judged[criterion.id] = _judge(loaded, criterion, results, record, answers, as_of, names)
    criteria = tuple(CriterionResult(c, judged[c.same_as or c.id].verdict) for c in loaded.trial.criteria)
    participates = _participates(loaded, results)
    status = overall_status(criteria)
    data = account(loaded, record)
    not_got = shortfalls(data, {criterion_id: each.verdict for criterion_id, each in judged.items()})
    assessment = Assessment(
        trial=loaded.trial,
        patient=record.patient_reference,
        as_of=as_of,
        status=status,
        card=_card_due(judged[loaded.trial.gate].verdict, participates),
        criteria=criteria,
        data=data,
        provenance=provenance,
        warnings=(*record.warnings, *warnings, *answers.warnings, *not_got),
        shortfalls=not_got,
        failures=failures,
        explanations=tuple(
            _explained(loaded, result, judged, results, record, names, as_of)
            for result in criteria
            if result.criterion.id in explain
        ),
    )
    return replace(
        assessment, notes=_notes(assessment, participates, _unread_participation(loaded, results, record))
    )


def gate_open(
    loaded: LoadedTrial,
    record: PatientRecord,
    session: Session,
    *,
    as_of: date,
    names: shown.Names,
) -> bool:
    """Whether the rest of the chart is worth asking for: alive, with evidence of the condition so far."""
    if is_deceased(record.patient, as_of)[0]:
        return False
    gate = loaded.trial.criterion(loaded.trial.gate)
    results = _evaluate(loaded, session, as_of, only=gate)
    judged = _judge(loaded, gate, results, record, Answers({}, ()), as_of, names)
    return _card_due(judged.verdict, False)


def is_deceased(patient: Mapping[str, Any], as_of: date) -> tuple[bool, tuple[str, ...]]:
    """Whether the patient has died by `as_of`, with warnings. A partial date of death counts as death by then."""
    flag, when = patient.get("deceasedBoolean"), patient.get("deceasedDateTime")
    if flag is True or (isinstance(flag, str) and flag.strip().lower() == "true"):
        return True, ()
    if isinstance(when, str) and when:
        first = when[:10] + "-01-01"[len(when[:10]) - 4 :] if len(when) < 10 else when[:10]
        try:
            died = date.fromisoformat(first)
        except ValueError:
            return True, ("The date of death is not readable; the patient is taken as deceased.",)
        if died > as_of:
            return False, ("The date of death lies after the screening day: a data error.",)
        return True, ()
    if flag not in (None, False) or when is not None:
        return False, ("Patient.deceased is not readable.",)
    return False, ()


def _evaluate(
    loaded: LoadedTrial, session: Session, as_of: date, only: Criterion | None = None
) -> dict[str, Result]:
    criteria = loaded.trial.criteria if only is None else (only,)
    defines = [c.define for c in criteria if c.define is not None]
    if only is None and loaded.trial.participation is not None:
        defines.append(loaded.trial.participation)
    parameters = {**loaded.parameters.values, "ScreeningDate": Date(as_of.year, as_of.month, as_of.day)}
    return loaded.library.evaluate(defines, session=session, parameters=parameters)


def _judge(
    loaded: LoadedTrial,
    criterion: Criterion,
    results: Mapping[str, Result],
    record: PatientRecord,
    answers: Answers,
    as_of: date,
    names: shown.Names,
) -> Judged:
    if criterion.define is None:
        computed = Computed(Verdict(UNKNOWN, reasons=("not-computed",)))
        verdict = computed.verdict
    else:
        result = results[criterion.define]
        computed = _computed(criterion, result, record, names, as_of)
        verdict = allowed_by_data(loaded, criterion, computed.verdict, result, record)
    if (answer := answers.latest.get(criterion.id)) is not None:
        verdict = attest(criterion, verdict, answer, shown.newest_day(computed.resources, as_of), as_of)
    verdict = allowed_by_attestations(criterion, verdict, record)
    return Judged(_with_advice(loaded, criterion, verdict), computed, answer)


def _explained(
    loaded: LoadedTrial,
    result: CriterionResult,
    judged: Mapping[str, Judged],
    results: Mapping[str, Result],
    record: PatientRecord,
    names: shown.Names,
    as_of: date,
) -> CriterionExplanation:
    """Why this verdict: out of the trace of the evaluation that made it."""
    source = loaded.trial.criterion(result.criterion.same_as or result.criterion.id)
    verdict = judged[source.id]
    return explain_criterion(
        result,
        verdict.computed.verdict,
        verdict.answer,
        None if source.define is None else results[source.define].explain(),
        verdict.computed.resources,
        record=record,
        names=names,
        as_of=as_of,
        parameters=loaded.parameters,
    )


def _computed(
    criterion: Criterion, result: Result, record: PatientRecord, names: shown.Names, as_of: date
) -> Computed:
    """The define's value as a verdict: a Boolean, or the tuple of ClinicalFacts; anything else failed to run."""
    blocking = criterion.tier == "A"
    if result.error is not None:
        return Computed(_failed(blocking))
    value = result.value
    if value is None:
        return Computed(Verdict(UNKNOWN, reasons=("missing-data",), blocking=blocking))
    if isinstance(value, bool):
        found = shown.present(result.resources, record, names, as_of)
        return Computed(
            Verdict(MET if value else NOT_MET, basis="explicit" if found else "no-evidence", evidence=found),
            result.resources,
        )
    try:
        return _from_tuple(value, blocking, record, names, as_of)
    except (AttributeError, KeyError, TypeError, ValueError):
        return Computed(_failed(blocking))


def _failed(blocking: bool) -> Verdict:
    note = "the computation of this criterion failed; the log says where"
    return Verdict(UNKNOWN, reasons=("not-computed",), notes=(note,), blocking=blocking)


def _from_tuple(
    value: Mapping[str, Any], blocking: bool, record: PatientRecord, names: shown.Names, as_of: date
) -> Computed:
    resources = tuple(r for r in value.get("evidence") or () if r is not None)
    blocks = value.get("blocking")
    verdict = Verdict(
        status=value["status"],
        basis=value.get("basis"),
        reasons=tuple(r for r in value.get("reasons") or () if r is not None),
        likely=value.get("likely"),
        notes=tuple(n for n in value.get("notes") or () if n is not None),
        evidence=shown.present(resources, record, names, as_of),
        blocking=blocking if blocks is None else bool(blocks),
        attestable=value.get("attestable") is not False,
    )
    if verdict.status != UNKNOWN and any(shown.has_unknown_modifier(r) for r in resources):
        note = "a resource carries something that this service cannot read and that may change its meaning"
        verdict = replace(
            undecided(verdict, "ambiguous-code"), likely=verdict.status, notes=(*verdict.notes, note)
        )
    return Computed(verdict, resources)


def _with_advice(loaded: LoadedTrial, criterion: Criterion, verdict: Verdict) -> Verdict:
    """The question to ask and the tests to suggest, where the verdict leaves something to ask."""
    open_question = verdict.status == UNKNOWN or verdict.basis == "no-evidence"
    orders: tuple[Order, ...] = ()
    if verdict.status == UNKNOWN and criterion.orders:
        if not _WANTS_TEST.isdisjoint(verdict.reasons):
            orders = tuple(loaded.trial.orders[code] for code in criterion.orders)
        elif verdict.evidence and not verdict.attestable:
            orders = tuple(loaded.trial.orders[code] for code in criterion.reflex_orders)
    return replace(verdict, question=criterion.question if open_question else None, suggestions=orders)


def _participates(loaded: LoadedTrial, results: Mapping[str, Result]) -> bool:
    define = loaded.trial.participation
    return define is not None and results[define].value is True


def _unread_participation(
    loaded: LoadedTrial, results: Mapping[str, Result], record: PatientRecord
) -> tuple[str, ...]:
    """The types that would tell whether the patient is in this trial already, as far as they are not whole."""
    define = loaded.trial.participation
    return () if define is None else short_of(record, results[define].types)


def _card_due(gate: Verdict, participates: bool) -> bool:
    """No card without evidence of the condition, nor to those who are or were in the trial (clinical-spec §1.2).

    A type that is not offered is data not got, too: else every chart of that server would bear a card.
    """
    if participates or gate.status == NOT_MET:
        return False
    nothing_seen = gate.status == UNKNOWN and not gate.evidence
    return not (nothing_seen and not _NOT_GOT.isdisjoint(gate.reasons))


def _notes(assessment: Assessment, participates: bool, unread: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    if participates:
        notes.append("already in, or through, this trial")
    elif unread:
        notes.append(
            f"not known whether already in, or through, this trial: {', '.join(unread)} not read completely"
        )
    if assessment.excluded_by_boundary_only:
        notes.append("excluded unless the PI rules otherwise")
    if not assessment.card and not participates:
        notes.append("no card is due: no evidence of the trial's condition")
    if any("not-computed" in r.verdict.reasons for r in assessment.criteria):
        notes.append("some criteria could not be computed: see their rows")
    return tuple(notes)


def _not_applicable(
    loaded: LoadedTrial,
    record: PatientRecord,
    as_of: date,
    provenance: Mapping[str, str],
    warnings: tuple[str, ...],
    explain: Collection[str],
) -> Assessment:
    verdict = Verdict(UNKNOWN, reasons=("not-computed",), notes=("not evaluated: the patient is deceased",))
    criteria = tuple(CriterionResult(c, verdict) for c in loaded.trial.criteria)
    return Assessment(
        trial=loaded.trial,
        patient=record.patient_reference,
        as_of=as_of,
        status=NOT_APPLICABLE,
        card=False,
        criteria=criteria,
        data=account(loaded, record),
        provenance=provenance,
        notes=("the patient is deceased: no further evaluation",),
        warnings=(*record.warnings, *warnings),
        explanations=tuple(CriterionExplanation(c) for c in criteria if c.criterion.id in explain),
    )
