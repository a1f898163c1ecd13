"""The protocol's rows as HTML tables: each with its verdict, why, the evidence with dates, and notes.

Every text goes through `escaped`; data is inserted raw nowhere in this module. Nothing here fails.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from cds_service.rendering.text import printable
from cds_service.rendering.view import FAIL, OPEN, PASS, EvidenceLine, Row, Section
from cds_service.rendering.words import NO_EVIDENCE

_SPOKEN: Final = {PASS: "passes", FAIL: "against", OPEN: "open"}


def section_html(section: Section, sub: str, anchor: str = "") -> str:
    """One section with its table. `sub`: its heading's tag; `anchor`: what ids of rows begin with (none: no ids)."""
    rows = "".join(_row(row, anchor) for row in section.rows)
    label = f"{section.title} ({len(section.rows)})"
    own = f' id="{anchor}{section.kind}"' if anchor else ""
    # Roles stated, because the narrow layout's `display: block` would otherwise hide that it is a table.
    return (
        f'<section{own}><{sub}>{escaped(label)}</{sub}><table role="table" aria-label="{escaped(section.title)}">'
        '<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Row</th>'
        '<th role="columnheader" scope="col">Criterion</th>'
        '<th role="columnheader" scope="col">Verdict, reason and evidence</th></tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></section>'
    )


def list_html(entries: Sequence[str], css: str, item_css: str, label: str) -> str:
    """A list of texts; nothing where there are none."""
    items = "".join(_items(entries, item_css))
    return f'<ul class="{css}" aria-label="{label}">{items}</ul>' if items else ""


def escaped(text: str) -> str:
    """Text made safe for element content and quoted attributes."""
    return escape(printable(text), quote=True)


def row_anchor(anchor: str, row_id: str) -> str:
    """The id of a row's element; letters, digits and hyphens only."""
    return anchor + "".join(c if c.isascii() and c.isalnum() else "-" for c in row_id)


def _row(row: Row, anchor: str, *, part: bool = False) -> str:
    said = {"part": part, "whole": bool(row.parts), "unconfirmed": row.verdict == NO_EVIDENCE}
    css = " ".join([row.outcome, *(name for name, holds in said.items() if holds)])
    own = f' id="{row_anchor(anchor, row.id)}"' if anchor else ""
    return (
        f'<tr role="row" class="{css}" data-criterion="{escaped(row.id)}"{own}>'
        f'<td role="cell" class="id">{escaped(row.short_id)}</td>'
        f'<th role="rowheader" scope="row" class="text">{escaped(row.text)}</th>'
        f'<td role="cell">{_verdict(row)}{_details(row)}</td></tr>'
    ) + "".join(_row(each, anchor, part=True) for each in row.parts)


def _verdict(row: Row) -> str:
    said = [part for part in (row.likely, row.why) if part]
    why = f' <span class="why">{escaped(": ".join(said))}</span>' if said else ""
    spoken = f'<span class="unseen"> ({_SPOKEN[row.outcome]})</span>'
    return f'<p><span class="verdict">{escaped(row.verdict)}</span>{spoken}{why}</p>'


def _details(row: Row) -> str:
    evidence = "".join(f"<li>{_evidence(entry)}</li>" for entry in row.evidence)
    shown = f'<ul class="evidence" aria-label="Evidence">{evidence}</ul>' if evidence else ""
    return shown + list_html(row.notes, "notes", "note", "Notes")


def _evidence(entry: EvidenceLine) -> str:
    subject = escaped(": ".join(part for part in (entry.display, entry.value) if part))
    day = f'<span class="date">{escaped(entry.date)}</span>' if entry.date else ""
    shown = ", ".join(part for part in (subject, day, escaped(entry.status)) if part)
    return f"{shown} <code>{escaped(entry.reference)}</code>" if entry.reference else shown


def _items(entries: Sequence[str], css: str) -> Iterator[str]:
    for entry in entries:
        yield f'<li class="{css}">{escaped(entry)}</li>'
