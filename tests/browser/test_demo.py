"""What a person does on the demo page, done in a real Chromium against a running `cds-service demo`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import requests
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.conftest import TIMEOUT_MS, watch
from tests.browser.walking import (
    CANDIDATE,
    NO_ALS,
    TOO_OLD,
    answered,
    contrasts,
    exchanges,
    open_chart,
    overflow,
    summary,
)

pytestmark = pytest.mark.browser


def fhir(demo: str, path: str) -> dict[str, Any]:
    """A resource or Bundle of the sandbox's server."""
    body: dict[str, Any] = requests.get(f"{demo}/sandbox/fhir/{path}", timeout=10).json()
    return body


def test_the_root_leads_to_the_page_with_its_patients(page: Page, demo: str) -> None:
    page.goto(demo)
    expect(page).to_have_url(f"{demo}/sandbox/")
    expect(page.locator("#patient-list a").first).to_be_visible()
    assert page.locator("#patient-list a").count() >= 12
    expect(page.locator("#as-of")).to_have_text("2026-06-15")
    expect(page.locator("#service option")).to_have_text(
        ["trial-nct02917681", "trial-eligibility"], use_inner_text=True
    )


def test_searching_narrows_the_list_and_says_how_far(page: Page, demo: str) -> None:
    page.goto(f"{demo}/sandbox/")
    page.get_by_label("Find a patient").fill("turned 71")
    expect(page.locator("#patient-list a")).to_have_count(1)
    expect(page.locator("#found")).to_contain_text("1 of ")
    page.get_by_label("Find a patient").fill("nobody of this name")
    expect(page.locator("#patient-list a")).to_have_count(0)


def test_opening_a_candidate_shows_the_card(page: Page, demo: str) -> None:
    page.goto(f"{demo}/sandbox/")
    page.locator("#patient-list a", has_text="João Almeida").click()
    answered(page)
    card = page.locator("#cards .card")
    expect(card).to_have_count(1)
    expect(card.locator(".indicator")).to_have_text("Information")
    expect(card.locator("h3")).to_contain_text("NCT02917681")
    expect(card.locator(".detail")).to_contain_text("Registry status UNKNOWN")
    expect(card.locator(".source")).to_contain_text("Source:")
    assert card.locator(".detail li").count() >= 1
    expect(page.locator("#announcer")).to_contain_text("1 card")
    expect(page.get_by_role("heading", name="Problems")).to_be_visible()
    expect(page.locator("#panel")).to_contain_text("Amyotrophic lateral sclerosis")


def test_an_excluded_patient_is_shown_with_the_reasons_and_their_evidence(page: Page, demo: str) -> None:
    cards = open_chart(page, demo, TOO_OLD)
    expect(cards).to_have_count(1)
    expect(cards.first).to_contain_text(re.compile("not eligible|excluded", re.I))
    expect(cards.first).to_contain_text(re.compile("age", re.I))
    page.locator(".tabs a[data-tab=assessment]").click()
    age = page.locator("tr[data-criterion=IN01-Age]")
    expect(age.locator(".verdict")).to_have_text("Not met")
    expect(page.locator(".assessment .banner")).to_contain_text("Not eligible")


def test_a_patient_without_the_disease_gets_no_card_and_no_noise(page: Page, demo: str) -> None:
    cards = open_chart(page, demo, NO_ALS)
    expect(page.locator("#hook-status")).to_contain_text("No card for this patient")
    expect(cards).to_have_count(0)


def test_the_full_assessment_shows_the_protocols_rows_with_composites_in_parts(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE, "assessment")
    expect(page.locator(".assessment table")).to_have_count(3)
    rows = [page.locator(".assessment table").nth(n).locator("tbody tr:not(.part)").count() for n in range(3)]
    assert rows == [3, 8, 16]
    assert page.locator("tr.part[data-criterion^=EX08]").count() == 5
    alsfrs = page.locator("tr[data-criterion=IN03-AlsfrsR]")
    expect(alsfrs).to_contain_text("38")
    expect(alsfrs).to_contain_text("2026-06-01")
    with page.context.expect_page() as opened:
        page.get_by_role("button", name="Open the page to print").click()
    printed = opened.value
    expect(printed.locator("article.assessment")).to_have_count(1)
    # The sheet applies under the page's own policy: the verdict is drawn as a pill.
    assert printed.locator(".verdict").first.evaluate("node => getComputedStyle(node).borderRadius") == "16px"


def test_answering_the_questions_changes_the_card(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE)
    before = summary(page), page.locator("#cards .detail").inner_text()
    page.locator(".tabs a[data-tab=questions]").click()
    item = page.locator("[data-item=EX02-CannotLieStill]")
    expect(item.locator(".chip")).to_have_text("unknown")
    item.get_by_label("Yes").check()
    page.get_by_role("button", name="Save answers and ask again").click()
    expect(page.get_by_text("Answers saved; the service was asked again.")).to_be_visible()
    expect(page.locator("#cards .card h3")).not_to_have_text(before[0])
    expect(page.locator("#cards .before")).to_contain_text(before[0])
    expect(page.locator("#cards .card")).to_contain_text(re.compile("not eligible|excluded", re.I))
    expect(page.locator("[data-item=EX02-CannotLieStill] .chip")).to_have_text("present, as answered")

    stored = fhir(demo, f"QuestionnaireResponse?patient={CANDIDATE}&author=Practitioner/sandbox-clinician")
    response = stored["entry"][0]["resource"]
    assert stored["total"] == 1
    assert response["status"] == "completed"
    assert response["authored"] == "2026-06-15"
    assert response["questionnaire"].split("|")[0].endswith("/Questionnaire/eligibility-attestation")
    answer = response["item"][0]["item"][0]
    assert answer["linkId"] == "EX02-CannotLieStill"
    assert answer["answer"][0]["valueCoding"]["code"] == "yes"
    assert answer["answer"][0]["valueCoding"]["system"].endswith("/CodeSystem/attestation-answer")

    # The answer taken back: the same response is amended, and the card is as it was.
    page.locator("[data-item=EX02-CannotLieStill]").get_by_label("No answer").check()
    page.get_by_role("button", name="Save answers and ask again").click()
    expect(page.locator("#cards .card h3")).to_have_text(before[0])
    expect(page.locator("#cards .detail")).to_have_text(before[1], use_inner_text=True)
    amended = fhir(demo, f"QuestionnaireResponse?patient={CANDIDATE}&author=Practitioner/sandbox-clinician")
    assert [e["resource"]["status"] for e in amended["entry"]] == ["amended"]


def test_an_accepted_suggestion_lies_on_the_chart_and_the_service_is_told(page: Page, demo: str) -> None:
    patient = patient_with_suggestion(demo)
    card = open_chart(page, demo, patient).first
    orders_before = fhir(demo, f"ServiceRequest?patient={patient}&_summary=count")["total"]
    card.locator(".suggestions summary").first.click()
    announced = card.locator(".suggestions details").first.locator("li").count()
    assert announced >= 1
    card.locator("button.accept").first.click()
    expect(card.locator(".outcome")).to_contain_text("Accepted")
    expect(card.locator(".outcome")).to_contain_text("The service was told.")
    expect(card.locator("button.accept").first).to_be_disabled()
    expect(page.get_by_role("heading", name="Orders")).to_be_visible()
    stored = fhir(demo, f"ServiceRequest?patient={patient}")
    assert stored["total"] == orders_before + announced
    drafts = [e["resource"] for e in stored["entry"] if e["resource"]["status"] == "draft"]
    assert {order["intent"] for order in drafts} == {"proposal"}
    told = exchanges(page).first
    expect(told).to_contain_text("feedback")
    expect(told).to_contain_text("200")


def patient_with_suggestion(demo: str) -> str:
    """The first demo patient whose card offers draft orders."""
    patients = requests.get(f"{demo}/sandbox/config.json", timeout=10).json()["patients"]
    for patient in patients:
        body = {
            "hook": "patient-view",
            "hookInstance": "0e1b6a4c-5a5e-4a8e-9d5b-6f1d2f0a7c11",
            "fhirServer": f"{demo}/sandbox/fhir",
            "context": {"userId": "Practitioner/sandbox-clinician", "patientId": patient["id"]},
        }
        answer = requests.post(f"{demo}/cds-services/trial-nct02917681", json=body, timeout=20).json()
        if any(card.get("suggestions") for card in answer["cards"]):
            return str(patient["id"])
    raise AssertionError("no demo patient gets a suggestion")


def test_dismissing_a_card_with_a_reason_is_told_to_the_service(page: Page, demo: str) -> None:
    card = open_chart(page, demo, CANDIDATE).first
    card.get_by_text("Dismiss this card").click()
    select = card.get_by_label("Reason")
    assert select.locator("option").count() >= 7
    select.select_option(index=1)
    reason = select.locator("option").nth(1).inner_text()
    card.get_by_role("button", name="Dismiss").click()
    expect(card.locator(".outcome")).to_have_text(f"Dismissed: {reason}. The service was told.")
    expect(card.locator(".detail")).to_be_hidden()
    sent = exchanges(page).first
    sent.locator("summary").click()
    request = json.loads(sent.locator("pre").first.inner_text())
    assert request["feedback"][0]["outcome"] == "overridden"
    assert request["feedback"][0]["overrideReason"]["reason"]["code"]


def test_a_card_that_was_refused_rests_says_why_and_can_be_brought_back(page: Page, demo: str) -> None:
    card = open_chart(page, demo, CANDIDATE).first
    before = summary(page)
    dismiss(card, "Patient declined")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#hook-status")).to_contain_text("No card for this patient")
    rests = page.get_by_role("region", name="Cards at rest")
    expect(rests).to_contain_text(
        "Patient declined: the card of NCT02917681 rests for every user, until it is revoked."
    )
    # Nothing of it lives in the page: another visit says the same, of this patient alone.
    open_chart(page, demo, TOO_OLD)
    expect(page.locator("#cards .card")).to_have_count(1)
    expect(rests).to_have_count(0)
    page.reload()
    open_chart(page, demo, CANDIDATE)
    expect(rests).to_be_visible()
    rests.get_by_role("button", name="Bring back").click()
    expect(page.locator("#cards .card h3")).to_have_text(before)
    expect(rests).to_have_count(0)


def test_resetting_the_demo_brings_every_card_back(page: Page, demo: str) -> None:
    dismiss(open_chart(page, demo, CANDIDATE).first, "No time now")
    page.get_by_role("button", name="Ask again").click()
    rests = page.get_by_role("region", name="Cards at rest")
    expect(rests).to_contain_text("No time now: the card of NCT02917681 rests 14 days for you.")
    page.get_by_role("button", name="Reset demo").click()
    expect(page.locator("#cards .card")).to_have_count(1)
    expect(rests).to_have_count(0)


def test_a_card_that_needs_information_comes_again(page: Page, demo: str) -> None:
    dismiss(open_chart(page, demo, CANDIDATE).first, "Needs more information")
    page.get_by_role("button", name="Ask again").click()
    expect(page.locator("#cards .card .detail")).to_be_visible()
    expect(page.get_by_role("region", name="Cards at rest")).to_have_count(0)


def dismiss(card: Locator, reason: str) -> None:
    card.get_by_text("Dismiss this card").click()
    card.get_by_label("Reason").select_option(label=reason)
    card.get_by_role("button", name="Dismiss").click()
    expect(card.locator(".outcome")).to_contain_text("The service was told.")


def test_request_and_response_can_be_looked_at(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE, "wire")
    shown = page.locator("#panel .exchange").first
    expect(shown.locator("summary")).to_contain_text("POST /cds-services/trial-nct02917681 · 200")
    request = json.loads(shown.locator("pre").nth(0).inner_text())
    response = json.loads(shown.locator("pre").nth(1).inner_text())
    assert request["hook"] == "patient-view"
    assert re.fullmatch(
        r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", request["hookInstance"]
    )
    assert request["context"] == {"userId": "Practitioner/sandbox-clinician", "patientId": CANDIDATE}
    assert request["fhirServer"] == f"{demo}/sandbox/fhir"
    services = requests.get(f"{demo}/cds-services", timeout=10).json()["services"]
    asked = next(s for s in services if s["id"] == "trial-nct02917681").get("prefetch", {})
    assert set(request["prefetch"]) == set(asked)
    assert response["cards"][0]["summary"] == summary(page)


def test_the_other_service_can_be_chosen(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE)
    page.get_by_label("CDS service").select_option("trial-eligibility")
    answered(page)
    expect(exchanges(page).first.locator("summary")).to_contain_text("/cds-services/trial-eligibility")
    expect(page.locator("#cards .card")).to_have_count(1)


HOWS = {
    "scope": "Observation (scope not granted), needed by",
    "refused": "Observation (HTTP 403), needed by",
    "fails": "Observation (HTTP 500), needed by",
    "slow": "Observation (timeout), needed by",
    "part": "Observation (a later page failed: HTTP 400), needed by",
}


@pytest.mark.parametrize("how", HOWS)
def test_data_that_can_not_be_got_are_said_on_the_card_and_in_the_assessment(
    page: Page, demo: str, how: str
) -> None:
    open_chart(page, demo, CANDIDATE, "assessment")
    expect(page.locator(".assessment .banner")).to_contain_text("May be eligible")
    page.get_by_text("What if data can't be got?").click()
    page.get_by_label("What goes wrong with it").select_option(how)
    detail = page.locator("#cards .detail")
    expect(detail).to_contain_text(f"Data not obtained: {HOWS[how]}")
    expect(page.locator(".assessment .banner")).to_contain_text("Not decided")
    expect(page.locator(".assessment .warnings")).to_contain_text("criteria are unknown for want of it:")
    exchanges(page)
    request = json.loads(page.locator("#panel .exchange[open] pre").first.inner_text())
    assert ("patient/Observation.rs" in request["fhirAuthorization"]["scope"]) is (how != "scope")
    # It stays with the page, not with the server: others see nothing of it, and the reset takes it back.
    assert fhir(demo, f"Observation?patient={CANDIDATE}")["total"] > 3
    page.get_by_role("button", name="Reset demo").click()
    expect(detail).not_to_contain_text("Data not obtained")
    expect(page.locator("#trouble-how")).to_have_value("")


def test_without_conditions_there_is_no_card(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE)
    page.get_by_text("What if data can't be got?").click()
    page.get_by_label("Resource type that makes trouble").select_option("Condition")
    page.get_by_label("What goes wrong with it").select_option("fails")
    expect(page.locator("#hook-status")).to_contain_text("No card for this patient")
    page.get_by_label("What goes wrong with it").select_option("")
    expect(page.locator("#cards .card")).to_have_count(1)


@pytest.mark.parametrize(
    ("width", "scheme"), [(390, "light"), (390, "dark"), (1280, "light"), (1280, "dark")]
)
def test_the_control_for_missing_data_fits_and_can_be_read(
    browser: Browser, demo: str, width: int, scheme: Any
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 850}, color_scheme=scheme, reduced_motion="reduce"
    )
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    open_chart(page, demo, CANDIDATE)
    tab_to(page, lambda at: at["text"] == "What if data can't be got?")
    page.keyboard.press("Enter")
    tab_to(page, lambda at: at["id"] == "trouble-how")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#cards .detail")).to_contain_text(
        "Data not obtained: Observation (scope not granted)"
    )
    # Who chose by keyboard stays where they were.
    expect(page.locator("#trouble-how")).to_be_focused()
    assert overflow(page) == 0
    assert [entry for entry in contrasts(page) if entry[0] < 4.5] == []
    context.close()


def test_links_of_a_card_open_the_trial_page(page: Page, demo: str) -> None:
    card = open_chart(page, demo, CANDIDATE).first
    link = card.locator(".links a").first
    assert link.get_attribute("rel") == "noopener noreferrer"
    answer = requests.get(str(link.get_attribute("href")), timeout=10)
    assert answer.status_code == 200
    assert "NCT02917681" in answer.text


def test_resetting_brings_the_start_back(page: Page, demo: str) -> None:
    open_chart(page, demo, CANDIDATE, "questions")
    page.locator("[data-item=EX02-CannotLieStill]").get_by_label("No", exact=True).check()
    page.get_by_role("button", name="Save answers and ask again").click()
    expect(page.get_by_text("Answers saved; the service was asked again.")).to_be_visible()
    page.get_by_role("button", name="Reset demo").click()
    expect(page.locator("#announcer")).not_to_be_empty()
    expect(page.locator("[data-item=EX02-CannotLieStill]").get_by_label("No answer")).to_be_checked()
    own = f"QuestionnaireResponse?patient={CANDIDATE}&author=Practitioner/sandbox-clinician&_summary=count"
    assert fhir(demo, own)["total"] == 0


def test_a_link_to_nobody_says_so(browser: Browser, demo: str) -> None:
    page = browser.new_page()
    page.goto(f"{demo}/sandbox/#/patient/nobody")
    expect(page.locator(".notice")).to_contain_text("There is no Patient of that id.")
    page.close()


def test_a_service_that_fails_is_reported_and_not_hidden(browser: Browser, demo: str) -> None:
    page = browser.new_page()
    body = {
        "resourceType": "OperationOutcome",
        "issue": [{"severity": "error", "code": "exception", "diagnostics": "Boom."}],
    }
    page.route("**/cds-services/trial-nct02917681", lambda route: route.fulfill(status=500, json=body))
    page.goto(f"{demo}/sandbox/#/patient/{CANDIDATE}")
    expect(page.locator("#cards .notice")).to_have_text("Boom.")
    page.close()


def test_the_page_works_with_the_keyboard_alone(page: Page, demo: str) -> None:
    page.goto(f"{demo}/sandbox/")
    expect(page.locator("#patient-list a").first).to_be_visible()
    page.keyboard.press("Tab")
    assert focused(page)["text"] == "Skip to the chart"
    tab_to(page, lambda at: at["id"] == "search")
    page.keyboard.type("João")
    tab_to(page, lambda at: "João Almeida" in at["text"])
    page.keyboard.press("Enter")
    answered(page)
    assert focused(page)["tag"] == "h1"
    tab_to(page, lambda at: at["text"] == "Questions")
    page.keyboard.press("Enter")
    expect(page.locator("form.questions")).to_be_visible()
    tab_to(page, lambda at: at["name"] == "EX02-CannotLieStill")
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-item=EX02-CannotLieStill]").get_by_label("Yes")).to_be_checked()
    tab_to(page, lambda at: at["text"] == "Save answers and ask again")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Answers saved; the service was asked again.")).to_be_focused()
    expect(page.locator("#cards .card")).to_contain_text(re.compile("not eligible|excluded", re.I))
    tab_to(page, lambda at: at["text"] == "Dismiss this card", back=True)
    page.keyboard.press("Enter")
    tab_to(page, lambda at: at["text"] == "Dismiss")
    page.keyboard.press("Enter")
    expect(page.locator("#cards .outcome")).to_contain_text("Dismissed")


_FOCUSED = """() => {
  const node = document.activeElement;
  const style = getComputedStyle(node);
  const outline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
  return { tag: node.localName, id: node.id, name: node.name ?? "", text: node.textContent.trim(), outline,
           visible: node.getBoundingClientRect().width > 0 };
}"""


def focused(page: Page) -> dict[str, Any]:
    """The focused element, and whether a person sees that it is."""
    found: dict[str, Any] = page.evaluate(_FOCUSED)
    return found


def tab_to(page: Page, wanted: Any, *, back: bool = False) -> None:
    """Tab until `wanted` holds of the focused element; on the way every stop must be visible and outlined."""
    for _ in range(200):
        page.keyboard.press("Shift+Tab" if back else "Tab")
        at = focused(page)
        if at["tag"] not in ("body", "h1"):
            assert at["outline"], f"no visible focus on {at}"
            assert at["visible"], f"focus on what can't be seen: {at}"
        if wanted(at):
            return
    raise AssertionError("never reached by keyboard")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("tab", ["chart", "questions", "assessment", "wire"])
def test_text_contrast_is_at_least_4_5(browser: Browser, demo: str, scheme: Any, tab: str) -> None:
    context = browser.new_context(
        viewport={"width": 1360, "height": 900}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    open_chart(page, demo, TOO_OLD, tab)
    expect(page.locator("#panel > *").first).to_be_visible()
    page.wait_for_load_state("networkidle")
    found = contrasts(page)
    assert len(found) > 40
    assert [entry for entry in found if entry[0] < 4.5] == []
    context.close()


@pytest.mark.parametrize("width", [360, 768, 1100])
def test_no_horizontal_scrolling_at_any_width(browser: Browser, demo: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 780})
    context.set_default_timeout(TIMEOUT_MS)
    page = context.new_page()
    complaints = watch(page)
    page.goto(f"{demo}/sandbox/")
    expect(page.locator("#patient-list a").first).to_be_visible()
    assert overflow(page) == 0
    for tab in ("chart", "questions", "assessment", "wire"):
        open_chart(page, demo, CANDIDATE, tab)
        page.wait_for_load_state("networkidle")
        assert overflow(page) == 0, tab
    if width == 360:
        expect(page.locator("nav.patients")).to_be_hidden()
        page.get_by_role("link", name="All patients").click()
        expect(page.locator("nav.patients")).to_be_visible()
    assert complaints == []
    context.close()


def test_the_page_loads_nothing_from_elsewhere_and_states_a_strict_policy(page: Page, demo: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    open_chart(page, demo, CANDIDATE, "assessment")
    assert asked
    assert [url for url in asked if not url.startswith(demo)] == []
    policy = requests.get(f"{demo}/sandbox/", timeout=10).headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    html = requests.get(f"{demo}/sandbox/", timeout=10).text
    assert not re.search(r"\son\w+=|<style|<script(?![^>]*\bsrc=)", html)


@pytest.mark.parametrize("patient", ["av-11-rosa", "av-14-teresa", "av-16-osvaldo"])
def test_patients_who_get_no_card_still_have_an_assessment_to_look_at(
    page: Page, demo: str, patient: str
) -> None:
    open_chart(page, demo, patient, "assessment")
    expect(page.locator("#hook-status")).to_contain_text("No card")
    expect(page.locator(".assessment .banner strong")).not_to_be_empty()
