"""What a call has read serves that call only: afterwards nothing of the patient is left in the process.

Every text, unit, code, id and time of a chart carries a mark that was made up for the test. The mark is then looked for
in everything that is alive (caches, connections, stores, threads), and in what is stored.
"""

from __future__ import annotations

import copy
import random
import secrets
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from tests.contract.conftest import Make
from tests.contract.hook_requests import (
    SERVICE,
    als,
    hook_request,
    person,
    prefetch_of,
    resources,
    searchset,
    vignette_bundle,
)
from tests.support.kept import texts_that_hold
from tests.support.server_apart import serving_apart
from tests.unit.records_io.scripted_server import Script

_TEXTS = frozenset(
    {"display", "text", "family", "city", "valueString", "title", "description", "div", "linkId"}
)
_IDS = frozenset({"id", "reference"})


def marked(element: Any, mark: str, at: str = "") -> Any:
    """The same chart with the mark in every text, id, time and unit, and a marked coding beside all others."""
    if isinstance(element, dict):
        made = {key: marked(part, mark, key) for key, part in element.items()}
        if "coding" in made:
            made["coding"] = [
                *made["coding"],
                {"system": f"urn:{mark}", "code": f"c{mark}", "display": f"d{mark}"},
            ]
        return made
    if isinstance(element, list):
        return [marked(part, mark, at) for part in element]
    if isinstance(element, str):
        if at in _IDS or at == "given":
            return f"{element}-{mark}"
        if at in _TEXTS:
            return f"{element} {mark}"
        if at == "unit":
            return f"{mark}/L"
        if at.endswith("DateTime") and len(element) == 10:
            return f"{element}T08:13:57.{clock(mark)}-03:00"
    return element


def clock(mark: str) -> str:
    """Three digits that no other chart of the tests has behind this second."""
    return f"{int(mark, 36) % 1000:03}"


def born(mark: str) -> str:
    """A birth date that no other chart of the tests has."""
    drawn = random.Random(mark)
    return f"{drawn.randint(1957, 1970)}-0{drawn.randint(1, 9)}-{drawn.randint(10, 28)}"


def chart(mark: str) -> dict[str, Any]:
    bundle: dict[str, Any] = marked(copy.deepcopy(vignette_bundle("AV-01")), mark)
    next(r for r in resources(bundle) if r["resourceType"] == "Patient")["birthDate"] = born(mark)
    return bundle


def odd_chart(mark: str, codes: tuple[str, ...]) -> dict[str, Any]:
    """Results of all codes that are read, in units, dates and comparators that nobody can read; odd codes and types."""
    who = f"1-{mark}"
    found: list[dict[str, Any]] = [person(who, birthDate=born(mark)), als(f"c{mark}", who)]
    for code in (f"G12.21{mark}", f"F10{mark}", mark, f" {mark}"):
        for system in ("http://hl7.org/fhir/sid/icd-10", "http://snomed.info/sct", f"urn:oid:1.2.{mark}"):
            own = als(
                f"{mark}-{len(found)}", who, code={"coding": [{"system": system, "code": code}], "text": mark}
            )
            found.append(
                own | {mark: [{mark: mark}], "onsetDateTime": f"2020-{mark}", "_onsetDateTime": {"id": mark}}
            )
    for code in codes:
        for value in (
            {"valueQuantity": {"value": 3.25, "unit": mark, "comparator": mark}},
            {
                "valueQuantity": {
                    "value": 3.25,
                    "code": f"[ppm]{{{mark}}}",
                    "system": "http://unitsofmeasure.org",
                }
            },
            {"valueString": f"< 3 {mark}"},
            {"valueCodeableConcept": {"coding": [{"system": f"urn:{mark}", "code": mark}], "text": mark}},
        ):
            observation = {
                "resourceType": "Observation", "id": f"o{mark}-{len(found)}", "status": "final",
                "subject": {"reference": f"Patient/{who}"}, "effectiveDateTime": f"2026-06-01T08:13:57.{clock(mark)}Z",
                "code": {"coding": [{"system": "http://loinc.org", "code": code}]}, **value,
            }  # fmt: skip
            found.append(observation)
    for kind in ("MedicationRequest", "MedicationStatement"):
        drug = {
            "medicationCodeableConcept": {"text": f"azatioprina {mark}"},
            "status": "active",
            "intent": "order",
        }
        subject = {"reference": f"Patient/{who}"}
        found.append(
            {"resourceType": kind, "id": f"{kind}{mark}", "subject": subject, **drug, "authoredOn": mark}
        )
    found.append({"resourceType": f"X{mark}", "id": mark})
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": each} for each in found]}


def patient_of(bundle: dict[str, Any]) -> str:
    return str(next(r["id"] for r in resources(bundle) if r["resourceType"] == "Patient"))


def statuses(app: Flask, body: dict[str, Any]) -> list[str]:
    """The status on each card of a call."""
    answer = app.test_client().post(SERVICE, json=body)
    assert answer.status_code == 200, answer.text
    return [card["extension"]["org.cds-service.assessment"]["status"] for card in answer.get_json()["cards"]]


def by_prefetch(app: Flask, bundle: dict[str, Any]) -> list[str]:
    types = app.extensions["cds_service"].screener.wanted(None).types
    return statuses(app, hook_request(patient_of(bundle), prefetch=prefetch_of(bundle, types)))


def by_fetch(app: Flask, bundle: dict[str, Any]) -> list[str]:
    script: Script = {}
    patient_id = patient_of(bundle)
    for resource in resources(bundle):
        if resource["resourceType"] == "Patient":
            script[f"Patient/{patient_id}"] = resource
        else:
            page = script.setdefault(resource["resourceType"], searchset())
            page["entry"].append({"resource": resource})
            page["total"] = len(page["entry"])
    authorization = {"access_token": f"token-{patient_id}", "token_type": "Bearer", "expires_in": 300}
    authorization |= {"scope": "patient/*.rs", "subject": "s"}
    with serving_apart(script) as base:
        body = hook_request(patient_id, fhirServer=base, fhirAuthorization=authorization)
        return statuses(app, body)


def as_bundle(app: Flask, bundle: dict[str, Any]) -> list[str]:
    answer = app.test_client().post("/assessments", json=bundle)
    assert answer.status_code == 200
    return [answer.get_json()["status"]]


WAYS: dict[str, Callable[[Flask, dict[str, Any]], list[str]]] = {
    "prefetch": by_prefetch,
    "fetch": by_fetch,
    "Bundle": as_bundle,
}


@pytest.fixture
def mark() -> str:
    return secrets.token_hex(6)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_candidate_is_left(make_app: Make, mark: str, way: str) -> None:
    app = make_app()
    assert WAYS[way](app, chart(mark))
    assert_nothing_kept(app, mark)


@pytest.mark.parametrize("way", WAYS)
def test_nothing_of_a_chart_that_can_not_be_read_is_left(make_app: Make, mark: str, way: str) -> None:
    app = make_app(cards__show_excluded=True)
    codes = app.extensions["cds_service"].screener.wanted(None).observation_codes
    assert WAYS[way](app, odd_chart(mark, codes))
    assert_nothing_kept(app, mark)


def assert_nothing_kept(app: Flask, mark: str) -> None:
    assert texts_that_hold(mark, f":13:57.{clock(mark)}", born(mark)) == set()
    engine = app.extensions["cds_service"].store._engine
    with engine.connect() as connection:
        stored = list(connection.connection.driver_connection.iterdump())
    assert stored
    assert [line for line in stored if mark in line] == []


def test_what_is_kept_would_be_found(mark: str) -> None:
    class Holder:
        def __init__(self) -> None:
            self.kept = {"a": ("b", [f"{mark}!"])}

    holder = Holder()
    assert {text for text, _ in texts_that_hold(mark)} == {f"{mark}!"}
    del holder
    assert texts_that_hold(mark) == set()


@pytest.mark.parametrize("way", WAYS)
def test_changed_data_of_the_same_patient_give_another_verdict(make_app: Make, way: str) -> None:
    app = make_app(cards__show_excluded=True)
    changed = vignette_bundle("AV-01")
    alt = next(r for r in resources(changed) if r["id"] == "av-01-joao-alt")
    alt["valueQuantity"]["value"] = 900
    before, after = vignette_bundle("AV-01"), changed
    assert [WAYS[way](app, bundle) for bundle in (before, after, before)] == [
        ["eligible-pending-review"], ["excluded"], ["eligible-pending-review"],
    ]  # fmt: skip
