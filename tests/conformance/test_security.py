"""Trust as CDS Hooks asks for it: which tokens are let in, over which channels data travel, what browsers may do."""

from __future__ import annotations

import hmac
import json
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask.testing import FlaskClient

from cds_service.errors import ConfigurationError
from cds_service.settings import ClientSettings
from tests.contract.conftest import Make
from tests.contract.hook_requests import SERVICE, hook_request, person, vignette_bundle
from tests.support.client_keys import ec_key, jwk_of, jwk_set, rsa_key

BASE = "https://cds.example.org"
ISSUER = "https://ehr.example.org"
JKU = "https://ehr.example.org/jwks.json"
BODY = hook_request(prefetch={"patient": person(), "condition": None})
FEEDBACK = {
    "feedback": [{"card": str(uuid4()), "outcome": "overridden", "outcomeTimestamp": "2026-06-15T10:00:00Z"}]
}
Guarded = Callable[..., FlaskClient]


@pytest.fixture
def guarded(make_app: Make, tmp_path: Path) -> Guarded:
    """Makes a client of a service with one configured CDS client; keyword arguments are its settings."""
    keys = tmp_path / "jwks.json"
    keys.write_bytes(
        jwk_set(jwk_of(ec_key(), "ec", alg="ES384", use="sig"), jwk_of(rsa_key(), "rsa", alg="RS384"))
    )

    def make(log: list[dict[str, Any]] | None = None, **changes: Any) -> FlaskClient:
        given: dict[str, Any] = {"name": "hospital-a", "issuer": ISSUER, "jwks_file": keys, **changes}
        return make_app(log, base_url=BASE, clients=(ClientSettings(**given),)).test_client()

    return make


def token(
    key: Any = None,
    algorithm: str = "ES384",
    *,
    header: dict[str, Any] | None = None,
    drop: str | None = None,
    **changes: Any,
) -> str:
    """A token for a call of the service; keyword arguments are claims that differ, `drop` one that is missing."""
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": BASE + SERVICE,
        "exp": now + 300,
        "iat": now,
        "jti": str(uuid4()),
        **changes,
    }
    claims.pop(drop or "", None)
    head = {"kid": "ec", "typ": "JWT", **(header or {})}
    return jwt.encode(claims, ec_key() if key is None else key, algorithm, headers=head)


def status(client: FlaskClient, bearer: str | None, path: str = SERVICE, body: Any = BODY) -> int:
    """The status of a call with this token; a 401 must be bare."""
    headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
    response = client.post(path, json=body, headers=headers)
    if response.status_code == 401:
        assert (response.data, response.headers["WWW-Authenticate"]) == (b"", "Bearer")
    return response.status_code


@pytest.mark.proves("checklist:42", "cds-hooks_2.0@176", "cds-hooks_2.0@177")
def test_whatever_tells_of_a_patient_needs_a_token(guarded: Guarded) -> None:
    client = guarded()
    bundle = vignette_bundle("AV-01")
    for path, body in ((SERVICE, BODY), (f"{SERVICE}/feedback", FEEDBACK), ("/assessments", bundle)):
        assert status(client, None, path, body) == 401
        assert status(client, token(aud=BASE + path), path, body) == 200


@pytest.mark.proves("checklist:45", "cds-hooks_2.0@200", "cds-hooks_2.0@205")
def test_es384_and_rs384_are_taken(guarded: Guarded) -> None:
    client = guarded()
    assert status(client, token()) == 200
    assert status(client, token(rsa_key(), "RS384", header={"kid": "rsa"})) == 200


PEM = (Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
HASHES = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}


def unsigned_or_shared(algorithm: str, kid: str) -> str:
    """A token without a signature, or one whose shared secret is the public key: everybody has that."""
    _, claims, _ = token().split(".")
    head = urlsafe_b64encode(json.dumps({"alg": algorithm, "kid": kid, "typ": "JWT"}).encode()).decode()
    signed = f"{head.rstrip('=')}.{claims}"
    if algorithm not in HASHES:
        return f"{signed}."
    secret = (ec_key() if kid == "ec" else rsa_key()).public_key().public_bytes(*PEM)
    signature = hmac.digest(secret, signed.encode(), HASHES[algorithm])
    return f"{signed}.{urlsafe_b64encode(signature).decode().rstrip('=')}"


@pytest.mark.proves("checklist:45", "cds-hooks_2.0@201", "cds-hooks_2.0@203", "cds-hooks_2.0@207")
@pytest.mark.parametrize("algorithm", ["none", "None", *HASHES])
@pytest.mark.parametrize("kid", ["ec", "rsa"])
def test_none_and_symmetric_algorithms_are_rejected(guarded: Guarded, algorithm: str, kid: str) -> None:
    assert status(guarded(), unsigned_or_shared(algorithm, kid)) == 401


@pytest.mark.proves("checklist:43", "cds-hooks_2.0@176")
@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({}, 200),
        ({"kid": "another"}, 401),
        ({"kid": "rsa"}, 401),
        ({"typ": "at+jwt"}, 401),
        ({"jku": JKU}, 200),
        ({"jku": "https://evil.example/jwks.json"}, 401),
    ],
)
def test_what_the_header_says_must_fit(guarded: Guarded, header: dict[str, Any], expected: int) -> None:
    assert status(guarded(jku=(JKU,)), token(header=header)) == expected


@pytest.mark.proves("checklist:44")
@pytest.mark.parametrize("claim", ["iss", "aud", "exp", "iat", "jti"])
def test_each_claim_is_required(guarded: Guarded, claim: str) -> None:
    assert status(guarded(), token(drop=claim)) == 401


@pytest.mark.proves("checklist:44", "checklist:48")
@pytest.mark.parametrize(
    ("audience", "expected"),
    [
        (BASE + SERVICE, 200),
        ([BASE + SERVICE], 200),
        (["https://other.example", BASE + SERVICE], 200),
        ("by-hand", 200),
        (BASE, 401),
        (f"{BASE}/cds-services", 401),
        (f"{BASE}/cds-services/trial-eligibility", 401),
        (f"{BASE}{SERVICE}/feedback", 401),
        ([], 401),
    ],
)
def test_the_audience_is_the_very_url_called(guarded: Guarded, audience: Any, expected: int) -> None:
    assert status(guarded(audiences=("by-hand",)), token(aud=audience)) == expected


@pytest.mark.proves("checklist:44")
def test_the_audience_of_feedback_is_its_own_url(guarded: Guarded) -> None:
    path = f"{SERVICE}/feedback"
    assert status(guarded(), token(aud=BASE + path), path, FEEDBACK) == 200


@pytest.mark.proves("checklist:48")
def test_clocks_may_differ_by_a_minute(guarded: Guarded) -> None:
    client, now = guarded(), int(time.time())
    assert status(client, token(iat=now + 30, nbf=now + 30)) == 200
    assert status(client, token(iat=now + 120)) == 401
    assert status(client, token(iat=now - 400, exp=now - 30)) == 200
    assert status(client, token(iat=now - 400, exp=now - 120)) == 401


@pytest.mark.proves("checklist:46", "cds-hooks_2.0@195", "cds-hooks_2.0@199")
def test_only_listed_issuers_and_key_addresses(guarded: Guarded) -> None:
    """The keys come from the file agreed with the client, whether the token names an address or not."""
    client = guarded(jku=(JKU,))
    assert status(client, token(iss="https://evil.example")) == 401
    assert status(client, token(header={"jku": f"{JKU}?x"})) == 401
    assert status(client, token(header={"jku": JKU})) == 200
    assert status(client, token()) == 200
    assert status(guarded(), token(header={"jku": JKU})) == 401


@pytest.mark.proves("checklist:47")
def test_tenants_replays_and_logs(guarded: Guarded) -> None:
    log: list[dict[str, Any]] = []
    client = guarded(log, tenants=("a",))
    used = token(tenant="a")
    assert status(client, used) == 200
    assert status(client, used) == 401
    assert status(client, token(tenant="b")) == 401
    assert status(client, token()) == 401
    assert all(part not in str(log) for part in used.split("."))


@pytest.mark.proves("checklist:14", "checklist:46")
@pytest.mark.parametrize(
    ("listed", "asked", "expected"),
    [
        ("https://ehr.example.org/r4", "https://ehr.example.org/r4", 200),
        ("https://ehr.example.org/r4", "http://ehr.example.org/r4", 403),
        ("https://ehr.example.org/r4", "https://ehr.example.org:8443/r4", 403),
        ("http://ehr.example.org/r4", "http://ehr.example.org/r4", 200),
    ],
)
def test_a_fhir_server_is_https_unless_the_site_lists_it_otherwise(
    guarded: Guarded, listed: str, asked: str, expected: int
) -> None:
    """Nothing is fetched here: the prefetch holds all that is needed."""
    client = guarded(fhir_servers=(listed,))
    assert status(client, token(), body={**BODY, "fhirServer": asked}) == expected


@pytest.mark.proves("checklist:1", "cds-hooks_2.0@2", "cds-hooks_2.0@168")
def test_clients_are_served_at_an_https_address_only(make_app: Make, tmp_path: Path) -> None:
    keys = tmp_path / "jwks.json"
    keys.write_bytes(jwk_set(jwk_of(ec_key(), "ec")))
    clients = (ClientSettings("a", ISSUER, jwks_file=keys),)
    with pytest.raises(ConfigurationError, match="https"):
        make_app(base_url="http://cds.example.org", clients=clients)
    with pytest.raises(ConfigurationError, match="https"):
        make_app(service__base_url="http://10.0.0.7:8000", clients=clients)
    make_app(base_url=BASE, clients=clients)


@pytest.mark.proves("checklist:1", "cds-hooks_2.0@2", "cds-hooks_2.0@168")
def test_without_clients_nothing_leaves_this_machine(make_app: Make) -> None:
    client = make_app().test_client()
    assert client.post(SERVICE, json=BODY).status_code == 200
    assert client.post(SERVICE, json=BODY, headers={"Host": "cds.example.org"}).status_code == 403
    assert client.post(SERVICE, json=BODY, headers={"X-Forwarded-Proto": "https"}).status_code == 403


@pytest.mark.proves("checklist:48", "cds-hooks_2.0@208")
def test_a_page_of_another_origin_reads_answers_and_refusals_alike(guarded: Guarded) -> None:
    client = guarded()
    origin = {"Origin": "https://sandbox.cds-hooks.org"}
    asked = {
        **origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    for path in ("/cds-services", SERVICE, f"{SERVICE}/feedback"):
        preflight = client.options(path, headers=asked)
        assert preflight.status_code < 300
        assert preflight.headers["Access-Control-Allow-Origin"] in ("*", origin["Origin"])
        allowed = preflight.headers["Access-Control-Allow-Headers"].lower()
        assert "authorization" in allowed
        assert "content-type" in allowed
        # Tokens stand in a header that the page itself sends: no cookie or other credential of the browser counts.
        assert "Access-Control-Allow-Credentials" not in preflight.headers
    refused = client.post(SERVICE, json=BODY, headers=origin)
    assert refused.status_code == 401
    assert refused.headers["Access-Control-Allow-Origin"] in ("*", origin["Origin"])
