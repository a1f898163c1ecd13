"""POST /assessments: a Bundle or Parameters in, the JSON of design §5 out."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.contract.hook_requests import als, person, searchset, vignette_bundle


def bundle(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": r} for r in resources]}


def parameters(*listed: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(listed)}


TWO = bundle(person("1"), person("2", birthDate="1990-01-01"), als("c1", "1"), als("c2", "2"))


def test_one_trial_gives_one_object(client: FlaskClient) -> None:
    for query in ("", "?trial=nct02917681", "?trial=nct02917681&trial=nct02917681"):
        response = client.post(f"/assessments{query}", json=vignette_bundle("AV-01"))
        assert response.status_code == 200
        found = response.get_json()
        assert found["trial"]["id"] == "nct02917681"
        assert found["asOf"] == "2026-06-15"
        assert len(found["criteria"]) == 43
        assert response.headers["Cache-Control"] == "no-store"


def test_the_day_may_be_given(client: FlaskClient) -> None:
    body = bundle(person("1", birthDate="1971-03-10"), als())
    found = client.post("/assessments?asOf=2042-03-10", json=body).get_json()
    assert found["asOf"] == "2042-03-10"
    assert found["status"] == "excluded"


@pytest.mark.parametrize("day", ["0001-01-01", "0550-09-20", "1914-01-01", "1914-01-02", "9999-12-31"])
def test_any_day_of_the_calendar_may_be_given(client: FlaskClient, day: str) -> None:
    """Before there were zones, a site's offset had seconds in it."""
    response = client.post(f"/assessments?asOf={day}", json=vignette_bundle("AV-01"))
    assert response.status_code == 200
    assert response.get_json()["asOf"] == day


@pytest.mark.parametrize(
    "named",
    [
        {"name": "patient", "valueString": "2"},
        {"name": "patient", "valueId": "2"},
        {"name": "patient", "valueString": "Patient/2"},
        {"name": "patient", "valueReference": {"reference": "Patient/2"}},
    ],
)
def test_a_patient_of_several_is_named_in_parameters(client: FlaskClient, named: dict[str, Any]) -> None:
    body = parameters({"name": "bundle", "resource": TWO}, named)
    found = client.post("/assessments", json=body, content_type="application/fhir+json").get_json()
    assert found["patient"] == "Patient/2"
    assert found["warnings"]


BAD: list[tuple[str, Any]] = [
    ("", TWO),
    ("", parameters({"name": "bundle", "resource": TWO}, {"name": "patient", "valueString": "3"})),
    ("", parameters({"name": "patient", "valueString": "1"})),
    ("", parameters({"name": "bundle", "valueString": "x"})),
    ("", parameters({"name": "bundle", "resource": TWO}, {"name": "patient"})),
    ("", parameters({"name": "bundle", "resource": TWO}, {"name": "other", "valueString": "1"})),
    ("", {"resourceType": "Parameters", "parameter": "x"}),
    ("", bundle()),
    ("", bundle(als())),
    ("", {"resourceType": "Patient", "id": "1"}),
    ("", []),
    ("", None),
    ("?asOf=tomorrow", TWO),
    ("?asOf=2026-6-1", TWO),
    ("?asOf=20260615", TWO),
    ("?asOf=2026-06-15&asOf=2026-06-16", TWO),
    ("?patient=1", TWO),
    ("?missing=Observation", TWO),
]


@pytest.mark.parametrize(("query", "body"), BAD)
def test_what_can_not_be_used_is_a_400(client: FlaskClient, query: str, body: Any) -> None:
    response = client.post(f"/assessments{query}", json=body)
    assert response.status_code == 400
    (issue,) = response.get_json()["issue"]
    assert len(issue["diagnostics"]) > 15


def test_an_unknown_trial_is_a_404_that_names_the_known(client: FlaskClient) -> None:
    response = client.post("/assessments?trial=nct00000000", json=vignette_bundle("AV-01"))
    assert response.status_code == 404
    assert "nct02917681" in response.get_json()["issue"][0]["diagnostics"]


def test_a_page_of_a_search_is_no_whole_record(client: FlaskClient) -> None:
    body = searchset(person(), als())
    body["link"] = [{"relation": "next", "url": "http://x/2"}]
    found = client.post("/assessments", json=body).get_json()
    assert found["status"] == "unknown"
    assert found["data"]["Condition"]["state"] == "truncated"
