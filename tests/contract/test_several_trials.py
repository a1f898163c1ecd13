"""Several trials behind one service: what is asked for before and after their gates, request by request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from cds_service.screening import Screener
from cds_service.terminology.systems import LOINC
from tests.contract.conftest import Make, making_apps
from tests.contract.hook_requests import als, hook_request, person, searchset
from tests.support.tiny_trials import ICD10, exists, retrieve, write_tiny_trial
from tests.unit.records_io.scripted_server import Script, ScriptedServer, serving

ALL = "/cds-services/trial-eligibility"
DIABETES = als(code={"coding": [{"system": ICD10, "code": "E11.9"}]})
FRACTURE = als(code={"coding": [{"system": ICD10, "code": "S52"}]})


@pytest.fixture(scope="module")
def two_trials(tmp_path_factory: pytest.TempPathFactory) -> Screener:
    """The trial of ALS, and one of diabetes that reads goals, a glycated haemoglobin, and no more."""
    folder = tmp_path_factory.mktemp("trials")
    criteria = {
        "H1-Condition": exists(retrieve("Condition", codes=[(ICD10, "E11.9")])),
        "IN01-Goal": exists(retrieve("Goal"), retrieve("Observation", codes=[(LOINC, "4548-4")])),
    }
    write_tiny_trial(folder, "sugar", criteria)
    return Screener.load(trials_dir=folder)


@pytest.fixture
def make_two(two_trials: Screener, tmp_path: Path) -> Iterator[Make]:
    with making_apps(two_trials, tmp_path) as make:
        yield make


@pytest.fixture
def client(make_two: Make) -> FlaskClient:
    return make_two().test_client()


@contextmanager
def called(client: FlaskClient, script: Script, **more: Any) -> Iterator[tuple[ScriptedServer, list[str]]]:
    """The server that one call to the service of all trials asked, and the trials of the cards."""
    with serving({"Patient/1": person(), **script}) as server:
        response = client.post(ALL, json=hook_request(fhirServer=server.base, **more))
        assert response.status_code == 200, response.text
        shown = [c["extension"]["org.cds-service.assessment"]["trial"] for c in response.get_json()["cards"]]
        yield server, shown


def paths(server: ScriptedServer) -> list[str]:
    return sorted(request.path for request in server.requests)


def test_a_patient_of_no_trial_costs_two_requests(client: FlaskClient) -> None:
    with called(client, {"Condition": searchset(FRACTURE)}) as (server, shown):
        assert shown == []
        assert paths(server) == ["Condition", "Patient/1"]


def test_only_the_trial_whose_gate_is_open_is_asked_for(client: FlaskClient) -> None:
    with called(client, {"Condition": searchset(DIABETES), "Goal": searchset(goal())}) as (server, shown):
        assert shown == ["sugar"]
        asked = ["Condition", "Goal", "Observation", "Patient/1", "QuestionnaireResponse"]
        assert [path for path in paths(server) if path != "metadata"] == asked


def test_the_other_trial_s_needs_are_not_asked_for_either(client: FlaskClient) -> None:
    with called(client, {"Condition": searchset(als())}) as (server, shown):
        assert shown == ["nct02917681"]
        assert "Goal" not in paths(server)
        assert "Procedure" in paths(server)


def test_both_open_each_type_is_asked_for_once(client: FlaskClient) -> None:
    script = {"Condition": searchset(als(), {**DIABETES, "id": "c2"}), "Goal": searchset(goal())}
    with called(client, script) as (server, shown):
        assert sorted(shown) == ["nct02917681", "sugar"]
        asked = [path for path in paths(server) if path != "metadata"]
        assert len(asked) == len(set(asked))
        assert {"Goal", "Procedure", "Observation"} <= set(asked)


def test_a_gate_by_prefetch_costs_nothing(client: FlaskClient) -> None:
    prefetch = {"patient": person(), "condition": searchset(FRACTURE)}
    with called(client, {}, prefetch=prefetch) as (server, shown):
        assert (shown, server.requests) == ([], [])


@pytest.mark.parametrize("mode", ["gate", "full"])
@pytest.mark.proves("checklist:25")
def test_discovery_merges_the_templates_of_all_trials(make_two: Make, mode: str) -> None:
    services = make_two(service__prefetch=mode).test_client().get("/cds-services").get_json()["services"]
    templates = {service["id"]: service["prefetch"] for service in services}
    assert list(templates) == ["trial-nct02917681", "trial-sugar", "trial-eligibility"]
    merged = templates.pop("trial-eligibility")
    assert merged == {key: value for each in templates.values() for key, value in each.items()}
    assert len(set(merged.values())) == len(merged)
    assert ("goal" in merged) is (mode == "full")
    assert ("goal" in templates["trial-sugar"]) is (mode == "full")
    assert "goal" not in templates["trial-nct02917681"]


def goal() -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "id": "g1",
        "subject": {"reference": "Patient/1"},
        "lifecycleStatus": "active",
    }
