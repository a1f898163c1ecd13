"""Assessments as text and as a page: every row is there, grouped, escaped, and readable at the promised widths."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from html.parser import HTMLParser
from typing import Any

import pytest

from cds_service.eligibility.assessment import Assessment, CriterionResult
from cds_service.eligibility.trial import Criterion, Order
from cds_service.eligibility.verdict import MET, NOT_MET, UNKNOWN, Evidence, Verdict
from cds_service.errors import InputError
from cds_service.records.record import Acquired
from cds_service.rendering import render_html, render_text, words
from cds_service.rendering.html import article, stylesheet
from cds_service.rendering.paper import paper_rules
from cds_service.rendering.trial_words import words_of
from cds_service.rendering.view import FAIL, OPEN, PASS, Question, View, outcome_of, view_of
from tests.unit.sandbox.wards import trial

ALT = Order("1742-6", "http://loinc.org", "ALT")
EVIDENCE = Evidence("Observation/9", "ALSFRS-R total", "28 {score}", "2026-06-01", "final")
KINDS_OF_VERDICT = ("pass", "unconfirmed", "fail", "open")
DEFAULTS = {
    "H1-Condition": Verdict(MET, "explicit", evidence=(EVIDENCE,)),
    "IN01-Age": Verdict(UNKNOWN, reasons=("partial-date",), likely="met", question="Exact date of birth?"),
    "EX01a-This": Verdict(NOT_MET, "no-evidence"),
    "EX01b-That": Verdict(UNKNOWN, reasons=("missing-data",), suggestions=(ALT,), question="Ever treated?"),
}


def assessment(status: str = UNKNOWN, changed: dict[str, Verdict] | None = None, **more: Any) -> Assessment:
    """An assessment of the small trial, with these verdicts changed."""
    verdicts = {**DEFAULTS, **(changed or {})}
    facts: dict[str, Any] = {
        "data": {
            "Condition": Acquired("complete", 3, None),
            "Observation": Acquired("failed", 0, "timeout"),
        },
        "provenance": {"cql": "sha256:abc", "engine": "cds-service 1"},
        "warnings": ("Three resources of another patient were dropped.",),
        "notes": ("A note.",),
    }
    return Assessment(
        trial=trial(),
        patient="Patient/ann",
        as_of=date(2026, 6, 15),
        status=status,
        card=True,
        criteria=tuple(CriterionResult(c, verdicts[c.id]) for c in trial().criteria),
        **{**facts, **more},
    )


def view(given: Assessment) -> View:
    return view_of(given.to_json(), words_of(given.trial))


class Page(HTMLParser):
    """Collects elements and text; a page that does not nest properly fails."""

    VOID = frozenset({"meta", "br", "hr", "input", "link"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == [], f"left open: {self.open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.words.append(data)


@pytest.mark.parametrize(
    ("kind", "status", "outcome"),
    [
        ("inclusion", MET, PASS),
        ("inclusion", NOT_MET, FAIL),
        ("inclusion", UNKNOWN, OPEN),
        ("headline", NOT_MET, FAIL),
        ("exclusion", MET, FAIL),
        ("exclusion", NOT_MET, PASS),
        ("exclusion", UNKNOWN, OPEN),
    ],
)
def test_what_a_verdict_means_for_the_patient(kind: str, status: str, outcome: str) -> None:
    assert outcome_of(kind, status) == outcome


@pytest.mark.parametrize(
    ("this", "that", "verdict", "outcome", "why"),
    [
        (NOT_MET, NOT_MET, "Not present", PASS, "all 2 parts"),
        (NOT_MET, UNKNOWN, "Unknown", OPEN, "of 2 parts 1 unknown, 1 not present"),
        (UNKNOWN, UNKNOWN, "Unknown", OPEN, "all 2 parts"),
        (MET, UNKNOWN, "Present: excludes", FAIL, "of 2 parts 1 present, 1 unknown"),
        (NOT_MET, MET, "Present: excludes", FAIL, "of 2 parts 1 present, 1 not present"),
    ],
)
def test_a_composite_row_is_the_or_of_its_parts(
    this: str, that: str, verdict: str, outcome: str, why: str
) -> None:
    def basis(status: str) -> str | None:
        return None if status == UNKNOWN else "explicit"

    changed = {"EX01a-This": Verdict(this, basis(this)), "EX01b-That": Verdict(that, basis(that))}
    exclusions = view(assessment(changed=changed)).sections[2]
    assert len(exclusions.rows) == 1
    row = exclusions.rows[0]
    assert (row.id, row.text, row.verdict, row.outcome) == ("EX01", "Two infections", verdict, outcome)
    assert [part.id for part in row.parts] == ["EX01a-This", "EX01b-That"]
    assert row.why == why


def test_parts_without_a_record_are_not_counted_as_absent() -> None:
    row = view(assessment()).sections[2].rows[0]
    assert row.why == "of 2 parts 1 unknown, 1 no record found"


def test_no_record_is_not_called_absence() -> None:
    part = view(assessment()).sections[2].rows[0].parts[0]
    assert part.verdict == "No record found"
    assert part.why == "confirm with the patient"


def test_a_repeated_row_is_shown_but_counted_once_among_the_reasons() -> None:
    twin = Criterion(
        id="H2-Age",
        kind="headline",
        tier="A",
        group="H2",
        text="Age",
        label="Age",
        computed_from="",
        same_as="IN01-Age",
    )
    failed = Verdict(NOT_MET, "explicit")
    base = assessment("excluded", {"IN01-Age": failed})
    both = replace(
        base,
        trial=replace(base.trial, criteria=(*base.trial.criteria, twin)),
        criteria=(*base.criteria, CriterionResult(twin, failed)),
    )
    shown = view(both)
    assert [row.id for row in shown.against()] == ["IN01-Age"]
    assert "H2-Age" in [row.id for row in shown.criteria()]


@pytest.mark.parametrize("width", [80, 96, 100])
def test_the_text_keeps_to_its_width_and_holds_everything(width: int) -> None:
    text = render_text([assessment()], width=width)
    assert max(len(line) for line in text.splitlines()) <= width
    for expected in (
        "demo (version 1.0): A trial of nothing",
        "Patient/ann, as of 2026-06-15",
        "NOT DECIDED: INFORMATION IS MISSING [unknown]",
        "1 of 3 rows pass (+), 0 against (X), 2 open (?)",
        "Registry status UNKNOWN, last verified 2016 — confirm with the site",
        "Three resources of another patient were dropped.",
        "A note.",
        "Headline criteria",
        "Inclusion criteria",
        "Exclusion criteria",
        "ALSFRS-R total: 28 {score}, 2026-06-01, final [Observation/9]",
        "Unknown, likely met: a date is incomplete",
        "Two infections",
        "No record found: confirm with the patient",
        "IN01: Exact date of birth?",
        "EX01b: Ever treated?",
        "ALT (1742-6)",
        "Condition: 3, complete",
        "Observation: 0, could not be fetched (timeout)",
        "Logic (CQL): sha256:abc",
    ):
        assert expected in text, expected


def test_the_text_of_an_excluded_patient_lists_every_reason() -> None:
    changed = {"IN01-Age": Verdict(NOT_MET, "explicit"), "EX01a-This": Verdict(MET, "explicit")}
    text = render_text([assessment("excluded", changed)])
    reasons = text[text.index("Why not eligible") : text.index("Headline criteria")]
    assert "IN01-Age" in reasons
    assert "EX01a-This" in reasons
    assert "NOT ELIGIBLE [excluded]" in text


def test_control_characters_never_reach_the_terminal() -> None:
    nasty = Evidence("Observation/1", "ALT\x1b[2J\x07\u202e\r\nINJECTED", "1\x00", None, None)
    text = render_text([assessment(changed={"H1-Condition": Verdict(MET, "explicit", evidence=(nasty,))})])
    assert not {"\x1b", "\x07", "\x00", "\u202e", "\r"} & set(text)
    assert "ALT [2J INJECTED: 1" in text


def test_several_assessments_and_none() -> None:
    assert render_text([assessment(), assessment("excluded")]).count("STATUS") == 2
    assert render_text([]) == "No trial was assessed.\n"
    assert render_html([assessment(), assessment("excluded")]).count("<article") == 2
    assert "No trial was assessed." in render_html([])


def test_a_deceased_patients_assessment_has_no_rows_and_still_reads() -> None:
    gone = replace(assessment("not-applicable"), criteria=(), card=False)
    assert "NOT APPLICABLE" in render_text([gone])
    Page(render_html([gone]))


def test_the_page_is_self_contained_well_formed_and_accessible() -> None:
    page = Page(render_html([assessment()]))
    tags = [tag for tag, _ in page.seen]
    assert not {"script", "img", "link", "iframe"} & set(tags)
    assert ("html", {"lang": "en"}) in page.seen
    assert tags.count("h1") == 1
    assert not [a for _, attributes in page.seen for a in attributes if a.startswith("on") or a == "style"]
    rows = [attributes for tag, attributes in page.seen if tag == "tr" and "data-criterion" in attributes]
    assert [row["data-criterion"] for row in rows] == [
        "H1-Condition",
        "IN01-Age",
        "EX01",
        "EX01a-This",
        "EX01b-That",
    ]
    assert all(row["role"] == "row" for row in rows)
    assert tags.count("th") - tags.count("table") * 3 == len(rows), "each row has its header cell"
    assert "url(" not in render_html([assessment()])


def test_the_page_holds_what_the_text_holds() -> None:
    page = "".join(Page(render_html([assessment()])).words)
    for expected in (
        "Not decided: information is missing",
        "Registry status UNKNOWN, last verified 2016 — confirm with the site that the study is recruiting.",
        "No record found",
        "likely met: a date is incomplete",
        "ALSFRS-R total: 28 {score}, 2026-06-01, final",
        "Observation/9",
        "EX01b Ever treated?",
        "ALT (1742-6)",
        "0, could not be fetched (timeout)",
        "sha256:abc",
        words.DISCLAIMER,
    ):
        assert expected in page, expected


def test_nothing_from_the_record_becomes_markup() -> None:
    nasty = "\"><script>alert(1)</script><img src=x onerror='alert(2)'>&amp;"
    verdict = Verdict(
        UNKNOWN,
        reasons=("missing-data",),
        evidence=(Evidence(nasty, nasty, nasty, nasty, nasty),),
        notes=(nasty,),
        question=nasty,
        suggestions=(Order(nasty, nasty, nasty),),
    )
    given = assessment(changed=dict.fromkeys(DEFAULTS, verdict), warnings=(nasty,), notes=(nasty,))
    given = replace(
        given, patient=nasty, provenance={nasty: nasty}, data={nasty: Acquired("failed", 0, nasty)}
    )
    html = render_html([given])
    page = Page(html)
    assert not {"script", "img"} & {tag for tag, _ in page.seen}
    assert not [name for _, attributes in page.seen for name in attributes if name.startswith("on")]
    assert "<script" not in html


def test_an_unknown_word_is_shown_as_it_is() -> None:
    assert words.word_for(words.REASON, "brand-new") == "brand-new"
    json = assessment().to_json()
    json["status"] = "brand-new"
    assert view_of(json).status_words == "brand-new"


@pytest.mark.parametrize("broken", [{}, {"trial": {}}, {"trial": "x", "status": 1}])
def test_what_is_no_assessment_is_an_input_error(broken: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        view_of(broken)


def test_criteria_of_a_wrong_shape_are_an_input_error() -> None:
    for key, value in (("kind", "other"), ("notes", "text"), ("evidence", ["x"]), ("suggestions", ["x"])):
        json = assessment().to_json()
        json["criteria"][0][key] = value
        with pytest.raises(InputError):
            view_of(json)


def test_every_reason_and_status_of_the_specification_has_a_word() -> None:
    from cds_service.eligibility.assessment import STATUSES
    from cds_service.eligibility.verdict import BASES, REASONS

    assert set(words.REASON) == set(REASONS)
    assert set(words.BASIS) == set(BASES)
    assert set(words.STATUS) == set(words.STATUS_MEANING) == set(STATUSES)


def test_the_registry_warning_stands_first_until_the_site_has_confirmed() -> None:
    confirmed = trial().configured(recruiting_confirmed=date(2026, 5, 1), contact=None, parameters={})
    assert view(assessment()).warnings[0].startswith("Registry status UNKNOWN")
    assert len(view(replace(assessment(), trial=confirmed)).warnings) == 1


def test_questions_of_open_rows_come_first_then_what_the_patient_is_to_confirm() -> None:
    changed = {"EX01a-This": Verdict(NOT_MET, "no-evidence", question="Any of this?")}
    shown = view(assessment(changed=changed))
    assert shown.questions() == [
        Question("IN01", "Exact date of birth?", confirm=False),
        Question("EX01b", "Ever treated?", confirm=False),
        Question("EX01a", "Any of this?", confirm=True),
    ]
    html = render_html([assessment(changed=changed)])
    assert html.index("Ever treated?") < html.index(words.QUESTIONS_CONFIRM) < html.index("Any of this?")
    text = render_text([assessment(changed=changed)])
    heading = text.index(f"{words.QUESTIONS_CONFIRM}\n---")
    assert text.index("Ever treated?") < heading < text.index("Any of this?")


def test_what_blocks_a_decision_is_asked_before_what_does_not() -> None:
    json = assessment().to_json()
    next(row for row in json["criteria"] if row["id"] == "IN01-Age")["tier"] = "C"
    assert [question.row for question in view_of(json).questions()] == ["EX01b", "IN01"]


def test_a_question_that_rows_share_says_what_it_is_about() -> None:
    same = Verdict(UNKNOWN, reasons=("missing-data",), question="Is it there?")
    shown = view(assessment(changed={"EX01a-This": same, "EX01b-That": same}))
    assert [q.text for q in shown.questions()][1:] == [
        "This infection: Is it there?",
        "That infection: Is it there?",
    ]


@pytest.mark.parametrize(
    ("reason", "missing"),
    [
        ("missing-data", True),
        ("stale-data", True),
        ("preliminary-only", True),
        ("not-offered", True),
        ("retrieval-failed", True),
        ("needs-clinician", False),
        ("conflicting-data", False),
        ("boundary", False),
    ],
)
def test_missing_data_is_what_is_not_on_record(reason: str, missing: bool) -> None:
    verdict = Verdict(UNKNOWN, reasons=(reason,))
    shown = view(assessment(changed={"EX01b-That": verdict}))
    assert ("EX01b-That" in [row.id for row in shown.missing()]) is missing


def test_missing_data_stand_with_their_reason_and_the_tests_to_order() -> None:
    page = " ".join(Page(render_html([assessment()])).words)
    assert "That infection: no result on record" in page
    assert words.MISSING_ORDERS in page
    without = Verdict(UNKNOWN, reasons=("missing-data",))
    html = render_html([assessment(changed={"EX01b-That": without})])
    assert words.MISSING in html
    assert words.MISSING_ORDERS not in html
    decided = Verdict(NOT_MET, "explicit")
    assert 'id="a0-missing"' not in render_html([assessment(changed={"EX01b-That": decided})])
    text = render_text([assessment()])
    assert "EX01b That infection: no result on record [draft order: ALT (1742-6)]" in text


def test_the_data_that_could_not_be_had_stand_alone_and_the_rest_in_short() -> None:
    data = {
        "Condition": Acquired("complete", 3, None),
        "Consent": Acquired("complete", 0, None),
        "Observation": Acquired("truncated", 7, None),
    }
    page = "|".join(Page(render_html([assessment(data=data)])).words)
    assert "Observation|7, incomplete: more exists than was sent" in page
    assert "Complete|Condition 3|Complete, with no entry|Consent" in page


def test_provenance_names_day_trial_registry_logic_and_parameters() -> None:
    base = assessment()
    configured = trial().configured(
        recruiting_confirmed=date(2026, 5, 1),
        contact=None,
        parameters={
            "minAge": 18,
            "compute": True,
            "states": [],
            "equations": ["A", "B"],
            "limits": {"low": 1},
        },
    )
    for shown in (
        "|".join(Page(render_html([replace(base, trial=configured)])).words),
        " ".join(render_text([replace(base, trial=configured)], width=400).split()),
    ):
        for expected in (
            "2026-06-15",
            "sha256:abc",
            "NCT00000000, status UNKNOWN, last verified 2016, https://example.org",
            "recruitment confirmed by the site on 2026-05-01",
            "compute = true; equations = A, B; limits = {low: 1}; minAge = 18; states = none",
        ):
            assert expected in shown, expected
    assert "recruitment not confirmed by the site" in render_html([base])


def test_every_link_of_the_page_leads_to_a_place_in_it() -> None:
    failed = {"IN01-Age": Verdict(NOT_MET, "explicit"), "EX01a-This": Verdict(MET, "explicit")}
    page = Page(render_html([assessment("excluded", failed), assessment("excluded", failed)]))
    places = [attributes["id"] for _, attributes in page.seen if "id" in attributes]
    assert len(places) == len(set(places)), "an id stands twice"
    links = [str(attributes["href"]) for tag, attributes in page.seen if tag == "a"]
    assert {"#a0-IN01-Age", "#a0-EX01a-This", "#a1-missing", "#a1-provenance"} <= set(links)
    assert {link[1:] for link in links} <= set(places)


def test_an_article_for_another_page_has_no_ids_and_no_links() -> None:
    page = Page(article(view(assessment())))
    assert not [attributes for tag, attributes in page.seen if tag == "a" or "id" in attributes]


def test_no_verdict_is_told_by_colour_alone() -> None:
    """Each verdict is a word, and the sheet puts a sign of its own before it for each of the four kinds."""
    sheet = stylesheet()
    signs = [
        re.search(rf"\.{kind} \.verdict::before {{ content: \"(.)\"", sheet) for kind in KINDS_OF_VERDICT
    ]
    assert len({sign.group(1) for sign in signs if sign}) == len(KINDS_OF_VERDICT)
    html = render_html([assessment()])
    assert 'class="pass part unconfirmed" data-criterion="EX01a-This"' in html


def test_every_sheet_of_paper_says_whose_it_is() -> None:
    other = replace(assessment(), patient="Patient/bob")
    html = render_html([assessment(), other])
    for number, patient in enumerate(("ann", "bob")):
        rule = re.search(rf"@page sheet{number}{{(.*?)}}\.sheet{number}{{", html)
        assert rule, number
        assert "NCT00000000" in rule[1]
        assert f"Patient\\2f {patient}\\2c  screening day 2026\\2d 06\\2d 15" in rule[1]
        assert "counter(page) ' of ' counter(pages)" in rule[1]
        assert f'<article class="assessment sheet{number}"' in html


def test_nothing_from_the_record_becomes_style() -> None:
    nasty = "x'}</style><script>alert(1)</script>@import url(y);\\"
    rules = paper_rules([view(replace(assessment(), patient=nasty))])
    assert not {"<", ">", "@import", "url(", "</style"} & {
        p for p in ("<", ">", "@import", "url(") if p in rules
    }
    html = render_html([replace(assessment(), patient=nasty * 20)])
    assert html.count("</style>") == 1
    assert not [tag for tag, _ in Page(html).seen if tag == "script"]
