"""Assessments as one self-contained HTML page: what a coordinator reads on screen and prints.

No script, no external asset, no style but the packaged sheet. Every text goes through `escape`; data is
inserted raw nowhere in this module. Errors: InputError from `view_of` on JSON of another shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from cds_service.eligibility.assessment import Assessment
from cds_service.rendering import words
from cds_service.rendering.text import printable
from cds_service.rendering.trial_words import words_of
from cds_service.rendering.view import FAIL, OPEN, PASS, EvidenceLine, Row, Section, View, view_of

_PAGE_CSS: Final = (
    "html{color-scheme:light dark;background:#fff}"
    "@media screen and (prefers-color-scheme:dark){html{background:#171c24}}"
    "body{margin:0 auto;max-width:70rem;padding:1.25rem}"
    "article+article{border-top:3px double;margin-top:2.5rem;padding-top:1.5rem;break-before:page}"
    "@page{margin:14mm}@media print{html{font-size:75%}body{padding:0;max-width:none}}"
)
_SPOKEN: Final = {PASS: "passes", FAIL: "against", OPEN: "open"}


@cache
def stylesheet() -> str:
    """The style sheet of an assessment, scoped to `.assessment`; a packaged file."""
    return files("cds_service.rendering").joinpath("report.css").read_text(encoding="utf-8")


def page_style() -> str:
    """The whole style of a page, as it stands in it; its hash may be named in a Content-Security-Policy."""
    return stylesheet() + _PAGE_CSS


def render_html(assessments: Sequence[Assessment]) -> str:
    """A complete HTML document with every assessment, one article each."""
    return page([view_of(a.to_json(), words_of(a.trial)) for a in assessments])


def page(views: Sequence[View]) -> str:
    """A complete HTML document of these views."""
    title = "Trial assessment"
    if views:
        title = f"{views[0].trial_id}: {views[0].status_words}, as of {views[0].as_of}"
    body = "".join(article(view, level=1) for view in views) or "<p>No trial was assessed.</p>"
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{_t(title)}</title>\n<style>{page_style()}</style>\n</head>\n"
        f"<body>\n<main>{body}</main>\n</body>\n</html>\n"
    )


def article(view: View, *, level: int = 2) -> str:
    """One assessment as an `<article>`, its title a heading of that level."""
    heading, sub = f"h{level}", f"h{level + 1}"
    parts = [
        f'<article class="assessment" lang="en"><header><{heading}>{_t(view.trial_title)}</{heading}>',
        f'<p class="soft">{_t(_identity(view))}</p></header>',
        _banner(view),
        _list(view.warnings, "warnings", "warning", "Warnings"),
        _list(view.notes, "notes", "note", "Notes"),
        *(_section(section, sub) for section in view.sections),
        _block(
            "Questions for the study coordinator",
            sub,
            (f"{_short(r.id)}: {r.question}" for r in view.questions()),
        ),
        _block("Missing data: draft orders to prepare, only after research consent", sub, view.orders()),
        _account(view, sub),
        f'<footer><p class="soft">{_t(words.DISCLAIMER)}</p></footer></article>',
    ]
    return "\n".join(part for part in parts if part)


def _identity(view: View) -> str:
    version = f", version {view.trial_version}" if view.trial_version else ""
    return f"{view.trial_id}{version} · {view.patient} · as of {view.as_of}"


def _banner(view: View) -> str:
    counts = view.counts()
    total = sum(counts.values())
    tally = (
        f"{counts[PASS]} of {total} rows pass, {counts[FAIL]} against, {counts[OPEN]} open." if total else ""
    )
    against = "".join(f"<li>{_t(row.id)}: {_t(row.text)}</li>" for row in view.against())
    reasons = f"<p>Because of:</p><ul>{against}</ul>" if against else ""
    return (
        f'<div class="banner {_t(view.status)}"><p><strong>{_t(view.status_words)}</strong></p>'
        f"<p>{_t(view.status_meaning)} {_t(tally)}</p>{reasons}</div>"
    )


def _section(section: Section, sub: str) -> str:
    rows = "".join(_row(row) for row in section.rows)
    label = f"{section.title} ({len(section.rows)})"
    # Roles stated, because the narrow layout's `display: block` would otherwise hide that it is a table.
    return (
        f'<section><{sub}>{_t(label)}</{sub}><table role="table" aria-label="{_t(section.title)}">'
        '<thead role="rowgroup"><tr role="row"><th role="columnheader" scope="col">Row</th>'
        '<th role="columnheader" scope="col">Criterion</th>'
        '<th role="columnheader" scope="col">Verdict, reason and evidence</th></tr></thead>'
        f'<tbody role="rowgroup">{rows}</tbody></table></section>'
    )


def _row(row: Row, *, part: bool = False) -> str:
    css = f"{row.outcome} part" if part else row.outcome
    own = (
        f'<tr role="row" class="{css}" data-criterion="{_t(row.id)}">'
        f'<td role="cell" class="id">{_t(_short(row.id))}</td>'
        f'<th role="rowheader" scope="row" class="text">{_t(row.text)}</th>'
        f'<td role="cell">{_verdict(row)}{_details(row)}</td></tr>'
    )
    return own + "".join(_row(each, part=True) for each in row.parts)


def _verdict(row: Row) -> str:
    said = [part for part in (row.likely, row.why) if part]
    why = f' <span class="why">{_t(": ".join(said))}</span>' if said else ""
    spoken = f'<span class="unseen"> ({_SPOKEN[row.outcome]})</span>'
    return f'<p><span class="verdict">{_t(row.verdict)}</span>{spoken}{why}</p>'


def _details(row: Row) -> str:
    evidence = "".join(f"<li>{_evidence(entry)}</li>" for entry in row.evidence)
    shown = f'<ul class="evidence">{evidence}</ul>' if evidence else ""
    return shown + _list(row.notes, "notes", "note", "Notes")


def _evidence(entry: EvidenceLine) -> str:
    subject = _t(": ".join(part for part in (entry.display, entry.value) if part))
    day = f'<span class="date">{_t(entry.date)}</span>' if entry.date else ""
    shown = ", ".join(part for part in (subject, day, _t(entry.status)) if part)
    return f"{shown} <code>{_t(entry.reference)}</code>" if entry.reference else shown


def _account(view: View, sub: str) -> str:
    data = "".join(
        f"<dt>{_t(line.resource_type)}</dt><dd>{line.count}, {_t(line.state_text())}</dd>"
        for line in view.data
    )
    provenance = "".join(f"<dt>{_t(key)}</dt><dd>{_t(value)}</dd>" for key, value in view.provenance)
    blocks = []
    if data:
        blocks.append(f"<section><{sub}>Data used</{sub}><dl>{data}</dl></section>")
    if provenance:
        blocks.append(f"<section><{sub}>Provenance</{sub}><dl>{provenance}</dl></section>")
    return "\n".join(blocks)


def _block(title: str, sub: str, entries: Iterable[str]) -> str:
    items = "".join(f"<li>{_t(entry)}</li>" for entry in entries)
    return f"<section><{sub}>{_t(title)}</{sub}><ul>{items}</ul></section>" if items else ""


def _list(entries: Sequence[str], css: str, item_css: str, label: str) -> str:
    items = "".join(_items(entries, item_css))
    return f'<ul class="{css}" aria-label="{label}">{items}</ul>' if items else ""


def _items(entries: Sequence[str], css: str) -> Iterator[str]:
    for entry in entries:
        yield f'<li class="{css}">{_t(entry)}</li>'


def _short(criterion_id: str) -> str:
    return criterion_id.partition("-")[0]


def _t(text: str) -> str:
    """Text made safe for element content and quoted attributes."""
    return escape(printable(text), quote=True)
