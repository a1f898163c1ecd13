"""Assessments of the built-in trial with hand-made verdicts, for tests of what is made of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files

from cds_service.eligibility.assessment import Assessment, CriterionResult, overall_status
from cds_service.eligibility.trial import Trial, read_trial
from cds_service.eligibility.verdict import Evidence, Verdict
from cds_service.records.record import Acquired

AS_OF = date(2026, 6, 15)
# Orders that the missing tests of this trial suggest, as `assess` gives them.
WITH_ORDERS = frozenset({"missing-data", "stale-data"})


@cache
def trial() -> Trial:
    return read_trial(files("cds_service") / "trials" / "nct02917681" / "trial.toml")


def confirmed_trial() -> Trial:
    return trial().configured(recruiting_confirmed=date(2026, 5, 1), contact=None, parameters={})


def seen(reference: str, display: str, value: str | None = None, day: str | None = "2026-06-01") -> Evidence:
    return Evidence(reference, display, value, day, "final")


def missing() -> Verdict:
    return Verdict("unknown", reasons=("missing-data",), blocking=True)


def assessment(
    verdicts: Mapping[str, Verdict] | None = None, *, of: Trial | None = None, **changes: object
) -> Assessment:
    """Everything fits and tier C is open, but for these verdicts by criterion id."""
    chosen = of or trial()
    results = []
    for criterion in chosen.criteria:
        verdict = (verdicts or {}).get(criterion.same_as or criterion.id)
        if verdict is None and criterion.tier == "C" and criterion.id != "H3-Gender":
            verdict = Verdict("unknown", reasons=("needs-clinician",), question=criterion.question)
        if verdict is None and criterion.kind == "exclusion":
            verdict = Verdict("not-met", basis="no-evidence")
        if verdict is None:
            verdict = Verdict(
                "met", basis="explicit", evidence=(seen("Observation/o", criterion.label, "1"),)
            )
        if verdict.status == "unknown" and not WITH_ORDERS.isdisjoint(verdict.reasons):
            verdict = replace(verdict, suggestions=tuple(chosen.orders[code] for code in criterion.orders))
        results.append(CriterionResult(criterion, verdict))
    status = overall_status(tuple(results))
    made = Assessment(
        trial=chosen,
        patient="Patient/1",
        as_of=AS_OF,
        status=status,
        card=True,
        criteria=tuple(results),
        data={"Condition": Acquired("complete", 1), "Observation": Acquired("complete", 9)},
        provenance={"engine": "test"},
    )
    return replace(made, **changes)  # type: ignore[arg-type]
