"""The words of a card: a summary below 140 characters and a detail of at most 15 lines of lists
(clinical-spec §1.4).

No finding of a sensitive category is named here: such criteria are only counted. What comes from a
patient's record is cut to size and escaped for GitHub Flavored Markdown and HTML, because clients draw
both. Nothing here fails.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from cds_service.eligibility.assessment import Assessment, CriterionResult
from cds_service.eligibility.questionnaire import ANSWER_DISPLAYS
from cds_service.records.shortfalls import advice
from cds_service.rendering.text import printable
from cds_service.rendering.words import REASON, likely_word, word_for

SUMMARY_LIMIT: Final = 140
DETAIL_LINES: Final = 15
_PIECE: Final = 90
_SPECIAL: Final = re.compile(r"([\\`*_\[\]#|~])")
_AUTOLINK: Final = re.compile(r"(?i)(www)\.|(https?|ftp|mailto|xmpp)(:)")
# The last fence before a card: words of the sensitive categories, whatever criterion or text they come from.
_SENSITIVE: Final = re.compile(
    r"\b(hiv|aids|sida|hepatit|hbsag|hbv|hcv|htlv|syphil|sifilis|lues|treponem|vdrl|pregnan|gravid|gestant|gestac"
    r"|breast ?feed|lactat|amament|alcohol|alcool|etilis|opioid|heroin|cocain|cannabis|maconha|marijuana|substance"
    r"|abuse|addict|depress|psych|psiqu|schizo|esquizo|bipolar|suicid|mental)"
)
_NUMBER: Final = re.compile(
    r"[<>≤≥]?=?\d{1,6}([.,]\d{1,6})?"
    r"( ?(%|U/L|UI/L|IU/L|\[iU\]/L|[uµμn]kat/L|mg/dL|mg/dl|mg/L|[uµμm]mol/L|mL|L|cL|\{score\}|points|pontos|1))?"
)
_DEGREES: Final = frozenset(
    {"definite", "probable", "probable laboratory supported", "possible", "suspected"}
)
# Reasons that say that nothing is known, which is no finding.
_MISSING: Final = frozenset({"missing-data", "stale-data"})
# Resources whose evidence is a measurement or an answer, not the name of a finding.
_MEASURED: Final = frozenset({"Observation", "QuestionnaireResponse"})
_NOT_GOT: Final = frozenset({"retrieval-failed", "not-offered", "not-computed"})
# Reasons that leave nothing to say of a criterion but that its data could not be got.
_NOTHING_GOT: Final = (("retrieval-failed",), ("not-offered",))

_Line = tuple[str, int]  # its text, and how many criteria it speaks of


class _Section(NamedTuple):
    """A part of the detail. `least`: how many lines it should at least get."""

    title: str
    lines: list[_Line]
    least: int


def escaped(text: str, limit: int = _PIECE) -> str:
    """Text of the record as plain text in Markdown and HTML: no markup, no links, no line breaks, cut to
    `limit`.
    """
    plain = printable(text)
    if len(plain) > limit:
        plain = plain[: limit - 1].rstrip() + "…"
    safe = _SPECIAL.sub(r"\\\1", html.escape(plain, quote=False))
    safe = _AUTOLINK.sub(lambda m: f"{m[1]}&#46;" if m[1] else f"{m[2]}&#58;", safe)
    return safe.replace("@", "&#64;")


def names_sensitive(text: str) -> bool:
    """Whether a text speaks of a sensitive category in any of the words of English or Portuguese known
    here.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower().replace("-", " ")
    return _SENSITIVE.search(plain) is not None


def counted(number: int, noun: str) -> str:
    """`1 criterion`, `3 criteria`, `5 screening blood tests`."""
    if noun == "criterion":
        return f"{number} {'criterion' if number == 1 else 'criteria'}"
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def summary(assessment: Assessment) -> str:
    """One sentence below 140 characters: the trial, what the record says, and the counts. No patient data."""
    results = rows(assessment)
    fit = sum(1 for r in results if r.verdict.status != "unknown" and not r.excludes)
    unknown = sum(1 for r in results if r.verdict.status == "unknown")
    against = len([r for r in results if r.excludes])
    name = printable(assessment.trial.short_title)
    if assessment.excluded_by_boundary_only:
        words = f": excluded unless the PI rules otherwise ({counted(against, 'criterion')} to decide)"
    elif against:
        words = f": not eligible, {counted(against, 'criterion')} against"
    else:
        words = f": may be eligible, {fit} of {counted(len(results), 'criterion')} fit, {unknown} open"
    nct = assessment.trial.nct
    room = SUMMARY_LIMIT - 1 - len(words)
    title = f"{nct} {name}" if nct not in name else name
    return (title if len(title) <= room else title[: room - 1].rstrip() + "…") + words


def detail(assessment: Assessment, *, fixed_date: bool) -> str:
    """The detail in Markdown. `fixed_date`: the day is a setting, which the card must then say."""
    head = []
    if warning := assessment.trial.registry.warning:
        head.append(_trial_text(warning))
    if fixed_date:
        head.append(
            f"- Assessed as of {assessment.as_of.isoformat()}, a day fixed by this service's settings"
        )
    sections = _against(assessment) if assessment.exclusions else _open(assessment)
    return "\n".join([*head, *_fitted(sections, DETAIL_LINES - len(head))])


def rows(assessment: Assessment) -> list[CriterionResult]:
    """The criteria, each once: the headline that repeats another's verdict is left out."""
    return [result for result in assessment.criteria if result.criterion.same_as is None]


def _against(assessment: Assessment) -> list[_Section]:
    """What rules the patient out, all of it, sensitive ones only counted."""
    results = [r for r in rows(assessment) if r.excludes]
    plain = [r for r in results if not _hidden(r)]
    lines = [(_line(r, boundary=True), 1) for r in plain]
    lines += _hidden_lines([r for r in results if _hidden(r)])
    title = f"**Not eligible: {counted(len(results), 'criterion')}**"
    if assessment.excluded_by_boundary_only:
        title = "**Excluded unless the PI rules otherwise**"
    return [_Section(title, lines, len(lines))]


def _open(assessment: Assessment) -> list[_Section]:
    """Why, what is unknown, what to ask; each with the number of lines that it should at least get."""
    results = rows(assessment)
    unknown = [r for r in results if r.verdict.status == "unknown"]
    why = [
        (_line(r), 1)
        for r in results
        if r.verdict.status != "unknown" and r.criterion.tier == "A" and not _hidden(r) and r.verdict.evidence
    ]
    not_computed = [r for r in unknown if "not-computed" in r.verdict.reasons]
    # What only the study itself can tell later (`asked = false`) is no question for anybody now.
    people = [r for r in unknown if r.criterion.tier == "C" and r.criterion.asked and r not in not_computed]
    data = [r for r in unknown if r.criterion.tier != "C" and r not in not_computed]
    shown = [r for r in data if not _hidden(r)]
    shown.sort(key=lambda r: not r.blocks)
    unseen = [r for r in data if r.verdict.reasons in _NOTHING_GOT and not _found(r)]
    lines = [
        *_not_got(assessment, results, unseen),
        *_absent([r for r in shown if r not in unseen]),
        *_hidden_lines([r for r in data if _hidden(r)]),
    ]
    if not_computed:
        count = counted(len(not_computed), "criterion")
        lines.append((f"{count} could not be computed: check by hand", len(not_computed)))
    asked = [(r.verdict.question or r.criterion.question or "", r) for r in people]
    questions = [
        (_trial_text(q or r.criterion.label), 1)
        for q, r in asked
        if not _hidden(r) and not names_sensitive(f"{r.criterion.label} {q}")
    ]
    if rest := len(people) - len(questions):
        questions.append((f"{counted(rest, 'criterion')} more that only people can answer", rest))
    nothing_found = sum(r.verdict.basis == "no-evidence" for r in results)
    if nothing_found:
        found = f"No record found for {counted(nothing_found, 'criterion')}: confirm with the patient"
        questions.insert(0, (found, 0))  # their rows are settled so far: they are no open questions
    return [
        _Section("**Why**", why, 4),
        _Section(f"**Unknown ({len(data) + len(not_computed)})**", lines, 5),
        _Section(f"**Ask ({len(people)})**" if people else "**Ask**", questions, 3),
    ]


def _absent(results: Sequence[CriterionResult]) -> list[_Line]:
    """Open criteria, a line each; those without any result together in the first, by the names of their tests."""
    missing = [
        r
        for r in results
        if r.criterion.missing_as and r.verdict.reasons == ("missing-data",) and not r.verdict.evidence
    ]
    if len(missing) < 2:
        return [(_line(r), 1) for r in results]
    names = list(dict.fromkeys(_trial_text(r.criterion.missing_as or "") for r in missing))
    first = (f"No result on record: {', '.join(names)}", len(missing))
    return [first, *((_line(r), 1) for r in results if r not in missing)]


def _line(result: CriterionResult, *, boundary: bool = False) -> str:
    """One criterion with what decides it or why nothing does."""
    criterion, verdict = result.criterion, result.verdict
    parts = []
    if verdict.status == "unknown":
        parts.append(", ".join(word_for(REASON, reason) for reason in verdict.reasons[:2]) or "not decided")
        if verdict.likely:
            parts.append(likely_word(criterion.kind, verdict.likely))
    elif criterion.kind == "exclusion":
        parts.append("present" if verdict.status == "met" else "not present")
    elif verdict.status == "not-met":
        parts.append("not met")
    if boundary and "boundary" in verdict.reasons:
        parts.append("unless the PI rules otherwise")
    parts += _evidence(result)
    return f"{_trial_text(criterion.label)}: {'; '.join(parts)}" if parts else _trial_text(criterion.label)


def _evidence(result: CriterionResult) -> list[str]:
    """What was measured and when; of a diagnosis, procedure or device only the day, of the Patient only the note.

    What a diagnosis is called may name more than its criterion asks for (a motor neuron disease due to …), and a birth
    date says no more than the age.
    """
    for item in result.verdict.evidence[:1]:
        kind = item.reference.partition("/")[0]
        day = escaped(item.date, 25) if item.date else ""
        if kind == "Patient":
            return [escaped(note) for note in result.verdict.notes[:1] if not names_sensitive(note)]
        if kind in _MEASURED and item.value and _plain(item.value) and not names_sensitive(item.display):
            return [f"{escaped(item.value)} ({day})" if day else escaped(item.value)]
        return [f"recorded {day}" if day else "recorded"]
    return []


def _found(result: CriterionResult) -> bool:
    """Whether the chart holds something about the criterion; sex and age are no finding."""
    return any(not item.reference.startswith("Patient/") for item in result.verdict.evidence)


def _plain(value: str) -> bool:
    """Whether a value may stand on a card: a number with a common unit, a diagnosis's degree of certainty, or an
    attestation's fixed words.

    Any other text of the record may name anything, and no list of words would catch it all.
    """
    fixed = value in ANSWER_DISPLAYS.values() or value.lower() in _DEGREES
    return fixed or _NUMBER.fullmatch(value) is not None


def _hidden(result: CriterionResult) -> bool:
    return result.criterion.sensitive is not None or names_sensitive(result.criterion.label)


def _hidden_lines(results: Sequence[CriterionResult]) -> list[_Line]:
    """Sensitive criteria, counted: missing tests by their kind, findings only as one of a category."""
    missing: dict[str, int] = {}
    findings: dict[str, int] = {}
    for result in results:
        reasons = frozenset(result.verdict.reasons)
        if result.verdict.status == "unknown" and reasons and reasons <= _MISSING:
            noun = result.criterion.missing_as or "screening test"
            missing[noun] = missing.get(noun, 0) + 1
        elif (
            result.verdict.status != "unknown"
            or not reasons <= _NOT_GOT
            or (_found(result) and "not-computed" not in reasons)
        ):
            kind = (
                "infectious-disease" if result.criterion.sensitive == "infectious-disease" else "confidential"
            )
            findings[kind] = findings.get(kind, 0) + 1
    lines = [(f"{_trial_text(counted(number, noun))} missing", number) for noun, number in missing.items()]
    for kind, number in findings.items():
        count = "one" if number == 1 else str(number)
        noun = "criterion" if number == 1 else "criteria"
        lines.append((f"{count} {kind} {noun}: see the assessment", number))
    return lines


def _not_got(
    assessment: Assessment, results: Sequence[CriterionResult], unseen: Sequence[CriterionResult]
) -> list[_Line]:
    """A line for each thing that a clinician can do about data that could not be got: which, why, and how many
    criteria are open for want of them. `unseen`: those of which nothing else can be said.
    """
    wanted = {kind for r in results if r.verdict.status == "unknown" for kind in r.verdict.unobtained}
    to_do: dict[str, list[str]] = {}
    for kind in sorted(wanted & assessment.data.keys()):
        acquired = assessment.data[kind]
        to_do.setdefault(advice(acquired.state, acquired.reason), []).append(kind)
    needing = {what: _needing(results, kinds) for what, kinds in to_do.items()}
    lines, left = [], list(unseen)
    for what in sorted(to_do, key=lambda what: -len(needing[what])):
        mine = [r for r in left if r in needing[what]]
        left = [r for r in left if r not in mine]
        lines.append((f"{_lost(assessment, to_do[what], len(needing[what]))}: {what}", len(mine)))
    return lines


def _needing(results: Sequence[CriterionResult], kinds: Sequence[str]) -> list[CriterionResult]:
    """The criteria that are open for want of these types."""
    open_ = [r for r in results if r.verdict.status == "unknown"]
    return [r for r in open_ if not set(kinds).isdisjoint(r.verdict.unobtained)]


def _lost(assessment: Assessment, kinds: Sequence[str], number: int) -> str:
    """`Data not obtained: Observation (timeout), needed by 12 criteria`."""
    named = ", ".join(kinds[:4]) + (f" and {len(kinds) - 4} more" if len(kinds) > 4 else "")
    needed = f", needed by {counted(number, 'criterion')}"
    data = [assessment.data[kind] for kind in kinds]
    if all(acquired.state == "not-offered" for acquired in data):
        return f"Not available electronically here: {named}{needed}"
    reasons = sorted({acquired.reason or acquired.state for acquired in data})
    return f"Data not obtained: {named} ({escaped(', '.join(reasons), 80)}){needed}"


def _trial_text(text: str) -> str:
    """Words of the trial package, escaped like any other text but not cut short."""
    return escaped(text, 300)


def _fitted(sections: Iterable[_Section], room: int) -> list[str]:
    """The sections as nested lists in `room` lines; the criteria that do not fit are counted in the section's last
    line.
    """
    wanted = [section for section in sections if section.lines]
    room -= len(wanted)
    shares = [min(len(section.lines), section.least) for section in wanted]
    while sum(shares) > room:
        shares[shares.index(max(shares))] -= 1
    # What is left over goes to the longest first: the unknown where much is unknown, else to what is settled.
    for index in sorted(range(len(wanted)), key=lambda i: shares[i], reverse=True):
        lines = wanted[index].lines
        shares[index] += min(len(lines) - shares[index], room - sum(shares))
    fitted = []
    for section, share in zip(wanted, shares, strict=True):
        fitted.append(f"- {section.title}")
        kept = len(section.lines) if len(section.lines) <= share else share - 1
        fitted += [f"  - {text}" for text, _ in section.lines[:kept]]
        if rest := section.lines[kept:]:
            fitted.append(f"  - and {sum(number for _, number in rest)} more: see the assessment")
    return fitted
