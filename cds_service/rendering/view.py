"""One assessment arranged for reading: the protocol's 3 + 8 + 16 rows, composite rows with their parts.

Input is the Assessment's JSON form (`Assessment.to_json()`, also what `/assessments` answers), so one view
serves the command line, the printout and a page that holds only the JSON. Raises InputError on JSON of
another shape.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from cds_service.errors import InputError
from cds_service.rendering import words
from cds_service.rendering.trial_words import NO_WORDS, TrialWords

# Reasons that say that something is not on record, or not in a state in which it can be used.
_MISSING: Final = frozenset(
    {"missing-data", "stale-data", "preliminary-only", "not-offered", "retrieval-failed"}
)

KINDS: Final = ("headline", "inclusion", "exclusion")
PASS, FAIL, OPEN = "pass", "fail", "open"


@dataclass(frozen=True, slots=True)
class EvidenceLine:
    """One resource a verdict rests on; display strings, empty where the record says nothing."""

    display: str
    value: str
    date: str
    status: str
    reference: str


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the protocol, or one part of a composite row. `outcome`: pass, fail or open.

    `missing`: what it needs is not on record, or not usable.
    """

    id: str
    kind: str
    tier: str
    text: str
    verdict: str
    outcome: str
    why: str
    likely: str
    evidence: tuple[EvidenceLine, ...] = ()
    notes: tuple[str, ...] = ()
    question: str = ""
    suggestions: tuple[str, ...] = ()
    parts: tuple[Row, ...] = ()
    repeats: bool = False
    missing: bool = False

    @property
    def short_id(self) -> str:
        """`EX08a` of `EX08a-HepatitisB`."""
        return self.id.partition("-")[0]


@dataclass(frozen=True, slots=True)
class Section:
    """The rows of one kind, in the protocol's order."""

    kind: str
    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """One question to ask, and the row that it answers. `confirm`: nothing was found, the patient is to confirm it."""

    row: str
    text: str
    confirm: bool


@dataclass(frozen=True, slots=True)
class DataLine:
    """How one resource type was obtained."""

    resource_type: str
    state: str
    words: str
    count: int
    reason: str

    def state_text(self) -> str:
        """`could not be fetched (timeout)`."""
        return f"{self.words} ({self.reason})" if self.reason else self.words


@dataclass(frozen=True, slots=True)
class View:
    """All that a rendering shows of one assessment."""

    trial_id: str
    nct: str
    trial_version: str
    trial_title: str
    patient: str
    as_of: str
    status: str
    status_words: str
    status_meaning: str
    card: bool
    notes: tuple[str, ...]
    warnings: tuple[str, ...]
    sections: tuple[Section, ...]
    data: tuple[DataLine, ...]
    provenance: tuple[tuple[str, str], ...]
    registry: str = ""
    parameters: tuple[tuple[str, str], ...] = ()

    def criteria(self) -> Iterable[Row]:
        """Every single criterion, parts instead of their composite row."""
        for section in self.sections:
            for row in section.rows:
                yield from row.parts or (row,)

    def against(self) -> list[Row]:
        """The criteria that rule the patient out, each once (the headline age repeats an inclusion)."""
        return [row for row in self.criteria() if row.outcome == FAIL and not row.repeats]

    def open_rows(self) -> list[Row]:
        """The criteria nobody can answer from the record yet."""
        return [row for row in self.criteria() if row.outcome == OPEN and not row.repeats]

    def questions(self) -> list[Question]:
        """What to ask: of open rows first, those that block a decision before the others; then what to confirm.

        A question that several rows share (that of the infections) says what it is about.
        """
        asked = [row for row in self.criteria() if row.question and not row.repeats]
        asked.sort(key=lambda row: (row.outcome != OPEN, row.tier != "A"))
        shared = Counter(row.question for row in asked)
        return [
            Question(
                row.short_id,
                f"{row.text}: {row.question}" if shared[row.question] > 1 else row.question,
                row.outcome != OPEN,
            )
            for row in asked
        ]

    def missing(self) -> list[Row]:
        """The open criteria that lack data, with the tests that may be ordered for them."""
        return [row for row in self.open_rows() if row.missing or row.suggestions]

    def counts(self) -> dict[str, int]:
        """How many of the protocol's rows pass, fail and stay open."""
        outcomes = [row.outcome for section in self.sections for row in section.rows]
        return {outcome: outcomes.count(outcome) for outcome in (PASS, FAIL, OPEN)}


def view_of(assessment: Mapping[str, Any], trial_words: TrialWords = NO_WORDS) -> View:
    """Arrange one assessment's JSON, in the trial's own words where they are at hand."""
    try:
        return _view(assessment, trial_words)
    except (KeyError, TypeError, AttributeError, ValueError) as problem:
        raise InputError("This is no assessment: it lacks what an assessment always holds.") from problem


def _view(assessment: Mapping[str, Any], trial_words: TrialWords) -> View:
    trial = assessment["trial"]
    status = str(assessment["status"])
    return View(
        trial_id=str(trial["id"]),
        nct=trial_words.nct,
        trial_version=str(trial.get("version") or ""),
        trial_title=str(trial.get("title") or trial["id"]),
        patient=str(assessment["patient"]),
        as_of=str(assessment["asOf"]),
        status=status,
        status_words=words.word_for(words.STATUS, status),
        status_meaning=words.STATUS_MEANING.get(status, ""),
        card=bool(assessment.get("card")),
        notes=_strings(assessment.get("notes")),
        warnings=_warnings(assessment, trial_words),
        sections=_sections(assessment["criteria"], trial_words),
        data=tuple(_data_line(name, entry) for name, entry in (assessment.get("data") or {}).items()),
        provenance=tuple((str(k), str(v)) for k, v in (assessment.get("provenance") or {}).items()),
        registry=trial_words.registry,
        parameters=trial_words.parameters,
    )


def _warnings(assessment: Mapping[str, Any], trial_words: TrialWords) -> tuple[str, ...]:
    first = (trial_words.registry_warning,) if trial_words.registry_warning else ()
    return (*first, *_strings(assessment.get("warnings")))


def _sections(criteria: Sequence[Mapping[str, Any]], trial_words: TrialWords) -> tuple[Section, ...]:
    grouped: dict[str, dict[str, list[Row]]] = {kind: {} for kind in KINDS}
    for criterion in criteria:
        kind = str(criterion["kind"])
        if kind not in grouped:
            raise ValueError(f"kind {kind!r}")
        grouped[kind].setdefault(str(criterion["group"]), []).append(row_of(criterion, trial_words))
    return tuple(
        Section(kind, words.KIND[kind], tuple(_merge(g, rows, trial_words) for g, rows in groups.items()))
        for kind, groups in grouped.items()
        if groups
    )


def row_of(criterion: Mapping[str, Any], trial_words: TrialWords = NO_WORDS) -> Row:
    """One criterion's JSON arranged for reading."""
    kind, status = str(criterion["kind"]), str(criterion["status"])
    basis = criterion.get("basis")
    codes = _strings(criterion.get("reasons"))
    reasons = [words.word_for(words.REASON, reason) for reason in codes]
    why = reasons or ([words.word_for(words.BASIS, str(basis))] if basis else [])
    likely = criterion.get("likely")
    return Row(
        id=str(criterion["id"]),
        kind=kind,
        tier=str(criterion.get("tier") or ""),
        text=str(criterion["text"]),
        verdict=words.verdict_word(kind, status, basis),
        outcome=outcome_of(kind, status),
        why="; ".join(why),
        likely=words.likely_word(kind, str(likely)) if likely else "",
        evidence=tuple(_evidence(entry) for entry in criterion.get("evidence") or ()),
        notes=_strings(criterion.get("notes")),
        question=str(criterion.get("question") or ""),
        suggestions=tuple(_order(order) for order in criterion.get("suggestions") or ()),
        repeats=str(criterion["id"]) in trial_words.repeats,
        missing=not _MISSING.isdisjoint(codes),
    )


def outcome_of(kind: str, status: str) -> str:
    """What a verdict means for the patient: a met exclusion and an unmet inclusion both fail."""
    if status == "unknown":
        return OPEN
    return PASS if (status == "met") != (kind == "exclusion") else FAIL


def _merge(group: str, rows: list[Row], trial_words: TrialWords) -> Row:
    """A composite row from its parts, by Kleene's OR for exclusions, AND for inclusions: fail wins."""
    if len(rows) == 1:
        return rows[0]
    kind = rows[0].kind
    outcomes = [row.outcome for row in rows]
    outcome = FAIL if FAIL in outcomes else OPEN if OPEN in outcomes else PASS
    status = {FAIL: "met", PASS: "not-met", OPEN: "unknown"} if kind == "exclusion" else {}
    status = status or {FAIL: "not-met", PASS: "met", OPEN: "unknown"}
    basis = "no-evidence" if all(row.verdict == words.NO_EVIDENCE for row in rows) else None
    return Row(
        id=group,
        kind=kind,
        tier="",
        text=trial_words.rows.get(group) or " · ".join(dict.fromkeys(row.text for row in rows)),
        verdict=words.verdict_word(kind, status[outcome], basis),
        outcome=outcome,
        why=_part_counts(rows),
        likely="",
        parts=tuple(replace(row, text=trial_words.labels.get(row.id, row.text)) for row in rows),
    )


def _part_counts(rows: list[Row]) -> str:
    """`of 9 parts 1 unknown, 8 no record found`: what speaks against the patient first."""
    counted = Counter((row.outcome, row.verdict.partition(":")[0].lower()) for row in rows)
    if len(counted) == 1:
        return f"all {len(rows)} parts"
    order = sorted(counted, key=lambda each: (FAIL, OPEN, PASS).index(each[0]))
    return f"of {len(rows)} parts " + ", ".join(f"{counted[each]} {each[1]}" for each in order)


def _evidence(entry: Mapping[str, Any]) -> EvidenceLine:
    return EvidenceLine(
        display=str(entry.get("display") or ""),
        value=str(entry.get("value") or ""),
        date=str(entry.get("date") or ""),
        status=str(entry.get("status") or ""),
        reference=str(entry.get("reference") or ""),
    )


def _order(order: Mapping[str, Any]) -> str:
    return f"{order['display']} ({order['code']})"


def _data_line(name: str, entry: Mapping[str, Any]) -> DataLine:
    state = str(entry["state"])
    return DataLine(
        resource_type=str(name),
        state=state,
        words=words.word_for(words.DATA_STATE, state),
        count=int(entry.get("count") or 0),
        reason=str(entry.get("reason") or ""),
    )


def _strings(value: Any) -> tuple[str, ...]:
    if value is None:
        return ()
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise TypeError("a list of strings was expected")
    return tuple(str(item) for item in value)
