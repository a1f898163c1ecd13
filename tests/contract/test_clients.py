"""Configured clients: which tokens are let in, what a refused one learns (nothing), which FHIR servers are theirs."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from flask.testing import FlaskClient
from jwt.algorithms import ECAlgorithm

from cds_service.errors import ConfigurationError
from cds_service.settings import ClientSettings
from tests.contract.conftest import AS_OF, Make
from tests.contract.hook_requests import SERVICE, hook_request, person, vignette_bundle
from tests.support.client_keys import ec_key, jwk_of, jwk_set, rsa_key
from tests.unit.records_io.scripted_server import Answer, counted, serving

BASE = "https://cds.example.org"
ISSUER = "https://ehr.example.org"
EC_KEY, OTHER_KEY, P256_KEY = ec_key(), ec_key("other"), ec_key(curve=ec.SECP256R1)
RSA_KEY = rsa_key()
ED_KEY = Ed25519PrivateKey.generate()
EC_JWK = jwk_of(EC_KEY, "ec", alg="ES384", use="sig")
JWKS = jwk_set(
    EC_JWK,
    jwk_of(RSA_KEY, "rsa", alg="RS384"),
    jwk_of(RSA_KEY, "rsa-any"),
    jwk_of(RSA_KEY, "for-encryption", use="enc"),
    jwk_of(P256_KEY, "p256"),
    jwk_of(ED_KEY, "ed"),
)
Make_client = Callable[..., FlaskClient]


@pytest.fixture
def guarded(make_app: Make, tmp_path: Path) -> Make_client:
    """A client of an app with one configured CDS client; keyword arguments are its settings."""

    def make(log: list[dict[str, Any]] | None = None, **changes: Any) -> FlaskClient:
        path = tmp_path / "jwks.json"
        path.write_bytes(JWKS)
        given: dict[str, Any] = {"name": "hospital-a", "issuer": ISSUER, "jwks_file": path, **changes}
        app = make_app(log, base_url=BASE, clients=(ClientSettings(**given),))
        return app.test_client()

    return make


def test_a_file_of_keys_that_is_not_there_is_named(guarded: Make_client, tmp_path: Path) -> None:
    with pytest.raises(
        ConfigurationError, match=r"^clients \(hospital-a\): jwks_file: .*gone\.json: the file can't"
    ):
        guarded(jwks_file=tmp_path / "gone.json")


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


def raw_token(
    header: str | bytes | None = None, claims: str | bytes | None = None, *, sign: bool = True
) -> str:
    """A token of this very text, signed by the client's key all the same. Default: what a good token has."""
    now = int(time.time())
    usual = {"iss": ISSUER, "aud": BASE + SERVICE, "exp": now + 300, "iat": now, "jti": str(uuid4())}
    parts = [
        json.dumps({"alg": "ES384", "kid": "ec", "typ": "JWT"}) if header is None else header,
        json.dumps(usual) if claims is None else claims,
    ]
    signed = ".".join(encoded(part.encode() if isinstance(part, str) else part) for part in parts)
    signer = ECAlgorithm(ECAlgorithm.SHA384)
    return f"{signed}.{encoded(signer.sign(signed.encode(), EC_KEY)) if sign else ''}"


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def claims_with(member: str) -> str:
    """The text of good claims with one more member, which stands last: of two, many readers take the last."""
    now = int(time.time())
    return (
        f'{{"iss": "{ISSUER}", "aud": "{BASE + SERVICE}", "exp": {now + 300}, "iat": {now}, '
        f'"jti": "{uuid4()}", {member}}}'
    )


def exp_of(value: str) -> str:
    now = int(time.time())
    return (
        f'{{"iss": "{ISSUER}", "aud": "{BASE + SERVICE}", "exp": {value}, "iat": {now}, "jti": "{uuid4()}"}}'
    )


def jti_of(value: str) -> str:
    now = int(time.time())
    return f'{{"iss": "{ISSUER}", "aud": "{BASE + SERVICE}", "exp": {now + 9}, "iat": {now}, "jti": {value}}}'


SIGNED = {
    "ES384": (EC_KEY, "ec"),
    "RS384": (RSA_KEY, "rsa"),
    "ES256": (P256_KEY, "p256"),
    "EdDSA": (ED_KEY, "ed"),
    **dict.fromkeys(("RS256", "RS512", "PS256", "PS384", "PS512"), (RSA_KEY, "rsa-any")),
}


@pytest.mark.proves(
    "checklist:42", "checklist:43", "cds-hooks_2.0@176", "cds-hooks_2.0@200", "cds-hooks_2.0@205"
)
@pytest.mark.parametrize("algorithm", SIGNED)
def test_a_valid_token_is_let_in_whichever_way_it_is_signed(guarded: Make_client, algorithm: str) -> None:
    key, kid = SIGNED[algorithm]
    assert call(guarded(), token(key, algorithm, {"kid": kid})) == 200


def test_a_token_written_by_hand_is_let_in(guarded: Make_client) -> None:
    assert call(guarded(), raw_token()) == 200
    assert call(guarded(), raw_token(claims=claims_with('"sub": "x"'))) == 200


REFUSED: dict[str, Callable[[], str | None]] = {
    "none at all": lambda: None,
    "empty": lambda: "",
    "garbage": lambda: "a.b.c",
    "not signed": lambda: token(None, "none"),
    "a shared secret": lambda: token("x" * 64, "HS384"),
    "the public key as a shared secret": lambda: token(encoded(JWKS), "HS384"),
    "the alg none in other letters": lambda: raw_token('{"alg": "nOnE", "kid": "ec", "typ": "JWT"}'),
    "the alg none with a signature": lambda: raw_token('{"alg": "none", "kid": "ec", "typ": "JWT"}'),
    "no alg": lambda: raw_token('{"kid": "ec", "typ": "JWT"}'),
    "an alg that is no text": lambda: raw_token('{"alg": ["ES384"], "kid": "ec", "typ": "JWT"}'),
    "no kid": lambda: raw_token('{"alg": "ES384", "typ": "JWT"}'),
    "a kid that is no text": lambda: raw_token('{"alg": "ES384", "kid": ["ec"], "typ": "JWT"}'),
    "a key brought along": lambda: token(OTHER_KEY, headers={"jwk": jwk_of(OTHER_KEY, "ec")}),
    "an alg of another curve": lambda: raw_token('{"alg": "ES256", "kid": "ec", "typ": "JWT"}'),
    "no signature": lambda: raw_token(sign=False),
    "half a signature": lambda: raw_token()[:-64],
    "two signatures": lambda: f"{raw_token()}.{raw_token().rpartition('.')[2]}",
    "a signature of another token": lambda: (
        f"{raw_token().rpartition('.')[0]}.{raw_token().rpartition('.')[2]}"
    ),
    "a padded part": lambda: token(RSA_KEY, "RS384", {"kid": "rsa"}) + "==",
    "a part in another spelling": lambda: respelled(token(RSA_KEY, "RS384", {"kid": "rsa"})),
    "a line break in it": lambda: raw_token().replace(".", ".%0a"),
    "letters beyond ASCII": lambda: f"{raw_token()}é",
    "another scheme's token behind it": lambda: f"{raw_token()}, Bearer {raw_token()}",
    "no JSON": lambda: raw_token(claims="iss"),
    "no object": lambda: raw_token(claims="[]"),
    "a header that is no object": lambda: raw_token('"ES384"'),
    "claims in another encoding": lambda: raw_token(claims=claims_with('"a": 1').encode("utf-16")),
    "claims nested beyond measure": lambda: raw_token(claims=claims_with(f'"a": {"[" * 2000}{"]" * 2000}')),
    "a header name twice": lambda: raw_token('{"alg": "none", "alg": "ES384", "kid": "ec", "typ": "JWT"}'),
    "a claim twice": lambda: raw_token(claims=claims_with(f'"aud": "{BASE + SERVICE}"')),
    "a payload that is not encoded": lambda: token(headers={"b64": True, "crit": ["b64"]}),
    "b64 without crit": lambda: raw_token('{"alg": "ES384", "kid": "ec", "typ": "JWT", "b64": true}'),
    "an empty crit": lambda: raw_token('{"alg": "ES384", "kid": "ec", "typ": "JWT", "crit": []}'),
    "a typ that is no text": lambda: raw_token('{"alg": "ES384", "kid": "ec", "typ": ["JWT"]}'),
    "a jku that is no text": lambda: raw_token('{"alg": "ES384", "kid": "ec", "typ": "JWT", "jku": ["x"]}'),
    "a jku of null": lambda: raw_token('{"alg": "ES384", "kid": "ec", "typ": "JWT", "jku": null}'),
    "an issuer that is no text": lambda: raw_token(claims=f'{{"iss": ["{ISSUER}"]}}'),
    "exp beyond all calendars": lambda: token(exp=10**18, iat=10**18 - 60),
    "exp beyond all numbers": lambda: raw_token(claims=exp_of("9" * 4000)),
    "exp infinite": lambda: raw_token(claims=exp_of("1e999")),
    "exp Infinity": lambda: raw_token(claims=exp_of("Infinity")),
    "exp NaN": lambda: raw_token(claims=exp_of("NaN")),
    "exp true": lambda: token(exp=True),
    "exp null": lambda: raw_token(claims=exp_of("null")),
    "exp negative": lambda: token(exp=-1, iat=-2),
    "expired before it was issued": lambda: token(exp=int(time.time()) + 10, iat=int(time.time()) + 50),
    "nbf null": lambda: token(nbf=None),
    "nbf a text": lambda: raw_token(claims=claims_with('"nbf": "now"')),
    "an audience inside an object": lambda: token(aud={"a": BASE + SERVICE}),
    "audiences that are no texts": lambda: token(aud=[[BASE + SERVICE], 1, None]),
    "an audience that only begins so": lambda: token(aud=BASE + SERVICE + "x"),
    "jti a list": lambda: token(jti=["a"]),
    "jti empty": lambda: token(jti=""),
    "jti too long": lambda: token(jti="x" * 513),
    "jti of half a character": lambda: raw_token(claims=jti_of('"\\ud800"')),
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


def respelled(bearer: str) -> str:
    """The same bytes in other letters: 256 bytes of signature leave four bits of the last letter unused."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    other = bearer[:-1] + letters[letters.index(bearer[-1]) + 1]
    assert base64.urlsafe_b64decode(other.rpartition(".")[2] + "==") == base64.urlsafe_b64decode(
        bearer.rpartition(".")[2] + "=="
    )
    return other


@pytest.mark.proves("checklist:45", "checklist:46", "checklist:47", "cds-hooks_2.0@195", "cds-hooks_2.0@201")
@pytest.mark.parametrize("name", REFUSED)
def test_any_other_token_gets_a_bare_401(guarded: Make_client, name: str) -> None:
    log: list[dict[str, Any]] = []
    client = guarded(log)
    bearer = REFUSED[name]()
    assert call(client, bearer) == 401
    assert log[-1]["event"] == "unauthorized"
    assert not bearer or bearer not in str(log)
    assert log[-1].get("client", "hospital-a") == "hospital-a"


def test_all_refusals_look_the_same(guarded: Make_client) -> None:
    client = guarded()
    used = token()
    assert call(client, used) == 200
    seen = set()
    for bearer in (
        None,
        "",
        "x",
        used,
        token(OTHER_KEY),
        token(iss="x"),
        token(aud="x"),
        token(tenant=5, jti=None),
    ):
        headers = {} if bearer is None else {"Authorization": f"Bearer {bearer}"}
        answer = client.post(SERVICE, data=b"{", headers=headers)
        told = {name: value for name, value in answer.headers.items() if name != "X-Request-Id"}
        seen.add((answer.status_code, answer.data, str(sorted(told.items()))))
    assert len(seen) == 1
    assert seen.pop()[:2] == (401, b"")


def test_the_log_says_whose_token_it_claimed_to_be_and_which_check_failed(guarded: Make_client) -> None:
    log: list[dict[str, Any]] = []
    client = guarded(log)
    call(client, token(OTHER_KEY))
    told = {"event": "unauthorized", "status": 401, "reason": "signature", "client": "hospital-a"}
    assert log[-1].items() >= told.items()
    call(client, token(iss="https://evil.example"))
    assert log[-1]["reason"] == "unknown issuer"
    assert "client" not in log[-1]


def test_sixty_seconds_of_leeway(guarded: Make_client) -> None:
    client = guarded()
    now = int(time.time())
    assert call(client, token(exp=now - 30, iat=now - 300)) == 200
    assert call(client, token(iat=now + 30)) == 200
    assert call(client, token(nbf=now + 30)) == 200


@pytest.mark.parametrize("jti", ["a b", "\0", "é" * 512, "' OR 1=1 --"])
def test_a_token_is_good_for_one_call_whatever_its_id_looks_like(guarded: Make_client, jti: str) -> None:
    client = guarded()
    assert call(client, token(jti=jti)) == 200
    assert call(client, token(jti=jti)) == 401, "in another token, too"
    assert call(client, token(jti=f"{jti}"[:-1] + "x")) == 200


def test_a_refused_token_does_not_use_up_its_id(guarded: Make_client) -> None:
    client = guarded(tenants=("a",))
    for changes in ({"tenant": "b"}, {"tenant": "a", "aud": BASE}, {"tenant": "a", "key": OTHER_KEY}):
        assert call(client, token(jti="same", **changes)) == 401
    assert call(client, token(jti="same", tenant="a")) == 200


@pytest.mark.proves("checklist:47")
def test_a_token_is_good_for_one_call(guarded: Make_client) -> None:
    client = guarded()
    bearer = token()
    assert call(client, bearer) == 200
    assert call(client, bearer) == 401


@pytest.mark.proves("checklist:44")
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


@pytest.mark.proves("checklist:42", "checklist:48", "cds-hooks_2.0@177")
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


@pytest.mark.proves("checklist:43", "checklist:46", "checklist:47", "cds-hooks_2.0@195", "cds-hooks_2.0@199")
def test_keys_by_address_are_fetched_when_needed_and_rotated(guarded: Make_client) -> None:
    with serving(
        {"jwks": counted(json.loads(jwk_set(EC_JWK)), json.loads(JWKS)), "evil": json.loads(JWKS)}
    ) as ehr:
        jku, listed = f"{ehr.base}/jwks", f"{ehr.base}/listed"
        client = guarded(jwks_file=None, jwks_url=jku, jku=(listed,))
        assert ehr.requests == [], "not at the start"
        assert call(client, token()) == 200
        assert call(client, token(headers={"jku": jku})) == 200
        assert call(client, token(headers={"jku": listed})) == 200
        assert call(client, token(headers={"jku": f"{ehr.base}/evil"})) == 401
        assert call(client, token(headers={"jku": f"{jku}/"})) == 401
        assert [request.path for request in ehr.requests] == ["jwks"], (
            "only the configured address is ever asked"
        )
        assert call(client, token(RSA_KEY, "RS384", {"kid": "rsa"})) == 401, "not anew within the minute"
        keys = client.application.extensions["cds_service"].clients[0].keys
        keys._not_before = 0.0
        assert call(client, token(RSA_KEY, "RS384", {"kid": "rsa"})) == 200
        assert len(ehr.requests) == 2


def test_keys_that_can_not_be_fetched_are_a_401_and_a_line_in_the_log(guarded: Make_client) -> None:
    log: list[dict[str, Any]] = []
    with serving({"jwks": Answer(status=500)}) as ehr:
        client = guarded(log, jwks_file=None, jwks_url=f"{ehr.base}/jwks")
        assert call(client, token()) == 401
        assert call(client, token()) == 401
    refused = [line for line in log if line["event"] == "keys-refused"]
    assert [line["client"] for line in refused] == ["hospital-a"]
    assert "HTTP 500" in refused[0]["reason"]
    assert ehr.base not in str(log)


def test_a_keys_file_is_rotated_without_a_restart(guarded: Make_client, tmp_path: Path) -> None:
    log: list[dict[str, Any]] = []
    client = guarded(log)
    path = tmp_path / "jwks.json"
    other = token(OTHER_KEY, headers={"kid": "next"})
    assert call(client, other) == 401
    path.write_bytes(jwk_set(jwk_of(OTHER_KEY, "next")))
    assert call(client, other) == 200
    assert call(client, token()) == 401
    path.write_text("broken")
    assert call(client, token(OTHER_KEY, headers={"kid": "next"})) == 200
    assert log[-2]["event"] == "keys-refused"


@pytest.mark.parametrize(
    "url", ["http://ehr.example.org/jwks", "http://10.0.0.1/jwks", "http://localhost.example/x"]
)
def test_keys_come_by_https_only(make_app: Make, url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"clients \(a\): jwks_url must be https"):
        make_app(base_url=BASE, clients=(ClientSettings("a", ISSUER, jwks_url=url),))


@pytest.mark.proves("checklist:1", "cds-hooks_2.0@2")
@pytest.mark.parametrize("base", ["http://cds.example.org", "http://0.0.0.0:8000", "http://192.168.1.2"])
def test_clients_call_by_https_only(make_app: Make, tmp_path: Path, base: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(JWKS)
    clients = (ClientSettings("a", ISSUER, jwks_file=path),)
    with pytest.raises(ConfigurationError, match=r"service\.base_url must be https"):
        make_app(base_url=base, clients=clients)
    make_app(base_url="http://localhost:8000", clients=clients)
    make_app(base_url="http://[::1]:8000", clients=clients)


def test_clients_need_a_base_url(make_app: Make, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(JWKS)
    with pytest.raises(ConfigurationError, match=r"service\.base_url"):
        make_app(clients=(ClientSettings("a", ISSUER, jwks_file=path),))


PRIVATE = {**json.loads(ECAlgorithm.to_jwk(EC_KEY)), "kid": "x"}
WEAK = jwk_of(rsa_key(1024), "x")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "can't be read"),
        ("{", "JWK Set"),
        ('{"keys": [{}]}', "kid"),
        ('{"keys": []}', "no signature key"),
        (json.dumps({"keys": [PRIVATE]}), "public"),
        ('{"keys": [{"kid": "x", "kty": "oct", "k": "AAAA"}]}', "public"),
        (json.dumps({"keys": [jwk_of(RSA_KEY, "x", alg="HS256")]}), "alg"),
        (json.dumps({"keys": [EC_JWK, WEAK]}), "key 'x' must have an RSA modulus of 2048"),
        (json.dumps({"keys": [EC_JWK, EC_JWK]}), "key 'ec' stands twice"),
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
