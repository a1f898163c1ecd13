"""What stands on a card, what never does, and when there is none (design §6, clinical-spec §1.4)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import orjson
import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest

from cds_service.eligibility.assessment import Assessment
from cds_service.eligibility.verdict import Evidence, Verdict
from cds_service.hooks.card_text import DETAIL_LINES, escaped, names_sensitive
from cds_service.hooks.cards import CardOptions, cards
from cds_service.hooks.orders import order_set
from cds_service.records.record import Acquired
from tests.unit.hooks.assessments import assessment, confirmed_trial, missing, seen, trial

BASE = "https://cds.example.org"
SEROLOGY = ("EX08a-HepatitisB", "EX08b-HepatitisC", "EX08c-Hiv", "EX08d-Htlv", "EX08e-Syphilis")


def made(*assessments: Assessment, sensitive_orders: bool = False, **options: Any) -> list[dict[str, Any]]:
    orders = {a.trial.id: order_set(a.trial, sensitive_orders=sensitive_orders) for a in assessments}
    return cards(
        assessments, orders, CardOptions(**options), patient_id="1", encounter_id="e1", base_url=BASE
    )


def card(verdicts: dict[str, Verdict] | None = None, **options: Any) -> dict[str, Any]:
    (found,) = made(assessment(verdicts), **options)
    return found


def positive(reference: str, display: str) -> Verdict:
    return Verdict("unknown", reasons=("conflicting-data",), evidence=(seen(reference, display, "positive"),))


def test_an_eligible_patient_gets_one_info_card_with_its_parts() -> None:
    found = card()
    assert found["indicator"] == "info"
    assert (
        found["summary"] == "Stem cells for ALS (NCT02917681): may be eligible, 33 of 42 criteria fit, 9 open"
    )
    assert found["source"]["url"] == f"{BASE}/trials/nct02917681"
    assert found["source"]["topic"]["code"] == "NCT02917681"
    assert found["links"] == [
        {
            "label": "About NCT02917681: criteria, sites, contacts",
            "url": f"{BASE}/trials/nct02917681",
            "type": "absolute",
        }
    ]
    assert found["extension"]["org.cds-service.assessment"] == {
        "trial": "nct02917681",
        "version": trial().version,
        "asOf": "2026-06-15",
        "status": "eligible-pending-review",
        "counts": {"met": 6, "not-met": 27, "unknown": 9},
    }
    assert "suggestions" not in found
    assert "selectionBehavior" not in found


def test_the_detail_says_the_registry_status_first_and_then_lists_why_and_what_to_ask() -> None:
    lines = card({"EX07-Creatinine": missing()})["detail"].splitlines()
    assert lines[0].startswith("Registry status UNKNOWN, last verified 2016")
    assert [line for line in lines if not line.startswith("  ")] == [
        lines[0],
        "- **Why**",
        "- **Unknown (1)**",
        "- **Ask (8)**",  # EX16 is for the laboratory, after enrolment: nobody is asked
    ]
    assert any("no result on record" in line for line in lines)


@pytest.mark.parametrize("kind", ["inclusion", "exclusion"])
@pytest.mark.parametrize(
    "reason", ["missing-data", "text-only", "not-computed", "retrieval-failed", "boundary"]
)
def test_no_detail_has_more_lines_than_an_ehr_shows(kind: str, reason: str) -> None:
    verdict = Verdict("unknown", reasons=(reason,), blocking=True, question="What?")
    ids = [c.id for c in trial().criteria if c.kind == kind]
    found = card(dict.fromkeys(ids, verdict))
    lines = found["detail"].splitlines()
    assert len(lines) <= DETAIL_LINES
    assert len(found["summary"]) < 140
    assert all(line.startswith(("- ", "  - ", "Registry")) for line in lines)


@pytest.mark.proves("checklist:28", "cds-hooks_2.0@83")
def test_a_long_title_is_cut_and_the_counts_stay() -> None:
    long = replace(trial(), short_title="A very long title " * 20)
    (found,) = made(replace(assessment(), trial=long))
    assert len(found["summary"]) == 139
    assert found["summary"].endswith("…: may be eligible, 33 of 42 criteria fit, 9 open")


@pytest.mark.proves("checklist:28", "cds-hooks_2.0@83")
@pytest.mark.parametrize("length", [60, 70, 71, 72, 73, 74, 75, 80, 500])
def test_no_title_makes_a_summary_of_140_characters(length: int) -> None:
    (found,) = made(replace(assessment(), trial=replace(trial(), short_title="x" * length)))
    assert len(found["summary"]) < 140
    assert found["summary"].endswith(": may be eligible, 33 of 42 criteria fit, 9 open")


def test_recruitment_confirmed_drops_the_warning_and_offers_referral_first() -> None:
    (found,) = made(assessment({"EX07-Creatinine": missing()}, of=confirmed_trial()))
    assert "Registry status" not in found["detail"]
    assert [s["label"] for s in found["suggestions"]] == [
        "Refer for screening",
        "Prepare the screening-visit tests (1 draft order, after consent)",
    ]
    assert found["selectionBehavior"] == "any"


def test_draft_orders_are_complete_proposals_in_draft() -> None:
    found = card({"EX07-Creatinine": missing(), "EX06-AstAlt": missing(), "IN03-AlsfrsR": missing()})
    (tests,) = found["suggestions"]
    assert tests["label"] == "Prepare the screening-visit tests (4 draft orders, after consent)"
    assert [a["resource"]["code"]["coding"][0]["code"] for a in tests["actions"]] == [
        "82954-9",
        "1742-6",
        "1920-8",
        "2160-0",
    ]
    for action in tests["actions"]:
        assert action["type"] == "create"
        order = ServiceRequest.model_validate(action["resource"])
        assert (order.status, order.intent) == ("draft", "proposal")
        assert order.subject.reference == "Patient/1"
        assert order.encounter.reference == "Encounter/e1"
        assert "consent" in order.note[0].text


def test_sensitive_tests_are_ordered_only_where_the_site_allows_it() -> None:
    verdicts = {**dict.fromkeys(SEROLOGY, missing()), "EX07-Creatinine": missing()}
    (plain,) = card(verdicts)["suggestions"]
    assert len(plain["actions"]) == 1
    (allowed,) = card(verdicts, sensitive_orders=True)["suggestions"]
    assert len(allowed["actions"]) > 6


def test_missing_sensitive_tests_are_counted_and_not_named() -> None:
    found = card(dict.fromkeys(SEROLOGY, missing()))
    assert "5 screening blood tests missing" in found["detail"]
    assert not names_sensitive(found["detail"])


@pytest.mark.parametrize(
    ("criterion", "words"),
    [
        ("EX08c-Hiv", "one infectious-disease criterion: see the assessment"),
        ("EX10a-Pregnancy", "one confidential criterion: see the assessment"),
        ("EX10b-Breastfeeding", "one confidential criterion: see the assessment"),
        ("EX11-Immunodeficiency", "one confidential criterion: see the assessment"),
        ("EX14a-SubstanceUse", "one confidential criterion: see the assessment"),
    ],
)
@pytest.mark.parametrize("shown", ["open", "excluding"])
def test_a_sensitive_finding_is_named_nowhere_on_the_card(criterion: str, words: str, shown: str) -> None:
    verdict = positive("Observation/canary", "Canary finding")
    verdict = replace(verdict, notes=("canary note",), question="canary question?", likely="met")
    if shown == "excluding":
        verdict = replace(verdict, status="met", basis="explicit", reasons=(), likely=None)
    found = card({criterion: verdict}, show_excluded=True)
    assert words in found["detail"]
    text = orjson.dumps(found).decode()
    assert not re.search("canary", text, re.IGNORECASE)
    label = trial().criterion(criterion).label
    assert label not in text
    assert not names_sensitive(found["summary"] + found["detail"])


def test_a_diagnosis_is_dated_and_not_quoted() -> None:
    evidence = (seen("Condition/c", "Motor neuron disease due to HIV", None, "2025-02-01"),)
    found = card({"H1-Condition": Verdict("met", basis="explicit", evidence=evidence)})
    assert "HIV" not in found["detail"]
    assert "recorded 2025-02-01" in found["detail"]


def test_measured_values_are_shown_unless_their_name_is_sensitive() -> None:
    evidence = (seen("Observation/o", "ALSFRS-R total", "38 {score}"),)
    assert "ALSFRS-R total is at least 30: 38 {score} (2026-06-01)" in _alsfrs(evidence)
    assert "38" not in _alsfrs((seen("Observation/o", "Sífilis, ALSFRS-R", "38 {score}"),))


@pytest.mark.parametrize("value", ["probable", "Definite", "probable laboratory supported"])
def test_the_category_of_the_diagnosis_is_shown(value: str) -> None:
    evidence = (seen("Observation/o", "El Escorial category", value),)
    detail = card({"IN02-ElEscorial": Verdict("met", basis="explicit", evidence=evidence)})["detail"]
    assert f"El Escorial category is possible, probable or definite: {value} (2026-06-01)" in detail


def test_what_a_cut_list_leaves_out_is_counted_in_criteria() -> None:
    """Two questions that may not stand on the card share a line, and count as two."""
    lines = card({**dict.fromkeys(SEROLOGY, missing()), "EX07-Creatinine": missing()})["detail"].splitlines()
    asked = lines[lines.index("- **Ask (8)**") + 1 :]
    assert asked[0].startswith("  - No record found for ")
    (rest,) = [
        int(m[1]) for line in asked if (m := re.match(r"  - and (\d+) more: see the assessment", line))
    ]
    assert len(asked) - 2 + rest == 8


@pytest.mark.parametrize(
    "value",
    [
        "see note: anti-HBc positive, on tenofovir, beta-hCG positive, methadone",
        "38 hCG-methadone",
        "reagente",
        "38 (on antiretrovirals)",
    ],
)
def test_free_text_of_the_record_never_stands_on_a_card(value: str) -> None:
    detail = _alsfrs((seen("Observation/o", "ALSFRS-R total", value),))
    assert value not in detail
    assert "ALSFRS-R total is at least 30: recorded 2026-06-01" in detail


def test_the_age_is_shown_and_not_the_birth_date() -> None:
    evidence = (seen("Patient/1", "Patient", "1971-03-10, male", None),)
    verdict = Verdict("met", basis="computed", evidence=evidence, notes=("age 55 years 97 days",))
    detail = card({"IN01-Age": verdict})["detail"]
    assert "Age is between 18 and 70: age 55 years 97 days" in detail
    assert "1971" not in detail


def _alsfrs(evidence: tuple[Any, ...]) -> str:
    detail = card({"IN03-AlsfrsR": Verdict("met", basis="explicit", evidence=evidence)})["detail"]
    assert isinstance(detail, str)
    return detail


@pytest.mark.proves("checklist:31", "cds-hooks_2.0@85")
def test_text_of_the_record_is_neither_markup_nor_link() -> None:
    evil = "<script>x</script> [a](http://evil) **b** `c` www.evil.com a@b.c |d| ![i](j)\n# e &amp;"
    shown = escaped(evil, 200)
    assert "<" not in shown
    assert "\n" not in shown
    assert "http:" not in shown
    assert "www." not in shown
    assert "@" not in shown
    assert all(shown[m.start() - 1] == "\\" for m in re.finditer(r"[*\[\]`|]|(?<!&)#(?!\d)", shown))
    assert "&amp;amp;" in shown
    assert len(escaped("y" * 500)) <= 90


@pytest.mark.parametrize(
    ("text", "sensitive"),
    [
        ("HIV 1+2 Ab", True),
        ("Gravidez", True),
        ("Hepatite B", True),
        ("anti-HBc HBsAg", True),
        ("breast-feeding", True),
        ("Transtorno por uso de álcool", True),
        ("Alcoolismo", True),
        ("ALSFRS-R total", False),
        ("Forced vital capacity", False),
        ("hearing loss", False),
    ],
)
def test_words_of_sensitive_categories(text: str, sensitive: bool) -> None:
    assert names_sensitive(text) is sensitive


def test_excluded_patients_get_no_card_unless_the_site_shows_them() -> None:
    verdict = Verdict("met", basis="explicit", evidence=(seen("Observation/o", "AST", "150 U/L"),))
    excluded = assessment({"EX06-AstAlt": verdict, "EX08c-Hiv": positive("Observation/x", "x")})
    assert made(excluded) == []
    (found,) = made(excluded, show_excluded=True)
    assert found["summary"].endswith(": not eligible, 1 criterion against")
    assert "**Not eligible: 1 criterion**" in found["detail"]
    assert "150 U/L" in found["detail"]
    assert "suggestions" not in found


def test_an_exclusion_that_only_the_pi_can_decide_is_always_shown() -> None:
    verdict = Verdict("not-met", basis="computed", reasons=("boundary",))
    (found,) = made(assessment({"IN01-Age": verdict}))
    assert "excluded unless the PI rules otherwise (1 criterion to decide)" in found["summary"]
    assert "unless the PI rules otherwise" in found["detail"]
    assert found["extension"]["org.cds-service.assessment"]["status"] == "excluded"


def test_no_card_where_none_is_due() -> None:
    assert made(assessment(card=False)) == []
    assert made(assessment(status="not-applicable", card=False)) == []
    assert made(assessment(card=False, status="excluded"), show_excluded=True) == []


def test_the_most_promising_trials_come_first_and_the_rest_is_capped() -> None:
    boundary = Verdict("not-met", basis="computed", reasons=("boundary",))
    several = [
        _renamed("t-excluded", {"IN01-Age": Verdict("not-met", basis="computed")}),
        _renamed("t-boundary", {"IN01-Age": boundary}),
        _renamed("t-more-unknown", dict.fromkeys(SEROLOGY, missing())),
        _renamed("t-unknown", {"EX07-Creatinine": missing()}),
        _renamed("t-eligible", {}),
    ]
    shown = made(*several, show_excluded=True)
    assert [c["extension"]["org.cds-service.assessment"]["trial"] for c in shown] == [
        "t-eligible",
        "t-unknown",
        "t-more-unknown",
        "t-boundary",
        "t-excluded",
    ]
    assert len(made(*several, show_excluded=True, max_cards=2)) == 2


def _renamed(trial_id: str, verdicts: dict[str, Verdict]) -> Assessment:
    return assessment(verdicts, of=replace(trial(), id=trial_id))


def for_want_of(*kinds: str, reason: str = "retrieval-failed", **how: Any) -> Verdict:
    return Verdict("unknown", reasons=(reason,), unobtained=kinds, **how)


def test_data_that_could_not_be_got_are_named_with_why_how_much_and_what_to_do() -> None:
    data = {
        "Observation": Acquired("failed", 0, "timeout"),
        "Procedure": Acquired("failed", 2, "HTTP 503"),
        "Encounter": Acquired("failed", 0, "timeout"),
        "Consent": Acquired("refused", 0, "scope not granted"),
        "Device": Acquired("not-offered", 0, "not offered at this site"),
        "Immunization": Acquired("not-offered", 0, "not offered at this site"),
    }
    verdicts = {
        "IN03-AlsfrsR": for_want_of("Observation", blocking=True),
        "EX03f-WholeBodyIrradiation": for_want_of("Observation", "Procedure"),
        "IN07-ConsentCapacity": for_want_of("Consent"),
        "EX13b-Tracheostomy": for_want_of("Device", reason="not-offered"),
        "EX08a-HepatitisB": missing(),
    }
    (found,) = made(assessment(verdicts, data=data))
    lines = [line.strip(" -") for line in found["detail"].splitlines()]
    assert lines[lines.index("**Unknown (4)**") + 1 :][:4] == [
        (
            "Data not obtained: Observation, Procedure (HTTP 503, timeout), needed by 2 criteria: open the chart again, "
            "or look these up in it"
        ),
        (
            "Data not obtained: Consent (scope not granted), needed by 1 criterion: look these up in the chart; "
            "access is the administrator's to grant"
        ),
        "Not available electronically here: Device, needed by 1 criterion: ask the patient",
        "1 screening blood test missing",
    ]
    # Nothing rests on the encounters, and every row finds an immunization's want made up for elsewhere.
    assert "Encounter" not in found["detail"]
    assert "Immunization" not in found["detail"]


def test_a_hint_found_in_data_that_came_in_part_is_shown_in_its_own_line() -> None:
    found = Evidence("Observation/1", "ALT", "500 U/L", "2026-06-01", "final")
    lost = for_want_of("Observation", likely="met", evidence=(found,), blocking=True)
    data = {"Observation": Acquired("truncated", 1, "more pages exist")}
    detail = made(assessment({"EX06-AstAlt": lost}, data=data))[0]["detail"]
    assert "Data not obtained: Observation (more pages exist), needed by 1 criterion: look" in detail
    assert "likely present; 500 U/L (2026-06-01)" in detail


def test_a_sensitive_finding_in_data_that_came_in_part_is_counted_and_not_named() -> None:
    found = Evidence("Observation/1", "HBsAg", "positive", "2026-06-01", "final")
    lost = for_want_of("Observation", likely="met", evidence=(found,), blocking=True)
    data = {"Observation": Acquired("truncated", 1, "more pages exist")}
    man = Evidence("Patient/1", "Patient", "1971-03-10, male", None, None)
    others = {
        "EX08c-Hiv": for_want_of("Observation"),
        "EX10a-Pregnancy": for_want_of("Observation", likely="not-met", evidence=(man,)),
    }
    detail = made(assessment({"EX08a-HepatitisB": lost, **others}, data=data))[0]["detail"]
    lines = [line.strip(" -") for line in detail.splitlines()]
    assert lines[lines.index("**Unknown (3)**") + 1 :][:2] == [
        "Data not obtained: Observation (more pages exist), needed by 3 criteria: look these up in the chart",
        "one infectious-disease criterion: see the assessment",
    ]


def test_every_way_of_losing_everything_leaves_a_card_of_fifteen_lines() -> None:
    ways = [
        ("failed", "timeout"),
        ("refused", "HTTP 403"),
        ("not-offered", None),
        ("truncated", "paging loop"),
    ]
    kinds = ["Observation", "Procedure", "Consent", "Device"]
    data = {kind: Acquired(state, 0, why) for kind, (state, why) in zip(kinds, ways, strict=True)}
    ids = [c.id for c in trial().criteria if c.same_as is None]
    lost = {
        name: for_want_of(kinds[n % 4], reason="not-offered" if n % 4 == 2 else "retrieval-failed")
        for n, name in enumerate(ids)
    }
    (found,) = made(assessment(lost, data=data))
    lines = found["detail"].splitlines()
    assert len(lines) <= DETAIL_LINES
    assert sum("Data not obtained" in line for line in lines) == 3
    assert sum("Not available electronically" in line for line in lines) == 1


def test_a_fixed_day_is_said_on_the_card() -> None:
    assert (
        "- Assessed as of 2026-06-15, a day fixed by this service's settings"
        in card(fixed_date=True)["detail"]
    )
    assert "fixed" not in card()["detail"]


def test_override_reasons_stand_on_every_card() -> None:
    found = card()["overrideReasons"]
    assert [reason["code"] for reason in found] == [
        "no-time",
        "known-ineligible",
        "needs-information",
        "already-discussed",
        "patient-declined",
        "not-appropriate",
        "enrolled-elsewhere",
    ]
    assert {reason["system"] for reason in found} == {
        "https://cds-service.example/fhir/CodeSystem/override-reason"
    }
    assert all(reason["display"] for reason in found)


def empties(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [e for v in value.values() for e in empties(v)] + ([value] if not value else [])
    if isinstance(value, list):
        return [e for v in value for e in empties(v)] + ([value] if not value else [])
    return [value] if value is None or value == "" else []


@pytest.mark.proves("checklist:2", "cds-hooks_2.0@3")
def test_nothing_on_a_card_is_null_or_empty() -> None:
    verdict = Verdict("met", basis="explicit", evidence=(seen("Condition/c", "", None, None),))
    everything = made(
        assessment({"EX07-Creatinine": missing(), "H1-Condition": verdict}, of=confirmed_trial()),
        show_excluded=True,
    )
    assert empties(everything) == []
