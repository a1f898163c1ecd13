"""Who may call, where clients are configured: whoever brings a signed JWT of one.

Error policy: a token that does not fit in any respect gets a bare 401 that does not say why (best practice of
CDS Hooks); the log says which check failed, never the token. A client whose keys can't be read stops the
start.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import jwt
import orjson
from flask import Response
from jwt.algorithms import get_default_algorithms

from cds_service.errors import ConfigurationError

# Signatures of a private key only; `none` and every shared secret (HS…) are refused by not standing here.
ALGORITHMS: Final[Mapping[str, str]] = {
    "ES256": "EC",
    "ES384": "EC",
    "ES512": "EC",
    "RS256": "RSA",
    "RS384": "RSA",
    "RS512": "RSA",
    "PS256": "RSA",
    "PS384": "RSA",
    "PS512": "RSA",
    "EdDSA": "OKP",
}
LEEWAY_SECONDS: Final = 60
LIFETIME_SECONDS: Final = 3600
_MAX_TOKEN: Final = 8192


@dataclass(frozen=True, slots=True)
class Client:
    """A configured CDS client, its public keys by `kid`. Empty `tenants`: the claim is not looked at."""

    name: str
    issuer: str
    keys: Mapping[str, Mapping[str, Any]]
    jku: tuple[str, ...] = ()
    tenants: tuple[str, ...] = ()
    audiences: tuple[str, ...] = ()
    fhir_servers: tuple[str, ...] = ()
    private_networks: tuple[str, ...] = ()


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
    """A token that is not accepted; the text is for the log alone."""


def read_jwks(path: Path, place: str) -> dict[str, Mapping[str, Any]]:
    """The public signature keys of a JWK Set file, by `kid`. Raises ConfigurationError."""
    try:
        keys = orjson.loads(path.read_bytes())["keys"]
        by_kid = {key["kid"]: key for key in keys if key.get("use", "sig") == "sig"}
    except OSError:
        raise ConfigurationError(f"{place}: the file can't be read.") from None
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        raise ConfigurationError(f'{place}: a JWK Set is wanted: {{"keys": […]}}, each with a kid.') from None
    for kid, key in by_kid.items():
        if key.get("kty") not in set(ALGORITHMS.values()) or "d" in key:
            raise ConfigurationError(f"{place}: key {kid!r} must be a public EC, RSA or OKP key.")
        if "alg" in key and key["alg"] not in ALGORITHMS:
            raise ConfigurationError(f"{place}: key {kid!r} has an alg that is not accepted.")
    if not by_kid:
        raise ConfigurationError(f"{place}: the JWK Set holds no signature key.")
    return by_kid


def verified_client(
    authorization: str | None,
    clients: Sequence[Client],
    urls: Sequence[str],
    now: datetime,
    first_use: Callable[[str, str, datetime, datetime], bool],
) -> Caller:
    """The caller: the client whose valid token `authorization` carries. `urls`: the audiences that fit this call.

    Raises Refused. `first_use(issuer, jti, expires, now)` says whether the token id was never seen before.
    """
    scheme, _, token = (authorization or "").partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token or len(token) > _MAX_TOKEN:
        raise Refused("no bearer token")
    header, claims = _unverified(token)
    client = next((c for c in clients if c.issuer == claims.get("iss")), None)
    if client is None:
        raise Refused("unknown issuer")
    claims = _verified(token, header, client)
    _check_times(claims, now)
    _check_audience(claims, (*urls, *client.audiences))
    if client.tenants and claims.get("tenant") not in client.tenants:
        raise Refused("tenant")
    jti = claims.get("jti")
    if not isinstance(jti, str) or not jti or len(jti) > 512:
        raise Refused("jti")
    expires = datetime.fromtimestamp(claims["exp"], UTC) + timedelta(seconds=LEEWAY_SECONDS)
    if not first_use(client.issuer, jti, expires, now):
        raise Refused("replayed")
    tenant = claims.get("tenant")
    return Caller(client, tenant if isinstance(tenant, str) else None)


def _unverified(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims before any check; they only choose the client and key to check with."""
    try:
        header = jwt.get_unverified_header(token)
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refused("malformed") from None
    return header, claims


def _verified(token: str, header: dict[str, Any], client: Client) -> dict[str, Any]:
    """The claims under a valid signature of the client. Times, audience and id are checked by the caller."""
    algorithm = header.get("alg")
    kty = ALGORITHMS.get(algorithm) if isinstance(algorithm, str) else None
    if not isinstance(algorithm, str) or kty is None:
        raise Refused("algorithm")
    if str(header.get("typ", "JWT")).upper() != "JWT" or "crit" in header:
        raise Refused("header")
    if "jku" in header and header["jku"] not in client.jku:
        raise Refused("jku")
    kid = header.get("kid")
    key = client.keys.get(kid) if isinstance(kid, str) else None
    if key is None:
        raise Refused("unknown key")
    if key.get("kty") != kty or key.get("alg", algorithm) != algorithm:
        raise Refused("key does not fit the algorithm")
    try:
        public = get_default_algorithms()[algorithm].from_jwk(dict(key))
        claims: dict[str, Any] = jwt.decode(
            token,
            key=public,
            algorithms=[algorithm],
            options={"verify_aud": False, "verify_exp": False, "verify_iat": False, "verify_nbf": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError):
        raise Refused("signature") from None
    return claims


def _check_times(claims: Mapping[str, Any], now: datetime) -> None:
    """exp and iat are wanted, nbf is heeded; 60 s of leeway, an hour of life at most."""
    moment = now.timestamp()
    times = {}
    for name in ("exp", "iat", "nbf"):
        value = claims.get(name)
        if value is None and name == "nbf":
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e11:
            raise Refused(name)
        times[name] = value
    if times["exp"] <= moment - LEEWAY_SECONDS:
        raise Refused("expired")
    if times["iat"] > moment + LEEWAY_SECONDS or times.get("nbf", 0) > moment + LEEWAY_SECONDS:
        raise Refused("not yet valid")
    if times["exp"] - times["iat"] > LIFETIME_SECONDS or times["exp"] < times["iat"]:
        raise Refused("lifetime")


def _check_audience(claims: Mapping[str, Any], accepted: Sequence[str]) -> None:
    audience = claims.get("aud")
    named = [audience] if isinstance(audience, str) else audience
    if not isinstance(named, list) or not any(isinstance(a, str) and a in accepted for a in named):
        raise Refused("audience")


def unauthorized() -> Response:
    """The bare 401."""
    return Response(status=401, headers={"WWW-Authenticate": "Bearer"})
