"""The readable values of an explanation in one line each, for a clinician. Pure; whatever comes has words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from cds_service.eligibility.verdict import Evidence
from cds_service.rendering import words

LISTED: Final = 2
_DAY: Final = len("2026-06-15")
# What a Reading of ClinicalFacts says of its Observation beside the Observation itself.
_OF_A_READING: Final = frozenset({"at", "low", "high"})


def value_words(value: Any, kind: str, *, boolean: bool = False, listed: int | None = LISTED) -> str:
    """`kind`: the criterion's (an exclusion that is met is present); `boolean`: whether null means that it is unknown;
    `listed`: how many elements of a list are spelt out, None for all, 0: of a verdict not even its evidence."""
    if value is None:
        return "unknown" if boolean else "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Evidence):
        return evidence_words(value)
    if isinstance(value, Mapping):
        return _mapping(value, kind, listed)
    if isinstance(value, (list, tuple)):
        return _list(value, kind, listed)
    return str(value)


def evidence_words(evidence: Evidence) -> str:
    """`ALSFRS-R total: 28 {score}, 2026-06-01`."""
    subject = ": ".join(part for part in (evidence.display, evidence.value) if part)
    return ", ".join(part for part in (subject, evidence.date) if part)


def nothing(value: Any) -> bool:
    """Whether a value says that there is nothing: null, false, an empty list."""
    return value is None or value is False or value in ([], {})


def _list(value: Sequence[Any], kind: str, listed: int | None) -> str:
    if not value:
        return "none"
    texts = list(dict.fromkeys(value_words(item, kind, listed=listed) for item in value))
    shown = texts if listed is None or len(texts) <= listed + 1 else texts[:listed]
    more = len(texts) - len(shown)
    return "; ".join(shown) + (f"; and {more} more" if more else "")


def _mapping(value: Mapping[str, Any], kind: str, listed: int | None) -> str:
    if isinstance(value.get("status"), str) and "evidence" in value:
        return _finding(value, kind, listed)
    parts = {name: part for name, part in value.items() if not nothing(part) and part != ""}
    resources = [name for name, part in parts.items() if isinstance(part, Evidence)]
    if len(resources) != 1:
        return (
            ", ".join(f"{name} {value_words(part, kind, listed=listed)}" for name, part in parts.items())
            or "none"
        )
    evidence = parts.pop(resources[0])
    if parts.keys() & _OF_A_READING and evidence.date:
        parts = {name: part for name, part in parts.items() if str(part)[:_DAY] != evidence.date}
    told = [f"{name} {_reason(value_words(part, kind, listed=listed))}" for name, part in parts.items()]
    return evidence_words(evidence) + (f" ({', '.join(told)})" if told else "")


def _finding(value: Mapping[str, Any], kind: str, listed: int | None) -> str:
    """A verdict or one finding: what it says, why, and on what."""
    status, basis = str(value["status"]), value.get("basis")
    reasons = value.get("reasons") or [value.get("reason")]
    notes = value.get("notes") or [value.get("note")]
    why = [words.word_for(words.BASIS, basis)] if isinstance(basis, str) and basis != "no-evidence" else []
    why += [words.word_for(words.REASON, reason) for reason in reasons if isinstance(reason, str)]
    if isinstance(likely := value.get("likely"), str):
        why.append(words.likely_word(kind, likely))
    why += [note for note in notes if isinstance(note, str)]
    said = words.verdict_word(kind, status, basis).partition(":")[0].lower()
    text = f"{said} ({'; '.join(why)})" if why else said
    evidence = value.get("evidence") or []
    named = isinstance(evidence, list) and evidence and listed != 0
    return f"{text}: {_list(evidence, kind, listed)}" if named else text


def _reason(text: str) -> str:
    return words.word_for(words.REASON, text)
