"""Assessments as one self-contained HTML page: what a coordinator reads on screen and prints.

No script, no external asset, no style but the packaged sheet and the rules of the paper. Every text goes through
`escaped` (in style: `paper`); data is inserted raw nowhere in this module. Errors: InputError from `view_of` on JSON of
another shape.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Final

from cds_service.eligibility.assessment import Assessment
from cds_service.rendering import words
from cds_service.rendering.html_rows import escaped, list_html, row_anchor, section_html
from cds_service.rendering.paper import paper_rules
from cds_service.rendering.trial_words import words_of
from cds_service.rendering.view import FAIL, OPEN, PASS, Question, Row, View, view_of

_PAGE_CSS: Final = (
    "html{color-scheme:light dark;background:#fff}"
    "@media screen and (prefers-color-scheme:dark){html{background:#171c24}}"
    "body{margin:0 auto;max-width:70rem;padding:1.25rem}"
    "article+article{border-top:3px double;margin-top:2.5rem;padding-top:1.5rem;break-before:page}"
    "@media print{html{font-size:75%}body{padding:0;max-width:none}"
    "article+article{border:0;margin:0;padding:0}}"
)


@cache
def stylesheet() -> str:
    """The style sheet of an assessment, scoped to `.assessment`; a packaged file."""
    return files("cds_service.rendering").joinpath("report.css").read_text(encoding="utf-8")


def page_style(views: Sequence[View]) -> str:
    """The whole style of a page of these views, as it stands in it; a Content-Security-Policy may name its hash."""
    return stylesheet() + _PAGE_CSS + paper_rules(views)


def render_html(assessments: Sequence[Assessment]) -> str:
    """A complete HTML document with every assessment, one article each."""
    return page([view_of(a.to_json(), words_of(a.trial)) for a in assessments])


def page(views: Sequence[View]) -> str:
    """A complete HTML document of these views."""
    title = "Trial assessment"
    if views:
        title = f"{views[0].trial_id}: {views[0].status_words}, as of {views[0].as_of}"
    body = "".join(_sheet(view, number) for number, view in enumerate(views))
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escaped(title)}</title>\n<style>{page_style(views)}</style>\n</head>\n"
        f"<body>\n<main>{body or '<p>No trial was assessed.</p>'}</main>\n</body>\n</html>\n"
    )


def article(view: View, *, level: int = 2) -> str:
    """One assessment as an `<article>` to stand in another page, its title a heading of that level."""
    return _article(view, level, "assessment", "")


def _sheet(view: View, number: int) -> str:
    """One assessment of a page of its own: with ids to jump to, and its own running heads on paper."""
    return _article(view, 1, f"assessment sheet{number}", f"a{number}-")


def _article(view: View, level: int, css: str, anchor: str) -> str:
    heading, sub = f"h{level}", f"h{level + 1}"
    parts = [
        f'<article class="{css}" lang="en"><header><{heading}>{escaped(view.trial_title)}</{heading}>',
        f'<p class="soft">{escaped(_identity(view))}</p></header>',
        _banner(view, anchor),
        list_html(view.warnings, "warnings", "warning", "Warnings"),
        list_html(view.notes, "notes", "note", "Notes"),
        _contents(view, anchor),
        *(section_html(section, sub, anchor) for section in view.sections),
        _questions(view, level + 1, anchor),
        _missing(view, sub, anchor),
        _data(view, sub, anchor),
        _provenance(view, sub, anchor),
        f'<footer><p class="soft">{escaped(words.DISCLAIMER)}</p>',
        '<p class="signature">Reviewed by <span></span> on <span></span></p></footer></article>',
    ]
    return "\n".join(part for part in parts if part)


def _identity(view: View) -> str:
    version = f", version {view.trial_version}" if view.trial_version else ""
    return f"{view.nct or view.trial_id}{version} · {view.patient} · screening day {view.as_of}"


def _banner(view: View, anchor: str) -> str:
    counts = view.counts()
    total = sum(counts.values())
    tally = (
        f"{counts[PASS]} of {total} rows pass, {counts[FAIL]} against, {counts[OPEN]} open." if total else ""
    )
    against = "".join(f"<li>{_reason(row, anchor)}</li>" for row in view.against())
    reasons = f"<p>Because of:</p><ul>{against}</ul>" if against else ""
    return (
        f'<div class="banner {escaped(view.status)}"><p><strong>{escaped(view.status_words)}</strong></p>'
        f"<p>{escaped(view.status_meaning)} {escaped(tally)}</p>{reasons}</div>"
    )


def _reason(row: Row, anchor: str) -> str:
    text = escaped(f"{row.id}: {row.text}")
    return f'<a href="#{row_anchor(anchor, row.id)}">{text}</a>' if anchor else text


def _contents(view: View, anchor: str) -> str:
    """Where to jump to, for keyboards and narrow screens."""
    if not anchor or not view.sections:
        return ""
    targets = [(section.kind, section.title) for section in view.sections]
    targets += [("questions", "Questions")] if view.questions() else []
    targets += [("missing", words.MISSING)] if view.missing() else []
    targets += [("data", "Data used")] if view.data else []
    targets += [("provenance", "Provenance")]
    links = "".join(f'<li><a href="#{anchor}{name}">{escaped(label)}</a></li>' for name, label in targets)
    return f'<nav class="contents" aria-label="Parts of this assessment"><ul>{links}</ul></nav>'


def _questions(view: View, level: int, anchor: str) -> str:
    asked = view.questions()
    groups = [
        (words.QUESTIONS_OPEN, [q for q in asked if not q.confirm]),
        (words.QUESTIONS_CONFIRM, [q for q in asked if q.confirm]),
    ]
    body = "".join(
        f"<h{level + 1}>{escaped(title)} ({len(group)})</h{level + 1}>{_question_list(group)}"
        for title, group in groups
        if group
    )
    return _section("questions", words.QUESTIONS, body, f"h{level}", anchor)


def _question_list(group: Iterable[Question]) -> str:
    items = (
        f'<li><b class="id">{escaped(question.row)}</b> '
        f'<span>{escaped(question.text)}</span> <span class="answer"></span></li>'
        for question in group
    )
    return f'<ul class="questions">{"".join(items)}</ul>'


def _missing(view: View, sub: str, anchor: str) -> str:
    items = "".join(
        f'<li><b class="id">{escaped(row.short_id)}</b> <span>{escaped(f"{row.text}: {row.why}")}'
        f"{list_html(row.suggestions, 'orders', 'order', 'Draft orders')}</span></li>"
        for row in view.missing()
    )
    advice = (
        f'<p class="soft">{escaped(words.MISSING_ORDERS)}</p>'
        if any(row.suggestions for row in view.missing())
        else ""
    )
    body = f'{advice}<ul class="missing">{items}</ul>' if items else ""
    return _section("missing", words.MISSING, body, sub, anchor)


def _data(view: View, sub: str, anchor: str) -> str:
    """What could not be had first, in full; what came completely in one line each."""
    lacking = [line for line in view.data if line.state != "complete"]
    came = [
        f"{line.resource_type} {line.count}" for line in view.data if line.state == "complete" and line.count
    ]
    none = [line.resource_type for line in view.data if line.state == "complete" and not line.count]
    entries = [(line.resource_type, f"{line.count}, {line.state_text()}") for line in lacking]
    entries += [("Complete", ", ".join(came))] if came else []
    entries += [("Complete, with no entry", ", ".join(none))] if none else []
    return _section("data", "Data used", _terms(entries), sub, anchor)


def _provenance(view: View, sub: str, anchor: str) -> str:
    version = f"{view.trial_id} {view.trial_version}".strip()
    entries = [("Screening day", view.as_of), ("Trial package", version)]
    entries += [("Registry", view.registry)] if view.registry else []
    entries += [(words.word_for(words.PROVENANCE, key), value) for key, value in view.provenance]
    if view.parameters:
        entries += [
            ("Parameters in force", "; ".join(f"{name} = {value}" for name, value in view.parameters))
        ]
    return _section("provenance", "Provenance", _terms(entries), sub, anchor)


def _section(name: str, title: str, body: str, sub: str, anchor: str) -> str:
    own = f' id="{anchor}{name}"' if anchor else ""
    return f"<section{own}><{sub}>{escaped(title)}</{sub}>{body}</section>" if body else ""


def _terms(entries: Sequence[tuple[str, str]]) -> str:
    terms = "".join(f"<dt>{escaped(term)}</dt><dd>{escaped(said)}</dd>" for term, said in entries)
    return f"<dl>{terms}</dl>" if terms else ""
