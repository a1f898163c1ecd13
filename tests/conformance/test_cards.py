"""Cards as CDS Hooks asks for them: every card of every vignette, and cards of hostile records."""

from __future__ import annotations

import html
import re
from datetime import date
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fhir.resources.R4B.servicerequest import ServiceRequest
from flask.testing import FlaskClient
from markdown_it import MarkdownIt

from cds_service.app import load_screener
from cds_service.screening import Screener
from cds_service.settings import Settings, TrialSettings
from tests.conformance.shapes import RESPONSE, empties, misfits
from tests.contract.conftest import Make, making_apps
from tests.contract.hook_requests import (
    SERVICE,
    TRIAL,
    als,
    hook_request,
    person,
    searchset,
    vignette_request,
)

VIGNETTES = sorted(
    path.name.removesuffix(".json")
    for path in (files("cds_service") / "trials" / TRIAL / "vignettes").iterdir()
    if path.name.endswith(".json")
)
# A site that shows all that can be shown: excluded patients, referral, sensitive orders.
EVERYTHING: dict[str, Any] = {"cards__show_excluded": True, "cards__sensitive_orders": True}
CONFIRMED = {TRIAL: TrialSettings(recruiting_confirmed=date(2026, 5, 1), contact="coordinator, ext. 4711")}
PLAIN_TAGS = {"p", "ul", "li", "strong"}


@pytest.fixture(scope="module")
def answers(screener: Screener, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[dict[str, Any]]]:
    """The answers to every vignette, of a plain service and of one that shows everything."""
    types = screener.wanted(None).types
    found: dict[str, list[dict[str, Any]]] = {}
    with making_apps(screener, tmp_path_factory.mktemp("answers")) as make:
        for settings in ({}, EVERYTHING):
            client = make(base_url="https://cds.example.org", **settings).test_client()
            for name in VIGNETTES:
                body = vignette_request(name, types)
                body["context"]["encounterId"] = "enc-1"
                response = client.post(SERVICE, json=body)
                assert response.status_code == 200
                assert response.mimetype == "application/json"
                found.setdefault(name, []).append(response.get_json())
    return found


def cards_of(answers: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    found = [card for of_name in answers.values() for answer in of_name for card in answer["cards"]]
    assert len(found) > len(VIGNETTES)
    return found


@pytest.mark.proves(
    "checklist:26",
    "checklist:28",
    "checklist:29",
    "checklist:30",
    "checklist:33",
    "checklist:34",
    "checklist:35",
    "checklist:36",
    "cds-hooks_2.0@1",
    "cds-hooks_2.0@74",
    "cds-hooks_2.0@83",
    "cds-hooks_2.0@87",
    "cds-hooks_2.0@88",
    "cds-hooks_2.0@90",
    "cds-hooks_2.0@92",
    "cds-hooks_2.0@93",
    "cds-hooks_2.0@95",
    "cds-hooks_2.0@96",
    "cds-hooks_2.0@98",
    "cds-hooks_2.0@100",
    "cds-hooks_2.0@103",
    "cds-hooks_2.0@105",
    "cds-hooks_2.0@107",
    "cds-hooks_2.0@115",
    "cds-hooks_2.0@117",
    "cds-hooks_2.0@119",
    "cds-hooks_2.0@124",
    "cds-hooks_2.0@127",
    "cds-hooks_2.0@128",
    "cds-hooks_2.0@136",
    "cds-hooks_2.0@138",
    "cds-hooks_2.0@139",
    "cds-hooks_2.0@141",
    "cds-hooks_2.0@142",
    "cds-hooks_2.0@146",
    "cds-hooks_2.0@147",
    "cds-hooks_2.0@216",
    "cds-hooks_2.0@217",
    "cds-hooks_2.0@218",
    "cds-hooks_2.0@219",
)
@pytest.mark.parametrize("name", VIGNETTES)
def test_every_card_of_every_vignette_has_the_shape_of_the_specification(
    answers: dict[str, list[dict[str, Any]]], name: str
) -> None:
    for answer in answers[name]:
        assert misfits(answer, RESPONSE) == []


@pytest.mark.proves("checklist:2", "cds-hooks_2.0@3")
@pytest.mark.parametrize("name", VIGNETTES)
def test_nothing_anywhere_in_an_answer_is_null_or_empty(
    answers: dict[str, list[dict[str, Any]]], name: str
) -> None:
    for answer in answers[name]:
        assert empties(answer) == []


@pytest.mark.proves(
    "cds-hooks_2.0@81",
    "cds-hooks_2.0@84",
    "cds-hooks_2.0@99",
    "cds-hooks_2.0@104",
    "cds-hooks_2.0@106",
    "cds-hooks_2.0@108",
    "cds-hooks_2.0@116",
    "cds-hooks_2.0@220",
)
def test_what_a_card_may_have_and_has(answers: dict[str, list[dict[str, Any]]]) -> None:
    for card in cards_of(answers):
        assert {"uuid", "detail", "overrideReasons", "links", "extension"} <= set(card)
        assert set(card["source"]) == {"label", "url", "topic"}
        assert set(card["source"]["topic"]) == {"system", "code", "display"}


@pytest.mark.proves("checklist:32", "cds-hooks_2.0@80", "cds-hooks_2.0@118")
def test_no_two_cards_or_suggestions_share_a_uuid(client: FlaskClient, screener: Screener) -> None:
    body = vignette_request("AV-08", screener.wanted(None).types)
    seen = []
    for service in (SERVICE, SERVICE, "/cds-services/trial-eligibility"):
        (card,) = client.post(service, json=body).get_json()["cards"]
        seen += [card["uuid"], *(suggestion["uuid"] for suggestion in card["suggestions"])]
    assert len(seen) >= 6
    assert len(set(seen)) == len(seen)
    assert all(str(UUID(each)) == each and UUID(each).version == 4 for each in seen)


@pytest.mark.proves("checklist:4", "cds-hooks_2.0@214", "cds-hooks_2.0@215")
def test_the_extension_is_an_object_of_agreed_parts(answers: dict[str, list[dict[str, Any]]]) -> None:
    for card in cards_of(answers):
        (name,) = card["extension"]
        assert name == "org.cds-service.assessment"
        assert set(card["extension"][name]) == {"trial", "version", "asOf", "status", "counts"}


@pytest.mark.proves("cds-hooks_2.0@109")
def test_no_address_on_a_card_tells_of_the_patient(answers: dict[str, list[dict[str, Any]]]) -> None:
    page = f"https://cds.example.org/trials/{TRIAL}"
    for card in cards_of(answers):
        assert card["source"]["url"] == page
        assert [link["url"] for link in card["links"]] == [page]


@pytest.mark.proves(
    "checklist:51",
    "cds-hooks_2.0@94",
    "cds-hooks_2.0@123",
    "cds-hooks_2.0@129",
    "cds-hooks_2.0@130",
    "cds-hooks_2.0@131",
)
def test_actions_create_whole_new_resources(answers: dict[str, list[dict[str, Any]]]) -> None:
    actions = [
        action
        for card in cards_of(answers)
        for suggestion in card.get("suggestions", ())
        for action in suggestion["actions"]
    ]
    assert actions
    for action in actions:
        assert action["type"] == "create"
        assert action["description"].startswith("Create a draft ")
        order = ServiceRequest.model_validate(action["resource"])
        assert order.id is None
        assert (order.status, order.intent) == ("draft", "proposal")
        assert order.encounter.reference == "Encounter/enc-1"


@pytest.mark.proves("cds-hooks_2.0@125")
def test_a_suggestion_says_all_that_it_does(answers: dict[str, list[dict[str, Any]]]) -> None:
    """Accepting it accepts all of its actions: its label counts them."""
    for card in cards_of(answers):
        for suggestion in card.get("suggestions", ()):
            counted = re.search(r"\((\d+) draft orders?, after consent\)$", suggestion["label"])
            assert len(suggestion["actions"]) == int(counted[1] if counted else 1)


@pytest.mark.proves("checklist:34", "cds-hooks_2.0@128")
def test_referral_is_suggested_where_recruitment_is_confirmed(tmp_path: Path) -> None:
    """The second suggestion of a card has the shape of the first."""
    confirmed = load_screener(Settings(trials=CONFIRMED))
    body = vignette_request("AV-08", confirmed.wanted(None).types)
    with making_apps(confirmed, tmp_path) as make:
        answer = make().test_client().post(SERVICE, json=body).get_json()
    assert misfits(answer, RESPONSE) == []
    assert empties(answer) == []
    assert len(answer["cards"][0]["suggestions"]) == 2


@pytest.mark.proves("checklist:26", "cds-hooks_2.0@77")
@pytest.mark.parametrize("condition", [None, searchset()], ids=["null", "empty searchset"])
def test_no_guidance_is_an_empty_list_of_cards(client: FlaskClient, condition: Any) -> None:
    body = hook_request(prefetch={"patient": person(), "condition": condition})
    response = client.post(SERVICE, json=body)
    assert response.status_code == 200
    assert response.get_json() == {"cards": []}


# --- Markdown ---


def tags(markdown: str) -> set[str]:
    """The elements that a client draws from GitHub Flavored Markdown; raw HTML and every link let through, as some do."""
    drawing = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    drawing.validateLink = lambda url: True  # type: ignore[method-assign]
    return set(re.findall(r"<[/!?]?([a-zA-Z-][a-zA-Z0-9-]*)", drawing.render(markdown)))


# GitHub's extended autolinks: what looks like an address becomes a link even without brackets.
_AUTOLINK = re.compile(r"(?i)\b(https?://|ftp://|mailto:|xmpp:|www\.)\S|[\w.+-]+@[\w-]+\.\w")
HOSTILE = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;b&gt; &#60;i&#62;",
    "[click](javascript:alert(1))",
    "![pixel](https://tracker.example/p.png)",
    "<https://evil.example>",
    "https://evil.example www.evil.example mailto:a@evil.example a@evil.example",
    "**bold** _em_ ~~gone~~ `code` ***",
    "line\n\n# heading\n\n- item\n\n---\n\n> quote\n\n```\ncode\n```",
    "| a | b |\n|---|---|\n| 1 | 2 |",
    "\\* \\[x\\](y) \\",
    "a\u2028b\u0085c\x0bd\r\n\r\n# e",
    "[x]: https://evil.example 'y'\n\n[x]",
    "<!-- comment --> <? x ?> <![CDATA[x]]>",
    "\u202emoc.live\u202c \u200b\ufeff",
    "x" * 5000,
)


def hostile_record(text: str) -> dict[str, Any]:
    """A prefetch in which every place that a card could quote holds the text."""
    evil = {"text": text, "coding": [{"system": "http://loinc.org", "code": "82953-1", "display": text}]}
    condition = als(
        code={
            "text": text,
            "coding": [{"system": "http://snomed.info/sct", "code": "86044005", "display": text}],
        }
    )
    observation = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "subject": {"reference": "Patient/1"},
        "code": evil,
        "effectiveDateTime": "2026-06-01",
    }
    numbered = {**observation, "id": "o2", "valueQuantity": {"value": 38, "unit": text, "code": text}}
    worded = {**observation, "id": "o3", "valueString": text}
    coded = {**observation, "id": "o4", "valueCodeableConcept": {"text": text, "coding": [{"display": text}]}}
    dated = {**observation, "id": "o5", "valueInteger": 38, "effectiveDateTime": text}
    failure = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": text, "diagnostics": text, "details": {"text": text}}],
    }
    return {
        "patient": person(name=[{"text": text, "family": text}], gender=text),
        "condition": searchset(condition),
        "observation": searchset(numbered, worded, coded, dated),
        "procedure": failure,
        "medicationRequest": {"resourceType": text},
        "device": searchset(
            {"resourceType": "Device", "id": "d", "patient": {"reference": "Patient/1"}, "type": evil}
        ),
    }


@pytest.mark.proves("checklist:31", "cds-hooks_2.0@85", "checklist:28")
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_of_a_record_never_becomes_markup(make_app: Make, text: str) -> None:
    client = make_app(cards__show_excluded=True).test_client()
    response = client.post(SERVICE, json=hook_request(prefetch=hostile_record(text)))
    answer = response.get_json()
    assert misfits(answer, RESPONSE) == []
    assert empties(answer) == []
    (card,) = answer["cards"]
    assert tags(card["detail"]) <= PLAIN_TAGS
    assert not _AUTOLINK.search(card["detail"])
    assert not _AUTOLINK.search(card["summary"])
    assert len(card["detail"].splitlines()) <= 15
    assert "<" not in card["summary"]


@pytest.mark.proves("checklist:31", "cds-hooks_2.0@85")
def test_details_are_lists_of_plain_words(answers: dict[str, list[dict[str, Any]]]) -> None:
    for card in cards_of(answers):
        assert tags(card["detail"]) <= PLAIN_TAGS
        assert not _AUTOLINK.search(html.unescape(card["detail"]))


@pytest.mark.parametrize("text", [text for text in HOSTILE if re.search(r"[<`|:]|^\*", text)])
def test_the_check_of_markup_would_notice(text: str) -> None:
    assert tags(text) - PLAIN_TAGS or _AUTOLINK.search(text)
