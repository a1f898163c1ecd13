"""What is said of one criterion: met, not met or unknown, with its basis, reasons and evidence (clinical-spec §1.1).

Errors: building a verdict of unknown words raises ValueError at once; a define never invents its own vocabulary.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from cds_service.eligibility.trial import Order

MET: Final = "met"
NOT_MET: Final = "not-met"
UNKNOWN: Final = "unknown"
STATUSES: Final = frozenset({MET, NOT_MET, UNKNOWN})
BASES: Final = frozenset({"explicit", "no-evidence", "attested", "computed"})
REASONS: Final = frozenset(
    {
        "missing-data",
        "stale-data",
        "future-dated",
        "preliminary-only",
        "unit-missing",
        "unit-mismatch",
        "implausible-value",
        "no-reference-range",
        "ambiguous-code",
        "text-only",
        "unverified-condition",
        "conflicting-data",
        "needs-clinician",
        "partial-date",
        "retrieval-failed",
        "not-offered",
        "boundary",
        "not-computed",
    }
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One resource that a verdict rests on, as a reader sees it. `value` and `date` are display strings or None."""

    reference: str
    display: str
    value: str | None
    date: str | None
    status: str | None

    def to_json(self) -> dict[str, Any]:
        return {
            "reference": self.reference,
            "display": self.display,
            "value": self.value,
            "date": self.date,
            "status": self.status,
        }


@dataclass(frozen=True, slots=True)
class Verdict:
    """The verdict on one criterion. `basis` is None exactly when the status is unknown.

    `blocking`: whether an unknown keeps the overall status from being positive (tier A, unless the CQL says otherwise).
    `attestable`: whether a coordinator's answer may resolve it (clinical-spec §1.3, last bullet).
    `unobtained`: the resource types for want of which it is unknown(retrieval-failed) or unknown(not-offered).
    """

    status: str
    basis: str | None = None
    reasons: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    likely: str | None = None
    question: str | None = None
    notes: tuple[str, ...] = ()
    suggestions: tuple[Order, ...] = ()
    blocking: bool = False
    attestable: bool = True
    unobtained: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.status not in STATUSES:
            raise ValueError(f"status {self.status!r} is none of {sorted(STATUSES)}")
        if (self.basis is None) != (self.status == UNKNOWN):
            raise ValueError(f"basis {self.basis!r} does not go with status {self.status!r}")
        if self.basis is not None and self.basis not in BASES:
            raise ValueError(f"basis {self.basis!r} is none of {sorted(BASES)}")
        if unknown := set(self.reasons) - REASONS:
            raise ValueError(f"reasons {sorted(unknown)} are not of clinical-spec §1.1")
        if self.likely not in (None, MET, NOT_MET):
            raise ValueError(f"likely {self.likely!r} is neither met nor not-met")
