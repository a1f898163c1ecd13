"""hypothesis over what is posted: whatever it is, the answer is one of those that the OpenAPI document describes, an
error is an OperationOutcome that repeats nothing of the body, and nothing fails inside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any, Final

import jsonschema
import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from cds_service.app import create_app, load_screener
from cds_service.hooks.service import Service
from cds_service.settings import Settings
from tests.contract.hook_requests import SERVICE, als, hook_request, person, searchset, vignette_bundle
from tests.fuzz import bodies
from tests.fuzz.examples import tried
from tests.fuzz.served import is_outcome
from tests.unit.records_io.scripted_server import Answer, serving

FEEDBACK: Final = f"{SERVICE}/feedback"
# What each address may answer to a body; the Patient may be unobtainable, a fhirServer not allowed.
ALLOWED: Final = {SERVICE: {200, 400, 403, 412}, FEEDBACK: {200, 400}, "/assessments": {200, 400}}
SCHEMAS: Final = {SERVICE: "Cards", "/assessments": "Assessment"}


@dataclass
class Fuzzed:
    """An application under attack, and what it logs."""

    client: FlaskClient
    types: frozenset[str]
    log: list[dict[str, Any]] = field(default_factory=list)
    schemas: dict[str, Any] = field(default_factory=dict)

    def post(self, path: str, body: Any) -> TestResponse:
        """Posts bytes, or a value as JSON, and checks the answer."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.log.clear()
        answer = self.client.post(path, data=raw, content_type="application/json")
        self.check(answer, path)
        return answer

    def check(self, answer: TestResponse, path: str) -> None:
        failed = [line for line in self.log if line["event"] == "failed"]
        assert failed == []
        assert answer.status_code in ALLOWED[path], answer.text
        if answer.status_code >= 400:
            assert is_outcome(dict(answer.headers), answer.data), answer.text
        elif path in SCHEMAS:
            self.schemas[SCHEMAS[path]].validate(answer.get_json())


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fuzzed]:
    settings = Settings()
    settings = replace(
        settings,
        service=replace(settings.service, as_of=date(2026, 6, 15), database_url="sqlite://"),
        cards=replace(settings.cards, show_excluded=True, rest_after_views=0),
        feedback=replace(
            settings.feedback, pseudonym_key_file=tmp_path_factory.mktemp("fuzzed") / "pseudonym.key"
        ),
        limits=replace(settings.limits, requests_per_minute=1_000_000),
    )
    log: list[dict[str, Any]] = []
    screener = load_screener(settings)
    app = create_app(
        settings, screener=screener, log=lambda event, **fields: log.append({"event": event, **fields})
    )
    client = app.test_client()
    components = client.get("/openapi.json").get_json()["components"]
    schemas = {
        name: jsonschema.Draft202012Validator(
            {"$ref": f"#/components/schemas/{name}", "components": components}
        )
        for name in SCHEMAS.values()
    }
    yield Fuzzed(client, screener.wanted(None).types, log, schemas)
    service: Service = app.extensions["cds_service"]
    service.transport.close()
    service.store.close()


@pytest.mark.parametrize("path", ALLOWED)
@tried(200)
@given(body=bodies.values)
def test_any_json_is_answered(fuzzed: Fuzzed, path: str, body: Any) -> None:
    fuzzed.post(path, body)


@tried(400)
@given(data=st.data())
def test_a_call_with_something_wrong_in_it_is_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    fuzzed.post(SERVICE, data.draw(bodies.spoiled(bodies.hook_bodies(fuzzed.types))))


@tried(300)
@given(body=bodies.spoiled(bodies.bundles()))
def test_a_bundle_with_something_wrong_in_it_is_answered(fuzzed: Fuzzed, body: Any) -> None:
    fuzzed.post("/assessments", body)


@tried(200)
@given(body=bodies.spoiled(bodies.parameters()))
def test_parameters_with_something_wrong_in_them_are_answered(fuzzed: Fuzzed, body: Any) -> None:
    fuzzed.post("/assessments", body)


@tried(300)
@given(body=bodies.spoiled(st.just(bodies.FEEDBACK)))
def test_feedback_with_something_wrong_in_it_is_answered(fuzzed: Fuzzed, body: Any) -> None:
    fuzzed.post(FEEDBACK, body)


@tried(200)
@given(data=st.data())
def test_broken_bytes_are_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    path = data.draw(st.sampled_from(list(ALLOWED)))
    valid = {
        SERVICE: bodies.hook_bodies(fuzzed.types),
        FEEDBACK: st.just(bodies.FEEDBACK),
        "/assessments": st.one_of(bodies.bundles(), bodies.parameters()),
    }[path]
    fuzzed.post(path, data.draw(bodies.broken_bytes(valid)))


@tried(60)
@given(data=st.data())
def test_whatever_a_fhir_server_says_the_caller_is_answered(fuzzed: Fuzzed, data: st.DataObject) -> None:
    """The Patient's read and each search may come back as anything; a call without the Patient is a 412."""
    page = searchset(als(), *(entry["resource"] for entry in vignette_bundle("AV-01")["entry"]))
    said = data.draw(
        st.one_of(
            bodies.spoiled(st.just(page)), bodies.values, bodies.broken_bytes(st.just(page)).map(Answer)
        )
    )
    patient = data.draw(st.one_of(st.just(person()), st.just(person()), bodies.spoiled(st.just(person()))))
    script = {"Patient/1": patient, "Condition": searchset(als()), "Observation": said}
    script["MedicationRequest"] = said
    if data.draw(st.booleans()):
        script["Condition"] = said
    with serving(script) as server:
        fuzzed.post(SERVICE, hook_request(fhirServer=server.base))
