"""Who may call, where clients are configured: whoever brings a signed JWT of one.

A token is taken apart by strict rules first (one meaning, one spelling), then its signature is verified under a key
of the client that it names, then what it says is held against the clock, the address called and the client's
settings. Only what passed all that may use up a token id, so that nobody else can fill the database.
Error policy: a token that does not fit in any respect gets a bare 401 that does not say why (best practice of
CDS Hooks); the log says which check failed and, where the issuer is known, whose token it claimed to be, never the
token.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import jwt
from flask import Response
from jwt.api_jws import PyJWS

from cds_service.hooks.jwk import ALGORITHMS
from cds_service.hooks.keys import Keys
from cds_service.hooks.strict_json import strict_json

LEEWAY_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 3600
_MAX_TOKEN: Final = 8192
_MAX_JTI: Final = 512
# Three parts of base64url, none empty and none padded (RFC 7515 §2, §7.1): PyJWT would let padding pass, which gives
# one token several spellings.
_COMPACT: Final = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_JWS: Final = PyJWS(algorithms=sorted(ALGORITHMS))


@dataclass(frozen=True, slots=True)
class Client:
    """A configured CDS client. Empty `tenants`: the claim is not looked at. `jku`: the addresses that its tokens may
    name as that of their keys. `private_networks`, `cds_hooks`: see `settings.ClientSettings`.
    """

    name: str
    issuer: str
    keys: Keys
    jku: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()
    cds_hooks: str = "2.0"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls. `client`: None where none is configured; `tenant`: the claim of its token, where it has one."""

    client: Client | None = None
    tenant: str | None = None

    @property
    def issuer(self) -> str:
        """The client's `iss`; empty where no client is configured."""
        return self.client.issuer if self.client else ""


class Refused(Exception):  # noqa: N818  (a decision, not a failure)
    """A token that is not accepted; the text is for the log alone. `client`: the name of whom it claims to be from,
    None where that is no client.
    """

    client: str | None = None


@dataclass(frozen=True, slots=True)
class _Token:
    """A token taken apart; nothing of it is believed yet."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]


def verified_client(
    authorization: str | None,
    clients: Sequence[Client],
    urls: Sequence[str],
    now: datetime,
    first_use: Callable[[str, str, datetime, datetime], bool],
    *,
    admit: Callable[[Client], None] = lambda _: None,
) -> Caller:
    """The caller: the client whose valid token `authorization` carries. `urls`: the audiences that fit this call.

    Raises Refused. `admit(client)` may raise what turns a verified client away (TooManyRequestsError) while its token
    is still good for another try. `first_use(issuer, jti, expires, now)` says whether the token was never seen before.
    """
    token = _taken_apart(authorization)
    client = next((c for c in clients if c.issuer == token.claims.get("iss")), None)
    if client is None:
        raise Refused("unknown issuer")
    try:
        _check_signature(token, client)
        _check_times(token.claims, now)
        _check_audience(token.claims, (*urls, *client.audiences))
        tenant = _tenant(token.claims, client)
        jti = _token_id(token.claims)
        admit(client)
        expires = datetime.fromtimestamp(token.claims["exp"], UTC) + timedelta(seconds=LEEWAY_SECONDS)
        if not first_use(client.issuer, jti, expires, now):
            raise Refused("replayed")
    except Refused as refusal:
        refusal.client = client.name
        raise
    return Caller(client, tenant)


def _taken_apart(authorization: str | None) -> _Token:
    """The bearer token's header and claims, before any check; they only choose the client and key to check with."""
    scheme, _, text = (authorization or "").partition(" ")
    text = text.strip(" ")
    if scheme.lower() != "bearer" or not text or len(text) > _MAX_TOKEN:
        raise Refused("no bearer token")
    if not _COMPACT.fullmatch(text):
        raise Refused("malformed")
    header, claims, _ = text.split(".")
    return _Token(text, _json_object(header), _json_object(claims))


def _json_object(part: str) -> Mapping[str, Any]:
    """One part of a token: base64url in its one spelling, JSON of one meaning, an object."""
    try:
        content = urlsafe_b64decode(part + "=" * (-len(part) % 4))
        value = strict_json(content)
    except ValueError:
        raise Refused("malformed") from None
    if urlsafe_b64encode(content).rstrip(b"=") != part.encode() or not isinstance(value, dict):
        raise Refused("malformed")
    return value


def _check_signature(token: _Token, client: Client) -> None:
    """That a key of the client signed it, by an algorithm that this key is for (RFC 8725 §3.1, §3.2)."""
    algorithm, kid = token.header.get("alg"), token.header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        raise Refused("algorithm")
    # `crit` names what must be understood, `b64` changes what is signed (RFC 7797): neither is, here.
    if str(token.header.get("typ", "JWT")).upper() != "JWT" or {"crit", "b64"} & token.header.keys():
        raise Refused("header")
    if "jku" in token.header and token.header["jku"] not in client.jku:
        raise Refused("jku")
    key = client.keys.find(kid) if isinstance(kid, str) else None
    if key is None:
        raise Refused("unknown key")
    if algorithm not in key.algorithms:
        raise Refused("key does not fit the algorithm")
    try:
        _JWS.decode_complete(token.text, key.public, algorithms=[algorithm])
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refused("signature") from None


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    """exp and iat are wanted, nbf is heeded; 60 s of leeway, an hour of life at most."""
    moment = now.timestamp()
    issued, expires = _time(claims, "iat"), _time(claims, "exp")
    begins = _time(claims, "nbf") if "nbf" in claims else issued
    if expires <= moment - LEEWAY_SECONDS:
        raise Refused("expired")
    if max(issued, begins) > moment + LEEWAY_SECONDS:
        raise Refused("not yet valid")
    if not 0 <= expires - issued <= LIFETIME_SECONDS:
        raise Refused("lifetime")


def _time(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519 §2), within the years that a calendar has."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
        raise Refused(name)
    return value


def _check_audience(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not any(isinstance(a, str) and a in accepted for a in named):
        raise Refused("audience")


def _tenant(claims: Mapping[str, Any], client: Client) -> str | None:
    """The tenant that the token names: one of the client's, where it has any."""
    tenant = claims.get("tenant")
    if client.tenants and tenant not in client.tenants:
        raise Refused("tenant")
    return tenant if isinstance(tenant, str) and tenant else None


def _token_id(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
        raise Refused("jti")
    return jti


def unauthorized() -> Response:
    """The bare 401, which has no body and so no type of one."""
    response = Response(status=401, headers={"WWW-Authenticate": "Bearer"})
    del response.headers["Content-Type"]
    return response
