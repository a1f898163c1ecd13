"""Golden exchanges: requests and the answers to them, word for word, each a JSON file in `exchanges/`.

`python -m tests.contract.test_exchanges` writes the answers anew; what changes in them is to be read before it is
committed. UUIDs, which are new each time, stand there as "<uuid>".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from cds_service.app import load_screener
from cds_service.settings import Settings
from tests.contract.conftest import Make, making_apps
from tests.contract.hook_requests import (
    INSTANCE,
    SERVICE,
    als,
    hook_request,
    person,
    searchset,
    vignette_request,
)

FOLDER = Path(__file__).parent / "exchanges"
BASE = "https://cds.example.org"
_UUID = re.compile(r'"uuid": "[0-9a-f-]{36}"')
Exchange = Callable[[FlaskClient], Any]


def _full(client: FlaskClient, name: str) -> dict[str, Any]:
    types = client.application.extensions["cds_service"].screener.wanted(None).types
    return vignette_request(name, types)


def _call(name: str) -> Exchange:
    return lambda client: client.post(SERVICE, json=_full(client, name))


# name → (settings, exchange)
EXCHANGES: dict[str, tuple[dict[str, Any], Exchange]] = {
    "discovery": ({}, lambda c: c.get("/cds-services")),
    "discovery-full-prefetch": ({"service__prefetch": "full"}, lambda c: c.get("/cds-services")),
    "candidate": ({}, _call("AV-01")),
    "woman-without-tests": ({}, _call("AV-03")),
    "sparse-record": ({}, _call("AV-08")),
    "sparse-record-sensitive-orders": ({"cards__sensitive_orders": True}, _call("AV-08")),
    "excluded": ({}, _call("AV-06")),
    "excluded-shown": ({"cards__show_excluded": True}, _call("AV-06")),
    "grey-zones": ({}, _call("AV-10")),
    "no-als": (
        {},
        lambda c: c.post(SERVICE, json=hook_request(prefetch={"patient": person(), "condition": None})),
    ),
    "only-the-gate": (
        {},
        lambda c: c.post(
            SERVICE, json=hook_request(prefetch={"patient": person(), "condition": searchset(als())})
        ),
    ),
    "patient-unobtainable": ({}, lambda c: c.post(SERVICE, json=hook_request())),
    "wrong-hook": ({}, lambda c: c.post(SERVICE, json={**hook_request(), "hook": "order-sign"})),
    "reference-as-patient-id": ({}, lambda c: c.post(SERVICE, json=hook_request("Patient/1"))),
    "other-fhir-server": (
        {},
        lambda c: c.post(SERVICE, json=hook_request(fhirServer="https://elsewhere.example/fhir")),
    ),
    "token-of-another-patient": (
        {},
        lambda c: c.post(
            SERVICE,
            json=hook_request(
                fhirServer="http://localhost/fhir",
                fhirAuthorization={"access_token": "x", "scope": "patient/*.rs", "patient": "2"},
            ),
        ),
    ),
    "feedback-without-suggestion": (
        {},
        lambda c: c.post(
            f"{SERVICE}/feedback",
            json={
                "feedback": [
                    {"card": INSTANCE, "outcome": "accepted", "outcomeTimestamp": "2026-06-15T10:00:00Z"}
                ]
            },
        ),
    ),
}


def exchanged(make_app: Callable[..., Flask], name: str) -> str:
    """The answer of one exchange as it stands in its file."""
    settings, exchange = EXCHANGES[name]
    client = make_app(base_url=BASE, **settings).test_client()
    response = exchange(client)
    answer = {
        "status": response.status_code,
        "contentType": response.content_type,
        "body": json.loads(response.data) if response.data else None,
    }
    return _UUID.sub('"uuid": "<uuid>"', json.dumps(answer, indent=1, ensure_ascii=False)) + "\n"


@pytest.mark.parametrize("name", EXCHANGES)
def test_the_answer_is_word_for_word_what_was_agreed(make_app: Make, name: str) -> None:
    assert exchanged(make_app, name) == (FOLDER / f"{name}.json").read_text("utf-8")


def test_no_file_without_its_exchange() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(EXCHANGES)


def _write() -> None:
    loaded = load_screener(Settings())
    for name in EXCHANGES:
        with TemporaryDirectory() as folder, making_apps(loaded, Path(folder)) as make:
            (FOLDER / f"{name}.json").write_text(exchanged(make, name), "utf-8")


if __name__ == "__main__":
    _write()
