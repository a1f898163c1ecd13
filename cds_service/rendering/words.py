"""The words for every status, verdict, reason and data state: one table for text, page and cards.

Data only. A code without a word here is shown as it is (`word_for`), so that a new one is never hidden.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

STATUS: Final[Mapping[str, str]] = {
    "eligible-pending-review": "May be eligible, pending review",
    "unknown": "Not decided: information is missing",
    "excluded": "Not eligible",
    "not-applicable": "Not applicable",
}

STATUS_MEANING: Final[Mapping[str, str]] = {
    "eligible-pending-review": "Nothing in the record excludes the patient. People decide what remains open.",
    "unknown": "At least one deciding criterion can't be answered from the record as it was obtained.",
    "excluded": "At least one criterion rules the patient out. All such criteria are listed.",
    "not-applicable": "The patient is recorded as deceased; nothing was evaluated.",
}

KIND: Final[Mapping[str, str]] = {
    "headline": "Headline criteria",
    "inclusion": "Inclusion criteria",
    "exclusion": "Exclusion criteria",
}

# An exclusion that is "met" speaks against the patient, so the bare code would mislead a reader.
INCLUSION_VERDICT: Final[Mapping[str, str]] = {"met": "Met", "not-met": "Not met", "unknown": "Unknown"}
EXCLUSION_VERDICT: Final[Mapping[str, str]] = {
    "met": "Present: excludes",
    "not-met": "Not present",
    "unknown": "Unknown",
}
NO_EVIDENCE: Final = "No record found"

BASIS: Final[Mapping[str, str]] = {
    "explicit": "recorded",
    "computed": "computed from the record",
    "attested": "answered by the study team",
    "no-evidence": "confirm with the patient",
}

REASON: Final[Mapping[str, str]] = {
    "missing-data": "no result on record",
    "stale-data": "the latest result is too old",
    "future-dated": "dated in the future",
    "preliminary-only": "only a preliminary result",
    "unit-missing": "the result has no unit",
    "unit-mismatch": "the unit does not fit the result",
    "implausible-value": "the value is not plausible",
    "no-reference-range": "no usable reference range",
    "ambiguous-code": "the code leaves it open",
    "text-only": "only free text, no code",
    "unverified-condition": "the diagnosis is not confirmed",
    "conflicting-data": "the record contradicts itself",
    "needs-clinician": "a clinician has to judge",
    "partial-date": "a date is incomplete",
    "retrieval-failed": "not all data could be fetched",
    "not-offered": "not available electronically here: ask the patient",
    "boundary": "depends on a decision of the principal investigator",
    "not-computed": "not computed",
}

LIKELY: Final[Mapping[str, str]] = {"met": "likely met", "not-met": "likely not met"}
EXCLUSION_LIKELY: Final[Mapping[str, str]] = {"met": "likely present", "not-met": "likely not present"}

DATA_STATE: Final[Mapping[str, str]] = {
    "complete": "complete",
    "failed": "could not be fetched",
    "truncated": "incomplete: more exists than was sent",
    "not-offered": "not offered by this server",
    "refused": "access refused",
    "pending": "not asked for: not needed so far",
}

PROVENANCE: Final[Mapping[str, str]] = {
    "cql": "Logic (CQL)",
    "elm": "Compiled logic (ELM)",
    "valueSets": "Value sets",
    "conceptMaps": "The site's own code maps",
    "engine": "Engine",
    "parameters": "Set by the site",
}

QUESTIONS: Final = "Questions for the study coordinator"
QUESTIONS_OPEN: Final = "Not answered by the record"
QUESTIONS_CONFIRM: Final = "No record found: confirm with the patient"
MISSING: Final = "Missing data"
MISSING_ORDERS: Final = "Tests are draft orders to prepare, only after research consent."

DISCLAIMER: Final = (
    "Pre-screening aid on routine data. It does not determine eligibility: the study team does, "
    "with the patient and the source documents."
)


def word_for(table: Mapping[str, str], code: str) -> str:
    """The word for a code, or the code itself where the table has none."""
    return table.get(code, code)


def verdict_word(kind: str, status: str, basis: str | None) -> str:
    """The verdict on one row as people read it; `kind` is headline, inclusion or exclusion."""
    if kind != "exclusion":
        return word_for(INCLUSION_VERDICT, status)
    if status == "not-met" and basis == "no-evidence":
        return NO_EVIDENCE
    return word_for(EXCLUSION_VERDICT, status)


def likely_word(kind: str, likely: str) -> str:
    """The hint that goes with an unknown."""
    return word_for(EXCLUSION_LIKELY if kind == "exclusion" else LIKELY, likely)
