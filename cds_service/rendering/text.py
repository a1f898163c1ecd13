"""Assessments for a terminal of 80 to 100 columns: no colour needed, every line of the page present.

Control and direction-changing characters from the record are removed, so that data can't steer the terminal.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from cds_service.eligibility.assessment import Assessment
from cds_service.rendering import words
from cds_service.rendering.trial_words import words_of
from cds_service.rendering.view import FAIL, OPEN, PASS, EvidenceLine, Row, View, view_of

WIDTH: Final = 96
MARK: Final = {PASS: "+", FAIL: "X", OPEN: "?"}
_ID_WIDTH: Final = 7
_UNPRINTABLE: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


def render_text(assessments: Sequence[Assessment], *, width: int = WIDTH) -> str:
    """The assessments as plain text, one after the other, in lines of at most `width` characters."""
    if not assessments:
        return "No trial was assessed.\n"
    views = [view_of(a.to_json(), words_of(a.trial)) for a in assessments]
    return ("\n" + "=" * width + "\n\n").join(render_view(view, width) for view in views)


def render_view(view: View, width: int = WIDTH) -> str:
    """One assessment as text."""
    lines: list[str] = []
    lines += _head(view, width)
    lines += block("Warnings", view.warnings, width)
    lines += block("Notes", view.notes, width)
    lines += block("Why not eligible", (f"{row.id}: {row.text}" for row in view.against()), width)
    for section in view.sections:
        lines += ["", section.title, "-" * len(section.title)]
        for row in section.rows:
            lines += row_lines(row, width)
    lines += block(words.QUESTIONS, _questions(view, confirm=False), width)
    lines += block(words.QUESTIONS_CONFIRM, _questions(view, confirm=True), width)
    lines += block(f"{words.MISSING}. {words.MISSING_ORDERS}", _missing(view), width)
    lines += block("Data used", _data(view), width)
    lines += block("Provenance", _provenance(view), width)
    lines += ["", *textwrap.wrap(words.DISCLAIMER, width)]
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _head(view: View, width: int) -> list[str]:
    counts = view.counts()
    total = sum(counts.values())
    version = f" (version {view.trial_version})" if view.trial_version else ""
    tally = f"{counts[PASS]} of {total} rows pass (+), {counts[FAIL]} against (X), {counts[OPEN]} open (?)"
    return [
        *wrapped(f"{view.trial_id}{version}: {view.trial_title}", width),
        *wrapped(f"{view.patient}, as of {view.as_of}", width),
        "",
        *wrapped(f"{view.status_words.upper()} [{view.status}]", width, "        ", "STATUS  "),
        *wrapped(view.status_meaning, width, "        "),
        *(wrapped(tally, width, "        ") if total else []),
    ]


def row_lines(row: Row, width: int, indent: str = "") -> Iterator[str]:
    """One row: its text, verdict, evidence, notes and parts."""
    body = indent + " " * (_ID_WIDTH + 4)
    label = row.short_id
    first = f"{indent}{MARK[row.outcome]} {label:<{_ID_WIDTH}}  "
    yield from wrapped(row.text, width, body, first)
    verdict = row.verdict + (f", {row.likely}" if row.likely else "") + (f": {row.why}" if row.why else "")
    yield from wrapped(verdict, width, body + "  ", body)
    for evidence in row.evidence:
        yield from wrapped(evidence_text(evidence), width, body + "    ", body + "  - ")
    for note in row.notes:
        yield from wrapped(note, width, body + "    ", body + "  * ")
    for part in row.parts:
        yield from row_lines(part, width, indent + "    ")


def evidence_text(evidence: EvidenceLine) -> str:
    """`ALSFRS-R total: 28 {score}, 2026-06-01, final [Observation/9]`, without what is not recorded."""
    subject = ": ".join(part for part in (evidence.display, evidence.value) if part)
    known = ", ".join(part for part in (subject, evidence.date, evidence.status) if part)
    return f"{known} [{evidence.reference}]" if evidence.reference else known


def _questions(view: View, *, confirm: bool) -> Iterator[str]:
    for question in view.questions():
        if question.confirm is confirm:
            yield f"{question.row}: {question.text}"


def _missing(view: View) -> Iterator[str]:
    for row in view.missing():
        orders = f" [draft order: {'; '.join(row.suggestions)}]" if row.suggestions else ""
        yield f"{row.short_id} {row.text}: {row.why}{orders}"


def _provenance(view: View) -> Iterator[str]:
    if view.registry:
        yield f"Registry: {view.registry}"
    for key, value in view.provenance:
        yield f"{words.word_for(words.PROVENANCE, key)}: {value}"
    if view.parameters:
        yield "Parameters in force: " + "; ".join(f"{name} = {value}" for name, value in view.parameters)


def _data(view: View) -> Iterator[str]:
    for line in view.data:
        yield f"{line.resource_type}: {line.count}, {line.state_text()}"


def block(title: str, entries: Iterable[str], width: int) -> list[str]:
    """A title with its entries below it; nothing without entries."""
    listed = list(entries)
    if not listed:
        return []
    lines = ["", title, "-" * len(title)]
    for entry in listed:
        lines += wrapped(entry, width, "    ", "  - ")
    return lines


def wrapped(text: str, width: int, indent: str = "", first: str | None = None) -> list[str]:
    """Printable text in lines of at most `width` characters (a longer word apart); `first`: the first line's indent."""
    start = indent if first is None else first
    plain = printable(text)
    if not plain:
        return [start] if first is not None else []
    return textwrap.wrap(
        plain,
        width,
        initial_indent=start,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def printable(text: str) -> str:
    """Text without control, format and unassigned characters; white space collapsed to single blanks."""
    kept = (" " if unicodedata.category(char) in _UNPRINTABLE else char for char in text)
    return " ".join("".join(kept).split())
