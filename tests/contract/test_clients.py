"""Configured clients: which tokens are let in, what a refused one learns (nothing), which FHIR servers are theirs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from cds_service.errors import ConfigurationError
from cds_service.settings import ClientSettings
from tests.contract.conftest import AS_OF, Make
from tests.contract.hook_requests import SERVICE, hook_request, person, vignette_bundle

BASE = "https://cds.example.org"
ISSUER = "https://ehr.example.org"
EC_KEY = ec.generate_private_key(ec.SECP384R1())
OTHER_KEY = ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
Make_client = Callable[..., FlaskClient]


def jwks() -> dict[str, Any]:
    ec_jwk = json.loads(ECAlgorithm.to_jwk(EC_KEY.public_key()))
    rsa_jwk = json.loads(RSAAlgorithm.to_jwk(RSA_KEY.public_key()))
    return {
        "keys": [
            {**ec_jwk, "kid": "ec", "alg": "ES384", "use": "sig"},
            {**rsa_jwk, "kid": "rsa", "alg": "RS384"},
            {**rsa_jwk, "kid": "for-encryption", "use": "enc"},
        ]
    }


@pytest.fixture
def guarded(make_app: Make, tmp_path: Path) -> Make_client:
    """A client of an app with one configured CDS client; keyword arguments are its settings."""

    def make(log: list[dict[str, Any]] | None = None, **changes: Any) -> FlaskClient:
        path = tmp_path / "jwks.json"
        path.write_text(json.dumps(jwks()))
        given: dict[str, Any] = {"name": "hospital-a", "issuer": ISSUER, "jwks_file": path, **changes}
        app = make_app(log, base_url=BASE, clients=(ClientSettings(**given),))
        return app.test_client()

    return make


def token(
    key: Any = EC_KEY,
    algorithm: str = "ES384",
    headers: dict[str, Any] | None = None,
    drop: tuple[str, ...] = (),
    **changes: Any,
) -> str:
    now = int(time.time())
    claims = {
        "iss": ISSUER,
        "aud": BASE + SERVICE,
        "exp": now + 300,
        "iat": now,
        "jti": str(uuid4()),
        **changes,
    }
    head = {"kid": "ec", "typ": "JWT", **(headers or {})}
    return jwt.encode({k: v for k, v in claims.items() if k not in drop}, key, algorithm, headers=head)


def call(client: FlaskClient, bearer: str | None, path: str = SERVICE, body: Any = None) -> int:
    headers = {"Authorization": f"Bearer {bearer}"} if bearer is not None else {}
    answer = client.post(
        path,
        json=body or hook_request(prefetch={"patient": person(), "condition": None}),
        headers=headers,
    )
    if answer.status_code == 401:
        assert answer.data == b""
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    return answer.status_code


def test_a_valid_token_is_let_in_whichever_way_it_is_signed(guarded: Make_client) -> None:
    client = guarded()
    assert call(client, token()) == 200
    assert call(client, token(RSA_KEY, "RS384", {"kid": "rsa"})) == 200


NOW = int(time.time())
REFUSED: dict[str, Callable[[], str | None]] = {
    "none at all": lambda: None,
    "empty": lambda: "",
    "garbage": lambda: "a.b.c",
    "not signed": lambda: token(None, "none"),
    "a shared secret": lambda: token("x" * 64, "HS384"),
    "another key": lambda: token(OTHER_KEY),
    "an unknown kid": lambda: token(headers={"kid": "x"}),
    "an encryption key": lambda: token(RSA_KEY, "RS384", {"kid": "for-encryption"}),
    "a key of another type": lambda: token(RSA_KEY, "RS384", {"kid": "ec"}),
    "an alg that its key is not for": lambda: token(RSA_KEY, "RS256", {"kid": "rsa"}),
    "a foreign jku": lambda: token(headers={"jku": "https://evil.example/jwks.json"}),
    "another typ": lambda: token(headers={"typ": "at+jwt"}),
    "a critical header": lambda: token(headers={"crit": ["x"], "x": 1}),
    "another issuer": lambda: token(iss="https://evil.example"),
    "no issuer": lambda: token(drop=("iss",)),
    "another audience": lambda: token(aud=BASE),
    "the audience of another service": lambda: token(aud=f"{BASE}/cds-services/trial-eligibility"),
    "no audience": lambda: token(drop=("aud",)),
    "an empty audience": lambda: token(aud=[]),
    "expired": lambda: token(exp=int(time.time()) - 61, iat=int(time.time()) - 300),
    "no exp": lambda: token(drop=("exp",)),
    "exp a text": lambda: token(exp="soon"),
    "no iat": lambda: token(drop=("iat",)),
    "issued in the future": lambda: token(iat=int(time.time()) + 120),
    "not yet valid": lambda: token(nbf=int(time.time()) + 120),
    "too long a life": lambda: token(exp=int(time.time()) + 3700),
    "no jti": lambda: token(drop=("jti",)),
    "jti a number": lambda: token(jti=5),
    "too long": lambda: token(x="x" * 9000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_any_other_token_gets_a_bare_401(guarded: Make_client, name: str) -> None:
    log: list[dict[str, Any]] = []
    client = guarded(log)
    bearer = REFUSED[name]()
    assert call(client, bearer) == 401
    assert log[-1]["event"] == "unauthorized"
    assert not bearer or bearer not in str(log)


def test_sixty_seconds_of_leeway(guarded: Make_client) -> None:
    client = guarded()
    now = int(time.time())
    assert call(client, token(exp=now - 30, iat=now - 300)) == 200
    assert call(client, token(iat=now + 30)) == 200
    assert call(client, token(nbf=now + 30)) == 200


def test_a_token_is_good_for_one_call(guarded: Make_client) -> None:
    client = guarded()
    bearer = token()
    assert call(client, bearer) == 200
    assert call(client, bearer) == 401


def test_the_audience_of_feedback_is_its_url_or_its_services(guarded: Make_client) -> None:
    client = guarded()
    body = {
        "feedback": [
            {
                "card": str(uuid4()),
                "outcome": "overridden",
                "outcomeTimestamp": "2026-06-15T10:00:00Z",
            }
        ]
    }
    path = f"{SERVICE}/feedback"
    assert call(client, token(aud=BASE + path), path, body) == 200
    assert call(client, token(aud=[BASE + SERVICE]), path, body) == 200
    assert call(client, token(aud=BASE + path), SERVICE) == 401


def test_further_audiences_tenants_and_jku_as_configured(guarded: Make_client) -> None:
    client = guarded(audiences=("by-hand",), tenants=("a", "b"), jku=("https://ehr.example.org/jwks.json",))
    assert call(client, token(aud="by-hand", tenant="a")) == 200
    assert call(client, token(tenant="c")) == 401
    assert call(client, token()) == 401
    assert call(client, token(tenant="b", headers={"jku": "https://ehr.example.org/jwks.json"})) == 200


def test_assessments_are_guarded_and_the_rest_is_open(guarded: Make_client) -> None:
    client = guarded()
    assert call(client, None, "/assessments", vignette_bundle("AV-01")) == 401
    assert call(client, token(aud=f"{BASE}/assessments"), "/assessments", vignette_bundle("AV-01")) == 200
    outside = {"Host": "cds.example.org", "X-Forwarded-For": "1.2.3.4"}
    for path in ("/cds-services", "/trials/nct02917681", "/openapi.json", "/healthz", "/readyz"):
        assert client.get(path, headers=outside).status_code == 200
    assert client.get("/openapi.json").get_json()["components"]["securitySchemes"]
    assert client.options(SERVICE, headers=outside).status_code == 200


@pytest.mark.parametrize(
    ("server", "status"),
    [
        ("https://ehr.example.org/r4", 412),
        ("https://EHR.example.org:443/r4/", 412),
        ("https://ehr.example.org/r4evil", 403),
        ("https://ehr.example.org/r4/../admin", 403),
        ("https://ehr.example.org/", 403),
        ("http://ehr.example.org/r4", 403),
        ("https://ehr.example.org:8443/r4", 403),
        ("https://ehr.example.org.evil.example/r4", 403),
        ("https://ehr.example.org@evil.example/r4", 403),
        ("http://localhost/fhir", 403),
    ],
)
def test_only_the_clients_own_fhir_servers(guarded: Make_client, server: str, status: int) -> None:
    client = guarded(fhir_servers=("https://ehr.example.org/r4",))
    service = client.application.extensions["cds_service"]
    asked = []
    service.transport.get = lambda url, *_: asked.append(url) or (_ for _ in ()).throw(RuntimeError)
    body = hook_request(fhirServer=server, prefetch={"patient": None, "condition": None})
    if status == 412:
        from cds_service.records.fhir_transport import FetchFailure

        def refuse(*_: Any) -> bytes:
            raise FetchFailure("connection")

        service.transport.get = refuse
    assert call(client, token(), body=body) == status
    assert asked == []


def test_a_client_without_fhir_servers_may_name_none(guarded: Make_client) -> None:
    body = hook_request(fhirServer="http://localhost/fhir", prefetch={"patient": person(), "condition": None})
    assert call(guarded(), token(), body=body) == 403


def test_clients_need_a_base_url(make_app: Make, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps(jwks()))
    with pytest.raises(ConfigurationError, match=r"service\.base_url"):
        make_app(clients=(ClientSettings("a", ISSUER, jwks_file=path),))


PRIVATE = {**json.loads(ECAlgorithm.to_jwk(EC_KEY)), "kid": "x"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read"),
        ("{", "JWK Set"),
        ('{"keys": [{}]}', "kid"),
        ('{"keys": []}', "no signature key"),
        (json.dumps({"keys": [PRIVATE]}), "public"),
        ('{"keys": [{"kid": "x", "kty": "oct", "k": "AAAA"}]}', "public"),
        ('{"keys": [{"kid": "x", "kty": "RSA", "alg": "HS256"}]}', "alg"),
    ],
)
def test_keys_that_can_not_be_used_stop_the_start(
    make_app: Make, tmp_path: Path, content: str | None, words: str
) -> None:
    path = tmp_path / "jwks.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        make_app(base_url=BASE, clients=(ClientSettings("a", ISSUER, jwks_file=path),))




def test_the_day_of_the_fixture_is_the_one_of_the_vignettes() -> None:
    assert AS_OF.isoformat() == "2026-06-15"
