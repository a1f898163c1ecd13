"""Feedback as CDS Hooks asks for it, over HTTP: what was shown, what was done with it, what is kept."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from flask.testing import FlaskClient

from tests.conformance.shapes import OUTCOME, misfits
from tests.contract.hook_requests import SERVICE, vignette_request

WHEN = "2026-06-15T10:05:31Z"


def shown(client: FlaskClient) -> dict[str, Any]:
    """A card with suggestions, as the service sends it."""
    types = client.application.extensions["cds_service"].screener.wanted(None).types
    (card,) = client.post(SERVICE, json=vignette_request("AV-08", types)).get_json()["cards"]
    assert isinstance(card, dict)
    return card


def send(client: FlaskClient, *entries: Any) -> Any:
    return client.post(f"{SERVICE}/feedback", json={"feedback": list(entries)})


def stored(client: FlaskClient) -> list[Any]:
    return list(client.application.extensions["cds_service"].store.feedback())


@pytest.mark.proves("checklist:37", "cds-hooks_2.0@148", "cds-hooks_2.0@82", "cds-hooks_2.0@118")
def test_feedback_on_a_card_is_stored_by_its_uuid(client: FlaskClient) -> None:
    card = shown(client)
    accepted = {
        "card": card["uuid"],
        "outcome": "accepted",
        "acceptedSuggestions": [{"id": card["suggestions"][0]["uuid"]}],
        "outcomeTimestamp": WHEN,
    }
    assert send(client, accepted).status_code == 200
    (row,) = stored(client)
    assert row.card == card["uuid"]
    assert row.service == SERVICE.rpartition("/")[2]
    assert row.outcome == "accepted"


@pytest.mark.proves("checklist:35", "checklist:40")
def test_each_reason_that_a_card_offers_comes_back_as_feedback(client: FlaskClient) -> None:
    card = shown(client)
    for reason in card["overrideReasons"]:
        coding = {"code": reason["code"], "system": reason["system"]}
        entry = {
            "card": card["uuid"],
            "outcome": "overridden",
            "overrideReason": {"reason": coding},
            "outcomeTimestamp": WHEN,
        }
        assert send(client, entry).status_code == 200
    assert {row.override_code for row in stored(client)} == {r["code"] for r in card["overrideReasons"]}


def overridden(**more: Any) -> dict[str, Any]:
    return {"card": str(uuid4()), "outcome": "overridden", "outcomeTimestamp": WHEN, **more}


@pytest.mark.proves("checklist:40")
@pytest.mark.parametrize(
    ("override", "status"),
    [
        ({"overrideReason": {"userComment": "a comment"}}, 200),
        ({"overrideReason": {"reason": {"code": "d7ecf885", "system": "https://example.com/reasons"}}}, 200),
        ({"overrideReason": {"reason": {"code": "d7ecf885"}, "userComment": "both"}}, 200),
        ({}, 200),
        ({"overrideReason": {}}, 400),
        ({"overrideReason": {"reason": {}}}, 400),
        ({"overrideReason": []}, 400),
    ],
)
def test_a_reason_a_comment_or_both_and_never_neither(
    client: FlaskClient, override: dict[str, Any], status: int
) -> None:
    response = send(client, overridden(**override))
    assert response.status_code == status
    assert len(stored(client)) == (1 if status == 200 else 0)
    if status == 400:
        assert misfits(response.get_json(), OUTCOME) == []


@pytest.mark.proves("checklist:38")
@pytest.mark.parametrize("field", ["card", "outcome", "outcomeTimestamp"])
def test_required_fields(client: FlaskClient, field: str) -> None:
    entry = overridden()
    del entry[field]
    response = send(client, entry)
    assert response.status_code == 400
    assert response.get_json()["issue"][0]["expression"] == [f"feedback[0].{field}"]


@pytest.mark.proves("checklist:38")
@pytest.mark.parametrize(
    ("moment", "status"),
    [
        ("1985-04-12T23:20:50.52Z", 200),
        ("2020-12-11T00:00:00+00:00", 200),
        ("2020-12-11T00:00:00-03:00", 400),
        ("2020-12-11", 400),
        ("Fri, 11 Dec 2020 00:00:00 GMT", 400),
    ],
)
def test_moments_are_utc_in_the_profile_of_rfc_3339(client: FlaskClient, moment: str, status: int) -> None:
    assert send(client, overridden(outcomeTimestamp=moment)).status_code == status


@pytest.mark.proves("checklist:39")
@pytest.mark.parametrize("accepted", [None, [], [{}], ["x"]])
def test_accepted_needs_what_was_accepted(client: FlaskClient, accepted: Any) -> None:
    entry = overridden(outcome="accepted")
    if accepted is not None:
        entry["acceptedSuggestions"] = accepted
    assert send(client, entry).status_code == 400


@pytest.mark.proves("checklist:41")
def test_batches_over_calls_and_repeats_are_taken(client: FlaskClient) -> None:
    first, second = shown(client), shown(client)
    assert first["uuid"] != second["uuid"]
    both = [overridden(card=first["uuid"]), overridden(card=second["uuid"])]
    assert send(client, *both).status_code == 200
    assert send(client, *both).status_code == 200
    assert send(client, both[0], both[0], overridden()).status_code == 200
    assert len(stored(client)) == 3
