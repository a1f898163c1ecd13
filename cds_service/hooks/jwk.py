"""Public keys as clients publish them: JWK Sets (RFC 7517), each key with the algorithms that it is good for.

Which algorithms: RFC 7518 §3.1 and RFC 8037, those signed with a private key only. Which strengths: a curve of the
algorithm's own size; RSA moduli of 2048 bits and more with an exponent above 2^16 (NIST SP 800-131A, FIPS 186-5 §5.1).
Error policy: a set that can't be used raises BadKeys. A single key that can't be used is left out and named among
`ignored`; whether that matters is the caller's to say (RFC 7517 §5 wants sets with unknown keys to work). The words
of a problem are this module's own: nothing of the set is repeated in them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from cds_service.hooks.strict_json import strict_json

Public = RSAPublicKey | EllipticCurvePublicKey | Ed25519PublicKey | Ed448PublicKey

SET_BYTES: Final = 1_000_000
SET_KEYS: Final = 100
_KID_LENGTH: Final = 512
_RSA: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_RSA_BITS: Final = (2048, 8192)
_CURVES: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("EC", "P-256"): "ES256",
        ("EC", "P-384"): "ES384",
        ("EC", "P-521"): "ES512",
        ("OKP", "Ed25519"): "EdDSA",
        ("OKP", "Ed448"): "EdDSA",
    }
)
# `none` and every shared secret (HS…) are refused by not standing here.
ALGORITHMS: Final = frozenset({*_RSA, *_CURVES.values()})
# Members that only a private or a shared key has (RFC 7518 §6.2.2, §6.3.2, §6.4.1).
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]+")


class BadKeys(Exception):  # noqa: N818  (what is wrong with keys; it becomes an error of the setting, or a line of the log)
    """Why a key or a set can't be used. `problem` says it in fixed words; `kid` names the key for the operator."""

    def __init__(self, problem: str, kid: str | None = None) -> None:
        super().__init__(problem if kid is None else f"key {kid!r} {problem}")
        self.problem = problem
        self.kid = kid


@dataclass(frozen=True, slots=True)
class PublicKey:
    """One key, ready for use. `algorithms`: those by which a token under it may be signed; `strength`: in words."""

    kid: str
    algorithms: tuple[str, ...]
    strength: str
    public: Public


@dataclass(frozen=True, slots=True)
class JwkSet:
    """The signature keys of a set by their `kid`, and what is wrong with those that can't be used."""

    keys: Mapping[str, PublicKey]
    ignored: tuple[BadKeys, ...] = ()


def read_jwk_set(body: bytes) -> JwkSet:
    """The set in `body`. Keys for other uses than signatures are passed over. Raises BadKeys."""
    if len(body) > SET_BYTES:
        raise BadKeys(f"the JWK Set is larger than {SET_BYTES} bytes")
    try:
        content = strict_json(body)
    except ValueError:
        content = None
    entries = content.get("keys") if isinstance(content, dict) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise BadKeys('a JWK Set is wanted: {"keys": […]}, each an object with a kid, no name given twice')
    if len(entries) > SET_KEYS:
        raise BadKeys(f"the JWK Set has more than {SET_KEYS} keys")
    keys: dict[str, PublicKey] = {}
    ignored = []
    for entry in filter(_for_signatures, entries):
        try:
            key = _public_key(entry)
        except BadKeys as bad:
            ignored.append(bad)
            continue
        if key.kid in keys:
            # Which of the two signed can't be said, and a second key must not slip in under a known name.
            raise BadKeys("stands twice in the JWK Set: give each key a kid of its own", key.kid)
        keys[key.kid] = key
    if not keys and not ignored:
        raise BadKeys("the JWK Set holds no signature key")
    return JwkSet(MappingProxyType(keys), tuple(ignored))


def _for_signatures(entry: Mapping[str, Any]) -> bool:
    operations = entry.get("key_ops", ["verify"])
    return entry.get("use", "sig") == "sig" and (
        not isinstance(operations, list) or bool({"verify", "sign"} & {str(name) for name in operations})
    )


def _public_key(entry: Mapping[str, Any]) -> PublicKey:
    kid = entry.get("kid")
    if not isinstance(kid, str) or not 0 < len(kid) <= _KID_LENGTH:
        raise BadKeys("a key has no kid, by which tokens could name it: give it one")
    if _PRIVATE & entry.keys() or entry.get("kty") not in ("EC", "RSA", "OKP"):
        raise BadKeys(
            "must be a public EC, RSA or OKP key; a private or shared one that stood here is to be replaced",
            kid,
        )
    public = _loaded(entry, kid)
    fitting: tuple[str, ...]
    if isinstance(public, RSAPublicKey):
        fitting, strength = _RSA, f"RSA, {public.key_size} bits"
        _check_rsa(public, kid)
    else:
        fitting, strength = (_CURVES[entry["kty"], entry["crv"]],), entry["crv"]
    if "alg" not in entry:
        return PublicKey(kid, fitting, strength, public)
    if entry["alg"] not in fitting:
        raise BadKeys(f"has an alg that is not accepted for it: one of {', '.join(fitting)} is wanted", kid)
    return PublicKey(kid, (entry["alg"],), strength, public)


def _loaded(entry: Mapping[str, Any], kid: str) -> Public:
    """The key of the entry's numbers."""
    kind = entry["kty"]
    if kind != "RSA" and (not isinstance(entry.get("crv"), str) or (kind, entry["crv"]) not in _CURVES):
        raise BadKeys(
            f"has a curve that is not accepted: one of {', '.join(c for _, c in _CURVES)} is wanted", kid
        )
    numbers = {"EC": ("x", "y"), "RSA": ("n", "e"), "OKP": ("x",)}[kind]
    if not all(isinstance(entry.get(name), str) and _BASE64URL.fullmatch(entry[name]) for name in numbers):
        raise BadKeys(f"lacks {' or '.join(numbers)}, in base64url without padding", kid)
    read = {"EC": ECAlgorithm.from_jwk, "RSA": RSAAlgorithm.from_jwk, "OKP": OKPAlgorithm.from_jwk}[kind]
    unreadable = BadKeys("can't be read: its numbers are not those of such a key", kid)
    try:
        public = read({name: entry[name] for name in ("kty", "crv", *numbers) if name in entry})
    except (jwt.PyJWTError, ValueError, TypeError, OverflowError, UnsupportedAlgorithm):
        raise unreadable from None
    if not isinstance(public, Public):
        raise unreadable
    return public


def _check_rsa(public: RSAPublicKey, kid: str) -> None:
    least, most = _RSA_BITS
    if not least <= public.key_size <= most:
        raise BadKeys(f"must have an RSA modulus of {least} to {most} bits", kid)
    exponent = public.public_numbers().e
    if not 1 << 16 < exponent < 1 << 64:
        raise BadKeys("has an RSA exponent that is not accepted: 65537 is usual", kid)
