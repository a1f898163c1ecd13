"""All verdicts of one trial for one patient at one day, and what follows from them (clinical-spec §1.2).

Pure data: built by `assess`, shown by the card, the page, the text and the JSON of design §5, which `to_json` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from cds_service.eligibility.explanation import CriterionExplanation
from cds_service.eligibility.trial import Criterion, Trial
from cds_service.eligibility.verdict import MET, NOT_MET, UNKNOWN, Verdict
from cds_service.errors import EvaluationError
from cds_service.records.record import Acquired

NOT_APPLICABLE: Final = "not-applicable"
EXCLUDED: Final = "excluded"
ELIGIBLE: Final = "eligible-pending-review"
STATUSES: Final = (NOT_APPLICABLE, EXCLUDED, UNKNOWN, ELIGIBLE)
# These reasons keep the overall status from being positive in any tier (clinical-spec §1.2).
BLOCKING_REASONS: Final = frozenset({"retrieval-failed", "not-computed"})


@dataclass(frozen=True, slots=True)
class CriterionResult:
    """One criterion with its verdict."""

    criterion: Criterion
    verdict: Verdict

    @property
    def excludes(self) -> bool:
        """Whether this verdict excludes the patient: a failed inclusion, or an exclusion that is present."""
        return self.verdict.status == (MET if self.criterion.kind == "exclusion" else NOT_MET)

    @property
    def blocks(self) -> bool:
        """Whether this verdict keeps the overall status from being positive without excluding."""
        verdict = self.verdict
        if verdict.status != UNKNOWN:
            return False
        return verdict.blocking or not BLOCKING_REASONS.isdisjoint(verdict.reasons)

    def to_json(self) -> dict[str, Any]:
        criterion, verdict = self.criterion, self.verdict
        return {
            "id": criterion.id,
            "kind": criterion.kind,
            "tier": criterion.tier,
            "group": criterion.group,
            "text": criterion.text,
            "status": verdict.status,
            "basis": verdict.basis,
            "reasons": list(verdict.reasons),
            "likely": verdict.likely,
            "question": verdict.question,
            "notes": list(verdict.notes),
            "evidence": [item.to_json() for item in verdict.evidence],
            "suggestions": [
                {"code": order.code, "system": order.system, "display": order.display}
                for order in verdict.suggestions
            ],
        }


@dataclass(frozen=True, slots=True)
class Assessment:
    """One trial, one patient, one day. `card` says whether a card is due at all (design §6, "No noise").

    `failures`: defines that failed at run time, for the log; their criteria are unknown(not-computed).
    `explanations`: of the criteria for which one was asked. `shortfalls`: those of the warnings that say what could not
    be got.
    """

    trial: Trial
    patient: str
    as_of: date
    status: str
    card: bool
    criteria: tuple[CriterionResult, ...]
    data: Mapping[str, Acquired]
    provenance: Mapping[str, str]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    failures: tuple[EvaluationError, ...] = ()
    explanations: tuple[CriterionExplanation, ...] = ()
    shortfalls: tuple[str, ...] = ()

    @property
    def exclusions(self) -> tuple[CriterionResult, ...]:
        return tuple(result for result in self.criteria if result.excludes)

    @property
    def excluded_by_boundary_only(self) -> bool:
        """Excluded by nothing but readings that the principal investigator has yet to decide (clinical-spec §1.2)."""
        exclusions = self.exclusions
        return bool(exclusions) and all("boundary" in r.verdict.reasons for r in exclusions)

    def counts(self) -> dict[str, int]:
        """How many criteria are met, not-met, unknown; the repeated headline age counts once with its twin."""
        results = [r for r in self.criteria if r.criterion.same_as is None]
        return {s: sum(r.verdict.status == s for r in results) for s in (MET, NOT_MET, UNKNOWN)}

    def to_json(self) -> dict[str, Any]:
        """The JSON of design §5; `explanations` only where some were asked for."""
        return {
            "trial": {"id": self.trial.id, "version": self.trial.version, "title": self.trial.title},
            "patient": self.patient,
            "asOf": self.as_of.isoformat(),
            "status": self.status,
            "card": self.card,
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "criteria": [result.to_json() for result in self.criteria],
            "data": {kind: _account(acquired) for kind, acquired in sorted(self.data.items())},
            "provenance": dict(self.provenance),
            **({"explanations": [each.to_json() for each in self.explanations]} if self.explanations else {}),
        }


def overall_status(results: tuple[CriterionResult, ...]) -> str:
    """The overall status of a living patient; every criterion counts, and unknown is never turned into no."""
    if any(result.excludes for result in results):
        return EXCLUDED
    if any(result.blocks for result in results):
        return UNKNOWN
    return ELIGIBLE


def _account(acquired: Acquired) -> dict[str, Any]:
    account: dict[str, Any] = {"state": acquired.state}
    if acquired.reason is not None:
        account["reason"] = acquired.reason
    account["count"] = acquired.count
    return account
