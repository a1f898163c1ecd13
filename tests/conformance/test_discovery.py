"""Discovery as CDS Hooks asks for it."""

from __future__ import annotations

import re

import pytest
from flask.testing import FlaskClient

from tests.conformance.shapes import DISCOVERY, empties, misfits
from tests.contract.conftest import Make
from tests.contract.hook_requests import hook_request, person, vignette_request

_TOKEN = re.compile(r"\{\{[^{}]*\}\}")
# What 2.0's subset allows: a read by id, or a search of one type by references, codes, dates, _count and _sort.
_READ = re.compile(r"[A-Z][A-Za-z]+/\{\{context\.[A-Za-z]+\}\}")
_SEARCH = re.compile(r"[A-Z][A-Za-z]+\?([a-z_-]+(:in)?=[^&=]+)(&[a-z_-]+(:in)?=[^&=]+)*")
# Root-level fields of patient-view's context that hold a primitive, and the names of the user.
_ALLOWED = {
    "{{context.userId}}",
    "{{context.patientId}}",
    "{{context.encounterId}}",
    "{{userPractitionerId}}",
    "{{userPractitionerRoleId}}",
    "{{userPatientId}}",
    "{{userRelatedPersonId}}",
}


@pytest.fixture(params=["gate", "full"])
def offered(request: pytest.FixtureRequest, make_app: Make) -> FlaskClient:
    """A client of a service that offers prefetch in either way."""
    return make_app(service__prefetch=request.param).test_client()


@pytest.mark.proves(
    "checklist:6",
    "checklist:7",
    "checklist:8",
    "checklist:9",
    "cds-hooks_2.0@1",
    "cds-hooks_2.0@4",
    "cds-hooks_2.0@5",
    "cds-hooks_2.0@6",
    "cds-hooks_2.0@7",
    "cds-hooks_2.0@8",
    "cds-hooks_2.0@9",
    "cds-hooks_2.0@10",
    "cds-hooks_2.0@11",
    "cds-hooks_2.0@12",
    "cds-hooks_2.0@13",
    "cds-hooks_2.0@29",
)
def test_discovery_is_an_object_with_a_list_of_whole_services(offered: FlaskClient) -> None:
    response = offered.get("/cds-services")
    assert response.status_code == 200
    assert response.mimetype == "application/json"
    body = response.get_json()
    assert misfits(body, DISCOVERY) == []
    assert empties(body) == []
    assert body["services"]
    for service in body["services"]:
        assert service["hook"] == "patient-view"
        assert {"title", "prefetch", "usageRequirements"} <= set(service)
    assert len({service["id"] for service in body["services"]}) == len(body["services"])


@pytest.mark.proves("checklist:11", "cds-hooks_2.0@10", "cds-hooks_2.0@16")
def test_each_service_stands_at_its_id(client: FlaskClient) -> None:
    body = hook_request(prefetch={"patient": person(), "condition": None})
    for service in client.get("/cds-services").get_json()["services"]:
        assert client.post(f"/cds-services/{service['id']}", json=body).get_json() == {"cards": []}
    assert client.post("/cds-services/another", json=body).status_code == 404


@pytest.mark.proves("cds-hooks_2.0@14")
def test_discovery_answers_other_statuses_with_an_outcome(client: FlaskClient) -> None:
    assert client.post("/cds-services", json={}).status_code == 405
    outside = client.get("/cds-services", headers={"Host": "cds.example.org"})
    assert outside.status_code == 403
    assert outside.get_json()["resourceType"] == "OperationOutcome"


@pytest.mark.proves(
    "checklist:23",
    "checklist:24",
    "cds-hooks_2.0@35",
    "cds-hooks_2.0@55",
    "cds-hooks_2.0@56",
    "cds-hooks_2.0@57",
    "cds-hooks_2.0@59",
)
def test_templates_use_tokens_of_2_0_only(offered: FlaskClient) -> None:
    for service in offered.get("/cds-services").get_json()["services"]:
        for template in service["prefetch"].values():
            tokens = _TOKEN.findall(template)
            assert tokens
            assert set(tokens) <= _ALLOWED
            assert not re.search(r"[{}%()]|today", _TOKEN.sub("", template))


@pytest.mark.proves("checklist:25", "cds-hooks_2.0@58")
def test_templates_keep_to_the_queries_that_every_client_knows(offered: FlaskClient) -> None:
    parameters = {"patient", "subject", "_id", "code", "code:in", "category", "date", "_count", "_sort"}
    for service in offered.get("/cds-services").get_json()["services"]:
        for template in service["prefetch"].values():
            if _READ.fullmatch(template):
                continue
            assert _SEARCH.fullmatch(template), template
            names = {pair.partition("=")[0] for pair in template.partition("?")[2].split("&")}
            assert names <= parameters, template


@pytest.mark.proves("checklist:18", "cds-hooks_2.0@36", "cds-hooks_2.0@28")
def test_each_key_of_discovery_carries_its_data_in_the_request(make_app: Make) -> None:
    """A call whose prefetch has discovery's keys is answered as one that names a server would be; without them not."""
    app = make_app(service__prefetch="full")
    client, screener = app.test_client(), app.extensions["cds_service"].screener
    offered = client.get("/cds-services").get_json()["services"][0]
    call = vignette_request("AV-01", screener.wanted(None).types)
    assert set(call["prefetch"]) == set(offered["prefetch"])
    (card,) = client.post(f"/cds-services/{offered['id']}", json=call).get_json()["cards"]
    assert "Data not obtained" not in card["detail"]
    renamed = {
        f"my-{key}" if key != "patient" and key != "condition" else key: v
        for key, v in call["prefetch"].items()
    }
    (poor,) = client.post(f"/cds-services/{offered['id']}", json=call | {"prefetch": renamed}).get_json()[
        "cards"
    ]
    assert "Data not obtained" in poor["detail"]
