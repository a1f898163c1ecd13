"""CDS Hooks 2.0 for everybody, and what 3.0 adds for the clients that are configured for it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask.testing import FlaskClient

from cds_service.settings import ClientSettings
from tests.conformance.shapes import DISCOVERY, DISCOVERY_3, RESPONSE, empties, misfits
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, vignette_request
from tests.support.client_keys import ec_key, jwk_of, jwk_set

BASE = "https://cds.example.org"
OLD, NEW = "https://old.example.org", "https://new.example.org"
DISCOVERED = f"{BASE}/cds-services"


@pytest.fixture
def both(make_app: Make, tmp_path: Path) -> FlaskClient:
    """A service with a client of each version; each has its own key."""
    return make_app(
        base_url=BASE, clients=(speaking(tmp_path, OLD, "2.0"), speaking(tmp_path, NEW, "3.0"))
    ).test_client()


def speaking(folder: Path, issuer: str, version: str) -> ClientSettings:
    keys = folder / f"{version}.json"
    keys.write_bytes(jwk_set(jwk_of(ec_key(issuer), version, alg="ES384")))
    return ClientSettings(f"client-{version}", issuer, jwks_file=keys, cds_hooks=version)


def bearer(issuer: str, audience: str = DISCOVERED, *, key: Any = None, **claims: Any) -> dict[str, str]:
    now = int(time.time())
    given = {"iss": issuer, "aud": audience, "exp": now + 300, "iat": now, "jti": str(uuid4()), **claims}
    kid = "2.0" if issuer == OLD else "3.0"
    return {
        "Authorization": f"Bearer {jwt.encode(given, key or ec_key(issuer), 'ES384', headers={'kid': kid})}"
    }


@pytest.mark.proves("checklist:10")
def test_a_client_of_3_0_reads_the_versions(both: FlaskClient) -> None:
    response = both.get("/cds-services", headers=bearer(NEW))
    body = response.get_json()
    assert response.status_code == 200
    assert misfits(body, DISCOVERY_3) == []
    assert empties(body) == []
    assert {service["version"] for service in body["services"]} == {"3.0.0-ballot"}
    assert {service["hookVersion"] for service in body["services"]} == {"1.0"}


@pytest.mark.proves("checklist:10", "checklist:24", "cds-hooks_2.0@5")
def test_everybody_else_reads_2_0_byte_for_byte(both: FlaskClient, make_app: Make) -> None:
    plain = make_app().test_client().get("/cds-services")
    now = int(time.time())
    others: list[dict[str, str]] = [
        {},
        {"Authorization": "Bearer garbage"},
        {"Authorization": "Basic YTpi"},
        bearer(OLD),
        bearer("https://stranger.example"),
        bearer(NEW, key=ec_key("stranger")),
        bearer(NEW, BASE + SERVICE),
        bearer(NEW, exp=now - 300, iat=now - 400),
    ]
    assert misfits(plain.get_json(), DISCOVERY) == []
    for headers in others:
        response = both.get("/cds-services", headers=headers)
        assert response.status_code == 200
        assert response.data == plain.data


def test_caches_know_where_the_answer_depends_on_who_asks(
    both: FlaskClient, make_app: Make, tmp_path: Path
) -> None:
    assert both.get("/cds-services").headers["Vary"] == "Authorization"
    assert "Vary" not in make_app().test_client().get("/cds-services").headers
    old = make_app(base_url=BASE, clients=(speaking(tmp_path, OLD, "2.0"),)).test_client()
    assert "Vary" not in old.get("/cds-services").headers


def test_a_token_shown_to_discovery_is_not_used_up(both: FlaskClient) -> None:
    """There is nothing to protect, so nothing is written: discovery answers though the database does not."""
    token = bearer(NEW)
    store = both.application.extensions["cds_service"].store
    store.close()
    first, again = both.get("/cds-services", headers=token), both.get("/cds-services", headers=token)
    assert first.data == again.data
    assert "3.0.0-ballot" in first.text


@pytest.mark.proves("checklist:10")
def test_cards_are_the_same_in_both_versions(both: FlaskClient, screener: Any) -> None:
    """3.0's actionSelectionBehavior is for clients that are known to support it, which a version does not say."""
    body = vignette_request("AV-08", screener.wanted(None).types)
    shown = []
    for issuer in (OLD, NEW):
        answer = both.post(SERVICE, json=body, headers=bearer(issuer, BASE + SERVICE)).get_json()
        assert misfits(answer, RESPONSE) == []
        (card,) = answer["cards"]
        del card["uuid"]
        for suggestion in card["suggestions"]:
            del suggestion["uuid"]
        shown.append(card)
    assert shown[0] == shown[1]
