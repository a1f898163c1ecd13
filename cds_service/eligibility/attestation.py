"""A coordinator's answers: read from QuestionnaireResponses and laid over the computed verdicts (clinical-spec §1.3).

Error policy: an answer that is not of the agreed shape is no attestation; it makes its criterion
unknown(ambiguous-code) unless the computed value is explicit, and leaves a warning. Nothing here raises.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Final

from cds_service.eligibility.evidence import has_unknown_modifier, last_day
from cds_service.eligibility.questionnaire import ANSWER_DISPLAYS, ANSWERS, QUESTIONNAIRE
from cds_service.eligibility.trial import Criterion
from cds_service.eligibility.verdict import MET, NOT_MET, UNKNOWN, Evidence, Verdict
from cds_service.records.observations import UNFINISHED

_AUTHORS: Final = ("Practitioner", "PractitionerRole")
# No answer resolves an unknown for these reasons: they need the data.
_UNRESOLVABLE: Final = frozenset({"conflicting-data", "retrieval-failed"})


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer for one criterion. `code` is yes, no, unsure, or None when it is no attestation."""

    criterion: str
    code: str | None
    day: date
    order: tuple[str, str]
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Answers:
    """The answer that counts for each criterion, and warnings without patient data."""

    latest: Mapping[str, Answer]
    warnings: tuple[str, ...]


def read_answers(responses: Iterable[Any], criterion_ids: frozenset[str], as_of: date) -> Answers:
    """The latest answer by `as_of` for each criterion, from this trial's attestation responses.

    A response of another questionnaire, or one that is not finished, is passed over; one dated after `as_of` or undated
    counts for nothing.
    """
    latest: dict[str, Answer] = {}
    warnings: set[str] = set()
    for response in responses:
        if not isinstance(response, Mapping) or not _ours(response):
            continue
        day = last_day(response.get("authored")) if isinstance(response.get("authored"), str) else None
        if day is None or len(response["authored"]) < 10:
            warnings.add("An attestation without a full date was not used.")
            continue
        if day > as_of:
            warnings.add("An attestation dated after the screening day was not used (future-dated).")
            continue
        for answer in _answers(response, criterion_ids, day):
            if answer.code is None:
                warnings.add(
                    f"An answer for {answer.criterion} is no attestation: its shape, status or author is another."
                )
            known = latest.get(answer.criterion)
            if known is not None and answer.order == known.order and answer.code != known.code:
                warnings.add(f"Answers for {answer.criterion} contradict each other: none of them was used.")
                latest[answer.criterion] = replace(answer, code=None)
            elif known is None or answer.order >= known.order:
                latest[answer.criterion] = answer
    return Answers(latest, tuple(sorted(warnings)))


def attest(
    criterion: Criterion, verdict: Verdict, answer: Answer, newest_evidence: date | None, as_of: date
) -> Verdict:
    """The verdict after the coordinator's answer, if that may count."""
    if not criterion.attestable:
        return verdict
    firm = verdict.basis in ("explicit", "computed")
    if answer.code is None:
        return verdict if firm else _unknown(verdict, "ambiguous-code", answer)
    expired = (
        criterion.attestation_days is not None and (as_of - answer.day).days > criterion.attestation_days
    )
    if expired or (newest_evidence is not None and newest_evidence > answer.day):
        if firm:
            return verdict
        note = (
            "the attestation has expired" if expired else "the attestation is older than the newest evidence"
        )
        return replace(verdict, reasons=_reasons("stale-data", verdict.reasons), notes=(*verdict.notes, note))
    if answer.code == "unsure":
        return verdict if firm else _unknown(verdict, "needs-clinician", answer)
    return _resolved(verdict, MET if answer.code == "yes" else NOT_MET, answer)


def _resolved(verdict: Verdict, status: str, answer: Answer) -> Verdict:
    if verdict.status == UNKNOWN:
        if not verdict.attestable or not _UNRESOLVABLE.isdisjoint(verdict.reasons):
            note = "an attestation does not resolve this: it needs the data"
            return replace(verdict, notes=(*verdict.notes, note))
    elif verdict.basis in ("explicit", "computed"):
        if verdict.status == status:
            return replace(verdict, evidence=(*verdict.evidence, answer.evidence))
        return _unknown(verdict, "conflicting-data", answer)
    return replace(
        verdict,
        status=status,
        basis="attested",
        reasons=(),
        likely=None,
        evidence=(*verdict.evidence, answer.evidence),
    )


def _unknown(verdict: Verdict, reason: str, answer: Answer) -> Verdict:
    # Reasons of a verdict that stands no longer go; those of an unknown stay beside the new one.
    earlier = verdict.reasons if verdict.status == UNKNOWN else ()
    return replace(
        verdict,
        status=UNKNOWN,
        basis=None,
        reasons=_reasons(reason, earlier),
        evidence=(*verdict.evidence, answer.evidence),
    )


def _reasons(first: str, others: tuple[str, ...]) -> tuple[str, ...]:
    return (first, *(reason for reason in others if reason != first))


def _ours(response: Mapping[str, Any]) -> bool:
    canonical = response.get("questionnaire")
    return (
        isinstance(canonical, str)
        and canonical.split("|")[0] == QUESTIONNAIRE
        and response.get("status") not in UNFINISHED
    )


def _answers(response: Mapping[str, Any], criterion_ids: frozenset[str], day: date) -> Iterator[Answer]:
    meta = response.get("meta")
    updated = meta.get("lastUpdated") if isinstance(meta, Mapping) else None
    order = (response["authored"], updated if isinstance(updated, str) else "")
    finished = response.get("status") in ("completed", "amended")
    readable = finished and _by_professional(response) and not has_unknown_modifier(response)
    for item in _items(response, 0):
        criterion = item.get("linkId")
        if not isinstance(criterion, str) or criterion not in criterion_ids or not item.get("answer"):
            continue
        code = _code(item["answer"]) if readable else None
        evidence = Evidence(
            reference=f"QuestionnaireResponse/{response.get('id') or 'unnamed'}",
            display="Attestation",
            value=ANSWER_DISPLAYS.get(code or "", "not readable as an attestation"),
            date=day.isoformat(),
            status=str(response.get("status")),
        )
        yield Answer(criterion, code, day, order, evidence)


def _items(node: Mapping[str, Any], depth: int) -> Iterator[Mapping[str, Any]]:
    items = node.get("item")
    if depth > 20 or not isinstance(items, (list, tuple)):
        return
    for item in items:
        if not isinstance(item, Mapping):
            continue
        yield item
        yield from _items(item, depth + 1)
        answers = item.get("answer")
        for answer in answers if isinstance(answers, (list, tuple)) else ():
            if isinstance(answer, Mapping):
                yield from _items(answer, depth + 1)


def _code(answers: Any) -> str | None:
    if not isinstance(answers, (list, tuple)) or len(answers) != 1 or not isinstance(answers[0], Mapping):
        return None
    coding = answers[0].get("valueCoding")
    if not isinstance(coding, Mapping) or coding.get("system") != ANSWERS:
        return None
    code = coding.get("code")
    return code if isinstance(code, str) and code in ANSWER_DISPLAYS else None


def _by_professional(response: Mapping[str, Any]) -> bool:
    author = response.get("author")
    if not isinstance(author, Mapping):
        return False
    if author.get("type") in _AUTHORS:
        return True
    reference = author.get("reference")
    if not isinstance(reference, str):
        return False
    if reference.startswith("#"):
        contained = response.get("contained")
        return any(
            isinstance(c, Mapping) and c.get("id") == reference[1:] and c.get("resourceType") in _AUTHORS
            for c in (contained if isinstance(contained, (list, tuple)) else ())
        )
    parts = reference.split("/_history/")[0].rsplit("/", 2)
    return len(parts) >= 2 and parts[-2] in _AUTHORS
