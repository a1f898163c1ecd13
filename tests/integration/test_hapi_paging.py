"""A real FHIR server's own ways: pages that it forgets, answers that it keeps, what is deleted, what is only referred to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from tests import builders
from tests.support import hapi
from tests.support.hooked import (
    Answer,
    Hook,
    RecordingScreener,
    assessed,
    hooked,
    prefetched,
    record_of,
    states,
    verdicts,
)

pytestmark = pytest.mark.hapi

Resources = list[dict[str, Any]]


@pytest.fixture(scope="module")
def hook(screener: RecordingScreener, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    with hooked(tmp_path_factory.mktemp("hook"), screener, SERVICE_PREFETCH="full") as made:
        yield made


def newcomer() -> str:
    """The id of a patient of whom the server has never heard."""
    return f"p-{uuid4().hex}"


def loaded(base: str, patient: str, *facts: dict[str, Any]) -> Resources:
    """The base candidate with these facts, once they are on the server."""
    found = builders.resources_of(builders.b0(list(facts), who=builders.patient(patient)))
    hapi.load(base, found)
    return found


def agrees(answer: Answer, screener: RecordingScreener, resources: Resources) -> None:
    assert answer.assessment is not None
    whole = assessed(screener, record_of(resources))
    assert verdicts(answer.assessment) == verdicts(whole)
    assert set(states(answer.assessment).values()) == {"complete"}


def leukemia(patient: str) -> dict[str, Any]:
    return {**builders.condition(builders.icd10cm("C92.00")), "id": f"{patient}-leukemia"}


def said_of(answer: Answer, criterion: str) -> str:
    assert answer.assessment is not None
    return str(verdicts(answer.assessment)[criterion]["status"])


def test_what_was_recorded_since_the_last_view_counts_at_once(hapi_url: str, hook: Hook) -> None:
    """HAPI answers the same search from what it found before, for a minute, unless it is asked to look again."""
    patient = newcomer()
    facts = loaded(hapi_url, patient)
    assert said_of(hook.call(patient, server=hapi_url), "EX03d-Leukemia") == "not-met"
    hapi.load(hapi_url, [{**leukemia(patient), "subject": {"reference": f"Patient/{patient}"}}])
    assert said_of(hook.call(patient, server=hapi_url), "EX03d-Leukemia") == "met"
    assert len(facts) > 1


def test_what_was_deleted_since_the_last_view_counts_no_more(hapi_url: str, hook: Hook) -> None:
    patient = newcomer()
    loaded(hapi_url, patient, leukemia(patient))
    assert said_of(hook.call(patient, server=hapi_url), "EX03d-Leukemia") == "met"
    assert requests.delete(f"{hapi_url}/Condition/{patient}-leukemia", timeout=60).ok
    assert requests.get(f"{hapi_url}/Condition/{patient}-leukemia", timeout=60).status_code == 410
    assert said_of(hook.call(patient, server=hapi_url), "EX03d-Leukemia") == "not-met"


def test_a_deleted_patient_can_not_be_assessed(hapi_url: str, hook: Hook) -> None:
    patient = newcomer()
    hapi.load(hapi_url, [builders.patient(patient)])
    assert requests.delete(f"{hapi_url}/Patient/{patient}", timeout=60).ok
    told = hook.call(patient, server=hapi_url, status=412)
    assert told.cards == []


def test_pages_that_an_ehr_did_not_follow_are_followed(
    hapi_url: str, hook: Hook, screener: RecordingScreener
) -> None:
    patient = newcomer()
    resources = loaded(hapi_url, patient)
    pages = prefetched(hapi_url, hook.templates(), patient, count=2)
    assert _next_links(pages) >= 1
    agrees(hook.call(patient, server=hapi_url, prefetch=pages), screener, resources)


def test_pages_that_the_server_has_forgotten_are_searched_anew(
    hapi_url: str, hook: Hook, screener: RecordingScreener
) -> None:
    patient = newcomer()
    resources = loaded(hapi_url, patient)
    pages = prefetched(hapi_url, hook.templates(), patient, count=2)
    for page in pages.values():
        for link in page.get("link", ()):
            link["url"] = re.sub(r"(?<=_getpages=)[-0-9a-f]+", str(uuid4()), link["url"])
    following = [link["url"] for link in pages["observation"]["link"] if link["relation"] == "next"]
    assert requests.get(following[0], timeout=60).status_code == 410
    agrees(hook.call(patient, server=hapi_url, prefetch=pages), screener, resources)


def test_pages_that_can_not_be_followed_leave_the_type_truncated(hapi_url: str, hook: Hook) -> None:
    """Without a server to ask, what is on the first page is all there is, and never taken for all there is."""
    patient = newcomer()
    loaded(hapi_url, patient)
    pages = prefetched(hapi_url, hook.templates(), patient, count=2)
    answer = hook.call(patient, prefetch=pages)
    assert answer.assessment is not None
    assert states(answer.assessment)["Observation"] == "truncated"
    row = verdicts(answer.assessment)["EX06-AstAlt"]
    assert (row["status"], row["reasons"]) == ("unknown", ["retrieval-failed"])


def _next_links(pages: dict[str, Any]) -> int:
    return sum(link["relation"] == "next" for page in pages.values() for link in page.get("link", ()))


def only_referred_to(patient: str) -> Resources:
    """What says what it is only by what it refers to: five drugs, a device, a study."""
    drugs = [
        builders.medication(f"{patient}-drug-{n}", builders.rxnorm(code))
        for n, code in enumerate(("161", "5640", "1256", "6809", "7646"))
    ]
    orders = [
        {
            "resourceType": "MedicationRequest",
            "status": "active",
            "intent": "order",
            "medicationReference": {"reference": f"Medication/{drug['id']}"},
            "authoredOn": "2026-06-01",
        }
        for drug in drugs
    ]
    dispense = builders.medication_dispense(
        handed_over="2026-05-20", days=30, medicationReference=orders[2]["medicationReference"]
    )
    return [
        *drugs,
        *orders,
        {key: value for key, value in dispense.items() if key != "medicationCodeableConcept"},
        {**builders.device(builders.snomed("702172008")), "id": f"{patient}-cpap"},
        builders.device_use_statement(f"Device/{patient}-cpap"),
        builders.research_study(f"{patient}-study", "NCT01234567", "A registry of ALS"),
        builders.research_subject(f"ResearchStudy/{patient}-study"),
    ]


@pytest.mark.parametrize("way", ["fetch", "pages of 2", "prefetch"])
def test_what_is_only_referred_to_is_found(
    way: str, hapi_url: str, hook: Hook, screener: RecordingScreener, tmp_path: Path
) -> None:
    """By `_include`, on whatever page it comes; and by its id, where prefetch brings but the reference."""
    patient = newcomer()
    resources = loaded(hapi_url, patient, *only_referred_to(patient))
    if way == "pages of 2":
        with hooked(tmp_path, screener, page_size=2) as by_twos:
            answer = by_twos.call(patient, server=hapi_url)
    else:
        given = prefetched(hapi_url, hook.templates(), patient) if way == "prefetch" else None
        answer = hook.call(patient, server=hapi_url, prefetch=given)
    agrees(answer, screener, resources)
    assert said_of(answer, "EX09-Immunosuppressant") == "met"


@pytest.mark.parametrize("way", ["fetch", "prefetch"])
def test_a_drug_that_was_deleted_is_no_drug_that_was_not_taken(
    way: str, hapi_url: str, hook: Hook, screener: RecordingScreener
) -> None:
    """HAPI lets a Medication go that orders refer to: what was ordered is then unknown, and all else as before."""
    patient = newcomer()
    resources = loaded(hapi_url, patient, *only_referred_to(patient)[:6])
    drug = f"Medication/{patient}-drug-0"
    assert requests.delete(f"{hapi_url}/{drug}", timeout=60).ok
    assert requests.get(f"{hapi_url}/{drug}", timeout=60).status_code == 410
    given = prefetched(hapi_url, hook.templates(), patient) if way == "prefetch" else None
    answer = hook.call(patient, server=hapi_url, prefetch=given)
    agrees(answer, screener, [r for r in resources if f"{r['resourceType']}/{r['id']}" != drug])
    assert said_of(answer, "EX09-Immunosuppressant") == "unknown"
